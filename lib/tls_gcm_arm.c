#include "tls_gcm.h"

#if defined __aarch64__ && defined __AARCH64EL__

#include <arm_neon.h>
#include <string.h>

#define CRYPTO __attribute__((target("+crypto")))
#define INLINE static inline __attribute__((always_inline)) CRYPTO
/* Eight at once: an instruction takes several cycles, but one or more can begin in each. */
#define EIGHT(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7)
enum { BLOCK = 16, STEP = 8 * BLOCK };

struct keys {
	const br_block_ctr_class *vtable;
	unsigned rounds;
	unsigned char round[15][BLOCK];
};

_Static_assert(sizeof (struct keys) <= sizeof (br_aes_gen_ctr_keys), "keys fit");

/* The instruction for a round, without a key: four times the same column is what ShiftRows leaves alone. */
CRYPTO static uint32_t
sub_word(uint32_t w)
{
	uint8x16_t columns = vreinterpretq_u8_u32(vdupq_n_u32(w));

	return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(columns, vdupq_n_u8(0))), 0);
}

/* FIPS 197, section 5.2; words are little-endian here. */
static void
ctr_init(const br_block_ctr_class **ctx, const void *key, size_t n)
{
	struct keys *k = (void *)ctx;
	uint32_t w[4 * 15], rcon = 1;
	unsigned nk = (unsigned)n / 4;

	k->vtable = &tls_gcm_ctr;
	k->rounds = nk + 6;
	memcpy(w, key, n);
	for (unsigned i = nk; i < 4 * (k->rounds + 1); i++) {
		uint32_t t = w[i - 1];

		if (i % nk == 0) {
			t = sub_word(t >> 8 | t << 24) ^ rcon;
			rcon = rcon << 1 ^ (rcon >> 7) * 0x11B;
		} else if (nk > 6 && i % nk == 4) {
			t = sub_word(t);
		}
		w[i] = w[i - nk] ^ t;
	}
	memcpy(k->round, w, sizeof k->round);
	explicit_bzero(w, sizeof w);
}

#define BEGIN(i) uint8x16_t x##i = vreinterpretq_u8_u32(vsetq_lane_u32(__builtin_bswap32(counter + (i)), first, 3));
#define ROUND(i) x##i = vaesmcq_u8(vaeseq_u8(x##i, key));
#define END(i) vst1q_u8(p + BLOCK * (i), veorq_u8(vaeseq_u8(x##i, key), veorq_u8(last, vld1q_u8(p + BLOCK * (i)))));

CRYPTO static void
ctr_step(const struct keys *k, uint32x4_t first, uint32_t counter, unsigned char *p)
{
	uint8x16_t key, last = vld1q_u8(k->round[k->rounds]);

	EIGHT(BEGIN)
	for (unsigned r = 0; r < k->rounds - 1; r++) {
		key = vld1q_u8(k->round[r]);
		EIGHT(ROUND)
	}
	key = vld1q_u8(k->round[k->rounds - 1]);
	EIGHT(END)
}

CRYPTO static uint32_t
ctr_run(const br_block_ctr_class *const *ctx, const void *iv, uint32_t counter, void *data, size_t n)
{
	const struct keys *k = (const void *)ctx;
	unsigned char *p = data, *end = p + n, rest[STEP] = {0};
	uint32x4_t first;

	memcpy(rest, iv, 12);
	first = vld1q_u32((const void *)rest);
	for (; end - p >= STEP; p += STEP, counter += STEP / BLOCK)
		ctr_step(k, first, counter, p);
	n = (size_t)(end - p);
	if (n) {
		memcpy(rest, p, n);
		ctr_step(k, first, counter, rest);
		memcpy(p, rest, n);
	}
	return counter + (uint32_t)((n + BLOCK - 1) / BLOCK);
}

const br_block_ctr_class tls_gcm_ctr = {sizeof (struct keys), BLOCK, 4, ctr_init, ctr_run};

/* GHASH has the lowest power of x in the highest bit of each byte: turned round, bit i is x^i. */
INLINE uint64x2_t
load(const unsigned char *p)
{
	return vreinterpretq_u64_u8(vrbitq_u8(vld1q_u8(p)));
}

INLINE uint64x2_t
product(uint64_t a, uint64_t b)
{
	return vreinterpretq_u64_p128(vmull_p64((poly64_t)a, (poly64_t)b));
}

INLINE uint64_t
low_half(uint64x2_t x)
{
	return vgetq_lane_u64(x, 0);
}

INLINE uint64_t
high_half(uint64x2_t x)
{
	return vgetq_lane_u64(x, 1);
}

/* A sum of products, not yet reduced; middle has those of the sums of both halves (Karatsuba: three products instead of four). */
struct sum { uint64x2_t low, middle, high; };

INLINE void
add_product(struct sum *s, uint64x2_t a, uint64x2_t b)
{
	s->low ^= product(low_half(a), low_half(b));
	s->middle ^= product(low_half(a) ^ high_half(a), low_half(b) ^ high_half(b));
	s->high ^= product(high_half(a), high_half(b));
}

/* Modulo x^128 + x^7 + x^2 + x + 1: what stands 128 bits too high comes down times 0x87. */
INLINE uint64x2_t
reduce(struct sum s)
{
	s.middle ^= s.low ^ s.high ^ product(high_half(s.high), 0x87);
	return s.low ^ vsetq_lane_u64(low_half(s.middle), vdupq_n_u64(0), 1) ^ product(low_half(s.high) ^ high_half(s.middle), 0x87);
}

INLINE uint64x2_t
multiply(uint64x2_t a, uint64x2_t b)
{
	struct sum s = {0};

	add_product(&s, a, b);
	return reduce(s);
}

/* Eight blocks times h^8 to h^1, summed, then reduced once. */
CRYPTO void
tls_gcm_ghash(void *y, const void *h, const void *data, size_t n)
{
	const unsigned char *p = data, *end = p + n;
	uint64x2_t state = load(y), power[8];
	unsigned char last[BLOCK] = {0};

	power[0] = load(h);
	for (int i = 1; i < 8 && n >= STEP; i++)
		power[i] = multiply(power[i - 1], power[0]);
	for (; end - p >= STEP; p += STEP) {
		struct sum s = {0};

		add_product(&s, state ^ load(p), power[7]);
		for (int i = 1; i < 8; i++)
			add_product(&s, load(p + BLOCK * i), power[7 - i]);
		state = reduce(s);
	}
	for (; end - p >= BLOCK; p += BLOCK)
		state = multiply(state ^ load(p), power[0]);
	if (p < end) {
		memcpy(last, p, (size_t)(end - p));
		state = multiply(state ^ load(last), power[0]);
	}
	vst1q_u8(y, vrbitq_u8(vreinterpretq_u8_u64(state)));
}

#endif
