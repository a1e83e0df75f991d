"""The isolation boundary: what an application holds on to while transports come and go beneath it (§III).

It keeps both streams and their positions, notices that a transport is broken, resumes the flow on another or lets the
other side do so, and switches between them without losing or repeating an octet. Where there is no flow it is plain
TCP, with the errors of plain TCP.
"""

from __future__ import annotations

from typing import Protocol

from tioption.endpoint import events
from tioption.endpoint.config import StackConfig
from tioption.endpoint.connection import Connection
from tioption.endpoint.conversation import Conversation
from tioption.endpoint.log import EventLog
from tioption.endpoint.state import TcpState
from tioption.handshake import (
    CloseBeforeData,
    Established,
    FellBack,
    FlowRegistry,
    Resumed,
    ResumeFailed,
    Unconfirmed,
)
from tioption.option import Variant


class Host(Protocol):
    """The host a boundary lives on."""

    def touch(self, boundary: IsolationBoundary) -> None:
        """Something has changed: there may be something to send, and timers to set."""

    def dial(self, boundary: IsolationBoundary, now: int) -> Connection | None:
        """Begin a transport that resumes the boundary's flow; None where there is no address to begin it from."""

    def forget(self, connection: Connection) -> None:
        """The transport is gone: its ports are free."""


