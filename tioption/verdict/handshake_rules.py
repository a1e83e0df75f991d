"""From what the engine observed to findings with words: which rule, how severe, what it means and who is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tioption.capture.segment import FIN, Segment
from tioption.handshake import Difference, Event, Handshake, Observation, State
from tioption.rules import Severity, severity_of
from tioption.seq import SEQ48
from tioption.verdict.segment import Finding

_TEXTS: Final = {
    "EST-03": "the SYN-ACK carries an option that the SYN did not ask for",
    "EST-06": "the opener confirms although the SYN-ACK's option was wrong",
    "EST-07": "the confirming option is not the one the handshake asks for; the answerer falls back to plain TCP",
    "EST-09": "a retransmission changes the option",
    "EST-10": "a SYN-ACK that came again is not answered by the same option",
    "EST-12": "data comes before any confirmation: the third ACK was lost, in the network or in the capture",
    "EST-13": "the confirming option is repeated before the answerer has spoken",
    "EST-14": "after a simultaneous open a segment carries the option",
    "LEG-01": "the third segment carries the option although the SYN-ACK had none",
    "LEG-03": "the third ACK has no option: a middlebox strips it on one way, or the opener has given up",
    "LEG-04": "the SYN is sent again without the option, after losses",
    "LEG-06": "a resume SYN is sent again without the option: it would wake a fresh application",
    "LEG-07": "the SYN-ACK's option is the SYN's own: a middlebox or an old host echoes unknown options",
    "OPT-09": "the option stands outside the handshake",
    "RES-05": "a resume is answered in plain TCP instead of a RST: the answerer, or a proxy before it, knows no flow",
    "RES-06": "the opener goes on after its resume was refused",
    "RES-08": "the answerer goes on although the resume was not confirmed",
    "RES-13": "a SYN-ACK that came again changes its values",
}
_DIFFERENCES: Final = {
    "EST-04": "the SYN-ACK's TIFID does not continue the SYN's",
    "EST-05": "the SYN-ACK does not acknowledge the SYN's TISeq",
    "RES-01": "the TIFID changes within a resume",
    "MAP-04": "a TISeq of the resume is not the TIAck it answers",
}

# Rules for which the table speaks for all differences of a segment at once.
_WHOLE: Final = frozenset({"EST-06", "EST-07", "EST-10", "EST-14", "LEG-01", "LEG-07", "RES-06", "RES-13", "EST-09"})


def handshake_findings(
    segment: Segment, offset: int | None, before: State, handshake: Handshake, observation: Observation, una: int | None
) -> Iterator[Finding]:
    """The findings of one observation; `una` is the answerer's oldest unacknowledged position where it is known."""
    rule, event = observation.rule, observation.event
    details = observation.differences
    if rule is not None and not (rule == "OPT-09" and segment.flags & FIN):  # on a FIN it is OPT-10
        severity = _severity(rule, before, event)
        text = _TEXTS.get(rule, rule)
        if event is Event.SYN_OVERTAKEN:
            text = "the SYN with the option comes after the one without: it was overtaken, or the option was put back"
        expected = ", ".join(f"{one.field} {one.expected}" for one in details)
        found = ", ".join(f"{one.field} {one.found}" for one in details)
        yield Finding(rule, severity, text, offset, segment.frame, expected, found)
    if rule not in _WHOLE:
        for one in details:
            yield _difference(one, segment, offset, una)
            if one.rule == "MAP-04" and event is Event.ANSWER_WRONG:
                yield from _gap(one, segment, offset)
    if event is Event.ANSWER_RIGHT and not handshake.resumes and handshake.seen_syn and handshake.answer is not None:
        position = handshake.answer.tiseq
        if position < 1 << 16:
            text = f"initial TISeq {position:012x} of the SYN-ACK is small enough to be guessed"
            yield Finding("EST-02", severity_of("EST-02"), text, offset, segment.frame)


def _severity(rule: str, before: State, event: Event | None) -> Severity:
    """The rule's own severity, but where the specification weighs cases differently."""
    if rule == "EST-10" and event is Event.CONFIRM_PLAIN:
        return Severity.WARNING
    if rule == "LEG-07" and before is State.ECHOED:
        return Severity.VIOLATION
    return severity_of(rule)


def _difference(one: Difference, segment: Segment, offset: int | None, una: int | None) -> Finding:
    severity = severity_of(one.rule)
    text = _DIFFERENCES.get(one.rule, one.rule)
    if one.rule == "MAP-04" and one.field == "tiseq" and una is not None and one.found == f"{una:012x}":
        severity = Severity.WARNING
        text += "; it is the sender's oldest unacknowledged byte, so the receiver has to trim (MAP-05)"
    return Finding(one.rule, severity, text, offset, segment.frame, one.expected, one.found)


def _gap(one: Difference, segment: Segment, offset: int | None) -> Iterator[Finding]:
    if SEQ48.difference(int(one.found, 16), int(one.expected, 16)) > 0:
        text = "the SYN-ACK begins beyond what the opener has: bytes would be missing"
        yield Finding("MAP-05", severity_of("MAP-05"), text, offset, segment.frame, one.expected, one.found)
