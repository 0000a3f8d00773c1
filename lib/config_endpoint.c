/* The text of an endpoint → where to connect; what its host says. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include "buf.h"
#include "config.h"
#include "enc.h"
#include "path.h"

static int
parse_scheme(struct config *c, const char **text, struct err *e)
{
	const char *end = strstr(*text, "://");

	c->tls = 1;
	if (!end)
		return 0;
	if (end - *text == 4 && !strncasecmp(*text, "http", 4))
		c->tls = 0;
	else if (end - *text != 5 || strncasecmp(*text, "https", 5))
		return fail(e, ERR_USAGE, "only https:// (or http://) can stand before the host");
	*text = end + 3;
	return 0;
}

static int
parse_port(struct config *c, const char *p, size_t n, struct err *e)
{
	int port = enc_number(p, n, UINT16_MAX);

	if (port < 1)
		return fail(e, ERR_USAGE, "the port must be a number from 1 to 65535: https://HOST[:PORT]");
	c->port = (uint16_t)port;
	return 0;
}

static int
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* RFC 1123 section 2.1, and '_', which containers' names have. */
static int
is_host_name(const char *host)
{
	size_t label = 0;

	for (const char *p = host;; p++) {
		if (*p == '.' || !*p) {
			if (label < 1 || label > 63 || p[-1] == '-')
				return 0;
			label = 0;
			if (!*p)
				return p - host <= 253;
		} else if (!is_host_char(*p) || (*p == '-' && label == 0)) {
			return 0;
		} else {
			label++;
		}
	}
}

static void
copy_lower(char *out, const char *p, size_t n)
{
	memcpy(out, p, n);
	out[n] = '\0';
	enc_lower(out);
}

static int
parse_name(struct config *c, const char *p, size_t n, struct err *e)
{
	n -= n > 0 && p[n - 1] == '.';
	if (n == 0)
		return fail(e, ERR_USAGE, "no host: https://HOST[:PORT]");
	if (n >= sizeof c->host)
		return fail(e, ERR_USAGE, "the host's name is longer than 253 bytes");
	copy_lower(c->host, p, n);
	if (!is_host_name(c->host))
		return fail(e, ERR_USAGE, "not the name of a host: letters, digits, dots and hyphens "
			"(an international name in its xn-- form)");
	return 0;
}

/* An address in brackets, RFC 3986 section 3.2.2; no zone: it would have to be in the certificate. */
static int
parse_address(struct config *c, const char *p, size_t n, struct err *e)
{
	struct in6_addr in6;

	if (n < sizeof c->host) {
		copy_lower(c->host, p, n);
		if (inet_pton(AF_INET6, c->host, &in6) == 1)
			return 0;
	}
	return fail(e, ERR_USAGE, "what stands in brackets is not an IPv6 address: https://[2001:db8::1]:PORT");
}

static int
parse_authority(struct config *c, const char *p, size_t n, struct err *e)
{
	const char *colon = memrchr(p, ':', n), *close = memchr(p, ']', n);
	size_t host_len = colon ? (size_t)(colon - p) : n;

	if (memchr(p, '@', n))
		return fail(e, ERR_USAGE, "a user name or password does not belong here: the keys have their own variables");
	if (n > 0 && *p == '[' && close) {
		if (close + 1 < p + n && close + 1 != colon)
			return fail(e, ERR_USAGE, "something other than a port stands behind the brackets");
		if (close + 1 == p + n)
			colon = NULL;
		if (parse_address(c, p + 1, (size_t)(close - p - 1), e) < 0)
			return -1;
	} else if (memchr(p, ':', host_len)) {
		return fail(e, ERR_USAGE, "more than one colon: an IPv6 address needs brackets, https://[2001:db8::1]:PORT");
	} else if (parse_name(c, p, host_len, e) < 0) {
		return -1;
	}
	c->port = c->tls ? 443 : 80;
	return colon ? parse_port(c, colon + 1, (size_t)(p + n - colon - 1), e) : 0;
}

/* The dashboard shows a bucket's address as https://ACCOUNT.r2.cloudflarestorage.com/BUCKET. */
static int
parse_path(const char *p, char bucket[CONFIG_BUCKET_CAP], struct err *e)
{
	size_t n;

	bucket[0] = '\0';
	p += *p != '\0';
	n = path_trim(p, 0);
	if (!n)
		return 0;
	if (memchr(p, '/', n))
		return fail(e, ERR_USAGE, "only the bucket can stand behind the host: https://HOST/BUCKET "
			"(a prefix belongs into R2_PREFIX)");
	if (n >= CONFIG_BUCKET_CAP)
		return fail(e, ERR_USAGE, "the path is the bucket, and no bucket's name is longer than 63 bytes");
	memcpy(bucket, p, n);
	bucket[n] = '\0';
	return path_bucket_check(bucket, e);
}

static void
fill_host_field(struct config *c)
{
	struct buf b = BUF(c->host_field);
	int v6 = strchr(c->host, ':') != NULL;

	buf_fmt(&b, v6 ? "[%s]" : "%s", c->host);
	if (c->port != (c->tls ? 443 : 80))
		buf_fmt(&b, ":%u", c->port);
}

int
config_parse_endpoint(struct config *c, const char *text, int allow_http, char bucket[CONFIG_BUCKET_CAP],
	struct err *e)
{
	size_t n;

	if (parse_scheme(c, &text, e) < 0)
		return -1;
	n = strcspn(text, "/?#");
	if (text[strcspn(text, "?#")])
		return fail(e, ERR_USAGE, "a query or fragment (? or #) does not belong into an endpoint: https://HOST[:PORT]");
	if (parse_authority(c, text, n, e) < 0 || parse_path(text + n, bucket, e) < 0)
		return -1;
	if (!c->tls && !allow_http && !net_is_loopback(c->host))
		return fail(e, ERR_USAGE, "http:// would send what you upload to %s unencrypted: use https or --allow-http",
			c->host);
	fill_host_field(c);
	return 0;
}

int
config_is_r2(const struct config *c)
{
	return enc_ends_in(c->host, CONFIG_R2_DOMAIN);
}

/* An account's id, as the first label of R2's hosts is. */
static int
is_account(const char *label)
{
	return strspn(label, "0123456789abcdef") == 32 && label[32] == '.';
}

int
config_check_host(const struct config *c, struct err *e)
{
	const char *rest = c->host;
	size_t n = strlen(c->bucket);

	if (c->port == 443 && strspn(rest, "0123456789abcdef") == 32 && !rest[32])
		return fail(e, ERR_USAGE, "R2_ENDPOINT is only an account's id: set R2_ACCOUNT_ID");
	if (config_is_r2(c))
		while (rest && !is_account(rest))
			rest = strchr(rest, '.') ? strchr(rest, '.') + 1 : NULL;
	else if (!strncmp(rest, c->bucket, n) && (!strncmp(rest + n, ".s3.", 4) || !strncmp(rest + n, ".s3-", 4)))
		rest += n + 1;
	if (!rest || rest == c->host)
		return 0;
	return fail(e, ERR_USAGE, "the endpoint's host %s begins with a bucket: write https://%s, and the bucket's name behind a "
		"slash or into R2_BUCKET", c->host, rest);
}
