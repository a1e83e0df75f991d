"""A network in memory with virtual time: two hosts, a path between them, whatever middleboxes stand in it.

Nothing waits for a clock: time jumps to whatever comes next. The same hosts, seeds and actions make the same run. What
passes either host is recorded, so that a run can be written as a capture and judged like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Final, Literal, NamedTuple, Protocol

from tioption.network.device import Host

Way = Literal["ab", "ba"]
"""From host A to host B, or back."""

EPOCH: Final = 1_700_000_000_000_000_000
"""When virtual time begins, in nanoseconds since 1970: some day in November 2023."""


class Middlebox(Protocol):
    """Something in the path."""

    def process(self, packet: bytes, way: Way, now_ns: int) -> Sequence[tuple[int, Way, bytes]]:
        """What becomes of an IP packet: packets to be sent on either way, each after a delay in nanoseconds."""


class Passed(NamedTuple):
    """A packet as it passed a host."""

    time_ns: int
    packet: bytes
    sent: bool
    """Whether the host sent it; else it arrived there."""


class Network:
    """Hosts A and B, and a chain of middleboxes from A to B."""

    def __init__(self, a: Host, b: Host, chain: Sequence[Middlebox] = (), *, latency: int = 10_000_000) -> None:
        """Connect two hosts; `latency` is one way, in nanoseconds."""
        self.hosts: tuple[Host, Host] = (a, b)
        self.chain = list(chain)
        self.now = EPOCH
        self.taps: tuple[list[Passed], list[Passed]] = ([], [])
        """What passed host A, and what passed host B."""
        self.after_step: Callable[[], object] | None = None
        """Called after everything that happens: where applications do their part."""
        self._latency = latency
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._order = 0

    def at(self, time: int, action: Callable[[], object]) -> None:
        """Do something at a time."""
        self._order += 1
        heappush(self._events, (time, self._order, action))

    def run(self, until: int, done: Callable[[], bool] | None = None) -> bool:
        """Let things happen until a time, or until `done` says so: whether it did (or, without it, nothing is left)."""
        self.flush()
        while not (done is not None and done()):
            times = [host.next_timer() for host in self.hosts]
            times.append(self._events[0][0] if self._events else None)
            following = min((time for time in times if time is not None), default=None)
            if following is None:
                return done is None
            if following > until:
                self.now = max(self.now, until)
                return False
            self.now = max(self.now, following)
            self._step()
        return True

    def _step(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            heappop(self._events)[2]()
        for host in self.hosts:
            host.handle_timer(self.now)
        self.flush()

    def flush(self) -> None:
        """Let applications act, and take from the hosts what they send."""
        if self.after_step is not None:
            self.after_step()
        for side, host in enumerate(self.hosts):
            for packet in host.packets_to_send(self.now):
                self.taps[side].append(Passed(self.now, packet, True))
                self._travel(packet, "ab" if side == 0 else "ba", 0 if side == 0 else len(self.chain) - 1, 0)

    def _travel(self, packet: bytes, way: Way, place: int, delay: int) -> None:
        """Bring a packet to the middlebox at a place of the chain, or to the host at its end."""
        hop = self._latency // (len(self.chain) + 1)
        self.at(self.now + hop + delay, lambda: self._arrive(packet, way, place))

    def _arrive(self, packet: bytes, way: Way, place: int) -> None:
        if 0 <= place < len(self.chain):
            for delay, onward, out in self.chain[place].process(packet, way, self.now):
                self._travel(out, onward, place + (1 if onward == "ab" else -1), delay)
            return
        side = 1 if place >= len(self.chain) else 0
        self.taps[side].append(Passed(self.now, packet, False))
        self.hosts[side].receive_packet(packet, self.now)
