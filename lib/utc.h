#pragma once
/* Dates and times without a clock: the caller passes the time. Seconds since 1970, 64 bits. */
#include <stddef.h>
#include <stdint.h>

struct utc { int year, month, day, hour, minute, second, weekday; };  /* month 1–12, weekday 0 = Sunday */

/* What four digits cannot write is cut to the years 0000–9999, here and in all that prints. */
void utc_split(int64_t t, struct utc *u);
int64_t utc_join(const struct utc *u);        /* proleptic Gregorian, no leap seconds; weekday ignored */

/* "20251229T101010Z", the form of x-amz-date. */
enum { UTC_AMZ_CAP = 17 };
void utc_amz(int64_t t, char out[UTC_AMZ_CAP]);
/* "2025-12-29T10:05:18.123Z" (fraction optional, a numeric offset in place of Z allowed),
   as S3 replies write it; the fraction is dropped; at most 63 bytes: 0 or -1. */
int utc_parse_iso(const char *s, size_t n, int64_t *t);
/* An HTTP date in any of RFC 9110's three forms (section 5.6.7): 0 or -1. The weekday is not held
   against the date. Two-digit years: 70–99 are 19xx, 00–69 20xx; no store has anything older. */
int utc_parse_http(const char *s, int64_t *t);
/* Exactly YYYY-MM-DD, a real calendar date: 0 or -1. u may be NULL. */
int utc_parse_date(const char *s, struct utc *u);
enum { UTC_DATE_CAP = 11, UTC_STAMP_CAP = 20 };
/* The folder that name begins with, "2025-12-29/…", when it is such a date: 0 and the date, or -1. */
int utc_parse_folder(const char *name, char date[UTC_DATE_CAP]);

/* Local time: "2025-12-29" and "2025-12-29 10:05:18". Whoever changes TZ calls tzset(3): POSIX lets localtime_r go without it. */
void utc_local_date(int64_t t, char out[UTC_DATE_CAP]);
void utc_local_stamp(int64_t t, char out[UTC_STAMP_CAP]);
/* Set this process's TZ: 0, -1 without memory. A rule with a summer time but without its dates ("EST5EDT", "CET-1CEST"), which to musl is summer
   all year, gets those of the United States, unless there is a zone of that name, as in glibc. */
int utc_set_zone(const char *tz);
/* 1 when TZ names a zone of which this system has no file, so that its time is UTC without a word from libc. */
int utc_zone_missing(void);
/* The first second of that day (YYYY-MM-DD, a real date) or of a later one, where clocks that were put forward leave it out. Clocks that are
   put back at midnight make the day begin twice: the first time counts. */
int64_t utc_local_begin(const char *date);
