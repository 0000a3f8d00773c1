#!/usr/bin/env python3
"""Every call to the system, and every one for memory, fails: failures.py [--full] [-j N] [SCENARIO…]
Each scenario is one command of build/asan/r2-fail (fail_calls.c) against r2emu. A first run tells its call sites, each with its whole chain of
callers; then there is a run for each of them in which that call fails. Whatever it is: no crash, no leak, no hang; status 0 only when all is as
asked for; else a message; nothing lost, nothing half under a final name.
Without --full each place in the sources fails once, in one of the scenarios that come there, once for a moment and once for good; with it each
chain of callers with each error, the first time, the second and the last."""
import collections, concurrent.futures, errno, os, pathlib, re, resource, shutil, signal, subprocess, sys, tempfile, threading, time, urllib.request

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent / "bench"))
from store import Store

PROGRAM = os.path.realpath(TESTS.parent / "build/asan/r2-fail")
LIMIT_S = 60
MIB = 1 << 20
SHORT, EOF = 0, -1       # fail_calls.c

# What can befall a call; the first is what a short run takes.
ERRORS = collections.defaultdict(lambda: ["EIO"], {
    name: errors.split() for names, errors in {
        "malloc calloc realloc strdup": "ENOMEM",
        "open openat": "EACCES EMFILE EIO ENOSPC EINTR ELOOP",
        "opendir": "EMFILE EACCES ENOMEM",
        "readdir": "EIO",
        "realpath getcwd readlink": "EACCES ENOENT",
        "read pread": "EIO EINTR SHORT EOF",
        "write pwrite": "ENOSPC EIO EDQUOT EINTR SHORT",
        "recv": "ECONNRESET EINTR SHORT EOF ETIMEDOUT",
        "send sendto": "EPIPE ECONNRESET EINTR SHORT ENOBUFS",
        "connect": "ECONNREFUSED EHOSTUNREACH EINTR EACCES ETIMEDOUT",
        "socket": "EMFILE ENOBUFS EAFNOSUPPORT EACCES",
        "poll": "EINTR",
        "fsync fdatasync": "EIO ENOSPC EDQUOT EINTR",
        "rename renameat": "EACCES EIO ENOSPC EXDEV",
        "unlink unlinkat": "EACCES EIO ENOENT",
        "linkat": "EPERM EIO",
        "mkdir mkdirat": "EACCES ENOSPC EROFS",
        "ftruncate": "EIO ENOSPC EINTR",
        "fallocate": "ENOSPC EOPNOTSUPP EINTR EIO",
        "flock": "EWOULDBLOCK ENOLCK EINTR",
        "fcntl": "EMFILE EAGAIN ENOLCK EINVAL",
        "fstat stat lstat fstatat access": "EIO EACCES ENOENT",
        "fstatfs": "EIO",
        "mmap": "ENOMEM",
        "getrandom": "ENOSYS EINTR",
        "syscall": "ENOSYS EIO EEXIST",
        "pthread_create": "EAGAIN",
        "pthread_mutex_init pthread_cond_init": "ENOMEM",
        "inotify_init1": "EMFILE ENOSYS",
        "inotify_add_watch": "ENOSPC ENOENT EACCES ENOMEM",
        "inotify_rm_watch": "EINVAL",
        "_Fork": "EAGAIN",
        "eventfd signalfd pipe2 accept4": "EMFILE",
        "bind listen": "EADDRINUSE EACCES",
        "chdir fchdir": "EACCES",
        "close": "EIO EINTR",
        "futimens": "EPERM EIO",
        "ioctl": "ENOTTY",
        "setsockopt getsockopt": "ENOPROTOOPT",
    }.items() for name in names.split()
})
# These pass: nothing would ever go on if they did not.
PASSING = {"EINTR", "SHORT", "EWOULDBLOCK", "EAGAIN"}
# What says that there is no such file, which is no failure of a program that looks whether there is one.
GONE = {"ENOENT", "ELOOP", "EOF"}


