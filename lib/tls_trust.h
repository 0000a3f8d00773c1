#pragma once
/* What is trusted, as BearSSL wants it. Of the tls module alone; tls.h has what others call. */
#include <bearssl.h>
#include <stddef.h>
#include "tls.h"
#include "tls_cert.h"

enum { TLS_ROOTS_OF_A_NAME = 4 };   /* tls_trust.c asserts that no name has more */

struct tls_trust {
	int built_in;                    /* the built-in roots are what is trusted; else a CA file's anchors: */
	br_x509_trust_anchor *anchors;   /* allocated, as are their names and keys */
	size_t count;
	struct limited *limited;         /* those anchors that have name constraints */
};

/* The built-in roots of that name (DER), at most TLS_ROOTS_OF_A_NAME: how many. They point to name, which must outlive them. */
size_t tls_trust_roots(const unsigned char *name, size_t len, br_x509_trust_anchor *out);
/* 1 when the authority that has signed the certificate, if it has name constraints, permits the host. */
int tls_trust_permits(const struct tls_trust *t, const unsigned char *der, size_t n, const struct tls_cert_host *host);
