#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include "opt.h"
#include "test.h"

static int quiet, recursive, one, choice;
static const char *bucket, *date;
static long jobs;
static uint64_t size;
static int64_t settle, uploads;
static struct opt_words include;

static int
uploads_store(const struct opt *o, const char *val, struct err *e)
{
	if (val)
		return opt_age(o, val, e);
	uploads = 7;
	return 0;
}

static const struct opt common[] = {
	{'q', NULL, NULL, "errors only", opt_flag, &quiet, 0, 0},
	{0, "bucket", "NAME", "the bucket [$R2_BUCKET, runpod]", opt_string, &bucket, 0, 0},
	{0},
};
static const struct opt own[] = {
	{'r', "recursive", NULL, "everything below", opt_flag, &recursive, 0, 0},
	{'j', NULL, "N", "requests at once in all [8]", opt_number, &jobs, 1, 256},
	{'1', NULL, NULL, "names only", opt_flag, &one, 0, 0},
	{0, "include", "GLOB", "with -r: only these; repeatable", opt_list, &include, 0, 0},
	{0, "if-exists", "overwrite|skip|fail", "what happens with an object that is there already: it is replaced, "
		"the file is left out, or that is an error [overwrite]", opt_choice, &choice, 0, 0},
	{'p', "part-size", "SIZE", "bytes in a part [50M]", opt_size, &size, 0, 0},
	{0, "settle", "SECONDS", "quiet time", opt_age, &settle, 0, 3600},
	{0, "uploads", "[AGE]", "end unfinished uploads", uploads_store, &uploads, 0, 1000000},
	{0, "date", "DATE", "the date folder [today]", opt_date, &date, 0, 0},
	{0},
};
static const struct opt alike[] = {
	{0, "one-name", NULL, "as -1", opt_flag, &one, 0, 0},
	{0, "one-names", NULL, "the same", opt_flag, &one, 0, 0},
	{0, "oneself", NULL, "another", opt_flag, &quiet, 0, 0},
	{0},
};
static const struct opt *const tables[] = {own, common, alike, NULL};

enum { ARGS_MAX = 100 };
static char *args[ARGS_MAX + 1], program[] = "x", nothing[] = "";
static struct err err;

/* Parse the words of line (split at blanks; "_" is an empty word) after a program name. */
static int
parse(const char *line)
{
	static char text[4096];
	int argc = 1;

	quiet = recursive = one = 0;
	choice = -1;
	bucket = date = NULL;
	jobs = 0;
	size = 0;
	settle = uploads = -1;
	include.n = 0;
	err = (struct err){0};
	strcpy(text, line);
	args[0] = program;
	for (char *w = strtok(text, " "); w && argc < ARGS_MAX; w = strtok(NULL, " "))
		args[argc++] = strcmp(w, "_") ? w : nothing;
	args[argc] = NULL;
	return opt_parse(tables, argc, args, &err);
}

static void
refused(const char *line, const char *want)
{
	check_int(parse(line), -1);
	check_int(err.kind, ERR_USAGE);
	check_str(err.msg, want);
}

static void
test_forms(void)
{
	check_int(parse(""), 1);
	check_int(parse("a b"), 1);
	check_int(parse("-r -q -1 a"), 4);
	check(recursive == 1 && quiet == 1 && one == 1);
	check_int(parse("-rq1 a"), 2);
	check(recursive == 1 && quiet == 1 && one == 1);
	check_int(parse("--bucket pics a"), 3);
	check_str(bucket, "pics");
	check_int(parse("--bucket=a=b"), 2);
	check_str(bucket, "a=b");
	check_int(parse("--bucket="), 2);
	check_str(bucket, "");
	check_int(parse("--bucket --recursive"), 3);   /* a value may look like an option */
	check_str(bucket, "--recursive");
	check_int(parse("-rj4"), 2);
	check_int(jobs, 4);
	check_int(parse("-j 4 -j 5"), 5);
	check_int(jobs, 5);
	check_int(parse("--rec"), 2);
	check_int(recursive, 1);
	check_int(parse("--b=x"), 2);
	check_str(bucket, "x");
	check_int(parse("a --one- b"), 2);   /* either is the same */
	check_int(one, 1);
	check_int(parse("-"), 1);
	check_str(args[1], "-");
}

