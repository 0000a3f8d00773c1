/* The parts of s3 and upload that need no server: ETags of parts, part sizes, error codes and their cures; and what a server's clock does. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "http_scene.h"
#include "hash.h"
#include "s3.h"
#include "s3_error.h"
#include "retry.h"
#include "upload.h"
#include "upload_parts.h"

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
		struct hash_md5 sum;

		read_pattern(NULL, from, piece, len, NULL);
		hash_md5_init(&sum);
		hash_md5_update(&sum, piece, len);
		hash_md5_out(&sum, md5);
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
		struct http_body whole = {.read = read_pattern};
		struct err e = {0};
		int n;

		if (sscanf(line, "%llu %llu %63s", &total, &size, want) != 3)
			continue;
		n = (int)((total + size - 1) / size);
		parts_of(total, size, parts, n);
		s3_parts_etag(parts, n, got);
		check_str(got, want);
		whole.len = o.size = total;
		snprintf(o.etag, sizeof o.etag, "%s", want);
		check_int(s3_same_content(&o, &whole, size, &e), 1);
		o.etag[3] = o.etag[3] == '0' ? '1' : '0';
		check_int(s3_same_content(&o, &whole, size, &e), 0);
		check_int(s3_same_content(&o, &whole, size + 1048576 * 5, &e), 0);
		o.size++;
		check_int(s3_same_content(&o, &whole, size, &e), 0);
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
	struct http_body whole = {9, read_pattern, NULL};
	char got[S3_ETAG_CAP] = "x";
	struct err e = {0};

	s3_parts_etag(parts, 2, got);
	check_str(got, "");
	check_int(s3_same_content(&o, &whole, 5, &e), 0);
	/* More parts than there can be, as a server has it that wants us to be busy: nothing is read. */
	whole = (struct http_body){1ULL << 40, NULL, NULL};
	o = (struct s3_object_info){.size = whole.len, .etag = "d41d8cd98f00b204e9800998ecf8427e-1099511627776"};
	check_int(s3_same_content(&o, &whole, 1, &e), 0);
}

static void
test_part_size(void)
{
	const uint64_t mib = 1 << 20, ask = 50 * mib;

	check_int(upload_part_size(0, ask), ask);
	check_int(upload_part_size(0, 0), UPLOAD_PART_SIZE);
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
	struct s3_refusal r = {.status = 403, .bucket = "pics", .key = "a\nb"};
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
	check_str(e.code, "InvalidAccessKeyId");
	check(strstr(e.msg, ": the server does not know this access key: check R2_ACCESS_KEY_ID") != NULL);
	/* HEAD has no body: the status stands for the code. */
	r.status = 404;
	s3_refused(&e, &r, &none);
	check_str(e.code, "NoSuchKey");
	/* Ceph of an upload that is just being completed. */
	r.of_upload = 1;
	s3_refused(&e, &r, &none);
	check_str(e.code, "NoSuchUpload");
	check(strstr(e.msg, "the unfinished upload is gone") != NULL);
	/* A wrong endpoint: the redirect is reported, never followed. */
	r = (struct s3_refusal){.status = 301, .bucket = "pics", .key = "", .location = "https://elsewhere.example/"};
	s3_refused(&e, &r, &none);
	check_str(e.code, "PermanentRedirect");
	check(strstr(e.msg, "redirected to https://elsewhere.example/") != NULL);
	check(!strstr(e.msg, "key"));
	/* AWS names the address in the body. */
	s3_error_element(&x, "Endpoint", "s3.elsewhere.example", 20, &e);
	r.location = NULL;
	s3_refused(&e, &r, &x);
	check(strstr(e.msg, "redirected to s3.elsewhere.example") != NULL);
	r.status = 599;
	s3_refused(&e, &r, &none);
	check_str(e.code, "");
}

/* What a server says goes to people's terminals: nothing of it acts there. */
static void
test_error_text(void)
{
	static const char says[] = "\033[2J\rup\xe2\x80\xae";
	struct s3_error x = {0};
	struct err e;

	s3_error_element(&x, "Code", says, strlen(says), &e);
	check_str(x.code, "\\x1b[2J\\rup\\u202e");
	s3_error_element(&x, "Message", says, strlen(says), &e);
	check_str(x.message, x.code);
	s3_error_element(&x, "RequestId", says, strlen(says), &e);
	check_str(x.request_id, x.code);
	s3_error_element(&x, "Resource", "other", 5, &e);
	check_str(x.message, x.code);
}

/* ---- a server with a clock of its own, and what it answers, the last for ever */
static char answers[2][512];
static char dates[4][17];      /* x-amz-date of each request */
static struct s3_store *beside;/* not NULL: another connection of this store learns the server's clock while the first answer is on its way, */
static long beside_s;          /* which is so far ahead */

