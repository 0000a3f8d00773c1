"""r2 sync: files that come in every way a program makes them. Every one of them has to be in the bucket, once, and right."""
import hashlib, json, mmap, os, pathlib, re, shutil, signal, socket, stat, subprocess, sys, time
import sync_lib
from sync_lib import Failed, R2, soak, wait


def contents(found):
    return {v: "there" for v in found.values()}


def burst(s):
    d = s.daemon()
    for i in range(2000):
        s.write(f"ComfyUI_{i:05}_.png")
    s.equal("a burst of 2,000", limit=600)
    s.check("exit status 0 when nothing is left", d.stop() == 0)


def nested(s):
    s.daemon("-j", "8")
    for run in range(10 if soak() else 2):
        for i in range(300):
            at = s.root / f"{run}/{i}/sub"
            os.makedirs(at)
            for name in ("a.png", "b.png"):
                (at / name).write_bytes(b"%d %d" % (run, i))
        s.equal(f"300 new nested directories, run {run + 1}")


def moved_in(s):
    s.daemon()
    for i in range(50):
        for j in range(3):
            s.write(f"tree{i}/deep/er/{j}.png", root=s.dir / "outside")
    s.write("first.png")
    wait("the first is there", lambda: s.objects())
    for i in range(50):
        os.rename(s.dir / f"outside/tree{i}", s.root / f"tree{i}")
    s.equal("50 trees moved in")


def moved_about(s):
    """Directories get other names, at once with new files in them; what is in the bucket stays there."""
    s.daemon()
    for i in range(20):
        s.write(f"d{i}/old{i}.png")
    s.equal("before")
    want = s.files()
    for i in range(20):
        os.rename(s.root / f"d{i}", s.root / f"e{i}")
        s.write(f"e{i}/new.png")
        s.write(f"d{i}/again.png")
    want |= s.files()
    s.equal("directories renamed", want=lambda: want)
    shutil.rmtree(s.root / "e3")
    s.write("last.png")
    want |= s.files()
    s.equal("what is deleted here stays there", want=lambda: want)


def overflow(s):
    metrics = s.dir / "metrics"
    d = s.daemon("-j", "16", "--metrics", metrics)
    for i in range(300):
        s.write(f"noise{i}.png")
    s.write("away.png")
    s.equal("before")
    d.send(signal.SIGSTOP)
    if not soak():
        # As many events with fewer files: every one is another than the one before, so that none are merged.
        for turn in range(60):
            for i in range(300):
                s.write(f"noise{i}.png", b"%d" % turn)
    for i in range(20000 if soak() else 1000):
        s.write(f"d{i % 7}/{i}.png", b"%d" % i)
    away = s.files()[b"away.png"]
    os.remove(s.root / "away.png")
    d.send(signal.SIGCONT)
    s.equal("the reader stood still", limit=600, want=lambda: s.files() | {b"away.png": away})
    wait("the overflow is counted", lambda: re.search(rb"\nr2_sync_overflows_total [1-9]", metrics.read_bytes()))
    wait("the ledger forgets what was removed meanwhile", lambda: s.status().get("known") == len(s.files()))


def slow_writers(s):
    """Held open, with pauses longer than the settle time: no state in between may ever be an object."""
    d, chunks, partial = s.daemon("--settle", "0.3", settle=None), 5, []
    files = [open(s.root / f"slow{i}.png", "wb") for i in range(4)]
    second = open(s.root / "slow0.png", "ab")            # and a second writer, who ends early
    for chunk in range(chunks):
        for f in files:
            f.write(os.urandom(1000))
            f.flush()
        if chunk == 1:
            second.close()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            partial += s.objects()
            time.sleep(0.2)
    s.check("nothing is uploaded while it is written", not partial, partial[:3])
    said = s.status()
    s.check("the status counts what is held open", said.get("open_for_writing") == 4, said)
    for f in files:
        f.close()
    s.equal("written over seconds")
    s.check("none was uploaded twice", d.log().count(b"\n[R2]") == 0 or d.log().count(b"Uploading: slow") == 4, d.log().decode())


