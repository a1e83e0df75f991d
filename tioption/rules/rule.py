"""What a rule is made of."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Severity(Enum):
    """How much a finding weighs; the value is the word users read."""

    VIOLATION = "violation"
    WARNING = "warning"
    NOTE = "note"


class Where(Enum):
    """Where a rule can be tested: in a capture, or only at an endpoint; the value is the word users read."""

    WIRE = "wire"
    ENDPOINT = "endpoint"


class Rule(NamedTuple):
    """One rule of the protocol; `id` is public interface and never changes its meaning.

    `severity` is None where only an endpoint can be tested. `text` is one sentence, what is asked of whom; `source` a
    section of the paper (§), an RFC, or "our choice" and why; `seen` how a capture shows it, "" for endpoint rules.
    """

    id: str
    severity: Severity | None
    text: str
    source: str
    where: Where
    seen: str


VIOLATION: Final = Severity.VIOLATION
WARNING: Final = Severity.WARNING
NOTE: Final = Severity.NOTE
WIRE: Final = Where.WIRE
ENDPOINT: Final = Where.ENDPOINT
"""Short names for the tables of rules."""
