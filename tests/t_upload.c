/* An upload's decisions when its key is taken, over a store in memory that takes one request at a time. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "hash.h"
#include "s3.h"
#include "test.h"
#include "utc.h"

static int fake_head(struct s3 *s, const char *key, struct s3_object_info *o, struct err *e);
static int fake_put(struct s3 *s, const struct s3_put *put, struct s3_put_result *r, struct err *e);
static int fake_create(struct s3 *s, const struct s3_put *put, char id[S3_UPLOAD_ID_CAP], struct err *e);
static int fake_complete(struct s3 *s, const struct s3_complete *c, char etag[S3_ETAG_CAP], struct err *e);
static int fake_abort(struct s3 *s, const char *bucket, const char *key, const char *id, struct err *e);
static int fake_list_parts(struct s3 *s, const char *key, const char *id,
	int (*part)(void *arg, const struct s3_part *p, struct err *e), void *arg, struct err *e);

static int compared;                            /* how often a file was read to be held against an object */

#define s3_same_content(...) (compared++, s3_same_content(__VA_ARGS__))
#define s3_head(...) fake_head(__VA_ARGS__)
#define s3_put(...) fake_put(__VA_ARGS__)
#define s3_create(...) fake_create(__VA_ARGS__)
#define s3_complete(...) fake_complete(__VA_ARGS__)
#define s3_abort(...) fake_abort(__VA_ARGS__)
#define s3_list_parts(...) fake_list_parts(__VA_ARGS__)
#include "../lib/upload.c"
#include "../lib/upload_parts.c"
#include "../lib/upload_resume.c"
#undef s3_same_content
#undef s3_head
#undef s3_put
#undef s3_create
#undef s3_complete
#undef s3_abort
#undef s3_list_parts

enum { OBJECTS_MAX = 8, PARTS_MAX = 64, PART = 16 };

/* ---- the store */

static struct object {
	char key[64], etag[S3_ETAG_CAP], tag[32];
	uint64_t size;
} objects[OBJECTS_MAX];
static struct s3_part parts[PARTS_MAX + 1];     /* of the one unfinished upload, by their numbers */
static int nobjects, unfinished, most_unfinished, no_head, created, heads;
static int parts_left = -1;                     /* then the network is gone; -1: never */
static int parts_sent;
/* Once, each: the answer to what stores an object is lost; what happens behind our back after a HEAD, and after an object is stored. */
static int lose_answer;
static int no_match;      /* whatever is there, a PUT with If-Match gets 404 */
static char created_tag[32];      /* of the unfinished upload's beginning */
static int bare_server, quoted;   /* compares If-Match with its quotes, so that it never holds; requests with those */
static void (*after_head)(void), (*after_store)(void);
/* What these answer, where that is an error. */
static struct { struct err part, list, complete, abort; } answers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct object *
find(const char *key)
{
	for (int i = 0; i < nobjects; i++)
		if (!strcmp(objects[i].key, key))
			return &objects[i];
	return NULL;
}

static void
set_tagged(const char *key, const char *etag, uint64_t size, const char *tag)
{
	struct object *x = find(key);

	if (!x && nobjects < OBJECTS_MAX)
		x = &objects[nobjects++];
	if (!x)
		return;
	snprintf(x->key, sizeof x->key, "%s", key);
	snprintf(x->etag, sizeof x->etag, "%s", etag);
	snprintf(x->tag, sizeof x->tag, "%s", tag);
	x->size = size;
}

static void
set(const char *key, const char *etag, uint64_t size)
{
	set_tagged(key, etag, size, "");
}

static void
once(void (**hook)(void))
{
	void (*f)(void) = *hook;

	*hook = NULL;
	if (f)
		f();
}

static int
refuse(struct err *e, int status)
{
	fail(e, ERR_HTTP, "%d", status);
	e->status = status;
	return -1;
}

static int
answer(const struct err *what, struct err *e)
{
	*e = *what;
	return what->kind ? -1 : 0;
}

static int
fake_head(struct s3 *s, const char *key, struct s3_object_info *o, struct err *e)
{
	const struct object *there;
	struct object x = {0};

	(void)s;
	pthread_mutex_lock(&lock);
	heads++;
	there = find(key);
	if (there)
		x = *there;
	pthread_mutex_unlock(&lock);
	*o = (struct s3_object_info){0};
	if (no_head)
		return refuse(e, 403);
	if (!there)
		return refuse(e, 404);
	memcpy(o->etag, x.etag, sizeof o->etag);
	o->size = x.size;
	memcpy(o->tag, x.tag, sizeof o->tag);
	once(&after_head);
	return 0;
}

static int
misread(const char *if_match, int bare)
{
	quoted += if_match && !bare;
	return bare_server && if_match && !bare;
}

/* Store it if the conditions hold, or twice, when the first answer is lost. */
static int
store_if(const struct object *x, int if_absent, const char *if_match, int *attempts, struct err *e)
{
	int rc = 0;

	for (int left = 1 + lose_answer; left && rc == 0; left--) {
		struct object *there = find(x->key);

		++*attempts;
		if (if_match && (!there || no_match))
			rc = refuse(e, 404);
		else if (there && (if_absent || (if_match && strcmp(there->etag, if_match))))
			rc = refuse(e, 412), e->maybe_done = *attempts > 1;
		else
			set_tagged(x->key, x->etag, x->size, x->tag);
	}
	lose_answer = 0;
	if (rc == 0)
		once(&after_store);
	return rc;
}

