/* Includes the applet's part to give it a clock and a terminal of its own. */
#include <fcntl.h>
#include <pty.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "test.h"

static int64_t test_ms = 1000;

static int screen_fd = -1;

#include "clock.h"
#define clock_ms() test_ms
#undef STDERR_FILENO
#define STDERR_FILENO screen_fd
#include "../applets/progress.c"

static const char *
line(int width, const struct progress_counts *c)
{
	static char out[PROGRESS_WIDTH_MAX + 1];
	size_t n = progress_format(out, c, width);

	check_int(n, strlen(out));
	return out;
}

#define GIB (1024ull * 1024 * 1024)

static void
test_pieces(void)
{
	struct progress_counts c = {GIB / 2, 2 * GIB, 3, 2000, 64 * 1024 * 1024};

	check_str(line(80, &c), "[==>        ]  25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left     3/2000 files");
	check_str(line(100, &c),
		"[=======>                       ]  25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left     3/2000 files");
	c.files_total = 1;
	check_str(line(80, &c), "[=======>                    ]  25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left");
	c.bytes = c.bytes_total;
	check_str(line(80, &c), "[============================] 100%    2.0 GiB/2.0 GiB   64.0 MiB/s   0:00 left");
}

/* What is there at each width: first the bar goes, then pieces from the end, never half of one. */
static void
test_narrow(void)
{
	struct progress_counts c = {GIB / 2, 2 * GIB, 3, 2000, 64 * 1024 * 1024};

	check_str(line(78, &c), " 25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left     3/2000 files");
	check_str(line(66, &c), " 25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left     3/2000 files");
	check_str(line(65, &c), "[===>         ]  25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left");
	check_str(line(49, &c), " 25%  512.0 MiB/2.0 GiB   64.0 MiB/s   0:24 left");
	check_str(line(48, &c), " 25%  512.0 MiB/2.0 GiB   64.0 MiB/s");
	check_str(line(30, &c), " 25%  512.0 MiB/2.0 GiB");
	check_str(line(20, &c), "[===>        ]  25%");
	check_str(line(10, &c), " 25%");
	check_str(line(5, &c), " 25%");
	check_str(line(4, &c), "");
}

