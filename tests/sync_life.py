"""r2 sync: what befalls the daemon itself. Killed, stopped, cut off, refused, asked, with a command of its own: nothing may be lost, and it says
the truth about what is left."""
import ctypes, datetime, fcntl, json, os, pathlib, pty, random, re, select, shutil, signal, socket, subprocess, sys, threading, time
import sync_lib
from sync_lib import Failed, R2, TESTS, clean_env, soak, wait


def server_away(s):
    proxy = s.proxy()
    d = s.daemon()
    s.write("before.png")
    s.equal("before")
    proxy("outage", 1000)
    for i in range(100):
        s.write(f"d{i % 3}/{i}.png")
        time.sleep(0.02)
    wait("the status says what is wrong", lambda: s.status().get("last_error"))
    time.sleep(60 if soak() else 2)
    proxy("clear")
    s.equal("the server was away")
    s.check("and nothing is wrong any more", not s.status().get("last_error"), s.status())
    proxy("outage", 4, "stall")
    for i in range(20):
        s.write(f"e/{i}.png")
    s.equal("the server did not answer")
    s.check("exit status 0", d.stop() == 0, *s.tail())


def slow_server(s):
    proxy = s.proxy()
    proxy("delay", 150)
    s.daemon("--settle", "0", settle=None)
    for i in range(60):
        s.write(f"{i}.png")
        s.write("same.png", b"%d" % i)
    s.equal("a slow server")


def cut_connections(s):
    proxy = s.proxy()
    proxy("cut", 2000, 300000, "rst")
    s.daemon("--part-size", "5M", "--multipart-threshold", "6M")
    for i in range(40):
        s.write(f"{i}.png", os.urandom(20000))
    s.write("film.mp4", os.urandom(12 << 20))
    time.sleep(5)
    proxy("cut", "off")
    s.equal("connections cut at random")


def no_etag(s):
    """An answer was lost, and a proxy takes the ETag from what says whose object it is: it is not tried for ever."""
    at = os.environ["R2_TEST_SERVER_DIR"]
    proxy = sync_lib.Proxy(s.env, f"{at}/ca.pem", f"{at}/key.pem")
    s.closers.append(proxy.close)
    s.env["R2_ENDPOINT"] = proxy.endpoint
    proxy("http", "put", "lost", 1, "done=1")
    proxy("http", "head", "drop", 0, "name=etag")
    s.write("a.png")
    d = s.daemon("--once", "--retries", "3")
    s.check("it ends", d.end() == 0, *s.tail())


def killed(s):
    """kill -9, twenty times, while files come."""
    d = s.daemon()
    for turn in range(20):
        for i in range(15):
            s.write(f"{turn}/{i}.png")
            if i % 4 == 0:
                s.write("rewritten.png", b"%d %d" % (turn, i))
            time.sleep(s.random.random() * 0.02)
        time.sleep(s.random.random() * 0.5)
        d.kill()
        s.write(f"{turn}/while-dead.png")
        d = s.daemon()
    s.equal("killed twenty times")
    s.check("exit status 0", d.stop() == 0, *s.tail())


def killed_in_parts(s):
    """A large file goes on where it was."""
    proxy = s.proxy()
    s.write("film.mp4", os.urandom(80 << 20))
    proxy("reset")
    for turn in range(4):
        before, go = int(proxy("count").split()[0]), s.dir / f"go-{turn}"
        # One part after the other: behind 7 MB one is whole. It begins when the proxy knows whom to kill.
        d = s.daemon("-j", "1", "--part-size", "5M", "--multipart-threshold", "6M",
                     under=["sh", "-c", f'until [ -e {go} ]; do sleep 0.02; done; exec "$0" "$@"'])
        proxy("signal", "KILL", d.process.pid, "up", before + (7 << 20))
        go.touch()
        s.check("killed", d.end() == 137, *s.tail())
    d = s.daemon("--part-size", "5M", "--multipart-threshold", "6M")
    s.equal("a film, killed four times")
    # How much was on its way at each kill is the proxy's and the kernel's business; that the last run goes on is ours.
    there = re.search(rb"film.mp4: goes on: (\d+)\.\d+ MB are there already", d.log())
    s.check("parts that are there are not sent again", there and int(there[1]) >= 5, d.log().decode())
    d.stop()


def killed_in_parts_then_small(s):
    """Nothing is left of the parts, here or there, when the file needs none any more."""
    journals = s.root / ".r2-sync/parts"
    s.write("film.mp4", os.urandom(12 << 20))
    d = s.daemon("--limit-rate", "1M", "--part-size", "5M", "--multipart-threshold", "6M")
    wait("parts are under way", lambda: any(p.stat().st_size for p in journals.glob("*")))
    d.kill()
    s.write("film.mp4")
    d = s.daemon("--part-size", "5M", "--multipart-threshold", "6M")
    s.equal("a film, killed, then small")
    s.check("exit status 0", d.stop() == 0, *s.tail())
    uploads = s.bucket.request("GET", "", {"uploads": "", "prefix": s.prefix + "/"}).read()
    s.check("no upload and no journal is left", b"<UploadId>" not in uploads and not list(journals.iterdir()), uploads, list(journals.iterdir()))


def stopped_under_load(s):
    proxy = s.proxy()
    proxy("delay", 200)
    d = s.daemon("--drain", "1", "-j", "2")
    for i in range(60):
        s.write(f"{i}.png")
    wait("some are there", lambda: s.objects())
    status = d.stop()
    there, local = s.objects(), s.files()
    named = {line.split(b"NOT UPLOADED: ")[1].split(b" (")[0] for line in d.log().splitlines() if b"NOT UPLOADED: " in line}
    s.check("SIGTERM under load: status 1, and each file that is left is named", status == 1 and local.keys() - there.keys() <= named and named,
            status, len(named), len(there), d.log().decode()[-6000:])
    s.check("what was under way is cut off, not failed", b" (cut off: goes on with the next start)" in d.log() and b" (failed)" not in d.log(),
            d.log().decode()[-6000:])
    proxy("delay", 1)
    d = s.daemon()
    s.equal("the next start finishes")
    s.check("then status 0", d.stop() == 0, *s.tail())


def ends_the_drain(s, d, proxy, begins):
    """An upload hangs; the first signal begins the drain, and says so; the second ends it."""
    proxy("outage", 1000, "stall")
    s.write("a.png")
    d.says("Uploading: a.png")
    d.send(signal.SIGTERM)
    d.says(begins)
    time.sleep(0.5)
    s.check("it drains", d.running())
    d.send(signal.SIGTERM)
    status = d.end()
    s.check("the second signal ends it at once", status in (1, 143), status, *s.tail())


def second_signal(s):
    proxy = s.proxy()
    ends_the_drain(s, s.daemon("--drain", "600"), proxy, "Stopping")


def second_signal_with_command(s):
    """The first one is COMMAND's, and ends it."""
    proxy = s.proxy()
    d = s.daemon("--drain", "600", command=["sh", "-c", "trap 'echo command ends; exit' TERM; echo runs; while :; do sleep 0.05; done"])
    d.says("runs")
    ends_the_drain(s, d, proxy, "command ends")


def drain_takes_what_settles(s):
    d = s.daemon("--settle", "2", settle=None)
    s.write("first.png")
    wait("first", lambda: s.objects())
    for i in range(20):
        s.write(f"{i}.png")
    d.says("")
    time.sleep(0.3)
    s.check("status 0", d.stop() == 0, *s.tail())
    s.equal("what was still settling", limit=1)
    # Who lets files settle for long has no longer drain for it.
    d = s.daemon("--settle", "600", "--drain", "8", settle=None, command=["sh", "-c", f"echo x >{s.root}/last.png"])
    s.check("status 0, after less than the settle time", d.end() == 0, *s.tail())
    s.equal("what settles for longer than a drain takes", limit=1)


