#pragma once
/* Command-line options: one table of rows feeds the parser (getopt_long), --help, and the manual. */
#include <stdint.h>
#include <stdio.h>
#include "err.h"

struct opt;
/* Stores the value of row o (val is NULL for a flag); -1 with a message that names the option. */
typedef int opt_store(const struct opt *o, const char *val, struct err *e);

struct opt {
	char letter;       /* 'r', or 0: long form only */
	const char *name;  /* "recursive", or NULL: short form only; a row with neither ends the table */
	const char *arg;   /* metavariable, e.g. "DIR", or "a|b|c" for opt_choice; NULL for a flag. "[AGE]" may be left out, then
	                      store's val is NULL; a word behind the option is taken for its value only if it is an age */
	const char *help;  /* what it does, lower case, the default in brackets at the end */
	opt_store *store;  /* one of those below */
	void *dest;        /* what store fills */
	uint32_t min, max; /* for opt_number and opt_age: the limits, both included */
};

opt_store opt_flag;    /* int *:          becomes 1 */
opt_store opt_string;  /* const char **:  points into argv; an empty value is allowed */
opt_store opt_number;  /* long *:         decimal digits, between min and max */
opt_store opt_size;    /* uint64_t *:     bytes, with K M G T (1024), optional fraction, optional B/iB */
opt_store opt_age;     /* int64_t *:      milliseconds, from seconds with an optional fraction, or with s m h d w (1.5, 15m, 7d);
                          between min and max seconds */
opt_store opt_date;    /* const char **:  a real calendar date YYYY-MM-DD */
opt_store opt_choice;  /* int *:          index of the word among those of arg, "a|b|c" */
opt_store opt_list;    /* struct opt_words *: every value in order */
opt_store opt_patterns;/* the same, none of them empty: it would match nothing */

enum { OPT_LIST_MAX = 64 };
struct opt_words {
	int n;
	const char *v[OPT_LIST_MAX];
};

/* Parse argv[1..argc-1] in GNU order against the rows of the given tables (a NULL-terminated list
   of tables, so that common rows stand once); permutes argv so that the operands come last and returns
   the index of the first one, or -1 (ERR_USAGE; an unknown option's message names the nearest known
   one, an ambiguous abbreviation names the candidates). Long options may be abbreviated where unique,
   but for those whose value may be left out; rows of flags with the same store and dest are one. */
int opt_parse(const struct opt *const *tables, int argc, char **argv, struct err *e);

/* One aligned help line for each row, wrapped at 80 columns. */
void opt_print(const struct opt *rows, FILE *out);

/* The first candidate that begins with word, else the nearest by edit distance, or NULL when none is near (more than
   about a third of its letters differ). candidates is NULL-terminated. */
const char *opt_nearest(const char *word, const char *const *candidates);

/* Bytes in "2.45M", "5 MiB", "100": 0, or -1 when it is no size or does not fit 64 bits. */
int opt_parse_size(const char *text, unsigned long long *bytes);
/* Milliseconds in "90", "0.5", "15m", "7d": 0, or -1 when it is no age or does not fit 63 bits. */
int opt_parse_age(const char *text, int64_t *ms);
