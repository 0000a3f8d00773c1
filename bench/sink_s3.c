/* What the sink answers, but for listings. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sink.h"

enum { FIELDS = 2048 };

size_t
sink_decode(const char *s, size_t n, char *out, size_t cap)
{
	size_t len = 0;
	char digits[3] = "";

	for (size_t i = 0; i < n && len + 1 < cap; i++) {
		if (s[i] == '%' && i + 2 < n) {
			digits[0] = s[i + 1];
			digits[1] = s[i + 2];
			out[len++] = (char)strtol(digits, NULL, 16);
			i += 2;
		} else {
			out[len++] = s[i];
		}
	}
	out[len] = 0;
	return len;
}

int
sink_query(const struct request *r, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name), len;

	for (const char *p = r->query; *p; p += len + (p[len] == '&')) {
		len = strcspn(p, "&");
		if (len >= n && !memcmp(p, name, n) && (len == n || p[n] == '='))
			return (int)sink_decode(p + n + (len > n), len - n - (len > n), out, cap);
	}
	return -1;
}

int
sink_asks(const struct request *r, const char *name)
{
	char value[8];

	return sink_query(r, name, value, sizeof value) >= 0;
}

/* fields: whole lines, or "". */
static int
reply_head(struct conn *c, const char *status, const char *fields, int64_t length)
{
	char text[FIELDS + 512], date[40];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	return sink_send(c, text, (size_t)snprintf(text, sizeof text,
		"HTTP/1.1 %s\r\nServer: sink\r\nDate: %s\r\n%sContent-Length: %lld\r\n\r\n", status, date, fields, (long long)length));
}

int
sink_reply(struct conn *c, const char *status, const char *fields, const char *body)
{
	size_t n = strlen(body);

	return reply_head(c, status, fields, (int64_t)n) == 0 && (c->r.method[0] == 'H' || sink_send(c, body, n) == 0) ? 0 : -1;
}

static int
missing(struct conn *c)
{
	return sink_reply(c, "404 Not Found", "Content-Type: application/xml\r\n",
		XML "<Error><Code>NoSuchKey</Code><Message>There is none.</Message></Error>");
}

/* ---- objects ---- */

/* An ETag for what was sent: its MD5 where the client told it, else one that nobody takes for an MD5; of parts always 32 digits, so that
 * the whole has the ETag that the client works out. */
static void
make_etag(const struct request *r, int part, char etag[SINK_ETAG_CAP])
{
	if (*r->md5)
		snprintf(etag, SINK_ETAG_CAP, "%s", r->md5);
	else if (part)
		snprintf(etag, SINK_ETAG_CAP, "%032llx", (unsigned long long)r->size);
	else
		snprintf(etag, SINK_ETAG_CAP, "sink-%lld-bytes", (long long)r->size);
}

static int
put(struct conn *c)
{
	struct request *r = &c->r;
	char upload[128], etag[SINK_ETAG_CAP], fields[256];
	int part = sink_query(r, "uploadId", upload, sizeof upload) >= 0, n;

	sink_counts.puts++;
	make_etag(r, part, etag);
	if (part)
		store_grow(upload, r->size);
	else
		store_put(r->key, r->size, etag, r->meta);
	n = snprintf(fields, sizeof fields, "ETag: \"%s\"\r\n", etag);
	if (*r->crc32c)
		snprintf(fields + n, sizeof fields - (size_t)n, "x-amz-checksum-crc32c: %s\r\n", r->crc32c);
	return sink_reply(c, "200 OK", fields, "");
}

static int
send_pattern(struct conn *c, int64_t from, int64_t n)
{
	const unsigned char *pattern = pattern_bytes();

	while (n > 0) {
		size_t at = (size_t)(from % PATTERN), some = PATTERN - at < (size_t)n ? PATTERN - at : (size_t)n;

		if (sink_send(c, pattern + at, some) < 0)
			return -1;
		from += (int64_t)some;
		n -= (int64_t)some;
	}
	return 0;
}

