#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "applet.h"
#include "path.h"
#include "private.h"
#include "sync_ask.h"
#include "sync_daemon.h"
#include "sync_log.h"
#include "sync_place.h"
#include "transfer.h"

#define DIR_DEFAULT "/workspace/ComfyUI/output"
#define LOG_DEFAULT "/var/log/r2_sync.log"

enum { YEAR_S = 366 * 86400, RESCAN_S = 300, POLL_S = 2, SYNC_OVERWRITE = 3 };   /* the last: its place in --if-exists */

static struct opt_words include, exclude;
static struct sync_settings set = {
	.include = &include, .exclude = &exclude,
	.settle_ms = 1000, .drain_ms = 30000, .delete_ms = -1, .jobs = 4, .nice = 10,
	.threshold = UPLOAD_THRESHOLD,
};
static int ask_status, ask_health;

static int
store_delete(const struct opt *o, const char *val, struct err *e)
{
	if (val)
		return opt_age(o, val, e);
	set.delete_ms = 0;
	return 0;
}

static const struct opt opts[] = {
	{0, "include", "GLOB", "these files instead of pictures, videos and sounds (any case); repeatable", opt_patterns, &include, 0, 0},
	{0, "exclude", "GLOB", "not these files and directories; repeatable", opt_patterns, &exclude, 0, 0},
	{0, "all", NULL, "every file; names that begin with a dot or end in .tmp or .part only if an --include names them",
		opt_flag, &set.all, 0, 0},
	{0, "settle", "SECONDS", "quiet time before an upload [1]", opt_age, &set.settle_ms, 0, 86400},
	{0, "new-only", NULL, "leave alone what was there at the first start", opt_flag, &set.new_only, 0, 0},
	{0, "once", NULL, "upload what is due, wait for the rest to settle, exit", opt_flag, &set.once, 0, 0},
	{0, "poll", NULL, "only by scanning, for file systems without events", opt_flag, &set.poll, 0, 0},
	{0, "rescan", "SECONDS", "how often the tree is compared with the ledger [300; 2 with --poll]", opt_age, &set.rescan_ms, 1, YEAR_S},
	{0, "prefix", "P", "first part of the key [$R2_PREFIX, else outputs]; may be empty", opt_string, &set.prefix, 0, 0},
	{0, "flat", NULL, "base names only; clashes are renamed", opt_flag, &set.flat, 0, 0},
	{0, "date", "YYYY-MM-DD|mtime", "this date folder, or that of the file's own day [that of the first upload]", transfer_date,
		&set.date, 0, 0},
	{0, "if-exists", "rename|skip|fail|overwrite", "when somebody else's object has the key [rename: a hash of the content is inserted]",
		opt_choice, &set.if_exists, 0, 0},
	{0, "storage-class", "STANDARD|STANDARD_IA", "storage class [the bucket's]", transfer_class, &set.storage_class, 0, 0},
	{'j', "jobs", "N", "requests at once, in all [4]", opt_number, &set.jobs, 1, POOL_WORKERS_MAX},
	{0, "part-size", "SIZE", "size of the parts of a large file, K M G for 1024 [50M]", transfer_part, &set.part_size, 0, 0},
	{0, "multipart-threshold", "SIZE", "a larger file goes in parts [100M]", transfer_threshold, &set.threshold, 0, 0},
	{0, "limit-rate", "SIZE", "bytes a second over all connections [no limit]", transfer_rate, &set.rate, 0, 0},
	{0, "nice", "N", "low priority at processor and disk, as nice(1); 0: none [10]", opt_number, &set.nice, 0, 19},
	{0, "delete-after", "[AGE]", "remove local files once they are verified in the bucket, and AGE old (s m h d w)", store_delete,
		&set.delete_ms, 0, 100U * YEAR_S},
	{0, "drain", "SECONDS", "after SIGTERM or SIGINT: time to finish what is due [30]", opt_age, &set.drain_ms, 0, YEAR_S},
	{0, "state", "DIR", "where the ledger of what is uploaded stands [DIR/" SYNC_STATE_NAME "]", opt_string, &set.state, 0, 0},
	{0, "log", "FILE", "the log, besides standard output; - for none [$R2_LOG_FILE, else " LOG_DEFAULT "]", opt_string, &set.log, 0, 0},
	{0, "metrics", "FILE", "Prometheus text, rewritten atomically", opt_string, &set.metrics, 0, 0},
	{0, "hide-keys", NULL, "COMMAND's environment has none of the store's keys", opt_flag, &set.hide_keys, 0, 0},
	{0, "status", NULL, "ask the running daemon of DIR for a summary", opt_flag, &ask_status, 0, 0},
	{0, "health", NULL, "ask it for one line and status 0 or 1: is everything older than a minute on its way?", opt_flag, &ask_health, 0, 0},
	{0},
};

/* "$VARIABLE" that nobody set is no file. */
static int
check_given(const char *value, const char *name, struct err *e)
{
	return value && !*value ? fail(e, ERR_USAGE, "--%s is empty: is its variable set?", name) : 0;
}

