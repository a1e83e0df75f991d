"""Rules that need more than one connection: positions across transports, resuming, identifiers (MAP, RES, CTL, SEC).

Positions judge only where the capture has the flow since its first SYN; elsewhere such findings are notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tioption.capture.segment import FIN, RST, Segment
from tioption.flow import Anchors, Connection, FlowKey, Positions, TiFlow, Transport, anchors
from tioption.handshake import Handshake
from tioption.option import FlowOption, Variant
from tioption.rules import Severity, severity_of
from tioption.seq import SEQ48
from tioption.verdict.ledger import Ledger
from tioption.verdict.segment import Finding

SECOND: Final = 1_000_000_000
DORMANT: Final = 300 * SECOND  # RES-21
QUARANTINE: Final = 240 * SECOND  # 2 MSL (RES-22)
ALIVE: Final = 1 * SECOND  # a transport heard from within the initial retransmission timeout still lives (RFC 6298)
MOST_WINDOW: Final = 1 << 30  # RES-04
BELIEVABLE_JUMP: Final = 1 << 46  # no flow moves half of what comparison can tell apart between two transports (MAP-07)
STRANGERS: Final = 20  # resume SYNs with unknown TIFIDs before they are suspicious (SEC-04)
_RIVALS: Final = 8  # the latest resumes of a flow, among which some may be pending at once
STEPS: Final = 5  # equal distances between first halves before they are a sequence (SEC-01)


class Resume:
    """An attempt to resume a flow: what it said, and what was known of both streams when it said it."""

    __slots__ = (
        *("bytes_gone", "confirmed_frame", "offer", "old", "other", "own", "sent_on_old", "syn_frame", "turned"),
        "window",
    )

    def __init__(
        self,
        offer: FlowOption,
        old: Connection,
        own: Positions,
        other: Positions,
        *,
        turned: bool,
        window: int,
        sent_on_old: int,
        syn_frame: int,
    ) -> None:
        """Nothing has answered yet."""
        self.offer = offer
        self.old = old
        self.turned = turned
        self.own = own
        """The stream of the host that resumes."""
        self.other = other
        self.window = window
        self.sent_on_old = sent_on_old
        self.syn_frame = syn_frame
        self.bytes_gone = False
        """Whether the answer asked for bytes that the resuming host no longer has (RES-14)."""
        self.confirmed_frame = 0


class FlowEntry:
    """A flow and the attempts to resume it."""

    __slots__ = ("findings", "flow", "frames", "kept", "resumes", "serial", "times", "window")

    def __init__(self, flow: TiFlow, serial: int) -> None:
        """A flow without transports; it is the `serial`-th of the capture, from 1."""
        self.flow = flow
        self.serial = serial
        self.resumes: list[Resume] = []
        self.frames: list[int] = []
        """The frame that confirmed each transport."""
        self.times: list[int | None] = []
        """Nanoseconds from the SYN of each transport to the frame that confirmed it, None without times."""
        self.kept: set[int] = set()
        """The indexes of those of its transports that have not been given up."""
        self.findings: list[Finding] = []
        """What is wrong between its transports."""
        self.window = 0
        """The largest window advertised on those it has left (RES-04)."""


class Place:
    """Where a connection stands among the flows."""

    __slots__ = ("entry", "left_by", "number", "resume", "transport")

    def __init__(self, entry: FlowEntry | None = None, resume: Resume | None = None) -> None:
        """The connection tries to resume the flow of `entry`, or nothing is known of it yet."""
        self.entry = entry
        self.resume = resume
        self.transport: Transport | None = None
        self.number: int | None = None
        """Which transport of its flow it is, from 1."""
        self.left_by: list[Resume] = []
        """Attempts to carry its flow on elsewhere."""


class FlowBook:
    """Every flow of a capture, and the rules that hold between their transports."""

    def __init__(self, ledger: Ledger) -> None:
        """No flow is known."""
        self.entries: dict[FlowKey, FlowEntry] = {}
        self._ledger = ledger
        self._places: dict[int, Place] = {}
        self._strangers = 0

    def place(self, connection: Connection) -> Place | None:
        """Where the connection stands, None where no flow has to do with it."""
        return self._places.get(connection.index)

    def entry(self, key: FlowKey) -> FlowEntry | None:
        """The flow of this name, None where there is none."""
        if key not in self.entries:
            self._ledger.adopt(key)
        return self.entries.get(key)

    def give_up(self, connection: Connection) -> None:
        """Forget where the connection stands; its flow goes with the last of its transports."""
        place = self._places.pop(connection.index, None)
        if place is not None and place.transport is not None and place.entry is not None:
            place.entry.kept.discard(connection.index)

    def over(self) -> list[FlowEntry]:
        """Remove and return the flows of which all transports have been given up, in the order they began."""
        over = [entry for entry in self.entries.values() if not entry.kept]
        for entry in over:
            del self.entries[entry.flow.key]
        return sorted(over, key=lambda entry: entry.serial)

    # A SYN.

    def offered(self, connection: Connection, segment: Segment, offer: FlowOption, offset: int) -> Iterator[Finding]:
        """The findings on a SYN with the option, seen for the first time."""
        if offer.tifid.second == 0:
            yield from self._sequence(segment, offer, offset)
            return
        entry = self.entry(FlowKey(offer.variant, offer.tifid))
        if entry is None:
            yield from self._stranger(segment, offer, offset)
            return
        old = entry.flow.transports[-1].connection
        first = entry.flow.transports[0].connection
        server, client = first.server.address, first.client.address
        turned = connection.client.address == server != client
        forward, reverse = entry.flow.forward, entry.flow.reverse
        own, other = (reverse, forward) if turned else (forward, reverse)
        entry.window = min(max(entry.window, old.forward.window, old.reverse.window), MOST_WINDOW)
        mine = entry.flow.transports[-1].place(forward=not turned)
        sent, frame = mine.sent, segment.frame
        resume = Resume(offer, old, own, other, turned=turned, window=entry.window, sent_on_old=sent, syn_frame=frame)
        self._places[connection.index] = Place(entry, resume)
        entry.resumes.append(resume)
        if (before := self._places.get(old.index)) is not None:
            before.left_by.append(resume)
        yield from self._circumstances(connection, segment, resume, offset)
        demote = not entry.flow.from_start
        for finding in self._positions(segment, resume, offset):
            yield finding._replace(severity=Severity.NOTE) if demote else finding

    def _circumstances(
        self, connection: Connection, segment: Segment, resume: Resume, offset: int
    ) -> Iterator[Finding]:
        old = resume.old
        same = {connection.client, connection.server} == {old.client, old.server}
        silence = _between(old.last_time_ns, segment.time_ns)
        if resume.turned:
            yield _finding("RES-18", segment, offset, "the host that had answered resumes the flow")
        elif connection.client.address != old.client.address:
            yield _finding("RES-03", segment, offset, "the flow resumes from another address")
        if same and not old.closed:
            yield _finding("RES-12", segment, offset, "the resume uses the ports of a connection that still lives")
        elif silence is not None and silence < ALIVE and not old.closed:
            yield _finding("RES-10", segment, offset, "the old transport was still heard within the last second")
        if silence is not None and silence > DORMANT:
            text = f"resumed after {silence // SECOND} s; state is kept for {DORMANT // SECOND} s"
            yield _finding("RES-21", segment, offset, text)

    def _positions(self, segment: Segment, resume: Resume, offset: int) -> Iterator[Finding]:
        """RES-02, MAP-01, MAP-02, MAP-07 and SEC-05 on the positions of a resume SYN."""
        own, other, offer = resume.own, resume.other, resume.offer
        stopped, has = own.count(offer.tiseq), other.count(offer.tiack)
        if not own.acked <= stopped <= own.sent:
            expected = f"{_hex(own, own.acked)} to {_hex(own, own.sent)}"
            text = "the resume stands outside what its sender has sent and not had acknowledged"
            yield _finding("RES-02", segment, offset, text, expected, f"{offer.tiseq:012x}")
        if other.fin is not None and has == other.fin + 1:
            yield _finding("MAP-01", segment, offset, "the resume counts the other side's FIN as a byte")
        elif not other.acked <= has <= other.sent:
            expected = f"{_hex(other, other.acked)} to {_hex(other, other.sent)}"
            text = "the resume acknowledges less than before, or bytes that were never sent (or not captured)"
            yield _finding("MAP-02", segment, offset, text, expected, f"{offer.tiack:012x}")
        if abs(stopped - own.sent) > BELIEVABLE_JUMP:
            text = "the resume's position jumps further than comparison can tell"
            yield _finding("MAP-07", segment, offset, text, _hex(own, own.sent), f"{offer.tiseq:012x}")
        if abs(stopped - own.acked) > resume.window:
            text = "the resume knows the TIFID but stands out of the window: a guess, or somebody else's"
            yield _finding("SEC-05", segment, offset, text, _hex(own, own.acked), f"{offer.tiseq:012x}")

    def _stranger(self, segment: Segment, offer: FlowOption, offset: int) -> Iterator[Finding]:
        """A resume of a flow that is not known: of the other variant, from before the capture, or made up."""
        other = Variant.FLOW_C if offer.variant is Variant.FLOW_D else Variant.FLOW_D
        if self.entry(FlowKey(other, offer.tifid)) is not None:
            text = f"a {other.value} flow is resumed as {offer.variant.value}"
            yield _finding("CTL-02", segment, offset, text, other.value, offer.variant.value)
            return
        self._strangers += 1
        if self._strangers == STRANGERS:
            text = f"{STRANGERS} resume SYNs with TIFIDs that nobody was given: somebody guesses"
            yield _finding("SEC-04", segment, offset, text)

    def _sequence(self, segment: Segment, offer: FlowOption, offset: int) -> Iterator[Finding]:
        """SEC-01: first halves of one host at equal small distances."""
        run, now = self._ledger.step(segment.src, offer.tifid.first)
        if run == STEPS:
            text = f"the host's last {STEPS + 1} first halves are {now:+d} apart: they can be guessed"
            yield _finding("SEC-01", segment, offset, text)

    # A SYN-ACK.

    def answered(
        self, connection: Connection, segment: Segment, handshake: Handshake, offset: int
    ) -> Iterator[Finding]:
        """The findings on the first SYN-ACK with the option."""
        answer = handshake.answer
        if answer is None:
            return  # another SYN-ACK had come before, and the handshake goes by the first
        place = self._places.get(connection.index)
        if place is None or place.resume is None:
            if not handshake.resumes:
                yield from self._identifier(segment, answer, offset)
            return
        resume, entry = place.resume, place.entry
        assert entry is not None
        own, other, offer = resume.own, resume.other, resume.offer
        stopped, has = own.count(offer.tiseq), other.count(offer.tiack)
        most = other.sent + (other.fin is not None)
        if not other.acked <= has <= most or abs(stopped - own.acked) > resume.window:
            severity = severity_of("RES-04") if entry.flow.from_start else Severity.NOTE
            text = "the resume is answered although its positions are out of range"
            yield _finding("RES-04", segment, offset, text)._replace(severity=severity)
        asked = own.count(answer.tiack)
        resume.bytes_gone = asked < own.acked or asked > max(own.sent, stopped)

    def _identifier(self, segment: Segment, answer: FlowOption, offset: int) -> Iterator[Finding]:
        """SEC-02, RES-22 and CTL-04: the complete TIFID of a new flow beside those there are."""
        other = Variant.FLOW_C if answer.variant is Variant.FLOW_D else Variant.FLOW_D
        if self.entry(FlowKey(other, answer.tifid)) is not None:
            text = f"a {other.value} flow has the same TIFID; that means nothing"
            yield _finding("CTL-04", segment, offset, text)
        entry = self.entry(FlowKey(answer.variant, answer.tifid))
        if entry is None:
            return
        last = entry.flow.transports[-1].connection
        if not last.closed:
            yield _finding("SEC-02", segment, offset, "a new flow is given the TIFID of one that lives")
        elif (gap := _between(last.last_time_ns, segment.time_ns)) is not None and gap < QUARANTINE:
            text = (
                f"a new flow takes a TIFID {gap // SECOND} s after its flow ended; 2 MSL are {QUARANTINE // SECOND} s"
            )
            yield _finding("RES-22", segment, offset, text)

    # Confirmation.

    def confirmed(
        self, connection: Connection, segment: Segment, handshake: Handshake, time_ns: int | None
    ) -> Iterator[Finding]:
        """Take a transport into its flow that was confirmed `time_ns` after its SYN; the findings on that."""
        answer = handshake.answer or handshake.confirmation
        if answer is None or not answer.tifid.is_complete:
            return
        at = transport_anchors(handshake)
        place = self._places.setdefault(connection.index, Place())
        if place.resume is None or place.entry is None:
            key = FlowKey(answer.variant, answer.tifid)
            before = self.entry(key)
            if before is not None and connection.first_frame < before.flow.transports[0].connection.first_frame:
                return  # its third ACK comes late: others carry the flow by now
            serial = self._ledger.serial(connection, key)
            # Without its SYN nobody knows whether the transport opened the flow or resumed it.
            opened = handshake.offer is not None and not handshake.resumes
            self.enter(
                key, Transport(connection, at), segment.frame, before.serial if before else serial, opened=opened
            )
            return
        resume, entry = place.resume, place.entry
        if resume.turned:
            at = at._replace(forward=at.reverse, reverse=at.forward)
        place.transport = Transport(connection, at, resume.turned)
        entry.flow.resume(place.transport)
        entry.frames.append(segment.frame)
        entry.times.append(time_ns)
        entry.kept.add(connection.index)
        self._ledger.carried(connection, entry.flow.key)
        place.number = len(entry.frames)
        resume.confirmed_frame = segment.frame
        rivals = entry.resumes[-_RIVALS:]
        if any(one is not resume and one.confirmed_frame > resume.syn_frame for one in rivals):
            yield _finding("RES-16", segment, None, "two resumes of the flow were pending at once, and both completed")

    def enter(self, key: FlowKey, transport: Transport, frame: int, serial: int, *, opened: bool) -> None:
        """Begin a flow with its first transport that is known, confirmed in `frame`."""
        index = transport.connection.index
        entry = FlowEntry(TiFlow(key), serial)
        entry.frames.append(frame)
        entry.times.append(None)
        entry.kept.add(index)
        (entry.flow.begin if opened else entry.flow.resume)(transport)
        self.entries[key] = entry
        place = self._places.setdefault(index, Place())
        place.entry, place.transport, place.number = entry, transport, 1

    # Everything else.

    def carried(self, connection: Connection, segment: Segment) -> Iterator[Finding]:
        """The findings on a segment outside any handshake, of a connection that carries or carried a flow."""
        place = self._places.get(connection.index)
        if place is None or place.entry is None:
            return
        if place.resume is not None and place.resume.bytes_gone and segment.payload_length:
            place.resume.bytes_gone = False
            text = "data follows although bytes between the streams are gone (a proxy had acknowledged them)"
            yield _demoted(_finding("RES-14", segment, None, text), place.entry)
        if place.transport is not None and place.resume is not None:
            yield from self._beyond_the_end(connection, segment, place)
        for resume in place.left_by[-_RIVALS:]:
            yield from self._on_the_old(connection, segment, resume)

    def _beyond_the_end(self, connection: Connection, segment: Segment, place: Place) -> Iterator[Finding]:
        """RES-15: data after the place where its stream had ended on an earlier transport."""
        assert place.transport is not None
        assert place.resume is not None
        client = connection.is_forward(segment)
        ended = place.resume.own if client else place.resume.other
        if ended.fin is None or not segment.payload_length:
            return
        last = SEQ48.add(place.transport.position(segment), segment.payload_length)
        if ended.count(last) > ended.fin:
            text = "data beyond the end that this stream had before the resume"
            yield _demoted(_finding("RES-15", segment, None, text, _hex(ended, ended.fin), f"{last:012x}"), place.entry)

    def _on_the_old(self, connection: Connection, segment: Segment, resume: Resume) -> Iterator[Finding]:
        """RES-07, RES-09 and RES-11: what still happens on a transport that is being left."""
        by_resumer = connection.is_forward(segment) is not resume.turned
        if resume.confirmed_frame:
            if segment.flags & FIN:
                text = "a FIN on the old transport after the switch: it reads as the end of the data"
                yield _finding("RES-11", segment, None, text)
            return
        if segment.flags & (RST | FIN) and not by_resumer:
            text = "the old transport is silenced before anything has confirmed the resume"
            yield _finding("RES-07", segment, None, text)
        direction, _ = connection.directions(segment)
        if by_resumer and segment.payload_length and direction.sent > resume.sent_on_old:
            resume.sent_on_old = direction.sent
            text = "new data on the old transport while the flow is being resumed: positions go stale"
            yield _finding("RES-09", segment, None, text)


def transport_anchors(handshake: Handshake) -> Anchors:
    """The anchors of a transport (MAP-03); where one of the last two segments was not captured the other tells them."""
    answer, confirmation = handshake.answer, handshake.confirmation
    if answer is None:
        assert confirmation is not None, "one of the two has been seen"
        answer = confirmation.replace(tiseq=confirmation.tiack, tiack=confirmation.tiseq)
    return anchors(answer, confirmation)


def _finding(
    rule: str, segment: Segment, offset: int | None, text: str, expected: str = "", found: str = ""
) -> Finding:
    return Finding(rule, severity_of(rule), text, offset, segment.frame, expected, found)


def _demoted(finding: Finding, entry: FlowEntry | None) -> Finding:
    """A finding on positions, which judges nobody where the capture lacks the flow's beginning."""
    known = entry is not None and entry.flow.from_start
    return finding if known else finding._replace(severity=Severity.NOTE)


def _between(earlier: int | None, later: int | None) -> int | None:
    return later - earlier if earlier is not None and later is not None else None


def _hex(positions: Positions, count: int) -> str:
    return f"{SEQ48.add(positions.origin, count):012x}"
