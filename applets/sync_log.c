#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "client.h"
#include "enc.h"
#include "log.h"
#include "private.h"
#include "sync_log.h"
#include "utc.h"

enum { STUCK_MS = 2000 };

static struct {
	pthread_mutex_t lock;
	const char *path;
	int fd;                    /* -1: none */
	int opened;
	int failing;               /* said so */
	unsigned repeats;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static char last[LOG_LINE_CAP];  /* the last line, behind its time */

int
sync_log_takes_lines(void)
{
	static int stuck;
	struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};

	stuck = poll(&p, 1, stuck ? 0 : STUCK_MS) == 0;
	return !stuck;
}

/* "[2025-12-29 10:00:00] ", as lines of sync's own begin. */
static void
put_time(struct buf *b)
{
	char stamp[UTC_STAMP_CAP];

	utc_local_stamp(time(NULL), stamp);
	buf_fmt(b, "[%s] ", stamp);
}

/* --json has standard output for itself. A pipe that is not full has room for PIPE_BUF bytes, not for any line. */
static void
put_standard(const char *line, size_t n)
{
	for (size_t some; n && !client_args.json && sync_log_takes_lines(); line += some, n -= some) {
		some = n < PIPE_BUF ? n : PIPE_BUF;
		log_put(STDOUT_FILENO, line, some);
	}
}

/* Both places. */
static void
put(const char *line, size_t n)
{
	char text[LOG_LINE_CAP];
	struct buf b = BUF(text);

	put_standard(line, n);
	if (out.fd < 0)
		return;
	if (log_put(out.fd, line, n) == 0) {
		out.failing = 0;
	} else if (!out.failing++) {
		put_time(&b);
		buf_fmt(&b, "WARNING: log file %s: %s: lines are missing there\n", out.path, strerror(errno));
		put_standard(text, b.len);
	}
}

static void
put_repeats(void)
{
	char text[128];
	struct buf b = BUF(text);

	if (!out.repeats)
		return;
	put_time(&b);
	buf_fmt(&b, "The last line %u more time%s\n", out.repeats, out.repeats > 1 ? "s" : "");
	out.repeats = 0;
	put(text, b.len);
}

/* What a line says, behind its time. */
static const char *
behind_time(const char *line)
{
	const char *p = line + (strncmp(line, "[R2] ", 5) ? 1 : 5);

	return strlen(p) > UTC_STAMP_CAP ? p + UTC_STAMP_CAP : line;
}

static void
take_line(const char *line, unsigned n)
{
	const char *said = behind_time(line);

	pthread_mutex_lock(&out.lock);
	if (!strcmp(said, last)) {
		out.repeats++;
	} else {
		put_repeats();
		snprintf(last, sizeof last, "%s", said);
		put(line, n);
	}
	pthread_mutex_unlock(&out.lock);
}

/* -1 with EPERM: in a directory like /tmp another user may have put the link there, to have us write into what is ours. */
static int
open_own(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, flags | O_NOFOLLOW, 0644), why = errno;
	struct stat st;

	/* ELOOP, but EACCES in a directory with the sticky bit. */
	if (fd < 0 && (errno == ELOOP || errno == EACCES) && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
		errno = EPERM;
		return private_own_link(&st) ? open(path, flags, 0644) : -1;
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1) {
		close(fd);
		errno = EMLINK;
		return -1;
	}
	errno = why;
	return fd;
}

static const char *
why_not(void)
{
	return errno == EPERM ? PRIVATE_FOREIGN : strerror(errno);
}

/* The log is named by the user; it may be a link, a pipe or a terminal, and stays what it is. */
static int
open_file(const char *path)
{
	struct stat file, standard;
	int fd = open_own(path);

	/* `r2-sync > log` with the same file: each line once. */
	if (fd >= 0 && fstat(fd, &file) == 0 && fstat(STDOUT_FILENO, &standard) == 0 && file.st_dev == standard.st_dev &&
		file.st_ino == standard.st_ino) {
		close(fd);
		errno = 0;
		return -1;
	}
	return fd;
}

void
sync_log_open(const char *path)
{
	out.opened = 1;
	log_set_output(take_line);
	if (!path || !strcmp(path, "-"))
		return;
	out.path = path;
	out.fd = open_file(path);
	if (out.fd < 0 && errno)
		sync_log(0, "WARNING: log file %s: %s: standard output only", path, why_not());
}

void
sync_log_reopen(void)
{
	int fd;

	if (!out.path)
		return;
	fd = open_file(out.path);
	pthread_mutex_lock(&out.lock);
	put_repeats();
	if (fd >= 0 || !errno) {
		if (out.fd >= 0)
			close(out.fd);
		out.fd = fd;
	}
	pthread_mutex_unlock(&out.lock);
	if (fd < 0 && errno)
		sync_log(0, "WARNING: log file %s: %s: %s", out.path, why_not(), out.fd < 0 ? "standard output only" : "goes on with the old one");
}

void
sync_log_close(void)
{
	pthread_mutex_lock(&out.lock);
	put_repeats();
	pthread_mutex_unlock(&out.lock);
}

void
sync_log_failed(const char *path, const struct err *e)
{
	char line[LOG_LINE_CAP];

	/* What main says of it comes here. */
	if (out.opened && !client_args.json && e->kind != ERR_USAGE)
		return;
	log_set_output(NULL);
	if (out.fd < 0 && strcmp(path, "-"))
		out.fd = open_file(path);
	if (out.fd >= 0)
		log_put(out.fd, line, log_format_r2(line, sizeof line, time(NULL), LOG_ERROR, e->msg));
}

void
sync_log(int error, const char *fmt, ...)
{
	char text[LOG_LINE_CAP], line[LOG_LINE_CAP];
	struct buf b = BUF(text), l = buf_over(line, sizeof line - 1);
	va_list ap;

	if (client_args.quiet && !error)
		return;
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	buf_ellipsis(&b);
	put_time(&l);
	enc_printable(&l, text, b.len);
	buf_ellipsis(&l);
	l.cap++;
	buf_char(&l, '\n');
	log_write(line, (unsigned)l.len);
}
