"""Serial arithmetic: sequence numbers that wrap at 2^32 (TCP) and positions that wrap at 2^48 (the TI-flow, MAP-07).

Pure integers in, pure integers out. Comparisons are those of RFC 1982 with half the space as their range; values
exactly half the space apart have no order there, and `difference` then says "before".
"""

from __future__ import annotations

from typing import Final


class SerialSpace:
    """The integers modulo 2^`bits`, with the order that holds between values less than half the space apart."""

    __slots__ = ("bits", "half", "mask")

    def __init__(self, bits: int) -> None:
        """Make the space of `bits`-bit numbers."""
        self.bits: Final = bits
        self.mask: Final = (1 << bits) - 1
        self.half: Final = 1 << (bits - 1)

    def __repr__(self) -> str:
        return f"SerialSpace({self.bits})"

    def add(self, value: int, count: int) -> int:
        """The number `count` steps after `value`; `count` may be negative and of any size."""
        return (value + count) & self.mask

    def difference(self, value: int, other: int) -> int:
        """How far `value` lies after `other`: in [-2^(bits-1), 2^(bits-1)), negative where it lies before."""
        return ((value - other + self.half) & self.mask) - self.half

    def precedes(self, value: int, other: int) -> bool:
        """Whether `value` lies before `other` (RFC 9293 §3.4: SEG.SEQ < RCV.NXT)."""
        return self.difference(value, other) < 0

    def contains(self, low: int, value: int, high: int) -> bool:
        """Whether `value` lies in the closed stretch from `low` up to `high` (RFC 9293 §3.4, RES-04)."""
        return ((value - low) & self.mask) <= ((high - low) & self.mask)

    def unwrap(self, value: int, near: int) -> int:
        """The integer congruent to `value` that lies nearest to `near`: a count that does not wrap."""
        return near + self.difference(value, near)


SEQ32: Final = SerialSpace(32)
"""TCP sequence numbers, acknowledgment numbers and timestamps (RFC 9293, RFC 7323)."""

SEQ48: Final = SerialSpace(48)
"""TISeq and TIAck (OPT-01, MAP-07)."""


class Unwrapper:
    """Turns the wrapping numbers of one stream into 64-bit counts, each taken nearest to the furthest one seen.

    Counts are relative to `first`: 0 for it, negative for what lies before it. A value half the space or more behind
    the furthest one cannot be told from one ahead; MAP-07 reports such a jump.
    """

    __slots__ = ("_space", "first", "furthest")

    def __init__(self, space: SerialSpace, first: int) -> None:
        """Start counting at `first`."""
        self._space: Final = space
        self.first: Final = first
        self.furthest = 0

    def count(self, value: int) -> int:
        """The count of `value`; moves the furthest one forward, never back."""
        count = self._space.unwrap(value - self.first, self.furthest)
        self.furthest = max(self.furthest, count)
        return count
