#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "json.h"
#include "log.h"
#include "size_text.h"
#include "transfer.h"
#include "upload_item.h"

enum { QUEUE_MAX = 256 };   /* files planned ahead: bounds the memory of a walk */

static const char *
shown_path(const char *path)
{
	return strcmp(path, "-") ? path : "standard input";
}

/* As the script had it. */
static const char *
shown_name(const char *path)
{
	return path_base(shown_path(path));
}

static struct upload_item *
item_of(const struct upload *u)
{
	return u->arg;
}

#define say(it, ...) turns_log(&(it)->run->turns, (it)->turn, __VA_ARGS__)

static void
print_json(const struct upload_item *it, const char *status, const struct err *e)
{
	const struct upload_result *r = &it->u.r;
	struct json j;

	if (!client_args.json)
		return;
	json_begin(&j);
	json_string(&j, "file", it->path);
	json_string(&j, "status", status);
	json_string(&j, "bucket", it->run->client->cfg.bucket);
	json_string(&j, "key", *r->key ? r->key : it->u.plan.key);
	json_number(&j, "size", *r->key ? r->size : it->u.plan.size);
	if (*r->etag)
		json_string(&j, "etag", r->etag);
	json_seconds(&j, "seconds", it->started_ms ? (long)(clock_ms() - it->started_ms) : 0);
	json_number(&j, "attempts", (uint64_t)r->attempts);
	json_number(&j, "resumed", r->resumed);
	if (e)
		json_string(&j, "error", e->msg);
	turns_print(&it->run->turns, it->turn, json_text(&j));
	json_free(&j);
}

static void
started(struct upload *u)
{
	struct upload_item *it = item_of(u);

	it->started_ms = clock_ms();
	/* How long standard input will be, nobody knows. */
	if (!strcmp(u->plan.path, "-") && !u->plan.size && !u->src.mem)
		say(it, LOG_INFO, "Uploading: standard input");
	else
		say(it, LOG_INFO, "Uploading: %s (%.2f MB)", shown_name(u->plan.path), size_mib(u->plan.size));
}

static void
part(struct upload *u, int number, int percent)
{
	if (percent >= 0)
		say(item_of(u), LOG_INFO, "  Part %d: %d%%", number, percent);
	else
		say(item_of(u), LOG_INFO, "  Part %d", number);
}

static void
resumed(struct upload *u)
{
	say(item_of(u), LOG_INFO, "%s: goes on: %.2f MB are there already", shown_path(u->plan.path), size_mib(u->r.resumed));
	progress_adjust(&transfer_progress, (int64_t)u->r.resumed);
}

static void
note(struct upload *u, const char *text)
{
	say(item_of(u), LOG_WARNING, "%s: %s", shown_path(u->plan.path), text);
}

static const char *
log_outcome(const struct upload *u, const char *bucket)
{
	if (u->r.outcome == UPLOAD_SKIPPED) {
		say(item_of(u), LOG_INFO, "Skipped: s3://%s/%s (there already)", bucket, u->r.key);
		return "skipped";
	}
	say(item_of(u), LOG_INFO, "Uploaded: s3://%s/%s", bucket, u->r.key);
	return u->r.outcome == UPLOAD_SAME ? "same" : "uploaded";
}

static void
free_item(struct upload_item *it)
{
	turns_done(&it->run->turns, it->turn);
	free(it);
}

static void
finished(struct upload *u, const struct err *e)
{
	struct upload_item *it = item_of(u);
	struct upload_run *run = it->run;
	const char *status = "failed";

	if (e) {
		say(it, LOG_ERROR, "Upload failed: %s: %s", shown_path(it->path), e->msg);
	} else {
		status = log_outcome(u, run->client->cfg.bucket);
		__atomic_add_fetch(&run->done, 1, __ATOMIC_RELAXED);
	}
	progress_file_done(&transfer_progress);
	print_json(it, status, e);
	free_item(it);
}

struct upload_item *
upload_item_new(struct upload_run *run, const char *path)
{
	size_t n = strlen(path) + 1;
	struct upload_item *it = calloc(1, sizeof *it + n);

	run->files++;
	if (!it) {
		log_r2(LOG_ERROR, "%s: out of memory", path);
		return NULL;
	}
	memcpy(it->path, path, n);
	it->run = run;
	it->u.arg = it;
	return it;
}

void
upload_item_refuse(struct upload_item *it, const struct err *e)
{
	/* Of a key that cannot be, the message does not tell whose. */
	if (e->kind == ERR_USAGE)
		say(it, LOG_ERROR, "Upload failed: %s: %s", it->path, e->msg);
	else
		say(it, LOG_ERROR, "%s", e->msg);
	print_json(it, "failed", e);
	free_item(it);
}

void
upload_item_send(struct upload_item *it)
{
	struct upload_run *run = it->run;

	it->u.plan.path = it->path;
	if (run->dry_run) {
		say(it, LOG_INFO, "Would upload: %s (%.2f MB) to s3://%s/%s", shown_name(it->path), size_mib(it->u.plan.size),
			run->client->cfg.bucket, it->u.plan.key);
		print_json(it, "planned", NULL);
		run->done++;
		free_item(it);
		return;
	}
	progress_total(&transfer_progress, it->u.plan.size, 1);
	if (!strcmp(it->path, "-") && !it->u.plan.size)
		upload_stream(&run->pool, run->options, &it->u);
	else
		upload_submit(&run->pool, run->options, &it->u);
	pool_wait(&run->pool, QUEUE_MAX);
}

void
upload_item_hooks(struct upload_options *o)
{
	o->started = started;
	o->part = part;
	o->note = note;
	o->resumed = resumed;
	o->finished = finished;
}
