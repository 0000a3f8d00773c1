#pragma once
/* r2 sync as it runs; shared by the sync_*.c. One thread decides (all of this is its own unless said), the pool's workers upload. */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include "client.h"
#include "ledger.h"
#include "nfc.h"
#include "pool.h"
#include "sync.h"
#include "sync_child.h"
#include "upload.h"
#include "watch.h"

/* What the command line and the environment ask for. */
struct sync_settings {
	const char *state;           /* --state, or NULL */
	const char *log, *metrics;
	const char *prefix;
	const char *date;            /* NULL: today */
	char **command;              /* behind "--", or NULL */
	const struct opt_words *include, *exclude;
	int all, flat, new_only, once, poll, hide_keys;
	int if_exists;
	const char *storage_class;   /* NULL: the bucket's */
	int64_t settle_ms, rescan_ms, drain_ms;
	int64_t delete_ms;           /* -1: keep local files */
	long jobs, nice;
	uint64_t rate, part_size, threshold;
};

/* Paths, the last one first. */
struct rels {
	struct rels *next;
	char rel[];
};

struct daemon {
	const struct sync_settings *set;
	char dir[PATH_MAX];          /* absolute, as the user names it, no slash at the end but for "/" */
	int made;                    /* it was not there */
	uint64_t roots;              /* directories that it has been, one after the other: watch's count */
	int mounted;                 /* it has been seen to be a mount point */
	int in_memory;               /* tmpfs: what is written through a mapping gets no stamp, so after an event no state of a file proves anything */
	int confined;                /* Landlock keeps us to the first one's files */
	char state[PATH_MAX];
	char *own[3];                /* below dir: state directory, log, metrics; NULL: elsewhere */
	char parts[PATH_MAX];        /* journals of uploads that were cut off */
	int dir_fd, lock_fd;
	struct client client;
	struct pool pool;
	struct watch *watch;
	struct sync *sync;
	struct ledger *ledger;
	struct upload_options fresh, replacing;   /* what the two kinds of uploads have in common */
	int signal_fd, wake_fd, ask_fd;
	struct child child;          /* COMMAND; pid 0: none */

	pthread_mutex_t lock;        /* guards ended, last and last_error */
	struct file *ended, **last;  /* uploads that workers are done with, in that order; where the next one is linked */

	int failing;                 /* a worker's last request came to nothing; atomic */
	int64_t moved_at;            /* when something of a file that has not failed so far was sent last; atomic */
	int64_t now;                 /* CLOCK_MONOTONIC, milliseconds, of this turn of the loop */
	int64_t started_ns;          /* since 1970 */
	struct nfc_set shared;       /* keys of objects that files are done by which have not put them there, */
	int listed;                  /* once the ledger has been asked for them */
	int old_ones;                /* --new-only's first start: what the first scan finds stays */
	int ready;                   /* watches stand, said so */
	struct rels *doomed;         /* files that wait for the ledger's fsync before they are removed locally */
	struct nfc_set moved;        /* directories that were moved away since the last sweep */
	int64_t sweep_at;            /* when sync_sweep is due; -1: nothing calls for it */
	int64_t sweep_not_before;
	uint64_t swept_scans;        /* scans that were done then */
	uint64_t overflows;          /* of the kernel's queue, as last seen */
	int64_t delete_at;           /* a file will be old enough then for --delete-after; -1 */
	int64_t synced_at;           /* the ledger's last fsync */
	int ledger_failing;          /* said so */
	enum { SYNC_RUNS, SYNC_DRAINS, SYNC_ENDS } phase;   /* the last: without the pool */
	int64_t told_at;             /* the first SIGTERM or SIGINT, also one for COMMAND; 0: none */
	int64_t drain_until;
	int64_t strays_until;        /* as process 1: so long who has been told to end is waited for; 0: nobody yet */
	int64_t hurry_at;            /* in a drain: when what waits for the network is tried again */
	int64_t writers_until;       /* --once: how long what has not settled is waited for when nothing else is left; 0: not yet */
	int64_t busy_at;             /* sync_drain_over saw an upload or a scan under way, before the outage if there is one; 0: it saw none */

