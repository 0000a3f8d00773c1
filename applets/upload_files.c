#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "log.h"
#include "nfc.h"
#include "sync_place.h"
#include "upload_files.h"
#include "walk.h"

static int
in_shard(const struct upload_run *run, const char *rel)
{
	/* nfc_hash: a name written on a Mac falls into the same shard. */
	if (run->flat)   /* what becomes one key must meet in one shard */
		rel = path_base(rel);
	return !run->shards || nfc_hash(rel, strlen(rel)) % run->shards == run->shard % run->shards;
}

static int
matches(const struct opt_words *patterns, const char *rel)
{
	return path_match_any(patterns->v, patterns->n, rel, 0);
}

static int
wanted(const struct upload_run *run, const char *rel)
{
	return in_shard(run, rel) && (!run->include->n || matches(run->include, rel)) && !matches(run->exclude, rel);
}

/* What is excluded may be none of our business: not readable, or without end. r2 sync's state is of this machine; with --move a running
   daemon would lose its lock. */
static int
enter(void *arg, const char *rel)
{
	const struct upload_run *run = arg;

	return !matches(run->exclude, rel) && strcmp(path_base(rel), SYNC_STATE_NAME) != 0;
}

static struct walk *
open_tree(struct upload_run *run, const char *root, struct err *e)
{
	return walk_open(root, &(struct walk_options){enter, run}, e);
}

/* A name that another file could have too: base names, several trees, and letters that Unicode writes in two ways. */
static int
may_clash(const struct upload_run *run, const char *rel, int several)
{
	if (run->flat || several)
		return 1;
	for (; *rel; rel++)
		if (*rel & 0x80)
			return 1;
	return 0;
}

static int
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

struct tree {
	struct upload_run *run;
	char **operands;         /* of this call, */
	int several;             /* more than one? */
	const char *root;        /* the one being walked, or sent */
	struct nfc_set *keys;
};

/* The few letters that Unicode holds for plain ASCII (U+212A is K): is there a file of that plain name? Names of the tree that are
   plain themselves are not in the set. */
static int
ascii_twin(const struct tree *t, const char *rel)
{
	char plain[PATH_MAX], path[PATH_MAX];
	struct stat st;

	return nfc_to_ascii(rel, plain, sizeof plain) &&
		snprintf(path, sizeof path, "%s/%s", t->root, plain) < (int)sizeof path && stat(path, &st) == 0;
}

/* The first file of that name, as keys are compared, below root: 1 and its path in out. Of the tree that it is in itself, path is no twin. */
static int
find_twin(const struct tree *t, const char *root, const char *path, const char *name, char out[PATH_MAX])
{
	struct err ignored;
	struct walk *w = open_tree(t->run, root, &ignored);
	struct walk_entry x;
	int rc = 0, found = 0;

	while (w && !found && (rc = walk_next(w, &x, &ignored)) != 0)
		found = rc > 0 && (root != t->root || strcmp(x.path, path)) && wanted(t->run, x.rel) &&
			nfc_same(t->run->flat ? path_base(x.rel) : x.rel, name);
	if (found)
		snprintf(out, PATH_MAX, "%s", x.path);
	walk_close(w);
	return found;
}

/* The file that came first to this key is found by walking once more, which costs only whoever has such twins. */
static void
name_twin(const struct tree *t, const char *path, const char *name, const char *key, struct err *e)
{
	char first[PATH_MAX] = "another file";

	for (char **root = t->operands; ; root++) {
		if (is_dir(*root) ? find_twin(t, *root, path, name, first) : *root != t->root && nfc_same(path_base(*root), name)) {
			if (!is_dir(*root))
				snprintf(first, sizeof first, "%s", *root);
			break;
		}
		if (*root == t->root)
			break;
	}
	if (!strcmp(first, path))
		fail(e, ERR_LOCAL, "%.300s is named twice, by itself or with a directory that it is in: the second time is left out", path);
	else
		fail(e, ERR_LOCAL, "%.300s and %.300s would both become %.300s: the second is left out; rename one", first, path, key);
}

/* Send what is planned, unless its key is taken: fresh as of nfc_set_add. name is the end of its key. */
static void
send_first(const struct tree *t, struct upload_item *it, const char *name, int fresh)
{
	struct err e;

	if (fresh > 0) {
		upload_item_send(it);
		return;
	}
	if (fresh == 0)
		name_twin(t, it->path, name, it->u.plan.key, &e);
	else
		fail(&e, ERR_LOCAL, "%s: out of memory", it->path);
	upload_item_refuse(it, &e);
}

static int
take_key(const struct tree *t, const char *key)
{
	return nfc_set_add(t->keys, nfc_hash(key, strlen(key)));
}

static void
walk_file(struct tree *t, const struct walk_entry *x)
{
	struct upload_run *run = t->run;
	const char *name = run->flat ? path_base(x->rel) : x->rel;
	struct upload_item *it;
	struct err e;
	int fresh = 1;

	if (!wanted(run, x->rel))
		return;
	if (!(it = upload_item_new(run, x->path)))
		return;
	if (upload_plan(&it->u.plan, run->options, it->path, name, &e) < 0) {
		upload_item_refuse(it, &e);
		return;
	}
	it->u.plan.named = (size_t)(x->rel - x->path);
	if (ascii_twin(t, x->rel))
		fresh = 0;
	else if (may_clash(run, x->rel, t->several))
		fresh = take_key(t, it->u.plan.key);
	send_first(t, it, name, fresh);
}

