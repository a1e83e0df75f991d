"""The joint judgement: segments of several captures in, in one order of time; their connections and flows out."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tioption.capture.batch import Batch
from tioption.capture.ends import ends_of
from tioption.capture.excerpt import Excerpt
from tioption.capture.segment import Segment
from tioption.flow import Peer
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.verdict.joining import ALONE, Seen
from tioption.verdict.ordinary_row import OrdinaryRow, OrdinaryRows
from tioption.verdict.outcome import Verdict
from tioption.verdict.segment import Finding
from tioption.verdict.validator import FlowSummary, Judged, Validator

if TYPE_CHECKING:
    from tioption.verdict.ordinary import QuickValidator

_MOST: Final = 1 << 48


class Piece(NamedTuple):
    """A frame of one of the captures."""

    file: int
    frame: int


class JointConnection(NamedTuple):
    """A connection as the joint judgement sees it."""

    reported: Judged | tuple[OrdinaryRow, OrdinaryRows]
    """An ordinary one is a row among others."""
    transport: int | None
    parts: tuple[tuple[int, Seen], ...]
    """By capture what its own judgement has of it, in the order of time; it begins in the first."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on all of it."""
        if isinstance(self.reported, Judged):
            return self.reported.outcome.verdict
        row, rows = self.reported
        return rows.outcomes[row.code].verdict

    @property
    def findings(self) -> list[Finding]:
        """What is wrong with it, but for what needs all connections of a host."""
        if not isinstance(self.reported, Judged):
            return []
        return [finding for finding in self.reported.findings if finding.rule not in ALONE]


class JointFlow(NamedTuple):
    """A flow, and by capture what its own judgement has of each transport."""

    reported: FlowSummary | tuple[OrdinaryRow, OrdinaryRows]
    begun: tuple[tuple[int, Seen], ...]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong between its transports."""
        return self.reported.entry.findings if isinstance(self.reported, FlowSummary) else []


class _Over(NamedTuple):
    """A connection that the judgement has reported."""

    number: int
    first: int
    ends: bytes
    reported: Judged | tuple[OrdinaryRow, OrdinaryRows]
    transport: int | None


class Joint:
    """Judges segments of several captures, handed in in the order of time."""

    def __init__(
        self,
        known: Mapping[Piece, Seen],
        kinds: Kinds = DEFAULT_KINDS,
        quick: Callable[[Kinds], QuickValidator] | None = None,
    ) -> None:
        """`known` is what the captures' own judgements have, by first frames; `quick` makes the validator in C."""
        self._quick = quick(kinds) if quick is not None else None
        self._validator = self._quick or Validator(kinds)
        self._batch = Batch()
        self._places: array[int] = array("Q")
        self._begins: dict[int, tuple[int, Seen]] = {}
        self._wanted = {piece.file * _MOST + piece.frame: (piece.file, seen) for piece, seen in known.items()}
        self._over: list[_Over] = []
        self._flows: list[FlowSummary | tuple[OrdinaryRow, OrdinaryRows]] = []

    def take(self, file: int, excerpt: Excerpt) -> None:
        """Judge the next segments, of the capture of this number."""
        # The judgement compares frames and names them: they are counted on through all captures.
        batch, first = self._batch, len(self._places) + 1
        places = [file * _MOST + frame for frame in excerpt.frames()]
        self._places.extend(places)
        for place in self._wanted.keys() & places:
            self._begins[first + places.index(place)] = self._wanted.pop(place)
        excerpt.fill(batch, first)
        if self._quick is not None:
            self._collect(self._quick.take(batch))
        else:
            for segment in batch.segments():
                assert isinstance(segment, Segment)
                self._validator.observe(segment)
                self._collect(self._validator.due())

    def _collect(self, reported: Iterable[Any]) -> None:
        for one in reported:
            if isinstance(one, Judged):
                connection = one.connection
                ends, transport = ends_of(connection.client, connection.server), self._validator.transport(one)
                self._over.append(_Over(connection.index, connection.first_frame, ends, one, transport))
            elif isinstance(one, FlowSummary):
                self._flows.append(one)
            elif one.flows:
                self._flows += ((row, one) for row in one.rows())
            else:
                self._over += (_ordinary(row, one) for row in one.rows())

    def finish(self) -> tuple[list[JointConnection], list[JointFlow]]:
        """All connections, and all flows of which every transport is known; there are no more segments."""
        self._collect(self._quick.rest() if self._quick is not None else self._validator.rest())
        parts = self._parts()
        connections = [
            JointConnection(one.reported, one.transport, tuple(parts[one.number]))
            for one in self._over
            if one.number in parts
        ]
        flows = []
        for reported in self._flows:
            indexes = reported.transports if isinstance(reported, FlowSummary) else (reported[0].connection,)
            if all(index in parts for index in indexes):
                flows.append(JointFlow(reported, tuple(parts[index][0] for index in indexes)))
        return connections, flows

    def _parts(self) -> dict[int, list[tuple[int, Seen]]]:
        """By the index of a connection what the captures have of it, where its beginning is known."""
        by_ends: dict[bytes, list[_Over]] = defaultdict(list)
        for one in sorted(self._over, key=lambda one: one.first):
            by_ends[one.ends].append(one)
        parts: dict[int, list[tuple[int, Seen]]] = {}
        for number, (file, seen) in sorted(self._begins.items(), key=lambda item: item[0]):
            there = by_ends[seen.ends]
            place = bisect_right(there, number, key=lambda one: one.first) - 1
            if place < 0:
                continue
            one = there[place]
            if one.first == number:
                parts[one.number] = [(file, seen)]
            elif one.number in parts:
                parts[one.number].append((file, seen))
        return parts

    def place(self, frame: int) -> Piece:
        """The capture, and the frame there, of a frame that a finding or a reconnect names."""
        return Piece(*divmod(self._places[frame - 1], _MOST))


def _ordinary(row: OrdinaryRow, rows: OrdinaryRows) -> _Over:
    client = Peer(row.client[: row.address], row.client_port)
    server = Peer(row.server[: row.address], row.server_port)
    return _Over(row.connection, row.first_frame, ends_of(client, server), (row, rows), 1 if row.flow else None)
