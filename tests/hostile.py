"""A store on loopback, plain http, whose objects go wrong by their names: hostile.py [LOG]
Prints its port; ends when the process that started it does. Checks no signature. The object /BUCKET/KIND-SIZE has SIZE bytes, the same
every time, and an ETag that is their MD5, but for:

  parts-SIZE-PART    the ETag is that of parts; HEAD partNumber=N tells their sizes
  quiet-SIZE-PART    the same, and partNumber is passed over
  partial-SIZE-PART  as parts, and HEAD partNumber=N has an ETag of its own, as moto's
  uneven-SIZE        the ETag is that of three parts of different sizes; HEAD partNumber=N tells them
  chance-SIZE        the same, and as many parts as there would be of the first one's size
  gaps-SIZE          the same, and the parts' numbers are 1, 4 and 7
  flip-…             one byte of the body is another; before parts, quiet, uneven, chance (flip-parts-SIZE-PART) too
  flipend-SIZE       a byte of the last range
  opaque-SIZE        the ETag is no MD5
  kms-SIZE           the ETag looks like one
  noetag-SIZE        there is none
  norange-SIZE       Range is passed over
  shift-SIZE         another range than the one asked for, and Content-Range says so
  lie-SIZE           Content-Range says another range than the body is
  nosize-SIZE        Content-Range: bytes A-B/*
  chunked-SIZE       without Content-Length
  swap-SIZE          replaced by other bytes after the first request for a range
  swaps-SIZE         replaced after every request
  ignore-SIZE        as swaps, and If-Match is passed over
  open-SIZE          an ETag that is no MD5, no Content-Length, and the connection ends before the last byte
  endless-SIZE       without Content-Length, and 64 MiB more
  cut-SIZE           every answer ends after 100,000 bytes
  stall-SIZE         sends nothing beyond its first 1,000,000 bytes, and waits
  long, negative     Content-Length: 99999999999999999999, -5
  vast, wide         a Content-Length that no object has; that no disk has
Listing prefix X lists what is in listings below. LOG gets one line a request: METHOD KEY RANGE STATUS.
"""
import functools, hashlib, http.server, os, re, sys, threading, time, urllib.parse

DAY = "Mon, 29 Dec 2025 10:00:00 GMT"
turns = {}               # how often it was replaced, by key
lock = threading.Lock()
listings = {
    "out/": ["out/ok-5", "elsewhere/ok-5"],
    "evil/": ["evil/../../../up-5", "evil//abs-5", "evil/./dot-5", "evil/a//b-5", "evil/" + "x" * 300 + "-5", "evil/..", "evil/good-5",
              "evil/dir/", "evil/dir/in-5", "evil/good-5/below-5", "evil/nl\nin-5", "evil/" + "y" * 253 + "-5"],
}


def data_of(key, size):
    """The same bytes for ever; another turn, other bytes."""
    turn = turns.get(key, 0) if key.startswith(("swap", "ignore")) else 0
    return random_bytes(turn, size)


# Each range of an object asks for both again.
@functools.lru_cache(4)
def random_bytes(turn, size):
    return hashlib.shake_128(b"%d" % turn).digest(size)


def parts_of(kind, numbers, size):
    if kind == "uneven":
        return size // 2, size // 3, size - size // 2 - size // 3
    if kind in ("chance", "gaps"):
        return size * 2 // 5, size // 4, size - size * 2 // 5 - size // 4
    part = numbers[1]
    return tuple(min(part, size - at) for at in range(0, size, part))


