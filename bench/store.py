"""The store as the harness sees it: just enough S3 to check and clear away what the tools did, with none of them involved."""
import base64
import datetime
import hashlib
import hmac
import http.client
import ssl
import urllib.parse
import xml.etree.ElementTree as xml

quote = lambda text, safe="": urllib.parse.quote(text, safe="-_.~" + safe)


class Store:
    ahead = 0    # seconds the store's clock is ahead of ours

    def __init__(self, env):
        self.env = env
        self.plain = env["R2_ENDPOINT"].startswith("http://")
        self.host = urllib.parse.urlsplit(env["R2_ENDPOINT"]).netloc
        self.tls = ssl.create_default_context(cafile=env["R2_CA_FILE"])

    def _signed(self, method, path, query, payload):
        """Headers of a request, signed as AWS Signature Version 4 has it."""
        time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead)
        time = time.strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.host, "x-amz-content-sha256": payload, "x-amz-date": time}
        names = ";".join(headers)
        canonical = "\n".join([method, path, query, *(f"{k}:{v}" for k, v in headers.items()), "", names, payload])
        scope = [time[:8], "auto", "s3", "aws4_request"]
        text = "\n".join(["AWS4-HMAC-SHA256", time, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
        secret = ("AWS4" + self.env["R2_SECRET_ACCESS_KEY"]).encode()
        for word in (*scope, text):
            secret = hmac.digest(secret, word.encode(), "sha256")
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.env['R2_ACCESS_KEY_ID']}/{'/'.join(scope)}, "
                                    f"SignedHeaders={names}, Signature={secret.hex()}")
        return headers

    def request(self, method, key="", query=None, body=b""):
        """The reply, still to be read; raises on any status but 2xx."""
        path = f"/{self.env['R2_BUCKET']}/{quote(key, '/')}"
        text = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted((query or {}).items()))
        headers = self._signed(method, path, text, hashlib.sha256(body).hexdigest())
        if body:
            headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        connection = (http.client.HTTPConnection(self.host, timeout=300) if self.plain
                      else http.client.HTTPSConnection(self.host, context=self.tls, timeout=300))
        connection.request(method, path + (f"?{text}" if text else ""), body, headers)
        reply = connection.getresponse()
        if reply.status // 100 != 2:
            raise OSError(f"{method} {key}: {reply.status} {reply.read(300)!r}")
        return reply

    def digest(self, key, how):
        reply, digest = self.request("GET", key), hashlib.new(how)
        while data := reply.read(1 << 20):
            digest.update(data)
        return digest.hexdigest()

    def list(self, prefix):
        """{key: (size, ETag)} of what lies below prefix."""
        found, token = {}, None
        while True:
            query = {"list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
            page = xml.fromstring(self.request("GET", "", query).read())
            field = lambda at, name: at.findtext("{*}" + name)
            for row in page.iterfind("{*}Contents"):
                found[field(row, "Key")] = (int(field(row, "Size")), field(row, "ETag").strip('"'))
            token = field(page, "NextContinuationToken")
            if not token:
                return found

    def clear(self, prefix):
        keys = list(self.list(prefix))
        for at in range(0, len(keys), 1000):
            rows = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys[at:at + 1000])
            self.request("POST", "", {"delete": ""}, f"<Delete><Quiet>true</Quiet>{rows}</Delete>".encode()).read()
