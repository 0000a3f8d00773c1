#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "buf.h"
#include "clock.h"
#include "enc.h"
#include "net.h"
#include "net_race.h"

enum { REPLY_MAX = 8192 };   /* header block of a proxy's answer to CONNECT */

static int
poll_fd(int fd, int want, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd};
	int got = 0;

	p.events = (short)((want & NET_IN ? POLLIN : 0) | (want & NET_OUT ? POLLOUT : 0));
	if (net_poll_until(&p, 1, deadline_ms) <= 0)
		return 0;
	if (p.revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL))
		got |= NET_IN;
	if (p.revents & POLLOUT)
		got |= NET_OUT;
	return got;
}

/* What recv(2) or send(2) has returned. */
static ssize_t
moved(const struct net *n, ssize_t r, const char *what, struct err *e)
{
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return NET_AGAIN;
	return fail(e, ERR_NET, "%s %s: %s", what, n->peer, strerror(errno));
}

ssize_t
net_recv(struct net *n, void *buf, size_t len, struct err *e)
{
	ssize_t r;

	do
		r = recv(n->fd, buf, len, 0);
	while (r < 0 && errno == EINTR);
	return moved(n, r, "receive from", e);
}

ssize_t
net_send(struct net *n, const void *buf, size_t len, struct err *e)
{
	ssize_t r;

	do
		r = send(n->fd, buf, len, MSG_NOSIGNAL | (n->more ? MSG_MORE : 0));
	while (r < 0 && errno == EINTR);
	return moved(n, r, "send to", e);
}

int
net_poll(struct net *n, int want, int ms)
{
	return poll_fd(n->fd, want, clock_ms() + ms);
}

int
net_wait(struct net *n, int want, struct err *e)
{
	int64_t deadline_ms = n->until_ms ? n->until_ms : clock_ms() + n->timeout_ms, now_ms;
	int got, queued = 0, before;

	do {
		now_ms = clock_ms();
		got = poll_fd(n->fd, want, deadline_ms - now_ms < NET_STOP_LOOK_MS ? deadline_ms : now_ms + NET_STOP_LOOK_MS);
		if (got)
			return got;
		if (net_stopped(n->stop))
			return fail(e, ERR_STOPPED, "stopped");
		net_expect(n, 1);
		/* On a slow line what the kernel holds may take longer than that to leave: as long as the peer takes of it, there is progress. */
		before = queued;
		if (ioctl(n->fd, TIOCOUTQ, &queued) == 0 && queued < before) {
			deadline_ms = now_ms + n->timeout_ms;
			n->until_ms = n->until_ms ? deadline_ms : 0;
		}
	} while (now_ms < deadline_ms);
	return fail(e, ERR_NET, "%s: no progress for %d.%d s: timed out", n->peer, n->timeout_ms / 1000,
		n->timeout_ms % 1000 / 100);
}

