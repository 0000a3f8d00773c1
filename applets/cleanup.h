#pragma once
/* One r2 cleanup: what is old is found and deleted, or told. */
#include "client.h"
#include "cost.h"
#include "opt.h"
#include "pool.h"
#include "sweep.h"

struct cleanup {
	struct client *client;
	struct pool pool;
	struct sweep sweep;              /* its prefix is the one being looked at */
	struct opt_words prefixes;
	int dry_run, ignore_clock;
	long max_delete;                 /* -1: no limit */
	int64_t begun_s, begun_ms;       /* what our clock said when it said what is old, and clock_ms() then */
	int64_t uploads_before_s;        /* unfinished uploads that began before go, by our clock; 0: they are left alone */
	/* Out, and between threads: */
	int counting;                    /* the pass before the deletes, for max_delete */
	struct cost_use found;           /* what is old */
	uint64_t deleted, deleted_bytes, failed, aborted;
	uint64_t unlisted;               /* prefixes and folders whose listing failed: nobody knows what is there */
	int markers;                     /* the bucket keeps versions */
	int singly;                      /* the server has no DeleteObjects */
	struct err_first broken;         /* requests fail as a whole, so that no more are sent */
	struct batch *batch;             /* being filled */
	int batches;
};

/* -1 (ERR_LOCAL) when the server's clock is more than a day from ours as it was at the start: what is old by that may be young. */
int cleanup_clock(const struct cleanup *c, struct err *e);

/* list, with entry and whatever else of *what, what is below every prefix, c->sweep.prefix being the one. What fails there and may do elsewhere is
   told and counted in unlisted: 0. -1, with the prefix named in *e: it would fail everywhere, or this is the pass that counts, which has to see
   all. */
int cleanup_list(struct cleanup *c, int (*list)(struct s3 *s, const struct s3_list *l, struct err *e), const struct s3_list *what, struct err *e);

/* A row as ls has it; what stands for the size. */
void cleanup_print(int64_t t, const char *what, const char *key);

/* Delete what is old below every prefix; what remains has been reported and counted. -1 with *e: it was not gone through to its end. */
int cleanup_files(struct cleanup *c, struct err *e);

/* Abort unfinished uploads below every prefix, in the same way. Those that a journal on this machine knows stay. */
int cleanup_uploads(struct cleanup *c, struct err *e);

/* The bucket's own rule for prefix. */
enum lifecycle { LIFECYCLE_SHOW, LIFECYCLE_SET, LIFECYCLE_REMOVE };
int cleanup_lifecycle(struct client *c, enum lifecycle what, const char *prefix, long days, long ia_days, struct err *e);
