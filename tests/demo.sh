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
show ls -r -h --summary "$prefix/"
