#pragma once
/* Environment, NAME_FILE, env file and options → one struct config. One precedence for all:
   option, environment, NAME_FILE, env file, default. */
#include <stdint.h>
#include "err.h"
#include "net.h"

enum { CONFIG_HOST_CAP = 256, CONFIG_BUCKET_CAP = 64, CONFIG_VALUE_MAX = 8192 };

/* The defaults. */
#define CONFIG_BUCKET "runpod"
#define CONFIG_REGION "auto"
#define CONFIG_PREFIX "outputs"
#define CONFIG_R2_DOMAIN ".r2.cloudflarestorage.com"   /* Cloudflare's, behind the account's id and perhaps a jurisdiction */
#ifndef CONFIG_ENV_FILE                /* a test has its own */
#define CONFIG_ENV_FILE "/etc/r2.env"
#endif
enum { CONFIG_TIMEOUT_S = 60, CONFIG_RETRIES = 5 };

/* What the command line said; NULL where it said nothing. */
struct config_options {
	const char *env_file, *endpoint, *bucket, *ca_file;
	int allow_http;
	long timeout_s, retries;         /* 0: the default */
};

struct config {
	char host[CONFIG_HOST_CAP];      /* without brackets and trailing dot */
	uint16_t port;
	int tls;                         /* https */
	char host_field[CONFIG_HOST_CAP + 8];  /* value of Host: port only when not the scheme's own */
	char bucket[CONFIG_BUCKET_CAP];
	char region[64];
	char prefix[1025];
	char ca_file[4096];              /* "": built-in roots */
	char key_id[256];
	char secret[256];                /* a secret: config_wipe */
	char token[4096];                /* a secret; "" for none */
	struct net_proxy proxy;          /* port 0: none, or NO_PROXY exempts the host */
	int timeout_ms;                  /* 60,000 */
	int retries;                     /* attempts a request: 5 */
	char warning[512];               /* "" or one thing to tell the user (a secret others may read, an env file that he may not) */
};

/* 0; or -1: ERR_KEYS when credentials are missing, ERR_USAGE for everything missing or contradictory, each with
   the variable, where it was looked for and what to set. Makes the process undumpable (prctl) before
   it reads a secret, and wipes what it does not keep; on failure, all of *c. A TZ that only the env file has is put
   into the environment, since local time is libc's business: call it before threads start. */
int config_load(struct config *c, const struct config_options *o, struct err *e);

/* The key id, the secret and the session token once more, from where config_load would take them now; all else of *c is wiped. For keys
   that are renewed below a process that goes on: the env file and the files of NAME_FILE are read again, the environment is what it
   was. -1: as config_load. */
int config_load_keys(struct config *c, const struct config_options *o, struct err *e);

/* One variable by the same precedence (environment, NAME_FILE, env file): 1 found and copied into out,
   0 not set, -1 error. For applets' own variables (COMFYUI_OUTPUT_DIR, R2_LOG_FILE). An empty value counts as
   not set, but for R2_PREFIX and TZ, where it has a meaning. */
int config_value(const struct config_options *o, const char *name, char *out, size_t cap, struct err *e);

/* Another bucket, from s3://BUCKET/KEY: 0, or -1 (ERR_USAGE) when no server would take the name. */
int config_set_bucket(struct config *c, const char *bucket, struct err *e);

/* 1 when the store is Cloudflare R2 itself, whose behaviour is known. */
int config_is_r2(const struct config *c);

/* The variables that the keys may stand in, NULL-terminated. */
extern const char *const config_keys[];

/* Wipe the secrets. */
void config_wipe(struct config *c);

/* BUCKET.ACCOUNT.r2…, BUCKET.s3.…: requests would go to that bucket, with ours as the beginning of their keys. 0, or -1 (ERR_USAGE). */
int config_check_host(const struct config *c, struct err *e);

/* Parse "https://HOST[:PORT][/BUCKET]" (scheme optional): host, port, tls, host_field, and the bucket in the path
   or "". For config_load and its tests. -1 (ERR_USAGE) with the part that is wrong. */
int config_parse_endpoint(struct config *c, const char *text, int allow_http, char bucket[CONFIG_BUCKET_CAP],
	struct err *e);
