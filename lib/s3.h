#pragma once
/* One function for each S3 operation; the server's errors become struct err. What may be tried again is
   tried again here (retry.h), so a caller sees one answer. Path-style requests, SigV4. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "buf.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "tls.h"

/* R2: 5 GiB − 5 MiB for one PUT or one part (developers.cloudflare.com/r2/platform/limits). */
#define S3_PUT_MAX (5ULL * 1024 * 1024 * 1024 - 5ULL * 1024 * 1024)
#define S3_PART_MIN (5ULL * 1024 * 1024)
#define S3_OBJECT_MAX (5ULL * 1024 * 1024 * 1024 * 1024 - 5ULL * 1024 * 1024 * 1024)

enum { S3_ETAG_CAP = 128, S3_META_MAX = 32, S3_UPLOAD_ID_CAP = 1024, S3_PARTS_MAX = 10000 };

/* One request, or one attempt at it, as it ended. For -v and for the "Attempt N/M failed" lines. */
struct s3_attempt {
	const char *method, *bucket, *key;
	int status;               /* HTTP status, 0 when there was no reply */
	long ms;
	int number, of;           /* this attempt, and how many there may be */
	int again;                /* it will be tried again */
	int wait_ms;              /* … after so long */
	const struct err *why;    /* NULL when it succeeded */
};

/* What the connections of one run share; threads may. Filled by s3_store_open. */
struct s3_store {
	const struct config *cfg;
	pthread_mutex_t keys;            /* held while the keys of cfg are read, or become others */
	struct tls_trust *trust;         /* NULL for http:// */
	struct tls_session session;
	int64_t skew_s;                  /* server's clock − ours, learnt from RequestTimeTooSkewed */
	int bare_match;                  /* learnt by upload.c, atomic: If-Match of a write without quotes */
	int64_t ahead_s;                 /* server's clock − ours by the Date of its last reply; 0 before, or when it says none */
	int crc32c;                      /* the server echoes x-amz-checksum-crc32c, or has not been asked yet */
	int stop;                        /* not 0: every request ends as soon as it can with ERR_STOPPED. A signal handler may set it */
	int answered;                    /* some request had an answer */
	int reached;                     /* … and not only a proxy's, that it cannot reach the store: an outage later is waited out (--timeout), but
	                                    for --retries 1 */
	/* All may be NULL. admit is called before each attempt and may wait (the pool's brake); observe after it, and must not
	   block long; moved when n more bytes of a body are about to go out or have come in, and may wait (--limit-rate);
	   pause instead of sleeping between attempts: not 0 ends them with ERR_STOPPED, as not 0 from admit does. */
	int (*admit)(void *arg);
	void (*observe)(void *arg, const struct s3_attempt *a);
	void (*moved)(void *arg, size_t n);
	int (*pause)(void *arg, int ms);
	void *arg;
};

/* Not 0 once it was told to stop. */
static inline int
s3_stopping(const struct s3_store *st)
{
	return __atomic_load_n(&st->stop, __ATOMIC_RELAXED);
}

/* Load the trust anchors for cfg (which must outlive the store). -1: see tls_trust_load. */
int s3_store_open(struct s3_store *st, const struct config *cfg, struct err *e);
void s3_store_close(struct s3_store *st);   /* accepts a zeroed one */
/* Key id, secret and session token of from become those of cfg, the store's own: requests signed from now on have them. Any thread. 0: they
   are the same. */
int s3_store_rekey(struct s3_store *st, struct config *cfg, const struct config *from);

/* One worker's client: one connection. Zero-initialise, s3_open, and do not move it. */
struct s3 {
	struct s3_store *store;
	struct http http;
	pthread_t ahead;               /* connects while a body is read for its checksum */
	int ahead_running;
	int ahead_rc;
	struct err ahead_err;
};
void s3_open(struct s3 *s, struct s3_store *store);
void s3_close(struct s3 *s);

/* What HEAD and GET say of an object. */
struct s3_object_info {
	uint64_t size;
	int64_t modified;              /* seconds since 1970, 0 when not said */
	char etag[S3_ETAG_CAP];        /* without quotes, "" when not said */
	int opaque;                    /* encrypted with a key of the client's or of KMS: the ETag is no MD5, whatever it looks like */
	int coded;                     /* see struct s3_get */
	char content_type[128];
	char tag[32];                  /* see struct s3_put; "" when there is none */
};

struct s3_put {
	const char *key;
	const char *upload_id;         /* NULL: the whole object; else one part of this multipart upload: */
	int part_number;               /* 1–10,000 */
	struct http_body body;
	/* Not 0: what body reads from is no longer what it was; ends the attempts with ERR_CHANGED. May be NULL. */
	int (*changed)(void *arg);
	void *changed_arg;
	const char *content_type, *cache_control, *storage_class;   /* NULL: not sent (R2 refuses empty ones) */
	const struct pair *meta;       /* x-amz-meta-NAME fields, names without that prefix */
	size_t nmeta;
	const char *tag;               /* at most 31 bytes that say whose object it is, in metadata of this name; or NULL: */
#define S3_TAG "r2-sync"
	int if_absent;                 /* If-None-Match: * */
	const char *if_match;          /* store it only in place of the object with this ETag (without quotes), or NULL */
	int bare_match;                /* no quotes in that field: older radosgw compares with them, so that it never holds */
};

