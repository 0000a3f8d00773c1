#!/usr/bin/env python3
"""doc/demo.svg: r2 at work in a terminal, as it really looked: tests/server with r2emu doc/picture.py OUT.SVG (make picture).

Each command runs on a pseudo-terminal. The last one is a large upload; the picture is taken while it is on its way.
"""
import fcntl
import html
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

COLUMNS, ROW, LEFT, TOP, ADVANCE = 110, 18, 16, 44, 8.0
R2 = os.path.realpath(os.environ.get("R2", os.path.dirname(__file__) + "/../r2"))
SHOWN = re.compile(r"([5-9]\d)%")   # far enough for a picture


def line_of(text):
    """What a terminal shows of a line: behind a carriage return it is written over."""
    shown = ""
    for part in text.split("\r"):
        shown = part + shown[len(part):]
    return shown.rstrip()


def run(command, until=None):
    """What the command leaves on its terminal; with until, what stands there when the line matches."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 30, COLUMNS, 0, 0))
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=end, stderr=end, shell=True)
    os.close(end)
    said, stop = "", time.monotonic() + 60
    while time.monotonic() < stop:
        if not select.select([main], [], [], 1)[0]:
            continue
        try:
            said += os.read(main, 4096).decode(errors="replace")
        except OSError:
            break
        rows = [line_of(s) for s in said.replace("\r\n", "\n").split("\n")]
        if until and until.search(rows[-1]):
            break
    p.terminate()
    while True:   # so that it can say its last words to somebody
        try:
            if not os.read(main, 4096):
                break
        except OSError:
            break
    p.wait()
    os.close(main)
    return [line_of(s) for s in said.replace("\r\n", "\n").split("\n") if line_of(s)]


def svg(rows):
    width, height = int(2 * LEFT + COLUMNS * ADVANCE), TOP + ROW * len(rows) + 12
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
           "<title>r2 in a terminal: a test of the connection, an upload, a listing, a dry run of cleanup, a large upload on its way</title>",
           f'<rect width="{width}" height="{height}" rx="8" fill="#14181f"/>',
           *(f'<circle cx="{20 + 20 * i}" cy="20" r="6" fill="{c}"/>' for i, c in enumerate(("#e0605a", "#e2b340", "#58b368"))),
           '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="13" fill="#d4dae3" xml:space="preserve">']
    for i, row in enumerate(rows):
        fill = ' fill="#8fd0ff"' if row.startswith("$ ") else ""
        # The length is told, so that whatever font there is, columns stay columns.
        out.append(f'<text x="{LEFT}" y="{TOP + ROW * i + 13}" textLength="{len(row) * ADVANCE:.0f}"{fill}>{html.escape(row, quote=False)}</text>')
    return "\n".join(out + ["</g>", "</svg>", ""])


def main(out):
    rows = []
    with open(os.environ["R2_TEST_SERVER_DIR"] + "/env", encoding="utf-8") as f:
        os.environ.update(line.strip().replace('"', "").split("=", 1) for line in f)
    with tempfile.TemporaryDirectory() as there:
        os.chdir(there)
        os.environ["XDG_STATE_HOME"] = there + "/state"
        os.symlink(R2, "r2")
        os.environ["PATH"] = there + ":" + os.environ["PATH"]
        for name, size in (("image.png", 2569011), ("video.mp4", 31457280), ("model.safetensors", 400 << 20)):
            with open(name, "wb") as f:
                f.truncate(size)
        old = time.strftime("%Y-%m-%d", time.localtime(time.time() - 40 * 86400))
        subprocess.run(["r2", "upload", "-q", "--date", old, "image.png", "video.mp4"], check=True)
        for command in ("r2 upload --test", "r2 upload image.png video.mp4", "r2 ls -r -h --summary outputs/", "r2 cleanup --days 30 -n"):
            rows += ["$ " + command] + run(command)
        last = "r2 upload --limit-rate 100M model.safetensors"
        rows += ["$ " + last] + run(last, SHOWN)
    rows = [r[i:i + COLUMNS] for r in rows for i in range(0, len(r), COLUMNS)]   # as a terminal does
    with open(out, "w", encoding="utf-8") as f:
        f.write(svg(rows))


main(os.path.abspath(sys.argv[1]))
