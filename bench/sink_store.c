/* What the sink knows of objects: those that were put by their names, those that were never put by a rule. */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sink.h"

enum { ROWS = 1 << 16, KNOWN = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *rows[ROWS];

/* Where key's object hangs, or would. */
static struct object **
find(const char *key)
{
	uint32_t h = 2166136261;
	struct object **at;

	for (const char *p = key; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619;
	for (at = &rows[h % ROWS]; *at && strcmp((*at)->key, key) != 0; at = &(*at)->next)
		continue;
	return at;
}

void
store_put(const char *key, int64_t size, const char *etag, const char *meta)
{
	struct object **at;

	pthread_mutex_lock(&lock);
	at = find(key);
	if (!*at && (*at = calloc(1, sizeof **at + strlen(key) + 1)))
		memcpy((*at)->key, key, strlen(key) + 1);
	if (*at) {
		(*at)->size = size;
		snprintf((*at)->etag, sizeof (*at)->etag, "%s", etag);
		snprintf((*at)->meta, sizeof (*at)->meta, "%s", meta);
	}
	pthread_mutex_unlock(&lock);
}

void
store_grow(const char *key, int64_t size)
{
	struct object **at;

	pthread_mutex_lock(&lock);
	at = find(key);
	if (*at)
		(*at)->size += size;
	pthread_mutex_unlock(&lock);
}

int
store_get(const char *key, struct object *o)
{
	struct object **at;
	int there;

	pthread_mutex_lock(&lock);
	at = find(key);
	there = *at != NULL;
	if (there)
		*o = **at;
	pthread_mutex_unlock(&lock);
	return there;
}

void
store_remove(const char *key)
{
	struct object **at, *gone;

	pthread_mutex_lock(&lock);
	at = find(key);
	if ((gone = *at))
		*at = gone->next;
	pthread_mutex_unlock(&lock);
	free(gone);
}

/* ---- objects by rule ---- */

const unsigned char *
pattern_bytes(void)
{
	static unsigned char pattern[PATTERN];
	static int made;
	uint64_t x = 88172645463325252ULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; !made && i < PATTERN; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pattern[i] = (unsigned char)(x >> 32);
	}
	made = 1;
	pthread_mutex_unlock(&lock);
	return pattern;
}

int
pattern_of(const char *key, struct pattern *x)
{
	char *rest;

	if (strncmp(key, "pattern/", 8) != 0)
		return -1;
	x->size = strtoll(key + 8, &rest, 10);
	x->part = *rest == '-' ? strtoll(rest + 1, &rest, 10) : x->size > 2 * (int64_t)PATTERN_PART ? PATTERN_PART : 0;
	if (*rest || x->size < 0 || x->part < 0 || x->part % PATTERN != 0)
		return -1;
	x->parts = x->part > 0 ? (unsigned)((x->size + x->part - 1) / x->part) : 0;
	return 0;
}

static void
md5(int64_t size, unsigned char out[16])
{
	const unsigned char *pattern = pattern_bytes();
	EVP_MD_CTX *x = EVP_MD_CTX_new();

	EVP_DigestInit_ex(x, EVP_md5(), NULL);
	for (; size > 0; size -= PATTERN)
		EVP_DigestUpdate(x, pattern, size < PATTERN ? (size_t)size : PATTERN);
	EVP_DigestFinal_ex(x, out, NULL);
	EVP_MD_CTX_free(x);
}

/* Parts begin where the pattern does, so all but the last have one MD5. */
static void
etag_of(const struct pattern *x, char etag[SINK_ETAG_CAP])
{
	unsigned char sum[16], *sums = malloc(16 * (size_t)(x->parts + 1));

	if (!sums)
		abort();
	if (x->parts > 0) {
		md5(x->part, sums);
		for (unsigned i = 1; i + 1 < x->parts; i++)
			memcpy(sums + (size_t)i * 16, sums, 16);
		md5(x->size - (int64_t)(x->parts - 1) * x->part, sums + (size_t)(x->parts - 1) * 16);
		EVP_Digest(sums, (size_t)x->parts * 16, sum, NULL, EVP_md5(), NULL);
	} else {
		md5(x->size, sum);
	}
	for (int i = 0; i < 16; i++)
		snprintf(etag + 2 * i, 3, "%02x", sum[i]);
	if (x->parts > 0)
		snprintf(etag + 32, SINK_ETAG_CAP - 32, "-%u", x->parts);
	free(sums);
}

void
pattern_etag(const struct pattern *x, char etag[SINK_ETAG_CAP])
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	static struct { struct pattern of; char etag[SINK_ETAG_CAP]; } known[KNOWN];
	static unsigned next;
	unsigned i = 0;

	pthread_mutex_lock(&one);
	while (i < KNOWN && (known[i].of.size != x->size || known[i].of.part != x->part || !*known[i].etag))
		i++;
	if (i == KNOWN) {
		i = next++ % KNOWN;
		etag_of(x, known[i].etag);
		known[i].of = *x;
	}
	memcpy(etag, known[i].etag, SINK_ETAG_CAP);
	pthread_mutex_unlock(&one);
}
