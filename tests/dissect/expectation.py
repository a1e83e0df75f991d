"""What the plugin has to show of a capture, from the codec, the validator and the flows of this package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dissect.wireshark import Tshark
from tioption.capture import Capture, Segment
from tioption.capture.segment import ACK, SYN
from tioption.flow import Connection
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.seq import SEQ48
from tioption.verdict.flow_rules import FlowEntry
from tioption.verdict.validator import Validator

OPTION = ["kind", "length", "variant", "tifid", "tifid.bytes", "tifid.first", "tifid.second", "tiseq", "tiack"]
JUDGEMENT = ["rule", "severity"]
FLOW = [
    *("transport", "transport.previous", "transport.next", "position", "position.relative"),
    *("ack_position", "ack_position.relative", "reconnect_time", "outage"),
]
FIELDS = [*OPTION, *JUDGEMENT, "flow", *FLOW]


@dataclass
class Expected:
    """The rows of a capture, and the flow that each frame belongs to; a flow's number is the plugin's own choice."""

    rows: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    flows: dict[int, FlowEntry] = field(default_factory=dict)
    confirmed: dict[int, int] = field(default_factory=dict)
    """The frame that took each frame's transport into its flow: in one pass nothing is known before it."""


@dataclass
class _Sighting:
    connection: Connection
    forward: bool
    place: int | None
    acked: int | None


def expected(capture: Path, kinds: Kinds = DEFAULT_KINDS) -> Expected:
    """What the plugin has to show of every frame."""
    validator = Validator(kinds)
    found = Expected()
    sightings: dict[int, _Sighting] = {}
    outages: dict[int, int | None] = {}
    with Capture(str(capture)) as opened:
        for segment in opened.segments():
            if not isinstance(segment, Segment):
                continue
            connection = validator._table.observe(segment)
            findings = validator._take(connection, segment)
            row = _option_row(segment, kinds)
            row["rule"] = [one.rule for one in findings]
            row["severity"] = [one.severity.value for one in findings]
            found.rows[segment.frame] = row
            sightings[segment.frame] = _sighting(connection, segment)
            place = validator._book.place(connection)
            if place is not None and place.entry is not None and segment.frame in place.entry.frames[1:]:
                outages[segment.frame] = list(place.entry.flow.outages())[-1]
    for frame, sighting in sightings.items():
        found.rows[frame] |= _flow_row(validator, frame, sighting, outages, found)
    return found


def _option_row(segment: Segment, kinds: Kinds) -> dict[str, list[str]]:
    row: dict[str, list[str]] = {name: [] for name in OPTION}
    for option in segment.walk_options(kinds):
        if option.fault is not None or option.kind is None or not (option.kind in {253, 254} or option.kind in kinds):
            continue
        if option.kind not in kinds:
            continue
        row["kind"].append(str(option.kind))
        row["length"].append(str(len(option.octets)))
        flow = option.flow
        if flow is not None:
            row["variant"].append(flow.variant.value)
            row["tifid"].append(f"0x{flow.tifid.value:016x}")
            row["tifid.bytes"].append(str(flow.tifid))
            row["tifid.first"].append(hex(flow.tifid.first))
            row["tifid.second"].append(hex(flow.tifid.second))
            row["tiseq"].append(f"0x{flow.tiseq:016x}")
            row["tiack"].append(f"0x{flow.tiack:016x}")
    return row


def _sighting(connection: Connection, segment: Segment) -> _Sighting:
    own, other = connection.directions(segment)
    place = None if segment.flags & SYN else own.place(segment.seq)
    acked = other.place(segment.ack) if segment.flags & ACK else None
    if acked is not None and other.fin is not None:
        acked = min(acked, other.fin)
    return _Sighting(connection, connection.is_forward(segment), place, acked)


def _flow_row(
    validator: Validator, frame: int, sighting: _Sighting, outages: dict[int, int | None], found: Expected
) -> dict[str, list[str]]:
    row: dict[str, list[str]] = {name: [] for name in FLOW}
    place = validator._book.place(sighting.connection)
    if place is None or place.entry is None or place.transport is None or place.number is None:
        return row
    flow, transport, number = place.entry.flow, place.transport, place.number
    found.flows[frame] = place.entry
    found.confirmed[frame] = place.entry.frames[number - 1]
    row["transport"] = [str(number)]
    if number > 1:
        row["transport.previous"] = [str(flow.transports[number - 2].connection.first_frame)]
    if number < len(flow.transports):
        row["transport.next"] = [str(flow.transports[number].connection.first_frame)]
    forward = sighting.forward is not transport.turned
    for name, value, side in (("position", sighting.place, forward), ("ack_position", sighting.acked, not forward)):
        if value is None:
            continue
        origins = flow.transports[0].anchors
        anchor, origin = (
            (transport.anchors.forward, origins.forward) if side else (transport.anchors.reverse, origins.reverse)
        )
        position = SEQ48.add(anchor, value)
        row[name] = [f"0x{position:016x}"]
        row[f"{name}.relative"] = [str(SEQ48.difference(position, origin))]
    if number > 1 and frame == place.entry.frames[number - 1]:
        reconnect, outage = place.entry.times[number - 1], outages[frame]
        row["reconnect_time"] = [] if reconnect is None else [_seconds(reconnect)]
        row["outage"] = [] if outage is None else [_seconds(outage)]
    return row


def _seconds(nanoseconds: int) -> str:
    whole, fraction = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{'-' * (nanoseconds < 0)}{whole}.{fraction:09d}"


def differences(
    tshark: Tshark, capture: Path, *words: object, two_passes: bool, kinds: Kinds = DEFAULT_KINDS
) -> Iterator[str]:
    """Every value of every frame that the plugin shows otherwise than expected."""
    wanted = expected(capture, kinds)
    names = [f"tiflow.{name}" for name in FIELDS]
    passes = ["-2"] if two_passes else []
    numbers: dict[int, str] = {}
    rows = tshark.rows(capture, ["frame.number", *names], *passes, *words)
    assert len(rows) >= len(wanted.rows)
    for shown in rows:
        frame = int(shown["frame.number"][0])
        row = wanted.rows.get(frame, {name: [] for name in FIELDS})
        known = two_passes or frame >= wanted.confirmed.get(frame, 0)
        yield from _row_differences(frame, row, shown, known=known, later=two_passes)
        if frame in wanted.flows and known:
            flow = shown["tiflow.flow"]
            number = numbers.setdefault(id(wanted.flows[frame]), "".join(flow))
            if [number] != flow:
                yield f"frame {frame}: flow {flow}, elsewhere {number}"
    if len(set(numbers.values())) < len(numbers):
        yield f"several flows have one number: {sorted(numbers.values())}"


def _row_differences(
    frame: int, row: dict[str, Any], shown: dict[str, Any], *, known: bool, later: bool
) -> Iterator[str]:
    for name in [*OPTION, *JUDGEMENT, *(FLOW if known else [])]:
        if name == "transport.next" and not later:
            continue
        value = shown[f"tiflow.{name}"]
        wanted = row[name]
        if name in {"tifid.first", "tifid.second"}:
            value = [hex(int(half, 16)) for half in value]  # 24 bits are padded to 32 by some releases
        if name in JUDGEMENT:
            value, wanted = sorted(value), sorted(wanted)
        if name in {"transport", "transport.previous"} and not wanted:
            continue  # a resume that failed was one of its flow until then
        if value != wanted:
            yield f"frame {frame}: {name} {value}, expected {wanted}"
