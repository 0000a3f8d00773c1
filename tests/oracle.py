#!/usr/bin/env python3
"""What r2 cleanup may delete, worked out anew from the manual's text and compared with what the program does.

  oracle.py pure PROGRAM    thousands of keys near every rule's edge, in six time zones, on both sides of midnight and of every change of
                            the clocks, judged by PROGRAM (t_sweep's other face)
  oracle.py store PROGRAM   some hundred keys in the bucket of the environment (R2_ENDPOINT …): PROGRAM (r2) has cleaned up exactly those that
                            were to go, in time zones in which it is just before and just after midnight now
Prints "ok - …" and "not ok - …" lines.
"""
import datetime, functools, hashlib, hmac, http.client, itertools, os, random, re, ssl, subprocess, sys, time, urllib.parse
from xml.etree import ElementTree

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Kiritimati", "America/Santiago"]
failed = 0


def report(good, name, *why):
    global failed
    failed += not good
    print("ok" if good else "not ok", "-", os.environ.get("TEST_TAG", "") + name, flush=True)
    for line in why if not good else ():
        print("   ", line, file=sys.stderr)


# ---- the manual's text

def live_in(zone):
    if os.environ.get("TZ") != zone:
        os.environ["TZ"] = zone
        time.tzset()


def local_date(now, zone):
    live_in(zone)
    t = time.localtime(now)
    return datetime.date(t.tm_year, t.tm_mon, t.tm_mday)


@functools.lru_cache(None)
def day_begins(date, zone):
    """The first second of which the local date is that date or a later one."""
    noon = int(datetime.datetime(date.year, date.month, date.day, 12, tzinfo=datetime.timezone.utc).timestamp())
    low, high = noon - 3 * 86400, noon + 3 * 86400
    # Local time goes back by an hour or two at most, so the first time is found by hours, then by seconds.
    for step in (1800, 60, 1):
        while local_date(low + step, zone) < date:
            low += step
    return low + 1


def glob(pattern):
    """* any number of characters, slashes too; ? one; [a-z], [!a-z]."""
    out, i = "", 0
    while i < len(pattern):
        c = pattern[i]
        if c == "*":
            out += "(?s:.*)"
        elif c == "?":
            out += "(?s:.)"
        elif c == "[":
            end = pattern.index("]", i + 2)
            out += "[" + pattern[i + 1:end].replace("!", "^", 1) + "]"
            i = end
        else:
            out += re.escape(c)
        i += 1
    return re.compile(out)


def goes(key, prefix, cutoff, keep=(), modified=None, zone=None):
    """prefix/YYYY-MM-DD/…, a real date, before the cutoff; or, by modified, anything below prefix whose own time is before that day."""
    if prefix:
        if not key.startswith(prefix + "/"):
            return False
        rest = key[len(prefix) + 1:]
    else:
        rest = key
    if modified is not None:
        if not rest or modified <= 0 or modified >= day_begins(cutoff, zone):
            return False
    else:
        folder, slash, name = rest.partition("/")
        if not slash or not name or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", folder):
            return False
        try:
            if not datetime.date(*map(int, folder.split("-"))) < cutoff:
                return False
        except ValueError:
            return False
    # Not clearly in that folder: a server could take it for a path.
    if any(part in (".", "..") for part in key.split("/")):
        return False
    parts = key.split("/")
    folders = ["/".join(parts[:n]) for n in range(1, len(parts))]
    return not any(glob(g.rstrip("/")).fullmatch(text) for g in keep for whole in [key] + folders * ("/" in g)
                   for text in (whole, re.search(r"[^/]*/*$", whole)[0]))


# ---- keys near the edges

TAILS = ["x", "x.png", "a/b/c", "", "/", "/x", "x/", ".", "..", "../x", "./x", "a/../../x", "...", ".hidden", " x", "x ", "2020-01-01/x",
         "a&b<c>'\"", "100%", "%41", "a+b", "a\\b", "naïve-日本語-😀", "keep.me", "final/keep"]