def command_leaves_much(s):
    """What COMMAND leaves is uploaded, however long that takes: the drain's time is that of who was told to stop."""
    write = f"head -c 2000000 /dev/urandom >{s.root}/{{}}.png"
    d = s.daemon("--limit-rate", "1M", "--drain", "1", command=["sh", "-c", write.format("last")])
    s.check("it ended by itself: status 0", d.end() == 0, *s.tail())
    s.equal("all of it", limit=1)
    d = s.daemon("--limit-rate", "100K", "--drain", "1", command=["sh", "-c", write.format("a")])
    d.says("Uploading: a.png")
    s.check("SIGTERM while that is sent: not for longer", d.stop() == 1 and b"NOT UPLOADED: a.png" in d.log(), *s.tail())
    d = s.daemon("--limit-rate", "100K", "--drain", "1",
                 command=["sh", "-c", f"trap 'exit 3' TERM; {write.format('b')}; echo runs; while :; do sleep 0.05; done"])
    d.says("runs")
    s.check("… and before that, too", d.stop() == 3 and b"NOT UPLOADED: b.png" in d.log(), *s.tail())


def command_leaves_in_an_outage(s):
    """… unless an outage keeps it: then the drain's time is all there is, however often somebody asks meanwhile."""
    s.proxy()("outage", 1000, "stall")
    d = s.daemon("--drain", "1", "--timeout", "3", command=["sh", "-c", f"echo x >{s.root}/a.png"])
    wait("it is given up", lambda: not s.status() and not d.running())
    s.check("status 1, and it is named", d.end() == 1 and b"NOT UPLOADED: a.png" in d.log(), *s.tail())


def command_leaves_much_to_a_poor_server(s):
    """Nor does an error now and then make the drain's time: each is over before that is."""
    at = os.environ["R2_TEST_SERVER_DIR"]
    proxy = sync_lib.Proxy(s.env, f"{at}/ca.pem", f"{at}/key.pem")
    s.closers.append(proxy.close)
    script = f"for i in 1 2 3 4 5; do head -c 200000 /dev/urandom >{s.root}/$i.png; done"
    d = s.daemon("-j", "1", "--limit-rate", "200K", "--drain", "8", env={"R2_ENDPOINT": proxy.endpoint}, command=["sh", "-c", script])
    for i in range(5):
        wait("the next is sent", lambda: d.log().count(b"Uploading: ") > i or not d.running())
        proxy("http", "put", "status", 1, "code=503")
    s.check("status 0", d.end() == 0, *s.tail())
    s.equal("all of it", limit=1)


def command_leaves_one_that_fails(s):
    """… nor does a file that always fails end the time of another one that is on its way."""
    at = os.environ["R2_TEST_SERVER_DIR"]
    proxy = sync_lib.Proxy(s.env, f"{at}/ca.pem", f"{at}/key.pem")
    s.closers.append(proxy.close)
    script = f"head -c 4000000 /dev/urandom >{s.root}/long.png; until [ -e {s.dir}/sent ]; do sleep 0.05; done; echo x >{s.root}/fails.png"
    d = s.daemon("--retries", "2", "--limit-rate", "800K", "--drain", "1", env={"R2_ENDPOINT": proxy.endpoint}, command=["sh", "-c", script])
    d.says("Uploading: long.png")
    wait("it is on its way", lambda: int(proxy("count").split()[0]) > 200000)
    proxy("http", "put", "status", 0, "code=503")
    (s.dir / "sent").touch()
    s.check("status 1", d.end() == 1, *s.tail())
    s.check("only the one that fails is left", b"NOT UPLOADED: fails.png" in d.log() and b"1 uploaded, 1 left over" in d.log(), *s.tail())


def command_leaves_a_writer(s):
    """Who writes in the background, as checkpoints and wandb's files are written, has the drain's time to come to his end."""
    until = "until [ -e {} ]; do sleep 0.05; done"
    stray = f"(echo half; touch {s.dir / 'open'}; {until.format(s.dir / 'whole')}; echo whole) >{s.root}/stray.png & {until.format(s.dir / 'end')}; exit 3"
    d = s.daemon(command=["sh", "-c", stray])
    wait("it is held open", lambda: s.status().get("open_for_writing") == 1)
    (s.dir / "end").touch()
    wait("it drains", lambda: s.status().get("state") == "stopping" or not d.running())
    (s.dir / "whole").touch()
    s.check("the command's status", d.end() == 3, *s.tail())
    s.equal("what was held open", limit=1)
    (s.dir / "whole").unlink()
    (s.dir / "end").unlink()
    (s.dir / "open").unlink()
    d = s.daemon("--drain", "1", command=["sh", "-c", stray])
    wait("it is open again", (s.dir / "open").exists)
    (s.dir / "end").touch()
    s.check("not for ever", d.end() == 3 and b"NOT UPLOADED: stray.png (still open" in d.log(), *s.tail())
    (s.dir / "whole").touch()
    wait("the stray ends", lambda: b"whole" in (s.root / "stray.png").read_bytes())


def command_leaves_workers(s):
    """As process 1: workers that COMMAND has forked have its log open, write nothing to it, and would end with the container."""
    if os.getuid() or subprocess.run(["unshare", "-p", "-f", "true"], capture_output=True).returncode:
        return s.check("workers: left out, there are no process identifiers of our own here", True)
    script = ("import os, signal, sys, time; f = open(sys.argv[1], 'w'); f.write('log'); f.flush(); os.utime(f.fileno(), (1700000000, 1700000000));"
              "[signal.signal(n, signal.SIG_DFL) for n in (signal.SIGTERM, signal.SIGINT)];"
              "worker = os.fork() == 0; end = sys.argv[2:] and not worker; end or print('ready', flush=True); end or time.sleep(600)")
    for name, args, more in ("told", ("--drain", "600"), ()), ("ended", ("--drain", "1"), ("ends",)):
        d = s.daemon(*args, "--include", "*.log", under=["unshare", "-p", "-f", "--kill-child"],
                     command=[sys.executable, "-c", script, s.root / f"{name}.log", *more])
        d.says("ready")
        if not more:
            wait("it is held open", lambda: s.status().get("open_for_writing") == 1)
            os.kill(int(pathlib.Path(f"/proc/{d.process.pid}/task/{d.process.pid}/children").read_text()), signal.SIGTERM)
        s.check(f"{name}: COMMAND's status", d.end() == (0 if more else 143), *s.tail())
        s.check(f"{name}: what its workers had open", s.objects().get(name.encode() + b".log", (0,))[0] == 3, *s.tail())


def command_survives_a_signal(s):
    """What COMMAND was sent long ago, and went on, is no reason to hurry, nor the first of two signals that end the drain."""
    end = s.dir / "end"
    script = f"trap 'echo interrupted' INT; echo ready; until [ -e {end} ]; do sleep 0.05; done; sleep 2.1; head -c 1000000 /dev/urandom >{s.root}/{{}}.png"
    for name, rate in ("whole", "300K"), ("cut", "30K"):
        d = s.daemon("--limit-rate", rate, "--drain", "0.1", command=["sh", "-c", script.format(name)])
        d.says("ready")
        d.send(signal.SIGINT)
        d.says("interrupted")
        end.touch()
        if name == "cut":
            d.says("Uploading: cut.png")
            d.send(signal.SIGTERM)
            s.check("the drain begins with SIGTERM", d.end() == 1 and b"NOT UPLOADED: cut.png" in d.log(), *s.tail())
        else:
            s.check("it takes the time it needs", d.end() == 0, *s.tail())
            s.equal("what it left", limit=1)
        end.unlink()


