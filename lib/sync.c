#include <stdlib.h>
#include <string.h>
#include "sync_queue.h"

int64_t
sync_doubled(int64_t base, unsigned n, int64_t cap)
{
	int64_t wait = base << (n < SYNC_SHIFT_MAX ? n : SYNC_SHIFT_MAX);

	return wait < cap ? wait : cap;
}

static int
is_waiting(enum sync_state state)
{
	return state == SYNC_QUIET || state == SYNC_HELD || state == SYNC_RETRY;
}

static int
is_busy(const struct sync_node *x)
{
	return x->x.state == SYNC_LOOKING || x->x.state == SYNC_RUNNING;
}

static void
set_size(struct sync *s, struct sync_node *x, uint64_t size)
{
	s->bytes += size - x->x.size;
	x->x.size = size;
}

/* Out of the state it is in, and out of that state's heaps. */
static void
leave(struct sync *s, struct sync_node *x)
{
	s->n[x->x.state]--;
	s->outage -= x->x.state == SYNC_RETRY && x->fault != SYNC_FILE;
	s->forward -= x->forward;
	x->forward = 0;
	if (is_waiting(x->x.state))
		sync_queue_pull(&s->q, SYNC_WAIT, x);
	if (x->x.state == SYNC_READY) {
		sync_queue_pull(&s->q, SYNC_RANK, x);
		sync_queue_pull(&s->q, SYNC_AGE, x);
	}
}

static void
enter(struct sync *s, struct sync_node *x, enum sync_state state)
{
	x->x.state = state;
	s->n[state]++;
	s->outage += state == SYNC_RETRY && x->fault != SYNC_FILE;
	if (is_waiting(state))
		sync_queue_push(&s->q, SYNC_WAIT, x);
	if (state == SYNC_READY) {
		sync_queue_push(&s->q, SYNC_RANK, x);
		sync_queue_push(&s->q, SYNC_AGE, x);
	}
}

void
sync_move_at(struct sync *s, struct sync_node *x, enum sync_state state, int64_t at_ms)
{
	leave(s, x);
	x->x.at_ms = at_ms;
	enter(s, x, state);
}

void
sync_move(struct sync *s, struct sync_node *x, enum sync_state state)
{
	sync_move_at(s, x, state, x->x.at_ms);
}

void
sync_forget(struct sync *s, struct sync_node *x)
{
	leave(s, x);
	set_size(s, x, 0);
	sync_queue_forget(&s->q, x);
}

void
sync_be_quiet(struct sync *s, struct sync_node *x, int64_t at_ms)
{
	sync_move_at(s, x, SYNC_QUIET, at_ms);
	set_size(s, x, 0);
}

struct sync *
sync_open(int64_t settle_ms, int jobs)
{
	struct sync *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->settle_ms = settle_ms;
	s->jobs = (unsigned)jobs;
	return s;
}

void
sync_close(struct sync *s)
{
	if (s)
		sync_queue_free(&s->q);
	free(s);
}

static void
see_again(struct sync *s, struct sync_node *x, int64_t now)
{
	/* It was away for the quiet time: this is another file. */
	if (x->again == SYNC_REMOVED && now > x->x.at_ms)
		__atomic_store_n(&x->x.gone, 1, __ATOMIC_RELAXED);
	x->x.at_ms = now + s->settle_ms;
	x->again = x->x.seen = 1;
}

static int
add(struct sync *s, const char *rel, int64_t now, struct err *e)
{
	struct sync_node *x = sync_queue_add(&s->q, rel);

	if (!x)
		return fail(e, ERR_LOCAL, "out of memory with %zu files waiting", (size_t)s->q.all);
	x->x.first_ms = now;
	x->x.at_ms = now + s->settle_ms;
	enter(s, x, SYNC_QUIET);
	return 0;
}

/* The network is no better for a file that changed, but one that is being written is not due either. */
static void
wait_at_least(struct sync *s, struct sync_node *x, int64_t at_ms)
{
	if (x->x.at_ms >= at_ms)
		return;
	sync_queue_pull(&s->q, SYNC_WAIT, x);
	x->x.at_ms = at_ms;
	sync_queue_push(&s->q, SYNC_WAIT, x);
}

int
sync_seen(struct sync *s, const char *rel, int64_t now, struct err *e)
{
	struct sync_node *x = sync_queue_find(&s->q, rel);

	if (!x)
		return add(s, rel, now, e);
	x->held = 0;
	if (is_busy(x))
		see_again(s, x, now);
	else if (x->x.state == SYNC_RETRY && x->fault != SYNC_FILE)
		wait_at_least(s, x, now + s->settle_ms);
	else
		sync_be_quiet(s, x, now + s->settle_ms);
	return 0;
}

