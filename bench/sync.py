"""What r2 sync costs, in three figures of one run: sync.py [FILES]
From the last close(2) of a file to its object's last byte at the server (which is this program: plain http on loopback that looks at the clock
and forgets), beyond the settle time and with none; wake-ups of all threads in a minute of doing nothing; resident memory, ten directories."""
import hashlib, http.server, os, pathlib, statistics, subprocess, sys, tempfile, threading, time

R2 = os.path.realpath(os.environ.get("R2", pathlib.Path(__file__).parent.parent / "r2"))
FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 200
IDLE_S = float(os.environ.get("IDLE", 60))
arrived = {}


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, fields=()):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.answer(404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arrived[self.path.rsplit("/", 1)[1]] = time.monotonic()
        crc = self.headers.get("x-amz-checksum-crc32c")
        self.answer(200, [("ETag", f'"{hashlib.md5(body).hexdigest()}"'), *([("x-amz-checksum-crc32c", crc)] if crc else [])])

    def log_message(self, *args):
        pass


def threads(pid, name):
    return sum(int(line.split()[1]) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()
               for line in (t / "status").read_text().splitlines() if line.startswith(name))


def memory(pid):
    rows = dict(line.split()[:2] for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(rows[k]) for k in ("Shared_Clean:", "Shared_Dirty:", "Private_Clean:", "Private_Dirty:"))


class Daemon:
    def __init__(self, root, port, settle):
        env = {"PATH": os.environ["PATH"], "R2_ENDPOINT": f"http://127.0.0.1:{port}", "R2_ACCESS_KEY_ID": "key", "R2_SECRET_ACCESS_KEY": "secret"}
        self.process = subprocess.Popen([R2, "sync", "--log", "-", "-q", "--settle", str(settle), root], env=env)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def latency(settle, port):
    """Milliseconds, one file after the other, beyond the settle time."""
    with tempfile.TemporaryDirectory() as root:
        root += "/parent/output"
        os.makedirs(root)
        d, waits = Daemon(root, port, settle), []
        time.sleep(0.5)
        for i in range(FILES if settle == 0 else min(FILES, 60)):
            name = f"{settle}-{i}.png"
            with open(f"{root}/{name}", "wb") as f:
                f.write(os.urandom(50000))
            closed = time.monotonic()
            while name not in arrived:
                time.sleep(0.0005)
            waits.append((arrived[name] - closed - settle) * 1000)
        d.stop()
    waits.sort()
    return statistics.median(waits), waits[min(len(waits) - 1, len(waits) * 99 // 100)]


def idle(port):
    with tempfile.TemporaryDirectory() as root:
        root += "/parent/output"          # what happens in /tmp would wake it: it watches the parent too
        os.makedirs(root)
        for i in range(10):
            os.mkdir(f"{root}/{i}")
        d = Daemon(root, port, 1)
        pathlib.Path(f"{root}/1/a.png").write_bytes(b"x")
        while "a.png" not in arrived:
            time.sleep(0.01)
        time.sleep(3)
        before = threads(d.process.pid, "voluntary_ctxt_switches")
        time.sleep(IDLE_S)
        kept = os.listdir(f"/proc/{d.process.pid}/fd")
        sockets = sum(os.readlink(f"/proc/{d.process.pid}/fd/{fd}").startswith("socket:") for fd in kept)
        figures = threads(d.process.pid, "voluntary_ctxt_switches") - before, memory(d.process.pid), sockets
        d.stop()
        return figures


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
for settle in (0, 1):
    print("settle %g s: from close to object, beyond it: p50 %.1f ms, p99 %.1f ms" % (settle, *latency(settle, port)), flush=True)
print("idle for %g s: %d wake-ups; %d KB resident, private and shared; %d sockets (one of them is --status's)" % (IDLE_S, *idle(port)))