/* How the server's copy was proved to be the body: it echoed our CRC32C, it checked the MD5 or SHA-256 that the
   request carried, or its ETag is our MD5. */
enum s3_proof { S3_PROOF_NONE, S3_PROOF_CRC32C, S3_PROOF_MD5 };

struct s3_put_result {
	char etag[S3_ETAG_CAP];
	int attempts;                  /* requests that may have reached the server */
	enum s3_proof proof;
};

/* PutObject, or UploadPart. Reads the body once for its checksum (while the connection is opened beside it) and once to send it;
   returns 0 only when the reply proves that the server has these bytes. ERR_CORRUPT: it stored something else.
   ERR_HTTP 412: if_absent and something is there, or something else than if_match — maybe our own, when e->maybe_done. */
int s3_put(struct s3 *s, const struct s3_put *put, struct s3_put_result *r, struct err *e);

/* CreateMultipartUpload, with put's type, metadata and storage class: upload_id filled. */
int s3_create(struct s3 *s, const struct s3_put *put, char upload_id[S3_UPLOAD_ID_CAP], struct err *e);

/* A part as the server has it. */
struct s3_part {
	int number;
	uint64_t size;
	char etag[S3_ETAG_CAP];        /* "": not there yet */
};

/* The ETag that an object of these parts has: hex MD5 of the parts' MD5s, "-", their number. "" when a part's ETag is no MD5.
   Source: R2's multipart-objects page; S3 does the same. */
void s3_parts_etag(const struct s3_part *parts, int n, char etag[S3_ETAG_CAP]);

/* CompleteMultipartUpload. A 200 whose body is an <Error> is an error. -1 says nothing about the object: it may be there
   (ERR_NET, 5xx, NoSuchUpload after a lost answer): ask s3_head. etag: what the server says it stored, "" when it does not. */
struct s3_complete {
	const char *key, *upload_id;
	const struct s3_part *parts;   /* in order, all of them */
	int nparts;
	int if_absent;
	const char *if_match;          /* as in struct s3_put, and: */
	int bare_match;
	int (*changed)(void *arg);     /* as there */
	void *changed_arg;
};
int s3_complete(struct s3 *s, const struct s3_complete *c, char etag[S3_ETAG_CAP], struct err *e);

/* AbortMultipartUpload; an upload that is gone already is fine. Sent even when the store was told to stop.
   bucket NULL: the configuration's. */
int s3_abort(struct s3 *s, const char *bucket, const char *key, const char *upload_id, struct err *e);

/* ListParts, page after page, in order. ERR_HTTP with code NoSuchUpload when the server has dropped it. */
int s3_list_parts(struct s3 *s, const char *key, const char *upload_id,
	int (*part)(void *arg, const struct s3_part *p, struct err *e), void *arg, struct err *e);

/* GetObject. data is called with what arrives, in order; not 0 ends it. A connection that is lost in the middle is replaced and the
   rest asked for (If-Match, Range), so data never sees a byte twice. o: the object as the first reply described it; o->size is
   the whole object's. ERR_HTTP 412: the object is no longer the one of if_match.
   The bytes are the stored ones: where a server undoes an object's Content-Encoding on the way, as Cloudflare's edge does, they are asked
   for once more, so encoded. coded, in g: that is known to be necessary; in o: it was. */
struct s3_get {
	const char *key;
	uint64_t from, len;            /* len 0: to the end */
	int coded;
	const char *if_match;          /* ETag without quotes, or NULL */
	int (*data)(void *arg, const void *p, size_t n, struct err *e);
	void *arg;
	char *room;                    /* where data's pieces are put together, of room_size bytes; NULL: on the stack, two TLS records */
	size_t room_size;
	int *attempts;                 /* counted up by the requests that were sent; may be NULL */
};
int s3_get(struct s3 *s, const struct s3_get *g, struct s3_object_info *o, struct err *e);
/* 412, with the words for an object that is no longer the one that was begun with. Returns -1. */
int s3_replaced(struct err *e);

/* HeadObject of one part (partNumber=1): its size in o->size and the number of parts in *parts; *parts is 0 when the server does
   not say (then o->size is the object's). o->coded must be set. */
int s3_head_part(struct s3 *s, const char *key, int number, struct s3_object_info *o, int *parts, struct err *e);

/* A URL that GETs key for seconds (1–604,800) without any other right. Asks nobody. -1 (ERR_USAGE) when it does not fit. */
int s3_presign(const struct config *cfg, const char *key, unsigned seconds, int64_t now, struct buf *url, struct err *e);

