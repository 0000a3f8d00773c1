#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nfc.h"
#include "path.h"
#include "s3_page.h"

enum { EMPTY_MAX = 1000 };   /* pages one after the other without a row, but with a promise of more */

/* What tells an endless listing from a long one. */
struct trail {
	char last[PATH_KEY_MAX + 1];   /* the greatest ASCII key so far */
	char told[PATH_KEY_MAX + 1];   /* the prefix that was told last: once is enough */
	uint64_t mark;                 /* of a page some way back: Brent's way to find any cycle */
	unsigned pages, empty;
};

static int
page_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct xml x = {.element = s3_page_element, .arg = c->arg};
	const struct s3_page *pg = c->arg;

	(void)rp;
	if (s3_page_clear(c->arg, e) < 0 || s3_read_xml(s, c, &x, e) < 0)
		return -1;
	/* A web page is no empty bucket. */
	return s3_xml_root(&x, pg->uploads ? "ListMultipartUploadsResult" : "ListBucketResult", e);
}

/* Empty parameters are left out: R2 answers 501 to what it does not expect. */
static void
add(struct s3_call *c, struct pair *query, const char *name, const char *value)
{
	if (value && *value)
		query[c->nquery++] = (struct pair){name, value};
}

static int
get_page(struct s3 *s, const struct s3_list *l, const struct s3_cursor *at, struct s3_page *pg, struct err *e)
{
	char max[16] = "";
	struct pair query[7] = {{"list-type", "2"}};
	struct s3_call c = {.method = "GET", .key = "", .query = query, .nquery = 1, .reply = page_reply, .arg = pg};

	if (pg->uploads)
		query[0] = (struct pair){"uploads", ""};
	if (l->max_keys)
		snprintf(max, sizeof max, "%d", l->max_keys);
	/* Not for uploads: radosgw then encodes the keys without saying so, and not the marker. */
	add(&c, query, "encoding-type", pg->uploads ? NULL : "url");
	add(&c, query, "prefix", l->prefix);
	add(&c, query, "delimiter", l->delimiter);
	add(&c, query, pg->uploads ? "max-uploads" : "max-keys", max);
	add(&c, query, pg->uploads ? "key-marker" : "continuation-token", at->token);
	add(&c, query, "upload-id-marker", at->id);
	return s3_call(s, &c, e) < 0 ? -1 : s3_page_decode(pg, l->prefix, e);
}

static uint64_t
fnv1a(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	while (*s++);
	return h;
}

/* Of what stands first in the page. */
static uint64_t
mark_of(const struct s3_page *pg)
{
	const struct s3_page_row *r = pg->rows;
	uint64_t h = fnv1a(14695981039346656037u, pg->nrows ? pg->text + r->key : pg->next.token);

	return fnv1a(h, pg->nrows ? pg->text + r->upload_id : pg->next.id);
}

/* Keys come in the order of their bytes, page after page. Only ASCII ones are held to that: R2 knows a key by its NFC form and
   shows the form it came in. A prefix may come again where a page ends among its keys. Uploads need no order: radosgw sorts them
   by key and id in one. */
static int
goes_back(struct trail *t, const struct s3_page *pg)
{
	const char *first = NULL, *last = t->last;
	int again = 0, order;

	for (size_t i = 0; i < pg->nrows; i++) {
		const struct s3_page_row *r = &pg->rows[i];
		const char *key = pg->text + r->key;

		if (!nfc_is_ascii(key))
			continue;
		if (!first || strcmp(key, first) < 0) {
			first = key;
			again = r->is_prefix;
		}
		if (strcmp(key, last) > 0)
			last = key;
	}
	order = first ? strcmp(first, t->last) : 1;
	if (last != t->last)
		strcpy(t->last, last);
	return order < 0 || (order == 0 && !again);
}

/* 0 when the listing comes nearer its end by this page. */
static int
gets_on(struct trail *t, const struct s3_page *pg, const struct s3_cursor *at, struct err *e)
{
	uint64_t mark = mark_of(pg);

	if (pg->truncated && !*pg->next.token)
		return fail(e, ERR_PROTO, "list: the server says there is more, but not how to ask for it");
	if (pg->truncated && !strcmp(pg->next.token, at->token) && !strcmp(pg->next.id, at->id))
		return fail(e, ERR_PROTO, "list: the server sends the same page again and again");
	if (!pg->uploads && goes_back(t, pg))
		return fail(e, ERR_PROTO, "list: the server sent a page that goes back behind the one before it");
	t->empty = pg->nrows ? 0 : t->empty + 1;
	if (t->empty > EMPTY_MAX || (t->pages && mark == t->mark))
		return fail(e, ERR_PROTO, "list: the server sends the same pages again and again");
	if ((t->pages & (t->pages + 1)) == 0)
		t->mark = mark;
	t->pages++;
	return 0;
}

static int
report_rows(struct trail *t, const struct s3_page *pg, const struct s3_list *l, int prefixes, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < pg->nrows && rc == 0; i++) {
		const struct s3_page_row *r = &pg->rows[i];
		struct s3_entry x = {
			pg->text + r->key, r->is_prefix, r->size, r->modified,
			pg->text + r->etag, pg->text + r->storage_class, pg->text + r->upload_id,
		};

		if (r->is_prefix != prefixes || (prefixes && !strcmp(x.key, t->told)))
			continue;
		if (prefixes)
			strcpy(t->told, x.key);
		rc = l->entry(l->arg, &x, e);
	}
	return rc;
}

static int
list(struct s3 *s, const struct s3_list *l, int uploads, struct err *e)
{
	struct s3_page pg = {.uploads = uploads};
	struct trail trail = {0};
	struct s3_cursor at = {0};
	int rc;

	do {
		if ((rc = get_page(s, l, &at, &pg, e)) < 0 || (rc = gets_on(&trail, &pg, &at, e)) < 0)
			break;
		at = pg.next;
		if ((rc = report_rows(&trail, &pg, l, 1, e)) == 0)
			rc = report_rows(&trail, &pg, l, 0, e);
		if (rc == 0 && l->page)
			l->page(l->arg);
	} while (rc == 0 && pg.truncated);
	free(pg.rows);
	free(pg.text);
	return rc < 0 ? -1 : 0;
}

int
s3_list(struct s3 *s, const struct s3_list *l, struct err *e)
{
	return list(s, l, 0, e);
}

int
s3_list_uploads(struct s3 *s, const struct s3_list *l, struct err *e)
{
	return list(s, l, 1, e);
}
