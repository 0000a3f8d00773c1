#include <arpa/inet.h>
#include <bearssl.h>
#include <string.h>
#include <time.h>
#include "tls_cert.h"
#include "tls_chain.h"
#include "tls_engine.h"

static void
chain_start(const br_x509_class **ctx, const char *name)
{
	struct tls_chain *c = (struct tls_chain *)(void *)ctx;

	c->minimal.vtable->start_chain(&c->minimal.vtable, name);
}

static void
chain_cert(const br_x509_class **ctx, uint32_t length)
{
	struct tls_chain *c = (struct tls_chain *)(void *)ctx;

	c->len = 0;
	c->known = 0;
	c->minimal.trust_anchors_num = 0;
	if (length > TLS_CERT_MAX && !c->trusted)
		c->wrong = BR_ERR_X509_LIMIT_EXCEEDED;
	c->minimal.vtable->start_cert(&c->minimal.vtable, length);
}

static void
chain_append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct tls_chain *c = (struct tls_chain *)(void *)ctx;
	size_t room = TLS_CERT_MAX - c->len, kept = n < room ? n : room;

	memcpy(c->cert + c->len, p, kept);
	c->len += kept;
	/* Before BearSSL sees the key and the end, at which it looks into them. */
	if (!c->known && !c->trusted) {
		c->known = tls_trust_find(c->trust, c->cert, c->len, &c->host, &c->anchors);
		c->minimal.trust_anchors_num = c->anchors.n;
	}
	c->minimal.vtable->append(&c->minimal.vtable, p, n);
}

/* What BearSSL does not, of those certificates that it needs. */
static void
look(struct tls_chain *c)
{
	if (c->trusted)
		return;
	c->trusted = c->minimal.err == BR_ERR_X509_OK;
	if (!c->wrong)
		c->wrong = tls_cert_check(c->cert, c->len, &c->host, c->count == 0);
	if (!c->wrong && c->trusted && c->anchors.forbidden)
		c->wrong = TLS_NOT_PERMITTED;
}

static void
chain_cert_end(const br_x509_class **ctx)
{
	struct tls_chain *c = (struct tls_chain *)(void *)ctx;
	int64_t from, to;

	look(c);
	if (tls_cert_dates(c->cert, c->len, &from, &to) < 0)
		from = to = c->now;
	if (c->count++ == 0) {
		struct buf issuer = BUF(c->leaf_issuer);

		c->leaf_until = to;
		tls_cert_issuer_text(c->cert, c->len, &issuer);
	}
	if (!c->not_after && (c->now < from || c->now > to)) {
		c->not_before = from;
		c->not_after = to;
	}
	c->minimal.vtable->end_cert(&c->minimal.vtable);
}

static unsigned
chain_end(const br_x509_class **ctx)
{
	struct tls_chain *c = (struct tls_chain *)(void *)ctx;
	unsigned r = c->minimal.vtable->end_chain(&c->minimal.vtable);

	return r ? r : (unsigned)c->wrong;
}

static const br_x509_pkey *
chain_key(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct tls_chain *c = (const struct tls_chain *)(const void *)ctx;

	return c->minimal.vtable->get_pkey(&c->minimal.vtable, usages);
}

static const br_x509_class chain_class = {
	sizeof (struct tls_chain), chain_start, chain_cert, chain_append, chain_cert_end, chain_end, chain_key,
};

/* Of the host as address, as getaddrinfo(3) takes it: 127.1 and 0x7f000001 are addresses too, for which no name in a certificate counts.
   0: it is a name. */
static size_t
address_of(const char *host, unsigned char addr[16])
{
	struct in_addr in;

	if (inet_aton(host, &in)) {
		memcpy(addr, &in, sizeof in);
		return sizeof in;
	}
	return inet_pton(AF_INET6, host, addr) == 1 ? 16 : 0;
}

void
tls_chain_init(struct tls_chain *c, const struct tls_params *p, const char *host)
{
	static const unsigned char san_dns[] = {0, 2}, common_name[] = {3, 0x55, 4, 3};
	br_x509_minimal_context *x = &c->minimal;

	c->vtable = &chain_class;
	c->now = p->now ? p->now : time(NULL);
	c->trust = p->trust;
	c->host = (struct tls_cert_host){host, c->addr, address_of(host, c->addr)};
	c->names[0] = (br_name_element){.oid = san_dns, .buf = c->san, .len = sizeof c->san};
	c->names[1] = (br_name_element){.oid = common_name, .buf = c->cn, .len = sizeof c->cn};
	br_x509_minimal_init(x, &br_sha256_vtable, c->anchors.anchor, 0);
	br_x509_minimal_set_hash(x, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(x, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(x, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_rsa(x, tls_rsa_vrfy);
	br_x509_minimal_set_ecdsa(x, &tls_ec, br_ecdsa_i31_vrfy_asn1);
	br_x509_minimal_set_minrsa(x, TLS_RSA_MIN);
	br_x509_minimal_set_name_elements(x, c->names, 2);
	/* Days since the year 0; 719528 of them before 1970. */
	br_x509_minimal_set_time(x, (uint32_t)(c->now / 86400 + 719528), (uint32_t)(c->now % 86400));
}
