#pragma once
/* The multipart half of upload. For upload*.c only. */
#include "upload.h"

/* Send u->src as the parts of a multipart upload under u->r.key: begun here, or gone on with from the journal. Queues the parts and
   returns; upload_sent() is called in the worker that ends the last one. */
void parts_begin(struct upload *u, struct s3 *s);

/* upload.c's: the conditions to store under: in place of the object that is ours, and of no other; only where nothing is. */
const char *upload_if_match(const struct upload *u);
int upload_if_absent(const struct upload *u);

/* upload.c's: how sending u once ended. Sends again, or renames, or finishes. */
void upload_sent(struct upload *u, struct s3 *s, int rc, struct err *e);

/* Complete the upload of these parts and look at what the server then has. 0: the object is there and has the ETag that the parts say;
   etag filled. -1: with code NoSuchUpload when the server dropped it. */
struct parts_complete {
	struct s3_complete rq;
	uint64_t size;
};
int parts_complete(struct s3 *s, const struct parts_complete *c, char etag[S3_ETAG_CAP], struct err *e);
