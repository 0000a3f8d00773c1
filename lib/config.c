#include <stdio.h>
#include <string.h>
#include "buf.h"
#include "config.h"
#include "config_source.h"
#include "enc.h"
#include "path.h"
#include "utc.h"

#define KEYS_REQUIRED "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY environment variables required"

static int
no_keys(const struct config_source *s, struct err *e)
{
	char where[CONFIG_LOOKED_CAP];

	return fail(e, ERR_KEYS, KEYS_REQUIRED " (or R2_ACCESS_KEY and R2_SECRET_KEY, or AWS_ACCESS_KEY_ID and "
		"AWS_SECRET_ACCESS_KEY; %s): set both, from an R2 API token of the dashboard", config_looked(s, where));
}

static int
half_a_pair(const struct config_source *s, const char *missing, const char *present, struct err *e)
{
	char where[CONFIG_LOOKED_CAP];

	return fail(e, ERR_KEYS, KEYS_REQUIRED ": %s is missing, there is only %s (%s): set both", missing, present,
		config_looked(s, where));
}

/* Without ever quoting it. */
static int
get_key(struct config_source *s, const struct config_setting *want, char *out, size_t cap, struct err *e)
{
	int r = config_find(s, want, e);

	out[0] = '\0';
	if (r <= 0)
		return r;
	for (const char *p = s->text; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return fail(e, ERR_USAGE, "%s has a %s inside: copied wrongly?", s->from,
				(unsigned char)*p > 0x7f ? "character outside ASCII" : "space or control character");
	return config_copy(s, out, cap, e) < 0 ? -1 : 1;
}

/* A pair of one convention into *c: 1, 0 when there is neither, -1. */
static int
key_pair(struct config_source *s, struct config *c, const struct config_setting pair[2], struct err *e)
{
	char id_from[sizeof s->from];
	int id = get_key(s, &pair[0], c->key_id, sizeof c->key_id, e), secret;

	if (id < 0)
		return -1;
	memcpy(id_from, s->from, sizeof id_from);
	secret = get_key(s, &pair[1], c->secret, sizeof c->secret, e);
	if (secret < 0 || secret == id)
		return secret;
	return id ? half_a_pair(s, pair[1].names[0], id_from, e) : half_a_pair(s, pair[0].names[0], s->from, e);
}

static int
load_keys(struct config_source *s, struct config *c, struct err *e)
{
	static const struct config_setting r2[2] = {{.names = {"R2_ACCESS_KEY_ID", "R2_ACCESS_KEY"}},
		{.names = {"R2_SECRET_ACCESS_KEY", "R2_SECRET_KEY"}}};
	static const struct config_setting aws[2] = {{.names = {"AWS_ACCESS_KEY_ID"}},
		{.names = {"AWS_SECRET_ACCESS_KEY"}}};
	const char *token = "R2_SESSION_TOKEN";
	int r = key_pair(s, c, r2, e), rank;

	if (r == 0) {
		r = key_pair(s, c, aws, e);
		token = "AWS_SESSION_TOKEN";  /* a token fits no keys but its own */
	}
	if (r == 0)
		return no_keys(s, e);
	rank = s->rank;
	if (r < 0 || get_key(s, NAMED(token), c->token, sizeof c->token, e) < 0)
		return -1;
	if (s->rank > rank)   /* that of the pair which the environment replaces */
		explicit_bzero(c->token, sizeof c->token);
	return 0;
}

/* What R2_ACCOUNT_ID and R2_JURISDICTION said; "" for what was not set. */
struct account {
	char id[33];
	char jurisdiction[16];
	int any_jurisdiction;    /* it was not said, so every one fits */
};

/* As config_find, but what stands in a place below that of rank does not count. */
static int
find_down_to(struct config_source *s, const struct config_setting *want, int rank, struct err *e)
{
	int r = config_find(s, want, e);

	if (r <= 0 || s->rank <= rank)
		return r;
	s->text[0] = '\0';
	return 0;
}

static int
load_account(struct config_source *s, struct account *a, int rank, struct err *e)
{
	static const char *const known[] = {"", "eu", "fedramp", "us"};
	size_t i;
	int r = find_down_to(s, NAMED("R2_ACCOUNT_ID"), rank, e);

	*a = (struct account){.any_jurisdiction = 1};
	if (r < 0)
		return -1;
	enc_lower(s->text);
	if (r && (strlen(s->text) != 32 || strspn(s->text, "0123456789abcdef") != 32))
		return fail(e, ERR_USAGE, "%s must be the account's id, 32 hexadecimal digits, as the dashboard shows it",
			s->from);
	strcpy(a->id, s->text);
	r = find_down_to(s, NAMED("R2_JURISDICTION"), rank, e);
	if (r <= 0)
		return r;
	enc_lower(s->text);
	if (!strcmp(s->text, "default"))
		s->text[0] = '\0';
	for (i = 0; i < sizeof known / sizeof *known && strcmp(s->text, known[i]); i++)
		;
	if (i == sizeof known / sizeof *known)
		return fail(e, ERR_USAGE, "%s must be eu, fedramp, us or default", s->from);
	strcpy(a->jurisdiction, known[i]);
	a->any_jurisdiction = 0;
	return 0;
}

/* Is host what the account's variables would build, as far as they say something? */
static int
fits_account(const char *host, const struct account *a)
{
	size_t id = strcspn(host, "."), n = strlen(a->jurisdiction);
	const char *rest = host + id;   /* ".eu" and the domain, or that alone */

	if (!enc_ends_in(host, CONFIG_R2_DOMAIN))
		return !a->id[0];
	if (a->id[0] && (id != strlen(a->id) || strncmp(host, a->id, id)))
		return 0;
	if (n && strncmp(rest + 1, a->jurisdiction, n))
		return 0;
	return a->any_jurisdiction || !strcmp(rest + n + (n > 0), CONFIG_R2_DOMAIN);
}

static int
no_endpoint(const struct config_source *s, struct err *e)
{
	char where[CONFIG_LOOKED_CAP];

	return fail(e, ERR_USAGE, "no endpoint: neither R2_ENDPOINT nor R2_ACCOUNT_ID is set (%s): set R2_ENDPOINT to "
		"https://ACCOUNT_ID" CONFIG_R2_DOMAIN ", or R2_ACCOUNT_ID to the account's id", config_looked(s, where));
}

static int
account_endpoint(const struct config_source *s, struct config *c, const struct account *a, char bucket[CONFIG_BUCKET_CAP], struct err *e)
{
	char text[CONFIG_HOST_CAP];
	struct buf b = BUF(text);

	if (!a->id[0])
		return no_endpoint(s, e);
	buf_fmt(&b, "https://%s%s%s" CONFIG_R2_DOMAIN, a->id, a->jurisdiction[0] ? "." : "", a->jurisdiction);
	return config_parse_endpoint(c, text, 0, bucket, e);
}

/* The bucket in the endpoint's path, or "", and where that endpoint was. */
struct in_path {
	char bucket[CONFIG_BUCKET_CAP];
	int rank;
};

/* Host, port and the like; what the path says. */
static int
load_endpoint(struct config_source *s, struct config *c, const struct config_options *o, struct in_path *path, struct err *e)
{
	struct account a;
	char from[sizeof s->from];
	int r = config_find(s, OPTION(o->endpoint, "--endpoint", "R2_ENDPOINT"), e);

	if (r < 0)
		return -1;
	memcpy(from, s->from, sizeof from);
	path->rank = r ? s->rank : RANK_ENV_FILE;
	if (r && config_parse_endpoint(c, s->text, o->allow_http, path->bucket, e) < 0)
		return fail(e, ERR_USAGE, "%s: %s", from, e->msg);
	if (load_account(s, &a, path->rank, e) < 0)
		return -1;
	if (!r)
		return account_endpoint(s, c, &a, path->bucket, e);
	if (!fits_account(c->host, &a))
		return fail(e, ERR_USAGE, "%s names the host %s, which contradicts %s: remove one of them", from, c->host,
			a.id[0] ? "R2_ACCOUNT_ID (with R2_JURISDICTION)" : "R2_JURISDICTION");
	return 0;
}

/* The env file might have named another. */
static const char *
default_bucket(struct config_source *s)
{
	if (s->why_not && !s->warning[0])
		snprintf(s->warning, sizeof s->warning, "%s cannot be read (%s), so the bucket is " CONFIG_BUCKET
			": set R2_BUCKET, or let this user read the file", s->path, strerror(s->why_not));
	return CONFIG_BUCKET;
}

static int
load_bucket(struct config_source *s, struct config *c, const struct config_options *o, const struct in_path *path, struct err *e)
{
	const struct config_setting *want = OPTION(o->bucket, "--bucket", "R2_BUCKET");
	int r = path->bucket[0] ? find_down_to(s, want, path->rank, e) : config_find(s, want, e);

	if (r < 0)
		return -1;
	if (r == 0)
		return config_set_bucket(c, path->bucket[0] ? path->bucket : default_bucket(s), e);
	if (config_set_bucket(c, s->text, e) < 0)
		return fail(e, ERR_USAGE, "%s: %s", s->from, e->msg);
	if (path->bucket[0] && path->rank == s->rank && strcmp(path->bucket, c->bucket))
		return fail(e, ERR_USAGE, "%s says bucket \"%s\", but the path of the endpoint (%s) says \"%s\": remove one "
			"of them", s->from, c->bucket, o->endpoint ? "--endpoint" : "R2_ENDPOINT", path->bucket);
	return 0;
}

/* The region stands in the credential's scope, between slashes. */
static int
load_region(struct config_source *s, struct config *c, struct err *e)
{
	int r = config_get(s, NAMED("R2_REGION"), c->region, sizeof c->region, e);

	if (r == 0)
		strcpy(c->region, CONFIG_REGION);
	if (r >= 0 && c->region[strspn(c->region, "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")])
		return fail(e, ERR_USAGE, "%s: a region is letters, digits and hyphens (R2: auto)", s->from);
	return r < 0 ? -1 : 0;
}

static int
load_prefix(struct config_source *s, struct config *c, struct err *e)
{
	int r = config_get(s, NAMED("R2_PREFIX"), c->prefix, sizeof c->prefix, e);

	if (r == 0)
		strcpy(c->prefix, CONFIG_PREFIX);
	return r < 0 ? -1 : 0;
}

static int
load_ca_file(struct config_source *s, struct config *c, const struct config_options *o, struct err *e)
{
	int r = config_get(s, OPTION(o->ca_file, "--ca-file", "R2_CA_FILE"), c->ca_file, sizeof c->ca_file, e);

	/* the second name is everybody's: only when ours is nowhere */
	return r ? r : config_get(s, NAMED("SSL_CERT_FILE"), c->ca_file, sizeof c->ca_file, e);
}

/* Lower case first, as curl has it. */
static int
load_proxy(struct config_source *s, struct config *c, struct err *e)
{
	int r = c->tls ? config_find(s, NAMED("no_proxy", "NO_PROXY"), e) : 0;

	if (!c->tls || r < 0 || (r > 0 && net_no_proxy(s->text, c->host, c->port)))
		return r < 0 ? -1 : 0;
	r = config_find(s, NAMED("https_proxy", "HTTPS_PROXY"), e);
	return r > 0 ? net_proxy_parse(s->text, &c->proxy, e) : r;
}

/* Date folders are local time; cron has no TZ, and the container's stands in its env file. */
static int
load_zone(struct config_source *s, struct err *e)
{
	int r = config_find(s, NAMED("TZ"), e);

	if (r > 0 && utc_set_zone(s->text) < 0)
		return fail_memory(e);
	return r < 0 ? -1 : 0;
}

static void
load_limits(struct config *c, const struct config_options *o)
{
	long most = INT32_MAX / 1000, seconds = o->timeout_s > 0 ? o->timeout_s : CONFIG_TIMEOUT_S;
	long retries = o->retries > 0 ? o->retries : CONFIG_RETRIES;

	c->timeout_ms = (int)(seconds < most ? seconds : most) * 1000;
	c->retries = (int)(retries < INT32_MAX ? retries : INT32_MAX);
}

/* All but the keys. */
static int
load_rest(struct config_source *s, struct config *c, const struct config_options *o, struct err *e)
{
	struct in_path path = {.rank = RANK_OPTION};

	load_limits(c, o);
	if (load_endpoint(s, c, o, &path, e) < 0 || load_bucket(s, c, o, &path, e) < 0 || config_check_host(c, e) < 0)
		return -1;
	if (load_region(s, c, e) < 0 || load_prefix(s, c, e) < 0 || load_ca_file(s, c, o, e) < 0)
		return -1;
	if (load_proxy(s, c, e) < 0 || load_zone(s, e) < 0)
		return -1;
	memcpy(c->warning, s->warning, sizeof c->warning);
	return 0;
}

static int
load(struct config *c, const struct config_options *o, int keys_alone, struct err *e)
{
	struct config_source s;
	int r;

	*c = (struct config){0};
	r = config_source_open(&s, o, e) < 0 || load_keys(&s, c, e) < 0 || (!keys_alone && load_rest(&s, c, o, e) < 0) ? -1 : 0;
	config_source_close(&s);
	if (r < 0)
		explicit_bzero(c, sizeof *c);
	return r;
}

int
config_load(struct config *c, const struct config_options *o, struct err *e)
{
	return load(c, o, 0, e);
}

int
config_load_keys(struct config *c, const struct config_options *o, struct err *e)
{
	return load(c, o, 1, e);
}

int
config_value(const struct config_options *o, const char *name, char *out, size_t cap, struct err *e)
{
	struct config_source s;
	int r = config_source_open(&s, o, e);

	out[0] = '\0';
	if (r == 0)
		r = config_get(&s, NAMED(name), out, cap, e);
	config_source_close(&s);
	return r;
}

int
config_set_bucket(struct config *c, const char *bucket, struct err *e)
{
	if (path_bucket_check(bucket, e) < 0)
		return -1;
	strcpy(c->bucket, bucket);  /* the check holds it to 63 bytes */
	return 0;
}

void
config_wipe(struct config *c)
{
	explicit_bzero(c->key_id, sizeof c->key_id);
	explicit_bzero(c->secret, sizeof c->secret);
	explicit_bzero(c->token, sizeof c->token);
	explicit_bzero(c->proxy.auth, sizeof c->proxy.auth);
}
