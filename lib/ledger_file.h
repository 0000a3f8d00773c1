#pragma once
/* What stands in a ledger's file: a header and records. Numbers are as the machine has them (little-endian on all we build for). The ledger's own. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include "ledger.h"

enum {
	LEDGER_VERSION = 1,
	LEDGER_HEADER = 24,                         /* bytes before the first record */
	LEDGER_HEAD = 40,                           /* bytes of a record before its text */
	LEDGER_RECORD_MAX = LEDGER_HEAD + PATH_MAX + PATH_KEY_MAX + S3_ETAG_CAP + 1,
};

/* The header with who holds the file. Whatever is torn or rewritten, what decides whether it is ours stays the same bytes. */
void ledger_header(unsigned char out[LEDGER_HEADER], uint32_t pid);
/* The version of the ledger in p, 0 when these n bytes are no header; *pid: of the holder. */
uint32_t ledger_header_read(const unsigned char *p, size_t n, uint32_t *pid);

/* A record; path and key's own part are not NUL-terminated. */
struct ledger_view {
	char kind;                                  /* LEDGER_KIND_… */
	struct ledger_file file;
	const char *path, *own, *etag;              /* key: own, then the last `shared` bytes of path */
	size_t path_len, own_len, shared, etag_len;
};
#define LEDGER_KIND_BEGUN 'B'
#define LEDGER_KIND_DONE 'D'
#define LEDGER_KIND_FORGOTTEN 'F'

/* Bytes written to out; 0 when a part is too long. r NULL: path is forgotten. */
size_t ledger_record_write(unsigned char out[LEDGER_RECORD_MAX], const char *path, const struct ledger_record *r);
/* The length of the whole, sound record that the n bytes at p begin with, and *v (into p); 0: there is none. */
size_t ledger_record_read(const unsigned char *p, size_t n, struct ledger_view *v);
void ledger_record_take(struct ledger_record *r, const struct ledger_view *v);

/* All sound records of a file from LEDGER_HEADER on, whatever stands between them. */
struct ledger_reader {
	int fd;
	uint64_t at;                                /* offset of the record that was read last */
	uint64_t end;                               /* … behind the last sound record */
	uint64_t lost;                              /* bytes between records that are none */
	uint64_t tail;                              /* … behind the last record */
	struct ledger_view view;
	const unsigned char *record;                /* until the next call */
	size_t len;
	/* The rest is ledger_file.c's. */
	unsigned char *block;
	size_t pos, have;
	int eof;
};
/* -1: out of memory. ledger_reader_close is due then too. */
int ledger_reader_open(struct ledger_reader *r, int fd);
/* 1: the next record; 0: the end; -1 (errno): cannot be read. */
int ledger_reader_next(struct ledger_reader *r);
/* After the end: 1 when the tail looks like what a kill or a power cut leaves of a record that was being written. */
int ledger_reader_torn(const struct ledger_reader *r);
void ledger_reader_close(struct ledger_reader *r);
