#include <string.h>
#include <strings.h>
#include "enc.h"
#include "path.h"

size_t
path_trim(const char *path, size_t least)
{
	size_t n = strlen(path);

	while (n > least && path[n - 1] == '/')
		n--;
	return n;
}

const char *
path_base(const char *path)
{
	size_t n = path_trim(path, 0);

	if (!n)
		return path + strlen(path);
	while (n && path[n - 1] != '/')
		n--;
	return path + n;
}

int
path_has_dots(const char *key)
{
	for (;;) {
		size_t n = strcspn(key, "/");

		if ((n == 1 && key[0] == '.') || (n == 2 && key[0] == '.' && key[1] == '.'))
			return 1;
		if (!key[n])
			return 0;
		key += n + 1;
	}
}

int
path_is_url(const char *text)
{
	return !strncasecmp(text, "s3://", 5) || !strncasecmp(text, "r2://", 5);
}

int
path_key_check(const char *key, struct err *e)
{
	size_t n = strlen(key);

	if (!n)
		return fail(e, ERR_USAGE, "an empty key: an object needs a name");
	if (path_is_url(key))
		return fail(e, ERR_USAGE, "key %s: begins with %.5s: the bucket belongs into --bucket", err_show(e, key), key);
	if (n > PATH_KEY_MAX)
		return fail(e, ERR_USAGE, "key %s: %zu bytes: a key has at most %d", err_show(e, key), n, PATH_KEY_MAX);
	if (!enc_utf8_valid(key, n))
		return fail(e, ERR_USAGE, "key %s: not valid UTF-8: rename the file, or name its key with r2 upload --key", err_show(e, key));
	if (path_has_dots(key))
		return fail(e, ERR_USAGE, "key %s: has a \".\" or \"..\" segment: "
			"no file could be read back under that name", err_show(e, key));
	return 0;
}

int
path_key_made(const struct buf *key, struct err *e)
{
	return buf_ok(key) ? path_key_check(key->p, e)
		: fail(e, ERR_USAGE, "the key would be longer than %d bytes: shorten the prefix or the file's name", PATH_KEY_MAX);
}

void
path_key_join(struct buf *b, const char *prefix, const char *date, const char *name)
{
	size_t n;

	prefix += strspn(prefix, "/");
	n = path_trim(prefix, 0);
	buf_put(b, prefix, n);
	if (n)
		buf_char(b, '/');
	buf_str(b, date);
	if (*date)
		buf_char(b, '/');
	buf_str(b, name + strspn(name, "/"));
}

int
path_s3_url(const char *arg, char *bucket, size_t cap, const char **key, struct err *e)
{
	size_t n;

	if (!path_is_url(arg))
		return 0;
	n = strcspn(arg + 5, "/");
	if (!n)
		return fail(e, ERR_USAGE, "%s: no bucket: write s3://BUCKET/KEY", err_show(e, arg));
	if (n >= cap)
		return fail(e, ERR_USAGE, "%s: the bucket's name has %zu characters: at most %zu are possible",
			err_show(e, arg), n, cap - 1);
	memcpy(bucket, arg + 5, n);
	bucket[n] = '\0';
	*key = arg + 5 + n + (arg[5 + n] == '/');
	return 1;
}

static int
edge(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The rule that a bucket's name breaks, or NULL. */
static const char *
bucket_rule(const char *bucket)
{
	size_t n = strlen(bucket);

	if (n < 3 || n > 63)
		return "a bucket's name has 3 to 63 characters";
	if (strspn(bucket, "-.0123456789abcdefghijklmnopqrstuvwxyz") != n)
		return "a bucket's name has only a-z, 0-9 and '-'";
	if (!edge(bucket[0]) || !edge(bucket[n - 1]))
		return "a bucket's name begins and ends with a letter or a digit";
	if (strstr(bucket, ".."))
		return "a bucket's name has no two dots together";
	return NULL;
}

int
path_bucket_check(const char *bucket, struct err *e)
{
	const char *rule = bucket_rule(bucket);

	if (rule)
		return fail(e, ERR_USAGE, "bucket \"%s\": %s", err_show(e, bucket), rule);
	return 0;
}

/* One character of a name: '?' and the sets stand for a letter, not for a byte of it. Invalid UTF-8 goes byte by byte, each a character
   outside Unicode. */
static unsigned
next_char(const char **s)
{
	const char *at = *s;
	uint32_t c;
	size_t len = enc_utf8(at, 4, &c);   /* it stops at the NUL */

	*s = at + (len ? len : 1);
	return len ? c : (unsigned char)*at + 0x110000u;
}

static unsigned
fold(unsigned c, int any_case)
{
	return any_case && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* "[a-z]", "[!x]" at *pattern, behind the bracket. 1 or 0 with *pattern behind the set; -1: no closing bracket, so it is a plain '['. */
static int
in_set(const char **pattern, unsigned c, int any_case)
{
	const char *p = *pattern;
	int negated = *p == '!' || *p == '^', found = 0, first = 1;

	for (p += negated; *p && (first || *p != ']'); first = 0) {
		unsigned from, to;

		if (*p == '\\' && p[1])
			p++;
		to = from = fold(next_char(&p), any_case);
		if (*p == '-' && p[1] && p[1] != ']') {
			p++;
			if (*p == '\\' && p[1])
				p++;
			to = fold(next_char(&p), any_case);
		}
		found |= from <= c && c <= to;
	}
	if (!*p)
		return -1;
	*pattern = p + 1;
	return found != negated;
}

/* Does the pattern's next element, which is no star, take c? Then *pattern is behind it. */
static int
takes(const char **pattern, unsigned c, int any_case)
{
	const char *p = *pattern;
	int in;

	if (*p == '?') {
		*pattern = p + 1;
		return 1;
	}
	if (*p == '[') {
		p++;
		if ((in = in_set(&p, c, any_case)) >= 0) {
			*pattern = p;
			return in;
		}
		p = *pattern;
	} else if (*p == '\\' && p[1]) {
		p++;
	}
	if (!*p || fold(next_char(&p), any_case) != c)
		return 0;
	*pattern = p;
	return 1;
}

/* On a mismatch only the last star takes one character more: an earlier one could gain nothing by it. */
int
path_match(const char *pattern, const char *name, int any_case)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		const char *n = name;
		unsigned c = fold(next_char(&n), any_case);

		if (*pattern == '*') {
			star = ++pattern;
			from = name;
		} else if (takes(&pattern, c, any_case)) {
			name = n;
		} else if (star) {
			pattern = star;
			next_char(&from);
			name = from;
		} else {
			return 0;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static int
matches(const char *pattern, const char *path, int any_case)
{
	char own[PATH_KEY_MAX + 1];
	int whole = *pattern == '/' || !strncmp(pattern, "./", 2);
	size_t n;

	pattern += whole ? 1 + (*pattern == '.') : 0;
	n = path_trim(pattern, 1);
	if (n < sizeof own && pattern[n]) {
		memcpy(own, pattern, n);
		own[n] = '\0';
		pattern = own;
	}
	return path_match(pattern, path, any_case) || (!whole && path_match(pattern, path_base(path), any_case));
}

int
path_match_any(const char *const *patterns, int n, const char *path, int any_case)
{
	for (int i = 0; i < n; i++)
		if (matches(patterns[i], path, any_case))
			return 1;
	return 0;
}
