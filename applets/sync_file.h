#pragma once
/* One upload of the daemon: begun by sync_send.c, taken by sync_settle.c when it has ended. */
#include "sync_daemon.h"

/* A worker's while it runs. */
struct file {
	struct upload u;
	struct daemon *d;
	struct sync_entry *x;
	struct file *next;
	struct ledger_record r;      /* how it was begun */
	char tag[17];
	int probe;                   /* while all is paused: not worth a line */
	int failed;
	int shared;                  /* another file is done by the object at its key */
	struct err why;
	char path[];
};

/* For --status and --health, which show it on terminals. Any thread. */
void sync_keep_error(struct daemon *d, const char *name, const char *msg);
