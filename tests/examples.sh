#!/bin/bash
# doc/examples: what people copy is well formed, and r2 takes every command line in it.
. "$(dirname "$0")/lib.sh"
ROOT=$(dirname "$TESTS")
cd "$ROOT/doc/examples" || exit 1

is 'every example is looked at here' "$(printf '%s ' *)" \
	'Dockerfile compose.yaml github-actions.yaml kubernetes.yaml r2-cleanup.service r2-cleanup.timer r2-sync.service runpod.json start.sh '

# takes WORD…: with --help before "--" or at the end r2 shows a help only when it knows every option and value.
takes() {
	local words=() w helped=
	for w; do
		[ "$w" != -- ] || { words+=(--help); helped=1; }
		words+=("$w")
	done
	[ -n "$helped" ] || words+=(--help)
	"$R2" "${words[@]}" | grep -q "^usage: r2 $1 "
}
# takes_json: the same for JSON arrays on standard input, at least N.
takes_json() {
	local line words n=0
	while read -r line; do
		mapfile -t words < <(jq -r '.[]' <<<"$line")
		takes "${words[@]//'$(JOB_COMPLETION_INDEX)'/3}" || { echo "not taken: $line" >&2; return 1; }
		n=$((n + 1))
	done
	[ "$n" -ge "$1" ]
}
ok 'the test would notice an option that is none' eval '! takes sync --hourly -- true'

# The old start script with its one changed line, run with a stub that says it was called.
mkdir "$T/bin"
printf '#!/bin/sh\necho "called: $0 $*"\n' >"$T/bin/r2-sync"
chmod +x "$T/bin/r2-sync"
sed "s|/var/log|$T/log|g" start.sh >"$T/start.sh"
export PATH=$T/bin:$PATH
t 'start.sh: not enabled, not started' 0 '' '' bash "$T/start.sh"
ENABLE_R2_SYNC=true t 'start.sh: enabled' 0 '[R2] Starting R2 sync daemon...
[R2] R2 sync daemon started' '' bash "$T/start.sh"
called() { local n=4000; until grep -q called: "$T/log/r2_sync_daemon.log"; do n=$((n - 1)); [ "$n" != 0 ] || return; sleep 0.05; done; }
ok '… starts r2-sync' called

for f in compose.yaml:2 kubernetes.yaml:5; do
	ok "${f%:*} is as it has to be" eval "python3 '$TESTS/manifests.py' ${f%:*} >'$T/commands'"
	ok '… and r2 takes its commands' takes_json "${f#*:}" <"$T/commands"
done
sed 's/completions:/completion:/; s/restartPolicy: Never/restartPolicy: Always/' kubernetes.yaml >"$T/wrong.yaml"
ok 'the test would notice' eval "! python3 '$TESTS/manifests.py' '$T/wrong.yaml' >'$T/commands' 2>&1"

dockerfile() { sed -nE "s/^$1 //p" Dockerfile; }
is 'Dockerfile: only known instructions' "$(grep -vE '^(#|FROM |COPY |WORKDIR /|ENV [A-Z_]+=|VOLUME /|HEALTHCHECK |ENTRYPOINT \[|CMD \[)' Dockerfile)" ''
ok '… process 1' takes_json 1 < <(dockerfile ENTRYPOINT | jq -c '.[1:]')
is '… ends with --, so that CMD is the program' "$(dockerfile ENTRYPOINT | jq -r '.[-1]')" --
is '… CMD is an array' "$(dockerfile CMD | jq -r type)" array
ok '… HEALTHCHECK' takes_json 1 < <(dockerfile 'HEALTHCHECK .* CMD' | jq -c '.[1:]')

# Each variable of ours that an example sets is one that the program, or the README, knows.
variables() { grep -ohE '\b(R2|COMFYUI)_[A-Z_]+\b' "$@" | sort -u; }
is 'variables: the program knows them' "$(variables ./* | sed 's/_FILE$//' | while read -r v; do
	cat "$ROOT"/lib/*.c "$ROOT"/applets/*.c | grep -qF "\"$v\"" || echo "$v"; done | grep -vxE 'R2_ENV|ENABLE_R2_SYNC')" ''

ok 'runpod.json: fields of the template, and their kinds' jq -e '
	(keys - ["category", "containerDiskInGb", "dockerEntrypoint", "dockerStartCmd", "env", "imageName", "isPublic", "isServerless", "name", "ports",
		"readme", "volumeInGb", "volumeMountPath"] | length == 0)
	and ([.name, .imageName, .volumeMountPath, .env[], .ports[], .dockerStartCmd[]] | all(type == "string"))
	and ([.containerDiskInGb, .volumeInGb] | all(type == "number"))' runpod.json >/dev/null
ok '… process 1' takes_json 1 < <(jq -c '.dockerEntrypoint[1:]' runpod.json)
is '… no secret stands in it' "$(jq -r '.env | to_entries[] | select(.key | test("KEY")) | .value' runpod.json | grep -vE '^\{\{ RUNPOD_SECRET_[a-z0-9_]+ \}\}$')" ''

python3 -c 'import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))["jobs"]["build"]
assert job["runs-on"] and all(len({"run", "uses"} & set(s)) == 1 for s in job["steps"])
print(*(s["run"] for s in job["steps"] if "run" in s), sep="\n")' github-actions.yaml >"$T/run.sh"
ok 'github-actions.yaml: its steps; bash takes them' bash -n "$T/run.sh"
takes_lines() {
	local words l n=0
	while read -r l; do
		eval "words=(${l#r2 })"
		takes "${words[@]}" || { echo "not taken: $l" >&2; return 1; }
		n=$((n + 1))
	done < <(grep '^r2 ' "$T/run.sh")
	[ "$n" -ge 3 ]
}
ok '… and r2 its lines' eval 'GITHUB_SHA=0123 takes_lines'
ok '… keys come from secrets, and only where r2 runs' [ "$(grep -c 'KEY.*secrets\.R2_' github-actions.yaml)" = 2 ]

for u in r2-sync.service r2-cleanup.service r2-cleanup.timer; do
	sed -e "s|/usr/local/bin/r2|$R2|" -e '/^Documentation=/d' $u >"$T/$u"
	t "$u: systemd has nothing to say" 0 '' '' systemd-analyze verify "$T/$u"
done
secure() { systemd-analyze security --no-pager --offline=yes --threshold=20 "$1" >"$T/security"; }
for u in r2-sync r2-cleanup; do
	read -ra words < <(sed -n 's/^ExecStart=//p' $u.service)
	ok "$u.service: r2 takes its command" takes "${words[@]:1}"
	ok '… exposure at most 2.0' secure "$T/$u.service"
done
sed -i '/^Capability/d; /^SystemCall/d; /^Restrict/d' "$T/r2-sync.service"
ok 'the test would notice' eval '! secure "$T/r2-sync.service"'
finish
