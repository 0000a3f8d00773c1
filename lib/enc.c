#include <ctype.h>
#include <string.h>
#include "enc.h"

static const char lower[] = "0123456789abcdef";
static const char upper[] = "0123456789ABCDEF";
static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
enc_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
enc_byte(const char *s)
{
	int high = enc_digit(s[0]), low = high < 0 ? -1 : enc_digit(s[1]);

	return low < 0 ? -1 : high << 4 | low;
}

int
enc_number(const char *s, size_t n, int max)
{
	int v = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
		if (v > max)
			return -1;
	}
	return n ? v : -1;
}

int
enc_ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n > k && !strcmp(text + n - k, end);
}

void
enc_lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

void
enc_hex(struct buf *b, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++) {
		buf_char(b, lower[p[i] >> 4]);
		buf_char(b, lower[p[i] & 15]);
	}
}

int
enc_unhex(const char *hex, unsigned char *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int byte = enc_byte(hex + 2 * i);

		if (byte < 0)
			return -1;
		out[i] = (unsigned char)byte;
	}
	return hex[2 * n] ? -1 : 0;
}

void
enc_base64(struct buf *b, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16;

		if (i + 1 < n)
			v |= (unsigned)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		buf_char(b, digits64[v >> 18]);
		buf_char(b, digits64[v >> 12 & 63]);
		buf_char(b, i + 1 < n ? digits64[v >> 6 & 63] : '=');
		buf_char(b, i + 2 < n ? digits64[v & 63] : '=');
	}
}

long
enc_unbase64(const char *text, size_t n, unsigned char *out)
{
	enum { PAD = 64, BLANK, OTHER };
	unsigned char value[256], *at = out;
	size_t digits = 0, pads = 0;
	unsigned v = 0, d;

	memset(value, OTHER, sizeof value);
	for (d = 0; d < 64; d++)
		value[(unsigned char)digits64[d]] = (unsigned char)d;
	value['='] = PAD;
	value[' '] = value['\t'] = value['\r'] = value['\n'] = BLANK;
	for (size_t i = 0; i < n; i++) {
		d = value[(unsigned char)text[i]];
		if (d >= PAD || pads) {
			if (d == BLANK)
				continue;
			if (d != PAD)
				return -1;
			pads++;
			d = 0;
		}
		v = v << 6 | d;
		if (++digits % 4)
			continue;
		*at++ = (unsigned char)(v >> 16);
		*at++ = (unsigned char)(v >> 8);
		*at++ = (unsigned char)v;
	}
	/* With one pad a byte is none, and zero; with two, so are two. */
	if (digits % 4 || pads > 2 || (pads && v & (pads == 1 ? 0xff : 0xffff)))
		return -1;
	return at - out - (long)pads;
}

/* RFC 3986 section 2.3. */
static int
unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

static void
percent(struct buf *b, const char *s, char also)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (unreserved(c) || *s == also) {
			buf_char(b, *s);
		} else {
			buf_char(b, '%');
			buf_char(b, upper[c >> 4]);
			buf_char(b, upper[c & 15]);
		}
	}
}

void
enc_path(struct buf *b, const char *s)
{
	percent(b, s, '/');
}

void
enc_query(struct buf *b, const char *s)
{
	percent(b, s, '\0');
}

/* Where a byte's encoded form sorts: '%' comes before every unreserved character, upper-case hex
   in the order of its value. So the encoded forms can be compared without being built. */
static int
rank(unsigned char c)
{
	return unreserved(c) ? 256 + c : c;
}

static int
compare_encoded(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return rank((unsigned char)*a) - rank((unsigned char)*b);
}

static int
compare_pairs(const struct pair *a, const struct pair *b)
{
	int c = compare_encoded(a->name, b->name);

	return c ? c : compare_encoded(a->value, b->value);
}

