/* sweep: which keys are old. With an argument, a judge for tests/oracle.py: each line of standard input is
   "NOW DAYS BY MODIFIED PREFIX KEY [GLOB]", the last ones percent-encoded, in the time zone of TZ; each answer is "CUTOFF 1" (delete) or "CUTOFF 0" (keep). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "enc.h"
#include "sweep.h"
#include "test.h"
#include "utc.h"

static char *
word(char *text)
{
	char *w = strtok(text, " \n");

	if (w && enc_unpercent(w, strlen(w), 0) < 0)
		exit(2);
	/* A lone "-" stands for what is empty. */
	return !w || !strcmp(w, "-") ? "" : w;
}

static int
judge_lines(void)
{
	static char line[16384];

	while (fgets(line, sizeof line, stdin)) {
		struct sweep s = {0};
		int64_t now = strtoll(word(line), NULL, 10), modified;
		long days = strtol(word(NULL), NULL, 10);
		char today[UTC_DATE_CAP];
		const char *key, *keep;

		s.by_modified = *word(NULL) == 'm';
		modified = strtoll(word(NULL), NULL, 10);
		s.prefix = word(NULL);
		key = word(NULL);
		keep = word(NULL);
		s.keep = &keep;
		s.nkeep = *keep != '\0';
		utc_local_date(now, today);
		sweep_cutoff(today, days, s.before);
		if (s.by_modified)
			s.before_s = utc_local_begin(s.before);
		printf("%s %d\n", s.before, sweep_judge(&s, key, modified) == SWEEP_OLD);
	}
	return 0;
}

