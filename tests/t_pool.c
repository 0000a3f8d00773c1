#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int no_threads;                 /* pthread_create fails */
static int timed_waits;

static int
stubborn_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	return no_threads ? EAGAIN : pthread_create(t, a, run, arg);
}

static int
counted_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	__atomic_add_fetch(&timed_waits, 1, __ATOMIC_RELAXED);
	return pthread_cond_timedwait(c, m, t);
}

static int idle_ms = 60000, gap_ms = 20;

#define POOL_IDLE_MS idle_ms
#define POOL_GAP_MS gap_ms
#define pthread_create stubborn_create
#define pthread_cond_timedwait counted_timedwait
#include "../lib/pool_brake.c"
#include "../lib/pool.c"
#undef pthread_create
#undef pthread_cond_timedwait
#include "test.h"

enum { LIMIT_S = 600, SECOND = 1000000000 };

static struct config cfg = {.host = "127.0.0.1", .port = 9, .retries = 1, .timeout_ms = 1000};
static struct s3_store store;
static struct pool pool;
static struct err e;

/* What the store's own observer and the progress hook have heard. */
static int observed, marked;
static size_t progress;

static void
own_observe(void *arg, const struct s3_attempt *a)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&observed, a->why != NULL, __ATOMIC_RELAXED);
}

static void
own_moved(void *arg, size_t n)
{
	__atomic_add_fetch((size_t *)arg, n, __ATOMIC_RELAXED);
}

static void
start(int workers, uint64_t rate)
{
	store = (struct s3_store){.cfg = &cfg, .observe = own_observe, .arg = &marked};
	check_int(pool_open(&pool, &store, workers, rate, &e), 0);
}

/* A door that jobs stand before until it is opened; the crowd before it can be waited for. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	int open, waiting;
} door = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void
door_pass(void)
{
	pthread_mutex_lock(&door.lock);
	door.waiting++;
	pthread_cond_broadcast(&door.change);
	while (!door.open)
		pthread_cond_wait(&door.change, &door.lock);
	door.waiting--;
	pthread_mutex_unlock(&door.lock);
}

static void
door_set(int open)
{
	pthread_mutex_lock(&door.lock);
	door.open = open;
	pthread_cond_broadcast(&door.change);
	pthread_mutex_unlock(&door.lock);
}

static void
door_wait(int crowd)
{
	pthread_mutex_lock(&door.lock);
	while (door.waiting < crowd)
		pthread_cond_wait(&door.change, &door.lock);
	pthread_mutex_unlock(&door.lock);
}

/* What jobs found wrong: they have no check() of their own, being several at once. */
static int faults;

static void
must(int right)
{
	__atomic_add_fetch(&faults, !right, __ATOMIC_RELAXED);
}

static int
pool_started(void)
{
	int n;

	pthread_mutex_lock(&pool.lock);
	n = pool.started;
	pthread_mutex_unlock(&pool.lock);
	return n;
}

static void
run_door(struct pool_job *j, struct s3 *s)
{
	must(s && s->store == &store);
	(void)j;
	door_pass();
}

static int runs;

static void
run_count(struct pool_job *j, struct s3 *s)
{
	(void)j;
	(void)s;
	__atomic_add_fetch(&runs, 1, __ATOMIC_RELAXED);
}

static void
test_on_demand(void)
{
	struct pool_job a = {.run = run_door}, b = {.run = run_door}, many[10];

	/* One job, one thread; again, when it is idle; another only while that is busy; never more than the limit. */
	start(3, 0);
	check_int(pool_started(), 1);
	runs = 0;
	for (int i = 0; i < 5; i++) {
		struct pool_job one = {.run = run_count};

		pool_submit(&pool, &one);
		pool_wait(&pool, 0);
		check_int(runs, i + 1);
		check_int(pool_started(), 1);
	}
	check_int(pool_spare(&pool), 3);
	door_set(0);
	pool_submit(&pool, &a);
	check_int(pool_started(), 1);
	pool_submit(&pool, &b);
	check_int(pool_started(), 2);
	door_wait(2);
	check_int(pool_spare(&pool), 1);
	for (int i = 0; i < 10; i++) {
		many[i] = (struct pool_job){.run = run_door};
		pool_submit(&pool, &many[i]);
		check_int(pool_started(), 3);
		check_int(pool_spare(&pool), 0);
	}
	door_wait(3);
	door_set(1);
	pool_wait(&pool, 0);
	check_int(pool.idle, 3);
	check_int(pool.queued, 0);
	pool_close(&pool);

	/* Two at once start two, even before the first has run. */
	start(3, 0);
	door_set(0);
	pool_submit(&pool, &a);
	pool_submit(&pool, &b);
	check_int(pool_started(), 2);
	door_wait(2);
	door_set(1);
	pool_close(&pool);
}

