#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "ledger_state.h"
#include "private.h"

uint64_t
ledger_print(const struct ledger *l, const struct ledger_file *f)
{
	const uint64_t words[3] = {f->size, (uint64_t)f->mtime_ns, f->inode};

	return ledger_index_hash(&l->index, words, sizeof words);
}

int
ledger_enter(struct ledger *l, const struct ledger_view *v, uint64_t at)
{
	uint64_t path = ledger_index_hash(&l->index, v->path, v->path_len);
	struct ledger_slot s = {path, ledger_print(l, &v->file), at * 2 + (v->kind == LEDGER_KIND_DONE)}, *old;

	if (v->kind != LEDGER_KIND_FORGOTTEN)
		return ledger_index_put(&l->index, &s);
	old = ledger_index_find(&l->index, path);
	if (old)
		ledger_index_drop(&l->index, old);
	return 0;
}

static int
read_records(struct ledger *l, struct ledger_reader *r)
{
	int rc;

	while ((rc = ledger_reader_next(r)) > 0) {
		if (ledger_enter(l, &r->view, r->at) < 0)
			return -1;
		l->records++;
	}
	return rc;
}

static void
warn(struct ledger *l, uint64_t lost)
{
	char shown[ENC_SHOW_CAP];

	l->damaged = 1;
	snprintf(l->warning, sizeof l->warning, "ledger %s: damaged, %llu bytes of it are lost: their files are looked at again",
		enc_show_in(shown, sizeof shown, l->path), (unsigned long long)lost);
}

/* Everything of the file behind its header. What follows the last sound record is cut off, so that nothing gets glued to it. */
static int
load(struct ledger *l, int sound_header)
{
	struct ledger_reader r;
	int rc = ledger_reader_open(&r, l->fd) < 0 ? -1 : read_records(l, &r);
	uint64_t lost = r.lost;

	l->synced = r.end;
	if (!rc && r.tail) {
		lost += sound_header && ledger_reader_torn(&r) ? 0 : r.tail;
		rc = ftruncate(l->fd, (off_t)r.end);
	}
	ledger_reader_close(&r);
	if (!rc && lost)
		warn(l, lost);
	return rc;
}

/* Read the locked file; a ledger of a version that we do not know stays as it is. */
static int
begin(struct ledger *l, struct err *e)
{
	unsigned char header[LEDGER_HEADER];
	ssize_t n = pread(l->fd, header, sizeof header, 0);
	uint32_t pid, version = n > 0 ? ledger_header_read(header, (size_t)n, &pid) : 0;

	if (n < 0)
		return ledger_oops(l, e);
	if (getrandom(l->index.key, sizeof l->index.key, 0) < 0)
		return fail_errno(e, "no random numbers: getrandom");
	if (version > LEDGER_VERSION)
		return fail(e, ERR_LOCAL, "ledger %s: written by a newer r2 (version %u of the format, this one knows %d): use that one, "
			"or remove the file", err_show(e, l->path), (unsigned)version, LEDGER_VERSION);
	l->sync_due = 1;          /* what stands there the process before us may not have come to sync */
	if (load(l, version || n < LEDGER_HEADER || !header[0]) < 0)
		return ledger_oops(l, e);
	l->no_header = ledger_header_put(l->fd) < 0;
	return 0;
}

static void
discard(struct ledger *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->index.slots);
	free(l->tail);
	free(l);
}

/* Who holds path, for people. */
static int
held(const char *path, struct err *e)
{
	unsigned char header[LEDGER_HEADER];
	char who[32] = "another process";
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : pread(fd, header, sizeof header, 0);
	uint32_t pid;

	if (n > 0 && ledger_header_read(header, (size_t)n, &pid))
		snprintf(who, sizeof who, "process %u", (unsigned)pid);
	if (fd >= 0)
		close(fd);
	fail(e, ERR_LOCAL, "ledger %s is held by %s", err_show(e, path), who);
	return 1;
}

int
ledger_open(struct ledger **out, const char *dir, const char *name, struct err *e)
{
	struct ledger *l = calloc(1, sizeof *l);
	char new[PATH_MAX];
	int rc;

	*out = NULL;
	if (!l)
		return fail_errno(e, "ledger");
	l->fd = -1;
	l->tail_max = LEDGER_TAIL_MAX;
	if (snprintf(l->path, sizeof l->path, "%s/%s", dir, name) >= PATH_MAX || ledger_new_name(l, new) < 0)
		rc = fail(e, ERR_LOCAL, "the ledger's name is too long");
	else
		rc = private_open(&l->fd, l->path, "ledger", e);
	if (rc == 1)
		held(l->path, e);
	if (rc == 0) {
		unlink(new);      /* of a compaction that was cut off */
		rc = begin(l, e);
	}
	if (rc == 0)
		*out = l;
	else
		discard(l);
	return rc;
}

void
ledger_close(struct ledger *l)
{
	struct err ignored;

	if (!l)
		return;
	ledger_sync(l, &ignored);
	discard(l);
}
