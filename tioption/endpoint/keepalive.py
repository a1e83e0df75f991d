"""When to ask an idle peer whether it is still there: a host that only receives never notices a break otherwise.

The silence that is asked about adapts to how often the peer is usually heard: a busy stream that stops is asked about
soon, a quiet one seldom, and seldomer each time it turns out to be alive (RFC 9293 §3.8.4, RES-19).
"""

from __future__ import annotations

from typing import Final

_PATIENCE: Final = 8
"""Usual gaps between segments that make a silence."""
_MOST_DOUBLINGS: Final = 8


class KeepAlive:
    """The silence of one peer."""

    __slots__ = ("_answered", "_gap", "_last", "_least", "_most", "_probed_at", "probes")

    def __init__(self, least: int, most: int, now: int) -> None:
        """Ask about silences of `least` to `most` nanoseconds."""
        self._least = least
        self._most = most
        self._last = now
        self._gap = most // _PATIENCE
        self._answered = 0
        self._probed_at: int | None = None
        self.probes = 0
        """Probes without an answer."""

    @property
    def silent_since(self) -> int:
        """When the peer was heard last."""
        return self._last

    def heard(self, now: int, *, data: bool) -> None:
        """A segment of the peer has come, with data or without."""
        if self.probes:
            self._answered = min(self._answered + 1, _MOST_DOUBLINGS)
        else:
            self._gap += (now - self._last - self._gap) // 4
        if data:
            self._answered = 0
        self._last = now
        self._probed_at = None
        self.probes = 0

    def deadline(self, timeout: int) -> int:
        """When to ask, or to ask again; `timeout` is how long an answer may take."""
        if self._probed_at is not None:
            return self._probed_at + (timeout << min(self.probes - 1, 6))
        silence = min(self._most, max(self._least, self._gap * _PATIENCE) << self._answered)
        return self._last + silence

    def ask(self, now: int) -> None:
        """A probe is being sent."""
        self.probes += 1
        self._probed_at = now
