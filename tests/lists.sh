#!/bin/bash
# r2 ls on listings no real server would hold ready: large ones, made-up sizes and classes, and those that would never end.
. "$(dirname "$0")/lib.sh"

cd "$T" || exit 1
beside port python3 "$TESTS/lists.py" "$T/log"
export R2_ENDPOINT R2_ACCESS_KEY_ID=k R2_SECRET_ACCESS_KEY=s R2_BUCKET=runpod
R2_ENDPOINT=http://127.0.0.1:$(cat port)
asked() { cat log; : >log; }
lines() { wc -l <"$T/out" | tr -d ' '; }
on_terminal() { script -qec "$(printf '%q ' "$R2" "$@")" /dev/null | tr -d '\r'; }

# Days.
t "--by-date" 0 '2025-12-28          2     2500000000
2025-12-29          3            111
2025-12-31          1              3
other               4             12
total              10     2500000126' '' r2 ls --by-date kinds/
t "… without the slash, -h" 0 '2025-12-28          2        2.3 GiB
2025-12-29          3      111 Bytes
…
total              10        2.3 GiB' '' r2 ls --by-date -h kinds
t "… R2_PREFIX without PREFIX" 0 '2025-12-28 …' '' env R2_PREFIX=kinds/ "$R2" ls --by-date
t "… as upload writes it" 0 '2025-12-28 …' '' env R2_PREFIX=//kinds// "$R2" ls --by-date
t "a pattern without a literal start that matches nothing" 1 '' '' r2 ls '*.nope'
t "… --json" 0 '{"date":"2025-12-28","files":2,"bytes":2500000000}
{"date":"2025-12-29","files":3,"bytes":111}
{"date":"2025-12-31","files":1,"bytes":3}
{"date":"other","files":4,"bytes":12}
{"date":"total","files":10,"bytes":2500000126}' '' r2 ls --by-date --json kinds/
t "… of a pattern" 0 '2025-12-28          1     1000000000
2025-12-29          2            111
total               3     1000000111' '' r2 ls --by-date 'kinds/2025-*/*.png'
t "… a bar on a terminal" 0 '2025-12-28          2     2500000000  #######################
2025-12-29          3            111
…' '' sh -c 'script -qec "$0 ls --by-date kinds/" /dev/null | tr -d "\r" | sed "s/ *$//"' "$R2"
t "… with its storage's price" 0 '2025-12-28          2     2500000000    $0.0375
…' '' r2 ls --by-date --cost kinds/
t "… nothing there" 1 'total               0              0' '' r2 ls --by-date nothing/
: >log
t "1,500 days: each once, on a terminal too" 0 '1501' '' sh -c 'script -qec "$0 ls --by-date many-1500000/" /dev/null | wc -l' "$R2"
is "… in one pass" "$(asked | wc -l)" 1500

# Costs: doc/cost.md has the scenarios by hand.
t "100 images" 0 '…storage        $0.0000  200000000 bytes: 1 GB-month, 10 free, $0.0150 each
class-a        $0.0000  100 requests …
total          $0.0000  s3 $0.0048 gcs $0.0042 b2 $0.0000
…Prices of 20…: developers.cloudflare.com/r2/pricing' '' r2 ls --cost scene-100-0/
t "1,000 images and 100 videos" 0 '…storage        $0.0000  5500000000 bytes: 6 GB-month, 10 free…
class-a        $0.0000  1100 requests …
total          $0.0000  s3 $0.1233 gcs …' '' r2 ls --cost scene-1000-100/
t "10,000 images and 1,000 videos" 0 '…storage        $0.6750  55000000000 bytes: 55 GB-month, 10 free, $0.0150 each
class-a        $0.0000  11000 requests …
total          $0.6750  s3 $1.2331 gcs $1.0795 b2 $0.2700
…' '' r2 ls --cost scene-10000-1000/
t "classes, and ETags of parts" 0 '
A month at R2…
storage        $0.0000  2500000026 bytes: 3 GB-month, …
storage-ia     $0.0100  100 bytes: 1 GB-month, 0 free, $0.0100 each
class-a        $0.0000  40 requests…
class-a-ia     $9.0000  4 requests that stored it: 1 million, 0 free, $9.0000 each
total          $9.0100 …' '' r2 ls --cost kinds/
t "--price" 0 '…storage        $3.0000 …: 3 GB-month, 0.5 free, $1.0000 each
…total         $13.0100  s3 $2.3283 …' '' r2 ls --cost --price storage=1 --price free-storage=0.5 --price s3.storage=1 --price class-a-ia=10 \
	--price s3.storage-ia=0 --price s3.class-a=0 kinds/
t "--cost --json: a line for each store" 0 '{"store":"r2","storage_bytes":55000000000,"storage_micro_usd":675000,…"total_micro_usd":675000,…}
{"store":"s3",…"total_micro_usd":1233123,…}
{"store":"gcs",…}
{"store":"b2",…}' '' r2 ls --cost --json scene-10000-1000/
t "--price: unknown KEY" 2 '' 'r2 ls: --price egress=1: KEY is one of storage, storage-ia, class-a, class-a-ia …free-storage …free-class-a …' r2 ls --price egress=1
t "--price: no VALUE" 2 '' '…VALUE is a number…' r2 ls --price storage
t "--price: nonsense" 2 '' '…VALUE is a number…' r2 ls --price storage=1e3

# Unfinished uploads.
t "--uploads" 0 '2025-12-28 10:00:00         57 up/big.mp4 one
2025-12-29 10:00:00      15010 up/big.mp4 two
2025-12-30 10:00:00          0 up/new'$'\a'' none' '' r2 ls --uploads up/
t "… on a terminal" 0 '…up/new\x07 none' '' on_terminal ls --uploads up/
t "… -1" 0 'up/big.mp4
up/big.mp4' '' r2 ls --uploads -1 up/b
t "… -h --summary" 0 '…   14.7 KiB up/big.mp4 two

Total Objects: 2
   Total Size: 14.7 KiB' '' r2 ls --uploads -h --summary up/big.mp4
t "… --json" 0 '{"key":"up/big.mp4","upload_id":"one","started":"2025-12-28T10:00:00Z","parts":2,"bytes":57}
…"parts":1501,"bytes":15010}
{"key":"up/new\u0007",…}' '' r2 ls --uploads --json up/
t "… of a pattern" 0 '…up/big.mp4 one
…up/big.mp4 two' '' r2 ls --uploads 'up/*.mp4'
t "… none" 1 '' '' r2 ls --uploads up/x

# Patterns.
: >log
t "a pattern" 0 '… kinds/2025-12-28/a.png
… kinds/2025-12-29/c.png
… kinds/2025-12-29/sub/d.png' '' r2 ls 'kinds/2025-12-*/?.png'
t "… its * takes slashes" 0 'kinds/2025-12-28/a.png
kinds/2025-12-29/c.png
kinds/2025-12-29/sub/d.png
kinds/z.png' '' r2 ls -1 'kinds/*.png'
t "… sets" 0 'kinds/2025-12-28/a.png' '' r2 ls -1 'kinds/*/[!b-z].png'
t "… nothing matches" 1 '' '' r2 ls 'kinds/*.gif'
t "a quoted character is no pattern" 0 'z.png' '' r2 ls -1 'kinds/\z.png'
t "… \\* neither" 1 '' '' r2 ls -1 'kinds/\*'
t "… quotes behind the literal start" 0 'kinds/z.png' '' r2 ls -1 'kinds/[z]\.png'
t "s3://BUCKET/PATTERN" 0 'kinds/z.png' '' r2 ls -1 's3://runpod/kinds/?.png'
is "the literal start is asked for" "$(asked)" '/runpod?encoding-type=url&list-type=2&prefix=kinds/2025-12-
/runpod?encoding-type=url&list-type=2&prefix=kinds/
/runpod?encoding-type=url&list-type=2&prefix=kinds/
/runpod?encoding-type=url&list-type=2&prefix=kinds/
/runpod?delimiter=/&encoding-type=url&list-type=2&prefix=kinds/z.png
/runpod?delimiter=/&encoding-type=url&list-type=2&prefix=kinds/*
/runpod?encoding-type=url&list-type=2&prefix=kinds/
/runpod?encoding-type=url&list-type=2&prefix=kinds/'

# Orders, against Python's.
order() { # KEY REVERSE N: of the listing in $T/all
	python3 -c 'import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
rows.sort(key=lambda r: r[sys.argv[2]], reverse=sys.argv[2] != "key")
print("\n".join(r["key"] for r in rows[:int(sys.argv[3])]))' "$T/all" "$1" "$2"
}
r2 ls -r --json mix-2500/ >all
is "--sort size" "$(r2 ls -r1 --sort size mix-2500/)" "$(order size 2500)"
is "--sort time" "$(r2 ls -r1 --sort time mix-2500/)" "$(order modified 2500)"
is "--sort name" "$(r2 ls -r1 --sort name mix-2500/)" "$(order key 2500)"
is "--top 1" "$(r2 ls -r1 --top 1 mix-2500/)" "$(order size 1)"
is "--top 100" "$(r2 ls -r1 --top 100 mix-2500/)" "$(order size 100)"
is "--top 7 --sort time" "$(r2 ls -r1 --top 7 --sort time mix-2500/)" "$(order modified 7)"
is "--top 99999" "$(r2 ls -r1 --top 99999 mix-2500/)" "$(order size 2500)"
: >log
is "--top 7 --sort name" "$(r2 ls -r1 --top 7 --sort name mix-2500/)" "$(order key 7)"
is "… asks for no more" "$(asked | wc -l)" 1
t "… with --summary: of all" 0 'mix-2500/00000000

Total Objects: 2500…' '' r2 ls -r1 --top 1 --sort name --summary mix-2500/
t "--top --json" 0 '{"key":"kinds/2025-12-28/b.mp4","size":1500000000,"modified":"2025-12-29T10:00:00Z","etag":"00000000000000000000000000000000-30","storage_class":"STANDARD"}' '' \
	r2 ls -r --top 1 --json kinds/
t "--sort of one level: prefixes first" 0 '…PRE 2025-13-01/
2025-12-29 10:00:00          5 z.png
2025-12-29 10:00:00          2 2025-12-30' '' r2 ls --sort size kinds/
t "--top of one level: no prefixes" 0 '2025-12-29 10:00:00          5 z.png' '' r2 ls --top 1 kinds/

# Never for ever.
endless() { t "$1" 1 "$2" "r2 ls: list: the server $3" r2 ls -r "$4"; }
endless 'the same token again and again' '…loop/…' 'sends the same page again and again' loop/
endless 'two pages for ever' '…' 'sends the same pages again and again' circle/
endless 'a page that goes back' '… back/b
… back/c' 'sent a page that goes back behind the one before it' back/
endless 'for ever the promise of more' '' 'sends the same pages again and again' again/
endless 'more, but no token' '' 'says there is more, but not how to ask for it' notoken/
endless 'a key from elsewhere' '' 'sent a key that is not below "elsewhere/"' elsewhere/
t "uploads for ever" 1 '…' '…the server sends the same pages again and again' r2 ls --uploads uploop/
t "… --by-date" 1 '…' '…goes back…' r2 ls --by-date back/
t "… --top: what there was" 1 '…' '…goes back…' r2 ls -r --top 1 back/

# What cannot be meant.
t "two PREFIXes" 2 '' 'r2 ls: one PREFIX at a time: b …' r2 ls a b
t "--top 0" 2 '' '…--top…' r2 ls -r --top 0 a
t "--top with --by-date" 2 '' '…--sort and --top order objects…' r2 ls --by-date --top 1 a
t "--sort with --cost" 2 '' '…--sort and --top order objects…' r2 ls --cost --sort size a
t "--uploads with --by-date" 2 '' '…--uploads…' r2 ls --uploads --by-date a
t "--price without --cost" 2 '' '…--price goes with --cost' r2 ls --price storage=1 a
t "--sort by what?" 2 '' '…--sort…' r2 ls --sort colour a
t "a PREFIX longer than any key" 2 '' '…longer than any key…' r2 ls "$(printf %01025d 0)"
t "… as long as one" 1 '' '' r2 ls "$(printf %01024d 0)"
t "--by-date of it" 1 '…' '' r2 ls --by-date "$(printf %01024d 0)"

# Memory does not grow with the listing: 50,000 keys, in KiB.
cc -static -Os -D_GNU_SOURCE -o launch "$TESTS/../bench/launch.c"
peak() { ./launch samples "$R2" ls "$@" many-50000/ >out; cut -d' ' -f3 samples; }
for how in '-r' '--by-date' '--cost' '--by-date --cost' '-r --json' '-r --top 100' '--by-date --json'; do
	# shellcheck disable=SC2086
	ok "$how: at most 4 MB for 50,000 keys" [ "$(peak $how)" -lt 4000 ]
done
t "50,000 keys, --summary" 0 '…Total Objects: 50000
   Total Size: 100000000000' '' r2 ls -r --summary many-50000/
is "… a line for each" "$(lines)" 50003
finish