struct numbered {
	struct pool_job job;
	int number;
};

enum { MANY = 3000 };
static struct numbered items[MANY];
static int order[MANY], norder;

static void
run_note(struct pool_job *j, struct s3 *s)
{
	(void)s;
	order[norder++] = ((struct numbered *)j)->number;
}

static void
test_order(void)
{
	struct pool_job gate = {.run = run_door};
	unsigned x = 7;
	int wrong = 0, spine = 0;

	start(1, 0);
	door_set(0);
	norder = 0;
	pool_submit(&pool, &gate);
	door_wait(1);
	for (int i = 0; i < MANY; i++) {
		/* A thousand alike, a thousand ever less urgent, a thousand at random. */
		x = x * 1103515245 + 12345;
		items[i] = (struct numbered){{.run = run_note,
			.rank = i < 1000 ? 1000 : i < 2000 ? (unsigned)i : x >> 20}, i};
		pool_submit(&pool, &items[i].job);
	}
	/* A queue of n is log2 n deep at most: merging is a recursion on a worker's stack. */
	for (const struct pool_job *j = pool.first; j; j = j->right)
		spine++;
	check(spine > 0 && spine <= 11);
	door_set(1);
	pool_wait(&pool, 0);
	check_int(norder, MANY);
	for (int i = 1; i < MANY; i++) {
		unsigned a = items[order[i - 1]].job.rank, b = items[order[i]].job.rank;

		wrong += a > b || (a == b && order[i - 1] > order[i]);
	}
	check_int(wrong, 0);
	pool_close(&pool);
}

static void
test_wait_most(void)
{
	struct pool_job gates[2] = {{.run = run_door}, {.run = run_door}}, rest[5];

	start(2, 0);
	door_set(0);
	pool_submit(&pool, &gates[0]);
	pool_submit(&pool, &gates[1]);
	door_wait(2);
	for (int i = 0; i < 5; i++) {
		rest[i] = (struct pool_job){.run = run_count};
		pool_submit(&pool, &rest[i]);
	}
	/* The running ones count: none of these waits blocks, though nothing moves. */
	pool_wait(&pool, 7);
	pool_wait(&pool, 8);
	check_int(pool.unfinished, 7);
	door_set(1);
	pool_wait(&pool, 3);
	pool_wait(&pool, 0);
	check_int(pool.unfinished, 0);
	pool_close(&pool);
}

/* Small before large, but nothing waits for ever. */
static void
test_pool_rank(void)
{
	const uint64_t mib = 1 << 20;

	check(pool_rank(0, 0) > 0);
	check_int(pool_rank(200 * mib, 5000), pool_rank(200 * mib, 5000));
	check(pool_rank(200 * mib, 5000) + 1 < pool_rank(5000 * mib, 5000));
	check(pool_rank(200 * mib, 5000) < pool_rank(200 * mib, 6000));
	check(pool_rank(5000 * mib, 5000) < pool_rank(200 * mib, 5000 + 100 * 1000));
	check(pool_rank(UINT64_C(5) << 40, 0) < pool_rank(200 * mib, 24 * 3600 * 1000));
}

/* A job that lives on the heap and begets two until its rank is used up. */
static void
run_beget(struct pool_job *j, struct s3 *s)
{
	unsigned rank = j->rank;

	(void)s;
	free(j);
	__atomic_add_fetch(&runs, 1, __ATOMIC_RELAXED);
	for (int i = 0; rank > 0 && i < 2; i++) {
		struct pool_job *child = calloc(1, sizeof *child);

		if (!child)
			abort();
		*child = (struct pool_job){.run = run_beget, .rank = rank - 1};
		pool_submit(&pool, child);
	}
}

