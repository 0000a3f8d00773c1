#!/bin/bash
# One binary, several commands: links, --install, help, hints, option grammar. Needs no server.
. "$(dirname "$0")/lib.sh"

export R2_ENDPOINT=https://127.0.0.1:1 R2_ACCESS_KEY_ID=id R2_SECRET_ACCESS_KEY=secret R2_BUCKET=bucket
cd "$T" || exit 1
mkdir bin links hard
cp "$R2" bin/r2
printf x >a.png

lines() { wc -l | tr -d ' '; }
each_is_link_name() { ! "$R2" --list | grep -qvE '^r2-[a-z]+$'; }
listed() { "$R2" --list | grep -qx "$1"; }

ok "--list: one link name a line" each_is_link_name
ok "--list names r2-upload" listed r2-upload
ok "--list names r2-ls" listed r2-ls

# Links of every kind.
t "--install DIR" 0 … '' bin/r2 --install links
installed() { local l; for l in $("$R2" --list); do "$1" "$2/$l" || return; done; }
is_symlink() { [ -L "$1" ] && [ -x "$1" ]; }
is_same_file() { [ ! -L "$1" ] && [ "$1" -ef bin/r2 ]; }
helps() { "$1" --help | grep -q .; }
ok "--install makes every link of --list, and each leads to r2" installed is_symlink links
ok "every link runs its applet" installed helps links
t "--install again" 0 … '' bin/r2 --install links
t "--install --hard DIR" 0 … '' bin/r2 --install --hard hard
ok "--install --hard makes hard links" installed is_same_file hard
ok "every hard link runs its applet" installed helps hard
mkdir hard2
t "--install DIR --hard" 0 … '' bin/r2 --inst hard2 --hard
ok "… makes them, too" installed is_same_file hard2
t "--install beside the program" 0 … '' bin/r2 --install bin
ok "every link beside the program runs its applet" installed helps bin
cp bin/r2 r2-upload
t "a copy under the link's name" 0 '' '…a.png…' ./r2-upload -n a.png
ln -s ../bin/r2 links/r2-nonsense
t "a link with an unknown name says so" 2 '' '…' links/r2-nonsense
PATH=$T/links:$PATH t "a link found by PATH" 0 '' '…a.png…' r2-upload -n a.png

mkdir foreign
echo precious >foreign/r2-ls
t "--install leaves a foreign file alone and says so" 1 … '…r2-ls…' bin/r2 --install foreign
is "the foreign file" "$(cat foreign/r2-ls)" precious
ok "the other links were made" is_symlink foreign/r2-upload
ln -sf /bin/true foreign/r2-upload
t "--install leaves a foreign link alone" 1 … '…r2-upload…' bin/r2 --install foreign
is "the foreign link" "$(readlink foreign/r2-upload)" /bin/true
t "--install into no directory" 1 '' '…nowhere…' bin/r2 --install nowhere
t "--install without DIR" 2 '' '…' bin/r2 --install
for hard in '' --hard; do t "--install $hard, DIR empty: not the root directory" 2 '' '…DIR…missing' bin/r2 --install ${hard:+"$hard"} ''; done

# Version and help.
t "--version: program, BearSSL, libc, architecture, date of the roots" 0 "r2 …BearSSL 0.6…musl…$(uname -m)…20…" '' r2 --version
ok "… a whole date" grep -qE "20[0-9]{2}-[0-9]{2}-[0-9]{2}" "$T/out"
t "--vers" 0 'r2 …' '' r2 --vers
t "--li, which two options begin with" 2 '' 'r2: unknown option --li: did you mean --list?' r2 --li
t "--" 2 '' '…' r2 --
t "help" 0 '…upload…ls…' '' r2 help
t "--help" 0 '…upload…ls…' '' r2 --help
t "no argument: usage, status 2" 2 '' '…upload…ls…' r2
t "help upload" 0 '…--prefix…--if-exists…' '' r2 help upload
"$R2" help upload >help1
"$R2" upload --help >help2
ok "help APPLET is APPLET --help" cmp help1 help2
for option in --test --prefix --key --no-date --date --if-exists --content-type --cache-control --meta --storage-class \
	--move --env-file --endpoint --bucket --ca-file --json --timeout --retries --help; do
	ok "upload --help has $option" grep -qe "$option" help1
done
for option in --summary --json --env-file --endpoint --bucket; do
	ok "ls --help has $option" sh -c "'$R2' ls --help | grep -qe $option"
