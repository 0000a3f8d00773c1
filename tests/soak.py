"""make soak: r2 sync for SOAK seconds behind a proxy that cuts, delays and refuses at random, while files are created, renamed, rewritten, moved
in and the daemon is stopped and killed. At the end the bucket has everything that the directory has. SEED repeats a run as far as time allows."""
import os, random, signal, sys, time
import sync_lib
from sync_lib import Failed

SECONDS = float(os.environ.get("SOAK", 600))
LIMIT = float(os.environ.get("SOAK_LIMIT", 300))
SEED = int(os.environ.get("SEED", time.time()))


class Soak:
    def __init__(self, s):
        self.s, self.dice, self.n, self.paths, self.held, self.did = s, random.Random(SEED), 0, [], [], {}
        self.proxy, self.over = s.proxy(), False
        self.start()

    def start(self):
        self.d = self.s.daemon("--part-size", "5M", "--multipart-threshold", "6M", "--rescan", "30", "--timeout", "5", "--drain", "3")

    def fresh(self):
        self.n += 1
        deep = "/".join(f"d{self.dice.randrange(12)}" for _ in range(self.dice.randrange(4)))
        return f"{deep}/{self.n}.png".lstrip("/")

    def data(self):
        kind = self.dice.random()
        return os.urandom(0 if kind < 0.02 else 7 << 20 if kind > 0.985 else self.dice.randrange(1, 50000))

    def create(self):
        for _ in range(self.dice.choice((1, 1, 1, 30))):
            self.paths.append(self.s.write(self.fresh(), self.data()))

    def rewrite(self):
        if self.paths:
            path = self.dice.choice(self.paths)
            if path.exists():
                path.write_bytes(self.data())

    def replace(self):
        if self.paths:
            path = self.dice.choice(self.paths)
            if path.parent.is_dir():
                new = path.with_name(path.name + ".tmp")
                new.write_bytes(self.data())
                os.rename(new, path)

    def rename(self):
        if self.paths:
            at = self.dice.randrange(len(self.paths))
            if self.paths[at].exists():
                to = self.s.root / self.fresh()
                to.parent.mkdir(parents=True, exist_ok=True)
                os.rename(self.paths[at], to)
                self.paths[at] = to

    def rename_directory(self):
        dirs = [d for d in self.s.root.iterdir() if d.is_dir() and not d.name.startswith(".")]
        if dirs:
            self.n += 1
            old = self.dice.choice(dirs)
            new = self.s.root / f"moved{self.n}"
            os.rename(old, new)
            self.paths = [new / p.relative_to(old) if old in p.parents else p for p in self.paths]

    def move_in(self):
        self.n += 1
        for i in range(5):
            self.s.write(f"in{self.n}/a/{i}.png", self.data(), root=self.s.dir / "outside")
        os.rename(self.s.dir / f"outside/in{self.n}", self.s.root / f"in{self.n}")

    def hold(self):
        if len(self.held) < 5:
            path = self.s.write(self.fresh(), b"")
            self.held.append(open(path, "wb"))
            self.paths.append(path)
        f = self.dice.choice(self.held)
        f.write(os.urandom(2000))
        f.flush()
        if self.dice.random() < 0.3:
            self.held.remove(f)
            f.close()

    def freeze(self):
        self.d.send(signal.SIGSTOP)
        time.sleep(self.dice.random() * 2)
        for _ in range(100):
            self.paths.append(self.s.write(self.fresh(), b"%d" % self.n))
        self.d.send(signal.SIGCONT)

    def kill(self):
        self.d.kill()
        self.start()

    def stop(self):
        if self.d.stop(limit=30) not in (0, 1):
            raise Failed(f"it ended with {self.d.process.returncode}")
        self.start()

    def network(self):
        what = self.dice.choice(("cut", "outage", "stall", "reset", "delay", "fine", "fine", "fine"))
        least = self.dice.randrange(200, 5000)
        self.proxy("cut", *((least, least * 100, self.dice.choice(("rst", "fin"))) if what == "cut" else ("off",)))
        self.proxy("delay", self.dice.randrange(1, 300) if what == "delay" else 1)
        if what in ("outage", "stall", "reset"):
            self.proxy("outage", self.dice.randrange(1, 8), {"outage": "refuse", "stall": "stall", "reset": "rst"}[what])

    def step(self):
        acts = {self.create: 50, self.rewrite: 15, self.replace: 15, self.rename: 8, self.rename_directory: 2, self.move_in: 3, self.hold: 10,
                self.freeze: 0.5, self.kill: 1, self.stop: 0.5, self.network: 3}
        act = self.dice.choices(list(acts), list(acts.values()))[0]
        self.did[act.__name__] = self.did.get(act.__name__, 0) + 1
        act()
        time.sleep(self.dice.random() * 0.15)
        if not self.d.running():
            raise Failed(f"it ended by itself: {self.d.process.returncode}")


def soak(s):
    x, end = Soak(s), time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            x.step()
    finally:
        print("#", SEED, x.did, flush=True)
    for f in x.held:
        f.close()
    x.proxy("cut", "off")
    x.proxy("delay", 1)
    # What was renamed stays there under its old name too: so the directory has to be in the bucket, not the other way round.
    want = s.files()
    s.equal(f"{SECONDS:.0f} s of everything", limit=LIMIT, want=lambda: want, got=lambda: {k: v for k, v in s.objects().items() if k in want})
    s.check("no object is anything that no file ever was", all(k.endswith(b".png") for k in s.objects()))
    s.check("exit status 0", x.d.stop() == 0, *s.tail())


if __name__ == "__main__":
    sys.exit(sync_lib.main([soak]))
