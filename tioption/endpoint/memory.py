"""Links in memory for asyncio, and an event loop whose time is virtual: what a live host does, without a network.

    loop = VirtualTimeLoop()
    loop.run_until_complete(main())

Under that loop sleeping takes no time: when nothing is left to do, the clock jumps to whatever comes next.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Sequence
from typing import Any

from tioption.endpoint.link import Middlebox, Way


class _Jump(selectors.DefaultSelector):
    """A selector that does not wait: it lets the loop's clock jump instead."""

    clock = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("expected something that will happen, found a loop that waits for ever")
        self.clock += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` begins at zero and passes only while nothing can be done."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jump.clock


class MemoryLink:
    """One host's end of a path in memory."""

    def __init__(self, path: MemoryPath, way: Way) -> None:
        """The end whose packets go on this way."""
        self._path = path
        self._way = way
        self.receive: Callable[[bytes], None] | None = None

    def start(self, receive: Callable[[bytes], None]) -> None:
        """Begin to hand over packets that arrive."""
        self.receive = receive

    def send(self, packet: bytes) -> None:
        """Take a packet."""
        self._path.enter(packet, self._way)

    def close(self) -> None:
        """Hand over nothing more."""
        self.receive = None


class MemoryPath:
    """Two links with middleboxes between them, in the running loop's time."""

    def __init__(self, chain: Sequence[Middlebox] = (), *, latency: float = 0.01, epoch: int = 0) -> None:
        """Take `latency` seconds one way; `epoch` is the time in nanoseconds at which the loop's clock is zero."""
        self.a = MemoryLink(self, "ab")
        self.b = MemoryLink(self, "ba")
        self.passed: list[tuple[int, bytes]] = []
        """What entered the path at either end: time and packet."""
        self._chain = list(chain)
        self._latency = latency
        self._epoch = epoch

    def enter(self, packet: bytes, way: Way) -> None:
        """A host has sent a packet."""
        self.passed.append((self._now, packet))
        self._travel(packet, way, 0 if way == "ab" else len(self._chain) - 1, 0)

    @property
    def _now(self) -> int:
        return self._epoch + round(asyncio.get_running_loop().time() * 1e9)

    def _travel(self, packet: bytes, way: Way, place: int, delay: int) -> None:
        hop = self._latency / (len(self._chain) + 1)
        arguments: tuple[Any, ...] = (packet, way, place)
        asyncio.get_running_loop().call_later(hop + delay / 1e9, self._arrive, *arguments)

    def _arrive(self, packet: bytes, way: Way, place: int) -> None:
        if 0 <= place < len(self._chain):
            for delay, onward, out in self._chain[place].process(packet, way, self._now):
                self._travel(out, onward, place + (1 if onward == "ab" else -1), delay)
            return
        receive = (self.b if place >= len(self._chain) else self.a).receive
        if receive is not None:
            receive(packet)
