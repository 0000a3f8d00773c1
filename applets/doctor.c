#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "doctor.h"
#include "json.h"
#include "log.h"
#include "path.h"
#include "retry.h"

/* The steps in the order in which a request meets them. */
enum step { STEP_CONFIG, STEP_NAME, STEP_CONNECT, STEP_TLS, STEP_ANSWER, STEP_CLOCK, STEP_SIGNATURE, STEP_BUCKET, STEP_RIGHTS, STEP_DONE };

static const char *const step_names[] = {
	"configuration", "name", "connection", "TLS", "answer", "clock", "signature", "bucket", "rights",
};

static enum step
failed_step(const struct client *c, const struct err *e)
{
	switch (e->kind) {
	case ERR_NAME:
		return STEP_NAME;
	case ERR_CONNECT:
		return STEP_CONNECT;
	case ERR_TLS:
		return STEP_TLS;
	case ERR_HTTP:
		if (err_code_in(e, "AccessDenied\0NotEntitled\0"))
			return STEP_RIGHTS;
		if (err_code_in(e, "InvalidBucketName\0NoSuchBucket\0NoSuchKey\0PermanentRedirect\0"))
			return STEP_BUCKET;
		if (err_code_in(e, "RequestTimeTooSkewed\0"))
			return STEP_CLOCK;
		return e->status >= 500 || !*e->code ? STEP_ANSWER : STEP_SIGNATURE;
	default:
		return c->s3.http.connects ? STEP_ANSWER : STEP_CONNECT;
	}
}

/* "ok   put            …"; on a terminal a mark that is seen at once. */
static void
say(int fine, const char *step, const char *detail)
{
	const char *mark = isatty(STDOUT_FILENO) ? fine ? "\xe2\x9c\x93" : "\xe2\x9c\x97" : fine ? "ok  " : "FAIL";

	if (!client_args.json && !client_args.quiet)
		printf(*detail ? "%s %-13s  %s\n" : "%s %s\n", mark, step, detail);
}

/* Before anything is asked for: some servers close the connection with their first answer. STEP_TLS: whoever listens there does not finish the
   handshake; for all else that goes wrong here, that question has the better words. */
static enum step
look_at_tls(struct client *c, struct buf *b, struct err *e)
{
	struct tls_info info;

	if (!c->cfg.tls)
		return STEP_DONE;
	if (http_connect(&c->s3.http, e) < 0)
		return c->s3.http.connects && e->kind == ERR_NET ? STEP_TLS : STEP_DONE;
	tls_info(c->s3.http.tls, &info);
	buf_str(b, info.suite);
	if (info.until)
		buf_fmt(b, ", certificate by %s, %lld days left", *info.issuer ? info.issuer : "an unnamed issuer",
			(long long)(info.until - time(NULL)) / 86400);
	return STEP_DONE;
}

/* What there is to say of a step that holds. */
static void
show(const struct client *c, enum step s, const char *tls, struct buf *b)
{
	const struct config *cfg = &c->cfg;
	long ahead = (long)c->store.ahead_s;

	if (s == STEP_CONFIG)
		buf_fmt(b, "%s://%s, bucket %s, region %s, key %.4s...", cfg->tls ? "https" : "http", cfg->host_field, cfg->bucket,
			cfg->region, cfg->key_id);
	else if (s == STEP_NAME)
		buf_str(b, cfg->proxy.port ? cfg->proxy.host : cfg->host);
	else if (s == STEP_CONNECT)
		buf_fmt(b, "%s%s", c->s3.http.net.peer, cfg->proxy.port ? ", a proxy" : "");
	else if (s == STEP_TLS)
		buf_str(b, tls);
	else if (s == STEP_CLOCK && labs(ahead) < 5)
		buf_str(b, c->store.answered ? "as the server's" : "");
	else if (s == STEP_CLOCK)
		buf_fmt(b, "%ld s %s the server's", labs(ahead), ahead > 0 ? "behind" : "ahead of");
	else if (s == STEP_RIGHTS)
		buf_str(b, "list");
}

static void
report(const struct client *c, enum step bad, const char *tls)
{
	for (enum step s = STEP_CONFIG; s < STEP_DONE && s <= bad; s++) {
		char text[512];
		struct buf b = BUF(text);

		if ((s == STEP_TLS && !c->cfg.tls) || (s == STEP_ANSWER && s != bad))
			continue;
		if (s != bad)
			show(c, s, tls, &b);
		say(s != bad, step_names[s], text);
	}
}

static int
one_key(void *arg, const struct s3_entry *x, struct err *e)
{
	(void)arg;
	(void)x;
	(void)e;
	return 1;
}

/* ---- what the keys may do beyond looking: --write ---- */

static const char probe_text[] = "r2 upload --test --write\n";