@functools.lru_cache(4)
def etag_of(data, parts):
    if not parts:
        return hashlib.md5(data).hexdigest()
    at, digests = 0, b""
    for n in parts:
        digests += hashlib.md5(data[at:at + n]).digest()
        at += n
    return f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, fields, body=b""):
        with open(sys.argv[1] if len(sys.argv) > 1 else "/dev/null", "a") as f:
            print(self.command, self.key, self.headers.get("Range", "-"), status, file=f)
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self.answer(status, [("Content-Length", len(body))], body)

    def list(self, prefix):
        rows = ""
        for key in listings.get(prefix, []):
            m = re.search(r"-(\d+)$", key)
            data = data_of("", int(m[1]) if m else 0)
            rows += (f"<Contents><Key>{urllib.parse.quote(key)}</Key><LastModified>2025-12-29T10:00:00.000Z</LastModified>"
                     f"<ETag>&quot;{etag_of(data, ())}&quot;</ETag><Size>{len(data)}</Size></Contents>")
        body = (f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{rows}"
                "</ListBucketResult>").encode()
        self.answer(200, [("Content-Length", len(body))], body)

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.key = urllib.parse.unquote(url.path).split("/", 2)[2] if url.path.count("/") > 1 else ""
        if not self.key:
            self.list(query.get("prefix", ""))
            return
        words = self.key.split("/")[-1].split("-")
        flip = words[0] in ("flip", "flipend")
        if flip and len(words) > 2:
            words = words[1:]
        kind, numbers = words[0], [int(w) for w in words[1:] if w.isdigit()]
        if kind in ("long", "negative", "vast", "wide"):
            length = {"long": "9" * 20, "negative": "-5", "vast": 1 << 62, "wide": 4 << 40}[kind]
            self.answer(200, [("Content-Length", length), ("ETag", '"00"')])
            self.close_connection = True
            return
        if not numbers and not self.key.endswith("/"):
            self.refuse(404, "NoSuchKey")
            return
        size = numbers[0] if numbers else 0
        with lock:
            data = data_of(self.key, size)
            wanted = self.command == "GET" and "Range" in self.headers
            if wanted and (kind in ("swaps", "ignore") or kind == "swap" and not turns.get(self.key)):
                turns[self.key] = turns.get(self.key, 0) + 1
        parts = parts_of(kind, numbers, size) if kind in ("parts", "quiet", "partial", "uneven", "chance", "gaps") else ()
        etag = etag_of(data, parts)
        if kind in ("opaque", "open", "kms"):
            etag = {"opaque": "not-an-md5", "open": "not-an-md5", "kms": "0123456789abcdef" * 2}[kind]
        fields = [("Last-Modified", DAY)] + ([("ETag", f'"{etag}"')] if kind != "noetag" else [])
        if kind == "kms":
            fields.append(("x-amz-server-side-encryption-aws-kms-key-id", "k"))
        if self.command == "HEAD":
            if "partNumber" in query and parts and kind != "quiet":
                number = int(query["partNumber"])
                if kind == "gaps" and number not in (1, 4, 7):
                    self.refuse(416, "InvalidRange")
                    return
                size = parts[number // 3 if kind == "gaps" else number - 1]
                fields.append(("x-amz-mp-parts-count", len(parts)))
                if kind == "partial":
                    fields[1] = ("ETag", f'"{hashlib.md5(data[:size]).hexdigest()}"')
            self.answer(200, [*fields, ("Content-Length", size)])
            return
        self.get(kind, data, fields, etag, flip)

    def get(self, kind, data, fields, etag, flip):
        want = self.headers.get("If-Match")
        if want and want.strip('"') != etag and kind != "ignore":
            self.refuse(412, "PreconditionFailed")
            return
        if flip:
            at = len(data) - 1 if self.key.startswith("flipend") else len(data) // 2
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last, size = 0, len(data) - 1, len(data)
        status = 200
        if m and kind != "norange":
            if int(m[1]) >= size:
                self.refuse(416, "InvalidRange")
                return
            first, last, status = int(m[1]), min(int(m[2] or last), last), 206
            if kind == "shift" and first:
                first, last = first - 1, last - 1
            said = f"bytes {first + (kind == 'lie')}-{last + (kind == 'lie')}/{'*' if kind == 'nosize' else size}"
            fields.append(("Content-Range", said))
        body = data[first:last + 1]
        if kind == "chunked":
            self.answer(status, [*fields, ("Transfer-Encoding", "chunked")], b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif kind == "endless":
            self.answer(status, [*fields, ("Transfer-Encoding", "chunked")])
            for _ in range(64):
                self.wfile.write(b"100000\r\n%s\r\n" % bytes(1 << 20))
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif kind == "open":
            self.answer(status, [*fields, ("Connection", "close")], body[:-1])
            self.close_connection = True
        elif kind == "cut":
            self.answer(status, [*fields, ("Content-Length", len(body))], body[:100000])
            self.close_connection = True
        elif kind == "stall":
            self.answer(status, [*fields, ("Content-Length", len(body))], body[:max(0, 1000000 - first)])
            self.wfile.flush()
            time.sleep(60)
            self.close_connection = True
        else:
            self.answer(status, [*fields, ("Content-Length", len(body))], body)

    def do_GET(self):
        try:
            self.serve()
        except OSError:
            self.close_connection = True

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
parent = os.getppid()
while os.getppid() == parent:
    time.sleep(0.2)
