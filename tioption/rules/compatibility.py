"""LEG: how a host that knows the option gets on with hosts and paths that do not."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "LEG-01",
        VIOLATION,
        "An initiator of a new flow that receives a SYN-ACK without the option sends none in its ACK and goes on in "
        "plain TCP.",
        "§III.C; §IV.A, Trace 1",
        WIRE,
        "the option in the third ACK nevertheless",
    ),
    Rule(
        "LEG-02",
        VIOLATION,
        "A responder answers a SYN that has no option with a SYN-ACK that has none.",
        "§IV.A",
        WIRE,
        "as EST-03",
    ),
    Rule(
        "LEG-03",
        NOTE,
        "A responder that receives a pure third ACK without the option deletes the flow's state and goes on in plain "
        "TCP.",
        "§IV.A",
        WIRE,
        "a third ACK without option and payload after a SYN-ACK with the option",
    ),
    Rule(
        "LEG-04",
        NOTE,
        "An initiator may leave the option out of the SYN of a new flow after repeated losses (2 unless set "
        "otherwise), keeps its ISN, and remembers the result for the path.",
        "our choice: some paths drop SYNs with unknown options; RFC 8684 §3.1, RFC 7413",
        WIRE,
        "a repeated SYN without the option under the same ISN",
    ),
    Rule(
        "LEG-05",
        None,
        "Where SYNs with and without the option went out, the third ACK decides, and the initiator may accept a late "
        "SYN-ACK that has the option.",
        "our choice: the answer to the first SYN may only be late; RFC 8684 §3.1",
        ENDPOINT,
        "",
    ),
    Rule(
        "LEG-06",
        VIOLATION,
        "Every copy of a resume SYN has the option.",
        "our choice: without it the server would take a new connection to its application",
        WIRE,
        "a repeated resume SYN without the option under the same ISN",
    ),
    Rule(
        "LEG-07",
        NOTE,
        "An initiator takes a SYN-ACK whose option is that of its own SYN for an echo, not for support.",
        "our choice: some hosts send back what they do not know; RFC 8547 §8.1",
        WIRE,
        "the 18 octets after kind and length returned unchanged; a violation if the initiator confirms",
    ),
    Rule(
        "LEG-08",
        WARNING,
        "A host never refuses plain TCP because an option is malformed or unknown to it.",
        "§III.C; RFC 9293 MUST-6",
        WIRE,
        "a RST to the SYN of a new flow whose option is malformed",
    ),
)
