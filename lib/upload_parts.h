#pragma once
/* The multipart half of upload. For upload*.c only. */
#include "journal.h"
#include "upload.h"

/* How sending u once ended: 0, or -1 with *e. u is the receiver's again. */
typedef void upload_sent(struct upload *u, struct s3 *s, int rc, struct err *e);

struct part_job {
	struct pool_job job;
	struct parts *ps;
	int index;
};

/* One multipart upload. Its last part job frees it. */
struct parts {
	struct upload *u;
	upload_sent *tell;
	char upload_id[S3_UPLOAD_ID_CAP];
	uint64_t part_size;
	int n, done;
	struct s3_part *parts;
	struct part_job *jobs;
	struct journal journal;
	pthread_mutex_t lock;    /* of what follows */
	int next;                /* the first part that has not been looked at */
	int under_way;           /* jobs in the pool */
	int window;              /* how many may be */
	int through;             /* parts since it was last opened */
	int cuts;                /* how often this upload has been cut off */
	struct err_first fault;
};

/* Send u->src as the parts of a multipart upload under u->r.key: begun here, or gone on with from the journal. Queues the parts and
   returns; tell() is called in the worker that ends the last one. */
void parts_begin(struct upload *u, struct s3 *s, upload_sent *tell);

/* Complete the upload of these n parts, u->r.size bytes in all, to u->r.key, and look at what the server then has. 0: the object is there and has
   the ETag that the parts say; u->r.etag filled. -1: with code NoSuchUpload when the server dropped it. */
struct parts_sent {
	const char *upload_id;
	const struct s3_part *parts;
	int n;
};
int parts_complete(struct s3 *s, struct upload *u, const struct parts_sent *sent, struct err *e);

/* upload_plan.c's: what each request says that makes u's object: its key, what it carries besides bytes, and that only an object
   that is ours is replaced, or none. */
struct s3_put upload_request(const struct upload *u);

/* What is upload_resume.c's, in this order: */

/* What this upload is: bucket and key first, then all that must be as it was. Another file, or the same one changed, is another
   upload. The size of its parts stands with its id: it may be another than was asked for. It is the journal's identity. */
void parts_identity(const struct parts *ps, const struct s3_store *st, char text[JOURNAL_TEXT_MAX]);
/* Open the journal, where there can be one. */
void parts_journal(struct parts *ps, struct s3 *s);
/* Is there an upload to go on with? 1, and ps says which and how large its parts are, u->r.key in which date folder; 0, and what was there is
   taken back. */
int parts_recall(struct parts *ps, struct s3 *s, const char *id);
/* After the cutting into parts. 1: it is gone on with, and ps says what is there; 2: it was complete; 0: begin one; -1. */
int parts_resume(struct parts *ps, struct s3 *s, struct err *e);
/* Write it down as begun. When that fails it cannot be gone on with, which is noted. */
void parts_begun(struct parts *ps, const char *id);
/* u's file is done, perhaps without parts: what an earlier run began to send of it, nobody goes on with. It is taken back. */
void parts_forget(struct upload *u, struct s3 *s);
