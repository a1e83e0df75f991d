"""TI-flows from connections: which transports carry one flow, and where in its streams each of them stands.

A flow is known by its variant and its complete TIFID (CTL-02, RES-03). A transport's anchors say which position of each
stream its ISN+1 stands for (MAP-03); from them every octet of the transport has a position.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tioption.capture.segment import Segment
from tioption.flow.connection import Connection
from tioption.flow.direction import Direction
from tioption.option import FlowOption, Tifid, Variant
from tioption.seq import SEQ48

_LIVELY: Final = 8
"""The latest transports, on any of which something may still be heard; older ones no longer change."""


class FlowKey(NamedTuple):
    """What names a flow: identifier spaces are separate per variant (CTL-02)."""

    variant: Variant
    tifid: Tifid


class Anchors(NamedTuple):
    """Positions that ISN+1 of each direction of a transport stands for, 48 bits each."""

    forward: int
    reverse: int


def anchors(syn_ack: FlowOption, ack: FlowOption | None = None) -> Anchors:
    """The anchors of a transport from the options of its handshake (R1, MAP-03).

    Each direction begins at the last TISeq its sender gave; where the third ACK is lost, the client's is what the
    server expects of it.
    """
    return Anchors(ack.tiseq if ack is not None else syn_ack.tiack, syn_ack.tiseq)


class Transport(NamedTuple):
    """One connection of a flow and its place in it."""

    connection: Connection
    anchors: Anchors
    """Of the streams of the flow: forward is that of the host that opened it."""
    turned: bool = False
    """Whether the host that had answered opened this transport (RES-18)."""

    def place(self, *, forward: bool) -> Direction:
        """The direction of the connection that carries this stream of the flow."""
        return self.connection.forward if forward is not self.turned else self.connection.reverse

    def position(self, segment: Segment) -> int:
        """The position of a segment's first octet of payload, 48 bits (MAP-01)."""
        own, _ = self.connection.directions(segment)
        anchor = self.anchors.forward if own is self.place(forward=True) else self.anchors.reverse
        return SEQ48.add(anchor, own.place(segment.seq))


class Positions(NamedTuple):
    """Where one stream of a flow stands, in octets since its initial position; counts do not wrap."""

    sent: int
    acked: int
    fin: int | None = None
    """Where the stream ended, None as long as it has not."""
    origin: int = 0
    """The initial position, 48 bits."""

    def count(self, position: int) -> int:
        """The octets of the stream before a position of 48 bits, taken nearest to what was sent (MAP-07)."""
        return SEQ48.unwrap(position - self.origin, self.sent)


class TiFlow:
    """One TI-flow as a capture shows it: its transports in order, and how far both streams have come over them."""

    def __init__(self, key: FlowKey) -> None:
        """A flow without transports."""
        self.key = key
        self.transports: list[Transport] = []
        self._origins: Anchors | None = None
        # Per direction: transports taken in for good, and what they reached.
        self._settled: dict[bool, tuple[int, Positions | None]] = {True: (0, None), False: (0, None)}

    @property
    def from_start(self) -> bool:
        """Whether the capture has the flow since its first SYN: only then do positions judge anybody."""
        return bool(self.transports) and self._origins is not None and self.transports[0].connection.from_start

    def begin(self, transport: Transport) -> None:
        """Add the transport on which the flow was established: its anchors are the initial positions."""
        self._origins = transport.anchors
        self.transports.append(transport)

    def resume(self, transport: Transport) -> None:
        """Add a transport that carries the flow on."""
        self.transports.append(transport)

    def __iter__(self) -> Iterator[Transport]:
        return iter(self.transports)

    @property
    def forward(self) -> Positions:
        """The stream of the host that opened the flow."""
        return self._positions(forward=True)

    @property
    def reverse(self) -> Positions:
        """The stream of the host that answered."""
        return self._positions(forward=False)

    def _positions(self, *, forward: bool) -> Positions:
        """The furthest octets over all transports, each counted from the stream's origin."""
        done, reached = self._settled[forward]
        if reached is None:
            if not self.transports:
                return Positions(0, 0)
            initial = self._origins or self.transports[0].anchors
            reached = Positions(0, 0, None, initial.forward if forward else initial.reverse)
        for number, transport in enumerate(self.transports[done:], done + 1):
            direction, at = transport.place(forward=forward), transport.anchors
            anchor = at.forward if forward else at.reverse
            # A transport begins near where the last one ended, so the nearest count is the right one (MAP-07).
            count = SEQ48.unwrap(SEQ48.difference(anchor, reached.origin), reached.sent)
            fin = count + direction.fin if direction.fin is not None else reached.fin
            acked = max(reached.acked, count + direction.acked)
            # What was acknowledged was sent, though the capture may have missed it.
            sent = max(reached.sent, count + direction.sent, acked)
            reached = Positions(sent, acked, fin, reached.origin)
            if number <= len(self.transports) - _LIVELY:
                self._settled[forward] = number, reached
        return reached

    def outages(self) -> Iterator[int | None]:
        """Nanoseconds between the last segment of each transport and the first of the next, None without times.

        Negative where the next began while the last one was still heard (RES-10).
        """
        for before, after in zip(self.transports, self.transports[1:], strict=False):
            end, begin = before.connection.last_time_ns, after.connection.first_time_ns
            yield begin - end if begin is not None and end is not None else None
