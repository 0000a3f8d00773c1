#!/bin/bash
# What can be counted without a clock, each with its limit in one table: a change that makes it worse is seen here. The server is the sink
# (bench/sink.c), which asks nothing of the client that a store would not.
unset R2_TEST_SERVER_DIR
. "$(dirname "$0")/lib.sh"
ROOT=$TESTS/..
make --no-print-directory -s -C "$ROOT" build/bench/launch build/bench/r2-allocations >&2 || { not_ok 'what counts is built'; finish; }
need_server sink
cd "$T" || exit 1
export HOME=$T/home XDG_STATE_HOME=$T/state

# calls: system calls of all threads; requests and connections (full handshakes, the others resume); up, down: bytes on the wire, TLS and all,
# in KiB; allocations; memory: KiB at the peak, pages of the file with it, which one kernel maps in larger pieces than another. The limits are
# what it takes today and about a sixth more, as threads meet differently each time.
# To see what it takes: COUNTS=1 tests/counts.sh
TABLE='
work                     calls requests connections handshakes     up   down allocations memory
start                       13        0           0          0      0      0           0    500
start with a CA file        32        0           0          0      0      0          16    700
upload 1                   135        1           1          1      5      1          20    850
upload 100                3050      100           8          1    470     25         270   2300
upload 6 parts            4550        8           6          1  30900      5          65   2300
get 4 KiB                  130        2           1          1      2      6          20    850
get 16 MiB                2000        3           2          1      3  16500          33   1400
get 6 parts               4100        8           6          1      7  30900          65   2750
get 16 parts             33000       18           8          1     14 263500          75   3500
ls 10,000                  900       10           1          1      7   2300          25    950
cleanup 2,000              245        5           3          1    124    530          46   1450
'
FILE_MAX=29
BINARY_MAX=446000

declare -A calls
counts() { curl -s --cacert "$R2_CA_FILE" "$R2_ENDPOINT/-/counts" >"$T/$1"; }   # counts before|after
grew() { awk -v name="$1" '$1 == name { n = $2 - n } END { print n }' "$T/before" "$T/after"; }
kib() { echo $((($1 + 1023) / 1024)); }

# measure NAME COMMAND…: it succeeds under each of the three that count; got: what it took.
measure() {
	local name=$1; shift
	counts before
	ok "$name" "$ROOT/build/bench/launch" "$T/usage" "$R2" "$@" >"$T/out" || return
	counts after
	ok "$name, traced" strace -f -c -o "$T/calls" "$R2" "$@" >/dev/null || return
	ok "$name, allocations" env ALLOCATIONS="$T/allocations" "$ROOT/build/bench/r2-allocations" "$@" >/dev/null || return
	read -ra got < <(echo "$(awk '$NF == "total" { print $4 }' "$T/calls")" "$(grew requests)" "$(grew connections)" \
		$(($(grew connections) - $(grew resumed))) "$(kib "$(grew received)")" "$(kib "$(grew sent)")" \
		"$(cut -d' ' -f1 "$T/allocations")" "$(cut -d' ' -f3 "$T/usage")")
	[ -z "${COUNTS:-}" ] || printf '%-22s %7d %8d %11d %10d %6d %6d %11d %6d\n' "$name" "${got[@]}"
}
# least: of what was measured so far. Is it within the row?
within() {
	local i rc=0
	for i in "${!metrics[@]}"; do
		[ "${got[i]}" -ge "${least[i]:-999999999}" ] || least[i]=${got[i]}
		[ "${least[i]}" -le "${want[i]:--1}" ] || rc=1
	done
	return $rc
}
# count NAME COMMAND…: it stays within the table's row, each number once in three times: on a busy machine a server may note the first session
# only after the other workers have offered it, and all of them shake hands. What costs more costs it each time.
count() {
	local name=$1 want least=() i
	read -ra want < <(grep "^$name  " <<<"$TABLE" | cut -c23-)
	for i in 1 2 3; do
		measure "$@" || return
		! within || break
	done
	calls[$name]=${least[0]}
	for i in "${!metrics[@]}"; do
		ok "$name: ${metrics[i]}: ${least[i]}, at most ${want[i]:-?}" [ "${least[i]}" -le "${want[i]:--1}" ]
	done
}
read -ra metrics < <(sed -n 2p <<<"$TABLE" | cut -c23-)

