/* sync --delete-after on a file system that is not mounted here: it numbers its files by their names. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test.h"

static struct {
	int by_name;       /* a file's number is that of its name */
} faked;

static void
disguise(const char *name, struct stat *st)
{
	if (faked.by_name)
		for (st->st_ino = 1; *name; name++)
			st->st_ino = st->st_ino * 31 + (unsigned char)*name;
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

#define fstat test_fstat
#define fstatat test_fstatat
#include "../lib/private.c"
#include "../applets/sync_keep.c"
#undef fstat
#undef fstatat

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

/* 1 when a verified file is removed; else it is there under its name. */
static int
removed(void)
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
	check_int(removed(), 1);
	faked.by_name = 1;
	check_int(removed(), 1);
	return test_end();
}
