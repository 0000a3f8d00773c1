#pragma once
/* What the files of `r2 ls` share: what was asked for, and what has been seen so far. */
#include "client.h"
#include "cost.h"

enum ls_sort { LS_NAME, LS_SIZE, LS_TIME };
enum { LS_SORT_MAX = 1000000 };   /* rows that are kept in memory at most, some 200 bytes each */

struct ls {
	int recursive, human, names_only, summary, by_date, cost, uploads;
	int sort;                 /* enum ls_sort */
	long top;                 /* 0: all */
	struct client client;
	int terminal;             /* standard output is one: names are made safe for it */
	size_t base;              /* bytes of a key that names of one level are shown without */
	const char *pattern;      /* or NULL */
	uint64_t rows;            /* objects, prefixes or uploads found */
	struct cost_use all;
};
extern struct ls ls;          /* ls_rows.c has it: the other files use that one, and not the other way round */

/* Each takes one row of the listing, as struct s3_list's entry does, without its arg. */
typedef int ls_show(const struct s3_entry *x, struct err *e);
ls_show ls_row;      /* prints it */
ls_show ls_upload;   /* prints it, with the bytes its parts have so far */
ls_show ls_day;      /* counts it for its day's row */
ls_show ls_top;      /* keeps it when it is among the first of the order asked for */

/* As s3_list with q, but when q->prefix holds date folders and nothing else, `jobs` of them are asked for at a time; the rows come in
   the same order, at most 128 KB of a folder's wait. It costs a request a folder. q has no delimiter. */
int ls_ahead(struct s3 *s, const struct s3_list *q, int jobs, struct err *e);

/* What is left to print at the end. */
void ls_days_end(void);
void ls_top_end(void);

/* An object's row with its strings behind it; bytes that takes. */
size_t ls_entry_len(const struct s3_entry *x);
struct s3_entry *ls_entry_copy(void *to, const struct s3_entry *x);

/* n as bytes or, with -h, for people. Returns out. */
const char *ls_size(uint64_t n, char out[24]);
