"""SEC: what keeps strangers out of a flow, and what does not."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "SEC-01",
        WARNING,
        "Hosts draw halves and initial TISeqs from a cryptographic random generator, or derive them as EST-16 says.",
        "§III",
        WIRE,
        "halves that repeat or count up",
    ),
    Rule(
        "SEC-02",
        VIOLATION,
        "A host draws its half again where a live or quarantined flow has it, for random halves of 24 bits collide "
        "with 50 % at 4,823 flows.",
        "§III",
        WIRE,
        "the TIFID of a live flow issued again",
    ),
    Rule(
        "SEC-03",
        None,
        "No configuration switches the check of RES-04 off.",
        "our choice: nothing else stops a guesser",
        ENDPOINT,
        "",
    ),
    Rule(
        "SEC-04",
        WARNING,
        "A host limits its dormant flows, the bytes it retains, its pending resumes, and the resume SYNs from one "
        "source.",
        "our choice: an attacker must not fill its memory",
        WIRE,
        "a flood of resume SYNs whose TIFIDs are unknown",
    ),
    Rule(
        "SEC-05",
        WARNING,
        "Tools tell their users that the TIFID travels in the clear, that anyone who saw a flow begin can take it "
        "over, and that TLS or SSH belongs above it.",
        "RFC 6181 §6.2",
        WIRE,
        "a resume whose TISeq is out of the window",
    ),
)
