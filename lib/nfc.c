#include <stdlib.h>
#include <string.h>
#include "enc.h"
#include "nfc.h"
#include "nfc_table.h"

enum {
	PARTS_MAX = 4,         /* characters that one decomposes into, Unicode's longest */
	NO_CHARACTER = 0x110000,
	/* Hangul by arithmetic: The Unicode Standard, section 3.12. */
	S_BASE = 0xAC00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11A7,
	T_COUNT = 28, N_COUNT = 21 * T_COUNT, S_COUNT = 19 * N_COUNT,
	SET_FIRST = 256,
};

#define COUNT(array) (sizeof (array) / sizeof *(array))

/* The last row of a table of runs that begins at cp or before it; -1 when there is none. */
static int
last_run(const uint32_t *table, size_t n, int shift, uint32_t cp)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (table[mid] >> shift <= cp)
			low = mid + 1;
		else
			high = mid;
	}
	return (int)low - 1;
}

/* Where cp stands in firsts and seconds; -1 when it does not decompose. */
static int
find_decomposition(uint32_t cp)
{
	int run = last_run(runs, COUNT(runs) - 1, 12, cp);
	uint32_t at;

	if (run < 0)
		return -1;
	at = (runs[run] & 0xFFF) + cp - (runs[run] >> 12);
	return at < (runs[run + 1] & 0xFFF) ? (int)at : -1;
}

/* Combining class as a rank; 0 for a starter. */
static uint8_t
rank_of(uint32_t cp)
{
	int run = last_run(marks, COUNT(marks), 15, cp);

	if (run < 0 || cp - (marks[run] >> 15) > (marks[run] >> 6 & 0x1FF))
		return 0;
	return marks[run] & 63;
}

static int
decompose_hangul(uint32_t cp, uint32_t out[PARTS_MAX])
{
	uint32_t s = cp - S_BASE;

	out[0] = L_BASE + s / N_COUNT;
	out[1] = V_BASE + s % N_COUNT / T_COUNT;
	out[2] = T_BASE + s % T_COUNT;
	return s % T_COUNT ? 3 : 2;
}

/* The table has one step: the first of the two may decompose further, the second never does. */
static int
decompose(uint32_t cp, uint32_t out[PARTS_MAX])
{
	uint32_t after[PARTS_MAX];
	int n = 0, at, parts = 1;

	if (cp - S_BASE < S_COUNT)
		return decompose_hangul(cp, out);
	while ((at = find_decomposition(cp)) >= 0) {
		uint32_t kind = kinds[seconds[at]];

		if (kind & 0xFFFFFF)
			after[n++] = kind & 0xFFFFFF;
		cp = kind >> 24 << 16 | firsts[at];
	}
	out[0] = cp;
	while (n)
		out[parts++] = after[--n];
	return parts;
}

/* A string's normal form (NFD), one character after the other. */
struct chars {
	const char *p, *end;
	int n, at;             /* of those ready to be handed out */
	uint32_t cp[NFC_MARKS_MAX + PARTS_MAX];
	uint8_t rank[NFC_MARKS_MAX + PARTS_MAX];
};

/* The character at c->p and its length; a byte that begins none is a character outside Unicode. */
static size_t
peek(const struct chars *c, uint32_t *cp)
{
	size_t len = enc_utf8(c->p, (size_t)(c->end - c->p), cp);

	if (len)
		return len;
	*cp = NO_CHARACTER + (unsigned char)*c->p;
	return 1;
}

/* Canonical ordering: a mark goes before those of a higher class, never over a starter, whose rank is 0. */
static void
insert(struct chars *c, uint32_t cp)
{
	uint8_t rank = rank_of(cp);
	int at = c->n++;

	for (; rank && at && c->rank[at - 1] > rank; at--) {
		c->cp[at] = c->cp[at - 1];
		c->rank[at] = c->rank[at - 1];
	}
	c->cp[at] = cp;
	c->rank[at] = rank;
}

