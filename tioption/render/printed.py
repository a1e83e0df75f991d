"""Printed traces read back: the lines of the paper's Section IV.A, wrapped or not, and those of `--style paper`.

What is not there is not guessed: eleven hexadecimal digits where twelve belong are an error that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from tioption.errors import OptionError, TraceError
from tioption.option import FlowOption, Tifid, Variant, parse_hex48

_START: Final = re.compile(r"Packet\s+(?P<number>\d+)\s*:")
_PACKET: Final = re.compile(
    r"""Packet\s+(?P<number>\d+)\s*:\s*IP6?\s+
        (?P<src>\S+)\.(?P<sport>[\w-]+)\s+>\s+(?P<dst>\S+)\.(?P<dport>[\w-]+)\s*:\s*
        Flags\s*\[(?P<flags>[A-Za-z.]*)\]\s*
        (?:,\s*seq\s+(?P<seq>\d+)(?::\d+)?)?\s*
        (?:,\s*ack\s+(?P<ack>\d+))?\s*
        ,\s*win\s+(?P<window>\d+)\s*
        (?:,\s*options\s*\[(?P<options>[^\]]*)\])?\s*
        ,\s*len(?:gth)?\s+(?P<length>\d+)\s*\Z""",
    re.VERBOSE,
)
_FLOW: Final = re.compile(
    r"(?P<variant>flow-[dc]) (?P<label>tifid|tificid) (?P<tifid>\S+) tiseq (?P<tiseq>\S+) tiack (?P<tiack>\S+)"
)


class PrintedSegment(NamedTuple):
    """One packet of a printed trace; numbers are those of the print, relative where tcpdump prints them so."""

    number: int
    src: str
    sport: str
    dst: str
    dport: str
    flags: str
    seq: int | None
    ack: int | None
    window: int
    options: tuple[str, ...]
    """The options in order, each in its own words with single spaces."""
    flow: FlowOption | None
    length: int


def parse_trace(text: str) -> Iterator[PrintedSegment]:
    """Every `Packet N:` of the print; raises TraceError, with the line at which the packet begins, for what is not one.

    Text before the first packet is ignored.
    """
    starts = [match.start() for match in _START.finditer(text)]
    for start, end in pairwise([*starts, len(text)]):
        yield _packet(text[start:end], text.count("\n", 0, start) + 1)


def _packet(text: str, line: int) -> PrintedSegment:
    match = _PACKET.match(text.strip())
    if match is None:
        raise TraceError("a packet as tcpdump prints it, from `Packet N:` to `len N`", repr(text.strip()[:60]), line)
    options = tuple(" ".join(option.split()) for option in (match["options"] or "").split(",") if option.strip())
    flows = [_flow(option, line) for option in options if option.startswith("flow-")]
    if len(flows) > 1:
        raise TraceError("at most one flow option", str(len(flows)), line)
    return PrintedSegment(
        int(match["number"]),
        match["src"],
        match["sport"],
        match["dst"],
        match["dport"],
        match["flags"],
        int(match["seq"]) if match["seq"] else None,
        int(match["ack"]) if match["ack"] else None,
        int(match["window"]),
        options,
        flows[0] if flows else None,
        int(match["length"]),
    )


def _flow(option: str, line: int) -> FlowOption:
    match = _FLOW.fullmatch(option)
    if match is None:
        raise TraceError("`flow-d tifid … tiseq … tiack …`", repr(option), line)
    try:
        return FlowOption(
            Variant(match["variant"]),
            Tifid.from_text(match["tifid"]),
            parse_hex48(match["tiseq"], "tiseq", 8),
            parse_hex48(match["tiack"], "tiack", 14),
        )
    except OptionError as error:
        raise TraceError(error.expected, error.found, line) from None
