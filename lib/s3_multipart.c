#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "hash.h"
#include "s3_call.h"
#include "xml.h"

enum { PART_XML_MAX = 256 };   /* bytes of one <Part> in the body of Complete */

/* The one element of a reply that is wanted. */
struct wanted {
	const char *path;
	char *out;
	size_t cap;
};

static int
wanted_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct wanted *w = arg;

	if (strcmp(path, w->path))
		return 0;
	if (len >= w->cap)
		return fail(e, ERR_PROTO, "the server's %s is too long", path);
	memcpy(w->out, text, len + 1);
	return 0;
}

static int
create_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	char *id = c->arg;
	struct wanted w = {.path = "UploadId", .out = id, .cap = S3_UPLOAD_ID_CAP};
	struct xml x = {.element = wanted_element, .arg = &w};

	(void)rp;
	*id = '\0';
	if (s3_read_xml(s, c, &x, e) < 0)
		return -1;
	return *id ? 0 : fail(e, ERR_PROTO, "the server began a multipart upload without naming it");
}

int
s3_create(struct s3 *s, const struct s3_put *put, char upload_id[S3_UPLOAD_ID_CAP], struct err *e)
{
	static const struct pair query[] = {{"uploads", ""}};
	char names[S3_META_MAX][S3_META_NAME_CAP];
	struct s3_call c = {
		.method = "POST", .key = put->key, .query = query, .nquery = 1, .reply = create_reply, .arg = upload_id,
	};

	s3_call_object(&c, put, names);
	return s3_call(s, &c, e);
}

void
s3_parts_etag(const struct s3_part *parts, int n, char etag[S3_ETAG_CAP])
{
	unsigned char md5[HASH_MD5_LEN];
	struct buf b = buf_over(etag, S3_ETAG_CAP);
	struct hash_md5 h;

	hash_md5_init(&h);
	for (int i = 0; i < n; i++) {
		if (enc_unhex(parts[i].etag, md5, sizeof md5) < 0)
			return;
		hash_md5_update(&h, md5, sizeof md5);
	}
	s3_parts_text(&b, &h, (unsigned)n);
}

static char *
complete_body(const struct s3_complete *rq, size_t *len)
{
	size_t cap = (size_t)rq->nparts * PART_XML_MAX + 128;
	struct buf b = {malloc(cap), 0, cap, 0};

	if (!b.p)
		return NULL;
	buf_reset(&b);
	s3_xml_begin(&b, "CompleteMultipartUpload");
	for (int i = 0; i < rq->nparts; i++) {
		buf_fmt(&b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;", rq->parts[i].number);
		enc_xml(&b, rq->parts[i].etag);
		buf_str(&b, "&quot;</ETag></Part>");
	}
	buf_str(&b, "</CompleteMultipartUpload>");
	*len = b.len;
	return b.p;
}

/* Complete may take minutes: the server sends 200 at once, spaces, and at the end perhaps <Error>
   (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html). */
static int
complete_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	char etag[S3_ETAG_CAP] = "";
	struct wanted w = {.path = "ETag", .out = etag, .cap = sizeof etag};
	struct xml x = {.element = wanted_element, .arg = &w};

	(void)rp;
	/* Whatever else has a status of 200 says nothing of the object. */
	if (s3_read_xml(s, c, &x, e) < 0 || s3_xml_root(&x, "CompleteMultipartUploadResult", e) < 0)
		return -1;
	s3_etag(c->arg, etag);
	return 0;
}

int
s3_complete(struct s3 *s, const struct s3_complete *rq, char etag[S3_ETAG_CAP], struct err *e)
{
	const struct pair query[] = {{"uploadId", rq->upload_id}};
	char match[S3_QUOTED_CAP];
	struct s3_call c = {
		.method = "POST", .key = rq->key, .query = query, .nquery = 1, .is_write = 1,
		.if_none_match = rq->if_absent ? "*" : NULL,
		.if_match = rq->bare_match ? rq->if_match : s3_quoted(match, rq->if_match),
		.changed = rq->changed, .changed_arg = rq->changed_arg, .reply = complete_reply, .arg = etag,
	};
	struct s3_text text;
	size_t len;
	char *p = complete_body(rq, &len);
	int rc;

	if (!p)
		return fail_memory(e);
	s3_call_text(s, &c, &text, p, len);
	rc = s3_call(s, &c, e);
	free(p);
	return rc;
}

int
s3_abort(struct s3 *s, const char *bucket, const char *key, const char *upload_id, struct err *e)
{
	const struct pair query[] = {{"uploadId", upload_id}};
	struct s3_call c = {.method = "DELETE", .bucket = bucket, .key = key, .query = query, .nquery = 1, .last_word = 1};

	if (s3_call(s, &c, e) == 0 || e->status == 404)
		return 0;
	return -1;
}

struct parts_page {
	int (*part)(void *arg, const struct s3_part *p, struct err *e);
	void *arg;
	struct s3_part now;
	int last, truncated, marker;
};

static int
parts_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct parts_page *pg = arg;

	(void)len;
	if (!strcmp(path, "Part/PartNumber"))
		pg->now.number = (int)strtol(text, NULL, 10);
	else if (!strcmp(path, "Part/Size"))
		pg->now.size = strtoull(text, NULL, 10);
	else if (!strcmp(path, "Part/ETag"))
		s3_etag(pg->now.etag, text);
	else if (!strcmp(path, "IsTruncated"))
		pg->truncated = s3_xml_true(text);
	else if (!strcmp(path, "NextPartNumberMarker"))
		pg->marker = (int)strtol(text, NULL, 10);
	else if (!strcmp(path, "Part")) {
		struct s3_part p = pg->now;

		pg->now = (struct s3_part){0};
		/* A page that is asked for again reports nothing twice. */
		if (p.number <= pg->last)
			return 0;
		pg->last = p.number;
		return pg->part(pg->arg, &p, e);
	}
	return 0;
}

static int
parts_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct parts_page *pg = c->arg;
	struct xml x = {.element = parts_element, .arg = pg};

	(void)rp;
	pg->truncated = pg->marker = 0;
	pg->now = (struct s3_part){0};
	return s3_read_xml(s, c, &x, e);
}

int
s3_list_parts(struct s3 *s, const char *key, const char *upload_id,
	int (*part)(void *arg, const struct s3_part *p, struct err *e), void *arg, struct err *e)
{
	struct parts_page pg = {.part = part, .arg = arg};
	char marker[16];
	int before = 0;

	do {
		const struct pair query[] = {{"uploadId", upload_id}, {"part-number-marker", marker}};
		struct s3_call c = {
			.method = "GET", .key = key, .query = query, .nquery = before ? 2 : 1, .reply = parts_reply, .arg = &pg,
		};

		snprintf(marker, sizeof marker, "%d", before);
		if (s3_call(s, &c, e) < 0)
			return -1;
		if (pg.truncated && pg.marker <= before)
			return fail(e, ERR_PROTO, "list parts: the server sends the same page again and again");
		before = pg.marker;
	} while (pg.truncated);
	return 0;
}
