#include <stdio.h>
#include <string.h>
#include "enc.h"
#include "json.h"
#include "ls.h"
#include "path.h"
#include "size_text.h"
#include "utc.h"

struct ls ls;

const char *
ls_size(uint64_t n, char out[24])
{
	if (ls.human)
		return size_text(n, out);
	snprintf(out, 24, "%llu", (unsigned long long)n);
	return out;
}

size_t
ls_entry_len(const struct s3_entry *x)
{
	return sizeof *x + strlen(x->key) + strlen(x->etag) + strlen(x->storage_class) + 3;
}

static const char *
copy_text(char **to, const char *text)
{
	char *copy = *to;

	*to = stpcpy(copy, text) + 1;
	return copy;
}

struct s3_entry *
ls_entry_copy(void *to, const struct s3_entry *x)
{
	struct s3_entry *copy = to;
	char *end = (char *)(copy + 1);

	*copy = *x;
	copy->key = copy_text(&end, x->key);
	copy->etag = copy_text(&end, x->etag);
	copy->storage_class = copy_text(&end, x->storage_class);
	copy->upload_id = "";
	return copy;
}

static void
print_name(const char *name, int end)
{
	char safe[PATH_KEY_MAX * 6 + 1];

	fputs(ls.terminal ? enc_show_in(safe, sizeof safe, name) : name, stdout);
	putc(end, stdout);
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
print_columns(int64_t t, uint64_t n)
{
	char stamp[UTC_STAMP_CAP], size[24];

	utc_local_stamp(t, stamp);
	printf("%s %10s ", stamp, ls_size(n, size));
}

int
ls_row(const struct s3_entry *x, struct err *e)
{
	(void)e;
	if (client_args.json) {
		print_json(x);
		return 0;
	}
	if (!ls.names_only && x->is_prefix)
		printf("%30s ", "PRE");
	else if (!ls.names_only)
		print_columns(x->modified, x->size);
	print_name(ls.recursive ? x->key : x->key + ls.base, '\n');
	return 0;
}

struct parts {
	uint64_t n, bytes;
};

static int
add_part(void *arg, const struct s3_part *p, struct err *e)
{
	struct parts *sum = arg;

	(void)e;
	sum->n++;
	sum->bytes += p->size;
	return 0;
}

int
ls_upload(const struct s3_entry *x, struct err *e)
{
	struct parts sum = {0};
	struct json j;

	/* Completed or aborted since it was listed. */
	if (s3_list_parts(&ls.client.s3, x->key, x->upload_id, add_part, &sum, e) < 0)
		return e->status == 404 ? 0 : -1;
	ls.all.objects++;
	ls.all.bytes[0] += sum.bytes;
	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "key", x->key);
		json_string(&j, "upload_id", x->upload_id);
		json_time(&j, "started", x->modified);
		json_number(&j, "parts", sum.n);
		json_number(&j, "bytes", sum.bytes);
		json_end(&j);
		return 0;
	}
	if (!ls.names_only)
		print_columns(x->modified, sum.bytes);
	print_name(x->key, ls.names_only ? '\n' : ' ');
	if (!ls.names_only)
		print_name(x->upload_id, '\n');
	return 0;
}
