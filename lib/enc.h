#pragma once
/* Encodings: hex, base64, percent, JSON, XML, UTF-8, and text that is safe on a terminal. */
#include <stddef.h>
#include <stdint.h>
#include "buf.h"

/* A name and a value: a header field or a query parameter. */
struct pair {
	const char *name;
	const char *value;
};

void enc_hex(struct buf *b, const void *data, size_t n);       /* lower case */
int enc_digit(int c);                                          /* a hex digit's value, -1 when it is none */
int enc_byte(const char *s);                                   /* of two of them; what follows one that is none is not looked at */
void enc_lower(char *s);                                       /* ASCII's capital letters become small ones */
/* The decimal number in exactly n bytes, at most max (10^8 or less); else -1. */
int enc_number(const char *s, size_t n, int max);
/* 1 when text ends in end, and has more before it. */
int enc_ends_in(const char *text, const char *end);
/* hex → bytes; -1 unless exactly 2n hex digits stand there. */
int enc_unhex(const char *hex, unsigned char *out, size_t n);
void enc_base64(struct buf *b, const void *data, size_t n);    /* RFC 4648 section 4, padded */
/* base64 → bytes, at most n / 4 * 3 of them: how many, or -1. Padded, the bits that are left over zero; blanks and ends of line
   (RFC 7468) anywhere. out may begin at text or before it. */
long enc_unbase64(const char *text, size_t n, unsigned char *out);

/* Percent-encode as SigV4 wants it: RFC 3986 unreserved bytes stay, upper-case hex;
   '/' stays in a path and is encoded in a query. */
void enc_path(struct buf *b, const char *s);
void enc_query(struct buf *b, const char *s);
/* name=value&…, each encoded once, sorted by encoded name then value (AWS canonical query string).
   At most ENC_QUERY_MAX pairs; more counts as overflow of b. */
enum { ENC_QUERY_MAX = 24 };
void enc_query_pairs(struct buf *b, const struct pair *pairs, size_t n);
/* %XX decoded in place ('+' becomes a space only if plus_is_space); the new length, -1 for a bad escape.
   What became shorter gets a NUL behind it; %00 is decoded like any other byte. */
long enc_unpercent(char *s, size_t n, int plus_is_space);

/* A JSON string with its quotes (RFC 8259). Invalid UTF-8 bytes become U+FFFD. */
void enc_json(struct buf *b, const char *s);
/* Character data for XML: & < > " ' and control characters as references. */
void enc_xml(struct buf *b, const char *s);
/* For logs and terminals: control characters (C0, DEL, C1) and invalid UTF-8 as \n \t \r \xHH, a backslash
   stays itself; line separators and bidirectional overrides (U+2028–202E, U+2066–2069) as \u202e. */
void enc_printable(struct buf *b, const char *s, size_t n);

/* text as a message may quote it: enc_printable, cut with "…" where out ends. Returns out. */
enum { ENC_SHOW_CAP = 204 };   /* enough to recognise a name, short enough for a line */
const char *enc_show_in(char *out, size_t cap, const char *text);

/* The character that the n bytes (1 or more) at s begin with: its length, 0 when they are no valid UTF-8 (RFC 3629: no surrogates, no overlong
   forms, at most U+10FFFF). Nothing behind a byte that makes them so is looked at, such as a NUL. */
size_t enc_utf8(const char *s, size_t n, uint32_t *cp);
/* 1 when all of the bytes are valid UTF-8. */
int enc_utf8_valid(const char *s, size_t n);
