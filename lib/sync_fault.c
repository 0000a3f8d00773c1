#include "retry.h"
#include "sync.h"

/* What the code says where the status does not. Sources: R2's error codes; docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. */
static const char of_account[] = "AccessDenied\0AuthorizationHeaderMalformed\0ExpiredToken\0InvalidAccessKeyId\0InvalidBucketName\0"
	"InvalidRegionName\0InvalidToken\0NoSuchBucket\0TokenRefreshRequired\0";
static const char of_file[] = "InvalidObjectState\0ObjectLockedByBucketPolicy\0";

static enum sync_fault
refusal(const struct err *e)
{
	if (retry_worthwhile(e))
		return SYNC_NETWORK;
	if (err_code_in(e, of_account))
		return SYNC_ACCOUNT;
	if (err_code_in(e, of_file))
		return SYNC_FILE;
	switch (e->status) {
	case 301: case 302: case 307: case 308: case 401: case 403: case 405:
		return SYNC_ACCOUNT;
	case 404: case 409: case 425:    /* an upload that was to be gone on with, or another request of the same key */
		return SYNC_NETWORK;
	}
	return e->status >= 400 && e->status < 500 ? SYNC_FILE : SYNC_NETWORK;
}

enum sync_fault
sync_fault_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_KEYS: case ERR_TLS:
		return SYNC_ACCOUNT;
	case ERR_LOCAL: case ERR_CHANGED: case ERR_USAGE:
		return SYNC_FILE;
	case ERR_HTTP:
		return refusal(e);
	case ERR_CONNECT:
		return e->status == 407 ? SYNC_ACCOUNT : SYNC_NETWORK;
	default:
		return SYNC_NETWORK;
	}
}
