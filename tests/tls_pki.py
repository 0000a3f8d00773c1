"""An authority, its certificates and their abuses, byte by byte, for tests/tls_bad.py. OpenSSL would refuse to make most of them.
The standard library has no elliptic curve: P-256 and ECDSA stand here, slow and not for secrets."""
import base64, datetime, functools, hashlib

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


# ---- P-256 ----

def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = 3 * (p[0] * p[0] - 1) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def doubles(p):
    out = [p]
    while len(out) < 256:
        out.append(add(out[-1], out[-1]))
    return out


def mul(k, p):
    """k times p."""
    out = None
    if p == G:
        for i in range(256):
            if k >> i & 1:
                out = add(out, GS[i])
        return out
    while k:
        if k & 1:
            out = add(out, p)
        p, k = add(p, p), k >> 1
    return out


GS = doubles(G)


def point(p):
    return b"\4" + p[0].to_bytes(32, "big") + p[1].to_bytes(32, "big")


# ---- DER ----

def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x80 | len(size)]) + size) + body


def seq(*parts):
    return der(0x30, *parts)


def integer(n):
    return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))


def bits(data):
    return der(3, b"\0", data)


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([first * 40 + second])
    for n in rest:
        part = [n & 127]
        while n := n >> 7:
            part.insert(0, n & 127 | 128)
        out += bytes(part)
    return der(6, out)


def name(cn):
    return seq(*[der(0x31, seq(oid("2.5.4.3"), der(12, c.encode()))) for c in ([cn] if isinstance(cn, str) else cn)])


def when(t):
    """A time: of a datetime as RFC 5280 section 4.1.2.5 wants it; text as it stands, UTCTime if it is short."""
    if not isinstance(t, str):
        t = t.strftime("%y%m%d%H%M%SZ" if t.year < 2050 else "%Y%m%d%H%M%SZ")
    return der(0x17 if len(t) < 14 else 0x18, t.encode())


ECDSA_SHA1, ECDSA_SHA256 = "1.2.840.10045.4.1", "1.2.840.10045.4.3.2"
RSA_MD5, RSA_SHA1, RSA_SHA256 = (f"1.2.840.113549.1.1.{n}" for n in (4, 5, 11))
RSA_PSS, ED25519 = "1.2.840.113549.1.1.10", "1.3.101.112"


@functools.cache
class EC:
    """A P-256 key that is always the same for the same label."""
    algorithm, suite, sigalg = ECDSA_SHA256, 0xCCA9, 0x0403

    def __init__(self, label):
        self.d = int.from_bytes(hashlib.sha256(label.encode()).digest(), "big") % N
        self.public = point(mul(self.d, G))
        self.spki = seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), bits(self.public))

    def sign(self, data, digest=hashlib.sha256):
        z = int.from_bytes(digest(data).digest(), "big")
        k = int.from_bytes(hashlib.sha256(self.d.to_bytes(32, "big") + data).digest(), "big") % N
        r = mul(k, G)[0] % N
        return seq(integer(r), integer(pow(k, -1, N) * (z + r * self.d) % N))


class RSA:
    """A modulus of which nobody knows the factors: who verifies with exponent 1 takes signatures all the same."""
    algorithm, suite, sigalg = RSA_SHA256, 0xCCA8, 0x0401

    def __init__(self, size, e=65537):
        self.size = size // 8
        n = int.from_bytes(hashlib.shake_128(b"modulus").digest(self.size), "big") | 1 << size - 1 | 1
        self.spki = seq(seq(oid("1.2.840.113549.1.1.1"), der(5)), bits(seq(integer(n), integer(e))))

    def sign(self, data):
        info = seq(seq(oid("2.16.840.1.101.3.4.2.1"), der(5)), der(4, hashlib.sha256(data).digest()))
        return b"\0\1" + b"\xff" * (self.size - len(info) - 3) + b"\0" + info


class Edwards:
    algorithm, suite, sigalg = ED25519, 0xCCA9, 0x0807
    spki = seq(seq(oid(ED25519)), bits(bytes(range(32))))

    def sign(self, data):
        return bytes(64)


# ---- extensions ----

def ext(number, value, critical=False):
    return seq(oid(number if "." in number else "2.5.29." + number), der(1, b"\xff") if critical else b"", der(4, value))


