#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cleanup.h"
#include "clock.h"
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"
#include "transfer.h"

enum {
	BATCH_BYTES = 128 * 1024,   /* of the keys of one request, which may become six times as long in XML */
	SHARES = 16,                /* workers that delete one by one together */
};

enum { GONE, FAILED, UNTOUCHED };

/* The keys of one request. Deleted one by one, where the server cannot do otherwise, its shares are workers that take the next key each. */
struct batch {
	struct share {
		struct pool_job job;
		struct batch *b;
	} shares[SHARES];
	struct cleanup *c;
	int n, next, left;
	int ask_markers;
	size_t used;
	const char *keys[S3_DELETE_MAX];
	uint64_t size[S3_DELETE_MAX];
	int64_t modified[S3_DELETE_MAX];
	unsigned char state[S3_DELETE_MAX];
	char text[BATCH_BYTES];
};

int
cleanup_clock(const struct cleanup *c, struct err *e)
{
	/* A server that tells no time has compared ours with its own when it took the signature. */
	int64_t ahead = __atomic_load_n(&c->client->store.ahead_s, __ATOMIC_RELAXED), off;

	/* At boot ours may have been set right only after the cutoff was made. */
	ahead += time(NULL) - c->begun_s - (clock_ms() - c->begun_ms) / 1000;
	off = ahead < 0 ? -ahead : ahead;
	if (off <= 86400 || c->ignore_clock)
		return 0;
	return fail(e, ERR_LOCAL, "this machine's clock is %lld hours %s the server's, so nothing is deleted: set it, or say --ignore-clock if "
		"the server's is wrong", (long long)off / 3600, ahead < 0 ? "ahead of" : "behind");
}

/* Wrong keys or a lost network would fail everywhere. */
static int
of_one_prefix(const struct err *e)
{
	return e->kind == ERR_PROTO || (e->kind == ERR_HTTP && (e->status >= 500 || !strcmp(e->code, "AccessDenied")));
}

static int
list_one(struct cleanup *c, int (*list)(struct s3 *s, const struct s3_list *l, struct err *e), const struct s3_list *q, struct err *e)
{
	char shown[ENC_SHOW_CAP];

	/* ERR_LOCAL is no listing's: the clock, --max-delete, or a folder's that has been named. */
	if (list(&c->client->s3, q, e) == 0)
		return 0;
	if (e->kind == ERR_LOCAL || e->kind == ERR_STOPPED)
		return -1;
	enc_show_in(shown, sizeof shown, *q->prefix ? q->prefix : "the whole bucket");
	if (c->counting || !of_one_prefix(e))
		return fail(e, ERR_LOCAL, "Not listed: %s: %s", shown, e->msg);
	log_r2(LOG_ERROR, "Not listed: %s: %s", shown, e->msg);
	c->unlisted++;
	return 0;
}

static int
stopped(const struct cleanup *c)
{
	/* Or nobody reads any more. */
	return s3_stopping(&c->client->store) || err_kept(&c->broken) ||
		(c->dry_run && ferror(stdout));
}

int
cleanup_list(struct cleanup *c, int (*list)(struct s3 *s, const struct s3_list *l, struct err *e), const struct s3_list *what, struct err *e)
{
	char prefix[PATH_KEY_MAX + 2];
	struct s3_list q = *what;

	q.prefix = prefix;
	q.arg = c;
	for (int i = 0; i < c->prefixes.n && !stopped(c); i++) {
		c->sweep.prefix = c->prefixes.v[i];
		snprintf(prefix, sizeof prefix, "%s%s", c->sweep.prefix, *c->sweep.prefix ? "/" : "");
		if (list_one(c, list, &q, e) < 0)
			return -1;
	}
	return 0;
}

void
cleanup_print(int64_t t, const char *what, const char *key)
{
	char stamp[UTC_STAMP_CAP], text[PATH_KEY_MAX * 6 + 1];

	utc_local_stamp(t, stamp);
	printf("%s %10s %s\n", stamp, what, enc_show_in(text, sizeof text, key));
}

