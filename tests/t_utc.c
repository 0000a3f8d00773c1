#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "test.h"
#include "utc.h"

static void
check_split(int64_t t, const char *want)
{
	char got[80];
	struct utc u;

	utc_split(t, &u);
	snprintf(got, sizeof got, "%04d-%02d-%02d %02d:%02d:%02d %d", u.year, u.month, u.day, u.hour, u.minute,
		u.second, u.weekday);
	check_str(got, want);
	check_int(utc_join(&u), t);
}

static void
test_split_and_join(void)
{
	check_split(0, "1970-01-01 00:00:00 4");
	check_split(-1, "1969-12-31 23:59:59 3");
	check_split(951782400, "2000-02-29 00:00:00 2");
	check_split(951868800, "2000-03-01 00:00:00 3");
	check_split(1767003010, "2025-12-29 10:10:10 1");
	check_split(2147483648, "2038-01-19 03:14:08 2");
	check_split(4107542400, "2100-03-01 00:00:00 1");
	check_split(253402300799, "9999-12-31 23:59:59 5");
	check_split(-62167219200, "0000-01-01 00:00:00 6");
}

/* A day after another over four centuries and more, counted by hand. */
static void
test_every_day(void)
{
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t t = INT64_C(-11676096000);   /* 1600-01-01 */
	int wrong = 0, weekday = 6;

	for (int y = 1600; y < 2420; y++) {
		for (int m = 1; m <= 12; m++) {
			int leap = m == 2 && (y % 400 == 0 || (y % 4 == 0 && y % 100 != 0));

			for (int d = 1; d <= length[m - 1] + leap; d++, t += 86400, weekday = (weekday + 1) % 7) {
				struct utc u;

				utc_split(t + 86399, &u);
				wrong += u.year != y || u.month != m || u.day != d || u.weekday != weekday;
				wrong += utc_join(&u) != t + 86399;
			}
		}
	}
	check_int(wrong, 0);
}

static void
test_amz(void)
{
	char out[UTC_AMZ_CAP];

	utc_amz(1767003010, out);
	check_str(out, "20251229T101010Z");
	utc_amz(0, out);
	check_str(out, "19700101T000000Z");
	utc_amz(INT64_MAX, out);
	check_str(out, "99991231T235959Z");
	utc_amz(INT64_MIN, out);
	check_str(out, "00000101T000000Z");
}

struct row { const char *in; int64_t want; };   /* -1: refused */

static void
test_iso(void)
{
	static const struct row rows[] = {
		{"2025-12-29T10:05:18.123Z", 1767002718}, {"2025-12-29T10:05:18Z", 1767002718},
		{"2025-12-29T10:05:18.999999999999Z", 1767002718}, {"2025-12-29T11:05:18+01:00", 1767002718},
		{"2025-12-29T05:35:18.5-0430", 1767002718}, {"2025-12-29T10:05:18+00:00", 1767002718},
		{"2024-02-29T00:00:00Z", 1709164800}, {"2016-12-31T23:59:60Z", 1483228800},
		{"", -1}, {"2025-12-29", -1}, {"2025-12-29T10:05:18", -1}, {"2025-12-29T10:05Z", -1},
		{"2025-12-29T10:05:18.Z", -1}, {"2025-12-29 10:05:18Z", -1}, {"2025-12-29T10:05:18z", -1},
		{"2025-12-29T10:05:18Zx", -1}, {"2025-12-29T10:05:18+1", -1}, {"2025-12-29T10:05:18+01:", -1},
		{"2025-12-29T10:05:18+01:0", -1}, {"2025-12-29T10:05:18+01:00x", -1}, {"2025-12-29T10:05:18+24:00", -1},
		{"2025-12-29T10:05:18+01:60", -1}, {"2025-12-29T24:00:00Z", -1}, {"2025-12-29T10:60:00Z", -1},
		{"2025-12-29T10:05:61Z", -1}, {"2025-02-29T10:05:18Z", -1}, {"2025-00-29T10:05:18Z", -1},
		{"2025-13-29T10:05:18Z", -1}, {"2025-12-00T10:05:18Z", -1}, {"2025-12-32T10:05:18Z", -1},
		{" 2025-12-29T10:05:18Z", -1}, {"25-12-29T10:05:18Z", -1}, {"2025-1 -29T10:05:18Z", -1},
		{"2025-12-29T10:05:18.123456789012345678901234567890123456789012Z", 1767002718},
		{"2025-12-29T10:05:18.1234567890123456789012345678901234567890123Z", -1},   /* 64 bytes */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t t = -1;

		check_int(utc_parse_iso(rows[i].in, strlen(rows[i].in), &t), rows[i].want == -1 ? -1 : 0);
		if (t != rows[i].want)
			check_str(rows[i].in, "the time above");
	}
	{
		int64_t t = -1;

		check_int(utc_parse_iso("2025-12-29T10:05:18Z5", 20, &t), 0);
		check_int(t, 1767002718);
		check_int(utc_parse_iso("2025-12-29T10:05:18Z\0", 21, &t), -1);
		check_int(utc_parse_iso("2025-12-29T10:05:18Z", 19, &t), -1);
	}
}

