#pragma once
/* What an ETag says of an object's bytes: their MD5, or the MD5 of the parts' MD5s. Pure. For the download*.c files only. */
#include <stddef.h>
#include <stdint.h>
#include "hash.h"

struct download_etag {
	unsigned char md5[HASH_MD5_LEN];
	unsigned parts;           /* 0: the MD5 is that of the whole; else "…-parts" */
};

/* 1 when it says something, 0 when it has another form. */
int download_etag_parse(struct download_etag *x, const char *etag);

/* The part sizes that an object of this many parts may have been made with, likely ones first; how many. */
enum { DOWNLOAD_SIZES_MAX = 40 };
unsigned download_part_sizes(uint64_t size, unsigned parts, uint64_t sizes[DOWNLOAD_SIZES_MAX]);

/* 1 when parts of this size make that many. */
int download_parts_fit(uint64_t size, unsigned parts, uint64_t part);

/* Bytes in order → digests of the parts, and of those. */
struct download_sum {
	uint64_t part, left;              /* a part's size, and what the current one still lacks */
	unsigned ended;                   /* parts so far */
	struct hash_md5 inner, outer;
};
/* part 0: no parts, but one MD5 of all. */
void download_sum_init(struct download_sum *s, uint64_t part);
void download_sum_update(struct download_sum *s, const void *p, size_t n);
/* After the last byte: ends the part that is shorter than the others. Not with part 0. */
void download_sum_end(struct download_sum *s);
/* After the last byte and download_sum_end: 1 when the digest is the ETag's. */
int download_sum_is(const struct download_sum *s, const struct download_etag *x);
