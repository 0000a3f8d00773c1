"""No server, bucket, file name or setting gets a byte to a terminal that it would act on: every command, on a pty, with all of them hostile."""
import http.server, os, pathlib, pty, re, select, subprocess, sys, tempfile, threading, time, urllib.parse

R2 = os.path.realpath(os.environ.get("R2", pathlib.Path(__file__).resolve().parent.parent / "r2"))
# A title, a colour, a bell, a backspace, DEL, C1 as UTF-8 and as a byte, and what turns text around (CVE-2021-42574).
EVIL = b"\x1b]0;own\x07\x1b[31m\x08\x7f\xc2\x9b31m\x9b31m\xe2\x80\xaegpj.exe\xe2\x81\xa6"
# We colour nothing ourselves, so no ESC at all.
ACTS = [b"\x1b", b"\x07", b"\x08", b"\x7f", b"\xc2\x9b", b"\x9b", b"\xe2\x80\xae", b"\xe2\x81\xa6"]
NAME = b"\x1b]0;own\x07\x1b[31m\x08\x7f\xc2\x9b31m\xe2\x80\xaegpj.exe\xe2\x81\xa6"          # what UTF-8 allows
failed = 0


def xml(tag, *inner):
    return b"<%s>%s</%s>" % (tag, b"".join(inner), tag)


def listing(key):
    fields = [xml(b"LastModified", b"2020-01-01T00:00:00.000Z"), xml(b"ETag", EVIL), xml(b"Size", b"1")]
    upload = xml(b"Upload", xml(b"Key", key), xml(b"UploadId", EVIL), xml(b"Initiated", b"2020-01-01T00:00:00.000Z"))
    rule = xml(b"Rule", xml(b"ID", EVIL), xml(b"Status", b"Enabled"), xml(b"Filter", xml(b"Prefix", key)), xml(b"Expiration", xml(b"Days", b"7")))
    return [xml(b"ListBucketResult", xml(b"IsTruncated", b"false"), xml(b"Contents", xml(b"Key", key), *fields),
                xml(b"Contents", xml(b"Key", b"p/2020-01-01/" + key), *fields), xml(b"CommonPrefixes", xml(b"Prefix", key + b"/"))),
            xml(b"ListMultipartUploadsResult", xml(b"IsTruncated", b"false"), upload), xml(b"LifecycleConfiguration", rule)]