static void
test_order(void)
{
	check_int(parse("a -r b --bucket x c"), 4);
	check(recursive && !strcmp(bucket, "x"));
	check_str(args[4], "a");
	check_str(args[5], "b");
	check_str(args[6], "c");
	check_int(parse("a -r -- -q --nope b"), 3);
	check_int(quiet, 0);
	check_str(args[3], "a");
	check_str(args[4], "-q");
	check_str(args[5], "--nope");
	check_str(args[6], "b");
	/* each parse starts anew, even after one that stopped in the middle of "-rx" */
	refused("-rxq a", "unknown option -x: --help lists them");
	check_int(parse("-q a"), 2);
	check_int(recursive, 0);
	check_int(quiet, 1);
}

static void
test_unknown(void)
{
	refused("--recursiv=1", "--recursive takes no value");
	refused("--recursvie", "unknown option --recursvie: did you mean --recursive?");
	refused("--recursivee x", "unknown option --recursivee: did you mean --recursive?");
	refused("a b --buket=c d", "unknown option --buket: did you mean --bucket?");
	refused("--xyzzy", "unknown option --xyzzy: --help lists them");
	refused("--Recursive", "unknown option --Recursive: did you mean --recursive?");
	refused("--=x", "unknown option --: --help lists them");
	refused("--a\033\nb", "unknown option --a\\x1b\\nb: --help lists them");
	refused("-z", "unknown option -z: --help lists them");
	refused("-rz", "unknown option -z: --help lists them");
	refused("-:", "unknown option -:: --help lists them");
	refused("-\xc3\xa9", "unknown option -\\xc3: --help lists them");
	refused("--i x", "--i is ambiguous: --include, --if-exists");
	refused("a --i=x b", "--i is ambiguous: --include, --if-exists");
	refused("--one", "--one is ambiguous: --one-name, --one-names, --oneself");
	refused("--one-=x", "--one- is ambiguous: --one-name, --one-names");
}

static void
test_values(void)
{
	refused("--bucket", "--bucket needs NAME");
	refused("a --bucket", "--bucket needs NAME");
	refused("--buck", "--bucket needs NAME");
	refused("-j", "-j needs N");
	refused("-rj", "-j needs N");
	refused("-p", "--part-size needs SIZE");
	refused("--if-exists", "--if-exists needs overwrite|skip|fail");
	refused("--recursive=yes", "--recursive takes no value");
	refused("--recursive=", "--recursive takes no value");
	refused("--rec=1 a", "--recursive takes no value");
}

static void
test_number(void)
{
	static const char *const wrong[] = {"x", "1x", "-1", "+1", "1.5", "0x10", "_", NULL};

	check_int(parse("-j 1"), 3);
	check_int(jobs, 1);
	check_int(parse("-j 256"), 3);
	check_int(parse("-j 008"), 3);
	check_int(jobs, 8);
	refused("-j 0", "-j: 0 is not between 1 and 256");
	refused("-j 257", "-j: 257 is not between 1 and 256");
	refused("-j 99999999999999999999", "-j: 99999999999999999999 is not between 1 and 256");
	refused("-j -1", "-j: -1 is not a number between 1 and 256");
	for (int i = 0; wrong[i]; i++) {
		char line[32], want[80];

		snprintf(line, sizeof line, "-j %s", wrong[i]);
		snprintf(want, sizeof want, "-j: %s is not a number between 1 and 256", *wrong[i] == '_' ? "\"\"" : wrong[i]);
		refused(line, want);
		check_int(jobs, 0);
	}
}

