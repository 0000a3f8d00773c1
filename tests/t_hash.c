#include <stdlib.h>
#include "cpu.h"
#include "enc.h"
#include "hash.h"
#include "test.h"

enum { BIG = 1000000 };

static unsigned char data[BIG];

static const char *
hex(const void *p, size_t n)
{
	static char mem[2 * HASH_SHA256_LEN + 1];
	struct buf b = BUF(mem);

	enc_hex(&b, p, n);
	return mem;
}

static const char *
hex32(uint32_t v)
{
	static char mem[9];

	snprintf(mem, sizeof mem, "%08x", (unsigned)v);
	return mem;
}

/* data := what a row of digests.tsv describes. */
static void
fill(const char *what, size_t n)
{
	if (!strcmp(what, "pat"))
		for (size_t i = 0; i < n; i++)
			data[i] = (unsigned char)(i * 31 + 7);
	else if (!strncmp(what, "a*", 2))
		memset(data, 'a', n);
	else if (strcmp(what, "-"))
		check_int(enc_unhex(what, data, n), 0);
}

static const char *
md5(size_t n)
{
	unsigned char out[HASH_MD5_LEN];
	struct hash_md5 c;

	hash_md5_init(&c);
	hash_md5_update(&c, data, n);
	hash_md5_out(&c, out);
	return hex(out, sizeof out);
}

static const char *
sha256(size_t n)
{
	unsigned char out[HASH_SHA256_LEN];

	hash_sha256(data, n, out);
	return hex(out, sizeof out);
}

/* Both digests of the first n bytes, fed in pieces, asked for in the middle as well. */
static void
in_pieces(size_t n, const char *want_md5, const char *want_sha256)
{
	unsigned char out[HASH_SHA256_LEN];
	struct hash_sha256 s;
	struct hash_md5 m;

	hash_md5_init(&m);
	hash_sha256_init(&s);
	for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 257 + 1) {
		if (step > n - at)
			step = n - at;
		hash_md5_update(&m, data + at, step);
		hash_sha256_update(&s, data + at, step);
		hash_md5_out(&m, out);
		hash_sha256_out(&s, out);
	}
	hash_md5_out(&m, out);
	check_str(hex(out, HASH_MD5_LEN), want_md5);
	hash_sha256_out(&s, out);
	check_str(hex(out, HASH_SHA256_LEN), want_sha256);
}

/* A tab-separated line into at most cap fields; how many. */
static int
split(char *line, char **fields, int cap)
{
	int n = 0;

	for (char *f = strtok(line, "\t\n"); f && n < cap; f = strtok(NULL, "\t\n"))
		fields[n++] = f;
	return n;
}

static void
test_digests(void)
{
	FILE *f = fopen("tests/vectors/hash/digests.tsv", "r");
	static char line[4096];
	char *v[10];
	int n = 0;

	check(f != NULL);
	while (f && fgets(line, sizeof line, f)) {
		size_t len;

		if (*line == '#' || split(line, v, 10) != 10)
			continue;
		len = strtoul(v[1], NULL, 10);
		fill(v[2], len);
		check_str(md5(len), v[3]);
		check_str(sha256(len), v[5]);
		in_pieces(len, v[3], v[5]);
		check_str(hex32(hash_crc32c(0, data, len)), v[8]);
		check_str(hex32(hash_crc32c_table(0, data, len)), v[8]);
		n++;
	}
	check_int(n, 35);
	if (f)
		fclose(f);
}

static void
test_hmac(void)
{
	FILE *f = fopen("tests/vectors/hash/hmac_sha256.tsv", "r");
	static char line[4096];
	unsigned char key[512], text[512], out[HASH_SHA256_LEN];
	char *v[3];
	int n = 0;

	check(f != NULL);
	while (f && fgets(line, sizeof line, f)) {
		if (*line == '#' || split(line, v, 3) != 3)
			continue;
		check_int(enc_unhex(v[0], key, strlen(v[0]) / 2), 0);
		check_int(enc_unhex(v[1], text, strlen(v[1]) / 2), 0);
		hash_hmac_sha256(key, strlen(v[0]) / 2, text, strlen(v[1]) / 2, out);
		check_str(hex(out, sizeof out), v[2]);
		hash_hmac_sha256(key, strlen(v[0]) / 2, text, strlen(v[1]) / 2, key);   /* out may be key */
		check_str(hex(key, sizeof out), v[2]);
		n++;
	}
	check(n >= 6);
	if (f)
		fclose(f);
}

