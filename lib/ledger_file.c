#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "buf.h"
#include "hash.h"
#include "ledger_file.h"

enum { BLOCK = 128 * 1024 };

/* Read and written as it stands. */
struct header {
	char magic[8];
	uint32_t version;
	uint32_t sum;             /* CRC-32C of the two above: this and they are the same for all versions to come */
	uint32_t pid;
	uint32_t zero;
};

/* The mark finds the next record behind a damage. A NUL in it and one at the head's end (etag's upper byte): no path, key or ETag has any, so
   nobody can make one that reads as a record. */
struct head {
	char mark[3], kind;
	uint32_t sum;             /* CRC-32C of all other bytes */
	uint64_t size;
	int64_t mtime_ns;
	uint64_t inode;
	uint16_t path, own, shared, etag;
};

_Static_assert(sizeof(struct header) == LEDGER_HEADER && sizeof(struct head) == LEDGER_HEAD, "the file's layout");

static const char magic[8] = {'r', '2', 'l', 'e', 'd', 'g', 'e', 'r'};
static const char mark[3] = {'\xfb', '\0', 'r'};

void
ledger_header(unsigned char out[LEDGER_HEADER], uint32_t pid)
{
	struct header h = {.version = LEDGER_VERSION, .pid = pid};

	memcpy(h.magic, magic, sizeof magic);
	h.sum = hash_crc32c(0, &h, offsetof(struct header, sum));
	memcpy(out, &h, sizeof h);
}

uint32_t
ledger_header_read(const unsigned char *p, size_t n, uint32_t *pid)
{
	struct header h;

	if (n < sizeof h)
		return 0;
	memcpy(&h, p, sizeof h);
	if (memcmp(h.magic, magic, sizeof magic) || h.sum != hash_crc32c(0, &h, offsetof(struct header, sum)))
		return 0;
	*pid = h.pid;
	return h.version;
}

static uint32_t
sum(const unsigned char *record, size_t len)
{
	const size_t behind = offsetof(struct head, size);

	return hash_crc32c(hash_crc32c(0, record, offsetof(struct head, sum)), record + behind, len - behind);
}

/* How many bytes the key has in common with the path's end: mostly all of it, and then a third of the record is saved. */
static size_t
shared_end(const char *path, size_t path_len, const char *key, size_t key_len)
{
	size_t n = 0;

	while (n < path_len && n < key_len && path[path_len - 1 - n] == key[key_len - 1 - n])
		n++;
	return n;
}

static size_t
length(const struct head *h)
{
	return LEDGER_HEAD + (size_t)h->path + h->own + h->etag + 1;
}

size_t
ledger_record_write(unsigned char out[LEDGER_RECORD_MAX], const char *path, const struct ledger_record *r)
{
	const char *key = r ? r->key : "", *etag = r ? r->etag : "";
	size_t path_len = strlen(path), key_len = strnlen(key, PATH_KEY_MAX + 1), etag_len = strnlen(etag, S3_ETAG_CAP);
	size_t shared = shared_end(path, path_len, key, key_len), own = key_len - shared;
	struct head h = {.kind = LEDGER_KIND_FORGOTTEN};
	struct buf b = buf_over((char *)out, LEDGER_RECORD_MAX);

	if (!path_len || path_len >= PATH_MAX || key_len > PATH_KEY_MAX || etag_len >= S3_ETAG_CAP)
		return 0;
	memcpy(h.mark, mark, sizeof mark);
	if (r) {
		h.kind = r->state == LEDGER_DONE ? LEDGER_KIND_DONE : LEDGER_KIND_BEGUN;
		h.size = r->file.size;
		h.mtime_ns = r->file.mtime_ns;
		h.inode = r->file.inode;
	}
	h.path = (uint16_t)path_len;
	h.own = (uint16_t)own;
	h.shared = (uint16_t)shared;
	h.etag = (uint16_t)etag_len;
	buf_put(&b, &h, sizeof h);
	buf_put(&b, path, path_len);
	buf_put(&b, key, own);
	buf_put(&b, etag, etag_len);
	buf_char(&b, '\n');
	h.sum = sum(out, length(&h));
	memcpy(out + offsetof(struct head, sum), &h.sum, sizeof h.sum);
	return length(&h);
}

