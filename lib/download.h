#pragma once
/* An object → a local file: whole or in parallel ranges of one version, resumed, verified, renamed into place. */
#include <limits.h>
#include <stdint.h>
#include "err.h"
#include "path.h"
#include "pool.h"
#include "s3.h"

enum { DOWNLOAD_PART = 8 * 1024 * 1024 };   /* ranges of this size unless part_size says otherwise */

enum download_if_exists { DOWNLOAD_OVERWRITE, DOWNLOAD_SKIP, DOWNLOAD_FAIL };

/* How what arrived was proved to be the object: by the MD5 that its ETag is, or by that of its parts' MD5s. Not at all, since the ETag
   is none (encrypted objects, some servers), or since the server does not tell the size of the parts and none of the usual ones fits. */
enum download_proof { DOWNLOAD_NO_MD5, DOWNLOAD_NO_PART_SIZE, DOWNLOAD_MD5, DOWNLOAD_PARTS_MD5 };

struct download_options {
	enum download_if_exists if_exists;
	uint64_t part_size;          /* larger objects come in ranges of about this size (parts of an object stay whole where they can) */
	int only_different;          /* leave what is there already: same size, and time or content */
};

/* One object on its way; the caller allocates (malloc) and owns it again once finished() is called. */
struct download {
	char key[PATH_KEY_MAX + 1];
	int dir_fd;                  /* DEST's directory: nothing is ever written outside it */
	char rel[PATH_MAX];          /* the name below it; its directories are made as needed. One that ends in '/' is a directory itself */
	int known;                   /* object's size, time and ETag are filled in already, by a listing: nothing is asked beforehand */
	/* All are called in a worker; arg is the caller's. started: something is to be fetched, object is filled in. again: what has come,
	   lost bytes of the object as it was, is dropped for that reason; then started is called once more. Both may be NULL. */
	void (*started)(struct download *d);
	void (*again)(struct download *d, uint64_t lost, const char *why);
	/* All is done; e is NULL when the file has its final name, or was skipped. */
	void (*finished)(struct download *d, const struct err *e);
	void *arg;
	/* Out: */
	struct s3_object_info object;
	uint64_t resumed;            /* bytes that an earlier run had brought */
	int attempts;                /* requests for its bytes */
	int skipped;
	enum download_proof proof;
};

/* Queue it. o must outlive it. A failed download leaves nothing under the final name; what arrived of a large one stays in
   ".NAME.r2-XXXXXXXX" beside it, and the next download of the same object to the same name goes on from there. */
void download_submit(struct pool *p, const struct download_options *o, struct download *d);

/* The object in order to fd, verified at the end: -1 with ERR_CORRUPT then, although the bytes are out. A large one is
   fetched by the pool's workers, a few MiB ahead of what is written; s is the caller's own connection. Not from within a job. */
struct download_stream {
	const char *key;
	int fd;
	void (*started)(const struct download_stream *d);   /* object is filled in; may be NULL */
	/* Out: */
	struct s3_object_info object;
	int attempts;
	int unread;                    /* it failed as nobody reads fd any more */
	enum download_proof proof;
};
int download_stream(struct s3 *s, struct pool *pool, struct download_stream *d, struct err *e);
