#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "clock.h"
#include "sync_daemon.h"

enum {
	SWEEP_MS = 1000,         /* after a directory is gone; then more may have gone, too */
	SWEEP_SHARE = 50,        /* this many times as long as the last sweep took lies between two: directories may come and go all the time */
};

int
sync_rels_add(struct rels **list, const char *rel)
{
	size_t n = strlen(rel) + 1;
	struct rels *x = malloc(sizeof *x + n);

	if (!x)
		return -1;
	memcpy(x->rel, rel, n);
	x->next = *list;
	*list = x;
	return 0;
}

void
sync_sweep_soon(struct daemon *d)
{
	if (d->sweep_at < 0)
		d->sweep_at = d->now + SWEEP_MS > d->sweep_not_before ? d->now + SWEEP_MS : d->sweep_not_before;
}

/* A single file is looked at once more when it has been away for the settle time: programs replace files by removing them first. One that was
   moved is somewhere still, and may be all there is of it beside its object: what takes its name does not replace that. */
void
sync_vanished(void *daemon, const char *rel, enum watch_gone how)
{
	struct daemon *d = daemon;
	struct err e;

	if (how == WATCH_GONE_FILE) {
		sync_removed(d->sync, rel, d->now, &e);
		return;
	}
	sync_gone(d->sync, rel, how & WATCH_GONE_DIR, d->now);
	if (how == WATCH_GONE_MOVED)
		ledger_forget(d->ledger, rel, &e);
	if (how == WATCH_GONE_MOVED_DIR)
		nfc_set_add(&d->moved, nfc_hash(rel, strlen(rel)));
	if (how & WATCH_GONE_DIR)
		sync_sweep_soon(d);
}

int
sync_was_moved(const struct daemon *d, const char *rel)
{
	/* The root is "". */
	for (size_t n = 0; d->moved.n && rel[n]; n++)
		if ((!n || rel[n] == '/') && nfc_set_has(&d->moved, nfc_hash(rel, n)))
			return 1;
	return 0;
}

struct sweep {
	struct daemon *d;
	int unmounted;
	struct rels *others;
};

static void
look_for(void *sweep, const char *rel, const struct ledger_record *r)
{
	struct sweep *s = sweep;
	char path[PATH_MAX];
	struct ledger_file f;
	struct stat st, led_to;
	struct err e;
	int there;

	if (*rel == '/')
		return;      /* no path: a note of ours */
	sync_path(s->d, rel, path, sizeof path);
	there = lstat(path, &st) == 0;
	if (!there && errno != ENOENT && errno != ENOTDIR)
		return;
	/* Of a link counts what it leads to; one that leads nowhere may lead there again. */
	if (there && S_ISLNK(st.st_mode) && stat(path, &led_to) == 0)
		st = led_to;
	if (!there || (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))) {
		/* Now, if it was moved: the next turn would not know that any more. */
		if (sync_was_moved(s->d, rel))
			sync_rels_add(&s->others, rel);
		else if (!s->unmounted)
			sync_seen(s->d->sync, rel, s->d->now, &e);
	} else if (sync_was_moved(s->d, rel) && S_ISREG(st.st_mode)) {
		f = ledger_file_of(&st);
		if (memcmp(&f, &r->file, sizeof f) != 0)
			sync_rels_add(&s->others, rel);
	}
}

/* DIR was a mount point and is none any more: its files may come back. */
static int
is_unmounted(struct daemon *d)
{
	struct stat dir, above;
	int mounted = fstat(d->dir_fd, &dir) == 0 && fstatat(d->dir_fd, "..", &above, 0) == 0 && dir.st_dev != above.st_dev;

	d->mounted |= mounted;
	return d->mounted && !mounted;
}

void
sync_sweep(struct daemon *d)
{
	struct sweep s = {d, is_unmounted(d), NULL};
	int64_t began = clock_ms();
	struct watch_state w;
	struct rels *next;
	struct err e;

	watch_look(d->watch, &w);
	d->sweep_at = -1;
	d->swept_scans = w.scans;
	/* Without the root nothing is there, and nothing is gone. */
	if (w.root_there) {
		ledger_each(d->ledger, look_for, &s);
		for (struct rels *x = s.others; x; x = next) {
			next = x->next;
			ledger_forget(d->ledger, x->rel, &e);
			free(x);
		}
		nfc_set_free(&d->moved);
	}
	d->sweep_not_before = clock_ms() + SWEEP_SHARE * (clock_ms() - began);
}
