"""MBX: what paths do to the option, and what hosts make of it."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WIRE, Rule

RULES: Final = (
    Rule(
        "MBX-01",
        NOTE,
        "A flow works whatever ISNs a middlebox puts in place of the hosts' own.",
        "Honda 2011",
        WIRE,
        "other ISNs at a second capture point",
    ),
    Rule(
        "MBX-02",
        NOTE,
        "Hosts treat an option that was overwritten with NOP or EOL like one that was stripped (LEG-01, LEG-03).",
        "§III.C",
        WIRE,
        "padding at one of two capture points where the other has the option",
    ),
    Rule(
        "MBX-03",
        NOTE,
        "Receivers ignore the identical copies of an option that come of a segment being split.",
        "RFC 8684 §3.1",
        WIRE,
        "the same option on several segments",
    ),
    Rule(
        "MBX-04",
        NOTE,
        "Where a SYN proxy answers in the peer's place, hosts go on in plain TCP with a new flow and give a resume up "
        "by RES-06.",
        "our choice: the proxy holds no flow",
        ENDPOINT,
        "",
    ),
    Rule(
        "MBX-05",
        VIOLATION,
        "A middlebox may read TIFID, TISeq and TIAck but changes none of them.",
        "our choice: both hosts rely on these values",
        WIRE,
        "other values at a second capture point",
    ),
)
