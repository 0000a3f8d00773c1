#pragma once
/* One download under way, and what its steps do. For the download*.c files only. */
#include <pthread.h>
#include "download.h"
#include "download_dest.h"
#include "download_etag.h"
#include "download_layout.h"

/* What the ETag can prove, and the part sizes that are possible. */
enum download_check { CHECK_NOTHING, CHECK_WHOLE, CHECK_PARTS };

struct download_kind {
	enum download_check check;
	struct download_etag etag;
	int by_number;               /* the server tells each part's size when asked */
	unsigned nsizes;             /* 0 of CHECK_PARTS: unequal, or like nothing known */
	uint64_t sizes[DOWNLOAD_SIZES_MAX];
};

/* Find that out; the server is asked where only it knows. 0; -1 when it cannot be asked. */
int download_learn(struct download_kind *k, struct s3 *s, const char *key, const struct s3_object_info *o, struct err *e);

struct download_state;

/* A job that takes one range after the other. */
struct download_helper {
	struct pool_job job;
	struct download_state *st;
};

/* The MD5 of a lane follows what is in the file. The fields are download_lanes.c's. */
struct download_lane {
	struct hash_md5 md5;
	uint64_t hashed;             /* bytes so far */
	int busy;                    /* somebody hashes it */
};

struct download_state {
	struct download *d;
	const struct download_options *o;
	struct pool *pool;
	struct pool_job plan;
	/* Everything has come, or fault is kept: the last job ends it, or begins once more. st may be gone then. */
	void (*conclude)(struct download_state *st, struct s3 *s);
	int again;                   /* reasons for which it was started again */

	/* Found by the plan; then constant. */
	struct download_dest dest;
	struct download_kind kind;
	struct download_layout lay;
	int records;                 /* progress is recorded behind the data, for another run */
	unsigned char id[HASH_SHA256_LEN];   /* what another run must be after to go on */

	struct err_first fault;      /* with one the others end soon */

	uint64_t *progress;          /* bytes at each range's beginning that are in the file; atomic */

	pthread_mutex_t pen;         /* whose turn it is to write to the file */
	pthread_mutex_t lock;        /* for the helpers and next; the lanes have download_lanes.c's */
	struct download_helper *helpers;
	unsigned nhelpers, called;   /* there are, and of these have been called */
	unsigned next;               /* ranges handed out so far; atomic */
	unsigned helping;            /* helpers that have not ended */

	struct download_lane *lanes; /* NULL: nothing that a hash could prove */
	unsigned hashed;             /* lanes: those before it are; download_lanes.c's, as the next */
	struct download_state *beside;
};

/* Memory for the layout's ranges, and, where there are several, what an earlier run has brought (d->resumed). 0 or -1. */
int download_ranges_open(struct download_state *st, struct err *e);
void download_ranges_free(struct download_state *st);

/* Bytes of the buffer of a worker that fetches ranges: for what it has received and not written yet, and between two writes for what it
   hashes. */
enum { DOWNLOAD_ROOM = 128 * 1024 };

/* Fetch range i, or what it lacks; room is of DOWNLOAD_ROOM bytes. */
int download_range(struct download_state *st, struct s3 *s, unsigned i, char *room, struct err *e);

/* Fetch all ranges, in this job or in others, and call st->conclude. 0; -1: nothing is begun. */
int download_fetch(struct download_state *st, struct s3 *s, struct err *e);

/* From now on what has come of its lanes, if it has any, may be hashed by whoever hashes others, of any download. */
void download_lanes_join(struct download_state *st);
/* Nobody does any more once this returns. Accepts who has not joined. */
void download_lanes_leave(struct download_state *st);
/* n bytes at offset off have just been written, and are still in memory: hash them, unless they are better hashed beside others'. */
void download_lanes_arrived(struct download_state *st, const char *p, size_t n, uint64_t off);
/* Hash some of what has come of several lanes, st's and others', when that is worth while: 1, and 0 when it is not; or all of st, which has
   come. What cannot be read is its download's fault. room is of DOWNLOAD_ROOM bytes. */
int download_lanes_some(struct download_state *st, char *room);
void download_lanes_rest(struct download_state *st, char *room);

/* Hash len bytes of fd from offset from. 0; -1 (ERR_LOCAL), also when there are fewer; ERR_STOPPED once *stop is not 0. */
int download_hash_file(const int *stop, int fd, uint64_t from, uint64_t len, struct download_sum *sum, struct err *e);
/* Exactly n bytes at offset off: 0, -1. */
int download_read(int fd, void *p, size_t n, uint64_t off, struct err *e);

/* 1 when fd has these size bytes by one of the part sizes from number first on, 0 when not, -1 when it cannot be read. */
int download_same(const struct download_kind *k, const int *stop, int fd, uint64_t size, unsigned first, struct err *e);
/* Everything is in the file: 0 and d->proof; -1, ERR_CORRUPT when it is not what the ETag says. */
int download_verify(struct download_state *st, struct s3 *s, struct err *e);

/* 1 when e, of a question for one part, means that there is no part of this number: numbers may have gaps. */
int download_untold(const struct err *e);
