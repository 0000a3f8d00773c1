#include <string.h>
#include <strings.h>
#include "enc.h"
#include "tls_cert.h"
#include "utc.h"

/* What is left of a DER element's contents. */
struct der {
	const unsigned char *p;
	size_t n;
};

enum {
	DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BITS = 0x03, DER_OCTETS = 0x04, DER_OID = 0x06, DER_UTC_TIME = 0x17, DER_TIME = 0x18,
	DER_SEQUENCE = 0x30, DER_SET = 0x31, DER_DNS = 0x82, DER_IP_ADDRESS = 0x87, DER_VERSION = 0xa0, DER_EXTENSIONS = 0xa3,
	DER_PERMITTED = 0xa0, DER_EXCLUDED = 0xa1,
	COMMON_NAME = 3, ORGANIZATION = 10,                          /* of a name: the last byte of their OID 2.5.4.x */
	KEY_PURPOSES = 0x25, ALT_NAMES = 0x11, BASIC = 0x13, CONSTRAINTS = 0x1e,   /* extensions: the last byte of their OID 2.5.29.x */
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

/* Take the next element off d: its tag, contents in *in; or -1, and d is as it was. */
static int
der_next(struct der *d, struct der *in)
{
	struct der rest = *d;
	size_t len;
	int tag = der_head(&rest, &len);

	if (tag < 0 || len > rest.n)
		return -1;
	*in = (struct der){rest.p, len};
	*d = (struct der){rest.p + len, rest.n - len};
	return tag;
}

/* Take elements off d up to one of that tag, which is entered: 1; 0 when there is none; or -1. */
static int
der_enter(struct der *d, int tag)
{
	struct der in;
	int got;

	while ((got = der_next(d, &in)) >= 0) {
		if (got == tag) {
			*d = in;
			return 1;
		}
	}
	return d->n ? -1 : 0;
}

static int
is(const struct der *d, const void *p, size_t n)
{
	return d->n == n && !memcmp(d->p, p, n);
}

/* One extension: 1 and the contents of the SEQUENCE in it when it is the wanted one, 0 when it is not, or -1. */
static int
extension(struct der ext, int which, struct der *list)
{
	const unsigned char id[] = {0x55, 0x1d, (unsigned char)which};
	struct der oid, value;
	int tag;

