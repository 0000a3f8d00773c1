#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cleanup.h"
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"

enum { ID_TEXT_CAP = 3 * S3_UPLOAD_ID_CAP };   /* as journals write it */

/* Where journals of uploads lie on this machine (journal.h; sync keeps its own). Of all users, as far as we may look:
   cron has another environment than who uploads. "*" is any one name. */
static const struct place {
	const char *variable, *path;
} places[] = {
	{"XDG_STATE_HOME", "/r2"}, {"XDG_STATE_HOME", "/r2-sync/*/parts"}, {"HOME", "/.local/state/r2"},
	{"", "/var/lib/r2"}, {"", "/var/lib/r2-sync/*/parts"},
	{"", "/root/.local/state/r2"}, {"", "/home/*/.local/state/r2"},
	{"COMFYUI_OUTPUT_DIR", "/.r2-sync/parts"}, {"", "/workspace/ComfyUI/output/.r2-sync/parts"},
};

/* 1 when the file speaks of the id, in whatever record: what may be resumed stays. A crash may leave zero bytes in it. */
static int
file_has(const char *path, const char *id)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), found = 0;
	size_t have = 0, keep = strlen(id) - 1;
	char text[2 * ID_TEXT_CAP];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		found = -1;
	while (!found && (n = read(fd, text + have, sizeof text - 1 - have)) != 0) {
		if (n < 0) {
			found = 1;       /* who knows? */
			break;
		}
		have += (size_t)n;
		text[have] = '\0';
		for (const char *p = text; !found && p < text + have; p += strlen(p) + 1)
			found = strstr(p, id) != NULL;
		/* The id may begin at the end. */
		if (have > keep) {
			memmove(text, text + have - keep, keep);
			have = keep;
		}
	}
	close(fd);
	return found > 0;
}

/* In every file of the directories that path, filled up to its length n, and then rest name. */
static int
look_in(char path[PATH_MAX], size_t n, const char *rest, const char *id)
{
	const char *star = strchr(rest, '*');
	size_t len = star ? (size_t)(star - rest) : strlen(rest);
	struct dirent *d;
	int found = 0;
	DIR *dir;

	if (n + len + NAME_MAX + 2 > PATH_MAX)
		return 0;
	memcpy(path + n, rest, len);
	path[n + len] = '\0';
	dir = opendir(path);
	n += len;
	if (!star)
		path[n++] = '/';
	while (dir && !found && (d = readdir(dir))) {
		size_t name = strlen(d->d_name);

		if (d->d_name[0] == '.')
			continue;
		memcpy(path + n, d->d_name, name + 1);
		found = star ? look_in(path, n + name, star + 1, id) : file_has(path, id);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* 1 when a journal on this machine goes on with that upload; path says which. Variables may come from --env-file: cron has no others. */
static int
in_journal(const char *id, char path[PATH_MAX])
{
	char text[ID_TEXT_CAP];
	struct buf b = BUF(text);

	enc_query(&b, id);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const struct place *x = &places[i];
		struct err ignored;

		*path = '\0';
		if (*x->variable && (config_value(&client_args.config, x->variable, path, PATH_MAX, &ignored) < 1 || *path != '/'))
			continue;
		if (look_in(path, strlen(path), x->path, text))
			return 1;
	}
	return 0;
}

static void
tell(const struct s3_entry *x, const char *status)
{
	struct json j;

	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "key", x->key);
		json_string(&j, "upload_id", x->upload_id);
		json_time(&j, "started", x->modified);
		json_string(&j, "status", status);
		json_end(&j);
	} else if (*status == 'w' && !client_args.quiet) {
		cleanup_print(x->modified, "UPLOAD", x->key);
	}
}

/* By the clock that said when it began. */
static int
is_old(const struct cleanup *c, int64_t began)
{
	return began > 0 && began < c->uploads_before_s + __atomic_load_n(&c->client->store.ahead_s, __ATOMIC_RELAXED);
}

static int
upload(void *arg, const struct s3_entry *x, struct err *e)
{
	struct cleanup *c = arg;
	char path[PATH_MAX];
	struct err why;

	if (s3_stopping(&c->client->store))
		return 1;
	if (!sweep_below(c->sweep.prefix, x->key) || !is_old(c, x->modified) || sweep_keeps(&c->sweep, x->key))
		return 0;
	if (cleanup_clock(c, e) < 0)
		return -1;
	if (in_journal(x->upload_id, path)) {
		log_r2(LOG_INFO, "Not aborted: %s: %s goes on with it", x->key, path);
	} else if (!c->dry_run && s3_abort(&c->client->s3, NULL, x->key, x->upload_id, &why) < 0) {
		log_r2(LOG_ERROR, "Not aborted: %s: %s", x->key, why.msg);
		c->failed++;
		tell(x, "failed");
	} else {
		c->aborted++;
		tell(x, c->dry_run ? "would-abort" : "aborted");
	}
	return 0;
}

int
cleanup_uploads(struct cleanup *c, struct err *e)
{
	struct s3_list q = {.entry = upload};

	return cleanup_list(c, s3_list_uploads, &q, e);
}
