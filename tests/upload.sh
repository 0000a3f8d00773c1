#!/bin/bash
# r2 upload end to end: log lines letter by letter, keys, headers, refusals, --test. The store is read back by curl.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
day=$(date +%F)
random_file file1.png 1258291
random_file file2.mp4 300000
printf hello >file3.txt
B=$R2_BUCKET

upload() { r2 upload --prefix "$P" "$@"; }
ready="[R2] TS - INFO - R2 client ready: $B"
log_of() { # NAME SIZE KEY: the lines of one upload that went well
	printf '[R2] TS - INFO - Uploading: %s (%s MB)\n[R2] TS - INFO - Uploaded: s3://%s/%s' "$1" "$2" "$B" "$3"
}
# Every line of standard output is a JSON object; prints how many.
json_lines() { python3 -c 'import json, sys
rows = [json.loads(l) for l in sys.stdin]
assert all(isinstance(r, dict) for r in rows)
print(len(rows))' <"$T/out"; }

# The log and the keys of the script that r2 replaces.
t "one file: the log" 0 '' "$ready
$(log_of file1.png 1.20 "$P/$day/file1.png")
[R2] TS - INFO - Complete: 1/1" upload file1.png
ok "… and the object" s3_is "$P/$day/file1.png" file1.png
ok "… and its type" s3_has_header "$P/$day/file1.png" 'content-type: image/png'
t "three files: the log" 0 '' "$ready
$(log_of file1.png 1.20 "$P/three/$day/file1.png")
$(log_of file2.mp4 0.29 "$P/three/$day/file2.mp4")
$(log_of file3.txt 0.00 "$P/three/$day/file3.txt")
[R2] TS - INFO - Complete: 3/3" r2 upload --prefix "$P/three" file1.png file2.mp4 file3.txt
ok "… file2.mp4" s3_is "$P/three/$day/file2.mp4" file2.mp4
ok "… its type" s3_has_header "$P/three/$day/file2.mp4" 'content-type: video/mp4'
ok "… file3.txt" s3_is "$P/three/$day/file3.txt" file3.txt
t "a missing file among them" 1 '' "$ready
[R2] TS - ERROR - File not found: nope.png
$(log_of file3.txt 0.00 "$P/missing/$day/file3.txt")
[R2] TS - INFO - Complete: 1/2" r2 upload --prefix "$P/missing" nope.png file3.txt
t "-q: errors only" 1 '' '[R2] TS - ERROR - File not found: nope.png' upload -q nope.png file3.txt
t "a FILE that is named twice is no other file" 0 '' "…WARNING - file1.png is named more than once…Complete: 2/2" \
	r2 upload --prefix "$P/again" --no-date file1.png file3.txt file1.png file1.png
t "no FILE: the help, status 1" 1 '…--prefix…' … r2 upload

# Where it goes.
t "the default prefix is outputs" 0 '' "…Uploaded: s3://$B/outputs/$day/$P.txt…" sh -c "cp file3.txt $P.txt; '$R2' upload $P.txt"
ok "… and the object" s3_is "outputs/$day/$P.txt" file3.txt
t "R2_PREFIX" 0 '' "…Uploaded: s3://$B/$P/env/$day/file3.txt…" env R2_PREFIX="$P/env" "$R2" upload file3.txt
t "--prefix wins over R2_PREFIX" 0 '' "…Uploaded: s3://$B/$P/$day/file3.txt…" env R2_PREFIX=no "$R2" upload --prefix "$P" file3.txt
t "a prefix with slashes around" 0 '' "…Uploaded: s3://$B/$P/s/$day/file3.txt…" r2 upload --prefix "$P/s/" file3.txt
cp file3.txt "$P.txt"
t "an empty prefix" 0 '' "…Uploaded: s3://$B/$day/$P.txt…" r2 upload --prefix '' "$P.txt"
ok "… and the object" s3_is "$day/$P.txt" file3.txt
t "an empty prefix without date" 0 '' "…Uploaded: s3://$B/$P.txt…" r2 upload --prefix '' --no-date "$P.txt"
t "--no-date" 0 '' "…Uploaded: s3://$B/$P/nd/file3.txt…" r2 upload --prefix "$P/nd" --no-date file3.txt
t "--date" 0 '' "…Uploaded: s3://$B/$P/2024-02-29/file3.txt…" upload --date 2024-02-29 file3.txt
touch -d '2023-07-01 12:00' file3.txt
t "--date mtime" 0 '' "…Uploaded: s3://$B/$P/2023-07-01/file3.txt…" upload --date mtime file3.txt
t "the date folder is local" 0 '' "…/$(TZ=UTC-14 date +%F)/file3.txt…" env TZ=UTC-14 "$R2" upload --prefix "$P" file3.txt
local_times() {
	local hour said
	hour=$(TZ=UTC-14 date '+%F %H')
	said=$(TZ=UTC-14 r2 upload --prefix "$P" file3.txt 2>&1)
	like "$said" "[R2] $hour:…" || like "$said" "[R2] $(TZ=UTC-14 date '+%F %H'):…"
}
ok "… and so are the log's times" local_times
t "--key" 0 '' "…Uploaded: s3://$B/$P/exactly/this…" r2 upload --key "$P/exactly/this" file3.txt
ok "… and the object" s3_is "$P/exactly/this" file3.txt
cp file1.png page.html
t "the type comes from the file's name" 0 '' … r2 upload --key "$P/typed.bin" page.html
is "… not from the key's" "$(r2 get --stat "$P/typed.bin" | grep -c 'text/html')" 1
t "--prefix is no address" 2 '' '…begins with s3://…--bucket…' r2 upload --prefix s3://other/x file3.txt
t "… however it is written" 2 '' '…begins with r2://…--bucket…' env R2_PREFIX=r2://other/x "$R2" upload file3.txt
t "… nor has it a place among the files, as with aws s3 cp: nothing is sent" 2 '' 'r2 upload: s3://other/x/: where to put a file is said by --key or --prefix' r2 upload file3.txt s3://other/x/
t "a length that is not known: refused" 1 '' '…Upload failed: /proc/cpuinfo: …standard input…' upload /proc/cpuinfo
t "… and one that is larger than the content" 1 '' '…Uploading: …Upload failed: /sys/devices/system/cpu/possible: …through a pipe…' \
	upload /sys/devices/system/cpu/possible
is '… once' "$(grep -c WARNING "$T/err")" 0
t "--key s3://BUCKET/KEY" 0 '' "…Uploaded: s3://$R2_BUCKET2/$P/other…" r2 upload --key "s3://$R2_BUCKET2/$P/other" file3.txt
S3_BUCKET=$R2_BUCKET2 ok "… in that bucket" s3_is "$P/other" file3.txt
t "--key r2://BUCKET/KEY" 0 '' "…Uploaded: s3://$R2_BUCKET2/$P/r2…" r2 upload --key "r2://$R2_BUCKET2/$P/r2" file3.txt
t "--bucket" 0 '' "…client ready: $R2_BUCKET2…Uploaded: s3://$R2_BUCKET2/$P/$day/file3.txt…" upload --bucket "$R2_BUCKET2" file3.txt
t "a path: only the last name counts" 0 '' "…Uploaded: s3://$B/$P/$day/deep.txt…" sh -c "mkdir -p a/b; cp file3.txt a/b/deep.txt; '$R2' upload --prefix '$P' ./a/b/deep.txt"

# Names that encoders get wrong. moto has no route to a name with a newline.
newline=$'new\nline.txt'
! server_is moto || newline=newline.txt
for name in 'with space.txt' 'plus+plus.txt' '100%.txt' '%41.txt' 'a&b=c?d#e.txt' "it's.txt" 'star*(~)!.txt' 'naïve-日本語-😀.txt' \
	"$newline" $'tab\ttab.txt' 'semi;colon,comma@at$.txt' '[brackets]{}|^`"<>.txt' '\back.txt' '-dash.txt' '.dot' 'trailing '; do
	printf '%s' "$name" >"./$name"
	quoted=$(printf %q "$name")
	t "name $quoted" 0 '' '…Complete: 1/1' upload -- "$name"
	ok "name $quoted: the object" s3_is "$P/$day/$name" "./$name"
done
ok "a newline in a name is one log line" grep -q 'Uploading: new.*line.txt' <(upload "$newline" 2>&1)

# Sizes around the buffers' limits.
for size in 0 1 16383 16384 16385 65536 2569011; do
	random_file sized.bin $size
	t "$size bytes" 0 '' … upload --no-date sized.bin
	ok "$size bytes: the object" s3_is "$P/sized.bin" sized.bin
done

# What is already there.
printf old >same.png
printf new >new.png
cond() { r2 upload --key "$P/cond/same.png" --retries 2 "$@"; }
t "--if-exists overwrite is the default" 0 '' '…Complete: 1/1' cond same.png
t "--if-exists overwrite" 0 '' '…Complete: 1/1' cond --if-exists overwrite same.png
t "--if-exists skip" 0 '' '…Complete: 1/1' cond --if-exists skip new.png
ok "… the old one stays" s3_is "$P/cond/same.png" same.png
t "--if-exists fail" 1 '' '…ERROR…same.png…Complete: 0/1' cond --if-exists fail new.png
ok "… the old one stays" s3_is "$P/cond/same.png" same.png
t "--if-exists rename" 0 '' "…Uploaded: s3://$B/$P/cond/same-….png…Complete: 1/1" cond --if-exists rename new.png
ok "… the old one stays" s3_is "$P/cond/same.png" same.png
is "… there are two" "$(s3_count "$P/cond/")" 2
ok "… the other is the new one" s3_is "$(s3_keys "$P/cond/same-")" new.png
t "--if-exists rename again: already there counts as done" 0 '' '…Complete: 1/1' cond --if-exists rename new.png
cp new.png moves.png
t "… and --move removes it" 0 '' '…Complete: 1/1' r2 upload --move --if-exists rename --key "$P/cond/same.png" moves.png
ok "… which was there, verified" [ ! -e moves.png ]
t "--if-exists rename with the old content: also done" 0 '' '…Complete: 1/1' cond --if-exists rename same.png
is "… still two" "$(s3_count "$P/cond/")" 2
t "--if-exists overwrite replaces" 0 '' … cond --if-exists overwrite new.png
ok "… by the new one" s3_is "$P/cond/same.png" new.png
for how in skip rename fail; do
	t "--if-exists $how with nothing there" 0 '' "…Uploaded: s3://$B/$P/free/$how.png…" r2 upload --key "$P/free/$how.png" --if-exists $how new.png
	ok "… and the object" s3_is "$P/free/$how.png" new.png
done

# Headers.
t "headers" 0 '' … upload --no-date --content-type 'text/x-own; charset=utf-8' --cache-control 'max-age=60, private' \
	--meta colour=blue --meta Camera='X 100' --storage-class STANDARD file3.txt
ok "--content-type" s3_has_header "$P/file3.txt" 'content-type: text/x-own; charset=utf-8'
ok "--cache-control" s3_has_header "$P/file3.txt" 'cache-control: max-age=60, private'
ok "--meta" s3_has_header "$P/file3.txt" 'x-amz-meta-colour: blue'
ok "--meta again" s3_has_header "$P/file3.txt" 'x-amz-meta-camera: X 100'
many=() long=
! server_is r2emu || long=$(printf 'x%.0s' {1..60})   # others take 2 KiB in all
for i in {01..32}; do many+=(--meta "$i-$long=$long"); done
t "32 --meta" 0 '' '…Complete: 1/1' upload --no-date "${many[@]}" file3.txt
is "… all of them" "$(s3_head "$P/file3.txt" | grep -ciE '^x-amz-meta-[0-9]+-x*:')" 32
t "… not 33" 2 '' '…--meta: more than 32…' upload "${many[@]}" --meta a=b file3.txt
printf x >noext
t "no extension" 0 '' … upload --no-date noext
ok "… is octet-stream" s3_has_header "$P/noext" 'content-type: application/octet-stream'
printf x >SHOUT.PNG
t "an extension in capitals" 0 '' … upload --no-date SHOUT.PNG
ok "… counts" s3_has_header "$P/SHOUT.PNG" 'content-type: image/png'

# --move, -n, standard input, -v, --json.
cp file1.png moved.png
t "--move" 0 '' '…Uploaded: …Complete: 1/1' upload --move --no-date moved.png
ok "… removes the file" [ ! -e moved.png ]
ok "… that is in the store" s3_is "$P/moved.png" file1.png
cp file1.png stays.png
t "--move after a failure" 1 '' '…Complete: 0/1' r2 upload --move --bucket no-such-bucket --retries 1 stays.png
ok "… keeps the file" cmp stays.png file1.png
t "--move after a refusal" 1 '' … cond --move --if-exists fail stays.png
ok "… keeps the file" cmp stays.png file1.png
t "-n --move" 0 '' "…stays.png…s3://$B/$P/dry/$day/stays.png…" r2 upload -n --move --prefix "$P/dry" stays.png
ok "… keeps the file" cmp stays.png file1.png
is "… and sends nothing" "$(s3_count "$P/dry")" 0
t "-n asks no server" 0 '' "…s3://$B/$P/$day/file1.png…" upload -n --endpoint https://127.0.0.1:1 file1.png
t "-n makes no directory for journals" 0 '' '…Would upload…' env XDG_STATE_HOME="$T/none" "$R2" upload -n --prefix "$P" file1.png
ok "… not even that of state" [ ! -e "$T/none" ]
t "-n with a missing file" 1 '' '…File not found: nope.png…' upload -n nope.png

# A key that cannot be: which file it would be of.
long=$(printf %0251d 0)
mkdir -p "odd/$long/$long/$long"
cp file3.txt "odd/$long/$long/$long/$long.txt"
t "-r: a key that would be too long" 1 '' "…ERROR - Upload failed: odd/$long/$long/$long/$long.txt: the key would be longer…Complete: 0/1" upload -r -n odd
cp file3.txt "$long.txt"
t "… of a FILE" 1 '' "…ERROR - Upload failed: $long.txt: the key would be longer…Complete: 0/1" r2 upload -n --prefix "$(printf %0800d 0)" "$long.txt"

from_stdin() { r2 upload --key "$P/$1" "${@:3}" - <"$2"; }
from_pipe() { head -c 2000000 file1.png | r2 upload --key "$P/piped.png" -; }
t "standard input" 0 '' "…Uploaded: s3://$B/$P/stdin.png…Complete: 1/1" from_stdin stdin.png file1.png
ok "… and the object" s3_is "$P/stdin.png" file1.png
ok "… its type comes from the key" s3_has_header "$P/stdin.png" 'content-type: image/png'
t "a pipe" 0 '' "…Uploaded: s3://$B/$P/piped.png…" from_pipe
ok "… and the object" s3_is "$P/piped.png" file1.png
t "empty standard input" 0 '' '…Complete: 1/1' from_stdin empty /dev/null
ok "… and the object" s3_is "$P/empty" /dev/null
truncate -s 6T huge
t "a file that no object can hold" 1 '' '…huge: 6597069766656 bytes: …split it…' upload -n huge
t "… as standard input" 1 '' '…-: 6597069766656 bytes: …split it…' from_stdin huge huge -n
rm huge

t "-v: method, key, status, time" 0 '' "…PUT …$P/v.png…200…ms…" r2 upload -v --key "$P/v.png" file3.txt
t "--json" 0 "…$P/$day/file1.png…$P/$day/file3.txt…" … upload --json file1.png file3.txt
is "… an object for each file, nothing else" "$(json_lines)" 2
t "--json with a failure" 1 … … upload --json nope.png file3.txt
is "… which has its line too" "$(json_lines)" 2
t "--json with names to be escaped" 0 … … upload --json "$newline" '[brackets]{}|^`"<>.txt' 'naïve-日本語-😀.txt'
is "… is JSON" "$(json_lines)" 3

printf -v long '%20000s' x
t "--json with a name of 20,000 bytes" 1 … … upload --json "$long"
is "… is JSON, too" "$(json_lines)" 1
deep=$(printf '\001%.0s' {1..250})
deep=$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep
mkdir -p "$deep"
echo x >"$deep/deep"
t "--json with a long path of control characters" 0 … … upload --json "$deep/deep"
is "… is JSON, too" "$(json_lines)" 1

# A file that changes while it is sent: what is stored under status 0 is one of its states, never a mixture.
python3 - changing.bin <<'END' &
import os, sys, time
fd = os.open(sys.argv[1] + ".new", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"A" * 4000000)
os.rename(sys.argv[1] + ".new", sys.argv[1])
n = 0
while os.getppid() != 1:
    n += 1
    os.pwrite(fd, bytes([65 + n % 26]) * 4000000, 0)
    time.sleep(n % 7 * 0.004)
END
writer=$!
until [ -e changing.bin ] || ! kill -0 $writer; do sleep 0.05; done
# One byte's value, as often as it should be.
one_state() { [ "$(wc -c <"$1")" = 4000000 ] && [ "$(fold -b -w 100000 "$1" | sort -u | wc -l)" = 1 ]; }
send_changing() { r2 upload --key "$P/changing-$1" --retries 1 --timeout 1 changing.bin 2>"changing-$1.err"; echo $? >"changing-$1.rc"; }
senders=() mixtures=0 stored=0 refused=0 other=0
for round in {1..20}; do
	send_changing "$round" &
	senders+=($!)
	[ $((round % 4)) != 0 ] || { wait "${senders[@]}"; senders=(); }
done
for round in {1..20}; do
	case $(cat "changing-$round.rc") in
	0) stored=$((stored + 1)); s3_get "$P/changing-$round" >got; one_state got || mixtures=$((mixtures + 1)) ;;
	1) refused=$((refused + 1)); ! grep -q 'Uploaded:' "changing-$round.err" || other=$((other + 1)) ;;
	*) other=$((other + 1)) ;;
	esac
