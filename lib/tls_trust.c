#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hash.h"
#include "roots.h"   /* generated: ROOTS, ROOTS_COUNT, ROOTS_OF_A_NAME, ROOTS_DATE */
#include "tls.h"
#include "tls_cert.h"
#include "tls_engine.h"
#include "tls_trust.h"

enum {
	FILE_MAX = 4 << 20,   /* a CA file */
	CERT_MAX = 32768,     /* a certificate in it */
	DN_MAX = 4096,        /* a CA's distinguished name */
	NAME_HASH = 8,        /* bytes of a name's SHA-256 that find a root: its key must still verify the signature */
};

_Static_assert((int)ROOTS_OF_A_NAME <= (int)TLS_ROOTS_OF_A_NAME, "all roots of a name fit");

/* A CA file while it is decoded. */
struct loader {
	struct tls_trust *trust;
	br_x509_decoder_context cert;
	size_t dn_len;
	unsigned char dn[DN_MAX];
	size_t len;
	unsigned char der[CERT_MAX];
};

/* An anchor with name constraints, whole. */
struct limited {
	struct limited *next;
	size_t at;            /* in the anchors */
	size_t len;
	unsigned char der[];
};

static void
dn_append(void *arg, const void *p, size_t n)
{
	struct loader *l = arg;

	if (n <= DN_MAX - l->dn_len)
		memcpy(l->dn + l->dn_len, p, n);
	else
		n = DN_MAX - l->dn_len;
	l->dn_len += n;
}

static void
cert_begin(struct loader *l)
{
	l->dn_len = l->len = 0;
	br_x509_decoder_init(&l->cert, dn_append, l);
}

static void
cert_push(void *arg, const void *p, size_t n)
{
	struct loader *l = arg;
	size_t kept = n < CERT_MAX - l->len ? n : CERT_MAX - l->len;

	memcpy(l->der + l->len, p, kept);
	l->len += kept;
	br_x509_decoder_push(&l->cert, p, n);
}

/* Name and key of the certificate in one block of memory, which starts at ta->dn.data. */
static int
anchor_copy(br_x509_trust_anchor *ta, struct loader *l, const br_x509_pkey *key)
{
	const br_rsa_public_key *rsa = &key->key.rsa;
	const br_ec_public_key *ec = &key->key.ec;
	int is_rsa = key->key_type == BR_KEYTYPE_RSA;
	unsigned char *p = malloc(l->dn_len + (is_rsa ? rsa->nlen + rsa->elen : ec->qlen));

	if (!p)
		return -1;
	ta->dn.data = memcpy(p, l->dn, l->dn_len);
	ta->dn.len = l->dn_len;
	ta->flags = br_x509_decoder_isCA(&l->cert) ? BR_X509_TA_CA : 0;
	ta->pkey = *key;
	p += l->dn_len;
	if (is_rsa) {
		ta->pkey.key.rsa.n = memcpy(p, rsa->n, rsa->nlen);
		ta->pkey.key.rsa.e = memcpy(p + rsa->nlen, rsa->e, rsa->elen);
	} else {
		ta->pkey.key.ec.q = memcpy(p, ec->q, ec->qlen);
	}
	return 0;
}

/* BearSSL's anchors know no name constraints: keep the certificate that has some. */
static int
keep_limits(struct loader *l)
{
	struct limited *new;

	if (!tls_cert_limited(l->der, l->len))
		return 0;
	new = malloc(sizeof *new + l->len);
	if (!new)
		return -1;
	*new = (struct limited){l->trust->limited, l->trust->count, l->len};
	memcpy(new->der, l->der, l->len);
	l->trust->limited = new;
	return 0;
}

/* -fanalyzer: malloc-leak: the trust keeps the anchors, and what hangs on them, until it is freed. */
/* Add the certificate to the anchors; one whose key or name BearSSL cannot use is passed over. */
static int
cert_end(struct loader *l)
{
	const br_x509_pkey *key = br_x509_decoder_get_pkey(&l->cert);
	struct tls_trust *t = l->trust;
	br_x509_trust_anchor *grown;

	if (!key || l->dn_len == DN_MAX || (key->key_type == BR_KEYTYPE_RSA && key->key.rsa.nlen < TLS_RSA_MIN))
		return 0;
	grown = realloc(t->anchors, (t->count + 1) * sizeof *grown);
	if (!grown)
		return -1;
	t->anchors = grown;
	if (keep_limits(l) < 0 || anchor_copy(&grown[t->count], l, key) < 0)
		return -1;
	t->count++;
	return 0;
}

