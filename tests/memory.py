"""What is left of secrets in r2's memory: at its very end, where all has been done and nothing is freed yet (ptrace stops it there), and in a
daemon that is idle. Only the key itself may be there, where it is needed: not what signing made of it, no header, no second copy.
Needs root, or a right to trace. The server is badserver.py, behind a proxy that wants a password."""
import base64, collections, ctypes, hashlib, hmac, os, pathlib, re, resource, signal, socket, socketserver, struct, subprocess, sys, tempfile, threading, time

TESTS = pathlib.Path(__file__).resolve().parent
R2 = os.path.realpath(os.environ.get("R2", TESTS.parent / "r2"))
SERVER = pathlib.Path(os.environ["R2_TEST_SERVER_DIR"])      # for its certificate
ID, SECRET, TOKEN = "0123456789abcdef" * 2, hashlib.sha256(b"secret").hexdigest(), hashlib.shake_128(b"token").hexdigest(100)
NEW_ID, NEW_SECRET, NEW_TOKEN = "fedcba9876543210" * 2, hashlib.shake_128(b"new secret").hexdigest(20), hashlib.shake_128(b"new token").hexdigest(80)
PASSWORD = "pa55word-of-the-proxy"
LOGIN = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
failed = 0

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
TRACEME, CONT, SETOPTIONS = 0, 7, 0x4200
OPTIONS = 1 << 3 | 1 << 6 | 1 << 20                  # PTRACE_O_TRACECLONE, TRACEEXIT, EXITKILL
EVENT_EXIT = 6
K = [int(abs(p ** (1 / 3)) % 1 * 2**32) for p in
     (n for n in range(2, 312) if all(n % d for d in range(2, n)))]


def rotated(x, n):
    return (x >> n | x << (32 - n)) & 0xFFFFFFFF


def sha256_state(block):
    """The inner state after one block, as it lies in memory: whoever has that of a key's pads signs as if he had the key (FIPS 180-4)."""
    start = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
    w = list(struct.unpack(">16I", block))
    for i in range(16, 64):
        a, b = w[i - 15], w[i - 2]
        w.append((w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] + (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10)) & 0xFFFFFFFF)
    a, b, c, d, e, f, g, h = start
    for i in range(64):
        x = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i]) & 0xFFFFFFFF
        y = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + (a & b ^ a & c ^ b & c)) & 0xFFFFFFFF
        a, b, c, d, e, f, g, h = (x + y) & 0xFFFFFFFF, a, b, c, (d + x) & 0xFFFFFFFF, e, f, g
    return struct.pack("=8I", *((x + y) & 0xFFFFFFFF for x, y in zip(start, (a, b, c, d, e, f, g, h))))


def derived(secret, region="auto"):
    """All that signing makes of a secret, today and (a test may begin before midnight) yesterday."""
    found = {}
    for day in (time.strftime("%Y%m%d", time.gmtime(time.time() - 86400 * back)) for back in (0, 1)):
        key = b"AWS4" + secret.encode()
        for name, text in (("the secret", day), ("kDate", region), ("kRegion", "s3"), ("kService", "aws4_request"), ("kSigning", "")):
            padded = key.ljust(64, b"\0") if len(key) <= 64 else hashlib.sha256(key).digest().ljust(64, b"\0")
            for pad in (0x36, 0x5C):
                block = bytes(b ^ pad for b in padded)
                found[f"{name}, padded with {pad:x} ({day})"] = block[4:20]
                found[f"SHA-256 state of {name} and {pad:x} ({day})"] = sha256_state(block)[:16]
            if name != "the secret":
                found[f"{name} ({day})"] = key[:16]
                found[f"second half of {name} ({day})"] = key[16:]
            key = hmac.digest(key, text.encode(), "sha256")
    return found


def pieces(name, text):
    """A long text is found by any of its pieces: what is left of one is seldom whole."""
    text = text.encode()
    return {f"{name}[{i}:]": text[i:i + 16] for i in range(0, max(len(text) - 15, 1), 16)}


