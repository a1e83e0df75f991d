"""The retransmission timeout from round-trip times (RFC 6298), in nanoseconds."""

from __future__ import annotations

from typing import Final

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
INITIAL: Final = SECOND
"""Before anything was measured (RFC 6298 §2.1)."""
GRANULARITY: Final = MS


class RoundTrip:
    """Smoothed round-trip time, its variation, and the timeout they make."""

    __slots__ = ("_backoff", "least", "most", "smoothed", "variation")

    def __init__(self, least: int, most: int) -> None:
        """Keep the timeout between `least` and `most`."""
        self.least = least
        self.most = most
        self.smoothed: int | None = None
        self.variation = 0
        self._backoff = 0

    def sample(self, measured: int) -> None:
        """Take a measured round-trip time: never that of a segment sent twice (Karn), unless timestamps tell which."""
        measured = max(measured, 1)
        if self.smoothed is None:
            self.smoothed, self.variation = measured, measured // 2
        else:
            self.variation += (abs(self.smoothed - measured) - self.variation) // 4
            self.smoothed += (measured - self.smoothed) // 8
        self._backoff = 0

    @property
    def timeout(self) -> int:
        """RTO, backed off as often as was said."""
        if self.smoothed is None:
            base = INITIAL
        else:
            base = max(self.least, self.smoothed + max(GRANULARITY, 4 * self.variation))
        return min(self.most, base << self._backoff)

    def back_off(self) -> None:
        """The timer has expired: twice the timeout from now on (RFC 6298 §5.5)."""
        if self.timeout < self.most:
            self._backoff += 1

    def progress(self) -> None:
        """New data was acknowledged: no longer backed off."""
        self._backoff = 0
