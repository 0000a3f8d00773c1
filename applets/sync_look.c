#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "sync_daemon.h"
#include "sync_log.h"

enum { LOOKS_A_TURN = 500 };     /* files looked at between two readings of events */

/* Since when this daemon knows the file as it is: what was there before its first start. */
static int
is_old(const struct daemon *d, const struct stat *st, const struct ledger_file *f)
{
	return d->old_ones && f->mtime_ns < d->started_ns && (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec < d->started_ns;
}

/* Everything that may change until the file is quiet: two looks must agree. */
static uint64_t
fingerprint(const struct ledger_file *f)
{
	return (f->size * 1099511628211u + (uint64_t)f->mtime_ns) * 1099511628211u + f->inode;
}

/* From now on rel is known by its content only: that is compared, and the file not removed before. */
static void
forget_state(struct daemon *d, const char *rel)
{
	struct ledger_record r;
	struct err e;

	if (ledger_find(d->ledger, rel, &r) <= 0 || r.state != LEDGER_DONE || !*r.key || !r.file.inode)
		return;
	r.file = (struct ledger_file){0};
	ledger_put(d->ledger, rel, &r, &e);
}

void
sync_changed(void *daemon, const char *rel, const struct stat *st)
{
	struct daemon *d = daemon;
	struct ledger_file f;
	struct err e;

	if (st) {
		f = ledger_file_of(st);
		if (ledger_has(d->ledger, rel, &f)) {
			sync_consider_removal(d, rel, st);
			return;
		}
		if (is_old(d, st, &f)) {
			struct ledger_record r = {.state = LEDGER_DONE, .file = f};

			ledger_put(d->ledger, rel, &r, &e);
			return;
		}
	} else if (d->in_memory) {
		forget_state(d, rel);
	}
	if ((st ? sync_found(d->sync, rel, fingerprint(&f), d->now, &e) : sync_seen(d->sync, rel, d->now, &e)) < 0) {
		sync_log(1, "ERROR: %s: %s: it is looked at again with the next scan", rel, e.msg);
		watch_missed(d->watch);
	}
}

/* The file cannot be opened or is none any more. */
static void
look_failed(struct daemon *d, struct sync_entry *x, int why)
{
	struct err e;

	if (why == ENOENT || why == ENOTDIR || why == ENXIO || why == ELOOP) {
		ledger_forget(d->ledger, x->rel, &e);
		sync_drop(d->sync, x);
	} else if (why == EMFILE || why == ENFILE || why == ENOMEM) {
		/* Ours, not the file's: as if somebody had it open. */
		sync_held(d->sync, x, d->now);
	} else {
		errno = why;
		fail_errno(&e, "cannot be read");
		sync_not_begun(d, x, &e);
	}
}

static void
look(struct daemon *d, struct sync_entry *x)
{
	char path[PATH_MAX];
	struct ledger_file f;
	struct stat st;
	int fd = -1, busy;

	sync_path(d, x->rel, path, sizeof path);
	/* Not opened before it is known to be a file: opening a FIFO or a device does things. */
	if (stat(path, &st) < 0 || (S_ISREG(st.st_mode) && (fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0)) {
		look_failed(d, x, errno);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		/* What was a file is gone, as if nothing were there. */
		look_failed(d, x, ENOENT);
		return;
	}
	busy = fstat(fd, &st) < 0 ? 0 : watch_busy(fd);
	close(fd);
	f = ledger_file_of(&st);
	/* Before it is taken for a newer state of what was there. */
	if (sync_was_moved(d, x->rel))
		sync_sweep(d);
	if (busy == 1) {
		sync_held(d->sync, x, d->now);
	} else if (ledger_has(d->ledger, x->rel, &f)) {
		sync_consider_removal(d, x->rel, &st);
		sync_drop(d->sync, x);
	} else if (busy == 0) {
		sync_ready(d->sync, x, (uint64_t)st.st_size);
	} else {
		sync_unsure(d->sync, x, (uint64_t)st.st_size, fingerprint(&f), d->now);
	}
}

void
sync_files_step(struct daemon *d)
{
	struct sync_entry *x;

	sync_settle(d);
	for (int i = 0; i < LOOKS_A_TURN && (x = sync_look(d->sync, d->now)); i++)
		look(d, x);
	/* At the end there is nobody to begin it. */
	while (d->phase != SYNC_ENDS && (x = sync_start(d->sync, d->now)))
		sync_begin(d, x);
}
