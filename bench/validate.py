"""`tiopt validate` against tcpdump that only filters the same file, whole processes with their start-up.

    python -m bench.validate [--runs N] [--packets N]

On mixed (bench/captures.py), in which one packet of a hundred begins a connection, at one size and at ten times that:
time must grow in step, memory hardly. On a flood of SYNs, which must not exhaust memory.
"""

from __future__ import annotations

import argparse
import sys

from bench.decode import FILTER, capture, have
from bench.measure import Command, Usage, floor_mib, interleaved, print_table, ratio, tiopt

OURS = "tiopt validate"
WRITING, PRINTING = "tcpdump, filter, writing what it finds", "tcpdump, filter, printing it"


def mixed(packets: int, runs: int) -> None:
    """Ordinary connections, all judged."""
    path = capture("mixed.pcap", packets)
    commands = {
        OURS: Command([*tiopt(), "validate", path], packets),
        WRITING: Command(["tcpdump", "-nr", path, "-w", "/dev/null", FILTER], packets),
        PRINTING: Command(["tcpdump", "-nr", path, FILTER], packets),
    }
    usages = _measured(f"mixed, {packets:,} packets, {packets // 100:,} handshakes", commands, runs)
    for name in (WRITING, PRINTING):
        if name in usages:
            print(f"  {name}: {ratio(usages[OURS], usages[name]):.2f} times ours")


def flood(packets: int) -> None:
    """Nothing but SYNs of connections that never come to anything."""
    path = capture("flood.pcap", packets)
    _measured(f"flood, {packets:,} SYNs", {OURS: Command([*tiopt(), "validate", path], packets)}, 1)


def _measured(title: str, commands: dict[str, Command], runs: int) -> dict[str, list[Usage]]:
    commands = have(commands)
    usages = interleaved(commands, runs)
    print_table(title, usages, {name: command.packets for name, command in commands.items()}, OURS)
    return usages


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="interleaved runs of every command (default: 9)")
    parser.add_argument("--packets", type=int, default=2_000_000, help="packets of mixed (default: 2,000,000)")
    arguments = parser.parse_args()
    mixed(arguments.packets, arguments.runs)
    mixed(arguments.packets * 10, max(1, arguments.runs // 3))
    flood(arguments.packets * 5)
    print(f"\nMemory below {floor_mib():.0f} MiB cannot be seen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
