#pragma once
/* What is in the bucket already, on disk, surviving kill -9 at any byte: path → state of the file, key, ETag. An append-only file of records
   with checksums; a torn tail is cut, a damaged middle loses its own records only; compacted when more than half is dead by writing a new
   file and renaming it. In memory a file costs an index entry of about 24 bytes (its path as a 64-bit hash, keyed by a random number of the
   process; a fingerprint of its state; where its record stands), never its path. For one thread. */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"
#include "path.h"
#include "s3.h"

struct ledger;

/* Which state of the file: with another one of these it may have another content. ctime, since cp -p, rsync and touch -r set mtime as they like. */
struct ledger_file {
	uint64_t size;
	int64_t mtime_ns;
	uint64_t inode;              /* and ctime, mixed */
};
struct ledger_file ledger_file_of(const struct stat *st);

struct ledger_record {
	enum { LEDGER_BEGUN, LEDGER_DONE } state;   /* on its way to that key, maybe there; or verified there */
	struct ledger_file file;
	char key[PATH_KEY_MAX + 1];
	char etag[S3_ETAG_CAP];      /* DONE: of our object; BEGUN: of our older object that is being replaced, or "" */
};

/* Open, or begin, the ledger dir/name (dir exists and is ours, 0700; name says for which bucket it is) and lock it. 1: another process
   has it, *e names it (its process id); -1 (ERR_LOCAL). One million files: at most 100 MB and 2 s. */
int ledger_open(struct ledger **l, const char *dir, const char *name, struct err *e);
/* What was damaged and is lost, so that the user knows why files are looked at again; "" when nothing was. */
const char *ledger_warning(const struct ledger *l);

/* 1: the verified object of rel (path below the watched directory) has exactly this state. Memory only, no I/O. */
int ledger_has(const struct ledger *l, const char *rel, const struct ledger_file *f);

/* 1: *r is rel's record; 0: there is none (or what stands there does not prove to be rel's); -1 (errno): it cannot be read now. One pread,
   unless it is not written yet. */
int ledger_find(struct ledger *l, const char *rel, struct ledger_record *r);

/* Every path and its record, in no order; each may not call anything here. One pread for each. */
void ledger_each(struct ledger *l, void (*each)(void *arg, const char *rel, const struct ledger_record *r), void *arg);

/* Remember. It is on disk at the latest after ledger_sync; a disk that is full or fails is no error here: records are kept in memory and written
   as soon as there is room. -1 (ERR_LOCAL): out of memory, or path and key too long. r NULL: that rel is forgotten, known or not. */
int ledger_put(struct ledger *l, const char *rel, const struct ledger_record *r, struct err *e);
/* rel is nobody's any more: what comes at that path is a new file. */
int ledger_forget(struct ledger *l, const char *rel, struct err *e);

/* Write what is not written, fsync, and compact when that is due (no error when that fails: the file is complete without). -1 (ERR_LOCAL): not
   now (disk full, directory removed: once it is back, the next sync writes the whole file anew …), everything is kept for the next time; the
   caller tells the user once. Without anything new it does nothing. */
int ledger_sync(struct ledger *l, struct err *e);
int ledger_dirty(const struct ledger *l);      /* 1 when ledger_sync has something to do */

size_t ledger_count(const struct ledger *l);   /* DONE ones */

void ledger_close(struct ledger *l);           /* syncs, best effort; NULL is fine */
