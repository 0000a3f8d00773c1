#!/bin/bash
# r2 get end to end: where files go, verification, resuming, trees, patterns, and servers that lie.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
B=$R2_BUCKET
MIB=1048576
log='[R2] TS - INFO -'
random_file small.bin 1258291
random_file big.bin $((30 * MIB + 12345))
printf hello >hello.txt
: >empty.file
s3_put "$P/small.bin" small.bin
s3_put "$P/big.bin" big.bin
s3_put "$P/hello.txt" hello.txt
s3_put "$P/empty" empty.file
no_temp() { ! find "${1:-.}" -name '.*.r2-*' | grep .; }
got() { r2 get "$@"; }
beside proxy.port python3 "$TESTS/faultproxy.py" "${R2_ENDPOINT#https://}"
read -r port control <proxy.port
via=https://127.0.0.1:$port
tell() { local fd reply; exec {fd}<>"/dev/tcp/127.0.0.1/$control"; echo "$*" >&"$fd"; read -r reply <&"$fd"; exec {fd}>&-; echo "$reply"; }
# sent_at SIGNAL BYTES OPTION…, in the background: get through the proxy, which sends it the signal once so many bytes have come
sent_at() { tell signal "$1" $BASHPID down "$2" >/dev/null; exec "$R2" get --endpoint "$via" "${@:3}"; }

# Where it goes.
mkdir here && cd here || exit 1
t "one object: the log" 0 '' "$log Downloading: small.bin (1.20 MB)
$log Downloaded: small.bin
$log Complete: 1/1" got "$P/small.bin"
ok "… and the file" cmp small.bin ../small.bin
is "… its time is the object's" "$(date -u -r small.bin '+%a, %d %b %Y %T GMT')" "$(s3_head "$P/small.bin" | sed -n 's/^[Ll]ast-[Mm]odified: //p')"
is "… its mode is the umask's" "$(stat -c %a small.bin)" "$(printf %o $((0666 & ~$(umask))))"
t "to a name" 0 '' "…Downloaded: other.bin…" got "$P/small.bin" other.bin
ok "… and the file" cmp other.bin ../small.bin
mkdir dir
t "to a directory" 0 '' "…Downloaded: dir/small.bin…" got "$P/small.bin" dir
ok "… and the file" cmp dir/small.bin ../small.bin
t "to a directory that is not there, ending in /" 0 '' "…Downloaded: new/dir/small.bin…" got "$P/small.bin" new/dir/
ok "… and the file" cmp new/dir/small.bin ../small.bin
t "to a name below directories that are not there" 0 '' "…Downloaded: far/away/x.bin…" got "$P/small.bin" far/away/x.bin
ok "… and the file" cmp far/away/x.bin ../small.bin
t "to an absolute name" 0 '' "…Downloaded: $T/here/abs.bin…" got "$P/small.bin" "$T/here/abs.bin"
ok "… and the file" cmp abs.bin ../small.bin
to_stdout() { # NAME FILE KEY [OPTION…]: standard output is FILE, and nothing is said
	r2 get "${@:4}" "$3" - >"$T/stdout" 2>"$T/err"
	is "$1: status" $? 0
	ok "… the bytes" cmp "$T/stdout" "$2"
	is "… and no word" "$(cat "$T/err")" ''
}
to_stdout "standard output" ../small.bin "$P/small.bin"
t "/dev/null is not replaced" 0 '' '' got "$P/small.bin" /dev/null
ok "… it is still what it was" [ -c /dev/null ]
t "/dev/stdout that is a file" 0 … '' got "$P/hello.txt" /dev/stdout
is "… has the bytes" "$(cat "$T/out")" hello
mkfifo fifo
timeout 120 cat fifo >from-fifo &
t "to a FIFO" 0 '' '' got "$P/small.bin" fifo
wait $!
ok "… through it" cmp from-fifo ../small.bin
ln -s target.bin link.bin && printf x >target.bin
t "a symbolic link as DEST is followed" 0 '' '…Complete: 1/1' got "$P/small.bin" link.bin
ok "… it is one still" [ -L link.bin ]
ok "… to the file" cmp target.bin ../small.bin
ln -s loop1 loop2 && ln -s loop2 loop1
t "… but not round in circles" 1 '' '…symbolic link…' got "$P/small.bin" loop1
t "an empty object" 0 '' '…Complete: 1/1' got "$P/empty"
ok "… is an empty file" cmp empty /dev/null
t "s3://BUCKET/KEY" 0 '' '…Complete: 1/1' got --bucket no-such-bucket "s3://$B/$P/hello.txt" url.txt
is "… and the file" "$(cat url.txt)" hello
t "-q: nothing" 0 '' '' got -q "$P/hello.txt" quiet.txt
t "no such bucket" 1 '' "…ERROR - Download failed: $P/a: NoSuchBucket…Complete: 0/1" got --bucket no-such-bucket "$P/a"
t "no such bucket, to a directory that is not there" 1 '' "…ERROR - Download failed: $P/a: NoSuchBucket…Complete: 0/1" got --bucket no-such-bucket "$P/a" not/there/x
t "no such bucket, to standard output" 1 '' "…NoSuchBucket…" got --bucket no-such-bucket "$P/a" -
t "no such bucket, --stat" 1 '' "…NoSuchBucket…" got --bucket no-such-bucket --stat "$P/a"
t "no such key" 1 '' "…ERROR - Download failed: $P/nope: NoSuchKey…Complete: 0/1" got "$P/nope"
ok "… leaves nothing" [ ! -e nope ]
t "no such key, to a directory that is not there" 1 '' "…ERROR - Download failed: $P/nope: NoSuchKey…Complete: 0/1" got "$P/nope" not/there/x
t "no such key into a directory that is not there" 1 '{"key":"…","file":"absent/sub/nope","status":"failed",…}' … got --json "$P/nope" absent/sub/
ok "… which is not made" [ ! -e absent ]
t "no such key that ends in a slash" 1 '{"key":"…","file":"dir/…","status":"failed",…NoSuchKey…}' '…; -r gets what is below it
…' got --json "$P/slash/" dir
ok "… leave no directory" [ ! -e not -a ! -e dir/slash ]
t "no such key that ends in a slash, --stat" 1 '' '…; -r gets what is below it' got --stat "$P/nothing/"
printf old >there.txt
t "no such key, and a file of the name" 1 '' … got "$P/nope" there.txt
is "… which stays" "$(cat there.txt)" old
t "DEST below a file" 1 '' '…no directory…' got "$P/hello.txt" there.txt/x
t "DEST in an unwritable directory" 1 '' '…ERROR…' got "$P/hello.txt" /proc/x
longest=$(printf 'n%.0s' {1..255})
t "a name of 255 bytes" 0 '' '…Complete: 1/1' got "$P/big.bin" "$longest"
ok "… and the file" cmp "$longest" ../big.bin
t "a key that no store has" 1 '{"key":"nnn…","file":"nnn…","status":"failed",…"error":"too long for a key"}' … got --json "$longest$longest$longest$longest$longest"
t "a name of 256 bytes" 1 '' '…255…' got "$P/hello.txt" "${longest}n"
for name in 'with space' $'new\nline' $'\e[31mred' '-dash' "it's" 'a%41b' 'ünï-日本'; do
	s3_put "$P/names/$name" ../hello.txt
	t "name $(printf %q "$name")" 0 '' '…Complete: 1/1' got "$P/names/$name" ./
	is "… and the file" "$(cat "./$name")" hello
