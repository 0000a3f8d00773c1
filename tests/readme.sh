#!/bin/bash
# Each shell block of README.md and doc/*.md. Those marked "sh" are run as they stand, a page's in their order and in one directory, against what
# is known of R2 (r2emu.py). Those marked "shell" would install something or need an account or a cluster: bash parses them. Then doc/keys.md's rights.
grep -qs '^R2_SERVER=r2emu' "${R2_TEST_SERVER_DIR:-}/env" || unset R2_TEST_SERVER_DIR
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
need_server r2emu
mkdir "$T/bin" "$T/blocks"
ln -s "$R2" "$T/bin/r2"
"$R2" --install "$T/bin"
export PATH=$T/bin:$PATH XDG_STATE_HOME=$T/state R2_LOG_FILE=$T/sync.log
# Blocks follow one another faster than R2 takes writes of one key.
printf 'rate 0\n' | curl -sf -o /dev/null --data-binary @- "$R2_PROXY/-/set"

# Old enough for --uploads 1s when its turn comes.
s3 POST outputs/unfinished -H 'Content-Length: 0' --url-query uploads= >/dev/null

# blocks PAGE: each into $T/blocks/PAGE-N.TAG
blocks() {
	awk -v out="$T/blocks/$(basename "$1" .md)-" '/^```/ { if (on) { close(f); on = 0 } else { on = 1; f = sprintf("%s%02d.%s", out, ++n, substr($0, 4)); printf "" >f }; next }
		on { print >f }' "$1"
}
for page in README.md doc/*.md; do (cd "$ROOT" && blocks "$page"); done
cd "$T/blocks" || exit 1
is 'every block says what it is' "$(printf '%s\n' * | grep -vE '\.(sh|shell|c|cron|cron\.d|ini|yaml|text)$')" ''
ok 'blocks: some are run' [ "$(printf '%s\n' *.sh | wc -l)" -ge 6 ]

# What the pages take for granted: files, programs, and what the bucket has.
there() {
	mkdir -p results/sub output media watched
	printf 'kept over a change of keys' >watched/kept.png
	printf picture >image.png
	printf picture >output/daemon.png
	printf video >video.mp4
	printf 'a,b\n' >results/sub/table.csv
	printf 'import os, sys\nopen(os.environ["COMFYUI_OUTPUT_DIR"] + "/made.png", "w").write("made")\n' >main.py
}
printf picture >"$T/picture"
for key in outputs/2025-12-{29,30}/{image,cat1}.png; do s3 PUT "$key" -f -T "$T/picture" -o /dev/null; done
printf '#!/bin/sh\necho dump\n' >"$T/bin/pg_dump"
chmod +x "$T/bin/pg_dump"
# Of doc/keys.md: the old key has been revoked.
export OLD_ID=$R2_ACCESS_KEY_ID OLD_SECRET=${R2_SECRET_ACCESS_KEY//[0-4]/5} NEW_ID=$R2_ACCESS_KEY_ID NEW_SECRET=$R2_SECRET_ACCESS_KEY
# script FILE: as a script that ends with the first thing that fails; what it leaves running is ended.
script() {
	local pid rc
	R2_LIMIT_S='' COMFYUI_OUTPUT_DIR=$PWD/media setsid timeout 600 bash -euxo pipefail "$1" >"$1.said" 2>&1 </dev/null &
	pid=$!
	wait "$pid"
	rc=$?
	kill -TERM -- "-$pid" 2>/dev/null
	[ "$rc" = 0 ] || { grep -vE "^\+ (sleep|grep)" "$1.said" | tail -n 25 >&2; false; }
}
s3_has_kept() { s3_keys outputs/ | grep -q "/kept.png$"; }
last=
for f in *.sh; do
	page=${f%-*}
	if [ "$page" != "$last" ]; then
		mkdir "$T/$page" && cd "$T/$page" && there
		last=$page
	fi
	ok "$page, block ${f#"$page"-}: runs" script "$T/blocks/$f"
done
cd "$T/blocks" || exit 1
for f in *.shell; do ok "${f%.shell}: bash takes it" bash -n "$f"; done
printf 'r2 ls outputs/\nr2 ls nothing/of/that/name/\n' >wrong.sh
ok 'the test would notice a line that fails' eval '! script wrong.sh 2>/dev/null'
# The block does not wait for its daemon, which is told to stop at its end.
daemon_left() { for _ in {1..3000}; do s3_keys outputs/ | grep -q "/daemon.png$" && return; sleep 0.1; done; false; }
ok 'README: what the program left is there' eval 's3_keys outputs/ | grep -q "/made.png$"'
ok '… and what the daemon found' daemon_left
ok 'doc/keys.md: the file that came under the old key is there' s3_has_kept

# The rights of doc/keys.md: what each of its commands asked the server for.
cd "$T" || exit 1
mkdir rights && cd rights && there
random_file big.bin 12000000
asked() {
	: >"$R2_REQUESTS"
	"$@" >said 2>&1 </dev/null || { cat said >&2; return 1; }
	jq -r .op "$R2_REQUESTS" | sort -u | sed -E 's/^(CreateMultipartUpload|UploadPart|CompleteMultipartUpload)$/PutObject/; s/^HeadObject$/GetObject/
		s/^(ListObjectsV2|HeadBucket)$/ListBucket/; s/^ListMultipartUploads$/ListBucketMultipartUploads/; s/^ListParts$/ListMultipartUploadParts/
		s/^DeleteObjects$/DeleteObject/; s/BucketLifecycle(Configuration)?/LifecycleConfiguration/' | sort -u | paste -sd' '
}
says() { sed -n "s/^| \`$1\` | [^|]* | \(.*\) |$/\1/p" "$ROOT/doc/keys.md" | tr -d ',' | tr ' ' '\n' | sort -u | paste -sd' '; }
right() { is "rights of $1" "$(asked "${@:2}")" "$(says "$1")"; }
right 'r2 ls' r2 ls outputs/
right 'r2 ls --uploads' r2 ls --uploads
right 'r2 get' r2 get outputs/2025-12-29/image.png x.png
right 'r2 get -r' r2 get -r outputs/2025-12-29/ got
right 'r2 upload --test' r2 upload --test
right 'r2 upload' r2 upload --part-size 5M --multipart-threshold 5M image.png big.bin
right 'r2 upload --if-exists skip' r2 upload --if-exists skip results/sub/table.csv
right 'r2 cleanup -n' r2 cleanup -n --days 30
right 'r2 cleanup' r2 cleanup --days 30
right 'r2 cleanup --uploads' r2 cleanup --uploads 1s
right 'r2 cleanup --lifecycle set' r2 cleanup --lifecycle set --days 31
cp big.bin watched/big.mp4
sync_twice() {
	r2 sync --once --log - --settle 0 --part-size 5M --multipart-threshold 5M watched || return
	printf other >watched/kept.png
	r2 sync --once --log - --settle 0 watched
}
right 'r2 sync' sync_twice
# Temporary ones, made as R2 makes them: the token is a JWT, the secret its digest.
temporary() {
	local jwt secret
	jwt=$(printf %s "$1" | python3 -c 'import base64, hmac, os, sys
text = sys.stdin.read()
mac = hmac.digest(os.environ["R2_SECRET_ACCESS_KEY"].encode(), text.encode(), "sha256")
print(text + "." + base64.urlsafe_b64encode(mac).decode().rstrip("="))')
	secret=$(printf %s "$jwt" | sha256sum | cut -d' ' -f1)
	R2_SECRET_ACCESS_KEY=${2:-$secret} R2_SESSION_TOKEN=$(printf 'jwt/%s' "$jwt" | base64 -w0) "${@:3}"
}
t 'temporary keys: all three' 0 … '…Connection OK: runpod' temporary head.body "" r2 upload --test
t 'a session token beside lasting keys' 1 … '…a session token must be theirs, or unset…' env R2_SESSION_TOKEN=old r2 upload --test
t '… with the lasting secret' 1 … '…SignatureDoesNotMatch…' temporary head.body "$R2_SECRET_ACCESS_KEY" r2 upload --test
is 'each row was tried' "$(grep -cE '^\| `r2 ' "$ROOT/doc/keys.md")" 12

# What make demo shows, on this server.
demo() { (cd "$ROOT" && env -u R2_ENDPOINT R2_TEST_SERVER_DIR="${R2_TEST_SERVER_DIR:-$STARTED}" TMPDIR="$T" tests/demo.sh) >"$T/demo" 2>&1 || { tail -3 "$T/demo"; false; }; }
ok 'the demo, to its end' demo
is '… leaves nothing behind' "$(find "$T" -maxdepth 1 -name 'r2-demo.*')" ''
finish
