/* What is asked, on which connection, and what happens when either side breaks off. */
#include "http_scene.h"

static size_t dribbles;

/* ---- what goes out */

struct source {
	uint64_t len, shrinks_at, fails_at, asked;
	int calls;
	void (*hook)(void);
};

static unsigned char
source_byte(uint64_t off)
{
	return (unsigned char)(off * 7 + off / 251);
}

static ssize_t
source_read(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	struct source *s = arg;
	size_t i;

	if (off && off != s->asked)
		check(!"offsets follow each other");
	s->calls++;
	if (s->fails_at && off >= s->fails_at)
		return fail(e, ERR_LOCAL, "read x: Input/output error");
	if (s->shrinks_at && off + n > s->shrinks_at)
		n = off < s->shrinks_at ? (size_t)(s->shrinks_at - off) : 0;
	for (i = 0; i < n; i++)
		((unsigned char *)p)[i] = source_byte(off + i);
	s->asked = off + n;
	return (ssize_t)n;
}

static unsigned
source_sum(uint64_t len)
{
	unsigned sum = 0;
	uint64_t i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + source_byte(i);
	return sum;
}

static int
put_source(struct source *s)
{
	struct http_body b = {s->len, source_read, s};

	return send_body_of("PUT", &b);
}

static void
play_ok_forever(struct scene *s)
{
	int fd = hear(s);

	while (fd >= 0 && read_request(s, fd))
		say(fd, OK "Content-Length: 2\r\n\r\nhi");
	if (fd >= 0)
		close(fd);
}

static void
test_request_bytes(void)
{
	static const struct pair fields[] = {{"Host", "h:1"}, {"x-amz-date", "now"}, {"X-Empty", ""}, {"x-u", "\xc3\xa9\t"},
		{"x-amz-security-token", "a-secret-token"}};
	struct source s = {.len = 5}, none = {.len = 0};
	struct http_body b = {5, source_read, &s}, empty = {0, source_read, &none};

	scene_open(&scene, play_ok_forever);
	client(&scene);
	check_int(http_send(&h, &(struct http_request){"PUT", "/b/k%20?x=1", fields, 5, &b}, &rp, &err), 0);
	check_str(scene.head, "PUT /b/k%20?x=1 HTTP/1.1\r\nHost: h:1\r\nx-amz-date: now\r\nX-Empty: \r\nx-u: \xc3\xa9\t\r\n"
		"x-amz-security-token: a-secret-token\r\nContent-Length: 5\r\n\r\n");
	check_int(scene.body_len, 5);
	check_int(get(), 0);
	check_str(scene.head, "GET /x HTTP/1.1\r\nHost: example.test\r\n\r\n");
	check_int(send_body_of("DELETE", NULL), 0);
	check(!strstr(scene.head, "Content-Length"));
	check_int(send_body_of("POST", NULL), 0);
	check(strstr(scene.head, "Content-Length: 0\r\n"));
	check_int(send_body_of("PUT", NULL), 0);
	check(strstr(scene.head, "Content-Length: 0\r\n"));
	check_int(send_body_of("PUT", &empty), 0);
	check(strstr(scene.head, "Content-Length: 0\r\n"));
	check_int(none.calls, 0);
	check_int(h.connects, 1);
	check(!memmem(h.block, sizeof h.block, "a-secret-token", 14));
	http_close(&h);
	check(!memmem(&h, sizeof h, "a-secret-token", 14));
	scene_close(&scene);
}

static void
test_request_checks(void)
{
	static const struct pair fields[] = {{"A\r\nB", "c"}, {"A ", "c"}, {"", "c"}, {"A", "b\r\nC: d"}, {"A", "b\nc"},
		{"A", "b\rc"}, {"A", "b\x01"}};
	static const struct http_request bad[] = {
		{"GE T", "/", NULL, 0, NULL}, {"", "/", NULL, 0, NULL}, {"GET\r\nX: y", "/", NULL, 0, NULL},
		{"GET", "/ x", NULL, 0, NULL}, {"GET", "", NULL, 0, NULL}, {"GET", "/\r\nX: y", NULL, 0, NULL},
		{"GET", "/\tx", NULL, 0, NULL}, {"GET", "/\x7f", NULL, 0, NULL},
		{"GET", "/", fields + 0, 1, NULL}, {"GET", "/", fields + 1, 1, NULL}, {"GET", "/", fields + 2, 1, NULL},
		{"GET", "/", fields + 3, 1, NULL}, {"GET", "/", fields + 4, 1, NULL}, {"GET", "/", fields + 5, 1, NULL},
		{"GET", "/", fields + 6, 1, NULL},
	};
	size_t i;

	scene_open(&scene, play_ok_forever);
	client(&scene);
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		check_int(http_send(&h, &bad[i], &rp, &err), -1);
		check_int(err.kind, ERR_PROTO);
		check(!strpbrk(err.msg, "\r\n"));
	}
	check_int(h.connects, 0);
	start("");
	repeat("x", HTTP_BLOCK_MAX);
	check_int(http_send(&h, &(struct http_request){"GET", "/", &(struct pair){"A", big}, 1, NULL}, &rp, &err), -1);
	check_int(err.kind, ERR_PROTO);
	check_int(h.open, 0);
	scene_close(&scene);
}