/* Parts too large to be read count as their numbers. */
static int
fake_part(const struct s3_put *put, const char *etag, struct err *e)
{
	int rc = answer(&answers.part, e);

	pthread_mutex_lock(&lock);
	if (rc < 0) {
		;
	} else if (parts_left == 0) {
		rc = fail(e, ERR_NET, "gone");
	} else if (put->part_number <= PARTS_MAX) {
		parts_left -= parts_left > 0;
		parts_sent++;
		parts[put->part_number] = (struct s3_part){put->part_number, put->body.len, ""};
		snprintf(parts[put->part_number].etag, S3_ETAG_CAP, "%s", etag);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
fake_put(struct s3 *s, const struct s3_put *put, struct s3_put_result *r, struct err *e)
{
	unsigned char md5[HASH_MD5_LEN];
	struct object x = {.size = put->body.len};
	struct buf b = BUF(x.etag);
	struct hash_md5 h;
	int rc = 0;

	(void)s;
	*r = (struct s3_put_result){.attempts = 1};
	hash_md5_init(&h);
	hash_md5_update(&h, &put->part_number, sizeof put->part_number);
	hash_md5_out(&h, md5);
	if (put->body.len < 1000 && s3_body_md5(&put->body, md5, e) < 0)
		return -1;
	if (put->changed(put->changed_arg))
		return fail(e, ERR_CHANGED, "changed");
	enc_hex(&b, md5, sizeof md5);
	snprintf(x.key, sizeof x.key, "%s", put->key);
	snprintf(x.tag, sizeof x.tag, "%s", put->tag ? put->tag : "");
	if (put->upload_id) {
		rc = fake_part(put, x.etag, e);
	} else {
		r->attempts = 0;
		pthread_mutex_lock(&lock);
		rc = misread(put->if_match, put->bare_match) ? refuse(e, 412)
			: store_if(&x, put->if_absent, put->if_match, &r->attempts, e);
		pthread_mutex_unlock(&lock);
	}
	memcpy(r->etag, x.etag, sizeof r->etag);
	return rc;
}

static int
fake_create(struct s3 *s, const struct s3_put *put, char id[S3_UPLOAD_ID_CAP], struct err *e)
{
	(void)s, (void)e;
	strcpy(id, "id");
	snprintf(created_tag, sizeof created_tag, "%s", put->tag ? put->tag : "");
	memset(parts, 0, sizeof parts);
	unfinished++;
	if (unfinished > most_unfinished)
		most_unfinished = unfinished;
	created++;
	return 0;
}

static int
fake_complete(struct s3 *s, const struct s3_complete *c, char etag[S3_ETAG_CAP], struct err *e)
{
	struct object x = {.size = 0};
	int rc, attempts = 0;

	(void)s;
	if (c->changed(c->changed_arg))
		return fail(e, ERR_CHANGED, "changed");
	if (answer(&answers.complete, e) < 0)
		return -1;
	memcpy(x.tag, created_tag, sizeof x.tag);
	for (int i = 0; i < c->nparts; i++)
		x.size += c->parts[i].size;
	s3_parts_etag(c->parts, c->nparts, etag);
	snprintf(x.key, sizeof x.key, "%s", c->key);
	memcpy(x.etag, etag, sizeof x.etag);
	pthread_mutex_lock(&lock);
	rc = misread(c->if_match, c->bare_match) ? refuse(e, 412) : store_if(&x, c->if_absent, c->if_match, &attempts, e);
	/* What was stored by an attempt before the one that is refused is none any more. */
	unfinished -= rc == 0 || e->maybe_done;
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
fake_abort(struct s3 *s, const char *bucket, const char *key, const char *id, struct err *e)
{
	(void)s, (void)bucket, (void)key, (void)id;
	if (answer(&answers.abort, e) < 0)
		return -1;
	unfinished--;
	return 0;
}

static int
fake_list_parts(struct s3 *s, const char *key, const char *id,
	int (*part)(void *arg, const struct s3_part *p, struct err *e), void *arg, struct err *e)
{
	(void)s, (void)key, (void)id;
	if (answer(&answers.list, e) < 0)
		return -1;
	for (int i = 1; i <= PARTS_MAX; i++)
		if (parts[i].number && part(arg, &parts[i], e))
			return -1;
	return 0;
}

/* ---- the file, and one upload of it */

static char path[] = "/tmp/t_upload.XXXXXX";
static struct config cfg = {.host = "127.0.0.1", .bucket = "b", .port = 9, .retries = 1, .timeout_ms = 5000};
static struct s3_store store = {.cfg = &cfg};
static struct pool pool;
static struct upload_options options;
static struct err result;      /* of the last upload */

static void
write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	check_int(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The ETag that this content would have, in parts or not. */
static const char *
etag_of(const char *text)
{
	static char etag[S3_ETAG_CAP];
	struct s3_part made[8] = {0};
	unsigned char md5[HASH_MD5_LEN];
	size_t n = strlen(text);
	int k = 0;

	for (size_t at = 0; at < n; at += PART, k++) {
		struct upload_source src;
		struct buf b = BUF(made[k].etag);
		struct err e;

		source_memory(&src, text + at, n > options.threshold && n - at > PART ? PART : n - at);
		check_int(s3_body_md5(&src.body, md5, &e), 0);
		enc_hex(&b, md5, sizeof md5);
		if (n <= options.threshold)
			return memcpy(etag, made[0].etag, sizeof etag);
	}
	s3_parts_etag(made, k, etag);
	return etag;
}

static void
finished(struct upload *u, const struct err *e)
{
	(void)u;
	pthread_mutex_lock(&lock);
	result = e ? *e : (struct err){0};
	pthread_mutex_unlock(&lock);
}

/* Begin anew: the object "k.png" with that content, NULL for none. */
static void
begin_with(const char *there)
{
	nobjects = unfinished = heads = no_head = no_match = lose_answer = created = bare_server = quoted = 0;
	parts_left = -1;
	after_head = after_store = NULL;
	if (there)
		set("k.png", etag_of(there), strlen(there));
}

static const char *our_tag;       /* of the uploads to come */

static struct upload
upload(enum upload_if_exists how, const char *replaces)
{
	struct upload u = {.plan = {.path = path, .key = "k.png"}, .replaces = replaces, .tag = our_tag};

	options.if_exists = how;
	options.part_size = PART;
	options.finished = finished;
	options.journal_dir = NULL;
	upload_submit(&pool, &options, &u);
	pool_wait(&pool, 0);
	check_int(unfinished, 0);
	return u;
}

#define stored(u, k, text) stored_at(__LINE__, u, k, text)

/* It went well and is at that key with that content. */
static void
stored_at(int line, const struct upload *u, const char *key, const char *text)
{
	struct object *x = find(key);

	check_str(result.msg, "");
	check_str(u->r.key, key);
	check_str(u->r.etag, etag_of(text));
	check(x && !strcmp(x->etag, etag_of(text)));
	if (result.kind || !x || strcmp(x->etag, etag_of(text)))
		fprintf(stderr, "  from line %d\n", line);
}

/* The key that content gets when k.png is taken. */
static const char *
other_key(const char *text)
{
	static char key[64];
	uint64_t threshold = options.threshold;

	options.threshold = UINT64_MAX;
	snprintf(key, sizeof key, "k-%.8s.png", etag_of(text));
	options.threshold = threshold;
	return key;
}

static const char ours[] = "what we have stored before", fresh[] = "what is in the file at this time",
	theirs[] = "what somebody else has stored", later[] = "what is in the file a little later";

static void
theirs_comes(void)
{
	set("k.png", etag_of(theirs), strlen(theirs));
}

static void
object_goes(void)
{
	nobjects = 0;
}

static void
test_replace(void)
{
	char own[S3_ETAG_CAP];
	struct upload u;

	write_file(fresh);
	snprintf(own, sizeof own, "%s", etag_of(ours));
	begin_with(ours);
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);
	check_int(nobjects, 1);
	check_int(u.r.outcome, UPLOAD_STORED);

	begin_with(ours);
	lose_answer = 1;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);
	check_int(nobjects, 1);
	check_int(u.r.outcome, UPLOAD_STORED);

	begin_with(NULL);
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);

	/* Touched, but the same: not sent. */
	snprintf(own, sizeof own, "%s", etag_of(fresh));
	begin_with(fresh);
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);
	check_int(u.r.outcome, UPLOAD_SAME);
	snprintf(own, sizeof own, "%s", etag_of(ours));

	begin_with(ours);
	after_head = object_goes;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);

	/* A gateway between that knows no such request: not for ever. */
	begin_with(ours);
	our_tag = "1234";
	set_tagged("k.png", etag_of(ours), sizeof ours - 1, our_tag);
	no_match = 1;
	upload(UPLOAD_REPLACE, own);
	our_tag = NULL;
	check_int(result.status, 404);
	check(heads < 20);
}

