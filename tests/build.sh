#!/bin/bash
# The binary as a file, and the Makefile's promises: second make, same bytes elsewhere, install, clean.
. "$(dirname "$0")/lib.sh"
LIMIT=446000
ROOT=$(dirname "$TESTS")
cd "$ROOT" || exit 1
# Not the jobs and variables of the make that may have started this test.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES DESTDIR PREFIX
BEARSSL=$(realpath "${BEARSSL_SRC:-build/bearssl}")
MUSL=$(realpath "${MUSL_SRC:-build/musl-src}")

LC_ALL=C readelf -hlSdrW "$R2" >"$T/elf"
has() { grep -qE "$1" "$T/elf"; }
hasnt() { ! grep -E "$1" "$T/elf"; }
below() { [ "$1" -le "$2" ] || { echo "$1 is more than $2" >&2; false; }; }

ok 'position independent' has '^ *Type: +DYN'
ok 'marked as an executable' has 'FLAGS_1.*PIE'
ok 'no dynamic linker' hasnt 'INTERP'
ok 'needs no library' hasnt 'NEEDED'
ok 'full RELRO: a segment' has 'GNU_RELRO'
ok 'full RELRO: bound at the start' has 'BIND_NOW|FLAGS_1.*NOW'
strace -e trace=mprotect -o "$T/calls" "$R2" --version >/dev/null
ok 'full RELRO: held when it runs' grep -q 'PROT_READ) *= 0' "$T/calls"
ok 'the stack is not executable' has 'GNU_STACK .* RW  *0x'
ok 'nothing is writable and executable' hasnt ' (RWE|WE) '
ok 'no relocations in code' hasnt 'TEXTREL'
ok 'no variables of threads: GNU ld marks a RISC-V program that has some so' hasnt '^ *TLS '
ok 'relative relocations are packed' hasnt 'R_X86_64_RELATIVE|\(RELASZ\) +[1-9]'
ok 'stripped' hasnt '\.(symtab|debug)'
ok "at most $LIMIT bytes" below "$(stat -c %s "$R2")" $LIMIT

# archive_uses ARCHIVE SYMBOL
archive_uses() { readelf -sW "$1" | grep -qw "$2"; }
ok 'stack protector in our code' archive_uses build/musl/libr2.a __stack_chk_fail
ok 'stack protector in BearSSL' archive_uses build/musl/libbearssl.a __stack_chk_fail
# … and in the file that is shipped: where the machine has the canary in a register's place, each use of it can be seen.
case $(uname -m) in
x86_64) ok '… and in the program' below 100 "$(objdump -d --no-show-raw-insn "$R2" | grep -c '%fs:0x28')" ;;
esac
# With it each start with a distribution's CA file takes 70 ms of processor time.
uses_no_pem() { ! archive_uses build/musl/libr2.a br_pem_decoder_push; }
ok 'BearSSL reads no PEM' uses_no_pem

# In memory too: started, with its threads and its watch, nothing can be written and executed; heap and stack cannot be executed.
mkdir "$T/watched"
R2_ENDPOINT=http://127.0.0.1:9 R2_ACCESS_KEY_ID=k R2_SECRET_ACCESS_KEY=s "$R2" sync --log - "$T/watched" >"$T/sync.log" 2>&1 &
until grep -q Watching "$T/sync.log" || ! kill -0 $! 2>/dev/null; do sleep 0.02; done
cp "/proc/$!/maps" "$T/maps"
kill -KILL $!; wait $! 2>/dev/null
ok 'in memory: heap and stack' [ "$(grep -cE '\[(heap|stack)\]$' "$T/maps")" -ge 1 ]
is '… cannot be executed' "$(grep -E '^[^ ]+ ..x. .*\[(heap|stack.*)\]$' "$T/maps")" ''
is '… and nothing can be written and executed' "$(grep -E '^[^ ]+ .wx. ' "$T/maps")" ''

names_no_directory() { ! grep -aqF -e "$ROOT" -e "$BEARSSL" -e "$MUSL" "$R2"; }
ok 'holds no path of the machine it was built on' names_no_directory
is 'every root of the distribution is in it' "$(grep -oE 'ROOTS_COUNT = [0-9]+' build/roots.h | grep -oE '[0-9]+')" \
	"$(cat /usr/share/ca-certificates/mozilla/*.crt | grep -c 'BEGIN CERT')"
date=$(sed -n 's/^#define ROOTS_DATE "\(.*\)"$/\1/p' build/roots.h)
t 'says which roots, in an empty environment' 0 "…$date…" '' env -i "$R2" --version

# The same tree elsewhere, under a name of other length.
copy=$T/somewhere/else
mkdir -p "$copy"
tar -c --exclude=./build --exclude=./.git --exclude=./r2 . | tar -x -C "$copy"
cd "$copy" || exit 1
m() { make --no-print-directory BEARSSL_SRC="$BEARSSL" MUSL_SRC="$MUSL" "$@"; }
TIMEFORMAT='%U %S'
{ time m build/libc/lib/libc.a >/dev/null 2>"$T/make.err"; } 2>"$T/time"
{ time m WERROR=-Werror >/dev/null 2>>"$T/make.err"; } 2>>"$T/time"
is 'builds from scratch' "$(ls r2)" r2
# Measured by the same compiler at musl, as machines differ: 40 s of a processor each, and twice that where the cores are shared by many.
at_most_twice() { awk 'NR == 1 { libc = $1 + $2 } END { exit $1 + $2 > 2 * libc }' "$T/time"; }
ok "… in at most twice the time that musl takes: $(paste -sd/ "$T/time")" at_most_twice
is '… without a warning' "$(cat "$T/make.err")" ''
ok 'the same bytes in another directory' cmp r2 "$R2"
ok 'a second make has nothing to do' m -q
is '… and says so' "$(m 2>&1)" "make: Nothing to be done for 'all'."

