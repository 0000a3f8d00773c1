#include <stdio.h>
#include <string.h>
#include "buf.h"
#include "enc.h"
#include "tls_cert.h"
#include "utc.h"

/* What is left of a DER element's contents. */
struct der {
	const unsigned char *p;
	size_t n;
};

enum {
	DER_BOOLEAN = 0x01, DER_OCTETS = 0x04, DER_OID = 0x06, DER_UTC_TIME = 0x17, DER_TIME = 0x18,
	DER_SEQUENCE = 0x30, DER_VERSION = 0xa0, DER_EXTENSIONS = 0xa3, DER_IP_ADDRESS = 0x87,
};

/* Take the head of the next element off d: its tag, its length in *len, which may be more than there is; or -1. */
static int
der_head(struct der *d, size_t *len)
{
	size_t head = 2;
	int tag, more;

	if (d->n < 2)
		return -1;
	tag = d->p[0];
	*len = d->p[1];
	if (*len >= 0x80) {
		more = (int)*len - 0x80;
		if (more < 1 || more > 3)
			return -1;
		for (*len = 0; more--; head++) {
			if (head >= d->n)
				return -1;
			*len = *len << 8 | d->p[head];
		}
	}
	d->p += head;
	d->n -= head;
	return tag;
}

/* Take the next element off d: its tag, contents in *in; or -1. */
static int
der_next(struct der *d, struct der *in)
{
	size_t len;
	int tag = der_head(d, &len);

	if (tag < 0 || len > d->n)
		return -1;
	*in = (struct der){d->p, len};
	d->p += len;
	d->n -= len;
	return tag;
}

/* Take elements off d up to one of that tag, which is entered. */
static int
der_enter(struct der *d, int tag)
{
	struct der in;
	int got;

	while ((got = der_next(d, &in)) >= 0) {
		if (got == tag) {
			*d = in;
			return 0;
		}
	}
	return -1;
}

/* The subjectAltName's GeneralNames (OID 2.5.29.17), from a list of extensions. */
static int
find_san(struct der list, struct der *names)
{
	struct der ext, oid, value;
	int tag;

	while (der_next(&list, &ext) == DER_SEQUENCE) {
		if (der_next(&ext, &oid) != DER_OID)
			return -1;
		tag = der_next(&ext, &value);
		if (tag == DER_BOOLEAN)
			tag = der_next(&ext, &value);
		if (tag != DER_OCTETS)
			return -1;
		if (oid.n == 3 && !memcmp(oid.p, "\x55\x1d\x11", 3))
			return der_next(&value, names) == DER_SEQUENCE ? 0 : -1;
	}
	return -1;
}

int
tls_cert_has_address(const unsigned char *der, size_t n, const unsigned char *addr, size_t len)
{
	struct der d = {der, n}, names, name;
	int tag;

	/* Certificate, tbsCertificate, extensions [3], their list */
	if (der_enter(&d, DER_SEQUENCE) < 0 || der_enter(&d, DER_SEQUENCE) < 0 || der_enter(&d, DER_EXTENSIONS) < 0
		|| der_enter(&d, DER_SEQUENCE) < 0 || find_san(d, &names) < 0)
		return 0;
	while ((tag = der_next(&names, &name)) >= 0)
		if (tag == DER_IP_ADDRESS && name.n == len && !memcmp(name.p, addr, len))
			return 1;
	return 0;
}

