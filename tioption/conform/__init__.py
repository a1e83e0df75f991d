"""Conformance: a host that listens is held against the rules, by a tester that opens flows and breaks them on purpose.

`CHECKS` has a check for each rule that shows from outside, `UNTESTABLE` why the others do not. A `Run` is a host for
`tioption.network.drive`, or for `tioption.endpoint.Network` in virtual time.
"""

from __future__ import annotations

from tioption.conform.case import Facts, Setting
from tioption.conform.checks import FAMILIES, UNTESTABLE
from tioption.conform.outcome import Result, Unreachable, Verdict
from tioption.conform.registry import CHECKS as _ENTERED
from tioption.conform.registry import Check, Need
from tioption.conform.run import Run
from tioption.rules import RULES

CHECKS: dict[str, Check] = {rule: _ENTERED[rule] for rule in RULES if rule in _ENTERED}
"""Every check by its rule, in the order of the rules."""

__all__ = [
    "CHECKS",
    "FAMILIES",
    "UNTESTABLE",
    "Check",
    "Facts",
    "Need",
    "Result",
    "Run",
    "Setting",
    "Unreachable",
    "Verdict",
]
