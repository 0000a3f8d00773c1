#pragma once
/* The answer's bytes → status, fields, body (RFC 9112 sections 4 to 7). Only http*.c use it. */
#include "http.h"

/* One header block, into h->block: 0, or -1. For 1xx the next head follows; otherwise the body does. */
int http_reply_head(struct http *h, const char *method, struct http_reply *rp, struct err *e);
/* As http_read, but leaves the connection open on error. */
ssize_t http_reply_body(struct http *h, void *p, size_t n, struct err *e);
/* Bytes of the token at s (RFC 9110 section 5.6.2), 0 for none. */
size_t http_token_len(const char *s);
