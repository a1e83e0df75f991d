"""A folder of captures: two jobs on two cores against one, whole processes with their start-up.

    python -m bench.folder [--runs N] [--packets N]

The folder has 8 files of mixed (bench/captures.py), one capture cut as `tcpdump -C` cuts it, so that a hundred
connections go on from each file to the next and are judged jointly; then a quarter of it, each file compressed with
gzip. The wall time is what counts: the work is the same.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.decode import capture
from bench.measure import Command, interleaved, tiopt

FILES = 8
HEADER, RECORD = 24, 16
SHIFT = 31_337
"""Packets by which every cut is put off, as those of mixed come in blocks of connections that end together."""


def cut(path: Path, packets: int) -> Path:
    """The folder of the capture cut in FILES files of as many packets, made where it is not there yet."""
    folder = path.with_suffix(f".{FILES}")
    if folder.exists():
        return folder
    made = folder.with_suffix(".part")
    made.mkdir(exist_ok=True)
    with path.open("rb") as capture:
        header = capture.read(HEADER)
        for number in range(FILES):
            with (made / f"mixed.pcap{number or ''}").open("wb") as file:
                file.write(header)
                for _ in range(packets // FILES + (SHIFT if not number else -SHIFT if number == FILES - 1 else 0)):
                    record = capture.read(RECORD)
                    file.write(record + capture.read(int.from_bytes(record[8:12], "little")))
    return made.replace(folder)


def compressed(folder: Path) -> Path:
    """The same folder with every file compressed."""
    packed = folder.with_suffix(".gz")
    if packed.exists():
        return packed
    made = folder.with_suffix(".part")
    made.mkdir(exist_ok=True)
    for path in folder.iterdir():
        (made / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
    return made.replace(packed)


def measure(folder: Path, names: Sequence[str], packets: int, runs: int) -> None:
    """Run each command with one job and with two, and print a row for it."""
    for name in names:
        commands = {
            jobs: Command([*tiopt(), *name.split(), "--jobs", jobs, str(folder)], packets) for jobs in ("1", "2")
        }
        one, two = interleaved(commands, runs).values()
        quicker = median(single.wall / double.wall for single, double in zip(one, two, strict=True))
        walls = [median(usage.wall for usage in usages) for usages in (one, two)]
        cpus = [median(usage.cpu for usage in usages) for usages in (one, two)]
        print(f"  {'tiopt ' + name:36} {walls[0]:9.3f} {walls[1]:10.3f} {quicker:7.2f}x {cpus[0]:7.3f} {cpus[1]:7.3f}")


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="interleaved runs of every command (default: 9)")
    parser.add_argument("--packets", type=int, default=16_000_000, help="packets of all files (default: 16,000,000)")
    arguments = parser.parse_args()
    head = f"  {'command':36} {'1 job: s':>9} {'2 jobs: s':>10} {'quicker':>8} {'cpu s':>7} {'cpu s':>7}"
    packets = arguments.packets
    print(f"\nmixed, {packets:,} packets in {FILES} files\n{head}")
    folder = cut(Path(capture("mixed.pcap", packets)), packets)
    measure(folder, ("decode", "decode --all", "decode --all --format json", "validate"), packets, arguments.runs)
    packets //= 4
    print(f"\nmixed, {packets:,} packets in {FILES} files, gzip\n{head}")
    folder = compressed(cut(Path(capture("mixed.pcap", packets)), packets))
    measure(folder, ("decode", "validate"), packets, arguments.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
