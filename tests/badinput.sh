#!/bin/bash
# Bad input: one clear line, the right status, nothing half done.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
printf x >a.png

# bad NAME STATUS STDERR COMMAND…: besides, one line only, not counting the log's INFO lines; nothing on standard output.
bad() {
	local name=$1
	t "$name" "$2" '' "$3" "${@:4}" && is "$name: one line" "$(grep -vc ' - INFO - ' "$T/err")" 1
}
upload() { r2 upload --retries 1 --prefix "$P" "$@"; }
as_nobody() {
	if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; else "$@"; fi
}
# A program that the unprivileged user can start, wherever the real one lies.
install -m755 "$R2" "$T/r2copy"

# Credentials.
bad "no credentials: both conventions named" 1 '…R2_ACCESS_KEY_ID…' env -u R2_ACCESS_KEY_ID -u R2_SECRET_ACCESS_KEY "$R2" upload a.png
ok "no credentials: the old scripts' names" grep -q R2_SECRET_KEY "$T/err"
ok "no credentials: AWS's names" grep -q AWS_ACCESS_KEY_ID "$T/err"
bad "no secret" 1 '…R2_SECRET_ACCESS_KEY…' env -u R2_SECRET_ACCESS_KEY "$R2" ls
bad "no key id" 1 '…R2_ACCESS_KEY_ID…' env -u R2_ACCESS_KEY_ID "$R2" ls
bad "empty secret" 1 '…R2_SECRET_ACCESS_KEY…' env R2_SECRET_ACCESS_KEY= "$R2" ls
bad "a secret's file that is not there" '[12]' '…R2_SECRET_ACCESS_KEY_FILE…nowhere…' \
	env -u R2_SECRET_ACCESS_KEY R2_SECRET_ACCESS_KEY_FILE="$T/nowhere" "$R2" ls

