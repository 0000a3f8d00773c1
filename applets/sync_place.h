#pragma once
/* Where the daemon of a directory keeps its state, and that there is only one. */
#include <limits.h>
#include "err.h"

/* Inside the watched directory; never uploaded, whatever the patterns say. */
#define SYNC_STATE_NAME ".r2-sync"
/* What --delete-after calls a file for the moment of its removal. */
#define SYNC_GONE_PREFIX ".r2-gone-"

/* -1 (ERR_LOCAL): a daemon watches a directory above dir: dir's files would be uploaded twice. */
int place_check(const char *dir, struct err *e);

/* asked (--state) or NULL: then dir/.r2-sync; where that cannot be written, a directory of dir's own below $XDG_STATE_HOME/r2-sync or
   /var/lib/r2-sync. Made when missing (0700). -1 (ERR_LOCAL): nothing is writable, or what is there is not ours alone. */
int place_make(const char *dir, const char *asked, char out[PATH_MAX], struct err *e);

/* The place of a daemon that runs: the one of these with the newest socket, as one that was killed leaves its own. -1 (ERR_LOCAL): none. */
int place_of_daemon(const char *dir, const char *asked, char out[PATH_MAX], struct err *e);

/* Take state for this process, unless *fd has it already; and dir itself, as two daemons may have a state each. *fd (-1: none yet) is to be kept
   open. -1 (ERR_LOCAL): another daemon has it; named. */
int place_take_state(const char *dir, const char *state, int *fd, struct err *e);
int place_take_dir(const char *dir, int *fd, struct err *e);