static void
walk_tree(struct tree *t)
{
	struct err e;
	struct walk *w = open_tree(t->run, t->root, &e);
	unsigned long before = t->run->files;
	struct walk_entry x;
	int rc = 1;   /* until all has been seen */

	if (!w) {
		log_r2(LOG_ERROR, "%s", e.msg);
		t->run->files++;
		return;
	}
	while (!s3_stopping(&t->run->client->store) && (rc = walk_next(w, &x, &e)) != 0) {
		if (rc > 0)
			walk_file(t, &x);
		else
			log_r2(e.kind == ERR_NONE ? LOG_WARNING : LOG_ERROR, "Left out: %s", e.msg);
		/* Files that nobody sees are not uploaded. */
		t->run->files += rc < 0 && e.kind != ERR_NONE;
	}
	walk_close(w);
	if (!rc && t->run->files == before && !t->run->shards) {
		log_r2(LOG_ERROR, "%s: nothing to upload below it", t->root);
		t->run->files++;
	}
}

/* The nth path becomes the same key as an earlier one: the second would replace the first, and nobody would know which is there. */
static int
operand_twin(const struct upload_run *run, char **paths, int n, const char *key, struct err *e)
{
	struct upload_plan p;
	struct err ignored;
	int i = 0;

	while (i < n && (upload_plan(&p, run->options, paths[i], NULL, &ignored) < 0 || !nfc_same(p.key, key)))
		i++;
	return fail(e, ERR_USAGE, "%.300s and %.300s would both become %.300s: nothing was uploaded; rename one, or use --key or "
		"--prefix in two calls", paths[i], paths[n], key);
}

/* The nth path stands there a second time, as two patterns of a shell make it: that is no other file. */
static int
named_before(char **paths, int n)
{
	int i = 0;

	while (i < n && strcmp(paths[i], paths[n]))
		i++;
	if (i < n)
		log_r2(LOG_WARNING, "%s is named more than once: it is sent once", paths[n]);
	return i < n;
}

/* Look at all files of the command line before the first is sent: wrong usage sends nothing. *n becomes the number of those that are sent. */
static int
check_operands(const struct upload_run *run, int *n, char **paths, struct err *e)
{
	struct nfc_set keys = {0};
	struct upload_plan p;
	int rc = 0, kept = 0, twin;

	for (int i = 0; i < *n && rc == 0; i++) {
		paths[kept] = paths[i];
		twin = 0;
		if (!strcmp(paths[i], "-") && !run->options->key)
			rc = fail(e, ERR_USAGE, "- (standard input) needs --key KEY");
		else if (path_is_url(paths[i]))   /* where aws s3 cp would put the others */
			rc = fail(e, ERR_USAGE, "%s: where to put a file is said by --key or --prefix", paths[i]);
		else if (run->recursive && is_dir(paths[i]))
			twin = named_before(paths, kept);
		else if (upload_plan(&p, run->options, paths[i], NULL, e) < 0)
			/* A key from the command line that cannot be is wrong usage; a file's odd name fails that file. */
			rc = e->kind == ERR_USAGE && run->options->key ? -1 : 0;
		else if (nfc_set_add(&keys, nfc_hash(p.key, strlen(p.key))) == 0 && !(twin = named_before(paths, kept)))
			rc = operand_twin(run, paths, kept, p.key, e);
		kept += !twin;
	}
	*n = kept;
	nfc_set_free(&keys);
	return rc;
}

static void
send_operand(const struct tree *t)
{
	struct upload_run *run = t->run;
	struct upload_item *it = upload_item_new(run, t->root);
	struct err e;

	if (!it)
		return;
	it->turn = turns_take(&run->turns);
	if (upload_plan(&it->u.plan, run->options, it->path, NULL, &e) < 0)
		upload_item_refuse(it, &e);
	else
		send_first(t, it, path_base(it->path), take_key(t, it->u.plan.key));
}

static void
send_all(struct upload_run *run, int n, char **paths)
{
	struct nfc_set keys = {0};
	struct tree t = {.run = run, .operands = paths, .several = n > 1, .keys = &keys};

	for (int i = 0; i < n && !s3_stopping(&run->client->store); i++) {
		t.root = paths[i];
		if (run->recursive && is_dir(t.root))
			walk_tree(&t);
		else if (in_shard(run, path_base(t.root)))   /* as a tree's file of that key */
			send_operand(&t);
	}
	pool_wait(&run->pool, 0);
	nfc_set_free(&keys);
}

int
upload_files(struct upload_run *run, int n, char **paths, struct err *e)
{
	upload_item_hooks(run->options);
	if (check_operands(run, &n, paths, e) < 0)
		return -1;
	log_r2(LOG_INFO, "R2 client ready: %s", run->client->cfg.bucket);
	send_all(run, n, paths);
	log_r2(LOG_INFO, "Complete: %lu/%lu", run->done, run->files);
	return run->done == run->files ? 0 : 1;
}
