#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hash.h"
#include "upload_parts.h"
#include "utc.h"

static void
note(const struct parts *ps, const char *text)
{
	if (ps->u->o->note)
		ps->u->o->note(ps->u, text);
}

static uint32_t
add_text(uint32_t sum, const char *text)
{
	return hash_crc32c(sum, text, strlen(text) + 1);
}

/* What the object is to carry besides its bytes, as a number: another answer makes another upload. */
static uint32_t
settings_sum(const struct upload_options *o)
{
	const char *const one[] = {o->content_type, o->cache_control, o->storage_class, o->date};
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof one / sizeof *one; i++)
		sum = add_text(sum, one[i] ? one[i] : "");
	for (size_t i = 0; i < o->nmeta; i++)
		sum = add_text(add_text(sum, o->meta[i].name), o->meta[i].value);
	return sum;
}

void
parts_identity(const struct parts *ps, const struct s3_store *st, char text[JOURNAL_TEXT_MAX])
{
	const struct stat *was = &ps->u->src.was;
	struct buf b = buf_over(text, JOURNAL_TEXT_MAX);

	buf_fmt(&b, "%s ", st->cfg->bucket);
	enc_query(&b, ps->u->r.key);
	/* Not its device: a network's or an overlay's file system has another number whenever it is mounted. */
	buf_fmt(&b, " ino=%llu size=%llu mtime=%lld.%09ld ctime=%lld.%09ld asked=%llu settings=%08x",
		(unsigned long long)was->st_ino, (unsigned long long)was->st_size,
		(long long)was->st_mtim.tv_sec, was->st_mtim.tv_nsec, (long long)was->st_ctim.tv_sec, was->st_ctim.tv_nsec,
		(unsigned long long)ps->u->o->part_size, settings_sum(ps->u->o));
}

/* One journal for each name of a file and server, found again by the same command: two symbolic links to a file are two objects.
   make: also when there is none yet. */
static int
open_journal(struct parts *ps, const struct s3_store *st, int make, struct err *e)
{
	const struct upload *u = ps->u;
	const char *base = path_base(u->plan.path);
	char real[PATH_MAX], text[2 * PATH_MAX + CONFIG_HOST_CAP], name[2 * HASH_SHA256_LEN + 1], path[PATH_MAX];
	unsigned char sum[HASH_SHA256_LEN];
	struct buf b = BUF(text), h = BUF(name);

	snprintf(path, sizeof path, "%.*s.", (int)(base - u->plan.path), u->plan.path);
	if (!realpath(path, real))
		return fail_errno(e, "%s", u->plan.path);
	buf_fmt(&b, "%s %s/%s", st->cfg->host_field, real, base);
	hash_sha256(text, b.len, sum);
	enc_hex(&h, sum, 16);
	if (snprintf(path, sizeof path, "%s/%s.upload", u->o->journal_dir, name) >= (int)sizeof path)
		return fail(e, ERR_LOCAL, "the state directory's name is too long");
	if (!make && access(path, F_OK) < 0)
		return fail_errno(e, "%s", path);
	return journal_open(&ps->journal, path, e);
}

enum { CUT_OFF = 0 };   /* no part's number: the record of a run that found the upload cut off */

static void
recorded_part(void *arg, unsigned number, const char *note)
{
	struct parts *ps = arg;

	if (number >= 1 && number <= (unsigned)ps->n)
		snprintf(ps->parts[number - 1].etag, S3_ETAG_CAP, "%s", note);
}

struct agreed {
	struct parts *ps;
	struct s3_part *server;
};

static int
listed_part(void *arg, const struct s3_part *p, struct err *e)
{
	struct agreed *a = arg;

	(void)e;
	if (p->number >= 1 && p->number <= a->ps->n)
		a->server[p->number - 1] = *p;
	return 0;
}

/* Believe only what journal and server both say: same number, size and ETag. Where the token may not list them, or the server cannot, Complete
   compares the ETags. */
static int
agree(struct parts *ps, struct s3 *s, struct err *e)
{
	struct agreed a = {ps, calloc((size_t)ps->n, sizeof *a.server)};
	int rc, untold;

	if (!a.server)
		return fail_memory(e);
	rc = s3_list_parts(s, ps->u->r.key, ps->upload_id, listed_part, &a, e);
	untold = rc < 0 && (!strcmp(e->code, "AccessDenied") || e->status == 501);
	if (untold)
		rc = 0;
	for (int i = 0; i < ps->n && rc == 0; i++) {
		if (*ps->parts[i].etag && (untold || (!strcmp(ps->parts[i].etag, a.server[i].etag) &&
		    a.server[i].size == ps->parts[i].size))) {
			ps->done++;
			ps->u->r.resumed += ps->parts[i].size;
		} else {
			ps->parts[i].etag[0] = '\0';
		}
	}
	free(a.server);
	return rc;
}

