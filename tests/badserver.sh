#!/bin/bash
# r2 against a server that misbehaves (badserver.py): nothing wrong is ever called stored or fetched, and what can be settled is.
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
B=runpod
need_badserver
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out ca.pem \
	-addext subjectAltName=IP:127.0.0.1 2>/dev/null
beside tls.port python3 "$TESTS/badserver.py" ca.pem key.pem
HTTP=$R2_ENDPOINT TLS=https://127.0.0.1:$(cat tls.port)
export R2_CA_FILE=$T/ca.pem

is_object() { ctl "raw/$B/$1" | cmp - "$2"; }     # is_object KEY FILE
put_raw() { ctl "raw/$B/$1" -X PUT --data-binary "@$2" -H 'Content-Type: x/y'; }
drop() { ctl "raw/$B/$1" -X DELETE; }
unfinished() { ctl uploads | wc -l; }
no_journals() { [ -z "$(find "$XDG_STATE_HOME" -type f 2>/dev/null)" ]; }

random_file small 300000
random_file other 300000
random_file big 22000000                          # five parts of 5 MiB
put() { r2 upload --key k "$@" small; }
parts() { r2 upload --key k --part-size 5M --multipart-threshold 6M "$@" big; }
stored="…Uploaded: s3://$B/k…Complete: 1/1" failed='…ERROR - Upload failed: …Complete: 0/1'
# never STDERR: "Uploaded" is not in what the last command said
never_said() { ! grep -q "$1" "$T/err"; }

# settled NAME COMMAND…: whatever is wrong for once, the file gets there and nothing is left behind
settled() {
	drop k
	t "$1" 0 '' "$stored" "${@:2}" || { ctl log >&2; return; }
	case $2 in
	put) is_object k small ;;
	*) is_object k big ;;
	esac || not_ok "$1: the object"
	[ "$(unfinished)" = 0 ] || { not_ok "$1: unfinished uploads"; return; }
	no_journals || not_ok "$1: journals are left"
}
# refused NAME WHY COMMAND…
refused() {
	drop k
	t "$1" 1 '' "…ERROR - Upload failed: …$2…Complete: 0/1" "${@:3}" || { ctl log >&2; return; }
	never_said 'Uploaded:' || not_ok "$1: said to be uploaded"
	[ "$(unfinished)" = 0 ] || not_ok "$1: unfinished uploads"
}

t 'http:// to a port that speaks TLS' 1 '' '…: is it an https:// port?' r2 ls --retries 1 --endpoint "http${TLS#https}"

# One PUT.
bad 'put flip'; settled 'PUT: another byte is stored, once' put
bad 'put flip 0'; refused 'PUT: another byte is stored, always' 'stored something else' put --retries 2
bad 'put lost done=1'; settled 'PUT: the answer is lost' put
bad 'put lost done=1 rst=1'; settled 'PUT: the answer is lost by a reset' put
bad 'put lost'; settled 'PUT: lost' put
bad 'put half'; settled 'PUT: reset in the middle' put
bad 'put early code=503'; settled 'PUT: an answer before the body is read' put
bad 'put status code=500 done=1'; settled 'PUT: 500, but stored' put
bad 'put status code=403 s3=AccessDenied'; refused 'PUT: 403' 'AccessDenied' put
is '… is not tried again' "$(requests put)" 1
bad 'put wait seconds=3'; settled 'PUT: no answer for longer than --timeout' put --timeout 1
bad 'put length value=-1'; refused 'PUT: a negative Content-Length' '' put --retries 1
bad 'put length value=99999999999999999999'; refused 'PUT: a Content-Length of 20 digits' '' put --retries 1

since=$SECONDS
bad 'put status 2 code=503 retry-after=2'; settled 'PUT: SlowDown with Retry-After' put
ok '… which is kept' [ $((SECONDS - since)) -ge 3 ]
bad 'put status 0 code=503'; refused 'PUT: SlowDown for ever' 'SlowDown' put --retries 3
is '… has as many attempts as were asked for' "$(requests put)" 3