def number(error):
    return {"SHORT": SHORT, "EOF": EOF}.get(error) if error in ("SHORT", "EOF") else getattr(errno, error)


class Plain(Store):
    def get(self, key):
        """The object's bytes, or None."""
        try:
            return self.request("GET", key).read()
        except OSError as e:
            if ": 404 " in str(e):
                return None
            raise

    def put(self, key, data):
        self.request("PUT", key, body=data).read()


def server_env():
    lines = (pathlib.Path(os.environ["R2_TEST_SERVER_DIR"]) / "env").read_text().splitlines()
    values = {k: v.strip('"') for k, v in (line.split("=", 1) for line in lines)}
    kept = {k: values[k] for k in ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_BUCKET", "R2_CA_FILE")}
    return kept | {"R2_ENDPOINT": values["R2_HTTP_ENDPOINT"]}


class Run:
    """A run of a scenario: a directory, keys below a prefix, and how it ended."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="r2-fail-", dir=WORK))
        self.prefix = f"fail/{self.dir.name[-8:]}"
        self.call = self.error = self.everywhere = None
        self.store = STORE
        self.command = [PROGRAM]

    def file(self, name, data):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def go(self, fail):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR")} | ENV | fail
        env |= {"XDG_STATE_HOME": str(self.dir / "state"), "HOME": str(self.dir), "TZ": "UTC", "R2_PREFIX": self.prefix,
                "ASAN_OPTIONS": "exitcode=99:allocator_may_return_null=1:detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": "print_stacktrace=1"}
        applet, *args = [os.fspath(a) for a in self.scenario.args(self)]
        # Where nothing fails, nothing but a busy machine takes long.
        args = [*self.command, applet, "--timeout", "2" if self.call else "30", "--retries", "3", *args]
        given = self.scenario.input
        # Its own session: what it started ends with it.
        process = subprocess.Popen(args, stdin=subprocess.PIPE if given else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.dir, env=env, start_new_session=True)
        self.hung = False
        try:
            self.out, self.err = process.communicate(given, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.hung = True
            os.killpg(process.pid, signal.SIGABRT)
            self.out, self.err = process.communicate()
        self.status = process.returncode
        self.text = (self.err + (self.out if self.scenario.logs_on_stdout else b"")).decode(errors="replace")

    def complaints(self):
        """What is not as it has to be."""
        said = [line for line in self.text.splitlines() if line.strip()]
        if self.hung:
            if not self.scenario.may_wait or not re.search("waiting for it|tries again every second", self.text):
                yield "it hangs"
            return
        if "Sanitizer" in self.text or "runtime error:" in self.text:
            yield "a sanitizer speaks"
        elif self.status not in (0, 1, 2, *self.scenario.other):
            yield f"status {self.status}"
        if self.status and not said:
            yield "no message"
        elif self.status and not re.search(self.scenario.names, self.text):
            yield "the message names nothing"
        yield from self.scenario.check(self, self.status == 0)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def noise(n, seed):
    block = bytes((i * 167 + seed * 31 + (i >> 8) * 13) & 255 for i in range(65536))
    return (block * (n // len(block) + 1))[:n - 1] + bytes([seed & 255])


SMALL, OTHER, LARGE = noise(100_001, 1), noise(3_001, 2), noise(11 * MIB + 5, 3)


class Scenario:
    input = None
    logs_on_stdout = may_wait = False
    every_chain = ()         # calls that fail once for each chain of callers, not only each place
    other = ()               # statuses besides 0, 1, 2
    names = r"ERROR - (\.|in|out):|Left out: in/|a\.bin|b\.bin|big\.bin|fail/|127\.0\.0\.1|memory|state|ledger|journal|random|thread|standard|descriptor|poll|socket"

    def prepare(self, run):
        pass

    def check(self, run, fine):
        """Complaints; fine: it says that all was done."""
        return ()

    def order(self, log):
        """What has to come before what, in a run without any failure."""

    @property
    def name(self):
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()


def object_is(run, key, data, fine, what="the object"):
    got = run.store.get(f"{run.prefix}/{key}")
    if got is None and fine:
        yield f"status 0, but {what} is not there"
    elif got is not None and got != data:
        yield f"{what} has other bytes ({len(got)} for {len(data)})"


def file_is(run, name, data, fine):
    path = run.dir / name
    if not path.exists():
        if fine:
            yield f"status 0, but {name} is not there"
    elif path.read_bytes() != data:
        yield f"{name} is not the object ({path.stat().st_size} bytes for {len(data)})"


def kept(run, name, data):
    path = run.dir / name
    if not path.exists() or path.read_bytes() != data:
        yield f"{name} is lost"


class Upload(Scenario):
    def prepare(self, run):
        run.file("a.bin", SMALL)
        run.file("b.bin", OTHER)

    def args(self, run):
        return ["upload", "--no-date", "-j", "2", "a.bin", "b.bin"]

    def check(self, run, fine):
        for name, data in (("a.bin", SMALL), ("b.bin", OTHER)):
            yield from object_is(run, name, data, fine)
            yield from kept(run, name, data)


class UploadMove(Upload):
    def args(self, run):
        return ["upload", "--no-date", "--move", "a.bin", "b.bin"]

    def check(self, run, fine):
        for name, data in (("a.bin", SMALL), ("b.bin", OTHER)):
            there = (run.dir / name).exists()
            yield from object_is(run, name, data, fine or not there)
            if there:
                yield from kept(run, name, data)
            if there and fine:
                yield f"status 0, but {name} is still there"


class UploadTree(Upload):
    def prepare(self, run):
        run.file("in/x/a.bin", SMALL)
        run.file("in/b.bin", OTHER)

    def args(self, run):
        return ["upload", "--no-date", "-r", "--if-exists", "rename", "in"]

    def check(self, run, fine):
        for name, data in (("x/a.bin", SMALL), ("b.bin", OTHER)):
            yield from object_is(run, name, data, fine and run.error not in GONE)


class UploadParts(Scenario):
    def prepare(self, run):
        run.file("big.bin", LARGE)

    def args(self, run):
        return ["upload", "--no-date", "-j", "2", "--part-size", "5M", "--multipart-threshold", "5M", "big.bin"]

    def check(self, run, fine):
        yield from object_is(run, "big.bin", LARGE, fine)


class UploadInput(Scenario):
    input = SMALL

    def args(self, run):
        return ["upload", "--key", f"{run.prefix}/a.bin", "-"]

    def check(self, run, fine):
        if run.error != "EOF":           # of standard input: that is how much there is
            yield from object_is(run, "a.bin", SMALL, fine)


class UploadInputParts(Scenario):
    input = LARGE

    def args(self, run):
        return ["upload", "-j", "2", "--part-size", "5M", "--multipart-threshold", "5M", "--key", f"{run.prefix}/big.bin", "-"]

    def check(self, run, fine):
        if run.error != "EOF":
            yield from object_is(run, "big.bin", LARGE, fine)


class Get(Scenario):
    def args(self, run):
        return ["get", "fail/-/a.bin", "out/a.bin"]

    def prepare(self, run):
        run.file("out/a.bin", OTHER)    # an older one, which is either replaced or left

    def check(self, run, fine):
        path = run.dir / "out/a.bin"
        if not fine and path.exists() and path.read_bytes() == OTHER:
            return
        if not path.exists():
            yield "what stood there is lost"
        yield from file_is(run, "out/a.bin", SMALL, fine)
        if fine and run.call == "fstat" and (left := list(path.parent.glob(".*"))):
            yield f"status 0, but {left[0].name} is left"


class GetRanges(Scenario):
    def args(self, run):
        return ["get", "-j", "2", "--part-size", "5M", "fail/-/big.bin", "big.bin"]

    def check(self, run, fine):
        yield from file_is(run, "big.bin", LARGE, fine)


class GetTree(Scenario):
    def args(self, run):
        return ["get", "-r", "--if-exists", "fail", "fail/-/tree/", "out"]

    def check(self, run, fine):
        yield from file_is(run, "out/x/a.bin", SMALL, fine)
        yield from file_is(run, "out/b.bin", OTHER, fine)


class GetOutput(Scenario):
    def args(self, run):
        return ["get", "-j", "2", "fail/-/big.bin", "-"]

    def check(self, run, fine):
        if fine and run.out != LARGE:
            yield "status 0, but what was written is not the object"


class Ls(Scenario):
    def args(self, run):
        return ["ls", "-r", "--summary", "fail/-/"]

    def check(self, run, fine):
        if fine and not (b"tree/x/a.bin" in run.out and b"big.bin" in run.out and b"Total Objects: 4" in run.out):
            yield "status 0, but the listing is not whole"


class LsDates(Ls):
    def args(self, run):
        return ["ls", "--by-date", "--cost", "dated/"]

    def check(self, run, fine):
        if fine and not (b"2020-01-01" in run.out and b"2020-01-02" in run.out):
            yield "status 0, but the listing is not whole"


class LsUploads(Ls):
    def args(self, run):
        return ["ls", "--uploads"]

    def check(self, run, fine):
        if fine and b"fail-unfinished" not in run.out:
            yield "status 0, but the listing is not whole"


class Cleanup(Scenario):
    names = r"fail/|127\.0\.0\.1|memory|random|thread|descriptor|poll|socket|standard|deleted"
    OLD, YOUNG = ("2020-01-01/a", "2020-01-02/b"), ("2999-01-01/c", "other/d")

    def prepare(self, run):
        for name in self.OLD + self.YOUNG:
            run.store.put(f"{run.prefix}/{name}", b"x")

    def args(self, run):
        return ["cleanup", "--days", "30"]

    def check(self, run, fine):
        left = {k.removeprefix(run.prefix + "/") for k in run.store.list(run.prefix + "/")}
        if not left >= set(self.YOUNG):
            yield "what is young was deleted"
        if fine and left & set(self.OLD):
            yield "status 0, but old ones are left"
        said = re.search(rb"Deleted (\d+) files", run.out)
        if said and int(said[1]) > len(set(self.OLD) - left):
            yield "it counts more deleted than are"


class Sync(Scenario):
    logs_on_stdout = True
    data = {"a.png": SMALL, "x/b.png": OTHER}
    names = r"working directory|a\.png|b\.png|fail/|/in|127\.0\.0\.1|memory|state|ledger|random|thread|descriptor|poll|socket"
    more = []

    def prepare(self, run):
        for name, data in self.data.items():
            run.file(f"in/{name}", data)

    def args(self, run):
        return ["sync", "--once", "--settle", "0.02", "--log", "-", "--drain", "1", *self.more, "in"]

    def check(self, run, fine):
        found = {k.split("/", 3)[3]: k.removeprefix(run.prefix + "/") for k in run.store.list(run.prefix + "/")}
        for name, data in self.data.items():
            path = run.dir / "in" / name
            hidden = list(path.parent.glob(".r2-*"))
            there = path.exists() or any(h.read_bytes() == data for h in hidden if h.is_file())
            if name in found:
                yield from object_is(run, found[name], data, True)
            elif fine and run.error not in GONE:
                yield f"status 0, but {name} is not in the bucket"
            elif not there:
                yield f"{name} is lost"
            if there and path.exists() and path.read_bytes() != data:
                yield f"{name} has changed"
            if not self.more and not path.exists():
                yield f"{name} was removed"


def every(call):
    """All its sites, as fail_calls.c has it."""
    h = 0xCBF29CE484222325
    for byte in call.encode():
        h = (h ^ byte) * 0x100000001B3 & (1 << 64) - 1
    site = Site(f"{h:016x} {call}")
    site.count = 1
    return site


class SyncDelete(Sync):
    more = ["--delete-after"]

    def order(self, log):
        """What is removed is remembered by then, on the disk."""
        calls = [line.split()[1] for line in log.read_text().splitlines()]
        removed = calls.index("renameat")
        before = [c for c in calls[:removed] if c in ("pwrite", "fdatasync")]
        if before[-1] != "fdatasync" or "pwrite" not in before:
            raise SystemExit(f"{self.name}: a file was removed before the ledger was synced: {before}")

    def check(self, run, fine):
        yield from super().check(run, fine)
        if run.everywhere == "fdatasync" and not all((run.dir / "in" / name).exists() for name in self.data):
            yield "removed although the ledger could not be synced"


class SyncRewritten(Sync):
    """A file that an earlier run has uploaded: its own object is the one that is replaced, whatever failed in between."""
    NEW = noise(70_001, 4)
    every_chain = ("pread",)

    def prepare(self, run):
        super().prepare(run)
        run.go({})
        run.file("in/a.png", self.NEW)

    def check(self, run, fine):
        found = {k.split("/", 3)[3]: k for k in run.store.list(run.prefix + "/")}
        if run.error in GONE:
            return
        if found.keys() != self.data.keys():
            yield f"the bucket has {', '.join(sorted(found))}"
        elif run.store.get(found["a.png"]) not in ([self.NEW] if fine else [self.NEW, SMALL]):
            yield "status 0, but the object is the old one" if fine else "the object is neither"


class SyncCommand(Sync):
    """The daemon, while a program writes. It waits for a directory that is away, and for descriptors."""
    may_wait = True
    other = (126,)

    def prepare(self, run):
        super().prepare(run)
        run.file("new.png", b"new")

    def args(self, run):
        return [*super().args(run)[:1], *super().args(run)[2:], "--", "cp", "new.png", "in/x/c.png"]

    def check(self, run, fine):
        yield from super().check(run, fine)
        if fine and run.error not in GONE:
            found = [k for k in run.store.list(run.prefix + "/") if k.endswith("/x/c.png")]
            if not found:
                yield "status 0, but what the command wrote is not in the bucket"


# The quick ones first: a short run tries a place where it comes by first.
SCENARIOS = [Ls, LsDates, LsUploads, UploadMove, UploadInput, UploadTree, Upload, Get, GetTree, Cleanup, SyncDelete, SyncRewritten, SyncCommand, Sync, GetRanges,
             GetOutput, UploadParts, UploadInputParts]


# What the kernel cannot refuse: a descriptor of signals or events, a pipe of which both ends are ours.
SURE = {("read", "read_signals"), ("read", "wait_for_news"), ("read", "run_command")}


class Site:
    """A call, with the chain of those who called; how often it is made in a run."""

    def __init__(self, line):
        self.hash, self.call, *self.chain = line.split()
        self.count = 0

    def sure(self):
        return self.call == "read" and (self.call, self.where().split()[0]) in SURE

    def where(self):
        if not self.chain:
            return "all places"
        out = subprocess.run(["addr2line", "-e", PROGRAM, "-f", "-s", "-p", *self.chain], capture_output=True, text=True, check=True).stdout
        return " < ".join(re.sub(r" at | \(discriminator \d+\)", " ", line) for line in out.splitlines())


def sites(scenario):
    """Of a run without any failure."""
    run = Run(scenario)
    try:
        log = run.dir / "calls"
        scenario.prepare(run)
        run.go({"FAIL_LOG": str(log)})
        wrong = list(run.complaints()) + ([f"status {run.status}"] if run.status else [])
        if wrong:
            raise SystemExit(f"{scenario.name}: without any failure: {', '.join(wrong)}\n{run.text[-6000:]}")
        found = {}
        for line in log.read_text().splitlines():
            site = found.setdefault(line.split()[0], Site(line))
            site.count += 1
        scenario.order(log)
        return [site for site in found.values() if not site.sure()]
    finally:
        run.close()


def plans(found, full, seen, every_chain):
    """(site, which call, how many, which error)."""
    for site in found:
        errors = ERRORS[site.call]
        if full:
            for error in errors:
                for when in sorted({1, 2, site.count} & set(range(1, site.count + 1))):
                    yield site, when, 1, error
                if error not in PASSING:
                    yield site, 1, 0, error
            continue
        place = (site.call, *site.chain[:None if site.call in every_chain else 2])
        if place in seen:
            continue
        seen.add(place)
        yield site, 1, 1, errors[-1]
        for error in errors[:1]:
            if error not in PASSING:
                yield site, 1, 0, error


def one(scenario, plan):
    """What is wrong with that run, as text; None when nothing is."""
    site, when, times, error = plan
    run = Run(scenario)
    try:
        scenario.prepare(run)
        begun = time.monotonic()
        run.call, run.error, run.everywhere = site.call, error, None if site.chain else site.call
        run.go({"FAIL_SITE": site.hash, "FAIL_WHEN": str(when), "FAIL_TIMES": str(times), "FAIL_ERRNO": str(number(error))})
        took = time.monotonic() - begun
        wrong = list(run.complaints())
        if VERBOSE:
            print(f"{scenario.name} {site.call} {when}/{site.count} {times} {error} {took:.2f}s -> {run.status} "
                  f"{[x for x in run.text.splitlines() if x][-1:]}", flush=True)
        if not wrong:
            return None
        how = f"call {when} of {site.count}" + ("" if times else " and all after it")
        tail = "\n".join("    " + line for line in run.text[-int(os.environ.get("TAIL", 2500)):].splitlines())
        return f"{site.call} fails with {error}, {how}: {'; '.join(wrong)} (status {run.status})\n    at {site.where()}\n{tail}"
    finally:
        run.close()


def failures_of(scenario, full, seen=set()):
    todo = list(plans(sites(scenario), full, seen, scenario.every_chain))
    return todo + [(every(call), 1, 0, ERRORS[call][0]) for call in ("fdatasync", "pwrite", "malloc", "calloc", "open", "socket")]


def run_all(failures_of, one):
    """The scenarios that the command line names, each with all that failures_of(scenario, full) says, one(scenario, it) for one; the exit status."""
    global WORK, ENV, STORE, VERBOSE
    args, jobs = sys.argv[1:], 6      # most of the time they wait
    full, VERBOSE = "--full" in args, "-v" in args
    args = [a for a in args if a not in ("--full", "-v")]
    if "-j" in args:
        at = args.index("-j")
        jobs = int(args[at + 1])
        del args[at:at + 2]
    if unknown := set(args) - {s().name for s in SCENARIOS}:
        sys.exit(f"no such scenario: {' '.join(sorted(unknown))}")
    ENV = server_env()
    STORE = Plain(ENV)
    urllib.request.urlopen(ENV["R2_ENDPOINT"] + "/-/set", b"rate 0").close()    # what was uploaded is uploaded again at once
    failed = 0
    for key, data in {"a.bin": SMALL, "big.bin": LARGE, "tree/x/a.bin": SMALL, "tree/b.bin": OTHER}.items():
        STORE.put("fail/-/" + key, data)
    for day in ("2020-01-01", "2020-01-02"):
        STORE.put(f"dated/{day}/x", b"x")
    STORE.request("POST", "fail-unfinished", {"uploads": ""}).read()
    with tempfile.TemporaryDirectory(prefix="r2-failures-") as WORK, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for scenario in (s() for s in SCENARIOS):
            if args and scenario.name not in args:
                continue
            begun = time.monotonic()
            todo = failures_of(scenario, full)
            wrong = [w for w in pool.map(lambda p: one(scenario, p), todo) if w]
            print(f"{'not ok' if wrong else 'ok'} - {scenario.name}: {len(todo)} failures" + (f", {len(wrong)} of them badly" if wrong else ""))
            for w in wrong:
                print("  " + w)
            print(f"# {scenario.name}: {time.monotonic() - begun:.1f} s", flush=True)
            failed += len(wrong)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"# {used.ru_utime + used.ru_stime:.0f} s of processors")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_all(failures_of, one))
