/* sink CERT KEY [PORT]: an S3 server over TLS on loopback that keeps nothing and checks nothing, so that the client is what is measured.
 * Prints its port once it listens. One thread a connection. What it answers: sink_s3.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "sink.h"

struct sink_counts sink_counts;
static SSL_CTX *context;

/* ---- bytes ---- */

/* A request of the harness itself never gets here, nor does a connection that has only such. */
static void
count_wire(struct conn *c)
{
	uint64_t received = BIO_number_read(SSL_get_rbio(c->ssl)), sent = BIO_number_written(SSL_get_wbio(c->ssl));

	if (!c->counted) {
		c->counted = 1;
		sink_counts.connections++;
		sink_counts.resumed += SSL_session_reused(c->ssl) != 0;
	}
	sink_counts.received += received - c->received;
	sink_counts.sent += sent - c->sent;
	c->received = received;
	c->sent = sent;
}

int
sink_send(struct conn *c, const void *p, size_t n)
{
	size_t done;

	for (const char *at = p; n > 0; at += done, n -= done) {
		if (SSL_write_ex(c->ssl, at, n, &done) != 1)
			return -1;
	}
	return 0;
}

/* More into in, which has room or is empty: 0, or -1 at the end of everything. */
static int
fill(struct conn *c)
{
	size_t n;

	if (c->at == c->end)
		c->at = c->end = 0;
	if (c->end == sizeof c->in || SSL_read_ex(c->ssl, c->in + c->end, sizeof c->in - c->end, &n) != 1)
		return -1;
	c->end += n;
	return 0;
}

/* A line without its end, in place: NULL at the end of everything, or when it is too long. */
static char *
line(struct conn *c)
{
	char *nl;

	if (c->at > 0 && c->end - c->at < 32768) {
		memmove(c->in, c->in + c->at, c->end - c->at);
		c->end -= c->at;
		c->at = 0;
	}
	while (!(nl = memchr(c->in + c->at, '\n', c->end - c->at))) {
		if (fill(c) < 0)
			return NULL;
	}
	char *start = c->in + c->at;

	c->at = (size_t)(nl - c->in) + 1;
	*nl = 0;
	if (nl > start && nl[-1] == '\r')
		nl[-1] = 0;
	return start;
}

/* ---- a request ---- */

