#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "buf.h"
#include "private.h"

enum {
	OPEN_TRIES = 16,                   /* each lost to a process that has just finished */
	OTHERS_WRITE = S_IWGRP | S_IWOTH,
};

const char *
private_dir_fault(const char *dir, int *unsafe)
{
	uid_t me = geteuid();
	struct stat link, st;

	if (lstat(dir, &link) < 0 || stat(dir, &st) < 0)
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return strerror(ENOTDIR);
	*unsafe = 1;
	if ((link.st_uid != me && link.st_uid != 0) || (st.st_uid != me && st.st_uid != 0))
		return "it belongs to another user";
	if (st.st_mode & OTHERS_WRITE)
		return "others may write to it";
	*unsafe = 0;
	return access(dir, W_OK | X_OK) < 0 ? strerror(errno) : NULL;
}

int
private_make_dirs(char *path, size_t keep, mode_t mode)
{
	int rc, why = 0;

	for (char *p = path + keep + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, mode) < 0 && errno != EEXIST && !why)
			why = errno;
		*p = '/';
	}
	rc = mkdir(path, mode);
	if (rc < 0 && why)
		errno = why;
	return rc;
}

void
private_reclaim(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_mode & OTHERS_WRITE)
		fchmod(fd, 0700);
	if (fd >= 0)
		close(fd);
}

int
private_dir(const char *path, struct err *e)
{
	const char *fault;
	struct stat st;
	int unsafe;

	if (lstat(path, &st) < 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail_errno(e, "%s: cannot be made", err_show(e, path));
	fault = private_dir_fault(path, &unsafe);
	return fault ? fail(e, ERR_LOCAL, "%s: %s", err_show(e, path), fault) : 0;
}

/* Why it is not a file that only we write to, or NULL. */
static const char *
file_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_nlink > 1)
		return "it has another name (a hard link)";
	return NULL;
}

size_t
private_write(int fd, const void *data, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pwrite(fd, (const char *)data + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got < 0 ? errno : ENOSPC;
			break;
		}
		done += (size_t)got;
	}
	return done;
}

int
private_still_named(int dir, const char *name, const struct stat *opened)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == opened->st_dev && st.st_ino == opened->st_ino;
}

int
private_rename_new(int dir, const char *from, const char *to)
{
	if (syscall(SYS_renameat2, dir, from, dir, to, PRIVATE_NO_REPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return -1;
	/* An old kernel, or a file system that cannot, as NFS: a second name is never made over another. */
	if (linkat(dir, from, dir, to, 0) < 0)
		return -1;
	unlinkat(dir, from, 0);
	return 0;
}

int
private_sync_dir(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct buf b = BUF(dir);
	int fd, rc;

	buf_put(&b, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd) < 0 && errno != EINVAL && errno != EOPNOTSUPP ? -1 : 0;
	close(fd);
	return rc;
}

enum { OPENED, IN_USE, GONE };

/* One try: OPENED, IN_USE, -1, or GONE when the file lost its name between open and lock. */
static int
open_locked(int *fd, const char *path, const char *what, struct err *e)
{
	struct stat st;
	const char *fault;
	int held;

	/* O_NONBLOCK: a FIFO or a device in the file's place must not make anybody wait. */
	*fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (*fd < 0 && errno == ELOOP)
		return fail(e, ERR_LOCAL, "%s %s: it is a symbolic link, which is not followed: remove it",
			what, err_show(e, path));
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return fail_errno(e, "%s %s", what, err_show(e, path));
	fault = file_fault(&st);
	if (!fault && st.st_mode & OTHERS_WRITE && fchmod(*fd, 0600) < 0)
		fault = "others may write to it";
	if (fault)
		return fail(e, ERR_LOCAL, "%s %s: %s: remove it", what, err_show(e, path), fault);
	do
		held = flock(*fd, LOCK_EX | LOCK_NB);
	while (held < 0 && errno == EINTR);
	/* Some network file systems have no locks (Lustre as it is mounted by default): it is ours nevertheless. */
	if (held < 0 && errno == EWOULDBLOCK)
		return IN_USE;
	/* Whoever held the lock may have removed or replaced it meanwhile. */
	if (!private_still_named(AT_FDCWD, path, &st))
		return GONE;
	if (!st.st_size)
		private_sync_dir(path);
	return OPENED;
}

int
private_open(int *fd, const char *path, const char *what, struct err *e)
{
	int rc = GONE;

	*fd = -1;
	for (int i = 0; i < OPEN_TRIES && rc == GONE; i++) {
		rc = open_locked(fd, path, what, e);
		if (rc != OPENED && *fd >= 0) {
			close(*fd);
			*fd = -1;
		}
	}
	return rc == GONE ? IN_USE : rc;
}

int
private_own_link(const struct stat *link)
{
	/* A second name, since anybody may have given one to root's (fs.protected_hardlinks off). */
	return (link->st_uid == geteuid() || !link->st_uid) && link->st_nlink == 1;
}

/* The next segment of *rel into part. 1: there are more. */
static int
segment(const char **rel, char part[NAME_MAX + 1])
{
	size_t n = strcspn(*rel, "/");

	snprintf(part, NAME_MAX + 1, "%.*s", (int)n, *rel);
	*rel += n + ((*rel)[n] == '/');
	return (*rel)[-1] == '/';
}

static int
step_into(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
step_trusting(int dir, const char *name)
{
	/* O_NONBLOCK: a FIFO that took the file's place must not hold us. */
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat link, to;
	int fd = openat(dir, name, flags | O_NOFOLLOW);

	if (fd >= 0 || errno != ELOOP || fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) < 0 || (fd = openat(dir, name, flags)) < 0)
		return fd;
	if (fstat(fd, &to) == 0 && (private_own_link(&link) || link.st_uid == to.st_uid))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* As far as rel goes, or (not `all`) to its last slash. */
static int
descend(int dir, const char *rel, int (*step)(int, const char *), int all)
{
	char part[NAME_MAX + 1];
	int fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next, more = 1;

	while (fd >= 0 && more && (all || strchr(rel, '/'))) {
		more = segment(&rel, part);
		next = step(fd, part);
		close(fd);
		fd = next;
	}
	return fd;
}

int
private_parent(int dir, const char *rel)
{
	return descend(dir, rel, step_into, 0);
}

int
private_read(int dir, const char *rel)
{
	return descend(dir, rel, step_trusting, 1);
}
