"""THE rules: identifiers, severities, texts and sources that verdicts, dissectors and documentation cite."""

from __future__ import annotations

from typing import Final

from tioption.rules import (
    compatibility,
    control,
    establishment,
    mapping,
    middleboxes,
    option,
    resumption,
    security,
)
from tioption.rules.rule import Rule, Severity, Where

__all__ = ["RULES", "Rule", "Severity", "Where", "severity_of"]

_FAMILIES: Final = (option, establishment, compatibility, mapping, resumption, control, security, middleboxes)

RULES: Final[dict[str, Rule]] = {rule.id: rule for family in _FAMILIES for rule in family.RULES}
"""Every rule by its identifier, in the order of the specification."""


def severity_of(identifier: str) -> Severity:
    """The severity of a finding on this rule, which must be one that a capture can show."""
    severity = RULES[identifier].severity
    assert severity is not None, f"{identifier} can be tested only at an endpoint"
    return severity
