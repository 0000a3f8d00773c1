#pragma once
/* BearSSL's engine as it is used here: which algorithms, seeds, resumption. Of the tls module alone. */
#include <bearssl.h>
#include "err.h"
#include "tls.h"

/* P-256, P-384 and P-521. */
extern const br_ec_impl tls_ec;

enum { TLS_RSA_MIN = 256, TLS_RSA_MAX = 512 };   /* bytes of an RSA modulus: 2048 bits, and what BearSSL has room for */
/* BearSSL's, but with exponent 1, for which anybody makes signatures, none is right. */
uint32_t tls_rsa_vrfy(const unsigned char *sig, size_t n, const unsigned char *hash_oid, size_t hash_len, const br_rsa_public_key *key,
	unsigned char *hash);

/* Everything but the certificates and buffers. */
void tls_engine_init(br_ssl_client_context *cc);
/* From the kernel: 0 or -1 (ERR_LOCAL). */
int tls_engine_seed(br_ssl_engine_context *eng, struct err *e);
/* "TLS 1.2, ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" */
const char *tls_suite_name(unsigned id);

/* Connections that begin together each pay for a whole handshake, nearly all of a small upload's processor time; behind the first one they
   resume. Wait while another connection makes the first session, but not long, nor once *stop is set (NULL: never). 1: this connection makes
   it, tls_session_made must follow, whatever came of it; else 0. */
int tls_session_await(struct tls_session *s, const int *stop);
void tls_session_made(struct tls_session *s);

/* Offer the last session with this server: 1, or 0 when there is none. */
int tls_session_offer(struct tls_session *s, br_ssl_engine_context *eng);
/* After a handshake that succeeded, keep what was agreed for the next; after one that did not, forget. */
void tls_session_keep(struct tls_session *s, const br_ssl_engine_context *eng, int established);
