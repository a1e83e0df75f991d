"""The quick validator: ordinary connections are judged in C, batch by batch, and the rest as `validator.py` does it.

An ordinary connection is one about which there is nothing to say but its verdict. The C code (`_ordinary_core.h`)
follows it with the handshake's own table; at the first segment that makes it strange it hands over what it knows, and
from then on the connection is judged here. Both ways agree on everything; a test holds them against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from tioption.capture.segment import Segment
from tioption.flow import GENERATION, Anchors, Connection, Direction, FlowKey, Peer, Transport
from tioption.handshake import TABLE, Event, Handshake, HandshakeSegment, State
from tioption.layout import EXPERIMENT_KINDS, EXPERIMENTS
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid
from tioption.seq import SEQ32, Unwrapper
from tioption.verdict._ordinary import EVENTS, STATES, Tracker, tally
from tioption.verdict.ordinary_row import OrdinaryRows
from tioption.verdict.outcome import Outcome, fallback_reason, outcome
from tioption.verdict.validator import FlowSummary, Judged, Validator

if TYPE_CHECKING:
    from tioption.capture.batch import Batch

_ROOM: Final = 2048  # ordinary connections reported at once
_STRANGE: Final = 255
_NEVER: Final = (1 << 64) - 1

_STATES: Final = tuple(map(State, STATES))
_EVENTS: Final = tuple(map(Event, EVENTS))

_DirectionState = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]


class _Snapshot(NamedTuple):
    """What the C code knows of a connection, as it hands it over."""

    client: bytes
    client_port: int
    server: bytes
    server_port: int
    forward: _DirectionState
    reverse: _DirectionState
    first_time_ns: int | None
    last_time_ns: int | None
    first_frame: int
    last_frame: int
    reset: int
    state: int
    reason: int
    seen_syn: int
    seen_answer: int
    offered: int
    answered: int
    kind: int
    tifid: int
    s_a: int
    s_b: int
    serial: int
    confirmed_frame: int


def _reasons() -> tuple[str, ...]:
    found = {fallback_reason(state, event) for state in _STATES for event in _EVENTS}
    return ("", *sorted(found - {""}))


_REASONS: Final = _reasons()


def _table() -> bytes:
    """For each state and event the next state, or that it is strange, and the reason it gives to a fallback."""
    octets = bytearray()
    for state in _STATES:
        for event in _EVENTS:
            step = TABLE[state][event]
            known = step.rule is None and step.state in _STATES
            reason = fallback_reason(state, event) if step.state is not state else ""
            octets += bytes((_STATES.index(step.state) if known else _STRANGE, _REASONS.index(reason)))
    return bytes(octets)


def _exid_prefixes() -> bytes:
    """A bit for each two octets that a known experiment identifier begins with (OPT-12)."""
    bits = bytearray(8192)
    for _, _, exid, *_ in EXPERIMENTS:
        prefix = int.from_bytes(exid[:2], "big")
        bits[prefix >> 3] |= 1 << (prefix & 7)
    return bytes(bits)


def outcome_of(code: int) -> Outcome:
    """The outcome that a row's code stands for."""
    handshake = Handshake(_STATES[code >> 2 & 15])
    placeholder = HandshakeSegment(opener=True, syn=True, ack=False, rst=False, seq=0)
    handshake._syn = placeholder if code & 2 else None
    handshake._answer = placeholder if code & 1 else None
    return outcome(handshake, _REASONS[code >> 6], malformed=False)


