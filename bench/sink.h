#pragma once
/* The sink: an S3 server that keeps nothing and checks nothing, so that what is measured is the client. */
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { SINK_KEY_CAP = 1100, SINK_BODY_MAX = 4 << 20, SINK_ETAG_CAP = 48 };

/* What has been asked since the start, but for what the harness itself asks (GET /-/counts prints it). */
struct sink_counts {
	_Atomic uint64_t connections, resumed, requests, puts, gets, heads, lists, deletes, posts;
	_Atomic uint64_t bodies;             /* bytes of bodies that came */
	_Atomic uint64_t received, sent;     /* bytes on the wire, TLS and all */
};
extern struct sink_counts sink_counts;

struct request {
	char method[8];
	char key[SINK_KEY_CAP];              /* decoded; "" for the bucket */
	char query[4096];                    /* as it came */
	int64_t length;                      /* -1: chunked */
	int64_t decoded;                     /* of aws-chunked; -1: not said */
	int expects;                         /* 100 Continue */
	int64_t from, to;                    /* Range, both inclusive; from -1: none, to -1: to the end */
	char md5[33];                        /* Content-MD5 in hex, or "" */
	char crc32c[16];                     /* x-amz-checksum-crc32c, or "" */
	char meta[1024];                     /* x-amz-meta-* lines */
	size_t nbody;                        /* of a POST: what stands in the connection's body */
	int64_t size;                        /* bytes of the body that came */
};

struct conn {
	SSL *ssl;
	struct request r;
	size_t at, end;                      /* what is unread of in */
	uint64_t received, sent;             /* counted already */
	int counted;
	char *body;                          /* SINK_BODY_MAX, of POSTs */
	char in[128 << 10];
};

/* Answer c->r, whose body has been read. -1: the connection is of no more use. */
int sink_answer(struct conn *c);
/* A page of ListObjects, of either version. */
int sink_list(struct conn *c);
/* fields: whole lines, or "". */
int sink_reply(struct conn *c, const char *status, const char *fields, const char *body);
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
/* Whether the query has that parameter. */
int sink_asks(const struct request *r, const char *name);
/* Everything, or -1. */
int sink_send(struct conn *c, const void *p, size_t n);
/* Value of a query parameter, decoded, into out: its length, or -1. */
int sink_query(const struct request *r, const char *name, char *out, size_t cap);
/* Percent-decode at most n bytes of s: the length. */
size_t sink_decode(const char *s, size_t n, char *out, size_t cap);

/* Objects that were put: their size, ETag and metadata, found again by HEAD. Threads may call. */
struct object {
	struct object *next;
	int64_t size;
	char etag[SINK_ETAG_CAP];
	char meta[1024];
	char key[];
};
void store_put(const char *key, int64_t size, const char *etag, const char *meta);
/* Add to the size of what is there. */
void store_grow(const char *key, int64_t size);
/* 1 and a copy of all but the key; 0: none. */
int store_get(const char *key, struct object *o);
void store_remove(const char *key);

/* Objects that were never put: "pattern/SIZE" has SIZE bytes, in parts of 50 MiB where there are more than two; "pattern/SIZE-PART" has parts of
 * that many bytes, whole MiB. */
enum { PATTERN = 1 << 20, PATTERN_PART = 50 << 20 };
struct pattern {
	int64_t size, part;
	unsigned parts;                      /* 0: none, the ETag is the MD5 of all */
};
const unsigned char *pattern_bytes(void);        /* PATTERN of them, which repeat */
/* 0; -1 when key is none of them. */
int pattern_of(const char *key, struct pattern *x);
void pattern_etag(const struct pattern *x, char etag[SINK_ETAG_CAP]);
