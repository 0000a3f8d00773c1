#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "cpu.h"
#include "hash.h"
#include "roots.h"   /* generated: ROOTS, ROOTS_COUNT, ROOTS_OF_A_NAME, ROOTS_DATE */
#include "tls.h"
#include "tls_cert.h"
#include "tls_gcm.h"

enum {
	FILE_MAX = 4 << 20,   /* a CA file */
	DN_MAX = 4096,        /* a CA's distinguished name */
	IN_CAP = 65536,       /* read from the socket at once: the engine asks for 5 bytes, then for the rest of one record */
	CERT_MAX = 8192,      /* of the server's certificates, what is kept to look at */
	RSA_MIN = 256,        /* bytes of an RSA modulus: 2048 bits */
	NAME_HASH = 8,        /* bytes of a name's SHA-256 that find a root: its key must still verify the signature */
	SENDS_A_LOOK = 16,    /* records sent between two looks for an early answer */
	SENT = 1 << 8,        /* beside BR_SSL_SENDREC and its like: no record waits to be sent */
};

/* Only one of them is linked: the one with 64×64→128-bit products where the compiler has such. */
#ifdef __SIZEOF_INT128__
#define POLY1305 br_poly1305_ctmulq_run
#else
#define POLY1305 br_poly1305_ctmul_run
#endif

struct tls_trust {
	int built_in;                    /* ROOTS are what is trusted; else a CA file's anchors: */
	br_x509_trust_anchor *anchors;   /* allocated, as are their names and keys */
	size_t count;
};

/* A CA file while it is decoded. */
struct loader {
	struct tls_trust *trust;
	br_x509_decoder_context cert;
	size_t dn_len;
	unsigned char dn[DN_MAX];
};

/* Stands between the engine and BearSSL's validation, which always runs. It adds what that does not know:
   iPAddress names, and which dates and names it did not like. */
struct chain {
	const br_x509_class *vtable;   /* first: so BearSSL finds its methods */
	br_x509_minimal_context minimal;
	br_name_element names[2];
	char san[128], cn[128];
	size_t addr_len;               /* 4 or 16 when the host is an address, else 0 */
	unsigned char addr[16];
	int addr_found;
	int count;                     /* certificates so far */
	int64_t now, not_before, not_after;
	br_x509_trust_anchor roots[ROOTS_OF_A_NAME];   /* of ROOTS, those that bear the issuer's name; else zero: no anchor */
	size_t left;                   /* of the certificate, what has not arrived */
	size_t len;
	unsigned char cert[CERT_MAX];
};

struct tls {
	br_ssl_client_context cc;
	struct chain chain;
	struct net *net;
	const char *suite;
	int offered, resumed;
	unsigned sends;
	unsigned char offered_id[32];
	int established;               /* handshake done */
	int unsendable;                /* a send failed; what the peer said before may still be there to read */
	size_t in_pos, in_len;
	char host[NET_HOST_CAP];
	unsigned char in[IN_CAP];
	unsigned char ibuf[BR_SSL_BUFSIZE_INPUT], obuf[BR_SSL_BUFSIZE_OUTPUT];
};

_Static_assert(sizeof (br_ssl_session_parameters) <= sizeof ((struct tls_session *)0)->params, "session fits");

/* ChaCha20 first, or from the third on AES-GCM first: six either way. */
static const uint16_t suites[8] = {
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
};

static const char *const suite_names[6] = {
	"TLS 1.2, ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS 1.2, ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"TLS 1.2, ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS 1.2, ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"TLS 1.2, ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS 1.2, ECDHE_RSA_WITH_AES_256_GCM_SHA384",
};

/* ---- trust ---- */

static void
dn_append(void *arg, const void *p, size_t n)
{
	struct loader *l = arg;

	if (n <= DN_MAX - l->dn_len)
		memcpy(l->dn + l->dn_len, p, n);
	else
		n = DN_MAX - l->dn_len;
	l->dn_len += n;
}

