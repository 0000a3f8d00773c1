#include <inttypes.h>
#include <string.h>
#include "http_reply.h"
#include "http_wire.h"

enum {
	HTTP_FINISH_READS = 32,               /* reads of HTTP_JUNK bytes: what http_finish takes of a body nobody wants */
	HTTP_JUNK = 2048,
	HTTP_FINISH_MAX = HTTP_FINISH_READS * HTTP_JUNK,
};

static ssize_t
read_memory(void *mem, uint64_t off, void *p, size_t n, struct err *e)
{
	(void)e;
	memcpy(p, (const char *)mem + off, n);
	return (ssize_t)n;
}

struct http_body
http_memory(const void *mem, uint64_t n)
{
	return (struct http_body){n, read_memory, (void *)(uintptr_t)mem};
}

static int
is_token(const char *s)
{
	size_t n = http_token_len(s);

	return n && !s[n];
}

static int
is_text(const char *s, int lowest)
{
	for (; *s; s++)
		if (((unsigned char)*s < lowest && *s != '\t') || *s == 0x7f)
			return 0;
	return 1;
}

/* What would end a line early would let a file's name write header fields. */
static int
check_request(const struct http_request *rq, struct err *e)
{
	size_t i;

	if (!is_token(rq->method))
		return fail(e, ERR_PROTO, "a request's method is not a token");
	if (!*rq->target || strchr(rq->target, '\t') || !is_text(rq->target, ' ' + 1))
		return fail(e, ERR_PROTO, "a request's target has a space or a control character");
	for (i = 0; i < rq->nfields; i++) {
		const struct pair *f = &rq->fields[i];

		if (!is_token(f->name))
			return fail(e, ERR_PROTO, "a request field's name is not a token");
		if (!is_text(f->value, ' '))
			return fail(e, ERR_PROTO, "a control character in the value of %s", f->name);
	}
	return 0;
}

static int
put(struct http *h, const char *s, size_t n, struct err *e)
{
	unsigned char *p;
	size_t room;
	int r;

	for (; n; s += room, n -= room) {
		r = http_wire_reserve(h, &p, &room, e);
		if (r != SEND_DONE)
			return r;
		if (room > n)
			room = n;
		memcpy(p, s, room);
		http_wire_commit(h, room);
	}
	return SEND_DONE;
}

/* Written into block, which has no other use until the reply, and wiped: a session token is among the fields.
   RFC 9110 section 8.6 wants Content-Length: 0 where a method has a meaning for a body. */
static int
send_head(struct http *h, const struct http_request *rq, struct err *e)
{
	struct buf b = BUF(h->block);
	int wants_length = !strcmp(rq->method, "PUT") || !strcmp(rq->method, "POST"), r;
	size_t i;

	buf_fmt(&b, "%s %s HTTP/1.1\r\n", rq->method, rq->target);
	/* Not by buf_fmt: musl's vfprintf leaves a copy on the stack. */
	for (i = 0; i < rq->nfields; i++) {
		buf_str(&b, rq->fields[i].name);
		buf_str(&b, ": ");
		buf_str(&b, rq->fields[i].value);
		buf_str(&b, "\r\n");
	}
	if (rq->body || wants_length)
		buf_fmt(&b, "Content-Length: %" PRIu64 "\r\n", rq->body ? rq->body->len : 0);
	buf_str(&b, "\r\n");
	if (buf_ok(&b)) {
		r = put(h, b.p, b.len, e);
	} else {
		fail(e, ERR_PROTO, "a request's header is longer than %d bytes", HTTP_BLOCK_MAX);
		r = SEND_SOURCE;
	}
	explicit_bzero(h->block, sizeof h->block);
	if (r == SEND_EARLY)
		r = fail(e, ERR_NET, "%s: spoke before it was asked", h->server.host);
	return r;
}

/* From *off on, straight into the wire's buffer: the header and the first bytes of the body leave together. */
static int
send_body(struct http *h, const struct http_body *b, uint64_t *off, struct err *e)
{
	while (b && *off < b->len) {
		unsigned char *p;
		size_t room;
		ssize_t n;
		int r = http_wire_reserve(h, &p, &room, e);

		if (r != SEND_DONE)
			return r;
		if (room > b->len - *off)
			room = (size_t)(b->len - *off);
		n = b->read(b->arg, *off, p, room, e);
		if (!n)
			fail(e, ERR_CHANGED, "the source shrank to %" PRIu64 " bytes while it was being sent", *off);
		if (n <= 0)
			return SEND_SOURCE;
		http_wire_commit(h, (size_t)n);
		*off += (uint64_t)n;
	}
	return http_wire_flush(h, e);
}

