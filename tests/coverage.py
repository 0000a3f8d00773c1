"""The figures and gaps of lib/ from what llvm-cov has exported to DIR: coverage.py DIR. lcov.info has the lines; only coverage.json has the
columns by which the conditions of one line are told apart, and one condition found again in the several programs that a function is in."""
import collections, json, pathlib, sys

out = pathlib.Path(sys.argv[1])
# It runs only in the static binary, before there could be a counter.
ELSEWHERE = {"lib/start.c"}


def wanted(name):
    name = name.removeprefix("./")
    return name if name.startswith("lib/") and name.endswith(".c") and name not in ELSEWHERE else None


def lines():
    """{file: {line: how often}}"""
    found, at = {}, None
    for row in (out / "lcov.info").read_text().splitlines():
        kind, _, rest = row.partition(":")
        if kind == "SF":
            at = found.setdefault(name, {}) if (name := wanted(rest)) else None
        elif kind == "DA" and at is not None:
            n, count = map(int, rest.split(",")[:2])
            at[n] = at.get(n, 0) + count
    return found


def branches():
    """{file: {(line, column, end): [how often true, how often false]}}"""
    found = collections.defaultdict(dict)
    for file in json.loads((out / "coverage.json").read_text())["data"][0]["files"]:
        if name := wanted(file["filename"]):
            for line, column, last, end, true, false, *_ in file["branches"]:
                both = found[name].setdefault((line, column, last, end), [0, 0])
                both[0] += true
                both[1] += false
    return found


def main():
    conditions, total, gaps = branches(), [0] * 4, []
    show = lambda name, a, am, b, bm: (f"{name:24} {a:6} {am:6} {100 * (a - am) / a:6.1f} %"
                                       f" {b:8} {bm:6} {100 * (b - bm) / b if b else 100:6.1f} %")
    rows = [f"{'':24} {'lines':>6} {'missed':>6} {'':8} {'branches':>8} {'missed':>6}"]
    for name, counts in sorted(lines().items()):
        source = pathlib.Path(name).read_text().splitlines()
        missed = {n for n, count in counts.items() if not count}
        gaps += [(name, n, "never run") for n in missed]
        # What stands in a line that was never run is told by that.
        gaps += [(name, at[0], f"never {word}") for at, both in conditions[name].items() if at[0] not in missed
                 for word, count in zip(("true", "false"), both) if not count]
        row = [len(counts), len(missed), 2 * len(conditions[name]), sum(both.count(0) for both in conditions[name].values())]
        total = [a + b for a, b in zip(total, row)]
        rows.append(show(name, *row))
        (out / "uncovered.txt").open("a" if len(rows) > 2 else "w").writelines(
            f"{file}:{n}: {what}: {source[n - 1].strip()}\n" for file, n, what in sorted(gaps))
        gaps = []
    if not total[0]:
        sys.exit("nothing was counted")
    rows.append(show("lib/", *total))
    (out / "summary.txt").write_text("\n".join(rows) + "\n")
    print("\n".join(rows))


main()
