#!/bin/bash
# The transfer engine end to end, through a proxy that counts and breaks (faultproxy.py): resuming after kill -9, outages, cut connections,
# files that change, trees, shards, standard input. R2_BIG=1: the sizes of the promise (1 GiB, 20 kills, 30 s, 200 cuts and rounds);
# then R2_JOBS and R2_PART choose other workers and parts.
BIG=${R2_BIG:-} BIG_JOBS=${R2_JOBS:-8} PART=${R2_PART:-5M}
. "$(dirname "$0")/lib.sh"
need_server
cd "$T" || exit 1
export XDG_STATE_HOME=$T/state
MIB=160 KILLS=6 OUTAGE=6 CUTS=40 ROUNDS=24 R2_LIMIT_S=240
[ -z "$BIG" ] || MIB=1024 KILLS=20 OUTAGE=30 CUTS=200 ROUNDS=200
B=$R2_BUCKET M=1048576

beside proxy.port python3 "$TESTS/faultproxy.py" "${R2_ENDPOINT#https://}"
read -r port CONTROL <proxy.port
THROUGH=https://127.0.0.1:$port

# proxy COMMAND…: says it, prints the answer
proxy() {
	local answer fd
	exec {fd}<>"/dev/tcp/127.0.0.1/$CONTROL"
	echo "$*" >&"$fd"
	read -r answer <&"$fd"
	exec {fd}>&-
	[ "$answer" != ok ] || return 0
	echo "$answer"
}
passed() { local up down _; read -r up down _ < <(proxy count); [ "$1" = up ] && echo "$up" || echo "$down"; }   # passed up|down
cuts_made() { proxy count | cut -d' ' -f4; }
via() { R2_ENDPOINT=$THROUGH r2 "$@"; }
up() { r2 upload --no-date --prefix "$P" "$@"; }
# Unfinished uploads below PREFIX
# curl signs a query in the order it is given, and a server in that of its names.
unfinished() { local p; p=$(url_encode "$1"); s3 GET "?prefix=${p//\//%2F}&uploads=" -f >uploads || echo 'no answer'; grep -o '<UploadId>' uploads | wc -l; }
no_journals() { [ -z "$(find "$XDG_STATE_HOME" -type f 2>/dev/null)" ]; }
between() { echo $(($1 + (RANDOM << 15 | RANDOM) % ($2 - $1 + 1))); }   # between MIN MAX: a random number
json_of() { python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$1"; }
# The state of a process as /proc has it: T is stopped, Z has ended
state_of() { sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat" 2>/dev/null || echo Z; }

# sent_at SIGNAL WAY BYTES COMMAND…, in the background: COMMAND through the proxy, which sends it the signal with that byte.
sent_at() { proxy signal "$1" $BASHPID "$2" "$3"; R2_ENDPOINT=$THROUGH exec "${@:4}"; }

# Nothing passes the proxy any more.
settled() { local before='' now; until now=$(proxy count); [ "$now" = "$before" ]; do before=$now; sleep 0.1; done; }

# killed WAY [--first BYTES] COMMAND…: COMMAND through the proxy, again and again, killed KILLS times before it can have moved all of it;
# the first time before so many bytes.
killed() {
	local way=$1 first=$((MIB * 19 * M / 20)) mark least; shift
	if [ "$1" = --first ]; then first=$2; shift 2; fi
	proxy reset >zero
	kills=0
	for mark in $({ between 0 "$first"; for ((i = 1; i < KILLS; i++)); do between 0 $((MIB * 19 * M / 20)); done; } | sort -n); do
		# Not by what is still on its way of the one killed before; nor before the upload is begun and written down, which can leave one behind.
		settled
		least=$(($(passed "$way") + M / 8))
		sent_at KILL "$way" "$((mark < least ? least : mark))" "$@" >killed.out 2>killed.err &
		wait $! 2>/dev/null
		[ $? = 137 ] || break
		kills=$((kills + 1))
	done
	proxy signal off
}
report() { echo "# $*"; }

# Every run may lose what its workers were about: so many parts a kill. With parts of the default size, which are large for that, the
# first kill comes before one is through, and from then on they are smaller: only that one may cost as much as was sent until then.
JOBS=2
random_file big $((MIB * M))
[ -z "$BIG" ] || JOBS=$BIG_JOBS
for part in "$PART" default; do
	random=()
	[ "$part" != default ] || [ -n "$BIG" ] || random=(--first $((MIB * M / 20)))
	send=("$R2" upload --key "$P/big" -j "$JOBS" --multipart-threshold 10M --json)
	[ "$part" = default ] || send+=(--part-size "$part")
	killed up "${random[@]}" "${send[@]}" big
	is "upload in parts of $part: killed $KILLS times" "$kills" "$KILLS"
	t '… and then it ends' 0 '…"status":"uploaded"…' '…Complete: 1/1' via "${send[@]:1}" big
	ok '… the object' s3_is "$P/big" big
	sent=$(passed up)
	report "upload -j $JOBS, parts of $part: $((sent / M)) MiB sent for $MIB MiB, $KILLS kills; resumed at last: $(json_of resumed <"$T/out")"
	if [ -n "$BIG" ]; then
		ok '… at most 1.3 GiB were sent' [ "$sent" -le $((13 * 1024 * M / 10)) ]
	else
		[ "$part" != default ] || lost=$((MIB / 20 + 3 + (KILLS - 1) * JOBS * 8))
		[ "$part" = default ] || lost=$((KILLS * JOBS * ${part%M}))
		ok "… what the workers were about is sent again at most: $lost MiB" [ "$sent" -le $(((MIB + MIB / 100 + 1 + lost) * M)) ]
	fi
	is '… no unfinished upload is left' "$(unfinished "$P/big")" 0
	ok '… no journal is left' no_journals
done

bring=("$R2" get -j "$JOBS" --part-size "$PART" --json "$P/big" got)
killed down "${bring[@]}"
is "get: killed $KILLS times" "$kills" "$KILLS"
ok '… nothing has the final name' [ ! -e got ]
t '… and then it ends' 0 '…' … via "${bring[@]:1}"
ok '… the file' cmp got big
fetched=$(passed down)
report "get -j $JOBS --part-size $PART: $((fetched / M)) MiB fetched for $MIB MiB, $KILLS kills"
if [ -n "$BIG" ]; then
	ok '… at most 1.3 GiB were fetched' [ "$fetched" -le $((13 * 1024 * M / 10)) ]
else
	ok "… ${PART}iB a kill and worker are fetched again at most" [ "$fetched" -le $(((MIB + MIB / 100 + 1 + KILLS * JOBS * ${PART%M}) * M)) ]
fi
is '… nothing else is left' "$(find . -name '.got*')" ''
rm -f big got

# outage HOW NAME WAY COMMAND…: in the middle of COMMAND, which must end well by itself.
outage() {
	local how=$1 name=$2 way=$3 pid; shift 3
	sent_at STOP "$way" $(($(passed "$way") + 20 * M)) "$@" >out 2>err &
	pid=$!
	until [[ $(state_of $pid) == [TZ] ]]; do sleep 0.05; done
	ok "$name: outage ($how) in the middle" [ "$(state_of $pid)" = T ]
	proxy outage "$OUTAGE" "$how"
	kill -CONT $pid
	wait $pid
	is '… is waited out' $? 0 || indent 'stderr: ' <err
}
random_file middle $((60 * M))
for how in refuse rst stall; do
	# Two attempts would be over long before; a stall is noticed by --timeout.
	wait_s=60
	[ $how != stall ] || wait_s=$((OUTAGE / 2))
	options=(--retries 2 --timeout "$wait_s" -j 4 --part-size 8M)
	[ $how != stall ] || options=(--timeout "$wait_s" -j 4 --part-size 8M)
	outage $how upload up "$R2" upload --key "$P/outage-$how" "${options[@]}" --multipart-threshold 10M middle
	ok '… the object' s3_is "$P/outage-$how" middle
	outage $how get down "$R2" get "${options[@]}" "$P/outage-$how" got
	ok '… the file' cmp got middle
	rm -f got
done
is 'outages leave no unfinished upload' "$(unfinished "$P/outage")" 0

# Every connection is cut at a random byte.
for how in fin rst; do
	proxy reset >zero
	proxy cut 200 $((12 * M)) $how $((CUTS / 2))
	count=0
	# As often as it takes to make all the cuts.
	while [ "$(cuts_made)" -lt $((CUTS / 2)) ] && [ $count -lt 20 ]; do
		via upload --key "$P/cut-$how" -j 4 --part-size 5M --multipart-threshold 6M middle 2>err || break
		count=$((count + 1))
	done
	ok "upload: $((CUTS / 2)) connections cut by $how" [ "$(cuts_made)" -ge $((CUTS / 2)) ] || indent 'stderr: ' <err
	ok '… the object' s3_is "$P/cut-$how" middle
	proxy reset >zero
	proxy cut 200 $((12 * M)) $how $((CUTS / 2))
	count=0
	while [ "$(cuts_made)" -lt $((CUTS / 2)) ] && [ $count -lt 20 ]; do
		rm -f got
		if ! via get -j 4 "$P/cut-$how" got 2>err || ! cmp got middle; then break; fi
		count=$((count + 1))
	done
	ok "get: $((CUTS / 2)) connections cut by $how" [ "$(cuts_made)" -ge $((CUTS / 2)) ] || indent 'stderr: ' <err
	proxy cut off
done
mkdir small
for i in {1..200}; do random_file "small/$i.bin" "$(between 1 120000)"; done
proxy reset >zero
proxy cut 200 1500000 rst
t 'upload: 200 files, connections cut all the time' 0 '' '…Complete: 200/200' via upload -r --no-date --prefix "$P/small" small
ok '… some were' [ "$(cuts_made)" -ge 5 ]
proxy cut off
t '… and back' 0 … … r2 get -q -r "$P/small/" back
ok '… the same' diff -r small back
rm -rf back middle

# A file that changes while it is sent: what is stored is one of its states.
cat >change.py <<'PY'
"""change.py FILE OPERATION MS: makes FILE of 12 MiB of "A", prints a line, waits for one, and changes it MS later."""
import os, sys, time
name, op, ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
MIB, N = 1 << 20, 12
with open(name, "wb") as f:
    f.write(b"A" * N * MIB)
with open(name + ".new", "wb") as f:
    f.write(b"B" * N * MIB)
time.sleep(0.05)
print("made", flush=True)
sys.stdin.readline()
time.sleep(ms / 1000)
fd = os.open(name, os.O_RDWR)
if op == "rewrite":
    for i in range(N):
        os.pwrite(fd, b"B" * MIB, i * MIB)
elif op == "truncate":
    os.ftruncate(fd, 5 * MIB + 12345)
elif op == "append":
    for i in range(5):
        os.pwrite(fd, b"B" * 4096, N * MIB + i * 4096)
elif op == "replace":
    os.rename(name + ".new", name)
PY
cat >judge.py <<'PY'
"""judge.py OPERATION AGAIN <OBJECT: succeeds when the object is a state that the file had; AGAIN: how often it was sent again."""
import re, sys
MIB, N, op, again = 1 << 20, 12, sys.argv[1], sys.argv[2] != "0"
data = sys.stdin.buffer.read()
a, b = data.count(b"A"), data.count(b"B")
sys.exit(not {
    "rewrite": lambda: data == b"B" * b + b"A" * a and len(data) == N * MIB and b % MIB == 0,
    "truncate": lambda: data == b"A" * a and a in (N * MIB, 5 * MIB + 12345),
    "append": lambda: data == b"A" * N * MIB + b"B" * b and b % 4096 == 0 and b <= 5 * 4096,
    "replace": lambda: data == b"B" * N * MIB or (not again and data == b"A" * N * MIB),
}[op]())
PY
operations=(rewrite truncate append replace)
change_round() { # NUMBER: writes "RC SENDS" into changing-N.rc
	local n=$1 op=${operations[$(($1 % 4))]} fd
	mkfifo "go-$n"
	python3 change.py "changing-$n" "$op" "$(between 0 120)" <"go-$n" >"made-$n" &
	exec {fd}>"go-$n"
	until [ -s "made-$n" ]; do sleep 0.02; done
	echo >&$fd
	r2 upload --key "$P/changing-$n" --timeout 5 --part-size 5M --multipart-threshold "$(between 6 20)M" "changing-$n" 2>"changing-$n.err"
	echo "$? $(grep -c 'sends it again' "changing-$n.err")" >"changing-$n.rc"
	exec {fd}>&-
	wait
	rm -f "go-$n" "made-$n" "changing-$n" "changing-$n.new"
}
senders=()
for ((n = 0; n < ROUNDS; n++)); do
	change_round $n &
	senders+=($!)
	[ $((n % 4)) != 3 ] || { wait "${senders[@]}"; senders=(); }
done
stored=0 refused=0 again=0 mixtures=0 lies=0
for ((n = 0; n < ROUNDS; n++)); do
	read -r rc sends <"changing-$n.rc"
	again=$((again + (sends > 0)))
	case $rc in
	0) stored=$((stored + 1)); s3_get "$P/changing-$n" | python3 judge.py "${operations[$((n % 4))]}" "$sends" || mixtures=$((mixtures + 1)) ;;
	*) refused=$((refused + 1)); ! grep -q 'Uploaded:' "changing-$n.err" || lies=$((lies + 1)) ;;
	esac
