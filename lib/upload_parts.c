#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "journal.h"
#include "mime.h"
#include "upload_parts.h"

struct part_job {
	struct pool_job job;
	struct parts *ps;
	int index;
};

/* One multipart upload. Its last part job frees it. */
struct parts {
	struct upload *u;
	char upload_id[S3_UPLOAD_ID_CAP];
	uint64_t part_size;
	int n, done;
	struct s3_part *parts;
	struct part_job *jobs;
	struct journal journal;
	pthread_mutex_t lock;    /* of what follows */
	int next;                /* the first part that has not been looked at */
	int under_way;           /* jobs in the pool */
	int window;              /* how many may be */
	int through;             /* parts since it was last opened */
	int cuts;                /* how often this upload has been cut off */
	int failed;
	struct err e;            /* of the first that failed */
};

static void
free_parts(struct parts *ps)
{
	journal_close(&ps->journal);
	pthread_mutex_destroy(&ps->lock);
	free(ps->parts);
	free(ps->jobs);
	free(ps);
}

static uint64_t
part_len(const struct parts *ps, int index)
{
	uint64_t from = (uint64_t)index * ps->part_size, size = ps->u->src.body.len;

	return size - from < ps->part_size ? size - from : ps->part_size;
}

/* What the object is to carry besides its bytes, as a number: another answer makes another upload. */
static uint32_t
settings_sum(const struct upload_options *o)
{
	const char *const one[] = {o->content_type, o->cache_control, o->storage_class};
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof one / sizeof *one; i++)
		sum = hash_crc32c(sum, one[i] ? one[i] : "", one[i] ? strlen(one[i]) + 1 : 1);
	for (size_t i = 0; i < o->nmeta; i++) {
		sum = hash_crc32c(sum, o->meta[i].name, strlen(o->meta[i].name) + 1);
		sum = hash_crc32c(sum, o->meta[i].value, strlen(o->meta[i].value) + 1);
	}
	return sum;
}

/* What this upload is: bucket and key first, then all that must be as it was. Another file, or the same one changed, is another
   upload. */
static void
identity(const struct parts *ps, const struct s3_store *st, char text[JOURNAL_TEXT_MAX])
{
	const struct stat *was = &ps->u->src.was;
	struct buf b = {text, 0, JOURNAL_TEXT_MAX, 0};

	buf_fmt(&b, "%s ", st->cfg->bucket);
	enc_query(&b, ps->u->r.key, strlen(ps->u->r.key));
	buf_fmt(&b, " dev=%llu ino=%llu size=%llu mtime=%lld.%09ld ctime=%lld.%09ld part=%llu settings=%08x",
		(unsigned long long)was->st_dev, (unsigned long long)was->st_ino, (unsigned long long)was->st_size,
		(long long)was->st_mtim.tv_sec, was->st_mtim.tv_nsec, (long long)was->st_ctim.tv_sec, was->st_ctim.tv_nsec,
		(unsigned long long)ps->part_size, settings_sum(ps->u->o));
}

/* One journal for each file and server, found again by the same command. */
static int
open_journal(struct parts *ps, const struct s3_store *st, struct err *e)
{
	const struct upload *u = ps->u;
	char real[PATH_MAX], text[PATH_MAX + CONFIG_HOST_CAP + 16], name[2 * HASH_SHA256_LEN + 1], path[PATH_MAX];
	unsigned char sum[HASH_SHA256_LEN];
	struct buf b = BUF(text), h = BUF(name);

	if (!realpath(u->plan.path, real))
		return fail_errno(e, "%s", u->plan.path);
	buf_fmt(&b, "%s %s", st->cfg->host_field, real);
	hash_sha256(text, b.len, sum);
	enc_hex(&h, sum, 16);
	if (snprintf(path, sizeof path, "%s/%s.upload", u->o->journal_dir, name) >= (int)sizeof path)
		return fail(e, ERR_LOCAL, "the state directory's name is too long");
	return journal_open(&ps->journal, path, e);
}

enum { CUT_OFF = 0 };   /* no part's number: the record of a run that found the upload cut off */

