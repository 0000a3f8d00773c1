#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "s3_call.h"
#include "sigv4.h"

enum {
	READ_MAX = 65536,              /* bytes of a body read at once for its checksum */
	AHEAD_MIN = 256 * 1024,        /* a smaller body is summed sooner than a thread is started */
};

/* The checksums that one request needs, from one reading of its body. */
struct sums {
	int want_crc32c, want_md5, want_sha256;
	uint32_t crc32c;
	unsigned char md5[HASH_MD5_LEN];
	unsigned char sha256[HASH_SHA256_LEN];
};

/* From offset from to the end of b, read through block, where what fits stands whole afterwards, even if it came in pieces. */
static int
sum_body(struct sums *s, uint64_t from, const struct http_body *b, unsigned char block[READ_MAX], struct err *e)
{
	struct hash_md5 md5;
	struct hash_sha256 sha256;
	ssize_t n;

	s->crc32c = 0;
	hash_md5_init(&md5);
	hash_sha256_init(&sha256);
	for (uint64_t off = from; off < b->len; off += (uint64_t)n) {
		unsigned char *p = block + (off - from) % READ_MAX;
		size_t room = (size_t)(block + READ_MAX - p), want = b->len - off < room ? (size_t)(b->len - off) : room;

		if ((n = b->read(b->arg, off, p, want, e)) < 0)
			return -1;
		if (n == 0)
			return fail(e, ERR_CHANGED, "the file became shorter while it was read");
		if (s->want_crc32c)
			s->crc32c = hash_crc32c(s->crc32c, p, (size_t)n);
		if (s->want_md5)
			hash_md5_update(&md5, p, (size_t)n);
		if (s->want_sha256)
			hash_sha256_update(&sha256, p, (size_t)n);
	}
	hash_md5_out(&md5, s->md5);
	hash_sha256_out(&sha256, s->sha256);
	return 0;
}

/* 1: it is the MD5; 0: it is another MD5; -1: it is no plain MD5 at all. */
static int
etag_is_md5(const char *etag, const unsigned char md5[HASH_MD5_LEN])
{
	unsigned char got[HASH_MD5_LEN];

	if (enc_unhex(etag, got, sizeof got) < 0)
		return -1;
	return !memcmp(got, md5, sizeof got);
}

struct put_state {
	const struct s3_put *put;
	struct s3_put_result *result;
	unsigned char *block;          /* READ_MAX bytes; after its reading all of a small body */
	struct sums sums;
	char crc32c[16], md5[32], sha256[2 * HASH_SHA256_LEN + 1];   /* as the fields carry them */
};

/* A server that does not know the field leaves it out of its answer; from then on it gets Content-MD5 instead. */
static int
prove_by_echo(struct s3 *s, struct put_state *p, const struct http_reply *rp, struct err *e)
{
	const char *echo = http_field(rp, "x-amz-checksum-crc32c");

	if (echo && !strcmp(echo, p->crc32c)) {
		p->result->proof = S3_PROOF_CRC32C;
		return 0;
	}
	if (echo)
		return fail(e, ERR_CORRUPT, "the server stored something else than was sent (CRC32C %.16s, not %s)",
			echo, p->crc32c);
	__atomic_store_n(&s->store->crc32c, 0, __ATOMIC_RELAXED);
	p->sums.want_md5 = 1;
	return sum_body(&p->sums, 0, &p->put->body, p->block, e);
}

