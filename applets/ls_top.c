#include <stdlib.h>
#include "ls.h"

/* A heap whose root is the row that would go first. */
static struct row {
	uint64_t number;     /* rows that are alike keep the order of their keys */
	struct s3_entry x;   /* its strings follow */
} **rows;
static size_t nrows, cap;
static uint64_t numbers;

static int
comes_before(const struct row *a, const struct row *b)
{
	if (ls.sort == LS_SIZE && a->x.size != b->x.size)
		return a->x.size > b->x.size;
	if (ls.sort == LS_TIME && a->x.modified != b->x.modified)
		return a->x.modified > b->x.modified;
	return a->number < b->number;
}

static void
sift_down(size_t i, struct row *r)
{
	for (size_t child; (child = 2 * i + 1) < nrows; i = child) {
		if (child + 1 < nrows && comes_before(rows[child], rows[child + 1]))
			child++;
		if (!comes_before(r, rows[child]))
			break;
		rows[i] = rows[child];
	}
	rows[i] = r;
}

static void
sift_up(size_t i, struct row *r)
{
	for (size_t parent; i && comes_before(rows[parent = (i - 1) / 2], r); i = parent)
		rows[i] = rows[parent];
	rows[i] = r;
}

static int
make_room(struct err *e)
{
	if (nrows == LS_SORT_MAX)
		return fail(e, ERR_LOCAL, "more than %d objects: --sort keeps all of them in memory, --top N only N", LS_SORT_MAX);
	return buf_grow((void **)&rows, &cap, nrows + 1, sizeof *rows) < 0
		? fail(e, ERR_LOCAL, "out of memory: --sort keeps all rows, --top N only N") : 0;
}

int
ls_top(const struct s3_entry *x, struct err *e)
{
	struct row *r, now = {++numbers, *x};
	int full = ls.top && nrows == (size_t)ls.top;

	if (x->is_prefix)
		return ls.top ? 0 : ls_row(x, e);
	if (full && !comes_before(&now, rows[0]))
		return 0;
	if (!full && make_room(e) < 0)
		return -1;
	if (!(r = malloc(sizeof *r - sizeof *x + ls_entry_len(x))))
		return fail_memory(e);
	r->number = numbers;
	ls_entry_copy(&r->x, x);
	if (full) {
		free(rows[0]);
		sift_down(0, r);
	} else {
		sift_up(nrows++, r);
	}
	return 0;
}

/* What goes first comes out last. */
void
ls_top_end(void)
{
	struct err ignored;
	size_t n = nrows;

	while (nrows) {
		struct row *r = rows[0], *last = rows[--nrows];

		sift_down(0, last);
		rows[nrows] = r;
	}
	for (size_t i = 0; i < n; i++) {
		ls_row(&rows[i]->x, &ignored);
		free(rows[i]);
	}
	free(rows);
}
