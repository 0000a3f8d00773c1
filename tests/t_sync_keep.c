/* sync --delete-after on file systems that are not mounted here: one that numbers its files by their names, one that leaves leases to its server. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "test.h"

static struct {
	int by_name;       /* a file's number is that of its name */
	int no_lease;      /* none is given (EAGAIN) */
	unsigned type;     /* of the file system, 0: as it is */
	int age_s;         /* how much older files look */
} faked;

static void
disguise(const char *name, struct stat *st)
{
	if (faked.by_name)
		for (st->st_ino = 1; *name; name++)
			st->st_ino = st->st_ino * 31 + (unsigned char)*name;
	st->st_ctim.tv_sec -= faked.age_s;
}

static int
test_fstat(int fd, struct stat *st)
{
	char link[32], path[PATH_MAX] = "";
	int rc = fstat(fd, st);

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof path - 1) > 0)
		disguise(strrchr(path, '/') + 1, st);
	return rc;
}

static int
test_fstatat(int dir, const char *name, struct stat *st, int flags)
{
	int rc = fstatat(dir, name, st, flags);

	disguise(name, st);
	return rc;
}

static int
test_fstatfs(int fd, struct statfs *s)
{
	int rc = fstatfs(fd, s);

	if (faked.type)
		s->f_type = faked.type;
	return rc;
}

static int
test_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	int arg;

	va_start(ap, cmd);
	arg = cmd == F_SETLEASE ? va_arg(ap, int) : 0;
	va_end(ap);
	if (!faked.no_lease || arg != F_RDLCK)
		return fcntl(fd, cmd, arg);
	errno = EAGAIN;
	return -1;
}

#define fstat test_fstat
#define fstatat test_fstatat
#define fstatfs test_fstatfs
#define fcntl test_fcntl
#include "../lib/private.c"
#include "../lib/watch_fs.c"
#include "../applets/sync_keep.c"
#undef fstat
#undef fstatat
#undef fstatfs
#undef fcntl

void
sync_log(int error, const char *fmt, ...)
{
	(void)error;
	(void)fmt;
}

int
sync_rels_add(struct rels **list, const char *rel)
{
	(void)list;
	(void)rel;
	return 0;
}

/* 1 when a verified file is removed; else it is there under its name. busy: what the kernel says of who writes to it. */
static int
removed(int busy)
{
	char top[] = "/tmp/r2-keep.XXXXXX";
	int dir, fd, rc;
	struct stat st;

	if (!mkdtemp(top) || (dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		abort();
	fd = openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	check_int(test_fstat(fd, &st), 0);
	check_int(watch_busy(fd), busy);
	rc = remove_leased(dir, "f", fd, &st);
	check_int(unlinkat(dir, "f", 0), rc ? -1 : 0);
	check_int(rmdir(top), 0);
	close(fd);
	close(dir);
	return rc;
}

int
main(void)
{
	signal(SIGIO, SIG_IGN);
	check_int(removed(0), 1);
	faked.by_name = 1;
	check_int(removed(0), 1);

	/* Here somebody writes. */
	faked.no_lease = 1;
	faked.age_s = UNLEASED_S;
	check_int(removed(1), 0);
	/* There the server says nothing; but what was written lately is left. */
	faked.type = 0x6969;
	check_int(removed(-1), 1);
	faked.age_s = 0;
	check_int(removed(-1), 0);
	return test_end();
}
