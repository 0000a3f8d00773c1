#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "applet.h"
#include "enc.h"
#include "get_files.h"
#include "json.h"
#include "log.h"
#include "private.h"
#include "retry.h"
#include "transfer.h"
#include "utc.h"

enum { PRESIGN_MAX_S = 604800 };

static int recursive, stat_only, if_exists;
static long presign_s;
static struct get_run gets;

static const struct opt opts[] = {
	{'r', "recursive", NULL, "everything below PREFIX into a directory; given again, what is missing or differs",
		opt_flag, &recursive, 0, 0},
	{0, "if-exists", "overwrite|skip|fail", "what to do when the file is there [overwrite]", opt_choice, &if_exists, 0, 0},
	{0, "stat", NULL, "print size, type, time, ETag and metadata instead", opt_flag, &stat_only, 0, 0},
	{0, "presign", "SECONDS", "print a URL that anybody can get KEY with for so long instead; asks nobody", opt_number,
		&presign_s, 1, PRESIGN_MAX_S},
	{0},
};

/* Whole, however long. */
static char meta_text[HTTP_BLOCK_MAX + HTTP_FIELDS_MAX];

static void
print_meta(struct json *j)
{
	static char value[4 * HTTP_LINE_MAX];       /* so much a byte that is no UTF-8 becomes */
	char *end;

	for (char *meta = meta_text; (end = strchr(meta, '\n')); meta = end + 1) {
		struct buf v = BUF(value);
		char *colon = meta + strcspn(meta, ":");

		*colon = *end = '\0';
		enc_printable(&v, colon + 2, (size_t)(end - colon) - 2);
		if (j)
			json_string(j, meta, value);
		else
			printf("%s: %s\n", meta, value);
	}
}

static int
print_stat(struct client *c, const char *key, struct err *e)
{
	char stamp[UTC_STAMP_CAP], text[PATH_KEY_MAX * 4 + 1];
	struct s3_object_info o;
	struct buf meta = BUF(meta_text);
	struct json j;

	if (s3_head_meta(&c->s3, key, &o, &meta, e) < 0)
		return -1;
	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "key", key);
		json_number(&j, "size", o.size);
		json_string(&j, "content_type", o.content_type);
		json_time(&j, "modified", o.modified);
		json_string(&j, "etag", o.etag);
		print_meta(&j);
		json_end(&j);
		return 0;
	}
	utc_local_stamp(o.modified, stamp);
	printf("key: %s\nsize: %llu\n", enc_show_in(text, sizeof text, key), (unsigned long long)o.size);
	printf("type: %s\nmodified: %s\n", enc_show_in(text, sizeof text, o.content_type), stamp);
	printf("etag: %s\n", enc_show_in(text, sizeof text, o.etag));
	print_meta(NULL);
	return 0;
}

static int
print_url(const struct client *c, const char *key, struct err *e)
{
	char url[16384];
	struct buf b = BUF(url);
	struct json j;

	if (s3_presign(&c->cfg, key, (unsigned)presign_s, time(NULL), &b, e) < 0)
		return -1;
	if (!client_args.json) {
		puts(url);
		return 0;
	}
	json_begin(&j);
	json_string(&j, "key", key);
	json_string(&j, "url", url);
	json_time(&j, "expires", time(NULL) + presign_s);
	json_end(&j);
	return 0;
}

/* 1 when DEST takes a stream of bytes: "-", a pipe, a terminal, /dev/null, /dev/stdout. *fd is where to, -1 when it is to be opened. */
static int
takes_stream(const char *dest, int *fd)
{
	struct stat st, out;

	*fd = STDOUT_FILENO;
	if (!strcmp(dest, "-"))
		return 1;
	if (stat(dest, &st) < 0 || S_ISDIR(st.st_mode))
		return 0;
	if (fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st.st_dev && out.st_ino == st.st_ino)
		return 1;
	*fd = -1;
	return S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode);
}

/* The user wrote it; but in a directory like /tmp another one may have put a link there, and not even the kernel's protection would know. */
static int
check_link(const char *dest, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	/* Of "link/" lstat would tell what is behind the link. */
	snprintf(path, sizeof path, "%.*s", (int)path_trim(dest, 1), dest);
	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) || private_own_link(&st))
		return 0;
	return fail(e, ERR_LOCAL, "%s: %s", err_show(e, dest), PRIVATE_FOREIGN);
}

static int
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* DEST's directory and the name in it. A symbolic link at its end is followed, since the user wrote it. */
static int
split_dest(const char *dest, char path[PATH_MAX], const char **dir, const char **name, struct err *e)
{
	struct stat st;
	char *slash;

	if (strlen(dest) >= PATH_MAX)
		return fail(e, ERR_LOCAL, "%s: the path is too long", err_show(e, dest));
	strcpy(path, dest);
	if (lstat(dest, &st) == 0 && S_ISLNK(st.st_mode) && !realpath(dest, path))
		return fail_errno(e, "%s: the symbolic link", err_show(e, dest));
	slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	*dir = !slash ? "." : slash == path ? "/" : path;
	if (slash)
		*slash = '\0';
	return 0;
}

static int
get_object(const char *key, const char *dest, struct err *e)
{
	static char path[PATH_MAX];
	const char *rel = path_base(key);

	gets.dir = dest ? dest : ".";
	if (dest && dest[strlen(dest) - 1] != '/' && !is_dir(dest) && split_dest(dest, path, &gets.dir, &rel, e) < 0)
		return -1;
	return get_one(&gets, key, rel, e);
}

