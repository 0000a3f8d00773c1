#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "enc.h"
#include "hash.h"
#include "roots.h"   /* generated: ROOTS, ROOTS_COUNT, ROOTS_OF_A_NAME, ROOTS_DATE */
#include "tls.h"
#include "tls_cert.h"
#include "tls_engine.h"
#include "tls_trust.h"

enum {
	FILE_MAX = 4 << 20,   /* a CA file */
	NAME_HASH = 8,        /* bytes of a name's SHA-256 that find a root: its key must still verify the signature */
};

_Static_assert((int)ROOTS_OF_A_NAME < (int)TLS_ANCHORS, "all roots of a name fit");

/* A CA file's certificates, one behind the other. Their keys are not looked at until a server's certificate names them: of a
   distribution's hundred and fifty it is one. */
struct tls_trust {
	unsigned char *certs;   /* NULL: the built-in roots are what is trusted */
	size_t len;
};

/* The next certificate from *at on: its length, *at being behind it; 0 after the last one. */
static size_t
next_cert(const struct tls_trust *t, size_t *at)
{
	size_t n = tls_cert_len(t->certs + *at, t->len - *at);

	*at += n;
	return n;
}

/* BearSSL's types are not const, its use of them is. */
static void
set_key(br_x509_trust_anchor *a, const struct tls_cert_key *k)
{
	unsigned char *key = (unsigned char *)(uintptr_t)k->p;

	if (k->curve) {
		a->pkey.key_type = BR_KEYTYPE_EC;
		a->pkey.key.ec = (br_ec_public_key){k->curve, key, k->n};
	} else {
		a->pkey.key_type = BR_KEYTYPE_RSA;
		a->pkey.key.rsa = (br_rsa_public_key){key, k->n, (unsigned char *)(uintptr_t)k->e, k->e_len};
	}
}

/* Key and flags of a certificate as an anchor without a name; -1 when BearSSL cannot use it. */
static int
file_anchor(const unsigned char *der, size_t n, br_x509_trust_anchor *a)
{
	int authority = tls_cert_is_authority(der, n);
	struct tls_cert_key key;

	if (authority < 0 || tls_cert_key(der, n, &key) < 0)
		return -1;
	a->flags = authority ? BR_X509_TA_CA : 0;
	set_key(a, &key);
	return !key.curve && (key.n < TLS_RSA_MIN || key.n > TLS_RSA_MAX) ? -1 : 0;
}

/* ---- the CA file ---- */

/* The n bytes that were decoded behind the certificates are the next one. What is none, or more than one, is passed over. */
static void
keep(struct tls_trust *t, size_t n)
{
	if (n && tls_cert_len(t->certs + t->len, n) == n)
		t->len += n;
}

/* Behind the next end of line; NULL when there is none. */
static char *
next_line(char *p, const char *end)
{
	p = memchr(p, '\n', (size_t)(end - p));
	return p ? p + 1 : NULL;
}

/* Decode the text's certificates in place, which makes them shorter: NULL; or what is wrong with the file. */
static const char *
load_pem(struct tls_trust *t, size_t n)
{
	char *line = (char *)t->certs, *end = line + n, *p;
	long len;

	for (; line; line = next_line(line, end)) {
		p = line + 11;
		if (strncasecmp(line, "-----BEGIN ", 11) != 0)
			continue;
		p += strncasecmp(p, "X509 ", 5) ? 0 : 5;
		if (strncasecmp(p, "CERTIFICATE-", 12) != 0)
			continue;
		p += strcspn(p, "-");
		p += strspn(p, "-");
		line = memchr(p, '-', (size_t)(end - p));
		if (!line)
			return "its last certificate is cut off";
		len = enc_unbase64(p, (size_t)(line - p), t->certs + t->len);
		if (len < 0 || strncasecmp(line, "-----END ", 9) != 0)
			return "a certificate in it is damaged";
		keep(t, (size_t)len);
	}
	return NULL;
}

/* Can BearSSL use one of them? */
static int
usable(const struct tls_trust *t)
{
	br_x509_trust_anchor a;
	size_t at = 0, n;

	while ((n = next_cert(t, &at)))
		if (file_anchor(t->certs + at - n, n, &a) == 0)
			return 1;
	return 0;
}

/* Up to FILE_MAX + 1 bytes of the file into p; -1 with errno. */
static ssize_t
read_file(const char *path, unsigned char *p)
{
	size_t len = 0;
	ssize_t r;
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;

	if (fd < 0)
		return -1;
	do {
		r = read(fd, p + len, FILE_MAX + 1 - len);
		if (r > 0)
			len += (size_t)r;
	} while (r > 0 || (r < 0 && errno == EINTR));
	saved = errno;
	close(fd);
	errno = saved;
	return r < 0 ? -1 : (ssize_t)len;
}