/* A number too large for long is not taken for the largest. */
static void
test_number_at_the_limit(void)
{
	const struct opt rows[] = {{'n', NULL, "N", "", opt_number, &jobs, 0, INT32_MAX}, {0}};

	check_int(opt_number(rows, "2147483647", &err), 0);
	check_int(jobs, INT32_MAX);
	check_int(opt_number(rows, "2147483648", &err), -1);
	check_int(opt_number(rows, "4294967296", &err), -1);
	check_int(opt_number(rows, "9223372036854775808", &err), -1);
	check_int(opt_number(rows, "99999999999999999999", &err), -1);
}

static void
test_size(void)
{
	static const struct { const char *in; unsigned long long want; } good[] = {
		{"0", 0}, {"100", 100}, {"100B", 100}, {"1K", 1024}, {"1k", 1024}, {"1KB", 1024}, {"1KiB", 1024}, {"50M",
		52428800}, {"5 MiB", 5242880}, {"5 b", 5}, {"2.45M", 2569011}, {"1.5G", 1610612736}, {"1T", 1ULL << 40},
		{"0.5k", 512}, {"1.0000000000000000000000001K", 1024}, {"0.99999999999999999999K", 1023},
		{"0.1T", 109951162777}, {"18446744073709551615", ULLONG_MAX}, {"16777215T", 16777215ULL << 40},
		{"16777215.9T", 18446743963758388838ULL}, {"5mib", 5242880}, {"00005", 5},
	};
	static const char *const wrong[] = {"", " ", "K", "B", ".5M", "5.", "5.M", "1.5", "1.5B", "-1", "+1", "1 ", " 1",
		"1  K", "1Ki", "1iB", "1KBB", "1Kib ", "1P", "1X", "0x10", "1,5M", "1.5.5M", "18446744073709551616",
		"16777216T", "99999999999999999999K", "1K5", "1\xff", NULL};
	unsigned long long v;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		v = 77;
		if (opt_parse_size(good[i].in, &v) < 0 || v != good[i].want)
			check_str(good[i].in, "its size");
		check(v == good[i].want);
	}
	for (int i = 0; wrong[i]; i++) {
		if (opt_parse_size(wrong[i], &v) == 0)
			check_str(wrong[i], "no size");
		check(opt_parse_size(wrong[i], &v) == -1);
	}
	check_int(parse("--part-size 2K"), 3);
	check_int(size, 2048);
	refused("-p 5X", "--part-size: 5X is not a size: a number, or one with K, M, G or T such as 50M");
}

static void
test_age(void)
{
	static const struct { const char *in; int64_t want; } good[] = {
		{"0", 0}, {"1", 1000}, {"90", 90000}, {"0.5", 500}, {"1.0005", 1000}, {"0.0019", 1}, {"2s", 2000}, {"15m", 900000},
		{"1.5h", 5400000}, {"7d", 604800000}, {"2w", 1209600000}, {"0.1d", 8640000}, {"9223372036854775", 9223372036854775000},
	};
	static const char *const wrong[] = {"", "s", "-1", "+1", " 1", "1 s", "1ms", "1y", ".5", "5.", "1.s", "1e3", "1,5", "0x1",
		"9223372036854776", "99999999999999999999", "15250284453w", "1M", NULL};
	int64_t v;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		v = -1;
		check_int(opt_parse_age(good[i].in, &v), 0);
		check(v == good[i].want);
	}
	for (int i = 0; wrong[i]; i++)
		check_int(opt_parse_age(wrong[i], &v), -1);
	check_int(parse("--settle 0.25"), 3);
	check(settle == 250);
	check_int(parse("--settle=1h"), 2);
	check(settle == 3600000);
	refused("--settle 3601", "--settle: 3601 is not between 0 and 3600 seconds");
	refused("--settle x", "--settle: x is not a time: seconds, or a number with s, m, h, d or w such as 7d");
}