static int
put(struct client *c, const char *key, int if_absent, const char *upload_id, struct err *e)
{
	struct s3_put p = {.key = key, .body = http_memory(probe_text, sizeof probe_text - 1), .if_absent = if_absent, .upload_id = upload_id,
		.part_number = 1};
	struct s3_put_result r;

	return s3_put(&c->s3, &p, &r, e);
}

static int
probe_put(struct client *c, const char *key, struct err *e)
{
	return put(c, key, 0, NULL, e);
}

static int
probe_condition(struct client *c, const char *key, struct err *e)
{
	/* Else it is refused for coming too soon, whatever the store makes of conditions. */
	clock_pause(NULL, RETRY_WRITE_FLOOR_MS);
	if (put(c, key, 1, NULL, e) == 0)
		return fail(e, ERR_PROTO, "the store replaces an object although it was told not to: --if-exists skip, rename and fail, "
			"and sync, cannot keep two writers apart there");
	return e->status == 412 ? 0 : -1;
}

static int
probe_multipart(struct client *c, const char *key, struct err *e)
{
	char id[S3_UPLOAD_ID_CAP];
	struct s3_put p = {.key = key};
	struct err ignored;
	int rc = s3_create(&c->s3, &p, id, e);

	if (rc < 0)
		return -1;
	rc = put(c, key, 0, id, e);
	return s3_abort(&c->s3, NULL, key, id, rc < 0 ? &ignored : e) < 0 ? -1 : rc;
}

static int
probe_delete(struct client *c, const char *key, struct err *e)
{
	int marker;

	return s3_delete(&c->s3, key, &marker, e);
}

static const struct probe {
	const char *name;
	int (*run)(struct client *c, const char *key, struct err *e);
	const char *missing;
} probes[] = {
	{"put", probe_put, "PutObject (R2: Object Read & Write): without it nothing can be uploaded"},
	{"condition", probe_condition, "PutObject and GetObject"},
	{"multipart", probe_multipart, "PutObject and AbortMultipartUpload: without them no large file can be uploaded"},
	{"delete", probe_delete, "DeleteObject, which only cleanup needs"},
};

/* How many probes failed; *first is the first of them, and e why. What does not need the keys' rights is tried nevertheless. */
static int
write_probes(struct client *c, const char *prefix, const char **first, struct err *e)
{
	unsigned char random[6];
	char key[PATH_KEY_MAX + 1], text[sizeof e->msg + 128];
	struct buf b = BUF(key), t = BUF(text);
	int failed = 0, rc = 0;

	path_key_join(&b, prefix, "", ".r2-probe-");
	if (getrandom(random, sizeof random, 0) != sizeof random) {
		*first = probes[0].name;
		fail_errno(e, "no random numbers: getrandom");
		return 1;
	}
	enc_hex(&b, random, sizeof random);
	for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
		const struct probe *p = &probes[i];
		struct err why;

		rc = p->run(c, key, &why);
		buf_reset(&t);
		if (rc < 0)
			buf_fmt(&t, "%s%s%s", why.msg, why.status == 403 ? "; the keys may not: " : "", why.status == 403 ? p->missing : "");
		say(rc == 0, p->name, text);
		if (rc < 0 && !failed++) {
			*first = p->name;
			*e = why;
		}
		/* Without an object there is nothing to replace, and nothing to delete. */
		if (rc < 0 && i == 0)
			return failed;
	}
	if (rc < 0)   /* of the last one: delete */
		log_r2(LOG_WARNING, "A probe of %zu bytes stays: s3://%s/%s", sizeof probe_text - 1, c->cfg.bucket, key);
	return failed;
}

static void
print_json(const struct client *c, const char *bad, const struct err *e)
{
	struct json j;

	json_begin(&j);
	json_string(&j, "status", bad ? "failed" : "ok");
	json_string(&j, "bucket", c->cfg.bucket);
	if (bad) {
		json_string(&j, "step", bad);
		json_string(&j, "error", e->msg);
	}
	json_end(&j);
}

int
doctor(struct client *c, int write, const char *prefix)
{
	struct s3_list one = {.prefix = "", .max_keys = 1, .entry = one_key};
	struct err e;
	const char *bad = NULL;
	char text[256];
	struct buf tls = BUF(text);
	enum step at = look_at_tls(c, &tls, &e);

	if (at == STEP_DONE && s3_list(&c->s3, &one, &e) < 0)
		at = failed_step(c, &e);
	log_r2(LOG_INFO, "R2 client ready: %s", c->cfg.bucket);
	report(c, at, text);
	if (at != STEP_DONE)
		bad = step_names[at];
	else if (write)
		write_probes(c, prefix, &bad, &e);
	if (client_args.json)
		print_json(c, bad, &e);
	fflush(stdout);
	if (!bad) {
		log_r2(LOG_INFO, "Connection OK: %s", c->cfg.bucket);
		return 0;
	}
	log_r2(LOG_ERROR, "Connection failed: %s: %s", bad, e.msg);
	return 1;
}
