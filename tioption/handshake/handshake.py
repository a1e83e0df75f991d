"""A handshake as one party has seen it: segments in, what they were and what they did out. Sans-IO, without a clock.

The party may be either host or an observer. It hands in each segment it sent, received or captured, and learns what
the segment was (an event of the table), the state after it, and every difference between its option and the one the
rules ask for. A host asks here, too, for the options it has to send.

Sources: §III.A, §III.B, EST-03 … EST-14, LEG-01 … LEG-07, MAP-04, RES-01, RES-06 … RES-08, RES-13.
"""

from __future__ import annotations

from typing import NamedTuple

from tioption.handshake.table import Event, State, step
from tioption.option import FlowOption, Tifid
from tioption.seq import SEQ32, SEQ48


class HandshakeSegment(NamedTuple):
    """A segment as far as a handshake is concerned.

    `opener` says that the host that opened the transport sent it; `option` is the one flow option that counts, None
    where there is none or receivers ignore it (OPT-01, OPT-04, OPT-05); `seq` is the header's, 32 bits.
    """

    opener: bool
    syn: bool
    ack: bool
    rst: bool
    seq: int
    payload_length: int = 0
    option: FlowOption | None = None
    fin: bool = False
    ack_number: int | None = None
    """The header's acknowledgment number, 32 bits; None where nobody asked."""


class Difference(NamedTuple):
    """A value of an option that is not what the rules ask for."""

    rule: str
    field: str
    expected: str
    found: str


class Observation(NamedTuple):
    """What a segment was to the handshake and what it did; `rule` is the table's, None where all was well.

    `differences` say which values of the option were not those of the rules; hosts can live with some (MAP-05).
    """

    event: Event | None
    state: State
    rule: str | None = None
    differences: tuple[Difference, ...] = ()