static void
forget_parts(struct parts *ps)
{
	for (int i = 0; i < ps->n; i++)
		ps->parts[i].etag[0] = '\0';
	ps->done = 0;
	ps->u->r.resumed = 0;
	ps->upload_id[0] = '\0';
}

/* Completed already by an earlier run whose answer was lost: every part is recorded, and the object is what they make. */
static int
was_completed(struct parts *ps, struct s3 *s)
{
	char want[S3_ETAG_CAP];
	struct s3_object_info o;
	struct err ignored;

	s3_parts_etag(ps->parts, ps->n, want);
	return *want && s3_head(s, ps->u->r.key, &o, &ignored) == 0 && o.size == ps->u->src.body.len &&
		!strcmp(o.etag, want);
}

/* What the journal has of an upload that was cut off. */
struct before {
	struct journal_text t;
	uint64_t part_size;
	const char *upload_id;       /* within t */
	int through, cuts, in_vain;  /* parts; how often it was cut off; how often since a part was through */
};

static void
count_part(void *arg, unsigned number, const char *note)
{
	struct before *b = arg;

	(void)note;
	b->through += number != CUT_OFF;
	b->cuts += number == CUT_OFF;
	b->in_vain = number == CUT_OFF ? b->in_vain + 1 : 0;
}

/* The journal's token: the size of the parts, and the upload's id. 0; -1 when it is none. */
static int
take_token(struct before *b)
{
	char *end;

	b->part_size = strtoull(b->t.token, &end, 10);
	b->upload_id = end + 1;
	return *end == ' ' && b->part_size && *b->upload_id && strlen(b->upload_id) < S3_UPLOAD_ID_CAP ? 0 : -1;
}

/* The key of what was cut off, cut out of its identity; NULL: it names none. */
static char *
take_key(struct before *b)
{
	char *key = strchr(b->t.identity, ' '), *end = key ? strchr(key + 1, ' ') : NULL;

	if (!end)
		return NULL;
	*key++ = '\0';
	*end = '\0';
	return enc_unpercent(key, strlen(key), 0) < 0 ? NULL : key;
}

/* Begun on another day by the same command: it goes on in that day's folder. 1: u->r.key is there now. */
static int
other_day(struct parts *ps, struct before *b, const char *id)
{
	const struct upload_options *o = ps->u->o;
	char prefix[PATH_KEY_MAX + 1], start[CONFIG_BUCKET_CAP + 3 * PATH_KEY_MAX + 2];
	struct buf p = BUF(prefix), upto = BUF(start);
	const size_t len = UTC_DATE_CAP - 1;
	const char *key, *then;

	if (!o->prefix || o->key || o->no_date || o->date)
		return 0;
	/* Nothing but the folder is another: a date elsewhere is the user's own. */
	path_key_join(&p, o->prefix, "", "");
	buf_fmt(&upto, "%.*s", (int)strcspn(id, " ") + 1, id);
	enc_query(&upto, prefix);
	then = b->t.identity + upto.len;
	if (strncmp(b->t.identity, id, upto.len) != 0 || strspn(then, "0123456789-") != len || strcmp(then + len, id + upto.len + len) != 0 ||
	    !(key = take_key(b)))
		return 0;
	snprintf(ps->u->r.key, sizeof ps->u->r.key, "%s", key);
	return 1;
}

/* What was cut off was another upload of this file. Best effort: what cannot be aborted now the server drops after 7 days. */
static void
abort_stale(struct parts *ps, struct s3 *s, struct before *b)
{
	char *key = take_key(b);
	struct err ignored;

	if (!key)
		return;
	if (strcmp(b->t.identity, s->store->cfg->bucket))
		note(ps, "an upload of this file to another bucket was cut off and is taken back: starts again");
	else if (strcmp(key, ps->u->r.key))
		note(ps, "an upload of this file to another key was cut off and is taken back: starts again");
	else
		note(ps, "the file or the settings changed since the upload was cut off: starts again");
	s3_abort(s, b->t.identity, key, b->upload_id, &ignored);
}

/* Who is always stopped before a part is through would never be done. Smaller parts mean to start again, which costs what is through
   already: it is worth that as soon as as many runs have been in vain. */
