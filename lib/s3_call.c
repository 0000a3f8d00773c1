#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "hash.h"
#include "path.h"
#include "retry.h"
#include "s3_call.h"
#include "s3_error.h"
#include "sigv4.h"
#include "utc.h"
#include "xml.h"

enum {
	TARGET_CAP = 16384,         /* R2 takes URLs of 16 KiB */
	AUTH_CAP = 2048,
	REFUSAL_BODY_MAX = 65536,   /* an <Error> is a few hundred bytes; an HTML page of a proxy may be long */
	SKEW_WORTH_S = 60,
	OUTAGE_LOOK_MS = 2000,      /* how often, about, an unreachable store is tried */
};

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static int
pause_ms(const struct s3_store *st, int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	if (st->pause)
		return st->pause(st->arg, ms);
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return 0;
}

int
s3_stopped(const struct s3_store *st, struct err *e)
{
	return __atomic_load_n(&st->stop, __ATOMIC_RELAXED) && fail(e, ERR_STOPPED, "stopped") < 0;
}

static uint32_t
random32(void)
{
	uint32_t r = 0;

	/* Jitter only: an early boot without entropy may leave 0. */
	if (getrandom(&r, sizeof r, GRND_NONBLOCK) < 0)
		return 0;
	return r;
}

static void *
connect_ahead(void *arg)
{
	struct s3 *s = arg;

	s->ahead_rc = http_connect(&s->http, &s->ahead_err);
	return NULL;
}

void
s3_connect_ahead(struct s3 *s)
{
	if (!s->ahead_running && !s->http.open)
		s->ahead_running = !pthread_create(&s->ahead, NULL, connect_ahead, s);
}

int
s3_connect_join(struct s3 *s, struct err *e)
{
	if (!s->ahead_running)
		return 0;
	pthread_join(s->ahead, NULL);
	s->ahead_running = 0;
	if (s->ahead_rc < 0)
		*e = s->ahead_err;
	return s->ahead_rc;
}

static ssize_t
read_text(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	(void)e;
	memcpy(p, (const char *)arg + off, n);
	return (ssize_t)n;
}

void
s3_call_text(const struct s3 *s, struct s3_call *c, struct s3_text *t, const char *p, size_t n)
{
	struct buf m = BUF(t->md5), h = BUF(t->sha256);
	unsigned char sum[HASH_SHA256_LEN];
	struct hash_md5 md5;

	t->body = (struct http_body){n, read_text, (void *)(uintptr_t)p};
	c->body = &t->body;
	c->payload = SIGV4_UNSIGNED;
	hash_md5_init(&md5);
	hash_md5_update(&md5, p, n);
	hash_md5_out(&md5, sum);
	enc_base64(&m, sum, HASH_MD5_LEN);
	if (!s->store->cfg->tls) {
		hash_sha256(p, n, sum);
		enc_hex(&h, sum, sizeof sum);
		c->payload = t->sha256;
	}
	s3_call_field(c, "content-type", "application/xml");
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

/* Retry-After is seconds or an HTTP date (RFC 9110 section 10.2.3); nonsense counts as not said. */
static int
retry_after(const struct http_reply *rp)
{
	const char *v = http_field(rp, "retry-after");
	int64_t t;

	if (!v)
		return 0;
	if (*v && strspn(v, "0123456789") == strlen(v))
		return strlen(v) > 6 ? RETRY_AFTER_MAX_S : (int)strtol(v, NULL, 10);
	if (utc_parse_http(v, &t) < 0 || (t -= time(NULL)) <= 0)
		return 0;
	return t > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)t;
}

static void
keep_field(char *dst, size_t cap, const struct http_reply *rp, const char *name)
{
	struct buf b = {dst, 0, cap, 0};
	const char *v = http_field(rp, name);

	if (v)
		enc_printable(&b, v, strlen(v));
}

/* What the server says of its refusal; a body that is no S3 error (HTML of a proxy) is passed over. */
static int
refused(struct s3 *s, const struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct s3_error x = {0};
	struct xml xml = {.element = s3_error_element, .arg = &x};
	struct s3_refusal r = s3_call_refusal(s, c, rp->status);
	struct err ignored;
	char part[2048];
	size_t total = 0;
	ssize_t n = 0;

	while (rp->has_body && total < REFUSAL_BODY_MAX && (n = http_read(&s->http, part, sizeof part, &ignored)) > 0) {
		if (xml_feed(&xml, part, (size_t)n, &ignored) < 0)
			break;
		total += (size_t)n;
	}
	if (!*x.request_id)
		keep_field(x.request_id, sizeof x.request_id, rp, "x-amz-request-id");
	if (!*x.request_id)
		keep_field(x.request_id, sizeof x.request_id, rp, "cf-ray");
	e->retry_after_s = retry_after(rp);
	r.location = http_field(rp, "location");
	return s3_refused(e, &r, &x);
}