def scan(pid, wanted):
    """[(what, where)], where being the name of the mapping, or "environment"."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    env = range(int(fields[47]), int(fields[48]))
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights, *_, name = [*line.split(maxsplit=5), "-"][:6]
            start, end, name = *(int(x, 16) for x in span.split("-")), name.strip()
            if "r" not in rights or name in ("[vvar]", "[vsyscall]", "[vdso]", "[vvar_vclock]"):
                continue
            mem.seek(start)
            data = mem.read(end - start)
            for what, text in wanted.items():
                for m in re.finditer(re.escape(text) if isinstance(text, bytes) else text, data) if isinstance(text, re.Pattern) or text in data else ():
                    found.append((what, "environment" if start + m.start() in env else name))
    return found


def run_to_end(argv, env, wanted, **more):
    """(status, what was found). Threads are traced too, since the last of them to end holds the memory."""
    def traced():
        libc.ptrace(TRACEME, 0, None, None)

    p = subprocess.Popen(argv, env=env, preexec_fn=traced, **more)
    os.waitpid(p.pid, 0)
    libc.ptrace(SETOPTIONS, p.pid, None, OPTIONS)
    libc.ptrace(CONT, p.pid, None, None)
    found = None
    while True:
        pid, status = os.waitpid(-1, 0x40000000)     # __WALL
        if not os.WIFSTOPPED(status):
            if pid == p.pid:
                p.returncode = os.waitstatus_to_exitcode(status)
                return p.returncode, found
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if event == EVENT_EXIT and pid == p.pid:
            found = scan(pid, wanted)
        libc.ptrace(CONT, pid, None, 0 if event or number in (signal.SIGTRAP, signal.SIGSTOP) else number)


class Tunnel(socketserver.StreamRequestHandler):
    """CONNECT, for whoever knows the password."""

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.read(1)
        assert f"Proxy-Authorization: Basic {LOGIN}\r\n".encode() in head
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            to = socket.create_connection(("127.0.0.1", int(head.split()[1].split(b":")[1])))
        except OSError:
            return
        back = threading.Thread(target=self.pump, args=(to, self.connection))
        back.start()
        self.pump(self.connection, to)
        back.join()

    def pump(self, source, to):
        try:
            while data := source.recv(1 << 16):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def check(name, fine, *why):
    global failed
    print(f"{'ok' if fine else 'not ok'} - {os.environ.get('TEST_TAG', '')}memory: {name}")
    if not fine:
        failed = 1
        print("   ", *why, file=sys.stderr)


def wanted(secret=SECRET, token=TOKEN):
    return {**pieces("secret", secret), **pieces("token", token), **pieces("password", PASSWORD), **pieces("login", LOGIN), **derived(secret),
            "Authorization": re.compile(rb"Credential=[0-9a-f]{32}|Signature=[0-9a-f]{64}")}


def at_the_end(name, env, allowed, *args, status=0):
    rc, found = run_to_end([R2, *args], env, wanted(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    check(f"{name}: does its work", rc == status, "status", rc)
    check(f"{name}: nothing is left of a secret", found is not None and all(where in allowed for _, where in found), found)


def core_limit():
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def upload(p, root, names):
    """All its workers do something."""
    for name in names:
        (root / f"{name}.png").write_bytes(name.encode())
    done = 0
    for line in p.stdout:
        done += "Uploaded: s3://" in line
        if done == len(names):
            break


def daemon(env, directory):
    root = directory / "output"
    root.mkdir()
    p = subprocess.Popen([R2, "sync", "--settle", "0.1", "--log", "-", root], env=env, cwd=directory, stdout=subprocess.PIPE, text=True,
                         preexec_fn=core_limit)
    upload(p, root, [f"old-{i}" for i in range(12)])
    return p, root


KEPT = ("secret[", "token[", "login[")


def memory_of(p, wanted, fine):
    """{what: how often}, when it is fine: the last worker may still be on its way back to its bench."""
    end = time.monotonic() + 120
    while True:
        # It stands still, so that no mapping goes while it is read.
        p.send_signal(signal.SIGSTOP)
        os.waitpid(p.pid, os.WUNTRACED)
        found = collections.Counter(what for what, where in scan(p.pid, wanted) if where != "environment")
        p.send_signal(signal.SIGCONT)
        if fine(found) or time.monotonic() > end:
            return found
        time.sleep(0.1)


def only_kept(wanted):
    """The keys and the login are there, once each, and nothing else is."""
    kept = {x for x in wanted if x.startswith(KEPT)}
    return lambda found: set(found) == kept and set(found.values()) == {1}


def renew(p, root, file):
    """Other keys on SIGHUP, with which all workers sign. Of the old ones nothing is left."""
    text = file.read_text()
    for old, new in ((ID, NEW_ID), (SECRET, NEW_SECRET), (TOKEN, NEW_TOKEN)):
        text = text.replace(old, new)
    file.write_text(text)
    p.send_signal(signal.SIGHUP)
    for line in p.stdout:
        if "Keys have been read again" in line:
            break
    upload(p, root, [f"new-{i}" for i in range(12)])
    new = wanted(NEW_SECRET, NEW_TOKEN)
    found = memory_of(p, new, only_kept(new))
    check("sync, after SIGHUP with new keys: they are in one place each, and nothing else of them is", only_kept(new)(found), found)
    old = {**pieces("secret", SECRET), **pieces("token", TOKEN), **derived(SECRET)}
    found = memory_of(p, old, lambda found: not found)
    check("… and nothing is left of the old ones", not found, found)


def idle(env, directory):
    p, root = daemon(env, directory)
    fine = only_kept(wanted())
    found = memory_of(p, wanted(), fine)
    check("sync, idle: key, token and the proxy's login are in one place each, and nothing else is", fine(found), found)
    renew(p, root, pathlib.Path(env["R2_ENV_FILE"]))
    p.send_signal(signal.SIGABRT)
    status = os.waitpid(p.pid, 0)[1]
    p.returncode, cores = 0, [x.name for x in directory.iterdir() if x.name.startswith("core")]
    check("sync, killed by a fault: no core is written", os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status) and not cores, status, cores)


def main():
    server = subprocess.Popen([sys.executable, TESTS / "badserver.py", SERVER / "ca.pem", SERVER / "key.pem"], stdout=subprocess.PIPE, text=True)
    proxy = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="r2-memory-"))
    public = {"R2_ENDPOINT": f"https://127.0.0.1:{server.stdout.readline().strip()}", "R2_CA_FILE": str(SERVER / "ca.pem"), "LC_ALL": "C.UTF-8",
              "PATH": os.environ["PATH"], "XDG_STATE_HOME": str(directory / "state"), "TZ": "UTC"}
    private = {"R2_ACCESS_KEY_ID": ID, "R2_SECRET_ACCESS_KEY": SECRET, "R2_SESSION_TOKEN": TOKEN,
               "HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:{proxy.server_address[1]}"}
    file = directory / "r2.env"
    file.write_text("".join(f"{k}={v}\n" for k, v in private.items()))
    file.chmod(0o600)
    (directory / "a.png").write_bytes(b"x" * 20000)
    by_file, by_environment = public | {"R2_ENV_FILE": str(file)}, public | private
    try:
        at_the_end("upload", by_file, (), "upload", "--key", "a", directory / "a.png")
        at_the_end("get", by_file, (), "get", "a", directory / "b.png")
        at_the_end("ls, refused", by_file, (), "ls", "--endpoint", "https://localhost:1", "--retries", "1", status=1)
        at_the_end("ls", by_environment, ("environment",), "ls")
        idle(by_file, directory)
    finally:
        server.kill()
        proxy.shutdown()
        subprocess.run(["rm", "-rf", directory], check=True)
    sys.exit(failed)


main()
