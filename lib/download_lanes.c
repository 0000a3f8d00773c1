#include "download_state.h"

enum {
	PIECE = DOWNLOAD_ROOM / HASH_MD5_MANY,   /* bytes of each lane hashed at once */
	TURN = 1024 * 1024,           /* then it is looked which lanes are furthest behind now, so that all end together */
	WORTH = 256 * 1024,           /* fewer are left to become more */
	LAG_MAX = 32 * 1024 * 1024,   /* more are not left, lest the page cache drop them */
};

static uint64_t
progress(const struct download_state *st, unsigned range)
{
	return __atomic_load_n(&st->progress[range], __ATOMIC_ACQUIRE);
}

static uint64_t
lane_length(const struct download_layout *l, unsigned lane)
{
	uint64_t rest = l->size - lane * l->lane;

	return rest < l->lane ? rest : l->lane;
}

/* Bytes from the lane's beginning that are in the file without a gap. */
static uint64_t
available(const struct download_state *st, unsigned lane)
{
	const struct download_layout *l = &st->lay;
	uint64_t len, from, begin = (uint64_t)(lane % l->lanes_per) * l->lane, there;
	unsigned i = lane / l->lanes_per * l->per_lane, r;

	if (l->lanes_per > 1) {
		there = progress(st, i);
		return there < begin ? 0 : there - begin < l->lane ? there - begin : l->lane;
	}
	r = (unsigned)(st->lanes[lane].hashed / l->range);
	for (there = 0; r < l->per_lane; r++) {
		len = download_layout_range(l, i + r, &from);
		there = r * l->range + progress(st, i + r);
		if (there < r * l->range + len)
			break;
	}
	return there < lane_length(l, lane) ? there : lane_length(l, lane);
}

/* Some lanes, and how many bytes of each are to be hashed now. */
struct group {
	unsigned n;
	unsigned lane[HASH_MD5_MANY];
	uint64_t bytes;
};

static uint64_t
waiting(const struct download_state *st, unsigned lane)
{
	uint64_t there = available(st, lane);

	/* Only whole blocks, but for the lane's end. */
	if (there < lane_length(&st->lay, lane))
		there = there / PIECE * PIECE;
	return there < st->lanes[lane].hashed ? 0 : there - st->lanes[lane].hashed;
}

/* A place for a lane with so much to hash: a free one, or that of the lane with the least, if that has less; or none. */
static unsigned
place(const struct group *g, const uint64_t bytes[HASH_MD5_MANY], uint64_t n)
{
	unsigned least = 0;

	if (g->n < HASH_MD5_MANY)
		return g->n;
	for (unsigned k = 1; k < HASH_MD5_MANY; k++)
		if (bytes[k] < bytes[least])
			least = k;
	return bytes[least] < n ? least : HASH_MD5_MANY;
}

/* With the lock held: the lanes that are furthest behind, of those with at least so much to hash. 1 when it is worth while: there are as
   many as can be, or some has very much. */
static int
collect(struct download_state *st, struct group *g, uint64_t least)
{
	const struct download_layout *l = &st->lay;
	unsigned last = l->per_lane > 1 ? l->nlanes : st->next * l->lanes_per, k, open;
	uint64_t bytes[HASH_MD5_MANY], n;
	int lags = 0;

	*g = (struct group){.bytes = TURN};
	while (st->first < l->nlanes && !st->lanes[st->first].busy && st->lanes[st->first].hashed == lane_length(l, st->first))
		st->first++;
	open = l->nlanes - st->first;
	for (unsigned i = st->first; i <= last && i < l->nlanes; i++) {
		/* How far a busy one has come, only who hashes it may look. */
		if (st->lanes[i].busy)
			continue;
		open -= st->lanes[i].hashed == lane_length(l, i);
		n = waiting(st, i);
		/* What ends within a block goes alone. */
		if (n < least || (g->n && n < 64))
			continue;
		if (g->n == 1 && bytes[0] < 64)
			g->n = 0;
		lags |= n >= LAG_MAX;
		if ((k = place(g, bytes, n)) == HASH_MD5_MANY)
			continue;
		g->n += k == g->n;
		g->lane[k] = i;
		bytes[k] = n;
	}
	for (k = 0; k < g->n; k++)
		g->bytes = bytes[k] < g->bytes ? bytes[k] : g->bytes;
	if (g->bytes >= 64)
		g->bytes = g->bytes / 64 * 64;
	return lags || g->n == HASH_MD5_MANY || g->n == open;
}

static int
hash_pieces(struct download_state *st, const struct group *g, size_t n, char *room, struct err *e)
{
	struct hash_md5 *md5[HASH_MD5_MANY];
	const void *p[HASH_MD5_MANY];

	for (unsigned k = 0; k < g->n; k++) {
		struct download_lane *l = &st->lanes[g->lane[k]];

		p[k] = room + k * PIECE;
		if (download_read(st->dest.fd, room + k * PIECE, n, g->lane[k] * st->lay.lane + l->hashed, e) < 0)
			return -1;
		l->hashed += n;
		md5[k] = &l->md5;
	}
	hash_md5_update_many(md5, p, n, g->n);
	return 0;
}

/* With the lock held, which is left meanwhile. */
static int
hash_group(struct download_state *st, struct group *g, char *room, struct err *e)
{
	int rc = 0;

	for (unsigned k = 0; k < g->n; k++)
		st->lanes[g->lane[k]].busy = 1;
	pthread_mutex_unlock(&st->lock);
	while (rc == 0 && g->bytes) {
		size_t n = g->bytes < PIECE ? (size_t)g->bytes : PIECE;

		rc = hash_pieces(st, g, n, room, e);
		g->bytes -= n;
	}
	pthread_mutex_lock(&st->lock);
	for (unsigned k = 0; k < g->n; k++)
		st->lanes[g->lane[k]].busy = 0;
	return rc;
}

/* One turn: the connection of who hashes must not wait, else the lane it brings is what everybody waits for at the end. */
int
download_lanes_some(struct download_state *st, char *room, struct err *e)
{
	struct group g;
	int rc = 0;

	if (!st->lanes)
		return 0;
	pthread_mutex_lock(&st->lock);
	if (collect(st, &g, WORTH) && g.n)
		rc = hash_group(st, &g, room, e) < 0 ? -1 : 1;
	pthread_mutex_unlock(&st->lock);
	return rc;
}

int
download_lanes_rest(struct download_state *st, char *room, struct err *e)
{
	struct group g;
	int rc = 0;

	if (!st->lanes)
		return 0;
	pthread_mutex_lock(&st->lock);
	while (rc == 0 && (collect(st, &g, 1), g.n))
		rc = hash_group(st, &g, room, e);
	pthread_mutex_unlock(&st->lock);
	return rc;
}
