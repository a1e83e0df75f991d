"""Flows and connections that lie in more than one capture: what to join, and the joint judgement.

Each capture is judged by itself first, and what may go on elsewhere is remembered (`Sightings`). From all captures'
memories follows what belongs together (`concerned`): a flow whose identifier another capture has, too, and a connection
with the option that a later capture goes on with. Only the segments of those are then judged again, in one order of
time (`joint.py`).

A flow of which two captures have the same SYN was captured at two points, and is left as each of them has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import pairwise
from sys import byteorder
from typing import Final, NamedTuple

from tioption.capture.ends import ends_of, sides
from tioption.flow import Peer
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.rules import Severity
from tioption.verdict.ordinary_row import ROW, ROW_FIELDS, OrdinaryRow, OrdinaryRows
from tioption.verdict.outcome import Outcome, Verdict
from tioption.verdict.segment import Finding
from tioption.verdict.validator import FlowSummary, Judged

ALONE: Final = frozenset({"SEC-01"})
"""Rules about all connections of a host: the joint judgement sees a few of them only."""

_AT: Final = {name: at for name, at, _ in ROW_FIELDS}
_KIND, _CODE, _TIFID, _PORTS, _CLIENT = (_AT[name] for name in ("kind", "code", "tifid", "client_port", "client"))
_STRANGERS: Final = "SEC-04"
_SAME_NS: Final = 2_000_000_000  # two resumes that say the same within this time are one, captured twice


_Reported = Judged | FlowSummary | OrdinaryRows


class Seen(NamedTuple):
    """What is remembered of a connection that a capture's own judgement may not have seen whole."""

    number: int
    """Its index in the capture."""
    first_frame: int
    ends: bytes
    carries: bool
    """Whether its handshake had a flow option."""
    tifid: int
    """48 bits as far as they are known, 0 where there was no option."""
    begun: bool
    """Whether its SYN was captured."""
    verdict: Verdict
    offer: tuple[int, int] | None
    """TISeq and TIAck of its SYN's option."""
    resumes: bool = False
    """Whether that asks to resume a flow."""
    time_ns: int | None = None
    severities: tuple[Severity, ...] = ()
    """Of its findings."""
    kept: tuple[Finding, ...] = ()
    """Findings that the joint judgement cannot make."""

    @property
    def complete(self) -> bool:
        """Whether the whole identifier is known."""
        return self.tifid & 0xFFFFFF != 0

    @property
    def loose(self) -> bool:
        """Whether it was not seen whole."""
        return not self.begun or self.verdict is Verdict.INCOMPLETE

    @property
    def opens(self) -> bool:
        """Whether it was seen to open a flow."""
        return self.complete and self.begun and not self.resumes


