#pragma once
/* The daemon's decisions: which path is quiet, due, under way, to be tried again. Pure: no disk, no clock, no random numbers; time is passed in
   (monotonic milliseconds) and never has to run evenly. One entry a path that is not done; done ones are the ledger's. */
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct sync;

enum sync_state {
	SYNC_QUIET,      /* waits for its quiet time */
	SYNC_HELD,       /* quiet, but somebody has it open for writing */
	SYNC_LOOKING,    /* handed out by sync_look: the caller is looking at the file */
	SYNC_READY,      /* waits for a worker */
	SYNC_RUNNING,    /* handed out by sync_start */
	SYNC_RETRY,      /* failed, waits to be tried again */
	SYNC_STATES,
};

/* One path; read-only for the caller. Valid until it is done or gone. */
struct sync_entry {
	const char *rel;
	enum sync_state state;
	int64_t first_ms;            /* when it was first told */
	int64_t at_ms;               /* QUIET, HELD, RETRY: when it is looked at (again) */
	uint64_t size;               /* as it was when READY, 0 before */
	unsigned failures;           /* in a row */
	uint8_t told;                /* the caller's own: it has written "New file:" */
	uint8_t gone;                /* RUNNING: what is being sent is not there any more, and what is seen at rel now is another file; set
	                                atomically, for who sends it */
	uint8_t seen;                /* RUNNING: sync_seen or sync_removed told of it since it was started */
	/* The rest is sync.c's (links, heap position, seen again while running …). */
};

enum {
	SYNC_RETRY_BASE_MS = 1000,          /* doubles with each failure, full jitter upwards from half of it */
	SYNC_RETRY_CAP_MS = 5 * 60 * 1000,
	/* How soon a file that is held open is looked at again: the first time at once, as the kernel tells of a close(2) before it gives up the
	   file; then after so much, which doubles up to: */
	SYNC_HELD_FIRST_MS = 10,
	SYNC_HELD_BASE_MS = 1000,
	SYNC_HELD_CAP_MS = 30 * 1000,
	SYNC_PROBE_CAP_MS = 60 * 1000,      /* while paused: between two probes, from 1 s doubling */
};

/* settle_ms >= 0, jobs >= 1. NULL: out of memory. */
struct sync *sync_open(int64_t settle_ms, int jobs);
void sync_close(struct sync *s);

/* rel is new or may have changed: its quiet time begins (again). While RUNNING: it will be looked at again afterwards. A path waiting for a retry
   of a failure of its own (its name, its permissions, its size) is looked at after its quiet time too. -1 (ERR_LOCAL): out of memory. */
int sync_seen(struct sync *s, const char *rel, int64_t now, struct err *e);
/* rel was removed. As sync_seen, since programs replace a file by removing it first; but one that comes later than the quiet time is another one: the
   caller is to look before that even if it waits for the network, and what is RUNNING is told as gone. */
int sync_removed(struct sync *s, const char *rel, int64_t now, struct err *e);
/* A scan found rel, and the ledger does not have it so; print is a fingerprint of size and times, as sync_unsure's. As sync_seen for a path that is
   not known yet, is RUNNING, or has another print than at the last scan or look; else one that waits goes on waiting: scans that come more often
   than the quiet time would put it off for ever. */
int sync_found(struct sync *s, const char *rel, uint64_t print, int64_t now, struct err *e);
/* rel (or everything below the directory rel) is gone: forgotten unless RUNNING; then it is looked at again when that has ended, and told as
   gone until it is started again. */
void sync_gone(struct sync *s, const char *rel, int is_dir, int64_t now);

/* The next path whose time has come, now LOOKING; NULL: none. The caller looks at the file and answers with exactly one of the four below. */
struct sync_entry *sync_look(struct sync *s, int64_t now);
void sync_drop(struct sync *s, struct sync_entry *x);                  /* gone, uploaded already, or not for us */
void sync_ready(struct sync *s, struct sync_entry *x, uint64_t size);
void sync_held(struct sync *s, struct sync_entry *x, int64_t now);     /* somebody is writing */
/* The kernel cannot say whether somebody is writing: print is a fingerprint of size and times. The same as at the last look, or as a scan found it
   before that: ready; else another quiet time. */
void sync_unsure(struct sync *s, struct sync_entry *x, uint64_t size, uint64_t print, int64_t now);

/* What a failure means for the rest. */
enum sync_fault {
	SYNC_FILE,       /* of this file alone (name, permission, too large): tried again, rarely, until it changes */
	SYNC_NETWORK,    /* of the way or the server: tried again; any success brings all of these forward (one that failed again
	                    after that, by ever less: it may be its own fault) */
	SYNC_ACCOUNT,    /* permanent and of everything (AccessDenied, NoSuchBucket, keys): pauses the whole. When a success has ended the
	                    pause and the same path is refused again, that is of this file alone (a policy for some keys) */
};
enum sync_fault sync_fault_of(const struct err *e);

/* The best one to upload now (by rank: what has not failed, small before large in classes of powers of 16 from 1 MiB on, then the oldest), now
   RUNNING; NULL: none, all jobs busy, or paused. While paused it hands out one when the probe's time has come. A large one never waits for ever:
   of four starts one is the oldest. */
struct sync_entry *sync_start(struct sync *s, int64_t now);
/* It ended well: forgotten, unless it was seen again meanwhile. Ends a pause, brings network failures forward. */
void sync_done(struct sync *s, struct sync_entry *x, int64_t now);
/* It is not there any more, or changes: forgotten, unless it was seen again. That says nothing of the way: a pause goes on, with the next probe. */
void sync_undone(struct sync *s, struct sync_entry *x);
/* It failed (random: any 32 bits): milliseconds until the next attempt. When sync_paused says so only afterwards, this failure began a pause,
   which the caller says once. Also for a failure of looking (LOOKING). */
int64_t sync_failed(struct sync *s, struct sync_entry *x, enum sync_fault f, uint32_t random, int64_t now);
int sync_paused(const struct sync *s);

/* When sync_look or sync_start has something to hand out without anything else happening: now or earlier, later, or -1: never. */
int64_t sync_wake_ms(const struct sync *s, int64_t now);

struct sync_counts {
	size_t n[SYNC_STATES], all;
	size_t outage;               /* RETRY for the network's sake, or the account's */
	uint64_t bytes;              /* of those whose size is known */
};
void sync_count(const struct sync *s, struct sync_counts *c);
struct sync_oldest {
	int64_t any_ms;              /* first_ms of the oldest that is not RUNNING, -1: none */
	int64_t waiting_ms;          /* since when the oldest one is due that is READY or RETRY: the others wait for a writer */
};
void sync_oldest(const struct sync *s, struct sync_oldest *o);   /* looks at every entry: not for every turn of a loop */
/* Every entry, in no order, for naming what is left over; the callback must not change anything. */
void sync_each(const struct sync *s, void (*each)(void *arg, const struct sync_entry *x), void *arg);
/* The quiet time is at most ms from now on. */
void sync_settle_within(struct sync *s, int64_t ms, int64_t now);
/* From now on nothing waits for a later time but quiet ones: every RETRY entry is due (a drain begins, or keys were reloaded). */
void sync_hurry(struct sync *s, int64_t now);
