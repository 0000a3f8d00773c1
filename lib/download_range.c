#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "download_state.h"
#include "private.h"

#define TMPFS 0x01021994   /* statfs(2) */

enum {
	STRIDE = 256 * 1024,            /* a range's progress is recorded, and what came hashed, so often; a kill may lose as much */
};

/* Behind the data in the temporary file, then the progress of each range. It needs no sync and no checksum: a kill leaves
   what was written, and after a power cut the object's own MD5 tells. */
struct tail {
	char magic[8];
	unsigned char id[HASH_SHA256_LEN];
	uint64_t lane, range;
};
static const char magic[8] = "r2 get 1";

static int
write_at(int fd, const void *p, size_t n, uint64_t off, struct err *e)
{
	return private_write(fd, p, n, off) < n ? fail_errno(e, "write") : 0;
}

static uint64_t
progress_at(const struct download_state *st, unsigned i)
{
	return st->lay.size + sizeof (struct tail) + i * sizeof *st->progress;
}

/* 1 when the temporary file is what an earlier run left of this very object; then its layout holds. */
static int
read_layout(struct download_state *st)
{
	struct download_layout l;
	struct tail t;
	struct err ignored;

	if (download_read(st->dest.fd, &t, sizeof t, st->lay.size, &ignored) < 0 || memcmp(t.magic, magic, sizeof magic) ||
	    memcmp(t.id, st->id, sizeof t.id) ||
	    download_layout_set(&l, st->lay.size, st->kind.nsizes ? st->kind.etag.parts : 0, t.lane, t.range) < 0)
		return 0;
	st->lay = l;
	return 1;
}

/* Where the file is just the object all had come, and only its name was lacking. */
static int
read_progress(struct download_state *st, int whole)
{
	uint64_t from, len, sum = 0;
	struct err ignored;

	if (!whole && download_read(st->dest.fd, st->progress, st->lay.nranges * sizeof *st->progress, progress_at(st, 0), &ignored) < 0)
		return 0;
	for (unsigned i = 0; i < st->lay.nranges; i++) {
		len = download_layout_range(&st->lay, i, &from);
		if (whole)
			st->progress[i] = len;
		if (st->progress[i] > len)
			return 0;
		sum += st->progress[i];
	}
	st->d->resumed = sum;
	return 1;
}

/* For n bytes: a full disk is told at once. It is asked first, as until fallocate fails it has given all that was free, and nobody else could
   write. In memory the giving would take as long as the writing, before anything is fetched: there it is only asked for. 0; -1 with errno. */
static int
make_room(int fd, uint64_t n)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0) {
		errno = ENOSPC;
		if (fs.f_blocks && fs.f_bfree < n / (uint64_t)fs.f_bsize)
			return -1;
		if (fs.f_type == TMPFS)
			return 0;
	}
	/* Who cannot give it has errors of his own. */
	return fallocate(fd, 0, 0, (off_t)n) < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) ? -1 : 0;
}

/* An empty file with room for everything. */
static int
begin_file(struct download_state *st, struct err *e)
{
	struct tail t = {.id = {0}, .lane = st->lay.lane, .range = st->lay.range};
	uint64_t end = progress_at(st, st->lay.nranges);

	memset(st->progress, 0, st->lay.nranges * sizeof *st->progress);
	if (ftruncate(st->dest.fd, 0) < 0)
		return fail_errno(e, "write");
	if (st->lay.nranges > 1 && make_room(st->dest.fd, end) < 0)
		return fail_errno(e, "room for %llu bytes", (unsigned long long)st->lay.size);
	if (!st->records)
		return 0;
	memcpy(t.magic, magic, sizeof magic);
	memcpy(t.id, st->id, sizeof t.id);
	if (write_at(st->dest.fd, st->progress, st->lay.nranges * sizeof *st->progress, progress_at(st, 0), e) < 0)
		return -1;
	return write_at(st->dest.fd, &t, sizeof t, st->lay.size, e);
}

static int
allocate(struct download_state *st)
{
	int hash = st->kind.check == CHECK_WHOLE || st->kind.nsizes;

	st->progress = calloc(st->lay.nranges, sizeof *st->progress);
	st->next = st->hashed = 0;
	if (hash)
		st->lanes = calloc(st->lay.nlanes, sizeof *st->lanes);
	for (unsigned i = 0; st->lanes && i < st->lay.nlanes; i++)
		hash_md5_init(&st->lanes[i].md5);
	return st->progress && (!hash || st->lanes) ? 0 : -1;
}