	if (der_next(&ext, &oid) != DER_OID)
		return -1;
	tag = der_next(&ext, &value);
	if (tag == DER_BOOLEAN)
		tag = der_next(&ext, &value);
	if (tag != DER_OCTETS || ext.n)
		return -1;
	if (!is(&oid, id, sizeof id))
		return 0;
	return der_next(&value, list) == DER_SEQUENCE && !value.n ? 1 : -1;
}

/* The certificate's extension: 1 and what it lists, 0 when it has none, -1 when it is malformed or there twice (RFC 5280 section 4.2). */
static int
find(struct der d, int which, struct der *list)
{
	struct der ext, in;
	int r, found = 0;

	/* Certificate, tbsCertificate, extensions [3], their list */
	if (der_enter(&d, DER_SEQUENCE) <= 0 || der_enter(&d, DER_SEQUENCE) <= 0)
		return -1;
	r = der_enter(&d, DER_EXTENSIONS);
	if (r <= 0)
		return r;
	if (der_enter(&d, DER_SEQUENCE) <= 0)
		return -1;
	while (d.n) {
		if (der_next(&d, &ext) != DER_SEQUENCE)
			return -1;
		r = extension(ext, which, &in);
		if (r < 0 || (r && found))
			return -1;
		if (r)
			*list = in;
		found |= r;
	}
	return found;
}

int
tls_cert_has_address(const unsigned char *der, size_t n, const unsigned char *addr, size_t len)
{
	struct der names, name;
	int tag;

	if (find((struct der){der, n}, ALT_NAMES, &names) <= 0)
		return 0;
	while ((tag = der_next(&names, &name)) >= 0)
		if (tag == DER_IP_ADDRESS && is(&name, addr, len))
			return 1;
	return 0;
}

/* RFC 5280 section 4.2.1.12; of an authority it limits what is below it, as everybody takes it. */
static int
serves(struct der d)
{
	struct der list, oid;
	int r = find(d, KEY_PURPOSES, &list);

	if (r <= 0)
		return r == 0;
	while (der_next(&list, &oid) == DER_OID)
		if (is(&oid, "\x2b\x06\x01\x05\x05\x07\x03\x01", 8) || is(&oid, "\x55\x1d\x25\x00", 4))   /* serverAuth, any */
			return 1;
	return 0;
}

/* Is the host in the subtree? Of a name, all labels of the base are its last ones. Of an address, the base is address and mask. */
static int
within(const struct der *base, const struct tls_cert_host *h)
{
	size_t i, n = base->n, len = strlen(h->name);
	const char *end = h->name + len - n;

	if (!h->addr_len)
		return n <= len && !strncasecmp(end, (const char *)base->p, n)
			&& (n == 0 || n == len || base->p[0] == '.' || end[-1] == '.');
	for (i = 0; n == 2 * h->addr_len && i < h->addr_len; i++)
		if ((h->addr[i] ^ base->p[i]) & base->p[i + h->addr_len])
			return 0;
	return n == 2 * h->addr_len;
}

/* Does one of the GeneralSubtrees hold the host? -1: none is of its kind; -2: malformed. */
static int
subtrees(struct der list, const struct tls_cert_host *h)
{
	struct der tree, base;
	int tag, r = -1;

	while (list.n) {
		/* Minimum and maximum are never there. */
		if (der_next(&list, &tree) != DER_SEQUENCE || (tag = der_next(&tree, &base)) < 0 || tree.n)
			return -2;
		if (tag == (h->addr_len ? DER_IP_ADDRESS : DER_DNS) && r <= 0)
			r = within(&base, h);
	}
	return r;
}

int
tls_cert_permits(const unsigned char *der, size_t n, const struct tls_cert_host *host)
{
	struct der list, side;
	int r = find((struct der){der, n}, CONSTRAINTS, &list), tag;

	if (r <= 0)
		return r == 0;
	while (list.n) {
		tag = der_next(&list, &side);
		if (tag != DER_PERMITTED && tag != DER_EXCLUDED)
			return 0;
		r = subtrees(side, host);
		if (r == -2 || r == (tag == DER_EXCLUDED))
			return 0;
	}
	return 1;
}

int
tls_cert_check(const unsigned char *der, size_t n, const struct tls_cert_host *host, int leaf)
{
	struct der list;
	int r;

	if (!serves((struct der){der, n}))
		return TLS_WRONG_USAGE;
	if (!leaf)
		return tls_cert_permits(der, n, host) ? 0 : TLS_NOT_PERMITTED;
	r = find((struct der){der, n}, ALT_NAMES, &list);
	if (r < 0)
		return TLS_MALFORMED;
	return !r || (host->addr_len && !tls_cert_has_address(der, n, host->addr, host->addr_len)) ? TLS_BAD_NAME : 0;
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

/* The name in the tbsCertificate: the issuer's; or, behind that and the validity, the subject's. */
static size_t
name_after(int skip, const unsigned char *der, size_t n, const unsigned char **name)
{
	struct der d = {der, n}, in;
	size_t len;

	if (der_head(&d, &len) != DER_SEQUENCE || der_head(&d, &len) != DER_SEQUENCE)
		return 0;
	skip_to_issuer(&d);
	while (skip--)
		if (der_next(&d, &in) != DER_SEQUENCE)
			return 0;
	*name = d.p;
	return der_next(&d, &in) == DER_SEQUENCE ? (size_t)(d.p - *name) : 0;
}

size_t
tls_cert_issuer(const unsigned char *der, size_t n, const unsigned char **name)
{
	return name_after(0, der, n, name);
}

size_t
tls_cert_subject(const unsigned char *der, size_t n, const unsigned char **name)
{
	return name_after(2, der, n, name);
}

size_t
tls_cert_len(const unsigned char *der, size_t n)
{
	struct der d = {der, n}, in;

	return der_next(&d, &in) == DER_SEQUENCE ? (size_t)(d.p - der) : 0;
}

/* A positive number, without zeros before it. */
static int
der_integer(struct der *d, const unsigned char **p, size_t *n)
{
	struct der in;

	if (der_next(d, &in) != DER_INTEGER)
		return -1;
	while (in.n && !*in.p)
		in.p++, in.n--;
	*p = in.p;
	*n = in.n;
	return 0;
}

/* RFC 8422 section 5.1.1; 0 for another one. */
static int
curve_of(const struct der *oid)
{
	return is(oid, "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8) ? 23 : is(oid, "\x2b\x81\x04\x00\x22", 5) ? 24 :
		is(oid, "\x2b\x81\x04\x00\x23", 5) ? 25 : 0;
}

int
tls_cert_key(const unsigned char *der, size_t n, struct tls_cert_key *key)
{
	const unsigned char *name, *end = der + n;
	size_t len = tls_cert_subject(der, n, &name);
	struct der d, info, algorithm, oid, bits;

	if (!len)
		return -1;
	d = (struct der){name + len, (size_t)(end - name) - len};
	/* RFC 5280 section 4.1.2.7: what kind of key, and its bits, before which stands how many of the last byte are none: 0. */
	if (der_next(&d, &info) != DER_SEQUENCE || der_next(&info, &algorithm) != DER_SEQUENCE || der_next(&algorithm, &oid) != DER_OID ||
		der_next(&info, &bits) != DER_BITS || !bits.n || *bits.p)
		return -1;
	bits = (struct der){bits.p + 1, bits.n - 1};
	*key = (struct tls_cert_key){0, bits.p, bits.n, NULL, 0};
	if (is(&oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9))   /* RFC 8017 appendix A.1 */
		return der_enter(&bits, DER_SEQUENCE) <= 0 || der_integer(&bits, &key->p, &key->n) < 0 ? -1 :
			der_integer(&bits, &key->e, &key->e_len);
	if (!is(&oid, "\x2a\x86\x48\xce\x3d\x02\x01", 7) || der_next(&algorithm, &oid) != DER_OID)   /* RFC 5480 section 2.1.1 */
		return -1;
	key->curve = curve_of(&oid);
	return key->curve ? 0 : -1;
}

int
tls_cert_is_authority(const unsigned char *der, size_t n)
{
	struct der list, ca;
	int r = find((struct der){der, n}, BASIC, &list);

	return r <= 0 ? r : der_next(&list, &ca) == DER_BOOLEAN && ca.n == 1 && *ca.p;
}

void
tls_cert_issuer_text(const unsigned char *der, size_t n, struct buf *out)
{
	struct der d = {0}, set, pair, oid, text;

	d.n = tls_cert_issuer(der, n, &d.p);
	if (der_enter(&d, DER_SEQUENCE) <= 0)
		return;
	while (der_next(&d, &set) == DER_SET) {
		if (der_next(&set, &pair) != DER_SEQUENCE || der_next(&pair, &oid) != DER_OID || der_next(&pair, &text) < 0)
			continue;
		if (oid.n != 3 || memcmp(oid.p, "\x55\x04", 2) || (oid.p[2] != COMMON_NAME && oid.p[2] != ORGANIZATION))
			continue;
		buf_str(out, out->len ? ", " : "");
		enc_printable(out, (const char *)text.p, text.n);
	}
	buf_ellipsis(out);
}

int
tls_cert_dates(const unsigned char *der, size_t n, int64_t *not_before, int64_t *not_after)
{
	struct der d = {der, n}, in;

	if (der_enter(&d, DER_SEQUENCE) <= 0 || der_enter(&d, DER_SEQUENCE) <= 0)
		return -1;
	skip_to_issuer(&d);
	if (der_next(&d, &in) != DER_SEQUENCE || der_next(&d, &in) != DER_SEQUENCE)
		return -1;
	return der_time(&in, not_before) < 0 || der_time(&in, not_after) < 0 ? -1 : 0;
}
