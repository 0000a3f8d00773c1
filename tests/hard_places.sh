#!/bin/bash
# Kernels, containers and limits that give less than usual: each command does its work there, or says in one line why not.
. "$(dirname "$0")/lib.sh"
need_server
[ "$(id -u)" = 0 ] || { not_ok 'hard places need root, to go there'; finish; }

cd "$T" || exit 1
random_file image.png 1000000
SYNC=$P/sync
day=$(date -u +%F)
without() { "$TESTS/seccomp.py" "$@"; }
put_get() { # NAME COMMAND…: an upload, a listing and a download by COMMAND r2 …
	local name=$1; shift
	t "$name: upload" 0 '' '…Complete: 1/1' "$@" "$R2" upload --prefix "$P" --no-date image.png
	t "$name: ls" 0 '…1000000 image.png' '' "$@" "$R2" ls "$P/"
	rm -f back.png
	t "$name: get" 0 '' … "$@" "$R2" get "$P/image.png" back.png
	ok "$name: … the same" cmp image.png back.png
}
sync_once() { # NAME WANTED COMMAND…
	local name=$1 want=$2; shift 2
	rm -rf watched
	mkdir watched
	cp image.png watched
	t "$name: sync" 0 "$want" … "$@" "$R2" sync --settle 0.1 --once --log - --prefix "$SYNC" --if-exists overwrite watched
	ok "$name: … arrived" s3_is "$SYNC/$day/image.png" image.png
	s3 DELETE "$SYNC/$day/image.png"
}

# The kernel. What came after Linux 3.17 (2014), as far as anything here could want it.
newer=(execveat preadv2 pwritev2 copy_file_range statx io_uring_setup pidfd_open clone3 close_range openat2 faccessat2 rseq membarrier
	landlock_create_ruleset memfd_create mlock2 pkey_alloc)
put_get 'a kernel of 2014' without "${newer[@]}" --
sync_once 'a kernel of 2014' '…1 uploaded…' without "${newer[@]}" --
put_get 'optional calls refused' without fallocate renameat2 prctl madvise mlock sendfile --
put_get 'a file system without times of its own' without utimensat --
put_get '… that takes none from us' without --errno EPERM utimensat --
random_file film.mp4 6000000
t 'no room can be kept for a file: upload' 0 '' … "$R2" upload --prefix "$P" --no-date film.mp4
t '… get, in two ranges' 0 '' … without --errno EPERM fallocate -- "$R2" get --part-size 5M "$P/film.mp4" back.mp4
ok '… the same' cmp film.mp4 back.mp4
sync_once 'optional calls refused' '…1 uploaded…' without fallocate renameat2 ioprio_set madvise mlock sendfile --
sync_once 'no inotify' '…WARNING: no events…scanned every few seconds…1 uploaded…' without inotify_init inotify_init1 --
sync_once 'a file system without locks and sockets' '…WARNING: …/socket: …: no --status…1 uploaded…' without --errno EOPNOTSUPP flock bind --
t 'no random numbers: upload says so' 1 '' '…no random numbers: getrandom…' without getrandom -- "$R2" upload --retries 1 --prefix "$P" image.png
t '… sync' 1 '…no random numbers: getrandom…' '' without getrandom -- "$R2" sync --once --log - watched
t '… and no TLS without them' 1 '' '…no random numbers…' without getrandom -- "$R2" ls --retries 1

# What Docker lets a container call: all else is refused as its older versions do, as newer ones do, or ends the process.
for how in '--errno EPERM' '--errno ENOSYS' --kill; do
	# shellcheck disable=SC2086
	put_get "Docker's profile, $how" without $how --only "$TESTS/vectors/docker-calls" --
done
sync_once "Docker's profile" '…1 uploaded…' without --errno EPERM --only "$TESTS/vectors/docker-calls" --
t '… beside a program' 7 … … without --kill --only "$TESTS/vectors/docker-calls" -- "$R2" sync --log - --prefix "$SYNC" watched -- /bin/sh -c 'exit 7'
t 'the filter is one' 159 '' … without --kill --only "$TESTS/vectors/docker-calls" -- "$(command -v unshare)" -m true

