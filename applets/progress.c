#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "buf.h"
#include "clock.h"
#include "progress.h"

enum {
	WIDTH_DEFAULT = 80,
	BAR_MIN = 10,          /* columns of a bar that is worth its place */
	BAR_FRAME = 3,         /* and its ends, and a blank */
	PIECE_CAP = 64,
};

/* 0–100, rounded down: 100 is said when all is there. Without bytes to count, empty files are. */
static int
percent(const struct progress_counts *c)
{
	uint64_t done = c->bytes_total ? c->bytes : c->files, total = c->bytes_total ? c->bytes_total : c->files_total;

	if (done >= total)
		return 100;
	for (; total > UINT64_MAX / 100; total >>= 1)
		done >>= 1;
	done = done * 100 / total;
	return done < 99 ? (int)done : 99;
}

/* Is there anything that the bytes done can be held against? Standard input, for one, has no size. */
static int
can_say_part(const struct progress_counts *c)
{
	return c->bytes_total || (!c->bytes && c->files_total);
}

/* At most nine columns: "999 B", "1.0 KiB" to "999.9 KiB", and so on. */
static void
put_size(struct buf *b, uint64_t n)
{
	static const char units[] = "KMGTPE";
	uint64_t tenths = n > UINT64_MAX / 10 ? n / 1024 * 10 : n * 10 / 1024;
	int i = 0;

	if (n < 1000) {
		buf_fmt(b, "%u B", (unsigned)n);
		return;
	}
	for (; tenths >= 10000; i++)
		tenths /= 1024;
	if (tenths < 10)
		tenths = 10;   /* 1,000 to 1,023 bytes */
	buf_fmt(b, "%u.%u %ciB", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[i]);
}

static void
put_left(struct buf *b, const struct progress_counts *c)
{
	uint64_t left = c->bytes < c->bytes_total ? c->bytes_total - c->bytes : 0, s;
	unsigned m;

	if (!c->rate || !c->bytes_total) {
		buf_str(b, "--:--");
		return;
	}
	s = left / c->rate + (left % c->rate != 0);
	m = s < 360000 ? (unsigned)(s / 60) : 0;
	if (s < 3600)
		buf_fmt(b, "%u:%02u", m, (unsigned)(s % 60));
	else if (s < 360000)
		buf_fmt(b, "%u:%02u:%02u", m / 60, m % 60, (unsigned)(s % 60));
	else if (s < 1000ull * 86400)
		buf_fmt(b, "%u days", (unsigned)(s / 86400));
	else
		buf_str(b, "years");
}

/* Pieces have a least width each, so that the line does not jump when a number gets longer. */
enum piece { PERCENT, BYTES, RATE, LEFT, FILES, PIECES };

static void
pad(struct buf *b, size_t width, const char *text)
{
	for (size_t n = strlen(text); n < width; n++)
		buf_char(b, ' ');
	buf_str(b, text);
}

static void
put_piece(struct buf *b, enum piece piece, const struct progress_counts *c)
{
	char text[PIECE_CAP];
	struct buf t = BUF(text);

	switch (piece) {
	case PERCENT:
		buf_fmt(b, "%3d%%", percent(c));
		break;
	case BYTES:
		put_size(&t, c->bytes);
		pad(b, 9, text);
		if (c->bytes_total) {
			buf_char(b, '/');
			put_size(b, c->bytes_total);
		}
		break;
	case RATE:
		put_size(&t, c->rate);
		pad(b, 9, text);
		buf_str(b, "/s");
		break;
	case LEFT:
		put_left(&t, c);
		pad(b, 5, text);
		buf_str(b, " left");
		break;
	default:
		buf_fmt(&t, "%llu", (unsigned long long)c->files_total);
		buf_fmt(b, "%*llu/%s files", (int)t.len, (unsigned long long)c->files, text);
	}
}

static int
applies(enum piece piece, const struct progress_counts *c)
{
	switch (piece) {
	case PERCENT: return can_say_part(c);
	case LEFT: return c->bytes_total != 0;
	case FILES: return c->files_total > 1;
	default: return 1;
	}
}

/* "[=====>    ] " in so many columns. */
static void
put_bar(struct buf *b, size_t columns, int part)
{
	size_t inner = columns - BAR_FRAME, full = inner * (size_t)part / 100;

	buf_char(b, '[');
	for (size_t i = 0; i < inner; i++)
		buf_char(b, i < full ? '=' : i == full ? '>' : ' ');
	buf_str(b, "] ");
}

size_t
progress_format(char *out, const struct progress_counts *c, int width)
{
	char pieces[PROGRESS_WIDTH_MAX + 1], piece[PIECE_CAP];
	struct buf all = BUF(pieces), line = buf_over(out, PROGRESS_WIDTH_MAX + 1);
	size_t room = width < 1 ? 0 : (size_t)(width > PROGRESS_WIDTH_MAX ? PROGRESS_WIDTH_MAX : width) - 1;

	for (int i = 0; i < PIECES; i++) {
		struct buf b = BUF(piece);

		if (!applies((enum piece)i, c))
			continue;
		put_piece(&b, (enum piece)i, c);
		if ((all.len ? all.len + 2 : 0) + b.len > room)
			break;
		buf_str(&all, all.len ? "  " : "");
		buf_str(&all, piece);
	}
	if (can_say_part(c) && room >= all.len + BAR_FRAME + BAR_MIN)
		put_bar(&line, room - all.len, percent(c));
	buf_str(&line, pieces);
	return line.len;
}

