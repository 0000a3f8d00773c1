#!/bin/bash
# What another user of the machine can do to r2 with links, names and rights, and what a job beside it can: nothing that he could not do
# without it. The kernel's own protection (fs.protected_*) is off where it can be: the program's has to do.
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
B=runpod
if [ "$(id -u)" != 0 ]; then
	not_ok 'links of another user: needs root'
	finish
fi
kernel=$(sysctl -e fs.protected_symlinks fs.protected_hardlinks fs.protected_regular fs.protected_fifos | tr -d ' ')
trap 'sysctl -qw $kernel 2>/dev/null; at_exit' EXIT
sysctl -qw fs.protected_symlinks=0 fs.protected_hardlinks=0 fs.protected_regular=0 fs.protected_fifos=0 2>/dev/null

need_badserver
object() { ctl "raw/$B/$1" || echo none; }
mallory() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; }
until_log() { for _ in {1..2400}; do ctl log | grep -q "$1" && return; sleep 0.05; done; return 1; }   # until_log PATTERN
sync_once() { r2 sync --once --settle 0 --log - --prefix sync "$@"; }
echo treasure >treasure
chmod 600 treasure
mkdir -m 1777 shared
mkdir -m 777 open
install -m755 "$R2" r2-copy

# --move: what a link leads to stays, whenever the link came.
mkdir -p tree/sub outside
echo 1 >tree/sub/a.png
echo 2 >outside/b.png
ln -s ../outside tree/link
t '--move -r, a directory behind a link: uploaded' 1 '' '…b.png: uploaded, but not removed: behind a symbolic link…Complete: 1/2' \
	r2 upload -r --move --no-date --prefix move tree
is '… what is behind it is there, and here' "$(object move/link/b.png) $(cat outside/b.png)" '2 2'
ok '… the other file is gone' [ ! -e tree/sub/a.png ]
mkdir drop
echo 3 >drop/c.png
chown -R 65534 drop
chmod 300 drop
t '--move from a directory that may be written, but not be read' 0 '' '…Complete: 1/1' \
	mallory env XDG_STATE_HOME= HOME= ./r2-copy upload --move --no-date --prefix move drop/c.png
ok '… the file is gone' [ ! -e drop/c.png ]

swapped() { # NAME STDERR COMMAND…: COMMAND, while the answer to `upload --move` of tree/sub/a.png is waited for
	rm -rf tree outside && mkdir -p tree/sub outside
	echo 1 >tree/sub/a.png
	echo precious >outside/a.png
	bad 'put wait seconds=60 done=1'
	# shellcheck disable=SC2086
	r2 upload $how tree >out 2>err &
	until_log '^put-wait'
	"${@:3}"
	ctl fault -d ''
	wait $!
	is "--move, $1 meanwhile: said" "$(cat err)" "$2"
	is '… nothing else is removed' "$(cat outside/a.png)" precious
	bad
}
replace_dir() { mv tree/sub tree/moved && ln -s ../outside tree/sub; }
replace_file() { echo new >tree/new && mv tree/new tree/sub/a.png; }
link_file() { mv tree/sub/a.png tree/moved && ln -s ../../outside/a.png tree/sub/a.png; }
how='-r --move --no-date --prefix move'
swapped 'its directory becomes a link' '…a.png: uploaded, but not removed: behind a symbolic link…' replace_dir
is '… the file is still there' "$(cat tree/moved/a.png)" 1
swapped 'it is replaced' '…WARNING - tree/sub/a.png: …sends it again…Complete: 1/1' replace_file
is '… the new one is there, and gone here' "$(object move/sub/a.png) $(ls tree/sub)" 'new '
swapped 'it becomes a link' '…sends it again…Complete: 1/1' link_file
is '… what it leads to is there, and the link gone' "$(object move/sub/a.png) $(ls tree/sub)" 'precious '

# --delete-after: the same, for sync.
rm -rf tree outside && mkdir -p tree/sub outside
echo 1 >tree/sub/a.png
echo 2 >outside/b.png
ln -s ../outside tree/link
touch -d '2 minutes ago' tree/sub/a.png outside/b.png
t 'sync --delete-after, a directory behind a link' 0 … '' sync_once tree --delete-after
is '… what is behind it is there, and here' "$(object "sync/$(date +%F)/link/b.png") $(cat outside/b.png)" '2 2'

