"""The sending half of a transport: what is in flight, what was lost, what may be sent now.

Numbers are offsets from the ISN that do not wrap: 0 is the SYN, 1 the octet the anchor stands for. Loss is found by
duplicate acknowledgments and SACK (RFC 5681, RFC 6582, RFC 6675) or by the timer (RFC 6298); a closed window is probed
(RFC 9293 §3.8.6.1).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from tioption.endpoint.congestion import NewReno
from tioption.endpoint.rtt import RoundTrip
from tioption.endpoint.streams import SendStream
from tioption.seq import SEQ32

DUPLICATES: Final = 3
"""Duplicate acknowledgments that mean a loss (RFC 5681 §3.2)."""


class Chunk(NamedTuple):
    """Something to be sent: octets of the stream at an offset, and whether its end follows them."""

    offset: int
    payload: bytes
    fin: bool = False


class _Sent:
    """A stretch that was sent and is not acknowledged; `end` counts the FIN."""

    __slots__ = ("end", "fin", "lost", "resent", "sacked", "start", "time")

    def __init__(self, start: int, end: int, fin: bool, time: int) -> None:
        self.start = start
        self.end = end
        self.fin = fin
        self.time = time
        self.resent = self.sacked = self.lost = False

    @property
    def length(self) -> int:
        return self.end - self.start


class Sender:
    """Sends a stream over one transport."""

    def __init__(self, iss: int, stream: SendStream, rtt: RoundTrip, *, nagle: bool = False) -> None:
        """Begin at the initial sequence number; nothing can be sent before `establish`."""
        self.iss = iss
        self.stream = stream
        self.rtt = rtt
        self.anchor = 0
        """Place of the stream that offset 1 stands for (MAP-03)."""
        self.una = 0
        self.nxt = 0
        self.limit = 0
        """The right edge of the other side's window."""
        self.max_window = 0
        self.mss = 536
        self.deadline: int | None = None
        self.timeouts = 0
        """Expiries of the timer since anything new was acknowledged."""
        self.fin_offset: int | None = None
        self.congestion = NewReno(self.mss)
        self._nagle = nagle
        self._selective = False
        self._sent: deque[_Sent] = deque()
        self._pipe = 0
        self._lost = 0
        self._sacked = 0
        self._duplicates = 0
        self._recover = 0
        self._recovering: str | None = None
        self._last_sent = 0

    def establish(self, mss: int, window: int, *, selective: bool) -> None:
        """The SYN is acknowledged: `mss` octets of payload a segment, `window` octets of the other side.

        `selective` says that the other side tells what it has of octets out of order (SACK).
        """
        self._selective = selective
        self.una = self.nxt = 1
        self.mss = mss
        self.congestion = NewReno(mss)
        self.limit = 1 + window
        self.max_window = window

    def shrink(self, mss: int) -> None:
        """The path takes no more than so much payload a segment."""
        if mss < self.mss:
            self.mss = self.congestion.mss = mss
            if self._sent and self._recovering is None:
                self._mark_lost(self._sent[0])

    def seq(self, offset: int) -> int:
        """The sequence number of an offset."""
        return SEQ32.add(self.iss, offset)

    def offset(self, seq: int) -> int:
        """The offset of a sequence number, taken nearest to what is not acknowledged."""
        return SEQ32.unwrap(seq - self.iss, self.una)

    @property
    def outstanding(self) -> bool:
        """Whether anything sent is not acknowledged."""
        return bool(self._sent)

    @property
    def pending(self) -> bool:
        """Whether there is anything that was never sent on this transport."""
        return self._available > 0 or (self.stream.closed and self.fin_offset is None)

    @property
    def finished(self) -> bool:
        """Whether the FIN is acknowledged."""
        return self.fin_offset is not None and self.una > self.fin_offset

    @property
    def blocked(self) -> bool:
        """Whether the other side's window is closed while there is something for it."""
        return self.limit <= self.una and (bool(self._sent) or self._available > 0) and not self._only_fin

    @property
    def _only_fin(self) -> bool:
        return self.una == self.fin_offset

    @property
    def _available(self) -> int:
        return 0 if self.fin_offset is not None else self.stream.end - self.place(self.nxt)

    def place(self, offset: int) -> int:
        """The place in the stream that an offset stands for."""
        return self.anchor + offset - 1

    # What the other side says.

    def acknowledged(self, offset: int, sack: tuple[tuple[int, int], ...], now: int, echo: int | None) -> int:
        """Take an acknowledgment in [una, nxt] with its SACK blocks: how many offsets are newly acknowledged.

        `echo` is the round-trip time that its timestamps tell, None without.
        """
        self._take_sack(sack)
        if offset <= self.una:
            return 0
        newly = offset - self.una
        last = self._pop_to(offset)
        if last is not None and not last.resent:
            self.rtt.sample(now - last.time)
        elif echo is not None:
            self.rtt.sample(echo)
        self.rtt.progress()
        self.una = offset
        self.timeouts = self._duplicates = 0
        self.stream.acknowledge(self.place(offset) - (self.finished))
        if self.finished:
            self.stream.finished = True
        self._after_progress(newly)
        if self._selective:
            self._find_lost()
        self.deadline = now + self.rtt.timeout if self._sent else None
        return newly

    def _pop_to(self, offset: int) -> _Sent | None:
        last = None
        while self._sent and self._sent[0].start < offset:
            first = self._sent[0]
            if first.end > offset:
                self._uncount(first)
                first.start = offset
                self._count(first)
                return first
            last = self._sent.popleft()
            self._uncount(last)
            self._lost -= last.lost
            self._sacked -= last.sacked
        return last

    def _after_progress(self, newly: int) -> None:
        if self._recovering is None:
            self.congestion.acknowledged(newly)
        elif self.una >= self._recover:
            if self._recovering == "loss":
                self.congestion.window = max(self.congestion.threshold, self.mss)
            self._recovering = None
        elif self._recovering == "timeout":
            self.congestion.acknowledged(newly)
        elif self._sent and not self._sent[0].sacked and not self._sent[0].lost:
            # A partial acknowledgment: what follows it was lost, too (RFC 6582 §3.2).
            self._mark_lost(self._sent[0])

    def duplicate(self) -> None:
        """An acknowledgment came that acknowledges nothing new though something is in flight."""
        self._duplicates += 1
        if self._duplicates >= DUPLICATES and self._recovering is None and self._sent:
            self._lose_first()
        self._find_lost()

    def _lose_first(self) -> None:
        first = next((one for one in self._sent if not one.sacked), None)
        if first is not None and not first.lost:
            self._enter_recovery()
            self._mark_lost(first)

    def _enter_recovery(self) -> None:
        if self._recovering is None:
            self.congestion.lost(self.nxt - self.una)
            self._recover = self.nxt
            self._recovering = "loss"

    def _take_sack(self, blocks: tuple[tuple[int, int], ...]) -> None:
        for left, right in blocks:
            low, high = self.offset(left), self.offset(right)
            if not self.una < low < high <= self.nxt:
                continue
            for one in self._sent:
                if one.start >= high:
                    break
                if one.start >= low and one.end <= high and not one.sacked:
                    self._uncount(one)
                    self._lost -= one.lost
                    self._sacked += 1
                    one.sacked, one.lost = True, False

    def _find_lost(self) -> None:
        """Mark what lies well below octets that were selectively acknowledged (RFC 6675 §4)."""
        if not self._sacked:
            return
        above = 0
        for one in reversed(self._sent):
            if one.sacked:
                above += one.length
            elif above > (DUPLICATES - 1) * self.mss and not one.lost and not one.resent:
                self._enter_recovery()
                self._mark_lost(one)

    def window(self, offset: int, octets: int, now: int) -> None:
        """The other side advertises so many octets from an offset on."""
        was_closed = self.limit <= self.una
        self.limit = offset + octets
        self.max_window = max(self.max_window, octets)
        if was_closed and self.limit > self.una:
            if self._sent and not self._sent[0].lost and not self._sent[0].sacked:
                self._mark_lost(self._sent[0])  # a probe the closed window may have swallowed
            self.rtt.progress()
            self.deadline = now + self.rtt.timeout if self._sent else None
        elif self.blocked and self.deadline is None:
            self.deadline = now + self.rtt.timeout

    # Bookkeeping: the pipe counts what is thought to be in the network (RFC 6675).

    def _counts(self, one: _Sent) -> bool:
        return not one.sacked and not one.lost

    def _count(self, one: _Sent) -> None:
        if self._counts(one):
            self._pipe += one.length

    def _uncount(self, one: _Sent) -> None:
        if self._counts(one):
            self._pipe -= one.length

    def _mark_lost(self, one: _Sent) -> None:
        self._uncount(one)
        self._lost += not one.lost
        one.lost = True

    @property
    def in_flight(self) -> int:
        """Octets thought to be in the network; without SACK, duplicates say that some have left it (RFC 5681 §3.2)."""
        return self._pipe if self._selective else max(0, self._pipe - self._duplicates * self.mss)

    # What may be sent.

    def next_chunk(self, now: int) -> Chunk | None:
        """The next thing that may be sent now, None where nothing may."""
        if self.una == 0:
            return None
        if self._sent and not self._pipe_only():
            return self._resend(now)
        return self._send_new(now)

    def _pipe_only(self) -> bool:
        """Whether nothing lost waits to be sent again, or may not be now."""
        if self.blocked:
            return True
        if self._sent[0].lost:
            return False  # the oldest goes whatever the window says (RFC 6582 §3.2, RFC 6675 §5)
        if self.in_flight and self.in_flight + self.mss > self.congestion.window:
            return True
        return not self._lost

    def _resend(self, now: int) -> Chunk:
        at, one = next((at, one) for at, one in enumerate(self._sent) if one.lost)
        if one.length - one.fin > self.mss:  # the path's MTU has become smaller
            rest = _Sent(one.start + self.mss, one.end, one.fin, one.time)
            rest.lost, rest.resent = True, one.resent
            self._lost += 1
            one.end, one.fin = one.start + self.mss, False
            self._sent.insert(at + 1, rest)
        one.lost, one.resent, one.time = False, True, now
        self._lost -= 1
        self._count(one)
        return self._chunk(one, now)

    def _chunk(self, one: _Sent, now: int) -> Chunk:
        if self.deadline is None:
            self.deadline = now + self.rtt.timeout
        self._last_sent = now
        octets = one.length - one.fin
        payload = self.stream.read(self.place(one.start), octets) if octets else b""
        return Chunk(one.start, payload, one.fin)

    def _send_new(self, now: int) -> Chunk | None:
        if self.fin_offset is not None or (self._recovering == "timeout" and self._lost):
            return None
        available = self._available
        if not self._sent and now - self._last_sent > self.rtt.timeout:
            self.congestion.idle()
        room = min(self.limit - self.nxt, self.congestion.window - self.in_flight)
        size = min(available, self.mss, max(0, room))
        fin = self.stream.closed and size == available
        if not size and not fin:
            if self.blocked and self.deadline is None:
                self.deadline = now + self.rtt.timeout
            return None
        if size < self.mss and not fin and self._sent:
            whole = size == available
            if (not whole and size * 2 < self.max_window) or (whole and self._nagle):
                return None  # silly windows (RFC 9293 §3.8.6.2.1) and Nagle (§3.7.4)
        one = _Sent(self.nxt, self.nxt + size + fin, fin, now)
        if fin:
            self.fin_offset = self.nxt + size
        self._sent.append(one)
        self._count(one)
        self.nxt = one.end
        self.stream.mark_sent(self.place(one.end - fin))
        return self._chunk(one, now)

    # The timer.

    def expired(self, now: int) -> Chunk | None:
        """The timer has expired: a probe where the window is closed; else what is lost goes out by `next_chunk`."""
        self.timeouts += 1
        if self.blocked:
            self.rtt.back_off()
            self.deadline = now + self.rtt.timeout
            return self._probe(now)
        self.deadline = None
        if not self._sent:
            return None
        if self._recovering != "timeout":
            self.congestion.timed_out(self.nxt - self.una)
        self.rtt.back_off()
        self._recovering, self._recover = "timeout", self.nxt
        self._duplicates = 0
        for one in self._sent:
            one.sacked, one.lost = False, True  # RFC 2018 §8: what was selectively acknowledged may be gone
        self._pipe, self._sacked, self._lost = 0, 0, len(self._sent)
        return None

    def _probe(self, now: int) -> Chunk:
        """One octet for a closed window."""
        if not self._sent:
            one = _Sent(self.nxt, self.nxt + 1, False, now)
            self._sent.append(one)
            self._count(one)
            self.nxt += 1
            self.stream.mark_sent(self.place(self.nxt))
        first = self._sent[0]
        first.resent = True
        payload = self.stream.read(self.place(first.start), 1) if first.length > first.fin else b""
        return Chunk(first.start, payload, first.fin and not payload)
