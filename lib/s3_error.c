#include <stdio.h>
#include <string.h>
#include "buf.h"
#include "enc.h"
#include "s3_error.h"

#define KEYS_WRONG "check R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY: both from one token, copied whole, " \
	"of the account in R2_ENDPOINT"

/* Code, cause and cure, each ended by NUL: as pointers they would cost a relocation each at every start. An empty cure is that of the
   row above, so that the user meets one explanation for one thing. */
#define ROW(code, cause, cure) code "\0" cause "\0" cure "\0"

static const char cures[] =
	ROW("AccessDenied", "the token has no right to do this",
		"give the token Object Read & Write for this bucket; a token of an \".eu\" or other "
		"jurisdiction needs that endpoint")
	ROW("BadDigest", "what arrived is not what was sent",
		"the file changed, or the network damaged it: upload it again")
	ROW("BucketConflict", "the bucket is being changed", "try again; when it stays, report it with the request id")
	ROW("InvalidArgument", "the server does not take a value of the request", "")
	ROW("InvalidDigest", "the checksum is malformed", "")
	ROW("InvalidRequest", "the server does not take the request", "")
	ROW("MalformedXML", "the server did not understand the request", "")
	ROW("BucketNotEmpty", "the bucket still has objects", "empty it first")
	ROW("ClientDisconnect", "the connection ended before the body did", "check the network; it is tried again")
	ROW("IncompleteBody", "fewer bytes arrived than announced", "")
	ROW("RequestTimeout", "the server waited too long for data", "")
	ROW("EntityTooLarge", "the request is larger than the store, or a proxy before it, takes",
		"lower --multipart-threshold and --part-size (to 5M at least), or raise the proxy's limit")
	ROW("EntityTooSmall", "a part is smaller than 5 MiB", "raise --part-size")
	ROW("ExpiredRequest", "the request was too old when it arrived",
		"set this machine's clock; check the network's delay")
	ROW("ExpiredToken", "the temporary credentials have expired", "get new ones, R2_SESSION_TOKEN included")
	ROW("InternalError", "the server failed", "nothing to do: it is tried again; when it stays, lower -j")
	ROW("OperationAborted", "another request changed the same thing", "")
	ROW("ServiceUnavailable", "the server is busy, or what stands before it cannot reach it", "")
	ROW("SlowDown", "too many requests at once", "")
	ROW("TooManyRequests", "too many requests at once, or to one key (R2: one write a second)", "")
	ROW("TooMuchConcurrency", "too many requests at once", "")
	ROW("InvalidAccessKeyId", "the server does not know this access key", KEYS_WRONG)
	ROW("Unauthorized", "the credentials were not accepted", KEYS_WRONG "; a session token must be theirs, or unset")
	ROW("InvalidBucketName", "no bucket can have this name", "correct R2_BUCKET or --bucket")
	ROW("InvalidObjectName", "the store does not take this key",
		"rename the file: valid UTF-8, at most 1,024 bytes")
	ROW("InvalidPart", "a part is missing or not as long as the others", "upload the file again")
	ROW("InvalidRange", "the object is shorter than the range asked for", "it was replaced meanwhile: start again")
	ROW("InvalidRegionName", "the region is wrong",
		"leave R2_REGION at \"auto\" for R2; set the bucket's own elsewhere")
	ROW("InvalidToken", "the session token is not valid",
		"get new temporary credentials, or unset R2_SESSION_TOKEN")
	ROW("MetadataTooLarge", "the metadata is over 8,192 bytes", "shorten --meta")
	ROW("MethodNotAllowed", "the server does not do this", "check R2_ENDPOINT: it must be the S3 API's address")
	ROW("MissingContentLength", "the request had no length", "a proxy changed the request: check HTTPS_PROXY")
	ROW("NoSuchBucket", "there is no bucket of this name here",
		"check R2_BUCKET, and the account id and jurisdiction in R2_ENDPOINT")
	ROW("NoSuchKey", "there is no such object", "check the key with r2 ls")
	ROW("NoSuchUpload", "the unfinished upload is gone (R2 drops it after 7 days)", "start the upload again")
	ROW("NotEntitled", "the account may not use R2", "enable R2 in the dashboard")
	ROW("NotImplemented", "the server cannot do this", "leave the option out, or check R2_ENDPOINT")
	ROW("ObjectLockedByBucketPolicy", "a lock rule of the bucket protects the object", "change the rule, or wait")
	ROW("PermanentRedirect", "the bucket is served elsewhere", "set R2_ENDPOINT to the address given")
	ROW("PreconditionFailed", "there is an object of this key already",
		"choose --if-exists overwrite, skip or rename")
	ROW("RequestTimeTooSkewed", "this machine's clock is wrong", "set the clock (R2 allows a few minutes)")
	ROW("SignatureDoesNotMatch", "the secret does not belong to the access key",
		KEYS_WRONG "; a proxy that changes requests does this too")
