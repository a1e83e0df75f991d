"""What any Wireshark with the plugin must say of captures, computed by our own decoder, and whether a given one does.

`run` stands for a tshark: words in, what it prints out. So the same checks serve the tshark of this machine, in
`test_agreement.py`, and those of other releases, in `tests/matrix`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tioption.build.catalogue import SCENARIOS
from tioption.capture import Capture, Segment
from tioption.capture.segment import SYN
from tioption.flow import Connection
from tioption.option import FlowOption
from tioption.seq import SEQ48
from tioption.verdict.validator import Validator

Run = Callable[[list[str]], str]
"""Runs tshark with these words and returns its standard output."""

FLOWS = ("resume", "established", "resume-twice", "established-ipv6", "resume-elsewhere", "flow-c", "resume")
"""Scenarios of several flows, some on several transports; each gets a seed of its own."""

_OF_EVERY_OPTION = ("variant", "tifid", "tifid.first", "tifid.second", "tiseq", "tiack")
_OF_A_TRANSPORT = ("position", "position.relative", "transport.previous", "transport.next")


class Check(NamedTuple):
    """One thing that was asked of tshark: what it is about, what our decoder says, what tshark says."""

    what: str
    expected: object
    found: object

    @property
    def passed(self) -> bool:
        """Whether both say the same."""
        return self.expected == self.found


class Seen(NamedTuple):
    """A segment as our decoder and validator see it."""

    segment: Segment
    options: list[FlowOption]
    rules: set[str]
    connection: int

    @property
    def frame(self) -> int:
        """Its number in the file."""
        return self.segment.frame


def write_captures(folder: Path) -> tuple[Path, Path]:
    """Two captures: every scenario, and flows that are followed over their transports."""
    everything = folder / "scenarios.pcap"
    everything.write_bytes(joined([scenario.pcap(seed) for seed, scenario in enumerate(SCENARIOS.values(), 1)]))
    flows = folder / "flows.pcap"
    flows.write_bytes(joined([SCENARIOS[name].pcap(seed) for seed, name in enumerate(FLOWS, 101)]))
    return everything, flows


def joined(captures: list[bytes]) -> bytes:
    """Captures of the same kind in one file: a header of 24 octets, then the frames of all."""
    return captures[0][:24] + b"".join(capture[24:] for capture in captures)


@cache
def observed(path: Path) -> tuple[list[Seen], Validator]:
    """Every segment of a capture, and the validator that judged them; asked for once per way to run tshark."""
    validator = Validator()
    seen = []
    with Capture(str(path)) as capture:
        for segment in capture.segments():
            assert isinstance(segment, Segment)
            rules = {finding.rule for finding in validator.observe(segment)}
            flows = [option.flow for option in segment.walk_options() if option.flow is not None]
            index = next(
                index for index, judged in reversed(validator.judged.items()) if _between(judged.connection, segment)
            )
            seen.append(Seen(segment, flows, rules, index))
    return seen, validator


def _between(connection: Connection, segment: Segment) -> bool:
    ends = (connection.client, connection.server)
    return {tuple(end) for end in ends} == {(segment.src, segment.sport), (segment.dst, segment.dport)}


def all_checks(run: Run, captures: tuple[Path, Path], folder: str, *, two_passes: bool) -> Iterator[Check]:
    """Every check: of fields, rules, expert infos and filters in one capture, of flows in the other.

    `folder` is what this tshark calls the folder of the captures. In two passes it knows what comes later.
    """
    seen, _ = observed(captures[0])
    path, flows_path = (f"{folder}/{capture.name}" for capture in captures)
    yield from options_and_rules(run, path, seen)
    yield from experts(run, path, seen)
    yield from filters(run, path, seen)
    yield from flows(run, flows_path, captures[1], two_passes=two_passes)


def table(run: Run, path: str, fields: tuple[str, ...], display_filter: str = "tcp") -> dict[int, list[list[str]]]:
    """By frame, the values of fields that tshark shows, each a list in the order of the tree."""
    words = ["-n", "-r", path, "-Y", display_filter, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;"]
    words += [word for field in ("frame.number", *fields) for word in ("-e", field)]
    rows = (line.split("\t") for line in run(words).splitlines())
    return {int(row[0]): [cell.split(";") if cell else [] for cell in row[1:]] for row in rows}


def _numbers(values: list[str]) -> list[int]:
    return [int(value, 0) for value in values]


def options_and_rules(run: Run, path: str, seen: list[Seen]) -> Iterator[Check]:
    """The fields of every option, and the rules of every frame."""
    fields = (*(f"tiflow.{name}" for name in _OF_EVERY_OPTION), "tiflow.rule")
    shown = table(run, path, fields, "tiflow.tifid || tiflow.rule")
    for one in seen:
        variants, *numbers, rules = shown.pop(one.frame, [[]] * len(fields))
        if not one.options and not one.rules and not rules:
            continue
        yield Check(f"frame {one.frame}: variant", [flow.variant.value for flow in one.options], variants)
        for name, values in zip(_OF_EVERY_OPTION[1:], numbers, strict=True):
            expected = [_value(flow, name) for flow in one.options]
            yield Check(f"frame {one.frame}: {name}", expected, _numbers(values))
        yield Check(f"frame {one.frame}: rules", one.rules, set(rules))
    yield Check("frames of ours beyond those", {}, shown)


def _value(flow: FlowOption, name: str) -> int:
    numbers = {
        "tifid": flow.tifid.value,
        "tifid.first": flow.tifid.first,
        "tifid.second": flow.tifid.second,
        "tiseq": flow.tiseq,
        "tiack": flow.tiack,
    }
    return numbers[name]


def experts(run: Run, path: str, seen: list[Seen]) -> Iterator[Check]:
    """Every rule that a frame breaks is an expert info that begins with its identifier."""
    shown = table(run, path, ("_ws.expert.message",), "_ws.expert.message")
    by_rule: dict[str, set[int]] = defaultdict(set)
    for one in seen:
        for rule in one.rules:
            by_rule[rule].add(one.frame)
    for rule, frames in sorted(by_rule.items()):
        found = {frame for frame, (messages,) in shown.items() if any(said.startswith(f"{rule}:") for said in messages)}
        yield Check(f"expert infos of {rule}", frames, found)
    frames = set(table(run, path, (), "tiflow.expert.est-05"))
    yield Check("filter tiflow.expert.est-05", by_rule["EST-05"], frames)


def filters(run: Run, path: str, seen: list[Seen]) -> Iterator[Check]:
    """Display filters on every kind of field find the frames they should."""
    some = next(flow for one in seen for flow in one.options if flow.tifid.second)
    low, high = sorted(flow.tiseq for one in seen for flow in one.options)[10:300:289]
    begin = some.tifid.value.to_bytes(6, "big")[:3]
    cases: list[tuple[str, Callable[[FlowOption], bool]]] = [
        ('tiflow.variant == "flow-c"', lambda flow: flow.variant.value == "flow-c"),
        (f"tiflow.tifid == 0x{some.tifid}", lambda flow: flow.tifid == some.tifid),
        (f"tiflow.tifid.first == 0x{some.tifid.first:06x}", lambda flow: flow.tifid.first == some.tifid.first),
        (f"tiflow.tiseq > {low}", lambda flow: flow.tiseq > low),
        (f"tiflow.tiseq in {{{low} .. {high}}}", lambda flow: low <= flow.tiseq <= high),
        (f"tiflow.tifid.bytes[0:3] == {begin.hex(':')}", lambda flow: flow.tifid.first == some.tifid.first),
    ]
    for text, holds in cases:
        expected = {one.frame for one in seen if any(map(holds, one.options))}
        assert expected, text
        yield Check(f"filter {text}", expected, set(table(run, path, (), text)))
    rules = {one.frame for one in seen if "EST-05" in one.rules}
    yield Check('filter tiflow.rule == "EST-05"', rules, set(table(run, path, (), 'tiflow.rule == "EST-05"')))


def flows(run: Run, path: str, local: Path, *, two_passes: bool) -> Iterator[Check]:
    """Flow index, transport, positions and links on every segment of a confirmed transport, data too."""
    seen, validator = observed(local)
    names = ("flow", "transport", *_OF_A_TRANSPORT)
    shown = table(run, path, tuple(f"tiflow.{name}" for name in names), "tiflow.flow")
    by_connection = {
        transport.connection.index: (number, summary, position, transport)
        for number, summary in enumerate(validator.flows())
        for position, transport in enumerate(summary.entry.flow.transports, 1)
    }
    first_frames = {index: min(one.frame for one in seen if one.connection == index) for index in by_connection}
    numbering: dict[int, str] = {}
    for one in seen:
        if one.connection not in by_connection or one.segment.flags & SYN:
            continue
        number, summary, position, transport = by_connection[one.connection]
        indexes, transports, positions, relatives, previous, following = shown.get(one.frame, [[]] * len(names))
        # Any numbering will do, as long as it tells flows apart and holds over all transports of one.
        index = numbering.setdefault(number, indexes[0] if indexes else "none")
        yield Check(f"frame {one.frame}: flow", [index], indexes)
        yield Check(f"frame {one.frame}: transport", [str(position)], transports)
        at = transport.position(one.segment)
        own, _ = transport.connection.directions(one.segment)
        forward = own is transport.place(forward=True)
        origins = summary.entry.flow.transports[0].anchors
        origin = origins.forward if forward else origins.reverse
        yield Check(f"frame {one.frame}: position", [at], _numbers(positions))
        yield Check(f"frame {one.frame}: relative position", [str(SEQ48.difference(at, origin))], relatives)
        linked = [str(first_frames[summary.transports[position - 2]])] if position > 1 else []
        yield Check(f"frame {one.frame}: previous transport", linked, previous)
        if two_passes:
            linked = [str(first_frames[index]) for index in summary.transports[position : position + 1]]
            yield Check(f"frame {one.frame}: next transport", linked, following)
    yield Check("flows have an index each", len(numbering), len(set(numbering.values())))
