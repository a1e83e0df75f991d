"""The same traffic at two points: what was changed between them, and what either side must therefore believe.

What a sender's own point shows is what it sent; what the other point shows is what arrived (MBX-01, 02, 03, 05).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from socket import AF_INET, AF_INET6, inet_ntop
from typing import NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.flow import Direction, Peer
from tioption.option import FlowOption, TcpOption, Tifid, Variant
from tioption.rules import Severity, severity_of
from tioption.seq import SEQ32
from tioption.verdict.capture_point import CapturePoint, Passage, Sighting
from tioption.verdict.pairing import Bases, Placed, pair_connections, pair_segments

_EOL, _NOP = 0, 1


class Change(NamedTuple):
    """Something that differs between the points; `expected` is what was sent, `found` what arrived.

    `rule` and `severity` are None where no rule is about it, a frame is None where the point has none to show.
    """

    what: str
    rule: str | None
    severity: Severity | None
    client_frame: int | None
    server_frame: int | None
    expected: str
    found: str
    text: str


class Comparison(NamedTuple):
    """A connection at both points; one that was seen at a single point is None at the other."""

    client: Sighting | None
    server: Sighting | None
    changes: tuple[Change, ...]
    lost: tuple[int, int]
    """Segments seen at their sender's point alone, by direction: from the client's point to the server's, and back."""

    @property
    def flow(self) -> tuple[Variant, Tifid] | None:
        """Variant and TIFID as complete as either point has it, None where neither has an option."""
        sides = [side for side in (self.client, self.server) if side is not None]
        names = [*(side.name for side in sides), *(side.offer for side in sides)]
        return next((name for name in names if name is not None), None)


def compare(client: CapturePoint, server: CapturePoint) -> list[Comparison]:
    """The connections of two captures in pairs, in the order of the client's, then those the server's alone has."""
    found = pair_connections(client.sightings.values(), server.sightings.values())
    compared, beyond = [], set()
    for one, other in found.both:
        turned = _turned(one, other)
        for sighting in (one, other):
            connection = sighting.connection
            beyond.add((connection.client if turned else connection.server).address)
        compared.append(_compared(one, other, turned=turned))
    compared += [_compared(one, None, turned=one.connection.client.address in beyond) for one in found.first]
    compared.sort(key=lambda one: one.client.connection.index if one.client is not None else 0)
    alone = [_compared(None, one, turned=one.connection.client.address in beyond) for one in found.second]
    return compared + alone


def _turned(client: Sighting, server: Sighting) -> bool:
    """Whether the host at the server's point opened the connection (RES-18): then its answer took longer there."""
    here, there = client.answer_time, server.answer_time
    return not _crossed(client, server) and here is not None and there is not None and here < there


def _crossed(client: Sighting, server: Sighting) -> bool:
    """Whether each point saw another host speak first: crossing SYNs, or captures that began in the middle."""
    one, other = client.connection, server.connection
    return one.client != one.server and (one.client, one.server) == (other.server, other.client)


class _View:
    """One direction of a connection as one point has it; empty where the point has not seen the connection."""

    def __init__(self, sighting: Sighting | None, *, forward: bool) -> None:
        self.passages: list[Passage] = []
        self.direction = Direction()
        self.source: Peer | None = None
        if sighting is not None:
            connection = sighting.connection
            self.passages = sighting.passages(forward=forward)
            self.direction = connection.forward if forward else connection.reverse
            self.source = connection.client if forward else connection.server


def _compared(client: Sighting | None, server: Sighting | None, *, turned: bool) -> Comparison:
    """What became of both directions of a connection; `turned` as in `_turned`."""
    crossed = client is not None and server is not None and _crossed(client, server)
    here, there = (
        {outward: _View(side, forward=(outward is not turned) is not swapped) for outward in (True, False)}
        for side, swapped in ((client, False), (server, crossed))
    )
    changes: list[Change] = []
    lost = []
    for outward in (True, False):
        way = _Way(outward=outward, opener=outward is not turned)
        own, other = (here, there) if outward else (there, here)
        count, found = way.compared((own[outward], other[outward]), (own[not outward], other[not outward]))
        lost.append(count)
        changes += found
    changes.sort(key=lambda change: (change.client_frame is None, change.client_frame or change.server_frame or 0))
    return Comparison(client, server, tuple(changes), (lost[0], lost[1]))


