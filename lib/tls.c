#include <bearssl.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "tls.h"
#include "tls_chain.h"
#include "tls_engine.h"
#include "tls_explain.h"

enum {
	HEADER = 5,           /* of a record */
	IN_CAP = 4 * (HEADER + 8 + 16384 + 16),   /* read from the socket at once: records of AES-GCM, four whole ones as long as they are full */
	FED_MAX = 256 << 10,  /* bytes of records that come to nothing: data is 16 KiB at most, a handshake some certificates */
	SENDS_A_LOOK = 16,    /* records sent between two looks for an early answer */
	SENT = 1 << 8,        /* beside BR_SSL_SENDREC and its like: no record waits to be sent */
	OUT_RECORDS = 4,      /* of a body go out at once: 64 KiB, which is what the kernel makes one packet of for itself */
	OUT_MS = 100,         /* but not what comes more slowly: whoever waits for it would see nothing for longer than need be */
};

struct tls {
	br_ssl_client_context cc;
	struct net *net;
	const char *suite;
	int offered, resumed;
	unsigned sends;
	unsigned char offered_id[32];
	int established;               /* handshake done */
	int unsendable;                /* a send failed; what the peer said before may still be there to read */
	size_t fed;                    /* bytes of records since there was something to do */
	size_t in_pos, in_len;
	size_t held;                   /* bytes of records in obuf that wait for the next one, before the place that the engine has for that */
	int64_t pushed_ms;             /* when the last record was sealed */
	char host[NET_HOST_CAP];
	struct tls_chain chain;        /* from its last member on nothing needs to be zero */
	int piled;                     /* more of obuf than one record's room was used, ever */
	unsigned char in[IN_CAP], obuf[OUT_RECORDS * BR_SSL_BUFSIZE_OUTPUT];
};

/* ---- session resumption ---- */

/* Offer the last session with this server, if there is one. */
static void
session_offer(struct tls *t, struct tls_session *s)
{
	t->offered = tls_session_offer(s, &t->cc.eng);
	memcpy(t->offered_id, t->cc.eng.session.session_id, sizeof t->offered_id);
}

/* Keep what was agreed for the next connection; one that failed forgets what it had offered. */
static void
session_keep(struct tls *t, struct tls_session *s)
{
	const br_ssl_session_parameters *now = &t->cc.eng.session;

	if (!t->established && !t->offered)
		return;
	tls_session_keep(s, &t->cc.eng, t->established);
	/* RFC 5246 section 7.4.1.3: the server agrees by sending the same id. */
	t->resumed = t->established && t->offered && now->session_id_len > 0
		&& !memcmp(now->session_id, t->offered_id, sizeof t->offered_id);
}

/* ---- records ---- */

static int
fault(struct tls *t, int code, struct err *e)
{
	const struct tls_chain *c = &t->chain;
	struct tls_fault f = {
		.code = code, .host = t->host, .host_is_address = c->host.addr_len > 0, .established = t->established,
		.offered = t->offered, .not_tls = !t->cc.eng.version_in,
		.name = c->names[0].status == 1 ? c->san : c->names[1].status == 1 ? c->cn : "",
		.no_san = c->wrong == TLS_BAD_NAME && !c->host.addr_len, .now = c->now, .not_before = c->not_before, .not_after = c->not_after,
	};

	return tls_explain(&f, e);
}

/* The connection ended without the peer's close_notify; why may be "". */
static int
lost(struct tls *t, const char *why, struct err *e)
{
	const char *sep = *why ? ": " : "";

	if (!t->established)
		return fail(e, ERR_NET, "tls: %s: the connection was closed during the handshake%s%s: is it an https port?",
			t->host, sep, why);
	return fail(e, ERR_NET, "connection to %s closed without close_notify: truncated%s%s", t->host, sep, why);
}

/* The engine's record, which ends at end, may wait for the next: that comes soon, and there is room behind it. */
static int
may_wait(struct tls *t, const unsigned char *end)
{
	int64_t before = t->pushed_ms;

	if (!t->net->more)
		return 0;
	t->pushed_ms = clock_ms();
	return t->pushed_ms - before < OUT_MS && t->obuf + sizeof t->obuf - end >= BR_SSL_BUFSIZE_OUTPUT;
}

/* Send what the engine has, if that needs no waiting: 1 when something went out, or waits for more. For a record that waits, the engine is told
   that it is sent, and is given the room behind it for the next: of its buffer it knows offsets only, and a record begins at the first. */
