"""What faultproxy.py can do above TLS, where it has the server's certificate: to requests and answers, one by one.

  http OPERATION FAULT [TIMES] [NAME=VALUE]…   TIMES 0: always; else so many requests, 1 if nothing is said. %xx in a VALUE is that byte

OPERATION: any put part create complete abort listparts uploads head get list delete deletemany getrules putrules deleterules.
The first fault that fits a request is the one it gets.
In place of the answer, the server not having been asked; or, with done=1, when it has done its work:
  lost [rst=1]              the connection ends
  status code=N [s3=CODE] [retry-after=TEXT] [location=TEXT]
  error200 [s3=CODE]        200, spaces, and an <Error>
  early code=N              as status, before the request's body was read; then the connection ends
  raw text=TEXT [n=N]       these bytes, N times, then the connection ends (n=0: while anybody listens)
The server's answer, but
  header NAME=VALUE         with that field, in place of its own
  drop name=NAME            without that field
  date seconds=N            from a clock so far from its own
  length add=N              with a Content-Length so much greater; the connection ends where the body does
  chunked, eof              in chunks; until the end of the connection
  gzip                      compressed, though nobody asked for that
  flip                      with another byte in the middle of its body
  body text=TEXT            with another body
  cut bytes=N [rst=1]       its body ends after so many bytes, and so does the connection
  stall bytes=N             after so many bytes of it nothing comes any more
  drip ms=N [bytes=N] [head=1]   all of it byte by byte, or so many of them; head=1: but for the header
  interim n=N [ms=N]        after N answers 100, a while before each
  fields n=N                with N more fields
  endless [code=N]          with a body in chunks that goes on with spaces while anybody listens
  endlessly text=TEXT       with a body in chunks: its own without the last tag, then TEXT while anybody listens
  twice                     two times
  previous                  no: the answer to the request before, on the same connection
  wait seconds=N            so much later
"""
import email.utils, gzip, os, re, socket, ssl, struct, threading, time, urllib.parse

IDLE = 100
BODIES = ("chunked", "eof", "gzip", "endless", "endlessly", "cut", "stall")   # nothing to do with a HEAD


def operation(method, target):
    url = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    if "/" not in url.path[1:].rstrip("/"):
        if "lifecycle" in query:
            return {"GET": "getrules", "PUT": "putrules", "DELETE": "deleterules"}[method]
        return "deletemany" if "delete" in query else "uploads" if "uploads" in query else "list"
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort", "GET": "listparts"}[method]
    return {"PUT": "put", "POST": "create", "GET": "get", "HEAD": "head", "DELETE": "delete"}[method]


class Fault:
    def __init__(self, words):
        self.op, self.name, *rest = words
        self.times = int(rest.pop(0)) if rest and rest[0].isdigit() else 1
        self.times = self.times or -1
        self.args = {n: urllib.parse.unquote_to_bytes(v) for n, v in (w.split("=", 1) for w in rest)}

    def text(self, name, default=""):
        return self.args[name].decode("latin-1") if name in self.args else default

    def number(self, name, default=0):
        return int(self.text(name, default))


class Over(Exception):
    """The connection ends here."""


class Reply:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def without(self, *names):
        self.fields = [(n, v) for n, v in self.fields if n.lower() not in names]

    def head(self):
        return "".join([self.status, "\r\n", *(f"{n}: {v}\r\n" for n, v in self.fields), "\r\n"]).encode("latin-1")


def refusal(code, s3, fields=(), blank=0):
    body = b"<?xml version='1.0'?>" + b" " * blank + f"<Error><Code>{s3}</Code><Message>as told</Message></Error>".encode()
    return Reply(f"HTTP/1.1 {code} As-Told", [("Content-Length", len(body)), *fields], body)


