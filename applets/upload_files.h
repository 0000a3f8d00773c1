#pragma once
/* The files of one r2 upload: from the command line or from directories, each to the engine and each reported. */
#include "client.h"
#include "opt.h"
#include "pool.h"
#include "turns.h"
#include "upload.h"

struct upload_run {
	struct client *client;
	struct pool pool;
	struct upload_options *options;
	int dry_run, recursive, flat;
	unsigned shard, shards;               /* shards 0: all of them */
	const struct opt_words *include, *exclude;
	struct turns turns;
	/* Out, and between threads: */
	unsigned long files, done;
};

/* Upload all of them; every failure has been reported. 0: all done; 1: something was not; -1 with *e: wrong usage, nothing was
   sent. The pool must be open. */
int upload_files(struct upload_run *run, int n, char **paths, struct err *e);