static void
print_json(const char *key, uint64_t size, int64_t modified, const char *status)
{
	struct json j;

	json_begin(&j);
	json_string(&j, "key", key);
	json_number(&j, "size", size);
	json_time(&j, "modified", modified);
	json_string(&j, "status", status);
	json_end(&j);
}

static void
print_old(const struct s3_entry *x)
{
	char size[24];

	if (client_args.json) {
		print_json(x->key, x->size, x->modified, "would-delete");
	} else if (!client_args.quiet) {
		snprintf(size, sizeof size, "%llu", (unsigned long long)x->size);
		cleanup_print(x->modified, size, x->key);
	}
}

/* All of the batch has been asked for. */
static void
finish(struct batch *b)
{
	struct cleanup *c = b->c;

	for (int i = 0; i < b->n; i++) {
		progress_file_done(&transfer_progress);
		if (client_args.json && b->state[i] != UNTOUCHED)
			print_json(b->keys[i], b->size[i], b->modified[i], b->state[i] == FAILED ? "failed" : "deleted");
		if (b->state[i])
			continue;
		log_r2(LOG_DEBUG, "Deleted: %s", b->keys[i]);
		__atomic_add_fetch(&c->deleted, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&c->deleted_bytes, b->size[i], __ATOMIC_RELAXED);
	}
	free(b);
}

static void
remains(void *arg, int index, const struct err *why)
{
	struct batch *b = arg;

	b->state[index] = why->kind == ERR_STOPPED ? UNTOUCHED : FAILED;
	if (why->kind == ERR_STOPPED)
		return;
	__atomic_add_fetch(&b->c->failed, 1, __ATOMIC_RELAXED);
	log_r2(LOG_ERROR, "Not deleted: %s: %s", b->keys[index], why->msg);
}

static void
run_share(struct pool_job *j, struct s3 *s)
{
	struct batch *b = ((struct share *)j)->b;
	struct err why;
	int marker = 0;

	for (int i; (i = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED)) < b->n;)
		if (s3_delete(s, b->keys[i], &marker, &why) < 0)
			remains(b, i, &why);
	if (marker)
		__atomic_store_n(&b->c->markers, 1, __ATOMIC_RELAXED);
	if (!__atomic_sub_fetch(&b->left, 1, __ATOMIC_ACQ_REL))
		finish(b);
}

/* What fails for all keys at once fails for those to come. */
static void
give_up(struct batch *b, const struct err *why)
{
	struct cleanup *c = b->c;

	memset(b->state, why->kind == ERR_STOPPED ? UNTOUCHED : FAILED, sizeof b->state);
	if (why->kind == ERR_STOPPED)
		return;
	__atomic_add_fetch(&c->failed, (uint64_t)b->n, __ATOMIC_RELAXED);
	err_keep(&c->broken, why);
}

static void
run_batch(struct pool_job *j, struct s3 *s)
{
	struct batch *b = ((struct share *)j)->b;
	struct s3_delete d = {.keys = b->keys, .n = b->n, .ask_markers = b->ask_markers, .remains = remains, .arg = b};
	struct err e;
	int rc = __atomic_load_n(&b->c->singly, __ATOMIC_RELAXED) ? 1 : s3_delete_many(s, &d, &e);

	if (rc < 0 && s3_delete_unknown(&e)) {
		__atomic_store_n(&b->c->singly, 1, __ATOMIC_RELAXED);
		rc = 1;
	}
	if (d.marker)
		__atomic_store_n(&b->c->markers, 1, __ATOMIC_RELAXED);
	if (rc == 1) {
		b->left = b->c->pool.max < SHARES ? b->c->pool.max : SHARES;
		for (int i = b->left - 1; i > 0; i--) {
			b->shares[i] = (struct share){{.run = run_share}, b};
			pool_submit(&b->c->pool, &b->shares[i].job);
		}
		run_share(j, s);
		return;
	}
	if (rc < 0)
		give_up(b, &e);
	finish(b);
}