/* Two digits; BearSSL has checked that they are digits where it matters. */
static int
two(const unsigned char *p)
{
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/* RFC 5280 section 4.1.2.5: UTCTime YYMMDDHHMMSSZ, 1950 to 2049, or GeneralizedTime YYYYMMDDHHMMSSZ. */
static int
der_time(struct der *d, int64_t *t)
{
	struct der in;
	struct utc u = {0};
	int tag = der_next(d, &in);

	if (tag == DER_UTC_TIME && in.n == 13) {
		u.year = two(in.p);
		u.year += u.year < 50 ? 2000 : 1900;
	} else if (tag == DER_TIME && in.n == 15) {
		u.year = two(in.p) * 100 + two(in.p + 2);
		in.p += 2;
	} else {
		return -1;
	}
	u.month = two(in.p + 2);
	u.day = two(in.p + 4);
	u.hour = two(in.p + 6);
	u.minute = two(in.p + 8);
	u.second = two(in.p + 10);
	if (u.year < 1900 || u.year > 9999 || u.month < 1 || u.month > 12)
		return -1;
	*t = utc_join(&u);
	return 0;
}

/* In a tbsCertificate, take what stands before the issuer: version [0] if there is one, serial number, signature. */
static void
skip_to_issuer(struct der *d)
{
	struct der in;

	if (der_next(d, &in) == DER_VERSION)
		der_next(d, &in);
	der_next(d, &in);
}

size_t
tls_cert_issuer(const unsigned char *der, size_t n, const unsigned char **name)
{
	struct der d = {der, n}, in;
	size_t len;

	if (der_head(&d, &len) != DER_SEQUENCE || der_head(&d, &len) != DER_SEQUENCE)
		return 0;
	skip_to_issuer(&d);
	*name = d.p;
	return der_next(&d, &in) == DER_SEQUENCE ? (size_t)(d.p - *name) : 0;
}

int
tls_cert_dates(const unsigned char *der, size_t n, int64_t *not_before, int64_t *not_after)
{
	struct der d = {der, n}, in;

	if (der_enter(&d, DER_SEQUENCE) < 0 || der_enter(&d, DER_SEQUENCE) < 0)
		return -1;
	skip_to_issuer(&d);
	if (der_next(&d, &in) != DER_SEQUENCE || der_next(&d, &in) != DER_SEQUENCE)
		return -1;
	return der_time(&in, not_before) < 0 || der_time(&in, not_after) < 0 ? -1 : 0;
}

/* Cause and cure, by BearSSL's error number (bearssl_ssl.h, bearssl_x509.h) or 256 + TLS alert (RFC 5246 7.2). */
static const struct {
	int code;
	const char *text;
} meanings[] = {
	{3, "the server offers only a TLS version before 1.2: allow TLS 1.2 on it"},
	{4, "the server mixes TLS versions: allow TLS 1.2 on it"},
	{7, "a record was damaged on its way: try again"},
	{8, "no random numbers on this machine"},
	{16, "the server chose a cipher suite that was not offered: it needs ECDHE with AES-GCM or ChaCha20-Poly1305"},
	{23, "the server's key is too long: RSA up to 4096 bits is supported"},
	{26, "the server signs with an algorithm that is not accepted (SHA-1, RSA-PSS or an unknown curve): allow "
		"SHA-256 with RSA or ECDSA on it"},
	{27, "the server's signature is wrong: its key does not belong to its certificate"},
	{28, "the certificate's key usage does not allow TLS: the server needs another certificate"},
	{35, "the server sent no certificate"},
	{49, "the certificate uses an algorithm that is not accepted (SHA-1, RSA-PSS, Ed25519 or an unknown curve): the "
		"server needs one with RSA or ECDSA and SHA-256"},
	{50, "the certificate's key or signature is too long: RSA up to 4096 bits is supported"},
	{51, "a certificate is signed with another kind of key than its issuer has: check the server's chain"},
	{52, "a signature in the certificate chain is wrong: check the server's chain, and that --ca-file is this "
		"authority's present certificate"},
	{55, "the server sends its certificates in the wrong order: its own must come first, then each one's issuer"},
	{57, "the certificate has a critical extension that is not supported"},
	{58, "a certificate in the chain belongs to no authority and may not sign others: check the server's chain"},
	{59, "a certificate in the chain may not sign others (key usage): check the server's chain"},
	{60, "a certificate's RSA key is shorter than 2048 bits: the server needs a new one"},
	{62, "the certificate is signed by an authority that is not known: give it with --ca-file FILE (or R2_CA_FILE); "
		"if it is a public one, the server does not send its intermediate certificate"},
	{256 + 40, "the server refuses the handshake: it must allow TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305, "
		"and know this host name"},
	{256 + 42, "the server asks for a client certificate, which is not supported"},
	{256 + 49, "the server denies access (alert 49)"},
	{256 + 70, "the server wants another TLS version than 1.2: allow TLS 1.2 on it"},
	{256 + 71, "the server wants stronger cipher suites: allow ECDHE with AES-256-GCM in TLS 1.2 on it"},
	{256 + 80, "the server had an internal error: try again"},
	{256 + 112, "the server does not know this host name: check the host in R2_ENDPOINT"},
	{256 + 116, "the server asks for a client certificate, which is not supported"},
};

static const char *
meaning(int code)
{
	size_t i;

	for (i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (meanings[i].code == code)
			return meanings[i].text;
	return NULL;
}

static enum err_kind
kind_of(const struct tls_fault *f)
{
	if (f->code == 8)
		return ERR_LOCAL;
	if (f->established || f->code == 7 || f->code == 256 + 80)
		return ERR_NET;
	/* The server may not get on with the old session: without it this may work. Certificates stay refused. */
	return f->offered && (f->code < 32 || f->code > 62) ? ERR_NET : ERR_TLS;
}

static void
stamp(int64_t t, char *out, size_t cap)
{
	struct utc u;

	utc_split(t, &u);
	snprintf(out, cap, "%04d-%02d-%02d %02d:%02d UTC", u.year, u.month, u.day, u.hour, u.minute);
}

static int
explain_dates(const struct tls_fault *f, struct err *e)
{
	char now[40], from[40], to[40];

	stamp(f->now, now, sizeof now);
	stamp(f->not_before, from, sizeof from);
	stamp(f->not_after, to, sizeof to);
	if (f->not_after && f->now > f->not_after)
		return fail(e, ERR_TLS, "tls: %s: a certificate expired on %s; the clock of this machine says %s: renew the "
			"certificate on the server, or set the clock", f->host, to, now);
	if (f->now < f->not_before)
		return fail(e, ERR_TLS, "tls: %s: a certificate is not valid before %s; the clock of this machine says %s: set "
			"the clock", f->host, from, now);
	return fail(e, ERR_TLS, "tls: %s: a certificate has expired or is not valid yet; the clock of this machine says %s: "
		"renew the certificate on the server, or set the clock", f->host, now);
}

static int
explain_name(const struct tls_fault *f, struct err *e)
{
	char name[160];
	struct buf b = BUF(name);

	if (f->name && f->name[0]) {
		buf_str(&b, "for ");
		enc_printable(&b, f->name, strlen(f->name));
		buf_str(&b, ", ");
	}
	return fail(e, ERR_TLS, "tls: %s: the certificate is %snot for %s: %s", f->host, name, f->host, f->host_is_address
		? "put the server's name in R2_ENDPOINT, or give its certificate an iPAddress entry"
		: "check the host in R2_ENDPOINT");
}

/* The address of every account is below this name, and of none that is not there yet. */
static int
is_r2_account(const char *host)
{
	static const char r2[] = ".r2.cloudflarestorage.com";
	size_t n = strlen(host);

	return n >= sizeof r2 && !strcmp(host + n - (sizeof r2 - 1), r2);
}

int
tls_explain(const struct tls_fault *f, struct err *e)
{
	enum err_kind kind = kind_of(f);
	const char *text = meaning(f->code);

	if (f->code == 54)
		return explain_dates(f, e);
	if (f->code == 56)
		return explain_name(f, e);
	if (f->code == 256 + 40 && is_r2_account(f->host))
		text = "the server refuses the handshake: wrong account id in R2_ENDPOINT, or an account that is not active yet "
			"(new accounts take about 20 minutes)";
	if (f->code == 3 && f->not_tls)
		text = "the server does not speak TLS: is it an http:// port?";
	if (text)
		return fail(e, kind, "tls: %s: %s", f->host, text);
	if (f->code > 256)
		return fail(e, kind, "tls: %s: the server refused with TLS alert %d: see its log", f->host, f->code & 255);
	return fail(e, kind, "tls: %s: %s (BearSSL error %d): check the server", f->host,
		f->code >= 32 ? "a certificate is malformed" : "the server broke the TLS protocol", f->code);
}
