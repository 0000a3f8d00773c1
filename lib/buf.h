#pragma once
/* Text and bytes into memory of a stated size. Overflow is remembered, never written:
   append freely, ask buf_ok() once at the end. */
#include <stddef.h>
#include <stdarg.h>

struct buf {
	char *p;       /* always NUL-terminated when cap > 0 */
	size_t len;
	size_t cap;    /* bytes at p, the NUL included */
	int overflow;  /* something did not fit; what is there is a prefix */
};

/* An empty one over cap bytes at p, or over a char array. */
struct buf buf_over(char *p, size_t cap);
#define BUF(array) buf_over((array), sizeof (array))

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_char(struct buf *b, char c);
void buf_str(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap);
/* After an overflow: end what is there with "…" in place of its last character or two. Else nothing.
   For text that people read; buf_ok() stays 0. */
void buf_ellipsis(struct buf *b);
/* Forget the contents (and the overflow), keep the memory. */
void buf_reset(struct buf *b);
/* 1 when everything appended since the last reset is there. */
int buf_ok(const struct buf *b);

/* What else grows: room for `need` things of size bytes at *p, where *cap have it, doubled as often as that takes. 0; -1: memory is out, all is
   as it was. */
int buf_grow(void **p, size_t *cap, size_t need, size_t size);
