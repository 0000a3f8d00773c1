"""A TCP proxy on loopback that counts and breaks: faultproxy.py HOST:PORT [CERT KEY]
Without a certificate it stands below TLS: bytes. With the server's one it also ends TLS and begins it anew, behind the bytes, and can
alter HTTP (faulthttp.py has those words). Prints "PORT CONTROL"; ends when the process that started it does. Each line sent to the
control port is answered by one:

  count                       UP DOWN CONNECTIONS CUT: bytes from clients, and those they took, connections, those cut so far
  reset                       the same, and counts from 0 again
  clear                       no faults, no connections
  cut MIN MAX [fin|rst [N]]   every connection ends after so many bytes, at random, both ways together; N: so many of them
  cut off
  at up|down N WHAT [TIMES]   what befalls a connection once N bytes have passed that way; TIMES: so many connections, else all:
                              fin, rst: it is cut; stall: nothing moves any more; flip: the next byte is another;
                              drip=MS: from there on a byte each MS milliseconds; garbage: bytes of nobody's go first
  outage SECONDS [HOW]        refuse: nothing listens, what was open is reset; rst: each connection is reset once it stands;
                              stall: connections stand and nothing moves; hole: as refuse, but nobody says so: SYNs go unanswered
  delay MS                    bytes arrive so much later
  signal NAME PID up|down N   send it to the process once so many bytes have passed
  signal off
  http …                      see faulthttp.py
"""
import collections, contextlib, os, random, selectors, signal, socket, struct, sys, time

import faulthttp

CHUNK, AHEAD = 1 << 18, 1 << 23
HOST, PORT = sys.argv[1].rsplit(":", 1)
http = None           # what stands above TLS
poll = selectors.DefaultSelector()
conns = set()
counted = {"up": 0, "down": 0}
connections = cuts = 0
cut = None            # (min, max, how, times left)
rule = None           # what "at" said
mark = None           # (signal, pid, direction, bytes)
delay = 0
outage = ("", 0)      # how, until when
plugs = []            # sockets that keep a backlog full


class Rule:
    def __init__(self, way, n, what, times="0"):
        self.way, self.n, self.times = way, int(n), int(times) or -1
        self.what, _, self.arg = what.partition("=")

    def taken(self):
        """There was one more connection that it was for."""
        if self.times:
            self.times -= 1
            return True
        return False


def ahead():
    """Bytes that may wait in here: what is delayed must not be slowed down, but what is counted should be what arrived."""
    return AHEAD if delay else 1


