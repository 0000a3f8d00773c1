#pragma once
/* What one request is made of, and its signature. For the s3*.c files only. */
#include "s3.h"
#include "s3_error.h"
#include "utc.h"

enum { S3_CALL_FIELDS = 13 + S3_META_MAX };

struct s3_call {
	const char *method;
	const char *bucket;              /* NULL: the configuration's */
	const char *key;                 /* "" when the request is for the bucket */
	const struct pair *query;        /* not yet encoded */
	size_t nquery;
	struct pair fields[S3_CALL_FIELDS];      /* signed: x-amz-*, content-type, content-md5; names in lower case */
	size_t nfields;
	/* Sent, not signed, as proxies may touch such fields; NULL: not sent. reply may change the text of range for
	   the next attempt. */
	const char *if_none_match, *if_match, *range, *cache_control;
	/* Of a request for an object, else NULL: the encoding that the object is stored with is asked for. Set, and the request sent again, by a
	   reply without a length. */
	int *coded;
	const struct http_body *body;    /* or NULL */
	const char *payload;             /* x-amz-content-sha256; NULL: that of an empty body */
	int bucket_too;                  /* of a HEAD: when there is no such object, is it the bucket that is missing? One more request */
	int is_write;                    /* the next attempt keeps R2's distance for one key */
	int (*changed)(void *arg);       /* see struct s3_put */
	void *changed_arg;
	/* Take what a 2xx says, from rp and by http_read. Another result than 0 counts as a failed attempt. */
	int (*reply)(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e);
	void *arg;                       /* reply's */
	int progressed;                  /* set by a reply that failed, but came nearer the end: the next attempt counts as the second */
	int whole;                       /* not begun once the store was told to stop, but never cut off by that in the middle */
	int last_word;                   /* sent once even when the store was told to stop: takes back what would be left over */
	int attempts;                    /* out: requests that may have reached the server */
	int unclear;                     /* of these, those of which no answer says that they did nothing */
};

/* n bytes at p, in memory, as the body of c: XML. All must live as long as the call. The checked one carries their MD5 for the server to check. */
struct s3_text {
	struct http_body body;
	char md5[32], sha256[65];
};
void s3_call_text(const struct s3 *s, struct s3_call *c, struct s3_text *t, const char *p, size_t n);
void s3_call_checked_text(const struct s3 *s, struct s3_call *c, struct s3_text *t, const char *p, size_t n);

/* The bucket that c is for. */
const char *s3_call_bucket(const struct s3 *s, const struct s3_call *c);
/* What a refusal of c with that status begins with. */
struct s3_refusal s3_call_refusal(const struct s3 *s, const struct s3_call *c, int status);
/* Append a signed field. The strings must live as long as the call. */
void s3_call_field(struct s3_call *c, const char *name, const char *value);

/* A copy of the ETag without quotes and W/. */
void s3_etag(char out[S3_ETAG_CAP], const char *value);
/* The ETag as If-Match wants it; NULL for NULL. */
enum { S3_QUOTED_CAP = S3_ETAG_CAP + 2 };
const char *s3_quoted(char out[S3_QUOTED_CAP], const char *etag);

/* A request as it goes out. */
struct s3_wire {
	char target[16384];              /* R2 takes URLs of 16 KiB */
	char authorization[4096];        /* it names all fields, those of --meta by 75 bytes each */
	char token[sizeof ((struct config *)0)->token];
	char date[UTC_AMZ_CAP];
	struct pair fields[S3_CALL_FIELDS + 10];
	size_t nfields;
};
/* Fill *w from c, signed now with the store's keys: path and query are encoded once; what is signed is what is sent. c must live as long
   as w, whose authorization and token the caller wipes. -1 (ERR_USAGE) when the request would be too long. */
int s3_sign(struct s3_wire *w, const struct s3 *s, const struct s3_call *c, struct err *e);
/* Stars for the store's secret, its token and signatures in *e: a server that repeats the request in its refusal, as some do with what was
   signed, has us tell no secret. */
void s3_keep_secrets(struct s3_store *st, struct err *e);
