#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "retry.h"
#include "s3_call.h"
#include "xml.h"

static int
delete_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	const char *marker = http_field(rp, "x-amz-delete-marker");

	(void)s, (void)e;
	if (marker && !strcmp(marker, "true"))
		*(int *)c->arg = 1;
	return 0;
}

int
s3_delete(struct s3 *s, const char *key, int *marker, struct err *e)
{
	struct s3_call c = {.method = "DELETE", .key = key, .is_write = 1, .whole = 1, .reply = delete_reply, .arg = marker};

	if (s3_call(s, &c, e) == 0 || !strcmp(e->code, "NoSuchKey"))
		return 0;
	return -1;
}

int
s3_delete_unknown(const struct err *e)
{
	return e->kind == ERR_HTTP && (e->status == 501 || e->status == 405 || !strcmp(e->code, "MalformedXML"));
}

/* XML 1.0 has no way to write most control characters, U+FFFE and what is no UTF-8; and spaces at the ends or line ends may not survive a
   server's reader: another object would be meant. */
static int
fits_xml(const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
			return 0;
	return n && key[0] != ' ' && key[n - 1] != ' ' && !strstr(key, "\xef\xbf\xbe") && !strstr(key, "\xef\xbf\xbf") &&
		enc_utf8_valid(key, n);
}

/* One request as it stands. */
struct many {
	struct s3_delete *d;
	struct buf body;
	struct s3_text text;       /* body, with its MD5 */
	struct s3_error *why;      /* of each key, code "" unless it is still there; NULL while there are none */
	int at;                    /* the key behind the one that was found last: answers keep the order, mostly */
	int failed;                /* of this attempt */
	const char *again;         /* code of one that is worth another attempt */
	struct s3_error error;     /* of the <Error> being read, or of the whole */
	char key[PATH_KEY_MAX + 1];
};

static int
find_key(struct many *m)
{
	for (int i = 0; i < m->d->n; i++) {
		int k = (m->at + i) % m->d->n;

		if (!strcmp(m->d->keys[k], m->key)) {
			m->at = k + 1;
			return k;
		}
	}
	return -1;
}

/* The end of an <Error> about a key. */
static int
end_error(struct many *m, struct err *e)
{
	struct err look = {.kind = ERR_HTTP};
	int at = find_key(m);

	if (at < 0)
		return fail(e, ERR_PROTO, "delete: the server speaks of a key that was not in the request");
	if (!m->why && !(m->why = calloc((size_t)m->d->n, sizeof *m->why)))
		return fail_memory(e);
	if (!strcmp(m->error.code, "NoSuchKey"))
		return 0;
	/* A key that an <Error> is about is still there, whatever that leaves out. */
	if (!*m->error.code)
		strcpy(m->error.code, "Unknown");
	m->why[at] = m->error;
	m->failed++;
	memcpy(look.code, m->error.code, sizeof look.code);
	if (retry_worthwhile(&look))
		m->again = m->why[at].code;
	return 0;
}

static int
many_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct many *m = arg;

	if (!strcmp(path, "Error")) {
		int rc = end_error(m, e);

		m->error = (struct s3_error){0};
		m->key[0] = '\0';
		return rc;
	}
	if (!strcmp(path, "Error/Key") && len < sizeof m->key)
		memcpy(m->key, text, len + 1);
	if (!strcmp(path, "Deleted/DeleteMarker") && s3_xml_true(text))
		m->d->marker = 1;
	return strncmp(path, "Error/", 6) ? 0 : s3_error_element(&m->error, path + 6, text, len, e);
}

/* Fill body: all keys, or, when an answer has said which are still there, only these: at one that is gone another object may be by now. The
   number of keys. */
static int
fill_body(struct many *m)
{
	const struct s3_delete *d = m->d;
	struct buf *b = &m->body;
	int n = 0;

	buf_reset(b);
	s3_xml_begin(b, "Delete");
	for (int i = 0; i < d->n; i++) {
		if (!fits_xml(d->keys[i]) || (m->why && !*m->why[i].code))
			continue;
		buf_str(b, "<Object><Key>");
		enc_xml(b, d->keys[i]);
		buf_str(b, "</Key></Object>");
		n++;
	}
	if (!d->ask_markers)
		buf_str(b, "<Quiet>true</Quiet>");
	buf_str(b, "</Delete>");
	return n;
}

static int
many_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct many *m = c->arg;
	struct xml x = {.element = many_element, .arg = m};
	struct s3_refusal r = {.status = rp->status, .bucket = s3_call_bucket(s, c)};

	memset(&m->error, 0, sizeof m->error);
	if (m->why)
		memset(m->why, 0, (size_t)m->d->n * sizeof *m->why);
	m->failed = m->at = 0;
	m->again = NULL;
	/* An answer that speaks of no key says that all are gone. Half of one says nothing, also of those that it has spoken of. */
	if (s3_read_xml(s, c, &x, e) < 0 || s3_xml_root(&x, "Delete", e) < 0) {
		m->again = NULL;
		return -1;
	}
	if (!m->again)
		return 0;
	memcpy(m->error.code, m->again, sizeof m->error.code);
	fill_body(m);
	c->nfields = 0;
	s3_call_checked_text(s, c, &m->text, m->body.p, m->body.len);
	return s3_refused(e, &r, &m->error);
}

/* What the server has said of each key. */
static void
tell(struct s3_store *st, const struct many *m)
{
	for (int i = 0; i < m->d->n && m->failed; i++)
		if (*m->why[i].code) {
			struct s3_refusal r = {.status = 200, .bucket = st->cfg->bucket};
			struct err why = {0};

			s3_refused(&why, &r, &m->why[i]);
			s3_keep_secrets(st, &why);
			m->d->remains(m->d->arg, i, &why);
		}
}

/* The one request. */
static int
send_many(struct s3 *s, struct many *m, struct err *e)
{
	static const struct pair query[] = {{"delete", ""}};
	struct s3_call c = {
		.method = "POST", .key = "", .query = query, .nquery = 1, .is_write = 1, .whole = 1, .reply = many_reply, .arg = m,
	};

	s3_call_checked_text(s, &c, &m->text, m->body.p, m->body.len);
	/* Still to be asked for again when there were no more attempts: then the last answer holds. */
	if (s3_call(s, &c, e) < 0 && !m->again)
		return -1;
	tell(s->store, m);
	return 0;
}

static void
delete_rest(struct s3 *s, struct s3_delete *d)
{
	struct err why;

	for (int i = 0; i < d->n; i++)
		if (!fits_xml(d->keys[i]) && s3_delete(s, d->keys[i], &d->marker, &why) < 0)
			d->remains(d->arg, i, &why);
}

int
s3_delete_many(struct s3 *s, struct s3_delete *d, struct err *e)
{
	struct many m = {.d = d, .body.cap = 256};
	int rc = 0;

	for (int i = 0; i < d->n; i++)
		m.body.cap += 32 + strlen(d->keys[i]) * 6;   /* &quot; */
	if (!(m.body.p = malloc(m.body.cap)))
		return fail_memory(e);
	if (fill_body(&m) > 0)
		rc = send_many(s, &m, e);
	if (rc == 0)
		delete_rest(s, d);
	free(m.why);
	free(m.body.p);
	return rc;
}
