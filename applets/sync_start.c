#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "hash.h"
#include "log.h"
#include "path.h"
#include "private.h"
#include "sandbox.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "sync_place.h"
#include "sync_report.h"

#define TMPFS 0x01021994   /* linux/magic.h */

/* Signals arrive through a descriptor. With a COMMAND all that can be handed on, else those that mean something to us. */
static int
take_signals(struct daemon *d, struct err *e)
{
	static const char own[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	/* What we bring upon ourselves; and SIGPIPE, for blocked it would not be ignored: our own, of an output that is closed, would go to COMMAND. */
	static const char faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGXCPU, SIGXFSZ, SIGIO, SIGPIPE};
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);    /* a file that may not grow is an error like any other */
	signal(SIGCHLD, SIG_DFL);    /* ignored, as some leave it to whom they start, it keeps COMMAND's status from us */
	signal(SIGIO, SIG_IGN);      /* a writer breaks a read lease */
	if (d->set->command) {
		sigfillset(&set);
		for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
			sigdelset(&set, faults[i]);
	} else {
		sigemptyset(&set);
		for (size_t i = 0; i < sizeof own / sizeof *own; i++)
			sigaddset(&set, own[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signal_fd < 0 ? fail_errno(e, "%s: cannot wait for signals: signalfd", d->dir) : 0;
}

/* The directory of path into out, or NULL for none. follow: it may be a symbolic link, and is written where that leads. */
static const char *
directory_of(const char *path, int follow, char out[PATH_MAX])
{
	if (!path || !strcmp(path, "-"))
		return NULL;
	if (!follow || !realpath(path, out))
		snprintf(out, PATH_MAX, "%s", path);
	return dirname(out);
}

static void
drop_rights(struct daemon *d)
{
	char log[PATH_MAX], metrics[PATH_MAX];
	const struct config *c = &d->client.cfg;
	struct sandbox s = {
		.writable = {d->state, directory_of(d->set->log, 1, log), directory_of(d->set->metrics, 0, metrics)},
		.removable = d->set->delete_ms >= 0 ? d->dir : NULL,
		.ports = {c->proxy.port ? c->proxy.port : c->port, 53},
	};
	struct err e;

	d->confined = sandbox_enter(&s, &e) > 0;
	if (!d->confined)
		log_r2(LOG_DEBUG, "runs with more rights than it needs: %s", e.msg);
	/* The job beside comes first, at the processor and at the disk (best effort, the lowest of its eight levels: ioprio_set(2)). */
	if (d->set->nice > 0) {
		nice((int)d->set->nice);
		syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7);
	}
}

static int
take_dir(struct daemon *d, const char *dir, struct err *e)
{
	struct statfs fs;

	if (place_take_dir(dir, &d->dir_fd, e) < 0)
		return -1;
	d->in_memory = fstatfs(d->dir_fd, &fs) == 0 && fs.f_type == TMPFS;
	return 0;
}

static int
open_state(struct daemon *d, struct err *e)
{
	char real[PATH_MAX], name[NAME_MAX];
	const struct config *c = &d->client.cfg;
	struct buf b = BUF(name);
	const char *warning;

	if (!realpath(d->dir, real))
		return fail_errno(e, "%s", d->dir);
	if (place_check(real, e) < 0 || place_make(real, d->set->state, d->state, e) < 0 || place_take_state(d->set->state ? d->state : real, d->state, &d->lock_fd, e) < 0 ||
		take_dir(d, real, e) < 0)
		return -1;
	snprintf(d->parts, sizeof d->parts, "%.*s/parts", PATH_MAX - 8, d->state);
	private_reclaim(d->parts);
	if (private_dir(d->parts, e) < 0) {
		sync_log(1, "WARNING: %s: large uploads that are cut off start again from nothing", e->msg);
		*d->parts = '\0';
	}
	/* What is in one bucket says nothing of another, and one DIR nothing of another that is given the same --state: its files would
	   replace objects of the first. */
	buf_fmt(&b, "ledger-%.160s-%s", c->host_field, c->bucket);
	if (d->set->state)
		buf_fmt(&b, "-%08x", (unsigned)hash_crc32c(0, real, strlen(real)));
	if (ledger_open(&d->ledger, d->state, name, e) != 0)
		return -1;
	warning = ledger_warning(d->ledger);
	if (*warning)
		sync_log(1, "WARNING: %s", warning);
	return 0;
}

static void
note(void *daemon, const char *text)
{
	(void)daemon;
	sync_log(1, "WARNING: %s", text);
}

/* Where path, which we write, is below real, which is dir; NULL: elsewhere. */
static char *
own_name(const char *real, const char *path)
{
	char above[PATH_MAX], whole[PATH_MAX];
	const char *dir = directory_of(path, 0, above);
	struct buf b = BUF(whole);
	size_t n = strcmp(real, "/") ? strlen(real) : 0;

	if (!dir || !realpath(dir, whole))
		return NULL;
	b.len = strlen(whole);
	buf_fmt(&b, "%s%s", b.len > 1 ? "/" : "", path_base(path));
	return buf_ok(&b) && !strncmp(whole, real, n) && whole[n] == '/' ? strdup(whole + n + 1) : NULL;
}

/* --new-only: a start that was killed before its first scan was finished is the first one nevertheless. */
static void
note_first_start(struct daemon *d)
{
	struct ledger_record r = {.state = LEDGER_BEGUN};
	struct err e;

	d->old_ones = d->set->new_only && !ledger_find(d->ledger, SYNC_SCANNED, &r);
	if (!d->old_ones)
		return;
	if (ledger_find(d->ledger, SYNC_STARTED, &r) > 0) {
		d->started_ns = r.file.mtime_ns;
		return;
	}
	r = (struct ledger_record){.state = LEDGER_BEGUN, .file.mtime_ns = d->started_ns};
	ledger_put(d->ledger, SYNC_STARTED, &r, &e);
}

static int
open_watch(struct daemon *d, struct err *e)
{
	const struct watch_options o = {
		.root = d->dir, .poll = d->set->poll, .rescan_ms = d->set->rescan_ms, .wanted = sync_wanted, .changed = sync_changed,
		.gone = sync_vanished, .note = note, .arg = d,
	};
	char real[PATH_MAX];

	if (!realpath(d->dir, real))
		return fail_errno(e, "%s", d->dir);
	d->own[0] = own_name(real, d->state);
	d->own[1] = own_name(real, d->set->log);
	d->own[2] = own_name(real, d->set->metrics);
	note_first_start(d);
	/* Twice the workers, so that none of them waits for this thread. */
	d->sync = sync_open(d->set->settle_ms, 2 * (int)d->set->jobs);
	d->watch = watch_open(&o, e);
	return !d->sync ? fail_memory(e) : d->watch ? 0 : -1;
}

int
sync_daemon_start(struct daemon *d, struct err *e)
{
	/* Signals first: who reads that we watch may send one. */
	if (take_signals(d, e) < 0)
		return -1;
	sync_log(0, "Starting R2 sync daemon");
	sync_log(0, "Watching: %s", d->dir);
	if (d->made)
		sync_log(0, "%s was not there and has been made: is it the right one?", d->dir);
	if (open_state(d, e) < 0)
		return -1;
	/* Before the socket: where our working directory may not be searched, there is no way back to it from that. */
	if (d->set->command && child_fork(&d->child, d->set->command, d->set->hide_keys, e) < 0)
		return -1;
	/* FAT and many a network file system have no sockets, and a full disk no room for one: uploading needs none. */
	d->ask_fd = ask_listen(d->state, e);
	if (d->ask_fd < 0)
		sync_log(1, "WARNING: %s: no --status, no --health", e->msg);
	d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->wake_fd < 0)
		return fail_errno(e, "eventfd");
	notify_open();
	drop_rights(d);
	sync_files_open(d);
	if (pool_open(&d->pool, &d->client.store, (int)d->set->jobs, d->set->rate, e) < 0)
		return -1;
	d->pool.moved = sync_moved;
	d->pool.moved_arg = d;
	return open_watch(d, e);
}

void
sync_root_found(struct daemon *d)
{
	struct err e;
	int rc = take_dir(d, d->dir, &e);

	if (rc == 0)
		rc = private_dir(d->state, &e);
	if (rc == 0)
		rc = place_take_state(d->dir, d->state, &d->lock_fd, &e);
	if (rc == 0) {
		ask_close(d->ask_fd, d->state);
		d->ask_fd = ask_listen(d->state, &e);
		rc = d->ask_fd < 0 ? -1 : 0;
	}
	if (rc < 0)
		sync_log(1, "WARNING: %s is uploaded, but a restart is needed for its state: %s", d->dir, e.msg);
	else if (d->confined && d->set->delete_ms >= 0)
		sync_log(1, "WARNING: %s is uploaded, but a restart is needed before --delete-after can remove anything there", d->dir);
}