/* A header larger than one record, and a body of many. */
static void
test_large_request(void)
{
	struct source s = {.len = 3000001};
	struct http_body b = {s.len, source_read, &s};

	start("");
	repeat("x", 20000);
	scene_open(&scene, play_ok_forever);
	client(&scene);
	check_int(http_send(&h, &(struct http_request){"PUT", "/", &(struct pair){"A", big}, 1, &b}, &rp, &err), 0);
	check_int(scene.body_len, s.len);
	check_int(scene.body_sum, source_sum(s.len));
	check(strstr(scene.head, big));
	check_int(drain(1), 0);
	check_str(body, "hi");
	check_int(h.keep, 1);
	http_close(&h);
	scene_close(&scene);
}

/* ---- one connection, several exchanges */

static void
play_reply_body(struct scene *s)
{
	static char zeros[100000];
	int fd, n = 0;

	while ((fd = hear(s)) >= 0) {
		while (read_request(s, fd)) {
			n++;
			if (n == 1) {
				say(fd, OK "Content-Length: 10000\r\n\r\n");
				say_n(fd, zeros, 10000);
			} else if (n == 2) {
				say(fd, TE "2710\r\n");
				say_n(fd, zeros, 10000);
				say(fd, "\r\n0\r\n\r\n");
			} else if (n == 3) {
				say(fd, OK "Content-Length: 100000\r\n\r\n");
				say_n(fd, zeros, 100000);
			} else {
				say(fd, OK "Content-Length: 0\r\n\r\n");
			}
		}
		close(fd);
	}
}

static void
test_unread_bodies(void)
{
	scene_open(&scene, play_reply_body);
	client(&scene);
	check_int(get(), 0);
	check_int(get(), 0);
	check_int(get(), 0);
	check_int(h.connects, 1);
	check_int(get(), 0);            /* 100 kB are more than it is worth */
	check_int(h.connects, 2);
	check_int(rp.resent, 0);
	http_finish(&h);
	check_int(h.open, 1);
	http_finish(&h);
	http_close(&h);
	http_close(&h);
	check_int((int)http_read(&h, body, 1, &err), -1);
	scene_close(&scene);
}

/* What is left of a body in many small chunks would be taken for the next answer. */
static void
test_unread_chunks(void)
{
	start(TE);
	repeat("1\r\nx\r\n", 32);          /* as many reads as it is worth, so that no more has to have come */
	scene.bytes = text.p;
	scene.n = text.len;
	scene_open(&scene, play_say);
	client(&scene);
	check_int(get(), 0);
	http_finish(&h);
	check_int(h.open, 0);
	http_close(&h);
	scene_close(&scene);
}