/* An object with our tag is ours, though we know nothing of it: a kill took the note. Another's tag is another's. */
static void
test_tag(void)
{
	static const enum upload_if_exists hows[] = {UPLOAD_RENAME, UPLOAD_REPLACE, UPLOAD_SKIP, UPLOAD_FAIL};
	struct upload u;

	write_file(fresh);
	our_tag = "0123456789abcdef";
	for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
		begin_with(NULL);
		u = upload(hows[i], NULL);
		stored(&u, "k.png", fresh);
		check_str(find("k.png")->tag, our_tag);

		begin_with(NULL);
		set_tagged("k.png", etag_of(ours), strlen(ours), our_tag);
		u = upload(hows[i], NULL);
		stored(&u, "k.png", fresh);
		check_int(u.r.outcome, UPLOAD_STORED);
		check_int(nobjects, 1);
	}
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, "k.png", fresh);
	check(u.r.outcome == UPLOAD_SAME && u.r.ours);

	begin_with(NULL);
	set_tagged("k.png", etag_of(theirs), strlen(theirs), "0123456789abcdee");
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, other_key(fresh), fresh);
	check_str(find("k.png")->etag, etag_of(theirs));
	begin_with(fresh);
	u = upload(UPLOAD_RENAME, NULL);
	check(u.r.outcome == UPLOAD_SAME && !u.r.ours);
	our_tag = NULL;
}

