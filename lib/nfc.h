#pragma once
/* Names that Unicode holds for equal (UAX #15). R2 brings keys to NFC, so "é" and "e" with an accent after it are one
   object (developers.cloudflare.com/r2/reference/unicode-interoperability): two such files need to be told apart before
   one replaces the other. Pure, but for the set's memory. */
#include <stddef.h>
#include <stdint.h>

/* A hash that is equal for canonically equivalent strings; the same in every run and on every machine. Bytes that are no
   UTF-8 count as themselves; more than NFC_MARKS_MAX combining marks in a row are put in order in pieces of that many. */
enum { NFC_MARKS_MAX = 64 };
uint64_t nfc_hash(const char *utf8, size_t n);
/* 1 when a and b are canonically equivalent, to the same limit. */
int nfc_same(const char *a, const char *b);

/* 1 when s is plain ASCII: equal to nothing but itself, and to the few strings that nfc_to_ascii knows. */
int nfc_is_ascii(const char *s);
/* 1 when s is not ASCII but equal to an ASCII string (only U+212A KELVIN SIGN, U+037E and U+1FEF do that), which is then
   in out, NUL-terminated; 0 when it is not, or has cap bytes and more. */
int nfc_to_ascii(const char *s, char *out, size_t cap);

/* One spelling for all strings that are equal: decomposed, each character outside ASCII as four bytes that are no UTF-8, so that a pattern
   in it matches a name in it as far as it is literal, or "*". 0 when it has cap bytes and more: NFC_SPELL times s it never has. */
enum { NFC_SPELL = 6 };
int nfc_spell(const char *s, char *out, size_t cap);

/* A set of hashes: 16 bytes or so for each. Zero-initialise. */
struct nfc_set {
	uint64_t *slots;   /* 0: free */
	size_t n, cap;     /* cap is a power of two, or 0 */
};

/* 1: h is new; 0: it was there; -1: memory is out, the set is as it was. */
int nfc_set_add(struct nfc_set *s, uint64_t h);
int nfc_set_has(const struct nfc_set *s, uint64_t h);   /* 1: it is there */
void nfc_set_free(struct nfc_set *s);   /* then it is empty again */