class Handshake:
    """The handshake of one transport: the options seen so far and the state they led to."""

    __slots__ = ("_answer", "_syn", "answer", "confirmation", "offer", "state")

    def __init__(self, state: State = State.IDLE) -> None:
        """Nothing has been seen yet, whatever the state."""
        self.state = state
        self.offer: FlowOption | None = None
        """The option of the SYN."""
        self.answer: FlowOption | None = None
        """The option of the SYN-ACK, right or wrong."""
        self.confirmation: FlowOption | None = None
        """The option of the third segment."""
        self._syn: HandshakeSegment | None = None
        self._answer: HandshakeSegment | None = None

    @property
    def resumes(self) -> bool:
        """Whether this transport resumes a flow instead of opening one (RES-01)."""
        option = self.offer or self.answer
        return self.offer is not None and option is not None and self.offer.tifid.second != 0

    def observe(self, segment: HandshakeSegment) -> Observation:
        """Take in the next segment; segments that mean nothing to the handshake have the event None."""
        event, differences = self._classify(segment)
        if event is None:
            return Observation(None, self.state)
        state, rule = step(self.state, event)
        self._keep(segment, event)
        self.state = state
        return Observation(event, state, rule, differences)

    @property
    def seen_syn(self) -> bool:
        """Whether the opener's SYN was seen."""
        return self._syn is not None

    @property
    def seen_answer(self) -> bool:
        """Whether a SYN-ACK was seen."""
        return self._answer is not None

    # What a host has to send.

    def ruled_answer(self, second: int, s0: int, position: int | None = None) -> FlowOption:
        """The SYN-ACK's option: `second` half and `s0` for a new flow (EST-04, EST-05).

        To a resume it is the `position` that the answerer expects (R1), and the other two do not matter. Raises
        ValueError where no offer has been seen.
        """
        offer = self._required(self.offer, "an offer")
        if self.resumes:
            assert position is not None, "a resume is answered with a position"
            return offer.replace(tiseq=offer.tiack, tiack=position)
        return offer.replace(tifid=Tifid.from_halves(offer.tifid.first, second), tiseq=s0, tiack=offer.tiseq)

    def ruled_confirmation(self) -> FlowOption:
        """The third segment's option (EST-07, MAP-04); raises ValueError where no answer has been seen."""
        answer = self._required(self.answer, "an answer")
        return answer.replace(tiseq=answer.tiack, tiack=answer.tiseq)

    @staticmethod
    def _required(option: FlowOption | None, what: str) -> FlowOption:
        if option is None:
            raise ValueError(f"expected {what} with the option before, found none")
        return option

    # What a segment is.

    def _classify(self, segment: HandshakeSegment) -> tuple[Event | None, tuple[Difference, ...]]:
        if segment.rst:
            return Event.RESET, ()
        if segment.syn:
            return self._classify_answer(segment) if segment.ack else self._classify_syn(segment)
        if not segment.opener:
            return self._classify_peer(segment)
        return self._classify_opener(segment)

    def _classify_syn(self, segment: HandshakeSegment) -> tuple[Event, tuple[Difference, ...]]:
        option, before = segment.option, self._syn
        if not segment.opener:
            return Event.PEER_SYN, ()
        if before is not None and before.seq == segment.seq:
            if option == before.option:
                return Event.SYN_SAME, ()
            if option is None:
                return Event.SYN_STRIPPED, ()
            if before.option is None and option.tifid.second == 0:
                return Event.SYN_OVERTAKEN, ()
            return Event.SYN_CHANGED, _changes("EST-09", before.option, option)
        if option is None:
            return Event.SYN_PLAIN, ()
        return (Event.SYN_NEW if option.tifid.second == 0 else Event.SYN_RESUME), ()

    def _classify_answer(self, segment: HandshakeSegment) -> tuple[Event, tuple[Difference, ...]]:
        option, before = segment.option, self._answer
        if before is not None and before.seq == segment.seq:
            if option == before.option:
                return Event.ANSWER_SAME, ()
            return Event.ANSWER_CHANGED, _changes("RES-13" if self.resumes else "EST-09", before.option, option)
        if option is None:
            return Event.ANSWER_PLAIN, ()
        if self._syn is None:
            return Event.ANSWER_RIGHT, ()  # nothing to hold it against
        if self.offer is None or option.variant is not self.offer.variant:
            return Event.ANSWER_UNASKED, ()
        if option == self.offer:
            return Event.ANSWER_ECHO, ()
        differences = tuple(self._answer_differences(self.offer, option))
        return (Event.ANSWER_RIGHT if _passable(differences) else Event.ANSWER_WRONG), differences

    def _answer_differences(self, offer: FlowOption, answer: FlowOption) -> list[Difference]:
        """What is wrong with the SYN-ACK's option beside the SYN's."""
        if not self.resumes:
            return new_flow_differences(offer, answer)
        found = []
        if answer.tifid != offer.tifid:
            found.append(Difference("RES-01", "tifid", str(offer.tifid), str(answer.tifid)))
        if answer.tiseq != offer.tiack:
            found.append(Difference("MAP-04", "tiseq", f"{offer.tiack:012x}", f"{answer.tiseq:012x}"))
        return found

    def _classify_peer(self, segment: HandshakeSegment) -> tuple[Event | None, tuple[Difference, ...]]:
        if segment.option is not None:
            return Event.STRAY, ()
        return (Event.PEER_TALKS, ()) if self._answer is not None else (None, ())

    def _classify_opener(self, segment: HandshakeSegment) -> tuple[Event | None, tuple[Difference, ...]]:
        """The opener's segments after its SYN: the confirmation, its copies, and everything later."""
        option = segment.option
        if self._answer is not None and segment.ack and segment.ack_number is not None:
            first = SEQ32.add(self._answer.seq, 1)
            if SEQ32.precedes(segment.ack_number, first):
                return None, ()  # a late copy from an earlier connection: its receiver refuses it
        if self.state is State.UNCONFIRMED and option is None:
            return None, ()
        if self.state in {State.CONFIRMED, State.SETTLED, State.LEGACY}:
            if option is None:
                return None, ()
            return self._classify_copy(segment), ()
        if option is None:
            # A FIN takes a number of the sequence space as data does: it is no third ACK, which must have been lost.
            return (Event.DATA_PLAIN if segment.payload_length or segment.fin else Event.CONFIRM_PLAIN), ()
        if self._syn is not None and self._syn.option is None and self._answer is None:
            return Event.STRAY, ()  # a SYN that has lost its option, and nobody knows what the SYN-ACK had (LEG-05)
        differences = tuple(self._confirmation_differences(option))
        return (Event.CONFIRM_RIGHT if _passable(differences) else Event.CONFIRM_WRONG), differences

    def _classify_copy(self, segment: HandshakeSegment) -> Event:
        """An option after the confirmation: a copy, which may have crossed what the answerer said meanwhile."""
        confirmation = self.confirmation
        if confirmation is None and self.answer is not None:  # the third ACK was lost, or comes only now
            confirmation = self.ruled_confirmation()
        if segment.option != confirmation:
            return Event.STRAY
        unheard = self._answer is not None and segment.ack_number == SEQ32.add(self._answer.seq, 1)
        return Event.CROSSING_COPY if unheard and self.state is State.SETTLED else Event.COPY

    def _confirmation_differences(self, option: FlowOption) -> list[Difference]:
        """What is wrong with the third segment's option beside those before it."""
        if self.answer is None:
            return []  # the SYN-ACK was not captured, or had none: there is nothing to hold it against
        ruled = self.ruled_confirmation()
        values, identity = ("MAP-04", "RES-01") if self.resumes else ("EST-07", "EST-07")
        found = []
        if option.tifid != ruled.tifid or option.variant is not ruled.variant:
            found.append(Difference(identity, "tifid", str(ruled.tifid), str(option.tifid)))
        if option.tiseq != ruled.tiseq:
            found.append(Difference(values, "tiseq", f"{ruled.tiseq:012x}", f"{option.tiseq:012x}"))
        if option.tiack != ruled.tiack:
            found.append(Difference(values, "tiack", f"{ruled.tiack:012x}", f"{option.tiack:012x}"))
        return found

    def _keep(self, segment: HandshakeSegment, event: Event) -> None:
        """Remember what later segments are held against: the first of each kind, as its receiver does."""
        if event in {Event.SYN_NEW, Event.SYN_RESUME, Event.SYN_PLAIN} and self._syn is None:
            self._syn, self.offer = segment, segment.option
        elif segment.syn and segment.ack and segment.opener is False and self._answer is None:
            self._answer, self.answer = segment, segment.option
        elif event is Event.CONFIRM_RIGHT and self.confirmation is None:
            self.confirmation = segment.option


