#include <string.h>
#include "clock.h"
#include "http_wire.h"

enum { EXPECTED = 64 * 1024 };   /* about as much as is read at once */

static ssize_t
wire_read(struct http *h, void *p, size_t n, struct err *e)
{
	ssize_t got;

	if (h->tls)
		return tls_read(h->tls, p, n, e);
	while ((got = net_recv(&h->net, p, n, e)) == NET_AGAIN)
		if (net_wait(&h->net, NET_IN, e) < 0)
			return -1;
	return got;
}

/* Bytes in dribs and drabs are no progress: an object would take for ever. A server that does not know the length may have begun its
   answer before it has it: S3 sends white space while it puts parts together, for minutes. */
static int
too_slow(struct http *h, size_t got, int64_t ms, struct err *e)
{
	int64_t limit = (int64_t)h->net.timeout_ms * (h->state == HTTP_LENGTH ? 1 : HTTP_PATIENCE);

	h->slow += got;
	h->slow_ms += ms;
	if (h->slow >= HTTP_WORTH) {
		h->slow = 0;
		h->slow_ms = 0;
	}
	if (h->slow_ms < limit)
		return 0;
	return fail(e, ERR_NET, "%s: no progress for %d.%d s but %zu bytes: timed out", h->net.peer, (int)(h->slow_ms / 1000),
		(int)(h->slow_ms % 1000 / 100), h->slow);
}

/* Four times as much: what the buffers above the socket hold is among what is left. */
static void
expect(struct http *h)
{
	net_expect(&h->net, (h->state == HTTP_LENGTH || h->state == HTTP_CHUNK) && h->left >= 4 * EXPECTED ? EXPECTED : 1);
}

ssize_t
http_wire_read(struct http *h, void *p, size_t n, struct err *e)
{
	int64_t begun = clock_ms();
	ssize_t got;

	expect(h);
	/* All of the header has one limit. */
	if (h->net.until_ms)
		return wire_read(h, p, n, e);
	/* A record counts when it is whole: else one of 16 KiB, a byte each minute, could take eleven days. */
	net_limit(&h->net, 1);
	got = wire_read(h, p, n, e);
	net_limit(&h->net, 0);
	return got > 0 && too_slow(h, (size_t)got, clock_ms() - begun, e) ? -1 : got;
}

/* The header goes out whatever the peer does: an answer counts only after the question. Before each later send
   we listen, so that an early refusal stops a large body. */
static int
plain_flush(struct http *h, struct err *e)
{
	int want = h->state == HTTP_UNSENT ? NET_OUT : NET_IN | NET_OUT, ready;
	ssize_t n;

	while (h->out_len) {
		ready = net_wait(&h->net, want, e);
		if (ready < 0)
			return SEND_LOST;
		if (ready & want & NET_IN)
			return SEND_EARLY;
		n = net_send(&h->net, h->out, h->out_len, e);
		if (n == -1)
			return SEND_LOST;
		if (n > 0) {
			h->out_len -= (size_t)n;
			memmove(h->out, h->out + n, h->out_len);
		}
	}
	if (h->state == HTTP_UNSENT)
		h->state = HTTP_ASKED;
	return SEND_DONE;
}

int
http_unread(const struct http *h)
{
	return h->in_pos < h->in_len;
}

/* As tls_reserve. A 1xx answer may have brought the final one along, hence unread(). */
int
http_wire_reserve(struct http *h, unsigned char **p, size_t *n, struct err *e)
{
	int r;

	if (http_unread(h))
		return SEND_EARLY;
	if (h->tls)
		return tls_reserve(h->tls, p, n, e);
	if (h->out_len == sizeof h->out && (r = plain_flush(h, e)) != SEND_DONE)
		return r;
	*p = h->out + h->out_len;
	*n = sizeof h->out - h->out_len;
	return SEND_DONE;
}

void
http_wire_commit(struct http *h, size_t n)
{
	if (h->tls)
		tls_commit(h->tls, n);
	else
		h->out_len += n;
}

int
http_wire_flush(struct http *h, struct err *e)
{
	if (http_unread(h))
		return SEND_EARLY;
	return h->tls ? tls_flush(h->tls, e) : plain_flush(h, e);
}

/* Nothing has come over an idle connection, not even a FIN. What comes unasked is never an answer
   (RFC 9112 section 9.2): such a connection is replaced. */
int
http_wire_idle(struct http *h)
{
	if (http_unread(h))
		return 0;
	return h->tls ? tls_idle(h->tls) : net_poll(&h->net, NET_IN, 0) == 0;
}

int
http_bad(const struct http *h, struct err *e, const char *why)
{
	return fail(e, ERR_PROTO, "%s: the answer is not valid HTTP: %s", h->server.host, why);
}

int
http_cut(const struct http *h, struct err *e)
{
	if (h->state < HTTP_ANSWERED)
		return fail(e, ERR_NET, "%s: closed the connection without an answer", h->server.host);
	if (h->state == HTTP_ANSWERED)
		return fail(e, ERR_NET, "%s: the answer is cut short inside its header", h->server.host);
	return fail(e, ERR_NET, "%s: the answer is cut short: the connection was closed inside its body", h->server.host);
}

ssize_t
http_fill(struct http *h, struct err *e)
{
	ssize_t n = http_wire_read(h, h->in, sizeof h->in, e);

	h->in_pos = 0;
	h->in_len = n > 0 ? (size_t)n : 0;
	if (n > 0 && h->state < HTTP_ANSWERED)
		h->state = HTTP_ANSWERED;
	return n;
}

int
http_next_byte(struct http *h, struct err *e)
{
	ssize_t n = http_unread(h) ? 1 : http_fill(h, e);

	if (n <= 0)
		return n ? -1 : http_cut(h, e);
	return h->in[h->in_pos++];
}

/* RFC 9112 section 2.2 lets a recipient take a bare LF for a line's end. We do not, nor a bare CR, nor NUL: servers
   write CRLF, and bytes that two readers on the way would split differently are how answers get forged. */
ssize_t
http_read_line(struct http *h, char *p, size_t cap, struct err *e)
{
	size_t n = 0;
	int c;

	while ((c = http_next_byte(h, e)) != '\n') {
		if (c < 0)
			return -1;
		if (!c || (n && p[n - 1] == '\r'))
			return http_bad(h, e, c ? "a bare CR" : "a NUL byte");
		if (n + 1 >= cap)
			return http_bad(h, e, "a line or the whole header is too long");
		p[n++] = (char)c;
	}
	if (!n || p[n - 1] != '\r')
		return http_bad(h, e, "a line that ends without CR");
	p[--n] = '\0';
	return (ssize_t)n;
}
