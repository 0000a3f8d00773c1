/* Every setting from every place, every refusal, and that no message has a secret in it. The default env file
   is one of the test's own, so config_source.c is part of this file. */
static const char *default_env_file = "r2.env";
#define CONFIG_ENV_FILE default_env_file
#include "../lib/config_source.c"

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>
#include "test.h"

#define SECRET "5ecre7/+Key5ecre7"
#define TOKEN "5ecre7Token5ecre7"
#define ID "0123456789abcdef0123456789abcdef"
#define DOMAIN ".r2.cloudflarestorage.com"

static struct config c;
static struct err e;

static void
write_bytes(const char *path, const void *p, size_t n, mode_t mode)
{
	FILE *f = fopen(path, "w");

	check(f && fwrite(p, 1, n, f) == n);
	if (f)
		fclose(f);
	check_int(chmod(path, mode), 0);
}

static void
write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text), 0600);
}

/* "NAME=value" sets, "NAME" unsets. */
static void
apply(const char *assignment)
{
	const char *eq = strchr(assignment, '=');
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)(eq ? eq - assignment : 60), assignment);
	if (eq)
		setenv(name, eq + 1, 1);
	else
		unsetenv(name);
}

/* An environment with keys and endpoint and nothing else, no env file; then list, NULL-terminated. */
static void
environment(const char *const *list)
{
	clearenv();
	unlink(default_env_file);
	apply("R2_ACCESS_KEY_ID=AKID");
	apply("R2_SECRET_ACCESS_KEY=" SECRET);
	apply("R2_ENDPOINT=https://h.example");
	for (; list && *list; list++)
		apply(*list);
}

#define ENV(...) environment((const char *const[]){__VA_ARGS__, NULL})

static int
load(const struct config_options *o)
{
	static const struct config_options none;

	memset(&e, 0, sizeof e);
	memset(&c, 'x', sizeof c);
	return config_load(&c, o ? o : &none, &e);
}

static void
loads(const struct config_options *o)
{
	check_int(load(o), 0);
	check_str(e.msg, "");
}

/* Fails with that kind, says these words, none of the secrets, and leaves nothing behind. */
static void
refuses(const struct config_options *o, enum err_kind kind, const char *const *words)
{
	static const struct config zero;

	check_int(load(o), -1);
	check_int(e.kind, kind);
	for (; *words; words++) {
		if (!strstr(e.msg, *words))
			fprintf(stderr, "not in it: \"%s\"\n", *words), check_str(e.msg, *words);
	}
	check(!strstr(e.msg, "5ecre7"));
	check(!strchr(e.msg, '\n'));
	check(!memcmp(&c, &zero, sizeof c));
}

#define REFUSES(o, kind, ...) refuses(o, kind, (const char *const[]){__VA_ARGS__, NULL})

static void
test_defaults(void)
{
	ENV("A=b");
	loads(NULL);
	check_str(c.host, "h.example");
	check_str(c.host_field, "h.example");
	check_int(c.port, 443);
	check_int(c.tls, 1);
	check_str(c.bucket, "runpod");
	check_str(c.region, "auto");
	check_str(c.prefix, "outputs");
	check_str(c.ca_file, "");
	check_str(c.key_id, "AKID");
	check_str(c.secret, SECRET);
	check_str(c.token, "");
	check_int(c.proxy.port, 0);
	check_int(c.timeout_ms, 60000);
	check_int(c.retries, 5);
	check_str(c.warning, "");
}

static void
test_limits(void)
{
	ENV("A=b");
	loads(&(struct config_options){.timeout_s = 7, .retries = 2});
	check_int(c.timeout_ms, 7000);
	check_int(c.retries, 2);
	loads(&(struct config_options){.timeout_s = LONG_MAX, .retries = LONG_MAX});
	check(c.timeout_ms > 2000000000 && c.retries > 2000000000);
}

/* The places a value can be in, first one first; their number goes into the value. */
enum { AT_OPTION, AT_ENVIRONMENT, AT_NAME_FILE, AT_ENV_FILE, AT_ENV_FILE_NAME_FILE, AT_DEFAULT };

struct variable {
	const char *name, *value;   /* with a %d */
	size_t field;               /* of struct config */
	const char *want, *dflt;    /* what the field then is; NULL: value, and not tested */
	size_t option;              /* of struct config_options, plus 1; 0: none */
};

#define FIELD(x) offsetof(struct config, x)
#define OPT(x) (offsetof(struct config_options, x) + 1)

static const struct variable variables[] = {
	{"R2_ENDPOINT", "https://h%d.example", FIELD(host), "h%d.example", NULL, OPT(endpoint)},
	{"R2_BUCKET", "bucket-%d", FIELD(bucket), NULL, "runpod", OPT(bucket)},
	{"R2_REGION", "region-%d", FIELD(region), NULL, "auto", 0},
	{"R2_PREFIX", "prefix/%d", FIELD(prefix), NULL, "outputs", 0},
	{"R2_CA_FILE", "/ca/%d.pem", FIELD(ca_file), NULL, "", OPT(ca_file)},
	{"SSL_CERT_FILE", "/ca/%d.pem", FIELD(ca_file), NULL, "", 0},
	{"R2_ACCESS_KEY_ID", "ID%d", FIELD(key_id), NULL, NULL, 0},
	{"R2_ACCESS_KEY", "ID%d", FIELD(key_id), NULL, NULL, 0},
	{"R2_SECRET_ACCESS_KEY", "5ecre7%d", FIELD(secret), NULL, NULL, 0},
	{"R2_SECRET_KEY", "5ecre7%d", FIELD(secret), NULL, NULL, 0},
	{"R2_SESSION_TOKEN", "5ecre7%d", FIELD(token), NULL, "", 0},
	{"HTTPS_PROXY", "http://proxy%d:3128", FIELD(proxy.host), "proxy%d", "", 0},
	{"https_proxy", "http://proxy%d:3128", FIELD(proxy.host), "proxy%d", "", 0},
};

static const char *
numbered(const char *template, int n)
{
	static char out[8][64];
	static int turn;
	const char *mark = strstr(template, "%d");
	char *p = out[turn++ % 8];

	if (mark)
		snprintf(p, 64, "%.*s%d%s", (int)(mark - template), template, n, mark + 2);
	else
		snprintf(p, 64, "%s", template);
	return p;
}