# Another user's links have nobody read what he may not.
rm -rf tree && mkdir -m 777 tree
mkdir -m 700 closed
echo closed >closed/c.png
mallory mkdir tree/his
mallory sh -c 'echo his >tree/his/own.png'
mallory ln -s "$T/treasure" tree/planted.png
mallory ln -s "$T/closed" tree/dir
mallory ln -s his/own.png tree/fair.png
ln -s ../treasure tree/ours.png
t 'upload -r, links that another user planted' 1 '' '…' r2 upload -r --no-date --prefix links tree
is '… are not followed to what is not his' "$(object links/planted.png) $(object links/dir/c.png)" 'none none'
ok '… said' grep -q 'planted.png: a symbolic link another user may have made: not followed' "$T/err"
is '… are to what is, and so are ours' "$(object links/fair.png) $(object links/ours.png)" 'his treasure'
run sync_once tree
is 'sync: the same' "$rc $(object "sync/$(date +%F)/planted.png") $(object "sync/$(date +%F)/dir/c.png") $(object "sync/$(date +%F)/fair.png")" '1 none none his'
ok '… said' grep -q 'FAILED: planted.png: a symbolic link another user may have made' "$T/out"
rm -rf tree

# What is no file is not waited for.
mkdir special && mkfifo special/f.png && mknod special/d.png c 1 5 && echo x >special/x.png
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("special/s.png")'
R2_LIMIT_S=120 t 'upload -r: FIFO, device and socket are left out' 0 '' '…Complete: 1/1' r2 upload -r --no-date --prefix special special
is '… each is named' "$(grep -cE 'Left out: .*(FIFO|device|socket)$' "$T/err")" 3
R2_LIMIT_S=120 t 'sync: they are passed over' 0 '…Stopped: 1 uploaded, 0 left over' '' sync_once special