static int
check_options(int operands, char **operand, struct err *e)
{
	/* As aws s3 sync has it: a directory "s3:" made here would be watched for ever. */
	for (int i = 0; i < operands; i++)
		if (path_is_url(operand[i]))
			return fail(e, ERR_USAGE, "%s: where files go is said by --bucket and --prefix", operand[i]);
	if (operands > 1)
		return fail(e, ERR_USAGE, "one DIR, not %s and %s; a pattern must be quoted, and a command to start stands behind --",
			operand[0], operand[1]);
	if (operands && !**operand)
		return fail(e, ERR_USAGE, "DIR is empty: is its variable set?");
	if (check_given(set.state, "state", e) < 0 || check_given(set.log, "log", e) < 0 || check_given(set.metrics, "metrics", e) < 0)
		return -1;
	if (set.metrics && !strcmp(set.metrics, "-"))
		return fail(e, ERR_USAGE, "--metrics -: a file is needed, which is written anew each time");
	if (applet_command && !*applet_command)
		return fail(e, ERR_USAGE, "the COMMAND behind -- is missing");
	/* The next file of that name would take the place of the only copy of the first. */
	if (set.delete_ms >= 0 && set.if_exists == SYNC_OVERWRITE)
		return fail(e, ERR_USAGE, "--delete-after and --if-exists overwrite: what is removed here would be overwritten there; use rename");
	if (!set.rescan_ms)
		set.rescan_ms = (set.poll ? POLL_S : RESCAN_S) * 1000;
	set.command = applet_command;
	return 0;
}

/* The operand, the variable, the default; absolute, so that messages and locks name one thing. */
static int
find_dir(const char *operand, char out[PATH_MAX], struct err *e)
{
	char value[PATH_MAX];
	struct buf b = buf_over(out, PATH_MAX);
	int rc = 1;

	if (operand)
		snprintf(value, sizeof value, "%s", operand);
	else
		rc = config_value(&client_args.config, "COMFYUI_OUTPUT_DIR", value, sizeof value, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		snprintf(value, sizeof value, "%s", DIR_DEFAULT);
	if (*value != '/') {
		if (!getcwd(out, PATH_MAX))
			return fail_errno(e, "the working directory");
		b.len = strlen(out);
		buf_char(&b, '/');
	}
	buf_str(&b, value);
	out[path_trim(out, 1)] = '\0';
	return buf_ok(&b) ? 0 : fail(e, ERR_USAGE, "DIR: the path is too long");
}

/* As mkdir -p, which the old script called: 1 when it was not there. --once alone would only find it empty: a name that is mistyped. */
static int
make_dir(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (set.once && !set.command && access(dir, F_OK) < 0)
		return fail_errno(e, "%s: nothing to upload", dir);
	snprintf(path, sizeof path, "%s", dir);
	if (private_make_dirs(path, 0, 0777) == 0)
		return 1;
	if (stat(path, &st) < 0)
		return fail_errno(e, "%s", dir);
	return S_ISDIR(st.st_mode) ? 0 : fail(e, ERR_USAGE, "%s: is a file; a directory to watch is needed", dir);
}

static int
ask(const char *dir, struct err *e)
{
	static struct ask_report r;
	char real[PATH_MAX], state[PATH_MAX];

	/* A daemon that waits for DIR answers, too. */
	if (!realpath(dir, real))
		snprintf(real, sizeof real, "%s", dir);
	if (place_of_daemon(real, set.state, state, e) < 0 || ask_daemon(state, &r, e) < 0)
		return -1;
	if (ask_health && !client_args.json)
		puts(r.health);
	else
		fputs(client_args.json ? r.json : r.text, stdout);
	return ask_health && strncmp(r.health, "ok", 2) != 0;
}

static int
watch_dir(struct daemon *d, struct err *e)
{
	static char log[PATH_MAX];
	int rc;

	if (!set.log && (rc = config_value(&client_args.config, "R2_LOG_FILE", log, sizeof log, e)) != 0) {
		if (rc < 0)
			return -1;
		set.log = log;
	} else if (!set.log) {
		set.log = LOG_DEFAULT;
	}
	d->set = &set;
	rc = d->made = make_dir(d->dir, e);
	if (rc >= 0)
		rc = client_open(&d->client, e);
	if (rc == 0 && !set.prefix)
		set.prefix = d->client.cfg.prefix;
	if (rc == 0 && *set.prefix)
		rc = path_key_check(set.prefix, e);
	if (rc == 0)
		rc = sync_daemon(d, e);
	if (rc < 0)
		sync_log_failed(set.log, e);
	client_close(&d->client);
	return rc;
}

static int
run(int argc, char **argv, struct err *e)
{
	static struct daemon d;

	if (check_options(argc, argv, e) < 0 || find_dir(argc ? argv[0] : NULL, d.dir, e) < 0)
		return -1;
	return ask_status || ask_health ? ask(d.dir, e) : watch_dir(&d, e);
}

const struct applet sync_applet = {
	"sync", "[DIR] [-- COMMAND [ARG]...]", "upload what appears below a directory, and lose nothing",
	"Without DIR: $COMFYUI_OUTPUT_DIR, else " DIR_DEFAULT ".\n"
	"Without --include and --all: *.png *.jpg *.jpeg *.webp *.mp4 *.webm *.gif *.wav\n"
	"*.mp3 *.flac (any case).\n"
	"With COMMAND: starts it, hands signals on to it, and when it ends uploads what\n"
	"is left and exits with its status.\n",
	{opts, NULL}, APPLET_LOGS | APPLET_COMMAND, run,
};