class _Way(NamedTuple):
    """One direction between the points: away from the client's or towards it, and whether the opener sends in it."""

    outward: bool
    opener: bool

    def compared(self, own: tuple[_View, _View], other: tuple[_View, _View]) -> tuple[int, Iterable[Change]]:
        """How many segments were lost, and what else was changed, of the direction `own`.

        Of both directions the view at this one's sender comes first, that at its receiver second.
        """
        sent, arrived = own
        bases = Bases.of(sent.direction, arrived.direction)
        acked = Bases.of(other[0].direction, other[1].direction)
        rest, pieces = pair_segments(sent.passages, arrived.passages, bases, acked)
        both = sorted(rest.both, key=lambda pair: pair[0].passage.frame)
        changes = [
            *self._translated(sent, arrived),
            *self._rewritten(bases, both),
            *(change for one, copy in both for change in self._on_segment(one.passage, copy.passage)),
            *(change for whole, parts, cut in pieces for change in self._on_pieces(whole, parts, cut=cut)),
            *self._added(rest.second, seen=sent.source is not None),
        ]
        return len(rest.first), changes

    def _change(
        self,
        what: str,
        rule: str | None,
        sent: Passage | None,
        arrived: Passage | None,
        text: str,
        expected: str = "",
        found: str = "",
    ) -> Change:
        frames = tuple(one.frame if one is not None else None for one in (sent, arrived))
        client, server = frames if self.outward else frames[::-1]
        return Change(what, rule, severity_of(rule) if rule else None, client, server, expected, found, text)

    # The connection.

    def _translated(self, sent: _View, arrived: _View) -> Iterator[Change]:
        if sent.source is None or arrived.source is None or sent.source == arrived.source:
            return
        first, second = (view.passages[0] if view.passages else None for view in (sent, arrived))
        host = "opener" if self.opener else "answerer"
        text = f"the {host}'s address or port is translated"
        yield self._change("translated", None, first, second, text, _text(sent.source), _text(arrived.source))

    def _rewritten(self, bases: Bases, both: list[tuple[Placed, Placed]]) -> Iterator[Change]:
        """MBX-01: numbers that are the same relative to ISNs that are not."""
        if bases.first == bases.second or not both:
            return
        sent, arrived = (one.passage for one in both[0])
        later = sum(not one.passage.flags & SYN for one, _ in both)
        host, shift = "opener" if self.opener else "answerer", SEQ32.add(bases.second, -bases.first)
        text = f"the {host}'s ISN is rewritten by +{shift}, and {later} later sequence numbers with it"
        yield self._change("isn-rewritten", "MBX-01", sent, arrived, text, str(bases.first), str(bases.second))

    def _added(self, rest: list[Placed], *, seen: bool) -> Iterator[Change]:
        """Segments that their sender's point has not seen."""
        if not rest or not seen:
            return
        first = rest[0].passage
        count = "a segment arrived" if len(rest) == 1 else f"{len(rest)} segments arrived"
        text = f"{count} that the sender's point has not seen; the first: {_name(first)}"
        yield self._change("injected", None, None, first, text, "0", str(len(rest)))

    # One segment.

    def _on_segment(self, sent: Passage, arrived: Passage) -> Iterator[Change]:
        name = _name(sent)
        if not (sent.area_cut or arrived.area_cut):
            for before, after in zip_longest(sent.flows, arrived.flows):
                yield from self._on_option(sent, arrived, before, after)
        if sent.payload != arrived.payload and not (sent.payload_cut or arrived.payload_cut):
            text = f"the payload of the {name} is altered"
            yield self._change("payload-altered", None, sent, arrived, text)

    def _on_option(
        self, sent: Passage, arrived: Passage, before: TcpOption | None, after: TcpOption | None
    ) -> Iterator[Change]:
        name = _name(sent)
        one = before.flow if before is not None else None
        other = after.flow if after is not None else None
        if before is None or one is None:
            text = f"the {name} arrives with a flow option it was not sent with"
            yield self._change("added", None, sent, arrived, text, "", str(other))
        elif other is not None:
            for field, was, became in _differences(one, other):
                text = f"the {field} of the {name} is altered"
                yield self._change("altered", "MBX-05", sent, arrived, text, was, became)
        elif _overwritten(before, sent, arrived):
            text = f"the option of the {name} is overwritten by padding"
            yield self._change("overwritten", "MBX-02", sent, arrived, text, str(one))
        elif (kind := _other_kind(before, arrived)) is not None:
            text = f"the kind of the {name} is altered so that it is no flow option any more"
            yield self._change("altered", "MBX-05", sent, arrived, text, str(before.kind), str(kind))
        elif arrived.damaged and not sent.damaged:
            text = f"the option of the {name} is altered so that it is none any more"
            yield self._change("altered", "MBX-05", sent, arrived, text, str(one))
        else:
            text = f"the option of the {name} is stripped"
            yield self._change("stripped", "MBX-02", sent, arrived, text, str(one))

    def _on_pieces(self, whole: Placed, parts: list[Placed], *, cut: bool) -> Iterator[Change]:
        """MBX-03: the same option on several of the pieces; what the first of them has is compared, too."""
        options = [option.flow for option in whole.passage.flows]
        copies = sum([option.flow for option in part.passage.flows] == options for part in parts)
        sent, arrived = (whole.passage, parts[0].passage) if cut else (parts[0].passage, whole.passage)
        if copies > 1:
            text = (
                f"a segment is split in {len(parts)}, and its option copied"
                if cut
                else f"{len(parts)} segments with the same option are joined"
            )
            expected, found = (1, copies) if cut else (copies, 1)
            yield self._change("split" if cut else "joined", "MBX-03", sent, arrived, text, str(expected), str(found))
        if not (sent.area_cut or arrived.area_cut):
            for before, after in zip_longest(sent.flows, arrived.flows):
                yield from self._on_option(sent, arrived, before, after)


