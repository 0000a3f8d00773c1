#include <stdio.h>
#include <string.h>
#include <time.h>
#include "applet.h"
#include "cleanup.h"
#include "clock.h"
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"
#include "size_text.h"
#include "transfer.h"

enum { DAYS_MAX = 36500, AGE_MAX_S = 3650 * 86400 };

static struct cleanup cleanup;
static struct opt_words keep;
static long days = -1, max_delete = -1, ia_days;
static const char *before, *age;
static int64_t age_ms;
static int by_modified, lifecycle = -1;

static int
store_uploads(const struct opt *o, const char *val, struct err *e)
{
	age = val ? val : "7d";
	return opt_age(o, age, e);
}

/* As R2_PREFIX, ls and get take it. "/" is no way to write '', which is all. */
static int
store_prefix(const struct opt *o, const char *val, struct err *e)
{
	((char *)val)[path_trim(val, 1)] = '\0';   /* argv is ours */
	return opt_list(o, val, e);
}

static const struct opt opts[] = {
	{0, "days", "N", "delete what is in date folders of more than N days ago", opt_number, &days, 0, DAYS_MAX},
	{0, "before", "YYYY-MM-DD", "delete what is in date folders before that day", opt_date, &before, 0, 0},
	{0, "prefix", "P", "below P; may be repeated; '' for the whole bucket [$R2_PREFIX, else outputs]", store_prefix, &cleanup.prefixes, 0, 0},
	{0, "by", "date|modified", "what says how old a file is: its date folder, or its own time [date]", opt_choice, &by_modified, 0, 0},
	{0, "keep", "GLOB", "not what matches (whole key or base name; with a slash, a folder it is in, too); may be repeated", opt_patterns, &keep, 0, 0},
	{'n', "dry-run", NULL, "only say what would go", opt_flag, &cleanup.dry_run, 0, 0},
	{0, "max-delete", "N", "delete nothing at all if it were more than N files", opt_number, &max_delete, 0, 1000000000},
	{0, "uploads", "[AGE]", "abort unfinished uploads older than AGE, but for those that can go on here [7d]", store_uploads, &age_ms, 1,
		AGE_MAX_S},
	{0, "lifecycle", "show|set|remove", "the bucket's own rule instead: the server deletes, N days after each upload", opt_choice,
		&lifecycle, 0, 0},
	{0, "ia-days", "N", "with --lifecycle set: to Infrequent Access after N days", opt_number, &ia_days, 1, DAYS_MAX},
	{0, "ignore-clock", NULL, "even if this machine's clock is a day or more off", opt_flag, &cleanup.ignore_clock, 0, 0},
	{'j', "jobs", "N", "requests at once [8]", opt_number, &transfer_workers, 1, POOL_WORKERS_MAX},
	{0},
};

static int
check_lifecycle(struct err *e)
{
	if (before || keep.n || age || by_modified || max_delete >= 0 || cleanup.dry_run)
		return fail(e, ERR_USAGE, "--lifecycle takes --prefix, and with set --days and --ia-days: a server's rule knows no more");
	if ((lifecycle == LIFECYCLE_SET) != (days >= 0))
		return fail(e, ERR_USAGE, lifecycle == LIFECYCLE_SET ? "--lifecycle set: --days is missing"
			: "--lifecycle show and remove take no --days");
	if (lifecycle == LIFECYCLE_SET && days < 1)
		return fail(e, ERR_USAGE, "--lifecycle set: a server deletes after 1 day at the earliest");
	if (ia_days && (lifecycle != LIFECYCLE_SET || ia_days >= days))
		return fail(e, ERR_USAGE, "--ia-days belongs to --lifecycle set, and is less than --days");
	if (cleanup.prefixes.n > 1)
		return fail(e, ERR_USAGE, "--lifecycle: one --prefix at a time");
	return 0;
}

