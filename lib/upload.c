#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "hash.h"
#include "upload_parts.h"

enum {
	SENDS_MAX = 5,      /* a file that changes under every one of them is reported */
	SHORT_HASH = 8,     /* hex digits that --if-exists rename inserts */
	LOOK_FIRST = 1024 * 1024,   /* bytes from which on asking what is there is cheaper than sending in vain */
};

/* "a/b.png" → "a/b-1a2b3c4d.png": the first digits of the content's MD5, which are those of a plain ETag too. */
static int
renamed(char key[PATH_KEY_MAX + 1], const char *planned, const struct http_body *body, struct err *e)
{
	const char *base = path_base(planned), *dot = strrchr(base, '.');
	size_t stem = dot && dot > base ? (size_t)(dot - planned) : strlen(planned);
	unsigned char md5[HASH_MD5_LEN];
	struct buf b = buf_over(key, PATH_KEY_MAX + 1);

	if (s3_body_md5(body, md5, e) < 0)
		return -1;
	buf_put(&b, planned, stem);
	buf_char(&b, '-');
	enc_hex(&b, md5, SHORT_HASH / 2);
	buf_str(&b, planned + stem);
	return buf_ok(&b) ? 0 : fail(e, ERR_USAGE, "the renamed key would be longer than %d bytes", PATH_KEY_MAX);
}

static int
put(struct upload *u, struct s3 *s, struct err *e)
{
	struct s3_put rq = upload_request(u);
	struct s3_put_result pr;
	int rc;

	rq.body = u->src.body;
	rq.changed = source_changed;
	rq.changed_arg = &u->src;
	rc = s3_put(s, &rq, &pr, e);
	u->r.attempts += pr.attempts;
	memcpy(u->r.etag, pr.etag, sizeof u->r.etag);
	return rc;
}

/* What is at the key. 2: the object that is ours to replace; 1: this very content; 0: another; -1: nothing (404), or a token
   that may not look (403), or an error. */
static int
look(struct upload *u, struct s3 *s, struct err *e)
{
	struct s3_object_info o, part = {0};
	int same, ours, parts = 0;

	if (s3_head(s, u->r.key, &o, e) < 0)
		return -1;
	/* A tag may be of a run that was killed before it could note the ETag. What has none cannot be replaced, whosever it is. */
	ours = *o.etag && (!strcmp(o.etag, u->own) || (u->tag && !strcmp(o.tag, u->tag)));
	if (ours)
		memcpy(u->own, o.etag, sizeof u->own);
	/* A file that was only touched, or whose file system numbers its files anew, is not sent again. */
	if (ours && !u->tag && u->o->if_exists != UPLOAD_REPLACE)
		return 2;
	/* Whatever is there stays, unread: only what was sent and not answered may be this. */
	if (u->o->if_exists == UPLOAD_SKIP && !ours && !u->r.attempts) {
		memcpy(u->r.etag, o.etag, sizeof u->r.etag);
		return 0;
	}
	same = s3_same_content(&o, &u->src.body, upload_part_size(u->src.body.len, u->o->part_size), e);
	/* In parts of another size: of another --part-size, another program, or a run that was cut off before its first part. */
	if (!same && o.size == u->src.body.len && strchr(o.etag, '-')) {
		if (s3_head_part(s, u->r.key, 1, &part, &parts, e) < 0 && e->kind != ERR_HTTP)
			return -1;
		if (!part.size || (!parts && part.size == o.size))
			part.size = upload_part_size(o.size, UPLOAD_PART_SMALL);
		same = s3_same_content(&o, &u->src.body, part.size, e);
	}
	u->r.ours = same == 1 && ours;
	if (same == 1)
		memcpy(u->r.etag, o.etag, sizeof u->r.etag);
	return same == 0 && ours ? 2 : same;
}

static void
finish(struct upload *u, const struct err *e)
{
	source_close(&u->src);
	u->o->finished(u, e);
}

