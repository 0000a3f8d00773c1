"""Inputs at each limit that another party could go over, and one beyond it: tests/fuzz/limits.py DIR, into DIR/TARGET. A fuzzer that begins with
them needs one mutation to find a limit that is off by one, or gone; as files they would be larger than all the rest of the corpus."""
import os
import sys


def put(target, name, data):
    os.makedirs(os.path.join(sys.argv[1], target), exist_ok=True)
    with open(os.path.join(sys.argv[1], target, name), "wb") as f:
        f.write(data)


def around(target, name, limit, make):
    for n in (limit - 1, limit, limit + 1):
        put(target, f"{name}-{n}", make(n))


# mode, method, number of splits, piece, one split: see http.c. Then how, and the answer.
RAW = bytes([0, 0, 0, 20, 0])
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = RAW + b"\2"
around("http", "fields", 100, lambda n: RAW + b"\0" + OK + b"a:b\r\n" * n + b"\r\n")
around("http", "line", 8190, lambda n: RAW + b"\0" + OK + b"a:" + b"b" * (n - 2) + b"\r\nContent-Length: 0\r\n\r\n")
around("http", "block", 32767 - 17, lambda n: RAW + b"\0" + OK + (b"a:" + b"b" * 8000 + b"\r\n") * 4 + b"c:" + b"d" * (n - 32012 - 6) + b"\r\n\r\n")
around("http", "interim", 16, lambda n: RAW + b"\0" + b"HTTP/1.1 102 \r\n\r\n" * n + OK + b"Content-Length: 0\r\n\r\n")
around("http", "trailers", 100, lambda n: CHUNKED + b"0\r\n" + b"a:b\r\n" * n + b"\r\n")
around("http", "trailer-bytes", 16384, lambda n: CHUNKED + b"0\r\n" + b"a:" + b"b" * 8000 + b"\r\n" + b"a:" + b"b" * (n - 8008) + b"\r\n\r\n")
around("http", "chunk-line", 8190, lambda n: CHUNKED + b"1;" + b"x" * (n - 2) + b"\r\na\r\n0\r\n\r\n")
for size in (b"7fffffffffffffff", b"8000000000000000", b"10000000000000001", b"00000000000000001"):
    put("http", "chunk-size-" + size.decode(), CHUNKED + size + b"\r\na\r\n0\r\n\r\n")
for size in (b"9223372036854775807", b"9223372036854775808", b"18446744073709551617"):
    put("http", "length-" + size.decode(), RAW + b"\0" + OK + b"Content-Length: " + size + b"\r\n\r\na")

XML = bytes([0, 7, 1, 100, 0])
around("xml", "depth", 16, lambda n: XML + b"<a>" * n + b"x" + b"</a>" * n)
around("xml", "path", 256, lambda n: XML + b"<a><b><" + b"c" * (n - 4) + b"/></b></a>")
around("xml", "text", 8192, lambda n: XML + b"<a>" + b"x" * n + b"</a>")
around("xml", "cdata", 8192, lambda n: XML + b"<a><![CDATA[" + b"x" * (n - 2) + b"]]]]></a>")
around("xml", "markup", 4096, lambda n: XML + b"<a b='" + b"x" * (n - 5) + b"'/>")
around("xml", "reference", 4096, lambda n: XML + b"<a>&#" + b"0" * (n - 3) + b"9;</a>")
around("xml", "round-trip", 8192, lambda n: b"\1\1" + b"x" * n)


def page(rows, more=b""):
    return bytes([0, 0, 0, 0]) + b"<L><EncodingType>url</EncodingType>" + rows + more + b"</L>"


around("list", "key", 1024, lambda n: page(b"<Contents><Key>" + b"k" * n + b"</Key></Contents>"))
around("list", "encoded-key", 1024, lambda n: page(b"<Contents><Key>" + b"%6b" * n + b"</Key></Contents>"))
around("list", "token", 4095, lambda n: page(b"<Contents><Key>a</Key></Contents>", b"<IsTruncated>true</IsTruncated><NextContinuationToken>"
                                             + b"t" * n + b"</NextContinuationToken>"))
