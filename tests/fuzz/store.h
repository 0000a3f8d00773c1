#pragma once
/* A store at the other end of wire.h's network, for the targets that go through lib/s3.h. */
#include "wire.h"
#include "config.h"
#include "s3.h"

/* The forms of an answer, so that the fuzzer need not learn HTTP first. The body follows. */
static const struct store_form {
	const char *head;
	int counted;           /* with a Content-Length, else it ends with the connection or as head says */
} store_forms[] = {
	{"HTTP/1.1 200 OK\r\n", 1},
	{"", 0},
	{"HTTP/1.1 200 OK\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n", 1},
	{"HTTP/1.1 206 Partial\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n", 0},
	{"HTTP/1.1 404 Not Found\r\nServer: x\r\n", 1},
	{"HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\n", 1},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
	{"HTTP/1.1 204 No Content\r\n", 1},
	{"HTTP/1.1 403 Forbidden\r\nDate: Sun, 22 Nov 2026 12:20:03 GMT\r\n", 1},
	{"HTTP/1.1 200 OK\r\n", 0},
};
enum { STORE_FORMS = sizeof store_forms / sizeof *store_forms };

/* All answers of the script have a Content-Length. Where one can be broken HTTP and hold broken XML, which of the two is met first, and so whether
   it is asked again, may depend on the pieces. */
static int store_counted;

/* Answers, parted by FF FF; the first byte of each says its form. */
static inline void
store_script(struct in *in)
{
	store_counted = 1;
	while (in->n && wire.replies < WIRE_REPLIES) {
		unsigned how = take_byte(in);
		const struct store_form *f = &store_forms[how % 16 % STORE_FORMS];
		const unsigned char *end = memmem(in->p, in->n, "\xff\xff", 2);
		size_t n = end ? (size_t)(end - in->p) : in->n, cap = n + 256;
		struct wire_reply *r = &wire.reply[wire.replies++];
		struct buf b = {malloc(cap), 0, cap, 0};

		if (!b.p)
			abort();
		store_counted &= f->counted;
		buf_reset(&b);
		buf_str(&b, f->head);
		if (f->counted)
			buf_fmt(&b, "Content-Length: %zu\r\n\r\n", n);
		buf_put(&b, in->p, n);
		*r = (struct wire_reply){(unsigned char *)b.p, b.len, !(how & 16), how >> 5 & 1};
		in->p += n + (end ? 2 : 0);
		in->n -= n + (end ? 2 : 0);
	}
}

/* The body of reply i as it stands in the script, when it is one with a Content-Length; else NULL. */
static inline const char *
store_body(size_t i, size_t *n)
{
	const struct wire_reply *r = &wire.reply[i];
	const char *head = i < wire.replies && r->n ? memmem(r->p, r->n, "Content-Length: ", 16) : NULL;
	const char *body = head ? memmem(r->p, r->n, "\r\n\r\n", 4) : NULL;

	if (!body || body < head || strncmp((const char *)r->p, "HTTP/1.1 200 OK\r\nContent-Length: ", 33))
		return NULL;
	body += 4;
	*n = r->n - (size_t)(body - (const char *)r->p);
	return body;
}

/* No time passes: attempts follow each other, until the script is over. */
static inline int
store_pause(void *arg, int ms)
{
	(void)arg;
	must(ms >= 0);
	return wire.next == wire.replies;
}

static inline int
store_admit(void *arg)
{
	(void)arg;
	return wire.next == wire.replies;
}

/* A server cannot have it said: what comes from there goes out with %3C, or &lt;, in it. */
#define STORE_SECRET "SE<CRET"

/* What is sent is HTTP, and carries no secret. */
static inline void
store_observe(void *arg, const struct s3_attempt *a)
{
	(void)arg;
	must(!strstr(wire.request, STORE_SECRET));
	must(a->number >= 1 && a->number <= 2 * WIRE_REPLIES);
	if (a->why)
		must_be_message(a->why);
}

static struct config store_config;
static struct s3_store store;
static struct s3 client;

static inline void
store_begin(const size_t *split, size_t splits)
{
	wire_start(split, splits);
	store_config = (struct config){.host = "example.test", .port = 80, .host_field = "example.test", .bucket = "bucket",
		.region = "auto", .key_id = "ID", .secret = STORE_SECRET, .timeout_ms = 1000, .retries = 3};
	store = (struct s3_store){.cfg = &store_config, .crc32c = 1, .admit = store_admit, .observe = store_observe,
		.pause = store_pause};
	memset(&client, 0, sizeof client);
	s3_open(&client, &store);
}

static inline void
store_end(int rc, const struct err *e)
{
	s3_close(&client);
	if (rc < 0)
		must_be_message(e);
	must(wire.requests <= wire.replies + 1);
}
