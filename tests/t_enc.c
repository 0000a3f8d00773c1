#include <ctype.h>
#include <stdlib.h>
#include "enc.h"
#include "test.h"

typedef void encoder(struct buf *b, const char *s, size_t n);

/* What f makes of the n bytes at s; the text is good until the next call. */
static const char *
run(encoder *f, const char *s, size_t n)
{
	static char mem[4096];
	struct buf b = BUF(mem);

	f(&b, s, n);
	check(buf_ok(&b));
	return mem;
}

static void
hex(struct buf *b, const char *s, size_t n)
{
	enc_hex(b, s, n);
}

static void
base64(struct buf *b, const char *s, size_t n)
{
	enc_base64(b, s, n);
}

static void
path(struct buf *b, const char *s, size_t n)
{
	(void)n;
	enc_path(b, s);
}

static void
part(struct buf *b, const char *s, size_t n)
{
	(void)n;
	enc_query(b, s);
}

static void
json(struct buf *b, const char *s, size_t n)
{
	(void)n;
	enc_json(b, s);
}

static void
xml(struct buf *b, const char *s, size_t n)
{
	(void)n;
	enc_xml(b, s);
}

/* Check f against rows of input and expected output. */
struct row { const char *in, *want; };

static void
rows(encoder *f, const struct row *r)
{
	for (; r->in; r++)
		check_str(run(f, r->in, strlen(r->in)), r->want);
}

static void
test_hex(void)
{
	unsigned char out[4] = "";

	check_str(run(hex, "\0\x0f\xa5\xff", 4), "000fa5ff");
	check_str(run(hex, "", 0), "");
	check_int(enc_unhex("000FA5ff", out, 4), 0);
	check(!memcmp(out, "\0\x0f\xa5\xff", 4));
	check_int(enc_unhex("", out, 0), 0);
	check_int(enc_unhex("00", out, 0), -1);
	check_int(enc_unhex("000fa5f", out, 4), -1);
	check_int(enc_unhex("000fa5ff0", out, 4), -1);
	check_int(enc_unhex("000fa5fg", out, 4), -1);
	check_int(enc_unhex("0x0fa5ff", out, 4), -1);
	check_int(enc_unhex("", out, 4), -1);
	check_int(enc_unhex("0", out, 1), -1);
}

static void
test_base64(void)
{
	/* RFC 4648 section 10 */
	rows(base64, (struct row[]){{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfd\xfb", "//79+w=="}, {0}});
	check_str(run(base64, "\0\0\0", 3), "AAAA");
}

/* What text decodes to, here and in place; its length, or -1. */
static long
unbase64(const char *text, unsigned char *out)
{
	size_t n = strlen(text);
	char *copy = malloc(n + 2);
	long len;

	memcpy(copy + 1, text, n);   /* no zero behind it, for the sanitizer to see who reads on */
	len = enc_unbase64(copy + 1, n, out);
	check(enc_unbase64(copy + 1, n, (unsigned char *)copy) == len && (len < 0 || !memcmp(copy, out, (size_t)len)));
	free(copy);
	return len;
}

static void
test_unbase64(void)
{
	static const struct { const char *text; long len; const char *bytes; } good[] = {
		{"", 0, ""}, {"Zg==", 1, "f"}, {"Zm8=", 2, "fo"}, {"Zm9v", 3, "foo"}, {"Zm9vYg==", 4, "foob"}, {"Zm9vYmE=", 5, "fooba"},
		{"Zm9vYmFy", 6, "foobar"}, {"//79+w==", 4, "\xff\xfe\xfd\xfb"}, {"AAAA", 3, "\0\0\0"}, {"/w==", 1, "\xff"},
		{" Z\tm\r\n9\nv\n", 3, "foo"}, {"Zg=\n=\n", 1, "f"}, {"Zm9v\r\nYg==\r\n\r\n", 4, "foob"}, {"\n \t\r", 0, ""},
	};
	static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zm8", "Zm9vZ", "Zg===", "Z===", "=", "====", "Zm9v=", "Zm9v====", "Zg==Zg==", "Zg=A",
		"Zh==", "Zv==", "Zm9=", "Zm+=", "Zm-v", "Zm_v", "Zm9v.", "Zm9v\v", "Zm9v\xc0", "Zm9v-", "ZZ=="};
	unsigned char out[16];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		check_int(unbase64(good[i].text, out), good[i].len);
		check(!memcmp(out, good[i].bytes, (size_t)good[i].len));
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		check_int(unbase64(wrong[i], out), -1);
	check_int(enc_unbase64("Zm\09v", 5, out), -1);
	check_int(enc_unbase64("Zm9vYmFy", 4, out), 3);
	/* Every byte in every place of four: as the encoder has it, or not at all. */
	for (int c = 1; c < 256; c++) {
		for (int at = 0; at < 4; at++) {
			char text[] = "AAAA";
			long len;

			text[at] = (char)c;
			len = unbase64(text, out);
			if (strchr(" \t\r\n", c))
				check_int(len, -1);
			else
				check(len < 0 ? c == '=' || !(isalnum(c) || strchr("+/", c)) : !strcmp(run(base64, (char *)out, (size_t)len), text));
		}
	}
}

static void
test_uri_vectors(void)
{
	FILE *f = fopen("tests/vectors/sigv4-s3/uri_encode.tsv", "r");
	char line[512];
	int n = 0;

	check(f != NULL);
	while (f && fgets(line, sizeof line, f)) {
		char *key = strtok(line, "\t\n"), *in_path = strtok(NULL, "\t\n"), *in_query = strtok(NULL, "\t\n");
		unsigned char raw[128];
		size_t len = key ? strlen(key) / 2 : 0;

		if (!key || *key == '#')
			continue;
		check_int(enc_unhex(key, raw, len), 0);
		raw[len] = '\0';
		check_str(run(path, (char *)raw, len), in_path);
		check_str(run(part, (char *)raw, len), in_query);
		n++;
	}
	check(n >= 20);
	if (f)
		fclose(f);
}

static void
test_percent_every_byte(void)
{
	for (int c = 1; c < 256; c++) {
		char byte[2] = {(char)c}, want[4] = {(char)c, 0};

		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c))
			snprintf(want, sizeof want, "%%%02X", c);
		check_str(run(part, byte, 1), want);
		check_str(run(path, byte, 1), c == '/' ? "/" : want);
	}
}

