#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "path.h"
#include "private.h"
#include "upload_source.h"
#include "watch.h"

enum {
	COARSE_MS = 2000,   /* file systems without fractions of a second: ext3 one second, FAT two */
	LOOKS_MAX = 3,
	LOOK_MS = 100,      /* how often a changing file is looked at */
};

static int
same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static ssize_t
read_file(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	const struct upload_source *s = arg;
	ssize_t got;

	/* To compare a large file takes minutes. */
	if (s->stop && __atomic_load_n(s->stop, __ATOMIC_RELAXED))
		return fail(e, ERR_STOPPED, "stopped");
	do
		got = pread(s->fd, p, n, (off_t)off);
	while (got < 0 && errno == EINTR);
	/* Below /sys every file is said to be as long as a page. */
	if (!got && !source_changed(arg))
		return fail(e, ERR_LOCAL, "its length is said to be %llu, but it ends sooner: send it through a pipe, with - for FILE and --key",
			(unsigned long long)s->was.st_size);
	return got < 0 ? fail_errno(e, "read") : got;
}

static ssize_t
read_part(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	const struct source_part *part = arg;

	return part->whole->read(part->whole->arg, part->from + off, p, n, e);
}

void
source_part(struct source_part *p, const struct http_body *whole, uint64_t from, uint64_t n)
{
	*p = (struct source_part){whole, from, {n, read_part, p}};
}

void
source_forget(const struct upload_source *s, uint64_t from, uint64_t n)
{
	posix_fadvise(s->fd, (off_t)from, (off_t)n, POSIX_FADV_DONTNEED);
}

/* How long files get the same time stamp: the kernel's tick (1 to 10 ms), and one more for the rounding. */
static long
tick_ms(void)
{
	struct timespec t;

	return clock_getres(CLOCK_REALTIME_COARSE, &t) < 0 ? 10 : t.tv_nsec / 1000000 + 1;
}

/* Look (again) at the file: what is read from now on belongs to this state. */
static int
look(struct upload_source *s, struct err *e)
{
	struct timespec now;
	struct stat again;
	long age_ms, tick = tick_ms();
	char byte;

	/* A file stamped in this very tick can be written once more without getting another stamp: let the tick pass. One that is
	   being written all the time will be seen to change, so it needs no longer patience. */
	for (int i = 0; i < LOOKS_MAX; i++) {
		if (fstat(s->fd, &s->was) < 0)
			return fail_errno(e, "stat");
		if (!s->was.st_ctim.tv_nsec && !s->was.st_mtim.tv_nsec)
			tick = COARSE_MS;
		clock_gettime(CLOCK_REALTIME, &now);
		age_ms = (long)(now.tv_sec - s->was.st_ctim.tv_sec) * 1000 +
			(now.tv_nsec - s->was.st_ctim.tv_nsec) / 1000000;
		if (age_ms < 0 || age_ms >= tick)
			break;
		clock_pause(NULL, (int)(tick - age_ms));
	}
	s->body = (struct http_body){(uint64_t)s->was.st_size, read_file, s};
	/* Below /proc, and on some file systems of their own, the length is not known before it is read. */
	if (!s->was.st_size && pread(s->fd, &byte, 1, 0) == 1 && fstat(s->fd, &again) == 0 && !again.st_size)
		return fail(e, ERR_LOCAL, "its length is said to be 0, but it has content: send it as standard input, with - for FILE and --key");
	return 0;
}

/* One name less, or one more, is another ctime, and the same content. Without the last one the path is another file's. */
static int
unchanged(const struct upload_source *s, struct stat *now)
{
	if (now->st_nlink != s->was.st_nlink && (now->st_nlink || !s->by_path))
		now->st_ctim = s->was.st_ctim;
	return same_state(&s->was, now);
}

int
source_changed(void *source)
{
	const struct upload_source *s = source;
	struct stat now;

	return s->fd >= 0 && (fstat(s->fd, &now) < 0 || !unchanged(s, &now));
}

int
source_settle(struct upload_source *s, const struct source_wait *w, struct err *e)
{
	int (*pause)(void *, int) = w->pause ? w->pause : clock_pause;
	struct stat now;

	for (int ms = 0, quiet_ms = 0; quiet_ms < SOURCE_SETTLE_MS; ms += LOOK_MS) {
		if (ms >= w->limit_ms)
			return fail(e, ERR_CHANGED, "still being written after %d s: upload it when it is finished",
				w->limit_ms / 1000);
		if (pause(w->arg, LOOK_MS))
			return fail(e, ERR_STOPPED, "stopped");
		if (fstat(s->fd, &now) < 0)
			return fail_errno(e, "stat");
		quiet_ms = same_state(&s->was, &now) ? quiet_ms + LOOK_MS : 0;
		s->was = now;
	}
	return look(s, e);
}

static int
open_dir(const char *path, size_t n)
{
	char dir[PATH_MAX] = ".";

	/* What the user wrote is followed, wherever it leads. */
	if (n)
		snprintf(dir, sizeof dir, "%.*s", (int)n, path);
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int
open_file(const char *path, size_t named)
{
	int top, fd;

	if (!strcmp(path, "-"))
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (!named)
		/* O_NONBLOCK: a FIFO that took the file's place must not hold us. */
		return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	top = open_dir(path, named);
	fd = top < 0 ? -1 : private_read(top, path + named);
	if (top >= 0)
		close(top);
	return fd;
}

int
source_open(struct upload_source *s, const char *path, size_t named, struct err *e)
{
	struct stat st;

	*s = (struct upload_source){.fd = open_file(path, named)};
	if (s->fd < 0 && named && errno == EPERM)
		return fail(e, ERR_LOCAL, PRIVATE_FOREIGN);
	if (s->fd < 0)
		return fail_errno(e, "cannot be read");
	if (fstat(s->fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		source_close(s);
		return fail(e, ERR_LOCAL, "is no longer a file");
	}
	return look(s, e);
}

void
source_memory(struct upload_source *s, const char *mem, size_t n)
{
	*s = (struct upload_source){.fd = -1, .mem = mem, .body = http_memory(mem, n)};
}

/* By name, since there is no unlink by descriptor; only what is still the file that was sent goes, from the directory that it
   was looked at in. Of a symbolic link, the link. */
int
source_remove(const struct upload_source *s, const char *path, size_t named, struct err *e)
{
	size_t base = (size_t)(path_base(path) - path);
	int top = open_dir(path, named ? named : base);
	int dir = top < 0 ? -1 : private_parent(top, path + (named ? named : base)), rc = -1;
	struct stat st;

	if (dir < 0 && (errno == ELOOP || errno == ENOTDIR))
		fail(e, ERR_CHANGED, "uploaded, but not removed: behind a symbolic link");
	else if (dir < 0 || fstatat(dir, path + base, &st, 0) < 0 || !unchanged(s, &st))
		fail(e, ERR_CHANGED, "uploaded, but not removed: it changed meanwhile");
	else if (watch_busy(s->fd) == 1)
		/* What he writes next would be nowhere. */
		fail(e, ERR_CHANGED, "uploaded, but not removed: somebody has it open for writing");
	else
		rc = unlinkat(dir, path + base, 0) < 0 ? fail_errno(e, "uploaded, but not removed") : 0;
	if (dir >= 0)
		close(dir);
	if (top >= 0)
		close(top);
	return rc;
}

void
source_close(struct upload_source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
