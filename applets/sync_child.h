#pragma once
/* COMMAND of `r2 sync -- COMMAND`: forked early (so that what restricts the daemon does not restrict it), started when the watches stand. */
#include <sys/types.h>
#include "err.h"

struct child {
	pid_t pid;
	int go;                      /* a byte here starts it; closed without one: it ends */
	int ended, status;           /* as a shell would say it: 0–255, 128 + signal, 126, 127 */
};

/* Fork; argv is COMMAND. hide_keys: the store's keys leave its environment. -1 (ERR_LOCAL). */
int child_fork(struct child *c, char **argv, int hide_keys, struct err *e);
void child_start(struct child *c);
/* Hand on a signal; SIGHUP only when COMMAND has a handler for it. SIGTSTP stops us, too, without a terminal at once. */
void child_signal(const struct child *c, int sig);
/* Have a blocked signal do to us, here and now, what it does by itself. */
void child_raise(int sig);
/* Reap whatever has ended: COMMAND and (as process 1) strays. */
void child_reap(struct child *c);