class IsolationBoundary(Conversation):
    """One conversation of an application, over one transport after another."""

    def __init__(
        self,
        host: Host,
        registry: FlowRegistry,
        config: StackConfig,
        variant: Variant = Variant.FLOW_D,
        log: EventLog | None = None,
    ) -> None:
        """Begin with empty streams and no transport."""
        super().__init__(config, variant, lambda: host.touch(self))
        self._host = host
        self._registry = registry
        self._log = log or EventLog()
        self._broken_since: int | None = None
        self._hold_until = 0
        self._retry_at: int | None = None
        self._retry_delay = config.flow.retry
        self._refusals = 0

    def abort(self, now: int) -> None:
        """Reset the conversation: nothing more is sent, nothing is kept."""
        self._log.record(now, "flow:aborted", tifid=self.tifid)
        self._end(now, ConnectionAbortedError("aborted by this side"))
        self._host.touch(self)

    def resume(self, now: int, why: str = "asked for") -> bool:
        """Resume the flow on another transport now; False where there is none or this side may not (RES-18)."""
        if self.flow is None or self.error is not None or self.complete or not self.may_resume:
            return False
        if self.attempt is None:
            self._begin_attempt(now, why)
            self._host.touch(self)
        return True

    def retry(self, now: int) -> None:
        """Where a resume was not answered, try again now: the way may be another one."""
        if self._retry_at is not None:
            self._retry_at = now

    # Time.

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called for the flow itself; its transports have timers of their own."""
        times = [self._retry_at, self._expiry]
        return min((time for time in times if time is not None), default=None)

    @property
    def _expiry(self) -> int | None:
        flow = self.flow
        if flow is None or flow.dormant_since is None or self.error is not None or self.closed:
            return None
        return flow.dormant_since + self._registry.limits.dormant

    def handle_timer(self, now: int) -> None:
        """Do what is due for the flow."""
        expiry = self._expiry
        if expiry is not None and now >= expiry:
            self._end(now, TimeoutError("the flow was not resumed in time"))
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            if self.error is None and self.attempt is None:
                self._begin_attempt(now, "tried again")

    def expire(self, now: int, why: str) -> None:
        """Give the flow up before its time."""
        self._end(now, TimeoutError(why))

    # What transports report.

    def add_pending(self, connection: Connection) -> None:
        """A resume of the other side is answered on this transport."""
        self.pending.append(connection)

    def reap(self) -> None:
        """Let go of transports that have come to nothing, now that their last segments are sent."""
        for connection in self._leaving:
            self._host.forget(connection)
        self._leaving.clear()
        if self.transport is not None and self.transport.state is TcpState.CLOSED:
            self._host.forget(self.transport)

    def process(self, now: int) -> None:
        """Take in everything the transports have reported, and tell the application."""
        again = True
        while again:
            again = False
            for connection in self.connections():
                for event in connection.take_events():
                    again = True
                    self._take(connection, event, now)
        self._tell_application()

    def _take(self, connection: Connection, event: events.TransportEvent, now: int) -> None:
        if self.error is not None:
            return
        if connection is self.transport:
            self._of_transport(connection, event, now)
        elif connection is self.attempt:
            self._of_attempt(connection, event, now)
        elif connection in self.pending:
            self._of_pending(connection, event, now)

    def _of_transport(self, connection: Connection, event: events.TransportEvent, now: int) -> None:
        match event:
            case events.HandshakeResult(effect):
                self._opened_as(effect, now)
            case events.Unanswered(times, since):
                self._silence(times, now - since, now)
            case events.Answered():
                self._answered()
            case events.TransportReset(refused):
                self._reset(refused, now)
            case events.TransportBroken(why):
                self._end(now, ConnectionResetError(why))
            case events.TransportTimedOut(why):
                self._end(now, TimeoutError(why))
            case events.TransportClosed():
                self._finished(now)
                self._host.forget(connection)
            case _:
                pass

    def _opened_as(self, effect: object, now: int) -> None:
        """What the first transport's handshake came to."""
        if isinstance(effect, Established | Unconfirmed):
            if self.flow is None:
                self.flow = effect.flow
                self._origins = effect.flow.nxt, effect.flow.rcv
                assert self.transport is not None
                self.transport.user_timeout = None
                self._open("flow" if isinstance(effect, Established) else "unconfirmed", now)
        elif isinstance(effect, FellBack) and self.variant is not Variant.FLOW_C:
            self._open("legacy", now)
        elif isinstance(effect, FellBack | CloseBeforeData):  # whoever opened it, control is not for plain TCP (CTL-03)
            self.send_stream.discard()
            self.receive_stream.read()
            self._end(now, ConnectionRefusedError("the other side does not speak the option, and control needs it"))

    def _open(self, mode: str, now: int) -> None:
        self.opened = True
        self.transports = 1
        self._log.record(now, "flow:opened", mode=mode, tifid=self.tifid)
        self.events.append(events.Opened(mode))

    def _silence(self, times: int, duration: int, now: int) -> None:
        flow, config = self.flow, self._config.flow
        if flow is None or now < self._hold_until:
            return
        if times >= config.threshold or duration >= config.user_timeout:
            self._broken(f"{times} transmissions without an answer", now)

    def _answered(self) -> None:
        """The transport lives after all."""
        self._refusals = 0
        if self._retry_at is not None:
            self.events.append(events.ResumeRejected("not answered"))
        self._well()

    def _well(self) -> None:
        """Nothing is broken (any more): nothing is to be tried again, and the flow does not wait."""
        self._broken_since = self._retry_at = None
        self._retry_delay = self._config.flow.retry
        if self.flow is not None:
            self.flow.dormant_since = None

    def _reset(self, refused: bool, now: int) -> None:
        if self.complete:
            self._finished(now)
        elif not self.opened:
            refusal = ConnectionRefusedError("refused") if refused else ConnectionResetError("reset")
            self._end(now, refusal)
        elif self.flow is None:
            self._end(now, ConnectionResetError("reset by the other side, or by the path"))
        else:
            self._broken("reset", now)

    def unreachable(self, now: int, why: str, *, hard: bool) -> None:
        """The network says that packets do not arrive: a trigger, or a soft error (RES-19, RFC 5461)."""
        if not self.opened:
            if hard:
                self._end(now, ConnectionRefusedError(why))
        elif self.flow is not None and now >= self._hold_until:
            self._broken(why, now)

    def _broken(self, why: str, now: int) -> None:
        """The transport counts as broken (RES-19): resume, or wait for the other side to (RES-18)."""
        flow = self.flow
        assert flow is not None
        if self.complete or self.attempt is not None:
            return
        if self._broken_since is None:
            self._broken_since = now
            self.update_flow()
            if flow.dormant_since is None:
                self._registry.sleep(flow.name, now)
            self._log.record(now, "flow:broken", tifid=self.tifid, why=why)
            self.events.append(events.FlowBroken(why))
        if self.may_resume and self._retry_at is None:
            self._begin_attempt(now, why)

    def _finished(self, now: int) -> None:
        """The last transport has gone in good order (RES-22)."""
        if self.flow is not None:
            self._registry.end(self.flow.name, now)
        if not self.complete and self.error is None:
            self._end(now, ConnectionResetError("the transport ended before the streams did"))

    # Resuming.

    def _begin_attempt(self, now: int, why: str) -> None:
        flow = self.flow
        assert flow is not None
        if self._broken_since is None:
            self._broken_since = now
        if flow.dormant_since is None:
            self._registry.sleep(flow.name, now)
        if self.transport is not None:
            self.transport.freeze()
        self.update_flow()
        self._log.record(now, "flow:resuming", tifid=self.tifid, why=why, tiseq=flow.nxt, tiack=flow.rcv)
        self.attempt = self._host.dial(self, now)
        if self.attempt is None:
            self._try_later(now)

    def _of_attempt(self, connection: Connection, event: events.TransportEvent, now: int) -> None:
        match event:
            case events.HandshakeResult(Resumed()):
                self.attempt = None
                self._switch(connection, now)
            case events.HandshakeResult(ResumeFailed(why)):
                self.attempt = None
                self._leaving.append(connection)
                self._attempt_failed(why, now)
            case _:
                pass

    def _attempt_failed(self, why: str, now: int) -> None:
        transport = self.transport
        alive = transport is not None and transport.state is not TcpState.CLOSED
        self._log.record(now, "flow:resume-failed", tifid=self.tifid, why=why, alive=alive, refusals=self._refusals)
        if why == "not answered":
            self._try_later(now)
        elif self.flow is not None and not self.flow.opened:
            self._thaw(now)  # the host that opened the flow will come, or the flow expire (RES-18)
        elif why == "bytes are gone" or not alive or self._refusals:
            self._end(now, ConnectionResetError(f"the flow cannot be resumed: {why}"))
        else:
            self._refusals += 1
            self._hold_until = now + self._config.flow.retry
            self.events.append(events.ResumeRejected(why))
            self._well()  # as far as one knows; a transport that is broken will say so again
            self._thaw(now)

    def _try_later(self, now: int) -> None:
        self._retry_at = now + self._retry_delay
        self._hold_until = self._retry_at
        self._retry_delay = min(2 * self._retry_delay, self._config.flow.most_retry)
        self._thaw(now)

    def _thaw(self, now: int) -> None:
        if self.transport is not None:
            self.transport.thaw(now)

    def _of_pending(self, connection: Connection, event: events.TransportEvent, now: int) -> None:
        match event:
            case events.HandshakeResult(Resumed()):
                self.pending.remove(connection)
                self._switch(connection, now)
            case events.HandshakeResult(ResumeFailed()) | events.TransportTimedOut() | events.TransportReset():
                self.pending.remove(connection)
                self._leaving.append(connection)
            case _:
                pass

    def _switch(self, connection: Connection, now: int) -> None:
        """Another transport carries the streams from now on; the old one is dropped without a word (RES-11)."""
        old, self.transport = self.transport, connection
        if old is not None:
            old.drop()
            self._host.forget(old)
        if self.attempt is not None:  # the other side's attempt was quicker
            self.attempt.opening.gave_up()
            self.attempt.drop()
            self._host.forget(self.attempt)
            self.attempt = None
        for other in self.pending:  # RES-16
            other.opening.gave_up()
            other.abort(now)
            self._leaving.append(other)
        self.pending.clear()
        self.transports += 1
        connection.user_timeout = None
        self.send_stream.acknowledge(connection.sender.anchor)
        outage = now - self._broken_since if self._broken_since is not None else 0
        self._well()
        self._refusals = 0
        self._hold_until = now + self._config.flow.hold_off
        self._log.record(now, "flow:resumed", tifid=self.tifid, transport=self.transports, outage=outage)
        self.events.append(events.FlowResumed(self.transports, outage))

    def _end(self, now: int, error: OSError) -> None:
        """It is over, with an error for the application."""
        self._log.record(now, "flow:failed", tifid=self.tifid, error=type(error).__name__, why=str(error))
        self.error = error
        self._retry_at = None
        for connection in self.connections():
            connection.frozen = False
            if connection is not self.transport:
                connection.opening.gave_up()
            connection.abort(now)
        self._leaving += self.pending
        self.pending.clear()
        if self.attempt is not None:
            self._leaving.append(self.attempt)
            self.attempt = None
        if self.flow is not None:
            self._registry.end(self.flow.name, now)
        self.events.append(events.Failed(error))
