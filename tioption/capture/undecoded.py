"""What of a capture could not be decoded, counted by reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_MAX_REASONS: Final = 64


class Undecoded(NamedTuple):
    """One reason why frames were left out, how many they were, and the first of them."""

    reason: str
    frames: int
    first: int

    def __str__(self) -> str:
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        return f"{frames} not decoded: {self.reason} (first: frame {self.first})"


class UndecodedCounter:
    """Counts frames by reason; a bounded number of reasons is kept apart, so that no file makes it grow for ever."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counts: dict[str, list[int]] = {}

    def add(self, reason: str, frame: int) -> None:
        """Count `frame` under `reason`, a phrase for people."""
        if reason not in self._counts and len(self._counts) >= _MAX_REASONS:
            reason = "other reasons"
        self._counts.setdefault(reason, [0, frame])[0] += 1

    def __iter__(self) -> Iterator[Undecoded]:
        """The reasons in the order they were met."""
        return (Undecoded(reason, frames, first) for reason, (frames, first) in self._counts.items())

    def __bool__(self) -> bool:
        return bool(self._counts)
