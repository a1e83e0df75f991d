"""OPT: the option itself, where it stands and what stands beside it."""

from __future__ import annotations

from typing import Final

from tioption.rules.rule import ENDPOINT, NOTE, VIOLATION, WARNING, WIRE, Rule

RULES: Final = (
    Rule(
        "OPT-01",
        VIOLATION,
        "A flow option is 20 octets, big-endian: kind, length, then 6 octets each of TIFID, TISeq and TIAck.",
        "§III, Fig. 1; RFC 9293 MUST-7",
        WIRE,
        "a configured kind at another length, without a known experiment identifier, where a flow option was seen in "
        "the connection; a note where none was, since it may be somebody else's experiment",
    ),
    Rule(
        "OPT-02",
        NOTE,
        "Tools and endpoints take any two kinds, 253 and 254 where none are set, and an endpoint sends neither until "
        "its user switches the option on.",
        "our choice: the paper assigns none; RFC 4727 §8",
        ENDPOINT,
        "",
    ),
    Rule(
        "OPT-03",
        NOTE,
        "The option has no experiment identifier; with one, at 22 or 24 octets, it would be another format.",
        "§II.B; RFC 6994",
        WIRE,
        "length 22 or 24 on a configured kind",
    ),
    Rule(
        "OPT-04",
        VIOLATION,
        "A sender puts a single flow option into a segment, and a receiver that meets a kind twice ignores every copy.",
        "our choice: two are ambiguous",
        WIRE,
        "the same kind more than once",
    ),
    Rule(
        "OPT-05",
        VIOLATION,
        "A segment never carries Flow-D and Flow-C together, and a receiver that meets both ignores both.",
        "§VI",
        WIRE,
        "both kinds in one segment",
    ),
    Rule(
        "OPT-06",
        VIOLATION,
        "No flow option has a TIFID whose first half is zero.",
        "our choice: zero means unset",
        WIRE,
        "a TIFID that begins with three zero octets",
    ),
    Rule(
        "OPT-07",
        VIOLATION,
        "Only the SYN that opens a flow leaves the second half of the TIFID zero.",
        "§III",
        WIRE,
        "a second half of zero in a segment with ACK",
    ),
    Rule(
        "OPT-08",
        NOTE,
        "Senders place the option at a multiple of 4 octets into the option area; receivers take it at any offset.",
        "Fig. 1; RFC 9293 MUST-64",
        WIRE,
        "an offset that is no multiple of 4",
    ),
    Rule(
        "OPT-09",
        VIOLATION,
        "Only handshake segments carry the option: the SYN, the SYN-ACK, and the ACK that answers it.",
        "§III, §IV.A",
        WIRE,
        "the option on any other segment; a note where it repeats the third ACK's and the responder has sent no "
        "segment without SYN yet",
    ),
    Rule(
        "OPT-10",
        VIOLATION,
        "Senders leave the option off RST and FIN segments, and receivers ignore it there.",
        "§III",
        WIRE,
        "the option on a RST or FIN",
    ),
    Rule(
        "OPT-11",
        WARNING,
        "A sender leaves the option out where it does not fit, gives up no MSS for it, and never combines it with a "
        "Fast Open cookie, MD5 or TCP-AO.",
        "§II.B",
        WIRE,
        "the option beside a Fast Open cookie, MD5 or TCP-AO",
    ),
    Rule(
        "OPT-12",
        WARNING,
        "On kinds 253 and 254 a sender draws no TIFID whose first octets are those of a known experiment identifier "
        "(F989, E2D4, ACCE and others).",
        "our choice: others would take the option for that experiment; Linux, RFC 7609",
        WIRE,
        "a first half that begins like a known identifier",
    ),
)
