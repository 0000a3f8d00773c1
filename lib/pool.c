#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "pool.h"
#include "retry.h"

#ifndef POOL_IDLE_MS                  /* a test has its own */
#define POOL_IDLE_MS 20000            /* without work for this long a worker hangs up */
#endif

enum {
	STACK = 320 * 1024,           /* a download that hashes takes about 210 KB of it */
	ONE = 256,                    /* one request in window_q8 */
	NAP_NS = 1000000,             /* a smaller debt to the rate is left to grow: a system call costs as much */
	BURST_NS = 50000000,          /* what the rate did not use for longer than this is lost */
	LOOK_NS = 100000000,          /* a wait for a point in time looks so often at store->stop, which a signal handler may set */
};

struct worker {
	struct pool *p;
	struct s3 s;
};

static void
wait_until(struct pool *p, pthread_cond_t *c, int64_t ns)
{
	pthread_cond_timedwait(c, &p->lock, &(struct timespec){ns / 1000000000, (long)(ns % 1000000000)});
}

static int
stopping(const struct pool *p)
{
	return __atomic_load_n(&p->store->stop, __ATOMIC_RELAXED);
}

static void
nap(struct pool *p, pthread_cond_t *c, int64_t until_ns)
{
	int64_t look = clock_ns() + LOOK_NS;

	wait_until(p, c, look < until_ns ? look : until_ns);
}

static int
before(const struct pool_job *a, const struct pool_job *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->seq < b->seq;
}

static int
depth(const struct pool_job *j)
{
	return j ? j->depth : 0;
}

/* Leftist heaps: the shorter side hangs on the right, so that this goes no deeper than twice the queue's logarithm. */
static struct pool_job *
merge(struct pool_job *a, struct pool_job *b)
{
	struct pool_job *rest;

	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		rest = a;
		a = b;
		b = rest;
	}
	rest = merge(a->right, b);
	if (depth(rest) > depth(a->left)) {
		a->right = a->left;
		a->left = rest;
	} else {
		a->right = rest;
	}
	a->depth = depth(a->right) + 1;
	return a;
}

/* For an attempt that wants to start: 0 go; -1 wait until another one ends; else the milliseconds to wait. */
static int64_t
brake_ms(const struct pool *p, int64_t now)
{
	if (now < p->hold_until_ms)
		return p->hold_until_ms - now;
	return p->under_way < (int)(p->window_q8 / ONE) ? 0 : -1;
}

static int
admit(void *arg)
{
	struct pool *p = arg;
	int64_t wait;
	int stopped;

	pthread_mutex_lock(&p->lock);
	while (!(stopped = stopping(p)) && (wait = brake_ms(p, clock_ms())) != 0) {
		if (wait < 0)
			pthread_cond_wait(&p->admitted, &p->lock);
		else
			nap(p, &p->admitted, clock_ns() + wait * 1000000);
	}
	p->under_way += !stopped;
	pthread_mutex_unlock(&p->lock);
	return stopped;
}

/* "Slow down" in the words of S3, R2, MinIO (SlowDownRead) and the AWS SDKs' list of throttling codes: by their beginnings. */
static int
throttled(const struct s3_attempt *a)
{
	static const char *const codes[] = {"SlowDown", "TooManyRequests", "TooMuchConcurrency", "ServiceUnavailable",
		"Throttl", "RequestThrottled", "RequestLimitExceeded", "BandwidthLimitExceeded"};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (!strncmp(a->why->code, codes[i], strlen(codes[i])))
			return 1;
	return a->status == 429 || a->status == 503;
}

/* A burst of refusals is one message: only an attempt that began after the last cut says that it was not enough. */
static void
cut_window(struct pool *p, const struct s3_attempt *a, int64_t now)
{
	int asked = a->why->retry_after_s;
	int64_t hold = now + (asked < RETRY_AFTER_MAX_S ? asked : RETRY_AFTER_MAX_S) * INT64_C(1000);

	if (now - a->ms > p->cut_at_ms) {
		p->window_q8 = p->window_q8 / 2 > ONE ? p->window_q8 / 2 : ONE;
		p->cut_at_ms = now;
	}
	if (asked > 0 && hold > p->hold_until_ms)
		p->hold_until_ms = hold;
}

/* By one request for each window of successes. */
static void
open_window(struct pool *p)
{
	unsigned most = (unsigned)p->max * ONE;

	p->window_q8 += ONE * ONE / p->window_q8;
	if (p->window_q8 > most)
		p->window_q8 = most;
}

static void
observe(void *arg, const struct s3_attempt *a)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	p->under_way--;
	if (!a->why)
		open_window(p);
	else if (throttled(a))
		cut_window(p, a, clock_ms());
	pthread_cond_broadcast(&p->admitted);
	pthread_mutex_unlock(&p->lock);
	if (p->observe)
		p->observe(p->observe_arg, a);
}

/* When n more bytes are paid for at this rate, those before being paid for at next_free. */
static int64_t
paid_at(int64_t next_free, int64_t now, uint64_t n, uint64_t rate)
{
	if (next_free < now - BURST_NS)
		next_free = now - BURST_NS;
	/* In two steps, so that no product overflows. */
	return next_free + (int64_t)(n / rate * 1000000000 + n % rate * 1000000000 / rate);
}

static int
sleep_until(struct pool *p, int64_t ns)
{
	while (!stopping(p) && clock_ns() < ns)
		nap(p, &p->stopped, ns);
	return stopping(p);
}

