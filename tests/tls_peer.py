"""TLS servers that behave in one way each, for tests/tls.sh: tls_peer.py CERTS
Prints "NAME PORT" for each, then "ready"; ends when its standard input does."""
import hashlib, os, socket, ssl, struct, sys, threading

CERTS = sys.argv[1]
ANSWER = b"HTTP/1.1 403 Forbidden\r\n\r\nearly"


def exactly(s, n):
    data = bytearray()
    while len(data) < n:
        more = s.recv(min(65536, n - len(data)))
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def reset(s):
    """Close so that the kernel sends RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def hello(s):
    """Say what was agreed, end properly."""
    s.sendall(b"hello")
    s.unwrap()


def later(s):
    """As hello, but so late that the client can see an idle connection first."""
    s.recv(1)
    hello(s)


def echo(s):
    """Eight bytes of length and so many of data: their SHA-256 and the data again."""
    n = struct.unpack(">Q", exactly(s, 8))[0]
    data = exactly(s, n)
    s.sendall(hashlib.sha256(data).digest() + data)
    s.unwrap()


def sink(s):
    """As echo, but only the digest of what passes by is kept."""
    n, room = struct.unpack(">Q", exactly(s, 8))[0], bytearray(1 << 18)
    while n > 0:
        n -= s.recv_into(room)
    s.sendall(bytes(32))
    s.unwrap()


def truncated(s):
    s.sendall(b"half of it")
    s.detach_close()


def early(s):
    """An answer while the client sends; nothing of that is read until the client has gone."""
    s.sendall(ANSWER)
    gone.wait(20)


def early_reset(s):
    """The same, and then the connection is reset under the client's hands."""
    s.recv(1)
    s.sendall(ANSWER)
    reset(s)


def unread(s):
    """More than the client will read."""
    s.settimeout(5)
    try:
        s.sendall(bytes(1 << 22))
    except OSError:
        pass


def silent(s):
    gone.wait(20)


def half_record(s):
    os.write(s.fileno(), b"\x17\x03\x03\x40\x00" + bytes(100))
    s.detach_close()


def damaged(s):
    os.write(s.fileno(), b"\x17\x03\x03\x00\x40" + bytes(64))
    gone.wait(20)


def plain_http(s):
    s.recv(1)
    s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    s.close()


def plain_close(s):
    s.recv(1000)
    s.close()


def alert(level, code):
    def run(s):
        s.recv(1000)
        s.sendall(bytes([0x15, 3, 3, 0, 2, level, code]))
        s.close()
    return run


class Peer(ssl.SSLSocket):
    def detach_close(self):
        os.close(self.detach())


def context(cert, low, high, ciphers):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.sslsocket_class = Peer
    c.minimum_version, c.maximum_version = low, high
    c.set_ciphers(ciphers)
    c.load_cert_chain(f"{CERTS}/{cert}.pem")
    return c


def serve(listener, ctx, act):
    def one(s):
        try:
            s.settimeout(120)
            act(ctx.wrap_socket(s, server_side=True, suppress_ragged_eofs=False) if ctx else s)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            s.close()
    while True:
        s, _ = listener.accept()
        threading.Thread(target=one, args=(s,), daemon=True).start()


def start(name, act, cert="p256", low="TLSv1_2", high="TLSv1_2", ciphers="ALL:@SECLEVEL=0", plain=False):
    v = ssl.TLSVersion
    listener = socket.create_server(("127.0.0.1", 0), backlog=32)
    ctx = None if plain else context(cert, v[low], v[high], ciphers)
    print(name, listener.getsockname()[1])
    threading.Thread(target=serve, args=(listener, ctx, act), daemon=True).start()


gone = threading.Event()
for pem in os.listdir(CERTS):
    if pem.endswith(".pem") and pem != "ca.pem":
        start(pem[:-4], hello, cert=pem[:-4])
for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
    start(suite, echo, ciphers=suite)
for suite in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
    start(suite, echo, cert="rsa2048", ciphers=suite)
for act in (echo, later, truncated, early, early_reset, unread, silent, half_record, damaged):
    start(act.__name__, act)
start("sink", sink, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
start("cbc", hello, ciphers="ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0")
start("norsakx", hello, cert="rsa2048", ciphers="AES128-GCM-SHA256:@SECLEVEL=0")
start("tls10", hello, low="TLSv1", high="TLSv1")
start("tls11", hello, low="TLSv1_1", high="TLSv1_1")
start("tls13", hello, low="TLSv1_3", high="TLSv1_3")
start("tls12and13", hello, high="TLSv1_3")
start("http", plain_http, plain=True)
start("closes", plain_close, plain=True)
start("mute", silent, plain=True)
start("alert80", alert(2, 80), plain=True)
start("alert112", alert(2, 112), plain=True)
print("ready", flush=True)
sys.stdin.read()
gone.set()
