#pragma once
/* Parts of tls that need no BearSSL: what a certificate says, and what a failure means. For the tls module and tests. */
#include <stddef.h>
#include <stdint.h>
#include "err.h"

/* 1 when the DER certificate's subjectAltName has this iPAddress (RFC 5280 section 4.2.1.6; len 4 or 16).
   BearSSL compares dNSName entries only. Anything malformed: 0. */
int tls_cert_has_address(const unsigned char *der, size_t n, const unsigned char *addr, size_t len);
/* Validity of the DER certificate, seconds since 1970: 0, or -1 when it cannot be read. */
int tls_cert_dates(const unsigned char *der, size_t n, int64_t *not_before, int64_t *not_after);

/* Issuer's name in the DER certificate, of which the end may be missing: its length, *name pointing into der; 0 when it cannot
   be read. */
size_t tls_cert_issuer(const unsigned char *der, size_t n, const unsigned char **name);

/* What is known about a TLS failure. */
struct tls_fault {
	int code;              /* BearSSL's: 1–31 engine, 32–62 X.509, 256 + n alert received */
	const char *host;
	int host_is_address;
	int established;       /* after the handshake */
	int offered;           /* an old session was offered: the next try will not */
	int not_tls;           /* what arrived has no TLS version in its first record */
	const char *name;      /* one that the certificate is for; may be "" */
	int64_t now;
	int64_t not_before, not_after;  /* of the certificate whose dates do not fit; 0, 0: unknown */
};

/* Fills *e with cause and cure; returns -1. ERR_TLS; or ERR_NET where another try may help. */
int tls_explain(const struct tls_fault *f, struct err *e);