/* R2 decides by If-None-Match itself: a small file is one request, and what is there stays all the same. */
static void
test_without_look(void)
{
	struct upload u;

	write_file(fresh);
	strcpy(cfg.host, "0123.r2.cloudflarestorage.com");
	begin_with(NULL);
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, "k.png", fresh);
	check_int(heads, 0);
	begin_with(theirs);
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, other_key(fresh), fresh);
	check_str(find("k.png")->etag, etag_of(theirs));
	begin_with(fresh);
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, "k.png", fresh);
	check_int(u.r.outcome, UPLOAD_SAME);
	strcpy(cfg.host, "127.0.0.1");
	begin_with(NULL);
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, "k.png", fresh);
	check_int(heads, 1);
}

/* Learnt once, and no reason to replace what is not ours. */
static void
test_replace_bare(void)
{
	char own[S3_ETAG_CAP];
	struct upload u;

	write_file(fresh);
	snprintf(own, sizeof own, "%s", etag_of(ours));
	begin_with(ours);
	bare_server = 1;
	for (int i = 0; i < 2; i++) {
		set("k.png", own, strlen(ours));
		u = upload(UPLOAD_REPLACE, own);
		stored(&u, "k.png", fresh);
		check_int(nobjects, 1);
		check_int(quoted, 1);
	}
	begin_with(ours);
	bare_server = 1;
	after_head = theirs_comes;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, other_key(fresh), fresh);
	check_str(find("k.png")->etag, etag_of(theirs));
	store.bare_match = 0;
}

static void
test_replace_not_ours(void)
{
	char own[S3_ETAG_CAP];
	struct upload u;

	write_file(fresh);
	snprintf(own, sizeof own, "%s", etag_of(ours));
	for (int known = 0; known < 2; known++) {
		begin_with(theirs);
		u = upload(UPLOAD_REPLACE, known ? own : NULL);
		stored(&u, other_key(fresh), fresh);
		check_str(find("k.png")->etag, etag_of(theirs));
		/* And once more: the same content, at the other key. */
		u = upload(UPLOAD_REPLACE, known ? own : NULL);
		stored(&u, other_key(fresh), fresh);
		check_int(u.r.outcome, UPLOAD_SAME);
		check_int(nobjects, 2);
	}
	begin_with(fresh);
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);
	check_int(u.r.outcome, UPLOAD_SAME);

	begin_with(ours);
	after_head = theirs_comes;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, other_key(fresh), fresh);
	check_str(find("k.png")->etag, etag_of(theirs));
}

/* A token that may write, but not look. */
static void
test_replace_blind(void)
{
	char own[S3_ETAG_CAP];
	struct upload u;

	write_file(fresh);
	snprintf(own, sizeof own, "%s", etag_of(ours));
	begin_with(NULL);
	no_head = 1;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, "k.png", fresh);
	begin_with(ours);
	no_head = 1;
	u = upload(UPLOAD_REPLACE, own);
	stored(&u, other_key(fresh), fresh);
	check_str(find("k.png")->etag, etag_of(ours));
	check_int(nobjects, 2);
}

static void
file_changes(void)
{
	write_file(later);
}

static void
file_and_object_change(void)
{
	write_file(later);
	theirs_comes();
}

static const char *moved_to;      /* where the file goes; NULL: it is removed */

static void
file_is_replaced(void)
{
	if (moved_to)
		check_int(rename(path, moved_to), 0);
	else
		check_int(unlink(path), 0);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	write_file(later);
}

static void
file_goes(void)
{
	check_int(unlink(path), 0);
}

/* Written to under its new name. */
static void
file_is_moved_and_changes(void)
{
	FILE *f;

	check_int(rename(path, moved_to), 0);
	f = fopen(moved_to, "we");
	fputs(later, f);
	fclose(f);
}

/* Written to under its old name, which it had some time longer. */
static void
file_changes_and_is_moved(void)
{
	struct stat st;

	write_file(later);
	do {
		check_int(rename(path, moved_to), 0);
		check_int(stat(moved_to, &st), 0);
	} while (!memcmp(&st.st_ctim, &st.st_mtim, sizeof st.st_ctim) && rename(moved_to, path) == 0);
}