static int
push(struct tls *t)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	unsigned char *p;
	struct err e;
	size_t n;
	ssize_t r;

	p = br_ssl_engine_sendrec_buf(eng, &n);
	if (t->unsendable || n + t->held == 0)
		return 0;
	if (n > 0 && may_wait(t, p + n)) {
		t->held += n;
		t->piled = 1;
		br_ssl_engine_sendrec_ack(eng, n);
		eng->obuf = p + n;
		return 1;
	}
	r = net_send(t->net, (n > 0 ? p : eng->obuf) - t->held, t->held + n, &e);
	if (r == -1)
		t->unsendable = 1;
	if (r <= 0)
		return 0;
	if ((size_t)r <= t->held) {
		t->held -= (size_t)r;
		return 1;
	}
	br_ssl_engine_sendrec_ack(eng, (size_t)r - t->held);
	if ((size_t)r == t->held + n)
		eng->obuf = t->obuf;
	t->held = 0;
	return 1;
}

/* More of a record of which the engine has so many bytes: it moves to the beginning of in, where all of it has room. 1, 0, -1. */
static int
receive(struct tls *t, size_t given, struct err *e)
{
	size_t begin = t->in_pos - given;
	ssize_t r;

	if (begin) {
		t->in_len -= begin;
		memmove(t->in, t->in + begin, t->in_len);
		t->in_pos = given;
		t->cc.eng.ibuf = t->in;
	}
	r = net_recv(t->net, t->in + t->in_len, sizeof t->in - t->in_len, e);
	if (r == NET_AGAIN)
		return 0;
	if (r <= 0)
		return lost(t, r ? e->msg : "", e);
	t->in_len += (size_t)r;
	return 1;
}

/* Give the engine a record's header, then the rest when all of it has arrived: 1; 0 when it wants nothing or nothing is there; -1. It opens the
   record where it is: of its buffer it knows offsets only, and a record begins at the first. */
static int
pull(struct tls *t, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	const unsigned char *p;
	size_t n, given;

	p = br_ssl_engine_recvrec_buf(eng, &n);
	if (!p)
		return 0;
	given = (size_t)(p - eng->ibuf);
	if (t->in_len - t->in_pos < n)
		return receive(t, given, e);
	if (!given)
		eng->ibuf = t->in + t->in_pos;
	t->in_pos += n;
	br_ssl_engine_recvrec_ack(eng, n);
	t->fed += n;
	if (t->fed > FED_MAX)
		return fail(e, ERR_NET, "tls: %s: the server sends records without end and no data in them", t->host);
	return 1;
}

/* Move something in either direction, waiting for what the engine wants. Reads as well while it writes: an answer may come before
   all is sent. It is looked for when nothing can be sent, and now and then, for a look costs a system call. */
static int
pump(struct tls *t, unsigned state, struct err *e)
{
	int want = 0, sent = push(t), got;

	if (sent && ++t->sends % SENDS_A_LOOK)
		return 0;
	got = pull(t, e);
	if (got < 0)
		return -1;
	if (sent || got)
		return 0;
	if ((state & BR_SSL_SENDREC || t->held) && !t->unsendable)
		want |= NET_OUT;
	if (state & BR_SSL_RECVREC)
		want |= NET_IN;
	if (!want)
		return lost(t, "", e);
	return net_wait(t->net, want, e) < 0 ? -1 : 0;
}

/* Run until the engine's state has one of the wanted bits, and return it; BR_SSL_CLOSED after the peer's
   close_notify; 0 after a failure. */
static unsigned
run(struct tls *t, unsigned want, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	unsigned state;
	int code;

	for (t->fed = 0;;) {
		state = br_ssl_engine_current_state(eng);
		code = br_ssl_engine_last_error(eng);
		if (state & BR_SSL_CLOSED && code != BR_ERR_OK) {
			fault(t, code, e);
			return 0;
		}
		/* The answer to a close_notify need not arrive (RFC 5246 section 7.2.1): do not wait to send it. */
		if (state & BR_SSL_CLOSED || eng->shutdown_recv) {
			while (push(t))
				;
			return BR_SSL_CLOSED;
		}
		if (!(state & BR_SSL_SENDREC) && !t->held)
			state |= SENT;
		if (state & want)
			return state;
		if (pump(t, state, e) < 0)
			return 0;
	}
}

/* ---- the connection ---- */

struct tls *
tls_new(void)
{
	return calloc(1, sizeof (struct tls));
}

void
tls_free(struct tls *t)
{
	/* What was never used is not there yet. */
	if (t)
		explicit_bzero(t, t->piled ? sizeof *t : offsetof(struct tls, obuf) + BR_SSL_BUFSIZE_OUTPUT);
	free(t);
}

