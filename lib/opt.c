#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"
#include "enc.h"
#include "opt_value.h"

enum {
	ROWS_MAX = 96,        /* of all tables together */
	LONG = 0x110000,      /* getopt_long's value for row i is LONG + i: above every character */
	WORD_MAX = 64,        /* bytes of a word that opt_nearest looks at */
	HELP_COLUMN = 28,     /* where the help text stands */
	WIDTH = 79,           /* 80 columns without the last, after which terminals break a line */
};

/* The rows of all tables in the forms that getopt_long wants. */
struct parser {
	int n;
	const struct opt *rows[ROWS_MAX];
	struct option longs[ROWS_MAX + 1];
	char letters[2 * ROWS_MAX + 2];
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make b of a (optimal string alignment). */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		spare = before, before = above, above = row, row = spare;
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[nb];
}

const char *
opt_nearest(const char *word, const char *const *candidates)
{
	size_t n = strlen(word), best = WORD_MAX;
	const char *nearest = NULL;

	for (; n && n <= WORD_MAX && *candidates; candidates++) {
		size_t m = strlen(*candidates), d;

		if (m > WORD_MAX)
			continue;
		d = strncmp(word, *candidates, n) ? distance(word, n, *candidates, m) : 0;
		if (d < best && d <= ((n > m ? n : m) + 2) / 3) {
			best = d;
			nearest = *candidates;
		}
	}
	return nearest;
}

/* What getopt_long is told of a row. It sees an optional value only behind "=", but "--uploads 7d" is what people write. */
static int
takes(const struct opt *o, char *const *argv)
{
	int64_t age;

	if (!o->arg || *o->arg != '[' || !o->name)
		return o->arg ? required_argument : no_argument;
	for (; *argv && strcmp(*argv, "--"); argv++)
		if (argv[1] && !strncmp(*argv, "--", 2) && !strcmp(*argv + 2, o->name) && opt_parse_age(argv[1], &age) == 0)
			return required_argument;
	return optional_argument;
}

/* Of two rows with one name or letter the first counts, as getopt_long has it. */
static int
collect(struct parser *p, const struct opt *const *tables, char *const *argv, struct err *e)
{
	struct option *l = p->longs;
	char *s = p->letters;

	*s++ = ':';   /* a missing value is reported as ':' */
	for (; *tables; tables++) {
		for (const struct opt *o = *tables; o->letter || o->name; o++) {
			if (p->n == ROWS_MAX)
				return fail(e, ERR_USAGE, "more than %d options in the tables", ROWS_MAX);
			if (o->name)
				*l++ = (struct option){o->name, takes(o, argv), NULL, LONG + p->n};
			if (o->letter)
				*s++ = o->letter;
			if (o->letter && o->arg)
				*s++ = ':';
			p->rows[p->n++] = o;
		}
	}
	*l = (struct option){0};
	*s = '\0';
	return 0;
}

/* The row of a value that getopt_long returned or left in optopt, or NULL. */
static const struct opt *
row(const struct parser *p, int value)
{
	if (value >= LONG)
		return value - LONG < p->n ? p->rows[value - LONG] : NULL;
	for (int i = 0; i < p->n; i++)
		if (value && p->rows[i]->letter == value)
			return p->rows[i];
	return NULL;
}

static int
unknown_letter(char letter, struct err *e)
{
	return fail(e, ERR_USAGE, "unknown option -%s: --help lists them", err_show(e, (char[]){letter, '\0'}));
}

/* word is what the user wrote behind "--", without "=value". */
static int
unknown_long(const struct parser *p, const char *word, struct err *e)
{
	const char *candidates[ROWS_MAX + 1], *near, *shown = err_show(e, word);
	char list[512];
	struct buf b = BUF(list);
	int matches = 0, i;

	for (i = 0; p->longs[i].name; i++) {
		candidates[i] = p->longs[i].name;
		if (*word && !strncmp(candidates[i], word, strlen(word)))
			buf_fmt(&b, "%s--%s", matches++ ? ", " : "", candidates[i]);
	}
	candidates[i] = NULL;
	buf_ellipsis(&b);
	near = opt_nearest(word, candidates);
	if (matches > 1)
		return fail(e, ERR_USAGE, "--%s is ambiguous: %s", shown, list);
	if (near)
		return fail(e, ERR_USAGE, "unknown option --%s: did you mean --%s?", shown, near);
	return fail(e, ERR_USAGE, "unknown option --%s: --help lists them", shown);
}