static void
hex_of_base64(const char *text, char out[33])
{
	unsigned char raw[64];
	size_t n = strlen(text);

	if (n != 24 || EVP_DecodeBlock(raw, (const unsigned char *)text, (int)n) != 18)
		return;
	for (int i = 0; i < 16; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static void
range(struct request *r, const char *value)
{
	char *rest;

	if (strncmp(value, "bytes=", 6) != 0)
		return;
	r->from = strtoll(value + 6, &rest, 10);
	r->to = *rest == '-' && rest[1] ? strtoll(rest + 1, NULL, 10) : -1;
}

static void
field(struct request *r, const char *name, const char *value)
{
	size_t n = strlen(r->meta);

	if (!strcasecmp(name, "content-length"))
		r->length = strtoll(value, NULL, 10);
	else if (!strcasecmp(name, "transfer-encoding"))
		r->length = -1;
	else if (!strcasecmp(name, "x-amz-decoded-content-length"))
		r->decoded = strtoll(value, NULL, 10);
	else if (!strcasecmp(name, "expect"))
		r->expects = 1;
	else if (!strcasecmp(name, "range"))
		range(r, value);
	else if (!strcasecmp(name, "content-md5"))
		hex_of_base64(value, r->md5);
	else if (!strcasecmp(name, "x-amz-checksum-crc32c"))
		snprintf(r->crc32c, sizeof r->crc32c, "%s", value);
	else if (!strncasecmp(name, "x-amz-meta-", 11) && n + strlen(name) + strlen(value) + 5 < sizeof r->meta)
		snprintf(r->meta + n, sizeof r->meta - n, "%s: %s\r\n", name, value);
}

/* "/bucket/key?query": path style, as everything here is asked for. */
static void
target(struct request *r, char *text)
{
	char *query = strchr(text, '?'), *key;

	if (query)
		*query++ = 0;
	snprintf(r->query, sizeof r->query, "%s", query ? query : "");
	key = *text == '/' ? strchr(text + 1, '/') : NULL;
	sink_decode(key ? key + 1 : "", key ? strlen(key + 1) : 0, r->key, sizeof r->key);
}

/* 0; -1 when no more come. */
static int
head(struct conn *c)
{
	struct request *r = &c->r;
	char *text = line(c), *space, *value;

	if (!text || !(space = strchr(text, ' ')) || space - text >= (int)sizeof r->method)
		return -1;
	memset(r, 0, sizeof *r);
	r->from = r->decoded = -1;
	memcpy(r->method, text, (size_t)(space - text));
	text = space + 1;
	text[strcspn(text, " ")] = 0;
	target(r, text);
	while ((text = line(c)) && *text) {
		if (!(value = strchr(text, ':')))
			return -1;
		*value++ = 0;
		field(r, text, value + strspn(value, " "));
	}
	return text ? 0 : -1;
}

/* n bytes of a body: a POST's is kept, any other is only counted. */
static int
take(struct conn *c, int64_t n)
{
	struct request *r = &c->r;
	int keep = r->method[1] == 'O';

	r->size += n;
	sink_counts.bodies += (uint64_t)n;
	if (keep && (size_t)n > SINK_BODY_MAX - r->nbody - 1)
		return -1;
	while (n > 0) {
		if (c->at == c->end && fill(c) < 0)
			return -1;
		size_t some = c->end - c->at < (size_t)n ? c->end - c->at : (size_t)n;

		if (keep) {
			memcpy(c->body + r->nbody, c->in + c->at, some);
			r->nbody += some;
		}
		c->at += some;
		n -= (int64_t)some;
	}
	return 0;
}

static int
take_chunked(struct conn *c)
{
	char *text, *rest;
	int64_t n;

	do {
		if (!(text = line(c)))
			return -1;
		n = strtoll(text, &rest, 16);
		if (rest == text || n < 0 || take(c, n) < 0)
			return -1;
		while (n == 0 && (text = line(c)) && *text)
			continue;
	} while (n > 0 && (text = line(c)) && !*text);
	return text ? 0 : -1;
}

static int
body(struct conn *c)
{
	struct request *r = &c->r;
	int rc;

	if (r->expects && sink_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0)
		return -1;
	rc = r->length < 0 ? take_chunked(c) : take(c, r->length);
	if (r->decoded >= 0)
		r->size = r->decoded;
	c->body[r->nbody] = 0;
	return rc;
}

/* ---- connections ---- */

/* Requests that are not counted to their end; counts are told when the one that asks is all there is. */
static atomic_int busy;

static void
wait_for_quiet(void)
{
	for (int tries = 0; busy > 1 && tries < 1000; tries++)
		usleep(1000);
}

static int
handle(struct conn *c)
{
	int own = !strcmp(c->r.key, "counts"), rc;

	if (own)
		wait_for_quiet();
	else
		sink_counts.requests++;
	rc = body(c) == 0 ? sink_answer(c) : -1;
	if (!own)
		count_wire(c);
	return rc;
}

static void
converse(struct conn *c)
{
	int rc = 0;

	while (rc == 0 && head(c) == 0) {
		busy++;
		rc = handle(c);
		busy--;
	}
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct conn *c = calloc(1, sizeof *c);

	if (c && (c->body = malloc(SINK_BODY_MAX)) && (c->ssl = SSL_new(context)) && SSL_set_fd(c->ssl, fd) == 1 &&
		SSL_accept(c->ssl) == 1) {
		converse(c);
		SSL_shutdown(c->ssl);
	}
	close(fd);
	if (c) {
		SSL_free(c->ssl);
		free(c->body);
	}
	free(c);
	return NULL;
}

static int
listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
		listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static SSL_CTX *
tls(const char *cert, const char *key)
{
	SSL_CTX *x = SSL_CTX_new(TLS_server_method());

	if (!x || SSL_CTX_use_certificate_chain_file(x, cert) != 1 || SSL_CTX_use_PrivateKey_file(x, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_set_session_id_context(x, (const unsigned char *)"sink", 4) != 1)
		return NULL;
	SSL_CTX_set_read_ahead(x, 1);
	SSL_CTX_set_default_read_buffer_len(x, 64 << 10);
	return x;
}

int
main(int argc, char **argv)
{
	pthread_attr_t small;
	pthread_t t;
	int fd, listener;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 3 || !(context = tls(argv[1], argv[2])) || (listener = listen_on(argc > 3 ? atoi(argv[3]) : 0)) < 0) {
		fprintf(stderr, "usage: sink CERT KEY [PORT] (%s)\n", strerror(errno));
		return 2;
	}
	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, 256 << 10);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && pthread_create(&t, &small, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}
