"""What strangers can make a host do: so much a second and no more (RES-05, SEC-04)."""

from __future__ import annotations

from tioption.endpoint.rtt import SECOND


class Bucket:
    """Lets through so many things a second, and as many at once."""

    __slots__ = ("_filled", "_level", "rate")

    def __init__(self, rate: int) -> None:
        """Begin full."""
        self.rate = rate
        self._level = rate * SECOND
        self._filled = 0

    def take(self, now: int) -> bool:
        """Whether one more may pass now."""
        elapsed = max(0, now - self._filled)
        self._filled = now
        self._level = min(self.rate * SECOND, self._level + min(elapsed, SECOND) * self.rate)
        if self._level < SECOND:
            return False
        self._level -= SECOND
        return True


class SourceBuckets:
    """A bucket a source address; of too many the one unused for longest is forgotten."""

    def __init__(self, rate: int, limit: int = 4096) -> None:
        """Let `rate` things a second through from each of at most `limit` sources."""
        self._rate = rate
        self._limit = limit
        self._buckets: dict[bytes, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, source: bytes, now: int) -> bool:
        """Whether one more may pass from this source now."""
        bucket = self._buckets.pop(source, None) or Bucket(self._rate)
        self._buckets[source] = bucket
        if len(self._buckets) > self._limit:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)
