#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"
#include "opt_value.h"
#include "utc.h"

#define DIGITS "0123456789"

const char *
opt_called(const struct opt *o, char out[OPT_CALLED_CAP])
{
	struct buf b = buf_over(out, OPT_CALLED_CAP);

	if (o->name)
		buf_fmt(&b, "--%s", o->name);
	else
		buf_fmt(&b, "-%c", o->letter);
	return out;
}

/* "--days: 0 is not between 1 and 3650": why goes on after the value. */
static int
bad(const struct opt *o, const char *val, struct err *e, const char *why)
{
	char name[OPT_CALLED_CAP];

	if (!*val)
		val = "\"\"";
	return fail(e, ERR_USAGE, "%s: %s %s", opt_called(o, name), err_show(e, val), why);
}

int
opt_flag(const struct opt *o, const char *val, struct err *e)
{
	(void)val, (void)e;
	*(int *)o->dest = 1;
	return 0;
}

int
opt_string(const struct opt *o, const char *val, struct err *e)
{
	(void)e;
	*(const char **)o->dest = val;
	return 0;
}

static int
all_digits(const char *s)
{
	return *s && !s[strspn(s, DIGITS)];
}

int
opt_number(const struct opt *o, const char *val, struct err *e)
{
	char why[96];
	struct buf b = BUF(why);
	unsigned long v = strtoul(val, NULL, 10);   /* what is too large for it is for every limit */

	if (all_digits(val) && v >= o->min && v <= o->max) {
		*(long *)o->dest = (long)v;
		return 0;
	}
	buf_fmt(&b, "is not %sbetween %" PRIu32 " and %" PRIu32, all_digits(val) ? "" : "a number ", o->min, o->max);
	return bad(o, val, e, why);
}

/* The unit's size after an optional blank: "", "B", "K", "KB", "KiB" and so on, any case; 0 when it is none. */
static unsigned long long
unit(const char *s)
{
	static const char units[] = "KMGT";
	unsigned long long size = 1;
	const char *u;

	s += *s == ' ' && s[1];
	u = *s > ' ' ? strchr(units, *s & ~0x20) : NULL;
	if (u) {
		size <<= 10 * (u - units + 1);
		s++;
		if ((*s == 'i' || *s == 'I') && (s[1] == 'B' || s[1] == 'b'))
			s++;
	}
	s += *s == 'B' || *s == 'b';
	return *s ? 0 : size;
}

/* "12" or "1.5" at text: its length, 0 when there is none. */
static size_t
number_length(const char *text)
{
	size_t whole = strspn(text, DIGITS), fraction = text[whole] == '.' ? strspn(text + whole + 1, DIGITS) : 0;

	return !whole || text[whole] != '.' ? whole : fraction ? whole + 1 + fraction : 0;
}

/* That number of `each`, rounded down: 0, or -1 when it does not fit. */
static int
times(const char *text, size_t len, unsigned long long each, unsigned long long *out)
{
	unsigned long long v = 0, part = 0;
	size_t whole = strspn(text, DIGITS);

	for (size_t i = 0; i < whole; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text[i] - '0', &v))
			return -1;
	/* From the last digit to the first: exact, however many there are. */
	while (len > whole + 1)
		part = ((unsigned)(text[--len] - '0') * each + part) / 10;
	return __builtin_mul_overflow(v, each, &v) || __builtin_add_overflow(v, part, out) ? -1 : 0;
}

int
opt_parse_size(const char *text, unsigned long long *bytes)
{
	size_t n = number_length(text);
	unsigned long long size = unit(text + n);

	/* There is no half a byte. */
	if (!n || !size || (size == 1 && memchr(text, '.', n)))
		return -1;
	return times(text, n, size, bytes);
}

int
opt_size(const struct opt *o, const char *val, struct err *e)
{
	unsigned long long bytes;

	if (opt_parse_size(val, &bytes) < 0)
		return bad(o, val, e, "is not a size: a number, or one with K, M, G or T such as 50M");
	*(uint64_t *)o->dest = bytes;
	return 0;
}

int
opt_parse_age(const char *text, int64_t *ms)
{
	static const struct { char unit; unsigned ms; } units[] = {
		{'\0', 1000}, {'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000},
	};
	size_t n = number_length(text), u = 0;
	unsigned long long v;

	while (u < sizeof units / sizeof *units && units[u].unit != text[n])
		u++;
	if (!n || u == sizeof units / sizeof *units || (text[n] && text[n + 1]) || times(text, n, units[u].ms, &v) < 0 || v > INT64_MAX)
		return -1;
	*ms = (int64_t)v;
	return 0;
}

int
opt_age(const struct opt *o, const char *val, struct err *e)
{
	char why[160];
	struct buf b = BUF(why);
	int64_t ms;

	if (opt_parse_age(val, &ms) < 0)
		return bad(o, val, e, "is not a time: seconds, or a number with s, m, h, d or w such as 7d");
	if (ms < o->min * INT64_C(1000) || ms > o->max * INT64_C(1000)) {
		buf_fmt(&b, "is not between %" PRIu32 " and %" PRIu32 " seconds", o->min, o->max);
		return bad(o, val, e, why);
	}
	*(int64_t *)o->dest = ms;
	return 0;
}

int
opt_date(const struct opt *o, const char *val, struct err *e)
{
	if (utc_parse_date(val, NULL) < 0)
		return bad(o, val, e, "is not a date of the calendar in the form YYYY-MM-DD");
	*(const char **)o->dest = val;
	return 0;
}

int
opt_choice(const struct opt *o, const char *val, struct err *e)
{
	char why[256];
	struct buf b = BUF(why);
	const char *word = o->arg;

	for (int i = 0; word; i++) {
		size_t n = strcspn(word, "|");

		if (strlen(val) == n && !memcmp(val, word, n)) {
			*(int *)o->dest = i;
			return 0;
		}
		word = word[n] ? word + n + 1 : NULL;
	}
	buf_fmt(&b, "is none of %s", o->arg);
	return bad(o, val, e, why);
}

int
opt_list(const struct opt *o, const char *val, struct err *e)
{
	struct opt_words *w = o->dest;
	char name[OPT_CALLED_CAP];

	if (w->n >= OPT_LIST_MAX)
		return fail(e, ERR_USAGE, "%s: given more than %d times", opt_called(o, name), OPT_LIST_MAX);
	w->v[w->n++] = val;
	return 0;
}

int
opt_patterns(const struct opt *o, const char *val, struct err *e)
{
	char name[OPT_CALLED_CAP];

	return *val ? opt_list(o, val, e) : fail(e, ERR_USAGE, "%s: the pattern is empty: is its variable set?", opt_called(o, name));
}