def command_leaves_no_time(s):
    """--drain 0: what COMMAND leaves is uploaded nevertheless; who is told to stop says what he has not looked at."""
    write = f"mkdir -p {s.root}/d; echo x >{s.root}/d/{{}}.png; exit 3"
    for name, args in ("events", ()), ("polled", ("--poll",)):
        d = s.daemon(*args, "--drain", "0", command=["sh", "-c", write.format(name)])
        s.check(f"{name}: the command's status", d.end() == 3, *s.tail())
        s.equal(name, limit=1)
    subprocess.run("touch {1..5000}", shell=True, executable="bash", cwd=s.root, check=True)
    d = s.daemon("--poll", "--rescan", "1000", "--drain", "0")
    wait("it watches", lambda: s.status().get("state") == "running")
    s.write("d/last.png")
    told = d.stop() == 1 and (b"there may be more" in d.log() or b"NOT UPLOADED: d/last.png" in d.log())
    s.check("SIGTERM: it says that there may be more", told or b"d/last.png" in s.objects(), *s.tail())


def command_makes_root_again(s):
    """DIR was away, and is there again in COMMAND's last moment."""
    root, state = s.dir / "up/root", s.dir / "state"
    for name, args in ("events", ()), ("polled", ("--poll",)):
        log = s.dir / f"log-{len(s.daemons)}"
        script = f"rm -r {s.dir}/up; until grep -q 'waiting for it' {log}; do sleep 0.05; done; mkdir -p {root}; echo x >{root}/{name}.png; exit 3"
        d = s.daemon("--state", state, *args, directory=root, command=["sh", "-c", script])
        s.check(f"{name}: the command's status", d.end() == 3, *s.tail())
        s.check(f"{name}: what it wrote", os.fsencode(f"{name}.png") in s.objects(), *s.tail())


def drain_waits_for_a_writer(s):
    """Who is stopped at the same time, and saves a last state then, has the drain's time, if he writes; who only holds a file open has none."""
    old = s.write("old.png", b"half")
    with open(old, "ab"):
        os.utime(old, (1700000000, 1700000000))
        d = s.daemon("--drain", "600")
        wait("it is held open", lambda: s.status().get("open_for_writing") == 1)
        s.check("nobody writes to it: at once", d.stop() == 1 and b"NOT UPLOADED: old.png (still open" in d.log(), *s.tail())
    path, end = s.root / "last.png", s.dir / "end"
    writer = subprocess.Popen(["sh", "-c", f"exec >>{path}; until [ -e {end} ]; do echo; sleep 0.1; done; echo whole"])
    s.closers.insert(0, writer.kill)
    d = s.daemon("--drain", "100")
    wait("it is held open", lambda: s.status().get("open_for_writing") == 1)
    d.send(signal.SIGTERM)
    wait("it waits", lambda: (x := s.status()).get("state") == "stopping" and x["pending"] == x["open_for_writing"])
    end.touch()
    writer.wait()
    s.check("status 0", d.end(60) == 0, *s.tail())
    s.equal("the last state", limit=1)


