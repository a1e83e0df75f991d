"""A recording sent through a path: what would have been captured behind it.

A recording does not react: its hosts say what they said, whatever the path does. Only what a host repeats of the
other's numbers and addresses is adapted to boxes that translate them (`Middlebox.as_answer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from tioption.capture.reader import segments
from tioption.capture.record import Record
from tioption.capture.segment import ACK, RST, SYN
from tioption.capture.undecoded import UndecodedCounter
from tioption.errors import CaptureError
from tioption.middlebox.box import BACK, Memory, Way
from tioption.middlebox.chain import Arrival, Path
from tioption.middlebox.frames import Frame, turned
from tioption.middlebox.packet import Ends, Packet

Point = Literal["behind", "a", "b"]
"""Where the result is captured: behind the path on both ways, or at one host, whose own packets have not passed it."""


class Passed(NamedTuple):
    """A frame behind the path."""

    time_ns: int
    data: bytes
    length: int
    """Octets on the wire; more than in `data` where the recording had not all of it."""


class _Directions:
    """Which way a packet goes: A is who sent the first SYN of a connection, or a host known by its address."""

    def __init__(self, client: bytes | None) -> None:
        self._client = client
        self._openers: Memory[Ends, bool] = Memory()

    def way(self, segment: Packet) -> Way | None:
        """The way of a segment; None where it concerns another host than the one A is known to be."""
        if self._client is not None:
            return "ab" if segment.source == self._client else "ba" if segment.destination == self._client else None
        ends = segment.ends
        if self._openers.get(ends):
            return "ab"
        if self._openers.get(ends.reverse):
            return "ba"
        # In the middle of a connection the first to speak is as good a guess as any.
        backward = segment.flags & (SYN | ACK | RST) == SYN | ACK
        self._openers[ends.reverse if backward else ends] = True
        return "ba" if backward else "ab"


class _Sent(NamedTuple):
    """A packet that entered the path: its frame, its way, and how much of its payload was captured."""

    frame: Frame
    way: Way
    packet: bytes
    captured: list[int]
    """One number: octets of captured payload that no packet made of it has taken yet."""


class Recording:
    """Sends the frames of one recording through a path, in bounded memory.

    `client` is A's address; None: whoever sent a connection's first SYN. Frames that are no TCP over a simple link
    layer pass untouched; where TCP was left alone for that, `left` counts it.
    """

    def __init__(self, path: Path, *, point: Point = "behind", client: bytes | None = None) -> None:
        """Put a path between the hosts, which nothing has entered yet."""
        self.left = UndecodedCounter()
        self._path = path
        self._point = point
        self._directions = _Directions(client)
        self._now = 0
        self._link_type = 1
        self._headers: Memory[tuple[Way, bytes, bytes], bytes] = Memory()
        self._latest: dict[Way, bytes] = {}
        self._waiting: list[tuple[int, int, Passed]] = []
        self._number = 0

    def frames(self, records: Iterable[Record]) -> Iterator[Passed]:
        """What is captured at the point, in order of time as far as the recording is.

        A damaged recording raises CaptureError after all before the damage.
        """
        damage = None
        try:
            for record in records:
                self._now = self._now if record.time_ns is None else record.time_ns
                self._collect(self._path.advance(self._now))
                yield from self._due(self._now)
                self._enter(record)
        except CaptureError as error:
            damage = error
        self._collect(self._path.advance())
        while self._path.flush(self._now):
            self._collect(self._path.advance())
        yield from self._due(None)
        if damage is not None:
            raise damage

    def _enter(self, record: Record) -> None:
        self._link_type = record.link_type
        frame = Frame.of(record)
        segment = Packet.parse(frame.packet) if frame is not None else None
        if frame is not None and segment is not None and frame.missing > len(segment.payload):
            segment = None  # of its header, too, there is not all
        way = self._directions.way(segment) if segment is not None else None
        if frame is None or segment is None or way is None:
            if segment is None:
                self._note_left(record, cut=frame is not None and frame.missing > 0)
            self._wait(Passed(self._now, record.data, record.length))
            return
        self._headers[way, segment.source, segment.destination] = frame.header
        self._latest[way] = frame.header
        captured = max(0, len(segment.payload) - frame.missing)
        packet = self._path.as_answer(frame.packet, way)
        sent = _Sent(frame, way, packet, [captured])
        if (self._point, way) in {("a", "ab"), ("b", "ba")}:
            self._take(self._now, way, packet, _Sent(frame, way, packet, [captured]))
        self._path.enter(packet, way, self._now, sent)

    def _note_left(self, record: Record, *, cut: bool) -> None:
        """Count a frame that holds TCP where it cannot be reached."""
        unread = UndecodedCounter()
        if any(True for _ in segments([record], unread)):
            reason = "TCP header cut short" if cut else "TCP in a tunnel, a fragment, or behind a header with a length"
            self.left.add(reason, record.frame)
        for one in unread:
            self.left.add(one.reason, record.frame)

    def _collect(self, arrivals: Iterable[Arrival]) -> None:
        for time_ns, way, packet, cause in arrivals:
            if (self._point, way) not in {("a", "ab"), ("b", "ba")}:
                self._take(time_ns, way, packet, cause if isinstance(cause, _Sent) else None)

    def _take(self, time_ns: int, way: Way, packet: bytes, cause: _Sent | None) -> None:
        """Put a packet back into a frame."""
        if cause is not None and packet == cause.frame.packet and way == cause.way:
            record = cause.frame.record
            self._wait(Passed(time_ns, record.data, record.length))
            return
        missing = 0
        segment = Packet.parse(packet)
        if cause is not None and cause.frame.missing and way == cause.way and segment is not None:
            known = min(cause.captured[0], len(segment.payload))
            cause.captured[0] -= known
            missing = len(segment.payload) - known
        data = self._header(way, segment, cause) + packet
        self._wait(Passed(time_ns, data[: len(data) - missing], len(data)))

    def _header(self, way: Way, segment: Packet | None, cause: _Sent | None) -> bytes:
        """The link header for a packet: that of its addresses, of what caused it, or of the last frame on its way."""
        if segment is not None and (known := self._headers.get((way, segment.source, segment.destination))) is not None:
            return known
        if cause is not None and cause.way == way:
            return cause.frame.header
        if way in self._latest:
            return self._latest[way]
        return turned(self._link_type, self._latest[BACK[way]])

    def _wait(self, passed: Passed) -> None:
        self._number += 1
        heappush(self._waiting, (passed.time_ns, self._number, passed))

    def _due(self, until_ns: int | None) -> Iterator[Passed]:
        # Nothing that comes later is earlier than now, unless the recording's own times fall back.
        while self._waiting and (until_ns is None or self._waiting[0][0] <= until_ns):
            yield heappop(self._waiting)[2]
