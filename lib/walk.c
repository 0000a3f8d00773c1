#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "enc.h"
#include "path.h"
#include "walk.h"

enum {
	LEVELS_MAX = PATH_MAX / 2 + 1,   /* a level takes two bytes of the path at least; and the root */
	SHOWN_CAP = 800,                 /* a path in a message, which has room for its reason behind it */
};

/* A directory that is being read. */
struct level {
	DIR *dir;       /* NULL: closed for want of descriptors, opened again when its turn comes */
	dev_t dev;
	ino_t ino;
	size_t base;    /* where its entries' names begin in path */
};

struct walk {
	struct walk_options o;
	int depth;              /* levels[depth - 1] is being read */
	int first_open;         /* those before it are closed; so is the top one when depth has come down to it */
	char path[PATH_MAX + 1];
	struct level levels[LEVELS_MAX];   /* not touched, so not resident, beyond the deepest one */
};

/* About w->path. */
static int
left_out(const struct walk *w, enum err_kind kind, const char *why, struct err *e)
{
	char shown[SHOWN_CAP];

	return fail(e, kind, "%s: %s", enc_show_in(shown, sizeof shown, w->path), why);
}

static int
left_out_errno(const struct walk *w, const char *what, struct err *e)
{
	char shown[SHOWN_CAP];

	return fail_errno(e, "%s: %s", enc_show_in(shown, sizeof shown, w->path), what);
}

static struct level *
top(struct walk *w)
{
	return &w->levels[w->depth - 1];
}

static void
close_level(struct level *l)
{
	if (l->dir)
		closedir(l->dir);
	l->dir = NULL;
}

static void
pop(struct walk *w)
{
	close_level(top(w));
	w->depth--;
}

/* An ancestor, or the same directory: a symbolic link (or a bind mount) leads back up. */
static int
on_the_way(const struct walk *w, const struct stat *st)
{
	for (int i = w->depth; i-- > 0;)
		if (w->levels[i].ino == st->st_ino && w->levels[i].dev == st->st_dev)
			return 1;
	return 0;
}

/* The directory at w->path (len bytes), open as fd, becomes the level that is read. Takes fd in any case. */
static int
push(struct walk *w, int fd, size_t len, struct err *e)
{
	struct level *l = &w->levels[w->depth];
	struct stat st;
	DIR *dir = NULL;

	if (fstat(fd, &st) < 0) {
		left_out_errno(w, "cannot be looked at", e);
	} else if (on_the_way(w, &st)) {
		left_out(w, ERR_NONE, "a loop, it leads back to a directory that it lies in", e);
	} else if (!(dir = fdopendir(fd))) {
		left_out_errno(w, "cannot be read", e);
	}
	if (!dir) {
		close(fd);
		return -1;
	}
	if (w->path[len - 1] != '/')
		memcpy(w->path + len++, "/", 2);
	*l = (struct level){dir, st.st_dev, st.st_ino, len};
	w->depth++;
	if (w->depth - w->first_open > WALK_OPEN_MAX)
		close_level(&w->levels[w->first_open++]);
	return 0;
}

/* Read on behind the entry called name. Its position is found by name, not by telldir: a position need not outlive its
   DIR, and where it is a count (tmpfs before Linux 6.6) it moves when an earlier file is removed, as --move does. */
static int
skip_past(DIR *dir, const char *name)
{
	const struct dirent *d;

	while ((d = readdir(dir)))
		if (!strcmp(d->d_name, name))
			return 0;
	return -1;
}

/* -fanalyzer: malloc-leak: the level keeps it; whoever pops the level closes it. */
/* Open the top level again, which had been closed while the walk was deeper down in its entry whose name still stands
   in w->path. By its path: ".." of the child is another directory when a symbolic link led there. NULL with *e. */
static DIR *
reopen(struct walk *w, struct err *e)
{
	struct level *l = top(w);
	char name[NAME_MAX + 1];
	size_t n = strcspn(w->path + l->base, "/");
	struct stat st;
	int fd;

	n = n < NAME_MAX ? n : NAME_MAX;
	memcpy(name, w->path + l->base, n);
	name[n] = '\0';
	w->path[l->base] = '\0';
	fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		left_out_errno(w, "the rest of it cannot be read", e);
		return NULL;
	}
	if (fstat(fd, &st) < 0 || st.st_ino != l->ino || st.st_dev != l->dev || !(l->dir = fdopendir(fd))) {
		close(fd);
		left_out(w, ERR_LOCAL, "the rest of it is left out: the directory was replaced meanwhile", e);
		return NULL;
	}
	w->first_open = w->depth - 1;
	if (skip_past(l->dir, name) < 0) {
		left_out(w, ERR_LOCAL, "the rest of it is left out: the directory changed meanwhile", e);
		return NULL;
	}
	return l->dir;
}