static void
place_value(const struct variable *v, int place, char env_file[1024], struct config_options *o)
{
	const char *value = numbered(v->value, place);
	char name[64], path[32];
	size_t n = strlen(env_file);

	snprintf(name, sizeof name, "%s_FILE", v->name);
	snprintf(path, sizeof path, "value.%d", place);
	switch (place) {
	case AT_OPTION:
		memcpy((char *)o + v->option - 1, &value, sizeof value);
		return;
	case AT_ENVIRONMENT:
		setenv(v->name, value, 1);
		return;
	case AT_ENV_FILE:
		snprintf(env_file + n, 1024 - n, "%s=%s\n", v->name, value);
		return;
	case AT_NAME_FILE:
		setenv(name, path, 1);
		break;
	case AT_ENV_FILE_NAME_FILE:
		snprintf(env_file + n, 1024 - n, "%s=%s\n", name, path);
	}
	write_text(path, value);
}

/* Each set of places at once: the first of them wins. */
static void
test_precedence(void)
{
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const struct variable *v = &variables[i];

		for (int set = 0; set < 1 << AT_DEFAULT; set++) {
			struct config_options o = {0};
			char env_file[1024] = "";
			int first = 0;

			while (first < AT_DEFAULT && !(set & 1 << first))
				first++;
			if ((set & 1 << AT_OPTION && !v->option) || (first == AT_DEFAULT && !v->dflt))
				continue;
			environment(NULL);
			if (v->field == FIELD(key_id))
				unsetenv("R2_ACCESS_KEY_ID");
			if (v->field == FIELD(secret))
				unsetenv("R2_SECRET_ACCESS_KEY");
			if (v->field == FIELD(host))
				unsetenv("R2_ENDPOINT");
			for (int place = 0; place < AT_DEFAULT; place++)
				if (set & 1 << place)
					place_value(v, place, env_file, &o);
			/* A token of the env file is for its keys, not for the environment's. */
			if (v->field == FIELD(token) && first >= AT_ENV_FILE && first < AT_DEFAULT) {
				write_text(default_env_file, env_file);
				loads(&o);
				check_str(c.token, "");
				unsetenv("R2_ACCESS_KEY_ID");
				unsetenv("R2_SECRET_ACCESS_KEY");
				strcat(env_file, "R2_ACCESS_KEY_ID=ID\nR2_SECRET_ACCESS_KEY=5ecre7\n");
			}
			write_text(default_env_file, env_file);
			loads(&o);
			check_str((char *)&c + v->field, first == AT_DEFAULT ? v->dflt
				: numbered(v->want ? v->want : v->value, first));
		}
	}
}

static void
test_spellings(void)
{
	/* id and secret each on its own, as the old script had it */
	ENV("R2_ACCESS_KEY=old-id", "R2_SECRET_KEY=5ecre7old");
	loads(NULL);
	check_str(c.key_id, "AKID");
	check_str(c.secret, SECRET);
	apply("R2_SECRET_ACCESS_KEY");
	loads(NULL);
	check_str(c.key_id, "AKID");
	check_str(c.secret, "5ecre7old");
	apply("R2_SECRET_ACCESS_KEY=" SECRET);
	apply("R2_ACCESS_KEY_ID=");
	loads(NULL);
	check_str(c.key_id, "old-id");
	check_str(c.secret, SECRET);
	/* the environment before the env file, whatever the spelling */
	ENV("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ACCESS_KEY=env-id", "R2_SECRET_KEY=5ecre7env");
	write_text(default_env_file, "R2_ACCESS_KEY_ID=file-id\nR2_SECRET_ACCESS_KEY=5ecre7file\n");
	loads(NULL);
	check_str(c.key_id, "env-id");
	check_str(c.secret, "5ecre7env");
	/* but everybody's SSL_CERT_FILE only after our own */
	ENV("SSL_CERT_FILE=/theirs");
	write_text(default_env_file, "R2_CA_FILE=/ours\n");
	loads(NULL);
	check_str(c.ca_file, "/ours");
}

static void
test_aws_keys(void)
{
	ENV("AWS_ACCESS_KEY_ID=aws-id", "AWS_SECRET_ACCESS_KEY=5ecre7aws", "AWS_SESSION_TOKEN=" TOKEN);
	loads(NULL);
	check_str(c.key_id, "AKID");
	check_str(c.secret, SECRET);
	check_str(c.token, "");   /* AWS's token is not for R2's keys */
	apply("R2_SESSION_TOKEN=5ecre7own");
	loads(NULL);
	check_str(c.token, "5ecre7own");
	apply("R2_ACCESS_KEY_ID");
	apply("R2_SECRET_ACCESS_KEY");
	loads(NULL);
	check_str(c.key_id, "aws-id");
	check_str(c.secret, "5ecre7aws");
	check_str(c.token, TOKEN);
	apply("AWS_SESSION_TOKEN");
	loads(NULL);
	check_str(c.token, "");   /* nor R2's for AWS's */
	/* one half of R2's is a mistake, not a reason to take AWS's */
	apply("R2_SECRET_KEY=" SECRET);
	REFUSES(NULL, ERR_KEYS, "R2_ACCESS_KEY_ID is missing", "only R2_SECRET_KEY");
}

static void
test_missing_keys(void)
{
	ENV("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT");
	REFUSES(NULL, ERR_KEYS, "(or R2_ACCESS_KEY and R2_SECRET_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
		"looked in the environment, in NAME_FILE and in r2.env): set both");
	check(strstr(e.msg, "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY environment variables required (or") == e.msg);
	write_text("named.env", "# nothing\n");
	REFUSES(&(struct config_options){.env_file = "named.env"}, ERR_KEYS, "in named.env");

	ENV("R2_SECRET_ACCESS_KEY");
	REFUSES(NULL, ERR_KEYS, "R2_SECRET_ACCESS_KEY is missing", "only R2_ACCESS_KEY_ID (", "r2.env");
	check(strstr(e.msg, "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY environment variables required") == e.msg);
	apply("R2_SECRET_ACCESS_KEY= \t\n");
	REFUSES(NULL, ERR_KEYS, "R2_SECRET_ACCESS_KEY is missing");
	ENV("R2_ACCESS_KEY_ID=");
	write_text(default_env_file, "R2_ACCESS_KEY=''\n");
	REFUSES(NULL, ERR_KEYS, "R2_ACCESS_KEY_ID is missing", "only R2_SECRET_ACCESS_KEY (");
	ENV("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID=x");
	REFUSES(NULL, ERR_KEYS, "AWS_SECRET_ACCESS_KEY is missing", "only AWS_ACCESS_KEY_ID");
	ENV("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY=" SECRET);
	REFUSES(NULL, ERR_KEYS, "AWS_ACCESS_KEY_ID is missing", "only AWS_SECRET_ACCESS_KEY");
}

