#!/bin/bash
# The tls module against OpenSSL (Python's), one behaviour a server. B: where the unit programs are.
set -u
cd "$(dirname "$0")/.." || exit 1
asan_client=${T_TLS:-${B:-build}/asan/t_tls}
client=$asan_client
dir=$(mktemp -d)
passed=0 failed=0
declare -A port

# stop PID
stop() { [ -z "$1" ] || { kill "$1" && wait "$1"; } 2>/dev/null; }

finish() {
	stop "${peer_PID:-}"
	stop "${bad_PID:-}"
	rm -rf "$dir"
}
trap finish EXIT

# check NAME GOT PATTERN: PATTERN as in case
check() {
	# shellcheck disable=SC2254
	case $2 in
	$3) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)); printf '%s: got "%s", want "%s"\n' "$1" "$2" "$3" >&2 ;;
	esac
}

# try PATTERN SERVER HOST CA DOES [BYTES]
try() {
	local want=$1 server=$2 ca=$4
	[ -z "$ca" ] || ca=$dir/$ca
	check "$server as $3" "$(timeout 300 "$client" "${port[$server]}" "$3" "$ca" "${@:5}" 2>&1)" "$want"
}

sh tests/certs.sh "$dir" || exit 1
coproc peer { exec python3 -W ignore tests/tls_peer.py "$dir"; }
while read -r name number && [ "$name" != ready ]; do port[$name]=$number; done <&"${peer[0]}"
[ "${name:-}" = ready ] || { echo 'tls_peer.py did not start' >&2; exit 1; }

# Certificates that are good.
for cert in p256 p384; do
	try 'TLS 1.2, ECDHE_ECDSA_WITH_*: hello (end)' $cert localhost ca.pem read
done
for cert in rsa2048 rsa4096; do
	try 'TLS 1.2, ECDHE_RSA_WITH_*: hello (end)' $cert localhost ca.pem read
done
try '*: hello (end)' below localhost ca.pem read
try '*: hello (end)' p256 localhost. ca.pem read
try '*: hello (end)' p256 LOCALHOST ca.pem read
try '*: hello (end)' p256 a.wild.test ca.pem read
try '*: hello (end)' p256 127.0.0.1 ca.pem read
try '*: hello (end)' p256 '[::1]' ca.pem read
try '*: hello (end)' self localhost self.crt read
try '*: hello (end)' missing localhost inter.crt read
try '*: hello (end)' tls12and13 localhost ca.pem read

# Certificates that are not, and what is said about them.
unknown='TLS tls: localhost: the certificate is signed by an authority that is not known: give it with --ca-file FILE (or R2_CA_FILE)*'
try "$unknown" stranger localhost ca.pem read
try "$unknown" p256 localhost '' read
try "$unknown" missing localhost ca.pem read
try "$unknown" self localhost p256.crt read
try "$unknown" p256 localhost self.crt read
try 'TLS *: the certificate is for localhost, not for files.example: check the host in R2_ENDPOINT' p256 files.example ca.pem read
try 'TLS *not for b.a.wild.test: check*' p256 b.a.wild.test ca.pem read
try 'TLS *not for wild.test: check*' p256 wild.test ca.pem read
try 'TLS *not for 127.0.0.2: put the server*s name*' p256 127.0.0.2 ca.pem read
try 'TLS *not for 127.0.0.1: put the server*s name*' names 127.0.0.1 ca.pem read
try 'TLS *not for ::1: put the server*s name*' names ::1 ca.pem read
try 'TLS *not for 127.0.0.1: put the server*s name*' self 127.0.0.1 self.crt read
try 'TLS *RSA key is shorter than 2048 bits*' rsa1024 localhost ca.pem read
try 'USAGE *no certificate in it that can be used (PEM or DER, RSA from 2048 bits*' rsa1024 localhost rsa1024.crt read
try 'TLS *algorithm that is not accepted (SHA-1*' sha1 localhost ca.pem read
try 'TLS *wrong order*' order localhost ca.pem read
try 'TLS *belongs to no authority*' misled localhost ca.pem read
try 'TLS *the server refuses the handshake: it must allow TLS 1.2 with ECDHE*' ed25519 localhost ca.pem read
NOW=1000000000 try 'TLS *not valid before 20*; the clock of this machine says 2001-09-09 01:46 UTC: set the clock' \
	p256 localhost ca.pem read
NOW=4000000000 try 'TLS *expired on 20*; the clock of this machine says 2096-10-02 07:06 UTC: renew*' \
	below localhost ca.pem read
NOW=4000000000 try 'TLS *expired on 20*' self localhost self.crt read

# The same with built-in roots, of which the program keeps the key and a hash of the name.
# built_in NAME…: the client, with these authorities as its roots
built_in() {
	local build=${B:-build}
	client=$dir/client
	for name; do cat "$dir/$name.crt"; done >"$dir/roots"
	"$build/brssl" ta "$dir/roots" 2>/dev/null | awk -f lib/roots.awk >"$dir/roots.h" &&
		echo '#define ROOTS_DATE ""' >>"$dir/roots.h" &&
		gcc -std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -pthread -I"$dir" -Ilib \
			-isystem "${BEARSSL_SRC:-$build/bearssl}/inc" -o "$client" tests/t_tls.c lib/tls_trust.c \
			"$build/asan/libr2.a" "$build/asan/libbearssl.a" || exit 1
}

built_in e3 twin f4 ca curve
for cert in p256 rsa4096 below large of_e3 of_f4 of_curve of_twin; do
	try '*: hello (end)' $cert localhost '' read
