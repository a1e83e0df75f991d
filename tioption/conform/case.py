"""What a check is written with: connections, flows, waiting, and the few ways in which a host can disappoint.

A check is a generator, a script in the order in which things happen: it sends, and `yield from`s whatever takes time.
What it yields is when it wants to go on at the latest, in nanoseconds; it goes on as soon as something has arrived.
Nothing here knows a clock or a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeVar

from tioption.capture.segment import ACK, FIN, PSH, RST
from tioption.conform.outcome import Failed, NotApplicable
from tioption.conform.transport import Arrival, Transport
from tioption.endpoint.rtt import SECOND
from tioption.handshake.handshake import new_flow_differences
from tioption.handshake.values import RandomBits, first_half, initial_position
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant
from tioption.packet import Ports
from tioption.seq import SEQ48

_T = TypeVar("_T")
Script = Generator[int, None, _T]
"""A stretch of a check: yields until when it waits at the latest, returns what it was for."""

_LEAST_QUIET: Final = 300_000_000
_TRIES: Final = 3
_WRONG: Final = {"tifid.first": "another first half", "tifid.second": "no second half", "tiack": "a wrong TIAck"}
"""What a SYN-ACK has whose option differs in these fields from the one that the offer asks for."""


@dataclass
class Facts:
    """What was found out about the host before the checks."""

    round_trip: int = 0
    silent: str = ""
    """Why it does not speak the option at all; empty where its SYN-ACK has one, right or wrong."""
    flowless: str = ""
    """Why no flow can be established; empty where it can."""
    alive: bool = False
    """Whether it lets a flow be resumed whose transport lives."""
    broken: bool = False
    """Whether it lets a flow be resumed whose transport was reset; asked only where the above is not so."""
    echoes: bool = False
    """Whether the service sends back what it gets."""


@dataclass(frozen=True)
class Setting:
    """Where and how a run takes place."""

    local: str
    """Our address, of the family of the host's."""
    remote: str
    port: int
    bits: RandomBits
    """Where everything random comes from: `secrets.randbits` on a live network."""
    claim: Callable[[], int]
    """Takes a port of our address for a connection."""
    variant: Variant = Variant.FLOW_D
    kinds: Kinds = DEFAULT_KINDS
    timeout: int = 3 * SECOND
    """How long an answer may take, in nanoseconds."""
    facts: Facts = field(default_factory=Facts)


class Flow:
    """A flow as its opener knows it; positions are 48 bits."""

    def __init__(self, transport: Transport, offer: FlowOption, answer: FlowOption) -> None:
        """Begin where a first handshake ends."""
        self.transport = transport
        self.variant = answer.variant
        self.tifid = answer.tifid
        self.own = offer.tiseq
        self.other = answer.tiseq
        self.sent = 0
        """Octets of the stream sent so far."""
        self._before = b""

    @property
    def received(self) -> bytes:
        """Octets of the host's stream that have come so far."""
        return self._before + bytes(self.transport.received)

    @property
    def nxt(self) -> int:
        """Where this side stopped."""
        return SEQ48.add(self.own, self.sent)

    @property
    def rcv(self) -> int:
        """What this side expects next."""
        return SEQ48.add(self.other, len(self.received))

    @property
    def confirmation(self) -> FlowOption:
        """The third ACK's option of the first transport (EST-07)."""
        return FlowOption(self.variant, self.tifid, self.own, self.other)

    def switch(self, transport: Transport, received: bytes) -> None:
        """Go on, on another transport, after these octets of the host's stream."""
        self._before = received
        self.transport = transport


class Attempt:
    """A resume of a flow: the SYN, and what has come of it."""

    def __init__(self, transport: Transport, offer: FlowOption) -> None:
        """Nothing has come yet."""
        self.transport = transport
        self.offer = offer

    @property
    def answer(self) -> FlowOption | None:
        """The option of the SYN-ACK: the host takes it for a resume. None where there is none."""
        return self.transport.answer.flow if self.transport.answer is not None else None

    @property
    def confirmation(self) -> FlowOption:
        """The third ACK's option (MAP-04)."""
        assert self.answer is not None
        return self.answer.replace(tiseq=self.answer.tiack, tiack=self.answer.tiseq)