static void
play_answers(struct scene *s)
{
	int fd = hear(s);

	for (int i = 0; fd >= 0 && read_request(s, fd) && i < 4; i++) {
		const char *date = strstr(s->head, "x-amz-date: ");

		snprintf(dates[i], sizeof dates[i], "%s", date ? date + 12 : "");
		if (beside)
			__atomic_store_n(&beside->skew_s, beside_s, __ATOMIC_RELAXED);
		say(fd, answers[i > 0]);
	}
	if (fd >= 0)
		hang_up(fd);
}

/* A reply with one more field; ahead: its Date, in seconds from now. */
static void
answer(char out[512], const char *status, long ahead, const char *field, const char *xml)
{
	time_t t = time(NULL) + ahead;
	char date[64];

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&t));
	snprintf(out, 512, "HTTP/1.1 %s\r\nDate: %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, date, field, strlen(xml), xml);
}

static int
no_entry(void *arg, const struct s3_entry *x, struct err *e)
{
	(void)arg, (void)x, (void)e;
	return 0;
}

static int tries = 1;          /* that are allowed */

/* One call of a server that plays so. */
static int
ask(void (*play)(struct scene *s), int (*call)(struct s3 *s, struct err *e), struct err *e)
{
	static struct config cfg = {
		.host = "127.0.0.1", .bucket = "runpod", .region = "auto", .key_id = "k", .secret = ";s,ret-of-this-test",
		.token = "token-that-nobody-may-see", .timeout_ms = 20000,
	};
	static struct scene server;
	struct s3_store store;
	struct s3 s = {0};
	int rc;

	*e = (struct err){0};
	scene_open(&server, play);
	cfg.port = server.port;
	cfg.retries = tries;
	snprintf(cfg.host_field, sizeof cfg.host_field, "127.0.0.1:%d", server.port);
	if (s3_store_open(&store, &cfg, e) < 0)
		return -1;
	s3_open(&s, &store);
	rc = call(&s, e);
	s3_close(&s);
	s3_store_close(&store);
	scene_close(&server);
	return rc;
}

static int
list_all(struct s3 *s, struct err *e)
{
	return s3_list(s, &(struct s3_list){.prefix = "", .entry = no_entry}, e);
}

static int
list_beside(struct s3 *s, struct err *e)
{
	int rc;

	beside = s->store;
	rc = list_all(s, e);
	beside = NULL;
	return rc;
}

static int
list_once(struct err *e)
{
	memset(dates, 0, sizeof dates);
	return ask(play_answers, list_all, e);
}

/* How far a request's date is from now, in seconds. */
static long
ahead_of(const char *date)
{
	struct tm tm = {0};

	check(strptime(date, "%Y%m%dT%H%M%SZ", &tm) != NULL);
	return (long)(timegm(&tm) - time(NULL));
}

#define SKEWED "<Error><Code>RequestTimeTooSkewed</Code></Error>"
#define NOTHING "<ListBucketResult></ListBucketResult>"

/* A server that refuses our time is asked once more, by its clock; one whose clock is ours has another reason. */
static void
test_clock(void)
{
	static const long clocks[] = {2 * 3600, -30 * 86400};
	struct err e;

	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		answer(answers[0], "403 Forbidden", clocks[i], "", SKEWED);
		answer(answers[1], "200 OK", clocks[i], "", NOTHING);
		check_int(list_once(&e), 0);
		check(labs(ahead_of(dates[0])) < 60);
		check(labs(ahead_of(dates[1]) - clocks[i]) < 60);
		check_str(dates[2], "");
		memcpy(answers[1], answers[0], sizeof answers[1]);
		check_int(list_once(&e), -1);
		check_str(e.code, "RequestTimeTooSkewed");
		check(*dates[1] && !*dates[2]);
		/* So are those that asked at the same time as the first who was told. */
		beside_s = clocks[i];
		answer(answers[1], "200 OK", clocks[i], "", NOTHING);
		check_int(ask(play_answers, list_beside, &e), 0);
		check(labs(ahead_of(dates[1]) - clocks[i]) < 60);
	}
	answer(answers[0], "403 Forbidden", 0, "", SKEWED);
	check_int(list_once(&e), -1);
	check_str(dates[1], "");
}

static int
head_once(struct s3 *s, struct err *e)
{
	struct s3_object_info o;

	return s3_head(s, "k", &o, e);
}