static const char *
load_file(struct tls_trust *t, const char *path)
{
	const char *why = NULL;
	ssize_t n = read_file(path, t->certs);
	unsigned char *less;

	if (n < 0)
		return strerror(errno);
	if (n > FILE_MAX)
		return "it is over 4 MiB: that is no CA file";
	t->certs[n] = '\0';
	keep(t, (size_t)n);
	if (!t->len)
		why = load_pem(t, (size_t)n);
	if (!why && (!t->len || !usable(t)))
		why = "there is no certificate in it that can be used (PEM or DER, RSA from 2048 bits or P-256/384/521)";
	if (!why && (less = realloc(t->certs, t->len)))
		t->certs = less;
	return why;
}

struct tls_trust *
tls_trust_load(const char *ca_file, struct err *e)
{
	struct tls_trust *t = calloc(1, sizeof *t);
	const char *why = "out of memory";

	if (t && !ca_file)
		return t;
	if (t && (t->certs = malloc(FILE_MAX + 2)))   /* only what is read becomes real memory */
		why = load_file(t, ca_file);
	if (!why)
		return t;
	tls_trust_free(t);
	if (!ca_file)
		fail(e, ERR_LOCAL, "built-in roots: %s", why);
	else
		fail(e, ERR_USAGE, "CA file %s: %s: check --ca-file, R2_CA_FILE or SSL_CERT_FILE", ca_file, why);
	return NULL;
}

void
tls_trust_free(struct tls_trust *t)
{
	if (t)
		free(t->certs);
	free(t);
}

size_t
tls_trust_count(const struct tls_trust *t)
{
	size_t count = 0, at = 0, n;
	br_x509_trust_anchor a;

	if (!t->certs)
		return ROOTS_COUNT;
	while ((n = next_cert(t, &at)))
		count += file_anchor(t->certs + at - n, n, &a) == 0;
	return count;
}

const char *
tls_roots_date(void)
{
	return ROOTS_DATE;
}

const char *
tls_library(void)
{
	return "BearSSL 0.6";
}

/* ---- the built-in roots ---- */

/* One record of ROOTS, as roots.awk wrote it, becomes an anchor that has no name yet. Returns the next record. */
static const unsigned char *
root_anchor(const unsigned char *record, br_x509_trust_anchor *a)
{
	static const unsigned char f4[] = {1, 0, 1};
	const unsigned char *p = record + NAME_HASH;
	int kind = p[0];
	struct tls_cert_key key = {kind > 1 ? kind : 0, p + 3, (size_t)(p[1] << 8 | p[2]), f4, sizeof f4};
	const unsigned char *end = key.p + key.n;

	if (kind == 1) {
		key.e = end;
		end += sizeof f4;
	}
	a->flags = BR_X509_TA_CA;
	set_key(a, &key);
	return end;
}

static void
find_roots(const unsigned char *issuer, size_t len, struct tls_anchors *out)
{
	const unsigned char *record = ROOTS, *at;
	unsigned char hash[HASH_SHA256_LEN];
	br_x509_trust_anchor *a;

	hash_sha256(issuer, len, hash);
	while (record < ROOTS + sizeof ROOTS) {
		at = record;
		a = &out->anchor[out->n];
		record = root_anchor(at, a);
		if (memcmp(at, hash, NAME_HASH) != 0)
			continue;
		a->dn = (br_x500_name){(unsigned char *)(uintptr_t)issuer, len};
		out->n++;
	}
}

/* ---- which of them ---- */

int
tls_trust_find(const struct tls_trust *t, const unsigned char *der, size_t n, const struct tls_cert_host *host,
	struct tls_anchors *out)
{
	const unsigned char *issuer, *subject, *name, *cert;
	size_t issuer_len = tls_cert_issuer(der, n, &issuer), subject_len = tls_cert_subject(der, n, &subject), name_len, len, at = 0;
	int signer, itself;

	out->n = 0;
	out->forbidden = 0;
	if (!subject_len)
		return 0;
	if (!t->certs)
		find_roots(issuer, issuer_len, out);
	while (t->certs && out->n < TLS_ANCHORS && (len = next_cert(t, &at))) {
		br_x509_trust_anchor *a = &out->anchor[out->n];

		cert = t->certs + at - len;
		name_len = tls_cert_subject(cert, len, &name);
		signer = name_len == issuer_len && !memcmp(name, issuer, name_len);
		itself = name_len == subject_len && !memcmp(name, subject, name_len);
		if ((!signer && !itself) || file_anchor(cert, len, a) < 0)
			continue;
		out->forbidden |= signer && !tls_cert_permits(cert, len, host);
		a->dn = (br_x500_name){(unsigned char *)(uintptr_t)name, name_len};
		if ((a->flags & BR_X509_TA_CA) ? signer : itself)
			out->n++;
	}
	return 1;
}
