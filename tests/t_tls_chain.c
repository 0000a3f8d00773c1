/* The server's certificates, damaged at every place: never accepted, never read beyond their end. */
#include <stdlib.h>
#include <unistd.h>
#include "enc.h"
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
	check(c->len > 200 && c->len < sizeof c->der);
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

/* now: 0 is that of the clock. */
static unsigned
verify_at(const struct tls_trust *trust, const char *host, size_t piece, int64_t now)
{
	static struct tls_chain c;

	memset(&c, 0, offsetof(struct tls_chain, cert));
	tls_chain_init(&c, &(struct tls_params){.trust = trust, .now = now}, host);
	c.vtable->start_chain(&c.vtable, c.host.addr_len ? NULL : host);
	give(&c, &leaf, piece);
	give(&c, &middle, piece);
	return c.vtable->end_chain(&c.vtable);
}

static unsigned
verify(const struct tls_trust *trust, const char *host, size_t piece)
{
	return verify_at(trust, host, piece, 0);
}

/* To the second: on its first day and on its last one, too. */
static void
test_dates(const struct tls_trust *trust)
{
	int64_t from, to, begin, end;

	check_int(tls_cert_dates(leaf.der, leaf.len, &from, &to), 0);
	check_int(tls_cert_dates(middle.der, middle.len, &begin, &end), 0);
	from = from > begin ? from : begin;
	to = to < end ? to : end;
	check_int(verify_at(trust, "localhost", 4096, from - 1), BR_ERR_X509_EXPIRED);
	check_int(verify_at(trust, "localhost", 4096, from), 0);
	check_int(verify_at(trust, "localhost", 4096, to), 0);
	check_int(verify_at(trust, "localhost", 4096, to + 1), BR_ERR_X509_EXPIRED);
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
	const unsigned char *issuer = NULL, *subject;
	unsigned char *p = copy(c, n);
	int64_t from, to;
	size_t len;

	tls_cert_check(p, n, &name, 1);
	tls_cert_check(p, n, &addr, 0);
	tls_cert_permits(p, n, &other);
	tls_cert_dates(p, n, &from, &to);
	len = tls_cert_issuer(p, n, &issuer);
	check(!len || (issuer > p && issuer + len <= p + n));
	len = tls_cert_subject(p, n, &subject);
	check(!len || (subject > issuer && subject + len <= p + n));
	len = tls_cert_len(p, n);
	check(len <= n);
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
			&& !tls_cert_has_address(c->der, i, v4, 4);
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
}

/* Of what is cut off, no name is taken for another one. */
static void
test_names(const struct cert *c, const char *issuer_cn, const char *subject_cn)
{
	const unsigned char *issuer, *subject;
	size_t issuer_len = tls_cert_issuer(c->der, c->len, &issuer), subject_len = tls_cert_subject(c->der, c->len, &subject), i, len;

	check(memmem(issuer, issuer_len, issuer_cn, strlen(issuer_cn)) && memmem(subject, subject_len, subject_cn, strlen(subject_cn)));
	check_int(tls_cert_len(c->der, c->len), c->len);
	check_int(tls_cert_len(c->der + 1, c->len - 1), 0);
	for (i = 0; i < c->len; i++) {
		unsigned char *p = copy(c, i);
		const unsigned char *at;

		len = tls_cert_subject(p, i, &at);
		check_int(len, c->der + i >= subject + subject_len ? subject_len : 0);
		check(!len || at - p == subject - c->der);
		len = tls_cert_issuer(p, i, &at);
		check_int(len, c->der + i >= issuer + issuer_len ? issuer_len : 0);
		check_int(tls_cert_len(p, i), 0);
		free(p);
	}
}

/* Key and kind as BearSSL's own decoder reads them, where that reads the certificate. */
static void
same_key(const struct cert *c)
{
	unsigned char *p = copy(c, c->len);
	br_x509_decoder_context x;
	const br_x509_pkey *want;
	struct tls_cert_key key;
	int got = tls_cert_key(p, c->len, &key), authority = tls_cert_is_authority(p, c->len);

	check(got < 0 || (key.p > p && key.p + key.n <= p + c->len));
	check(got < 0 || key.curve || (key.e > key.p && key.e + key.e_len <= p + c->len));
	br_x509_decoder_init(&x, NULL, NULL);
	br_x509_decoder_push(&x, p, c->len);
	want = br_x509_decoder_get_pkey(&x);
	if (want) {
		check_int(got, 0);
		check(authority < 0 || authority == br_x509_decoder_isCA(&x));
		if (want->key_type == BR_KEYTYPE_EC)
			check(key.curve == want->key.ec.curve && key.n == want->key.ec.qlen && !memcmp(key.p, want->key.ec.q, key.n));
		else
			check(!key.curve && key.n == want->key.rsa.nlen && !memcmp(key.p, want->key.rsa.n, key.n) &&
				key.e_len == want->key.rsa.elen && !memcmp(key.e, want->key.rsa.e, key.e_len));
	}
	free(p);
}