def temp_then_rename(s):
    s.daemon()
    for i in range(30):
        for temporary in (f".x{i}.png.Ab3", f"x{i}.png.tmp", f"x{i}.part"):
            path = s.write(temporary)
        for temporary in (f".x{i}.png.Ab3", f"x{i}.png.tmp", f"x{i}.part"):
            os.rename(s.root / temporary, s.root / f"{temporary.strip('.')[:2]}-{len(temporary)}-{i}.png")
    s.write(".hidden.png")
    s.write("still.png.tmp")
    s.write("notes.txt")
    s.equal("a temporary name, then the right one")


def rewritten(s):
    """50 times, some apart by more than the settle time, some in place, some by rename: one object, the last one's."""
    s.daemon()
    for i in range(50):
        if i % 3:
            s.write("a.png", b"%d" % i * 100)
        else:
            s.write("a.new.tmp", b"%d" % i * 100)
            os.rename(s.root / "a.new.tmp", s.root / "a.png")
        time.sleep(0.45 if i % 10 == 0 else 0.03)
    s.equal("rewritten 50 times")
    os.remove(s.root / "a.png")
    s.write("a.png", b"after it was removed")
    s.equal("removed and written anew")


def gone_and_back(s):
    """What comes at a path that was empty is another file: the old object stays, whatever took the old file away."""
    d = s.daemon()
    contents = []

    def again(how):
        """Another a.png at the same path: all that ever were are in the bucket."""
        contents.append(os.urandom(100))
        s.write("d/a.png", contents[-1])
        want = {hashlib.md5(c).hexdigest() for c in contents}
        sync_lib.wait("the new one is there", lambda: len(s.objects()) >= len(contents))
        s.knows(1)
        s.check(f"{how}: all that ever were are there", {etag for _, etag in s.objects().values()} == want, s.objects())

    known = lambda: s.status().get("known")
    again("the first")
    os.remove(s.root / "d/a.png")
    sync_lib.wait("the ledger forgets it", lambda: known() == 0)
    again("deleted")
    os.remove(s.root / "d/a.png")
    os.mkdir(s.root / "d/a.png")
    sync_lib.wait("the ledger forgets what is a directory now", lambda: known() == 0)
    os.rmdir(s.root / "d/a.png")
    again("a directory had its name")
    os.rename(s.root / "d", s.dir / "away")
    sync_lib.wait("the ledger forgets what was in the directory", lambda: known() == 0)
    again("its directory moved away")
    d.stop()
    os.remove(s.root / "d/a.png")
    d = s.daemon()
    sync_lib.wait("the ledger forgets what went while nobody watched", lambda: known() == 0)
    again("deleted while nobody watched")
    d.stop()
    (s.dir / "empty").mkdir()
    link = lambda path: os.symlink(s.dir / "empty", path)
    for make, take, what in (os.mkdir, os.rmdir, "directory"), (os.mkfifo, os.remove, "FIFO"), (link, os.remove, "link to a directory"):
        os.remove(s.root / "d/a.png")
        make(s.root / "d/a.png")
        d = s.daemon()
        sync_lib.wait(f"the ledger forgets what became a {what} meanwhile", lambda: known() == 0)
        take(s.root / "d/a.png")
        again(f"a {what} got its name while nobody watched")
        d.stop()
    d = s.daemon("--poll", "--rescan", "1")
    os.remove(s.root / "d/a.png")
    sync_lib.wait("the ledger forgets it without events", lambda: known() == 0)
    again("deleted, without events")
    d.stop()


def all_there(s, what, old):
    """What was there once, and what is there now."""
    s.equal(what, want=lambda: old | contents(s.files()), got=lambda: contents(s.objects()))


def others_take_their_names(s, what):
    """Whatever ever was at these names has to be in the bucket."""
    old, out = contents(s.files()), s.dir / "out"
    out.mkdir()
    for name in ("a.png", "d"):
        os.rename(s.root / name, out / name)
    s.write("a.png", b"another")
    s.write("d/b.png", b"another one")
    all_there(s, what, old)
    s.write("d/b.png", b"rewritten")
    all_there(s, "rewritten, which replaces its own object alone", old)


