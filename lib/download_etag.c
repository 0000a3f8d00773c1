#include <string.h>
#include "download_etag.h"
#include "enc.h"
#include "s3.h"

#define MIB (1024 * 1024ULL)

int
download_etag_parse(struct download_etag *x, const char *etag)
{
	const char *n = etag + 2 * HASH_MD5_LEN + 1;
	int parts;
	char hex[2 * HASH_MD5_LEN + 1];
	size_t len = strlen(etag);

	*x = (struct download_etag){0};
	if (len < 2 * HASH_MD5_LEN)
		return 0;
	memcpy(hex, etag, sizeof hex - 1);
	hex[sizeof hex - 1] = '\0';
	if (enc_unhex(hex, x->md5, sizeof x->md5) < 0)
		return 0;
	if (len == sizeof hex - 1)
		return 1;
	if (n[-1] != '-' || *n == '0' || (parts = enc_number(n, strlen(n), S3_PARTS_MAX)) < 0)
		return 0;
	x->parts = (unsigned)parts;
	return 1;
}

int
download_parts_fit(uint64_t size, unsigned parts, uint64_t part)
{
	return part && (size ? (size - 1) / part + 1 : 1) == parts;
}

/* Another size, if it is possible and not among the n yet: how many there are then. */
static unsigned
add_size(uint64_t *sizes, unsigned n, uint64_t size, unsigned parts, uint64_t part)
{
	for (unsigned i = 0; i < n; i++)
		if (sizes[i] == part)
			return n;
	if (n < DOWNLOAD_SIZES_MAX && download_parts_fit(size, parts, part))
		sizes[n++] = part;
	return n;
}

/* The defaults of r2, aws and boto, rclone, mc, s5cmd and others, all in MiB or MB. */
unsigned
download_part_sizes(uint64_t size, unsigned parts, uint64_t sizes[DOWNLOAD_SIZES_MAX])
{
	static const unsigned short usual[] = {50, 8, 5, 16, 64, 10, 15, 20, 25, 32, 100, 128, 256, 512, 1024};
	uint64_t even = size ? (size - 1) / parts + 1 : 1;
	unsigned n = 0;

	if (parts == 1)
		return add_size(sizes, 0, size, parts, even);
	for (unsigned unit = 0; unit < 2; unit++)
		for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
			n = add_size(sizes, n, size, parts, usual[i] * (unit ? 1000000 : MIB));
	/* A part size that grew until the parts were few enough; then the smallest that is possible. */
	n = add_size(sizes, n, size, parts, (even + MIB - 1) / MIB * MIB);
	return add_size(sizes, n, size, parts, even);
}

void
download_sum_init(struct download_sum *s, uint64_t part)
{
	*s = (struct download_sum){.part = part, .left = part};
	hash_md5_init(&s->inner);
	hash_md5_init(&s->outer);
}

static void
end_part(struct download_sum *s)
{
	unsigned char md5[HASH_MD5_LEN];

	hash_md5_out(&s->inner, md5);
	hash_md5_update(&s->outer, md5, sizeof md5);
	hash_md5_init(&s->inner);
	s->left = s->part;
	s->ended++;
}

void
download_sum_update(struct download_sum *s, const void *p, size_t n)
{
	const unsigned char *q = p;

	while (s->part && n >= s->left) {
		size_t last = (size_t)s->left;

		hash_md5_update(&s->inner, q, last);
		q += last;
		n -= last;
		end_part(s);
	}
	hash_md5_update(&s->inner, q, n);
	s->left -= n;
}

void
download_sum_end(struct download_sum *s)
{
	/* Nothing at all is one empty part. */
	if (s->part && (s->left < s->part || !s->ended))
		end_part(s);
}

int
download_sum_is(const struct download_sum *s, const struct download_etag *x)
{
	unsigned char md5[HASH_MD5_LEN];

	hash_md5_out(x->parts ? &s->outer : &s->inner, md5);
	return !memcmp(md5, x->md5, sizeof md5);
}