static void
read_clock(struct s3_store *st, const struct http_reply *rp)
{
	const char *date = http_field(rp, "date");
	int64_t t;

	if (date && utc_parse_http(date, &t) == 0)
		__atomic_store_n(&st->ahead_s, t - time(NULL), __ATOMIC_RELAXED);
}

/* The server's clock is the one that counts: 1 when ours was corrected by its Date, so that a new signature may pass. */
static int
correct_clock(struct s3_store *st)
{
	int64_t skew = __atomic_load_n(&st->ahead_s, __ATOMIC_RELAXED), old = __atomic_load_n(&st->skew_s, __ATOMIC_RELAXED);

	if (skew - old < SKEW_WORTH_S && old - skew < SKEW_WORTH_S)
		return 0;
	__atomic_store_n(&st->skew_s, skew, __ATOMIC_RELAXED);
	return 1;
}

struct wire {
	char target[TARGET_CAP];
	char authorization[AUTH_CAP];
	char token[sizeof ((struct config *)0)->token];
	char date[UTC_AMZ_CAP];
	struct pair fields[S3_CALL_FIELDS + 10];
	size_t nfields;
};

static void
add(struct wire *w, const char *name, const char *value)
{
	if (value && *value)
		w->fields[w->nfields++] = (struct pair){name, value};
}

/* The header with the store's keys as they are now: others may take their place at any time. */
static int
authorize(struct wire *w, struct s3_store *st, struct sigv4_request *r)
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

/* Path and query are encoded once; what is signed is what is sent. */
static int
sign(struct wire *w, const struct s3 *s, const struct s3_call *c, struct err *e)
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
		enc_path(&p, c->key, strlen(c->key));
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

/* The body as it goes out: each piece passes the store's hook on its way. */
struct outgoing {
	const struct s3_store *store;
	const struct http_body *body;
	int whole;
};

static ssize_t
read_outgoing(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	const struct outgoing *o = arg;
	ssize_t got = !o->whole && s3_stopped(o->store, e) ? -1 : o->body->read(o->body->arg, off, p, n, e);

	if (got > 0 && o->store->moved)
		o->store->moved(o->store->arg, (size_t)got);
	return got;
}

static int
attempt(struct s3 *s, struct s3_call *c, struct http_reply *rp, struct err *e)
{
	struct wire w;
	struct outgoing out = {s->store, c->body, c->whole};
	struct http_body body = {c->body ? c->body->len : 0, read_outgoing, &out};
	struct http_request rq = {.method = c->method, .target = w.target, .fields = w.fields, .body = c->body ? &body : NULL};
	int rc;

	rp->status = 0;
	rp->resent = 0;
	if (s3_connect_join(s, e) < 0 || sign(&w, s, c, e) < 0)
		return -1;
	s->http.server.stop = c->last_word || c->whole ? NULL : &s->store->stop;
	rq.nfields = w.nfields;
	c->attempts++;
	rc = http_send(&s->http, &rq, rp, e);
	explicit_bzero(w.authorization, sizeof w.authorization);
	explicit_bzero(w.token, sizeof w.token);
	if (rc < 0)
		return -1;
	c->attempts += rp->resent;
	__atomic_store_n(&s->store->answered, 1, __ATOMIC_RELAXED);
	read_clock(s->store, rp);
	if (rp->status / 100 == 2 && rp->length < 0 && c->coded && !*c->coded) {
		*c->coded = 1;
		http_finish(&s->http);
		return attempt(s, c, rp, e);
	}
	if (rp->status / 100 == 2)
		return c->reply ? c->reply(s, c, rp, e) : 0;
	return refused(s, c, rp, e);
}

enum { KNOWN = 8 };          /* bytes of a secret that are enough to be one */
#define SIGNATURE "Signature="

/* Stars for each word in text that begins with the n bytes at mark, behind `keep` of them. */
static void
mask(char *text, const char *mark, size_t n, size_t keep)
{
	while (*text) {
		if (strncmp(text, mark, n)) {
			text++;
			continue;
		}
		for (text += keep; *text && !strchr(" ,;&", *text); text++)
			*text = '*';
	}
}

