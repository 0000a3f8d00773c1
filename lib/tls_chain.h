#pragma once
/* The server's certificates: stands between BearSSL's engine and its validation, which always runs. It adds what that does not
   look at (tls_cert_check), and which dates and names it did not like. Of the tls module alone. */
#include <bearssl.h>
#include <stddef.h>
#include <stdint.h>
#include "tls.h"
#include "tls_cert.h"
#include "tls_trust.h"

enum { TLS_CERT_MAX = 32768 };   /* a certificate; a longer one is refused */

struct tls_chain {
	const br_x509_class *vtable;   /* first: so BearSSL finds its methods */
	br_x509_minimal_context minimal;
	br_name_element names[2];
	char san[128], cn[128];
	const struct tls_trust *trust;
	struct tls_cert_host host;
	unsigned char addr[16];
	int count;                     /* certificates so far */
	int trusted;                   /* what comes now stands beyond the one that an anchor has signed */
	int wrong;                     /* what BearSSL does not look at: 0 or an error number */
	int64_t now, not_before, not_after;   /* of the first one whose dates do not fit */
	int64_t leaf_until;
	char leaf_issuer[128];
	int known;                     /* the anchors of this certificate, whose names have arrived */
	struct tls_anchors anchors;
	size_t len;
	unsigned char cert[TLS_CERT_MAX];
};

/* For one handshake with host, which is without brackets. Does not move afterwards. */
void tls_chain_init(struct tls_chain *c, const struct tls_params *p, const char *host);
