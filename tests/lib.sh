# shellcheck shell=bash
# What every end-to-end test starts with: . "$(dirname "$0")/lib.sh"
#
#   t NAME STATUS STDOUT STDERR COMMAND…   run it; compare status and both outputs with the expectations
#   ok NAME COMMAND…                       passes when COMMAND succeeds
#   is NAME GOT WANT                       passes when GOT is WANT (as expectations, see below)
#   beside FILE COMMAND…                   in the background until the end; goes on when FILE has what it says first: its port
#
# An expectation is the whole text; "…" in it stands for anything, "TS" at the start of a log line for
# "2025-12-29 10:10:00". STATUS may be a shell pattern ([12]). What the command said stays in $T/out and $T/err.
# A test ends with `finish`. Environment: R2 (the program), R2_TEST_SERVER_DIR (a running server), TEST_TAG (before names).
# R2_TEST_BASE and R2_TEST_TWICE are of chroot.sh, image.sh and dist.sh.

set -u
umask 022
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
R2=$(realpath "${R2:-$TESTS/../r2}")
T=$(mktemp -d "${TMPDIR:-/tmp}/r2-test.XXXXXX")
chmod 755 "$T"
PASSED=0 FAILED=0 STARTED='' HELPERS=()

# Nothing from outside may decide a test.
for name in $(compgen -e); do
	case $name in
	R2_TEST_SERVER_DIR | R2_TEST_BASE | R2_TEST_TWICE | TEST_TAG) ;;
	R2_* | AWS_* | SSL_CERT_FILE | TZ | [Hh][Tt][Tt][Pp]*_[Pp][Rr][Oo][Xx][Yy] | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]) unset "$name" ;;
	esac
done
export LC_ALL=C.UTF-8 TZ=UTC