def moved_out(s):
    """What is moved away is not deleted: what takes its name at once is no newer state of it. Nor is it when the directory was moved."""
    s.daemon()
    s.write("a.png")
    s.write("d/b.png")
    s.equal("before")
    others_take_their_names(s, "moved out, others in their places")


def moved_out_under_way(s):
    """The same while they are being sent."""
    d = s.daemon("--limit-rate", "100K")
    s.write("a.png", os.urandom(200000))
    s.write("d/b.png", os.urandom(200000))
    d.says("Uploading: a.png")
    d.says("Uploading: b.png")
    others_take_their_names(s, "moved out under way, others in their places")


def moved_out_in_the_queue(s):
    """The same while it waits for a worker, touched, with its object in the bucket already."""
    proxy = s.proxy()
    d = s.daemon("-j", "1")
    s.write("a.png")
    s.equal("before")
    s.knows(1)                                   # else its answer waits in the outage, and the only worker for it
    old = contents(s.files())
    proxy("outage", 1000, "stall")
    s.write("long.png")
    d.says("Uploading: long.png")
    os.utime(s.root / "a.png")
    wait("it is in the queue", lambda: s.status().get("uploading") == 2)
    os.rename(s.root / "a.png", s.dir / "out.png")
    s.write("a.png", b"another")
    s.write("last.png")
    wait("so much is seen", lambda: s.status().get("pending") == 3)
    proxy("clear")
    all_there(s, "moved out, another in its place", old)
    s.check("exit status 0", d.stop() == 0, *s.tail())


def removed_under_way(s):
    """What loses its name while its parts are sent, to another file or to none, keeps its content: they are not all sent again."""
    d = s.daemon("--part-size", "5M", "--multipart-threshold", "5M", "--limit-rate", "8M")
    for name in ("a.mp4", "b.mp4"):
        s.write(name, os.urandom(12 << 20))
        d.says(f"Uploading: {name}")
    removed = s.files()[b"b.mp4"]
    os.rename(s.write(".new"), s.root / "a.mp4")
    os.remove(s.root / "b.mp4")
    s.equal("one replaced, one removed", want=lambda: s.files() | {b"b.mp4": removed})
    s.check("their parts were sent once", b"sends it again" not in d.log() and d.log().count(b".mp4 (12.00 MB)") == 2, *s.tail())


def removed_under_way_another_later(s):
    """What comes at its name when it has been away for a while is another file, though the first is still being sent."""
    d = s.daemon("--limit-rate", "100K")
    s.write("a.png", os.urandom(300000))
    d.says("Uploading: a.png")
    old = contents(s.files())
    os.remove(s.root / "a.png")
    s.write("then.png")
    d.says("then.png")                           # so it has seen that, too
    time.sleep(0.5)
    s.write("a.png", b"another")
    all_there(s, "removed, another in its place later", old)


def moved_out_a_while_ago(s):
    """The same when the others come later, but within the settle time after the look for what has gone."""
    d = s.daemon(settle="1.5")
    s.write("d/b.png")
    d.says("Uploaded: b.png")
    old = contents(s.files())
    os.rename(s.root / "d", s.dir / "out")
    time.sleep(1.8)
    s.write("d/b.png", b"another")
    all_there(s, "moved out, another in its place later", old)


def moved_out_while_it_fails(s):
    """The same while a newer state of it waits for the network: its object is still that of the older one."""
    proxy = s.proxy()
    d = s.daemon("--retries", "1")
    s.write("d/b.png")
    s.equal("before")
    s.knows(1)                                   # else what fails may be this one, whose answer is lost
    old = contents(s.files())
    proxy("outage", 600, "refuse")
    s.write("d/b.png", b"newer")
    d.says("FAILED: d/b.png")
    os.rename(s.root / "d", s.dir / "out")
    s.write("d/b.png", b"another")
    proxy("clear")
    all_there(s, "moved out, another in its place", old)


def root_moved_out(s):
    """The same with DIR itself: of one file that is done, and of one that is being sent."""
    d = s.daemon("--limit-rate", "100K")
    s.write("a.png")
    d.says("Uploaded: a.png")
    s.write("d/b.png", os.urandom(200000))
    d.says("Uploading: b.png")
    old = contents(s.files())
    os.rename(s.root, s.dir / "out")
    s.root.mkdir()
    s.write("a.png", b"another")
    s.write("d/b.png", b"another one")
    all_there(s, "DIR moved out, another in its place", old)