static void
moved(void *arg, size_t n)
{
	struct pool *p = arg;

	if (p->rate) {
		int64_t now = clock_ns(), paid;

		pthread_mutex_lock(&p->lock);
		paid = paid_at(p->next_free_ns ? p->next_free_ns : now, now, n, p->rate);
		p->next_free_ns = paid;
		if (paid - now > NAP_NS)
			sleep_until(p, paid);
		pthread_mutex_unlock(&p->lock);
	}
	if (p->moved)
		p->moved(p->moved_arg, n);
}

static int
pause_ms(void *arg, int ms)
{
	struct pool *p = arg;
	int stopped;

	pthread_mutex_lock(&p->lock);
	stopped = sleep_until(p, clock_ns() + ms * INT64_C(1000000));
	pthread_mutex_unlock(&p->lock);
	return stopped;
}

/* With the lock held: wait for a job and take it; NULL when there will be none. After a while without work the connection
   is closed, and from then on nothing wakes the worker but work. */
static struct pool_job *
next_job(struct pool *p, struct s3 *s)
{
	int64_t hang_up = clock_ns() + POOL_IDLE_MS * INT64_C(1000000);
	struct pool_job *j;

	while (!p->first && !p->closing) {
		if (!s->ahead_running && !s->http.open) {
			pthread_cond_wait(&p->work, &p->lock);
		} else if (clock_ns() < hang_up) {
			wait_until(p, &p->work, hang_up);
		} else {
			pthread_mutex_unlock(&p->lock);
			s3_close(s);
			s3_open(s, p->store);
			pthread_mutex_lock(&p->lock);
		}
	}
	j = p->first;
	if (j) {
		p->first = merge(j->left, j->right);
		p->queued--;
		p->idle--;
	}
	return j;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->p;
	struct pool_job *j;

	pthread_mutex_lock(&p->lock);
	while ((j = next_job(p, &w->s))) {
		pthread_mutex_unlock(&p->lock);
		j->run(j, &w->s);
		pthread_mutex_lock(&p->lock);
		p->unfinished--;
		p->idle++;
		pthread_cond_broadcast(&p->room);
	}
	pthread_mutex_unlock(&p->lock);
	s3_close(&w->s);
	free(w);
	return NULL;
}

/* With the lock held, or before there is anybody else: 0 or an errno. A new worker counts as idle before it runs. */
static int
start_worker(struct pool *p)
{
	struct worker *w = calloc(1, sizeof *w);
	sigset_t all, old;
	pthread_attr_t attr;
	int why;

	if (!w)
		return ENOMEM;
	w->p = p;
	s3_open(&w->s, p->store);
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	why = pthread_create(&p->threads[p->started], &attr, work, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (why) {
		free(w);
		return why;
	}
	p->started++;
	p->idle++;
	return 0;
}

static void
init_waits(struct pool *p)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &monotonic);
	pthread_cond_init(&p->room, &monotonic);
	pthread_cond_init(&p->admitted, &monotonic);
	pthread_cond_init(&p->stopped, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void
hook(struct pool *p)
{
	struct s3_store *st = p->store;

	p->observe = st->observe;
	p->observe_arg = st->arg;
	st->admit = admit;
	st->observe = observe;
	st->moved = moved;
	st->pause = pause_ms;
	st->arg = p;
}

int
pool_open(struct pool *p, struct s3_store *store, int workers, uint64_t rate, struct err *e)
{
	*p = (struct pool){0};
	if (workers < 1 || workers > POOL_WORKERS_MAX)
		return fail(e, ERR_USAGE, "%d requests at once: from 1 to %d are possible", workers, POOL_WORKERS_MAX);
	*p = (struct pool){.store = store, .max = workers, .rate = rate, .window_q8 = (unsigned)workers * ONE,
		.cut_at_ms = INT64_MIN};
	init_waits(p);
	hook(p);
	errno = start_worker(p);
	if (errno) {
		fail_errno(e, "cannot start a thread");
		pool_close(p);
		return -1;
	}
	return 0;
}

void
pool_submit(struct pool *p, struct pool_job *j)
{
	j->left = j->right = NULL;
	j->depth = 1;
	pthread_mutex_lock(&p->lock);
	j->seq = p->seq++;
	p->first = merge(p->first, j);
	p->queued++;
	p->unfinished++;
	/* When no more can be started, those that are there do it. */
	if (p->queued > p->idle && p->started < p->max)
		start_worker(p);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void
pool_wait(struct pool *p, size_t most)
{
	pthread_mutex_lock(&p->lock);
	while (p->unfinished > most)
		pthread_cond_wait(&p->room, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void
pool_stop(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&p->store->stop, 1, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&p->admitted);
	pthread_cond_broadcast(&p->stopped);
	pthread_mutex_unlock(&p->lock);
}

static void
unhook(struct pool *p)
{
	p->store->admit = NULL;
	p->store->moved = NULL;
	p->store->pause = NULL;
	p->store->observe = p->observe;
	p->store->arg = p->observe_arg;
}

void
pool_close(struct pool *p)
{
	if (!p->store)
		return;
	/* All of it, or a job could start another worker while they are being joined. */
	pool_wait(p, 0);
	pthread_mutex_lock(&p->lock);
	p->closing = 1;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	unhook(p);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->admitted);
	pthread_cond_destroy(&p->stopped);
	pthread_mutex_destroy(&p->lock);
	*p = (struct pool){0};
}
