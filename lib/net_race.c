#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "buf.h"
#include "clock.h"
#include "net.h"
#include "net_race.h"

enum {
	ADDR_MAX = 16,       /* addresses of one name that are tried */
	STAGGER_MS = 250,    /* RFC 8305 section 5: Connection Attempt Delay */
};

/* One address and how the attempt to connect to it stands. */
struct attempt {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	int fd;              /* -1: not started, or failed */
	int why;             /* errno of the failure */
};

struct race {
	struct attempt a[ADDR_MAX];
	int count, started;
	int64_t deadline_ms, next_ms;
	const int *stop;
};

int
net_stopped(const int *stop)
{
	return stop && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

int
net_poll_until(struct pollfd *p, nfds_t n, int64_t deadline_ms)
{
	int64_t left;
	int r;

	do {
		left = deadline_ms - clock_ms();
		r = poll(p, n, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	return r;
}

static void
addr_text(const struct attempt *a, char *out, size_t cap)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (a->addr.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->addr.in6.sin6_addr, ip, sizeof ip);
		snprintf(out, cap, "[%s]:%u", ip, ntohs(a->addr.in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &a->addr.in.sin_addr, ip, sizeof ip);
		snprintf(out, cap, "%s:%u", ip, ntohs(a->addr.in.sin_port));
	}
}

static void
add_addr(struct race *r, const void *addr, size_t len, uint16_t port)
{
	struct attempt *a;

	if (r->count == ADDR_MAX || len > sizeof r->a[0].addr)
		return;
	a = &r->a[r->count++];
	memset(a, 0, sizeof *a);
	a->fd = -1;
	memcpy(&a->addr, addr, len);
	if (a->addr.any.sa_family == AF_INET6)
		a->addr.in6.sin6_port = htons(port);
	else
		a->addr.in.sin_port = htons(port);
}

static const struct addrinfo *
next_of(const struct addrinfo *ai, int family)
{
	while (ai && ai->ai_family != family)
		ai = ai->ai_next;
	return ai;
}

/* RFC 8305 section 4: families take turns, IPv6 first; within one the resolver's order stays. */
static void
add_interleaved(struct race *r, const struct addrinfo *list, uint16_t port)
{
	const struct addrinfo *v6 = next_of(list, AF_INET6), *v4 = next_of(list, AF_INET);

	while (v6 || v4) {
		if (v6) {
			add_addr(r, v6->ai_addr, v6->ai_addrlen, port);
			v6 = next_of(v6->ai_next, AF_INET6);
		}
		if (v4) {
			add_addr(r, v4->ai_addr, v4->ai_addrlen, port);
			v4 = next_of(v4->ai_next, AF_INET);
		}
	}
}

static int
name_fail(const struct net_peer *p, int code, int err, struct err *e)
{
	const char *why = code == EAI_SYSTEM ? strerror(err) : gai_strerror(code), *cure = ": check the spelling in ", *setting = "";

	if (code == EAI_SYSTEM)
		cure = "";
	else if (access("/etc/resolv.conf", R_OK) != 0)
		cure = ": there is no /etc/resolv.conf here that names a DNS server: mount or write one";
	else if (code == EAI_AGAIN || code == EAI_FAIL)
		cure = ": the DNS servers in /etc/resolv.conf do not answer: check the network";
	else
		setting = p->setting;
	return fail(e, ERR_NAME, "cannot resolve %s%s: %s%s%s", p->kind, p->host, why, cure, setting);
}

/* bare NULL: this machine itself. */
static int
lookup(const char *bare, int flags, int family, struct addrinfo **list)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags, .ai_family = family};
	int code;

	do
		code = getaddrinfo(bare, "0", &hints, list);
	while (code == EAI_SYSTEM && errno == EINTR);
	return code;
}

static int
resolve(struct race *r, const struct net_peer *p, struct err *e)
{
	char bare[NET_HOST_CAP + 1];
	struct addrinfo *list;
	int code;

	if (net_host_bare(p->host, bare) < 0)
		return fail(e, ERR_NAME, "host name is empty or longer than %d: check %s", NET_HOST_CAP - 1, p->setting);
	code = lookup(bare, AI_NUMERICHOST, AF_UNSPEC, &list);
	/* RFC 6761 section 6.3: such names are loopback, whatever files and name servers say. */
	if (code == EAI_NONAME && net_is_loopback(bare)) {
		code = lookup(NULL, 0, AF_UNSPEC, &list);
	/* No name has a colon: that was meant as an IPv6 address, and is nothing to ask DNS for. */
	} else if (code == EAI_NONAME && !strchr(bare, ':')) {
		code = lookup(bare, 0, AF_UNSPEC, &list);
		/* One question of several that fails is the end for musl, not for glibc: that for the name in a search domain, or that for an
		   IPv6 address, which some servers answer with an error, with "no such name" (RFC 4074 section 4.2), or not at all. So the
		   whole name, for IPv4 alone. */
		if (code && !net_stopped(p->stop))
			code = lookup(strcat(bare, "."), 0, AF_INET, &list);
	}
	if (code)
		return name_fail(p, code, errno, e);
	add_interleaved(r, list, p->port);
	freeaddrinfo(list);
	return r->count ? 0 : name_fail(p, EAI_NONAME, 0, e);
}

