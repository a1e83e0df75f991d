"""THE rules: identifiers, severities, texts and sources that verdicts, dissectors and documentation cite.

This release holds the rules that a single segment can break; the validator brings the others.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Severity(Enum):
    """How much a finding weighs; the value is the word users read."""

    VIOLATION = "violation"
    WARNING = "warning"
    NOTE = "note"


class Rule(NamedTuple):
    """One rule of the protocol; `id` is public interface and never changes its meaning."""

    id: str
    severity: Severity
    text: str
    source: str


_V, _W, _N = Severity.VIOLATION, Severity.WARNING, Severity.NOTE

_RULES: Final = (
    Rule("OPT-01", _V, "The option is 20 octets: kind, length, TIFID, TISeq, TIAck.", "§III, Fig. 1; RFC 9293 MUST-7"),
    Rule("OPT-03", _N, "The option carries no experiment identifier; 22 or 24 octets are another format.", "RFC 6994"),
    Rule("OPT-04", _V, "A segment carries at most one flow option of a kind.", "our choice: two are ambiguous"),
    Rule("OPT-05", _V, "A segment never carries Flow-D and Flow-C together.", "§VI"),
    Rule("OPT-06", _V, "The first half of the TIFID is never zero.", "our choice: zero means unset"),
    Rule("OPT-07", _V, "The second half of the TIFID is zero only in the SYN of a new flow.", "§III"),
    Rule("OPT-08", _N, "Senders align the option to 4 octets.", "Fig. 1; RFC 9293 MUST-64"),
    Rule("OPT-10", _V, "The option is never sent on RST or FIN.", "§III"),
    Rule("OPT-11", _W, "The option is never combined with a Fast Open cookie, MD5 or TCP-AO.", "§II.B"),
    Rule("OPT-12", _W, "TIFIDs that begin like a known experiment identifier are avoided.", "RFC 6994, RFC 7609"),
    Rule("EST-01", _V, "The SYN of a new flow has TIAck 0.", "§III.A"),
    Rule("EST-02", _W, "An initial TISeq is neither zero nor predictable.", "§III; RFC 6528"),
    Rule(
        "EST-11",
        _N,
        "The ACK that completes the handshake should carry no payload.",
        "our choice: offloads copy options",
    ),
    Rule("EST-15", _V, "A SYN with the option carries no data.", "our choice; RFC 8547 §4.7"),
    Rule("RES-23", _V, "A resume SYN carries no data.", "our choice; RFC 8547 §4.7"),
)

RULES: Final = {rule.id: rule for rule in _RULES}
"""Every rule by its identifier, in the order of the specification."""
