#!/usr/bin/env python3
"""An interactive program in a terminal of its own: standard input is typed once it has shown "READY>"; what it showed is printed.

usage: typed.py COMMAND [ARG]...   Ends with the program, or with status 1 after two minutes.
"""
import os
import pty
import select
import sys
import time

typing = sys.stdin.buffer.read()
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
shown, end = b"", time.monotonic() + 120
while time.monotonic() < end:
    if not select.select([fd], [], [], 0.1)[0]:
        continue
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    shown += data
    if typing and b"READY>" in shown:
        os.write(fd, typing)
        typing = b""
    if not data:
        break
else:
    os.kill(pid, 9)
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(time.monotonic() >= end)
