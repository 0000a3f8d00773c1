#pragma once
/* What a command is, and what the commands and main.c share. */
#include <stdio.h>
#include "err.h"
#include "opt.h"

enum {
	APPLET_LOGS = 1,        /* errors appear as log lines, as the script it replaces wrote them */
	APPLET_COMMAND = 2,     /* what follows "--" is a command: applet_command */
};

/* A command. Each applets/NAME.c defines one `const struct applet NAME_applet`; list.h names them all. */
struct applet {
	const char *name;       /* "ls": run as `r2 ls` or `r2-ls` */
	const char *operands;   /* "[PREFIX]" */
	const char *summary;    /* one line for `r2 --help` */
	const char *notes;      /* what the help says after the options, or NULL */
	const struct opt *opts[2]; /* its own rows, and those of transfers or NULL; those of every applet are client_opts */
	int how;                /* bits: */
	/* Operands only. 0: all done; 1: something was not, and has been reported; -1: *e says what. */
	int (*run)(int argc, char **argv, struct err *e);
};

#define APPLET(name) extern const struct applet name##_applet;
#include "list.h"
#undef APPLET

/* The words behind "--" for an applet with APPLET_COMMAND, NULL-terminated; NULL: there is no "--". */
extern char **applet_command;

/* "usage: r2 NAME …", the options, the notes. */
void applet_help(const struct applet *a, FILE *out);
