#include <stdlib.h>
#include <string.h>
#include "ledger_index.h"

enum { SLOTS_MIN = 64 };

static uint64_t
turn(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = turn(v[1], 13) ^ v[0];
	v[3] = turn(v[3], 16) ^ v[2];
	v[0] = turn(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = turn(v[3], 21) ^ v[0];
	v[1] = turn(v[1], 17) ^ v[2];
	v[2] = turn(v[2], 32);
}

static void
sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t
ledger_index_hash(const struct ledger_index *x, const void *data, size_t n)
{
	uint64_t v[4] = {x->key[0] ^ 0x736f6d6570736575, x->key[1] ^ 0x646f72616e646f6d,
		x->key[0] ^ 0x6c7967656e657261, x->key[1] ^ 0x7465646279746573};
	const unsigned char *p = data;
	uint64_t word, last = (uint64_t)n << 56;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		sip_word(v, word);
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)p[i] << 8 * i;
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Where path stands, or the free slot where it would. There is always a free one. */
static struct ledger_slot *
probe(const struct ledger_index *x, uint64_t path)
{
	size_t i = (size_t)path & (x->cap - 1);

	while (x->slots[i].where && x->slots[i].path != path)
		i = (i + 1) & (x->cap - 1);
	return &x->slots[i];
}

struct ledger_slot *
ledger_index_find(const struct ledger_index *x, uint64_t path)
{
	struct ledger_slot *s = x->cap ? probe(x, path) : NULL;

	return s && s->where ? s : NULL;
}

static int
grow(struct ledger_index *x)
{
	struct ledger_index bigger = *x;

	bigger.cap = x->cap ? x->cap * 2 : SLOTS_MIN;
	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < x->cap; i++)
		if (x->slots[i].where)
			*probe(&bigger, x->slots[i].path) = x->slots[i];
	free(x->slots);
	*x = bigger;
	return 0;
}

int
ledger_index_put(struct ledger_index *x, const struct ledger_slot *s)
{
	struct ledger_slot *old;

	if (x->used >= x->cap / 4 * 3 && grow(x) < 0)
		return -1;
	old = probe(x, s->path);
	x->used += !old->where;
	x->done += (size_t)(s->where & 1) - (size_t)(old->where & 1);
	*old = *s;
	return 0;
}

void
ledger_index_drop(struct ledger_index *x, struct ledger_slot *s)
{
	size_t mask = x->cap - 1, hole = (size_t)(s - x->slots);

	x->used--;
	x->done -= (size_t)(s->where & 1);
	/* No tombstones: what was pushed past the hole moves into it. */
	for (size_t i = (hole + 1) & mask; x->slots[i].where; i = (i + 1) & mask) {
		size_t home = (size_t)x->slots[i].path & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			x->slots[hole] = x->slots[i];
			hole = i;
		}
	}
	x->slots[hole].where = 0;
}
