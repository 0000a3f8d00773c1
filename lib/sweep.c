#include <stdio.h>
#include <string.h>
#include "nfc.h"
#include "path.h"
#include "sweep.h"

enum { DATE_LEN = UTC_DATE_CAP - 1 };

const char *
sweep_below(const char *prefix, const char *key)
{
	size_t n = strlen(prefix);

	if (!n)
		return key;
	return !strncmp(key, prefix, n) && key[n] == '/' ? key + n + 1 : NULL;
}

/* What the date folder that name begins with says. Text is enough to compare such dates: four, two and two digits. There was no year 0. */
static enum sweep_why
judge_folder(const struct sweep *s, const char *name)
{
	char date[UTC_DATE_CAP];

	if (utc_parse_folder(name, date) < 0 || strcmp(date, "0001") < 0)
		return SWEEP_NO_DATE;
	return strcmp(date, s->before) < 0 ? SWEEP_OLD : SWEEP_YOUNG;
}

int
sweep_old_folder(const struct sweep *s, const char *name)
{
	return judge_folder(s, name) == SWEEP_OLD;
}

static enum sweep_why
judge_time(const struct sweep *s, int64_t modified)
{
	return modified <= 0 ? SWEEP_NO_DATE : modified < s->before_s ? SWEEP_OLD : SWEEP_YOUNG;
}

/* By the letter, too: a key may begin or end with a slash, as no path does. */
static int
matches_text(const char *pattern, const char *key)
{
	return path_match(pattern, key, 0) || path_match(pattern, path_base(key), 0) || path_match_any(&pattern, 1, key, 0);
}

/* In whatever spelling the key was uploaded: R2 lists it so, and on a screen both are one. */
static int
matches(const char *pattern, const char *key)
{
	char p[NFC_SPELL * PATH_KEY_MAX + 1], k[sizeof p];

	return matches_text(pattern, key) || (!nfc_is_ascii(pattern) && nfc_spell(pattern, p, sizeof p) &&
		nfc_spell(key, k, sizeof k) && matches_text(p, k));
}

static int
keeps(const struct sweep *s, const char *name, int is_folder)
{
	for (int i = 0; i < s->nkeep; i++)
		if ((!is_folder || strchr(s->keep[i], '/')) && matches(s->keep[i], name))
			return 1;
	return 0;
}

int
sweep_keeps(const struct sweep *s, const char *key)
{
	char folder[PATH_KEY_MAX + 1], *slash;
	int kept = keeps(s, key, 0);

	for (snprintf(folder, sizeof folder, "%s", key); !kept && (slash = strrchr(folder, '/')); kept = keeps(s, folder, 1))
		*slash = '\0';
	return kept;
}

enum sweep_why
sweep_judge(const struct sweep *s, const char *key, int64_t modified)
{
	const char *name = sweep_below(s->prefix, key);
	enum sweep_why why;

	if (!name || !*name)
		return SWEEP_OUTSIDE;
	why = s->by_modified ? judge_time(s, modified) : judge_folder(s, name);
	if (why == SWEEP_OLD && !s->by_modified && !name[DATE_LEN + 1])
		why = SWEEP_NO_DATE;
	if (why != SWEEP_OLD)
		return why;
	return path_has_dots(key) ? SWEEP_DOTS : sweep_keeps(s, key) ? SWEEP_KEPT : SWEEP_OLD;
}

void
sweep_cutoff(const char *today, long days, char before[UTC_DATE_CAP])
{
	struct utc u;

	utc_parse_date(today, &u);
	utc_split(utc_join(&u) - days * INT64_C(86400), &u);
	snprintf(before, UTC_DATE_CAP, "%04d-%02d-%02d", u.year, u.month, u.day);
}
