"""The figures of the last `make bench` as a page of the documentation and a plot: `python -m bench.page`.

Reads what the measurements have left in build/bench, the latest table of each title, and writes
docs/reference/benchmarks.md and docs/images/speed.png (which needs matplotlib).
"""

from __future__ import annotations

import platform
import sys
from json import loads
from pathlib import Path
from typing import Any, Final

from bench.measure import RESULTS

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "benchmarks.md"
PLOT: Final = ROOT / "docs" / "images" / "speed.png"

_START: Final = """\
# Benchmarks

Whole processes with their start-up, run in turns on one machine; medians of processor time. What counts is the ratio:
the machine is an ordinary one, and a busy one. `make bench` measures anew and writes this page.

![Million packets a second of processor time, by program](../images/speed.png)
"""


def tables() -> dict[str, list[dict[str, Any]]]:
    """The latest rows by title, in the order in which the titles first came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in RESULTS.read_text().splitlines():
        table = loads(line)
        found[table["title"]] = table["rows"]
    return found


def page(found: dict[str, list[dict[str, Any]]]) -> str:
    """The text of the page; "slower" is per packet, against the first row."""
    parts = [_START, f"CPython {platform.python_version()}, {platform.system()} {platform.release().split('-')[0]}.\n"]
    for title, rows in found.items():
        parts.append(f"## {title[0].upper()}{title[1:]}\n")
        lines = ["| | packets | CPU s | million packets/s | slower | MiB |", "|-|-:|-:|-:|-:|-:|"]
        lines += [
            f"| {row['name']} | {row['packets']:,} | {row['cpu']:.3f} | {row['rate']:.3g} | {row['slower']:.2f} | "
            f"{row['mib']:.0f} |"
            for row in rows
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def plot(found: dict[str, list[dict[str, Any]]]) -> None:
    """Everything that was measured on the mixed capture, by speed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rates = {
        row["name"].partition(" (")[0]: row["rate"]
        for title, rows in found.items()
        if title.startswith("mixed, ")
        for row in rows
    }
    names = sorted(rates, key=rates.__getitem__)
    figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(names) + 1))
    colours = ["#0b6e99" if name.startswith("tiopt") else "#b8c4cc" for name in names]
    bars = axes.barh(names, [rates[name] for name in names], color=colours)
    axes.bar_label(bars, labels=[f"{rates[name]:.3g}" for name in names], padding=4, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("million packets a second of processor time (logarithmic)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
    figure.tight_layout()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=110)


def main() -> int:
    """Write both."""
    found = tables()
    PAGE.write_text(page(found))
    plot(found)
    print(f"wrote {PAGE.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
