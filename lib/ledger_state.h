#pragma once
/* The ledger itself, shared by its parts: ledger_open.c, ledger.c (remember, ask), ledger_sync.c. The ledger's own. */
#include "enc.h"
#include "ledger_compact.h"

enum { LEDGER_TAIL_MAX = 1024 * 1024 };   /* bytes after which ledger_put syncs by itself: memory stays bounded while the disk works */

struct ledger {
	int fd;
	struct ledger_index index;
	uint64_t synced;               /* bytes of the file that a power cut cannot take; what is put later stands behind them */
	unsigned char *tail;           /* the records behind `synced`, in memory until they are synced: a failed fsync may have lost them */
	size_t tail_len, tail_cap;
	size_t written;                /* bytes of the tail that are in the file already */
	size_t tail_max;
	size_t records;                /* sound ones in the file and the tail, dead ones too */
	uint64_t reserved;             /* disk space is ours up to this offset */
	uint64_t patience;             /* size of the file below which compaction is not tried again */
	int damaged;                   /* the file holds rubbish: compaction is due */
	int failing;                   /* the last write failed: only ledger_sync tries again */
	int no_header;                 /* the header is not written */
	int sync_due;                  /* the directory is not synced, or perhaps not what was loaded */
	int lost;                      /* the file lost its name */
	char path[PATH_MAX];
	char warning[ENC_SHOW_CAP + 128];
};

/* -1 with errno's text and the ledger's name. */
int ledger_oops(const struct ledger *l, struct err *e);
/* Where a compaction writes: no bucket has such a name. -1: too long. */
int ledger_new_name(const struct ledger *l, char out[PATH_MAX]);
uint64_t ledger_print(const struct ledger *l, const struct ledger_file *f);
/* Enter the record v at offset at into the index. -1 (errno): out of memory. */
int ledger_enter(struct ledger *l, const struct ledger_view *v, uint64_t at);
/* What is in memory goes to the file, as far as it can; nothing is synced. */
int ledger_write_tail(struct ledger *l);
