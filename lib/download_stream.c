#include <errno.h>
#include <unistd.h>
#include "download_state.h"

enum { SUMS_MAX = 4 };   /* part sizes that are tried at once: what is out cannot be read again */

struct stream {
	int fd;
	unsigned nsums;
	struct download_sum sums[SUMS_MAX];
};

static int
pass_on(void *arg, const void *p, size_t n, struct err *e)
{
	struct stream *x = arg;
	const char *q = p;
	ssize_t put;

	for (unsigned i = 0; i < x->nsums; i++)
		download_sum_update(&x->sums[i], p, n);
	for (; n; q += put, n -= (size_t)put) {
		do
			put = write(x->fd, q, n);
		while (put < 0 && errno == EINTR);
		if (put < 0)
			return fail_errno(e, "write to standard output");
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

int
download_stream(struct s3 *s, struct download_stream *d, struct err *e)
{
	struct stream x = {.fd = d->fd};
	struct s3_get g = {.key = d->key, .data = pass_on, .arg = &x, .attempts = &d->attempts};
	struct download_kind k;

	if (s3_head(s, d->key, &d->object, e) < 0 || download_learn(&k, s, d->key, &d->object, e) < 0)
		return -1;
	begin_sums(&x, &k);
	g.if_match = *d->object.etag ? d->object.etag : NULL;
	if (s3_get(s, &g, &d->object, e) < 0)
		return -1;
	if (prove(&x, &k, &d->proof) < 0)
		return fail(e, ERR_CORRUPT, "%s sent other bytes than the ETag says (%s): what was written is not the object",
			s->store->cfg->host, d->object.etag);
	return 0;
}
