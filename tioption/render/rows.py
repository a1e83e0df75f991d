"""Rows for programs: one dictionary per flow option, written as JSON Lines or CSV.

Keys and their order are the command line's contract: file frame time src sport dst dport flags seq ack variant tifid
tiseq tiack findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tioption.capture.segment import CutSegment, Segment
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption
from tioption.render.values import address_text, flags_text, seconds_text
from tioption.verdict import Finding, findings

KEYS: Final = (
    "file",
    "frame",
    "time",
    "src",
    "sport",
    "dst",
    "dport",
    "flags",
    "seq",
    "ack",
    "variant",
    "tifid",
    "tiseq",
    "tiack",
    "findings",
)


def rows(
    file: str, segment: Segment | CutSegment, kinds: Kinds = DEFAULT_KINDS, *, every: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of one segment: one per flow option it carries, or with `every` one without where it carries none.

    Values are str, int, None where the segment has no such thing, and for `findings` a list of {rule, severity, text}.
    """
    for option, found in judged(segment, kinds, every=every):
        yield _row(file, segment, option, found)


def judged(
    segment: Segment | CutSegment, kinds: Kinds = DEFAULT_KINDS, *, every: bool = False
) -> Iterator[tuple[TcpOption | None, list[Finding]]]:
    """What the rows of one segment are about: each flow option with its findings, or with `every` None without one."""
    if isinstance(segment, CutSegment):
        if every:
            yield None, []
        return
    options = segment.walk_options(kinds)
    found = findings(segment, options, kinds)
    flows = [option for option in options if option.flow is not None]
    for option in flows:
        yield option, [finding for finding in found if finding.offset == option.offset]
    if every and not flows:
        yield None, found


def _row(file: str, segment: Segment | CutSegment, option: TcpOption | None, found: list[Finding]) -> dict[str, Any]:
    flow = option.flow if option is not None else None
    return {
        "file": file,
        "frame": segment.frame,
        "time": seconds_text(segment.time_ns) if segment.time_ns is not None else None,
        "src": address_text(segment.src),
        "sport": segment.sport,
        "dst": address_text(segment.dst),
        "dport": segment.dport,
        "flags": flags_text(segment.flags) if segment.flags is not None else None,
        "seq": segment.seq,
        "ack": segment.ack,
        "variant": flow.variant.value if flow is not None else None,
        "tifid": str(flow.tifid) if flow is not None else None,
        "tiseq": f"{flow.tiseq:012x}" if flow is not None else None,
        "tiack": f"{flow.tiack:012x}" if flow is not None else None,
        "findings": [
            {"rule": finding.rule, "severity": finding.severity.value, "text": finding.text} for finding in found
        ],
    }


def csv_values(row: dict[str, Any]) -> list[Any]:
    """The row as CSV cells in the order of KEYS: nothing for None, findings as `RULE severity: text` joined by "; "."""
    texts = (f"{finding['rule']} {finding['severity']}: {finding['text']}" for finding in row["findings"])
    return [*(row[key] for key in KEYS[:-1]), "; ".join(texts)]
