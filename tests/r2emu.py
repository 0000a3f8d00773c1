"""An S3 server on loopback that keeps Cloudflare R2's rules, as far as anything public says them: r2emu.py DIR CERT KEY HTTPS HTTP
It is meant to be stricter than R2 rather than laxer: what R2 is not known to implement is refused with 501. It shares nothing with
the client: signatures, checksums and XML are made here, from AWS's and Cloudflare's documentation. Objects stand in DIR/data.
  HTTPS   the port of https://127.0.0.1
  HTTP    the port that speaks http, and more:
          CONNECT HOST:443   a tunnel to R2 itself: https for ACCOUNT.r2.cloudflarestorage.com, which wants the name (SNI) and the account
          POST /-/set        the body's lines NAME VALUE: a setting, see SETTINGS
Every request is a line of JSON in DIR/requests, written before its answer: time, tls, method, target, headers (but for the signature),
op, bucket, key, status, code (of an error), why.
Environment: R2EMU_KEY_ID, R2EMU_SECRET, R2EMU_ACCOUNT, R2EMU_RATE.

Sources, where a rule names one:
  docs:X    developers.cloudflare.com/r2/X (github.com/cloudflare/cloudflare-docs, src/content/docs/r2/X)
  notes:D   release notes of that day: src/content/release-notes/r2.yaml there
  aws:X     docs.aws.amazon.com/AmazonS3/latest/API/X
  O/R#N     an issue on GitHub
"""
import base64, binascii, calendar, collections, ctypes, email.header, email.utils, gzip, hashlib, hmac, json, mimetypes, os, re, socket
import ssl, struct, subprocess, sys, tempfile, threading, time, unicodedata, urllib.parse, zlib
from xml.etree import ElementTree
from xml.sax.saxutils import escape

MIB = 1 << 20
KEY_MAX, META_MAX = 1024, 8192                  # docs:platform/limits
PUT_MAX = 5 * 1024 * MIB - 5 * MIB              # docs:platform/limits: one PUT or part
OBJECT_MAX = 5 * 1024 * 1024 * MIB - 5 * 1024 * MIB
PART_MIN, PARTS_MAX = 5 * MIB, 10000            # docs:objects/multipart-objects
PAGE_MAX = 1000                                 # docs:examples/aws/aws-sdk-js-v3
DELETE_MAX = 1000                               # notes:2022-07-01
RULES_MAX = 1000                                # docs:buckets/object-lifecycles
SKEW_MAX = 900                                  # aws:sig-v4-authenticating-requests; R2 does not say
EXPIRES_MAX = 604800                            # docs:api/s3/presigned-urls
URL_MAX, HEADERS_MAX = 16384, 32768             # developers.cloudflare.com/fundamentals/reference/connection-limits
IDLE = 400                                      # there
REGIONS = ("auto", "us-east-1", "")             # docs:api/s3/api, Bucket region
XMLNS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
KEPT_IN_MEMORY = 256 * 1024

DIR = sys.argv[1]
KEY_ID, SECRET, ACCOUNT = (os.environ["R2EMU_" + n] for n in ("KEY_ID", "SECRET", "ACCOUNT"))
SETTINGS = {
    "rate": int(os.environ.get("R2EMU_RATE", 1000)),   # milliseconds between two writes of a key
    "clock": 0,                                     # seconds its clock is ahead
    "page": PAGE_MAX,                               # rows of a page of any listing, at most
}
lock = threading.RLock()

# The codes of docs:api/error-codes, and those that were seen (see the places that raise them).
STATUS = {
    "Unauthorized": 401, "AccessDenied": 403, "ExpiredRequest": 400, "SignatureDoesNotMatch": 403, "InvalidBucketName": 400,
    "NoSuchBucket": 404, "BucketNotEmpty": 409, "BucketConflict": 409, "NoSuchKey": 404, "InvalidObjectName": 400,
    "EntityTooLarge": 400, "MetadataTooLarge": 400, "MissingContentLength": 411, "IncompleteBody": 400, "InvalidDigest": 400,
    "BadDigest": 400, "InvalidRange": 416, "PreconditionFailed": 412, "EntityTooSmall": 400, "NoSuchUpload": 404, "InvalidPart": 400,
    "InternalError": 500, "TooManyRequests": 429, "NotImplemented": 501, "InvalidRequest": 400, "InvalidRegionName": 400,
    "MalformedXML": 400, "RequestTimeTooSkewed": 403, "InvalidArgument": 400, "NoSuchLifecycleConfiguration": 404,
    "NoSuchCORSConfiguration": 404, "URITooLong": 414, "RequestHeaderSectionTooLarge": 431, "NotModified": 304,
}


class Refused(Exception):
    """why: for the log alone."""

    def __init__(self, code, message, why=""):
        self.code, self.message, self.why = code, message, why


# ---- Checksums -------------------------------------------------------------------------------------------------------------------

# CRC32C (RFC 3720 appendix B.4), eight tables: Python itself makes a few MB a second.
CRC32C_C = r"""
#include <stddef.h>
#include <stdint.h>
static uint32_t t[8][256];
void crc32c_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
		t[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 255];
}
uint32_t crc32c(uint32_t c, const uint8_t *p, size_t n)
{
	for (c = ~c; n >= 8; n -= 8, p += 8) {
		c ^= p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
		c = t[7][c & 255] ^ t[6][c >> 8 & 255] ^ t[5][c >> 16 & 255] ^ t[4][c >> 24] ^
			t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
	}
	while (n--)
		c = c >> 8 ^ t[0][(c ^ *p++) & 255];
	return ~c;
}
"""


def load_crc32c():
    name = os.path.join(DIR, "crc32c")
    with open(name + ".c", "w") as f:
        f.write(CRC32C_C)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", name + ".so", name + ".c"], check=True)
    lib = ctypes.CDLL(name + ".so")
    lib.crc32c.argtypes, lib.crc32c.restype = (ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t), ctypes.c_uint32
    lib.crc32c_init()
    assert lib.crc32c(0, b"123456789", 9) == 0xE3069283
    return lib.crc32c


class Crc:
    """With hashlib's face. The pieces given must stand in a bytearray's or bytes' memory."""

    def __init__(self, step):
        self.step, self.value = step, 0

    def update(self, piece):
        self.value = self.step(self.value, piece)

    def digest(self):
        return struct.pack(">I", self.value)


def crc32c_step(value, piece):
    if isinstance(piece, bytes):
        return crc32c(value, piece, len(piece))
    return crc32c(value, ctypes.addressof((ctypes.c_char * len(piece)).from_buffer(piece)), len(piece))


CHECKSUMS = {   # docs:api/s3/api, Checksum Types; CRC64NVME is one more, which nothing here can count
    "crc32": lambda: Crc(lambda v, p: zlib.crc32(p, v)), "crc32c": lambda: Crc(crc32c_step),
    "sha1": hashlib.sha1, "sha256": hashlib.sha256,
}


