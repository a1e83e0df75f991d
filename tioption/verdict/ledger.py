"""What the rules between connections need of all connections of a capture, wherever those are kept.

The validator keeps this in Python; where ordinary connections are judged in C, it is kept there (`ordinary.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from tioption.flow import Connection, FlowKey

_SOURCES: Final = 1 << 16
_MOST_STEP: Final = 256


class Ledger(Protocol):
    """Flows in the order they began, and the first halves that hosts issue."""

    def adopt(self, key: FlowKey) -> None:
        """Bring the flow of this name into the book, if there is one that is not in it."""
        ...

    def serial(self, connection: Connection, key: FlowKey) -> int:
        """The number, from 1, of the flow that the connection has just opened, and that is known by it from now on."""
        ...

    def carried(self, connection: Connection, key: FlowKey) -> None:
        """The connection carries a flow on that another has opened."""
        ...

    def step(self, address: bytes, first: int) -> tuple[int, int]:
        """How many equal small steps the first halves of a host have made with this one, and the last step (SEC-01)."""
        ...


class OwnLedger:
    """The ledger of a validator that sees all connections itself."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self._flows = 0
        # Of hosts that share a place only the latest is remembered, so that no capture makes this grow for ever.
        self._sources: dict[int, tuple[bytes, int, int, int]] = {}

    def adopt(self, key: FlowKey) -> None:
        """Nothing: every flow is in the book."""

    def serial(self, connection: Connection, key: FlowKey) -> int:  # noqa: ARG002
        """The next number."""
        self._flows += 1
        return self._flows

    def carried(self, connection: Connection, key: FlowKey) -> None:
        """Nothing: the book knows."""

    def step(self, address: bytes, first: int) -> tuple[int, int]:
        """The run of equal steps, and the step."""
        place = _place(address)
        host, last, distance, run = self._sources.get(place, (b"", first, 0, 0))
        if host != address:
            last, distance, run = first, 0, 0
        now = first - last
        run = run + 1 if now and now == distance and abs(now) <= _MOST_STEP else 1
        self._sources[place] = address, first, now, run
        return run, now


def _place(address: bytes) -> int:
    value = 2166136261  # FNV-1a
    for octet in address:
        value = (value ^ octet) * 16777619 & 0xFFFFFFFF
    return (value ^ value >> 16) & (_SOURCES - 1)
