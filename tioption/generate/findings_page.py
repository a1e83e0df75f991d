"""`docs/reference/findings.md`: the rules as a table."""

from __future__ import annotations

from tioption.rules import RULES


def render() -> str:
    """The text of the page."""
    rows = ["| rule | severity | what it asks | source |", "|-|-|-|-|"]
    rows += [f"| {rule.id} | {rule.severity.value} | {rule.text} | {rule.source} |" for rule in RULES.values()]
    table = "\n".join(rows)
    return f"""\
<!-- Generated from tioption/rules.py by `python -m tioption.generate`. Do not edit. -->
# Findings

`tiopt decode` notes what a single segment shows, without knowing its connection; identifiers are stable. An option of a
configured kind and another length (OPT-01) is a note as long as no flow option stands beside it: it may be somebody
else's experiment.

{table}
"""