# If-None-Match, and whose object it is.
for how in fail skip rename; do
	drop k
	bad 'put lost done=1'
	t "--if-exists $how: the first answer is lost" 0 '' "$stored" put --if-exists $how
	is '… its own object is not in its way' "$(requests put)" 2
	bad 'put status code=500 done=1'
	drop k
	t "--if-exists $how: stored, but 500" 0 '' "$stored" put --if-exists $how
	# Somebody stores another one just after we have looked.
	put_raw k other
	bad 'head status code=404 s3=NoSuchKey'
	case $how in
	fail) t "--if-exists fail: another came first" 1 '' '…there is an object at…Complete: 0/1' put --if-exists fail ;;
	skip) t "--if-exists skip: another came first" 0 '' '…Skipped: …Complete: 1/1' put --if-exists skip ;;
	rename) t "--if-exists rename: another came first" 0 '' "…Uploaded: s3://$B/k-…Complete: 1/1" put --if-exists rename ;;
	esac
	ok '… and stays' is_object k other
	if [ $how = fail ]; then
		bad 'head status code=404 s3=NoSuchKey' 'put lost'
		t "--if-exists fail: an attempt is lost, and another came first" 1 '' '…there is an object at…Complete: 0/1' put --if-exists fail
		ok '… and stays' is_object k other
	fi
	# … and a large file, whose parts are sent already.
	bad 'head status code=404 s3=NoSuchKey'
	case $how in
	fail) t "--if-exists fail: another came before Complete" 1 '' '…there is an object at…Complete: 0/1' parts --if-exists fail ;;
	skip) t "--if-exists skip: another came before Complete" 0 '' '…Skipped: …Complete: 1/1' parts --if-exists skip ;;
	rename) t "--if-exists rename: another came before Complete" 0 '' "…Uploaded: s3://$B/k-…Complete: 1/1" parts --if-exists rename ;;
	esac
	ok '… and stays' is_object k other
	is '… no parts are left' "$(unfinished)" 0
	# The very same content, stored by somebody else while we were refused: that is not ours.
	for what in put parts; do
		put_raw k "$([ $what = put ] && echo small || echo big)"
		bad 'head status code=404 s3=NoSuchKey' "$([ $what = put ] && echo put || echo complete) status code=503 s3=SlowDown"
		case $how in
		fail) t "--if-exists fail: $what: refused, and somebody stored the same" 1 '' '…there is this content at…Complete: 0/1' $what --if-exists fail ;;
		skip) t "--if-exists skip: $what: refused, and somebody stored the same" 0 '' '…Skipped: …Complete: 1/1' $what --if-exists skip ;;
		esac
	done
	drop k
	bad 'complete lost done=1'
	t "--if-exists $how: Complete's answer is lost" 0 '' "$stored" parts --if-exists $how
	ok '… the object' is_object k big
	bad 'complete status code=500 done=1'
	drop k
	t "--if-exists $how: Complete says 500, but did it" 0 '' "$stored" parts --if-exists $how
done
for key in $(ctl fault -d ''; curl -s "$HTTP/$B" | grep -o '<Key>[^<]*' | cut -c6-); do drop "$key"; done

# A file that changes once it is stored: the second sending meets its own object, and replaces that one only.
keys() { curl -s "$HTTP/$B" | grep -o '<Key>[^<]*' | cut -c6- | tr '\n' ' '; }
sized() { # single|multi COMMAND…: as one PUT, or in parts
	[ "$1" = single ] || set -- multi "${@:2}" --part-size 5M --multipart-threshold 5M
	"${@:2}"
}
for what in single multi; do
	last=put size=300000
	[ $what = single ] || last=complete size=6000000
	for how in overwrite skip fail rename; do
		random_file late $size
		drop k
		bad "$last append file=$T/late done=1"
		t "$what, --if-exists $how: changed after it was stored" 0 '' "…from the start…$stored" sized $what r2 upload --key k --if-exists $how late
		ok '… the object' is_object k late
		is '… and no other' "$(keys)" 'k '
		is '… is sent twice' "$(requests $last)" 2
		is '… no parts are left' "$(unfinished)" 0
	done
	random_file late $size
	put_raw k other
	bad "$last append file=$T/late done=1"
	t "$what, --if-exists rename: changed after it was stored under another name" 0 '' "…Uploaded: s3://$B/k-…" sized $what r2 upload --key k --if-exists rename late
	ok '… the object' is_object "$(keys | grep -o 'k-[0-9a-f]*')" late
	ok '… the other one stays' is_object k other
	is '… there are two' "$(keys | wc -w)" 2
	drop "$(keys | grep -o 'k-[0-9a-f]*')"
	# Somebody else's takes its place meanwhile.
	for how in skip fail; do
		random_file late $size
		drop k
		bad "$last append file=$T/late done=1" 'head status code=404 s3=NoSuchKey' 'head replace'
		case $how in
		skip) t "$what, --if-exists skip: … and another came" 0 '' '…from the start…Skipped: …' sized $what r2 upload --key k --if-exists skip late ;;
		fail) t "$what, --if-exists fail: … and another came" 1 '' '…from the start…there is an object at…' sized $what r2 upload --key k --if-exists fail late ;;
		esac
		is '… is not sent again' "$(requests $last)" 1
	done
done
drop k