/* A server that repeats the request in its refusal, as some do with what was signed, has us tell no secret. */
static void
keep_secrets(const struct config *c, char *text)
{
	if (strlen(c->secret) >= KNOWN)
		mask(text, c->secret, KNOWN, 0);
	if (strlen(c->token) >= KNOWN)
		mask(text, c->token, KNOWN, 0);
	mask(text, SIGNATURE, strlen(SIGNATURE), strlen(SIGNATURE));
}

/* What one call has tried so far. */
struct tries {
	int n, clock;
	long start_ms;
	long lost_ms;     /* since when there has been no answer, 0: not so far */
};

static void
report(const struct s3 *s, const struct s3_call *c, struct s3_attempt *a, const struct err *why)
{
	if (!s->store->observe)
		return;
	a->method = c->method;
	a->bucket = s3_call_bucket(s, c);
	a->key = c->key;
	a->of = s->store->cfg->retries;
	a->why = why;
	s->store->observe(s->store->arg, a);
}

/* A store that has answered before and cannot be reached now is an outage, not a mistake in the configuration: it is waited out
   as long as a stalled connection would be. */
static int
wait_out(const struct s3_store *st, const struct err *e, long since_ms)
{
	int lost = e->kind == ERR_NET || e->kind == ERR_CONNECT || e->kind == ERR_NAME;

	if (!lost || !__atomic_load_n(&st->answered, __ATOMIC_RELAXED) || now_ms() - since_ms >= st->cfg->timeout_ms)
		return -1;
	return OUTAGE_LOOK_MS / 2 + (int)(random32() % OUTAGE_LOOK_MS);
}

/* Milliseconds until the next attempt, -1 when this was the last. */
static int
next_wait(struct s3 *s, const struct s3_call *c, struct tries *t, struct err *e)
{
	int wait;

	if (c->progressed) {
		t->n = 1;
		t->lost_ms = 0;
	}
	/* The refusal of a HEAD has no body that says why. */
	if (!t->clock && (!strcmp(e->code, "RequestTimeTooSkewed") || (e->status == 403 && !strcmp(c->method, "HEAD"))) &&
	    correct_clock(s->store)) {
		t->clock = 1;
		wait = 0;
	} else {
		if (e->kind == ERR_HTTP || !t->lost_ms)
			t->lost_ms = now_ms();
		wait = retry_wait_ms(e, t->n + 1, s->store->cfg->retries, c->is_write, random32());
		if (wait < 0 && retry_worthwhile(e))
			wait = wait_out(s->store, e, t->lost_ms);
	}
	if (wait >= 0 && c->changed && c->changed(c->changed_arg))
		return fail(e, ERR_CHANGED, "the file changed while it was being sent");
	return wait;
}

/* 1: go ahead; 0: go ahead, but outside the brake, once; -1: stopped. */
static int
admitted(const struct s3_store *st, const struct s3_call *c, struct err *e)
{
	if (!s3_stopped(st, e) && (!st->admit || !st->admit(st->arg)))
		return 1;
	return c->last_word ? 0 : fail(e, ERR_STOPPED, "stopped");
}

int
s3_call(struct s3 *s, struct s3_call *c, struct err *e)
{
	struct tries t = {0};

	for (t.n = 1;; t.n++) {
		struct http_reply rp;
		int rc, wait, go = admitted(s->store, c, e);

		if (go < 0)
			return -1;
		t.start_ms = now_ms();
		c->progressed = 0;
		rc = attempt(s, c, &rp, e);
		http_finish(&s->http);
		if (rc < 0) {
			pthread_mutex_lock(&s->store->keys);
			keep_secrets(s->store->cfg, e->msg);
			keep_secrets(s->store->cfg, e->code);
			pthread_mutex_unlock(&s->store->keys);
		}
		wait = rc < 0 && go ? next_wait(s, c, &t, e) : -1;
		if (go)
			report(s, c, &(struct s3_attempt){.status = rp.status, .ms = now_ms() - t.start_ms, .number = t.n,
				.again = wait >= 0}, rc < 0 ? e : NULL);
		if (rc == 0 || wait < 0)
			return rc;
		if (pause_ms(s->store, wait))
			return fail(e, ERR_STOPPED, "stopped");
	}
}
