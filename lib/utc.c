#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "utc.h"

enum { DAY = 86400 };

/* 0000-01-01 and the last second of 9999: what four digits can write. */
#define FIRST INT64_C(-62167219200)
#define LAST INT64_C(253402300799)

/* Days since 1970-01-01 of a proleptic Gregorian date. Years are counted from March, so that the leap day is
   the last of its year, in eras of 400 years: howardhinnant.github.io/date_algorithms.html. */
static int64_t
days(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t
clamp(int64_t t)
{
	return t < FIRST ? FIRST : t > LAST ? LAST : t;
}

void
utc_split(int64_t t, struct utc *u)
{
	time_t c = (time_t)clamp(t);
	struct tm tm;

	gmtime_r(&c, &tm);
	*u = (struct utc){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday};
}

int64_t
utc_join(const struct utc *u)
{
	return days(u->year, u->month, u->day) * DAY + u->hour * 3600 + u->minute * 60 + u->second;
}

/* Exactly n digits of v, whatever v is. */
static char *
digits(char *p, int n, int v)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + (v > 0 ? v % 10 : 0));
	return p + n;
}

void
utc_amz(int64_t t, char out[UTC_AMZ_CAP])
{
	struct utc u;

	utc_split(t, &u);
	out = digits(digits(digits(out, 4, u.year), 2, u.month), 2, u.day);
	*out++ = 'T';
	out = digits(digits(digits(out, 2, u.hour), 2, u.minute), 2, u.second);
	memcpy(out, "Z", 2);
}

static int
real_time(const struct utc *u)
{
	static const char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int leap = u->year % 4 == 0 && (u->year % 100 != 0 || u->year % 400 == 0);

	return u->month >= 1 && u->month <= 12 && u->day >= 1 &&
		u->day <= length[u->month - 1] + (leap && u->month == 2) &&
		u->hour <= 23 && u->minute <= 59 && u->second <= 60;   /* 60: a leap second */
}

/* n digits at s, the first of which may be a space if pad; what follows them, or NULL. */
static const char *
number(const char *s, int n, int pad, int *v)
{
	*v = 0;
	for (int i = 0; i < n; i++, s++) {
		if (*s >= '0' && *s <= '9')
			*v = *v * 10 + *s - '0';
		else if (*s != ' ' || !pad || i)
			return NULL;
	}
	return s;
}

/* One of the names, each ended by NUL; its index goes to v (from 0); what follows it, or NULL. */
static const char *
name(const char *s, const char *names, int *v)
{
	for (*v = 0; *names; ++*v) {
		size_t n = strlen(names);

		if (!strncmp(s, names, n))
			return s + n;
		names += n + 1;
	}
	return NULL;
}

static const char short_days[] = "Sun\0Mon\0Tue\0Wed\0Thu\0Fri\0Sat\0";
static const char long_days[] = "Sunday\0Monday\0Tuesday\0Wednesday\0Thursday\0Friday\0Saturday\0";
static const char months[] = "Jan\0Feb\0Mar\0Apr\0May\0Jun\0Jul\0Aug\0Sep\0Oct\0Nov\0Dec\0";

/* The field that strptime(3) calls %what at s; what follows it, or NULL. Not strptime itself: that skips
   blanks, takes single digits and knows locales. */
static const char *
field(char what, const char *s, struct utc *u)
{
	switch (what) {
	case 'a': return name(s, short_days, &u->weekday);
	case 'A': return name(s, long_days, &u->weekday);
	case 'b': s = name(s, months, &u->month); u->month++; return s;
	case 'Y': return number(s, 4, 0, &u->year);
	case 'y': s = number(s, 2, 0, &u->year); u->year += u->year < 70 ? 2000 : 1900; return s;
	case 'm': return number(s, 2, 0, &u->month);
	case 'd': return number(s, 2, 0, &u->day);
	case 'e': return number(s, 2, 1, &u->day);
	case 'H': return number(s, 2, 0, &u->hour);
	case 'M': return number(s, 2, 0, &u->minute);
	default: return number(s, 2, 0, &u->second);
	}
}

/* s read by a format of such fields; what follows it, or NULL unless it is a real date and time. */
static const char *
scan(const char *s, const char *format, struct utc *u)
{
	*u = (struct utc){0};
	for (; s && *format; format++) {
		if (*format == '%')
			s = field(*++format, s, u);
		else if (*s++ != *format)
			return NULL;
	}
	return s && real_time(u) ? s : NULL;
}

/* "Z" or "+01:00" (the colon may be missing) and nothing behind it: the seconds to subtract, or -1. */
static int
zone(const char *s, int *offset)
{
	const char *p;
	int hour, minute, sign = *s == '-' ? -1 : 1;

	*offset = 0;
	if (!strcmp(s, "Z"))
		return 0;
	if ((*s != '+' && *s != '-') || !(p = number(s + 1, 2, 0, &hour)))
		return -1;
	p = number(p + (*p == ':'), 2, 0, &minute);
	if (!p || *p || hour > 23 || minute > 59)
		return -1;
	*offset = sign * (hour * 3600 + minute * 60);
	return 0;
}

