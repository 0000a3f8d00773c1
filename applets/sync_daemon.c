#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "sync_report.h"

enum {
	METRICS_MS = 1000,           /* between two writings when something happens, */
	METRICS_IDLE_MS = 15000,     /* and while something only waits */
	SWEEP_SCANS = 5,             /* scans between two looks for what has gone, where nothing else tells */
	REPEAT_MS = 200,             /* a signal that comes again sooner is the same one */
	TOLD_MS = 1000,              /* COMMAND ends because of a signal for so long, and so many times as long as a drain may take */
	TOLD_SHARE = 10,
};

/* The first whole scan is done: nothing that happens from now on can be missed. */
static void
became_ready(struct daemon *d)
{
	struct ledger_record r = {.state = LEDGER_BEGUN};
	struct err e;

	d->ready = 1;
	d->old_ones = 0;
	if (!ledger_find(d->ledger, SYNC_SCANNED, &r))
		ledger_put(d->ledger, SYNC_SCANNED, &r, &e);
	sync_sweep(d);
	notify_send("READY=1\nSTATUS=Watching");
	if (d->child.pid)
		child_start(&d->child);
	if (sync_only_once(d))
		sync_drain_begin(d, -1, 0);
}

/* The keys may have been renewed, in the env file or a mounted secret: what failed for the old ones is tried at once. */
static void
reload_keys(struct daemon *d)
{
	struct config fresh;
	struct err e;

	if (config_load_keys(&fresh, &client_args.config, &e) < 0) {
		sync_log(1, "WARNING: SIGHUP: the keys stay what they were: %s", e.msg);
	} else if (s3_store_rekey(&d->client.store, &d->client.cfg, &fresh)) {
		sync_log(0, "Keys have been read again: others than before");
		sync_hurry(d->sync, d->now);
	}
	config_wipe(&fresh);
}

static void
on_signal(struct daemon *d, int sig)
{
	if (sig == SIGCHLD) {
		child_reap(&d->child);
		return;
	}
	if (sig == SIGHUP) {
		sync_log_reopen();
		reload_keys(d);
	}
	if (d->child.pid && !d->child.ended) {
		child_signal(&d->child, sig);
		if (!d->told_at && (sig == SIGTERM || sig == SIGINT))
			d->told_at = d->now;
		return;
	}
	if (sig != SIGTERM && sig != SIGINT)
		return;
	if (!d->told_at) {
		d->told_at = d->now;
		sync_log(0, "Stopping: %s", strsignal(sig));
		/* What no event tells of has not been seen since the last scan. */
		sync_drain_begin(d, d->now + d->set->drain_ms, 1);
	} else if (d->now - d->told_at >= REPEAT_MS) {
		sync_files_save(d, 1);
		signal(sig, SIG_DFL);
		child_raise(sig);
		_exit(128 + sig);    /* the kernel keeps process 1 of a container from such an end */
	}
}

static void
read_signals(struct daemon *d)
{
	struct signalfd_siginfo si;

	while (read(d->signal_fd, &si, sizeof si) == sizeof si)
		on_signal(d, (int)si.ssi_signo);
}

/* Another number when the metrics would say something else. */
static uint64_t
metrics_sum(const struct daemon *d, const struct sync_counts *c)
{
	return (d->uploaded + d->failed) << 32 ^ (uint64_t)c->all << 1 ^ (uint64_t)d->ready;
}

static void
write_metrics(struct daemon *d)
{
	struct sync_counts c;
	struct err e;
	uint64_t sum;

	if (!d->set->metrics || d->now - d->metrics_at < METRICS_MS)
		return;
	sync_count(d->sync, &c);
	sum = metrics_sum(d, &c);
	if (d->metrics_at && sum == d->metrics_sum && (!c.all || d->now - d->metrics_at < METRICS_IDLE_MS))
		return;
	d->metrics_at = d->now;
	d->metrics_sum = sum;
	if (report_metrics(d, d->set->metrics, &e) < 0)
		sync_log(0, "WARNING: %s", e.msg);
}

static void
tend_watchdog(struct daemon *d, int64_t *at)
{
	static int64_t every;

	if (!every)
		every = notify_watchdog_ms();
	if (every > 0 && d->now >= *at) {
		notify_send("WATCHDOG=1");
		*at = d->now + every;
	}
}

static int
wait_ms(struct daemon *d, int64_t watchdog_at)
{
	int64_t at = clock_sooner(sync_wake_ms(d->sync, d->now), watch_wake_ms(d->watch));
	struct sync_counts c;

	at = clock_sooner(at, d->doomed && !ledger_dirty(d->ledger) ? 0 : sync_files_save_at(d));
	at = clock_sooner(at, d->delete_at);
	at = clock_sooner(at, d->sweep_at);
	if (d->phase == SYNC_DRAINS)
		at = clock_sooner(clock_sooner(at, d->drain_until), d->hurry_at > d->now ? d->hurry_at : -1);
	if (watchdog_at)
		at = clock_sooner(at, watchdog_at);
	sync_count(d->sync, &c);
	if (d->set->metrics)
		at = clock_sooner(at, d->metrics_at + (metrics_sum(d, &c) != d->metrics_sum ? METRICS_MS : c.all ? METRICS_IDLE_MS : 1 << 30));
	if (at < 0)
		return -1;
	return at <= d->now ? 0 : at - d->now > 1 << 30 ? 1 << 30 : (int)(at - d->now);
}