done
t "ls --help wins over missing configuration" 0 '…--summary…' '' env -u R2_SECRET_ACCESS_KEY -u R2_ENDPOINT "$R2" ls --help
too_wide() { local a; for a in '' $("$R2" --list | sed 's/^r2-//'); do "$R2" help ${a:+"$a"} | grep '.\{80\}'; done; }
is "every help fits 80 columns" "$(too_wide)" ''
t "upload without FILE: the help, status 1" 1 '…--prefix…' … r2 upload
t "help nonsense" 2 '' '…nonsense…' r2 help nonsense

# Hints.
t "nearest applet" 2 '' '…uplaod…upload…' r2 uplaod
is "… in one line" "$(lines <"$T/err")" 1
t "nearest option of upload" 2 '' '…--prefx…--prefix…' r2 upload --prefx x a.png
is "… in one line" "$(lines <"$T/err")" 1
t "nearest option of ls" 2 '' '…--sumary…--summary…' r2 ls --sumary
t "an unknown letter" 2 '' '…Z…' r2 ls -Z
t "nearest option of r2" 2 '' 'r2: unknown option --versoin: did you mean --version?' r2 --versoin
t "no option near" 2 '' 'r2: unknown option -x: a command…after it: see r2 --help' r2 -x ls
t "nearest of help" 2 '' "r2: no command 'uplod': did you mean upload?" r2 help uplod
t "a choice: all there are" 2 '' 'r2 upload: --if-exists: skp is none of overwrite|skip|rename|fail' r2 upload --if-exists skp a.png
t "nothing near" 2 '' '…--qqqqqqqq…' r2 ls --qqqqqqqq

# Option grammar.
t "abbreviated" 0 '' '…bucket/p/…/a.png…' r2 upload --pre p -n a.png
t "abbreviated, with =" 0 '' '…bucket/p/…/a.png…' r2 upload --pre=p -n a.png
t "sync --delete, as of aws and rclone: nothing is removed here" 2 '' 'r2 sync: unknown option --delete: --delete-after would remove local files …' r2 sync --delete .
t "ambiguous: the candidates" 2 '' '…--content-type…' r2 upload --c x a.png
t "ambiguous: all candidates" 2 '' '…--cache-control…' r2 upload --c x a.png
t "options after the file" 0 '' '…bucket/p/…/a.png…' r2 upload a.png -n --prefix p
printf y >-n
t "-- ends the options" 0 '' '…/-n…' r2 upload -n -- -n
t "an option without its value" 2 '' '…--prefix…' r2 upload a.png --prefix
t "a flag with a value" 2 '' '…--no-date…' r2 upload --no-date=yes a.png
t "a number out of range" 2 '' '…--retries…' r2 upload -n --retries 0 a.png
t "no number" 2 '' '…--timeout…' r2 upload -n --timeout soon a.png

# One form for all: "r2 APPLET: what", one line.
one_form() {
	local a
	for a in $("$R2" --list | sed 's/^r2-//'); do
		"$R2" "$a" "$@" 2>err >out
		if [ $? != 2 ] || [ "$(lines <err)" != 1 ] || ! grep -q "^r2 $a: ..*" err || [ -s out ]; then echo "$a: $(cat err)"; return 1; fi
	done
}
ok "every command: an unknown option" one_form --nonsense
ok "every command: a number that is none" one_form --retries many
ok "every command: a value is missing" one_form --endpoint
ok "every command: an ambiguous abbreviation" one_form --e
t "a full disk behind standard output" 1 '' 'r2: standard output: No space left on device' sh -c '"$1" --help >/dev/full' - "$R2"
t "a closed standard output" 1 '' 'r2: standard output: Bad file descriptor' sh -c '"$1" --help >&-' - "$R2"
t "all three closed" 2 '' '' sh -c '"$1" <&- >&- 2>&-' - "$R2"

# What goes along with every copy: the notices of LICENSE, and the one text that two of them share.
t "--licenses" 0 '…MIT License…BearSSL…musl…Mozilla…Unicode…' '' r2 --licenses
is "… every copyright line of LICENSE" "$(grep -oE 'Copyright \(c\) .*' "$TESTS/../LICENSE" | sed 's/ Distributed under$//' |
	while read -r l; do grep -qF "$l" "$T/out" || { [ "$l" = 'Copyright (c) Mozilla Contributors' ] || echo "$l"; }; done)" ''
is "… the text of MIT" "$(sed -n '/^Permission is hereby/,$p' "$T/out")" "$(sed -n '/^Permission is hereby/,/^SOFTWARE\.$/p' "$TESTS/../LICENSE")"

finish
