#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "path.h"
#include "private.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "sync_place.h"

enum {
	UNLEASED_S = 60,
	SAVE_MS = 1000,      /* what the ledger has not fsynced grows this old, */
	SAVE_BUSY_MS = 5000, /* or this old while there is something to upload: an fsync may take long, and nothing goes on meanwhile */
	SAVE_ROOM_MS = 200,
	DELETE_SHARE = 32,   /* of --delete-after's age, by which a scan for it may be late */
	STUCK_MS = 60000,     /* until another removal is tried where files can be renamed and not removed */
};

static int64_t stuck_until;

/* Said once for each cause: no news with every scan. */
static void
stays(const char *rel)
{
	static uint64_t told;
	uint64_t cause = UINT64_C(1) << errno % 64;

	if (errno != ENOENT && !(told & cause))
		sync_log(1, "WARNING: --delete-after: %s stays, maybe more: %s", rel, strerror(errno));
	told |= cause;
}

static int
is_state(int fd, const struct ledger_file *f, struct stat *st)
{
	struct ledger_file now;

	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		return 0;
	now = ledger_file_of(st);
	return !memcmp(&now, f, sizeof now);
}

/* A writer that opened the file before it lost its name would write into nothing. The read lease tells: while it is held, nobody has the file open
   for writing, and who wants to breaks it. So: lease, hide, look whether it was broken; then the name comes back. */
static int
remove_leased(int dir, const char *rel, int fd, const struct stat *st)
{
	const char *name = path_base(rel);
	char hidden[sizeof SYNC_GONE_PREFIX + 24];
	int busy = watch_lease(fd), removed = 0;

	/* Where the kernel cannot say whether somebody writes, a pause is not taken for the end: the next scan comes again. */
	if (busy > 0 || (busy && time(NULL) - st->st_ctim.tv_sec < UNLEASED_S))
		return 0;
	snprintf(hidden, sizeof hidden, SYNC_GONE_PREFIX "%llu", (unsigned long long)st->st_ino);
	if (renameat(dir, name, dir, hidden) == 0) {
		struct stat now;

		/* As it is now: there are file systems that number a file by its name. */
		removed = fstat(fd, &now) == 0 && private_still_named(dir, hidden, &now) && now.st_size == st->st_size &&
			now.st_mtim.tv_sec == st->st_mtim.tv_sec && now.st_mtim.tv_nsec == st->st_mtim.tv_nsec &&
			(busy || fcntl(fd, F_GETLEASE) == F_RDLCK);
		if (removed && unlinkat(dir, hidden, 0) < 0) {
			/* With its name back it counts as another file, and is uploaded anew. */
			if (errno != ENOENT)
				stuck_until = clock_ms() + STUCK_MS;
			stays(rel);
			removed = 0;
		}
		/* A newer file may have the name by now. There are FUSE file systems that cannot heed it at once with the renaming. */
		if (!removed && private_rename_new(dir, hidden, name) < 0 && fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
			renameat(dir, hidden, dir, name);
	} else {
		stays(rel);
	}
	if (!busy)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return removed;
}

/* Remove the local file at rel, if it is what the ledger has verified and nobody is writing: 1 removed, 0 it stays. */
static int
remove_file(struct daemon *d, const char *rel)
{
	struct ledger_record r;
	struct stat st;
	int dir, fd, removed = 0;

	if (ledger_find(d->ledger, rel, &r) <= 0 || r.state != LEDGER_DONE || !*r.key)
		return 0;
	/* Another file's object, that happens to be the same: when that file is rewritten, so is the object. */
	if (d->set->flat && !*r.etag)
		return 0;
	dir = private_parent(d->dir_fd, rel);
	fd = openat(dir, path_base(rel), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && is_state(fd, &r.file, &st))
		removed = remove_leased(dir, rel, fd, &st);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return removed;
}

static void
doom(struct daemon *d, const char *rel)
{
	/* Without memory it stays until the next scan finds it. Nor do these pile up with each scan while a disk is full. */
	if (!d->ledger_failing)
		sync_rels_add(&d->doomed, rel);
}

/* --delete-after, for a file whose verified object the ledger knows. */
void
sync_consider_removal(struct daemon *d, const char *rel, const struct stat *st)
{
	int64_t left;

	if (d->set->delete_ms < 0)
		return;
	left = d->set->delete_ms - ((int64_t)time(NULL) - st->st_mtim.tv_sec) * 1000;
	if (d->set->delete_ms == 0 || left <= 0)
		doom(d, rel);
	else if (d->delete_at < 0 || d->now + left < d->delete_at)
		/* A little later: one scan is to find what has become old enough meanwhile, too. */
		d->delete_at = d->now + left + d->set->delete_ms / DELETE_SHARE;
}

static void
remove_doomed(struct daemon *d)
{
	struct rels *x, *next;
	struct err e;

	for (x = d->doomed, d->doomed = NULL; x; x = next) {
		next = x->next;
		if (d->now >= stuck_until && remove_file(d, x->rel)) {
			/* What comes at this path is another file: never over this one's object. */
			ledger_forget(d->ledger, x->rel, &e);
			sync_log(0, "Removed: %s", x->rel);
		}
		free(x);
	}
}

int64_t
sync_files_save_at(const struct daemon *d)
{
	struct sync_counts c;
	int64_t wake = sync_wake_ms(d->sync, d->now);

	if (!ledger_dirty(d->ledger))
		return -1;
	sync_count(d->sync, &c);
	return d->synced_at + (c.n[SYNC_RUNNING] || (wake >= 0 && wake < d->now + SAVE_ROOM_MS) ? SAVE_BUSY_MS : SAVE_MS);
}

void
sync_files_save(struct daemon *d, int now)
{
	struct err e, again;
	int ok = 1;

	if (ledger_dirty(d->ledger)) {
		if (!now && d->now < sync_files_save_at(d))
			return;
		d->synced_at = d->now;
		ok = ledger_sync(d->ledger, &e) == 0;
		/* DIR was removed with all in it, and made again. Where Landlock holds us, the new one is not ours to write: a restart is. */
		if (!ok && private_dir(d->state, &again) == 0)
			ok = ledger_sync(d->ledger, &e) == 0;
		if (!ok && !d->ledger_failing)
			sync_log(1, "WARNING: the ledger cannot be written: %s: uploads go on, remembered in memory only", e.msg);
		else if (ok && d->ledger_failing)
			sync_log(1, "The ledger is complete again");
		d->ledger_failing = !ok;
	}
	if (ok)
		remove_doomed(d);
}
