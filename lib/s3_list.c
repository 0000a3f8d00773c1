#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include "s3_call.h"
#include "utc.h"
#include "xml.h"

enum {
	ROWS_MAX = 10000,                /* R2 and S3 send 1,000 a page; some servers can be set to more */
	TEXT_CAP_MAX = 32 * 1024 * 1024, /* keys, ETags and classes of ROWS_MAX rows */
	TOKEN_CAP = 2048,
};

struct row {
	size_t key, etag, storage_class;   /* offsets into the page's text */
	uint64_t size;
	int64_t modified;
	int is_prefix;
};

/* One page of a listing as it stands in the reply; its memory is used again for the next page. */
struct page {
	struct row *rows;
	size_t nrows, rows_cap;
	char *text;
	size_t text_len, text_cap;
	struct row row;                    /* being read */
	int encoded, truncated;
	char token[TOKEN_CAP];
};

/* Room for n more of size bytes at *p, doubling: 0 or -1. */
static int
grow(void **p, size_t *cap, size_t need, size_t size)
{
	size_t cap2 = *cap ? *cap : 256;
	void *q;

	while (cap2 < need)
		cap2 *= 2;
	if (cap2 == *cap)
		return 0;
	if (!(q = realloc(*p, cap2 * size)))
		return -1;
	*p = q;
	*cap = cap2;
	return 0;
}

static int
keep_text(struct page *pg, const char *s, size_t n, size_t *at, struct err *e)
{
	if (pg->text_len + n + 1 > TEXT_CAP_MAX)
		return fail(e, ERR_PROTO, "list: a page larger than %d MiB", TEXT_CAP_MAX >> 20);
	if (grow((void **)&pg->text, &pg->text_cap, pg->text_len + n + 1, 1) < 0)
		return fail(e, ERR_LOCAL, "list: out of memory");
	*at = pg->text_len;
	memcpy(pg->text + pg->text_len, s, n);
	pg->text[pg->text_len + n] = '\0';
	pg->text_len += n + 1;
	return 0;
}

static int
end_row(struct page *pg, int is_prefix, struct err *e)
{
	if (pg->nrows == ROWS_MAX)
		return fail(e, ERR_PROTO, "list: more than %d keys in one page", ROWS_MAX);
	if (grow((void **)&pg->rows, &pg->rows_cap, pg->nrows + 1, sizeof *pg->rows) < 0)
		return fail(e, ERR_LOCAL, "list: out of memory");
	pg->row.is_prefix = is_prefix;
	pg->rows[pg->nrows++] = pg->row;
	pg->row = (struct row){0};
	return 0;
}

static int
parse_size(const char *text, uint64_t *size, struct err *e)
{
	size_t n = strlen(text);

	if (n == 0 || n > 19 || strspn(text, "0123456789") != n)
		return fail(e, ERR_PROTO, "list: \"%.24s\" is no size", text);
	*size = strtoull(text, NULL, 10);
	return 0;
}

static int
contents(struct page *pg, const char *name, const char *text, size_t len, struct err *e)
{
	char etag[S3_ETAG_CAP];

	if (!strcmp(name, "Key"))
		return keep_text(pg, text, len, &pg->row.key, e);
	if (!strcmp(name, "StorageClass"))
		return keep_text(pg, text, len, &pg->row.storage_class, e);
	if (!strcmp(name, "Size"))
		return parse_size(text, &pg->row.size, e);
	if (!strcmp(name, "LastModified") && utc_parse_iso(text, len, &pg->row.modified) < 0)
		return fail(e, ERR_PROTO, "list: \"%.40s\" is no time", text);
	if (!strcmp(name, "ETag")) {
		s3_etag(etag, text);
		return keep_text(pg, etag, strlen(etag), &pg->row.etag, e);
	}
	return 0;
}

static int
element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct page *pg = arg;

	if (!strncmp(path, "Contents/", 9))
		return contents(pg, path + 9, text, len, e);
	if (!strcmp(path, "Contents"))
		return end_row(pg, 0, e);
	if (!strcmp(path, "CommonPrefixes/Prefix"))
		return keep_text(pg, text, len, &pg->row.key, e);
	if (!strcmp(path, "CommonPrefixes"))
		return end_row(pg, 1, e);
	if (!strcmp(path, "EncodingType"))
		pg->encoded = !strcmp(text, "url");
	else if (!strcmp(path, "IsTruncated"))
		pg->truncated = !strcmp(text, "true");
	else if (!strcmp(path, "NextContinuationToken")) {
		if (len >= sizeof pg->token)
			return fail(e, ERR_PROTO, "list: continuation token too long");
		memcpy(pg->token, text, len + 1);
	}
	return 0;
}