;

/* Where the body said no code (HEAD has no body, proxies answer in HTML), the status stands for one. */
static const struct { short first, last; const char *code; } by_status[] = {
	{301, 302, "PermanentRedirect"}, {307, 308, "PermanentRedirect"}, {401, 401, "Unauthorized"}, {403, 403, "AccessDenied"},
	{404, 404, "NoSuchKey"}, {405, 405, "MethodNotAllowed"}, {411, 411, "MissingContentLength"}, {412, 412, "PreconditionFailed"},
	{413, 413, "EntityTooLarge"},
	{416, 416, "InvalidRange"}, {429, 429, "TooManyRequests"}, {500, 500, "InternalError"}, {501, 501, "NotImplemented"},
	{502, 504, "ServiceUnavailable"}, {520, 530, "ServiceUnavailable"},   /* the latter: Cloudflare's edge */
};

const char *
s3_cure_next(const char *at, struct s3_cure *c)
{
	if (!at)
		at = cures;
	if (!*at)
		return NULL;
	c->code = at;
	c->cause = c->code + strlen(c->code) + 1;
	at = c->cause + strlen(c->cause) + 1;
	if (*at)
		c->cure = at;
	return at + strlen(at) + 1;
}

int
s3_cure_find(const char *code, struct s3_cure *c)
{
	for (const char *at = NULL; (at = s3_cure_next(at, c));)
		if (!strcmp(c->code, code))
			return 1;
	return 0;
}

static void
keep(char *dst, size_t cap, const char *text, size_t len)
{
	struct buf b = buf_over(dst, cap);

	enc_printable(&b, text, len);
}

int
s3_error_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct s3_error *x = arg;

	(void)e;
	if (!strcmp(path, "Code"))
		keep(x->code, sizeof x->code, text, len);
	else if (!strcmp(path, "Message"))
		keep(x->message, sizeof x->message, text, len);
	else if (!strcmp(path, "RequestId"))
		keep(x->request_id, sizeof x->request_id, text, len);
	else if (!strcmp(path, "Endpoint"))
		keep(x->endpoint, sizeof x->endpoint, text, len);
	return 0;
}

static const char *
code_of_status(int status)
{
	for (size_t i = 0; i < sizeof by_status / sizeof *by_status; i++)
		if (status >= by_status[i].first && status <= by_status[i].last)
			return by_status[i].code;
	return "";
}

static int
is_folder(const char *key)
{
	return key && *key && key[strlen(key) - 1] == '/';
}

int
s3_refused(struct err *e, const struct s3_refusal *r, const struct s3_error *x)
{
	char text[sizeof e->msg];
	struct buf b = BUF(text);
	const char *code = *x->code ? x->code : code_of_status(r->status), *to = r->location ? r->location : x->endpoint;
	struct s3_cure cure;
	int after = e->retry_after_s;

	if (r->of_upload && !strcmp(code, "NoSuchKey"))
		code = "NoSuchUpload";
	/* What R2 says of a key id that is none: "InvalidArgument: Credential access key has length 20, should be 32" (grafana/loki#9224). */
	if (strstr(x->message, "access key has length"))
		code = "InvalidAccessKeyId";
	buf_fmt(&b, "%s", *code ? code : "the server refused");
	if (*x->message)
		buf_fmt(&b, ": %s", x->message);
	buf_fmt(&b, " (status %d, bucket %s", r->status, r->bucket);
	if (r->key && *r->key) {
		buf_str(&b, ", key ");
		enc_printable(&b, r->key, strnlen(r->key, 256));
	}
	if (*to) {
		buf_str(&b, ", redirected to ");
		enc_printable(&b, to, strnlen(to, 128));
	}
	if (*x->request_id)
		buf_fmt(&b, ", request %s", x->request_id);
	buf_char(&b, ')');
	if (s3_cure_find(code, &cure))
		buf_fmt(&b, ": %s: %s%s", cure.cause, cure.cure,
			is_folder(r->key) && !strcmp(code, "NoSuchKey") ? "; -r gets what is below it" : "");
	else if (!*code)
		buf_str(&b, ": this is no answer of an S3 store: check R2_ENDPOINT (https or http, host, port), and what stands before the store");
	fail(e, ERR_HTTP, "%s", text);
	e->status = r->status;
	e->named = *x->code != '\0';
	e->retry_after_s = after;
	snprintf(e->code, sizeof e->code, "%s", code);
	return -1;
}
