"""The validator: segments of a capture in, findings and verdicts out (every rule that shows on the wire).

Each connection has a handshake engine of its own; what its segments carry is judged alone, beside the handshake, and
beside the other transports of the flow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN, Segment
from tioption.flow import GENERATION, Connection, ConnectionTable
from tioption.handshake import Event, Handshake, HandshakeSegment, Observation, State
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Variant, counted_option
from tioption.rules import Severity, severity_of
from tioption.verdict.flow_rules import FlowBook, FlowEntry
from tioption.verdict.handshake_rules import handshake_findings
from tioption.verdict.ledger import Ledger, OwnLedger
from tioption.verdict.outcome import Outcome, Verdict, fallback_reason, outcome
from tioption.verdict.segment import Finding, findings

_MALFORMED = frozenset({"OPT-01", "OPT-03", "OPT-04", "OPT-05", "OPT-06"})
_CONFIRMING = frozenset({State.CONFIRMED})


class Judged:
    """A connection under judgement: its handshake, its findings, what its fallback was about."""

    __slots__ = ("connection", "findings", "handshake", "malformed", "reason", "syn_time_ns")

    def __init__(self, connection: Connection) -> None:
        """Nothing has been judged yet."""
        self.connection = connection
        self.handshake = Handshake()
        self.findings: list[Finding] = []
        self.reason = ""
        self.malformed = False
        """Whether the SYN carried an option of ours that receivers ignore."""
        self.syn_time_ns: int | None = None

    @property
    def outcome(self) -> Outcome:
        """The verdict as far as the capture goes."""
        return outcome(self.handshake, self.reason, malformed=self.malformed)


class FlowSummary(NamedTuple):
    """A flow as the report shows it."""

    entry: FlowEntry
    transports: tuple[int, ...]
    """Indexes of its connections."""
    octets: tuple[int, int]
    """Octets of both streams, that of the host that opened the flow first."""
    reconnects: tuple[tuple[int, int | None, int | None], ...]
    """Per resume: the frame that confirmed it, nanoseconds from SYN to third ACK, nanoseconds of outage."""


class Validator:
    """Judges the segments of one capture, handed in in order.

    Connections of which nothing is heard for long are given up, so that no capture exhausts memory: what is to be
    reported of them is due then (`due`), and the rest at the end (`rest`).
    """

    def __init__(
        self, kinds: Kinds = DEFAULT_KINDS, generation: int = GENERATION, ledger: Ledger | None = None
    ) -> None:
        """Start with an empty capture; `generation` as in ConnectionTable."""
        self._kinds = kinds
        self._table = ConnectionTable(generation)
        self._book = FlowBook(ledger or OwnLedger())
        self.judged: dict[int, Judged] = {}
        """Every connection by its index, in the order of first segments, but for those given up."""
        self.verdicts: Counter[Verdict] = Counter()
        """Connections reported so far, by verdict."""
        self.severities: Counter[Severity] = Counter()
        """Findings reported so far, by severity."""
        self.given_up = 0
        """Connections given up before the end of the capture."""

    def observe(self, segment: Segment) -> list[Finding]:
        """Judge the next segment; the findings are kept with its connection, too."""
        return self._take(self._table.observe(segment), segment)

    def _take(self, connection: Connection, segment: Segment) -> list[Finding]:
        """Judge a segment that its connection has taken in."""
        judged = self.judged.get(connection.index)
        if judged is None:
            judged = self.judged[connection.index] = Judged(connection)
        found, between = self._judge(judged, segment)
        judged.findings += found
        place = self._book.place(connection)
        (place.entry if place is not None and place.entry is not None else judged).findings += between
        return found + between

    def _judge(self, judged: Judged, segment: Segment) -> tuple[list[Finding], list[Finding]]:
        """What is wrong with the segment in its connection, and what between the transports of a flow."""
        options = segment.walk_options(self._kinds)
        flows = [option for option in options if option.flow is not None]
        alone = findings(segment, options, self._kinds)
        counted = counted_option(flows)
        before = judged.handshake.state
        observation = judged.handshake.observe(handshake_segment(judged.connection, segment, counted))
        if observation.state is not before and observation.event is not None:
            judged.reason = fallback_reason(before, observation.event) or judged.reason
        offset = flows[0].offset if flows else None
        una = self._una(judged)
        found = [
            *self._alone(judged, segment, alone, observation),
            *handshake_findings(segment, offset, before, judged.handshake, observation, una),
            *self._after_fallback(judged, segment, before),
        ]
        return found, list(self._beside_flows(judged, segment, observation, before, offset or 0))

    def _una(self, judged: Judged) -> int | None:
        """The answerer's oldest unacknowledged position, where the flow being resumed is known."""
        place = self._book.place(judged.connection)
        if place is None or place.resume is None:
            return None
        other = place.resume.other
        return (other.origin + other.acked) & ((1 << 48) - 1)

    def _alone(
        self, judged: Judged, segment: Segment, alone: list[Finding], observation: Observation
    ) -> Iterator[Finding]:
        """What the segment shows alone, less what the handshake explains better."""
        event = observation.event
        if segment.flags & (SYN | ACK) == SYN and any(finding.rule in _MALFORMED for finding in alone):
            judged.malformed = True
        explained = set()
        if event is Event.ANSWER_ECHO:
            explained |= {"OPT-07"}
        if event in {Event.COPY, Event.CROSSING_COPY, Event.STRAY}:
            explained |= {"EST-11"}
        for finding in alone:
            if finding.rule in explained:
                continue
            if finding.rule == "OPT-01" and judged.handshake.offer is not None:
                yield finding._replace(severity=severity_of("OPT-01"))  # the connection speaks our option
            else:
                yield finding

    def _beside_flows(
        self, judged: Judged, segment: Segment, observation: Observation, before: State, offset: int
    ) -> Iterator[Finding]:
        connection, handshake, event = judged.connection, judged.handshake, observation.event
        if event in {Event.SYN_NEW, Event.SYN_RESUME} and before is State.IDLE and handshake.offer is not None:
            judged.syn_time_ns = segment.time_ns
            yield from self._book.offered(connection, segment, handshake.offer, offset)
        elif event is Event.ANSWER_RIGHT and observation.state is not before:
            yield from self._book.answered(connection, segment, handshake, offset)
        elif observation.state in _CONFIRMING and before not in {State.CONFIRMED, State.ASKED_AGAIN}:
            started, now = judged.syn_time_ns, segment.time_ns
            time_ns = None if started is None or now is None else now - started
            yield from self._book.confirmed(connection, segment, handshake, time_ns)
        if not segment.flags & SYN:
            yield from self._book.carried(connection, segment)

    def _after_fallback(self, judged: Judged, segment: Segment, before: State) -> Iterator[Finding]:
        """CTL-03 and LEG-08: what must not follow where the option was not understood."""
        handshake = judged.handshake
        offer = handshake.offer
        if (
            offer is not None
            and offer.variant is Variant.FLOW_C
            and handshake.state is State.LEGACY
            and segment.payload_length
            and judged.connection.is_forward(segment)
        ):
            text = "control bytes are sent to a host that never agreed to a control flow"
            yield Finding("CTL-03", severity_of("CTL-03"), text, None, segment.frame)
        answered = not judged.connection.is_forward(segment)
        if judged.malformed and segment.flags & RST and answered and before is State.PLAIN:
            text = "a SYN with a malformed option is answered by a RST instead of plain TCP"
            yield Finding("LEG-08", severity_of("LEG-08"), text, None, segment.frame)

    # The report.

    def due(self) -> Iterator[Judged | FlowSummary]:
        """What is to be reported of connections given up since this was last asked: connections, then their flows."""
        silent, self._table.given_up = self._table.given_up, []
        if silent:
            self.given_up += len(silent)
            yield from self._reported(sorted(connection.index for connection in silent))

    def rest(self) -> Iterator[Judged | FlowSummary]:
        """What is left to be reported at the end: connections in the order of their first segments, then flows."""
        yield from self._reported(sorted(self.judged))

    def _reported(self, indexes: list[int]) -> Iterator[Judged | FlowSummary]:
        for index in indexes:
            yield self._counted(self.judged[index])
        for index in indexes:
            self._book.give_up(self.judged.pop(index).connection)
        for entry in self._book.over():
            yield self._flow(entry)

    def _counted(self, judged: Judged) -> Judged:
        self.verdicts[judged.outcome.verdict] += 1
        self.severities.update(finding.severity for finding in judged.findings)
        return judged

    def _flow(self, entry: FlowEntry) -> FlowSummary:
        self.severities.update(finding.severity for finding in entry.findings)
        return _summarised(entry)

    def flows(self) -> Iterator[FlowSummary]:
        """Every flow that is known with its transports, in the order they began."""
        return map(_summarised, self._book.entries.values())

    def transport(self, judged: Judged) -> int | None:
        """Which transport of its flow a connection is, from 1; None where it carries none."""
        place = self._book.place(judged.connection)
        return place.number if place is not None else None

    def findings(self) -> Iterator[Finding]:
        """Every finding not reported yet, those of connections first, then those of flows."""
        for judged in self.judged.values():
            yield from judged.findings
        for entry in self._book.entries.values():
            yield from entry.findings


def _summarised(entry: FlowEntry) -> FlowSummary:
    transports = entry.flow.transports
    reconnects = zip(entry.frames[1:], entry.times[1:], entry.flow.outages(), strict=True)
    indexes = tuple(transport.connection.index for transport in transports)
    octets = (entry.flow.forward.sent, entry.flow.reverse.sent)
    return FlowSummary(entry, indexes, octets, tuple(reconnects))


def handshake_segment(connection: Connection, segment: Segment, option: FlowOption | None) -> HandshakeSegment:
    """The segment as the connection's handshake sees it, with the option that counts."""
    return HandshakeSegment(
        opener=connection.is_forward(segment),
        syn=bool(segment.flags & SYN),
        ack=bool(segment.flags & ACK),
        rst=bool(segment.flags & RST),
        seq=segment.seq,
        payload_length=segment.payload_length,
        option=option,
        fin=bool(segment.flags & FIN),
        ack_number=segment.ack,
    )