def new_flow_differences(offer: FlowOption, answer: FlowOption) -> list[Difference]:
    """What is wrong with a SYN-ACK's option beside that of the SYN of a new flow (EST-04, EST-05); not its kind."""
    found = []
    if answer.tifid.first != offer.tifid.first:
        expected, half = f"{offer.tifid.first:06x}", f"{answer.tifid.first:06x}"
        found.append(Difference("EST-04", "tifid.first", expected, half))
    if answer.tifid.second == 0:
        found.append(Difference("EST-04", "tifid.second", "a half that is not zero", "000000"))
    if answer.tiack != offer.tiseq:
        found.append(Difference("EST-05", "tiack", f"{offer.tiseq:012x}", f"{answer.tiack:012x}"))
    return found


def _passable(differences: tuple[Difference, ...]) -> bool:
    """Whether a host can go on with an option of these differences.

    That is so with none, and with a resume's TISeq below what the receiver has: its sender reads resumption as
    beginning at its own oldest unacknowledged byte, and the receiver trims (R2, MAP-04, MAP-05). Above would be a gap.
    """
    if len(differences) != 1 or (differences[0].rule, differences[0].field) != ("MAP-04", "tiseq"):
        return not differences
    return SEQ48.difference(int(differences[0].found, 16), int(differences[0].expected, 16)) < 0


def _changes(rule: str, before: FlowOption | None, after: FlowOption | None) -> tuple[Difference, ...]:
    """Every value in which a retransmission differs from the first."""
    if before is None or after is None:
        return (Difference(rule, "option", str(before or "none"), str(after or "none")),)
    fields = ("tifid", "tiseq", "tiack")
    pairs = ((name, str(getattr(before, name)), str(getattr(after, name))) for name in fields)
    changed = [Difference(rule, name, old, new) for name, old, new in pairs if old != new]
    return tuple(changed) or (Difference(rule, "variant", before.variant.value, after.variant.value),)
