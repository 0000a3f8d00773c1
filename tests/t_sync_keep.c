/* sync --delete-after on file systems that are not mounted here: one that numbers its files by their names, one that leaves leases to its server,
   one that knows neither hard links nor RENAME_NOREPLACE. */
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
	int plain;         /* no hard links, no flags for a renaming */
	int taken;         /* a newer file comes while the old one is hidden */
	int kept;          /* nothing is removed (EIO) */
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

static int
test_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
	if (!faked.plain)
		return linkat(dir, from, to_dir, to, flags);
	errno = EOPNOTSUPP;
	return -1;
}

static int
test_unlinkat(int dir, const char *name, int flags)
{
	if (faked.taken)
		close(openat(dir, "f", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	if (!faked.kept)
		return unlinkat(dir, name, flags);
	errno = EIO;
	return -1;
}

#define fstat test_fstat
#define fstatat test_fstatat
#define fstatfs test_fstatfs
#define fcntl test_fcntl
#define linkat test_linkat
#define unlinkat test_unlinkat
#define syscall(...) (faked.plain ? (errno = EINVAL, -1) : syscall(__VA_ARGS__))
#include "../lib/private.c"
#include "../lib/watch_fs.c"
#include "../applets/sync_keep.c"
#undef fstat
#undef fstatat
#undef fstatfs
#undef fcntl
#undef linkat
#undef unlinkat
#undef syscall

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
	char top[] = "/tmp/r2-keep.XXXXXX", hidden[sizeof SYNC_GONE_PREFIX + 24];
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
	if (faked.taken) {
		snprintf(hidden, sizeof hidden, SYNC_GONE_PREFIX "%llu", (unsigned long long)st.st_ino);
		check_int(unlinkat(dir, hidden, 0), 0);
	}
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

	/* What cannot be removed gets its name back, wherever; never a newer file's. */
	memset(&faked, 0, sizeof faked);
	for (faked.kept = 1; faked.plain < 2; faked.plain++)
		for (faked.taken = 0; faked.taken < 2; faked.taken++)
			check_int(removed(0), 0);
	return test_end();
}
