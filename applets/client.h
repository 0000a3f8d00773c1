#pragma once
/* What every applet has: the common options, the configuration behind them, and a connection to the store. */
#include "config.h"
#include "opt.h"
#include "s3.h"

/* The common options as the command line gave them. */
struct client_args {
	struct config_options config;
	int quiet, verbose, json, help;
	int tells_failures;      /* set by an applet that has its own line for what failed for good */
};
extern struct client_args client_args;
extern const struct opt client_opts[];

struct client {
	struct config cfg;
	struct s3_store store;
	struct s3 s3;
};

/* The store's observer: lines for -v, and for attempts that failed. For an applet that puts its own before it. */
void client_observe(void *arg, const struct s3_attempt *a);

/* Read the configuration and the trust anchors; no connection yet. -1: see config_load and tls_trust_load. */
int client_open(struct client *c, struct err *e);
/* Close and wipe; accepts what was never opened. */
void client_close(struct client *c);

/* R2_PREFIX without the slashes at its ends, as it stands in keys. */
const char *client_prefix(struct client *c);

/* arg may be "s3://BUCKET/KEY": then that bucket is used, and the key returned; else arg itself. NULL with *e. */
const char *client_key(struct client *c, const char *arg, struct err *e);
