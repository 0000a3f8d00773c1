#!/bin/bash
# r2 cleanup against a server that misbehaves (badserver.py): what is denied, lost or cut off is told, and the next run finishes.
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
B=runpod
need_badserver

put() { curl -sf -Z --no-progress-meter -X PUT -d x -o /dev/null "$R2_ENDPOINT/-/raw/$B/$1"; }
there() { ctl fault -d ''; r2 ls -1r outputs/ | wc -l; }
# Some thousand old files, some young ones; nothing else.
fill() {
	put "outputs/2025-01-0[1-$1]/k[0001-1000]"
	put 'outputs/2999-01-01/young[1-3]'
	bad "${@:2}"
}
sweep() { r2 cleanup --days 30 "$@"; }

fill 1
put outputs/2025-01-01/denied
put outputs/2025-01-01/ghost
put outputs/2025-01-01/busy
bad
t 'one is denied: the others go, and it is named' 1 'Deleted 1002 files older than 30 days' \
	'[R2] TS - WARNING - Attempt 1/2 failed: InternalError
[R2] TS - ERROR - Not deleted: outputs/2025-01-01/denied: AccessDenied: as told …' sweep --retries 2
is '… asked for again because of the busy one' "$(requests deletemany)" 3
t '… as JSON' 1 '{"key":"outputs/2025-01-01/denied",…,"status":"failed"}
…{"before":"…","deleted":1,"bytes":1,"failed":1}' … sweep --json
is '… the others are gone' "$(there)" 5
ctl "raw/$B/outputs/2025-01-01/denied" -X DELETE; ctl "raw/$B/outputs/2025-01-01/ghost" -X DELETE

for status in 501 405; do
	fill 2 "deletemany status 0 code=$status"
	t "$status for DeleteObjects: one by one" 0 'Deleted 2000 files older than 30 days' '' sweep
	ok '… several at once' [ "$(ctl most)" -gt 2 ]
	is '… and DeleteObjects is not asked for again and again' "$(($(requests deletemany) <= 2))" 1
	is '… the young ones stay' "$(there)" 3
done
fill 1 'deletemany status 0 code=501' 'delete status code=403 s3=AccessDenied'
t 'one by one: one is denied' 1 'Deleted 999 files …' '…Not deleted: outputs/2025-01-01/k…: AccessDenied…' sweep
is '… and that one remains' "$(there)" 4
fill 1 'deletemany status 0 code=400 s3=MalformedXML'
t 'a server that does not understand the request' 0 'Deleted 1000 files …' '' sweep

fill 3 'deletemany lost done=1' 'deletemany lost'
t 'answers are lost' 0 'Deleted 3000 files older than 30 days' … sweep
is '… all the same all are gone' "$(there)" 3
fill 1 'deletemany status code=503 retry-after=1' 'deletemany error200 done=1'
t 'SlowDown, and a 200 that is an error' 0 'Deleted 1000 files …' … sweep
fill 3 'deletemany status 0 code=403 s3=AccessDenied'
t 'no right to delete: told once, no more requests' 1 'Deleted 0 files older than 30 days' \
	'[R2] TS - ERROR - …000 files were not deleted: AccessDenied: as told …give the token Object Read & Write…' sweep -j 1
ok '…' [ "$(requests deletemany)" -le 2 ]
is '… all are there' "$(there)" 3003
bad 'deletemany body 0 text=captive'
t 'an answer that is none' 1 'Deleted 0 files …' '…ERROR - …000 files were not deleted: …' sweep -j 4 --retries 1
fill 1 'deletemany body 0 text=<html/>'
t 'an answer of something else' 1 'Deleted 0 files …' "…ERROR - …000 files were not deleted: the server's answer is no <Delete>…" sweep
fill 1 'deletemany body 0 text=<DeleteResult><Error><Key>outputs/elsewhere</Key><Code>AccessDenied</Code></Error></DeleteResult>'
t 'an answer about another key' 1 'Deleted 0 files …' '…speaks of a key that was not in the request' sweep -j 1 --retries 1
# How many of several batches were on their way when the first came back is not known: begin with none.
bad
r2 cleanup -q --days 30
fill 1 'deletemany marker 0'
t 'delete markers' 0 'Deleted 1000 files …' '…WARNING - The bucket keeps versions…' sweep
fill 1 'deletemany status 0 code=501' 'delete marker 0'
t '… one by one' 0 'Deleted 1000 files …' '…WARNING - The bucket keeps versions…' sweep

# The clock.
fill 1 'list clock 0 seconds=90000'
t 'a clock a day behind deletes nothing' 1 'Deleted 0 files older than 30 days' \
	"…ERROR - this machine's clock is 25 hours behind the server's, so nothing is deleted: …--ignore-clock…" sweep
