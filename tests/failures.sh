#!/bin/bash
# Calls to the system and for memory fail, each place in the sources once: see failures.py. The quick scenarios; make failures has all.
# Its own server, which speaks http: what is tried is this side.
cd "$(dirname "$0")/.." || exit 1
exec tests/server with r2emu python3 tests/failures.py ls upload-move upload-input upload-tree get get-tree cleanup sync-delete sync-rewritten
