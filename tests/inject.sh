#!/bin/bash
# System calls of the program as it is shipped fail, the first, the second and the last of each: see inject.py. make failures FULL=1 has all.
# Its own server, which speaks http: what is tried is this side.
cd "$(dirname "$0")/.." || exit 1
exec tests/server with r2emu python3 tests/inject.py -j 8 upload-move upload-parts get cleanup sync-delete
