"""What r2 sync costs, against the sink: a burst, the time from close(2) to the object, a minute of doing nothing, many directories. Each
returns its figures (µs, bytes) of one run; bench is the harness's."""
import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import time


def _rows(path, names):
    rows = (line.split() for line in pathlib.Path(path).read_text().splitlines())
    return [int(row[1]) for row in rows if row and row[0] in names]


def wakeups(pid):
    return sum(sum(_rows(t / "status", ("voluntary_ctxt_switches:",))) for t in pathlib.Path(f"/proc/{pid}/task").iterdir())


def memory(pid):
    return 1024 * sum(_rows(f"/proc/{pid}/smaps_rollup", ("Pss:",)))


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000000 // os.sysconf("SC_CLK_TCK")


DATE = "2025-12-29"


class Daemon:
    """r2 sync on a new directory below one of its own, since it watches the one above too."""

    def __init__(self, bench, settle, directories=0):
        self.bench = bench
        self.top = tempfile.TemporaryDirectory(dir=bench.dir)
        self.root = os.path.join(self.top.name, "parent", "output")
        os.makedirs(self.root)
        for n in range(directories):
            os.makedirs(f"{self.root}/{n // 100}/{n}", exist_ok=True)
        self.puts = bench.server.counts()["puts"]
        bench.runs += 1
        self.process = bench.child = subprocess.Popen(
            [bench.tools["r2"].program, "sync", "--log", "-", "-q", "--settle", str(settle), "--prefix", f"sync-{bench.runs}", "--date", DATE,
             self.root],
            env=bench.env, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        try:
            self.write("first.png", b"x")
            self.wait(1)
        except OSError:
            self.__exit__()
            raise

    def write(self, name, data):
        with open(f"{self.root}/{name}", "wb") as f:
            f.write(data)

    def wait(self, count, step=0.002):
        """Until so many objects have come."""
        end = time.monotonic() + 120
        while self.bench.server.counts()["puts"] < self.puts + count:
            if self.process.poll() is not None or time.monotonic() > end:
                raise OSError("sync ended, or did not upload")
            time.sleep(step)

    def wait_for(self, name):
        """Until that object is there. Not by their number: on tmpfs a file of which an event comes while it is sent is compared once more,
        and with a server whose ETags are no MD5 sent once more."""
        key, end = f"/{self.bench.env['R2_BUCKET']}/sync-{self.bench.runs}/{DATE}/{name}", time.monotonic() + 120
        while self.bench.server.ask(key, "HEAD")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                raise OSError("sync ended, or did not upload")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.top.cleanup()


def burst(bench, count, size):
    """Files written at once: wall from the first byte of the first to the last object."""
    data = os.urandom(size)
    with Daemon(bench, 0.2) as d:
        before, start, used = bench.server.counts(), time.monotonic(), cpu(d.pid)
        for n in range(count):
            d.write(f"{n}.png", data)
        d.wait(count + 1, 0.02)
        wall = time.monotonic() - start
        after = bench.server.counts()
        grown = {name: after[name] - before[name] for name in ("wire", "requests", "connections")}
        return {"wall": int(wall * 1e6), "cpu": cpu(d.pid) - used, "rss": memory(d.pid), **grown}


def latency(bench, count):
    """One file after the other without settle time. The sink is asked without a pause, a fraction of a millisecond each time."""
    waits = []
    with Daemon(bench, 0) as d:
        for n in range(count):
            d.write(f"{n}.png", os.urandom(50000))
            closed = time.monotonic()
            d.wait_for(f"{n}.png")
            waits.append(int((time.monotonic() - closed) * 1e6))
    waits.sort()
    return {"p50": int(statistics.median(waits)), "p99": waits[len(waits) * 99 // 100]}


def idle(bench, seconds):
    """From when the connection is closed too, 20 s after the last request: that is the end of the work before."""
    with Daemon(bench, 0.2, 10) as d:
        time.sleep(min(23, seconds))
        before, used = wakeups(d.pid), cpu(d.pid)
        time.sleep(seconds)
        return {"wakeups": wakeups(d.pid) - before, "cpu": cpu(d.pid) - used, "rss": memory(d.pid)}


def watched(bench, count):
    """From its start to the first object."""
    start = time.monotonic()
    with Daemon(bench, 0, count) as d:
        return {"wall": int((time.monotonic() - start) * 1e6), "cpu": cpu(d.pid), "rss": memory(d.pid)}
