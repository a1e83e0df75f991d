"""MAP: how positions in a stream go with the sequence numbers of the transports that carry it."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "MAP-01",
        NOTE,
        "Hosts count positions from the initial TISeq, one for each byte of the stream and none for SYN or FIN.",
        "§III; for FIN our choice: it is no byte of the stream",
        WIRE,
        "a resume whose TIAck is off by a FIN",
    ),
    Rule(
        "MAP-02",
        WARNING,
        "A host's TIAck is the initial TISeq of its peer plus the bytes that have arrived without a gap.",
        "§III, §III.A",
        WIRE,
        "a resume whose TIAck is below what its sender had acknowledged, or above all data seen",
    ),
    Rule(
        "MAP-03",
        None,
        "The byte after an ISN stands for the last TISeq that its sender gave in this handshake, and where the third "
        "ACK of a resume is lost, for the TIAck that the responder sent.",
        "§III.A",
        ENDPOINT,
        "",
    ),
    Rule(
        "MAP-04",
        VIOLATION,
        "On a resume each host goes on where the other's TIAck points: the TISeq of the SYN-ACK is the TIAck of the "
        "SYN, that of the third ACK is the TIAck of the SYN-ACK, whose TISeq the third ACK acknowledges.",
        "§III.A, §III.B, read so that no byte is lost or sent twice",
        WIRE,
        "another value; a warning where the TISeq is its sender's oldest unacknowledged position, the other reading of "
        "the paper, which endpoints accept and never send",
    ),
    Rule(
        "MAP-05",
        VIOLATION,
        "A receiver trims the overlap where its peer starts below the position expected, and sends RST where the peer "
        "starts above it.",
        "our choice: bytes are neither repeated nor skipped",
        WIRE,
        "in a SYN-ACK or third ACK, a TISeq above the TIAck that the peer has sent",
    ),
    Rule(
        "MAP-06",
        None,
        "A host ties positions to the ISN as it sees it and never relates a TISeq to an absolute sequence number.",
        "our choice: middleboxes rewrite ISNs; Honda 2011",
        ENDPOINT,
        "",
    ),
    Rule(
        "MAP-07",
        WARNING,
        "Hosts count across TCP's wraps at 2^32 in 64 bits and compare positions mod 2^48 over half the range, 2^47, "
        "so that a resume may stand at TISeq 0.",
        "§II.B",
        WIRE,
        "a jump backwards by more than 2^47",
    ),
    Rule(
        "MAP-08",
        None,
        "After a switch a receiver discards bytes below the position it expects, so that its application gets each "
        "byte once.",
        "our choice: a new transport may repeat bytes",
        ENDPOINT,
        "",
    ),
    Rule(
        "MAP-09",
        None,
        "A receiver forgets the bytes it holds beyond a gap when their transport fails.",
        "our choice: TIAck is cumulative",
        ENDPOINT,
        "",
    ),
)