static void
cert_begin(struct loader *l)
{
	l->dn_len = 0;
	br_x509_decoder_init(&l->cert, dn_append, l);
}

static void
cert_push(void *arg, const void *p, size_t n)
{
	struct loader *l = arg;

	br_x509_decoder_push(&l->cert, p, n);
}

/* Name and key of the certificate in one block of memory, which starts at ta->dn.data. */
static int
anchor_copy(br_x509_trust_anchor *ta, struct loader *l, const br_x509_pkey *key)
{
	const br_rsa_public_key *rsa = &key->key.rsa;
	const br_ec_public_key *ec = &key->key.ec;
	int is_rsa = key->key_type == BR_KEYTYPE_RSA;
	unsigned char *p = malloc(l->dn_len + (is_rsa ? rsa->nlen + rsa->elen : ec->qlen));

	if (!p)
		return -1;
	ta->dn.data = memcpy(p, l->dn, l->dn_len);
	ta->dn.len = l->dn_len;
	ta->flags = br_x509_decoder_isCA(&l->cert) ? BR_X509_TA_CA : 0;
	ta->pkey = *key;
	p += l->dn_len;
	if (is_rsa) {
		ta->pkey.key.rsa.n = memcpy(p, rsa->n, rsa->nlen);
		ta->pkey.key.rsa.e = memcpy(p + rsa->nlen, rsa->e, rsa->elen);
	} else {
		ta->pkey.key.ec.q = memcpy(p, ec->q, ec->qlen);
	}
	return 0;
}

/* Add the certificate to the anchors; one whose key or name BearSSL cannot use is passed over. */
static int
cert_end(struct loader *l)
{
	const br_x509_pkey *key = br_x509_decoder_get_pkey(&l->cert);
	struct tls_trust *t = l->trust;
	br_x509_trust_anchor *grown;

	if (!key || l->dn_len == DN_MAX)
		return 0;
	grown = realloc(t->anchors, (t->count + 1) * sizeof *grown);
	if (!grown)
		return -1;
	t->anchors = grown;
	if (anchor_copy(&grown[t->count], l, key) < 0)
		return -1;
	t->count++;
	return 0;
}

/* 0; or what is wrong with the file. */
static const char *
load_pem(struct loader *l, const unsigned char *p, size_t n)
{
	br_pem_decoder_context pem;
	int in_cert = 0, event;
	const char *name;
	size_t used;

	br_pem_decoder_init(&pem);
	for (; n > 0; p += used, n -= used) {
		used = br_pem_decoder_push(&pem, p, n);
		event = br_pem_decoder_event(&pem);
		name = br_pem_decoder_name(&pem);
		if (event == BR_PEM_ERROR && in_cert)
			return "a certificate in it is damaged";
		if (event == BR_PEM_END_OBJ && in_cert && cert_end(l) < 0)
			return "out of memory";
		if (event)
			in_cert = event == BR_PEM_BEGIN_OBJ && (!strcmp(name, "CERTIFICATE") || !strcmp(name, "X509 CERTIFICATE"));
		if (event == BR_PEM_BEGIN_OBJ) {
			cert_begin(l);
			br_pem_decoder_setdest(&pem, in_cert ? cert_push : NULL, l);
		}
	}
	return in_cert ? "its last certificate is cut off" : NULL;
}

/* Up to FILE_MAX + 1 bytes of the file into p; -1 with errno. */
static ssize_t
read_file(const char *path, unsigned char *p)
{
	size_t len = 0;
	ssize_t r;
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;

	if (fd < 0)
		return -1;
	do {
		r = read(fd, p + len, FILE_MAX + 1 - len);
		if (r > 0)
			len += (size_t)r;
	} while (r > 0 || (r < 0 && errno == EINTR));
	saved = errno;
	close(fd);
	errno = saved;
	return r < 0 ? -1 : (ssize_t)len;
}

