#!/bin/bash
# The end-to-end tests again, against other servers: tests/interop.sh [KIND…]. One server after the other, some tests of each at once
# (TEST_JOBS). moto is one Python process that two clients at once can confuse: one test at a time, beside the others, its lines at the end.
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- r2emu minio versitygw moto

# against KIND [exec]: with exec in place of the shell, so that who ends it ends the server too.
against() {
	local kind=$1 tests=(upload aws_ls ls cleanup chroot)
	# What R2 would refuse matters wherever the program speaks to a store: whatever speaks to the server it is given.
	[ "$kind" != r2emu ] || tests=(transfer sync get "${tests[@]}" schema secrets signals badinput)
	tests=("${tests[@]/#/tests/}")
	echo "$kind:"
	${2:-} env TEST_SERVER="$kind" TEST_TAG="$kind: " LOGS="${LOGS:-build/logs}/$kind" tests/run "${tests[@]/%/.sh}"
}

slow=$(mktemp) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -f "$slow"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rc=0 moto=
for kind; do
	if [ "$kind" = moto ]; then
		TEST_JOBS=1 against moto exec >"$slow" 2>&1 &
		moto=$!
	fi
done
for kind; do
	[ "$kind" = moto ] || against "$kind" || rc=1
done
if [ -n "$moto" ]; then
	wait "$moto" || rc=1
	cat "$slow"
fi
exit $rc