# Parts.
bad; settled 'parts' parts
is '… so many' "$(requests part)" 5
bad 'part flip'; settled 'a part: another byte is stored, once' parts
bad 'part flip 0'; refused 'a part: another byte is stored, always' 'stored something else' parts --retries 2
bad 'part lost 3 done=1'; settled 'three parts: the answer is lost' parts
bad 'part lost 2 rst=1'; settled 'two parts: reset' parts
bad 'part lost 3' 'part status code=503'; settled 'a part: an outage longer than all attempts, then SlowDown' parts -j 1 --retries 2
bad 'part status 3 code=502 s3='; settled 'a part: a proxy does not reach the store, for longer than all attempts' parts -j 1 --retries 2
bad 'part half'; settled 'a part: reset in its middle' parts
bad 'part early code=503'; settled 'a part: an answer before it is read' parts
bad 'part status 4 code=503 retry-after=1'; settled 'four parts: SlowDown with Retry-After' parts
bad 'part gone'; settled 'a part: NoSuchUpload, starts again' parts
bad 'part status code=400 s3=EntityTooLarge'; refused 'a part: refused' EntityTooLarge parts
bad 'part status code=413 s3='; refused "a part: a proxy's limit" 'EntityTooLarge: …(status 413…lower --multipart-threshold and --part-size…, or raise the proxy'\''s limit' parts
ok '… no journal is left' no_journals
# later NAME WHY COMMAND…: fails for WHY, and is kept until it passes
later() {
	drop k
	t "$1" 1 '' "…ERROR - Upload failed: …$2…: give the same command again to go on…" "${@:3}"
	is '… what is there stays' "$(unfinished)" 1
	bad
	t '… and is gone on with' 0 … "…goes on…$stored" parts
	ok '… the object' is_object k big
	is '… nothing is left' "$(unfinished)" 0
	ok '… no journal is left' no_journals
}
bad 'part wait seconds=0' 'part status code=403 s3=AccessDenied'; later 'a part: 403' AccessDenied parts -j 1
bad 'part wait seconds=0' 'part status 0 code=400 s3=RequestTimeout'; later 'a part: too slow, always' RequestTimeout parts -j 1 --retries 2
bad 'part wait seconds=0' 'part status code=400 s3=EntityTooLarge' 'abort status 0 code=403'
later 'a part: refused, and the upload cannot be aborted' EntityTooLarge parts -j 1
bad 'complete error200 0'; later 'Complete: 200 with an <Error>, always' InternalError parts -j 1 --retries 2
bad 'create status code=500'; settled 'Create: 500' parts
bad 'create body text=%3Cx%2F%3E'
t 'Create: an answer without upload id' 1 '' "$failed" parts
bad
for id in $(ctl uploads); do curl -s -X DELETE "$HTTP/$B/k?uploadId=$id"; done

# Complete: only the object itself says whether it is there.
bad 'complete error200'; settled 'Complete: 200 with an <Error>' parts
bad 'complete error200 done=1'; settled 'Complete: 200 with an <Error>, but done' parts
bad 'complete lost'; settled 'Complete: lost' parts
bad 'complete lost done=1'; settled 'Complete: the answer is lost' parts
bad 'complete lost done=1 rst=1'; settled 'Complete: the answer is lost by a reset' parts
bad 'complete status code=500'; settled 'Complete: 500' parts
bad 'complete status code=500 done=1'; settled 'Complete: 500, but done' parts
is '… no part is sent twice' "$(requests part)" 5
bad 'complete etag value=0123456789abcdef0123456789abcdef-5'; refused 'Complete: the ETag of something else' 'ETag' parts
bad 'complete status code=400 s3=InvalidPart'; refused 'Complete: InvalidPart' 'InvalidPart' parts
bad 'complete cut bytes=20'; settled 'Complete: the answer is cut off' parts
# Done, the answer lost, and somebody else's object in its place: not ours, so it is sent again.
drop k
bad 'complete lost done=1' 'head etag value=0123456789abcdef0123456789abcdef'
t 'Complete: the answer is lost and another object is there' 0 '' '…from the start…Uploaded: …' parts
ok '… the object' is_object k big

