#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "retry.h"
#include "s3_call.h"
#include "utc.h"
#include "xml.h"

enum {
	REFUSAL_BODY_MAX = 65536,   /* an <Error> is a few hundred bytes; an HTML page of a proxy may be long */
	SKEW_WORTH_S = 60,
	OUTAGE_LOOK_MS = 2000,      /* how often, about, an unreachable store is tried */
};

int
s3_stopped(const struct s3_store *st, struct err *e)
{
	return s3_stopping(st) && fail(e, ERR_STOPPED, "stopped") < 0;
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

/* Retry-After is seconds or an HTTP date (RFC 9110 section 10.2.3); nonsense counts as not said. */
static int
retry_after(const struct s3_store *st, const struct http_reply *rp)
{
	const char *v = http_field(rp, "retry-after");
	int64_t t;

	if (!v)
		return 0;
	/* The server's clock says when a date is. */
	if (!v[strspn(v, "0123456789")])
		t = strtoll(v, NULL, 10);
	else if (utc_parse_http(v, &t) == 0)
		t -= time(NULL) + __atomic_load_n(&st->ahead_s, __ATOMIC_RELAXED);
	else
		return 0;
	return t < 0 ? 0 : t > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)t;
}

static void
keep_field(char *dst, size_t cap, const struct http_reply *rp, const char *name)
{
	struct buf b = buf_over(dst, cap);
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
	e->retry_after_s = retry_after(s->store, rp);
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

/* The server's clock is the one that counts: 1 when by its Date it is another than the one signed with, so that a new signature may pass. */
static int
correct_clock(struct s3_store *st, int64_t signed_s)
{
	int64_t skew = __atomic_load_n(&st->ahead_s, __ATOMIC_RELAXED);

	if (skew - signed_s < SKEW_WORTH_S && signed_s - skew < SKEW_WORTH_S)
		return 0;
	__atomic_store_n(&st->skew_s, skew, __ATOMIC_RELAXED);
	return 1;
}

/* 0; -1 when the file is no longer what was to be sent. */
static int
unchanged(const struct s3_call *c, struct err *e)
{
	return c->changed && c->changed(c->changed_arg) ? fail(e, ERR_CHANGED, "the file changed while it was being sent") : 0;
}

/* The body as it goes out: each piece passes the store's hook on its way. */
struct outgoing {
	const struct s3_store *store;
	const struct s3_call *call;
};

static ssize_t
read_outgoing(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	const struct outgoing *o = arg;
	const struct http_body *b = o->call->body;
	ssize_t got = !o->call->whole && s3_stopped(o->store, e) ? -1 : b->read(b->arg, off, p, n, e);

	/* The last piece makes the object. Of a file that was replaced meanwhile, another process may have stored what it is now. */
	if (got > 0 && off + (uint64_t)got == b->len && unchanged(o->call, e) < 0)
		return -1;
	if (got > 0 && o->store->moved)
		o->store->moved(o->store->arg, (size_t)got);
	return got;
}

/* The refusal of a HEAD has no body that says why; that of a GET has. */
static int
worth_a_get(const struct s3_call *c, int status)
{
	return status / 100 == 3 || status == 400 || status == 403 || (status == 404 && c->bucket_too);
}

static int
attempt(struct s3 *s, struct s3_call *c, struct http_reply *rp, struct err *e)
{
	struct s3_wire w;
	struct outgoing out = {s->store, c};
	struct http_body body = {c->body ? c->body->len : 0, read_outgoing, &out};
	struct http_request rq = {.method = c->method, .target = w.target, .fields = w.fields, .body = c->body ? &body : NULL};
	int rc;

	rp->status = 0;
	rp->resent = 0;
	if (s3_connect_join(s, e) < 0 || s3_sign(&w, s, c, e) < 0)
		return -1;
	s->http.server.stop = c->last_word || c->whole ? NULL : &s->store->stop;
	rq.nfields = w.nfields;
	c->attempts++;
	rc = http_send(&s->http, &rq, rp, e);
	explicit_bzero(w.authorization, sizeof w.authorization);
	explicit_bzero(w.token, sizeof w.token);
	/* Who expects TLS hangs up. */
	if (rc < 0 && e->kind == ERR_NET && !s->store->cfg->tls && !__atomic_load_n(&s->store->answered, __ATOMIC_RELAXED))
		fail(e, ERR_NET, "%s: is it an https:// port?", e->msg);
	/* What it was sent again for is unclear, also when nobody could be reached any more. */
	c->attempts += rp->resent;
	c->unclear += rp->resent;
	if (rc < 0)
		return -1;
	__atomic_store_n(&s->store->answered, 1, __ATOMIC_RELAXED);
	read_clock(s->store, rp);
	if (rp->status / 100 == 2 && rp->length < 0 && c->coded && !*c->coded) {
		*c->coded = 1;
		http_finish(&s->http);
		return attempt(s, c, rp, e);
	}
	if (*c->method == 'H' && worth_a_get(c, rp->status)) {
		c->method = "GET";
		return attempt(s, c, rp, e);
	}
	if (rp->status / 100 == 2)
		return c->reply ? c->reply(s, c, rp, e) : 0;
	return refused(s, c, rp, e);
}

/* Whether the server may have done what was asked for, although it failed. A refusal says no, and so do 501 and 503. */
static int
unclear(const struct err *e)
{
	if (e->kind == ERR_NAME || e->kind == ERR_CONNECT || e->kind == ERR_TLS)
		return 0;
	return e->kind != ERR_HTTP || e->status / 100 == 2 || (e->status / 100 == 5 && e->status != 501 && e->status != 503);
}

/* What one call has tried so far. */
struct tries {
	int n, clock;
	int64_t start_ms;
	int64_t skew_s;      /* the store's, when this one began: others may correct it meanwhile */
	int64_t lost_ms;     /* since when there has been no answer, 0: not so far */
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

/* 502, 503, 504 or what the edge has of them, in no words of S3: a proxy before the store cannot reach it. */
static int
from_proxy(const struct err *e)
{
	return e->kind == ERR_HTTP && !e->named && !strcmp(e->code, "ServiceUnavailable");
}

/* A store that has answered before and cannot be reached now is an outage, not a mistake in the configuration: it is waited out
   as long as a stalled connection would be, what it says when it comes back included; not where one attempt is all that was wanted. */
static int
wait_out(const struct s3_store *st, const struct tries *t, int lost, int least_ms)
{
	int wait;

	if ((!lost && t->n <= st->cfg->retries) || st->cfg->retries == 1 || !__atomic_load_n(&st->reached, __ATOMIC_RELAXED) ||
	    clock_ms() - t->lost_ms >= st->cfg->timeout_ms)
		return -1;
	wait = OUTAGE_LOOK_MS / 2 + (int)(clock_jitter() % OUTAGE_LOOK_MS);
	return wait < least_ms ? least_ms : wait;
}

/* Milliseconds until the next attempt, -1 when this was the last. */
static int
next_wait(struct s3 *s, const struct s3_call *c, struct tries *t, struct err *e)
{
	/* A HEAD's answer never has words: the store may say so itself. */
	int proxy = *c->method != 'H' && from_proxy(e), lost = proxy || e->kind == ERR_NET || e->kind == ERR_CONNECT || e->kind == ERR_NAME, wait;

	if (c->progressed) {
		t->n = 1;
		t->lost_ms = 0;
	}
	if (!t->clock && !strcmp(e->code, "RequestTimeTooSkewed") && correct_clock(s->store, t->skew_s)) {
		t->clock = 1;
		wait = 0;
	} else {
		if ((e->kind == ERR_HTTP && !proxy && t->n <= s->store->cfg->retries) || !t->lost_ms)
			t->lost_ms = clock_ms();
		wait = retry_wait_ms(e, t->n + 1, s->store->cfg->retries, c->is_write, clock_jitter());
		if (wait < 0 && retry_worthwhile(e))
			wait = wait_out(s->store, t, lost, retry_wait_ms(e, 2, 2, c->is_write, 0));
	}
	return wait >= 0 && unchanged(c, e) < 0 ? -1 : wait;
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
		/* Unchanged also since before it was summed: so the sum is that of a state that existed, not of a mixture. */
		int rc, wait, go = unchanged(c, e) < 0 ? -1 : admitted(s->store, c, e);

		if (go < 0)
			return -1;
		t.start_ms = clock_ms();
		t.skew_s = __atomic_load_n(&s->store->skew_s, __ATOMIC_RELAXED);
		c->progressed = 0;
		rc = attempt(s, c, &rp, e);
		http_finish(&s->http);
		if (rc < 0)
			s3_keep_secrets(s->store, e);
		if (rp.status && (rc == 0 || !from_proxy(e)))
			__atomic_store_n(&s->store->reached, 1, __ATOMIC_RELAXED);
		wait = rc < 0 && go ? next_wait(s, c, &t, e) : -1;
		if (rc < 0) {
			e->maybe_done = c->unclear > 0;
			c->unclear += unclear(e);
		}
		if (go)
			report(s, c, &(struct s3_attempt){.status = rp.status, .ms = (long)(clock_ms() - t.start_ms), .number = t.n,
				.again = wait >= 0, .wait_ms = wait}, rc < 0 ? e : NULL);
		if (rc == 0 || wait < 0)
			return rc;
		if ((s->store->pause ? s->store->pause : clock_pause)(s->store->arg, wait))
			return fail(e, ERR_STOPPED, "stopped");
	}
}
