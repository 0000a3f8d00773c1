#include <string.h>
#include <strings.h>
#include "path.h"
#include "sync_daemon.h"
#include "sync_place.h"

/* What the loop this replaces looked for. */
static const char *const defaults[] = {
	"*.png", "*.jpg", "*.jpeg", "*.webp", "*.mp4", "*.webm", "*.gif", "*.wav", "*.mp3", "*.flac",
};

void
sync_path(const struct daemon *d, const char *rel, char *out, size_t cap)
{
	struct buf b = buf_over(out, cap);

	buf_fmt(&b, "%s/%s", strcmp(d->dir, "/") ? d->dir : "", rel);
}

static int
matches(const struct opt_words *patterns, const char *rel)
{
	return path_match_any(patterns->v, patterns->n, rel, 1);
}

static const char *
suffix_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot : "";
}

/* A name that programs give to what is not finished, or not meant to be seen. */
static int
is_hidden(const char *name)
{
	const char *suffix = suffix_of(name);

	return *name == '.' || !strcasecmp(suffix, ".tmp") || !strcasecmp(suffix, ".part");
}

/* Such a file is taken only if a pattern names its kind: "*" does not. */
static int
names_hidden(const char *pattern, const char *name)
{
	const char *last = path_base(pattern);

	if (*name == '.')
		return *last == '.';
	return !strcasecmp(suffix_of(last), suffix_of(name));
}

static int
wanted_hidden(const struct opt_words *include, const char *rel)
{
	for (int i = 0; i < include->n; i++)
		if (names_hidden(include->v[i], path_base(rel)) && path_match_any(&include->v[i], 1, rel, 1))
			return 1;
	return 0;
}

/* A directory with a dot is entered only if a pattern speaks of such names. */
static int
wanted_dir(const struct sync_settings *set, const char *rel)
{
	if (*path_base(rel) != '.')
		return 1;
	for (int i = 0; i < set->include->n; i++)
		if (*set->include->v[i] == '.' || strstr(set->include->v[i], "/."))
			return 1;
	return 0;
}

int
sync_wanted(void *daemon, const char *rel, int is_dir)
{
	const struct daemon *d = daemon;
	const struct sync_settings *set = d->set;
	const char *name = path_base(rel);

	/* Another daemon's state too: an inner directory may have had one. */
	if (!strcmp(name, SYNC_STATE_NAME) || !strncmp(name, SYNC_GONE_PREFIX, strlen(SYNC_GONE_PREFIX)) ||
		matches(set->exclude, rel))
		return 0;
	/* Each upload would change them, and be followed by the next. */
	for (size_t i = 0; i < sizeof d->own / sizeof *d->own; i++)
		if (d->own[i] && !strcmp(rel, d->own[i]))
			return 0;
	if (is_dir)
		return wanted_dir(set, rel);
	if (is_hidden(name))
		return wanted_hidden(set->include, rel);
	if (set->all)
		return 1;
	if (set->include->n)
		return matches(set->include, rel);
	return path_match_any(defaults, sizeof defaults / sizeof *defaults, name, 1);
}
