"""Findings that one segment alone can give, without knowing its connection (SEGMENT_RULES)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN, Segment
from tioption.layout import EXPERIMENT_KINDS, EXPERIMENTS, LENGTH
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, TcpOption
from tioption.rules import Severity, severity_of

SEGMENT_RULES: Final = frozenset(
    {
        *("OPT-01", "OPT-03", "OPT-04", "OPT-05", "OPT-06", "OPT-07", "OPT-08", "OPT-10", "OPT-11", "OPT-12"),
        *("EST-01", "EST-02", "EST-11", "EST-15"),
        "RES-23",
    }
)
"""The rules that one segment can break; the others need its connection or its flow."""

_MD5, _AO, _FAST_OPEN = 19, 29, 34
_LEAST_UNSUSPICIOUS_S0: Final = 1 << 16
_EXID_PREFIXES: Final = {int.from_bytes(exid[:2], "big"): name for name, _, exid, *_ in EXPERIMENTS}


class Finding(NamedTuple):
    """A rule that a segment breaks, or a note on it.

    `offset` is the octet in the TCP option area it is about, None where it is about no option; `expected` and `found`
    are the values in question, "" where the text says it all.
    """

    rule: str
    severity: Severity
    text: str
    offset: int | None
    frame: int = 0
    expected: str = ""
    found: str = ""


_Found = tuple[str, Severity | None, str]
"""Rule, severity where it is not the rule's own, text."""


def findings(segment: Segment, options: Sequence[TcpOption], kinds: Kinds = DEFAULT_KINDS) -> list[Finding]:
    """Every finding on the segment whose option area was walked to `options`, in the order of the options."""
    flows = [option for option in options if option.flow is not None]
    return [
        Finding(rule, severity or severity_of(rule), text, option.offset, segment.frame)
        for option in options
        for rule, severity, text in _on_option(segment, option, options, flows, kinds)
    ]


def option_findings(options: Sequence[TcpOption], kinds: Kinds = DEFAULT_KINDS) -> list[Finding]:
    """The findings that need only the option area, not the segment around it (OPT-01 … OPT-08, OPT-12)."""
    flows = [option for option in options if option.flow is not None]
    return [
        Finding(rule, severity or severity_of(rule), text, option.offset)
        for option in options
        for rule, severity, text in _on_format(option, flows, kinds)
    ]


def _on_option(
    segment: Segment, option: TcpOption, options: Sequence[TcpOption], flows: Sequence[TcpOption], kinds: Kinds
) -> Iterator[_Found]:
    yield from _on_format(option, flows, kinds)
    if option.flow is not None:
        yield from _on_place(segment, option.flow, options)
        yield from _on_values(segment, option.flow)


def _on_format(option: TcpOption, flows: Sequence[TcpOption], kinds: Kinds) -> Iterator[_Found]:
    if option.flow is not None:
        yield from _on_flow_format(option, option.flow, flows)
    elif option.kind is not None and kinds.variant(option.kind) and option.experiment is None and option.fault is None:
        # Without a flow option beside it, it may well be somebody else's experiment.
        octets = len(option.octets)
        other_format = octets in {LENGTH + 2, LENGTH + 4}
        if flows or not other_format:
            yield "OPT-01", None if flows else Severity.NOTE, f"length {octets} instead of {LENGTH}: not a flow option"
        if other_format:
            yield "OPT-03", None, f"{octets} octets: the size a flow option with an experiment identifier would have"


def _on_flow_format(option: TcpOption, flow: FlowOption, flows: Sequence[TcpOption]) -> Iterator[_Found]:
    if sum(other.kind == option.kind for other in flows) > 1:
        yield "OPT-04", None, f"kind {option.kind} stands more than once: receivers ignore all of them"
    if any(other.kind != option.kind for other in flows):
        yield "OPT-05", None, "flow-d and flow-c in one segment: receivers ignore both"
    if flow.tifid.first == 0:
        yield "OPT-06", None, "first half of the TIFID is zero"
    if option.offset % 4:
        yield "OPT-08", None, f"at octet {option.offset} of the option area: not aligned to 4"
    name = _EXID_PREFIXES.get(flow.tifid.first >> 8) if option.kind in EXPERIMENT_KINDS else None
    if name is not None:
        yield "OPT-12", None, f"the TIFID begins like the experiment identifier of {name}"


def _on_place(segment: Segment, flow: FlowOption, options: Sequence[TcpOption]) -> Iterator[_Found]:
    if segment.flags & ACK and flow.tifid.second == 0:
        yield "OPT-07", None, "second half of the TIFID is zero in a segment with ACK"
    for bit, name in ((RST, "RST"), (FIN, "FIN")):
        if segment.flags & bit:
            yield "OPT-10", None, f"flow option on a {name}: receivers ignore it"
    for other in options:
        name = {_MD5: "MD5", _AO: "TCP-AO", _FAST_OPEN: "Fast Open"}.get(other.kind or 0, "")
        if name or other.experiment == "tfo":
            yield "OPT-11", None, f"flow option beside {name or 'Fast Open'}"
    if segment.payload_length:
        octets = f"{segment.payload_length} octets of payload"
        if not segment.flags & SYN:
            yield "EST-11", None, f"{octets} in a segment with the option"
        elif segment.flags & ACK or flow.tifid.second == 0:
            yield "EST-15", None, f"{octets} in a SYN with the option"
        else:
            yield "RES-23", None, f"{octets} in a resume SYN"


def _on_values(segment: Segment, flow: FlowOption) -> Iterator[_Found]:
    """What the SYN of a new flow must and should contain; other segments need their connection to be judged."""
    if segment.flags & (SYN | ACK | RST | FIN) != SYN or flow.tifid.second != 0:
        return
    if flow.tiack != 0:
        yield "EST-01", None, f"TIAck {flow.tiack:012x} instead of 0 in the SYN of a new flow"
    if flow.tiseq < _LEAST_UNSUSPICIOUS_S0:
        yield "EST-02", None, f"initial TISeq {flow.tiseq:012x} is small enough to be guessed"
