#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "buf.h"
#include "enc.h"
#include "hash.h"
#include "private.h"
#include "sync_place.h"

enum { PLACES = 3 };

/* The candidates in order; how many. Those outside dir are named by a hash of its path. */
static int
places(const char *dir, const char *asked, char out[PLACES][PATH_MAX])
{
	const char *bases[] = {getenv("XDG_STATE_HOME"), "/var/lib"};
	unsigned char sum[HASH_SHA256_LEN];
	char hex[2 * HASH_SHA256_LEN + 1];
	struct buf b = BUF(hex);
	int n = 0;

	if (asked) {
		snprintf(out[n++], PATH_MAX, "%s", asked);
		return n;
	}
	hash_sha256(dir, strlen(dir), sum);
	enc_hex(&b, sum, 8);
	snprintf(out[n++], PATH_MAX, "%s/" SYNC_STATE_NAME, strcmp(dir, "/") ? dir : "");
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
		struct buf path = buf_over(out[n], PATH_MAX);

		if (bases[i] && *bases[i] == '/') {
			buf_fmt(&path, "%s/r2-sync/%s", bases[i], hex);
			n += buf_ok(&path);
		}
	}
	return n;
}

int
place_make(const char *dir, const char *asked, char out[PATH_MAX], struct err *e)
{
	char all[PLACES][PATH_MAX], text[sizeof e->msg];
	struct buf why = BUF(text);
	int n = places(dir, asked, all);

	for (int i = 0; i < n; i++) {
		memcpy(out, all[i], PATH_MAX);
		/* A system without /var/lib gets none from us. */
		private_make_dirs(out, strncmp(out, "/var/lib/", 9) ? 0 : 8, 0700);
		if (!asked)
			private_reclaim(out);
		if (private_dir(out, e) == 0)
			return 0;
		buf_fmt(&why, "%s%s", i ? "; " : "", e->msg);
	}
	buf_ellipsis(&why);
	return fail(e, ERR_LOCAL, "no place for the ledger of what is uploaded (%s): name one with --state", text);
}

int
place_of_daemon(const char *dir, const char *asked, char out[PATH_MAX], struct err *e)
{
	char all[PLACES][PATH_MAX], socket[PATH_MAX + 8];
	int n = places(dir, asked, all), shut = 0;
	time_t newest = 0;
	struct stat st;

	for (int i = 0; i < n; i++)
		if (stat(strcat(strcpy(socket, all[i]), "/socket"), &st) < 0) {
			shut |= errno == EACCES;
		} else if (st.st_mtime > newest) {
			memcpy(out, all[i], PATH_MAX);
			newest = st.st_mtime;
		}
	return newest ? 0 : fail(e, ERR_LOCAL, "no daemon is running for %s%s", err_show(e, dir),
		shut ? " that this user may ask: try as the one that it runs as"
		: asked ? "" : ", unless one has --state: say it here, too");
}

/* Whoever holds fd's lock has written its process id there. */
static int
held(const char *what, int fd, struct err *e)
{
	char pid[24];
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	return fail(e, ERR_LOCAL, "%s is watched by another r2 sync already%s%s: stop that one, or ask it with --status",
		err_show(e, what), n > 0 ? ", process " : "", pid);
}

/* Lock fd, of what, in place of *old; what is locked already stays as it is. fd: of the file that holds a process id, or of dir. */
static int
take(int fd, const char *what, int pid_fd, int *old, struct err *e)
{
	struct stat is, was;

	if (*old >= 0 && fstat(fd, &is) == 0 && fstat(*old, &was) == 0 && is.st_ino == was.st_ino && is.st_dev == was.st_dev) {
		close(fd);
		return 0;
	}
	/* Some network file systems have no locks. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		held(what, pid_fd, e);
		close(fd);
		return -1;
	}
	if (*old >= 0)
		close(*old);
	*old = fd;
	return 0;
}

int
place_take_state(const char *dir, const char *state, int *out, struct err *e)
{
	char path[PATH_MAX + 8], pid[24];
	int fd;

	snprintf(path, sizeof path, "%s/lock", state);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(e, "%s", path);
	if (take(fd, dir, fd, out, e) < 0)
		return -1;
	/* The number is for a person who meets the lock: a disk that is full must not keep us from starting. */
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	if (ftruncate(*out, 0) < 0 || pwrite(*out, pid, strlen(pid), 0) < 0)
		errno = 0;
	return 0;
}

int
place_take_dir(const char *dir, int *out, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fail_errno(e, "%s", dir) : take(fd, dir, -1, out, e);
}

int
place_check(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int fd, rc = 0;

	snprintf(path, sizeof path, "%s", dir);
	for (char *slash; rc == 0 && (slash = strrchr(path, '/')) && path[1]; ) {
		slash[slash == path] = '\0';
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
			rc = fail(e, ERR_LOCAL, "%s, above it, is watched by another r2 sync already: stop that one, or exclude this "
				"directory there and move it", err_show(e, path));
		if (fd >= 0)
			close(fd);
	}
	return rc;
}
