#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "transfer.h"

enum { REPEAT_MS = 200 };   /* a signal that comes again sooner is the same one */

long transfer_workers = 8;
uint64_t transfer_part_size;
static uint64_t rate;
static int progress_mode;
struct progress transfer_progress;
static struct s3_store *stoppable;
static volatile sig_atomic_t signalled;

const struct opt transfer_opts[] = {
	{'j', "jobs", "N", "requests at once, in all [8]", opt_number, &transfer_workers, 1, POOL_WORKERS_MAX},
	{0, "part-size", "SIZE", "size of the parts of a large file, K M G for 1024 [50M]", transfer_part, &transfer_part_size, 0, 0},
	{0, "limit-rate", "SIZE", "bytes a second over all connections [no limit]", transfer_rate, &rate, 0, 0},
	{0, "progress", "auto|always|never", "a line with bar, rate and time left [auto: on a terminal]", opt_choice,
		&progress_mode, 0, 0},
	{0},
};

int
transfer_date(const struct opt *o, const char *val, struct err *e)
{
	if (strcmp(val, "mtime"))
		return opt_date(o, val, e);
	*(const char **)o->dest = val;
	return 0;
}

int
transfer_class(const struct opt *o, const char *val, struct err *e)
{
	if (strcmp(val, "STANDARD") && strcmp(val, "STANDARD_IA"))
		return fail(e, ERR_USAGE, "--%s: %.64s is none of %s", o->name, val, o->arg);
	*(const char **)o->dest = val;
	return 0;
}

int
transfer_rate(const struct opt *o, const char *val, struct err *e)
{
	if (opt_size(o, val, e) < 0)
		return -1;
	if (!*(uint64_t *)o->dest)
		return fail(e, ERR_USAGE, "--%s 0 would never finish: leave it out for no limit", o->name);
	return 0;
}

int
transfer_threshold(const struct opt *o, const char *val, struct err *e)
{
	if (opt_size(o, val, e) < 0)
		return -1;
	if (*(uint64_t *)o->dest > S3_PUT_MAX)
		return fail(e, ERR_USAGE, "--%s: one request takes 5115M at most (5 GiB - 5 MiB)", o->name);
	return 0;
}

int
transfer_part(const struct opt *o, const char *val, struct err *e)
{
	if (transfer_threshold(o, val, e) < 0)
		return -1;
	if (*(uint64_t *)o->dest < S3_PART_MIN)
		return fail(e, ERR_USAGE, "--%s: S3 takes no parts smaller than 5M (only the last may be)", o->name);
	return 0;
}

/* The first signal stops, a second one ends the process at once; but timeout(1) sends its signal twice, to us and to our group. */
static void
on_signal(int sig)
{
	static int64_t first_ms;
	int64_t now_ms = clock_ms();

	if (!signalled) {
		signalled = sig;
		first_ms = now_ms;
		__atomic_store_n(&stoppable->stop, 1, __ATOMIC_RELAXED);
	} else if (now_ms - first_ms >= REPEAT_MS) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

int
transfer_open(struct pool *p, struct client *c, struct err *e)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal}, old;

	sigfillset(&sa.sa_mask);   /* another one that comes in the middle would not know yet when the first came */
	if (pool_open(p, &c->store, (int)transfer_workers, rate, e) < 0)
		return -1;
	p->moved = progress_moved;
	p->moved_arg = &transfer_progress;
	progress_start(&transfer_progress, (enum progress_mode)progress_mode);
	/* No line between those that are the result. */
	if (client_args.json && isatty(STDOUT_FILENO))
		progress_stop(&transfer_progress);
	log_set_hooks(progress_clear, progress_redraw, &transfer_progress);
	stoppable = &c->store;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		/* nohup's wish stays: what was ignored at the start is ignored. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	return 0;
}

void
transfer_close(struct pool *p, struct client *c)
{
	pool_close(p);
	log_set_hooks(NULL, NULL, NULL);
	progress_stop(&transfer_progress);
	if (!signalled)
		return;
	log_r2(LOG_WARNING, "Stopped by signal: %s", strsignal(signalled));
	client_close(c);
	fflush(stdout);
	signal(signalled, SIG_DFL);
	raise(signalled);
}
