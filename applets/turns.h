#pragma once
/* Lines of files that are sent side by side, written as if they had been sent one after the other: those of the first unfinished file
   at once, the others' when it is their turn. Log watchers were written for one file after the other. */
#include <pthread.h>
#include "log.h"

/* A file's place; zero-initialise, then turns_take. Freed by its turns once it is done and written. */
struct turn {
	struct turn *next;
	char *held;          /* lines waiting: 'E' or 'O' (standard error, output), text, NUL, … */
	size_t len, cap;
	int done;
};

/* Zero-initialise, with PTHREAD_MUTEX_INITIALIZER. */
struct turns {
	pthread_mutex_t lock;
	struct turn *first, *last;
};

/* A new place behind all others, or NULL when memory is out: such a file's lines are written at once. */
struct turn *turns_take(struct turns *t);
/* A log line, or a line of standard output, of the file at that place. */
void turns_log(struct turns *t, struct turn *at, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void turns_print(struct turns *t, struct turn *at, const char *line);
/* That file has no more lines. at must not be used again. */
void turns_done(struct turns *t, struct turn *at);
