#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include "test.h"
#include "buf.h"
#include "xml.h"

static char events_array[65536];
static struct buf events;

/* Every event as "path=text|", so that two runs can be compared as strings. */
static int
record(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	(void)arg;
	(void)e;
	check_int(text[len], 0);
	buf_fmt(&events, "%s=", path);
	buf_put(&events, text, len);
	buf_char(&events, '|');
	return 0;
}

static void
start(struct xml *x)
{
	memset(x, 0, sizeof *x);
	x->element = record;
	events = BUF(events_array);
}

/* Fed in pieces of at most `piece` bytes (0: of random sizes): 0 or -1. */
static int
parse(const char *p, size_t n, size_t piece, struct err *e)
{
	static struct xml x;
	static uint32_t seed = 1;
	int r = 0;

	start(&x);
	while (n && !r) {
		size_t m = piece;

		if (!m)
			m = 1 + (seed = seed * 1664525 + 1013904223) / 65536 % 7;
		if (m > n)
			m = n;
		r = xml_feed(&x, p, m, e);
		p += m;
		n -= m;
	}
	return r ? r : xml_end(&x, e);
}

static size_t
slurp(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0;

	check(f);
	if (f) {
		n = fread(out, 1, cap - 1, f);
		fclose(f);
	}
	check(n < cap - 1);
	out[n] = '\0';
	return n;
}

/* want: the events, or NULL when the text must be refused. Whole, byte by byte, and in random pieces. */
static void
expect(const char *name, const char *p, size_t n, const char *want)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 0, 0, 0, 2, 3};
	static char whole[sizeof events_array];
	struct err e = {0};
	size_t i;

	for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		int r = parse(p, n, pieces[i], &e);

		if (!i)
			strcpy(whole, events_array);
		check_str(events_array, whole);
		if (want)
			check_str(events_array, want);
		check_int(r, want ? 0 : -1);
		if (r != (want ? 0 : -1))
			fprintf(stderr, "  in %.60s: %s\n", name, r ? e.msg : "accepted");
		if (r) {
			check_int(e.kind, ERR_PROTO);
			check(e.msg[0] && !strchr(e.msg, '\n'));
		}
	}
}

static void
expect_str(const char *text, const char *want)
{
	expect(text, text, strlen(text), want);
}

/* The events of tests/vectors/xml-own/ok. */
static const struct {
	const char *file, *events;
} ok[] = {
	{"attr.xml", "=|"},
	{"bom.xml", "=|"},
	{"cdata.xml", "=<b>&amp;]] >|"},
	{"charref-ctl-xml10-illegal-but-sent-by-s3.xml", "=\x01|"},
	{"charref.xml", "=AB\xc3\xa9\xf0\x9f\x98\x80|"},
	{"comment.xml", "b=|=|"},
	{"decl.xml", "=x|"},
	{"emptyelem.xml", "Key=|Key=|=|"},
	{"entities.xml", "=<>&\"'|"},
	{"gt-in-text.xml", "=x > y|"},
	{"leadingws.xml", "=|"},
	{"nsprefix.xml", "Key=k|=|"},
	{"pi-in-content.xml", "=|"},
	{"pi.xml", "=|"},
	{"simple.xml", "=|"},
	{"utf8.xml", "=\xc3\xa9\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x98\x80|"},
	{"ws.xml", "b=t|=|"},
};

static const char *
ok_events(const char *file)
{
	size_t i;

	for (i = 0; i < sizeof ok / sizeof *ok; i++)
		if (!strcmp(ok[i].file, file))
			return ok[i].events;
	fprintf(stderr, "no events are stated for %s\n", file);
	return "?";
}

