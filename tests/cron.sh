#!/bin/bash
# What doc/cron.md tells people to paste: the lines have the form that cron, systemd and Kubernetes want, and r2 takes the options.
. "$(dirname "$0")/lib.sh"
DOC=$TESTS/../doc/cron.md
cd "$T" || exit 1

blocks() { awk -v want="\`\`\`$1" '$0 == "```" { on = 0 } on; $0 == want { on = 1 }' "$DOC"; }

# schedule FIELDS: minute hour day month weekday, each * or numbers in their range.
schedule() {
	awk '{ split("59 23 31 12 7", top, " ")
		for (i = 1; i <= 5; i++) if ($i != "*" && ($i !~ /^[0-9]+$/ || $i > top[i])) exit 1 }' <<<"$1"
}

# A line's r2 command with --help behind it: the options are all known and their values make sense.
takes() {
	local words
	read -ra words < <(sed -E 's/.*(r2 cleanup [^>|&]*).*/\1/; s/2$//' <<<"$1")
	r2 "${words[@]:1}" --help | grep -q '^usage: r2 cleanup'
}

line() {
	local fields
	fields=$(cut -d' ' -f1-5 <<<"$2")
	ok "$1: when: $fields" schedule "$fields"
	ok "… and what, as sh reads it" sh -n -c "$3"
	ok '… no bare percent sign' [ "${3//\\%/}" = "${3//%/}" ]
	ok '… which r2 takes' takes "$3"
}

while read -r l; do
	case $l in '#'*) continue ;; esac
	line crontab "$l" "$(cut -d' ' -f6- <<<"$l")"
done < <(blocks cron)
while read -r l; do
	is 'cron.d: the user' "$(cut -d' ' -f6 <<<"$l")" root
	line cron.d "$l" "$(cut -d' ' -f7- <<<"$l")"
done < <(blocks cron.d)
ok 'the test would notice a wrong hour' eval '! schedule "0 24 * * *"'
ok '… and an option that is none' eval '! takes "r2 cleanup --day-s 3"'

# Units: known sections, NAME=VALUE, and the command.
blocks ini >units
ok 'systemd: sections and settings' eval '! grep -vE "^(\[(Unit|Service|Timer|Install)\]|[A-Z][A-Za-z]+=.+|)$" units'
ok '… the command' takes "$(sed -n 's/^ExecStart=//p' units)"
ok '… the time' grep -qE '^OnCalendar=\*-\*-\* [0-2][0-9]:[0-5][0-9]:00$' units

blocks yaml >job.yaml
ok 'Kubernetes: no tabs, two blanks a level' eval '! grep -nE "	|^( {2})* [^ ]" job.yaml'
ok '… the schedule' schedule "$(sed -n 's/^  schedule: "\(.*\)"$/\1/p' job.yaml)"
args=$(sed -n 's/^ *args: //p' job.yaml | python3 -c 'import json, sys; print(*json.load(sys.stdin))')
ok '… the command' takes "r2 $args"
ok '… what makes it a CronJob' eval 'grep -qx "kind: CronJob" job.yaml && grep -qx "apiVersion: batch/v1" job.yaml && grep -q "restartPolicy: Never" job.yaml'
finish