/* The content is at the key: --move. */
static void
proved(struct upload *u, struct s3 *s)
{
	struct err e;
	int rc = 0;

	parts_forget(u, s);
	if (u->o->move && u->src.fd >= 0 && strcmp(u->plan.path, "-"))
		rc = source_remove(&u->src, u->plan.path, u->plan.named, &e);
	finish(u, rc < 0 ? &e : NULL);
}

static void begin(struct upload *u, struct s3 *s);

/* The key is taken, by this content or another: what --if-exists says. */
static void
taken(struct upload *u, struct s3 *s, int same)
{
	char other[PATH_KEY_MAX + 1];
	struct err e;

	u->own[0] = '\0';
	switch (u->o->if_exists) {
	case UPLOAD_RENAME:
	case UPLOAD_REPLACE:
		if (same) {
			u->r.outcome = UPLOAD_SAME;
			proved(u, s);
		} else if (renamed(other, u->plan.key, &u->src.body, &e) < 0) {
			finish(u, &e);
		} else if (!strcmp(other, u->r.key)) {
			fail(&e, ERR_HTTP, "s3://%s/%s is taken too, by something else", s->store->cfg->bucket, u->r.key);
			finish(u, &e);
		} else {
			memcpy(u->r.key, other, sizeof other);
			begin(u, s);
		}
		break;
	case UPLOAD_SKIP:
		u->r.outcome = UPLOAD_SKIPPED;
		parts_forget(u, s);
		finish(u, NULL);
		break;
	default:
		fail(&e, ERR_HTTP, "there is %s at s3://%s/%s already (--if-exists fail)",
			same ? "this content" : "an object", s->store->cfg->bucket, u->r.key);
		e.status = 412;
		finish(u, &e);
	}
}

/* Stored. What changed since is sent once more, in place of what we have just stored; --move removes what did not. */
static int
after_stored(struct upload *u, struct err *e)
{
	memcpy(u->own, u->r.etag, sizeof u->own);
	if (source_changed(&u->src))
		return fail(e, ERR_CHANGED, "the file changed while it was being sent");
	u->r.outcome = UPLOAD_STORED;
	return 0;
}

static int
reopen(struct upload *u, struct err *e)
{
	source_close(&u->src);
	return source_open(&u->src, u->plan.path, u->plan.named, e);
}

/* Stored, then moved away and written to, in this order: to be moved is another ctime. What it is now is its new name's, and was never the old
   one's. */
static int
is_moved_on(const struct upload *u)
{
	const struct stat *now = &u->src.was;
	struct stat at;

	return *u->own && !strcmp(u->own, u->r.etag) &&
		now->st_ctim.tv_sec == now->st_mtim.tv_sec && now->st_ctim.tv_nsec == now->st_mtim.tv_nsec &&
		(stat(u->plan.path, &at) < 0 || at.st_ino != now->st_ino || at.st_dev != now->st_dev);
}

static void
send_again(struct upload *u, struct s3 *s, struct err *e)
{
	struct source_wait w = {s->store->cfg->timeout_ms, s->store->pause, s->store->arg};
	char text[sizeof e->msg];
	int by_path = u->o->by_path;

	snprintf(text, sizeof text, "%.900s: sends it again from the start", e->msg);
	/* By its path, it is what stands there once that has come to rest: another process may have stored it, and removed it (--move). */
	if (u->src.fd < 0 || u->sends >= SENDS_MAX || (by_path && reopen(u, e) < 0) || source_settle(&u->src, &w, e) < 0 ||
	    (by_path ? reopen(u, e) < 0 : is_moved_on(u))) {
		finish(u, e);
		return;
	}
	if (u->o->note)
		u->o->note(u, text);
	if (!*u->own)
		memcpy(u->r.key, u->plan.key, sizeof u->r.key);
	begin(u, s);
}

