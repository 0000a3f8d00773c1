#!/bin/bash
# Every line of --json is what doc/r2.schema.json says.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
fits() { # NAME COMMAND DEFINITION… -- R2-ARGUMENT…: of its output
	local name=$1 words=()
	shift
	while [ "$1" != -- ]; do words+=("$1"); shift; done
	r2 "${words[0]}" --json "${@:2}" >lines 2>err
	ok "$name" python3 "$TESTS/schema.py" "${words[@]}" <lines || { cat lines err | indent ''; }
}
printf x >a.png
mkdir tree
random_file tree/b.png 300000
random_file big 12000000
cp a.png $'new\nline \\ "é'

fits "upload" upload upload_file -- --no-date --prefix "$P/up" --meta k=v a.png $'new\nline \\ "é' nope.png
is "… three lines" "$(wc -l <lines)" 3
is "… one failed" "$(grep -c '"status":"failed".*"error":' lines)" 1
fits "upload -r, parts" upload upload_file -- -r --no-date --prefix "$P/up" --part-size 5M --multipart-threshold 5M tree big
fits "upload --if-exists skip" upload upload_file -- --no-date --prefix "$P/up" --if-exists skip a.png
fits "upload --if-exists rename, the same" upload upload_file -- --no-date --prefix "$P/up" --if-exists rename a.png
is "… says so" "$(grep -c '"status":"same"' lines)" 1
fits "upload -n" upload upload_file -- -n --no-date --prefix "$P/up" a.png
fits "upload --key -" upload upload_file -- --key "$P/up/stdin" - <a.png
fits "upload --test" upload upload_test -- --test
fits "upload --test, failed" upload upload_test -- --test --bucket no-such-bucket --retries 1
fits "get" get get_file -- "$P/up/a.png" x
fits "get, parts" get get_file -- "$P/up/big" y
fits "get -r" get get_file -- -r "$P/up" down
fits "get -r again: skipped" get get_file -- -r "$P/up" down
fits "get, failed" get get_file -- "$P/none" x
fits "get -" get get_file -- "$P/up/a.png" /dev/full
fits "get --stat" get get_stat -- --stat "$P/up/a.png"
fits "get --presign" get get_url -- --presign 60 "$P/up/a.png"
fits "ls" ls ls_prefix ls_summary -- --summary "$P/"
fits "ls -r" ls ls_object ls_summary -- -r --summary "$P/"
fits "ls --top" ls ls_object -- -r --top 2 "$P/"
fits "ls --by-date" ls ls_day -- --by-date "$P"
fits "ls --by-date --cost" ls ls_day ls_cost -- --by-date --cost "$P"
fits "ls --cost" ls ls_cost -- --cost "$P"
s3 POST "$P/unfinished" -H 'Content-Length: 0' --url-query uploads= -o /dev/null
fits "ls --uploads" ls ls_upload ls_summary -- --uploads --summary "$P/unfinished"
until [ "$(date +%s)" -gt $(($(date -d "$(sed -n 's/.*"started":"\([^"]*\)".*/\1/p' lines)" +%s) + 1)) ]; do sleep 0.1; done
fits "cleanup --uploads -n" cleanup cleanup_upload cleanup_summary -- --uploads=1s -n --prefix "$P"
fits "cleanup --uploads" cleanup cleanup_upload cleanup_summary -- --uploads=1s --prefix "$P"
s3_put "$P/2025-01-01/old" a.png
fits "cleanup -n" cleanup cleanup_file cleanup_summary -- --days 30 -n --prefix "$P"
fits "cleanup" cleanup cleanup_file cleanup_summary -- --days 30 --prefix "$P"
r2 cleanup -q --lifecycle set --days 3 --prefix "$P"
fits "cleanup --lifecycle show" cleanup cleanup_rule -- --lifecycle show
r2 cleanup -q --lifecycle remove --prefix "$P"

mkdir watched
cp a.png watched/a.png
cp a.png $'watched/bad\377.png'
exec 9>watched/open.png
fits "sync" sync sync_file -- --once --settle 0 --drain 1 --log - --prefix "$P/sync" watched
# What failed may be tried once more before it gives up.
is "… one uploaded, one failed" "$(grep -c '"status":"uploaded".*"etag":' lines) $(grep '"status":"failed".*"error":' lines | sort -u | wc -l)" "1 1"
exec 9>&-
is "… each that is left over" "$(sed -n 's/.*watched\/\(...\).*"status":"left".*"error":"\([^"]*\)".*/\1 \2/p' lines | sort)" 'bad failed
ope still open for writing'
mkdir closed
printf x >closed/closed.png
mkdir closed/below
chmod 0 closed/closed.png closed/below
[ "$(id -u)" != 0 ] || confined=(setpriv "--bounding-set=-dac_override,-dac_read_search")
"${confined[@]}" "$R2" sync --json --once --settle 0 --drain 1 --log - --prefix "$P/sync" closed >lines 2>/dev/null
ok "sync, a file that cannot be opened" python3 "$TESTS/schema.py" sync sync_file <lines
is "… failed, and why" "$(grep -m 1 -c '"status":"failed".*"error":"cannot be read: Permission denied"' lines)" 1
is "… and that there may be more" "$(tail -n 1 lines)" "{\"file\":\"$T/closed\",\"status\":\"left\",…,\"error\":\"not all of it was looked at: there may be more\",…}"
s3_put "$P/skip/$(date +%F)/there.png" big
mkdir skipped
cp a.png skipped/there.png
fits "sync --if-exists skip" sync sync_file -- --once --settle 0 --log - --prefix "$P/skip" --if-exists skip skipped
is "… says so" "$(grep -c '"status":"skipped"' lines)" 1
"$R2" sync -q --settle 0 --log - --prefix "$P/sync" watched &
until r2 sync --status watched 2>/dev/null | grep -q 'bad'; do kill -0 $! || break; sleep 0.05; done
fits "sync --status" sync sync_status -- --status watched
is "… and why one fails" "$(grep -c '"last_error":"bad' lines)" 1
kill -TERM $!
wait $! 2>/dev/null

# The test would notice.
refused() { ok "refused: $2" sh -c '! echo "$2" | python3 "$0/schema.py" "$1"' "$TESTS" "$1" "$2" >/dev/null 2>&1; }
refused ls '{"key":"a","size":-1,"modified":"2025-12-29T10:00:00Z","etag":"","storage_class":"STANDARD"}'
refused ls '{"key":"a","size":"1","modified":"2025-12-29T10:00:00Z","etag":"","storage_class":"STANDARD"}'
refused ls '{"key":"a","size":1,"modified":"2025-12-29 10:00:00","etag":"","storage_class":"STANDARD"}'
refused ls '{"key":"a","size":1,"modified":"2025-12-29T10:00:00Z","etag":""}'
refused ls '{"prefix":"a","new":1}'
refused ls '{"prefix":"a","prefix":"b"}'
refused get '{"prefix":"a/"}'
refused ls '[]'
finish
