#pragma once
/* One line on standard error while things move: bar, bytes, rate of the last seconds, time left, files; gone
   without a trace at the end. A zeroed struct progress shows nothing, and every function takes it.
   progress_moved, progress_clear and progress_redraw take void *, so that they fit the hooks of pool and log. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };   /* auto: when standard error is a terminal */

enum {
	PROGRESS_EVERY_MS = 200,                                  /* at most so often */
	PROGRESS_WINDOW_MS = 5000,                                /* the rate is that of this long */
	PROGRESS_SAMPLES = PROGRESS_WINDOW_MS / PROGRESS_EVERY_MS + 1,
	PROGRESS_WIDTH_MAX = 400,
};

/* What the line says. bytes_total 0: not known; files_total 0 or 1: files are not counted. */
struct progress_counts {
	uint64_t bytes, bytes_total;
	uint64_t files, files_total;
	uint64_t rate;                 /* bytes a second */
};

/* The line for a terminal of width columns into out (PROGRESS_WIDTH_MAX + 1 bytes): at most width - 1 columns of ASCII, the
   last pieces are left out where there is no room. Returns its length. Pure. */
size_t progress_format(char *out, const struct progress_counts *c, int width);

/* What had moved when, oldest first but for the turn of the ring. Zero-initialise. */
struct progress_rate {
	struct { int64_t ms; uint64_t bytes; } at[PROGRESS_SAMPLES];
	unsigned n;                    /* samples taken in all */
};

/* Take a sample (ms never goes back) and return the bytes a second since the oldest one within the window. Pure. */
uint64_t progress_rate(struct progress_rate *r, int64_t ms, uint64_t bytes);

struct progress {
	_Atomic int active;
	_Atomic uint64_t moved;        /* by this process over the network */
	_Atomic int64_t elsewhere;     /* done without having moved now, or moved for nothing (negative) */
	_Atomic uint64_t bytes_total, files, files_total;
	_Atomic int64_t drawn_ms;      /* when the line was last drawn */
	pthread_mutex_t lock;          /* over the rest */
	size_t shown;                  /* columns of the line that stands there */
	struct progress_rate rate;
};

void progress_start(struct progress *p, enum progress_mode mode);
/* Remove the line; nothing is drawn any more. Not between progress_clear and progress_redraw. */
void progress_stop(struct progress *p);

/* So much more is to be done; may come while other things move already. */
void progress_total(struct progress *p, uint64_t bytes, uint64_t files);
/* n more bytes, or 0: a tick, for a rate that sinks while nothing moves. In any thread, like all that follows; draws when it
   is time, never waits for another thread. */
void progress_moved(void *progress, size_t n);
/* Bytes that count as done without having moved (parts that were there already), or, negative, that have to move again. */
void progress_adjust(struct progress *p, int64_t n);
void progress_file_done(struct progress *p);

/* Around each line that is written to the same terminal: the first removes ours and keeps other threads from drawing it (and
   from a second progress_clear) until the second, which must follow in the same thread. */
void progress_clear(void *progress);
void progress_redraw(void *progress);
