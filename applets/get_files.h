#pragma once
/* The objects of one r2 get: each to the engine, each reported. */
#include "client.h"
#include "download.h"
#include "pool.h"

struct get_run {
	struct client *client;
	struct pool pool;
	struct download_options options;
	const char *dir;             /* DEST's directory, made when the first object goes there */
	int dir_fd;                  /* -1 before */
	/* Out, and between threads: */
	unsigned long files, done;
};

/* One object to the name rel below the directory. -1 with *e: there cannot be that directory. */
int get_one(struct get_run *run, const char *key, const char *rel, struct err *e);

/* Every object below prefix (pattern NULL), or every one whose key matches, to what its key has behind the prefix. -1 with *e:
   the list could not be read to its end, or there cannot be that directory. */
int get_list(struct get_run *run, const char *prefix, const char *pattern, struct err *e);

/* The object in order to fd, which messages call dest. 0; 1: failed and reported. */
int get_stream(struct get_run *run, const char *key, const char *dest, int fd);
