"""Which connection a segment is for: the 4-tuples of one host, seen from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tioption.endpoint.connection import Connection
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.wire import TcpSegment
from tioption.handshake.values import RandomBits
from tioption.packet import Ports

EPHEMERAL: Final = range(32768, 61000)
"""Ports that connections are opened from."""
_ATTEMPTS: Final = 64


class Bound(NamedTuple):
    """A connection, its ports, and the conversation whose transport it is."""

    connection: Connection
    ports: Ports
    boundary: IsolationBoundary


class PortTable:
    """The connections of one host. Two may have the same ports: a NAT may give a resume those of the old transport."""

    def __init__(self, bits: RandomBits) -> None:
        """Choose ephemeral ports by `bits`."""
        self._bits = bits
        self._of: dict[Connection, Bound] = {}
        self._at: dict[Ports, list[Bound]] = {}

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Bound]:
        return iter(list(self._of.values()))

    def bind(self, connection: Connection, ports: Ports, boundary: IsolationBoundary) -> Bound:
        """Put a connection at its ports."""
        bound = Bound(connection, ports, boundary)
        self._of[connection] = bound
        self._at.setdefault(ports, []).append(bound)
        return bound

    def release(self, connection: Connection) -> None:
        """The connection is gone."""
        bound = self._of.pop(connection, None)
        if bound is None:
            return
        others = self._at[bound.ports]
        others.remove(bound)
        if not others:
            del self._at[bound.ports]

    def of(self, connection: Connection | None) -> Bound | None:
        """Where a connection is bound, None where it is not (any more)."""
        return None if connection is None else self._of.get(connection)

    def at(self, ports: Ports) -> tuple[Bound, ...]:
        """The connections at these ports, the oldest first."""
        return tuple(self._at.get(ports, ()))

    def receiver(self, ports: Ports, segment: TcpSegment) -> Bound | None:
        """The connection a segment is for, None where there is none."""
        bounds = self._at.get(ports)
        if not bounds:
            return None
        if len(bounds) > 1:
            for bound in reversed(bounds):
                if bound.connection.fits(segment):
                    return bound
        return bounds[0]

    def free(self, local: bytes, remote: bytes, port: int, wanted: int | None) -> Ports | None:
        """Ports for a new connection, ephemeral where none is wanted (RFC 6056); None where none is free."""
        candidates = [wanted] if wanted is not None else (self._ephemeral() for _ in range(_ATTEMPTS))
        for candidate in candidates:
            ports = Ports(local, candidate, remote, port)
            if ports not in self._at:
                return ports
        return None

    def _ephemeral(self) -> int:
        return EPHEMERAL[self._bits(32) % len(EPHEMERAL)]
