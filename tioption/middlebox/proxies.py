"""Boxes that speak TCP themselves: one that acknowledges for the receiver, one that shakes hands for the server.

Performance-enhancing proxies on satellite and mobile paths acknowledge data before the receiver has it (RFC 3135 §2.1,
§4; Honda et al., IMC 2011, met them on port 80). What was acknowledged and then lost with the box is gone: the hosts
notice and never skip it (RES-14). SYN proxies protect servers from floods (Linux's SYNPROXY,
nftables `synproxy`); they answer what they do not know without it (MBX-04, LEG-01, RES-06).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from struct import pack

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.middlebox.box import Emitted, Memory, SegmentBox, Way, passed
from tioption.middlebox.packet import MSS, NOP, SACK_PERMITTED, TIMESTAMPS, Ends, Packet
from tioption.middlebox.parameters import Parameter, whole
from tioption.middlebox.registry import box
from tioption.middlebox.sequence import shift_acknowledged
from tioption.seq import SEQ32


def _timestamp(segment: Packet) -> bytes:
    """The octets of a segment's timestamp value, b"" where it has none."""
    octets = segment.option(TIMESTAMPS)
    return octets[2:6] if octets is not None and len(octets) == 10 else b""


class _Eager:
    """What an acknowledging proxy knows of a connection."""

    __slots__ = ("acked", "kept", "next", "repeats", "seq", "timestamp", "window")

    def __init__(self) -> None:
        self.next: int | None = None
        """The next number of A's stream that the proxy has not got."""
        self.acked = 0
        """What B has acknowledged of it."""
        self.seq = 0
        """The next number of B's stream, as A knows it."""
        self.window = 0
        self.timestamp = b""
        self.kept: list[Packet] = []
        """Segments B has not acknowledged, in order."""
        self.repeats = 0


@box(
    "ack-proxy",
    "Acknowledges A's data before B has it.",
    Parameter("buffer", whole(1, 1 << 30), "65536", "Octets it acknowledges in advance.", ("16384", "65536")),
    rules=("RES-14", "MAP-02"),
)
class AckProxy(SegmentBox):
    """Acknowledges contiguous intact data of A at once and hands it on; it sends again what B's duplicate ACKs ask for.

    It has no timers: of what is lost behind it and never asked for again, A does not know.
    """

    def __init__(self, *, buffer: int) -> None:
        """Acknowledge at most `buffer` octets that B has not acknowledged."""
        self._buffer = buffer
        self._connections: Memory[Ends, _Eager] = Memory()

    def forget(self) -> None:
        """Lose everything that was acknowledged and has not arrived."""
        self._connections.clear()

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Pass it, and say more than is true."""
        ends = segment.ends if way == "ab" else segment.ends.reverse
        if segment.flags & (SYN | ACK) == SYN and way == "ab":
            self._connections[ends] = _Eager()
        connection = self._connections.get(ends)
        if connection is None or segment.flags & RST:
            if segment.flags & RST:
                self._connections.pop(ends)
            yield passed(segment, way)
        elif way == "ab":
            yield from self._forward(connection, segment)
        else:
            yield from self._backward(connection, segment)

    def _forward(self, connection: _Eager, segment: Packet) -> Iterator[Emitted]:
        yield passed(segment, "ab")
        if connection.next is None or segment.flags & SYN or not segment.payload or not segment.flags & ACK:
            return
        if segment.seq != connection.next:
            # Out of order, or sent again: B's own acknowledgments are about that.
            return
        beyond = SEQ32.difference(segment.end, connection.acked)
        if segment.flags & FIN or not 0 < beyond <= self._buffer or not segment.intact:
            return
        connection.next = segment.end
        connection.kept.append(segment)
        yield passed(self._acknowledgment(connection, segment), "ba")

    @staticmethod
    def _acknowledgment(connection: _Eager, segment: Packet) -> Packet:
        value = _timestamp(segment)
        options = b""
        if value and connection.timestamp:
            options = bytes((NOP, NOP, TIMESTAMPS, 10)) + connection.timestamp + value
        return segment.answer(ACK, connection.seq, segment.end, window=connection.window, options=options)

    def _backward(self, connection: _Eager, segment: Packet) -> Iterator[Emitted]:
        connection.timestamp = _timestamp(segment) or connection.timestamp
        if segment.flags & SYN:
            connection.next = connection.acked = segment.ack
            connection.seq = segment.end
        elif segment.flags & ACK:
            yield from self._heard(connection, segment)
        if SEQ32.difference(segment.end, connection.seq) > 0:
            connection.seq = segment.end
        yield passed(segment, "ba", changed=self._raised(connection, segment))

    @staticmethod
    def _heard(connection: _Eager, segment: Packet) -> Iterator[Emitted]:
        """What B acknowledges: forget it; after three duplicates send the first missing segment again (RFC 5681)."""
        connection.window = segment.window
        if SEQ32.difference(segment.ack, connection.acked) > 0:
            connection.acked = segment.ack
            connection.repeats = 0
            kept = connection.kept
            connection.kept = [one for one in kept if SEQ32.difference(one.end, segment.ack) > 0]
        elif segment.ack == connection.acked and not segment.length and connection.kept:
            connection.repeats += 1
            if connection.repeats == 3:
                yield passed(connection.kept[0], "ab")

    @staticmethod
    def _raised(connection: _Eager, segment: Packet) -> bool:
        """Raise an acknowledgment of B's to what A was already told, so that A does not see it fall back."""
        told = connection.next
        if segment.flags & SYN or not segment.flags & ACK or told is None:
            return False
        if SEQ32.difference(segment.ack, told) > 0:
            connection.next = segment.ack
            return False
        if segment.ack == told:
            return False
        segment.ack = told
        return True