static int
check_options(int argc, char **argv, struct err *e)
{
	if (argc)
		return fail(e, ERR_USAGE, "%s: there are no operands: --prefix and --bucket say where, and a pattern must be quoted",
			err_show(e, argv[0]));
	/* No key looks so: nothing would be kept. */
	for (int i = 0; i < keep.n; i++)
		if (path_is_url(keep.v[i]))
			return path_key_check(keep.v[i], e);
	if (lifecycle >= 0)
		return check_lifecycle(e);
	if (ia_days)
		return fail(e, ERR_USAGE, "--ia-days belongs to --lifecycle set");
	if (days >= 0 && before)
		return fail(e, ERR_USAGE, "--days and --before: one of them");
	if (days < 0 && !before && !age)
		return fail(e, ERR_USAGE, "what is old? Say --days N or --before YYYY-MM-DD (and -n first, to see what would go)");
	if (days < 0 && !before && (max_delete >= 0 || by_modified))
		return fail(e, ERR_USAGE, "--max-delete and --by are about files: --days or --before is missing");
	return 0;
}

/* A segment that is a date, or looks like one. */
static int
has_date(const char *prefix)
{
	for (const char *p = prefix; p; p = strchr(p, '/'), p += p != NULL) {
		static const char form[] = "dddd-dd-dd";
		size_t n = 0;

		while (form[n] && (form[n] == 'd' ? p[n] >= '0' && p[n] <= '9' : p[n] == '-'))
			n++;
		if (!form[n] && (!p[n] || p[n] == '/'))
			return 1;
	}
	return 0;
}

static int
check_prefix(const char *p, struct err *e)
{
	size_t n = strlen(p);
	const char *why = NULL;

	if (!n)
		return 0;
	if (path_key_check(p, e) < 0)
		return -1;
	if (n > PATH_KEY_MAX - UTC_DATE_CAP)
		why = "longer than that of any key";
	else if (p[0] == '/' || p[n - 1] == '/' || strstr(p, "//"))
		why = "no slashes at its ends, nor two together";
	else if (strpbrk(p, "*?[]\\"))
		why = "not a pattern: every prefix has to be named";
	else if (has_date(p))
		why = "a date in it: give what stands before the date folders";
	return why ? fail(e, ERR_USAGE, "prefix %s: %s", err_show(e, p), why) : 0;
}

/* Nothing is looked at twice. */
static int
check_overlap(const struct opt_words *w, struct err *e)
{
	char inner[ENC_SHOW_CAP];

	for (int i = 0; i < w->n; i++)
		for (int k = 0; k < w->n; k++)
			if (i != k && (!strcmp(w->v[i], w->v[k]) || ((by_modified || age) && sweep_below(w->v[i], w->v[k]))))
				return fail(e, ERR_USAGE, "prefixes %s and %s: one contains the other",
					err_show(e, w->v[i]), enc_show_in(inner, sizeof inner, w->v[k]));
	return 0;
}

/* The prefix of uploads, unless others were given. */
static int
set_prefixes(struct client *c, struct err *e)
{
	struct opt_words *w = &cleanup.prefixes;

	if (!w->n) {
		w->v[w->n++] = client_prefix(c);
		if (!*w->v[0])
			return fail(e, ERR_USAGE, "R2_PREFIX is empty, which is the whole bucket: say --prefix '' if that is meant");
	}
	for (int i = 0; i < w->n; i++)
		if (check_prefix(w->v[i], e) < 0)
			return -1;
	return check_overlap(w, e);
}

/* From here on it is one day, however long it takes. */
static int
set_cutoff(struct err *e)
{
	int64_t now = time(NULL);
	char today[UTC_DATE_CAP];

	utc_local_date(now, today);
	if (before && strcmp(before, today) >= 0)
		return fail(e, ERR_USAGE, "--before %s: today is %s: the cutoff must be earlier (--days 0 takes all before today)", before, today);
	if (before)
		memcpy(cleanup.sweep.before, before, UTC_DATE_CAP);
	else if (days >= 0)
		sweep_cutoff(today, days, cleanup.sweep.before);
	if ((cleanup.sweep.by_modified = by_modified))
		cleanup.sweep.before_s = utc_local_begin(cleanup.sweep.before);
	cleanup.sweep.keep = keep.v;
	cleanup.sweep.nkeep = keep.n;
	cleanup.max_delete = max_delete;
	cleanup.begun_s = now;
	cleanup.begun_ms = clock_ms();
	cleanup.uploads_before_s = now - age_ms / 1000;
	return 0;
}

