#!/bin/sh
# A throw-away authority and the server certificates that the TLS tests need: tests/certs.sh DIR
# NAME.pem holds the key and the chain of a server, ca.pem what to trust.
set -eu
cd "$1"

# key NAME ALGORITHM…
key() {
	name=$1; shift
	openssl genpkey -out "$name.key" "$@" 2>/dev/null
}

ec() {
	key "$1" -algorithm EC -pkeyopt "ec_paramgen_curve:${2:-P-256}"
}

# sign NAME ISSUER SUBJECT EXTENSIONS [DIGEST]: NAME.crt for NAME.key
sign() {
	printf '%b\n' "$4" >ext
	openssl req -new -key "$1.key" -subj "$3" -out csr
	if [ "$1" = "$2" ]; then
		openssl x509 -req -in csr -days 30 -signkey "$1.key" -extfile ext -out "$1.crt" "-${5:-sha256}" 2>/dev/null
	else
		openssl x509 -req -in csr -days 30 -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -extfile ext \
			-out "$1.crt" "-${5:-sha256}" 2>/dev/null
	fi
}

# leaf NAME [ISSUER [SAN [DIGEST]]]: NAME.pem from NAME.key
leaf() {
	sign "$1" "${2:-ca}" "/CN=r2box test $1" \
		"subjectAltName=${3:-DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1}" "${4:-sha256}"
	cat "$1.key" "$1.crt" >"$1.pem"
}

CA='basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign'

ec ca; sign ca ca '/CN=r2box test authority' "$CA"
ec other; sign other other '/CN=an unknown authority' "$CA"
ec inter; sign inter ca '/CN=r2box test intermediate' "$CA"
ec fake; sign fake ca '/CN=no authority' 'basicConstraints=CA:FALSE'

key e3 -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3; sign e3 e3 '/CN=RSA with exponent 3' "$CA"
key f4 -algorithm RSA -pkeyopt rsa_keygen_bits:4096; sign f4 f4 '/CN=RSA with exponent 65537' "$CA"
ec curve P-384; sign curve curve '/CN=P-384' "$CA"
ec twin; sign twin twin '/CN=r2box test authority' "$CA"

ec p256; leaf p256
ec p384 P-384; leaf p384
key rsa2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048; leaf rsa2048
key rsa4096 -algorithm RSA -pkeyopt rsa_keygen_bits:4096; leaf rsa4096
key rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024; leaf rsa1024
key ed25519 -algorithm ED25519; leaf ed25519
ec sha1; leaf sha1 ca '' sha1
ec stranger; leaf stranger other
ec names; leaf names ca 'DNS:127.0.0.1,DNS:*.0.0.1,DNS:::1,DNS:files.example'
ec self; sign self self '/CN=localhost' 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost'
cat self.key self.crt >self.pem

ec below; leaf below inter
cp below.pem missing.pem
cat below.key below.crt inter.crt >below.pem
cat below.key below.crt ca.crt inter.crt >order.pem
ec misled; leaf misled fake
cat misled.key misled.crt fake.crt >misled.pem

ec of_e3; leaf of_e3 e3
ec of_f4; leaf of_f4 f4
ec of_curve; leaf of_curve curve
ec of_twin; leaf of_twin twin
ec large; leaf large ca "DNS:localhost$(seq -s '' -f ',DNS:%03.f.a-name-of-some-length.test' 300)"

cp ca.crt ca.pem
rm -f csr ext ./*.srl
