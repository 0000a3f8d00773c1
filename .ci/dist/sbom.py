#!/usr/bin/env python3
"""What is in the programs, as SPDX 2.3 in JSON.
usage: .ci/dist/sbom.py VERSION [NAME=VALUE]... PROGRAM...      needs bearssl, bearssl_sha256, musl, musl_sha256, roots, roots_sha256, gcc"""
import datetime
import hashlib
import json
import os
import sys

NONE = "NOASSERTION"


def package(ident, name, version, licence, supplier, sha256=None, **more):
    p = {"SPDXID": f"SPDXRef-{ident}", "name": name, "versionInfo": version, "supplier": supplier, "downloadLocation": NONE,
         "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence, "copyrightText": NONE}
    if sha256:
        p["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return {**p, **more}


def components(v):
    debian = "Organization: Debian"
    yield package("BearSSL", "BearSSL", v["bearssl"], "MIT", "Person: Thomas Pornin", v["bearssl_sha256"],
                  comment="statically linked; the digest is of the source, Debian's bearssl")
    yield package("musl", "musl", v["musl"], "MIT", "Person: Rich Felker", v["musl_sha256"],
                  comment="statically linked; the digest is of the source, Debian's musl")
    yield package("roots", "Mozilla root certificates", v["roots"], "MPL-2.0", "Organization: Mozilla", v["roots_sha256"],
                  comment="Debian's ca-certificates, as constants; the digest is of its certificates, in the order of their names")
    yield package("libgcc", "libgcc", v["gcc"], "GPL-3.0-or-later WITH GCC-exception-3.1", debian, comment="the compiler's runtime")


def program(path):
    with open(path, "rb") as f:
        data = f.read()
    name = os.path.basename(path)
    return {"SPDXID": f"SPDXRef-{name}", "fileName": f"./{name}", "fileTypes": ["BINARY"], "licenseConcluded": NONE,
            "licenseInfoInFiles": [NONE], "copyrightText": NONE,
            "checksums": [{"algorithm": a, "checksumValue": hashlib.new(a, data).hexdigest().lower()} for a in ("SHA1", "SHA256")]}


def relation(a, kind, b):
    return {"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}


def main(version, args):
    v = dict(a.split("=", 1) for a in args if "=" in a)
    files = [program(a) for a in args if "=" not in a]
    parts = list(components(v))
    ours = package("r2box", "r2box", version, "MIT", "Organization: The r2box authors", primaryPackagePurpose="APPLICATION")
    sum_of_all = hashlib.sha256("".join(f["checksums"][1]["checksumValue"] for f in files).encode()).hexdigest()
    when = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", ours["SPDXID"])]
    relations += [relation(ours["SPDXID"], "GENERATES", f["SPDXID"]) for f in files]
    relations += [relation(f["SPDXID"], "STATIC_LINK", p["SPDXID"]) for f in files for p in parts]
    json.dump({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"r2box-{version}",
        "documentNamespace": f"urn:r2box:{version}:{sum_of_all}",
        "creationInfo": {"created": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: r2box-dist/sbom.py"]},
        "packages": [ours] + parts, "files": files, "relationships": relations}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
