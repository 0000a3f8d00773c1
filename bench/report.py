#!/usr/bin/env python3
"""What the samples say: tables, whether r2's targets are met, which lines are straight.
   report.py FILE.json                     all of it, as `make bench` prints it
   report.py --markdown FILE.json DOC.md   puts the tables between DOC.md's lines <!-- tables --> and <!-- /tables -->
   report.py --short FILE.json README.md   puts a short one between README.md's lines <!-- peers --> and <!-- /peers -->"""
import json
import statistics
import sys

METRICS = {"wall": "wall", "cpu": "CPU", "rss": "peak memory", "wire": "on the wire", "requests": "requests", "connections": "connections",
           "p50": "p50", "p99": "p99", "wakeups": "wake-ups"}
TIMES, SIZES = ("wall", "cpu", "p50", "p99"), ("rss", "wire")
SPREAD = ("wall", "cpu")
LIMIT_OF = {"wall": "curl", "cpu": "limit"}
STRAIGHT = 0.15          # of a line's rate, up or down
MB = 1 << 20

# Work's beginning, place, metric, compared with (a tool, "best" of the peers, or MB, ms, n: absolute), at most.
TARGETS = [
    ("start-up, --version", "sink", "wall", "limit", 1.5), ("start-up, configuration", "sink", "wall", "ms", 1),
    ("one file", "minio", "wall", "curl", 1.25), ("one file", "sink", "wall", "curl", 1.25),
    ("one file", "minio", "cpu", "ms", 4), ("one file", "sink", "cpu", "ms", 4), ("one file", "sink", "rss", "MB", 3),
    ("4 GiB up", "minio", "wall", "best", 1), ("4 GiB up", "minio", "cpu", "s5cmd", 1 / 4),
    ("4 GiB up", "sink", "wall", "best", 1), ("4 GiB up", "sink", "cpu", "s5cmd", 1 / 4),
    ("4 GiB up", "sink", "cpu", "limit", 1.3), ("4 GiB up", "sink", "rss", "MB", 8),
    ("512 MiB up", "minio", "wall", "best", 1), ("512 MiB up", "minio", "cpu", "s5cmd", 1 / 4),
    ("512 MiB up", "sink", "wall", "best", 1), ("512 MiB up", "sink", "cpu", "s5cmd", 1 / 4),
    ("512 MiB up", "sink", "cpu", "limit", 1.3), ("512 MiB up", "sink", "rss", "MB", 8),
    ("2,000 × 64 KiB", "minio", "wall", "s5cmd", 0.6), ("2,000 × 64 KiB", "minio", "cpu", "s5cmd", 1 / 6),
    ("2,000 × 64 KiB", "sink", "wall", "s5cmd", 0.6), ("2,000 × 64 KiB", "sink", "cpu", "s5cmd", 1 / 6),
    ("512 MiB get", "minio", "wall", "best", 1), ("512 MiB get", "sink", "wall", "best", 1), ("512 MiB get", "sink", "cpu", "limit", 1.3),
    ("4 GiB get", "minio", "wall", "best", 1), ("4 GiB get", "sink", "wall", "best", 1), ("4 GiB get", "sink", "cpu", "limit", 1.3),
    ("list 100,000", "minio", "cpu", "s5cmd", 1 / 4), ("list 100,000", "sink", "cpu", "s5cmd", 1 / 4), ("delete 1", "sink", "cpu", "s5cmd", 1 / 4),
    ("2,000 × 64 KiB", "far 40 ms", "wall", "best", 0.8), ("500 × 64 KiB", "far 40 ms", "wall", "best", 0.8),
    ("2,000 × 64 KiB", "far 150 ms", "wall", "best", 0.8), ("500 × 64 KiB", "far 150 ms", "wall", "best", 0.8),
    ("sync: from close", "sink", "p50", "ms", 10), ("sync: idle", "sink", "wakeups", "n", 0), ("sync: idle", "sink", "rss", "MB", 2),
]


# README's rows: work's beginning, metrics.
SHORT = [("start-up", "wall"), ("one file", "wall rss"), ("512 MiB up", "wall cpu rss"), ("2,000 × 64 KiB", "wall cpu rss"), ("512 MiB get", "wall cpu rss"),
         ("list 10,000", "cpu"), ("delete 2,000", "wall")]