int
download_ranges_open(struct download_state *st, struct err *e)
{
	struct stat there;
	int whole = st->records && fstat(st->dest.fd, &there) == 0 && (uint64_t)there.st_size == st->lay.size;
	int resume = whole || (st->records && read_layout(st));

	st->d->resumed = 0;
	if (allocate(st) < 0)
		return fail_memory(e);
	if (!(resume && read_progress(st, whole)) && begin_file(st, e) < 0)
		return -1;
	download_lanes_join(st);
	return 0;
}

void
download_ranges_free(struct download_state *st)
{
	download_lanes_leave(st);
	free(st->progress);
	free(st->lanes);
	st->progress = NULL;
	st->lanes = NULL;
}

/* A range while it is fetched. */
struct piece {
	struct download_state *st;
	unsigned i;
	uint64_t from, at, end;
	uint64_t recorded;               /* st->progress[i] as the file has it */
	char *room;
};

static int
record(struct piece *x, struct err *e)
{
	struct download_state *st = x->st;

	if (!st->records || x->recorded == st->progress[x->i])
		return 0;
	x->recorded = st->progress[x->i];
	return write_at(st->dest.fd, &x->recorded, sizeof x->recorded, progress_at(st, x->i), e);
}

static int
arrived(void *arg, const void *p, size_t n, struct err *e)
{
	struct piece *x = arg;
	struct download_state *st = x->st;
	uint64_t before = x->at;
	int rc;

	if (err_kept(&st->fault))
		return fail(e, ERR_STOPPED, "stopped");
	/* Without a length it could go on until the disk is full. */
	if (n > x->end - x->at)
		return s3_replaced(e);
	/* The kernel lets one at a time write to a file, and has the others spin. */
	pthread_mutex_lock(&st->pen);
	rc = write_at(st->dest.fd, p, n, x->at, e);
	pthread_mutex_unlock(&st->pen);
	if (rc < 0)
		return -1;
	x->at += n;
	__atomic_store_n(&st->progress[x->i], x->at - x->from, __ATOMIC_RELEASE);
	if (st->lay.nranges == 1)
		download_lanes_arrived(st, p, n, before);
	if (x->at / STRIDE == before / STRIDE)
		return 0;
	if (x->room)
		download_lanes_some(st, x->room);
	return record(x, e);
}

static int
fetch(struct piece *x, struct s3 *s, struct err *e)
{
	struct download_state *st = x->st;
	struct download *d = st->d;
	struct s3_object_info o;
	struct err ignored;
	int attempts = 0, rc;
	struct s3_get g = {.key = d->key, .from = x->at, .len = st->lay.nranges > 1 ? x->end - x->at : 0,
		.coded = __atomic_load_n(&d->object.coded, __ATOMIC_RELAXED), .if_match = *d->object.etag ? d->object.etag : NULL, .data = arrived, .arg = x,
		.room = x->room, .room_size = DOWNLOAD_ROOM, .attempts = &attempts};

	rc = s3_get(s, &g, &o, e);
	/* Also of what failed; and that it cannot be recorded is then no news. */
	if (record(x, rc < 0 ? &ignored : e) < 0)
		rc = -1;
	pthread_mutex_lock(&st->lock);
	d->attempts += attempts;
	/* Only the object's own reply tells this, not a listing. */
	if (rc == 0 && o.opaque)
		st->kind.check = CHECK_NOTHING;
	if (rc == 0)
		__atomic_store_n(&d->object.coded, o.coded, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&st->lock);
	if (rc == 0 && (o.size != st->lay.size || x->at != x->end))
		return s3_replaced(e);
	/* The disk works while the network does, so that the sync at the end has little left. */
	if (rc == 0 && st->lay.nranges > 1)
		sync_file_range(st->dest.fd, (off_t)x->from, (off_t)(x->end - x->from), SYNC_FILE_RANGE_WRITE);
	return rc;
}

int
download_range(struct download_state *st, struct s3 *s, unsigned i, char *room, struct err *e)
{
	/* What is small is read by less, which takes less memory. */
	struct piece x = {.st = st, .i = i, .room = st->lay.size < DOWNLOAD_ROOM ? NULL : room, .recorded = st->progress[i]};
	uint64_t len = download_layout_range(&st->lay, i, &x.from);

	x.at = x.from + st->progress[i];
	x.end = x.from + len;
	/* An empty object is asked for too: only its reply says that it is there. */
	if (st->progress[i] == len && st->lay.size)
		return 0;
	return fetch(&x, s, e);
}
