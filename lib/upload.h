#pragma once
/* A local file → an object: which key, in one request or in parts, gone on with after an interruption, proved, and what to do
   when the key is taken. One way for every source. */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "err.h"
#include "path.h"
#include "pool.h"
#include "s3.h"
#include "upload_source.h"

/* REPLACE: the object whose ETag the caller knows as its own is replaced; at anything else it is RENAME. */
enum upload_if_exists { UPLOAD_OVERWRITE, UPLOAD_SKIP, UPLOAD_RENAME, UPLOAD_FAIL, UPLOAD_REPLACE };

#define UPLOAD_THRESHOLD (100ULL * 1024 * 1024)   /* a larger file goes in parts */
#define UPLOAD_PART_SIZE (50ULL * 1024 * 1024)
#define UPLOAD_PART_SMALL (8ULL * 1024 * 1024)    /* in place of that, when it is cut off before a part is through */

struct upload;

struct upload_options {
	const char *prefix;          /* may be "" */
	const char *key;             /* exactly this key, or NULL */
	int no_date;
	const char *date;            /* "YYYY-MM-DD", "mtime" for the file's own day, NULL for today's */
	int64_t now;                 /* today: seconds since 1970 */
	enum upload_if_exists if_exists;
	uint64_t threshold;
	uint64_t part_size;          /* 0: one that fits (upload_part_size, upload_stream) */
	const char *content_type;    /* NULL: by the name */
	const char *cache_control, *storage_class;
	const struct pair *meta;
	size_t nmeta;
	int move;                    /* remove the file once its object is proved; the caller ignores SIGIO */
	int by_path;                 /* what took the place of the file, if that was its last name, is sent in its stead; 0: the same file, wherever it is now */
	const char *journal_dir;     /* NULL: nothing can be gone on with */
	int old_journals;            /* it may hold some of earlier runs */
	/* In a worker; lines of the log come from here. note: something the user should know ("starts again: …"). */
	void (*started)(struct upload *u);
	void (*part)(struct upload *u, int number, int percent);   /* -1: of a stream, whose length nobody knows */
	void (*note)(struct upload *u, const char *text);
	void (*resumed)(struct upload *u);      /* r.resumed bytes are at the server already */
	/* The end of it, e NULL when r says where it is; u is the caller's again. */
	void (*finished)(struct upload *u, const struct err *e);
};

/* What would be sent where. */
struct upload_plan {
	const char *path;            /* "-" is standard input */
	uint64_t size;               /* 0 for standard input that is no file, or stands in the middle of one */
	char key[PATH_KEY_MAX + 1];
	size_t named;                /* bytes of path that the user wrote, with the slash behind them; 0: all of it */
};

/* Look at path and choose its key; name is what follows the date folder, NULL for path's base name. Opens nothing.
   -1: ERR_LOCAL (not found, a directory, a device, too large), ERR_USAGE (the key cannot be stored). */
int upload_plan(struct upload_plan *p, const struct upload_options *o, const char *path, const char *name, struct err *e);

struct upload_result {
	char key[PATH_KEY_MAX + 1];  /* where it is; another than planned after a rename */
	char etag[S3_ETAG_CAP];
	uint64_t size;
	uint64_t resumed;            /* bytes that an earlier run had sent */
	int attempts;                /* requests that may have reached the server */
	enum { UPLOAD_STORED, UPLOAD_SAME, UPLOAD_SKIPPED } outcome;  /* SAME: this content was there already, */
	int ours;                    /* and is ours by its ETag or tag */
};

/* One file on its way. The caller zero-initialises it, fills plan (and arg), and keeps it until finished() is called. upload_plan
   need not have filled plan: path and a key that path_key_check accepts are enough. Uploads of one pool may have different options. */
struct upload {
	struct pool_job job;
	struct upload_plan plan;
	const char *replaces;        /* UPLOAD_REPLACE: the ETag, without quotes, of our object at plan.key; NULL: none of ours */
	const char *tag;             /* sent with it (s3.h, S3_TAG); an object that has it is ours to replace too; NULL: none */
	const uint8_t *gone;         /* not 0 (set atomically): what stands at plan.path now is another file. Not opened yet: ERR_CHANGED. NULL: never */
	void *arg;
	struct upload_result r;
	struct upload_source src;    /* upload*.c's, but for src.was: once it is finished, the state of the file that is stored */
	/* upload*.c's: */
	const struct upload_options *o;
	struct pool *pool;
	char own[S3_ETAG_CAP];       /* of the object at r.key that is ours to replace; "": none */
	int bare_match;              /* how that is said to the server */
	int sends;                   /* how often it was begun: a file may change under it */
};

/* Queue it; returns at once. The server proves what it stored, or finished() gets an error: ERR_CHANGED for a file that did not
   come to rest, ERR_CORRUPT, what s3.h says. A file of which a part failed for good is not stored; what can be gone
   on with stays at the server and in the journal, everything else is taken back. */
void upload_submit(struct pool *pool, const struct upload_options *o, struct upload *u);

/* Standard input that is no file, of any length: read here, parts sent by the pool; returns when finished() has been called.
   Parts grow so that 10,000 of them reach 5 TiB, but not at R2, which wants them equal. */
void upload_stream(struct pool *pool, const struct upload_options *o, struct upload *u);

/* The part size for an object of that size: at least asked (0: UPLOAD_PART_SIZE), a multiple of 1 MiB, and large enough that 10,000 suffice. */
uint64_t upload_part_size(uint64_t size, uint64_t asked);