def ledger_damaged(s):
    """Whatever happens to the ledger: nothing lost, nothing wrong, nothing twice."""
    state = s.dir / "state"
    for i in range(40):
        s.write(f"d{i % 4}/{i}.png")
    d = s.daemon("--state", state)
    s.equal("before")
    d.stop()
    ledger = next(state.glob("ledger*"))
    whole = ledger.read_bytes()
    damages = {"cut by a byte": lambda b: b[:-1], "cut in the middle": lambda b: b[:len(b) // 2], "cut to 3 bytes": lambda b: b[:3],
               "empty": lambda b: b"", "noise at the end": lambda b: b + os.urandom(3000),
               "noise in the middle": lambda b: b[:len(b) // 3] + os.urandom(500) + b[len(b) // 3 + 500:],
               "nothing but noise": lambda b: os.urandom(len(b)), "zeros at the end": lambda b: b[:-200] + bytes(200), "gone": None}
    for i, (name, damage) in enumerate(damages.items()):
        if damage:
            ledger.write_bytes(damage(whole))
        else:
            ledger.unlink()
        d = s.daemon("--state", state)
        s.write(f"new{i}.png")
        s.equal(f"a ledger {name}")
        s.check("goes on", d.stop() == 0, *s.tail())


def safe_to_delete(s):
    """--delete-after: at no time a file that is neither here nor verified there. Checked after each kill -9."""
    made, args = {}, ("--delete-after", "--settle", "0.02")
    d, lost, turn, removed = s.daemon(*args, settle=None), [], 0, 0
    turns = 200 if soak() else 20
    # On a busy machine a daemon may not get so far as to remove something before it is killed: then it has longer.
    while turn < turns or (turn < 5 * turns and not removed):
        turn += 1
        end = time.monotonic() + s.random.random() * 0.6 * (1 + turn // turns)
        while time.monotonic() < end:
            rel = f"{turn}-{len(made)}.png"
            data = os.urandom(s.random.randrange(3000)) + rel.encode()
            s.write(rel, data)
            made[rel.encode()] = data
            time.sleep(0.01)
        d.kill()
        there = s.objects()
        for rel, data in made.items():
            path = s.root / rel.decode()
            if path.exists():
                lost += [rel] if path.read_bytes() != data else []
            else:
                removed += 1
                fine = there.get(rel) == (len(data), sync_lib.hashlib.md5(data).hexdigest())
                lost += [] if fine else [rel]
        if lost:
            break
        d = s.daemon(*args, settle=None)
    s.check(f"{len(made)} files, none ever missing on both sides", not lost and removed, lost[:5], *s.tail())
    wait("all removed in the end", lambda: not s.files(), 300)
    want = {rel: (len(data), sync_lib.hashlib.md5(data).hexdigest()) for rel, data in made.items()}
    s.equal("and all there", want=lambda: want)


def delete_after_careful(s):
    """What somebody writes, or what came anew, is never taken away."""
    d = s.daemon("--delete-after", "--settle", "0.1", settle=None)
    held = open(s.root / "held.png", "wb")
    held.write(b"first ")
    held.flush()
    s.write("gone.png")
    wait("one is removed", lambda: not (s.root / "gone.png").exists())
    s.check("what is held open stays", (s.root / "held.png").exists())
    held.write(b"second")
    held.close()
    wait("then it goes too", lambda: not (s.root / "held.png").exists())
    wait("with all of it", lambda: s.objects().get(b"held.png", (0,))[0] == 12)
    s.write("gone.png", b"another one")
    wait("another file of that name", lambda: len([k for k in s.objects() if k.startswith(b"gone")]) == 2)
    d.stop()
    for rel in ("old.png", "new.png"):
        s.write("aged/" + rel)
    os.utime(s.root / "aged/old.png", (time.time() - 7200,) * 2)
    d = s.daemon("--delete-after", "1h")
    s.equal("an age", want=lambda: {b"new.png": 0}, got=lambda: {k.removeprefix(b"aged/"): 0 for k in s.files() if b"aged/" in k})
    s.check("uploaded both", {b"aged/old.png", b"aged/new.png"} <= s.objects().keys())


def delete_after_in_vain(s):
    """What cannot be removed is told once for each cause, and not uploaded again and again because it had another name for a moment."""
    trace, calls = ["strace", "-D", "-f", "-q", "-o"], s.dir / "calls"
    s.write("a.png")
    d = s.daemon("--delete-after", "--rescan", "1", under=[*trace, calls, "-e", "trace=renameat,unlinkat", "-e", "inject=unlinkat:error=EACCES"])
    d.says("a.png stays, maybe more: Permission denied")
    for name in "bc":
        s.write(f"{name}.png")
        d.says(f"Uploaded: {name}.png")
    d.stop()
    s.check("it can be renamed only: told once, and none is renamed again", d.log().count(b" stays, ") == 1 and calls.read_text().count("renameat(") == 1,
            *s.tail(), calls.read_text())
    d = s.daemon("--delete-after", "--rescan", "1", under=[*trace, "/dev/null", "-e", "inject=renameat:error=EROFS"])
    d.says(" stays, maybe more: Read-only file system")
    s.write("d.png")
    d.says("Uploaded: d.png")
    d.stop()
    s.check("nor even that: told once", d.log().count(b" stays, ") == 1, *s.tail())


def delete_after_together(s):
    """Files that become old enough one after the other do not cost a scan of the whole tree each."""
    for i in range(5):
        os.utime(s.write(f"{i}.png"), (time.time() - 160 + 4 + i,) * 2)
    s.check("they are uploaded", s.daemon("--once").end() == 0, *s.tail())
    d = s.daemon("--delete-after", "160s")
    wait("all are removed", lambda: not s.files())
    turns = {line[:21] for line in d.log().splitlines() if b"] Removed: " in line}
    s.check("few looks find them all", len(turns) <= 3, turns, *s.tail())


def has_landlock():
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


def root_made_again(s):
    """DIR is removed and made again: --delete-after, --status and the lock are the new one's; where Landlock forbids that, it says so."""
    free = ["strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "inject=landlock_create_ruleset:error=ENOSYS"]
    for name, under in (("", free), (", with Landlock", ())):
        d = s.daemon("--delete-after", under=under)
        s.write("a.png")
        wait("the first is removed", lambda: not s.files())
        shutil.rmtree(s.root)
        s.root.mkdir()
        path = s.write(f"b{len(name)}.png")
        d.says(f"Uploaded: {path.name}")
        other = s.daemon()
        s.check(f"there is one daemon{name}", other.end() == 1 and b"watched by another" in other.log(), *s.tail())
        if under or not has_landlock():
            wait("the second is removed", lambda: not path.exists())
            s.check("--status", s.status().get("uploaded") == 2, *s.ask("--status"))
            d.stop()                             # under strace its status may be the leak checker's
            s.check("the ledger is there", list(s.root.glob(".r2-sync/ledger*")), *s.tail())
        else:
            s.check("it says what a restart is for", b"restart" in d.log() and path.exists(), *s.tail())
            d.stop()
            d = s.daemon("--delete-after")
            wait("which removes it", lambda: not path.exists())
            d.stop()


def once(s):
    s.write("a.png")
    s.write("d/b.png")
    d = s.daemon("--once")
    s.check("--once ends with 0", d.end() == 0, *s.tail())
    s.equal("--once", limit=1)
    s.write("c.png")
    d = s.daemon("--once", "--settle", "1", settle=None)
    s.check("again", d.end() == 0, *s.tail())
    s.equal("waits for the rest to settle", limit=1)
    os.rename(s.write("bad.png"), os.fsencode(s.root) + b"/bad\xff.png")
    d = s.daemon("--once")
    s.check("status 1 when something is left", d.end() == 1 and b"NOT UPLOADED" in d.log(), *s.tail())
    os.remove(os.fsencode(s.root) + b"/bad\xff.png")
    # The time is the writer's, not that of sending what it has written.
    with open(s.root / "film.mp4", "wb") as f:
        f.write(bytes(5 << 20))
        f.flush()
        d = s.daemon("--once", "--limit-rate", "500K", "--drain", "8")
        wait("it is held open", lambda: s.status().get("open_for_writing") == 1)
    s.check("a writer comes to its end in time: uploaded, though that takes longer", d.end() == 0, *s.tail())
    # Who does not is not waited for any longer.
    with open(s.root / "film.mp4", "ab") as f:
        f.write(b"more")
        f.flush()
        d = s.daemon("--once", "--drain", "0.5")
        s.check("a writer that goes on: status 1", d.end() == 1 and b"still open for writing" in d.log(), *s.tail())
    os.remove(s.root / "film.mp4")
    # Nor is what never comes to rest.
    writer = subprocess.Popen(["sh", "-c", "while echo >>log.mp3; do sleep 0.05; done"], cwd=s.root)
    s.closers.append(writer.kill)
    wait("it is written", (s.root / "log.mp3").exists)
    d = s.daemon("--once", "--settle", "4", "--drain", "0.5", settle=None)
    s.check("a file that is written all the time: status 1", d.end() == 1 and b"NOT UPLOADED: log.mp3" in d.log(), *s.tail())
    writer.kill()
    writer.wait()
    os.remove(s.root / "log.mp3")
    # That is time without an upload: what comes during a long one has its quiet time all the same.
    s.write("long.mp4", os.urandom(1 << 20))
    d = s.daemon("--once", "--settle", "1", "--drain", "4", "--limit-rate", "100K", settle=None)
    while b"Uploaded: long.mp4" not in d.log() and d.process.poll() is None:
        s.write("late.png", os.urandom(10))
        time.sleep(0.1)
    s.check("what came while another was sent", d.end() == 0 and b"Uploaded: late.png" in d.log(), *s.tail())
    # What cannot be looked at may hold files; root can look at everything.
    under = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    s.root.chmod(0o777)
    shutil.rmtree(s.root / ".r2-sync")
    for path in s.root.rglob("*.png"):
        path.chmod(0o644)
    (s.root / "d").chmod(0)
    d = s.daemon("--once", under=under)
    s.check("status 1 when a directory cannot be read", d.end() == 1 and b"there may be more" in d.log(), *s.tail())
    s.check("… with a command, too", s.daemon(under=under, command=["true"]).end() == 1, *s.tail())
    (s.root / "d").chmod(0o755)


def once_without(s):
    """--once where there is no directory, and beside a command."""
    d = s.daemon("--once", directory=s.dir / "mistyped")
    s.check("--once without the directory: status 1", d.end() == 1 and b"mistyped: nothing to upload: No such file" in d.log(), *s.tail())
    s.check("it is not made", not (s.dir / "mistyped").exists())
    d = s.daemon(directory=s.dir / "made")
    d.says("made was not there and has been made")
    s.check("a daemon makes it", d.stop() == 0, *s.tail())
    d = s.daemon("--once", command=["sh", "-c", f"sleep 0.5; echo x >{s.root}/late.png; exit 4"])
    s.check("--once waits for the command, and has its status", d.end() == 4, *s.tail())
    s.equal("what the command made", limit=1)
    s.check("a command that is not there: 127", s.daemon("--once", command=["no-such-command"]).end() == 127, *s.tail())


def drain_outlasts(s):
    """A drain that an outage holds up ends when the outage does, not before; one that lasts ends with the time."""
    proxy = s.proxy()
    proxy("outage", 1000)
    d = s.daemon("--retries", "1", "--drain", "60", command=["sh", "-c", f"echo x >{s.root}/a.png; echo y >{s.root}/b.png; exit 3"])
    d.says("FAILED: ")
    proxy("clear")
    s.check("the command's status", d.end() == 3, *s.tail())
    s.equal("what was made in an outage", limit=1)
    proxy("outage", 1000)
    s.write("c.png")
    d = s.daemon("--retries", "1", "--drain", "1")
    d.says("FAILED: ")
    s.check("the time is over before the outage", d.stop() == 1 and b"NOT UPLOADED: c.png" in d.log(), *s.tail())


def new_only(s):
    s.write("old.png")
    s.write("d/old.png")
    time.sleep(0.02)                             # the kernel's clock of files ticks
    d = s.daemon("--new-only")
    d.says("Watching: ")                         # what is written before it runs is old, too
    s.write("new.png")
    s.write("d/new.png")
    news = lambda: {k: v for k, v in s.files().items() if b"old" not in k}
    s.equal("--new-only", want=news)
    d.stop()
    s.write("newer.png")
    d = s.daemon("--new-only")
    s.equal("what came between two starts", want=news)
    s.write("old.png", b"rewritten")
    s.equal("an old one that is rewritten", want=lambda: {k: v for k, v in s.files().items() if k != b"d/old.png"})
    d.stop()


def new_only_killed(s):
    """The first start counts, though it was killed before its first scan was through."""
    for i in range(20000):
        s.write(f"{i % 10}/old{i}.png", b"")
    time.sleep(0.02)
    d = s.daemon("--new-only")
    wait("it has begun its ledger", lambda: any(b"/started" in f.read_bytes() for f in s.root.glob(".r2-sync/ledger*")), every=0.001)
    d.kill()
    s.write("new.png")
    s.daemon("--new-only")
    s.equal("--new-only: what came after the first start", want=lambda: {k: v for k, v in s.files().items() if b"old" not in k})


def settle_zero(s):
    s.daemon("--settle", "0", settle=None)
    for i in range(200):
        s.write(f"{i}.png")
    s.equal("--settle 0")


def midnight(s):
    """The date is that of the first upload, local time, and stays with the path."""
    now = datetime.datetime.now(datetime.timezone.utc)
    ahead = datetime.timedelta(hours=23, minutes=59, seconds=45) - datetime.timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    east = ahead.total_seconds() >= 0
    hours, rest = divmod(abs(int(ahead.total_seconds())), 3600)
    env = {"TZ": f"XXX{'-' if east else ''}{hours:02}:{rest // 60:02}:{rest % 60:02}"}
    proxy = s.proxy()
    d = s.daemon("--settle", "0.1", settle=None, env=env)
    first, second = (str((now + ahead).date()), str((now + ahead).date() + datetime.timedelta(days=1)))
    s.write("before.png", b"before")
    dates = lambda: {k.split(b"/", 1)[1] for k, _, _ in s.bucket.keys(s.prefix + "/")}
    wait("before midnight", lambda: f"{first}/before.png".encode() in dates())
    proxy("outage", 1000, "stall")
    s.write("across.png", b"across")
    d.says("Uploading: across.png")
    wait("midnight", lambda: datetime.datetime.now(datetime.timezone.utc) + ahead > datetime.datetime.fromisoformat(second + "T00:00:01+00:00"))
    proxy("clear")
    s.write("before.png", b"rewritten the next day")
    s.write("after.png", b"after")
    s.equal("midnight while uploading")
    want = {f"{first}/before.png".encode(), f"{first}/across.png".encode(), f"{second}/after.png".encode()}
    s.check("each below its own day", dates() == want, dates())


def asked(s):
    code, out, err = s.ask("--health")
    s.check("no daemon: --health is 1 with one line", code == 1 and (out + err).count("\n") == 1, code, out, err)
    proxy = s.proxy()
    metrics = s.dir / "metrics.prom"
    d = s.daemon("--metrics", metrics, "--timeout", "2")
    for i in range(5):
        s.write(f"{i}.png", b"12345")
    s.equal("files")
    code, out, err = s.ask("--health")
    s.check("--health: ok, 0, one line", code == 0 and out.startswith("ok") and out.count("\n") == 1, code, out, err)
    code, out, err = s.ask("--health", "--json")
    s.check("--health --json: as --status", code == 0 and json.loads(out)["health"].startswith("ok"), code, out, err)
    code, out, err = s.ask("--status")
    s.check("--status is for people", code == 0 and "Uploaded:" in out and "Pending:" in out, out, err)
    s.knows(5)
    said = s.status()
    s.check("--status --json", (said.get("uploaded"), said.get("pending"), said.get("bytes"), said.get("failed")) == (5, 0, 25, 0), said)
    wait("the metrics", lambda: b"\nr2_sync_uploaded_total 5\n" in metrics.read_bytes())
    text = metrics.read_text()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    s.check("every metric has a type, and they are whole numbers",
            all(f"# TYPE {name} " in text for name in values) and all(v.isdigit() for v in values.values()), text)
    s.check("last success", abs(float(values["r2_sync_last_success_timestamp_seconds"]) - time.time()) < 60)
    socket_path = next(s.root.glob(".r2-sync/*sock*"))
    s.check("only the owner may ask", socket_path.stat().st_mode & 0o077 == 0 and (s.root / ".r2-sync").stat().st_mode & 0o077 == 0)
    other = subprocess.run([R2, "sync", "--status"], env=s.env | {"COMFYUI_OUTPUT_DIR": str(s.root)}, capture_output=True, text=True, check=False)
    s.check("DIR may come from the environment", other.returncode == 0, other.stderr)
    proxy("outage", 1000)
    s.write("late.png")
    d.says("FAILED: late.png")
    s.check("--status tells the failure", "late.png" in s.ask("--status")[1])
    d.send(signal.SIGSTOP)
    code, out, err = s.ask("--health", again=0)
    s.check("a daemon that stands still is not healthy", code == 1, out, err)
    probes = []
    while not probes or probes[-1].connect_ex(str(socket_path)) == 0:
        probes.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
    code, out, err = s.ask("--health", again=0)
    s.check("… nor is it when more probes wait than it listens for", code == 1 and "does not answer" in err, out, err)
    for probe in probes:
        probe.close()
    d.send(signal.SIGCONT)
    proxy("clear")
    s.equal("goes on")
    s.check("stopped: not healthy", d.stop() == 0 and s.ask("--health")[0] == 1)


def asked_without(s):
    """DIR is not there."""
    code, _, err = s.ask("--health", directory=s.dir / "nowhere")
    s.check("no DIR, no daemon", code == 1 and err.endswith(", unless one has --state: say it here, too\n"), err)
    state = s.dir / "state"
    d = s.daemon("--state", state)
    s.write("a.png")
    s.equal("before")
    shutil.rmtree(s.root)
    d.says("waiting for it")
    code, out, err = s.ask("--status", "--state", state)
    s.check("the daemon waits for it, and says so", code == 0 and "not there now" in out, out, err)
    d.stop()
    s.root = s.dir / "/".join(["\x01" * 250] * 14)
    s.root.mkdir(parents=True)
    s.daemon("--state", state)
    wait("--json of the longest name", lambda: json.loads(s.ask("--status", "--json", "--state", state)[1] or "{}").get("dir") == str(s.root))


def refused(s):
    """Wrong keys stop everything, are said once with their cure, and hold nothing up for longer than a probe once they are mended."""
    secret = s.dir / "secret"
    secret.write_text("0" * 64)
    secret.chmod(0o600)
    d = s.daemon("--drain", "600", env={"R2_SECRET_ACCESS_KEY": None, "R2_SECRET_ACCESS_KEY_FILE": str(secret)})
    for i in range(20):
        s.write(f"{'of-a-long-path/' * 8}{i}.png")
    d.says("SignatureDoesNotMatch")
    time.sleep(3)
    log = d.log()
    s.check("said once, with its cure", log.count(b"FAILED") <= 4 and b"R2_SECRET_ACCESS_KEY" in log, log.decode()[-2000:])
    s.check("the secret is not in the log", b"0000000000000000" not in log)
    s.check("the status says that it waits", s.status().get("state") == "paused", s.status())
    s.check("… and for what", re.match(r"\d+\.png: SignatureDoesNotMatch", s.status().get("last_error", "")), s.status())
    secret.write_text("")
    d.send(signal.SIGHUP)
    d.says("the keys stay what they were")
    secret.write_text(s.env["R2_SECRET_ACCESS_KEY"])
    d.send(signal.SIGHUP)
    d.says("Keys have been read again")
    s.equal("mended keys are read on SIGHUP, and all goes on")
    s.check("neither is in the log", s.env["R2_SECRET_ACCESS_KEY"].encode() not in d.log())
    secret.write_text("0" * 64)
    d.send(signal.SIGHUP)
    wait("the bad ones again", lambda: d.log().count(b"Keys have been read again") == 2)
    for i in range(20):
        s.write(f"{i}-late.png")
    wait("refused", lambda: s.status().get("state") == "paused")
    status = d.stop()
    s.check("stopping does not take long, and names what is left", status == 1 and d.log().count(b"NOT UPLOADED") == 20, status)


def pause_outlived(s):
    """Who was refused is gone when the keys are mended: a drain tries the next one, and does not take the pause for granted."""
    secret = s.dir / "secret"
    secret.write_text("0" * 64)
    secret.chmod(0o600)
    d = s.daemon("--settle", "1", settle=None, env={"R2_SECRET_ACCESS_KEY": None, "R2_SECRET_ACCESS_KEY_FILE": str(secret)})
    refused = s.write("refused.png")
    d.says("Uploads pause")
    os.remove(refused)
    wait("it is forgotten", lambda: s.status().get("pending") == 0)
    secret.write_text(s.env["R2_SECRET_ACCESS_KEY"])
    d.send(signal.SIGHUP)
    d.says("Keys have been read again")
    s.write("a.png")
    s.check("status 0", d.stop() == 0, *s.tail())
    s.equal("what came in the pause", limit=1)


def writes_to(s, w, log, *args):
    """A daemon whose standard output is w."""
    under = [sys.executable, "-c", f"import os, sys; os.dup2({w}, 1); os.execv(sys.argv[1], sys.argv[1:])"]
    return s.daemon(*args, under=under, log=log, pass_fds=[w])


def goes_on_unread(s, r, w, n, log, args):
    d = writes_to(s, w, log, *args)
    for i in range(n):
        s.write(f"{i}{args}.png")
    s.equal(f"all is uploaded {args}")
    s.check(f"and it can be stopped {args}", d.stop() == 0, *s.tail())
    os.close(r)
    os.close(w)


def nobody_reads(s):
    """Standard output is a pipe that is full, and stays so: its lines are lost, not our time."""
    for args, log in ((), s.dir / "log"), (("--json",), s.dir / "log"), (("--flat",), "/dev/full"):
        r, w = os.pipe()
        os.set_blocking(w, False)
        while True:
            try:
                os.write(w, bytes(4096))
            except BlockingIOError:
                break
        os.set_blocking(w, True)
        goes_on_unread(s, r, w, 10, log, args)


def nobody_reads_long_lines(s):
    """A pipe that has room for a part of a line only, and keeps it so."""
    s.root = s.dir / "/".join(["\x01" * 250] * 9)
    s.root.mkdir(parents=True)
    for args in (), ("--json",):
        r, w = os.pipe()
        goes_on_unread(s, r, w, 20, s.dir / "log", args)


def read_again(s):
    """The rest of a --json line that did not go into the pipe is lost, not the line that follows."""
    s.root = s.dir / "/".join(["\x01" * 250] * 9)
    s.root.mkdir(parents=True)
    log, got = s.dir / "log", []
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 8192)
    os.write(w, b"-" * 4095 + b"\n")
    d = writes_to(s, w, log, "--json")
    s.write("one.png")
    wait("a line that is not read", lambda: log.exists() and b"nobody reads standard output" in log.read_bytes())
    reader = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(r, 1 << 16), b"")))
    reader.start()
    s.write("two.png")
    wait("another", lambda: b"Uploaded: two.png" in log.read_bytes())
    s.check("it ends", d.stop() == 0, *s.tail())
    os.close(w)
    reader.join()
    os.close(r)
    first, cut, second = b"".join(got).splitlines()
    s.check("the line behind it is whole", cut.startswith(b"{") and json.loads(second)["file"].endswith("/two.png"), cut[-40:], second[-40:])


