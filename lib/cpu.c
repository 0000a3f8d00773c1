#include <stdatomic.h>
#include <stddef.h>
#include "cpu.h"

enum { ASKED = 1 << 8 };

#if defined __x86_64__

#include <cpuid.h>

enum { SSE_AND_AVX = 6 };   /* the registers that XCR0 must name */

/* AVX needs the system too: it must save the long registers when it changes threads. */
static int
system_saves_avx(unsigned features)
{
	unsigned a, d;

	if (!(features & bit_OSXSAVE) || !(features & bit_AVX))
		return 0;
	__asm__ volatile ("xgetbv" : "=a" (a), "=d" (d) : "c" (0));
	return (a & SSE_AND_AVX) == SSE_AND_AVX;
}

static unsigned
ask(void)
{
	const unsigned blocks = bit_AES | bit_PCLMUL | bit_SSE4_1, long_blocks = bit_VAES | bit_VPCLMULQDQ;
	unsigned a, b, c, d, has, features;

	__cpuid(1, a, b, features, d);
	has = (features & bit_SSE4_2) ? CPU_CRC32C : 0;
	if (__get_cpuid_max(0, NULL) < 7)
		return has;
	__cpuid_count(7, 0, a, b, c, d);
	if ((b & bit_SHA) && (features & bit_SSE4_1))
		has |= CPU_SHA256;
	if (!(b & bit_AVX2) || !system_saves_avx(features))
		return has;
	has |= CPU_AVX2;
	return (features & blocks) == blocks && (c & long_blocks) == long_blocks ? has | CPU_GCM : has;
}

#elif defined __aarch64__ && defined __AARCH64EL__

#include <sys/auxv.h>

static unsigned
ask(void)
{
	const unsigned long has = getauxval(AT_HWCAP), gcm = HWCAP_AES | HWCAP_PMULL;

	return ((has & HWCAP_CRC32) ? CPU_CRC32C : 0) | ((has & HWCAP_SHA2) ? CPU_SHA256 : 0) | ((has & gcm) == gcm ? CPU_GCM : 0);
}

#else

static unsigned
ask(void)
{
	return 0;
}

#endif

static atomic_uint known;

/* Asked once: cpuid costs a microsecond or more in a virtual machine. Threads that ask at the same time store the same answer. */
unsigned
cpu_has(void)
{
	unsigned k = atomic_load_explicit(&known, memory_order_relaxed);

	if (!k) {
		k = ASKED + ask();
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k;
}

void
cpu_limit(unsigned mask)
{
	atomic_store_explicit(&known, ASKED + (ask() & mask), memory_order_relaxed);
}
