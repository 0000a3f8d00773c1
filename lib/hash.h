#pragma once
/* Checksums and digests. Contexts are the caller's; nothing allocates; nothing fails. */
#include <stddef.h>
#include <stdint.h>

enum { HASH_MD5_LEN = 16, HASH_SHA256_LEN = 32 };

/* MD5, RFC 1321. The fields are hash_md5.c's: the state after all whole blocks, and the beginning of the next. */
struct hash_md5 {
	uint32_t state[4];
	uint64_t length;
	unsigned char block[64];
};

void hash_md5_init(struct hash_md5 *c);
void hash_md5_update(struct hash_md5 *c, const void *data, size_t n);
/* As hash_md5_update with n bytes of its own for each of up to HASH_MD5_MANY contexts, which takes little longer than for one. */
enum { HASH_MD5_MANY = 8 };
void hash_md5_update_many(struct hash_md5 *const *c, const void *const *data, size_t n, unsigned count);
/* The digest of everything so far; the context may go on afterwards. */
void hash_md5_out(const struct hash_md5 *c, unsigned char out[HASH_MD5_LEN]);

/* Storage for BearSSL's context without its header (hash_sha256.c asserts that it fits). */
struct hash_sha256 { uint64_t opaque[16]; };
void hash_sha256_init(struct hash_sha256 *c);
void hash_sha256_update(struct hash_sha256 *c, const void *data, size_t n);
void hash_sha256_out(const struct hash_sha256 *c, unsigned char out[HASH_SHA256_LEN]);
/* One call for what is in memory. */
void hash_sha256(const void *data, size_t n, unsigned char out[HASH_SHA256_LEN]);

/* HMAC-SHA-256, RFC 2104. out may be key. */
void hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
	unsigned char out[HASH_SHA256_LEN]);

/* CRC-32C (Castagnoli, RFC 3720 B.4), continued from crc (0 at the start). A CPU instruction on
   x86-64 with SSE4.2 and on ARMv8 with CRC, three streams interleaved; a table elsewhere, chosen at run time. */
uint32_t hash_crc32c(uint32_t crc, const void *data, size_t n);
/* The portable table, for the test that holds the two against each other. */
uint32_t hash_crc32c_table(uint32_t crc, const void *data, size_t n);
