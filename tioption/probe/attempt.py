"""One connection that is tried: the segments it sends, and what it makes of those that come back.

Its SYN has Linux's layout, which leaves room for the option. Nothing is ever written into it, and it ends by RST.
"""

from __future__ import annotations

from typing import Final

from tioption.capture.segment import ACK, RST, SYN
from tioption.endpoint.rtt import MS
from tioption.endpoint.wire import TcpSegment, write
from tioption.handshake.handshake import new_flow_differences
from tioption.layout import LENGTH
from tioption.option import FlowOption, Kinds, TcpOption, counted_option, walk
from tioption.packet import Ports, TcpHeader, write_ip
from tioption.probe.observed import Answer, Fate, Reply
from tioption.probe.quotes import PADDING, Quote, padding
from tioption.seq import SEQ32

_WINDOW: Final = 64240
_SCALE: Final = 7
_HEADERS: Final = {4: 40, 16: 60}
_LINK: Final = 1500
_TIMESTAMPS: Final = 8
_MOST_QUOTES: Final = 512


class Attempt:
    """One connection to a target; `option` is that of its SYN."""

    def __init__(self, ports: Ports, isn: int, stamp: int, option: FlowOption | None, kinds: Kinds) -> None:
        """Send from and to `ports`; the ISN and the timestamp of the first SYN are the caller's to draw."""
        self.ports = ports
        self.option = option
        self.expected: FlowOption | None = None
        """What the SYN-ACK of a resume has to carry, where anything is known of it (MAP-04)."""
        self.sent = 0
        """SYNs sent."""
        self.over = False
        """Whether it was ended, here or there."""
        self.quotes: list[tuple[int, Quote]] = []
        """What ICMP said, and when, in nanoseconds."""
        self._isn = isn
        self._stamp = stamp
        self._kinds = kinds
        self._first = self._last = 0
        self._answer: tuple[Answer, int, TcpHeader] | None = None

    @property
    def answer(self) -> Answer | None:
        """What the target has said, None as long as it has not."""
        return self._answer[0] if self._answer is not None else None

    # What it sends.

    def syn(self, now: int, *, ttl: int = 64, identification: int = 0, later: int | None = None) -> bytes:
        """The SYN, again where it was sent before; its timestamp is `later` by so many milliseconds."""
        self._first = self._first or now
        self._last = now
        self.sent += 1
        if later is None:
            later = (now - self._first) // MS
        return self._packet(self._syn(later), ttl, identification)

    def _syn(self, later: int = 0) -> TcpSegment:
        mss = _LINK - _HEADERS[len(self.ports.source)]
        stamps = SEQ32.add(self._stamp, later), 0
        return TcpSegment(self._isn, 0, SYN, _WINDOW, b"", mss, _SCALE, True, stamps, (), self.option)

    def header(self) -> bytes:
        """The TCP header of the SYN."""
        return write(self.ports, self._syn(), self._kinds)

    def later(self, quote: Quote) -> int | None:
        """How much `later` the timestamp of a quoted SYN is; None where it is not quoted."""
        stamp = _stamp_of(list(walk(quote.header[20:60], None, self._kinds)))
        return None if stamp is None else SEQ32.difference(stamp, self._stamp)

    def ack(self, option: FlowOption | None, now: int) -> bytes:
        """The third segment, after a SYN-ACK."""
        assert self._answer is not None
        _, _, header = self._answer
        theirs = _stamp_of(list(walk(header.options, None, self._kinds)))
        stamps = None if theirs is None else (SEQ32.add(self._stamp, (now - self._first) // MS), theirs)
        seq, ack = SEQ32.add(self._isn, 1), SEQ32.add(header.seq, 1)
        segment = TcpSegment(seq, ack, ACK, _WINDOW >> _SCALE, timestamps=stamps, option=option)
        return self._packet(segment)

    def reset(self) -> bytes:
        """The end of it."""
        self.over = True
        return self._packet(TcpSegment(SEQ32.add(self._isn, 1), 0, RST, 0))

    def _packet(self, segment: TcpSegment, ttl: int = 64, identification: int = 0) -> bytes:
        octets = write(self.ports, segment, self._kinds)
        source, destination = self.ports.source, self.ports.destination
        return write_ip(source, destination, octets, ttl=ttl, identification=identification)

    # What comes back.

    def receive(self, header: TcpHeader, now: int) -> None:
        """A segment from the target: only one that acknowledges the SYN says anything (RFC 9293 §3.10.7.3)."""
        flags = header.flags & (SYN | ACK | RST)
        if flags == RST and self.answer is Answer.SYN_ACK:
            self.over = True  # what stood there ended
        if not flags & ACK or header.ack != SEQ32.add(self._isn, 1):
            return
        if flags & RST:
            self.over = True
        if self._answer is not None:
            return
        if flags & RST:
            self._answer = Answer.RESET, now, header
        elif flags & SYN:
            self._answer = Answer.SYN_ACK, now, header

    def complain(self, quote: Quote, now: int) -> None:
        """An ICMP error about one of its segments."""
        if len(self.quotes) < _MOST_QUOTES:
            self.quotes.append((now, quote))

    def reply(self, control: Reply | None = None) -> Reply:
        """What came back to the SYN, held against what came back to one without the option."""
        if self._answer is not None:
            answer, time, header = self._answer
            # Of a SYN sent several times it is open which of them was answered: time is counted from the last.
            rtt = max(0, time - self._last)
            if answer is Answer.RESET:
                return Reply(answer, self.sent, rtt)
            stretches = list(walk(header.options, None, self._kinds))
            fate, option, rules = self._judged(stretches, control)
            kinds = frozenset(one.kind for one in stretches if one.kind is not None and one.fault is None)
            others = kinds - PADDING - frozenset(self._kinds)
            return Reply(answer, self.sent, rtt, fate, option, rules, padding(stretches), others)
        if not self.quotes:
            return Reply(Answer.NOTHING, self.sent)
        time, quote = self.quotes[0]
        what = quote.what or "hop limit used up"
        return Reply(Answer.ICMP, self.sent, max(0, time - self._last), icmp=what, by=quote.router)

    def _judged(
        self, stretches: list[TcpOption], control: Reply | None
    ) -> tuple[Fate, FlowOption | None, tuple[str, ...]]:
        """What is to be said of a SYN-ACK's option: what became of it, its value, the rules it breaks."""
        kind = None if self.option is None else self._kinds.kind(self.option.variant)
        ours = [one for one in stretches if one.flow is not None or (one.kind == kind and one.experiment is None)]
        option = counted_option(stretches)
        if not ours:
            gap = control is not None and padding(stretches) >= control.padding + LENGTH
            return (Fate.OVERWRITTEN if gap else Fate.ABSENT), None, ()
        if self.option is None:
            return Fate.ALTERED, option, ("EST-03",)
        if option is None:
            malformed = any(one.flow is None for one in ours)
            return Fate.ALTERED, None, (("OPT-01",) if malformed else ("OPT-04", "OPT-05", "OPT-06"))
        if option == self.option:
            return Fate.ECHO, option, ("LEG-07",)
        rules = _resume_rules(self.expected, option) if self.expected is not None else _rules(self.option, option)
        return (Fate.ALTERED if rules else Fate.INTACT), option, rules


def _rules(offer: FlowOption, answer: FlowOption) -> tuple[str, ...]:
    """The rules of a new flow that the SYN-ACK's option breaks."""
    kind = ["EST-03"] if answer.variant is not offer.variant else []
    return tuple(dict.fromkeys(kind + [one.rule for one in new_flow_differences(offer, answer)]))


def _resume_rules(expected: FlowOption, answer: FlowOption) -> tuple[str, ...]:
    """The rules of a resume that the SYN-ACK's option breaks; nothing was sent or received on the flow before."""
    broken = {
        "CTL-02": answer.variant is not expected.variant,
        "RES-01": answer.tifid != expected.tifid,
        "MAP-04": answer.tiseq != expected.tiseq,
        "MAP-02": answer.tiack != expected.tiack,
    }
    return tuple(rule for rule, is_broken in broken.items() if is_broken)


def _stamp_of(stretches: list[TcpOption]) -> int | None:
    """The timestamp value in an option area."""
    octets = next((one.octets for one in stretches if one.kind == _TIMESTAMPS and len(one.octets) == 10), None)
    return None if octets is None else int.from_bytes(octets[2:6], "big")
