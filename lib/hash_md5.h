#pragma once
/* MD5's compression of eight streams at once, in the lanes of vector registers: one stream alone waits for its own sums most of
   the time. For hash.c alone. */
#include <stddef.h>
#include <stdint.h>

enum { HASH_MD5_LANES = 8 };

/* 0: this machine cannot, hash_md5_blocks must not be called. */
int hash_md5_side_by_side(void);
/* state[i][k]: word i of stream k (RFC 1321: A B C D). p[k]: blocks times 64 bytes of stream k. */
void hash_md5_blocks(uint32_t state[4][HASH_MD5_LANES], const unsigned char *const p[HASH_MD5_LANES], size_t blocks);