/* How sending u once ended: send it again, or under another name, or finish. */
static void
sent(struct upload *u, struct s3 *s, int rc, struct err *e)
{
	int same, had = *u->own != '\0', maybe_stored = rc < 0 && e->maybe_done;

	if (rc == 0 && *u->own && u->bare_match)
		__atomic_store_n(&s->store->bare_match, 1, __ATOMIC_RELAXED);
	if (rc == 0)
		rc = after_stored(u, e);
	if (rc < 0 && e->kind == ERR_CHANGED) {
		send_again(u, s, e);
		return;
	}
	/* Refused because something is there. After a lost answer that may be our own object. */
	if (rc < 0 && e->kind == ERR_HTTP && e->status == 412 && u->o->if_exists != UPLOAD_OVERWRITE &&
	    ((same = look(u, s, e)) >= 0 || e->status == 403)) {
		/* Ours, and we did not know; or it is what it should have been: then the server reads the condition otherwise. */
		if (same == 2 && (!had || !u->bare_match)) {
			u->bare_match |= had;
			begin(u, s);
			return;
		}
		if (same != 1 || !maybe_stored) {
			taken(u, s, same == 1);
			return;
		}
		rc = 0;
	}
	/* What was to be replaced is gone meanwhile. */
	if (rc < 0 && e->status == 404 && *u->own && u->sends < SENDS_MAX) {
		u->own[0] = '\0';
		begin(u, s);
		return;
	}
	if (rc == 0)
		proved(u, s);
	else
		finish(u, e);
}

/* Looking first saves sending a video that the server would then refuse. 1: send it; 0: all is done, u is not ours any more. */
static int
may_send(struct upload *u, struct s3 *s)
{
	struct err e;
	int same;

	if (u->o->if_exists == UPLOAD_OVERWRITE)
		return 1;
	/* A small file costs less than a look. R2 heeds If-None-Match (developers.cloudflare.com/r2/api/s3/extensions); others may not. */
	if (!*u->own && u->src.body.len <= LOOK_FIRST && u->src.body.len <= u->o->threshold && config_is_r2(s->store->cfg))
		return 1;
	same = look(u, s, &e);
	if (same == 2)
		return 1;
	if (same >= 0) {
		taken(u, s, same);
		return 0;
	}
	/* Nothing there, or a token that may not look: the server sees to it that nothing is replaced. */
	u->own[0] = '\0';
	if (e.status == 404 || e.status == 403)
		return 1;
	finish(u, &e);
	return 0;
}

static void
begin(struct upload *u, struct s3 *s)
{
	struct err e;

	u->sends++;
	u->r.attempts = 0;
	u->r.resumed = 0;
	u->r.size = u->src.body.len;
	u->src.by_path = u->o->by_path;
	u->src.stop = &u->pool->store->stop;
	if (!may_send(u, s))
		return;
	if (u->src.body.len > u->o->threshold || u->src.body.len > S3_PUT_MAX)
		parts_begin(u, s, sent);
	else
		sent(u, s, put(u, s, &e), &e);
}

static void
run(struct pool_job *j, struct s3 *s)
{
	struct upload *u = (struct upload *)j;
	struct err e;

	if (u->gone && __atomic_load_n(u->gone, __ATOMIC_RELAXED)) {
		fail(&e, ERR_CHANGED, "is not there any more");
		finish(u, &e);
		return;
	}
	if (u->o->started)
		u->o->started(u);
	memcpy(u->r.key, u->plan.key, sizeof u->r.key);
	if (!u->src.mem && source_open(&u->src, u->plan.path, u->plan.named, &e) < 0)
		finish(u, &e);
	else
		begin(u, s);
}

void
upload_submit(struct pool *pool, const struct upload_options *o, struct upload *u)
{
	u->o = o;
	u->pool = pool;
	if (!u->src.mem)
		u->src.fd = -1;
	u->r = (struct upload_result){0};
	snprintf(u->own, sizeof u->own, "%s", o->if_exists == UPLOAD_REPLACE && u->replaces ? u->replaces : "");
	u->bare_match = __atomic_load_n(&pool->store->bare_match, __ATOMIC_RELAXED);
	u->sends = 0;
	u->job.run = run;
	u->job.rank = u->plan.size > o->threshold ? pool_rank(u->plan.size, clock_ms()) + 1 : 0;
	pool_submit(pool, &u->job);
}
