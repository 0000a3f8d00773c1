#!/bin/bash
# Every fault for every command, as the table in matrix.py has it, against the R2 emulator. One row or column: make matrix ROWS='sync DNS'.
grep -qs '^R2_SERVER=r2emu' "${R2_TEST_SERVER_DIR:-}/env" || unset R2_TEST_SERVER_DIR
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { not_ok 'needs root: a name server has port 53'; finish; }
need_server r2emu
export R2 R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED}
python3 "$TESTS/matrix.py" "$@" || FAILED=1
finish
