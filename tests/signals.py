"""Signals at random moments, alone and in rows, to upload, upload --move, get and sync: signals.py [SECONDS [CASE…]], 10 without. A program that
was ended says by which signal, and never that it succeeded when it did not; files that were there are there, whole; the next run finishes, and
then nothing is left of the journals. SEED repeats the choice of signals."""
import os, signal, subprocess, sys, time, xml.etree.ElementTree as xml
import sync_lib
from sync_lib import R2, wait

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 10
SEED = os.environ.get("SEED", str(time.time_ns()))
RATE = ("--limit-rate", "16M", "--part-size", "5M")
MIB = 1 << 20
HARMLESS = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG, signal.SIGCONT)
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Several of one number: as often as it is drawn.
PLANS = [[n] for n in (*STOPS, *STOPS, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGKILL, signal.SIGKILL)]
PLANS += [[signal.SIGSTOP, signal.SIGCONT], [signal.SIGTSTP, signal.SIGCONT, signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM],
          [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], [signal.SIGTERM, signal.SIGKILL], [signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT],
          [*HARMLESS], [*HARMLESS, signal.SIGTERM], [*HARMLESS] * 5]
FATAL = {n for plan in PLANS for n in plan} - {*HARMLESS, signal.SIGSTOP, signal.SIGTSTP, signal.SIGCONT}
sent = {}


def until_over(s):
    s.random.seed(f"{SEED} {s.name}")
    end, turn = time.monotonic() + SECONDS, 0
    while not s.failed and (turn == 0 or time.monotonic() < end):
        turn += 1
        yield turn
    s.check(f"{turn} rounds", True)


def throw(s, process, plan):
    """The plan's signals with pauses; some come while the other is still being dealt with, some before the program has begun. Those that it was
    still there for."""
    arrived = set()
    time.sleep(s.random.choice((0.005, 0.05, 0.4, 1)) * s.random.random())
    for n in plan:
        if process.poll() is None:
            process.send_signal(n)
            arrived.add(n)
            sent[n] = sent.get(n, 0) + 1
        time.sleep(s.random.choice((0, 0.001, 0.3)) * s.random.random())
    process.send_signal(signal.SIGCONT)
    return arrived