static void
attempt_fail(struct race *r, struct attempt *a, int why)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->why = why;
	r->next_ms = clock_ms();   /* the next address need not wait for its turn */
}

/* Start connecting to the next address. */
static void
attempt_start(struct race *r)
{
	struct attempt *a = &r->a[r->started++];
	socklen_t len = a->addr.any.sa_family == AF_INET6 ? sizeof a->addr.in6 : sizeof a->addr.in;

	r->next_ms = clock_ms() + STAGGER_MS;
	a->fd = socket(a->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || (connect(a->fd, &a->addr.any, len) < 0 && errno != EINPROGRESS && errno != EINTR))
		attempt_fail(r, a, errno);
}

/* The attempt that is connected, or NULL; those that failed are closed. */
static struct attempt *
attempt_won(struct race *r, const struct pollfd *p)
{
	struct attempt *a;
	socklen_t len;
	int i, why;

	for (i = 0; i < r->started; i++) {
		a = &r->a[i];
		if (a->fd < 0 || !p[i].revents)
			continue;
		len = sizeof why;
		if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
			why = errno;
		if (!why)
			return a;
		attempt_fail(r, a, why);
	}
	return NULL;
}

/* Wait until something happens to one of the pending attempts, or the next is due. 0: none is pending. */
static int
race_wait(struct race *r, struct pollfd *p)
{
	int64_t until = clock_ms() + NET_STOP_LOOK_MS;
	int i, pending = 0;

	if (until > r->deadline_ms)
		until = r->deadline_ms;
	for (i = 0; i < r->started; i++) {
		p[i] = (struct pollfd){.fd = r->a[i].fd, .events = POLLOUT};
		pending += r->a[i].fd >= 0;
	}
	if (!pending)
		return 0;
	if (r->started < r->count && r->next_ms < until)
		until = r->next_ms;
	net_poll_until(p, (nfds_t)r->started, until);
	return 1;
}

/* RFC 8305 section 5: the first address that answers wins. NULL: none did in time. */
static struct attempt *
race_run(struct race *r)
{
	struct pollfd p[ADDR_MAX];
	struct attempt *won = NULL;

	r->next_ms = clock_ms();
	do {
		while (r->started < r->count && clock_ms() >= r->next_ms)
			attempt_start(r);
		if (race_wait(r, p))
			won = attempt_won(r, p);
		else if (r->started == r->count)
			break;
	} while (!won && clock_ms() < r->deadline_ms && !net_stopped(r->stop));
	return won;
}

static int
race_fail(const struct race *r, const struct net_peer *p, struct err *e)
{
	char text[768], addr[80];
	struct buf b = BUF(text);
	const char *local = "";
	int i, refused = 0;

	if (net_stopped(r->stop))
		return fail(e, ERR_STOPPED, "stopped");
	for (i = 0; i < r->started; i++) {
		addr_text(&r->a[i], addr, sizeof addr);
		buf_fmt(&b, "%s%s %s", i ? ", " : "", addr, r->a[i].why ? strerror(r->a[i].why) : "timed out");
		refused += r->a[i].why == ECONNREFUSED;
		if (!*local)
			local = errno_cure(r->a[i].why);
	}
	return fail(e, ERR_CONNECT, "cannot connect to %s%s: %s%s", p->kind, p->host, text, *local ? local
		: refused == r->started ? ": nothing listens there: check host and port"
		: ": check the network, the firewall, or whether HTTPS_PROXY must be set");
}

int
net_race(const struct net_peer *p, int timeout_ms, char *text, size_t cap, struct err *e)
{
	struct race r = {.stop = p->stop};
	struct attempt *won;
	int i, fd = -1;

	if (resolve(&r, p, e) < 0)
		return -1;
	r.deadline_ms = clock_ms() + timeout_ms;
	won = race_run(&r);
	if (won) {
		fd = won->fd;
		won->fd = -1;
		addr_text(won, text, cap);
	}
	for (i = 0; i < r.started; i++)
		if (r.a[i].fd >= 0)
			close(r.a[i].fd);
	return won ? fd : race_fail(&r, p, e);
}