/* What getopt_long did not like; it has left the argument behind optind, and in optopt a letter, a row's
   value, or 0 for a long option that is unknown or ambiguous. */
static int
refuse(const struct parser *p, int answer, char **argv, struct err *e)
{
	const struct opt *o = row(p, optopt);
	char name[OPT_CALLED_CAP], word[ENC_SHOW_CAP];
	struct buf b = BUF(word);

	if (answer == ':' && o)
		return fail(e, ERR_USAGE, "%s needs %s", opt_called(o, name), o->arg);
	if (o)
		return fail(e, ERR_USAGE, "%s takes no value", opt_called(o, name));
	if (optopt)
		return unknown_letter((char)optopt, e);
	buf_put(&b, argv[optind - 1] + 2, strcspn(argv[optind - 1] + 2, "="));
	return unknown_long(p, word, e);
}

/* The one flag that word, behind "--", can mean under whatever name: to getopt_long two names are ambiguous. */
static const struct opt *
one_flag(const struct parser *p, const char *word)
{
	const struct opt *found = NULL;

	for (int i = 0; i < p->n; i++) {
		const struct opt *o = p->rows[i];

		if (!o->name || strncmp(o->name, word, strlen(word)))
			continue;
		if (o->arg || (found && (o->store != found->store || o->dest != found->dest)))
			return NULL;
		found = o;
	}
	return found;
}

/* The word that named o, behind "--", when it is not its whole name, else NULL. It stands before optarg, if that is a word of its own. */
static const char *
shortened(const struct opt *o, char *const *argv)
{
	const char *word = argv[optind - 1 - (optarg == argv[optind - 1])] + 2;

	return strncmp(word, o->name, strlen(o->name)) ? word : NULL;
}

int
opt_parse(const struct opt *const *tables, int argc, char **argv, struct err *e)
{
	struct parser p = {0};
	const char *word;
	int c;

	if (collect(&p, tables, argv, e) < 0)
		return -1;
	/* 0, not 1: glibc and musl then forget where an earlier parse stood. */
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, p.letters, p.longs, NULL)) != -1) {
		const struct opt *o = c == '?' || c == ':' ? NULL : row(&p, c);

		if (c == '?' && !optopt)
			o = one_flag(&p, argv[optind - 1] + 2);
		if (!o)
			return refuse(&p, c, argv, e);
		/* These delete: "sync --delete", which is something else to aws and rclone, must not become --delete-after. */
		if (o->arg && *o->arg == '[' && (word = shortened(o, argv)))
			return fail(e, ERR_USAGE, "unknown option --%s: --%s would %s", word, o->name, o->help);
		if (o->store(o, optarg, e) < 0)
			return -1;
	}
	return optind;
}

/* Columns that n bytes of UTF-8 take, all characters being one wide. */
static size_t
columns(const char *s, size_t n)
{
	size_t c = 0;

	for (size_t i = 0; i < n; i++)
		c += ((unsigned char)s[i] & 0xC0) != 0x80;
	return c;
}

/* text in lines up to WIDTH, broken at spaces; the cursor stands in column at. */
static void
wrap(const char *text, size_t at, FILE *out)
{
	while (*text) {
		size_t n = strcspn(text, " "), wide = columns(text, n);

		if (at > HELP_COLUMN && at + 1 + wide > WIDTH) {
			putc('\n', out);
			at = 0;
		} else if (at > HELP_COLUMN) {
			putc(' ', out);
			at++;
		}
		if (at < HELP_COLUMN) {
			fprintf(out, "%*s", (int)(HELP_COLUMN - at), "");
			at = HELP_COLUMN;
		}
		fwrite(text, 1, n, out);
		at += wide;
		text += n + strspn(text + n, " ");
	}
	putc('\n', out);
}

void
opt_print(const struct opt *rows, FILE *out)
{
	for (const struct opt *o = rows; o->letter || o->name; o++) {
		char text[160];
		struct buf b = BUF(text);
		size_t at;

		buf_fmt(&b, o->letter ? "  -%c" : "    ", o->letter);
		if (o->name)
			buf_fmt(&b, "%s--%s", o->letter ? ", " : "  ", o->name);
		if (o->arg)
			buf_fmt(&b, " %s", o->arg);
		fputs(text, out);
		at = columns(text, b.len);
		if (at + 2 > HELP_COLUMN) {
			putc('\n', out);
			at = 0;
		}
		wrap(o->help, at, out);
	}
}
