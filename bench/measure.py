"""Whole processes measured against each other: run in turns, so that a busy machine is busy for all; medians are told.

Peak memory is what the kernel keeps of a process. It counts from before the exec, so nothing below what the measuring
process itself has (`floor_mib`) can be seen: keep that process small, and make captures in another one.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

RESULTS: Final = Path(__file__).resolve().parents[1] / "build" / "bench" / "results.jsonl"
"""Every table that was printed, for `bench.page`."""


class Usage(NamedTuple):
    """What one run of a command took."""

    wall: float
    """Seconds on the clock."""
    cpu: float
    """Seconds of processor time, of the process and of all it has waited for."""
    mib: float
    """Peak resident memory of the largest process."""


class Command(NamedTuple):
    """A command, and how many packets it is given."""

    words: Sequence[str]
    packets: int = 0
    environment: Mapping[str, str] = {}


def shell(line: str) -> list[str]:
    """The words of a line for the shell."""
    return ["/bin/sh", "-c", line]


def run(command: Command) -> Usage:
    """Run the command without output; raises RuntimeError where it fails."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)]
    start = time.perf_counter()
    words = list(command.words)
    process = os.posix_spawnp(words[0], words, {**os.environ, **command.environment}, file_actions=actions)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - start
    os.close(null)
    if status != 0:
        raise RuntimeError(f"{' '.join(words)}: status {os.waitstatus_to_exitcode(status)}")
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def interleaved(commands: Mapping[str, Command], runs: int) -> dict[str, list[Usage]]:
    """Run all commands in turns, `runs` times each after one run to fill caches."""
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            usage = run(command)
            if turn:
                usages[name].append(usage)
    return usages


def ratio(ours: Sequence[Usage], theirs: Sequence[Usage]) -> float:
    """How many times as much processor time theirs took, turn by turn, as a median."""
    return median(their.cpu / our.cpu for our, their in zip(ours, theirs, strict=True))


def floor_mib() -> float:
    """Below this the memory of a command cannot be seen."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_table(title: str, usages: Mapping[str, Sequence[Usage]], packets: Mapping[str, int], ours: str) -> None:
    """A row per command: medians, packets a second of processor time, and how much slower than `ours` per packet."""
    print(f"\n{title}")
    print(f"  {'command':44} {'wall s':>8} {'cpu s':>8} {'Mpkt/s':>9} {'slower':>9} {'MiB':>6}")
    own = median(usage.cpu for usage in usages[ours]) / packets[ours]
    rows = []
    for name, values in usages.items():
        cpu = median(usage.cpu for usage in values)
        rate = packets[name] / cpu / 1e6 if cpu else 0.0
        slower = cpu / packets[name] / own
        wall, mib = median(usage.wall for usage in values), max(usage.mib for usage in values)
        print(f"  {name:44} {wall:8.3f} {cpu:8.3f} {rate:9.3f} {slower:8.2f}x {mib:6.0f}")
        rows.append({"name": name, "packets": packets[name], "cpu": cpu, "rate": rate, "slower": slower, "mib": mib})
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as results:
        results.write(dumps({"title": title, "rows": rows}) + "\n")


def tiopt() -> list[str]:
    """The words that run `tiopt` of this environment."""
    script = Path(sys.executable).parent / "tiopt"
    return [str(script)] if script.exists() else [sys.executable, "-m", "tioption.cli"]
