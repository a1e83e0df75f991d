"""Start-up: whole processes of `tiopt`, tshark and tcpdump on a capture of three packets, in one interleaved run.

    python -m bench.startup [--runs N]

Prints the median wall time of each command and its ratio to tshark's, pair by pair.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = str(ROOT / "pcaps" / "trace2" / "trace2.pcap")
TSHARK = "tshark -r"


def commands() -> dict[str, list[str]]:
    """What is measured, by the name it is printed under; peers that are not installed are left out."""
    script = shutil.which("tiopt", path=str(Path(sys.executable).parent)) or shutil.which("tiopt")
    tiopt = [script] if script else [sys.executable, "-m", "tioption.cli"]
    found = {
        "tiopt --version": [*tiopt, "--version"],
        "tiopt decode": [*tiopt, "decode", CAPTURE],
        "tiopt decode --format json": [*tiopt, "decode", "--format", "json", CAPTURE],
        "tiopt explain": [*tiopt, "explain", "fd140a4530be79bf00000000001d00000000001f"],
        "tiopt --help": [*tiopt, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    peers = {TSHARK: ["tshark", "-n", "-r", CAPTURE], "tcpdump -r": ["tcpdump", "-n", "-r", CAPTURE]}
    return found | {name: peer for name, peer in peers.items() if shutil.which(peer[0])}


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31, help="interleaved runs of every command (default: 31)")
    runs = parser.parse_args().runs
    measured = commands()
    times: dict[str, list[float]] = {name: [] for name in measured}
    for run in range(runs + 1):
        for name, command in measured.items():
            taken = seconds(command)
            if run:  # the first run fills caches
                times[name].append(taken)
    print(f"{'command':28} {'median ms':>10} {'to tshark':>10}")
    for name, values in times.items():
        ratio = ""
        if TSHARK in times:
            ratio = f"{median(one / other for one, other in zip(values, times[TSHARK], strict=True)):.2f}"
        print(f"{name:28} {median(values) * 1000:10.1f} {ratio:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
