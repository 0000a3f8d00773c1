#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "mime.h"
#include "upload_parts.h"
#include "utc.h"

static const char *
kind_of(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory (-r uploads what is below it)"
		: S_ISFIFO(mode) ? "a FIFO, not a file: send it as standard input, with - for FILE and --key"
		: S_ISSOCK(mode) ? "a socket, not a file" : "a device, not a file";
}

static int
plan_key(struct upload_plan *p, const struct upload_options *o, const char *name, const struct stat *st, struct err *e)
{
	char date[UTC_DATE_CAP] = "";
	struct buf b = BUF(p->key);

	if (o->key) {
		buf_str(&b, o->key);
	} else {
		if (o->date && strcmp(o->date, "mtime"))
			snprintf(date, sizeof date, "%s", o->date);
		else if (!o->no_date)
			utc_local_date(o->date ? st->st_mtim.tv_sec : o->now, date);
		path_key_join(&b, o->prefix, date, name ? name : path_base(p->path));
	}
	return path_key_made(&b, e);
}

int
upload_plan(struct upload_plan *p, const struct upload_options *o, const char *path, const char *name, struct err *e)
{
	struct stat st = {0};

	*p = (struct upload_plan){.path = path};
	if (!strcmp(path, "-")) {
		if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) && lseek(STDIN_FILENO, 0, SEEK_CUR) == 0)
			p->size = (uint64_t)st.st_size;
	} else if (stat(path, &st) < 0) {
		return errno == ENOENT || errno == ENOTDIR ? fail(e, ERR_LOCAL, "File not found: %s", path)
			: fail_errno(e, "%s", err_show(e, path));
	} else if (!S_ISREG(st.st_mode)) {
		return fail(e, ERR_LOCAL, "%s: is %s", err_show(e, path), kind_of(st.st_mode));
	} else {
		p->size = (uint64_t)st.st_size;
	}
	if (p->size > S3_OBJECT_MAX)
		return fail(e, ERR_LOCAL, "%s: %llu bytes: larger than the 5 TiB that fit one object: split it",
			err_show(e, path), (unsigned long long)p->size);
	return plan_key(p, o, name, &st, e);
}

uint64_t
upload_part_size(uint64_t size, uint64_t asked)
{
	const uint64_t mib = 1024 * 1024;
	uint64_t least = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;

	if (!asked)
		asked = UPLOAD_PART_SIZE;
	if (least <= asked)
		return asked;
	return (least + mib - 1) / mib * mib;
}

struct s3_put
upload_request(const struct upload *u)
{
	const struct upload_options *o = u->o;
	int guarded = o->if_exists != UPLOAD_OVERWRITE;
	const char *named = u->plan.path && strcmp(u->plan.path, "-") ? path_base(u->plan.path) : u->r.key;

	return (struct s3_put){
		.key = u->r.key, .content_type = o->content_type ? o->content_type : mime_type(named),
		.cache_control = o->cache_control, .storage_class = o->storage_class, .meta = o->meta, .nmeta = o->nmeta,
		.tag = u->tag, .if_absent = guarded && !*u->own, .if_match = guarded && *u->own ? u->own : NULL,
		.bare_match = u->bare_match,
	};
}