# get: where it writes.
object() { ctl "raw/$B/$1"; }
for key in key d/in.png d/file.png; do echo object | ctl "raw/$B/got/$key" -X PUT --data-binary @-; done
victim() { rm -rf shared/* "$T/victim" && echo precious >"$T/victim"; }
unharmed() { is "$1: unharmed" "$(cat "$T/victim")" precious; }
victim; mallory ln -s "$T/victim" shared/x.png
t 'get DEST, a planted link' 1 '' '…x.png: a symbolic link another user may have made…' r2 get got/key shared/x.png
unharmed '… what it leads to'
cd shared && victim && mallory ln -s "$T/victim" key
t 'get KEY here, a planted link: replaced' 0 '' … r2 get got/key
cd .. && unharmed '… what it leads to'
victim; ln -s "$T/victim" shared/x.png
t 'get DEST, a link of our own: followed' 0 '' … r2 get got/key shared/x.png
is '… as the user wrote' "$(cat victim)" object
victim; link victim shared/x.png
t 'get DEST, a hard link: replaced' 0 '' … r2 get got/key shared/x.png
unharmed '… its other name'
victim; mkdir shared/d; ln -s "$T/victim" shared/d/file.png; mallory ln -s "$T" shared/d.link
t 'get -r, a planted link for a file: replaced' 0 '' … r2 get -r got shared
unharmed '… what it leads to'
victim; mkdir elsewhere; mallory ln -s "$T/elsewhere" shared/d
t 'get -r, a planted link for a directory: refused' 1 '' '…symbolic link, which is not followed…' r2 get -r got shared
is '… nothing is behind it' "$(ls elsewhere)" ''
for dest in shared/d shared/d/ shared/d//; do
	t "get $dest, a planted link for a directory: refused" 1 '' '…shared/d…: a symbolic link another user may have made…' r2 get got/key $dest
	is '… nothing is behind it' "$(ls elsewhere)" ''
done

mkdir -m 755 shut && chmod 755 "$T"
t 'get into a directory that cannot be made: why not' 1 '' '…ERROR - shut/a/b/: Permission denied' mallory ./r2-copy get got/key shut/a/b/

# Who may not look has not seen that there is no daemon.
mkdir asked
"$R2" sync --log - asked >asked.log 2>&1 &
HELPERS+=($!)
until r2 sync --health asked >/dev/null 2>&1; do kill -0 "${HELPERS[-1]}" || break; sleep 0.05; done
for ask in status health; do
	t "sync --$ask by another user" 1 '' "…no daemon is running for $T/asked that this user may ask: try as the one that it runs as" mallory ./r2-copy sync --$ask asked
done
kill "${HELPERS[-1]}"
# sync's own files.
mkdir watched
say() { r2 sync --once --settle 0 --prefix sync "$@" watched; }
t 'sync --log in a directory of another user: why not' 0 '…WARNING: log file shut/log: Permission denied: standard output only…' '' \
	mallory ./r2-copy sync --once --settle 0 --state open/state --log shut/log open
victim; mallory ln -s "$T/victim" shared/log
t 'sync --log, a planted link' 0 '…WARNING: log file shared/log: a symbolic link another user may have made: not followed: standard output only…' '' say --log shared/log
unharmed '… what it leads to'
victim; link victim shared/log
t 'sync --log, a planted hard link' 0 '…WARNING: log file shared/log: Too many links…' '' say --log shared/log
unharmed '… its other name'
ln -s "$T/mine.log" my.log
t 'sync --log, a link of our own' 0 … '' say --log my.log
ok '… is followed' grep -q Stopped mine.log
victim; mallory ln -s "$T/victim" shared/m; mallory ln -s "$T/victim" shared/m.tmp
t 'sync --metrics, planted links' 0 … '' say --log - --metrics shared/m
unharmed '… what they lead to'
ok '… are replaced' grep -q r2_sync_uploaded_total shared/m
victim; link victim shared/m; link victim shared/m.tmp
t 'sync --metrics, planted hard links' 0 … '' say --log - --metrics shared/m
unharmed '… their other name'
install -d -m 711 walked-through && install -d -o 65534 walked-through/own walked-through/own/dir
in_there() { (cd walked-through && mallory env HOME= XDG_STATE_HOME= ../r2-copy "$@"); }
t 'sync -- COMMAND in a directory that may be walked through, but not be read: it runs there' 0 "…at $T/walked-through.…" … \
	in_there sync --settle 0 --log - own/dir -- sh -c 'echo "at $(pwd -P)."'
mkfifo pipe; ln -s /dev/null null
for where in pipe null; do
	t "sync --metrics $where: what is no file stays what it is" 0 "…--metrics $where: is there and no regular file…" '' say --log - --metrics $where
done
ok '…' [ -p pipe -a -L null ]
rm -rf watched && mkdir -m 777 watched
mallory mkdir watched/.r2-sync
mallory ln -s "$T/victim" watched/.r2-sync/lock
t "sync, another user's state directory: one of our own" 0 … '' say --log -
unharmed '… what a link in it leads to'
rm -rf watched && mkdir -m 777 watched
mallory mkdir shared/s && mallory ln -s "$T/shared/s" watched/.r2-sync
t "sync, a planted link for it: the same" 0 … '' say --log -
is '… nothing is there' "$(ls shared/s)" ''

# What the kubelet does to a volume at each start of a pod with fsGroup, and start scripts to a workspace.
rm -rf watched && mkdir watched && echo x >watched/x.png
t 'sync, before chmod -R' 0 '…1 uploaded…' '' say --log -
for mode in g+rwX a+rwX; do
	chmod -R $mode watched/.r2-sync
	t "sync, after chmod -R $mode: the same ledger" 0 '…0 uploaded…' '' say --log -
	is '… is ours alone again' "$(find watched/.r2-sync -type f -name 'ledger*' -perm /022 -o -type d -perm /022)" ''
done
mkdir -m 777 wide
t 'sync --state, a directory that others write to too' 1 '…others may write to it…' '' say --log - --state wide
is '… stays as its owner has it' "$(stat -c %a wide)" 777

# Links of r2 itself.
victim; mallory ln -s "$T/victim" open/r2-ls; mallory ln -s "$T/new" open/r2-get
t '--install DIR, planted links: left alone' 1 '' '…r2-get: there already…' r2 --install open
unharmed '… what they lead to'
ok '… nothing new behind them' [ ! -e new ]

# Rights of what is made, whatever umask says.
random_file big 22000000
for mask in 000 777; do
	rm -rf state watched/.r2-sync && mkdir -p watched && echo x >"watched/$mask.png"
	bad 'part status 0 code=403 s3=AccessDenied'
	(umask $mask && r2 upload --retries 1 --part-size 5M --multipart-threshold 6M --key big big 2>err)
	bad
	(umask $mask && sync_once watched >out)
	ok "umask $mask: state" test -n "$(find state watched/.r2-sync -type f)"
	is '… files are 0600, directories 0700' "$(find state watched/.r2-sync \( -type f ! -perm 600 -o -type d ! -perm 700 \) -printf '%p %m\n')" ''
done
finish
