#pragma once
/* Where configuration comes from, for config.c alone: option, environment, NAME_FILE and env file, asked in that
   order. */
#include <stddef.h>
#include "config.h"
#include "config_file.h"
#include "err.h"

enum { RANK_OPTION, RANK_ENVIRONMENT, RANK_ENV_FILE };

/* The env file, and the value found last. */
struct config_source {
	struct config_file file;
	const char *path;                /* the env file's name */
	int why_not;                     /* errno when the default env file is there but cannot be read */
	char warning[512];               /* "" or one thing to tell the user */
	char text[CONFIG_VALUE_MAX + 1]; /* no white space at its ends; it may be a secret */
	char from[512];                  /* where it was: "R2_BUCKET in /etc/r2.env" */
	int rank;                        /* of that place: what contradicts something of a lower rank loses */
};

/* One setting: its option, and the variables that mean the same, NULL-terminated. */
struct config_setting {
	const char *option, *option_name;
	const char *names[3];
};
#define NAMED(...) (&(struct config_setting){.names = {__VA_ARGS__}})
#define OPTION(value, name, ...) (&(struct config_setting){value, name, {__VA_ARGS__}})

/* Make the process undumpable and read the env file: 0, or -1 (ERR_USAGE). Close it in either case. */
int config_source_open(struct config_source *s, const struct config_options *o, struct err *e);
void config_source_close(struct config_source *s);

/* Fill text and from: 1; 0 when it is not set (text is ""); -1 (ERR_USAGE). By place first, then by name, so that
   R2_ACCESS_KEY in the environment wins over R2_ACCESS_KEY_ID in the env file. */
int config_find(struct config_source *s, const struct config_setting *want, struct err *e);
/* text into out: 0, or -1 (ERR_USAGE) when it is too long or has control characters. */
int config_copy(const struct config_source *s, char *out, size_t cap, struct err *e);
/* Both; out becomes "" when it is not set. */
int config_get(struct config_source *s, const struct config_setting *want, char *out, size_t cap, struct err *e);

/* For messages: where a missing value was looked for. Returns out. */
enum { CONFIG_LOOKED_CAP = 512 };
const char *config_looked(const struct config_source *s, char out[CONFIG_LOOKED_CAP]);
