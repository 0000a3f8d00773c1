#pragma once
/* One page of a listing, of objects or of uploads, as it stands in the reply. For s3_list.c only. */
#include "s3_call.h"

enum { S3_TOKEN_CAP = 4096 };   /* a continuation token, or a key whose every byte is percent-encoded */

struct s3_page_row {
	size_t key, etag, storage_class, upload_id;   /* offsets into the page's text; 0: "" */
	uint64_t size;
	int64_t modified;
	int is_prefix;
};

/* Where the next page begins. */
struct s3_cursor {
	char token[S3_TOKEN_CAP];          /* a continuation token; of uploads, the key marker */
	char id[S3_UPLOAD_ID_CAP];         /* of uploads, the marker of the upload at that key */
};

/* Zero-initialise, but for uploads. Its memory is used again for the next page; free rows and text at the end. */
struct s3_page {
	int uploads;                       /* ListMultipartUploads, else ListObjectsV2 */
	struct s3_page_row *rows;
	size_t nrows, rows_cap;
	char *text;
	size_t text_len, text_cap;
	struct s3_page_row row;            /* being read */
	int encoded, truncated;
	struct s3_cursor next;
};

/* Begin to read a page. */
int s3_page_clear(struct s3_page *pg, struct err *e);
/* For struct xml, with .arg = the page. */
int s3_page_element(void *arg, const char *path, const char *text, size_t len, struct err *e);
/* Once the page is whole: keys as the bucket has them, but each begins with prefix as spelled there, and no longer than PATH_KEY_MAX; uploads with their ids.
   A key outside the prefix, or one cut short, would send a later step to the wrong object. */
int s3_page_decode(struct s3_page *pg, const char *prefix, struct err *e);