static void *
submit_many(void *arg)
{
	for (int i = 0; i < 4; i++) {
		struct pool_job *j = calloc(1, sizeof *j);

		if (!j)
			abort();
		*j = (struct pool_job){.run = run_beget, .rank = 8};
		pool_submit(arg, j);
	}
	return NULL;
}

static void
test_many_threads(void)
{
	pthread_t t[4];

	start(16, 0);
	runs = 0;
	for (int i = 0; i < 4; i++)
		check_int(pthread_create(&t[i], NULL, submit_many, &pool), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pool_wait(&pool, 0);
	check_int(runs, 4 * 4 * 511);
	check(pool_started() <= 16);
	pool_close(&pool);
}

static sigset_t mask_seen;
static size_t stack_seen;

static void
run_look(struct pool_job *j, struct s3 *s)
{
	pthread_attr_t a;

	(void)j;
	(void)s;
	pthread_sigmask(SIG_BLOCK, NULL, &mask_seen);
	pthread_getattr_np(pthread_self(), &a);
	pthread_attr_getstacksize(&a, &stack_seen);
	pthread_attr_destroy(&a);
}

static void
test_thread(void)
{
	struct pool_job look = {.run = run_look};
	sigset_t mine;

	start(1, 0);
	pool_submit(&pool, &look);
	pool_wait(&pool, 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mine);
	check(sigismember(&mask_seen, SIGINT) == 1 && sigismember(&mask_seen, SIGTERM) == 1);
	check(sigismember(&mask_seen, SIGHUP) == 1 && sigismember(&mask_seen, SIGCHLD) == 1);
	check(sigismember(&mine, SIGINT) == 0 && sigismember(&mine, SIGTERM) == 0);
	check(stack_seen >= 256 * 1024 && stack_seen <= 1024 * 1024);
	pool_close(&pool);
}

static void
test_open_and_close(void)
{
	static struct pool never;
	struct pool_job many[20];

	pool_wait(&never, 0);
	pool_close(&never);
	store = (struct s3_store){.cfg = &cfg, .observe = own_observe, .arg = &marked};
	for (int i = 0; i < 4; i++) {
		static const int wrong[] = {0, -1, POOL_WORKERS_MAX + 1, 100000};

		check_int(pool_open(&pool, &store, wrong[i], 0, &e), -1);
		check_int(e.kind, ERR_USAGE);
		check(strstr(e.msg, "256") != NULL);
		check(store.observe == own_observe && store.arg == &marked && !store.admit);
		pool_close(&pool);
	}
	no_threads = 1;
	check_int(pool_open(&pool, &store, 4, 0, &e), -1);
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, "cannot start a thread (is ulimit -u, ") != NULL);
	check(store.observe == own_observe && store.arg == &marked && !store.admit);
	no_threads = 0;

	/* Nothing to do; then all of it in the one thread that could be started. */
	start(POOL_WORKERS_MAX, 0);
	check(store.admit && store.observe != own_observe && store.moved && store.pause && store.arg == &pool);
	pool_close(&pool);
	check(!store.admit && store.observe == own_observe && !store.moved && !store.pause && store.arg == &marked);
	pool_close(&pool);
	start(4, 0);
	no_threads = 1;
	runs = 0;
	for (int i = 0; i < 20; i++) {
		many[i] = (struct pool_job){.run = run_count};
		pool_submit(&pool, &many[i]);
	}
	pool_close(&pool);
	check_int(runs, 20);
	no_threads = 0;
}

/* An attempt that took so long, and how it ended. */
static void
ended(const char *code, int status, int retry_after_s, long ms)
{
	struct err why = {.kind = ERR_HTTP, .status = status, .retry_after_s = retry_after_s};
	struct s3_attempt a = {.status = status ? status : 200, .ms = ms, .why = code ? &why : NULL};

	if (code)
		snprintf(why.code, sizeof why.code, "%s", code);
	store.observe(store.arg, &a);
}

static void
admit_all(int n)
{
	for (int i = 0; i < n; i++)
		check_int(store.admit(store.arg), 0);
}