int
utc_parse_iso(const char *s, size_t n, int64_t *t)
{
	char text[64];
	const char *p;
	struct utc u;
	int offset;

	if (n >= sizeof text || memchr(s, '\0', n))
		return -1;
	memcpy(text, s, n);
	text[n] = '\0';
	if (!(p = scan(text, "%Y-%m-%dT%H:%M:%S", &u)))
		return -1;
	if (*p == '.') {
		size_t fraction = strspn(++p, "0123456789");

		if (!fraction)
			return -1;
		p += fraction;
	}
	if (zone(p, &offset) < 0)
		return -1;
	*t = utc_join(&u) - offset;
	return 0;
}

int
utc_parse_http(const char *s, int64_t *t)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y",
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct utc u;
		const char *end = scan(s, forms[i], &u);

		if (end && !*end) {
			*t = utc_join(&u);
			return 0;
		}
	}
	return -1;
}

int
utc_parse_date(const char *s, struct utc *u)
{
	struct utc date;
	const char *end = scan(s, "%Y-%m-%d", &date);

	if (!end || *end)
		return -1;
	if (u)
		utc_split(utc_join(&date), u);   /* for the weekday */
	return 0;
}

int
utc_parse_folder(const char *name, char date[UTC_DATE_CAP])
{
	date[UTC_DATE_CAP - 1] = '\0';
	strncpy(date, name, UTC_DATE_CAP - 1);
	return utc_parse_date(date, NULL) < 0 || name[UTC_DATE_CAP - 1] != '/' ? -1 : 0;
}

static void
local(int64_t t, struct tm *tm)
{
	time_t c = (time_t)clamp(t);

	memset(tm, 0, sizeof *tm);
	localtime_r(&c, tm);
}

/* POSIX.1-2017 XBD 8.3: std offset [dst [offset] [,start,end]]. Behind a name, which has letters or stands in <>. */
static const char *
zone_name(const char *s)
{
	if (*s == '<')
		return s + strcspn(s, ">") + (strchr(s, '>') != NULL);
	return s + strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static int
lacks_dates(const char *tz)
{
	static const char offset[] = "+-:0123456789";
	const char *std = zone_name(tz), *dst = std + strspn(std, offset), *end = zone_name(dst);

	return std > tz && dst > std && end > dst && !end[strspn(end, offset)];
}

/* In the places where musl looks for it. */
static int
zone_file(const char *name)
{
	static const char *const places[] = {"/usr/share/zoneinfo/", "/share/zoneinfo/", "/etc/zoneinfo/"};
	char path[320];

	if (*name == '/' || *name == '.')
		return access(name, R_OK) == 0;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (snprintf(path, sizeof path, "%s%s", places[i], name) < (int)sizeof path && access(path, R_OK) == 0)
			return 1;
	return 0;
}

int
utc_set_zone(const char *tz)
{
	char text[128];
	/* A zone may be named like such a rule, "NZ-CHAT", "W-SU": behind a colon musl looks for the file. */
	int n = zone_file(tz) ? snprintf(text, sizeof text, ":%s", tz) : snprintf(text, sizeof text, "%s,M3.2.0,M11.1.0", tz);

	if (setenv("TZ", lacks_dates(tz) && n < (int)sizeof text ? text : tz, 1) < 0)
		return -1;
	tzset();
	return 0;
}

static const char utc_itself[] = "UTC0\0UTC\0UCT\0GMT\0Zulu\0Universal\0Greenwich\0";

int
utc_zone_missing(void)
{
	const char *tz = getenv("TZ"), *base, *end;
	int ignored;

	tzset();
	if (!tz || !*tz || strcmp(tzname[0], "UTC"))
		return 0;
	tz += *tz == ':';
	base = strrchr(tz, '/') ? strrchr(tz, '/') + 1 : tz;
	end = name(base, utc_itself, &ignored);
	/* "UTC-14" is a rule, and needs none. */
	return (!end || *end) && strncmp(tz, "UTC", 3) && !zone_file(tz);
}

static char *
date(char *out, const struct tm *tm)
{
	out = digits(out, 4, tm->tm_year + 1900);
	*out++ = '-';
	out = digits(out, 2, tm->tm_mon + 1);
	*out++ = '-';
	return digits(out, 2, tm->tm_mday);
}

void
utc_local_date(int64_t t, char out[UTC_DATE_CAP])
{
	struct tm tm;

	local(t, &tm);
	*date(out, &tm) = '\0';
}

void
utc_local_stamp(int64_t t, char out[UTC_STAMP_CAP])
{
	struct tm tm;

	local(t, &tm);
	out = date(out, &tm);
	*out++ = ' ';
	out = digits(out, 2, tm.tm_hour);
	*out++ = ':';
	out = digits(out, 2, tm.tm_min);
	*out++ = ':';
	*digits(out, 2, tm.tm_sec) = '\0';
}

int64_t
utc_local_begin(const char *date)
{
	enum { OFFSET_MAX = 26 * 3600 };   /* TZ takes 24:59:59; nothing is farther from UTC */
	char day[UTC_DATE_CAP];
	struct utc u;
	int64_t t, from;

	if (utc_parse_date(date, &u) < 0)
		return FIRST;
	/* By minutes to the first that is that day, then back by seconds: offsets and changes are at whole minutes but in old times. */
	for (t = from = utc_join(&u) - OFFSET_MAX; utc_local_date(t, day), strcmp(day, date) < 0 && t < from + 2 * OFFSET_MAX; t += 60)
		;
	for (from = t - 60; utc_local_date(t - 1, day), strcmp(day, date) >= 0 && t > from + 1; t--)
		;
	return t;
}
