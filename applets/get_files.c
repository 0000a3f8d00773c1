#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "get_files.h"
#include "json.h"
#include "log.h"
#include "private.h"
#include "size_text.h"
#include "transfer.h"

enum { QUEUE_MAX = 64 };   /* objects looked at ahead, unless -j is more: bounds the memory of a list */

/* One object; freed when it is finished. */
struct item {
	struct download d;
	struct get_run *run;
	int64_t started_ms;          /* 0: not yet */
};

/* Where it is, as the user would write it. */
static const char *
shown_path(char out[PATH_MAX + 512], const struct get_run *run, const char *rel)
{
	struct buf b = buf_over(out, PATH_MAX + 512);

	if (strcmp(run->dir, "."))
		buf_fmt(&b, "%s%s", run->dir, run->dir[strlen(run->dir) - 1] == '/' ? "" : "/");
	buf_str(&b, rel);
	return out;
}

/* What a file's line says, in either way to get it. */
struct outcome {
	const char *key, *file, *status;
	const struct s3_object_info *object;
	enum download_proof proof;
	uint64_t resumed;
	int attempts;
	long ms;
	const struct err *e;
};

static void
print_json(const struct get_run *run, const struct outcome *o)
{
	struct json j;

	if (!client_args.json)
		return;
	json_begin(&j);
	json_string(&j, "key", o->key);
	json_string(&j, "file", o->file);
	json_string(&j, "status", o->status);
	json_string(&j, "bucket", run->client->cfg.bucket);
	json_number(&j, "size", o->object->size);
	json_string(&j, "etag", o->object->etag);
	json_seconds(&j, "seconds", o->ms);
	json_number(&j, "attempts", (uint64_t)o->attempts);
	json_number(&j, "resumed", o->resumed);
	if (o->proof >= DOWNLOAD_MD5)
		json_string(&j, "verified", o->proof == DOWNLOAD_MD5 ? "md5" : "parts-md5");
	else
		buf_str(&j.b, ",\"verified\":null");
	if (o->e)
		json_string(&j, "error", o->e->msg);
	json_end(&j);
}

static void
say_proof(const char *key, enum download_proof proof, const char *etag)
{
	if (proof == DOWNLOAD_NO_MD5)
		log_r2(LOG_DEBUG, "%s: not verified: its ETag (%s) is no MD5", key, etag);
	else if (proof == DOWNLOAD_NO_PART_SIZE)
		log_r2(LOG_WARNING, "%s: not verified: the server does not say how large the parts are that its ETag (%s) covers, "
			"and no usual size fits", key, etag);
}

/* Of a fault of this machine the file is told, too. */
static void
say_failed(const char *key, const char *file, const struct err *e)
{
	int local = e->kind == ERR_LOCAL;

	log_r2(LOG_ERROR, "Download failed: %s: %s%s%s", key, local ? file : "", local ? ": " : "", e->msg);
}

static void
started(struct download *d)
{
	struct item *it = d->arg;
	int first = !it->started_ms;

	progress_total(&transfer_progress, d->object.size, 0);
	progress_adjust(&transfer_progress, (int64_t)d->resumed);
	if (!first)
		return;
	it->started_ms = clock_ms();
	log_r2(LOG_INFO, "Downloading: %s (%.2f MB)", path_base(d->key), size_mib(d->object.size));
	if (d->resumed)
		log_r2(LOG_INFO, "%s: goes on: %.2f MB are there already", path_base(d->key), size_mib(d->resumed));
}

static void
again(struct download *d, uint64_t lost, const char *why)
{
	log_r2(LOG_WARNING, "%s: %s: starts again", path_base(d->key), why);
	/* What is to be done is less now, and so is what is done. */
	progress_total(&transfer_progress, -d->object.size, 0);
	progress_adjust(&transfer_progress, -(int64_t)lost);
}

static const char *
log_outcome(const struct item *it, const char *path)
{
	const struct download *d = &it->d;

	if (d->skipped) {
		/* Of a tree that is fetched again, most is unchanged, and no news. */
		log_r2(it->run->options.if_exists == DOWNLOAD_SKIP ? LOG_INFO : LOG_DEBUG, "Skipped: %s (there already)", path);
		return "skipped";
	}
	if (it->started_ms)
		say_proof(d->key, d->proof, d->object.etag);
	log_r2(LOG_INFO, "Downloaded: %s", path);
	return "downloaded";
}

static void
finished(struct download *d, const struct err *e)
{
	struct item *it = d->arg;
	struct outcome o = {.key = d->key, .status = "failed", .object = &d->object, .resumed = d->resumed,
		.attempts = d->attempts, .ms = it->started_ms ? (long)(clock_ms() - it->started_ms) : 0, .e = e};
	char path[PATH_MAX + 512];

	o.file = shown_path(path, it->run, d->rel);
	if (e) {
		say_failed(d->key, path, e);
	} else {
		o.status = log_outcome(it, path);
		o.proof = d->skipped ? DOWNLOAD_NO_MD5 : d->proof;
		__atomic_add_fetch(&it->run->done, 1, __ATOMIC_RELAXED);
	}
	progress_file_done(&transfer_progress);
	print_json(it->run, &o);
	free(it);
}

