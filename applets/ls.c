#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "applet.h"
#include "json.h"
#include "ls.h"
#include "path.h"
#include "pool.h"

static int sort = -1, priced;
static long jobs = 1;

static int
price(const struct opt *o, const char *val, struct err *e)
{
	priced = 1;
	return cost_price(o, val, e);
}

static const struct opt opts[] = {
	{'r', "recursive", NULL, "everything below PREFIX, with whole keys", opt_flag, &ls.recursive, 0, 0},
	{'h', "human-readable", NULL, "sizes people read (2.5 MiB)", opt_flag, &ls.human, 0, 0},
	{'1', "names", NULL, "names only", opt_flag, &ls.names_only, 0, 0},
	{0, "summary", NULL, "number and size of all objects at the end", opt_flag, &ls.summary, 0, 0},
	{0, "summarize", NULL, "the same", opt_flag, &ls.summary, 0, 0},
	{0, "sort", "name|size|time", "order: name as the server has it, largest or newest first", opt_choice, &sort, 0, 0},
	{0, "top", "N", "the first N of that order [the largest]", opt_number, &ls.top, 1, LS_SORT_MAX},
	{0, "by-date", NULL, "files and bytes of each date folder below PREFIX [$R2_PREFIX]", opt_flag, &ls.by_date, 0, 0},
	{0, "cost", NULL, "what storing it costs a month", opt_flag, &ls.cost, 0, 0},
	{0, "price", "KEY=VALUE", "another price: storage=0.015", price, NULL, 0, 0},
	{'j', "jobs", "N", "date folders listed side by side, for buckets far away [1]", opt_number, &jobs, 1, POOL_WORKERS_MAX},
	{0, "uploads", NULL, "unfinished multipart uploads: started, bytes so far, key, id", opt_flag, &ls.uploads, 0, 0},
	{0},
};

static int
no_row(const struct s3_entry *x, struct err *e)
{
	(void)x, (void)e;
	return 0;
}

static ls_show *
what_to_show(void)
{
	if (ls.uploads)
		return ls_upload;
	if (ls.by_date)
		return ls_day;
	if (ls.cost)
		return no_row;
	return ls.sort == LS_NAME ? ls_row : ls_top;
}

static int
entry(void *arg, const struct s3_entry *x, struct err *e)
{
	ls_show *const *show = arg;

	if (ls.pattern && !path_match(ls.pattern, x->key, 0))
		return 0;
	ls.rows++;
	if (!x->is_prefix && !ls.uploads)
		cost_add(&ls.all, x);
	if (*show == ls_row && ls.top && ls.rows > (uint64_t)ls.top)
		return ls.summary ? 0 : 1;
	if ((*show)(x, e) < 0)
		return -1;
	/* Nobody reads any more (r2 ls | head): stop asking. */
	return ferror(stdout) ? 1 : 0;
}

static void
print_summary(void)
{
	struct json j;
	char size[24];

	if (client_args.json) {
		json_begin(&j);
		json_number(&j, "total_objects", ls.all.objects);
		json_number(&j, "total_size", cost_bytes(&ls.all));
		json_end(&j);
		return;
	}
	printf("\nTotal Objects: %llu\n   Total Size: %s\n", (unsigned long long)ls.all.objects, ls_size(cost_bytes(&ls.all), size));
}

/* The literal start of a pattern into prefix, without the backslashes that quote. 1 when a pattern begins behind it, 0 when that is
   all; -1 when no key is as long. */
static int
literal(const char *text, char prefix[PATH_KEY_MAX + 2], struct err *e)
{
	size_t n = 0;

	for (; *text && !strchr("*?[", *text); text++) {
		if (*text == '\\' && text[1])
			text++;
		if (n == PATH_KEY_MAX)
			return fail(e, ERR_USAGE, "PREFIX is longer than any key");
		prefix[n++] = *text;
	}
	prefix[n] = '\0';
	return *text != '\0';
}

/* The prefix to ask for. What the date folders are directly below ends in a slash. */
static int
read_prefix(const char *arg, char prefix[PATH_KEY_MAX + 2], struct err *e)
{
	const char *text = arg ? client_key(&ls.client, arg, e) : "", *slash;
	size_t n;
	int more;

	if (!text || (more = literal(text, prefix, e)) < 0)
		return -1;
	if (!arg && ls.by_date)
		strcpy(prefix, client_prefix(&ls.client));
	if (more) {
		ls.pattern = text;
		ls.recursive = 1;
	}
	n = strlen(prefix);
	if (ls.by_date && !more && n && prefix[n - 1] != '/')
		strcpy(prefix + n, "/");
	slash = strrchr(prefix, '/');
	ls.base = slash ? (size_t)(slash - prefix) + 1 : 0;
	return 0;
}

static int
list(const char *arg, struct err *e)
{
	char prefix[PATH_KEY_MAX + 2];
	ls_show *show = what_to_show();
	int whole = ls.by_date || ls.cost || ls.uploads, rc;
	struct s3_list q = {.prefix = prefix, .entry = entry, .arg = &show};

	if (read_prefix(arg, prefix, e) < 0)
		return -1;
	q.delimiter = ls.recursive || whole ? NULL : "/";
	if (jobs > 1 && !q.delimiter && !ls.uploads && ls.base == strlen(prefix))
		rc = ls_ahead(&ls.client.s3, &q, (int)jobs, e);
	else
		rc = (ls.uploads ? s3_list_uploads : s3_list)(&ls.client.s3, &q, e);
	if (show == ls_top)
		ls_top_end();
	if (rc < 0)
		return -1;
	if (show == ls_day)
		ls_days_end();
	if (ls.summary)
		print_summary();
	if (ls.cost)
		cost_print(&ls.all, client_args.json);
	if (ls.top && ls.rows && show == ls_top && !ls.all.objects)
		return fail(e, ERR_LOCAL, "there are only folders: -r ranks what is in them");
	return (*prefix || ls.pattern) && !ls.rows ? 1 : 0;
}

static int
check_options(int argc, char **argv, struct err *e)
{
	if (argc > 1)
		return fail(e, ERR_USAGE, "one PREFIX at a time: %s (a pattern must be quoted, or the shell expands it)", argv[1]);
	if (priced && !ls.cost)
		return fail(e, ERR_USAGE, "--price goes with --cost");
	if (ls.uploads && (ls.by_date || ls.cost))
		return fail(e, ERR_USAGE, "--uploads is a listing of its own: without --by-date and --cost");
	if ((ls.uploads || ls.by_date || ls.cost) && (ls.top || sort >= 0))
		return fail(e, ERR_USAGE, "--sort and --top order objects: without --uploads, --by-date and --cost");
	ls.sort = sort >= 0 ? sort : ls.top ? LS_SIZE : LS_NAME;
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	int rc = check_options(argc, argv, e) < 0 || client_open(&ls.client, e) < 0 ? -1 : 0;

	ls.terminal = isatty(STDOUT_FILENO);
	if (rc == 0)
		rc = list(argc ? argv[0] : NULL, e);
	client_close(&ls.client);
	return rc;
}

const struct applet ls_applet = {
	"ls", "[PREFIX]", "list objects and the prefixes of the next level",
	"PREFIX may be a pattern of *, ? and [] (quoted; * matches slashes too): then it\n"
	"is all keys that match, and what stands before the first of these is asked for.\n"
	"\\ quotes them. --sort size and time keep all rows in memory, a million at most;\n"
	"with --top N only N.\n"
	"A KEY of --price: storage, storage-ia, class-a, class-a-ia, free-storage,\n"
	"free-class-a.\n",
	{opts}, 0, run,
};
