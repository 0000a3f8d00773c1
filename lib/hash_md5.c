#include <endian.h>
#include <string.h>
#include "cpu.h"
#include "hash.h"

typedef uint32_t four __attribute__((vector_size(16)));
typedef uint32_t eight __attribute__((vector_size(32)));

#if defined __x86_64__

#define LONG_REGISTERS __attribute__((target("avx2")))
/* Compilers leave this out where they save space; without it all SSE code that follows is slow. */
#define LONG_REGISTERS_END __builtin_ia32_vzeroupper()
#define LONG_SUMMED(x) __asm__("" : "+x"(x))

/* With SSE2's registers it would be no more than twice as fast as one after the other: not worth the space. */
static int
side_by_side(void)
{
	return (cpu_has() & CPU_AVX2) != 0;
}

#else

/* Compilers make of it what the machine has: NEON, or plain registers. */
#define LONG_REGISTERS
#define LONG_REGISTERS_END ((void)0)
#define LONG_SUMMED(x) ((void)0)

static int
side_by_side(void)
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

/* b is what the step before made, and everything waits for it: a function's part without b is summed first, with all else that needs no b.
   The two parts of G have no bit in common. */
#define F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define G(b, c, d) ((b) & (d))
#define H(b, c, d) ((b) ^ ((c) ^ (d)))
#define I(b, c, d) ((c) ^ ((b) | ~(d)))
#define F_FIRST(c, d) 0
#define G_FIRST(c, d) ((c) & ~(d))
#define H_FIRST(c, d) 0
#define I_FIRST(c, d) 0

/* Step i of 64 takes word (i·mul + plus) mod 16 and turns by s. SUMMED(a): compilers would sum in another order. */
#define STEP(f, a, b, c, d, i, s, mul, plus) \
	(a) += w[((i) * (mul) + (plus)) % 16] + sines[i] + f##_FIRST(c, d); \
	SUMMED(a); \
	(a) += f(b, c, d); \
	(a) = ((a) << (s) | (a) >> (32 - (s))) + (b)
#define ROUND(f, from, s1, s2, s3, s4, mul, plus) \
	for (unsigned i = (from); i < (from) + 16; i += 4) { \
		STEP(f, a, b, c, d, i, s1, mul, plus); \
		STEP(f, d, a, b, c, i + 1, s2, mul, plus); \
		STEP(f, c, d, a, b, i + 2, s3, mul, plus); \
		STEP(f, b, c, d, a, i + 3, s4, mul, plus); \
	}
/* Words w of a block into the state v, which may be that of several streams. */
#define BLOCK(v, w) \
	a = (v)[0], b = (v)[1], c = (v)[2], d = (v)[3]; \
	ROUND(F, 0, 7, 12, 17, 22, 1, 0) \
	ROUND(G, 16, 5, 9, 14, 20, 5, 1) \
	ROUND(H, 32, 4, 11, 16, 23, 3, 5) \
	ROUND(I, 48, 6, 10, 15, 21, 7, 0) \
	(v)[0] += a, (v)[1] += b, (v)[2] += c, (v)[3] += d

#define SUMMED(x) __asm__("" : "+r"(x))
static void
md5_one(uint32_t v[4], const unsigned char *p, size_t blocks)
{
	uint32_t a, b, c, d, w[16];

	for (; blocks; blocks--, p += 64) {
		memcpy(w, p, 64);
		for (unsigned i = 0; i < 16; i++)
			w[i] = le32toh(w[i]);
		BLOCK(v, w);
	}
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
transpose(eight w[16], const unsigned char *const p[HASH_MD5_MANY], size_t at)
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

#undef SUMMED
#define SUMMED LONG_SUMMED
/* state[i][k]: word i (RFC 1321: A B C D) of stream k. */
LONG_REGISTERS static void
md5_many(uint32_t state[4][HASH_MD5_MANY], const unsigned char *const p[HASH_MD5_MANY], size_t blocks)
{
	eight a, b, c, d, v[4], w[16];

	memcpy(v, state, sizeof v);
	for (size_t n = 0; n < blocks; n++) {
		transpose(w, p, 64 * n);
		BLOCK(v, w);
	}
	memcpy(state, v, sizeof v);
	LONG_REGISTERS_END;
}

/* Lanes without a stream of their own repeat the last one's, for nothing. */
static void
update_lanes(struct hash_md5 *const *c, const void *const *data, size_t blocks, unsigned count)
{
	uint32_t state[4][HASH_MD5_MANY];
	const unsigned char *p[HASH_MD5_MANY];

	for (unsigned k = 0; k < HASH_MD5_MANY; k++) {
		unsigned from = k < count ? k : count - 1;

		p[k] = data[from];
		for (unsigned i = 0; i < 4; i++)
			state[i][k] = c[from]->state[i];
	}
	md5_many(state, p, blocks);
	for (unsigned k = 0; k < count; k++) {
		for (unsigned i = 0; i < 4; i++)
			c[k]->state[i] = state[i][k];
		c[k]->length += blocks * 64;
	}
}

void
hash_md5_init(struct hash_md5 *c)
{
	*c = (struct hash_md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void
hash_md5_update(struct hash_md5 *c, const void *data, size_t n)
{
	const unsigned char *p = data;
	size_t begun = c->length % 64, rest = n < 64 - begun ? n : 64 - begun;

	c->length += n;
	if (begun) {
		memcpy(c->block + begun, p, rest);
		if (begun + rest < 64)
			return;
		md5_one(c->state, c->block, 1);
		p += rest;
		n -= rest;
	}
	md5_one(c->state, p, n / 64);
	memcpy(c->block, p + n / 64 * 64, n % 64);
}

void
hash_md5_update_many(struct hash_md5 *const *c, const void *const *data, size_t n, unsigned count)
{
	size_t blocks = count > 1 && side_by_side() ? n / 64 : 0;

	for (unsigned k = 0; k < count; k++)
		if (c[k]->length % 64)
			blocks = 0;
	if (blocks)
		update_lanes(c, data, blocks, count);
	for (unsigned k = 0; k < count; k++)
		hash_md5_update(c[k], (const unsigned char *)data[k] + blocks * 64, n - blocks * 64);
}

void
hash_md5_out(const struct hash_md5 *c, unsigned char out[HASH_MD5_LEN])
{
	static const unsigned char padding[64] = {0x80};
	struct hash_md5 last = *c;
	uint64_t bits = htole64(c->length * 8);

	hash_md5_update(&last, padding, 1 + (119 - c->length % 64) % 64);
	hash_md5_update(&last, &bits, sizeof bits);
	for (unsigned i = 0; i < 4; i++)
		last.state[i] = htole32(last.state[i]);
	memcpy(out, last.state, HASH_MD5_LEN);
}
