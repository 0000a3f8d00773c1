#include <string.h>
#include "hash.h"
#include "sigv4.h"
#include "utc.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

enum {
	SCOPE_CAP = 256,      /* "20151229/auto/s3/aws4_request" */
	EXPIRES_MAX = 604800, /* seven days; AWS and R2 refuse more */
};

/* By name; fields of one name stay in the order given, for their values are joined in it. Too many: what
   fits, for sigv4_sign has refused them already. */
static size_t
sort_fields(const struct sigv4_request *r, const struct pair *sorted[SIGV4_FIELDS_MAX])
{
	size_t i, n;

	for (n = 0; n < r->nfields && n < SIGV4_FIELDS_MAX; n++) {
		for (i = n; i > 0 && strcmp(sorted[i - 1]->name, r->fields[n].name) > 0; i--)
			sorted[i] = sorted[i - 1];
		sorted[i] = &r->fields[n];
	}
	return n;
}

static int
same_name(const struct pair *const *sorted, size_t i)
{
	return i > 0 && !strcmp(sorted[i]->name, sorted[i - 1]->name);
}

static void
signed_names(struct buf *b, const struct pair *const *sorted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (same_name(sorted, i))
			continue;
		if (i > 0)
			buf_char(b, ';');
		buf_str(b, sorted[i]->name);
	}
}

/* Without blanks at the ends, one space for each run of them inside. */
static void
folded(struct buf *b, const char *value)
{
	size_t n;

	for (value += strspn(value, " \t"); *value; value += strspn(value, " \t")) {
		n = strcspn(value, " \t");
		buf_put(b, value, n);
		value += n;
		if (value[strspn(value, " \t")])
			buf_char(b, ' ');
	}
}

static void
canonical_fields(struct buf *b, const struct pair *const *sorted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (same_name(sorted, i)) {
			buf_char(b, ',');
		} else {
			if (i > 0)
				buf_char(b, '\n');
			buf_str(b, sorted[i]->name);
			buf_char(b, ':');
		}
		folded(b, sorted[i]->value);
	}
	if (n)
		buf_char(b, '\n');
}

void
sigv4_canonical(struct buf *b, const struct sigv4_request *r)
{
	const struct pair *sorted[SIGV4_FIELDS_MAX];
	size_t n = sort_fields(r, sorted);

	buf_fmt(b, "%s\n%s\n%s\n", r->method, r->path, r->query);
	canonical_fields(b, sorted, n);
	buf_char(b, '\n');
	signed_names(b, sorted, n);
	buf_char(b, '\n');
	buf_str(b, r->payload);
}

/* What the signing key is good for: one day, one region, one service. */
static void
put_scope(struct buf *b, const struct sigv4_keys *k, int64_t time)
{
	char stamp[UTC_AMZ_CAP];

	utc_amz(time, stamp);
	buf_put(b, stamp, 8);
	buf_fmt(b, "/%s/%s/aws4_request", k->region, k->service);
}

void
sigv4_string_to_sign(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r,
	const char *canonical, size_t n)
{
	unsigned char digest[HASH_SHA256_LEN];
	char stamp[UTC_AMZ_CAP];

	utc_amz(r->time, stamp);
	hash_sha256(canonical, n, digest);
	buf_fmt(b, ALGORITHM "\n%s\n", stamp);
	put_scope(b, k, r->time);
	buf_char(b, '\n');
	enc_hex(b, digest, sizeof digest);
}

void
sigv4_signing_key(const struct sigv4_keys *k, int64_t time, unsigned char out[32])
{
	char first[sizeof "AWS4" + SIGV4_SECRET_MAX], stamp[UTC_AMZ_CAP];
	struct buf b = BUF(first);

	utc_amz(time, stamp);
	buf_str(&b, "AWS4");
	buf_str(&b, k->secret);
	hash_hmac_sha256(b.p, b.len, stamp, 8, out);
	hash_hmac_sha256(out, 32, k->region, strlen(k->region), out);
	hash_hmac_sha256(out, 32, k->service, strlen(k->service), out);
	hash_hmac_sha256(out, 32, "aws4_request", 12, out);
	explicit_bzero(first, sizeof first);
}

int
sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *r, char hex[65])
{
	char text[SIGV4_TEXT_CAP], to_sign[SCOPE_CAP + 128];
	unsigned char key[32], mac[32];
	struct buf canonical = BUF(text), string = BUF(to_sign), out = buf_over(hex, 65);
	int ok;

	hex[0] = '\0';
	if (r->nfields > SIGV4_FIELDS_MAX || strlen(k->secret) > SIGV4_SECRET_MAX)
		return -1;
	sigv4_canonical(&canonical, r);
	sigv4_string_to_sign(&string, k, r, canonical.p, canonical.len);
	ok = buf_ok(&canonical) && buf_ok(&string);
	if (ok) {
		sigv4_signing_key(k, r->time, key);
		hash_hmac_sha256(key, sizeof key, string.p, string.len, mac);
		enc_hex(&out, mac, sizeof mac);
		explicit_bzero(key, sizeof key);
	}
	explicit_bzero(text, canonical.len);  /* may hold a session token */
	return ok ? 0 : -1;
}

int
sigv4_authorization(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r)
{
	const struct pair *sorted[SIGV4_FIELDS_MAX];
	char signature[65];

	if (sigv4_sign(k, r, signature) < 0)
		return -1;
	buf_fmt(b, ALGORITHM " Credential=%s/", k->id);
	put_scope(b, k, r->time);
	buf_str(b, ", SignedHeaders=");
	signed_names(b, sorted, sort_fields(r, sorted));
	buf_fmt(b, ", Signature=%s", signature);
	return buf_ok(b) ? 0 : -1;
}

static int
presign_query(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r, unsigned expires)
{
	const struct pair *sorted[SIGV4_FIELDS_MAX];
	char credential[SCOPE_CAP + 256], names[1024], stamp[UTC_AMZ_CAP], seconds[16];
	struct buf c = BUF(credential), s = BUF(names), x = BUF(seconds);
	const struct pair query[] = {{"X-Amz-Algorithm", ALGORITHM}, {"X-Amz-Credential", credential}, {"X-Amz-Date", stamp},
		{"X-Amz-Expires", seconds}, {"X-Amz-SignedHeaders", names}, {"X-Amz-Security-Token", k->token}};

	buf_fmt(&c, "%s/", k->id);
	put_scope(&c, k, r->time);
	signed_names(&s, sorted, sort_fields(r, sorted));
	utc_amz(r->time, stamp);
	buf_fmt(&x, "%u", expires);
	enc_query_pairs(b, query, k->token && *k->token ? 6 : 5);
	return buf_ok(&c) && buf_ok(&s) && buf_ok(b) ? 0 : -1;
}

int
sigv4_presign(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r, unsigned expires)
{
	struct sigv4_request full = *r;
	char signature[65];

	full.query = b->p + b->len;
	if (expires < 1 || expires > EXPIRES_MAX || presign_query(b, k, r, expires) < 0)
		return -1;
	if (sigv4_sign(k, &full, signature) < 0)
		return -1;
	buf_fmt(b, "&X-Amz-Signature=%s", signature);
	return buf_ok(b) ? 0 : -1;
}
