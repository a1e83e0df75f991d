"""What a middlebox is: packets and times in, packets out, without a clock and without randomness of its own.

The hosts are A and B; "ab" is the way from A to B. What a box does later it says at once, as a delay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from tioption.capture.segment import ACK, SYN
from tioption.middlebox.packet import Ends, Packet

Way = Literal["ab", "ba"]
"""From A to B, or back."""

BACK: Final[dict[Way, Way]] = {"ab": "ba", "ba": "ab"}
"""The other way."""

REMEMBERED: Final = 1 << 16
"""Connections of which a box remembers something; of more it forgets those it has not seen for longest."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Emitted(NamedTuple):
    """A packet that leaves a box: nanoseconds from now, the way it goes on, its octets from the IP header on."""

    delay: int
    way: Way
    packet: bytes


class Middlebox(ABC):
    """What a path does to packets."""

    @abstractmethod
    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """What leaves the box because this raw IPv4 or IPv6 packet came in on this way.

        An answer of the box itself leaves on the other way. What is not TCP, a fragment, or too damaged to tell passes
        untouched.
        """

    def flush(self, now_ns: int) -> list[Emitted]:
        """What the box still holds back, as when nothing more comes."""
        return []

    # Recordings: their hosts know nothing of the box, and repeat each other's numbers and addresses as they were.

    def as_answer(self, segment: Packet, way: Way, ends: Ends) -> None:  # noqa: B027  most boxes translate nothing
        """Change in a recorded segment what its sender would have repeated of the other way behind this box.

        `ends` are the segment's on A's side of the box.
        """

    def renamed(self, ends: Ends, way: Way) -> Ends:
        """How ends on A's side of the box, of a segment on this way, are called on B's side."""
        return ends


class SegmentBox(Middlebox):
    """A middlebox that looks at TCP segments alone."""

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """Hand TCP segments to `on_segment`, let all else pass."""
        segment = Packet.parse(packet)
        if segment is None:
            return [Emitted(0, way, packet)]
        return list(self.on_segment(segment, way, now_ns))

    @abstractmethod
    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterable[Emitted]:
        """What leaves the box because this segment came in."""


class Rewriter(SegmentBox):
    """A middlebox that changes segments and passes every one."""

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Pass the segment, encoded anew where `rewrite` changed it."""
        yield passed(segment, way, changed=self.rewrite(segment, way, now_ns))

    @abstractmethod
    def rewrite(self, segment: Packet, way: Way, now_ns: int) -> bool:
        """Change the segment in place; say whether anything was changed."""


def passed(segment: Packet, way: Way, *, changed: bool = False) -> Emitted:
    """The segment as it goes on at once; one that nobody changed keeps its octets."""
    octets = segment.octets
    return Emitted(0, way, segment.encode() if changed or octets is None else octets)


SEGMENTS: Final = ("all", "syn", "syn-ack", "ack")
"""Names of the segments of a handshake, as parameters have them; `ack` is every segment without SYN."""


def segment_name(segment: Packet) -> str:
    """Which of SEGMENTS it is, by its flags."""
    if segment.flags & SYN:
        return "syn-ack" if segment.flags & ACK else "syn"
    return "ack"


class Memory(Generic[_K, _V]):
    """What a box remembers, bounded: the entries used longest ago are forgotten first."""

    def __init__(self, most: int = REMEMBERED) -> None:
        """Remember nothing yet, and never more than `most` entries."""
        self._most = most
        self._entries: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        """The value of a key, which counts as a use; None where there is none."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def __setitem__(self, key: _K, value: _V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def setdefault(self, key: _K, make: Callable[[], _V]) -> _V:
        """The value of a key, made where there is none."""
        value = self.get(key)
        if value is None:
            value = make()
            self[key] = value
        return value

    def pop(self, key: _K) -> _V | None:
        """Forget a key and return its value, None where there is none."""
        return self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[_K]:
        """The keys, the one used longest ago first."""
        return iter(self._entries)