done
kill $writer
wait $writer 2>/dev/null
is "a file that is rewritten all the time ($stored stored whole, $refused refused): no mixtures" "$mixtures" 0
is "… and what is refused is not said to be uploaded" "$other" 0

python3 - growing.bin <<'END' &
import os, sys, time
f = open(sys.argv[1], "wb", buffering=0)
n = 0
while os.getppid() != 1:
    f.write(b"%09d\n" % n * (100000 if n == 0 else 5))
    n += 1
    time.sleep(0.0002)
END
writer=$!
until [ -s growing.bin ] || ! kill -0 $writer; do sleep 0.05; done
wrong=0
for round in {1..5}; do
	R2_LIMIT_S=60 run r2 upload --key "$P/growing-$round" --retries 1 --timeout 1 growing.bin
	case $rc in
	0) s3_get "$P/growing-$round" >got; cmp -s -n "$(wc -c <got)" got growing.bin || wrong=$((wrong + 1)) ;;
	1) grep -q 'ERROR.*growing.bin' "$T/err" || wrong=$((wrong + 1)) ;;
	*) wrong=$((wrong + 1)) ;;
	esac
done
kill $writer
wait $writer 2>/dev/null
is "a file that grows all the time is stored as it was, or said to have changed" "$wrong" 0