at_exit() {
	[ ${#HELPERS[@]} = 0 ] || kill "${HELPERS[@]}" 2>/dev/null
	[ -z "$STARTED" ] || "$TESTS/server" down "$R2_SERVER" "$STARTED"
	rm -rf "$T"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Keys have today's date: no day ends under a test.
left=$((86400 - $(date +%s) % 86400))
[ $left -gt 300 ] || sleep $left

pass() { PASSED=$((PASSED + 1)); echo "ok - ${TEST_TAG:-}$1"; }
not_ok() { FAILED=$((FAILED + 1)); echo "not ok - ${TEST_TAG:-}$1"; }
indent() { sed "s/^/    $1/" >&2; }

finish() { [ $FAILED = 0 ]; exit; }

# The text with the time of its log lines as TS.
without_time() { sed -E 's/^\[R2\] [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} /[R2] TS /'; }

# like GOT WANT: everything in WANT is literal, except "…".
like() {
	local pattern
	# shellcheck disable=SC1003
	pattern=$(printf %s "$2" | sed -e 's/[][*?()|\\]/\\&/g' -e 's/…/*/g')
	# shellcheck disable=SC2053
	[[ $1 == $pattern ]]
}

is() {
	if like "$2" "$3"; then pass "$1"; return; fi
	not_ok "$1"
	diff <(printf '%s\n' "$3") <(printf '%s\n' "$2") | indent ''
	return 1
}

ok() {
	local name=$1; shift
	if "$@"; then pass "$name"; else not_ok "$name"; printf "    failed: %s\n" "${*@Q}" >&2; return 1; fi
}

# over COMMAND…: it has failed, at last, as what has been ended and what goes on in the background do.
over() {
	local n
	for ((n = 0; n < 600; n++)); do "$@" >/dev/null 2>&1 || return 0; sleep 0.1; done
	! "$@"
}

# Run COMMAND as `t` does, but judge nothing: status in $rc, outputs in $T/out, $T/err and (log times as TS) $err, $out.
run() {
	"$@" >"$T/out" 2>"$T/err"
	rc=$?
	out=$(tr -d '\0' <"$T/out") err=$(tr -d '\0' <"$T/err" | without_time)
}

t() {
	local name=$1 status=$2 want_out=$3 want_err=$4; shift 4
	run "$@"
	# shellcheck disable=SC2053
	if [[ $rc == $status ]] && like "$out" "$want_out" && like "$err" "$want_err"; then pass "$name"; return; fi
	not_ok "$name"
	printf '%q ' "$@" | indent '$ '; echo >&2
	# shellcheck disable=SC2053
	[[ $rc == $status ]] || echo "    status $rc, not $status" >&2
	like "$out" "$want_out" || diff <(printf '%s\n' "$want_out") <(printf '%s\n' "$out") | indent 'stdout: '
	like "$err" "$want_err" || diff <(printf '%s\n' "$want_err") <(printf '%s\n' "$err") | indent 'stderr: '
	return 1
}

# The program, which never takes longer than this.
r2() { timeout -k 5 "${R2_LIMIT_S:-180}" "$R2" "$@"; }

beside() {
	"${@:2}" >"$1" &
	HELPERS+=($!)
	until [ -s "$1" ]; do kill -0 $! || exit 1; sleep 0.02; done
}

# badserver.py in place of a store.
need_badserver() {
	beside "$T/port" python3 "$TESTS/badserver.py"
	R2_ENDPOINT=http://127.0.0.1:$(cat "$T/port")
	export R2_ENDPOINT R2_ACCESS_KEY_ID=id R2_SECRET_ACCESS_KEY=secret R2_BUCKET=runpod R2_BUCKET2=second XDG_STATE_HOME=$T/state
}
ctl() { curl -sf ${R2_CA_FILE:+--cacert "$R2_CA_FILE"} "${@:2}" "$R2_ENDPOINT/-/$1"; }
# bad FAULT…: from now on these, and no requests so far
bad() { ctl anew --data-binary "$(printf '%s\n' "$@")"; }
requests() { ctl log | grep -c "^$1 "; }          # requests OPERATION

# The server: the running one that R2_TEST_SERVER_DIR names, else one of its own until this script ends.
need_server() {
	if [ -z "${R2_TEST_SERVER_DIR:-}" ]; then
		STARTED=$T/server R2_SERVER=${1:-radosgw}
		"$TESTS/server" up "$R2_SERVER" "$STARTED" || { STARTED=; not_ok "a server for the tests"; finish; }
	fi
	set -a
	# shellcheck disable=SC1091
	. "${R2_TEST_SERVER_DIR:-$STARTED}/env"
	set +a
	# Keys of this run of this script only, so that runs can share a server.
	# shellcheck disable=SC2034
	P=$(basename "$0" .sh)-$$
}

# CHROOT: the words before ROOT COMMAND…, as root or as one in a user namespace of our own.
# shellcheck disable=SC2034
need_chroot() {
	if [ "$(id -u)" = 0 ]; then
		CHROOT=("$(command -v chroot)")
	elif unshare -Ur true 2>/dev/null; then
		CHROOT=("$(command -v unshare)" -Ur "$(command -v chroot)")
	else
		not_ok 'another root directory: needs root or user namespaces'
		finish
	fi
}

# server_is KIND…
server_is() {
	local kind
	for kind; do [ "$R2_SERVER" = "$kind" ] && return; done
	return 1
}

# Percent-encode all but the unreserved characters and "/".
url_encode() {
	local LC_ALL=C s=$1 i c n
	for ((i = 0; i < ${#s}; i++)); do
		c=${s:i:1}
		case $c in
		[A-Za-z0-9._~/-]) printf %s "$c" ;;
		*) printf -v n %d "'$c"; printf '%%%02X' $((n & 255)) ;;
		esac
	done
}

# A signed request that does not come from r2: s3 METHOD KEY|?QUERY [CURL-OPTION…]. R2 never answers 100, for which curl would wait a
# second with each body (and a field that is taken away it signs nevertheless).
s3() {
	local method=$1 what=$2; shift 2
	case $what in '?'*) ;; *) what=/$(url_encode "$what") ;; esac
	curl -s --cacert "$R2_CA_FILE" --path-as-is -X "$method" --aws-sigv4 aws:amz:auto:s3 \
		--user "$R2_ACCESS_KEY_ID:$R2_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --expect100-timeout 0.001 \
		"$@" "$R2_ENDPOINT/${S3_BUCKET:-$R2_BUCKET}$what"
}
# R2 takes one write of a key a second: a user of curl would try again, too.
s3_put() { s3 PUT "$1" -f --retry 4 -T "$2" -o /dev/null "${@:3}"; }
s3_get() { s3 GET "$1" -f; }
s3_head() { s3 HEAD "$1" -I "${@:2}" | tr -d '\r'; }
s3_status() { s3 HEAD "$1" -I -o /dev/null -w '%{http_code}'; }
# Many objects in one go: s3_fill 'KEY[0001-2500]' FILE
s3_fill() {
	curl -sf -Z --no-progress-meter --cacert "$R2_CA_FILE" --aws-sigv4 aws:amz:auto:s3 --user "$R2_ACCESS_KEY_ID:$R2_SECRET_ACCESS_KEY" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --expect100-timeout 0.001 --retry 4 -T "$2" -o /dev/null "$R2_ENDPOINT/$R2_BUCKET/$1"
}
# s3_is KEY FILE: the object has exactly the file's bytes.
s3_is() { s3_get "$1" | cmp - "$2"; }
# The keys below PREFIX, at most 1,000. Without an answer there is one: nobody may take it for nothing.
s3_keys() {
	local prefix
	prefix=$(url_encode "$1")
	{ s3 GET "?list-type=2&prefix=${prefix//\//%2F}" -f || echo '<Key>no answer'; } | grep -o '<Key>[^<]*' | cut -c6-
}
s3_count() { s3_keys "$1" | wc -l; }
# s3_has_header KEY 'name: value'
s3_has_header() { s3_head "$1" | grep -qixF "$2"; }

# A file of SIZE bytes that no compressor could shrink: random_file FILE SIZE
random_file() { head -c "$2" /dev/urandom >"$1"; }
