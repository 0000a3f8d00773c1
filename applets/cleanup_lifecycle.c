#include <stdio.h>
#include <string.h>
#include "cleanup.h"
#include "enc.h"
#include "json.h"
#include "log.h"
#include "path.h"

enum { ID_MAX = 255 };   /* S3's limit */

/* The rule that is ours, and how many there are. */
struct shown {
	const char *ours;
	int n;
};

static void
days(struct buf *b, const char *what, long n)
{
	if (n)
		buf_fmt(b, "%s%s after %ld days", b->len ? ", " : "", what, n);
}

static void
json_if(struct json *j, const char *name, long n)
{
	if (n > 0)
		json_number(j, name, (uint64_t)n);
}

static void
show(void *arg, const struct s3_rule *r)
{
	char id[ENC_SHOW_CAP], prefix[ENC_SHOW_CAP], text[160];
	struct buf b = BUF(text);
	struct shown *s = arg;
	struct json j;

	s->n++;
	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "rule", r->id);
		json_string(&j, "prefix", r->prefix);
		json_string(&j, "status", r->enabled ? "enabled" : "disabled");
		json_if(&j, "delete_days", r->days);
		json_if(&j, "ia_days", r->ia_days);
		json_if(&j, "abort_days", r->abort_days);
		json_if(&j, "filtered", r->filtered);
		json_end(&j);
		return;
	}
	days(&b, "moves objects to another class", r->ia_days);
	days(&b, "deletes them", r->days);
	days(&b, "aborts unfinished uploads", r->abort_days);
	printf("%c %s: below \"%s\"%s: %s%s\n", strcmp(r->id, s->ours) ? ' ' : '*', enc_show_in(id, sizeof id, r->id),
		enc_show_in(prefix, sizeof prefix, r->prefix), r->filtered ? ", by tags or size" : "",
		b.len ? text : "something else", r->enabled ? "" : " (disabled)");
}

static int
change(struct client *c, const struct s3_rule *r, struct err *e)
{
	int rc = s3_lifecycle_change(&c->s3, r, e);

	if (rc < 0)
		return -1;
	if (!r->days)
		log_r2(LOG_INFO, rc ? "Rule removed: %s" : "There is no rule %s: nothing to remove", r->id);
	else
		log_r2(LOG_INFO, "%s: %s: from now on the server itself deletes whatever lies below \"%s\", in date folders or not, %ld days after "
			"each object's upload, and within a day or so of that", rc ? "Rule set" : "The rule is set already", r->id, r->prefix, r->days);
	return 0;
}

int
cleanup_lifecycle(struct client *c, enum lifecycle what, const char *prefix, long n, long ia_days, struct err *e)
{
	char id[PATH_KEY_MAX + 16], below[PATH_KEY_MAX + 2], why[sizeof e->msg];
	struct s3_rule r = {.id = id, .prefix = below, .enabled = 1, .days = n, .ia_days = ia_days};
	struct shown s = {id, 0};
	int rc;

	snprintf(below, sizeof below, "%s%s", prefix, *prefix ? "/" : "");
	if (snprintf(id, sizeof id, "r2-cleanup-%s", prefix) > ID_MAX)
		return fail(e, ERR_USAGE, "--prefix is too long for the name of a rule");
	rc = what == LIFECYCLE_SHOW ? s3_lifecycle(&c->s3, show, &s, e) : change(c, &r, e);
	if (what == LIFECYCLE_SHOW && rc == 0 && !s.n)
		log_r2(LOG_INFO, "The bucket has no lifecycle rules");
	if (rc < 0 && e->status == 403) {
		memcpy(why, e->msg, sizeof why);
		snprintf(e->msg, sizeof e->msg, "%.800s: rules need an admin token (R2: Admin Read & Write; S3: s3:PutLifecycleConfiguration)", why);
	}
	return rc;
}