def links(s):
    outside = s.write("outside.png", root=s.dir / "outside")
    s.daemon("--rescan", "3")
    s.write("a.png")
    os.link(s.root / "a.png", s.root / "hard.png")
    os.link(outside, s.root / "hard-outside.png")
    os.symlink("a.png", s.root / "soft.png")
    os.symlink(outside, s.root / "soft-outside.png")
    os.symlink("nowhere.png", s.root / "dangling.png")
    os.symlink(".", s.root / "loop")
    os.symlink("loop.png", s.root / "loop.png")
    os.symlink(s.dir / "outside", s.root / "linked-directory")
    linked = s.files(s.dir / "outside")[b"outside.png"]
    s.equal("hard and symbolic links", want=lambda: s.files() | {b"linked-directory/outside.png": linked})


def away_behind_a_link(s):
    """What a link leads to may be on a disk that is away: when it is there again it is not sent again."""
    outside = s.write("a.png", root=s.dir / "outside")
    os.symlink(outside, s.root / "link.png")
    s.write("b.png")
    d = s.daemon()
    s.knows(2)
    d.stop()
    os.remove(s.root / "b.png")
    os.rename(s.dir / "outside", s.dir / "away")
    d = s.daemon()
    s.knows(1)
    d.stop()
    os.rename(s.dir / "away", s.dir / "outside")
    d = s.daemon()
    s.write("c.png")
    s.knows(2)
    s.check("the last daemon does not send it", b"link.png" not in d.log(), d.log().decode())
    d.stop()


NAMES = [b"new\nline.png", b"tab\t.png", b"-dash.png", b"--help.png", b"a" * 251 + b".png", b" space .png", b"quote'\"\\.png", b"$(id)`id`.png",
         "ümläut ñ 日本語 😀.png".encode(), b"%41+&=?#;.png", b"[b]*?.png", b"\x01\x1b[31m.png", b"*.png", b"CON.png", b"UPPER.PNG", b"a..png"]


def odd_names(s):
    d = s.daemon("--include", "*.png", "--include", "...", "--include", "....")
    for name in NAMES + [b"...", b"...."]:
        (pathlib.Path(os.fsdecode(os.fsencode(s.root) + b"/" + name))).write_bytes(name)
    bad = [b"bad\xff\xfe.png", b"\xc3.png"]
    for name in bad:
        with open(os.fsencode(s.root) + b"/" + name, "wb") as f:
            f.write(b"x")
    want = lambda: {k: v for k, v in s.files(wanted=lambda n: n not in bad and n != b".r2-sync").items()}
    s.equal("odd names", want=want)
    log = d.log()
    s.check("those that no key can be are refused by name", log.count(b"FAILED: ") >= 2 and b"\\xff" in log, log.decode(errors="replace"))
    s.check("control characters never reach the log", not set(log) & (set(range(32)) - {10}) and b"\nline.png" not in log)
    s.check("SIGTERM names them, status 1", d.stop() == 1 and d.log().count(b"NOT UPLOADED: ") == 2, *s.tail())


