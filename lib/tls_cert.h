#pragma once
/* What a certificate says that BearSSL does not look at. Needs no BearSSL; for the tls module and tests. A certificate is its DER;
   what is malformed never counts in the server's favour. */
#include <stddef.h>
#include <stdint.h>
#include "buf.h"

/* Error numbers as BearSSL's, and one of ours that it does not use. */
enum { TLS_WRONG_USAGE = 28, TLS_MALFORMED = 41, TLS_BAD_NAME = 56, TLS_NOT_PERMITTED = 61 };

/* Whom the certificate has to be for. */
struct tls_cert_host {
	const char *name;
	const unsigned char *addr;   /* its bytes, when the host is an address; */
	size_t addr_len;             /* 4, 16, or 0: a name */
};

/* Its public key, in place. */
struct tls_cert_key {
	int curve;                   /* TLS's number of it (RFC 8422 section 5.1.1): P-256, P-384 or P-521; 0: RSA */
	const unsigned char *p;      /* the point, or RSA's modulus; */
	size_t n;
	const unsigned char *e;      /* and its exponent, both without zeros before them */
	size_t e_len;
};

/* Extended key usage; of the leaf also that there is a subjectAltName (a common name does not count, RFC 9110 section 4.3.4) and the
   address in it; of an authority its name constraints. That a name matches is BearSSL's. 0, or the number of what is wrong. */
int tls_cert_check(const unsigned char *der, size_t n, const struct tls_cert_host *host, int leaf);
/* 1 when the subjectAltName has this iPAddress (RFC 5280 section 4.2.1.6; len 4 or 16). BearSSL compares dNSName entries only. */
int tls_cert_has_address(const unsigned char *der, size_t n, const unsigned char *addr, size_t len);
/* 1 when the name constraints (RFC 5280 section 4.2.1.10), if there are any, permit the host. */
int tls_cert_permits(const unsigned char *der, size_t n, const struct tls_cert_host *host);
/* 0, or -1 when the key is of another kind or cannot be read. */
int tls_cert_key(const unsigned char *der, size_t n, struct tls_cert_key *key);
/* Basic constraints: 1 for an authority's certificate, 0 for another one; -1 when its extensions are malformed. */
int tls_cert_is_authority(const unsigned char *der, size_t n);
/* Validity, seconds since 1970: 0, or -1 when it cannot be read. */
int tls_cert_dates(const unsigned char *der, size_t n, int64_t *not_before, int64_t *not_after);
/* Issuer's or subject's name in the certificate, of which the end may be missing: its length, *name pointing into der; 0 when it
   cannot be read. */
size_t tls_cert_issuer(const unsigned char *der, size_t n, const unsigned char **name);
size_t tls_cert_subject(const unsigned char *der, size_t n, const unsigned char **name);
/* Length of the certificate that begins there, as its own beginning says; 0 when none does or its end is missing. */
size_t tls_cert_len(const unsigned char *der, size_t n);
/* For people: the issuer's organization and common name, printable, as far as there is room; nothing when it cannot be read. */
void tls_cert_issuer_text(const unsigned char *der, size_t n, struct buf *out);