around("list", "size", 19, lambda n: page(b"<Contents><Key>k</Key><Size>" + b"9" * n + b"</Size></Contents>"))
around("list", "etag", 127, lambda n: page(b"<Contents><Key>k</Key><ETag>" + b"e" * n + b"</ETag></Contents>"))
around("list", "rows", 10000, lambda n: page(b"".join(b"<Contents><Key>k%05d</Key></Contents>" % i for i in range(n))))
around("list", "upload-id", 1023, lambda n: b"\1\0\0\0<L><Upload><Key>k</Key><UploadId>" + b"i" * n + b"</UploadId></Upload></L>")
around("s3", "upload-id", 1023, lambda n: b"\1\0\0\0\0<R><UploadId>" + b"i" * n + b"</UploadId></R>")
around("s3", "etag", 127, lambda n: b"\2\0\0\0\0<R><ETag>" + b"e" * n + b"</ETag></R>")
around("s3", "error", 255, lambda n: b"\1\0\0\0\4<Error><Code>" + b"C" * 47 + b"</Code><Message>" + b"m" * n + b"</Message><RequestId>" + b"r" * 200
       + b"</RequestId></Error>")
around("s3", "delete-key", 1024, lambda n: b"\0\0\0\0\0<R><Error><Key>" + b"k" * n + b"</Key><Code>AccessDenied</Code></Error></R>")
around("s3", "rule-id", 1199, lambda n: b"\x08\1\0\0\0<L><Rule><ID>" + b"i" * n + b"</ID></Rule></L>")
around("s3", "rule-prefix", 1024, lambda n: b"\x08\1\0\0\0<L><Rule><Prefix>" + b"p" * n + b"</Prefix><Prefix>q</Prefix></Rule></L>")
around("s3", "meta", 2040, lambda n: b"\3\1\0\0\1" + OK + b"Content-Length: 5\r\nContent-Type: " + b"t" * 200 + b"\r\nx-amz-meta-a: "
       + b"m" * (n - 20) + b"\r\n\r\n")

around("opt", "list", 64, lambda n: b"\0" + b"\0".join([b"-la"] * n))
around("opt", "word", 64, lambda n: b"\0--" + b"n" * n)
around("config", "host", 253, lambda n: b"\0" + b"https://" + (b"a" * 63 + b".") * 3 + b"a" * (n - 192) + b"\0\0")
around("config", "label", 63, lambda n: b"\0" + b"https://" + b"a" * n + b".test\0\0")
around("config", "bucket", 63, lambda n: b"\0" + b"https://h.test/" + b"b" * n + b"\0\0")
around("config", "proxy-host", 255, lambda n: b"\0" + b"http://" + b"a" * n + b":3128\0\0")
around("config", "proxy-auth", 383, lambda n: b"\0" + b"http://" + b"a" * n + b"@h:3128\0\0")
around("config", "no-proxy-word", 263, lambda n: b"\0" + b"a" * n + b"\0a\0")
around("config", "port", 5, lambda n: b"\0" + b"https://h:" + b"65535"[:n] + b"0" * (n - 5) + b"\0\0")
around("glob", "key", 1024, lambda n: b"\0*\0" + b"k" * n + b"\0p\0")
around("date", "iso", 63, lambda n: b"\0" + b"2025-12-29T10:05:18." + b"1" * (n - 21) + b"Z")
around("journal", "identity", 8191, lambda n: b"\2\1\xff\xff" + b"i" * n + b"\0t\0n\0")
around("journal", "token", 8191, lambda n: b"\2\1\xff\xff" + b"i\0" + b"%" * n + b"\0n\0")
around("journal", "note", 255, lambda n: b"\2\0\xff\xff" + b"i\0t\0" + b"n" * n + b"\0")
around("journal", "line", 49000, lambda n: b"\0" + b"x" * n)
around("enc", "key", 1024, lambda n: b"\2" + b"k" * n + b"\0")
around("enc", "marks", 64, lambda n: b"\2a" + b"\xcc\x81" * n + b"\0a" + b"\xcc\x81" * n + b"\0")
around("enc", "query", 604800 // 3000, lambda n: bytes([n & ~1 | 2]) + b"key\0")
