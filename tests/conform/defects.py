"""Builds of our own endpoint that break one rule each: what every check must find, and no other check must."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from tests.conform.hosts import CONFIG
from tioption.capture.segment import ACK, FIN, SYN
from tioption.endpoint import Connection, IsolationBoundary, Stack, StackConfig
from tioption.endpoint.stack import Listener
from tioption.endpoint.streams import ReceiveStream
from tioption.endpoint.wire import TcpSegment
from tioption.errors import ParseError
from tioption.handshake import Answerer, FlowName, Handle, Limits
from tioption.handshake.values import AnswerValues
from tioption.option import FlowOption, TcpOption, Tifid, Variant, walk
from tioption.packet import Ports, read_ip, read_tcp
from tioption.seq import SEQ48


class Altered(Stack):
    """A host whose ears and mouth a defect may change; `ports` are seen from here."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.heard: list[TcpOption] = []
        """The options of the packet that is being taken in."""
        self.offers: dict[Ports, FlowOption | None] = {}
        """What the first SYN on some ports had."""
        self.answers: dict[Ports, FlowOption] = {}
        """What the first SYN-ACK had."""

    def receive_packet(self, packet: bytes, now: int) -> None:
        with suppress(ParseError):
            ip = read_ip(packet)
            self.heard = list(walk(read_tcp(ip.source, ip.destination, ip.payload)[1].options))
        super().receive_packet(packet, now)

    def _segment(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        taken = self.hears(ports, segment, now)
        if taken is None:
            return
        if taken.syn and not taken.has_ack:
            self.offers.setdefault(ports, taken.option)
        super()._segment(ports, taken, now)

    def _emit(self, ports: Ports, segment: TcpSegment) -> None:
        said = self.says(ports, segment)
        if segment.syn and segment.option is not None:
            self.answers.setdefault(ports, segment.option)
        super()._emit(ports, said)

    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        """What is taken for a segment that has arrived; None: nothing."""
        return segment

    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        """What is sent instead of a segment."""
        return segment

    def refused(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        """RST, and nothing taken."""
        self._reset(ports, segment, now)
        return None

    def resuming(self, ports: Ports) -> bool:
        """Whether the SYN on these ports was one of a resume."""
        offer = self.offers.get(ports)
        return offer is not None and offer.tifid.second != 0

    def known(self, option: FlowOption | None) -> IsolationBoundary | None:
        """The conversation an option names."""
        return None if option is None else self._flows.get(FlowName(option.variant, option.tifid))

    def first_data(self, ports: Ports) -> bool:
        """Whether the third ACK on these ports is still to come."""
        bounds = self._table.at(ports)
        return bool(bounds) and bounds[-1].connection.state.value == "SYN-RECEIVED"

    def confirmation(self, ports: Ports) -> FlowOption | None:
        """The right option of the third ACK on these ports."""
        answer = self.answers.get(ports)
        return None if answer is None else answer.replace(tiseq=answer.tiack, tiack=answer.tiseq)


class Defect(NamedTuple):
    """A build that breaks a rule, its settings, and the variant it is tested with."""

    rule: str
    kind: type[Stack]
    config: StackConfig
    variant: Variant


DEFECTS: dict[str, Defect] = {}


def breaks(
    rule: str, config: StackConfig = CONFIG, variant: Variant = Variant.FLOW_D
) -> Callable[[type[Stack]], type[Stack]]:
    def enter(kind: type[Stack]) -> type[Stack]:
        DEFECTS[rule] = Defect(rule, kind, config, variant)
        return kind

    return enter


def is_syn(segment: TcpSegment) -> bool:
    return segment.syn and not segment.has_ack


def is_resume(segment: TcpSegment) -> bool:
    return is_syn(segment) and segment.option is not None and segment.option.tifid.second != 0


def is_answer(segment: TcpSegment) -> bool:
    return segment.syn and segment.has_ack and segment.option is not None


class Lenient(Altered):
    """Takes options from SYNs that receivers are to ignore."""

    def chosen(self) -> FlowOption | None:
        return None

    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if is_syn(segment) and segment.option is None:
            return segment._replace(option=self.chosen())
        return segment


def _parsed(kind: int, octets: bytes) -> FlowOption:
    return FlowOption.parse(bytes((kind, 20)) + octets[:18].ljust(18, b"\0"))


@breaks("OPT-01")
class OtherLengths(Lenient):
    def chosen(self) -> FlowOption | None:
        found = [one for one in self.heard if one.kind == 253 and len(one.octets) in {19, 21} and one.fault is None]
        return _parsed(253, found[0].octets[2:]) if found else None


@breaks("OPT-03")
class ExperimentIdentifiers(Lenient):
    def chosen(self) -> FlowOption | None:
        found = [one for one in self.heard if one.kind == 253 and len(one.octets) in {22, 24}]
        return _parsed(253, found[0].octets[-18:]) if found else None


@breaks("OPT-04")
class FirstOfTwo(Lenient):
    def chosen(self) -> FlowOption | None:
        flows = [one.flow for one in self.heard if one.flow is not None]
        return flows[0] if len(flows) > 1 and flows[0].variant is flows[1].variant else None


@breaks("OPT-05")
class FirstOfBoth(Lenient):
    def chosen(self) -> FlowOption | None:
        flows = [one.flow for one in self.heard if one.flow is not None]
        return flows[0] if len({flow.variant for flow in flows}) > 1 else None


@breaks("OPT-06")
class FirstHalfZero(Lenient):
    def chosen(self) -> FlowOption | None:
        flows = [one.flow for one in self.heard if one.flow is not None]
        return flows[0] if len(flows) == 1 and flows[0].tifid.first == 0 else None


@breaks("OPT-07")
class AnySecondHalf(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option
        if option is not None and not segment.syn and option.tifid.second == 0:
            return segment._replace(option=self.confirmation(ports))
        return segment


@breaks("OPT-08")
class AlignedOnly(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if any(one.flow is not None and one.offset % 4 for one in self.heard):
            return segment._replace(option=None)
        return segment


@breaks("OPT-09")
class OptionOnData(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        plain = not segment.syn and not segment.rst and not segment.fin and not segment.sack
        return segment._replace(option=self.answers.get(ports)) if plain else segment


@breaks("OPT-10")
class OptionOnReset(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        return segment._replace(option=FlowOption(Variant.FLOW_D, Tifid(1 << 40), 1, 2)) if segment.rst else segment


@breaks("OPT-11")
class NoRoomForMss(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        return segment._replace(mss=None) if is_answer(segment) else segment


class Values(Altered):
    """Answers with values of its own."""

    def value(self, offer: FlowOption, values: tuple[int, int]) -> tuple[int, int]:
        return values

    def _answerer(self, listener: Listener, syn: TcpSegment, values: AnswerValues) -> Answerer:
        outer = self

        class Chosen:
            def answer(self, offer: FlowOption, handle: Handle, attempt: int) -> tuple[int, int]:
                return outer.value(offer, values.answer(offer, handle, attempt))

        return super()._answerer(listener, syn, Chosen())


@breaks("EST-02")
class CountedPositions(Values):
    position = 1 << 20

    def value(self, offer: FlowOption, values: tuple[int, int]) -> tuple[int, int]:
        self.position += 64000
        return values[0], self.position


@breaks("EST-03")
class AnotherKind(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option
        if is_syn(segment) and option is not None and option.variant is Variant.FLOW_C and not is_resume(segment):
            return segment._replace(option=option.replace(variant=Variant.FLOW_D))
        return segment


class Misanswers(Altered):
    """Changes the option of SYN-ACKs to new flows."""

    def changed(self, option: FlowOption) -> FlowOption:
        return option

    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        if is_answer(segment) and not self.resuming(ports):
            assert segment.option is not None
            return segment._replace(option=self.changed(segment.option))
        return segment


@breaks("EST-04")
class NoSecondHalf(Misanswers):
    def changed(self, option: FlowOption) -> FlowOption:
        return option.replace(tifid=Tifid.from_halves(option.tifid.first))


@breaks("EST-05")
class CountsTheSyn(Misanswers):
    def changed(self, option: FlowOption) -> FlowOption:
        return option.replace(tiack=SEQ48.add(option.tiack, 1))


@breaks("EST-08")
class BelievesEverything(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option
        if option is not None and not segment.syn and option.tifid.second and not self.resuming(ports):
            return segment._replace(option=self.confirmation(ports))
        return segment


@breaks("EST-09")
class AnswersAnew(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        option = segment.option
        if is_answer(segment) and option is not None and not self.resuming(ports) and ports in self.answers:
            return segment._replace(option=option.replace(tiseq=SEQ48.add(option.tiseq, 1)))
        return segment


@breaks("EST-11")
class NoPayloadWithOption(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if segment.payload and segment.option is not None and not segment.syn and self.first_data(ports):
            return self.refused(ports, segment, now)
        return segment


@breaks("EST-12")
class ThirdAckOrNothing(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option
        if segment.payload and option is None and self.first_data(ports) and not self.resuming(ports):
            super()._segment(ports, segment._replace(payload=b""), now)
        return segment


@breaks("EST-13")
class NoCopies(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if segment.option is not None and not segment.syn and not segment.payload and not self.first_data(ports):
            return self.refused(ports, segment, now)
        return segment


@breaks("EST-15")
class EarlyPayload(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        return segment._replace(payload=b"early") if is_answer(segment) else segment


@breaks("LEG-02")
class Unasked(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        mentioned = any(one.kind in {253, 254, 200} for one in self.heard)
        if segment.syn and segment.has_ack and segment.option is None and not mentioned:
            return segment._replace(option=FlowOption(Variant.FLOW_D, Tifid.from_halves(1, 2), 1 << 40, 0))
        return segment


@breaks("LEG-03")
class NoConfirmationNeeded(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        pure = not segment.length and not segment.rst and segment.option is None
        if pure and self.first_data(ports) and not self.resuming(ports):
            return segment._replace(option=self.confirmation(ports))
        return segment


@breaks("LEG-05")
class ForgetsTheFirstSyn(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if is_syn(segment) and segment.option is None and self.offers.get(ports) is not None:
            self.offers[ports] = None
        if not segment.syn and self.offers.get(ports, segment.option) is None:
            return segment._replace(option=None)
        return segment


@breaks("LEG-08")
class RefusesMalformed(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if is_syn(segment) and any(one.fault is not None for one in self.heard):
            return self.refused(ports, segment, now)
        return segment


class Boundaries(Altered):
    """Has conversations, or streams of them, of another class."""

    boundary: type[IsolationBoundary] = IsolationBoundary
    stream: type[ReceiveStream] = ReceiveStream

    def _bind(self, connection: Connection, ports: Ports, boundary: IsolationBoundary) -> None:
        boundary.__class__ = self.boundary
        boundary.receive_stream.__class__ = self.stream
        super()._bind(connection, ports, boundary)


class _CountsTheFin(IsolationBoundary):
    def update_flow(self) -> None:
        super().update_flow()
        if self.flow is not None:
            self.flow.rcv = SEQ48.add(self.flow.rcv, self.receive_stream.ended)


@breaks("MAP-01")
class CountsTheFin(Boundaries):
    boundary = _CountsTheFin


class _CountsBeyondGaps(IsolationBoundary):
    def update_flow(self) -> None:
        super().update_flow()
        if self.flow is not None and self.transport is not None:
            waiting = sum(len(octets) for _, octets in self.transport.receiver._pieces)
            self.flow.rcv = SEQ48.add(self.flow.rcv, waiting)


@breaks("MAP-02")
class CountsBeyondGaps(Boundaries):
    boundary = _CountsBeyondGaps


@breaks("MAP-03")
class NoDataBeforeTheThirdAck(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if segment.payload and segment.option is None and self.first_data(ports) and self.resuming(ports):
            return self.refused(ports, segment, now)
        return segment


@breaks("MAP-04")
class OldestUnacknowledged(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        boundary = self.known(segment.option) if self.resuming(ports) and is_answer(segment) else None
        if boundary is not None and boundary.flow is not None and segment.option is not None:
            return segment._replace(option=segment.option.replace(tiseq=boundary.flow.una))
        return segment


@breaks("MAP-05")
class JumpsGaps(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option, right = segment.option, self.confirmation(ports)
        if option is not None and right is not None and not segment.syn and self.resuming(ports):
            above = SEQ48.difference(option.tiseq, right.tiseq) > 0
            return segment._replace(option=right) if above else segment
        return segment


@breaks("MAP-07")
class ZeroMeansUnset(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if is_resume(segment) and segment.option is not None and segment.option.tiseq == 0:
            return self.refused(ports, segment, now)
        return segment


class _DeliversTwice(ReceiveStream):
    __slots__ = ()

    def deliver(self, place: int, octets: bytes) -> int:
        self._octets += octets[: max(0, self.received - place)]
        return super().deliver(place, octets)


@breaks("MAP-08")
class DeliversTwice(Boundaries):
    stream = _DeliversTwice


class _KeepsPieces(IsolationBoundary):
    def _switch(self, connection: Connection, now: int) -> None:
        old = self.transport
        if old is not None:
            move = old.receiver.anchor - connection.receiver.anchor
            connection.receiver._pieces = [(offset + move, octets) for offset, octets in old.receiver._pieces]
        super()._switch(connection, now)


@breaks("MAP-09")
class KeepsPieces(Boundaries):
    boundary = _KeepsPieces


@breaks("RES-01")
class SwapsHalves(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        option = segment.option
        if is_answer(segment) and option is not None and self.resuming(ports):
            swapped = Tifid.from_halves(option.tifid.second, option.tifid.first)
            return segment._replace(option=option.replace(tifid=swapped))
        return segment


class Picky(Altered):
    """Refuses some resumes of flows that it knows."""

    def minds(self, ports: Ports, boundary: IsolationBoundary, option: FlowOption) -> bool:
        return False

    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        boundary = self.known(segment.option) if is_resume(segment) else None
        if boundary is not None and segment.option is not None:
            boundary.update_flow()
            if self.minds(ports, boundary, segment.option):
                return self.refused(ports, segment, now)
        return segment


@breaks("RES-02")
class ExactlyThere(Picky):
    def minds(self, ports: Ports, boundary: IsolationBoundary, option: FlowOption) -> bool:
        assert boundary.flow is not None
        return SEQ48.difference(option.tiseq, boundary.flow.rcv) < 0


@breaks("RES-03")
class SamePortsOnly(Picky):
    def minds(self, ports: Ports, boundary: IsolationBoundary, option: FlowOption) -> bool:
        return self.ports(boundary) != ports


@breaks("RES-04")
class AnyPosition(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        boundary = self.known(segment.option) if is_resume(segment) else None
        if boundary is not None and boundary.flow is not None and segment.option is not None:
            boundary.update_flow()
            flow, option = boundary.flow, segment.option
            if not flow.accepts(option, self.config.limits):
                return segment._replace(option=option.replace(tiseq=flow.rcv, tiack=flow.nxt))
        return segment


@breaks("RES-05")
class PlainAnswers(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if is_resume(segment) and self.known(segment.option) is None:
            return segment._replace(option=None)
        return segment


@breaks("RES-07")
class BreaksBeforeMaking(Altered):
    def _resume(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        super()._resume(ports, segment, now)
        boundary = self.known(segment.option)
        if boundary is not None and boundary.pending and boundary.transport is not None:
            boundary.transport.drop()


@breaks("RES-08")
class AnyThirdAck(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        pure = not segment.length and not segment.rst and segment.option is None
        if pure and self.first_data(ports) and self.resuming(ports):
            return segment._replace(option=self.confirmation(ports))
        return segment


@breaks("RES-10")
class DeadOnly(Picky):
    def minds(self, ports: Ports, boundary: IsolationBoundary, option: FlowOption) -> bool:
        return boundary.flow is not None and boundary.flow.dormant_since is None


class _SaysFarewell(IsolationBoundary):
    def _switch(self, connection: Connection, now: int) -> None:
        old, host = self.transport, self._host
        assert isinstance(host, SaysFarewell)
        bound = host._table.of(old)
        if old is not None and bound is not None:
            host._emit(bound.ports, old._segment(FIN | ACK, old.sender.nxt))
        super()._switch(connection, now)


@breaks("RES-11")
class SaysFarewell(Boundaries):
    boundary = _SaysFarewell


@breaks("RES-13")
class MovesOn(Altered):
    def says(self, ports: Ports, segment: TcpSegment) -> TcpSegment:
        boundary = self.known(segment.option) if is_answer(segment) and self.resuming(ports) else None
        if boundary is not None and boundary.flow is not None and segment.option is not None:
            boundary.update_flow()
            return segment._replace(option=segment.option.replace(tiack=boundary.flow.rcv))
        return segment


@breaks("RES-15")
class OneEndOnly(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        ended = any(bound.boundary.receive_stream.ended for bound in self._table.at(ports))
        if segment.fin and ended and self.resuming(ports):
            return self.refused(ports, segment, now)
        return segment


@breaks("RES-16", replace(CONFIG, limits=Limits(pending=9)))
class ManyPending(Stack):
    pass


@breaks("RES-17")
class MovesForCopies(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        boundary = self.known(segment.option) if is_resume(segment) and ports in self.offers else None
        if boundary is not None and not boundary.pending and boundary.transport is not None:
            boundary.transport.drop()
        return segment


@breaks("RES-18", replace(CONFIG, flow=replace(CONFIG.flow, answerer_resumes=True)))
class Eager(Stack):
    pass


@breaks("RES-21")
class GivesUp(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        for bound in self._table.at(ports) if segment.rst else ():
            if bound.boundary.flow is not None and bound.boundary.transport is bound.connection:
                bound.boundary.abort(now)
        return segment


@breaks("RES-22")
class NeverOver(Altered):
    def _process(self, boundary: IsolationBoundary, now: int) -> None:
        super()._process(boundary, now)
        if boundary.flow is not None:
            self.ever.add(boundary.flow.name)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.ever: set[FlowName] = set()

    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option if is_resume(segment) else None
        if option is None or self.known(option) is not None or (option.variant, option.tifid) not in self.ever:
            return segment
        answer = option.replace(tiseq=option.tiack, tiack=option.tiseq)
        self._emit(ports, TcpSegment(1, segment.seq + 1 & 0xFFFFFFFF, SYN | ACK, 1000, mss=1460, option=answer))
        return None


@breaks("CTL-02")
class OneNamespace(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        option = segment.option if is_resume(segment) else None
        if option is not None and option.variant is Variant.FLOW_C:
            return segment._replace(option=option.replace(variant=Variant.FLOW_D))
        return segment


class _StaysOpen(IsolationBoundary):
    def _opened_as(self, effect: object, now: int) -> None:
        before, self.variant = self.variant, Variant.FLOW_D
        if type(effect).__name__ != "CloseBeforeData":
            super()._opened_as(effect, now)
        self.variant = before


@breaks("CTL-03", variant=Variant.FLOW_C)
class StaysOpen(Boundaries):
    boundary = _StaysOpen


@breaks("SEC-01")
class CountedHalves(Values):
    half = 0x1234

    def value(self, offer: FlowOption, values: tuple[int, int]) -> tuple[int, int]:
        self.half += 1
        return self.half, values[1]


@breaks("SEC-02")
class HalvesOfHalves(Values):
    """The second half depends on the first alone, and nobody looks whether the identifier is in use."""

    def value(self, offer: FlowOption, values: tuple[int, int]) -> tuple[int, int]:
        self.registry.in_use = lambda *_: False  # type: ignore[method-assign]
        return (offer.tifid.first * 0x9E3779 & 0xFFFFFF) or 1, values[1]


@breaks("SEC-04", replace(CONFIG, resumes=100_000, resets=100_000))
class Unlimited(Stack):
    pass


@breaks("MBX-03")
class NoOptionOnData(Altered):
    def hears(self, ports: Ports, segment: TcpSegment, now: int) -> TcpSegment | None:
        if segment.payload and segment.option is not None and not segment.syn and not self.first_data(ports):
            return self.refused(ports, segment, now)
        return segment
