#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "s3_call.h"
#include "xml.h"

enum {
	RULES_MAX = 1000,              /* R2's and S3's limit */
	TEXT_MAX = 2 * 1024 * 1024,    /* of a whole configuration */
	ID_CAP = 1200,                 /* S3 allows 255 bytes */
};

static const struct pair query[] = {{"lifecycle", ""}};

/* Goes with all rules together; what a PUT leaves out becomes Amazon's newer default. R2 knows no such field, and sends none. */
static const char small[] = "x-amz-transition-default-minimum-object-size";

/* A configuration as it came; p is NULL when there is none. */
struct rules {
	char *p;
	size_t len, cap;
	char small[32];                 /* value of that field, "" without */
	int n;                          /* rules the XML reader has seen */
	struct s3_rule now;             /* the rule being read */
	char id[ID_CAP], prefix[PATH_KEY_MAX + 1];
	void (*rule)(void *arg, const struct s3_rule *r);
	void *arg;
};

static int
take_text(char *out, size_t cap, const char *text, size_t len, struct err *e)
{
	if (len >= cap)
		return fail(e, ERR_PROTO, "lifecycle: an id or prefix of %zu bytes", len);
	memcpy(out, text, len + 1);
	return 0;
}

static int
element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct rules *x = arg;
	const char *last = strrchr(path, '/');

	if (!strcmp(path, "Rule")) {
		x->n++;
		if (x->rule)
			x->rule(x->arg, &x->now);
		x->now = (struct s3_rule){.id = x->id, .prefix = x->prefix};
		x->id[0] = x->prefix[0] = '\0';
		return 0;
	}
	if (strncmp(path, "Rule/", 5))
		return 0;
	if (!strcmp(path, "Rule/ID"))
		return take_text(x->id, sizeof x->id, text, len, e);
	if (!strcmp(last, "/Prefix"))
		return take_text(x->prefix, sizeof x->prefix, text, len, e);
	/* Not an element that holds others, or nothing. */
	if (!strncmp(path, "Rule/Filter/", 12) && (unsigned char)*text > ' ')
		x->now.filtered = 1;
	if (!strcmp(path, "Rule/Status"))
		x->now.enabled = !strcmp(text, "Enabled");
	if (!strcmp(path, "Rule/Expiration/Days"))
		x->now.days = strtol(text, NULL, 10);
	if (!strcmp(path, "Rule/Transition/Days"))
		x->now.ia_days = strtol(text, NULL, 10);
	if (!strcmp(last, "/DaysAfterInitiation"))
		x->now.abort_days = strtol(text, NULL, 10);
	return 0;
}

/* Tell rule of each. Not within a reply: what is told must not be told twice. */
static int
parse(struct rules *x, void (*rule)(void *arg, const struct s3_rule *r), void *arg, struct err *e)
{
	struct xml xml = {.element = element, .arg = x};

	x->n = 0;
	x->rule = rule;
	x->arg = arg;
	x->now = (struct s3_rule){.id = x->id, .prefix = x->prefix};
	x->id[0] = x->prefix[0] = '\0';
	if (!x->p)
		return 0;
	if (xml_feed(&xml, x->p, x->len, e) < 0 || xml_end(&xml, e) < 0)
		return -1;
	/* An answer that knows of no rules is not a bucket without: those there are would be replaced. */
	return s3_xml_root(&xml, "LifecycleConfiguration", e);
}

static int
get_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	const char *value = http_field(rp, small);
	struct rules *x = c->arg;
	ssize_t n;

	snprintf(x->small, sizeof x->small, "%s", value ? value : "");
	x->len = 0;
	do {
		if (x->len > TEXT_MAX - 8192 || buf_grow((void **)&x->p, &x->cap, x->len + 8192, 1) < 0)
			return fail(e, ERR_PROTO, "lifecycle: a configuration larger than %d MiB", TEXT_MAX >> 20);
		if ((n = http_read(&s->http, x->p + x->len, x->cap - x->len - 1, e)) < 0)
			return -1;
		x->len += (size_t)n;
	} while (n);
	x->p[x->len] = '\0';
	return 0;
}

static int
get_rules(struct s3 *s, struct rules *x, struct err *e)
{
	struct s3_call c = {.method = "GET", .key = "", .query = query, .nquery = 1, .reply = get_reply, .arg = x};

	*x = (struct rules){0};
	if (s3_call(s, &c, e) == 0)
		return 0;
	free(x->p);
	x->p = NULL;
	return strcmp(e->code, "NoSuchLifecycleConfiguration") ? -1 : 0;
}

int
s3_lifecycle(struct s3 *s, void (*rule)(void *arg, const struct s3_rule *r), void *arg, struct err *e)
{
	struct rules x;
	int rc = get_rules(s, &x, e);

	if (rc == 0)
		rc = parse(&x, rule, arg, e);
	free(x.p);
	return rc;
}

