#!/bin/bash
# r2 ls end to end: the format of `aws s3 ls`, pages, pipes, names. The objects are put by curl.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
random_file image.png 2569011
random_file three.bin 3145728
printf x >x
for key in outputs/2025-12-28/a.txt outputs/2025-12-29/b.txt outputs/readme.txt; do s3_put "$P/$key" x; done
s3_put "$P/outputs/image.png" image.png
s3_put "$P/outputs/three.bin" three.bin
before=$(date +%s)

# Dates as "TIME", so that an expectation can be exact about the rest.
ls_() { r2 ls "$@" | sed -E 's/^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} /TIME /' | sort; return "${PIPESTATUS[0]}"; }
lines() { wc -l <"$T/out" | tr -d ' '; }
json_lines() { python3 -c 'import json, sys
rows = [json.loads(l) for l in sys.stdin]
assert all(isinstance(r, dict) for r in rows)
print(len(rows))' <"$T/out"; }

t "one level" 0 '                           PRE 2025-12-28/
                           PRE 2025-12-29/
TIME          1 readme.txt
TIME    2569011 image.png
TIME    3145728 three.bin' '' ls_ "$P/outputs/"
t "one level, without the slash" 0 '                           PRE outputs/' '' ls_ "$P/outputs"
t "a part of a name" 0 '                           PRE 2025-12-28/
                           PRE 2025-12-29/' '' ls_ "$P/outputs/2025-"
t "-r: whole keys" 0 "TIME          1 $P/outputs/2025-12-28/a.txt
TIME          1 $P/outputs/2025-12-29/b.txt
TIME          1 $P/outputs/readme.txt
TIME    2569011 $P/outputs/image.png
TIME    3145728 $P/outputs/three.bin" '' ls_ -r "$P/outputs/"
t "s3://BUCKET/PREFIX" 0 '…image.png…' '' ls_ "s3://$R2_BUCKET/$P/outputs/"
t "r2://BUCKET/PREFIX" 0 '…image.png…' '' ls_ "r2://$R2_BUCKET/$P/outputs/"
t "s3://BUCKET" 0 "…PRE $P/…" '' ls_ "s3://$R2_BUCKET"
t "no PREFIX: the bucket" 0 "…PRE $P/…" '' ls_
t "one object by its key" 0 'TIME          1 readme.txt' '' ls_ "$P/outputs/readme.txt"
t "-1: names only" 0 '2025-12-28/
2025-12-29/
image.png
readme.txt
three.bin' '' ls_ -1 "$P/outputs/"
t "-1r: whole keys only" 0 "$P/outputs/2025-12-28/a.txt
$P/outputs/2025-12-29/b.txt
$P/outputs/image.png
$P/outputs/readme.txt
$P/outputs/three.bin" '' ls_ -1 -r "$P/outputs/"
t "-h" 0 '…3.0 M… three.bin' '' r2 ls -h "$P/outputs/three.bin"
t "--summary" 0 '…image.png…Total Objects: 3
   Total Size: 5714740' '' r2 ls --summary "$P/outputs/"
t "--summarize" 0 '…Total Objects: 3
   Total Size: 5714740' '' r2 ls --summarize "$P/outputs/"
t "-r --summary" 0 '…Total Objects: 5
   Total Size: 5714742' '' r2 ls -r --summary "$P/outputs/"
t "-r -h --summary" 0 '…Total Objects: 5
   Total Size: 5.…M…' '' r2 ls -rh --summary "$P/outputs/"
t "--json" 0 "…$P/outputs/image.png…2569011…" '' r2 ls --json -r "$P/outputs/"
is "… an object for each" "$(json_lines)" 5
t "--json, one level" 0 '…2025-12-28/…' '' r2 ls --json "$P/outputs/"
is "… an object for each row" "$(json_lines)" 5
t "nothing below PREFIX: status 1" 1 '' … r2 ls "$P/none/"
t "-r, nothing below PREFIX" 1 '' … r2 ls -r "$P/none/"
t "no such bucket" 1 '' '…NoSuchBucket…no-such-bucket…' r2 ls --retries 1 --bucket no-such-bucket

# Times are local.
stamp() { TZ=$1 r2 ls "$P/outputs/image.png" | cut -c1-19; }
utc=$(date -ud "$(stamp UTC) UTC" +%s)
ok "the time is that of the upload" [ $((before - utc)) -ge -5 ] && ok "… and recent" [ $((before - utc)) -lt 120 ]
is "TZ=UTC-14: 14 hours later" "$(stamp UTC-14)" "$(date -ud "@$((utc + 50400))" '+%F %T')"
is "a zone that nobody knows is said" "$(TZ=Mars/Olympus r2 ls "$P/outputs/image.png" 2>&1 >/dev/null | grep -c 'WARNING - TZ=Mars/Olympus: ')" 1
is "… and those that are UTC are not" "$(for z in UTC0 Etc/UTC :UTC UTC-14 XYZ-14 '' America/New_York; do TZ=$z r2 ls "$P/outputs/image.png" 2>&1 >/dev/null; done)" ''
is "TZ=America/New_York" "$(stamp America/New_York)" "$(TZ=America/New_York date -d "@$utc" '+%F %T')"

# Names.
names=('with space' 'plus+plus' '100%' '%41' 'a&b<c>d"e' "it's" 'naïve-日本語-😀' ' leading' 'semi;colon?#')
for name in "${names[@]}"; do s3_put "$P/names/$name" x; done
t "names come back as they are" 0 "$(printf '%s\n' "${names[@]}" | sort)" '' ls_ -1 "$P/names/"
t "a prefix with such characters" 0 'a&b<c>d"e' '' ls_ -1 "$P/names/a&b<"
t "a prefix with %" 0 '100%' '' ls_ -1 "$P/names/100%"
t "a prefix with +" 0 'plus+plus' '' ls_ -1 "$P/names/plus+"
t "a prefix of the letters of a UTF-8 name" 0 'naïve-日本語-😀' '' ls_ -1 "$P/names/naï"
# moto has no route to such a name.
if ! server_is moto; then
	s3_put "$P/control/new
line" x
	t "a newline in a name, as it is into a pipe" 0 'new
line' '' r2 ls -1 "$P/control/"
	t "… one line on a terminal" 0 '1' '' sh -c "script -qec \"'$R2' ls -1 '$P/control/'\" /dev/null | wc -l"
	t "… one line of JSON" 0 '…new\nline…' '' r2 ls --json "$P/control/"
	is "… which parses" "$(json_lines)" 1
fi
: >empty
s3_put "$P/marker/" empty
t "a folder's own marker" 0 '…' '' r2 ls "$P/marker/"

# Pages of 1,000.
s3_fill "$P/many/k[0001-2500]" x
t "2,500 keys" 0 … '' r2 ls -1 -r "$P/many/"
is "… all of them" "$(lines)" 2500
ok "… each once, in order" sort -uc "$T/out"
t "2,500 keys, one level, --summary" 0 '…Total Objects: 2500
   Total Size: 2500' '' r2 ls --summary "$P/many/"
s3_fill "$P/folders/d[0001-1100]/x" x
t "1,100 folders" 0 … '' r2 ls -1 "$P/folders/"
is "… each once" "$(sort -u "$T/out" | wc -l)" 1100
is "… and no line more" "$(lines)" 1100

# Days, costs, patterns and orders; tests/lists.sh has the rest.
t "--by-date" 0 '2025-12-28          1              1
2025-12-29          1              1
other               3        5714740
total               5        5714742' '' r2 ls --by-date "$P/outputs"
t "--cost" 0 '
A month…storage        $0.0000  5714742 bytes…total          $0.0000 …' '' r2 ls --cost "$P/outputs/"
t "a pattern" 0 "$P/outputs/2025-12-28/a.txt
$P/outputs/2025-12-29/b.txt
$P/outputs/readme.txt" '' ls_ -1 "$P/outputs/*.txt"
t "--sort size" 0 'three.bin
image.png
readme.txt' '' r2 ls -1 --top 9 "$P/outputs/"
t "--top where there are only folders" 1 '' 'r2 ls: there are only folders: -r …' r2 ls --top 9 "$P/outputs"
t "--sort time" 0 '…PRE 2025-12-29/
20…
20…
20…' '' r2 ls --sort time "$P/outputs/"

# Unfinished uploads. MinIO shows only those of the whole key.
id=$(s3 POST "$P/up/big file" -H 'Content-Length: 0' --url-query uploads= | sed -n 's/.*<UploadId>\([^<]*\)<.*/\1/p')
random_file five.bin 5242880
for n in 1 2; do s3 PUT "$P/up/big file" -f -T five.bin -o /dev/null --url-query "partNumber=$n" --url-query "uploadId=$id"; done
t "--uploads" 0 "TIME   10485760 $P/up/big file $id" '' ls_ --uploads "$P/up/big file"
t "… --json" 0 "{\"key\":\"$P/up/big file\",\"upload_id\":\"…\",\"started\":\"20…Z\",\"parts\":2,\"bytes\":10485760}" '' \
	r2 ls --uploads --json "$P/up/big file"
server_is minio || t "… below a prefix" 0 "TIME   10485760 $P/up/big file $id" '' ls_ --uploads "$P/up/"
t "… none" 1 '' '' r2 ls --uploads "$P/none"
t "… which are no objects" 1 '' '' r2 ls -r "$P/up/"
s3 DELETE "$P/up/big file" --url-query "uploadId=$id"

# A reader that has seen enough.
head_of() { r2 ls -r "$P/many/" | head -1; }
t "| head -1: no error message" 0 '20…0001' '' head_of
head_after() { r2 ls -r "$P/many/" | sh -c 'exec <&-'; }
t "a reader that reads nothing: no error message" 0 '' '' head_after

# Date folders side by side: the same rows in the same order, whatever is asked for.
printf x >one
for day in 01 02 03 04 05 06 07; do s3_fill "$P/ahead/2025-01-$day/d[1-3]/k[001-050].png" one; done
same_as_alone() { diff <(r2 ls "$@" "$P/ahead/") <(r2 ls -j 4 "$@" "$P/ahead/"); }
for how in -r '-r --json' '-r -1 --summary' --by-date '--cost --json' '-r --top 20' '-r --sort time'; do
	# shellcheck disable=SC2086
	ok "-j 4 $how" same_as_alone $how
done
is '… all of it' "$(r2 ls -r -1 -j 3 "$P/ahead/" | wc -l)" 1050
is '-j and a pattern' "$(r2 ls -j 4 "$P/ahead/*/d2/k01*.png" | wc -l)" 70
head_of_it() { r2 ls -r -j 4 "$P/ahead/" | head -3 | wc -l; }
is '-j, and a reader that has enough' "$(head_of_it)" 3
s3_fill "$P/full/2025-01-0[1-4]/keys-that-fill-their-folder-soon-and-are-very-long-indeed-[0001-1000].png" one
enough() { for ((i = 0; i < 40; i++)); do r2 ls -r -j 4 --sort name --top 200 "$P/full/" >>rows || return; done; }
ok '… while a folder is still being listed' enough
s3_put "$P/ahead/2025-01-03.txt" one
ok '-j with something between the folders' same_as_alone -r
is '… all of it' "$(r2 ls -r -1 -j 3 "$P/ahead/" | wc -l)" 1051
t '-j where nothing is' 1 '' '' r2 ls -r -j 4 "$P/nothing/"
t '-j of another bucket that is not there' 1 '' '…NoSuchBucket…' r2 ls -r -j 4 --bucket nosuchbucket "$P/"
finish
