#pragma once
/* AES-GCM's two loops for processors with CPU_GCM, eight or sixteen blocks under way at once: faster than BearSSL's, which has none
   for ARM. In BearSSL's own form, for br_ssl_engine_set_aes_ctr and br_ssl_engine_set_ghash. Constant time: no table, no branch that
   depends on the data. */
#include <bearssl.h>

#if defined __x86_64__ || (defined __aarch64__ && defined __AARCH64EL__)
#define TLS_GCM   /* there are such processors, and these two */
#endif

/* NIST SP 800-38A section 6.5, the counter being the last 32 bits. Its context is a br_aes_gen_ctr_keys. */
extern const br_block_ctr_class tls_gcm_ctr;
/* NIST SP 800-38D section 6.4. */
void tls_gcm_ghash(void *y, const void *h, const void *data, size_t n);
