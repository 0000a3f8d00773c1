#include <bearssl.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "clock.h"
#include "cpu.h"
#include "tls_engine.h"
#include "tls_gcm.h"

/* Only one of them is linked: the one with 64×64→128-bit products where the compiler has such. */
#ifdef __SIZEOF_INT128__
#define POLY1305 br_poly1305_ctmulq_run
#else
#define POLY1305 br_poly1305_ctmul_run
#endif

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

_Static_assert(sizeof (br_ssl_session_parameters) <= sizeof ((struct tls_session *)0)->params, "session fits");

/* ---- keys ---- */

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

const br_ec_impl tls_ec = {
	1 << BR_EC_secp256r1 | 1 << BR_EC_secp384r1 | 1 << BR_EC_secp521r1,
	ec_generator, ec_order, ec_xoff, ec_mul, ec_mulgen, ec_muladd,
};

uint32_t
tls_rsa_vrfy(const unsigned char *sig, size_t n, const unsigned char *hash_oid, size_t hash_len, const br_rsa_public_key *key,
	unsigned char *hash)
{
	if (key->elen == 1 && key->e[0] < 3)
		return 0;
	return br_rsa_i31_pkcs1_vrfy(sig, n, hash_oid, hash_len, key, hash);
}

/* ---- the profile ---- */

/* Ours, and BearSSL is not asked for its own: each time it would ask the processor, which in a virtual machine takes longer than a record. */
static void
set_aes_gcm(br_ssl_engine_context *eng)
{
#ifdef TLS_GCM
	if (cpu_has() & CPU_GCM) {
		br_ssl_engine_set_gcm(eng, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
		br_ssl_engine_set_aes_ctr(eng, &tls_gcm_ctr);
		br_ssl_engine_set_ghash(eng, tls_gcm_ghash);
		return;
	}
#endif
	br_ssl_engine_set_default_aes_gcm(eng);
}

void
tls_engine_init(br_ssl_client_context *cc)
{
	br_ssl_engine_context *eng = &cc->eng;
	int aes = cpu_has() & CPU_GCM || br_aes_x86ni_ctr_get_vtable() || br_aes_pwr8_ctr_get_vtable();

	br_ssl_client_zero(cc);
	br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(eng, suites + (aes ? 2 : 0), 6);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_hash(eng, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(eng, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(eng, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
	br_ssl_engine_set_rsavrfy(eng, tls_rsa_vrfy);
	br_ssl_engine_set_ec(eng, &tls_ec);
	br_ssl_engine_set_ecdsa(eng, br_ecdsa_i31_vrfy_asn1);
	set_aes_gcm(eng);
	/* Not the default ChaCha20: its SSE2 form is the slower one with today's compilers. */
	br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(eng, &br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(eng, POLY1305);
}

/* BearSSL 0.6 seeds itself from RDRAND alone where there is one. */
int
tls_engine_seed(br_ssl_engine_context *eng, struct err *e)
{
	unsigned char seed[32];
	ssize_t r;

	do
		r = getrandom(seed, sizeof seed, 0);
	while (r < 0 && errno == EINTR);
	if (r != sizeof seed)
		return fail_errno(e, "no random numbers: getrandom");
	br_ssl_engine_inject_entropy(eng, seed, sizeof seed);
	explicit_bzero(seed, sizeof seed);
	return 0;
}

const char *
tls_suite_name(unsigned id)
{
	size_t i;

	for (i = 0; i < sizeof suite_names / sizeof suite_names[0]; i++)
		if (suites[i] == id)
			return suite_names[i];
	return "TLS 1.2";
}

/* ---- session resumption ---- */

enum { AWAIT_MS = 500 };   /* a handshake takes 10 ms near by and 150 ms across an ocean */

int
tls_session_await(struct tls_session *s, const int *stop)
{
	int wait, mine;

	for (int n = 0;; n++) {
		pthread_mutex_lock(&s->lock);
		wait = s->shaking && !s->have && !s->never && n < AWAIT_MS;
		mine = !s->shaking && !s->have && !s->never;
		s->shaking |= mine;
		pthread_mutex_unlock(&s->lock);
		if (!wait || (stop && __atomic_load_n(stop, __ATOMIC_RELAXED)))
			return mine;
		clock_pause(NULL, 1);
	}
}

void
tls_session_made(struct tls_session *s)
{
	pthread_mutex_lock(&s->lock);
	s->shaking = 0;
	pthread_mutex_unlock(&s->lock);
}

int
tls_session_offer(struct tls_session *s, br_ssl_engine_context *eng)
{
	br_ssl_session_parameters sp;
	int have;

	pthread_mutex_lock(&s->lock);
	have = s->have;
	memcpy(&sp, s->params, sizeof sp);
	pthread_mutex_unlock(&s->lock);
	if (have)
		br_ssl_engine_set_session_parameters(eng, &sp);
	explicit_bzero(&sp, sizeof sp);
	return have;
}

void
tls_session_keep(struct tls_session *s, const br_ssl_engine_context *eng, int established)
{
	br_ssl_session_parameters sp;

	br_ssl_engine_get_session_parameters(eng, &sp);
	pthread_mutex_lock(&s->lock);
	s->have = established && sp.session_id_len > 0;
	s->never = established && !s->have;
	memcpy(s->params, &sp, sizeof sp);
	pthread_mutex_unlock(&s->lock);
	explicit_bzero(&sp, sizeof sp);
}
