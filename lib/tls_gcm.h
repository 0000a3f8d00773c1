#pragma once
/* AES-GCM's two loops for processors with CPU_VAES, the long stretches only: two blocks in each register, 16 (CTR) and 8 (GHASH)
   blocks under way at once. Constant time: no table, no branch that depends on the data. For tls_engine.c, which leaves the rest to BearSSL. */
#include <stddef.h>
#include <stdint.h>

/* Both return how many bytes of data they did, a multiple of 16 and perhaps 0: from the beginning on. */

/* XOR with the key stream. keys: rounds + 1 round keys of 16 bytes; iv: 12 bytes; counter: of the first block (it wraps, as GCM's). */
size_t tls_gcm_ctr(const unsigned char *keys, unsigned rounds, const void *iv, uint32_t counter, void *data, size_t n);
/* y := (y + data) · h, block by block (NIST SP 800-38D section 6.4); y and h: 16 bytes. */
size_t tls_gcm_ghash(void *y, const void *h, const void *data, size_t n);
