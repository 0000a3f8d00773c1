#pragma once
/* The files below a directory, one at a time, in the order the disk gives them: memory is that of the deepest path, not of the
   number of files. Symbolic links are followed, loops end; nothing is opened but directories. */
#include <limits.h>
#include <sys/stat.h>
#include "err.h"

enum { WALK_OPEN_MAX = 64 };   /* file descriptors of one walk, however deep the tree is */

struct walk;

/* The caller's filter on the way down: 0 leaves out the directory at this relative path (and what is below it). May be NULL. */
struct walk_options {
	int (*enter)(void *arg, const char *rel);
	void *arg;
};

/* NULL with *e (ERR_LOCAL): root is no directory or cannot be read, or memory is out. o may be NULL; it is copied. */
struct walk *walk_open(const char *root, const struct walk_options *o, struct err *e);

/* One regular file: path to open it, and rel below root (never with "." or ".." segments, single slashes). */
struct walk_entry {
	const char *path;     /* valid until the next call; points into the walk */
	const char *rel;
	struct stat st;
};

/* 1: *x is the next file; 0: the end; -1: *e says what could not be read (ERR_LOCAL: a directory without permission, a path too long:
   there may be files that are not told) or is no file (ERR_NONE: a FIFO, a socket, a device, a broken link, a loop); the walk goes on with the
   next call. What was removed before its turn came is passed over; what is added may be told or not. */
int walk_next(struct walk *w, struct walk_entry *x, struct err *e);
void walk_close(struct walk *w);   /* NULL is fine */