static void
answer(struct daemon *d)
{
	struct ask_report *r = malloc(sizeof *r);

	if (!r)
		return;
	report_make(d, r);
	ask_answer(d->ask_fd, r);
	free(r);
}

static void
wait_for_news(struct daemon *d, int64_t watchdog_at)
{
	struct pollfd fds[] = {
		{d->signal_fd, POLLIN, 0}, {d->wake_fd, POLLIN, 0}, {d->ask_fd, POLLIN, 0}, {watch_fd(d->watch), POLLIN, 0},
	};
	uint64_t n;

	if (poll(fds, sizeof fds / sizeof *fds, wait_ms(d, watchdog_at)) < 0)
		return;
	d->now = clock_ms();
	if (fds[0].revents)
		read_signals(d);
	if (fds[1].revents && read(d->wake_fd, &n, sizeof n) < 0)
		return;
	if (fds[2].revents)
		answer(d);
}

static void
child_ended(struct daemon *d)
{
	/* It has survived that signal, as Jupyter does SIGINT, and ends by itself. */
	if (d->now - d->told_at > TOLD_MS + TOLD_SHARE * d->set->drain_ms)
		d->told_at = 0;
	sync_drain_begin(d, d->now + d->set->drain_ms, 1);
}

static void
loop(struct daemon *d)
{
	struct watch_state w;
	int64_t watchdog_at = 0;

	for (;;) {
		d->now = clock_ms();
		watch_step(d->watch, d->now);
		sync_files_step(d);
		watch_look(d->watch, &w);
		if (w.roots != d->roots && d->roots)
			sync_root_found(d);
		d->roots = w.roots;
		if (!d->ready && w.scanned)
			became_ready(d);
		if (sync_waits_in_vain(d, &w))
			sync_drain_begin(d, d->now - 1, 0);
		if (d->child.pid && d->child.ended && d->phase == SYNC_RUNS)
			child_ended(d);
		/* Where no event tells what goes, the scans do. */
		if (d->sweep_at < 0 && (d->set->poll || w.polled) && w.scans > d->swept_scans + SWEEP_SCANS)
			d->sweep_at = d->now;
		/* What was removed may have been told by what was lost. */
		if (w.overflows != d->overflows)
			sync_sweep_soon(d);
		d->overflows = w.overflows;
		if (d->sweep_at >= 0 && d->now >= d->sweep_at)
			sync_sweep(d);
		if (d->delete_at >= 0 && d->now >= d->delete_at) {
			d->delete_at = -1;
			watch_rescan(d->watch);
		}
		sync_files_save(d, 0);
		write_metrics(d);
		tend_watchdog(d, &watchdog_at);
		if (sync_drain_over(d))
			return;
		wait_for_news(d, watchdog_at);
	}
}

struct left {
	const struct daemon *d;
	int n;
};

static void
name_left(void *arg, const struct sync_entry *x)
{
	struct left *left = arg;
	char path[PATH_MAX];
	const char *why = x->state == SYNC_HELD ? "still open for writing" : x->failures ? "failed"
		: x->state == SYNC_RUNNING ? "cut off: goes on with the next start" : "not begun";

	left->n++;
	sync_path(left->d, x->rel, path, sizeof path);
	sync_log(1, "NOT UPLOADED: %s (%s)", x->rel, why);
	sync_left(left->d, path, why);
}

/* After the loop: how many files are left over, each named. */
static int
stop(struct daemon *d)
{
	struct left left = {d, 0};
	struct watch_state w;

	/* What still runs is cut off now; its journal keeps what is done. */
	pool_stop(&d->pool);
	pool_close(&d->pool);
	d->phase = SYNC_ENDS;
	sync_files_step(d);
	sync_each(d->sync, name_left, &left);
	watch_look(d->watch, &w);
	if (!d->ready || w.missed || w.held_ms || w.scanning) {
		sync_log(1, "Not all of %s was looked at: there may be more", d->dir);
		sync_left(d, d->dir, "not all of it was looked at: there may be more");
		left.n++;
	}
	sync_files_save(d, 1);
	if (d->set->metrics) {
		d->metrics_at = 0;
		write_metrics(d);
	}
	sync_log(0, "Stopped: %llu uploaded, %d left over", (unsigned long long)d->uploaded, left.n);
	return left.n;
}

int
sync_daemon(struct daemon *d, struct err *e)
{
	struct timespec now;
	int rc = -1, left;

	d->signal_fd = d->wake_fd = d->ask_fd = d->dir_fd = d->lock_fd = -1;
	d->delete_at = d->sweep_at = -1;
	/* The clock that files are stamped with. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	d->started_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	pthread_mutex_init(&d->lock, NULL);
	d->last = &d->ended;
	sync_log_open(d->set->log);
	if (sync_daemon_start(d, e) == 0) {
		loop(d);
		left = stop(d);
		rc = d->child.pid && d->child.ended && d->child.status ? d->child.status : left ? 1 : 0;
	}
	pool_close(&d->pool);
	watch_close(d->watch);
	sync_close(d->sync);
	ledger_close(d->ledger);
	ask_close(d->ask_fd, d->state);
	for (size_t i = 0; i < sizeof d->own / sizeof *d->own; i++)
		free(d->own[i]);
	sync_log_close();
	return rc;
}