/* Of the object, what is asked for: 1 when it is less than all. */
static int
section(const struct request *r, const struct pattern *x, int64_t *from, int64_t *n)
{
	char number[16];

	*from = 0;
	*n = x->size;
	if (r->from >= 0) {
		*from = r->from < x->size ? r->from : x->size;
		*n = (r->to >= 0 && r->to < x->size ? r->to + 1 : x->size) - *from;
		return 1;
	}
	if (x->parts == 0 || sink_query(r, "partNumber", number, sizeof number) <= 0)
		return 0;
	*from = (atoi(number) - 1) * x->part;
	*n = x->size - *from < x->part ? x->size - *from : x->part;
	return 1;
}

static int
get(struct conn *c)
{
	struct request *r = &c->r;
	struct object o = {0};
	struct pattern x = {0};
	char fields[FIELDS];
	int64_t from, n;
	int head = r->method[0] == 'H', partial, len;

	if (pattern_of(r->key, &x) == 0)
		pattern_etag(&x, o.etag);
	else if (head && store_get(r->key, &o))
		x.size = o.size;
	else
		return missing(c);
	partial = section(r, &x, &from, &n);
	len = snprintf(fields, sizeof fields, "ETag: \"%s\"\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n"
		"Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n%s", o.etag, o.meta);
	if (partial)
		len += snprintf(fields + len, sizeof fields - (size_t)len, "Content-Range: bytes %lld-%lld/%lld\r\n",
			(long long)from, (long long)(from + n - 1), (long long)x.size);
	if (x.parts > 0 && sink_asks(r, "partNumber"))
		snprintf(fields + len, sizeof fields - (size_t)len, "x-amz-mp-parts-count: %u\r\n", x.parts);
	if (reply_head(c, partial ? "206 Partial Content" : "200 OK", fields, n) < 0)
		return -1;
	return head ? 0 : send_pattern(c, from, n);
}

/* ---- uploads in parts ---- */

static int
create(struct conn *c)
{
	static _Atomic unsigned long number;
	char id[64], body[256 + 6 * SINK_KEY_CAP];

	snprintf(id, sizeof id, "upload-%lu", ++number);
	store_put(id, 0, "", c->r.meta);
	snprintf(body, sizeof body, XML "<InitiateMultipartUploadResult" NS "><Bucket>runpod</Bucket><Key>%s</Key><UploadId>%s</UploadId>"
		"</InitiateMultipartUploadResult>", c->r.key, id);
	return sink_reply(c, "200 OK", "Content-Type: application/xml\r\n", body);
}

/* The 32 digits of the next <ETag> from *at on, as bytes. */
static int
next_etag(const char **at, unsigned char out[16])
{
	const char *p = strstr(*at, "<ETag>");
	unsigned byte;

	if (!p)
		return 0;
	p += 6;
	p += !strncmp(p, "&quot;", 6) ? 6 : !strncmp(p, "&#34;", 5) ? 5 : *p == '"';
	for (int i = 0; i < 16; i++) {
		if (sscanf(p + 2 * i, "%2x", &byte) != 1)
			return 0;
		out[i] = (unsigned char)byte;
	}
	*at = p;
	return 1;
}