static int
shake_hands(struct tls *t, struct net *n, const struct tls_params *p, struct err *e)
{
	unsigned state;

	memset(t, 0, offsetof(struct tls, chain.cert));
	t->net = n;
	/* BearSSL would check no name at all against an empty one. */
	if (net_host_bare(p->host, t->host) < 0)
		return fail(e, ERR_TLS, "tls: host name is empty or longer than %d: check R2_ENDPOINT", NET_HOST_CAP - 1);
	tls_chain_init(&t->chain, p, t->host);
	tls_engine_init(&t->cc);
	br_ssl_engine_set_x509(&t->cc.eng, &t->chain.vtable);
	/* Two buffers: with a shared one an early answer would stop the sending. */
	br_ssl_engine_set_buffers_bidi(&t->cc.eng, t->in, BR_SSL_BUFSIZE_INPUT, t->obuf, BR_SSL_BUFSIZE_OUTPUT);
	if (tls_engine_seed(&t->cc.eng, e) < 0)
		return -1;
	if (p->session)
		session_offer(t, p->session);
	/* RFC 6066 section 3: an address is no SNI. Its check is chain_end's. */
	if (!br_ssl_client_reset(&t->cc, t->chain.host.addr_len ? NULL : t->host, t->offered))
		return fault(t, br_ssl_engine_last_error(&t->cc.eng), e);
	state = run(t, BR_SSL_SENDAPP, e);
	t->established = (state & BR_SSL_SENDAPP) != 0;
	t->suite = tls_suite_name(t->cc.eng.session.cipher_suite);
	if (p->session)
		session_keep(t, p->session);
	if (state & BR_SSL_CLOSED)
		return lost(t, "", e);
	return t->established ? 0 : -1;
}

int
tls_handshake(struct tls *t, struct net *n, const struct tls_params *p, struct err *e)
{
	int first = p->session && tls_session_await(p->session, n->stop), rc = shake_hands(t, n, p, e);

	if (first)
		tls_session_made(p->session);
	return rc;
}

static int
closed_early(struct tls *t, struct err *e)
{
	return fail(e, ERR_NET, "%s closed the connection while it was being sent data", t->host);
}

int
tls_reserve(struct tls *t, unsigned char **p, size_t *n, struct err *e)
{
	unsigned state;

	t->net->more = 1;
	state = run(t, BR_SSL_SENDAPP | BR_SSL_RECVAPP, e);
	t->net->more = 0;
	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return closed_early(t, e);
	if (state & BR_SSL_RECVAPP)
		return 0;
	*p = br_ssl_engine_sendapp_buf(&t->cc.eng, n);
	return 1;
}

void
tls_commit(struct tls *t, size_t n)
{
	if (n > 0)
		br_ssl_engine_sendapp_ack(&t->cc.eng, n);
}

int
tls_flush(struct tls *t, struct err *e)
{
	unsigned state;

	br_ssl_engine_flush(&t->cc.eng, 0);
	state = run(t, SENT | BR_SSL_RECVAPP, e);
	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return closed_early(t, e);
	return state & SENT ? 1 : 0;
}

ssize_t
tls_read(struct tls *t, void *buf, size_t n, struct err *e)
{
	unsigned state = run(t, BR_SSL_RECVAPP, e);
	unsigned char *p;
	size_t len;

	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return 0;
	p = br_ssl_engine_recvapp_buf(&t->cc.eng, &len);
	if (n > len)
		n = len;
	memcpy(buf, p, n);
	br_ssl_engine_recvapp_ack(&t->cc.eng, n);
	return (ssize_t)n;
}

int
tls_idle(struct tls *t)
{
	unsigned state = br_ssl_engine_current_state(&t->cc.eng);
	size_t n;

	if (!t->established || !(state & BR_SSL_SENDAPP) || state & BR_SSL_RECVAPP || t->in_pos != t->in_len)
		return 0;
	/* A header is wanted: no part of a record has arrived. */
	br_ssl_engine_recvrec_buf(&t->cc.eng, &n);
	return n == HEADER && !net_poll(t->net, NET_IN, 0);
}

int
tls_ended(const struct tls *t)
{
	return t->cc.eng.shutdown_recv;
}

void
tls_close(struct tls *t)
{
	if (!t || !t->established)
		return;
	br_ssl_engine_close(&t->cc.eng);
	while (push(t))
		;
	t->established = 0;
}

void
tls_info(const struct tls *t, struct tls_info *info)
{
	*info = (struct tls_info){t->suite, t->resumed, t->chain.leaf_until, t->chain.leaf_issuer};
}
