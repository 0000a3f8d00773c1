/* Configuration: the env file and the addresses. What is understood is understood the same when it is written out again; no message quotes what
   may be a secret. */
#include <arpa/inet.h>
#include <strings.h>
#include "config.h"
#include "config_file.h"
#include "fuzz.h"
#include "path.h"

/* ---- the env file */

static void
load(struct config_file *f, const void *p, size_t n)
{
	*f = (struct config_file){malloc(n + 2), n, 0600};
	if (!f->p)
		abort();
	memcpy(f->p, p, n);
	f->p[n] = '\0';
}

static int
is_entry(const char *s, int text)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	if (!text)
		return !*s || (strchr(s, '=') && *s != '=');
	return n && s[n] == '=' && !(*s >= '0' && *s <= '9');
}

/* The entries, each in single quotes, as a person would write them. */
static void
write_out(const struct config_file *f, struct buf *b)
{
	for (const char *p = f->p; p < f->p + f->len; p += strlen(p) + 1) {
		size_t name = strcspn(p, "=") + 1;

		buf_str(b, "  export\t");
		buf_put(b, p, name);
		buf_char(b, '\'');
		for (const char *v = p + name; *v; v++)
			buf_str(b, *v == '\'' ? "'\\''" : (char[]){*v, '\0'});
		buf_str(b, "' # x\r\n");
	}
}

static void
env_file(struct in *in)
{
	static char again[1 << 17];
	struct buf b = BUF(again);
	struct config_file f, g;
	struct err e = {0};
	int text = !memchr(in->p, '\0', in->n) || !in->n;

	load(&f, in->p, in->n);
	if (config_file_entries(&f, "FILE", &e) < 0) {
		must_be_message(&e);
		must(!strncmp(e.msg, "FILE, ", 6) && strlen(e.msg) < 120);
		config_file_wipe(&f);
		return;
	}
	must(f.len <= in->n + 1 && (!text || !f.len || !f.p[f.len - 1]));
	for (const char *p = f.p; p < f.p + f.len; p += strlen(p) + 1)
		must(is_entry(p, text));
	if (text) {
		write_out(&f, &b);
		load(&g, again, b.len);
		must(!buf_ok(&b) || config_file_entries(&g, "FILE", &e) == 0);
		must(!buf_ok(&b) || (g.len == f.len && !memcmp(g.p, f.p, f.len)));
		config_file_wipe(&g);
	}
	for (const char *p = f.p; p < f.p + f.len; p += strlen(p) + 1) {
		char name[128];
		struct buf n = BUF(name);

		buf_put(&n, p, strcspn(p, "="));
		must(!buf_ok(&n) || !*p || config_file_get(&f, name));
	}
	config_file_wipe(&f);
}

/* ---- the endpoint */

