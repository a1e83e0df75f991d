"""EST: how a flow is established; the initiator is the host that opens it, the responder the one that answers."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "EST-01",
        VIOLATION,
        "The SYN of a new flow has a random first half that is unique on its host, a second half of zero, a random "
        "TISeq, and TIAck 0.",
        "§III.A",
        WIRE,
        "a TIAck other than 0",
    ),
    Rule(
        "EST-02",
        WARNING,
        "Each host draws an initial TISeq that is not 0 and that nobody else can guess.",
        "§III; RFC 6528",
        WIRE,
        "an initial TISeq below 2^16",
    ),
    Rule(
        "EST-03",
        VIOLATION,
        "A responder puts the option into its SYN-ACK only where the SYN brought it, and with that kind.",
        "§III.C; RFC 8684",
        WIRE,
        "the option in a SYN-ACK whose SYN had none, or had another kind",
    ),
    Rule(
        "EST-04",
        VIOLATION,
        "The responder returns the first half as it came and adds a second half that is random, unique on its host and "
        "not zero.",
        "§III.A",
        WIRE,
        "another first half in the SYN-ACK, or a second half of zero",
    ),
    Rule(
        "EST-05",
        VIOLATION,
        "The TIAck of the SYN-ACK is the TISeq of the SYN, which takes no position itself, and its TISeq is random.",
        "§III.A",
        WIRE,
        "a TIAck other than the TISeq of the SYN",
    ),
    Rule(
        "EST-06",
        VIOLATION,
        "The initiator holds the SYN-ACK against EST-04 and EST-05 and treats one that fails like one without the "
        "option (LEG-01).",
        "our choice: a wrong answer proves no support; RFC 8684 §3.1",
        WIRE,
        "the option in the third ACK after such a SYN-ACK",
    ),
    Rule(
        "EST-07",
        VIOLATION,
        "The third ACK has the complete TIFID, the TISeq of the SYN, and as TIAck the TISeq of the SYN-ACK.",
        "§III.A",
        WIRE,
        "another value in any of these fields",
    ),
    Rule(
        "EST-08",
        None,
        "The responder takes the flow for established when the third ACK keeps EST-07; on other values it deletes the "
        "state and goes on in plain TCP.",
        "§III.A",
        ENDPOINT,
        "",
    ),
    Rule(
        "EST-09",
        VIOLATION,
        "A SYN or SYN-ACK that is sent again has the ISN and the option of the first.",
        "our choice: the peer may answer either copy; RFC 8547 §4.6",
        WIRE,
        "another option under the same ISN",
    ),
    Rule(
        "EST-10",
        VIOLATION,
        "An initiator that receives the SYN-ACK again sends its third ACK again, with the same option.",
        "our choice: the first one may be lost",
        WIRE,
        "a repeated ACK whose option differs; one that lacks it is a warning",
    ),
    Rule(
        "EST-11",
        NOTE,
        "Initiators avoid payload in the third ACK, though they may send it.",
        "our choice: segmentation offload copies options",
        WIRE,
        "payload in the segment with the option",
    ),
    Rule(
        "EST-12",
        NOTE,
        "A responder that receives data without the option where the third ACK was due holds the flow unconfirmed "
        "until a valid resume SYN, which only a host that saw the second half can send.",
        "our choice: the third ACK may be lost",
        WIRE,
        "data without the option where the third ACK was due",
    ),
    Rule(
        "EST-13",
        NOTE,
        "With the extension confirm_repeat an initiator goes on sending the option until the responder's first segment "
        "without SYN.",
        "our choice: one lost ACK then costs nothing; RFC 8547 §4.6",
        WIRE,
        "identical copies after the third ACK (OPT-09)",
    ),
    Rule(
        "EST-14",
        VIOLATION,
        "When the SYNs of two new flows cross, both hosts leave the option out of their SYN-ACKs and go on in plain "
        "TCP.",
        "our choice: two first halves make no TIFID; RFC 8547 §4.3",
        WIRE,
        "the option after crossed SYNs",
    ),
    Rule(
        "EST-15",
        VIOLATION,
        "Hosts send no payload in a SYN or SYN-ACK that has the option.",
        "our choice: nothing is agreed yet; RFC 8547 §4.7",
        WIRE,
        "payload in such a segment",
    ),
    Rule(
        "EST-16",
        None,
        "A responder that uses SYN cookies derives the second half and its initial TISeq from a keyed function of the "
        "SYN, or leaves the option out.",
        "our choice: it keeps nothing between SYN and third ACK; RFC 4987",
        ENDPOINT,
        "",
    ),
)
