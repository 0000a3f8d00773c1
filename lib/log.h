#pragma once
/* Lines for people and for log watchers. Each line is one write(2), so lines of threads never mix;
   control characters and invalid UTF-8 are escaped; a log that cannot be written never stops the work. */
#include <stdarg.h>
#include <stddef.h>

enum { LOG_LINE_CAP = 8192 };   /* bytes of a line; what is longer ends in "…" */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped (LOG_INFO at start). Set before threads start. */
void log_set_level(enum log_level level);

/* Called before and after each line with arg; for a progress line that must make room. NULL: none. */
void log_set_hooks(void (*before)(void *arg), void (*after)(void *arg), void *arg);

/* "[R2] 2025-12-29 10:10:00 - INFO - text" on standard error, local time: the old upload script's form. */
void log_r2(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Such a line, for writing it later: its length, the newline included; 0 when it is above the level. */
unsigned log_line(char line[LOG_LINE_CAP], enum log_level level, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* All n bytes to fd: 0; -1 (errno). */
int log_put(int fd, const char *p, size_t n);

/* Write a finished line as it is, n bytes (and NUL-terminated). */
void log_write(const char *line, unsigned n);
/* Finished lines go to out instead of standard error, from any thread. NULL: to standard error again. */
void log_set_output(void (*out)(const char *line, unsigned n));

/* The bytes of one finished "[R2] …" line, newline included, into out (at most cap, NUL-terminated);
   returns its length. t is seconds since 1970. For log.c and for tests. */
unsigned log_format_r2(char *out, unsigned cap, long long t, enum log_level level, const char *text);