/* A value that may be left out: behind "=", or the next word when it is one. */
static void
test_optional(void)
{
	check_int(parse("--uploads"), 2);
	check(uploads == 7);
	check_int(parse("--uploads=2h a"), 2);
	check(uploads == 7200000);
	check_int(parse("--uploads 2h a"), 3);
	check(uploads == 7200000);
	check_str(args[3], "a");
	check_int(parse("--uploads 2025-out"), 2);
	check(uploads == 7);
	check_str(args[2], "2025-out");
	check_int(parse("a --uploads 3 b -q"), 4);
	check(uploads == 3000 && quiet);
	check_int(parse("--uploads -- 3"), 3);
	check(uploads == 7);
	refused("--upload a", "unknown option --upload: --uploads would end unfinished uploads");
	refused("--upload 3", "unknown option --upload: --uploads would end unfinished uploads");
	refused("--upload=3", "unknown option --upload=3: --uploads would end unfinished uploads");
	refused("--uploads=x", "--uploads: x is not a time: seconds, or a number with s, m, h, d or w such as 7d");
}

static void
test_date(void)
{
	check_int(parse("--date 2024-02-29"), 3);
	check_str(date, "2024-02-29");
	refused("--date 2025-02-30", "--date: 2025-02-30 is not a date of the calendar in the form YYYY-MM-DD");
	refused("--date _", "--date: \"\" is not a date of the calendar in the form YYYY-MM-DD");
	check(date == NULL);
}

static void
test_choice(void)
{
	check_int(parse("--if-exists overwrite"), 3);
	check_int(choice, 0);
	check_int(parse("--if-exists skip"), 3);
	check_int(choice, 1);
	check_int(parse("--if-exists=fail"), 2);
	check_int(choice, 2);
	refused("--if-exists ski", "--if-exists: ski is none of overwrite|skip|fail");
	refused("--if-exists skip|fail", "--if-exists: skip|fail is none of overwrite|skip|fail");
	refused("--if-exists _", "--if-exists: \"\" is none of overwrite|skip|fail");
	check_int(choice, -1);
}

static void
test_list(void)
{
	char line[2000] = "";

	check_int(parse("--include *.png a --include *.jpg --inc=*.gif"), 6);
	check_int(include.n, 3);
	check_str(include.v[0], "*.png");
	check_str(include.v[1], "*.jpg");
	check_str(include.v[2], "*.gif");
	for (int i = 0; i < OPT_LIST_MAX; i++)
		strcat(line, "--include=x ");
	check_int(parse(line), OPT_LIST_MAX + 1);
	check_int(include.n, OPT_LIST_MAX);
	strcat(line, "--include=y");
	refused(line, "--include: given more than 64 times");
}

/* A value that is long or has control characters cannot spoil the message. */
static void
test_hostile_value(void)
{
	char line[1200] = "--if-exists ";

	refused("--date a\033\nb", "--date: a\\x1b\\nb is not a date of the calendar in the form YYYY-MM-DD");
	memset(line + 12, 'x', 1000);
	line[1012] = '\0';
	check_int(parse(line), -1);
	check(strstr(err.msg, "xxx\xe2\x80\xa6 is none of overwrite|skip|fail") != NULL);
}

static void
test_too_many_rows(void)
{
	static struct opt many[200];
	const struct opt *const list[] = {many, NULL};
	char *argv[] = {(char[]){"x"}, NULL};

	for (int i = 0; i < 199; i++)
		many[i] = (struct opt){0, "same", NULL, "", opt_flag, &one, 0, 0};
	check_int(opt_parse(list, 1, argv, &err), -1);
	check_str(err.msg, "more than 96 options in the tables");
	many[96] = (struct opt){0};
	check_int(opt_parse(list, 1, argv, &err), 1);
}

static void
test_first_row_counts(void)
{
	int first = 0, second = 0;
	const struct opt a[] = {{'h', "help", NULL, "", opt_flag, &first, 0, 0}, {0}};
	const struct opt b[] = {{'h', "help", "X", "", opt_flag, &second, 0, 0}, {0}};
	const struct opt *const list[] = {a, b, NULL};

	check_int(opt_parse(list, 3, (char *[]){(char[]){"x"}, (char[]){"-h"}, (char[]){"--help"}, NULL}, &err), 3);
	check_int(first, 1);
	check_int(second, 0);
}

