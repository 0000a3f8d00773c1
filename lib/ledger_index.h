#pragma once
/* Which record of the ledger a path has: an open-addressing table of 24 bytes an entry, at most three quarters full. The ledger's own. */
#include <stddef.h>
#include <stdint.h>

struct ledger_slot {
	uint64_t path;            /* ledger_index_hash of the path */
	uint64_t print;           /* … of the file's state */
	uint64_t where;           /* offset of its record * 2 + (it is DONE); 0: nothing here */
};

struct ledger_index {
	struct ledger_slot *slots;
	size_t cap, used, done;   /* cap: 0 or a power of two */
	uint64_t key[2];          /* names are chosen by others: without it they could choose ones that collide */
};

/* SipHash-1-3 (Aumasson, Bernstein: SipHash, 2012; one round a word, three at the end, as hash tables use it). */
uint64_t ledger_index_hash(const struct ledger_index *x, const void *data, size_t n);

/* NULL: none. Valid until the next put or drop. */
struct ledger_slot *ledger_index_find(const struct ledger_index *x, uint64_t path);
/* Enter s, in place of what its path had. 0, or -1: out of memory, nothing has changed. */
int ledger_index_put(struct ledger_index *x, const struct ledger_slot *s);
void ledger_index_drop(struct ledger_index *x, struct ledger_slot *s);
