#!/bin/bash
# The end-to-end tests again, against other servers, one after the other: tests/interop.sh [KIND…]
cd "$(dirname "$0")" || exit 1
[ $# -gt 0 ] || set -- r2emu minio versitygw moto
rc=0
for kind; do
	tests=(upload ls aws_ls cleanup chroot)
	# What R2 would refuse matters wherever the program speaks to a store.
	[ "$kind" != r2emu ] || tests+=(get schema secrets)
	# shellcheck disable=SC2016
	TEST_TAG="$kind: " ./server with "$kind" sh -c 'rc=0; for t; do bash "./$t.sh" || rc=1; done; exit $rc' - "${tests[@]}" || rc=1
done
exit $rc
