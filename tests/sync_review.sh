#!/bin/bash
# r2 sync where a watcher goes wrong in small ways: what it says of itself, what it makes itself, how it ends, what it removes.
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
B=runpod
PID=
trap '[ -z "$PID" ] || kill -9 $PID 2>/dev/null; at_exit' EXIT
need_badserver
export R2_LOG_FILE=-
DAY=2025-12-29

object() { ctl "raw/$B/$1"; }
# wait_until COMMAND…: longer than any of it takes on a busy machine, and shorter than what it would take if it were wrong
wait_until() {
	local end=$((SECONDS + 60))
	until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
said() { grep -q -- "$1" "$T/log"; }
# A directory of its own for each case: new NAME; then $D is it and its keys are below $DAY/ of that prefix.
# Its log is empty before the daemon is there: what the one before said counts for nothing.
new() { D=$T/$1 R2_PREFIX=$1; export R2_PREFIX; mkdir -p "$D"; : >"$T/log"; bad; }
ended() { ! kill -0 $PID 2>/dev/null; }
start() { "$R2" sync --date $DAY --settle 0.1 "$@" >"$T/log" 2>&1 & PID=$!; }
begin() { start "$@"; wait_until idle; }
idle() { grep -q Watching: log && "$R2" sync ${STATE:+--state "$STATE"} --status --json "$D" | grep -q '"pending":0.*"state":"running"'; }
stop() { kill -TERM $PID; wait $PID; rc=$?; PID=; }

new metrics
begin --metrics "$T/prom" "$D"
bad 'put wait 0 seconds=600'
for i in 1 2 3; do echo $i >"$D/$i.png"; done
metric() { grep -q "^r2_sync_$1\$" "$T/prom"; }
ok '--metrics tell what waits' wait_until metric 'pending 3'
ln "$T/prom" "$T/read"
cp "$T/read" "$T/then"
bad
ok '… and when it has become what is uploaded' wait_until metric 'uploaded_total 3'
ok '… to who has opened them, what they were then' cmp "$T/read" "$T/then"
stop

new second
bad 'put wait 0 seconds=600'
unshare --pid --fork --kill-child "$R2" sync --settle 0 --drain 600 --timeout 600 --date $DAY "$D" >log 2>&1 & PID=$!
wait_until "$R2" sync --health "$D"
echo x >"$D/x.png"
wait_until said 'Uploading: x.png'
inner=$(cat "/proc/$PID/task/$PID/children")
kill -TERM "$inner"; wait_until said Stopping; sleep 0.3   # what comes sooner is the same signal, by whoever sends it to all
kill -TERM "$inner"
ok 'process 1 of a container: a second signal ends it at once' wait_until ended
kill -9 $PID 2>/dev/null; wait $PID 2>/dev/null
new poll
begin --poll --rescan 600 "$D"
echo x >"$D/x.png"
stop
is 'SIGTERM: what only a scan finds is uploaded before the end' "$(object poll/$DAY/x.png)" x
is '… and nothing is left over' $rc 0

new early
# With too few descriptors the first scan does not come to its end.
for n in {9..24}; do
	(ulimit -n "$n" && exec "$R2" sync --drain 1 "$D" -- touch "$T/started") >log 2>&1 & PID=$!
	wait_until eval 'ended || said "cannot go on scanning"'
	ended || break
done
ok 'with too few descriptors it waits' eval '! ended && said "cannot go on scanning" && [ ! -e "$T/started" ]'
kill -TERM $PID
ok '… SIGTERM before COMMAND was started' wait_until ended
kill -9 $PID 2>/dev/null; wait $PID; is '… its status' $? 143
ok '… and it never is' [ ! -e started ]
new hungry
for n in {9..24}; do
	run timeout 60 bash -c "ulimit -n $n && exec '$R2' sync --once --drain 1 '$D'"
	[[ $out != *'cannot go on scanning'* ]] || break
done
is '--once with too few descriptors ends' $rc 1
ok '… and says so' like "$out" '…Not all of …'
new restored
begin "$D"
echo one >"$D/x.png"; touch -d '2025-12-29 10:00' "$D/x.png"
has() { [ "$(object "$1")" = "$2" ]; }
ok 'a file' wait_until has restored/$DAY/x.png one
stop
echo two >"$D/x.png"; touch -d '2025-12-29 10:00' "$D/x.png"
begin "$D"
ok '… with other content, but size, time and inode as before (cp -p)' wait_until has restored/$DAY/x.png two
stop
new shared
mkdir "$D/one" "$D/two"
echo one >"$D/one/x.png"; echo two >"$D/two/x.png"
once() { r2 sync --once --settle 0 --date $DAY "$@" >log 2>&1; }
once --state "$T/state" "$D/one"; once --state "$T/state" "$D/two"
is 'two directories that take turns with one --state' "$(object shared/$DAY/x.png)" one
is '… the other one has its object too' "$(r2 ls -r1 shared/ | wc -l)" 2
t '--delete-after and --if-exists overwrite' 2 '' '…what is removed here would be overwritten there…' \
	r2 sync --once --delete-after --if-exists overwrite "$D/one"
new skipped
echo theirs | r2 upload -q --key skipped/$DAY/x.png -
echo mine >"$D/x.png"
t 'what --if-exists skip passes over is not counted as uploaded' 0 '…Skipped: …Stopped: 0 uploaded, 0 left over' '' \
	r2 sync --once --settle 0 --date $DAY --if-exists skip "$D"
new own
mkdir "$D/state"
STATE=$D/state
begin --all --state "$D/state" --log "$D/log" --metrics "$D/prom" "$D"
echo x >"$D/x"
ok '--all, with state, log and metrics in DIR' wait_until has own/$DAY/x x
wait_until grep -q 'uploaded_total 1$' "$D/prom"
stop
is '… of which nothing is uploaded' "$(r2 ls -r1 own/)" own/$DAY/x
is '… nor waited for' $rc 0
STATE=
new told
begin "$D"
echo x >"$D/$(printf 'bad\377.png')"
wait_until said FAILED
echo x >"$D/x.png"
wait_until said 'Uploaded: x.png'
ok '--status: why a file fails is not forgotten when another one succeeds' \
	eval '"$R2" sync --status "$D" | grep -q "^Failed: .*bad.*not valid UTF-8"'
stop

new unleased
chmod 777 "$D"
echo x >"$D/x.png"
setpriv --reuid 65534 --regid 65534 --clear-groups "$R2" sync --settle 0.1 --date $DAY --delete-after "$D" >log 2>&1 & PID=$!
ok "--delete-after, a file of another user: nobody knows who writes to it" wait_until said 'Uploaded: x.png'
stop
ok '… so it stays for a while' [ -e "$D/x.png" ]

# As a killed one's, when DIR is mounted read-only next time.
new stale
mkdir -m 777 "$D/.r2-sync"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$D/.r2-sync/socket"
touch -d yesterday "$D/.r2-sync/socket"
start "$D"
ok '--status: a socket without a daemon, in a place that cannot be used any more, does not hide the daemon' wait_until idle
stop
t '--delete-after: an age that is none is named' 2 '' '…not 1x and /…' "$R2" sync --delete-after 1x "$D"

# NFS has no rename that never replaces anything. The writer waits for the lease while the file is hidden.
new hidden
echo one >"$D/x.png"
strace -f -qq -e trace=renameat,renameat2 -e inject=renameat:delay_exit=10000000:when=1 -e inject=renameat2:error=EINVAL -o /dev/null \
	"$R2" sync --settle 0.1 --date $DAY --delete-after "$D" >log 2>&1 & PID=$!
wait_until eval 'ls "$D"/.r2-gone-*'
echo two >>"$(ls -d "$D"/.r2-gone-*)"
ok '--delete-after: what is written while it is taken away comes back and is uploaded' wait_until object "hidden/$DAY/x-$(printf 'one\ntwo\n' | md5sum | cut -c1-8).png"
pkill -TERM -P $PID
wait $PID; PID=

new crowded
strace -f -qq -e trace=accept4 -e inject=accept4:error=EMFILE -o calls "$R2" sync --settle 0.1 --date $DAY "$D" >log 2>&1 & PID=$!
wait_until test -S "$D/.r2-sync/socket"
"$R2" sync --status "$D" 2>/dev/null & asker=$!
wait_until test -s calls
sleep 1
kill $asker
ok 'who asks while no descriptor is left keeps no processor busy' eval '[ -s calls ] && [ "$(wc -l <calls)" -lt 100 ]'
pkill -TERM -P $PID
wait $PID; PID=

new unremoved
echo one >"$D/x.png"
strace -f -qq -e trace=unlinkat -e inject=unlinkat:error=EIO -o calls "$R2" sync --settle 0.1 --date $DAY --delete-after --once "$D" >log 2>&1
ok 'a removal that fails leaves the file where it was' eval 'grep -q EIO calls && [ -e "$D/x.png" ]'

# … nor may everybody remove what he may upload, which is said once.
new kept
echo one >"$D/x.png"
echo two >"$D/y.png"
strace -f -qq -e trace=renameat -e inject=renameat:error=EACCES -o calls "$R2" sync --settle 0.1 --date $DAY --delete-after --once "$D" >log 2>&1
is 'a directory where nothing may be removed: one warning' "$(grep -c 'WARNING: --delete-after: ..png stays.*: Permission denied' log)" 1
ok '… they stay' [ -e "$D/x.png" -a -e "$D/y.png" ]

# A log rotation, or new keys, right after the start: the daemon's first lock takes half a second here.
new early
strace -qq -e trace=flock -e inject=flock:delay_enter=500000:when=1 -o /dev/null "$R2" sync --settle 0.1 --date $DAY "$D" >log 2>&1 & PID=$!
wait_until said Watching
pkill -HUP -P $PID
echo x >"$D/x.png"
ok 'SIGHUP does not end a daemon that has just said that it watches' wait_until said 'Uploaded: x.png'
pkill -TERM -P $PID
wait $PID; PID=
finish
