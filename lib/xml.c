#include <string.h>
#include "xml.h"
#include "xml_lex.h"

/* Each state is what the next byte belongs to. XML_START lasts until the first byte that is neither of a BOM nor white space:
   only there may "<?xml" stand. */
enum { XML_START, XML_TEXT, XML_FIRST_MARKUP, XML_MARKUP, XML_REFERENCE, XML_CDATA, XML_FAILED };

static int
bad(struct err *e, const char *why)
{
	return fail(e, ERR_PROTO, "the server's XML is broken: %s", why);
}

/* RFC 3629 section 4: only the second byte's range depends on the first. */
static int
utf8_begin(struct xml *x, int c)
{
	if (c < 0xc2 || c > 0xf4)
		return -1;
	x->utf8_more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	x->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	x->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	return 0;
}

static int
utf8_step(struct xml *x, int c)
{
	if (!x->utf8_more)
		return c < 0x80 ? 0 : utf8_begin(x, c);
	if (c < x->utf8_low || c > x->utf8_high)
		return -1;
	x->utf8_more--;
	x->utf8_low = 0x80;
	x->utf8_high = 0xbf;
	return 0;
}

static int
put_text(struct xml *x, const char *s, size_t n, struct err *e)
{
	if (n > XML_TEXT_MAX - x->text_len)
		return bad(e, "an element's text is too long");
	memcpy(x->text + x->text_len, s, n);
	x->text_len += n;
	return 0;
}

