"""Connections from segments: who opened them, and which segment belongs to which of several on the same ports.

Works on whole captures and on parts of them, on one direction alone, across port reuse and simultaneous opens. The
number of connections kept is bounded; of more, those that have been silent for longest are given up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.capture.segment import ACK, RST, SYN, Segment
from tioption.flow.direction import Direction

GENERATION: Final = 1 << 17
"""Connections that are heard of before those of which nothing is heard meanwhile are given up."""


class Peer(NamedTuple):
    """An address of 4 or 16 octets and a port."""

    address: bytes
    port: int


class Connection:
    """One TCP connection: its client (who sent the first SYN, as far as one can see), its server, both directions."""

    __slots__ = (
        "client",
        "crossed",
        "first_frame",
        "first_time_ns",
        "forward",
        "index",
        "last_frame",
        "last_time_ns",
        "reset",
        "reverse",
        "server",
    )

    def __init__(self, index: int, client: Peer, server: Peer, first_frame: int, first_time_ns: int | None) -> None:
        """Begin with the frame and the time of the first segment seen, which is not taken in yet."""
        self.index = index
        """Number of the connection, from 0, in the order of first segments."""
        self.client = client
        self.server = server
        self.forward = Direction()
        """From client to server."""
        self.reverse = Direction()
        """From server to client."""
        self.crossed = False
        """Whether both sides sent a SYN before either answered (simultaneous open)."""
        self.reset = False
        """Whether a RST was seen."""
        self.first_frame = self.last_frame = first_frame
        self.first_time_ns = self.last_time_ns = first_time_ns

    @classmethod
    def begun_by(cls, segment: Segment, index: int) -> Connection:
        """The connection whose first segment seen is this one, without taking it in yet."""
        source, destination = Peer(segment.src, segment.sport), Peer(segment.dst, segment.dport)
        if segment.flags & (SYN | ACK) == SYN | ACK:  # the SYN was not captured: its sender is the one addressed
            source, destination = destination, source
        return cls(index, source, destination, segment.frame, segment.time_ns)

    def is_forward(self, segment: Segment) -> bool:
        """Whether the client sent this segment of the connection."""
        return (segment.src, segment.sport) == self.client

    def directions(self, segment: Segment) -> tuple[Direction, Direction]:
        """The direction the segment belongs to, and the other."""
        return (self.forward, self.reverse) if self.is_forward(segment) else (self.reverse, self.forward)

    @property
    def from_start(self) -> bool:
        """Whether both directions are known from their first octet (rules on positions need that)."""
        return self.forward.from_start and self.reverse.from_start

    @property
    def closed(self) -> bool:
        """Whether the connection has come to an end that was captured."""
        return self.reset or (self.forward.finished and self.reverse.finished)

    def observe(self, segment: Segment) -> None:
        """Take in a segment of this connection."""
        own, other = self.directions(segment)
        if segment.flags & (SYN | ACK) == SYN and other.isn is not None and own.isn is None and not other.acked:
            self.crossed = True
        own.observe(segment, other)
        self.reset = self.reset or bool(segment.flags & RST)
        self.last_frame = segment.frame
        self.last_time_ns = segment.time_ns


_Key = tuple[Peer, Peer]


class ConnectionTable:
    """Assigns segments to connections, in capture order.

    There are two generations of connections: those heard of since the last change, and those heard of before. When the
    younger one has `limit` connections it becomes the older one, and what the older one held is given up. Twice as many
    are kept at most.
    """

    def __init__(self, limit: int = GENERATION) -> None:
        """Change generations every `limit` connections."""
        self.opened = 0
        """Connections seen so far."""
        self.given_up: list[Connection] = []
        """Connections given up since this list was last cleared, in no order."""
        self._limit = limit
        self._by_ends: dict[_Key, Connection] = {}
        self._younger: dict[int, Connection] = {}
        self._older: dict[int, Connection] = {}

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def observe(self, segment: Segment) -> Connection:
        """The connection the segment belongs to, after it has been taken in; a new one where it begins one."""
        source, destination = Peer(segment.src, segment.sport), Peer(segment.dst, segment.dport)
        key = (source, destination) if source <= destination else (destination, source)
        connection = self._by_ends.get(key)
        if connection is None or _begins_another(connection, segment):
            connection = self._by_ends[key] = Connection.begun_by(segment, self.opened)
            self.opened += 1
        connection.observe(segment)
        self._touch(connection)
        return connection

    def _touch(self, connection: Connection) -> None:
        index = connection.index
        if index in self._younger:
            return
        self._older.pop(index, None)
        self._younger[index] = connection
        if len(self._younger) >= self._limit:
            self.given_up += self._older.values()
            for silent in self._older.values():
                ends = silent.client, silent.server
                key = ends if ends[0] <= ends[1] else ends[::-1]
                if self._by_ends.get(key) is silent:
                    del self._by_ends[key]
            self._older, self._younger = self._younger, {}


def _begins_another(connection: Connection, segment: Segment) -> bool:
    """Whether a segment on the ports of `connection` opens a new one: a SYN that neither repeats nor crosses one."""
    if segment.flags & (SYN | ACK | RST) != SYN:
        return False
    own, other = connection.directions(segment)
    if own.isn == segment.seq:
        return connection.closed  # a retransmission, unless all is over
    # A first SYN of this side crosses the other's while that has not been answered.
    return own.isn is not None or own.seen or other.isn is None or connection.closed
