#!/bin/bash
# build/dist, as `make dist` left it: each program on its machine (qemu-user) and on the oldest and newest processors of its kind, the packages
# installed, the list of parts, the sums; and that another build in another directory gives the same (R2_TEST_TWICE=1; it takes as long as make dist).
# `make dist-test` calls it, with DIST_UNITS and their programs built.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
DIST=$ROOT/build/dist
need_server
cd "$T" || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
VERSION=$(sed -n 's/^VERSION *= *//p' "$ROOT/Makefile")
random_file image.png 300000

# MACHINE, processors that qemu knows: without and with the instructions that we use where they are.
machine() {
	case $1 in
	amd64) qemu=qemu-x86_64-static says=x86_64 cpus='qemu64 Conroe max' ;;
	arm64) qemu=qemu-aarch64-static says=aarch64 cpus='cortex-a53 max' ;;
	armv7) qemu=qemu-arm-static says=arm cpus='cortex-a7 max' ;;
	riscv64) qemu=qemu-riscv64-static says=riscv64 cpus='rv64' ;;
	esac
	units=$ROOT/build/$1/musl
	[ "$1" != amd64 ] || units=$ROOT/build/musl
}
unit() { # CPU NAME
	(cd "$ROOT" && exec timeout 900 "$qemu" -cpu "$1" "$units/t_$2") >unit.log 2>&1 || { tail -n 5 unit.log >&2; false; }
}
works() { # NAME CPU
	local run=("$qemu" -cpu "$2" "$DIST/r2-linux-$1")
	t "$1, $2: --version" 0 "r2 $VERSION
BearSSL …, $says, roots of …" '' "${run[@]}" --version
	t "$1, $2: upload" 0 '' '…Complete: 1/1' "${run[@]}" upload --prefix "$P/$1-$2" --no-date image.png
	ok "$1, $2: … arrived" s3_is "$P/$1-$2/image.png" image.png
	t "$1, $2: get" 0 '' … "${run[@]}" get "$P/$1-$2/image.png" "$1-$2.png"
	ok "$1, $2: … the same" cmp "$1-$2.png" image.png
}
held() { "$qemu" -strace "$1" --version >calls 2>&1 && grep -q "mprotect.*PROT_READ) = 0" calls; }
tried() { # NAME
	local cpu u
	machine "$1"
	for cpu in $cpus; do works "$1" "$cpu"; done
	for u in ${DIST_UNITS:-hash enc sigv4 utc}; do ok "$1: t_$u" unit "${cpus%% *}" "$u"; done
	for cpu in ${cpus#* }; do ok "$1, $cpu: t_hash" unit "$cpu" hash; done
	touch -d '2040-01-02 12:00' late.png
	t "$1: after 2038" 0 '' '…outputs/2040-01-02/late.png…' "$qemu" "$DIST/r2-linux-$1" upload -n --date mtime late.png
	LC_ALL=C readelf -hldW "$DIST/r2-linux-$1" >elf
	ok "$1: static, position independent, full RELRO" eval '! grep -E "INTERP|NEEDED|TEXTREL" elf && grep -q "FLAGS_1.*NOW PIE" elf && grep -q GNU_RELRO elf'
	ok "$1: … held when it runs" held "$DIST/r2-linux-$1"
}
for a in ${DIST_TRY:-amd64 arm64 armv7 riscv64}; do
	tried "$a"
done

ok 'the sums' eval '(cd "$DIST" && sha256sum -c --quiet SHA256SUMS)'
is 'all that is there' "$(awk '{ print $2 }' "$DIST/SHA256SUMS" | wc -l)" 14
names_no_directory() { ! grep -aqF -e "$ROOT" "$DIST"/r2-linux-*; }
ok 'no path of the machine it was built on' names_no_directory
is 'parts: each program is linked with each' "$(jq '[.relationships[] | select(.relationshipType == "STATIC_LINK")] | length' "$DIST"/*.spdx.json)" 16
is '… by its digest' "$(jq -r '.files[].checksums[] | select(.algorithm == "SHA256").checksumValue' "$DIST"/*.spdx.json | sort)" \
	"$(sha256sum "$DIST"/r2-linux-* | cut -c1-64 | sort)"

tar -xzf "$DIST/r2box-$VERSION.tar.gz"
ok 'the source has what builds it' test -f "r2box-$VERSION/Makefile" -a -x "r2box-$VERSION/.ci/deps"
git clone -q "$ROOT" changed
echo more >>changed/README.md
t '… and is that of the programs: a changed tree is refused' 1 '' 'make dist: commit first, or put away: …M README.md' \
	env B=build BEARSSL_SRC= MUSL_SRC= VERSION="$VERSION" changed/.ci/dist/pack

for deb in "$DIST"/*.deb; do
	ok "lintian: ${deb##*/}" lintian --allow-root --fail-on error,warning "$deb"
done
is 'maintainer: who hands it out, else nobody, and no address that is somebody'"'"'s' "$(dpkg-deb -f "$DIST/r2box_${VERSION}_amd64.deb" Maintainer)" \
	"${MAINTAINER:-The r2box authors <maintainers@r2box.invalid>}"
dpkg-deb -x "$DIST/r2box_${VERSION}_amd64.deb" deb
ok 'the package has the program' cmp deb/usr/bin/r2 "$DIST/r2-linux-amd64"
is '… its links' "$(cd deb/usr/bin && find . -type l | sort)" "$("$R2" --list | sed 's|^|./|' | sort)"
is '… manual' "$(find deb/usr/share/man/man1 -name '*.1.gz' | wc -l)" $(("$("$R2" --list | wc -l)" + 1))
ok '… units, which name the program that it has' eval 'grep -q "^ExecStart=/usr/bin/r2 sync" deb/lib/systemd/system/r2-sync.service && ! grep -r /usr/local deb/lib'

python3 -m venv venv
ok 'pip installs the wheel' venv/bin/pip install -q --no-index --disable-pip-version-check "$DIST"/r2box-*x86_64.whl
ok '… the program' cmp venv/bin/r2 "$DIST/r2-linux-amd64"
t '… it runs' 0 'r2 …' '' venv/bin/r2 --version
ok 'pip takes it away again' eval 'venv/bin/pip uninstall -q -y r2box && ! test -e venv/bin/r2'

if [ -n "${R2_TEST_TWICE:-}" ]; then
	git clone -q "$ROOT" elsewhere/a/clone
	mkdir elsewhere/a/clone/build
	cp -a "$ROOT"/build/cache "$ROOT"/build/bearssl "$ROOT"/build/musl-src elsewhere/a/clone/build/
	ok 'make dist in another directory' make -s -C elsewhere/a/clone dist
	ok '… the same sums' cmp elsewhere/a/clone/build/dist/SHA256SUMS "$DIST/SHA256SUMS"
fi
finish
