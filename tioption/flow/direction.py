"""One direction of a TCP connection: how far its sender has come, how far the other side has confirmed it.

Places are octets of the stream since ISN+1, in 64-bit counts that do not wrap; SYN and FIN are not octets (MAP-01,
MAP-07). Where a capture begins after the SYN, the first place seen is 0 and `from_start` is False.
"""

from __future__ import annotations

from tioption.capture.segment import ACK, FIN, SYN, Segment
from tioption.seq import SEQ32, Unwrapper

_WINDOW_SCALE = 3


class Direction:
    """What one side of a connection has sent, and what the other side has acknowledged of it."""

    __slots__ = ("_places", "acked", "fin", "from_start", "isn", "segments", "sent", "window", "window_scale")

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self.isn: int | None = None
        self.from_start = False
        self.segments = 0
        self.sent = 0
        """Place after the last octet sent so far."""
        self.acked = 0
        """Place up to which the other side has acknowledged; never counts the FIN."""
        self.fin: int | None = None
        """Place of the FIN, None as long as there was none."""
        self.window = 0
        """Largest window this side has advertised, in octets."""
        self.window_scale: int | None = None
        self._places: Unwrapper | None = None

    @property
    def seen(self) -> bool:
        """Whether any segment of this direction was captured."""
        return self.segments > 0

    @property
    def finished(self) -> bool:
        """Whether the sender has ended its stream and the other side has all of it."""
        return self.fin is not None and self.acked >= self.fin

    def place(self, seq: int) -> int:
        """The place of a sequence number; the first number asked for is place 0 where the SYN was not seen."""
        if self._places is None:
            self._places = Unwrapper(SEQ32, seq)
        return self._places.count(seq)

    def begin(self, isn: int) -> None:
        """Learn the initial sequence number, from a SYN or from the acknowledgment of one."""
        self.isn = isn
        self.from_start = True
        self._places = Unwrapper(SEQ32, SEQ32.add(isn, 1))

    def observe(self, segment: Segment, other: Direction) -> None:
        """Take in a segment this side has sent; `other` is the direction it acknowledges."""
        self.segments += 1
        if segment.flags & SYN:
            self._observe_syn(segment)
        scale = self.window_scale if self.window_scale and other.window_scale is not None else 0
        self.window = max(self.window, segment.window << (0 if segment.flags & SYN else scale))
        if segment.flags & ACK:
            self._observe_ack(segment, other)
        length = segment.payload_length
        if length or segment.flags & FIN:
            start = self.place(SEQ32.add(segment.seq, bool(segment.flags & SYN)))
            self.sent = max(self.sent, start + length)
            if segment.flags & FIN:
                self.fin = start + length

    def _observe_syn(self, segment: Segment) -> None:
        if self.isn is None:
            self.begin(segment.seq)
        for option in segment.walk_options():
            if option.kind == _WINDOW_SCALE and len(option.octets) == 3:
                self.window_scale = min(option.octets[2], 14)  # RFC 7323 §2.3

    @staticmethod
    def _observe_ack(segment: Segment, other: Direction) -> None:
        if segment.flags & SYN and other.isn is None:
            other.begin(SEQ32.add(segment.ack, -1))  # a SYN-ACK tells the ISN of a SYN that was not captured
        place = other.place(segment.ack)
        if other.fin is not None and place > other.fin:
            place = other.fin
        other.acked = max(other.acked, place)