def other_files(s):
    """What is no file is passed over, and does not stop anything."""
    os.mkfifo(s.root / "fifo.png")
    sock = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    sock.bind(f"/proc/self/fd/{os.open(s.root, os.O_RDONLY)}/socket.png")
    if os.getuid() == 0:
        try:
            os.mknod(s.root / "device.png", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        except PermissionError:
            pass
    os.mkdir(s.root / "directory.png")
    s.write("directory.png/a.png")
    s.write("empty.png", b"")
    d = s.daemon()
    s.write("b.png")
    os.mkfifo(s.root / "fifo2.png")
    s.equal("FIFOs, sockets, devices, directories with a picture's name, and a file of no bytes")
    s.check("exit status 0", d.stop() == 0, *s.tail())
    sock.close()
    os.chdir(here)


def too_large(s):
    path = s.root / "huge.png"
    with open(path, "wb") as f:
        f.truncate(6 << 40)
    d = s.daemon()
    s.write("small.png")
    d.says("FAILED: huge.png")
    s.equal("6 TB are refused, the rest goes on", want=lambda: {k: v for k, v in s_files_but(s, b"huge.png").items()})
    s.check("and says why", b"5 TiB" in d.log(), *s.tail())
    s.check("named at the end, status 1", d.stop() == 1 and b"NOT UPLOADED: huge.png" in d.log(), *s.tail())


def s_files_but(s, name):
    return s.files(wanted=lambda n: n.endswith(b".png") and n != name)


def unreadable(s):
    """As a user who may not read everything; later it may."""
    under = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    s.root.chmod(0o777)
    path = s.write("secret.png")
    path.chmod(0)
    closed = s.root / "closed"
    s.write("closed/inside.png")
    closed.chmod(0)
    d = s.daemon("--rescan", "1", under=under)
    s.write("open.png").chmod(0o644)
    d.says("FAILED: secret.png")
    d.says("closed")
    s.check("the others go on", wait("open.png", lambda: b"open.png" in s.objects()))
    path.chmod(0o644)
    closed.chmod(0o755)
    (closed / "inside.png").chmod(0o644)
    s.equal("readable in the end")
    s.check("exit status 0", d.stop() == 0, *s.tail())


def catches_up(s):
    for i in range(50):
        s.write(f"before/{i}.png")
    d = s.daemon()
    s.equal("what was there before the first start")
    s.check("stops", d.stop() == 0)
    for i in range(50):
        s.write(f"while/stopped/{i}.png")
    s.write("before/3.png", b"rewritten while it was stopped")
    d = s.daemon()
    s.equal("files added while it was stopped")
    s.check("what is known is not sent again", d.log().count(b"Uploading: ") == 51, *s.tail())


def root_comes_and_goes(s):
    os.rmdir(s.root)
    d = s.daemon()
    wait("DIR is made, as the script did", s.root.is_dir)
    s.write("a.png")
    s.equal("a directory that was not there yet")
    want = s.files()
    for turn in range(3):
        shutil.rmtree(s.root)
        time.sleep(0.3 * turn)
        s.root.mkdir()
        s.write(f"again{turn}/b.png")
        want |= s.files()
        s.equal(f"the root deleted and made again, {turn + 1}", want=lambda: want)
    os.rename(s.root, s.dir / "aside")
    s.write("c.png", root=s.dir / "aside")
    os.rename(s.dir / "aside", s.root)
    want |= s.files()
    s.equal("moved away and back", want=lambda: want)
    s.check("it never ended", d.running())


def root_elsewhere(s):
    """The same, when its name lies in another directory than DIR itself."""
    (s.dir / "link").symlink_to(s.root)
    want = {}
    for name in ("link", "output/."):
        d = s.daemon(directory=name)
        s.write(f"{name}/a.png")
        want |= s.files()
        s.equal(f"{name}: before", want=lambda: want)
        shutil.rmtree(s.root)
        s.root.mkdir()
        s.write(f"{name}/b.png")
        want |= s.files()
        s.equal(f"{name}: deleted and made again", want=lambda: want)
        d.stop()


def watch_limit(s):
    """16 watches for 60 directories: says which limit to raise, and polls the rest."""
    for i in range(30):
        s.write(f"old{i}/a.png")
    # As the kernel says it. The limit itself is the whole machine's, or a user name space's, which a changed root directory forbids.
    refuse = ["-e", "trace=inotify_add_watch", "-e", "inject=inotify_add_watch:error=ENOSPC:when=17+"]
    d = s.daemon("--rescan", "2", under=["strace", "-D", "-f", "-q", "-o", "/dev/null", *refuse])
    s.equal("those there before")
    for i in range(30):
        s.write(f"new{i}/sub/a.png")
        s.write(f"old{i}/b.png")
    s.equal("those that came later")
    s.check("names the limit", b"max_user_watches" in d.log() or b"max_inotify_watches" in d.log(), *s.tail())
    s.check("once", d.log().count(b"_watches") <= 2, *s.tail())


def polling(s):
    d = s.daemon("--poll", "--rescan", "1")
    for i in range(100):
        s.write(f"d{i % 5}/{i}.png")
    s.equal("--poll")
    s.write("d1/1.png", b"changed")
    s.equal("--poll finds what changed")
    s.check("no watches", d.running() and b"inotify" not in b"".join(
        os.readlink(f).encode() for f in pathlib.Path(f"/proc/{d.process.pid}/fd").iterdir() if f.is_symlink()))
    d.stop()
    s.write("ready.png")
    d = s.daemon("--poll", "--rescan", "300")
    d.says("Uploaded: ready.png")
    s.write("later.png")
    time.sleep(4)
    s.check("--poll --rescan 300 does not look sooner", b"later.png" not in d.log(), *s.tail())


def unmounted(s):
    """What lay in a file system that is not there now is known when it is there again."""
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", s.root], capture_output=True).returncode:
        return s.check("unmounted: left out, nothing may be mounted here", True)
    s.closers.insert(0, lambda: subprocess.run(["umount", "-l", s.root], capture_output=True))
    state = ("--state", s.dir / "state")
    d = s.daemon("--poll", "--rescan", "1", *state)
    s.write("a.png")
    s.write("d/b.png")
    s.equal("a mount point")
    known = lambda: json.loads(s.ask("--status", "--json", *state)[1] or "{}").get("known")
    wait("they are known", lambda: known() == 2)
    subprocess.run(["umount", "-l", s.root], check=True)
    d.says("is another directory now")
    time.sleep(8)                                # so many scans that it is looked what has gone
    wait("it answers", lambda: known() is not None)
    s.check("unmounted, its files are known still", known() == 2, *s.tail())


def in_memory(s):
    """A file in memory that is written to through a mapping has the time that it had; only the close is told."""
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", s.root], capture_output=True).returncode:
        return s.check("in memory: left out, nothing may be mounted here", True)
    s.closers.insert(0, lambda: subprocess.run(["umount", "-l", s.root], capture_output=True))
    d = s.daemon("--rescan", "1", "--limit-rate", "100K")
    path = s.write("a.png", bytes(150_000))
    d.says("Uploading: a.png")
    for when in ("while it is sent", "later"):
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[5000] += 1
        s.known.clear()
        s.equal(f"written to through a mapping {when}")
        wait("it is known", lambda: s.status().get("pending") == 0)
    s.check("that is one object, and no end of sending", len(s.objects()) == 1 and d.log().count(b"Uploading: a.png") <= 4, *s.tail())


def patterns(s):
    d = s.daemon("--include", "*.txt", "--include", "keep/*.dat", "--exclude", "*/skip/*", "--exclude", "no*")
    for rel in ("a.txt", "A.TXT", "b.png", "keep/c.dat", "other/c.dat", "x/skip/d.txt", "no.txt", "x/y/e.txt", "f.txt.tmp", ".g.txt"):
        s.write(rel)
    want = (b"a.txt", b"A.TXT", b"keep/c.dat", b"x/y/e.txt")
    s.equal("--include and --exclude", want=lambda: {k: v for k, v in s.files(wanted=lambda n: True).items() if k in want})
    d.stop()


def all_files(s):
    d = s.daemon("--all")
    for rel in ("a.txt", "noending", "b.png", "x/Makefile", ".dot", "c.tmp", "d.part", "e.TMP"):
        s.write(rel)
    s.equal("--all, but for dot files, *.tmp and *.part",
            want=lambda: {k: v for k, v in s.files(wanted=lambda n: True).items() if k in (b"a.txt", b"noending", b"b.png", b"x/Makefile")})
    d.stop()


def flat(s):
    """One key for many files: all contents are there, each under a name of its own."""
    s.daemon("--flat")
    for i in range(10):
        s.write(f"d{i}/same.png", b"content %d" % i)
        s.write(f"d{i}/equal.png", b"everywhere")
        s.write(f"d{i}/own{i}.png")
    s.equal("--flat with clashes", want=lambda: contents(s.files()), got=lambda: contents(s.objects()))
    names = s.objects()
    s.check("below no directory, and one object a content", all(b"/" not in n for n in names) and len(names) == 21, sorted(names))


def flat_shared(s):
    """Two files of one content have one object; rewriting the one does not take it from the other."""
    d = s.daemon("--flat")
    s.write("a/x.png", b"one")
    s.equal("the first", want=lambda: contents(s.files()), got=lambda: contents(s.objects()))
    s.write("b/x.png", b"one")
    wait("both are done", lambda: s.status().get("known") == 2)
    s.write("a/x.png", b"two")
    s.equal("--flat: the object that two files share stays", want=lambda: contents(s.files()), got=lambda: contents(s.objects()))
    s.write("c/y.png", b"three")
    wait("the third", lambda: s.status().get("known") == 3)
    s.write("d/y.png", b"three")
    wait("the fourth", lambda: s.status().get("known") == 4)
    d.stop()
    s.daemon()
    s.write("c/y.png", b"four")
    s.equal("and so it does at a start without --flat", want=lambda: contents(s.files()), got=lambda: contents(s.objects()))


def many_rewritten(s):
    """Beside files that somebody else has uploaded: what rewriting a file costs does not grow with what the ledger knows."""
    d = s.daemon()
    for i in range(200):
        s.write(f"{i}.png", b"of a run before %d" % i)
    s.equal("a run before")
    d.stop()
    shutil.rmtree(s.root / ".r2-sync")
    d = s.daemon()
    wait("all are known", lambda: s.status().get("known") == 200)
    d.stop()
    d = s.daemon()     # what is written and synced is read from the file
    reads = lambda: int(re.search(r"syscr: (\d+)", pathlib.Path(f"/proc/{d.process.pid}/io").read_text())[1])
    for i in range(50):
        s.write(f"own{i}.png", b"first %d" % i)
    s.equal("own ones")
    before = reads()
    for i in range(50):
        s.write(f"own{i}.png", b"second %d" % i)
    s.equal("own ones rewritten")
    s.check("without reading the ledger for each", reads() - before < 50 * 100, reads() - before)


def two_daemons(s):
    """Two directories, one prefix, equal names: nothing is overwritten."""
    other = s.dir / "other"
    other.mkdir()
    s.daemon()
    s.daemon(directory=other)
    for i in range(30):
        s.write(f"d/{i}.png", b"one %d" % i)
        s.write(f"d/{i}.png", b"two %d" % i, root=other)
        s.write(f"same{i}.png", b"both %d" % i)
        s.write(f"same{i}.png", b"both %d" % i, root=other)
    both = lambda: sorted([*s.files().values(), *(v for k, v in s.files(other).items() if not k.startswith(b"same"))])
    s.equal("two daemons", want=lambda: {"": both()}, got=lambda: {"": sorted(s.objects().values())})
    for i in range(30):
        s.write(f"d/{i}.png", b"one again %d" % i)
        s.write(f"d/{i}.png", b"two again %d" % i, root=other)
    s.equal("and each replaces its own", want=lambda: {"": both()}, got=lambda: {"": sorted(s.objects().values())})


def somebody_elses(s):
    """An object that is not ours is never overwritten, whatever happens to ours."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    s.bucket.request("PUT", f"{s.prefix}/{day}/a.png", body=b"somebody else's").read()
    d = s.daemon()
    s.write("a.png", b"ours")
    d.says("Uploaded: a.png")
    s.write("a.png", b"ours, rewritten")
    wait("the rewritten one", lambda: (15, "") < max(s.objects().values()))
    found = s.objects()
    d.stop()
    s.check("both are there", len(found) == 2 and found[b"a.png"][0] == 15, found)


CASES = [overflow, burst, nested, moved_in, moved_about, slow_writers, temp_then_rename, rewritten, gone_and_back, moved_out, moved_out_under_way, moved_out_in_the_queue, removed_under_way,
         removed_under_way_another_later, moved_out_a_while_ago, moved_out_while_it_fails,
         root_moved_out, links, away_behind_a_link, odd_names, other_files, too_large, unreadable, catches_up, root_comes_and_goes, root_elsewhere, watch_limit, polling, unmounted, in_memory, patterns, all_files, flat, flat_shared, many_rewritten, two_daemons, somebody_elses]

if __name__ == "__main__":
    sys.exit(sync_lib.main(CASES))
