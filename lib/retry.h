#pragma once
/* Attempt and error → wait or give up. Pure: the random number is an argument. */
#include <stdint.h>
#include "err.h"

enum {
	RETRY_BASE_MS = 200,        /* first back-off's upper bound; doubles each time */
	RETRY_CAP_MS = 20000,
	RETRY_WRITE_FLOOR_MS = 1500,/* a write to the same key: R2 answers 429 to two within a second */
	RETRY_AFTER_MAX_S = 300,    /* a longer Retry-After is cut to this */
};

/* 1 when another attempt may succeed: lost connections, refused or timed-out connects (not a proxy's 407), names that did not resolve,
   HTTP 408, 429, 500, 502, 503, 504, 520 to 530 (Cloudflare's edge) and the codes SlowDown, InternalError, ServiceUnavailable, RequestTimeout,
   TooManyRequests, ClientDisconnect, IncompleteBody, BadDigest, OperationAborted …; 0 for everything that stays wrong.
   The code counts before the status. Source: R2's error list; AWS's retry guide. */
int retry_worthwhile(const struct err *e);

/* What Retry-After asks for in milliseconds, not more than RETRY_AFTER_MAX_S; 0: nothing. */
int retry_asked_ms(const struct err *e);

/* Milliseconds to wait before attempt number next (2 for the second), or -1: give up. Full jitter: uniformly in
   [0, min(cap, base·2^(next-2))] by random; never less than Retry-After, nor than the floor for writes. */
int retry_wait_ms(const struct err *e, int next, int attempts, int is_write, uint32_t random);
