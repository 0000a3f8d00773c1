/* The sink's listings. Below "list-N/" lie N objects of 2,569,011 bytes that are always there, in the folder of one day. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sink.h"

enum { PAGE = 1000, ROW = 512 };
#define DAY "2020-01-01"

/* Where a page begins: the number in the token, or behind the last name of the page before. */
static long
page_start(const struct request *r)
{
	char text[SINK_KEY_CAP];
	const char *name;

	if (sink_query(r, "continuation-token", text, sizeof text) > 0)
		return atol(text);
	if (sink_query(r, "marker", text, sizeof text) > 0 || sink_query(r, "start-after", text, sizeof text) > 0)
		return (name = strstr(text, DAY "/")) ? atol(name + sizeof DAY) + 1 : 0;
	return 0;
}

/* The rows from number on, of n in all: how long they are. */
static size_t
page_rows(char *to, long from, long to_number, long n)
{
	char *start = to;

	for (long i = from; i < to_number; i++)
		to += sprintf(to, "<Contents><Key>list-%ld/" DAY "/%08ld.png</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>"
			"<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>2569011</Size><StorageClass>STANDARD</StorageClass>"
			"</Contents>", n, i);
	return (size_t)(to - start);
}

int
sink_list(struct conn *c)
{
	struct request *r = &c->r;
	char prefix[SINK_KEY_CAP] = "", most[16], *page = malloc((PAGE + 4) * ROW), *to = page;
	long n = 0, from = page_start(r), rows = PAGE, to_number;
	int folders = sink_asks(r, "delimiter"), more, rc;

	if (!page)
		return -1;
	sink_counts.lists++;
	sink_query(r, "prefix", prefix, sizeof prefix);
	if (!strncmp(prefix, "list-", 5))
		n = atol(prefix + 5);
	if (sink_query(r, "max-keys", most, sizeof most) > 0 && atol(most) < PAGE)
		rows = atol(most);
	folders = folders && !strstr(prefix, DAY "/");
	to_number = folders ? 0 : from + rows < n ? from + rows : n;
	more = !folders && to_number < n;
	to += sprintf(to, XML "<ListBucketResult" NS "><Name>runpod</Name><Prefix>%.1024s</Prefix><MaxKeys>%ld</MaxKeys><KeyCount>%ld</KeyCount>"
		"%s<IsTruncated>%s</IsTruncated>", prefix, rows, to_number > from ? to_number - from : 0,
		sink_asks(r, "encoding-type") ? "<EncodingType>url</EncodingType>" : "", more ? "true" : "false");
	if (more)
		to += sprintf(to, "<NextContinuationToken>%ld</NextContinuationToken><NextMarker>list-%ld/" DAY "/%08ld.png</NextMarker>", to_number, n,
			to_number - 1);
	if (folders && n > 0)
		to += sprintf(to, "<CommonPrefixes><Prefix>list-%ld/" DAY "/</Prefix></CommonPrefixes>", n);
	to += page_rows(to, from, to_number, n);
	strcpy(to, "</ListBucketResult>");
	rc = sink_reply(c, "200 OK", "Content-Type: application/xml\r\n", page);
	free(page);
	return rc;
}
