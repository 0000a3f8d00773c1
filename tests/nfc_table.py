#!/usr/bin/env python3
"""Write lib/nfc_table.h: tests/nfc_table.py >lib/nfc_table.h. With --check: print the two digests of normal forms
that stand in tests/t_nfc.c."""
import sys
import unicodedata


def decompositions():
    """Canonical ones alone, as written in UnicodeData.txt: one step, one or two characters."""
    found = {}
    for c in range(0x110000):
        words = unicodedata.decomposition(chr(c)).split()
        if words and not words[0].startswith("<"):
            found[c] = [int(w, 16) for w in words]
    return found


def rows(values, digits, per_line):
    text = [f"0x{v:0{digits}X}" if digits else str(v) for v in values]
    for i in range(0, len(text), per_line):
        print("\t" + ", ".join(text[i:i + per_line]) + ",")
    print("};")


def table():
    parts = decompositions()
    kinds = sorted({(p[0] >> 16, p[1] if len(p) > 1 else 0) for p in parts.values()})
    starts = [c for c in parts if c - 1 not in parts]
    order = sorted(parts)
    marks = {c: unicodedata.combining(chr(c)) for c in range(0x110000) if unicodedata.combining(chr(c))}
    classes = sorted(set(marks.values()))
    mark_runs = []
    for c, k in marks.items():
        if marks.get(c - 1) == k:
            mark_runs[-1][1] += 1
        else:
            mark_runs.append([c, 1, classes.index(k) + 1])
    # What the C code takes for granted.
    assert len(kinds) <= 256 and max(parts) < 1 << 20 and len(parts) < 1 << 12
    assert not any(k[1] in parts for k in kinds)
    assert max(marks) < 1 << 17 and max(r[1] for r in mark_runs) <= 1 << 9 and len(classes) < 1 << 6

    print(f"/* Unicode {unicodedata.unidata_version}: canonical decompositions (without Hangul) and combining classes."
          " Made by tests/nfc_table.py. */")
    print("\n/* Characters that decompose, in runs: first character << 12 | its index in firsts and seconds; the last"
          "\n   row only ends the one before it. */")
    print("static const uint32_t runs[] = {")
    rows([c << 12 | order.index(c) for c in starts] + [0xFFFFF000 | len(order)], 8, 10)
    print("\n/* Low 16 bits of the first character that each becomes. */")
    print("static const uint16_t firsts[] = {")
    rows([parts[c][0] & 0xFFFF for c in order], 4, 14)
    print("\n/* Which row of kinds has the rest. */")
    print("static const uint8_t seconds[] = {")
    rows([kinds.index((parts[c][0] >> 16, parts[c][1] if len(parts[c]) > 1 else 0)) for c in order], 0, 28)
    print("\n/* Plane of the first character << 24 | second character, 0 for none; this one decomposes no further. */")
    print("static const uint32_t kinds[] = {")
    rows([plane << 24 | second for plane, second in kinds], 7, 11)
    print("\n/* Combining characters: first of a run << 15 | (number of them - 1) << 6 | rank of their combining class,"
          "\n   which sorts as the class does. */")
    print("static const uint32_t marks[] = {")
    rows([c << 15 | (n - 1) << 6 | rank for c, n, rank in mark_runs], 8, 10)


def digest(h, text):
    """FNV-1a over whole characters, with one that is none at the end."""
    for c in [ord(c) for c in text] + [0x110000]:
        h = (h ^ c) * 0x100000001B3 & (1 << 64) - 1
    return h


def digests():
    """Of every character's normal form, and of 20,000 strings drawn from where normal forms are not simple."""
    start = 0xCBF29CE484222325
    every = start
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000:
            every = digest(every, unicodedata.normalize("NFD", chr(c)))
    areas = [(0x41, 0x5A), (0xC0, 0x17F), (0x300, 0x362), (0x300, 0x345), (0x591, 0x5C7), (0x900, 0x9FF), (0xF71, 0xF84),
             (0x1100, 0x11FF), (0xAC00, 0xD7A3), (0x1E00, 0x1FFF), (0xF900, 0xFAFF), (0x1D15E, 0x1D1C0)]
    drawn, x = start, 1

    def draw(n):
        nonlocal x
        x = (x * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return (x >> 33) % n

    for _ in range(20000):
        text = ""
        for _ in range(1 + draw(12)):
            first, last = areas[draw(len(areas))]
            text += chr(first + draw(last - first + 1))
        drawn = digest(drawn, unicodedata.normalize("NFD", text))
    print(f"0x{every:016x} 0x{drawn:016x}")


if __name__ == "__main__":
    digests() if sys.argv[1:] == ["--check"] else table()
