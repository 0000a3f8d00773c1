#include <string.h>
#include <stdio.h>
#include "doctor.h"
#include "json.h"
#include "log.h"

/* The steps in the order in which a request meets them. */
enum step { STEP_CONFIG, STEP_NAME, STEP_CONNECT, STEP_TLS, STEP_SIGNATURE, STEP_BUCKET, STEP_RIGHTS, STEP_DONE };

static const char *const step_names[] = {
	"configuration", "name", "connection", "TLS", "signature", "bucket", "rights",
};

static const struct { const char *code; enum step step; } by_code[] = {
	{"AccessDenied", STEP_RIGHTS},
	{"ExpiredRequest", STEP_SIGNATURE},
	{"ExpiredToken", STEP_SIGNATURE},
	{"InvalidAccessKeyId", STEP_SIGNATURE},
	{"InvalidBucketName", STEP_BUCKET},
	{"InvalidRegionName", STEP_SIGNATURE},
	{"InvalidToken", STEP_SIGNATURE},
	{"NoSuchBucket", STEP_BUCKET},
	{"NoSuchKey", STEP_BUCKET},
	{"NotEntitled", STEP_RIGHTS},
	{"PermanentRedirect", STEP_BUCKET},
	{"RequestTimeTooSkewed", STEP_SIGNATURE},
	{"SignatureDoesNotMatch", STEP_SIGNATURE},
	{"Unauthorized", STEP_SIGNATURE},
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
		for (size_t i = 0; i < sizeof by_code / sizeof *by_code; i++)
			if (!strcmp(by_code[i].code, e->code))
				return by_code[i].step;
		return STEP_SIGNATURE;
	default:
		return c->s3.http.connects ? STEP_SIGNATURE : STEP_CONNECT;
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

static void
print_report(const struct client *c, enum step bad, const struct err *e)
{
	struct json j;

	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "status", bad == STEP_DONE ? "ok" : "failed");
		json_string(&j, "bucket", c->cfg.bucket);
		if (bad != STEP_DONE) {
			json_string(&j, "step", step_names[bad]);
			json_string(&j, "error", e->msg);
		}
		json_end(&j);
		return;
	}
	if (client_args.quiet)
		return;
	for (enum step s = STEP_CONFIG; s < STEP_DONE && s <= bad; s++)
		if (s != STEP_TLS || c->cfg.tls)
			printf("%s %s\n", s == bad ? "FAIL" : "ok  ", step_names[s]);
}

int
doctor(struct client *c)
{
	struct s3_list one = {.prefix = "", .max_keys = 1, .entry = one_key};
	struct err e = {0};
	int rc = s3_list(&c->s3, &one, &e);
	enum step bad = rc < 0 ? failed_step(c, &e) : STEP_DONE;

	log_r2(LOG_INFO, "R2 client ready: %s", c->cfg.bucket);
	print_report(c, bad, &e);
	fflush(stdout);
	if (bad == STEP_DONE) {
		log_r2(LOG_INFO, "Connection OK: %s", c->cfg.bucket);
		return 0;
	}
	log_r2(LOG_ERROR, "Connection failed: %s: %s", step_names[bad], e.msg);
	return 1;
}
