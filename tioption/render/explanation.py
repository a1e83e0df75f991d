"""An option or a whole TCP header, octet by octet: what each stretch is, its value and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tioption.capture.segment import Segment
from tioption.layout import EXPERIMENTS, FIELDS
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption, walk
from tioption.render.tcp_options import options_text
from tioption.render.values import flags_text
from tioption.verdict import Finding, findings, option_findings

_TITLES: Final = {name: title for name, title, *_ in EXPERIMENTS}


class Piece(NamedTuple):
    """A stretch of octets with a meaning of its own; `offset` counts from the first octet explained."""

    offset: int
    octets: bytes
    field: str
    value: str
    meaning: str


class Explanation(NamedTuple):
    """What the octets are, piece by piece, and the rules they break."""

    what: str
    pieces: tuple[Piece, ...]
    findings: tuple[Finding, ...]


def explain_options(octets: bytes, kinds: Kinds = DEFAULT_KINDS) -> Explanation:
    """Explain octets of a TCP option area, one option or several; never raises on bad ones."""
    options = list(walk(octets, None, kinds))
    what = "one TCP option" if len(options) == 1 else f"{len(options)} TCP options"
    pieces = tuple(piece for option in options for piece in _option(option, 0, kinds))
    return Explanation(f"{what}, {len(octets)} octets", pieces, tuple(option_findings(options, kinds)))


def explain_header(octets: bytes, kinds: Kinds = DEFAULT_KINDS) -> Explanation:
    """Explain a TCP header of at least 20 octets; octets beyond its data offset are payload (RFC 9293 §3.1)."""
    fixed = {name: int.from_bytes(octets[at : at + size], "big") for name, at, size in _HEADER_FIELDS}
    header_length, flags = octets[12] >> 4 << 2, int.from_bytes(octets[12:14], "big") & 0x1FF
    segment = Segment(
        1,
        None,
        octets,
        0,
        len(octets),
        len(octets),
        b"",
        b"",
        fixed["source port"],
        fixed["destination port"],
        fixed["sequence number"],
        fixed["acknowledgment number"],
        header_length,
        flags,
        fixed["window"],
    )
    options = segment.walk_options(kinds)
    pieces = [
        Piece(at, octets[at : at + size], name, _header_value(name, fixed[name], flags), "")
        for name, at, size in _HEADER_FIELDS
    ]
    pieces += (piece for option in options for piece in _option(option, 20, kinds))
    if segment.payload_length:
        length = segment.payload_length
        pieces.append(Piece(len(octets) - length, segment.payload, "payload", f"{length} octets", ""))
    found = [finding._replace(offset=(finding.offset or 0) + 20) for finding in findings(segment, options, kinds)]
    return Explanation(f"a TCP header of {header_length} octets", tuple(pieces), tuple(found))


_HEADER_FIELDS: Final = (
    ("source port", 0, 2),
    ("destination port", 2, 2),
    ("sequence number", 4, 4),
    ("acknowledgment number", 8, 4),
    ("data offset, flags", 12, 2),
    ("window", 14, 2),
    ("checksum", 16, 2),
    ("urgent pointer", 18, 2),
)


def _header_value(name: str, value: int, flags: int) -> str:
    if name == "data offset, flags":
        return f"{value >> 12 << 2} octets, [{flags_text(flags) or 'none'}]"
    return f"0x{value:04x}" if name == "checksum" else str(value)


def _option(option: TcpOption, base: int, kinds: Kinds) -> Iterator[Piece]:
    if option.flow is not None:
        yield from _flow(option, base, kinds)
        return
    meaning = option.fault.value if option.fault is not None else ""
    if option.experiment is not None:
        meaning = f"{_TITLES[option.experiment]} (RFC 6994 experiment), not a flow option"
    elif option.fault is None and option.kind is not None and kinds.variant(option.kind) is not None:
        meaning = "a kind of ours without its length of 20: not a flow option (OPT-01)"
    kind = "not an option" if option.kind is None else f"option {option.kind}"
    value = "" if option.fault is not None else options_text([option], 0).text
    yield Piece(base + option.offset, option.octets, kind, value, meaning)


def _flow(option: TcpOption, base: int, kinds: Kinds) -> Iterator[Piece]:
    """The fields of a flow option, the halves of the TIFID in place of the whole."""
    assert option.flow is not None
    divided = {name.partition(".")[0] for name, *_ in FIELDS if "." in name}
    for name, at, size, doc in FIELDS:
        if name in divided:
            continue
        octets = option.octets[at : at + size]
        value = octets.hex() if size > 1 else str(octets[0])
        if name == "kind":
            variant = option.flow.variant
            default = "the default" if kinds.kind(variant) == DEFAULT_KINDS.kind(variant) else "as configured"
            value, doc = f"{octets[0]} = {variant.value}", f"{default} kind of {variant.value}"  # noqa: PLW2901
        yield Piece(base + option.offset + at, octets, name, value, doc)
