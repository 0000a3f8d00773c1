#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "utc.h"

/* One upload on its way; a worker's while it runs. */
struct file {
	struct upload u;
	struct daemon *d;
	struct sync_entry *x;
	struct file *next;
	struct ledger_record r;      /* how it was begun */
	char tag[17];
	int probe;                   /* while all is paused: not worth a line */
	int failed;
	struct err why;
	char path[];
};

static uint32_t
random32(void)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = (uint32_t)clock();
	return r;
}

static void
tell_failure(const struct sync_entry *x, const struct err *e, int64_t wait_ms)
{
	char again[32];
	int64_t s = (wait_ms + 999) / 1000;
	int minutes = s >= 100;

	snprintf(again, sizeof again, "%" PRId64 " %s", minutes ? (s + 30) / 60 : s, minutes ? "min" : "s");
	sync_log(1, "FAILED: %s: %s (tries again in %s)", path_base(x->rel), e->msg, again);
}

/* For --status and --health, which show it on terminals. */
static void
keep_error(struct daemon *d, const char *name, const char *msg)
{
	struct buf b;

	pthread_mutex_lock(&d->lock);
	b = (struct buf)BUF(d->last_error);
	enc_printable(&b, name, strnlen(name, 100));
	buf_str(&b, ": ");
	enc_printable(&b, msg, strlen(msg));
	buf_ellipsis(&b);
	pthread_mutex_unlock(&d->lock);
}

/* In a worker: an outage is waited out within one upload, but --health and --status say at once what is wrong. */
static void
observe(void *daemon, const struct s3_attempt *a)
{
	if (a->why && a->again)
		keep_error(daemon, path_base(a->key), a->why->msg);
	client_observe(NULL, a);
}

/* A failure of x, while it was looked at or sent. One fault of the account stops all: it is said once. So is one of the file itself. */
void
sync_failed_at(struct daemon *d, struct sync_entry *x, const struct err *e)
{
	enum sync_fault f = sync_fault_of(e);
	int was_paused = sync_paused(d->sync);
	int first = x->failures == 0;
	int64_t ms = sync_failed(d->sync, x, f, random32(), d->now);

	d->failed++;
	keep_error(d, path_base(x->rel), e->msg);
	if (was_paused ? 0 : f != SYNC_FILE || first)
		tell_failure(x, e, ms);
	if (!was_paused && sync_paused(d->sync))
		sync_log(1, "Uploads pause until this is mended; they go on by themselves");
}

static struct file *
file_of(const struct upload *u)
{
	return (struct file *)u;
}

static void
started(struct upload *u)
{
	if (!file_of(u)->probe)
		log_r2(LOG_INFO, "Uploading: %s (%.2f MB)", path_base(u->plan.path), (double)u->plan.size / 1048576);
}

static void
part(struct upload *u, int number, int percent)
{
	(void)u;
	if (percent >= 0)
		log_r2(LOG_INFO, "  Part %d: %d%%", number, percent);
	else
		log_r2(LOG_INFO, "  Part %d", number);
}

static void
note(struct upload *u, const char *text)
{
	log_r2(LOG_WARNING, "%s: %s", path_base(u->plan.path), text);
}

static void
resumed(struct upload *u)
{
	log_r2(LOG_INFO, "%s: goes on: %.2f MB are there already", path_base(u->plan.path), (double)u->r.resumed / 1048576);
}

/* In a worker: hand it over and wake the loop. */
static void
finished(struct upload *u, const struct err *e)
{
	struct file *f = file_of(u);
	struct daemon *d = f->d;
	uint64_t one = 1;

	f->failed = e != NULL;
	if (e)
		f->why = *e;
	pthread_mutex_lock(&d->lock);
	f->next = d->ended;
	d->ended = f;
	pthread_mutex_unlock(&d->lock);
	if (write(d->wake_fd, &one, sizeof one) < 0)
		return;   /* full: the loop is awake anyway */
}

