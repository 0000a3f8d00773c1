#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "s3_call.h"
#include "sigv4.h"

enum {
	PIECE_MAX = 32 * 1024,      /* what data gets at once: two TLS records. On the stack */
	PROGRESS_MIN = 64 * 1024,   /* fewer bytes before a connection is lost are no progress: the next attempt is one of --retries */
};

/* One s3_get, however many replies it takes. */
struct get {
	const struct s3_get *g;
	struct s3_object_info *o;
	int described;             /* o is filled, by the first reply */
	uint64_t at;               /* the next byte that data has not seen */
	char range[64], if_match[S3_QUOTED_CAP];
};

/* What is still wanted; nothing is said when that is the whole object. */
static void
ask(struct get *x, struct s3_call *c)
{
	const struct s3_get *g = x->g;

	c->range = x->at || g->len ? x->range : NULL;
	if (g->len)
		snprintf(x->range, sizeof x->range, "bytes=%" PRIu64 "-%" PRIu64, x->at, g->from + g->len - 1);
	else
		snprintf(x->range, sizeof x->range, "bytes=%" PRIu64 "-", x->at);
}

static void
pin(struct get *x, struct s3_call *c, const char *etag)
{
	c->if_match = s3_quoted(x->if_match, etag);
}

int
s3_replaced(struct err *e)
{
	fail(e, ERR_HTTP, "the object was replaced while it was being fetched");
	e->status = 412;
	return -1;
}

/* Up to 18 digits, which no object exceeds. Returns what follows them, NULL when there are none or more. */
static const char *
digits(const char *s, uint64_t *n)
{
	size_t len = strspn(s, "0123456789");

	if (len == 0 || len > 18)
		return NULL;
	*n = strtoull(s, NULL, 10);
	return s + len;
}

/* "bytes FIRST-LAST/SIZE" (RFC 9110 section 14.4): 0 or -1. A size of "*" is of no use here. */
static int
parse_content_range(const char *v, uint64_t *first, uint64_t *last, uint64_t *size)
{
	if (!v || strncmp(v, "bytes ", 6) || !(v = digits(v + 6, first)) || *v++ != '-' ||
	    !(v = digits(v, last)) || *v++ != '/' || !(v = digits(v, size)) || *v)
		return -1;
	return *first <= *last && *last < *size ? 0 : -1;
}

/* "rclone serve s3" says 200 of a part, too: with a Content-Range of as many bytes as come. */
static int
is_part(const struct http_reply *rp)
{
	uint64_t first, last, size;

	return parse_content_range(http_field(rp, "content-range"), &first, &last, &size) == 0 && rp->length >= 0 &&
		(uint64_t)rp->length == last - first + 1;
}

/* A reply with part of the object: exactly the part that was asked for, or as much of it as there is. */
static int
check_part(const struct get *x, const struct http_reply *rp, uint64_t *size, uint64_t *end, struct err *e)
{
	const char *v = http_field(rp, "content-range");
	uint64_t first, last, want;

	if (parse_content_range(v, &first, &last, size) < 0)
		return fail(e, ERR_PROTO, "GET: the server sent a part without saying properly which (Content-Range: %.60s)",
			v ? v : "none");
	want = x->g->len && x->g->from + x->g->len < *size ? x->g->from + x->g->len : *size;
	*end = last + 1;
	if (first != x->at || *end != want || (rp->length >= 0 && (uint64_t)rp->length != *end - first))
		return fail(e, ERR_PROTO, "GET: the server sent another part (Content-Range: %.60s) than was asked for (%s)", v,
			x->range);
	return 0;
}

/* Where the body of this reply ends, and the whole object's size; UINT64_MAX for what only the body's end will tell. */
static int
check_reply(const struct get *x, const struct s3_call *c, const struct http_reply *rp, uint64_t *size, uint64_t *end,
	struct err *e)
{
	*size = *end = rp->length < 0 ? UINT64_MAX : (uint64_t)rp->length;
	if (c->range && (rp->status == 206 || (rp->status == 200 && is_part(rp))))
		return check_part(x, rp, size, end, e);
	if (rp->status != 200)
		return fail(e, ERR_PROTO, "GET: the server answered %d", rp->status);
	/* The whole in place of its beginning is allowed, where that is the same; also when nothing was left to ask for a part of (416). */
	if ((c->range && x->at) || (x->g->len && *size > x->g->len))
		return fail(e, ERR_PROTO, "GET: the server ignores Range: it sent the whole object instead of %s", x->range);
	return 0;
}

