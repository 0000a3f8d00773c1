#pragma once
/* What is uploaded: an open file that may change under us, or memory. */
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"
#include "http.h"

enum { SOURCE_SETTLE_MS = 1000 };   /* a file that changed is sent again after this long without change */

struct upload_source {
	int fd;               /* -1: memory, or nothing yet */
	const char *mem;
	int by_path;          /* it is changed also when it has no name any more */
	const int *stop;      /* atomic; not 0: reading fails with ERR_STOPPED. NULL: it goes on */
	struct stat was;      /* the file before anything was read */
	struct http_body body;   /* all of it; its arg is the source, which must not move */
};

/* Open path ("-": standard input that is a file) and look at it. Its first `named` bytes, which end with a slash, are what the user
   wrote; 0: all of it. Behind them no other user's symbolic link leads to what is not his (private.h). -1 (ERR_LOCAL). */
int source_open(struct upload_source *s, const char *path, size_t named, struct err *e);
void source_memory(struct upload_source *s, const char *mem, size_t n);
/* 1 when the file is no longer as it was looked at: size, mtime, ctime or inode differ, and it is not only that it lost or got a name. Takes a
   struct upload_source. */
int source_changed(void *source);
/* Until the file has been left alone for SOURCE_SETTLE_MS, then look at it; ERR_CHANGED after limit_ms. pause(arg, ms) sleeps
   and says not 0 to stop; NULL: just sleep. */
struct source_wait {
	int limit_ms;
	int (*pause)(void *arg, int ms);
	void *arg;
};
int source_settle(struct upload_source *s, const struct source_wait *w, struct err *e);
/* Remove path if it is still this very file in this very state, and nobody has it open for writing (as far as the kernel can say). ERR_CHANGED
   when not. No symbolic link behind `named` leads to its directory. The caller ignores SIGIO. */
int source_remove(const struct upload_source *s, const char *path, size_t named, struct err *e);
/* The page cache need not keep n bytes from offset from: a large file that is read through pushes out of it what the programs beside us read.
   What is not on the disk yet, or mapped by somebody, stays (posix_fadvise(2)). Memory has nothing to forget. */
void source_forget(const struct upload_source *s, uint64_t from, uint64_t n);
void source_close(struct upload_source *s);   /* accepts a closed one (fd -1) */

/* n bytes from offset from of another body: a part. Keep it as long as its body is used. */
struct source_part {
	const struct http_body *whole;
	uint64_t from;
	struct http_body body;
};
void source_part(struct source_part *p, const struct http_body *whole, uint64_t from, uint64_t n);