	int64_t metrics_at;          /* when they were written last */
	uint64_t metrics_sum;        /* of the counters then */
	uint64_t uploaded, failed, bytes;   /* since the start */
	int64_t last_success;        /* seconds since 1970, 0: none */
	char last_error[512];
};

/* Paths that no file has: the ledger's notes of when it began, and that a first scan was finished. */
#define SYNC_STARTED "/started"
#define SYNC_SCANNED "/scanned"

/* sync_daemon.c. Watch, upload, until it is stopped: the exit status, or -1. d has dir and set; the rest is zero. */
int sync_daemon(struct daemon *d, struct err *e);

/* sync_start.c. Everything that stands before the loop: state, lock, ledger, signals, socket, COMMAND's process, fewer rights, workers, watch. */
int sync_daemon_start(struct daemon *d, struct err *e);
/* DIR is another directory than it was: lock, state and socket are to be there. What cannot be, and needs a restart, is said. */
void sync_root_found(struct daemon *d);

/* sync_drain.c: the end, while what is due is still done. */
/* From now on, until that time (-1: as long as it takes); scan: for what no event tells of. */
void sync_drain_begin(struct daemon *d, int64_t until, int scan);
/* 1 when nothing is left that could still be done: what a writer holds open, and what was refused, is not. */
int sync_drain_over(struct daemon *d);
/* --once, and no COMMAND whose end is waited for. */
int sync_only_once(const struct daemon *d);
/* Once means not to wait for a directory that cannot be read, nor for ever for descriptors. */
int sync_waits_in_vain(const struct daemon *d, const struct watch_state *w);

/* sync_filter.c. Which paths are ours; for watch. */
int sync_wanted(void *daemon, const char *rel, int is_dir);
/* The file at rel below DIR, for opening it. */
void sync_path(const struct daemon *d, const char *rel, char *out, size_t cap);

/* sync_gone.c. What watch tells of what was taken away. */
void sync_vanished(void *daemon, const char *rel, enum watch_gone how);
/* 1: since the last sweep a directory that rel was in was moved away. What the ledger knows at rel may be elsewhere now. */
int sync_was_moved(const struct daemon *d, const char *rel);
/* Whatever the ledger has and is not there any more is looked at, as if an event had told of it: deleted while nobody watched, moved away with its
   directory. What comes at such a path later is another file; one that has come already is so from now on. */
void sync_sweep(struct daemon *d);
/* Have that done in a moment, once for all that calls for it meanwhile. */
void sync_sweep_soon(struct daemon *d);
/* -1: out of memory. */
int sync_rels_add(struct rels **list, const char *rel);

/* sync_look.c. What watch tells. */
void sync_changed(void *daemon, const char *rel, const struct stat *st);
/* Look at what is quiet, begin what can begin, settle what has ended. */
void sync_files_step(struct daemon *d);

/* sync_send.c. Fill the two kinds of upload options, and take the store's observer: before the pool is opened. */
void sync_files_open(struct daemon *d);
/* For the pool, that n bytes were sent. */
void sync_moved(void *daemon, size_t n);
/* Upload x, which sync_start has handed out. */
void sync_begin(struct daemon *d, struct sync_entry *x);

/* sync_settle.c. x could not be looked at, or its upload not begun: it is tried again, and said if that is news. */
void sync_not_begun(struct daemon *d, struct sync_entry *x, const struct err *e);
/* At the end: the --json line of a file that is not uploaded, or of DIR. */
void sync_left(const struct daemon *d, const char *path, const char *why);
/* A file is done by the object at key, which it has not put there. */
void sync_shares(struct daemon *d, const char *key);
/* Take what workers are done with: into the ledger, the log, the decisions. */
void sync_settle(struct daemon *d);
/* Ended uploads have not been settled yet. */
int sync_files_ended(struct daemon *d);

/* sync_keep.c. --delete-after, for a file whose verified object the ledger knows: it goes once the ledger is synced, and it is old enough. */
void sync_consider_removal(struct daemon *d, const char *rel, const struct stat *st);
/* Write and fsync the ledger when that is due, or now. Then removes what --delete-after lets go. */
void sync_files_save(struct daemon *d, int now);
/* When that is due, -1: never. */
int64_t sync_files_save_at(const struct daemon *d);
