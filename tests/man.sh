#!/bin/bash
# The manual pages: made of the same rows as the help, clean mdoc, and naming every variable that the program reads.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
ok 'make man' make -s --no-print-directory -C "$ROOT" man
cp "$ROOT"/build/man/*.1 "$T"
cd "$T" || exit 1

is 'a page for r2 and for each link' "$(printf '%s\n' *.1 | sort)" "$( (echo r2; "$R2" --list) | sed 's/$/.1/' | sort)"
# Where each page finds the others, that SEE ALSO leads somewhere is checked too.
for page in *.1; do
	ok "$page: nothing for mandoc to complain about" mandoc -T lint -W style "$page"
	mandoc -T utf8 -O width=900 "$page" | sed 's/.\x08//g' >"$page.txt"
done

is 'no sentence ends twice' "$(cat -- *.txt | grep -E '[^.][?.]\.$')" ''

# tables HELP: "--name what it does" a line, the parts of the help text joined.
tables() {
	awk '/^  (-.,|   ) --/ { if (row) print row; row = "" ; on = 1 }
		/^ *$/ || /^[^ ]/ { if (row) print row; row = ""; on = 0 }
		on { sub(/^ +/, ""); row = row (row ? " " : "") $0 }
		END { if (row) print row }' | sed -E 's/^-., //; s/ +/ /g'
}
# Every row of the help stands in the page: the option, its argument and its text.
agrees() {
	local row n=0 text
	text=$(tr -s ' \n' ' ' <"$2")
	while read -r row; do
		[[ $text == *"${row%.}"* ]] || { echo "$2 has no: $row"; return 1; }
		n=$((n + 1))
	done < <(tables <"$1")
	[ "$n" -ge "$3" ]
}
help() { "$R2" help "$@" >help.txt; }
help
ok 'r2 --help and r2(1) agree' agrees help.txt r2.1.txt 5
for a in $("$R2" --list | sed 's/^r2-//'); do
	help "$a"
	sed -n '/^Options of every command:/,$p' help.txt >common
	sed -i '/^Options of every command:/,$d' help.txt
	ok "r2 help $a and r2-$a(1) agree" agrees help.txt "r2-$a.1.txt" 4
	ok '… and its common options with r2(1)' agrees common r2.1.txt 10
	is '… its summary' "$(grep -cF "$(sed -n 2p help.txt)" "r2-$a.1.txt")" 1
done
sed 's/--prefix P/--prefix Q/' r2-upload.1.txt >other
help upload
sed -i '/^Options of every/,$d' help.txt
ok 'the test would notice a difference' eval '! agrees help.txt other 4'

for v in $(grep -ohE '"(R2|COMFYUI|SSL|XDG|HTTPS|NO)_[A-Z_]+"' "$ROOT"/lib/*.c "$ROOT"/applets/*.c | tr -d '"' | sort -u) AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN TZ; do
	ok "r2(1) knows $v" grep -qw "$v" r2.1.txt
done
finish
