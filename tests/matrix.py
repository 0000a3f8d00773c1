"""What comes of each fault for each command: one table, MATRIX below. matrix.py [-j N] [WORD…]: cells whose row or column has each WORD.
The table, then a line a check as tests/run counts them.
A cell is one run of r2 through a faultproxy.py of its own. It has to come out as the table says:
  done      status 0, and the object, file, listing or bucket is as it should be: looked at past the proxy
  a text    status 1, and a message with that pattern; nothing is called done that is not, nothing half stands under the final name.
            Of sync: its log says it, and once the fault is over the file is uploaded, and status 0
  waits     it waits for longer than this test does, doing nothing, and a signal ends it at once
and whatever comes of it: neither a control character nor the secret is in what it says, and never longer than LIMIT_S, never more than RSS_KIB of memory, never more than CPU_S of processor time.
Environment: R2 (the program), R2_TEST_SERVER_DIR (a running server of tests/server)."""
import concurrent.futures, os, pathlib, queue, re, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, traceback
import email.utils, urllib.request
from sync_lib import Bucket, Failed, Proxy, R2, TESTS, clean_env, wait

LIMIT_S, RSS_KIB, CPU_S = 120, 8192, 1.0
COLUMNS = ("put", "parts", "get", "ls", "cleanup", "sync")
PATIENT, BRIEF = ("--timeout", "15", "--retries", "3"), ("--timeout", "2", "--retries", "2")
ONCE = ("--retries", "9")                # for a fault that is over, but not for other delays of a busy machine
DONE, WAITS = "done", "waits"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="r2-matrix-"))
DOMAIN = "r2.cloudflarestorage.com"     # the server's certificate bears its names


class Row:
    """words: what the proxy is told, or some of these: server=, another one than the first; dns=, what a name server says;
    connect=, what an HTTP proxy does; url=, another endpoint. brief: the time-out has to pass. all: what comes of it; put=, get=…: there,
    writes=: of all that writes; None: that cell does not tell anything."""

    def __init__(self, name, *words, all=DONE, brief=False, more=(), server="plain", dns=None, connect=None, url=None, **columns):
        self.name, self.words, self.server, self.dns, self.connect, self.url = name, words, server, dns, connect, url
        self.expected = {c: columns.get(c, columns.get("writes", all) if c in ("put", "parts", "sync") else all) for c in COLUMNS}
        # Where the time-out does not have to pass, a busy machine has longer than that.
        self.options = {c: (*(BRIEF if brief or re.search("no progress|timed out", x or "") else PATIENT), *more) for c, x in self.expected.items()}


def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True).replace(" ", "%20")


