#!/bin/bash
# r2 sync against a real server: every file counted. The cases are Python's: sync_files.py, what a program does to the directory;
# sync_life.py, what befalls the daemon. One of them alone: tests/server with radosgw python3 tests/sync_life.py midnight; in full: --soak.
. "$(dirname "$0")/lib.sh"
need_server
export R2 R2_TEST_SERVER_DIR=${R2_TEST_SERVER_DIR:-$STARTED}
for part in sync_files sync_life; do
	python3 "$TESTS/$part.py" || FAILED=1
done
finish