done
is "files that change ($stored stored, $again of them sent again, $refused refused): no mixtures" "$mixtures" 0
is '… and none that was refused is said to be stored' "$lies" 0
ok '… most of them came to rest and are stored' [ $stored -ge $((ROUNDS * 3 / 4)) ]
ok '… some did change under way' [ $again -gt 0 ]
is '… no unfinished upload is left' "$(unfinished "$P/changing")" 0
ok '… no journal is left' no_journals

# --move: what was sent goes, what changed stays.
random_file move.bin $((12 * M))
cp move.bin kept.bin
t '--move in parts' 0 '' '…Complete: 1/1' up --part-size 5M --multipart-threshold 6M --move move.bin
ok '… the file is gone' [ ! -e move.bin ]
ok '… the object' s3_is "$P/move.bin" kept.bin
exec 9>held.bin
echo one >&9
t '--move of what somebody still writes to' 1 '' '…held.bin: uploaded, but not removed: somebody has it open for writing…Complete: 0/1' up --move held.bin
echo two >&9
exec 9>&-
t '… once he has closed it' 0 '' '…Complete: 1/1' up --move held.bin
printf 'one\ntwo\n' >kept
ok '… all that he wrote is there' s3_is "$P/held.bin" kept
ok '… and gone here' [ ! -e held.bin ]

