#pragma once
/* N workers, each a blocking loop with its own connection, over one queue; one brake and one rate limit for all.
   A worker starts when there is work and nobody idle to take it, so that one file starts one. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "s3.h"

enum { POOL_WORKERS_MAX = 256 };

/* A piece of work, embedded in the caller's own struct and the caller's again once run() is called (which may free it). */
struct pool_job {
	void (*run)(struct pool_job *j, struct s3 *s);
	unsigned rank;          /* lower first; equal ranks in the order they came. 0: whole small files; for parts of large ones see pool_rank */
	uint64_t seq;           /* this and the rest: pool.c's */
	struct pool_job *left, *right;
	int depth;
};

/* The brake: how many requests may be under way at once, and how soon after one another they may start, since a store may limit either. A
   SlowDown halves that number and makes that gap more than twice as long (once for all the requests that were under way together); each
   success lets the one grow a little, up to the number of workers, each other answer shortens the other, down to none.
   All fields but moved and moved_arg are pool*.c's. */
struct pool {
	struct s3_store *store;
	int max;                /* workers at most */
	int started;
	pthread_mutex_t lock;
	pthread_cond_t work, room, admitted, stopped;
	struct pool_job *first; /* the root of a leftist heap, linked through the jobs: queueing needs no memory */
	size_t queued, idle;    /* jobs nobody has taken, workers without one */
	uint64_t seq;
	size_t unfinished;      /* jobs waiting or running */
	int closing;
	int under_way;          /* requests admitted and not yet observed */
	unsigned window_q8;     /* requests that may be under way, times 256 */
	int64_t hold_until_ms;  /* the gap, or Retry-After: nobody starts a request before (CLOCK_MONOTONIC) */
	int gap_ms;             /* between the starts of two requests */
	int64_t cut_at_ms;      /* when the window was last halved */
	uint64_t rate;          /* bytes a second over all connections, 0: no limit */
	int64_t next_free_ns;   /* when the bytes moved so far are paid for; 0: none yet */
	void (*observe)(void *arg, const struct s3_attempt *a);   /* the store's own, called after the pool's */
	void *observe_arg;
	void (*moved)(void *arg, size_t n);                       /* for progress, set between pool_open and the first job; may be NULL */
	void *moved_arg;
	pthread_t threads[POOL_WORKERS_MAX];
};

/* workers 1–POOL_WORKERS_MAX, rate in bytes a second or 0. Takes the store's hooks and their arg; the store's own observer is
   called after the pool's: set it before. A request's callbacks must not wait for another request:
   the brake may have stopped that one. Starts the first worker, so that a machine without threads is told here: ERR_LOCAL;
   ERR_USAGE for another number of workers. What a thread inherits (Landlock, no_new_privs) has to be set before. */
int pool_open(struct pool *p, struct s3_store *store, int workers, uint64_t rate, struct err *e);

/* The rank of the parts of something of size bytes that is submitted at now_ms (clock_ms): when it would be done at 64 MiB a second, so that small comes
   before large, but a large one waits for no more than so many that come later. One more is the rank of its beginning: it is begun when no part
   of such a one waits, so that whoever is stopped half way has half of them whole. Never 0. */
unsigned pool_rank(uint64_t size, int64_t now_ms);

/* Queue j. Never blocks and needs no memory, so it cannot fail and a job may submit others. */
void pool_submit(struct pool *p, struct pool_job *j);

/* Workers that have nothing to do, or could be started, once what waits has been taken. */
size_t pool_spare(struct pool *p);

/* Wait until at most `most` jobs are waiting or running. With 0: all done. Not from within a job. A zeroed pool has none. */
void pool_wait(struct pool *p, size_t most);

/* From now on every request and every wait ends as soon as it can with ERR_STOPPED; jobs still queued are run and
   see that. Sets store->stop. Safe in any thread, not in a signal handler: one that sets store->stop itself (signals are blocked
   in the workers, so it runs in the caller's thread) does the same, up to 100 ms later. */
void pool_stop(struct pool *p);

/* Runs what is still queued, joins the workers, closes their connections, gives the store its hooks back. Accepts a zeroed
   pool and leaves one. */
void pool_close(struct pool *p);
