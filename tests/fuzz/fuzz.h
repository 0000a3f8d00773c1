#pragma once
/* What the fuzz targets share: an input that is eaten from the front, and promises that abort when they are broken. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"
#include "enc.h"
#include "err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(c) ((c) ? (void)0 : broken(__FILE__, __LINE__, #c))

_Noreturn static inline void
broken(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
	abort();
}

/* What is left of the input. */
struct in {
	const unsigned char *p;
	size_t n;
};

/* 0 at the end. */
static inline unsigned
take_byte(struct in *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

/* Below limit. */
static inline size_t
take_below(struct in *in, size_t limit)
{
	size_t hi = limit > 256 ? take_byte(in) : 0;

	return (hi << 8 | take_byte(in)) % limit;
}

static inline uint64_t
take_word(struct in *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | take_byte(in);
	return v;
}

/* The bytes up to the next `end`, which is eaten, or all; in memory of their own, so that one byte too far is seen. NUL-terminated. */
static inline char *
take_until(struct in *in, int end, size_t *len)
{
	const unsigned char *stop = in->n ? memchr(in->p, end, in->n) : NULL;
	size_t n = stop ? (size_t)(stop - in->p) : in->n;
	char *s = malloc(n + 1);

	if (!s)
		abort();
	memcpy(s, in->p, n);
	s[n] = '\0';
	in->p += n + (stop != NULL);
	in->n -= n + (stop != NULL);
	if (len)
		*len = n;
	return s;
}

/* A C string: it ends at a NUL of the input. */
static inline char *
take_string(struct in *in)
{
	return take_until(in, '\0', NULL);
}

/* All that is left, without a NUL behind it. */
static inline unsigned char *
take_rest(struct in *in, size_t *len)
{
	unsigned char *s = malloc(in->n ? in->n : 1);

	if (!s)
		abort();
	*len = in->n;
	memcpy(s, in->p, in->n);
	in->n = 0;
	return s;
}

/* A message is one line that a terminal can be shown: no control character of any kind, nothing that turns text round. */
static inline void
must_be_message(const struct err *e)
{
	char shown[4 * sizeof e->msg];
	struct buf b = BUF(shown);

	must(e->kind != ERR_NONE && e->msg[0]);
	enc_printable(&b, e->msg, strlen(e->msg));
	if (strcmp(shown, e->msg))
		fprintf(stderr, "not printable: %s\n", shown);
	must(!strcmp(shown, e->msg));
}

/* FNV-1a, for logs of events that two runs must share. */
static inline uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
	return (h ^ 0x100) * 1099511628211u;
}
