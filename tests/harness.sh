#!/bin/bash
# What runs the tests: .ci/run adds up its parts and ends with what it has begun; tests/run lets nothing pass that has not.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
unset R2_RESULTS TEST_SERVER TEST_JOBS TEST_TIMEOUT LOGS

# .ci/run in a tree of its own, with a make that does what the file of its target's name says.
mkdir -p "$T/tree/.ci" "$T/tree/tests" "$T/bin" "$T/do"
cp "$ROOT/.ci/run" "$T/tree/.ci"
cp "$TESTS/run" "$T/tree/tests"
printf '#!/bin/sh\n[ ! -e "%s/do/$1" ] || . "%s/do/$1"\n' "$T" "$T" >"$T/bin/make"
chmod +x "$T/bin/make"
ci() { env PATH="$T/bin:$PATH" TMPDIR="$T/tmp" "$T/tree/.ci/run"; }
mkdir "$T/tmp"
echo 'echo 40 0 1 >>"$R2_RESULTS"; echo 2 0 0 >>"$R2_RESULTS"' >"$T/do/test"
t '.ci/run: the last line adds it up' 0 '…== test: status 0, 42 passed, 0 failed, 1 skipped, …
47 passed, 0 failed, 1 skipped' '' ci
echo 'exit 1' >"$T/do/interop"
echo 'echo "what is wrong"; echo 7 2 0 >>"$R2_RESULTS"; exit 1' >"$T/do/check"
t '… what failed too' 1 '…what is wrong…
52 passed, 3 failed, 1 skipped' '' ci

# Whoever ends it, from a terminal too, has ended all.
echo 'echo >"$TMPDIR/check.began"; sleep 985.'$$ >"$T/do/check"
echo 'echo >"$TMPDIR/test.began"; sleep 985.'$$ >"$T/do/test"
goes_on() { pgrep -fx "sleep 985.$$"; }
both_go_on() { [ "$(goes_on | wc -l)" = 2 ]; }
for signal in INT TERM; do
	env --default-signal=INT PATH="$T/bin:$PATH" TMPDIR="$T/tmp" "$T/tree/.ci/run" >"$T/out" 2>&1 &
	run=$!
	until [ -e "$T/tmp/check.began" ] && [ -e "$T/tmp/test.began" ] && both_go_on && [ -s "$(echo "$T"/tmp/*/check.pid)" ] && [ -s "$(echo "$T"/tmp/*/test.pid)" ] ||
		! kill -0 $run 2>/dev/null; do sleep 0.02; done
	ok "$signal: there is something to end" both_go_on
	kill -$signal $run
	timeout 60 tail --pid=$run -s 0.05 -f /dev/null
	ok ".ci/run: nothing goes on after $signal" over goes_on
	pkill -fx "sleep 985.$$"
	wait $run
	is '… its status' $? "$([ $signal = INT ] && echo 130 || echo 143)"
	rm -f "$T"/tmp/*.began
	is '… no file' "$(ls "$T/tmp")" ''
done

# tests/run: what counts.
one() { # NAME LINES: a test of these lines
	printf '#!/bin/sh\n%s\n' "$2" >"$T/tree/tests/$1"
	chmod +x "$T/tree/tests/$1"
}
one good 'echo ok - one; echo "3 checks, 0 failed"'
one bad 'echo ok - one; echo not ok - two; exit 1'
one long 'printf "%s\n" "ok - one" "a table" "    of much" "not ok - two" "    why" "more" "ok - three" "not ok - four"; exit 1'
one silent :
one dies 'echo ok - one; exit 3'
one hangs 'echo ok - one; exec sleep 600'
tests() { (cd "$T/tree" && TEST_JOBS=1 TEST_TIMEOUT="${limit:-20}" tests/run "${@/#/tests/}"); }
t 'tests/run: all is well' 0 'ok   good (4 checks…)
4 passed, 0 failed, 0 skipped' '' tests good
t '… a check that failed' 1 '…FAIL bad  (2 checks…, 1 failed)
     | not ok - two
5 passed, 1 failed, 0 skipped' '' tests good bad
t '… it stands before all that is said beside it' 1 '…FAIL long (4 checks…, 2 failed)
     | not ok - two
     |     why
     | not ok - four
     | a table
     |     of much
     | more
2 passed, 2 failed, 0 skipped' '' tests long
t '… no check at all' 1 '…(no check was run)
0 passed, 1 failed, 0 skipped' '' tests silent
t '… a test that died' 1 '…(status 3)
1 passed, 1 failed, 0 skipped' '' tests dies
limit=10 t '… one that does not end' 1 '…(ended after 10 s)
1 passed, 1 failed, 0 skipped' '' tests hangs

# tests/server: somebody else takes the port it has chosen, five times.
beside "$T/port" python3 -c 'import signal, socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
signal.pause()'
mkdir "$T/first"   # not bin: its make makes no sink
cat >"$T/first/python3" <<END
#!/bin/sh
echo >>"$T/asked"
[ \$(wc -l <"$T/asked") -gt 5 ] || exec cat "$T/port"
exec $(command -v python3) "\$@"
END
chmod +x "$T/first/python3"
ok 'tests/server: a port is taken again and again, and it starts' env PATH="$T/first:$PATH" "$TESTS/server" up sink "$T/sink"
ok '… at another one, at last' [ "$(wc -l <"$T/asked")" -gt 5 ]
"$TESTS/server" down sink "$T/sink"
finish
