#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* What the dynamic linker does for other programs, and nobody for a static PIE.

   Before everything else: the relocations of a static PIE in their packed form (DT_RELR: 140 bytes where the usual form takes
   11,500), which musl applies itself only from 1.2.4 on. The linker puts this between musl's _start and __libc_start_main
   (ld --wrap). It runs before there are threads, a stack protector's canary, or a pointer in our data that is right: so it has
   no array, and calls nothing. Format: https://groups.google.com/g/generic-abi/c/bX460iggiKg

   When libc is ready, then: what was relocated is for reading only (RELRO). */

/* The names that ld --wrap gives. */
int __real___libc_start_main(int (*)(int, char **), int, char **);
int __wrap___libc_start_main(int (*)(int, char **), int, char **);
int main(int, char **);

/* The linker's _DYNAMIC; hidden, so that its address is no relocation either. */
extern const ElfW(Dyn) dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));

/* Where the linker has put the file's header: what all addresses count from. */
extern const ElfW(Ehdr) header[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

enum { RELR_SIZE = 35, RELR = 36 };   /* tags: elf.h has them only from musl 1.2.4 on */

/* Points to itself; but as long as nobody has relocated it, it holds the address that it was linked at. */
static const void *const volatile self = (const void *)&self;

/* One word of the table: an even one is where a pointer is; in an odd one each bit above the lowest is for one of the words that
   follow the last place. Returns where the next such bits begin. */
static uintptr_t *
relocate(uintptr_t word, uintptr_t base, uintptr_t *at)
{
	size_t i;

	if (!(word & 1)) {
		at = (uintptr_t *)(base + word);
		*at += base;
		return at + 1;
	}
	for (i = 0; word >>= 1; i++)
		if (word & 1)
			at[i] += base;
	return at + sizeof word * 8 - 1;
}

static int
protected_main(int argc, char **argv)
{
	char *base = (char *)(uintptr_t)header;
	const ElfW(Phdr) *p = (const ElfW(Phdr) *)(base + header->e_phoff);
	uintptr_t page = getauxval(AT_PAGESZ);

	for (int i = 0; i < header->e_phnum; i++) {
		uintptr_t from = p[i].p_vaddr & -page, to = (p[i].p_vaddr + p[i].p_memsz) & -page;

		/* Pages may be larger than the linker took them for. Where it is forbidden, the program is no worse than without. */
		if (p[i].p_type == PT_GNU_RELRO && from < to && mprotect(base + from, to - from, PROT_READ) < 0)
			break;
	}
	return main(argc, argv);
}

int
__wrap___libc_start_main(int (*start)(int, char **), int argc, char **argv)
{
	uintptr_t base = (uintptr_t)&self - (uintptr_t)self, *at = (uintptr_t *)base;
	const uintptr_t *table = at;
	const ElfW(Dyn) *d;
	size_t size = 0;

	for (d = dynamic; base && d->d_tag; d++) {
		if (d->d_tag == RELR)
			table = (const uintptr_t *)(base + d->d_un.d_ptr);
		if (d->d_tag == RELR_SIZE)
			size = d->d_un.d_val / sizeof *table;
	}
	for (; size > 0; size--)
		at = relocate(*table++, base, at);
	/* start was perhaps read from our data too early: main is it. */
	(void)start;
	return __real___libc_start_main(protected_main, argc, argv);
}
