#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "applet.h"
#include "client.h"
#include "doctor.h"
#include "enc.h"
#include "journal.h"
#include "log.h"
#include "progress.h"
#include "transfer.h"
#include "upload_files.h"

static int test, write_too;
static struct upload_options uo = {.threshold = UPLOAD_THRESHOLD, .by_path = 1};
static struct upload_run uploads;
static const char *prefix, *key, *date, *shard;
static int if_exists;
static struct opt_words meta_words, include, exclude;
static struct pair meta[S3_META_MAX];
static char meta_names[S3_META_MAX][64];

static const struct opt opts[] = {
	{0, "test", NULL, "look up, connect, sign, list one key: says what is wrong; uploads nothing", opt_flag, &test, 0, 0},
	{0, "write", NULL, "with --test: also put, replace and delete a small object, to see what the keys may do", opt_flag, &write_too, 0, 0},
	{0, "prefix", "P", "first part of the key [$R2_PREFIX, else outputs]; may be empty", opt_string, &prefix, 0, 0},
	{0, "key", "KEY", "exactly this key, for one FILE or -", opt_string, &key, 0, 0},
	{0, "no-date", NULL, "no date folder", opt_flag, &uo.no_date, 0, 0},
	{0, "date", "YYYY-MM-DD|mtime", "this date folder, or that of the file's own day [today]", transfer_date, &date, 0, 0},
	{0, "if-exists", "overwrite|skip|rename|fail", "what to do when the key is taken [overwrite]; rename inserts a "
		"hash of the content", opt_choice, &if_exists, 0, 0},
	{0, "content-type", "T", "media type [by the file's name]", opt_string, &uo.content_type, 0, 0},
	{0, "cache-control", "V", "Cache-Control of the object", opt_string, &uo.cache_control, 0, 0},
	{0, "meta", "K=V", "metadata of the object; repeatable", opt_list, &meta_words, 0, 0},
	{0, "storage-class", "STANDARD|STANDARD_IA", "storage class [the bucket's]", transfer_class, &uo.storage_class, 0, 0},
	{0, "move", NULL, "remove each file after its object has been verified", opt_flag, &uo.move, 0, 0},
	{'r', "recursive", NULL, "FILE may be a directory: what is below it keeps its relative path", opt_flag,
		&uploads.recursive, 0, 0},
	{0, "flat", NULL, "with -r: base names only", opt_flag, &uploads.flat, 0, 0},
	{0, "include", "GLOB", "with -r: only files whose name or relative path matches; repeatable", opt_patterns, &include, 0, 0},
	{0, "exclude", "GLOB", "with -r: not these files and directories; repeatable", opt_patterns, &exclude, 0, 0},
	{0, "shard", "I/N", "only the Ith of N disjoint parts of the files, by a hash of the path in the key (0 counts as N)",
		opt_string, &shard, 0, 0},
	{0, "multipart-threshold", "SIZE", "a larger file goes in parts [100M]", transfer_threshold, &uo.threshold, 0, 0},
	{'n', "dry-run", NULL, "say what would be uploaded where", opt_flag, &uploads.dry_run, 0, 0},
	{0},
};

/* Values travel as header fields: a control character would begin another one, and R2 keeps plain ASCII only. */
static int
plain_ascii(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return 0;
	return 1;
}

static int
is_named(const char *name, int n)
{
	while (n > 0 && strcmp(meta_names[n - 1], name))
		n--;
	return n > 0;
}

static int
parse_meta(struct err *e)
{
	if (meta_words.n > S3_META_MAX)
		return fail(e, ERR_USAGE, "--meta: more than %d", S3_META_MAX);
	for (int i = 0; i < meta_words.n; i++) {
		const char *word = meta_words.v[i], *eq = strchr(word, '=');
		size_t n = eq ? (size_t)(eq - word) : 0;
		char *name = meta_names[i];

		if (n == 0 || n >= sizeof meta_names[i])
			return fail(e, ERR_USAGE, "--meta: NAME=VALUE is needed, with a name of at most %zu letters",
				sizeof meta_names[i] - 1);
		memcpy(name, word, n);
		name[n] = '\0';
		enc_lower(name);
		if (strspn(name, "_-.0123456789abcdefghijklmnopqrstuvwxyz") != n)
			return fail(e, ERR_USAGE, "--meta: a name is made of letters, digits, '-', '_' and '.'");
		if (is_named(name, i))
			return fail(e, ERR_USAGE, "--meta %s: given more than once: capital and small letters are the same", name);
		if (!plain_ascii(eq + 1))
			return fail(e, ERR_USAGE, "--meta %s: the value may only have printable ASCII characters", name);
		meta[i] = (struct pair){name, eq + 1};
	}
	uo.meta = meta;
	uo.nmeta = (size_t)meta_words.n;
	return 0;
}