/* 0; or what is wrong with the file. */
static const char *
load_pem(struct loader *l, const unsigned char *p, size_t n)
{
	br_pem_decoder_context pem;
	int in_cert = 0, event;
	const char *name;
	size_t used;

	br_pem_decoder_init(&pem);
	for (; n > 0; p += used, n -= used) {
		used = br_pem_decoder_push(&pem, p, n);
		event = br_pem_decoder_event(&pem);
		name = br_pem_decoder_name(&pem);
		if (event == BR_PEM_ERROR && in_cert)
			return "a certificate in it is damaged";
		if (event == BR_PEM_END_OBJ && in_cert && cert_end(l) < 0)
			return "out of memory";
		if (event)
			in_cert = event == BR_PEM_BEGIN_OBJ && (!strcmp(name, "CERTIFICATE") || !strcmp(name, "X509 CERTIFICATE"));
		if (event == BR_PEM_BEGIN_OBJ) {
			cert_begin(l);
			br_pem_decoder_setdest(&pem, in_cert ? cert_push : NULL, l);
		}
	}
	return in_cert ? "its last certificate is cut off" : NULL;
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

/* BearSSL keeps a CR in the object's name, and loses the last object when no newline follows. */
static size_t
unix_lines(unsigned char *p, size_t n)
{
	size_t i, len = 0;

	for (i = 0; i < n; i++)
		if (p[i] != '\r')
			p[len++] = p[i];
	p[len++] = '\n';
	return len;
}

static const char *
load_file(struct tls_trust *t, const char *path, unsigned char *text)
{
	struct loader l = {.trust = t};
	const char *why = NULL;
	ssize_t n = read_file(path, text);

	if (n < 0)
		return strerror(errno);
	if (n > FILE_MAX)
		return "it is over 4 MiB: that is no CA file";
	if (n > 0 && text[0] == 0x30) {   /* DER: a SEQUENCE */
		cert_begin(&l);
		cert_push(&l, text, (size_t)n);
		if (cert_end(&l) < 0)
			why = "out of memory";
	} else {
		why = load_pem(&l, text, unix_lines(text, (size_t)n));
	}
	return why || t->count ? why : "there is no certificate in it that can be used (PEM or DER, RSA from 2048 bits or P-256/384/521)";
}

struct tls_trust *
tls_trust_load(const char *ca_file, struct err *e)
{
	struct tls_trust *t = calloc(1, sizeof *t);
	const char *why = "out of memory";
	unsigned char *text = ca_file ? malloc(FILE_MAX + 2) : NULL;   /* only what is read becomes real memory */

	if (t && !ca_file) {
		t->built_in = 1;
		t->count = ROOTS_COUNT;
		return t;
	}
	if (t && text)
		why = load_file(t, ca_file, text);
	free(text);
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
	struct limited *l;
	size_t i;

	if (!t)
		return;
	for (i = 0; !t->built_in && i < t->count; i++)
		free(t->anchors[i].dn.data);
	while ((l = t->limited)) {
		t->limited = l->next;
		free(l);
	}
	free(t->anchors);
	free(t);
}

int
tls_trust_permits(const struct tls_trust *t, const unsigned char *der, size_t n, const struct tls_cert_host *host)
{
	const unsigned char *name = NULL;
	size_t len = tls_cert_issuer(der, n, &name);
	const struct limited *l;

	for (l = t->limited; l; l = l->next) {
		const br_x500_name *dn = &t->anchors[l->at].dn;

		if (dn->len == len && !memcmp(dn->data, name, len) && !tls_cert_permits(l->der, l->len, host))
			return 0;
	}
	return 1;
}

size_t
tls_trust_count(const struct tls_trust *t)
{
	return t->count;
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

/* One record of ROOTS, as roots.awk wrote it, becomes an anchor that has no name yet. Returns the next record.
   BearSSL's types are not const, its use of them is. */
static const unsigned char *
root_anchor(const unsigned char *record, br_x509_trust_anchor *a)
{
	static const unsigned char f4[] = {1, 0, 1};
	const unsigned char *p = record + NAME_HASH;
	int kind = p[0];
	size_t n = (size_t)(p[1] << 8 | p[2]);
	unsigned char *key = (unsigned char *)(uintptr_t)(p + 3), *e = kind == 1 ? key + n : (unsigned char *)(uintptr_t)f4;

	a->flags = BR_X509_TA_CA;
	if (kind <= 1) {
		a->pkey.key_type = BR_KEYTYPE_RSA;
		a->pkey.key.rsa = (br_rsa_public_key){key, n, e, sizeof f4};
	} else {
		a->pkey.key_type = BR_KEYTYPE_EC;
		a->pkey.key.ec = (br_ec_public_key){kind, key, n};
	}
	return key + n + (kind == 1 ? sizeof f4 : 0);
}

size_t
tls_trust_roots(const unsigned char *name, size_t len, br_x509_trust_anchor *out)
{
	const unsigned char *record = ROOTS, *at;
	unsigned char hash[HASH_SHA256_LEN];
	br_x509_trust_anchor a;
	size_t n = 0;

	hash_sha256(name, len, hash);
	while (record < ROOTS + sizeof ROOTS && n < TLS_ROOTS_OF_A_NAME) {
		at = record;
		record = root_anchor(at, &a);
		if (memcmp(at, hash, NAME_HASH) != 0)
			continue;
		a.dn = (br_x500_name){(unsigned char *)(uintptr_t)name, len};
		out[n++] = a;
	}
	return n;
}