done
ok "… control characters are escaped in the log" sh -c "'$R2' get '$P/names/'\$(printf '\\033')'[31mred' ./x 2>&1 | grep -q 'Downloading: .x1b'"

# What is there already.
printf old >exists.txt
t "--if-exists skip" 0 '' '…Skipped: exists.txt (there already)…Complete: 1/1' got --if-exists skip "$P/hello.txt" exists.txt
is "… keeps it" "$(cat exists.txt)" old
t "--if-exists fail" 1 '' '…ERROR…exists.txt: is there already…Complete: 0/1' got --if-exists fail "$P/hello.txt" exists.txt
is "… keeps it" "$(cat exists.txt)" old
chmod 640 exists.txt
t "--if-exists overwrite" 0 '' '…Complete: 1/1' got --if-exists overwrite "$P/hello.txt" exists.txt
is "… for those who might read it before" "$(stat -c %a exists.txt)" 640
is "… replaces it" "$(cat exists.txt)" hello
for how in skip fail; do
	t "--if-exists $how with nothing there" 0 '' '…Downloaded:…' got --if-exists $how "$P/hello.txt" $how.txt
	is "… and the file" "$(cat $how.txt)" hello
done
# Somebody makes the file while it is being fetched.
head -c 3000000 /dev/urandom >racing
s3_put "$P/racing" racing
for how in skip fail; do
	tell reset >/dev/null
	sent_at STOP 1000000 --json --if-exists $how "$P/racing" race.bin >race.out 2>&1 &
	until grep -q '^State:.T' /proc/$!/status || ! kill -0 $!; do sleep 0.02; done
	printf mine >race.bin
	kill -CONT $!
	wait $!
	is "--if-exists $how: made meanwhile" "$? $(cat race.bin) $(grep -c "$([ $how = skip ] && echo 'Skipped: race.bin' || echo 'ERROR.*race.bin: is there already')" race.out)" \
		"$([ $how = skip ] && echo 0 || echo 1) mine 1"
	is "… nothing is proved of that one" "$(grep -c '"verified":null' race.out)" 1
	rm race.bin
