#include <string.h>
#include "download_state.h"

int
download_learn(struct download_kind *k, struct s3 *s, const char *key, const struct s3_object_info *o, struct err *e)
{
	struct s3_object_info part = {.coded = o->coded};
	int parts;

	*k = (struct download_kind){0};
	if (o->opaque || !download_etag_parse(&k->etag, o->etag))
		return 0;
	k->check = k->etag.parts ? CHECK_PARTS : CHECK_WHOLE;
	if (k->check == CHECK_WHOLE)
		return 0;
	k->nsizes = download_part_sizes(o->size, k->etag.parts, k->sizes);
	if (k->etag.parts == 1)
		return 0;
	if (s3_head_part(s, key, 1, &part, &parts, e) < 0)
		return e->kind == ERR_HTTP ? 0 : -1;
	/* Another object by now, as the first range will tell; or the part's own ETag (moto), and so perhaps no size of the part either. */
	if (strcmp(part.etag, o->etag) || (!parts && part.size == o->size))
		return 0;
	/* Now it is known; of parts that are not equal, only by asking for each. */
	k->by_number = parts == (int)k->etag.parts;
	k->sizes[0] = part.size;
	k->nsizes = download_parts_fit(o->size, k->etag.parts, part.size) ? 1 : 0;
	return 0;
}

int
download_same(const struct download_kind *k, const int *stop, int fd, uint64_t size, unsigned first, struct err *e)
{
	unsigned n = k->check == CHECK_WHOLE ? 1 : k->nsizes;
	struct download_sum sum;

	for (unsigned i = first; i < n; i++) {
		download_sum_init(&sum, k->etag.parts ? k->sizes[i] : 0);
		if (download_hash_file(stop, fd, 0, size, &sum, e) < 0)
			return -1;
		download_sum_end(&sum);
		if (download_sum_is(&sum, &k->etag))
			return 1;
	}
	return 0;
}

int
download_untold(const struct err *e)
{
	return e->status == 416 || e->status == 400;
}

/* As the server tells the size of every single part. 1, 0, -1. */
static int
same_by_number(struct download_state *st, struct s3 *s, struct err *e)
{
	struct download_sum sum;
	struct s3_object_info part = {.coded = st->d->object.coded};
	uint64_t at = 0;
	int parts;

	download_sum_init(&sum, 0);
	for (unsigned i = 1; i <= st->kind.etag.parts; i++) {
		if (s3_head_part(s, st->d->key, (int)i, &part, &parts, e) < 0) {
			st->kind.by_number = 0;
			return download_untold(e) ? 0 : -1;
		}
		if (strcmp(part.etag, st->d->object.etag) || part.size > st->lay.size - at)
			return s3_replaced(e);
		/* Of a part of this size exactly one digest. */
		sum.part = sum.left = part.size ? part.size : 1;
		if (download_hash_file(&s->store->stop, st->dest.fd, at, part.size, &sum, e) < 0)
			return -1;
		at += part.size;
	}
	return at == st->lay.size && download_sum_is(&sum, &st->kind.etag);
}

/* By what was hashed while it arrived. */
static int
same_on_the_way(struct download_state *st)
{
	unsigned char md5[HASH_MD5_LEN];
	struct download_sum all;

	if (!st->lanes)
		return 0;
	download_sum_init(&all, 0);
	for (unsigned i = 0; i < st->lay.nlanes; i++) {
		hash_md5_out(&st->lanes[i].md5, md5);
		hash_md5_update(&all.outer, md5, sizeof md5);
	}
	all.inner = st->lanes[0].md5;      /* without parts it is the only one */
	return download_sum_is(&all, &st->kind.etag);
}

/* 1, 0, -1. */
static int
same_parts(struct download_state *st, struct s3 *s, struct err *e)
{
	if (same_on_the_way(st))
		return 1;
	return st->kind.by_number ? same_by_number(st, s, e) : download_same(&st->kind, &s->store->stop, st->dest.fd, st->lay.size, 1, e);
}

int
download_verify(struct download_state *st, struct s3 *s, struct err *e)
{
	struct download *d = st->d;
	int same;

	d->proof = DOWNLOAD_NO_MD5;
	if (st->kind.check == CHECK_WHOLE && same_on_the_way(st))
		d->proof = DOWNLOAD_MD5;
	if (st->kind.check == CHECK_PARTS) {
		if ((same = same_parts(st, s, e)) < 0)
			return -1;
		d->proof = same ? DOWNLOAD_PARTS_MD5 : DOWNLOAD_NO_PART_SIZE;
	}
	/* What another run brought, perhaps before a power cut, counts only with proof. */
	if (d->proof >= DOWNLOAD_MD5 || (!d->resumed && (st->kind.check == CHECK_NOTHING ||
	    (st->kind.check == CHECK_PARTS && !st->kind.by_number && st->kind.etag.parts > 1))))
		return 0;
	return fail(e, ERR_CORRUPT, "%s sent other bytes than the ETag says (%s)", s->store->cfg->host, d->object.etag);
}
