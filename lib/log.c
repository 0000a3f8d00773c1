#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "buf.h"
#include "enc.h"
#include "log.h"
#include "utc.h"

static enum log_level max_level = LOG_INFO;
static void (*hook_before)(void *), (*hook_after)(void *);
static void *hook_arg;
static void (*output)(const char *, unsigned);

void
log_set_level(enum log_level level)
{
	max_level = level;
}

void
log_set_output(void (*out)(const char *line, unsigned n))
{
	output = out;
}

void
log_set_hooks(void (*before)(void *arg), void (*after)(void *arg), void *arg)
{
	hook_before = before;
	hook_after = after;
	hook_arg = arg;
}

unsigned
log_format_r2(char *out, unsigned cap, long long t, enum log_level level, const char *text)
{
	static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
	struct buf b = buf_over(out, cap ? cap - 1 : 0);   /* one byte less: the newline always fits */
	char stamp[UTC_STAMP_CAP];

	if (cap)
		out[0] = '\0';
	if (cap < 2)
		return 0;
	utc_local_stamp(t, stamp);
	buf_fmt(&b, "[R2] %s - %s - ", stamp, names[level]);
	enc_printable(&b, text, strlen(text));
	buf_ellipsis(&b);
	memcpy(out + b.len, "\n", 2);
	return (unsigned)b.len + 1;
}

int
log_put(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t got = write(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

void
log_write(const char *line, unsigned n)
{
	if (output) {
		output(line, n);
		return;
	}
	if (hook_before)
		hook_before(hook_arg);
	log_put(STDERR_FILENO, line, n);
	if (hook_after)
		hook_after(hook_arg);
}

unsigned
log_line(char line[LOG_LINE_CAP], enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_CAP];
	struct buf b = BUF(text);

	if (level > max_level)
		return 0;
	buf_vfmt(&b, fmt, ap);
	buf_ellipsis(&b);
	return log_format_r2(line, LOG_LINE_CAP, time(NULL), level, text);
}

void
log_r2(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_CAP];
	unsigned n;
	va_list ap;

	va_start(ap, fmt);
	n = log_line(line, level, fmt, ap);
	va_end(ap);
	if (n)
		log_write(line, n);
}
