#pragma once
/* One HTTP/1.1 exchange at a time on one connection (RFC 9112), read strictly. Knows no S3.
   Never sends Expect or a chunked request; never follows a redirect; skips 1xx answers. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "enc.h"
#include "err.h"
#include "net.h"
#include "tls.h"

enum {
	HTTP_LINE_MAX = 8192,     /* a status, field or chunk-size line */
	HTTP_FIELDS_MAX = 100,    /* fields in a reply, and trailer fields */
	HTTP_BLOCK_MAX = 32768,   /* a reply's whole header block */
	HTTP_INTERIM_MAX = 16,    /* 1xx answers before the final one */
	HTTP_TRAILER_MAX = 16384, /* bytes of trailer section */
	HTTP_WORTH = 1024,        /* bytes of a body that are progress */
	HTTP_PATIENCE = 20,       /* time-outs for so many of a body whose length the server does not know yet */
};

/* Where to connect. The strings and the trust must outlive the struct http. */
struct http_server {
	const char *host;
	uint16_t port;
	const struct net_proxy *proxy;   /* NULL or port 0: direct */
	const struct tls_trust *trust;   /* NULL: plain HTTP */
	struct tls_session *session;     /* may be NULL */
	int timeout_ms;
	const int *stop;                 /* as in net.h; may be changed between requests */
};

/* A request body of a length known in advance, read at offsets so that it can be sent again. */
struct http_body {
	uint64_t len;
	/* Up to n bytes at offset off into p; bytes, or -1 with *e filled. 0 before len is reached means that
	   the source shrank: the exchange ends with ERR_CHANGED and the connection is closed. */
	ssize_t (*read)(void *arg, uint64_t off, void *p, size_t n, struct err *e);
	void *arg;
};
/* These n bytes, which must stay as long as it is used. */
struct http_body http_memory(const void *mem, uint64_t n);

struct http_request {
	const char *method;
	const char *target;             /* path and query as they go on the wire, already encoded */
	const struct pair *fields;      /* sent in this order; Host must be among them; Content-Length is added */
	size_t nfields;
	const struct http_body *body;   /* NULL: no body; Content-Length: 0 is sent with PUT and POST */
};

struct http_reply {
	int status;
	int has_body;            /* 0 for HEAD, 204, 304 */
	int64_t length;          /* Content-Length (of a HEAD too), -1 when chunked or until close */
	int resent;              /* the request went out twice: the first connection died before an answer */
	size_t nfields;
	struct pair fields[HTTP_FIELDS_MAX];   /* names in lower case; point into the connection's block, valid until
	                                          the next http_send, http_close included */
};

/* One connection. Zero-initialise, then http_init; contexts must not move while open. 66 KB, and the TLS state when it is https. */
struct http {
	struct http_server server;
	struct net net;
	struct tls *tls;                /* NULL when plain */
	int open;                       /* connected, handshake done */
	int connects;                   /* connections made so far, for tests and -v */
	int keep;                       /* the reply being read allows another exchange */
	int state;                      /* where the reply's body stands; http.c's */
	uint64_t left;                  /* bytes left of the body or chunk */
	int64_t slow_ms;                /* waited for the body since HTTP_WORTH bytes of it had come, */
	size_t slow;                    /* and what has come since; http_wire.c's */
	size_t in_pos, in_len;          /* unread bytes of in */
	size_t block_len;
	size_t out_len;                 /* plain HTTP: bytes waiting in out */
	unsigned char in[16384];
	unsigned char out[16384];
	char block[HTTP_BLOCK_MAX];
};

void http_init(struct http *h, const struct http_server *server);

/* Connect and shake hands unless that is done; what http_send does by itself. For a connection opened in
   advance, while the caller does something else in another thread. */
int http_connect(struct http *h, struct err *e);

/* Send the request and read the reply up to the end of its header block. A kept connection that dies before
   the first byte of the answer is replaced once, silently (reply->resent). An answer that comes while the body
   is being sent is read and the connection not used again. -1: ERR_NAME, ERR_CONNECT, ERR_TLS, ERR_NET,
   ERR_PROTO, or what body->read said; the connection is closed. */
int http_send(struct http *h, const struct http_request *rq, struct http_reply *rp, struct err *e);

/* The reply's body, decoded: bytes, 0 at its end, -1 (ERR_NET for a body cut short, for silence of timeout_ms, and for fewer than
   HTTP_WORTH bytes in that time: the caller's own time does not count; ERR_PROTO). */
ssize_t http_read(struct http *h, void *p, size_t n, struct err *e);

/* After the caller has read what it wants: keeps the connection when the body ended (or little enough is left
   to be read at once), else closes it. Called by http_send too. */
void http_finish(struct http *h);
void http_close(struct http *h);

/* The first field of that name (lower case), or NULL. */
const char *http_field(const struct http_reply *rp, const char *name);
