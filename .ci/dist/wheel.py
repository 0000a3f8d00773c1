#!/usr/bin/env python3
"""A wheel that carries the program: pip puts it beside the other commands, and nothing else is in it.
usage: .ci/dist/wheel.py VERSION ARCH PROGRAM LICENSE DIR      ARCH: amd64 arm64 armv7 riscv64; prints the file's name
The same input and SOURCE_DATE_EPOCH give the same bytes."""
import base64
import hashlib
import os
import sys
import time
import zipfile

# A static program asks for no C library of a certain age, so the oldest name for each machine that installers know is right.
PLATFORMS = {
    "amd64": ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "musllinux_1_1_x86_64"],
    "arm64": ["manylinux2014_aarch64", "manylinux_2_17_aarch64", "musllinux_1_1_aarch64"],
    "armv7": ["manylinux2014_armv7l", "manylinux_2_17_armv7l", "musllinux_1_1_armv7l"],
    "riscv64": ["manylinux_2_31_riscv64", "musllinux_1_1_riscv64"],
}
METADATA = """Metadata-Version: 2.1
Name: r2box
Version: {}
Summary: Files to Cloudflare R2 and other S3 stores and back: one static program
License: MIT AND MPL-2.0
Requires-Python: >=3
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: r2box\nRoot-Is-Purelib: false\n"


def digest(data):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def contents(version, platforms, program, licence):
    base = f"r2box-{version}"
    with open(program, "rb") as f:
        yield f"{base}.data/scripts/r2", 0o755, f.read()
    with open(licence, "rb") as f:
        yield f"{base}.dist-info/LICENSE", 0o644, f.read()
    yield f"{base}.dist-info/METADATA", 0o644, METADATA.format(version).encode()
    tags = "".join(f"Tag: py3-none-{p}\n" for p in platforms)
    yield f"{base}.dist-info/WHEEL", 0o644, (WHEEL + tags).encode()


def main(version, arch, program, licence, where):
    platforms = PLATFORMS[arch]
    name = f"r2box-{version}-py3-none-{'.'.join(platforms)}.whl"
    when = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800))[:6]     # zip begins in 1980
    record = f"r2box-{version}.dist-info/RECORD"
    rows = []

    with zipfile.ZipFile(os.path.join(where, name), "w") as z:
        def add(path, mode, data):
            info = zipfile.ZipInfo(path, when)
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            z.writestr(info, data, compresslevel=9)
        for path, mode, data in contents(version, platforms, program, licence):
            add(path, mode, data)
            rows.append(f"{path},{digest(data)},{len(data)}\n")
        add(record, 0o644, ("".join(rows) + f"{record},,\n").encode())
    print(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