/* AWS of a bucket of another region: only its answer to GET names the place. */
static void
test_head_elsewhere(void)
{
	struct err e;

	memset(dates, 0, sizeof dates);
	answer(answers[0], "301 Moved Permanently", 0, "x-amz-bucket-region: eu-west-1\r\n", "");
	answer(answers[1], "301 Moved Permanently", 0, "", "<Error><Code>PermanentRedirect</Code><Endpoint>s3.eu-west-1.example</Endpoint></Error>");
	check_int(ask(play_answers, head_once, &e), -1);
	check_str(e.code, "PermanentRedirect");
	check(strstr(e.msg, "redirected to s3.eu-west-1.example") != NULL);
	check(*dates[1] && !*dates[2]);
	/* Nobody is asked for ever. */
	memset(dates, 0, sizeof dates);
	answer(answers[0], "304 Not Modified", 0, "", "");
	memcpy(answers[1], answers[0], sizeof answers[1]);
	check_int(ask(play_answers, head_once, &e), -1);
	check(*dates[1] && !*dates[2]);
}

static struct s3_object_info described;

static int
describe_once(struct s3 *s, struct err *e)
{
	memset(&described, 0xff, sizeof described);
	return s3_head(s, "k", &described, e);
}

/* Apache httpd as a proxy takes "Content-Length: 0" out of the answer to a HEAD, whatever encoding is accepted. */
static void
test_head_without_length(void)
{
	struct err e;

	strcpy(answers[0], OK "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n\r\n");
	memcpy(answers[1], answers[0], sizeof answers[1]);
	check_int(ask(play_answers, describe_once, &e), 0);
	check(described.size == 0);
	/* Of any other object nothing is known. */
	strcpy(answers[0], OK "ETag: \"d41d8cd98f00b204e9800998ecf8427f\"\r\n\r\n");
	memcpy(answers[1], answers[0], sizeof answers[1]);
	check_int(ask(play_answers, describe_once, &e), -1);
	check(strstr(e.msg, "did not say how large the object is") != NULL);
}

/* In seconds or as a date; what is neither, or over, is no wish. */
static void
test_retry_after(void)
{
	static const struct {
		const char *text;
		long ahead;              /* of a date, when there is no text */
		int least, most;
		long clock;              /* how far the server's is ahead of ours */
	} cases[] = {
		{"7", 0, 7, 7, 0}, {"0", 0, 0, 0, 0}, {"soon", 0, 0, 0, 0}, {"", 0, 0, 0, 0}, {"-5", 0, 0, 0, 0}, {"1.5", 0, 0, 0, 0},
		{"9999999", 0, RETRY_AFTER_MAX_S, RETRY_AFTER_MAX_S, 0}, {NULL, RETRY_AFTER_MAX_S / 2, 1, RETRY_AFTER_MAX_S / 2, 0},
		{NULL, 100000000, RETRY_AFTER_MAX_S, RETRY_AFTER_MAX_S, 0}, {NULL, -100, 0, 0, 0}, {"Mon, 32 Dec 2025 10:00:00 GMT", 0, 0, 0, 0},
		{NULL, 100, 1, 100, 3600}, {NULL, 100, 1, 100, -3600},
	};
	char date[64], field[128];
	struct err e;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		time_t t = time(NULL) + cases[i].clock + cases[i].ahead;

		strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&t));
		snprintf(field, sizeof field, "Retry-After: %s\r\n", cases[i].text ? cases[i].text : date);
		answer(answers[0], "503 Slow Down", cases[i].clock, field, "<Error><Code>SlowDown</Code></Error>");
		check_int(list_once(&e), -1);
		check_str(e.code, "SlowDown");
		check(e.retry_after_s >= cases[i].least && e.retry_after_s <= cases[i].most);
	}
}

/* One answer, then nobody is there any more. */
static void
play_outage(struct scene *s)
{
	int fd = hear(s);

	shutdown(s->listener, SHUT_RDWR);
	if (read_request(s, fd))
		say(fd, answers[0]);
	hang_up(fd);
}

static int pauses, lasts = 1;

static int
stop_at_pause(void *arg, int ms)
{
	(void)arg, (void)ms;
	return ++pauses >= lasts;
}

static int
list_in_outage(struct s3 *s, struct err *e)
{
	s->store->pause = stop_at_pause;
	return list_all(s, e);
}

/* What answered before is waited for, unless one attempt is all there shall be. */
static void
test_outage(void)
{
	struct err e;

	answer(answers[0], "200 OK", 0, "Connection: close\r\n",
		"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>");
	check_int(ask(play_outage, list_in_outage, &e), -1);
	check_int(e.kind, ERR_CONNECT);
	check_int(pauses, 0);
	tries = 2;
	check_int(ask(play_outage, list_in_outage, &e), -1);
	check_int(e.kind, ERR_STOPPED);
	check_int(pauses, 1);
	tries = 1;
}

