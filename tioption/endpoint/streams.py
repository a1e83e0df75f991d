"""The two streams of an application, as they outlive transports: what must be retained, what waits to be read.

Places are octets since the beginning of the stream, in counts that do not wrap; whoever sends or receives on a
transport maps them (MAP-01, MAP-03).
"""

from __future__ import annotations


class SendStream:
    """What the application has written: unacknowledged octets stay until some transport has them acknowledged."""

    __slots__ = ("_octets", "acked", "capacity", "closed", "finished", "sent")

    def __init__(self, capacity: int) -> None:
        """Retain at most `capacity` octets."""
        self.capacity = capacity
        self.acked = 0
        """Place up to which the other side has the stream (UNA)."""
        self.sent = 0
        """Place after the last octet sent on any transport (NXT)."""
        self.closed = False
        """Whether the application has ended the stream."""
        self.finished = False
        """Whether the other side has the end of it, too."""
        self._octets = bytearray()

    @property
    def end(self) -> int:
        """Place after the last octet written."""
        return self.acked + len(self._octets)

    @property
    def retained(self) -> int:
        """Octets kept because nobody has acknowledged them."""
        return len(self._octets)

    @property
    def room(self) -> int:
        """Octets that can be written now."""
        return max(0, self.capacity - len(self._octets))

    def write(self, octets: bytes) -> int:
        """Take as many octets as there is room for, and say how many; raises ValueError once the stream is closed."""
        if self.closed:
            raise ValueError("expected an open stream, found one that was closed for writing")
        taken = octets[: self.room]
        self._octets += taken
        return len(taken)

    def read(self, place: int, octets: int) -> bytes:
        """The octets at a place that is not acknowledged yet, fewer at the end of what was written."""
        at = place - self.acked
        assert at >= 0, "acknowledged octets are gone"
        return bytes(self._octets[at : at + octets])

    def mark_sent(self, place: int) -> None:
        """The octets before `place` have been sent."""
        self.sent = max(self.sent, place)

    def acknowledge(self, place: int) -> int:
        """The other side has everything before `place`: how many octets that frees."""
        freed = min(place - self.acked, len(self._octets))
        if freed <= 0:
            return 0
        del self._octets[:freed]
        self.acked += freed
        return freed

    def discard(self) -> None:
        """Forget what was written and not sent, for it must not be (CTL-03)."""
        del self._octets[max(0, self.sent - self.acked) :]


class ReceiveStream:
    """What arrived in order and waits to be read."""

    __slots__ = ("_octets", "capacity", "ended", "received")

    def __init__(self, capacity: int) -> None:
        """Keep at most `capacity` octets unread."""
        self.capacity = capacity
        self.received = 0
        """Place of the next octet expected (RCV)."""
        self.ended = False
        """Whether the other side has ended the stream, at `received`."""
        self._octets = bytearray()

    @property
    def unread(self) -> int:
        """Octets that can be read now."""
        return len(self._octets)

    @property
    def limit(self) -> int:
        """Place up to which the other side may send: it never moves back."""
        return self.received - len(self._octets) + self.capacity

    def deliver(self, place: int, octets: bytes) -> int:
        """Take octets that begin at or before the place expected, less those already here (MAP-05, MAP-08).

        Says how many were new. Raises ValueError for octets beyond the end that the stream has (RES-15).
        """
        new = octets[max(0, self.received - place) :]
        if not new:
            return 0
        if self.ended:
            raise ValueError(f"expected no octets beyond the end of the stream at {self.received}, found {len(new)}")
        assert place <= self.received, "octets come in order"
        self._octets += new
        self.received += len(new)
        return len(new)

    def end(self, place: int) -> bool:
        """Learn that the stream ends at a place: whether that is news; raises ValueError for another one (RES-15)."""
        if place != self.received:
            raise ValueError(f"expected the end of the stream at {self.received}, found it at {place}")
        news = not self.ended
        self.ended = True
        return news

    def read(self, octets: int = -1) -> bytes:
        """At most so many of the unread octets (-1: all of them)."""
        if octets < 0 or octets >= len(self._octets):
            taken = bytes(self._octets)
            self._octets.clear()
        else:
            taken = bytes(self._octets[:octets])
            del self._octets[:octets]
        return taken
