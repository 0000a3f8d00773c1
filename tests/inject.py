#!/usr/bin/env python3
"""Each system call of the program that is shipped fails: inject.py [--full] [-v] [-j N] [SCENARIO…]
As failures.py, whose scenarios and whose judgement these are, but nothing is linked in: strace answers in the kernel's place, with musl's own
calls too (those for memory and threads). A first run tells which calls there are, and how many of each one thread makes; then there is a run
for each of them in which the Nth of every thread fails.
Without --full: the first, the second and the last, each with one error. With it every one, up to EACH; of those beyond, fewer and fewer."""
import collections, os, re, sys, time
import failures
from failures import ERRORS, Run

PROGRAM = os.path.realpath(os.environ.get("R2", failures.TESTS.parent / "r2"))
EACH = 24
# What the kernel knows a call as, and failures.py.
NAMES = {
    "pread64": "pread", "pwrite64": "pwrite", "readv": "read", "writev": "write", "recvfrom": "recv", "getdents64": "readdir",
    "newfstatat": "fstatat", "clone": "pthread_create", "mprotect": "mmap", "brk": "mmap", "mremap": "mmap", "eventfd2": "eventfd", "signalfd4": "signalfd",
    "landlock_create_ruleset": "syscall", "landlock_add_rule": "syscall", "landlock_restrict_self": "syscall",
} | {name: name for name in (
    "open openat read write connect socket sendto poll fsync fdatasync rename renameat unlink unlinkat linkat mkdir mkdirat ftruncate "
    "fallocate flock fcntl fstat stat lstat access fstatfs mmap getrandom inotify_init1 inotify_add_watch "
    "inotify_rm_watch prctl madvise setpriority sync_file_range pipe2 bind listen accept4 chdir fchdir utimensat ioctl setsockopt getsockopt readlink getcwd").split()}


def errors_of(call):
    # strace makes the call not at all, so that no part of it can have been done. It knows one name for this number.
    return ["EAGAIN" if e == "EWOULDBLOCK" else e for e in ERRORS[NAMES[call]] if e != "SHORT"]


def go(run, *options):
    run.command = ["strace", "-f", "-qq", *options, PROGRAM]
    run.go({})


def counts(scenario):
    """How often the thread that makes most of them makes each call, in a run without any failure."""
    run = Run(scenario)
    try:
        log = run.dir / "calls"
        scenario.prepare(run)
        go(run, "-o", str(log))
        wrong = list(run.complaints()) + ([f"status {run.status}"] if run.status else [])
        if wrong:
            raise SystemExit(f"{scenario.name}: without any failure: {', '.join(wrong)}\n{run.text[-6000:]}")
        made = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.M))
        most = {}
        for (_, call), n in made.items():
            if call in NAMES:
                most[call] = max(n, most.get(call, 0))
        return most
    finally:
        run.close()


def moments(n, full):
    if not full:
        return sorted({1, 2, n} & set(range(1, n + 1)))
    at, found = 1, []
    while at < n:
        found.append(at)
        at += max(1, at // EACH)
    return [*found, n]


def plans(most, full):
    for call, n in sorted(most.items()):
        errors = errors_of(call)
        for i, when in enumerate(moments(n, full)):
            for error in errors if full else [errors[i % len(errors)]]:
                yield call, when, n, error


def one(scenario, plan):
    """What is wrong with that run, as text; None when nothing is."""
    call, when, n, error = plan
    run = Run(scenario)
    try:
        scenario.prepare(run)
        run.call, run.error, begun = call, error, time.monotonic()
        answer = "retval=0" if error == "EOF" else f"error={error}"
        go(run, "-o", "/dev/null", "--seccomp-bpf", "-e", f"trace={call}", "-e", f"inject={call}:{answer}:when={when}")
        wrong = list(run.complaints())
        if failures.VERBOSE:
            print(f"{scenario.name} {call} {when}/{n} {error} {time.monotonic() - begun:.2f}s -> {run.status} "
                  f"{[x for x in run.text.splitlines() if x][-1:]}", flush=True)
        if not wrong:
            return None
        tail = "\n".join("    " + line for line in run.text[-2500:].splitlines())
        return f"{call} fails with {error}, call {when} of {n}: {'; '.join(wrong)} (status {run.status})\n{tail}"
    finally:
        run.close()


if __name__ == "__main__":
    # What strace does to r2 it does to its COMMAND.
    failures.SCENARIOS.remove(failures.SyncCommand)
    sys.exit(failures.run_all(lambda scenario, full: list(plans(counts(scenario), full)), one))
