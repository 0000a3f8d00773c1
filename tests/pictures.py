#!/usr/bin/env python3
"""Writes sunrise.png, noise.png and clip.mp4 into a directory: real files of their kinds, made from nothing."""
import os
import struct
import sys
import zlib


def png(width, height, pixel):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def box(kind, *parts):
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + kind + data


def full(kind, *parts):
    return box(kind, bytes(4), *parts)


MATRIX = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000)


def mp4(frames, width, height, ms):
    """One video track whose samples are PNG pictures (sample entry "png ", as QuickTime has it)."""
    total = ms * len(frames)
    ftyp = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
    entry = box(b"png ", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HHIII", width, height, 0x480000, 0x480000, 0),
                struct.pack(">H", 1), bytes(32), struct.pack(">Hh", 24, -1))
    mdat = box(b"mdat", *frames)
    stbl = box(b"stbl", full(b"stsd", struct.pack(">I", 1), entry),
               full(b"stts", struct.pack(">III", 1, len(frames), ms)),
               full(b"stsc", struct.pack(">IIII", 1, 1, len(frames), 1)),
               full(b"stsz", struct.pack(">II", 0, len(frames)), *(struct.pack(">I", len(f)) for f in frames)),
               full(b"stco", struct.pack(">II", 1, len(ftyp) + 8)))
    dinf = box(b"dinf", full(b"dref", struct.pack(">I", 1), box(b"url ", bytes(3) + b"\1")))
    minf = box(b"minf", full(b"vmhd", bytes(8)), dinf, stbl)
    mdia = box(b"mdia", full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, total, 0x55c4, 0)),
               full(b"hdlr", bytes(4), b"vide", bytes(12), b"video\0"), minf)
    tkhd = box(b"tkhd", b"\0\0\0\3", struct.pack(">IIIII", 0, 0, 1, 0, total), bytes(16), MATRIX,
               struct.pack(">II", width << 16, height << 16))
    mvhd = full(b"mvhd", struct.pack(">IIIIIH", 0, 0, 1000, total, 65536, 256), bytes(10), MATRIX, bytes(24), struct.pack(">I", 2))
    return ftyp + mdat + box(b"moov", mvhd, box(b"trak", tkhd, mdia))


def sunrise(shift):
    return lambda x, y: bytes((255 - y // 2, min(255, 80 + (x + shift) // 3 % 128), y // 2 + 60))


def main(directory):
    files = {
        "sunrise.png": png(320, 240, sunrise(0)),
        "noise.png": png(640, 480, lambda x, y: os.urandom(3)),
        "clip.mp4": mp4([png(160, 120, sunrise(24 * n)) for n in range(24)], 160, 120, 40),
    }
    for name, data in files.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)


main(sys.argv[1])
