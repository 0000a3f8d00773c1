/* What is read off a certificate without BearSSL, from any bytes: nothing is claimed that does not stand there. */
#include "fuzz.h"
#include "tls_cert.h"

static void
issuer(const unsigned char *der, size_t n)
{
	const unsigned char *name = NULL;
	size_t len = tls_cert_issuer(der, n, &name);

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
	addresses(der, n, &in);
	dates(der, n, &in);
	free(der);
	return 0;
}
