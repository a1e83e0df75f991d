"""The octets of one stream of a flow, in order, from segments in any order over any number of transports.

Places are octets since the stream's initial position, in counts that do not wrap; whoever hands in a segment knows its
place by its transport's anchors (MAP-01, MAP-03). What arrives twice is delivered once (MAP-05, MAP-08). What is
contiguous is handed on at once; only what waits for octets before it is kept, and not without bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain
from typing import Final, NamedTuple

WAITING: Final = 1 << 26
"""Octets kept at most while earlier ones are awaited: more than hosts commonly keep of what is out of order."""

_LATE: Final = 1 << 20
"""Octets kept before earlier ones that were acknowledged but not captured are given up: captures reorder, a little."""

_OVERHEAD: Final = 256  # what a piece takes beside its octets


class Gap(NamedTuple):
    """A stretch of the stream that a capture does not have."""

    place: int
    """Octets of the stream before it."""
    octets: int
    cut: bool
    """Whether its segments were captured, but not to their end (snapshot length); else they were not captured."""


class StreamAssembler:
    """Puts one stream together: octets and gaps come out in order, each octet once, the first copy that fits."""

    def __init__(self, waiting: int = WAITING) -> None:
        """Begin at place 0; keep at most about `waiting` octets."""
        self.place = 0
        """Octets of the stream handed on so far, those of gaps included."""
        self.reached = 0
        """Place after the last octet that was captured, sent or acknowledged; an unseen FIN counts as one."""
        self.left_out = 0
        """Octets that were captured and could not have been taken by the receiver, known at the end."""
        self.end_unseen = False
        """Whether a last octet or, more likely, a FIN was acknowledged and not captured, known at the end."""
        self._limit = waiting
        self._end: int | None = None
        self._acked = 0
        self._waiting = 0
        self._pieces: dict[int, tuple[bytes, int]] = {}
        self._starts: list[int] = []
        self._cut_to = 0

    def add(self, place: int, captured: bytes, length: int) -> Iterable[bytes | Gap]:
        """Take a segment's payload of `length` octets, as far as it was captured; what can be handed on now."""
        end = place + length
        self.reached = max(self.reached, end)
        if end < self.place:
            return ()
        if self._pieces or place > self.place:
            self._keep(place, captured, length)
            return chain(self._contiguous(), self._given_up())
        return self._deliver(place, captured, length)

    def end(self, place: int) -> Iterable[bytes | Gap]:
        """Learn that the stream ends at a place (FIN); what can be handed on now."""
        self._end = max(place, self._end or 0)
        return self.add(place, b"", 0)

    def acknowledge(self, place: int) -> None:
        """Learn that the receiver has all octets before `place`: what was not captured will hardly be sent again."""
        if place > self._acked:
            self._acked = place
            self.reached = max(self.reached, place)

    def finish(self, window: int | None = None) -> Iterator[bytes | Gap]:
        """What is left, with the gaps in it and one at the end where octets are known to have been there.

        With `window`, the largest the receiver has advertised in octets, segments that it cannot have taken (beyond
        what it acknowledged and that window) are left out.
        """
        while self._pieces:
            start = self._starts[0]
            if window is not None and start > max(self._acked, self.place) + window:
                self.left_out = sum(len(captured) for captured, _ in self._pieces.values())
                break
            yield from self._skip_to(start)
            yield from self._contiguous()
        known = max(self._acked, self._cut_to)
        if self._end is not None:
            known = min(known, self._end)  # an acknowledgment counts the FIN
        elif known == self.place + 1 > self._cut_to:
            self.end_unseen = True
            return
        yield from self._skip_to(known)

    def _keep(self, place: int, captured: bytes, length: int) -> None:
        before = self._pieces.get(place)
        if before is None:
            heappush(self._starts, place)
            self._waiting += _OVERHEAD
        else:  # of two copies the longer one, and of the stream what either of them was on the wire
            self._waiting -= len(before[0])
            captured, length = max(before[0], captured, key=len), max(before[1], length)
        self._pieces[place] = captured, length
        self._waiting += len(captured)

    def _contiguous(self) -> Iterator[bytes]:
        """Everything kept that the stream has reached."""
        while self._starts and self._starts[0] <= self.place:
            start = heappop(self._starts)
            captured, length = self._pieces.pop(start)
            self._waiting -= len(captured) + _OVERHEAD
            yield from self._deliver(start, captured, length)

    def _deliver(self, start: int, captured: bytes, length: int) -> tuple[bytes, ...]:
        """What a piece that begins at or before the stream's place adds to it."""
        if length > len(captured):
            self._cut_to = max(self._cut_to, start + length)
        fresh = captured[self.place - start :] if start < self.place else captured
        self.place += len(fresh)
        return (fresh,) if fresh else ()

    def _given_up(self) -> Iterator[bytes | Gap]:
        """Go on behind a gap where waiting for it makes no sense or takes too much."""
        while self._pieces and (
            self._waiting > self._limit or (self._waiting > min(_LATE, self._limit) and self._acked >= self._starts[0])
        ):
            yield from self._skip_to(self._starts[0])
            yield from self._contiguous()

    def _skip_to(self, place: int) -> Iterator[Gap]:
        """The gap up to `place`: first what was captured without its end, then what was not captured."""
        for end, cut in ((min(self._cut_to, place), True), (place, False)):
            if end > self.place:
                yield Gap(self.place, end - self.place, cut)
                self.place = end
