#pragma once
/* A directory tree → paths that may have changed. The races of new and moved directories, an overflow of the kernel's queue, missing
   watches, file systems without events, and a root that comes and goes are this module's business alone. For one thread; nothing here
   blocks longer than a bounded piece of work takes. Times are CLOCK_MONOTONIC milliseconds, passed in. */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"

struct watch;

/* What has gone. MOVED: an event says that the file, or the directory, was moved, here or elsewhere. */
enum watch_gone { WATCH_GONE_FILE, WATCH_GONE_DIR, WATCH_GONE_MOVED = 2, WATCH_GONE_MOVED_DIR };

/* All are called from within watch_step, and may call watch_rescan and watch_missed, nothing else of this module. rel is below the root, without "." or
   ".." segments, and valid during the call only. */
struct watch_options {
	const char *root;            /* absolute; need not be there yet */
	int poll;                    /* by scanning only, every rescan_ms */
	int64_t rescan_ms;           /* how often the whole tree is compared besides */
	/* 0 leaves out that file, or that directory with all below it; asked before the disk is. */
	int (*wanted)(void *arg, const char *rel, int is_dir);
	/* A file (symbolic links to files followed) that is new or may have changed. st: as a scan sees it; NULL when an event said so. */
	void (*changed)(void *arg, const char *rel, const struct stat *st);
	/* Something was deleted or moved away: a file, or a directory with all that was below it. Of the root (rel "") only when another one has
	   come in its place, before anything in that is told; not when it was unmounted. */
	void (*gone)(void *arg, const char *rel, enum watch_gone how);
	/* Something the user should know, said once: what cannot be read, a limit and which sysctl to raise, the root gone or back. */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* NULL with *e (ERR_LOCAL): out of memory. A machine without inotify is polled, with a note. o is copied. The first scan begins with the
   first watch_step. */
struct watch *watch_open(const struct watch_options *o, struct err *e);

/* For poll(2): readable when watch_step has something to do. -1 when there are no events; that may end (another program gave back what there
   are too few of), so ask before each poll(2). */
int watch_fd(const struct watch *w);

/* The time (as now_ms) at which watch_step has to be called even if the descriptor stays silent: 0 at once (a scan is under way), -1 never. */
int64_t watch_wake_ms(const struct watch *w);

/* Do a bounded piece of work: read what events there are, go on with a scan for about a thousand entries. */
void watch_step(struct watch *w, int64_t now_ms);

/* Compare the whole tree as soon as that may be done again (overflows must not make it scan without end). */
void watch_rescan(struct watch *w);

/* What was told could not be taken. */
void watch_missed(struct watch *w);

struct watch_state {
	int scanned;                 /* the first whole scan has been done: every file has been told once, every watch stands */
	int scanning;                /* a scan is under way or due: more may be told without any event */
	int missed;                  /* since the last scan that was whole there was something that could not be read, or not be taken */
	int root_there;
	int64_t held_ms;             /* for so long a scan has been waiting for descriptors or memory; 0: none is */
	size_t dirs, polled;         /* directories known; those of them that are scanned every few seconds for want of events */
	uint64_t overflows, scans;
	uint64_t roots;              /* directories that the root has been, one after the other */
};
void watch_look(const struct watch *w, struct watch_state *s);

/* Is a process writing to that file? 1: yes; 0: no process has it open for writing; -1: the kernel cannot say (file of another
   owner, network or FUSE file system, read lease unsupported): only quiet time is left. fd was opened O_RDONLY. Source: fcntl(2), F_SETLEASE.
   The caller ignores SIGIO. */
int watch_busy(int fd);
/* The same, and with 0 the file is leased: who opens it for writing breaks that, and waits. F_UNLCK gives it back. */
int watch_lease(int fd);

void watch_close(struct watch *w);   /* NULL is fine */
