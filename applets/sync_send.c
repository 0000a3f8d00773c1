#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "path.h"
#include "size_text.h"
#include "sync_file.h"
#include "sync_log.h"
#include "utc.h"

enum { UNREAD_MAX = 3 };   /* failures in a row for which a ledger that cannot be read is waited for */

/* A worker's own: not NULL while what it sends has not failed so far. */
static pthread_key_t well;

static void
set_well(struct daemon *d, int is)
{
	pthread_setspecific(well, is ? d : NULL);
}

void
sync_moved(void *daemon, size_t n)
{
	struct daemon *d = daemon;

	(void)n;
	if (pthread_getspecific(well))
		__atomic_store_n(&d->moved_at, clock_ms(), __ATOMIC_RELAXED);
}

/* In a worker: an outage is waited out within one upload, but --health and --status say at once what is wrong. */
static void
observe(void *daemon, const struct s3_attempt *a)
{
	struct daemon *d = daemon;
	int failing;

	if (a->why && a->again)
		sync_keep_error(d, path_base(a->key), a->why->msg);
	/* "It is there already" is an answer. */
	failing = a->why && (a->again || a->status / 100 != 4);
	__atomic_store_n(&d->failing, failing, __ATOMIC_RELAXED);
	/* That was no way to go on, then. */
	if (failing && pthread_getspecific(well))
		__atomic_store_n(&d->moved_at, 0, __ATOMIC_RELAXED);
	/* Who is only asked (HEAD) may know all and take nothing. */
	if (failing || *a->method == 'P')
		set_well(d, !failing);
	client_observe(NULL, a);
}

static struct file *
file_of(const struct upload *u)
{
	return (struct file *)u;
}

static void
started(struct upload *u)
{
	set_well(file_of(u)->d, !file_of(u)->x->failures);
	if (!file_of(u)->probe)
		log_r2(LOG_INFO, "Uploading: %s (%.2f MB)", path_base(u->plan.path), size_mib(u->plan.size));
}

static void
part(struct upload *u, int number, int percent)
{
	(void)u;
	log_r2(LOG_INFO, "  Part %d: %d%%", number, percent);
}

static void
note(struct upload *u, const char *text)
{
	log_r2(LOG_WARNING, "%s: %s", u->plan.path + u->plan.named, text);
}

static void
resumed(struct upload *u)
{
	log_r2(LOG_INFO, "%s: goes on: %.2f MB are there already", u->plan.path + u->plan.named, size_mib(u->r.resumed));
}

/* In a worker, mostly: hand it over and wake the loop. */
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
	*d->last = f;
	d->last = &f->next;
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
		.storage_class = set->storage_class, .journal_dir = *d->parts ? d->parts : NULL, .old_journals = *d->parts != '\0',
		.started = started, .part = part, .note = note, .resumed = resumed, .finished = finished,
	};
	d->replacing = d->fresh;
	pthread_key_create(&well, NULL);   /* the process's only one: there is room */
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
	const char *date = d->set->date;
	char day[UTC_DATE_CAP];
	struct buf b = buf_over(key, PATH_KEY_MAX + 1);
	struct stat st;

	if (!date || !strcmp(date, "mtime")) {
		utc_local_date(date && stat(path, &st) == 0 ? st.st_mtim.tv_sec : time(NULL), day);
		date = day;
	}
	path_key_join(&b, d->set->prefix, date, d->set->flat ? path_base(rel) : rel);
	return path_key_made(&b, e);
}

/* Another --prefix than when the path got its key: what was stored there stays, as it is. */
static int
below_prefix(const struct daemon *d, const char *key)
{
	char start[PATH_KEY_MAX + 1];
	struct buf b = BUF(start);

	path_key_join(&b, d->set->prefix, "", "");
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

static void
look_for_key(void *file, const char *rel, const struct ledger_record *r)
{
	struct file *f = file;

	if (r->state != LEDGER_DONE)
		return;
	f->shared |= !strcmp(r->key, f->r.key) && strcmp(rel, f->x->rel);
	if (!*r->etag)
		sync_shares(f->d, r->key);
}

/* --flat, now or at an earlier start: another file may have found its very content at our key. It is its only object, too: it stays, whatever
   becomes of ours. */
static int
is_shared(struct daemon *d, struct file *f)
{
	if (d->listed && !nfc_set_has(&d->shared, nfc_hash(f->r.key, strlen(f->r.key))))
		return 0;
	d->listed = 1;
	ledger_each(d->ledger, look_for_key, f);
	return f->shared;
}

/* Which key, and what may be overwritten there. A path keeps its key; its own object is known by its ETag. */
static int
plan(struct file *f, struct err *e)
{
	struct daemon *d = f->d;
	int begun, found;

	if (f->x->size > S3_OBJECT_MAX)
		return fail(e, ERR_USAGE, "%" PRIu64 " bytes are more than the 5 TiB that fit one object: split it", f->x->size);
	/* Its own object would stay as it is, and this one get another name, for ever. Better that than never, though. */
	found = ledger_find(d->ledger, f->x->rel, &f->r);
	if (found < 0 && f->x->failures < UNREAD_MAX)
		return fail_errno(e, "ledger");
	if (found <= 0 || !below_prefix(d, f->r.key))
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
	f->u.gone = &f->x->gone;
	if (*f->r.etag && is_shared(d, f))
		*f->r.etag = '\0';
	f->u.replaces = *f->r.etag ? f->r.etag : NULL;
	return ledger_put(d->ledger, f->x->rel, &f->r, e);
}

void
sync_begin(struct daemon *d, struct sync_entry *x)
{
	size_t n = strlen(d->dir) + strlen(x->rel) + 2;
	struct file *f = n > PATH_MAX ? NULL : calloc(1, sizeof *f + n);
	struct err e;

	if (!f) {
		fail(&e, ERR_LOCAL, n > PATH_MAX ? "its path is too long" : "out of memory");
		sync_not_begun(d, x, &e);
		return;
	}
	f->d = d;
	f->x = x;
	f->probe = sync_paused(d->sync);
	sync_path(d, x->rel, f->path, n);
	if (!x->told)
		sync_log(0, "New file: %s", f->path);
	x->told = 1;
	if (plan(f, &e) < 0)
		finished(&f->u, &e);
	else
		upload_submit(&d->pool, f->u.replaces ? &d->replacing : &d->fresh, &f->u);
}
