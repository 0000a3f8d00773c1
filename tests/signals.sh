#!/bin/bash
# Signals at random moments (signals.py); `make stress` is the long form.
. "$(dirname "$0")/lib.sh"
need_server
# The same signals each time, but for the long form: whether a change passes is no matter of luck.
[ -n "${STRESS:-}" ] || export SEED="${SEED:-1}"
export R2 R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED}
python3 "$TESTS/signals.py" "${STRESS:-4}" || FAILED=1
finish