/* Every file of a directory; returns how many there were. */
static size_t
run_directory(const char *dir, int good)
{
	static char text[65536];
	char path[512];
	struct dirent *f;
	DIR *d = opendir(dir);
	size_t count = 0, n;

	check(d);
	while (d && (f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
		n = slurp(path, text, sizeof text);
		expect(f->d_name, text, n, good ? ok_events(f->d_name) : NULL);
		count++;
	}
	if (d)
		closedir(d);
	return count;
}

static void
test_files(void)
{
	check_int(run_directory("tests/vectors/xml-own/ok", 1), sizeof ok / sizeof *ok);
	check_int(run_directory("tests/vectors/xml-own/bad", 0), 25);
}

/* The body of a recorded reply. */
static void
reply_body(const char *file, struct buf *out)
{
	static char raw[65536];
	char path[512], *p, *size_end;
	size_t n;

	snprintf(path, sizeof path, "tests/vectors/rgw-responses/%s.http", file);
	slurp(path, raw, sizeof raw);
	p = strstr(raw, "\r\n\r\n");
	check(p);
	if (!p)
		return;
	p += 4;
	if (!strstr(raw, "Transfer-Encoding: chunked")) {
		buf_str(out, p);
		return;
	}
	while ((n = strtoul(p, &size_end, 16))) {
		buf_put(out, size_end + 2, n);
		p = size_end + 2 + n + 2;
	}
	check(buf_ok(out));
}

/* All of a recorded reply's events of one path, joined with '|'. */
static void
expect_reply(const char *file, const char *path, const char *want)
{
	static char body_array[65536], got[4096], all[sizeof events_array];
	struct buf b = BUF(got), body = BUF(body_array);
	char *line, *end;
	struct err e = {0};

	reply_body(file, &body);
	check_int(parse(body.p, body.len, SIZE_MAX, &e), 0);
	strcpy(all, events_array);
	for (line = events_array; (end = strchr(line, '|')); line = end + 1) {
		*end = '\0';
		if (!strncmp(line, path, strlen(path)) && line[strlen(path)] == '=')
			buf_fmt(&b, "%s|", line + strlen(path) + 1);
	}
	check_str(got, want);
	expect(file, body.p, body.len, all);
}

static void
test_recorded(void)
{
	static const char keys[] = "a.txt|a/b/c|a/b/d|am&p<x>\"'|ctl\x01|nl\nkey|per%25|pl+us|sp ace|"
		"uni-\xc3\xa9\xe6\x97\xa5\xe6\x9c\xac|";

	expect_reply("list-v2", "Contents/Key", keys);
	expect_reply("list-v2", "KeyCount", "10|");
	expect_reply("list-v2", "Prefix", "|");
	expect_reply("list-v1", "Contents/Key", keys);
	expect_reply("list-v2-delim", "CommonPrefixes/Prefix", "a/|");
	expect_reply("list-v2-delim", "Prefix", "|");
	expect_reply("list-v2-truncated", "IsTruncated", "true|");
	expect_reply("list-v2-truncated", "NextContinuationToken", "a/b/c|");
	expect_reply("list-v2-truncated", "Contents/ETag",
		"\"5d41402abc4b2a76b9719d911017c592\"|\"c4ca4238a0b923820dcc509a6f75849b\"|");
	expect_reply("list-v2-empty", "Contents/Key", "");
	expect_reply("list-v2-url", "Contents/Key", "a.txt|a%2Fb%2Fc|a%2Fb%2Fd|am%26p%3Cx%3E%22'|ctl%01|nl%0Akey|"
		"per%2525|pl%2Bus|sp%20ace|uni-%C3%A9%E6%97%A5%E6%9C%AC|");
	expect_reply("sig-mismatch-403", "Code", "SignatureDoesNotMatch|");
	expect_reply("no-such-bucket", "Code", "NoSuchBucket|");
	expect_reply("get-404", "Code", "NoSuchKey|");
	expect_reply("bad-digest-400", "Code", "BadDigest|");
	expect_reply("create-multipart", "Bucket", "fixtures|");
	expect_reply("list-parts", "Part/PartNumber", "1|2|");
	expect_reply("list-buckets", "Buckets/Bucket/Name", "fixtures|");
	expect_reply("delete-objects", "Deleted/Key", "nope|a/b/c|");
}

static void
test_text(void)
{
	expect_str("<a> x </a>", "= x |");
	expect_str("<a><k> </k></a>", "k= |=|");
	expect_str("<a><k><b/></k><k> </k></a>", "k/b=|k=|k= |=|");
	expect_str("<a>one<k>two</k>three</a>", "k=two|=onethree|");
	expect_str("<a>\n\t<k>v</k>\r\n</a>\n", "k=v|=|");
	expect_str("<a><k>]]</k><k>]]&gt;</k><k>]</k></a>", "k=]]|k=]]>|k=]|=|");
	expect_str("<a>]]]></a>", NULL);
	expect_str("<a>]]b>]]bc]>/></a>", "=]]b>]]bc]>/>|");
	expect_str("<a><![CDATA[]]]]]><![CDATA[]]></a>", "=]]]|");
	expect_str("<a>x<![CDATA[ ]]>y<!-- z --><?p q?>w</a>", "=x yw|");
	expect_str("<a><![CDATA[<!DOCTYPE x>]]></a>", "=<!DOCTYPE x>|");
	expect_str("<a>\rb\r\n</a>", "=\rb\r\n|");
	expect_str("<a>\x01</a>", "=\x01|");
	expect_str("<a>&#x000041;&#13;&#x10FFFF;&#x7ff;&#x800;</a>", "=A\r\xf4\x8f\xbf\xbf\xdf\xbf\xe0\xa0\x80|");
	expect_str("<a>&#xd7ff;&#xe000;</a>", "=\xed\x9f\xbf\xee\x80\x80|");
	expect_str("<a>&#xd800;</a>", NULL);
	expect_str("<a>&#xdfff;</a>", NULL);
	expect_str("<a>&#x;</a>", NULL);
	expect_str("<a>&#xg;</a>", NULL);
	expect_str("<a>&#4a;</a>", NULL);
	expect_str("<a>&#X41;</a>", NULL);
	expect_str("<a>&#99999999999999999999;</a>", NULL);
	expect_str("<a>&;</a>", NULL);
	expect_str("<a>&LT;</a>", NULL);
	expect_str("x<a/>", NULL);
	expect_str("<a/>x", NULL);
	expect_str("<a/>&lt;", NULL);
	expect_str("<a/><![CDATA[]]>", NULL);
	expect("NUL", "<a>\0</a>", 8, NULL);
	expect("NUL in a tag", "<a\0/>", 5, NULL);
}

static void
test_utf8(void)
{
	expect_str("<a>\xf4\x8f\xbf\xbf</a>", "=\xf4\x8f\xbf\xbf|");
	expect_str("<a>\xf4\x90\x80\x80</a>", NULL);
	expect_str("<a>\xed\xa0\x80</a>", NULL);
	expect_str("<a>\xe0\x9f\xbf</a>", NULL);
	expect_str("<a>\xf0\x8f\xbf\xbf</a>", NULL);
	expect_str("<a>\xc1\xbf</a>", NULL);
	expect_str("<a>\x80</a>", NULL);
	expect_str("<a>\xc3</a>", NULL);
	expect_str("<a>\xc3<b/>\xa9</a>", NULL);
	expect_str("<a x='\xff'/>", NULL);
	expect_str("<!-- \xff --><a/>", NULL);
	expect_str("<\xc3\xa9>v</\xc3\xa9>", "=v|");
	expect_str("\xef\xbb<a/>", NULL);
	expect_str("\xef\xbb\xbe<a/>", NULL);
	expect_str("\xef\xbb", NULL);
	expect_str("\xef\xbb\xbf", NULL);
	expect_str("\xef\xbb\xbf]]><a/>", NULL);
	expect_str("\xef\xbb\xbf\xef\xbb\xbf<a/>", NULL);
	expect_str("\xef\xbb\xbf<?xml version='1.0'?><a/>", "=|");
}

static void
test_markup(void)
{
	expect_str("<r><s3:k xmlns:s3='u'>v</s3:k></r>", "k=v|=|");
	expect_str("<s:r><t:a><u:b>1</u:b></t:a></s:r>", "a/b=1|a=|=|");
	expect_str("<s:a></t:a>", NULL);
	expect_str("<s:a></a>", NULL);
	expect_str("<ab></a>", NULL);
	expect_str("<a></ab>", NULL);
	expect_str("<a:b:c/>", NULL);
	expect_str("<a:/>", NULL);
	expect_str("<:a/>", NULL);
	expect_str("<a:1/>", NULL);
	expect_str("<a.b-c_1/>", "=|");
	expect_str("<a\tx = '1'\n y=\"&lt;&#65;>/\" />", "=|");
	expect_str("<a x='1'y='2'/>", NULL);
	expect_str("<a x='&nbsp;'/>", NULL);
	expect_str("<a x='&lt'/>", NULL);
	expect_str("<a x='&#65'/>", NULL);
	expect_str("<a x='1'", NULL);
	expect_str("<a x=\"1'/>", NULL);
	expect_str("<a x=/>", NULL);
	expect_str("<a 1='1'/>", NULL);
	expect_str("<a / >", NULL);
	expect_str("<a /x/>", NULL);
	expect_str("</a>", NULL);
	expect_str("<a></a/>", NULL);
	expect_str("<a></ a>", NULL);
	expect_str("<a></a></a>", NULL);
	expect_str("<a/><a/>", NULL);
	expect_str("<>", NULL);
	expect_str("<a><></a>", NULL);
	expect_str("<!----><a/><!-- > -> --><?p?>", "=|");
	expect_str("<!-->--><a/>", "=|");
	expect_str("<!--->--><a/>", "=|");
	expect_str("<a/><!-- --->", NULL);
	expect_str("<a/><!-- ", NULL);
	expect_str("<a/><!-x>", NULL);
	expect_str("<a/><!>", NULL);
	expect_str("<a><![cdata[x]]></a>", NULL);
	expect_str("<a><![CDATA[x]]", NULL);
	expect_str("<a/><!DOCTYPE a>", NULL);
	expect_str("<a><!DOCTYPE a></a>", NULL);
	expect_str("<!doctype a><a/>", NULL);
	expect_str("<!ENTITY e 'x'><a/>", NULL);
	expect_str(" \r\n<?xml version='1.0'?><a/>", "=|");
	expect_str("\xef\xbb\xbf <?xml version='1.0'?><a/>", "=|");
	expect_str(" <!-- c --><?xml version='1.0'?><a/>", NULL);
	expect_str("<?xml version='1.0'?><?xml version='1.0'?><a/>", NULL);
	expect_str("<!-- c --><?xml version='1.0'?><a/>", NULL);
	expect_str("<?XML version='1.0'?><a/>", NULL);
	expect_str("<?xmlish?><a/>", "=|");
	expect_str("<? p?><a/>", NULL);
	expect_str("<?p+?><a/>", NULL);
	expect_str("<?\?><a/>", NULL);
	expect_str("<?><a/>", NULL);
	expect_str("<?p a?b > ?\?><a/>", "=|");
}

/* n times s. */
static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n--)
		buf_str(b, s);
}