def folders(cutoff):
    day = datetime.timedelta(1)
    near = [cutoff + k * day for k in (-400, -366, -365, -31, -30, -2, -1, 0, 1, 2, 30, 365)]
    texts = [d.isoformat() for d in near]
    d = cutoff - day
    y, m, n = d.year, d.month, d.day
    texts += [f"{y}-{m}-{n}", f"{y:04}{m:02}{n:02}", f"{y:04}/{m:02}/{n:02}", f"{y:04}_{m:02}_{n:02}", f"{d}x", f"x{d}", f" {d}", f"{d} ", f"{d}T00",
              f"+{str(d)[1:]}", f"-{str(d)[1:]}", f"{y:04}", f"{y:04}-{m:02}", f"{y:04}-{m:02}-", f"{n:02}-{m:02}-{y:04}", f"{d}\n", f"{d}.",
              "２" + str(d)[1:], str(d).replace("-", "–")]
    texts += ["2025-02-29", "2024-02-29", "2023-02-30", "1900-02-29", "2000-02-29", "2025-04-31", "2025-13-01", "2025-00-10", "2025-01-00",
              "2025-01-32", "0000-01-01", "0001-01-01", "1970-01-01", "9999-12-31", "", ".", "..", ".keep", "1.png", "~", "null", "today", "z"]
    return texts


def keys_near(prefix, cutoff):
    lead = prefix + "/" if prefix else ""
    for folder in folders(cutoff):
        for tail in TAILS[:12] if folder < "3" else TAILS[:3]:
            yield f"{lead}{folder}/{tail}"
        yield lead + folder
    old = (cutoff - datetime.timedelta(1)).isoformat()
    for tail in TAILS:
        yield f"{lead}{old}/{tail}"
    for other in (prefix + "2", prefix[:-1], prefix.upper() or "X", prefix + "/sub", "/" + prefix, prefix + "/", prefix + " ", "elsewhere"):
        yield f"{other}/{old}/x"


@functools.lru_cache(None)
def near(prefix, cutoff):
    return list(dict.fromkeys(keys_near(prefix, cutoff)))


def changes(zone, year=2025):
    """Instants at which the clocks of zone change."""
    start = int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    live_in(zone)
    for hour in range(start, start + 366 * 86400, 3600):
        if time.localtime(hour).tm_gmtoff != time.localtime(hour + 3600).tm_gmtoff:
            yield next(s for s in range(hour, hour + 3601) if time.localtime(s).tm_gmtoff != time.localtime(hour).tm_gmtoff)


def instants(zone):
    days = [(2025, 12, 29), (2026, 1, 1), (2024, 2, 29), (2024, 3, 1), (2025, 3, 1)]
    for midnight in [day_begins(datetime.date(*d), zone) for d in days]:
        yield from (midnight - 1, midnight, midnight + 43200)
    for change in changes(zone):
        day = local_date(change, zone)
        yield from (change - 1, change, change + 3600)
        yield from (day_begins(day + datetime.timedelta(k), zone) + s for k in (0, 1) for s in (-1, 0))


def quote(text):
    return urllib.parse.quote(text, safe="") if text else "-"


def pure(program):
    rng = random.Random(7)
    for zone in ZONES:
        lines, wants = [], []
        for now in instants(zone):
            for days in (0, 1, 30, 365, 36500):
                cutoff = local_date(now, zone) - datetime.timedelta(days)
                prefix = rng.choice(["outputs", "outputs", "a/b", "", "with space"])
                keys = near(prefix, cutoff)
                for key in rng.sample(keys, 60):
                    keep = rng.choice(["", "", "", "*.png", f"*/{cutoff.year}-*", "keep*", "x", "[!x]*", "final/", "*/final", f"{cutoff.year}-*/"])
                    lines.append(f"{now} {days} d 1 {quote(prefix)} {quote(key)} {quote(keep)}")
                    wants.append((cutoff, goes(key, prefix, cutoff, [keep] if keep else [])))
                begin = day_begins(cutoff, zone) if cutoff.year > 1970 else 0
                for modified in (begin - 1, begin, begin + 1, 0, now):
                    key = f"{prefix}/x" if prefix else "x"
                    lines.append(f"{now} {days} m {modified} {quote(prefix)} {quote(key)}")
                    wants.append((cutoff, goes(key, prefix, cutoff, (), modified, zone)))
        got = subprocess.run([program, "judge"], input="\n".join(lines), capture_output=True, text=True, check=True,
                             env={**os.environ, "TZ": zone}).stdout.splitlines()
        wrong = [f"{line}: {answer}, should be {want[0]} {int(want[1])}" for line, answer, want in itertools.zip_longest(lines, got, wants)
                 if answer != f"{want[0]} {int(want[1])}"]
        report(not wrong, f"oracle: {len(lines)} verdicts in {zone}, {sum(w[1] for w in wants)} deletes", *wrong[:5])


# ---- the store, by a signer of its own