def rotated(s):
    log, old = s.dir / "sync.log", s.dir / "sync.log.1"
    d = s.daemon(log=log)
    s.write("a.png")
    wait("the log", lambda: log.exists() and b"Uploaded: a.png" in log.read_bytes())
    os.rename(log, old)
    s.write("b.png")
    wait("still the old one", lambda: b"Uploaded: b.png" in old.read_bytes())
    d.send(signal.SIGHUP)
    wait("a new one", log.exists)
    s.write("c.png")
    wait("in the new one", lambda: b"Uploaded: c.png" in log.read_bytes())
    s.check("and on standard output, all of it", all(b"Uploaded: %c.png" % x in d.log() for x in b"abc"))
    lines = old.read_text().splitlines()
    s.check("the lines that log watchers know", lines[0].endswith("] Starting R2 sync daemon") and lines[1].endswith(f"] Watching: {s.root}")
            and any(x.endswith(f"] New file: {s.root}/a.png") for x in lines) and any(" - INFO - Uploading: a.png (0.00 MB)" in x for x in lines)
            and any(f" - INFO - Uploaded: s3://{s.env['R2_BUCKET']}/{s.prefix}/" in x for x in lines)
            and any(x.endswith("] Uploaded: a.png") for x in lines), *lines)
    d.stop()
    link, log = s.dir / "links" / "link.log", s.dir / "logs" / "sync.log"
    link.parent.mkdir()
    log.parent.mkdir()
    link.symlink_to(log)
    d = s.daemon(log=link)
    s.write("linked.png")
    d.says("Uploaded: linked.png")
    os.rename(log, old)
    d.send(signal.SIGHUP)
    wait("a new one behind a symbolic link", log.exists)
    d.stop()
    d = s.daemon(log="/nowhere/at/all.log")
    s.write("d.png")
    s.equal("a log that cannot be written")
    s.check("one warning", d.log().count(b"/nowhere/at/all.log") == 1, d.log().decode())
    d.send(signal.SIGHUP)
    wait("another", lambda: d.log().count(b"/nowhere/at/all.log") == 2)
    s.check("which speaks of no old log where there is none", d.log().count(b": standard output only") == 2, d.log().decode())
    d.stop()
    d = s.daemon(log=pathlib.Path("/dev/full"))
    s.write("e.png")
    s.equal("a full disk under the log")