/* BearSSL keeps a CR in the object's name, and loses the last object when no newline follows. */
static size_t
unix_lines(unsigned char *p, size_t n)
{
	size_t i, len = 0;

	for (i = 0; i < n; i++)
		if (p[i] != '\r')
			p[len++] = p[i];
	p[len++] = '\n';
	return len;
}

static const char *
load_file(struct tls_trust *t, const char *path, unsigned char *text)
{
	struct loader l = {.trust = t};
	const char *why = NULL;
	ssize_t n = read_file(path, text);

	if (n < 0)
		return strerror(errno);
	if (n > FILE_MAX)
		return "it is over 4 MiB: that is no CA file";
	if (n > 0 && text[0] == 0x30) {   /* DER: a SEQUENCE */
		cert_begin(&l);
		cert_push(&l, text, (size_t)n);
		if (cert_end(&l) < 0)
			why = "out of memory";
	} else {
		why = load_pem(&l, text, unix_lines(text, (size_t)n));
	}
	return why || t->count ? why : "there is no certificate in it that can be used (PEM or DER, RSA or P-256/384/521)";
}

struct tls_trust *
tls_trust_load(const char *ca_file, struct err *e)
{
	struct tls_trust *t = calloc(1, sizeof *t);
	const char *why = "out of memory";
	unsigned char *text = ca_file ? malloc(FILE_MAX + 2) : NULL;   /* only what is read becomes real memory */

	if (t && !ca_file) {
		t->built_in = 1;
		t->count = ROOTS_COUNT;
		return t;
	}
	if (t && text)
		why = load_file(t, ca_file, text);
	free(text);
	if (!why)
		return t;
	tls_trust_free(t);
	if (!ca_file)
		fail(e, ERR_LOCAL, "built-in roots: %s", why);
	else
		fail(e, ERR_USAGE, "CA file %s: %s: check --ca-file, R2_CA_FILE or SSL_CERT_FILE", ca_file, why);
	return NULL;
}

void
tls_trust_free(struct tls_trust *t)
{
	size_t i;

	for (i = 0; t && !t->built_in && i < t->count; i++)
		free(t->anchors[i].dn.data);
	if (t)
		free(t->anchors);
	free(t);
}

size_t
tls_trust_count(const struct tls_trust *t)
{
	return t->count;
}

const char *
tls_roots_date(void)
{
	return ROOTS_DATE;
}

const char *
tls_library(void)
{
	return "BearSSL 0.6";
}

/* ---- elliptic curves ---- */

/* P-256 by its own code, P-384 and P-521 by the general one, both of which certificates need anyway. X25519 would cost 4 KB for
   nothing: who speaks ECDHE at TLS 1.2 has P-256 (RFC 8422 section 5.1.1). */
static const br_ec_impl *
ec_of(int curve)
{
	return curve == BR_EC_secp256r1 ? &br_ec_p256_m31 : &br_ec_prime_i31;
}

static const unsigned char *
ec_generator(int curve, size_t *len)
{
	return ec_of(curve)->generator(curve, len);
}

static const unsigned char *
ec_order(int curve, size_t *len)
{
	return ec_of(curve)->order(curve, len);
}

static size_t
ec_xoff(int curve, size_t *len)
{
	return ec_of(curve)->xoff(curve, len);
}

static uint32_t
ec_mul(unsigned char *g, size_t glen, const unsigned char *x, size_t xlen, int curve)
{
	return ec_of(curve)->mul(g, glen, x, xlen, curve);
}

static size_t
ec_mulgen(unsigned char *r, const unsigned char *x, size_t xlen, int curve)
{
	return ec_of(curve)->mulgen(r, x, xlen, curve);
}

static uint32_t
ec_muladd(unsigned char *a, const unsigned char *b, size_t len, const unsigned char *x, size_t xlen,
	const unsigned char *y, size_t ylen, int curve)
{
	return ec_of(curve)->muladd(a, b, len, x, xlen, y, ylen, curve);
}

