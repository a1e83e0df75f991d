"""A host's side of a handshake: events in, effects out, and everything in between decided by the table.

`Opener` opens a new flow or resumes one; `Answerer` answers a SYN. Both are fed with what arrives and with the time,
and say what is to be sent and what has come of it. Sending, retransmitting and timers are the caller's.

Sources: §III.A … §III.C; EST-01 … EST-14, LEG-01 … LEG-08, RES-01 … RES-16, CTL-03.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tioption.handshake.handshake import Handshake, HandshakeSegment
from tioption.handshake.paths import PathMemory
from tioption.handshake.registry import Flow, FlowName, FlowRegistry
from tioption.handshake.table import Event, State
from tioption.handshake.values import AnswerValues, Handle, RandomBits, first_half, initial_position
from tioption.option import FlowOption, Tifid, Variant
from tioption.seq import SEQ48

OPTIONLESS_AFTER: Final = 2
"""Losses of a new flow's SYN after which it may be sent without the option (LEG-04)."""


@dataclass(frozen=True, slots=True)
class SendSyn:
    """Send the SYN, again with the same ISN where it was sent before; `option` None drops the option (LEG-04)."""

    option: FlowOption | None


@dataclass(frozen=True, slots=True)
class SendSynAck:
    """Send the SYN-ACK, with the option or without."""

    option: FlowOption | None


@dataclass(frozen=True, slots=True)
class SendAck:
    """Send the third ACK, or repeat it; `option` None is plain TCP."""

    option: FlowOption | None


@dataclass(frozen=True, slots=True)
class SendReset:
    """Send a RST and forget the transport."""

    why: str