def human(metric, value):
    if metric in SIZES:
        return next(f"{value / of:.3g} {unit}" if value < 1000 * of else f"{value / of:.0f} {unit}"
                    for unit, of in (("GB", 1 << 30), ("MB", MB), ("KB", 1 << 10), ("B", 1)) if value >= of or of == 1)
    if metric not in TIMES:
        return f"{value:,.0f}"
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} µs"


def spread(samples):
    """Half the distance of the quartiles, in percent of the median."""
    if len(samples) < 3:
        return ""
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return f" ±{50 * (high - low) / middle:.0f} %" if middle else ""


def times(ratio):
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}"


def median(row, tool, metric):
    """None where there is none."""
    samples = (row["tools"].get(tool) or {}).get(metric)
    return statistics.median(samples) if samples else None


def cell(row, tool, metric, first):
    result = row["tools"].get(tool)
    if result and "error" in result:
        return result["error"].replace("|", "/")[:60] if first else "–"
    middle, ours = median(row, tool, metric), median(row, "r2", metric)
    # An empty program has less memory than the step in which the kernel adds it up.
    if middle is None or (metric == "rss" and not middle):
        return "–"
    ratio = f", **{times(middle / ours)}×**" if ours and tool != "r2" else ""
    return human(metric, middle) + (spread(result[metric]) if metric in SPREAD else "") + ratio


def to_limit(row, metric):
    """How far r2 is from what nobody can be better than."""
    of = "limit" if row["group"] == "start" else LIMIT_OF.get(metric)
    ours, least = median(row, "r2", metric), median(row, of, metric)
    return f"{times(ours / least)}×" if ours and least else ""


def label(row, metric):
    """What sync.py asks a running daemon for is no peak."""
    running = row["group"] == "sync" or row["series"] == "directories watched"
    return "memory" if metric == "rss" and running else METRICS[metric]


def metrics(row):
    known = {metric for result in row["tools"].values() for metric, samples in result.items()
             if metric in TIMES + ("rss", "wakeups") or (metric in METRICS and any(samples))}
    return [metric for metric in METRICS if metric in known] or ["wall"]


def table(rows, tools):
    yield "| work | | " + " | ".join(tools) + " | r2 to the limit |"
    yield "|---|---" + "|---" * (len(tools) + 1) + "|"
    for row in rows:
        for n, metric in enumerate(metrics(row)):
            cells = [cell(row, tool, metric, n == 0) for tool in tools]
            yield f"| {row['name'] if n == 0 else ''} | {label(row, metric)} | " + " | ".join(cells) + f" | {to_limit(row, metric)} |"


# ---- growth ----

def lines(works):
    """{series: rows in the order of x}."""
    found = {}
    for row in works:
        if row["series"] and "error" not in row["tools"]["r2"]:
            found.setdefault(row["series"], []).append(row)
    return {name: sorted(rows, key=lambda row: row["x"]) for name, rows in found.items() if len(rows) > 1}


def slope(rows, metric):
    """The last stretch's cost of one more against the whole line's: 1 for a straight line. None where that says nothing."""
    at = [(row["x"], median(row, "r2", metric)) for row in rows]
    whole, last = ((b[1] - a[1]) / (b[0] - a[0]) for a, b in ((at[0], at[-1]), (at[-2], at[-1])))
    return last / whole if whole > 0 and at[-1][1] >= 50000 else None  # processor time comes in ticks of 10 ms


def growth(works):
    for name, rows in lines(works).items():
        yield from ("", f"| {name} | wall | CPU | {label(rows[0], 'rss')} |", "|---|---|---|---|")
        for row in rows:
            yield f"| {row['x']:,} | " + " | ".join(human(m, median(row, "r2", m)) for m in ("wall", "cpu", "rss")) + " |"
        if name != "-j":
            straight = slope(rows, "cpu")
            yield f"\nThe last stretch's CPU for one more is {straight:.2f} of the whole line's (1: straight)." if straight else ""


# ---- targets ----

def base(row, metric, other, peers):
    """(what the target multiplies, its name), or None."""
    if other in ("MB", "ms", "n"):
        return {"MB": MB, "ms": 1000, "n": 1}[other], {"MB": "MB", "ms": "ms", "n": ""}[other]
    if other == "best":
        known = [(median(row, tool, metric), tool) for tool in peers]
        least = min(((value, tool) for value, tool in known if value), default=None)
        return least and (least[0], f"of the best peer's ({least[1]})")
    return median(row, other, metric), f"of {other}'s"


