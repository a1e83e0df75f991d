"""How time and memory grow with the capture: `tiopt decode` and `tiopt validate` on mixed captures of doubling size.

    python -m bench.scale [--runs N] [--largest N]

With --largest 80000000 the series ends at about 10 GB.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from bench.decode import capture
from bench.measure import Command, interleaved, print_table, tiopt

SMALLEST = 1_000_000


def main() -> int:
    """Measure and print the series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs of every size (default: 3)")
    parser.add_argument("--largest", type=int, default=16_000_000, help="packets (default: 16,000,000, about 2 GB)")
    arguments = parser.parse_args()
    sizes = [SMALLEST]
    while sizes[-1] * 2 <= arguments.largest:
        sizes.append(sizes[-1] * 2)
    for command in ("decode", "validate"):
        commands = {
            f"tiopt {command}, {size // 1_000_000} M packets": Command(
                [*tiopt(), command, capture("mixed.pcap", size)], size
            )
            for size in sizes
        }
        usages = interleaved(commands, arguments.runs)
        packets = {name: one.packets for name, one in commands.items()}
        print_table(f"scale, {command}", usages, packets, next(iter(commands)))
        first, last = (median(usage.cpu for usage in list(usages.values())[at]) for at in (1, -1))
        print(f"  {sizes[-1] // sizes[1]} times the packets take {last / first:.1f} times the time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
