/* What the server answers to each operation but listings: errors, multipart, deletions, lifecycle, objects. Nothing it says makes a success of what
   was none. */
#include <strings.h>
#include "path.h"
#include "store.h"
#include "xml.h"

enum { KEYS = 6, GET_MAX = 1 << 17 };

static uint64_t events;

/* ---- DeleteObjects */

static const char *const keys[KEYS] = {"a", "b/\xc3\xbc", "c&<d>\"'", "k\x01", " lead", "z"};

static void
remains(void *arg, int index, const struct err *why)
{
	int *left = arg;

	must(index >= 0 && index < KEYS);
	must_be_message(why);
	left[index]++;
	events = mix(events, &index, sizeof index);
}

/* The keys that an answer, read as any XML, names as errors. */
struct named {
	char key[PATH_KEY_MAX + 1], code[XML_TEXT_MAX + 1];
	int error[KEYS];
};

static int
name_errors(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct named *n = arg;

	(void)e;
	if (!strcmp(path, "Error/Key") && len <= PATH_KEY_MAX)
		memcpy(n->key, text, len + 1);
	if (!strcmp(path, "Error/Code"))
		memcpy(n->code, text, len + 1);
	if (strcmp(path, "Error"))
		return 0;
	for (int i = 0; i < KEYS; i++)
		if (!strcmp(keys[i], n->key) && strcmp(n->code, "NoSuchKey"))
			n->error[i] = 1;
	*n->key = *n->code = '\0';
	return 0;
}

/* When the first answer is a whole document without a general error and settles it, each key that it calls an error remains. */
static int
delete_many(unsigned how, struct err *e)
{
	static struct named n;
	int left[KEYS] = {0};
	struct s3_delete d = {keys, KEYS, how & 1, remains, left, 0};
	struct xml x = {.element = name_errors, .arg = &n};
	struct err ignored;
	size_t len, first;
	const char *body;
	int rc = s3_delete_many(&client, &d, e);

	memset(&n, 0, sizeof n);
	first = wire.requests;
	body = store_body(0, &len);
	for (int i = 0; i < KEYS; i++)
		must(left[i] <= 1);
	/* Two keys go alone: with three requests or fewer, and both of them answered, there was one for the others. */
	if (rc == 0 && first <= 3 && !left[3] && !left[4] && body && xml_feed(&x, body, len, &ignored) == 0 && xml_end(&x, &ignored) == 0)
		for (int i = 0; i < KEYS; i++)
			must(!n.error[i] || left[i] || i == 3 || i == 4);
	return rc;
}

/* ---- multipart */

static int
create(struct err *e)
{
	struct s3_put put = {.key = "key"};
	char *id = malloc(S3_UPLOAD_ID_CAP);
	int rc;

	if (!id)
		abort();
	rc = s3_create(&client, &put, id, e);
	must(rc < 0 || (*id && strlen(id) < S3_UPLOAD_ID_CAP));
	if (rc == 0)
		events = mix(events, id, strlen(id));
	free(id);
	return rc;
}

/* A success names no error anywhere at the top. */
static int
has_code(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	(void)e, (void)text;
	if (!strcmp(path, "Code") && len)
		*(int *)arg = 1;
	return 0;
}

static int
complete(struct err *e)
{
	static const struct s3_part parts[] = {{1, 5, "d41d8cd98f00b204e9800998ecf8427e"}, {2, 5, "\"<>&'"}};
	struct s3_complete c = {.key = "key", .upload_id = "id", .parts = parts, .nparts = 2};
	char etag[S3_ETAG_CAP];
	int rc = s3_complete(&client, &c, etag, e), code = 0;
	struct xml x = {.element = has_code, .arg = &code};
	struct err ignored;
	size_t n;
	const char *body = wire.requests == 1 ? store_body(0, &n) : NULL;

	if (rc == 0) {
		events = mix(events, etag, strlen(etag));
		must(!body || (xml_feed(&x, body, n, &ignored) == 0 && xml_end(&x, &ignored) == 0 && !code));
	}
	return rc;
}

/* ---- objects */

static void
must_be_object(const struct s3_object_info *o)
{
	must(strlen(o->etag) < sizeof o->etag && strlen(o->content_type) < sizeof o->content_type && strlen(o->tag) < sizeof o->tag);
	events = mix(mix(mix(events, o->etag, strlen(o->etag)), o->content_type, strlen(o->content_type)), o->tag, strlen(o->tag));
	events = mix(mix(events, &o->size, sizeof o->size), &o->modified, sizeof o->modified);
}

static int
head(unsigned how, struct err *e)
{
	struct s3_object_info o = {0};
	int parts = 0, rc = how & 1 ? s3_head(&client, "key", &o, e) : s3_head_part(&client, "key", 1, &o, &parts, e);

	must(parts >= 0 && parts <= S3_PARTS_MAX);
	if (rc == 0)
		must_be_object(&o);
	return rc;
}

static uint64_t got;

