"""Congestion control: slow start, congestion avoidance, fast recovery (RFC 5681, RFC 6582, RFC 6928), in octets."""

from __future__ import annotations


class NewReno:
    """The congestion window of one transport."""

    __slots__ = ("_acked", "mss", "threshold", "window")

    def __init__(self, mss: int) -> None:
        """Begin with the initial window of RFC 6928."""
        self.mss = mss
        self.window = min(10 * mss, max(2 * mss, 14600))
        self.threshold = 1 << 40
        self._acked = 0

    def acknowledged(self, octets: int) -> None:
        """New data was acknowledged outside of recovery."""
        if self.window < self.threshold:
            self.window += min(octets, self.mss)
            return
        self._acked += octets
        if self._acked >= self.window:
            self._acked -= self.window
            self.window += self.mss

    def lost(self, in_flight: int) -> None:
        """A loss was found by duplicate acknowledgments: half of what was in flight."""
        self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.threshold
        self._acked = 0

    def timed_out(self, in_flight: int) -> None:
        """The retransmission timer expired: begin anew with one segment."""
        self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.mss
        self._acked = 0

    def idle(self) -> None:
        """Nothing was sent for longer than a timeout: back to the initial window (RFC 5681 §4.1)."""
        self.window = min(self.window, 10 * self.mss, max(2 * self.mss, 14600))
