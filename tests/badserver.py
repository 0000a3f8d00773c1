"""An S3 server on loopback that misbehaves as it is told: badserver.py [CERT KEY]
Checks no signature, keeps objects in memory. Prints its port, then speaks http, or with a certificate https; ends when the process
that started it does. What is below /-/ is for the test, and never misbehaves:

  POST /-/fault    the body's lines: OPERATION FAULT [TIMES [NAME=VALUE]...]; TIMES 0: always; an empty body: no more faults, and no more waiting
  GET  /-/log      the requests so far, one a line: OPERATION /BUCKET/KEY STATUS; a fault is in place of the status
  POST /-/anew     the same, but these faults only; the requests so far are forgotten
  GET  /-/most     how many requests were under way at once, at most, since they were forgotten
  GET  /-/uploads  ids of unfinished multipart uploads, one a line
  any  /-/raw/BUCKET/KEY   the object: GET, PUT, DELETE

OPERATION: put part create complete abort listparts uploads head get list delete deletemany getrules putrules deleterules. FAULT, "done" being after the work:
  status code=503 [s3=SlowDown] [retry-after=1] [done=1]   that answer
  lost [done=1]          the connection ends without an answer; rst=1: by RST
  error200 [done=1]      200, spaces, and an <Error>
  early code=503         the answer before the body has been read, then the connection ends
  half                   the body is read up to its middle, then RST
  wait seconds=N [done=1] then goes on as if nothing had happened
  nocrc                  refuses a request with x-amz-checksum-crc32c, 501
  noecho [etag=none]     passes over that field; etag: what is stored has an ETag that is no MD5
  flip                   a byte of what is stored, or sent, is another; the ETag is that of the bytes as they then are, or (etag=kept)
                         as they should be
  etag=TEXT              that ETag in the answer
  cut bytes=N            the answer's body ends after so many
  length value=TEXT      that Content-Length
  header NAME=VALUE      one more field
  body                   the answer's body is what the fault's line says after "text=" (%xx decoded)
  gone [s3=CODE]         the multipart upload has been dropped: 404 NoSuchUpload; Ceph says NoSuchKey while it is being completed
  replace                the object becomes another one before the answer
  clock seconds=N        a Date so far from now
  page keys=N            of a listing, so many keys
  marker                 of a delete: that it left a delete marker
  rewrite                lifecycle rules are kept with other white space
  drop                   all lifecycle rules but the last are forgotten
DeleteObjects refuses keys with "denied" in them (AccessDenied); "busy" fails (InternalError) until it was asked for twice; "ghost" is NoSuchKey.
  append file=PATH [done=1]   a byte is added to that file of this machine, then goes on as if nothing had happened
"""
import base64, contextlib, email.utils, hashlib, http.server, os, re, select, socket, ssl, struct, sys, threading, time, urllib.parse
from xml.etree import ElementTree
from xml.sax.saxutils import escape

lock = threading.RLock()
objects, uploads, faults, log = {}, {}, [], []
rules, busy = {}, set()  # lifecycle configurations of buckets, each with the field that goes with it
now = most = 0           # requests under way
withdrawn = 0            # how often all faults were
DAY = "Mon, 29 Dec 2025 10:00:00 GMT"
SMALL = "x-amz-transition-default-minimum-object-size"


def crc32c(data, table=[]):
    """Slow: a few MB/s. Only asked for when the client sent one."""
    if not table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
            table.append(i)
    crc = 0xFFFFFFFF
    for b in data:
        crc = crc >> 8 ^ table[(crc ^ b) & 255]
    return base64.b64encode(struct.pack(">I", crc ^ 0xFFFFFFFF)).decode()


class Object:
    def __init__(self, data, fields=(), etag=None):
        self.data, self.fields = data, list(fields)
        self.etag = etag or hashlib.md5(data).hexdigest()


