"""Whatever leaves r2 but the request itself: command line, environment of what it starts, files, log and messages, while the server repeats the
request in its refusals. None has the secret, the session token, the proxy's login or a signature."""
import http.server, os, pathlib, re, signal, subprocess, sys, tempfile, threading, time

R2 = os.path.realpath(os.environ.get("R2", pathlib.Path(__file__).resolve().parent.parent / "r2"))
SECRET, TOKEN, PASSWORD = "s3cr3t" * 6, "t0k3n/+=" * 9, "pa55word"
LOGIN = "dXNlcjpwYTU1d29yZA=="                       # user:pa55word
failed = 0


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = "; ".join(f"{k}: {v}" for k, v in self.headers.items()).replace("&", "&amp;").replace("<", "&lt;")
        signature = re.findall("Signature=[0-9a-f]*", told)[0]
        body = b""
        if self.path.startswith("/redirect"):
            status, fields = 301, [("Location", f"https://h/?X-Amz-{signature}&X-Amz-Security-Token={TOKEN}")]
        elif self.path.startswith("/tag"):
            status, fields = 200, [("ETag", TOKEN + signature), ("x-amz-checksum-crc32c", TOKEN)]
        elif self.path.startswith("/field"):
            status, fields = 200, [("Transfer-Encoding", f"{TOKEN} {signature}"), ("Content-Range", TOKEN)]
        else:
            status, fields = 403, [("cf-ray", TOKEN), ("x-amz-request-id", SECRET)]
            body = f"<Error><Code>{TOKEN}</Code><Message>{signature} {TOKEN[:40]} {SECRET} {told}</Message></Error>".encode()
        self.send_response_only(status)
        for name, value in [*fields, ("Content-Length", len(body))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do


def check(name, fine, *why):
    global failed
    print(f"{'ok' if fine else 'not ok'} - {os.environ.get('TEST_TAG', '')}tells: {name}")
    if not fine:
        failed = 1
        print("   ", *why, file=sys.stderr)


def told(text):
    """Which of them are in text; eight bytes of one are too many."""
    found = {"secret": SECRET[:8], "token": TOKEN[:8], "password": PASSWORD, "login": LOGIN[:-4]}
    return [name for name, part in found.items() if part.encode() in text] + re.findall(rb"Signature=[0-9a-f]+", text)


def files(directory):
    return b"".join(bytes(p) + b"\n" + p.read_bytes() for p in directory.rglob("*") if p.is_file() and p.name != "r2.env")


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="r2-tells-") as name:
        top, tree = pathlib.Path(name), pathlib.Path(name) / "tree"
        tree.mkdir()
        (tree / "a.png").write_text("x")
        env = {"R2_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "R2_ACCESS_KEY_ID": "id", "R2_SECRET_ACCESS_KEY": SECRET,
               "R2_SESSION_TOKEN": TOKEN, "TZ": "UTC", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": name + "/state", "PATH": os.environ["PATH"],
               "HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1"}
        for bucket in ("refuse", "redirect", "tag", "field"):
            said = b""
            for words in (["ls"], ["get", "k", "here"], ["get", "--stat", "k"], ["upload", "--key", "k", tree / "a.png"], ["upload", "--test"],
                          ["cleanup", "--days", "1"], ["sync", "--once", "--settle", "0", "--drain", "0", "--log", top / "log", "--metrics", top / "m", tree]):
                for how in ([], ["-v"], ["--json"]):
                    if bucket == "tag" and ("--stat" in words or how == ["--json"]):
                        continue                 # prints the ETag, whatever that is
                    argv = [R2, words[0], *how, "--retries", "1", "--bucket", bucket, *words[1:]]
                    p = subprocess.run(argv, env=env, cwd=name, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
                    said += p.stdout + p.stderr
            check(f"a server that repeats the request ({bucket}): not in messages, -v, --json", said and not told(said), told(said), said)
        check("... nor in log, ledger, metrics, journals", not told(files(top)), told(files(top)))
        wrong = ({"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:x"}, {"HTTPS_PROXY": f"http://user:{PASSWORD}@[::1"}, {"HTTPS_PROXY": f"http://user%:{PASSWORD}@h:1"},
                 {"https_proxy": f"socks5://user:{PASSWORD}@h:1"}, {"R2_SECRET_ACCESS_KEY": SECRET + " x"}, {"R2_SESSION_TOKEN": TOKEN + "\x01"},
                 {"R2_SECRET_ACCESS_KEY": SECRET * 10}, {"R2_SESSION_TOKEN": TOKEN * 100}, {"R2_SECRET_ACCESS_KEY_FILE": SECRET, "R2_SECRET_ACCESS_KEY": ""},
                 {"R2_ACCESS_KEY_ID": ""}, {"R2_ENDPOINT": f"https://user:{PASSWORD}@h"}, {"R2_ENDPOINT": f"https://{SECRET}:{PASSWORD}@h:x"})
        for more in wrong:
            p = subprocess.run([R2, "ls", "-v", "--retries", "1", *([] if "R2_ENDPOINT" in more else ["--endpoint", "https://127.0.0.1:1"])], env=env | more, cwd=name,
                               capture_output=True, timeout=300)
            what = " ".join(more)
            check(f"a wrong {what}: not repeated", p.returncode and p.stderr and not told(p.stderr + p.stdout), p.stderr)
        for line in (f"R2_SESSION_TOKEN='{TOKEN}", f"{TOKEN}", f"R2_SECRET_ACCESS_KEY={SECRET} {SECRET}", f"export {SECRET}", f"=x{SECRET}", f'R2_X="a"{SECRET}"'):
            (top / "r2.env").write_text(line + "\n")
            p = subprocess.run([R2, "ls", "--env-file", "r2.env"], env={k: v for k, v in env.items() if "SECRET" not in k and "TOKEN" not in k}, cwd=name,
                               capture_output=True, timeout=300)
            check(f"a bad line in the env file ({line.translate(str.maketrans({c: '' for c in SECRET + TOKEN}))[:20]}): not repeated",
                  p.returncode and p.stderr and not told(p.stderr), p.stderr)
        # What it starts, and what others see of it.
        show = ["sh", "-c", "tr '\\0' '\\n' </proc/self/environ >environ; ls -l /proc/self/fd >fds; tr '\\0' '\\n' </proc/$PPID/cmdline >cmdline; ulimit -c >core"]
        for hide in ([], ["--hide-keys"]):
            subprocess.run([R2, "sync", "--bucket", "refuse", "--retries", "1", "--drain", "0", "--log", "-", *hide, tree, "--", *show], env=env, cwd=name,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300)
            left = told((top / "environ").read_bytes())
            check("sync -- COMMAND has the keys" if not hide else "sync --hide-keys -- COMMAND has none (the proxy's login is not the store's)",
                  left == (["secret", "token", "password"] if not hide else ["password"]), left)
            check("... the command line has none", not told((top / "cmdline").read_bytes()), (top / "cmdline").read_bytes())
            # 0, 1 and 2, what the shell redirects to, and the directory that ls reads.
            check("... no descriptor of ours is open in it", len(re.findall(r" \d+ -> ", (top / "fds").read_text())) == 4, (top / "fds").read_text())
    sys.exit(failed)


main()
