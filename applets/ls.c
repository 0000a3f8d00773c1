#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "applet.h"
#include "client.h"
#include "enc.h"
#include "json.h"
#include "path.h"
#include "utc.h"

static int recursive, human, names_only, summary;

static const struct opt opts[] = {
	{'r', "recursive", NULL, "everything below PREFIX, with whole keys", opt_flag, &recursive, 0, 0},
	{'h', "human-readable", NULL, "sizes people read (2.5 MiB)", opt_flag, &human, 0, 0},
	{'1', "names", NULL, "names only", opt_flag, &names_only, 0, 0},
	{0, "summary", NULL, "number and size of all objects at the end", opt_flag, &summary, 0, 0},
	{0},
};

struct listing {
	size_t prefix_len;    /* of PREFIX up to its last slash: names of one level begin after it */
	int terminal;
	uint64_t rows, objects, bytes;
};

/* "2.5 MiB", "1 Byte", "17 Bytes": as aws s3 ls --human-readable writes them. */
static void
human_size(uint64_t n, char out[24])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	double x = (double)n / 1024;
	int i = 0;

	if (n < 1024) {
		snprintf(out, 24, n == 1 ? "%llu Byte" : "%llu Bytes", (unsigned long long)n);
		return;
	}
	/* The next unit as soon as this one would be rounded to 1024.0. */
	for (; i < 4 && x >= 1023.5; i++)
		x /= 1024;
	snprintf(out, 24, "%.1f %s", x, units[i]);
}

static void
size_text(uint64_t n, char out[24])
{
	if (human)
		human_size(n, out);
	else
		snprintf(out, 24, "%llu", (unsigned long long)n);
}

static void
print_name(const struct listing *l, const char *name)
{
	char safe[PATH_KEY_MAX * 6 + 1];
	struct buf b = BUF(safe);

	if (l->terminal) {
		enc_printable(&b, name, strlen(name));
		name = safe;
	}
	puts(name);
}

static void
print_json(const struct s3_entry *x)
{
	struct json j;

	json_begin(&j);
	if (x->is_prefix) {
		json_string(&j, "prefix", x->key);
	} else {
		json_string(&j, "key", x->key);
		json_number(&j, "size", x->size);
		json_time(&j, "modified", x->modified);
		json_string(&j, "etag", x->etag);
		json_string(&j, "storage_class", *x->storage_class ? x->storage_class : "STANDARD");
	}
	json_end(&j);
}

static void
print_row(const struct listing *l, const struct s3_entry *x)
{
	const char *name = recursive ? x->key : x->key + l->prefix_len;
	char stamp[UTC_STAMP_CAP], size[24];

	if (client_args.json) {
		print_json(x);
		return;
	}
	if (x->is_prefix) {
		if (!names_only)
			printf("%30s ", "PRE");
	} else if (!names_only) {
		utc_local_stamp(x->modified, stamp);
		size_text(x->size, size);
		printf("%s %10s ", stamp, size);
	}
	print_name(l, name);
}

static int
entry(void *arg, const struct s3_entry *x, struct err *e)
{
	struct listing *l = arg;

	(void)e;
	print_row(l, x);
	l->rows++;
	l->objects += !x->is_prefix;
	l->bytes += x->size;
	/* Nobody reads any more (r2 ls | head): stop asking. */
	return ferror(stdout) ? 1 : 0;
}

static void
print_summary(const struct listing *l)
{
	struct json j;
	char size[24];

	if (client_args.json) {
		json_begin(&j);
		json_number(&j, "total_objects", l->objects);
		json_number(&j, "total_size", l->bytes);
		json_end(&j);
		return;
	}
	size_text(l->bytes, size);
	printf("\nTotal Objects: %llu\n   Total Size: %s\n", (unsigned long long)l->objects, size);
}

static int
list(struct client *c, const char *arg, struct err *e)
{
	const char *prefix = client_key(c, arg, e), *slash;
	struct listing l = {.terminal = isatty(STDOUT_FILENO)};
	struct s3_list q = {.prefix = prefix, .delimiter = recursive ? NULL : "/", .entry = entry, .arg = &l};

	if (!prefix)
		return -1;
	slash = strrchr(prefix, '/');
	l.prefix_len = slash ? (size_t)(slash - prefix) + 1 : 0;
	if (s3_list(&c->s3, &q, e) < 0)
		return -1;
	if (summary)
		print_summary(&l);
	return *prefix && !l.rows ? 1 : 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	static struct client c;
	int rc;

	if (argc > 1)
		return fail(e, ERR_USAGE, "one PREFIX at a time: %s", argv[1]);
	rc = client_open(&c, e);
	if (rc == 0)
		rc = list(&c, argc ? argv[0] : "", e);
	client_close(&c);
	return rc;
}

const struct applet ls_applet = {
	"ls", "[PREFIX]", "list objects and the prefixes of the next level", NULL, {opts}, 0, run,
};
