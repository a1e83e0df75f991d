"""One TCP connection, sans-IO: segments and times in, segments and events out (RFC 9293 §3.10).

It carries stretches of two streams that may outlive it. Here is what becomes of a segment that arrives, in the order of
RFC 9293 §3.10.7 with what RFC 5961 and RFC 7323 add to it; the rest is `Transport`.
"""

from __future__ import annotations

from tioption.capture.segment import ACK, RST, SYN
from tioption.endpoint import events
from tioption.endpoint.receiver import MAX_WINDOW
from tioption.endpoint.rtt import MS
from tioption.endpoint.state import AFTER_FIN_ACKED, AFTER_PEER_FIN, RECEIVING, SYNCHRONIZED, TcpState
from tioption.endpoint.transport import Transport
from tioption.endpoint.wire import TcpSegment
from tioption.layout import LENGTH
from tioption.seq import SEQ32


class Connection(Transport):
    """One transport, from its SYN to its end."""

    def receive_segment(self, segment: TcpSegment, now: int) -> None:
        """Take a segment of the other side."""
        self._now = now
        if self.frozen or self.state is TcpState.CLOSED:
            return
        if self.state is TcpState.LISTEN:
            self._first(segment, now)
        elif self.state is TcpState.SYN_SENT:
            self._in_syn_sent(segment, now)
        elif self.state is TcpState.SYN_RECEIVED:
            self._in_syn_received(segment, now)
        else:
            self._synchronized(segment, now)

    def _learn(self, segment: TcpSegment, now: int) -> None:
        """Keep what a SYN says of its sender."""
        self.negotiation.peer = segment
        self.receiver.begin(segment.seq)
        if segment.timestamps is not None:
            self.receiver.remember(segment.timestamps[0], 0, now)

    def _first(self, segment: TcpSegment, now: int) -> None:
        assert segment.syn, "a listener hands over SYNs only"
        self._begun = now
        self._learn(segment, now)
        self._apply(self.opening.received(segment, self.sender.iss, now), now)

    def _in_syn_sent(self, segment: TcpSegment, now: int) -> None:
        iss = self.sender.iss
        if segment.has_ack and segment.ack != SEQ32.add(iss, 1):
            if not segment.rst:
                self._queue.append(TcpSegment(segment.ack, 0, RST, 0))
            return
        if segment.rst:
            if segment.has_ack:
                self._apply(self.opening.received(segment, iss, now), now)
                self._close(now)
                self.events.append(events.TransportReset(refused=True))
            return
        if not segment.syn:
            return
        self._learn(segment, now)
        if not segment.has_ack:
            self.rtt.progress()
        self._apply(self.opening.received(segment, iss, now), now)

    def _in_syn_received(self, segment: TcpSegment, now: int) -> None:
        offset = self.receiver.offset(segment.seq)
        repeated = segment.syn and offset == 0
        if segment.rst:
            if offset == 1:
                self._apply(self.opening.received(segment, self.sender.iss, now), now)
                self._close(now)
                self.events.append(events.TransportReset(refused=self.opening.active))
            return
        if repeated and not segment.has_ack:
            if not self.opening.active:
                self._apply(self.opening.received(segment, self.sender.iss, now), now)
            return
        if not repeated and (segment.syn or not self.receiver.acceptable(offset, len(segment.payload))):
            # Whoever probes an answerer that still waits has lost its third ACK, or the answerer its copy.
            self._send_syn_ack(self.option, now)
            return
        if not segment.has_ack:
            return
        if segment.ack != SEQ32.add(self.sender.iss, 1):
            self._queue.append(TcpSegment(segment.ack, 0, RST, 0))
            return
        if self.opening.active:  # the other side's half of a simultaneous open
            self.opening.received(segment, self.sender.iss, now)
            self._establish(now)
        else:
            self._apply(self.opening.received(segment, self.sender.iss, now), now)
        if self.state in SYNCHRONIZED:
            self._synchronized(segment._replace(flags=segment.flags & ~SYN) if repeated else segment, now)

    def _synchronized(self, segment: TcpSegment, now: int) -> None:
        receiver = self.receiver
        offset = receiver.offset(segment.seq)
        if segment.syn and segment.has_ack and offset == 0 and self.opening.active:
            self._answer_again(segment, now)
            return
        stamps = segment.timestamps
        if self.negotiation.timestamps and not segment.rst:
            if stamps is None:
                return  # RFC 7323 §3.2
            if receiver.outdated(stamps[0], now):
                self._challenge(now)
                return
        if not receiver.acceptable(offset, len(segment.payload)):
            if not segment.rst:
                if segment.fin and self.state is TcpState.TIME_WAIT:
                    self._timer = now + self.config.time_wait
                self._challenge(now)
            return
        if segment.rst:
            if offset == receiver.nxt:
                self._close(now)
                self.events.append(events.TransportReset())
            else:
                self._challenge(now)
            return
        if segment.syn:
            self._challenge(now)  # RFC 5961 §4
            return
        if segment.has_ack and self._acknowledgment(segment, offset, now):
            self._take_text(segment, offset, now)

    def _answer_again(self, segment: TcpSegment, now: int) -> None:
        """A SYN-ACK came again: its third ACK was lost (EST-10), unless the answerer has spoken since."""
        effects = self.opening.received(segment, self.sender.iss, now) if not self._peer_spoke else []
        self._apply(effects, now)
        if not effects:
            self._challenge(now)

    def _acknowledgment(self, segment: TcpSegment, offset: int, now: int) -> bool:
        """Take the acknowledgment; False where the segment is not to be looked at any further."""
        sender = self.sender
        acked = sender.offset(segment.ack)
        if acked > sender.nxt or acked < sender.una - max(sender.max_window, MAX_WINDOW):
            self._challenge(now)  # RFC 5961 §5
            return False
        if segment.option is not None and not self.opening.active:
            self._apply(self.opening.received(segment, sender.iss, now), now)  # a third ACK that was overtaken
        if not self._peer_spoke:
            self._peer_spoke = True
            if self.config.confirm_repeat and self._confirmation is not None:
                sender.mss += LENGTH
        echo = None
        if segment.timestamps is not None:
            self.receiver.remember(segment.timestamps[0], offset, now)
            if segment.timestamps[1]:
                echo = SEQ32.difference(self._stamp_now, segment.timestamps[1]) * MS
        was_finished, una, limit, blocked = sender.finished, sender.una, sender.limit, sender.blocked
        window = segment.window << self.negotiation.peer_shift
        newly = 0
        if acked >= una:
            outstanding = sender.outstanding
            newly = sender.acknowledged(acked, segment.sack if self.negotiation.sack else (), now, echo)
            self._update_window(offset, acked, window, now)
            if acked == una and outstanding and not segment.length and (sender.limit == limit or segment.sack):
                sender.duplicate()
        if blocked:
            sender.timeouts = 0  # a closed window that answers is no silence
        if newly or blocked:
            self._progress_at = now
        answers = bool(newly) or not sender.outstanding or blocked
        self._heard(now, data=bool(segment.payload), answers=answers)
        if sender.finished and not was_finished:
            self.events.append(events.OwnFinished())
            self._advance(AFTER_FIN_ACKED, now)
        return True

    def _update_window(self, offset: int, acked: int, window: int, now: int) -> None:
        """Take the advertised window unless an older segment brings it (RFC 9293 §3.10.7.4)."""
        if (offset, acked) >= self._window_from:
            self._window_from = (offset, acked)
            self.sender.window(acked, window, now)

    def _advance(self, table: dict[TcpState, TcpState], now: int) -> None:
        self._enter(table.get(self.state, self.state), now)
        if self.state is TcpState.CLOSED:
            self._close(now)
            self.events.append(events.TransportClosed())

    def _take_text(self, segment: TcpSegment, offset: int, now: int) -> None:
        if not segment.payload and not segment.fin:
            return
        if self.state not in RECEIVING:
            self._ack_now = True
            return
        try:
            in_order = self.receiver.take(offset, segment.payload, segment.fin)
        except ValueError as error:
            self._queue.append(self._segment(RST | ACK, self.sender.nxt))
            self._close(now)
            self.events.append(events.TransportBroken(str(error)))
            return
        self._unacknowledged += len(segment.payload)
        if self.receiver.finished:
            self.events.append(events.PeerFinished())
            self._ack_now = True
            self._advance(AFTER_PEER_FIN, now)
        elif not in_order or not self.config.delayed_ack or self._unacknowledged >= 2 * self.sender.mss:
            self._ack_now = True
        elif self._ack_due is None:
            self._ack_due = now + self.config.delayed_ack
