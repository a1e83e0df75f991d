"""What becomes of a check: passed, failed with what was expected and found, or not applicable and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tioption.errors import TioptError


class Verdict(Enum):
    """The verdict of a check; the value is the word users read."""

    PASS = "pass"  # noqa: S105  the word, not a secret
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"


class Failed(Exception):  # noqa: N818  it ends a script, as StopIteration does
    """The host breaks the rule: what the rule asks for, and what the host did."""

    def __init__(self, expected: str, found: str) -> None:
        """Keep the two phrases apart."""
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class NotApplicable(Exception):  # noqa: N818  as above
    """The rule cannot be tested against this host, and why."""


class Unreachable(TioptError):  # noqa: N818  as above
    """The host does not answer, or refuses every connection: nothing can be said about it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One check and what became of it."""

    rule: str
    title: str
    verdict: Verdict
    expected: str = ""
    found: str = ""
    reason: str = ""
    """Why it is not applicable."""
    packets: tuple[tuple[int, bytes], ...] = ()
    """The IP packets of the check in both directions, each with its time in nanoseconds since 1970."""