/* Take characters up to the next starter: no later one can move in front of them. */
static void
refill(struct chars *c)
{
	uint32_t cp, parts[PARTS_MAX];

	c->n = c->at = 0;
	while (c->p < c->end && c->n < NFC_MARKS_MAX) {
		size_t len = peek(c, &cp);
		int n = decompose(cp, parts);

		if (c->n && !rank_of(parts[0]))
			return;
		c->p += len;
		for (int i = 0; i < n; i++)
			insert(c, parts[i]);
	}
}

static struct chars
chars_of(const char *s, size_t n)
{
	return (struct chars){.p = s, .end = s + n};
}

/* 0 at the end (which a zero character does not look like: *cp is set). */
static int
next(struct chars *c, uint32_t *cp)
{
	if (c->at == c->n) {
		if (c->p == c->end)
			return 0;
		/* ASCII that nothing can combine with. */
		if (!(*c->p & 0x80) && (c->p + 1 == c->end || !(c->p[1] & 0x80))) {
			*cp = (uint32_t)*c->p++;
			return 1;
		}
		refill(c);
	}
	*cp = c->cp[c->at++];
	return 1;
}

uint64_t
nfc_hash(const char *utf8, size_t n)
{
	struct chars c = chars_of(utf8, n);
	uint64_t h = 0xCBF29CE484222325;
	uint32_t cp;

	while (next(&c, &cp)) {
		h = (h ^ cp) * 0x9E3779B97F4A7C15;
		h ^= h >> 32;
	}
	/* MurmurHash3's finalizer: the last characters reach all bits, the set takes the low ones. */
	h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD;
	h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53;
	return h ^ h >> 33;
}

int
nfc_same(const char *a, const char *b)
{
	struct chars ca = chars_of(a, strlen(a)), cb = chars_of(b, strlen(b));
	uint32_t x, y;

	for (;;) {
		int more = next(&ca, &x);

		if (next(&cb, &y) != more)
			return 0;
		if (!more)
			return 1;
		if (x != y)
			return 0;
	}
}

int
nfc_is_ascii(const char *s)
{
	while (*s && !(*s & 0x80))
		s++;
	return !*s;
}

int
nfc_spell(const char *s, char *out, size_t cap)
{
	struct chars c = chars_of(s, strlen(s));
	size_t n = 0;
	uint32_t cp;

	while (next(&c, &cp))
		for (int shift = cp < 0x80 ? 0 : 18; shift >= 0; shift -= 6) {
			if (n + 1 >= cap)
				return 0;
			out[n++] = (char)(cp < 0x80 ? cp : 0x80 | (cp >> shift & 0x3F));
		}
	out[n] = '\0';
	return 1;
}

int
nfc_to_ascii(const char *s, char *out, size_t cap)
{
	return !nfc_is_ascii(s) && nfc_spell(s, out, cap) && nfc_is_ascii(out);
}

/* The slot that has h, or the free one where it belongs. */
static uint64_t *
slot_of(uint64_t *slots, size_t cap, uint64_t h)
{
	size_t i = (size_t)h & (cap - 1);

	while (slots[i] && slots[i] != h)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static int
grow(struct nfc_set *s)
{
	size_t cap = s->cap ? s->cap * 2 : SET_FIRST;
	uint64_t *slots = calloc(cap, sizeof *slots);

	if (!slots)
		return -1;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			*slot_of(slots, cap, s->slots[i]) = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	return 0;
}

int
nfc_set_add(struct nfc_set *s, uint64_t h)
{
	uint64_t *slot;

	h += !h;   /* 0 is a free slot */
	if (s->n >= s->cap / 4 * 3 && grow(s) < 0)
		return -1;
	slot = slot_of(s->slots, s->cap, h);
	if (*slot)
		return 0;
	*slot = h;
	s->n++;
	return 1;
}

int
nfc_set_has(const struct nfc_set *s, uint64_t h)
{
	return s->n && *slot_of(s->slots, s->cap, h + !h);
}

void
nfc_set_free(struct nfc_set *s)
{
	free(s->slots);
	*s = (struct nfc_set){0};
}