def second_daemon(s):
    d = s.daemon()
    s.write("a.png")
    s.equal("the first")
    e = s.daemon()
    s.check("the second: status 1, names the holder", e.end() == 1 and str(d.process.pid).encode() in e.log(), e.log().decode())
    e = s.daemon("--json", log=s.dir / "log")
    s.check("… with --json, too", e.end() == 1 and b"watched by another" in e.log(), e.log().decode())
    s.check("… and in the log file", (s.dir / "log").read_bytes().count(b"watched by another") == 1, e.log().decode())
    f = s.daemon("--state", s.dir / "elsewhere")
    s.check("with a state of its own too", f.end() == 1, f.log().decode())
    inner = s.daemon(directory=s.root / "inner")
    s.check("and for a directory within", inner.end() == 1, inner.log().decode())
    state = s.root / ".r2-sync"
    beside = s.daemon("--state", state, directory=s.dir / "beside")
    s.check("and for another one with its state, which is named", beside.end() == 1 and f"{state} is watched".encode() in beside.log(), beside.log().decode())
    s.write("b.png")
    s.equal("the first goes on")


def bad_input(s):
    path = s.write("file.png")
    e = s.daemon(directory=path)
    s.check("DIR is a file: 2", e.end() == 2 and b"file" in e.log(), e.log().decode())
    for value in ("-1", "x", "1e9999", "", "nan"):
        e = s.daemon(f"--settle={value}", settle=None)
        s.check(f"--settle={value}: 2", e.end() == 2, e.log().decode())
    e = s.daemon(directory="")
    s.check("DIR is empty: 2", e.end() == 2 and b"DIR is empty" in e.log(), e.log().decode())
    for option in ("--state", "--log", "--metrics"):
        e = s.daemon(option, "")
        s.check(f"{option} is empty: 2", e.end() == 2 and f"{option} is empty".encode() in e.log(), e.log().decode())
    e = s.daemon("--metrics", "-")
    s.check("--metrics -: 2", e.end() == 2 and b"--metrics -: " in e.log() and not os.path.exists("-"), e.log().decode())
    e = s.daemon(directory="/proc/nothing/here", log=s.dir / "no-dir")
    s.check("DIR cannot be made: 1", e.end() == 1, e.log().decode())
    s.check("… and the log file says why", b"/proc/nothing" in (s.dir / "no-dir").read_bytes(), e.log().decode())
    e = s.daemon("--stte", "x")
    s.check("an unknown option: 2, the nearest named", e.end() == 2 and b"--state" in e.log(), e.log().decode())
    log = s.dir / "log"
    for what, status, why, more in (("no keys", 1, b"environment variables required", {"R2_SECRET_ACCESS_KEY": None}),
                                    ("a bad endpoint", 2, b"R2_ENDPOINT", {"R2_ENDPOINT": "ftp://x"})):
        e = s.daemon(log=log, env=more)
        s.check(f"{what}: {status}", e.end() == status and why in e.log(), e.log().decode())
        s.check("… and the log file says why", why in log.read_bytes().splitlines()[-1], log.read_text())
    if os.getuid() == 0:
        s.root.chmod(0o755)
        e = s.daemon("--state", "/proc/state")
        s.check("no place for the state: 1, says --state", e.end() == 1 and b"--state" in e.log(), e.log().decode())
        # A directory it may not write to: the state goes elsewhere.
        home = s.dir / "home"
        home.mkdir()
        os.chown(home, 65534, -1)
        path.chmod(0o644)
        d = s.daemon(under=["setpriv", "--reuid=65534", "--clear-groups"], env={"XDG_STATE_HOME": str(home)})
        s.equal("a read-only DIR")
        s.check("its state is below XDG_STATE_HOME", list(home.glob("r2-sync/*/ledger*")) and d.stop() == 0, *s.tail())