static void
test_key(const char *file, int curve, int authority)
{
	struct cert c;
	struct tls_cert_key key;

	load(file, &c);
	check_int(tls_cert_key(c.der, c.len, &key), 0);
	check_int(key.curve, curve);
	check_int(tls_cert_is_authority(c.der, c.len), authority);
	same_key(&c);
	for (size_t i = 0; i < c.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			c.der[i] ^= (unsigned char)(1 << bit);
			same_key(&c);
			c.der[i] ^= (unsigned char)(1 << bit);
		}
	while (c.len--)
		same_key(&c);
}

/* ---- CA files ---- */

static FILE *bundle;

/* Put so many copies of the certificate into the CA file. */
static void
put(const char *file, int copies)
{
	char text[4096];
	struct cert c;
	struct buf b = BUF(text);

	load(file, &c);
	enc_base64(&b, c.der, c.len);
	while (copies--)
		fprintf(bundle, "%s\n-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", file, text);
}

/* What is put between these two is the CA file, under which the chain is good, or wrong in that way. */
static void
begin(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/bundle", dir);
	bundle = fopen(path, "w");
	check(bundle != NULL);
}

static void
end(unsigned want)
{
	struct tls_trust *trust;
	struct err e = {0};
	char path[128];

	check(fclose(bundle) == 0);
	snprintf(path, sizeof path, "%s/bundle", dir);
	trust = tls_trust_load(path, &e);
	check_str(e.msg, "");
	if (!trust)
		return;
	check_int(verify(trust, "localhost", 4096), want);
	check_int(verify(trust, "localhost", 1), want);
	check_int(verify(trust, "localhost", 300), want);
	tls_trust_free(trust);
}

static void
test_bundles(void)
{
	begin(), put("other", 20), put("leaf_twin", 1), put("ca", 1), put("other", 20), end(0);
	begin(), put("other", 20), put("leaf_twin", 1), end(BR_ERR_X509_NOT_TRUSTED);
	/* Several of one name, up to the limit. */
	begin(), put("twin", 1), put("ca", 1), put("twin", 1), end(0);
	begin(), put("twin", TLS_ANCHORS - 1), put("other", 1), put("no_ca", 1), put("ca", 1), end(0);
	begin(), put("twin", TLS_ANCHORS), put("ca", 1), end(BR_ERR_X509_NOT_TRUSTED);
	begin(), put("twin", 3), end(BR_ERR_X509_NOT_TRUSTED);
	/* An intermediate is trusted without its own authority; who is no authority has signed nothing. */
	begin(), put("other", 1), put("middle", 1), end(0);
	begin(), put("no_ca", 1), end(BR_ERR_X509_NOT_TRUSTED);
	/* The server's own certificate, whoever has signed it; not one of its name with another key, nor as an authority. */
	begin(), put("other", 1), put("leaf_twin", 1), put("leaf", 1), end(0);
	begin(), put("leaf_twin", 1), end(BR_ERR_X509_NOT_TRUSTED);
	begin(), put("leaf_ca", 1), end(BR_ERR_X509_NOT_TRUSTED);
	/* Name constraints count, whichever of the name has them; but not of what is passed over. */
	begin(), put("ca", 1), put("limited", 1), end(TLS_NOT_PERMITTED);
	begin(), put("limited", 1), put("ca", 1), end(TLS_NOT_PERMITTED);
	begin(), put("weak", 1), put("ca", 1), end(0);
	begin(), put("limited", 1), put("leaf", 1), end(0);
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
		test_dates(trust);
		test_looks();
		test_names(&leaf, "intermediate", "a server");
		test_names(&middle, "authority", "intermediate");
		test_malformed(&leaf, 1);
		test_malformed(&middle, 0);
		test_flips(trust, &leaf);
		test_flips(trust, &middle);
		test_cut(trust, &leaf);
		test_cut(trust, &middle);
		test_key("ca", BR_EC_secp256r1, 1);
		test_key("leaf", BR_EC_secp256r1, 0);
		test_key("no_ca", BR_EC_secp256r1, 0);
		test_key("weak", 0, 1);
	}
	tls_trust_free(trust);
	test_bundles();
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	check_int(system(cmd), 0);
	return test_end();
}