static void
test_damaged_keys(void)
{
	static char long_key[300];
	const char *const where[] = {"R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_SESSION_TOKEN"};
	const char *const damage[] = {"5ecre7 a", "5ecre7\ta", "5ecre7\na", "5ecre7\x7f" "a", "5ecre7\x01"};

	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < sizeof damage / sizeof *damage; k++) {
			ENV("A=b");
			setenv(where[i], damage[k], 1);
			REFUSES(NULL, ERR_USAGE, where[i], "has a space or control character inside: copied wrongly?");
		}
		ENV("A=b");
		setenv(where[i], "5ecre7\xe2\x80\x9c", 1);
		REFUSES(NULL, ERR_USAGE, where[i], "has a character outside ASCII inside: copied wrongly?");
	}
	memset(long_key, 's', 256);
	memcpy(long_key, "5ecre7", 6);
	ENV("A=b");
	setenv("R2_SECRET_ACCESS_KEY", long_key, 1);
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY is longer than 255 bytes");
	long_key[255] = '\0';
	setenv("R2_SECRET_ACCESS_KEY", long_key, 1);
	loads(NULL);
	check_str(c.secret, long_key);

	ENV("R2_ACCESS_KEY_ID=  AKID\n", "R2_SECRET_ACCESS_KEY=\t" SECRET " \r\n", "R2_SESSION_TOKEN= " TOKEN " ",
		"R2_ENDPOINT= https://h.example\r", "R2_BUCKET= b-1 ");
	loads(NULL);
	check_str(c.key_id, "AKID");
	check_str(c.secret, SECRET);
	check_str(c.token, TOKEN);
	check_str(c.bucket, "b-1");
	check_str(c.host, "h.example");
}

static void
test_empty_values(void)
{
	ENV("R2_BUCKET=", "R2_REGION=", "R2_CA_FILE=", "HTTPS_PROXY=", "R2_ENV_FILE=", "R2_ACCOUNT_ID=", "R2_JURISDICTION=",
		"R2_SESSION_TOKEN=", "R2_BUCKET_FILE=");
	loads(NULL);
	check_str(c.bucket, "runpod");
	check_str(c.region, "auto");
	check_str(c.prefix, "outputs");
	write_text(default_env_file, "R2_BUCKET=from-file\nR2_PREFIX=from-file\nR2_REGION=\n");
	loads(NULL);
	check_str(c.bucket, "from-file");
	check_str(c.prefix, "from-file");
	apply("R2_PREFIX=");     /* here empty means something */
	loads(NULL);
	check_str(c.prefix, "");
	apply("R2_PREFIX");
	write_text(default_env_file, "R2_PREFIX=\n");
	loads(NULL);
	check_str(c.prefix, "");
	write_text("empty", "");
	write_text(default_env_file, "");
	apply("R2_PREFIX_FILE=empty");
	loads(NULL);
	check_str(c.prefix, "");
}

static void
test_too_long(void)
{
	static char big[CONFIG_VALUE_MAX + 3];

	memset(big, 'p', sizeof big - 1);
	ENV("A=b");
	setenv("R2_PREFIX", big, 1);
	REFUSES(NULL, ERR_USAGE, "R2_PREFIX is longer than 8192 bytes");
	setenv("R2_PREFIX", big + sizeof big - 1 - 1025, 1);
	REFUSES(NULL, ERR_USAGE, "R2_PREFIX is longer than 1024 bytes");
	setenv("R2_PREFIX", big + sizeof big - 1 - 1024, 1);
	loads(NULL);
	check_int(strlen(c.prefix), 1024);
	ENV("R2_PREFIX=a\nb");
	REFUSES(NULL, ERR_USAGE, "R2_PREFIX has a control character inside");
	ENV("R2_PREFIX=a\x7f" "b");
	REFUSES(NULL, ERR_USAGE, "R2_PREFIX has a control character inside");
	ENV("R2_REGION=eu/west");
	REFUSES(NULL, ERR_USAGE, "R2_REGION", "letters, digits and hyphens");
}

struct endpoint_row { const char *text, *host, *host_field, *bucket; int port, tls; };

