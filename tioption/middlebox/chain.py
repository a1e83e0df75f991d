"""Several boxes on one path, from A to B: each gets what the one before it lets through, at the time it does.

A packet of the way "ba" passes them in reverse; what a box answers by itself goes on from where the box stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from tioption.middlebox.box import Emitted, Middlebox, Way
from tioption.middlebox.packet import Packet


class Arrival(NamedTuple):
    """A packet that has passed the whole path: the time in nanoseconds, the way it went, its octets."""

    time_ns: int
    way: Way
    packet: bytes
    cause: object
    """What was entered together with the packet because of which it left the last box."""


class _Moving(NamedTuple):
    """A packet on its way, in the order of time, then of making."""

    time_ns: int
    number: int
    way: Way
    place: int
    """How many boxes stand between A and it."""
    packet: bytes
    cause: object


class Path:
    """Boxes with packets between them: everything happens in the order of time, whatever is delayed where.

    Sans-IO: `enter` a packet, then `advance` to a time and get what has arrived until then; `next_time` is when the
    next thing happens.
    """

    def __init__(self, boxes: Sequence[Middlebox]) -> None:
        """Put the boxes in their order from A to B."""
        self.boxes = tuple(boxes)
        self._moving: list[_Moving] = []
        self._number = 0
        self._latest = 0
        """When a packet last reached a box."""

    def __len__(self) -> int:
        """How many packets are on their way."""
        return len(self._moving)

    @property
    def next_time(self) -> int | None:
        """When the next packet reaches a box or a host; None where none is on its way."""
        return self._moving[0].time_ns if self._moving else None

    def enter(self, packet: bytes, way: Way, now_ns: int, cause: object = None) -> None:
        """Let a host send a packet: A on the way "ab", B on the way "ba"."""
        self._push(packet, way, 0 if way == "ab" else len(self.boxes), now_ns, cause)

    def _push(self, packet: bytes, way: Way, place: int, time_ns: int, cause: object) -> None:
        self._number += 1
        heappush(self._moving, _Moving(time_ns, self._number, way, place, packet, cause))

    def advance(self, until_ns: int | None = None) -> list[Arrival]:
        """Let time pass (None: until nothing is on its way) and return what has arrived at either host, in order."""
        arrived = []
        while self._moving and (until_ns is None or self._moving[0].time_ns <= until_ns):
            time_ns, _, way, place, packet, cause = heappop(self._moving)
            at = place if way == "ab" else place - 1
            if not 0 <= at < len(self.boxes):
                arrived.append(Arrival(time_ns, way, packet, cause))
                continue
            self._latest = max(self._latest, time_ns)
            self._leave(self.boxes[at].process(packet, way, time_ns), at, time_ns, cause)
        return arrived

    def flush(self, now_ns: int) -> bool:
        """Let every box hand on what it holds back; whether any did, and a box further on may hold it now."""
        before, now_ns = self._number, max(now_ns, self._latest)
        for at, box in enumerate(self.boxes):
            self._leave(box.flush(now_ns), at, now_ns, None)
        return self._number > before

    def _leave(self, emitted: Iterable[Emitted], at: int, now_ns: int, cause: object) -> None:
        for delay, way, packet in emitted:
            self._push(packet, way, at + 1 if way == "ab" else at, now_ns + delay, cause)

    def as_answer(self, packet: bytes, way: Way) -> bytes:
        """A recorded packet as its sender would have sent it behind this path (`Middlebox.as_answer`)."""
        segment = Packet.parse(packet)
        if segment is None or not self.boxes:
            return packet
        before = segment.ack, segment.options, segment.ends
        names = [segment.ends]
        for box in self.boxes:
            names.append(box.renamed(names[-1], way))
        known = list(zip(self.boxes, names, strict=False))
        # What the sender knows of the other host has passed the boxes from there to here.
        for box, ends in reversed(known) if way == "ab" else known:
            box.as_answer(segment, way, ends)
        if way == "ba":
            segment.ends = names[-1]
        return packet if before == (segment.ack, segment.options, segment.ends) else segment.encode()


class Chain(Middlebox):
    """Several boxes as one: a packet goes through all of them at once, and what is delayed is so on leaving.

    Each box is told the time at which a packet would reach it; where a box delays packets unevenly, those behind it
    see them in the order they were sent. `Path` keeps the order of time instead.
    """

    def __init__(self, boxes: Sequence[Middlebox]) -> None:
        """Put the boxes in their order from A to B."""
        self._path = Path(boxes)

    @property
    def boxes(self) -> tuple[Middlebox, ...]:
        """The boxes, the one next to A first."""
        return self._path.boxes

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """What leaves the chain at either end because this packet came in."""
        self._path.enter(packet, way, now_ns)
        return self._arrived(now_ns)

    def flush(self, now_ns: int) -> list[Emitted]:
        """What any of the boxes still holds back, after it has passed the others."""
        left: list[Emitted] = []
        while self._path.flush(now_ns):
            left += self._arrived(now_ns)
        return left

    def _arrived(self, now_ns: int) -> list[Emitted]:
        return [Emitted(time_ns - now_ns, way, packet) for time_ns, way, packet, _ in self._path.advance()]