void
enc_query_pairs(struct buf *b, const struct pair *pairs, size_t n)
{
	const struct pair *sorted[ENC_QUERY_MAX];

	if (n > ENC_QUERY_MAX) {
		b->overflow = 1;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		for (; at && compare_pairs(sorted[at - 1], &pairs[i]) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &pairs[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(b, '&');
		enc_query(b, sorted[i]->name);
		buf_char(b, '=');
		enc_query(b, sorted[i]->value);
	}
}

long
enc_unpercent(char *s, size_t n, int plus_is_space)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			int byte = n - i > 2 ? enc_byte(s + i + 1) : -1;

			if (byte < 0)
				return -1;
			c = (char)byte;
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		s[out++] = c;
	}
	if (out < n)
		s[out] = '\0';
	return (long)out;
}

/* The second byte's limits are RFC 3629's table: they rule out overlong forms, surrogates and what lies above U+10FFFF. */
size_t
enc_utf8(const char *text, size_t n, uint32_t *cp)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	unsigned min = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
	unsigned max = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;

	*cp = s[0];
	if (len == 1)
		return 1;
	if (s[0] < 0xC2 || s[0] > 0xF4 || n < len || s[1] < min || s[1] > max)
		return 0;
	*cp = s[0] & (0xFFu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3F);
	}
	return len;
}

int
enc_utf8_valid(const char *s, size_t n)
{
	uint32_t cp;

	for (size_t i = 0, len; i < n; i += len)
		if (!(len = enc_utf8(s + i, n - i, &cp)))
			return 0;
	return 1;
}

/* C0, DEL and C1: a terminal acts on them. */
static int
control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7F && cp < 0xA0);
}

/* Bidirectional overrides and isolates: they make a name look like another one (CVE-2021-42574). And, before these, what ends a line for some
   readers (Python's splitlines), so that one JSON object would be two. */
static int
misleads(uint32_t cp)
{
	return (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
}

/* The letter that stands for c after a backslash, or 0. */
static char
letter(uint32_t c)
{
	return c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 0;
}

void
enc_json(struct buf *b, const char *s)
{
	uint32_t cp;

	buf_char(b, '"');
	for (size_t len; *s; s += len) {
		len = enc_utf8(s, 4, &cp);   /* it stops at the NUL */
		if (!len) {
			buf_str(b, "\xef\xbf\xbd");
			len = 1;
		} else if (cp == '"' || cp == '\\') {
			buf_char(b, '\\');
			buf_char(b, *s);
		} else if (letter(cp)) {
			buf_char(b, '\\');
			buf_char(b, letter(cp));
		} else if (control(cp) || misleads(cp)) {
			buf_fmt(b, "\\u%04x", (unsigned)cp);
		} else {
			buf_put(b, s, len);
		}
	}
	buf_char(b, '"');
}

void
enc_xml(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		switch (c) {
		case '&': buf_str(b, "&amp;"); break;
		case '<': buf_str(b, "&lt;"); break;
		case '>': buf_str(b, "&gt;"); break;
		case '"': buf_str(b, "&quot;"); break;
		case '\'': buf_str(b, "&apos;"); break;
		default:
			if (c < 0x20 || c == 0x7F)
				buf_fmt(b, "&#x%X;", c);
			else
				buf_char(b, *s);
		}
	}
}

void
enc_printable(struct buf *b, const char *s, size_t n)
{
	uint32_t cp;

	for (size_t i = 0, len; i < n; i += len) {
		int valid = (len = enc_utf8(s + i, n - i, &cp)) > 0;

		len += !valid;
		if (valid && letter(cp))
			buf_fmt(b, "\\%c", letter(cp));
		else if (valid && misleads(cp))
			buf_fmt(b, "\\u%04x", (unsigned)cp);
		else if (valid && !control(cp))
			buf_put(b, s + i, len);
		else
			for (size_t k = 0; k < len; k++)
				buf_fmt(b, "\\x%02x", (unsigned char)s[i + k]);
	}
}

const char *
enc_show_in(char *out, size_t cap, const char *text)
{
	struct buf b = buf_over(out, cap);

	enc_printable(&b, text, strnlen(text, cap));
	buf_ellipsis(&b);
	return out;
}
