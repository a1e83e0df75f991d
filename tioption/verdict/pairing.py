"""What two captures have in common: their connections in pairs, and within a pair the segments seen at both points.

Everything is paired by the strongest likeness that holds, and in capture order where several are alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Final, Generic, NamedTuple, TypeVar

from tioption.capture.segment import ACK, SYN
from tioption.flow import Direction, Peer
from tioption.option import Tifid, Variant
from tioption.seq import SEQ32
from tioption.verdict.capture_point import Passage, Sighting

_T = TypeVar("_T")
_Key = Callable[[_T], Hashable | None]

_PATHS_OWN: Final = 0x1C0
"""ECE, CWR and AE: routers and hosts on the way set and clear them."""


class Pairs(NamedTuple, Generic[_T]):
    """What was paired, and what is left at either point, in order."""

    both: list[tuple[_T, _T]]
    first: list[_T]
    second: list[_T]


def pair_up(first: Sequence[_T], second: Sequence[_T], keys: Iterable[_Key[_T]]) -> Pairs[_T]:
    """Pair what has an equal key, the first of `keys` before the next; a key of None is like nothing else."""
    pairs: list[tuple[_T, _T]] = []
    left, right = list(first), list(second)
    for key in keys:
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for at, one in enumerate(right):
            likeness = key(one)
            if likeness is not None:
                waiting[likeness].append(at)
        taken: set[int] = set()
        rest = []
        for one in left:
            queue = waiting.get(key(one))  # None is never a key of it
            if queue:
                at = queue.popleft()
                taken.add(at)
                pairs.append((one, right[at]))
            else:
                rest.append(one)
        left, right = rest, [one for at, one in enumerate(right) if at not in taken]
    return Pairs(pairs, left, right)


# Connections.


class _Likeness:
    """What a connection can be known by at another point."""

    def __init__(self, sighting: Sighting) -> None:
        connection = sighting.connection
        self.sighting = sighting
        self.name: tuple[Variant, Tifid] | None = sighting.name
        offer = sighting.offer
        self.first_half = (offer[0], offer[1].first) if offer is not None else None
        self.peers: tuple[Peer, ...] = tuple(sorted((connection.client, connection.server)))
        self.isn = connection.forward.isn
        self.server_isn = connection.reverse.isn
        payloads = [
            next((one.payload for one in sighting.passages(forward=forward) if one.payload), b"")
            for forward in (True, False)
        ]
        self.payloads = tuple(payloads) if any(payloads) else None


def _all(*values: Hashable) -> Hashable | None:
    return None if None in values else values


_CONNECTION_KEYS: Final[tuple[_Key[_Likeness], ...]] = (
    # The flow's name; of its transports the one with the same ISN or ports, else in their order. Before the name alone
    # comes what no two connections share, for a path that alters names might give one that of another.
    lambda one: _all(one.name, one.isn, one.peers),
    lambda one: _all(one.peers, one.isn),
    lambda one: _all(one.name, one.isn),
    lambda one: _all(one.name, one.peers),
    lambda one: one.name,
    # What the SYN offered, where the answer's option did not get through.
    lambda one: _all(one.first_half, one.isn),
    lambda one: _all(one.first_half, one.peers),
    lambda one: one.first_half,
    # No option at one point at least.
    lambda one: _all(one.peers, one.server_isn),
    lambda one: _all(one.peers, one.payloads),
    lambda one: one.peers,
    # Translated addresses and no option.
    lambda one: one.isn,
    lambda one: one.payloads,
)


def pair_connections(first: Iterable[Sighting], second: Iterable[Sighting]) -> Pairs[Sighting]:
    """The connections of two captures, those seen at both points in pairs."""
    found = pair_up([_Likeness(one) for one in first], [_Likeness(one) for one in second], _CONNECTION_KEYS)
    return Pairs(
        [(one.sighting, other.sighting) for one, other in found.both],
        [one.sighting for one in found.first],
        [one.sighting for one in found.second],
    )


# Segments of a pair of connections.


class Placed(NamedTuple):
    """A passage with its numbers relative to the ISNs of its point."""

    passage: Passage
    seq: int
    ack: int | None
    """None where the segment acknowledges nothing."""

    @property
    def flags(self) -> int:
        """The flags that a path leaves as they are."""
        return self.passage.flags & ~_PATHS_OWN

    @property
    def end(self) -> int:
        """The relative number after its last octet of payload, which may exceed 2^32."""
        return self.seq + self.passage.payload_length


def _core(one: Placed) -> tuple[Hashable, ...]:
    return one.seq, one.ack, one.flags, one.passage.payload_length


_SEGMENT_KEYS: Final[tuple[_Key[Placed], ...]] = (
    lambda one: (*_core(one), one.passage.payload, one.passage.area),
    lambda one: (*_core(one), one.passage.payload, one.passage.timestamps),
    lambda one: (*_core(one), one.passage.payload),
    _core,
)


class Bases(NamedTuple):
    """The numbers from which a direction is counted at two points: its ISNs where both are known, else zero."""

    first: int
    second: int

    @classmethod
    def of(cls, first: Direction, second: Direction) -> Bases:
        """The bases of one direction as seen at two points."""
        return cls(0, 0) if first.isn is None or second.isn is None else cls(first.isn, second.isn)


class Pieces(NamedTuple):
    """A segment with a flow option whose payload is that of several at the other point."""

    whole: Placed
    parts: list[Placed]
    cut: bool
    """Whether the whole is what was sent: it was cut, else its parts were joined."""


def pair_segments(
    first: list[Passage], second: list[Passage], own: Bases, other: Bases
) -> tuple[Pairs[Placed], list[Pieces]]:
    """One direction at two points: segments in pairs and left over, and those cut in pieces or joined on the way.

    `own` are the direction's bases, `other` those of the one it acknowledges. Of a segment that is several at the other
    point the whole comes with its pieces; neither is left over, nor is payload that was merely divided differently.
    """
    found = pair_up(
        [_placed(one, own.first, other.first) for one in first],
        [_placed(one, own.second, other.second) for one in second],
        _SEGMENT_KEYS,
    )
    pieces = [
        *_pieces(found.first, found.second, cut=True),
        *_pieces(found.second, found.first, cut=False),
    ]
    rest = Pairs(found.both, _uncovered(found.first, found.second), _uncovered(found.second, found.first))
    return rest, pieces


def _placed(passage: Passage, own: int, other: int) -> Placed:
    ack = SEQ32.add(passage.ack, -other) if passage.flags & ACK else None
    return Placed(passage, SEQ32.add(passage.seq, -own), ack)


def _pieces(wholes: list[Placed], parts: list[Placed], *, cut: bool) -> Iterable[Pieces]:
    """The segments with a flow option among `wholes` whose payload is that of several of `parts`."""
    for whole in wholes:
        if not whole.passage.flows or whole.passage.flags & SYN or not whole.passage.payload_length:
            continue
        inside = [one for one in parts if one.passage.payload_length and whole.seq <= one.seq and one.end <= whole.end]
        inside.sort(key=lambda one: one.seq)
        if (
            len(inside) > 1
            and (inside[0].seq, inside[-1].end) == (whole.seq, whole.end)
            and all(one.end == after.seq for one, after in pairwise(inside))
        ):
            yield Pieces(whole, inside, cut)


def _uncovered(left: list[Placed], other: list[Placed]) -> list[Placed]:
    """What is left at one point and whose payload is not among what is left at the other, however divided."""
    merged: list[list[int]] = []
    for seq, end in sorted((one.seq, one.end) for one in other if one.passage.payload_length):
        if merged and seq <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([seq, end])
    if not merged:
        return left
    return [one for one in left if not one.passage.payload_length or not _within(one, merged)]


def _within(one: Placed, merged: list[list[int]]) -> bool:
    at = bisect_right(merged, one.seq, key=lambda stretch: stretch[0]) - 1
    return at >= 0 and one.end <= merged[at][1]
