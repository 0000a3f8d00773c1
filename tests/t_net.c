/* net over loopback: the race of addresses, deadlines, ends, and a proxy that says what it is told to. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include "test.h"
#include <netdb.h>
#include "../lib/clock.h"

/* What the race knows of names and of the time, where a test says so. */
static int ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);
static int64_t late_ms, now_and_late(void);
#define getaddrinfo ask
#define clock_ms now_and_late
#include "../lib/net_race.c"
#undef getaddrinfo
#undef clock_ms

static int64_t
now_and_late(void)
{
	return clock_ms() + late_ms;
}

/* Names below "test": no address for IPv6, in the way that the first label says. "late": an answer after a minute. */
static int
ask(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	if (!name || hints->ai_flags & AI_NUMERICHOST || !strstr(name, ".test"))
		return getaddrinfo(name, service, hints, list);
	late_ms += strstr(name, "late.") ? 60000 : 0;
	if (strstr(name, "none.") || (hints->ai_family == AF_UNSPEC && strstr(name, "nx.")))
		return EAI_NONAME;
	if (hints->ai_family == AF_UNSPEC && strstr(name, "fails."))
		return EAI_AGAIN;
	return getaddrinfo("127.0.0.1", service, hints, list);
}

/* What the secret "se:cret" looks like in Basic authentication after "us@er:". */
static const char auth[] = "Basic dXNAZXI6c2U6Y3JldA==";

/* A backlog of -1: nobody listens, and nobody else gets the port. */
static int
listen_on(const char *ip, uint16_t port, int backlog)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int v6 = strchr(ip, ':') != NULL, on = 1, r;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
		inet_pton(AF_INET6, ip, &in6.sin6_addr);
		r = bind(fd, (struct sockaddr *)&in6, sizeof in6);
	} else {
		inet_pton(AF_INET, ip, &in.sin_addr);
		r = bind(fd, (struct sockaddr *)&in, sizeof in);
	}
	if (fd >= 0 && (r < 0 || (backlog >= 0 && listen(fd, backlog) < 0))) {
		close(fd);
		return -1;
	}
	return fd;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof a;

	getsockname(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.sin6_port);   /* where sin_port is, too */
}

static void
has(const char *text, const char *part)
{
	if (strstr(text, part))
		check(1);
	else
		check_str(text, part);
}

/* ---- tables ---- */

static void
test_proxy_parse(void)
{
	static const struct { const char *url, *host; int port; const char *auth; } good[] = {
		{"http://proxy.example:3128", "proxy.example", 3128, ""},
		{"HTTP://proxy.example:3128/", "proxy.example", 3128, ""},
		{"proxy.example:1", "proxy.example", 1, ""},
		{"http://10.0.0.1:65535/path?x#y", "10.0.0.1", 65535, ""},
		{"http://[2001:db8::1]:8080", "2001:db8::1", 8080, ""},
		{"http://us%40er:se%3Acret@proxy:80", "proxy", 80, auth},
		{"http://us@er:se:cret@proxy:80", "proxy", 80, auth},
		{"http://user@[::1]:80", "::1", 80, "Basic dXNlcjo="},
		{"http://us%3Aer@proxy:80", "proxy", 80, "Basic dXM6ZXI6"},
		{"", "", 0, ""},
	};
	static const struct { const char *url, *why; } bad[] = {
		{"https://user:secret@proxy:443", "only http:// proxies"},
		{"socks5://user:secret@proxy:1080", "only http:// proxies"},
		{"http://user:secret@proxy", "port is missing"},
		{"http://user:secret@[::1]", "port is missing"},
		{"http://user:secret@proxy:", "1 to 65535"},
		{"http://user:secret@proxy:0", "1 to 65535"},
		{"http://user:secret@proxy:99999", "1 to 65535"},
		{"http://user:secret@proxy:80x", "1 to 65535"},
		{"http://user:secret@::1:80", "brackets"},
		{"http://user:secret@:80", "host is missing"},
		{"http://user:secret@[]:80", "host is missing"},
		{"http://user:secret@pro xy:80", "character"},
		{"http://user:secret@pro\nxy:80", "character"},
		{"http://user:secret%zz@proxy:80", "%25"},
		{"http://user:sec/ret@proxy:80", "1 to 65535"},
	};
	struct net_proxy p;
	struct err e = {0};
	char url[900];
	size_t i;

	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		check_int(net_proxy_parse(good[i].url, &p, &e), 0);
		check_str(p.host, good[i].host);
		check_int(p.port, good[i].port);
		check_str(p.auth, good[i].auth);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		check_int(net_proxy_parse(bad[i].url, &p, &e), -1);
		check_int(e.kind, ERR_USAGE);
		has(e.msg, bad[i].why);
		check(!strstr(e.msg, "secret") && !strstr(e.msg, "ret@"));
		check(p.port == 0 && !p.auth[0]);
	}
	snprintf(url, sizeof url, "http://u:%0400d@proxy:80", 1);
	check_int(net_proxy_parse(url, &p, &e), -1);
	snprintf(url, sizeof url, "http://%0300d:80", 1);
	check_int(net_proxy_parse(url, &p, &e), -1);
}

