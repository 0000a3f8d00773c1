#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "ls.h"
#include "pool.h"
#include "utc.h"

enum {
	FOLDERS_MAX = 40000,             /* date folders: a century of days */
	AHEAD_BYTES = 128 * 1024,        /* of a folder's rows wait for their turn */
};

struct ahead;

/* Filled by a worker, emptied in its turn. */
struct folder {
	struct pool_job job;
	struct ahead *a;
	char *prefix;
	char *rows;                      /* entries as ls_entry_copy makes them, each aligned */
	size_t len;
	int done, rc;
	struct err why;
};

struct ahead {
	const struct s3_list *q;
	struct folder *folders;
	size_t n, cap;
	int other;                       /* there is something else than date folders */
	int over;                        /* nobody wants more rows */
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* -fanalyzer: malloc-leak: a->folders keeps what is in them until they are all freed at the end. */
/* The level of the folders; anything else there has its place between them, and is listed the ordinary way. */
static int
collect(void *arg, const struct s3_entry *x, struct err *e)
{
	struct ahead *a = arg;
	struct folder *f;
	char date[UTC_DATE_CAP];

	if (!x->is_prefix || utc_parse_folder(x->key + strlen(a->q->prefix), date) < 0 || a->n == FOLDERS_MAX)
		return a->other = 1;
	if (buf_grow((void **)&a->folders, &a->cap, a->n + 1, sizeof *f) < 0)
		return fail_memory(e);
	f = &a->folders[a->n++];
	*f = (struct folder){.a = a, .prefix = strdup(x->key)};
	return f->prefix ? 0 : fail_memory(e);
}

static size_t
row_len(const struct s3_entry *x)
{
	return (ls_entry_len(x) + 7) & ~(size_t)7;
}

/* In a worker, between two requests. */
static int
keep(void *arg, const struct s3_entry *x, struct err *e)
{
	struct folder *f = arg;
	struct ahead *a = f->a;
	size_t n = row_len(x);
	int over;

	(void)e;
	pthread_mutex_lock(&a->lock);
	while (f->len + n > AHEAD_BYTES && !a->over)
		pthread_cond_wait(&a->changed, &a->lock);
	over = a->over;
	if (!over) {
		ls_entry_copy(f->rows + f->len, x);
		if (!f->len)
			pthread_cond_broadcast(&a->changed);
		f->len += n;
	}
	pthread_mutex_unlock(&a->lock);
	return over;
}

static void
run(struct pool_job *j, struct s3 *s)
{
	struct folder *f = (struct folder *)j;
	struct s3_list q = {.prefix = f->prefix, .entry = keep, .arg = f};
	int rc = s3_list(s, &q, &f->why);

	pthread_mutex_lock(&f->a->lock);
	f->rc = rc;
	f->done = 1;
	pthread_cond_broadcast(&f->a->changed);
	pthread_mutex_unlock(&f->a->lock);
}

static int
tell(const struct ahead *a, const char *rows, size_t len, struct err *e)
{
	int rc = 0;

	for (const char *p = rows; p < rows + len && rc == 0; p += row_len((const struct s3_entry *)p))
		rc = a->q->entry(a->q->arg, (const struct s3_entry *)p, e);
	return rc;
}

/* f's rows as they come, until there are no more: 0; 1: that is enough; -1. spare: another buffer of that size. */
static int
take(struct folder *f, char **spare, struct err *e)
{
	struct ahead *a = f->a;
	int rc = 0, done;

	do {
		char *rows;
		size_t len;

		pthread_mutex_lock(&a->lock);
		while (!f->len && !f->done)
			pthread_cond_wait(&a->changed, &a->lock);
		rows = f->rows;
		len = f->len;
		f->rows = *spare;
		f->len = 0;
		done = f->done;
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
		*spare = rows;
		rc = tell(a, rows, len, e);
	} while (rc == 0 && !done);
	if (rc == 0 && f->rc < 0) {
		*e = f->why;
		rc = -1;
	}
	/* Else its worker may be at it; the end frees it. */
	if (done) {
		free(f->rows);
		f->rows = NULL;
	}
	return rc;
}

/* All folders, `jobs` of them under way. */
static int
take_all(struct ahead *a, struct pool *p, int jobs, struct err *e)
{
	char *spare = malloc(AHEAD_BYTES);
	size_t begun = 0;
	int rc = spare ? 0 : fail_memory(e);

	for (size_t i = 0; i < a->n && rc == 0; i++) {
		for (; begun < a->n && begun < i + (size_t)jobs && rc == 0; begun++) {
			struct folder *f = &a->folders[begun];

			f->job.run = run;
			f->rows = malloc(AHEAD_BYTES);
			if (f->rows)
				pool_submit(p, &f->job);
			else
				rc = fail_memory(e);
		}
		if (rc == 0)
			rc = take(&a->folders[i], &spare, e);
	}
	pthread_mutex_lock(&a->lock);
	a->over = 1;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (rc)
		pool_stop(p);
	free(spare);
	return rc;
}

int
ls_ahead(struct s3 *s, const struct s3_list *q, int jobs, struct err *e)
{
	struct ahead a = {.q = q, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	struct s3_list level = {.prefix = q->prefix, .delimiter = "/", .entry = collect, .arg = &a};
	static struct pool pool;
	int rc = s3_list(s, &level, e);

	if (rc == 0 && !a.other && a.n > 1) {
		rc = pool_open(&pool, s->store, jobs, 0, e);
		if (rc == 0)
			rc = take_all(&a, &pool, jobs, e);
		pool_close(&pool);
	} else if (rc == 0) {
		rc = s3_list(s, q, e);
	}
	for (size_t i = 0; i < a.n; i++) {
		free(a.folders[i].prefix);
		free(a.folders[i].rows);
	}
	free(a.folders);
	return rc < 0 ? -1 : 0;
}
