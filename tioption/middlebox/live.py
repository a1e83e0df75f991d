"""A path between two TUN devices: what the kernel sends to one comes out of the other, as the boxes let it.

Linux, with CAP_NET_ADMIN. The devices are made in the namespace of the process and may be moved into others; they are
gone when they are closed, or when the process ends in whatever way.
"""

from __future__ import annotations

import select
import time
from typing import Final

from tioption.middlebox.box import Way
from tioption.middlebox.chain import Path
from tioption.network import Tun

_BATCH: Final = 64
"""Packets read from one device before the other has its turn."""
_QUIET_NS: Final = 1_000_000
"""How long nothing must come for boxes to hand on what they hold back."""


class Counts:
    """What a run of a path has seen."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.entered: dict[Way, int] = {"ab": 0, "ba": 0}
        self.arrived: dict[Way, int] = {"ab": 0, "ba": 0}
        self.overflow = 0
        """Packets dropped because too many were on their way."""


def run(path: Path, a: Tun, b: Tun, stop: int, *, most: int = 10_000) -> Counts:
    """Carry packets between the devices of A's side and of B's until the descriptor `stop` can be read.

    At most `most` packets are on their way at a time; more are dropped, as a full queue does.
    """
    counts = Counts()
    devices: dict[int, tuple[Tun, Way]] = {a.fileno(): (a, "ab"), b.fileno(): (b, "ba")}
    holding = False
    """Whether something has moved since boxes were last asked for what they hold back."""
    while True:
        ready, _, _ = select.select([stop, *devices], [], [], _patience(path, holding=holding))
        if stop in ready:
            return counts
        for descriptor in ready:
            device, way = devices[descriptor]
            for _ in range(_BATCH):
                packet = device.read()
                if packet is None:
                    break
                counts.entered[way] += 1
                if len(path) < most:
                    path.enter(packet, way, time.monotonic_ns())
                else:
                    counts.overflow += 1
        now = time.monotonic_ns()
        if holding and not ready and not _due(path, now):
            path.flush(now)
        holding = bool(ready) or _due(path, now)
        for arrival in path.advance(now):
            counts.arrived[arrival.way] += (b if arrival.way == "ab" else a).write(arrival.packet)


def _due(path: Path, now_ns: int) -> bool:
    """Whether a packet has reached the next box or the end by now."""
    return path.next_time is not None and path.next_time <= now_ns


def _patience(path: Path, *, holding: bool) -> float | None:
    """Seconds until something is to be done even if nothing comes; None where there is nothing."""
    due = path.next_time
    waits = [max(0, due - time.monotonic_ns())] if due is not None else []
    if holding:
        waits.append(_QUIET_NS)
    return min(waits) / 1e9 if waits else None