static void
test_endpoints(void)
{
	static const struct endpoint_row rows[] = {
		{"https://h.example", "h.example", "h.example", "", 443, 1},
		{"h.example", "h.example", "h.example", "", 443, 1},
		{"HTTPS://H.Example.", "h.example", "h.example", "", 443, 1},
		{"https://h.example/", "h.example", "h.example", "", 443, 1},
		{"https://h.example:443", "h.example", "h.example", "", 443, 1},
		{"https://h.example.:9000/my-bucket/", "h.example", "h.example:9000", "my-bucket", 9000, 1},
		{"h.example:65535/my-bucket", "h.example", "h.example:65535", "my-bucket", 65535, 1},
		{"https://h.example/my-bucket//", "h.example", "h.example", "my-bucket", 443, 1},
		{"https://h.example:80", "h.example", "h.example:80", "", 80, 1},
		{"http://localhost:80", "localhost", "localhost", "", 80, 0},
		{"http://localhost:443", "localhost", "localhost:443", "", 443, 0},
		{"http://127.0.0.1:9000//", "127.0.0.1", "127.0.0.1:9000", "", 9000, 0},
		{"http://[::1]:9000", "::1", "[::1]:9000", "", 9000, 0},
		{"https://[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]", "", 443, 1},
		{"https://[2001:db8::1]/my-bucket", "2001:db8::1", "[2001:db8::1]", "my-bucket", 443, 1},
		{"minio_1:9000", "minio_1", "minio_1:9000", "", 9000, 1},
		{"https://" ID ".eu" DOMAIN "/runpod", ID ".eu" DOMAIN, ID ".eu" DOMAIN, "runpod", 443, 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char bucket[CONFIG_BUCKET_CAP] = "x";
		const struct endpoint_row *r = &rows[i];

		memset(&c, 'x', sizeof c);
		check_int(config_parse_endpoint(&c, r->text, 0, bucket, &e), 0);
		check_str(c.host, r->host);
		check_str(c.host_field, r->host_field);
		check_str(bucket, r->bucket);
		check_int(c.port, r->port);
		check_int(c.tls, r->tls);
	}
}

#define LABEL63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"
#define HOST253 LABEL63 "." LABEL63 "." LABEL63 "." "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1"

static void
test_endpoint_errors(void)
{
	static const struct { const char *text, *word; } rows[] = {
		{"", "no host"}, {"https://", "no host"}, {"https://.", "no host"}, {"https://:443", "no host"},
		{"https:///bucket", "no host"},
		{"ftp://h.example", "https://"}, {"s3://bucket", "https://"}, {"://h.example", "https://"},
		{"httpsx://h.example", "https://"}, {"htt://h.example", "https://"},
		{"https://h.example:0", "1 to 65535"}, {"https://h.example:99999", "1 to 65535"},
		{"https://h.example:65536", "1 to 65535"}, {"https://h.example:", "1 to 65535"},
		{"https://h.example:80a", "1 to 65535"}, {"https://h.example:+80", "1 to 65535"},
		{"https://h.example:18446744073709551696", "1 to 65535"},
		{"https://AKID:" SECRET "@h.example", "1 to 65535"},      /* a '/' in the secret ends the authority */
		{"https://AKID:5ecre7@h.example", "user name or password"}, {"https://5ecre7@h.example", "user name"},
		{"https://h.example?x=5ecre7", "query"}, {"https://h.example/b#5ecre7", "fragment"},
		{"https://h.example/a/b", "only the bucket"}, {"https://h.example//b", "only the bucket"},
		{"https://h.example/ab", "bucket \"ab\""}, {"https://h.example/Bucket", "bucket \"Bucket\""},
		{"https://h.example/my%20bucket", "bucket"}, {"https://h.example/" LABEL63 "x", "63 bytes"},
		{"https://::1", "brackets"}, {"https://2001:db8::1:9000", "brackets"}, {"https://[::1", "brackets"},
		{"https://[h.example]", "not an IPv6"}, {"https://[]", "not an IPv6"}, {"https://[fe80::1%25lo]", "not an IPv6"},
		{"https://[::1]9000", "behind the brackets"}, {"https://[::1]:0", "1 to 65535"},
		{"https://h..example", "not the name of a host"}, {"https://.h.example", "not the name"},
		{"https://-h.example", "not the name"}, {"https://h-.example", "not the name"},
		{"https://h.example-", "not the name"}, {"https://h example", "not the name"},
		{"https://h\\example", "not the name"}, {"https://h\r\nx", "not the name"},
		{"https://b\xc3\xbc" "cher.example", "xn--"}, {"https://" LABEL63 "x.example", "not the name"},
		{"https://" HOST253 "x", "not the name"}, {"https://" HOST253 ".xxxx", "longer than 253"},
		{"http://h.example", "unencrypted: use https or --allow-http"},
		{"http://127.0.0.1.example", "would send what you upload to 127.0.0.1.example unencrypted"},
		{"http://[2001:db8::1]", "--allow-http"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ENV("R2_ENDPOINT");
		REFUSES((&(struct config_options){.endpoint = rows[i].text}), ERR_USAGE, "--endpoint: ", rows[i].word);
		if (!rows[i].text[0])
			continue;
		setenv("R2_ENDPOINT", rows[i].text, 1);
		REFUSES(NULL, ERR_USAGE, "R2_ENDPOINT: ", rows[i].word);
	}
	ENV("R2_ENDPOINT=" HOST253 ".");
	loads(NULL);
	check_str(c.host, HOST253);
	ENV("R2_ENDPOINT=http://h.example:8080");
	loads(&(struct config_options){.allow_http = 1});
	check_int(c.tls, 0);
	check_str(c.host_field, "h.example:8080");
	ENV("R2_ENDPOINT");
	write_text(default_env_file, "R2_ENDPOINT=https://h.example:0\n");
	REFUSES(NULL, ERR_USAGE, "R2_ENDPOINT in r2.env: the port");
}

static void
test_account(void)
{
	static const struct { const char *jurisdiction, *middle; } rows[] = {
		{"R2_JURISDICTION", ""}, {"R2_JURISDICTION=", ""}, {"R2_JURISDICTION=default", ""},
		{"R2_JURISDICTION=eu", ".eu"}, {"R2_JURISDICTION=FedRAMP", ".fedramp"}, {"R2_JURISDICTION=us", ".us"},
	};
	static const char *const bad[] = {"0123456789abcdef0123456789abcde", ID "0", ID "g",
		"0123456789abcdef0123456789abcdeg", "https://" ID DOMAIN};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char want[128];

		ENV("R2_ENDPOINT", "R2_ACCOUNT_ID=0123456789ABCDEF0123456789abcdef", rows[i].jurisdiction);
		loads(NULL);
		snprintf(want, sizeof want, ID "%s" DOMAIN, rows[i].middle);
		check_str(c.host, want);
		check_str(c.host_field, want);
		check_int(c.port, 443);
		check_int(c.tls, 1);
		check_str(c.bucket, "runpod");
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ENV("R2_ENDPOINT");
		setenv("R2_ACCOUNT_ID", bad[i], 1);
		REFUSES(NULL, ERR_USAGE, "R2_ACCOUNT_ID must be", "32 hexadecimal digits");
	}
	ENV("R2_ENDPOINT", "R2_ACCOUNT_ID=" ID, "R2_JURISDICTION=de");
	REFUSES(NULL, ERR_USAGE, "R2_JURISDICTION must be eu, fedramp, us or default");
	ENV("R2_ENDPOINT");
	REFUSES(NULL, ERR_USAGE, "R2_ENDPOINT", "R2_ACCOUNT_ID", "looked in the environment, in NAME_FILE and in r2.env");
	ENV("R2_ENDPOINT", "R2_ACCOUNT_ID_FILE=id");
	write_text("id", ID "\n");
	write_text(default_env_file, "R2_JURISDICTION=eu\n");
	loads(NULL);
	check_str(c.host, ID ".eu" DOMAIN);
}

static void
test_account_and_endpoint(void)
{
	static const struct { const char *endpoint, *id, *jurisdiction; int fits; } rows[] = {
		{ID DOMAIN, ID, NULL, 1}, {ID ".eu" DOMAIN, ID, NULL, 1}, {ID ".eu" DOMAIN, ID, "eu", 1},
		{ID DOMAIN, ID, "default", 1}, {ID ".us" DOMAIN, NULL, "us", 1}, {"minio.example", NULL, "eu", 1},
		{ID ".eu" DOMAIN "/b-1", ID, "eu", 1},
		{ID DOMAIN, "1123456789abcdef0123456789abcdef", NULL, 0}, {ID ".eu" DOMAIN, ID, "us", 0},
		{ID DOMAIN, ID, "eu", 0}, {ID ".eu" DOMAIN, ID, "default", 0}, {ID ".eux" DOMAIN, ID, "eu", 0},
		{ID ".eu" DOMAIN, NULL, "fedramp", 0}, {"minio.example", ID, NULL, 0}, {ID DOMAIN ".example", ID, NULL, 0},
		{"r2.cloudflarestorage.com", ID, NULL, 0}, {"0123" DOMAIN, ID, NULL, 0}, {ID ".f" DOMAIN, ID, "fedramp", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ENV("R2_ENDPOINT");
		setenv("R2_ENDPOINT", rows[i].endpoint, 1);
		if (rows[i].id)
			setenv("R2_ACCOUNT_ID", rows[i].id, 1);
		if (rows[i].jurisdiction)
			setenv("R2_JURISDICTION", rows[i].jurisdiction, 1);
		if (rows[i].fits) {
			loads(NULL);
			continue;
		}
		REFUSES(NULL, ERR_USAGE, "R2_ENDPOINT names the host", "contradicts", rows[i].id ? "R2_ACCOUNT_ID"
			: "R2_JURISDICTION");
		/* an option is meant to win */
		loads(&(struct config_options){.endpoint = rows[i].endpoint});
	}
}

static void
test_bucket(void)
{
	ENV("R2_ENDPOINT=https://h.example/in-path");
	loads(NULL);
	check_str(c.bucket, "in-path");
	apply("R2_BUCKET=in-path");
	loads(NULL);
	check_str(c.bucket, "in-path");
	loads(&(struct config_options){.bucket = "in-path"});
	apply("R2_BUCKET=other");
	REFUSES(NULL, ERR_USAGE, "R2_BUCKET says bucket \"other\"", "(R2_ENDPOINT) says \"in-path\"");
	/* What contradicts something of a lower place wins. */
	loads(&(struct config_options){.bucket = "third"});
	check_str(c.bucket, "third");
	loads(&(struct config_options){.endpoint = "h.example/in-option"});
	check_str(c.bucket, "in-option");
	REFUSES((&(struct config_options){.endpoint = "h.example/in-option", .bucket = "third"}), ERR_USAGE, "--bucket says bucket \"third\"",
		"(--endpoint) says \"in-option\"");
	ENV("R2_ENDPOINT=https://h.example/in-path");
	write_text(default_env_file, "R2_BUCKET=in-file\nR2_ACCOUNT_ID=nonsense\nR2_JURISDICTION=nonsense\n");
	loads(NULL);
	check_str(c.bucket, "in-path");
	check_str(c.host, "h.example");
	ENV("R2_ENDPOINT", "R2_BUCKET=in-environment");
	write_text(default_env_file, "R2_ENDPOINT=https://h.example/in-path\n");
	loads(NULL);
	check_str(c.bucket, "in-environment");
	ENV("R2_ENDPOINT=https://h.example/in-path", "R2_BUCKET=other");
	apply("R2_BUCKET=runpod");       /* the default, but said */
	REFUSES(NULL, ERR_USAGE, "R2_BUCKET says bucket \"runpod\"", "\"in-path\"");
	ENV("R2_BUCKET=My_Bucket");
	REFUSES(NULL, ERR_USAGE, "R2_BUCKET: ", "My_Bucket");
	REFUSES((&(struct config_options){.bucket = ""}), ERR_USAGE, "--bucket: ");
	loads(&(struct config_options){.bucket = "good-one"});
	check_int(config_set_bucket(&c, "another", &e), 0);
	check_str(c.bucket, "another");
	check_int(config_set_bucket(&c, "No", &e), -1);
	check_int(e.kind, ERR_USAGE);
	check_str(c.bucket, "another");
}

/* A host that begins with the bucket's name takes requests for the keys as if they were for that bucket. */
static void
test_bucket_in_host(void)
{
#define ID "0123456789abcdef0123456789abcdef"
	static const char *const wrong[][2] = {
		{"R2_ENDPOINT=https://runpod." ID ".r2.cloudflarestorage.com", "write https://" ID ".r2.cloudflarestorage.com, "},
		{"R2_ENDPOINT=https://other." ID ".eu.r2.cloudflarestorage.com", "write https://" ID ".eu.r2.cloudflarestorage.com, "},
		{"R2_ENDPOINT=https://my.own." ID ".r2.cloudflarestorage.com", "write https://" ID ".r2.cloudflarestorage.com, "},
		{"R2_ENDPOINT=https://runpod.s3.eu-west-1.amazonaws.com", "write https://s3.eu-west-1.amazonaws.com, "},
		{"R2_ENDPOINT=https://runpod.s3-us-west-2.amazonaws.com", "write https://s3-us-west-2.amazonaws.com, "},
	};
	static const char *const right[] = {
		"R2_ENDPOINT=https://" ID ".r2.cloudflarestorage.com", "R2_ENDPOINT=https://" ID ".eu.r2.cloudflarestorage.com",
		"R2_ENDPOINT=https://runpod.example.com", "R2_ENDPOINT=https://runpod.s3", "R2_ENDPOINT=https://other.s3.example.com",
		"R2_ENDPOINT=https://s3.runpod.example.com", "R2_ENDPOINT=https://x.r2.cloudflarestorage.com",
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ENV(wrong[i][0]);
		REFUSES(NULL, ERR_USAGE, "begins with a bucket", wrong[i][1], "R2_BUCKET");
	}
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		ENV(right[i]);
		loads(NULL);
	}
	ENV("R2_ENDPOINT=" ID);
	REFUSES(NULL, ERR_USAGE, "R2_ENDPOINT is only an account's id", "R2_ACCOUNT_ID");
	/* A container may be called so. */
	ENV("R2_ENDPOINT=https://" ID ":9000");
	loads(NULL);
}

static void
test_proxy(void)
{
	ENV("HTTPS_PROXY=http://user:5ecre7@upper:3128", "https_proxy=http://lower:3128");
	loads(NULL);
	check_str(c.proxy.host, "lower");
	check_int(c.proxy.port, 3128);
	apply("https_proxy");
	loads(NULL);
	check_str(c.proxy.host, "upper");
	check(c.proxy.auth[0]);
	apply("NO_PROXY=.other.example,h.example");
	loads(NULL);
	check_int(c.proxy.port, 0);
	check_str(c.proxy.auth, "");
	apply("no_proxy=elsewhere.example");   /* lower case wins here, too */
	loads(NULL);
	check_str(c.proxy.host, "upper");
	write_text(default_env_file, "NO_PROXY=h.example\n");
	apply("NO_PROXY");
	apply("no_proxy");
	loads(NULL);
	check_int(c.proxy.port, 0);

	/* plain http goes straight */
	ENV("R2_ENDPOINT=http://localhost:9000", "HTTPS_PROXY=http://upper:3128");
	loads(NULL);
	check_int(c.proxy.port, 0);
	ENV("HTTPS_PROXY=http://user:5ecre7@host:99999");
	REFUSES(NULL, ERR_USAGE, "HTTPS_PROXY");
	ENV("HTTPS_PROXY=socks5://user:5ecre7@host:1080");
	REFUSES(NULL, ERR_USAGE, "HTTPS_PROXY");
}

static void
test_which_env_file(void)
{
	ENV("A=b");
	write_text(default_env_file, "R2_BUCKET=by-default\n");
	write_text("second.env", "R2_BUCKET=by-variable\n");
	write_text("third.env", "R2_BUCKET=by-option\n");
	loads(NULL);
	check_str(c.bucket, "by-default");
	apply("R2_ENV_FILE=second.env");
	loads(NULL);
	check_str(c.bucket, "by-variable");
	loads(&(struct config_options){.env_file = "third.env"});
	check_str(c.bucket, "by-option");
	REFUSES((&(struct config_options){.env_file = "nowhere.env"}), ERR_USAGE, "env file nowhere.env",
		"No such file or directory");
	apply("R2_ENV_FILE=not/there.env");
	REFUSES(NULL, ERR_USAGE, "env file not/there.env", "No such file");
	apply("R2_ENV_FILE=.");
	REFUSES(NULL, ERR_USAGE, "env file .: is a directory");
	apply("R2_ENV_FILE=fifo");
	check_int(mkfifo("fifo", 0600), 0);
	REFUSES(NULL, ERR_USAGE, "env file fifo: is not a regular file");
	apply("R2_ENV_FILE=/dev/null");   /* none, not even the default */
	loads(NULL);
	check_str(c.bucket, CONFIG_BUCKET);
	/* a default that is not a file is a mistake as well */
	ENV("A=b");
	check_int(mkdir(default_env_file, 0700), 0);
	REFUSES(NULL, ERR_USAGE, "r2.env: is a directory");
	check_int(rmdir(default_env_file), 0);
	write_text("file", "");
	default_env_file = "file/r2.env";
	loads(NULL);
	default_env_file = "r2.env";
}

/* access(2) asks for the real user, so that root can be somebody else for it. */
static void
test_unreadable_default(void)
{
	struct config_source s = {.path = "/etc/r2.env", .why_not = EACCES};
	char text[CONFIG_LOOKED_CAP];
	uid_t me = getuid();

	check_str(config_looked(&s, text), "looked in the environment, in NAME_FILE and in /etc/r2.env, which cannot be read: "
		"Permission denied");
	if (me == 0)
		check_int(setreuid(65534, (uid_t)-1), 0);
	ENV("A=b");
	write_bytes(default_env_file, "R2_BUCKET=x-y", 13, 0);
	loads(NULL);
	check_str(c.bucket, CONFIG_BUCKET);
	check_str(c.warning, "r2.env cannot be read (Permission denied), so the bucket is runpod: set R2_BUCKET, or let this user read the file");
	apply("R2_BUCKET=my-bucket");
	loads(NULL);
	check_str(c.warning, "");
	ENV("R2_ENDPOINT");
	write_bytes(default_env_file, "R2_BUCKET=x-y", 13, 0);
	REFUSES(NULL, ERR_USAGE, "r2.env, which cannot be read: Permission denied");
	if (me == 0)
		check_int(setreuid(0, (uid_t)-1), 0);
}

/* What X becomes, or "-" when it is not set. */
static const char *
x_of(const char *file, size_t n)
{
	static char out[128];
	int r;

	environment(NULL);
	write_bytes(default_env_file, file, n, 0600);
	memset(&e, 0, sizeof e);
	r = config_value(&(struct config_options){0}, "X", out, sizeof out, &e);
	return r > 0 ? out : r == 0 ? "-" : e.msg;
}

static void
test_env_file_lines(void)
{
	static const struct { const char *text, *want; } rows[] = {
		{"", "-"}, {"\n\n", "-"}, {"X=a", "a"}, {"X=a\n", "a"}, {"X=\n", "-"}, {"Y=1\nX=a\nZ=2\n", "a"},
		{"X=a\nX=b\n", "b"}, {"X=a\nX=\n", "-"}, {"XX=a\n", "-"}, {"AX=a\n", "-"}, {"_X9=a\nX=b", "b"},
		{"export X=a\n", "a"}, {"export \t X=a\n", "a"}, {"  X=a  \n", "a"}, {"\tX=a\n", "a"}, {"exportX=1\nX=a", "a"},
		{"export=1\nX=a", "a"},
		{"# X=b\nX=a\n  # X=c\n", "a"}, {"X=a # why\n", "a"}, {"X=a#b\n", "a#b"}, {"X='a # b' # c", "a # b"},
		{"X='a b'\n", "a b"}, {"X=\"a b\"\n", "a b"}, {"X='a\"b'", "a\"b"}, {"X=\"a'b\"", "a'b"},
		{"X='a\\b$c`d'", "a\\b$c`d"}, {"X=\"a\\\"b\\\\c\\$d\\`e\\nf\"", "a\"b\\c$d`e\\nf"},
		{"X=a'b c'\"d e\"f", "ab cd ef"}, {"X=''", "-"}, {"X=\"\"", "-"}, {"X=a\\ b\\\\c\\'d", "a b\\c'd"},
		{"X=$HOME`id`$(id)", "$HOME`id`$(id)"}, {"X=a=b==", "a=b=="}, {"X='a\tb'\nY=1\nX=c", "c"},
		{"Y=\"x\\\"\nX=a", "env file r2.env, line 1: a quote that is not closed, or a backslash at the end"},
		{"X=a\r\n", "a"}, {"X='a'\r\n", "a"}, {"X=a # b\r\nY=b\r\n", "a"}, {"\r\nX=a\r", "a"}, {"X=\r\n", "-"},
		{"\xef\xbb\xbfX=a\n", "a"}, {"\xef\xbb\xbf", "-"}, {"\xef\xbb\xbf# c\nX=a", "a"}, {"X=\xc3\xa9", "\xc3\xa9"},
		{"X=a\nY='b\n", "env file r2.env, line 2: a quote that is not closed, or a backslash at the end"},
		{"Y=\"b\r\n", "env file r2.env, line 1: a quote that is not closed, or a backslash at the end"},
		{"Y=b\\\nX=a", "env file r2.env, line 1: a quote that is not closed, or a backslash at the end"},
		{"\n\nX = a\n", "env file r2.env, line 3: not of the form NAME=value (no spaces around the =)"},
		{"X= a\n", "env file r2.env, line 1: a value with a space: put quotes around it"},
		{"X=a b\n", "env file r2.env, line 1: a value with a space: put quotes around it"},
		{"X=a export Y=b\n", "env file r2.env, line 1: a value with a space: put quotes around it"},
		{"X\n", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
		{"=a\n", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
		{"export\n", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
		{"9X=a\n", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
		{"X-Y=a\n", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
		{"X=a\n5ecre7\n", "env file r2.env, line 2: not of the form NAME=value (no spaces around the =)"},
		{"X=a\x01", "env file r2.env, line 1: a control character: is it a text file?"},
		{"X='a\x1b'", "env file r2.env, line 1: a control character: is it a text file?"},
		{"X=\"a\x7f\"", "env file r2.env, line 1: a control character: is it a text file?"},
		{"\x1f\x8b\x08garbage", "env file r2.env, line 1: not of the form NAME=value (no spaces around the =)"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check_str(x_of(rows[i].text, strlen(rows[i].text)), rows[i].want);
		if (e.msg[0])
			check_int(e.kind, ERR_USAGE);
	}
	/* a tab in quotes stays until the setting itself refuses it */
	check_str(x_of("X='a\tb'", 7), "X in r2.env has a control character inside: copied wrongly?");
}

#define BYTES(s) (s), sizeof (s) - 1

static void
test_env_block(void)
{
	check_str(x_of(BYTES("A=1\0X='a b' # c\0B=2\0")), "'a b' # c");
	check_str(x_of(BYTES("A=1\0X=a")), "a");
	check_str(x_of(BYTES("A=line\nline\nX=no\0X=yes\0")), "yes");
	check_str(x_of(BYTES("BASH_FUNC_f%%=() { :\n}\0X=a\0")), "a");
	check_str(x_of(BYTES("X=a\0\0\0")), "a");
	check_str(x_of(BYTES("\0")), "-");
	check_str(x_of(BYTES("\x7f" "ELF\x02\x01\x01\0\0\0X=a\0")),
		"env file r2.env, entry 1: not of the form NAME=value: is it a binary file?");
	check_str(x_of(BYTES("X=a\0=b\0")), "env file r2.env, entry 2: not of the form NAME=value: is it a binary file?");
	check_str(x_of(BYTES("X=a\0B\nC=b\0")), "env file r2.env, entry 2: not of the form NAME=value: is it a binary file?");
	check_str(x_of(BYTES("X=a\0" "5ecre7\0")),
		"env file r2.env, entry 2: not of the form NAME=value: is it a binary file?");
}

/* fstat calls it empty; only root may read it once the process is undumpable. */
static void
test_proc_environ(const char *path_at_start)
{
	char out[CONFIG_VALUE_MAX];
	struct config_options o = {.env_file = "/proc/self/environ"};

	if (geteuid() != 0 || !path_at_start)
		return;
	ENV("A=b");
	check_int(config_value(&o, "PATH", out, sizeof out, &e), 1);
	check_str(out, path_at_start);
}

static void
test_env_file_size(void)
{
	static char big[CONFIG_ENV_FILE_MAX + 1];

	memset(big, '#', sizeof big);
	memcpy(big, "X=a\n", 4);
	check_str(x_of(big, CONFIG_ENV_FILE_MAX), "a");
	check_str(x_of(big, CONFIG_ENV_FILE_MAX + 1), "env file r2.env: larger than 1048576 bytes: is it the right file?");
	memcpy(big + CONFIG_ENV_FILE_MAX - 4, "\nX=b", 4);
	check_str(x_of(big, CONFIG_ENV_FILE_MAX), "b");
}

static void
test_name_file(void)
{
	static char big[CONFIG_VALUE_MAX + 2];
	char path[256], here[200];

	check(getcwd(here, sizeof here) != NULL);
	snprintf(path, sizeof path, "%s/secret", here);
	ENV("R2_SECRET_ACCESS_KEY");
	setenv("R2_SECRET_ACCESS_KEY_FILE", path, 1);
	write_text("secret", "5ecre7x\r\n");
	loads(NULL);
	check_str(c.secret, "5ecre7x");
	write_text("secret", "5ecre7\nsecond\n");
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY_FILE (/", "/secret)", "space or control character inside");
	write_bytes("secret", BYTES("5ecre7\0x"), 0600);
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY_FILE (/", "has a NUL byte inside");
	write_text("secret", " \n");
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY_FILE (/", "is empty");
	unlink("secret");
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY_FILE (/", "/secret)", "No such file or directory");
	/* the secret where its file's name belongs */
	apply("R2_SECRET_ACCESS_KEY_FILE=" SECRET);
	REFUSES(NULL, ERR_USAGE, "the file that R2_SECRET_ACCESS_KEY_FILE names: No such file");
	apply("R2_SECRET_ACCESS_KEY_FILE=.");
	REFUSES(NULL, ERR_USAGE, "R2_SECRET_ACCESS_KEY_FILE names: is a directory");
	apply("R2_SECRET_ACCESS_KEY_FILE=fifo");
	REFUSES(NULL, ERR_USAGE, "is not a regular file");
	/* one that is not needed is not opened */
	apply("R2_SECRET_ACCESS_KEY=" SECRET);
	loads(NULL);

	memset(big, 'v', sizeof big);
	write_bytes("big", big, CONFIG_VALUE_MAX + 1, 0600);
	ENV("R2_PREFIX_FILE=big");
	REFUSES(NULL, ERR_USAGE, "R2_PREFIX_FILE", "longer than 8192 bytes");
	big[1024] = '\n';
	write_bytes("big", big, 1025, 0600);
	loads(NULL);
	check_int(strlen(c.prefix), 1024);
}

static void
test_config_value(void)
{
	char out[8], long_out[CONFIG_VALUE_MAX + 1];
	struct config_options o = {0};

	clearenv();    /* applets ask for theirs where there are no keys, too */
	unlink(default_env_file);
	check_int(config_value(&o, "R2_LOG_FILE", out, sizeof out, &e), 0);
	check_str(out, "");
	setenv("R2_LOG_FILE", "/a/b", 1);
	check_int(config_value(&o, "R2_LOG_FILE", out, sizeof out, &e), 1);
	check_str(out, "/a/b");
	setenv("R2_LOG_FILE", "/a/b/c/d", 1);
	check_int(config_value(&o, "R2_LOG_FILE", out, sizeof out, &e), -1);
	check_int(e.kind, ERR_USAGE);
	check_str(e.msg, "R2_LOG_FILE is longer than 7 bytes");
	write_text("dir", "/from/file\n");
	write_text(default_env_file, "COMFYUI_OUTPUT_DIR='/an other'\n");
	check_int(config_value(&o, "COMFYUI_OUTPUT_DIR", long_out, sizeof long_out, &e), 1);
	check_str(long_out, "/an other");
	setenv("COMFYUI_OUTPUT_DIR", "", 1);
	check_int(config_value(&o, "COMFYUI_OUTPUT_DIR", long_out, sizeof long_out, &e), 1);
	check_str(long_out, "/an other");
	setenv("COMFYUI_OUTPUT_DIR_FILE", "dir", 1);
	check_int(config_value(&o, "COMFYUI_OUTPUT_DIR", long_out, sizeof long_out, &e), 1);
	check_str(long_out, "/from/file");
	o.env_file = "nowhere";
	check_int(config_value(&o, "COMFYUI_OUTPUT_DIR", long_out, sizeof long_out, &e), -1);
	check_str(long_out, "");
}

static void
test_warning(void)
{
	static const char with_secret[] = "R2_BUCKET=b-1\nR2_SECRET_KEY=" SECRET "\n", without[] = "R2_BUCKET=b-1\n";

	ENV("A=b");
	write_bytes(default_env_file, with_secret, strlen(with_secret), 0600);
	loads(NULL);
	check_str(c.warning, "");
	write_bytes(default_env_file, with_secret, strlen(with_secret), 0640);
	loads(NULL);
	check_str(c.warning, "others may read the secret in r2.env (mode 640): chmod 600 r2.env");
	write_bytes(default_env_file, without, strlen(without), 0644);
	loads(NULL);
	check_str(c.warning, "");
	write_bytes(default_env_file, BYTES("R2_SECRET_KEY=\n"), 0644);
	loads(NULL);
	check_str(c.warning, "");

	ENV("R2_SECRET_ACCESS_KEY", "R2_SECRET_ACCESS_KEY_FILE=secret", "R2_ACCESS_KEY_ID", "R2_ACCESS_KEY_ID_FILE=id");
	write_bytes("id", "AKID", 4, 0644);   /* no secret */
	write_bytes("secret", SECRET, strlen(SECRET), 0600);
	loads(NULL);
	check_str(c.warning, "");
	write_bytes("secret", SECRET, strlen(SECRET), 0604);
	loads(NULL);
	check_str(c.warning, "others may read the secret in secret (mode 604): chmod 600 secret");
	/* one warning, and a file that is well kept does not take it back */
	write_bytes(default_env_file, with_secret, strlen(with_secret), 0644);
	loads(NULL);
	check_str(c.warning, "others may read the secret in r2.env (mode 644): chmod 600 r2.env");
	write_bytes("secret", SECRET, strlen(SECRET), 0600);
	loads(NULL);
	check_str(c.warning, "others may read the secret in r2.env (mode 644): chmod 600 r2.env");
	check(!strstr(c.warning, "5ecre7"));
}

static int
local_hour(void)
{
	time_t noon = 43200;
	struct tm tm;

	localtime_r(&noon, &tm);
	return tm.tm_hour;
}

static void
test_zone(void)
{
	ENV("TZ=UTC");
	check_int(local_hour(), 12);
	ENV("A=b");
	write_text(default_env_file, "TZ=XXX-3\n");
	loads(NULL);
	check_str(getenv("TZ"), "XXX-3");
	check_int(local_hour(), 15);
	ENV("TZ=");
	write_text(default_env_file, "TZ=XXX-3\n");
	loads(NULL);
	check_str(getenv("TZ"), "");
	check_int(local_hour(), 12);
}

static void
test_secrets_kept(void)
{
	struct config_source s = {0};
	struct config_options none = {0};

	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	ENV("R2_SESSION_TOKEN=" TOKEN, "HTTPS_PROXY=http://u:5ecre7@p:1");
	loads(NULL);
	check_int(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	config_wipe(&c);
	check(!memmem(&c, sizeof c, "AKID", 4));
	check(!memmem(&c, sizeof c, "5ecre7", 6));
	check_str(c.secret, "");
	check_str(c.token, "");
	check_str(c.proxy.auth, "");
	check_str(c.host, "h.example");

	write_text(default_env_file, "R2_SECRET_KEY=5ecre7\n");
	check_int(config_source_open(&s, &none, &e), 0);
	check_int(config_find(&s, NAMED("R2_SECRET_KEY"), &e), 1);
	check_str(s.text, "5ecre7");
	config_source_close(&s);
	check(!memmem(&s, sizeof s, "5ecre7", 6));
	check(s.file.p == NULL);
	config_source_close(&s);

	/* text becomes shorter as entries: what was behind them is gone as well */
	write_text(default_env_file, "# a comment\nX=a\n# 5ecre7\n");
	check_int(config_source_open(&s, &none, &e), 0);
	check_int(s.file.len, 4);
	check(!memmem(s.file.p, 26, "5ecre7", 6));
	config_source_close(&s);
}

static void
remove_files(void)
{
	static const char *const names[] = {"r2.env", "named.env", "second.env", "third.env", "file", "fifo", "id", "empty",
		"secret", "big", "dir", "value.2", "value.4"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(names[i]);
}

int
main(void)
{
	const char *path = getenv("PATH"), *tmp = getenv("TMPDIR");
	char dir[200];
	char *path_at_start = path ? strdup(path) : NULL;

	snprintf(dir, sizeof dir, "%s/t_config.XXXXXX", tmp && strlen(tmp) < 100 ? tmp : "/tmp");
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return perror(dir), 1;
	test_defaults();
	test_limits();
	test_precedence();
	test_spellings();
	test_aws_keys();
	test_missing_keys();
	test_damaged_keys();
	test_empty_values();
	test_too_long();
	test_endpoints();
	test_endpoint_errors();
	test_account();
	test_account_and_endpoint();
	test_bucket();
	test_bucket_in_host();
	test_proxy();
	test_which_env_file();
	test_unreadable_default();
	test_env_file_lines();
	test_env_block();
	test_proc_environ(path_at_start);
	test_env_file_size();
	test_name_file();
	test_config_value();
	test_warning();
	test_zone();
	test_secrets_kept();
	free(path_at_start);
	remove_files();
	check_int(rmdir(dir), 0);
	/* LeakSanitizer has to be allowed to look */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return test_end();
}