class Connection:
    """One client, and its own connection to the server."""

    def __init__(self, server, client):
        self.server, self.client, self.up, self.last = server, client, None, None
        self.file = client.makefile("rb", buffering=65536)

    def run(self):
        try:
            while self.turn():
                pass
        except (OSError, ValueError, Over):
            pass
        for s in (self.file, self.client, self.up and self.up_file, self.up):
            if s:
                s.close()

    def head(self, s):
        """A message's first line and fields."""
        block = b""
        while not block.endswith(b"\r\n\r\n"):
            line = s.readline(65536)
            if not line:
                raise Over
            block += line
        first, *rest = block.decode("latin-1").split("\r\n")[:-2]
        return first, [tuple(x.split(": ", 1)) if ": " in x else (x.rstrip(":"), "") for x in rest]

    def turn(self):
        first, fields = self.head(self.file)
        self.method, target, _ = first.split(" ")
        self.left = next((int(v) for n, v in fields if n.lower() == "content-length"), 0)
        f = self.fault = self.server.take(operation(self.method, target))
        instead = f and f.name in ("lost", "status", "error200", "early", "raw")
        if f and f.name == "early":
            self.send(self.told(f))
            self.end()
        if instead and not f.number("done"):
            for _ in self.request_body():
                pass
            reply = None
        else:
            reply = self.ask(first, fields)
        self.answer(f, reply)
        return True

    def request_body(self):
        while self.left:
            piece = self.file.read1(min(self.left, 65536))
            if not piece:
                raise Over
            self.left -= len(piece)
            yield piece

    def ask(self, first, fields):
        if not self.up:
            self.up = self.server.connect()
            self.up_file = self.up.makefile("rb", buffering=65536)
        self.up.sendall(Reply(first, fields, b"").head())
        for piece in self.request_body():
            self.up.sendall(piece)
        status, fields = self.head(self.up_file)
        length = next((int(v) for n, v in fields if n.lower() == "content-length"), 0)
        return Reply(status, fields, b"" if self.method == "HEAD" else self.up_file.read(length))

    def told(self, f):
        more = [(n, f.text(n)) for n in ("retry-after", "location") if n in f.args]
        code = f.number("code")
        return refusal(code, f.text("s3", {503: "SlowDown", 500: "InternalError", 403: "AccessDenied"}.get(code, "NotImplemented")), more)

    def send(self, r):
        self.client.sendall(r.head() + (b"" if self.method == "HEAD" else r.body))

    def end(self, how=None):
        """With close_notify, so that nothing looks cut, and nothing left unread, so that no RST follows; or by RST."""
        raw = socket.socket(fileno=os.dup(self.client.fileno()))
        raw.settimeout(IDLE)
        if how == "rst":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            try:
                self.client.settimeout(1)
                self.client.unwrap()
            except OSError:
                pass
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        raw.close()
        raise Over

    def answer(self, f, r):
        before, self.last = self.last or b"", r or b""
        if not f:
            self.send(r)
        elif f.name in BODIES and self.method == "HEAD":
            self.send(r)
        elif f.name == "previous":
            self.client.sendall(before.head() + before.body) if before else self.send(r)
        else:
            getattr(self, "do_" + f.name)(f, r)

    def do_lost(self, f, _):
        self.end("rst" if "rst" in f.args else None)

    def do_status(self, f, _):
        self.send(self.told(f))

    def do_error200(self, f, _):
        self.send(refusal(200, f.text("s3", "InternalError"), blank=2000))

    def do_raw(self, f, _):
        text, n = f.args["text"], f.number("n", 1)
        while n == 0:
            self.client.sendall(text * (1 + 16384 // len(text)))
        self.client.sendall(text * n)
        self.end()

    def do_header(self, f, r):
        r.without(*f.args)
        r.fields += [(n, f.text(n)) for n in f.args]
        self.send(r)

    def do_drop(self, f, r):
        r.without(f.text("name"))
        self.send(r)

    def do_date(self, f, r):
        r.without("date")
        r.fields.append(("Date", email.utils.formatdate(time.time() + f.number("seconds"), usegmt=True)))
        self.send(r)

    def do_length(self, f, r):
        n = next((int(v) for k, v in r.fields if k.lower() == "content-length"), 0)
        r.without("content-length")
        r.fields.append(("Content-Length", n + f.number("add")))
        self.send(r)
        self.end()

    def do_chunked(self, _, r):
        r.without("content-length")
        r.fields.append(("Transfer-Encoding", "chunked"))
        r.body = b"".join(b"%x;a=b\r\n%s\r\n" % (len(r.body[i:i + 1000]), r.body[i:i + 1000]) for i in range(0, len(r.body), 1000))
        r.body += b"0\r\nX-Trailer: 1\r\n\r\n"
        self.send(r)

    def do_eof(self, _, r):
        r.without("content-length")
        self.send(r)
        self.end()

    def do_gzip(self, _, r):
        r.body = gzip.compress(r.body)
        r.without("content-length")
        r.fields += [("Content-Encoding", "gzip"), ("Content-Length", len(r.body))]
        self.send(r)

    def do_flip(self, _, r):
        at = len(r.body) // 2
        r.body = r.body[:at] + bytes([r.body[at] ^ 1]) + r.body[at + 1:] if r.body else b""
        self.send(r)

    def do_body(self, f, r):
        r.body = f.args["text"]
        r.without("content-length")
        r.fields.append(("Content-Length", len(r.body)))
        self.send(r)

    def do_cut(self, f, r):
        r.body = r.body[:f.number("bytes")]
        self.send(r)
        self.end("rst" if "rst" in f.args else None)

    def do_stall(self, f, r):
        r.body = r.body[:f.number("bytes")]
        self.send(r)
        self.client.settimeout(IDLE)
        while self.client.recv(65536):
            pass
        raise Over

    def do_drip(self, f, r):
        head, data = r.head(), b"" if self.method == "HEAD" else r.body
        if f.number("head"):
            self.client.sendall(head)
        else:
            data = head + data
        n = min(len(data), f.number("bytes", len(data)))
        for i in range(n):
            self.client.sendall(data[i:i + 1])
            time.sleep(f.number("ms") / 1000)
        self.client.sendall(data[n:])

    def do_interim(self, f, r):
        for _ in range(f.number("n")):
            time.sleep(f.number("ms") / 1000)
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.send(r)

    def do_fields(self, f, r):
        r.fields += [(f"X-More-{i}", "x" * 100) for i in range(f.number("n"))]
        self.send(r)

    def do_endless(self, f, r):
        r.status = f"HTTP/1.1 {f.number('code')} As-Told" if "code" in f.args else r.status
        r.without("content-length")
        r.fields.append(("Transfer-Encoding", "chunked"))
        self.client.sendall(r.head())
        while True:
            self.client.sendall(b"2000\r\n" + b" " * 0x2000 + b"\r\n")

    def do_endlessly(self, f, r):
        r.without("content-length")
        r.fields.append(("Transfer-Encoding", "chunked"))
        body = re.sub(rb"</\w+>$", b"", r.body.rstrip())
        self.client.sendall(r.head() + b"%x\r\n%s\r\n" % (len(body), body))
        text = f.args["text"] * (1 + 16384 // len(f.args["text"]))
        while True:
            self.client.sendall(b"%x\r\n%s\r\n" % (len(text), text))

    def do_twice(self, _, r):
        self.client.sendall((r.head() + (b"" if self.method == "HEAD" else r.body)) * 2)

    def do_wait(self, f, r):
        time.sleep(float(f.text("seconds")))
        self.send(r)


class Server:
    """Stands behind faultproxy.py's bytes, in threads of its own."""

    def __init__(self, to, cert, key):
        self.to, self.faults, self.lock = to, [], threading.Lock()
        self.ours, self.theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=cert)
        self.ours.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.one, args=(client,), daemon=True).start()

    def one(self, client):
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(IDLE)
            client = self.ours.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
        Connection(self, client).run()

    def connect(self):
        s = socket.create_connection(self.to, timeout=IDLE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.theirs.wrap_socket(s, server_hostname=self.to[0])

    def add(self, words):
        with self.lock:
            self.faults.append(Fault(words))

    def clear(self):
        with self.lock:
            self.faults.clear()

    def take(self, op):
        with self.lock:
            for f in self.faults:
                if f.op in ("any", op) and f.times:
                    f.times -= 1
                    return f
        return None