# ---- Objects ---------------------------------------------------------------------------------------------------------------------

class Blob:
    """Bytes that came in one body, in memory or in a file."""

    def __init__(self):
        self.size, self.md5, self.data, self.path = 0, None, b"", None

    def __del__(self):
        if self.path:
            os.unlink(self.path)

    def pieces(self, start, end):
        if not self.path:
            yield self.data[start:end]
            return
        with open(self.path, "rb") as f:
            f.seek(start)
            while start < end:
                piece = f.read(min(MIB, end - start))
                start += len(piece)
                yield piece


class Object:
    def __init__(self, name, blobs, etag, fields):
        self.name, self.blobs, self.etag, self.fields = name, blobs, etag, fields   # name: as it was last written
        self.size = sum(b.size for b in blobs)
        self.modified = now()

    def pieces(self, start, end):
        for b in self.blobs:
            if start < b.size and end > 0:
                yield from b.pieces(max(start, 0), min(end, b.size))
            start, end = start - b.size, end - b.size


class Upload:
    def __init__(self, name, fields):
        self.name, self.fields, self.parts, self.started = name, fields, {}, now()
        # Long, as theirs are. Of "/" and "+" curl 7.88 would sign another form than S3's.
        self.id = base64.urlsafe_b64encode(os.urandom(228)).decode()


class Bucket:
    def __init__(self):
        self.objects, self.uploads, self.cors, self.created = {}, {}, None, now()
        self.aborted = set()
        # docs:buckets/object-lifecycles: there is a default rule; its name: halo-dev/plugin-s3#49
        self.rules = [{"ID": "Default Multipart Abort Rule", "Status": "Enabled", "Filter": "", "Abort": 7}]


buckets = {}
written = {}   # (bucket, key): when it was written, monotonic


def now():
    return time.time() + SETTINGS["clock"]


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % (t % 1 * 1000)


# ---- Signatures: aws:sig-v4-authenticating-requests, sig-v4-header-based-auth, sigv4-query-string-auth ---------------------------

def uri_encode(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~", errors="surrogateescape")


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, day, region):
    return hmac256(hmac256(hmac256(hmac256(("AWS4" + secret).encode(), day), region), "s3"), "aws4_request")


def canonical_request(rq, query, signed, payload):
    lines = [rq.method, uri_encode(rq.path, "/")]
    lines.append("&".join(sorted(f"{uri_encode(n)}={uri_encode(v)}" for n, v in query)))
    for name in signed:
        values = [re.sub(" +", " ", v.strip()) for n, v in rq.headers if n == name]
        if not values:
            raise Refused("SignatureDoesNotMatch", "The request signature does not match.", f"{name} is signed but was not sent")
        lines.append(f"{name}:{','.join(values)}")
    return "\n".join([*lines, "", ";".join(signed), payload])


def secret_of(key_id, token):
    if len(key_id) != 32:   # grafana/loki#9224
        raise Refused("InvalidArgument", f"Invalid Argument: Credential access key has length {len(key_id)}, should be 32")
    if key_id != KEY_ID:
        raise Refused("Unauthorized", "Unauthorized", "unknown access key")
    return session_secret(token) if token is not None else SECRET


def session_secret(token):
    """docs:api/s3/temporary-credentials: the token is base64 of jwt/JWT, the secret the JWT's SHA-256."""
    try:
        jwt = base64.b64decode(token, validate=True).decode().removeprefix("jwt/")
        text, _, mac = jwt.rpartition(".")
        good = hmac.compare_digest(base64.urlsafe_b64decode(mac + "=="), hmac256(SECRET.encode(), text))
    except (ValueError, binascii.Error):
        good = False
    if not good:
        raise Refused("Unauthorized", "Unauthorized", "session token")
    return hashlib.sha256(jwt.encode()).hexdigest()


def check_scope(credential, when):
    key_id, _, scope = credential.partition("/")
    parts = scope.split("/")
    if len(parts) != 4 or parts[2:] != ["s3", "aws4_request"] or not re.fullmatch(r"\d{8}T\d{6}Z", when) or parts[0] != when[:8]:
        raise Refused("InvalidArgument", "Authorization", "credential scope or date")
    if parts[1] not in REGIONS:   # jeessy2/backup-x#127
        raise Refused("InvalidRegionName", f"The region name '{parts[1]}' is not valid. Must be one of: wnam, enam, weur, eeur, apac, oc, auto")
    return key_id, scope, calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ"))


def check_signed(rq, signed):
    """Every x-amz- field and the host must be signed, and the list be sorted: else somebody on the way could change them."""
    missing = [n for n, _ in rq.headers if (n == "host" or n.startswith("x-amz-")) and n not in signed]
    if missing or signed != sorted(set(signed)) or any(n != n.lower() for n in signed):
        raise Refused("SignatureDoesNotMatch", "The request signature does not match.", f"not signed: {missing}, signed: {signed}")


def compare(rq, query, signed, payload, credential, when, scope, token, signature):
    text = canonical_request(rq, query, signed, payload)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()])
    key = signing_key(secret_of(credential.partition("/")[0], token), when[:8], scope.split("/")[1])
    if not hmac.compare_digest(hmac256(key, to_sign).hex(), signature):
        raise Refused("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "
                      "Check your secret access key and signing method.", "canonical request: " + text)


