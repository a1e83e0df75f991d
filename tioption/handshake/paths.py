"""Paths that lose SYNs with the option, remembered for a while so that the next connection need not find out (LEG-04).

No clock of its own: times come with each call, in nanoseconds.
"""

from __future__ import annotations

from typing import Final

from tioption.handshake.registry import SECOND

LIFETIME: Final = 3600 * SECOND
"""How long a path is remembered by default: paths change, and forgetting costs one slow connection."""


class PathMemory:
    """The peers, by their addresses as octets, to which SYNs go without the option; bounded, the oldest goes first."""

    def __init__(self, lifetime: int = LIFETIME, limit: int = 4096) -> None:
        """Remember at most `limit` paths, each for `lifetime`."""
        self._lifetime = lifetime
        self._limit = limit
        self._until: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._until)

    def remember(self, peer: bytes, now: int) -> None:
        """A SYN without the option came through where those with it were lost."""
        self._until.pop(peer, None)
        self._until[peer] = now + self._lifetime
        if len(self._until) > self._limit:
            del self._until[next(iter(self._until))]

    def drops_option(self, peer: bytes, now: int) -> bool:
        """Whether the path to this peer is known to lose SYNs with the option."""
        until = self._until.get(peer)
        if until is not None and now >= until:
            del self._until[peer]
            until = None
        return until is not None
