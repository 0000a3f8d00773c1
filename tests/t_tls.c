/* Without arguments: what needs no server. With arguments: the client that tests/tls.sh runs.
     t_tls PORT HOST CA-FILE DOES [BYTES]     HOST is only the name for TLS; the address is 127.0.0.1
   DOES: read, twice, echo, sink, flood, leave, idle. NOW=seconds sets the time, TIMEOUT_MS the patience, CPU=mask
   what is left of the processor, SNDBUF=bytes how much the kernel takes. */
#include <bearssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "cpu.h"
#include "enc.h"
#include "test.h"
#include "tls.h"
#include "tls_cert.h"
#include "tls_explain.h"
#include "tls_gcm.h"

/* ---- the client ---- */

static struct tls *tls;
static struct net net = {.fd = -1};

static int
say(const struct err *e)
{
	static const char *const kinds[] = {"NONE", "USAGE", "KEYS", "LOCAL", "CHANGED", "NAME", "CONNECT", "TLS", "NET"};

	printf("%s %s\n", kinds[e->kind], e->msg);
	return 1;
}

static int
open_tls(const char *port, const struct tls_params *p, struct err *e)
{
	const char *patience = getenv("TIMEOUT_MS"), *room = getenv("SNDBUF");
	int bytes = room ? atoi(room) : 0;

	if (net_dial(&net, "127.0.0.1", (uint16_t)atoi(port), NULL, patience ? atoi(patience) : 60000, e) < 0)
		return -1;
	if (room && setsockopt(net.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0)
		return fail_errno(e, "SO_SNDBUF");
	return tls_handshake(tls, &net, p, e);
}

static void
close_tls(void)
{
	tls_close(tls);
	net_close(&net);
}

static unsigned char
pattern(uint64_t i)
{
	return (unsigned char)(i * 2654435761u >> 13);
}

/* Eight bytes of length, then so many of the pattern. 1 all sent, 0 the peer spoke, -1. */
static int
send_pattern(uint64_t bytes, int flat, struct err *e)
{
	uint64_t sent = 0, i;
	unsigned char *p;
	size_t n, k;
	int r;

	while (sent < bytes + 8) {
		r = tls_reserve(tls, &p, &n, e);
		if (r <= 0)
			return r;
		if (n > bytes + 8 - sent)
			n = (size_t)(bytes + 8 - sent);
		for (k = flat && sent ? n : 0; k < n; k++) {
			i = sent + k;
			p[k] = (unsigned char)(i < 8 ? bytes >> (56 - 8 * i) : pattern(i - 8));
		}
		tls_commit(tls, n);
		sent += n;
	}
	/* Who asks for room behind a full record, and then has nothing to say, must not keep what waits for more. */
	if ((bytes + 8) % 16384 == 0 && (r = tls_reserve(tls, &p, &n, e)) <= 0)
		return r;
	return tls_flush(tls, e);
}

static int
read_all(struct err *e, const char *before)
{
	char buf[100];
	ssize_t n;

	printf("%s", before);
	while ((n = tls_read(tls, buf, sizeof buf, e)) > 0)
		printf("%.*s", (int)n, buf);
	printf(n == 0 ? " (end)\n" : " ");
	if (n == 0 && tls_read(tls, buf, sizeof buf, e) != 0)
		printf("second end differs\n");
	return n == 0 ? 0 : say(e);
}

/* The digest, then the pattern again; each byte looked at. */
static int
read_pattern(uint64_t bytes, struct err *e)
{
	unsigned char buf[40000];
	uint64_t at = 0;
	ssize_t n, k;

	while ((n = tls_read(tls, buf, sizeof buf, e)) > 0)
		for (k = 0; k < n; k++, at++)
			if (at >= 32 && buf[k] != pattern(at - 32))
				return printf("byte %llu differs\n", (unsigned long long)(at - 32)), 1;
	if (n < 0)
		return say(e);
	printf("%s\n", at == bytes + 32 ? "same" : "length differs");
	return at != bytes + 32;
}

static int
sink(uint64_t bytes, struct err *e)
{
	struct timespec a, b;
	unsigned char done[32];
	double s;

	clock_gettime(CLOCK_MONOTONIC, &a);
	if (send_pattern(bytes, 1, e) != 1 || tls_read(tls, done, sizeof done, e) <= 0)
		return say(e);
	clock_gettime(CLOCK_MONOTONIC, &b);
	s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%.0f MB/s\n", (double)bytes / s / 1e6);
	return 0;
}

static int
twice(const char *port, struct tls_params *p, struct err *e)
{
	static struct tls_session session;
	struct tls_info info;
	char said[64];
	int i;

	p->session = &session;
	for (i = 0; i < 3; i++) {
		/* The third: id and suite are right, the secret (at 38) is not, so that the handshake fails. */
		if (i == 2)
			memset(session.params + 38, 7, 48);
		if (open_tls(port, p, e) < 0) {
			printf(" have=%d ", session.have);
			return say(e);
		}
		tls_info(tls, &info);
		printf(" resumed=%d have=%d", info.resumed, session.have);
		/* OpenSSL keeps a session only after its Finished has gone out: what it says next comes later than that. */
		while (tls_read(tls, said, sizeof said, e) > 0)
			;
		close_tls();
	}
	printf("\n");
	return 0;
}

static int
does(const char *what, uint64_t bytes, struct err *e)
{
	int r;

	if (!strcmp(what, "read"))
		return read_all(e, "");
	if (!strcmp(what, "echo")) {
		if (send_pattern(bytes, 0, e) != 1)
			return say(e);
		/* The answer comes when all has gone out, not only when somebody reads. */
		if (net_poll(&net, NET_IN, 10000) <= 0)
			return printf("not all was sent\n"), 1;
		return read_pattern(bytes, e);
	}
	if (!strcmp(what, "sink"))
		return sink(bytes, e);
	if (!strcmp(what, "flood")) {
		r = send_pattern(bytes, 0, e);
		return r < 0 ? say(e) : read_all(e, r == 0 ? "early: " : "sent: ");
	}
	if (!strcmp(what, "idle")) {
		printf("idle=%d", tls_idle(tls));
		if (send_pattern(0, 0, e) != 1)
			return say(e);
		net_poll(&net, NET_IN, 10000);
		printf(" idle=%d\n", tls_idle(tls));
	}
	return 0;
}

static int
client(char **argv, int argc)
{
	struct err e = {0};
	struct tls_params p = {.host = argv[2], .trust = tls_trust_load(*argv[3] ? argv[3] : NULL, &e)};
	struct tls_info info;
	int r;

	if (!p.trust)
		return say(&e);
	if (getenv("NOW"))
		p.now = atoll(getenv("NOW"));
	if (getenv("CPU"))
		cpu_limit((unsigned)atoi(getenv("CPU")));
	tls = tls_new();
	if (!strcmp(argv[4], "twice")) {
		r = twice(argv[1], &p, &e);
	} else if (open_tls(argv[1], &p, &e) < 0) {
		r = say(&e);
	} else {
		tls_info(tls, &info);
		printf("%s: ", info.suite);
		r = does(argv[4], argc > 5 ? strtoull(argv[5], NULL, 10) : 0, &e);
		if (!strcmp(argv[4], "leave"))
			printf("left\n");
	}
	close_tls();
	tls_free(tls);
	tls_trust_free((struct tls_trust *)(uintptr_t)p.trust);
	return r;
}

/* ---- what needs no server ---- */

static char dir[64];

static const char *
path(const char *name)
{
	static char p[128];

	snprintf(p, sizeof p, "%s/%s", dir, name);
	return p;
}

static size_t
slurp(const char *name, unsigned char *out, size_t cap)
{
	FILE *f = fopen(path(name), "rb");
	size_t n = f ? fread(out, 1, cap, f) : 0;

	if (f)
		fclose(f);
	return n;
}

static void
spit(const char *name, const void *p, size_t n)
{
	FILE *f = fopen(path(name), "wb");

	check(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

/* Certificates in the file, or -1 and the message. */
static long
count(const char *name, struct err *e)
{
	struct tls_trust *t = tls_trust_load(path(name), e);
	long n = t ? (long)tls_trust_count(t) : -1;

	tls_trust_free(t);
	return n;
}

static void
refused(const char *name, const char *why)
{
	struct err e = {0};

	check_int(count(name, &e), -1);
	check_int(e.kind, ERR_USAGE);
	check(strstr(e.msg, path(name)) != NULL);
	if (!strstr(e.msg, why))
		check_str(e.msg, why);
}

static void
test_trust(void)
{
	static unsigned char a[65536], b[65536];
	struct err e = {0};
	size_t n, i, k;
	FILE *p;

	n = slurp("ca.pem", a, sizeof a);
	check(n > 100);
	check_int(count("ca.pem", &e), 1);
	spit("no-newline", a, n - 1);
	check_int(count("no-newline", &e), 1);
	for (i = k = 0; i < n; i++) {
		if (a[i] == '\n')
			b[k++] = '\r';
		b[k++] = a[i];
	}
	spit("crlf", b, k);
	check_int(count("crlf", &e), 1);
	spit("key-and-cert", b, slurp("p256.pem", b, sizeof b));
	check_int(count("key-and-cert", &e), 1);
	k = slurp("order.pem", b, sizeof b);
	memcpy(b + k, a, n);
	spit("bundle", b, k + n);
	check_int(count("bundle", &e), 4);
	/* An Ed25519 key is of no use; the others are. */
	k = slurp("ed25519.crt", b, sizeof b);
	memcpy(b + k, a, n);
	spit("mixed", b, k + n);
	check_int(count("mixed", &e), 1);
	refused("ed25519.crt", "no certificate in it that can be used");
	spit("cut", a, n - 40);
	refused("cut", "cut off");
	a[n / 2] = '!';
	spit("damaged", a, n);
	refused("damaged", "damaged");
	spit("empty", a, 0);
	refused("empty", "no certificate");
	spit("text", "hello\n", 6);
	refused("text", "no certificate");
	spit("p256.only-key", b, slurp("p256.key", b, sizeof b));
	refused("p256.only-key", "no certificate");
	refused("missing-file", "No such file");
	check(mkdir(path("directory"), 0700) == 0);
	refused("directory", "directory");
	check(truncate(path("text"), (4 << 20) + 1) == 0);
	refused("text", "4 MiB");
	snprintf((char *)b, sizeof b, "openssl x509 -in %s/ca.pem -outform DER -out %s/der", dir, dir);
	p = popen((char *)b, "r");
	check(p && pclose(p) == 0);
	check_int(count("der", &e), 1);
}

/* What is counted, or why it is refused, of the bytes as a file. */
static void
loads(const char *p, size_t n, const char *want)
{
	struct err e = {0};
	char number[24];
	long got;

	spit("loads", p, n);
	got = count("loads", &e);
	check(got >= 0 || e.kind == ERR_USAGE);
	if (got < 0)
		snprintf(number, sizeof number, "%s", "refused");
	else
		snprintf(number, sizeof number, "%ld", got);
	if (*want >= '0' && *want <= '9')
		check_str(number, want);
	else if (got >= 0 || !strstr(e.msg, want))
		check_str(got < 0 ? e.msg : number, want);
}

/* A block with the label, between other text. */
static void
block(const char *before, const char *label, const char *body, const char *after, const char *want)
{
	char text[8192];
	int n = snprintf(text, sizeof text, "%s-----BEGIN %s-----\n%s-----END %s-----\n%s", before, label, body, label, after);

	check(n > 0 && (size_t)n < sizeof text);
	loads(text, (size_t)n, want);
}

#define KEY_BLOCK "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n"

#define NONE "no certificate in it that can be used"

static char good[2048], base64[2048];   /* ca.pem, and what stands between its first and its last line */

/* RFC 7468, and what stands around the blocks of real files. */
static void
test_labels(void)
{
	good[slurp("ca.pem", (unsigned char *)good, sizeof good - 1)] = '\0';
	strcpy(base64, strchr(good, '\n') + 1);
	*strstr(base64, "-----END") = '\0';
	block("", "CERTIFICATE", base64, "", "1");
	block("", "X509 CERTIFICATE", base64, "", "1");
	block("", "certificate", base64, "", "1");
	block("", "CERTIFICATE-", base64, "", "1");
	block("", "TRUSTED CERTIFICATE", base64, "", NONE);
	block("", "CERTIFICATE REQUEST", base64, "", NONE);
	block("", "X509 CERTIFICATES", base64, "", NONE);
	block("  -----BEGIN CERTIFICATE-----\n", "CERTIFICATE", base64, "", "1");
	block("# A name - of a root\n=====\n-----\n\n", "CERTIFICATE", base64, "\n-----BEGIN\n-----BEGIN X509 CRL-----\n!", "1");
	block("0 s:CN = the text begins as DER does\n", "CERTIFICATE", base64, "", "1");
	block(KEY_BLOCK, "CERTIFICATE", base64, KEY_BLOCK, "1");
	block(good, "CERTIFICATE", base64, good, "3");
	block(good, "CERTIFICATE", "", "", "1");
	block("", "CERTIFICATE", "", "", NONE);
	block(good, "CERTIFICATE", "MAA=\n", "", "1");
	block(good, "CERTIFICATE", "AA==\n", "", "1");
}

/* A damaged one, wherever it is. */
static void
test_damaged(void)
{
	block("", "CERTIFICATE", "MAA\n", good, "damaged");
	block("", "CERTIFICATE", "MAA==\n", good, "damaged");
	block("", "CERTIFICATE", "MAB=\n", good, "damaged");
	block("", "CERTIFICATE", "MA=A\n", good, "damaged");
	block("", "CERTIFICATE", "MA-A\n", good, "damaged");
	block("", "CERTIFICATE", "MA_A\n", good, "damaged");
	block(good, "CERTIFICATE", "Comment: x\n\nMAA=\n", "", "damaged");
	block("-----BEGIN CERTIFICATE-----\nMAAA\n", "CERTIFICATE", base64, "", "damaged");
	block(good, "CERTIFICATE", base64, "-----BEGIN CERTIFICATE-----\nMAAA\n", "cut off");
	block(good, "CERTIFICATE", base64, "-----BEGIN CERTIFICATE-----", "cut off");
}

static void
test_lines(void)
{
	char text[4096] = "", *p = text;

	/* Of four, with blanks at their ends; one line. */
	for (size_t i = 0, n = 0; base64[i]; i++)
		if (base64[i] != '\n')
			p += sprintf(p, "%c%s", base64[i], ++n % 8 == 0 ? "\n" : n % 4 == 0 ? " \t\n" : "");
	block("", "CERTIFICATE", text, "", "1");
	p = text;
	for (size_t i = 0; base64[i]; i++)
		if (base64[i] != '\n')
			*p++ = base64[i];
	strcpy(p, "\n");
	block("", "CERTIFICATE", text, "", "1");
	/* Zero bytes are text between blocks, and none in them. */
	memset(text, 0, 100);
	text[99] = '\n';
	strcpy(text + 100, good);
	loads(text, 100 + strlen(good), "1");
	text[200] = '\0';
	loads(text, 100 + strlen(good), "damaged");
}

/* Something behind a certificate, in its block or as DER: it is none. */
static void
test_more(void)
{
	char der[2048] = "", text[4096];
	struct buf b = BUF(text);
	size_t n = slurp("der", (unsigned char *)der, sizeof der - 700);

	enc_base64(&b, der, n + 700);
	buf_char(&b, '\n');
	block(good, "CERTIFICATE", text, "", "1");
	block("", "CERTIFICATE", text, "", NONE);
	loads(der, n, "1");
	loads(der, n - 1, NONE);
	loads(der, n + 1, NONE);
}

static void
test_builtin(void)
{
	struct err e = {0};
	struct tls_trust *t = tls_trust_load(NULL, &e), *file = tls_trust_load("build/roots.pem", &e);

	check(t != NULL && tls_trust_count(t) > 50);
	check(file != NULL && tls_trust_count(file) == tls_trust_count(t));   /* the same ones, as text */
	tls_trust_free(file);
	tls_trust_free(t);
	tls_trust_free(NULL);
	check_int(strlen(tls_roots_date()), 10);
	check(!strncmp(tls_library(), "BearSSL", 7));
}

/* DER of NAME.crt. */
static size_t
der(const char *name, unsigned char *out, size_t cap)
{
	char cmd[300];
	size_t n = 0;
	FILE *p;

	snprintf(cmd, sizeof cmd, "openssl x509 -in %s/%s.crt -outform DER", dir, name);
	p = popen(cmd, "r");
	if (p) {
		n = fread(out, 1, cap, p);
		pclose(p);
	}
	return n;
}

static void
test_cert(void)
{
	static const unsigned char v4[4] = {127, 0, 0, 1}, other[4] = {127, 0, 0, 2}, v6[16] = {[15] = 1};
	static const char issuer[] = "\x30\x1f\x31\x1d\x30\x1b\x06\x03\x55\x04\x03\x0c\x14r2box test authority";
	const unsigned char *name;
	unsigned char d[4096], *copy;
	char text[64];
	struct buf shown = BUF(text);
	int64_t from = 0, to = 0;
	size_t n = der("p256", d, sizeof d), i, len;

	check(n > 200);
	check_int(tls_cert_has_address(d, n, v4, 4), 1);
	check_int(tls_cert_has_address(d, n, v6, 16), 1);
	check_int(tls_cert_has_address(d, n, other, 4), 0);
	check_int(tls_cert_dates(d, n, &from, &to), 0);
	check_int(to - from, 30 * 86400);
	check(from <= time(NULL) && from > time(NULL) - 3600);
	tls_cert_issuer_text(d, n, &shown);
	check_str(text, "r2box test authority");
	/* No prefix is read beyond its end (the sanitizer looks), or taken for the whole; the issuer stands in the first half. */
	for (i = 0; i < n; i++) {
		copy = malloc(i);
		memcpy(copy, d, i);
		len = tls_cert_issuer(copy, i, &name);
		check_int(len, len || i > n / 2 ? sizeof issuer - 1 : 0);
		check(!len || !memcmp(name, issuer, len));
		check_int(tls_cert_has_address(copy, i, v4, 4), 0);
		check(tls_cert_dates(copy, i, &from, &to) < 0);
		tls_cert_issuer_text(copy, i, &shown);
		free(copy);
	}
	for (i = 0; i < n; i++) {
		d[i] ^= 0x80;
		tls_cert_has_address(d, n, other, 4);
		tls_cert_dates(d, n, &from, &to);
		len = tls_cert_issuer(d, n, &name);
		check(!len || (name > d && name + len <= d + n));
		buf_reset(&shown);
		tls_cert_issuer_text(d, n, &shown);
		check(strlen(text) < sizeof text);
		d[i] ^= 0x80;
	}
	n = der("names", d, sizeof d);
	check_int(tls_cert_has_address(d, n, v4, 4), 0);
	n = der("ca", d, sizeof d);
	check_int(tls_cert_has_address(d, n, v4, 4), 0);
}

static void
explained(struct tls_fault f, enum err_kind kind, const char *what)
{
	struct err e = {0};

	if (!f.host)
		f.host = "files.example";
	check_int(tls_explain(&f, &e), -1);
	check_int(e.kind, kind);
	if (!strstr(e.msg, what) || strncmp(e.msg, "tls: ", 5) != 0 || !strstr(e.msg, f.host))
		check_str(e.msg, what);
}

static void
test_explain(void)
{
	const char *account = "0123456789abcdef.eu.r2.cloudflarestorage.com";
	int code;

	explained((struct tls_fault){.code = 296, .host = account}, ERR_TLS, "wrong account id in R2_ENDPOINT");
	explained((struct tls_fault){.code = 296, .host = "r2.cloudflarestorage.com"}, ERR_TLS, "know this host name");
	explained((struct tls_fault){.code = 296}, ERR_TLS, "ECDHE and AES-GCM");
	explained((struct tls_fault){.code = 552}, ERR_TLS, "TLS alert 40: see its log");   /* one that we have sent */
	explained((struct tls_fault){.code = 61}, ERR_TLS, "name constraints");
	explained((struct tls_fault){.code = 326}, ERR_TLS, "another TLS version than 1.2");
	explained((struct tls_fault){.code = 3}, ERR_TLS, "before 1.2");
	explained((struct tls_fault){.code = 3, .not_tls = 1}, ERR_TLS, "does not speak TLS: is it an http:// port?");
	explained((struct tls_fault){.code = 62}, ERR_TLS, "--ca-file FILE (or R2_CA_FILE)");
	explained((struct tls_fault){.code = 60}, ERR_TLS, "shorter than 2048");
	explained((struct tls_fault){.code = 56, .name = "a.example"}, ERR_TLS, "for a.example, not for files.example");
	explained((struct tls_fault){.code = 56, .name = "\x1b[2J"}, ERR_TLS, "for \\x1b[2J, not for");
	explained((struct tls_fault){.code = 56, .name = ""}, ERR_TLS, "certificate is not for files.example: check the host");
	explained((struct tls_fault){.code = 56, .host_is_address = 1}, ERR_TLS, "iPAddress");
	explained((struct tls_fault){.code = 54, .now = 1767225600, .not_before = 1, .not_after = 1767139200}, ERR_TLS,
		"expired on 2025-12-31 00:00 UTC; the clock of this machine says 2026-01-01 00:00 UTC");
	explained((struct tls_fault){.code = 54, .now = 60, .not_before = 1767139200, .not_after = 1867139200}, ERR_TLS,
		"not valid before 2025-12-31 00:00 UTC; the clock of this machine says 1970-01-01 00:01 UTC: set the clock");
	explained((struct tls_fault){.code = 54, .now = 60}, ERR_TLS, "the clock of this machine says 1970-01-01 00:01 UTC");
	/* What another try may cure. */
	explained((struct tls_fault){.code = 336}, ERR_NET, "try again");
	explained((struct tls_fault){.code = 7, .established = 1}, ERR_NET, "damaged");
	explained((struct tls_fault){.code = 25, .offered = 1}, ERR_NET, "");
	explained((struct tls_fault){.code = 62, .offered = 1}, ERR_TLS, "not known");
	for (code = 1; code < 600; code++)
		explained((struct tls_fault){.code = code, .name = "x"}, code == 8 ? ERR_LOCAL : code == 7 || code == 336 ? ERR_NET
			: ERR_TLS, "");
}

static void
test_host(void)
{
	struct tls_trust *trust;
	struct err e = {0};
	struct tls *t = tls_new();
	char longest[300];
	size_t i;
	const char *hosts[] = {"", ".", longest};

	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	trust = tls_trust_load(NULL, &e);
	for (i = 0; i < 3; i++) {
		check_int(tls_handshake(t, &net, &(struct tls_params){.host = hosts[i], .trust = trust}, &e), -1);
		check_int(e.kind, ERR_TLS);
		check(strstr(e.msg, "host name is empty") != NULL);
	}
	/* What was never connected can be closed and freed. */
	tls_close(t);
	check_int(tls_idle(t), 0);
	tls_free(t);
	tls_free(NULL);
	tls_trust_free(trust);
}

/* ---- AES-GCM's loops against BearSSL's portable ones, which know the standard's vectors ---- */

#ifdef TLS_GCM

enum { GCM_MAX = 1200 };

static void
same_ctr(size_t key_len, size_t at, size_t n, uint32_t counter)
{
	unsigned char got[GCM_MAX + 64], want[GCM_MAX + 64], iv[12];
	br_aes_gen_ctr_keys ours;
	br_aes_ct64_ctr_keys theirs;
	size_t i;

	for (i = 0; i < sizeof got; i++)
		got[i] = want[i] = pattern(i * 7 + n + counter);
	memcpy(iv, got + at + 32, sizeof iv);
	tls_gcm_ctr.init(&ours.vtable, want + at, key_len);
	br_aes_ct64_ctr_init(&theirs, want + at, key_len);
	tls_gcm_ctr.run(&ours.vtable, iv, counter, got + at, n);
	br_aes_ct64_ctr_run(&theirs, iv, counter, want + at, n);
	/* Nothing beyond is touched. */
	check(!memcmp(got, want, sizeof want));
}

static void
same_ghash(size_t at, size_t n)
{
	unsigned char data[GCM_MAX + 64], got[16], want[16], h[17];
	size_t i;

	for (i = 0; i < sizeof data; i++)
		data[i] = pattern(i * 11 + n);
	for (i = 0; i < 16; i++) {
		got[i] = want[i] = pattern(i + n * 5);
		h[i + 1] = (unsigned char)(n % 3 ? pattern(i * 13 + n) : n % 2 ? 0xff : 0);
	}
	tls_gcm_ghash(got, h + 1, data + at, n);
	br_ghash_ctmul64(want, h + 1, data + at, n);
	check(!memcmp(got, want, sizeof want));
}

static void
test_gcm(void)
{
	if (!(cpu_has() & CPU_GCM))
		return;
	for (size_t n = 0; n <= GCM_MAX; n += n % 128 < 100 ? 17 : 1) {
		for (size_t key_len = 16; key_len <= 32; key_len += 8) {
			same_ctr(key_len, n % 33, n, 2);
			same_ctr(key_len, n % 33, n, (uint32_t)n - 40);   /* wraps */
		}
		same_ghash(n % 33, n);
	}
}

#endif

int
main(int argc, char **argv)
{
	char cmd[200];

	if (argc > 4)
		return client(argv, argc);
	snprintf(dir, sizeof dir, "%s/t_tls.XXXXXX", getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir))
		return perror(dir), 1;
	snprintf(cmd, sizeof cmd, "sh tests/certs.sh %s", dir);
	check_int(system(cmd), 0);
#ifdef TLS_GCM
	test_gcm();
#endif
	test_trust();
	test_labels();
	test_damaged();
	test_lines();
	test_more();
	test_builtin();
	test_cert();
	test_explain();
	test_host();
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	check_int(system(cmd), 0);
	return test_end();
}
