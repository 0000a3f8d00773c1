#pragma once
/* The paths of sync.c: found by name in a hash table, put in order by binary heaps. An entry knows where in a heap it stands, so that it can
   leave it. Only sync*.c use it. */
#include "sync.h"

/* 87 bytes, then the path; with its places in the table and in the heaps about 115. A million of them must be affordable. */
struct sync_node {
	struct sync_entry x;         /* first: what the caller sees */
	struct sync_node *next;      /* in its bucket */
	uint64_t print;              /* of the last look that was unsure, when printed */
	uint32_t hash;
	uint32_t at[2];              /* where it stands: in WAIT or RANK (it is never in both), in AGE */
	uint32_t due_ms;             /* after first_ms, 49 days at most: when nobody was known to write to it any more; RETRY does not change that */
	uint8_t fault;               /* enum sync_fault of the last failure */
	uint8_t again;               /* LOOKING, RUNNING: seen meanwhile (SYNC_REMOVED: last told as removed), x.at_ms says when it will have been quiet */
	uint8_t printed;
	uint8_t held;                /* looks in a row that found it held open */
	uint8_t forward;             /* RETRY: the next success brings it forward */
	uint8_t brought;             /* how often that has happened, and it failed nonetheless */
	uint8_t denied;              /* it has begun or prolonged a pause */
	char rel[];
};

enum {
	SYNC_SHIFT_MAX = 20,         /* doublings that are above every cap */
	SYNC_REMOVED = 2,
};

enum sync_heap {
	SYNC_WAIT,                   /* QUIET, HELD, RETRY: by at_ms */
	SYNC_RANK,                   /* READY: what has not failed, by class of size, then the oldest */
	SYNC_AGE,                    /* READY: the oldest */
	SYNC_HEAPS,
};

struct sync_queue {
	struct sync_node **heap[SYNC_HEAPS];
	uint32_t n[SYNC_HEAPS], cap;
	struct sync_node **bucket;
	uint32_t buckets, all;
};

struct sync_node *sync_queue_find(const struct sync_queue *q, const char *rel);
/* A new one, in no heap, all zero but for its path. Room for it in every heap is made here, so that nothing fails later. NULL: out of memory. */
struct sync_node *sync_queue_add(struct sync_queue *q, const char *rel);
/* Free one that is in no heap. */
void sync_queue_forget(struct sync_queue *q, struct sync_node *x);
/* Give back room that is not needed any more: a daemon that once had a million files to do is small again afterwards. Moves the buckets. */
void sync_queue_trim(struct sync_queue *q);

void sync_queue_push(struct sync_queue *q, enum sync_heap h, struct sync_node *x);
void sync_queue_pull(struct sync_queue *q, enum sync_heap h, struct sync_node *x);
/* NULL: it is empty. */
struct sync_node *sync_queue_top(const struct sync_queue *q, enum sync_heap h);
/* Put a heap in order again after any at_ms in it were changed. */
void sync_queue_order(struct sync_queue *q, enum sync_heap h);

void sync_queue_free(struct sync_queue *q);

struct sync {
	struct sync_queue q;
	int64_t settle_ms;
	unsigned jobs, starts;
	size_t n[SYNC_STATES];
	uint64_t bytes;
	size_t outage;               /* RETRY, and not for their own sake */
	size_t forward;              /* those of them that the next success brings forward */
	int paused;
	struct sync_node *probe;     /* under way, or NULL */
	int64_t probe_ms;            /* while paused: when the next one may go */
	int64_t probe_wait_ms;
	uint32_t random;             /* of the last failure */
};

static inline struct sync_node *
sync_node_of(struct sync_entry *x)
{
	return (struct sync_node *)x;
}

/* The nth (from 0) of waits that double, up to cap. */
int64_t sync_doubled(int64_t base, unsigned n, int64_t cap);

/* Into another state, with its place in the heaps and the counts. */
void sync_move(struct sync *s, struct sync_node *x, enum sync_state state);
void sync_move_at(struct sync *s, struct sync_node *x, enum sync_state state, int64_t at_ms);
/* QUIET until then, its size unknown. */
void sync_be_quiet(struct sync *s, struct sync_node *x, int64_t at_ms);
void sync_forget(struct sync *s, struct sync_node *x);
