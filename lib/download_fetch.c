#include <stdlib.h>
#include "clock.h"
#include "download_state.h"

/* 1 with a range to fetch, 0 when there is none left. */
static int
next_range(struct download_state *st, unsigned *i)
{
	int more;

	pthread_mutex_lock(&st->lock);
	more = !err_kept(&st->fault) && st->next < st->lay.nranges;
	if (more)
		*i = download_layout_nth(&st->lay, __atomic_fetch_add(&st->next, 1, __ATOMIC_RELAXED));
	pthread_mutex_unlock(&st->lock);
	return more;
}

/* A helper has nothing to fetch any more. 1 when it was the last one; then everything is hashed. */
static int
go(struct download_state *st, char *room)
{
	int last;

	while (!err_kept(&st->fault) && download_lanes_some(st, room))
		;
	pthread_mutex_lock(&st->lock);
	last = --st->helping == 0;
	pthread_mutex_unlock(&st->lock);
	if (last)
		download_lanes_rest(st, room);
	return last;
}

/* So many more. Whoever calls counts as one, or none is at it yet. */
static void
call_helpers(struct download_state *st, size_t n)
{
	unsigned from, to;

	pthread_mutex_lock(&st->lock);
	from = st->called;
	to = n < st->nhelpers - from ? from + (unsigned)n : st->nhelpers;
	st->called = to;
	st->helping += to - from;
	pthread_mutex_unlock(&st->lock);
	for (; from < to; from++)
		pool_submit(st->pool, &st->helpers[from].job);
}

static void
help(struct pool_job *j, struct s3 *s)
{
	struct download_helper *h = (struct download_helper *)j;
	struct download_state *st = h->st;
	char room[DOWNLOAD_ROOM];
	struct err e;
	unsigned i;

	if (next_range(st, &i)) {
		if (download_range(st, s, i, room, &e) < 0)
			err_keep(&st->fault, &e);
		call_helpers(st, pool_spare(st->pool));
		pool_submit(st->pool, j);
	} else if (go(st, room)) {
		st->conclude(st, s);
	}
}

/* The only range, in this very job. */
static void
fetch_whole(struct download_state *st, struct s3 *s)
{
	char room[DOWNLOAD_ROOM];
	struct err e;
	unsigned i = 0;

	next_range(st, &i);
	if (download_range(st, s, i, room, &e) < 0)
		err_keep(&st->fault, &e);
	else
		download_lanes_rest(st, room);
	st->conclude(st, s);
}

/* As many helpers as there are workers with nothing else to do, but at least one for each lane: where other objects wait, their lanes are
   hashed beside these. */
int
download_fetch(struct download_state *st, struct s3 *s, struct err *e)
{
	unsigned n = st->lay.nranges < (unsigned)st->pool->max ? st->lay.nranges : (unsigned)st->pool->max;
	unsigned rank = st->plan.rank ? st->plan.rank - 1 : pool_rank(st->lay.size, clock_ms());
	size_t spare;

	if (st->lay.nranges == 1) {
		fetch_whole(st, s);
		return 0;
	}
	free(st->helpers);
	if (!(st->helpers = calloc(n, sizeof *st->helpers)))
		return fail_memory(e);
	for (unsigned i = 0; i < n; i++)
		st->helpers[i] = (struct download_helper){.job = {.run = help, .rank = rank}, .st = st};
	st->nhelpers = n;
	st->called = st->helping = 0;
	/* This worker will have nothing to do, either. */
	spare = pool_spare(st->pool) + 1;
	call_helpers(st, st->lay.nlanes > spare ? st->lay.nlanes : spare);
	return 0;
}
