#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "enc.h"
#include "json.h"
#include "sync_report.h"
#include "utc.h"

enum { PATIENCE_MS = 60000 };   /* what waits for longer than this is not healthy */

/* All numbers of a report; one place says what each is called. */
struct figures {
	struct sync_counts c;
	struct sync_oldest o;
	struct watch_state w;
	uint64_t oldest_s;
};

static void
collect(const struct daemon *d, struct figures *f)
{
	sync_count(d->sync, &f->c);
	sync_oldest(d->sync, &f->o);
	watch_look(d->watch, &f->w);
	f->oldest_s = f->o.any_ms < 0 ? 0 : (uint64_t)(d->now - f->o.any_ms) / 1000;
}

/* 0 and "ok", or why not. Files that somebody is writing are nobody's delay. */
static void
health(const struct daemon *d, const struct figures *f, struct buf *b)
{
	int64_t late = f->o.waiting_ms < 0 ? 0 : d->now - f->o.waiting_ms;

	if (late <= PATIENCE_MS)
		buf_str(b, d->ready ? "ok" : "ok: starting");
	else
		buf_fmt(b, "%zu file%s wait%s, the oldest for %" PRId64 " s: %s", f->c.all, f->c.all == 1 ? "" : "s",
			f->c.all == 1 ? "s" : "", late / 1000, *d->last_error ? d->last_error : "uploads are slower than new files come");
	buf_ellipsis(b);
}

static void
json(const struct daemon *d, const struct figures *f, struct ask_report *r)
{
	struct json j;

	json_begin(&j);
	json_string(&j, "dir", d->dir);
	json_string(&j, "health", r->health);
	json_number(&j, "uploaded", d->uploaded);
	json_number(&j, "failed", d->failed);
	json_number(&j, "bytes", d->bytes);
	json_number(&j, "pending", f->c.all);
	json_number(&j, "waiting", f->c.n[SYNC_QUIET] + f->c.n[SYNC_LOOKING]);
	json_number(&j, "open_for_writing", f->c.n[SYNC_HELD]);
	json_number(&j, "ready", f->c.n[SYNC_READY]);
	json_number(&j, "uploading", f->c.n[SYNC_RUNNING]);
	json_number(&j, "retrying", f->c.n[SYNC_RETRY]);
	json_number(&j, "oldest_pending_seconds", f->oldest_s);
	json_number(&j, "known", ledger_count(d->ledger));
	json_number(&j, "directories", f->w.dirs);
	json_number(&j, "directories_polled", f->w.polled);
	json_number(&j, "overflows", f->w.overflows);
	json_string(&j, "state", d->phase == SYNC_DRAINS ? "stopping" : !d->ready ? "starting"
		: sync_paused(d->sync) ? "paused" : f->w.root_there ? "running" : "waiting for the directory");
	if (d->last_success)
		json_time(&j, "last_success", d->last_success);
	if (*d->last_error)
		json_string(&j, "last_error", d->last_error);
	snprintf(r->json, sizeof r->json, "%s", json_text(&j));
	json_free(&j);
}

static void
text(const struct daemon *d, const struct figures *f, struct ask_report *r)
{
	struct buf b = BUF(r->text);
	char stamp[UTC_STAMP_CAP] = "never";

	if (d->last_success)
		utc_local_stamp(d->last_success, stamp);
	buf_str(&b, "Watching:  ");
	enc_printable(&b, d->dir, strlen(d->dir));
	buf_fmt(&b, " (%zu directories, %zu of them polled)%s\n", f->w.dirs, f->w.polled, f->w.root_there ? "" : ": not there now");
	buf_fmt(&b, "Bucket:    %s\n", d->client.cfg.bucket);
	buf_fmt(&b, "Uploaded:  %" PRIu64 " files, %" PRIu64 " bytes since the start; %zu known in all; the last at %s\n",
		d->uploaded, d->bytes, ledger_count(d->ledger), stamp);
	buf_fmt(&b, "Pending:   %zu (%zu settling, %zu held open by a writer, %zu ready, %zu uploading, %zu to be tried again)\n",
		f->c.all, f->c.n[SYNC_QUIET] + f->c.n[SYNC_LOOKING], f->c.n[SYNC_HELD], f->c.n[SYNC_READY], f->c.n[SYNC_RUNNING],
		f->c.n[SYNC_RETRY]);
	if (f->c.all)
		buf_fmt(&b, "Oldest:    %" PRIu64 " s\n", f->oldest_s);
	buf_fmt(&b, "Failed:    %" PRIu64 " attempts%s%s\n", d->failed, *d->last_error ? "; the last: " : "", d->last_error);
	buf_fmt(&b, "Health:    %s\n", r->health);
}

void
report_make(struct daemon *d, struct ask_report *r)
{
	struct buf b = BUF(r->health);
	struct figures f;

	memset(r, 0, sizeof *r);
	collect(d, &f);
	pthread_mutex_lock(&d->lock);
	health(d, &f, &b);
	json(d, &f, r);
	text(d, &f, r);
	pthread_mutex_unlock(&d->lock);
}

/* One metric in Prometheus' text format, by whose custom a counter is what ends in "_total". */
static void
metric(struct buf *b, const char *name, uint64_t value)
{
	buf_fmt(b, "# TYPE r2_sync_%s %s\nr2_sync_%s %" PRIu64 "\n", name, enc_ends_in(name, "_total") ? "counter" : "gauge", name, value);
}

static int
write_new(const char *path, const struct buf *b)
{
	char temporary[PATH_MAX + 8];
	int fd, ok;

	snprintf(temporary, sizeof temporary, "%s.tmp", path);
	/* Made anew each time: what another user may have put there is not written to. */
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	ok = write(fd, b->p, b->len) == (ssize_t)b->len;
	close(fd);
	return ok && rename(temporary, path) == 0 ? 0 : -1;
}

int
report_metrics(const struct daemon *d, const char *path, struct err *e)
{
	struct figures f;
	char out[2048];
	struct buf b = BUF(out);
	struct stat st;

	/* Where a device or pipe stands there would be a file, and for everybody: /dev/stdout. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return fail(e, ERR_LOCAL, "--metrics %s: is there and no regular file: left alone", path);
	collect(d, &f);
	metric(&b, "uploaded_total", d->uploaded);
	metric(&b, "failed_total", d->failed);
	metric(&b, "bytes_total", d->bytes);
	metric(&b, "pending", f.c.all);
	metric(&b, "pending_bytes", f.c.bytes);
	metric(&b, "oldest_pending_seconds", f.oldest_s);
	metric(&b, "last_success_timestamp_seconds", (uint64_t)d->last_success);
	metric(&b, "overflows_total", f.w.overflows);
	metric(&b, "directories", f.w.dirs);
	metric(&b, "paused", (uint64_t)sync_paused(d->sync));
	return write_new(path, &b) < 0 ? fail_errno(e, "--metrics %s", path) : 0;
}
