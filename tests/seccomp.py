#!/usr/bin/env python3
"""Run a command in a kernel that knows less, or that a container runtime has fenced off, by a seccomp filter.
usage: tests/seccomp.py [--errno NAME | --kill] [--only FILE] [CALL]... -- COMMAND [ARG]...
CALL: a system call that answers ENOSYS, or NAME (EPERM), or ends the process. --only: so does all that FILE does not list."""
import argparse
import ctypes
import errno
import os
import sys

KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_init.argtypes = [ctypes.c_uint32]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
seccomp.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]


def check(rc, what):
    if rc < 0:
        sys.exit(f"seccomp.py: {what}: {os.strerror(-rc)}")


def listed(path):
    with open(path, encoding="utf-8") as f:
        return " ".join(line for line in f if not line.startswith("#")).split()


def rules(ctx, action, names):
    for name in names:
        nr = seccomp.seccomp_syscall_resolve_name(name.encode())
        if nr >= 0:                        # below: another machine's, or newer than the library
            check(seccomp.seccomp_rule_add(ctx, action, nr, 0), name)
        elif action != ALLOW:
            sys.exit(f"seccomp.py: no system call {name}")


def main():
    at = sys.argv.index("--")
    p = argparse.ArgumentParser()
    p.add_argument("--errno", default="ENOSYS")
    p.add_argument("--kill", action="store_true")
    p.add_argument("--only")
    p.add_argument("calls", nargs="*")
    o = p.parse_args(sys.argv[1:at])
    refuse = KILL if o.kill else ERRNO | getattr(errno, o.errno)
    ctx = seccomp.seccomp_init(refuse if o.only else ALLOW)
    if o.only:
        rules(ctx, ALLOW, [n for n in listed(o.only) if n not in o.calls])
    else:
        rules(ctx, refuse, o.calls)
    check(seccomp.seccomp_load(ctx), "load")
    os.execv(sys.argv[at + 1], sys.argv[at + 1:])


main()