static void
test_limits(void)
{
	static char big[1 << 20];
	struct buf b = BUF(big);
	static char want[sizeof events_array];
	struct buf w = BUF(want);
	size_t over;

	for (over = 0; over < 2; over++) {
		buf_reset(&b);
		repeat(&b, "<a>", XML_DEPTH_MAX + over);
		repeat(&b, "</a>", XML_DEPTH_MAX + over);
		expect_str(big, over ? NULL
			: "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a/a/a/a/a/a/a=|"
			"a/a/a/a/a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a/a/a=|"
			"a/a/a/a/a/a/a/a=|a/a/a/a/a/a/a=|a/a/a/a/a/a=|a/a/a/a/a=|a/a/a/a=|a/a/a=|a/a=|a=|=|");

		buf_reset(&b);
		buf_reset(&w);
		buf_str(&b, "<a>");
		repeat(&b, "&#120;", XML_TEXT_MAX + over);
		buf_str(&b, "</a>");
		buf_char(&w, '=');
		repeat(&w, "x", XML_TEXT_MAX);
		buf_char(&w, '|');
		expect_str(big, over ? NULL : want);

		buf_reset(&b);
		buf_str(&b, "<!--");
		repeat(&b, "x", XML_MARKUP_MAX - 5 + over);
		buf_str(&b, "--><a/>");
		expect_str(big, over ? NULL : "=|");

		buf_reset(&b);
		buf_str(&b, "<a x='");
		repeat(&b, "x", XML_MARKUP_MAX - 7 + over);
		buf_str(&b, "'/>");
		expect_str(big, over ? NULL : "=|");

		buf_reset(&b);
		buf_char(&b, '<');
		repeat(&b, "x", XML_PATH_MAX - 1 + over);
		buf_str(&b, "/>");
		expect_str(big, over ? NULL : "=|");
	}
	buf_reset(&b);
	repeat(&b, "<a>", 100000);
	expect_str(big, NULL);
	buf_reset(&b);
	buf_str(&b, "<a>&");
	repeat(&b, "x", XML_MARKUP_MAX + 1);
	expect_str(big, NULL);
}

