#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "buf.h"

/* Out of line: a hundred callers are each shorter so, whatever the compiler takes for short. */
__attribute__((noinline)) struct buf
buf_over(char *p, size_t cap)
{
	if (cap)
		p[0] = '\0';
	return (struct buf){.p = p, .cap = cap};
}

void
buf_put(struct buf *b, const void *bytes, size_t n)
{
	size_t room = b->cap ? b->cap - 1 - b->len : 0;

	/* After an overflow nothing more goes in, even if it would fit: what is there stays a prefix. */
	if (b->overflow || !n)
		return;
	if (n > room) {
		b->overflow = 1;
		n = room;
	}
	if (!b->cap)
		return;
	memcpy(b->p + b->len, bytes, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void
buf_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->cap - b->len;
	int n;

	if (b->overflow)
		return;
	n = vsnprintf(room ? b->p + b->len : NULL, room, fmt, ap);
	if (n >= 0 && (size_t)n < room) {
		b->len += (size_t)n;
		return;
	}
	/* A negative n leaves the bytes undefined: keep those that were there before. */
	b->overflow = n != 0;
	if (n > 0 && room)
		b->len = b->cap - 1;
	if (room)
		b->p[b->len] = '\0';
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void
buf_ellipsis(struct buf *b)
{
	static const char dots[] = "\xe2\x80\xa6";
	size_t len = b->len;

	if (!b->overflow || b->cap < sizeof dots)
		return;
	if (len > b->cap - sizeof dots)
		len = b->cap - sizeof dots;
	while (len && ((unsigned char)b->p[len] & 0xC0) == 0x80)
		len--;
	memcpy(b->p + len, dots, sizeof dots);
	b->len = len + sizeof dots - 1;
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = 0;
	if (b->cap)
		b->p[0] = '\0';
}

int
buf_ok(const struct buf *b)
{
	return !b->overflow;
}

int
buf_grow(void **p, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap ? *cap : 256;
	void *q;

	while (more < need)
		more *= 2;
	if (more == *cap)
		return 0;
	if (!(q = realloc(*p, more * size)))
		return -1;
	*p = q;
	*cap = more;
	return 0;
}
