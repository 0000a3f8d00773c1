#include <string.h>
#include "enc.h"
#include "xml_lex.h"

int
xml_is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *
xml_skip_space(const char *s)
{
	while (xml_is_space(*s))
		s++;
	return s;
}

static int
is_name_char(int c, int first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c < 0 || c > 0x7f)
		return 1;
	return !first && ((c >= '0' && c <= '9') || c == '-' || c == '.');
}

size_t
xml_plain_name_len(const char *s)
{
	size_t n = 0;

	while (is_name_char(s[n], !n))
		n++;
	return n;
}

/* Namespaces in XML 1.0 section 4: at most one colon, and inside. */
size_t
xml_name_len(const char *s)
{
	size_t n = xml_plain_name_len(s), local;

	if (!n || s[n] != ':')
		return n;
	local = xml_plain_name_len(s + n + 1);
	return local ? n + 1 + local : 0;
}

/* "#233" or "#xE9". XML 1.0 forbids most control characters even so, but radosgw sends &#x1; for a key that has
   one, and a listing must not end there. NUL and surrogates are no characters anywhere. */
static long
decode_number(const char *s, size_t n)
{
	int base = n > 1 && s[1] == 'x' ? 16 : 10, d;
	size_t i = base == 16 ? 2 : 1;
	long value = 0;

	for (; i < n; i++) {
		if ((d = enc_digit(s[i])) < 0 || d >= base)
			return -1;
		value = value * base + d;
		if (value > 0x10ffff)
			return -1;
	}
	return !value || (value >= 0xd800 && value <= 0xdfff) ? -1 : value;
}

long
xml_decode_reference(const char *s, size_t n)
{
	static const struct {
		char name[5];
		char value;
	} known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
	size_t i;

	if (n && *s == '#')
		return decode_number(s, n);
	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == n && !memcmp(known[i].name, s, n))
			return known[i].value;
	return -1;
}

/* Name Eq AttValue (XML 1.0 productions 41, 25, 10). Nothing that S3 says stands in an attribute: past it, or NULL. */
const char *
xml_skip_attribute(const char *s)
{
	const char *end;
	char quote;

	if (!xml_name_len(s))
		return NULL;
	s = xml_skip_space(s + xml_name_len(s));
	if (*s != '=')
		return NULL;
	s = xml_skip_space(s + 1);
	quote = *s;
	if (quote != '"' && quote != '\'')
		return NULL;
	while (*++s != quote) {
		if (!*s || *s == '<')
			return NULL;
		if (*s != '&')
			continue;
		end = strchr(s, ';');
		if (!end || xml_decode_reference(s + 1, (size_t)(end - s) - 1) < 0)
			return NULL;
		s = end;
	}
	return s + 1;
}
