#!/bin/bash
# What r2 touches and tells: files opened, processes started, and that no secret is in any output, system call, left-over memory or file.
. "$(dirname "$0")/lib.sh"
need_server

cd "$T" || exit 1
printf 'a small picture' >small.png
secret=$R2_SECRET_ACCESS_KEY
token=session-token-that-nobody-may-see

tells_nothing() { ! grep -qaF -e "$secret" -e "$token" -e wrong-secret -e pa55word -e Signature= "$T/out" "$T/err"; }
quiet() { # NAME COMMAND…
	local name=$1; shift
	run "$@"
	ok "no secret told: $name" tells_nothing
}
quiet "upload -v --json" r2 upload -v --json --prefix "$P" small.png
quiet "--test -v" r2 upload -v --test
quiet "wrong secret" env R2_SECRET_ACCESS_KEY=wrong-secret "$R2" upload --test -v
quiet "wrong key id" env R2_ACCESS_KEY_ID=wrong "$R2" upload --test -v
quiet "session token" env R2_SESSION_TOKEN=$token "$R2" upload --test -v --retries 1
quiet "secret with a newline" env R2_SECRET_ACCESS_KEY="wrong-secret
x" "$R2" ls -v
quiet "proxy's password" env HTTPS_PROXY=http://user:pa55word@127.0.0.1:1 "$R2" ls -v --retries 1 --endpoint https://192.0.2.1
quiet "proxy that is wrong" env HTTPS_PROXY=socks9://user:pa55word@127.0.0.1:1 "$R2" ls -v --retries 1 --endpoint https://192.0.2.1
printf 'R2_SECRET_ACCESS_KEY=%s\nnonsense with wrong-secret in it\n' "$secret" >bad.env
quiet "env file with a bad line" env -u R2_SECRET_ACCESS_KEY "$R2" ls -v --env-file bad.env
ok "no option takes a secret: it would be in argv" sh -c "! '$R2' upload --help | grep -qiE -e '--(secret|password|key-id|access)'"

# A secret that others may read gets one warning.
printf '%s' "$secret" >secret
by_file() { env -u R2_SECRET_ACCESS_KEY R2_SECRET_ACCESS_KEY_FILE="$T/secret" "$@"; }
chmod 600 secret
t "a mounted secret" 0 … "[R2] TS - INFO - R2 client ready: $R2_BUCKET
[R2] TS - INFO - Connection OK: $R2_BUCKET" by_file "$R2" upload --test
chmod 644 secret
t "a secret that others may read: one warning" 0 … "…WARNING…$T/secret…Connection OK…" by_file "$R2" upload --test
is "… one" "$(grep -c WARNING "$T/err")" 1
printf 'R2_SECRET_ACCESS_KEY=%s\n' "$secret" >r2.env
chmod 644 r2.env
t "an env file that others may read: one warning" 0 … '…WARNING…r2.env…Connection OK…' env -u R2_SECRET_ACCESS_KEY "$R2" upload --test --env-file r2.env
chmod 600 r2.env secret

# Other processes of the same user cannot look into it: /proc/PID of an undumpable process belongs to root.
undumpable() {
	local n
	for ((n = 0; n < 2400; n++)); do
		[ "$(stat -c %u "/proc/$1/environ")" != 0 ] || return 0
		sleep 0.05
	done
	return 1
}
if [ "$(id -u)" = 0 ] && [ -e /proc/self/environ ]; then
	install -m755 "$R2" "$T/r2copy"
	cp "$R2_CA_FILE" "$T/ca.pem"
	chmod 644 ca.pem
	mkfifo slow
	R2_CA_FILE=$T/ca.pem setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$T/r2copy" upload --key "$P/slow" - <slow >slow.log 2>&1 &
	pid=$!
	exec 9>slow
	ok "PR_SET_DUMPABLE is off while it works" undumpable $pid
	exec 9>&-
	wait $pid
	is "… and it does its work" "$?" 0
else
	not_ok "PR_SET_DUMPABLE: needs root and /proc"
fi

# Nor does it keep more than it needs to.
export R2 R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED}
for part in memory tells; do
	python3 "$TESTS/$part.py" || FAILED=1
done

if ! strace -o /dev/null true 2>/dev/null; then
	not_ok "system calls: strace does not work here"
	finish
fi

# traced NAME ALLOWED-FILE-PATTERN [STRACE-OPTION…] COMMAND…: every open, every process, every byte of every call.
traced() {
	local name=$1 allowed=$2; shift 2
	run timeout 600 strace -f -qq -v -s 100000 -o trace "$@"
	# The first line is the start of the program, where the environment stands.
	sed -i '1d' trace
	is "$name: works" "$rc" 0
	grep -oE '\b(open|openat|openat2|creat)\([^"]*"[^"]*"' trace | sed 's/.*("\|[^"]*"//; s/"$//' | sort -u >opened
	is "$name: no file is opened but the needed ones" "$(grep -vxE "$allowed" opened)" ''
	is "$name: no other program is started" "$(grep -cE '\bexecveat?\(' trace)" 0
	is "$name: no child process" "$(grep -E '\b(v?fork|clone3?)\(' trace | grep -cv CLONE_THREAD)" 0
}
unseen() { ! grep -qF "$secret" trace; }
before() { [ "$(grep -nm1 "$1" trace | cut -d: -f1)" -lt "$(grep -nm1 "$2" trace | cut -d: -f1)" ]; }

# "/" is what takes the place of a standard descriptor that is closed.
system='/|/etc/(resolv\.conf|hosts|nsswitch\.conf|host\.conf|services|localtime|timezone|r2\.env)|/usr/share/zoneinfo.*|/share/zoneinfo.*|/etc/zoneinfo.*'
journals='/var/lib/r2|.*/\.local/state/r2'
traced upload "$system|$journals|small.png|$R2_CA_FILE" "$R2" upload --prefix "$P" small.png
ok "upload: the secret is in no system call" unseen
ok "upload: the process is undumpable" grep -q 'prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE' trace
traced ls "$system|$R2_CA_FILE" "$R2" ls "$P/"
ok "ls: the secret is in no system call" unseen
traced "by name" "$system|$journals|small.png|$R2_CA_FILE" "$R2" upload --endpoint "https://localhost:${R2_ENDPOINT##*:}" --prefix "$P" small.png
traced "with a secret's file" "$system|$journals|small.png|$R2_CA_FILE|$T/secret" \
	-E R2_SECRET_ACCESS_KEY -E R2_SECRET_ACCESS_KEY_FILE="$T/secret" "$R2" upload --prefix "$P" small.png
ok "with a secret's file: undumpable before it is read" before 'PR_SET_DUMPABLE' "$T/secret\""
is "with a secret's file: it is read, and never written" "$(grep -F "$secret" trace | grep -cvE '\b(read|readv|pread64)\(')" 0
traced version / "$R2" --version
finish