def no_parts(s):
    """Where what is cut off cannot be noted that is said, and all is uploaded."""
    (s.root / ".r2-sync").mkdir(0o700)
    (s.root / ".r2-sync/parts").write_text("in the way")
    s.write("file.png")
    d = s.daemon()
    s.equal("without journals")
    s.check("it is said", re.search(rb"WARNING: \S+/\.r2-sync/parts: .*start again", d.log()) and d.stop() == 0, *s.tail())


def few_descriptors(s):
    """A full file table: it waits, and goes on."""
    s.daemon("-j", "8", under=["prlimit", "--nofile=24"])
    for i in range(300):
        s.write(f"{i % 9}/{i % 5}/{i}.png")
    s.equal("24 descriptors")


def command(s):
    """-- COMMAND: its status, signals, what it leaves behind."""
    script = 'for i in 1 2 3 4 5 6 7 8 9; do mkdir -p "$1/d$i/e"; echo $i >"$1/d$i/e/$i.png"; done; exit '
    for status in (0, 3):
        d = s.daemon(command=["sh", "-c", script + str(status), "sh", s.root])
        s.check(f"status {status} is handed on", d.end() == status, *s.tail())
        s.equal("all that it wrote, to its last moment", limit=1)
        shutil.rmtree(s.root / "d1")
    for name, words, want in (("not found", ["/no/such/command"], 127), ("not to be run", [s.root], 126),
                              ("killed", ["sh", "-c", "kill -9 $$"], 137)):
        d = s.daemon(command=words)
        s.check(f"{name}: {want}", d.end() == want, d.process.returncode, *s.tail())
    trap = 'trap "echo got TERM; exit 7" TERM; trap "echo got USR1" USR1; trap "echo got HUP" HUP; echo ready; while :; do sleep 0.05; done'
    d = s.daemon(command=["sh", "-c", trap])
    d.says("ready")
    for number, name in ((signal.SIGUSR1, "USR1"), (signal.SIGHUP, "HUP"), (signal.SIGTERM, "TERM")):
        d.send(number)
        d.says(f"got {name}")
    s.check("SIGTERM is the command's, and so is the status", d.end() == 7, *s.tail())
    bad = os.fsencode(s.root) + b"/bad\xff.png"
    d = s.daemon(command=["python3", "-c", "import sys; open(bytes.fromhex(sys.argv[1]), 'wb')", bad.hex()])
    s.check("0 becomes 1 when a file is left", d.end() == 1 and b"NOT UPLOADED" in d.log(), *s.tail())
    os.unlink(bad)
    log = s.dir / "r2.log"
    d = s.daemon(command=["sh", "-c", f"echo ready; until [ -e {s.dir}/go ]; do sleep 0.05; done; exit 5"], log=log)
    d.says("ready")
    log.unlink()
    d.send(signal.SIGHUP)
    wait("a new log", log.exists)
    (s.dir / "go").touch()
    s.check("SIGHUP does not end who has no handler for it", d.end() == 5, *s.tail())
    # Orphans become the daemon's children; none stays a zombie.
    orphan = f"(until [ -e {s.dir}/end ]; do sleep 0.05; done & exec true)"
    d = s.daemon(command=["sh", "-c", f"for i in 1 2 3; do {orphan} & done; wait; exec sleep 100"])
    children = pathlib.Path(f"/proc/{d.process.pid}/task/{d.process.pid}/children")
    wait("COMMAND and its orphans are there", lambda: len(children.read_text().split()) == 4)
    (s.dir / "end").touch()
    s.check("orphans are reaped", wait("there is one child", lambda: len(children.read_text().split()) == 1))
    d.send(signal.SIGTERM)
    s.check("killed by the signal handed on", d.end() == 143, *s.tail())