/* The next attempt to be observed with ms 0 began after the last cut, whatever the clock's grain. */
static void
let_time_pass(void)
{
	pool.cut_at_ms -= 10;
}

static void
test_brake_cuts(void)
{
	static const struct { const char *code; int status, cuts; } ways[] = {
		{"SlowDown", 503, 1}, {"SlowDown", 0, 1}, {"TooManyRequests", 0, 1}, {"ServiceUnavailable", 0, 1},
		{"Throttling", 400, 1}, {"ThrottlingException", 400, 1}, {"SlowDownRead", 500, 1}, {"", 429, 1}, {"", 503, 1},
		{"RequestLimitExceeded", 400, 1}, {"InternalError", 500, 0}, {"", 502, 0}, {"", 0, 0}, {"AccessDenied", 403, 0},
		{"Slow", 400, 0},
	};

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		start(8, 0);
		admit_all(1);
		ended(ways[i].code, ways[i].status, 0, 5);
		check_int(pool.window_q8, ways[i].cuts ? 4 * 256 : 8 * 256);
		pool_close(&pool);
	}

	/* A burst counts once, what is begun after it again; one request always may. */
	start(8, 0);
	admit_all(8);
	check_int(pool.under_way, 8);
	check_int(brake_ms(&pool, pool.hold_until_ms), -1);
	for (int i = 0; i < 8; i++)
		ended("SlowDown", 503, 0, 1000000);
	check_int(pool.window_q8, 4 * 256);
	check_int(pool.under_way, 0);
	admit_all(4);
	check_int(brake_ms(&pool, pool.hold_until_ms), -1);
	let_time_pass();
	ended("SlowDown", 503, 0, 0);
	ended("SlowDown", 503, 0, 1000000);
	check_int(pool.window_q8, 2 * 256);
	check_int(brake_ms(&pool, pool.hold_until_ms), -1);
	ended("InternalError", 500, 0, 0);
	check_int(brake_ms(&pool, pool.hold_until_ms), 0);
	ended("InternalError", 500, 0, 0);
	for (int i = 0; i < 3; i++) {
		admit_all(1);
		let_time_pass();
		ended("SlowDown", 503, 0, 0);
		check_int(pool.window_q8, 256);
	}
	pool_close(&pool);
}

static void
test_brake_opens(void)
{
	int n = 0;

	start(8, 0);
	pool.window_q8 = 256;
	/* One more for each window of successes: 1 + 2 + … + 7 of them from one to eight, a little more for what is rounded. */
	for (; pool.window_q8 < 8 * 256 && n < 100; n++) {
		unsigned was = pool.window_q8;

		admit_all(1);
		ended(NULL, 0, 0, 1);
		check(pool.window_q8 > was && pool.window_q8 - was <= 256);
	}
	check(n >= 28 && n <= 36);
	admit_all(1);
	ended(NULL, 0, 0, 1);
	check_int(pool.window_q8, 8 * 256);
	pool_close(&pool);

	start(POOL_WORKERS_MAX, 0);
	pool.window_q8 -= 1;
	admit_all(1);
	ended(NULL, 0, 0, 1);
	check_int(pool.window_q8, POOL_WORKERS_MAX * 256);
	pool_close(&pool);
}

/* A store that limits how many come in a second: who waited lets the next one wait, until they are few enough. */
static void
test_brake_gap(void)
{
	static const int gaps[] = {20, 60, 140, 300, 500, 500};
	int64_t from;
	int n;

	start(8, 0);
	admit_all(8);
	check(brake_ms(&pool, clock_ms()) < 0);
	for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
		ended("SlowDown", 503, 0, 0);
		check_int(pool.gap_ms, gaps[i]);
		let_time_pass();
	}
	pool.hold_until_ms = 0;
	pool.under_way = 0;
	pool.gap_ms = 30;
	pool.window_q8 = 8 * 256;
	from = clock_ms();
	admit_all(3);
	check(clock_ms() >= from + 60);
	check(pool.hold_until_ms >= from + 90);
	for (n = 0; pool.gap_ms > 0 && n < 100; n++)
		ended(NULL, 0, 0, 1);
	check(n > 5 && n < 40);
	admit_all(1);
	check(pool.hold_until_ms <= clock_ms());
	pool_close(&pool);
}