static void
flush(void *arg)
{
	struct cleanup *c = arg;
	struct batch *b = c->batch;

	c->batch = NULL;
	if (!b)
		return;
	b->ask_markers = !c->batches++;
	progress_total(&transfer_progress, 0, (uint64_t)b->n);
	b->shares[0] = (struct share){{.run = run_batch}, b};
	pool_submit(&c->pool, &b->shares[0].job);
	pool_wait(&c->pool, (size_t)c->pool.max);
}

static int
add(struct cleanup *c, const struct s3_entry *x, struct err *e)
{
	size_t len = strlen(x->key) + 1;
	struct batch *b = c->batch;

	if (b && (b->n == S3_DELETE_MAX || b->used + len > sizeof b->text)) {
		flush(c);
		b = NULL;
	}
	if (!b && !(b = c->batch = calloc(1, sizeof *b)))
		return fail_memory(e);
	b->c = c;
	memcpy(b->text + b->used, x->key, len);
	b->keys[b->n] = b->text + b->used;
	b->size[b->n] = x->size;
	b->modified[b->n++] = x->modified;
	b->used += len;
	return 0;
}

static int
too_many(const struct cleanup *c)
{
	return c->max_delete >= 0 && c->found.objects > (uint64_t)c->max_delete;
}

/* What is old: counted, told, or on its way out. */
static int
take(struct cleanup *c, const struct s3_entry *x, struct err *e)
{
	if (!c->found.objects && cleanup_clock(c, e) < 0)
		return -1;
	cost_add(&c->found, x);
	if (c->counting)
		return 0;
	if (c->dry_run) {
		print_old(x);
		return 0;
	}
	if (too_many(c))
		return fail(e, ERR_LOCAL, "more have come since they were counted: stopped at --max-delete %ld", c->max_delete);
	return add(c, x, e);
}

static int
content(void *arg, const struct s3_entry *x, struct err *e)
{
	struct cleanup *c = arg;

	if (stopped(c))
		return 1;
	return sweep_judge(&c->sweep, x->key, x->modified) == SWEEP_OLD ? take(c, x, e) : 0;
}

static int
folder(void *arg, const struct s3_entry *x, struct err *e)
{
	struct cleanup *c = arg;
	struct s3_list q = {.prefix = x->key, .entry = content, .arg = c};
	const char *name = sweep_below(c->sweep.prefix, x->key);

	/* Listings are in order: behind the cutoff nothing is old. */
	if (stopped(c) || !name || strcmp(name, c->sweep.before) >= 0)
		return 1;
	return x->is_prefix && sweep_old_folder(&c->sweep, name) ? list_one(c, s3_list, &q, e) : 0;
}

/* Only what can be old is listed: folders first, then what is in the old ones. By modified it can be anywhere; and since such an object may be
   written anew at any time, what a page says is done before the next is asked for, however many pages there are. */
static int
pass(struct cleanup *c, struct err *e)
{
	struct s3_list q = {.delimiter = "/", .entry = folder};

	c->found = (struct cost_use){0};
	if (c->sweep.by_modified)
		q = (struct s3_list){.entry = content, .page = flush};
	return cleanup_list(c, s3_list, &q, e);
}

int
cleanup_files(struct cleanup *c, struct err *e)
{
	int rc = 0;

	c->counting = c->max_delete >= 0 && !c->dry_run;
	if (c->counting)
		rc = pass(c, e);
	c->counting = 0;
	if (rc == 0 && !too_many(c))
		rc = pass(c, e);
	if (rc == 0 && too_many(c))
		rc = fail(e, ERR_LOCAL, "%llu files would go, more than --max-delete %ld: nothing is deleted",
			(unsigned long long)c->found.objects, c->max_delete);
	if (rc == 0 && !stopped(c))
		flush(c);
	free(c->batch);
	pool_wait(&c->pool, 0);
	if (err_kept(&c->broken))
		rc = fail(e, c->broken.err.kind == ERR_USAGE ? ERR_LOCAL : c->broken.err.kind, "%llu files were not deleted: %s",
			(unsigned long long)c->failed, c->broken.err.msg);
	return rc;
}