def attempt(s, words, plan):
    """Run, throw, judge the status. 0 when it says that it is done."""
    with open(s.dir / "said", "wb") as said:
        process = subprocess.Popen([R2, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=s.env, cwd=s.dir)
        arrived = throw(s, process, plan)
        try:
            status = process.wait(120)
        except subprocess.TimeoutExpired:
            status = "none within 120 s"
            process.kill()
            process.wait()
    fine = status == 0 or isinstance(status, int) and -status in arrived & FATAL
    if not fine:
        s.check(f"{words[0]}: {[n.name for n in plan]}: status {status}", False, (s.dir / "said").read_text()[-3000:])
    return status


def whole(s, what, fine):
    if not fine:
        s.check(what, False, (s.dir / "said").read_text()[-3000:])


def finish(s, words):
    status = attempt(s, words, [])
    whole(s, f"{words[0]}: the next run finishes (status {status})", status == 0)


def nothing_left(s):
    journals = [f for f in (s.dir / "state").rglob("*") if f.is_file()]
    s.check("no journal is left", not journals, journals)
    # Whoever ends while the answer to CreateMultipartUpload is under way leaves one that is empty, and that nobody knows of.
    page = xml.fromstring(s.bucket.request("GET", "", {"uploads": "", "prefix": s.prefix + "/"}).read())
    for row in page.iterfind("{*}Upload"):
        query = {"uploadId": row.findtext("{*}UploadId")}
        parts = s.bucket.request("GET", row.findtext("{*}Key"), query).read()
        whole(s, f"no part is left in an unfinished upload {query}", b"<PartNumber>" not in parts)
        s.bucket.request("DELETE", row.findtext("{*}Key"), query)


def stored(s, name, data):
    """The object has these bytes."""
    try:
        return s.bucket.request("GET", f"{s.prefix}/{name}").read() == data
    except OSError:
        return False


def begin(s):
    s.env["XDG_STATE_HOME"] = str(s.dir / "state")


def uploads(s, *options):
    """Three files, one of them in parts. True in a turn when all are in the bucket."""
    begin(s)
    words = ["upload", "--no-date", *RATE, "--multipart-threshold", "6M", *options]
    for _ in until_over(s):
        data = {"large.bin": os.urandom(12 * MIB), "1.bin": os.urandom(300000), "2.bin": b"2" + os.urandom(9)}
        for name, content in data.items():
            (s.dir / name).write_bytes(content)
        here = lambda: [name for name in data if (s.dir / name).exists()]
        for plan in s.random.choices(PLANS, k=s.random.randrange(1, 4)):
            if files := here():
                yield attempt(s, words + files, plan), data
        if files := here():
            finish(s, words + files)
        yield 0, data
    nothing_left(s)


def upload(s):
    for status, data in uploads(s):
        for name, content in data.items():
            whole(s, f"{name} is untouched", (s.dir / name).read_bytes() == content)
            whole(s, f"status 0, and {name} is in the bucket", status != 0 or stored(s, name, content))


def move(s):
    for status, data in uploads(s, "--move"):
        for name, content in data.items():
            here = (s.dir / name).exists()
            whole(s, f"{name} is here, whole, or in the bucket", (s.dir / name).read_bytes() == content if here else stored(s, name, content))
            whole(s, f"status 0, and {name} has moved", status != 0 or not here)


def get(s):
    begin(s)
    data = os.urandom(20 * MIB)
    s.bucket.request("PUT", f"{s.prefix}/object", body=data)
    got, words = s.dir / "got", ["get", *RATE, f"{s.prefix}/object", "got"]
    for turn in until_over(s):
        old = b"" if turn % 2 else b"old"
        got.unlink(missing_ok=True)
        if old:
            got.write_bytes(old)
        for _ in range(s.random.randrange(1, 4)):
            status = attempt(s, words, s.random.choice(PLANS))
            now = got.read_bytes() if got.exists() else b""
            whole(s, f"status {status}: the file is the old one or the new one, {len(now)} bytes", now == data or status != 0 and now == old)
            if now == data:
                break
        else:
            finish(s, words)
            whole(s, "the file has arrived", got.read_bytes() == data)
    s.check("nothing lies beside it", [p.name for p in s.dir.glob(".got*")] == [], list(s.dir.glob(".*")))


def sync(s):
    """The daemon goes on where a signal does not end it, drains when it is told to stop, and loses nothing however it ends."""
    options = ("--part-size", "5M", "--multipart-threshold", "6M", "--limit-rate", "16M")
    fatal = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
    for turn in until_over(s):
        plan = s.random.choice(PLANS)
        d = s.daemon(*options, "--drain", "2")
        for i in range(4):
            s.write(f"{turn % 3}/{turn}-{i}.png", os.urandom(s.random.randrange(1, 200000)))
        s.write("same.png", os.urandom(s.random.choice((50, 7 * MIB))))
        arrived = throw(s, d.process, plan)
        # Until it has begun, which it says, SIGHUP ends it, as it ends anybody.
        if not arrived & fatal and (signal.SIGHUP not in arrived or b"Watching: " in d.log() or d.running()):
            wait("it is there still", d.running, 1)
            arrived.add(signal.SIGTERM)
            d.send(signal.SIGTERM)
        status = d.end()
        if status not in {0, 1} | {128 + n for n in arrived & (fatal | {signal.SIGHUP})}:
            s.check(f"{[n.name for n in plan]}: status {status}", False, *s.tail())
    d = s.daemon(*options)
    d.says("Watching: ")                         # there may be nothing left to do
    s.equal("every file, whatever came")
    s.check("status 0 when it is told to stop", d.stop() == 0, *s.tail())


if __name__ == "__main__":
    print(f"# SEED={SEED}")
    rc = sync_lib.main([upload, move, get, sync], sys.argv[2:])
    print("# sent:", ", ".join(f"{n} {count}" for n, count in sorted((n.name, c) for n, c in sent.items())))
    sys.exit(rc)
