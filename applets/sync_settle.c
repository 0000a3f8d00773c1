#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"
#include "sync_file.h"
#include "sync_log.h"

enum { KEPT_NAME = 100 };   /* bytes of it in an error that is kept */

static void
tell_failure(const struct sync_entry *x, const struct err *e, int64_t wait_ms)
{
	char again[32];
	int64_t s = (wait_ms + 999) / 1000;
	int minutes = s >= 100;

	snprintf(again, sizeof again, "%" PRId64 " %s", minutes ? (s + 30) / 60 : s, minutes ? "min" : "s");
	sync_log(1, "FAILED: %s: %s (tries again in %s)", x->rel, e->msg, again);
}

void
sync_keep_error(struct daemon *d, const char *name, const char *msg)
{
	struct buf b;

	pthread_mutex_lock(&d->lock);
	b = BUF(d->last_error);
	enc_printable(&b, name, strnlen(name, KEPT_NAME));
	buf_str(&b, ": ");
	enc_printable(&b, msg, strlen(msg));
	buf_ellipsis(&b);
	pthread_mutex_unlock(&d->lock);
}

/* A failure of x, while it was looked at or sent. One fault of the account stops all: it is said once. So is one of the file itself. */
static void
failed_at(struct daemon *d, struct sync_entry *x, const struct err *e)
{
	enum sync_fault f = sync_fault_of(e);
	int was_paused = sync_paused(d->sync);
	int first = x->failures == 0;
	int64_t ms = sync_failed(d->sync, x, f, clock_jitter(), d->now);

	d->failed++;
	sync_keep_error(d, strlen(x->rel) > KEPT_NAME ? path_base(x->rel) : x->rel, e->msg);
	if (was_paused ? 0 : f != SYNC_FILE || first)
		tell_failure(x, e, ms);
	if (!was_paused && sync_paused(d->sync))
		sync_log(1, "Uploads pause until this is mended; they go on by themselves");
}

/* u NULL: nothing was begun. why: of a failure. */
static void
print_json(const struct daemon *d, const char *path, const char *status, const struct upload *u, const char *why)
{
	static struct upload none;      /* not const: then its zeros would be in the program */
	static int lost;
	static int begun;               /* a line that nobody took the rest of */
	int takes = 1;
	struct json j;
	size_t n;

	if (!client_args.json)
		return;
	u = u ? u : &none;
	json_begin(&j);
	json_string(&j, "file", path);
	json_string(&j, "status", status);
	json_string(&j, "bucket", d->client.cfg.bucket);
	json_string(&j, "key", *u->r.key ? u->r.key : u->plan.key);
	json_number(&j, "size", u->r.size);
	if (why)
		json_string(&j, "error", why);
	else
		json_string(&j, "etag", u->r.etag);
	json_number(&j, "attempts", (uint64_t)u->r.attempts);
	json_number(&j, "resumed", u->r.resumed);
	for (const char *text = json_text(&j), *p = text; *p && (takes = sync_log_takes_lines()); p += n) {
		n = strnlen(p, PIPE_BUF - 1);   /* and the end of one that was cut off */
		if (begun && p == text)
			putchar('\n');
		fwrite(p, 1, n, stdout);
		fflush(stdout);
		begun = p[n - 1] != '\n';
	}
	json_free(&j);
	if (!takes && !lost++)
		sync_log(1, "WARNING: nobody reads standard output: lines are missing there");
	lost *= !takes;
}

void
sync_not_begun(struct daemon *d, struct sync_entry *x, const struct err *e)
{
	char path[PATH_MAX];

	sync_path(d, x->rel, path, sizeof path);
	print_json(d, path, "failed", NULL, e->msg);
	failed_at(d, x, e);
}

void
sync_left(const struct daemon *d, const char *path, const char *why)
{
	print_json(d, path, "left", NULL, why);
}

