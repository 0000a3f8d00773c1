/* sync against a slow model of its header, with random work for both; a million files; no memory left. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "sync.h"
#include "test.h"

enum { PATHS = 40, ROUNDS = 25, OPERATIONS = 4000, MIB = 1 << 20 };

static struct err e;
static struct sync *s;
static int64_t now;

struct slow {
	int used, printed, again, forward, denied;
	enum sync_state state;
	enum sync_fault fault;
	int64_t first, at, due;
	uint64_t size, print;
	unsigned failures, held, brought;
	struct sync_entry *x;        /* while it is handed out */
};

static struct slow list[PATHS];
static char names[PATHS][16];
static int jobs, paused, probing;    /* probing: index + 1 */
static unsigned starts;
static int64_t settle, probe_at, probe_wait;
static uint64_t seed;

static uint32_t
dice(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static int64_t
doubled(int64_t base, unsigned n, int64_t cap)
{
	while (n-- && base < cap)
		base *= 2;
	return base < cap ? base : cap;
}

/* The names are a, a/1, a/2 … b, b/11 … */
static int
index_of(const char *rel)
{
	return rel[1] ? atoi(rel + 2) : (rel[0] - 'a') * 10;
}

static int
slow_waits(const struct slow *m)
{
	return m->used && (m->state == SYNC_QUIET || m->state == SYNC_HELD || m->state == SYNC_RETRY);
}

static int
slow_in(enum sync_state state)
{
	int n = 0;

	for (int i = 0; i < PATHS; i++)
		n += list[i].used && list[i].state == state;
	return n;
}

static void
slow_quiet(struct slow *m, int64_t at)
{
	m->state = SYNC_QUIET;
	m->at = at;
	m->size = 0;
	m->forward = 0;
}

static void
slow_seen(struct slow *m)
{
	if (!m->used) {
		*m = (struct slow){.used = 1, .first = now, .at = now + settle};
		return;
	}
	m->held = 0;
	if (m->state == SYNC_LOOKING || m->state == SYNC_RUNNING) {
		m->again = 1;
		m->at = now + settle;
	} else if (m->state == SYNC_RETRY && m->fault != SYNC_FILE)
		m->at = m->at > now + settle ? m->at : now + settle;
	else
		slow_quiet(m, now + settle);
}

static void
slow_found(struct slow *m, uint64_t print)
{
	if (!m->used || m->state == SYNC_RUNNING || (m->printed && m->print != print))
		slow_seen(m);
	m->printed = 1;
	m->print = print;
}

static void
slow_gone(struct slow *m)
{
	if (!m->used)
		return;
	if (m->state == SYNC_LOOKING || m->state == SYNC_RUNNING) {
		m->again = 1;
		m->at = now + settle;
	} else
		m->used = 0;
}

/* The one that comes first: how 0 by at, 1 by class, 2 by age; -1: none. */
static int
slow_first(int how)
{
	int best = -1;

	for (int i = 0; i < PATHS; i++) {
		const struct slow *m = &list[i], *b = &list[best < 0 ? 0 : best];
		int64_t d = 0;

		if (!m->used || (how ? m->state != SYNC_READY : !slow_waits(m)))
			continue;
		if (!how)
			d = m->at - b->at;
		else if (how == 1)
			d = m->failures && !b->failures ? 1 : b->failures && !m->failures ? -1 :
				(m->size >= MIB) + (m->size >= 16 * MIB) - (b->size >= MIB) - (b->size >= 16 * MIB);
		d = d ? d : m->first - b->first;
		d = d ? d : strcmp(names[i], names[best < 0 ? 0 : best]);
		if (best < 0 || d < 0)
			best = i;
	}
	return best;
}

static int64_t
slow_start_ms(void)
{
	if (!slow_in(SYNC_READY) || slow_in(SYNC_RUNNING) >= jobs || probing)
		return -1;
	return paused ? probe_at : now;
}

static int64_t
slow_wake(void)
{
	int i = slow_first(0);
	int64_t at = slow_start_ms();

	return i < 0 ? at : at < 0 || list[i].at < at ? list[i].at : at;
}

static void
slow_success(void)
{
	paused = probing = 0;
	for (int i = 0; i < PATHS; i++) {
		struct slow *m = &list[i];
		int64_t at = now + (m->brought ? doubled(1000, m->brought - 1, 300000) : 0);

		if (!m->used || !m->forward)
			continue;
		m->forward = 0;
		m->at = m->at < at ? m->at : at;
		m->brought++;
	}
}

static int64_t
slow_failed(struct slow *m, enum sync_fault f, uint32_t random)
{
	int is_probe = probing == m - list + 1;
	int64_t wait = doubled(1000, m->failures++, 300000), half = wait / 2;

	if (f == SYNC_ACCOUNT && m->denied && !paused)
		f = SYNC_FILE;
	m->fault = f;
	wait = half + (int64_t)((uint64_t)random * (uint64_t)(wait - half + 1) / (1ULL << 32));
	if (f == SYNC_ACCOUNT && (!paused || is_probe)) {
		probe_wait = paused ? doubled(probe_wait, 1, 60000) : 1000;
		probe_at = now + probe_wait;
		paused = 1;
	} else if (is_probe)
		probe_at = now + probe_wait;
	probing = is_probe ? 0 : probing;
	if (f == SYNC_ACCOUNT) {
		m->denied = 1;
		wait = probe_at - now;
	}
	if (m->again && f == SYNC_FILE)
		slow_quiet(m, m->at);
	else {
		m->at = m->again && m->at > now + wait ? m->at : now + wait;
		m->state = SYNC_RETRY;
		m->forward = f != SYNC_FILE;
	}
	return m->at > now ? m->at - now : 0;
}

static void
do_look(void)
{
	int i = slow_first(0);
	struct sync_entry *x = sync_look(s, now);

	if (i >= 0 && list[i].at > now)
		i = -1;
	check_str(x ? x->rel : "", i < 0 ? "" : names[i]);
	if (!x || i < 0)
		return;
	list[i].due = list[i].state == SYNC_RETRY ? list[i].due : list[i].at;
	list[i].state = SYNC_LOOKING;
	list[i].again = list[i].forward = 0;
	list[i].x = x;
}

/* One of those in that state, -1: none. */
static int
any_in(enum sync_state state)
{
	int from = (int)dice(PATHS);

	for (int k = 0; k < PATHS; k++)
		if (list[(from + k) % PATHS].used && list[(from + k) % PATHS].state == state)
			return (from + k) % PATHS;
	return -1;
}

static void
slow_ready(struct slow *m, uint64_t size)
{
	m->state = SYNC_READY;
	m->size = size;
	m->held = 0;
}

static void
do_answer(void)
{
	static const uint64_t sizes[] = {0, 1, MIB - 1, MIB, 16 * MIB - 1, 16 * MIB};
	int i = any_in(SYNC_LOOKING), how = (int)dice(5);
	uint64_t size = sizes[dice(6)], print = dice(3);
	uint32_t random = dice(UINT32_MAX);
	struct slow *m = &list[i < 0 ? 0 : i];

	if (i < 0)
		return;
	if (how == 0)
		sync_drop(s, m->x);
	else if (how == 1)
		sync_ready(s, m->x, size);
	else if (how == 2)
		sync_held(s, m->x, now);
	else if (how == 3)
		sync_unsure(s, m->x, size, print, now);
	else {
		int64_t got = sync_failed(s, m->x, SYNC_FILE, random, now);

		check_int(got, slow_failed(m, SYNC_FILE, random));
		return;
	}
	if (how == 3 && m->printed && m->print == print)
		how = 1;
	if (how == 3) {
		m->printed = 1;
		m->print = print;
	}
	if (m->again)
		slow_quiet(m, m->at);
	else if (how == 0)
		m->used = 0;
	else if (how == 1)
		slow_ready(m, size);
	else if (how == 2) {
		m->state = SYNC_HELD;
		m->size = 0;
		m->at = now + (m->held ? doubled(1000, m->held - 1, 30000) : 10);
		m->held++;
	} else
		slow_quiet(m, now + settle);
}

static void
do_start(void)
{
	struct sync_entry *x = sync_start(s, now);
	int64_t at = slow_start_ms();
	int i = x ? index_of(x->rel) : -1;

	check_int(!!x, at >= 0 && at <= now);
	if (!x)
		return;
	if (!paused)
		check_str(x->rel, names[slow_first(starts++ % 4 == 3 ? 2 : 1)]);
	else {
		probing = i + 1;
		for (int k = 0; k < PATHS; k++)
			if (list[k].used && list[k].state == SYNC_READY)
				check(list[k].failures >= list[i].failures);
	}
	list[i].state = SYNC_RUNNING;
	list[i].again = 0;
	list[i].x = x;
}

static void
do_end(void)
{
	int i = any_in(SYNC_RUNNING);
	struct slow *m = &list[i < 0 ? 0 : i];
	uint32_t random = dice(UINT32_MAX), how = dice(5);

	if (i < 0)
		return;
	if (how < 3) {
		static const enum sync_fault faults[] = {SYNC_FILE, SYNC_NETWORK, SYNC_ACCOUNT};
		int64_t got = sync_failed(s, m->x, faults[how], random, now);

		check_int(got, slow_failed(m, faults[how], random));
		return;
	}
	sync_done(s, m->x, now);
	slow_success();
	if (m->again)
		*m = (struct slow){.used = 1, .first = m->at - settle, .at = m->at};
	else
		m->used = 0;
}

static void
do_hurry(void)
{
	sync_hurry(s, now);
	for (int i = 0; i < PATHS; i++)
		if (slow_waits(&list[i]) && list[i].state != SYNC_QUIET && list[i].at > now)
			list[i].at = now;
	probe_at = now;
	probe_wait = 1000;
}

static void
do_gone(void)
{
	const char *rel = names[dice(PATHS)];
	char dir[2] = {rel[0], '\0'};
	size_t whole = dice(4);

	if (whole) {
		sync_gone(s, rel, 0, now);
		slow_gone(&list[index_of(rel)]);
		return;
	}
	sync_gone(s, dir, 1, now);
	for (int i = 0; i < PATHS; i++)
		if (names[i][0] == dir[0] && (names[i][1] == '/' || !names[i][1]))
			slow_gone(&list[i]);
}

static int differ;      /* anything, in this round */

static void
same_entry(void *arg, const struct sync_entry *x)
{
	int i = index_of(x->rel);
	const struct slow *m = &list[i];

	++*(int *)arg;
	differ |= !m->used || m->state != x->state || m->first != x->first_ms || m->size != x->size || m->failures != x->failures;
	differ |= slow_waits(m) && m->at != x->at_ms;
}

static void
compare(void)
{
	struct sync_counts c;
	struct sync_oldest o;
	int64_t oldest = -1, waiting = -1;
	uint64_t bytes = 0;
	int all = 0, n = 0;

	for (int i = 0; i < PATHS; i++) {
		const struct slow *m = &list[i];

		if (!m->used)
			continue;
		all++;
		bytes += m->size;
		if (m->state != SYNC_RUNNING && (oldest < 0 || m->first < oldest))
			oldest = m->first;
		if ((m->state == SYNC_READY || m->state == SYNC_RETRY) && (waiting < 0 || m->due < waiting))
			waiting = m->due;
	}
	sync_count(s, &c);
	sync_oldest(s, &o);
	differ |= c.all != (size_t)all || c.bytes != bytes || o.any_ms != oldest || o.waiting_ms != waiting;
	for (int i = 0; i < SYNC_STATES; i++)
		differ |= c.n[i] != (size_t)slow_in((enum sync_state)i);
	differ |= sync_paused(s) != paused || sync_wake_ms(s, now) != slow_wake();
	sync_each(s, same_entry, &n);
	differ |= n != all;
}

static void
one_operation(void)
{
	uint32_t what = dice(100);
	int i = (int)dice(PATHS);

	if (what < 20) {
		check_int(sync_seen(s, names[i], now, &e), 0);
		slow_seen(&list[i]);
	} else if (what < 25) {
		uint64_t print = dice(3);

		check_int(sync_found(s, names[i], print, now, &e), 0);
		slow_found(&list[i], print);
	} else if (what < 28)
		do_gone();
	else if (what < 50)
		do_look();
	else if (what < 68)
		do_answer();
	else if (what < 80)
		do_start();
	else if (what < 92)
		do_end();
	else if (what < 93)
		do_hurry();
	else
		now += dice(3) ? dice(2000) : dice(100000);
}

static void
test_against_model(void)
{
	for (int i = 0; i < PATHS; i++)
		snprintf(names[i], sizeof names[i], i % 10 ? "%c/%d" : "%c", 'a' + i / 10, i);
	for (int round = 0; round < ROUNDS && !failures; round++) {
		seed = (uint64_t)round + 1;
		memset(list, 0, sizeof list);
		jobs = (int)dice(4) + 1;
		settle = dice(3) * 700;
		paused = probing = 0;
		starts = 0;
		differ = 0;
		now = 100000;
		s = sync_open(settle, jobs);
		for (int i = 0; i < OPERATIONS && !differ && !failures; i++) {
			one_operation();
			compare();
		}
		check(!differ);
		sync_close(s);
	}
}

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 200000, MEMORY = 300 };
#else
enum { MANY = 1000000, MEMORY = 125 };
#endif

