#pragma once
/* What upload and get have in common: -j, sizes, rate, progress; the pool; and what a signal does. */
#include "client.h"
#include "opt.h"
#include "pool.h"
#include "progress.h"

extern const struct opt transfer_opts[];
extern long transfer_workers;   /* -j, which is all that some applets have of them */

/* The one progress line of this run: add what is to do, and files that are done. Bytes come from the pool. */
extern struct progress transfer_progress;

/* Stores for rows of options. --date: "YYYY-MM-DD|mtime"; --storage-class: one of R2's. const char **. --limit-rate: uint64_t *, not 0. */
opt_store transfer_date, transfer_class, transfer_rate;

/* The limits of --part-size and --multipart-threshold: 0, or -1 (ERR_USAGE) explains them. */
int transfer_sizes_check(uint64_t part_size, uint64_t threshold, struct err *e);

/* --part-size as asked, or the default. -1 (ERR_USAGE) explains the limits. */
int transfer_check(uint64_t *part_size, struct err *e);

/* Open the pool for c, start the progress line, and let SIGINT, SIGTERM and SIGHUP stop the transfers once, kill twice. */
int transfer_open(struct pool *p, struct client *c, struct err *e);
/* End all that. When a signal asked to stop, the process ends by that signal here, after its cleaning up. */
void transfer_close(struct pool *p, struct client *c);
