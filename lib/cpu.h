#pragma once
/* What this processor can do beyond what the program was compiled for. */

enum {
	CPU_CRC32C = 1,   /* an instruction for CRC-32C: SSE4.2, or ARMv8 with CRC */
	CPU_AVX2 = 2,
	CPU_GCM = 4,      /* AES and carry-less products: VAES and VPCLMULQDQ with AVX2, or ARMv8 with AES and PMULL */
	CPU_SHA256 = 8,   /* instructions for SHA-256's rounds: SHA-NI, or ARMv8 with SHA2 */
};

/* The bits above; asked once. */
unsigned cpu_has(void);
/* Only those of mask count from now on: for tests, which take every path. */
void cpu_limit(unsigned mask);