static void
recorded_part(void *arg, unsigned number, const char *note)
{
	struct parts *ps = arg;

	if (number >= 1 && number <= (unsigned)ps->n)
		snprintf(ps->parts[number - 1].etag, S3_ETAG_CAP, "%s", note);
	ps->cuts += number == CUT_OFF;
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

/* Believe only what journal and server both say: same number, size and ETag. */
static int
agree(struct parts *ps, struct s3 *s, struct err *e)
{
	struct agreed a = {ps, calloc((size_t)ps->n, sizeof *a.server)};
	int rc;

	if (!a.server)
		return fail(e, ERR_LOCAL, "out of memory");
	rc = s3_list_parts(s, ps->u->r.key, ps->upload_id, listed_part, &a, e);
	for (int i = 0; i < ps->n && rc == 0; i++) {
		if (*ps->parts[i].etag && !strcmp(ps->parts[i].etag, a.server[i].etag) &&
		    a.server[i].size == part_len(ps, i)) {
			ps->done++;
			ps->u->r.resumed += part_len(ps, i);
		} else {
			ps->parts[i].etag[0] = '\0';
		}
	}
	free(a.server);
	return rc;
}

static void
note(const struct parts *ps, const char *text)
{
	if (ps->u->o->note)
		ps->u->o->note(ps->u, text);
}

static void
forget_parts(struct parts *ps)
{
	for (int i = 0; i < ps->n; i++)
		ps->parts[i].etag[0] = '\0';
	ps->done = 0;
	ps->cuts = 0;
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

/* What was cut off was another upload of this file. Best effort: what cannot be aborted now the server drops after 7 days. */
static void
abort_stale(struct parts *ps, struct s3 *s, struct journal_text *t)
{
	char *key = strchr(t->identity, ' '), *end = key ? strchr(key + 1, ' ') : NULL;
	struct err ignored;

	if (!end)
		return;
	*key++ = '\0';
	*end = '\0';
	if (enc_unpercent(key, strlen(key), 0) < 0)
		return;
	if (strcmp(t->identity, s->store->cfg->bucket))
		note(ps, "an upload of this file to another bucket was cut off and is taken back: starts again");
	else if (strcmp(key, ps->u->r.key))
		note(ps, "an upload of this file to another key was cut off and is taken back: starts again");
	else
		note(ps, "the file or the settings changed since the upload was cut off: starts again");
	s3_abort(s, t->identity, key, t->token, &ignored);
}

/* 1: there is an upload to go on with; 2: it was complete; 0: begin one; -1. */
static int
resume(struct parts *ps, struct s3 *s, const char *id, struct err *e)
{
	struct journal_text *t = malloc(sizeof *t);
	struct err ignored;
	int rc = 0;

	if (!t)
		return fail(e, ERR_LOCAL, "out of memory");
	if (journal_load(&ps->journal, t, recorded_part, ps, e) < 0 || !*t->token || strlen(t->token) >= S3_UPLOAD_ID_CAP) {
		forget_parts(ps);
	} else if (strcmp(t->identity, id)) {
		abort_stale(ps, s, t);
		forget_parts(ps);
	} else {
		memcpy(ps->upload_id, t->token, strlen(t->token) + 1);
		rc = 1;
		ps->cuts++;
		journal_part(&ps->journal, CUT_OFF, "cut off", &ignored);
		if (agree(ps, s, e) < 0) {
			rc = strcmp(e->code, "NoSuchUpload") ? -1 : was_completed(ps, s) ? 2 : 0;
			if (rc == 0) {
				note(ps, "the server has dropped the unfinished upload: starts again");
				forget_parts(ps);
			}
		}
	}
	free(t);
	return rc;
}

static int
create(struct parts *ps, struct s3 *s, const char *id, struct err *e)
{
	const struct upload_options *o = ps->u->o;
	struct s3_put rq = {
		.key = ps->u->r.key, .content_type = o->content_type ? o->content_type : mime_type(ps->u->r.key),
		.cache_control = o->cache_control, .storage_class = o->storage_class, .meta = o->meta, .nmeta = o->nmeta,
	};
	struct err why;

	if (s3_create(s, &rq, ps->upload_id, e) < 0)
		return -1;
	if (journal_begin(&ps->journal, id, ps->upload_id, &why) < 0) {
		note(ps, why.msg);
		journal_remove(&ps->journal);
	}
	return 0;
}

int
parts_complete(struct s3 *s, const struct parts_complete *c, char etag[S3_ETAG_CAP], struct err *e)
{
	char want[S3_ETAG_CAP];
	struct s3_object_info o;
	struct err look = {0};

	s3_parts_etag(c->rq.parts, c->rq.nparts, want);
	if (s3_complete(s, &c->rq, etag, e) < 0) {
		/* Lost answers, 500s and a NoSuchUpload after one of them say nothing of the object: only itself does. */
		if (e->kind == ERR_HTTP && e->status != 404 && e->status / 100 != 5 && e->status != 200)
			return -1;
		if (!*want || s3_head(s, c->rq.key, &o, &look) < 0 || o.size != c->size || strcmp(o.etag, want))
			return -1;
		memcpy(etag, o.etag, sizeof o.etag);
		return 0;
	}
	if (!*etag)
		memcpy(etag, want, sizeof want);
	if (*want && strcmp(etag, want))
		return fail(e, ERR_CORRUPT, "the server put the parts together wrongly (ETag %s, not %s)", etag, want);
	return 0;
}

/* Interrupted rather than refused: worth going on with, if the journal is there to do so. */
static int
can_go_on(const struct parts *ps, const struct err *e)
{
	return ps->journal.fd >= 0 && (e->kind == ERR_NET || e->kind == ERR_CONNECT || e->kind == ERR_NAME ||
		e->kind == ERR_STOPPED || e->status == 429 || e->status / 100 == 5);
}

static void
give_up(struct parts *ps, struct s3 *s, struct err *e)
{
	char why[sizeof e->msg];
	struct err ignored;

	if (can_go_on(ps, e)) {
		memcpy(why, e->msg, sizeof why);
		snprintf(e->msg, sizeof e->msg, "%.900s: give the same command again to go on", why);
		return;
	}
	if (*ps->upload_id)
		s3_abort(s, NULL, ps->u->r.key, ps->upload_id, &ignored);
	journal_remove(&ps->journal);
}

/* After the last part: complete, or take back. */
static void
finish_parts(struct parts *ps, struct s3 *s)
{
	struct upload *u = ps->u;
	struct parts_complete c = {
		{u->r.key, ps->upload_id, ps->parts, ps->n, upload_if_absent(u), upload_if_match(u)}, u->src.body.len,
	};
	struct err e = ps->e;
	int rc = ps->failed ? -1 : 0;

	if (rc == 0 && source_changed(&u->src))
		rc = fail(&e, ERR_CHANGED, "the file changed while it was being sent");
	if (rc == 0)
		rc = parts_complete(s, &c, u->r.etag, &e);
	if (rc < 0 && !strcmp(e.code, "NoSuchUpload")) {
		journal_remove(&ps->journal);
		fail(&e, ERR_CHANGED, "the server dropped the unfinished upload");
	} else if (rc < 0) {
		give_up(ps, s, &e);
	} else {
		journal_remove(&ps->journal);
	}
	free_parts(ps);
	upload_sent(u, s, rc, &e);
}

static int
send_part(struct parts *ps, int index, struct s3 *s, struct err *e)
{
	struct upload *u = ps->u;
	struct source_part part;
	struct s3_put rq = {
		.key = u->r.key, .upload_id = ps->upload_id, .part_number = index + 1, .changed = source_changed,
		.changed_arg = &u->src,
	};
	struct s3_put_result pr;
	struct err ignored;
	int rc;

	source_part(&part, &u->src.body, (uint64_t)index * ps->part_size, part_len(ps, index));
	rq.body = part.body;
	rq.body.arg = &part;
	rc = s3_put(s, &rq, &pr, e);
	__atomic_add_fetch(&u->r.attempts, pr.attempts, __ATOMIC_RELAXED);
	if (rc < 0)
		return -1;
	memcpy(ps->parts[index].etag, pr.etag, sizeof pr.etag);
	/* Not noted (a full disk): then it will be sent again after an interruption, but it is there. */
	journal_part(&ps->journal, (unsigned)index + 1, pr.etag, &ignored);
	return 0;
}

static struct pool_job *
next_job(struct parts *ps)
{
	while (ps->next < ps->n && *ps->parts[ps->next].etag)
		ps->next++;
	if (ps->failed || ps->next == ps->n || ps->under_way >= ps->window)
		return NULL;
	ps->under_way++;
	return &ps->jobs[ps->next++].job;
}

/* As many as the window allows go into the pool. With the lock held. 1 when nothing is under way: it is over. */
static int
fill(struct parts *ps)
{
	struct pool_job *j;

	while ((j = next_job(ps)))
		pool_submit(ps->u->pool, j);
	return !ps->under_way;
}

static void
ended(struct parts *ps, int index, int rc, const struct err *e)
{
	const struct upload *u = ps->u;

	ps->under_way--;
	if (rc == 0) {
		ps->done++;
		/* The more often it was cut off, the longer it stays careful: a part that is cut off has to be sent again. */
		if (ps->window < u->pool->max && ++ps->through >= ps->window * ps->cuts) {
			ps->window++;
			ps->through = 0;
		}
		if (u->o->part)
			u->o->part(ps->u, index + 1, ps->done * 100 / ps->n);
	} else if (!ps->failed) {
		ps->failed = 1;
		ps->e = *e;
	}
}

/* Ending one and queueing the next is one step: so exactly one worker sees the end. */
static void
run_part(struct pool_job *j, struct s3 *s)
{
	struct part_job *pj = (struct part_job *)j;
	struct parts *ps = pj->ps;
	struct err e = {0};
	int rc = send_part(ps, pj->index, s, &e), over;

	pthread_mutex_lock(&ps->lock);
	ended(ps, pj->index, rc, &e);
	over = fill(ps);
	pthread_mutex_unlock(&ps->lock);
	if (over)
		finish_parts(ps, s);
}

static struct parts *
new_parts(struct upload *u, struct err *e)
{
	struct parts *ps = calloc(1, sizeof *ps);

	if (!ps) {
		fail(e, ERR_LOCAL, "out of memory");
		return NULL;
	}
	ps->u = u;
	ps->journal.fd = -1;
	ps->part_size = upload_part_size(u->src.body.len, u->o->part_size);
	ps->n = (int)((u->src.body.len + ps->part_size - 1) / ps->part_size);
	ps->parts = calloc((size_t)ps->n, sizeof *ps->parts);
	ps->jobs = calloc((size_t)ps->n, sizeof *ps->jobs);
	pthread_mutex_init(&ps->lock, NULL);
	if (!ps->parts || !ps->jobs) {
		free_parts(ps);
		fail(e, ERR_LOCAL, "out of memory");
		return NULL;
	}
	for (int i = 0; i < ps->n; i++) {
		ps->parts[i] = (struct s3_part){.number = i + 1, .size = part_len(ps, i)};
		ps->jobs[i] = (struct part_job){{.run = run_part, .rank = (unsigned)i + 1}, ps, i};
	}
	return ps;
}

static void
journal_or_not(struct parts *ps, struct s3 *s)
{
	struct err why = {0};
	int rc;

	if (!ps->u->o->journal_dir || !strcmp(ps->u->plan.path, "-"))
		return;
	rc = open_journal(ps, s->store, &why);
	if (rc == 1)
		note(ps, "another process is uploading this file: what this one sends cannot be gone on with");
	else if (rc < 0)
		note(ps, why.msg);
}

void
parts_begin(struct upload *u, struct s3 *s)
{
	char id[JOURNAL_TEXT_MAX];
	struct err e = {0};
	struct parts *ps = new_parts(u, &e);
	int rc, over;

	if (!ps) {
		upload_sent(u, s, -1, &e);
		return;
	}
	identity(ps, s->store, id);
	journal_or_not(ps, s);
	rc = ps->journal.fd >= 0 ? resume(ps, s, id, &e) : 0;
	if (rc == 2)
		ps->done = ps->n;
	else if (rc == 0)
		rc = create(ps, s, id, &e);
	if (rc < 0) {
		ps->failed = 1;
		ps->e = e;
		finish_parts(ps, s);
		return;
	}
	if (ps->done && u->o->resumed)
		u->o->resumed(u);
	/* What was cut off may be cut off again: begin with one part and open by one for each that is through, so that little is lost. */
	ps->window = ps->cuts ? 1 : u->pool->max;
	pthread_mutex_lock(&ps->lock);
	over = fill(ps);
	pthread_mutex_unlock(&ps->lock);
	if (over)
		finish_parts(ps, s);
}