static void
test_retry_after(void)
{
	int64_t from, hold;

	start(4, 0);
	admit_all(3);
	from = clock_ms();
	ended("SlowDown", 503, 7, 1);
	hold = pool.hold_until_ms;
	check(hold >= from + 7000 && hold <= clock_ms() + 7000);
	/* A shorter wish does not shorten it; another kind of failure has none. */
	ended("SlowDown", 503, 2, 1);
	ended("InternalError", 500, 99, 1);
	check_int(pool.hold_until_ms, hold);
	check_int(brake_ms(&pool, hold - 7000), 7000);
	check_int(brake_ms(&pool, hold - 1), 1);
	check_int(brake_ms(&pool, hold), 0);
	pool.hold_until_ms = 0;
	admit_all(1);
	ended("SlowDown", 503, 999999, 1);
	check(pool.hold_until_ms <= clock_ms() + RETRY_AFTER_MAX_S * 1000);

	/* And it is waited for, with the window open. */
	hold = pool.hold_until_ms = clock_ms() + 30;
	admit_all(1);
	check(clock_ms() >= hold);
	pool_close(&pool);
}

static int now_in, most_in;

/* Requests under a window of two. */
static void
run_request(struct pool_job *j, struct s3 *s)
{
	struct err why = {.kind = ERR_NET};
	int in;

	(void)j;
	must(s->store->admit(s->store->arg) == 0);
	in = __atomic_add_fetch(&now_in, 1, __ATOMIC_RELAXED);
	for (int was = __atomic_load_n(&most_in, __ATOMIC_RELAXED); in > was &&
		!__atomic_compare_exchange_n(&most_in, &was, in, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);)
		;
	for (int i = 0; i < 20; i++)
		sched_yield();
	__atomic_sub_fetch(&now_in, 1, __ATOMIC_RELAXED);
	s->store->observe(s->store->arg, &(struct s3_attempt){.ms = 1, .why = &why});
}

static void
test_window_holds(void)
{
	static struct pool_job jobs[400];

	store = (struct s3_store){.cfg = &cfg};
	check_int(pool_open(&pool, &store, 8, 0, &e), 0);
	pool.window_q8 = 2 * 256 + 255;
	most_in = 0;
	for (int i = 0; i < 400; i++) {
		jobs[i] = (struct pool_job){.run = run_request};
		pool_submit(&pool, &jobs[i]);
	}
	pool_wait(&pool, 0);
	check(most_in >= 1 && most_in <= 2);
	check_int(pool.under_way, 0);
	check_int(pool.window_q8, 2 * 256 + 255);
	pool_close(&pool);
}

static void
test_observer(void)
{
	marked = observed = 0;
	start(2, 0);
	admit_all(2);
	ended(NULL, 0, 0, 1);
	ended("SlowDown", 503, 0, 1);
	check_int(marked, 2);
	check_int(observed, 1);
	pool_close(&pool);
}

static void
test_rate_arithmetic(void)
{
	int64_t now = (int64_t)1000 * SECOND, t = now;

	check_int(paid_at(now, now, 1000, 1000) - now, SECOND);
	check_int(paid_at(now, now, 1, 1000) - now, SECOND / 1000);
	check_int(paid_at(now, now, 16384, 3) - now, 5461333333333);
	check_int(paid_at(now + 5, now, 1000, 1000) - now, SECOND + 5);
	check_int(paid_at(now, now, 0, 1000) - now, 0);
	/* What was not used is kept for 50 ms, no longer. */
	check_int(paid_at(now - 20000000, now, 1000, 1000) - now, SECOND - 20000000);
	check_int(paid_at(now - 50000000, now, 1000, 1000) - now, SECOND - 50000000);
	check_int(paid_at(now - 50000001, now, 1000, 1000) - now, SECOND - 50000000);
	check_int(paid_at(0, now, 1000, 1000) - now, SECOND - 50000000);
	/* No product overflows: 5 TiB at a byte a second, much at the highest rates. */
	check_int(paid_at(now, now, (uint64_t)1 << 33, 1) - now, ((int64_t)1 << 33) * SECOND);
	check_int(paid_at(now, now, 16384, UINT64_MAX) - now, 0);
	check_int(paid_at(now, now, (uint64_t)1 << 33, UINT64_C(1) << 34) - now, SECOND / 2);

	/* A gigabyte in pieces, the clock always a little late: within a thousandth, whatever the pieces and the rate. */
	for (uint64_t rate = 100000; rate <= UINT64_C(10000000000); rate *= 10) {
		uint64_t n = 0;
		int64_t want;

		now = t = SECOND;
		for (unsigned i = 0; n < 1000000000; i++) {
			size_t piece = 1000 + i * 7919 % 15000;

			n += piece;
			t = paid_at(t, now, piece, rate);
			if (t - now > NAP_NS)
				now = t + i % 100 * 10000;   /* woken up to 1 ms too late */
		}
		want = (int64_t)(n * 1000000 / (rate / 1000));
		check(now - SECOND >= want - want / 1000 - NAP_NS && now - SECOND <= want + want / 1000 + NAP_NS);
	}
}

