"""RES: how another transport takes over; initiator and responder are those of the resume, whoever opened the flow."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "RES-01",
        VIOLATION,
        "A SYN whose second half is not zero resumes a flow, and the TIFID stays as it is, halves in order, whichever "
        "host resumes.",
        "§III.B",
        WIRE,
        "another TIFID in the SYN-ACK or third ACK",
    ),
    Rule(
        "RES-02",
        WARNING,
        "A resume SYN says where its sender stopped (TISeq) and what it expects next (TIAck), and responders put up "
        "with a TISeq at the oldest unacknowledged byte.",
        "§III",
        WIRE,
        "a TISeq below the highest acknowledgment its sender received, or above the last byte it sent",
    ),
    Rule(
        "RES-03",
        NOTE,
        "A responder finds the flow by variant and TIFID before it looks for the port, so that addresses and ports may "
        "change.",
        "§III.B; RFC 8684 §3.2",
        WIRE,
        "the TIFID between other addresses or ports",
    ),
    Rule(
        "RES-04",
        VIOLATION,
        "A responder accepts a resume only if the TIAck lies between its oldest unacknowledged and its next position, "
        "and the TISeq is no farther from the position it expects than the largest window it advertised, 2^30 at most.",
        "our choice: security, whoever guesses a TIFID must guess positions too",
        WIRE,
        "a SYN-ACK to a resume outside these ranges",
    ),
    Rule(
        "RES-05",
        WARNING,
        "A responder answers a resume of a flow that it does not know, that has expired or that fails RES-04 with RST, "
        "at a limited rate, and keeps no state for it.",
        "our choice: by §III.C alone the answer would be plain TCP",
        WIRE,
        "a SYN-ACK without the option to a resume",
    ),
    Rule(
        "RES-06",
        VIOLATION,
        "An initiator whose resume is answered without the option, with an echo or with wrong values sends RST and no "
        "data, and reports the failure.",
        "our choice: whoever answered does not hold the flow; RFC 8684 §3.2",
        WIRE,
        "an ACK or data after such an answer",
    ),
    Rule(
        "RES-07",
        WARNING,
        "A responder switches transports only on a valid third ACK, or where that is lost, on data that acknowledges "
        "its SYN-ACK.",
        "our choice: the old transport serves until the new one does",
        WIRE,
        "an old transport that falls silent earlier",
    ),
    Rule(
        "RES-08",
        VIOLATION,
        "A responder answers a pure third ACK of a resume that has no option, or a wrong one, with RST and stays on "
        "the old transport.",
        "§IV.A",
        WIRE,
        "a connection that goes on nevertheless",
    ),
    Rule(
        "RES-09",
        WARNING,
        "An initiator stops sending on the old transport before it computes the positions of a resume, and may take it "
        "up again should the resume fail.",
        "our choice: the positions must not move meanwhile",
        WIRE,
        "bytes sent for the first time on the old transport during the resume",
    ),
    Rule(
        "RES-10",
        NOTE,
        "Hosts treat a resume as normal while the old transport still lives at the responder.",
        "our choice: the failure often shows on one side alone",
        WIRE,
        "two transports of a flow that overlap in time",
    ),
    Rule(
        "RES-11",
        WARNING,
        "After the switch hosts drop the old transport in silence, without FIN, and with RST only where addresses or "
        "ports differ.",
        "our choice: a FIN would end the stream",
        WIRE,
        "a FIN on the old transport",
    ),
    Rule(
        "RES-12",
        WARNING,
        "A resume never takes over the source port, the ISN or the timestamps of the transport before it.",
        "our choice: segments of the two must not mix; RFC 5961 §4.2, RFC 6056, RFC 7323",
        WIRE,
        "the same addresses and ports while the old transport lives",
    ),
    Rule(
        "RES-13",
        VIOLATION,
        "A SYN-ACK that is sent again has the TIAck of the first, even where more data has arrived since.",
        "EST-09",
        WIRE,
        "another TIAck in the copy",
    ),
    Rule(
        "RES-14",
        VIOLATION,
        "An initiator sends RST and reports an error where the responder's TIAck is below its oldest unacknowledged "
        "position or above its next one, and never skips bytes.",
        "our choice: a proxy on the path may have acknowledged bytes that are lost; RFC 6182 §5.2",
        WIRE,
        "data after such a TIAck",
    ),
    Rule(
        "RES-15",
        VIOLATION,
        "A host that had closed its stream sends again what is missing and then its FIN, its peer absorbs the repeat, "
        "and a TIAck one past the end is accepted after the FIN.",
        "our choice: the end of a stream must arrive as well",
        WIRE,
        "data past where the FIN stood",
    ),
    Rule(
        "RES-16",
        WARNING,
        "A responder holds no more than 2 pending resumes for a flow, takes the first whose third ACK is valid, and "
        "resets the rest.",
        "our choice: state stays bounded",
        WIRE,
        "two of the pending resumes completed",
    ),
    Rule(
        "RES-17",
        None,
        "A late copy of a resume SYN never moves a responder: it fails RES-04, or stays pending until it expires.",
        "our choice: networks duplicate and delay",
        ENDPOINT,
        "",
    ),
    Rule(
        "RES-18",
        NOTE,
        "Unless configured otherwise only the host that opened a flow resumes it, and its attempt wins where two "
        "cross.",
        "our choice: through a NAT the other host cannot connect; RFC 8684 §3.2",
        WIRE,
        "a resume by the other host",
    ),
    Rule(
        "RES-19",
        None,
        "An initiator resumes on a retransmission threshold or user timeout, a RST, an ICMP unreachable, the loss of "
        "its address, or a call of its application.",
        "our choice: §IV.C has only a sysctl for tests",
        ENDPOINT,
        "",
    ),
    Rule(
        "RES-20",
        None,
        "An initiator tries one resume after a RST, and reports ECONNRESET where a RST answers that as well.",
        "our choice: a RST does not tell a middlebox from the peer",
        ENDPOINT,
        "",
    ),
    Rule(
        "RES-21",
        NOTE,
        "A host keeps a flow without transport for 300 seconds, never for less than 100, and then reports ETIMEDOUT.",
        "our choice: state must end some time; RFC 5482",
        WIRE,
        "a resume of a flow that was without transport for longer",
    ),
    Rule(
        "RES-22",
        WARNING,
        "A flow is over once each host has closed its stream and seen that acknowledged, and neither issues its half "
        "again for 2 MSL.",
        "our choice: as TIME-WAIT does for ports",
        WIRE,
        "the TIFID in use again sooner",
    ),
    Rule(
        "RES-23",
        VIOLATION,
        "No initiator puts payload into the SYN of a resume.",
        "EST-15",
        WIRE,
        "payload in a SYN whose second half is not zero",
    ),
)