static void
test_http(void)
{
	static const struct row rows[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777}, {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777}, {"Wed Nov 16 08:49:37 1994", 784975777},
		{"Mon, 29 Dec 2025 10:05:18 GMT", 1767002718}, {"Monday, 29-Dec-25 10:05:18 GMT", 1767002718},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Thursday, 01-Jan-70 00:00:00 GMT", 0}, {"Tuesday, 01-Jan-69 00:00:00 GMT", 3124224000},
		{"Friday, 31-Dec-99 00:00:00 GMT", 946598400}, {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
		{"", -1}, {"Sun, 06 Nov 1994 08:49:37", -1}, {"Sun, 06 Nov 1994 08:49:37 CET", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", -1}, {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
		{"Sun,  6 Nov 1994 08:49:37 GMT", -1}, {"Xyz, 06 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 nov 1994 08:49:37 GMT", -1}, {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 24:49:37 GMT", -1}, {"Sun, 06-Nov-94 08:49:37 GMT", -1},
		{"Sunday, 06-Nov-1994 08:49:37 GMT", -1}, {"Sun Nov 6 08:49:37 1994", -1},
		{"Sun Nov  6 08:49:37 94", -1}, {"Sun Nov    08:49:37 1994", -1}, {"1767002718", -1}, {"Sun", -1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t t = -1;

		check_int(utc_parse_http(rows[i].in, &t), rows[i].want == -1 ? -1 : 0);
		if (t != rows[i].want)
			check_str(rows[i].in, "the time above");
	}
}

static void
test_date(void)
{
	static const char *const wrong[] = {"", "2025-02-30", "2025-02-29", "1900-02-29", "2025-00-01", "2025-13-01",
		"2025-04-31", "2025-12-00", "2025-12-32", "2025-1-1", "25-12-29", "2025-12-29 ", " 2025-12-29",
		"2025-12-29T", "2025/12/29", "20251229", "2025-12-2x", "+025-12-29", "2025-12", ".keep", NULL};
	struct utc u;

	check_int(utc_parse_date("2025-12-29", NULL), 0);
	check_int(utc_parse_date("2024-02-29", &u), 0);
	check_int(u.year, 2024);
	check_int(u.month, 2);
	check_int(u.day, 29);
	check_int(u.weekday, 4);
	check_int(u.hour + u.minute + u.second, 0);
	check_int(utc_parse_date("2000-02-29", NULL), 0);
	for (int i = 0; wrong[i]; i++)
		check_int(utc_parse_date(wrong[i], &u), -1);
}

static void
test_folder(void)
{
	static const char *const wrong[] = {"", "2025-12-29", "2025-12-299/", "2025-02-29/x", "2025-12-2/x", "x/2025-12-29/", "2025/12/29/"};
	char date[UTC_DATE_CAP];

	check_int(utc_parse_folder("2025-12-29/", date), 0);
	check_str(date, "2025-12-29");
	check_int(utc_parse_folder("2024-02-29/a/b", date), 0);
	check_str(date, "2024-02-29");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		check_int(utc_parse_folder(wrong[i], date), -1);
}

static void
check_local(const char *tz, int64_t t, const char *want)
{
	char date[UTC_DATE_CAP], stamp[UTC_STAMP_CAP], day[UTC_DATE_CAP];

	setenv("TZ", tz, 1);
	tzset();
	utc_local_date(t, date);
	utc_local_stamp(t, stamp);
	check_str(stamp, want);
	snprintf(day, sizeof day, "%.10s", want);
	check_str(date, day);
}

/* POSIX rules, so that no zone file is needed. */
static void
test_local(void)
{
	check_local("UTC0", 1767003000, "2025-12-29 10:10:00");
	check_local("CET-1CEST,M3.5.0,M10.5.0/3", 1767003000, "2025-12-29 11:10:00");
	check_local("CET-1CEST,M3.5.0,M10.5.0/3", 1751364000, "2025-07-01 12:00:00");
	check_local("CET-1CEST,M3.5.0,M10.5.0/3", 1743296399, "2025-03-30 01:59:59");
	check_local("CET-1CEST,M3.5.0,M10.5.0/3", 1743296400, "2025-03-30 03:00:00");
	check_local("PST8", 1767003000, "2025-12-29 02:10:00");
	check_local("<+1345>-13:45", 1767003000, "2025-12-29 23:55:00");
	check_local("<+14>-14", 1767003000, "2025-12-30 00:10:00");
	check_local("<-12>12", 0, "1969-12-31 12:00:00");
	check_local("UTC0", 4107542400, "2100-03-01 00:00:00");
	check_local("UTC0", 253402300799, "9999-12-31 23:59:59");
}

/* A summer time without dates is not all year. */
static void
test_set_zone(void)
{
	static const struct {const char *tz, *winter, *summer;} rows[] = {
		{"EST5EDT", "2025-12-29 05:10:00", "2025-07-01 06:00:00"},
		{"CET-1CEST", "2025-12-29 11:10:00", "2025-07-01 12:00:00"},
		{"CET-1CEST-3", "2025-12-29 11:10:00", "2025-07-01 13:00:00"},
		{"<-03>3<-02>", "2025-12-29 07:10:00", "2025-07-01 08:00:00"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2025-12-29 11:10:00", "2025-07-01 12:00:00"},
		{"<+1345>-13:45", "2025-12-29 23:55:00", "2025-07-01 23:45:00"},
		/* Zones whose names look like such rules, where there are files of them. */
		{"NZ-CHAT", "2025-12-29 23:55:00", "2025-07-01 22:45:00"},
		{"W-SU", "2025-12-29 13:10:00", "2025-07-01 13:00:00"},
		{"GB-Eire", "2025-12-29 10:10:00", "2025-07-01 11:00:00"},
		{"EST5", "2025-12-29 05:10:00", "2025-07-01 05:00:00"},
		{"<-03", "2025-12-29 10:10:00", "2025-07-01 10:00:00"},
		{"", "2025-12-29 10:10:00", "2025-07-01 10:00:00"},
	};
	char stamp[UTC_STAMP_CAP];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char file[64];

		snprintf(file, sizeof file, "/usr/share/zoneinfo/%s", rows[i].tz);
		if (!strpbrk(rows[i].tz, "0123456789") && access(file, R_OK) < 0)
			continue;
		check_int(utc_set_zone(rows[i].tz), 0);
		utc_local_stamp(1767003000, stamp);
		check_str(stamp, rows[i].winter);
		utc_local_stamp(1751364000, stamp);
		check_str(stamp, rows[i].summer);
	}
}

/* Whatever the time, the texts have their length and end. */
static void
test_local_extremes(void)
{
	static const int64_t times[] = {INT64_MIN, INT64_MAX, -62167219200, 253402300799};
	char date[UTC_DATE_CAP], stamp[UTC_STAMP_CAP];

	for (size_t i = 0; i < 4; i++) {
		setenv("TZ", i % 2 ? "<+14>-14" : "<-12>12", 1);
		tzset();
		utc_local_date(times[i], date);
		utc_local_stamp(times[i], stamp);
		check_int(strlen(date), 10);
		check_int(strlen(stamp), 19);
		check_int(strspn(stamp, "0123456789-: "), 19);
	}
}

int
main(void)
{
	test_split_and_join();
	test_every_day();
	test_amz();
	test_iso();
	test_http();
	test_date();
	test_folder();
	test_local();
	test_set_zone();
	test_local_extremes();
	return test_end();
}
