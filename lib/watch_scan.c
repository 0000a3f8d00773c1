#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "path.h"
#include "watch_state.h"

enum {
	/* What a new content shows itself by. Not IN_MODIFY, which comes with each write(2): IN_CREATE tells early that a file is there, IN_CLOSE_WRITE
	   when to look again. IN_CREATE is a hard link's only event, IN_ATTRIB that of a file that becomes readable or gets another time.
	   A directory's own end shows itself by IN_IGNORED, which cannot be left out. */
	EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
	BEGIN_COST = 4,         /* opening a directory, in entries */
	PAUSE_MS = 1000,        /* until descriptors are tried again */
};

/* errno says what is wrong with path, n or a name in it: once, until n has been read without a fault. */
static void
fault(struct watch *w, struct node *n, const char *path, const char *what)
{
	const char *why = strerror(errno);

	w->faults++;
	w->missed = 1;
	if (n->flags & NODE_SAID)
		return;
	n->flags |= NODE_SAID;
	watch_say(w, path, "%s: %s", what, why);
}

static int
wanted(const struct watch *w, const char *rel, int is_dir)
{
	return !w->o.wanted || w->o.wanted(w->o.arg, rel, is_dir);
}

void
watch_again(struct watch *w, struct node *n)
{
	if (n->parent)
		watch_queue(w, n, 1);
	else
		watch_full(w);
}

/* n, to which w->rel leads, is not there any more. */
static void
vanished(struct watch *w, struct node *n)
{
	watch_drop(w, n);
	if (wanted(w, w->rel, 1))
		w->o.gone(w->o.arg, w->rel, WATCH_GONE_DIR);
}

/* The directory called name below n, reached through a symbolic link or not. */
static void
meet(struct watch *w, struct node *n, const char *name, int is_link)
{
	struct node *c = watch_child(w, n, name);

	if (c && !(c->flags & NODE_LINK) != !is_link) {
		watch_drop(w, c);
		c = NULL;
	}
	if (c) {
		if (w->at == n && w->deep)
			watch_queue(w, c, 1);
	} else if ((c = watch_add(w, n, name))) {
		if (is_link)
			c->flags |= NODE_LINK | NODE_ALIAS;
		watch_queue(w, c, 1);
	} else {
		fault(w, n, watch_path(w, n, name), "left out until the next rescan");
		return;
	}
	c->flags |= NODE_SEEN;
}

/* What stands at path. A link that leads nowhere, or to itself, may do so later. */
static int
look(const char *path, struct stat *st, int *is_link)
{
	*is_link = 0;
	if (lstat(path, st) < 0)
		return -1;
	*is_link = S_ISLNK(st->st_mode);
	return *is_link ? stat(path, st) : 0;
}

static int
passes_over(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP;
}

void
watch_entry(struct watch *w, struct node *n, const char *name, int type, int event)
{
	const char *path = watch_path(w, n, name);
	struct node *c;
	struct stat st;
	int file, dir, is_link;

	if (!path) {
		path = watch_path(w, n, NULL);
		errno = ENAMETOOLONG;
		fault(w, n, path ? path : name, "some of it is left out");
		return;
	}
	file = type != DT_DIR && wanted(w, w->rel, 0);
	dir = type != DT_REG && wanted(w, w->rel, 1);
	if (!file && !dir)
		return;
	if (type == DT_DIR) {
		meet(w, n, name, 0);
	} else if (look(path, &st, &is_link) < 0) {
		if (!passes_over(errno))
			fault(w, n, path, "cannot be looked at");
	} else if (S_ISDIR(st.st_mode) && dir) {
		meet(w, n, name, is_link);
	} else if (S_ISREG(st.st_mode) && file) {
		if ((c = watch_child(w, n, name)))
			vanished(w, c);
		w->o.changed(w->o.arg, w->rel, event ? NULL : &st);
	}
}

/* The watch of the directory that stands at path now; -1: none is to be had. */
static int
place(struct watch *w, const char *path)
{
	int wd;

	if (w->fd < 0)
		return -1;
	wd = inotify_add_watch(w->fd, path, EVENTS);
	if (wd >= 0 || (errno != ENOSPC && errno != ENOMEM) || w->said_limit)
		return wd;
	w->said_limit = 1;
	watch_say(w, path, "no watch is to be had for it (%s); it and others are scanned every few seconds instead. "
		"Raise the sysctl fs.inotify.max_user_watches", errno == ENOSPC ? "the limit is reached" : "out of memory");
	return wd;
}

/* n could not be opened. */
static void
cannot_open(struct watch *w, struct node *n, int wd)
{
	int err = errno;

	watch_unwatch(w, wd);
	if (err == EMFILE || err == ENFILE || err == ENOMEM) {
		watch_queue(w, n, w->deep);
		w->pause_until_ms = w->now + PAUSE_MS;
		if (!w->said_files) {
			w->held_since_ms = w->now;
			watch_say(w, NULL, "cannot go on scanning, tries again every second: %s", strerror(err));
		}
		w->said_files = 1;
	} else if (!n->parent) {
		watch_root_lost(w, err);
	} else if (passes_over(err)) {
		vanished(w, n);
	} else {
		n->flags |= NODE_BLIND;
		watch_set_polled(w, n, 0);
		errno = err;
		fault(w, n, watch_path(w, n, NULL), "cannot be read");
	}
}

