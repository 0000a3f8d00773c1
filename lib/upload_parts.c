#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "retry.h"
#include "upload_parts.h"

static uint64_t
part_len(const struct parts *ps, int index)
{
	uint64_t from = (uint64_t)index * ps->part_size, size = ps->u->src.body.len;

	return size - from < ps->part_size ? size - from : ps->part_size;
}

static void
free_parts(struct parts *ps)
{
	journal_close(&ps->journal);
	pthread_mutex_destroy(&ps->lock);
	free(ps->parts);
	free(ps->jobs);
	free(ps);
}

static int
create(struct parts *ps, struct s3 *s, const char *id, struct err *e)
{
	struct s3_put rq = upload_request(ps->u);

	if (s3_create(s, &rq, ps->upload_id, e) < 0)
		return -1;
	parts_begun(ps, id);
	return 0;
}

int
parts_complete(struct s3 *s, struct upload *u, const struct parts_sent *sent, struct err *e)
{
	struct s3_put rq = upload_request(u);
	struct s3_complete c = {rq.key, sent->upload_id, sent->parts, sent->n, rq.if_absent, rq.if_match, rq.bare_match,
		source_changed, &u->src};
	char want[S3_ETAG_CAP], *etag = u->r.etag;
	struct s3_object_info o;
	struct err look;

	s3_parts_etag(sent->parts, sent->n, want);
	if (s3_complete(s, &c, etag, e) < 0) {
		/* Lost answers, 500s and any refusal after one of them say nothing of the object: only itself does. */
		if (e->kind == ERR_CHANGED ||
		    (e->kind == ERR_HTTP && !e->maybe_done && e->status != 404 && e->status / 100 != 5 && e->status != 200))
			return -1;
		if (!*want || s3_head(s, rq.key, &o, &look) < 0 || o.size != u->r.size || strcmp(o.etag, want))
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

/* Not for what is being sent: wrong keys, a wrong clock, a network that fails. The same command may go on when that is mended. */
static int
may_pass(const struct err *e)
{
	if (e->kind == ERR_HTTP)
		return retry_worthwhile(e) || e->status == 401 || e->status == 403 || e->status / 100 == 3 || e->status / 100 == 5;
	return e->kind != ERR_CHANGED && e->kind != ERR_CORRUPT && e->kind != ERR_USAGE;
}

/* It is forgotten only when nothing of it is left: so whoever may not abort it now finds it the next time. */
static void
give_up(struct parts *ps, struct s3 *s, struct err *e)
{
	char why[sizeof e->msg];
	struct err ignored;
	int keep = ps->journal.fd >= 0;

	if (!*ps->upload_id)
		return;
	if (!keep || !may_pass(e))
		keep &= s3_abort(s, NULL, ps->u->r.key, ps->upload_id, &ignored) < 0;
	if (!keep) {
		journal_remove(&ps->journal);
	} else if (e->kind != ERR_CHANGED) {
		memcpy(why, e->msg, sizeof why);
		snprintf(e->msg, sizeof e->msg, "%.900s: give the same command again to go on", why);
	}
}

/* After the last part: complete, or take back. */
static void
finish_parts(struct parts *ps, struct s3 *s)
{
	struct upload *u = ps->u;
	upload_sent *tell = ps->tell;
	struct err e = ps->fault.err;
	int rc = err_kept(&ps->fault) ? -1 : 0;

	if (rc == 0)
		rc = parts_complete(s, u, &(struct parts_sent){ps->upload_id, ps->parts, ps->n}, &e);
	if (rc < 0 && !strcmp(e.code, "NoSuchUpload")) {
		journal_remove(&ps->journal);
		fail(&e, ERR_CHANGED, "the server dropped the unfinished upload");
	} else if (rc < 0) {
		give_up(ps, s, &e);
	} else {
		journal_remove(&ps->journal);
	}
	free_parts(ps);
	tell(u, s, rc, &e);
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
	uint64_t from = (uint64_t)index * ps->part_size;
	struct err ignored;
	int rc;

	source_part(&part, &u->src.body, from, ps->parts[index].size);
	rq.body = part.body;
	rq.body.arg = &part;
	rc = s3_put(s, &rq, &pr, e);
	__atomic_add_fetch(&u->r.attempts, pr.attempts, __ATOMIC_RELAXED);
	if (rc < 0)
		return -1;
	memcpy(ps->parts[index].etag, pr.etag, sizeof pr.etag);
	source_forget(&u->src, from, ps->parts[index].size);
	/* Not noted (a full disk): then it will be sent again after an interruption, but it is there. */
	journal_part(&ps->journal, (unsigned)index + 1, pr.etag, &ignored);
	return 0;
}

static struct pool_job *
next_job(struct parts *ps)
{
	while (ps->next < ps->n && *ps->parts[ps->next].etag)
		ps->next++;
	if (err_kept(&ps->fault) || ps->next == ps->n || ps->under_way >= ps->window)
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
	} else {
		err_keep(&ps->fault, e);
	}
}

/* Ending one and queueing the next is one step: so exactly one worker sees the end. */
static void
run_part(struct pool_job *j, struct s3 *s)
{
	struct part_job *pj = (struct part_job *)j;
	struct parts *ps = pj->ps;
	struct err e;
	int rc = send_part(ps, pj->index, s, &e), over;

	pthread_mutex_lock(&ps->lock);
	ended(ps, pj->index, rc, &e);
	over = fill(ps);
	pthread_mutex_unlock(&ps->lock);
	if (over)
		finish_parts(ps, s);
}

static struct parts *
new_parts(struct upload *u, upload_sent *tell, struct err *e)
{
	struct parts *ps = calloc(1, sizeof *ps);

	if (!ps) {
		fail_memory(e);
		return NULL;
	}
	ps->u = u;
	ps->tell = tell;
	ps->journal.fd = -1;
	ps->part_size = upload_part_size(u->src.body.len, u->o->part_size);
	pthread_mutex_init(&ps->lock, NULL);
	return ps;
}

static int
cut_into_parts(struct parts *ps, struct err *e)
{
	int n = (int)((ps->u->src.body.len + ps->part_size - 1) / ps->part_size);
	/* One that has grown large since it was submitted goes with those that come now. */
	unsigned rank = ps->u->job.rank ? ps->u->job.rank - 1 : pool_rank(ps->u->src.body.len, clock_ms());

	ps->parts = calloc((size_t)n, sizeof *ps->parts);
	ps->jobs = calloc((size_t)n, sizeof *ps->jobs);
	if (!ps->parts || !ps->jobs)
		return fail_memory(e);
	ps->n = n;
	for (int i = 0; i < n; i++) {
		ps->parts[i] = (struct s3_part){.number = i + 1, .size = part_len(ps, i)};
		ps->jobs[i] = (struct part_job){{.run = run_part, .rank = rank}, ps, i};
	}
	return 0;
}

/* As parts_resume. */
static int
begin_or_resume(struct parts *ps, struct s3 *s, struct err *e)
{
	struct upload *u = ps->u;
	char id[JOURNAL_TEXT_MAX], key[PATH_KEY_MAX + 1];
	int rc;

	memcpy(key, u->r.key, sizeof key);
	parts_identity(ps, s->store, id);
	parts_journal(ps, s);
	rc = parts_recall(ps, s, id);
	if (cut_into_parts(ps, e) < 0)
		return -1;
	if (rc)
		rc = parts_resume(ps, s, e);
	if (rc)
		return rc;
	/* What begins anew is today's: the folder of what was cut off may be one that cleanup deletes tonight. */
	memcpy(u->r.key, key, sizeof key);
	return create(ps, s, id, e);
}

void
parts_begin(struct upload *u, struct s3 *s, upload_sent *tell)
{
	struct err e;
	struct parts *ps = new_parts(u, tell, &e);
	int rc, over;

	if (!ps) {
		tell(u, s, -1, &e);
		return;
	}
	rc = begin_or_resume(ps, s, &e);
	if (rc == 2) {
		ps->done = ps->n;
		u->r.resumed = u->src.body.len;
	}
	if (rc < 0) {
		err_keep(&ps->fault, &e);
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
