#include "sync_queue.h"

enum { OLDEST_EVERY = 4 };     /* of so many starts one is the oldest */

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Those that were tried least often, and of these any, so that a pause ends as soon as there is one that is not refused. O(n), once a second
   at most. */
static struct sync_node *
probe(const struct sync *s)
{
	uint32_t n = s->q.n[SYNC_AGE];
	struct sync_node *best = s->q.heap[SYNC_AGE][s->random % n];

	for (uint32_t i = 1; i < n; i++) {
		struct sync_node *x = s->q.heap[SYNC_AGE][(s->random + i) % n];

		if (x->x.failures < best->x.failures)
			best = x;
	}
	return best;
}

static struct sync_node *
best(struct sync *s)
{
	return sync_queue_top(&s->q, s->starts++ % OLDEST_EVERY == OLDEST_EVERY - 1 ? SYNC_AGE : SYNC_RANK);
}

/* When sync_start has something to hand out, -1: not by itself. */
static int64_t
start_ms(const struct sync *s, int64_t now)
{
	if (!s->n[SYNC_READY] || s->n[SYNC_RUNNING] >= s->jobs || s->probe)
		return -1;
	return s->paused ? s->probe_ms : now;
}

struct sync_entry *
sync_start(struct sync *s, int64_t now)
{
	int64_t at = start_ms(s, now);
	struct sync_node *x;

	if (at < 0 || at > now)
		return NULL;
	x = s->paused ? probe(s) : best(s);
	if (s->paused)
		s->probe = x;
	x->again = 0;
	x->x.gone = 0;
	x->x.seen = 0;
	sync_move(s, x, SYNC_RUNNING);
	return &x->x;
}

/* The way is free again. What has been brought forward and failed again each time waits longer and longer, as its own retries do. */
static void
bring_forward(struct sync *s, int64_t now)
{
	if (!s->forward)
		return;
	for (uint32_t i = 0; i < s->q.n[SYNC_WAIT]; i++) {
		struct sync_node *x = s->q.heap[SYNC_WAIT][i];
		int64_t at = now;

		if (!x->forward)
			continue;
		if (x->brought)
			at += sync_doubled(SYNC_RETRY_BASE_MS, x->brought - 1U, SYNC_RETRY_CAP_MS);
		x->x.at_ms = x->x.at_ms < at ? x->x.at_ms : at;
		x->forward = 0;
		x->brought = (uint8_t)(x->brought + (x->brought < SYNC_SHIFT_MAX));
	}
	s->forward = 0;
	sync_queue_order(&s->q, SYNC_WAIT);
}

static void
ended(struct sync *s, struct sync_node *x)
{
	if (x->again) {
		/* A new version: nothing that was known of the old one counts. */
		x->x.first_ms = x->x.at_ms - s->settle_ms;
		x->x.failures = 0;
		x->x.told = 0;
		x->printed = x->held = x->brought = x->denied = 0;
		sync_be_quiet(s, x, x->x.at_ms);
		return;
	}
	sync_forget(s, x);
	sync_queue_trim(&s->q);
}

void
sync_done(struct sync *s, struct sync_entry *x, int64_t now)
{
	s->paused = 0;
	s->probe = NULL;
	bring_forward(s, now);
	ended(s, sync_node_of(x));
}

void
sync_undone(struct sync *s, struct sync_entry *entry)
{
	struct sync_node *x = sync_node_of(entry);

	if (x == s->probe)
		s->probe = NULL;
	ended(s, x);
}

/* How long until somebody is tried again. */
static void
refused(struct sync *s, struct sync_node *x, int64_t now)
{
	x->denied = 1;
	if (!s->paused)
		s->probe_wait_ms = SYNC_RETRY_BASE_MS;
	else if (x == s->probe)
		s->probe_wait_ms = sync_doubled(s->probe_wait_ms, 1, SYNC_PROBE_CAP_MS);
	else
		return;             /* it was under way when the pause began */
	s->probe_ms = now + s->probe_wait_ms;
	s->paused = 1;
}

