#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "path.h"
#include "sync_daemon.h"
#include "sync_place.h"

enum {
	UNLEASED_S = 60,
	NO_REPLACE = 1,      /* RENAME_NOREPLACE of linux/fs.h */
};

/* The directory that holds rel, reached without a symbolic link, so that nothing outside is ever removed. -1 with errno. */
static int
open_parent(const struct daemon *d, const char *rel)
{
	char part[NAME_MAX + 1];
	int fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

	for (const char *slash; fd >= 0 && (slash = strchr(rel, '/')); rel = slash + 1) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - rel), rel);
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

static int
is_state(int fd, const struct ledger_file *f, struct stat *st)
{
	struct ledger_file now;

	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		return 0;
	now = ledger_file_of(st);
	return now.size == f->size && now.mtime_ns == f->mtime_ns && now.inode == f->inode;
}

/* A writer that opened the file before it lost its name would write into nothing. The read lease tells: while it is held, nobody has the file open
   for writing, and who wants to breaks it. So: lease, hide, look whether it was broken; then the name comes back. */
static int
remove_leased(int dir, const char *name, int fd, const struct stat *st)
{
	char hidden[sizeof SYNC_GONE_PREFIX + 24];
	int leased = fcntl(fd, F_SETLEASE, F_RDLCK) == 0, removed = 0;

	/* Where the kernel cannot say whether somebody writes, a pause is not taken for the end: the next scan comes again. */
	if (!leased && (errno == EAGAIN || time(NULL) - st->st_ctim.tv_sec < UNLEASED_S))
		return 0;
	snprintf(hidden, sizeof hidden, SYNC_GONE_PREFIX "%llu", (unsigned long long)st->st_ino);
	if (renameat(dir, name, dir, hidden) == 0) {
		struct stat hid;
		int same = fstatat(dir, hidden, &hid, AT_SYMLINK_NOFOLLOW) == 0 && hid.st_ino == st->st_ino && hid.st_dev == st->st_dev &&
			hid.st_size == st->st_size && hid.st_mtim.tv_sec == st->st_mtim.tv_sec && hid.st_mtim.tv_nsec == st->st_mtim.tv_nsec;

		if (same && (!leased || fcntl(fd, F_GETLEASE) == F_RDLCK))
			removed = unlinkat(dir, hidden, 0) == 0;
		else    /* a newer file may have the name by now */
			syscall(SYS_renameat2, dir, hidden, dir, name, NO_REPLACE);
	}
	if (leased)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return removed;
}

int
sync_remove(struct daemon *d, const char *rel)
{
	struct ledger_record r;
	struct stat st;
	int dir, fd = -1, removed = 0;

	if (!ledger_find(d->ledger, rel, &r) || r.state != LEDGER_DONE || !*r.key)
		return 0;
	/* Another file's object, that happens to be the same: when that file is rewritten, so is the object. */
	if (d->set->flat && !*r.etag)
		return 0;
	dir = open_parent(d, rel);
	if (dir >= 0)
		fd = openat(dir, path_base(rel), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && is_state(fd, &r.file, &st))
		removed = remove_leased(dir, path_base(rel), fd, &st);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return removed;
}