def command_odd_start(s):
    """What whoever started us has made of our signals and limits is not COMMAND's business."""
    ignoring = [sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"]
    d = s.daemon(under=ignoring, command=["sh", "-c", "exit 3"])
    s.check("SIGCHLD was ignored: its status", d.end() == 3, *s.tail())
    d = s.daemon("--state", s.dir / "state", under=["sh", "-c", 'ulimit -f 0; exec "$0" "$@"'], log=s.dir / "full", command=["sleep", "2"])
    s.check("no file may grow: that ends nobody", d.end() == 0, *s.tail())
    show = [sys.executable, "-c", "import sys; print(sys.stdin, 'is what it reads'); sys.exit(3)"]
    d = s.daemon(under=["sh", "-c", 'exec "$0" "$@" <&-'], command=show)
    s.check("standard input is closed: for COMMAND, too", d.end() == 3 and b"None is what" in d.log(), *s.tail())
    shut = s.dir / "shut"
    shut.mkdir()
    s.root.chmod(0o777)
    under = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else ["env"]
    d = s.daemon("--state", s.root / "state", under=["sh", "-c", 'cd "$0" && chmod 0 . && exec "$@"', shut, *under],
                 command=["readlink", "/proc/self/cwd"])
    s.check("a working directory that may not be searched: COMMAND has the same", d.end() == 0 and os.fsencode(shut) in d.log(), *s.tail())
    closed = [sys.executable, "-c", "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); os.execv(sys.argv[1], sys.argv[1:])"]
    d = s.daemon(under=closed, command=["sh", "-c", "sleep 1; exit 3"])
    s.check("nobody reads what we write: that does not end COMMAND", d.end() == 3, d.process.returncode, *s.tail())


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, s, words):
        self.said, (self.pid, self.fd) = b"", pty.fork()
        if not self.pid:
            os.execvpe(words[0], words, s.env)
        s.closers.append(self.close)

    def says(self, text, limit=60):
        """Wait for it, behind what was waited for before."""
        end = time.monotonic() + limit
        while text.encode() not in self.said:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise Failed(f"the terminal did not show {text!r}: {self.said}")
            self.said += os.read(self.fd, 4096)
        self.said = self.said.split(text.encode(), 1)[1]
        return True

    def types(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def fg_until_interrupt(s, t, what):
    """It goes on, until Ctrl-C."""
    t.types("fg\n")
    t.says("it goes on")
    t.types("\x03")
    t.types("echo status $?.\n")
    s.check(what, t.says("status 130."))


def terminal(s):
    """The terminal is COMMAND's while it runs, and afterwards whose it was."""
    sync = f"{R2} sync -q --log - {s.root} --"
    t = Terminal(s, ["sh", "-c", f"{sync} sh -c 'read x; echo first $x'; echo READY; read x; echo second $x; read x"])
    t.types("one\n")
    t.says("first one")
    t.says("READY")
    t.types("two\n")
    s.check("COMMAND has ended: the script reads again", t.says("second two"))
    # No shell: one that has just started something by vfork(2) cannot be stopped.
    command = s.dir / "command.py"
    command.write_text("import signal, time\nsignal.signal(signal.SIGCONT, lambda *_: print('it goes on', flush=True))\nprint('COMMAND runs', flush=True)\n"
                       "while True:\n    time.sleep(1)\n")
    for place, what in (("", "Ctrl-Z"), (" </dev/null", "Ctrl-Z, standard input is not the terminal")):
        t = Terminal(s, ["bash", "--norc", "--noediting", "-i"])
        t.types(f"PS1=; {sync} {sys.executable} {command}{place}\n")
        t.says("COMMAND runs")
        t.types("\x1a")
        t.says("Stopped")
        t.types("echo the shell is h''ere\n")
        s.check(f"{what}: the shell goes on", t.says("the shell is here"))
        fg_until_interrupt(s, t, f"{what}, fg, Ctrl-C: COMMAND's end")
    # Begun in the background, COMMAND never gets the terminal: it is us that Ctrl-Z stops.
    t = Terminal(s, ["bash", "--norc", "--noediting", "-i"])
    t.types(f"PS1=; {sync} {sys.executable} {command} &\n")
    t.says("COMMAND runs")
    t.types("fg\n")
    wait("it has the terminal", lambda: os.tcgetpgrp(t.fd) != t.pid)
    t.types("\x1a")
    t.says("Stopped")
    fg_until_interrupt(s, t, "begun with &, fg, Ctrl-Z, fg: it goes on, until Ctrl-C")
    # A container's script, or ssh -t: who stopped there would stay so for ever.
    t = Terminal(s, ["sh", "-c", f"{sync} {sys.executable} {command}; echo over"])
    t.says("COMMAND runs")
    t.types("\x1a")
    s.check("Ctrl-Z without a shell that could say fg", t.says("it goes on"))
    t.types("\x03")
    s.check("the terminal is COMMAND's still", t.says("over"))


def command_keys(s):
    show = ["sh", "-c", 'env | grep -E "^(R2|AWS)_" | sort; echo shown; grep -E "Cap|NoNewPrivs" /proc/self/status']
    more = {"AWS_SECRET_ACCESS_KEY": "awssecret", "R2_ACCESS_KEY": "other", "R2_SECRET_KEY": "other", "R2_SESSION_TOKEN": None,
            "R2_SECRET_ACCESS_KEY_FILE": "/nowhere", "AWS_SESSION_TOKEN_FILE": "/nowhere"}
    keys = lambda log: sorted(re.findall(rb"^\w+_(?:KEY|KEY_ID|TOKEN)(?:_FILE)?(?==)", log, re.M))
    d = s.daemon(command=show, env=more)
    d.end()
    s.check("its environment is ours", len(keys(d.log())) == 7 and b"R2_BUCKET=" in d.log(), d.log().decode())
    s.check("its rights too", b"NoNewPrivs:\t0" in d.log(), d.log().decode())
    d = s.daemon("--hide-keys", command=show, env=more)
    d.end()
    s.check("--hide-keys", keys(d.log()) == [] and b"R2_BUCKET=" in d.log(), d.log().decode())


def priority(s):
    """The job beside comes first; COMMAND is that job."""
    show = ["sh", "-c", "echo command $(ps -o ni= -p $$), daemon $(ps -o ni= -p $PPID)"]
    ours = os.getpriority(os.PRIO_PROCESS, 0)    # the tests may be run by nice(1)
    for args, more in ((), 10), (("--nice", "0"), 0), (("--nice", "19"), 19):
        d = s.daemon(*args, command=show)
        d.end()
        s.check(f"{' '.join(args) or 'lower'}", f"command {ours}, daemon {min(ours + more, 19)}".encode() in b" ".join(d.log().split()), d.log().decode())
    d = s.daemon(command=show, under=["nice", "-n", "12"])
    d.end()
    s.check("never higher than it was", f"command {min(ours + 12, 19)}, daemon 19".encode() in b" ".join(d.log().split()), d.log().decode())


def notified(s):
    """systemd's protocol, by hand."""
    path = s.dir / "notify"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(60)
    d = s.daemon(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"})
    said = []
    while not any("READY=1" in x for x in said):
        said.append(sock.recv(4096).decode())
    s.check("READY=1 and a STATUS=", any("STATUS=" in x for x in said), said)
    begun = time.monotonic()
    while sum("WATCHDOG=1" in x for x in said) < 3:
        said.append(sock.recv(4096).decode())
    s.check("WATCHDOG=1 in time", time.monotonic() - begun < 15)
    d.send(signal.SIGTERM)
    while not any("STOPPING=1" in x for x in said):
        said.append(sock.recv(4096).decode())
    s.check("STOPPING=1", d.end() == 0, said)
    sock.close()


START = """#!/bin/bash
# Start R2 sync daemon if enabled
if [ "${ENABLE_R2_SYNC:-false}" = "true" ]; then
    echo "[R2] Starting R2 sync daemon..."
    mkdir -p /var/log
    nohup r2-sync > /var/log/r2_sync_daemon.log 2>&1 &
    echo "[R2] R2 sync daemon started"
fi
"""


def old_start(s):
    """The script of today's images, with the one line that changes; /var/log is ours for the time being."""
    start, bin_, log = s.dir / "start.sh", s.dir / "bin", s.dir / "log"
    bin_.mkdir()
    log.mkdir()
    subprocess.run([R2, "--install", bin_], check=True, stdout=subprocess.DEVNULL)
    start.write_text(START.replace("/var/log", str(log)))
    start.chmod(0o755)
    env = s.env | {"PATH": f"{bin_}:{s.env['PATH']}", "ENABLE_R2_SYNC": "true", "COMFYUI_OUTPUT_DIR": str(s.root), "R2_LOG_FILE": str(log / "r2_sync.log"),
                   "R2_ACCESS_KEY": s.env["R2_ACCESS_KEY_ID"], "R2_SECRET_KEY": s.env["R2_SECRET_ACCESS_KEY"]}
    for name in ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"):
        del env[name]
    off = subprocess.run([start], env=env | {"ENABLE_R2_SYNC": "false"}, capture_output=True, text=True, check=False)
    s.check("not enabled: nothing", off.returncode == 0 and not off.stdout and not list(log.iterdir()))
    on = subprocess.run([start], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    s.check("says what it said", on.stdout == "[R2] Starting R2 sync daemon...\n[R2] R2 sync daemon started\n", on.stdout, on.stderr)
    pids = []
    try:
        s.write("sub/ComfyUI_00001_.png")
        s.equal("start.sh as it is")
        wait("its log says so", lambda: "] Uploaded: ComfyUI_00001_.png" in (log / "r2_sync.log").read_text())
        text = (log / "r2_sync.log").read_text()
        s.check("its log", "Starting R2 sync daemon" in text and "Uploaded: ComfyUI_00001_.png" in text, text)
        s.check("and standard output's", "Uploaded: ComfyUI_00001_.png" in (log / "r2_sync_daemon.log").read_text())
    finally:
        lock = s.root / ".r2-sync/lock"
        if lock.exists():
            pids.append(int(lock.read_text()))
            os.kill(pids[0], signal.SIGTERM)
            wait("it ends", lambda: not pathlib.Path(f"/proc/{pids[0]}/cmdline").exists() or not pathlib.Path(f"/proc/{pids[0]}/cmdline").read_bytes())


# The longest first, as several run at once.
CASES = [new_only_killed, few_descriptors, once, midnight, ledger_damaged, no_etag, killed, safe_to_delete, no_parts, server_away, slow_server,
         cut_connections, killed_in_parts, killed_in_parts_then_small, stopped_under_load, second_signal, second_signal_with_command, drain_takes_what_settles,
         command_leaves_much, command_leaves_in_an_outage, command_leaves_much_to_a_poor_server, command_leaves_one_that_fails,
         command_leaves_a_writer, command_leaves_workers, command_survives_a_signal, command_leaves_no_time,
         command_makes_root_again, drain_waits_for_a_writer, delete_after_careful, delete_after_in_vain, delete_after_together,
         root_made_again, once_without, drain_outlasts, new_only, settle_zero, asked, asked_without, refused, pause_outlived, nobody_reads, nobody_reads_long_lines, read_again, rotated,
         second_daemon, bad_input, command, command_odd_start, terminal, command_keys, priority, notified, old_start]

if __name__ == "__main__":
    sys.exit(sync_lib.main(CASES))
