#include "retry.h"

/* What the code says whatever the status is (Complete answers 200 with an <Error>; a lost body is a 400).
   Sources: R2's error codes; docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; the transient and
   throttling codes of docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html. */
static const char worthwhile[] =
	"BadDigest\0"                    /* damaged on the way: nothing was stored */
	"XAmzContentSHA256Mismatch\0"
	"XAmzContentChecksumMismatch\0"  /* MinIO's BadDigest for x-amz-checksum-* */
	"ClientDisconnect\0"
	"IncompleteBody\0"
	"RequestTimeout\0"
	"InternalError\0"
	"ServiceUnavailable\0"
	"SlowDown\0"
	"TooManyRequests\0"
	"TooMuchConcurrency\0"
	"Throttling\0"
	"ThrottlingException\0"
	"RequestLimitExceeded\0"
	"BandwidthLimitExceeded\0"
	"OperationAborted\0"             /* 409: another request holds the key */
	"ConditionalRequestConflict\0";  /* 409: the same, under If-None-Match */
static const char in_vain[] =
	"NotImplemented\0"
	"AccessDenied\0"
	"SignatureDoesNotMatch\0"
	"RequestTimeTooSkewed\0"         /* s3 corrects the clock and asks again by itself */
	"PreconditionFailed\0";

static int
status_worthwhile(int status)
{
	switch (status) {
	case 408: case 429: case 500: case 502: case 503: case 504:
		return 1;
	}
	/* Cloudflare's edge could not reach or understand what is behind it. */
	return status >= 520 && status <= 530;
}

static int
http_worthwhile(const struct err *e)
{
	return err_code_in(e, worthwhile) || (status_worthwhile(e->status) && !err_code_in(e, in_vain));
}

int
retry_worthwhile(const struct err *e)
{
	switch (e->kind) {
	case ERR_CONNECT:
		return e->status != 407;   /* the same password again and again may lock its account */
	case ERR_NAME:
	case ERR_NET:
	case ERR_CORRUPT:
		return 1;
	case ERR_HTTP:
		return http_worthwhile(e);
	default:
		return 0;
	}
}

/* Full jitter: docs.aws.amazon.com → "Exponential Backoff And Jitter". */
static int
jitter_ms(int next, uint32_t random)
{
	uint32_t bound = RETRY_CAP_MS;

	/* 2^7 times the base is above the cap already, so larger shifts are never made */
	if (next < 9)
		bound = RETRY_BASE_MS << (next < 2 ? 0 : next - 2);
	if (bound > RETRY_CAP_MS)
		bound = RETRY_CAP_MS;
	return (int)((uint64_t)random * (bound + 1) >> 32);
}

int
retry_asked_ms(const struct err *e)
{
	if (e->retry_after_s <= 0)
		return 0;
	return (e->retry_after_s < RETRY_AFTER_MAX_S ? e->retry_after_s : RETRY_AFTER_MAX_S) * 1000;
}

int
retry_wait_ms(const struct err *e, int next, int attempts, int is_write, uint32_t random)
{
	int wait = jitter_ms(next, random), asked = retry_asked_ms(e);

	if (next > attempts || !retry_worthwhile(e))
		return -1;
	if (is_write && wait < RETRY_WRITE_FLOOR_MS)
		wait = RETRY_WRITE_FLOOR_MS;
	return wait < asked ? asked : wait;
}