# Limits.
limited() { # OPTION VALUE COMMAND…
	(ulimit "$1" "$2"; exec "${@:3}")
}
put_get '16 MB of memory' limited -v 16384
sync_once '16 MB of memory' '…1 uploaded…' limited -v 16384
put_get 'four descriptors left' limited -n 7
t 'one descriptor left: what to do' 1 '' '…image.png: …No file descriptors available: raise ulimit -n…' limited -n 4 "$R2" upload --retries 1 --prefix "$P" image.png
t '… a daemon' 1 '…eventfd: No file descriptors available: raise ulimit -n' '' limited -n 8 "$R2" sync --once --log - watched
t 'none left' 2 '' '…No file descriptors available…' limited -n 3 "$R2" upload --retries 1 --prefix "$P" image.png
is '… in one line' "$(wc -l <err)" 1
put_get 'no core, no file over 2 MB' limited -f 2000
t 'a file that may not grow so far' 1 '' '…File too large…' limited -f 100 "$R2" get --retries 1 "$P/image.png" far.png
ok '… is not there' [ ! -e far.png ]

# Standard descriptors that are closed. Nothing that is opened takes their place.
closed() { "$@" <&- >&- 2>&-; }
t 'all closed: upload' 0 '' '' closed "$R2" upload --prefix "$P" --no-date image.png
rm -f back.png
t '… get' 0 '' '' closed "$R2" get "$P/image.png" back.png
ok '… the same' cmp image.png back.png
t '… sync' 0 '' '' closed "$R2" sync --settle 0.1 --once --prefix "$SYNC" --log - watched
no_stdout() { "$@" >&-; }
t 'no standard output: ls' 1 '' 'r2: standard output: Bad file descriptor' no_stdout "$R2" ls "$P/"
t '… get to it' 1 '' '…standard output: write: Bad file descriptor…' no_stdout "$R2" get "$P/image.png" -
no_stdin() { "$@" <&-; }
t 'no standard input: upload of it' 1 '' '…standard input: Bad file descriptor…' no_stdin "$R2" upload --key "$P/none" -
is '… is no object' "$(s3_status "$P/none")" 404

# How it is started.
t 'without any argument, not even a name' 2 '' 'usage: r2 …' "$TESTS/bare.py" "$R2"
t 'with an empty environment' 1 '' 'r2 ls: R2_ACCESS_KEY_ID…' env -i "$R2" ls
is '… in one line' "$(wc -l <err)" 1

# A user without a name, in a root without /proc, /dev, /etc, /tmp and $HOME, where nothing can be written; no zone files.
mkdir root root/in
cp "$R2" root/r2
cp "$R2_CA_FILE" root/ca.pem
cp image.png root/in
chmod -R a+rX root
in_root() {
	timeout 300 env -i R2_ENDPOINT="${ENDPOINT:-$R2_ENDPOINT}" R2_BUCKET="$R2_BUCKET" R2_CA_FILE=/ca.pem R2_PREFIX="$P/root" ${ZONE:+TZ="$ZONE"} \
		R2_ACCESS_KEY_ID="$R2_ACCESS_KEY_ID" R2_SECRET_ACCESS_KEY="$R2_SECRET_ACCESS_KEY" \
		"$(command -v chroot)" --userspec=54321:54321 root /r2 "$@"
}
t 'nobody, nowhere: upload' 0 '' '…Complete: 1/1' in_root upload --no-date in/image.png
t '… ls' 0 '…1000000 image.png' '' in_root ls "$P/root/"
t '… get to standard output' 0 … '' in_root get "$P/root/image.png" -
ok '… the same' cmp image.png out
t '… get to a file: why not' 1 '' '…back.png: cannot be written: Permission denied…' in_root get "$P/root/image.png" back.png
t '… sync: why not' 1 '…--state…' '' in_root sync --once --log - /in
t '… sync with a place for its ledger' 1 '…/state…' '' in_root sync --once --log - --state /state /in
mkdir root/state
chown 54321 root/state
t '… that can be written' 0 '…1 uploaded…' … in_root sync --settle 0.1 --once --log - --state /state /in
read_only() { unshare -m sh -c 'mount --bind root root && mount -o remount,ro,bind root && exec chroot root "$@"' - "$@"; }
R2_CA_FILE=/ca.pem t '… a root that is mounted read-only: why not' 1 '…/in/.r2-sync: cannot be made: Read-only file system…' '' \
	read_only /r2 sync --once --log - /in
ENDPOINT=https://r2.invalid:1 t 'no resolv.conf: a name' 1 '' '…r2.invalid…' in_root ls --retries 1
is '… in one line' "$(wc -l <err)" 1
ZONE=Europe/Berlin t 'a zone without its file: UTC, and it says so' 0 '' "…WARNING - TZ=Europe/Berlin: …UTC…Complete: 1/1" in_root upload in/image.png
is '… the folder' "$(s3_status "$P/root/$day/image.png")" 200
ZONE=XYZ-14 t 'a zone that needs no file' 0 '' "…$(TZ=XYZ-14 date +%F)/image.png…" in_root upload -n in/image.png
finish
