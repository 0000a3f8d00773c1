#include "download_etag.h"
#include "download_layout.h"

enum { ALIGN = 64 * 1024 };

int
download_layout_set(struct download_layout *l, uint64_t size, unsigned parts, uint64_t lane, uint64_t range)
{
	uint64_t n;

	*l = (struct download_layout){.size = size, .lane = lane, .range = range, .nlanes = parts ? parts : 1,
		.per_lane = 1, .lanes_per = 1};
	if (!range || !lane || !download_parts_fit(size, l->nlanes, lane) || (range > lane && range % lane))
		return -1;
	/* Nothing beyond the object, so that no sum of these overflows. */
	if (l->nlanes == 1 && lane != (size ? size : 1))
		return -1;
	n = range < lane ? (lane - 1) / range + 1 : range / lane;
	if (n > DOWNLOAD_RANGES_MAX)
		return -1;
	*(range < lane ? &l->per_lane : &l->lanes_per) = (unsigned)n;
	n = (uint64_t)l->nlanes * l->per_lane;
	n = (n - 1) / l->lanes_per + 1;
	l->nranges = (unsigned)n;
	return n > DOWNLOAD_RANGES_MAX ? -1 : 0;
}

static uint64_t
choose_range(const struct download_wish *w, uint64_t lane)
{
	uint64_t most = DOWNLOAD_RANGES_MAX / (w->parts ? w->parts : 1), least = ((lane - 1) / most / ALIGN + 1) * ALIGN;

	if (lane <= w->want)
		return w->parts ? lane * (w->want / lane < w->parts ? w->want / lane : w->parts) : lane;
	/* Whole parts are hashed while they arrive; too few of them leave workers idle. */
	if (w->parts && (lane < 2 * w->want || w->parts >= 2 * w->workers))
		return lane;
	return w->want > least ? w->want : least;
}

int
download_layout_choose(struct download_layout *l, const struct download_wish *w)
{
	uint64_t lane = w->parts ? w->part : w->size ? w->size : 1;

	return download_layout_set(l, w->size, w->parts, lane, choose_range(w, lane));
}

uint64_t
download_layout_range(const struct download_layout *l, unsigned i, uint64_t *from)
{
	uint64_t end, lane_end = l->size;

	*from = i * l->range;
	if (l->per_lane > 1) {
		*from = i / l->per_lane * l->lane + i % l->per_lane * l->range;
		lane_end = (i / l->per_lane + 1) * l->lane;
	}
	end = *from + l->range < lane_end ? *from + l->range : lane_end;
	if (end > l->size)
		end = l->size;
	return *from < end ? end - *from : 0;
}

unsigned
download_layout_nth(const struct download_layout *l, unsigned n)
{
	return l->per_lane > 1 ? n % l->nlanes * l->per_lane + n / l->nlanes : n;
}
