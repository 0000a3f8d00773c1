#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "sync_daemon.h"
#include "sync_log.h"
#include "sync_report.h"

enum {
	HURRY_MS = 2000,         /* between two attempts of a drain that an outage holds up */
	SETTLE_SHARE = 4,        /* of a drain's time at most one quiet time takes */
	SETTLES = 2,             /* quiet times that a file takes where the kernel cannot say whether somebody writes */
	MOVES_MS = 5000,         /* what was sent so lately is on its way */
	WRITES_S = 3,            /* who has written so lately is in the middle of it */
	STRAYS_MS = 3000,        /* for who is told to end, and at least for what he leaves */
};

void
sync_drain_begin(struct daemon *d, int64_t until, int scan)
{
	d->phase = SYNC_DRAINS;
	d->drain_until = until;
	notify_send("STOPPING=1");
	sync_hurry(d->sync, d->now);
	/* A longer quiet time would be all there is. */
	if (until >= 0)
		sync_settle_within(d->sync, (until - d->now) / SETTLE_SHARE, d->now);
	d->hurry_at = d->now + HURRY_MS;
	if (scan)
		watch_rescan(d->watch);
}

int
sync_only_once(const struct daemon *d)
{
	return d->set->once && !d->child.pid && d->phase == SYNC_RUNS;
}

/* While a drain has time, what failed for the network's sake is tried again and again: the outage may be over before the time is. */
static int
outlasts(struct daemon *d, const struct sync_counts *c)
{
	if (!c->outage || d->drain_until < 0)
		return 0;
	if (d->now >= d->hurry_at) {
		d->hurry_at = d->now + HURRY_MS;
		sync_hurry(d->sync, d->now);
	}
	return 1;
}

struct writers {
	const struct daemon *d;
	time_t since;
	int some;
};

static void
look_at_writer(void *arg, const struct sync_entry *x)
{
	struct writers *w = arg;
	struct stat st;

	w->some |= x->state == SYNC_HELD && fstatat(w->d->dir_fd, x->rel, &st, 0) == 0 && st.st_mtime >= w->since;
}

/* Is a file waited for that is held open? COMMAND may have left somebody behind who still writes; and who is told to stop together with us may
   save a last state. Not a log, to which somebody adds a line now and then. */
static int
writers_worth(const struct daemon *d, const struct sync_counts *c)
{
	struct writers w = {d, time(NULL) - WRITES_S, d->set->once || (d->child.pid && !d->told_at) || d->now < d->strays_until};

	if (c->n[SYNC_HELD] && !w.some)
		sync_each(d->sync, look_at_writer, &w);
	return c->n[SYNC_HELD] && w.some;
}

static int
is_over(struct daemon *d)
{
	struct watch_state w;
	struct sync_counts c;
	int64_t busy_since = d->busy_at, spent = 0;
	int failing = __atomic_load_n(&d->failing, __ATOMIC_RELAXED) && d->now - __atomic_load_n(&d->moved_at, __ATOMIC_RELAXED) > MOVES_MS;

	if (d->phase != SYNC_DRAINS)
		return 0;
	watch_look(d->watch, &w);
	sync_count(d->sync, &c);
	/* What fails takes no time if it goes on before the drain is over. */
	if (busy_since && !failing)
		spent = d->now - busy_since;
	/* COMMAND ended by itself: nobody ends us soon, and what it has left may be long. */
	if (!d->told_at && d->drain_until >= 0 && !w.held_ms)
		d->drain_until += spent;
	if (d->drain_until >= 0 && d->now > d->drain_until)
		return 1;
	/* What is spent on uploading is not waited for what has not settled. */
	if (d->writers_until && spent)
		d->hurry_at = d->writers_until += spent;
	d->busy_at = !w.scanning && !c.n[SYNC_RUNNING] && !sync_files_ended(d) ? 0 : busy_since && failing ? busy_since : d->now;
	if (d->busy_at)
		return 0;
	/* Somebody was refused. A pause may have outlived all who were: then the next one tries whether it still holds. */
	if (sync_paused(d->sync) && c.outage)
		return 1;
	if (c.n[SYNC_LOOKING] + c.n[SYNC_READY] || outlasts(d, &c))
		return 0;
	if (!c.n[SYNC_QUIET] && !writers_worth(d, &c))
		return 1;
	if (d->drain_until >= 0) {
		d->hurry_at = d->now + HURRY_MS;      /* is anybody still writing? */
		return 0;
	}
	/* --once waits for writers too, but not for ever. What they then leave behind is uploaded, however long that takes. */
	if (!d->writers_until)
		d->hurry_at = d->writers_until = d->now + d->set->drain_ms + SETTLES * d->set->settle_ms;
	return d->now >= d->writers_until;
}

/* With process 1 all others are killed. What they have open, as the workers that a COMMAND has forked have its log, would be lost with the container:
   they are told to end first, and what they leave is uploaded. */
int
sync_drain_over(struct daemon *d)
{
	struct sync_counts c;

	if (!is_over(d))
		return 0;
	sync_count(d->sync, &c);
	if (!c.n[SYNC_HELD] || d->drain_until < 0 || d->strays_until || getpid() != 1 || kill(-1, SIGTERM) < 0)
		return 1;
	d->strays_until = d->now + STRAYS_MS;
	if (d->drain_until < d->strays_until)
		d->drain_until = d->strays_until;
	sync_settle_within(d->sync, STRAYS_MS / SETTLE_SHARE, d->now);
	sync_log(0, "What still has files open for writing is told to end");
	return 0;
}

int
sync_waits_in_vain(const struct daemon *d, const struct watch_state *w)
{
	if (!sync_only_once(d) && !(d->set->once && d->phase == SYNC_DRAINS))
		return 0;
	return w->held_ms > d->set->drain_ms || (sync_only_once(d) && !w->scanning && !w->root_there);
}
