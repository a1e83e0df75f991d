"""One TCP connection of a check, seen from its opener: what it sends, said segment by segment, and what has arrived.

Nothing is sent that the script did not ask for, but for acknowledgments while `automatic` is set. The numbers of the
connection are kept; a script may put others into any segment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.endpoint.rtt import MS
from tioption.endpoint.wire import TcpSegment
from tioption.option import FlowOption, Kinds, TcpOption
from tioption.packet import NOP, SACK_PERMITTED, Ports, TcpHeader, mss, timestamps, window_scale, write_tcp
from tioption.seq import SEQ32

WINDOW: Final = 65535
MSS: Final = 1220
"""Octets that every path carries, those of IPv6 (RFC 8200 §5)."""


class Arrival(NamedTuple):
    """A segment that has arrived, as it came: whatever its options are, they are there."""

    segment: TcpSegment
    options: tuple[TcpOption, ...]

    @property
    def flows(self) -> tuple[FlowOption, ...]:
        """The flow options in it, whether or not a receiver would look at them."""
        return tuple(option.flow for option in self.options if option.flow is not None)

    @property
    def flow(self) -> FlowOption | None:
        """The first of them, None where there is none."""
        return next(iter(self.flows), None)

    def __str__(self) -> str:
        segment = self.segment
        if segment.rst:
            what = "a RST"
        elif segment.syn:
            what = "a SYN-ACK" if segment.has_ack else "a SYN"
        elif segment.fin:
            what = "a FIN"
        else:
            what = f"{len(segment.payload)} octets" if segment.payload else "an ACK"
        flow = self.flow
        if flow is None:
            return f"{what} without the option" if segment.syn else what
        return f"{what} with {flow}"


class Transport:
    """One connection from its SYN on; times are nanoseconds, positions in the sequence space offsets from the ISNs."""

    def __init__(
        self, ports: Ports, isn: int, clock_offset: int, kinds: Kinds, send: Callable[[Ports, bytes], object]
    ) -> None:
        """Connect nothing yet; `send` takes the ports and the octets of a TCP segment."""
        self.ports = ports
        self.iss = isn
        self.nxt = 1
        """Offset of the next octet to be sent."""
        self.acked = 0
        """Offset up to which the host has acknowledged, whether or not that was sent."""
        self.answers: list[Arrival] = []
        """The SYN-ACKs that have come."""
        self.arrivals: list[Arrival] = []
        """Everything that has come."""
        self.reset: Arrival | None = None
        self.fin = False
        """Whether the host's stream has ended, and all of it has come."""
        self.received = bytearray()
        """What has come in order."""
        self.automatic = True
        """Whether what arrives is acknowledged by itself."""
        self.confirmation: FlowOption | None = None
        """The option of the third ACK."""
        self.repeats = False
        """Whether the third ACK is sent again for a SYN-ACK that comes again (EST-10): it was not left out."""
        self.confirmed = False
        """Whether the third ACK, or something in its place, was sent."""
        self.now = 0
        self.acknowledging = 0
        """Offset that the next segment acknowledges."""
        self._syn = b""
        self._pieces: dict[int, bytes] = {}
        self._fin_at: int | None = None
        self._stamps_offered = False
        self._recent = 0
        self._clock_offset = clock_offset
        self._kinds = kinds
        self._send = send

    # Out.

    def syn(self, option: FlowOption | None, area: bytes | None = None, payload: bytes = b"") -> None:
        """Send the SYN with Linux's options and a flow option, or with another option area."""
        if area is None:
            area = self.common_options() + (option.encode(self._kinds) if option is not None else b"")
            self._stamps_offered = True
        header = TcpHeader(self.iss, 0, SYN, WINDOW, area)
        self._syn = write_tcp(self.ports, header, payload)
        self._send(self.ports, self._syn)

    def syn_again(self) -> None:
        """Send the SYN once more, as it was."""
        self._send(self.ports, self._syn)

    def common_options(self) -> bytes:
        """The 20 octets of Linux's SYN, which leave room for a flow option."""
        return mss(MSS) + SACK_PERMITTED + timestamps(self._clock, 0) + NOP + window_scale(0)

    @property
    def _clock(self) -> int:
        return SEQ32.add(self._clock_offset, self.now // MS)

    @property
    def stamped(self) -> bool:
        """Whether every segment has timestamps, for both SYNs had."""
        return self._stamps_offered and bool(self.answers) and self.answers[0].segment.timestamps is not None

    def segment(
        self, flags: int = ACK, payload: bytes = b"", *, at: int | None = None, option: FlowOption | None = None
    ) -> None:
        """Send a segment at an offset, the next one where none is given; what it holds counts as sent."""
        at = self.nxt if at is None else at
        area = NOP + NOP + timestamps(self._clock, self._recent) if self.stamped else b""
        if option is not None:
            area += option.encode(self._kinds)
        ack = SEQ32.add(self._irs, self.acknowledging) if flags & ACK else 0
        self._send(
            self.ports,
            write_tcp(self.ports, TcpHeader(SEQ32.add(self.iss, at), ack, flags, WINDOW, area), payload),
        )
        self.nxt = max(self.nxt, at + len(payload) + bool(flags & FIN))
        self.confirmed = self.confirmed or not flags & RST

    def confirm(self, option: FlowOption | None) -> None:
        """Send the third ACK."""
        self.confirmation, self.repeats = option, True
        self.segment(option=option)

    def data(self, payload: bytes, *, option: FlowOption | None = None) -> None:
        """Send octets of the stream."""
        if option is not None and not self.confirmed:
            self.confirmation, self.repeats = option, True
        self.segment(ACK | PSH, payload, option=option)

    def abort(self) -> None:
        """Send a RST, where there is something to reset."""
        if self.answers and self.reset is None:
            self.segment(RST | ACK)

    # In.

    @property
    def _irs(self) -> int:
        return self.answers[0].segment.seq if self.answers else 0

    def take(self, arrival: Arrival) -> None:
        """A segment has arrived for these ports."""
        segment = arrival.segment
        self.arrivals.append(arrival)
        if segment.rst:
            if self._plausible(segment):
                self.reset = self.reset or arrival
        elif segment.syn:
            if segment.has_ack and 0 < SEQ32.difference(segment.ack, self.iss) <= self.nxt + WINDOW:
                self._take_answer(arrival)
        elif self.answers:
            self._take_segment(segment)

    def _plausible(self, segment: TcpSegment) -> bool:
        """Whether a RST is one of this connection (RFC 9293 §3.10.7)."""
        if self.answers:
            return 0 <= SEQ32.difference(segment.seq, self._irs) <= self.acknowledging + 2 * WINDOW
        return segment.has_ack and SEQ32.difference(segment.ack, self.iss) > 0

    def _take_answer(self, arrival: Arrival) -> None:
        segment = arrival.segment
        again = bool(self.answers)
        self.answers.append(arrival)
        if segment.seq != self._irs:
            return
        self.acked = max(self.acked, SEQ32.difference(segment.ack, self.iss))
        self.acknowledging = max(self.acknowledging, 1)
        if segment.timestamps is not None:
            self._recent = segment.timestamps[0]
        if again and self.automatic and self.repeats:
            self.segment(option=self.confirmation)

    def _take_segment(self, segment: TcpSegment) -> None:
        if segment.timestamps is not None:
            self._recent = segment.timestamps[0]
        if segment.has_ack:
            acked = SEQ32.difference(segment.ack, self.iss)
            if acked <= self.nxt + WINDOW:
                self.acked = max(self.acked, acked)
        offset = SEQ32.difference(segment.seq, self._irs)
        end = offset + len(segment.payload)
        expected = 1 + len(self.received)
        if -WINDOW <= offset - expected <= WINDOW:
            if segment.payload and end > expected:
                self._pieces[offset] = segment.payload
            if segment.fin:
                self._fin_at = end
            self._join()
        if self.automatic:
            self.acknowledging = 1 + len(self.received) + self.fin
            if self.confirmed and (segment.length or offset < expected):
                self.segment()

    def _join(self) -> None:
        for offset in sorted(self._pieces):
            expected = 1 + len(self.received)
            if offset > expected:
                break
            self.received += self._pieces.pop(offset)[expected - offset :]
        self.fin = self.fin or self._fin_at == 1 + len(self.received)

    # What a script says of it.

    @property
    def answer(self) -> Arrival | None:
        """The first SYN-ACK."""
        return self.answers[0] if self.answers else None

    @property
    def told(self) -> str:
        """What has come of it, for people."""
        if self.reset is not None:
            return "a RST"
        if not self.arrivals:
            return "no answer"
        last = self.arrivals[-1]
        if last.segment.rst:
            return "a RST with numbers of no segment of the connection"
        return f"nothing more after {last}" if self.confirmed else str(last)
