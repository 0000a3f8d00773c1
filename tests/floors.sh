#!/bin/bash
# The house's floors: includes only go down, no files call each other in a circle, BearSSL is seen by two modules, the pure modules touch
# neither clock nor disk.
. "$(dirname "$0")/lib.sh"

# From the ground up. A module includes itself and what stands on a lower line; a line with several means that they do
# not know each other. NAME_part.c belongs to NAME.
FLOORS='
1 buf cpu clock
1 enc hash utc start
1 err
1 path opt log nfc
1 mime sandbox private
2 net
2 tls
3 xml retry sigv4 http config
4 s3
4 pool watch ledger journal walk
5 upload download sync sweep
'
PURE='xml retry sigv4 sync sweep'
# What a pure module may call: memory, text, and modules of the ground that are pure themselves.
PURE_CALLS='mem(cmp|cpy|move|set|chr|rchr|mem)|str[a-z]+|explicit_bzero|v?snprintf|__errno_location|__assert_fail|qsort|bsearch'
PURE_CALLS+='|fail|(err|buf|enc|hash|path)_[a-z0-9_]+|utc_(split|join|amz|parse_[a-z]+)|nfc_(is_ascii|spell)|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
# sync has to keep every path that waits, and asks retry, which is pure, what may be tried again.
SYNC_CALLS='malloc|calloc|realloc|free|retry_worthwhile'

