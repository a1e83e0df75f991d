"""The receiving half of a transport: reassembly, acknowledgments, SACK blocks, the window, PAWS.

Numbers are offsets from the other side's ISN that do not wrap. Sources: RFC 9293 §3.8.6, §3.10.7.4; RFC 2018; RFC 7323
§5; RFC 1122 §4.2.3.2 (delayed acknowledgments).
"""

from __future__ import annotations

from typing import Final

from tioption.endpoint.streams import ReceiveStream
from tioption.seq import SEQ32

MAX_WINDOW: Final = 0xFFFF
_OUTDATED: Final = 24 * 86400 * 1_000_000_000  # RFC 7323 §5.5: a timestamp is worth nothing after 24 days
_MAX_PIECES: Final = 1024


class Receiver:
    """Receives a stream over one transport."""

    def __init__(self, stream: ReceiveStream) -> None:
        """Nothing is known of the other side before `begin`."""
        self.stream = stream
        self.anchor = 0
        """Place of the stream that offset 1 stands for (MAP-03)."""
        self.irs = 0
        self.nxt = 1
        self.shift = 0
        """Own window scale."""
        self.fin_offset: int | None = None
        self.largest_window = 0
        """Octets of the largest window advertised (RES-04)."""
        self.last_ack = 1
        """The offset acknowledged last."""
        self.advertised = 0
        """The right edge of the window advertised last."""
        self.ts_recent: int | None = None
        self._ts_recent_time = 0
        self._pieces: list[tuple[int, bytes]] = []
        self._latest = 0

    def begin(self, irs: int) -> None:
        """The other side's SYN has come."""
        self.irs = irs

    def seq(self, offset: int) -> int:
        """The sequence number of an offset."""
        return SEQ32.add(self.irs, offset)

    def offset(self, seq: int) -> int:
        """The offset of a sequence number, taken nearest to the next one expected."""
        return SEQ32.unwrap(seq - self.irs, self.nxt)

    @property
    def finished(self) -> bool:
        """Whether everything up to the FIN has come."""
        return self.fin_offset is not None and self.nxt > self.fin_offset

    @property
    def waiting(self) -> bool:
        """Whether octets wait for others before them."""
        return bool(self._pieces)

    # The window.

    @property
    def window(self) -> int:
        """Octets from the next one expected on that may be sent; the right edge never moves back."""
        edge = max(self.stream.limit - self.anchor + 1, self.advertised)
        return max(0, edge - self.nxt)

    def first_window(self) -> int:
        """The window field of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2)."""
        octets = min(self.stream.capacity - self.stream.unread, MAX_WINDOW)
        self.advertised = max(self.advertised, 1 + octets)
        self.largest_window = max(self.largest_window, octets)
        return octets

    def advertise(self) -> int:
        """The window field of the segment being sent, which then binds."""
        shift = self.shift
        field = min(self.window >> shift, MAX_WINDOW)
        octets = field << shift
        if self.nxt + octets < self.advertised:  # rounding must not take back what was given
            field = min(-(-(self.advertised - self.nxt) >> shift), MAX_WINDOW)
            octets = field << shift
        self.advertised = max(self.advertised, self.nxt + octets)
        self.largest_window = max(self.largest_window, octets)
        return field

    def window_opened(self, mss: int) -> bool:
        """Whether reading has opened the window enough to be worth telling (RFC 9293 §3.8.6.2.2)."""
        grown = self.nxt + self.window - self.advertised
        return grown >= min(2 * mss, self.stream.capacity // 2) and self.advertised - self.nxt < mss * 4

    # What comes.

    def acceptable(self, offset: int, length: int) -> bool:
        """Whether a segment is inside the window (RFC 9293 §3.10.7.4, the four cases)."""
        right = max(self.advertised, self.nxt)
        if length == 0:
            return self.nxt <= offset < right or offset == self.nxt
        return offset < right and offset + length > self.nxt

    def outdated(self, tsval: int, now: int) -> bool:
        """Whether a timestamp says that the segment is an old duplicate (PAWS, RFC 7323 §5.3)."""
        if self.ts_recent is None or now - self._ts_recent_time > _OUTDATED:
            return False
        return SEQ32.precedes(tsval, self.ts_recent)

    def remember(self, tsval: int, offset: int, now: int) -> None:
        """Keep a timestamp to be echoed (RFC 7323 §4.3)."""
        if offset <= self.last_ack and (self.ts_recent is None or not SEQ32.precedes(tsval, self.ts_recent)):
            self.ts_recent, self._ts_recent_time = tsval, now

    def take(self, offset: int, payload: bytes, fin: bool) -> bool:
        """Take a segment's text: whether its ACK may be delayed, for it is in order and fills no gap (RFC 5681 §4.2).

        Raises ValueError where the text contradicts the stream as earlier transports knew it (RES-15).
        """
        right = max(self.advertised, self.nxt)
        if offset + len(payload) > right:
            payload, fin = payload[: max(0, right - offset)], False
        if fin and self.fin_offset is None and offset + len(payload) >= self.nxt:
            self.fin_offset = offset + len(payload)
        before, waited = self.nxt, self.waiting
        if offset <= self.nxt:
            self._deliver(offset, payload)
            self._join()
        elif payload:
            self._keep(offset, payload)
        if self.fin_offset == self.nxt:
            self.stream.end(self._place(self.fin_offset))
            self.nxt += 1
        return self.nxt > before and not waited

    def _place(self, offset: int) -> int:
        return self.anchor + offset - 1

    def _deliver(self, offset: int, payload: bytes) -> None:
        end = offset + len(payload)
        if end <= self.nxt:
            return
        self.stream.deliver(self._place(self.nxt), payload[self.nxt - offset :])
        self.nxt = end

    def _keep(self, offset: int, payload: bytes) -> None:
        """Insert a piece, less what other pieces have of it already."""
        self._latest = offset
        end = offset + len(payload)
        merged: list[tuple[int, bytes]] = []
        for start, octets in self._pieces:
            stop = start + len(octets)
            if stop <= offset or start >= end:
                merged.append((start, octets))
            elif start <= offset and stop >= end:
                return  # nothing new
            elif start < offset:
                merged.append((start, octets[: offset - start]))
                if stop > end:
                    merged.append((end, octets[end - start :]))
            elif stop > end:
                merged.append((end, octets[end - start :]))
        if len(merged) < _MAX_PIECES:
            merged.append((offset, payload))
        merged.sort()
        self._pieces = merged

    def _join(self) -> None:
        while self._pieces and self._pieces[0][0] <= self.nxt:
            self._deliver(*self._pieces.pop(0))

    def sack_blocks(self, most: int) -> tuple[tuple[int, int], ...]:
        """The edges of what waits, that of the segment which came last first (RFC 2018 §4)."""
        if not self._pieces or most <= 0:
            return ()
        blocks: list[tuple[int, int]] = []
        for start, octets in self._pieces:
            if blocks and blocks[-1][1] == start:
                blocks[-1] = (blocks[-1][0], start + len(octets))
            else:
                blocks.append((start, start + len(octets)))
        blocks.sort(key=lambda block: not block[0] <= self._latest < block[1])
        return tuple((self.seq(left), self.seq(right)) for left, right in blocks[:most])
