#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include "buf.h"
#include "enc.h"
#include "net.h"

int
net_host_bare(const char *host, char out[NET_HOST_CAP])
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (n > 0 && host[n - 1] == '.') {
		n--;
	}
	if (n == 0 || n >= NET_HOST_CAP)
		return -1;
	memcpy(out, host, n);
	out[n] = '\0';
	return 0;
}

int
net_is_loopback(const char *host)
{
	char bare[NET_HOST_CAP];
	struct in6_addr in6;
	struct in_addr in;
	size_t n;

	if (net_host_bare(host, bare) < 0)
		return 0;
	if (inet_pton(AF_INET, bare, &in) == 1)
		return ntohl(in.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, bare, &in6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&in6);
	n = strlen(bare);
	return n >= 9 && !strcasecmp(bare + n - 9, "localhost") && (n == 9 || bare[n - 10] == '.');
}

/* "user:pass" or "user", each percent-encoded, n bytes → "Basic …" (RFC 7617: the colon stands there without a password, too). */
static const char *
parse_auth(struct net_proxy *p, const char *user, size_t n)
{
	struct buf b = BUF(p->auth);
	char plain[384];
	long len = -1;

	if (n < sizeof plain - 1) {
		memcpy(plain, user, n);
		plain[n] = '\0';
		len = enc_unpercent(plain, n, 0);
	}
	if (len >= 0 && !memchr(user, ':', n))
		plain[len++] = ':';
	buf_str(&b, "Basic ");
	if (len >= 0)
		enc_base64(&b, plain, (size_t)len);
	explicit_bzero(plain, sizeof plain);
	if (len >= 0 && buf_ok(&b))
		return NULL;
	return "user name and password are too long or have a bad %XX: write a % in them as %25, @ as %40, / as %2F";
}

/* "host:port" or "[address]:port", n bytes. */
static const char *
parse_host(struct net_proxy *p, const char *s, size_t n)
{
	const char *colon = memrchr(s, ':', n);
	size_t len;
	int port;

	if (!colon || (s[0] == '[' && colon[-1] != ']'))
		return "the port is missing: write http://HOST:PORT";
	len = (size_t)(colon - s);
	port = enc_number(colon + 1, n - len - 1, UINT16_MAX);
	if (port <= 0)
		return "the port must be a number from 1 to 65535";
	if (s[0] == '[') {
		s++;
		len -= 2;
	} else if (memchr(s, ':', len)) {
		return "an IPv6 address must stand in brackets";
	}
	if (len == 0 || len >= sizeof p->host)
		return "the host is missing or too long";
	memcpy(p->host, s, len);
	p->host[len] = '\0';
	p->port = (uint16_t)port;
	if (strspn(p->host, ".:%-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != len)
		return "the host has a character that no host name has";
	return NULL;
}

int
net_proxy_parse(const char *url, struct net_proxy *p, struct err *e)
{
	const char *scheme = strstr(url, "://"), *at, *why = NULL;
	size_t n;

	memset(p, 0, sizeof *p);
	if (!*url)
		return 0;
	if (scheme && strncasecmp(url, "http://", 7) != 0)
		return fail(e, ERR_USAGE, "HTTPS_PROXY: only http:// proxies are supported: write http://HOST:PORT "
			"(what goes through it is encrypted all the same)");
	if (scheme)
		url = scheme + 3;
	n = strcspn(url, "/?#");
	at = memrchr(url, '@', n);
	if (at) {
		why = parse_auth(p, url, (size_t)(at - url));
		n -= (size_t)(at + 1 - url);
		url = at + 1;
	}
	if (!why)
		why = parse_host(p, url, n);
	if (!why)
		return 0;
	explicit_bzero(p, sizeof *p);
	return fail(e, ERR_USAGE, "HTTPS_PROXY: %s", why);
}

/* Address against "address" or "address/bits". */
static int
matches_address(char *entry, int family, const unsigned char *addr)
{
	char *slash = strchr(entry, '/');
	unsigned char net[16];
	int max = family == AF_INET ? 32 : 128, bits = max;

	if (slash) {
		*slash = '\0';
		bits = enc_number(slash + 1, strlen(slash + 1), max);
	}
	if (bits < 0 || inet_pton(family, entry, net) != 1 || memcmp(net, addr, (size_t)bits / 8) != 0)
		return 0;
	return bits % 8 == 0 || (net[bits / 8] ^ addr[bits / 8]) >> (8 - bits % 8) == 0;
}

/* Name against "suffix" or ".suffix": itself, and all below it. */
static int
matches_name(const char *entry, const char *name)
{
	size_t n, len = strlen(name);

	entry += entry[0] == '.';
	n = strlen(entry);
	if (n && entry[n - 1] == '.')
		n--;
	return n && n <= len && !strncasecmp(entry, name + len - n, n) && (n == len || name[len - n - 1] == '.');
}

/* Take a port off the entry: 0 when it has one and it is not the port asked for. */
static int
matches_port(char *entry, uint16_t port)
{
	char *colon = strchr(entry, ':'), *bracket = strchr(entry, ']');

	if (bracket) {
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
		*bracket = '\0';
	} else if (colon && strchr(colon + 1, ':')) {
		return 1;   /* an IPv6 address without brackets */
	}
	if (!colon)
		return 1;
	*colon = '\0';
	return enc_number(colon + 1, strlen(colon + 1), UINT16_MAX) == port;
}

static int
entry_matches(const char *s, size_t n, const char *host, uint16_t port)
{
	char text[NET_HOST_CAP + 8], *entry = text;
	unsigned char addr[16];

	if (n >= sizeof text)
		return 0;
	memcpy(text, s, n);
	text[n] = '\0';
	if (!matches_port(text, port))
		return 0;
	entry += entry[0] == '[';
	if (!strcmp(entry, "*"))
		return 1;
	if (inet_pton(AF_INET, host, addr) == 1)
		return matches_address(entry, AF_INET, addr);
	if (inet_pton(AF_INET6, host, addr) == 1)
		return matches_address(entry, AF_INET6, addr);
	return matches_name(entry, host);
}

int
net_no_proxy(const char *list, const char *host, uint16_t port)
{
	char bare[NET_HOST_CAP];
	size_t n;

	if (net_host_bare(host, bare) < 0)
		return 0;
	for (;; list += n) {
		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == 0)
			return 0;
		if (entry_matches(list, n, bare, port))
			return 1;
	}
}
