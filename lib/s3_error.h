#pragma once
/* What S3 error codes mean to the user: one table of code, cause and cure; and the reader of <Error> bodies. */
#include <stddef.h>
#include "err.h"
#include "xml.h"

struct s3_cure {
	const char *code;
	const char *cause;   /* what happened, in words for people */
	const char *cure;    /* what to do */
};

/* 1 with the row for code in *c, or 0. Source: developers.cloudflare.com/r2/api/error-codes, and AWS's list. */
int s3_cure_find(const char *code, struct s3_cure *c);
/* The whole table, for documentation: the first row into *c for NULL, the next, into the same *c, for what that returned; NULL at
   the end. */
const char *s3_cure_next(const char *at, struct s3_cure *c);

/* The fields of an <Error> body, printable. */
struct s3_error {
	char code[48];
	char message[256];
	char request_id[96];
	char endpoint[128];   /* AWS: where the bucket is */
};

/* Feed it to struct xml as .element with .arg = struct s3_error: fills what it knows. */
int s3_error_element(void *arg, const char *path, const char *text, size_t len, struct err *e);

/* What the server refused, for the message. */
struct s3_refusal {
	int status;
	const char *bucket, *key;   /* key "" or NULL when the request was for the bucket */
	const char *location;       /* of a redirect, or NULL */
	int of_upload;              /* the request was for an unfinished upload (uploadId): NoSuchKey means that this is gone, as Ceph says while it completes one */
};

/* Fill *e (ERR_HTTP, status, code) with one line: code, the server's text, bucket and key, request id, cause and
   cure. Where the body said no code, the status stands for one. Returns -1. */
int s3_refused(struct err *e, const struct s3_refusal *r, const struct s3_error *x);
