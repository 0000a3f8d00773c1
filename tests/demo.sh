#!/bin/bash
# The product's steps, aloud. With R2_ENDPOINT and keys in the environment: in that bucket, below a prefix of its own.
# Else in a real S3 server (Ceph's radosgw) of its own, over TLS on loopback, that ends with this script.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
if [ -z "${R2_ENDPOINT:-}${R2_ACCOUNT_ID:-}" ] && [ -z "${R2_TEST_SERVER_DIR:-}" ]; then
	echo "No R2_ENDPOINT is set: starting a server of our own (Ceph's radosgw, TLS, on loopback)…"
	exec "$tests/server" with radosgw "$0"
fi
if [ -n "${R2_TEST_SERVER_DIR:-}" ]; then
	set -a
	# shellcheck disable=SC1091
	. "$R2_TEST_SERVER_DIR/env"
	set +a
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/r2-demo.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp "${R2:-$tests/../r2}" "$dir/r2"
if [ -n "${R2_CA_FILE:-}" ]; then
	cp "$R2_CA_FILE" "$dir/ca.pem"
	export R2_CA_FILE=ca.pem
fi
python3 "$tests/pictures.py" "$dir"

# Where the program can be the only file there is, it is.
cd "$dir"
r2=(./r2) where='from an empty directory'
if [ "$(id -u)" = 0 ] && [ -n "${R2_TEST_SERVER_DIR:-}" ]; then
	r2=("$(command -v chroot)" "$dir" /r2) where='from a root directory with nothing else in it'
fi
say() { printf '\n# %s\n' "$*"; }
show() { printf '$ r2 %s\n' "$*"; "${r2[@]}" "$@"; }

prefix=r2-demo-$$
say "What there is: the program, two pictures, a video$([ -z "${R2_CA_FILE:-}" ] || echo ", the server's certificate"). Nothing else."
ls -l "$dir"
"${r2[@]}" --version

say "A wrong secret is explained:"
! (export R2_SECRET_ACCESS_KEY=0000000000000000000000000000000000000000000000000000000000000000 && show upload --test) || exit 1
say "The right one:"
show upload --test
say "Upload, $where:"
show upload --prefix "$prefix" sunrise.png noise.png clip.mp4
say "And there they are:"
show ls "$prefix/"

# What the program is for: a directory that a job fills, and a daemon that may be killed at any time.
out=$dir/output daemon=
trap 'kill -9 $daemon 2>/dev/null || :; rm -rf "$dir"' EXIT
mkdir -p "$out"
# A job: pictures and videos in new directories, written in pieces or under a temporary name.
work() {
	local i to
	for i in $(seq "$1" "$2"); do
		to=$out/job$((i / 5))
		mkdir -p "$to"
		if [ $((i % 2)) = 0 ]; then
			{ cat noise.png; sleep 0.05; cat noise.png; sleep 0.05; cat noise.png; } >"$to/video$i.mp4"
		else
			cp sunrise.png "$to/.new" && echo "$i" >>"$to/.new" && mv "$to/.new" "$to/image$i.png"
		fi
	done
}
sync_daemon() {
	printf '$ r2 sync --prefix %s --log - output &\n' "$prefix"
	./r2 sync --prefix "$prefix" --log - output &
	daemon=$!
}
# wait_for SECONDS COMMAND…
wait_for() {
	local n=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		n=$((n - 1))
		[ $n -gt 0 ] || { echo "waited in vain for: $*" >&2; return 1; }
		sleep 0.1
	done
}
local_files() { find "$out" -name .r2-sync -prune -o -type f -print | wc -l; }
bucket_files() { ./r2 ls -r -1 "$prefix/$(date +%F)/job" 2>/dev/null | wc -l; }
some_there() { [ "$(bucket_files)" -ge 2 ]; }
all_there() { [ "$(bucket_files)" = "$(local_files)" ]; }

say "A directory is watched while a job fills it:"
sync_daemon
wait_for 300 ./r2 sync --health output
work 1 8
wait_for 300 some_there
say "kill -9 in the middle, and the job goes on without a daemon:"
kill -9 $daemon
wait $daemon 2>/dev/null || true
work 9 16
echo "$(local_files) files here, $(bucket_files) in the bucket"
say "Started again, it catches up, and sees what comes:"
sync_daemon
work 17 20
wait_for 300 all_there
show sync --status output
echo "$(local_files) files here, $(bucket_files) in the bucket"
kill -TERM $daemon
wait $daemon

say "Back again, each verified, and compared:"
show get -q -r "$prefix/$(date +%F)/" back
for job in output/job*; do
	diff -r "$job" "back/${job#output/}" && echo "$job: equal"
done

say "Last month's is cleaned up, today's stays:"
show upload --prefix "$prefix" --date "$(date -d '40 days ago' +%F)" sunrise.png noise.png
show cleanup --prefix "$prefix" --days 30 -n
show cleanup --prefix "$prefix" --days 30
show ls -r -h --summary "$prefix/"
