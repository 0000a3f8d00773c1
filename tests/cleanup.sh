#!/bin/bash
# r2 cleanup end to end: what goes and what stays, compared with an oracle too (oracle.py). The objects are put by curl.
. "$(dirname "$0")/lib.sh"
need_server
cd "$T" || exit 1
printf x >x
: >empty
export XDG_STATE_HOME=$T/state

day() { date -d "$(date +%F) $1 days" +%F; }       # day -30: the date of so many days from today
sweep() { r2 cleanup --prefix "$P/out" "$@"; }
# fill KEY…, below the prefix
fill() { local k; for k; do s3_put "$P/out/$k" x; done; }
# there: what is below the prefix, one key a line
there() { r2 ls -1r "$P/out/" | sed "s|^$P/out/||" | sort | tr '\n' ' '; }
# A time zone whose day begins at that instant.
zone_from() {
	local west=$(($1 % 86400)) sign=+
	[ $west -le 43200 ] || { west=$((86400 - west)); sign=-; }
	printf 'XXX%s%d:%02d:%02d' $sign $((west / 3600)) $((west / 60 % 60)) $((west % 60))
}
wait_past() { until [ "$(date +%s)" -gt "$1" ]; do sleep 0.1; done; }
aborted() { ! s3 GET "?prefix=$P&uploads=" | grep -q "$1"; }   # aborted UPLOAD-ID

