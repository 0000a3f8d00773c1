#pragma once
/* For t_http*.c: a scripted server in a thread, the client's one connection to it, and a wire that can be disturbed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "test.h"
#include "http.h"

/* The wire is compiled into this test over a net that can be told to hand out single bytes, to stop at one place,
   and to fail a send. */
static size_t recv_limit, recv_split, received;
static int sends_left = -1;   /* then sending fails, */
static int prompt[2];         /* once the server, prompted by this pipe, has spoken */

static inline ssize_t
test_recv(struct net *n, void *buf, size_t len, struct err *e)
{
	ssize_t got;

	if (recv_limit && len > recv_limit)
		len = recv_limit;
	if (received < recv_split && len > recv_split - received)
		len = recv_split - received;
	got = net_recv(n, buf, len, e);
	if (got > 0)
		received += (size_t)got;
	return got;
}

static inline ssize_t
test_send(struct net *n, const void *buf, size_t len, struct err *e)
{
	if (!sends_left) {
		check_int(write(prompt[1], "", 1), 1);
		check(net_poll(n, NET_IN, 10000));
		return fail(e, ERR_NET, "send: told to fail");
	}
	if (sends_left > 0)
		sends_left--;
	return net_send(n, buf, len, e);
}

#define net_recv test_recv
#define net_send test_send
#include "../lib/http_wire.c"
#undef net_recv
#undef net_send

/* ---- a server that plays a scene in its own thread, driven by what the client does */

struct scene {
	void (*play)(struct scene *s);
	const char *bytes;         /* what play_say answers */
	size_t n;
	int listener;
	uint16_t port;
	pthread_t thread;
	int over[2];               /* a pipe that scene_close closes */
	/* What it saw. */
	char head[65536];          /* the last request's header */
	uint64_t body_len;         /* of the last request */
	unsigned body_sum;
	int requests;
};

static inline void *
scene_run(void *arg)
{
	struct scene *s = arg;

	s->play(s);
	return NULL;
}

static inline void
scene_open(struct scene *s, void (*play)(struct scene *))
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;

	s->play = play;
	s->requests = 0;
	s->body_len = 0;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s->listener, (struct sockaddr *)&a, sizeof a) || listen(s->listener, 16) ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) ||
	    pipe(s->over) || pthread_create(&s->thread, NULL, scene_run, s)) {
		perror("scene");
		exit(1);
	}
	s->port = ntohs(a.sin_port);
}

static inline void
scene_close(struct scene *s)
{
	shutdown(s->listener, SHUT_RDWR);   /* ends an accept that nobody will answer */
	close(s->over[1]);
	pthread_join(s->thread, NULL);
	close(s->over[0]);
	close(s->listener);
}

