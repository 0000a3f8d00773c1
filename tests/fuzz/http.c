/* The reader of HTTP answers: the same in whatever pieces they arrive; limits are kept; what an honest server encodes is decoded. */
#include "wire.h"
#include "http.h"

enum { BODY_MAX = 1 << 18, EXCHANGES = 4 };

/* What came of one run of the script. */
struct run {
	int n;
	struct {
		int rc, status, has_body, ended;
		int64_t length;
		enum err_kind kind;
		int keep;
		uint64_t log;      /* fields, body, message */
		size_t body;
	} x[EXCHANGES];
};

static char body[BODY_MAX];
static struct http h;
static const struct pair fields[] = {{"Host", "example.test"}};

static void
must_be_fields(const struct http_reply *rp)
{
	size_t block = 0;

	must(rp->nfields <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < rp->nfields; i++) {
		const char *name = rp->fields[i].name, *value = rp->fields[i].value;
		size_t n = strlen(value);

		must(*name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == strlen(name));
		must(!strpbrk(value, "\r\n"));
		must(!n || (!strchr(" \t", value[0]) && !strchr(" \t", value[n - 1])));
		must(strlen(name) + n < HTTP_LINE_MAX);
		block += strlen(name) + n + 2;
		must(http_field(rp, name));
	}
	must(block < HTTP_BLOCK_MAX);
}

static ssize_t
read_body(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	(void)arg, (void)off, (void)e;
	memset(p, 'x', n);
	return (ssize_t)n;
}

/* One exchange, read to its end in pieces of at most `piece`. */
static void
exchange(struct run *r, int how, size_t piece)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
	struct http_body b = {(uint64_t)(how & 4 ? 20000 : 7), read_body, NULL};
	struct http_request rq = {methods[how & 3], "/x?y=z", fields, 1, how & 2 ? &b : NULL};
	static struct http_reply rp;
	struct err e = {0};
	ssize_t n = 0;
	int i = r->n++;

	r->x[i].log = 1;
	r->x[i].rc = http_send(&h, &rq, &rp, &e);
	if (r->x[i].rc == 0) {
		r->x[i].status = rp.status;
		r->x[i].has_body = rp.has_body;
		r->x[i].length = rp.length;
		must(rp.status >= 200 && rp.status <= 999);
		must(!(how % 4 == 1 && rp.has_body));
		must_be_fields(&rp);
		for (size_t k = 0; k < rp.nfields; k++) {
			r->x[i].log = mix(r->x[i].log, rp.fields[k].name, strlen(rp.fields[k].name));
			r->x[i].log = mix(r->x[i].log, rp.fields[k].value, strlen(rp.fields[k].value));
		}
		/* Nobody wants it: what is left decides what becomes of the connection. */
		while (!(how & 32) && r->x[i].body + piece <= sizeof body && (n = http_read(&h, body + r->x[i].body, piece, &e)) > 0) {
			must((size_t)n <= piece);
			r->x[i].body += (size_t)n;
		}
		r->x[i].ended = n == 0 && !(how & 32);
		/* A read that fails takes with it what it had. */
		if (n < 0)
			r->x[i].body = 0;
		r->x[i].log = mix(r->x[i].log, body, r->x[i].body);
		must(rp.has_body || !r->x[i].body);
		if (r->x[i].ended && rp.has_body && rp.length >= 0)
			must((uint64_t)rp.length == r->x[i].body);
	}
	if (r->x[i].rc < 0 || n < 0) {
		must_be_message(&e);
		must(e.kind == ERR_NET || e.kind == ERR_PROTO || e.kind == ERR_CONNECT);
		r->x[i].kind = e.kind;
		r->x[i].log = mix(r->x[i].log, e.msg, strlen(e.msg));
		must(!h.open);
	}
	must(h.in_pos <= h.in_len && h.in_len <= sizeof h.in && h.block_len <= sizeof h.block);
	http_finish(&h);
	/* How much of an unwanted body is read depends on the pieces, and so does whether there is a connection to go on with. */
	r->x[i].keep = h.open;
}

static void
run(struct run *r, int how, size_t exchanges, size_t piece)
{
	memset(r, 0, sizeof *r);
	memset(&h, 0, sizeof h);
	http_init(&h, &(struct http_server){.host = "example.test", .port = 80, .timeout_ms = 1000});
	while (exchanges--)
		exchange(r, how, piece);
	http_close(&h);
}

static void
add_reply(struct in *in, const char *head, int stays)
{
	struct wire_reply *r = &wire.reply[wire.replies++];
	size_t n = strlen(head), rest;
	unsigned char *p = take_rest(in, &rest);

	*r = (struct wire_reply){malloc(n + rest + 1), n + rest, stays, 0};
	if (!r->p)
		abort();
	memcpy(r->p, head, n);
	memcpy(r->p + n, p, rest);
	free(p);
}