# What the old script was for, and what it did besides.
OLD=$(day -31) EDGE=$(day -30) TODAY=$(day 0)
young=("$EDGE/edge" "$TODAY/today" "$(day 3)/future" 1.png 2024/x .keep/x 2025-02-30/x 2025-1-3/x 2025-01-01x/y sub/2025-01-01/x)
fill "$OLD/a" "$OLD/b/c" 2024-02-29/leap "${young[@]}"
s3_put "$P/outer/2025-01-01/x" x
s3_put "$P/2025-01-01/x" x
t '-n: what would go' 0 "20… $P/out/2024-02-29/leap
20… $P/out/$OLD/a
20… $P/out/$OLD/b/c
Would delete 3 files older than 30 days (3 Bytes, all before $EDGE), which saves \$0.0000 a month at R2's prices" '' sweep --days 30 -n
t '… as JSON' 0 "{\"key\":\"$P/out/2024-02-29/leap\",\"size\":1,\"modified\":\"20…Z\",\"status\":\"would-delete\"}
…{\"before\":\"$EDGE\",\"would_delete\":3,\"bytes\":3,\"saves_micro_usd\":0,\"failed\":0}" '' sweep --days 30 -n --json
t '… with -q: silence' 0 '' '' sweep --days 30 -n -q
t '--max-delete: nothing at all' 1 'Deleted 0 files older than 30 days' \
	'…ERROR - 3 files would go, more than --max-delete 2: nothing is deleted' sweep --days 30 --max-delete 2
t '--max-delete with -n says so too' 1 '…Would delete 3 files…' '…more than --max-delete 2…' sweep --days 30 --max-delete 2 -n
is '… and all is still there' "$(there | wc -w)" $((${#young[@]} + 3))
t '--days' 0 'Deleted 3 files older than 30 days' '' sweep --days 30 --max-delete 3
is '… exactly these' "$(there)" "$(printf '%s\n' "${young[@]}" | sort | tr '\n' ' ')"
ok "… and nothing beside the prefix" [ "$(s3_count "$P/outer/")$(s3_count "$P/2025-01-01/")" = 11 ]
t '… again' 0 'Deleted 0 files older than 30 days' '' sweep --days 30
t '--before' 0 "Deleted 1 files before $(day -1)" '' sweep --before "$(day -1)"
fill "$OLD/q"
t '-q: silence' 0 '' '' sweep --days 30 -q
fill "$OLD/j"
t '--json' 0 "{\"key\":\"$P/out/$OLD/j\",…\"status\":\"deleted\"}
{\"before\":\"$EDGE\",\"deleted\":1,\"bytes\":1,\"failed\":0}" '' sweep --days 30 --json
fill "$OLD/a" "$OLD/v"
t '-v: every file' 0 'Deleted 2 files older than 30 days' "…DEBUG - Deleted: $P/out/$OLD/a
…DEBUG - Deleted: $P/out/$OLD/v…" sweep --days 30 -v
fill "$(day -1)/y" "$TODAY/t"
t '--days 0, written out: all before today' 0 'Deleted 1 files older than 0 days' '' sweep --days 0
ok '… today stays' s3_is "$P/out/$TODAY/t" x

# What is kept, and where.
fill 2025-01-01/{a.keep,b,final/c,'[d]'} 2025-01-02/e
t '--keep, several' 0 'Deleted 2 files …' '' sweep --days 30 --keep '*.keep' --keep '*/final/*' --keep '\[d\]'
for k in a.keep final/c '[d]'; do ok "… $k stays" s3_is "$P/out/2025-01-01/$k" x; done
fill 2025-01-01/final/sub/d 2025-01-02/final/e
t '--keep, a folder' 0 'Deleted 1 files …' '' sweep --days 30 --keep '*.keep' --keep "$P/out/2025-01-01/final/" --keep '\[d\]'
for k in s3://$R2_BUCKET/$P/out/2025-01-01/a.keep R2://x/y; do
	t "--keep $k: refused, not passed over" 2 '' "r2 cleanup: key $k: begins with ${k%%//*}//: the bucket belongs into --bucket" sweep --days 30 --keep "$k"
done
fill $'2025-01-03/cafe\xcc\x81.png'
t '--keep, in another spelling of the key' 0 'Deleted 0 files …' '' sweep --days 30 --keep $'caf\xc3\xa9*' --keep '2025-01-0[12]/'
sweep --days 30 -q --keep '2025-01-0[12]/'
ok '… all below it stays' [ "$(s3_count "$P/out/2025-01-01/final/")" = 2 ]
s3_put "$P/one/2025-01-01/x" x
s3_put "$P/two/deep/2025-01-01/x" x
t '--max-delete counts over all of --prefix' 1 'Deleted 0 files …' '…2 files would go, more than --max-delete 1: …' \
	r2 cleanup --days 30 --prefix "$P/one" --prefix "$P/two/deep" --max-delete 1
t '--prefix, several' 0 'Deleted 2 files …' '' r2 cleanup --days 30 --prefix "$P/one" --prefix "$P/two/deep"
s3_put "$P/one/2025-01-01/x" x
t '--prefix with a slash behind' 0 'Deleted 1 files …' '' r2 cleanup --days 30 --prefix "$P/one//"
s3_put "$P/one/2025-01-01/y" x
R2_PREFIX=/$P/one/ t 'R2_PREFIX, as upload takes it' 0 'Deleted 1 files …' '' r2 cleanup --days 30
S3_BUCKET=$R2_BUCKET2 s3_put "2025-01-01/$P" x
S3_BUCKET=$R2_BUCKET2 s3_put "outputs/2025-01-01/$P" x
t "--prefix ''" 0 'Deleted 1 files …' '' r2 cleanup --days 30 --bucket "$R2_BUCKET2" --prefix ''
S3_BUCKET=$R2_BUCKET2 s3 DELETE "outputs/2025-01-01/$P"

# By each object's own time: the day begins between two uploads.
s3_put "$P/mod/a" x
s3_put "$P/mod/2099-01-01/b" x
begin=$(($(date -d "$(s3_head "$P/mod/2099-01-01/b" | sed -n 's/^last-modified: //Ip')" +%s) + 1))
wait_past $begin
s3_put "$P/mod/c" x
TZ=$(zone_from $begin) t '--by modified' 0 'Deleted 2 files older than 0 days' '' r2 cleanup --by modified --days 0 --prefix "$P/mod"
is '… not the one of today' "$(s3_keys "$P/mod/")" "$P/mod/c"
t '--by modified: nothing is old' 0 'Deleted 0 files …' '' r2 cleanup --by modified --days 1 --prefix "$P/mod"

# Many: more than a request, more than a page.
s3_fill "$P/out/2025-03-0[1-5]/k[001-500]" x
both() { sweep --days 30 >one.out & sweep --days 30 >two.out && wait $!; }
# moto's listing fails when objects go meanwhile (InternalError); then it is asked again.
said=''
! server_is moto || said='…'
t 'two at once do no harm' 0 '' "$said" both
is '… and all 2,500 are gone' "$(r2 ls -r "$P/out/" | grep -c /2025-03-)" 0
is '… each said what it did' "$(cat one.out two.out)" 'Deleted … files older than 30 days
Deleted … files older than 30 days'

# cron: nothing but a file.
fill "$OLD/cron"
printf '%s\n' "R2_ENDPOINT=$R2_ENDPOINT" "R2_BUCKET=$R2_BUCKET" "R2_CA_FILE=$R2_CA_FILE" "R2_ACCESS_KEY_ID=$R2_ACCESS_KEY_ID" \
	"R2_SECRET_ACCESS_KEY=$R2_SECRET_ACCESS_KEY" "R2_PREFIX=$P/out" TZ=UTC >cron.env
chmod 600 cron.env
t 'an empty environment, --env-file' 0 'Deleted 1 files older than 30 days' '' env -i "$R2" cleanup --days 30 --env-file cron.env

# Unfinished uploads. MinIO lists only those of one whole key; with moto each began in 2010.
if ! server_is minio moto; then
	random_file big 12000000
	stray=$(curl -s --cacert "$R2_CA_FILE" -X POST --aws-sigv4 aws:amz:auto:s3 --user "$R2_ACCESS_KEY_ID:$R2_SECRET_ACCESS_KEY" \
		-H 'Content-Length: 0' -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$R2_ENDPOINT/$R2_BUCKET/$P/out/stray?uploads=" |
		sed -n 's|.*<UploadId>\([^<]*\)</UploadId>.*|\1|p')
	"$R2" upload -q --key "$P/out/big" --part-size 5M --multipart-threshold 6M --limit-rate 500K big 2>/dev/null &
	until s3 GET "?prefix=$P&uploads=" | grep -q out/big && [ -n "$(find "$XDG_STATE_HOME/r2" -name '*.upload' -size +0)" ]; do
		kill -0 $! || break
		sleep 0.1
	done
	kill -9 $!; wait $! 2>/dev/null
	wait_past $(($(date +%s) + 2))
	t '--uploads: none is a week old' 0 'Aborted 0 unfinished uploads older than 7d' '' sweep --uploads
	t '--uploads AGE -n' 0 "… UPLOAD $P/out/stray
Would abort 1 unfinished uploads older than 1s" "…INFO - Not aborted: $P/out/big: $XDG_STATE_HOME/r2/….upload goes on with it" sweep --uploads 1s -n
	journal=$(find "$XDG_STATE_HOME/r2" -name '*.upload')
	mv "$journal" whole
	for before in 1 2999 6000 6100 6143; do   # wherever in the file its id is, also behind a crash's zero bytes
		{ head -c $((before / 2)) /dev/zero; head -c $((before - before / 2)) <(yes); cat whole; } >"$journal"
		t "… $before bytes before it" 0 … '…Not aborted…' sweep --uploads 1s -n
	done
	mv whole "$journal"
	t '… that cannot be read now' 0 … '…Not aborted…' env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -P "$journal" \
		-e trace=read -e inject=read:error=EIO "$R2" cleanup --prefix "$P/out" --uploads 1s -n
	t '--uploads AGE --keep' 0 'Aborted 0 unfinished uploads older than 1s' … sweep --uploads 1s --keep stray
	t '--uploads AGE and --days' 0 'Deleted 0 files older than 30 days
Aborted 1 unfinished uploads older than 1s' "…Not aborted: $P/out/big…" sweep --uploads=1s --days 30
	ok '… the stray one is gone' aborted "$stray"
	t '… and the other can go on' 0 '' '…Complete: 1/1' r2 upload --key "$P/out/big" --part-size 5M --multipart-threshold 6M big
fi

# A bucket that keeps versions.
versions=cleanup-versions-$$
if ! server_is versitygw && S3_BUCKET=$versions s3 PUT '' -f -o /dev/null; then
	printf '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>' >v.xml
	S3_BUCKET=$versions s3 PUT '?versioning=' -f -T v.xml -H "Content-MD5: $(openssl md5 -binary v.xml | base64)"
	S3_BUCKET=$versions s3_put outputs/2025-01-01/x x
	t 'a bucket that keeps versions: says what remains' 0 'Deleted 1 files older than 30 days' '…WARNING - The bucket keeps versions: …delete markers…' \
		r2 cleanup --bucket "$versions" --days 30
	t '… and is done' 0 'Deleted 0 files …' '' r2 cleanup --bucket "$versions" --days 30
fi

# The bucket's own rules.
rules() { S3_BUCKET=$R2_BUCKET2 s3 "$1" '?lifecycle=' -f "${@:2}"; }
lifecycle() { r2 cleanup --bucket "$R2_BUCKET2" --lifecycle "$@"; }
if ! server_is versitygw; then
	rules DELETE
	t '--lifecycle show: none' 0 '' '…no lifecycle rules…' lifecycle show
	t '--lifecycle set' 0 '' '…INFO - Rule set: r2-cleanup-outputs: …below "outputs/"…30 days after each object…upload…' lifecycle set --days 30
	t '--lifecycle show' 0 '* r2-cleanup-outputs: below "outputs/": deletes them after 30 days' '' lifecycle show
	t '… as JSON' 0 '{"rule":"r2-cleanup-outputs","prefix":"outputs/","status":"enabled","delete_days":30}' '' lifecycle show --json
	t '… again: nothing to do' 0 '' '…set already…' lifecycle set --days 30
	# One of somebody else's, beside ours.
	rules GET | sed 's|</LifecycleConfiguration>|<Rule><ID>theirs \&amp; more</ID><Filter><Prefix>a\&lt;b/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>7</Days></Expiration></Rule>&|' >rules.xml
	rules PUT -T rules.xml -H "Content-MD5: $(openssl md5 -binary rules.xml | base64)"
	theirs=$(rules GET | grep -o '<Rule>.*' | sed 's|</Rule>|&\n|g' | grep theirs)
	ok 'a rule of somebody else' [ -n "$theirs" ]
	t '--lifecycle set, other rules stay' 0 '' '…Rule set: r2-cleanup-outputs: … 60 days …' lifecycle set --days 60
	is '… byte for byte' "$(rules GET | grep -o '<Rule>.*' | sed 's|</Rule>|&\n|g' | grep theirs)" "$theirs"
	t '… with another prefix: a rule of its own' 0 '' '…Rule set: r2-cleanup-a<b & c: …' lifecycle set --days 5 --prefix 'a<b & c'
	t '… three' 0 '…r2-cleanup-a<b & c: below "a<b & c/": deletes them after 5 days…' '' lifecycle show
	is '… rules' "$(wc -l <"$T/out")" 3
	t '--lifecycle remove' 0 '' '…Rule removed: r2-cleanup-outputs' lifecycle remove
	t '… again' 0 '' '…no rule r2-cleanup-outputs…' lifecycle remove
	is '… theirs stays' "$(rules GET | grep -o '<Rule>.*' | sed 's|</Rule>|&\n|g' | grep theirs)" "$theirs"
	rules DELETE
	lifecycle set --days 5 -q
	t '… the last one' 0 '' '…Rule removed…' lifecycle remove
	is '… leaves no configuration' "$(S3_BUCKET=$R2_BUCKET2 s3 GET '?lifecycle=' | grep -o NoSuchLifecycleConfiguration | head -1)" NoSuchLifecycleConfiguration
fi

# Wrong usage deletes nothing: nobody is asked.
usage() { R2_ENDPOINT=https://192.0.2.1 t "$1" 2 '' "r2 cleanup: …$2…" r2 cleanup "${@:3}"; }
usage 'neither --days nor --before' 'Say --days N or --before'
usage 'both' 'one of them' --days 3 --before 2025-01-01
usage '--days -1' '--days: -1 is not a number' --days -1
usage '--days 1e3' '--days: 1e3 is not a number' --days 1e3
usage '--days 30x' '--days: 30x is not a number' --days 30x
usage '--days 99999999999' 'is not between 0 and 36500' --days 99999999999
usage '--days 36501' 'is not between' --days 36501
usage '--days, empty' '--days: ""' --days ''
usage '--days " 30"' '--days:' --days ' 30'
usage '--before 2025-13-01' 'is not a date' --before 2025-13-01
usage '--before 2025-02-29' 'is not a date' --before 2025-02-29
usage '--before today' 'must be earlier' --before "$TODAY"
usage '--before the future' 'must be earlier' --before "$(day 1)"
usage '--prefix /' 'no slashes at its ends' --days 30 --prefix /
usage '--prefix //' 'no slashes at its ends' --days 30 --prefix //
usage 'a prefix twice, once with a slash' 'one contains the other' --days 30 --prefix a --prefix a/
usage '--prefix with a slash in front' 'no slashes at its ends' --days 30 --prefix /outputs
usage '--prefix with two slashes' 'nor two together' --days 30 --prefix a//b
usage '--prefix ..' '".." segment' --days 30 --prefix a/../b
usage '--prefix with a star' 'not a pattern' --days 30 --prefix 'out*'
usage '--prefix with a set' 'not a pattern' --days 30 --prefix 'out[ab]'
usage '--prefix with a date' 'a date in it' --days 30 --prefix outputs/2025-01-01
usage '--prefix with what looks like a date' 'a date in it' --days 30 --prefix 2025-02-30/x
usage '--prefix of 1,020 bytes' 'longer than that of any key' --days 30 --prefix "$(printf '%01020d' 0)"
usage '--prefix, no UTF-8' 'UTF-8' --days 30 --prefix $'\xff'
usage 's3:// as prefix' 'begins with s3://' --days 30 --prefix s3://bucket/outputs
usage 'a prefix twice' 'one contains the other' --days 30 --prefix a --prefix a
usage '--by modified, one prefix below another' 'one contains the other' --days 30 --by modified --prefix a --prefix a/b
R2_PREFIX='' usage 'R2_PREFIX empty: must be said' "say --prefix ''" --days 30
usage 'an operand' 'no operands' --days 30 outputs
usage 'a pattern that the shell expands' 'b.png: …a pattern must be quoted' --days 30 --keep a.png b.png
usage '--keep, empty' 'the pattern is empty' --days 30 --keep ''
usage '--max-delete -1' '--max-delete' --days 30 --max-delete -1
usage '--by size' 'none of date|modified' --days 30 --by size
usage '--uploads 7x' '7x' --uploads=7x
usage '--uploads 0' 'not between 1' --uploads 0s
usage '--max-delete without files' 'are about files' --uploads --max-delete 3
usage '--ia-days alone' '--lifecycle set' --days 30 --ia-days 3
usage '--lifecycle set without --days' '--days is missing' --lifecycle set
usage '--lifecycle set --days 0' '1 day' --lifecycle set --days 0
usage '--lifecycle show --days' 'no --days' --lifecycle show --days 3
usage '--lifecycle set --keep' 'knows no more' --lifecycle set --days 3 --keep x
usage '--ia-days not below --days' 'less than --days' --lifecycle set --days 3 --ia-days 3
usage '--lifecycle off' 'none of show' --lifecycle off

ok 'the oracle has the program' [ -x "$TESTS/../build/musl/t_sweep" ]
if server_is radosgw; then
	for part in "pure $TESTS/../build/musl/t_sweep" "store $R2"; do
		read -r kind program <<<"$part"
		python3 "$TESTS/oracle.py" "$kind" "$program" >oracle.out || ok "oracle $kind" false
		PASSED=$((PASSED + $(grep -c '^ok' oracle.out)))
		cat oracle.out
	done
fi
# Nobody reads any more, from the first row on, and SIGPIPE is ignored, as below systemd: no folder more is asked for.
s3_fill "$P/unread/2025-03-0[1-5]/a-key-of-some-length-[01-90]" x
# shellcheck disable=SC2094 # a FIFO
unread() { trap "" PIPE; mkfifo unread; exec 3<>unread 4>unread 3>&-; r2 cleanup -n -v --days 1 --prefix "$P/unread" >&4 2>unread.err; }
(unread)
ok "-n, and a reader that has enough: it stops asking" [ "$(grep -c "DEBUG - GET" unread.err)" -le 3 ]
finish
