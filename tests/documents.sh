#!/bin/bash
# What README.md and doc/ say of the program is so: messages, variables, options, files, widths. tests/readme.sh runs their commands.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
cd "$ROOT" || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
PAGES=(README.md doc/*.md)
none() { ! grep .; }

# Messages: the page's tables are those that the program speaks from.
ok 'make build/mktables' make -s --no-print-directory build/mktables
build/mktables cures >"$T/cures"
is 'doc/troubleshooting.md has the table of messages (make tables)' "$(sed -n '/^| code | cause/,$p' doc/troubleshooting.md)" "$(cat "$T/cures")"
ok '… at least 70 rows' [ "$(grep -c '^| ' "$T/cures")" -ge 70 ]
rows() { sed -n '/^## When it does not work/,/^## /s/^\(| `[^`]*` |.*\)/\1/p' README.md; }
ok 'README has some of them' [ "$(rows | wc -l)" -ge 6 ]
is '… word for word' "$(rows | grep -vxFf "$T/cures")" ''
# What stands in the page's own table is what the sources say.
quoted() { sed -n '/^## Before/,/^## Codes/s/^| `\([^`]*\)` |.*/\1/p' doc/troubleshooting.md; }
ok 'the other messages: some' [ "$(quoted | wc -l)" -ge 10 ]
unsaid() { quoted | while read -r m; do cat lib/*.c applets/*.c | grep -qF -- "$m" || echo "$m"; done; }
is '… and the program has each' "$(unsaid)" ''

# Options: the page's tables are those that the help is printed from.
build/mktables options >"$T/options"
is 'doc/options.md has every option (make tables)' "$(sed -n '/^## /,$p' doc/options.md)" "$(tail -n +2 "$T/options")"
ok '… at least 90 of them' [ "$(grep -c '^| `-' "$T/options")" -ge 90 ]

# Variables: what the sources look up, and what README's table and r2(1) have.
variables() {
	grep -ohE '"(R2|AWS|COMFYUI|SSL|HTTPS|NO)_[A-Z_]+"|"TZ"' lib/*.c applets/*.c | tr -d '"' | sort -u
}
table() { sed -n '/^## Configuration/,/^## /p' README.md; }
ok 'variables: at least 20' [ "$(variables | wc -l)" -ge 20 ]
is '… each in README' "$(variables | while read -r v; do table | grep -qw -- "$v" || echo "$v"; done)" ''
is '… and none that the program does not know' "$(table | sed -n 's/^| \(`[^|]*\)|.*/\1/p' | grep -oE '[A-Z][A-Z0-9_]{3,}' | sort -u | grep -vxFf <(variables))" ''
# The defaults that it names, by the program's own header.
default() { sed -n "s/^#define CONFIG_$1 \"\(.*\)\"/\1/p" lib/config.h; }
for v in BUCKET REGION PREFIX; do
	ok "the default of R2_$v" eval "table | grep -qF '| \`R2_$v\` | \`$(default $v)\` |'"
done
for v in COMFYUI_OUTPUT_DIR R2_LOG_FILE; do
	d=$(table | sed -n "s/^| \`$v\` | \`\([^\`]*\)\`.*/\1/p")
	ok "the default of $v" eval "[ -n '$d' ] && cat applets/*.c | grep -qF '\"$d\"'"
done

# Options, in words or in examples: each is one of r2's, but for lines about other programs and the first column of doc/moving.md.
options() { for a in '' upload sync ls get cleanup; do "$R2" help $a; done | grep -oE -- '--[a-z][a-z0-9-]+' | sort -u; }
others='rclone|s5cmd|mc |mirror|docker|apt-get|systemctl|fuzz|git |tests/coverage|radosgw|kubectl|bench|pip |systemd-analyze|COPY|a large upload that was killed'
strangers() {
	awk -v known="$(options | paste -sd' ')" -v others="$others" 'BEGIN { n = split(known, k, " "); for (i = 1; i <= n; i++) is[k[i]] = 1 }
		FILENAME ~ /(performance|coverage)\.md$/ { next }
		FILENAME ~ /moving\.md$/ { sub(/^\| [^|]* \| /, "") }
		$0 ~ others { next }
		{ while (match($0, /(^|[^a-z-])--[a-z][a-z0-9-]+/)) {
			o = substr($0, RSTART, RLENGTH); sub(/^[^-]/, "", o)
			if (!is[o]) print FILENAME ":" FNR ": " o
			$0 = substr($0, RSTART + RLENGTH) } }' "${PAGES[@]}"
}
is 'options: each is one of r2' "$(strangers)" ''

# What sync takes by itself, as its help and its manual page have it.
media() { grep -oE '\*\.[a-z0-9]+' | paste -sd' '; }
patterns=$(sed -n '/ defaults\[\] = {/,/};/p' applets/sync_filter.c | media)
ok 'sync: ten patterns' [ "$(wc -w <<<"$patterns")" = 10 ]
is '… its help has them' "$("$R2" sync --help | sed -n '/^Without --include/,/any case/p' | media)" "$patterns"
is '… r2-sync(1) too' "$(sed -n '/^\.Li .*png/p' doc/man/sync.mdoc | media)" "$patterns"

# Files: what a link leads to, and what stands in backquotes with a directory of ours, is there.
links() {
	local f to
	for f in "${PAGES[@]}"; do
		grep -oE '\]\([^)#]+' "$f" | cut -c3- | while read -r to; do
			case $to in http*) ;; *) [ -e "$(dirname "$f")/$to" ] || echo "$f: $to" ;; esac
		done
	done
}
# Charts come with the figures: make performance.
is 'links lead somewhere' "$(links | grep -v '^doc/performance.md: performance-[a-z]*\.svg$')" ''
paths() { grep -ohE '`(tests|lib|applets|doc|bench|\.ci|dist)/[A-Za-z0-9_./-]+`' "${PAGES[@]}" | tr -d '`' | sort -u | grep -v 'NAME\|/has\.\|/fuzz/finds'; }
ok 'files are named' [ "$(paths | wc -l)" -ge 20 ]
is '… and are there' "$(paths | while read -r p; do [ -e "$p" ] || [ -e "$p.c" ] || echo "$p"; done)" ''
names() { sed -n '/^| `doc\/`/p' "$ROOT/README.md" | grep -oE '`[A-Za-z0-9_.-]+`' | tr -d '`'; }
is "the map's names of doc/" "$(names | while read -r p; do [ -e "doc/$p" ] || echo "$p"; done)" ''
is '… and it has all of them' "$(cd doc && for p in *.md *.json; do names | grep -qxF "$p" || [ "$p" = performance.json ] || echo "$p"; done)" ''
rooms() { sed -n '/^| where/,/^Each/p' README.md | sed -n 's/^| \(`lib[^|]*\)|.*/\1/p' | tr -d '`*' | sed 's|lib/||g' | tr ' ' '\n'; }
is '… each module of lib/ has its place in it' "$(for f in lib/*.c; do f=${f##*/}; f=${f%.c}; rooms | grep -qxF "${f%%_*}" || echo "$f"; done)" ''
is '… and none that is not there' "$(rooms | grep . | while read -r m; do [ -e "lib/$m.c" ] || ls lib/"$m"_*.c >/dev/null || echo "$m"; done)" ''
n=$(sed -n 's/.* files under \([0-9]*\);.*/\1/p' doc/CONTRIBUTING.md)
is 'CONTRIBUTING: no file is longer than it says' "$(wc -l lib/*.c applets/*.c | awk -v n="${n:-0}" '$2 != "total" && $1 >= n { print $2, $1 }')" ''
is 'make targets are such' "$(grep -ohE '`make [a-z-]+' "${PAGES[@]}" | cut -d' ' -f2 | sort -u | while read -r m; do
	grep -qE "^([a-z-]+ )*$m( [a-z-]+)*:|^\\\$.*/$m:" Makefile || echo "$m"; done)" ''
