"""What a box did to a recording is what `validate --compare` finds between its two ends: neither less nor more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.flow.test_connection import in_frame
from tests.middlebox.packets import made, read
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.capture import Segment
from tioption.capture.record import Record
from tioption.capture.segment import ACK, SYN
from tioption.middlebox import Emitted, Middlebox, Path, Way
from tioption.middlebox.recorded import Point, Recording
from tioption.verdict.capture_point import CapturePoint
from tioption.verdict.comparison import Comparison, compare

PLAIN = [
    "established",
    "established-ipv6",
    "resume",
    "resume-twice",
    "resume-elsewhere",
    "flow-c",
    "trace1",
    "legacy-initiator",
    "legacy-responder",
    "est-13-wrong",
    "est-09-wrong",
    "res-16-wrong",
    "leg-04-wrong",
]
"""Scenarios of many kinds: several transports, both families, retransmissions, options where none should be."""


class Witness(Middlebox):
    """A box under observation: what went in, and what came out because of it."""

    def __init__(self, box: Middlebox) -> None:
        self.box = box
        self.seen: list[tuple[Way, bytes, list[Emitted]]] = []

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        left = self.box.process(packet, way, now_ns)
        self.seen.append((way, packet, left))
        return left

    def as_answer(self, segment, way, ends):  # type: ignore[no-untyped-def]
        self.box.as_answer(segment, way, ends)

    def renamed(self, ends, way):  # type: ignore[no-untyped-def]
        return self.box.renamed(ends, way)


def records(talk: Conversation) -> Iterable[Record]:
    for number, (time_ns, frame) in enumerate(talk.frames(), 1):
        yield Record(number, time_ns, 1, frame, len(frame))


def captured(talk: Conversation, witness: Witness, point: Point) -> CapturePoint:
    """The validator's view of a host's capture behind the box."""
    seen = CapturePoint(talk.kinds)
    for number, one in enumerate(Recording(Path([witness]), point=point).frames(records(talk)), 1):
        seen.observe(in_frame(one.data, number, one.time_ns))
    return seen


def between(talk: Conversation, spec: str, seed: int = 7) -> tuple[list[Comparison], Witness]:
    """The comparison of both ends of a path with one box, and what the box did."""
    witness = Witness(made(spec, seed, talk.kinds))
    client = captured(talk, witness, "a")
    witness = Witness(made(spec, seed, talk.kinds))
    return compare(client, captured(talk, witness, "b")), witness


def found(compared: list[Comparison]) -> tuple[Counter[str], list[int]]:
    """How often each kind of change was found, and segments lost on either way."""
    changes = Counter(change.what for one in compared for change in one.changes)
    return changes, [sum(one.lost[at] for one in compared) for at in (0, 1)]


class Names:
    """Connections by their ends, and by their ISN where one follows another between the same ends."""

    def __init__(self) -> None:
        self.isns: dict[frozenset[tuple[bytes, int]], int] = {}

    def of(self, segment: Segment) -> tuple[frozenset[tuple[bytes, int]], int]:
        ends = frozenset({(segment.src, segment.sport), (segment.dst, segment.dport)})
        if segment.flags & (SYN | ACK) == SYN:
            self.isns[ends] = segment.seq
        return ends, self.isns.get(ends, 0)


def done(witness: Witness) -> tuple[Counter[str], list[int]]:
    """The same, from what the box was seen to do."""
    changes: Counter[str] = Counter()
    lost = {"ab": 0, "ba": 0}
    once: set[object] = set()
    """Changes that are told once of a direction of a connection, not of each segment."""
    names = Names()
    for way, raw, left in witness.seen:
        before = read(raw)
        name = names.of(before)
        for one in left:
            if one.way != way:
                once.add(("injected", one.way, name))
        arrived = [read(one.packet) for one in left if one.way == way]
        if not arrived:
            lost[way] += 1
            continue
        first = arrived[0]
        if first.seq != before.seq and before.flags & SYN:
            once.add(("isn-rewritten", way, name[0], before.seq))
        if (first.src, first.sport) != (before.src, before.sport):  # on the way back it is the same host's
            once.add(("translated", name))
        changes += on_options(before, first)
        if len(arrived) == 1:
            changes["payload-altered"] += before.payload != first.payload
        elif before.seq == arrived[1].seq:
            once.add(("injected", way, name))
        else:
            changes["split"] += bool(options(before)) and sum(map(bool, map(options, arrived))) > 1
    changes += Counter(str(one[0]) for one in once if isinstance(one, tuple))
    return +changes, [lost["ab"], lost["ba"]]


def options(segment: Segment) -> list[bytes]:
    return [one.octets for one in segment.walk_options() if one.flow is not None]


def on_options(before: Segment, after: Segment) -> Counter[str]:
    """What became of the flow options of a segment; a change of each field counts."""
    changes: Counter[str] = Counter()
    one, other = options(before), options(after)
    for sent, arrived in zip(one, other, strict=False):
        fields = ((0, 1), (2, 8), (8, 14), (14, 20))
        changes["altered"] += sum(sent[begin:end] != arrived[begin:end] for begin, end in fields)
    changes["added"] += max(0, len(other) - len(one))
    gone = max(0, len(one) - len(other))
    damaged = any(option.kind in {253, 254} and option.flow is None for option in after.walk_options())
    replaced = any(option.kind in {252, 255} and len(option.octets) == 20 for option in after.walk_options())
    what = "overwritten" if len(before.options) == len(after.options) else "stripped"
    changes["altered" if damaged or replaced else what] += gone
    return changes


SPECS = [
    *("strip", "strip:segment=syn", "strip:segment=syn-ack", "strip:segment=ack"),
    *("overwrite", "overwrite:eol,segment=syn-ack"),
    *("alter:tifid", "alter:tiseq,segment=syn", "alter:tiack,segment=syn-ack", "alter:kind", "alter:length"),
    *("echo", "drop-unknown", "drop-unknown:rst,segment=both", "isn", "isn:ab", "isn:ba"),
    *("split:100", "split:100,copy=first", "mss:1000", "timestamps:strip", "timestamps:rewrite"),
    *("nat", "nat:ports=random", "firewall", "window"),
    *("lose:30%", "lose:100%,segment=ack,count=1", "lose:100%,segment=syn-ack,count=1,way=ba"),
    *("reorder:30%,by=1ms", "delay:2ms,jitter=1ms", "queue:10M", "flip:50%,fix", "coalesce"),
]


@pytest.mark.parametrize("name", PLAIN)
def test_every_box_does_what_is_found(name: str) -> None:
    talk = SCENARIOS[name].conversation(3)
    for spec in SPECS:
        if name == "leg-04-wrong" and "rst" in spec:
            continue  # its recorded host goes on after the RST, on the same ports with the same ISN
        compared, witness = between(talk, spec)
        assert (spec, *found(compared)) == (spec, *done(witness))


@pytest.mark.parametrize("spec", ["strip", "overwrite", "alter:tifid,xor=0x5000005000", "isn", "nat", "mss:88"])
def test_every_scenario_shows_it(spec: str) -> None:
    for name, scenario in SCENARIOS.items():
        compared, witness = between(scenario.conversation(2), spec)
        assert (name, *found(compared)) == (name, *done(witness))
