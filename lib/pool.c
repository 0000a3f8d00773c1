#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include "clock.h"
#include "pool_brake.h"

#ifndef POOL_IDLE_MS                  /* a test has its own */
#define POOL_IDLE_MS 20000            /* without work for this long a worker hangs up and ends */
#endif

enum { STACK = 320 * 1024 };          /* a download that hashes takes about 210 KB of it */

struct worker {
	struct pool *p;
	struct s3 s;
};

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

/* With the lock held: this worker ends, and gives its stack back. Never the last one: whoever submits needs no memory for another. */
static void
retire(struct pool *p)
{
	int i = 0;

	while (!pthread_equal(p->threads[i], pthread_self()))
		i++;
	pthread_detach(p->threads[i]);
	p->threads[i] = p->threads[--p->started];
	p->idle--;
}

/* With the lock held: wait for a job and take it; NULL when there will be none for this worker. After a while without work
   it hangs up and ends; the last one stays, and from then on nothing wakes it but work. */
static struct pool_job *
next_job(struct pool *p, struct s3 *s)
{
	int64_t idle_until = clock_ns() + POOL_IDLE_MS * INT64_C(1000000);
	struct pool_job *j;

	while (!p->first && !p->closing) {
		int hung_up = !s->ahead_running && !s->http.open;

		if (hung_up && p->started == 1) {
			pthread_cond_wait(&p->work, &p->lock);
		} else if (clock_ns() < idle_until) {
			pool_wait_until(p, &p->work, idle_until);
		} else if (hung_up) {
			retire(p);
			return NULL;
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

/* With the lock held: 0 or an errno. A new worker counts as idle before it runs. */
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

int
pool_open(struct pool *p, struct s3_store *store, int workers, uint64_t rate, struct err *e)
{
	*p = (struct pool){0};
	if (workers < 1 || workers > POOL_WORKERS_MAX)
		return fail(e, ERR_USAGE, "%d requests at once: from 1 to %d are possible", workers, POOL_WORKERS_MAX);
	*p = (struct pool){.store = store, .max = workers, .rate = rate};
	init_waits(p);
	pool_brake_open(p);
	pthread_mutex_lock(&p->lock);
	errno = start_worker(p);
	pthread_mutex_unlock(&p->lock);
	if (errno) {
		fail_errno(e, "cannot start a thread (is ulimit -u, or the container's limit of processes, too low?)");
		pool_close(p);
		return -1;
	}
	return 0;
}

unsigned
pool_rank(uint64_t size, int64_t now_ms)
{
	return (unsigned)(now_ms / 1000 + (int64_t)(size >> 26)) + 1;
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

size_t
pool_spare(struct pool *p)
{
	size_t can;

	pthread_mutex_lock(&p->lock);
	can = p->idle + (size_t)(p->max - p->started);
	can = can > p->queued ? can - p->queued : 0;
	pthread_mutex_unlock(&p->lock);
	return can;
}

void
pool_wait(struct pool *p, size_t most)
{
	if (!p->store)
		return;
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
	pool_brake_close(p);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->admitted);
	pthread_cond_destroy(&p->stopped);
	pthread_mutex_destroy(&p->lock);
	*p = (struct pool){0};
}
