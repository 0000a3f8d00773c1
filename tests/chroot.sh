#!/bin/bash
# The binary alone in an empty root directory: no /dev, /etc, /proc, /tmp, no shell, no environment.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" = 0 ]; then
	enter=(chroot)
elif unshare -Ur true 2>/dev/null; then
	enter=(unshare -Ur chroot)
else
	not_ok "an empty root directory: needs root or user namespaces"
	finish
fi
need_server

root=$T/root
mkdir "$root"
cp "$R2" "$root/r2"
cp "$R2_CA_FILE" "$root/ca.pem"
random_file "$root/image.png" 2569011
day=$(date -u +%F)

CA=/ca.pem
in_root() {
	timeout 60 env -i R2_ENDPOINT="$R2_ENDPOINT" R2_BUCKET="$R2_BUCKET" ${CA:+R2_CA_FILE="$CA"} \
		R2_ACCESS_KEY_ID="$R2_ACCESS_KEY_ID" R2_SECRET_ACCESS_KEY="$R2_SECRET_ACCESS_KEY" \
		"$(command -v "${enter[0]}")" "${enter[@]:1}" "$root" "$@"
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
finish