def _differences(sent: FlowOption, arrived: FlowOption) -> Iterator[tuple[str, str, str]]:
    """The fields that differ: name, value sent, value arrived."""
    if sent.variant is not arrived.variant:
        yield "kind", sent.variant.value, arrived.variant.value
    if sent.tifid != arrived.tifid:
        yield "TIFID", str(sent.tifid), str(arrived.tifid)
    for name, was, became in (("TISeq", sent.tiseq, arrived.tiseq), ("TIAck", sent.tiack, arrived.tiack)):
        if was != became:
            yield name, f"{was:012x}", f"{became:012x}"


def _other_kind(option: TcpOption, arrived: Passage) -> int | None:
    """The kind that stands in the option's place with all its other octets behind it; None where they do not."""
    octets = arrived.area[option.offset : option.offset + len(option.octets)]
    return octets[0] if octets[1:] == option.octets[1:] else None


def _overwritten(option: TcpOption, sent: Passage, arrived: Passage) -> bool:
    """Whether padding stands where the option stood, in an option area that is as long as before."""
    octets = arrived.area[option.offset : option.offset + len(option.octets)]
    if len(arrived.area) != len(sent.area) or not octets:
        return False
    return octets[0] == _EOL or set(octets) <= {_EOL, _NOP}


def _name(passage: Passage) -> str:
    """What people call the segment."""
    if passage.flags & RST:
        return "RST"
    if passage.flags & SYN:
        return "SYN-ACK" if passage.flags & ACK else "SYN"
    if passage.payload_length:
        return "data segment"
    return "FIN" if passage.flags & FIN else "ACK"


def _text(peer: Peer) -> str:
    address = inet_ntop(AF_INET if len(peer.address) == 4 else AF_INET6, peer.address)
    return f"[{address}]:{peer.port}" if ":" in address else f"{address}:{peer.port}"
