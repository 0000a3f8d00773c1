#include <bearssl.h>
#include <string.h>
#include "cpu.h"
#include "hash.h"

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct hash_sha256), "hash_sha256 too small");
_Static_assert(_Alignof(br_sha256_context) <= _Alignof(struct hash_sha256), "alignment");

enum { BLOCK = 64 };

/* What differs between processors: four rounds, of which k has the words and constants; and what comes sixteen words after a. */
#if defined __x86_64__

#include <immintrin.h>
#define SHA_TARGET __attribute__((target("sha,sse4.1")))
typedef __m128i quad;
#define LOAD(p) _mm_loadu_si128((const void *)(p))
#define WORDS(p) _mm_shuffle_epi8(LOAD(p), _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))
#define ADD _mm_add_epi32
#define LATER(a, b, c, d) _mm_sha256msg2_epu32(ADD(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)), d)

/* The instruction has words A, B, E, F of the state in one register and C, D, G, H in the other, each the last one lowest. */
SHA_TARGET static void
from_state(const uint32_t state[8], quad *x, quad *y)
{
	quad cdab = _mm_shuffle_epi32(LOAD(state), 0xB1), efgh = _mm_shuffle_epi32(LOAD(state + 4), 0x1B);

	*x = _mm_alignr_epi8(cdab, efgh, 8);
	*y = _mm_blend_epi16(efgh, cdab, 0xF0);
}

SHA_TARGET static void
to_state(uint32_t state[8], quad x, quad y)
{
	quad feba = _mm_shuffle_epi32(x, 0x1B), dchg = _mm_shuffle_epi32(y, 0xB1);

	_mm_storeu_si128((void *)state, _mm_blend_epi16(feba, dchg, 0xF0));
	_mm_storeu_si128((void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHA_TARGET static inline __attribute__((always_inline)) void
rounds(quad *x, quad *y, quad k)
{
	*y = _mm_sha256rnds2_epu32(*y, *x, k);
	*x = _mm_sha256rnds2_epu32(*x, *y, _mm_shuffle_epi32(k, 0x0E));
}

#elif defined __aarch64__ && defined __AARCH64EL__

#include <arm_neon.h>
#define SHA_TARGET __attribute__((target("+crypto")))
typedef uint32x4_t quad;
#define LOAD vld1q_u32
#define WORDS(p) vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p)))
#define ADD vaddq_u32
#define LATER(a, b, c, d) vsha256su1q_u32(vsha256su0q_u32(a, b), c, d)

SHA_TARGET static void
from_state(const uint32_t state[8], quad *x, quad *y)
{
	*x = LOAD(state);
	*y = LOAD(state + 4);
}

SHA_TARGET static void
to_state(uint32_t state[8], quad x, quad y)
{
	vst1q_u32(state, x);
	vst1q_u32(state + 4, y);
}

SHA_TARGET static inline __attribute__((always_inline)) void
rounds(quad *x, quad *y, quad k)
{
	quad was = *x;

	*x = vsha256hq_u32(was, *y, k);
	*y = vsha256h2q_u32(*y, was, k);
}

#endif

#ifdef SHA_TARGET

/* FIPS 180-4, section 4.2.2. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define FOUR(a, b, c, d, i) rounds(&x, &y, ADD(a, LOAD(constants + (i)))), (a) = LATER(a, b, c, d)

SHA_TARGET static void
compress(uint32_t state[8], const unsigned char *p, size_t blocks)
{
	quad x, y;

	from_state(state, &x, &y);
	for (; blocks; blocks--, p += BLOCK) {
		quad a = WORDS(p), b = WORDS(p + 16), c = WORDS(p + 32), d = WORDS(p + 48), x0 = x, y0 = y;

		for (int i = 0; i < 64; i += 16) {
			FOUR(a, b, c, d, i);
			FOUR(b, c, d, a, i + 4);
			FOUR(c, d, a, b, i + 8);
			FOUR(d, a, b, c, i + 12);
		}
		x = ADD(x, x0);
		y = ADD(y, y0);
	}
	to_state(state, x, y);
}

#else

static void
compress(uint32_t state[8], const unsigned char *p, size_t blocks)
{
	(void)state, (void)p, (void)blocks;
}

#endif

void
hash_sha256_init(struct hash_sha256 *c)
{
	br_sha256_init((br_sha256_context *)c);
}

/* Whole blocks by the processor's instructions, where it has them, the rest by BearSSL. */
void
hash_sha256_update(struct hash_sha256 *h, const void *data, size_t n)
{
	br_sha256_context *c = (br_sha256_context *)h;
	const unsigned char *p = data;
	size_t missing = -c->count % BLOCK, whole;

	if (n >= missing + BLOCK && cpu_has() & CPU_SHA256) {
		br_sha256_update(c, p, missing);
		whole = (n - missing) / BLOCK * BLOCK;
		compress(c->val, p + missing, whole / BLOCK);
		c->count += whole;
		p += missing + whole;
		n -= missing + whole;
	}
	br_sha256_update(c, p, n);
}

void
hash_sha256_out(const struct hash_sha256 *c, unsigned char out[HASH_SHA256_LEN])
{
	br_sha256_out((const br_sha256_context *)c, out);
}

void
hash_sha256(const void *data, size_t n, unsigned char out[HASH_SHA256_LEN])
{
	struct hash_sha256 c;

	hash_sha256_init(&c);
	hash_sha256_update(&c, data, n);
	hash_sha256_out(&c, out);
}

/* What BearSSL's functions have left below us on the stack: padded keys and states. */
static __attribute__((noinline)) void
wipe_stack(void)
{
	unsigned char below[1024];

	explicit_bzero(below, sizeof below);
}

/* The contexts are wiped: whoever has their state can sign as if he had the key. */
void
hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t n,
	unsigned char out[HASH_SHA256_LEN])
{
	br_hmac_key_context k;
	br_hmac_context c;

	br_hmac_key_init(&k, &br_sha256_vtable, key, key_len);
	br_hmac_init(&c, &k, 0);
	br_hmac_update(&c, data, n);
	br_hmac_out(&c, out);
	explicit_bzero(&k, sizeof k);
	explicit_bzero(&c, sizeof c);
	wipe_stack();
}