done
mkdir taken.txt hello.txt
t "a directory of the name" 1 '' '…hello.txt: there is a directory of this name…Complete: 0/1' got "$P/hello.txt"
mkdir -p dest/hello.txt
t "… is named with DEST" 1 '' "…Download failed: $P/hello.txt: dest/hello.txt: there is a directory of this name…" got "$P/hello.txt" dest
"$R2" upload -q --key "$P/marked/" exists.txt
t "a folder's own object with content" 1 '' "…Download failed: $P/marked/: dest/: has an empty segment, so it cannot be a file here: …" got -r "$P/marked/" dest
t "a directory as the name" 0 '' '…Downloaded: taken.txt/hello.txt…' got "$P/hello.txt" taken.txt
ok "no temporary file is left" no_temp
cd ..

# Ranges, parts, verification.
check() { # NAME KEY FILE PROOF [OPTION…]
	t "$1" 0 … '' got -q --json "${@:5}" "$P/$2" "./$2.got"
	is "… verified: $4" "$(python3 -c 'import json, sys; x = json.load(sys.stdin); print(x["verified"], x["status"], x["size"])' <"$T/out")" \
		"$4 downloaded $(stat -c %s "$3")"
	ok "… the file" cmp "$2.got" "$3"
	rm -f "$2.got"
}
check "small, one request" small.bin small.bin md5
check "30 MiB in ranges" big.bin big.bin md5
check "30 MiB in ranges, one worker" big.bin big.bin md5 -j 1
check "30 MiB in 3 workers, 5 MiB" big.bin big.bin md5 -j 3 --part-size 5M
check "30 MiB in one range" big.bin big.bin md5 --part-size 64M
check "an empty object" empty empty.file md5
parts() { "$R2" upload -q --multipart-threshold 1 --part-size "$1" --key "$P/$2" "$3"; }
parts 5M parts.bin big.bin
check "seven parts" parts.bin big.bin parts-md5
check "… by one worker" parts.bin big.bin parts-md5 -j 1
check "… in ranges of several parts" parts.bin big.bin parts-md5 --part-size 12M
parts 20M few.bin big.bin
check "two parts, which are larger than a range" few.bin big.bin parts-md5
check "… by one worker" few.bin big.bin parts-md5 -j 1
parts 50M one.bin small.bin
check "one part" one.bin small.bin parts-md5
to_stdout "standard output, parts" big.bin "$P/parts.bin"
to_stdout "… of one request after the other" big.bin "$P/parts.bin" -j 1
to_stdout "… of two at once" big.bin "$P/big.bin" -j 2

# Several at once are hashed beside each other, with parts and without, in one request and in several.
mkdir many
for n in {1..14}; do head -c $((n * n * 20011)) big.bin >"many/$n"; done
cp big.bin many/whole
"$R2" upload -q -r --no-date --prefix "$P/many" many
parts 5M many/parts big.bin
cp big.bin many/parts
for j in 8 3 1; do
	t "-r -j $j of larger ones" 0 … '' got -q --json -j $j -r "$P/many" many.got
	is "… each verified" "$(python3 -c 'import json, sys; print(*sorted(json.loads(x)["verified"] for x in sys.stdin))' <"$T/out" | tr ' ' '\n' | uniq -c | tr -s ' \n' ' ')" \
		" 15 md5 1 parts-md5 "
	ok "… the files" diff -r many many.got
	rm -r many.got
done

# Trees and patterns.
mkdir -p tree/sub/deep
for f in a.png b.jpg sub/c.png sub/deep/d.txt 'sub/e f.png'; do printf %s "$f" >"tree/$f"; s3_put "$P/t/$f" "tree/$f"; done
s3_put "$P/t2" hello.txt
"$R2" upload -q --key "$P/t/sub/empty/" empty.file
mkdir tree/sub/empty
same_tree() { diff -r tree "$1"; }
t "-r" 0 '' "…Downloaded: copy/sub/deep/d.txt…Complete: 6/6" got -j 1 -r "$P/t" copy
ok "… the tree" same_tree copy
t "-r again: nothing is fetched" 0 '' "$log Complete: 6/6" got -r "$P/t" copy
t "… says -v" 0 '' "…Skipped: copy/a.png (there already)…" got -v -r "$P/t/" copy
rm copy/sub/c.png
printf X >copy/a.png
printf 'b.jpG' >copy/b.jpg && touch -d 2001-01-01 copy/b.jpg
t "-r after changes: what is missing or differs" 0 '' … got -j 1 -r "$P/t" copy
is "… and only that" "$(sed -n 's/.*Downloaded: //p' "$T/err")" 'copy/a.png
copy/b.jpg
copy/sub/c.png'
ok "… the tree" same_tree copy
find copy -type f -exec touch -d 2001-01-01 {} +
t "-r after other times: the content decides" 0 '' "$log Complete: 6/6" got -r "$P/t" copy
is "… and the times are the objects' again" "$(date -u -r copy/a.png '+%a, %d %b %Y %T GMT')" "$(s3_head "$P/t/a.png" | sed -n 's/^[Ll]ast-[Mm]odified: //p')"
t "-r --if-exists fail" 1 '' "…is there already…Complete: 1/6" got -r --if-exists fail "$P/t" copy
t "-r s3://" 0 '' "…Complete: 6/6" got -r "s3://$B/$P/t/" copy-url
t "-r into a symbolic link to a directory" 0 '' "…Complete: 6/6" sh -c "mkdir real; ln -s real ln; '$R2' get -r '$P/t' ln"
ok "… follows it" same_tree real
t "-r into here" 0 '' "…Downloaded: sub/c.png…Complete: 6/6" sh -c "mkdir cwd; cd cwd; '$R2' get -r '$P/t'"
t "-r of an object" 1 '' "…nothing is below $P/t2/…" got -r "$P/t2" x
ok "… makes no directory" [ ! -e x ]
s3 PUT "$P/place/" -f --data-binary @hello.txt   # -T would add the name
s3_put "$P/place/x" hello.txt
for key in -r\ "$P/place" "$P/place/*"; do
	# shellcheck disable=SC2086
	t "$key: content at the key of the directory itself is not left out in silence" 1 '' "…Download failed: $P/place/: …: give that one object's key and a file name…Complete: 1/2" \
		got $key place