static const br_ec_impl ec_nist = {
	1 << BR_EC_secp256r1 | 1 << BR_EC_secp384r1 | 1 << BR_EC_secp521r1,
	ec_generator, ec_order, ec_xoff, ec_mul, ec_mulgen, ec_muladd,
};

/* ---- the server's certificates ---- */

/* One record of ROOTS, as roots.awk wrote it, becomes an anchor that has no name yet. Returns the next record.
   BearSSL's types are not const, its use of them is. */
static const unsigned char *
root_anchor(const unsigned char *record, br_x509_trust_anchor *a)
{
	static const unsigned char f4[] = {1, 0, 1};
	const unsigned char *p = record + NAME_HASH;
	int kind = p[0];
	size_t n = (size_t)(p[1] << 8 | p[2]);
	unsigned char *key = (unsigned char *)(uintptr_t)(p + 3), *e = kind == 1 ? key + n : (unsigned char *)(uintptr_t)f4;

	a->flags = BR_X509_TA_CA;
	if (kind <= 1) {
		a->pkey.key_type = BR_KEYTYPE_RSA;
		a->pkey.key.rsa = (br_rsa_public_key){key, n, e, sizeof f4};
	} else {
		a->pkey.key_type = BR_KEYTYPE_EC;
		a->pkey.key.ec = (br_ec_public_key){kind, key, n};
	}
	return key + n + (kind == 1 ? sizeof f4 : 0);
}

/* Find the roots that the certificate may be signed with. The name is the certificate's own: a root's is not kept. */
static void
find_roots(struct chain *c)
{
	const unsigned char *record = ROOTS, *name, *at;
	unsigned char hash[HASH_SHA256_LEN];
	br_x509_trust_anchor a;
	size_t n = 0, len = tls_cert_issuer(c->cert, c->len, &name);

	memset(c->roots, 0, sizeof c->roots);
	if (!len)
		return;
	hash_sha256(name, len, hash);
	while (record < ROOTS + sizeof ROOTS && n < ROOTS_OF_A_NAME) {
		at = record;
		record = root_anchor(at, &a);
		if (memcmp(at, hash, NAME_HASH) != 0)
			continue;
		a.dn = (br_x500_name){(unsigned char *)(uintptr_t)name, len};
		c->roots[n++] = a;
	}
}

static void
chain_start(const br_x509_class **ctx, const char *name)
{
	struct chain *c = (struct chain *)(void *)ctx;

	c->minimal.vtable->start_chain(&c->minimal.vtable, name);
}

static void
chain_cert(const br_x509_class **ctx, uint32_t length)
{
	struct chain *c = (struct chain *)(void *)ctx;

	c->len = 0;
	c->left = length;
	c->minimal.vtable->start_cert(&c->minimal.vtable, length);
}

static void
chain_append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct chain *c = (struct chain *)(void *)ctx;
	size_t room = CERT_MAX - c->len, kept = n < room ? n : room;

	memcpy(c->cert + c->len, p, kept);
	c->len += kept;
	c->left -= n;
	/* With the last byte BearSSL looks for the issuer among the anchors. */
	if (c->left == 0)
		find_roots(c);
	c->minimal.vtable->append(&c->minimal.vtable, p, n);
}

static void
chain_cert_end(const br_x509_class **ctx)
{
	struct chain *c = (struct chain *)(void *)ctx;
	int64_t from, to;

	if (c->count++ == 0 && c->addr_len)
		c->addr_found = tls_cert_has_address(c->cert, c->len, c->addr, c->addr_len);
	if (!c->not_after && tls_cert_dates(c->cert, c->len, &from, &to) == 0 && (c->now < from || c->now > to)) {
		c->not_before = from;
		c->not_after = to;
	}
	c->minimal.vtable->end_cert(&c->minimal.vtable);
}

