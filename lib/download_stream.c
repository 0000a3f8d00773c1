#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "download_state.h"

enum {
	SUMS_MAX = 4,          /* part sizes that are tried at once: what is out cannot be read again */
	CHUNK = 1024 * 1024,   /* fetched by one request, and kept until all before it is out */
	AHEAD = 6,             /* of these, so that the memory stays small */
	LOOK_MS = 500,         /* how often a reader in no hurry is left to see whether to stop */
};

struct stream {
	const struct s3_store *store;
	struct download_stream *d;
	uint64_t left;         /* bytes of the object that are to come */
	unsigned nsums;
	struct download_sum sums[SUMS_MAX];
};

static int
pass_on(void *arg, const void *p, size_t n, struct err *e)
{
	struct stream *x = arg;
	struct pollfd out = {x->d->fd, POLLOUT, 0};
	const char *q = p;
	ssize_t put;

	if (n > x->left)
		return s3_replaced(e);
	x->left -= n;
	for (unsigned i = 0; i < x->nsums; i++)
		download_sum_update(&x->sums[i], p, n);
	for (; n; q += put, n -= (size_t)put) {
		/* Whoever reads may be in no hurry: a signal to stop has interrupted the write. */
		if (s3_stopping(x->store))
			return fail(e, ERR_STOPPED, "stopped");
		put = write(x->d->fd, q, n);
		/* Another process that has this pipe too may have set O_NONBLOCK: that is for all. */
		if (put < 0 && errno == EAGAIN)
			put = poll(&out, 1, LOOK_MS) < 0 ? -1 : 0;
		if (put < 0 && errno == EINTR)
			put = 0;
		if (put < 0) {
			x->d->unread = errno == EPIPE;
			return fail_errno(e, "write");
		}
	}
	return 0;
}

static void
begin_sums(struct stream *x, const struct download_kind *k)
{
	unsigned n = k->check == CHECK_WHOLE ? 1 : k->nsizes;

	x->nsums = n < SUMS_MAX ? n : SUMS_MAX;
	for (unsigned i = 0; i < x->nsums; i++)
		download_sum_init(&x->sums[i], k->etag.parts ? k->sizes[i] : 0);
}

/* 1 when the parts are not all of the size that was tried, which fits their number by chance; 0 when they are; -1. */
static int
unequal(struct s3 *s, const struct download_stream *d, const struct download_kind *k, struct err *e)
{
	struct s3_object_info part = {.coded = d->object.coded};
	int parts;

	for (unsigned i = 2; i < k->etag.parts; i++) {
		if (s3_head_part(s, d->key, (int)i, &part, &parts, e) < 0)
			return download_untold(e) ? 1 : -1;
		if (part.size != k->sizes[0])
			return 1;
	}
	return 0;
}

static int
prove(struct stream *x, const struct download_kind *k, enum download_proof *proof)
{
	*proof = k->check == CHECK_PARTS ? DOWNLOAD_NO_PART_SIZE : DOWNLOAD_NO_MD5;
	for (unsigned i = 0; i < x->nsums; i++) {
		download_sum_end(&x->sums[i]);
		if (download_sum_is(&x->sums[i], &k->etag)) {
			*proof = k->etag.parts ? DOWNLOAD_PARTS_MD5 : DOWNLOAD_MD5;
			return 0;
		}
	}
	/* Of several sizes, or of one that nobody vouches for, none needs to be right. */
	return k->check == CHECK_WHOLE || (k->check == CHECK_PARTS && (k->etag.parts == 1 || (k->by_number && x->nsums)))
		? -1 : 0;
}

/* The chunks that are under way, or have come and wait for their turn. */
struct window {
	struct download_stream *d;
	struct err_first fault;          /* with one the others end soon */
	pthread_mutex_t lock;            /* over the slots' ready, and d->attempts */
	pthread_cond_t ended;
};

struct slot {
	struct pool_job job;
	struct window *w;
	uint64_t from;
	size_t len, got;
	int ready;
	char *p;
};

static int
keep(void *arg, const void *p, size_t n, struct err *e)
{
	struct slot *x = arg;

	if (err_kept(&x->w->fault))
		return fail(e, ERR_STOPPED, "stopped");
	if (n > x->len - x->got)
		return s3_replaced(e);
	memcpy(x->p + x->got, p, n);
	x->got += n;
	return 0;
}

