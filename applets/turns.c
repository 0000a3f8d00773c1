#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"
#include "turns.h"

struct turn *
turns_take(struct turns *t)
{
	struct turn *at = calloc(1, sizeof *at);

	if (!at)
		return NULL;
	pthread_mutex_lock(&t->lock);
	if (t->first)
		t->last->next = at;
	else
		t->first = at;
	t->last = at;
	pthread_mutex_unlock(&t->lock);
	return at;
}

static void
out(char stream, const char *line)
{
	if (stream == 'O')
		fputs(line, stdout);
	else
		log_write(line, (unsigned)strlen(line));
}

/* 0; -1 when memory is out. */
static int
hold(struct turn *at, char stream, const char *line)
{
	size_t n = strlen(line) + 2;

	if (buf_grow((void **)&at->held, &at->cap, at->len + n, 1) < 0)
		return -1;
	at->held[at->len] = stream;
	memcpy(at->held + at->len + 1, line, n - 1);
	at->len += n;
	return 0;
}

static void
say(struct turns *t, struct turn *at, char stream, const char *line)
{
	pthread_mutex_lock(&t->lock);
	if (!at || at == t->first || hold(at, stream, line) < 0)
		out(stream, line);
	pthread_mutex_unlock(&t->lock);
}

void
turns_print(struct turns *t, struct turn *at, const char *line)
{
	say(t, at, 'O', line);
}

void
turns_log(struct turns *t, struct turn *at, enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_CAP];
	unsigned n;
	va_list ap;

	va_start(ap, fmt);
	n = log_line(line, level, fmt, ap);
	va_end(ap);
	if (n)
		say(t, at, 'E', line);
}

static void
write_held(struct turn *at)
{
	for (size_t i = 0; i < at->len; i += strlen(at->held + i) + 1)
		out(at->held[i], at->held + i + 1);
	free(at->held);
	at->held = NULL;
	at->len = at->cap = 0;
}

void
turns_done(struct turns *t, struct turn *at)
{
	struct turn *next;

	if (!at)
		return;
	pthread_mutex_lock(&t->lock);
	at->done = 1;
	while (t->first && t->first->done) {
		next = t->first->next;
		free(t->first);
		t->first = next;
		if (next)
			write_held(next);
	}
	pthread_mutex_unlock(&t->lock);
}