/* Where a proxy stands before the store, an outage is what it says of the store: in HTML. */
static void
test_outage_behind_proxy(void)
{
	static const char *const statuses[] = {"502 Bad Gateway", "503 Service Unavailable", "504 Gateway Time-out", "522 Timed Out"};
	struct err e;

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		answer(answers[0], "200 OK", 0, "",
			"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>");
		answer(answers[1], statuses[i], 0, "", "<html><h1>Bad Gateway</h1></html>");
		tries = 2;
		lasts = 3;
		pauses = 0;
		check_int(ask(play_answers, list_in_outage, &e), -1);
		check_int(e.kind, ERR_STOPPED);
		check_int(pauses, 3);
		tries = 1;
		pauses = 0;
		check_int(ask(play_answers, list_in_outage, &e), -1);
		check_int(e.kind, ERR_HTTP);
		check_int(pauses, 0);
	}
	tries = 2;
	/* What the store itself says, it means. */
	answer(answers[1], "503 Slow Down", 0, "", "<Error><Code>ServiceUnavailable</Code></Error>");
	pauses = 0;
	check_int(ask(play_answers, list_in_outage, &e), -1);
	check_int(e.kind, ERR_HTTP);
	check_int(pauses, 1);
	/* A store that has not been reached yet may not be there at all. */
	answer(answers[1], statuses[0], 0, "", "");
	memcpy(answers[0], answers[1], sizeof answers[0]);
	pauses = 0;
	check_int(ask(play_answers, list_in_outage, &e), -1);
	check_int(e.kind, ERR_HTTP);
	check_int(pauses, 1);
	tries = lasts = 1;
}

static int
delete_one(struct s3 *s, struct err *e)
{
	int marker = 0;

	return s3_delete(s, "k", &marker, e);
}

/* The second request is heard and not answered, then nobody is there any more. */
static void
play_death(struct scene *s)
{
	int fd = hear(s);

	if (read_request(s, fd))
		say(fd, answers[0]);
	if (read_request(s, fd))
		shutdown(s->listener, SHUT_RDWR);
	hang_up(fd);
}

static int
delete_two(struct s3 *s, struct err *e)
{
	return delete_one(s, e) < 0 ? -2 : delete_one(s, e);
}

/* What a connection that died had brought the server may be done, although it could not be said again. */
static void
test_death(void)
{
	struct err e;

	answer(answers[0], "200 OK", 0, "", "");
	check_int(ask(play_death, delete_two, &e), -1);
	check_int(e.kind, ERR_CONNECT);
	check(e.maybe_done);
}

/* Only 2xx is success: an object that is elsewhere has not been deleted. */
static void
test_status(void)
{
	static const struct { const char *status; int rc; } rows[] = {
		{"200 OK", 0}, {"204 No Content", 0}, {"301 Moved Permanently", -1}, {"302 Found", -1}, {"304 Not Modified", -1},
		{"307 Temporary Redirect", -1}, {"400 Bad Request", -1}, {"600 Unheard", -1},
	};
	struct err e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		answer(answers[0], rows[i].status, 0, "Location: https://elsewhere.example/\r\n", "");
		check_int(ask(play_answers, delete_one, &e), rows[i].rc);
		if (rows[i].rc < 0)
			check_int(e.status, atoi(rows[i].status));
	}
}

/* A server that repeats what it was sent, or knows, in its refusal: each word that begins like a secret is struck out,
   whatever the secret begins with. */
static void
test_repeated_secrets(void)
{
	struct err e;

	answer(answers[0], "403 Forbidden", 0, "", "<Error><Code>;s,ret-of-this-test</Code><Message>;s,ret-of-this-test, token-that-nobody-may-see; "
		"x=;s,ret-of-this-tes&amp;y Signature=0123456789abcdef t%6fken%2dthat; 100% end</Message></Error>");
	check_int(ask(play_answers, delete_one, &e), -1);
	check_str(e.msg, "******************** *******************, *************************; x=******************&y "
		"Signature=**************** **************; 100% end (status 403, bucket runpod, key k)");
	check_str(e.code, "*******************");
}

/* ---- DeleteObjects */
static int
no_pause(void *arg, int ms)
{
	(void)arg, (void)ms;
	return 0;
}

static char heard[8][2048];    /* of each request the first line and the body */
static char remained[256];     /* what is still there, as the caller is told */