static int
smaller_parts(struct parts *ps, struct s3 *s, const struct before *b)
{
	uint64_t small = upload_part_size(ps->u->src.body.len, UPLOAD_PART_SMALL);
	struct err ignored;

	if (ps->u->o->part_size || b->part_size <= small || b->in_vain < b->through ||
	    (uint64_t)b->through * b->part_size >= ps->u->src.body.len)
		return 0;
	note(ps, "it was cut off before a part was through: starts again, with smaller parts");
	s3_abort(s, NULL, ps->u->r.key, b->upload_id, &ignored);
	ps->part_size = small;
	return 1;
}

/* What it says is not lost by that: parts_forget reads it again when the file is done. */
static void
do_without(struct parts *ps, const struct err *why)
{
	note(ps, why->msg);
	journal_close(&ps->journal);
}

int
parts_recall(struct parts *ps, struct s3 *s, const char *id)
{
	struct before *b = calloc(1, sizeof *b);
	struct err why;
	int rc = 0;

	fail_memory(&why);
	if (!b || journal_load(&ps->journal, &b->t, count_part, b, &why) < 0) {
		do_without(ps, &why);
	} else if (take_token(b) < 0) {
		;   /* none, or garbage */
	} else if (strcmp(b->t.identity, id) && !other_day(ps, b, id)) {
		abort_stale(ps, s, b);
	} else if (smaller_parts(ps, s, b)) {
		ps->cuts = 1;
	} else if ((ps->u->src.body.len + b->part_size - 1) / b->part_size <= S3_PARTS_MAX) {
		memcpy(ps->upload_id, b->upload_id, strlen(b->upload_id) + 1);
		ps->part_size = b->part_size;
		ps->cuts = b->cuts + 1;
		rc = 1;
	}
	free(b);
	return rc;
}

int
parts_resume(struct parts *ps, struct s3 *s, struct err *e)
{
	struct journal_text *t = malloc(sizeof *t);
	struct err ignored;
	int rc = 1;

	if (!t)
		return fail_memory(e);
	if (journal_load(&ps->journal, t, recorded_part, ps, e) < 0) {
		forget_parts(ps);
		do_without(ps, e);
	}
	free(t);
	if (!*ps->upload_id)
		return 0;
	if (agree(ps, s, e) < 0) {
		rc = strcmp(e->code, "NoSuchUpload") ? -1 : was_completed(ps, s) ? 2 : 0;
		if (rc == 0) {
			note(ps, "the server has dropped the unfinished upload: starts again");
			forget_parts(ps);
			ps->cuts = 0;
		}
	} else {
		/* Only now: a run that did not get so far says nothing of the size of the parts. */
		journal_part(&ps->journal, CUT_OFF, "cut off", &ignored);
	}
	return rc;
}

void
parts_journal(struct parts *ps, struct s3 *s)
{
	struct err why;
	int rc;

	if (!ps->u->o->journal_dir || !strcmp(ps->u->plan.path, "-"))
		return;
	rc = open_journal(ps, s->store, 1, &why);
	if (rc == 1)
		note(ps, "another process is uploading this file: what this one sends cannot be gone on with");
	else if (rc < 0)
		note(ps, why.msg);
}

void
parts_begun(struct parts *ps, const char *id)
{
	char token[S3_UPLOAD_ID_CAP + 24];
	struct err why;

	snprintf(token, sizeof token, "%llu %s", (unsigned long long)ps->part_size, ps->upload_id);
	if (journal_begin(&ps->journal, id, token, &why) < 0) {
		note(ps, why.msg);
		journal_remove(&ps->journal);
	}
}

/* Abort what b tells of: 1 when nothing is left of it. */
static int
take_back(struct before *b, const struct upload *u, struct s3 *s)
{
	const char *key = take_token(b) < 0 ? NULL : take_key(b);
	struct err ignored;

	if (!key)
		return 1;
	/* Whoever sends nothing does not end what is on its way to another key: the command that began it goes on with that. */
	if (u->r.outcome != UPLOAD_STORED && (strcmp(b->t.identity, s->store->cfg->bucket) ||
	    (strcmp(key, u->r.key) && strcmp(key, u->plan.key))))
		return 0;
	return s3_abort(s, b->t.identity, key, b->upload_id, &ignored) == 0;
}

void
parts_forget(struct upload *u, struct s3 *s)
{
	struct parts ps = {.u = u};
	struct before *b;
	struct err ignored;

	if (!u->o->old_journals || !strcmp(u->plan.path, "-") || open_journal(&ps, s->store, 0, &ignored) != 0)
		return;
	b = calloc(1, sizeof *b);
	/* What cannot be aborted now stays for the next time. */
	if (b && journal_load(&ps.journal, &b->t, NULL, NULL, &ignored) == 0 && take_back(b, u, s))
		journal_remove(&ps.journal);
	journal_close(&ps.journal);
	free(b);
}
