#pragma once
/* Into which ranges an object is cut. Pure. For the download*.c files only. */
#include <stdint.h>

enum { DOWNLOAD_RANGES_MAX = 20000 };

/* A lane is what one MD5 covers, the object or one of its parts; a range is what one request fetches: some whole lanes,
   or a piece of one. */
struct download_layout {
	uint64_t size, lane, range;
	unsigned nlanes, nranges;
	unsigned per_lane;       /* ranges in a lane (the last may be short or empty), or 1 */
	unsigned lanes_per;      /* lanes in a range (the last may have fewer), or 1 */
};

/* As an earlier run or download_layout_choose has it: 0; -1 when these do not fit together. parts 0: one lane of all. */
int download_layout_set(struct download_layout *l, uint64_t size, unsigned parts, uint64_t lane, uint64_t range);

/* Ranges of about want bytes that keep this many workers busy. part is the size of the object's parts. */
struct download_wish {
	uint64_t size;
	unsigned parts;          /* 0: no parts */
	uint64_t part;
	uint64_t want;
	unsigned workers;
};
int download_layout_choose(struct download_layout *l, const struct download_wish *w);

/* Where range number i begins; returns its length, 0 for none. */
uint64_t download_layout_range(const struct download_layout *l, unsigned i, uint64_t *from);

/* The number of the range that is asked for as the n-th: lanes take turns, so that they grow together and can be hashed side by side. */
unsigned download_layout_nth(const struct download_layout *l, unsigned n);