static void
test_no_proxy(void)
{
	static const struct { const char *list, *host; int port, want; } t[] = {
		{"", "a.example", 443, 0},
		{"*", "a.example", 443, 1},
		{"a.example", "a.example", 443, 1},
		{"A.Example", "a.eXample", 443, 1},
		{"a.example", "b.a.example", 443, 1},
		{".a.example", "b.a.example", 443, 1},
		{".a.example", "a.example", 443, 1},
		{"a.example", "ba.example", 443, 0},
		{"a.example", "example", 443, 0},
		{"a.example.", "a.example", 443, 1},
		{"a.example", "a.example.", 443, 1},
		{"x, y\ta.example ,z", "a.example", 443, 1},
		{" , ", "a.example", 443, 0},
		{".", "a.example", 443, 0},
		{"a.example:443", "a.example", 443, 1},
		{"a.example:444", "a.example", 443, 0},
		{"a.example:x", "a.example", 443, 0},
		{"127.0.0.1", "127.0.0.1", 80, 1},
		{"0.0.1", "127.0.0.1", 80, 0},
		{"10.0.0.0/8", "10.255.1.2", 80, 1},
		{"10.0.0.0/8", "11.0.0.1", 80, 0},
		{"192.168.1.64/26", "192.168.1.127", 80, 1},
		{"192.168.1.64/26", "192.168.1.128", 80, 0},
		{"0.0.0.0/0", "8.8.8.8", 80, 1},
		{"10.0.0.0/33", "10.0.0.0", 80, 0},
		{"10.0.0.0/", "10.0.0.0", 80, 0},
		{"10.0.0.0/8", "a.example", 80, 0},
		{"::1", "[::1]", 80, 1},
		{"[::1]", "::1", 80, 1},
		{"[::1]:80", "::1", 80, 1},
		{"[::1]:81", "::1", 80, 0},
		{"2001:db8::/32", "2001:db8:1::5", 80, 1},
		{"2001:db8::/33", "2001:db8:8000::5", 80, 0},
		{"2001:db8::/128", "2001:db8::", 80, 1},
		{"10.0.0.1", "::1", 80, 0},
	};
	size_t i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++)
		if (net_no_proxy(t[i].list, t[i].host, (uint16_t)t[i].port) != t[i].want)
			check_str(t[i].list, t[i].host);
		else
			check(1);
}

static void
test_loopback(void)
{
	static const char *const yes[] = {"localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.255.0.3", "::1",
		"[::1]", "0:0:0:0:0:0:0:1"};
	static const char *const no[] = {"", ".", "[]", "localhost.example", "xlocalhost", "128.0.0.1", "127.0.0.1.example",
		"::2", "::ffff:10.0.0.1", "0.0.0.0", "127.1"};
	char bare[NET_HOST_CAP], longest[NET_HOST_CAP + 1];
	size_t i;

	for (i = 0; i < sizeof yes / sizeof yes[0]; i++)
		check(net_is_loopback(yes[i]));
	for (i = 0; i < sizeof no / sizeof no[0]; i++)
		check(!net_is_loopback(no[i]));
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	check_int(net_host_bare(longest, bare), -1);
	check_int(net_host_bare(longest + 1, bare), 0);
	check_int(strlen(bare), NET_HOST_CAP - 1);
}

/* ---- the race ---- */