/* Another file is at the path once the first is stored: it is sent by_path, else the first one wherever it is; src.was is that of what was sent. */
static void
test_replaced_file(void)
{
	char away[sizeof path + 8];
	struct upload u;
	struct stat st;

	snprintf(away, sizeof away, "%s.away", path);
	for (int i = 0; i < 4; i++) {
		options.by_path = i / 2;
		moved_to = i % 2 ? away : NULL;
		write_file(fresh);
		begin_with(NULL);
		after_store = file_is_replaced;
		u = upload(UPLOAD_OVERWRITE, NULL);
		stored(&u, "k.png", options.by_path ? later : fresh);
		check_int(stat(path, &st), 0);
		check_int(u.src.was.st_ino == st.st_ino, options.by_path);
	}
	unlink(away);
	write_file(fresh);
	begin_with(NULL);
	after_store = file_goes;
	upload(UPLOAD_OVERWRITE, NULL);
	check_int(result.kind, ERR_LOCAL);
	options.by_path = 0;
	moved_to = away;
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	write_file(fresh);
	begin_with(NULL);
	after_store = file_is_moved_and_changes;
	upload(UPLOAD_REPLACE, NULL);
	check_int(result.kind, ERR_CHANGED);
	check_str(find("k.png")->etag, etag_of(fresh));
	unlink(away);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	write_file(fresh);
	begin_with(NULL);
	after_store = file_changes_and_is_moved;
	u = upload(UPLOAD_REPLACE, NULL);
	stored(&u, "k.png", later);
	unlink(away);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static const char newest[] = "what is at the path in the end";

/* Once, while the file is waited for to come to rest. */
static int
replace_in_pause(void *arg, int ms)
{
	struct stat st;

	(void)arg, (void)ms;
	if (stat(path, &st) == 0 && (size_t)st.st_size != sizeof newest - 1) {
		moved_to = NULL;
		file_is_replaced();
		write_file(newest);
	}
	return 0;
}

/* What was replaced before it was sent again is nobody's any more: another process may have stored what took its place. */
static void
test_replaced_in_pause(void)
{
	int (*pause)(void *, int) = store.pause;
	struct upload u;

	options.by_path = 1;
	store.pause = replace_in_pause;
	write_file(fresh);
	begin_with(NULL);
	after_store = file_changes;
	u = upload(UPLOAD_OVERWRITE, NULL);
	stored(&u, "k.png", newest);
	store.pause = pause;
	options.by_path = 0;
}

/* Changed once it is stored: the second sending replaces the first one's object, and nobody else's. */
static void
test_changed_after(void)
{
	static const enum upload_if_exists hows[] = {UPLOAD_OVERWRITE, UPLOAD_SKIP, UPLOAD_RENAME, UPLOAD_FAIL, UPLOAD_REPLACE};
	struct upload u;

	for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
		write_file(fresh);
		begin_with(NULL);
		after_store = file_changes;
		u = upload(hows[i], NULL);
		stored(&u, "k.png", later);
		check_int(u.r.outcome, UPLOAD_STORED);
		check_int(u.r.size, sizeof later - 1);
		check_int(nobjects, 1);
		write_file(fresh);
		begin_with(NULL);
		after_store = file_and_object_change;
		u = upload(hows[i], NULL);
		if (hows[i] == UPLOAD_OVERWRITE) {
			stored(&u, "k.png", later);
			continue;
		}
		check_str(find("k.png")->etag, etag_of(theirs));
		if (hows[i] == UPLOAD_SKIP)
			check_int(u.r.outcome, UPLOAD_SKIPPED);
		else if (hows[i] == UPLOAD_FAIL)
			check_int(result.kind, ERR_HTTP);
		else
			stored(&u, other_key(later), later);
	}
	write_file(fresh);
	begin_with(theirs);
	after_store = file_changes;
	u = upload(UPLOAD_RENAME, NULL);
	stored(&u, other_key(fresh), later);
	check_int(nobjects, 2);
}

/* Whatever is there stays: to say so nobody reads a file of hundreds of gigabytes. */
static void
test_skipped(void)
{
	struct upload u;

	write_file(fresh);
	begin_with(fresh);
	compared = 0;
	u = upload(UPLOAD_SKIP, NULL);
	check_int(u.r.outcome, UPLOAD_SKIPPED);
	check_str(u.r.etag, etag_of(fresh));
	check_int(compared, 0);
	/* But after a lost answer it may be what was sent. */
	begin_with(NULL);
	lose_answer = 1;
	u = upload(UPLOAD_SKIP, NULL);
	stored(&u, "k.png", fresh);
	check_int(u.r.outcome, UPLOAD_STORED);
}

static struct upload_options second_options;