t '… with -n says so too' 1 'Would delete 0 files …' '…clock…' sweep -n
bad 'list clock 0 seconds=-90060'
t '… or ahead' 1 'Deleted 0 files …' "…25 hours ahead of…" sweep
is '… indeed' "$(there)" 1003
bad 'list clock 0 seconds=82800'
t '23 hours are borne' 0 '…Would delete 1000 files …' … sweep -n
bad 'list clock 0 seconds=90000'
t '--ignore-clock' 0 'Deleted 1000 files …' '' sweep --ignore-clock

# Unfinished uploads began (2025-12-29 10:00) by the server's clock, which says 11:00 now.
curl -sf -X POST -o /dev/null "$R2_ENDPOINT/$B/outputs/unfinished?uploads"
clock="uploads clock 0 seconds=$(($(date -d '2025-12-29 11:00' +%s) - $(date +%s)))"
bad "$clock"
t '--uploads: a number alone is seconds, and is said so' 0 'Aborted 0 unfinished uploads older than 7200 s' '' r2 cleanup --uploads 7200 --ignore-clock
t '--uploads: younger by the clock that dated them' 0 'Aborted 0 unfinished uploads older than 2h' '' r2 cleanup --uploads 2h --ignore-clock
t '… older' 0 'Aborted 1 unfinished uploads older than 50m' '' r2 cleanup --uploads 50m --ignore-clock

# Listings.
put 'outputs/2998-[01-12]-[10-28]/k[1-5]'
fill 1 'list page 0 keys=50'
t 'what is young is not listed' 0 'Deleted 1000 files …' '' sweep
is '… one request for the folders, 20 for the old one' "$(requests list)" 21
bad
t '--max-delete counts first' 0 'Deleted 0 files …' '' sweep --max-delete 5
fill 1 'list body text=<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
t '… and holds when more come meanwhile' 1 'Deleted 0 files …' '…more have come since they were counted: stopped at --max-delete 5' sweep --max-delete 5
is '… so that all are there' "$(there)" $((12 * 19 * 5 + 1003))
fill 1 'list body text=<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>outputs/2025-01-01/a</Key></Contents></ListBucketResult>'
t 'more, but no token' 1 'Deleted 0 files …' '…ERROR - Not listed: outputs/: list: …' sweep
bad 'list body 0 text=<ListBucketResult><Contents><Key>elsewhere/2025-01-01/a</Key></Contents></ListBucketResult>'
t 'keys that are not below the prefix' 1 'Deleted 0 files …' '…ERROR - Not listed: outputs/: list: …' sweep
bad 'list body 0 text=<ListBucketResult><Contents><Key>outputs/a</Key></Contents></ListBucketResult>'
t '--by modified, but the server says no time' 0 'Deleted 0 files …' '' sweep --by modified
put 'modified/k[1-6]'
bad 'list page 0 keys=2'
t '--by modified: what is listed may be written anew, so it does not wait for the end of the listing' 0 'Deleted 6 files …' '' sweep --by modified --prefix modified
is '… a request a page' "$(requests deletemany)" 3
bad 'list cut 0 bytes=300'
t 'listings that are cut off' 1 'Deleted 0 files …' '…ERROR - …' sweep --retries 2 --timeout 1
is '… and all are there' "$(there)" $((12 * 19 * 5 + 1003))

# What cannot be listed is named, and the others go on; not where nobody could know how many go, nor where all fail.
bad; sweep -q
young=$(there)
fill 2 'list status code=403 s3=AccessDenied'
t 'a prefix that cannot be listed' 1 'Deleted 2000 files …' '[R2] TS - ERROR - Not listed: other/: AccessDenied: as told …' sweep --prefix other --prefix outputs
folder=('list wait seconds=0' 'list status code=500')
fill 2 "${folder[@]}"
t 'a folder that cannot be listed, with --max-delete' 1 'Deleted 0 files …' '[R2] TS - ERROR - Not listed: outputs/2025-01-01/: InternalError: as told …' \
	sweep --retries 1 --max-delete 9999
is '… nothing is deleted' "$(there)" $((young + 2000))
bad "${folder[@]}"
t '… without' 1 'Deleted 1000 files …' '…Not listed: outputs/2025-01-01/: …' sweep --retries 1
bad "${folder[@]}"
t '… as JSON' 1 '…"deleted":0,"bytes":0,"failed":1}' … sweep --retries 1 --json
is '… the folder stays' "$(there)" $((young + 1000))
bad 'list status 0 code=403 s3=SignatureDoesNotMatch'
t 'wrong keys are told once' 1 'Deleted 0 files …' '[R2] TS - ERROR - Not listed: a/: SignatureDoesNotMatch: as told …' sweep --prefix a --prefix b --prefix c
is '… and asked with once' "$(requests list)" 1
bad 'uploads status code=403 s3=AccessDenied'
t '--uploads goes on, too' 1 'Aborted 0 unfinished uploads …' '…Not listed: a/: AccessDenied…' r2 cleanup --uploads --prefix a --prefix b
is '… to the next prefix' "$(requests uploads)" 2