/* The entry could not be looked at. One that is gone is no failure: the walk might have come a moment later. */
static int
not_there(struct walk *w, struct err *e)
{
	int err = errno;
	struct stat st;

	if (err == ELOOP)
		return left_out(w, ERR_NONE, "a symbolic link that leads to itself, or too many in a row", e);
	if (err != ENOENT)
		return left_out_errno(w, "cannot be looked at", e);
	if (fstatat(dirfd(top(w)->dir), w->path + top(w)->base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	return left_out(w, ERR_NONE, "a symbolic link to nothing", e);
}

static int
enter(struct walk *w, size_t len, struct err *e)
{
	const char *name = w->path + top(w)->base;
	int fd;

	if (w->o.enter && !w->o.enter(w->o.arg, w->path + w->levels[0].base))
		return 0;
	fd = openat(dirfd(top(w)->dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? not_there(w, e) : left_out_errno(w, "cannot be read", e);
	return push(w, fd, len, e);
}

static const char *
special(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO: return "a FIFO";
	case S_IFSOCK: return "a socket";
	case S_IFCHR:
	case S_IFBLK: return "a device";
	default: return "neither a file nor a directory";
	}
}

/* One entry of the top level: 1 when it is a file, 0 when there is nothing to tell. */
static int
entry(struct walk *w, const struct dirent *d, struct walk_entry *x, struct err *e)
{
	size_t base = top(w)->base, n = strlen(d->d_name);
	mode_t mode = DTTOIF(d->d_type);

	if (base + n >= PATH_MAX) {
		memcpy(w->path + base, d->d_name, PATH_MAX - base);
		w->path[PATH_MAX] = '\0';
		return left_out(w, ERR_LOCAL, "the path is too long", e);
	}
	memcpy(w->path + base, d->d_name, n + 1);
	if (d->d_type == DT_UNKNOWN || d->d_type == DT_LNK || d->d_type == DT_REG) {
		if (fstatat(dirfd(top(w)->dir), d->d_name, &x->st, 0) < 0)
			return not_there(w, e);
		mode = x->st.st_mode;
	}
	if (S_ISDIR(mode))
		return enter(w, base + n, e);
	if (!S_ISREG(mode))
		return left_out(w, ERR_NONE, special(mode), e);
	x->path = w->path;
	x->rel = w->path + w->levels[0].base;
	return 1;
}

/* Read one entry of the top level, or leave it: as entry(). */
static int
step(struct walk *w, struct walk_entry *x, struct err *e)
{
	DIR *dir = top(w)->dir ? top(w)->dir : reopen(w, e);
	const struct dirent *d;
	int rc = 0;

	if (!dir) {
		pop(w);
		return -1;
	}
	errno = 0;
	d = readdir(dir);
	if (!d) {
		if (errno) {
			w->path[top(w)->base] = '\0';
			rc = left_out_errno(w, "the rest of it cannot be read", e);
		}
		pop(w);
		return rc;
	}
	return path_has_dots(d->d_name) ? 0 : entry(w, d, x, e);
}

struct walk *
walk_open(const char *root, const struct walk_options *o, struct err *e)
{
	struct walk *w = calloc(1, sizeof *w);
	size_t len = path_trim(root, 1);
	int fd;

	if (!w) {
		fail_memory(e);
		return NULL;
	}
	if (o)
		w->o = *o;
	memcpy(w->path, root, len < PATH_MAX ? len : PATH_MAX);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		left_out_errno(w, "cannot be read as a directory", e);
	if (fd < 0 || push(w, fd, len, e) < 0) {
		free(w);
		return NULL;
	}
	return w;
}

int
walk_next(struct walk *w, struct walk_entry *x, struct err *e)
{
	int rc = 0;

	while (w->depth && !rc)
		rc = step(w, x, e);
	return rc;
}

void
walk_close(struct walk *w)
{
	while (w && w->depth)
		pop(w);
	free(w);
}
