#pragma once
/* AWS Signature Version 4: bytes in, signature out. No I/O, no clock, no HTTP types.
   Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html */
#include <stddef.h>
#include <stdint.h>
#include "buf.h"
#include "enc.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4_keys {
	const char *id;
	const char *secret;
	const char *token;      /* session token, or NULL */
	const char *region;     /* "auto" */
	const char *service;    /* "s3" */
};

struct sigv4_request {
	const char *method;
	const char *path;           /* encoded, as on the wire; S3 rules: no dot segments removed, encoded once */
	const char *query;          /* encoded and sorted (enc_query_pairs), "" for none */
	const struct pair *fields;  /* the fields to sign: names in lower case, any order, host among them;
	                               the token's is the caller's to add */
	size_t nfields;
	const char *payload;        /* hex SHA-256, or SIGV4_UNSIGNED */
	int64_t time;               /* seconds since 1970 */
};

enum {
	SIGV4_FIELDS_MAX = 64,   /* fields to sign */
	SIGV4_TEXT_CAP = 24576,  /* bytes of a canonical request */
	SIGV4_SECRET_MAX = 256,  /* bytes of a secret key (R2's have 64) */
};

/* The canonical request: values trimmed and inner spaces folded, several fields of one name joined with a
   comma in the order given. A test reads it, so that a mismatch is found at once. */
void sigv4_canonical(struct buf *b, const struct sigv4_request *r);
/* The string to sign for that canonical request. */
void sigv4_string_to_sign(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r,
	const char *canonical, size_t n);
/* The signing key (32 bytes, a secret: wipe it). */
void sigv4_signing_key(const struct sigv4_keys *k, int64_t time, unsigned char out[32]);
/* hex signature of r: 64 digits. 0, or -1 when r has too many or too long fields, or the secret is too long. */
int sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *r, char hex[65]);

/* The value of Authorization: 0, or -1 when it does not fit. */
int sigv4_authorization(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r);

/* A presigned query string, "X-Amz-Algorithm=…&X-Amz-Signature=…", for r with expires seconds (1–604,800):
   it is r's whole query, r->fields is what the user of the URL must send (host).
   With token, X-Amz-Security-Token is part of it. 0, or -1 when it does not fit or expires is out of range. */
int sigv4_presign(struct buf *b, const struct sigv4_keys *k, const struct sigv4_request *r, unsigned expires);