stale() { ! m -q; }
touch lib/err.h
ok 'a changed header is noticed' stale
m >/dev/null 2>&1
ok '… and built' m -q
ok '… to the same bytes' cmp r2 "$R2"

umask 077
ok 'install' m install DESTDIR="$T/dest" PREFIX=/opt/it
umask 022
is 'everybody may read it, whoever installs' "$(find "$T/dest/opt" ! -perm -444)" ''
ok 'it runs there' "$T/dest/opt/it/bin/r2" --version
each_link_works() {
	local l n=0
	for l in $("$R2" --list); do
		"$T/dest/opt/it/bin/$l" --help >/dev/null || return
		n=$((n + 1))
	done
	[ "$n" -gt 0 ]
}
ok 'each of its links runs' each_link_works
is 'the manual comes along' "$(ls "$T/dest/opt/it/share/man/man1")" "$( (echo r2; "$R2" --list) | sed 's/$/.1/' | sort)"
ok '… and the completion of bash' cmp "$T/dest/opt/it/share/bash-completion/completions/r2" <("$R2" --completion bash)
ok '… of zsh' cmp "$T/dest/opt/it/share/zsh/site-functions/_r2" <("$R2" --completion zsh)
ok '… of fish' cmp "$T/dest/opt/it/share/fish/vendor_completions.d/r2.fish" <("$R2" --completion fish)
# A new shell looks for the name that it is asked about.
fresh_fish() { PATH=$T/dest/opt/it/bin:$PATH XDG_DATA_HOME=$T/none XDG_DATA_DIRS=$T/dest/opt/it/share fish -c "complete -C '$1'"; }
is '… for each link' "$(fresh_fish 'r2-ls --by-d' | cut -f 1) $(cd "$T/dest/opt/it/share/bash-completion/completions" && cmp r2 r2-get && echo same)" \
	'--by-date same'
absolute_links() { find "$T/dest" -lname '*/*' | grep .; }
is 'no link names the staging directory' "$(absolute_links)" ''
ok 'installs again over itself' m install DESTDIR="$T/dest" PREFIX=/opt/it
ln -sf /bin/true "$T/dest/opt/it/bin/r2-ls"
ok 'uninstall' m uninstall DESTDIR="$T/dest" PREFIX=/opt/it
is 'leaves nothing behind but what is another program'"'"'s' "$(find "$T/dest" ! -type d)" "$T/dest/opt/it/bin/r2-ls"
rm "$T/dest/opt/it/bin/r2-ls"
install_and_remove() { m install "$@" && [ -x "$T/my pkg/opt/a  b/bin/r2" ] && m uninstall "$@"; }
touch "$T/my" "$T/pkg"
ok 'spaces in DESTDIR and PREFIX' install_and_remove DESTDIR="$T/my pkg" PREFIX='/opt/a  b'
is '… nothing behind, nothing else gone' "$(find "$T/my"* "$T/pkg" ! -type d)" "$T/my
$T/pkg"
HOME=$T/home m install PREFIX='~/it' >/dev/null
ok 'a ~ that the shell left' "$T/home/it/bin/r2-ls" --help
for what in install uninstall; do
	t "$what for another machine is refused" 2 '' "make $what ARCH=arm64: only without ARCH,…" m $what ARCH=arm64 DESTDIR="$T/dest" PREFIX=/opt/it
done

# A new command, as doc/CONTRIBUTING.md has it.
awk '/^```$/ { on = 0 } on; /^```c$/ { on = 1 }' doc/CONTRIBUTING.md >applets/has.c
echo 'APPLET(has)' >>applets/list.h
ok 'a new applet is one file and one line' m WERROR=-Werror
t '… its help' 0 'usage: r2 has …--missing…--endpoint…' '' ./r2 help has
is '… its link' "$(./r2 --list | tail -n 1)" r2-has
is '… its completion' "$(./r2 --completion bash r2 has --mis)" --missing
t '… its configuration' 1 '' 'r2 has: R2_ACCESS_KEY_ID…' ./r2 has some/key

# Not lost among the commands of other jobs, nor above their warnings.
cat >"$T/cc" <<'EOF'
#!/bin/sh
case "$*" in *aio.c*) echo no aio today >&2; exit 1 ;; esac
gcc "$@" || exit
seq -f 'warning %g' 12 >&2
EOF
chmod +x "$T/cc"
t 'a libc that cannot be built: why' 2 '  libc musl' '…
no aio today
make: …More: build/libc.d/log…' m build/libc/lib/libc.a CC="$T/cc"
is '… and no command of another job' "$(grep -e ' -c -o ' "$T/err")" ''

mkdir -p build/cache
touch build/cache/download
ok 'clean' m clean
is '… keeps downloads, and nothing else' "$(ls -d r2 build/* 2>/dev/null)" 'build/cache'
ok 'distclean' m distclean
is '… keeps nothing' "$(ls -d r2 build 2>/dev/null)" ''
mkdir "$T/a space"
cp Makefile "$T/a space"
t 'a path with a space: said' 2 '' "Makefile:…: *** $T/a space: these rules take no path with a space…" make --no-print-directory -C "$T/a space"
t 'without BearSSL and musl: one hint' 2 '' '…Missing: BearSSL musl. Run "make deps" first.…' make --no-print-directory BEARSSL_SRC=nowhere MUSL_SRC=nowhere
is '… not several' "$(grep -c deps "$T/err")" 1
finish
