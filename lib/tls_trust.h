#pragma once
/* What is trusted, as BearSSL wants it. Of the tls module alone; tls.h has what others call. */
#include <bearssl.h>
#include <stddef.h>
#include "tls.h"
#include "tls_cert.h"

enum { TLS_ANCHORS = 32 };   /* for one certificate; of more in a CA file with its issuer's name, the first ones */

struct tls_anchors {
	size_t n;
	int forbidden;           /* an authority of the issuer's name may not sign for the host */
	br_x509_trust_anchor anchor[TLS_ANCHORS];
};

/* The anchors that may have signed the certificate, or be it: those with the name of its issuer, or its own. The certificate's end
   may be missing: 0 when it does not reach beyond its names. They point into trust and certificate, which must outlive them. */
int tls_trust_find(const struct tls_trust *t, const unsigned char *der, size_t n, const struct tls_cert_host *host,
	struct tls_anchors *out);
