#pragma once
/* Which keys are old: key, prefix and cutoff → delete or keep. Pure: no I/O, no clock, no time zone; days and instants are passed in.
   What is not clearly old stays. */
#include <stdint.h>
#include "utc.h"

struct sweep {
	const char *prefix;              /* without slashes at its ends; "" for the bucket's top */
	char before[UTC_DATE_CAP];       /* the cutoff: what is of an earlier day goes, that day itself stays */
	int by_modified;                 /* by each object's own time, not by date folders: */
	int64_t before_s;                /* then the instant at which that day begins */
	const char *const *keep;         /* patterns (path_match_any) of keys; one with a slash in it also of the folders that a key is in */
	int nkeep;
};

enum sweep_why {
	SWEEP_OLD,        /* the one answer that deletes */
	SWEEP_YOUNG,
	SWEEP_KEPT,       /* by a pattern */
	SWEEP_OUTSIDE,    /* not below the prefix, or nothing follows it */
	SWEEP_NO_DATE,    /* not in a folder named by a date of the calendar, or the folder's own marker; or no time is known */
	SWEEP_DOTS,       /* a "." or ".." segment: some servers would find another object under that name */
};

/* modified: the object's LastModified, 0 when not known. */
enum sweep_why sweep_judge(const struct sweep *s, const char *key, int64_t modified);

/* What follows prefix and slash in key, or NULL. */
const char *sweep_below(const char *prefix, const char *key);

/* 1 when name ("2025-12-29/…") begins with a folder named by a date before the cutoff. */
int sweep_old_folder(const struct sweep *s, const char *name);

/* 1 when any pattern keeps key. */
int sweep_keeps(const struct sweep *s, const char *key);

/* The date days (0–36,500) before today. */
void sweep_cutoff(const char *today, long days, char before[UTC_DATE_CAP]);
