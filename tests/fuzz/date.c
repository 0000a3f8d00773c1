/* Dates against libc's: what is accepted means what timegm(3) says of the numbers that sscanf(3) finds; what is printed is read back. */
#include <time.h>
#include "fuzz.h"
#include "sweep.h"
#include "utc.h"

static const char *const zones[] = {"UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "<-0330>3:30<-0230>,M3.2.0/0:01,M11.1.0/0:01", "XXX-14", "YYY+12",
	"AAA3BBB,M10.3.0/0,M2.3.0/0", ""};

static int64_t
epoch(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second};

	return timegm(&tm);
}

/* The numbers are those of a real time: timegm did not have to carry, but for a leap second. */
static void
must_be_real(int64_t t, int month, int day, int hour, int minute, int second)
{
	time_t before = (time_t)(t - (second == 60));
	struct tm tm;

	must(gmtime_r(&before, &tm));
	must(tm.tm_mon == month - 1 && tm.tm_mday == day && tm.tm_hour == hour && tm.tm_min == minute);
	must(tm.tm_sec == (second == 60 ? 59 : second));
}

static void
iso(const char *s, size_t n)
{
	int year, month, day, hour, minute, second, oh = 0, om = 0, at = 0;
	char sign = 0;
	const char *p;
	int64_t t, want;

	if (utc_parse_iso(s, n, &t) < 0)
		return;
	must(n == strlen(s) && n < 64);
	must(sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &at) == 6 && at == 19);
	p = s + at;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (strcmp(p, "Z"))
		must(sscanf(p, "%c%2d:%2d", &sign, &oh, &om) == 3 || sscanf(p, "%c%2d%2d", &sign, &oh, &om) == 3);
	want = epoch(year, month, day, hour, minute, second);
	must_be_real(want, month, day, hour, minute, second);
	must(t == want - (sign == '-' ? -1 : 1) * (oh * 3600 + om * 60));
}

static void
http(const char *s)
{
	static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
	struct tm tm;
	int64_t t;
	size_t i;

	if (utc_parse_http(s, &t) < 0)
		return;
	for (i = 0; i < 3; i++) {
		const char *end;

		memset(&tm, 0, sizeof tm);
		end = strptime(s, formats[i], &tm);
		if (!end || *end)
			continue;
		/* strptime's two digits turn at 69, ours at 70. */
		if (i == 1 && tm.tm_year == 69)
			tm.tm_year = 169;
		must(timegm(&tm) == t);
		return;
	}
	must(!"libc reads it too");
}

static void
plain(const char *s)
{
	struct utc u;
	int year, month, day;
	char stamp[UTC_AMZ_CAP], again[16];

	if (utc_parse_date(s, &u) < 0)
		return;
	must(strlen(s) == 10 && sscanf(s, "%4d-%2d-%2d", &year, &month, &day) == 3);
	must(u.year == year && u.month == month && u.day == day && !u.hour && !u.minute && !u.second);
	must_be_real(epoch(year, month, day, 0, 0, 0), month, day, 0, 0, 0);
	utc_amz(utc_join(&u), stamp);
	snprintf(again, sizeof again, "%.4s-%.2s-%.2s", stamp, stamp + 4, stamp + 6);
	must(!strcmp(again, s));
}

/* A number of seconds, split, printed and put together as libc does it. */
static void
seconds(int64_t t)
{
	const int64_t first = INT64_C(-62167219200), last = INT64_C(253402300799);
	time_t c = (time_t)(t < first ? first : t > last ? last : t);
	char text[UTC_AMZ_CAP], date[UTC_DATE_CAP], stamp[UTC_STAMP_CAP], want[80];
	struct utc u;
	struct tm tm;

	must(gmtime_r(&c, &tm));
	utc_split(t, &u);
	must(u.year == tm.tm_year + 1900 && u.month == tm.tm_mon + 1 && u.day == tm.tm_mday && u.weekday == tm.tm_wday);
	must(u.hour == tm.tm_hour && u.minute == tm.tm_min && u.second == tm.tm_sec && utc_join(&u) == c);
	utc_amz(t, text);
	snprintf(want, sizeof want, "%04d%02d%02dT%02d%02d%02dZ", u.year, u.month, u.day, u.hour, u.minute, u.second);
	must(!strcmp(text, want));
	must(localtime_r(&c, &tm));
	utc_local_date(t, date);
	utc_local_stamp(t, stamp);
	if (tm.tm_year + 1900 >= 0 && tm.tm_year + 1900 <= 9999) {
		snprintf(want, sizeof want, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			tm.tm_min, tm.tm_sec);
		must(!strcmp(stamp, want) && !strncmp(date, want, 10) && !date[10]);
	}
}

/* The day begins at the first second that has its date or a later one. */
static void
begins(const char *date)
{
	char day[UTC_DATE_CAP];
	struct utc u;
	int64_t t = utc_local_begin(date);

	if (utc_parse_date(date, &u) < 0)
		return;
	if (u.year < 1 || u.year > 9998)
		return;
	utc_local_date(t, day);
	must(strcmp(day, date) >= 0);
	utc_local_date(t - 1, day);
	must(strcmp(day, date) < 0);
	must(llabs(t - utc_join(&u)) <= 26 * 3600);
}

static void
cutoff(const char *today, long days)
{
	char before[UTC_DATE_CAP];
	struct utc u, b;

	if (utc_parse_date(today, &u) < 0)
		return;
	sweep_cutoff(today, days, before);
	must(utc_parse_date(before, &b) == 0 && strcmp(before, today) <= 0);
	must(utc_join(&u) - utc_join(&b) == days * INT64_C(86400) || !strcmp(before, "0000-01-01"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	static unsigned zone = ~0u;
	size_t n;
	char *s;

	if (zone != (how >> 4) % 7) {
		zone = (how >> 4) % 7;
		setenv("TZ", zones[zone], 1);
		tzset();
	}
	if (how & 1)
		seconds((int64_t)(how & 2 ? take_word(&in) : take_word(&in) % 300000000000u));
	s = take_until(&in, -1, &n);
	iso(s, n);
	http(s);
	plain(s);
	if (how & 4)
		begins(s);
	cutoff(s, (long)how * 143);
	free(s);
	return 0;
}
