#pragma once
/* What is trusted, as BearSSL wants it. Of the tls module alone; tls.h has what others call. */
#include <bearssl.h>
#include <stddef.h>
#include "tls.h"

enum { TLS_ROOTS_OF_A_NAME = 4 };   /* tls_trust.c asserts that no name has more */

struct tls_trust {
	int built_in;                    /* the built-in roots are what is trusted; else a CA file's anchors: */
	br_x509_trust_anchor *anchors;   /* allocated, as are their names and keys */
	size_t count;
};

/* The built-in roots of that name (DER), at most TLS_ROOTS_OF_A_NAME: how many. They point to name, which must outlive them. */
size_t tls_trust_roots(const unsigned char *name, size_t len, br_x509_trust_anchor *out);