static int
put_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct put_state *p = c->arg;
	char *etag = p->result->etag;

	s3_etag(etag, http_field(rp, "etag"));
	p->result->proof = S3_PROOF_NONE;
	if (p->sums.want_crc32c && (prove_by_echo(s, p, rp, e) < 0 || p->result->proof))
		return p->result->proof ? 0 : -1;
	/* Who answers 200 to everything is no store. */
	if (!*etag)
		return fail(e, ERR_CORRUPT, "the server's answer to PUT has no ETag: nothing proves that anything was stored: check R2_ENDPOINT");
	switch (etag_is_md5(etag, p->sums.md5)) {
	case 0:
		return fail(e, ERR_CORRUPT, "the server stored something else than was sent (its ETag is %s)", etag);
	case 1:
		p->result->proof = S3_PROOF_MD5;
		break;
	default:
		/* No MD5 for an ETag (encrypted buckets): the server compared the one in the request, or it did not. */
		p->result->proof = p->sums.want_crc32c ? S3_PROOF_NONE : S3_PROOF_MD5;
	}
	return 0;
}

/* Read the body for the checksums that this server and scheme want, while the connection is being opened. */
static int
put_sums(struct s3 *s, struct put_state *p, struct err *e)
{
	int tls = s->store->cfg->tls, crc = __atomic_load_n(&s->store->crc32c, __ATOMIC_RELAXED);
	struct buf c = BUF(p->crc32c), m = BUF(p->md5), h = BUF(p->sha256);
	unsigned char be[4];

	p->sums.want_sha256 = !tls;
	p->sums.want_crc32c = tls && crc;
	p->sums.want_md5 = !p->sums.want_crc32c;
	if (p->put->body.len >= AHEAD_MIN)
		s3_connect_ahead(s);
	if (sum_body(&p->sums, 0, &p->put->body, p->block, e) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		be[i] = (unsigned char)(p->sums.crc32c >> (24 - 8 * i));
	enc_base64(&c, be, sizeof be);
	enc_base64(&m, p->sums.md5, sizeof p->sums.md5);
	enc_hex(&h, p->sums.sha256, sizeof p->sums.sha256);
	return 0;
}

void
s3_call_object(struct s3_call *c, const struct s3_put *put, char names[S3_META_MAX][S3_META_NAME_CAP])
{
	s3_call_field(c, "content-type", put->content_type);
	s3_call_field(c, "x-amz-storage-class", put->storage_class);
	s3_call_field(c, "x-amz-meta-" S3_TAG, put->tag);
	c->cache_control = put->cache_control;
	for (size_t i = 0; i < put->nmeta && i < S3_META_MAX; i++) {
		snprintf(names[i], S3_META_NAME_CAP, "x-amz-meta-%s", put->meta[i].name);
		s3_call_field(c, names[i], put->meta[i].value);
	}
}

static void
put_fields(struct s3_call *c, const struct put_state *p, char names[S3_META_MAX][S3_META_NAME_CAP])
{
	/* One integrity field, never two: R2 refuses a request with both. Over http the signed hash is it. */
	if (p->sums.want_crc32c)
		s3_call_field(c, "x-amz-checksum-crc32c", p->crc32c);
	else if (!p->sums.want_sha256)
		s3_call_field(c, "content-md5", p->md5);
	if (!p->put->upload_id)
		s3_call_object(c, p->put, names);
}

static int
put_once(struct s3 *s, struct put_state *p, struct err *e)
{
	/* What one reading had whole is not read again. */
	struct http_body small = http_memory(p->block, p->put->body.len);
	char names[S3_META_MAX][S3_META_NAME_CAP], number[12], match[S3_QUOTED_CAP];
	struct pair query[] = {{"partNumber", number}, {"uploadId", p->put->upload_id}};
	struct s3_call c = {
		.method = "PUT", .key = p->put->key, .body = small.len > READ_MAX ? &p->put->body : &small, .is_write = !p->put->upload_id,
		.query = query, .nquery = p->put->upload_id ? 2 : 0,
		.if_none_match = p->put->if_absent ? "*" : NULL,
		.if_match = p->put->bare_match ? p->put->if_match : s3_quoted(match, p->put->if_match),
		.changed = p->put->changed, .changed_arg = p->put->changed_arg, .reply = put_reply, .arg = p,
	};
	int rc;

	snprintf(number, sizeof number, "%d", p->put->part_number);
	if (put_sums(s, p, e) < 0)
		return -1;
	c.payload = p->sums.want_sha256 ? p->sha256 : SIGV4_UNSIGNED;
	put_fields(&c, p, names);
	rc = s3_call(s, &c, e);
	p->result->attempts += c.attempts;
	return rc;
}

/* Older servers refuse the checksum field with 501, or 400 and a code that says nothing of the body. */
static int
refuses_crc32c(const struct err *e)
{
	return e->kind == ERR_HTTP && (e->status == 501 || (e->status == 400 &&
		(!*e->code || !strcmp(e->code, "InvalidRequest") || !strcmp(e->code, "InvalidArgument"))));
}

int
s3_put(struct s3 *s, const struct s3_put *put, struct s3_put_result *r, struct err *e)
{
	struct s3_put again = *put;
	unsigned char block[READ_MAX];
	struct put_state p = {.put = put, .result = r, .block = block};
	char etag[S3_ETAG_CAP];
	int rc;

	*r = (struct s3_put_result){0};
	rc = put_once(s, &p, e);
	if (rc < 0 && p.sums.want_crc32c && refuses_crc32c(e)) {
		__atomic_store_n(&s->store->crc32c, 0, __ATOMIC_RELAXED);
	} else if (rc < 0 || r->proof) {
		return rc;
	} else if (put->if_absent || put->if_match) {
		/* The object that is there now is that one. */
		memcpy(etag, r->etag, sizeof etag);
		again.if_absent = 0;
		again.if_match = etag;
		p.put = &again;
	}
	/* Once more with Content-MD5: what could not be proved is not called stored. */
	return put_once(s, &p, e);
}

int
s3_body_md5(const struct http_body *body, unsigned char md5[HASH_MD5_LEN], struct err *e)
{
	struct sums sums = {.want_md5 = 1};
	unsigned char block[READ_MAX];

	if (sum_body(&sums, 0, body, block, e) < 0)
		return -1;
	memcpy(md5, sums.md5, HASH_MD5_LEN);
	return 0;
}

void
s3_parts_text(struct buf *b, const struct hash_md5 *all, unsigned n)
{
	unsigned char md5[HASH_MD5_LEN];

	hash_md5_out(all, md5);
	enc_hex(b, md5, sizeof md5);
	buf_fmt(b, "-%u", n);
}

/* What s3_parts_etag makes of ETags, made of the bytes. */
static int
same_parts(const char *etag, const struct http_body *body, uint64_t part_size, struct err *e)
{
	char text[2 * HASH_MD5_LEN + 16];
	struct buf b = BUF(text);
	struct hash_md5 all;
	unsigned char block[READ_MAX];
	unsigned n = 0;

	hash_md5_init(&all);
	for (uint64_t from = 0; from < body->len; from += part_size, n++) {
		struct sums sums = {.want_md5 = 1};
		struct http_body part = *body;

		part.len = body->len - from < part_size ? body->len : from + part_size;
		if (sum_body(&sums, from, &part, block, e) < 0)
			return -1;
		hash_md5_update(&all, sums.md5, sizeof sums.md5);
	}
	s3_parts_text(&b, &all, n);
	return !strcmp(text, etag);
}

int
s3_same_content(const struct s3_object_info *o, const struct http_body *body, uint64_t part_size, struct err *e)
{
	const char *dash = strchr(o->etag, '-');
	unsigned long long n = dash ? strtoull(dash + 1, NULL, 10) : 0;
	unsigned char md5[HASH_MD5_LEN];

	if (o->size != body->len)
		return 0;
	if (dash && (n > S3_PARTS_MAX || n != (body->len + part_size - 1) / part_size))
		return 0;
	if (dash)
		return same_parts(o->etag, body, part_size, e);
	return s3_body_md5(body, md5, e) < 0 ? -1 : etag_is_md5(o->etag, md5) == 1;
}