/* A broken connection is readable, one that merely makes no progress is not. A close_notify has been read, and the FIN may come later. */
static int
readable(struct http *h)
{
	return http_unread(h) || (h->tls && tls_ended(h->tls)) || net_poll(&h->net, NET_IN, 0) != 0;
}

/* Request out, header in, on an open connection. When sending fails, the peer may have said why before it hung up:
   that is worth more than "broken pipe". After an early 1xx the rest of the body is still owed. */
static int
exchange(struct http *h, const struct http_request *rq, struct http_reply *rp, struct err *e)
{
	struct err unheard;
	uint64_t off = 0;
	int sent = SEND_EARLY, interim = 0, got;

	h->state = HTTP_UNSENT;
	if (send_head(h, rq, e) != SEND_DONE)
		return -1;
	do {
		if (sent == SEND_EARLY)
			sent = send_body(h, rq->body, &off, e);
		if (sent == SEND_SOURCE || (sent == SEND_LOST && !readable(h)))
			return -1;
		net_limit(&h->net, 1);
		got = http_reply_head(h, rq->method, rp, sent == SEND_LOST ? &unheard : e);
		net_limit(&h->net, 0);
		if (got < 0)
			return -1;
		if (rp->status == 101)
			return http_bad(h, e, "101, which nobody asked for");
		if (rp->status < 200 && ++interim > HTTP_INTERIM_MAX)
			return http_bad(h, e, "too many 1xx answers");
	} while (rp->status < 200);
	if (sent != SEND_DONE)
		h->keep = 0;
	return 0;
}

void
http_init(struct http *h, const struct http_server *server)
{
	h->server = *server;
	h->net = (struct net){.fd = -1};
}

static int
shake_hands(struct http *h, struct err *e)
{
	const struct http_server *s = &h->server;
	int rc;

	h->tls = tls_new();
	if (!h->tls)
		return fail_memory(e);
	net_limit(&h->net, 1);
	rc = tls_handshake(h->tls, &h->net, &(struct tls_params){s->host, s->trust, s->session, 0}, e);
	net_limit(&h->net, 0);
	return rc;
}

int
http_connect(struct http *h, struct err *e)
{
	const struct http_server *s = &h->server;
	const struct net_proxy *proxy = s->proxy && s->proxy->port ? s->proxy : NULL;

	h->net.stop = s->stop;
	if (h->open)
		return 0;
	if (net_dial(&h->net, s->host, s->port, proxy, s->timeout_ms, e) < 0)
		return -1;
	h->connects++;
	if (s->trust && shake_hands(h, e) < 0) {
		http_close(h);
		return -1;
	}
	h->open = 1;
	return 0;
}

int
http_send(struct http *h, const struct http_request *rq, struct http_reply *rp, struct err *e)
{
	int kept, dead;

	rp->resent = 0;
	if (check_request(rq, e) < 0)
		return -1;
	http_finish(h);
	if (h->open && !http_wire_idle(h))
		http_close(h);
	kept = h->open;
	for (;;) {
		if (http_connect(h, e) < 0)
			return -1;
		if (exchange(h, rq, rp, e) == 0)
			return 0;
		/* Only what died unheard is asked again: RFC 9112 section 9.3.1. A time-out is no death. */
		dead = e->kind == ERR_NET && h->state < HTTP_ANSWERED && readable(h);
		http_close(h);
		if (!kept || !dead)
			return -1;
		kept = 0;
		rp->resent = 1;
	}
}

ssize_t
http_read(struct http *h, void *p, size_t n, struct err *e)
{
	ssize_t got = http_reply_body(h, p, n, e);

	if (got < 0)
		http_close(h);
	return got;
}

void
http_finish(struct http *h)
{
	char junk[HTTP_JUNK];
	struct err ignored;
	ssize_t n = 1;
	int i;

	if (!h->open || h->state == HTTP_IDLE)
		return;
	if (h->left > HTTP_FINISH_MAX)
		h->keep = 0;
	for (i = 0; h->keep && n > 0 && i < HTTP_FINISH_READS; i++)
		n = http_read(h, junk, sizeof junk, &ignored);
	if (h->keep && h->state == HTTP_DONE)
		h->state = HTTP_IDLE;
	else
		http_close(h);
}

void
http_close(struct http *h)
{
	if (h->tls) {
		tls_close(h->tls);
		tls_free(h->tls);
		h->tls = NULL;
	}
	net_close(&h->net);
	explicit_bzero(h->out, sizeof h->out);
	h->open = h->keep = 0;
	h->state = HTTP_IDLE;
	h->left = 0;
	h->in_pos = h->in_len = h->out_len = 0;
}

const char *
http_field(const struct http_reply *rp, const char *name)
{
	size_t i;

	for (i = 0; i < rp->nfields; i++)
		if (!strcmp(rp->fields[i].name, name))
			return rp->fields[i].value;
	return NULL;
}