void
sync_files_open(struct daemon *d)
{
	static const enum upload_if_exists modes[] = {UPLOAD_RENAME, UPLOAD_SKIP, UPLOAD_FAIL, UPLOAD_OVERWRITE};
	const struct sync_settings *set = d->set;

	d->fresh = (struct upload_options){
		.if_exists = modes[set->if_exists], .threshold = set->threshold, .part_size = set->part_size,
		.storage_class = set->storage_class, .journal_dir = *d->parts ? d->parts : NULL,
		.started = started, .part = part, .note = note, .resumed = resumed, .finished = finished,
	};
	d->replacing = d->fresh;
	client_args.tells_failures = 1;
	d->client.store.observe = observe;
	d->client.store.arg = d;
	if (d->fresh.if_exists != UPLOAD_OVERWRITE)
		d->replacing.if_exists = UPLOAD_REPLACE;
}

/* The key of a path that has none yet. */
static int
new_key(const struct daemon *d, const char *rel, const char *path, char key[PATH_KEY_MAX + 1], struct err *e)
{
	const char *prefix = d->set->prefix ? d->set->prefix : d->client.cfg.prefix, *date = d->set->date;
	char day[UTC_DATE_CAP];
	struct buf b = {key, 0, PATH_KEY_MAX + 1, 0};
	struct stat st;

	if (!date || !strcmp(date, "mtime")) {
		utc_local_date(date && stat(path, &st) == 0 ? st.st_mtim.tv_sec : time(NULL), day);
		date = day;
	}
	buf_reset(&b);
	path_key_join(&b, prefix, date, d->set->flat ? path_base(rel) : rel);
	if (!buf_ok(&b))
		return fail(e, ERR_USAGE, "its key would be longer than %d bytes: shorten the name", PATH_KEY_MAX);
	return path_key_check(key, e);
}

/* Another --prefix than when the path got its key: what was stored there stays, as it is. */
static int
below_prefix(const struct daemon *d, const char *key)
{
	char start[PATH_KEY_MAX + 1];
	struct buf b = BUF(start);

	path_key_join(&b, d->set->prefix ? d->set->prefix : d->client.cfg.prefix, "", "");
	return !strncmp(key, start, b.len);
}

/* Whose object it is: a random number, sent with it and noted before. What a kill kept the ledger from noting as done is known by it. It stays
   the same until it is done. A record of what is begun has no state of the file yet: the number stands there. */