def targets(works, peers):
    for name, place, metric, other, most in TARGETS:
        for row in works:
            if row["series"] or row["place"] != place or not row["name"].startswith(name):
                continue
            ours, (least, what) = median(row, "r2", metric), base(row, metric, other, peers) or (None, "of any peer's")
            title = f"{row['name']}, {place}: {label(row, metric)}"
            if ours is None or not least:
                yield f"unknown  {title} {what}, at most {most:.2f}"
            else:
                yield f"{'met     ' if ours <= most * least else 'MISSED  '} {title} {ours / least:.2f} {what}, at most {most:.2f}"


def judged(found):
    """The targets are those of whole works."""
    scale = found["settings"]["scale"]
    return targets(found["works"], found["settings"]["peers"]) if scale == 1 else [f"SCALE={scale:g}: no target is looked at"]


def heading(found):
    m = found["machine"]
    load = f", load {m['load']:.1f} at the start" if "load" in m else ""
    versions = "; ".join(f"{name}: {text}" for name, text in found["versions"].items() if name != "limit")
    return (f"{m['cpu']}, {m['cores']} cores, {m['system']}{load}; {found['commit']}; {found['date'][:10]}; "
            f"{found['settings']['rounds']} rounds in {found['seconds'] // 60} min {found['seconds'] % 60} s; {versions}" +
            "".join(f". Again, {again['date'][:10]}, {again['commit']}: {', '.join(again['works'])}" for again in found.get("again", [])))


def tables(found):
    works = found["works"]
    tools = ["r2", *found["settings"]["peers"], "curl", "limit"]
    for place in dict.fromkeys(row["place"] for row in works):
        rows = [row for row in works if row["place"] == place and not row["series"]]
        own = [row for row in rows if row["group"] == "sync"]
        rows = [row for row in rows if row["group"] != "sync"]
        if rows:
            yield from ("", f"### Against {place}", "", *table(rows, tools))
        if own:
            yield from ("", "### r2 sync", "", *table(own, ["r2"]))
    if lines(works):
        yield from ("", "### Growth", *growth(works))


def everything(found):
    yield from (heading(found), *tables(found), "", *judged(found))


def put_between(doc, name, lines_of_it):
    """In place of what stands between doc's lines <!-- name --> and <!-- /name -->."""
    with open(doc) as f:
        text = f.read()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, rest = text.split(begin)
    with open(doc, "w") as f:
        f.write(head + begin + "\n".join(lines_of_it) + "\n" + end + rest.split(end)[1])


def into(doc, found):
    charts = [f"![{name}](performance-{name}.svg)" for name in ("peers", "growth")]
    put_between(doc, "tables", [*charts, "", heading(found), *tables(found), "", "### Targets", "", "```text", *judged(found), "```"])


def short_cell(row, tool, metric):
    middle, ours = median(row, tool, metric), median(row, "r2", metric)
    if middle is None:
        return "–"
    return human(metric, middle) if tool == "r2" or metric == "rss" else f"{times(middle / ours)}×"


def into_readme(doc, found):
    """Against the real server alone. The peers' times as multiples of r2's."""
    m, peers = found["machine"], found["settings"]["peers"]
    days = " and ".join(sorted({run["date"][:10] for run in (found, *found.get("again", []))}))
    new = [f"Beside its peers (`make bench`: medians of up to {found['settings']['rounds']} on {days}, {m['cpu']}, {m['cores']} cores, MinIO over TLS on the same ones):", "",
           "| work | | r2 | " + " | ".join("old script" if name == "script" else name for name in peers) + " |", "|---|---|---" + "|---" * len(peers) + "|"]
    for name, wanted in SHORT:
        row = next((row for row in found["works"] if row["place"] == "minio" and not row["series"] and row["name"].startswith(name)),
                   next((row for row in found["works"] if not row["series"] and row["name"].startswith(name)), None))
        for n, metric in enumerate(wanted.split() if row else []):
            cells = [short_cell(row, tool, metric) for tool in ["r2", *peers]]
            new.append(f"| {row['name'] if n == 0 else ''} | {METRICS[metric].replace('peak ', '')} | " + " | ".join(cells) + " |")
    put_between(doc, "peers", new)


PLACES = {"--markdown": into, "--short": into_readme}

if __name__ == "__main__":
    words = sys.argv[1:]
    if len(words) not in (1, 3) or (len(words) == 3 and words[0] not in PLACES):
        sys.exit(__doc__)
    with open(words[-2 if len(words) == 3 else -1]) as f:
        data = json.load(f)
    if len(words) == 3:
        PLACES[words[0]](words[2], data)
    else:
        print(*everything(data), sep="\n")