# Two at once, as when cron starts the next run while the last one sends: what the first holds of a file never replaces what the second has
# stored of its next state, and removed.
random_file late.bin $((12 * M))
random_file late.new 1000
proxy reset >zero
# shellcheck disable=SC2016
R2_ENDPOINT=$THROUGH bash -c 'kill -STOP $$; exec "$@"' first "$R2" upload --key "$P/late.bin" late.bin 2>first.err &
first=$!
until [[ $(state_of $first) == [TZ] ]]; do sleep 0.01; done
proxy signal STOP $first up $((4 * M))
kill -CONT $first
until [ "$(passed up)" -ge $((4 * M)) ] || [ "$(state_of $first)" = Z ]; do sleep 0.01; done
until [[ $(state_of $first) == [TZ] ]]; do sleep 0.01; done
cp late.new next
mv next late.bin
t 'a file that was replaced while another run sends it: the second --move' 0 '' '…Complete: 1/1' r2 upload --key "$P/late.bin" --move late.bin
kill -CONT $first
wait $first
is '… the first says that it did not' "$? $(grep -c 'Upload failed: late.bin: ' first.err)" '1 1'
ok '… the file is gone, and the object is what it was' s3_is "$P/late.bin" late.new
ok '… really' [ ! -e late.bin ]