/* Replies after which the connection must not be used again. */
static void
test_not_kept(void)
{
	static const char *const replies[] = {
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		OK "Connection: close\r\nContent-Length: 0\r\n\r\n",
		OK "Connection: x , Close\r\nContent-Length: 0\r\n\r\n",
		OK "Connection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK "\r\n",
	};
	size_t i;

	for (i = 0; i < sizeof replies / sizeof *replies; i++) {
		scene.bytes = replies[i];
		scene.n = strlen(replies[i]);
		scene_open(&scene, play_say);
		client(&scene);
		check_int(get(), 0);
		check_int(h.keep, 0);
		check_int(drain(100), 0);
		http_finish(&h);
		check_int(h.open, 0);
		scene_close(&scene);
	}
	accepts(OK "Connection: closed, not-close\r\nContent-Length: 0\r\n\r\n", 200, "");
	check_int(kept, 1);
	accepts(TE "0\r\n\r\n", 200, "");
	check_int(kept, 1);
	accepts("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "");
	check_int(kept, 1);
	accepts("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 304, "");
	check_int(kept, 1);
	check_int(exchange_bytes("HEAD", TE, sizeof TE - 1), 0);
	check_int(kept, 1);
}

static int say_and_listen;

/* Answers one request, reads `say_and_listen` more on the same connection without an answer, and closes; then
   answers on the next connections. */
static void
play_die(struct scene *s)
{
	int fd = hear(s), i;

	if (fd < 0)
		return;
	read_request(s, fd);
	say(fd, OK "Content-Length: 5\r\n\r\nfirst");
	for (i = 0; i < say_and_listen; i++)
		read_request(s, fd);
	if (s->bytes) {
		say(fd, s->bytes);
		hang_up(fd);
	} else {
		slam(fd);
	}
	while ((fd = hear(s)) >= 0) {
		if (read_request(s, fd))
			say(fd, OK "Content-Length: 6\r\n\r\nsecond");
		hang_up(fd);
	}
}

/* A second request on a connection whose server closes (bytes: first says that; NULL: RST) after reading it. */
static int
second_request(const char *bytes, int listens, struct source *s)
{
	scene.bytes = bytes;
	say_and_listen = listens;
	scene_open(&scene, play_die);
	client(&scene);
	check_int(get(), 0);
	check_int(drain(100), 0);
	check_str(body, "first");
	if (!listens)
		check(net_poll(&h.net, NET_IN, 10000));   /* until what was said has come */
	return s ? put_source(s) : get();
}

static void
expect_second(int r, int resent, int connects)
{
	check_int(r, 0);
	check_int(rp.resent, resent);
	check_int(h.connects, connects);
	check_int(drain(100), 0);
	check_str(body, "second");
	http_close(&h);
	scene_close(&scene);
}

static void
test_resend(void)
{
	struct source s = {.len = 100000};

	expect_second(second_request("", 1, NULL), 1, 2);
	expect_second(second_request(NULL, 1, NULL), 1, 2);
	expect_second(second_request("", 1, &s), 1, 2);
	check_int(scene.body_len, s.len);
	check_int(scene.body_sum, source_sum(s.len));
	/* Seen dead, or dirty, before anything was sent: replaced, not asked twice. */
	expect_second(second_request("", 0, NULL), 0, 2);
	expect_second(second_request(NULL, 0, NULL), 0, 2);
	expect_second(second_request(OK "Content-Length: 6\r\n\r\nforged", 0, NULL), 0, 2);
	/* Half an answer is no silence. */
	check_int(second_request("H", 1, NULL), -1);
	check_int(err.kind, ERR_NET);
	check_int(h.connects, 1);
	check_int(h.open, 0);
	scene_close(&scene);
}

/* The second answer comes in one piece with the first, and the connection stays open. */
static void
play_unasked(struct scene *s)
{
	int first = hear(s), second;

	if (read_request(s, first))
		say(first, OK "Content-Length: 1\r\n\r\na" OK "Content-Length: 6\r\n\r\nforged");
	second = hear(s);
	if (second >= 0 && read_request(s, second))
		say(second, OK "Content-Length: 6\r\n\r\nsecond");
	if (second >= 0)
		hang_up(second);
	close(first);
}

static void
test_unasked(void)
{
	scene_open(&scene, play_unasked);
	client(&scene);
	check_int(get(), 0);
	check_int(drain(100), 0);
	check_str(body, "a");
	expect_second(get(), 0, 2);
}

static void
play_deaf(struct scene *s)
{
	int fd;

	while ((fd = hear(s)) >= 0) {
		read_request(s, fd);
		hang_up(fd);
	}
}

static void
test_fresh_dies(void)
{
	scene_open(&scene, play_deaf);
	client(&scene);
	check_int(get(), -1);
	check_int(err.kind, ERR_NET);
	check_int(h.connects, 1);
	check_int(rp.resent, 0);
	/* One that was opened in advance may have gone stale meanwhile. Only once, though. */
	client(&scene);
	check_int(http_connect(&h, &err), 0);
	check_int(http_connect(&h, &err), 0);
	check_int(h.connects, 1);
	check_int(get(), -1);
	check_int(err.kind, ERR_NET);
	check_int(h.connects, 2);
	check_int(rp.resent, 1);
	check_int(h.open, 0);
	scene_close(&scene);
	client(&scene);
	check_int(get(), -1);
	check_int(err.kind, ERR_CONNECT);
	check_int(h.connects, 0);
}

/* A server that speaks first on a connection opened in advance. */
static void
play_banner(struct scene *s)
{
	int fd = hear(s);

	say(fd, OK "Content-Length: 6\r\n\r\nforged");
	hang_up(fd);
	fd = hear(s);
	read_request(s, fd);
	say(fd, OK "Content-Length: 5\r\n\r\nasked");
	hang_up(fd);
}

static void
test_banner(void)
{
	scene_open(&scene, play_banner);
	client(&scene);
	check_int(http_connect(&h, &err), 0);
	check(net_poll(&h.net, NET_IN, 10000));
	check_int(get(), 0);
	check_int(drain(100), 0);
	check_str(body, "asked");
	check_int(h.connects, 2);
	http_close(&h);
	scene_close(&scene);
}

/* ---- answers before the request has ended */

#define NO "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

static void
play_early(struct scene *s)
{
	int fd = hear(s);

	if (read_request_head(s, fd))
		say(fd, NO);
	sit(s, fd);
}

/* Two answers in one piece, of which only the second ends it. */
static void
play_early_interim(struct scene *s)
{
	int fd = hear(s);

	if (read_request_head(s, fd))
		say(fd, "HTTP/1.1 102 Processing\r\n\r\n" NO);
	sit(s, fd);
}

static void
play_early_reset(struct scene *s)
{
	int fd = hear(s);

	if (read_request_head(s, fd))
		say(fd, NO);
	slam(fd);
}

/* Speaks when the client's send fails, not before. */
static void
play_early_prompted(struct scene *s)
{
	int fd = hear(s);
	char c;

	if (read_request_head(s, fd) && read(prompt[0], &c, 1) == 1)
		say(fd, NO);
	sit(s, fd);
}

static void
expect_early(void (*play)(struct scene *))
{
	struct source s = {.len = 50 << 20};

	scene_open(&scene, play);
	client(&scene);
	check_int(put_source(&s), 0);
	check_int(rp.status, 403);
	check_int(h.keep, 0);
	check(s.asked < s.len);
	check_int(drain(100), 0);
	check_str(body, "no");
	http_finish(&h);
	check_int(h.open, 0);
	scene_close(&scene);
}

static void
test_early(void)
{
	expect_early(play_early);
	expect_early(play_early_interim);
	expect_early(play_early_reset);
	/* The send itself fails, and the answer is there. */
	sends_left = 1;
	expect_early(play_early_prompted);
	sends_left = -1;
}

/* The send fails, and what the peer said is no whole answer: the first error counts. */
static void
play_early_half(struct scene *s)
{
	int fd = hear(s);
	char c;

	if (read_request_head(s, fd) && read(prompt[0], &c, 1) == 1)
		say(fd, "HTTP/1.1 403 Forbi");
	slam(fd);
}

static void
test_send_fails(void)
{
	struct source s = {.len = 50 << 20};

	scene_open(&scene, play_early_half);
	client(&scene);
	sends_left = 1;
	check_int(put_source(&s), -1);
	sends_left = -1;
	check_int(err.kind, ERR_NET);
	check_str(err.msg, "send: told to fail");
	check_int(h.open, 0);
	check_int(h.connects, 1);
	scene_close(&scene);
}

static void
play_continue(struct scene *s)
{
	int fd = hear(s);

	if (read_request_head(s, fd)) {
		say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
		read_request_body(s, fd);
		say(fd, OK "Content-Length: 2\r\n\r\nhi");
	}
	hang_up(fd);
}

static void
test_continue(void)
{
	struct source s = {.len = 20 << 20};

	scene_open(&scene, play_continue);
	client(&scene);
	check_int(put_source(&s), 0);
	check_int(rp.status, 200);
	check_int(h.keep, 1);
	check_int(scene.body_len, s.len);
	check_int(scene.body_sum, source_sum(s.len));
	check_int(drain(100), 0);
	check_str(body, "hi");
	http_close(&h);
	scene_close(&scene);
}

/* ---- sources that fail, servers that sleep */

static void
test_source(void)
{
	struct source shrinks = {.len = 5 << 20, .shrinks_at = 1000003}, breaks = {.len = 5 << 20, .fails_at = 100000};

	scene_open(&scene, play_ok_forever);
	client(&scene);
	check_int(put_source(&shrinks), -1);
	check_int(err.kind, ERR_CHANGED);
	check(strstr(err.msg, "1000003"));
	check_int(h.open, 0);
	scene_close(&scene);
	check(scene.body_len < shrinks.len);

	scene_open(&scene, play_ok_forever);
	client(&scene);
	check_int(put_source(&breaks), -1);
	check_int(err.kind, ERR_LOCAL);
	check_str(err.msg, "read x: Input/output error");
	check_int(h.open, 0);
	check_int(h.connects, 1);
	scene_close(&scene);
}

static void
play_silent_second(struct scene *s)
{
	int fd = hear(s);

	if (read_request(s, fd))
		say(fd, OK "Content-Length: 0\r\n\r\n");
	read_request(s, fd);
	sit(s, fd);
}

static void
play_wait(struct scene *s)
{
	int fd = hear(s);

	if (s->bytes)
		say(fd, s->bytes);
	sit(s, fd);
}

/* A body of one byte after the other: so many, or until nobody listens. */
static void
play_dribble(struct scene *s)
{
	int fd = hear(s);

	read_request(s, fd);
	say(fd, s->bytes);
	for (size_t i = 0; !dribbles || i < dribbles; i++) {
		if (send(fd, strstr(s->bytes, "chunked") ? "1\r\n \r\n" : "x", strstr(s->bytes, "chunked") ? 6 : 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(10000);
	}
	if (dribbles)
		say(fd, "0\r\n\r\n");
	close(fd);
}

/* From now on, for so long: what came until then may have been late on a busy machine. */
static void
be_patient(int timeout_ms)
{
	h.net.timeout_ms = h.server.timeout_ms = timeout_ms;
}

static int
dribble(const char *head, size_t n, int timeout_ms)
{
	int rc;

	dribbles = n;
	scene.bytes = head;
	scene_open(&scene, play_dribble);
	client(&scene);
	check_int(get(), 0);
	be_patient(timeout_ms);
	rc = (int)drain(100);
	if (rc < 0)
		check_int(err.kind, ERR_NET);
	http_close(&h);
	scene_close(&scene);
	return rc;
}

/* That bytes come is not enough: not of an object. Where the server does not know the length yet, it is for a while. */
static void
test_dribble(void)
{
	check_int(dribble(OK "Content-Length: 1000000\r\n\r\n", 0, 4000), -1);
	check(strstr(err.msg, " bytes: timed out"));
	check_int(dribble(OK "Transfer-Encoding: chunked\r\n\r\n", 0, 60), -1);
	check(strstr(err.msg, "timed out"));
	check(dribble(OK "Transfer-Encoding: chunked\r\n\r\n", 400, 3000) >= 0);
}

static void
test_time_out(void)
{
	struct source s = {.len = 50 << 20};

	/* No answer; and no second question on a kept connection, since it may be at work on the first. */
	scene_open(&scene, play_silent_second);
	client(&scene);
	check_int(get(), 0);
	be_patient(50);
	check_int(get(), -1);
	check_int(err.kind, ERR_NET);
	check(strstr(err.msg, "timed out"));
	check_int(rp.resent, 0);
	check_int(h.connects, 1);
	check_int(h.open, 0);
	scene_close(&scene);

	/* Nobody reads. */
	scene.bytes = NULL;
	scene_open(&scene, play_wait);
	client(&scene);
	h.server.timeout_ms = 50;
	check_int(put_source(&s), -1);
	check_int(err.kind, ERR_NET);
	check_int(h.open, 0);
	scene_close(&scene);

	/* The body stops. */
	scene.bytes = OK "Content-Length: 5\r\n\r\nhe";
	scene_open(&scene, play_wait);
	client(&scene);
	check_int(get(), 0);
	be_patient(50);
	check_int(drain(100), -1);
	check_int(err.kind, ERR_NET);
	check_str(body, "he");
	check_int(h.open, 0);
	scene_close(&scene);
}

int
main(void)
{
	alarm(600);
	check_int(pipe(prompt), 0);
	test_request_bytes();
	test_request_checks();
	test_large_request();
	test_unread_bodies();
	test_unread_chunks();
	test_not_kept();
	test_resend();
	test_unasked();
	test_fresh_dies();
	test_banner();
	test_early();
	test_send_fails();
	test_continue();
	test_source();
	test_time_out();
	test_dribble();
	return test_end();
}
