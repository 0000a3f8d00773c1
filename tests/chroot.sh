#!/bin/bash
# The binary alone in an empty root directory: no /dev, /etc, /proc, /tmp, no shell, no environment. And copied into those of others: one as
# Alpine's (busybox), and one as Debian's: bash and what it needs, or with R2_TEST_BASE=DIR a copy of a whole one (debootstrap).
. "$(dirname "$0")/lib.sh"
need_chroot
need_server

root=$T/root
mkdir "$root"
cp "$R2" "$root/r2"
cp "$R2_CA_FILE" "$root/ca.pem"
random_file "$root/image.png" 2569011
day=$(date -u +%F)

CA=/ca.pem ENV=()
in_root() {
	timeout 300 env -i "${ENV[@]}" R2_ENDPOINT="$R2_ENDPOINT" R2_BUCKET="$R2_BUCKET" ${CA:+R2_CA_FILE="$CA"} \
		R2_ACCESS_KEY_ID="$R2_ACCESS_KEY_ID" R2_SECRET_ACCESS_KEY="$R2_SECRET_ACCESS_KEY" \
		"${CHROOT[@]}" "$root" "$@"
}
found() { (cd "$root" && find . -mindepth 1 | sort | tr '\n' ' '); }

t "--version" 0 'r2 …' '' in_root /r2 --version
t "--test" 0 … '…Connection OK…' in_root /r2 upload --test
t "upload over TLS" 0 '' "[R2] TS - INFO - R2 client ready: $R2_BUCKET
[R2] TS - INFO - Uploading: image.png (2.45 MB)
[R2] TS - INFO - Uploaded: s3://$R2_BUCKET/$P/$day/image.png
[R2] TS - INFO - Complete: 1/1" in_root /r2 upload --prefix "$P" image.png
ok "the object" s3_is "$P/$day/image.png" "$root/image.png"
t "ls" 0 '…2569011 image.png' '' in_root /r2 ls "$P/$day/"
CA='' t "the built-in roots refuse the test's certificate" 1 … '…Connection failed…--ca-file…' in_root /r2 upload --test --retries 1
is "nothing was left behind" "$(found)" './ca.pem ./image.png ./r2 '
mkdir "$root/bin"
t "--install without /proc" 0 … '' in_root /r2 --install /bin
t "a link, called by its path" 0 '…image.png' '' in_root /bin/r2-ls "$P/$day/"
t "r2-upload --help" 0 '…--prefix…' '' in_root /bin/r2-upload --help

# What README tells the author of an image to do, and the old start script: each by the shell of that image.
cat >"$T/uses" <<'END'
set -e
cp /r2 /usr/local/bin/r2
r2 --install /usr/local/bin
r2-upload --no-date image.png
. /start.sh
echo new >/out/new.png
until r2-ls -r "$R2_PREFIX/" | grep new.png; do sleep 0.1; done
kill $!
wait $!
echo first >/out/first.png
r2 sync -- sh -c 'echo last >/out/last.png'
r2 ls -r "$R2_PREFIX/" | grep -c "/[nfl][a-z]*.png"
END
# Debian's busybox has no nohup, Alpine's has.
busybox_root() {
	mkdir -p bin && cp "$(command -v busybox)" bin/ && bin/busybox --list | grep -vx busybox | (cd bin && xargs -n 1 ln -s busybox) || return
	[ -e bin/nohup ] || { printf '#!/bin/sh\nexec "$@"\n' >bin/nohup && chmod 755 bin/nohup; }
}
# with_libraries PROGRAM…: each, and the libraries that it asks for, where they are.
with_libraries() {
	local f
	for f in "$@" $(ldd "$@" | grep -o '/[^ :]*'); do install -D "$f" ".$f" || return; done
}
debian_root() {
	if [ -n "${R2_TEST_BASE:-}" ]; then cp -a "$R2_TEST_BASE/." .; return; fi
	with_libraries /bin/bash /bin/cp /bin/mkdir /bin/sleep /bin/grep /usr/bin/nohup && ln -s bash bin/sh
}
used_in() { # NAME
	root=$T/$1
	mkdir "$root" && cd "$root" || return
	ok "$1: the root" "$1_root" || return
	mkdir -p dev tmp out usr/local/bin
	[ -e dev/null ] || : >dev/null
	cp "$R2" r2
	cp "$R2_CA_FILE" ca.pem
	cp "$T/root/image.png" "$TESTS/../doc/examples/start.sh" "$T/uses" .
	ENV=(PATH=/usr/local/bin:/usr/bin:/bin R2_PREFIX="$P/$1" COMFYUI_OUTPUT_DIR=/out ENABLE_R2_SYNC=true)
	t "$1: --install, upload, the start script, sync beside a program" 0 '[R2] Starting R2 sync daemon...
[R2] R2 sync daemon started
…new.png
…3' … in_root /bin/sh /uses
	ok "$1: … arrived" s3_is "$P/$1/image.png" image.png
	is "$1: … the last file too" "$(s3_get "$P/$1/$day/last.png")" last
	cd "$T" && rm -rf "$root"
}
used_in busybox
used_in debian
finish