/* Nothing but the object's bytes, so no "Complete". */
static int
get_bytes(const char *key, const char *dest, int fd, struct err *e)
{
	int rc;

	if (fd < 0 && (fd = open(dest, O_WRONLY | O_NOCTTY | O_CLOEXEC)) < 0)
		return fail_errno(e, "%s cannot be written", err_show(e, dest));
	if (isatty(fd))
		progress_stop(&transfer_progress);
	rc = get_stream(&gets, key, strcmp(dest, "-") ? dest : "standard output", fd);
	if (fd > STDERR_FILENO && close(fd) < 0 && rc == 0)
		rc = fail_errno(e, "%s", err_show(e, dest));
	return rc;
}

static int
get_tree(const char *key, const char *dest, struct err *e)
{
	char prefix[PATH_KEY_MAX + 2];
	struct buf b = BUF(prefix);
	int rc;

	buf_put(&b, key, recursive ? strlen(key) : strcspn(key, "*?[\\"));
	/* What is below "a" begins with "a/". */
	if (recursive && b.len && prefix[b.len - 1] != '/')
		buf_char(&b, '/');
	if (!buf_ok(&b))
		return fail(e, ERR_USAGE, "%s: longer than any key", err_show(e, key));
	gets.options.only_different = recursive;
	gets.dir = dest ? dest : ".";
	rc = get_list(&gets, prefix, recursive ? NULL : key, e);
	if (rc == 0 && !gets.files && !s3_stopping(&gets.client->store))
		rc = recursive ? fail(e, ERR_LOCAL, "nothing is below %s: -r is for what has keys under it",
			err_show(e, *prefix ? prefix : "the bucket's root")) : fail(e, ERR_LOCAL, "no key matches %s", err_show(e, key));
	return rc;
}

/* A key may have such characters itself: then it is meant. 1, 0; -1 when nobody said whether there is one: other objects are not what it
   means. */
static int
is_pattern(struct client *c, const char *key, struct err *e)
{
	struct s3_object_info o;

	if (!strpbrk(key, "*?[") || s3_head(&c->s3, key, &o, e) == 0)
		return 0;
	return e->status / 100 == 4 && !retry_worthwhile(e) ? 1 : -1;
}

static int
get(struct client *c, const char *key, const char *dest, struct err *e)
{
	int fd, tree = recursive ? 1 : is_pattern(c, key, e), rc;

	if (tree < 0 || (dest && check_link(dest, e) < 0))
		return -1;
	if (dest && takes_stream(dest, &fd))
		return tree ? fail(e, ERR_USAGE, "%s takes one object: give a directory", dest) : get_bytes(key, dest, fd, e);
	rc = tree ? get_tree(key, dest, e) : get_object(key, dest, e);
	if (gets.files)
		log_r2(LOG_INFO, "Complete: %lu/%lu", gets.done, gets.files);
	return rc < 0 ? -1 : gets.done != gets.files;
}

static int
transfer(struct client *c, const char *key, const char *dest, struct err *e)
{
	int rc;

	if (transfer_open(&gets.pool, c, e) < 0)
		return -1;
	gets.client = c;
	gets.dir_fd = -1;
	rc = get(c, key, dest, e);
	transfer_close(&gets.pool, c);
	return rc;
}

/* A pattern without quotes, where two such files are: the first would be fetched over the second. */
static int
is_expanded(const char *key, const char *dest)
{
	size_t n = strcspn(key, "/");

	return n && key[n] && !strncmp(key, dest, n + 1) && strcmp(key, dest) && !access(key, F_OK) && !access(dest, F_OK) && !is_dir(dest);
}

static int
check_options(int argc, char **argv, struct err *e)
{
	int instead = stat_only || presign_s;

	if (!argc)
		return fail(e, ERR_USAGE, "KEY is missing");
	if (argc > 2)
		return fail(e, ERR_USAGE, "one KEY and one DEST: %s (a pattern must be quoted, or the shell expands it)", argv[2]);
	if ((stat_only && presign_s) || (instead && (recursive || argc > 1)))
		return fail(e, ERR_USAGE, "--stat and --presign take one KEY, and nothing else");
	if (!*argv[0] && !recursive)
		return fail(e, ERR_USAGE, "KEY is empty");
	if (argc > 1 && !*argv[1])
		return fail(e, ERR_USAGE, "DEST is empty");
	/* As aws s3 cp would copy: a directory "s3:" made here would pass for a success. */
	if (argc > 1 && path_is_url(argv[1]))
		return fail(e, ERR_USAGE, "%s: DEST is a path on this machine", argv[1]);
	if (argc > 1 && is_expanded(argv[0], argv[1]))
		return fail(e, ERR_USAGE, "%s and %s are both here: quote the pattern, or write ./%s", argv[0], argv[1], argv[1]);
	gets.options.part_size = transfer_part_size;
	gets.options.if_exists = (enum download_if_exists)if_exists;
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	static struct client c;
	const char *key;
	int rc = -1;

	if (check_options(argc, argv, e) == 0 && client_open(&c, e) == 0 && (key = client_key(&c, argv[0], e))) {
		if (!*key && !recursive)
			rc = fail(e, ERR_USAGE, "%s: the key is missing", argv[0]);
		else
			rc = stat_only ? print_stat(&c, key, e) : presign_s ? print_url(&c, key, e)
				: transfer(&c, key, argc > 1 ? argv[1] : NULL, e);
	}
	client_close(&c);
	return rc;
}

const struct applet get_applet = {
	"get", "KEY [DEST]", "fetch objects: KEY to a file, a directory or - (standard output)",
	"KEY may be a pattern of *, ? and [] (quoted; * matches slashes too); DEST is\n"
	"then a directory. What arrives is checked against the object's ETag before it\n"
	"gets its name. A large download that was cut off goes on where it was when the\n"
	"same command is given again.\n",
	{opts, transfer_opts}, APPLET_LOGS, run,
};
