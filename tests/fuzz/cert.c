/* What is read off a certificate without BearSSL, from any bytes: nothing is claimed that does not stand there. */
#include "fuzz.h"
#include "tls_cert.h"
#include "tls_explain.h"

static void
issuer(const unsigned char *der, size_t n)
{
	const unsigned char *name = NULL;
	size_t len = tls_cert_issuer(der, n, &name);
	char text[40];
	struct buf shown = BUF(text);

	tls_cert_issuer_text(der, n, &shown);
	must(len || !*text);
	if (!len)
		return;
	must(name >= der && name + len <= der + n && len >= 2 && *name == 0x30);
	/* The end may be missing: what the certificate's beginning says, the whole says too. */
	for (size_t cut = (size_t)(name - der) + len; cut <= n; cut += 1 + (n - cut) / 2) {
		const unsigned char *again;

		must(tls_cert_issuer(der, cut, &again) == len && again == name);
	}
}

static void
subject(const unsigned char *der, size_t n)
{
	const unsigned char *name = NULL, *issuer, *again;
	size_t len = tls_cert_subject(der, n, &name), whole = tls_cert_len(der, n);

	must(whole <= n && (!whole || (der[0] == 0x30 && tls_cert_len(der, whole) == whole && !tls_cert_len(der, whole - 1))));
	if (!len)
		return;
	must(tls_cert_issuer(der, n, &issuer) && issuer < name && name + len <= der + n && len >= 2 && *name == 0x30);
	/* Where the name is not there as a whole, nothing is taken for it. */
	for (size_t cut = n; cut; cut -= 1 + cut / 64) {
		size_t got = tls_cert_subject(der, cut, &again);

		must(got == ((size_t)(name - der) + len <= cut ? len : 0) && (!got || again == name));
	}
}

static void
key(const unsigned char *der, size_t n)
{
	struct tls_cert_key k;
	int authority = tls_cert_is_authority(der, n);

	must(authority >= -1 && authority <= 1);
	if (tls_cert_key(der, n, &k) < 0)
		return;
	must(k.p > der && k.p + k.n <= der + n);
	must(k.curve ? k.curve >= 23 && k.curve <= 25 : k.e > k.p && k.e + k.e_len <= der + n && (!k.n || *k.p) && (!k.e_len || *k.e));
}

static void
addresses(const unsigned char *der, size_t n, struct in *in)
{
	unsigned char addr[16];
	size_t len = take_byte(in) & 1 ? 16 : 4;

	for (size_t i = 0; i < len; i++)
		addr[i] = (unsigned char)take_byte(in);
	/* As an element of its own: tag 0x87 and length before it. */
	if (tls_cert_has_address(der, n, addr, len)) {
		const unsigned char *p = der;
		int found = 0;

		for (; !found && (p = memmem(p, n - (size_t)(p - der), addr, len)); p++)
			found = p - der >= 2 && (p[-1] == len || p[-1] == 0x80 || p - der >= 3);
		must(found);
		for (size_t cut = 0; cut < n && cut < 64; cut++)
			must(!tls_cert_has_address(der, cut, addr, len) || cut > len + 2);
	}
}

/* What a certificate forbids or lacks: each answer follows from the others; one that is cut short is good for nothing. */
static void
rules(const unsigned char *der, size_t n, struct in *in)
{
	static const char *const hosts[] = {"localhost", "a.example.test", "example.test", "x"};
	unsigned char addr[16] = {127, 0, 0, 1};
	unsigned how = take_byte(in);
	struct tls_cert_host host = {.name = hosts[how & 3], .addr = addr, .addr_len = how & 4 ? how & 8 ? 16 : 4 : 0};
	int leaf = how >> 4 & 1, permits, rc;

	if (how & 8)
		memcpy(addr, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	permits = tls_cert_permits(der, n, &host);
	rc = tls_cert_check(der, n, &host, leaf);
	must(rc == 0 || rc == TLS_WRONG_USAGE || rc == TLS_MALFORMED || rc == TLS_BAD_NAME || rc == TLS_NOT_PERMITTED);
	if (rc == 0) {
		must(leaf || permits);
		must(!leaf || !host.addr_len || tls_cert_has_address(der, n, addr, host.addr_len));
	}
	if (n > 260 && der[0] == 0x30 && der[1] == 0x82 && 4 + (size_t)(der[2] << 8 | der[3]) == n)
		for (size_t cut = n - 1; cut; cut /= 2)
			must(tls_cert_check(der, cut, &host, leaf) && !tls_cert_permits(der, cut, &host));
}

static void
dates(const unsigned char *der, size_t n, struct in *in)
{
	struct tls_fault f = {.code = (int)take_below(in, 400), .host = "example.test", .now = (int64_t)(take_word(in) >> 20), .name = ""};
	unsigned how = take_byte(in);
	char name[24] = "";
	struct err e;

	f.host_is_address = how & 1;
	f.established = how >> 1 & 1;
	f.offered = how >> 2 & 1;
	f.not_tls = how >> 3 & 1;
	for (size_t i = 0; how & 16 && i + 1 < sizeof name; i++)
		name[i] = (char)take_byte(in);
	f.name = name;
	if (tls_cert_dates(der, n, &f.not_before, &f.not_after) == 0) {
		must(f.not_before > INT64_C(-2300000000) && f.not_before < INT64_C(253500000000));
		must(f.not_after > INT64_C(-2300000000) && f.not_after < INT64_C(253500000000));
	} else {
		f.not_before = f.not_after = 0;
	}
	must(tls_explain(&f, &e) == -1);
	must(e.kind == ERR_TLS || e.kind == ERR_NET || e.kind == ERR_LOCAL);
	must_be_message(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size < 48 ? size : 48};
	struct in rest = {data + in.n, size - in.n};
	unsigned char *der;
	size_t n;

	der = take_rest(&rest, &n);
	issuer(der, n);
	subject(der, n);
	key(der, n);
	addresses(der, n, &in);
	rules(der, n, &in);
	dates(der, n, &in);
	free(der);
	return 0;
}
