#!/bin/bash
# The end-to-end tests again, against other servers: tests/interop.sh [KIND…]. One server after the other, some tests of each at once (TEST_JOBS).
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- r2emu minio versitygw moto
rc=0
for kind; do
	tests=(upload aws_ls ls cleanup chroot)
	# What R2 would refuse matters wherever the program speaks to a store: whatever speaks to the server it is given.
	[ "$kind" != r2emu ] || tests=(transfer sync get "${tests[@]}" schema secrets signals badinput)
	tests=("${tests[@]/#/tests/}")
	echo "$kind:"
	# moto is one Python process that two clients at once can confuse.
	[ "$kind" != moto ] || export TEST_JOBS=1
	TEST_SERVER=$kind TEST_TAG="$kind: " LOGS=${LOGS:-build/logs}/$kind tests/run "${tests[@]/%/.sh}" || rc=1
done
exit $rc
