/* Includes the module to see the normal form itself. */
#include "../lib/nfc.c"
#include "test.h"

/* What tests/nfc_table.py --check prints, from Python's own normalisation. */
#define EVERY_CHARACTER 0xedbe63990c030e8e
#define DRAWN_STRINGS 0xf97c664c7248f45e

static size_t
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

static uint64_t
digest(uint64_t h, const char *s, size_t n)
{
	struct chars c = chars_of(s, n);
	uint32_t cp;

	while (next(&c, &cp))
		h = (h ^ cp) * 0x100000001B3;
	return (h ^ NO_CHARACTER) * 0x100000001B3;
}

static void
test_every_character(void)
{
	uint64_t h = 0xCBF29CE484222325;
	char text[4];

	for (uint32_t c = 0; c < 0x110000; c++)
		if (c < 0xD800 || c >= 0xE000)
			h = digest(h, text, put_utf8(text, c));
	check(h == EVERY_CHARACTER);
}

static uint32_t
draw(uint64_t *x, uint32_t n)
{
	*x = *x * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((*x >> 33) % n);
}

static void
test_drawn_strings(void)
{
	static const uint32_t areas[][2] = {
		{0x41, 0x5A}, {0xC0, 0x17F}, {0x300, 0x362}, {0x300, 0x345}, {0x591, 0x5C7}, {0x900, 0x9FF}, {0xF71, 0xF84},
		{0x1100, 0x11FF}, {0xAC00, 0xD7A3}, {0x1E00, 0x1FFF}, {0xF900, 0xFAFF}, {0x1D15E, 0x1D1C0},
	};
	uint64_t h = 0xCBF29CE484222325, x = 1;
	char text[64];

	for (int i = 0; i < 20000; i++) {
		uint32_t count = 1 + draw(&x, 12);
		size_t n = 0;

		while (count--) {
			const uint32_t *area = areas[draw(&x, COUNT(areas))];

			n += put_utf8(text + n, area[0] + draw(&x, area[1] - area[0] + 1));
		}
		h = digest(h, text, n);
	}
	check(h == DRAWN_STRINGS);
}

static void
same(const char *a, const char *b, int want)
{
	check_int(nfc_same(a, b), want);
	check_int(nfc_same(b, a), want);
	check_int(nfc_hash(a, strlen(a)) == nfc_hash(b, strlen(b)), want);
}

static void
test_same(void)
{
	same("", "", 1);
	same("a", "a", 1);
	same("a", "b", 0);
	same("a", "", 0);
	same("ab", "a", 0);
	same("ab", "ba", 0);
	same("A", "a", 0);
	same("caf\u00e9.png", "cafe\u0301.png", 1);
	same("caf\u00e9.png", "cafe.png", 0);
	same("caf\u00e9.png", "caf\u00e8.png", 0);
	same("\u1ec7", "e\u0323\u0302", 1);
	same("\u1ec7", "e\u0302\u0323", 1);                    /* order of marks of different classes */
	same("\u1ec7", "\u00ea\u0323", 1);
	same("e\u0301\u0302", "e\u0302\u0301", 0);             /* of the same class: it matters */
	same("\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af", 1);
	same("\ud55c", "\ud558", 0);
	same("\u212b", "\u00c5", 1);                           /* ANGSTROM SIGN */
	same("\u212b", "A\u030a", 1);
	same("\uf900", "\u8c48", 1);                           /* a CJK compatibility ideograph, canonical */
	same("\U0002f800", "\u4e3d", 1);
	same("\U0002fa1d", "\U0002a600", 1);                   /* the last of the table, and into plane 2 */
	same("\U0001d15e", "\U0001d157\U0001d165", 1);         /* plane 1 */
	same("\u0344", "\u0308\u0301", 1);
	same("\ufb01", "fi", 0);                               /* compatibility only: stays another name */
	same("\uff21", "A", 0);
	same("\u00b2", "2", 0);
}

/* Bytes that are no UTF-8: themselves, and none of Unicode's characters. */
static void
test_not_utf8(void)
{
	same("\xff", "\xff", 1);
	same("\xff", "\xfe", 0);
	same("\xe9", "\u00e9", 0);
	same("a\xcc", "a", 0);
	same("\xed\xa0\x80", "\xed\xa0\x80", 1);
	same("\xed\xa0\x80", "\xed\xa0\x81", 0);
	same("\xc1\x81", "A", 0);
	same("\xf4\x90\x80\x80", "\xf4\x90\x80\x81", 0);
	same("e\u0301\xcc", "\u00e9\xcc", 1);
	same("e\xff\u0301", "\u00e9\xff", 0);
	/* What follows the end is not read: half an accent is no accent. */
	check(nfc_hash("e\u0301", 2) == nfc_hash("e\xcc", 2));
	check(nfc_hash("e\u0301", 1) == nfc_hash("e", 1));
	check(nfc_hash("a\0b", 3) != nfc_hash("a", 1));
}

static void
marks_in_order(char *out, int times, const char *first, const char *second)
{
	*out = 'e';
	out[1] = '\0';
	for (int i = 0; i < times; i++)
		strcat(out, first);
	for (int i = 0; i < times; i++)
		strcat(out, second);
}

