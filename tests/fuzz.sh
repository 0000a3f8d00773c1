#!/bin/bash
# Every fuzz target over its corpus and over what once broke it, once. No fuzzing: that is `make fuzz`.
. "$(dirname "$0")/lib.sh"

ROOT=$(dirname "$TESTS")

# holds NAME: no input of NAME breaks it, and each has been run.
holds() {
	local dirs=("$TESTS/fuzz/corpus/$1") inputs ran
	[ ! -d "$TESTS/fuzz/finds/$1" ] || dirs+=("$TESTS/fuzz/finds/$1")
	[ ! -d "$T/limits/$1" ] || dirs+=("$T/limits/$1")
	inputs=$(find "${dirs[@]}" -type f | wc -l)
	"$ROOT/build/fuzz/$1" -runs=0 -max_len=1000000 -timeout=20 -print_final_stats=1 -artifact_prefix="$T/" "${dirs[@]}" >"$T/said" 2>&1 || {
		grep -E 'broken:|ERROR: |runtime error|Test unit written|^    #' "$T/said"
		return 1
	}
	ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$T/said")
	[ "$inputs" = 0 ] || [ "${ran:-0}" -lt "$inputs" ] || return 0
	echo "$1: $inputs inputs, ${ran:-no} runs"
	return 1
}

mkdir "$T/limits"
ok 'fuzz: inputs at every limit' python3 "$TESTS/fuzz/limits.py" "$T/limits"
for source in "$TESTS"/fuzz/*.c; do
	name=$(basename "$source" .c)
	ok "fuzz: $name holds for every known input" holds "$name"
done
finish
