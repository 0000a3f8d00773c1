#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "download_state.h"
#include "enc.h"

/* A larger one is a lie, and its ends would not fit an off_t. */
#define SIZE_MAX_BELIEVED (1ULL << 60)

/* Reasons to start again, each once. */
enum { AGAIN_REPLACED = 1, AGAIN_SUSPECT = 2 };

/* The caller has d again, and may free it at once. */
static void
end(struct download_state *st, const struct err *e)
{
	struct download *d = st->d;

	download_ranges_free(st);
	download_dest_close(&st->dest);
	free(st->helpers);
	pthread_mutex_destroy(&st->lock);
	pthread_mutex_destroy(&st->pen);
	free(st);
	d->finished(d, e);
}

/* Bytes of the object that are in the file. */
static uint64_t
arrived(const struct download_state *st)
{
	uint64_t sum = 0;

	for (unsigned i = 0; st->progress && i < st->lay.nranges; i++)
		sum += st->progress[i];
	return sum;
}

/* Of a failed download, what can be gone on with stays. The message says so, whatever it was. 404 alone may be a gateway's, which the store
   is hidden from. */
static void
leave(struct download_state *st, struct err *e)
{
	char msg[sizeof e->msg], shown[ENC_SHOW_CAP];
	struct buf b = BUF(msg);
	uint64_t kept = st->records ? arrived(st) : 0;

	if (!kept || !st->dest.lasting || e->kind == ERR_CORRUPT || e->status == 412 || (e->named && err_code_in(e, "NoSuchKey\0"))) {
		download_dest_drop(&st->dest);
		return;
	}
	buf_fmt(&b, "%s; %llu of %llu bytes are kept in %s: the same command goes on from there", e->msg,
		(unsigned long long)kept, (unsigned long long)st->lay.size, enc_show_in(shown, sizeof shown, st->dest.temp));
	if (buf_ok(&b))
		memcpy(e->msg, msg, b.len + 1);
}

/* Not 0: why it is worth to begin once more. */
static int
reason(const struct download_state *st, const struct err *e)
{
	if (e->status == 412)
		return AGAIN_REPLACED;
	return e->kind == ERR_CORRUPT && st->d->resumed ? AGAIN_SUSPECT : 0;
}

/* why 0: before anything was begun. */
static void
begin_again(struct download_state *st, int why)
{
	struct download *d = st->d;

	if (why && d->again)
		d->again(d, arrived(st), why == AGAIN_SUSPECT ? "what an earlier run has left does not belong to the object"
			: "the object was replaced meanwhile");
	st->again |= why;
	d->known = 0;
	download_dest_drop(&st->dest);
	download_ranges_free(st);
	download_dest_close(&st->dest);
	pool_submit(st->pool, &st->plan);
}

static int
is_there(struct err *e)
{
	return fail(e, ERR_LOCAL, "is there already (--if-exists fail)");
}

/* What tells this object and this place from others: in the temporary file's name, and, with the version, within it. */
static void
identify(struct download_state *st, const struct config *cfg, char tag[9])
{
	const struct s3_object_info *o = &st->d->object;
	char text[CONFIG_HOST_CAP + CONFIG_BUCKET_CAP + PATH_KEY_MAX + S3_ETAG_CAP + 64];
	struct buf b = BUF(text), t = buf_over(tag, 9);

	buf_fmt(&b, "%s\n%s\n%s\n", cfg->host_field, cfg->bucket, st->d->key);
	hash_sha256(b.p, b.len, st->id);
	enc_hex(&t, st->id, 4);
	buf_fmt(&b, "%s\n%llu", o->etag, (unsigned long long)o->size);
	hash_sha256(b.p, b.len, st->id);
}

static void
sweep(struct download_state *st, struct s3 *s)
{
	char tag[9];

	identify(st, s->store->cfg, tag);
	download_dest_sweep(&st->dest, tag);
}

static void
conclude(struct download_state *st, struct s3 *s)
{
	struct download *d = st->d;
	struct err e = st->fault.err;
	int rc = err_kept(&st->fault) ? -1 : download_verify(st, s, &e), why;

	if (rc == 0)
		rc = download_dest_commit(&st->dest, &(struct download_final){d->object.size, d->object.modified,
			st->o->if_exists == DOWNLOAD_OVERWRITE}, &e);
	if (rc == 0) {
		sweep(st, s);
		end(st, NULL);
		return;
	}
	if (rc > 0) {   /* somebody has made a file of this name meanwhile */
		download_dest_drop(&st->dest);
		d->skipped = st->o->if_exists == DOWNLOAD_SKIP;
		if (!d->skipped)
			is_there(&e);
		end(st, d->skipped ? NULL : &e);
		return;
	}
	why = reason(st, &e) & ~st->again;
	if (why) {
		begin_again(st, why);
		return;
	}
	if (e.status == 412 && st->again & AGAIN_REPLACED) {
		fail(&e, ERR_HTTP, "the object was replaced while it was being fetched, and again when that was begun anew: "
			"try when nobody writes to it");
		e.status = 412;
	}
	leave(st, &e);
	end(st, &e);
}

static uint64_t
range_size(const struct download_options *o)
{
	return o->part_size ? o->part_size : DOWNLOAD_PART;
}

