"""The checks, by family, and the rules that none of them can be about."""

from __future__ import annotations

from tioption.conform.checks import (
    compatibility,
    control,
    establishment,
    mapping,
    middleboxes,
    option,
    resumption,
    security,
)
from tioption.conform.checks.untestable import UNTESTABLE

FAMILIES = (option, establishment, compatibility, mapping, resumption, control, security, middleboxes)

__all__ = ["FAMILIES", "UNTESTABLE"]