/* HeadObject: 0; -1 with ERR_HTTP and status 404 when there is none (code "NoSuchKey" even though HEAD has no body). */
int s3_head(struct s3 *s, const char *key, struct s3_object_info *o, struct err *e);
/* The same, but when there is none, code NoSuchBucket if that is why, which takes one request more; and "x-amz-meta-NAME: value\n" for each
   field of metadata into meta, which may be NULL. HTTP_BLOCK_MAX + HTTP_FIELDS_MAX bytes have room for all there can be. */
int s3_head_meta(struct s3 *s, const char *key, struct s3_object_info *o, struct buf *meta, struct err *e);

/* 1 when o has the size and the ETag that body would have, plain or in parts of part_size; 0 when not, or when the ETag is no MD5;
   -1 when body cannot be read. */
int s3_same_content(const struct s3_object_info *o, const struct http_body *body, uint64_t part_size, struct err *e);
/* The MD5 of all of body. */
int s3_body_md5(const struct http_body *body, unsigned char md5[16], struct err *e);

/* A row of a listing. The strings are valid during the callback only. */
struct s3_entry {
	const char *key;               /* or the common prefix, when is_prefix */
	int is_prefix;
	uint64_t size;
	int64_t modified;              /* of an upload: when it began */
	const char *etag;              /* without quotes */
	const char *storage_class;     /* "" when not said */
	const char *upload_id;         /* of s3_list_uploads only */
};

struct s3_list {
	const char *prefix;            /* "" for all */
	const char *delimiter;         /* "/" for one level, NULL for everything below */
	int max_keys;                  /* for a page, 0: the server's own */
	/* 0: go on; 1: that is enough; -1 with *e: stop, the listing fails. Common prefixes of a page come first.
	   It may use the same struct s3 for other requests. */
	int (*entry)(void *arg, const struct s3_entry *x, struct err *e);
	void (*page)(void *arg);       /* that was a page, and the next is about to be asked for; may be NULL */
	void *arg;
};

/* ListObjectsV2, page after page. A page is read whole and checked before its entries are reported, so that a
   page cut off in the middle is asked for again without reporting anything twice; memory is one page's.
   ERR_PROTO for a listing that would never end, goes back or leaves the prefix. */
int s3_list(struct s3 *s, const struct s3_list *l, struct err *e);

/* ListMultipartUploads in the same way: key, upload_id (never "", shorter than S3_UPLOAD_ID_CAP) and modified of every upload that
   nobody has completed or aborted. The order is the server's own. MinIO shows only those whose whole key is the prefix. */
int s3_list_uploads(struct s3 *s, const struct s3_list *l, struct err *e);

/* DeleteObject. An object that is gone already is fine. *marker becomes 1 when the bucket keeps versions, so that the object is
   only hidden by a delete marker; else it is left alone. Once sent, it is not cut off by stop. */
int s3_delete(struct s3 *s, const char *key, int *marker, struct err *e);

/* DeleteObjects, once for all keys but those that XML does not carry faithfully: they go one by one. Asked again when the
   answer is lost, or for those that the server could not do now. Once sent, it is not cut off by stop. */
enum { S3_DELETE_MAX = 1000 };
struct s3_delete {
	const char *const *keys;
	int n;
	int ask_markers;               /* a longer answer that says of delete markers */
	/* Key number index is still there. */
	void (*remains)(void *arg, int index, const struct err *why);
	void *arg;
	int marker;                    /* out: as *marker of s3_delete, if asked */
};
/* 0: remains was called for each that is still there, all others are gone. -1: nothing is known of any. s3_delete_unknown(e):
   the server has no such operation or does not understand this one, so all are still there. */
int s3_delete_many(struct s3 *s, struct s3_delete *d, struct err *e);
int s3_delete_unknown(const struct err *e);

/* A rule of the bucket's lifecycle configuration, as far as it is about age. The strings are valid during the callback only. */
struct s3_rule {
	const char *id, *prefix;       /* prefix "" for all */
	int enabled;
	int filtered;                  /* by more than the prefix: tags or sizes */
	/* Until it deletes, moves to another storage class, aborts unfinished uploads; 0: it does not. */
	long days, ia_days, abort_days;
};
/* GetBucketLifecycleConfiguration, rule by rule. */
int s3_lifecycle(struct s3 *s, void (*rule)(void *arg, const struct s3_rule *r), void *arg, struct err *e);

/* PutBucketLifecycleConfiguration with r in place of the rule of r's id, or (r->days 0) without that rule; every other rule
   goes back byte for byte as it came, and the whole is read again and compared. ia_days: to STANDARD_IA. 1: done; 0: there was
   nothing to do; -1 (ERR_CORRUPT: the server has something else now, and *e says what). */
int s3_lifecycle_change(struct s3 *s, const struct s3_rule *r, struct err *e);
