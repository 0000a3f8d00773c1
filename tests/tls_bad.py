"""A TLS 1.2 server that does what the rows of tests/tls.tsv say: tls_bad.py TABLE DIR
For each row it prints "PORT DOES HOST CA EXPECTED NAME", tabs between, then "ready"; ends when its standard input does.
DIR/seen gets the row's name for each piece of application data that arrives. Only P-256 and ChaCha20-Poly1305; the standard library.

A row says how the server is: a list of certificates, or server(chain, steps). Steps are words:
  hello cert ske done   its messages        ccs fin     ChangeCipherSpec, Finished
  |                     reads the client's flight (key exchange to Finished)
  data close            "hello", close_notify
  ;                     what follows is for the next connection
and what is wrong, see `Steps`."""
import hashlib, hmac, socket, struct, sys, threading
from tls_pki import *

GOOD = "hello cert ske done | ccs fin data close"


# ---- ChaCha20-Poly1305 (RFC 8439) ----

def chacha(key, counter, nonce, data):
    out = bytearray()
    fixed = struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key)
    rounds = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
    for at in range(0, len(data), 64):
        start = fixed + (counter + at // 64,) + struct.unpack("<3I", nonce)
        x = list(start)
        for _ in range(10):
            for a, b, c, d in rounds:
                for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    x[i] = x[i] + x[j] & 0xFFFFFFFF
                    v = x[k] ^ x[i]
                    x[k] = (v << turn | v >> 32 - turn) & 0xFFFFFFFF
        stream = struct.pack("<16I", *[x[i] + start[i] & 0xFFFFFFFF for i in range(16)])
        out += bytes(p ^ q for p, q in zip(data[at:at + 64], stream))
    return bytes(out)


def seal(key, nonce, data, aad, decrypt=False):
    """Ciphertext and tag; or with decrypt the plaintext of data, which is without its tag."""
    text = chacha(key, 1, nonce, data)
    if decrypt:
        return text
    once = chacha(key, 0, nonce, bytes(32))
    r, s, acc = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, int.from_bytes(once[16:], "little"), 0
    padded = b"".join(p + bytes(-len(p) % 16) for p in (aad, text)) + struct.pack("<QQ", len(aad), len(text))
    for i in range(0, len(padded), 16):
        acc = (acc + int.from_bytes(padded[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return text + ((acc + s) % 2**128).to_bytes(16, "little")


def prf(secret, label, seed, n):
    seed, out = label + seed, b""
    a = seed
    while len(out) < n:
        a = hmac.digest(secret, a, "sha256")
        out += hmac.digest(secret, a + seed, "sha256")
    return out[:n]


class Gone(Exception):
    """The client has closed, or said why not."""


class Steps:
    """One connection: a method for each word; arguments after a colon."""

    def __init__(self, s, row, memory):
        self.s, self.row, self.memory, self.log = s, row, memory, b""
        self.out = self.into = None   # key, iv, number of the record: once ChangeCipherSpec was sent, came

    # Records.

    def send(self, kind, data):
        size = len(data)
        if self.out:
            key, iv, n = self.out
            nonce = (int.from_bytes(iv, "big") ^ n).to_bytes(12, "big")
            data = seal(key, nonce, data, struct.pack(">QBHH", n, kind, 0x0303, size))
            self.out = key, iv, n + 1
        self.s.sendall(struct.pack(">BHH", kind, 0x0303, len(data)) + data)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise Gone
            data += more
        return data

    def receive(self):
        kind, _, n = struct.unpack(">BHH", self.exactly(5))
        data = self.exactly(n)
        if self.into:
            key, iv, count = self.into
            nonce = (int.from_bytes(iv, "big") ^ count).to_bytes(12, "big")
            data = seal(key, nonce, data[:-16], b"", decrypt=True)
            self.into = key, iv, count + 1
        if kind == 23:
            saw(self.row["name"])
        if kind == 21 and data[0] == 2:
            raise Gone
        return kind, data

    def message(self, kind, body, count=True):
        data = bytes([kind]) + len(body).to_bytes(3, "big") + body
        if count:
            self.log += data
        for i in range(0, len(data), 16384):
            self.send(22, data[i:i + 16384])

    def next_message(self, kind):
        data = b""
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[1:4], "big"):
            record, more = self.receive()
            if record == 22:
                data += more
        assert data[0] == kind, data[0]
        return data

    # The handshake.

    def start(self):
        hello = self.next_message(1)
        self.log += hello
        self.client_random = hello[6:38]
        self.random = hashlib.sha256(hello).digest()

    def hello(self, *how):
        """Of how: version=hex, suite=hex, compress, sid=new|same, ext=hex."""
        how = dict((h + "=").split("=")[:2] for h in how)
        sid = {"new": hashlib.sha256(self.random).digest(), "same": self.memory.get("sid", b""), "long": bytes(33)}.get(how.get("sid"), b"")
        self.memory["sid"] = sid or self.memory.get("sid", b"")
        if how.get("sid") == "same" and "cert" not in self.row["now"]:
            self.keys(self.memory["master"])
        more = bytes.fromhex(how.get("ext", ""))
        self.message(2, struct.pack(">H", int(how.get("version", "303"), 16)) + self.random + bytes([len(sid)]) + sid
                     + struct.pack(">HB", int(how.get("suite", f"{self.row['chain'][0].key.suite:x}"), 16), "compress" in how)
                     + (struct.pack(">H", len(more)) + more if more else b""))

    def cert(self, *how):
        chain = [] if "none" in how else [c.der for c in self.row["chain"]]
        blob = b"".join(len(c).to_bytes(3, "big") + c for c in chain)
        if "other" in how:
            blob = (lambda c: len(c).to_bytes(3, "big") + c)(leaf(key=EC("another")).der)
        self.message(11, (len(blob) + ("long" in how)).to_bytes(3, "big") + blob)

    def ske(self, *how):
        """Of how: dhe, curve=n, off (the point is on no curve), zero, badsig, old (of another handshake), alg=hex."""
        key, opts = self.row["chain"][0].key, dict((h + "=").split("=")[:2] for h in how)
        self.secret = int.from_bytes(hashlib.sha256(b"ecdhe").digest(), "big")
        p = point(mul(self.secret, G))
        if "off" in how:
            p = p[:-1] + bytes([p[-1] ^ 1])
        if "zero" in how:
            p = b"\4" + bytes(64)
        params = bytes([3]) + struct.pack(">H", int(opts.get("curve", "23"))) + bytes([len(p)]) + p
        if "dhe" in how:
            params = b"".join(struct.pack(">H", len(x)) + x for x in (b"\xff" * 256, b"\2", b"\3" * 256))
        random = bytes(32) if "old" in how else self.client_random
        sig = key.sign(random + self.random + params)
        if "badsig" in how:
            sig = sig[:-1] + bytes([sig[-1] ^ 1])
        self.message(12, params + struct.pack(">HH", int(opts.get("alg", f"{key.sigalg:x}"), 16), len(sig)) + sig)

    def done(self, *how):
        self.message(14, b"\0" if "long" in how else b"")

    def keys(self, master):
        self.master = self.memory["master"] = master
        block = prf(master, b"key expansion", self.random + self.client_random, 88)
        self.client_keys, self.server_keys = (block[:32], block[64:76], 0), (block[32:64], block[76:88], 0)

    def wait(self):
        if not hasattr(self, "master"):
            data = self.next_message(16)
            x, y = (int.from_bytes(data[i:i + 32], "big") for i in (6, 38))
            shared = mul(self.secret, (x, y))[0].to_bytes(32, "big")
            self.keys(prf(shared, b"master secret", self.client_random + self.random, 48))
            self.log += data
        while self.receive()[0] != 20:
            pass
        self.into = self.client_keys
        want = prf(self.master, b"client finished", hashlib.sha256(self.log).digest(), 12)
        data = self.next_message(20)
        assert data[4:] == want, "the client's Finished is wrong"
        self.log += data

    def ccs(self, *how):
        self.send(20, b"\2" if "two" in how else b"\1")
        if hasattr(self, "master"):
            self.out = self.server_keys

    def fin(self, *how):
        verify = prf(self.master, b"server finished", hashlib.sha256(self.log).digest(), 12)
        self.message(20, verify[:-1] + bytes([verify[-1] ^ 1]) if "bad" in how else verify[:11] if "short" in how else verify)

    # What may come at any time.

    def data(self, text="hello"):
        self.send(23, text.encode())

    def close(self):
        self.send(21, b"\1\0")

    def warn(self, code="90", times="1"):
        for _ in range(int(times)):
            self.send(21, bytes([1, int(code)]))

    def fatal(self, code):
        self.send(21, bytes([2, int(code)]))

    def alert(self, text):
        self.send(21, bytes.fromhex(text))

    def empty(self, kind="23", times="1"):
        for _ in range(int(times)):
            self.send(int(kind), b"")

    def full(self, size="16384", kind="23"):
        self.send(int(kind), b"x" * int(size))

    def request(self):
        """HelloRequest: it asks for a new handshake."""
        self.message(0, b"", count=False)

    def unknown(self):
        self.message(67, b"what?")

    def ticket(self):
        self.message(4, bytes(6) + bytes(16))

    def status(self):
        self.message(22, b"\1\0\0\4" + bytes(4))

    def raw(self, text):
        self.s.sendall(bytes.fromhex(text))

    def split(self):
        """Certificate, ServerKeyExchange and ServerHelloDone in records of one byte each."""
        held, self.send = [], lambda kind, data: held.append(data)
        self.cert(), self.ske(), self.done()
        del self.send
        for b in b"".join(held):
            self.send(22, bytes([b]))

    def joined(self):
        """The whole flight in one record."""
        held, self.send = [], lambda kind, data: held.append(data)
        self.hello(), self.cert(), self.ske(), self.done()
        del self.send
        self.send(22, b"".join(held))

    def ask(self):
        """Wait for application data."""
        while self.receive()[0] != 23:
            pass

    def run(self):
        for word in self.row["now"]:
            what, *how = word.split(":")
            getattr(self, {"|": "wait"}.get(what, what))(*how)


def serve(listener, row):
    memory, flights = {}, [f.split() for f in row["steps"].split(";")]
    while True:
        s, _ = listener.accept()
        row["now"] = flights.pop(0) if len(flights) > 1 else flights[0]
        with s:
            s.settimeout(120)
            steps = Steps(s, row, memory)
            try:
                steps.start()
                steps.run()
                s.shutdown(socket.SHUT_WR)
                while True:
                    steps.receive()
            except (OSError, Gone, AssertionError, ValueError):
                pass


def server(chain, steps, does="read", trust=CA):
    return {"chain": chain, "steps": steps, "does": does, "trust": trust}


def self_signed(**o):
    c = leaf(issuer=None, **o)
    return server([c], GOOD, trust=c)


def below(root, *chain):
    """A server whose CA file has the given certificate only."""
    return server(list(chain), GOOD, trust=root)


def saw(name):
    with lock, open(f"{DIR}/seen", "a") as f:
        f.write(name + "\n")


def start(at, text):
    name, how, host, expected = text.split("\t")
    row = eval(how, dict(globals()))
    if isinstance(row, list):
        row = server(row, GOOD)
    row["name"], ca_file = name, f"{DIR}/trust{at}.pem"
    with open(ca_file, "w") as f:
        f.write(pem(row["trust"]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=32)
    print(listener.getsockname()[1], row["does"], host, ca_file, expected, name, sep="\t")
    threading.Thread(target=serve, args=(listener, row), daemon=True).start()


if __name__ == "__main__":
    TABLE, DIR = sys.argv[1:]
    lock = threading.Lock()
    for at, text in enumerate(open(TABLE, encoding="utf-8").read().split("\n")):
        if text and text[0] != "#":
            start(at, text)
    print("ready", flush=True)
    sys.stdin.read()