class _Shaken:
    """What a SYN proxy knows of a connection it has answered for the server."""

    __slots__ = ("client", "isn", "shift", "syn")

    def __init__(self, syn: Packet, isn: int) -> None:
        self.syn = syn
        self.isn = isn
        """The ISN the proxy has given to the client."""
        self.client: Packet | None = None
        """The client's ACK, once it has come."""
        self.shift: int | None = None
        """What is added to the server's numbers, once they are known."""


@box(
    "syn-proxy",
    "Answers SYNs by itself, then opens the connection to the server.",
    Parameter("mss", whole(88, 65495), "1460", "The MSS it announces.", ("1460",)),
    rules=("MBX-04", "LEG-01", "RES-06"),
    needs=("random",),
)
class SynProxy(SegmentBox):
    """Answers A's SYN with MSS and SACK alone and a window of zero; only A's ACK makes it open a connection to B.

    When B has answered, A's window opens and B's numbers are translated. A recording shows no more of it than its first
    answer: nobody there acknowledges that.
    """

    def __init__(self, *, mss: int, random: Random) -> None:
        """Announce an MSS; know no connection yet."""
        self._mss = mss
        self._random = random
        self._connections: Memory[Ends, _Shaken] = Memory()

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Shake hands on both sides, then translate."""
        ends = segment.ends if way == "ab" else segment.ends.reverse
        if not segment.intact:
            return
        if way == "ab" and segment.flags & (SYN | ACK | RST) == SYN:
            yield from self._offered(ends, segment)
            return
        connection = self._connections.get(ends)
        if connection is None:
            yield passed(segment, way)
        elif connection.shift is not None:
            yield self._translated(segment, way, connection.shift)
        elif way == "ab":
            yield from self._confirmed(ends, connection, segment)
        else:
            yield from self._answered(ends, connection, segment)

    def _offered(self, ends: Ends, segment: Packet) -> Iterator[Emitted]:
        connection = self._connections.get(ends)
        if connection is None or connection.syn.seq != segment.seq:
            connection = self._connections[ends] = _Shaken(segment, self._random.getrandbits(32))
        options = self._options(segment)
        yield passed(segment.answer(SYN | ACK, connection.isn, segment.end, options=options), "ba")

    def _options(self, syn: Packet) -> bytes:
        """What the proxy answers, or hands on, of a SYN's options."""
        octets = pack("!BBH", MSS, 4, self._mss)
        if syn.option(SACK_PERMITTED) is not None:
            octets += bytes((NOP, NOP, SACK_PERMITTED, 2))
        return octets

    def _confirmed(self, ends: Ends, connection: _Shaken, segment: Packet) -> Iterator[Emitted]:
        """Before B has answered: A's ACK opens the connection to B, a RST ends it, data waits for its sender."""
        if segment.flags & RST:
            self._connections.pop(ends)
        elif segment.flags & ACK and segment.ack == SEQ32.add(connection.isn, 1):
            connection.client = segment
            syn = connection.syn
            options = self._options(syn)
            yield passed(syn.beside(SYN, syn.seq, 0, window=syn.window, options=options), "ab")

    def _answered(self, ends: Ends, connection: _Shaken, segment: Packet) -> Iterator[Emitted]:
        """B's answer: confirm it, and open A's window; a refusal is handed on."""
        client = connection.client
        if client is None:
            return
        after = SEQ32.add(connection.isn, 1)
        if segment.flags & RST:
            self._connections.pop(ends)
            yield passed(segment.beside(RST, after, 0), "ba")
        elif segment.flags & (SYN | ACK) == SYN | ACK:
            connection.shift = SEQ32.add(connection.isn, -segment.seq)
            yield passed(segment.answer(ACK, segment.ack, segment.end, window=client.window), "ab")
            yield passed(segment.beside(ACK, after, segment.ack, window=segment.window), "ba")

    @staticmethod
    def _translated(segment: Packet, way: Way, shift: int) -> Emitted:
        if way == "ba":
            segment.seq = SEQ32.add(segment.seq, shift)
        else:
            shift_acknowledged(segment, -shift)
        return passed(segment, way, changed=True)

    def as_answer(self, segment: Packet, way: Way, ends: Ends) -> None:
        """Acknowledge what B's numbers became."""
        connection = self._connections.get(ends) if way == "ab" else None
        if connection is not None and connection.shift is not None:
            shift_acknowledged(segment, connection.shift)