# Endpoint and bucket.
hostport=${R2_ENDPOINT#https://}
bad "no endpoint" 2 '…R2_ENDPOINT…R2_ACCOUNT_ID…' env -u R2_ENDPOINT "$R2" ls
t "endpoint without scheme: https" 0 … '…Connection OK: '"$R2_BUCKET" r2 upload --test --endpoint "$hostport"
t "endpoint with a path: the bucket" 0 … '…Connection OK: '"$R2_BUCKET2" \
	env -u R2_BUCKET "$R2" upload --test --endpoint "$R2_ENDPOINT/$R2_BUCKET2"
t "… and a slash behind it" 0 … '…Connection OK: '"$R2_BUCKET" r2 upload --test --endpoint "$R2_ENDPOINT/$R2_BUCKET/"
bad "endpoint with a bucket that contradicts" 2 '…--bucket…' r2 ls --endpoint "$R2_ENDPOINT/other" --bucket "$R2_BUCKET"
ok "… both are named" grep -q "other.*$R2_BUCKET\|$R2_BUCKET.*other" "$T/err"
bad "http:// to a remote host" 2 '…--allow-http…' r2 ls --endpoint http://192.0.2.1:9000
bad "port 0" 2 '…port…' r2 ls --endpoint https://127.0.0.1:0
bad "port 99999" 2 '…port…' r2 ls --endpoint https://127.0.0.1:99999
bad "port x" 2 '…port…' r2 ls --endpoint https://127.0.0.1:x
bad "another scheme" 2 '…https…' r2 ls --endpoint ftp://127.0.0.1
bad "empty host" 2 '…' r2 ls --endpoint https://
bad "a key in the endpoint" 2 '…' r2 ls --endpoint "https://user:pass@$hostport"
ok "… which the message does not repeat" sh -c "! grep -q user:pass '$T/err'"
for bucket in ab Upper under_score -lead trail- "$(printf 'x%.0s' {1..64})" 'sp ace' a/b; do
	bad "bucket name '$bucket'" 2 '…bucket…' r2 ls --bucket "$bucket"
done
bad "s3:// with a bad bucket" 2 '…bucket…' r2 upload --key "s3://No_Bucket/x" a.png

# Files of the configuration.
bad "--ca-file that is not there" 2 '…nowhere.pem…' r2 ls --ca-file nowhere.pem
bad "--ca-file that is a directory" 2 "…$T…" r2 ls --ca-file "$T"
echo 'no certificate' >none.pem
bad "--ca-file without certificates" 2 '…none.pem…' r2 ls --ca-file none.pem
printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' >broken.pem
bad "--ca-file with a broken certificate" 2 '…broken.pem…' r2 ls --ca-file broken.pem
: >empty.env
bad "empty env file, no credentials: it is named" 1 '…empty.env…' \
	env -u R2_ACCESS_KEY_ID -u R2_SECRET_ACCESS_KEY "$R2" ls --env-file empty.env
t "empty env file, all set" 0 … '…Connection OK…' r2 upload --test --env-file empty.env
bad "binary env file" 2 '…r2copy…' r2 ls --env-file "$T/r2copy"
bad "env file that is not there" 2 '…nowhere.env…' r2 ls --env-file nowhere.env
printf 'R2_BUCKET="%s\n' open >open.env
bad "env file with an open quote" 2 '…open.env…' r2 ls --env-file open.env

# Keys.
long=$(printf 'k%.0s' {1..1025})
bad "key over 1,024 bytes" 2 '…1…024…' r2 upload --key "$long" a.png
bad "key not UTF-8" 2 '…UTF-8…' r2 upload --key $'bad\xff.png' a.png
bad "key with .." 2 '…..…' r2 upload --key 'a/../b' a.png
bad "key with ." 2 '…' r2 upload --key './b' a.png
bad "empty key" 2 '…key…' r2 upload --key '' a.png
bad "prefix with .." 2 '…..…' r2 upload --prefix 'a/../..' a.png
mkdir -p watched
bad "sync: R2_PREFIX with .." 2 '…..…' env R2_PREFIX=a/../.. "$R2" sync --once --log - watched
bad "… with a bucket" 2 '…--bucket…' env R2_PREFIX=s3://runpod/a "$R2" sync --once --log - watched
bad "… --prefix" 2 '…--bucket…' r2 sync --once --log - --prefix s3://runpod/a watched
bad "… and a pattern that the shell expands" 2 '…not b.png and watched; a pattern must be quoted…' r2 sync --include a.png b.png watched
bad "… as aws s3 sync has it" 2 'r2 sync: s3://runpod/a: …--bucket and --prefix' r2 sync --log - watched s3://runpod/a
bad "… alone" 2 'r2 sync: s3://runpod/a: …--bucket and --prefix' timeout 60 "$R2" sync --log - s3://runpod/a
is "… no directory is made of it" "$(ls -d s3:* 2>/dev/null)" ''
bad "prefix that makes the key too long" 2 '…1…024…' r2 upload --prefix "$long" a.png
bad "--key for two files" 2 '…--key…' r2 upload --key k a.png a.png
printf x >$'bad\xff.png'
t "file name not UTF-8" '[12]' '' '…UTF-8…' upload $'bad\xff.png'
is "… nothing sent" "$(s3_count "$P/")" 0

# Files.
bad "missing file" 1 '…[R2] TS - ERROR - File not found: nope.png…' upload nope.png
t "missing file among good ones: the others go" 1 '' '…File not found: nope.png…Complete: 1/2' upload nope.png a.png
is "… and are there" "$(s3_count "$P/")" 1
mkdir dir
bad "directory" 1 '…dir…directory…' upload dir
mkfifo fifo
R2_LIMIT_S=60 bad "FIFO" 1 '…fifo: is a FIFO, not a file: …- for FILE and --key…' upload fifo
bad "device" 1 '…/dev/null…' upload /dev/null
R2_LIMIT_S=60 bad "endless device" 1 '…/dev/zero…' upload /dev/zero
ln -s loop loop
bad "a link to itself" 1 '…loop…' upload loop
bad "a file below a file" 1 '…a.png/x…' upload a.png/x
bad "empty file name" '[12]' '…' upload ''
printf secret >closed.png
chmod 0 closed.png
cp "$R2_CA_FILE" ca.pem
chmod 644 ca.pem
bad "unreadable file" 1 '…closed.png…' as_nobody env R2_CA_FILE="$T/ca.pem" timeout 180 "$T/r2copy" upload --retries 1 --prefix "$P" closed.png
truncate -s 6T huge.mp4
R2_LIMIT_S=60 bad "above the limit of an object: nothing sent" 1 '…huge.mp4…' upload huge.mp4
: >empty.png
t "an empty file is a file" 0 '' '…Complete: 1/1' r2 upload --key "$P/empty.png" empty.png
ok "… of 0 bytes" s3_is "$P/empty.png" empty.png
mkdir one two
printf 1 >one/x.png
printf 2 >two/x.png
bad "two files for one key" '[12]' '…x.png…' upload one/x.png two/x.png
is "… nothing sent" "$(s3_status "$P/$(date +%F)/x.png")" 404

# Options.
bad "--date 2025-02-30" 2 '…2025-02-30…' upload --date 2025-02-30 a.png
bad "--date 2025-2-3" 2 '…2025-2-3…' upload --date 2025-2-3 a.png
bad "--meta with a control character" 2 '…--meta…' upload --meta $'k=a\nb' a.png
bad "--meta that would be a header" 2 '…--meta…' upload --meta $'k=a\r\nx-amz-acl: public-read' a.png
bad "--meta with a name that is there in other letters" 2 '…--meta key…more than once…' upload --meta kez=v --meta Key=v --meta kEY=w a.png
bad "--meta without =" 2 '…--meta…' upload --meta k a.png
bad "--meta with a name that is no header" 2 '…--meta…' upload --meta 'k k=v' a.png
bad "--content-type with a control character" 2 '…--content-type…' upload --content-type $'a\nb' a.png
bad "--if-exists nonsense" 2 '…--if-exists…' upload --if-exists nonsense a.png
bad "--storage-class nonsense" 2 '…--storage-class…' upload --storage-class nonsense a.png
bad "unknown option" 2 '…--nonsense…' upload --nonsense a.png
bad "option without value" 2 '…--prefix…' r2 upload a.png --prefix
bad "standard input without --key" 2 '…--key…' r2 upload - </dev/null
bad "--exclude, which chooses among files of a tree, without -r" 2 '…need -r' upload a.png --exclude '*.png'
for option in 'upload -r --include' 'upload -r --exclude' 'sync --include' 'sync --exclude' 'cleanup --days 1 --keep'; do
	read -ra words <<<"$option"
	bad "$option with an empty pattern" 2 "…${words[-1]}…empty…" r2 "${words[@]}" '' dir
done
bad "two prefixes for ls" 2 '…' r2 ls a b

# Outputs that cannot be written. A log on a full disk never stops the work.
full() { r2 upload --key "$P/full.png" a.png 2>/dev/full; }
t "a full disk under the log" 0 '' '' full
ok "… the object is there" s3_is "$P/full.png" a.png
list_full() { r2 ls "$P/" >/dev/full; }
bad "a full disk under the listing" 1 '…' list_full
json_full() { r2 upload -q --json --key "$P/full.png" a.png >/dev/full; }
bad "a full standard output, found out by a worker" 1 'r2: standard output: …' json_full
json_left() { { until [ -e gone ]; do sleep 0.05; done; exec "$R2" upload -q --json --key "$P/full.png" a.png 2>left; } | { exec <&-; touch gone; }; [ -e left ] && [ ! -s left ]; }
ok "a reader that has left is no error message" json_left
list_closed() { r2 ls "$P/" >&-; }
bad "a closed standard output" 1 '…' list_closed
# A descriptor that is free must not become the connection that a log line is then written into.
all_closed() { r2 upload --json -v --key "$P/closed.png" a.png <&- >&- 2>&-; [ $? -lt 2 ]; }
ok "all three descriptors closed" all_closed
ok "… the object is whole" s3_is "$P/closed.png" a.png

# What a terminal would act on.
export R2
python3 "$TESTS/terminal.py" || FAILED=1
finish
