#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "ledger_state.h"
#include "private.h"

enum {
	COMPACT_MIN = 64 * 1024,       /* bytes of file below which dead records do not matter */
	TAIL_KEEP = 64 * 1024,         /* a longer buffer is given back once it is empty */
	RESERVE = 128 * 1024,          /* disk space kept behind the last record */
};

int
ledger_oops(const struct ledger *l, struct err *e)
{
	return fail_errno(e, "ledger %s", err_show(e, l->path));
}

int
ledger_new_name(const struct ledger *l, char out[PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s~", l->path) < PATH_MAX ? 0 : -1;
}

int
ledger_write_tail(struct ledger *l)
{
	l->failing = 1;
	if (l->no_header && ledger_header_put(l->fd) < 0)
		return -1;
	l->no_header = 0;
	if (l->written < l->tail_len)
		l->written += private_write(l->fd, l->tail + l->written, l->tail_len - l->written, l->synced + l->written);
	if (l->written < l->tail_len)
		return -1;
	l->failing = 0;
	return 0;
}

/* On a disk that is full, what is uploaded must still be noted: only then may --delete-after make room. Best effort. */
static void
reserve(struct ledger *l)
{
	if (l->synced + RESERVE / 2 > l->reserved && fallocate(l->fd, FALLOC_FL_KEEP_SIZE, (off_t)l->synced, RESERVE) == 0)
		l->reserved = l->synced + RESERVE;
}

/* The same, and it stays there. */
static int
sync_tail(struct ledger *l)
{
	if (ledger_write_tail(l) < 0)
		return -1;
	if (ledger_sync_file(l->fd) < 0) {
		/* What was not synced may be gone from the kernel's memory too (fsync(2)): all of it has to be written again. */
		l->no_header = 1;
		l->written = 0;
		l->damaged |= l->sync_due;   /* what was loaded, too: only a new file is sure to have it */
		return -1;
	}
	l->synced += l->tail_len;
	l->tail_len = l->written = 0;
	reserve(l);
	if (l->tail_cap > TAIL_KEEP) {
		free(l->tail);
		l->tail = NULL;
		l->tail_cap = 0;
	}
	return 0;
}

static int
compaction_due(const struct ledger *l)
{
	uint64_t end = l->synced + l->tail_len;

	return end >= l->patience && (l->damaged || (end > COMPACT_MIN && l->records > 2 * l->index.used));
}

/* Put new where path is, and a lost ledger's only if nothing is there. */
static int
rename_to(const struct ledger *l, const char *new)
{
	if (!l->lost)
		return rename(new, l->path);
	if (syscall(SYS_renameat2, AT_FDCWD, new, AT_FDCWD, l->path, PRIVATE_NO_REPLACE) == 0)
		return 0;
	/* NFS cannot do both at once, nor can old kernels. */
	return errno != EEXIST && access(l->path, F_OK) < 0 ? rename(new, l->path) : -1;
}

/* Everything is synced. A ledger that lost its name gets it back, unless somebody else has it now. */
static int
compact(struct ledger *l)
{
	struct ledger_copy c;
	char new[PATH_MAX];

	if (ledger_new_name(l, new) < 0 || ledger_copy_make(&c, l->fd, &l->index, new) < 0)
		return -1;
	if (rename_to(l, new) < 0) {
		ledger_copy_drop(&c, new);
		return -1;
	}
	ledger_copy_apply(&c, &l->index);
	close(l->fd);
	l->fd = c.fd;
	l->synced = c.end;
	l->records = c.records;
	l->patience = l->reserved = 0;
	l->damaged = l->lost = 0;
	l->sync_due = 1;
	return 0;
}

int
ledger_dirty(const struct ledger *l)
{
	return l->tail_len || l->sync_due || l->lost || compaction_due(l);
}

int
ledger_sync(struct ledger *l, struct err *e)
{
	struct stat st;

	if (!ledger_dirty(l))
		return 0;
	if (sync_tail(l) < 0 || fstat(l->fd, &st) < 0)
		return ledger_oops(l, e);
	l->lost = !private_still_named(AT_FDCWD, l->path, &st);
	if ((l->lost || compaction_due(l)) && compact(l) < 0) {
		/* Not again before it is worth more; the file is complete as it is. */
		l->patience = l->synced + l->synced / 4;
		if (l->lost)
			return fail_errno(e, "ledger %s was removed while in use and cannot be written anew",
				err_show(e, l->path));
	}
	if (l->sync_due && private_sync_dir(l->path) < 0)
		return ledger_oops(l, e);
	l->sync_due = 0;
	return 0;
}
