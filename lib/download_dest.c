#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include "download_dest.h"
#include "private.h"

enum { AT_ONCE = 16 };   /* processes that have each a name to find again for the temporary file of one object */

/* What keeps the n bytes at s from being a name, or NULL. */
static const char *
segment_rule(const char *s, size_t n)
{
	if (n == 0)
		return "has an empty segment";
	if (n <= 2 && s[0] == '.' && s[n - 1] == '.')
		return "has a \".\" or \"..\" segment";
	return n > NAME_MAX ? "has a segment of more than 255 bytes" : NULL;
}

int
download_dest_check(const char *rel, struct err *e)
{
	const char *s = rel, *rule;
	size_t n;

	do {
		n = strcspn(s, "/");
		if ((rule = segment_rule(s, n)))
			return fail(e, ERR_LOCAL, "%s, so it cannot be a file here: give that one object's key and a file name", rule);
		s += n + (s[n] == '/');
	} while (*s);
	return 0;
}

/* Into the directory d->name, made when it is not there. */
static int
step(struct download_dest *d, struct err *e)
{
	struct stat st;
	int fd;

	d->made = mkdirat(d->dir, d->name, 0777) == 0;
	if (!d->made && errno != EEXIST)
		return fail_errno(e, "make directory");
	fd = openat(d->dir, d->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		close(d->dir);
		d->dir = fd;
		return 0;
	}
	if (errno != ENOTDIR && errno != ELOOP)
		return fail_errno(e, "open directory");
	return fail(e, ERR_LOCAL, "on the way there is %s where a directory is needed",
		fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)
			? "a symbolic link, which is not followed," : "a file");
}

int
download_dest_open(struct download_dest *d, int root, const char *rel, struct err *e)
{
	const char *s = rel;
	size_t n;

	*d = (struct download_dest){.dir = -1, .fd = -1};
	if (download_dest_check(rel, e) < 0)
		return -1;
	if ((d->dir = fcntl(root, F_DUPFD_CLOEXEC, 3)) < 0)
		return fail_errno(e, "the directory to write to");
	for (; *s; s += n + 1) {
		n = strcspn(s, "/");
		memcpy(d->name, s, n);
		d->name[n] = '\0';
		if (!s[n])
			return 0;
		if (step(d, e) < 0)
			return -1;
	}
	d->name[0] = '\0';
	return 0;
}

int
download_dest_stat(const struct download_dest *d, struct stat *st, struct err *e)
{
	if (fstatat(d->dir, d->name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(e, "look");
	if (S_ISDIR(st->st_mode))
		return fail(e, ERR_LOCAL, "there is a directory of this name");
	if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode))
		return fail(e, ERR_LOCAL, "there is something of this name that is no file");
	return 1;
}

/* The i-th one, ".NAME.r2-TAG", with as much of NAME as fits, whole characters. */
static void
temp_name(struct download_dest *d, const char *tag, int i)
{
	size_t most = NAME_MAX - strlen(".") - strlen(".r2-") - strlen(tag), n = strlen(d->name);

	if (n > most)
		for (n = most; n && ((unsigned char)d->name[n] & 0xC0) == 0x80; n--)
			;
	snprintf(d->temp, sizeof d->temp, ".%.*s.r2-%c%s", (int)n, d->name, i ? 'f' + i : *tag, tag + 1);
}