# The doctor.
probe() { r2 upload --test --retries 1 "$@"; }
failed='[R2] TS - ERROR - Connection failed: '
t "--test" 0 … "$ready
[R2] TS - INFO - Connection OK: $B" probe
t "--test says whose certificate the server has, and for how long" 0 '…
ok   TLS            TLS 1.2, ECDHE_…, certificate by localhost, … days left
…' … probe
t "--test with -v says what it did" 0 … '…GET…200…Connection OK…' probe -v
# moto believes any secret.
if ! server_is moto; then
	t "--test, wrong secret" 1 … "…${failed}…SignatureDoesNotMatch…R2_SECRET_ACCESS_KEY…" env R2_SECRET_ACCESS_KEY=wrong "$R2" upload --test
	why='InvalidAccessKeyId…R2_ACCESS_KEY_ID'
	! server_is versitygw || why='No user exists'
	! server_is r2emu || why='access key has length 5…R2_ACCESS_KEY_ID'
	t "--test, wrong key id" 1 … "…${failed}…$why…" env R2_ACCESS_KEY_ID=wrong "$R2" upload --test
fi
t "--test, no such bucket" 1 … "…${failed}…NoSuchBucket…no-such-bucket…" probe --bucket no-such-bucket
t "--test, a name that does not resolve" 1 … "…${failed}…nope.invalid…" probe --endpoint https://nope.invalid
# Kept, so that no other test's server gets it; but nobody listens there.
beside closed.port python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(600)'
read -r closed <closed.port
t "--test, nobody listens" 1 … "…${failed}…127.0.0.1…$closed…" probe --endpoint "https://127.0.0.1:$closed"
# Whoever lets in a connection and closes it, or says nothing.
cat >mute.py <<'EOF'
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
kept = []
while True:
    c = server.accept()[0]
    if sys.argv[1] == "closes":
        c.recv(1000)
        c.close()
    kept.append(c)