static void
print_json(const struct cleanup *c)
{
	struct json j;

	json_begin(&j);
	if (*c->sweep.before) {
		json_string(&j, "before", c->sweep.before);
		json_number(&j, c->dry_run ? "would_delete" : "deleted", c->dry_run ? c->found.objects : c->deleted);
		json_number(&j, "bytes", c->dry_run ? cost_bytes(&c->found) : c->deleted_bytes);
		if (c->dry_run)
			json_number(&j, "saves_micro_usd", cost_storage(&c->found));
	}
	if (age)
		json_number(&j, c->dry_run ? "would_abort" : "aborted", c->aborted);
	json_number(&j, "failed", c->failed + c->unlisted);
	json_end(&j);
}

static void
print_files(const struct cleanup *c)
{
	char older[64], size[SIZE_TEXT_CAP], cost[COST_TEXT_CAP];
	struct buf b = BUF(older);

	if (before)
		buf_fmt(&b, "before %s", before);
	else
		buf_fmt(&b, "older than %ld days", days);
	if (c->dry_run)
		printf("Would delete %llu files %s (%s, all before %s), which saves %s a month at R2's prices\n",
			(unsigned long long)c->found.objects, older, size_text(cost_bytes(&c->found), size),
			c->sweep.before, cost_text(cost_storage(&c->found), cost));
	else
		printf("Deleted %llu files %s\n", (unsigned long long)c->deleted, older);
}

static void
print_summary(const struct cleanup *c)
{
	if (client_args.json) {
		print_json(c);
		return;
	}
	if (client_args.quiet)
		return;
	if (*c->sweep.before)
		print_files(c);
	if (age)
		/* Who meant days reads what 7 is. */
		printf("%s %llu unfinished uploads older than %s%s\n", c->dry_run ? "Would abort" : "Aborted", (unsigned long long)c->aborted, age,
			age[strspn(age, "0123456789.")] ? "" : " s");
}

static int
sweep(struct client *c, struct err *e)
{
	int rc = 0;

	cleanup.client = c;
	if (transfer_open(&cleanup.pool, c, e) < 0)
		return -1;
	/* No line between those that are the result. */
	if (cleanup.dry_run)
		progress_stop(&transfer_progress);
	if (*cleanup.sweep.before)
		rc = cleanup_files(&cleanup, e);
	if (rc == 0 && age && !s3_stopping(&c->store))
		rc = cleanup_uploads(&cleanup, e);
	if (cleanup.markers)
		log_r2(LOG_WARNING, "The bucket keeps versions: what was deleted is hidden behind delete markers, and is stored and paid for until its "
			"versions are deleted too");
	progress_stop(&transfer_progress);
	print_summary(&cleanup);
	transfer_close(&cleanup.pool, c);
	return rc < 0 ? -1 : cleanup.failed || cleanup.unlisted;
}

static int
run(int argc, char **argv, struct err *e)
{
	static struct client c;
	int rc = -1;

	if (check_options(argc, argv, e) == 0 && client_open(&c, e) == 0 && set_prefixes(&c, e) == 0) {
		if (lifecycle >= 0)
			rc = cleanup_lifecycle(&c, (enum lifecycle)lifecycle, cleanup.prefixes.v[0], days > 0 ? days : 0, ia_days, e);
		else
			rc = set_cutoff(e) < 0 ? -1 : sweep(&c, e);
	}
	client_close(&c);
	return rc;
}

const struct applet cleanup_applet = {
	"cleanup", "--days N", "delete what lies in old date folders (PREFIX/YYYY-MM-DD/...)",
	"A folder of exactly N days ago stays, and so does what is not in a date folder.\n"
	"Nothing brings back what was deleted: look with -n first.\n",
	{opts}, 1, run,
};
