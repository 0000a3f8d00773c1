#pragma once
/* Files that hold values: the env file, and those that a NAME_FILE names. For config.c alone. */
#include <stddef.h>
#include "err.h"

enum { CONFIG_ENV_FILE_MAX = 1 << 20 };

/* What was read; zero-initialise, close with config_file_wipe. */
struct config_file {
	char *p;        /* malloc'ed, one NUL behind what was read */
	size_t len;
	unsigned mode;  /* permission bits */
};

/* All of a regular file of at most max bytes (a size of 0 means nothing: /proc/1/environ has it). 0; or -1:
   ERR_USAGE, or ERR_LOCAL when memory is out. The message begins with label, what the user calls the file. */
int config_file_read(struct config_file *f, const char *path, const char *label, size_t max, struct err *e);

/* Turn what was read into "NAME=value" entries, each ended by NUL, in place. Where there are NULs already, the
   entries are only checked. Otherwise lines: NAME=value, "export " before it allowed, quotes as in a shell
   without expansion, # comments, CRLF and a byte order mark tolerated. -1 (ERR_USAGE) with label and line, never with
   what stands there: it may be a secret. */
int config_file_entries(struct config_file *f, const char *label, struct err *e);

/* The last value of name, or NULL. Points into f. */
const char *config_file_get(const struct config_file *f, const char *name);

/* Accepts what was never read. */
void config_file_wipe(struct config_file *f);
