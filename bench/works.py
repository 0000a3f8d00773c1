"""What is done, and where; each knows how to make ready, what to ask of a tool, and whether that was done."""
import contextlib
import hashlib
import os
import shutil

import sync

MB = 1 << 20
DATE = "2020-01-01"      # below which lies what is listed and deleted; the sink has it too


def size_text(size):
    for unit, of in (("GiB", 1 << 30), ("MiB", MB), ("KiB", 1 << 10)):
        if size >= of:
            return f"{size / of:.4g} {unit}"
    return f"{size} B"


def write_random(path, size):
    with open(path, "wb") as f:
        for at in range(0, size, MB):
            f.write(os.urandom(min(MB, size - at)))


def read_through(path):
    with open(path, "rb", buffering=0) as f:
        while f.read(MB):
            pass


def digest(path, how):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, how).hexdigest()


def tree(path):
    return {name: digest(os.path.join(path, name), "sha256") for name in os.listdir(path)}


class Work:
    """One row at one place. kind is the word in peers.TOOLS. series and x: a point of a growth line, r2's alone."""
    repeat = 1
    rounds = 99

    def __init__(self, group, name, kind, place, count=1, size=0, **more):
        self.group, self.name, self.kind, self.place, self.count, self.size = group, name, kind, place, count, size
        self.series, self.x, self.options = more.get("series"), more.get("x"), more.get("options", [])
        self.only = ["r2"] if self.series else more.get("only")
        self.rounds = more.get("rounds", 2 if self.series else self.rounds)
        self.repeat = more.get("repeat", self.repeat)

    # ---- before ----

    def prepare(self, bench):
        """The local files, and for works that read, the objects: put there by r2, which must be able to."""
        self.key = None
        if self.kind in ("put", "config", "tree", "tree8") or (self.place == "minio" and self.kind != "start"):
            self.make_files(bench)
        if self.kind == "get":
            self.key = f"pattern/{self.size}" if bench.server.kind == "sink" else f"source-{self.size}"
        elif self.kind == "fetch":
            self.key = f"tree-{self.count}-{self.size}"
        elif self.kind in ("list", "delete"):
            self.key = f"list-{self.count}"
        if bench.server.kind != "sink" and self.kind in ("get", "fetch", "list"):
            self.fill(bench)

    def make_files(self, bench):
        if self.count > 1:
            self.path = os.path.join(bench.files, f"tree-{self.count}-{self.size}")
            os.makedirs(self.path, exist_ok=True)
            names = [os.path.join(self.path, f"{n // 500:03}-{n:06}.png") for n in range(self.count)]
        else:
            self.path = os.path.join(bench.files, f"file-{self.size}")
            names = [self.path]
        for name in names:
            if not os.path.exists(name) or os.path.getsize(name) != self.size:
                write_random(name, self.size)
        self.first = names[0]

    def fill(self, bench):
        r2 = bench.tools["r2"].program
        if self.kind == "get":
            bench.call([r2, "upload", "-q", "--key", self.key, self.path])
        else:
            date = ["--no-date"] if self.kind == "fetch" else ["--date", DATE]
            bench.call([r2, "upload", "-q", "-r", *date, "--prefix", self.key, self.path])

    def clear(self, bench):
        """Before each run: room in the server, whoever has filled it; and what is sent is in the page cache, from where r2 drops large files."""
        if self.kind == "put":
            read_through(self.path)
        if bench.server.kind != "sink":
            if self.kind in ("put", "tree", "tree8"):
                bench.store.clear("")
                bench.server.empty_trash()
            elif self.kind == "delete":
                self.fill(bench)
        with contextlib.suppress(FileNotFoundError):
            (shutil.rmtree if os.path.isdir(bench.scratch) else os.unlink)(bench.scratch)

    # ---- the work ----

    def command(self, tool, bench):
        """Each run puts elsewhere, so that no tool finds its work done."""
        bench.runs += 1
        self.there = f"{tool.name}/{bench.runs}"
        key = self.key or self.there
        path = bench.scratch if self.kind in ("get", "fetch") else getattr(self, "path", "")
        env = bench.server.env
        words = tool.command(self.kind, key=key, path=path, first=getattr(self, "first", ""), count=self.count,
                             get="get8" if self.size > 100 * MB else "get", ca=env["R2_CA_FILE"],
                             address=env["R2_ENDPOINT"].split("//")[1], url=f"{env['R2_ENDPOINT']}/{env['R2_BUCKET']}")
        if words and tool.name == "limit" and bench.server.kind != "sink":
            return None
        return words and words[:2] + self.options + words[2:]

    def measure(self, tool, bench, command):
        return bench.measure(command)

    # ---- after ----

    def checked_always(self, bench):
        """What the sink counts costs nothing to look at; all else is looked at once a tool."""
        return bench.server.kind == "sink" and self.kind in ("put", "tree", "tree8", "delete")

    def check(self, tool, bench, sample):
        """Raises OSError when what should be there is not: nobody wins by failing. The sink only counts."""
        there, right = self.there, True
        if self.kind in ("put", "tree", "tree8"):
            if "puts" in sample:
                right = sample["bodies"] >= self.count * self.size and sample["puts"] >= self.count
            elif self.kind == "put":
                right = bench.store.digest(there, "sha256") == digest(self.path, "sha256")
            elif tool.name != "curl":
                right = bench.store.list(there + "/") == {
                    f"{there}/{name}": (self.size, digest(os.path.join(self.path, name), "md5")) for name in os.listdir(self.path)}
        elif self.kind == "get":
            found = digest(bench.scratch, "sha256")
            right = os.path.getsize(bench.scratch) == self.size and bench.expected.setdefault((self.place, self.size), found) == found
        elif self.kind == "fetch":
            right = tree(bench.scratch) == tree(self.path)
        elif self.kind == "list" and tool.name != "limit":
            with open(bench.output, "rb") as f:
                right = sum(b".png" in line for line in f) == self.count
        elif self.kind == "delete" and bench.server.kind != "sink":
            right = not bench.store.list(self.key + "/")
        elif self.kind == "delete":
            right = sample["posts"] * 1000 + sample["deletes"] >= self.count
        if not right:
            raise OSError("wrong result")


