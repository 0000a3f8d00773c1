#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "upload_parts.h"

enum {
	PIECE = 8 * 1024 * 1024,          /* the first parts */
	PIECE_R2 = 32 * 1024 * 1024,      /* every part where they must be equal: 10,000 of them are 312 GiB */
	GROW_EVERY = 1000,                /* parts after which their size doubles: 10,000 reach 7.8 TiB */
	LOOK_MS = 500,                    /* how often a silent input is left to see whether to stop */
	AHEAD = 2,                        /* parts under way while the next is being read */
};

/* Standard input on its way; lives on the reader's stack, as upload_stream returns when all is done. */
struct stream {
	struct upload *u;
	char upload_id[S3_UPLOAD_ID_CAP];
	struct s3_part *parts;
	int n;
	uint64_t size;
	int ended;                        /* the input: nothing is read behind its first end */
	struct err_first fault;
};

struct piece {
	struct pool_job job;
	struct stream *st;
	int index;
	char *mem;
	struct http_body body;
};

/* One step that needs a connection: its job, and a wait for it. */
struct step {
	struct pool_job job;
	struct stream *st;
	int (*run)(struct stream *st, struct s3 *s, struct err *e);
};

static void
run_step(struct pool_job *j, struct s3 *s)
{
	struct step *p = (struct step *)j;
	struct err e;

	if (p->run(p->st, s, &e) < 0)
		err_keep(&p->st->fault, &e);
}

static int
in_worker(struct stream *st, int (*run)(struct stream *, struct s3 *, struct err *))
{
	struct step p = {{.run = run_step}, st, run};

	pool_submit(st->u->pool, &p.job);
	pool_wait(st->u->pool, 0);
	return err_kept(&st->fault) ? -1 : 0;
}

static void
drop_piece(struct piece *p)
{
	if (p)
		free(p->mem);
	free(p);
}

static void
run_piece(struct pool_job *j, struct s3 *s)
{
	struct piece *p = (struct piece *)j;
	struct stream *st = p->st;
	struct upload *u = st->u;
	struct s3_part *part = &st->parts[p->index];
	struct s3_put rq = {
		.key = u->r.key, .upload_id = st->upload_id, .part_number = part->number, .body = p->body,
	};
	struct s3_put_result r;
	struct err e = {0};

	if (!err_kept(&st->fault) && s3_put(s, &rq, &r, &e) == 0) {
		memcpy(part->etag, r.etag, sizeof part->etag);
		__atomic_add_fetch(&u->r.attempts, r.attempts, __ATOMIC_RELAXED);
		if (u->o->part)
			u->o->part(u, part->number, -1);
	} else if (e.kind) {
		err_keep(&st->fault, &e);
	}
	drop_piece(p);
}

static int
begin(struct stream *st, struct s3 *s, struct err *e)
{
	struct s3_put rq = upload_request(st->u);
	struct s3_object_info there;

	if (st->u->o->if_exists != UPLOAD_OVERWRITE && s3_head(s, rq.key, &there, e) == 0) {
		fail(e, ERR_HTTP, "there is an object at s3://%s/%s already, and standard input is too long to compare: "
			"choose another --key", s->store->cfg->bucket, rq.key);
		e->status = 412;
		return -1;
	}
	return s3_create(s, &rq, st->upload_id, e);
}

static int
complete(struct stream *st, struct s3 *s, struct err *e)
{
	st->u->r.size = st->size;
	return parts_complete(s, st->u, &(struct parts_sent){st->upload_id, st->parts, st->n}, e);
}

/* What was not completed is taken back: nobody could go on with it, since its input is gone. */
static int
take_back(struct stream *st, struct s3 *s, struct err *e)
{
	return *st->upload_id ? s3_abort(s, NULL, st->u->r.key, st->upload_id, e) : 0;
}

static size_t
piece_size(const struct upload *u, int index)
{
	/* More than this machine can address is more than it has. */
	if (u->o->part_size)
		return (size_t)u->o->part_size == u->o->part_size ? (size_t)u->o->part_size : SIZE_MAX;
	if (config_is_r2(u->pool->store->cfg))
		return PIECE_R2;
	return (size_t)PIECE << (index / GROW_EVERY);
}