static size_t
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	check(f && fscanf(f, "%*s %ld", &pages) == 1);
	if (f)
		fclose(f);
	return (size_t)pages * 4096;
}

static char *
name_of(int i)
{
	static char rel[64];

	snprintf(rel, sizeof rel, "ComfyUI_%04d/picture_%09d_.png", i % 1000, i);
	return rel;
}

static void
test_million(void)
{
	size_t before = resident(), each;
	struct sync_entry *x;
	struct sync_counts c;
	int64_t last = 0;
	int n = 0, disorder = 0;

	now = 100000;
	s = sync_open(1000, 4);
	for (int i = 0; i < MANY; i++)
		if (sync_seen(s, name_of(i), now + i % 7, &e) < 0)
			break;
	now += 1007;
	for (; (x = sync_look(s, now)); n++) {
		disorder |= x->at_ms < last;
		last = x->at_ms;
		sync_ready(s, x, (uint64_t)(n % 3) * MIB);
	}
	check(!disorder);
	check_int(n, MANY);
	each = (resident() - before) / MANY;
	/* what malloc adds to 87 bytes and the path included; with ASan malloc adds more */
	each -= strlen(name_of(0)) + 1;
	if (each > MEMORY)
		fprintf(stderr, "%zu bytes each, and the path\n", each);
	check(each <= MEMORY);
	for (int i = 0; i < 1000; i++)
		sync_gone(s, name_of(i), 0, now);
	for (n = 0; (x = sync_start(s, now)); n++) {
		if (n % 1000)
			sync_done(s, x, now);
		else
			sync_failed(s, x, n % 2000 ? SYNC_NETWORK : SYNC_FILE, 0, now);
	}
	sync_count(s, &c);
	check_int(n, MANY - 1000);
	check_int(c.all, c.n[SYNC_RETRY]);
	check_int(c.n[SYNC_RETRY], (MANY - 1000) / 1000);
	sync_gone(s, "", 1, now);
	sync_count(s, &c);
	check_int(c.all, 0);
	sync_close(s);
}

/* Without memory for another path everything goes on with those there are. */
static void
test_out_of_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	struct rlimit was, tight;
	struct sync_entry *x;
	int n = 0, m = 0;

	now = 100000;
	s = sync_open(0, 1);
	getrlimit(RLIMIT_AS, &was);
	tight = was;
	tight.rlim_cur = 16 << 20;
	setrlimit(RLIMIT_AS, &tight);
	while (n < MANY && sync_seen(s, name_of(n), now, &e) == 0)
		n++;
	check(n > 1000 && n < MANY);
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, "memory") != NULL);
	check_int(sync_seen(s, name_of(0), now, &e), 0);     /* one that is known needs none */
	while ((x = sync_look(s, now)))
		sync_ready(s, x, 1);
	for (; (x = sync_start(s, now)); m++)
		sync_done(s, x, now);
	check_int(m, n);
	check_int(sync_seen(s, "more", now, &e), 0);
	setrlimit(RLIMIT_AS, &was);
	sync_close(s);
#endif
}

int
main(void)
{
	test_out_of_memory();
	test_against_model();
	test_million();
	return test_end();
}
