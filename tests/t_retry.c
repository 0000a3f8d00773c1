#include <limits.h>
#include <string.h>
#include "retry.h"
#include "test.h"

static struct err
refusal(int status, const char *code)
{
	struct err e = {.kind = ERR_HTTP, .status = status};

	strcpy(e.code, code);
	return e;
}

static void
test_kinds(void)
{
	static const struct { enum err_kind kind; int want; } rows[] = {
		{ERR_NONE, 0}, {ERR_USAGE, 0}, {ERR_KEYS, 0}, {ERR_LOCAL, 0}, {ERR_CHANGED, 0}, {ERR_NAME, 1},
		{ERR_CONNECT, 1}, {ERR_TLS, 0}, {ERR_NET, 1}, {ERR_PROTO, 0}, {ERR_CORRUPT, 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* a status or code left over from an earlier failure must not count */
		struct err e = {.kind = rows[i].kind, .status = 503, .code = "SlowDown"};

		check_int(retry_worthwhile(&e), rows[i].want);
	}
	/* a proxy that wants another password */
	check_int(retry_worthwhile(&(struct err){.kind = ERR_CONNECT, .status = 407}), 0);
}

static void
test_statuses(void)
{
	for (int status = 100; status < 600; status++) {
		struct err plain = refusal(status, ""), unknown = refusal(status, "NeverHeardOf");
		int want = status == 408 || status == 429 || status == 500 || status == 502 || status == 503
			|| status == 504 || (status >= 520 && status <= 530);

		check_int(retry_worthwhile(&plain), want);
		check_int(retry_worthwhile(&unknown), want);
	}
}

static void
test_codes(void)
{
	static const char *const yes[] = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout",
		"TooManyRequests", "ClientDisconnect", "IncompleteBody", "BadDigest", "OperationAborted",
		"TooMuchConcurrency", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"BandwidthLimitExceeded", "ConditionalRequestConflict", "XAmzContentSHA256Mismatch",
		"XAmzContentChecksumMismatch"};
	static const char *const no[] = {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "AccessDenied",
		"PreconditionFailed", "NotImplemented"};
	static const char *const by_status[] = {"NoSuchKey", "NoSuchBucket", "Unauthorized", "InvalidPart",
		"EntityTooLarge", "InvalidRange", "InvalidDigest", "slowdown", "SlowDow"};
	struct err e;

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		e = refusal(400, yes[i]);
		check_int(retry_worthwhile(&e), 1);
		e = refusal(200, yes[i]);
		check_int(retry_worthwhile(&e), 1);
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		e = refusal(403, no[i]);
		check_int(retry_worthwhile(&e), 0);
		e = refusal(503, no[i]);
		check_int(retry_worthwhile(&e), 0);
	}
	for (size_t i = 0; i < sizeof by_status / sizeof *by_status; i++) {
		e = refusal(404, by_status[i]);
		check_int(retry_worthwhile(&e), 0);
		e = refusal(500, by_status[i]);
		check_int(retry_worthwhile(&e), 1);
	}
}

static void
test_jitter(void)
{
	static const int bound[] = {0, 0, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000, 20000};
	struct err e = {.kind = ERR_NET};

	for (int next = 2; next < 12; next++) {
		check_int(retry_wait_ms(&e, next, 100, 0, 0), 0);
		check_int(retry_wait_ms(&e, next, 100, 0, UINT32_MAX), bound[next]);
		check_int(retry_wait_ms(&e, next, 100, 0, UINT32_C(1) << 31), bound[next] / 2);
		check_int(retry_wait_ms(&e, next, 100, 0, UINT32_C(1) << 30), bound[next] / 4);
	}
	for (int next = 12; next < 200; next++)
		check_int(retry_wait_ms(&e, next, INT_MAX, 0, UINT32_MAX), RETRY_CAP_MS);
	check_int(retry_wait_ms(&e, INT_MAX, INT_MAX, 0, UINT32_MAX), RETRY_CAP_MS);
	check_int(retry_wait_ms(&e, INT_MAX, INT_MAX, 0, 0), 0);
	/* numbers that no caller should pass must not shift by a negative count */
	check_int(retry_wait_ms(&e, 1, 5, 0, UINT32_MAX), RETRY_BASE_MS);
	check_int(retry_wait_ms(&e, INT_MIN, 5, 0, UINT32_MAX), RETRY_BASE_MS);
}

static void
test_giving_up(void)
{
	struct err lost = {.kind = ERR_NET}, tls = {.kind = ERR_TLS}, denied = refusal(403, "AccessDenied");

	check_int(retry_wait_ms(&lost, 5, 5, 0, 0), 0);
	check_int(retry_wait_ms(&lost, 6, 5, 0, 0), -1);
	check_int(retry_wait_ms(&lost, 2, 1, 0, 0), -1);
	check_int(retry_wait_ms(&lost, 6, 5, 1, UINT32_MAX), -1);
	check_int(retry_wait_ms(&tls, 2, 5, 0, 0), -1);
	check_int(retry_wait_ms(&denied, 2, 5, 1, 0), -1);
	denied.retry_after_s = 10;
	check_int(retry_wait_ms(&denied, 2, 5, 0, 0), -1);
}

static void
test_floor(void)
{
	struct err e = refusal(500, "InternalError");

	check_int(retry_wait_ms(&e, 2, 5, 1, 0), RETRY_WRITE_FLOOR_MS);
	check_int(retry_wait_ms(&e, 2, 5, 1, UINT32_MAX), 1500);
	check_int(retry_wait_ms(&e, 5, 5, 1, UINT32_MAX), 1600);
	check_int(retry_wait_ms(&e, 5, 5, 1, 0), 1500);
	check_int(retry_wait_ms(&e, 9, 9, 1, UINT32_MAX), 20000);
}

static void
test_retry_after(void)
{
	struct err e = refusal(503, "SlowDown");

	e.retry_after_s = 1;
	check_int(retry_wait_ms(&e, 2, 5, 0, 0), 1000);
	check_int(retry_wait_ms(&e, 2, 5, 1, 0), 1500);       /* the floor is longer */
	check_int(retry_wait_ms(&e, 9, 9, 0, UINT32_MAX), 20000);
	e.retry_after_s = 30;
	check_int(retry_wait_ms(&e, 9, 9, 1, UINT32_MAX), 30000);
	e.retry_after_s = RETRY_AFTER_MAX_S;
	check_int(retry_wait_ms(&e, 2, 5, 0, 0), 300000);
	e.retry_after_s = RETRY_AFTER_MAX_S + 1;
	check_int(retry_wait_ms(&e, 2, 5, 0, 0), 300000);
	e.retry_after_s = INT_MAX;
	check_int(retry_wait_ms(&e, 2, 5, 0, 0), 300000);
	e.retry_after_s = -5;
	check_int(retry_wait_ms(&e, 2, 5, 0, 0), 0);
}

int
main(void)
{
	test_kinds();
	test_statuses();
	test_codes();
	test_jitter();
	test_giving_up();
	test_floor();
	test_retry_after();
	return test_end();
}