EOF
for how in closes waits; do
	beside $how.port python3 mute.py $how
	read -r mute <$how.port
	R2_LIMIT_S=20 t "--test, a server that $how in the handshake" 1 '…FAIL TLS' "…${failed}TLS: …" \
		probe --timeout 2 --retries 5 --endpoint "https://127.0.0.1:$mute"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=other -keyout other.key -out other.pem 2>/dev/null
t "--test, another CA" 1 … "…${failed}…--ca-file…" probe --ca-file "$T/other.pem"
t "--test, the built-in roots" 1 … "…${failed}…--ca-file…" env -u R2_CA_FILE "$R2" upload --test --retries 1
t "--test, a name the certificate has not" 1 … "…${failed}…127.0.0.2…" probe --endpoint "https://127.0.0.2:${R2_ENDPOINT##*:}"
if [ -n "$R2_HTTP_ENDPOINT" ]; then
	t "--test, https to a port that speaks http" 1 … "…${failed}…TLS…" probe --endpoint "https${R2_HTTP_ENDPOINT#http}"
	t "--test, http to loopback" 0 … '…Connection OK…' probe --endpoint "$R2_HTTP_ENDPOINT"
	t "upload by http, which is signed whole" 0 … '…Complete: 1/1' r2 upload --endpoint "$R2_HTTP_ENDPOINT" --key "$P/http.png" file1.png
	ok "… and the object" s3_is "$P/http.png" file1.png
fi
# What the keys may do: badserver.py would let anybody; the store's own words are tests/badserver.sh's business.
t "--test --write" 0 "…
ok   put
ok   condition
ok   multipart
ok   delete" "…Connection OK: $B" probe --write
is "… leaves nothing behind" "$(s3_keys "${R2_PREFIX:-outputs}/.r2-probe")" ''
t "--date with --no-date" 2 '' '…one of them' r2 upload --no-date --date 2025-12-29 -n file1.png
t "--write alone" 2 '' '…--write goes with --test…' r2 upload --write file1.png
t "--test uploads nothing" 0 … … r2 upload --test --prefix "$P/tested" file1.png
is "… nothing at all" "$(s3_count "$P/tested")" 0
finish