static void
test_nearest(void)
{
	static const char *const applets[] = {"upload", "sync", "ls", "get", "cleanup", NULL};
	static const struct { const char *word, *want; } rows[] = {
		{"uplaod", "upload"}, {"uplod", "upload"}, {"UPLOAD", NULL}, {"snyc", "sync"}, {"syn", "sync"}, {"l", "ls"},
		{"lss", "ls"}, {"gte", "get"}, {"gett", "get"}, {"clean", "cleanup"}, {"ls", "ls"}, {"rm", NULL},
		{"delete", NULL}, {"", NULL}, {"x", NULL}, {"download", NULL}, {"pload", "upload"}, {"clnup", "cleanup"},
		{"up", "upload"}, {"s", "sync"}, {"c", "cleanup"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};
	char longest[66];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *got = opt_nearest(rows[i].word, applets);

		check_str(got ? got : "", rows[i].want ? rows[i].want : "");
	}
	check(opt_nearest("upload", (const char *const[]){NULL}) == NULL);
	memset(longest, 'a', sizeof longest);
	longest[64] = '\0';
	check_str(opt_nearest(longest, (const char *const[]){longest, NULL}), longest);
	longest[64] = 'a';
	longest[65] = '\0';
	check(opt_nearest("upload", (const char *const[]){longest, NULL}) == NULL);
}

static const char *
printed(const struct opt *rows)
{
	static char *text;
	static size_t n;
	FILE *out;

	free(text);
	out = open_memstream(&text, &n);
	opt_print(rows, out);
	fclose(out);
	return text;
}

static void
test_print(void)
{
	check_str(printed(own),
		"  -r, --recursive           everything below\n"
		"  -j N                      requests at once in all [8]\n"
		"  -1                        names only\n"
		"      --include GLOB        with -r: only these; repeatable\n"
		"      --if-exists overwrite|skip|fail\n"
		"                            what happens with an object that is there already:\n"
		"                            it is replaced, the file is left out, or that is an\n"
		"                            error [overwrite]\n"
		"  -p, --part-size SIZE      bytes in a part [50M]\n"
		"      --settle SECONDS      quiet time\n"
		"      --uploads [AGE]       end unfinished uploads\n"
		"      --date DATE           the date folder [today]\n");
	check_str(printed((struct opt[]){{0}}), "");
	check_str(printed((struct opt[]){{'x', NULL, NULL, "", opt_flag, NULL, 0, 0}, {0}}), "  -x\n");
	printed(own);
}

/* No line is wider than 79, words wider than the room stand alone, and no word is lost. */
static void
test_wrap(void)
{
	char help[300], *line, *text;
	struct opt rows[] = {{'x', NULL, NULL, help, opt_flag, NULL, 0, 0}, {0}};

	for (size_t len = 45; len < 60; len++) {
		memset(help, 'a', len);
		strcpy(help + len, " b");
		text = strdup(printed(rows));
		check_int(strchr(text, '\n') - text, len + 2 <= 51 ? 28 + len + 2 : 28 + len);
		check(strstr(text, " b\n") != NULL);
		for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			check(strlen(line) <= (28 + len > 79 ? 28 + len : 79));
		free(text);
	}
	strcpy(help, "\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93\xe2\x80\x93"
		"\xe2\x80\x93\xe2\x80\x93 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");   /* 10 + 1 + 40 columns */
	check(strchr(printed(rows), '\n')[1] == '\0');
	strcat(help, "a");
	check(strchr(printed(rows), '\n')[1] != '\0');
}

int
main(void)
{
	test_forms();
	test_order();
	test_unknown();
	test_values();
	test_number();
	test_number_at_the_limit();
	test_size();
	test_age();
	test_optional();
	test_date();
	test_choice();
	test_list();
	test_hostile_value();
	test_too_many_rows();
	test_first_row_counts();
	test_nearest();
	test_print();
	test_wrap();
	return test_end();
}
