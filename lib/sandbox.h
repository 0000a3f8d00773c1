#pragma once
/* Fewer rights for this thread and those it starts: no new privileges, writing only where it is said, no running of programs, connecting only to
   the ports that are needed. Best effort by nature: an old kernel has none of it. */
#include <stdint.h>
#include "err.h"

enum { SANDBOX_PATHS_MAX = 12 };

struct sandbox {
	const char *writable[SANDBOX_PATHS_MAX];  /* directories (or files): create, write, rename, remove below; NULL and missing ones are passed over */
	const char *removable;                    /* directory below which files may be removed, or get another name in their directory
	                                             (--delete-after), or NULL */
	uint16_t ports[4];                        /* TCP ports that may be connected to; 0 entries are passed over. None at all: no limit */
};

/* PR_SET_NO_NEW_PRIVS and Landlock (linux/landlock.h, ABI probed; older kernels: less of it, or nothing). Reading stays free: a symbolic link may
   lead out of the directory that is watched. A directory that is removed and made again is another one, without these rights. What is open already
   stays as it is, and so do processes that were started before. 1: restricted; 0: the kernel has no Landlock (*e says so); -1 (ERR_LOCAL): it should have worked. */
int sandbox_enter(const struct sandbox *s, struct err *e);