class Hostile(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", *fields):
        head = [b"HTTP/1.1 %d %s" % (status, b"OK"), b"Content-Length: %d" % len(body), b"Server: " + EVIL, b"cf-ray: " + EVIL, *fields]
        self.wfile.write(b"\r\n".join(head) + b"\r\n\r\n" + (b"" if self.command == "HEAD" else body))

    def do(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urllib.parse.unquote(self.path)
        how = "".join(re.findall(r"mode-(\w+)", path)[:1])
        if how == "slow":                        # a fine answer, late enough for a line of progress
            time.sleep(0.4)
            row = xml(b"Contents", xml(b"Key", b"p/2020-01-01/x"), xml(b"LastModified", b"2020-01-01T00:00:00Z"), xml(b"Size", b"1"))
            body = xml(b"ListBucketResult", row, xml(b"CommonPrefixes", xml(b"Prefix", b"p/2020-01-01/"))) if "list-type" in path else b"x"
            return self.reply(200, xml(b"DeleteResult") if "delete" in path else body, b'ETag: "9dd4e461268c8034f5c8564e155c67a6"')
        error = xml(b"Error", xml(b"Code", EVIL), xml(b"Message", EVIL), xml(b"RequestId", EVIL), xml(b"Key", EVIL))
        described = [b"ETag: " + EVIL, b"Content-Type: " + EVIL, b"Last-Modified: " + EVIL, b"x-amz-meta-evil: " + EVIL, b"x-amz-checksum-crc32c: " + EVIL]
        if how == "refuse":
            self.reply(403, error)
        elif how == "redirect":
            self.reply(301, error, b"Location: https://" + EVIL)
        elif how == "field":
            self.reply(200, b"x", EVIL + b": x")
        elif how == "length":
            self.reply(200, b"x", b"Transfer-Encoding: " + EVIL, b"Content-Range: " + EVIL)
        elif how == "garbage":
            self.wfile.write(EVIL + b"\r\n\r\n")
            self.close_connection = True
        elif how == "error":
            self.reply(200, error)
        elif how == "tags":
            self.reply(200, b"<" + EVIL + b">", *described)
        elif "uploads" in path:
            self.reply(200, listing(NAME)[1])
        elif "lifecycle" in path:
            self.reply(200, listing(NAME)[2])
        elif "list-type" in path:
            self.reply(200, listing(NAME)[0])
        elif "delete" in path:
            self.reply(200, xml(b"DeleteResult", xml(b"Error", xml(b"Key", NAME), xml(b"Code", EVIL), xml(b"Message", EVIL))))
        else:
            self.reply(200, b"x", *described)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do


def on_terminal(argv, env, directory):
    """All that the command says, standard output and error, on a terminal."""
    main, end = pty.openpty()
    p = subprocess.Popen(argv, env=env, cwd=directory, stdin=subprocess.DEVNULL, stdout=end, stderr=end)
    os.close(end)
    said, until = b"", time.monotonic() + 300
    while time.monotonic() < until:
        if not select.select([main], [], [], 1)[0]:
            continue
        try:
            said += os.read(main, 1 << 16)
        except OSError:                          # EIO: the last writer is gone
            break
    else:
        p.kill()
    os.close(main)
    p.wait()
    return said


def check(name, argv, env, directory, told=True):
    global failed
    said = on_terminal([R2, *argv], env, directory)
    found = [a for a in ACTS if a in re.sub(rb"[\xc2-\xf4][\x80-\xbf]+", lambda m: b"" if m[0].decode(errors="ignore").isprintable() else m[0], said)]
    if found or (told and not said):
        failed += 1
        print(f"not ok - terminal: {name}")
        print("   ", found, said, file=sys.stderr)


# What is the result never stands in the line of progress, nor that in it.
def check_apart(name, argv, env, directory, want):
    global failed
    said = on_terminal([R2, *argv], env, directory)
    if not re.search(want, said):
        failed += 1
        print(f"not ok - terminal: {name}")
        print("   ", said, file=sys.stderr)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="r2-terminal-") as name:
        top = pathlib.Path(name)
        env = {"R2_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "R2_ACCESS_KEY_ID": "id", "R2_SECRET_ACCESS_KEY": "secret", "TZ": "UTC",
               "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": name + "/state", "R2_BUCKET": "bucket", "PATH": os.environ["PATH"]}
        tree = top / "tree"
        tree.mkdir()
        (tree / os.fsdecode(NAME + b".png")).write_text("x")
        os.symlink(b"nowhere" + NAME, os.fsencode(tree) + b"/" + NAME + b"broken.png")
        key = NAME.decode()
        count = 0
        for mode in ("fine", "refuse", "redirect", "field", "length", "garbage", "error", "tags"):
            at = f"mode-{mode}"
            for more in ([], ["-v"], ["--json"]):
                one = [*more, "--retries", "1", "--bucket", at]
                for words in (["ls"], ["ls", "-r", "--summary", "--cost"], ["ls", "--by-date"], ["ls", "--uploads"], ["get", "--stat", key],
                              ["get", key, "here"], ["get", "-r", "p", "there"], ["get", key, "/dev/null"], ["upload", "--test"],
                              ["upload", "-r", tree], ["upload", "--if-exists", "rename", "--key", key, tree / (key + ".png")],
                              ["cleanup", "--days", "1", "--prefix", "p"], ["cleanup", "-n", "--days", "1", "--prefix", "p", "--uploads", "1d"],
                              ["cleanup", "--lifecycle", "show"]):
                    if more and mode in ("redirect", "field", "length", "garbage", "error") and words[0] != "upload":
                        continue
                    count += 1
                    check(f"{' '.join(map(str, words))!r} {more}, {mode}", [*words[:1], *one, *words[1:]], env, name, told=False)
            count += 1
            check(f"sync, {mode}", ["sync", "--once", "--settle", "0", "--drain", "1", "--retries", "1", "--bucket", at, "--state", top / at, tree], env, name)
        progress = ["upload", "--progress", "always", "--bucket", "mode-fine", "--retries", "1", "--no-date", tree / (key + ".png")]
        check("upload --progress", progress, env, name)
        check_apart("cleanup: its result", ["cleanup", "--bucket", "mode-slow", "--days", "1", "--prefix", "p"], env, name, rb"[\r\n]Deleted 1 files")
        check_apart("upload --json", ["upload", "--json", "--bucket", "mode-slow", "--retries", "1", tree / (key + ".png")], env, name, rb'\n\{"file"')
        check_apart("get KEY -", ["get", "--bucket", "mode-slow", "plain", "-"], env, name, rb"^x$")
        count += 3
        for what, words, more in (
                ("bucket", ["ls", "--bucket", key], {}), ("endpoint", ["ls", "--endpoint", "https://" + key], {}),
                ("endpoint, port", ["ls", "--endpoint", "https://h:" + key], {}), ("env file", ["ls", "--env-file", key], {}),
                ("CA file", ["ls", "--ca-file", key, "--endpoint", "https://h"], {}), ("region", ["ls"], {"R2_REGION": key}),
                ("jurisdiction", ["ls"], {"R2_JURISDICTION": key}), ("secret's file", ["ls"], {"R2_SECRET_ACCESS_KEY": "", "R2_SECRET_ACCESS_KEY_FILE": "/" + key}),
                ("proxy", ["ls", "--endpoint", "https://h"], {"HTTPS_PROXY": "http://" + key + ":1"}), ("key", ["upload", "--key", key + "/../x", tree / (key + ".png")], {}),
                ("prefix", ["upload", "--prefix", key + "/..", tree / (key + ".png")], {}), ("file", ["upload", key], {}),
                ("date", ["upload", "--date", key, key], {}), ("metadata", ["upload", "--meta", key, key], {}), ("option", ["ls", "--" + key], {}),
                ("choice", ["upload", "--if-exists", key, key], {}), ("number", ["ls", "--retries", key], {}), ("operands", ["get", "a", "b", key], {}),
                ("command", [key], {}), ("option of r2", ["--" + key], {}), ("help", ["help", key], {}), ("DIR of --install", ["--install", key], {}),
                ("DIR", ["sync", "--once", key], {}), ("log", ["sync", "--once", "--log", key + "/x", tree], {}),
                ("COMMAND", ["sync", "--log", "-", "--state", top / "c", "--bucket", "mode-fine", tree, "--", key], {}),
                ("metrics", ["sync", "--once", "--log", "-", "--metrics", key + "/x", "--state", top / "m", "--bucket", "mode-fine", tree], {}),
                ("--status", ["sync", "--status", "--state", top / "none", key], {})):
            count += 1
            check(f"{what} with control characters", words, env | more, name)
        evil = top / "evil.env"
        evil.write_bytes(b"R2_BUCKET=" + EVIL + b"\nnonsense " + EVIL + b"\n")
        check("env file with a bad line", ["ls", "--env-file", evil], env | {"R2_BUCKET": ""}, name)
    print(f"ok - terminal: {count} commands, nothing that a terminal acts on" if not failed else f"not ok - terminal: {failed} of {count}")
    sys.exit(failed != 0)


main()