static void
play_deletes(struct scene *s)
{
	int fd = hear(s);

	for (int i = 0; fd >= 0 && i < 8 && read_request_head(s, fd); i++) {
		const char *field = strstr(s->head, "Content-Length: ");
		size_t n = strcspn(s->head, "\r") + 1, left = field ? strtoul(field + 16, NULL, 10) : 0;

		snprintf(heard[i], n, "%s", s->head);
		heard[i][n - 1] = '\n';
		if (n + left >= sizeof heard[i] || (left && recv(fd, heard[i] + n, left, MSG_WAITALL) != (ssize_t)left))
			break;
		heard[i][n + left] = '\0';
		say(fd, *heard[i] == 'D' ? "HTTP/1.1 204 No Content\r\n\r\n" : answers[i > 0]);
	}
	if (fd >= 0)
		hang_up(fd);
}

static void
remains(void *arg, int index, const struct err *why)
{
	struct buf *b = arg;

	buf_fmt(b, "%d %s, ", index, why->code);
}

static int
delete_some(struct s3 *s, struct err *e)
{
	static const char *const keys[] = {"plain", " front", "behind ", "a\nb", "\xff", "last"};
	struct buf b = BUF(remained);

	s->store->pause = no_pause;
	return s3_delete_many(s, &(struct s3_delete){.keys = keys, .n = 6, .remains = remains, .arg = &b}, e);
}

static int
delete_once(const char *xml, struct err *e)
{
	memset(heard, 0, sizeof heard);
	remained[0] = '\0';
	answer(answers[0], "200 OK", 0, "", xml);
	return ask(play_deletes, delete_some, e);
}

/* At a key that is gone somebody may have put another object before the next attempt. */
static void
test_delete_again(void)
{
	struct err e;

	tries = 2;
	answer(answers[1], "200 OK", 0, "", "<DeleteResult/>");
	check_int(delete_once("<DeleteResult><Error><Key>last</Key><Code>InternalError</Code></Error></DeleteResult>", &e), 0);
	check(strstr(heard[0], "<Key>plain</Key>") != NULL);
	check_str(heard[1], "POST /runpod?delete= HTTP/1.1\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Object><Key>last</Key></Object><Quiet>true</Quiet></Delete>");
	check_str(remained, "");
	/* What is refused for good is told at the end, too. */
	answer(answers[1], "200 OK", 0, "", "<DeleteResult><Error><Key>last</Key><Code>AccessDenied</Code></Error></DeleteResult>");
	check_int(delete_once("<DeleteResult><Error><Key>plain</Key><Code>InternalError</Code></Error><Error><Key>last</Key><Code>AccessDenied</Code>"
		"</Error></DeleteResult>", &e), 0);
	check(strstr(heard[1], "<Key>plain</Key></Object><Object><Key>last</Key>") != NULL);
	check_str(remained, "5 AccessDenied, ");
	tries = 1;
}