static void
test_folders(void)
{
	static const struct row { const char *key; enum sweep_why why; } rows[] = {
		{"outputs/2025-11-28/x", SWEEP_OLD}, {"outputs/2025-11-29/x", SWEEP_YOUNG}, {"outputs/2025-11-30/x", SWEEP_YOUNG},
		{"outputs/2024-02-29/a/b/c", SWEEP_OLD}, {"outputs/2023-02-29/x", SWEEP_NO_DATE}, {"outputs/1900-02-29/x", SWEEP_NO_DATE},
		{"outputs/2000-02-29/x", SWEEP_OLD}, {"outputs/2025-02-30/x", SWEEP_NO_DATE}, {"outputs/2025-1-3/x", SWEEP_NO_DATE},
		{"outputs/2025-13-01/x", SWEEP_NO_DATE}, {"outputs/2025-00-10/x", SWEEP_NO_DATE}, {"outputs/2025-01-00/x", SWEEP_NO_DATE},
		{"outputs/0000-01-01/x", SWEEP_NO_DATE}, {"outputs/0001-01-01/x", SWEEP_OLD}, {"outputs/9999-12-31/x", SWEEP_YOUNG},
		{"outputs/2025-01-01", SWEEP_NO_DATE}, {"outputs/2025-01-01/", SWEEP_NO_DATE}, {"outputs/2025-01-01//", SWEEP_OLD},
		{"outputs/2025-01-01/x/", SWEEP_OLD}, {"outputs/2025-01-01x/y", SWEEP_NO_DATE}, {"outputs/x2025-01-01/y", SWEEP_NO_DATE},
		{"outputs/ 2025-01-01/y", SWEEP_NO_DATE}, {"outputs/2025-01-01 /y", SWEEP_NO_DATE}, {"outputs/+025-01-01/y", SWEEP_NO_DATE},
		{"outputs/2025/01/01/x", SWEEP_NO_DATE}, {"outputs/20250101/x", SWEEP_NO_DATE}, {"outputs/2025-01-01T00/x", SWEEP_NO_DATE},
		{"outputs//2025-01-01/x", SWEEP_NO_DATE}, {"outputs/a/2025-01-01/x", SWEEP_NO_DATE}, {"outputs/2025_01_01/x", SWEEP_NO_DATE},
		{"outputs/\xef\xbc\x92""025-01-01/x", SWEEP_NO_DATE},   /* a digit, but not one of ours */
		{"outputs/.keep/x", SWEEP_NO_DATE}, {"outputs/1.png", SWEEP_NO_DATE}, {"outputs/2024/x", SWEEP_NO_DATE},
		{"outputs/", SWEEP_OUTSIDE}, {"outputs", SWEEP_OUTSIDE}, {"outputs2/2025-01-01/x", SWEEP_OUTSIDE}, {"", SWEEP_OUTSIDE},
		{"output/2025-01-01/x", SWEEP_OUTSIDE}, {"/outputs/2025-01-01/x", SWEEP_OUTSIDE}, {"2025-01-01/x", SWEEP_OUTSIDE},
		{"Outputs/2025-01-01/x", SWEEP_OUTSIDE},
		{"outputs/2025-01-01/../2026-01-01/x", SWEEP_DOTS}, {"outputs/2025-01-01/..", SWEEP_DOTS}, {"outputs/2025-01-01/.", SWEEP_DOTS},
		{"outputs/2025-01-01/./x", SWEEP_DOTS}, {"outputs/2025-01-01/x/..", SWEEP_DOTS}, {"outputs/2025-01-01/...", SWEEP_OLD},
		{"outputs/2025-01-01/.x/..y/z..", SWEEP_OLD}, {"outputs/2025-01-01/\xff\xfe", SWEEP_OLD}, {"outputs/2025-01-01/a\nb", SWEEP_OLD},
	};
	struct sweep s = {.prefix = "outputs", .before = "2025-11-29"};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (sweep_judge(&s, rows[i].key, 1) != rows[i].why) {
			check_str(rows[i].key, "another verdict");
			check_int(sweep_judge(&s, rows[i].key, 1), rows[i].why);
		} else {
			check(1);
		}
	s.prefix = "";
	check_int(sweep_judge(&s, "2025-01-01/x", 1), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/2025-01-01/x", 1), SWEEP_NO_DATE);
	check_int(sweep_judge(&s, "/2025-01-01/x", 1), SWEEP_NO_DATE);
	s.prefix = "a/b";
	check_int(sweep_judge(&s, "a/b/2025-01-01/x", 1), SWEEP_OLD);
	check_int(sweep_judge(&s, "a/2025-01-01/x", 1), SWEEP_OUTSIDE);
	check_int(sweep_old_folder(&s, "2025-11-28/"), 1);
	check_int(sweep_old_folder(&s, "2025-11-28"), 0);
	check_int(sweep_old_folder(&s, "2025-11-29/"), 0);
	check_int(sweep_old_folder(&s, ""), 0);
}

static void
test_modified(void)
{
	struct sweep s = {.prefix = "outputs", .before = "2025-11-29", .by_modified = 1, .before_s = 1000};

	check_int(sweep_judge(&s, "outputs/x", 999), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/x", 1000), SWEEP_YOUNG);
	check_int(sweep_judge(&s, "outputs/2099-01-01/x", 999), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/2001-01-01/x", 1001), SWEEP_YOUNG);
	/* No time is no old time. */
	check_int(sweep_judge(&s, "outputs/x", 0), SWEEP_NO_DATE);
	check_int(sweep_judge(&s, "outputs/x", -5), SWEEP_NO_DATE);
	check_int(sweep_judge(&s, "outputs/", 1), SWEEP_OUTSIDE);
	check_int(sweep_judge(&s, "outputs", 1), SWEEP_OUTSIDE);
	check_int(sweep_judge(&s, "outputs2/x", 1), SWEEP_OUTSIDE);
	check_int(sweep_judge(&s, "outputs/a/../x", 1), SWEEP_DOTS);
}

static void
test_keep(void)
{
	static const char *const keep[] = {"*.keep", "outputs/2025-01-*/final/*", "a\\*b"};
	struct sweep s = {.prefix = "outputs", .before = "2025-11-29", .keep = keep, .nkeep = 3};

	check_int(sweep_judge(&s, "outputs/2025-02-01/x.keep", 1), SWEEP_KEPT);
	check_int(sweep_judge(&s, "outputs/2025-02-01/x.keep.png", 1), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/2025-01-31/final/x", 1), SWEEP_KEPT);
	check_int(sweep_judge(&s, "outputs/2025-02-01/final/x", 1), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/2025-02-01/a*b", 1), SWEEP_KEPT);
	check_int(sweep_judge(&s, "outputs/2025-02-01/axb", 1), SWEEP_OLD);
	check_int(sweep_judge(&s, "outputs/2025-12-01/x.keep", 1), SWEEP_YOUNG);
}

/* One pattern, and whether it keeps a key of a folder. */
static void
test_keep_folder(void)
{
	static const struct row { const char *keep, *key; int kept; } rows[] = {
		{"out/2020-01-01/final/", "out/2020-01-01/final/a/b", 1}, {"out/2020-01-01/final", "out/2020-01-01/final/a", 1},
		{"final/", "out/2020-01-01/final/a", 1}, {"final/", "out/2020-01-01/x/final/", 1}, {"*/final", "out/2020-01-01/final/a/b/c", 1},
		{"/out/2020-01-01/f*", "out/2020-01-01/final/a", 1}, {"./out/2020-01-01/final//", "out/2020-01-01/final/a", 1},
		{"f?nal/", "out/2020-01-01/final/a", 1}, {"out/", "out/2020-01-01/a", 1}, {"2020-01-*/", "out/2020-01-01/a", 1},
		{"final/", "out/2020-01-01/final2/a", 0}, {"final/", "out/2020-01-01/Final/a", 0}, {"/final/", "out/2020-01-01/final/a", 0},
		{"*/final", "out/2020-01-01/final.png", 0}, {"/out/2020-01-01/fin", "out/2020-01-01/final/a", 0},
		/* Without a slash: keys and base names alone. */
		{"final", "out/2020-01-01/final/a", 0}, {"final", "out/2020-01-01/final", 1}, {"out", "out/2020-01-01/a", 0},
		/* In whatever spelling either is. */
		{"caf\u00e9*", "out/2020-01-01/cafe\u0301.png", 1}, {"*cafe\u0301/", "out/2020-01-01/caf\u00e9/a", 1},
		{"*\u00e9?png", "out/2020-01-01/cafe\u0301.png", 1}, {"caf\u00e9*", "out/2020-01-01/cafe.png", 0},
		{"caf\u00e9*", "out/2020-01-01/cafe\u0300.png", 0}, {"caf\u00e9", "out/2020-01-01/cafe\u0301.png", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sweep s = {.prefix = "out", .before = "2025-11-29", .keep = &rows[i].keep, .nkeep = 1};

		check_int(sweep_judge(&s, rows[i].key, 1), rows[i].kept ? SWEEP_KEPT : SWEEP_OLD);
		if (sweep_keeps(&s, rows[i].key) != rows[i].kept)
			fprintf(stderr, "  %s, %s\n", rows[i].keep, rows[i].key);
	}
}

/* A key may begin with a slash: then that is meant. */
static void
test_keep_by_the_letter(void)
{
	static const char *const keep = "/a/x";
	struct sweep s = {.prefix = "", .before = "2025-11-29", .by_modified = 1, .before_s = 1000, .keep = &keep, .nkeep = 1};

	check_int(sweep_judge(&s, "/a/x", 1), SWEEP_KEPT);
	check_int(sweep_judge(&s, "a/x", 1), SWEEP_KEPT);
	check_int(sweep_judge(&s, "b/a/x", 1), SWEEP_OLD);
}

static void
test_cutoff(void)
{
	static const struct row { const char *today; long days; const char *before; } rows[] = {
		{"2025-12-29", 0, "2025-12-29"}, {"2025-12-29", 30, "2025-11-29"}, {"2024-03-01", 1, "2024-02-29"},
		{"2025-03-01", 1, "2025-02-28"}, {"2026-01-01", 1, "2025-12-31"}, {"2025-12-29", 36500, "1926-01-23"},
		{"0001-01-01", 36500, "0000-01-01"},
	};
	char before[UTC_DATE_CAP];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		sweep_cutoff(rows[i].today, rows[i].days, before);
		check_str(before, rows[i].before);
	}
}

/* Where the day begins, by the rules of POSIX's TZ, which need no files. */
static void
test_begin(void)
{
	static const struct row { const char *tz, *date; int64_t begin; } rows[] = {
		{"UTC0", "2025-11-29", 1764374400}, {"XXX-14", "2025-11-29", 1764374400 - 14 * 3600}, {"XXX12", "2025-11-29", 1764374400 + 12 * 3600},
		{"XXX-5:30", "2025-11-29", 1764374400 - 19800}, {"XXX-24:59:59", "2025-11-29", 1764374400 - 89999},
		{"XXX24:59:59", "2025-11-29", 1764374400 + 89999}, {"XXX-1:02:03", "2025-11-29", 1764374400 - 3723},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2025-10-26", 1761429600}, {"CET-1CEST,M3.5.0,M10.5.0/3", "2025-10-27", 1761519600},
		/* The clock jumps from midnight to one: the day begins at one. */
		{"CLT4CLST,M9.1.6/24,M4.1.6/24", "2025-09-07", 1757217600},
		/* From midnight back to eleven: the day before goes on; midnight comes once more. */
		{"CLT4CLST,M9.1.6/24,M4.1.6/24", "2025-04-06", 1743912000},
		/* Newfoundland until 2011, a minute past midnight back to 23:01: the first midnight counts. */
		{"NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01", "2010-11-07", 1289097000},
		{"UTC0", "0001-01-01", -62135596800}, {"UTC0", "9999-12-31", 253402214400},
	};
	int64_t t;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		setenv("TZ", rows[i].tz, 1);
		tzset();
		t = utc_local_begin(rows[i].date);
		check_int(t, rows[i].begin);
		if (t != rows[i].begin)
			fprintf(stderr, "  %s %s\n", rows[i].tz, rows[i].date);
	}
	utc_local_begin("0000-01-01");   /* ends */
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return judge_lines();
	test_folders();
	test_modified();
	test_keep();
	test_keep_folder();
	test_keep_by_the_letter();
	test_cutoff();
	test_begin();
	return test_end();
}
