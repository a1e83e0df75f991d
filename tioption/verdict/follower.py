"""One stream of one TI-flow, followed through a capture over every transport that carried it.

Which connections those are is the handshake's decision, as for verdicts: only what it confirms counts, and what a third
ACK that was lost leaves open once data follows (EST-12, RES-07). Connections of other flows cost a look into a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN, Segment
from tioption.flow import Anchors, Connection, ConnectionTable, Direction, FlowKey, Gap, StreamAssembler, Transport
from tioption.handshake import Handshake, State
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, counted_option
from tioption.seq import SEQ48
from tioption.verdict.flow_rules import MOST_WINDOW, transport_anchors
from tioption.verdict.validator import handshake_segment

_CARRYING: Final = frozenset({State.CONFIRMED, State.SETTLED, State.ASKED_AGAIN, State.UNCONFIRMED})
_ANSWERED: Final = frozenset({State.ANSWERED, State.RESUME_ANSWERED})
_MAX_NAMES: Final = 10_000

_Ports = tuple[bytes, int, bytes, int]
"""Source address and port, destination address and port."""


class _Candidate:
    """A connection that may carry the flow, until its handshake decides it."""

    __slots__ = ("connection", "decided", "handshake")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.handshake = Handshake()
        self.decided = False


class _Way(NamedTuple):
    """Where the segments from one side of a transport go."""

    sends: bool
    """Whether that side sends the stream; else it receives and acknowledges it."""
    direction: Direction
    """The direction of the connection that carries the stream."""
    base: int
    """Place in the stream that ISN+1 of that direction stands for."""
    shift: int | None
    """How the receiver scales its windows, None where that was not captured."""


class FlowFollower:
    """Takes the segments of a capture in order and hands on the octets of one stream of one flow."""

    def __init__(self, key: FlowKey, *, opener: bool = True, kinds: Kinds = DEFAULT_KINDS) -> None:
        """Follow the stream of the host that opened the flow, or with `opener` False of the one that answered."""
        self.names: dict[FlowKey, None] = {}
        """The complete names that were seen after a SYN, of this flow and others, up to a bound."""
        self.transports: list[Transport] = []
        self.origin = 0
        """The position that place 0 of the stream stands for, 48 bits; 0 before there is a transport."""
        self.from_start = True
        """Whether the first transport is known to have opened the flow, so that place 0 is its beginning."""
        self.used_again: int | None = None
        """The frame with which another flow of the same name began, which is left out (SEC-02, RES-22)."""
        self._key = key
        self._opener = opener
        self._kinds = kinds
        self._markers = kinds.markers()
        self._stream = StreamAssembler()
        self._table = ConnectionTable()
        self._candidates: dict[int, _Candidate] = {}
        self._watched: set[_Ports] = set()
        self._ways: dict[_Ports, _Way] = {}
        self._window = 0

    @property
    def left_out(self) -> int:
        """Octets captured that their receiver cannot have taken, known at the end."""
        return self._stream.left_out

    @property
    def end_unseen(self) -> bool:
        """Whether a last octet or, more likely, a FIN was acknowledged and not captured, known at the end."""
        return self._stream.end_unseen

    def position(self, place: int) -> int:
        """The position of a place in the stream, 48 bits (MAP-01)."""
        return SEQ48.add(self.origin, place)

    def observe(self, segment: Segment) -> Iterable[bytes | Gap]:
        """Take the next segment; the octets and gaps that can be handed on now."""
        ports = (segment.src, segment.sport, segment.dst, segment.dport)
        way = self._ways.get(ports)
        if way is None or segment.flags & (SYN | FIN | RST):
            way = self._look_closer(ports, segment)
            if way is None or segment.flags & (SYN | RST):
                return ()
        if not way.sends:
            if segment.flags & ACK:
                self._acknowledge(way, segment)
            return ()
        length = segment.payload_length
        if not length and not segment.flags & FIN:
            return ()
        start = way.base + way.direction.place(segment.seq)
        pieces = self._stream.add(start, segment.payload, length)
        if segment.flags & FIN:
            return chain(pieces, self._stream.end(start + length))
        return pieces

    def finish(self) -> Iterator[bytes | Gap]:
        """What is left at the end of the capture."""
        return self._stream.finish(self._window or None)

    def _acknowledge(self, way: _Way, segment: Segment) -> None:
        """Take what the stream's receiver says of it."""
        self._stream.acknowledge(way.base + way.direction.place(segment.ack))
        window = MOST_WINDOW if way.shift is None else segment.window << way.shift
        self._window = max(self._window, window)

    def _look_closer(self, ports: _Ports, segment: Segment) -> _Way | None:
        """Find out whether the connection of a segment carries the flow, and where then the segment goes."""
        option = self._option(segment)
        if ports not in self._watched:
            if option is None or not self._concerns(option):
                return None
            self._watched |= {ports, _opposite(ports)}
        connection = self._table.observe(segment)
        candidate = self._candidates.get(connection.index)
        if candidate is None:
            candidate = self._candidates[connection.index] = _Candidate(connection)
            for stale in (ports, _opposite(ports)):  # of an earlier connection on these ports
                self._ways.pop(stale, None)
        if not candidate.decided and self._carries(candidate, segment, option):
            candidate.decided = True
            self._join(candidate, segment.frame)
        return self._ways.get(ports)

    def _option(self, segment: Segment) -> FlowOption | None:
        """The flow option that counts, None where there is none."""
        area = segment.options
        if not any(marker in area for marker in self._markers):
            return None
        option = counted_option([one for one in segment.walk_options(self._kinds) if one.flow is not None])
        if option is not None and option.tifid.is_complete and segment.flags & ACK and len(self.names) < _MAX_NAMES:
            self.names[FlowKey(option.variant, option.tifid)] = None
        return option

    def _concerns(self, option: FlowOption) -> bool:
        """Whether a connection with this option may carry the flow: a SYN may know only half of its name."""
        variant, tifid = self._key
        return option.variant is variant and option.tifid.first == tifid.first

    def _carries(self, candidate: _Candidate, segment: Segment, option: FlowOption | None) -> bool:
        """Whether the handshake says, with this segment, that the connection is a transport of the flow."""
        handshake, connection = candidate.handshake, candidate.connection
        handshake.observe(handshake_segment(connection, segment, option))
        known = handshake.answer or handshake.confirmation
        if known is None or FlowKey(known.variant, known.tifid) != self._key:
            return False
        if handshake.state in _ANSWERED:  # only a third ACK, though it was not captured, lets an answerer talk
            return bool(segment.payload_length) and not segment.flags & SYN and not connection.is_forward(segment)
        return handshake.state in _CARRYING

    def _join(self, candidate: _Candidate, frame: int) -> None:
        """Add a transport at its place in the stream."""
        connection, handshake = candidate.connection, candidate.handshake
        opened = handshake.offer is not None and not handshake.resumes
        turned = bool(self.transports) and not opened and self._turned(connection)
        at = transport_anchors(handshake)
        transport = Transport(connection, Anchors(at.reverse, at.forward) if turned else at, turned)
        anchor = transport.anchors.forward if self._opener else transport.anchors.reverse
        if not self.transports:
            self.origin, self.from_start = anchor, opened
        elif opened and not self._repeats_the_first(connection):
            self.used_again = self.used_again or frame
            return
        # A transport begins near where the last one ended, so the nearest count is the right one (MAP-07).
        base = SEQ48.unwrap(SEQ48.difference(anchor, self.origin), self._stream.reached)
        self._stream.acknowledge(base)  # the receiver has what lies before (R1)
        self.transports.append(transport)
        direction = transport.place(forward=self._opener)
        receiver = connection.reverse if direction is connection.forward else connection.forward
        shift = None
        if handshake.seen_syn and handshake.seen_answer:
            shift = (receiver.window_scale or 0) if direction.window_scale is not None else 0
        client = (*connection.client, *connection.server)
        forward = direction is connection.forward
        self._ways[client] = _Way(forward, direction, base, shift)
        self._ways[_opposite(client)] = _Way(not forward, direction, base, shift)

    def _turned(self, connection: Connection) -> bool:
        """Whether the host that had answered opened this transport (RES-18)."""
        first = self.transports[0].connection
        return connection.client.address == first.server.address != first.client.address

    def _repeats_the_first(self, connection: Connection) -> bool:
        """Whether an opening is the flow's own, captured twice."""
        first = self.transports[0].connection
        return (first.forward.isn, first.reverse.isn) == (connection.forward.isn, connection.reverse.isn)


def _opposite(ports: _Ports) -> _Ports:
    return (*ports[2:], *ports[:2])
