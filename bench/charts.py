#!/usr/bin/env python3
"""charts.py FILE.json DIR: DIR/performance-peers.svg, how many times r2's figures the peers take, and DIR/performance-growth.svg, lines
that should be straight. matplotlib comes from PyPI into an environment of its own."""
import json
import os
import sys

import peers
import report

PACKAGE = "matplotlib==3.10.3"
COLOURS = {"r2": "#d9480f", "s5cmd": "#1c7ed6", "rclone": "#2f9e44", "aws": "#f08c00", "script": "#7048e8", "curl": "#868e96", "limit": "#343a40"}


def own_python():
    """This program again, where matplotlib is."""
    venv = os.path.join(peers.CACHE, PACKAGE.replace("==", "-"))
    python = os.path.join(venv, "bin", "python")
    if sys.prefix != os.path.realpath(venv):
        if not os.path.exists(python):
            peers._install(PACKAGE, venv)
        os.execv(python, [python, os.path.abspath(__file__), *map(os.path.abspath, sys.argv[1:])])


def bars(figure, axis, rows, metric, tools):
    """Ratios to r2 on a logarithmic scale, a group of bars a work; left of 1 is better than r2."""
    high = 0.8 / len(tools)
    for n, tool in enumerate(tools):
        at, widths = [], []
        for y, row in enumerate(rows):
            ours, theirs = report.median(row, "r2", metric), report.median(row, tool, metric)
            if ours and theirs:
                at.append(y + (n - (len(tools) - 1) / 2) * high)
                widths.append(theirs / ours)
        axis.barh(at, [w - 1 for w in widths], high * 0.9, left=1, color=COLOURS[tool], label=tool)
        for y, w in zip(at, widths):
            axis.text(w, y, f" {report.times(w)} " , va="center", ha="left" if w >= 1 else "right", fontsize=6)
    axis.set_xscale("log")
    axis.axvline(1, color=COLOURS["r2"], linewidth=1.5)
    axis.set_title(f"{report.METRICS[metric]}: times r2's", fontsize=9)
    axis.margins(x=0.15)
    axis.spines[["top", "right"]].set_visible(False)


def draw_peers(plt, found, path):
    rows = [row for row in found["works"] if not row["series"] and row["group"] not in ("sync", "start")]
    tools = [*found["settings"]["peers"], "curl", "limit"]
    figure, axes = plt.subplots(1, 3, figsize=(12, 0.5 + 0.85 * len(rows)), sharey=True, layout="constrained")
    for axis, metric in zip(axes, ("wall", "cpu", "rss")):
        bars(figure, axis, rows, metric, tools)
    axes[0].set_yticks(range(len(rows)), [f"{row['name']}\n{row['place']}" for row in rows], fontsize=7)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tools), frameon=False, fontsize=8)
    figure.savefig(path)


def draw_growth(plt, found, path):
    series = report.lines(found["works"])
    metrics = [("wall", 1e6, "s"), ("cpu", 1e6, "s"), ("rss", 1 << 20, "MB")]
    figure, axes = plt.subplots(len(series), 3, figsize=(10, 2 * len(series)), squeeze=False, layout="constrained")
    for line, (name, rows) in zip(axes, series.items()):
        for axis, (metric, unit, text) in zip(line, metrics):
            x = [row["x"] / (1 << 20 if name.startswith("bytes") else 1) for row in rows]
            y = [report.median(row, "r2", metric) / unit for row in rows]
            axis.plot((x[0], x[-1]), (y[0], y[-1]), color="#ced4da", linewidth=1)
            axis.plot(x, y, "o-", color=COLOURS["r2"], markersize=4)
            axis.set_ylim(0, max(*y, 1e-9) * 1.2)
            axis.set_xlim(0)
            axis.set_title(f"{name.replace('bytes', 'MiB')}: {report.label(rows[0], metric)}, {text}", fontsize=8)
            axis.tick_params(labelsize=7)
            axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    own_python()
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    # The same figures give the same file, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "r2box", "svg.fonttype": "none"})
    plt.Figure.savefig = (lambda save: lambda self, path: save(self, path, metadata={"Date": None}))(plt.Figure.savefig)
    with open(sys.argv[1]) as f:
        found = json.load(f)
    draw_peers(plt, found, os.path.join(sys.argv[2], "performance-peers.svg"))
    if report.lines(found["works"]):
        draw_growth(plt, found, os.path.join(sys.argv[2], "performance-growth.svg"))


main()
