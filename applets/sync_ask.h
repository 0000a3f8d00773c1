#pragma once
/* --status and --health: a Unix socket in the state directory, that only its owner can use. Whoever connects gets the whole
   report and the connection is closed; nothing is read from the other side. */
#include <stddef.h>
#include "err.h"

/* What the daemon answers: one line for --health ("ok" or why not), the object of --status --json, and the text for people. */
struct ask_report {
	char health[512];
	char json[32768];   /* DIR may have 4,095 bytes, and JSON six for each */
	char text[8192];
};

/* The listening descriptor, or -1 (ERR_LOCAL). Changes the working directory for a moment (socket names are short): no thread may use a relative one. */
int ask_listen(const char *state, struct err *e);
/* The daemon ends. */
void ask_close(int fd, const char *state);
/* Answer one that has connected. Never blocks. */
void ask_answer(int fd, const struct ask_report *r);
/* The asking side. -1 (ERR_LOCAL): no daemon there, or no answer. */
int ask_daemon(const char *state, struct ask_report *r, struct err *e);