static void
test_interleave(void)
{
	struct sockaddr_in6 s6[3];
	struct sockaddr_in s4[2];
	struct addrinfo ai[5];
	struct race r = {0};
	char text[5][80];
	int i;

	memset(s6, 0, sizeof s6);
	memset(s4, 0, sizeof s4);
	memset(ai, 0, sizeof ai);
	for (i = 0; i < 5; i++) {
		ai[i].ai_family = i < 2 ? AF_INET : AF_INET6;
		if (i < 2) {
			s4[i].sin_family = AF_INET;
			s4[i].sin_addr.s_addr = htonl((uint32_t)i);
			ai[i].ai_addr = (struct sockaddr *)&s4[i];
			ai[i].ai_addrlen = sizeof s4[i];
		} else {
			s6[i - 2].sin6_family = AF_INET6;
			s6[i - 2].sin6_addr.s6_addr[15] = (uint8_t)i;
			ai[i].ai_addr = (struct sockaddr *)&s6[i - 2];
			ai[i].ai_addrlen = sizeof s6[0];
		}
		ai[i].ai_next = i < 4 ? &ai[i + 1] : NULL;
	}
	add_interleaved(&r, ai, 7);
	check_int(r.count, 5);
	for (i = 0; i < 5; i++)
		addr_text(&r.a[i], text[i], sizeof text[i]);
	check_str(text[0], "[::2]:7");
	check_str(text[1], "0.0.0.0:7");
	check_str(text[2], "[::3]:7");
	check_str(text[3], "0.0.0.1:7");
	check_str(text[4], "[::4]:7");
	for (i = 0; i < 20; i++)
		add_interleaved(&r, ai, 7);
	check_int(r.count, ADDR_MAX);
}

static void
add_v4(struct race *r, const char *ip, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	inet_pton(AF_INET, ip, &in.sin_addr);
	add_addr(r, &in, sizeof in, port);
}

/* An address that neither answers nor refuses: a listener whose queue is full. */
static int
deaf(int *fill, const char *ip, uint16_t port)
{
	int fd = listen_on(ip, port, 0), i;
	struct sockaddr_in6 to = {0};
	socklen_t len = sizeof to;

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&to, &len) < 0)
		return -1;
	for (i = 0; i < 3; i++) {
		fill[i] = socket(to.sin6_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill[i], (struct sockaddr *)&to, len);
	}
	/* The first is in the queue for sure when it is connected; the kernel takes one more than asked for. */
	poll(&(struct pollfd){.fd = fill[0], .events = POLLOUT}, 1, 5000);
	return fd;
}

static void
close_all(const struct race *r)
{
	int i;

	for (i = 0; i < r->started; i++)
		if (r->a[i].fd >= 0)
			close(r->a[i].fd);
}

static void
test_race(void)
{
	const struct net_peer who = {"", "a.example", "R2_ENDPOINT", 0, NULL};
	uint16_t deaf_port, open_port, closed_port;
	int fill[3], deaf_fd = deaf(fill, "127.0.0.2", 0), fd = listen_on("127.0.0.1", 0, 5), closed = listen_on("127.0.0.3", 0, -1);
	struct race r = {.deadline_ms = clock_ms() + 20000};
	struct attempt *won;
	struct err e = {0};
	int64_t begin;
	int i;

	deaf_port = port_of(deaf_fd);
	open_port = port_of(fd);
	closed_port = port_of(closed);
	/* The deaf one gets its 250 ms, then the next is tried while it is still pending. */
	add_v4(&r, "127.0.0.2", deaf_port);
	add_v4(&r, "127.0.0.1", open_port);
	add_v4(&r, "127.0.0.3", closed_port);
	begin = clock_ms();
	won = race_run(&r);
	check(won == &r.a[1] && r.started == 2 && r.a[0].fd >= 0);
	check(clock_ms() - begin >= STAGGER_MS);
	close_all(&r);
	/* One that refuses is followed at once. */
	memset(&r, 0, sizeof r);
	r.deadline_ms = clock_ms() + 20000;
	add_v4(&r, "127.0.0.3", closed_port);
	add_v4(&r, "127.0.0.1", open_port);
	won = race_run(&r);
	check(won == &r.a[1] && r.a[0].why == ECONNREFUSED);
	close_all(&r);
	/* None: each address with its own reason. */
	memset(&r, 0, sizeof r);
	r.deadline_ms = clock_ms() + 1000;
	add_v4(&r, "127.0.0.3", closed_port);
	add_v4(&r, "127.0.0.2", deaf_port);
	check(race_run(&r) == NULL);
	check_int(race_fail(&r, &who, &e), -1);
	check_int(e.kind, ERR_CONNECT);
	has(e.msg, "cannot connect to a.example: 127.0.0.3:");
	has(e.msg, " Connection refused, 127.0.0.2:");
	has(e.msg, " timed out: check the network");
	close_all(&r);
	for (i = 0; i < 3; i++)
		close(fill[i]);
	close(deaf_fd);
	close(closed);
	close(fd);
}