class Fault:
    def __init__(self, line):
        words = line.split()
        self.op, self.name, self.times = words[0], words[1], 1
        if len(words) > 2 and words[2].isdigit():
            self.times = int(words.pop(2)) or -1
        self.args = dict(w.split("=", 1) for w in words[2:])


def take_fault(op):
    with lock:
        for f in faults:
            if f.op == op:
                f.times -= 1
                if f.times == 0:
                    faults.remove(f)
                return f


class Gone(Exception):
    """The connection has been ended on purpose."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def hang_up(self, rst=False):
        self.close_connection = True
        if rst:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_WR)
        raise Gone

    def answer(self, status, body=b"", fields=(), length=None):
        f = self.fault
        if f and f.name == "header":
            fields = [*fields, *f.args.items()]
        if f and f.name == "clock":
            fields = [*fields, ("Date", email.utils.formatdate(time.time() + int(f.args["seconds"]), usegmt=True))]
        if f and f.name == "length":
            length = f.args["value"]
        if f and f.name == "body":
            body = urllib.parse.unquote_to_bytes(f.args["text"])
        log.append(f"{self.op} {self.path.split('?')[0]} {f.name if f else status}")
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", len(body) if length is None else length)
        self.end_headers()
        if self.command == "HEAD":
            return
        if f and f.name == "cut":
            self.wfile.write(body[:int(f.args["bytes"])])
            self.hang_up()
        self.wfile.write(body)

    def refuse(self, status, code, fields=()):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message><Key>{escape(self.key)}</Key></Error>"
        self.answer(status, text.encode(), fields)

    def body(self):
        n = int(self.headers.get("Content-Length", 0))
        f = self.fault
        if f and f.name == "half":
            self.rfile.read(n // 2)
            log.append(f"{self.op} {self.path.split('?')[0]} half")
            self.hang_up(rst=True)
        return self.rfile.read(n)

    def broken(self, done):
        """What the fault does in place of the answer, before or after the work."""
        f = self.fault
        if not f or bool(f.args.get("done")) != done:
            return False
        if f.name == "nocrc" and self.headers.get("x-amz-checksum-crc32c"):
            self.refuse(501, "NotImplemented")
            return True
        if f.name == "gone":
            uploads.pop(self.query["uploadId"], None)
        if f.name == "wait":
            then = withdrawn
            log.append(f"{self.op}-wait {self.path.split('?')[0]}")
            self.wait(float(f.args["seconds"]), then)
        elif f.name == "append":
            with open(f.args["file"], "a") as x:
                x.write("x")
        elif f.name == "lost":
            log.append(f"{self.op} {self.path.split('?')[0]} lost")
            self.hang_up("rst" in f.args)
        elif f.name == "status":
            status = int(f.args["code"])
            code = f.args.get("s3", {503: "SlowDown", 500: "InternalError"}.get(status, "NotImplemented"))
            self.refuse(status, code, [("Retry-After", f.args["retry-after"])] if "retry-after" in f.args else [])
            return True
        elif f.name == "error200":
            self.answer(200, b"<?xml version='1.0'?>" + b" " * 2000 + b"<Error><Code>InternalError</Code><Message>as told</Message></Error>")
            return True
        return False

    @contextlib.contextmanager
    def counted(self):
        global now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            yield
        finally:
            with lock:
                now -= 1

    def wait(self, seconds, then):
        """Not longer than there is a client, and that fault, withdrawn `then` times before it was told of."""
        until, left = time.monotonic() + seconds, 1
        while left > 0:
            left = until - time.monotonic() if withdrawn == then else 0
            if select.select([self.connection], [], [], min(max(left, 0), 0.05))[0] and not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone

    def operation(self):
        m, q = self.command, self.query
        if not self.key and "lifecycle" in q:
            return {"GET": "getrules", "PUT": "putrules", "DELETE": "deleterules"}[m]
        if not self.key and m == "POST" and "delete" in q:
            return "deletemany"
        if not self.key and m == "GET":
            return "uploads" if "uploads" in q else "list"
        if "uploadId" in q:
            return {"PUT": "part", "POST": "complete", "DELETE": "abort", "GET": "listparts"}[m]
        return {"PUT": "put", "POST": "create", "GET": "get", "HEAD": "head", "DELETE": "delete"}[m]

    def handle_all(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        path = urllib.parse.unquote(url.path, errors="surrogateescape")
        self.fault = None
        try:
            if path.startswith("/-/"):
                self.op, self.key = "control", ""
                self.control(path[3:])
                return
            self.bucket, _, self.key = path[1:].partition("/")
            self.where = path[1:]
            self.op = self.operation()
            self.fault = take_fault(self.op)
            if self.fault and self.fault.name == "early":
                self.refuse(int(self.fault.args["code"]), "SlowDown", [("Connection", "close")])
                self.connection.shutdown(socket.SHUT_WR)
                while self.connection.recv(1 << 16):   # else the kernel would follow the answer with RST
                    pass
                self.hang_up()
            with self.counted():
                data = self.body()
                if not self.broken(False):
                    getattr(self, "do_" + self.op)(data)
        except Gone:
            pass
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_all

    def control(self, what):
        global most, withdrawn
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            if what == "fault":
                lines = data.decode().strip().splitlines()
                faults[:] = faults + [Fault(x) for x in lines] if lines else []
                withdrawn += not lines
                self.answer(200)
            elif what == "anew":
                faults[:] = map(Fault, data.decode().strip().splitlines())
                log.clear()
                withdrawn, most = withdrawn + 1, 0
                self.answer(200)
            elif what == "log":
                self.answer(200, "".join(x + "\n" for x in log if not x.startswith("control")).encode())
            elif what == "most":
                self.answer(200, b"%d\n" % most)
            elif what == "uploads":
                self.answer(200, "".join(x + "\n" for x in uploads).encode())
            elif self.command == "GET":
                o = objects.get(what[4:])
                self.answer(200 if o else 404, o.data if o else b"")
            elif self.command == "PUT":
                objects[what[4:]] = Object(data)
                self.answer(200)
            else:
                objects.pop(what[4:], None)
                self.answer(200)

    def flipped(self, data):
        """What is stored or sent, and its ETag where that is another than its own."""
        f = self.fault
        if f and f.name == "noecho" and "etag" in f.args:
            return data, "opaque-" + os.urandom(8).hex()
        if not f or f.name != "flip" or not data:
            return data, None
        bad = bytearray(data)
        bad[len(bad) // 2] ^= 1
        return bytes(bad), hashlib.md5(data).hexdigest() if "etag" in f.args else None

    def stored(self, etag, data, fields=()):
        """The answer to something stored."""
        f = self.fault
        if self.broken(True):
            return
        if f and f.name == "etag":
            etag = f.args["value"]
        crc = self.headers.get("x-amz-checksum-crc32c") if not f or f.name != "noecho" else None
        fields = [*fields, ("ETag", f'"{etag}"')] + ([("x-amz-checksum-crc32c", crc32c(data))] if crc else [])
        self.answer(200, b"", fields)

    def conditions(self):
        """1 when a condition does not hold, and the answer is out."""
        there = objects.get(self.where)
        if self.headers.get("If-None-Match") == "*" and there:
            self.refuse(412, "PreconditionFailed")
            return True
        want = self.headers.get("If-Match")
        if want and there and want.strip('"') != there.etag:
            self.refuse(412, "PreconditionFailed")
            return True
        return False

    def kept_fields(self):
        return [(n, v) for n, v in self.headers.items()
                if re.match("content-type|cache-control|x-amz-meta-|x-amz-storage-class", n.lower())]

    def do_put(self, data):
        with lock:
            if self.conditions():
                return
            kept, etag = self.flipped(data)
            o = objects[self.where] = Object(kept, self.kept_fields(), etag)
        self.stored(o.etag, kept)

    def do_create(self, _):
        name = os.urandom(12).hex()
        with lock:
            uploads[name] = {"where": self.where, "fields": self.kept_fields(), "parts": {}}
        if not self.broken(True):
            self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>".encode())

    def upload(self):
        u = uploads.get(self.query["uploadId"])
        if not u or u["where"] != self.where:
            self.refuse(404, self.fault and self.fault.args.get("s3") or "NoSuchUpload")
            return None
        return u

    def do_part(self, data):
        with lock:
            u = self.upload()
            if not u:
                return
            kept, etag = self.flipped(data)
            o = u["parts"][int(self.query["partNumber"])] = Object(kept, (), etag)
        self.stored(o.etag, kept)

    def do_complete(self, data):
        with lock:
            u = self.upload()
            if not u or self.conditions():
                return
            asked = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>(?:&quot;|\")?([^&<\"]*)", data.decode())
            parts = [u["parts"].get(int(n)) for n, _ in asked]
            if not parts or any(p is None or p.etag != e for p, (_, e) in zip(parts, asked)):
                self.refuse(400, "InvalidPart")
                return
            kept, _ = self.flipped(b"".join(p.data for p in parts))
            etag = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts)).hexdigest() + f"-{len(parts)}"
            f = self.fault
            if f and f.name == "etag":
                etag = f.args["value"]
            objects[self.where] = Object(kept, u["fields"], etag)
            objects[self.where].part = len(parts[0].data)
            del uploads[self.query["uploadId"]]
        if not self.broken(True):
            self.answer(200, f"<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>".encode())

    def do_abort(self, _):
        with lock:
            if self.upload():
                del uploads[self.query["uploadId"]]
                self.answer(204)

    def do_listparts(self, _):
        with lock:
            u = self.upload()
            if not u:
                return
            first = int(self.query.get("part-number-marker", 0))
            numbers = [n for n in sorted(u["parts"]) if n > first]
            page, rest = numbers[:5], numbers[5:]   # few, so that every test sees several pages
            rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{u['parts'][n].etag}&quot;</ETag>"
                           f"<Size>{len(u['parts'][n].data)}</Size></Part>" for n in page)
        more = f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>" if rest else ""
        self.answer(200, f"<ListPartsResult><IsTruncated>{'true' if rest else 'false'}</IsTruncated>{more}{rows}</ListPartsResult>".encode())

    def do_uploads(self, _):
        with lock:
            rows = "".join(f"<Upload><Key>{escape(u['where'].partition('/')[2])}</Key><UploadId>{x}</UploadId>"
                           f"<Initiated>2025-12-29T10:00:00.000Z</Initiated></Upload>" for x, u in uploads.items())
        self.answer(200, f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{rows}</ListMultipartUploadsResult>".encode())

    def object(self):
        with lock:
            f = self.fault
            if f and f.name == "replace" and self.where in objects:
                objects[self.where] = Object(objects[self.where].data[::-1])
            o = objects.get(self.where)
            if not o:
                self.refuse(404, "NoSuchKey")
            return o

    def object_fields(self, o):
        f = self.fault
        etag = f.args["value"] if f and f.name == "etag" else o.etag
        return [*o.fields, ("ETag", f'"{etag}"'), ("Last-Modified", DAY), ("Accept-Ranges", "bytes")]

    def do_head(self, _):
        o = self.object()
        if o and not self.conditions() and not self.broken(True):
            n, fields = len(o.data), self.object_fields(o)
            if "partNumber" in self.query and hasattr(o, "part"):
                n = min(n, o.part)
                fields.append(("x-amz-mp-parts-count", o.etag.partition("-")[2]))
            self.answer(200, b"", fields, self.fault.args["value"] if self.fault and self.fault.name == "length" else n)

    def do_get(self, _):
        o = self.object()
        if not o or self.conditions() or self.broken(True):
            return
        data, _ = self.flipped(o.data)
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not m:
            self.answer(200, data, self.object_fields(o))
        elif int(m[1]) >= len(data):
            self.refuse(416, "InvalidRange")
        else:
            last = min(int(m[2]) if m[2] else len(data) - 1, len(data) - 1)
            piece, _ = self.flipped(o.data[int(m[1]):last + 1])
            self.answer(206, piece, [*self.object_fields(o), ("Content-Range", f"bytes {m[1]}-{last}/{len(data)}")])

    def do_list(self, _):
        q, f = self.query, self.fault
        prefix, delimiter, token = q.get("prefix", ""), q.get("delimiter"), q.get("continuation-token", "")
        size = int(f.args["keys"]) if f and f.name == "page" else 1000
        start = len(self.bucket) + 1
        rows, last, more = [], "", False
        with lock:
            for where in sorted(w for w in objects if w.startswith(self.bucket + "/" + prefix)):
                key = where[start:]
                cut = key.find(delimiter, len(prefix)) + 1 if delimiter else 0
                name = key[:cut] if cut else key
                if name <= token or name == last:
                    continue
                if len(rows) == size:
                    more = True
                    break
                last = name
                text = urllib.parse.quote(name, errors="surrogateescape")
                o = objects[where]
                rows.append(f"<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>" if cut else
                            f"<Contents><Key>{text}</Key><LastModified>2025-12-29T10:00:00.000Z</LastModified>"
                            f"<ETag>&quot;{o.etag}&quot;</ETag><Size>{len(o.data)}</Size></Contents>")
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        self.answer(200, f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
                         f"{''.join(rows)}</ListBucketResult>".encode())

    def delete_marker(self):
        return [("x-amz-delete-marker", "true")] if self.fault and self.fault.name == "marker" else []

    def do_delete(self, _):
        with lock:
            objects.pop(self.where, None)
        if not self.broken(True):
            self.answer(204, b"", self.delete_marker())

    def do_deletemany(self, data):
        if base64.b64encode(hashlib.md5(data).digest()).decode() != self.headers.get("Content-MD5"):
            self.refuse(400, "BadDigest")
            return
        root, out = ElementTree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", data)), ""
        keys = [k.text for k in root.iterfind("Object/Key")]
        quiet = root.findtext("Quiet") == "true"
        marker = "<DeleteMarker>true</DeleteMarker>" if self.delete_marker() else ""
        if len(keys) > 1000 or not keys:
            self.refuse(400, "MalformedXML")
            return
        for key in keys:
            code = "AccessDenied" if "denied" in key else "NoSuchKey" if "ghost" in key else None
            with lock:
                if "busy" in key and key not in busy:
                    busy.add(key)
                    code = "InternalError"
                if not code:
                    objects.pop(f"{self.bucket}/{key}", None)
            if code:
                out += f"<Error><Key>{escape(key)}</Key><Code>{code}</Code><Message>as told</Message></Error>"
            elif not quiet:
                out += f"<Deleted><Key>{escape(key)}</Key>{marker}</Deleted>"
        if not self.broken(True):
            self.answer(200, f"<?xml version='1.0'?><DeleteResult>{out}</DeleteResult>".encode())

    def do_getrules(self, _):
        if self.bucket in rules:
            data, small = rules[self.bucket]
            self.answer(200, data, [(SMALL, small)])
        else:
            self.refuse(404, "NoSuchLifecycleConfiguration")

    def do_putrules(self, data):
        f = self.fault
        if f and f.name == "rewrite":
            data = data.replace(b"<ID>", b"<ID >")
        if f and f.name == "drop":
            data = re.sub(rb"<Rule>.*(?=<Rule>)", b"", data, flags=re.S)
        # Without that field the default: docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
        rules[self.bucket] = data, self.headers.get(SMALL, "all_storage_classes_128K")
        self.answer(200)

    def do_deleterules(self, _):
        rules.pop(self.bucket, None)
        self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass

    def finish_request(self, request, address):
        if len(sys.argv) > 2:
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, address)


if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:3])
server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
parent = os.getppid()
while os.getppid() == parent:
    time.sleep(0.2)