def general(entry):
    """DNS:name, bytes of a dNSName, IP:address (or address/mask in hexadecimal), DIR:name."""
    if isinstance(entry, bytes):
        return der(0x82, entry)
    kind, text = entry.split(":", 1) if entry[:4] in ("DNS:", "DIR:", "URI:") or entry[:3] == "IP:" else ("DNS", entry)
    if kind == "IP":
        return der(0x87, bytes.fromhex(text) if len(text) in (16, 64) else bytes(map(int, text.split("."))))
    return der(0xA4, name(text)) if kind == "DIR" else der({"DNS": 0x82, "URI": 0x86}[kind], text.encode())


def san(*names):
    return ext("17", seq(*map(general, names)))


def eku(*purposes, critical=False):
    short = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2", "mail": "1.3.6.1.5.5.7.3.4", "any": "2.5.29.37.0"}
    return ext("37", seq(*[oid(short[p]) for p in purposes]), critical)


def usage(*which, critical=True):
    value = sum(128 >> {"sign": 0, "encipher": 2, "agree": 4, "certs": 5, "crl": 6}[w] for w in which)
    return ext("15", der(3, b"\0", bytes([value])), critical)


def basic(ca=True, depth=None):
    return ext("19", seq(der(1, b"\xff") if ca else b"", b"" if depth is None else integer(depth)), True)


def limits(permit=(), exclude=(), critical=False, more=b""):
    """Name constraints."""
    def side(tag, names):
        return der(tag, *[seq(general(n), more) for n in names]) if names else b""
    return ext("30", seq(side(0xA0, permit), side(0xA1, exclude)), critical)


# ---- certificates ----

class Cert:
    def __init__(self, subject, key, issuer, exts, **o):
        self.subject, self.key = o.get("raw_subject") or name(subject), key
        signer, algorithm = issuer.key if issuer else key, o.get("algorithm")
        algorithm = seq(oid(algorithm or signer.algorithm))
        tbs = seq(der(0xA0, integer(2)) if o.get("version", 3) == 3 else b"", integer(o.get("serial", 1)), algorithm,
                  issuer.subject if issuer else self.subject, seq(when(o.get("since", NOW - DAY)), when(o.get("until", NOW + 9 * DAY))),
                  self.subject, key.spki, der(0xA3, seq(*exts)) if exts and o.get("version", 3) == 3 else b"")
        sig = signer.sign(tbs) if o.get("algorithm") != ECDSA_SHA1 else signer.sign(tbs, hashlib.sha1)
        self.der = seq(tbs, algorithm, bits(sig))


KEY = EC("server")
CA = Cert("authority", EC("authority"), None, [basic(), usage("certs")])


def ca(subject="intermediate", issuer=CA, *exts, key=None, **o):
    """An intermediate; exts beside the usual ones, or bare=True: instead of them."""
    return Cert(subject, key or EC(subject), issuer, ([] if o.get("bare") else [basic(depth=o.get("depth")), usage("certs", "crl")]) + list(exts), **o)


def leaf(*exts, issuer=CA, key=KEY, cn="a server", names=("localhost", "IP:127.0.0.1"), **o):
    return Cert(cn, key, issuer, ([san(*names)] if names else []) + list(exts), **o)


def line(n, last=(), **o):
    """A leaf below n intermediates, the server's chain."""
    chain = [CA]
    for i in range(n):
        chain.insert(0, ca(f"intermediate {i}", chain[0]))
    return [leaf(issuer=chain[0])] + chain[:-1]


def pem(cert):
    return "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(cert.der).decode() + "-----END CERTIFICATE-----\n"


if __name__ == "__main__":   # for tests/t_tls_chain.c: a chain in which everything that is looked at occurs, and what stands in CA files
    import sys
    middle = ca("intermediate", CA, eku("server"), limits(["localhost", "IP:7f000000ff000000"], ["c.test"]), depth=0)
    files = {
        "leaf": leaf(usage("sign"), eku("mail", "server"), basic(False), issuer=middle), "middle": middle, "ca": CA,
        "twin": Cert("authority", EC("twin"), None, [basic(), usage("certs")]),
        "other": Cert("another", EC("authority"), None, [basic(), usage("certs")]),
        "limited": Cert("authority", EC("twin"), None, [basic(), limits(["c.test"])]),
        "weak": Cert("authority", RSA(2040), None, [basic(), limits(["c.test"])]),
        "no_ca": Cert("authority", EC("authority"), None, [usage("certs")]),
        "leaf_twin": leaf(key=EC("twin"), issuer=middle), "leaf_ca": leaf(basic(), issuer=middle),
    }
    for file, cert in files.items():
        with open(f"{sys.argv[1]}/{file}.der", "wb") as f:
            f.write(cert.der)