static int
is_head(const struct head *h)
{
	return !memcmp(h->mark, mark, sizeof mark) && h->path && h->path < PATH_MAX && h->shared <= h->path &&
		(h->kind == LEDGER_KIND_BEGUN || h->kind == LEDGER_KIND_DONE || h->kind == LEDGER_KIND_FORGOTTEN) && h->own + h->shared <= PATH_KEY_MAX && h->etag < S3_ETAG_CAP;
}

size_t
ledger_record_read(const unsigned char *p, size_t n, struct ledger_view *v)
{
	struct head h;
	size_t len;

	if (n < sizeof h)
		return 0;
	memcpy(&h, p, sizeof h);
	len = length(&h);
	if (!is_head(&h) || len > n || h.sum != sum(p, len) || memchr(p + sizeof h, '\0', len - sizeof h))
		return 0;
	v->kind = h.kind;
	v->file = (struct ledger_file){h.size, h.mtime_ns, h.inode};
	v->path = (const char *)p + sizeof h;
	v->path_len = h.path;
	v->own = v->path + h.path;
	v->own_len = h.own;
	v->shared = h.shared;
	v->etag = v->own + h.own;
	v->etag_len = h.etag;
	return len;
}

void
ledger_record_take(struct ledger_record *r, const struct ledger_view *v)
{
	r->state = v->kind == LEDGER_KIND_DONE ? LEDGER_DONE : LEDGER_BEGUN;
	r->file = v->file;
	memcpy(r->key, v->own, v->own_len);
	memcpy(r->key + v->own_len, v->path + v->path_len - v->shared, v->shared);
	r->key[v->own_len + v->shared] = '\0';
	memcpy(r->etag, v->etag, v->etag_len);
	r->etag[v->etag_len] = '\0';
}

int
ledger_reader_open(struct ledger_reader *r, int fd)
{
	*r = (struct ledger_reader){.fd = fd, .end = LEDGER_HEADER, .block = malloc(BLOCK)};
	return r->block ? 0 : -1;
}

void
ledger_reader_close(struct ledger_reader *r)
{
	free(r->block);
}

/* Fill the block, so that a whole record stands there if the file has one. */
static int
fill(struct ledger_reader *r)
{
	memmove(r->block, r->block + r->pos, r->have -= r->pos);
	r->pos = 0;
	while (r->have < BLOCK && !r->eof) {
		ssize_t n = pread(r->fd, r->block + r->have, BLOCK - r->have, (off_t)(r->end + r->tail + r->have));

		if (n < 0 && errno != EINTR)
			return -1;
		r->have += n > 0 ? (size_t)n : 0;
		r->eof = !n;
	}
	return 0;
}

int
ledger_reader_next(struct ledger_reader *r)
{
	for (;;) {
		const unsigned char *p, *next;
		size_t rest;

		if (r->have - r->pos < LEDGER_RECORD_MAX && !r->eof && fill(r) < 0)
			return -1;
		p = r->block + r->pos;
		rest = r->have - r->pos;
		if (!rest)
			return 0;
		r->len = ledger_record_read(p, rest, &r->view);
		if (r->len) {
			r->record = p;
			r->pos += r->len;
			r->lost += r->tail;
			r->at = r->end + r->tail;
			r->end = r->at + r->len;
			r->tail = 0;
			return 1;
		}
		next = memchr(p + 1, (unsigned char)mark[0], rest - 1);
		rest = next ? (size_t)(next - p) : rest;
		r->pos += rest;
		r->tail += rest;
	}
}

int
ledger_reader_torn(const struct ledger_reader *r)
{
	struct head h;
	char last = 0;

	if (r->tail < sizeof h || pread(r->fd, &last, 1, (off_t)(r->end + r->tail - 1)) != 1 || !last)
		return 1;         /* file systems that put off allocation leave zeros after a power cut; no record ends in one */
	return pread(r->fd, &h, sizeof h, (off_t)r->end) == sizeof h && is_head(&h) && length(&h) > r->tail;
}
