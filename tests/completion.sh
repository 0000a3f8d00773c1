#!/bin/bash
# r2 --completion: the scripts, in real shells with a Tab typed, and what they ask r2.
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
mkdir bin zsh files
ln -s "$R2" bin/r2
"$R2" --install bin
export PATH=$T/bin:$PATH HOME=$T TERM=dumb
touch files/one.png

t 'no shell' 2 '' 'r2: --completion bash|zsh|fish: …' r2 --completion
t 'another shell' 2 '' 'r2: --completion bash|zsh|fish: …' r2 --completion tcsh

# What the scripts ask. The last word is the one that is being written.
asks() { "$R2" --completion bash "$@" | paste -sd' '; }
is 'the applets' "$(asks r2 '')" "$("$R2" --list | sed 's/^r2-//' | paste -sd' ')"
is 'begun' "$(asks r2 up)" upload
is 'by its path' "$(asks /opt/r2 up)" upload
is "r2's own options" "$(asks r2 --)" '--version --list --install --completion --licenses --help'
is 'help takes an applet' "$(asks r2 help s)" sync
is 'the shells' "$(asks r2 --completion '')" 'bash zsh fish'
is "an applet's options" "$(asks r2 upload --if)" --if-exists
is '… those of transfers' "$(asks r2 get --limit)" --limit-rate
is '… those of every applet' "$(asks r2 ls --end)" --endpoint
is '… of a link' "$(asks r2-upload --if)" --if-exists
is '… after operands' "$(asks r2-upload a.png --if)" --if-exists
is 'the values of an option' "$(asks r2 upload --if-exists '')" 'overwrite skip rename fail'
is '… begun' "$(asks r2 ls -r --sort t)" time
is '… behind =, which bash cuts off' "$(asks r2 upload --if-exists = r)" rename
is '… right behind it' "$(asks r2 ls --sort =)" 'name size time'
is '… no form that is to be filled in' "$(asks r2 sync --date '')" mtime
t 'a value that can be anything: a file' 1 '' '' r2 --completion bash r2 upload --env-file ''
t '… of a letter' 1 '' '' r2 --completion bash r2 upload -j --
is 'an optional value need not follow' "$(asks r2 cleanup --uploads --bef)" --before
t 'an operand: a file' 1 '' '' r2 --completion bash r2 upload ''
t 'nothing like it' 1 '' '' r2 --completion bash r2 upload --qq
t 'behind -- stands a command' 1 '' '' r2 --completion bash r2 sync -- make --
t 'an unknown applet' 1 '' '' r2 --completion bash r2 nonsense ''
t 'no words but the program' 1 '' '' r2 --completion bash r2-ls
each_option_of_help() {
	local a
	for a in $("$R2" --list | sed 's/^r2-//'); do
		diff <("$R2" help "$a" | sed -nE 's/^  (-., |    )(--[a-z0-9-]+).*/\2/p' | sort -u) <("$R2" --completion bash r2 "$a" -- | sort -u) || return
	done
}
ok 'every option of every help is offered, and no other' each_option_of_help
is 'fish sees explanations' "$("$R2" --completion fish r2 ls --by)" "--by-date	files and bytes of each date folder below PREFIX [\$R2_PREFIX]"

# SHELL TEXT: the words of the line after Tab. Before Enter, the line is made printf's arguments.
words_of() {
	local shell=$1 text=$2
	printf '%s\t\001printf "<%%s>" \005\nexit\n' "$text" | "$TESTS/typed.py" "${shells[$shell]}" "${args[@]}" >"$T/screen"
	tr -d '\r' <"$T/screen" | grep -oE '^(<[^>]*>)+' | tail -n 1
}
declare -A shells=([bash]=bash [zsh]=zsh)
cat >rc <<-'END'
	PS1='READY>'
	. <(r2 --completion bash)
END
cat >zsh/.zshrc <<-'END'
	autoload -Uz compinit && compinit -u -D
	bindkey -e
	unsetopt prompt_cr prompt_sp
	PS1='READY>'
	[[ -n $AUTO ]] || . <(r2 --completion zsh)
END
export ZDOTDIR=$T/zsh
cases() {
	is "$1: an applet" "$(words_of "$1" 'r2 clea')" '<r2><cleanup>'
	is "$1: an option" "$(words_of "$1" 'r2 upload --if-ex')" '<r2><upload><--if-exists>'
	is "$1: its value" "$(words_of "$1" 'r2 upload --if-exists re')" '<r2><upload><--if-exists><rename>'
	is "$1: through a link" "$(words_of "$1" 'r2-ls --by-d')" '<r2-ls><--by-date>'
	is "$1: a file" "$(words_of "$1" 'r2 upload files/o')" '<r2><upload><files/one.png>'
	is "$1: a file as a value" "$(words_of "$1" 'r2 upload --env-file files/o')" '<r2><upload><--env-file><files/one.png>'
}
args=(--noprofile --rcfile "$T/rc" -i)
cases bash
is 'bash: a value behind =' "$(words_of bash 'r2 upload --if-exists=re')" '<r2><upload><--if-exists=rename>'
args=(-o no_global_rcs -i)
cases zsh
mkdir functions
"$R2" --completion zsh >functions/_r2
sed -i '1i fpath=('"$T/functions"' $fpath)' zsh/.zshrc
export AUTO=1
is 'zsh: as a file in fpath' "$(words_of zsh 'r2 upload --if-ex')" '<r2><upload><--if-exists>'
is '… a link' "$(words_of zsh 'r2-ls --by-d')" '<r2-ls><--by-date>'

fish_says() { fish --no-config -c "r2 --completion fish | source; complete -C '$1'" 2>&1 | cut -f 1 | paste -sd' '; }
is 'fish: an applet' "$(fish_says 'r2 clea')" cleanup
is 'fish: an option' "$(fish_says 'r2 upload --if-ex')" --if-exists
is 'fish: its values' "$(fish_says 'r2 upload --if-exists ' | tr ' ' '\n' | sort | paste -sd' ')" 'fail overwrite rename skip'
is 'fish: through a link' "$(fish_says 'r2-ls --by-d')" --by-date
is 'fish: a file' "$(fish_says 'r2 upload files/o')" files/one.png
is 'fish: no file where there are values' "$(fish_says 'r2 ls --sort ti')" time
finish
