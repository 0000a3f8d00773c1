#pragma once
/* File names, object keys and patterns; pure. */
#include <stddef.h>
#include "buf.h"
#include "err.h"

enum { PATH_KEY_MAX = 1024 };  /* bytes in a key, R2 and S3 */

/* The length of path without the slashes at its end, but not less than least. */
size_t path_trim(const char *path, size_t least);

/* What follows the last '/' (trailing slashes do not count); points into path, so that
   those slashes stay: "a/b/" gives "b/". "/" gives "". */
const char *path_base(const char *path);

/* 0 when key can be stored by every S3 server and read back as a file: 1–1,024 bytes, valid UTF-8, no
   "." or ".." segment. -1 (ERR_USAGE) with the reason and the key in printable form. */
int path_key_check(const char *key, struct err *e);
/* The same of a key that was put together: also when not all of it found room. */
int path_key_made(const struct buf *key, struct err *e);
/* 1 when a segment of key is "." or "..". */
int path_has_dots(const char *key);

/* prefix/date/name with single slashes between; prefix and date may be "" (then no slash for them).
   Slashes at the end of prefix count once; leading ones, of name too, are dropped. */
void path_key_join(struct buf *b, const char *prefix, const char *date, const char *name);

/* 1 when it is no path of this machine: what begins with s3:// or r2://. */
int path_is_url(const char *text);

/* "s3://BUCKET/KEY" or "r2://BUCKET/KEY" (scheme in any case): 1, bucket copied (NUL-terminated, at most cap), *key points into
   arg behind the slash (maybe ""); 0 when arg has no such scheme; -1 (ERR_USAGE) when the bucket is
   missing or too long. */
int path_s3_url(const char *arg, char *bucket, size_t cap, const char **key, struct err *e);

/* 0 when R2 would take it as a bucket name: 3–63 of a–z 0–9 and '-', a letter or digit at both ends
   (dots are allowed too, for other S3 servers, but not two together). -1 (ERR_USAGE) with the rule it breaks. */
int path_bucket_check(const char *bucket, struct err *e);

/* 1 when name matches the shell pattern: * ? [a-z] [!x] and \ before any of them; slashes and dots are nothing special, ? is one UTF-8
   character; any_case folds ASCII letters. (musl's fnmatch(3) takes bytes here and brings 20 KB of tables.) */
int path_match(const char *pattern, const char *name, int any_case);
/* 1 when one of these n patterns matches path, or its base name. One that begins with "/" or "./" is for the whole path alone; a slash at the
   end, which says that a directory is meant, does not count. */
int path_match_any(const char *const *patterns, int n, const char *path, int any_case);