static int
put_char(struct xml *x, long c, struct err *e)
{
	char u[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (i = n; i--; c >>= 6)
		u[i] = (char)(i ? 0x80 | (c & 0x3f) : lead[n] | c);
	return put_text(x, u, n, e);
}

/* White space beside child elements is a pretty printer's. It is dropped as it comes, so that the root of a long
   listing does not fill the buffer with it. */
static void
drop_layout(struct xml *x, int d)
{
	size_t i;

	for (i = x->text_at[d]; i < x->text_len; i++)
		if (!xml_is_space(x->text[i]))
			return;
	x->text_len = x->text_at[d];
}

/* The path that is told: without the root, and without prefixes. */
static void
add_local(struct xml *x, const char *name, size_t n)
{
	size_t prefix = xml_plain_name_len(name), skip = prefix < n ? prefix + 1 : 0;

	if (x->local_len)
		x->local[x->local_len++] = '/';
	memcpy(x->local + x->local_len, name + skip, n - skip);
	x->local_len += n - skip;
	x->local[x->local_len] = '\0';
}

static int
open_element(struct xml *x, const char *name, size_t n, struct err *e)
{
	int d = x->depth;

	if (!d && x->seen_root)
		return bad(e, "something follows the root element");
	if (d == XML_DEPTH_MAX)
		return bad(e, "elements are nested too deeply");
	if (x->path_len + 1 + n > XML_PATH_MAX)
		return bad(e, "element names are too long");
	x->local_at[d] = x->local_len;
	if (d) {
		add_local(x, name, n);
		drop_layout(x, d - 1);
		x->parents |= 1u << (d - 1);
		x->path[x->path_len++] = '/';
	}
	x->parents &= ~(1u << d);
	x->name_at[d] = x->path_len;
	x->text_at[d] = x->text_len;
	memcpy(x->path + x->path_len, name, n);
	x->path_len += n;
	x->path[x->path_len] = '\0';
	x->depth++;
	x->seen_root = 1;
	return 0;
}

static int
close_element(struct xml *x, const char *name, size_t n, struct err *e)
{
	int d = x->depth - 1;

	if (d < 0 || n != x->path_len - x->name_at[d] || memcmp(name, x->path + x->name_at[d], n))
		return bad(e, "an end tag that closes nothing");
	if (x->parents & 1u << d)
		drop_layout(x, d);
	x->text[x->text_len] = '\0';
	if (x->element(x->arg, x->local, x->text + x->text_at[d], x->text_len - x->text_at[d], e))
		return -1;
	x->text_len = x->text_at[d];
	x->path_len = x->name_at[d] - (d > 0);
	x->local_len = x->local_at[d];
	x->local[x->local_len] = '\0';
	x->depth = d;
	return 0;
}

/* markup is what stood between '<' and '>'. */
static int
finish_tag(struct xml *x, struct err *e)
{
	int closing = *x->markup == '/', empty;
	const char *name = x->markup + closing, *s, *rest;
	size_t n = xml_name_len(name);

	if (!n)
		return bad(e, "a tag without a name");
	for (s = name + n;; s = xml_skip_attribute(rest)) {
		if (!s)
			return bad(e, "a malformed attribute");
		rest = xml_skip_space(s);
		if (!*rest || !strcmp(rest, "/"))
			break;
		if (closing || rest == s)
			return bad(e, "a malformed tag");
	}
	empty = *rest == '/';
	if (closing)
		return empty ? bad(e, "a malformed tag") : close_element(x, name, n, e);
	if (open_element(x, name, n, e) < 0)
		return -1;
	return empty ? close_element(x, name, n, e) : 0;
}

/* XML 1.0 section 2.6: the target "xml", in any case, is reserved; "<?xml" is the declaration and must come first.
   What encoding it names does not matter: the bytes must be UTF-8 anyway. */
static int
finish_instruction(struct xml *x, struct err *e)
{
	const char *target = x->markup + 1;
	size_t n = xml_plain_name_len(target);

	if (!n || (!xml_is_space(target[n]) && strcmp(target + n, "?")))
		return bad(e, "a malformed processing instruction");
	if (n == 3 && !strncasecmp(target, "xml", 3) && (x->state != XML_FIRST_MARKUP || memcmp(target, "xml", 3)))
		return bad(e, "an XML declaration that is not at the start");
	return 0;
}

static int
finish_comment(struct xml *x, struct err *e)
{
	const char *dashes = strstr(x->markup + 3, "--");

	return dashes == x->markup + x->markup_len - 2 ? 0 : bad(e, "\"--\" inside a comment");
}

static int
ends_with(const struct xml *x, const char *s, size_t at_least)
{
	size_t n = strlen(s);

	return x->markup_len >= at_least && !memcmp(x->markup + x->markup_len - n, s, n);
}

/* A '>' came: 1 when the markup went on over it, 0 when it is done, -1. */
static int
finish_markup(struct xml *x, struct err *e)
{
	switch (*x->markup) {
	case '!':
		return ends_with(x, "--", 5) ? finish_comment(x, e) : 1;
	case '?':
		return ends_with(x, "?", 2) ? finish_instruction(x, e) : 1;
	default:
		return x->sub ? 1 : finish_tag(x, e);
	}
}

/* "<!" begins a comment or, inside the root, CDATA. All else is DTD: entities that grow and files that are read. */
static int
check_declaration(struct xml *x, struct err *e)
{
	static const char cdata[] = "![CDATA[";
	size_t n = x->markup_len;

	if (!strncmp(x->markup, "!--", n < 3 ? n : 3))
		return 0;
	if (!x->depth || n >= sizeof cdata || memcmp(x->markup, cdata, n))
		return bad(e, "a DOCTYPE or another declaration, which are refused");
	if (n == sizeof cdata - 1) {
		x->state = XML_CDATA;
		x->sub = 0;
	}
	return 0;
}

/* sub is the quote that is open in a tag. */
static int
step_markup(struct xml *x, char c, struct err *e)
{
	int more;

	if (c == '>') {
		if ((more = finish_markup(x, e)) < 0)
			return -1;
		if (!more) {
			x->state = XML_TEXT;
			x->sub = 0;
			return 0;
		}
	}
	if (x->markup_len == XML_MARKUP_MAX)
		return bad(e, "a tag or comment is too long");
	x->markup[x->markup_len++] = c;
	x->markup[x->markup_len] = '\0';
	if (*x->markup == '!')
		return check_declaration(x, e);
	if (x->sub ? c == x->sub : c == '"' || c == '\'')
		x->sub = x->sub ? 0 : c;
	return 0;
}

/* sub counts the ']' just seen: XML 1.0 section 2.4 wants "]]>" written as "]]&gt;".
   Line ends are left as they are: a CR in a key that a server failed to write as &#13; must not become LF, which
   would be another key. Raw control characters pass for the same reason as &#x1;. */
static int
step_text(struct xml *x, char c, struct err *e)
{
	if (c == '<' || c == '&') {
		x->markup_len = 0;
		*x->markup = '\0';
		x->sub = 0;
		if (c == '<')
			x->state = x->state == XML_START ? XML_FIRST_MARKUP : XML_MARKUP;
		else
			x->state = XML_REFERENCE;
		return 0;
	}
	x->state = XML_TEXT;
	if (!x->depth)
		return xml_is_space(c) ? 0 : bad(e, "text outside the root element");
	if (c == '>' && x->sub == 2)
		return bad(e, "\"]]>\" outside CDATA");
	x->sub = c != ']' ? 0 : x->sub < 2 ? x->sub + 1 : 2;
	return put_text(x, &c, 1, e);
}

/* sub counts the bytes of a byte order mark. Half of one is not UTF-8, or is text outside the root. White space that kept the
   connection alive may stand before "<?xml", as older MinIO sends it while it puts parts together (minio/minio#7198). */
static int
step_start(struct xml *x, char c, struct err *e)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (x->sub < 3 && c == bom[x->sub]) {
		x->sub++;
		return 0;
	}
	return xml_is_space(c) ? 0 : step_text(x, c, e);
}

