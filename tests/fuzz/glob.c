/* Patterns, keys and what cleanup deletes: against matchers and judges written another way, slowly. */
#include "fuzz.h"
#include "path.h"
#include "sweep.h"

enum { CHARS_MAX = 64, INVALID = 0x200000 };

/* A string as characters; a byte that begins none is one of its own, which no character equals. */
struct chars {
	size_t n;
	uint32_t c[CHARS_MAX];
};

static int
to_chars(struct chars *out, const char *s)
{
	size_t left = strlen(s), len;

	for (out->n = 0; left; s += len, left -= len) {
		uint32_t c = (unsigned char)*s;

		for (len = 1; len <= 4 && len <= left && !enc_utf8_valid(s, len); len++)
			;
		if (len > 4 || len > left) {
			len = 1;
			c += INVALID;
		} else if (len > 1) {
			c &= 0x7fu >> len;
			for (size_t i = 1; i < len; i++)
				c = c << 6 | ((unsigned char)s[i] & 0x3f);
		}
		if (out->n == CHARS_MAX)
			return -1;
		out->c[out->n++] = c;
	}
	return 0;
}

static uint32_t
fold(uint32_t c, int any_case)
{
	return any_case && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Where the set at p[i] (behind its bracket) ends, behind the ']'; 0: it does not. *in: it has c. */
static size_t
set_end(const struct chars *p, size_t i, uint32_t c, int any_case, int *in)
{
	int not = i < p->n && (p->c[i] == '!' || p->c[i] == '^');
	size_t first = i += (size_t)not;

	for (*in = 0; i < p->n && (i == first || p->c[i] != ']'); i++) {
		uint32_t from, to;

		if (p->c[i] == '\\' && i + 1 < p->n)
			i++;
		from = to = fold(p->c[i], any_case);
		if (i + 2 < p->n && p->c[i + 1] == '-' && p->c[i + 2] != ']') {
			i += 2;
			if (p->c[i] == '\\' && i + 1 < p->n)
				i++;
			to = fold(p->c[i], any_case);
		}
		*in |= from <= c && c <= to;
	}
	*in ^= not;
	return i < p->n ? i + 1 : 0;
}

/* Does p from i on match all of s from k on? */
static int
matches(const struct chars *p, size_t i, const struct chars *s, size_t k, int any_case)
{
	uint32_t c;
	size_t end;
	int in;

	if (i == p->n)
		return k == s->n;
	if (p->c[i] == '*')
		return matches(p, i + 1, s, k, any_case) || (k < s->n && matches(p, i, s, k + 1, any_case));
	if (k == s->n)
		return 0;
	c = fold(s->c[k], any_case);
	if (p->c[i] == '?')
		return matches(p, i + 1, s, k + 1, any_case);
	if (p->c[i] == '[' && (end = set_end(p, i + 1, c, any_case, &in)))
		return in && matches(p, end, s, k + 1, any_case);
	if (p->c[i] == '\\' && i + 1 < p->n)
		i++;
	return fold(p->c[i], any_case) == c && matches(p, i + 1, s, k + 1, any_case);
}

static int
stars(const struct chars *p)
{
	int n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->c[i] == '*';
	return n;
}

static void
match(const char *pattern, const char *name, int any_case)
{
	struct chars p, s;
	int got = path_match(pattern, name, any_case);

	if (to_chars(&p, pattern) == 0 && to_chars(&s, name) == 0 && stars(&p) <= 4)
		must(got == matches(&p, 0, &s, 0, any_case));
	if (!strpbrk(pattern, "*?[\\"))
		must(any_case || got == !strcmp(pattern, name));
	must(path_match("*", name, any_case));
}

static void
key(const char *k)
{
	struct err e;
	size_t n = strlen(k);
	const char *base = path_base(k);

	if (path_key_check(k, &e) < 0) {
		must_be_message(&e);
	} else {
		must(n && n <= PATH_KEY_MAX && enc_utf8_valid(k, n));
		must(strcmp(k, ".") && strcmp(k, "..") && !strstr(k, "/../") && !strstr(k, "/./"));
		must(strncmp(k, "../", 3) && (n < 3 || strcmp(k + n - 3, "/..")));
	}
	must(base >= k && base <= k + n && (base == k || base[-1] == '/'));
	must(!*base || *base != '/');
}

static void
join(const char *prefix, const char *date, const char *name)
{
	char text[512];
	struct buf b = BUF(text);

	path_key_join(&b, prefix, date, name);
	if (!buf_ok(&b))
		return;
	must(*text != '/' || !*name || strspn(name, "/") == strlen(name) || *date == '/');
	must(b.len >= strlen(name + strspn(name, "/")));
	must(!strcmp(text + b.len - strlen(name + strspn(name, "/")), name + strspn(name, "/")));
}

/* Old is only what this finds old as well. */
static void
judge(const char *prefix, const char *k, const char *keep, const char *before, int by_modified, int64_t modified)
{
	struct sweep s = {.prefix = prefix, .by_modified = by_modified, .before_s = 1000, .keep = &keep, .nkeep = *keep != '\0'};
	const char *rest = k;
	size_t n = strlen(prefix);
	int year, month, day, at = 0;

	if (utc_parse_date(before, NULL) < 0)
		before = "2025-06-15";
	memcpy(s.before, before, sizeof s.before);
	if (sweep_judge(&s, k, modified) != SWEEP_OLD)
		return;
	if (n) {
		must(!strncmp(k, prefix, n) && k[n] == '/');
		rest = k + n + 1;
	}
	must(*rest && strcmp(k, ".") && strcmp(k, "..") && !strstr(k, "/../") && !strstr(k, "/./") && strncmp(k, "../", 3) && strncmp(k, "./", 2));
	must(!*keep || (!path_match(keep, k, 0) && !path_match(keep, path_base(k), 0)));
	if (by_modified) {
		must(modified > 0 && modified < 1000);
		return;
	}
	must(sscanf(rest, "%4d-%2d-%2d/%n", &year, &month, &day, &at) == 3 && at == 11 && rest[11]);
	must(strspn(rest, "0123456789") == 4 && year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
	must(memcmp(rest, s.before, 10) < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	char *word[4];

	if (size > 4096)
		return 0;
	for (int i = 0; i < 4; i++)
		word[i] = take_string(&in);
	match(word[0], word[1], how & 1);
	key(word[1]);
	join(word[2], how & 2 ? "2025-12-29" : "", word[1]);
	judge(word[2], word[1], word[0], word[3], how & 1, (int64_t)how * 8 - 40);
	for (int i = 0; i < 4; i++)
		free(word[i]);
	return 0;
}