LONG = rb"(SlowDown|ServiceUnavailable): the server asks to wait 300 s"
BUSY = "SlowDown|ServiceUnavailable"     # a HEAD has no body that says which
OK200 = "HTTP/1.1%20200%20OK%0d%0a"
MATRIX = [
    Row("nothing"),
    # The way there.
    Row("refused", "outage 100 refuse", all="Connection refused: nothing listens there"),
    Row("refused for a second", "outage 1 refuse", more=ONCE),
    Row("reset at once", "outage 100 rst", all="closed during the handshake|Connection reset"),
    Row("nobody answers SYN", "outage 100 hole", all="timed out: check the network"),
    Row("nobody accepts", "outage 100 stall", all="no progress for 2.0 s"),
    Row("garbage for TLS", "at down 0 garbage", all="does not speak TLS"),
    Row("handshake: FIN, once", "at down 300 fin 1"),
    Row("handshake: FIN", "at down 300 fin", all="closed during the handshake"),
    Row("handshake: RST, once", "at down 300 rst 1"),
    Row("handshake: RST", "at down 300 rst", all="closed during the handshake"),
    Row("handshake: stall, once", "at down 300 stall 1", brief=True, more=ONCE),
    Row("handshake: stall", "at down 300 stall", all="no progress for 2.0 s"),
    Row("handshake: drip", "at down 0 drip=300", all="no progress for 2.0 s"),
    Row("handshake: a byte flipped, once", "at down 150 flip 1", all="tls: 127.0.0.1: ", sync=DONE),
    Row("handshake: a byte flipped", "at down 150 flip", all="tls: 127.0.0.1: "),
    Row("delay", "delay 150"),
    Row("request: FIN, once", "at up 100000 fin 1"),
    Row("request: FIN", "at up 100000 fin", writes="closed|reset|Broken pipe"),
    Row("request: RST, once", "at up 100000 rst 1"),
    Row("request: RST", "at up 100000 rst", writes="closed|reset|Broken pipe"),
    Row("request: stall, once", "at up 100000 stall 1", brief=True, more=ONCE),
    Row("request: stall", "at up 100000 stall", writes="no progress for 2.0 s"),
    Row("request: a byte flipped, once", "at up 100000 flip 1"),
    Row("request: a byte flipped", "at up 100000 flip", writes="TLS alert|damaged"),
    # A handshake takes 800 bytes, the shortest of these answers 1,100: behind a resumed handshake it ended before the 1,300th.
    Row("answer: a byte flipped, once", "at down 1000 flip 1"),
    Row("answer: a byte flipped", "at down 1000 flip", all="damaged|TLS alert", writes=None),
    Row("answer: FIN in a record, once", "at down 1000 fin 1"),
    Row("request: drip", "at up 100000 drip=300", writes="no progress for 2.0 s"),
    Row("a body: drip", "at down 40000 drip=300", all=None, get="no progress for 2.0 s"),
    Row("a body: RST, once", "at down 100000 rst 1", all=None, get=DONE),
    Row("a body: a byte flipped, once", "at down 100000 flip 1", all=None, get=DONE),
    # What the server says.
    Row("500, once", "http any status 1 code=500"),
    Row("500, but done", "http any status 1 code=500 done=1"),
    Row("500", "http any status 0 code=500", all="InternalError"),
    Row("502 in HTML, once", "http any raw 1 text=HTTP/1.1%20502%20Bad%20Gateway%0d%0aContent-Length:%206%0d%0a%0d%0a<html>"),
    Row("429, once", "http any status 1 code=429 s3=TooManyRequests"),
    Row("403", "http any status 0 code=403", all="AccessDenied"),
    Row("404 NoSuchBucket", "http any status 0 code=404 s3=NoSuchBucket", all="NoSuchBucket"),
    Row("501", "http any status 0 code=501", all="NotImplemented"),
    Row("a redirect", "http any status 0 code=307 location=https://127.0.0.1:1/", all="127.0.0.1:1|redirect"),
    Row("503, once", "http any status 1 code=503"),
    Row("503", "http any status 0 code=503", all=BUSY),
    Row("a part: 503, once", "http part status 1 code=503", all=None, parts=DONE),
    Row("a part: no answer, but done", "http part lost 1 done=1", all=None, parts=DONE),
    Row("a part: 403", "http part status 0 code=403", all=None, parts="AccessDenied"),
    Row("Complete: no answer, but done", "http complete lost 1 done=1", all=None, parts=DONE),
    Row("Complete: close_notify for an answer, before the FIN", "http complete lost 1", more=("--retries", "1"), all=None, parts=DONE),
    Row("Complete: 500, but done", "http complete status 1 code=500 done=1", all=None, parts=DONE),
    Row("a range: 503, once", "http get status 1 code=503", all=None, get=DONE),
    Row("DeleteObjects: no answer, but done", "http deletemany lost 1 done=1", all=None, cleanup=DONE),
    Row("DeleteObjects: 200 with an error", "http deletemany error200 0", all=None, cleanup="InternalError"),
    Row("DeleteObjects: an empty answer", "http deletemany body 0 text=", all=None, cleanup="there is none"),
    Row("403 that writes on the terminal", f"http any raw 0 text=HTTP/1.1%20403%20%1b[31m%0d%0aX-Amz-Request-Id:%20%1b[31m%0d%0aContent-Length:%2083%0d%0a%0d%0a"
        "<Error><Code>Access%1b[31m</Code><Message>%1b]0;x%07%9b31m%0d%0aok</Message></Error>%20%20%20%20%20", all="status 403"),
    Row("a redirect that writes on the terminal", "http any status 0 code=307 location=https://%1b[31m/%9b31m", all="status 307"),
    Row("503, Retry-After: 2", "http any status 1 code=503 retry-after=2"),
    Row("503, Retry-After: a date", "http any status 1 code=503 retry-after=" + http_date(3)),
    Row("503, Retry-After: yesterday", "http any status 1 code=503 retry-after=" + http_date(-86400)),
    Row("503, Retry-After: nonsense", "http any status 1 code=503 retry-after=soon"),
    Row("503, Retry-After: -60", "http any status 1 code=503 retry-after=-60"),
    Row("503, Retry-After: a year", "http any status 0 code=503 retry-after=31536000", all=WAITS),
    Row("503, Retry-After: a date in a year", "http any status 0 code=503 retry-after=" + http_date(31536000), all=WAITS),
    Row("200 with an error, once", "http any error200 1"),
    Row("200 with an error", "http put error200 0", "http create error200 0", "http list error200 0", all="InternalError", get=DONE,
        put="no ETag", sync="no ETag"),
    Row("200 with an error for a part", "http part error200 0", parts="no ETag"),
    Row("200 with an error for Complete", "http complete error200 0", parts="InternalError"),
    Row("200 with an error for a range", "http get error200 0", get="replaced|ignores Range|another part"),
    Row("200 and a web page", *(f"http {x} raw 0 text={OK200}Content-Length:%2013%0d%0a%0d%0a<html></html>" for x in ("put", "create", "list")),
        put="no ETag", sync="no ETag", parts="without naming it", ls="no <ListBucketResult>", cleanup="no <ListBucketResult>"),
    Row("200 with an error, but done", "http any error200 1 done=1"),
    Row("early 503, once", "http any early 1 code=503"),
    Row("early 503", "http any early 0 code=503", all=BUSY),
    Row("no answer, once", "http any lost 1"),
    Row("no answer, but done", "http any lost 1 done=1"),
    Row("no answer, but done, RST", "http any lost 1 done=1 rst=1"),
    Row("no answer", "http any lost 0", all="without an answer"),
    Row("a late answer, once", "http any wait 1 seconds=3", brief=True, more=ONCE),
    Row("a late answer", "http any wait 0 seconds=30", all="no progress for 2.0 s"),
    Row("its clock is five hours ahead", server="ahead"),
    Row("its clock is five hours behind", server="behind"),
    Row("a Date of tomorrow", "http any date 0 seconds=100000", cleanup="clock"),
    Row("a clock that cannot be right", "http any status 0 code=403 s3=RequestTimeTooSkewed", all="RequestTimeTooSkewed"),
    # How it says it.
    Row("in chunks", "http any chunked 0"),
    Row("until the end of the connection", "http any eof 0"),
    Row("an answer byte by byte", "http any drip 0 ms=2 bytes=40"),
    Row("a body byte by byte, for ever", "http any drip 0 ms=60 head=1", all=None, get="no progress for .* but .* bytes"),
    Row("a header of a byte a second", "http any drip 0 ms=700", all="no progress for 2.0 s"),
    Row("two answers, once", "http any twice 1"),
    Row("two answers", "http any twice 0"),
    Row("an answer to another request", "http any previous 0", parts="XML is broken", get="ignores Range", cleanup="not below"),
    Row("ten answers 100", "http any interim 0 n=10"),
    Row("a hundred answers 100", "http any interim 0 n=100", all="too many 1xx"),
    Row("answers 100 one by one", "http any interim 0 n=100 ms=300", all="too many 1xx", brief=True),
    Row("answers 103 for ever", "http any raw 0 n=0 text=HTTP/1.1%20103%20Early%0d%0a%0d%0a", all="too many 1xx"),
    Row("101", "http any raw 0 text=HTTP/1.1%20101%20Switch%0d%0a%0d%0a", all="101, which nobody asked for"),
    Row("fifty fields", "http any fields 0 n=50"),
    Row("a thousand fields", "http any fields 0 n=1000", all="too long|too many"),
    Row("a line for ever", "http any raw 0 n=0 text=HTTP/1.1%20200%20", all="too long"),
    Row("garbage", "http any raw 0 text=%00%01%02%80%ff%0d%0a%0d%0a", all="not valid HTTP|not HTTP/1.1"),
    Row("garbage for ever", "http any raw 0 n=0 text=%80", all="too long"),
    Row("SSH", "http any raw 0 text=SSH-2.0-OpenSSH%0d%0a", all="not HTTP/1.1: is it the right port"),
    Row("HTTP/2", "http any raw 0 text=%00%00%12%04%00%00%00%00%00%00%03%00%00%00d%0d%0a", all="not valid HTTP|not HTTP/1.1"),
    Row("lines without CR", "http any raw 0 text=HTTP/1.1%20200%20OK%0aContent-Length:%200%0a%0a", all="ends without CR"),
    Row("Content-Length: -1", "http any header 0 Content-Length=-1", all="not valid HTTP: .*Content-Length"),
    Row("Content-Length of 20 digits", "http any header 0 Content-Length=99999999999999999999", all="not valid HTTP: .*Content-Length"),
    Row("two Content-Lengths", f"http any raw 0 text={OK200}Content-Length:%200%0d%0aContent-Length:%205%0d%0a%0d%0a", all="Content-Length"),
    Row("chunks and a length", f"http any raw 0 text={OK200}Content-Length:%205%0d%0aTransfer-Encoding:%20chunked%0d%0a%0d%0a0%0d%0a%0d%0a",
        all="not valid HTTP"),
    Row("no ETag", "http any drop 0 name=etag", parts="InvalidPart"),
    Row("no Date", "http any drop 0 name=date"),
    # What is in it.
    Row("a body that is longer than it is", "http any length 0 add=100", put=DONE, sync=DONE, all="cut short", get="another part"),
    Row("a body cut in two, once", "http any cut 1 bytes=150"),
    Row("a body cut by RST, once", "http any cut 1 bytes=150 rst=1"),
    Row("a body cut in two", "http any cut 0 bytes=150", put=DONE, sync=DONE, all="cut short"),
    Row("a body that stalls", "http any stall 0 bytes=150", put=DONE, sync=DONE, all="no progress for 2.0 s"),
    Row("an empty body", "http any body 0 text=", put=DONE, sync=DONE, all="there is none", get="other bytes than the ETag says"),
    Row("another byte, once", "http get flip 1", get="other bytes than the ETag says"),
    Row("another byte", "http get flip 0", get="other bytes than the ETag says"),
    Row("compressed", "http any gzip 0", put=DONE, sync=DONE, all="XML is broken", get="another part|ignores Range|longer|other bytes"),
    Row("spaces for ever", "http any endless 0", put=DONE, sync=DONE, all="over 16 MiB", get="other bytes than the ETag says"),
    Row("500 with spaces for ever", "http any endless 0 code=500", all="InternalError"),
    Row("rows for ever", "http list endlessly 0 text=<Contents><Key>" + "k" * 900 + "</Key></Contents>", ls="page larger", cleanup="page larger"),
    Row("elements for ever", "http list endlessly 0 text=<x/>", ls="over 16 MiB", cleanup="over 16 MiB"),
    # Names.
    Row("DNS: an address", dns="good"),
    Row("DNS: no such name", dns="nxdomain", all="cannot resolve .*check the spelling in R2_ENDPOINT"),
    Row("DNS: no address", dns="empty", all="cannot resolve "),
    Row("DNS: it fails", dns="servfail", all="cannot resolve .*do not answer"),
    Row("DNS: it refuses", dns="refused", all="cannot resolve "),
    Row("DNS: silence", dns="silent", all="cannot resolve .*do not answer"),
    Row("DNS: garbage", dns="garbage", all="cannot resolve .*do not answer"),
    Row("DNS: garbage for an answer", dns="broken", all="cannot resolve "),
    Row("DNS: answers to other questions first", dns="forged"),
    Row("DNS: names for ever", dns="loop", all="cannot resolve "),
    Row("DNS: dead addresses first", dns="dead first"),
    Row("DNS: dead addresses only", dns="dead", all="cannot connect to .*Connection refused"),
    Row("DNS: fifteen dead addresses first", dns="many dead first"),
    Row("DNS: twenty dead addresses", dns="many dead", all="cannot connect to .*Connection refused"),
    Row("DNS: an answer cut off", dns="cut off"),
    Row("DNS: no answer but for IPv4", dns="no v6"),
    Row("DNS: no such name but for IPv4", dns="nxdomain v6"),
    Row("DNS: a search domain that fails", dns="search"),
    Row("DNS: somebody else's address", dns="elsewhere", all="certificate"),
    # An HTTP proxy on the way.
    Row("proxy: a tunnel", connect="tunnel"),
    Row("proxy: 403", connect="HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", all="proxy 127.0.0.1:[0-9]+ refuses the connection to .*: HTTP/1.1 403 No"),
    Row("proxy: 403 that writes on the terminal", connect="HTTP/1.1 403 \x1b[31m\x9b31m\r\n\r\n", all="refuses the connection"),
    Row("proxy: 407", connect="HTTP/1.1 407 Who\r\n\r\n", all="asks for a user name and password: set them in HTTPS_PROXY"),
    Row("proxy: its end", connect="", all="proxy .* closed the connection without an answer"),
    Row("proxy: silence", connect="silent", all="proxy .* does not answer: timed out"),
    Row("proxy: a byte a second", connect="drip", all="proxy .* does not answer: timed out"),
    Row("proxy: fields for ever", connect="fields", all="proxy .* header block over"),
    Row("proxy: SSH", connect="SSH-2.0-OpenSSH\r\n", all="does not speak HTTP: check HTTPS_PROXY"),
    Row("proxy: 200, and then its own words", connect="HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", all="does not speak TLS"),
    Row("proxy: a tunnel to somebody else", connect="elsewhere", all="certificate"),
    # Other services.
    Row("http for https", url="https://127.0.0.1:HTTP", all="does not speak TLS"),
    Row("https for http", url="http://127.0.0.1:HTTPS", all="reset|closed the connection"),
]


