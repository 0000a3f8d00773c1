#!/bin/bash
# Dockerfile.static: its steps done one by one, without a container daemon, and what comes of them run as a root directory of its own.
# R2_TEST_BASE=DIR, a Debian root (debootstrap): the real thing instead, by buildah in chroot isolation; some minutes.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
FILE=$ROOT/Dockerfile.static
image=$T/image
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# One instruction a line, comments gone; "1 RUN make": the stage, the instruction, the rest.
steps=$(sed -e '/^#/d' -e ':a' -e '/\\$/{N;s/\\\n */ /;ba}' "$FILE" | awk 'NF { stage += $1 == "FROM"; print stage, $0 }')
values() { sed -n "s/^$1 $2 //p" <<<"$steps"; }

# What the first stage does, below $T/src in place of /src and $image in place of /image.
do_steps() {
	local words bearssl musl
	bearssl=$(cd "$ROOT" && realpath "${BEARSSL_SRC:-build/bearssl}")
	musl=$(cd "$ROOT" && realpath "${MUSL_SRC:-build/musl-src}")
	unset BEARSSL_SRC MUSL_SRC B
	mkdir -p "$T/src/build" && cd "$T/src" && ln -s "$bearssl" build/bearssl && ln -s "$musl" build/musl-src || return
	while read -r _ what rest; do
		case $what in
		COPY)
			read -ra words <<<"$rest"
			mkdir -p "$(dirname "${words[1]}")" && cp -r "$ROOT/${words[0]}" "${words[1]}" || return ;;
		RUN) sh -ec "${rest//\/image/$image}" || return ;;
		esac
	done < <(grep '^1 ' <<<"$steps")
}
do_buildah() {
	local store=(--storage-driver vfs --root "$T/store" --runroot "$T/run") c
	c=$(buildah "${store[@]}" from scratch) && buildah "${store[@]}" add -q "$c" "$R2_TEST_BASE" / &&
		buildah "${store[@]}" commit -q "$c" localhost/base:1 &&
		buildah "${store[@]}" build --isolation chroot --build-arg BASE=localhost/base:1 -f "$FILE" -t r2box "$ROOT" &&
		c=$(buildah "${store[@]}" from localhost/r2box) && cp -a "$(buildah "${store[@]}" mount "$c")" "$image" || return
	buildah "${store[@]}" inspect --type image localhost/r2box | jq -e '.OCIv1.config |
		.User == "65532:65532" and .Entrypoint == ["/r2"] and .Labels["org.opencontainers.image.title"] == "r2box"'
}
build() { if [ -n "${R2_TEST_BASE:-}" ]; then do_buildah; else do_steps; fi >"$T/build.log" 2>&1 || { tail -n 20 "$T/build.log" >&2; false; }; }

is 'two stages' "$(values '[12]' FROM)" "\${BASE} AS build
scratch"
ok 'what it is built on can be given' grep -qE '^0 ARG BASE=debian:12' <<<"$steps"
is 'into the second goes the result alone' "$(values 2 COPY)" '--from=build /image/ /'
is 'a user without a name, and without rights' "$(values 2 USER)" 65532:65532
is 'it is called r2' "$(values 2 ENTRYPOINT)" '["/r2"]'
ok 'labels' eval 'for l in title description licenses revision; do grep -qF "org.opencontainers.image.$l=" <<<"$steps" || exit; done'

ok 'the steps' build || finish
is 'the program, its links, nothing else' "$(cd "$image" && find . -mindepth 1 | sort)" \
	"$( (echo ./r2; "$R2" --list | sed 's|^|./|') | sort)"
ok 'under 500 KB, as the README says' [ "$(find "$image" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')" -lt 500000 ]

need_chroot
need_server
[ "$(id -u)" != 0 ] || CHROOT+=(--userspec=65532:65532)
cp "$R2_CA_FILE" "$image/ca.pem"
random_file "$image/image.png" 100000
chmod 644 "$image/ca.pem" "$image/image.png"
in_image() {
	timeout 300 env -i R2_ENDPOINT="$R2_ENDPOINT" R2_BUCKET="$R2_BUCKET" R2_CA_FILE=/ca.pem R2_PREFIX="$P" \
		R2_ACCESS_KEY_ID="$R2_ACCESS_KEY_ID" R2_SECRET_ACCESS_KEY="$R2_SECRET_ACCESS_KEY" \
		"${CHROOT[@]}" "$image" "$@"
}
t 'CMD: the help' 0 'usage: r2 …' '' in_image /r2 --help
t 'an upload from the image, as its user' 0 '' '…Complete: 1/1' in_image /r2 upload --no-date image.png
ok '… arrived' s3_is "$P/image.png" "$image/image.png"
t 'a link in it' 0 "…100000 image.png" '' in_image /r2-ls "$P/"
finish