static void
fetch(struct pool_job *j, struct s3 *s)
{
	struct slot *x = (struct slot *)j;
	struct window *w = x->w;
	struct download_stream *d = w->d;
	struct s3_object_info o;
	struct err e;
	int attempts = 0, rc;
	struct s3_get g = {.key = d->key, .from = x->from, .len = x->len, .coded = d->object.coded, .if_match = d->object.etag, .data = keep, .arg = x,
		.attempts = &attempts};

	rc = s3_get(s, &g, &o, &e);
	if (rc == 0 && (o.size != d->object.size || x->got != x->len))
		rc = s3_replaced(&e);
	if (rc < 0)
		err_keep(&w->fault, &e);
	pthread_mutex_lock(&w->lock);
	d->attempts += attempts;
	x->ready = 1;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
}

static void
send_for(struct pool *pool, struct slot *x, uint64_t from)
{
	uint64_t left = x->w->d->object.size - from;

	x->from = from;
	x->len = left < CHUNK ? (size_t)left : CHUNK;
	x->got = 0;
	x->ready = 0;
	x->job.run = fetch;
	x->job.rank = 1;
	pool_submit(pool, &x->job);
}

/* One after the other; a slot that is out is used for the first chunk that nobody is after. */
static int
in_order(struct pool *pool, struct window *w, struct slot *slots, unsigned n, struct stream *out)
{
	uint64_t size = w->d->object.size, next = 0;
	struct err e;

	for (unsigned i = 0; i < n && next < size; i++, next += CHUNK)
		send_for(pool, &slots[i], next);
	for (uint64_t at = 0, i = 0; at < size; at += CHUNK, i++) {
		struct slot *x = &slots[i % n];

		pthread_mutex_lock(&w->lock);
		while (!x->ready && !err_kept(&w->fault))
			pthread_cond_wait(&w->ended, &w->lock);
		pthread_mutex_unlock(&w->lock);
		if (err_kept(&w->fault))
			return -1;
		if (pass_on(out, x->p, x->len, &e) < 0) {
			err_keep(&w->fault, &e);
			return -1;
		}
		if (next < size)
			send_for(pool, x, next);
		next += CHUNK;
	}
	return 0;
}

static int
get_ahead(struct pool *pool, struct download_stream *d, struct stream *out, struct err *e)
{
	unsigned n = pool->max < AHEAD ? (unsigned)pool->max : AHEAD;
	struct window w = {.d = d, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
	struct slot slots[AHEAD] = {0};
	char *mem = malloc((size_t)n * CHUNK);
	int rc;

	if (!mem)
		return fail_memory(e);
	for (unsigned i = 0; i < n; i++) {
		slots[i].w = &w;
		slots[i].p = mem + (size_t)i * CHUNK;
	}
	rc = in_order(pool, &w, slots, n, out);
	pool_wait(pool, 0);
	free(mem);
	if (rc < 0)
		*e = w.fault.err;
	return rc;
}

int
download_stream(struct s3 *s, struct pool *pool, struct download_stream *d, struct err *e)
{
	struct stream x = {.store = s->store, .d = d};
	struct s3_get g = {.key = d->key, .data = pass_on, .arg = &x, .attempts = &d->attempts};
	struct download_kind k;
	int rc;

	if (s3_head_meta(s, d->key, &d->object, NULL, e) < 0 || download_learn(&k, s, d->key, &d->object, e) < 0)
		return -1;
	if (d->started)
		d->started(d);
	begin_sums(&x, &k);
	x.left = d->object.size;
	g.coded = d->object.coded;
	g.if_match = *d->object.etag ? d->object.etag : NULL;
	/* Without an ETag nothing would keep two versions apart. */
	if (g.if_match && pool->max > 1 && d->object.size > CHUNK)
		rc = get_ahead(pool, d, &x, e);
	else
		rc = s3_get(s, &g, &d->object, e);
	/* An answer without a length may end anywhere. */
	if (rc == 0 && x.left)
		rc = s3_replaced(e);
	if (rc < 0)
		return -1;
	rc = prove(&x, &k, &d->proof) < 0 ? unequal(s, d, &k, e) : 1;
	if (rc == 0)
		return fail(e, ERR_CORRUPT, "%s sent other bytes than the ETag says (%s): what was written is not the object",
			s->store->cfg->host, d->object.etag);
	return rc < 0 ? -1 : 0;
}
