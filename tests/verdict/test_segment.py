"""Each finding that one segment can give: a segment that breaks the rule, and one that keeps it."""

from __future__ import annotations

import pytest

from tioption.build.packet import NOP, Host, TcpHeader, ip_packet, mss, tcp_segment
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN, Segment
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant, walk
from tioption.rules import RULES, Severity
from tioption.verdict import SEGMENT_RULES, findings, option_findings

A = Host("192.0.2.1", 40000, bytes(6))
B = Host("198.51.100.2", 9000, bytes(6))
NEW = FlowOption(Variant.FLOW_D, Tifid(0x0A4530000000), 0x123456789A, 0)
FULL = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x123456789A, 0x77)
CONTROL = FULL.replace(variant=Variant.FLOW_C)


def segment(flags: int, options: bytes, payload: bytes = b"") -> Segment:
    header = TcpHeader(1, 2, flags, 3, options)
    octets = tcp_segment(A, B, header, payload)
    length = 20 + len(options) + -len(options) % 4
    end = len(octets)
    return Segment(1, 0, octets, 0, end, end, bytes(4), bytes(4), 1, 2, 1, 2, length, flags, 3)


def found(flags: int, options: bytes, payload: bytes = b"", kinds: Kinds = DEFAULT_KINDS) -> list[tuple[str, str]]:
    one = segment(flags, options, payload)
    return [
        (finding.rule, finding.severity.value)
        for finding in findings(one, list(walk(one.options, one.options_length, kinds)), kinds)
    ]


CLEAN = [
    (SYN, mss(1460) + bytes(NEW), b""),
    (SYN, mss(1460) + bytes(FULL.replace(tiseq=0)), b""),  # a resume may stand at 0 (MAP-07)
    (SYN | ACK, mss(1460) + bytes(FULL), b""),
    (ACK, bytes(FULL), b""),
    (ACK, bytes(CONTROL), b""),
    (ACK, mss(1460), b"data"),
    (SYN, bytes.fromhex("fe0cf989a46fd54e0905784a"), b"data"),  # Fast Open alone
    (SYN, b"\xfd\x0c\xde\xea" + bytes(8), b""),
]


@pytest.mark.parametrize(("flags", "options", "payload"), CLEAN)
def test_what_keeps_the_rules_is_clean(flags: int, options: bytes, payload: bytes) -> None:
    assert found(flags, options, payload) == []


BROKEN = [
    ("OPT-01", "note", SYN, b"\xfd\x08" + bytes(range(1, 7)), b""),
    ("OPT-01", "violation", SYN, bytes(NEW) + b"\xfe\x08" + bytes(range(1, 7)), b""),
    ("OPT-03", "note", SYN, b"\xfd\x16" + bytes(range(1, 21)), b""),
    ("OPT-03", "note", SYN, b"\xfe\x18" + bytes(range(1, 23)), b""),
    ("OPT-04", "violation", SYN, bytes(NEW) * 2, b""),
    ("OPT-05", "violation", ACK, bytes(FULL) + bytes(CONTROL), b""),
    ("OPT-06", "violation", SYN, bytes(NEW.replace(tifid=Tifid(0))), b""),
    ("OPT-07", "violation", SYN | ACK, bytes(NEW), b""),
    ("OPT-07", "violation", ACK, bytes(NEW), b""),
    ("OPT-08", "note", SYN, NOP + bytes(NEW), b""),
    ("OPT-10", "violation", RST, bytes(FULL), b""),
    ("OPT-10", "violation", FIN | ACK, bytes(FULL), b""),
    ("OPT-11", "warning", SYN, b"\x13\x12" + bytes(16) + NOP * 2 + bytes(NEW), b""),
    ("OPT-11", "warning", SYN, b"\x1d\x04\1\1" + bytes(NEW), b""),
    ("OPT-11", "warning", SYN, b"\x22\x0a" + bytes(8) + NOP * 2 + bytes(NEW), b""),
    ("OPT-11", "warning", SYN, bytes.fromhex("fe0cf989a46fd54e0905784a") + bytes(NEW), b""),
    ("OPT-12", "warning", SYN, bytes(NEW.replace(tifid=Tifid(0xE2D400000000))), b""),
    ("OPT-12", "warning", SYN, bytes(NEW.replace(tifid=Tifid(0xACCE55000000))), b""),
    ("EST-01", "violation", SYN, bytes(NEW.replace(tiack=1)), b""),
    ("EST-02", "warning", SYN, bytes(NEW.replace(tiseq=0)), b""),
    ("EST-02", "warning", SYN, bytes(NEW.replace(tiseq=65535)), b""),
    ("EST-11", "note", ACK | PSH, bytes(FULL), b"data"),
    ("EST-15", "violation", SYN, bytes(NEW), b"data"),
    ("EST-15", "violation", SYN | ACK, bytes(FULL), b"data"),
    ("RES-23", "violation", SYN, bytes(FULL), b"data"),
]


@pytest.mark.parametrize(("rule", "severity", "flags", "options", "payload"), BROKEN)
def test_what_breaks_a_rule_is_found(rule: str, severity: str, flags: int, options: bytes, payload: bytes) -> None:
    assert {name for name, _ in found(flags, options, payload)} - {"OPT-08"} <= {rule, "OPT-08"}
    assert (rule, severity) in found(flags, options, payload)


def test_every_rule_of_segments_is_broken_by_some_segment() -> None:
    assert {rule for rule, *_ in BROKEN} == SEGMENT_RULES


def test_severities_are_those_of_the_rules_but_for_a_lone_foreign_length() -> None:
    for rule, severity, *_ in BROKEN:
        if (rule, severity) != ("OPT-01", "note"):
            assert RULES[rule].severity is Severity(severity)


def test_identifiers_do_not_matter_on_other_kinds() -> None:
    kinds = Kinds(77, 78)
    assert found(SYN, NEW.replace(tifid=Tifid(0xACCE55000000)).encode(kinds), kinds=kinds) == []


def test_options_alone_are_judged_by_their_format() -> None:
    names = [finding.rule for finding in option_findings(list(walk(bytes(NEW.replace(tifid=Tifid(0))) * 2)))]
    assert names == ["OPT-04", "OPT-06", "OPT-04", "OPT-06"]


def test_built_packets_are_ip_around_the_segment() -> None:
    octets = tcp_segment(A, B, TcpHeader(1, 2, SYN, 3))
    assert ip_packet(A, B, octets)[20:] == octets