uint64_t
progress_rate(struct progress_rate *r, int64_t ms, uint64_t bytes)
{
	unsigned have = r->n < PROGRESS_SAMPLES ? r->n : PROGRESS_SAMPLES, from = r->n;
	uint64_t took, n;

	/* After a pause longer than the window the last sample before it still tells how long it was. */
	while (have && (from == r->n || ms - r->at[(from - 1) % PROGRESS_SAMPLES].ms <= PROGRESS_WINDOW_MS)) {
		from--;
		have--;
	}
	took = from == r->n ? 0 : (uint64_t)(ms - r->at[from % PROGRESS_SAMPLES].ms);
	n = took ? bytes - r->at[from % PROGRESS_SAMPLES].bytes : 0;
	r->at[r->n % PROGRESS_SAMPLES].ms = ms;
	r->at[r->n++ % PROGRESS_SAMPLES].bytes = bytes;
	if (!took)
		return 0;
	return n > UINT64_MAX / 1000 ? n / took * 1000 : n * 1000 / took;
}

static int
terminal_width(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : WIDTH_DEFAULT;
}

/* In place of the line that stands there: text, and blanks over what it does not cover. One write, so that nothing comes
   between; what the terminal does not take is not worth a word. */
static void
show(struct progress *p, const char *text, size_t n)
{
	char line[2 * PROGRESS_WIDTH_MAX + 8];
	struct buf b = BUF(line);
	ssize_t ignored;

	buf_char(&b, '\r');
	buf_put(&b, text, n);
	for (size_t i = n; i < p->shown; i++)
		buf_char(&b, ' ');
	if (n < p->shown) {
		buf_char(&b, '\r');
		buf_put(&b, text, n);
	}
	ignored = n || p->shown ? write(STDERR_FILENO, line, b.len) : 0;
	(void)ignored;
	p->shown = n;
}

static void
draw(struct progress *p, int64_t now)
{
	char text[PROGRESS_WIDTH_MAX + 1];
	uint64_t moved = p->moved;
	int64_t done = (int64_t)moved + p->elsewhere;
	struct progress_counts c = {
		.bytes = done < 0 ? 0 : (uint64_t)done,
		.bytes_total = p->bytes_total,
		.files = p->files,
		.files_total = p->files_total,
		.rate = progress_rate(&p->rate, now, moved),
	};

	p->drawn_ms = now;
	show(p, text, progress_format(text, &c, terminal_width()));
}

static int
is_due(struct progress *p, int64_t now)
{
	return now - p->drawn_ms >= PROGRESS_EVERY_MS;
}

static void
draw_when_due(struct progress *p)
{
	int64_t now = clock_ms();

	if (!is_due(p, now) || pthread_mutex_trylock(&p->lock) != 0)
		return;
	if (p->active && is_due(p, now))
		draw(p, now);
	pthread_mutex_unlock(&p->lock);
}

void
progress_start(struct progress *p, enum progress_mode mode)
{
	*p = (struct progress){.lock = PTHREAD_MUTEX_INITIALIZER};
	p->drawn_ms = clock_ms();   /* what is done at once needs no line */
	progress_rate(&p->rate, p->drawn_ms, 0);
	p->active = mode == PROGRESS_ALWAYS || (mode == PROGRESS_AUTO && isatty(STDERR_FILENO));
}

void
progress_stop(struct progress *p)
{
	if (!p->active)
		return;
	pthread_mutex_lock(&p->lock);
	show(p, "", 0);
	p->active = 0;
	pthread_mutex_unlock(&p->lock);
}

void
progress_total(struct progress *p, uint64_t bytes, uint64_t files)
{
	if (!p->active)
		return;
	p->bytes_total += bytes;
	p->files_total += files;
	draw_when_due(p);
}

void
progress_moved(void *progress, size_t n)
{
	struct progress *p = progress;

	if (!p->active)
		return;
	p->moved += n;
	draw_when_due(p);
}

void
progress_adjust(struct progress *p, int64_t n)
{
	if (p->active)
		p->elsewhere += n;
}

void
progress_file_done(struct progress *p)
{
	if (!p->active)
		return;
	p->files++;
	draw_when_due(p);
}

void
progress_clear(void *progress)
{
	struct progress *p = progress;

	if (!p->active)
		return;
	pthread_mutex_lock(&p->lock);
	show(p, "", 0);
	/* Stopped meanwhile: then progress_redraw will not unlock. */
	if (!p->active)
		pthread_mutex_unlock(&p->lock);
}

void
progress_redraw(void *progress)
{
	struct progress *p = progress;
	int64_t now;

	if (!p->active)
		return;
	now = clock_ms();
	if (is_due(p, now))
		draw(p, now);
	pthread_mutex_unlock(&p->lock);
}
