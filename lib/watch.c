#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "clock.h"
#include "path.h"
#include "watch_state.h"

enum {
	SCAN_ENTRIES = 1000,     /* a step */
	EVENTS_CAP = 8192,       /* bytes read at once; the longest event takes sizeof (struct inotify_event) + NAME_MAX + 1 */
	EVENT_READS = 8,         /* a step */
	POLL_MS = 5000,          /* what has no watch is scanned that often, but for: */
	SCAN_SHARE = 4,          /* at least that many times as long as the last scan took lies between two */
	HOLD_MIN_MS = 1000,      /* between two scans after overflows; doubles while they go on, up to: */
	HOLD_MAX_MS = 32000,
};

static int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void
gone(struct watch *w, struct node *n, const char *name, enum watch_gone how)
{
	if (!watch_path(w, n, name))
		return;
	if (!w->o.wanted || w->o.wanted(w->o.arg, w->rel, how & WATCH_GONE_DIR))
		w->o.gone(w->o.arg, w->rel, how);
}

/* Something happened to a name in n. One that was taken away is looked for nevertheless: when two names are exchanged, what has come to the
   second one is told before what has gone from it. */
static void
named(struct watch *w, struct node *n, const struct inotify_event *ev)
{
	struct node *c = watch_child(w, n, ev->name);
	int is_dir = c || ev->mask & IN_ISDIR, type = DT_UNKNOWN;

	if (c && ev->mask & (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
		watch_drop(w, c);
	if (ev->mask & (IN_DELETE | IN_MOVED_FROM)) {
		gone(w, n, ev->name, (is_dir ? WATCH_GONE_DIR : 0) | ((ev->mask & IN_MOVED_FROM) ? WATCH_GONE_MOVED : 0));
	} else if (ev->mask & IN_ATTRIB && ev->mask & IN_ISDIR) {
		if (c && c->flags & NODE_SAID)
			watch_queue(w, c, 1);
		return;
	} else if (ev->mask & IN_ISDIR) {
		type = DT_DIR;
	} else if (!(ev->mask & (IN_CREATE | IN_MOVED_TO))) {
		type = DT_REG;
	}
	watch_entry(w, n, ev->name, type, 1);
}

static void
event(struct watch *w, const struct inotify_event *ev)
{
	struct node *n;

	if (ev->mask & IN_Q_OVERFLOW) {
		w->state.overflows++;
		if (!w->rescan)
			w->rescan = RESCAN_OVERFLOW;
		return;
	}
	for (int i = 0; i < ABOVE; i++)
		if (ev->wd == w->above[i]) {
			if (ev->mask & IN_IGNORED)
				w->above[i] = -1;
			w->told_above = 1;
		}
	n = watch_by_wd(w, ev->wd);
	if (!n)
		return;
	if (ev->mask & IN_IGNORED)
		watch_set_wd(w, n, -1);
	if (ev->mask & IN_UNMOUNT && !n->parent)
		w->mount = UNMOUNTED;
	if (ev->mask & (IN_IGNORED | IN_UNMOUNT | IN_MOVE_SELF))
		watch_again(w, n);
	else if (ev->len)
		named(w, n, ev);
	else if (n->flags & NODE_SAID)
		watch_queue(w, n, 1);
}

static void
read_events(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[EVENTS_CAP];
	const struct inotify_event *ev;
	ssize_t n;

	for (int i = 0; i < EVENT_READS && w->fd >= 0 && (n = read(w->fd, buf, sizeof buf)) > 0; i++)
		for (char *p = buf; p < buf + n; p += sizeof *ev + ev->len) {
			ev = (const void *)p;
			event(w, ev);
		}
}

static void
poll_some(struct watch *w)
{
	const struct table *t = &w->table[BY_PLACE];

	w->polling = 1;
	w->began_ms = w->now;
	for (size_t i = 0; i < t->cap; i++)
		for (struct node *n = t->slot[i]; n; n = n->link[BY_PLACE])
			if (n->flags & NODE_POLLED)
				watch_queue(w, n, 0);
}

static int
is_scanning(const struct watch *w)
{
	return w->at || w->todo[0] || w->todo[1];
}

/* Whether polled directories are scanned besides the whole. */
static int
polls(const struct watch *w)
{
	return w->polled && !w->o.poll;
}

/* Begin what is due. */
static void
start(struct watch *w)
{
	int64_t now = w->now;

	if (w->told_above || (((!w->there && !w->full) || w->mount == UNMOUNTED_SAID) && now >= w->look_ms))
		watch_root_look(w);
	if (!w->there || w->full)
		return;
	if (w->rescan == RESCAN_OVERFLOW && now >= w->not_before_ms) {
		w->hold_ms = now < w->not_before_ms + w->hold_ms ? w->hold_ms * 2 : HOLD_MIN_MS;
		if (w->hold_ms > HOLD_MAX_MS)
			w->hold_ms = HOLD_MAX_MS;
		watch_full(w);
	} else if (w->rescan == RESCAN_ASKED || (w->next_full_ms >= 0 && now >= w->next_full_ms)) {
		watch_full(w);
	} else if (polls(w) && !w->polling && now >= w->next_poll_ms) {
		poll_some(w);
	}
}

/* Nothing is left to be read. */
static void
finish(struct watch *w)
{
	int64_t rest = SCAN_SHARE * (w->now - w->began_ms);

	if (w->full) {
		w->state.scans++;
		w->state.scanned = 1;
		w->missed_before = w->missed;
		w->next_full_ms = w->o.rescan_ms > 0 ? w->now + max64(w->o.rescan_ms, rest) : -1;
		w->not_before_ms = w->now + max64(w->hold_ms, rest);
	}
	if (w->full || w->polling)
		w->next_poll_ms = w->now + max64(POLL_MS, rest);
	w->full = w->polling = 0;
}

void
watch_step(struct watch *w, int64_t now_ms)
{
	w->now = now_ms;
	if (!w->state.scanned && !w->full && !w->look_ms)
		watch_full(w);
	if (w->fd >= 0)
		read_events(w);
	start(w);
	if (!watch_read(w, SCAN_ENTRIES))
		finish(w);
}

int
watch_fd(const struct watch *w)
{
	return w->fd;
}

int64_t
watch_wake_ms(const struct watch *w)
{
	int64_t at = -1;

	if (is_scanning(w))
		return w->pause_until_ms > w->now ? w->pause_until_ms : 0;
	if (!w->there || w->mount == UNMOUNTED_SAID)
		at = w->look_ms;
	if (!w->there)
		return at;
	if (w->rescan)
		at = clock_sooner(at, w->rescan == RESCAN_ASKED ? 0 : w->not_before_ms);
	at = clock_sooner(at, w->next_full_ms);
	return polls(w) ? clock_sooner(at, w->next_poll_ms) : at;
}

void
watch_rescan(struct watch *w)
{
	w->rescan = RESCAN_ASKED;
	w->look_ms = w->now;      /* for the root, if it is missing: it may have come back */
}

void
watch_missed(struct watch *w)
{
	w->missed = 1;
}

void
watch_look(const struct watch *w, struct watch_state *s)
{
	*s = w->state;
	s->scanning = is_scanning(w) || w->rescan == RESCAN_ASKED || (w->there && w->rescan);
	s->root_there = w->there;
	s->held_ms = w->said_files ? w->now - w->held_since_ms : 0;
	s->missed = w->missed || w->missed_before;
	s->dirs = w->there ? w->table[BY_PLACE].n : 0;
	s->polled = w->polled;
}

struct watch *
watch_open(const struct watch_options *o, struct err *e)
{
	size_t n = path_trim(o->root, 0);
	struct watch *w;

	w = calloc(1, sizeof *w + n + 1);
	if (!w) {
		fail_memory(e);
		return NULL;
	}
	w->o = *o;
	memcpy(w->base, o->root, n);
	w->fd = w->above[0] = w->above[1] = -1;
	w->hold_ms = HOLD_MIN_MS;
	w->next_full_ms = -1;
	if (watch_tree_open(w) < 0) {
		fail_memory(e);
		watch_close(w);
		return NULL;
	}
	return w;
}

void
watch_close(struct watch *w)
{
	if (!w)
		return;
	watch_tree_close(w);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
