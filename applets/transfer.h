#pragma once
/* What upload and get have in common: -j, sizes, rate, progress; the pool; and what a signal does. */
#include "client.h"
#include "opt.h"
#include "pool.h"
#include "progress.h"

extern const struct opt transfer_opts[];
extern long transfer_workers;   /* -j, which is all that some applets have of them */
extern uint64_t transfer_part_size;   /* 0: not given */

/* The one progress line of this run: add what is to do, and files that are done. Bytes come from the pool. */
extern struct progress transfer_progress;

/* Stores for rows of options. --date: "YYYY-MM-DD|mtime"; --storage-class: one of R2's. const char **. --limit-rate: uint64_t *, not 0.
   --part-size, --multipart-threshold: uint64_t *, within the store's limits. */
opt_store transfer_date, transfer_class, transfer_rate, transfer_part, transfer_threshold;

/* Open the pool for c, start the progress line, and let SIGINT, SIGTERM and SIGHUP stop the transfers once, kill twice. */
int transfer_open(struct pool *p, struct client *c, struct err *e);
/* End all that. When a signal asked to stop, the process ends by that signal here, after its cleaning up. */
void transfer_close(struct pool *p, struct client *c);
