#include <string.h>
#include "cpu.h"
#include "hash.h"

/* The polynomial 0x1EDC6F41 with its bits reversed, as the instructions have it. */
#define POLY 0x82F63B78u

/* What four bits do to the CRC: four steps of the shift register. Only processors without the instruction come here, and they spend many
   times as long on TLS: a table of bytes, twice as fast, would be a KiB. */
static const uint32_t table[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t
hash_crc32c_table(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (crc = ~crc; n; n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* What differs between processors: the two forms of the instruction. */
#if defined __x86_64__

#define CRC_TARGET __attribute__((target("sse4.2")))
#define CRC_8 (uint32_t)__builtin_ia32_crc32di
#define CRC_1 __builtin_ia32_crc32qi

#elif defined __aarch64__ && defined __AARCH64EL__

#include <arm_acle.h>
#define CRC_TARGET __attribute__((target("+crc")))
#define CRC_8 __crc32cd
#define CRC_1 __crc32cb

#else

#define CRC_TARGET
#define CRC_8(crc, word) ((void)(word), (crc))
#define CRC_1(crc, byte) ((void)(byte), (crc))

#endif

/* The instruction takes three cycles but a new one can start in each, so three streams run side by side and are
   folded: the CRC of A followed by B is (CRC of A) · x^(bits of B) + CRC of B, modulo the polynomial.
   SHIFT_1 and SHIFT_2 are x^(8·STREAM) and x^(8·2·STREAM). (Mark Adler's crc32c.c has the idea.) */
enum { STREAM = 5456 };
#define SHIFT_1 0x6b3085d6u
#define SHIFT_2 0xf6df4ba3u

/* a·b modulo the polynomial; bit 31 is x^0. */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (int i = 31; i >= 0; i--) {
		product ^= b & -(a >> i & 1);
		b = b >> 1 ^ (POLY & -(b & 1));
	}
	return product;
}

static inline uint64_t
load(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

CRC_TARGET static uint32_t
three_streams(uint32_t crc, const unsigned char *p)
{
	const unsigned char *end = p + STREAM;
	uint32_t b = 0, c = 0;

	for (; p < end; p += 8) {
		crc = CRC_8(crc, load(p));
		b = CRC_8(b, load(p + STREAM));
		c = CRC_8(c, load(p + 2 * STREAM));
	}
	return multiply(crc, SHIFT_2) ^ multiply(b, SHIFT_1) ^ c;
}

CRC_TARGET static uint32_t
crc32c_instruction(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	crc = ~crc;
	for (; n >= 3 * STREAM; n -= 3 * STREAM, p += 3 * STREAM)
		crc = three_streams(crc, p);
	for (; n >= 8; n -= 8, p += 8)
		crc = CRC_8(crc, load(p));
	for (; n; n--)
		crc = CRC_1(crc, *p++);
	return ~crc;
}

uint32_t
hash_crc32c(uint32_t crc, const void *data, size_t n)
{
	return cpu_has() & CPU_CRC32C ? crc32c_instruction(crc, data, n) : hash_crc32c_table(crc, data, n);
}