/* A pretty-printed listing has more white space in its root than an element may have text. */
static void
test_layout(void)
{
	static char big[1 << 20], want[sizeof events_array];
	struct buf b = BUF(big), w = BUF(want);
	int i;

	buf_str(&b, "<l>");
	for (i = 0; i < 1000; i++) {
		buf_str(&b, "\r\n                    <k>v</k>");
		buf_str(&w, "k=v|");
	}
	buf_str(&b, "\r\n</l>");
	buf_str(&w, "=|");
	expect_str(big, want);
	expect_str("<a> x <b/> </a>", "b=|= x  |");
}

static int
refuse(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	(void)text;
	(void)len;
	if (strcmp(path, "b"))
		return 0;
	++*(int *)arg;
	return fail(e, ERR_LOCAL, "no more");
}

static void
test_stop(void)
{
	static struct xml x;
	struct err e = {0};
	int calls = 0;

	x.element = refuse;
	x.arg = &calls;
	check_int(xml_feed(&x, "<a><b/><b/></a>", 15, &e), -1);
	check_int(e.kind, ERR_LOCAL);
	check_str(e.msg, "no more");
	check_int(calls, 1);
	check_int(xml_feed(&x, " ", 1, &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_int(xml_end(&x, &e), -1);
	check_int(calls, 1);
}

int
main(void)
{
	test_files();
	test_recorded();
	test_text();
	test_utf8();
	test_markup();
	test_limits();
	test_layout();
	test_stop();
	return test_end();
}
