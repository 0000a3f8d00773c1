#include "download_state.h"

enum {
	PIECE = DOWNLOAD_ROOM / HASH_MD5_MANY,   /* bytes of each lane hashed at once */
	TURN = 1024 * 1024,           /* then it is looked which lanes are furthest behind now, so that all end together */
	WORTH = 256 * 1024,           /* fewer are left to become more */
	LAG_MAX = 32 * 1024 * 1024,   /* more are not left, lest the page cache drop them */
	BLOCK = 64,                   /* MD5's */
};

/* All downloads of the process that have lanes: several lanes are hashed in little more time than one, whosever they are. */
static struct {
	pthread_mutex_t lock;         /* for this and for all lanes' fields but md5, which is of who made the lane busy */
	pthread_cond_t left;          /* lanes are no longer busy */
	struct download_state *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = PTHREAD_COND_INITIALIZER};

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

static int
is_hashed(const struct download_state *st, unsigned lane)
{
	return !st->lanes[lane].busy && st->lanes[lane].hashed == lane_length(&st->lay, lane);
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

static uint64_t
waiting(const struct download_state *st, unsigned lane)
{
	uint64_t there = available(st, lane);

	/* Only whole blocks, but for the lane's end. */
	if (there < lane_length(&st->lay, lane))
		there = there / PIECE * PIECE;
	return there < st->lanes[lane].hashed ? 0 : there - st->lanes[lane].hashed;
}

/* Lanes that are to be hashed side by side, and how many bytes of each. */
struct group {
	unsigned n;
	struct {
		struct download_state *st;
		unsigned lane;
		uint64_t bytes;       /* that wait */
	} of[HASH_MD5_MANY];
	uint64_t bytes;
	unsigned open;                /* lanes that are not wholly hashed, in the group or not */
	int lags;                     /* some lane has very much */
};

/* The lane gets a free place, or that of the lane with the least, if that has less; the first `kept` places are not given away. */
static void
offer(struct group *g, unsigned kept, struct download_state *st, unsigned lane, uint64_t n)
{
	unsigned k = g->n;

	if (k == HASH_MD5_MANY) {
		if (kept == HASH_MD5_MANY)
			return;
		k = kept;
		for (unsigned i = k + 1; i < HASH_MD5_MANY; i++)
			if (g->of[i].bytes < g->of[k].bytes)
				k = i;
		if (g->of[k].bytes >= n)
			return;
	}
	g->n += k == g->n;
	g->of[k].st = st;
	g->of[k].lane = lane;
	g->of[k].bytes = n;
}

/* With the lock held: those of a download's lanes that are furthest behind, of those with at least so much to hash. */
static void
collect_of(struct group *g, struct download_state *st, uint64_t least)
{
	const struct download_layout *l = &st->lay;
	unsigned last = l->per_lane > 1 ? l->nlanes : __atomic_load_n(&st->next, __ATOMIC_RELAXED) * l->lanes_per, kept = g->n;
	uint64_t n;

	while (st->hashed < l->nlanes && is_hashed(st, st->hashed))
		st->hashed++;
	g->open += l->nlanes - st->hashed;
	for (unsigned i = st->hashed; i <= last && i < l->nlanes; i++) {
		/* How far a busy one has come, only who hashes it may look. */
		if (st->lanes[i].busy)
			continue;
		g->open -= is_hashed(st, i) ? 1 : 0;
		n = waiting(st, i);
		/* What ends within a block goes alone. */
		if (n < least || (g->n && n < BLOCK))
			continue;
		if (g->n == 1 && g->of[0].bytes < BLOCK)
			g->n = 0;
		g->lags |= n >= LAG_MAX;
		offer(g, kept, st, i, n);
	}
}

/* With the lock held: lanes of st with at least so much to hash, and others' beside them. 1 when there are some and it is worth while: they are
   as many as can be, or some has very much. */
static int
collect(struct group *g, struct download_state *st, uint64_t least)
{
	*g = (struct group){.bytes = TURN};
	collect_of(g, st, least);
	if (!g->n)
		return 0;
	if (g->n > 1 || g->of[0].bytes >= BLOCK)
		for (struct download_state *x = all.first; x; x = x->beside)
			if (x != st)
				collect_of(g, x, WORTH);
	for (unsigned k = 0; k < g->n; k++)
		g->bytes = g->of[k].bytes < g->bytes ? g->of[k].bytes : g->bytes;
	if (g->bytes >= BLOCK)
		g->bytes = g->bytes / BLOCK * BLOCK;
	return g->lags || g->n == HASH_MD5_MANY || g->n == g->open;
}

/* Of a lane that cannot be read, its own download is told; the others go on. */
static void
hash_pieces(const struct group *g, size_t n, char *room)
{
	struct hash_md5 *md5[HASH_MD5_MANY];
	const void *p[HASH_MD5_MANY];
	struct err e;

	for (unsigned k = 0; k < g->n; k++) {
		struct download_state *st = g->of[k].st;
		struct download_lane *l = &st->lanes[g->of[k].lane];

		p[k] = room + k * PIECE;
		if (download_read(st->dest.fd, room + k * PIECE, n, g->of[k].lane * st->lay.lane + l->hashed, &e) < 0)
			err_keep(&st->fault, &e);
		l->hashed += n;
		md5[k] = &l->md5;
	}
	hash_md5_update_many(md5, p, n, g->n);
}

/* With the lock held, which is left meanwhile. */
static void
hash_group(struct group *g, char *room)
{
	for (unsigned k = 0; k < g->n; k++)
		g->of[k].st->lanes[g->of[k].lane].busy = 1;
	pthread_mutex_unlock(&all.lock);
	while (g->bytes) {
		size_t n = g->bytes < PIECE ? (size_t)g->bytes : PIECE;

		hash_pieces(g, n, room);
		g->bytes -= n;
	}
	pthread_mutex_lock(&all.lock);
	for (unsigned k = 0; k < g->n; k++)
		g->of[k].st->lanes[g->of[k].lane].busy = 0;
	pthread_cond_broadcast(&all.left);
}

/* With the lock held. */
static int
some_busy(const struct download_state *st)
{
	for (unsigned i = st->hashed; i < st->lay.nlanes; i++)
		if (st->lanes[i].busy)
			return 1;
	return 0;
}

/* One turn: the connection of who hashes must not wait, else the lane it brings is what everybody waits for at the end. */
int
download_lanes_some(struct download_state *st, char *room)
{
	struct group g;
	int some;

	if (!st->lanes)
		return 0;
	pthread_mutex_lock(&all.lock);
	some = collect(&g, st, WORTH);
	if (some)
		hash_group(&g, room);
	pthread_mutex_unlock(&all.lock);
	return some;
}

void
download_lanes_rest(struct download_state *st, char *room)
{
	struct group g;

	if (!st->lanes)
		return;
	pthread_mutex_lock(&all.lock);
	for (;;) {
		collect(&g, st, 1);
		if (err_kept(&st->fault) || (!g.n && !some_busy(st)))
			break;
		if (g.n)
			hash_group(&g, room);
		else
			pthread_cond_wait(&all.left, &all.lock);
	}
	pthread_mutex_unlock(&all.lock);
}

/* A lane's bytes, just after those that are hashed already. */
static void
hash_here(struct download_lane *l, const void *p, size_t n)
{
	l->busy = 1;
	pthread_mutex_unlock(&all.lock);
	hash_md5_update(&l->md5, p, n);
	pthread_mutex_lock(&all.lock);
	l->hashed += n;
	l->busy = 0;
	pthread_cond_broadcast(&all.left);
}

void
download_lanes_arrived(struct download_state *st, const char *p, size_t n, uint64_t off)
{
	uint64_t length, at;
	size_t some;

	if (!st->lanes)
		return;
	pthread_mutex_lock(&all.lock);
	/* What is left can be hashed beside others'; of little that is not worth while. */
	for (; n && (st->lay.size < WORTH || (all.first == st && !st->beside)); p += some, n -= some, off += some) {
		struct download_lane *l = &st->lanes[off / st->lay.lane];

		length = lane_length(&st->lay, (unsigned)(off / st->lay.lane));
		at = off % st->lay.lane;
		some = n < length - at ? n : (size_t)(length - at);
		/* Only whole blocks, but for the lane's end: else no others could be hashed beside the rest. */
		if (at + some < length)
			some = some / BLOCK * BLOCK;
		if (l->busy || l->hashed != at || !some)
			break;
		hash_here(l, p, some);
	}
	pthread_mutex_unlock(&all.lock);
}

void
download_lanes_join(struct download_state *st)
{
	if (!st->lanes)
		return;
	pthread_mutex_lock(&all.lock);
	st->beside = all.first;
	all.first = st;
	pthread_mutex_unlock(&all.lock);
}

void
download_lanes_leave(struct download_state *st)
{
	struct download_state **link = &all.first;

	if (!st->lanes)
		return;
	pthread_mutex_lock(&all.lock);
	while (*link && *link != st)
		link = &(*link)->beside;
	if (*link)
		*link = st->beside;
	while (some_busy(st))
		pthread_cond_wait(&all.left, &all.lock);
	pthread_mutex_unlock(&all.lock);
}