# "FILE INCLUDED" for each include with quotes of the tree $1.
includes() {
	(cd "$1" && grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*"' lib/*.[ch]) |
		sed -E 's/^([^:]*):[^"]*"(.*)"$/\1 \2/'
}

arrows_go_down() {
	includes "$1" | awk -v floors="$FLOORS" '
		function module(file) { sub(/.*\//, "", file); sub(/[._].*/, "", file); return file }
		BEGIN {
			n = split(floors, line, "\n")
			for (i = 1; i <= n; i++) {
				k = split(line[i], word, " ")
				for (j = 2; j <= k; j++) height[word[j]] = i
			}
		}
		{ from = module($1); to = module($2) }
		!(from in height) { print $1 ": on no floor, add it to the table in tests/floors.sh"; bad = 1; next }
		$2 == "roots.h" && from == "tls" { next }
		$2 ~ /\// || !(to in height) { print $1 " includes " $2 ", which is no module of lib/"; bad = 1; next }
		from != to && height[to] >= height[from] { print $1 " includes " $2 ": not below it"; bad = 1 }
		END { exit bad }'
}

every_module_has_a_floor() {
	local f name rc=0
	for f in "$1"/lib/*.[ch]; do
		name=$(basename "$f" | sed 's/[._].*//')
		grep -qwF -- "$name" <<<"$FLOORS" || { echo "$f: on no floor"; rc=1; }
	done
	return "$rc"
}

bearssl_in_two_modules() {
	local found
	found=$(cd "$1" && grep -lE '#[[:space:]]*include[[:space:]]*[<"]bearssl' lib/*.[ch] applets/*.[ch] | sort | tr '\n' ' ')
	[[ $found =~ ^(lib/(hash|tls)[._][a-z0-9_.]* )+$ ]] || { echo "bearssl.h is included by: $found"; false; }
}

# pure TREE MODULE: the object of each of its files wants nothing but what is allowed.
pure() {
	local f calls allowed="$PURE_CALLS|$2_[a-z0-9_]+"
	[ "$2" != sync ] || allowed+="|$SYNC_CALLS"
	for f in "$1/lib/$2".c "$1/lib/$2"_*.c; do
		[ -f "$f" ] || continue
		gcc -std=c11 -D_GNU_SOURCE -U_FORTIFY_SOURCE -O1 -I"$1/lib" -c -o "$T/pure.o" "$f" || return
		calls=$(nm -u "$T/pure.o" | awk '{ print $2 }' | grep -vxE "$allowed")
		[ -z "$calls" ] || { echo "$f calls $(tr '\n' ' ' <<<"$calls")"; return 1; }
	done
}

# The objects of the tree $1 below $T/objects: those that make has built, but of a file that is another one now.
objects() {
	local f o
	rm -rf "$T/objects"
	mkdir -p "$T/objects/lib" "$T/objects/applets"
	for f in lib/*.c applets/*.c; do
		o=build/musl/${f%.c}.o
		if [ "$o" -nt "$f" ] && cmp -s "$f" "$1/$f"; then
			ln -s "$PWD/$o" "$T/objects/$f"
		else
			gcc -std=c11 -D_GNU_SOURCE -DR2_VERSION='""' -DR2_LIBC='""' -DR2_ARCH='""' -I"$1/lib" -Ibuild \
				-isystem "${BEARSSL_SRC:-build/bearssl}/inc" -c -o "$T/objects/$f" "$1/$f" || return
		fi
	done
}

# Who uses whose functions and variables, file by file; tsort names a circle.
no_circles() {
	objects "$1" && (cd "$T/objects" && nm -AgP lib/*.c applets/*.c) | awk '
		{ sub(/:$/, "", $1) }
		$3 ~ /[Uw]/ { from[++n] = $1; what[n] = $2; next }
		{ home[$2] = $1 }
		END { for (i = 1; i <= n; i++) if (what[i] in home) print from[i], home[what[i]] }' >"$T/calls" &&
		[ -s "$T/calls" ] && tsort "$T/calls" >/dev/null
}

# refused NAME FILE LINE COMPLAINT CHECK…: with LINE added to FILE in a copy of the tree, CHECK fails and says so.
refused() {
	local name=$1 file=$2 line=$3 complaint=$4 said
	shift 4
	rm -rf "$T/copy"
	mkdir "$T/copy"
	cp -r "$ROOT/lib" "$ROOT/applets" "$T/copy"
	printf '%s\n' "$line" >>"$T/copy/$file"
	said=$("$1" "$T/copy" "${@:2}" 2>&1) && said="accepted $said"
	is "$name" "$said" "…$complaint…"
}

ROOT=$(dirname "$TESTS")
cd "$ROOT" || exit 1
ok 'includes go down' arrows_go_down "$ROOT"
ok 'every module has its floor' every_module_has_a_floor "$ROOT"
ok 'no files call each other in a circle' no_circles "$ROOT"
ok 'bearssl.h is included by hash and tls alone' bearssl_in_two_modules "$ROOT"
for module in $PURE; do
	[ ! -f "$ROOT/lib/$module.c" ] || ok "$module does no I/O and reads no clock" pure "$ROOT" "$module"
done

# The test would notice.
refused 'an arrow that goes up is found' lib/buf.c '#include "http.h"' 'lib/buf.c includes http.h' arrows_go_down
refused 'an arrow in a header too' lib/net.h '#include "tls.h"' 'lib/net.h includes tls.h' arrows_go_down
refused 'neighbours know nothing of each other' lib/http.h '#include "sigv4.h"' 'lib/http.h includes sigv4.h' arrows_go_down
refused 'lib knows no applet' lib/err.h '#include "applet.h"' 'no module of lib/' arrows_go_down
refused 'nor by its path' lib/s3.c '#include "../applets/applet.h"' 'no module of lib/' arrows_go_down
refused 'a file on no floor is found' lib/new.c '' 'new.c: on no floor' every_module_has_a_floor
refused 'two files that call each other are found' lib/upload_plan.c \
	$'void up(struct upload *u);\nvoid up(struct upload *u) { parts_begin(u, 0, 0); }' 'lib/upload_parts.c' no_circles
refused 'applets too' applets/ls_rows.c $'void up(void);\nvoid up(void) { ls_days_end(); }' 'applets/ls_dates.c' no_circles
refused 'BearSSL in a third module is found' lib/net.c '#include <bearssl.h>' 'lib/net.c' bearssl_in_two_modules
refused 'BearSSL in an applet is found' applets/main.c '#include <bearssl_hash.h>' 'applets/main.c' bearssl_in_two_modules
refused 'a clock in a pure module is found' lib/xml.c \
	$'#include <time.h>\nlong now(void);\nlong now(void) { return time(0); }' 'calls time' pure xml
refused 'a file in a pure module is found' lib/retry.c \
	$'#include <unistd.h>\nint x(void);\nint x(void) { return close(3); }' 'calls close' pure retry
refused 'local time in a pure module is found' lib/sigv4.c \
	$'void x(char *p);\nvoid x(char *p) { utc_local_date(0, p); }' 'calls utc_local_date' pure sigv4
finish