static const char *
make_tag(struct file *f, int begun)
{
	uint64_t n = (uint64_t)f->r.file.mtime_ns;

	if (!begun && getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
		n = 0;
	f->r.file = (struct ledger_file){.mtime_ns = (int64_t)n};
	snprintf(f->tag, sizeof f->tag, "%016" PRIx64, n);
	return n ? f->tag : NULL;
}

/* Which key, and what may be overwritten there. A path keeps its key; its own object is known by its ETag. */
static int
plan(struct file *f, struct err *e)
{
	struct daemon *d = f->d;
	int begun;

	if (f->x->size > S3_OBJECT_MAX)
		return fail(e, ERR_USAGE, "%" PRIu64 " bytes are more than the 5 TiB that fit one object: split it", f->x->size);
	if (!ledger_find(d->ledger, f->x->rel, &f->r) || !below_prefix(d, f->r.key))
		f->r = (struct ledger_record){0};
	begun = *f->r.key && f->r.state == LEDGER_BEGUN;
	if (!*f->r.key && new_key(d, f->x->rel, f->path, f->r.key, e) < 0)
		return -1;
	f->u.tag = make_tag(f, begun);
	f->r.state = LEDGER_BEGUN;
	f->u.plan.path = f->path;
	f->u.plan.named = strlen(f->path) - strlen(f->x->rel);
	f->u.plan.size = f->x->size;
	memcpy(f->u.plan.key, f->r.key, sizeof f->u.plan.key);
	f->u.replaces = *f->r.etag ? f->r.etag : NULL;
	return ledger_put(d->ledger, f->x->rel, &f->r, e);
}

void
sync_begin(struct daemon *d, struct sync_entry *x)
{
	size_t n = strlen(d->dir) + strlen(x->rel) + 2;
	struct file *f = n > PATH_MAX ? NULL : calloc(1, sizeof *f + n);
	struct err e = {0};

	if (!f) {
		fail(&e, ERR_LOCAL, n > PATH_MAX ? "its path is too long" : "out of memory");
		sync_failed_at(d, x, &e);
		return;
	}
	f->d = d;
	f->x = x;
	f->probe = sync_paused(d->sync);
	sync_path(d, x->rel, f->path, n);
	if (!x->told)
		sync_log(0, "New file: %s", f->path);
	x->told = 1;
	if (plan(f, &e) < 0) {
		sync_failed_at(d, x, &e);
		free(f);
		return;
	}
	upload_submit(&d->pool, f->u.replaces ? &d->replacing : &d->fresh, &f->u);
}

static void
print_json(const struct file *f)
{
	struct json j;

	if (!client_args.json)
		return;
	json_begin(&j);
	json_string(&j, "file", f->path);
	json_string(&j, "status", f->failed ? "failed" : "uploaded");
	json_string(&j, "bucket", f->d->client.cfg.bucket);
	json_string(&j, "key", *f->u.r.key ? f->u.r.key : f->u.plan.key);
	json_number(&j, "size", f->u.r.size);
	if (f->failed)
		json_string(&j, "error", f->why.msg);
	else
		json_string(&j, "etag", f->u.r.etag);
	json_number(&j, "attempts", (uint64_t)f->u.r.attempts);
	json_number(&j, "resumed", f->u.r.resumed);
	json_end(&j);
	fflush(stdout);
}

static void
stored(struct daemon *d, struct file *f)
{
	const struct upload_result *r = &f->u.r;
	struct ledger_record *rec = &f->r;
	int ours = r->outcome == UPLOAD_STORED || r->ours;
	int was_paused = sync_paused(d->sync);
	struct sync_counts c;
	struct err e = {0};

	rec->state = LEDGER_DONE;
	rec->file = ledger_file_of(&f->u.src.was);
	/* What was skipped is nowhere: without a key, --delete-after keeps it. */
	snprintf(rec->key, sizeof rec->key, "%s", r->outcome == UPLOAD_SKIPPED ? "" : r->key);
	/* The same content that somebody else put there: done, but not ours to replace. */
	snprintf(rec->etag, sizeof rec->etag, "%s", ours ? r->etag : "");
	if (ledger_put(d->ledger, f->x->rel, rec, &e) < 0)
		sync_log(1, "ERROR: %s: uploaded, but cannot be remembered: %s", f->x->rel, e.msg);
	else if (r->outcome != UPLOAD_SKIPPED)
		sync_consider_removal(d, f->x->rel, &f->u.src.was);
	if (r->outcome == UPLOAD_SKIPPED) {
		log_r2(LOG_INFO, "Skipped: s3://%s/%s (there already)", d->client.cfg.bucket, r->key);
	} else {
		log_r2(LOG_INFO, "Uploaded: s3://%s/%s", d->client.cfg.bucket, r->key);
		sync_log(0, "Uploaded: %s", path_base(f->path));
	}
	d->uploaded++;
	d->bytes += r->size;
	d->last_success = time(NULL);
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

	if (f->why.kind == ERR_CHANGED || (f->why.kind == ERR_LOCAL && access(f->path, F_OK) < 0)) {
		sync_seen(d->sync, f->x->rel, d->now, &e);
		sync_done(d->sync, f->x, d->now);
	} else if (f->why.kind == ERR_STOPPED) {
		sync_failed(d->sync, f->x, SYNC_NETWORK, random32(), d->now);
	} else {
		sync_failed_at(d, f->x, &f->why);
	}
}

int
sync_settle(struct daemon *d)
{
	struct file *f, *next, *in_order = NULL;

	pthread_mutex_lock(&d->lock);
	f = d->ended;
	d->ended = NULL;
	pthread_mutex_unlock(&d->lock);
	for (; f; f = next) {
		next = f->next;
		f->next = in_order;
		in_order = f;
	}
	for (f = in_order; f; f = next) {
		next = f->next;
		print_json(f);
		if (f->failed)
			not_stored(d, f);
		else
			stored(d, f);
		free(f);
	}
	return in_order != NULL;
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