static inline int
hear(struct scene *s)
{
	int fd = accept(s->listener, NULL, NULL), on = 1;

	/* Head and body may be two sends: without this the second one waits for the client's delayed acknowledgement, 40 ms. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static inline void
say_n(int fd, const char *p, size_t n)
{
	ssize_t r;

	for (; n && (r = send(fd, p, n, MSG_NOSIGNAL)) > 0; n -= (size_t)r)
		p += r;
}

static inline void
say(int fd, const char *s)
{
	say_n(fd, s, strlen(s));
}

/* The request's header, to the byte; 0 when the client is gone. */
static inline int
read_request_head(struct scene *s, int fd)
{
	size_t n = 0;

	while (n < 4 || memcmp(s->head + n - 4, "\r\n\r\n", 4))
		if (n == sizeof s->head - 1 || recv(fd, s->head + n, 1, 0) != 1)
			return 0;
		else
			n++;
	s->head[n] = '\0';
	s->requests++;
	return 1;
}

static inline void
read_request_body(struct scene *s, int fd)
{
	static char p[65536];
	const char *field = strstr(s->head, "Content-Length: ");
	uint64_t left = field ? strtoull(field + 16, NULL, 10) : 0;
	ssize_t r = 0, i;

	s->body_len = 0;
	s->body_sum = 0;
	for (; left && (r = recv(fd, p, left < sizeof p ? (size_t)left : sizeof p, 0)) > 0; left -= (uint64_t)r) {
		for (i = 0; i < r; i++)
			s->body_sum = s->body_sum * 31 + (unsigned char)p[i];
		s->body_len += (uint64_t)r;
	}
}

static inline int
read_request(struct scene *s, int fd)
{
	if (!read_request_head(s, fd))
		return 0;
	read_request_body(s, fd);
	return 1;
}

/* FIN, then wait for the client's. */
static inline void
hang_up(int fd)
{
	static char p[65536];

	shutdown(fd, SHUT_WR);
	while (recv(fd, p, sizeof p, 0) > 0)
		;
	close(fd);
}

static inline void
slam(int fd)
{
	struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

/* Keep the connection, without reading, until the test is over. */
static inline void
sit(struct scene *s, int fd)
{
	char c;

	while (read(s->over[0], &c, 1) > 0)
		;
	close(fd);
}

static inline void
play_say(struct scene *s)
{
	int fd = hear(s);

	if (fd < 0)
		return;
	if (read_request(s, fd))
		say_n(fd, s->bytes, s->n);
	hang_up(fd);
}

/* ---- the client's side */

static struct http h;
static struct scene scene;
static struct http_reply rp;
static struct err err;
static const struct pair host_field[] = {{"Host", "example.test"}};

static inline void
client(const struct scene *s)
{
	memset(&h, 0, sizeof h);
	http_init(&h, &(struct http_server){.host = "127.0.0.1", .port = s->port, .timeout_ms = 20000});
	memset(&err, 0, sizeof err);
	received = 0;
}

static inline int
send_body_of(const char *method, const struct http_body *body)
{
	return http_send(&h, &(struct http_request){method, "/x", host_field, 1, body}, &rp, &err);
}

static inline int
get(void)
{
	return send_body_of("GET", NULL);
}

static char body[1 << 20];
static size_t body_len;

/* The reply's body to its end: what the last http_read said. */
static inline ssize_t
drain(size_t piece)
{
	ssize_t n = 0;

	body_len = 0;
	while (body_len + piece < sizeof body && (n = http_read(&h, body + body_len, piece, &err)) > 0)
		body_len += (size_t)n;
	body[body_len] = '\0';
	return n;
}

static int kept;   /* whether the connection could have gone on */

/* One exchange with a server that answers these bytes and hangs up: 0, or -1 from wherever. */
static inline int
exchange_bytes(const char *method, const char *bytes, size_t n)
{
	int r;

	scene.bytes = bytes;
	scene.n = n;
	scene_open(&scene, play_say);
	client(&scene);
	body_len = 0;
	r = send_body_of(method, NULL);
	if (!r)
		r = (int)drain(4096);
	kept = h.keep;
	http_finish(&h);
	http_close(&h);
	scene_close(&scene);
	return r;
}

#define accepts(bytes, status, text) accepts_at(__LINE__, bytes, status, text)
#define refuses(bytes, kind) refuses_at(__LINE__, bytes, kind)

static inline void
accepts_at(int line, const char *bytes, int status, const char *text)
{
	int r = exchange_bytes("GET", bytes, strlen(bytes));

	check_int(r, 0);
	check_int(rp.status, status);
	check_str(body, text);
	if (r || rp.status != status || strcmp(body, text))
		fprintf(stderr, "  from line %d: %s\n", line, err.msg);
}

static inline void
refuses_at(int line, const char *bytes, enum err_kind kind)
{
	int r = exchange_bytes("GET", bytes, strlen(bytes));

	check_int(r, -1);
	check_int(err.kind, kind);
	check(!strpbrk(err.msg, "\r\n"));
	if (r != -1 || err.kind != kind)
		fprintf(stderr, "  from line %d: %s\n", line, err.msg);
}

#define OK "HTTP/1.1 200 OK\r\n"
#define TE OK "Transfer-Encoding: chunked\r\n\r\n"

static char big[1 << 20];
static struct buf text;

static inline void
repeat(const char *s, size_t n)
{
	while (n--)
		buf_str(&text, s);
}

static inline const char *
start(const char *s)
{
	text = (struct buf)BUF(big);
	buf_str(&text, s);
	return big;
}