# Trees.
mkdir -p tree/a/b/c tree/empty tree/.hidden 'tree/with space' tree/.r2-sync
for f in top.txt a/one.png a/b/two.PNG a/b/c/three.tmp .hidden/four .dot 'with space/five six'; do echo "$f" >"tree/$f"; done
ln -s ../top.txt tree/a/link.txt
ln -s .. tree/a/loop
ln -s nowhere tree/broken
ln -s "$T/tree/a/b" tree/dirlink
echo state >tree/.r2-sync/ledger
mkfifo tree/fifo
t '-r: a tree' 0 '' '…Complete: 10/10' up -r --prefix "$P/tree" tree
is '… its keys' "$(s3_keys "$P/tree/" | sort)" "$(printf "$P/tree/%s\n" top.txt a/one.png a/b/two.PNG a/b/c/three.tmp .hidden/four .dot \
	'with space/five six' a/link.txt dirlink/two.PNG dirlink/c/three.tmp | sort)"
ok '… an object' s3_is "$P/tree/a/b/two.PNG" tree/a/b/two.PNG
ok '… a file behind a link' s3_is "$P/tree/a/link.txt" tree/top.txt
for what in fifo broken loop; do ok "… $what is left out with a word" grep -q "Left out: .*$what" "$T/err"; done
deep=$(printf 'd%.0s' {1..250})
mkdir deep
echo x >deep/x
(cd -P deep && for _ in {1..17}; do mkdir "$deep" && cd -P "$deep" || exit; done) 2>/dev/null
t '-r: what cannot be looked at counts as not uploaded' 1 '' '…ERROR - Left out: …the path is too long…Complete: 1/2' up -r --prefix "$P/deep" deep
t '… but for what is excluded, where nothing is looked at' 0 '' '…Complete: 1/1' up -r --prefix "$P/deep" --exclude "$deep" deep
t '-r: several trees and files' 0 '' '…' up -r --prefix "$P/several" tree/a/b kept.bin
is '… keys' "$(s3_keys "$P/several/" | sort)" "$(printf "$P/several/%s\n" two.PNG c/three.tmp kept.bin | sort)"
t '-r: a file' 0 '' '…Complete: 1/1' up -r tree/top.txt
t 'a directory without -r' 1 '' '…-r…Complete: 0/1' up tree
t '-r: an empty directory' 1 '' '…nothing to upload…' up -r tree/empty
# SIGTERM with the first look into a directory of several.
stopped_in_tree() { strace -f -qq -o /dev/null -P tree -e trace=getdents64 -e inject=getdents64:signal=TERM:when=1 "$R2" upload -r --include '*.none' tree; }
t '-r: stopped in a tree' 143 '' '…Stopped…' stopped_in_tree
ok '… nothing is said of one that has not been seen whole' eval '! grep "nothing to upload" "$T/err"'
t '-r: a directory that is missing' 1 '' '…nope…' up -r nope
t '--key with two files' 2 '' … up --key x tree/top.txt kept.bin
t '--key with a tree' 2 '' … up -r --key "$P/onekey" tree/a/b
globs() { up -r -n --json "${@:2}" tree 2>/dev/null | python3 -c 'import json, sys
print(" ".join(sorted(json.loads(l)["key"].split("/", 1)[1] for l in sys.stdin)))'; }
is '--include by name' "$(globs x --include '*.png')" 'a/one.png'
is '--include by path, repeated' "$(globs x --include 'a/*.png' --include .dot)" '.dot a/one.png'
is '--exclude' "$(globs x --exclude '*.tmp' --exclude 'dirlink/*' --exclude '.*' --exclude 'a/*')" 'top.txt with space/five six'
is '… a directory, and all below it' "$(globs x --exclude '*.tmp' --exclude dirlink/ --exclude '.*' --exclude /a)" 'top.txt with space/five six'
is '--include and --exclude' "$(globs x --include '*.png' --exclude 'a/*')" ''
t '--include that matches nothing' 1 '' '…nothing to upload…' up -r --prefix "$P/nope" --include '*.nope' tree
is '… sends nothing' "$(s3_count "$P/nope")" 0

# Two files, one key: both are named, nothing is replaced.
mkdir -p clash/a clash/b
echo first >clash/a/same.txt
echo second >clash/b/same.txt
echo other >clash/b/other.txt
t '--flat: a clash' 1 '' '…ERROR…same.txt…same.txt…Complete: 2/3' up -r --flat --prefix "$P/flat" clash
is '… both are named' "$(grep -o '[ab]/same.txt' "$T/err" | sort -u | tr '\n' ' ')" 'a/same.txt b/same.txt '
is '… the keys' "$(s3_keys "$P/flat/" | sort)" "$(printf "$P/flat/%s\n" other.txt same.txt)"
mkdir -p pair/d
echo tree >pair/d/f
echo operand >pair/f
both() { up -r --prefix "$P/pair" "$@"; }
t '-r: a tree and a file, one key' 1 '' "…ERROR - pair/d/f and pair/f would both become $P/pair/f: the second is left out…Complete: 1/2" both pair/d pair/f
ok '… the first is there' s3_is "$P/pair/f" pair/d/f
t '… the other way round' 1 '' '…ERROR - pair/f and pair/d/f would both become…Complete: 1/2' both pair/f pair/d
t '-r: a file and the tree that it is in' 1 '' '…ERROR - pair/d/f is named twice…Complete: 1/2' both pair/d/f pair/d
t '… the other way round' 1 '' '…ERROR - pair/d/f is named twice…Complete: 1/2' both pair/d pair/d/f
t '… with --flat and --exclude, which leaves it out of the tree' 1 '' '…clash/b/same.txt and clash/a/same.txt would…Complete: 2/3' \
	both --flat --exclude /a clash clash/a/same.txt
t '-r: a tree that is named twice is sent once' 0 '' '…WARNING - pair/d is named more than once…Complete: 1/1' both pair/d pair/d
t '… with --move: what was not sent stays' 1 '' '…would both become…Complete: 1/2' both --move pair/d pair/f
ok '… both contents are somewhere' [ "$(s3_get "$P/pair/f") $(cat pair/f)" = 'tree operand' ]
mkdir nfc
nfc=$(printf 'caf\303\251.txt') nfd=$(printf 'cafe\314\201.txt')
echo composed >"nfc/$nfc"
echo decomposed >"nfc/$nfd"
if [ "$(find nfc -type f | wc -l)" = 2 ]; then
	t 'names that are one after Unicode normalisation' 1 '' '…ERROR…caf…caf…Complete: 1/2' up -r --prefix "$P/nfc" nfc
	is '… one object' "$(s3_count "$P/nfc/")" 1
fi

# Shards: every file in exactly one, by its path alone.
mkdir -p shards/deep
for i in {1..60}; do echo "$i" >"shards/$i"; echo "$i" >"shards/deep/$i"; done
shard() { up -r -n --json --shard "$1" shards 2>/dev/null | grep -o '"key":"[^"]*'; }
for n in 1 4; do
	for ((i = 1; i <= n; i++)); do shard $i/$n; done | sort >parts
	is "--shard of $n: together all" "$(wc -l <parts)" 120
	is '… and none twice' "$(uniq -d parts | wc -l)" 0
done
mkdir -p meet/a meet/b meet/c meet/d
for d in a b c d; do echo $d >meet/$d/same; done
meet() { up -r --flat --no-date --prefix "$P/meet" --shard "$1" meet >/dev/null 2>&1; echo $?; }
is '--shard with --flat: what becomes one key is seen by one of them' "$(printf '%s\n' "$(meet 1/2)" "$(meet 2/2)" | sort | paste -sd' ')" '0 1'
mixed() { for d in b c d; do for i in 1 2; do up -r -n --shard $i/2 meet/a meet/$d/same; done; done 2>&1 | grep -c 'would both become'; }
is '… of a file beside a tree, too' "$(mixed)" 3
is '--shard 0/4 is 4/4' "$(shard 0/4 | sort)" "$(shard 4/4 | sort)"
for i in 1 2 3 4; do ok "--shard $i/4 has a fair part" [ "$(shard $i/4 | wc -l)" -ge 15 ]; done
is '… by the path, not by its place' "$(cd shards && up -r -n --json --shard 2/4 . 2>/dev/null | grep -o '"key":"[^"]*' | sort)" "$(shard 2/4 | sort)"
t '--shard uploads its part' 0 '' "…Complete: $(shard 2/4 | wc -l)/…" up -r --prefix "$P/shard" --shard 2/4 shards
is '… that and no more' "$(s3_count "$P/shard/")" "$(shard 2/4 | wc -l)"

# --limit-rate: a lower bound of the time is the only thing to be sure of.
random_file rate.bin $((6 * M))
elapsed_ms() { local t=$(($(date +%s%N) / 1000000)); "$@"; took=$(($(date +%s%N) / 1000000 - t)); }
elapsed_ms t '--limit-rate: one file' 0 '' '…Complete: 1/1' up --limit-rate 2M rate.bin
ok "… takes its time" [ $took -ge 2700 ]
mkdir rate
for i in {1..12}; do random_file "rate/$i" $((M / 2)); done
t '--limit-rate: none at all is refused' 2 '' '…--limit-rate 0 would never finish…' up --limit-rate 0 rate.bin
elapsed_ms t '--limit-rate: many files' 0 '' '…Complete: 12/12' up -r --prefix "$P/rate" --limit-rate 2M rate
ok "… over all connections" [ $took -ge 2700 ]
elapsed_ms t '--limit-rate: in parts' 0 '' '…Complete: 1/1' up --prefix "$P/r2" --multipart-threshold 5M --part-size 5M --limit-rate 2M rate.bin
ok "… too" [ $took -ge 2700 ]
elapsed_ms t '--limit-rate: get' 0 … … r2 get --limit-rate 2M "$P/rate.bin" rate.got
ok "… too" [ $took -ge 2700 ]
ok '… the file' cmp rate.bin rate.got

# What is there already, and parts.
random_file there.bin $((7 * M))
random_file mine.bin $((12 * M))
s3_put "$P/cond.bin" there.bin
parts=(--part-size 5M --multipart-threshold 6M)
cond() { r2 upload --key "$P/cond.bin" "${parts[@]}" "$@" mine.bin; }
t '--if-exists fail, in parts' 1 '' '…there is an object…Complete: 0/1' cond --if-exists fail
t '--if-exists skip, in parts' 0 '' '…Skipped: …Complete: 1/1' cond --if-exists skip
ok '… the object stays' s3_is "$P/cond.bin" there.bin
t '--if-exists rename, in parts' 0 '' "…Uploaded: s3://$B/$P/cond-….bin…Complete: 1/1" cond --if-exists rename
ok '… the object stays' s3_is "$P/cond.bin" there.bin
ok '… the other one' s3_is "$(s3_keys "$P/cond-")" mine.bin
t '--if-exists rename again: is there already' 0 … '…Complete: 1/1' cond --if-exists rename
is '… two objects' "$(s3_count "$P/cond")" 2
t '--if-exists overwrite, in parts' 0 '' '…Complete: 1/1' cond
ok '… the object' s3_is "$P/cond.bin" mine.bin
t '--if-exists fail with the same content' 1 '' '…this content…' cond --if-exists fail
is '… no unfinished upload is left' "$(unfinished "$P/cond")" 0

# Standard input of a length nobody knows.
random_file stream $((20 * M + 1))
from_pipe() { head -c "$1" stream | r2 upload --key "$P/stream" "${@:2}" -; }
etag_of() { s3_head "$1" | sed -n 's/^[Ee][Tt]ag: "\(.*\)"/\1/p'; }
for size in 0 1 $((5 * M - 1)) $((5 * M)) $((5 * M + 1)) $((10 * M)) $((20 * M + 1)); do
	t "standard input: $size bytes in parts of 5 MiB" 0 '' '…Complete: 1/1' from_pipe $size --part-size 5M
	ok '… the object' s3_is "$P/stream" <(head -c $size stream)
done
is '… five parts' "$(etag_of "$P/stream" | cut -d- -f2)" 5
t 'standard input: its size is said, once it is known' 0 '' '…Uploading: standard input (3.00 MB)…' from_pipe $((3 * M))
t '… and else not' 0 '' '…Uploading: standard input
…' from_pipe $((6 * M)) --part-size 5M
t 'standard input: by default' 0 '' '…Complete: 1/1' from_pipe $((20 * M + 1))
ok '… the object' s3_is "$P/stream" <(head -c $((20 * M + 1)) stream)
from_long_pipe() { cat stream stream stream | r2 upload --key "$P/long" --part-size 50M -; }
t 'standard input: the part size that is usual for a file, asked for' 0 '' '…Complete: 1/1' from_long_pipe
is '… counts' "$(etag_of "$P/long" | cut -d- -f2)" 2
t '… for get, too' 0 … … r2 get -v --part-size 50M "$P/stream" got
is '… in one' "$(grep -c 'GET.*stream' "$T/err")" 1
rm got
slowly() { { head -c 3000000 stream; sleep 0.3; tail -c +3000001 stream | head -c 4000000; } | r2 upload --key "$P/slow" --part-size 5M -; }
t 'standard input that comes in bits' 0 '' '…Complete: 1/1' slowly
ok '… the object' s3_is "$P/slow" <(head -c 7000000 stream)
broken_input() {
	cat stream >fifo &
	strace -f -qq -o /dev/null -P "$T/fifo" -e trace=read -e inject=read:error=EIO:when=200 "$R2" upload --key "$P/sick" --part-size 5M - <fifo
}
mkfifo fifo
t 'standard input that cannot be read to its end' 1 '' '…read standard input: …Complete: 0/1' broken_input
is '… no object' "$(s3_status "$P/sick")" 404
is '… no unfinished upload is left' "$(unfinished "$P/s")" 0
# A FIFO may have another writer later, a terminal more lines: what was read up to the end is the input.
ended_input() {
	cat stream >fifo &
	strace -f -qq -o /dev/null -P "$T/fifo" -e trace=read -e inject=read:retval=0:when=200 "$R2" upload --key "$P/ended" --part-size 5M - <fifo
}
t 'standard input that ends is not read on' 0 '' '…Complete: 1/1' ended_input
s3_get "$P/ended" >got
ok '… the object' cmp -n "$(wc -c <got)" got stream
ok '… is what came before the end' [ -s got ]
rm got

# Limits.
for size in 0 4M 5242879 6G; do t "--part-size $size" 2 '' '…--part-size…5…' up --part-size $size kept.bin; done
for option in --part-size --multipart-threshold; do
	t "$option 5G" 2 '' "…$option: one request takes 5115M at most…" up $option 5G kept.bin
	t "… 5115M" 0 '' '…Complete: 1/1' up -n $option 5115M kept.bin
done
for j in 0 257 100000 -1 x; do t "-j $j" 2 '' … up -j $j kept.bin; done
for i in 5/4 1/0 0/0 1 1/ /4 a/b -1/4 1/4x; do t "--shard $i" 2 '' '…--shard…' up --shard=$i kept.bin; done
t '--limit-rate 0' 2 '' '…--limit-rate…' up --limit-rate 0 kept.bin
t '-j 256' 0 '' '…Complete: 1/1' up -j 256 kept.bin

# Many files with few descriptors: none is lost.
few_files() { ulimit -n 48; up -q -r --prefix "$P/few" small; }
t '200 files with 48 descriptors' 0 '' … few_files
is '… all' "$(s3_count "$P/few/")" 200

# Two processes, one file.
random_file twin $((40 * M))
"$R2" upload --key "$P/twin" "${parts[@]}" twin 2>twin.err & first=$!
t 'two processes on one file' 0 '' '…Complete: 1/1' r2 upload --key "$P/twin" "${parts[@]}" twin
wait $first
is '… both end well' $? 0
ok '… the object' s3_is "$P/twin" twin
is '… no unfinished upload is left' "$(unfinished "$P/twin")" 0
ok '… no journal is left' no_journals

# A place for journals that others could tamper with is passed over, with a warning.
mkdir -p open/r2
chmod 777 open/r2
t 'a state directory that others may write to' 0 '' '…WARNING…open/r2…others may write…Complete: 1/1' \
	env HOME="$T" XDG_STATE_HOME="$T/open" "$R2" upload --key "$P/open" "${parts[@]}" mine.bin
is '… is not used' "$(find open -type f)" ''
if [ "$(id -u)" = 0 ]; then
	mkdir -p foreign/r2
	chown 12345 foreign/r2
	t 'a state directory of somebody else' 0 '' '…WARNING…foreign/r2…another user…Complete: 1/1' \
		env HOME="$T" XDG_STATE_HOME="$T/foreign" "$R2" upload --key "$P/foreign" "${parts[@]}" mine.bin
fi
# A full disk under it must not stop an upload.
full() { mount -t tmpfs -o size=4k none "$T/full" && mkdir -p "$T/full/r2" && dd if=/dev/zero of="$T/full/fill" bs=4k 2>/dev/null
	XDG_STATE_HOME=$T/full "$R2" upload --key "$P/full" "${parts[@]}" mine.bin; }
mkdir full
if [ "$(id -u)" = 0 ]; then
	t 'a full disk under the state directory' 0 '' '…Complete: 1/1' full
	umount full
elif unshare -rm true 2>/dev/null; then
	export -f full
	export T P
	t 'a full disk under the state directory' 0 '' '…Complete: 1/1' unshare -rm bash -c 'parts=(--part-size 5M --multipart-threshold 6M); R2='"$R2"'; full'
else
	not_ok 'a full disk under the state directory: needs root or user namespaces'
fi
ok '… the object' s3_is "$P/full" mine.bin
finish
