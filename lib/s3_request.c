#include <stdio.h>
#include <string.h>
#include <time.h>
#include "enc.h"
#include "hash.h"
#include "path.h"
#include "s3_request.h"
#include "sigv4.h"

_Static_assert((int)S3_CALL_FIELDS + 4 <= (int)SIGV4_FIELDS_MAX, "what s3_sign adds, too, can be signed");

void
s3_call_text(const struct s3 *s, struct s3_call *c, struct s3_text *t, const char *p, size_t n)
{
	struct buf h = BUF(t->sha256);
	unsigned char sum[HASH_SHA256_LEN];

	t->body = http_memory(p, n);
	c->body = &t->body;
	c->payload = SIGV4_UNSIGNED;
	if (!s->store->cfg->tls) {
		hash_sha256(p, n, sum);
		enc_hex(&h, sum, sizeof sum);
		c->payload = t->sha256;
	}
	s3_call_field(c, "content-type", "application/xml");
}

void
s3_call_checked_text(const struct s3 *s, struct s3_call *c, struct s3_text *t, const char *p, size_t n)
{
	struct buf m = BUF(t->md5);
	unsigned char sum[HASH_MD5_LEN];
	struct hash_md5 md5;

	s3_call_text(s, c, t, p, n);
	hash_md5_init(&md5);
	hash_md5_update(&md5, p, n);
	hash_md5_out(&md5, sum);
	enc_base64(&m, sum, sizeof sum);
	s3_call_field(c, "content-md5", t->md5);
}

const char *
s3_call_bucket(const struct s3 *s, const struct s3_call *c)
{
	return c->bucket ? c->bucket : s->store->cfg->bucket;
}

struct s3_refusal
s3_call_refusal(const struct s3 *s, const struct s3_call *c, int status)
{
	struct s3_refusal r = {.status = status, .bucket = s3_call_bucket(s, c), .key = c->key};

	for (size_t i = 0; i < c->nquery; i++)
		r.of_upload |= !strcmp(c->query[i].name, "uploadId");
	return r;
}

void
s3_call_field(struct s3_call *c, const char *name, const char *value)
{
	if (value && c->nfields < S3_CALL_FIELDS)
		c->fields[c->nfields++] = (struct pair){name, value};
}

void
s3_etag(char out[S3_ETAG_CAP], const char *value)
{
	size_t n;

	if (value && !strncmp(value, "W/", 2))
		value += 2;
	n = value ? strlen(value) : 0;
	if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
		value++;
		n -= 2;
	}
	snprintf(out, S3_ETAG_CAP, "%.*s", (int)(n < S3_ETAG_CAP ? n : S3_ETAG_CAP - 1), value ? value : "");
}

const char *
s3_quoted(char out[S3_QUOTED_CAP], const char *etag)
{
	if (etag)
		snprintf(out, S3_QUOTED_CAP, "\"%s\"", etag);
	return etag ? out : NULL;
}

static void
add(struct s3_wire *w, const char *name, const char *value)
{
	if (value && *value)
		w->fields[w->nfields++] = (struct pair){name, value};
}

/* The header with the store's keys as they are now: others may take their place at any time. */
static int
authorize(struct s3_wire *w, struct s3_store *st, struct sigv4_request *r)
{
	const struct config *cfg = st->cfg;
	struct sigv4_keys k = {cfg->key_id, cfg->secret, NULL, cfg->region, "s3"};
	struct buf a = BUF(w->authorization);
	int rc;

	pthread_mutex_lock(&st->keys);
	strcpy(w->token, cfg->token);
	add(w, "x-amz-security-token", w->token);
	r->nfields = w->nfields;
	rc = sigv4_authorization(&a, &k, r);
	pthread_mutex_unlock(&st->keys);
	add(w, "authorization", w->authorization);
	return rc;
}

int
s3_sign(struct s3_wire *w, const struct s3 *s, const struct s3_call *c, struct err *e)
{
	const struct config *cfg = s->store->cfg;
	int64_t now = time(NULL) + __atomic_load_n(&s->store->skew_s, __ATOMIC_RELAXED);
	struct buf t = BUF(w->target);
	const char *payload = c->payload ? c->payload : SIGV4_EMPTY_SHA256;
	char path[PATH_KEY_MAX * 3 + CONFIG_BUCKET_CAP + 3];
	struct buf p = BUF(path);
	size_t query;

	buf_fmt(&p, "/%s", s3_call_bucket(s, c));
	if (*c->key) {
		buf_char(&p, '/');
		enc_path(&p, c->key);
	}
	buf_str(&t, path);
	if (c->nquery)
		buf_char(&t, '?');
	query = t.len;
	enc_query_pairs(&t, c->query, c->nquery);

	utc_amz(now, w->date);
	w->nfields = 0;
	add(w, "host", cfg->host_field);
	add(w, "x-amz-content-sha256", payload);
	add(w, "x-amz-date", w->date);
	for (size_t i = 0; i < c->nfields; i++)
		w->fields[w->nfields++] = c->fields[i];
	struct sigv4_request r = {c->method, path, w->target + query, w->fields, 0, payload, now};
	if (!buf_ok(&p) || !buf_ok(&t) || authorize(w, s->store, &r) < 0)
		return fail(e, ERR_USAGE, "the request is too long: shorten the key, the prefix or the metadata");
	/* Else Cloudflare's edge may compress a reply and drop its length (rclone/rclone#8137); but what is stored compressed it
	   decompresses for whoever does not accept that. */
	add(w, "accept-encoding", c->coded && *c->coded ? "gzip, br" : "identity");
	add(w, "if-none-match", c->if_none_match);
	add(w, "if-match", c->if_match);
	add(w, "range", c->range);
	add(w, "cache-control", c->cache_control);
	add(w, "user-agent", "r2/" R2_VERSION);
	return 0;
}

enum { KNOWN = 8 };          /* bytes of a secret that are enough to be one */
#define SIGNATURE "Signature="

/* 1 when text begins with these n bytes, percent-encoded or not. */
static int
begins(const char *text, const char *mark, size_t n)
{
	for (; n; n--, mark++, text++) {
		char c = *text;
		int byte = c == '%' ? enc_byte(text + 1) : -1;

		if (byte >= 0) {
			c = (char)byte;
			text += 2;
		}
		if (c != *mark)
			return 0;
	}
	return 1;
}

/* Stars for each word in text that begins with the n bytes at mark, behind `keep` of them. */
static void
mask(char *text, const char *mark, size_t n, size_t keep)
{
	while (*text) {
		if (!begins(text, mark, n)) {
			text++;
			continue;
		}
		text += keep;
		for (size_t i = keep; *text && (i < n || !strchr(" ,;&", *text)); i++)
			*text++ = '*';
	}
}

static void
keep_secrets(const struct config *c, char *text)
{
	if (strlen(c->secret) >= KNOWN)
		mask(text, c->secret, KNOWN, 0);
	if (strlen(c->token) >= KNOWN)
		mask(text, c->token, KNOWN, 0);
	mask(text, SIGNATURE, strlen(SIGNATURE), strlen(SIGNATURE));
}

void
s3_keep_secrets(struct s3_store *st, struct err *e)
{
	pthread_mutex_lock(&st->keys);
	keep_secrets(st->cfg, e->msg);
	keep_secrets(st->cfg, e->code);
	pthread_mutex_unlock(&st->keys);
}