void
sync_shares(struct daemon *d, const char *key)
{
	d->listed &= nfc_set_add(&d->shared, nfc_hash(key, strlen(key))) >= 0;
}

static void
stored(struct daemon *d, struct file *f)
{
	const struct upload_result *r = &f->u.r;
	struct ledger_record *rec = &f->r;
	int ours = r->outcome == UPLOAD_STORED || r->ours;
	int was_paused = sync_paused(d->sync);
	struct sync_counts c;
	struct err e;

	rec->state = LEDGER_DONE;
	rec->file = ledger_file_of(&f->u.src.was);
	if (f->x->seen && d->in_memory)
		rec->file = (struct ledger_file){0};
	/* What was skipped is nowhere: without a key, --delete-after keeps it. */
	snprintf(rec->key, sizeof rec->key, "%s", r->outcome == UPLOAD_SKIPPED ? "" : r->key);
	/* The same content that somebody else put there: done, but not ours to replace. */
	snprintf(rec->etag, sizeof rec->etag, "%s", ours ? r->etag : "");
	if (!ours)
		sync_shares(d, rec->key);
	if (f->x->gone)
		ledger_forget(d->ledger, f->x->rel, &e);
	else if (ledger_put(d->ledger, f->x->rel, rec, &e) < 0)
		sync_log(1, "ERROR: %s: uploaded, but cannot be remembered: %s", f->x->rel, e.msg);
	else if (r->outcome != UPLOAD_SKIPPED)
		sync_consider_removal(d, f->x->rel, &f->u.src.was);
	if (r->outcome == UPLOAD_SKIPPED) {
		log_r2(LOG_INFO, "Skipped: s3://%s/%s (there already)", d->client.cfg.bucket, r->key);
	} else {
		log_r2(LOG_INFO, "Uploaded: s3://%s/%s", d->client.cfg.bucket, r->key);
		sync_log(0, "Uploaded: %s", path_base(f->path));
		d->uploaded++;
		d->bytes += r->size;
		d->last_success = time(NULL);
	}
	sync_done(d->sync, f->x, d->now);
	sync_count(d->sync, &c);
	pthread_mutex_lock(&d->lock);
	if (!c.n[SYNC_RETRY])
		*d->last_error = '\0';
	pthread_mutex_unlock(&d->lock);
	if (was_paused)
		sync_log(1, "Uploads go on");
}

/* Not stored. What changed under it, or is gone, is looked at again, which is no failure. */
static void
not_stored(struct daemon *d, struct file *f)
{
	struct err e;

	if (f->x->gone)
		ledger_forget(d->ledger, f->x->rel, &e);
	if (f->why.kind == ERR_CHANGED || (f->why.kind == ERR_LOCAL && access(f->path, F_OK) < 0)) {
		sync_seen(d->sync, f->x->rel, d->now, &e);
		sync_undone(d->sync, f->x);
	} else if (f->why.kind != ERR_STOPPED) {    /* the end, which names it as what still runs */
		failed_at(d, f->x, &f->why);
	}
}

void
sync_settle(struct daemon *d)
{
	static const char *const outcomes[] = {[UPLOAD_STORED] = "uploaded", [UPLOAD_SAME] = "same", [UPLOAD_SKIPPED] = "skipped"};
	struct file *f, *next;

	pthread_mutex_lock(&d->lock);
	f = d->ended;
	d->ended = NULL;
	d->last = &d->ended;
	pthread_mutex_unlock(&d->lock);
	for (; f; f = next) {
		next = f->next;
		print_json(d, f->path, f->failed ? "failed" : outcomes[f->u.r.outcome], &f->u, f->failed ? f->why.msg : NULL);
		if (f->failed)
			not_stored(d, f);
		else
			stored(d, f);
		free(f);
	}
}

int
sync_files_ended(struct daemon *d)
{
	int some;

	pthread_mutex_lock(&d->lock);
	some = d->ended != NULL;
	pthread_mutex_unlock(&d->lock);
	return some;
}
