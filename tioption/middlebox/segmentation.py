"""Segments cut in pieces and joined on the way, with the copies of options that come of it.

Network cards and virtual switches do both (TSO, GSO, GRO, LRO), proxies and normalisers, too. Honda et al. (IMC 2011)
saw splitters copy options to all pieces and joiners keep one; identical copies are ignored (MBX-03, RFC 8684 §3.1), and
data on the third ACK is where it happens to the flow option (EST-11, EST-13, OPT-09).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tioption.capture.segment import ACK, CWR, FIN, PSH, RST, SYN, URG
from tioption.middlebox.box import Emitted, SegmentBox, Way, passed
from tioption.middlebox.packet import Ends, Packet
from tioption.middlebox.parameters import TIME, Parameter, choice, whole
from tioption.middlebox.registry import box
from tioption.seq import SEQ32

_PLAIN: Final = ~(PSH | FIN)


@box(
    "split",
    "Cuts segments in pieces.",
    Parameter("size", whole(1, 65495), "536", "Most octets of payload a piece has.", ("100", "536", "1000")),
    Parameter("copy", choice("all", "first"), "all", "Which pieces have the options.", ("all", "first")),
    rules=("MBX-03", "OPT-09", "EST-11"),
)
class Split(SegmentBox):
    """Cuts payloads, as TSO does: flags of the end go to the last piece, CWR stays with the first.

    SYNs and segments with urgent data stay whole. Where only the first piece has the options, the others have only the
    timestamps, without which receivers would drop them (RFC 7323 §3.2).
    """

    def __init__(self, *, size: int, copy: str) -> None:
        """Cut into pieces of at most `size` octets of payload."""
        self._size = size
        self._copy = copy == "all"

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Hand on the pieces, all at once."""
        payload = segment.payload
        if len(payload) <= self._size or segment.flags & (SYN | RST | URG):
            yield passed(segment, way)
            return
        for at in range(0, len(payload), self._size):
            piece = segment.copy()
            piece.payload = payload[at : at + self._size]
            piece.seq = SEQ32.add(segment.seq, at)
            if at + self._size < len(payload):
                piece.flags &= _PLAIN
            if at:
                piece.flags &= ~CWR
                piece.identification = (segment.identification or 0) + at // self._size
                if not self._copy:
                    piece.options = _timestamps_alone(segment)
            yield passed(piece, way, changed=True)


def _timestamps_alone(segment: Packet) -> bytes:
    octets = segment.option(8)
    return b"\x01\x01" + octets if octets is not None and len(octets) == 10 else b""


class _Held:
    """Segments of one direction that are being joined: the first, grown, and since when."""

    def __init__(self, segment: Packet, way: Way, now_ns: int) -> None:
        self.segment = segment
        self.way = way
        self.since = now_ns
        self.grown = False

    def emitted(self) -> Emitted:
        """The joined segment, now."""
        return passed(self.segment, self.way, changed=self.grown)


@box(
    "coalesce",
    "Joins segments that follow each other.",
    Parameter("size", whole(2, 65455), "16384", "Most octets of payload a joined segment has.", ("3000", "16384")),
    Parameter("hold", TIME, "1ms", "How long a segment waits for the next packet.", ("1ms",)),
    rules=("MBX-03", "OPT-09"),
)
class Coalesce(SegmentBox):
    """Joins data segments that continue each other, as GRO does: same acknowledgment, window and options.

    A segment is held until one with PSH or FIN ends it, another segment of the connection passes, or any packet comes
    later than `hold`. A last one without PSH waits for its sender's retransmission, or for `flush`; damaged segments
    pass alone.
    """

    def __init__(self, *, size: int, hold: int) -> None:
        """Join up to `size` octets of payload, holding a segment for `hold` nanoseconds at most when others come."""
        self._size = size
        self._hold = hold
        self._held: dict[Ends, _Held] = {}

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """Hand on what has waited long enough, then the packet or what it is joined into."""
        late = [ends for ends, held in self._held.items() if now_ns - held.since > self._hold]
        return [self._held.pop(ends).emitted() for ends in late] + super().process(packet, way, now_ns)

    def flush(self, now_ns: int) -> list[Emitted]:
        """What still waits."""
        held, self._held = self._held, {}
        return [one.emitted() for one in held.values()]

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Join, hold or pass, always in order."""
        held = self._held.pop(segment.ends, None)
        if held is not None and self._continues(held.segment, segment):
            held.segment.payload += segment.payload
            held.segment.flags |= segment.flags
            held.grown = True
        else:
            if held is not None:
                yield held.emitted()
            held = _Held(segment, way, now_ns)
        opposite = self._held.pop(segment.ends.reverse, None)
        if opposite is not None:
            yield opposite.emitted()
        joined = held.segment
        if joined.intact and joined.payload and joined.flags & ~CWR == ACK and len(joined.payload) < self._size:
            self._held[segment.ends] = held
        else:
            yield held.emitted()

    def _continues(self, first: Packet, second: Packet) -> bool:
        """Whether the second segment can be joined to the first."""
        return (
            second.seq == first.end
            and second.ack == first.ack
            and second.window == first.window
            and second.options == first.options
            and second.flags & _PLAIN == ACK
            and second.intact
            and 0 < len(second.payload) <= self._size - len(first.payload)
        )
