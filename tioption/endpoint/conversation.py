"""A conversation as its application sees it: two streams and their positions, whatever carries them (§III, MAP-01)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tioption.endpoint import events
from tioption.endpoint.config import StackConfig
from tioption.endpoint.connection import Connection
from tioption.endpoint.state import TcpState
from tioption.endpoint.streams import ReceiveStream, SendStream
from tioption.handshake import Flow
from tioption.option import Variant
from tioption.seq import SEQ48


class Conversation:
    """One conversation: what was written and read, where both streams stand, which transports there are."""

    def __init__(self, config: StackConfig, variant: Variant, changed: Callable[[], object]) -> None:
        """Begin with empty streams and no transport; `changed` is called after whatever the application does."""
        self.variant = variant
        self.send_stream = SendStream(config.send_buffer)
        self.receive_stream = ReceiveStream(config.receive_buffer)
        self.transport: Connection | None = None
        """The transport that carries the streams now, or did before it broke."""
        self.attempt: Connection | None = None
        """A transport by which this side tries to resume the flow."""
        self.pending: list[Connection] = []
        """Resumes of the other side, answered and not confirmed (RES-16)."""
        self._leaving: list[Connection] = []
        self.flow: Flow | None = None
        self.transports = 0
        """How many transports have carried the streams so far."""
        self.error: OSError | None = None
        self.opened = False
        """Whether the first handshake was completed."""
        self.closed = False
        """Whether the application was told that both streams have ended and arrived."""
        self.events: deque[events.EndpointEvent] = deque()
        self._config = config
        self._changed = changed
        self._origins = (0, 0)
        self._window = 0
        self._end_told = False
        self._received_told = 0
        self._wants_room = False

    # The application's side.

    def write(self, octets: bytes) -> int:
        """Take as many octets as there is room for and say how many; `Writable` follows where it was not all.

        Raises the error the conversation ended with, and ValueError after `close`.
        """
        if self.error is not None:
            raise self.error
        taken = self.send_stream.write(octets)
        self._wants_room = taken < len(octets)
        self._changed()
        return taken

    def read(self, octets: int = -1) -> bytes:
        """What has arrived in order, at most so many octets; b"" where there is nothing now or any more."""
        taken = self.receive_stream.read(octets)
        if self.transport is not None:
            self.transport.has_read()
            self._changed()
        return taken

    def close(self) -> None:
        """End the own stream; the other one goes on until its end (RES-15)."""
        self.send_stream.closed = True
        self._changed()

    @property
    def may_resume(self) -> bool:
        """Whether this side resumes the flow: the one that opened it does (RES-18)."""
        return self.flow is not None and (self.flow.opened or self._config.flow.answerer_resumes)

    @property
    def tifid(self) -> str | None:
        """The flow's identifier, 12 hexadecimal digits; None where there is no flow."""
        return str(self.flow.name.tifid) if self.flow is not None else None

    @property
    def over(self) -> bool:
        """Whether no transport of the conversation is left and none will come."""
        gone = self.transport is None or self.transport.state is TcpState.CLOSED
        return (
            gone
            and self.attempt is None
            and not self.pending
            and not self._leaving
            and (self.closed or self.error is not None)
        )

    @property
    def complete(self) -> bool:
        """Whether both streams have ended and arrived."""
        return self.send_stream.finished and self.receive_stream.ended

    def connections(self) -> list[Connection]:
        """Every transport that is in use, might be, or has a last word to say."""
        return [one for one in (self.transport, self.attempt, *self.pending, *self._leaving) if one is not None]

    # Positions.

    def counts(self, own: int, other: int) -> tuple[int, int]:
        """The places in both streams of two positions: where a resumed transport begins (R1, MAP-03)."""
        origin, far = self._origins
        place = SEQ48.unwrap(own - origin, self.send_stream.acked)
        # A peer that counted the FIN as an octet stands one beyond the end (RES-15).
        return min(place, self.send_stream.end), SEQ48.unwrap(other - far, self.receive_stream.received)

    def update_flow(self) -> None:
        """Let the registry's flow say where both streams stand now."""
        flow, send = self.flow, self.send_stream
        if flow is None:
            return
        origin, far = self._origins
        flow.una = SEQ48.add(origin, send.acked)
        flow.nxt = SEQ48.add(origin, send.sent)
        flow.rcv = SEQ48.add(far, self.receive_stream.received)
        flow.closed = send.closed and send.sent == send.end
        self._window = max([self._window, *(one.receiver.largest_window for one in self.connections())])
        flow.window = self._window

    # What the application is told.

    def _tell_application(self) -> None:
        if self.receive_stream.received > self._received_told:
            self._received_told = self.receive_stream.received
            if not (self.events and isinstance(self.events[-1], events.DataReceived)):
                self.events.append(events.DataReceived())
        if self.receive_stream.ended and not self._end_told:
            self._end_told = True
            self.events.append(events.EndReceived())
        if self._wants_room and self.send_stream.room:
            self._wants_room = False
            self.events.append(events.Writable())
        if not self.closed and self.error is None and self.complete:
            self.closed = True
            self.events.append(events.Closed())