class Sightings:
    """What a capture's judgement leaves for others: connections with the option, and those not seen whole."""

    def __init__(self, kinds: Kinds = DEFAULT_KINDS) -> None:
        """Nothing has been seen."""
        self.kinds = kinds
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.suspected = False
        """Whether somebody is suspected of guessing (SEC-04)."""
        self.flows: dict[tuple[str, int], tuple[Severity, ...]] = {}
        """The severities of flows with findings, by variant and TIFID."""
        self._rows = bytearray()
        self._outcomes: dict[int, Outcome] = {}
        self._strange: list[Seen] = []

    def at(self, time_ns: int | None) -> None:
        """Take in that a segment was captured at this time."""
        if time_ns is not None:
            self.first_ns = time_ns if self.first_ns is None else min(self.first_ns, time_ns)
            self.last_ns = time_ns if self.last_ns is None else max(self.last_ns, time_ns)

    def passed(self, reported: _Reported) -> _Reported:
        """Take in what the capture's validator reports, and hand it on."""
        self._take(reported)
        return reported

    def _take(self, reported: _Reported) -> None:
        if isinstance(reported, OrdinaryRows):
            if not reported.flows:
                self._take_rows(reported)
        elif isinstance(reported, Judged):
            seen = _seen(reported)
            if seen.carries or seen.verdict is Verdict.INCOMPLETE:
                self._strange.append(seen)
            self.suspected = self.suspected or any(one.rule == _STRANGERS for one in reported.findings)
        elif reported.entry.findings:
            variant, tifid = reported.entry.flow.key
            self.flows[variant.value, tifid.value] = tuple(one.severity for one in reported.entry.findings)

    def _take_rows(self, rows: OrdinaryRows) -> None:
        octets, outcomes = rows.octets, rows.outcomes
        self._outcomes.update(outcomes)
        loose = {code for code, outcome in outcomes.items() if outcome.verdict is Verdict.INCOMPLETE}
        for at in range(0, len(octets), ROW.size):
            if octets[at + _KIND] or int.from_bytes(octets[at + _CODE : at + _CODE + 2], byteorder) in loose:
                self._rows += octets[at : at + ROW.size]

    def tifids(self) -> set[int]:
        """The complete identifiers."""
        rows = bytes(self._rows)
        found = {rows[at + _TIFID : at + _TIFID + 8] for at in _starts(rows)}
        known = {int.from_bytes(octets, byteorder) for octets in found}
        known |= {seen.tifid for seen in self._strange}
        return {tifid for tifid in known if tifid & 0xFFFFFF}

    def loose(self) -> Iterator[Seen]:
        """Connections that may be parts of others, or have parts elsewhere."""
        for seen in self._strange:
            if seen.loose:
                yield seen
        loose = {code for code, outcome in self._outcomes.items() if outcome.verdict is Verdict.INCOMPLETE}
        codes = {code.to_bytes(2, byteorder) for code in loose}
        rows = bytes(self._rows)
        yield from (self._seen(at) for at in _starts(rows) if rows[at + _CODE : at + _CODE + 2] in codes)

    def find(self, tifids: Set[int], ends: Set[bytes]) -> Iterator[Seen]:
        """What has one of these identifiers, or lies between ends of these; in no order."""
        for seen in self._strange:
            if seen.ends in ends or seen.tifid in tifids:
                yield seen
        rows = bytes(self._rows)
        names = {tifid.to_bytes(8, byteorder) for tifid in tifids}
        between = {side for one in ends for side in sides(one)}
        for at in _starts(rows):
            if rows[at + _TIFID : at + _TIFID + 8] in names or (
                between and rows[at + _PORTS : at + _PORTS + 4] + rows[at + _CLIENT : at + _CLIENT + 32] in between
            ):
                yield self._seen(at)

    def resumes(self) -> Iterator[Seen]:
        """The attempts to resume a flow."""
        return (seen for seen in self._strange if seen.resumes)

    def _seen(self, at: int) -> Seen:
        row = OrdinaryRow._make(ROW.unpack_from(self._rows, at))
        client = Peer(row.client[: row.address], row.client_port)
        server = Peer(row.server[: row.address], row.server_port)
        carries, begun = row.kind != 0, bool(row.code & 2)
        offer = (row.s_a, 0) if carries else None
        verdict, ends = self._outcomes[row.code].verdict, ends_of(client, server)
        return Seen(row.connection, row.first_frame, ends, carries, row.tifid, begun, verdict, offer)


def _starts(rows: bytes) -> range:
    return range(0, len(rows), ROW.size)


def _seen(judged: Judged) -> Seen:
    connection, handshake = judged.connection, judged.handshake
    option = handshake.confirmation or handshake.answer or handshake.offer
    offer = handshake.offer
    return Seen(
        connection.index,
        connection.first_frame,
        ends_of(connection.client, connection.server),
        option is not None or any(one.rule.startswith(("OPT-", "EST-", "LEG-")) for one in judged.findings),
        option.tifid.value if option is not None else 0,
        handshake.seen_syn,
        judged.outcome.verdict,
        (offer.tiseq, offer.tiack) if offer is not None else None,
        handshake.resumes,
        connection.first_time_ns,
        tuple(finding.severity for finding in judged.findings),
        tuple(finding for finding in judged.findings if finding.rule in ALONE),
    )


# What belongs together.


class _Part(NamedTuple):
    file: int
    seen: Seen


def in_time_order(captures: Sequence[Sightings | None]) -> list[int]:
    """The numbers of the captures in the order in which they begin; those without times keep their places."""
    latest: int | None = None
    places: list[tuple[int, int]] = []
    for number, capture in enumerate(captures):
        first = capture.first_ns if capture is not None else None
        latest = first if first is not None else latest
        places.append((latest if latest is not None else -(1 << 80), number))
    return [number for _, number in sorted(places)]