done
t "… its key and a file name" 0 '' "…Downloaded: place/itself…" got "$P/place/" place/itself
t "-r of nothing" 1 '' "…nothing is below…" got -r "$P/nothing" x
E=empty-$(date +%s)-$$
S3_BUCKET=$E s3 PUT '?' -f -d ''
t "-r of an empty bucket" 1 '' "…nothing is below the bucket's root: …" got -r "s3://$E/" x
S3_BUCKET=$E s3 DELETE '?' -f
t "-r, DEST is a file" 1 '' "…hello.txt: is no directory…" got -r "$P/t" hello.txt
mkdir outside && mkdir linked && ln -s ../outside linked/sub
t "-r with a symbolic link on the way" 1 '' "…sub/c.png…symbolic link…Complete: 2/6" got -r "$P/t" linked
is "… writes nothing through it" "$(ls outside)" ''
mkdir file-in-way && printf x >file-in-way/sub
t "-r with a file on the way" 1 '' "…sub/c.png…a file…Complete: 2/6" got -r "$P/t" file-in-way
mkdir link-in-place && ln -s ../hello.txt link-in-place/a.png
t "-r with a symbolic link in a file's place" 0 '' "…Complete: 6/6" got -r "$P/t" link-in-place
is "… replaces the link, not its target" "$(cat hello.txt; [ -L link-in-place/a.png ] || echo file)" 'hellofile'
t "a pattern" 0 '' "…Complete: 1/1" got "$P/t/*.jpg" pat
ok "… the file" cmp pat/b.jpg tree/b.jpg
t "* crosses slashes" 0 '' "…Complete: 3/3" got "$P/t/*.png" pat
ok "… with directories" cmp 'pat/sub/e f.png' 'tree/sub/e f.png'
mkdir -p "$P/t"
echo mine | tee "$P/t/a.png" >"$P/t/b.jpg"
t "a pattern that the shell expands to two files" 2 '' "r2 get: $P/t/a.png and $P/t/b.jpg are both here: quote …./$P/t/b.jpg" got "$P/t"/[ab].???
is "… leaves them alone" "$(cat "$P/t/b.jpg")" mine
t "… is meant so" 0 '' "…Complete: 1/1" got "$P/t/a.png" "./$P/t/b.jpg"
ok "… as it says" cmp "$P/t/b.jpg" tree/a.png
t "… to itself" 0 '' "…Complete: 1/1" got "$P/t/a.png" "$P/t/a.png"
rm -r "$P"
t "? and []" 0 '' "…Complete: 2/2" got "$P/t/[ab].???" pat2
t "a pattern of nothing" 1 '' "…no key matches $P/t/*.gif" got "$P/t/*.gif" pat
t "a device that is full is named" 1 '' "…Download failed: $P/small.bin: /dev/full: write: No space left on device…" got "$P/small.bin" /dev/full
t "… in JSON" 1 '{…"file":"/dev/full","status":"failed",…}' … got --json "$P/small.bin" /dev/full
t "… standard output" 1 '' "…: standard output: write: No space left on device…" eval 'got "$P/small.bin" - >/dev/full'
mkfifo reader
head -c 1 reader >/dev/null &
t "a reader of DEST that leaves" 1 '' "…: reader: write: Broken pipe" env --ignore-signal=PIPE "$R2" get "$P/big.bin" reader
wait $!
unheard() { env --ignore-signal=PIPE "$R2" get "$P/big.bin" - | head -c 1 >/dev/null; return "${PIPESTATUS[0]}"; }
t "… of standard output is no message" 1 '' '' unheard
t "a pattern to standard output" 2 '' "…one object…" got "$P/t/*" -
mkfifo unread
t "… to a FIFO that nobody reads" 2 '' "…one object…" got -r "$P/t" unread
t "a store as DEST, as aws s3 cp takes one" 2 '' "r2 get: s3://b/k: DEST is a path on this machine" got "$P/hello.txt" s3://b/k
s3_put "$P/lit/x[1]*.txt" hello.txt
s3_put "$P/lit/x1.txt" small.bin
t "a key with the letters of a pattern" 0 '' "…Complete: 1/1" got "$P/lit/x[1]*.txt" lit.txt
is "… is that key" "$(cat lit.txt)" hello
t "--json of a tree" 0 … '' got -q --json -r "$P/t" copy-json
is "… a line for each" "$(python3 -c 'import json, sys
rows = [json.loads(x) for x in sys.stdin]
print(len(rows), {r["status"] for r in rows}, sorted(r["file"] for r in rows)[0])' <"$T/out")" "6 {'downloaded'} copy-json/a.png"

