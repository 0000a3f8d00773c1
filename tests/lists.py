"""A store on loopback, plain http, that only answers listings, made up as they are asked for: lists.py [LOG]
Prints its port; ends when the process that started it does. Checks no signature. What stands below the first folder of the prefix:

  many-N/          N objects of 2,000,000 bytes, 1,000 in each date folder from 2000-01-01 on
  scene-I-V/       I images of 2 MB and V videos of 35 MB, 100 a day from 2025-01-01 on; a video is single PUT
  mix-N/           N objects in no order of size or time
  kinds/           date folders and others, classes, ETags of parts
  loop/ circle/ back/ notoken/ elsewhere/ again/   listings that would never end or are none: the same token, two pages for ever, a page
                   that goes back, more without a token, a key from elsewhere, tokens for ever and no row
  up/ uploop/      uploads: three of them; for ever the same
LOG gets one line a request: its path and query.
"""
import datetime, hashlib, http.server, os, sys, threading, time, urllib.parse

PAGE = 1000
PARTS = {"one": [(1, 50), (2, 7)], "none": [], "two": [(n, 10) for n in range(1, 1502)]}   # by upload id
KINDS = [   # key, size, class, ETag
    ("2025-12-28/a.png", 1000000000, "STANDARD", "0" * 32), ("2025-12-28/b.mp4", 1500000000, "STANDARD", "0" * 32 + "-30"),
    ("2025-12-29/", 0, "STANDARD", "0" * 32), ("2025-12-29/c.png", 100, "STANDARD_IA", "0" * 32 + "-2"),
    ("2025-12-29/sub/d.png", 11, "", "opaque-5"), ("2025-12-299/e", 1, "", ""), ("2025-12-30", 2, "", "0" * 32 + "-0"),
    ("2025-12-31/f", 3, "STANDARD", "0" * 32 + "-10001"), ("2025-13-01/g", 4, "", "0" * 32 + "-1x"), ("z.png", 5, "", "-3"),
]


def day(start, n):
    return (datetime.date.fromisoformat(start) + datetime.timedelta(n)).isoformat()


def contents(key, size, kind="STANDARD", etag="0" * 32, when="2025-12-29T10:00:00.000Z"):
    return (f"<Contents><Key>{key}</Key><LastModified>{when}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
            f"<Size>{size}</Size><StorageClass>{kind}</StorageClass></Contents>")


def many(folder, at, numbers):
    return [contents(f"{folder}{day('2000-01-01', i // PAGE)}/img_{i:08}.png", 2000000,
                     when=f"2025-12-29T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}.{i % 1000:03}Z") for i in range(at, min(at + PAGE, numbers[0]))]


def scene(folder, at, numbers):
    images, videos = numbers
    ends = min(at + PAGE, images + videos)
    return [contents(f"{folder}{day('2025-01-01', i // 100)}/{i:06}.{'mp4' if i < videos else 'png'}", 35000000 if i < videos else 2000000)
            for i in range(at, ends)]


def mix(folder, at, numbers):
    rows = []
    for i in range(at, min(at + PAGE, numbers[0])):
        x = int.from_bytes(hashlib.md5(b"%d" % i).digest()[:4], "big")
        rows.append(contents(f"{folder}{i:08}", x % 1000, when=f"2025-12-{x // 1000 % 28 + 1:02}T00:00:00Z"))
    return rows


def objects(folder, token):
    """(rows, next token or "", whether there is more)"""
    kind, *numbers = folder.rstrip("/").split("-")
    numbers = [int(n) for n in numbers if n.isdigit()]
    at = int(token or 0)
    if kind in ("many", "scene", "mix"):
        rows, all_of = {"many": many, "scene": scene, "mix": mix}[kind](folder, at, numbers), sum(numbers)
        return rows, str(at + PAGE), at + PAGE < all_of
    if kind == "kinds":
        return [contents(folder + key, *rest) for key, *rest in KINDS], "", False
    if kind == "loop":
        return [contents(folder + f"{int(time.time() * 1000)}", 1)], "7", True
    if kind == "circle":
        return [contents(folder + "éè"[at % 2], 1)], str(at + 1), True
    if kind == "back":
        return [contents(folder + "bca"[min(at, 2)], 1)], str(at + 1), True
    if kind == "again":
        return [], str(at + 1), True
    if kind == "notoken":
        return [contents(folder + "a", 1)], "", True
    if kind == "elsewhere":
        return [contents("other/a", 1)], "", False
    return [], "", False


def levels(rows, folder):
    """What a delimiter makes of it."""
    out, before = [], None
    for row in rows:
        key = row.split("<Key>")[1].split("</Key>")[0]
        name, slash, _ = key[len(folder):].partition("/")
        if not slash:
            out.append(row)
        elif name != before:
            out.append(f"<CommonPrefixes><Prefix>{folder}{name}/</Prefix></CommonPrefixes>")
            before = name
    return out


def uploads(folder, prefix, marker):
    if folder == "up/":
        rows = [("up/big.mp4", "one", 28), ("up/big.mp4", "two", 29), ("up/gone", "lost", 29), ("up/new\x07", "none", 30)]
    elif folder == "uploop/":
        rows = [("uploop/a", "one", 28)]
    else:
        rows = []
    text = "".join(f"<Upload><Key>{urllib.parse.quote(k)}</Key><UploadId>{i}</UploadId>"
                   f"<Initiated>2025-12-{d}T10:00:00.000Z</Initiated></Upload>" for k, i, d in rows if k.startswith(prefix))
    if folder == "uploop/":
        text += f"<IsTruncated>true</IsTruncated><NextKeyMarker>uploop/{len(marker)}</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>"
    return f"<ListMultipartUploadsResult><EncodingType>url</EncodingType>{text}</ListMultipartUploadsResult>"


def parts(upload, after):
    now = [p for p in PARTS[upload] if p[0] > after][:PAGE]
    text = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;x&quot;</ETag><Size>{size}</Size></Part>" for n, size in now)
    if now and now[-1] != PARTS[upload][-1]:
        text += f"<IsTruncated>true</IsTruncated><NextPartNumberMarker>{now[-1][0]}</NextPartNumberMarker>"
    return f"<ListPartsResult>{text}</ListPartsResult>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        body = body.encode()
        self.send_response_only(status)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if len(sys.argv) > 1:
            with open(sys.argv[1], "a") as f:
                print(urllib.parse.unquote(self.path), file=f)
        prefix = query.get("prefix", "")
        folder = prefix.partition("/")[0] + "/"
        if "uploads" in query:
            self.answer(uploads(folder, prefix, query.get("key-marker", "")))
        elif "uploadId" in query:
            if query["uploadId"] in PARTS:
                self.answer(parts(query["uploadId"], int(query.get("part-number-marker", 0))))
            else:
                self.answer("<Error><Code>NoSuchUpload</Code></Error>", 404)
        else:
            rows, token, more = objects(folder, query.get("continuation-token", ""))
            if prefix != folder:
                rows = [r for r in rows if "<Key>" + prefix in r]
            if "delimiter" in query:
                rows = levels(rows, prefix)
            text = "<IsTruncated>true</IsTruncated>" if more else "<IsTruncated>false</IsTruncated>"
            if more and token:
                text += f"<NextContinuationToken>{token}</NextContinuationToken>"
            self.answer(f"<ListBucketResult>{text}{''.join(rows)}</ListBucketResult>")


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