def check_header_signature(rq):
    m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^, ]+), ?SignedHeaders=([^, ]+), ?Signature=([0-9a-f]{64})", rq.get("authorization"))
    if not m:   # vastsa/FileCodeBox#148
        raise Refused("Unauthorized", "SigV2 authorization is not supported. Please use SigV4 instead.", "not SigV4")
    when, payload, signed = rq.get("x-amz-date", ""), rq.get("x-amz-content-sha256"), m[2].split(";")
    if payload is None:   # rclone/rclone#5422
        raise Refused("Unauthorized", "Unauthorized", "no x-amz-content-sha256")
    key_id, scope, t = check_scope(m[1], when)
    secret_of(key_id, None)
    if abs(t - now()) > SKEW_MAX:
        raise Refused("RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
    check_signed(rq, signed)
    compare(rq, rq.query, signed, payload, key_id, when, scope, rq.get("x-amz-security-token"), m[3])
    rq.signed = signed
    return payload


def check_presigned(rq):
    q = {n.lower(): v for n, v in rq.query if n.lower().startswith("x-amz-")}
    if rq.method not in ("GET", "HEAD", "PUT", "DELETE"):   # docs:api/s3/presigned-urls
        raise Refused("NotImplemented", f"Presigned {rq.method} not implemented")
    if q.get("x-amz-algorithm") != "AWS4-HMAC-SHA256" or not re.fullmatch(r"\d+", q.get("x-amz-expires", "")) or \
       not 1 <= int(q["x-amz-expires"]) <= EXPIRES_MAX:
        # cloudreve/cloudreve#2176
        raise Refused("InvalidArgument", "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be "
                      "less than 604800 seconds")
    signed = q.get("x-amz-signedheaders", "").split(";")
    key_id, scope, t = check_scope(q.get("x-amz-credential", ""), q.get("x-amz-date", ""))
    if t - now() > SKEW_MAX:
        raise Refused("RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
    if now() > t + int(q["x-amz-expires"]):
        raise Refused("ExpiredRequest", "Request has expired")
    check_signed(rq, signed)
    payload = rq.get("x-amz-content-sha256", q.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD"))
    rest = [(n, v) for n, v in rq.query if n.lower() != "x-amz-signature"]
    compare(rq, rest, signed, payload, key_id, q["x-amz-date"], scope, q.get("x-amz-security-token"), q.get("x-amz-signature", ""))
    rq.signed = signed
    rq.query = [(n, v) for n, v in rq.query if n.lower() not in PRESIGN]
    return payload


PRESIGN = {"x-amz-" + n for n in ("algorithm", "credential", "date", "expires", "signedheaders", "signature", "security-token", "content-sha256")}


def check_signature(rq):
    presigned = any(n.lower() == "x-amz-signature" for n, _ in rq.query)
    if rq.get("authorization") is None and not presigned:
        raise Refused("Unauthorized", "Unauthorized", "not signed")
    payload = check_presigned(rq) if presigned else check_header_signature(rq)
    # soto-project/soto#643, docs:examples/aws/aws-sdk-net. Of STREAMING-UNSIGNED-PAYLOAD-TRAILER only failures are known.
    if payload.startswith("STREAMING-"):
        raise Refused("NotImplemented", f"{payload} not implemented")
    if payload != "UNSIGNED-PAYLOAD" and not re.fullmatch("[0-9a-f]{64}", payload):
        raise Refused("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.")
    return payload


# ---- What R2 implements: docs:api/s3/api -----------------------------------------------------------------------------------------

IF = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
META = {"x-amz-meta-", "x-amz-storage-class"}
SUMS = {"x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm", "x-amz-checksum-type"} | {"x-amz-checksum-" + n for n in CHECKSUMS}
LIST = {"prefix", "delimiter", "encoding-type", "max-keys"}
# SSE-C is implemented by R2, but not here.
Op = collections.namedtuple("Op", "name method scope needs allows fields")
OPS = [Op(*row) for row in (
    ("ListBuckets", "GET", "service", {}, {}, {}),
    ("GetBucketLifecycleConfiguration", "GET", "bucket", {"lifecycle"}, {}, {}),
    ("PutBucketLifecycleConfiguration", "PUT", "bucket", {"lifecycle"}, {}, {}),
    ("DeleteBucketLifecycle", "DELETE", "bucket", {"lifecycle"}, {}, {}),
    ("GetBucketLocation", "GET", "bucket", {"location"}, {}, {}),
    ("ListMultipartUploads", "GET", "bucket", {"uploads"},
     {"prefix", "delimiter", "encoding-type", "key-marker", "max-uploads", "upload-id-marker"}, {}),
    ("ListObjectsV2", "GET", "bucket", {"list-type"}, LIST | {"continuation-token", "fetch-owner", "start-after"}, {}),
    ("ListObjects", "GET", "bucket", {}, LIST | {"marker"}, {}),
    ("DeleteObjects", "POST", "bucket", {"delete"}, {}, SUMS),
    ("HeadBucket", "HEAD", "bucket", {}, {}, {}),
    ("CreateBucket", "PUT", "bucket", {}, {}, {}),
    ("DeleteBucket", "DELETE", "bucket", {}, {}, {}),
    ("ListParts", "GET", "object", {"uploadId"}, {"max-parts", "part-number-marker"}, {}),
    ("GetObject", "GET", "object", {}, {"partNumber"}, IF),
    ("HeadObject", "HEAD", "object", {}, {"partNumber"}, IF),
    ("UploadPart", "PUT", "object", {"uploadId", "partNumber"}, {}, SUMS),
    # docs:api/s3/extensions, Conditional operations in PutObject
    ("PutObject", "PUT", "object", {}, {}, IF | META | SUMS | {"cf-create-bucket-if-missing"}),
    ("CreateMultipartUpload", "POST", "object", {"uploads"}, {}, META | {"x-amz-checksum-algorithm", "x-amz-checksum-type"}),
    ("CompleteMultipartUpload", "POST", "object", {"uploadId"}, {}, IF),   # notes:2023-08-11
    ("AbortMultipartUpload", "DELETE", "object", {"uploadId"}, {}, {}),
    ("DeleteObject", "DELETE", "object", {}, {}, {}),
)]
ALWAYS = {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent"}
IGNORED = {"x-id", "x-purpose"}   # notes:2023-12-11, 2024-06-06


def find_operation(rq):
    scope = "object" if rq.key else "bucket" if rq.bucket else "service"
    names = [n for n, _ in rq.query if n not in IGNORED]
    for op in OPS:
        if op.method == rq.method and op.scope == scope and set(op.needs) <= set(names):
            break
    else:
        raise Refused("NotImplemented", f"{rq.method} of a {scope} not implemented")
    for name in names:   # notes:2022-07-01, k3s-io/k3s#8924
        if name not in op.needs and name not in op.allows:
            raise Refused("NotImplemented", f"{op.name} search parameter {name} not implemented")
    if len(set(names)) != len(names):
        raise Refused("InvalidArgument", "A query parameter was given twice")
    return op


def check_fields(rq, op):
    for name, value in rq.headers:
        known = name in op.fields or name in ALWAYS
        if name.startswith("x-amz-meta-") and "x-amz-meta-" in op.fields:
            continue
        # pixelfed/pixelfed#3775; an empty one: gobackup/gobackup#182
        if name.startswith("x-amz-") and (not known or not value):
            raise Refused("NotImplemented", f"Header '{name}' with value '{value}' not implemented")
        if name in IF and not known:   # not in the tables: so not implemented
            raise Refused("NotImplemented", f"Header '{name}' with value '{value}' not implemented")
    storage = rq.get("x-amz-storage-class", "STANDARD")
    if storage not in ("STANDARD", "STANDARD_IA"):
        raise Refused("NotImplemented", f"Header 'x-amz-storage-class' with value '{storage}' not implemented")
    if op.name == "UploadPart":   # Alos-no/Cloudflare.NET#43
        for name in ("x-amz-checksum-sha1", "x-amz-checksum-sha256"):
            if rq.get(name):
                raise Refused("NotImplemented", f"Header '{name}' with value '{rq.get(name)}' not implemented")
    if len([n for n, _ in rq.headers if n == "content-md5" or n.startswith("x-amz-checksum-") and n[15:] in CHECKSUMS]) > 1:
        # vectordotdev/vector#23029
        raise Refused("InvalidRequest", "You can only specify one non-default checksum at a time.")


def check_names(rq):
    if rq.bucket and not re.fullmatch("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", rq.bucket):   # docs:buckets/create-buckets
        raise Refused("InvalidBucketName", "The specified bucket name is not valid.")
    try:
        if len(rq.key.encode()) > KEY_MAX:
            raise Refused("InvalidObjectName", "The specified object name is not valid.", "too long")
    except UnicodeEncodeError:
        raise Refused("InvalidObjectName", "The specified object name is not valid.", "not UTF-8") from None


def nfc(name):
    """docs:reference/unicode-interoperability"""
    return unicodedata.normalize("NFC", name)


def check_rate(rq):
    """docs:platform/limits: one write a second for one key. A refused one does not count."""
    at, who = time.monotonic(), (rq.bucket, nfc(rq.key))
    with lock:
        if at - written.get(who, -1e9) < SETTINGS["rate"] / 1000:
            raise Refused("TooManyRequests", "Reduce your concurrent request rate for the same object.")
        written[who] = at


# ---- HTTP ------------------------------------------------------------------------------------------------------------------------

class Request:
    def __init__(self, head, tls):
        line, *rest = head.decode("latin-1").split("\r\n")
        self.method, self.target, version = line.split(" ")
        if version != "HTTP/1.1":
            raise ValueError(version)
        self.tls, self.headers, self.signed = tls, [], []
        for h in rest:
            name, colon, value = h.partition(":")
            if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise ValueError(h)
            self.headers.append((name.lower(), value.strip(" \t")))
        path, _, query = self.target.partition("?")
        self.path = urllib.parse.unquote(path, errors="surrogateescape")
        self.query = [tuple(urllib.parse.unquote_plus(x, errors="surrogateescape") for x in p.partition("=")[::2]) for p in query.split("&") if p]
        self.bucket, _, self.key = self.path[1:].partition("/")
        host = self.get("host", "").partition(":")[0].removesuffix(".r2.cloudflarestorage.com")
        if "." in host and host.split(".")[1] == ACCOUNT:   # virtual host: notes:2022-05-16
            self.bucket, self.key = host.split(".")[0], self.path[1:]
        self.length = self.unread = int(self.get("content-length", "0"))
        if self.length < 0:
            raise ValueError("Content-Length")

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n == name), default)

    def param(self, name, default=""):
        return next((v for n, v in self.query if n == name), default)

    def number(self, name, default, least, most):
        text = self.param(name)
        if text and (not re.fullmatch(r"\d{1,9}", text) or int(text) < least):
            raise Refused("InvalidArgument", f"Provided {name} not an integer or within integer range")
        return min(int(text), most) if text else default


class Gone(Exception):
    """The client."""


class Answer:
    chunked = False

    def __init__(self, status=200, body=b"", fields=(), object=None, start=0, end=0):
        self.status, self.body, self.fields = status, body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body, list(fields)
        self.object, self.start, self.end = object, start, end
        if self.body:
            self.fields.append(("Content-Type", "application/xml"))


def refusal(x):
    """docs:api/error-codes: no namespace, no request id."""
    if x.code == "NotModified":
        return Answer(304)
    return Answer(STATUS[x.code], '<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>'
                  % (x.code, xml_text(x.message)))


REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 304: "Not Modified"}


class Connection:
    def __init__(self, sock, tls):
        self.sock, self.tls, self.file = sock, tls, sock.makefile("rb", buffering=65536)

    def head(self):
        """The bytes of a request's head, None at the end."""
        lines, size = [], 0
        while True:
            line = self.file.readline(HEADERS_MAX)
            size += len(line)
            if not line.endswith(b"\n") or size > HEADERS_MAX:
                return None
            line = line.rstrip(b"\r\n")
            if line:
                lines.append(line)
            elif lines:
                return b"\r\n".join(lines)

    def read_body(self, rq, sums, spool):
        """Into a Blob (spool), or nowhere."""
        length, rq.unread = rq.unread, 0
        blob, buffer = Blob(), bytearray(min(length, MIB))
        f = None
        if spool and length > KEPT_IN_MEMORY:
            fd, blob.path = tempfile.mkstemp(dir=os.path.join(DIR, "data"))
            f = os.fdopen(fd, "wb", buffering=0)
        while blob.size < length:
            piece = memoryview(buffer)[:min(len(buffer), length - blob.size)]
            n = self.file.readinto(piece)
            if n < len(piece):   # IncompleteBody, but there is nobody to hear it
                raise Gone
            blob.size += n
            for s in sums:
                s.update(piece)
            if f:
                f.write(piece)
            elif spool:
                blob.data += bytes(piece)
        if f:
            f.close()
        return blob

    def send(self, rq, a):
        size = a.end - a.start if a.object else len(a.body)
        fields = [("Date", email.utils.formatdate(now(), usegmt=True)), ("Server", "cloudflare"), ("CF-RAY", os.urandom(8).hex() + "-EMU"), *a.fields]
        if a.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif a.status not in (204, 304):
            fields.append(("Content-Length", size))
        head = f"HTTP/1.1 {a.status} {REASONS.get(a.status, 'Refused')}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n"
        data = head.encode("latin-1")
        if rq.method == "HEAD" or a.status in (204, 304):
            self.sock.sendall(data)
            return
        self.sock.sendall(data + a.body)
        if a.object:
            for piece in a.object.pieces(a.start, a.end):
                self.sock.sendall(piece)


# What the edge compresses on the way (github.com/cloudflare/cloudflare-docs, src/content/docs/speed/optimization/content/compression.mdx).
COMPRESSED = re.compile("text/(html|plain|css|xml|javascript)|application/(json|javascript|xml)|image/svg\\+xml")
# There is no brotli here: something else than the stored bytes, as what it decodes to would be.
DECODE = {"gzip": gzip.decompress, "br": lambda data: b"(decoded) " + data}


def edge(rq, a):
    """What Cloudflare's edge makes of a stored object on its way: what has a Content-Encoding arrives decoded at whoever does not accept
    that one, what has none may arrive compressed at whoever accepts one; both in chunks, without a length, a HEAD's answer too
    (rclone/rclone#8137, #8531; docs:objects/transparent-compression, as of 2023). What a range of a decoded object is nobody says: here
    it is passed over. That the ETag becomes a weak one is what every proxy has to do (RFC 9110 section 8.8.1)."""
    fields = {n.lower(): str(v).lower() for n, v in a.fields}
    coding, accepted = fields.get("content-encoding"), {x.partition(";")[0].strip() for x in rq.get("accept-encoding", "").split(",")}
    if "no-transform" in fields.get("cache-control", ""):
        return
    if coding in DECODE and coding not in accepted:
        turn, coding, a.start, a.end = DECODE[coding], None, 0, a.object.size
    elif not coding and accepted & {"gzip", "br"} and a.status == 200 and a.end >= 48 and COMPRESSED.match(fields.get("content-type", "")):
        turn, coding = gzip.compress, "gzip"
    else:
        return
    try:
        data = turn(b"".join(a.object.pieces(a.start, a.end)))
    except (OSError, EOFError, zlib.error):   # not what its Content-Encoding says
        raise Gone from None
    a.fields = [(n, "W/" + v if n == "ETag" else v) for n, v in a.fields if n.lower() not in ("content-encoding", "content-range", "accept-ranges")]
    a.fields += [("Vary", "Accept-Encoding")] + ([("Content-Encoding", coding)] if coding else [])
    a.body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
    a.status, a.object, a.chunked = 200, None, True


requests_log = None


def log(rq, op, a, code, why):
    headers = [(n, re.sub("Signature=[0-9a-f]+", "Signature=…", v)) for n, v in rq.headers]
    row = {"time": time.time(), "tls": rq.tls, "method": rq.method, "target": rq.target, "headers": headers, "signed": rq.signed,
           "op": op.name if op else None, "bucket": rq.bucket, "key": rq.key, "status": a.status, "code": code, "why": why}
    with lock:
        requests_log.write(json.dumps(row) + "\n")


def answer(c, rq):
    """The whole of one request: its body is read in any case, so that the connection can go on."""
    op, code, why = None, None, ""
    try:
        if len(rq.target) > URL_MAX:
            raise Refused("URITooLong", "Request-URI Too Long")
        # sindresorhus/ky#727; home-assistant/core#176761 for chunked bodies
        if rq.get("transfer-encoding") or (rq.method in ("PUT", "POST") and rq.get("content-length") is None):
            rq.unread = 0
            raise Refused("MissingContentLength", "You must provide the Content-Length HTTP header.")
        payload = check_signature(rq)
        op = find_operation(rq)
        check_fields(rq, op)
        check_names(rq)
        begin(rq, op)
        a = HANDLERS[op.name](rq, take_body(c, rq, payload, op))
        if a.object:
            edge(rq, a)
    except Refused as x:
        if rq.unread:
            c.read_body(rq, [], False)
        a, code, why = refusal(x), x.code, x.why
    log(rq, op, a, code, why)
    c.send(rq, a)
    if code == "MissingContentLength":   # who knows where the next request begins
        raise Gone


def begin(rq, op):
    """What is known before the body."""
    if rq.bucket and op.name != "CreateBucket" and rq.bucket not in buckets:
        raise Refused("NoSuchBucket", "The specified bucket does not exist.")
    if rq.length > PUT_MAX:
        raise Refused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
    if op.name in ("PutObject", "CompleteMultipartUpload"):
        if op.name == "PutObject":
            check_rate(rq)
            kept_fields(rq)
        else:
            find_upload(rq)
            check_rate(rq)
    if op.name == "UploadPart":
        find_upload(rq)


def take_body(c, rq, payload, op):
    """Read it, and hold it against every checksum that came with it: docs:api/error-codes, InvalidDigest and BadDigest."""
    sums, wanted = {"md5": hashlib.md5()}, {}
    if rq.get("content-md5") is not None:
        wanted["md5"] = digest(rq.get("content-md5"), 16)
    for name, make in CHECKSUMS.items():
        if rq.get("x-amz-checksum-" + name):
            sums[name] = make()
            wanted[name] = digest(rq.get("x-amz-checksum-" + name), len(make().digest()))
    if payload != "UNSIGNED-PAYLOAD":
        sums["body"] = hashlib.sha256()
        wanted["body"] = bytes.fromhex(payload)
    blob = c.read_body(rq, sums.values(), True)
    blob.md5 = sums["md5"].digest()
    for name, value in wanted.items():
        if sums[name].digest() != value:
            raise Refused("BadDigest", "The checksum you specified did not match what we received.", name)
    # Whether R2 wants this is not known; AWS does.
    if op.name == "DeleteObjects" and not set(wanted) - {"body"}:
        raise Refused("InvalidRequest", "Missing required header for this request: Content-MD5")
    return blob


def digest(text, length):
    try:
        value = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        value = b""
    if len(value) != length:
        raise Refused("InvalidDigest", "The checksum you specified is not valid.")
    return value


# ---- Operations ------------------------------------------------------------------------------------------------------------------

def xml_text(text):
    """Control characters as references, as AWS does it, though XML 1.0 has no such thing."""
    return re.sub("[\x00-\x1f\x7f]", lambda m: "&#%d;" % ord(m[0]), escape(text, {'"': "&quot;"}))


def xml(name, body):
    return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?><{name}{XMLNS}>{body}</{name}>')


def malformed():
    return Refused("MalformedXML", "The XML you provided was not well formed or did not validate against our published schema.")


def read_xml(blob, root):
    """Without namespaces."""
    try:
        x = ElementTree.fromstring(b"".join(blob.pieces(0, blob.size)))
    except ElementTree.ParseError:
        x = None
    if x is not None:
        for e in x.iter():
            e.tag = e.tag.rpartition("}")[2]
    if x is None or x.tag != root:
        raise malformed()
    return x


def etag_of(text):
    return text.strip().removeprefix("W/").strip('"')


def check_conditions(rq, o):
    """RFC 9110 section 13.2.2; docs:api/s3/extensions for PutObject."""
    read = rq.method in ("GET", "HEAD")
    failed = Refused("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
    held = Refused("NotModified", "") if read else failed
    match, none = ([etag_of(x) for x in rq.get(n, "").split(",")] if rq.get(n) else None for n in ("if-match", "if-none-match"))
    since, until = (email.utils.parsedate_tz(rq.get(n, "")) for n in ("if-modified-since", "if-unmodified-since"))
    if match is not None:
        if not o or (match != ["*"] and o.etag not in match):
            raise failed
    elif until and o and int(o.modified) > email.utils.mktime_tz(until):
        raise failed
    if none is not None:
        if o and (none == ["*"] or o.etag in none):
            raise held
    elif since and o and int(o.modified) <= email.utils.mktime_tz(since):
        raise held


def kept_fields(rq):
    """What is stored with an object, as it will be sent."""
    fields, size = [], 0
    for name, value in rq.headers:
        if name.startswith("x-amz-meta-"):
            # docs:api/s3/extensions: RFC 2047 is decoded
            text = str(email.header.make_header(email.header.decode_header(value)))
            size += len(name) - 11 + len(text.encode("utf-8", "surrogateescape"))
            fields.append((name, value))
        elif name in ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"):
            fields.append((name, value))
    if size > META_MAX:
        raise Refused("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
    if not rq.get("content-type"):   # notes:2022-08-06
        fields.append(("content-type", mimetypes.guess_type(rq.key)[0] or "application/octet-stream"))
    if rq.get("x-amz-storage-class") == "STANDARD_IA":
        fields.append(("x-amz-storage-class", "STANDARD_IA"))
    return fields


def echoed(rq):
    return [("x-amz-checksum-" + n, rq.get("x-amz-checksum-" + n)) for n in CHECKSUMS if rq.get("x-amz-checksum-" + n)]


def put_object(rq, blob):
    o = Object(rq.key, [blob], blob.md5.hex(), kept_fields(rq))
    with lock:
        objects = buckets[rq.bucket].objects
        check_conditions(rq, objects.get(nfc(rq.key)))
        objects[nfc(rq.key)] = o
    return Answer(200, fields=[("ETag", f'"{o.etag}"'), *echoed(rq)])


def parse_range(text, size):
    """(start, end), or None for what counts as not said: RFC 9110 section 14.2."""
    m = re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")
    if not m or not (m[1] or m[2]) or (m[1] and m[2] and int(m[1]) > int(m[2])):
        return None
    start = int(m[1]) if m[1] else max(0, size - int(m[2]))
    end = min(int(m[2]) + 1, size) if m[1] and m[2] else size
    if start >= size or start >= end:
        raise Refused("InvalidRange", "The requested range is not satisfiable.")
    return start, end


def part_range(rq, o):
    """partNumber=N: docs:api/s3/api; aws:API_GetObject."""
    n = rq.number("partNumber", 0, 1, PARTS_MAX)
    if not n:
        return None
    if n > len(o.blobs):
        raise Refused("InvalidRange", "The requested partnumber is not satisfiable.")
    start = sum(b.size for b in o.blobs[:n - 1])
    return start, start + o.blobs[n - 1].size


def get_object(rq, _):
    with lock:
        o = buckets[rq.bucket].objects.get(nfc(rq.key))
    if not o:
        raise Refused("NoSuchKey", "The specified key does not exist.")
    check_conditions(rq, o)
    fields = [*o.fields, ("ETag", f'"{o.etag}"'), ("Last-Modified", email.utils.formatdate(o.modified, usegmt=True)), ("Accept-Ranges", "bytes")]
    part = part_range(rq, o)
    if part and "-" in o.etag:
        fields.append(("x-amz-mp-parts-count", len(o.blobs)))
    # A range always means 206 (notes:2022-11-17), and has no effect on HEAD.
    where = part or (parse_range(rq.get("range"), o.size) if rq.method == "GET" else None)
    if not where:
        return Answer(200, fields=fields, object=o, start=0, end=o.size)
    fields.append(("Content-Range", f"bytes {where[0]}-{where[1] - 1}/{o.size}"))
    return Answer(206, fields=fields, object=o, start=where[0], end=where[1])


def delete_object(rq, _):
    with lock:
        buckets[rq.bucket].objects.pop(nfc(rq.key), None)
    return Answer(204)


def delete_objects(rq, blob):
    root = read_xml(blob, "Delete")
    keys = [x.findtext("Key") for x in root.iterfind("Object")]
    if not 1 <= len(keys) <= DELETE_MAX or not all(keys) or any(x.find("VersionId") is not None for x in root.iterfind("Object")):
        raise malformed()
    with lock:
        for key in keys:
            buckets[rq.bucket].objects.pop(nfc(key), None)
    quiet = root.findtext("Quiet") == "true"
    return xml("DeleteResult", "" if quiet else "".join(f"<Deleted><Key>{xml_text(k)}</Key></Deleted>" for k in keys))


def create_upload(rq, _):
    u = Upload(rq.key, kept_fields(rq))
    with lock:
        buckets[rq.bucket].uploads[u.id] = u
    a = xml("InitiateMultipartUploadResult", f"<Bucket>{rq.bucket}</Bucket><Key>{xml_text(rq.key)}</Key><UploadId>{u.id}</UploadId>")
    # halo-dev/plugin-s3#49
    a.fields += [("x-amz-abort-date", email.utils.formatdate(u.started + 7 * 86400, usegmt=True)), ("x-amz-abort-rule-id", "Default Multipart Abort Rule")]
    return a


def find_upload(rq):
    u = buckets[rq.bucket].uploads.get(rq.param("uploadId"))
    if not u or nfc(u.name) != nfc(rq.key):
        raise Refused("NoSuchUpload", "The specified multipart upload does not exist.")
    return u


def upload_part(rq, blob):
    number = rq.number("partNumber", 0, 1, PARTS_MAX + 1)
    if not 1 <= number <= PARTS_MAX:
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
    with lock:
        find_upload(rq).parts[number] = blob
        blob.at = now()
    return Answer(200, fields=[("ETag", f'"{blob.md5.hex()}"'), *echoed(rq)])


def complete_upload(rq, blob):
    asked = {}
    for x in read_xml(blob, "CompleteMultipartUpload").iterfind("Part"):
        if not re.fullmatch(r"\d+", x.findtext("PartNumber", "")) or not x.findtext("ETag"):
            raise malformed()
        asked[int(x.findtext("PartNumber"))] = etag_of(x.findtext("ETag"))   # quotes are optional: notes:2022-07-06
    if not asked:
        raise malformed()
    with lock:
        u, b = find_upload(rq), buckets[rq.bucket]
        parts = [u.parts.get(n) for n in sorted(asked)]   # sorted here: notes:2024-01-26
        if any(p is None or p.md5.hex() != asked[n] for p, n in zip(parts, sorted(asked))):
            raise Refused("InvalidPart", "One or more of the specified parts could not be found.", "10025")
        if any(p.size < PART_MIN for p in parts[:-1]):
            raise Refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
        # docs:objects/multipart-objects, notes:2022-10-28, apache/opendal#2904
        if len({p.size for p in parts[:-1]} | {max(p.size for p in parts)}) > 1:
            raise Refused("InvalidPart", "All non-trailing parts must have the same length.", "10048")
        if sum(p.size for p in parts) > OBJECT_MAX:
            raise Refused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
        try:
            check_conditions(rq, b.objects.get(nfc(u.name)))
        except Refused:
            del b.uploads[u.id]   # notes:2023-08-11: it is treated as aborted then
            b.aborted.add(u.id)
            raise
        # docs:objects/multipart-objects, ETags
        etag = hashlib.md5(b"".join(p.md5 for p in parts)).hexdigest() + f"-{len(parts)}"
        b.objects[nfc(u.name)] = Object(u.name, parts, etag, u.fields)
        del b.uploads[u.id]
    a = xml("CompleteMultipartUploadResult", f"<Location>https://{rq.get('host')}/{rq.bucket}/{uri_encode(u.name, '/')}</Location>"
            f"<Bucket>{rq.bucket}</Bucket><Key>{xml_text(u.name)}</Key><ETag>&quot;{etag}&quot;</ETag>")
    # aws:API_CompleteMultipartUpload: white space while it is at work, so that the connection lives; whether R2 does so is not known.
    a.body = a.body.replace(b"?>", b"?>" + b" " * 2000, 1)
    return a


def abort_upload(rq, _):
    with lock:
        b = buckets[rq.bucket]
        if rq.param("uploadId") not in b.aborted:   # repeatable: notes:2022-06-10
            u = find_upload(rq)
            del b.uploads[u.id]
            b.aborted.add(u.id)
    return Answer(204)


def list_parts(rq, _):
    size, after = rq.number("max-parts", PAGE_MAX, 1, PAGE_MAX), rq.number("part-number-marker", 0, 0, PARTS_MAX)
    size = min(size, SETTINGS["page"])
    with lock:
        u = find_upload(rq)
        rows = [(n, u.parts[n]) for n in sorted(u.parts) if n > after]
    more, rows = len(rows) > size, rows[:size]
    body = "".join(f"<Part><PartNumber>{n}</PartNumber><LastModified>{iso(p.at)}</LastModified><ETag>&quot;{p.md5.hex()}&quot;</ETag>"
                   f"<Size>{p.size}</Size></Part>" for n, p in rows)
    return xml("ListPartsResult", f"<Bucket>{rq.bucket}</Bucket><Key>{xml_text(u.name)}</Key><UploadId>{u.id}</UploadId>"
               f"<PartNumberMarker>{after}</PartNumberMarker><NextPartNumberMarker>{rows[-1][0] if rows else 0}</NextPartNumberMarker>"
               f"<MaxParts>{size}</MaxParts><IsTruncated>{str(more).lower()}</IsTruncated>{body}")


def encoder(rq):
    """aws:API_ListObjectsV2, encoding-type"""
    if rq.param("encoding-type", None) not in (None, "url"):
        raise Refused("InvalidArgument", "Invalid Encoding Method specified in Request")
    return (lambda s: uri_encode(s, "/")) if rq.param("encoding-type") else xml_text


def rows_of(names, prefix, delimiter, after):
    """(name, is a common prefix) of sorted names behind after."""
    last = None
    for name in names:
        if not name.startswith(prefix):
            continue
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            name = name[:cut + len(delimiter)]
        if name == last or (after and name.encode() <= after.encode()):
            continue
        last = name
        yield name, cut >= 0


def list_page(rq, after, mark):
    """The rows of one page, whether there are more, and the last one's name."""
    prefix, delimiter = rq.param("prefix"), rq.param("delimiter")
    size = min(rq.number("max-keys", PAGE_MAX, 0, PAGE_MAX), SETTINGS["page"])
    enc, body, n, last, more = encoder(rq), [], 0, "", False
    with lock:
        objects = buckets[rq.bucket].objects
        # In the order of the bytes of what it knows them by (NFC); shown as last written: docs:reference/unicode-interoperability
        for name, is_prefix in rows_of(sorted(objects, key=str.encode), nfc(prefix), nfc(delimiter), nfc(after)):
            if n == size:
                more = size > 0
                break
            n, last = n + 1, name
            if is_prefix:
                body.append(f"<CommonPrefixes><Prefix>{enc(name)}</Prefix></CommonPrefixes>")
                continue
            o = objects[name]
            storage = dict(o.fields).get("x-amz-storage-class", "STANDARD")
            body.append(f"<Contents><Key>{enc(o.name)}</Key><Size>{o.size}</Size><LastModified>{iso(o.modified)}</LastModified>"
                        f"<ETag>&quot;{o.etag}&quot;</ETag><StorageClass>{storage}</StorageClass></Contents>")
    said = "".join(f"<{t}>{enc(v)}</{t}>" for t, v in (("Prefix", prefix), ("Delimiter", delimiter)) if v)
    said += "<EncodingType>url</EncodingType>" if rq.param("encoding-type") else ""
    said += f"<Name>{rq.bucket}</Name><MaxKeys>{size}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
    return said + mark(last if more else "", n, enc) + "".join(body)


def list_objects_v2(rq, _):
    if rq.param("list-type") != "2":
        raise Refused("NotImplemented", "ListObjectsV2 search parameter list-type not implemented")
    token, after = rq.param("continuation-token", None), rq.param("start-after")
    if token is not None:
        try:
            after = base64.b64decode(token, validate=True).decode()[1:]
        except (ValueError, binascii.Error):
            after = ""
        if not after:
            raise Refused("InvalidArgument", "The continuation token provided is incorrect")

    def mark(last, n, _):
        text = base64.b64encode(b"1" + last.encode()).decode()
        return f"<KeyCount>{n}</KeyCount>" + (f"<NextContinuationToken>{text}</NextContinuationToken>" if last else "")
    return xml("ListBucketResult", list_page(rq, after, mark))


def list_objects(rq, _):
    return xml("ListBucketResult", list_page(rq, rq.param("marker"), lambda last, n, enc: f"<NextMarker>{enc(last)}</NextMarker>" if last else ""))


def list_uploads(rq, _):
    size = min(rq.number("max-uploads", PAGE_MAX, 1, PAGE_MAX), SETTINGS["page"])
    prefix, delimiter, at = nfc(rq.param("prefix")), rq.param("delimiter"), (rq.param("key-marker"), rq.param("upload-id-marker"))
    enc, rows, seen = encoder(rq), [], set()
    with lock:
        for u in sorted(buckets[rq.bucket].uploads.values(), key=lambda u: (u.name.encode(), u.id)):
            # aws:API_ListMultipartUploads: behind the key, or that key and behind the id
            behind = (u.name.encode(), u.id) > (at[0].encode(), at[1]) if at[1] else u.name.encode() > at[0].encode()
            if not nfc(u.name).startswith(prefix) or (at[0] and not behind):
                continue
            cut = u.name.find(delimiter, len(prefix)) if delimiter else -1
            name = u.name[:cut + len(delimiter)] if cut >= 0 else u.name
            if cut >= 0 and (name in seen or name == at[0]):
                continue
            seen.add(name)
            rows.append((name, u if cut < 0 else None))
    more, rows = len(rows) > size, rows[:size]
    body = "".join(f"<Upload><Key>{enc(n)}</Key><UploadId>{u.id}</UploadId><StorageClass>STANDARD</StorageClass>"
                   f"<Initiated>{iso(u.started)}</Initiated></Upload>" if u else f"<CommonPrefixes><Prefix>{enc(n)}</Prefix></CommonPrefixes>"
                   for n, u in rows)
    if more:
        body += f"<NextKeyMarker>{enc(rows[-1][0])}</NextKeyMarker><NextUploadIdMarker>{rows[-1][1].id if rows[-1][1] else ''}</NextUploadIdMarker>"
    return xml("ListMultipartUploadsResult", f"<Bucket>{rq.bucket}</Bucket><MaxUploads>{size}</MaxUploads>"
               f"<IsTruncated>{str(more).lower()}</IsTruncated>{body}")


# ---- Buckets ---------------------------------------------------------------------------------------------------------------------

def create_bucket(rq, _):
    with lock:
        if rq.bucket in buckets:
            raise Refused("BucketConflict", "The bucket you tried to create already exists, and you own it.")
        buckets[rq.bucket] = Bucket()
    return Answer(200, fields=[("Location", "/" + rq.bucket)])


def delete_bucket(rq, _):
    with lock:
        if buckets[rq.bucket].objects:
            raise Refused("BucketNotEmpty", "The bucket you tried to delete is not empty.")
        del buckets[rq.bucket]
    return Answer(204)


def list_buckets(*_):
    rows = "".join(f"<Bucket><CreationDate>{iso(b.created)}</CreationDate><Name>{n}</Name></Bucket>" for n, b in sorted(buckets.items()))
    return xml("ListAllMyBucketsResult", f"<Buckets>{rows}</Buckets><Owner><DisplayName>{ACCOUNT}</DisplayName><ID>{ACCOUNT}</ID></Owner>")


def days(x, path):
    text = x.findtext(path)
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,5}", text.strip()):
        raise Refused("InvalidArgument", f"'{path}' must be a positive integer")
    return int(text)


def read_rule(x):
    """docs:buckets/object-lifecycles. A rule without Status is malformed: cloudflare/cloudflare-docs#8102. Tags, sizes and versions
    are not implemented; the prefix stands in a Filter (GetBucketLifecycle, the older dialect, is among the unimplemented)."""
    known = {"ID", "Status", "Filter", "Expiration", "Transition", "AbortIncompleteMultipartUpload"}
    if x.findtext("Status") not in ("Enabled", "Disabled") or not {e.tag for e in x} <= known | {"NoncurrentVersionExpiration", "NoncurrentVersionTransition"}:
        raise malformed()
    f = x.find("Filter")
    if {e.tag for e in x} - known or (f is not None and {e.tag for e in f} - {"Prefix"}):
        raise Refused("NotImplemented", "This lifecycle rule is not implemented")
    r = {"ID": x.findtext("ID") or os.urandom(8).hex(), "Status": x.findtext("Status"), "Filter": f.findtext("Prefix", "") if f is not None else ""}
    r["Days"], r["Date"], r["Abort"] = days(x, "Expiration/Days"), x.findtext("Expiration/Date"), days(x, "AbortIncompleteMultipartUpload/DaysAfterInitiation")
    r["IA"] = days(x, "Transition/Days")
    if r["IA"] and x.findtext("Transition/StorageClass") != "STANDARD_IA":
        raise Refused("NotImplemented", "This storage class is not implemented")
    if len(r["ID"]) > 255 or not (r["Days"] or r["Date"] or r["Abort"] or r["IA"]):
        raise malformed()
    return r


def write_rule(r):
    """In an order of its own: nobody promises that a configuration comes back as it was sent."""
    text = f"<ID>{xml_text(r['ID'])}</ID><Filter><Prefix>{xml_text(r['Filter'])}</Prefix></Filter><Status>{r['Status']}</Status>"
    if r.get("Days") or r.get("Date"):
        text += "<Expiration>" + (f"<Days>{r['Days']}</Days>" if r.get("Days") else f"<Date>{r['Date']}</Date>") + "</Expiration>"
    if r.get("IA"):
        text += f"<Transition><Days>{r['IA']}</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"
    if r.get("Abort"):
        text += f"<AbortIncompleteMultipartUpload><DaysAfterInitiation>{r['Abort']}</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    return f"<Rule>{text}</Rule>"


def put_rules(rq, blob):
    rules = [read_rule(x) for x in read_xml(blob, "LifecycleConfiguration").iterfind("Rule")]
    if not 1 <= len(rules) <= RULES_MAX:
        raise malformed()
    if len({r["ID"] for r in rules}) < len(rules):
        raise Refused("InvalidArgument", "Rule ID must be unique.")
    buckets[rq.bucket].rules = rules
    return Answer(200)


def get_rules(rq, _):
    rules = buckets[rq.bucket].rules
    if not rules:
        raise Refused("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist.")
    return xml("LifecycleConfiguration", "".join(map(write_rule, rules)))


def delete_rules(rq, _):
    buckets[rq.bucket].rules = []
    return Answer(204)


HANDLERS = {
    "ListBuckets": list_buckets, "GetBucketLifecycleConfiguration": get_rules, "PutBucketLifecycleConfiguration": put_rules,
    "DeleteBucketLifecycle": delete_rules, "GetBucketLocation": lambda *_: xml("LocationConstraint", "WEUR"),
    "ListMultipartUploads": list_uploads, "ListObjectsV2": list_objects_v2, "ListObjects": list_objects, "DeleteObjects": delete_objects,
    "HeadBucket": lambda *_: Answer(200), "CreateBucket": create_bucket, "DeleteBucket": delete_bucket, "ListParts": list_parts,
    "GetObject": get_object, "HeadObject": get_object, "UploadPart": upload_part, "PutObject": put_object,
    "CreateMultipartUpload": create_upload, "CompleteMultipartUpload": complete_upload, "AbortMultipartUpload": abort_upload,
    "DeleteObject": delete_object,
}


# ---- Serving ---------------------------------------------------------------------------------------------------------------------

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def serve_requests(sock, tls):
    c = Connection(sock, tls)
    while head := c.head():
        if not tls and head.startswith(b"CONNECT "):
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            serve_requests(account.wrap_socket(sock, server_side=True), True)
            return
        try:
            rq = Request(head, tls)
        except ValueError:
            sock.sendall(BAD_REQUEST)
            return
        if not tls and rq.target == "/-/set":
            for line in c.file.read(rq.length).decode().splitlines():
                name, value = line.split()
                SETTINGS[name] = int(value)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            continue
        answer(c, rq)
        if rq.get("connection", "").lower() == "close":
            return


def serve(sock, tls):
    try:
        sock.settimeout(IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = local.wrap_socket(sock, server_side=True)
        elif sock.recv(1, socket.MSG_PEEK) == b"\x16":   # a TLS handshake: it has no line to wait for
            sock.sendall(BAD_REQUEST)
            return
        serve_requests(sock, tls)
    except (OSError, Gone):
        pass
    finally:
        sock.close()


def listen(port, tls):
    s = socket.create_server(("127.0.0.1", port), backlog=128)
    while True:
        client, _ = s.accept()
        threading.Thread(target=serve, args=(client, tls), daemon=True).start()


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[2], sys.argv[3])
    return c


def check_name(_sock, name, _context):
    """nginx/nginx-s3-gateway#78, cloudflare/cloudflare-docs#6252: without the account's name, alert 40."""
    labels = (name or "").removesuffix(".r2.cloudflarestorage.com").split(".")
    return None if ACCOUNT in labels[:2] else ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE


os.makedirs(os.path.join(DIR, "data"), exist_ok=True)
crc32c = load_crc32c()
requests_log = open(os.path.join(DIR, "requests"), "a", buffering=1)
local, account = context(), context()
account.sni_callback = check_name
threading.Thread(target=listen, args=(int(sys.argv[5]), False), daemon=True).start()
listen(int(sys.argv[4]), True)