done
try "$unknown" stranger localhost '' read
try "$unknown" missing localhost '' read
try "$unknown" self localhost '' read
try "$unknown" of_e3 localhost ca.pem read
try 'TLS *the certificate is for localhost, not for files.example*' p256 files.example '' read
built_in e3 twin f4 curve
try "$unknown" p256 localhost '' read
try '*: hello (end)' of_twin localhost '' read
client=$asan_client

# Protocols.
try 'TLS *it must allow TLS 1.2 *' tls10 localhost ca.pem read
try 'TLS *it must allow TLS 1.2 *' tls11 localhost ca.pem read
try 'TLS *another TLS version than 1.2*' tls13 localhost ca.pem read
try 'TLS *ECDHE and AES-GCM or ChaCha20-Poly1305*' cbc localhost ca.pem read
try 'TLS *ECDHE and AES-GCM or ChaCha20-Poly1305*' norsakx localhost ca.pem read
try 'TLS *wrong account id in R2_ENDPOINT, or an account that is not active yet*20 minutes)' \
	cbc abc.r2.cloudflarestorage.com ca.pem read
try 'TLS *does not speak TLS: is it an http:// port?' http localhost ca.pem read
try 'NET *closed during the handshake*https port?' closes localhost ca.pem read
try 'NET *internal error: try again' alert80 localhost ca.pem read
try 'TLS *does not know this host name*' alert112 localhost ca.pem read

# Data, both ways, by each suite.
for suite in ECDSA-AES128-GCM-SHA256:AES_128_GCM_SHA256 ECDSA-AES256-GCM-SHA384:AES_256_GCM_SHA384 \
	ECDSA-CHACHA20-POLY1305:CHACHA20_POLY1305_SHA256 RSA-AES128-GCM-SHA256:AES_128_GCM_SHA256 \
	RSA-AES256-GCM-SHA384:AES_256_GCM_SHA384 RSA-CHACHA20-POLY1305:CHACHA20_POLY1305_SHA256; do
	try "TLS 1.2, ECDHE_*_WITH_${suite#*:}: same" "ECDHE-${suite%%:*}" localhost ca.pem echo 1000000
done
for bytes in 0 1 16375 16376 16377 32760 49144 65528 81912 40000000; do
	try '*: same' echo localhost ca.pem echo $bytes
done
# The kernel takes pieces of what is sent at once.
for bytes in 81912 1000000; do
	SNDBUF=1 try '*: same' echo localhost ca.pem echo $bytes
done

# As a processor without long registers.
for suite in ECDSA-AES128-GCM-SHA256 RSA-AES256-GCM-SHA384; do
	CPU=0 try '*: same' "ECDHE-$suite" localhost ca.pem echo 1000000
done

# Ends.
try '*: half of it NET connection to localhost closed without close_notify: truncated' truncated localhost ca.pem read
try '*: *NET connection to localhost closed without close_notify: truncated*' half_record localhost ca.pem read
try '*: *NET tls: localhost: a record was damaged*' damaged localhost ca.pem read
TIMEOUT_MS=5000 try '*: *NET 127.0.0.1:*: no progress for 5.0 s: timed out' silent localhost ca.pem read
TIMEOUT_MS=300 try 'NET 127.0.0.1:*: no progress for 0.3 s: timed out' mute localhost ca.pem read
try '*: left' unread localhost ca.pem leave
try '*: left' silent localhost ca.pem leave
try '*: idle=1 idle=0' later localhost ca.pem idle

# An answer that comes while we send.
try '*: early: HTTP/1.1 403 Forbidden*early NET *' early_reset localhost ca.pem flood 100000000
TIMEOUT_MS=5000 try '*: early: HTTP/1.1 403 Forbidden*early NET *no progress*' early localhost ca.pem flood 100000000

# Resumption, and that a session which fails is dropped.
try ' resumed=0 have=1 resumed=1 have=1 have=0 NET tls: localhost: *' p256 localhost ca.pem twice
try ' resumed=0 have=1 resumed=1 have=1 have=0 NET tls: 127.0.0.1: *' rsa2048 127.0.0.1 ca.pem twice

# The table: servers that OpenSSL would not be. Several rows at once; then each is judged.
stop "$peer_PID"
coproc bad { exec python3 -B tests/tls_bad.py tests/tls.tsv "$dir"; }
rows=() jobs=()
while read -r line && [ "$line" != ready ]; do rows+=("$line"); done <&"${bad[0]}"
row() {
	local port does host ca
	IFS=$'\t' read -r port does host ca _ <<<"$2"
	timeout 300 "$client" "$port" "$host" "$ca" "$does" >"$dir/said.$1" 2>&1
}
for i in "${!rows[@]}"; do
	[ $((i % 4)) != 0 ] || [ "$i" = 0 ] || wait "${jobs[@]}"
	row "$i" "${rows[i]}" & jobs[i % 4]=$!
done
wait "${jobs[@]}"
for i in "${!rows[@]}"; do
	IFS=$'\t' read -r _ _ host _ want name <<<"${rows[i]}"
	[ "$want" != accepted ] || want='TLS 1.2, ECDHE_*: hello (end)'
	check "$name, as $host" "$(cat "$dir/said.$i")" "$want"
done
check 'rows of the table' "${#rows[@]}" "$(grep -c '^[^#]' tests/tls.tsv)"

echo "$passed checks, $failed failed"
[ $failed = 0 ]