/* The multipart ETag needs MD5 of raw digests, over several contexts. */
static void
test_multipart_etag(void)
{
	unsigned char part[HASH_MD5_LEN];
	struct hash_md5 all, one;

	fill("pat", 100);
	hash_md5_init(&all);
	hash_md5_init(&one);
	hash_md5_update(&one, data, 100);
	hash_md5_out(&one, part);
	hash_md5_update(&all, part, sizeof part);
	hash_md5_out(&all, part);
	check_str(hex(part, sizeof part), "1e57c883cdc11785bda6237dad770611");
}

static void
test_crc_against_table(void)
{
	static const size_t edges[] = {0, 1, 7, 8, 9, 5455, 5456, 5457, 10912, 16360, 16367, 16368, 16369, 16376, 32735,
		32736, 32737, 49104, 70000};
	uint32_t random = 1;
	int wrong = 0;

	for (size_t i = 0; i < BIG; i++)
		data[i] = (unsigned char)((random = random * 1664525 + 1013904223) >> 24);
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		for (size_t at = 0; at < 9; at++)
			wrong += hash_crc32c(0, data + at, edges[i]) != hash_crc32c_table(0, data + at, edges[i]);
	for (int i = 0; i < 300; i++) {
		size_t n = (random = random * 1664525 + 1013904223) >> 8, at = random >> 28;

		n %= 70001;
		wrong += hash_crc32c(random, data + at, n) != hash_crc32c_table(random, data + at, n);
	}
	check_int(wrong, 0);
}

static void
test_crc_continues(void)
{
	uint32_t whole = hash_crc32c(0, data, 70000), crc = 0;

	for (size_t at = 0, step = 1; at < 70000; at += step, step = step * 5 % 20011 + 1)
		crc = hash_crc32c(crc, data + at, step < 70000 - at ? step : 70000 - at);
	check_str(hex32(crc), hex32(whole));
	check_str(hex32(hash_crc32c(0x12345678, data, 0)), "12345678");
	check_str(hex32(hash_crc32c_table(0x12345678, data, 0)), "12345678");
}

/* Several contexts at once give what each gives alone, wherever it stands within a block. */
static void
test_md5_many(void)
{
	static unsigned char text[HASH_MD5_MANY][1000];
	static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 640, 1000};

	for (size_t i = 0; i < sizeof text; i++)
		text[i / 1000][i % 1000] = (unsigned char)(i * 167 + i / 251);
	for (unsigned count = 1; count <= HASH_MD5_MANY; count++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (size_t before = 0; before < 200; before += count == 2 ? 56 : 64) {
				struct hash_md5 one[HASH_MD5_MANY], many[HASH_MD5_MANY], *c[HASH_MD5_MANY];
				const void *p[HASH_MD5_MANY];
				unsigned char a[HASH_MD5_LEN], b[HASH_MD5_LEN];

				for (unsigned k = 0; k < count; k++) {
					hash_md5_init(&one[k]);
					hash_md5_update(&one[k], text[k], before + k * 64);
					many[k] = one[k];
					c[k] = &many[k];
					p[k] = text[k];
					hash_md5_update(&one[k], text[k], sizes[s]);
				}
				hash_md5_update_many(c, p, sizes[s], count);
				for (unsigned k = 0; k < count; k++) {
					hash_md5_update(&one[k], "end", 3);
					hash_md5_update(&many[k], "end", 3);
					hash_md5_out(&one[k], a);
					hash_md5_out(&many[k], b);
					check(!memcmp(a, b, sizeof a));
				}
			}
}

int
main(void)
{
	test_hmac();
	test_multipart_etag();
	/* As this processor does it, and as the least of its kind. */
	for (unsigned mask = ~0u; ; mask = 0) {
		cpu_limit(mask);
		test_digests();
		test_crc_against_table();
		test_crc_continues();
		test_md5_many();
		if (!mask)
			break;
	}
	return test_end();
}