int
sync_removed(struct sync *s, const char *rel, int64_t now, struct err *e)
{
	struct sync_node *x = sync_queue_find(&s->q, rel);

	if (x && x->x.state == SYNC_RETRY)
		sync_be_quiet(s, x, now);
	if (sync_seen(s, rel, now, e) < 0)
		return -1;
	if (x && is_busy(x))
		x->again = SYNC_REMOVED;
	return 0;
}

int
sync_found(struct sync *s, const char *rel, uint64_t print, int64_t now, struct err *e)
{
	struct sync_node *x = sync_queue_find(&s->q, rel);
	int changed = !x || x->x.state == SYNC_RUNNING || (x->printed && x->print != print), seen = x && x->x.seen;

	if (changed && sync_seen(s, rel, now, e) < 0)
		return -1;
	if (!x)
		x = sync_queue_find(&s->q, rel);
	x->printed = 1;
	x->print = print;
	x->x.seen = (uint8_t)seen;
	return 0;
}

static void
gone(struct sync *s, struct sync_node *x, int64_t now)
{
	if (!is_busy(x)) {
		sync_forget(s, x);
		return;
	}
	__atomic_store_n(&x->x.gone, 1, __ATOMIC_RELAXED);
	see_again(s, x, now);
}

/* 1 when x is the directory's own name or below it; "" is the root, everything is below it. */
static int
is_below(const struct sync_node *x, const char *dir, size_t len)
{
	return !len || (!strncmp(x->rel, dir, len) && (x->rel[len] == '/' || !x->rel[len]));
}

void
sync_gone(struct sync *s, const char *rel, int is_dir, int64_t now)
{
	struct sync_node *x, *next;
	size_t len = strlen(rel);

	if (!is_dir) {
		x = sync_queue_find(&s->q, rel);
		if (x)
			gone(s, x, now);
	}
	for (uint32_t i = 0; is_dir && i < s->q.buckets; i++)
		for (x = s->q.bucket[i]; x; x = next) {
			next = x->next;
			if (is_below(x, rel, len))
				gone(s, x, now);
		}
	sync_queue_trim(&s->q);
}

struct sync_entry *
sync_look(struct sync *s, int64_t now)
{
	struct sync_node *x = sync_queue_top(&s->q, SYNC_WAIT);

	if (!x || x->x.at_ms > now)
		return NULL;
	x->again = 0;
	if (x->x.state != SYNC_RETRY)
		x->due_ms = x->x.at_ms - x->x.first_ms < UINT32_MAX ? (uint32_t)(x->x.at_ms - x->x.first_ms) : UINT32_MAX;
	sync_move(s, x, SYNC_LOOKING);
	return &x->x;
}

/* What was seen while the caller looked at it, or sent it, begins anew whatever came of that. */
static int
looked_too_early(struct sync *s, struct sync_node *x)
{
	if (!x->again)
		return 0;
	sync_be_quiet(s, x, x->x.at_ms);
	return 1;
}

void
sync_drop(struct sync *s, struct sync_entry *entry)
{
	struct sync_node *x = sync_node_of(entry);

	if (looked_too_early(s, x))
		return;
	sync_forget(s, x);
	sync_queue_trim(&s->q);
}

void
sync_ready(struct sync *s, struct sync_entry *entry, uint64_t size)
{
	struct sync_node *x = sync_node_of(entry);

	if (looked_too_early(s, x))
		return;
	set_size(s, x, size);
	x->held = 0;
	sync_move(s, x, SYNC_READY);
}

void
sync_held(struct sync *s, struct sync_entry *entry, int64_t now)
{
	struct sync_node *x = sync_node_of(entry);
	int64_t wait = x->held ? sync_doubled(SYNC_HELD_BASE_MS, x->held - 1U, SYNC_HELD_CAP_MS) : SYNC_HELD_FIRST_MS;

	if (looked_too_early(s, x))
		return;
	set_size(s, x, 0);
	sync_move_at(s, x, SYNC_HELD, now + wait);
	x->held = (uint8_t)(x->held + (x->held < SYNC_SHIFT_MAX));
}

void
sync_unsure(struct sync *s, struct sync_entry *entry, uint64_t size, uint64_t print, int64_t now)
{
	struct sync_node *x = sync_node_of(entry);

	if (x->printed && x->print == print) {
		sync_ready(s, entry, size);
		return;
	}
	x->printed = 1;
	x->print = print;
	if (!looked_too_early(s, x))
		sync_be_quiet(s, x, now + s->settle_ms);
}
