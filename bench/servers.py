"""Where the works are done: MinIO, the sink, and the sink far away; each with what it knows of the bytes that went over the wire."""
import glob
import http.client
import os
import shutil
import ssl
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TOOLS = os.path.join(ROOT, "build", "bench")

# Round trip in ms, Mbit/s, connections cut of a thousand.
FAR = {"far 40 ms": (40, 200, 0), "far 150 ms": (150, 1000, 1)}
PLACES = ["minio", "sink", *FAR]
LOST = (OSError, http.client.HTTPException)


class Server:
    """One that runs; end() it. Raises OSError where it does not start."""

    def __init__(self, place, directory, run):
        self.place, self.directory, self.relay, self.line = place, directory, None, None
        self.kind = "sink" if place in FAR else place
        for kind in ["sink"] if self.kind == "sink" else os.environ.get("SERVER", "minio radosgw").split():
            try:
                run([ROOT + "/tests/server", "up", kind, directory])
                break
            except OSError as e:
                error = e
        else:
            raise OSError(f"no server: {error}")
        self.kind, self.up = kind, True
        with open(os.path.join(directory, "env")) as f:
            self.env = dict(line.rstrip("\n").replace('"', "").split("=", 1) for line in f)
        self.tls = ssl.create_default_context(cafile=self.env["R2_CA_FILE"])
        self.near = self.env["R2_ENDPOINT"]
        if place in FAR:
            self.relay = subprocess.Popen([TOOLS + "/far", *map(str, FAR[place]), self.near.split("//")[1]], stdout=subprocess.PIPE, text=True)
            self.env["R2_ENDPOINT"] = f"https://127.0.0.1:{int(self.relay.stdout.readline())}"

    def end(self):
        if self.line:
            self.line.close()
        if self.relay:
            self.relay.kill()
            self.relay.wait()
        if self.up:
            subprocess.run([ROOT + "/tests/server", "down", self.kind, self.directory], start_new_session=True)
        self.up = self.relay = None

    def lives(self):
        try:
            self.counts()
        except OSError:
            return False
        return not self.relay or self.relay.poll() is None

    def empty_trash(self):
        """MinIO keeps what was deleted for five minutes: every tool's 4 GiB together are more than memory holds."""
        for trash in glob.glob(os.path.join(self.directory, "data", ".minio.sys", "tmp", ".trash", "*")):
            shutil.rmtree(trash, ignore_errors=True)

    def ask(self, path, method="GET"):
        """The sink's answer: status, text; raises OSError where there is none."""
        self.line = self.line or http.client.HTTPSConnection(self.near.split("//")[1], context=self.tls, timeout=60)
        try:
            self.line.request(method, path)
            answer = self.line.getresponse()
            return answer.status, answer.read().decode()
        except LOST as e:
            self.line = None
            raise OSError(f"the server is gone: {e}") from None

    def counts(self):
        """Running totals: of the sink its own, else what went over loopback, which is everybody's."""
        if self.kind == "sink":
            rows = dict(line.split() for line in self.ask("/-/counts")[1].splitlines())
            rows = {name: int(value) for name, value in rows.items()}
            return {"wire": rows["received"] + rows["sent"], **rows}
        with open("/proc/net/dev") as f:
            return {"wire": next(int(line.split(":")[1].split()[0]) for line in f if line.strip().startswith("lo:"))}
