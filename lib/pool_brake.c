#include <string.h>
#include <time.h>
#include "clock.h"
#include "pool_brake.h"
#include "retry.h"

#ifndef POOL_GAP_MS                   /* a test has its own */
#define POOL_GAP_MS 20                /* the first gap: for 50 requests a second */
#endif

enum {
	ONE = 256,                    /* one request in window_q8 */
	NAP_NS = 1000000,             /* a smaller debt to the rate is left to grow: a system call costs as much */
	BURST_NS = 50000000,          /* what the rate did not use for longer than this is lost */
	GAP_MAX_MS = 500,             /* a longer one would make -j 64 wait longer than the attempts do */
	LOOK_NS = 100000000,          /* a wait for a point in time looks so often at store->stop, which a signal handler may set */
};

void
pool_wait_until(struct pool *p, pthread_cond_t *c, int64_t ns)
{
	pthread_cond_timedwait(c, &p->lock, &(struct timespec){ns / 1000000000, (long)(ns % 1000000000)});
}

static void
nap(struct pool *p, pthread_cond_t *c, int64_t until_ns)
{
	int64_t look = clock_ns() + LOOK_NS;

	pool_wait_until(p, c, look < until_ns ? look : until_ns);
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
	while (!(stopped = s3_stopping(p->store)) && (wait = brake_ms(p, clock_ms())) != 0) {
		if (wait < 0)
			pthread_cond_wait(&p->admitted, &p->lock);
		else
			nap(p, &p->admitted, clock_ns() + wait * 1000000);
	}
	p->under_way += !stopped;
	p->hold_until_ms = clock_ms() + p->gap_ms;
	pthread_mutex_unlock(&p->lock);
	return stopped;
}

/* "Slow down" in the words of S3, R2, MinIO (SlowDownRead) and the AWS SDKs' list of throttling codes: by their beginnings. */
static const char slow_codes[] = "SlowDown\0TooManyRequests\0TooMuchConcurrency\0ServiceUnavailable\0"
	"Throttl\0RequestThrottled\0RequestLimitExceeded\0BandwidthLimitExceeded\0";

static int
throttled(const struct s3_attempt *a)
{
	for (const char *c = slow_codes; *c; c += strlen(c) + 1)
		if (!strncmp(a->why->code, c, strlen(c)))
			return 1;
	return a->status == 429 || a->status == 503;
}

/* A burst of refusals is one message: only an attempt that began after the last cut says that it was not enough. */
static void
cut_window(struct pool *p, const struct s3_attempt *a, int64_t now)
{
	int64_t hold = now + retry_asked_ms(a->why);

	if (now - a->ms > p->cut_at_ms) {
		p->window_q8 = p->window_q8 / 2 > ONE ? p->window_q8 / 2 : ONE;
		p->cut_at_ms = now;
		p->gap_ms += p->gap_ms + POOL_GAP_MS;
		if (p->gap_ms > GAP_MAX_MS)
			p->gap_ms = GAP_MAX_MS;
	}
	if (hold > p->hold_until_ms)
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
	if (a->why && throttled(a))
		cut_window(p, a, clock_ms());
	else
		p->gap_ms -= (p->gap_ms + 7) / 8;
	if (!a->why)
		open_window(p);
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
	while (!s3_stopping(p->store) && clock_ns() < ns)
		nap(p, &p->stopped, ns);
	return s3_stopping(p->store);
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

void
pool_brake_open(struct pool *p)
{
	struct s3_store *st = p->store;

	p->window_q8 = (unsigned)p->max * ONE;
	p->cut_at_ms = INT64_MIN;
	p->observe = st->observe;
	p->observe_arg = st->arg;
	st->admit = admit;
	st->observe = observe;
	st->moved = moved;
	st->pause = pause_ms;
	st->arg = p;
}

void
pool_brake_close(struct pool *p)
{
	p->store->admit = NULL;
	p->store->moved = NULL;
	p->store->pause = NULL;
	p->store->observe = p->observe;
	p->store->arg = p->observe_arg;
}
