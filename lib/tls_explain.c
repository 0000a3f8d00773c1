#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "buf.h"
#include "enc.h"
#include "tls_cert.h"
#include "tls_explain.h"
#include "utc.h"

/* Number, cause and cure, each ended by NUL as in s3_error.c: BearSSL's errors (bearssl_ssl.h, bearssl_x509.h), TLS_NOT_PERMITTED among
   them, and TLS's alerts (RFC 5246 section 7.2). No text: that of the row above. */
#define ROW(number, text) number "\0" text "\0"
_Static_assert(TLS_NOT_PERMITTED == 61, "its row");

static const char meanings[] =
	ROW("3", "the server offers only a TLS version before 1.2: allow TLS 1.2 on it")
	ROW("4", "the server mixes TLS versions: allow TLS 1.2 on it")
	ROW("7", "a record was damaged on its way: try again")
	ROW("8", "no random numbers on this machine: is getrandom forbidden here?")
	ROW("16", "the server chose a cipher suite that was not offered: it needs ECDHE with AES-GCM or ChaCha20-Poly1305")
	ROW("23", "the server's key is too long: RSA up to 4096 bits is supported")
	ROW("24", "the handshake was altered on its way: is there a proxy that looks into TLS?")
	ROW("26", "the server signs with an algorithm that is not accepted (SHA-1, RSA-PSS or an unknown curve): allow "
		"SHA-256 with RSA or ECDSA on it")
	ROW("27", "the server's signature is wrong: its key does not belong to its certificate")
	ROW("28", "a certificate does not allow TLS servers (key usage): the server needs another one")
	ROW("35", "the server sent no certificate: it needs one")
	ROW("49", "the certificate uses an algorithm that is not accepted (SHA-1, RSA-PSS, Ed25519 or an unknown curve): the "
		"server needs one with RSA or ECDSA and SHA-256")
	ROW("50", "a certificate, its key or its signature is too long: RSA up to 4096 bits is supported")
	ROW("51", "a certificate is signed with another kind of key than its issuer has: check the server's chain")
	ROW("52", "a signature in the certificate chain is wrong: check the server's chain, and that --ca-file is this "
		"authority's present certificate")
	ROW("55", "the server sends its certificates in the wrong order: its own must come first, then each one's issuer")
	ROW("57", "the certificate has a critical extension that is not supported: the server needs another one")
	ROW("58", "a certificate in the chain belongs to no authority and may not sign others: check the server's chain")
	ROW("59", "a certificate in the chain may not sign others (key usage): check the server's chain")
	ROW("60", "a certificate's RSA key is shorter than 2048 bits: the server needs a new one")
	ROW("61", "an authority in the chain may not sign for this host (name constraints): the server needs another certificate")
	ROW("62", "the certificate is signed by an authority that is not known: give it with --ca-file FILE (or R2_CA_FILE); "
		"if it is a public one, the server does not send its intermediate certificate")
	ROW("alert 40", "the server refuses the handshake: it must allow TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305, "
		"know this host name, and ask for no client certificate")
	ROW("alert 42", "the server asks for a client certificate, which is not supported: allow requests without one on it")
	ROW("alert 116", "")
	ROW("alert 49", "the server denies access (alert 49): see its log")
	ROW("alert 70", "the server wants another TLS version than 1.2: allow TLS 1.2 on it")
	ROW("alert 71", "the server wants stronger cipher suites: allow ECDHE with AES-256-GCM in TLS 1.2 on it")
	ROW("alert 80", "the server had an internal error: try again")
	ROW("alert 112", "the server does not know this host name: check the host in R2_ENDPOINT")
;

static const char *
meaning(int code)
{
	const char *text = NULL;
	char number[16];

	snprintf(number, sizeof number, code > 256 ? "alert %d" : "%d", code > 256 ? code - 256 : code);
	for (const char *at = meanings, *row; *at; at += strlen(at) + 1) {
		row = at;
		at += strlen(at) + 1;
		if (*at)
			text = at;
		if (!strcmp(row, number))
			return text;
	}
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
stamp(int64_t t, char out[40])
{
	struct utc u;

	utc_split(t, &u);
	snprintf(out, 40, "%04d-%02d-%02d %02d:%02d UTC", u.year, u.month, u.day, u.hour, u.minute);
}

static int
explain_dates(const struct tls_fault *f, struct err *e)
{
	const char *is = "has expired or is not valid yet", *cure = "renew the certificate on the server, or set the clock";
	char now[40], date[40] = "";

	stamp(f->now, now);
	if (f->not_after && f->now > f->not_after) {
		is = "expired on ";
		stamp(f->not_after, date);
	} else if (f->now < f->not_before) {
		is = "is not valid before ";
		stamp(f->not_before, date);
		cure = "set the clock";
	}
	return fail(e, ERR_TLS, "tls: %s: a certificate %s%s; the clock of this machine says %s: %s", f->host, is, date, now, cure);
}

static int
explain_name(const struct tls_fault *f, struct err *e)
{
	char name[160];
	struct buf b = BUF(name);

	if (f->no_san)
		return fail(e, ERR_TLS, "tls: %s: the certificate has no subjectAltName, and a common name does not count (RFC 9110): "
			"the server needs another one", f->host);
	if (f->name && !strcasecmp(f->name, f->host) && !f->host_is_address)
		return fail(e, ERR_TLS, "tls: %s: the certificate is not for %s: that is only its common name, which does not count (RFC 9110): "
			"the server needs another one", f->host, f->host);
	if (f->name && f->name[0]) {
		buf_str(&b, "for ");
		enc_printable(&b, f->name, strlen(f->name));
		buf_str(&b, ", ");
	}
	return fail(e, ERR_TLS, "tls: %s: the certificate is %snot for %s: %s", f->host, name, f->host, f->host_is_address
		? "put the server's name in R2_ENDPOINT, or give its certificate an iPAddress entry"
		: "check the host in R2_ENDPOINT");
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
	/* The address of every account is below this name, and of none that is not there yet. */
	if (f->code == 256 + 40 && enc_ends_in(f->host, ".r2.cloudflarestorage.com"))
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