/* Keys that XML might not bring there as they are go by themselves, lest another object be deleted. */
static void
test_delete_many(void)
{
	struct err e;

	check_int(delete_once("<DeleteResult/>", &e), 0);
	check_str(heard[0], "POST /runpod?delete= HTTP/1.1\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Object><Key>plain</Key></Object><Object><Key>last</Key></Object><Quiet>true</Quiet></Delete>");
	check_str(heard[1], "DELETE /runpod/%20front HTTP/1.1\n");
	check_str(heard[2], "DELETE /runpod/behind%20 HTTP/1.1\n");
	check_str(heard[3], "DELETE /runpod/a%0Ab HTTP/1.1\n");
	check_str(heard[4], "DELETE /runpod/%FF HTTP/1.1\n");
	check_str(heard[5], "");
	check_str(remained, "");
	/* What the server says of a key, however little; but that it is not there is no failure. */
	check_int(delete_once("<DeleteResult><Error><Key>last</Key><Code>AccessDenied</Code></Error></DeleteResult>", &e), 0);
	check_str(remained, "5 AccessDenied, ");
	check_int(delete_once("<DeleteResult><Error><Key>plain</Key></Error><Error><Key>last</Key><Code>NoSuchKey</Code></Error></DeleteResult>", &e), 0);
	check_str(remained, "0 Unknown, ");
	/* A secret in it is struck out, as everywhere. */
	check_int(delete_once("<DeleteResult><Error><Key>last</Key><Code>token-that-nobody-may-see</Code></Error></DeleteResult>", &e), 0);
	check_str(remained, "5 *************************, ");
	/* Of another key, or cut off: nobody knows what is gone. Then none is tried one by one either. */
	check_int(delete_once("<DeleteResult><Error><Key>front</Key><Code>AccessDenied</Code></Error></DeleteResult>", &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_int(delete_once("<html><body/></html>", &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_int(delete_once("<ListBucketResult><DeleteResult/></ListBucketResult>", &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_int(delete_once("<DeleteResult><Error><Key>last</Key><Code>AccessDenied</Code></Error>", &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_int(delete_once("<DeleteResult><Error><Key>last</Key><Code>InternalError</Code></Error>", &e), -1);
	check_int(e.kind, ERR_PROTO);
	check_str(heard[1], "");
	check_str(remained, "");
}

/* ---- an object, and another version of it */
static char fetched[64];

static int lost;               /* the first answers, that are */

/* Each request on a connection of its own, which ends with the answer. */
static void
play_versions(struct scene *s)
{
	int fd;

	for (int i = -lost; (fd = hear(s)) >= 0; i = i < 0 ? i + 1 : 1) {
		if (read_request(s, fd) && i >= 0)
			say(fd, answers[i]);
		hang_up(fd);
	}
}

static int
keep_data(void *arg, const void *p, size_t n, struct err *e)
{
	struct buf *b = arg;

	(void)e;
	buf_put(b, p, n);
	return 0;
}

static int
fetch(struct s3 *s, const char *if_match, struct err *e)
{
	struct s3_object_info o;
	struct buf b = BUF(fetched);

	buf_reset(&b);
	return s3_get(s, &(struct s3_get){.key = "k", .if_match = if_match, .data = keep_data, .arg = &b}, &o, e);
}

static int
fetch_any(struct s3 *s, struct err *e)
{
	return fetch(s, NULL, e);
}

static int
fetch_known(struct s3 *s, struct err *e)
{
	return fetch(s, "one", e);
}

/* No server's word is needed that it does not mix them. */
static void
test_versions(void)
{
	struct err e;

	tries = 2;
	strcpy(answers[0], OK "ETag: \"one\"\r\nContent-Length: 10\r\n\r\nfirst");
	strcpy(answers[1], "HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\nlater");
	check_int(ask(play_versions, fetch_any, &e), 0);
	check_str(fetched, "firstlater");
	check_int(ask(play_versions, fetch_known, &e), 0);
	check_str(fetched, "firstlater");
	memcpy(strstr(answers[1], "one"), "two", 3);
	check_int(ask(play_versions, fetch_any, &e), -1);
	check_int(e.status, 412);
	check_str(fetched, "first");
	check_int(ask(play_versions, fetch_known, &e), -1);
	check_int(e.status, 412);
	memcpy(strstr(answers[0], "one"), "two", 3);
	check_int(ask(play_versions, fetch_known, &e), -1);
	check_int(e.status, 412);
	check_str(fetched, "");
	tries = 1;
}

/* "rclone serve s3" says 200 of a part. What is no part by its length is the whole. */
static void
test_part_as_200(void)
{
	struct err e;

	tries = 2;
	strcpy(answers[0], OK "ETag: \"one\"\r\nContent-Length: 10\r\n\r\nfirst");
	strcpy(answers[1], OK "ETag: \"one\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\nlater");
	check_int(ask(play_versions, fetch_any, &e), 0);
	check_str(fetched, "firstlater");
	memcpy(strstr(answers[1], "5-9"), "4-8", 3);
	check_int(ask(play_versions, fetch_any, &e), -1);
	check(strstr(e.msg, "sent another part") != NULL);
	strcpy(answers[1], OK "ETag: \"one\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 10\r\n\r\nfirstlater");
	check_int(ask(play_versions, fetch_any, &e), -1);
	check(strstr(e.msg, "ignores Range") != NULL);
	check_str(fetched, "first");
	tries = 1;
}

/* Where the answer has no code, its status stands for one: so that there is a cause and a cure. */
static void
test_code_of_status(void)
{
	static const struct { const char *status, *code; } rows[] = {
		{"302 Found", "PermanentRedirect"}, {"308 Permanent Redirect", "PermanentRedirect"}, {"401 Unauthorized", "Unauthorized"},
		{"403 Forbidden", "AccessDenied"}, {"404 Not Found", "NoSuchKey"}, {"418 Teapot", ""}, {"500 Internal Server Error", "InternalError"},
		{"501 Not Implemented", "NotImplemented"}, {"502 Bad Gateway", "ServiceUnavailable"}, {"504 Gateway Timeout", "ServiceUnavailable"},
		{"505 Version", ""}, {"519 None", ""}, {"520 Unknown", "ServiceUnavailable"}, {"530 Origin", "ServiceUnavailable"}, {"531 None", ""},
	};
	struct err e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		answer(answers[0], rows[i].status, 0, "Connection: close\r\n", "");
		memcpy(answers[1], answers[0], sizeof answers[1]);
		check_int(ask(play_versions, fetch_known, &e), -1);
		check_str(e.code, rows[i].code);
		check(!*e.code == !!strstr(e.msg, "the server refused"));
		check(!*e.code == !!strstr(e.msg, "check R2_ENDPOINT (https or http, host, port)"));
	}
}

/* ---- an upload in parts, whose two parts are of no bytes */
#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"
#define OF_TWO "5873dd45edd01f09c1ef2e7819369e8e-2"
#define COMPLETE_SAYS(x) "<CompleteMultipartUploadResult>" x "</CompleteMultipartUploadResult>"
#define ERROR_SAYS(x) "<Error>" x "<Message>of the server</Message></Error>"

static char completed[S3_ETAG_CAP];

static int
complete(struct s3 *s, struct err *e)
{
	static const struct s3_part parts[] = {{.number = 1, .etag = EMPTY_MD5}, {.number = 2, .etag = EMPTY_MD5}};
	static const struct upload_options o = {.if_exists = UPLOAD_OVERWRITE};
	struct upload u = {.o = &o, .r = {.key = "k", .size = 10}, .src.fd = -1};
	int rc;

	s->store->pause = no_pause;
	rc = parts_complete(s, &u, &(struct parts_sent){"id", parts, 2}, e);
	memcpy(completed, u.r.etag, sizeof completed);
	return rc;
}

/* The answer to Complete, then that to HEAD. */
static int
complete_once(const char *status, const char *xml, const char *etag, int size, struct err *e)
{
	answer(answers[0], status, 0, "Connection: close\r\n", xml);
	snprintf(answers[1], sizeof answers[1], OK "ETag: \"%s\"\r\nContent-Length: %d\r\n\r\n", etag, size);
	return ask(play_versions, complete, e);
}

/* It is stored when the server says so, or has it, and it is what the parts make. */
static void
test_complete(void)
{
	struct err e;

	check_int(complete_once("200 OK", COMPLETE_SAYS("<ETag>&quot;" OF_TWO "&quot;</ETag>"), "", 0, &e), 0);
	check_str(completed, OF_TWO);
	check_int(complete_once("200 OK", COMPLETE_SAYS(""), "", 0, &e), 0);
	check_str(completed, OF_TWO);
	check_int(complete_once("200 OK", COMPLETE_SAYS("<ETag>&quot;" EMPTY_MD5 "-2&quot;</ETag>"), OF_TWO, 10, &e), -1);
	check_int(e.kind, ERR_CORRUPT);
	/* A 200 that is an error, or is of something else; a 500, an answer that is lost: the object itself is asked. */
	static const char *const says[] = {ERROR_SAYS("<Code>InternalError</Code>"), ERROR_SAYS("<Code>InternalError</Code>"),
		"<CompleteMultipart", ERROR_SAYS(""), "<html><body/></html>"};
	for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
		const char *status = i == 1 ? "500 Internal Server Error" : "200 OK", *xml = says[i];

		check_int(complete_once(status, xml, OF_TWO, 10, &e), 0);
		check_int(complete_once(status, xml, OF_TWO, 11, &e), -1);
		check_str(e.code, i < 2 ? "InternalError" : "");
		check_int(complete_once(status, xml, EMPTY_MD5, 10, &e), -1);
		check_str(completed, "");
	}
	/* Refused: whatever stands there is somebody else's. */
	check_int(complete_once("412 Precondition Failed", "", OF_TWO, 10, &e), -1);
	check_int(e.status, 412);
	/* Not where an answer was lost before: then it may be ours. */
	lost = 1;
	tries = 2;
	check_int(complete_once("412 Precondition Failed", "", OF_TWO, 10, &e), 0);
	check_str(completed, OF_TWO);
	check_int(complete_once("412 Precondition Failed", "", OF_TWO, 11, &e), -1);
	check_int(e.status, 412);
	lost = 0;
	tries = 1;
}

static int
no_part(void *arg, const struct s3_part *p, struct err *e)
{
	(void)arg, (void)p, (void)e;
	return 0;
}

static int
list_parts(struct s3 *s, struct err *e)
{
	return s3_list_parts(s, "k", "id", no_part, NULL, e);
}

static void
test_endless_parts(void)
{
	struct err e;

	answer(answers[0], "200 OK", 0, "", "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker></ListPartsResult>");
	memcpy(answers[1], answers[0], sizeof answers[1]);
	check_int(ask(play_answers, list_parts, &e), -1);
	check_int(e.kind, ERR_PROTO);
	answer(answers[1], "200 OK", 0, "", "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>");
	check_int(ask(play_answers, list_parts, &e), 0);
}

/* ---- a body that comes in pieces, as pread(2) may give it on some file systems */
static uint64_t put_len, body_len;
static unsigned body_sum;

static ssize_t
read_pieces(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	return read_pattern(arg, off, p, n < 7001 ? n : 7001, e);
}

static void
play_put(struct scene *s)
{
	int fd = hear(s);

	if (fd >= 0 && read_request(s, fd))
		say(fd, answers[0]);
	body_sum = s->body_sum;
	body_len = s->body_len;
	hang_up(fd);
}

static int
put_pieces(struct s3 *s, struct err *e)
{
	struct s3_put_result r;

	return s3_put(s, &(struct s3_put){.key = "k", .body = {put_len, read_pieces, NULL}}, &r, e);
}

static void
test_put_pieces(void)
{
	static unsigned char all[200000];
	unsigned char md5[HASH_MD5_LEN];
	char hex[2 * HASH_MD5_LEN + 1];
	struct buf b = BUF(hex);
	struct err e;

	for (put_len = 1; put_len < sizeof all; put_len = put_len * 3 + 6000) {
		struct http_body whole = {put_len, read_pattern, NULL};
		unsigned sum = 0;

		read_pattern(NULL, 0, all, (size_t)put_len, &e);
		for (uint64_t i = 0; i < put_len; i++)
			sum = sum * 31 + all[i];
		check_int(s3_body_md5(&whole, md5, &e), 0);
		buf_reset(&b);
		enc_hex(&b, md5, sizeof md5);
		snprintf(answers[0], sizeof answers[0], "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nContent-Length: 0\r\n\r\n", hex);
		check_int(ask(play_put, put_pieces, &e), 0);
		check_int(body_len, put_len);
		check(body_sum == sum);
	}
}

/* ---- a file that changes */
static int is_changed, passes, admissions;

static int
changed(void *arg)
{
	(void)arg;
	return is_changed;
}

static int
change_meanwhile(void *arg, int ms)
{
	(void)arg, (void)ms;
	is_changed = 1;
	return 0;
}

/* Who is let in comes out again: else nobody else ever would be. */
static int
let_in(void *arg)
{
	(void)arg;
	admissions++;
	return 0;
}

static void
let_out(void *arg, const struct s3_attempt *a)
{
	(void)arg, (void)a;
	admissions--;
}

static void
watch_store(struct s3_store *st)
{
	st->pause = change_meanwhile;
	st->admit = let_in;
	st->observe = let_out;
}

/* While it is sent, behind the reading for its checksums. */
static ssize_t
read_changing(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	passes += off == 0;
	is_changed |= passes > 1 && off > 0;
	return read_pattern(arg, off, p, n, e);
}

static int
put_waiting(struct s3 *s, struct err *e)
{
	struct s3_put_result r;

	watch_store(s->store);
	return s3_put(s, &(struct s3_put){.key = "k", .body = {put_len, read_pattern, NULL}, .changed = changed}, &r, e);
}

static int
put_changing(struct s3 *s, struct err *e)
{
	struct s3_put_result r;

	watch_store(s->store);
	return s3_put(s, &(struct s3_put){.key = "k", .body = {put_len, read_changing, NULL}, .changed = changed}, &r, e);
}

static int
complete_waiting(struct s3 *s, struct err *e)
{
	static const struct s3_part parts[] = {{.number = 1, .etag = EMPTY_MD5}};
	char etag[S3_ETAG_CAP];

	watch_store(s->store);
	return s3_complete(s, &(struct s3_complete){.key = "k", .upload_id = "id", .parts = parts, .nparts = 1, .changed = changed}, etag, e);
}

/* What it was is not stored any more: another process may have stored what it is now, and removed it (--move). */
static void
test_changed(void)
{
	struct err e;

	tries = 2;
	answer(answers[0], "503 Service Unavailable", 0, "", "");
	answer(answers[1], "200 OK", 0, "ETag: \"" EMPTY_MD5 "\"\r\n", "");
	for (int i = 0; i < 3; i++) {
		put_len = i == 1 ? 10 : 0;
		is_changed = 0;
		memset(dates, 0, sizeof dates);
		check_int(ask(play_answers, i < 2 ? put_waiting : complete_waiting, &e), -1);
		check_int(e.kind, ERR_CHANGED);
		check(*dates[0] && !*dates[1]);
	}
	tries = 1;
	is_changed = 0;
	put_len = 200000;
	check_int(ask(play_put, put_changing, &e), -1);
	check_int(e.kind, ERR_CHANGED);
	check(body_len < put_len);
	check_int(admissions, 0);
}

int
main(void)
{
	test_put_pieces();
	test_changed();
	test_code_of_status();
	test_complete();
	test_endless_parts();
	test_versions();
	test_part_as_200();
	test_status();
	test_repeated_secrets();
	test_delete_many();
	test_delete_again();
	test_clock();
	test_head_elsewhere();
	test_head_without_length();
	test_outage();
	test_outage_behind_proxy();
	test_death();
	test_retry_after();
	test_parts_etag();
	test_etag_that_is_no_md5();
	test_part_size();
	test_cures();
	test_refused();
	test_error_text();
	return test_end();
}
