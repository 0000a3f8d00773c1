#pragma once
/* One signed request, tried until it has an answer that counts. For the s3*.c files only. */
#include "s3_request.h"
#include "xml.h"

/* Fields that describe the object being made: type, class, metadata (names: room for their whole names). */
enum { S3_META_NAME_CAP = 80 };
void s3_call_object(struct s3_call *c, const struct s3_put *put, char names[S3_META_MAX][S3_META_NAME_CAP]);
/* The ETag of n parts: hex MD5 of their MD5s, "-", their number. all has been given these MD5s. */
struct hash_md5;
void s3_parts_text(struct buf *b, const struct hash_md5 *all, unsigned n);
/* What a reply's fields say of an object; the size is the reply's own length. */
void s3_describe(struct s3_object_info *o, const struct http_reply *rp);

/* Sign, send, read, and again while retry.h finds it worth while. A wrong clock is corrected from the server's
   Date once. 0, or -1 with the last attempt's error. */
int s3_call(struct s3 *s, struct s3_call *c, struct err *e);

/* Begin to connect in a thread of its own when not connected yet; the next s3_call waits for it. The caller
   does something useful meanwhile. Best effort. */
void s3_connect_ahead(struct s3 *s);
/* Wait for that thread, if there is one: 0, or -1 with what went wrong there. */
int s3_connect_join(struct s3 *s, struct err *e);

/* 1, with ERR_STOPPED in *e, once the store was told to stop. */
int s3_stopped(const struct s3_store *st, struct err *e);

/* Feed the whole of c's reply to x: 0; -1 (ERR_NET, ERR_PROTO; ERR_HTTP when it is an <Error>, whatever the status said). */
int s3_read_xml(struct s3 *s, const struct s3_call *c, struct xml *x, struct err *e);
/* What x has read whole begins with this name, not counting a namespace's prefix: 0, or -1 (ERR_PROTO): then it is the answer to something else,
   and what it does not say means nothing. */
int s3_xml_root(const struct xml *x, const char *name, struct err *e);
/* "<root xmlns=…>", as a request begins. */
void s3_xml_begin(struct buf *b, const char *root);
/* 1 for "true" and "1", whatever white space is before it and in whatever case: one server's boolean is not another's. */
int s3_xml_true(const char *text);
