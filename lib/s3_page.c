#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include "enc.h"
#include "nfc.h"
#include "path.h"
#include "s3_page.h"
#include "utc.h"
#include "xml.h"

enum {
	ROWS_MAX = 10000,                /* R2 and S3 send 1,000 a page; some servers can be set to more */
	TEXT_CAP_MAX = 4 * 1024 * 1024,  /* keys, ETags and classes: 1,000 of the longest keys, encoded */
};

static int
keep_text(struct s3_page *pg, const char *s, size_t n, size_t *at, struct err *e)
{
	if (pg->text_len + n + 1 > TEXT_CAP_MAX)
		return fail(e, ERR_PROTO, "list: a page larger than %d MiB", TEXT_CAP_MAX >> 20);
	if (buf_grow((void **)&pg->text, &pg->text_cap, pg->text_len + n + 1, 1) < 0)
		return fail_memory(e);
	*at = pg->text_len;
	memcpy(pg->text + pg->text_len, s, n);
	pg->text[pg->text_len + n] = '\0';
	pg->text_len += n + 1;
	return 0;
}

static int
end_row(struct s3_page *pg, int is_prefix, struct err *e)
{
	if (pg->nrows == ROWS_MAX)
		return fail(e, ERR_PROTO, "list: more than %d keys in one page", ROWS_MAX);
	if (buf_grow((void **)&pg->rows, &pg->rows_cap, pg->nrows + 1, sizeof *pg->rows) < 0)
		return fail_memory(e);
	pg->row.is_prefix = is_prefix;
	pg->rows[pg->nrows++] = pg->row;
	pg->row = (struct s3_page_row){0};
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

/* A field of <Contents> or <Upload>. */
static int
field(struct s3_page *pg, const char *name, const char *text, size_t len, struct err *e)
{
	char etag[S3_ETAG_CAP];

	if (!strcmp(name, "Key"))
		return keep_text(pg, text, len, &pg->row.key, e);
	if (!strcmp(name, "StorageClass"))
		return keep_text(pg, text, len, &pg->row.storage_class, e);
	if (!strcmp(name, "UploadId") && len < S3_UPLOAD_ID_CAP)
		return keep_text(pg, text, len, &pg->row.upload_id, e);
	if (!strcmp(name, "Size"))
		return parse_size(text, &pg->row.size, e);
	if ((!strcmp(name, "LastModified") || !strcmp(name, "Initiated")) && utc_parse_iso(text, len, &pg->row.modified) < 0)
		return fail(e, ERR_PROTO, "list: \"%.40s\" is no time", text);
	if (!strcmp(name, "ETag")) {
		s3_etag(etag, text);
		return keep_text(pg, etag, strlen(etag), &pg->row.etag, e);
	}
	return 0;
}

static int
keep_cursor(char *out, size_t cap, const char *text, size_t len, struct err *e)
{
	if (len >= cap)
		return fail(e, ERR_PROTO, "list: the server's mark of the next page is too long");
	memcpy(out, text, len + 1);
	return 0;
}

int
s3_page_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct s3_page *pg = arg;
	const char *row = pg->uploads ? "Upload" : "Contents";
	size_t n = strlen(row);

	if (!strncmp(path, row, n) && path[n] == '/')
		return field(pg, path + n + 1, text, len, e);
	if (!strcmp(path, row))
		return end_row(pg, 0, e);
	if (!strcmp(path, "CommonPrefixes/Prefix"))
		return keep_text(pg, text, len, &pg->row.key, e);
	if (!strcmp(path, "CommonPrefixes"))
		return end_row(pg, 1, e);
	if (!strcmp(path, pg->uploads ? "NextKeyMarker" : "NextContinuationToken"))
		return keep_cursor(pg->next.token, sizeof pg->next.token, text, len, e);
	if (!strcmp(path, "NextUploadIdMarker"))
		return keep_cursor(pg->next.id, sizeof pg->next.id, text, len, e);
	if (!strcmp(path, "EncodingType"))
		pg->encoded = !strcmp(text, "url");
	else if (!strcmp(path, "IsTruncated"))
		pg->truncated = s3_xml_true(text);
	return 0;
}

/* The text begins with "", so that offset 0 stands for what a row does not have. */
int
s3_page_clear(struct s3_page *pg, struct err *e)
{
	size_t at;

	pg->nrows = pg->text_len = 0;
	pg->row = (struct s3_page_row){0};
	pg->encoded = pg->truncated = 0;
	pg->next.token[0] = pg->next.id[0] = '\0';
	return keep_text(pg, "", 0, &at, e);
}

/* 0, or -1 for what no key can be: it is as long as a key may be, and no byte of it ends it early. */
static int
decode_key(const struct s3_page *pg, char *key)
{
	long len = (long)strlen(key);

	if (pg->encoded && (len = enc_unpercent(key, (size_t)len, 1)) >= 0)
		key[len] = '\0';
	return len < 0 || len > PATH_KEY_MAX || (size_t)len != strlen(key) ? -1 : 0;
}

static int
unreadable(struct err *e)
{
	return fail(e, ERR_PROTO, "list: the server sent a key that cannot be read");
}

/* R2 takes names that are one in NFC for one, and lists each as it was written last: a key that begins with prefix in another spelling gets
   the one that was asked for, by which R2 finds the same object. */
static int
respell(struct s3_page *pg, size_t *key, const char *prefix, struct err *e)
{
	const char *was = pg->text + *key;
	size_t n = strlen(prefix), len = strlen(was), same = 1;
	uint64_t h = nfc_hash(prefix, n);
	char own[PATH_KEY_MAX + 1];

	while (same < len && nfc_hash(was, same) != h)
		same++;
	if (nfc_hash(was, same) != h)
		return fail(e, ERR_PROTO, "list: the server sent a key that is not below \"%.200s\"", prefix);
	if ((len += n - same) >= sizeof own)
		return unreadable(e);
	snprintf(own, sizeof own, "%s%s", prefix, was + same);
	return keep_text(pg, own, len, key, e);
}

int
s3_page_decode(struct s3_page *pg, const char *prefix, struct err *e)
{
	size_t n = strlen(prefix);

	for (size_t i = 0; i < pg->nrows; i++) {
		struct s3_page_row *r = &pg->rows[i];
		char *key = pg->text + r->key;

		if (!*key || decode_key(pg, key) < 0)
			return unreadable(e);
		if (strncmp(key, prefix, n) && respell(pg, &r->key, prefix, e) < 0)
			return -1;
		/* Without its id an upload cannot be aborted: DELETE would mean the object. */
		if (pg->uploads && !r->is_prefix && !pg->text[r->upload_id])
			return fail(e, ERR_PROTO, "list: the server sent an upload without an id");
	}
	return pg->uploads && decode_key(pg, pg->next.token) < 0 ? unreadable(e) : 0;
}
