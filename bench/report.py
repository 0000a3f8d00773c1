"""What the samples say: a table for the README, and whether r2's targets are met."""
import statistics

METRICS = {"wall": "wall", "cpu": "CPU", "rss": "peak memory"}

# Work, metric, compared with (a tool, "best" of the peers, "work:" another work of r2, or MB), at most.
TARGETS = [
    ("start-up", "wall", "s5cmd", 1 / 5),
    ("start-up, configuration read", "wall", "s5cmd", 1 / 5),
    ("one file, 2.45 MB up", "wall", "s5cmd", 1),
    ("one file, 2.45 MB up", "wall", "script", 1 / 10),
    ("one file, 2.45 MB up", "rss", "MB", 3),
    ("512 MiB up", "wall", "best", 1),
    ("512 MiB up", "cpu", "s5cmd", 1 / 3),
    ("512 MiB up", "rss", "MB", 8),
    ("512 MiB get", "wall", "best", 0.9),
    ("2,000 × 64 KiB up", "wall", "s5cmd", 0.6),
    ("2,000 × 64 KiB up", "cpu", "s5cmd", 1 / 5),
    ("2,000 × 64 KiB up", "rss", "MB", 8),
    ("10,000 × 1 KiB up", "rss", "work:1,000 × 1 KiB up", 1.1),
    ("100,000 × 1 KiB up", "rss", "work:1,000 × 1 KiB up", 1.1),
]


def human(metric, value):
    if metric == "rss":
        return f"{value / 2**20:.1f} MB"
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
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.2g}" if ratio >= 10 else f"{ratio:.2f}"


def cell(metric, result, ours):
    if not result:
        return "–"
    if "error" in result:
        return result["error"].replace("|", "/")[:80] if metric == "wall" else "–"
    middle = statistics.median(result[metric])
    ratio = f", **{times(middle / ours)}×**" if ours else ""
    return human(metric, middle) + (spread(result[metric]) if metric != "rss" else "") + ratio


def median(results, work, tool, metric):
    """None where there is none."""
    samples = results.get(work, {}).get(tool, {}).get(metric)
    return statistics.median(samples) if samples else None


def table(results, tools):
    yield "| work | | " + " | ".join(tools) + " |"
    yield "|---|---" + "|---" * len(tools) + "|"
    for work, row in results.items():
        for metric, title in METRICS.items():
            ours = median(results, work, "r2", metric)
            cells = [cell(metric, row.get(tool), ours if tool != "r2" else None) for tool in tools]
            yield f"| {work if metric == 'wall' else ''} | {title} | " + " | ".join(cells) + " |"


def targets(results, tools):
    for work, metric, other, most in TARGETS:
        if work not in results:
            continue
        ours = median(results, work, "r2", metric)
        if other == "MB":
            base = 2**20
        elif other == "best":
            known = [(median(results, work, tool, metric), tool) for tool in tools if tool != "r2"]
            base, other = min(((b, f"of the best peer's ({t})") for b, t in known if b), default=(None, "of any peer's"))
        elif other.startswith("work:"):
            other = other[5:]
            base, other = median(results, other, "r2", metric), f"of that of {other}"
        else:
            base, other = median(results, work, other, metric), f"of {other}'s"
        if not ours or not base:
            yield f"unknown {work}: {METRICS[metric]} {other}"
        else:
            state = "met   " if ours <= most * base else "MISSED"
            yield f"{state} {work}: {METRICS[metric]} {ours / base:.2f} {other}, at most {most:.2f}"
