#pragma once
/* What a TLS failure means: the part of tls that tells the user. Needs no BearSSL. */
#include <stdint.h>
#include "err.h"

/* What is known about a TLS failure. */
struct tls_fault {
	int code;              /* BearSSL's: 1–31 engine, 32–62 X.509 (61 ours), 256 + n alert received */
	const char *host;
	int host_is_address;
	int established;       /* after the handshake */
	int offered;           /* an old session was offered: the next try will not */
	int not_tls;           /* what arrived has no TLS version in its first record */
	const char *name;      /* one that the certificate is for; may be "" */
	int no_san;            /* the certificate has no subjectAltName */
	int64_t now;
	int64_t not_before, not_after;  /* of the certificate whose dates do not fit; 0, 0: unknown */
};

/* Fills *e with cause and cure; returns -1. ERR_TLS; or ERR_NET where another try may help. */
int tls_explain(const struct tls_fault *f, struct err *e);