static int
data(void *arg, const void *p, size_t n, struct err *e)
{
	(void)arg, (void)e;
	must(n);
	got += n;
	for (size_t i = 0; i < n; i++)
		events = (events ^ ((const unsigned char *)p)[i]) * 1099511628211u;
	return 0;
}

/* All that was asked for, or no success. */
static int
get(unsigned how, struct err *e)
{
	struct s3_get g = {.key = "key", .from = how & 1 ? 3 : 0, .len = how & 2 ? 4 : 0, .data = data,
		.if_match = how & 4 ? "d41d8cd98f00b204e9800998ecf8427e" : NULL};
	struct s3_object_info o = {0};
	int rc;

	got = 0;
	rc = s3_get(&client, &g, &o, e);
	must(!g.len || got <= g.len);
	if (rc == 0) {
		must_be_object(&o);
		must(g.len ? got == (o.size < g.from + g.len ? o.size - g.from : g.len) : got == o.size - g.from);
		must(!g.if_match || !strcmp(o.etag, g.if_match));
	}
	return rc;
}

static ssize_t
read_body(void *arg, uint64_t off, void *p, size_t n, struct err *e)
{
	(void)arg, (void)off, (void)e;
	memset(p, 'x', n);
	return (ssize_t)n;
}

/* The n bytes at text, some of them hexadecimal digits of either case, are in the reply. */
static int
says(const struct wire_reply *r, const char *text, size_t n)
{
	for (size_t i = 0; i + n <= r->n; i++)
		if (!strncasecmp((const char *)r->p + i, text, n))
			return 1;
	return 0;
}

/* As to a TLS store (how & 4) the body goes without SHA-256: then only what the answer says proves it, its CRC32C or MD5. */
static int
put(unsigned how, struct err *e)
{
	static const char *const crc32c[] = {"17qABQ==", "/CZwdA=="}, *const md5[] = {"f561aaf6ef0bf14d4208bb46a4ccb3ad", "33766cd480de06a6b2e053eb8f67583e"};
	struct s3_put p = {.key = "key", .body = {how & 1 ? 40000 : 3, read_body, NULL}, .if_absent = how >> 1 & 1};
	struct s3_put_result r = {0};
	int rc, said = 0;

	store_config.tls = how >> 2 & 1;
	rc = s3_put(&client, &p, &r, e);
	must(rc < 0 || r.proof != S3_PROOF_NONE);
	for (size_t i = 0; i < wire.replies; i++)
		said |= (memmem(wire.reply[i].p, wire.reply[i].n, crc32c[how & 1], 8) ? 1 : 0) | says(&wire.reply[i], md5[how & 1], 32) << 1;
	must(rc < 0 || r.proof != S3_PROOF_CRC32C || said & 1);
	must(rc < 0 || !(how & 4) || r.proof != S3_PROOF_MD5 || said & 2 || strstr(wire.request, "content-md5: "));
	events = mix(events, r.etag, strlen(r.etag));
	return rc;
}

/* ---- lifecycle */

static void
rule(void *arg, const struct s3_rule *r)
{
	(void)arg;
	events = mix(mix(events, r->id, strlen(r->id)), r->prefix, strlen(r->prefix));
	events = mix(mix(events, &r->days, sizeof r->days), &r->enabled, sizeof r->enabled);
}

/* 1 is said only of a change that was sent, and read back. */
static int
lifecycle(unsigned how, struct err *e)
{
	struct s3_rule r = {.id = "r2-cleanup", .prefix = "outputs/", .days = how & 2 ? 30 : 0, .ia_days = how & 4 ? 7 : 0};
	int rc;

	if (how & 1)
		return s3_lifecycle(&client, rule, NULL, e);
	rc = s3_lifecycle_change(&client, &r, e);
	must(rc != 1 || wire.requests >= 3);
	return rc;
}

static int
operate(unsigned op, unsigned how, struct err *e)
{
	int marker = 0;

	switch (op) {
	case 0: return delete_many(how, e);
	case 1: return create(e);
	case 2: return complete(e);
	case 3: return head(how, e);
	case 4: return get(how, e);
	case 5: return put(how, e);
	case 6: return s3_delete(&client, "key", &marker, e);
	case 7: return s3_abort(&client, NULL, "key", "id", e);
	default: return lifecycle(how, e);
	}
}

static uint64_t
run(unsigned op, unsigned how, const size_t *split, size_t splits)
{
	struct err e = {0};
	int rc;

	events = 1;
	store_begin(split, splits);
	rc = operate(op, how, &e);
	store_end(rc, &e);
	return mix(events, rc < 0 ? e.msg : "", rc < 0 ? strlen(e.msg) : 0) + (uint64_t)rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct in in = {bytes, size};
	unsigned op = take_byte(&in) % 10, how = take_byte(&in);
	size_t split[2] = {take_byte(&in), take_byte(&in)};
	uint64_t pieces;

	if (size > 1 << 17)
		return 0;
	store_script(&in);
	pieces = run(op, how, split, 2);
	must(run(op, how, split, 0) == pieces || !store_counted);
	wire_free();
	return 0;
}