static void
endpoint(const char *text, int allow_http)
{
	struct config c = {0}, again = {0};
	char bucket[CONFIG_BUCKET_CAP], bucket2[CONFIG_BUCKET_CAP], url[1024];
	struct in6_addr a;
	struct buf b = BUF(url);
	struct err e = {0};

	if (config_parse_endpoint(&c, text, allow_http, bucket, &e) < 0) {
		must_be_message(&e);
		must(e.kind == ERR_USAGE);
		return;
	}
	must(c.port && *c.host && strspn(c.host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:") == strlen(c.host));
	must(!strchr(c.host, ':') || inet_pton(AF_INET6, c.host, &a) == 1);
	must(!*bucket || path_bucket_check(bucket, &e) == 0);
	must(c.tls || allow_http || net_is_loopback(c.host));
	must(!strpbrk(c.host_field, "/@?# \r\n"));
	buf_fmt(&b, "%s://%s/%s//", c.tls ? "HTTPS" : "Http", c.host_field, bucket);
	must(buf_ok(&b) && config_parse_endpoint(&again, url, allow_http, bucket2, &e) == 0);
	must(!strcmp(bucket, bucket2) && !memcmp(&c, &again, sizeof c));
}

/* ---- the proxy */

/* text with letters of the user's name and password changed, none of which could be a digit of a %XX. */
static char *
with_another_password(const char *text)
{
	char *s = strdup(text), *from = s ? strstr(s, "://") : NULL, *at = s ? strrchr(s, '@') : NULL;

	if (!s)
		abort();
	for (from = from ? from + 3 : s; at && from < at; from++)
		if (strchr("ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ", *from))
			*from = *from == 'x' ? 'y' : 'x';
	return s;
}

static void
proxy(const char *text)
{
	struct net_proxy p = {0}, again = {0};
	char url[1024], *other;
	struct buf b = BUF(url);
	struct err e = {0}, e2 = {0};

	if (net_proxy_parse(text, &p, &e) < 0) {
		must_be_message(&e);
		other = with_another_password(text);
		must(net_proxy_parse(other, &p, &e2) < 0 && !strcmp(e.msg, e2.msg));
		free(other);
		return;
	}
	if (!p.port) {
		must(!*text);
		return;
	}
	must(*p.host && strlen(p.host) < NET_HOST_CAP && !strpbrk(p.host, "@/\r\n "));
	must(!*p.auth || !strncmp(p.auth, "Basic ", 6));
	must(!strpbrk(p.auth, "\r\n"));
	buf_fmt(&b, strchr(p.host, ':') ? "http://[%s]:%u" : "http://%s:%u", p.host, p.port);
	must(net_proxy_parse(url, &again, &e) == 0 && !strcmp(again.host, p.host) && again.port == p.port && !*again.auth);
}

/* ---- NO_PROXY */

/* By words that are plain names: what it means is simple then. */
static int
exempts(const char *list, const char *host)
{
	size_t n, len = strlen(host);

	for (; *list; list += n) {
		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == 1 && *list == '*')
			return 1;
		if (n && *list == '.')
			list++, n--;
		if (n && n <= len && !strncasecmp(list, host + len - n, n) && (n == len || host[len - n - 1] == '.'))
			return 1;
	}
	return 0;
}

/* Only letters, single dots inside, and what parts words. */
static int
is_plain(const char *s, const char *also)
{
	for (const char *p = s; *p; p++) {
		int letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (!letter && !strchr(also, *p) && !(*p == '.' && p[1] && (p[1] | 32) >= 'a' && (p[1] | 32) <= 'z'))
			return 0;
	}
	return *s != '\0';
}

static void
no_proxy(const char *list, const char *host, uint16_t port)
{
	char with[600], bare[NET_HOST_CAP];
	struct buf b = BUF(with);
	int got = net_no_proxy(list, host, port);

	must(got == 0 || got == 1);
	if (net_host_bare(host, bare) < 0) {
		must(!got);
		return;
	}
	if (is_plain(host, "-") && is_plain(list, "-, \t*") && strlen(list) < 200)
		must(got == exempts(list, bare));
	/* More in the list exempts no less; "*" exempts all. */
	buf_fmt(&b, "%s,other.test", list);
	must(!buf_ok(&b) || !got || net_no_proxy(with, host, port));
	buf_reset(&b);
	buf_fmt(&b, "%s , *", list);
	must(!buf_ok(&b) || net_no_proxy(with, host, port));
}

static void
s3_url(const char *text)
{
	char bucket[64] = "";
	const char *key = NULL;
	struct err e = {0};
	int rc = path_s3_url(text, bucket, sizeof bucket, &key, &e);

	if (rc < 0)
		must_be_message(&e);
	if (rc == 1)
		must(*bucket && !strchr(bucket, '/') && key >= text && key <= text + strlen(text) && strlen(text) >= 5 + strlen(bucket));
	if (path_bucket_check(text, &e) < 0)
		must_be_message(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	char *a, *b;

	if (size > 1 << 15)
		return 0;
	if (how & 1) {
		env_file(&in);
		return 0;
	}
	a = take_string(&in);
	b = take_string(&in);
	endpoint(a, how >> 1 & 1);
	proxy(a);
	no_proxy(a, b, 443);
	s3_url(a);
	free(a);
	free(b);
	return 0;
}
