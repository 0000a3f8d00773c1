#!/bin/bash
# Signals at random moments (signals.py); `make stress` is the long form.
. "$(dirname "$0")/lib.sh"
need_server
export R2 R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED}
python3 "$TESTS/signals.py" "${STRESS:-4}" || FAILED=1
finish