static int
lay_out(struct download_state *st)
{
	const struct s3_object_info *o = &st->d->object;
	struct download_wish w = {.size = o->size, .parts = st->kind.nsizes ? st->kind.etag.parts : 0, .part = st->kind.sizes[0],
		.want = range_size(st->o), .workers = (unsigned)st->pool->max};

	/* Without an ETag nothing would keep two versions apart. */
	if (!*o->etag)
		w.want = UINT64_MAX;
	return download_layout_choose(&st->lay, &w);
}

/* A key that ends in '/' stands for a directory: the dashboards of stores make such objects. */
static int
is_directory(const struct download_state *st)
{
	const char *rel = st->d->rel;

	return *rel && rel[strlen(rel) - 1] == '/';
}

/* 1 when what is there has the object's size and its time or its content; then it gets the time, which costs less next time. */
static int
is_same(struct download_state *st, const struct stat *there, struct s3 *s)
{
	const struct s3_object_info *o = &st->d->object;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {o->modified, 0}};
	struct err ignored;
	int fd, same;

	if (!S_ISREG(there->st_mode) || (uint64_t)there->st_size != o->size)
		return 0;
	if (o->modified && there->st_mtim.tv_sec == o->modified)
		return 1;
	if (download_learn(&st->kind, s, st->d->key, o, &ignored) < 0)
		return 0;
	fd = openat(st->dest.dir, st->dest.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	same = fd >= 0 && download_same(&st->kind, &s->store->stop, fd, o->size, 0, &ignored) == 1;
	if (same && o->modified)
		futimens(fd, times);
	if (fd >= 0)
		close(fd);
	return same;
}

/* 1: nothing is to be done; 0: it is to be fetched; -1. */
static int
look(struct download_state *st, struct s3 *s, struct err *e)
{
	struct download *d = st->d;
	struct stat there;
	int is = is_directory(st) ? 0 : download_dest_stat(&st->dest, &there, e);

	if (is < 0)
		return -1;
	if (is && st->o->if_exists == DOWNLOAD_FAIL)
		return is_there(e);
	d->skipped = is && st->o->if_exists == DOWNLOAD_SKIP;
	if (d->skipped)
		return 1;
	if (!d->known && s3_head_meta(s, d->key, &d->object, NULL, e) < 0)
		return -1;
	if (d->object.size > SIZE_MAX_BELIEVED)
		return fail(e, ERR_PROTO, "the server says that the object has %llu bytes", (unsigned long long)d->object.size);
	d->skipped = is_directory(st) && !st->dest.made;
	if (is_directory(st))
		return d->object.size ? fail(e, ERR_LOCAL, "ends in '/' and has %llu bytes: give it a file name",
			(unsigned long long)d->object.size) : 1;
	d->skipped = is && st->o->only_different && is_same(st, &there, s);
	if (d->skipped)
		sweep(st, s);
	return d->skipped;
}

static int
prepare(struct download_state *st, struct s3 *s, struct err *e)
{
	char tag[9];

	if (download_learn(&st->kind, s, st->d->key, &st->d->object, e) < 0)
		return -1;
	if (lay_out(st) < 0)
		return fail(e, ERR_PROTO, "the object cannot be cut into ranges");
	identify(st, s->store->cfg, tag);
	if (download_dest_temp(&st->dest, tag, e) < 0)
		return -1;
	/* What cannot be proved at the end is better fetched whole. */
	st->records = st->lay.nranges > 1 && st->dest.lasting && st->kind.check != CHECK_NOTHING;
	return download_ranges_open(st, e);
}

static void
plan(struct pool_job *j, struct s3 *s)
{
	struct download_state *st = (struct download_state *)((char *)j - offsetof(struct download_state, plan));
	struct download *d = st->d;
	struct err e;
	int rc = download_dest_open(&st->dest, d->dir_fd, d->rel, &e);

	st->fault.kept = 0;
	if (rc == 0)
		rc = look(st, s, &e);
	if (rc > 0) {
		end(st, NULL);
		return;
	}
	if (rc == 0)
		rc = prepare(st, s, &e);
	if (rc == 0 && d->started)
		d->started(d);
	if (rc == 0)
		rc = download_fetch(st, s, &e);
	/* Replaced since it was listed. */
	if (rc < 0 && e.status == 412 && d->known) {
		begin_again(st, 0);
		return;
	}
	if (rc < 0) {
		leave(st, &e);
		end(st, &e);
	}
}

void
download_submit(struct pool *p, const struct download_options *o, struct download *d)
{
	struct download_state *st = calloc(1, sizeof *st);
	struct err e;

	if (!st) {
		fail_memory(&e);
		d->finished(d, &e);
		return;
	}
	*st = (struct download_state){.d = d, .o = o, .pool = p, .plan = {.run = plan}, .conclude = conclude, .dest = {.dir = -1, .fd = -1}};
	pthread_mutex_init(&st->lock, NULL);
	pthread_mutex_init(&st->pen, NULL);
	if (d->known && d->object.size > range_size(o))
		st->plan.rank = pool_rank(d->object.size, clock_ms()) + 1;
	pool_submit(p, &st->plan);
}