# Instead of fetching.
"$R2" upload -q --key "$P/meta.txt" --content-type text/x-own --meta colour=blue hello.txt
t "--stat" 0 "key: $P/meta.txt
size: 5
type: text/x-own
modified: 20…
etag: 5d41402abc4b2a76b9719d911017c592
x-amz-meta-colour: blue" '' got --stat "$P/meta.txt"
t "--stat --json" 0 '{"key":"…","size":5,"content_type":"text/x-own","modified":"…Z","etag":"5d41402abc4b2a76b9719d911017c592","x-amz-meta-colour":"blue"}' '' got --stat --json "$P/meta.txt"
# R2's limit is 8,192 bytes; most others have S3's, which is 2,048.
if server_is r2emu; then
	printf -v long '%04000d' 0
	long=${long//0/\\}
	"$R2" upload -q --key "$P/meta2.txt" --meta "a=$long" --meta "b=$long" --meta last=1 hello.txt
	t "--stat cuts no metadata" 0 "…
x-amz-meta-a: $long
x-amz-meta-b: $long
x-amz-meta-last: 1" '' got --stat "$P/meta2.txt"
	t "… nor in JSON" 0 "{…,\"x-amz-meta-a\":\"$long$long\",\"x-amz-meta-b\":\"$long$long\",\"x-amz-meta-last\":\"1\"}" '' got --stat --json "$P/meta2.txt"
fi
t "--stat of nothing" 1 '' '…NoSuchKey…' got --stat "$P/nope"
t "--presign" 0 "$R2_ENDPOINT/$B/$P/names/with%20space?X-Amz-…" '' got --presign 60 "$P/names/with space"
is "… anybody can fetch it" "$(curl -s --cacert "$R2_CA_FILE" "$(cat "$T/out")")" hello
t "--presign asks nobody" 0 'https://192.0.2.1/…' '' got --presign 604800 --endpoint https://192.0.2.1 x
t "--presign --json" 0 '{"key":"x","url":"https://…","expires":"…Z"}' '' got --presign 5 --json x

# Bad input.
for bad in '--presign 0 x' '--presign 604801 x' '--stat -r x' '--stat x y' '--presign 5 --stat x' '' 'a b c' '-j 0 x' '-j 257 x' '--limit-rate 0 x' \
	'--part-size 1M x' '--part-size 6G x' '--if-exists rename x' "s3://$B x" "s3://$B/"; do
	# shellcheck disable=SC2086
	t "refused: ${bad:-no KEY}" 2 '' 'r2 get: …' got $bad
done
t "an empty KEY" 2 '' 'r2 get: …' got ''
t "an empty DEST" 2 '' 'r2 get: …' got x ''

# Cut off and gone on.
random_file huge.bin $((64 * MIB + 4321))
s3_put "$P/huge.bin" huge.bin
parts 5M huge-parts.bin huge.bin
killed() { # KEY DEST BYTES [OPTION…]
	tell reset >/dev/null
	sent_at KILL "$3" -q "${@:4}" "$P/$1" "$2" &
	wait $! 2>/dev/null
}
for key in huge.bin huge-parts.bin; do
	for n in 1 2 3 4 5 6; do
		killed $key cut.bin $((9 * MIB)) -j $((n % 2 * 4 + 1)) 2>/dev/null
		ok "$key, killed $n: no file of the name" [ ! -e cut.bin ]
	done
	t "$key, killed six times, goes on" 0 '{…"resumed":…,"verified":"…md5"}' '' got -q --json --endpoint "$via" "$P/$key" cut.bin
	ok "… the file" cmp cut.bin huge.bin
	resumed=$(sed -n 's/.*"resumed":\([0-9]*\).*/\1/p' "$T/out")
	# What was on its way when the end came is lost, in the buffers of five connections and of the proxy.
	ok "… having kept most of 54 MiB ($resumed)" [ "$resumed" -gt $((20 * MIB)) ]
	ok "… leaving nothing else" no_temp
	rm cut.bin
done
killed huge.bin cut.bin $((20 * MIB)) 2>/dev/null
temp=$(find . -maxdepth 1 -name '.cut.bin.r2-*')
# In every MiB: what had not arrived is written over anyway.
for ((i = 0; i < 64; i++)); do printf 'damaged' | dd of="$temp" bs=1 seek=$((i * MIB + 1000)) conv=notrunc status=none; done
# Bytes that have to come again are not counted twice: the line never says more than all.
t "a damaged temporary file: fetched anew" 0 '' '…does not belong to the object: starts again…Complete: 1/1' \
	got --endpoint "$via" --progress always "$P/huge.bin" cut.bin
most=$(tr '\r' '\n' <"$T/err" | grep -oE '[0-9]+\.[0-9] MiB/64\.0 MiB' | cut -d. -f1 | sort -n | tail -1)
ok "… the most the progress says ($most of 64)" [ "${most:-0}" -le 64 ]
ok "… the file" cmp cut.bin huge.bin
# Killed while the disk was given the last of it: what stands behind the data had been cut off, as it does not belong to the object.
cp huge.bin "$temp"
t "all had come, only the name was lacking" 0 "{…\"attempts\":0,\"resumed\":$(stat -c %s huge.bin),\"verified\":\"md5\"}" '' got -q --json --endpoint "$via" "$P/huge.bin" cut.bin
ok "… the file" cmp cut.bin huge.bin
head -c $((64 * MIB + 4321)) /dev/zero >"$temp"
t "… and something else: fetched anew" 0 '' '…does not belong to the object: starts again…Complete: 1/1' got --endpoint "$via" "$P/huge.bin" cut.bin
ok "… the file" cmp cut.bin huge.bin
killed huge.bin cut2.bin $((20 * MIB)) 2>/dev/null
s3_put "$P/huge.bin" big.bin
t "replaced in between: the new one" 0 '' '…Complete: 1/1' got --endpoint "$via" "$P/huge.bin" cut2.bin
ok "… the file" cmp cut2.bin big.bin
ok "… leaving nothing else" no_temp
s3_put "$P/huge.bin" huge.bin
stopped() { sent_at TERM $((20 * MIB)) --limit-rate 20M "$P/huge.bin" term.bin & wait $!; }
tell reset >/dev/null
t "--limit-rate, and SIGTERM" 143 '' '…Stopped by …' stopped
t "… goes on" 0 '{…"status":"downloaded"…}' '' got -q --json --endpoint "$via" "$P/huge.bin" term.bin
ok "… what was there was not fetched again" python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["resumed"] < 2000000)' <"$T/out"
ok "… the file" cmp term.bin huge.bin
until_begun() { until ls ".$1".r2-* >/dev/null 2>&1; do kill -0 $one || return; sleep 0.02; done; }
# Two at once do not share the temporary file.
"$R2" get -q --limit-rate 20M "$P/huge.bin" twice.bin & one=$!
until_begun twice.bin
t "two processes, one file" 0 '' '' got -q "$P/huge.bin" twice.bin
ok "… the file" cmp twice.bin huge.bin
ok "… the other is well too" wait $one
ok "… the file" cmp twice.bin huge.bin
ok "… leaving nothing else" no_temp
# Nor does what two had come to that were killed stay beside the file for ever.
s3_put "$P/lone/left.bin" big.bin
killed_both() {
	"$R2" get -q --limit-rate 1M "$P/lone/left.bin" & one=$!
	until_begun left.bin
	"$R2" get -q --limit-rate 1M "$P/lone/left.bin" & two=$!
	until [ "$(find . -name '.left.bin.r2-*' | wc -l)" = 2 ] || ! kill -0 $two; do sleep 0.02; done
	kill -KILL $one $two
	wait $one $two
}
killed_both 2>/dev/null
t "two processes are killed: the next one" 0 '' '' got -q "$P/lone/left.bin"
ok "… leaves nothing else" no_temp
rm left.bin
killed_both 2>/dev/null
got -q "$P/lone/left.bin" other.bin
mv other.bin left.bin
t "… one that finds the file there" 0 '…"status":"skipped"…' '' got -q --json -r "$P/lone" .
ok "… leaves nothing else" no_temp
tell cut 200000 3000000 rst >/dev/null
tell reset >/dev/null
t "every connection is cut at some byte" 0 '' '' got -q --endpoint "$via" "$P/huge.bin" cuts.bin
ok "… the file" cmp cuts.bin huge.bin
to_stdout "… to standard output" big.bin "$P/big.bin" -q --endpoint "$via"
tell cut off >/dev/null
read -r _ _ _ cuts < <(tell count)
ok "… ($cuts cuts)" [ "$cuts" -gt 30 ]
tell reset >/dev/null
to_stdout "a large object to standard output" huge.bin "$P/huge.bin" --endpoint "$via"
read -r _ _ several _ < <(tell count)
ok "… is fetched by several connections ($several)" [ "$several" -ge 4 ]
# But ASan maps terabytes.
little() { grep -aq __asan_init "$R2" || ulimit -v 32000; "$R2" get "$P/huge.bin" - >"$T/stdout"; }
t "… with little room" 0 '' '' eval '(little)'
ok "… the bytes" cmp "$T/stdout" huge.bin
first_bytes() { set -o pipefail; timeout 120 "$R2" get "$P/huge.bin" - | head -c 100000; }
first_bytes >"$T/stdout" 2>"$T/err"
ok "a reader that has enough" cmp "$T/stdout" <(head -c 100000 huge.bin)
is "… is no error message" "$(cat "$T/err")" ''
# Somebody who has the pipe too may have set O_NONBLOCK for all. Nothing is read before it is full.
not_waiting() { python3 -c 'import fcntl, os, struct, subprocess, sys, termios, time
r, w = os.pipe()
os.set_blocking(w, False)
p = subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
while p.poll() is None and struct.unpack("i", fcntl.ioctl(r, termios.FIONREAD, bytes(4)))[0] < 60000:
    time.sleep(0.05)
while some := os.read(r, 1 << 16):
    sys.stdout.buffer.write(some)
sys.exit(p.wait())' "$@" >"$T/stdout"; }
t "a pipe that does not wait" 0 '' '' not_waiting "$R2" get "$P/huge.bin" -
ok "… the bytes" cmp "$T/stdout" huge.bin
is_full() { python3 -c 'import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(8, termios.FIONREAD, bytes(4)))[0] < 60000)'; }
stuck() {
	mkfifo stuck
	exec 8<>stuck
	"$R2" get "$P/huge.bin" - >stuck &
	until is_full || ! kill -0 $!; do sleep 0.05; done
	kill -TERM $!
	wait $!
	local rc=$?
	exec 8>&-
	return "$rc"
}
t "SIGTERM while the reader does not read" 143 '' '…' stuck
"$R2" get -q --endpoint "$via" --limit-rate 30M "$P/huge.bin" outage.bin & one=$!
until_begun outage.bin
tell outage 4 >/dev/null
ok "an outage is waited out" wait $one
ok "… the file" cmp outage.bin huge.bin

# No room.
if mkdir full && mount -t tmpfs -o size=16m tmpfs full 2>/dev/null; then
	t "disk full, told at once" 1 '' '…room for … bytes…No space left on device…Complete: 0/1' got "$P/big.bin" full/x
	is "… leaves nothing" "$(ls -A full)" ''
	head -c 16000000 /dev/zero >full/filler
	t "disk full, small" 1 '' '…No space left on device…' got "$P/small.bin" full/y
	is "… leaves nothing" "$(ls -A full)" filler
	umount full
else
	not_ok "disk full: needs a mount"
fi

# Servers that lie.
beside hostile.port python3 "$TESTS/hostile.py" "$T/hostile.log"
read -r port <hostile.port
export R2_ENDPOINT=http://127.0.0.1:$port
SIZE=20000000
proof() { # KEY: what the file was verified by
	rm -f x
	got -q --json "$1" x | python3 -c 'import json, sys; x = json.load(sys.stdin); print(x["verified"], x["status"])'
}
is "a server's own part size" "$(proof parts-$SIZE-3000000)" 'parts-md5 downloaded'
is "tiny parts" "$(proof parts-3000000-300)" 'parts-md5 downloaded'
is "parts of different sizes" "$(proof uneven-$SIZE)" 'parts-md5 downloaded'
is "… as many as there would be of equal ones" "$(proof chance-$SIZE)" 'parts-md5 downloaded'
is "… whose numbers have gaps" "$(proof gaps-$SIZE)" 'None downloaded'
is "a server that does not know partNumber: a usual size" "$(proof quiet-$SIZE-8388608)" 'parts-md5 downloaded'
is "… one that answers with an ETag of the part" "$(proof partial-$SIZE-8388608)" 'parts-md5 downloaded'
is "… not the first that fits" "$(proof quiet-9000000-8000000)" 'parts-md5 downloaded'
is "… the smallest that fits" "$(proof quiet-9000000-4500000)" 'parts-md5 downloaded'
is "… an unusual one" "$(proof quiet-9000000-4777777)" 'None downloaded'
t "… which is said" 0 '' '…WARNING…not verified…' got quiet-9000000-4777777 x
is "an ETag that is no MD5" "$(proof opaque-$SIZE)" 'None downloaded'
t "… which -v says" 0 '' '…DEBUG…not verified…' got -v opaque-$SIZE x
is "a KMS object" "$(proof kms-$SIZE)" 'None downloaded'
is "no ETag" "$(proof noetag-$SIZE)" 'None downloaded'
is "no Content-Length" "$(proof chunked-$SIZE)" 'md5 downloaded'
ok "every answer is cut after 100,000 bytes" [ "$(proof cut-3000000)" = 'md5 downloaded' ]
: >hostile.log
is "replaced after the first range: begun anew" "$(proof swap-$SIZE)" 'md5 downloaded'
bad() { # NAME KEY MESSAGE
	rm -f x
	t "$1" 1 '' "…Download failed: $2: $3…Complete: 0/1" got --retries 2 "$2" x
	ok "… no file" [ ! -e x ]
}
corrupt="127.0.0.1 sent other bytes than the ETag says"
bad "a flipped byte" flip-5000 "$corrupt"
bad "… in a range" flip-$SIZE "$corrupt"
bad "… the very last one" flipend-$SIZE "$corrupt"
bad "… in a part" flip-parts-$SIZE-6000000 "$corrupt"
bad "… in parts of different sizes" flip-uneven-$SIZE "$corrupt"
t "… to standard output" 1 … '…sent other bytes…' got flip-5000 - 2>/dev/null
t "fewer bytes to standard output than there are, without a length" 1 … '…was replaced…' got open-5000 -
bad "… to a file" open-5000 '…and again…'
small_file() { (ulimit -f 10000; got "$@"); }
t "far more bytes than there are: the disk does not fill" 1 '' '…was replaced…Complete: 0/1' small_file endless-5000 x
t "… to standard output" 1 '' '…was replaced…' small_file endless-5000 -
to_nowhere() { got "$1" - >"$T/stdout"; }
t "… a large one to standard output" 1 '' '…sent other bytes…' to_nowhere flip-$SIZE
t "… of equal parts" 1 '' '…sent other bytes…' to_nowhere flip-parts-$SIZE-6000000
for key in chance-$SIZE gaps-$SIZE; do
	t "parts of different sizes to standard output: $key" 0 '' "…WARNING - $key: not verified…" to_nowhere "$key"
done
t "a large one to standard output, replaced under way" 1 '' '…was replaced…' to_nowhere swap-2000000
t "… by a server that ignores If-Match" 1 '' '…was replaced…' to_nowhere ignore-$SIZE
t "… by one that ignores Range" 1 '' '…ignores Range…' to_nowhere norange-$SIZE
t "… by one that sends another range" 1 '' '…Content-Range…' to_nowhere shift-$SIZE
t "… from one that stalls" 1 '' '…' got --timeout 1 --retries 1 stall-$SIZE /dev/null
bad "replaced all the time" swaps-$SIZE '…and again…'
bad "… and If-Match ignored" ignore-$SIZE '…and again…'
ok "… and nothing else is left" no_temp
bad "Range ignored" norange-$SIZE '…ignores Range…'
bad "another range" shift-$SIZE '…Content-Range…'
bad "a wrong Content-Range" lie-$SIZE '…Content-Range…'
bad "a Content-Range without size" nosize-$SIZE '…Content-Range…'
bad "a Content-Length of 20 digits" long-1 '…Content-Length…'
bad "a negative Content-Length" negative-1 '…Content-Length…'
bad "an object larger than any" vast-1 '…bytes…'
# Until the kernel has found that there is no room it has given all that there was: nobody else could write.
too_large() { strace -f -qq -o rooms -e trace=fallocate -e inject=fallocate:error=ENOSPC "$R2" get --retries 1 wide-1 x; }
t "an object larger than the disk" 1 '' "…Download failed: wide-1: x: room for $((4 << 40)) bytes: No space left on device…" too_large
is "… does not have all that is free meanwhile" "$(cat rooms)" ''
t "a server that stalls" 1 '' '…' got --timeout 5 --retries 1 stall-$SIZE stalled
ok "… what came is kept" [ -n "$(find . -maxdepth 1 -name '.stalled.r2-*')" ]
t "keys outside the prefix" 1 '' '…not below "out/"…' got -r out x-out
mkdir -p safe/dest
run got -j 1 -r evil safe/dest
is "keys that lead out: status" "$rc" 1
is "… what was written" "$(cd safe && find . -type f | LC_ALL=C sort | cut -c1-12)" './dest/dir/i
./dest/good-
./dest/nl
./dest/yyyyy
in-5'
ok "… and nothing elsewhere" [ "$(ls safe)" = dest ]
for key in 'evil/../../../up-5' 'evil//abs-5' 'evil/./dot-5' 'evil/a//b-5' 'evil/..' 'evil/xxx' 'evil/good-5/below-5'; do
	ok "… $key is refused by name" grep -qF "Download failed: $key" "$T/err"
done
finish
