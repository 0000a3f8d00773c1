#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include "watch_state.h"

enum {
	LOOK_MS = 1000,   /* how often a root that is missing is looked for */
	ABOVE_EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD,
};

/* The root's own watch says nothing of its removal while somebody has something open in it; that of the directory it lies in does,
   which for a symbolic link is another one than the link's. */
static void
watch_above(struct watch *w)
{
	char path[PATH_MAX];

	if (w->fd < 0 || !*w->base)
		return;
	for (int i = 0; i < ABOVE; i++) {
		int old = w->above[i];

		if (i == 0 || !realpath(w->base, path))
			snprintf(path, sizeof path, "%s", w->base);
		w->above[i] = inotify_add_watch(w->fd, dirname(path), ABOVE_EVENTS);
		if (old != w->above[i])
			watch_unwatch(w, old);
	}
}

static void
open_inotify(struct watch *w)
{
	w->fd = w->o.poll ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0 || w->o.poll || w->said_limit)
		return;
	w->said_limit = 1;
	watch_say(w, NULL, "no events are to be had (%s): everything is scanned every few seconds instead%s", strerror(errno),
		errno == EMFILE ? ". Raise the sysctl fs.inotify.max_user_instances" : "");
}

void
watch_full(struct watch *w)
{
	if (w->fd < 0)
		open_inotify(w);
	if (!w->full)
		w->began_ms = w->now;
	w->full = 1;
	w->missed_before |= w->missed;
	w->missed = 0;
	w->rescan = RESCAN_NONE;
	watch_above(w);
	watch_queue(w, w->root, 1);
}

void
watch_root_found(struct watch *w, int other)
{
	const char *say = NULL;

	w->state.roots += other != 0;
	/* Not unmounted, and no file system that numbers its files as it likes. */
	if (other == 2 && w->mount == MOUNTED && !(w->root->flags & NODE_REMOTE))
		w->o.gone(w->o.arg, "", WATCH_GONE_MOVED_DIR);
	while (other && w->root->child)
		watch_drop(w, w->root->child);
	if (w->said_gone || (other && w->mount == UNMOUNTED_SAID)) {
		say = "is back, everything in it is looked at";
		w->mount = MOUNTED;
	} else if (w->mount == UNMOUNTED) {
		say = "was unmounted: waiting for it, and watching what lies there meanwhile";
		w->mount = UNMOUNTED_SAID;
		w->look_ms = w->now + LOOK_MS;
	} else if (w->there && other && !(w->root->flags & NODE_REMOTE)) {
		say = "is another directory now, everything in it is looked at";
	}
	w->there = 1;
	w->said_gone = 0;
	if (say)
		watch_say(w, watch_path(w, w->root, NULL), "%s", say);
}

void
watch_root_lost(struct watch *w, int err)
{
	watch_drop_all(w);
	w->there = 0;
	w->full = 0;
	w->mount = MOUNTED;
	w->look_ms = w->now + LOOK_MS;
	if (!w->said_gone)
		watch_say(w, watch_path(w, w->root, NULL), "%s: waiting for it", strerror(err));
	w->said_gone = 1;
}

void
watch_root_look(struct watch *w)
{
	struct stat st;

	w->told_above = 0;
	w->look_ms = w->now + LOOK_MS;
	if (!w->there || stat(watch_path(w, w->root, NULL), &st) < 0 || st.st_dev != w->root->dev || st.st_ino != w->root->ino)
		watch_full(w);
}