class Case:
    """One check as it runs."""

    def __init__(self, setting: Setting, send: Callable[[bytes, bytes, bytes], object]) -> None:
        """Run in a setting; `send` takes source, destination and the octets of a TCP segment."""
        self.setting = setting
        self.facts = setting.facts
        self.variant = setting.variant
        self.bits = setting.bits
        self.transports: list[Transport] = []
        self.strangers: list[Arrival] = []
        """What the host has sent to our ports from other ones than that of the service."""
        self.now = 0
        self._send = send

    # Time.

    @property
    def quiet(self) -> int:
        """How long a host may take for what it does at once."""
        return min(self.setting.timeout, max(_LEAST_QUIET, 4 * self.facts.round_trip))

    def until(
        self, happened: Callable[[], object], within: int | None = None, again: Callable[[], object] | None = None
    ) -> Script[bool]:
        """Wait for something: whether it has happened. Meanwhile do `again` now and then, for a path loses segments."""
        within = self.setting.timeout if within is None else within
        deadline, pace = self.now + within, max(1, within // _TRIES)
        due = self.now + pace
        while not happened():
            if self.now >= deadline:
                return False
            if again is not None and self.now >= due:
                again()
                due += pace
            yield min(deadline, due) if again is not None else deadline
        return True

    def pause(self, duration: int) -> Script[None]:
        """Let time pass, whatever arrives."""
        yield from self.until(lambda: False, duration)

    def advance(self, now: int) -> None:
        """It is later."""
        self.now = now
        for transport in self.transports:
            transport.now = now

    # Connections.

    def transport(self, isn: int | None = None) -> Transport:
        """A connection that is still to be opened, from a port of its own."""
        setting = self.setting
        here, there = ip_address(setting.local).packed, ip_address(setting.remote).packed
        ports = Ports(here, setting.claim(), there, setting.port)
        isn = self.bits(32) if isn is None else isn
        made = Transport(ports, isn, self.bits(32), setting.kinds, self._out)
        made.now = self.now
        self.transports.append(made)
        return made

    def _out(self, ports: Ports, octets: bytes) -> None:
        self._send(ports.source, ports.destination, octets)

    def open(
        self,
        option: FlowOption | None = None,
        *,
        area: bytes | None = None,
        payload: bytes = b"",
        transport: Transport | None = None,
        within: int | None = None,
    ) -> Script[Transport]:
        """Send a SYN and wait for what comes: `answer`, or `reset`, or neither."""
        opened = transport if transport is not None else self.transport()
        opened.syn(option, area, payload)
        yield from self.until(lambda: opened.answers or opened.reset, within, opened.syn_again)
        return opened

    def octets(self, count: int) -> bytes:
        """Octets for a stream, which every service of lines can stand."""
        return bytes(97 + self.bits(8) % 26 for _ in range(count - 1)) + b"\n"

    def carried(self, transport: Transport, payload: bytes, option: FlowOption | None = None) -> Script[bool]:
        """Send octets, and wait until they are acknowledged: whether they were."""
        at = transport.nxt
        transport.data(payload, option=option)
        end = transport.nxt
        yield from self.until(
            lambda: transport.acked >= end or transport.reset is not None,
            again=lambda: transport.segment(ACK | PSH, payload, at=at),
        )
        return transport.acked >= end and transport.reset is None

    def finished(self, transport: Transport) -> Script[bool]:
        """Send a FIN, and wait until it is acknowledged: whether it was."""
        at = transport.nxt
        transport.segment(ACK | FIN)
        yield from self.until(
            lambda: transport.acked > at or transport.reset is not None,
            again=lambda: transport.segment(ACK | FIN, at=at),
        )
        return transport.acked > at

    def goes_on_plainly(self, transport: Transport) -> Script[bool]:
        """Whether a connection without a flow carries octets; control closes it instead (CTL-03)."""
        if self.variant is Variant.FLOW_C:
            return True
        return (yield from self.carried(transport, self.octets(20)))

    # Flows.

    def offer(
        self, *, first: int | None = None, position: int | None = None, variant: Variant | None = None
    ) -> FlowOption:
        """The option of a new flow's SYN (EST-01)."""
        half = first_half(self.bits) if first is None else first
        at = initial_position(self.bits) if position is None else position
        return FlowOption(variant or self.variant, Tifid.from_halves(half), at, 0)

    def offered(self, offer: FlowOption | None = None) -> Script[tuple[Transport, FlowOption, Arrival]]:
        """Offer a new flow: the connection, the offer, and a SYN-ACK that has the option, right or wrong."""
        offer = offer or self.offer()
        transport = yield from self.open(offer)
        answer = transport.answer
        if answer is None:
            raise NotApplicable(f"no SYN-ACK to a SYN with the option, but {transport.told}")
        if answer.flow is None:
            raise NotApplicable("the SYN-ACK has no option")
        return transport, offer, answer

    def agreed(self, offer: FlowOption | None = None, isn: int | None = None) -> Script[Flow]:
        """A new flow whose third ACK is still to be sent."""
        offer = offer or self.offer()
        transport = yield from self.open(offer, transport=self.transport(isn))
        wrong = disagreement(offer, transport)
        if wrong:
            raise NotApplicable(f"no flow can be established: {wrong}")
        assert transport.answer is not None
        assert transport.answer.flow is not None
        return Flow(transport, offer, transport.answer.flow)

    def established(self, offer: FlowOption | None = None, isn: int | None = None) -> Script[Flow]:
        """A new flow."""
        flow = yield from self.agreed(offer, isn)
        flow.transport.confirm(flow.confirmation)
        return flow

    def delivered(self, flow: Flow, count: int = 100, transport: Transport | None = None) -> Script[bytes]:
        """Send octets on a flow, which have to be acknowledged; returns them."""
        payload = self.octets(count)
        carrier = transport or flow.transport
        if not (yield from self.carried(carrier, payload)):
            raise NotApplicable(f"octets of a flow are not acknowledged: {carrier.told}")
        flow.sent += count
        return payload

    def begun(self, count: int = 100) -> Script[Flow]:
        """A flow that has carried octets, and what the service has said to them."""
        flow = yield from self.established()
        yield from self.delivered(flow, count)
        if self.facts.echoes:
            yield from self.until(lambda: len(flow.received) >= count)
        return flow

    def attempted(
        self,
        flow: Flow,
        *,
        option: FlowOption | None = None,
        isn: int | None = None,
        tiseq: int | None = None,
        tiack: int | None = None,
    ) -> Script[Attempt]:
        """Try to resume a flow (RES-02), with another option or other values in it where they are given.

        What its transport brings from now on is not acknowledged (RES-09).
        """
        flow.transport.automatic = False
        at = flow.nxt if tiseq is None else tiseq
        expected = flow.rcv if tiack is None else tiack
        attempt = Attempt(self.transport(isn), option or FlowOption(flow.variant, flow.tifid, at, expected))
        yield from self.open(attempt.offer, transport=attempt.transport)
        return attempt

    def answered(self, flow: Flow) -> Script[tuple[Attempt, FlowOption]]:
        """A resume that the host has answered as one, its third ACK still to be sent."""
        attempt = yield from self.attempted(flow)
        answer = attempt.answer
        if answer is None:
            raise NotApplicable(f"the host refuses a resume that is right, by {attempt.transport.told}")
        self.same_flow(flow, attempt)
        if answer.tiseq != attempt.offer.tiack:
            raise NotApplicable("the SYN-ACK to a resume goes on elsewhere (MAP-04)")
        return attempt, answer

    @staticmethod
    def same_flow(flow: Flow, attempt: Attempt) -> None:
        """The SYN-ACK names the flow of the SYN; raises NotApplicable where it does not."""
        answer = attempt.answer
        if answer is None or answer.tifid != flow.tifid or answer.variant is not flow.variant:
            raise NotApplicable("the SYN-ACK to a resume names another flow (RES-01)")

    def confirmed(self, transport: Transport, option: FlowOption | None) -> Script[None]:
        """Send a third ACK that has to be reset, and wait for that."""
        transport.confirm(option)
        yield from self.until(lambda: transport.reset, again=lambda: transport.segment(option=option))

    def switch(self, flow: Flow, attempt: Attempt, option: FlowOption | None = None) -> None:
        """Send the third ACK of a resume, with another option where one is given; the flow goes on there."""
        attempt.transport.confirm(option or attempt.confirmation)
        self.goes_over(flow, attempt)

    @staticmethod
    def goes_over(flow: Flow, attempt: Attempt) -> None:
        """The flow goes on, on the transport of a resume, at what its SYN expected."""
        count = SEQ48.difference(attempt.offer.tiack, flow.other)
        flow.switch(attempt.transport, flow.received[: max(0, count)])

    def resumed(self, flow: Flow) -> Script[FlowOption]:
        """Resume a flow; returns the option of the SYN-ACK."""
        attempt, answer = yield from self.answered(flow)
        self.switch(flow, attempt)
        return answer

    def reset(self, transport: Transport) -> None:
        """Break a transport as a middlebox does that has forgotten it."""
        transport.segment(RST | ACK)
        transport.automatic = False

    # What a host can do wrong.

    @staticmethod
    def require(kept: object, expected: str, found: object) -> None:
        """The rule asks for this; raises Failed where it is not kept."""
        if not kept:
            raise Failed(expected, str(found))

    def refused(self, attempt: Attempt, what: str) -> None:
        """The host must not take this for a resume; raises Failed where it does."""
        self.require(attempt.answer is None, f"no flow to be resumed {what}", attempt.transport.answer)

    def other_variant(self) -> Variant:
        """The variant that is not tested."""
        return Variant.FLOW_C if self.variant is Variant.FLOW_D else Variant.FLOW_D


def disagreement(offer: FlowOption, transport: Transport) -> str:
    """Why a SYN-ACK makes no flow of an offer, with the rule it breaks; empty where it does (EST-06)."""
    answer = transport.answer
    if answer is None:
        return f"a SYN with the option is answered by {transport.told}"
    flow = answer.flow
    if flow is None:
        return "its SYN-ACK has no option"
    wrong = {
        "more than one option (OPT-04)": len(answer.flows) > 1,
        "the option of the other kind (EST-03)": flow.variant is not offer.variant,
        "the SYN's own option: an echo, not support (LEG-07)": flow == offer,
    }
    found = [what for what, is_so in wrong.items() if is_so]
    found += [f"{_WRONG[one.field]} ({one.rule})" for one in new_flow_differences(offer, flow)]
    return f"its SYN-ACK has {found[0]}" if found else ""