/* Milliseconds until x is tried again for its own sake. */
static int64_t
retry_wait(const struct sync_node *x, uint32_t random)
{
	int64_t wait = sync_doubled(SYNC_RETRY_BASE_MS, x->x.failures - 1, SYNC_RETRY_CAP_MS), half = wait / 2;

	return half + (int64_t)((uint64_t)random * (uint64_t)(wait - half + 1) >> 32);
}

int64_t
sync_failed(struct sync *s, struct sync_entry *entry, enum sync_fault f, uint32_t random, int64_t now)
{
	struct sync_node *x = sync_node_of(entry);
	int64_t at;

	s->random = random;
	x->x.failures++;
	/* Others went through since it was refused. */
	if (f == SYNC_ACCOUNT && x->denied && !s->paused)
		f = SYNC_FILE;
	x->fault = (uint8_t)f;
	if (f == SYNC_ACCOUNT)
		refused(s, x, now);
	else if (x == s->probe)
		s->probe_ms = now + s->probe_wait_ms;
	if (x == s->probe)
		s->probe = NULL;
	at = f == SYNC_ACCOUNT ? s->probe_ms : now + retry_wait(x, random);
	/* What was removed has to be looked at before another file can come at its name. */
	if (x->again == SYNC_REMOVED || (x->again && f == SYNC_FILE))
		sync_be_quiet(s, x, x->x.at_ms);
	else {
		sync_move_at(s, x, SYNC_RETRY, x->again ? later(at, x->x.at_ms) : at);
		x->forward = f != SYNC_FILE;
		s->forward += x->forward;
	}
	return later(x->x.at_ms - now, 0);
}

void
sync_hurry(struct sync *s, int64_t now)
{
	for (uint32_t i = 0; i < s->q.n[SYNC_WAIT]; i++) {
		struct sync_node *x = s->q.heap[SYNC_WAIT][i];

		if (x->x.state != SYNC_QUIET && x->x.at_ms > now)
			x->x.at_ms = now;
	}
	sync_queue_order(&s->q, SYNC_WAIT);
	s->probe_ms = now;
	s->probe_wait_ms = SYNC_RETRY_BASE_MS;
}

void
sync_settle_within(struct sync *s, int64_t ms, int64_t now)
{
	if (s->settle_ms <= ms)
		return;
	s->settle_ms = ms;
	for (uint32_t i = 0; i < s->q.buckets; i++)
		for (struct sync_node *x = s->q.bucket[i]; x; x = x->next)
			if ((x->x.state == SYNC_QUIET || x->again) && x->x.at_ms > now + ms)
				x->x.at_ms = now + ms;
	sync_queue_order(&s->q, SYNC_WAIT);
}

int
sync_paused(const struct sync *s)
{
	return s->paused;
}

int64_t
sync_wake_ms(const struct sync *s, int64_t now)
{
	const struct sync_node *x = sync_queue_top(&s->q, SYNC_WAIT);
	int64_t start = start_ms(s, now);

	if (!x)
		return start;
	return start < 0 || x->x.at_ms < start ? x->x.at_ms : start;
}

void
sync_count(const struct sync *s, struct sync_counts *c)
{
	*c = (struct sync_counts){.all = s->q.all, .outage = s->outage, .bytes = s->bytes};
	for (int i = 0; i < SYNC_STATES; i++)
		c->n[i] = s->n[i];
}

void
sync_oldest(const struct sync *s, struct sync_oldest *o)
{
	*o = (struct sync_oldest){-1, -1};
	for (uint32_t i = 0; i < s->q.buckets; i++)
		for (const struct sync_node *x = s->q.bucket[i]; x; x = x->next) {
			if (x->x.state == SYNC_RUNNING)
				continue;
			if (o->any_ms < 0 || x->x.first_ms < o->any_ms)
				o->any_ms = x->x.first_ms;
			if ((x->x.state == SYNC_READY || x->x.state == SYNC_RETRY) &&
			    (o->waiting_ms < 0 || x->x.first_ms + x->due_ms < o->waiting_ms))
				o->waiting_ms = x->x.first_ms + x->due_ms;
		}
}

void
sync_each(const struct sync *s, void (*each)(void *arg, const struct sync_entry *x), void *arg)
{
	for (uint32_t i = 0; i < s->q.buckets; i++)
		for (const struct sync_node *x = s->q.bucket[i]; x; x = x->next)
			each(arg, &x->x);
}