static const char *
query(const struct pair *p, size_t n)
{
	static char mem[1024];
	struct buf b = BUF(mem);

	enc_query_pairs(&b, p, n);
	check(buf_ok(&b));
	return mem;
}

static void
test_query_pairs(void)
{
	struct pair many[ENC_QUERY_MAX + 1];
	char mem[1024];
	struct buf b = BUF(mem);

	check_str(query(NULL, 0), "");
	check_str(query((struct pair[]){{"prefix", "a/b c"}, {"list-type", "2"}, {"delimiter", "/"}}, 3),
		"delimiter=%2F&list-type=2&prefix=a%2Fb%20c");
	check_str(query((struct pair[]){{"uploads", ""}, {"a", "2"}, {"a", "10"}, {"a", "1"}}, 4),
		"a=1&a=10&a=2&uploads=");
	/* sorted as encoded: '%' before letters; a prefix of a name before the name */
	check_str(query((struct pair[]){{"b", ""}, {"\xc3\xa9", ""}, {"a", ""}}, 3), "%C3%A9=&a=&b=");
	check_str(query((struct pair[]){{"a-", "1"}, {"a", "3"}, {"a/", "2"}, {"aa", "4"}}, 4),
		"a=3&a%2F=2&a-=1&aa=4");
	check_str(query((struct pair[]){{"k", "~"}, {"k", "+"}, {"k", "\xff"}, {"k", "0"}, {"k", ""}}, 5),
		"k=&k=%2B&k=%FF&k=0&k=~");
	for (int i = 0; i <= ENC_QUERY_MAX; i++)
		many[i] = (struct pair){"n", "v"};
	check_int(strlen(query(many, ENC_QUERY_MAX)), ENC_QUERY_MAX * 4 - 1);
	enc_query_pairs(&b, many, ENC_QUERY_MAX + 1);
	check_int(buf_ok(&b), 0);
}

/* Every pair of bytes, against the order of the encoded texts. */
static void
test_query_order(void)
{
	int wrong = 0;

	for (int x = 1; x < 256; x++) {
		for (int y = 1; y < 256; y++) {
			char a[] = {'k', (char)x, 0}, b[] = {'k', (char)y, 0}, ea[8], eb[8], want[32];
			struct buf ba = BUF(ea), bb = BUF(eb);

			enc_query(&ba, a);
			enc_query(&bb, b);
			snprintf(want, sizeof want, "%s=&%s=", strcmp(ea, eb) <= 0 ? ea : eb, strcmp(ea, eb) <= 0 ? eb : ea);
			wrong += strcmp(query((struct pair[]){{a, ""}, {b, ""}}, 2), want) != 0;
		}
	}
	check_int(wrong, 0);
}

