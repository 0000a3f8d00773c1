/* Listings of objects, uploads and parts, page after page, from a server that says anything: what is reported is below the prefix, can be a key,
   never goes back, and does not depend on how the bytes arrive. */
#include "path.h"
#include "store.h"

struct seen {
	uint64_t log;
	int rc, uploads, last_part, last_prefix;
	size_t rows, page;                      /* page: the request that brought the last row */
	char greatest[PATH_KEY_MAX + 1];        /* ASCII keys of earlier pages */
	char now[PATH_KEY_MAX + 1];             /* … and of this one */
	const char *prefix;
};

static int
is_ascii(const char *s)
{
	while (*s > 0)
		s++;
	return !*s;
}

/* Page by page. A prefix may come again where a page ends among its keys. */
static void
must_go_on(struct seen *s, const struct s3_entry *x)
{
	if (s->page != wire.requests) {
		strcpy(s->greatest, s->now);
		s->page = wire.requests;
	}
	if (!is_ascii(x->key))
		return;
	must(!*s->greatest || strcmp(x->key, s->greatest) > 0 || (x->is_prefix && !strcmp(x->key, s->greatest)));
	if (strcmp(x->key, s->now) > 0)
		strcpy(s->now, x->key);
}

static int
entry(void *arg, const struct s3_entry *x, struct err *e)
{
	struct seen *s = arg;
	size_t n = strlen(x->key);

	(void)e;
	must(n && n <= PATH_KEY_MAX && !strncmp(x->key, s->prefix, strlen(s->prefix)));
	must(strlen(x->etag) < S3_ETAG_CAP && strlen(x->upload_id) < S3_UPLOAD_ID_CAP);
	must(x->size <= INT64_MAX || x->size < 10000000000000000000u);
	if (s->uploads)
		must(x->is_prefix || *x->upload_id);
	else
		must_go_on(s, x);
	s->log = mix(mix(mix(s->log, x->key, n), x->etag, strlen(x->etag)), x->upload_id, strlen(x->upload_id));
	s->log = mix(mix(s->log, &x->size, sizeof x->size), &x->modified, sizeof x->modified);
	s->rows++;
	return s->rows == 30000;
}

static int
part(void *arg, const struct s3_part *p, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	must(p->number > s->last_part && strlen(p->etag) < sizeof p->etag);
	s->last_part = p->number;
	s->log = mix(mix(mix(s->log, &p->number, sizeof p->number), &p->size, sizeof p->size), p->etag, strlen(p->etag));
	s->rows++;
	return 0;
}

static void
run(struct seen *s, unsigned how, const char *prefix, const size_t *split, size_t splits)
{
	struct s3_list l = {.prefix = prefix, .delimiter = how & 4 ? "/" : NULL, .max_keys = how & 8 ? 2 : 0, .entry = entry, .arg = s};
	struct err e = {0};

	memset(s, 0, sizeof *s);
	s->prefix = prefix;
	s->uploads = how & 1;
	store_begin(split, splits);
	if (how & 2)
		s->rc = s3_list_parts(&client, "key", "id", part, s, &e);
	else
		s->rc = (s->uploads ? s3_list_uploads : s3_list)(&client, &l, &e);
	store_end(s->rc, &e);
	s->log = s->rc < 0 ? mix(s->log, e.msg, strlen(e.msg)) : s->log;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const prefixes[] = {"", "outputs/", "a", "\xc3\xbc"};
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	size_t split[2] = {take_byte(&in), take_byte(&in)};
	static struct seen pieces, whole;

	if (size > 1 << 20)
		return 0;
	store_script(&in);
	run(&pieces, how, prefixes[how >> 4 & 3], split, 2);
	run(&whole, how, prefixes[how >> 4 & 3], split, 0);
	must(!store_counted || !memcmp(&pieces, &whole, sizeof whole));
	wire_free();
	return 0;
}