static void
run_move(struct pool_job *j, struct s3 *s)
{
	(void)j;
	for (int i = 0; i < 10; i++)
		s->store->moved(s->store->arg, 1000);
}

static void
test_rate(void)
{
	struct pool_job jobs[4];
	int64_t from;

	/* 40 kB over four connections at 400 kB/s: not sooner than a tenth of a second. */
	start(4, 400000);
	progress = 0;
	pool.moved = own_moved;
	pool.moved_arg = &progress;
	from = clock_ns();
	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct pool_job){.run = run_move};
		pool_submit(&pool, &jobs[i]);
	}
	pool_wait(&pool, 0);
	check(clock_ns() - from >= 98000000);
	check_int(progress, 40000);
	check(pool.next_free_ns >= from + 100000000);
	pool_close(&pool);

	/* No rate: nobody waits, progress is told. */
	start(1, 0);
	progress = 0;
	pool.moved = own_moved;
	pool.moved_arg = &progress;
	timed_waits = 0;
	for (int i = 0; i < 1000; i++)
		store.moved(store.arg, (size_t)1 << 30);
	check(progress == (size_t)1000 << 30);
	check_int(timed_waits, 0);
	pool_close(&pool);
}

static void
test_pause(void)
{
	int64_t from;

	start(1, 0);
	from = clock_ns();
	check_int(store.pause(store.arg, 5), 0);
	check(clock_ns() - from >= 5000000);
	check_int(store.pause(store.arg, 0), 0);
	pool_close(&pool);
}

static int ended_by_stop;

static void
run_pause(struct pool_job *j, struct s3 *s)
{
	int rc;

	door_pass();
	rc = j->rank == 1 ? s->store->pause(s->store->arg, 1 << 30) : s->store->admit(s->store->arg);
	__atomic_add_fetch(&ended_by_stop, rc != 0, __ATOMIC_RELAXED);
}

/* A gigabyte at a byte a second. */
static void
run_slow(struct pool_job *j, struct s3 *s)
{
	(void)j;
	door_pass();
	s->store->moved(s->store->arg, 1 << 30);
}

/* By pool_stop, or as a signal handler does it. */
static void
stop_all(int by_handler)
{
	struct pool_job waits[5], late[3];

	start(5, 1);
	door_set(0);
	ended_by_stop = 0;
	runs = 0;
	waits[0] = (struct pool_job){.run = run_pause, .rank = 1};
	waits[1] = (struct pool_job){.run = run_pause, .rank = 2};
	waits[2] = (struct pool_job){.run = run_slow};
	waits[3] = (struct pool_job){.run = run_pause, .rank = 1};
	waits[4] = (struct pool_job){.run = run_pause, .rank = 2};
	for (int i = 0; i < 5; i++)
		pool_submit(&pool, &waits[i]);
	for (int i = 0; i < 3; i++) {
		late[i] = (struct pool_job){.run = run_count, .rank = 9};
		pool_submit(&pool, &late[i]);
	}
	door_wait(5);
	pool.hold_until_ms = clock_ms() + 3600000;
	door_set(1);
	/* Let them come to wait; when they have not yet, they must not begin to. */
	for (int i = 0; i < 100; i++)
		sched_yield();
	check_int(ended_by_stop, 0);
	check_int(runs, 0);
	if (by_handler)
		__atomic_store_n(&store.stop, 1, __ATOMIC_RELAXED);
	else
		pool_stop(&pool);
	pool_wait(&pool, 0);
	check_int(ended_by_stop, 4);
	check_int(runs, 3);
	check_int(store.stop, 1);
	check(store.admit(store.arg) != 0);
	check_int(pool.under_way, 0);
	check(store.pause(store.arg, 1 << 30) != 0);
	pool_close(&pool);
}