class SyncWork(Work):
    """What sync.py measures: r2 alone has a daemon."""

    def __init__(self, name, measure, rounds=99, **more):
        super().__init__("sync", name, "sync", "sink", only=["r2"], rounds=rounds, **more)
        self.ask = measure

    def command(self, tool, bench):
        return [tool.program]

    def measure(self, tool, bench, command):
        return self.ask(bench)

    def check(self, tool, bench, sample):
        pass


def growth(scale):
    """Lines that should be straight: r2 alone, against the sink, two rounds each."""
    steps = lambda *numbers: sorted({scale(n) for n in numbers})
    rows = [Work("growth", f"{n:,} × 4 KiB up", "tree", "sink", n, 4096, series="files up", x=n) for n in steps(1000, 3000, 10000)]
    sizes = steps(16 * MB, 64 * MB, 256 * MB, 1024 * MB)
    rows += [Work("growth", f"{size_text(s)} {way}", kind, "sink", 1, s, series=f"bytes {way}", x=s)
             for kind, way in (("put", "up"), ("get", "get")) for s in sizes]
    rows += [Work("growth", f"{scale(2000):,} × 64 KiB up, -j {j}", "tree", "sink", scale(2000), 65536, series="-j", x=j, options=["-j", str(j)])
             for j in (1, 2, 4, 8, 16, 32)]
    rows += [Work("growth", f"{n:,} listed", "list", "sink", n, series="objects listed", x=n) for n in steps(10000, 30000, 100000)]
    rows += [SyncWork(f"{n:,} directories watched", lambda bench, n=n: sync.watched(bench, n), rounds=2, series="directories watched", x=n)
             for n in steps(100, 1000, 10000)]
    for row in rows:
        row.group = "growth"      # sync's too
    return rows


def works(big, scale):
    """Every row in the order they are done. scale makes counts and sizes smaller, for the test of all this."""
    s512, s4g, many, small = scale(512 * MB), scale(4096 * MB), scale(2000), 64 << 10
    far, listed, one = (many if big else scale(500)), scale(100000), scale(2569011)
    one_file, minute = f"one file, {one / MB:.3g} MB up", 60 if many == 2000 else 1
    both = ("sink", "minio")
    rows = [Work("start", "start-up, --version", "start", "sink", repeat=5), Work("start", "start-up, configuration read", "config", "sink", size=one, repeat=5)]
    for place in both:
        rows += [
            Work("file", one_file, "put", place, 1, one, repeat=3),
            Work("up", f"{size_text(s512)} up", "put", place, 1, s512),
            Work("get", f"{size_text(s512)} get", "get", place, 1, s512),
            Work("small", f"{many:,} × 64 KiB up", "tree", place, many, small)]
    rows += [Work("get", f"{scale(40)} × {size_text(scale(20 * MB))} get", "fetch", "minio", scale(40), scale(20 * MB))]
    rows += [Work("list", f"list {listed:,}", "list", "sink", listed), Work("list", f"list {scale(10000):,}", "list", "minio", scale(10000), 100)]
    deleted = listed if big else scale(10000)
    rows += [Work("delete", f"delete {deleted:,}", "delete", "sink", deleted), Work("delete", f"delete {many:,}", "delete", "minio", many, 100)]
    if big:
        rows += [Work("big", f"{size_text(s4g)} {way}", kind, place, 1, s4g, rounds=3)
                 for place in both for kind, way in (("put", "up"), ("get", "get"))]
        rows += [Work("big", f"list {listed:,}", "list", "minio", listed, 100, rounds=3)]
    for place in ("far 40 ms", "far 150 ms"):
        rows += [
            Work("far", one_file, "put", place, 1, one),
            Work("far", f"{size_text(scale(64 * MB))} up", "put", place, 1, scale(64 * MB), rounds=3),
            Work("far", f"{size_text(scale(64 * MB))} get", "get", place, 1, scale(64 * MB), rounds=3),
            Work("far", f"{far:,} × 64 KiB up, 8 at once", "tree8", place, far, small, rounds=3)]
    rows += [SyncWork(f"sync: burst of {many:,} × 4 KiB", lambda bench: sync.burst(bench, many, 4096)),
             SyncWork("sync: from close to object", lambda bench: sync.latency(bench, scale(200)), rounds=1),
             SyncWork(f"sync: idle for {'a minute' if minute == 60 else '1 s'}", lambda bench: sync.idle(bench, minute), rounds=1)]
    return rows + growth(scale)