static int
open_private(struct download_dest *d)
{
	char tag[9];
	uint32_t r;

	do {
		if (getrandom(&r, sizeof r, 0) < 0)
			return -1;
		snprintf(tag, sizeof tag, "%08x", r);
		temp_name(d, tag, 0);
		d->fd = openat(d->dir, d->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	} while (d->fd < 0 && errno == EEXIST);
	return d->fd < 0 ? -1 : 0;
}

/* Who makes a file need not be its owner: on NFS with root_squash, or a file system of one owner, it is another. */
static int
is_own(const struct download_dest *d, uid_t uid)
{
	struct download_dest probe = *d;
	struct stat st;
	int own = uid == geteuid();

	if (!own && open_private(&probe) == 0) {
		own = fstat(probe.fd, &st) == 0 && st.st_uid == uid;
		download_dest_drop(&probe);
	}
	return own;
}

/* 1: opened and locked; 0: it cannot be opened, or is another process's or user's. Whoever held the lock before may have given the file
   its final name or removed it in between: then it is not ours to write to. */
static int
open_locked(struct download_dest *d)
{
	struct stat ours;
	int locked;

	d->fd = openat(d->dir, d->temp, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
	if (d->fd < 0)
		return 0;
	/* A file system without locks is taken as it is. */
	locked = flock(d->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
	if (locked && fstat(d->fd, &ours) < 0) {
		if (lseek(d->fd, 0, SEEK_END) == 0)
			unlinkat(d->dir, d->temp, 0);      /* it was made just now */
	} else if (locked && S_ISREG(ours.st_mode) && ours.st_nlink == 1 && is_own(d, ours.st_uid) &&
	    private_still_named(d->dir, d->temp, &ours))
		return 1;
	close(d->fd);
	d->fd = -1;
	return 0;
}

/* A file of ours that will be replaced says who may read it; we are to be able to go on with it. */
static void
take_mode(const struct download_dest *d)
{
	struct stat st, ours;

	if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    fstat(d->fd, &ours) == 0 && ours.st_uid == st.st_uid && fchmod(d->fd, (st.st_mode & 0777) | 0600) < 0)
		return;      /* a file system without modes */
}

int
download_dest_temp(struct download_dest *d, const char tag[9], struct err *e)
{
	int i = 0;

	do
		temp_name(d, tag, i);
	while (!open_locked(d) && ++i < AT_ONCE);
	d->lasting = i == 0;
	if (i == AT_ONCE && open_private(d) < 0)
		return fail_errno(e, "cannot be written");
	take_mode(d);
	return 0;
}

int
download_dest_commit(struct download_dest *d, const struct download_final *f, struct err *e)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {f->modified, 0}};
	struct stat st;
	int rc;

	/* Not every file system takes a time (FUSE), or takes it from us (CIFS mounted for another user): the content is what was asked for. */
	rc = ftruncate(d->fd, (off_t)f->size);
	if (rc == 0 && f->modified)
		futimens(d->fd, times);
	if (rc < 0 || fsync(d->fd) < 0)
		return fail_errno(e, "write");
	/* What is renamed is what was written: another name for it would be somebody's trick. */
	if (fstat(d->fd, &st) < 0 || !private_still_named(d->dir, d->temp, &st) || (uint64_t)st.st_size != f->size)
		return fail(e, ERR_LOCAL, "its temporary file %s was removed or changed meanwhile", d->temp);
	if ((f->replace ? renameat(d->dir, d->temp, d->dir, d->name) : private_rename_new(d->dir, d->temp, d->name)) < 0) {
		if (errno != EEXIST)
			return fail_errno(e, "rename");
		/* Of the keys a and a/b, the other may have come first. */
		return download_dest_stat(d, &st, e) < 0 ? -1 : 1;
	}
	close(d->fd);
	d->fd = -1;
	return 0;
}

void
download_dest_drop(struct download_dest *d)
{
	if (d->fd < 0)
		return;
	unlinkat(d->dir, d->temp, 0);
	close(d->fd);
	d->fd = -1;
}

void
download_dest_sweep(const struct download_dest *d, const char tag[9])
{
	struct download_dest left = *d;
	struct stat st;

	/* Who comes later takes the next name. */
	for (int i = 0; i < AT_ONCE && (i < 2 || left.fd >= 0); i++) {
		temp_name(&left, tag, i);
		left.fd = openat(left.dir, left.temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (left.fd < 0)
			continue;
		/* Without locks nobody knows whether another process writes to it. */
		if (flock(left.fd, LOCK_EX | LOCK_NB) == 0 && fstat(left.fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    private_still_named(left.dir, left.temp, &st))
			unlinkat(left.dir, left.temp, 0);
		close(left.fd);
	}
}

void
download_dest_close(struct download_dest *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->dir >= 0)
		close(d->dir);
	d->fd = d->dir = -1;
}
