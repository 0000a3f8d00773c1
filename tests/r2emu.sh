#!/bin/bash
# R2 as r2emu.py has it: that the emulator refuses what R2 refuses, that the client lives with it under R2's own name, and what it
# never sends. The other end-to-end tests run against it in `make interop`.
grep -qs '^R2_SERVER=r2emu' "${R2_TEST_SERVER_DIR:-}/env" || unset R2_TEST_SERVER_DIR
. "$(dirname "$0")/lib.sh"
need_server r2emu
cd "$T" || exit 1
M=1048576
set_() { printf '%s %s\n' "$@" | curl -sf -o /dev/null --data-binary @- "$R2_PROXY/-/set"; }   # set_ NAME VALUE
printf one >one
printf two >two

# refuses NAME STATUS CODE S3-ARGUMENT…: the answer's status and code; no namespace in its body.
refuses() {
	local name=$1 status=$2 code=$3 got; shift 3
	got=$(s3 "$@" -w '%{http_code}')
	is "$name" "$got" "…<Error><Code>$code</Code>…</Error>$status"
}
put() { refuses "$1" "$2" "$3" PUT "$P/${4:-refused}" -T one "${@:5}"; }
md5_of() { openssl md5 -binary "$1" | base64; }

# What it refuses: else its yes would mean nothing. How often a key is written is tried further down alone.
set_ rate 0
put 'a header R2 has not got' 501 NotImplemented '' -H 'x-amz-acl: public-read'
put '… a storage class' 501 NotImplemented '' -H 'x-amz-storage-class: GLACIER'
put '… a condition of a delete' 501 NotImplemented '' -X DELETE -H 'If-Match: "x"'
refuses 'a parameter R2 has not got' 501 NotImplemented GET '?list-type=2&metadata=true'
refuses 'an operation R2 has not got' 501 NotImplemented GET '?policy='
put 'two checksums' 400 InvalidRequest '' -H "Content-MD5: $(md5_of one)" -H 'x-amz-checksum-crc32c: AAAAAA=='
put 'another MD5' 400 BadDigest '' -H "Content-MD5: $(md5_of two)"
put 'another CRC32C' 400 BadDigest '' -H 'x-amz-checksum-crc32c: AAAAAA=='
put 'an MD5 that is none' 400 InvalidDigest '' -H 'Content-MD5: abc'
put 'a key of 1,025 bytes' 400 InvalidObjectName "$(printf "%$((1025 - ${#P} - 1))s" '' | tr ' ' k)"
put 'a key that is no UTF-8' 400 InvalidObjectName $'\xff'
put 'metadata of more than 8,192 bytes' 400 MetadataTooLarge '' -H "x-amz-meta-a: $(printf %8192s '' | tr ' ' m)"
put 'a body in chunks' 411 MissingContentLength '' -H 'Transfer-Encoding: chunked'
is 'a signature of streams' "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$R2_CA_FILE" --aws-sigv4 aws:amz:auto:s3 -T one \
	--user "$R2_ACCESS_KEY_ID:$R2_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER' "$R2_ENDPOINT/$R2_BUCKET/x")" 501
put 'another region' 400 InvalidRegionName '' --aws-sigv4 aws:amz:eu-west-1:s3
put 'another key' 401 Unauthorized '' --user "ffff${R2_ACCESS_KEY_ID:4}:$R2_SECRET_ACCESS_KEY"
put 'another secret' 403 SignatureDoesNotMatch '' --user "$R2_ACCESS_KEY_ID:x"
S3_BUCKET=no.dots refuses 'a bucket with dots' 400 InvalidBucketName GET '?list-type=2'
set_ clock 1000
put 'a clock that is 1,000 s behind' 403 RequestTimeTooSkewed
set_ clock 0
is 'no signature' "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$R2_CA_FILE" "$R2_ENDPOINT/$R2_BUCKET/x")" 401
is 'nothing of all this was stored' "$(s3_count "$P/")" 0

set_ rate 600000
s3_put "$P/fast" one
put 'a second write too soon' 429 TooManyRequests fast
set_ rate 0
s3_put "$P/cafe"$'\u0301' one
is 'names are one in NFC' "$(s3_get "$P/caf"$'\u00e9')" one
is '… and listed as they were written' "$(s3_keys "$P/caf")" "$P/cafe"$'\u0301'

# multipart NAME STATUS CODE SIZE…: Complete of such parts
multipart() {
	local name=$1 status=$2 code=$3 id n=0 body='' etag size key="$P/multi$RANDOM"; shift 3
	id=$(s3 POST "$key" -H 'Content-Length: 0' --url-query uploads= | sed -n 's/.*<UploadId>\([^<]*\)<.*/\1/p')
	for size; do
		n=$((n + 1))
		head -c "$size" /dev/zero >part
		etag=$(s3 PUT "$key" -T part --url-query "partNumber=$n" --url-query "uploadId=$id" -D - | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')
		body+="<Part><PartNumber>$n</PartNumber><ETag>$etag</ETag></Part>"
	done
	refuses "$name" "$status" "$code" POST "$key" --url-query "uploadId=$id" -d "<CompleteMultipartUpload>$body</CompleteMultipartUpload>"
	s3 DELETE "$key" --url-query "uploadId=$id"
}
multipart 'parts that are not equal' 400 InvalidPart $((5 * M)) $((6 * M)) $((5 * M))
multipart 'a last part that is longer' 400 InvalidPart $((5 * M)) $((6 * M))
multipart 'a small part' 400 EntityTooSmall $((4 * M)) $((4 * M))

# Checksums, conditions and parts.
refuses 'a part with SHA-256' 501 NotImplemented PUT "$P/none" -T one --url-query partNumber=1 --url-query uploadId=x -H "x-amz-checksum-sha256: $(openssl sha256 -binary one | base64)"
put 'another SHA-1' 400 BadDigest '' -H "x-amz-checksum-sha1: $(openssl sha1 -binary two | base64)"
put 'another SHA-256' 400 BadDigest '' -H "x-amz-checksum-sha256: $(openssl sha256 -binary two | base64)"
refuses 'the owner of a bucket' 501 NotImplemented GET '?list-type=2' -H 'x-amz-expected-bucket-owner: x'
is 'x-id is passed over' "$(s3 GET '?list-type=2&prefix=none&x-id=ListObjectsV2' -o /dev/null -w '%{http_code}')" 200
refuses 'a target of more than 16 KiB' 414 URITooLong GET "?list-type=2&prefix=$(printf %16400s '' | tr ' ' p)"
refuses 'a continuation token that is none' 400 InvalidArgument GET '?continuation-token=x&list-type=2'
s3_put "$P/there" one
put 'a write over what is there' 412 PreconditionFailed there -H 'If-None-Match: *'
put '… over another one' 412 PreconditionFailed there -H 'If-Match: "00"'
is 'its ETag is its MD5' "$(s3_head "$P/there" | grep -i '^etag')" "…\"$(md5sum <one | cut -d' ' -f1)\""
is 'a range of all of it is a part, too' "$(s3 GET "$P/there" -r 0-99 -o /dev/null -w '%{http_code}')" 206
is '… of a HEAD it is passed over' "$(s3 HEAD "$P/there" -I -r 0-0 -o /dev/null -w '%{http_code}')" 200
is 'a range behind the end' "$(s3 GET "$P/there" -r 9-10 -o /dev/null -w '%{http_code}')" 416
begin() { s3 POST "$P/whole" -H 'Content-Length: 0' --url-query uploads= | sed -n 's/.*<UploadId>\([^<]*\)<.*/\1/p'; }
part() { s3 PUT "$P/whole" -T one -o /dev/null --url-query "partNumber=$2" --url-query "uploadId=$1"; }   # part ID NUMBER
complete() { s3 POST "$P/whole" --url-query "uploadId=$1" -w '%{http_code}' -d "<CompleteMultipartUpload>$2</CompleteMultipartUpload>" "${@:3}"; }
etag=$(md5sum <one | cut -d' ' -f1)
row() { echo "<Part><PartNumber>$1</PartNumber><ETag>${2-$etag}</ETag></Part>"; }
id=$(begin)
part "$id" 1
is 'a part of another ETag' "$(complete "$id" "$(row 1 00)")" '…<Code>InvalidPart</Code>…400'
is 'a part that never came' "$(complete "$id" "$(row 1)$(row 2)")" '…<Code>InvalidPart</Code>…400'
is 'an ETag needs no quotes' "$(complete "$id" "$(row 1)")" '…<ETag>&quot;…-1&quot;</ETag>…200'
is '… and is that of the parts' "$(s3_head "$P/whole" | grep -i '^etag')" "…\"$(md5sum <one | xxd -r -p | md5sum | cut -d' ' -f1)-1\""
is 'no upload of that id' "$(complete "$id" "$(row 1)")" '…<Code>NoSuchUpload</Code>…404'
id=$(begin)
part "$id" 1
is 'a condition that fails at the end' "$(complete "$id" "$(row 1)" -H 'If-None-Match: *')" '…<Code>PreconditionFailed</Code>…412'
is '… destroys the upload' "$(complete "$id" "$(row 1)")" '…<Code>NoSuchUpload</Code>…404'
set_ rate 1000
id=$(begin)
is 'an upload that is aborted twice' "$(for _ in 1 2; do s3 DELETE "$P/whole" --url-query "uploadId=$id" -w '%{http_code} '; done)" '204 204 '

# The dialect of its lifecycle rules.
rules() { s3 PUT '?lifecycle=' -w '%{http_code}' -d "<LifecycleConfiguration>$1</LifecycleConfiguration>"; }
rule() { echo "<Rule><ID>${2-r}</ID><Status>Enabled</Status><Filter><Prefix>never/</Prefix></Filter>$1</Rule>"; }
days='<Expiration><Days>7</Days></Expiration>'
before=$(s3 GET '?lifecycle=' | sed 's/.*<LifecycleConfiguration[^>]*>\(.*\)<.LifecycleConfiguration>/\1/')
is 'a rule without a status' "$(rules "<Rule><ID>r</ID><Filter><Prefix>x</Prefix></Filter>$days</Rule>")" '…<Code>MalformedXML</Code>…400'
is 'a rule with a prefix of the old form' "$(rules "<Rule><Prefix>x</Prefix><Status>Enabled</Status>$days</Rule>")" '…<Code>MalformedXML</Code>…400'
is 'a rule that does nothing' "$(rules "$(rule '')")" '…<Code>MalformedXML</Code>…400'
is 'two rules of one name' "$(rules "$(rule "$days")$(rule "$days")")" '…<Code>InvalidArgument</Code>…400'
is 'a rule for tags' "$(rules "<Rule><ID>r</ID><Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>$days</Rule>")" '…<Code>NotImplemented</Code>…501'
is 'another storage class' "$(rules "$(rule '<Transition><Days>7</Days><StorageClass>GLACIER</StorageClass></Transition>')")" '…<Code>NotImplemented</Code>…501'
is 'what it had is there still' "$(s3 GET '?lifecycle=')" "…$before…"

# Presigned URLs, as curl cannot make them but r2 can: of GET, for a week at most.
is 'a presigned URL for another method' "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$R2_CA_FILE" -X DELETE "$(r2 get --presign 60 "$P/there")")" 403
url=$(r2 get --presign 60 "$P/there")
is '… for longer than it was made for' "$(curl -s --cacert "$R2_CA_FILE" "${url/Expires=60/Expires=600}")" '…<Code>SignatureDoesNotMatch</Code>…'
set_ clock 100
is '… that has expired' "$(curl -s --cacert "$R2_CA_FILE" "$url")" '…<Code>ExpiredRequest</Code>…'
set_ clock 0

# As R2: its name, by a proxy.
export R2_ENDPOINT=$R2_AS_R2 HTTPS_PROXY=$R2_PROXY
: >"$R2_REQUESTS"
t '--test' 0 … '…Connection OK…' r2 upload --test
t '… an account that is not there' 1 … '…Connection failed…TLS…account…' r2 upload --test --retries 1 --endpoint "https://0${R2_AS_R2#https://?}"
t '… a key id of another store' 1 … '…signature…access key has length 20…R2_ACCESS_KEY_ID…' env R2_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE "$R2" upload --test
random_file stream $((70 * M))
from_pipe() { cat stream | r2 upload --key "$P/stream" -; }   # a file would have a length
t 'standard input' 0 '' '…Complete: 1/1' from_pipe
parts_sent() { python3 -c '
import json, sys
rows = [json.loads(x) for x in open(sys.argv[1])]
print(*sorted((int(dict(r["headers"])["content-length"]) >> 20 for r in rows if r["op"] == "UploadPart"), reverse=True))' "$R2_REQUESTS"; }
is '… in parts of one size' "$(parts_sent)" '32 32 6'
r2 get -q "$P/stream" got
ok '… and back' cmp got stream
# What is there in parts of 32 MiB is the same content, whatever parts it would be sent in now.
t '--if-exists rename: the same content, in parts of another size' 0 "…\"status\":\"same\"…/stream\"…" … \
	r2 upload --json --if-exists rename --part-size 40M --multipart-threshold 5M --key "$P/stream" stream
is '… one object' "$(r2 ls -1 "$P/stream")" stream
t '--test --write, which writes to a key twice' 0 '…ok   condition…' '…Connection OK…' r2 upload --test --write --retries 1
r2 upload -q --key "$P/again" one
set_ rate 600000
t 'a write too soon is tried again' 1 '' '…Attempt 1/2 failed: TooManyRequests…' r2 upload --retries 2 --key "$P/again" two
set_ rate 1000
writes() { python3 -c '
import json, sys
rows = [json.loads(x) for x in open(sys.argv[1])]
times = [r["time"] for r in rows if r["op"] == "PutObject" and r["key"] == sys.argv[2]]
print(len(times), *("far" if b - a >= 1.4 else "near" for a, b in zip(times[1:], times[2:])))' "$R2_REQUESTS" "$P/again"; }
is '… a second and a half later' "$(writes)" '3 far'
t 'never over what is there' 1 '' '…there is this content at…' r2 upload --key "$P/again" --if-exists fail one
cp one unsaid.png
t 'an option that is empty is none' 0 '' '…Complete: 1/1' r2 upload --content-type '' --cache-control '' --key "$P/unsaid" unsaid.png
is '… so the name says the type' "$(r2 get --stat "$P/unsaid" | grep type)" 'type: image/png'
set_ clock 5000
t 'a wrong clock is set right' 0 '' '…Complete: 1/1' r2 upload --key "$P/clock" one
t '… for what begins with a HEAD, too' 0 '' '…Complete: 1/1' r2 get "$P/clock" clock
set_ clock 0
set_ page 2
for name in a b c 'd e' e$'\u0301' f; do r2 upload -q --key "$P/list/2020-01-01/$name" one; done
t 'a listing of many pages, in the order of NFC' 0 "$(printf '%s\n' a b c 'd e' f e$'\u0301')" '' r2 ls -1 "$P/list/2020-01-01/"
set_ page 1000
t 'a delete of many' 0 'Deleted 6 files…' '' r2 cleanup --days 30 --prefix "$P/list"
r2 upload -q --key "$P/e"$'\u0301'/2020-01-01/x one
t 'a prefix in another spelling than the keys' 0 x '' r2 ls -1 "$P/"$'\u00e9'/2020-01-01/
t '… get -r' 0 '' '…Complete: 1/1' r2 get -r "$P/"$'\u00e9'/ spelled
ok '… the file' cmp one spelled/2020-01-01/x
t '… cleanup' 0 'Deleted 1 files…' '' r2 cleanup --days 30 --prefix "$P/"$'\u00e9'
is '… it is gone' "$(s3_count "$P/e"$'\u0301'/)" 0
# The refusal of a HEAD says nothing of why.
t 'get with a wrong secret' 1 '' '…SignatureDoesNotMatch: …the secret does not belong to the access key…' \
	env R2_SECRET_ACCESS_KEY=another "$R2" get "$P/clock"
t '… --stat, with the key of another store' 1 '' '…the server does not know this access key…' \
	env R2_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE "$R2" get --stat "$P/clock"
mkdir strange && cp one strange/one.png
t '… sync pauses, as it is not the file' 1 '…FAILED: one.png: InvalidAccessKeyId: …Uploads pause until this is mended…' … \
	env R2_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE "$R2" sync --once --settle 0 --drain 1 --log - strange
t 'a presigned URL' 0 one '' curl -s --cacert "$R2_CA_FILE" "$(r2 get --presign 60 "$P/clock")"

# Its edge decodes what is stored with a Content-Encoding for whoever does not accept it, and compresses what is not for whoever does:
# what arrives is what is stored, proved by its ETag.
mkdir coded plain
seq 100000 | gzip -n >coded/gzip
random_file coded/br 5000
random_file coded/large $((12 * M))
seq 9000 >plain/text.txt
s3_put "$P/coded/gzip" coded/gzip -H 'Content-Encoding: gzip'
s3_put "$P/coded/br" coded/br -H 'Content-Encoding: br'
s3_put "$P/coded/large" coded/large -H 'Content-Encoding: br'
s3_put "$P/plain/text.txt" plain/text.txt
is 'an object with an encoding, decoded' "$(s3_get "$P/coded/gzip" | tail -n 1)" 100000
is '… does not say how long it is' "$(s3_head "$P/coded/gzip" | grep -ic '^content-length\|^content-encoding')" 0
is '… unless its encoding is accepted' "$(s3_head "$P/coded/gzip" -H 'Accept-Encoding: gzip' | grep -ic '^content-length\|^content-encoding')" 2
is 'an object without one, encoded' "$(s3_head "$P/plain/text.txt" -H 'Accept-Encoding: gzip' | grep -i '^content-length\|^content-encoding')" 'Content-Encoding: gzip'
for name in gzip br large; do
	t "get: stored with an encoding ($name)" 0 '' '' r2 get -q "$P/coded/$name" "got-$name"
	ok '… as it is stored' cmp "got-$name" "coded/$name"
	ok '… to standard output' sh -c '"$1" get "$2" - | cmp - "$3"' - "$R2" "$P/coded/$name" "coded/$name"
done
t '… a whole directory' 0 '' '' r2 get -q -r "$P/coded/" got-all
ok '… as they are stored' diff -r coded got-all
t '… and once more: they are there' 0 '' … r2 get -r "$P/coded/" got-all
t 'get: stored without one' 0 '' '' r2 get -q "$P/plain/text.txt" got-text
ok '… as it is stored' cmp got-text plain/text.txt

# R2 has a rule of its own in every bucket.
t 'lifecycle: set' 0 … … r2 cleanup --lifecycle set --days 30
t '… shown' 0 '…30…' '' r2 cleanup --lifecycle show
t '… removed' 0 … … r2 cleanup --lifecycle remove
ok "… and R2's own is there still" sh -c '"$1" cleanup --lifecycle show | grep -q "Default Multipart Abort Rule"' - "$R2"

# What all these requests had, and never had.
cat >judge.py <<'PYTHON'
import json, sys
bad = []
for line in open(sys.argv[1]):
    r = json.loads(line)
    h = dict(r["headers"])
    if not h.get("user-agent", "").startswith("r2/"):
        continue
    sums = [n for n in h if n == "content-md5" or n.startswith("x-amz-checksum-")]
    wrong = [n for n in h if n in ("expect", "transfer-encoding", "content-encoding", "x-amz-acl")]
    wrong += [n for n, v in r["headers"] if not v]
    coded = r["op"] in ("GetObject", "HeadObject") and "/coded/" in r["key"]
    if wrong or len(sums) > 1 or h.get("accept-encoding") not in ("identity", coded and "gzip, br") or len(h) != len(r["headers"]) or r["status"] == 501 or \
       (r["op"] in ("PutObject", "UploadPart", "DeleteObjects", "PutBucketLifecycleConfiguration") and not sums) or \
       {n for n in h if n.startswith("x-amz-") or n in ("host", "content-md5", "content-type")} - set(r["signed"] or h):
        bad.append((r["op"], r["status"], wrong, sums, sorted(h)))
print(*bad or ["none"], sep="\n")
PYTHON
is 'no request had a field too many or too few' "$(python3 judge.py "$R2_REQUESTS")" none
finish
