#pragma once
/* sync's log: every line (of log_r2 too) to standard output and to the log file. A line that repeats the one before is counted, not written.
   A file that cannot be written never stops anything. Threads may write at once. */
#include "err.h"

/* path "-" or NULL: standard output only. From now on log_r2 writes here. */
void sync_log_open(const char *path);
void sync_log_reopen(void);      /* the file has been moved away (SIGHUP) */
void sync_log_close(void);       /* tells pending repetitions */

/* The daemon does not come to be, opened or not: the log file says why, too, besides standard error. */
void sync_log_failed(const char *path, const struct err *e);

/* A reader of ours that has stopped (Ctrl-S, a full pipe) must not stop uploads: its lines are lost, not our time. 0: it has. With --json, whose
   lines are not written here, for the thread that writes those. What is written then has PIPE_BUF bytes at most. */
int sync_log_takes_lines(void);

/* "[2025-12-29 10:00:00] text"; error: shown with --quiet too. */
void sync_log(int error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