/* The next "<Rule…</Rule>" at *at or behind it, as it stands: its length, 0 when there is none. */
static size_t
next_rule(const char **at)
{
	const char *end;

	for (const char *p = *at; p && (p = strstr(p, "<Rule")); p += 5)
		if (p[5] == '>' || p[5] == ' ') {
			*at = p;
			end = strstr(p, "</Rule>");
			return end ? (size_t)(end - p) + 7 : 0;
		}
	return 0;
}

/* Which of the rules have the id. */
struct wanted {
	const struct s3_rule *r;
	int n, found, same;              /* rules; those of that id; and they are as r */
	unsigned char ours[RULES_MAX];
};

static void
look(void *arg, const struct s3_rule *x)
{
	struct wanted *w = arg;
	const struct s3_rule *r = w->r;
	int ours = !strcmp(x->id, r->id);

	if (w->n < RULES_MAX)
		w->ours[w->n] = (unsigned char)ours;
	w->n++;
	w->found += ours;
	w->same += ours && x->enabled && !x->filtered && !strcmp(x->prefix, r->prefix) && x->days == r->days && x->ia_days == r->ia_days;
}

/* Find the rule; the text of each must be found as well as its meaning, or what is sent back would lack something. */
static int
find(struct rules *x, struct wanted *w, struct err *e)
{
	const char *at = x->p;
	int n = 0;

	w->n = w->found = w->same = 0;
	if (parse(x, look, w, e) < 0)
		return -1;
	for (size_t len; (len = next_rule(&at)); at += len)
		n++;
	if (n != w->n || n >= RULES_MAX)
		return fail(e, ERR_PROTO, "lifecycle: rules that cannot be kept as they are (%d, %d): nothing was changed", w->n, n);
	return 0;
}

static void
put_rule(struct buf *b, const struct s3_rule *r)
{
	buf_str(b, "<Rule><ID>");
	enc_xml(b, r->id);
	buf_str(b, "</ID><Filter><Prefix>");
	enc_xml(b, r->prefix);
	buf_str(b, "</Prefix></Filter><Status>Enabled</Status>");
	if (r->ia_days)
		buf_fmt(b, "<Transition><Days>%ld</Days><StorageClass>STANDARD_IA</StorageClass></Transition>", r->ia_days);
	buf_fmt(b, "<Expiration><Days>%ld</Days></Expiration></Rule>", r->days);
}

static int
put_rules(struct s3 *s, const struct rules *x, const struct wanted *w, struct err *e)
{
	struct buf b = {NULL, 0, x->len + 16384, 0};
	struct s3_text text;
	struct s3_call c = {.method = "PUT", .key = "", .query = query, .nquery = 1, .is_write = 1, .whole = 1};
	const char *at = x->p;
	int rc;

	if (!(b.p = malloc(b.cap)))
		return fail_memory(e);
	buf_reset(&b);
	s3_xml_begin(&b, "LifecycleConfiguration");
	for (int i = 0; i < w->n; i++) {
		size_t len = next_rule(&at);

		if (!w->ours[i])
			buf_put(&b, at, len);
		at += len;
	}
	if (w->r->days)
		put_rule(&b, w->r);
	else if (w->n == w->found)
		c.method = "DELETE";
	buf_str(&b, "</LifecycleConfiguration>");
	if (*c.method == 'P') {
		s3_call_checked_text(s, &c, &text, b.p, b.len);
		s3_call_field(&c, small, *x->small ? x->small : NULL);
	}
	rc = s3_call(s, &c, e);
	free(b.p);
	return rc;
}

/* Does the rule stand in text, byte for byte? */
static int
is_in(const char *text, const char *rule, size_t len)
{
	for (size_t n; (n = next_rule(&text)); text += n)
		if (n == len && !memcmp(text, rule, len))
			return 1;
	return 0;
}

/* Is every rule that is not ours in now, too? */
static int
others_in(const struct rules *x, const struct wanted *w, const struct rules *now)
{
	const char *at = x->p;

	for (int i = 0; i < w->n; i++) {
		size_t len = next_rule(&at);

		if (!w->ours[i] && !is_in(now->p, at, len))
			return 0;
		at += len;
	}
	return 1;
}

int
s3_lifecycle_change(struct s3 *s, const struct s3_rule *r, struct err *e)
{
	struct rules x, now = {0};
	struct wanted w = {.r = r}, after = {.r = r};
	int rc = -1;

	if (get_rules(s, &x, e) < 0 || find(&x, &w, e) < 0)
		goto out;
	if (r->days ? w.same && w.found == 1 : !w.found) {
		rc = 0;
		goto out;
	}
	if (put_rules(s, &x, &w, e) < 0 || get_rules(s, &now, e) < 0 || find(&now, &after, e) < 0)
		goto out;
	rc = 1;
	if (after.n - after.found != w.n - w.found || !others_in(&x, &w, &now))
		rc = fail(e, ERR_CORRUPT, "the bucket's other lifecycle rules do not read as they did before: look at them");
	else if (r->days ? !after.same : after.found)
		rc = fail(e, ERR_CORRUPT, "the server did not keep the change of rule %s", r->id);
out:
	free(x.p);
	free(now.p);
	return rc;
}