void
net_expect(struct net *n, int bytes)
{
	if (bytes != n->expected)
		setsockopt(n->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
	n->expected = bytes;
}

void
net_limit(struct net *n, int on)
{
	n->until_ms = on ? clock_ms() + n->timeout_ms : 0;
}

void
net_close(struct net *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* As net_wait; why: what it means that the time is over. */
static int
proxy_wait(struct net *n, int want, const char *why, struct err *e)
{
	if (net_wait(n, want, e) >= 0)
		return 0;
	return e->kind == ERR_STOPPED ? -1 : fail(e, ERR_CONNECT, "%s: timed out", why);
}

static int
proxy_send(struct net *n, const struct buf *b, struct err *e)
{
	size_t sent = 0;
	ssize_t r;

	while (sent < b->len) {
		r = net_send(n, b->p + sent, b->len - sent, e);
		if (r == NET_AGAIN && proxy_wait(n, NET_OUT, "takes no request", e) < 0)
			return -1;
		if (r == -1)
			return fail(e, ERR_CONNECT, "was lost: %s", e->msg);
		if (r > 0)
			sent += (size_t)r;
	}
	return 0;
}

/* The header block, byte by byte: what follows it belongs to the tunnel. */
static int
proxy_recv(struct net *n, struct buf *b, struct err *e)
{
	ssize_t r;
	char c;

	while (b->len < 4 || memcmp(b->p + b->len - 4, "\r\n\r\n", 4) != 0) {
		r = net_recv(n, &c, 1, e);
		if (r == NET_AGAIN && proxy_wait(n, NET_IN, "does not answer", e) < 0)
			return -1;
		if (r == -1)
			return fail(e, ERR_CONNECT, "was lost: %s", e->msg);
		if (r == 0)
			return fail(e, ERR_CONNECT, "closed the connection without an answer");
		if (r == 1)
			buf_char(b, c);
		if (!buf_ok(b))
			return fail(e, ERR_CONNECT, "answers with a header block over %d bytes", REPLY_MAX);
		if (strncmp(b->p, "HTTP/1.", b->len < 7 ? b->len : 7) != 0)
			return fail(e, ERR_CONNECT, "does not speak HTTP: check HTTPS_PROXY");
	}
	return 0;
}

/* "HTTP/1.1 407 …": the status, or -1. */
static int
status_of(const char *line)
{
	int status = line[7] < '0' || line[7] > '9' || line[8] != ' ' ? -1 : enc_number(line + 9, 3, 999);

	return status < 0 || (line[12] != ' ' && line[12] != '\r') ? -1 : status;
}

static int
proxy_judge(const char *block, const struct net_peer *to, const struct net_proxy *proxy, struct err *e)
{
	char text[256];
	struct buf b = BUF(text);
	int status = status_of(block);

	if (status >= 200 && status < 300)
		return 0;
	/* 401: tinyproxy of a wrong password. */
	if (status == 407 || status == 401) {
		fail(e, ERR_CONNECT, proxy->auth[0] ? "refuses the user name and password in HTTPS_PROXY"
			: "asks for a user name and password: set them in HTTPS_PROXY");
		e->status = 407;
		return -1;
	}
	enc_printable(&b, block, strcspn(block, "\r\n"));
	return fail(e, ERR_CONNECT, "refuses the connection to %s:%u: %s: check %s, and what the proxy allows", to->host, to->port, text, to->setting);
}

/* RFC 9110 section 9.3.6. */
static int
proxy_connect(struct net *n, const struct net_peer *to, const struct net_proxy *proxy, struct err *e)
{
	char rq[2 * NET_HOST_CAP + sizeof proxy->auth + 128], reply[REPLY_MAX + 1] = "", bare[NET_HOST_CAP];
	struct buf out = BUF(rq), in = BUF(reply);
	const char *form;
	int r = -1, status;

	if (net_host_bare(to->host, bare) < 0)
		return fail(e, ERR_NAME, "host name is empty or longer than %d: check %s", NET_HOST_CAP - 1, to->setting);
	form = strchr(bare, ':') ? "[%s]:%u" : "%s:%u";
	buf_str(&out, "CONNECT ");
	buf_fmt(&out, form, bare, to->port);
	buf_str(&out, " HTTP/1.1\r\nHost: ");
	buf_fmt(&out, form, bare, to->port);
	/* Not by buf_fmt: musl's vfprintf leaves a copy on the stack. */
	if (proxy->auth[0]) {
		buf_str(&out, "\r\nProxy-Authorization: ");
		buf_str(&out, proxy->auth);
	}
	buf_str(&out, "\r\n\r\n");
	net_limit(n, 1);
	if (proxy_send(n, &out, e) == 0 && proxy_recv(n, &in, e) == 0)
		r = proxy_judge(reply, to, proxy, e);
	net_limit(n, 0);
	explicit_bzero(rq, sizeof rq);
	explicit_bzero(reply, sizeof reply);
	if (r == 0 || e->kind == ERR_STOPPED)
		return r;
	status = e->status;
	fail(e, ERR_CONNECT, "proxy %s:%u %s", proxy->host, proxy->port, e->msg);
	e->status = status;
	return -1;
}

int
net_dial(struct net *n, const char *host, uint16_t port, const struct net_proxy *proxy, int timeout_ms,
	struct err *e)
{
	struct net_peer to = {"", host, "R2_ENDPOINT", port, n->stop}, via = to;
	int on = 1;

	if (proxy && proxy->port)
		via = (struct net_peer){"proxy ", proxy->host, "HTTPS_PROXY", proxy->port, n->stop};
	*n = (struct net){.timeout_ms = timeout_ms, .expected = 1, .stop = n->stop};
	n->fd = net_race(&via, timeout_ms, n->peer, sizeof n->peer, e);
	if (n->fd < 0)
		return -1;
	/* Requests go out in whole records: waiting for more would only cost a round trip. */
	setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (proxy && proxy->port && proxy_connect(n, &to, proxy, e) < 0) {
		net_close(n);
		return -1;
	}
	return 0;
}
