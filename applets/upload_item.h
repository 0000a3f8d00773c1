#pragma once
/* One file of r2 upload: to the engine, and what is told of it: log lines, --json, progress, the counts. */
#include <stdint.h>
#include "client.h"
#include "opt.h"
#include "pool.h"
#include "turns.h"
#include "upload.h"

/* What all files of one r2 upload share. */
struct upload_run {
	struct client *client;
	struct pool pool;
	struct upload_options *options;
	int dry_run;
	/* Which files, and what of their paths the key has: upload_files.c's. */
	int recursive, flat;
	unsigned shard, shards;               /* shards 0: all of them */
	const struct opt_words *include, *exclude;
	struct turns turns;
	/* Out, and between threads: */
	unsigned long files, done;
};

/* Freed when it is finished. */
struct upload_item {
	struct upload u;
	struct upload_run *run;
	struct turn *turn;       /* NULL: lines come as they come */
	int64_t started_ms;      /* clock_ms; 0: not begun */
	char path[];
};

/* What happens to each is told from now on: once, before the first is sent. */
void upload_item_hooks(struct upload_options *o);

/* Begin with one, and count it. The caller has upload_plan fill u.plan. NULL: out of memory, which has been reported. */
struct upload_item *upload_item_new(struct upload_run *run, const char *path);

/* One of these ends it. Queue it as planned; with --dry-run only say so. Waits while enough are planned ahead. */
void upload_item_send(struct upload_item *it);
/* It could not even be planned, for this reason. */
void upload_item_refuse(struct upload_item *it, const struct err *e);