/* n bytes unless the input ends: bytes, or -1. While nothing comes in a signal may ask to stop, or a part fail. */
static ssize_t
read_piece(struct stream *st, char *p, size_t n, struct err *e)
{
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};
	size_t got = 0;

	while (got < n) {
		ssize_t k;

		if (err_kept(&st->fault) || s3_stopping(st->u->pool->store))
			return fail(e, ERR_STOPPED, "stopped");
		if (poll(&in, 1, LOOK_MS) <= 0)
			continue;
		k = read(STDIN_FILENO, p + got, n - got);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return fail_errno(e, "read standard input");
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

static struct piece *
next_piece(struct stream *st, struct err *e)
{
	size_t want = st->ended ? 0 : piece_size(st->u, st->n);
	struct piece *p = calloc(1, sizeof *p);
	ssize_t got;

	if (!p || !(p->mem = malloc(want ? want : 1))) {
		drop_piece(p);
		fail(e, ERR_LOCAL, "out of memory: standard input is read %zu MiB at a time: give a smaller --part-size", want >> 20);
		return NULL;
	}
	if ((got = read_piece(st, p->mem, want, e)) < 0) {
		drop_piece(p);
		return NULL;
	}
	st->ended |= (size_t)got < want;
	p->st = st;
	p->job.run = run_piece;
	p->body = http_memory(p->mem, (uint64_t)got);
	return p;
}

static int
send_piece(struct stream *st, struct piece *p, struct err *e)
{
	if (st->n == S3_PARTS_MAX)
		return fail(e, ERR_LOCAL, "standard input is longer than 10,000 parts of %zu MiB: give a larger --part-size",
			piece_size(st->u, st->n) >> 20);
	p->index = st->n;
	st->parts[st->n] = (struct s3_part){.number = st->n + 1, .size = p->body.len};
	st->n++;
	st->size += p->body.len;
	pool_wait(st->u->pool, AHEAD - 1);
	pool_submit(st->u->pool, &p->job);
	return 0;
}

/* The rest of the input after the first piece, which was full. */
static int
send_all(struct stream *st, struct piece *p, struct err *e)
{
	int whole;

	if (in_worker(st, begin) < 0) {
		drop_piece(p);
		return -1;
	}
	while (p && p->body.len > 0 && !err_kept(&st->fault)) {
		if (send_piece(st, p, e) < 0)
			break;
		p = next_piece(st, e);
	}
	pool_wait(st->u->pool, 0);
	/* A part may have failed after the input had ended. */
	whole = p && p->body.len == 0 && !err_kept(&st->fault);
	drop_piece(p);
	return whole ? in_worker(st, complete) : -1;
}

static void
run_stream(struct stream *st, struct piece *first)
{
	struct upload *u = st->u;
	struct err e = {0};

	memcpy(u->r.key, u->plan.key, sizeof u->r.key);
	if (u->o->started)
		u->o->started(u);
	if (!(st->parts = calloc(S3_PARTS_MAX, sizeof *st->parts))) {
		drop_piece(first);
		fail_memory(&e);
		err_keep(&st->fault, &e);
	} else if (send_all(st, first, &e) < 0) {
		if (e.kind)
			err_keep(&st->fault, &e);
		in_worker(st, take_back);
	}
	free(st->parts);
	if (err_kept(&st->fault) && st->fault.err.status == 412 && u->o->if_exists == UPLOAD_SKIP) {
		u->r.outcome = UPLOAD_SKIPPED;
		u->o->finished(u, NULL);
	} else {
		u->o->finished(u, err_kept(&st->fault) ? &st->fault.err : NULL);
	}
}

void
upload_stream(struct pool *pool, const struct upload_options *o, struct upload *u)
{
	struct stream st = {.u = u};
	struct err e;
	struct piece *first;

	u->pool = pool;
	u->o = o;
	u->src.fd = -1;
	first = next_piece(&st, &e);
	if (!first) {
		o->finished(u, &e);
	} else if (first->body.len < piece_size(u, 0)) {
		source_memory(&u->src, first->mem, (size_t)first->body.len);
		u->plan.size = first->body.len;
		upload_submit(pool, o, u);
		pool_wait(pool, 0);
		drop_piece(first);
	} else {
		run_stream(&st, first);
	}
}
