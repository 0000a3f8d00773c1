/* How an answer is read. */
#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <sys/ioctl.h>
#include "http_scene.h"

static void
test_status_line(void)
{
	accepts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
	accepts("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
	accepts("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
	accepts("HTTP/1.0 404 Not Found Here\r\n\r\nhi", 404, "hi");
	accepts("HTTP/1.1 599 \xff\r\n\r\n", 599, "");
	accepts("HTTP/1.1 999 ?\r\n\r\n", 999, "");
	refuses("HTTP/1.2 200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/2.0 200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.11 200 OK\r\n\r\n", ERR_PROTO);
	refuses("http/1.1 200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1  200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1\t200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 20 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 2000 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 099 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 2x0 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 -20 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 200\tOK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 200OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 \r\n\r\n", ERR_PROTO);
	refuses(" HTTP/1.1 200 OK\r\n\r\n", ERR_PROTO);
	refuses("\r\nHTTP/1.1 200 OK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 200 OK\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 200 O\rK\r\n\r\n", ERR_PROTO);
	refuses("HTTP/1.1 200 OK\r\r\n\r\n", ERR_PROTO);
	refuses("SSH-2.0-OpenSSH_9.2p1 \x1b[31m\r\n", ERR_PROTO);
	check(strstr(err.msg, "SSH-2.0") && !strchr(err.msg, '\x1b'));
	refuses("", ERR_NET);
	refuses("HTTP/1.1 200 OK", ERR_NET);
}

static void
test_fields(void)
{
	accepts(OK "Content-Length:2\r\n\r\nhi", 200, "hi");
	accepts(OK "content-LENGTH: \t 2 \t \r\n\r\nhi", 200, "hi");
	accepts(OK "A:\r\nX-B: \xe9\x01 b\t\r\na: second\r\nContent-Length: 0\r\n\r\n", 200, "");
	check_str(http_field(&rp, "a"), "");
	check_str(http_field(&rp, "x-b"), "\xe9\x01 b");
	check(!http_field(&rp, "none"));
	check_int(rp.nfields, 4);
	check_str(rp.fields[2].value, "second");
	accepts(OK "!#$%&'*+-.^_`|~09AZaz: v\r\n\r\n", 200, "");
	check_str(http_field(&rp, "!#$%&'*+-.^_`|~09azaz"), "v");
	refuses(OK "Content-Length : 2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "A: b\r\n folded\r\n\r\n", ERR_PROTO);
	refuses(OK "A: b\r\n\tfolded\r\n\r\n", ERR_PROTO);
	refuses(OK " A: b\r\n\r\n", ERR_PROTO);
	refuses(OK "A b: c\r\n\r\n", ERR_PROTO);
	refuses(OK ": c\r\n\r\n", ERR_PROTO);
	refuses(OK "A\r\n\r\n", ERR_PROTO);
	refuses(OK "A(: c\r\n\r\n", ERR_PROTO);
	refuses(OK "\xc3\xa9: c\r\n\r\n", ERR_PROTO);
	refuses(OK "A: b\nC: d\r\n\r\n", ERR_PROTO);
	refuses(OK "A: b\rC: d\r\n\r\n", ERR_PROTO);
	refuses(OK "A: b\r\n\n", ERR_PROTO);
	refuses(OK "A: b\r\n", ERR_NET);
	check(strstr(err.msg, "header"));
	check_int(exchange_bytes("GET", OK "A: \0\r\n\r\n", sizeof OK "A: \0\r\n\r\n" - 1), -1);
	check_int(err.kind, ERR_PROTO);
}

static void
test_length(void)
{
	accepts(OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
	accepts(OK "Content-Length: 2, 2,2\r\n\r\nhi", 200, "hi");
	accepts(OK "Content-Length: 0000000000000000002\r\n\r\nhi", 200, "hi");
	accepts(OK "\r\nuntil close", 200, "until close");
	check_int(rp.length, -1);
	refuses(OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 2, 3\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 2,\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: ,2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 2;\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 2 2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: +2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: -2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 0x2\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length:\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 9223372036854775808\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 18446744073709551618\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 99999999999999999999999\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Content-Length: 3\r\n\r\nhi", ERR_NET);
	check_str(body, "hi");
	check(strstr(err.msg, "cut short"));
	refuses(OK "Content-Length: 3\r\n\r\n", ERR_NET);
}

static void
test_coding(void)
{
	accepts(OK "Transfer-Encoding: Chunked \r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi");
	refuses(OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding: identity\r\n\r\nhi", ERR_PROTO);
	refuses(OK "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", ERR_PROTO);
	refuses(OK "Transfer-Encoding:\r\n\r\nhi", ERR_PROTO);
}

static void
test_chunks(void)
{
	accepts(TE "0\r\n\r\n", 200, "");
	accepts(TE "5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", 200, "hello world");
	accepts(TE "000000000000000000005\r\nhello\r\n0\r\n\r\n", 200, "hello");
	accepts(TE "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", 200, "01234567890123456789a");
	accepts(TE "5;a=b;c=\"d;e\"\r\nhello\r\n0;x\r\n\r\n", 200, "hello");
	accepts(TE "5 \t;a\r\nhello\r\n0\r\n\r\n", 200, "hello");
	accepts(TE "5\r\nhello\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", 200, "hello");
	check(!http_field(&rp, "x-sum"));
	refuses(TE "\r\n\r\n", ERR_PROTO);
	refuses(TE ";a\r\n\r\n", ERR_PROTO);
	refuses(TE "5 \r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE " 5\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "+5\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "-1\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "0x5\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "g\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "10000000000000000\r\nhello", ERR_PROTO);
	refuses(TE "ffffffffffffffff\r\nhello", ERR_PROTO);
	refuses(TE "8000000000000000\r\nhello", ERR_PROTO);
	refuses(TE "7fffffffffffffff\r\nhello", ERR_NET);
	refuses(TE "5\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "5\r\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "5;a\nb\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "4\r\nhello\r\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "5\r\nhello0\r\n\r\n", ERR_PROTO);
	refuses(TE "5\r\nhello\n0\r\n\r\n", ERR_PROTO);
	refuses(TE "5\r\nhello\rx0\r\n\r\n", ERR_PROTO);
	refuses(TE "0\r\nnot a field\r\n\r\n", ERR_PROTO);
	refuses(TE "0\r\n folded: x\r\n\r\n", ERR_PROTO);
	refuses(TE "0\r\nA: b\n\r\n", ERR_PROTO);
	refuses(TE "5\r\nhello\r\n0\r\n", ERR_NET);
	refuses(TE "5\r\nhello\r\n0\r\nA: b\r\n", ERR_NET);
	refuses(TE "5\r\nhello\r\n", ERR_NET);
	refuses(TE "5\r\nhel", ERR_NET);
	check_str(body, "hel");
	refuses(TE "5", ERR_NET);
	refuses(TE "", ERR_NET);
}

/* ---- limits */

static void
test_header_limits(void)
{
	size_t over;

	for (over = 0; over < 2; over++) {
		start(OK);
		repeat("A: b\r\n", HTTP_FIELDS_MAX + over);
		buf_str(&text, "\r\nx");
		if (over)
			refuses(big, ERR_PROTO);
		else
			accepts(big, 200, "x");

		start(OK "A: ");
		repeat("b", HTTP_LINE_MAX - 5 + over);
		buf_str(&text, "\r\n\r\nx");
		if (over)
			refuses(big, ERR_PROTO);
		else
			accepts(big, 200, "x");
	}
	start(OK);
	repeat("A", 1 << 19);
	refuses(big, ERR_PROTO);
	start("HTTP/1.1 200 ");
	repeat("A", HTTP_LINE_MAX);
	refuses(big, ERR_PROTO);
	start("");
	repeat("x", 1 << 19);
	refuses(big, ERR_PROTO);
}

/* Blocks of every size around the limit: each line loses CRLF and gains NUL, the empty one needs CR's place. */
static void
test_block_limit(void)
{
	size_t last, wire;
	int line, accepted = 0, refused = 0;

	for (last = 0; last < 40; last++) {
		start(OK);
		for (line = 0; line < 4; line++) {
			buf_str(&text, "A: ");
			repeat("b", 8100);
			buf_str(&text, "\r\n");
		}
		buf_str(&text, "A: ");
		repeat("b", 300 + last);
		buf_str(&text, "\r\n");
		wire = text.len + 2;
		buf_str(&text, "\r\nx");
		if (exchange_bytes("GET", big, text.len)) {
			check_int(err.kind, ERR_PROTO);
			check(wire > HTTP_BLOCK_MAX);
			refused++;
		} else {
			check_str(body, "x");
			check(wire <= HTTP_BLOCK_MAX + 6);
			accepted++;
		}
	}
	check(accepted && refused);
}

static void
test_trailer_limits(void)
{
	size_t over;

	for (over = 0; over < 2; over++) {
		start(TE "0\r\n");
		repeat("A: b\r\n", HTTP_FIELDS_MAX + over);
		buf_str(&text, "\r\n");
		if (over)
			refuses(big, ERR_PROTO);
		else
			accepts(big, 200, "");

		start(TE "0\r\n");
		for (size_t i = 0; i < 4; i++) {
			buf_str(&text, "A: ");
			repeat("b", HTTP_TRAILER_MAX / 4 - 5 + (i ? 0 : over));
			buf_str(&text, "\r\n");
		}
		buf_str(&text, "\r\n");
		if (over)
			refuses(big, ERR_PROTO);
		else
			accepts(big, 200, "");

		start(TE "0;");
		repeat("x", HTTP_LINE_MAX - 4 + over);
		buf_str(&text, "\r\n\r\n");
		if (over)
			refuses(big, ERR_PROTO);
		else
			accepts(big, 200, "");
	}
}

static void
test_interim(void)
{
	accepts("HTTP/1.1 100 Continue\r\n\r\n" OK "A: b\r\n\r\nx", 200, "x");
	check_int(rp.nfields, 1);
	accepts("HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: y\r\n\r\n" OK "\r\nx", 200, "x");
	check(!http_field(&rp, "link"));
	refuses("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" OK "\r\n", ERR_PROTO);
	refuses("HTTP/1.1 100 Continue\r\n\r\n", ERR_NET);
	start("");
	repeat("HTTP/1.1 102 Wait\r\n\r\n", HTTP_INTERIM_MAX);
	buf_str(&text, OK "\r\nx");
	accepts(big, 200, "x");
	start("");
	repeat("HTTP/1.1 102 Wait\r\n\r\n", HTTP_INTERIM_MAX + 1);
	buf_str(&text, OK "\r\nx");
	refuses(big, ERR_PROTO);
}

static void
test_no_body(void)
{
	static const char head[] = OK "Content-Length: 1234567\r\n\r\n", chunked[] = TE;

	check_int(exchange_bytes("HEAD", head, sizeof head - 1), 0);
	check_int(rp.has_body, 0);
	check_int(rp.length, 1234567);
	check_int(body_len, 0);
	check_int(exchange_bytes("HEAD", chunked, sizeof chunked - 1), 0);
	check_int(rp.has_body, 0);
	check_int(rp.length, -1);
	accepts("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "");
	check_int(rp.has_body, 0);
	accepts("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
	check_int(rp.has_body, 0);
	accepts("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", 204, "");
	accepts(OK "Content-Length: 0\r\n\r\n", 200, "");
	check_int(rp.has_body, 1);
}

/* ---- the llhttp cases: markdown with ```http (the bytes) and ```log (what llhttp saw) */

struct md_case {
	char name[200], meta[200], input[8192], log[16384];
};

/* Cases where we differ from llhttp on purpose: all are refused. */
static const struct {
	const char *name, *why;
} refused_cases[] = {
	{"RTSP response", "not HTTP"},
	{"ICE response", "not HTTP"},
	{"HTTP version 0.9", "RFC 9112 section 2.3: we speak 1.1 and understand 1.0"},
	{"Response starting with CRLF", "RFC 9112 section 2.2 allows an empty line before a request only"},
};

static int
must_refuse(const struct md_case *c)
{
	size_t i;

	for (i = 0; i < sizeof refused_cases / sizeof *refused_cases; i++)
		if (!strcmp(c->name, refused_cases[i].name))
			return 1;
	return strstr(c->meta, "lenient") || strstr(c->log, " error code=");
}

/* llhttp's test/md-test.ts: the last newline goes, an escaped newline goes, every other is CRLF; then \r \n \t. */
static size_t
md_bytes(const char *s, char *out)
{
	size_t n = 0;

	for (; *s && !(s[0] == '\n' && !s[1]); s++) {
		if (s[0] == '\\' && s[1] == '\n') {
			s++;
		} else if (*s == '\n') {
			out[n++] = '\r';
			out[n++] = '\n';
		} else if (*s == '\\' && s[1] && strchr("rnt", s[1])) {
			out[n++] = *++s == 'r' ? '\r' : *s == 'n' ? '\n' : '\t';
		} else {
			out[n++] = *s;
		}
	}
	return n;
}

/* The text of a log line `… span[KIND]="text"` (or lf, cr) → out; its length, -1 when the line is another. */
static long
md_span(const char *line, const char *kind, char *out)
{
	char mark[32], *tab;
	const char *p;

	snprintf(mark, sizeof mark, " span[%s]=", kind);
	p = strstr(line, mark);
	if (!p)
		return -1;
	p += strlen(mark);
	if (*p == '"') {
		strcpy(out, p + 1);
		*strrchr(out, '"') = '\0';
	} else {
		strcpy(out, *p == 'l' ? "\n" : "\r");
	}
	while ((tab = strstr(out, "\\t"))) {
		*tab = '\t';
		memmove(tab + 1, tab + 2, strlen(tab + 2) + 1);
	}
	return (long)strlen(out);
}

static void
trim(char *s)
{
	size_t n = strlen(s);

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
}

static void
lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

/* The first message of the log against rp and body. */
static void
md_compare(const struct md_case *c, int r)
{
	char log[sizeof c->log], span[8192], want[8192] = "";
	char *line, *save;
	size_t want_len = 0, field = 0;
	long n, length = -1;
	int complete = 0;

	strcpy(log, c->log);
	for (line = strtok_r(log, "\n", &save); line && !complete; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "status=") && strstr(line, "headers complete")) {
			check_int(rp.status, strtol(strstr(line, "status=") + 7, NULL, 10));
			check_int(rp.nfields, field);
			if (strstr(line, "content_length="))
				length = strtol(strstr(line, "content_length=") + 15, NULL, 10);
		} else if (md_span(line, "header_field", span) >= 0) {
			lower(span);
			check_str(field < rp.nfields ? rp.fields[field].name : NULL, span);
		} else if (md_span(line, "header_value", span) >= 0) {
			trim(span);
			check_str(field < rp.nfields ? rp.fields[field].value : NULL, span);
			field++;
		} else if ((n = md_span(line, "body", span)) >= 0) {
			memcpy(want + want_len, span, (size_t)n);
			want_len += (size_t)n;
		}
		complete = strstr(line, "message complete") != NULL;
	}
	check_int(body_len, want_len);
	check(body_len == want_len && !memcmp(body, want, want_len));
	/* The block ended before its Content-Length did: our server hung up there. */
	check_int(r, !complete && (long)want_len < length ? -1 : 0);
	if (r)
		check_int(err.kind, ERR_NET);
}

static void
md_run(const struct md_case *c)
{
	static char bytes[16384];
	size_t n = md_bytes(c->input, bytes);
	int before = failures, r;

	r = exchange_bytes(strstr(c->meta, "skipBody") ? "HEAD" : "GET", bytes, n);
	if (must_refuse(c)) {
		check_int(r, -1);
		check_int(err.kind, ERR_PROTO);
	} else {
		md_compare(c, r);
	}
	if (failures != before)
		fprintf(stderr, "  in llhttp case \"%s\": %s\n", c->name, r ? err.msg : "accepted");
}

/* Every case of a file; returns how many. */
static int
md_file(const char *path)
{
	static struct md_case c;
	char line[4096], *into = NULL;
	FILE *f = fopen(path, "r");
	int count = 0;

	check(f);
	while (f && fgets(line, sizeof line, f)) {
		if (into && strncmp(line, "```", 3)) {
			strcat(into, line);
		} else if (into) {
			if (into == c.log) {
				md_run(&c);
				count++;
			}
			into = NULL;
		} else if (!strncmp(line, "```http", 7)) {
			*(into = c.input) = '\0';
		} else if (!strncmp(line, "```log", 6)) {
			*(into = c.log) = '\0';
		} else if (*line == '#') {
			line[strcspn(line, "\n")] = '\0';
			snprintf(c.name, sizeof c.name, "%.150s", line + strspn(line, "# "));
		} else if (strstr(line, "<!-- meta=")) {
			snprintf(c.meta, sizeof c.meta, "%.150s", line);
		}
	}
	if (f)
		fclose(f);
	return count;
}

static void
test_llhttp(void)
{
	static const char *const files[] = {"content-length", "finish", "lenient-version", "pausing", "pipelining", "sample"};
	char path[256];
	size_t i;
	int count = 0;

	for (i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "tests/vectors/http-llhttp/%s.md", files[i]);
		count += md_file(path);
	}
	check_int(count, 38);
}

/* ---- recorded replies, read by hand here and by http.c there */

static char raw[65536], want_body[65536];
static size_t raw_len, want_len;

static void
load(const char *path)
{
	FILE *f = fopen(path, "rb");

	check(f);
	raw_len = f ? fread(raw, 1, sizeof raw - 1, f) : 0;
	raw[raw_len] = '\0';
	if (f)
		fclose(f);
}

static void
expected_body(const char *p)
{
	size_t n;
	char *end;

	want_len = 0;
	if (!strstr(raw, "Transfer-Encoding: chunked")) {
		want_len = raw_len - (size_t)(p - raw);
		memcpy(want_body, p, want_len);
		return;
	}
	for (; (n = strtoul(p, &end, 16)); p = end + 2 + n + 2) {
		memcpy(want_body + want_len, end + 2, n);
		want_len += n;
	}
}

static void
compare_fields(void)
{
	char *line = strstr(raw, "\r\n") + 2, *end, *colon;
	size_t i;

	for (i = 0; (end = strstr(line, "\r\n")) != line; line = end + 2, i++) {
		char name[128], value[1024];

		colon = strchr(line, ':');
		snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
		snprintf(value, sizeof value, "%.*s", (int)(end - colon - 2), colon + 2);
		lower(name);
		check_str(i < rp.nfields ? rp.fields[i].name : NULL, name);
		check_str(i < rp.nfields ? rp.fields[i].value : NULL, value);
	}
	check_int(rp.nfields, i);
}

static void
recorded(const char *name)
{
	char path[512];
	const char *method = strncmp(name, "head-", 5) ? "GET" : "HEAD";
	int before = failures;

	snprintf(path, sizeof path, "tests/vectors/rgw-responses/%s", name);
	load(path);
	expected_body(strstr(raw, "\r\n\r\n") + 4);
	for (recv_limit = 0; recv_limit < 3; recv_limit++) {
		check_int(exchange_bytes(method, raw, raw_len), 0);
		check_int(rp.status, strtol(raw + 9, NULL, 10));
		compare_fields();
		check_int(body_len, want_len);
		check(!memcmp(body, want_body, want_len));
	}
	recv_limit = 0;
	if (failures != before)
		fprintf(stderr, "  in %s: %s\n", name, err.msg);
}

static void
test_recorded(void)
{
	DIR *d = opendir("tests/vectors/rgw-responses");
	struct dirent *f;
	int count = 0;

	check(d);
	while (d && (f = readdir(d)))
		if (strstr(f->d_name, ".http")) {
			recorded(f->d_name);
			count++;
		}
	if (d)
		closedir(d);
	check_int(count, 33);
}

/* A reply cut in two at every byte reads the same, a lost second half is never taken for the end. */
static void
test_splits(void)
{
	static const char *const replies[] = {
		"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 5\r\n\r\nhello",
		OK "A: b\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: r\r\n\r\n",
	};
	size_t i, k;

	for (i = 0; i < sizeof replies / sizeof *replies; i++)
		for (k = 1; k <= strlen(replies[i]); k++) {
			recv_split = k;
			accepts(replies[i], 200, "hello");
			recv_split = 0;
			if (k == strlen(replies[i]))
				continue;
			check_int(exchange_bytes("GET", replies[i], k), -1);
			check_int(err.kind, ERR_NET);
		}
}

enum { FIRST = 20000, LONG = 1000000 };

/* The rest of the body when the client has had the first of it. */
static void
play_in_two(struct scene *s)
{
	static char bytes[LONG];
	int fd = hear(s);
	char c;

	read_request(s, fd);
	say(fd, OK "Content-Length: 1000000\r\n\r\n");
	say_n(fd, bytes, FIRST);
	check_int(read(prompt[0], &c, 1), 1);
	say_n(fd, bytes, LONG - FIRST);
	hang_up(fd);
}

static int
expected(void)
{
	int n = 0;

	getsockopt(h.net.fd, SOL_SOCKET, SO_RCVLOWAT, &n, &(socklen_t){sizeof n});
	return n;
}

/* Of a long body, only much is worth waking up for; what there is comes all the same, and another answer finds all as it was. */
static void
test_expect(void)
{
	ssize_t n;

	check_int(pipe(prompt), 0);
	scene_open(&scene, play_in_two);
	client(&scene);
	check_int(get(), 0);
	for (body_len = 0; body_len < FIRST && (n = http_read(&h, body, sizeof body, &err)) > 0; body_len += (size_t)n)
		;
	check_int(body_len, FIRST);
	check_int(write(prompt[1], "", 1), 1);
	/* Who waits for long is content with less again. */
	for (int there = 0; there < FIRST && ioctl(h.net.fd, FIONREAD, &there) == 0;)
		sched_yield();
	n = http_read(&h, body, 4096, &err);
	check(n > 0);
	check(expected() >= 16384);
	while ((n = http_read(&h, body, 4096, &err)) > 0)
		body_len += (size_t)n;
	check_int(n, 0);
	check_int(expected(), 1);
	http_close(&h);
	scene_close(&scene);
}

int
main(void)
{
	alarm(600);
	test_status_line();
	test_fields();
	test_length();
	test_coding();
	test_chunks();
	test_header_limits();
	test_block_limit();
	test_trailer_limits();
	test_interim();
	test_no_body();
	test_llhttp();
	test_recorded();
	test_splits();
	test_expect();
	return test_end();
}
