#include <errno.h>
#include <fcntl.h>
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
#include "private.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "utc.h"

enum {
	LOOKS_A_TURN = 500,       /* files looked at between two readings of events */
	SAVE_MS = 1000,           /* what the ledger has not fsynced grows this old, */
	SAVE_BUSY_MS = 5000,      /* or this old while there is something to upload: an fsync may take long, and nothing goes on meanwhile */
	SAVE_ROOM_MS = 200,
};

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

static void
absolute(const struct daemon *d, const char *rel, char *out, size_t cap)
{
	struct buf b = {out, 0, cap, 0};

	buf_fmt(&b, "%s/%s", strcmp(d->dir, "/") ? d->dir : "", rel);
}

static uint32_t
random32(void)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = (uint32_t)clock();
	return r;
}

static int
is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Since when this daemon knows the file as it is: what was there before its first start. */
static int
is_old(const struct daemon *d, const struct stat *st)
{
	return d->old_ones && is_before(&st->st_ctim, &d->started) && is_before(&st->st_mtim, &d->started);
}

static void
doom(struct daemon *d, const char *rel)
{
	size_t n = strlen(rel) + 1;
	struct doomed *x = malloc(sizeof *x + n);

	/* Without memory it stays until the next scan finds it. Nor do these pile up with each scan while a disk is full. */
	if (!x || d->ledger_failing) {
		free(x);
		return;
	}
	memcpy(x->rel, rel, n);
	x->next = d->doomed;
	d->doomed = x;
}

/* --delete-after, for a file whose verified object the ledger knows. */
static void
consider_removal(struct daemon *d, const char *rel, const struct stat *st)
{
	int64_t left;

	if (d->set->delete_ms < 0)
		return;
	left = d->set->delete_ms - ((int64_t)time(NULL) - st->st_mtim.tv_sec) * 1000;
	if (d->set->delete_ms == 0 || left <= 0)
		doom(d, rel);
	else if (d->delete_at < 0 || d->now + left < d->delete_at)
		d->delete_at = d->now + left;
}

