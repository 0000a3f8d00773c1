#pragma once
/* Files and directories that are ours alone: what stands there decides what is uploaded, so nobody else may write it. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"

/* Why dir is no directory that is ours alone (or root's) and writable, or NULL. *unsafe: because others could tamper with what is there. */
const char *private_dir_fault(const char *dir, int *unsafe);

/* Make path and its parents, but for those that its first `keep` bytes name. 0: path was not there; -1 (errno, of the first of them that
   cannot be made; EEXIST): it cannot be made, or is there; what is in the way shows when it is looked at. */
int private_make_dirs(char *path, size_t keep, mode_t mode);

/* path is a directory that we have made: where others may write to it since (chmod -R, or a volume that the kubelet hands to a group, fsGroup),
   they may no more. They could have written to all that lies beside it, too. */
void private_reclaim(const char *path);

/* path is a directory of ours alone, made (0700, not its parents) when missing. -1 (ERR_LOCAL) with the reason. */
int private_dir(const char *path, struct err *e);

/* Open or create (0600) the file at path and lock it (flock), where there are locks. 0: *fd is it; 1: another process has it locked;
   -1 (ERR_LOCAL): no file of ours alone (symbolic or hard link, another owner), or not to be opened. *fd is -1 unless 0. One that others may
   write becomes 0600. what names it in messages. */
int private_open(int *fd, const char *path, const char *what, struct err *e);

/* Write n bytes at offset at: how many are there, fewer than n with errno. */
size_t private_write(int fd, const void *data, size_t n, uint64_t at);

/* 1 when name, in dir, is still the file that was opened. */
int private_still_named(int dir, const char *name, const struct stat *opened);

/* Rename from to to, both in dir, unless something has that name: 0, -1 (errno; EEXIST). */
enum { PRIVATE_NO_REPLACE = 1 };   /* RENAME_NOREPLACE of linux/fs.h */
int private_rename_new(int dir, const char *from, const char *to);

/* The names in path's directory survive a power cut too. -1 (errno): they may not. A file system that cannot say counts as one that does. */
int private_sync_dir(const char *path);

#define PRIVATE_FOREIGN "a symbolic link another user may have made: not followed"

/* 1 when nobody else can have made the symbolic link that lstat told of. */
int private_own_link(const struct stat *link);

/* The directory below dir that holds rel, reached without a symbolic link, so that nothing outside is ever removed. -1 (errno). */
int private_parent(int dir, const char *rel);

/* Open rel below dir for reading. A symbolic link on the way or at its end is followed when it is ours or root's, or when what it leads to
   belongs to its owner, who could have copied it: nobody has us read what he may not. -1 (errno; EPERM: such a link). */
int private_read(int dir, const char *rel);