@dataclass(frozen=True, slots=True)
class Established:
    """The transport carries a new flow; its anchors are the initial positions."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Resumed:
    """The transport carries the flow on: own ISN+1 stands for `own`, the other side's for `other` (R1, MAP-03).

    The old transport is to be dropped silently (RES-11).
    """

    flow: Flow
    own: int
    other: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Data came before the confirmation: the flow stands, but whether the opener knows is open (EST-12)."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class FellBack:
    """The transport is plain TCP."""

    why: str


@dataclass(frozen=True, slots=True)
class CloseBeforeData:
    """The transport is plain TCP but was meant for control: close it before any byte (CTL-03)."""


@dataclass(frozen=True, slots=True)
class ResumeFailed:
    """The resume came to nothing; the old transport may thaw, or the application gets ECONNRESET (RES-06, RES-20)."""

    why: str


Effect = (
    SendSyn
    | SendSynAck
    | SendAck
    | SendReset
    | Established
    | Resumed
    | Unconfirmed
    | FellBack
    | CloseBeforeData
    | ResumeFailed
)


class Opener:
    """The side that sends the SYN."""

    def __init__(
        self,
        registry: FlowRegistry,
        bits: RandomBits,
        variant: Variant = Variant.FLOW_D,
        paths: PathMemory | None = None,
    ) -> None:
        """Draw identifiers and positions from `bits`; keep flows in `registry`, and in `paths` what paths drop."""
        self.handshake = Handshake()
        self._registry = registry
        self._bits = bits
        self._variant = variant
        self._paths = paths
        self._peer = b""
        self._flow: Flow | None = None
        self._isn = 0
        self._losses = 0
        self._done = False

    def open(self, isn: int, now: int, peer: bytes = b"") -> list[Effect]:
        """Open a new flow on a transport with this ISN (EST-01).

        Where the path to the address `peer` is known to lose SYNs with the option, this one goes without (LEG-04).
        """
        self._peer = peer
        if self._paths is not None and self._paths.drops_option(peer, now):
            return self._send_syn(isn, None)
        while self._registry.first_in_use(self._variant, first := first_half(self._bits), now):
            pass
        option = FlowOption(self._variant, Tifid.from_halves(first), initial_position(self._bits), 0)
        return self._send_syn(isn, option)

    def resume(self, flow: Flow, isn: int) -> list[Effect]:
        """Resume a flow whose positions are frozen (RES-02, RES-09)."""
        self._flow = flow
        flow.resuming = True
        return self._send_syn(isn, FlowOption(flow.name.variant, flow.name.tifid, flow.nxt, flow.rcv))

    def _send_syn(self, isn: int, option: FlowOption | None) -> list[Effect]:
        self._isn = isn
        self.handshake.observe(HandshakeSegment(opener=True, syn=True, ack=False, rst=False, seq=isn, option=option))
        return [SendSyn(option)]

    def syn_lost(self) -> list[Effect]:
        """The SYN was not answered in time: what to send now (EST-09, LEG-04, LEG-06)."""
        self._losses += 1
        if self._flow is None and self._losses >= OPTIONLESS_AFTER:
            return self._send_syn(self._isn, None)
        return self._send_syn(self._isn, self.handshake.offer)

    def gave_up(self) -> list[Effect]:
        """Nothing has answered the SYN, and the caller no longer waits."""
        if self._done:
            return []
        self._done = True
        return self._failed("not answered") if self._flow is not None else []

    def received(self, segment: HandshakeSegment, now: int) -> list[Effect]:
        """A segment of the other side arrived."""
        before = self.handshake.state
        observation = self.handshake.observe(segment)
        if self._done:
            # A SYN-ACK that comes again lost its ACK: it is answered with the identical option (EST-10).
            again = observation.event in {Event.ANSWER_SAME, Event.ANSWER_CHANGED}
            return self._confirm_again() if again else []
        if observation.event is Event.RESET:
            self._done = True
            return self._failed("reset") if self._flow is not None else []
        if observation.event is Event.PEER_SYN:  # a simultaneous open is plain TCP for both (EST-14)
            self._done = True
            if self._flow is not None:  # and plain TCP is no resume (LEG-06)
                why = "the resume was not answered as one"
                return [SendReset(why), *self._failed("crossed")]
            return [SendSynAck(None), FellBack(observation.state.value)]
        answered_plainly = before is State.PLAIN  # to a SYN without the option every answer is plain TCP
        if not segment.syn or not segment.ack or (before is observation.state and not answered_plainly):
            return []
        self._done = True
        if observation.state is State.ANSWERED:
            return self._confirm(now)
        if observation.state is State.RESUME_ANSWERED:
            return self._continue()
        if self._flow is not None:
            self.handshake.observe(_own(rst=True, seq=self._isn))
            why = "the resume was not answered as one"
            return [SendReset(why), *self._failed(observation.state.value)]
        if self._paths is not None and self._losses >= OPTIONLESS_AFTER:
            self._paths.remember(self._peer, now)  # only the SYN without the option came through
        return self._fall_back(observation.state.value)

    def _failed(self, why: str) -> list[Effect]:
        assert self._flow is not None
        self._flow.resuming = False
        return [ResumeFailed(why)]

    def _confirm(self, now: int) -> list[Effect]:
        """Confirm a new flow (EST-07) and keep it."""
        offer, answer = self.handshake.offer, self.handshake.answer
        assert offer is not None
        assert answer is not None
        name = FlowName(answer.variant, answer.tifid)
        flow = Flow(name, True, offer.tiseq, offer.tiseq, answer.tiseq)
        if self._registry.in_use(name, now) or not self._registry.add(flow, now):
            return self._fall_back("no room for the flow, or its identifier is in use")
        return [self._send_ack(self.handshake.ruled_confirmation()), Established(flow)]

    def _continue(self) -> list[Effect]:
        """Go on where the answerer says it stands, if that can be (RES-14)."""
        flow, answer = self._flow, self.handshake.answer
        assert flow is not None
        assert answer is not None
        probe = FlowOption(answer.variant, answer.tifid, flow.rcv, answer.tiack)
        if not flow.accepts(probe, self._registry.limits):
            self.handshake.observe(_own(rst=True, seq=self._isn))
            return [SendReset("bytes between the streams are gone"), *self._failed("bytes are gone")]
        self._registry.wake(flow.name)
        ack = self._send_ack(self.handshake.ruled_confirmation())
        return [ack, Resumed(flow, own=answer.tiack, other=answer.tiseq)]

    def _fall_back(self, why: str) -> list[Effect]:
        effects: list[Effect] = [self._send_ack(None), FellBack(why)]
        return [*effects, CloseBeforeData()] if self._variant is Variant.FLOW_C else effects

    def _send_ack(self, option: FlowOption | None) -> SendAck:
        self.handshake.observe(_own(seq=self._isn, option=option))
        return SendAck(option)

    def _confirm_again(self) -> list[Effect]:
        self.handshake.observe(_own(seq=self._isn, option=self.handshake.confirmation))
        return [SendAck(self.handshake.confirmation)]


class Answerer:
    """The side that answers one SYN; a listener makes one for each."""

    def __init__(self, registry: FlowRegistry, values: AnswerValues, *, enabled: bool = True) -> None:
        """Take second halves and positions from `values`; with `enabled` False every SYN is plain TCP."""
        self.handshake = Handshake()
        self._registry = registry
        self._values = values
        self._enabled = enabled
        self._flow: Flow | None = None
        self._answer: FlowOption | None = None
        self._isn = 0
        self._resumed = 0
        self._done = False
        self._refused = False

    def gave_up(self) -> list[Effect]:
        """Nothing has followed the SYN-ACK, and the caller no longer waits: a pending resume is pending no more."""
        if self._done:
            return []
        self._done = True
        if self._flow is None:
            return []
        self._flow.pending -= 1
        return [ResumeFailed("not confirmed")]

    def received(self, segment: HandshakeSegment, handle: Handle, isn: int, now: int) -> list[Effect]:
        """A segment of the other side arrived; `isn` is what this side's SYN-ACK uses."""
        if not self._enabled and segment.syn:
            segment = HandshakeSegment(True, True, segment.ack, segment.rst, segment.seq, segment.payload_length)
        before = self.handshake.state
        observation = self.handshake.observe(segment)
        if segment.syn and not segment.ack:
            return self._answer_syn(observation.event, handle, isn, now)
        if before is State.UNCONFIRMED and observation.state is State.CONFIRMED and self._flow is not None:
            return [Established(self._flow)]  # the third ACK was only late
        if self._done or before is observation.state:
            return []
        self._done = True
        return self._decide(observation.state, now)

    def _answer_syn(self, event: Event | None, handle: Handle, isn: int, now: int) -> list[Effect]:
        if self._refused:
            return [SendReset("the resume names no flow that could go on there")]
        if event in {Event.SYN_SAME, Event.SYN_STRIPPED, Event.SYN_OVERTAKEN, Event.SYN_CHANGED}:
            return [] if self._done else [SendSynAck(self._answer)]  # with what it had the first time (EST-09)
        self._isn = isn
        offer = self.handshake.offer
        if offer is not None and self.handshake.resumes:
            flow = self._registry.find(FlowName(offer.variant, offer.tifid), now)
            if flow is None or not self._welcome(flow, offer):
                self._refused = True
                return [SendReset("the resume names no flow that could go on there")]
            flow.pending += 1
            self._flow, self._resumed = flow, flow.resumed
            self._answer = self.handshake.ruled_answer(0, 0, flow.rcv)
        elif offer is not None:
            self._answer = self._new(offer, handle, now)
        self.handshake.observe(
            HandshakeSegment(opener=False, syn=True, ack=True, rst=False, seq=isn, option=self._answer)
        )
        return [SendSynAck(self._answer)]

    def _welcome(self, flow: Flow, offer: FlowOption) -> bool:
        """Whether the flow can be resumed there (RES-04), by one more (RES-16), by the other side now (RES-18)."""
        limits = self._registry.limits
        crosses_ours = flow.opened and flow.resuming  # of crossing attempts that of the flow's opener wins
        return flow.accepts(offer, limits) and flow.pending < limits.pending and not crosses_ours

    def _new(self, offer: FlowOption, handle: Handle, now: int) -> FlowOption:
        """The answer to a new flow, with a TIFID that is not in use (EST-04, EST-05, SEC-02)."""
        for attempt in range(1 << 16):
            second, position = self._values.answer(offer, handle, attempt)
            answer = self.handshake.ruled_answer(second, position)
            if not self._registry.in_use(FlowName(answer.variant, answer.tifid), now):
                return answer
        raise AssertionError("65,536 identifiers in a row are in use: the source of second halves is broken")

    def _decide(self, state: State, now: int) -> list[Effect]:
        """What the segment after the SYN-ACK decides (EST-08, EST-12, LEG-03, RES-07, RES-08)."""
        if self._flow is not None:
            self._flow.pending -= 1
        if state is State.LEGACY and self._flow is not None:  # an observer's word for what is a failed resume here
            return [ResumeFailed("not confirmed")]
        if state is State.CONFIRMED and self._flow is not None:
            if self._flow.resumed != self._resumed:  # of several pending ones the first that is confirmed wins
                return [SendReset("another resume of the flow was confirmed"), ResumeFailed("another one won")]
            own, other = self._anchors()
            if SEQ48.precedes(
                own, self._flow.una
            ):  # acknowledged on the old transport meanwhile (RES-09), and forgotten
                return [SendReset("what the resume asks for was acknowledged since"), ResumeFailed("bytes are gone")]
            self._registry.wake(self._flow.name)
            return [Resumed(self._flow, own, other)]
        if state in {State.CONFIRMED, State.UNCONFIRMED}:
            return self._keep(state, now)
        if state is State.UNPROVEN:
            self.handshake.observe(HandshakeSegment(opener=False, syn=False, ack=True, rst=True, seq=self._isn))
            return [SendReset("the resume was not confirmed"), ResumeFailed("not confirmed")]
        if state is State.FAILED:
            return [ResumeFailed("reset")]
        if state is State.CLOSED:
            return []
        offer = self.handshake.offer
        effects: list[Effect] = [FellBack(state.value)]
        return [*effects, CloseBeforeData()] if offer is not None and offer.variant is Variant.FLOW_C else effects

    def _anchors(self) -> tuple[int, int]:
        """Positions of own and the other side's ISN+1: what each last put into its TISeq (R1, MAP-03)."""
        assert self._answer is not None
        confirmation = self.handshake.confirmation  # None where the third ACK was lost
        return self._answer.tiseq, confirmation.tiseq if confirmation is not None else self._answer.tiack

    def _keep(self, state: State, now: int) -> list[Effect]:
        offer, answer = self.handshake.offer, self._answer
        assert offer is not None
        assert answer is not None
        flow = Flow(FlowName(answer.variant, answer.tifid), False, answer.tiseq, answer.tiseq, offer.tiseq)
        if not self._registry.add(flow, now):
            return [FellBack("no room for the flow")]
        self._flow = flow
        return [Established(flow) if state is State.CONFIRMED else Unconfirmed(flow)]


def _own(*, seq: int, rst: bool = False, option: FlowOption | None = None) -> HandshakeSegment:
    """A segment of the opener after its SYN, as its own handshake sees it."""
    return HandshakeSegment(opener=True, syn=False, ack=True, rst=rst, seq=seq, option=option)
