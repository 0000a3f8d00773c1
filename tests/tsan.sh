#!/bin/bash
# Everything that has threads, end to end, many at once; for `make tsan`, where R2 is the build that tells of races between them.
. "$(dirname "$0")/lib.sh"
need_server
cd "$T" || exit 1
beside proxy.port python3 "$TESTS/faultproxy.py" "${R2_ENDPOINT#https://}"
read -r port control <proxy.port
proxy() { exec 3<>"/dev/tcp/127.0.0.1/$control"; echo "$*" >&3; read -r _ <&3; exec 3>&-; }

mkdir races tree
TOLD="exitcode=66 history_size=4 die_after_fork=0"
export TSAN_OPTIONS="log_path=$T/races/r $TOLD" XDG_STATE_HOME=$T/state
export R2_PREFIX=$P R2_LIMIT_S=300
random_file large.bin $((48 << 20))
random_file seed.bin 20000
for ((i = 0; i < 80; i++)); do mkdir -p "tree/$((i % 7))"; { echo $i; cat seed.bin; } >"tree/$((i % 7))/$i.png"; done
same() { diff -r "$1" "$2"; }
# no_race NAME: what the commands before said about themselves
no_race() { is "$1: no race" "$(cat races/* 2>/dev/null | head -n 200)" ''; rm -f races/*; }

ok 'it would be told' [ "$(readelf -sW "$R2" | grep -c __tsan_init)" != 0 ]
ok 'upload: parts' r2 upload -q -j 8 --part-size 5M --multipart-threshold 6M --key "$P/large" large.bin
ok '… a tree' r2 upload -q -j 8 -r --no-date --prefix "$P/tree" tree
ok '… a stream' r2 upload -q -j 8 --part-size 5M --key "$P/stream" - <large.bin
ok '… at a rate' r2 upload -q -j 8 --limit-rate 40M --part-size 5M --multipart-threshold 6M --key "$P/rate" --progress always large.bin 2>/dev/null
no_race upload
ok 'get: ranges' r2 get -q -j 8 --part-size 5M "$P/large" got
ok '… are right' cmp large.bin got
r2 get -q -j 8 --part-size 5M "$P/large" - 2>/dev/null | cmp - large.bin
is '… to a pipe' "${PIPESTATUS[*]}" '0 0'
ok '… a tree' r2 get -q -j 8 -r "$P/tree/" back
ok '… is right' same tree back
no_race get

# Cut connections and refusals: attempts, brake, a new session for each.
proxy cut 2000000 20000000 rst
export R2_ENDPOINT=https://127.0.0.1:$port
ok 'cut connections: upload' r2 upload -q --retries 20 -j 8 --part-size 5M --multipart-threshold 6M --key "$P/cut" large.bin
ok '… get' r2 get -q --retries 20 -j 8 --part-size 5M "$P/cut" got2
ok '… are right' cmp large.bin got2
proxy cut off
no_race 'cut connections'

# The daemon shuts itself out of races/: what it says is in its log.
mkdir watched
TSAN_OPTIONS=$TOLD "$R2" sync -j 8 --settle 0.1 --part-size 5M --multipart-threshold 6M --log - --all watched >sync.log 2>&1 &
for turn in 1 2 3; do
	cp -r tree "watched/$turn"
	cp large.bin "watched/$turn/film.mp4"
	r2 sync --status watched >status.log 2>&1
	for f in watched/1/0/*; do echo "$turn" >>"$f"; done
done
kill -HUP $!
until grep -q film.mp4 sync.log || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
kill -TERM $!
wait $!
ok 'sync: ends' [ $? != 66 ]
is '… no race' "$(grep -A 60 ThreadSanitizer sync.log)" ''
t '… and is done at the second time' 0 … … r2 sync -j 8 --once --log - --all watched
no_race sync

ok 'ls' [ "$(r2 ls -j 8 -r "$P/" | wc -l)" -ge 320 ]
ok 'cleanup' r2 upload -q -j 8 -r --date 2020-01-01 --prefix "$P/old" tree
is '… deletes them' "$(r2 cleanup -j 8 --days 30 --prefix "$P/old" 2>&1)" 'Deleted 80 files…'
no_race 'ls, cleanup'

R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED} python3 "$TESTS/signals.py" "${STRESS:-20}" || FAILED=1
no_race 'signals'
finish
