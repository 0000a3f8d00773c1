/* What the same bytes cost at the least with this TLS library: one connection, one thread, no signature, no retries, no XML.
 *   limit HOST:PORT CA put KEY FILE|DIR      every file of DIR as KEY/name: read for its CRC-32C, read into the record, sealed, sent
 *   limit HOST:PORT CA get KEY FILE          received, opened, MD5, written to FILE; get8: MD5 of eight pieces at once, as parts allow
 *   limit HOST:PORT CA list KEY              the pages of what is below KEY/, read and dropped
 * "put-" and "get-" do without CRC-32C or MD5. Only the sink (bench/sink.c) takes such requests. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hash.h"
#include "tls.h"

enum { READ = 32768, IN = HASH_MD5_MANY * 65536 };

struct link {
	struct net net;
	struct tls *tls;
	const char *key;
	int plain, many;             /* no checksum; eight at once */
	struct hash_md5 md5[HASH_MD5_MANY];
	int out;                     /* where a body goes, -1: nowhere */
	size_t have;
	char in[IN + 1];
};

_Noreturn static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "limit: %s: %s\n", what, e ? e->msg : strerror(errno));
	exit(1);
}

/* A head, whole, into the record. */
static void
say(struct link *l, const char *text)
{
	struct err e = {0};
	unsigned char *room;
	size_t n, len = strlen(text);

	for (; len > 0; text += n, len -= n) {
		if (tls_reserve(l->tls, &room, &n, &e) != 1)
			die("send", &e);
		n = n < len ? n : len;
		memcpy(room, text, n);
		tls_commit(l->tls, n);
	}
}

static void
flush(struct link *l)
{
	struct err e = {0};

	if (tls_flush(l->tls, &e) != 1)
		die("send", &e);
}

static void
more(struct link *l)
{
	struct err e = {0};
	ssize_t n = tls_read(l->tls, l->in + l->have, IN - l->have, &e);

	if (n <= 0)
		die("receive", &e);
	l->have += (size_t)n;
	l->in[l->have] = 0;
}

static void
digest(struct link *l, const char *p, size_t n)
{
	struct hash_md5 *sums[HASH_MD5_MANY];
	const void *data[HASH_MD5_MANY];

	if (!l->many || n != IN) {
		hash_md5_update(l->md5, p, n);
		return;
	}
	for (int i = 0; i < HASH_MD5_MANY; i++) {
		sums[i] = &l->md5[i];
		data[i] = p + i * (IN / HASH_MD5_MANY);
	}
	hash_md5_update_many(sums, data, IN / HASH_MD5_MANY, HASH_MD5_MANY);
}

static void
consume(struct link *l, const char *p, size_t n)
{
	if (l->out < 0)
		return;
	if (!l->plain)
		digest(l, p, n);
	if (write(l->out, p, n) != (ssize_t)n)
		die("write", NULL);
}

/* A reply to its end. */
static void
reply(struct link *l)
{
	char *end, *length;
	size_t left;

	l->have = 0;
	do
		more(l);
	while (!(end = strstr(l->in, "\r\n\r\n")));
	if (strncmp(l->in, "HTTP/1.1 2", 10) != 0 || !(length = strcasestr(l->in, "\r\ncontent-length:")))
		die(l->in, NULL);
	left = strtoull(length + 17, NULL, 10);
	l->have -= (size_t)(end + 4 - l->in);
	memmove(l->in, end + 4, l->have);
	for (; left > 0; left -= l->have, l->have = 0) {
		while (l->have < IN && l->have < left)
			more(l);
		consume(l, l->in, l->have);
	}
}

static void
put(struct link *l, const char *key, const char *path)
{
	static char buffer[READ];
	struct err e = {0};
	struct stat st;
	unsigned char *room;
	uint32_t crc = 0;
	char text[512];
	ssize_t got;
	size_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path, NULL);
	for (off_t at = 0; !l->plain && (got = pread(fd, buffer, READ, at)) > 0; at += got)
		crc = hash_crc32c(crc, buffer, (size_t)got);
	snprintf(text, sizeof text, "PUT /runpod/%s HTTP/1.1\r\nHost: x\r\nx-amz-checksum-crc32c: %08x\r\nContent-Length: %lld\r\n\r\n", key, crc,
		(long long)st.st_size);
	say(l, text);
	for (off_t left = st.st_size; left > 0; left -= got) {
		if (tls_reserve(l->tls, &room, &n, &e) != 1 || (got = read(fd, room, n)) <= 0)
			die(path, &e);
		tls_commit(l->tls, (size_t)got);
	}
	close(fd);
	flush(l);
	reply(l);
}

static void
put_all(struct link *l, const char *path)
{
	char key[512], name[1024];
	DIR *d = opendir(path);
	struct dirent *x;

	if (!d) {
		put(l, l->key, path);
		return;
	}
	while ((x = readdir(d))) {
		if (*x->d_name == '.')
			continue;
		snprintf(key, sizeof key, "%.200s/%.255s", l->key, x->d_name);
		snprintf(name, sizeof name, "%.600s/%.255s", path, x->d_name);
		put(l, key, name);
	}
	closedir(d);
}

static void
get(struct link *l, const char *path)
{
	unsigned char sum[HASH_MD5_LEN];
	char text[512];

	for (int i = 0; i < HASH_MD5_MANY; i++)
		hash_md5_init(&l->md5[i]);
	if ((l->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
		die(path, NULL);
	snprintf(text, sizeof text, "GET /runpod/%.300s HTTP/1.1\r\nHost: x\r\n\r\n", l->key);
	say(l, text);
	flush(l);
	reply(l);
	hash_md5_out(l->md5, sum);
	if (close(l->out) < 0)
		die(path, NULL);
}

static void
list(struct link *l)
{
	long n = atol(l->key + strcspn(l->key, "0123456789"));
	char text[512];

	for (long at = 0; at < n; at += 1000) {
		snprintf(text, sizeof text, "GET /runpod?list-type=2&prefix=%.300s%%2F&continuation-token=%ld HTTP/1.1\r\nHost: x\r\n\r\n", l->key, at);
		say(l, text);
		flush(l);
		reply(l);
	}
}

static void
dial(struct link *l, char *address, const char *ca)
{
	struct err e = {0};
	struct tls_trust *trust = tls_trust_load(ca, &e);
	char *colon = strrchr(address, ':');

	if (!trust || !colon)
		die(ca, &e);
	*colon = 0;
	struct tls_params p = {.host = address, .trust = trust};

	if (net_dial(&l->net, address, (uint16_t)atoi(colon + 1), NULL, 60000, &e) < 0 || !(l->tls = tls_new()) ||
		tls_handshake(l->tls, &l->net, &p, &e) < 0)
		die(address, &e);
	tls_trust_free(trust);
}

int
main(int argc, char **argv)
{
	static struct link l = {.out = -1, .net.fd = -1};

	if (argc < 5 || (argc < 6 && strcmp(argv[3], "list") != 0)) {
		fputs("usage: limit HOST:PORT CA put|put-|get|get8|get-|list KEY [PATH]\n", stderr);
		return 2;
	}
	l.plain = strchr(argv[3], '-') != NULL;
	l.many = strchr(argv[3], '8') != NULL;
	dial(&l, argv[1], argv[2]);
	l.key = argv[4];
	if (argv[3][0] == 'p')
		put_all(&l, argv[5]);
	else if (argv[3][0] == 'g')
		get(&l, argv[5]);
	else
		list(&l);
	tls_close(l.tls);
	net_close(&l.net);
	tls_free(l.tls);
	return 0;
}