/* Two uploads of one pool, each as its own options say; and the caller learns which state of the file was stored. */
static void
test_two_options(void)
{
	struct upload a = {.plan = {.path = path, .key = "k.png"}}, b = {.plan = {.path = path, .key = "new.png"}};
	struct stat st;

	write_file(fresh);
	begin_with(theirs);
	options.if_exists = UPLOAD_SKIP;
	second_options = options;
	second_options.if_exists = UPLOAD_OVERWRITE;
	second_options.threshold = UINT64_MAX - options.threshold;
	upload_submit(&pool, &options, &a);
	upload_submit(&pool, &second_options, &b);
	pool_wait(&pool, 0);
	check_int(a.r.outcome, UPLOAD_SKIPPED);
	check_str(find("k.png")->etag, etag_of(theirs));
	options.threshold = second_options.threshold;
	stored(&b, "new.png", fresh);
	options.threshold = UINT64_MAX - options.threshold;
	check_int(stat(path, &st), 0);
	check_int(b.src.was.st_ino, st.st_ino);
	check_int(b.src.was.st_size, sizeof fresh - 1);
	check_int(b.src.was.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
	check_int(b.src.was.st_ctim.tv_nsec, st.st_ctim.tv_nsec);
}

/* ---- cut off and gone on with */

enum { MIB = 1 << 20 };

static char journals[] = "/tmp/t_upload.XXXXXX";
static char noted[256];

static void
keep_note(struct upload *u, const char *text)
{
	(void)u;
	snprintf(noted, sizeof noted, "%s", text);
}

/* A run of an upload of the large file that ends after so many parts; how many were there before it. */
static int
run_once(int until, uint64_t part_size)
{
	struct upload u = {.plan = {.path = path, .key = "k.png"}};
	struct upload_options o = {.threshold = 0, .part_size = part_size, .journal_dir = journals, .finished = finished,
		.note = keep_note};

	noted[0] = '\0';
	parts_left = until;
	parts_sent = 0;
	upload_submit(&pool, &o, &u);
	pool_wait(&pool, 0);
	return (int)(u.r.resumed / (part_size ? part_size : UPLOAD_PART_SIZE));
}

static int
run_of(int until, uint64_t part_size)
{
	int before = run_once(until, part_size);

	check_int(result.kind, until < 0 ? ERR_NONE : ERR_NET);
	return before;
}

static void
test_smaller_parts(void)
{
	begin_with(NULL);
	check_int(truncate(path, 400 * MIB), 0);
	/* Not one was through: smaller ones from then on, whatever happens. */
	check_int(run_of(0, 0), 0);
	check_int(created, 1);
	check_int(run_of(0, 0), 0);
	check(strstr(noted, "smaller parts"));
	check_int(unfinished, 1);
	check_int(created, 2);
	check_int(run_of(3, 0), 0);
	check_int(parts[1].size, UPLOAD_PART_SMALL);
	check_int(run_of(7, 0), 3 * UPLOAD_PART_SMALL / UPLOAD_PART_SIZE);
	check_str(noted, "");
	check_int(created, 2);
	check_int(run_of(-1, 0), 10 * UPLOAD_PART_SMALL / UPLOAD_PART_SIZE);
	check_int(parts_sent, 40);
	check_str(strchr(find("k.png")->etag, '-'), "-50");
	check_int(unfinished, 0);

	/* What is through is given up only when as many runs were in vain. */
	begin_with(NULL);
	check_int(run_of(2, 0), 0);
	check_int(run_of(0, 0), 2);
	check_int(run_of(0, 0), 2);
	check_int(created, 1);
	check_int(run_of(1, 0), 0);
	check_int(created, 2);
	check_int(parts[1].size, UPLOAD_PART_SMALL);
	check_int(run_of(-1, 0), 0);
	check_int(parts_sent, 49);
	begin_with(NULL);
	check_int(run_of(2, 0), 0);
	check_int(run_of(0, 0), 2);
	check_int(run_of(1, 0), 2);
	check_int(run_of(0, 0), 3);
	check_int(run_of(0, 0), 3);
	check_int(run_of(-1, 0), 3);
	check_int(parts_sent, 5);

	/* A size that the user has chosen stays, be it the usual one; another one begins anew. */
	begin_with(NULL);
	check_int(run_of(0, UPLOAD_PART_SIZE), 0);
	check_int(run_of(-1, UPLOAD_PART_SIZE), 0);
	check_int(created, 1);
	check_int(parts[1].size, UPLOAD_PART_SIZE);
	begin_with(NULL);
	check_int(run_of(0, 40 * MIB), 0);
	check_int(run_of(1, 40 * MIB), 0);
	check_int(created, 1);
	check_int(parts[1].size, 40 * MIB);
	check_int(run_of(1, 0), 0);
	check(strstr(noted, "starts again"));
	check_int(unfinished, 1);
	check_int(created, 2);
	check_int(run_of(-1, 0), 1);
	check_int(unfinished, 0);
}

static void
touch(void)
{
	check_int(utimensat(AT_FDCWD, path, NULL, 0), 0);
}

/* What was cut off is gone on with only as far as file, journal and server agree. */
static void
test_resume(void)
{
	struct upload u = {.plan = {.path = path, .key = "k.png"}};
	struct upload_options o = {.threshold = 0, .part_size = 40 * MIB, .finished = finished};
	char etag[S3_ETAG_CAP];
	int through[3], n = 0;

	begin_with(NULL);
	check_int(run_of(5, 40 * MIB), 0);
	/* Which five of them is the threads' business. */
	for (int i = 0; n < 3; i++)
		if (parts[i].number)
			through[n++] = i;
	parts[through[0]] = (struct s3_part){0};
	strcpy(parts[through[1]].etag, "another");
	parts[through[2]].size--;
	check_int(run_of(-1, 40 * MIB), 2);
	check_int(parts_sent, 8);
	check_int(created, 1);
	/* Another state of the file. */
	begin_with(NULL);
	check_int(run_of(5, 40 * MIB), 0);
	check_int(utimensat(AT_FDCWD, path, (struct timespec[2]){{1, 0}, {1, 0}}, 0), 0);
	check_int(run_of(-1, 40 * MIB), 0);
	check(strstr(noted, "changed since"));
	check_int(created, 2);
	check_int(unfinished, 0);
	/* Changed after all: what was there already has been sent once more. */
	begin_with(NULL);
	check_int(run_of(5, 40 * MIB), 0);
	after_store = touch;
	check_int(run_of(-1, 40 * MIB), 0);
	check_int(parts_sent, 15);
	/* All was there, and the answer to Complete was lost with the run that asked. */
	begin_with(NULL);
	answers.complete.kind = ERR_NET;
	check_int(run_of(11, 40 * MIB), 0);
	s3_parts_etag(parts + 1, 10, etag);
	set("k.png", etag, 400 * MIB);
	answers.list = answers.complete = (struct err){.kind = ERR_HTTP, .status = 404, .code = "NoSuchUpload"};
	check_int(run_of(-1, 40 * MIB), 10);
	check_int(parts_sent, 0);
	memset(&answers, 0, sizeof answers);
	/* Without a journal nobody could go on: what was sent is taken back. */
	begin_with(NULL);
	parts_left = 5;
	upload_submit(&pool, &o, &u);
	pool_wait(&pool, 0);
	check_int(result.kind, ERR_NET);
	check_int(unfinished, 0);
	check(!strstr(result.msg, "go on"));
}

static const char *run_prefix = "o";

/* A run of an upload of the large file on that day, which ends after so many parts. */
static struct upload
run_on(int64_t now, const char *date, int until)
{
	struct upload u = {.plan = {.path = path}};
	struct upload_options o = {.prefix = run_prefix, .now = now, .date = date, .part_size = 40 * MIB, .journal_dir = journals,
		.finished = finished};
	char today[UTC_DATE_CAP];

	utc_local_date(now, today);
	snprintf(u.plan.key, sizeof u.plan.key, "%s/%s/x %s.bin", run_prefix, date ? date : today, "2027-01-15");
	parts_left = until;
	parts_sent = 0;
	upload_submit(&pool, &o, &u);
	pool_wait(&pool, 0);
	return u;
}

/* The same command after midnight: what was begun goes on in the folder that it was begun in. What begins anew is in today's: after a month
   the other one may be what cleanup deletes next. */
static void
test_midnight(void)
{
	const int64_t evening = 1800000000, morning = evening + 86400;   /* 2027-01-15 */
	char first[PATH_KEY_MAX + 1];
	struct upload u;

	begin_with(NULL);
	u = run_on(evening, NULL, 5);
	memcpy(first, u.r.key, sizeof first);
	check_int(result.kind, ERR_NET);
	u = run_on(morning, NULL, 2);
	check_int(result.kind, ERR_NET);
	check_str(u.r.key, first);
	answers.list = (struct err){.kind = ERR_HTTP, .status = 404, .code = "NoSuchUpload"};
	u = run_on(morning, NULL, 5);
	memset(&answers, 0, sizeof answers);
	check_int(created, 2);
	check(strcmp(u.r.key, first) != 0);
	check_str(u.r.key, u.plan.key);
	memcpy(first, u.r.key, sizeof first);
	unfinished--;
	u = run_on(morning + 86400, NULL, -1);
	check_int(result.kind, ERR_NONE);
	check_str(u.r.key, first);
	check_int(parts_sent, 5);
	check_int(created, 2);
	check_int(unfinished, 0);
	/* A folder that was asked for is another one. */
	begin_with(NULL);
	run_on(evening, NULL, 5);
	u = run_on(morning, "2020-02-02", -1);
	check_str(u.r.key, "o/2020-02-02/x 2027-01-15.bin");
	check_int(parts_sent, 10);
	check_int(created, 2);
	check_int(unfinished, 0);
	/* Another prefix is another place, also when no more than its date is another. */
	begin_with(NULL);
	run_prefix = "o/1 of/2027-01-14";
	run_on(evening, NULL, 5);
	run_prefix = "o/1 of/2027-01-15";
	u = run_on(evening, NULL, 5);
	check_str(u.r.key, u.plan.key);
	check_int(created, 2);
	memcpy(first, u.r.key, sizeof first);
	u = run_on(morning, NULL, -1);
	check_str(u.r.key, first);
	check_int(parts_sent, 5);
	run_prefix = "o";
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void
run_held(struct pool_job *j, struct s3 *s)
{
	(void)j, (void)s;
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
}

/* Many large files: what is begun is finished first, so that whoever is stopped half way has stored half of them. */
static void
test_in_turn(void)
{
	struct upload u[3];
	struct upload_options o = {.threshold = MIB, .part_size = 40 * MIB, .finished = finished};
	struct pool_job first = {.run = run_held};
	struct pool one;
	struct err e;

	begin_with(NULL);
	most_unfinished = 0;
	check_int(truncate(path, 400 * MIB), 0);
	check_int(pool_open(&one, &store, 1, 0, &e), 0);
	pthread_mutex_lock(&held);
	pool_submit(&one, &first);
	for (int i = 0; i < 3; i++) {
		u[i] = (struct upload){.plan = {.path = path, .size = 400 * MIB}};
		snprintf(u[i].plan.key, sizeof u[i].plan.key, "%d", i);
		upload_submit(&one, &o, &u[i]);
	}
	pthread_mutex_unlock(&held);
	pool_close(&one);
	check_int(result.kind, ERR_NONE);
	check_int(nobjects, 3);
	check_int(most_unfinished, 1);
}

/* A file system has another number when it is mounted again, and its files are what they were. */
static void
test_identity(void)
{
	struct upload u = {.o = &options, .r = {.key = "k"}};
	struct parts ps = {.u = &u};
	char before[JOURNAL_TEXT_MAX], after[JOURNAL_TEXT_MAX];

	parts_identity(&ps, &store, before);
	u.src.was.st_dev++;
	parts_identity(&ps, &store, after);
	check_str(after, before);
	u.src.was.st_ctim.tv_nsec++;
	parts_identity(&ps, &store, after);
	check(strcmp(after, before));
}

/* What has nothing to do with the upload, at its beginning, in the middle, at its end: it is gone on with. What has ends it. */
static void
test_kept(void)
{
	static const struct {
		struct err why, abort;
		int kept;
	} rows[] = {
		{{.kind = ERR_TLS}, {0}, 1},
		{{.kind = ERR_PROTO}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 401, .code = "Unauthorized"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 403, .code = "SignatureDoesNotMatch"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 400, .code = "ExpiredToken"}, {.kind = ERR_HTTP, .status = 400}, 1},
		{{.kind = ERR_HTTP, .status = 400, .code = "RequestTimeout"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 400, .code = "BadDigest"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 200, .code = "InternalError"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 200, .code = "SlowDown"}, {0}, 1},
		{{.kind = ERR_HTTP, .status = 400, .code = "EntityTooLarge"}, {0}, 0},
		{{.kind = ERR_HTTP, .status = 400, .code = "InvalidPart"}, {.kind = ERR_HTTP, .status = 403}, 1},
		{{.kind = ERR_HTTP, .status = 400, .code = "InvalidPart"}, {.kind = ERR_NET}, 1},
		{{.kind = ERR_CORRUPT}, {0}, 0},
	};
	struct err *const places[] = {&answers.list, &answers.part, &answers.complete};

	for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
		int kept = rows[i / 3].kept;

		begin_with(NULL);
		check_int(run_of(5, 40 * MIB), 0);
		*places[i % 3] = rows[i / 3].why;
		answers.abort = rows[i / 3].abort;
		run_once(-1, 40 * MIB);
		check_int(result.kind, rows[i / 3].why.kind);
		check_int(strstr(result.msg, "same command") != NULL, kept);
		check_int(unfinished, kept);
		memset(&answers, 0, sizeof answers);
		check_int(run_of(-1, 40 * MIB), !kept ? 0 : i % 3 == 2 ? 10 : 5);
		check_int(created, 2 - kept);
		check_int(unfinished, 0);
	}
	/* Who cannot even ask what is there has not been too slow for a part. */
	begin_with(NULL);
	check_int(run_of(1, 0), 0);
	answers.list.kind = ERR_TLS;
	for (int i = 0; i < 2; i++)
		run_once(-1, 0);
	/* Who may not ask it believes the journal, as Complete names each part. */
	answers.list = (struct err){.kind = ERR_HTTP, .status = 403, .code = "AccessDenied"};
	check_int(run_of(-1, 0), 1);
	check_int(created, 1);
	memset(&answers, 0, sizeof answers);
}

