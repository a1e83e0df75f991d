"""`docs/reference/rules.md`: the rules as a table for each family."""

from __future__ import annotations

from itertools import groupby

from tioption.rules import RULES, Rule
from tioption.verdict import SEGMENT_RULES

_TITLES = {
    "OPT": "the option",
    "EST": "establishment",
    "LEG": "hosts and paths without the option",
    "MAP": "positions and sequence numbers",
    "RES": "resumption",
    "CTL": "Flow-C",
    "SEC": "security",
    "MBX": "middleboxes",
}


def _family(rule: Rule) -> str:
    return rule.id.partition("-")[0]


def _row(rule: Rule) -> str:
    severity = rule.severity.value if rule.severity is not None else "—"
    return f"| {rule.id} | {severity} | {rule.text} | {rule.seen or '—'} | {rule.source} |"


def _sections() -> str:
    sections = []
    for family, rules in groupby(RULES.values(), _family):
        rows = ["| rule | severity | what it asks | how a capture shows it | source |", "|-|-|-|-|-|"]
        rows += map(_row, rules)
        sections.append(f"## {family}: {_TITLES[family]}\n\n" + "\n".join(rows))
    return "\n\n".join(sections)


def _segment_rules() -> str:
    """The rules of single segments, each family named once: `OPT-01, 03, EST-01`."""
    rules = [RULES[rule] for rule in RULES if rule in SEGMENT_RULES]
    numbers = {family: [rule.id.partition("-")[2] for rule in group] for family, group in groupby(rules, _family)}
    return "; ".join(f"{family}-{', '.join(found)}" for family, found in numbers.items())


def render() -> str:
    """The text of the page."""
    return f"""\
<!-- Generated from tioption/rules/ by `python -m tioption.generate`. Do not edit. -->
# The rules

What the protocol asks, one rule a row. Identifiers never change their meaning; `tiopt rules ID` prints a rule,
`tiopt rules --format json` all of them.

`tiopt decode` reports the rules that a single segment shows broken, without knowing its connection:
{_segment_rules()}.
An option of a configured kind and another length (OPT-01) is a note there as long as no flow option stands beside it.

The initiator sends the SYN of a handshake, the responder answers it, and the third ACK completes it; from RES on they
are those of the resume where one is spoken of. The halves are those of the TIFID. An ISN is the initial sequence number
of a transport, a position a place in a stream of the flow ([the protocol in one page](../protocol.md)).

A finding is a *violation*, a *warning* or a *note*. Where a capture lacks the first SYN of a flow, what rests on
positions (MAP, RES-02, RES-04) is a note. A dash stands where there is none: such a rule can be tested only at an
endpoint. In the last column § alone is a section of the paper, and "our choice" says why where the paper is silent.

{_sections()}
"""
