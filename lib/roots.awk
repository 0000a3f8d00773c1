# brssl ta's C → one array of bytes. As BearSSL's own constants every anchor costs pointers, and each pointer a relocation in a
# static PIE: 20 KB and work at every start. tls.c makes anchors of it when they are needed.
# A record: kind (1 RSA, 2 EC), curve (0 or BearSSL's number), then name and key (EC: Q; RSA: N and E), each with a two-byte length.
/^static const unsigned char TA[0-9]+_/ { name = $5; sub(/\[.*/, "", name); bytes[name] = ""; next }
/^\t0x/ { gsub(/[ \t]/, ""); bytes[name] = bytes[name] $0 (/,$/ ? "" : ","); next }
/^\t\t\{ \(unsigned char \*\)TA/ { ta = $4; sub(/^\*\)/, "", ta); sub(/_.*/, "", ta); count++ }
/BR_X509_TA_CA/ { cas++ }
/BR_KEYTYPE_RSA,/ { print "1, 0," field(ta "_DN") field(ta "_RSA_N") field(ta "_RSA_E") }
/BR_EC_secp/ { curve = $1; sub(/,/, "", curve); print "2, " curve "," field(ta "_DN") field(ta "_EC_Q") }
BEGIN { print "static const unsigned char ROOTS[] = {" }
END { print "};\nenum { ROOTS_COUNT = " count " };"; if (count != cas) exit 1 }

function field(f,   n) {
	n = gsub(/,/, ",", bytes[f])
	return "\n" int(n / 256) "," n % 256 "," bytes[f]
}
