#pragma once
/* TLS 1.2 over net: BearSSL with six AEAD suites, the server's name and chain checked always. There is no
   way to switch that off. One thread uses one struct tls at a time; trust and resumption state are shared. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"
#include "net.h"

/* Trust anchors: those built in, or those of a PEM file. Read-only once loaded, shared by threads. */
struct tls_trust;
/* ca_file NULL: the Mozilla roots built into the program. Else every certificate in the file (a bundle;
   non-CA certificates count as anchors too, so that a self-signed server certificate can be named), of one name the first 32.
   NULL on error: ERR_USAGE naming the file (unreadable, one damaged, or none that can be used). Free with tls_trust_free. */
struct tls_trust *tls_trust_load(const char *ca_file, struct err *e);
void tls_trust_free(struct tls_trust *t);
/* How many there are that BearSSL can use; each is decoded. For tests. */
size_t tls_trust_count(const struct tls_trust *t);
/* Date of the built-in roots, "2023-12-11", and BearSSL's version, for --version. */
const char *tls_roots_date(void);
const char *tls_library(void);

/* The last session with one server under one trust, for resumption (by session id). Zero-initialisable;
   its lock too; threads share one for each host. Wipe with explicit_bzero. */
struct tls_session {
	pthread_mutex_t lock;
	int have;
	int shaking;                /* somebody makes the first one */
	int never;                  /* the server gives none */
	unsigned char params[128];  /* tls_engine.c asserts that BearSSL's fit */
};

/* A connection's TLS state, 174 KB, of which 50 are touched only by what sends large bodies. tls_new returns NULL only when memory is out. */
struct tls;
struct tls *tls_new(void);
void tls_free(struct tls *t);   /* wipes; NULL is fine; does not touch the net */

/* Handshake over a connected n, which must outlive t and not move. host is sent as SNI and must match the
   certificate (a trailing dot is ignored; never empty); an address, in brackets or not, must be among the
   certificate's iPAddress names, and is no SNI. now is the time for validity dates, 0 the system's.
   session may be NULL. 0, or -1: ERR_TLS with the certificate rule that failed and what to do, ERR_NET when
   the connection broke. */
struct tls_params {
	const char *host;
	const struct tls_trust *trust;
	struct tls_session *session;
	int64_t now;
};
int tls_handshake(struct tls *t, struct net *n, const struct tls_params *p, struct err *e);

/* Room for application data inside the record being filled: *p and *n (> 0), so that a file can be read
   straight into it. 1; or 0 when nothing could be sent because the peer has spoken first: read that now
   (an answer to an unfinished request); or -1 (ERR_NET). The pointer is valid until the next call. */
int tls_reserve(struct tls *t, unsigned char **p, size_t *n, struct err *e);
/* The first n bytes of the room are data. A full record is sealed; it goes out with a later call. */
void tls_commit(struct tls *t, size_t n);
/* Seal what is there and send everything. 1; 0 when the peer has spoken first; -1 (ERR_NET). */
int tls_flush(struct tls *t, struct err *e);

/* At least one byte of application data; 0 after the peer's close_notify; -1 with ERR_NET — also for a FIN
   without close_notify, whose message says "truncated". */
ssize_t tls_read(struct tls *t, void *buf, size_t n, struct err *e);
/* 1 when an idle connection can be used again: nothing arrived, not even a FIN. */
int tls_idle(struct tls *t);
/* 1 when the peer's close_notify has been read. */
int tls_ended(const struct tls *t);

/* close_notify, sent if that needs no waiting. Never blocks, never spins (br_sslio_close would). */
void tls_close(struct tls *t);

/* What was agreed, for -v and the doctor: "TLS 1.2, ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", resumed or not. */
struct tls_info {
	const char *suite;
	int resumed;
	int64_t until;             /* when the server's certificate ends, seconds since 1970; 0: a resumed session, which shows none */
	const char *issuer;        /* who signed it, printable; "" when that is not known */
};
void tls_info(const struct tls *t, struct tls_info *info);