def concerned(captures: Sequence[Sightings | None]) -> dict[int, set[bytes]]:
    """Per capture the ends of the connections to be judged jointly; None stands for a capture that takes no part."""
    shared = _shared(captures)
    chains = list(_chains(captures))
    if not shared and not chains:
        return {}
    by_tifid = _by_tifid(captures, shared | {tifid for chain in chains for tifid in _tifids(chain)})
    twice = {tifid for tifid, parts in by_tifid.items() if _captured_twice(parts, captures)}
    chosen: dict[int, set[bytes]] = defaultdict(set)
    waiting = shared - twice
    for chain in chains:
        if not _tifids(chain) & twice:
            waiting |= _tifids(chain)
            for part in chain:
                chosen[part.file].add(part.seen.ends)
    for tifid in waiting:
        for part in by_tifid.get(tifid, ()):
            chosen[part.file].add(part.seen.ends)
    for number, capture in enumerate(captures):
        if capture is not None and capture.suspected and number in chosen:
            chosen[number] |= {seen.ends for seen in capture.resumes() if seen.tifid not in twice}
    return dict(chosen)


def _tifids(parts: Iterable[_Part]) -> set[int]:
    return {part.seen.tifid for part in parts if part.seen.complete}


def _shared(captures: Sequence[Sightings | None]) -> set[int]:
    """The identifiers that more than one capture has."""
    once: set[int] = set()
    shared: set[int] = set()
    for capture in captures:
        if capture is not None:
            here = capture.tifids()
            shared |= once & here
            once |= here
    return shared


def _by_tifid(captures: Sequence[Sightings | None], wanted: set[int]) -> dict[int, list[_Part]]:
    """The connections of the flows that are wanted."""
    found: dict[int, list[_Part]] = defaultdict(list)
    for number, capture in enumerate(captures):
        for seen in capture.find(wanted, set()) if capture is not None else ():
            found[seen.tifid].append(_Part(number, seen))
    return found


def _captured_twice(parts: list[_Part], captures: Sequence[Sightings | None]) -> bool:
    """Whether two captures have the same connection of a flow from its SYN: they were taken at two points.

    A flow is opened by a number that nobody else draws. Two resumes that say the same are one if they also say it at
    the same time, to captures that were taken at the same time.
    """
    syns = [part for part in parts if part.seen.offer is not None and part.seen.begun]
    syns.sort(key=lambda part: (part.seen.resumes, part.seen.offer))
    return any(
        one.file != other.file
        and (one.seen.resumes, one.seen.offer) == (other.seen.resumes, other.seen.offer)
        and (one.seen.opens or (_near(one.seen.time_ns, other.seen.time_ns) and _overlap(one, other, captures)))
        for one, other in pairwise(syns)
    )


def _overlap(one: _Part, other: _Part, captures: Sequence[Sightings | None]) -> bool:
    first, second = captures[one.file], captures[other.file]
    if first is None or second is None or first.first_ns is None or second.first_ns is None:
        return True
    return not (_after(first, second) or _after(second, first))


def _near(one: int | None, other: int | None) -> bool:
    return one is None or other is None or abs(one - other) < _SAME_NS


def _chains(captures: Sequence[Sightings | None]) -> Iterator[list[_Part]]:
    """Connections with the option of which a capture has one part and captures that begin later have others."""
    latest: dict[bytes, list[_Part]] = {}
    candidates = {seen.ends for capture in captures if capture is not None for seen in capture.loose()}
    order = [number for number in in_time_order(captures) if captures[number] is not None]
    for number in order:
        capture = captures[number]
        assert capture is not None
        met: set[bytes] = set()
        for seen in sorted(capture.find(set(), candidates), key=lambda one: one.first_frame):
            chain = latest.get(seen.ends)
            first = seen.ends not in met
            met.add(seen.ends)
            if (
                first
                and chain is not None
                and _goes_on(chain[-1].seen, seen)
                and _after(capture, captures[chain[-1].file])
            ):
                chain.append(_Part(number, seen))
                continue
            yield from _worth(latest.get(seen.ends, []))
            latest[seen.ends] = [_Part(number, seen)]
    for chain in latest.values():
        yield from _worth(chain)


def _worth(chain: list[_Part]) -> Iterator[list[_Part]]:
    if len(chain) > 1 and any(part.seen.carries for part in chain):
        yield chain


def _goes_on(before: Seen, after: Seen) -> bool:
    """Whether what a later capture has between the same ends may be the same connection, going on."""
    return not after.begun or before.verdict is Verdict.INCOMPLETE


def _after(capture: Sightings, before: Sightings | None) -> bool:
    """Whether a capture begins when another is over."""
    if before is None or capture.first_ns is None or before.last_ns is None:
        return True
    return capture.first_ns >= before.last_ns