static void
test_many_marks(void)
{
	static char a[4096], b[4096];

	marks_in_order(a, 31, "\u0323", "\u0302");
	marks_in_order(b, 31, "\u0302", "\u0323");
	same(a, b, 1);
	/* Past the limit: the same string is the same, and nothing is read or written beyond. */
	marks_in_order(a, 500, "\u0344", "\u0323");
	marks_in_order(b, 500, "\u0344", "\u0323");
	same(a, b, 1);
	b[1500] ^= 1;
	same(a, b, 0);
}

static void
test_ascii(void)
{
	char out[8];

	check_int(nfc_is_ascii(""), 1);
	check_int(nfc_is_ascii("plain \x7f"), 1);
	check_int(nfc_is_ascii("caf\u00e9"), 0);
	check_int(nfc_is_ascii("\xff"), 0);
	check_int(nfc_to_ascii("\u212a.txt", out, sizeof out), 1);
	check_str(out, "K.txt");
	check_int(nfc_to_ascii("a\u037eb\u1fef", out, sizeof out), 1);
	check_str(out, "a;b`");
	check_int(nfc_to_ascii("K.txt", out, sizeof out), 0);
	check_int(nfc_to_ascii("\u212a\u0301", out, sizeof out), 0);
	check_int(nfc_to_ascii("\u212a\xff", out, sizeof out), 0);
	check_int(nfc_to_ascii("\u212a234567", out, sizeof out), 1);
	check_int(nfc_to_ascii("\u212a2345678", out, sizeof out), 0);
}

/* Whether both are spelled alike. */
static int
alike(const char *a, const char *b)
{
	char x[64], y[64];

	check(nfc_spell(a, x, sizeof x) && nfc_spell(b, y, sizeof y));
	return !strcmp(x, y);
}

static void
test_spell(void)
{
	char out[NFC_SPELL * 4 + 1];

	check_int(nfc_spell("", out, 1), 1);
	check_int(nfc_spell("a/*?[b\\", out, sizeof out), 1);
	check_str(out, "a/*?[b\\");
	check_int(alike("caf\u00e9", "cafe\u0301"), 1);
	check_int(alike("caf\u00e9", "cafe"), 0);
	check_int(alike("\u212a", "K"), 1);
	check_int(alike("\xff\u0301", "\xff\u0301"), 1);
	check_int(alike("\xff", "\xfe"), 0);
	/* The longest there is: three characters for two bytes. */
	check_int(nfc_spell("\u0390\u0390", out, sizeof out), 1);
	check_int(strlen(out), NFC_SPELL * 4);
	check_int(nfc_spell("\u0390\u0390", out, sizeof out - 1), 0);
}

static void
test_set(void)
{
	struct nfc_set s = {0};
	int fresh = 0, again = 0, there = 0;

	check_int(nfc_set_has(&s, 0), 0);
	for (uint64_t i = 0; i < 50000; i++)
		fresh += nfc_set_add(&s, i * 0x9E3779B97F4A7C15);
	for (uint64_t i = 0; i < 50000; i++)
		again += nfc_set_add(&s, i * 0x9E3779B97F4A7C15);
	check_int(fresh, 50000);
	check_int(again, 0);
	check_int(s.n, 50000);
	for (uint64_t i = 0; i < 100000; i++)
		there += nfc_set_has(&s, i * 0x9E3779B97F4A7C15);
	check_int(there, 50000);
	check(s.cap <= 131072);
	nfc_set_free(&s);
	check(!s.slots && !s.n && !s.cap);
	check_int(nfc_set_add(&s, 0), 1);
	check_int(nfc_set_add(&s, 0), 0);
	check_int(nfc_set_has(&s, 0), 1);
	nfc_set_free(&s);
}

/* Hashes that all belong into one slot, which the table's end lies behind. */
static void
test_set_crowded(void)
{
	struct nfc_set s = {0};
	int fresh = 0;

	for (uint64_t i = 0; i < 150; i++)
		fresh += nfc_set_add(&s, i << 32 | 0xFFFFFFF);
	check_int(fresh, 150);
	check_int(nfc_set_add(&s, 77ull << 32 | 0xFFFFFFF), 0);
	check_int(nfc_set_add(&s, 150ull << 32 | 0xFFFFFFF), 1);
	nfc_set_free(&s);
}

/* Names that differ in one place only: no two hashes alike, in all 64 bits nor in the low ones that the set takes. */
static void
test_spread(void)
{
	struct nfc_set s = {0}, low = {0};
	int fresh = 0, buckets = 0;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		int n = snprintf(name, sizeof name, "\u00e9t\u00e9_%05d.png", i);
		uint64_t h = nfc_hash(name, (size_t)n);

		fresh += nfc_set_add(&s, h);
		buckets += nfc_set_add(&low, (h & 0xFFFF) + 1);
	}
	check_int(fresh, 20000);
	check(buckets > 16500 && buckets < 18000);   /* 65536 (1 - e^(-20000/65536)) = 17240 at random */
	nfc_set_free(&s);
	nfc_set_free(&low);
}

int
main(void)
{
	test_every_character();
	test_drawn_strings();
	test_same();
	test_not_utf8();
	test_many_marks();
	test_ascii();
	test_spell();
	test_set();
	test_set_crowded();
	test_spread();
	return test_end();
}