/* An attempt that waits for another to end, not for a time. */
static void
test_stop_full_window(void)
{
	struct pool_job one = {.run = run_pause, .rank = 2};

	start(1, 0);
	admit_all(1);
	door_set(1);
	ended_by_stop = 0;
	pool_submit(&pool, &one);
	for (int i = 0; i < 100; i++)
		sched_yield();
	pool_stop(&pool);
	pool_wait(&pool, 0);
	check_int(ended_by_stop, 1);
	pool_close(&pool);
}

static int ends[2];

/* As if a request had left its connection open. */
static void
run_connect(struct pool_job *j, struct s3 *s)
{
	(void)j;
	must(!s->http.open);
	s->http.net.fd = ends[0];
	s->http.open = 1;
}

static void
run_connect_slow(struct pool_job *j, struct s3 *s)
{
	run_connect(j, s);
	run_slow(j, s);
}

static void
test_idle_hangs_up(void)
{
	char c;

	idle_ms = 10;
	start(1, 0);
	for (int i = 0; i < 2; i++) {
		struct pool_job connect = {.run = run_connect}, after = {.run = run_count};
		int waits;

		check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		pool_submit(&pool, &connect);
		/* The end of the stream comes by itself, while the pool is there. */
		check_int(read(ends[1], &c, 1), 0);
		/* And then nothing wakes the worker but work. */
		runs = 0;
		waits = __atomic_load_n(&timed_waits, __ATOMIC_RELAXED);
		pool_submit(&pool, &after);
		pool_wait(&pool, 0);
		check_int(runs, 1);
		for (int k = 0; k < 100; k++)
			sched_yield();
		check_int(__atomic_load_n(&timed_waits, __ATOMIC_RELAXED) - waits, 0);
		close(ends[1]);
	}
	pool_close(&pool);
	idle_ms = 60000;
}

/* Three that wait for each other, so that three workers are there; one of them leaves a connection. */
static void
burst_of_three(void)
{
	static struct pool_job j[3];

	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	door_set(0);
	for (int i = 0; i < 3; i++) {
		j[i] = (struct pool_job){.run = i ? run_slow : run_connect_slow};
		pool_submit(&pool, &j[i]);
	}
	door_wait(3);
	check_int(pool_started(), 3);
	door_set(1);
	pool_wait(&pool, 0);
}

static void
test_idle_workers_end(void)
{
	struct pool_job after = {.run = run_count};
	char c;

	idle_ms = 10;
	start(3, 0);
	for (int i = 0; i < 2; i++) {
		burst_of_three();
		check_int(read(ends[1], &c, 1), 0);
		/* The others give their stacks back; the last one is there for what comes, without memory for another. */
		while (pool_started() > 1)
			sched_yield();
		check_int(pool_started(), 1);
		check_int(pool.idle, 1);
		runs = 0;
		pool_submit(&pool, &after);
		pool_wait(&pool, 0);
		check_int(runs, 1);
		check_int(pool_started(), 1);
		close(ends[1]);
	}
	pool_close(&pool);
	idle_ms = 60000;
}

/* What a job of the stress does next: its own dice, and how often each is run. */
struct storm_job {
	struct pool_job job;
	unsigned dice;
	int ran;
};

enum { STORM_JOBS = 60, STORM_ROUNDS = 60 };

static unsigned
roll(unsigned *dice, unsigned sides)
{
	*dice = *dice * 1103515245 + 12345;
	return (*dice >> 16) % sides;
}