def bound(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", port))
    return s


def listen(port, backlog=128):
    s = bound(port)
    s.listen(backlog)
    s.setblocking(False)
    return s


def watch(s, events, data):
    """Nothing, where that is what it waits for already."""
    key = poll.get_map().get(s)
    if key and not events:
        poll.unregister(s)
    elif key and key.events != events:
        poll.modify(s, events, data)
    elif events and not key:
        poll.register(s, events, data)


def reset(s):
    """Close so that the kernel sends RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Way:
    """One direction of a connection."""

    def __init__(self, name, source, sink):
        self.name, self.source, self.sink = name, source, sink
        self.queue, self.queued, self.ended = collections.deque(), 0, False
        self.passed, self.pace, self.flip = 0, 0, False

    def flush(self):
        while self.queue and self.queue[0][0] <= time.monotonic():
            due, data = self.queue.popleft()
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            self.queued -= sent
            if self.name == "down":
                count("down", sent)
            if sent < len(data):
                self.queue.appendleft((due, data[sent:]))
                return
        if self.ended and not self.queue:
            self.ended = None
            self.sink.shutdown(socket.SHUT_WR)


class Drain:
    """A client that has been sent FIN: what it still sends is thrown away, so that no RST follows."""

    def __init__(self, client):
        self.client = client
        client.shutdown(socket.SHUT_WR)
        conns.add(self)
        watch(client, selectors.EVENT_READ, self)

    def due(self):
        return []

    def close(self, how="fin"):
        conns.discard(self)
        watch(self.client, 0, self)
        reset(self.client) if how == "rst" else self.client.close()

    def turn(self, _):
        try:
            data = self.client.recv(CHUNK)
        except OSError:
            data = b""
        count("up", len(data))
        if not data:
            self.close()


class Conn:
    def __init__(self, client):
        global connections
        connections += 1
        self.client, self.server = client, socket.create_connection((HOST, int(PORT)))
        self.ways = (Way("up", client, self.server), Way("down", self.server, client))
        self.left = random.randint(*cut[:2]) if cut else None
        self.how = cut[2] if cut else None
        self.rule, self.stalled = rule, False
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        for s in (self.client, self.server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conns.add(self)
        for way in self.ways:
            self.befall(way)
        if self.left == 0:
            self.cut()
        else:
            self.watch()

    def befall(self, way):
        r = self.rule
        if not r or r.way != way.name or way.passed < r.n:
            return
        self.rule = None
        if not r.taken():
            return
        match r.what:
            case "fin" | "rst":
                self.left, self.how = 0, r.what
            case "stall":
                self.stalled = True
            case "flip":
                way.flip = True
            case "drip":
                way.pace = float(r.arg) / 1000
            case "garbage":
                way.queue.append((0, memoryview(bytes(range(256)) * 4)))
                way.queued += 1024

    def close(self, how="fin"):
        conns.discard(self)
        for s in (self.client, self.server):
            watch(s, 0, self)
            reset(s) if how == "rst" else s.close()

    def cut(self):
        cut_one()
        if self.how == "rst":
            self.close("rst")
            return
        conns.discard(self)
        for s in (self.client, self.server):
            watch(s, 0, self)
        self.server.close()
        try:
            Drain(self.client)
        except OSError:   # it has gone already
            self.client.close()

    def read(self, way):
        n = CHUNK if self.left is None else min(CHUNK, self.left)
        if self.rule and self.rule.way == way.name:
            n = min(n, max(1, self.rule.n - way.passed))
        if way.pace or way.flip:
            n = 1
        try:
            data = way.source.recv(n)
        except BlockingIOError:
            return
        if not data:
            way.ended = True
            return
        if way.flip:
            data, way.flip = bytes([data[0] ^ 1]), False
        way.queue.append((time.monotonic() + (way.pace or delay), memoryview(data)))
        way.queued += len(data)
        way.passed += len(data)
        if way.name == "up":
            count("up", len(data))
        if self.left is not None:
            self.left -= len(data)
        self.befall(way)

    def turn(self, readable=()):
        try:
            for way in self.ways:
                if way.source in readable and self.listens(way):
                    self.read(way)
                way.flush()
            if self.left == 0:
                self.cut()
                return
        except OSError:
            self.close("rst")
            return
        if all(w.ended is None for w in self.ways):
            self.close()
        else:
            self.watch()

    def listens(self, way):
        return way.ended is False and not self.stalled and way.queued < (1 if way.pace else ahead())

    def due(self):
        """When something that waits for its time has to go, or nothing."""
        return [w.queue[0][0] for w in self.ways if w.queue and (delay or w.pace)]

    def watch(self):
        """Wait for what can be done now; what is delayed waits for its time instead."""
        now, events = time.monotonic(), {self.client: 0, self.server: 0}
        for way in self.ways:
            if self.listens(way):
                events[way.source] |= selectors.EVENT_READ
            if way.queue and way.queue[0][0] <= now:
                events[way.sink] |= selectors.EVENT_WRITE
        for s, e in events.items():
            watch(s, e, self)


def count(name, n):
    global mark
    counted[name] += n
    if mark and counted[mark[2]] >= mark[3]:
        try:
            os.kill(mark[1], mark[0])
        except ProcessLookupError:
            pass
        mark = None


def cut_one():
    global cut, cuts
    cuts += 1
    if cut and cut[3]:
        cut = (*cut[:3], cut[3] - 1) if cut[3] > 1 else None


def begin_outage(seconds, how="refuse"):
    global outage
    end_outage()
    outage = (how, time.monotonic() + seconds)
    if how in ("refuse", "hole"):
        watch(listener, 0, None)
        listener.close()
    if how == "hole":
        plugs.append(listen(port, 0))
        for _ in range(4):
            plugs.append(socket.socket())
            plugs[-1].setblocking(False)
            plugs[-1].connect_ex(("127.0.0.1", port))
    if how != "stall":
        for c in list(conns):
            c.close("rst")


def end_outage():
    global outage, listener
    while plugs:
        plugs.pop().close()
    if outage[0] in ("refuse", "hole"):
        listener = listen(port)
        watch(listener, selectors.EVENT_READ, "listener")
    outage = ("", 0)


def clear():
    global cut, rule, delay, mark
    cut = rule = mark = None
    delay = 0
    end_outage()
    for c in list(conns):
        c.close("rst")
    if http:
        http.clear()


def obey(words):
    global connections, cuts, cut, rule, mark, delay
    match words:
        case ["clear"]:
            clear()
        case ["http", *fault]:
            http.add(fault)
        case ["at", way, n, what, *times]:
            rule = Rule(way, n, what, *times)
        case ["count" | "reset"]:
            said = f"{counted['up']} {counted['down']} {connections} {cuts}"
            if words[0] == "reset":
                counted.update(up=0, down=0)
                connections = cuts = 0
            return said
        case ["cut", "off"]:
            cut = None
        case ["cut", least, most, *rest]:
            cut = (int(least), int(most), rest[0] if rest else "fin", int(rest[1]) if len(rest) > 1 else 0)
        case ["outage", seconds, *how]:
            begin_outage(float(seconds), *how)
        case ["delay", ms]:
            delay = float(ms) / 1000
        case ["signal", "off"]:
            mark = None
        case ["signal", name, pid, way, n]:
            mark = (getattr(signal, "SIG" + name), int(pid), way, int(n))
            count(way, 0)
        case _:
            return "what?"
    return "ok"


def accept():
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        return
    if outage[0] == "rst":
        reset(client)
        return
    try:
        Conn(client)
    except OSError:
        reset(client)


def patience():
    """Seconds until something is due."""
    due = [t for c in conns for t in c.due()]
    due += [outage[1]] if outage[0] else []
    return max(0, min([1] + [d - time.monotonic() for d in due]))


def command(s):
    line = b""
    with contextlib.suppress(OSError):           # who asks to be killed may be so before the answer
        line = s.recv(4096)
        if line:
            s.sendall((obey(line.decode().split()) + "\n").encode())
    if not line:
        watch(s, 0, None)
        s.close()


if len(sys.argv) > 2:
    http = faulthttp.Server((HOST, int(PORT)), *sys.argv[2:4])
    HOST, PORT = "127.0.0.1", http.port
listener, control = listen(0), listen(0)
port = listener.getsockname()[1]
keeper = bound(port)     # while nothing listens there, no other program gets the port
watch(listener, selectors.EVENT_READ, "listener")
watch(control, selectors.EVENT_READ, "control")
print(port, control.getsockname()[1], flush=True)
parent = os.getppid()
while os.getppid() == parent:
    ready = {}
    for key, _ in poll.select(patience()):
        if key.data == "control":
            watch(control.accept()[0], selectors.EVENT_READ, "command")
        elif key.data == "command":
            command(key.fileobj)
        elif key.data == "listener" and outage[0] != "stall":
            accept()
        elif key.data in conns:
            ready.setdefault(key.data, set()).add(key.fileobj)
    if outage[0] and time.monotonic() >= outage[1]:
        end_outage()
    if outage[0] == "stall":
        time.sleep(0.02)
        continue
    for c in list(conns):
        if c in ready or c.due():
            c.turn(ready.get(c, ()))
