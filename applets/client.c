#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"
#include "log.h"
#include "path.h"
#include "retry.h"
#include "utc.h"

struct client_args client_args;

enum { TIMEOUT_MAX_S = 86400, RETRIES_MAX = 100 };

const struct opt client_opts[] = {
	{0, "env-file", "FILE", "read NAME=value lines from FILE [$R2_ENV_FILE, else /etc/r2.env]", opt_string,
		&client_args.config.env_file, 0, 0},
	{0, "endpoint", "URL", "the store's address [$R2_ENDPOINT, or by $R2_ACCOUNT_ID]", opt_string,
		&client_args.config.endpoint, 0, 0},
	{0, "bucket", "NAME", "the bucket [$R2_BUCKET, else runpod]", opt_string, &client_args.config.bucket, 0, 0},
	{0, "ca-file", "FILE", "trust these certificates instead of the built-in ones [$R2_CA_FILE]", opt_string,
		&client_args.config.ca_file, 0, 0},
	{0, "allow-http", NULL, "allow http:// to another machine: keys and files travel readable", opt_flag,
		&client_args.config.allow_http, 0, 0},
	{'q', "quiet", NULL, "errors only", opt_flag, &client_args.quiet, 0, 0},
	{'v', "verbose", NULL, "every request: method, key, status, ms, attempt", opt_flag, &client_args.verbose, 0, 0},
	{0, "json", NULL, "one JSON object a line on standard output", opt_flag, &client_args.json, 0, 0},
	{0, "timeout", "SECONDS", "give up a connection without progress for this long [60]", opt_number,
		&client_args.config.timeout_s, 1, TIMEOUT_MAX_S},
	{0, "retries", "N", "attempts a request [5]", opt_number, &client_args.config.retries, 1, RETRIES_MAX},
	{0, "help", NULL, "this text", opt_flag, &client_args.help, 0, 0},
	{0},
};

/* A failed attempt at storing something is news; 412 is an answer that --if-exists asked for. */
void
client_observe(void *arg, const struct s3_attempt *a)
{
	const char *why = a->why ? a->why->msg : "";
	char wait[64] = "";

	(void)arg;
	/* No wait of our own is so long. */
	if (a->again && a->wait_ms > RETRY_CAP_MS)
		snprintf(wait, sizeof wait, ": the server asks to wait %d s", a->wait_ms / 1000);
	log_r2(LOG_DEBUG, "%s %s/%s: %d, %ld ms, attempt %d/%d%s%s", a->method, a->bucket, a->key, a->status, a->ms, a->number, a->of,
		*why ? ": " : "", why);
	if (a->why && a->why->kind != ERR_STOPPED && a->why->kind != ERR_CHANGED && a->status != 412 &&
		(a->again || (!strcmp(a->method, "PUT") && !client_args.tells_failures)))
		/* Beyond the number that was asked for: an outage is waited out. */
		log_r2(LOG_WARNING, "Attempt %d/%d failed: %s%s", a->number, a->number > a->of ? a->number : a->of,
			*a->why->code ? a->why->code : why, wait);
}

int
client_open(struct client *c, struct err *e)
{
	log_set_level(client_args.quiet ? LOG_ERROR : client_args.verbose ? LOG_DEBUG : LOG_INFO);
	if (config_load(&c->cfg, &client_args.config, e) < 0)
		return -1;
	if (*c->cfg.warning)
		log_r2(LOG_WARNING, "%s", c->cfg.warning);
	if (utc_zone_missing())
		log_r2(LOG_WARNING, "TZ=%s: there is no zone of this name here: dates and times are UTC (install tzdata, or write a rule such as "
			"CET-1CEST,M3.5.0,M10.5.0/3)", getenv("TZ"));
	if (s3_store_open(&c->store, &c->cfg, e) < 0)
		return -1;
	c->store.observe = client_observe;
	s3_open(&c->s3, &c->store);
	return 0;
}

void
client_close(struct client *c)
{
	s3_close(&c->s3);
	s3_store_close(&c->store);
	config_wipe(&c->cfg);
}

const char *
client_prefix(struct client *c)
{
	char *p = c->cfg.prefix;

	p[path_trim(p, 0)] = '\0';
	return p + strspn(p, "/");
}

const char *
client_key(struct client *c, const char *arg, struct err *e)
{
	char bucket[CONFIG_BUCKET_CAP];
	const char *key = arg;

	switch (path_s3_url(arg, bucket, sizeof bucket, &key, e)) {
	case 0:
		return arg;
	case 1:
		return config_set_bucket(&c->cfg, bucket, e) < 0 ? NULL : key;
	default:
		return NULL;
	}
}