static int
complete(struct conn *c, const char *upload)
{
	struct object o;
	char etag[SINK_ETAG_CAP], body[512 + 6 * SINK_KEY_CAP];
	unsigned char sum[16];
	const char *at = c->body;
	unsigned parts = 0;
	EVP_MD_CTX *x;

	if (!store_get(upload, &o))
		return missing(c);
	x = EVP_MD_CTX_new();
	EVP_DigestInit_ex(x, EVP_md5(), NULL);
	for (; next_etag(&at, sum); parts++)
		EVP_DigestUpdate(x, sum, sizeof sum);
	EVP_DigestFinal_ex(x, sum, NULL);
	EVP_MD_CTX_free(x);
	for (int i = 0; i < 16; i++)
		snprintf(etag + 2 * i, 3, "%02x", sum[i]);
	snprintf(etag + 32, sizeof etag - 32, "-%u", parts);
	store_put(c->r.key, o.size, etag, o.meta);
	store_remove(upload);
	snprintf(body, sizeof body, XML "<CompleteMultipartUploadResult" NS "><Bucket>runpod</Bucket><Key>%s</Key><ETag>&quot;%s&quot;</ETag>"
		"</CompleteMultipartUploadResult>", c->r.key, etag);
	return sink_reply(c, "200 OK", "Content-Type: application/xml\r\n", body);
}

/* Every key of the request comes back, unless it asks for silence. */
static int
delete_many(struct conn *c)
{
	char *answer = malloc(2 * SINK_BODY_MAX + 256), *to = answer;
	const char *p = c->body, *end;
	int rc;

	if (!answer)
		return -1;
	to += sprintf(to, XML "<DeleteResult" NS ">");
	while (!strstr(c->body, "<Quiet>true") && (p = strstr(p, "<Key>")) && (end = strstr(p, "</Key>"))) {
		to += sprintf(to, "<Deleted>%.*s</Key></Deleted>", (int)(end - p), p);
		p = end;
	}
	strcpy(to, "</DeleteResult>");
	rc = sink_reply(c, "200 OK", "Content-Type: application/xml\r\n", answer);
	free(answer);
	return rc;
}

static int
post(struct conn *c)
{
	char upload[128];

	sink_counts.posts++;
	if (sink_asks(&c->r, "delete"))
		return delete_many(c);
	if (sink_asks(&c->r, "uploads"))
		return create(c);
	return sink_query(&c->r, "uploadId", upload, sizeof upload) > 0 ? complete(c, upload) : missing(c);
}

/* ---- the bucket ---- */

static int
counts(struct conn *c)
{
	const struct sink_counts *k = &sink_counts;
	char text[1024];

	snprintf(text, sizeof text, "connections %lu\nresumed %lu\nrequests %lu\nputs %lu\ngets %lu\nheads %lu\nlists %lu\ndeletes %lu\nposts %lu\n"
		"bodies %lu\nreceived %lu\nsent %lu\n", k->connections, k->resumed, k->requests, k->puts, k->gets, k->heads, k->lists, k->deletes,
		k->posts, k->bodies, k->received, k->sent);
	return sink_reply(c, "200 OK", "", text);
}

static int
bucket(struct conn *c)
{
	if (sink_asks(&c->r, "uploads"))
		return sink_reply(c, "200 OK", "", XML "<ListMultipartUploadsResult" NS "><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
	if (sink_asks(&c->r, "location"))
		return sink_reply(c, "200 OK", "", XML "<LocationConstraint" NS ">auto</LocationConstraint>");
	if (sink_asks(&c->r, "versioning"))
		return sink_reply(c, "200 OK", "", XML "<VersioningConfiguration" NS "/>");
	return c->r.method[0] == 'G' ? sink_list(c) : sink_reply(c, "200 OK", "", "");
}

int
sink_answer(struct conn *c)
{
	struct request *r = &c->r;

	if (!strcmp(r->method, "POST"))
		return post(c);
	if (!*r->key)
		return bucket(c);
	if (!strcmp(r->key, "counts"))
		return counts(c);
	if (!strcmp(r->method, "PUT"))
		return put(c);
	if (!strcmp(r->method, "GET") && sink_asks(r, "uploadId"))
		return missing(c);
	if (!strcmp(r->method, "DELETE")) {
		sink_counts.deletes++;
		store_remove(r->key);
		return sink_reply(c, "204 No Content", "", "");
	}
	if (r->method[0] == 'G')
		sink_counts.gets++;
	else
		sink_counts.heads++;
	return get(c);
}
