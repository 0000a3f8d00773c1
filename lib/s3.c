#include <stdio.h>
#include <string.h>
#include "s3_call.h"
#include "utc.h"

int
s3_store_open(struct s3_store *st, const struct config *cfg, struct err *e)
{
	*st = (struct s3_store){.cfg = cfg, .keys = PTHREAD_MUTEX_INITIALIZER, .crc32c = 1};
	if (!cfg->tls)
		return 0;
	st->trust = tls_trust_load(*cfg->ca_file ? cfg->ca_file : NULL, e);
	return st->trust ? 0 : -1;
}

void
s3_store_close(struct s3_store *st)
{
	tls_trust_free(st->trust);
	explicit_bzero(&st->session, sizeof st->session);
	st->trust = NULL;
}

int
s3_store_rekey(struct s3_store *st, struct config *cfg, const struct config *from)
{
	int other = strcmp(cfg->key_id, from->key_id) || strcmp(cfg->secret, from->secret) || strcmp(cfg->token, from->token);

	pthread_mutex_lock(&st->keys);
	memcpy(cfg->key_id, from->key_id, sizeof cfg->key_id);
	memcpy(cfg->secret, from->secret, sizeof cfg->secret);
	memcpy(cfg->token, from->token, sizeof cfg->token);
	pthread_mutex_unlock(&st->keys);
	return other;
}

void
s3_open(struct s3 *s, struct s3_store *store)
{
	const struct config *cfg = store->cfg;

	s->store = store;
	http_init(&s->http, &(struct http_server){
		.host = cfg->host, .port = cfg->port, .proxy = &cfg->proxy, .trust = store->trust,
		.session = &store->session, .timeout_ms = cfg->timeout_ms, .stop = &store->stop,
	});
}

void
s3_close(struct s3 *s)
{
	struct err ignored;

	s3_connect_join(s, &ignored);
	if (s->store)
		http_close(&s->http);
}

void
s3_describe(struct s3_object_info *o, const struct http_reply *rp)
{
	const char *type = http_field(rp, "content-type"), *modified = http_field(rp, "last-modified");
	const char *tag = http_field(rp, "x-amz-meta-" S3_TAG);

	o->size = rp->length < 0 ? 0 : (uint64_t)rp->length;
	o->modified = 0;
	if (modified)
		utc_parse_http(modified, &o->modified);
	s3_etag(o->etag, http_field(rp, "etag"));
	/* docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html, ETag */
	o->opaque = http_field(rp, "x-amz-server-side-encryption-customer-algorithm") ||
		http_field(rp, "x-amz-server-side-encryption-aws-kms-key-id");
	snprintf(o->content_type, sizeof o->content_type, "%s", type ? type : "");
	snprintf(o->tag, sizeof o->tag, "%s", tag ? tag : "");
}

struct head {
	struct s3_object_info *o;
	struct buf *meta;          /* or NULL */
	int *parts;                /* of one part: how many there are; or NULL */
};

static int
head_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	const char *count = http_field(rp, "x-amz-mp-parts-count");
	int n = count ? enc_number(count, strlen(count), S3_PARTS_MAX) : 0;
	struct head *h = c->arg;

	(void)s;
	s3_describe(h->o, rp);
	/* Apache httpd as a proxy takes "Content-Length: 0" out of the answer to a HEAD: then the ETag says it, the MD5 of nothing. */
	if (rp->length < 0 && strcmp(h->o->etag, "d41d8cd98f00b204e9800998ecf8427e"))
		return fail(e, ERR_PROTO, "HEAD: the server did not say how large the %s is", h->parts ? "part" : "object");
	if (h->parts)
		*h->parts = n > 0 ? n : 0;
	for (size_t i = 0; i < rp->nfields && h->meta; i++)
		if (!strncmp(rp->fields[i].name, "x-amz-meta-", 11))
			buf_fmt(h->meta, "%s: %s\n", rp->fields[i].name, rp->fields[i].value);
	return 0;
}

static int
head(struct s3 *s, const char *key, struct head *h, int bucket_too, struct err *e)
{
	struct s3_call c = {.method = "HEAD", .key = key, .coded = &h->o->coded, .bucket_too = bucket_too, .reply = head_reply, .arg = h};

	h->o->coded = 0;
	return s3_call(s, &c, e);
}

int
s3_head_meta(struct s3 *s, const char *key, struct s3_object_info *o, struct buf *meta, struct err *e)
{
	return head(s, key, &(struct head){o, meta, NULL}, 1, e);
}

int
s3_head(struct s3 *s, const char *key, struct s3_object_info *o, struct err *e)
{
	return head(s, key, &(struct head){o, NULL, NULL}, 0, e);
}

int
s3_head_part(struct s3 *s, const char *key, int number, struct s3_object_info *o, int *parts, struct err *e)
{
	char text[16];
	struct pair query = {"partNumber", text};
	struct s3_call c = {.method = "HEAD", .key = key, .query = &query, .nquery = 1, .coded = &o->coded, .reply = head_reply,
		.arg = &(struct head){o, NULL, parts}};

	snprintf(text, sizeof text, "%d", number);
	return s3_call(s, &c, e);
}
