#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "ledger_compact.h"
#include "private.h"

enum { BLOCK = 64 * 1024 };

/* Records on their way to the new file. */
struct out {
	int fd;
	uint64_t at;              /* offset of the block */
	size_t len;
	unsigned char block[BLOCK];
};

int
ledger_sync_file(int fd)
{
	int rc;

	do
		rc = fdatasync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

int
ledger_header_put(int fd)
{
	unsigned char header[LEDGER_HEADER];

	ledger_header(header, (uint32_t)getpid());
	return private_write(fd, header, sizeof header, 0) == sizeof header ? 0 : -1;
}

static int
flush(struct out *o)
{
	if (private_write(o->fd, o->block, o->len, o->at) != o->len)
		return -1;
	o->at += o->len;
	o->len = 0;
	return 0;
}

/* Live is what the index points to. */
static int
copy_live(struct ledger_copy *c, struct ledger_reader *r, struct out *o, const struct ledger_index *x)
{
	int rc;

	while ((rc = ledger_reader_next(r)) > 0) {
		const struct ledger_slot *s = ledger_index_find(x, ledger_index_hash(x, r->view.path, r->view.path_len));

		if (!s || s->where / 2 != r->at)
			continue;
		if (r->len > BLOCK - o->len && flush(o) < 0)
			return -1;
		c->moved[s - x->slots] = o->at + o->len;
		memcpy(o->block + o->len, r->record, r->len);
		o->len += r->len;
		c->records++;
	}
	return rc < 0 ? -1 : flush(o);
}

static int
copy(struct ledger_copy *c, int from, const struct ledger_index *x)
{
	struct ledger_reader r;
	struct out *o = malloc(sizeof *o);
	int rc = -1;

	if (o && ledger_reader_open(&r, from) == 0) {
		o->fd = c->fd;
		o->at = LEDGER_HEADER;
		o->len = 0;
		rc = copy_live(c, &r, o, x);
		c->end = o->at;
		ledger_reader_close(&r);
	}
	free(o);
	return rc;
}

int
ledger_copy_make(struct ledger_copy *c, int from, const struct ledger_index *x, const char *name)
{
	*c = (struct ledger_copy){.fd = -1, .moved = calloc(x->cap + 1, sizeof *c->moved)};
	if (!c->moved)
		return -1;
	unlink(name);
	c->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->fd >= 0) {
		/* Locked before it gets its name: at no time is there a ledger at that name which another process could lock. Nobody else has
		   this one yet: what fails is a file system without locks. */
		flock(c->fd, LOCK_EX | LOCK_NB);
		if (ledger_header_put(c->fd) == 0 && copy(c, from, x) == 0 && ledger_sync_file(c->fd) == 0)
			return 0;
	}
	ledger_copy_drop(c, name);
	return -1;
}

void
ledger_copy_apply(struct ledger_copy *c, struct ledger_index *x)
{
	/* What was not found has decayed on the disk: no offset of a file proves anything about it. */
	for (size_t i = 0; i < x->cap; i++)
		if (x->slots[i].where)
			x->slots[i].where = (c->moved[i] ? c->moved[i] : INT64_MAX) * 2 + (x->slots[i].where & 1);
	free(c->moved);
}

void
ledger_copy_drop(struct ledger_copy *c, const char *name)
{
	int why = errno;

	if (c->fd >= 0) {
		close(c->fd);
		unlink(name);
	}
	free(c->moved);
	errno = why;
}
