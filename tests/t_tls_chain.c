/* The server's certificates, damaged at every place: never accepted, never read beyond their end. */
#include <stdlib.h>
#include <unistd.h>
#include "test.h"
#include "tls_cert.h"
#include "tls_chain.h"

struct cert {
	size_t len;
	unsigned char der[2048];
};

static char dir[64];
static struct cert leaf, middle;
static const unsigned char v4[4] = {127, 0, 0, 1};
static const struct tls_cert_host name = {"localhost", NULL, 0}, addr = {"127.0.0.1", v4, 4}, other = {"c.test", NULL, 0};

static void
load(const char *file, struct cert *c)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.der", dir, file);
	f = fopen(path, "rb");
	check(f != NULL);
	c->len = f ? fread(c->der, 1, sizeof c->der, f) : 0;
	if (f)
		fclose(f);
	check(c->len > 300 && c->len < sizeof c->der);
}

/* A block of exactly that size, so that the sanitizer sees who reads on. */
static unsigned char *
copy(const struct cert *c, size_t n)
{
	unsigned char *p = malloc(n ? n : 1);

	return memcpy(p, c->der, n);
}

static void
give(struct tls_chain *c, const struct cert *cert, size_t piece)
{
	unsigned char *p = copy(cert, cert->len);
	size_t at, n;

	c->vtable->start_cert(&c->vtable, (uint32_t)cert->len);
	for (at = 0; at < cert->len; at += n) {
		n = piece < cert->len - at ? piece : cert->len - at;
		c->vtable->append(&c->vtable, p + at, n);
	}
	c->vtable->end_cert(&c->vtable);
	free(p);
}

static unsigned
verify(const struct tls_trust *trust, const char *host, size_t piece)
{
	static struct tls_chain c;

	memset(&c, 0, offsetof(struct tls_chain, cert));
	tls_chain_init(&c, &(struct tls_params){.trust = trust}, host);
	c.vtable->start_chain(&c.vtable, c.host.addr_len ? NULL : host);
	give(&c, &leaf, piece);
	give(&c, &middle, piece);
	return c.vtable->end_chain(&c.vtable);
}

static void
test_good(const struct tls_trust *trust)
{
	check_int(verify(trust, "localhost", 4096), 0);
	check_int(verify(trust, "localhost", 1), 0);
	check_int(verify(trust, "127.0.0.1", 7), 0);
	check_int(verify(trust, "127.0.0.2", 4096), TLS_BAD_NAME);
	check_int(verify(trust, "127.1", 4096), 0);
	check_int(verify(trust, "0x7f000001", 4096), 0);
	check_int(verify(trust, "127.2", 4096), TLS_BAD_NAME);
	check_int(verify(trust, "c.test", 4096), BR_ERR_X509_BAD_SERVER_NAME);
}

/* One bit of each byte; that is none in an ignored place, for there is none. */
static void
test_flips(const struct tls_trust *trust, struct cert *c)
{
	size_t i, accepted = 0;

	for (i = 0; i < c->len; i++) {
		unsigned char was = c->der[i];

		c->der[i] ^= (unsigned char)(1 << i % 8);
		accepted += verify(trust, "localhost", 4096) == 0;
		c->der[i] = was;
	}
	check_int(accepted, 0);
	check_int(verify(trust, "localhost", 4096), 0);
}

static void
test_cut(const struct tls_trust *trust, struct cert *c)
{
	size_t len = c->len, accepted = 0;

	for (c->len = 1; c->len < len; c->len += 3)
		accepted += verify(trust, "localhost", 4096) == 0;
	check_int(accepted, 0);
	c->len = len;
}

static void
look(const struct cert *c, size_t n)
{
	const unsigned char *issuer;
	unsigned char *p = copy(c, n);
	int64_t from, to;
	size_t len;

	tls_cert_check(p, n, &name, 1);
	tls_cert_check(p, n, &addr, 0);
	tls_cert_permits(p, n, &other);
	tls_cert_limited(p, n);
	tls_cert_dates(p, n, &from, &to);
	len = tls_cert_issuer(p, n, &issuer);
	check(!len || (issuer > p && issuer + len <= p + n));
	free(p);
}

/* Whatever the bytes are. Cut off, a certificate is right about nothing. */
static void
test_malformed(struct cert *c, int is_leaf)
{
	size_t i, wrong = 0;
	int bit;

	for (i = 0; i < c->len; i++) {
		look(c, i);
		wrong += tls_cert_check(c->der, i, &name, is_leaf) != 0 && !tls_cert_permits(c->der, i, &name)
			&& tls_cert_limited(c->der, i) && !tls_cert_has_address(c->der, i, v4, 4);
		for (bit = 0; bit < 8; bit++) {
			c->der[i] ^= (unsigned char)(1 << bit);
			look(c, c->len);
			c->der[i] ^= (unsigned char)(1 << bit);
		}
	}
	check_int(wrong, c->len);
}

static void
test_looks(void)
{
	check_int(tls_cert_check(leaf.der, leaf.len, &name, 1), 0);
	check_int(tls_cert_check(leaf.der, leaf.len, &addr, 1), 0);
	check_int(tls_cert_check(leaf.der, leaf.len, &name, 0), 0);
	check_int(tls_cert_check(middle.der, middle.len, &name, 0), 0);
	check_int(tls_cert_check(middle.der, middle.len, &other, 0), TLS_NOT_PERMITTED);
	check_int(tls_cert_check(middle.der, middle.len, &name, 1), TLS_BAD_NAME);
	check_int(tls_cert_limited(leaf.der, leaf.len), 0);
	check_int(tls_cert_limited(middle.der, middle.len), 1);
}

int
main(void)
{
	char cmd[256];
	struct tls_trust *trust;
	struct err e = {0};

	snprintf(dir, sizeof dir, "/tmp/t_tls_chain.XXXXXX");
	if (!mkdtemp(dir))
		return perror(dir), 1;
	snprintf(cmd, sizeof cmd, "python3 -B tests/tls_pki.py %s", dir);
	check_int(system(cmd), 0);
	load("leaf", &leaf);
	load("middle", &middle);
	snprintf(cmd, sizeof cmd, "%s/ca.der", dir);
	trust = tls_trust_load(cmd, &e);
	check(trust != NULL);
	if (trust) {
		test_good(trust);
		test_looks();
		test_malformed(&leaf, 1);
		test_malformed(&middle, 0);
		test_flips(trust, &leaf);
		test_flips(trust, &middle);
		test_cut(trust, &leaf);
		test_cut(trust, &middle);
	}
	tls_trust_free(trust);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	check_int(system(cmd), 0);
	return test_end();
}