static int
step_reference(struct xml *x, char c, struct err *e)
{
	long value;

	if (c != ';') {
		if (x->markup_len == XML_MARKUP_MAX)
			return bad(e, "a reference is too long");
		x->markup[x->markup_len++] = c;
		return 0;
	}
	value = xml_decode_reference(x->markup, x->markup_len);
	if (value < 0)
		return bad(e, "an unknown entity or a reference to no character");
	if (!x->depth)
		return bad(e, "text outside the root element");
	x->state = XML_TEXT;
	return put_char(x, value, e);
}

/* sub counts the ']' that are held back because "]]>" may follow. */
static int
step_cdata(struct xml *x, char c, struct err *e)
{
	if (c == ']') {
		if (x->sub == 2)
			return put_text(x, "]", 1, e);
		x->sub++;
		return 0;
	}
	if (c == '>' && x->sub == 2) {
		x->state = XML_TEXT;
		x->sub = 0;
		return 0;
	}
	if (put_text(x, "]]", (size_t)x->sub, e) < 0)
		return -1;
	x->sub = 0;
	return put_text(x, &c, 1, e);
}

static int
step(struct xml *x, char c, struct err *e)
{
	if (!c || utf8_step(x, (unsigned char)c) < 0)
		return bad(e, c ? "not UTF-8" : "a NUL byte");
	switch (x->state) {
	case XML_START:
		return step_start(x, c, e);
	case XML_TEXT:
		return step_text(x, c, e);
	case XML_REFERENCE:
		return step_reference(x, c, e);
	case XML_CDATA:
		return step_cdata(x, c, e);
	case XML_FAILED:
		return bad(e, "it was so before");
	default:
		return step_markup(x, c, e);
	}
}

/* Bytes that stand for themselves wherever they come, in text as in a tag: nearly all that a listing is made of. */
static int
is_plain(char c)
{
	return (c >= '(' && c <= ';') || (c >= '?' && c < ']') || (c > ']' && c <= '~');
}

/* Takes the plain bytes from p on, as far as there is room, as a step each would. Returns what it left. */
static const char *
take_plain(struct xml *x, const char *p, const char *end)
{
	int text = x->state == XML_TEXT && x->depth, tag = x->state == XML_MARKUP && x->markup_len && *x->markup != '!';
	char *to = text ? x->text : x->markup;
	size_t *len = text ? &x->text_len : &x->markup_len, n = *len, max = text ? XML_TEXT_MAX : XML_MARKUP_MAX;

	if (x->utf8_more || (!text && !tag))
		return p;
	while (p < end && n < max && is_plain(*p))
		to[n++] = *p++;
	x->sub = text && n > *len ? 0 : x->sub;
	to[n] = '\0';
	*len = n;
	return p;
}

int
xml_feed(struct xml *x, const char *p, size_t n, struct err *e)
{
	const char *end = p + n;

	while (p < end && (p = take_plain(x, p, end)) < end)
		if (step(x, *p++, e) < 0) {
			x->state = XML_FAILED;
			return -1;
		}
	return 0;
}

int
xml_end(struct xml *x, struct err *e)
{
	if (x->state == XML_TEXT && !x->depth && x->seen_root)
		return 0;
	x->state = XML_FAILED;
	return bad(e, x->seen_root ? "it ends too early" : "there is none");
}
