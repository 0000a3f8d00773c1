#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "buf.h"
#include "config.h"
#include "config_source.h"

enum { SECRETS = 5 };

const char *const config_keys[] = {
	"R2_SECRET_ACCESS_KEY", "R2_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "R2_SESSION_TOKEN", "AWS_SESSION_TOKEN",   /* these are secret */
	"R2_ACCESS_KEY_ID", "R2_ACCESS_KEY", "AWS_ACCESS_KEY_ID", NULL,
};

static int
is_secret(const char *name)
{
	for (int i = 0; i < SECRETS; i++)
		if (!strcmp(name, config_keys[i]))
			return 1;
	return 0;
}

/* "" is no prefix, and in POSIX a TZ of "" is UTC. Everywhere else it is what a template left empty. */
static int
empty_counts(const char *name)
{
	return !strcmp(name, "R2_PREFIX") || !strcmp(name, "TZ");
}

/* The first one only: the user needs to be told once. /proc has its own access rules. */
static void
warn_readable(struct config_source *s, const char *path, unsigned mode)
{
	struct buf b;

	if (s->warning[0] || !(mode & 077) || !strncmp(path, "/proc/", 6))
		return;
	b = BUF(s->warning);
	buf_fmt(&b, "others may read the secret in %.300s (mode %03o): chmod 600 %.100s", path, mode & 0777, path);
}

/* Without the white space that copying, "echo secret | base64" and CRLF leave at the ends. */
static int
set_value(struct config_source *s, const char *text, size_t n, struct err *e)
{
	static const char white[] = " \t\r\n\v\f";

	for (; n > 0 && strchr(white, *text); text++)
		n--;
	while (n > 0 && strchr(white, text[n - 1]))
		n--;
	if (n > CONFIG_VALUE_MAX)
		return fail(e, ERR_USAGE, "%s is longer than %d bytes", s->from, CONFIG_VALUE_MAX);
	memcpy(s->text, text, n);
	s->text[n] = '\0';
	return 0;
}

/* The content of the file that NAME_FILE names. */
static int
value_from_file(struct config_source *s, const char *name, const char *path, struct err *e)
{
	struct config_file f = {0};
	char label[512];
	struct buf b = BUF(label);
	int r;

	/* a secret may have been put where its file's name belongs: no message repeats what does not look like a path */
	if (*path == '/')
		buf_fmt(&b, "%s_FILE (%.300s)", name, path);
	else
		buf_fmt(&b, "the file that %s_FILE names", name);
	strcpy(s->from, label);
	/* room for the white space that set_value drops */
	r = config_file_read(&f, path, label, CONFIG_VALUE_MAX + 256, e);
	if (r == 0 && memchr(f.p, '\0', f.len))
		r = fail(e, ERR_USAGE, "%s has a NUL byte inside: is it the right file?", label);
	if (r == 0)
		r = set_value(s, f.p, f.len, e);
	if (r == 0 && !s->text[0] && !empty_counts(name))
		r = fail(e, ERR_USAGE, "%s is empty: write the value of %s into it", label, name);
	if (r == 0 && is_secret(name))
		warn_readable(s, path, f.mode);
	config_file_wipe(&f);
	return r < 0 ? -1 : 1;
}

/* The places in their order: NAME and NAME_FILE in the environment, the same two in the env file. */
enum place { ENVIRONMENT, ENVIRONMENT_FILE, ENV_FILE, ENV_FILE_FILE, PLACES };

/* 1 found, 0 not there, -1 error. */
static int
look(struct config_source *s, enum place place, const char *name, struct err *e)
{
	int indirect = place == ENVIRONMENT_FILE || place == ENV_FILE_FILE;
	char variable[64];
	struct buf b = BUF(variable), from = BUF(s->from);
	const char *text;

	buf_fmt(&b, indirect ? "%s_FILE" : "%s", name);
	text = place < ENV_FILE ? getenv(variable) : config_file_get(&s->file, variable);
	if (!text || (indirect && !*text))
		return 0;
	if (indirect)
		return value_from_file(s, name, text, e);
	buf_str(&from, name);
	if (place == ENV_FILE)
		buf_fmt(&from, " in %s", s->path);
	if (set_value(s, text, strlen(text), e) < 0)
		return -1;
	return s->text[0] || empty_counts(name);
}

int
config_find(struct config_source *s, const struct config_setting *want, struct err *e)
{
	struct buf from = BUF(s->from);

	if (want->option) {
		buf_str(&from, want->option_name);
		s->rank = RANK_OPTION;
		return set_value(s, want->option, strlen(want->option), e) < 0 ? -1 : 1;
	}
	for (enum place place = ENVIRONMENT; place < PLACES; place++) {
		s->rank = place < ENV_FILE ? RANK_ENVIRONMENT : RANK_ENV_FILE;
		for (const char *const *name = want->names; *name; name++) {
			int r = look(s, place, *name, e);

			if (r)
				return r;
		}
	}
	s->text[0] = '\0';
	return 0;
}

int
config_copy(const struct config_source *s, char *out, size_t cap, struct err *e)
{
	size_t n = strlen(s->text);

	if (n >= cap)
		return fail(e, ERR_USAGE, "%s is longer than %zu bytes", s->from, cap - 1);
	for (const char *p = s->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return fail(e, ERR_USAGE, "%s has a control character inside: copied wrongly?", s->from);
	memcpy(out, s->text, n + 1);
	return 0;
}

int
config_get(struct config_source *s, const struct config_setting *want, char *out, size_t cap, struct err *e)
{
	int r = config_find(s, want, e);

	out[0] = '\0';
	return r > 0 && config_copy(s, out, cap, e) < 0 ? -1 : r;
}

/* Nothing there is fine only for the default; and another user's default file is no reason to stop. */
static int
default_absent(struct config_source *s)
{
	if (access(CONFIG_ENV_FILE, R_OK) == 0)
		return 0;
	s->why_not = errno == ENOENT || errno == ENOTDIR ? 0 : errno;
	return 1;
}

int
config_source_open(struct config_source *s, const struct config_options *o, struct err *e)
{
	const char *named = o->env_file ? o->env_file : getenv("R2_ENV_FILE");
	char label[512];
	struct buf b = BUF(label);

	*s = (struct config_source){.path = CONFIG_ENV_FILE};
	/* no core dump and no ptrace by others from before the first secret is in memory */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (o->env_file || (named && *named))
		s->path = named;
	else if (default_absent(s))
		return 0;
	buf_fmt(&b, "env file %.400s", s->path);
	if (config_file_read(&s->file, s->path, label, CONFIG_ENV_FILE_MAX, e) < 0
		|| config_file_entries(&s->file, label, e) < 0)
		return -1;
	for (int i = 0; i < SECRETS; i++) {
		const char *text = config_file_get(&s->file, config_keys[i]);

		if (text && *text)
			warn_readable(s, s->path, s->file.mode);
	}
	return 0;
}

void
config_source_close(struct config_source *s)
{
	config_file_wipe(&s->file);
	explicit_bzero(s, sizeof *s);
}

const char *
config_looked(const struct config_source *s, char out[CONFIG_LOOKED_CAP])
{
	snprintf(out, CONFIG_LOOKED_CAP, "looked in the environment, in NAME_FILE and in %.300s%s%s", s->path,
		s->why_not ? ", which cannot be read: " : "", s->why_not ? strerror(s->why_not) : "");
	return out;
}