class Bucket:
    def __init__(self):
        self.url = urllib.parse.urlsplit(os.environ["R2_ENDPOINT"])
        self.name = os.environ["R2_BUCKET"]
        self.keys = os.environ["R2_ACCESS_KEY_ID"], os.environ["R2_SECRET_ACCESS_KEY"]
        self.connection = http.client.HTTPSConnection(
            self.url.hostname, self.url.port, context=ssl.create_default_context(cafile=os.environ["R2_CA_FILE"]))

    def request(self, method, key="", query=(), body=b""):
        path = "/" + self.name + ("/" + urllib.parse.quote(key, safe="/~", errors="surrogateescape") if key else "")
        args = "&".join(f"{urllib.parse.quote(k, safe='~')}={urllib.parse.quote(v, safe='~')}" for k, v in sorted(query))
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/auto/s3/aws4_request"
        fields = {"host": self.url.netloc, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": stamp}
        canonical = "\n".join([method, path, args, *(f"{k}:{v}" for k, v in fields.items()), "", ";".join(fields), fields["x-amz-content-sha256"]])
        sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}".encode()
        secret = ("AWS4" + self.keys[1]).encode()
        for part in (*scope.split("/"), None):
            secret = hmac.new(secret, part.encode() if part else sign, hashlib.sha256).digest()
        fields["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.keys[0]}/{scope}, SignedHeaders={';'.join(list(fields)[:3])}, "
                                   f"Signature={secret.hex()}")
        self.connection.request(method, path + ("?" + args if args else ""), body or None, fields)
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def list(self, prefix):
        keys, more = set(), ()
        while True:
            status, text = self.request("GET", query=[("list-type", "2"), ("prefix", prefix), ("encoding-type", "url"), *more])
            assert status == 200, text
            root = ElementTree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", text))
            keys.update(urllib.parse.unquote(k.text, errors="surrogateescape") for k in root.iterfind("Contents/Key"))
            token = root.findtext("NextContinuationToken")
            if root.findtext("IsTruncated") != "true":
                return keys
            more = (("continuation-token", token),)


def zone_where_it_is(seconds):
    """A zone in which it is that many seconds after midnight now; "XXX+h:mm:ss" is west."""
    west = (int(time.time()) - seconds) % 86400
    if west > 43200:
        west -= 86400
    return f"XXX{'-' if west < 0 else '+'}{abs(west) // 3600:02}:{abs(west) // 60 % 60:02}:{abs(west) % 60:02}"


def store(program):
    bucket = Bucket()
    prefix = f"oracle-{os.getpid()}"
    odd = ["a\nb", "tab\there", "\x01", "\x7f", "\udcff\udcfe", "￾", " lead", "trail ", "k" * (1024 - len(prefix) - 12), "keep.me",
           "sub/keep.me", "sub/keep.me/x"]
    there = set()
    for zone in [zone_where_it_is(-1200), zone_where_it_is(1200), "UTC", "Pacific/Kiritimati", "America/New_York", "Asia/Kolkata"]:
        cutoff = local_date(time.time(), zone) - datetime.timedelta(30)
        old = (cutoff - datetime.timedelta(1)).isoformat()
        keys = list(dict.fromkeys([*near(prefix, cutoff), *(f"{prefix}/{old}/{tail}" for tail in odd)]))
        random.Random(zone).shuffle(keys)
        # In another bucket's names a key beginning with a slash, or too long, may not be: what the server refuses is no key.
        wanted = [k for k in keys if k.startswith(prefix)]
        wanted = [k for k in wanted[:180] + [k for k in wanted[180:] if old in k] if bucket.request("PUT", k, body=b"x")[0] == 200]
        there = bucket.list(prefix)
        should_go = {k for k in there if goes(k, prefix, cutoff, ["keep.*"])}
        said = subprocess.run([program, "cleanup", "--days", "30", "--prefix", prefix, "--keep", "keep.*"], capture_output=True, text=True,
                              env={**os.environ, "TZ": zone}, check=False)
        left = bucket.list(prefix)
        gone = there - left
        report(gone == should_go and not left - there and said.returncode == 0 and said.stdout == f"Deleted {len(gone)} files older than 30 days\n",
               f"oracle: {len(there)} keys in the store, {len(should_go)} to go, TZ={zone}",
               f"too many: {sorted(gone - should_go)[:5]}", f"left: {sorted(should_go - gone)[:5]}", said.stdout, said.stderr)
    for key in bucket.list(prefix):
        bucket.request("DELETE", key)


{"pure": pure, "store": store}[sys.argv[1]](sys.argv[2])
sys.exit(failed != 0)