static void
test_unpercent(void)
{
	static const struct { const char *in; int plus; long want; const char *out; } cases[] = {
		{"", 0, 0, ""}, {"abc", 0, 3, "abc"}, {"a%20b", 0, 3, "a b"}, {"a+b", 0, 3, "a+b"}, {"a+b", 1, 3, "a b"},
		{"%2B+", 1, 2, "+ "}, {"%c3%A9", 0, 2, "\xc3\xa9"}, {"%25", 0, 1, "%"}, {"%2525", 0, 3, "%25"},
		{"%", 0, -1, NULL}, {"%2", 0, -1, NULL}, {"%zz", 0, -1, NULL}, {"%2g", 0, -1, NULL}, {"a%", 0, -1, NULL},
	};
	char nul[] = "a%00b";

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char s[32];

		strcpy(s, cases[i].in);
		check_int(enc_unpercent(s, strlen(s), cases[i].plus), cases[i].want);
		if (cases[i].out)
			check_str(s, cases[i].out);
	}
	check_int(enc_unpercent(nul, 5, 0), 3);
	check(!memcmp(nul, "a\0b", 4));
	strcpy(nul, "%4142");
	check_int(enc_unpercent(nul, 2, 0), -1);   /* the digits behind n do not count */
}

static void
test_utf8(void)
{
	static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa9z", NULL};
	static const char *const wrong[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z", "\xc2\xc2\x80",
		"\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82", "\xe2z\x82", "\xe2\x82z", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf0\x9f\x98z", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "ok\xff", NULL};

	for (int i = 0; good[i]; i++)
		check_int(enc_utf8_valid(good[i], strlen(good[i])), 1);
	for (int i = 0; wrong[i]; i++)
		check_int(enc_utf8_valid(wrong[i], strlen(wrong[i])), 0);
	check_int(enc_utf8_valid("a\0b", 3), 1);
	check_int(enc_utf8_valid("\xc3\xa9", 1), 0);
}

static void
test_json(void)
{
	rows(json, (struct row[]){{"", "\"\""}, {"a/b", "\"a/b\""}, {"\"\\", "\"\\\"\\\\\""},
		{"\n\r\t\b\f\x01\x1f", "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\""}, {"\xc3\xa9\xf0\x9f\x98\x80",
		"\"\xc3\xa9\xf0\x9f\x98\x80\""}, {"\x7f\xc2\x9b", "\"\\u007f\\u009b\""}, {"\xe2\x80\xa8\xe2\x80\xae", "\"\\u2028\\u202e\""},
		{"a\xff\xc3", "\"a\xef\xbf\xbd\xef\xbf\xbd\""}, {"\xed\xa0\x80",
		"\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, {0}});
}

static void
test_xml(void)
{
	rows(xml, (struct row[]){{"", ""}, {"a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&apos;f"},
		{"\t\n\r\x01\x1f\x7f", "&#x9;&#xA;&#xD;&#x1;&#x1F;&#x7F;"}, {"\xc3\xa9 ]]>", "\xc3\xa9 ]]&gt;"}, {0}});
}

static void
test_printable(void)
{
	rows(enc_printable, (struct row[]){{"", ""}, {"plain ~", "plain ~"}, {"C:\\x", "C:\\x"}, {"\xc3\xa9\xe2\x82\xac",
		"\xc3\xa9\xe2\x82\xac"}, {"\n\t\r", "\\n\\t\\r"}, {"\033[2J\x01\x7f", "\\x1b[2J\\x01\\x7f"},
		{"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f\xc2\xa0"}, {"a\xffz", "a\\xffz"},
		{"\xe2\x82", "\\xe2\\x82"}, {"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
		"\xe2\x80\xa7\\u2028\\u202e\xe2\x80\xaf"}, {"\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
		"\xe2\x81\xa5\\u2066\\u2069\xe2\x81\xaa"}, {0}});
	check_str(run(enc_printable, "a\0b", 3), "a\\x00b");
}

static void
test_show(void)
{
	char out[16];

	check_str(enc_show_in(out, sizeof out, "short\n"), "short\\n");
	check_str(enc_show_in(out, sizeof out, "123456789012345"), "123456789012345");
	check_str(enc_show_in(out, sizeof out, "1234567890123456"), "123456789012\342\200\246");
	check_str(enc_show_in(out, sizeof out, "12345678901\303\251567890"), "12345678901\342\200\246");
}

int
main(void)
{
	test_hex();
	test_base64();
	test_unbase64();
	test_uri_vectors();
	test_percent_every_byte();
	test_query_pairs();
	test_query_order();
	test_unpercent();
	test_utf8();
	test_json();
	test_xml();
	test_printable();
	test_show();
	return test_end();
}
