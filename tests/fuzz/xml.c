/* The XML reader: the same events for any split, limits kept, what enc_xml writes is read back. */
#include "fuzz.h"
#include "xml.h"

/* What a run of the reader came to. */
struct seen {
	uint64_t log;
	size_t events, roots;
	int rc, ended;
};

static int
element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct seen *s = arg;
	size_t depth = 1;

	(void)e;
	must(!text[len] && len <= XML_TEXT_MAX && !memchr(text, '\0', len));
	must(enc_utf8_valid(text, len) && enc_utf8_valid(path, strlen(path)));
	must(strlen(path) <= XML_PATH_MAX && !strpbrk(path, "<>&\"' =:"));
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	must(depth < XML_DEPTH_MAX && !strstr(path, "//"));
	must(!s->roots);
	s->roots += !*path;
	s->events++;
	s->log = mix(mix(s->log, path, strlen(path)), text, len);
	return 0;
}

/* Fed in pieces of the sizes at cut, in turns; 0: all that is left. */
static void
feed(struct seen *s, const unsigned char *p, size_t n, const unsigned char *cut, size_t cuts)
{
	struct xml *x = calloc(1, sizeof *x);
	struct err e = {0};

	if (!x)
		abort();
	*s = (struct seen){.log = 1};
	x->element = element;
	x->arg = s;
	for (size_t i = 0; n && s->rc == 0; i++) {
		size_t m = cuts && cut[i % cuts] && cut[i % cuts] < n ? cut[i % cuts] : n;
		char *piece = malloc(m);

		if (!piece)
			abort();
		memcpy(piece, p, m);
		s->rc = xml_feed(x, piece, m, &e);
		free(piece);
		p += m;
		n -= m;
	}
	s->ended = s->rc == 0 ? xml_end(x, &e) : -1;
	must(s->ended < 0 || s->roots == 1);
	if (s->ended < 0) {
		must(e.kind == ERR_PROTO);
		must_be_message(&e);
		s->log = mix(s->log, e.msg, strlen(e.msg));
		/* Once broken, always broken. */
		must(xml_feed(x, " ", 1, &e) < 0 && xml_end(x, &e) < 0);
	}
	free(x);
}

static void
any_split(const unsigned char *p, size_t n, const unsigned char *cut, size_t cuts)
{
	static const unsigned char one[] = {1};
	struct seen whole, pieces;

	feed(&whole, p, n, NULL, 0);
	feed(&pieces, p, n, cut, cuts);
	must(!memcmp(&whole, &pieces, sizeof whole));
	feed(&pieces, p, n, one, 1);
	must(!memcmp(&whole, &pieces, sizeof whole));
}

struct expected {
	const char *text;
	size_t len;
	int found;
};

static int
compare(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct expected *x = arg;

	(void)e;
	if (strcmp(path, "a/Key"))
		return 0;
	must(len == x->len && !memcmp(text, x->text, len));
	x->found++;
	return 0;
}

/* Written, it reads back; unless it is what no XML of ours can carry. */
static void
round_trip(struct in *in)
{
	static char doc[8 * XML_TEXT_MAX];
	struct buf b = BUF(doc);
	unsigned how = take_byte(in);
	size_t n;
	char *text = take_until(in, '\0', &n);
	struct expected want = {text, n, 0};
	struct xml x = {.element = compare, .arg = &want};
	struct err e = {0};
	int rc;

	buf_str(&b, how & 1 ? "\xef\xbb\xbf<?xml version='1.0'?>\n<r xmlns='u'><a>" : "<r><x:a>");
	buf_str(&b, how & 2 ? "<n:Key k=\">\">" : "<Key>");
	enc_xml(&b, text);
	buf_str(&b, how & 2 ? "</n:Key >\n" : "</Key>");
	buf_str(&b, how & 1 ? "</a></r><!--x-->\n" : "</x:a></r>");
	rc = buf_ok(&b) && n <= XML_TEXT_MAX ? xml_feed(&x, doc, b.len, &e) : 0;
	if (buf_ok(&b) && n <= XML_TEXT_MAX)
		must(enc_utf8_valid(text, n) ? rc == 0 && xml_end(&x, &e) == 0 && want.found == 1 : rc < 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned mode = take_byte(&in);
	unsigned char cut[4];

	if (mode & 1) {
		round_trip(&in);
		return 0;
	}
	for (size_t i = 0; i < sizeof cut; i++)
		cut[i] = (unsigned char)take_byte(&in);
	any_split(in.p, in.n, cut, sizeof cut);
	return 0;
}