/* Bytes in p, fewer than n at the body's end or when the connection is lost (*lost). */
static size_t
fill(struct s3 *s, char *p, size_t n, int *lost, struct err *e)
{
	size_t len = 0;
	ssize_t got = 1;

	while (len < n && (got = http_read(&s->http, p + len, n - len, e)) > 0) {
		len += (size_t)got;
		if (s->store->moved)
			s->store->moved(s->store->arg, (size_t)got);
	}
	*lost = got < 0;
	return len;
}

static int
deliver(struct s3 *s, struct get *x, uint64_t end, struct err *e)
{
	char piece[PIECE_MAX], *room = x->g->room ? x->g->room : piece;
	size_t most = x->g->room ? x->g->room_size : sizeof piece, want, n = 0;
	int lost = 0;

	do {
		want = end - x->at < most ? (size_t)(end - x->at) : most;
		n = want ? fill(s, room, want, &lost, e) : 0;
		if (s3_stopped(s->store, e))
			return -1;
		if (n && x->g->data(x->g->arg, room, n, e))
			return -1;
		x->at += n;
	} while (n && n == want && !lost);
	if (lost)
		return -1;
	return end != UINT64_MAX && x->at < end ? fail(e, ERR_NET, "GET: the body ended %" PRIu64 " bytes early", end - x->at) : 0;
}

static int
get_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct get *x = c->arg;
	struct s3_object_info o = {0};
	uint64_t end, before;
	int rc;

	s3_describe(&o, rp);
	if (check_reply(x, c, rp, &o.size, &end, e) < 0)
		return -1;
	/* A server that does not know If-Match would let two versions mix. */
	if (x->g->if_match && strcmp(o.etag, x->g->if_match))
		return s3_replaced(e);
	if (x->described && ((x->o->size != UINT64_MAX && o.size != x->o->size) || strcmp(o.etag, x->o->etag)))
		return s3_replaced(e);
	o.coded = *c->coded;
	*x->o = o;
	x->described = 1;
	if (!c->if_match && *o.etag)
		pin(x, c, o.etag);
	before = x->at;
	if ((rc = deliver(s, x, end, e)) < 0) {
		c->progressed = x->at - before >= PROGRESS_MIN;
		ask(x, c);
	} else if (end == UINT64_MAX) {
		x->o->size = x->at;
	}
	return rc;
}

int
s3_get(struct s3 *s, const struct s3_get *g, struct s3_object_info *o, struct err *e)
{
	struct get x = {.g = g, .o = o, .at = g->from};
	int coded = g->coded, rc;
	struct s3_call c = {.method = "GET", .key = g->key, .coded = &coded, .reply = get_reply, .arg = &x};

	pin(&x, &c, g->if_match);
	ask(&x, &c);
	rc = s3_call(s, &c, e);
	/* The first byte of an empty object is not there to be asked for. */
	if (rc < 0 && e->status == 416 && !x.at && c.range) {
		c.range = NULL;
		rc = s3_call(s, &c, e);
	}
	if (g->attempts)
		*g->attempts += c.attempts;
	return rc < 0 && e->status == 412 ? s3_replaced(e) : rc;
}

int
s3_presign(const struct config *cfg, const char *key, unsigned seconds, int64_t now, struct buf *url, struct err *e)
{
	struct sigv4_keys k = {cfg->key_id, cfg->secret, *cfg->token ? cfg->token : NULL, cfg->region, "s3"};
	struct pair host = {"host", cfg->host_field};
	char path[PATH_KEY_MAX * 3 + CONFIG_BUCKET_CAP + 3];
	struct buf p = BUF(path);
	struct sigv4_request r = {.method = "GET", .path = path, .fields = &host, .nfields = 1,
		.payload = SIGV4_UNSIGNED, .time = now};

	buf_fmt(&p, "/%s/", cfg->bucket);
	enc_path(&p, key);
	buf_fmt(url, "%s://%s%s?", cfg->tls ? "https" : "http", cfg->host_field, path);
	if (!buf_ok(&p) || !buf_ok(url) || sigv4_presign(url, &k, &r, seconds) < 0)
		return fail(e, ERR_USAGE, "no URL can be made: it holds for 1 to 604800 seconds, and the key has at most %d bytes",
			PATH_KEY_MAX);
	return 0;
}