# What an unfinished upload has left. cut_off LINES LOG COMMAND…: killed by -9 once so many lines of the log begin so.
cut_off() {
	local pid
	( exec "${@:3}" ) >cut.out 2>cut.err &
	pid=$!
	until [ "$(requests "$2")" -ge "$1" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
	since=$SECONDS
	kill "-${SIGNAL:-9}" $pid
	[ -z "${TWICE:-}" ] || kill "-$SIGNAL" $pid
	wait $pid 2>/dev/null
	rc=$?
}
# A shell without job control has its background commands ignore SIGINT.
direct=(env --default-signal=INT "$R2" upload --key k --part-size 5M --multipart-threshold 6M)
three=('part wait 3 seconds=0' 'part wait 0 seconds=60')

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
is 'kill -9: an unfinished upload stays' "$(unfinished)" 1
bad
t '… and is gone on with' 0 "…\"resumed\":15728640…" "$stored" parts --json
ok '… the object' is_object k big
is '… parts are not sent again' "$(requests part)" 2
is '… by the same upload' "$(requests create)" 0
ok '… no journal is left' no_journals

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
bad 'listparts body text=%3CListPartsResult%2F%3E'
t 'kill -9, and the server has no parts: all are sent' 0 '…"resumed":0…' "$stored" parts --json
is '… all' "$(requests part)" 5
is '… to the same upload' "$(requests create)" 0
ok '… the object' is_object k big

for gone in gone 'gone s3=NoSuchKey'; do
	drop k
	bad "${three[@]}"
	cut_off 4 part-wait "${direct[@]}" -j 1 big
	bad "listparts $gone"
	t "kill -9, and the server dropped the upload ($gone): starts again and says so" 0 '…"resumed":0…' \
		"…dropped…starts again…$stored" parts --json
	is '… all' "$(requests part)" 5
	ok '… the object' is_object k big
	is '… nothing is left' "$(unfinished)" 0
done

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
bad 'listparts status 0 code=500'
t 'kill -9, and the parts cannot be listed now' 1 '' "$failed" parts --retries 2
bad
t '… then they can' 0 '…"resumed":15728640…' "$stored" parts --json
ok '… the object' is_object k big

for untold in 'code=403 s3=AccessDenied' 'code=501 s3=NotImplemented'; do
	drop k
	bad "${three[@]}"
	cut_off 4 part-wait "${direct[@]}" -j 1 big
	bad 'listparts status 0 code=403 s3=SignatureDoesNotMatch'
	t 'kill -9, and the keys are wrong now' 1 '' '…SignatureDoesNotMatch…: give the same command again to go on…' parts
	bad "listparts status 0 $untold"
	t "… then the parts may not be listed, $untold: the journal is believed" 0 '…"resumed":15728640…' "$stored" parts --json
	ok '… the object' is_object k big
	is '… parts are not sent again' "$(requests part)" 2
	is '… nothing is left' "$(unfinished)" 0
done

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
page='%3CListPartsResult%3E%3CIsTruncated%3Etrue%3C%2FIsTruncated%3E%3CNextPartNumberMarker%3E1%3C%2FNextPartNumberMarker%3E%3C%2FListPartsResult%3E'
bad "listparts body 0 text=$page"
t 'kill -9, and the list of parts never ends' 1 '' "$failed" parts --retries 2
bad
t '… then it does' 0 … "$stored" parts --json
ok '… the object' is_object k big

# Killed when the server had joined the parts, or was about to.
for done in '' ' done=1'; do
	drop k
	bad "complete wait 0 seconds=60$done"
	cut_off 1 complete-wait "${direct[@]}" big
	bad
	t "kill -9 while Complete is under way$done" 0 … "$stored" parts --json
	is '… no part is sent again' "$(requests part)" 0
	ok '… the object' is_object k big
	ok '… no journal is left' no_journals
	is '… nothing is left' "$(unfinished)" 0
done

# The same name, another file.
drop k
cp big kept
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
printf changed | dd of=big conv=notrunc bs=1 seek=7000000 2>/dev/null
bad
t 'kill -9, then the file is changed: starts again and says so' 0 '…"resumed":0…' "…changed…starts again…$stored" parts --json
ok '… the object' is_object k big
is '… the old upload is aborted' "$(unfinished)" 0

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
touch -r big stamp
printf CHANGED | dd of=big conv=notrunc bs=1 seek=7000000 2>/dev/null
touch -r stamp big
bad
t '… and its time is put back' 0 … "$stored" parts --json
ok '… the object is what the file is' is_object k big
is '… nothing is left' "$(unfinished)" 0

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 --content-type text/x-old big
bad
t 'kill -9, then other settings' 0 … "$stored" parts --content-type text/x-new
type_of() { curl -sI "$HTTP/$B/$1" | tr -d '\r' | sed -n 's/^[Cc]ontent-[Tt]ype: //p'; }
is '… which count' "$(type_of k)" text/x-new
is '… nothing is left' "$(unfinished)" 0

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
bad
t 'kill -9, then another part size' 0 … "$stored" parts --part-size 6M --json
ok '… the object' is_object k big
is '… nothing is left' "$(unfinished)" 0

drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
bad
t 'kill -9, then another bucket' 0 '…"resumed":0…' "…Uploaded: s3://second/k…" parts --bucket second --json
is '… the old upload is aborted' "$(unfinished)" 0
t '… and then the first again' 0 … "$stored" parts
is '… nothing is left' "$(unfinished)" 0
ok '… no journal is left' no_journals

# What is left of it when the file needs no parts any more.
unparted() { # NAME COMMAND…
	t "$1" 0 … "$stored" "${@:2}"
	is '… the old upload is aborted' "$(unfinished)" 0
	ok '… no journal is left' no_journals
}
cut_off_as() { # OPTION…: of a file that big is at first
	cp big file
	drop k
	bad "${three[@]}"
	cut_off 4 part-wait "${direct[@]}" -j 1 "$@" file
	bad
}
one() { r2 upload --key k --multipart-threshold 6M "$@" file; }
cut_off_as
cp small file
unparted 'kill -9, then the file is small' one
cut_off_as
cp small file
unparted '… and goes away as soon as it is stored' one --move
cut_off_as
unparted '… or the threshold is above it' one --multipart-threshold 30M
cut_off_as --if-exists rename
put_raw k file
unparted '… or somebody else has stored it' one --if-exists rename
cut_off_as
cp small file
bad 'abort status code=403 s3=AccessDenied'
t '… or it may not be aborted' 0 … "$stored" one
is '… then it stays' "$(unfinished)" 1
unparted '… until it may' one
cut_off_as
put_raw k2 small
t '… or is skipped, as another key is taken' 0 '' '…Skipped: …' r2 upload --key k2 --if-exists skip file
put_raw k2 file
t '… or is found at another key' 0 '' '…Uploaded: …' r2 upload --key k2 --if-exists rename file
t '… then it is gone on with' 0 '…"resumed":15728640…' "$stored" r2 upload --key k --part-size 5M --multipart-threshold 6M --json file
drop k
bad 'complete wait 0 seconds=60 done=1'
cut_off 1 complete-wait "${direct[@]}" --if-exists rename big
bad
unparted 'kill -9 when the server has joined the parts' parts --if-exists rename
is '… no part is sent again' "$(requests part)" 0
ok '… the object' is_object k big

# A journal that cannot be read for a moment is not begun anew: what it names would be known to nobody.
for when in 1 3 5 7; do
	drop k
	bad "${three[@]}"
	cut_off 4 part-wait "${direct[@]}" -j 1 big
	bad
	unparted "kill -9, and the journal cannot be read, try $when" env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -P "$(find "$XDG_STATE_HOME" -type f)" \
		-e trace=pread64 -e inject=pread64:error=EIO:when=$when "${direct[@]}" -j 1 --json big
	ok '… the object' is_object k big
	like "$err" '…journal …' || not_ok '… is told'
done

# A damaged or forged journal is never trusted.
journal() { find "$XDG_STATE_HOME" -type f; }
damage() { # NAME COMMAND…: a journal of an unfinished upload, COMMAND on it, then the upload again
	drop k
	bad "${three[@]}"
	cut_off 4 part-wait "${direct[@]}" -j 1 big
	"${@:2}" "$(journal)"
	bad
	t "journal: $1" 0 … "…Uploaded: s3://$B/k…Complete: 1/1" parts --json
	ok '… the object' is_object k big
	for id in $(ctl uploads); do curl -s -X DELETE "$HTTP/$B/k?uploadId=$id"; done
}
garbage() { random_file "$1" 5000; }
damage garbage garbage
damage empty truncate -s 0
damage 'cut in the middle' truncate -s 300
damage 'a byte changed' sed -i 's/part 2/part 3/'
damage 'twice' sh -c 'cat "$0" "$0" >x; cat x >"$0"'
damage 'removed' rm
damage 'a symbolic link' sh -c 'mv "$0" moved; ln -s "$PWD/moved" "$0"'
rm -f "$XDG_STATE_HOME"/r2/*
damage 'a directory' sh -c 'rm "$0"; mkdir "$0"'
rmdir "$XDG_STATE_HOME"/r2/* 2>/dev/null
damage 'may be written by others' chmod 666
rm -f "$XDG_STATE_HOME"/r2/*

# Stopped by signals, while an answer is a minute away. What cannot be gone on with is taken back.
drop k
bad "${three[@]}"
SIGNAL=INT cut_off 4 part-wait "${direct[@]}" -j 1 big
is 'SIGINT ends it by that signal' "$rc" 130
ok '… at once' [ $((SECONDS - since)) -lt 30 ]
ok '… says how to go on' grep -q 'same command' cut.err
bad
t '… and it goes on' 0 '…"resumed":15728640…' "$stored" parts --json
is '… nothing is left' "$(unfinished)" 0
drop k
bad "${three[@]}"
# As timeout(1) does it: to the process, and to its group.
TWICE=1 SIGNAL=TERM cut_off 4 part-wait "${direct[@]}" big
is 'SIGTERM ends it by that signal' "$rc" 143
ok '… and is the same one when it comes twice' grep -q 'same command' cut.err
bad
t '… and it goes on' 0 … "$stored" parts --json
drop k
bad 'put wait seconds=60'
SIGNAL=INT cut_off 1 put-wait "${direct[@]}" small
is 'SIGINT in a single PUT' "$rc" 130
ok '… at once' [ $((SECONDS - since)) -lt 30 ]
ok '… does not promise to go on' eval '! grep -q "goes on" cut.err'

# Nowhere to keep a journal (for root that takes another user): what was sent is taken back, and nobody is told to go on.
anybody=()
[ "$(id -u)" != 0 ] || anybody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cp "$R2" r2.copy
chmod 755 r2.copy
chmod 644 big
nowhere=("${anybody[@]}" env --default-signal=INT HOME=/dev/null XDG_STATE_HOME=/dev/null "$T/r2.copy" "${direct[@]:3}")
drop k
bad "${three[@]}"
SIGNAL=INT cut_off 4 part-wait "${nowhere[@]}" -v -j 1 big
is 'SIGINT without a journal ends it by that signal' "$rc" 130
ok '… at once' [ $((SECONDS - since)) -lt 30 ]
ok '… promises nothing' eval '! grep -q "same command\|go on\|goes on" cut.err'
ok '… but for -v, which says from the start that there is none' grep -q 'DEBUG.*cannot be gone on with.*no directory for journals' cut.err
is '… takes back what was sent' "$(unfinished)" 0
bad
t '… and the next one begins anew' 0 '…"resumed":0…' '…' "${nowhere[@]}" -q --json big
ok '… the object' is_object k big
drop k

# Two processes, one file: the second has no journal, so that what it sent is taken back.
drop k
bad 'part wait 0 seconds=60'
"${direct[@]}" big 2>first.err & HELPERS+=($!)
first=$!
until [ "$(requests part-wait)" -ge 5 ] || ! kill -0 $first; do sleep 0.05; done
SIGNAL=INT cut_off 6 part-wait "${direct[@]}" -j 1 big
ok 'a second process on one file says so' grep -q 'another process' cut.err
is '… when stopped takes back what it sent' "$(unfinished)" 1
kill -9 $first
wait $first 2>/dev/null
bad
t '… the first can be gone on with' 0 … "$stored" parts
is '… nothing is left' "$(unfinished)" 0

# A symbolic link to a file is another object: neither takes what the other has sent for its own, or takes it back.
ln -s big link
drop k
bad "${three[@]}"
cut_off 4 part-wait "${direct[@]}" -j 1 big
bad 'part wait 0 seconds=60'
"${direct[@]/%k/l}" link 2>link.err & HELPERS+=($!)
link=$!
until [ "$(requests part-wait)" -ge 1 ] || ! kill -0 $link; do sleep 0.05; done
ok 'a link to a file that was cut off is another upload' eval '! grep -q WARNING link.err'
kill -INT $link
wait $link 2>/dev/null
bad
t '… the file is gone on with' 0 '…"resumed":15728640…' "$stored" parts --json
t '… and so is the link' 0 '' "…Uploaded: s3://$B/l…" "${direct[@]/%k/l}" link
is '… nothing is left' "$(unfinished)" 0

# Standard input.
stream() { cat big | r2 upload --key k --part-size 5M --multipart-threshold 6M "$@" -; }
bad; settled 'standard input in parts' stream
bad 'part flip 0'; refused 'standard input: another byte is stored' 'stored something else' stream --retries 2
bad 'part lost 3 done=1' 'complete lost done=1'; settled 'standard input: lost answers' stream
bad 'complete error200 done=1'; settled 'standard input: Complete says <Error>, but did it' stream
bad 'part gone'; refused 'standard input: the server dropped the upload' '' stream
bad 'part status code=403 s3=AccessDenied'; refused 'standard input: 403' AccessDenied stream
mkfifo pipe
feed() { head -c "$1" big; exec sleep 600; }   # the pipe stays open
feed 22000000 >pipe & HELPERS+=($!)
bad
SIGNAL=INT cut_off 4 part sh -c 'exec "$@" <pipe' sh "${direct[@]}" -
is 'SIGINT while standard input is idle' "$rc" 130
ok '… at once' [ $((SECONDS - since)) -lt 30 ]
is '… takes back what was sent' "$(unfinished)" 0
ok '… does not promise to go on' eval '! grep -q "goes on" cut.err'
for id in $(ctl uploads); do curl -s -X DELETE "$HTTP/$B/k?uploadId=$id"; done
feed 6000000 >pipe & HELPERS+=($!)
idle() { R2_LIMIT_S=120 r2 upload --key k --part-size 5M - <pipe; }
bad 'part status 0 code=403 s3=AccessDenied'
t 'a part is refused while standard input is idle: that is said, not only once it goes on' 1 '' '…AccessDenied…Complete: 0/1' idle
is '… and leaves nothing behind' "$(unfinished)" 0
head_off() { { head -c 1000 >/dev/null; r2 upload --key k -; } <small; }
drop k
bad
tail -c +1001 small >tail.bin
# head reads ahead, but puts a file's offset back to where it stopped.
t 'standard input that is a file, from where it stands' 0 '' "$stored" head_off
ok '… the object' is_object k tail.bin
# The last part fails when the input has ended already.
one_part() { head -c 5242880 big | r2 upload --key k --part-size 5M --retries 1 -; }
drop k
bad 'part status 0 code=403 s3=AccessDenied'
t 'standard input whose only part is refused' 1 '' '…AccessDenied…Complete: 0/1' one_part
is '… is not completed' "$(requests complete)" 0
is '… and leaves nothing behind' "$(unfinished)" 0

# What describes the object arrives as it was asked for.
head_of() { curl -sI --aws-sigv4 aws:amz:auto:s3 --user id:secret "$HTTP/$B/$1" | tr -d '\r' | grep -i "^$2:"; }
for class in STANDARD STANDARD_IA; do
	bad
	t "--storage-class $class" 0 '' "$stored" put --storage-class $class
	is '… is what the server is told' "$(head_of k x-amz-storage-class)" "…: $class"
done

# How many at once.
mkdir many
for i in {1..12}; do cp small "many/$i"; done
for j in 1 3; do
	bad "put wait 0 seconds=0.$((j * 3))"
	t "-j $j" 0 '' '…Complete: 12/12' r2 upload -r --prefix many --no-date -j $j many
	is "… is $j at once" "$(ctl most)" $j
	bad "part wait 0 seconds=0.$((j * 3))"
	t "-j $j, parts" 0 '' "$stored" parts -j $j
	is "… is $j at once" "$(ctl most)" $j
done
# More than get looks ahead otherwise.
mkdir wide
for i in {1..80}; do cp small "wide/$i"; done
r2 upload -q -r --prefix wide --no-date wide
bad 'get wait 0 seconds=10'
r2 get -q -r -j 70 wide wide.got &
pid=$!
until [ "$(ctl most)" -ge 70 ] || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
is 'get -r -j 70 is 70 at once' "$(ctl most)" 70
ctl fault --data-binary ''
wait $pid
ok '… the same' diff -r wide wide.got

# Over TLS a checksum is the proof, where the server knows it.
R2_ENDPOINT=$TLS
bad; settled 'TLS: CRC32C' put
bad 'put flip'; settled 'TLS: another byte is stored, once' put
bad 'put flip 0'; refused 'TLS: another byte is stored, always' 'stored something else' put --retries 2
bad 'put flip 0 etag=kept'; refused 'TLS: … and the ETag lies, but not the CRC32C' 'stored something else' put --retries 2
bad 'put nocrc 0'
t 'a server that refuses x-amz-checksum-crc32c' 0 '' '…Complete: 2/2' r2 upload -j 1 --prefix crc --no-date small other
is '… is asked with it only once' "$(requests put)" 3
ok '… the objects' is_object crc/other other
bad 'put noecho 0'
t 'a server that does not know it' 0 '' '…Complete: 2/2' r2 upload -j 1 --prefix crc --no-date small other
is '… proves by the ETag' "$(requests put)" 2
for how in fail skip rename; do
	bad 'put noecho 0 etag=none'; settled "a server that proves nothing is sent the MD5, too: --if-exists $how" put --if-exists "$how"
	is '… over what came without it' "$(requests put) $(requests head)" '2 1'
done
bad 'put status code=400 s3=InvalidRequest'; settled 'a server that answers 400 to it' put
R2_ENDPOINT=$HTTP
# What is gone since it was listed has not been replaced.
put_raw tree/a small
bad 'get status code=404 s3=NoSuchKey'
t 'get -r: an object is deleted behind its listing' 1 '' '[R2] TS - INFO - Downloading: a …
[R2] TS - ERROR - Download failed: tree/a: NoSuchKey: …
[R2] TS - INFO - Complete: 0/1' r2 get -r tree/ tree
is '… and leaves nothing' "$(ls -A tree)" ''
is '… nor is it asked for again' "$(requests get) $(requests head)" '1 0'
# Nor is there anything to go on with when it is deleted on its way. A gateway that says 404, in the place of a store that is away, says
# nothing of the object.
put_raw wood/b big
mkdir wood
for how in 'get -j 1 wood/b wood' 'get -j 1 -r wood wood'; do
	bad 'get wait 1 seconds=0' 'get status code=404 s3=NoSuchKey'
	# shellcheck disable=SC2086
	t "$how: it is deleted while it is fetched" 1 '' "…ERROR - Download failed: wood/b: NoSuchKey: …check the key with r2 ls
[R2] TS - INFO - Complete: …" r2 $how
	is '… and leaves nothing' "$(ls -A wood)" ''
	bad 'get wait 1 seconds=0' 'get status code=404 s3='
	# shellcheck disable=SC2086
	t "$how: 404 without a word on why" 1 '' '…ERROR - Download failed: wood/b: NoSuchKey…bytes are kept in .b.r2-…' r2 $how
	is '… what has come is kept' "$(ls -A wood)" '.b.r2-…'
	rm wood/.b.r2-*
done
drop wood/b
# What is another one since it was listed is fetched as it is now, also when the one that was listed was of parts.
r2 upload -q --key tree/a --part-size 5M --multipart-threshold 6M big
bad 'head replace'
t 'get -r: an object of parts is replaced behind its listing' 0 '' '[R2] TS - INFO - Downloading: a …Complete: 1/1' r2 get -r tree/ tree
ok '… and is the new one' is_object tree/a tree/a
rm tree/a
# Only a server that has no such object makes a pattern of it.
bad 'head status 2 code=503'
t 'get KEY that looks like a pattern, and nobody says whether it is there' 1 '' '…ERROR - ServiceUnavailable…' r2 get --retries 2 '[t]ree/a' tree
is '… fetches no other' "$(requests get) $(ls -A tree)" '0 '
# The doctor says which right is missing.
may() { r2 upload --test --write --retries 1; }
bad 'put status 0 code=403 s3=AccessDenied'
t 'keys that may not write' 1 '…ok   rights…
FAIL put …AccessDenied…PutObject…nothing can be uploaded' '…Connection failed: put: …' may
bad 'create status 0 code=403 s3=AccessDenied'
t 'keys that may not write in parts' 1 '…ok   put…FAIL multipart…AbortMultipartUpload…ok   delete' '…Connection failed: multipart: …' may
bad 'delete status 0 code=403 s3=AccessDenied'
t 'keys that may not delete' 1 '…ok   multipart
FAIL delete …DeleteObject, which only cleanup needs' '…bytes stays: s3://runpod/outputs/.r2-probe-…Connection failed: delete: …' may
bad 'create status 0 code=403 s3=AccessDenied' 'delete status 0 code=403 s3=AccessDenied'
t '… nor write in parts' 1 '…FAIL multipart…FAIL delete…' '…bytes stays: s3://runpod/outputs/.r2-probe-…Connection failed: multipart: …' may
# No wrong signature is looked for where the server is ill, or is none for S3.
bad 'list status 0 code=503'
t 'a server that is overloaded' 1 '…ok   connection…FAIL answer' '…Connection failed: answer: …503…' may
bad 'list lost 0'
t 'a server that does not answer' 1 '…FAIL answer' '…Connection failed: answer: …' may
bad 'list body 0 text=<html>It%20works!</html>'
t 'a server that is none for S3' 1 '…FAIL answer' '…Connection failed: answer: …' may
bad 'list status 0 code=403 s3=SignatureDoesNotMatch'
t 'keys that are wrong' 1 '…ok   clock…FAIL signature' '…Connection failed: signature: …' may
bad
t '--test --write --prefix: below that one' 0 … '…PUT runpod/team/a/.r2-probe-…Connection OK…' r2 upload --test --write -v --prefix team/a/
# What is compared with a local file may be large: who says stop does not wait for the end of that.
truncate -s 1T sparse
mkdir sparse.d
truncate -s 1T sparse.d/k
stopped() { # NAME OPERATION COMMAND…: once the server has told a size
	SIGNAL=TERM cut_off 1 "$2" timeout -s KILL 60 "$R2" "${@:3}"
	is "$1" "$rc" 143
}
put_raw k small
bad 'head length value=1099511627776'
stopped 'upload is told to stop while it compares' head upload --key k --if-exists fail sparse
bad 'list body text=<ListBucketResult><Contents><Key>k</Key><LastModified>2025-12-29T10:00:00Z</LastModified><ETag>&quot;'"$(md5sum <small | cut -c1-32)"\
'&quot;</ETag><Size>1099511627776</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>'
stopped 'get -r is told to stop while it compares' list get -r '' sparse.d
bad
finish