# Cut off in the middle: SIGINT lets end what is under way; kill -9 nothing; the next run finishes.
bad; sweep -q
fill 4 'deletemany wait 0 seconds=60'
start() { env --default-signal=INT "$R2" cleanup --days 30 -j 1 >"$T/out" 2>"$T/err" & PID=$!; until ctl log | grep -q deletemany-wait; do kill -0 $PID || return; sleep 0.05; done; }
start
kill -INT $PID
while grep -q '^...Pnd:.*[1-9a-f]' /proc/$PID/status; do sleep 0.02; done   # until it has seen it
ctl fault -d ''
wait $PID
is 'SIGINT: its status' $? 130
is '… what is under way ends, and is counted' "$(cat out)" 'Deleted 1000 files older than 30 days'
ok '… and it says why it stopped' grep -q 'Stopped by signal: Interrupt' err
is '… no more was begun' "$(($(there) - 12 * 19 * 5))" 3003
bad 'deletemany wait 0 seconds=60 done=1'
start
kill -9 $PID
wait $PID 2>/dev/null
bad
t 'kill -9: the next run finishes' 0 'Deleted …000 files …' '' sweep
is '… exactly' "$(($(there) - 12 * 19 * 5))" 3

# Rules.
rule() { printf '<Rule><ID>%s</ID><Filter/><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>' "$1"; }
rules() { curl -s "$R2_ENDPOINT/$B?lifecycle=" "$@"; }
put_rules() { rules -X PUT --data-binary "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">$1</LifecycleConfiguration>"; }
lifecycle() { r2 cleanup --lifecycle "$@"; }
put_rules "$(rule 'Default Multipart Abort Rule')"
bad
t "beside R2's own rule" 0 '' '…Rule set: r2-cleanup-outputs…' lifecycle set --days 30 --ia-days 7
is '… in the words of its documentation' "$(rules)" "<LifecycleConfiguration…>$(rule 'Default Multipart Abort Rule')<Rule><ID>r2-cleanup-outputs</ID><Filter><Prefix>outputs/</Prefix></Filter><Status>Enabled</Status><Transition><Days>7</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
t 'show' 0 '  Default Multipart Abort Rule: below "": aborts unfinished uploads after 7 days
* r2-cleanup-outputs: below "outputs/": moves objects to another class after 7 days, deletes them after 30 days' '' lifecycle show
rules -X PUT -H 'x-amz-transition-default-minimum-object-size: varies_by_storage_class' --data-binary "$(rules)"
t 'what goes with all the rules stays as it is' 0 '' '…Rule set…' lifecycle set --days 29 --ia-days 7
is '… as this says' "$(rules -D - -o /dev/null | tr -d '\r' | grep -i x-amz-transition)" 'x-amz-transition-default-minimum-object-size: varies_by_storage_class'
bad 'getrules status code=403 s3=AccessDenied'
t 'no right' 1 '' '…AccessDenied…rules need an admin token…' lifecycle set --days 31
bad 'putrules drop'
t 'a server that forgets the others' 1 '' '…other lifecycle rules do not read as they did before…' lifecycle set --days 31
put_rules "$(rule one)<!-- <Rule></Rule> -->"
before=$(rules)
t 'what cannot be told apart is left alone' 1 '' '…cannot be kept as they are…nothing was changed' lifecycle set --days 31
is '… indeed' "$(rules)" "$before"
# A rule for some of what is there says nothing of the rest.
filtered() { printf '<Rule><ID>%s</ID><Filter>%s</Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>' "$@"; }
some='<Tag><Key>k</Key><Value>v</Value></Tag>'
put_rules "$(filtered a "$some")$(filtered b '<ObjectSizeLessThan>9</ObjectSizeLessThan>')$(filtered r2-cleanup-outputs "<And><Prefix>outputs/</Prefix>$some</And>")"
t 'show: by tags or size' 0 '  a: below "", by tags or size: deletes them after 30 days
  b: below "", by tags or size: deletes them after 30 days
* r2-cleanup-outputs: below "outputs/", by tags or size: deletes them after 30 days' '' lifecycle show
t '… as JSON' 0 '…
{"rule":"r2-cleanup-outputs","prefix":"outputs/","status":"enabled","delete_days":30,"filtered":1}' '' lifecycle show --json
t 'a rule by tags is not the one that is asked for' 0 '' '…Rule set: …' lifecycle set --days 30
t '… now it is' 0 '' '…set already…' lifecycle set --days 30
put_rules "$(rule theirs)"
before=$(rules)
for body in '<Error><Message>denied</Message></Error>' '<html/>' '<ListBucketResult/>'; do
	bad "getrules body text=$body"
	t "an answer that is no configuration is not one without rules: $body" 1 '' "…ERROR - the server's answer is no <LifecycleConfiguration>…" lifecycle set --days 31
	bad "getrules body text=$body"
	t '… show says so too' 1 '' '…is no <LifecycleConfiguration>…' lifecycle show
	is '… and the rules are what they were' "$(rules)" "$before"
done
put_rules '<Rule><ID>broken</ID>'
t 'rules that are no XML' 1 '' '…ERROR - …' lifecycle set --days 31
finish
