#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "sync_queue.h"

enum {
	ROOM_MIN = 64,
	LOAD_MAX = 2,                /* entries a bucket, before there are twice as many buckets */
	SPARE_MAX = 4,               /* times too much room, before some is given back */
	CLASS_FIRST_BITS = 20,       /* 1 MiB */
	CLASS_BITS = 4,              /* then powers of 16 */
};

/* Small before large, so that a picture does not wait for a film: 0 below 1 MiB, 1 below 16 MiB, 2 below 256 MiB … */
static unsigned
class_of(uint64_t size)
{
	unsigned class = 0;

	for (size >>= CLASS_FIRST_BITS; size; size >>= CLASS_BITS)
		class++;
	return class;
}

static uint32_t
hash_of(const char *rel)
{
	return hash_crc32c(0, rel, strlen(rel));
}

/* 1 when a comes out of the heap before b. Names decide among equals, so that what came in one moment goes in an order people expect. */
static int
before(enum sync_heap h, const struct sync_node *a, const struct sync_node *b)
{
	if (h == SYNC_WAIT && a->x.at_ms != b->x.at_ms)
		return a->x.at_ms < b->x.at_ms;
	if (h == SYNC_RANK) {
		unsigned one = class_of(a->x.size), other = class_of(b->x.size);

		/* What may fail again, and take a worker's time for it, keeps nobody waiting. */
		if (!a->x.failures != !b->x.failures)
			return !a->x.failures;
		if (one != other)
			return one < other;
	}
	if (a->x.first_ms != b->x.first_ms)
		return a->x.first_ms < b->x.first_ms;
	return strcmp(a->rel, b->rel) < 0;
}

static void
place(struct sync_queue *q, enum sync_heap h, uint32_t i, struct sync_node *x)
{
	q->heap[h][i] = x;
	x->at[h == SYNC_AGE] = i;
}

static void
sift_up(struct sync_queue *q, enum sync_heap h, uint32_t i)
{
	struct sync_node *x = q->heap[h][i];

	for (; i && before(h, x, q->heap[h][(i - 1) / 2]); i = (i - 1) / 2)
		place(q, h, i, q->heap[h][(i - 1) / 2]);
	place(q, h, i, x);
}

static void
sift_down(struct sync_queue *q, enum sync_heap h, uint32_t i)
{
	struct sync_node *x = q->heap[h][i];

	for (uint32_t child; (child = 2 * i + 1) < q->n[h]; i = child) {
		if (child + 1 < q->n[h] && before(h, q->heap[h][child + 1], q->heap[h][child]))
			child++;
		if (!before(h, q->heap[h][child], x))
			break;
		place(q, h, i, q->heap[h][child]);
	}
	place(q, h, i, x);
}

void
sync_queue_push(struct sync_queue *q, enum sync_heap h, struct sync_node *x)
{
	place(q, h, q->n[h]++, x);
	sift_up(q, h, q->n[h] - 1);
}

void
sync_queue_pull(struct sync_queue *q, enum sync_heap h, struct sync_node *x)
{
	uint32_t i = x->at[h == SYNC_AGE];
	struct sync_node *last = q->heap[h][--q->n[h]];

	if (last == x)
		return;
	place(q, h, i, last);
	sift_up(q, h, i);
	sift_down(q, h, last->at[h == SYNC_AGE]);
}

struct sync_node *
sync_queue_top(const struct sync_queue *q, enum sync_heap h)
{
	return q->n[h] ? q->heap[h][0] : NULL;
}

void
sync_queue_order(struct sync_queue *q, enum sync_heap h)
{
	for (uint32_t i = q->n[h] / 2; i-- > 0;)
		sift_down(q, h, i);
}

/* -1: some heap has no such room; then none counts on it. */
static int
set_room(struct sync_queue *q, uint32_t cap)
{
	for (int h = 0; h < SYNC_HEAPS; h++) {
		struct sync_node **p = realloc(q->heap[h], cap * sizeof *p);

		if (!p && cap > q->cap)
			return -1;
		if (p)
			q->heap[h] = p;
	}
	q->cap = cap;
	return 0;
}

/* Without the memory for it the table stays as it is: slower, not wrong. */
static void
set_buckets(struct sync_queue *q, uint32_t n)
{
	struct sync_node **fresh = calloc(n, sizeof *fresh), *x;

	if (!fresh)
		return;
	for (uint32_t i = 0; i < q->buckets; i++)
		while ((x = q->bucket[i])) {
			q->bucket[i] = x->next;
			x->next = fresh[x->hash & (n - 1)];
			fresh[x->hash & (n - 1)] = x;
		}
	free(q->bucket);
	q->bucket = fresh;
	q->buckets = n;
}

struct sync_node *
sync_queue_find(const struct sync_queue *q, const char *rel)
{
	uint32_t hash = hash_of(rel);
	struct sync_node *x = q->buckets ? q->bucket[hash & (q->buckets - 1)] : NULL;

	while (x && (x->hash != hash || strcmp(x->rel, rel)))
		x = x->next;
	return x;
}

struct sync_node *
sync_queue_add(struct sync_queue *q, const char *rel)
{
	size_t len = strlen(rel) + 1;
	struct sync_node *x;

	if (q->all == q->cap && set_room(q, q->cap ? q->cap + q->cap / 2 : ROOM_MIN) < 0)
		return NULL;
	if (q->all >= LOAD_MAX * q->buckets)
		set_buckets(q, q->buckets ? 2 * q->buckets : ROOM_MIN);
	if (!q->buckets)
		return NULL;
	x = malloc(offsetof(struct sync_node, rel) + len < sizeof *x ? sizeof *x : offsetof(struct sync_node, rel) + len);
	if (!x)
		return NULL;
	memset(x, 0, sizeof *x);
	memcpy(x->rel, rel, len);
	x->x.rel = x->rel;
	x->hash = hash_of(rel);
	x->next = q->bucket[x->hash & (q->buckets - 1)];
	q->bucket[x->hash & (q->buckets - 1)] = x;
	q->all++;
	return x;
}

void
sync_queue_forget(struct sync_queue *q, struct sync_node *x)
{
	struct sync_node **p = &q->bucket[x->hash & (q->buckets - 1)];

	while (*p != x)
		p = &(*p)->next;
	*p = x->next;
	free(x);
	q->all--;
}

void
sync_queue_trim(struct sync_queue *q)
{
	if (q->cap > ROOM_MIN && q->all < q->cap / SPARE_MAX)
		set_room(q, q->cap / 2);
	if (q->buckets > ROOM_MIN && q->all < q->buckets / SPARE_MAX)
		set_buckets(q, q->buckets / 2);
}

void
sync_queue_free(struct sync_queue *q)
{
	struct sync_node *x;

	for (uint32_t i = 0; i < q->buckets; i++)
		while ((x = q->bucket[i])) {
			q->bucket[i] = x->next;
			free(x);
		}
	for (int h = 0; h < SYNC_HEAPS; h++)
		free(q->heap[h]);
	free(q->bucket);
}
