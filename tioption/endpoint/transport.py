"""A transport that sends: its state, its timers, the segments it makes (RFC 9293 §3.8).

What arrives is `Connection`'s part. What the handshake's option says is the engine's business (`tioption.handshake`);
what a broken or resumed transport means is the isolation boundary's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.endpoint import events
from tioption.endpoint.config import TcpConfig
from tioption.endpoint.keepalive import KeepAlive
from tioption.endpoint.log import EventLog
from tioption.endpoint.negotiation import MIN_MSS, TIMESTAMPS, Negotiation
from tioption.endpoint.opening import Opening
from tioption.endpoint.receiver import Receiver
from tioption.endpoint.rtt import MS, SECOND, RoundTrip
from tioption.endpoint.sender import Chunk, Sender
from tioption.endpoint.state import (
    AFTER_OWN_FIN,
    RECEIVING,
    SENDING,
    SYNCHRONIZED,
    TcpState,
)
from tioption.endpoint.streams import ReceiveStream, SendStream
from tioption.endpoint.wire import TcpSegment
from tioption.handshake import (
    Effect,
    Established,
    FellBack,
    Resumed,
    ResumeFailed,
    SendAck,
    SendReset,
    SendSyn,
    SendSynAck,
    Unconfirmed,
)
from tioption.layout import LENGTH, OPTION_SPACE
from tioption.option import FlowOption
from tioption.seq import SEQ32

_MAX_PROBES: Final = 9

Counts = Callable[[int, int], tuple[int, int]]
"""The places in both streams, own and other, of two positions of 48 bits."""


class Transport:
    """The sending side of one TCP connection, and what it knows."""

    def __init__(  # noqa: PLR0913  what a transport needs beside segments and times
        self,
        opening: Opening,
        iss: int,
        send: SendStream,
        receive: ReceiveStream,
        config: TcpConfig,
        *,
        headers: int = 40,
        clock_offset: int = 0,
        counts: Counts | None = None,
        log: EventLog | None = None,
        name: str = "",
    ) -> None:
        """Carry both streams; nothing happens before `open` or a first segment.

        `headers` are octets of IP and TCP headers without options; `clock_offset` begins the timestamps (32 bits);
        `counts` is asked where the handshake says at which positions the transport begins.
        """
        self.opening = opening
        self.config = config
        self.state = TcpState.LISTEN
        self.rtt = RoundTrip(config.least_timeout, config.most_timeout)
        self.sender = Sender(iss, send, self.rtt, nagle=config.nagle)
        self.receiver = Receiver(receive)
        self.frozen = False
        self.events: deque[events.TransportEvent] = deque()
        self.name = name
        self.user_timeout = config.user_timeout
        self.option: FlowOption | None = None
        """The option of the last SYN or SYN-ACK sent."""
        self.negotiation = Negotiation(config, headers, receive.capacity)
        self._counts = counts or (lambda _own, _other: (0, 0))
        self._clock_offset = clock_offset
        self._log = log or EventLog()
        self._queue: list[TcpSegment] = []
        self._timer: int | None = None
        self._tries = 0
        self._begun = 0
        self._now = 0
        self._ack_now = False
        self._ack_due: int | None = None
        self._unacknowledged = 0
        self._confirmation: FlowOption | None = None
        self._peer_spoke = False
        self._headers = headers
        self._window_from = (0, 0)
        self._alive: KeepAlive | None = None
        self._progress_at = 0
        self._unanswered = False
        self._challenges = (0, 0)

    # What an application, or the boundary, wants.

    def open(self, now: int) -> None:
        """Send the SYN."""
        self._begun = self._now = now
        self._apply(self.opening.begin(self.sender.iss, now), now)

    def send(self, octets: bytes) -> int:
        """Write to the stream: how many octets were taken."""
        return self.sender.stream.write(octets)

    def close(self) -> None:
        """End the own stream: a FIN follows all that was written."""
        self.sender.stream.closed = True

    def abort(self, now: int) -> None:
        """Reset the connection and forget it (RFC 9293 §3.10.5)."""
        if self.state in SYNCHRONIZED or self.state is TcpState.SYN_RECEIVED:
            self._queue.append(self._segment(RST | ACK, max(self.sender.nxt, 1)))
        self._close(now)

    def drop(self) -> None:
        """Forget the connection without a word (RES-11)."""
        self._queue.clear()
        self.state = TcpState.CLOSED
        self._timer = self.sender.deadline = self._ack_due = None

    def freeze(self) -> None:
        """Neither send nor take anything until `thaw` (RES-09)."""
        self.frozen = True
        self._queue.clear()

    def thaw(self, now: int) -> None:
        """Go on where `freeze` stopped, and find out whether the other side still answers."""
        self.frozen = False
        self._now = now
        if self.state not in SYNCHRONIZED or self.state is TcpState.TIME_WAIT:
            return
        if self.sender.outstanding:
            self.sender.deadline = now + self.rtt.timeout
        elif self._alive is not None:
            self._alive.heard(now, data=False)
            self._alive.ask(now)
            self._queue.append(self._segment(ACK, self.sender.nxt - 1))
        self._unanswered = True

    def take_events(self) -> list[events.TransportEvent]:
        """What has happened since the last call."""
        taken = list(self.events)
        self.events.clear()
        return taken

    def has_read(self) -> None:
        """The application has read: the window may have opened."""
        if self.state in RECEIVING and self.receiver.window_opened(self.sender.mss):
            self._ack_now = True

    def packet_too_big(self, mtu: int, quoted: int) -> None:
        """The path takes packets of `mtu` octets at most (RFC 1191, RFC 8201), says an answer to sequence `quoted`."""
        if self.state in SYNCHRONIZED and self.quotes(quoted):
            self.sender.shrink(max(MIN_MSS, self.negotiation.fitting(mtu - self._headers)))

    def quotes(self, seq: int) -> bool:
        """Whether a quoted sequence number is of something not acknowledged yet (RFC 5927 §4.1)."""
        return self.sender.una <= self.sender.offset(seq) <= self.sender.nxt

    def fits(self, segment: TcpSegment) -> bool:
        """Whether a segment may be of this connection and not of another on the same ports."""
        if segment.has_ack:
            return self.sender.una <= self.sender.offset(segment.ack) <= max(self.sender.nxt, 1)
        return self.receiver.acceptable(self.receiver.offset(segment.seq), len(segment.payload))

    # Time.

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called, None as long as nothing depends on time."""
        if self.frozen or self.state is TcpState.CLOSED:
            return None
        times = [self._timer, self.sender.deadline, self._ack_due, self._keep_alive_deadline()]
        return min((time for time in times if time is not None), default=None)

    def _keep_alive_deadline(self) -> int | None:
        if self._alive is None or self.state not in SYNCHRONIZED or self.state is TcpState.TIME_WAIT:
            return None
        if self.sender.deadline is not None:
            return None  # what is in flight asks by itself
        return self._alive.deadline(self.rtt.timeout)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        self._now = now
        if self.frozen or self.state is TcpState.CLOSED:
            return
        if self._ack_due is not None and now >= self._ack_due:
            self._ack_due, self._ack_now = None, True
        if self._timer is not None and now >= self._timer:
            self._handshake_or_wait_over(now)
        deadline = self.sender.deadline
        if deadline is not None and now >= deadline and self.state in SENDING:
            self._retransmission(now)
        ask = self._keep_alive_deadline()
        if ask is not None and now >= ask:
            self._probe(now)

    def _handshake_or_wait_over(self, now: int) -> None:
        self._timer = None
        if self.state is TcpState.TIME_WAIT:
            self._close(now)
            self.events.append(events.TransportClosed())
            return
        self._tries += 1
        if self._tries > self.config.syn_retries:
            self._apply(self.opening.gave_up(), now)
            self._close(now)
            self.events.append(events.TransportTimedOut("no answer to the SYN"))
            return
        self.rtt.back_off()
        if self.state is TcpState.SYN_SENT:
            self._apply(self.opening.lost(), now)
        else:
            self._send_syn_ack(self.option, now)

    def _retransmission(self, now: int) -> None:
        probe = self.sender.expired(now)
        times = self.sender.timeouts - (probe is not None)  # the probe that goes now is not unanswered yet
        if self._give_up(now, now - self._progress_at, times, "data unacknowledged"):
            return
        if times:
            self._note_silence(times, self._progress_at)
        if probe is not None:
            self._queue.append(self._data(probe))

    def _probe(self, now: int) -> None:
        alive = self._alive
        assert alive is not None
        if alive.probes:
            silence = now - alive.silent_since
            if alive.probes >= _MAX_PROBES and self._give_up(now, silence, alive.probes, "no answer to probes"):
                return
            self._note_silence(alive.probes, alive.silent_since)
        alive.ask(now)
        self._queue.append(self._segment(ACK, self.sender.nxt - 1))

    def _give_up(self, now: int, silence: int, times: int, why: str) -> bool:
        limit = self.user_timeout
        if limit is None or silence < limit or times < 2:
            return False
        self._close(now)
        self.events.append(events.TransportTimedOut(why))
        return True

    def _note_silence(self, times: int, since: int) -> None:
        self._unanswered = True
        self.events.append(events.Unanswered(times, since))

    def _heard(self, now: int, *, data: bool, answers: bool) -> None:
        if self._alive is not None:
            self._alive.heard(now, data=data)
        if answers and self._unanswered:
            self._unanswered = False
            self.events.append(events.Answered())

    # What is sent.

    def segments_to_send(self, now: int) -> list[TcpSegment]:
        """Everything that is to be sent now, in order."""
        self._now = now
        out, self._queue = self._queue, []
        if self.frozen:
            return []
        if self.state in SENDING:
            out += self._text(now)
        if self._ack_now and self.state in SYNCHRONIZED:
            out.append(self._segment(ACK, self.sender.nxt))
        self._ack_now = False
        return out

    def _text(self, now: int) -> list[TcpSegment]:
        out = []
        idle = not self.sender.outstanding
        while (chunk := self.sender.next_chunk(now)) is not None:
            if idle:
                self._progress_at, idle = now, False
            out.append(self._data(chunk))
            if chunk.fin and self.state in AFTER_OWN_FIN:
                self._enter(AFTER_OWN_FIN[self.state], now)
        return out

    def _data(self, chunk: Chunk) -> TcpSegment:
        flags = ACK | (PSH if chunk.payload else 0) | (FIN if chunk.fin else 0)
        return self._segment(flags, chunk.offset, chunk.payload)

    def _segment(self, flags: int, offset: int, payload: bytes = b"") -> TcpSegment:
        """A segment as things stand, with what is to be acknowledged, advertised and echoed."""
        receiver = self.receiver
        segment = TcpSegment(self.sender.seq(offset), receiver.seq(receiver.nxt), flags, 0, payload)
        if flags & RST:
            return segment
        receiver.last_ack = receiver.nxt
        self._ack_now, self._ack_due, self._unacknowledged = False, None, 0
        room = OPTION_SPACE
        stamps = None
        if self.negotiation.timestamps:
            stamps, room = (self._stamp_now, receiver.ts_recent or 0), room - TIMESTAMPS
        option = self._repeated_option(flags, payload)
        if option is not None:
            room -= LENGTH
        sack = receiver.sack_blocks((room - 4) // 8) if self.negotiation.sack and receiver.waiting else ()
        return segment._replace(window=receiver.advertise(), timestamps=stamps, sack=sack, option=option)

    def _repeated_option(self, flags: int, payload: bytes) -> FlowOption | None:
        """The confirming option, as long as the answerer has not spoken: on what may be the third ACK (EST-13)."""
        if self._peer_spoke or flags & FIN or (payload and not self.config.confirm_repeat):
            return None
        return self._confirmation

    @property
    def _stamp_now(self) -> int:
        return SEQ32.add(self._clock_offset, self._now // MS)

    def _send_syn(self, option: FlowOption | None, now: int) -> None:
        if self.state is TcpState.LISTEN:
            self._enter(TcpState.SYN_SENT, now)
        self.option = option
        segment = TcpSegment(self.sender.iss, 0, SYN, self.receiver.first_window())
        self._queue.append(self.negotiation.syn(segment, self._stamp_now, option))
        self._timer = now + self.rtt.timeout

    def _send_syn_ack(self, option: FlowOption | None, now: int) -> None:
        self._enter(TcpState.SYN_RECEIVED, now)
        self.option = option
        segment = TcpSegment(self.sender.iss, self.receiver.seq(1), SYN | ACK, self.receiver.first_window())
        echo = self.receiver.ts_recent or 0
        self._queue.append(self.negotiation.syn_ack(segment, self._stamp_now, echo, option))
        self._timer = now + self.rtt.timeout

    def _challenge(self, now: int) -> None:
        """An ACK that lets an honest peer correct itself, not too often (RFC 5961 §7)."""
        second, count = self._challenges
        if now // SECOND != second:
            count = 0
        if count < self.config.challenge_acks:
            self._ack_now = True
        self._challenges = (now // SECOND, count + 1)

    # What the engine decides.

    def _apply(self, effects: list[Effect], now: int) -> None:
        for effect in effects:
            if isinstance(effect, Resumed):  # before any segment says how much of the stream may be sent
                self.sender.anchor, self.receiver.anchor = self._counts(effect.own, effect.other)
        for effect in effects:
            if isinstance(effect, SendSyn):
                self._send_syn(effect.option, now)
            elif isinstance(effect, SendSynAck):
                self._send_syn_ack(effect.option, now)
            elif isinstance(effect, SendAck):
                self._confirm(effect.option, now)
            elif isinstance(effect, SendReset):
                self._refuse(effect.why, now)
            else:
                self._result(effect, now)

    def _confirm(self, option: FlowOption | None, now: int) -> None:
        """The third ACK, or a copy of it for a SYN-ACK that came again (EST-10)."""
        self._confirmation = option
        if self.state is TcpState.SYN_SENT:
            self._establish(now)
        segment = self._segment(ACK, self.sender.nxt)
        self._queue.append(segment._replace(option=option, sack=()))

    def _refuse(self, why: str, now: int) -> None:
        self._log.record(now, "transport:refused", transport=self.name, why=why)
        if self.state is TcpState.LISTEN:  # nothing was said yet: the RST acknowledges the SYN (RFC 9293 §3.5.2)
            peer = self.negotiation.peer
            self._queue.append(TcpSegment(0, SEQ32.add(peer.seq, peer.length), RST | ACK, 0))
        else:
            self._queue.append(TcpSegment(self.sender.seq(1), 0, RST, 0))
        self._close(now)

    def _result(self, effect: Effect, now: int) -> None:
        if self._log:
            self._log.record(now, "handshake:result", transport=self.name, effect=str(effect))
        if isinstance(effect, Established | Unconfirmed | FellBack | Resumed):
            if self.state is TcpState.SYN_RECEIVED and (not self.opening.active):
                self._establish(now)
            if isinstance(effect, Resumed):
                # The other side then knows, and the path has seen the scaled window.
                self._ack_now = not self.opening.active
        elif isinstance(effect, ResumeFailed):
            self._close(now)
        self.events.append(events.HandshakeResult(effect))

    def _establish(self, now: int) -> None:
        agreed, config = self.negotiation, self.config
        self.receiver.shift = agreed.shift
        mss = agreed.payload
        if config.confirm_repeat and self._confirmation is not None:
            mss -= LENGTH
        if self._tries == 0:
            self.rtt.sample(now - self._begun)
        self.rtt.progress()
        self.sender.establish(mss, agreed.peer.window, selective=agreed.sack)
        self._timer = None
        self._progress_at = now
        if config.keep_alive:
            self._alive = KeepAlive(config.least_keep_alive, config.most_keep_alive, now)
        self._enter(TcpState.ESTABLISHED, now)
        self.events.append(events.TransportEstablished())

    def _enter(self, state: TcpState, now: int) -> None:
        if state is self.state:
            return
        self._log.record(now, "transport:state", transport=self.name, old=self.state.value, new=state.value)
        self.state = state
        if state is TcpState.TIME_WAIT:
            self._timer = now + self.config.time_wait
            self.sender.deadline = None

    def _close(self, now: int) -> None:
        self._enter(TcpState.CLOSED, now)
        self._timer = self.sender.deadline = self._ack_due = None
