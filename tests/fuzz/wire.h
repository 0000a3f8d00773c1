#pragma once
/* A network that is the input: lib/net.c is not linked, these are its functions. What the server says, when it says it, in what pieces it arrives
   and how it ends, the fuzzer chooses. A request is answered by the next reply of the script. */
#include "fuzz.h"
#include "net.h"

enum { WIRE_REPLIES = 32, WIRE_SPLITS = 8, WIRE_REQUEST_MAX = 1 << 20 };

struct wire_reply {
	unsigned char *p;
	size_t n;
	int stays;        /* the connection stays open behind it, else FIN */
	int early;        /* before the request's body */
};

static struct {
	struct wire_reply reply[WIRE_REPLIES];
	size_t replies, next;
	size_t split[WIRE_SPLITS];      /* of what one recv brings at most, in turns; 0: all */
	size_t splits, turn;
	/* The connection. */
	const struct wire_reply *now;
	size_t at;
	int open, answered;
	size_t head_len;                /* of the request; 0: not whole */
	/* The request: what came since the last answer. */
	size_t len;
	char request[WIRE_REQUEST_MAX];
	size_t requests;
} wire;

/* Begin the script anew, with other pieces. */
static inline void
wire_start(const size_t *split, size_t n)
{
	wire.next = wire.turn = wire.len = wire.requests = 0;
	wire.now = NULL;
	wire.open = wire.answered = 0;
	wire.splits = n;
	memcpy(wire.split, split, n * sizeof *split);
}

static inline void
wire_free(void)
{
	while (wire.replies)
		free(wire.reply[--wire.replies].p);
}

static inline size_t
wire_body_len(void)
{
	const char *s = strstr(wire.request, "Content-Length: ");

	return s ? strtoull(s + 16, NULL, 10) : 0;
}

/* Is it time for the next answer? */
static inline void
wire_answer(void)
{
	const char *end = wire.answered ? NULL : strstr(wire.request, "\r\n\r\n");
	const struct wire_reply *r = wire.next < wire.replies ? &wire.reply[wire.next] : NULL;

	if (!end)
		return;
	wire.head_len = (size_t)(end - wire.request) + 4;
	if (wire.len < wire.head_len + wire_body_len() && !(r && r->early))
		return;
	wire.answered = 1;
	wire.requests++;
	wire.now = r;
	wire.at = 0;
	wire.next += r != NULL;
}

static inline int
wire_readable(void)
{
	return wire.answered && (!wire.now || wire.at < wire.now->n || !wire.now->stays);
}

int
net_dial(struct net *n, const char *host, uint16_t port, const struct net_proxy *proxy, int timeout_ms, struct err *e)
{
	(void)host, (void)port, (void)proxy;
	*n = (struct net){.fd = -1, .timeout_ms = timeout_ms, .stop = n->stop};
	if (wire.next == wire.replies)
		return fail(e, ERR_CONNECT, "the script is over");
	wire.open = 1;
	wire.answered = 0;
	wire.now = NULL;
	wire.len = 0;
	*wire.request = '\0';
	return 0;
}

void
net_close(struct net *n)
{
	n->fd = -1;
	wire.open = 0;
}

void
net_limit(struct net *n, int on)
{
	(void)n, (void)on;
}

void
net_expect(struct net *n, int bytes)
{
	(void)n, (void)bytes;
}

ssize_t
net_recv(struct net *n, void *buf, size_t len, struct err *e)
{
	size_t left = wire.now ? wire.now->n - wire.at : 0, piece;

	(void)n, (void)e;
	must(wire.open && len);
	if (!wire_readable())
		return NET_AGAIN;
	if (!left)
		return 0;
	piece = wire.splits ? wire.split[wire.turn++ % wire.splits] : 0;
	if (!piece || piece > left)
		piece = left;
	if (piece > len)
		piece = len;
	memcpy(buf, wire.now->p + wire.at, piece);
	wire.at += piece;
	return (ssize_t)piece;
}

ssize_t
net_send(struct net *n, const void *buf, size_t len, struct err *e)
{
	(void)n, (void)e;
	must(wire.open && len);
	/* The request after the one that was answered. */
	if (wire.answered && wire.now && wire.now->stays && wire.at == wire.now->n) {
		wire.answered = 0;
		wire.len = 0;
	}
	must(wire.len + len < sizeof wire.request);
	memcpy(wire.request + wire.len, buf, len);
	wire.len += len;
	wire.request[wire.len] = '\0';
	wire_answer();
	return (ssize_t)len;
}

int
net_wait(struct net *n, int want, struct err *e)
{
	int got = (want & NET_OUT) | (wire_readable() ? want & NET_IN : 0);

	(void)n;
	must(wire.open);
	return got ? got : fail(e, ERR_NET, "timed out");
}

int
net_poll(struct net *n, int want, int ms)
{
	(void)n, (void)ms;
	return (want & NET_OUT) | (wire_readable() ? want & NET_IN : 0);
}