/* "I/N" with I from 0 to N: 0 stands for N, so that Kubernetes' JOB_COMPLETION_INDEX fits as it is. */
static int
parse_shard(struct err *e)
{
	char *end;
	unsigned long i, n;

	if (!shard)
		return 0;
	i = strtoul(shard, &end, 10);
	n = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
	if (*end || *shard < '0' || *shard > '9' || n < 1 || n > 1000000 || i > n)
		return fail(e, ERR_USAGE, "--shard %s: I/N is needed, with I at most N", shard);
	uploads.shard = (unsigned)i;
	uploads.shards = (unsigned)n;
	return 0;
}

static int
check_options(int nfiles, struct err *e)
{
	const char *field = NULL;

	if (key && (nfiles != 1 || uploads.recursive))
		return fail(e, ERR_USAGE, "--key names one object: give exactly one FILE, or -, and no -r");
	if ((include.n || exclude.n) && !uploads.recursive)
		return fail(e, ERR_USAGE, "--include and --exclude choose among what is below a directory: they need -r");
	/* "$TYPE" that nobody set; R2 takes no empty field. */
	if (uo.content_type && !*uo.content_type)
		uo.content_type = NULL;
	if (uo.content_type && !plain_ascii(uo.content_type))
		field = "content-type";
	if (uo.cache_control && !plain_ascii(uo.cache_control))
		field = "cache-control";
	if (field)
		return fail(e, ERR_USAGE, "--%s: only printable ASCII characters", field);
	if (parse_shard(e) < 0)
		return -1;
	uo.part_size = transfer_part_size;
	uo.if_exists = (enum upload_if_exists)if_exists;
	uo.date = date;
	uo.now = time(NULL);
	return parse_meta(e);
}

static int
choose_target(struct client *c, struct err *e)
{
	uo.prefix = prefix ? prefix : c->cfg.prefix;
	if (key && !(key = client_key(c, key, e)))
		return -1;
	uo.key = key;
	return *uo.prefix && !key ? path_key_check(uo.prefix, e) : 0;
}

static void
choose_journals(char dir[PATH_MAX])
{
	struct err why;
	int rc = journal_dir(dir, &why);

	if (rc == 0) {
		uo.journal_dir = dir;
		uo.old_journals = journal_any(dir);
	}
	if (rc == 0 && why.kind)
		log_r2(LOG_WARNING, "%s", why.msg);
	else if (rc < 0)
		log_r2(LOG_DEBUG, "uploads that are cut off cannot be gone on with: %s", why.msg);
}

static int
upload_all(struct client *c, int n, char **paths, struct err *e)
{
	char journals[PATH_MAX];
	int rc;

	/* Saying what would be done needs neither a directory nor a thread. */
	if (!uploads.dry_run) {
		choose_journals(journals);
		/* Whether somebody writes to what is to be removed, a lease tells, which he may break. */
		signal(SIGIO, SIG_IGN);
		if (transfer_open(&uploads.pool, c, e) < 0)
			return -1;
	}
	uploads.client = c;
	uploads.options = &uo;
	pthread_mutex_init(&uploads.turns.lock, NULL);
	uploads.include = &include;
	uploads.exclude = &exclude;
	rc = upload_files(&uploads, n, paths, e);
	transfer_close(&uploads.pool, c);
	return rc;
}

static int
run(int argc, char **argv, struct err *e)
{
	static struct client c;
	int rc = 0;

	if (!argc && !test) {
		applet_help(&upload_applet, stdout);
		return 1;
	}
	if (write_too && !test)
		return fail(e, ERR_USAGE, "--write goes with --test");
	if (date && uo.no_date)
		return fail(e, ERR_USAGE, "--date and --no-date: one of them");
	if ((!test && check_options(argc, e) < 0) || client_open(&c, e) < 0)
		rc = -1;
	else if ((rc = choose_target(&c, e)) == 0)
		rc = test ? doctor(&c, write_too, uo.prefix) : upload_all(&c, argc, argv, e);
	client_close(&c);
	return rc;
}

const struct applet upload_applet = {
	"upload", "FILE...", "store files at {prefix}/{YYYY-MM-DD}/{filename}",
	"Standard input is - and needs --key. A large upload that was cut off goes on\n"
	"where it was when the same command is given again. A file that changes\n"
	"meanwhile is never stored as a mixture of two states.\n",
	{opts, transfer_opts}, APPLET_LOGS, run,
};