/* Another node has the same directory. 1: n is a second way to it and is forgotten, or will do without a watch of its own (wd is
   set to -1). A node that was moved since is not what it was. */
static int
is_double(struct watch *w, struct node *n, struct node *m, int *wd)
{
	struct stat want = {.st_dev = m->dev, .st_ino = m->ino}, st;
	const char *path = watch_path(w, m, NULL);

	if (!path || stat(path, &st) < 0 || st.st_ino != want.st_ino || st.st_dev != want.st_dev) {
		watch_set_id(w, m, NULL);
		watch_again(w, m);
		return 0;
	}
	if (n->flags & NODE_ALIAS) {
		if (*wd >= 0 && !watch_by_wd(w, *wd))
			watch_set_wd(w, m, *wd);
		watch_drop(w, n);
		return 1;
	}
	if (m->flags & NODE_ALIAS) {
		if (m->wd == *wd)
			watch_set_wd(w, m, -1);
		watch_drop(w, m);
		return 0;
	}
	*wd = -1;   /* mounted at two places: there is one watch for both */
	return 0;
}

/* The kernel's watch wd is n's. Whoever had it is not where it was: it is read again. */
static void
adopt(struct watch *w, struct node *n, int wd)
{
	struct node *other = wd >= 0 ? watch_by_wd(w, wd) : NULL;
	int old = n->wd;

	if (old == wd)
		return;
	if (other) {
		watch_set_wd(w, other, -1);
		watch_again(w, other);
	}
	watch_set_wd(w, n, wd);
	watch_unwatch(w, old);
}

/* n is open as fd, and st is what it is. -1: it is not to be read. */
static int
identify(struct watch *w, struct node *n, int fd, int wd, const struct stat *st)
{
	struct node *m = watch_by_id(w, st);
	int new = n->dev != st->st_dev ? 1 : n->ino != st->st_ino ? 2 : 0;

	if (m && m != n && is_double(w, n, m, &wd))
		return -1;
	w->deep |= new;
	adopt(w, n, wd);
	m = watch_by_id(w, st);
	watch_set_id(w, n, !m || m == n ? st : NULL);
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->flags &= ~(NODE_REMOTE | NODE_BLIND);
	if (n->parent && n->parent->dev == st->st_dev)
		n->flags |= n->parent->flags & NODE_REMOTE;
	else if (watch_remote(fd))
		n->flags |= NODE_REMOTE;
	watch_set_polled(w, n, n->wd < 0 || n->flags & NODE_REMOTE);
	if (!n->parent)
		watch_root_found(w, new);
	return 0;
}

static void
begun(struct watch *w, struct node *n)
{
	w->at = n;
	w->faults = 0;
	w->said_files = 0;
	for (struct node *c = n->child; c; c = c->next)
		c->flags &= ~NODE_SEEN;
}

/* The watch first, then what is there already: so nothing falls between. */
static void
begin(struct watch *w, struct node *n)
{
	const char *path = watch_path(w, n, NULL);
	int follow = !n->parent || n->flags & NODE_LINK, wd, fd;
	struct stat st;

	w->deep = (n->flags & NODE_DEEP) != 0;
	n->flags &= ~NODE_DEEP;
	if (!path)
		return;   /* a directory above it got a longer name, and is about to be looked at */
	wd = place(w, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0 || fstat(fd, &st) < 0) {
		cannot_open(w, n, wd);
	} else if (identify(w, n, fd, wd, &st) == 0) {
		if ((w->dir = fdopendir(fd)))
			begun(w, n);
		else
			cannot_open(w, n, wd);
	}
	if (fd >= 0 && !w->at)
		close(fd);
}

/* at has been read; what of it has not been met is gone. */
static void
end(struct watch *w, int err)
{
	struct node *n = w->at, *next;

	closedir(w->dir);
	w->at = NULL;
	for (struct node *c = err ? NULL : n->child; c; c = next) {
		next = c->next;
		if (!(c->flags & NODE_SEEN) && watch_path(w, c, NULL))
			vanished(w, c);
	}
	if (err) {
		errno = err;
		fault(w, n, watch_path(w, n, NULL), "the rest of it cannot be read");
	}
	if (!w->faults)
		n->flags &= ~NODE_SAID;
}

static int
kind(int type)
{
	return type == DT_LNK ? DT_UNKNOWN : type;
}

static void
next_entry(struct watch *w)
{
	const struct dirent *d;

	errno = 0;
	d = readdir(w->dir);
	if (!d)
		end(w, errno);
	else if (!path_has_dots(d->d_name) && (d->d_type == DT_REG || d->d_type == DT_DIR || kind(d->d_type) == DT_UNKNOWN))
		watch_entry(w, w->at, d->d_name, kind(d->d_type), 0);
}

int
watch_read(struct watch *w, int budget)
{
	struct node *n;

	for (; budget > 0 && w->now >= w->pause_until_ms; budget--)
		if (w->at) {
			next_entry(w);
		} else if ((n = watch_unqueue(w))) {
			begin(w, n);
			budget -= BEGIN_COST;
		} else {
			return 0;
		}
	return 1;
}