static int
open_dir(struct get_run *run, struct err *e)
{
	char path[PATH_MAX];
	int why = EEXIST;

	if (run->dir_fd >= 0)
		return 0;
	if (snprintf(path, sizeof path, "%s", run->dir) < (int)sizeof path && private_make_dirs(path, 0, 0777) < 0)
		why = errno;
	run->dir_fd = open(run->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* It is not there because it could not be made. */
	if (run->dir_fd < 0 && errno == ENOENT && why != EEXIST)
		errno = why;
	if (run->dir_fd < 0 && errno == ENOTDIR)
		return fail(e, ERR_LOCAL, "%s: is no directory, and one is needed", err_show(e, run->dir));
	return run->dir_fd < 0 ? fail_errno(e, "%s", err_show(e, run->dir)) : 0;
}

/* One that is not begun. */
static void
refuse(struct get_run *run, const char *key, const char *rel, const struct err *e)
{
	const struct s3_object_info none = {0};
	char path[PATH_MAX + 512];
	struct outcome o = {.key = key, .file = shown_path(path, run, rel), .status = "failed", .object = &none, .e = e};

	run->files++;
	say_failed(key, path, e);
	print_json(run, &o);
}

/* x is what a listing says of it, or NULL. */
static void
submit(struct get_run *run, const char *key, const char *rel, const struct s3_entry *x)
{
	struct item *it = strlen(key) <= PATH_KEY_MAX ? calloc(1, sizeof *it) : NULL;
	struct err e;

	if (!it) {
		if (strlen(key) <= PATH_KEY_MAX)
			fail_memory(&e);
		else
			fail(&e, ERR_LOCAL, "too long for a key");
		refuse(run, key, rel, &e);
		return;
	}
	run->files++;
	it->run = run;
	it->d = (struct download){.dir_fd = run->dir_fd, .started = started, .again = again, .finished = finished, .arg = it};
	strcpy(it->d.key, key);
	strcpy(it->d.rel, rel);
	if (x && *x->etag && strlen(x->etag) < S3_ETAG_CAP) {
		it->d.known = 1;
		it->d.object.size = x->size;
		it->d.object.modified = x->modified;
		strcpy(it->d.object.etag, x->etag);
	}
	progress_total(&transfer_progress, 0, 1);
	download_submit(&run->pool, &run->options, &it->d);
	pool_wait(&run->pool, (size_t)(run->pool.max > QUEUE_MAX ? run->pool.max : QUEUE_MAX));
}

/* Directories that would be made for a key that is not there would stay behind: then it is asked for first. */
static int
is_missing(struct get_run *run, const char *key, const char *rel)
{
	struct s3_object_info ignored;
	struct err why;

	if (access(run->dir, F_OK) == 0 && !strchr(rel, '/'))
		return 0;
	if (s3_head_meta(&run->client->s3, key, &ignored, NULL, &why) == 0)
		return 0;
	refuse(run, key, rel, &why);
	return 1;
}

int
get_one(struct get_run *run, const char *key, const char *rel, struct err *e)
{
	if (is_missing(run, key, rel))
		return 0;
	if (open_dir(run, e) < 0)
		return -1;
	submit(run, key, rel, NULL);
	pool_wait(&run->pool, 0);
	return 0;
}

struct listing {
	struct get_run *run;
	const char *pattern;
	size_t skip;             /* bytes of a key that are no part of the name */
};

static int
entry(void *arg, const struct s3_entry *x, struct err *e)
{
	struct listing *l = arg;

	if (s3_stopping(&l->run->client->store))
		return 1;
	/* The object that stands for the directory itself, unless it has content: that is not dropped in silence. */
	if (!x->key[l->skip] && !x->size)
		return 0;
	if (l->pattern && !path_match(l->pattern, x->key, 0))
		return 0;
	if (open_dir(l->run, e) < 0)
		return -1;
	submit(l->run, x->key, x->key + l->skip, x);
	return 0;
}

int
get_list(struct get_run *run, const char *prefix, const char *pattern, struct err *e)
{
	const char *slash = strrchr(prefix, '/');
	struct listing l = {run, pattern, slash ? (size_t)(slash - prefix) + 1 : 0};
	struct s3_list q = {.prefix = prefix, .entry = entry, .arg = &l};
	int rc = s3_list(&run->client->s3, &q, e);

	pool_wait(&run->pool, 0);
	return rc;
}

static void
stream_started(const struct download_stream *d)
{
	progress_total(&transfer_progress, d->object.size, 1);
}

int
get_stream(struct get_run *run, const char *key, const char *dest, int fd)
{
	struct download_stream d = {.key = key, .fd = fd, .started = stream_started};
	struct outcome o = {.key = key, .file = dest, .status = "downloaded", .object = &d.object};
	int64_t start_ms = clock_ms();
	struct err e;

	if (download_stream(&run->client->s3, &run->pool, &d, &e) < 0) {
		/* A reader that left early (r2 get KEY - | head) is no error worth a message. */
		if (!d.unread || fd != STDOUT_FILENO)
			say_failed(key, dest, &e);
		o.status = "failed";
		o.e = &e;
	} else {
		say_proof(key, d.proof, d.object.etag);
		o.proof = d.proof;
	}
	o.attempts = d.attempts;
	o.ms = (long)(clock_ms() - start_ms);
	/* Standard output is the object's. */
	if (fd != 1)
		print_json(run, &o);
	return o.e != NULL;
}
