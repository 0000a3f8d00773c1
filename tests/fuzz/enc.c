/* Encodings decode to what they were made of; names that Unicode holds for equal are equal either way round; what is signed is what is sent. */
#include "fuzz.h"
#include "config.h"
#include "hash.h"
#include "mime.h"
#include "nfc.h"
#include "path.h"
#include "s3.h"
#include "sigv4.h"

enum { TEXT_MAX = 2048, OUT_CAP = 8 * TEXT_MAX };

static char out[OUT_CAP], back[OUT_CAP];

static int
hex_value(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static void
hex_and_base64(const char *s, size_t n)
{
	struct buf b = BUF(out), again = BUF(back);
	long len;

	enc_hex(&b, s, n);
	must(buf_ok(&b) && b.len == 2 * n && enc_unhex(out, (unsigned char *)back, n) == 0 && !memcmp(back, s, n));
	must(!n || enc_unhex(out, (unsigned char *)back, n - 1) < 0);
	buf_reset(&b);
	enc_base64(&b, s, n);
	must(buf_ok(&b) && b.len == (n + 2) / 3 * 4);
	must(strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == b.len);
	must(enc_unbase64(out, b.len, (unsigned char *)back) == (long)n && !memcmp(back, s, n));
	must(!n || enc_unbase64(out, b.len - 1, (unsigned char *)back) < 0);
	/* Of any text: what is taken encodes to the same, but for the blanks. */
	len = enc_unbase64(s, n, (unsigned char *)out);
	must(len <= (long)(n / 4 * 3));
	if (len < 0)
		return;
	enc_base64(&again, out, (size_t)len);
	for (size_t i = 0, k = 0; i < n; i++)
		must(strchr(" \t\r\n", s[i]) ? s[i] != '\0' : s[i] == back[k++]);
	must(buf_ok(&again));
}

static void
percent(const char *s, size_t n)
{
	struct buf b = BUF(out);
	long len;

	enc_query(&b, s);
	must(buf_ok(&b) && strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") == b.len);
	memcpy(back, out, b.len + 1);
	len = enc_unpercent(back, b.len, 0);
	must(len == (long)n && !memcmp(back, s, n));
	buf_reset(&b);
	enc_path(&b, s);
	memcpy(back, out, b.len + 1);
	len = enc_unpercent(back, b.len, 1);
	must(len == (long)n && !memcmp(back, s, n));
	/* Of any text: never longer, and what it refuses has a bad escape. */
	memcpy(back, s, n);
	back[n] = '\0';
	len = enc_unpercent(back, n, 0);
	must(len <= (long)n && (len >= 0 || memchr(s, '%', n)));
	must(memchr(s, '%', n) || (len == (long)n && !memcmp(back, s, n)));
}

/* Read again what enc_json wrote: strictly, and only what a string may hold. */
static void
json(const char *s, size_t n)
{
	struct buf b = BUF(out), r = BUF(back);

	enc_json(&b, s);
	must(buf_ok(&b) && b.len >= 2 && out[0] == '"' && out[b.len - 1] == '"' && enc_utf8_valid(out, b.len));
	for (size_t i = 1; i < b.len - 1; i++) {
		unsigned c = (unsigned char)out[i];

		must(c >= 0x20 && c != '"');
		if (c != '\\') {
			buf_char(&r, out[i]);
			continue;
		}
		c = (unsigned char)out[++i];
		if (c == 'u') {
			unsigned cp = 0;

			for (int k = 0; k < 4; k++)
				cp = cp << 4 | (unsigned)hex_value(out[++i]);
			if (cp >= 0x800)
				buf_char(&r, (char)(0xe0 | cp >> 12));
			if (cp >= 0x80)
				buf_char(&r, (char)((cp < 0x800 ? 0xc0 | cp >> 6 : 0x80 | (cp >> 6 & 63))));
			buf_char(&r, (char)(cp < 0x80 ? cp : 0x80 | (cp & 63)));
		} else {
			must(strchr("\"\\nrt", (int)c));
			buf_char(&r, c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : (char)c);
		}
	}
	must(!enc_utf8_valid(s, n) || (r.len == n && !memcmp(back, s, n)));
}

/* For a terminal: nothing it acts on, and the same when it is done again. */
static void
printable(const char *s, size_t n)
{
	struct buf b = BUF(out), again = BUF(back);
	char shown[40];

	enc_printable(&b, s, n);
	must(buf_ok(&b) && enc_utf8_valid(out, b.len));
	for (size_t i = 0; i < b.len; i++) {
		unsigned c = (unsigned char)out[i], d = (unsigned char)out[i + 1];

		must(c >= 0x20 && c != 0x7f && !(c == 0xc2 && d < 0xa0));
		must(!(c == 0xe2 && d == 0x80 && (out[i + 2] & 0xff) >= 0xaa && (out[i + 2] & 0xff) <= 0xae));
		must(!(c == 0xe2 && d == 0x81 && (out[i + 2] & 0xff) >= 0xa6 && (out[i + 2] & 0xff) <= 0xa9));
	}
	enc_printable(&again, out, b.len);
	must(!strcmp(out, back));
	if (!memchr(s, '\0', n)) {
		memcpy(back, s, n);
		back[n] = '\0';
		enc_show_in(shown, sizeof shown, back);
		must(enc_utf8_valid(shown, strlen(shown)));
	}
}

/* ---- names that are equal in Unicode */

static void
names(const char *a, const char *b)
{
	char ascii[64], joined[2 * TEXT_MAX + 2];
	int same = nfc_same(a, b);

	must(nfc_same(a, a) && nfc_same(b, a) == same);
	must((nfc_hash(a, strlen(a)) == nfc_hash(b, strlen(b))) == same);
	must(strcmp(a, b) || same);
	if (nfc_is_ascii(a) && nfc_is_ascii(b))
		must(same == !strcmp(a, b));
	if (nfc_to_ascii(a, ascii, sizeof ascii))
		must(!nfc_is_ascii(a) && nfc_is_ascii(ascii) && nfc_same(a, ascii) && strlen(ascii) < sizeof ascii);
	/* What is equal stays equal with a starter behind it. */
	snprintf(joined, sizeof joined, "%s/", a);
	must(!nfc_same(joined, a) && (nfc_hash(joined, strlen(joined)) != nfc_hash(a, strlen(a))));
	must(strchr(mime_type(a), '/'));
}

/* The set against a list. */
static void
set(const char *s, size_t n)
{
	struct nfc_set x = {0};
	uint64_t seen[512];
	size_t count = 0;

	for (size_t i = 0; i < n && i < 512; i++) {
		uint64_t h = (uint64_t)(unsigned char)s[i] * (i & 1 ? 0x100000000 : 64);
		size_t k = 0;

		while (k < count && seen[k] != h + !h)
			k++;
		must(nfc_set_add(&x, h) == (k == count));
		if (k == count)
			seen[count++] = h + !h;
		must(x.n == count);
	}
	nfc_set_free(&x);
	must(!x.slots && !x.n);
}

/* ---- signatures */

/* Names once each and in order, values without blanks at the ends or two spaces inside; their words are all there. */
static void
canonical(const char *a, const char *b)
{
	const struct pair fields[] = {{"x-b", a}, {"host", "h"}, {"x-b", b}, {"x-a", b}};
	struct sigv4_request r = {.method = "PUT", .path = "/p", .query = "", .fields = fields, .nfields = 4, .payload = SIGV4_EMPTY_SHA256};
	struct buf c = BUF(out);
	const char *rest;

	if (strpbrk(a, "\n\r\v\f") || strpbrk(b, "\n\r\v\f"))
		return;
	sigv4_canonical(&c, &r);
	must(buf_ok(&c) && !strncmp(out, "PUT\n/p\n\nhost:h\nx-a:", 19));
	rest = strstr(out + 19, "\nx-b:");
	must(rest && strstr(rest, "\n\nhost;x-a;x-b\n" SIGV4_EMPTY_SHA256));
	must(!strstr(out, "  ") && !strchr(out, '\t') && !strstr(out, " \n") && !strstr(out, "\nx-a: ") && !strstr(out, "\nx-b: "));
	for (const char *p = a; *p; p++)
		must(strchr(" \t", *p) || strchr(rest, *p));
}

/* The parameters, in their order as bytes. */
static void
must_be_sorted(const char *query)
{
	const char *before = NULL;
	size_t m = 0, n;

	for (; *query; query += n + (query[n] == '&')) {
		size_t name = strcspn(query, "=");

		n = strcspn(query, "&");
		must(name < n);
		if (before) {
			size_t least = m < name ? m : name;
			int c = memcmp(before, query, least);

			must(c < 0 || (c == 0 && m <= name));
		}
		before = query;
		m = name;
	}
}

static void
presign(const char *key, const char *token, unsigned seconds, int64_t now)
{
	static struct config c;
	char text[8192];
	struct buf url = BUF(text);
	struct sigv4_keys k = {"KEYID", "SECRET", *token ? token : NULL, "auto", "s3"};
	struct pair host = {"host", "h.test"};
	struct sigv4_request r = {.method = "GET", .fields = &host, .nfields = 1, .payload = SIGV4_UNSIGNED, .time = now};
	char signature[65], *mark, *sent;
	struct err e = {0};
	long n;

	c = (struct config){.host = "h.test", .host_field = "h.test", .port = 443, .tls = 1, .bucket = "b", .region = "auto", .key_id = "KEYID",
		.secret = "SECRET"};
	snprintf(c.token, sizeof c.token, "%s", token);
	if (strlen(token) >= sizeof c.token)
		return;
	if (s3_presign(&c, key, seconds, now, &url, &e) < 0) {
		must(strlen(key) > PATH_KEY_MAX || seconds < 1 || seconds > 604800 || strlen(token) + strlen(key) > 2000);
		must_be_message(&e);
		return;
	}
	must(seconds >= 1 && seconds <= 604800 && !strncmp(text, "https://h.test/b/", 17));
	must(!strstr(text, "SECRET") || strstr(key, "SECRET") || strstr(token, "SECRET"));
	must(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/?&=:") == url.len);
	mark = strchr(text, '?');
	sent = strstr(mark, "&X-Amz-Signature=");
	must(sent && strlen(sent) == 17 + 64);
	*mark = *sent = '\0';
	must_be_sorted(mark + 1);
	/* The path and query that the server sees are those that were signed; the key is what it decodes. */
	r.path = text + 14;
	r.query = mark + 1;
	must(sigv4_sign(&k, &r, signature) == 0 && !strcmp(signature, sent + 17));
	n = enc_unpercent(text + 17, strlen(text + 17), 0);
	must(n == (long)strlen(key) && !strcmp(text + 17, key));
}

static void
query(const char *a, const char *b)
{
	const struct pair pairs[] = {{a, b}, {"uploads", ""}, {b, a}, {"prefix", a}, {a, ""}};
	struct buf q = BUF(out);
	char *copy;

	enc_query_pairs(&q, pairs, sizeof pairs / sizeof *pairs);
	must(buf_ok(&q));
	must_be_sorted(out);
	/* Every pair is there once. */
	for (size_t i = 0; i < 5; i++) {
		struct buf one = BUF(back);

		buf_char(&one, '&');
		enc_query(&one, pairs[i].name);
		buf_char(&one, '=');
		enc_query(&one, pairs[i].value);
		buf_char(&one, '&');
		copy = malloc(q.len + 3);
		if (!copy)
			abort();
		snprintf(copy, q.len + 3, "&%s&", out);
		must(strstr(copy, back));
		free(copy);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	char *a, *b;

	if (size > TEXT_MAX)
		return 0;
	if (how & 1) {
		struct in begin = in;
		size_t n;

		a = take_string(&begin);
		percent(a, strlen(a));
		json(a, strlen(a));
		free(a);
		a = (char *)take_rest(&in, &n);
		hex_and_base64(a, n);
		printable(a, n);
		set(a, n);
		free(a);
		return 0;
	}
	a = take_string(&in);
	b = take_string(&in);
	names(a, b);
	query(a, b);
	canonical(a, b);
	presign(a, b, how & 2 ? (unsigned)how * 3000u : how, (int64_t)(take_word(&in) >> 28));
	free(a);
	free(b);
	return 0;
}