/* The lowest descriptor that is free. */
static int
free_fd(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 0);

	close(fd);
	return fd;
}

/* ::1 says nothing, 127.0.0.1 answers: the first attempt does not stay open beside the second. */
static void
test_losers(void)
{
	int fill[3] = {-1, -1, -1}, fd = listen_on("127.0.0.1", 0, 5), fd6 = deaf(fill, "::1", port_of(fd)), before = free_fd();
	struct net n = {.fd = -1};
	struct err e = {0};

	check_int(net_dial(&n, "localhost", port_of(fd), NULL, 20000, &e), 0);
	has(n.peer, "127.0.0.1:");
	net_close(&n);
	check_int(free_fd(), before);
	for (int i = 0; i < 3; i++)
		close(fill[i]);
	close(fd6);
	close(fd);
}

static void
test_names(void)
{
	const struct net_peer who = {"", "a.example", "R2_ENDPOINT", 0, NULL}, via = {"proxy ", "p", "HTTPS_PROXY", 0, NULL};
	struct net n = {.fd = -1};
	struct err e = {0};

	check_int(net_dial(&n, "", 443, NULL, 1000, &e), -1);
	check_int(e.kind, ERR_NAME);
	check_int(n.fd, -1);
	check_int(net_dial(&n, "fe80::zz", 443, NULL, 1000, &e), -1);
	check_int(e.kind, ERR_NAME);
	name_fail(&who, EAI_NONAME, 0, &e);
	has(e.msg, access("/etc/resolv.conf", R_OK) ? "mount or write one" : "check the spelling in R2_ENDPOINT");
	name_fail(&via, EAI_NONAME, 0, &e);
	has(e.msg, access("/etc/resolv.conf", R_OK) ? "mount or write one" : "check the spelling in HTTPS_PROXY");
	name_fail(&who, EAI_AGAIN, 0, &e);
	has(e.msg, access("/etc/resolv.conf", R_OK) ? "mount or write one" : "do not answer");
}

/* Servers that know no IPv6 address but the other one, whatever they say; and those that say it late. */
static void
test_name_servers(void)
{
	static const char *const names[] = {"fails.test", "nx.test", "late.test"};
	int fd = listen_on("127.0.0.1", 0, 5);
	struct net n = {.fd = -1};
	struct err e = {0};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		check_int(net_dial(&n, names[i], port_of(fd), NULL, 20000, &e), 0);
		net_close(&n);
	}
	check_int(late_ms, 60000);
	late_ms = 0;
	check_int(net_dial(&n, "none.test", port_of(fd), NULL, 20000, &e), -1);
	check_int(e.kind, ERR_NAME);
	close(fd);
}

