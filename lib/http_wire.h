#pragma once
/* The bytes and lines below one HTTP exchange: plain TCP and TLS behind the same verbs, and how far the exchange
   is. Only http*.c use it. */
#include "http.h"

/* How far the exchange is. The order counts: below HTTP_ANSWERED no byte of the answer has come. */
enum {
	HTTP_IDLE,
	HTTP_UNSENT,       /* plain: the request's header is still in out */
	HTTP_ASKED,
	HTTP_ANSWERED,     /* inside the reply's header */
	HTTP_LENGTH,       /* left bytes of the body to come */
	HTTP_CHUNK_SIZE,   /* a chunk-size line comes next */
	HTTP_CHUNK,        /* left bytes of the chunk to come */
	HTTP_UNTIL_CLOSE,
	HTTP_DONE,
};

/* What sending came to. */
enum {
	SEND_SOURCE = -2,  /* the request itself failed: its source, or its size */
	SEND_LOST = -1,    /* the connection failed */
	SEND_EARLY = 0,    /* the peer has spoken first */
	SEND_DONE = 1,
};

/* As read(2): what has come; waits for the first byte. */
ssize_t http_wire_read(struct http *h, void *p, size_t n, struct err *e);
/* 1 when bytes of in have not been used yet. */
int http_unread(const struct http *h);
/* As tls_reserve, tls_commit and tls_flush; in plain HTTP, out is the record. SEND_DONE, SEND_EARLY or SEND_LOST. */
int http_wire_reserve(struct http *h, unsigned char **p, size_t *n, struct err *e);
void http_wire_commit(struct http *h, size_t n);
int http_wire_flush(struct http *h, struct err *e);
/* 1 when an idle connection can take another request. */
int http_wire_idle(struct http *h);

/* More bytes into in, which has none unread: as read(2). */
ssize_t http_fill(struct http *h, struct err *e);
/* 0 to 255, or -1 (ERR_NET at the end of the stream). */
int http_next_byte(struct http *h, struct err *e);
/* One line without its CRLF, NUL-terminated, into cap bytes at p: its length, or -1. */
ssize_t http_read_line(struct http *h, char *p, size_t cap, struct err *e);

/* ERR_PROTO: "the answer is not valid HTTP", and why. */
int http_bad(const struct http *h, struct err *e, const char *why);
/* ERR_NET: the peer closed where more had to come. */
int http_cut(const struct http *h, struct err *e);