/* --move removes one name after the other of a file that has several; that each of them sees the others go is no change of it. */
static void
test_remove_names(void)
{
	struct upload_source s;
	char other[sizeof path + 8];
	struct err e = {0};

	snprintf(other, sizeof other, "%s.other", path);
	write_file("seen");
	check_int(link(path, other), 0);
	check_int(source_open(&s, path, 0, &e), 0);
	s.by_path = 1;
	check_int(unlink(other), 0);
	check_int(source_changed(&s), 0);
	check_int(source_remove(&s, path, 0, &e), 0);
	check_int(source_changed(&s), 1);
	source_close(&s);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* The last moment of a file that --move removes: not if it changed, be it in the same second. */
static void
test_remove(void)
{
	struct upload_source s;
	struct stat st;
	struct err e = {0};

	write_file("seen");
	check_int(source_open(&s, path, 0, &e), 0);
	check_int(source_changed(&s), 0);
	st = s.was;
	st.st_mtim.tv_nsec = (st.st_mtim.tv_nsec + 1) % 1000000000;
	check_int(utimensat(AT_FDCWD, path, (struct timespec[2]){st.st_atim, st.st_mtim}, 0), 0);
	check_int(source_changed(&s), 1);
	check_int(source_remove(&s, path, 0, &e), -1);
	check_int(e.kind, ERR_CHANGED);
	check_int(stat(path, &st), 0);
	source_close(&s);
	check_int(source_open(&s, path, 0, &e), 0);
	check_int(source_remove(&s, path, 0, &e), 0);
	check_int(stat(path, &st), -1);
	source_close(&s);
}

int
main(void)
{
	struct err e = {0};

	close(mkstemp(path));
	check_int(pool_open(&pool, &store, 4, 0, &e), 0);
	for (int in_parts = 0; in_parts < 2; in_parts++) {
		options.threshold = in_parts ? 0 : UINT64_MAX;
		test_replace();
		test_replace_bare();
		test_replace_not_ours();
		test_replace_blind();
		test_tag();
		if (!in_parts)
			test_without_look();
		test_changed_after();
		test_replaced_in_pause();
		test_replaced_file();
		test_skipped();
		test_two_options();
	}
	check(mkdtemp(journals) != NULL);
	test_smaller_parts();
	test_identity();
	test_resume();
	test_midnight();
	test_in_turn();
	test_kept();
	check_int(rmdir(journals), 0);
	pool_close(&pool);
	test_remove_names();
	test_remove();
	return test_end();
}
