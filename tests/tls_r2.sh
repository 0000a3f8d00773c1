#!/bin/bash
# r2 and servers that it must not trust: it says which rule is broken, ends with status 1, and has sent nothing — no request, no
# signature, no name of a bucket. The servers are rows of tests/tls.tsv; one more is good, so that the test can see a request.
. "$(dirname "$0")/lib.sh"

stop() { [ -z "${bad_PID:-}" ] || { kill "$bad_PID" && wait "$bad_PID"; } 2>/dev/null; at_exit; }
trap stop EXIT

export R2_BUCKET=a-bucket R2_ACCESS_KEY_ID=an-id R2_SECRET_ACCESS_KEY=a-secret R2_MAX_RETRIES=1
ROWS='leaf expired|leaf not valid yet|star alone|address as dNSName|clientAuth only|intermediate: clientAuth only'
ROWS+='|of the authority in the CA file, another|another authority|missing intermediate|intermediate without CA|SHA-1, leaf|RSA-1024'
ROWS+='|RSA with exponent 1: everybody can sign|version 1|chooses a suite that was not offered: CBC|ServerHello of TLS 1.0'
ROWS+='|ServerKeyExchange with a bad signature|Finished wrong|fatal 40 first'
{
	grep -xE "($ROWS)	.*" "$TESTS/tls.tsv"
	printf 'good\tserver([leaf()], "hello cert ske done | ccs fin ask data close")\tlocalhost\t…\n'
} >"$T/table"
coproc bad { exec python3 -B "$TESTS/tls_bad.py" "$T/table" "$T"; }
rows=()
while read -r line && [ "$line" != ready ]; do rows+=("$line"); done <&"${bad[0]}"
is 'all rows are there' "${#rows[@]}" 20
echo data >"$T/file"

for row in "${rows[@]}"; do
	IFS=$'\t' read -r port _ host ca want name <<<"$row"
	export R2_ENDPOINT=https://$host:$port R2_CA_FILE=$ca
	want=${want#TLS } want=${want//\*/…}
	t "ls: $name" 1 '' "…$want…" r2 ls
	[ "$name" = good ] || t "upload --test: $name" 1 '…FAIL TLS…' "…$want…" r2 upload --test
	[ "$name" = good ] || t "upload: $name" 1 '' "…$want…" r2 upload "$T/file"
done
is 'only the good server has seen a request' "$(sort -u "$T/seen")" good
finish