class QuickValidator(Validator):
    """Judges a capture in batches; what it reports is what Validator reports."""

    def __init__(self, kinds: Kinds = DEFAULT_KINDS, generation: int = GENERATION, key: bytes = bytes(8)) -> None:
        """Start with an empty capture; with a secret key of 8 octets no capture can be made to slow this down."""
        super().__init__(kinds, generation, ledger=self)
        self._tracker = Tracker(_table(), *kinds, _exid_prefixes(), int.from_bytes(key), generation)
        self._numbers: dict[int, int] = {}
        self._outcomes: dict[int, Outcome] = {}

    def take(self, batch: Batch) -> Iterator[OrdinaryRows | Judged | FlowSummary]:
        """Judge the segments of a batch, every one of the capture's; yields what is to be reported meanwhile."""
        at, end = 0, len(batch)
        while at < end:
            at, full, strange = self._tracker.feed(batch.data, batch.records, end, at)
            if strange is not None:
                place, number, index, snapshot = strange
                self._numbers[index] = number
                (segment,) = batch.segments(place, place + 1)
                assert isinstance(segment, Segment)
                judged = self.judged.get(index)
                if snapshot is not None:
                    judged = self._restored(index, _Snapshot(*snapshot))
                connection = judged.connection if judged is not None else Connection.begun_by(segment, index)
                connection.observe(segment)
                self._take(connection, segment)
            if full:
                yield from self._collected(every=False)

    def rest(self) -> Iterator[OrdinaryRows | Judged | FlowSummary]:  # type: ignore[override]
        """What is left to be reported at the end."""
        return self._collected(every=True)

    # What strange connections need of ordinary ones (Ledger).

    def adopt(self, key: FlowKey) -> None:
        """Take over the ordinary connection that carries this flow."""
        variant, tifid = key
        found = self._tracker.adopt(self._kinds.kind(variant), tifid.value)
        if found is not None:
            number, index, snapshot = found
            self._numbers[index] = number
            self._restored(index, _Snapshot(*snapshot))

    def serial(self, connection: Connection, key: FlowKey) -> int:
        """The next number of a flow."""
        return self._name(connection, key, begins=True)

    def carried(self, connection: Connection, key: FlowKey) -> None:
        """Keep the name of the flow from new ones for as long as this connection is kept."""
        self._name(connection, key, begins=False)

    def _name(self, connection: Connection, key: FlowKey, *, begins: bool) -> int:
        variant, tifid = key
        return self._tracker.name(self._numbers[connection.index], self._kinds.kind(variant), tifid.value, begins)

    def step(self, address: bytes, first: int) -> tuple[int, int]:
        """Equal steps of a host's first halves (SEC-01)."""
        return self._tracker.step(address, first)

    def _restored(self, index: int, known: _Snapshot) -> Judged:
        """The connection as it would stand here, had it been judged here from its first segment."""
        client, server = Peer(known.client, known.client_port), Peer(known.server, known.server_port)
        connection = Connection(index, client, server, known.first_frame, known.first_time_ns)
        connection.last_frame, connection.last_time_ns = known.last_frame, known.last_time_ns
        connection.reset = bool(known.reset)
        connection.forward, connection.reverse = _direction(known.forward), _direction(known.reverse)
        judged = self.judged[index] = Judged(connection)
        judged.handshake = self._handshake(known, connection)
        judged.reason = _REASONS[known.reason]
        variant = self._kinds.variant(known.kind) if known.kind else None
        if known.serial and variant is not None:
            transport = Transport(connection, Anchors(known.s_a, known.s_b))
            key = FlowKey(variant, Tifid(known.tifid))
            self._book.enter(key, transport, known.confirmed_frame, known.serial, opened=True)
        return judged

    def _handshake(self, known: _Snapshot, connection: Connection) -> Handshake:
        handshake = Handshake(_STATES[known.state])
        variant = self._kinds.variant(known.kind) if known.kind else None
        if known.offered and variant is not None:
            tifid = Tifid(known.tifid)
            handshake.offer = FlowOption(variant, Tifid.from_halves(tifid.first), known.s_a, 0)
            if known.answered:
                handshake.answer = FlowOption(variant, tifid, known.s_b, known.s_a)
            if known.serial:
                handshake.confirmation = handshake.ruled_confirmation()
        if known.seen_syn:
            handshake._syn = _handshake_segment(connection.forward.isn, handshake.offer, opener=True)
        if known.seen_answer:
            handshake._answer = _handshake_segment(connection.reverse.isn, handshake.answer, opener=False)
        return handshake

    # The report.

    def _collected(self, *, every: bool) -> Iterator[OrdinaryRows | Judged | FlowSummary]:
        """Connections in the order of their indexes, then flows in that of their serials; then both are forgotten."""
        tracker, book = self._tracker, self._book
        count, at = tracker.collect(every, False), 0
        if not every:
            self.given_up += count
        strange = []
        while at < count:
            octets, at = tracker.rows(at, _ROOM, _NEVER)
            if octets:
                self._tally(octets)
                yield OrdinaryRows(octets, self._kinds, self._outcomes, flows=False)
            elif at < count:
                index = tracker.key(at)
                strange.append(index)
                yield self._counted(self.judged[index])
                at += 1
        for index in strange:
            del self._numbers[index]
            book.give_up(self.judged.pop(index).connection)
        count, at = tracker.collect(every, True), 0
        for entry in [*book.over(), None]:
            below = entry.serial if entry is not None else _NEVER
            while at < count:
                octets, at = tracker.rows(at, _ROOM, below)
                if not octets:
                    break
                yield OrdinaryRows(octets, self._kinds, self._outcomes, flows=True)
            if entry is not None:
                yield self._flow(entry)
        tracker.release(every)

    def _tally(self, octets: bytes) -> None:
        for code, count in tally(octets):
            if code not in self._outcomes:
                self._outcomes[code] = outcome_of(code)
            self.verdicts[self._outcomes[code].verdict] += count


def _handshake_segment(seq: int | None, option: FlowOption | None, *, opener: bool) -> HandshakeSegment:
    return HandshakeSegment(opener=opener, syn=True, ack=not opener, rst=False, seq=seq or 0, option=option)


def _direction(known: _DirectionState) -> Direction:
    seen, started, isn, placed, window, first, scaled, scale, furthest, sent, acked, ended, fin = known
    direction = Direction()
    direction.segments = seen
    if started:
        direction.begin(isn)
    if placed:
        direction._places = Unwrapper(SEQ32, first)
        direction._places.furthest = furthest
    direction.window = window
    direction.window_scale = scale if scaled else None
    direction.sent, direction.acked = sent, acked
    direction.fin = fin if ended else None
    return direction


assert {253, 254} == EXPERIMENT_KINDS, "the kinds that _ordinary_core.h takes for those of experiments"