static unsigned
chain_end(const br_x509_class **ctx)
{
	struct chain *c = (struct chain *)(void *)ctx;
	unsigned r = c->minimal.vtable->end_chain(&c->minimal.vtable);

	return r == 0 && c->addr_len && !c->addr_found ? BR_ERR_X509_BAD_SERVER_NAME : r;
}

static const br_x509_pkey *
chain_key(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct chain *c = (const struct chain *)(const void *)ctx;

	return c->minimal.vtable->get_pkey(&c->minimal.vtable, usages);
}

static const br_x509_class chain_class = {
	sizeof (struct chain), chain_start, chain_cert, chain_append, chain_cert_end, chain_end, chain_key,
};

static void
chain_init(struct chain *c, const struct tls_params *p, const char *host)
{
	static const unsigned char san_dns[] = {0, 2}, common_name[] = {3, 0x55, 4, 3};
	br_x509_minimal_context *x = &c->minimal;

	c->vtable = &chain_class;
	c->now = p->now ? p->now : time(NULL);
	c->addr_len = inet_pton(AF_INET, host, c->addr) == 1 ? 4 : inet_pton(AF_INET6, host, c->addr) == 1 ? 16 : 0;
	c->names[0] = (br_name_element){.oid = san_dns, .buf = c->san, .len = sizeof c->san};
	c->names[1] = (br_name_element){.oid = common_name, .buf = c->cn, .len = sizeof c->cn};
	memset(c->roots, 0, sizeof c->roots);
	if (p->trust->built_in)
		br_x509_minimal_init(x, &br_sha256_vtable, c->roots, ROOTS_OF_A_NAME);
	else
		br_x509_minimal_init(x, &br_sha256_vtable, p->trust->anchors, p->trust->count);
	br_x509_minimal_set_hash(x, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(x, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(x, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_rsa(x, br_rsa_i31_pkcs1_vrfy);
	br_x509_minimal_set_ecdsa(x, &ec_nist, br_ecdsa_i31_vrfy_asn1);
	br_x509_minimal_set_minrsa(x, RSA_MIN);
	br_x509_minimal_set_name_elements(x, c->names, 2);
	/* Days since the year 0; 719528 of them before 1970. */
	br_x509_minimal_set_time(x, (uint32_t)(c->now / 86400 + 719528), (uint32_t)(c->now % 86400));
}

/* ---- session resumption ---- */

static void
session_lock(struct tls_session *s)
{
	while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void
session_unlock(struct tls_session *s)
{
	__atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
}

/* Offer the last session with this server, if there is one. */
static void
session_offer(struct tls *t, struct tls_session *s)
{
	br_ssl_session_parameters sp;

	session_lock(s);
	t->offered = s->have;
	memcpy(&sp, s->params, sizeof sp);
	session_unlock(s);
	if (t->offered) {
		br_ssl_engine_set_session_parameters(&t->cc.eng, &sp);
		memcpy(t->offered_id, sp.session_id, sizeof t->offered_id);
	}
	explicit_bzero(&sp, sizeof sp);
}

/* Keep what was agreed for the next connection; one that failed forgets what it had offered. */
static void
session_keep(struct tls *t, struct tls_session *s)
{
	br_ssl_session_parameters sp;
	int have;

	if (!t->established && !t->offered)
		return;
	br_ssl_engine_get_session_parameters(&t->cc.eng, &sp);
	have = t->established && sp.session_id_len > 0;
	session_lock(s);
	s->have = have;
	memcpy(s->params, &sp, sizeof sp);
	session_unlock(s);
	/* RFC 5246 section 7.4.1.3: the server agrees by sending the same id. */
	t->resumed = have && t->offered && !memcmp(sp.session_id, t->offered_id, sizeof t->offered_id);
	explicit_bzero(&sp, sizeof sp);
}

/* ---- records ---- */

static int
fault(struct tls *t, int code, struct err *e)
{
	const struct chain *c = &t->chain;
	struct tls_fault f = {
		.code = code, .host = t->host, .host_is_address = c->addr_len > 0, .established = t->established,
		.offered = t->offered, .not_tls = !t->cc.eng.version_in,
		.name = c->names[0].status == 1 ? c->san : c->names[1].status == 1 ? c->cn : "",
		.now = c->now, .not_before = c->not_before, .not_after = c->not_after,
	};

	return tls_explain(&f, e);
}

/* The connection ended without the peer's close_notify; why may be "". */
static int
lost(struct tls *t, const char *why, struct err *e)
{
	const char *sep = *why ? ": " : "";

	if (!t->established)
		return fail(e, ERR_NET, "tls: %s: the connection was closed during the handshake%s%s: is it an https port?",
			t->host, sep, why);
	return fail(e, ERR_NET, "connection to %s closed without close_notify: truncated%s%s", t->host, sep, why);
}

/* Send what the engine has, if that needs no waiting: 1 when something went out. */
static int
push(struct tls *t)
{
	unsigned char *p;
	struct err e;
	size_t n;
	ssize_t r;

	p = br_ssl_engine_sendrec_buf(&t->cc.eng, &n);
	if (!p || t->unsendable)
		return 0;
	r = net_send(t->net, p, n, &e);
	if (r == -1)
		t->unsendable = 1;
	if (r <= 0)
		return 0;
	br_ssl_engine_sendrec_ack(&t->cc.eng, (size_t)r);
	return 1;
}

/* Give the engine what has arrived: 1; 0 when it wants nothing or nothing is there; -1. */
static int
pull(struct tls *t, struct err *e)
{
	unsigned char *room;
	size_t n;
	ssize_t r;

	room = br_ssl_engine_recvrec_buf(&t->cc.eng, &n);
	if (!room)
		return 0;
	if (t->in_pos == t->in_len) {
		r = net_recv(t->net, t->in, sizeof t->in, e);
		if (r == NET_AGAIN)
			return 0;
		if (r <= 0)
			return lost(t, r ? e->msg : "", e);
		t->in_pos = 0;
		t->in_len = (size_t)r;
	}
	if (n > t->in_len - t->in_pos)
		n = t->in_len - t->in_pos;
	memcpy(room, t->in + t->in_pos, n);
	t->in_pos += n;
	br_ssl_engine_recvrec_ack(&t->cc.eng, n);
	return 1;
}

/* Move something in either direction, waiting for what the engine wants. Reads as well while it writes: an answer may come before
   all is sent. It is looked for when nothing can be sent, and now and then, for a look costs a system call. */
static int
pump(struct tls *t, unsigned state, struct err *e)
{
	int want = 0, sent = push(t), got;

	if (sent && ++t->sends % SENDS_A_LOOK)
		return 0;
	got = pull(t, e);
	if (got < 0)
		return -1;
	if (sent || got)
		return 0;
	if (state & BR_SSL_SENDREC && !t->unsendable)
		want |= NET_OUT;
	if (state & BR_SSL_RECVREC)
		want |= NET_IN;
	if (!want)
		return lost(t, "", e);
	return net_wait(t->net, want, e) < 0 ? -1 : 0;
}

/* Run until the engine's state has one of the wanted bits, and return it; BR_SSL_CLOSED after the peer's
   close_notify; 0 after a failure. */
static unsigned
run(struct tls *t, unsigned want, struct err *e)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	unsigned state;
	int code;

	for (;;) {
		state = br_ssl_engine_current_state(eng);
		code = br_ssl_engine_last_error(eng);
		if (state & BR_SSL_CLOSED && code != BR_ERR_OK) {
			fault(t, code, e);
			return 0;
		}
		/* The answer to a close_notify need not arrive (RFC 5246 section 7.2.1): do not wait to send it. */
		if (state & BR_SSL_CLOSED || eng->shutdown_recv) {
			while (push(t))
				;
			return BR_SSL_CLOSED;
		}
		if (!(state & BR_SSL_SENDREC))
			state |= SENT;
		if (state & want)
			return state;
		if (pump(t, state, e) < 0)
			return 0;
	}
}

/* ---- AES-GCM ---- */

/* BearSSL's for x86. They are asked for once: each time it would ask the processor, which in a virtual machine takes longer than a record. */
static const br_block_ctr_class *_Atomic x86_ctr;
static _Atomic br_ghash x86_ghash;

/* Our loops in front of them: BearSSL makes the keys, and does what our loops leave. */
static uint32_t
ctr_run(const br_block_ctr_class *const *ctx, const void *iv, uint32_t counter, void *data, size_t n)
{
	const br_aes_x86ni_ctr_keys *k = (const void *)ctx;
	size_t done = tls_gcm_ctr(k->skey.skni, k->num_rounds, iv, counter, data, n);

	return x86_ctr->run(ctx, iv, counter + (uint32_t)(done / 16), (char *)data + done, n - done);
}

static void
ghash(void *y, const void *h, const void *data, size_t n)
{
	size_t done = tls_gcm_ghash(y, h, data, n);

	x86_ghash(y, h, (const char *)data + done, n - done);
}

static void ctr_init(const br_block_ctr_class **ctx, const void *key, size_t n);

static const br_block_ctr_class ctr_class = {sizeof (br_aes_x86ni_ctr_keys), 16, 4, ctr_init, ctr_run};

static void
ctr_init(const br_block_ctr_class **ctx, const void *key, size_t n)
{
	x86_ctr->init(ctx, key, n);
	*ctx = &ctr_class;
}

static void
set_aes_gcm(br_ssl_engine_context *eng)
{
	br_ssl_engine_set_default_aes_gcm(eng);
	if (cpu_has() & CPU_VAES) {
		x86_ctr = eng->iaes_ctr;
		x86_ghash = eng->ighash;
		br_ssl_engine_set_aes_ctr(eng, &ctr_class);
		br_ssl_engine_set_ghash(eng, ghash);
	}
}

/* ---- the connection ---- */

static void
engine_init(struct tls *t)
{
	br_ssl_engine_context *eng = &t->cc.eng;
	int aes = br_aes_x86ni_ctr_get_vtable() || br_aes_pwr8_ctr_get_vtable();

	br_ssl_client_zero(&t->cc);
	br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(eng, suites + (aes ? 2 : 0), 6);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_hash(eng, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(eng, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(eng, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
	br_ssl_engine_set_rsavrfy(eng, br_rsa_i31_pkcs1_vrfy);
	br_ssl_engine_set_ec(eng, &ec_nist);
	br_ssl_engine_set_ecdsa(eng, br_ecdsa_i31_vrfy_asn1);
	set_aes_gcm(eng);
	/* Not the default ChaCha20: its SSE2 form is the slower one with today's compilers. */
	br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(eng, &br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(eng, POLY1305);
	br_ssl_engine_set_x509(eng, &t->chain.vtable);
	/* Two buffers: with a shared one an early answer would stop the sending. */
	br_ssl_engine_set_buffers_bidi(eng, t->ibuf, sizeof t->ibuf, t->obuf, sizeof t->obuf);
}

/* BearSSL 0.6 seeds itself from RDRAND alone where there is one. */
static int
engine_seed(struct tls *t, struct err *e)
{
	unsigned char seed[32];
	ssize_t r;

	do
		r = getrandom(seed, sizeof seed, 0);
	while (r < 0 && errno == EINTR);
	if (r != sizeof seed)
		return fail_errno(e, "no random numbers: getrandom");
	br_ssl_engine_inject_entropy(&t->cc.eng, seed, sizeof seed);
	explicit_bzero(seed, sizeof seed);
	return 0;
}

static const char *
suite_name(unsigned id)
{
	size_t i;

	for (i = 0; i < sizeof suite_names / sizeof suite_names[0]; i++)
		if (suites[i] == id)
			return suite_names[i];
	return "TLS 1.2";
}

struct tls *
tls_new(void)
{
	return calloc(1, sizeof (struct tls));
}

void
tls_free(struct tls *t)
{
	if (t)
		explicit_bzero(t, sizeof *t);
	free(t);
}

int
tls_handshake(struct tls *t, struct net *n, const struct tls_params *p, struct err *e)
{
	unsigned state;

	memset(t, 0, offsetof(struct tls, in));
	t->net = n;
	/* BearSSL would check no name at all against an empty one. */
	if (net_host_bare(p->host, t->host) < 0)
		return fail(e, ERR_TLS, "tls: host name is empty or longer than %d: check R2_ENDPOINT", NET_HOST_CAP - 1);
	chain_init(&t->chain, p, t->host);
	engine_init(t);
	if (engine_seed(t, e) < 0)
		return -1;
	if (p->session)
		session_offer(t, p->session);
	/* RFC 6066 section 3: an address is no SNI. Its check is chain_end's. */
	if (!br_ssl_client_reset(&t->cc, t->chain.addr_len ? NULL : t->host, t->offered))
		return fault(t, br_ssl_engine_last_error(&t->cc.eng), e);
	state = run(t, BR_SSL_SENDAPP, e);
	t->established = (state & BR_SSL_SENDAPP) != 0;
	t->suite = suite_name(t->cc.eng.session.cipher_suite);
	if (p->session)
		session_keep(t, p->session);
	if (state & BR_SSL_CLOSED)
		return lost(t, "", e);
	return t->established ? 0 : -1;
}

static int
closed_early(struct tls *t, struct err *e)
{
	return fail(e, ERR_NET, "%s closed the connection while it was being sent data", t->host);
}

int
tls_reserve(struct tls *t, unsigned char **p, size_t *n, struct err *e)
{
	unsigned state;

	t->net->more = 1;
	state = run(t, BR_SSL_SENDAPP | BR_SSL_RECVAPP, e);
	t->net->more = 0;
	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return closed_early(t, e);
	if (state & BR_SSL_RECVAPP)
		return 0;
	*p = br_ssl_engine_sendapp_buf(&t->cc.eng, n);
	return 1;
}

void
tls_commit(struct tls *t, size_t n)
{
	if (n > 0)
		br_ssl_engine_sendapp_ack(&t->cc.eng, n);
}

int
tls_flush(struct tls *t, struct err *e)
{
	unsigned state;

	br_ssl_engine_flush(&t->cc.eng, 0);
	state = run(t, SENT | BR_SSL_RECVAPP, e);
	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return closed_early(t, e);
	return state & SENT ? 1 : 0;
}

ssize_t
tls_read(struct tls *t, void *buf, size_t n, struct err *e)
{
	unsigned state = run(t, BR_SSL_RECVAPP, e);
	unsigned char *p;
	size_t len;

	if (!state)
		return -1;
	if (state & BR_SSL_CLOSED)
		return 0;
	p = br_ssl_engine_recvapp_buf(&t->cc.eng, &len);
	if (n > len)
		n = len;
	memcpy(buf, p, n);
	br_ssl_engine_recvapp_ack(&t->cc.eng, n);
	return (ssize_t)n;
}

int
tls_idle(struct tls *t)
{
	unsigned state = br_ssl_engine_current_state(&t->cc.eng);
	size_t n;

	if (!t->established || !(state & BR_SSL_SENDAPP) || state & BR_SSL_RECVAPP || t->in_pos != t->in_len)
		return 0;
	/* 5: no part of a record has arrived. */
	br_ssl_engine_recvrec_buf(&t->cc.eng, &n);
	return n == 5 && !net_poll(t->net, NET_IN, 0);
}

void
tls_close(struct tls *t)
{
	if (!t || !t->established)
		return;
	br_ssl_engine_close(&t->cc.eng);
	while (push(t))
		;
	t->established = 0;
}

void
tls_info(const struct tls *t, struct tls_info *info)
{
	*info = (struct tls_info){t->suite, t->resumed};
}