/* Everything that may change until the file is quiet: two looks must agree. */
static uint64_t
fingerprint(const struct stat *st)
{
	uint64_t v[] = {(uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec, st->st_ino}, h = 14695981039346656037ULL;

	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		h = (h ^ v[i]) * 1099511628211ULL;
	return h;
}

void
sync_changed(void *daemon, const char *rel, const struct stat *st)
{
	struct daemon *d = daemon;
	struct ledger_file f;
	struct err e = {0};

	if (st) {
		f = ledger_file_of(st);
		if (ledger_has(d->ledger, rel, &f)) {
			consider_removal(d, rel, st);
			return;
		}
		if (is_old(d, st)) {
			struct ledger_record r = {.state = LEDGER_DONE, .file = f};

			ledger_put(d->ledger, rel, &r, &e);
			return;
		}
	}
	if ((st ? sync_found(d->sync, rel, fingerprint(st), d->now, &e) : sync_seen(d->sync, rel, d->now, &e)) < 0)
		sync_log(1, "ERROR: %s: %s: it is looked at again with the next scan", rel, e.msg);
}

/* A single file is looked at once more when it has been away for the settle time: programs replace files by removing them first. */
void
sync_vanished(void *daemon, const char *rel, int is_dir)
{
	struct daemon *d = daemon;
	struct err e;

	if (is_dir)
		sync_gone(d->sync, rel, is_dir, d->now);
	else
		sync_seen(d->sync, rel, d->now, &e);
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
static void
failed(struct daemon *d, struct sync_entry *x, const struct err *e)
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

/* The file cannot be opened or is none any more. */
static void
look_failed(struct daemon *d, struct sync_entry *x, int why)
{
	struct err e = {0};

	if (why == ENOENT || why == ENOTDIR || why == ENXIO || why == ELOOP) {
		ledger_forget(d->ledger, x->rel, &e);
		sync_drop(d->sync, x);
	} else if (why == EMFILE || why == ENFILE || why == ENOMEM) {
		/* Ours, not the file's: as if somebody had it open. */
		sync_held(d->sync, x, d->now);
	} else {
		errno = why;
		fail_errno(&e, "cannot be read");
		failed(d, x, &e);
	}
}

static void
look(struct daemon *d, struct sync_entry *x)
{
	char path[PATH_MAX];
	struct ledger_file f;
	struct stat st;
	int fd, busy;

	absolute(d, x->rel, path, sizeof path);
	/* Not opened before it is known to be a file: opening a FIFO or a device does things. */
	if (stat(path, &st) < 0 || (S_ISREG(st.st_mode) && (fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0)) {
		look_failed(d, x, errno);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		sync_drop(d->sync, x);
		return;
	}
	busy = fstat(fd, &st) < 0 ? 0 : watch_busy(fd);
	close(fd);
	f = ledger_file_of(&st);
	if (busy == 1) {
		sync_held(d->sync, x, d->now);
	} else if (ledger_has(d->ledger, x->rel, &f)) {
		consider_removal(d, x->rel, &st);
		sync_drop(d->sync, x);
	} else if (busy == 0) {
		sync_ready(d->sync, x, (uint64_t)st.st_size);
	} else {
		sync_unsure(d->sync, x, (uint64_t)st.st_size, fingerprint(&st), d->now);
	}
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
	f->u.plan.size = f->x->size;
	memcpy(f->u.plan.key, f->r.key, sizeof f->u.plan.key);
	f->u.replaces = *f->r.etag ? f->r.etag : NULL;
	return ledger_put(d->ledger, f->x->rel, &f->r, e);
}

static void
begin(struct daemon *d, struct sync_entry *x)
{
	size_t n = strlen(d->dir) + strlen(x->rel) + 2;
	struct file *f = n > PATH_MAX ? NULL : calloc(1, sizeof *f + n);
	struct err e = {0};

	if (!f) {
		fail(&e, ERR_LOCAL, n > PATH_MAX ? "its path is too long" : "out of memory");
		failed(d, x, &e);
		return;
	}
	f->d = d;
	f->x = x;
	f->probe = sync_paused(d->sync);
	absolute(d, x->rel, f->path, n);
	if (!x->told)
		sync_log(0, "New file: %s", f->path);
	x->told = 1;
	if (plan(f, &e) < 0) {
		failed(d, x, &e);
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
		consider_removal(d, f->x->rel, &f->u.src.was);
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
		failed(d, f->x, &f->why);
	}
}

static int
settle(struct daemon *d)
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

int
sync_files_step(struct daemon *d)
{
	struct sync_entry *x;
	int did = settle(d);

	for (int i = 0; i < LOOKS_A_TURN && (x = sync_look(d->sync, d->now)); i++, did = 1)
		look(d, x);
	/* At the end there is nobody to begin it. */
	for (; d->pool_open && (x = sync_start(d->sync, d->now)); did = 1)
		begin(d, x);
	return did;
}

static void
remove_doomed(struct daemon *d)
{
	struct doomed *x, *next;
	struct err e;

	for (x = d->doomed, d->doomed = NULL; x; x = next) {
		next = x->next;
		if (sync_remove(d, x->rel)) {
			/* What comes at this path is another file: never over this one's object. */
			ledger_forget(d->ledger, x->rel, &e);
			sync_log(0, "Removed: %s", x->rel);
		}
		free(x);
	}
}

int64_t
sync_files_save_at(const struct daemon *d)
{
	struct sync_counts c;
	int64_t wake = sync_wake_ms(d->sync, d->now);

	if (!ledger_dirty(d->ledger))
		return -1;
	sync_count(d->sync, &c);
	return d->synced_at + (c.n[SYNC_RUNNING] || (wake >= 0 && wake < d->now + SAVE_ROOM_MS) ? SAVE_BUSY_MS : SAVE_MS);
}

void
sync_files_save(struct daemon *d, int now)
{
	struct err e = {0}, again;
	int ok = 1;

	if (ledger_dirty(d->ledger)) {
		if (!now && d->now < sync_files_save_at(d))
			return;
		d->synced_at = d->now;
		ok = ledger_sync(d->ledger, &e) == 0;
		/* DIR was removed with all in it, and made again. Where Landlock holds us, the new one is not ours to write: a restart is. */
		if (!ok && private_dir(d->state, &again) == 0)
			ok = ledger_sync(d->ledger, &e) == 0;
		if (!ok && !d->ledger_failing)
			sync_log(1, "WARNING: the ledger cannot be written: %s: uploads go on, remembered in memory only", e.msg);
		else if (ok && d->ledger_failing)
			sync_log(1, "The ledger is complete again");
		d->ledger_failing = !ok;
	}
	if (ok)
		remove_doomed(d);
}