/* The text begins with "", so that offset 0 stands for what a row does not have. */
static int
clear_page(struct page *pg, struct err *e)
{
	size_t at;

	pg->nrows = pg->text_len = 0;
	pg->row = (struct row){0};
	pg->encoded = pg->truncated = 0;
	pg->token[0] = '\0';
	return keep_text(pg, "", 0, &at, e);
}

/* Keys as the bucket has them. A key outside the prefix, or a control byte as terminator inside one, would send
   a later step to the wrong object. */
static int
decode_rows(struct page *pg, const char *prefix, struct err *e)
{
	size_t n = strlen(prefix);

	for (size_t i = 0; i < pg->nrows; i++) {
		char *key = pg->text + pg->rows[i].key;
		long len = (long)strlen(key);

		if (pg->encoded && (len = enc_unpercent(key, (size_t)len, 1)) >= 0)
			key[len] = '\0';
		if (len < 0 || (size_t)len != strlen(key) || pg->rows[i].key == 0)
			return fail(e, ERR_PROTO, "list: the server sent a key that cannot be read");
		if (strncmp(key, prefix, n))
			return fail(e, ERR_PROTO, "list: the server sent a key that is not below \"%.200s\"", prefix);
	}
	return 0;
}

static int
page_reply(struct s3 *s, struct s3_call *c, const struct http_reply *rp, struct err *e)
{
	struct page *pg = c->arg;
	struct xml x = {.element = element, .arg = pg};

	(void)rp;
	if (clear_page(pg, e) < 0)
		return -1;
	return s3_read_xml(s, &x, e);
}

static int
report_rows(const struct page *pg, const struct s3_list *l, int prefixes, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < pg->nrows && rc == 0; i++) {
		const struct row *r = &pg->rows[i];
		struct s3_entry x = {
			pg->text + r->key, r->is_prefix, r->size, r->modified,
			pg->text + r->etag, pg->text + r->storage_class,
		};

		if (r->is_prefix == prefixes)
			rc = l->entry(l->arg, &x, e);
	}
	return rc;
}

static int
get_page(struct s3 *s, const struct s3_list *l, const char *token, struct page *pg, struct err *e)
{
	char max_keys[16];
	struct pair query[6] = {{"list-type", "2"}, {"encoding-type", "url"}};
	struct s3_call c = {.method = "GET", .key = "", .query = query, .nquery = 2, .reply = page_reply, .arg = pg};

	/* Empty parameters are left out: R2 answers 501 to what it does not expect. */
	if (*l->prefix)
		query[c.nquery++] = (struct pair){"prefix", l->prefix};
	if (l->delimiter)
		query[c.nquery++] = (struct pair){"delimiter", l->delimiter};
	if (l->max_keys) {
		snprintf(max_keys, sizeof max_keys, "%d", l->max_keys);
		query[c.nquery++] = (struct pair){"max-keys", max_keys};
	}
	if (*token)
		query[c.nquery++] = (struct pair){"continuation-token", token};
	if (s3_call(s, &c, e) < 0 || decode_rows(pg, l->prefix, e) < 0)
		return -1;
	if (pg->truncated && !*pg->token)
		return fail(e, ERR_PROTO, "list: the server says there is more, but not how to ask for it");
	if (pg->truncated && !strcmp(pg->token, token))
		return fail(e, ERR_PROTO, "list: the server sends the same page again and again");
	return 0;
}

int
s3_list(struct s3 *s, const struct s3_list *l, struct err *e)
{
	struct page pg = {0};
	char token[TOKEN_CAP] = "";
	int rc;

	do {
		if ((rc = get_page(s, l, token, &pg, e)) < 0)
			break;
		memcpy(token, pg.token, sizeof token);
		if ((rc = report_rows(&pg, l, 1, e)) == 0)
			rc = report_rows(&pg, l, 0, e);
	} while (rc == 0 && pg.truncated);
	free(pg.rows);
	free(pg.text);
	return rc < 0 ? -1 : 0;
}