# What the binary is: word for word, but for its size, which may be a few pages off, and for dates of what it was built from.
ok 'make r2' make -s --no-print-directory r2
facts() { R2=./r2 bench/facts | grep '^| [a-z]' | grep -v '^| \(bytes\|it says\)'; }
ok 'make facts: some rows' [ "$(facts | wc -l)" -ge 5 ]
is '… README has each' "$(facts | grep -vxFf README.md)" ''
size=$(sed -n 's/^| bytes, .* | \([0-9]*\) |$/\1/p' README.md)
ok '… and its size, within 2.5 %' [ $((($(stat -c %s r2) * 20 + ${size:-0} / 2) / ${size:-1})) = 20 ]
is "… and those of the Makefile's head stand in README or CONTRIBUTING" "$(sed -n '/^VERSION/q; s/^#//p' Makefile | grep -oE 'make [a-z-]{3,}' | cut -d' ' -f2 |
	grep -vxE 'deps|clean|distclean|uninstall|units|performance' | sort -u | while read -r m; do cat README.md doc/CONTRIBUTING.md | grep -qE "make (demo.*)?$m" || echo "$m"; done)" ''
# doc/threats.md names the test of each promise in brackets.
tests_named() { grep -oE '\[[a-z_]+(\.sh|\.py)?(, [a-z_]+(\.sh|\.py)?)*\]' doc/threats.md | tr -d '[],' | tr ' ' '\n' | sort -u; }
ok 'threats.md names tests' [ "$(tests_named | wc -l)" -ge 10 ]
is '… that are there' "$(tests_named | while read -r n; do [ -e "tests/$n" ] || [ -e "tests/$n.c" ] || echo "$n"; done)" ''
# Of those that make test does not run, too: a file that got another name is missed here, not when somebody needs it.
# shellcheck disable=SC2016
files_named() { grep -ohE '\$TESTS"?/[A-Za-z0-9_/.-]+\.(py|sh|tsv|supp)' tests/*.sh | sed 's|.*\$TESTS"*/||' | sort -u; }
ok 'the scripts of tests/ name files' [ "$(files_named | wc -l)" -ge 10 ]
is '… that are there' "$(files_named | while read -r n; do [ -e "tests/$n" ] || echo "$n"; done)" ''
# One row that does not fit has make mutants try none.
is 'each seeded bug of tests/mutants.txt has its place in the sources' "$(python3 tests/mutants.py --check 2>&1)" ''
ok 'README: under 250 lines' [ "$(wc -l <README.md)" -lt 250 ]
finish
