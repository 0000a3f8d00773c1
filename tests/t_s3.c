/* The parts of s3 and upload that need no server: ETags of parts, part sizes, error codes and their cures. */
#include <stdio.h>
#include <stdlib.h>
#include "hash.h"
#include "s3.h"
#include "s3_error.h"
#include "test.h"
#include "upload.h"

static ssize_t
read_pattern(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	unsigned char *b = p;

	(void)arg, (void)e;
	for (size_t i = 0; i < n; i++)
		b[i] = (unsigned char)((off + i) * 31 + 7);
	return (ssize_t)n;
}

static void
parts_of(uint64_t total, uint64_t size, struct s3_part *parts, int n)
{
	static unsigned char piece[8 << 20];
	unsigned char md5[HASH_MD5_LEN];

	for (int i = 0; i < n; i++) {
		uint64_t from = (uint64_t)i * size, len = total - from < size ? total - from : size;
		struct buf b = BUF(parts[i].etag);
		struct hash_md5 h;

		read_pattern(NULL, from, piece, len, NULL);
		hash_md5_init(&h);
		hash_md5_update(&h, piece, len);
		hash_md5_out(&h, md5);
		enc_hex(&b, md5, sizeof md5);
		parts[i].number = i + 1;
	}
}

/* tests/vectors/hash/multipart_etag.tsv: total, part size, ETag, of the pattern above. */
static void
test_parts_etag(void)
{
	FILE *f = fopen("tests/vectors/hash/multipart_etag.tsv", "r");
	char line[256], want[64], got[S3_ETAG_CAP];
	unsigned long long total, size;
	int rows = 0;

	while (f && fgets(line, sizeof line, f)) {
		struct s3_part parts[16] = {0};
		struct s3_object_info o = {0};
		struct http_body body = {.read = read_pattern};
		struct err e = {0};
		int n;

		if (sscanf(line, "%llu %llu %63s", &total, &size, want) != 3)
			continue;
		n = (int)((total + size - 1) / size);
		parts_of(total, size, parts, n);
		s3_parts_etag(parts, n, got);
		check_str(got, want);
		body.len = o.size = total;
		snprintf(o.etag, sizeof o.etag, "%s", want);
		check_int(s3_same_content(&o, &body, size, &e), 1);
		o.etag[3] = o.etag[3] == '0' ? '1' : '0';
		check_int(s3_same_content(&o, &body, size, &e), 0);
		check_int(s3_same_content(&o, &body, size + 1048576 * 5, &e), 0);
		o.size++;
		check_int(s3_same_content(&o, &body, size, &e), 0);
		rows++;
	}
	check_int(rows, 5);
	if (f)
		fclose(f);
}

static void
test_etag_that_is_no_md5(void)
{
	struct s3_part parts[2] = {{1, 5, "not a digest"}, {2, 5, "d41d8cd98f00b204e9800998ecf8427e"}};
	struct s3_object_info o = {.size = 9, .etag = "opaque"};
	struct http_body body = {9, read_pattern, NULL};
	char got[S3_ETAG_CAP] = "x";
	struct err e = {0};

	s3_parts_etag(parts, 2, got);
	check_str(got, "");
	check_int(s3_same_content(&o, &body, 5, &e), 0);
}

static void
test_part_size(void)
{
	const uint64_t mib = 1 << 20, ask = 50 * mib;

	check_int(upload_part_size(0, ask), ask);
	check_int(upload_part_size(10000 * ask, ask), ask);
	check_int(upload_part_size(10000 * ask + 1, ask), ask + mib);
	/* R2's largest object: the parts must be 524 MiB and more (R2's limits page). */
	check_int(upload_part_size(S3_OBJECT_MAX, ask) / mib, 524);
	for (uint64_t size = mib; size < S3_OBJECT_MAX; size = size * 3 + 12345) {
		uint64_t part = upload_part_size(size, 5 * mib);

		check((size + part - 1) / part <= S3_PARTS_MAX);
		check(part >= 5 * mib && part % mib == 0);
	}
}

static void
test_cures(void)
{
	/* The old documentation's five, and R2's error page (section 3 of its S3 API). */
	static const char *const codes[] = {
		"InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "AccessDenied", "SlowDown", "Unauthorized", "NotEntitled",
		"ExpiredRequest", "InvalidBucketName", "BucketNotEmpty", "BucketConflict", "NoSuchKey", "InvalidObjectName",
		"EntityTooLarge", "MetadataTooLarge", "ObjectLockedByBucketPolicy", "MissingContentLength", "IncompleteBody",
		"InvalidDigest", "BadDigest", "InvalidRange", "PreconditionFailed", "EntityTooSmall", "NoSuchUpload", "InvalidPart",
		"InternalError", "ServiceUnavailable", "ClientDisconnect", "TooManyRequests", "NotImplemented", "InvalidRequest",
		"InvalidRegionName", "MalformedXML", "RequestTimeTooSkewed", "TooMuchConcurrency",
	};
	struct s3_cure c;
	int rows = 0;

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		check_int(s3_cure_find(codes[i], &c), 1);
		check_str(c.code, codes[i]);
	}
	check_int(s3_cure_find("Nonsense", &c), 0);
	check_int(s3_cure_find("", &c), 0);
	for (const char *at = NULL; (at = s3_cure_next(at, &c)); rows++)
		check(*c.code && *c.cause && *c.cure);
	check(rows >= (int)(sizeof codes / sizeof *codes));
}

static void
test_refused(void)
{
	struct s3_error x = {.message = "Access Denied.", .request_id = "tx1"}, none = {0};
	struct s3_refusal r = {403, "pics", "a\nb", NULL};
	struct err e = {.retry_after_s = 7};

	strcpy(x.code, "AccessDenied");
	check_int(s3_refused(&e, &r, &x), -1);
	check_int(e.kind, ERR_HTTP);
	check_int(e.status, 403);
	check_int(e.retry_after_s, 7);
	check_str(e.code, "AccessDenied");
	check(strstr(e.msg, "AccessDenied: Access Denied. (status 403, bucket pics, key a\\nb, request tx1): ") == e.msg);
	/* R2 of a key id that cannot be one: not "a value of the request", but the key. */
	strcpy(x.code, "InvalidArgument");
	strcpy(x.message, "Credential access key has length 20, should be 32");
	s3_refused(&e, &r, &x);
	check_str(e.code, "InvalidArgument");
	check(strstr(e.msg, ": the server does not know this access key: check R2_ACCESS_KEY_ID") != NULL);
	/* HEAD has no body: the status stands for the code. */
	r.status = 404;
	s3_refused(&e, &r, &none);
	check_str(e.code, "NoSuchKey");
	/* A wrong endpoint: the redirect is reported, never followed. */
	r = (struct s3_refusal){301, "pics", "", "https://elsewhere.example/"};
	s3_refused(&e, &r, &none);
	check_str(e.code, "PermanentRedirect");
	check(strstr(e.msg, "redirected to https://elsewhere.example/") != NULL);
	check(!strstr(e.msg, "key"));
	r.status = 599;
	s3_refused(&e, &r, &none);
	check_str(e.code, "");
}

int
main(void)
{
	test_parts_etag();
	test_etag_that_is_no_md5();
	test_part_size();
	test_cures();
	test_refused();
	return test_end();
}