static void
test_dial(void)
{
	int fd = listen_on("127.0.0.1", 0, 5), closed = listen_on("127.0.0.1", 0, -1), fd6;
	uint16_t port = port_of(fd);
	char want[80];
	struct net n = {.fd = -1};
	struct err e = {0};

	snprintf(want, sizeof want, "127.0.0.1:%u", port);
	check_int(net_dial(&n, "127.0.0.1", port, NULL, 5000, &e), 0);
	check_str(n.peer, want);
	check_int(fcntl(n.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	check_int(fcntl(n.fd, F_GETFD), FD_CLOEXEC);
	net_close(&n);
	check_int(n.fd, -1);
	net_close(&n);
	/* ::1 refuses, 127.0.0.1 answers. */
	check_int(net_dial(&n, "files.localhost.", port, &(struct net_proxy){.port = 0}, 5000, &e), 0);
	check_str(n.peer, want);
	net_close(&n);
	fd6 = listen_on("::1", port, 5);
	if (fd6 >= 0) {
		check_int(net_dial(&n, "[::1]", port, NULL, 5000, &e), 0);
		check_int(net_dial(&n, "localhost", port, NULL, 5000, &e), 0);
		snprintf(want, sizeof want, "[::1]:%u", port);
		check_str(n.peer, want);
		net_close(&n);
		close(fd6);
	}
	close(fd);
	port = port_of(closed);
	check_int(net_dial(&n, "localhost", port, NULL, 5000, &e), -1);
	check_int(e.kind, ERR_CONNECT);
	snprintf(want, sizeof want, "127.0.0.1:%u Connection refused", port);
	has(e.msg, want);
	check_int(n.fd, -1);
	close(closed);
}

/* ---- an established connection ---- */

/* n is connected to the returned descriptor. */
static int
pair(struct net *n, int timeout_ms)
{
	int fd = listen_on("127.0.0.1", 0, 5), other;
	struct err e = {0};

	check_int(net_dial(n, "127.0.0.1", port_of(fd), NULL, 20000, &e), 0);
	n->timeout_ms = timeout_ms;
	other = accept(fd, NULL, NULL);
	close(fd);
	return other;
}

static void
tick(int sig)
{
	(void)sig;
}

static void
test_io(void)
{
	struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	static char big[1 << 16];
	struct err e = {0};
	struct net n = {.fd = -1};
	int64_t begin;
	int other = pair(&n, 120), stop = 1;
	char c;

	check_int(net_recv(&n, &c, 1, &e), NET_AGAIN);
	check_int(net_poll(&n, NET_IN, 0), 0);
	check_int(net_poll(&n, NET_OUT, 0), NET_OUT);
	check_int(net_wait(&n, NET_IN | NET_OUT, &e), NET_OUT);
	/* A deadline is kept though signals interrupt the wait. */
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = tick}, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	begin = clock_ms();
	check_int(net_wait(&n, NET_IN, &e), -1);
	check(clock_ms() - begin >= 119);
	setitimer(ITIMER_REAL, &never, NULL);
	check_int(e.kind, ERR_NET);
	has(e.msg, "no progress for 0.1 s: timed out");
	has(e.msg, n.peer);
	/* Whoever is to stop does not wait for it. */
	n.stop = &stop;
	n.timeout_ms = 20000;
	check_int(net_wait(&n, NET_IN, &e), -1);
	check_int(e.kind, ERR_STOPPED);
	n.stop = NULL;
	n.timeout_ms = 120;
	check_int(write(other, "x", 1), 1);
	check_int(net_wait(&n, NET_IN, &e), NET_IN);
	check_int(net_recv(&n, &c, 1, &e), 1);
	while (net_send(&n, big, sizeof big, &e) > 0)
		;
	check_int(net_send(&n, big, sizeof big, &e), NET_AGAIN);
	check_int(net_poll(&n, NET_OUT, 0), 0);
	/* Closed with data unread: RST. */
	close(other);
	check(net_wait(&n, NET_OUT, &e) & NET_IN);
	check_int(net_recv(&n, &c, 1, &e), -1);
	check_int(e.kind, ERR_NET);
	has(e.msg, "Connection reset");
	/* No SIGPIPE: we are still here. */
	check_int(net_send(&n, "x", 1, &e), -1);
	check_int(e.kind, ERR_NET);
	net_close(&n);
	other = pair(&n, 5000);
	close(other);
	check_int(net_wait(&n, NET_IN, &e), NET_IN);
	check_int(net_recv(&n, &c, 1, &e), 0);
	net_close(&n);
}

/* Fewer bytes than expected are nothing to read, but not for ever. */
static void
test_expect(void)
{
	static char some[1000], many[64 * 1024];
	struct err e = {0};
	struct net n = {.fd = -1};
	int other = pair(&n, 20000);

	net_expect(&n, sizeof many);
	check_int(write(other, some, sizeof some), sizeof some);
	check_int(net_poll(&n, NET_IN, 0), 0);
	check_int(write(other, many, sizeof many), sizeof many);
	check_int(net_poll(&n, NET_IN, 10000), NET_IN);
	while (net_recv(&n, many, sizeof many, &e) > 0)
		;
	check_int(write(other, some, sizeof some), sizeof some);
	check_int(net_wait(&n, NET_IN, &e), NET_IN);
	check_int(net_recv(&n, some, sizeof some, &e), sizeof some);
	net_expect(&n, sizeof many);
	check_int(write(other, some, 1), 1);
	close(other);
	check_int(net_poll(&n, NET_IN, 10000), NET_IN);
	net_close(&n);
}

enum { PATIENCE_MS = 4000 };

/* The other end of a slow line: takes a little now and then, for longer than anybody waits for nothing, and then answers. */
static void *
take_slowly(void *arg)
{
	static char some[16 * 1024];
	int fd = *(int *)arg;
	int64_t end = clock_ms() + 2 * PATIENCE_MS;

	while (clock_ms() < end && recv(fd, some, sizeof some, MSG_DONTWAIT) > 0)
		clock_pause(NULL, 100);
	return write(fd, "x", 1) == 1 ? arg : NULL;
}

/* What the peer takes of what was sent is progress, also while an answer is waited for. */
static void
test_slow_line(void)
{
	static char big[1 << 16];
	struct err e = {0};
	struct net n = {.fd = -1};
	pthread_t thread;
	void *answered;
	int other = pair(&n, PATIENCE_MS), room = 64 * 1024;

	/* So little that each piece that is taken lets the next one come. */
	setsockopt(other, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	while (net_send(&n, big, sizeof big, &e) > 0)
		;
	net_limit(&n, 1);
	pthread_create(&thread, NULL, take_slowly, &other);
	check_int(net_wait(&n, NET_IN, &e), NET_IN);
	pthread_join(thread, &answered);
	check(answered == &other);
	check(n.until_ms > clock_ms());
	close(other);
	net_close(&n);
}

/* ---- the proxy ---- */

struct proxy {
	pthread_t thread;
	int listener;
	const char *reply;
	size_t len;
	int *stop;          /* set once it was asked, or NULL */
	char request[4096];
};

static void *
proxy_run(void *arg)
{
	struct proxy *p = arg;
	int fd = accept(p->listener, NULL, NULL);
	size_t n = 0;
	ssize_t r;

	while (!strstr(p->request, "\r\n\r\n") && (r = read(fd, p->request + n, sizeof p->request - 1 - n)) > 0)
		n += (size_t)r;
	if (p->stop)
		__atomic_store_n(p->stop, 1, __ATOMIC_RELAXED);
	/* MSG_NOSIGNAL: the client may have heard enough. */
	send(fd, p->reply, p->len, MSG_NOSIGNAL);
	if (p->len)
		shutdown(fd, SHUT_WR);
	while (read(fd, p->request + n, sizeof p->request - 1 - n) > 0)
		;
	close(fd);
	return NULL;
}

/* Ask for host:443 through a proxy that answers so; what it was asked, in p->request. */
static int
dial_via(struct proxy *p, struct net *n, const char *host, const char *secret, struct err *e)
{
	struct net_proxy np = {.host = "127.0.0.1"};
	int r;

	memset(p->request, 0, sizeof p->request);
	p->listener = listen_on("127.0.0.1", 0, 5);
	np.port = port_of(p->listener);
	snprintf(np.auth, sizeof np.auth, "%s", secret);
	pthread_create(&p->thread, NULL, proxy_run, p);
	r = net_dial(n, host, 443, &np, p->len ? 5000 : 150, e);
	if (r == 0)
		return r;   /* the caller reads on; the thread ends with the connection */
	check_int(n->fd, -1);
	check_int(e->kind, ERR_CONNECT);
	check_int(e->status, strstr(p->reply, " 407 ") || strstr(p->reply, " 401 ") ? 407 : 0);
	check(!strstr(e->msg, "dXNA"));
	has(e->msg, "proxy 127.0.0.1:");
	pthread_join(p->thread, NULL);
	close(p->listener);
	return r;
}

static void
proxy_refuses(const char *reply, const char *secret, const char *why)
{
	static struct proxy p;
	struct err e = {0};
	struct net n = {.fd = -1};

	p.reply = reply;
	p.len = strlen(reply);
	check_int(dial_via(&p, &n, "a.example", secret, &e), -1);
	has(e.msg, why);
}

static void
proxy_agrees(const char *reply, const char *host, const char *secret, const char *want_request)
{
	static struct proxy p;
	struct err e = {0};
	char tunnel[64] = "";
	size_t len = 0;
	struct net n = {.fd = -1};
	ssize_t r;

	p.reply = reply;
	p.len = strlen(reply);
	check_int(dial_via(&p, &n, host, secret, &e), 0);
	while (net_wait(&n, NET_IN, &e) > 0 && (r = net_recv(&n, tunnel + len, sizeof tunnel - 1 - len, &e)) > 0)
		len += (size_t)r;
	check_str(tunnel, "first bytes\r\n\r\nof the tunnel");
	net_close(&n);
	pthread_join(p.thread, NULL);
	check_str(p.request, want_request);
	close(p.listener);
}

/* Whoever is to stop does not wait for a proxy that is silent. */
static void
test_proxy_and_stop(void)
{
	static struct proxy p = {.reply = ""};
	struct net_proxy np = {.host = "127.0.0.1"};
	struct err e = {0};
	int stop = 0;
	struct net n = {.fd = -1, .stop = &stop};
	int64_t begin = clock_ms();

	p.stop = &stop;
	p.listener = listen_on("127.0.0.1", 0, 5);
	np.port = port_of(p.listener);
	pthread_create(&p.thread, NULL, proxy_run, &p);
	check_int(net_dial(&n, "a.example", 443, &np, 10000, &e), -1);
	check_int(e.kind, ERR_STOPPED);
	check(clock_ms() - begin < 5000);
	pthread_join(p.thread, NULL);
	close(p.listener);
}

static void
test_proxy(void)
{
	static char large[9000];

	proxy_agrees("HTTP/1.1 200 OK\r\n\r\nfirst bytes\r\n\r\nof the tunnel", "a.example.", auth,
		"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nProxy-Authorization: Basic dXNAZXI6c2U6Y3JldA==\r\n\r\n");
	/* RFC 9110 section 9.3.6: a length in a 2xx answer to CONNECT means nothing. */
	proxy_agrees("HTTP/1.0 299 \r\nContent-Length: 5\r\n\r\nfirst bytes\r\n\r\nof the tunnel", "::1", "",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
	proxy_agrees("HTTP/1.1 200\r\n\r\nfirst bytes\r\n\r\nof the tunnel", "[::1]", "",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
	proxy_refuses("HTTP/1.1 407 Authenticate\r\n\r\n", "", " asks for a user name and password: set them in HTTPS_PROXY");
	proxy_refuses("HTTP/1.1 407 Authenticate\r\n\r\n", auth, " refuses the user name and password in HTTPS_PROXY");
	proxy_refuses("HTTP/1.0 401 Unauthorized\r\n\r\n", auth, " refuses the user name and password in HTTPS_PROXY");
	proxy_refuses("HTTP/1.1 503 Not \x1b[2Jnow\r\nA: b\r\n\r\n", auth, " refuses the connection to a.example:443: HTTP/1.1 503 Not \\x1b[2Jnow: check R2_ENDPOINT");
	proxy_refuses("HTTP/1.1 2000 OK\r\n\r\n", auth, " refuses the connection to a.example:443: HTTP/1.1 2000 OK");
	proxy_refuses("HTTP/1.1x200 OK\r\n\r\n", auth, " refuses the connection");
	proxy_refuses("HTTP/1.\r\n\r\n", auth, " refuses the connection");
	proxy_refuses("\x15\x03\x01", auth, " does not speak HTTP");
	proxy_refuses("SSH-2.0-OpenSSH\r\n", auth, " does not speak HTTP");
	proxy_refuses("HTTP/1.1 200 OK\r\n", auth, " closed the connection without an answer");
	proxy_refuses("", auth, " does not answer: timed out");
	memset(large, 'a', sizeof large - 1);
	memcpy(large, "HTTP/1.1 200 OK\r\nA: ", 20);
	proxy_refuses(large, auth, " answers with a header block over 8192 bytes");
}

int
main(void)
{
	test_proxy_parse();
	test_no_proxy();
	test_loopback();
	test_interleave();
	test_race();
	test_losers();
	test_names();
	test_name_servers();
	test_dial();
	test_io();
	test_expect();
	test_slow_line();
	test_proxy();
	test_proxy_and_stop();
	return test_end();
}