# ---- Those who do us harm beside the server --------------------------------------------------------------------------------------

def in_thread(work, *args):
    threading.Thread(target=work, args=args, daemon=True).start()


def serve(talk, host="127.0.0.1"):
    """A TCP service; its port."""
    def one(client):
        with client:
            try:
                talk(client)
            except OSError:
                pass

    def accept():
        while True:
            in_thread(one, listener.accept()[0])

    listener = socket.create_server((host, 0))
    in_thread(accept)
    return listener.getsockname()[1]


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def connect_proxy(hows, to):
    """What a row's connect= says, in a list, so that it can change; the port."""
    def talk(client):
        block, how = b"", hows[0]
        while not block.endswith(b"\r\n\r\n"):
            block += client.recv(1) or b"\r\n\r\n"
        if how in ("tunnel", "elsewhere"):
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            up = socket.create_connection(("127.0.0.1", to))
            in_thread(copy, client, up)
            copy(up, client)
        elif how == "drip":
            for c in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                client.sendall(bytes([c]))
                time.sleep(0.7)
        elif how == "fields":
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                client.sendall(b"X: y\r\n" * 1000)
        elif how == "silent":
            client.recv(1)
        else:
            client.sendall(how.encode("latin-1"))
    return serve(talk)


class Names:
    """A name server on an address of its own, port 53; the answers go by the first label of the name: HOW-CELL, "--" for a space."""

    DEAD = ["127.0.7.%d" % i for i in range(60, 164)]
    CODES = {"servfail": 2, "nxdomain": 3, "refused": 5}

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in range(1, 255):                  # another run of this may have the first
            self.address = f"127.0.{n}.53"
            try:
                self.socket.bind((self.address, 53))
                break
            except OSError:
                if n == 254:
                    raise
        self.healed = set()                      # labels
        in_thread(self.run)

    def run(self):
        while True:
            question, who = self.socket.recvfrom(512)
            try:
                self.answer(question, who)
            except (IndexError, struct.error):
                pass

    def answer(self, q, who):
        end = q.index(b"\0", 12) + 5
        label, v4 = q[13:13 + q[12]].decode(), q[end - 3] == 1
        how = "good" if label in self.healed else label.rpartition("-")[0].replace("--", " ")
        if how == "search":
            how = "servfail" if b"\6search\7invalid" in q else "good"
        if how in ("no v6", "nxdomain v6"):
            how = "good" if v4 else "nxdomain" if how == "nxdomain v6" else "silent"
        dead = {"dead": 3, "dead first": 3, "many dead first": 15, "many dead": 20}.get(how, 0)
        live = how in ("good", "dead first", "many dead first", "elsewhere", "forged", "cut off")
        addresses = self.DEAD[:dead] + ["127.0.0.1"] * live
        rows = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in addresses] if v4 else []
        if how == "loop":
            rows = [b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 2) + b"\xc0\x0c"]
        flags = 0x8180 | self.CODES.get(how, 0) | 0x200 * (how == "cut off")
        reply = q[:2] + struct.pack(">HHHHH", flags, 1, len(rows), 0, 0) + q[12:end] + b"".join(rows)
        if how == "silent":
            return
        if how == "garbage":
            reply = q[:2] + b"\xff" * 100     # not at random: with a code of 0 or 3 it would be an answer
        if how == "broken":
            reply = q[:2] + b"\x81\x80" + b"\xff" * 96
        if how == "forged":                      # another id; another question
            self.socket.sendto(bytes([q[0] ^ 1]) + reply[1:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + q[12:end], who)
        self.socket.sendto(reply, who)


# ---- A cell ----------------------------------------------------------------------------------------------------------------------

class Store:
    """One server, and what every cell finds there."""

    def __init__(self, directory):
        lines = (pathlib.Path(directory) / "env").read_text().splitlines()
        self.values = dict(line.replace('"', "").split("=", 1) for line in lines)
        self.dir, self.bucket = pathlib.Path(directory), Bucket(self.values)
        self.prefix = f"matrix-{os.getpid()}"

    def put(self, key, data):
        self.bucket.request("PUT", key, body=data).read()

    def fill(self, big):
        self.put(f"{self.prefix}/big", big.read_bytes())
        for i in range(3):
            self.put(f"{self.prefix}/list/{i}", b"x" * i)

    def close(self):
        subprocess.run([TESTS / "server", "down", "r2emu", self.dir], check=False)


class Cell:
    def __init__(self, table, number, row, column):
        self.table, self.number, self.row, self.column, self.proxy = table, number, row, column, None
        self.store, self.want = table.stores[row.server], row.expected[column]
        self.wrong, self.out, self.said, self.cpu, self.rss = [], b"", b"", 0.0, 0
        self.dir = WORK / f"cell-{number}"
        self.key = f"{self.store.prefix}/{number}"
        self.root = row.dns is not None
        self.label = f"{(row.dns or '').replace(' ', '--')}-{number}"
        self.connect = [row.connect]             # it can be mended

    def check(self, what, fine):
        if not fine:
            self.wrong.append(what)

    # What is there before.

    def prepare(self):
        (self.dir / "etc").mkdir(parents=True)
        shutil.copy(self.store.values["R2_CA_FILE"], self.dir / "ca.pem")
        file = {"put": "small", "parts": "big", "sync": "out/f.png"}.get(self.column)
        if file:                                 # not a link: its ctime would change whenever there is another
            (self.dir / file).parent.mkdir(exist_ok=True)
            shutil.copy(WORK / ("big" if file == "big" else "small"), self.dir / file)
        search = "search search.invalid\noptions ndots:9\n" if self.row.dns == "search" else ""
        # Who answers has longer than a busy machine needs; musl asks again until the time is over.
        patience = {"no v6": 5, "search": 5, "silent": 1, "garbage": 1, "servfail": 1, "refused": 1}.get(self.row.dns, 30)
        (self.dir / "etc/resolv.conf").write_text(f"nameserver {self.table.names.address if self.root else ''}\noptions timeout:{patience} attempts:1\n{search}")
        os.link(WORK / "r2", self.dir / "r2")
        if self.column == "cleanup":
            for name in ("2025-01-01/a", "2025-01-02/b", "2999-01-01/young"):
                self.store.put(f"{self.key}/{name}", b"x")

    def endpoint(self):
        """And what else of the environment the row is about."""
        port = self.proxy.endpoint.rsplit(":", 1)[1]
        if self.row.url:
            ports = {w: self.store.values[f"R2_{v}ENDPOINT"].rsplit(":", 1)[1] for w, v in (("HTTPS", ""), ("HTTP", "HTTP_"))}
            return {"R2_ENDPOINT": re.sub("[A-Z]+$", lambda m: ports[m[0]], self.row.url)}
        if self.row.connect is not None:
            to = connect_proxy(self.connect, self.table.other if self.row.connect == "elsewhere" else int(port))
            return {"R2_ENDPOINT": f"https://abc.{DOMAIN}:{port}", "HTTPS_PROXY": f"http://127.0.0.1:{to}"}
        if self.row.dns:
            if self.row.dns == "elsewhere":
                port = self.table.other
            return {"R2_ENDPOINT": f"https://{self.label}.{DOMAIN}:{port}"}
        return {"R2_ENDPOINT": f"https://127.0.0.1:{port}"}

    def command(self):
        big = ("--part-size", "5M", "--multipart-threshold", "5M")
        words = {
            "put": ("upload", "--key", self.key, "small"), "parts": ("upload", "--key", self.key, *big, "big"),
            "get": ("get", "--part-size", "5M", "-j", "2", f"{self.store.prefix}/big", "got"), "ls": ("ls", f"{self.store.prefix}/list/"),
            "cleanup": ("cleanup", "--days", "30", "--prefix", self.key),
            "sync": ("sync", "--settle", "0.1", "--drain", "1", "--log", "-", "--prefix", self.key, "out"),
        }[self.column]
        return [*(("chroot", self.dir, "/r2") if self.root else (R2,)), words[0], *self.row.options[self.column], *words[1:]]

    def start(self, *under, out):
        env = clean_env() | {n: self.store.values[n] for n in ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_BUCKET")}
        env |= {"R2_CA_FILE": "ca.pem", "XDG_STATE_HOME": "/state" if self.root else str(self.dir / "state")} | self.endpoint()
        for word in self.row.words:
            if self.proxy(*word.split()) != "ok":
                raise Failed(f"the proxy does not know: {word}")
        return subprocess.Popen([os.fspath(w) for w in (*under, *self.command())], env=env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out,
                                start_new_session=True,
                                stderr=subprocess.STDOUT if self.column == "sync" else open(self.dir / "err", "wb"))

    # What came of it.

    def object(self, key, file):
        """The object is that file: 1; something else: 0; there is none: None."""
        try:
            return self.store.bucket.request("GET", key).read() == (WORK / file).read_bytes()
        except OSError as e:
            if "404" in str(e):
                return None
            raise

    def result(self):
        """(what is there is all that should be, nothing wrong is there)"""
        if self.column in ("put", "parts"):
            there = self.object(self.key, {"put": "small", "parts": "big"}[self.column])
            return there, there is not False
        if self.column == "get":
            there = (self.dir / "got").exists()
            same = there and (self.dir / "got").read_bytes() == (WORK / "big").read_bytes()
            return same, same or not there
        if self.column == "ls":
            return self.out == self.table.listings[self.row.server], True
        left = {k.decode().removeprefix(self.key + "/")[:10] for k, _, _ in self.store.bucket.keys(self.key + "/")}
        said = re.search(rb"Deleted (\d+) files", self.out)
        return left == {"2999-01-01"} and said and said[1] == b"2", "2999-01-01" in left and (not said or int(said[1]) <= 3 - len(left))

    def once(self):
        with open(self.dir / "out.txt", "wb") as f:
            p = self.start(WORK / "launch", "usage", out=f)
        if self.want == WAITS:
            self.waits(p, p.pid)
            return
        try:
            status = p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            self.said = (self.dir / "err").read_bytes()
            raise Failed(f"a hang: it did not end within {LIMIT_S} s") from None
        _, cpu, self.rss = map(int, (self.dir / "usage").read_text().split())
        self.cpu = cpu / 1e6
        self.out, self.said = (self.dir / "out.txt").read_bytes(), (self.dir / "err").read_bytes()
        self.judge(status)

    def judge(self, status):
        all_there, nothing_wrong = self.result()
        self.check("something else stands there", nothing_wrong)
        if self.want == DONE:
            self.check(f"status {status}", status == 0)
            self.check("not done, whatever it says", all_there)
            return
        self.check(f"status {status}, not 1", status == 1)
        self.check("its message", re.search(self.want.encode(), self.said))
        self.check("it says that it has done it", not re.search(rb"Uploaded:|Downloaded:|Complete: 1/1", self.said))

    def usage_of(self, pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        self.cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.rss = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])

    def waits(self, p, pid):
        said = self.dir / "err"
        wait("it says why it waits, and how long", lambda: re.search(LONG, said.read_bytes()) or p.poll() is not None, LIMIT_S)
        try:
            p.wait(2)
            raise Failed(f"it did not wait, but ended with {p.returncode}")
        except subprocess.TimeoutExpired:
            pass
        child = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        self.usage_of(child)
        os.kill(child, signal.SIGTERM)
        self.check("SIGTERM ends it", p.wait(LIMIT_S) == 143)
        self.said = said.read_bytes()

    def sync(self):
        with open(self.dir / "log", "wb") as f:
            p = self.start(out=f)
        try:
            if self.want != DONE:
                self.fails(p)
            self.comes_right(p) if self.want == DONE or self.heal() else self.stays(p)
        finally:
            self.said = (self.dir / "log").read_bytes()
            if p.poll() is None:
                p.kill()
            p.wait()

    def fails(self, p):
        log, why = self.dir / "log", LONG if self.want == WAITS else rb"FAILED: f.png: .*(?:" + self.want.encode() + rb")"
        wait("the log says why", lambda: re.search(why, log.read_bytes()) or p.poll() is not None, LIMIT_S)
        self.check("it says that it has done it", b"Uploaded:" not in log.read_bytes())

    def heal(self):
        """The fault is over: 1 when it can be."""
        self.proxy("clear")
        self.connect[0] = "tunnel"
        if self.row.dns:
            self.table.names.healed.add(self.label)
        return self.want != WAITS and not self.row.url and "elsewhere" not in (self.row.dns, self.row.connect)

    def comes_right(self, p):
        far = lambda: [k.decode() for k, _, _ in self.store.bucket.keys(self.key + "/")]
        wait("the object appears", lambda: far() or p.poll() is not None, LIMIT_S)
        wait("the log says so", lambda: b"Uploaded: f.png" in (self.dir / "log").read_bytes() or p.poll() is not None, LIMIT_S)
        self.check("one object, the file", [self.object(k, "small") for k in far()] == [True])
        self.stop(p, 0)

    def stays(self, p):
        self.stop(p, 1)
        self.check("it names what is left", b"NOT UPLOADED: " in (self.dir / "log").read_bytes())

    def stop(self, p, status):
        self.check(f"it ended by itself: {p.poll()}", p.poll() is None)
        if p.poll() is None:
            self.usage_of(p.pid)
            p.send_signal(signal.SIGTERM)
            self.check(f"status {p.wait(LIMIT_S)}, not {status}", p.wait(LIMIT_S) == status)

    def run(self):
        begun = time.monotonic()
        try:
            self.proxy("clear")
            self.prepare()
            self.sync() if self.column == "sync" else self.once()
            self.check("control characters", not re.search(rb"[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", self.said))
            self.check("the secret", self.store.values["R2_SECRET_ACCESS_KEY"].encode() not in self.said + self.out)
            self.check(f"{self.rss} KiB", self.rss <= RSS_KIB)
            self.check(f"{self.cpu:.2f} s of processor time", self.cpu <= CPU_S)
        except Exception as e:
            self.wrong.append(str(e) if isinstance(e, Failed) else traceback.format_exc())
        shutil.rmtree(self.dir, ignore_errors=True)
        self.took = time.monotonic() - begun


# ---- The table -------------------------------------------------------------------------------------------------------------------

class Table:
    def __init__(self, words):
        fits = lambda row, column: all(any(w in x for x in (row.name, column)) for w in words)
        chosen = [(row, c) for row in MATRIX for c in reversed(COLUMNS) if row.expected[c] and fits(row, c)]
        self.rows = [row for row in MATRIX if any(r is row for r, _ in chosen)]
        self.names = Names() if any(row.dns for row in self.rows) else None
        subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", WORK / "launch", TESTS.parent / "bench/launch.c"], check=True)
        shutil.copy(R2, WORK / "r2")
        (WORK / "small").write_bytes(os.urandom(200000))
        (WORK / "big").write_bytes(os.urandom((5 << 20) + 100000))
        self.stores = {"plain": Store(os.environ["R2_TEST_SERVER_DIR"])}
        clocks = {"ahead": 18000, "behind": -18000}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for name, store in zip(clocks, pool.map(self.second, *zip(*clocks.items()))):
                self.stores[name] = store
        for s in self.stores.values():
            s.fill(WORK / "big")
        self.other = int(self.stores["ahead"].values["R2_ENDPOINT"].rsplit(":", 1)[1])
        self.proxies = {name: queue.SimpleQueue() for name in self.stores}
        self.opened = []
        self.listings = {name: self.list(s) for name, s in self.stores.items()}
        self.cells = [Cell(self, i, *x) for i, x in enumerate(chosen)]

    def second(self, name, ahead):
        directory = WORK / name
        subprocess.run([TESTS / "server", "up", "r2emu", directory], check=True)
        store = Store(directory)
        urllib.request.urlopen(store.values["R2_HTTP_ENDPOINT"] + "/-/set", f"clock {ahead}".encode()).close()
        store.bucket.ahead = ahead
        return store

    def list(self, store):
        env = clean_env() | {n: v for n, v in store.values.items() if n.startswith("R2_")}
        return subprocess.run([R2, "ls", f"{store.prefix}/list/"], env=env, check=True, capture_output=True).stdout

    def run(self, jobs):
        for name, n in (("plain", jobs), ("ahead", 2), ("behind", 2)):
            s = self.stores[name]
            for _ in range(min(n, sum(c.store is s for c in self.cells))):
                self.opened.append(Proxy(s.values, s.dir / "ca.pem", s.dir / "key.pem"))
                self.proxies[name].put(self.opened[-1])
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.one, self.cells))

    def one(self, cell):
        mine = self.proxies[cell.row.server]
        cell.proxy = mine.get()
        try:
            cell.run()
        finally:
            mine.put(cell.proxy)

    def close(self):
        for p in self.opened:
            p.close()
        for name in ("ahead", "behind"):
            if name in self.stores:
                self.stores[name].close()
        shutil.rmtree(WORK, ignore_errors=True)

    def show(self):
        """A row a line; then what went wrong."""
        width = max(len(row.name) for row in self.rows)
        print(" " * width, *(f"{c:8}" for c in COLUMNS), "   KiB  CPU s", sep="  ")
        for row in self.rows:
            cells = {c.column: c for c in self.cells if c.row is row}
            words = ["" if c not in cells else "WRONG" if cells[c].wrong else w if (w := row.expected[c]) in (DONE, WAITS) else "fails" for c in COLUMNS]
            print(row.name.ljust(width), *(f"{w:8}" for w in words), f"{max(c.rss for c in cells.values()):6}  "
                  f"{max(c.cpu for c in cells.values()):5.2f}", sep="  ")

    def tell(self):
        for c in sorted(self.cells, key=lambda c: bool(c.wrong)):
            print(f"{'not ok' if c.wrong else 'ok'} - {c.row.name}: {c.column}: {c.want if c.want in (DONE, WAITS) else 'fails'}")
            if c.wrong:
                print(*(f"    {line}" for w in [*c.wrong, c.said.decode(errors="replace")[-1500:]] for line in w.splitlines()), sep="\n")


def main(args):
    jobs = 24
    if args[:1] == ["-j"]:
        jobs, args = int(args[1]), args[2:]
    begun, table = time.monotonic(), Table(args)
    try:
        table.run(jobs)
    finally:
        table.close()
    table.show()
    table.tell()
    wrong = sum(bool(c.wrong) for c in table.cells)
    print(f"# {len(table.cells)} cells, {wrong} wrong, {time.monotonic() - begun:.0f} s; one after the other "
          f"{sum(c.took for c in table.cells):.0f} s")
    return 1 if wrong or not table.cells else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