/* No width overflows, and no line is shorter for a wider terminal. */
static void
test_widths(void)
{
	static const struct progress_counts rows[] = {
		{0, 0, 0, 0, 0},
		{1, 2, 0, 1, 1},
		{123456789, 0, 0, 1, 98765},
		{0, 0, 17, 40, 0},
		{5 * GIB, 7 * GIB, 99999, 100000, 12345678},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{UINT64_MAX - 1, UINT64_MAX, 1, UINT64_MAX, 1},
		{9 * GIB, 7 * GIB, 3, 2, 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (int w = -1; w <= 1000; w++) {
			const char *s = line(w, &rows[i]);
			size_t n = strlen(s);

			check(w < 1 ? n == 0 : n <= (size_t)w - 1 && n < PROGRESS_WIDTH_MAX);
			check(!n || s[n - 1] != ' ');
			check(strspn(s, " []=>%0123456789.:/abcdefghijklmnopqrstuvwxyzBKMGTPEi-") == n);
		}
	}
}

static void
test_unknown(void)
{
	struct progress_counts c = {.bytes = 1536};

	check_str(line(80, &c), "  1.5 KiB        0 B/s");
	c.rate = 2000;
	c.files_total = 1;
	check_str(line(80, &c), "  1.5 KiB    1.9 KiB/s");
	c.files_total = 12;
	c.files = 4;
	check_str(line(80, &c), "  1.5 KiB    1.9 KiB/s   4/12 files");
	/* Empty files only: they are what there is to count. */
	c.bytes = c.rate = 0;
	check_str(line(80, &c), "[===========>                       ]  33%        0 B        0 B/s   4/12 files");
	check_str(line(80, &(struct progress_counts){0}), "      0 B        0 B/s");
}

static const char *
size_text(uint64_t n)
{
	static char text[PIECE_CAP];
	struct buf b = BUF(text);

	put_size(&b, n);
	return text;
}

static void
test_sizes(void)
{
	static const struct { uint64_t n; const char *want; } rows[] = {
		{0, "0 B"}, {1, "1 B"}, {999, "999 B"}, {1000, "1.0 KiB"}, {1023, "1.0 KiB"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"},
		{10239, "9.9 KiB"}, {10240, "10.0 KiB"}, {1023999, "999.9 KiB"}, {1024000, "1.0 MiB"}, {1048576, "1.0 MiB"},
		{2569011, "2.4 MiB"}, {1099511627776, "1.0 TiB"}, {5497558138880, "5.0 TiB"}, {1ull << 50, "1.0 PiB"},
		{1ull << 60, "1.0 EiB"}, {UINT64_MAX / 10, "1.5 EiB"}, {UINT64_MAX / 10 + 1, "1.5 EiB"}, {UINT64_MAX, "15.9 EiB"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_str(size_text(rows[i].n), rows[i].want);
}

static const char *
left_text(uint64_t left, uint64_t rate)
{
	static char text[PIECE_CAP];
	struct buf b = BUF(text);

	put_left(&b, &(struct progress_counts){.bytes = 5, .bytes_total = 5 + left, .rate = rate});
	return text;
}

static void
test_left(void)
{
	check_str(left_text(100, 0), "--:--");
	check_str(left_text(0, 1), "0:00");
	check_str(left_text(1, 1000), "0:01");   /* rounded up: 0:00 is the end */
	check_str(left_text(59, 1), "0:59");
	check_str(left_text(60, 1), "1:00");
	check_str(left_text(3599, 1), "59:59");
	check_str(left_text(3600, 1), "1:00:00");
	check_str(left_text(359999, 1), "99:59:59");
	check_str(left_text(360000, 1), "4 days");
	check_str(left_text(86399999, 1), "999 days");
	check_str(left_text(86400000, 1), "years");
	check_str(left_text(UINT64_MAX - 5, 1), "years");
}

static void
test_percent(void)
{
	static const struct { struct progress_counts c; int want; } rows[] = {
		{{0, 0, 0, 0, 0}, 100}, {{0, 1, 0, 0, 0}, 0}, {{999, 1000, 0, 0, 0}, 99}, {{1000, 1000, 0, 0, 0}, 100},
		{{1001, 1000, 0, 0, 0}, 100}, {{0, 0, 1, 3, 0}, 33}, {{1, 3, 3, 3, 0}, 33}, {{1, UINT64_MAX, 0, 0, 0}, 0},
		{{UINT64_MAX / 2, UINT64_MAX, 0, 0, 0}, 49}, {{UINT64_MAX / 100, UINT64_MAX / 100 + 1, 0, 0, 0}, 99},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_int(percent(&rows[i].c), rows[i].want);
}

static void
test_rate(void)
{
	struct progress_rate r = {.n = 0};
	uint64_t bytes = 0;

	check_int(progress_rate(&r, 500, 0), 0);           /* no time has passed: no number */
	check_int(progress_rate(&r, 500, 1000), 0);
	check_int(progress_rate(&r, 700, 1000), 5000);
	r = (struct progress_rate){.n = 0};
	for (int64_t ms = 0; ms <= 60000; ms += 200, bytes += 200)
		progress_rate(&r, ms, bytes);
	check_int(progress_rate(&r, 60200, bytes), 1000);
	/* Ten times as fast: after the window's length nothing of the past is in it. */
	for (int64_t ms = 60400; ms <= 65200; ms += 200)
		progress_rate(&r, ms, bytes += 2000);
	check_int(progress_rate(&r, 65400, bytes += 2000), 10000);
	/* A stall: the rate sinks, and what comes then is held against the whole pause. */
	check_int(progress_rate(&r, 68000, bytes), 4800);
	check_int(progress_rate(&r, 90000, bytes), 0);
	check_int(progress_rate(&r, 110000, bytes + 20000), 1000);
	/* Numbers that times 1,000 would not fit. */
	r = (struct progress_rate){.n = 0};
	progress_rate(&r, 0, 0);
	check(progress_rate(&r, 2000, UINT64_MAX) == UINT64_MAX / 2000 * 1000);
	/* The counter of samples turning over. */
	r = (struct progress_rate){.n = 0};
	for (int64_t i = 0; i < 3 * PROGRESS_SAMPLES; i++)
		progress_rate(&r, i * 1000, (uint64_t)i * 7000);
	check_int(progress_rate(&r, 3000 * PROGRESS_SAMPLES, 21000 * PROGRESS_SAMPLES), 7000);
}

/* Standard error for the time of a test: a terminal of so many columns, or a pipe. */
struct screen {
	int ours;
	char text[65536];
};

static void
screen_open(struct screen *s, int columns)
{
	struct winsize w = {.ws_row = 24, .ws_col = (unsigned short)columns};
	int fds[2];

	check_int(columns ? openpty(&fds[0], &fds[1], NULL, NULL, &w) : pipe(fds), 0);
	screen_fd = fds[1];
	s->ours = fds[0];
	fcntl(s->ours, F_SETFL, O_NONBLOCK);
}

/* What has been written since the last call. */
static const char *
screen_read(struct screen *s)
{
	ssize_t n = read(s->ours, s->text, sizeof s->text - 1);

	s->text[n < 0 ? 0 : n] = '\0';
	return s->text;
}

static void
screen_close(struct screen *s)
{
	close(screen_fd);
	close(s->ours);
}

/* The one line of a terminal after these bytes: "\r" goes to its begin, all else overwrites. */
static const char *
seen(const char *bytes)
{
	static char row[1000];
	size_t at = 0, end;

	memset(row, ' ', sizeof row);
	for (; *bytes; bytes++) {
		if (*bytes == '\r')
			at = 0;
		else
			row[at++] = *bytes;
	}
	for (end = sizeof row - 1; end && row[end - 1] == ' '; end--)
		;
	row[end] = '\0';
	return row;
}

static void
test_terminal(void)
{
	static struct screen s;
	struct progress p;
	char all[4096] = "";

	screen_open(&s, 60);
	progress_start(&p, PROGRESS_AUTO);
	progress_total(&p, 4096, 2);
	progress_moved(&p, 1024);
	check_str(screen_read(&s), "");                  /* not before 200 ms have passed */
	test_ms += 200;
	progress_moved(&p, 1024);
	strcat(all, screen_read(&s));
	check_str(seen(all), " 50%    2.0 KiB/4.0 KiB   10.0 KiB/s   0:01 left  0/2 files");
	check(strlen(all) <= 60 && *all == '\r');
	test_ms += 199;
	progress_moved(&p, 1);
	progress_file_done(&p);
	check_str(screen_read(&s), "");
	test_ms += 1;
	progress_file_done(&p);
	strcat(all, screen_read(&s));
	check_str(seen(all), " 50%    2.0 KiB/4.0 KiB    5.0 KiB/s   0:01 left  2/2 files");

	/* A line of the log: ours goes, and is back when it is due. */
	progress_clear(&p);
	strcat(all, screen_read(&s));
	check_str(seen(all), "");
	check(all[strlen(all) - 1] == '\r');
	test_ms += 1000;
	progress_moved(&p, 1);                           /* by another thread it would be: nobody draws in between */
	check_str(screen_read(&s), "");
	progress_redraw(&p);
	strcat(all, screen_read(&s));
	check(strstr(seen(all), " 50%") != NULL);
	progress_clear(&p);
	progress_redraw(&p);                             /* drawn just now: not again */
	strcat(all, screen_read(&s));
	check_str(seen(all), "");
	test_ms += 200;
	progress_moved(&p, 0);
	strcat(all, screen_read(&s));
	check(strstr(seen(all), " 50%") != NULL);

	progress_stop(&p);
	strcat(all, screen_read(&s));
	check_str(seen(all), "");
	check(all[strlen(all) - 1] == '\r');
	test_ms += 1000;
	progress_moved(&p, 1);
	progress_total(&p, 1, 1);
	progress_file_done(&p);
	progress_clear(&p);
	progress_redraw(&p);
	progress_stop(&p);
	check_str(screen_read(&s), "");
	screen_close(&s);
}

/* A shorter line leaves nothing of the longer one; the width is asked each time. */
static void
test_shorter(void)
{
	static struct screen s;
	struct progress p;
	struct winsize w = {.ws_row = 24, .ws_col = 20};
	char all[4096] = "";

	screen_open(&s, 120);
	progress_start(&p, PROGRESS_ALWAYS);
	progress_total(&p, 1 << 20, 10);
	test_ms += 200;
	progress_moved(&p, 1 << 19);
	strcat(all, screen_read(&s));
	check_int(strlen(all), 120);
	check_int(ioctl(s.ours, TIOCSWINSZ, &w), 0);
	test_ms += 200;
	progress_moved(&p, 0);
	strcat(all, screen_read(&s));
	check_str(seen(all), "[======>     ]  50%");
	progress_stop(&p);
	screen_close(&s);
}

static void
test_adjusted(void)
{
	static struct screen s;
	struct progress p;

	screen_open(&s, 60);
	progress_start(&p, PROGRESS_AUTO);
	progress_total(&p, 4000, 1);
	progress_adjust(&p, 3000);                       /* there already: done, but no rate */
	test_ms += 1000;
	progress_moved(&p, 500);
	check_str(seen(screen_read(&s)), " 87%    3.4 KiB/3.9 KiB      500 B/s   0:01 left");
	progress_adjust(&p, -3600);                      /* more than ever was: not below nothing */
	test_ms += 1000;
	progress_moved(&p, 0);
	check_str(seen(screen_read(&s)), "  0%        0 B/3.9 KiB      250 B/s   0:16 left");
	progress_stop(&p);
	screen_close(&s);
}

static void
shows(enum progress_mode mode, int columns, int want)
{
	static struct screen s;
	struct progress p;

	screen_open(&s, columns);
	progress_start(&p, mode);
	progress_total(&p, 100, 1);
	test_ms += 200;
	progress_moved(&p, 50);
	check_int(*screen_read(&s) != '\0', want);
	progress_stop(&p);
	screen_close(&s);
}

static void
test_modes(void)
{
	struct progress none = {0};

	shows(PROGRESS_AUTO, 80, 1);
	shows(PROGRESS_AUTO, 0, 0);
	shows(PROGRESS_ALWAYS, 80, 1);
	shows(PROGRESS_ALWAYS, 0, 1);
	shows(PROGRESS_NEVER, 80, 0);
	shows(PROGRESS_NEVER, 0, 0);
	/* A struct that was never started. */
	progress_total(&none, 1, 1);
	progress_moved(&none, 1);
	progress_adjust(&none, 1);
	progress_file_done(&none);
	progress_clear(&none);
	progress_redraw(&none);
	progress_stop(&none);
	check_int(none.moved, 0);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *
work(void *arg)
{
	struct progress *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		progress_moved(p, 3);
		if (i % 100 == 0) {
			progress_clear(p);
			progress_file_done(p);
			progress_redraw(p);
		}
	}
	return NULL;
}

/* Every byte counts, whoever moved it; run under ThreadSanitizer this also shows that nothing is shared unguarded. */
static void
test_threads(void)
{
	static struct screen s;
	struct progress p;
	pthread_t t[THREADS];

	screen_open(&s, 80);
	progress_start(&p, PROGRESS_AUTO);
	progress_total(&p, THREADS * ROUNDS * 3, THREADS * ROUNDS / 100);
	for (int i = 0; i < THREADS; i++)
		check_int(pthread_create(&t[i], NULL, work, &p), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	check_int(p.moved, THREADS * ROUNDS * 3);
	check_int(p.files, THREADS * ROUNDS / 100);
	test_ms += 200;
	progress_moved(&p, 0);
	check(strstr(seen(screen_read(&s)), "100%") != NULL);
	progress_stop(&p);
	screen_close(&s);
}

int
main(void)
{
	test_pieces();
	test_narrow();
	test_widths();
	test_unknown();
	test_sizes();
	test_left();
	test_percent();
	test_rate();
	test_terminal();
	test_shorter();
	test_adjusted();
	test_modes();
	test_threads();
	return test_end();
}
