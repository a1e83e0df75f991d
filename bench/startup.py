"""Start-up: whole processes of `tiopt`, tshark and tcpdump on a capture of three packets, in one interleaved run.

    python -m bench.startup [--runs N]

Prints the median wall time of each command and its ratio to tshark's, pair by pair.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from statistics import median

from bench.measure import Command, interleaved, tiopt

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = str(ROOT / "pcaps" / "trace2" / "trace2.pcap")
TSHARK = "tshark -r"


def commands() -> dict[str, list[str]]:
    """What is measured, by the name it is printed under; peers that are not installed are left out."""
    found = {
        "tiopt --version": [*tiopt(), "--version"],
        "tiopt decode": [*tiopt(), "decode", CAPTURE],
        "tiopt decode --format json": [*tiopt(), "decode", "--format", "json", CAPTURE],
        "tiopt explain": [*tiopt(), "explain", "fd140a4530be79bf00000000001d00000000001f"],
        "tiopt --help": [*tiopt(), "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    peers = {TSHARK: ["tshark", "-n", "-r", CAPTURE], "tcpdump -r": ["tcpdump", "-n", "-r", CAPTURE]}
    return found | {name: peer for name, peer in peers.items() if shutil.which(peer[0])}


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31, help="interleaved runs of every command (default: 31)")
    runs = parser.parse_args().runs
    measured = commands()
    usages = interleaved({name: Command(words) for name, words in measured.items()}, runs)
    times = {name: [usage.wall for usage in values] for name, values in usages.items()}
    print(f"{'command':28} {'median ms':>10} {'to tshark':>10}")
    for name, values in times.items():
        ratio = ""
        if TSHARK in times:
            ratio = f"{median(one / other for one, other in zip(values, times[TSHARK], strict=True)):.2f}"
        print(f"{name:28} {median(values) * 1000:10.1f} {ratio:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
