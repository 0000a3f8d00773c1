"""What the tests of r2 sync stand on: the bucket as it is, the directory as it is, the daemon in between, and a runner of cases.
A case is a function that takes a Scene; a module of cases ends with main(). Each says `ok - what` or `not ok - what` as tests/lib.sh does.
Environment: R2 (the program), R2_TEST_SERVER_DIR (a running server of tests/server)."""
import concurrent.futures, contextlib, hashlib, json, os, pathlib, random, re, shlex, shutil, signal, socket, subprocess, sys, tempfile, threading, time
import traceback, urllib.parse, xml.etree.ElementTree as xml

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent / "bench"))
from store import Store

R2 = os.path.realpath(os.environ.get("R2", TESTS.parent / "r2"))
PICTURES = (b".png", b".jpg", b".jpeg", b".webp", b".mp4", b".webm", b".gif", b".wav", b".mp3", b".flac")
KEYS = ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_CA_FILE", "R2_BUCKET", "R2_ENDPOINT")
SOAK = False             # the counted cases in full


def server_env():
    lines = (pathlib.Path(os.environ["R2_TEST_SERVER_DIR"]) / "env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines)
    return {name: values[name].strip('"') for name in KEYS}


def clean_env():
    """What a daemon starts with, and nothing from outside."""
    env = {k: v for k, v in os.environ.items() if not re.match(r"(R2|AWS|XDG)_|SSL_CERT_FILE|(?i:https?|no)_proxy$|TZ$", k)}
    return env | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | server_env()


class Bucket(Store):
    def keys(self, prefix):
        """[(key as bytes, size, ETag)]: names as they are, whatever XML can say of them."""
        found, token = [], None
        while True:
            query = {"encoding-type": "url", "list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
            page = xml.fromstring(self.request("GET", "", query).read())
            for row in page.iterfind("{*}Contents"):
                key = urllib.parse.unquote_to_bytes(row.findtext("{*}Key"))
                found.append((key, int(row.findtext("{*}Size")), row.findtext("{*}ETag").strip('"')))
            token = page.findtext("{*}NextContinuationToken")
            if not token:
                return found


class Failed(Exception):
    pass


def wait(what, condition, limit=120, every=0.05):
    """What condition() gives, once that is true."""
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"not within {limit} s: {what}")
        time.sleep(every)
    return value


class Proxy:
    """tests/faultproxy.py before the server; cert: the files of its certificate and key."""

    def __init__(self, env, *cert):
        host = urllib.parse.urlsplit(env["R2_ENDPOINT"]).netloc
        self.process = subprocess.Popen([sys.executable, TESTS / "faultproxy.py", host, *cert], stdout=subprocess.PIPE, text=True)
        port, self.control = self.process.stdout.readline().split()
        self.endpoint = f"https://127.0.0.1:{port}"

    def __call__(self, *words):
        with socket.create_connection(("127.0.0.1", int(self.control))) as s:
            s.sendall((" ".join(map(str, words)) + "\n").encode())
            return s.recv(4096).decode().strip()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Daemon:
    """One r2 sync. under: words before the program, as of setpriv."""

    def __init__(self, scene, *args, directory=None, env=None, under=(), command=(), settle="0.2", log="-", pass_fds=()):
        self.scene, self.path = scene, scene.dir / f"log-{len(scene.daemons)}"
        self.out = open(self.path, "ab")
        seldom = [] if {"--poll", "--rescan"} & {*args} else ["--rescan", "3600"]
        words = [*under, R2, "sync", *seldom, *(["--settle", settle] if settle else []), *(["--log", log] if log else []), *args,
                 scene.root if directory is None else directory, *(["--", *command] if command else [])]
        self.process = subprocess.Popen([os.fspath(w) for w in words], stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT, pass_fds=pass_fds,
                                        env={k: v for k, v in (scene.env | (env or {})).items() if v is not None}, cwd=scene.dir)
        self.out.close()
        scene.daemons.append(self)

    def log(self):
        return self.path.read_bytes()

    def says(self, text, limit=120):
        """Wait for a text in the log."""
        wait(f"the log says {text!r}", lambda: text.encode() in self.log() or (self.process.poll() is not None and self.died(text)), limit)

    def died(self, text):
        if text.encode() in self.log():
            return True
        raise Failed(f"it ended with {self.process.returncode} before it said {text!r}")

    def running(self):
        return self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def end(self, limit=120):
        """The exit status, as a shell has it."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"it did not end within {limit} s") from None
        return 128 - status if status < 0 else status

    def stop(self, number=signal.SIGTERM, limit=120):
        if self.running():
            self.send(number)
        return self.end(limit)

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()


class Scene:
    """One case: its directory, its keys, its daemons."""

    def __init__(self, name):
        self.name, self.lines, self.failed, self.daemons, self.closers = name, [], 0, [], []
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="r2-sync-"))
        self.dir.chmod(0o755)
        self.root = self.dir / "output"
        self.root.mkdir()
        self.prefix = f"sync-{name}-{os.getpid()}"
        self.env = clean_env() | {"R2_PREFIX": self.prefix}
        self.bucket = Bucket(self.env)
        self.known = {}                          # (path, size, time, inode) → MD5; (key, ETag) → MD5
        self.random = random.Random(name)

    def check(self, what, fine, *why):
        self.lines.append(f"{'ok' if fine else 'not ok'} - {self.name}: {what}")
        if not fine:
            self.failed += 1
            self.lines += [f"    {line}" for w in why for line in str(w).splitlines()[-60:]]
        return fine

    def daemon(self, *args, **more):
        return Daemon(self, *args, **more)

    def ask(self, *args, directory=None, again=20):
        """(status, standard output, standard error) of a command like --status. A daemon that does not answer in five seconds is asked again."""
        done = subprocess.run([R2, "sync", *args, self.root if directory is None else directory], capture_output=True, text=True,
                              env=self.env, timeout=120, check=False)
        if again and "does not answer" in done.stdout + done.stderr:
            return self.ask(*args, directory=directory, again=again - 1)
        return done.returncode, done.stdout, done.stderr

    def status(self):
        code, out, err = self.ask("--status", "--json")
        return json.loads(out) if code == 0 else {}

    def knows(self, n):
        """Wait until the daemon has noted so many files as done: an object is there before its answer is here."""
        wait(f"{n} known", lambda: self.status().get("known") == n)

    def proxy(self):
        proxy = Proxy(self.env)
        self.closers.append(proxy.close)
        self.env["R2_ENDPOINT"] = proxy.endpoint
        return proxy

    def write(self, rel, data=None, root=None):
        """A new file with content of its own; its directories too."""
        path = (self.root if root is None else root) / os.fsdecode(rel)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(self.random.randrange(100)) + os.fsencode(rel) if data is None else data)
        return path

    def md5(self, path):
        st = os.stat(path)
        at = (path, st.st_size, st.st_mtime_ns, st.st_ino)
        if at not in self.known:
            with open(path, "rb") as f:
                self.known[at] = hashlib.file_digest(f, "md5").hexdigest()
        return self.known[at]

    def files(self, root=None, wanted=lambda name: name.lower().endswith(PICTURES) and not name.startswith(b".")):
        """{path below root: (size, MD5)} of what should be in the bucket."""
        root, found = os.fsencode(self.root if root is None else root), {}
        for at, dirs, names in os.walk(root):
            dirs[:] = [d for d in dirs if not d.startswith(b".")]
            for name in names:
                path = os.path.join(at, name)
                # --delete-after may be at it meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    if wanted(name) and os.path.isfile(path):
                        found[os.path.relpath(path, root)] = (os.path.getsize(path), self.md5(path))
        return found

    def objects(self):
        """The same of the bucket: keys without prefix and date. One path under two dates is told as two."""
        found = {}
        for key, size, etag in self.bucket.keys(self.prefix + "/"):
            date, rel = re.fullmatch(rb"[^/]+/(\d{4}-\d\d-\d\d)/(.*)", key, re.S).groups()
            if "-" in etag:                      # in parts: the ETag is no MD5 of the whole
                if (key, etag) not in self.known:
                    self.known[key, etag] = self.bucket.digest(key.decode(), "md5")
                etag = self.known[key, etag]
            found[rel + b" at " + date if rel in found else rel] = (size, etag)
        return found

    def equal(self, what, limit=300, want=None, got=None):
        """Wait until the bucket is the directory; then it must not be more either."""
        end, want, got = time.monotonic() + limit, want or self.files, got or self.objects
        while (local := want()) != (there := got()):
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        wrong = [k for k in local if k in there and local[k] != there[k]]
        parts = {"missing": local.keys() - there.keys(), "wrong": wrong, "too many": there.keys() - local.keys()}
        return self.check(f"{what}: {len(local)} files, none missing, wrong or twice", local == there,
                          *(f"{name}: {len(x)}: {sorted(x)[:4]}" for name, x in parts.items() if x), *self.tail())

    def tail(self):
        return [b"\n".join(d.log().splitlines()[-6:]).decode(errors="replace") for d in self.daemons[-2:]]

    def close(self):
        for d in self.daemons:
            d.kill()
        for close in self.closers:
            close()
        try:
            self.bucket.clear(self.prefix + "/")
        except (OSError, xml.ParseError):
            pass                                 # names that XML cannot say stay: the server ends with the tests
        subprocess.run(["chmod", "-R", "u+rwX", self.dir], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def run(case):
    name = case.__name__.rstrip("_").replace("_", "-")
    scene, begun = Scene(name), time.monotonic()
    try:
        case(scene)
    except Exception as e:
        text = str(e) if isinstance(e, Failed) else traceback.format_exc()
        scene.check("goes through", False, text, *scene.tail())
    finally:
        scene.close()
    lines = scene.lines + [f"# {name}: {time.monotonic() - begun:.1f} s"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return scene.failed


def main(cases, args=None):
    """[--soak] [-j N] [CASE…]: those, else all; several at once, for most of them wait most of the time."""
    global SOAK
    args, jobs = list(sys.argv[1:] if args is None else args), 6
    if "--soak" in args:
        args.remove("--soak")
        SOAK = True
    if "-j" in args:
        at = args.index("-j")
        jobs = int(args[at + 1])
        del args[at:at + 2]
    named = {c.__name__.rstrip("_").replace("_", "-"): c for c in cases}
    if unknown := [a for a in args if a not in named]:
        sys.exit(f"no such case: {' '.join(unknown)}")
    chosen = [c for name, c in named.items() if not args or name in args]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failed = sum(pool.map(run, chosen))
    return 1 if failed else 0


def soak():
    return SOAK
