#pragma once
/* Where a download goes: a name below a directory that nothing can lead out of, and the temporary file that becomes it.
   For the download*.c files only. No message names the file: who knows where its directory is does. */
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"

struct download_dest {
	int dir;                         /* the directory of the name */
	char name[NAME_MAX + 1];
	int made;                        /* that directory was not there before */
	int fd;                          /* the temporary file, locked; -1: not open */
	char temp[NAME_MAX + 1];         /* its name in dir */
	int lasting;                     /* another run will find it by that name */
};

/* 0 when every segment of rel can be a name below a directory; -1 (ERR_LOCAL) says which cannot and why. Pure. */
int download_dest_check(const char *rel, struct err *e);

/* Make rel's directories below root (of one that ends in '/', the last too) and find the last one, without following any
   symbolic link. 0; -1 (ERR_LOCAL). Close it in either case. */
int download_dest_open(struct download_dest *d, int root, const char *rel, struct err *e);

/* What is there now: 1 with *st; 0 nothing; -1 (ERR_LOCAL): a directory, or it cannot be known. */
int download_dest_stat(const struct download_dest *d, struct stat *st, struct err *e);

/* Open ".NAME.r2-TAG" for this process alone, or, when another one is at it or another user has left it, a file with a name like it. */
int download_dest_temp(struct download_dest *d, const char tag[9], struct err *e);

/* size bytes are final: to the disk, with that time, and under the final name; nothing is replaced unless replace. 0; 1: a file has
   the name, nothing was done; -1, also when a directory has it. */
struct download_final {
	uint64_t size;
	int64_t modified;                /* 0: not known */
	int replace;
};
int download_dest_commit(struct download_dest *d, const struct download_final *f, struct err *e);

/* Remove the temporary file. */
void download_dest_drop(struct download_dest *d);
/* The object is there under its name: remove what other processes have left of it that were killed. What one of them writes to stays. */
void download_dest_sweep(const struct download_dest *d, const char tag[9]);
/* Accepts what was never opened, if dir and fd are -1. */
void download_dest_close(struct download_dest *d);