/* Raw answers, parted by FF FF. */
static void
script(struct in *in)
{
	while (in->n && wire.replies < EXCHANGES) {
		unsigned how = take_byte(in);
		const unsigned char *end = memmem(in->p, in->n, "\xff\xff", 2);
		struct in part = {in->p, end ? (size_t)(end - in->p) : in->n};

		in->p += part.n + (end ? 2 : 0);
		in->n -= part.n + (end ? 2 : 0);
		add_reply(&part, how & 2 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" : "", how & 1);
		wire.reply[wire.replies - 1].early = how >> 2 & 1;
	}
}

static char sent[BODY_MAX];

/* in's bytes as an honest server sends them, in chunks of sizes that it chooses; into sent too. */
static size_t
encode_chunks(struct in *in, struct buf *b)
{
	static const char *const forms[] = {"%zx\r\n", "%zX\r\n", "00%zx;a=b\r\n", "%zx ; q=\"\\\"x\"\r\n"};
	unsigned how = take_byte(in);
	size_t len = 0;

	buf_str(b, "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nX: y\r\n\r\n");
	while (in->n > 1) {
		size_t n = 1 + take_byte(in) * (how & 16 ? 70u : 1u);

		if (n > in->n)
			n = in->n;
		buf_fmt(b, forms[how & 3], n);
		buf_put(b, in->p, n);
		buf_str(b, "\r\n");
		memcpy(sent + len, in->p, n);
		len += n;
		in->p += n;
		in->n -= n;
	}
	buf_str(b, how & 4 ? "0\r\nA: b\r\nC:d\r\n\r\n" : "0;x\r\n\r\n");
	must(buf_ok(b));
	return len;
}

/* What goes in comes out. */
static void
round_trip(struct in *in, size_t piece)
{
	static char text[16 * BODY_MAX];
	struct buf b = BUF(text);
	size_t n = encode_chunks(in, &b);
	struct in all = {(unsigned char *)text, b.len};
	struct run r;

	add_reply(&all, "", 1);
	run(&r, 0, 1, piece);
	must(r.x[0].rc == 0 && r.x[0].ended && r.x[0].body == n && r.x[0].keep);
	must(!memcmp(sent, body, n));
}

/* A chunked body decoded another way: its length, or -1. *plain: without trailers, so that nothing else can be wrong with it. */
static long
decode(const unsigned char *p, size_t n, char *to, int *plain)
{
	size_t len = 0;

	for (;;) {
		const unsigned char *end = memmem(p, n, "\r\n", 2);
		size_t line = end ? (size_t)(end - p) : 0, digits = 0;
		unsigned __int128 size = 0;

		for (; digits < line && strchr("0123456789abcdefABCDEF", p[digits]) && p[digits]; digits++)
			if (size <= INT64_MAX)
				size = size * 16 + (unsigned)(p[digits] <= '9' ? p[digits] - '0' : (p[digits] | 32) - 'a' + 10);
		if (!digits || line >= HTTP_LINE_MAX - 1 || size > INT64_MAX || memchr(p, '\0', line) || memchr(p, '\n', line) || memchr(p, '\r', line))
			return -1;
		for (size_t k = digits; k < line && p[k] != ';'; k++)
			if ((p[k] != ' ' && p[k] != '\t') || k + 1 == line)
				return -1;
		p += line + 2;
		n -= line + 2;
		if (!size) {
			*plain = n >= 2 && !memcmp(p, "\r\n", 2);
			return (long)len;
		}
		if (n < 2 || size > n - 2 || memcmp(p + (size_t)size, "\r\n", 2))
			return -1;
		memcpy(to + len, p, (size_t)size);
		len += (size_t)size;
		p += (size_t)size + 2;
		n -= (size_t)size + 2;
	}
}

/* What was read of a chunked answer is what the other decoder says; what it can read, is read. */
static void
must_decode_alike(const struct run *r)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	const struct wire_reply *w = &wire.reply[0];
	int plain = 0;
	long n;

	if (wire.replies != 1 || w->n < sizeof head - 1 || memcmp(w->p, head, sizeof head - 1) || r->x[0].has_body != 1)
		return;
	n = decode(w->p + sizeof head - 1, w->n - sizeof head + 1, sent, &plain);
	if (r->x[0].rc == 0 && r->x[0].ended)
		must(n == (long)r->x[0].body && !memcmp(sent, body, (size_t)n));
	else if (r->x[0].rc < 0 || r->x[0].kind != ERR_NONE)
		must(n < 0 || !plain);
}

static void
must_agree(const struct run *a, const struct run *b)
{
	for (int i = 0; memcmp(a, b, sizeof *a) && i < a->n; i++)
		fprintf(stderr, "exchange %d: rc %d, %d; status %d, %d; %zu bytes, %zu; ended %d, %d; keep %d, %d; %s\n", i, a->x[i].rc, b->x[i].rc,
			a->x[i].status, b->x[i].status, a->x[i].body, b->x[i].body, a->x[i].ended, b->x[i].ended, a->x[i].keep, b->x[i].keep,
			a->x[i].log == b->x[i].log ? "same log" : "another log");
	must(!memcmp(a, b, sizeof *a));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned mode = take_byte(&in), how = take_byte(&in);
	size_t splits[WIRE_SPLITS], n = 1 + take_below(&in, WIRE_SPLITS), piece = 1 + take_byte(&in) * (how & 8 ? 80u : 1u);
	struct run whole, pieces;

	if (size > BODY_MAX / 2)
		return 0;
	for (size_t i = 0; i < n; i++)
		splits[i] = take_byte(&in) * (how & 16 ? 64u : 1u);
	wire_start(splits, n);
	if (mode & 1) {
		round_trip(&in, piece);
	} else {
		size_t exchanges;

		script(&in);
		exchanges = wire.replies;
		run(&pieces, (int)how, exchanges, piece);
		wire_start(splits, 0);
		run(&whole, (int)how, exchanges, 20000);
		if (!(how & 32))
			must_agree(&whole, &pieces);
		must_decode_alike(&whole);
	}
	wire_free();
	return 0;
}