/* A request as s3_call makes it: admitted, something moved, perhaps told to slow down, perhaps once more. */
static void
run_storm(struct pool_job *j, struct s3 *s)
{
	static const char *const codes[] = {"", "SlowDown", "InternalError", "AccessDenied"};
	struct storm_job *x = (struct storm_job *)(void *)j;
	const struct s3_store *st = s->store;

	x->ran++;
	for (unsigned n = roll(&x->dice, 4); n > 0; n--) {
		struct err why = {.kind = ERR_HTTP, .status = 500};
		unsigned how = roll(&x->dice, 6);

		if (st->admit(st->arg))
			return;
		st->moved(st->arg, roll(&x->dice, 20000));
		if (!roll(&x->dice, 3))
			sched_yield();
		snprintf(why.code, sizeof why.code, "%s", how < 4 ? codes[how] : "");
		st->observe(st->arg, &(struct s3_attempt){.ms = 1, .why = how < 4 ? &why : NULL});
		if (roll(&x->dice, 5) == 0 && st->pause(st->arg, (int)roll(&x->dice, 2)))
			return;
	}
}

static void *
submit_storm(void *arg)
{
	struct storm_job *x = arg;

	for (int i = 0; i < STORM_JOBS; i++) {
		x[i].job = (struct pool_job){.run = run_storm, .rank = roll(&x[i].dice, 4)};
		pool_submit(&pool, &x[i].job);
	}
	return NULL;
}

/* Opened, filled by two threads, waited for, stopped in either way and closed at random: each job runs once, whatever comes, and
   nothing of the brake is kept. STRESS=SECONDS: so long. */
static void
test_storm(void)
{
	static struct storm_job jobs[2][STORM_JOBS];
	const char *text = getenv("STRESS");
	unsigned dice = 1;
	time_t end = time(NULL) + (text ? atoi(text) : 0);
	int workers, wrong = 0;
	pthread_t t;

	gap_ms = 0;
	for (int round = 0; round < STORM_ROUNDS || time(NULL) < end; round++) {
		for (int i = 0; i < 2 * STORM_JOBS; i++)
			jobs[i / STORM_JOBS][i % STORM_JOBS] = (struct storm_job){.dice = roll(&dice, 1 << 15)};
		workers = 1 + (int)roll(&dice, 12);
		/* In every second one a worker that finds nothing to do ends at once. */
		idle_ms = round & 1 ? 0 : 60000;
		start(workers, roll(&dice, 2) ? 0 : 1 << 30);
		check_int(pthread_create(&t, NULL, submit_storm, jobs[0]), 0);
		submit_storm(jobs[1]);
		if (roll(&dice, 2))
			pool_wait(&pool, roll(&dice, STORM_JOBS));
		if (!roll(&dice, 3))
			pool_stop(&pool);
		else if (!roll(&dice, 3))
			__atomic_store_n(&store.stop, 1, __ATOMIC_RELAXED);
		pthread_join(t, NULL);
		pool_wait(&pool, 0);
		check_int(pool.under_way, 0);
		check(pool.window_q8 >= 256 && pool.window_q8 <= 256U * (unsigned)workers && pool_started() <= workers);
		pool_close(&pool);
		for (int i = 0; i < 2 * STORM_JOBS; i++)
			wrong += jobs[i / STORM_JOBS][i % STORM_JOBS].ran != 1;
		check(store.observe == own_observe && !store.admit && !store.pause);
	}
	check_int(wrong, 0);
}

int
main(void)
{
	/* What hangs is ended. */
	alarm(LIMIT_S + (getenv("STRESS") ? (unsigned)atoi(getenv("STRESS")) : 0));
	test_on_demand();
	test_order();
	test_pool_rank();
	test_wait_most();
	test_many_threads();
	test_thread();
	test_open_and_close();
	test_brake_cuts();
	test_brake_opens();
	test_brake_gap();
	test_retry_after();
	test_window_holds();
	test_observer();
	test_rate_arithmetic();
	test_rate();
	test_pause();
	stop_all(0);
	stop_all(1);
	test_stop_full_window();
	test_idle_hangs_up();
	test_idle_workers_end();
	test_storm();
	check_int(faults, 0);
	return test_end();
}
