# brssl ta's C → one array of bytes, in which tls_trust.c looks for the roots that issued the server's certificates.
# As BearSSL's own constants every root costs pointers, and each pointer a relocation; and names are a fifth of all.
# A record: the first 8 bytes of the name's SHA-256; kind: 0 RSA with exponent 65537, 1 RSA with another, else BearSSL's number of
# a curve; length of the key in two bytes; key: N, for kind 1 and three bytes of exponent, or Q.
/^static const unsigned char TA[0-9]+_/ { name = $5; sub(/\[.*/, "", name); bytes[name] = ""; next }
/^\t0x/ { gsub(/[ \t]/, ""); bytes[name] = bytes[name] $0 (/,$/ ? "" : ","); next }
/^\t\t\{ \(unsigned char \*\)TA/ { ta = $4; sub(/^\*\)/, "", ta); sub(/_.*/, "", ta); count++ }
/BR_X509_TA_CA/ { cas++ }
/BR_KEYTYPE_RSA,/ {
	e = bytes[ta "_RSA_E"]
	if (e == "0x01,0x00,0x01,") record(0, ta "_RSA_N", "")
	else record(1, ta "_RSA_N", padded(e) "\n")
}
/BR_EC_secp/ { curve = $1; sub(/,/, "", curve); record(curve, ta "_EC_Q", "") }
BEGIN { print "static const unsigned char ROOTS[] = {" }
END {
	print "};"
	print "enum { ROOTS_COUNT = " count " };"
	print "enum { ROOTS_OF_A_NAME = " same " };   /* at most so many */"
	if (count != cas || failed) exit 1
}

function record(kind, key, rest,   n, name) {
	name = bytes[ta "_DN"]
	if (++named[name] > same) same = named[name]
	n = gsub(/,/, ",", bytes[key])
	printf "%s\n%s,%d,%d,\n%s\n%s", hash(name), kind, int(n / 256), n % 256, bytes[key], rest
}

function padded(e,   n) {
	n = gsub(/,/, ",", e)
	if (n > 3) failed = 1
	return substr("0,0,", 1, 2 * (3 - n)) e
}

# Of "0x30,0x42,": "0xd0,0x…,", the first 8 bytes of its SHA-256.
function hash(list,   n, i, byte, cmd, sum, out) {
	n = split(toupper(list), byte, ",") - 1
	for (i = 1; i <= n; i++)
		cmd = cmd sprintf("\\%03o", 16 * digit(substr(byte[i], 3, 1)) + digit(substr(byte[i], 4, 1)))
	cmd = "printf '" cmd "' | sha256sum"
	if ((cmd | getline sum) != 1 || sum !~ /^[0-9a-f]+  -$/) failed = 1
	close(cmd)
	for (i = 1; i < 16; i += 2)
		out = out "0x" substr(sum, i, 2) ","
	return out
}

function digit(c) {
	return index("0123456789ABCDEF", c) - 1
}
