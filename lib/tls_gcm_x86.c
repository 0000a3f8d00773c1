#include "tls_gcm.h"

#if defined __x86_64__

#include <immintrin.h>

/* The long stretches only, two blocks in each register: the rest is BearSSL's. */
#define VAES __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))
#define INLINE static inline __attribute__((always_inline)) VAES
/* Eight at once: a round takes several cycles, but one or two can begin in each. */
#define EIGHT(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7)
enum { CTR_STEP = 8 * 32, GHASH_STEP = 4 * 32 };

INLINE __m256i
both(__m128i x)
{
	return _mm256_broadcastsi128_si256(x);
}

INLINE __m128i
load(const void *p)
{
	return _mm_loadu_si128(p);
}

INLINE __m256i
load_two(const unsigned char *p)
{
	return _mm256_loadu_si256((const void *)p);
}

#define BEGIN(i) __m256i x##i = _mm256_shuffle_epi8(count, swap) ^ key; count = _mm256_add_epi32(count, two);
#define ROUND(i) x##i = _mm256_aesenc_epi128(x##i, key);
#define END(i) _mm256_storeu_si256((void *)(p + 32 * (i)), _mm256_aesenclast_epi128(x##i, key ^ load_two(p + 32 * (i))));

/* How many bytes it did. */
VAES static size_t
gcm_ctr(const unsigned char *keys, unsigned rounds, const void *iv, uint32_t counter, void *data, size_t n)
{
	/* The counter is the last word, and the only one that is big-endian. */
	const __m256i swap = both(_mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
	const __m256i two = both(_mm_set_epi32(2, 0, 0, 0));
	unsigned char *p = data, *end = p + n / CTR_STEP * CTR_STEP, first[16];
	__m256i count, key;
	unsigned r;

	__builtin_memcpy(first, iv, 12);
	__builtin_memcpy(first + 12, &counter, 4);
	count = _mm256_add_epi32(both(load(first)), _mm256_set_epi32(1, 0, 0, 0, 0, 0, 0, 0));
	for (; p < end; p += CTR_STEP) {
		key = both(load(keys));
		EIGHT(BEGIN)
		for (r = 1; r < rounds; r++) {
			key = both(load(keys + 16 * r));
			EIGHT(ROUND)
		}
		key = both(load(keys + 16 * r));
		EIGHT(END)
	}
	/* Compilers leave this out where they save space; without it all SSE code that follows is slow. */
	_mm256_zeroupper();
	return n / CTR_STEP * CTR_STEP;
}

static uint32_t
ctr_run(const br_block_ctr_class *const *ctx, const void *iv, uint32_t counter, void *data, size_t n)
{
	const br_aes_x86ni_ctr_keys *k = (const void *)ctx;
	size_t done = gcm_ctr(k->skey.skni, k->num_rounds, iv, counter, data, n);

	return br_aes_x86ni_ctr_run(k, iv, counter + (uint32_t)(done / 16), (char *)data + done, n - done);
}

static void
ctr_init(const br_block_ctr_class **ctx, const void *key, size_t n)
{
	br_aes_x86ni_ctr_init((void *)ctx, key, n);
	*ctx = &tls_gcm_ctr;
}

const br_block_ctr_class tls_gcm_ctr = {sizeof (br_aes_x86ni_ctr_keys), 16, 4, ctr_init, ctr_run};

/* GHASH's bits are the other way round than the instruction's, which comes to a factor of x in each product. h is divided by it in
   advance, so that nothing has to be shifted later. (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction"; the fold by
   two products is from Linux' aes-gcm-vaes-avx2.) */
INLINE __m128i
halved(__m128i h)
{
	const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000, 1);
	__m128i carry = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xff);

	h = _mm_slli_epi64(h, 1) | _mm_slli_si128(_mm_srli_epi64(h, 63), 8);
	return h ^ (carry & poly);
}

/* 256 bits of a product, modulo the polynomial; middle is to be added 64 bits further up than low. In each half on its own. */
INLINE __m256i
fold(__m256i low, __m256i middle, __m256i high)
{
	const __m256i poly = both(_mm_set_epi64x((long long)0xc200000000000000, 1));

	middle ^= _mm256_shuffle_epi32(low, 0x4e) ^ _mm256_clmulepi64_epi128(poly, low, 0x01);
	return high ^ _mm256_shuffle_epi32(middle, 0x4e) ^ _mm256_clmulepi64_epi128(poly, middle, 0x01);
}

INLINE __m256i
multiply(__m256i a, __m256i b)
{
	__m256i middle = _mm256_clmulepi64_epi128(a, b, 0x01) ^ _mm256_clmulepi64_epi128(a, b, 0x10);

	return fold(_mm256_clmulepi64_epi128(a, b, 0x00), middle, _mm256_clmulepi64_epi128(a, b, 0x11));
}

INLINE __m256i
swapped_sum(__m256i x)
{
	return x ^ _mm256_shuffle_epi32(x, 0x4e);
}

/* Eight blocks times h^8 to h^1, summed, then folded once. Karatsuba: three products for each instead of four. How many bytes it did. */
VAES static size_t
ghash_eights(void *y, const void *h, const void *data, size_t n)
{
	const __m256i swap = both(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
	const unsigned char *p = data, *end = p + n / GHASH_STEP * GHASH_STEP;
	__m256i power[4], sum[4], one, square, state;

	if (p == end)
		return 0;
	one = both(halved(_mm_shuffle_epi8(load(h), _mm256_castsi256_si128(swap))));
	square = multiply(one, one);
	power[3] = _mm256_blend_epi32(square, one, 0xf0);
	for (int i = 3; i >= 0; i--) {
		sum[i] = swapped_sum(power[i]);
		if (i > 0)
			power[i - 1] = multiply(power[i], square);
	}
	state = _mm256_zextsi128_si256(_mm_shuffle_epi8(load(y), _mm256_castsi256_si128(swap)));
	for (; p < end; p += GHASH_STEP) {
		__m256i low = _mm256_setzero_si256(), middle = low, high = low;

		for (int i = 3; i >= 0; i--) {
			__m256i x = _mm256_shuffle_epi8(load_two(p + 32 * i), swap);

			if (i == 0)
				x ^= state;
			low ^= _mm256_clmulepi64_epi128(x, power[i], 0x00);
			middle ^= _mm256_clmulepi64_epi128(swapped_sum(x), sum[i], 0x00);
			high ^= _mm256_clmulepi64_epi128(x, power[i], 0x11);
		}
		low = fold(low, low ^ middle ^ high, high);
		state = _mm256_zextsi128_si256(_mm256_castsi256_si128(low) ^ _mm256_extracti128_si256(low, 1));
	}
	_mm_storeu_si128(y, _mm_shuffle_epi8(_mm256_castsi256_si128(state), _mm256_castsi256_si128(swap)));
	_mm256_zeroupper();
	return n / GHASH_STEP * GHASH_STEP;
}

void
tls_gcm_ghash(void *y, const void *h, const void *data, size_t n)
{
	size_t done = ghash_eights(y, h, data, n);

	br_ghash_pclmul(y, h, (const char *)data + done, n - done);
}

#endif
