#pragma once
/* A ledger's file without its dead records. The ledger's own. */
#include "ledger_file.h"
#include "ledger_index.h"

struct ledger_copy {
	int fd;                   /* of the new file: written, synced, locked, but not in place yet */
	uint64_t end;             /* its size */
	size_t records;
	uint64_t *moved;          /* for each slot of the index: where its record stands in the new file; 0: it was not found */
};

/* Copy the file from, whose live records x says, to name. 0, or -1 (errno) with nothing left of it. */
int ledger_copy_make(struct ledger_copy *c, int from, const struct ledger_index *x, const char *name);
/* The offsets of x are those of the new file now. */
void ledger_copy_apply(struct ledger_copy *c, struct ledger_index *x);
void ledger_copy_drop(struct ledger_copy *c, const char *name);

/* fdatasync(2). */
int ledger_sync_file(int fd);
/* Begin the file fd, with this process as its holder. */
int ledger_header_put(int fd);
