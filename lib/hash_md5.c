#include <string.h>
#include "cpu.h"
#include "hash_md5.h"

typedef uint32_t four __attribute__((vector_size(16), may_alias));
typedef uint32_t eight __attribute__((vector_size(32)));

#if defined __x86_64__

#define LONG_REGISTERS __attribute__((target("avx2")))
/* Compilers leave this out where they save space; without it all SSE code that follows is slow. */
#define LONG_REGISTERS_END __builtin_ia32_vzeroupper()
/* Compilers would sum in another order. */
#define SUMMED(x) __asm__("" : "+x"(x))

/* With SSE2's registers it would be no more than twice as fast as one after the other: not worth the space. */
int
hash_md5_side_by_side(void)
{
	return (cpu_has() & CPU_AVX2) != 0;
}

#else

/* Compilers make of it what the machine has: NEON, or plain registers. */
#define LONG_REGISTERS
#define LONG_REGISTERS_END ((void)0)
#define SUMMED(x) ((void)0)

int
hash_md5_side_by_side(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

#endif

/* floor(2^32 · |sin(i + 1)|), RFC 1321 section 3.4 */
static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/* b is what the step before made, and all wait for it: what can be done without b stands apart. The two halves of G have no bit in common. */
#define F(a, b, c, d) (a) += (d) ^ ((b) & ((c) ^ (d)))
#define G(a, b, c, d) (a) += (c) & ~(d); SUMMED(a); (a) += (b) & (d)
#define H(a, b, c, d) (a) += (b) ^ ((c) ^ (d))
#define I(a, b, c, d) (a) += (c) ^ ((b) | ~(d))

/* Step i of 64 takes word (i·mul + plus) mod 16 and turns by s. */
#define STEP(f, a, b, c, d, i, s, mul, plus) \
	(a) += w[((i) * (mul) + (plus)) % 16] + sines[i]; \
	SUMMED(a); \
	f(a, b, c, d); \
	(a) = ((a) << (s) | (a) >> (32 - (s))) + (b)
#define ROUND(f, from, s1, s2, s3, s4, mul, plus) \
	for (unsigned i = (from); i < (from) + 16; i += 4) { \
		STEP(f, a, b, c, d, i, s1, mul, plus); \
		STEP(f, d, a, b, c, i + 1, s2, mul, plus); \
		STEP(f, c, d, a, b, i + 2, s3, mul, plus); \
		STEP(f, b, c, d, a, i + 3, s4, mul, plus); \
	}

/* Four words of a stream, and of the one four further on. */
LONG_REGISTERS static inline eight
both(const unsigned char *const *p, size_t at)
{
	four low, high;

	memcpy(&low, p[0] + at, 16);
	memcpy(&high, p[4] + at, 16);
	return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

/* w[i] := word i of this block, of all streams: four by four. */
LONG_REGISTERS static inline void
transpose(eight w[16], const unsigned char *const p[HASH_MD5_LANES], size_t at)
{
	for (unsigned k = 0; k < 16; k += 4, at += 16) {
		eight a = both(p, at), b = both(p + 1, at), c = both(p + 2, at), d = both(p + 3, at), ab, cd;

		ab = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
		cd = __builtin_shufflevector(c, d, 0, 8, 1, 9, 4, 12, 5, 13);
		w[k] = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
		w[k + 1] = __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
		ab = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
		cd = __builtin_shufflevector(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
		w[k + 2] = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
		w[k + 3] = __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
	}
}

LONG_REGISTERS void
hash_md5_blocks(uint32_t state[4][HASH_MD5_LANES], const unsigned char *const p[HASH_MD5_LANES], size_t blocks)
{
	eight v[4], w[16];

	memcpy(v, state, sizeof v);
	for (size_t n = 0; n < blocks; n++) {
		eight a = v[0], b = v[1], c = v[2], d = v[3];

		transpose(w, p, 64 * n);
		ROUND(F, 0, 7, 12, 17, 22, 1, 0)
		ROUND(G, 16, 5, 9, 14, 20, 5, 1)
		ROUND(H, 32, 4, 11, 16, 23, 3, 5)
		ROUND(I, 48, 6, 10, 15, 21, 7, 0)
		v[0] += a;
		v[1] += b;
		v[2] += c;
		v[3] += d;
	}
	memcpy(state, v, sizeof v);
	LONG_REGISTERS_END;
}
