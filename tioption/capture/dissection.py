"""The frame under dissection: what every layer needs to know of it and where its findings go.

A layer is a function `layer(frame, at, end, wire_end)`: its header begins at octet `at`; octets before `end` were
captured and belong to it; `wire_end` is where it ended on the wire, beyond `end` where the snapshot length cut it. It
calls the next layer, or `frame.leave(reason)` where it cannot go on; what is simply not TCP ends without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from tioption.capture.segment import CutSegment, Segment
from tioption.capture.selection import Selector
from tioption.capture.undecoded import UndecodedCounter

MAX_ENCAPSULATIONS: Final = 16
"""IP headers and Ethernet headers inside each other before a frame is taken for nonsense."""

_TCP: Final = Struct(">HHIIHH").unpack_from


class Dissection:
    """One frame at a time: its octets, the segments found in it, and the count of what could not be decoded."""

    __slots__ = ("_depth", "_selector", "cuts", "data", "number", "segments", "time_ns", "undecoded")

    def __init__(self, undecoded: UndecodedCounter, selector: Selector | None = None) -> None:
        """Count into `undecoded`; keep the segments that `selector` wants, by default all."""
        self.undecoded = undecoded
        self._selector = selector if selector is not None and not selector.every else None
        self._depth = 0
        self.number = 0
        self.time_ns: int | None = None
        self.data = b""
        self.segments: list[Segment | CutSegment] = []
        self.cuts: list[tuple[int, int]] = []  # where each CutSegment begins and its octets on the wire

    def begin(self, number: int, time_ns: int | None, data: bytes) -> None:
        """Take the next frame."""
        self.number = number
        self.time_ns = time_ns
        self.data = data
        self._depth = 0
        self.segments = []
        self.cuts = []

    def leave(self, reason: str) -> None:
        """Count the frame as not decoded, for a reason in words."""
        self.undecoded.add(reason, self.number)

    def enter(self) -> bool:
        """Note one more encapsulation; False, and the frame is left, where there are too many."""
        self._depth += 1
        if self._depth > MAX_ENCAPSULATIONS:
            self.leave(f"more than {MAX_ENCAPSULATIONS} headers of encapsulation")
            return False
        return True

    def has(self, at: int, octets: int, end: int, what: str) -> bool:
        """Whether `octets` at `at` were captured; where not, the frame is left with its `what` cut."""
        if at + octets <= end:
            return True
        self.leave(f"{what} cut short")
        return False

    def tcp(self, at: int, end: int, wire_end: int, src: bytes, dst: bytes) -> None:
        """Keep the segment at `at` (RFC 9293 §3.1)."""
        data = self.data
        if end - at < 20:
            if end - at < 4:
                self.leave("TCP header cut before its ports")
            elif self._selector is None:
                self.cuts.append((at, wire_end - at))
                self.segments.append(CutSegment(self.number, self.time_ns, src, dst, data[at:end]))
            return
        sport, dport, seq, ack, offset_and_flags, window = _TCP(data, at)
        header_length = offset_and_flags >> 12 << 2
        flags = offset_and_flags & 0x1FF
        selector = self._selector
        if selector and not selector.wants(data, at, end, (sport, dport), (seq, ack), header_length, flags):
            return
        self.segments.append(
            Segment(
                self.number,
                self.time_ns,
                data,
                at,
                end,
                wire_end - at,
                src,
                dst,
                sport,
                dport,
                seq,
                ack,
                header_length,
                flags,
                window,
            )
        )


Layer = Callable[[Dissection, int, int, int], None]
"""A layer's function: dissection, start, end of what was captured, end on the wire."""