mkdir few many home
head -c 409600 /dev/urandom | split -b 4096 -a 3 --additional-suffix=.png - many/
cp many/aaa.png few/
random_file part 31457280

count 'start' --version
# As large as a distribution's.
count 'start with a CA file' upload -q -n --ca-file "$ROOT/build/roots.pem" --key few few/aaa.png
count 'upload 1' upload -q -r --no-date --prefix few few
count 'upload 100' upload -q -r --no-date --prefix many many
count 'upload 6 parts' upload -q --part-size 5M --multipart-threshold 6M --key part part
count 'get 4 KiB' get -q pattern/4096 got
count 'get 16 MiB' get -q pattern/16777216 got
count 'get 6 parts' get -q pattern/31457280-5242880 got
count 'get 16 parts' get -q pattern/268435456-16777216 got
count 'ls 10,000' ls -r list-10000/
count 'cleanup 2,000' cleanup --prefix list-2000 --days 30

# Without what each start costs.
a_file=$(((${calls[upload 100]:-9999} - ${calls[upload 1]:-0}) / 99))
ok "system calls for one file more: $a_file, at most $FILE_MAX" [ "$a_file" -le $FILE_MAX ]

# What its checksum was made of is what is sent.
ok 'small files, traced' strace -f -e trace=pread64 -o reads "$R2" upload -q -r --no-date --prefix many many
is 'a small file is read once' "$(grep -c 'pread64(' reads)" 100

# What the programs beside us read stays in the page cache: of a large file each part leaves it once it is in the bucket.
ok 'parts, traced' strace -f -e trace=fadvise64 -o forgotten "$R2" upload -q --part-size 5M --multipart-threshold 6M --key part part
is 'each part is forgotten' "$(sed -n 's/.*fadvise64([0-9]*, \([0-9]*, [0-9]*\), POSIX_FADV_DONTNEED.*/\1/p' forgotten | sort -n)" \
	"$(for at in 0 5 10 15 20 25; do echo "$((at << 20)), $((5 << 20))"; done)"

# Records of a body go out four at once, but not those that come slowly: the server would see nothing for four times as long.
head -c 131072 /dev/urandom >slow
ok 'a slow body' strace -f -e trace=sendto -o sends "$R2" upload -q --key slow --limit-rate 100K slow
largest=$(awk '/sendto/ && $NF > n { n = $NF } END { print n + 0 }' sends)
ok "a slow body goes out a record at a time: at most $largest bytes" [ "$((largest / 1000))" -eq 16 ]

# A daemon with nothing to do: no thread wakes.
switches() { awk '/voluntary_ctxt_switches/ { n += $2 } END { print n }' /proc/"$1"/task/*/status; }
memory() { awk '/^Pss:/ { print $2 }' /proc/"$1"/smaps_rollup; }
mkdir -p parent/output
cp many/a[a-j]?.png parent/output
counts before
"$R2" sync -q --log - --settle 0 parent/output &
daemon=$!
arrived() { counts after; [ "$(grew puts)" = "$(find parent/output -name '*.png' | wc -l)" ]; }
until arrived; do kill -0 $daemon || break; sleep 0.05; done
# What it had to do is done: two seconds without a thread that woke. A timer that goes on for ever never lets that be.
quiet() {
	local end=$((SECONDS + 120)) last
	while [ "$SECONDS" -lt "$end" ]; do
		last=$(switches "$daemon")
		sleep 2
		[ "$(switches "$daemon")" != "$last" ] || return 0
	done
	return 1
}
ok 'sync has nothing to do: no thread wakes' quiet
idle=$(memory "$daemon")
ok "sync has nothing to do: memory: $idle, at most 2048" [ "$idle" -le 2048 ]
kill $daemon
wait $daemon
is 'sync ends' $? 0

bytes=$(stat -c %s "$R2")
ok "the binary: $bytes bytes, at most $BINARY_MAX" [ "$bytes" -le $BINARY_MAX ]
finish
