"""The endpoint in asyncio: StreamReader and StreamWriter as anyone knows them, over flows that outlive connections.

    host = AsyncHost(stack, link)
    reader, writer = await open_connection(host, "198.51.100.2", 443)
    server = await start_server(host, handle, 443)

A link is packets in, packets out: a TUN device, or memory (`tioption.endpoint.memory`). This is the only module of the
endpoint that knows a clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol

from tioption.endpoint import events
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.rtt import SECOND
from tioption.endpoint.stack import Listener, Stack
from tioption.option import Variant
from tioption.packet import Ports

_LIMIT: Final = 1 << 16
_HIGH_WATER: Final = 1 << 16
_LINGER: Final = 60.0
"""Seconds after `close` before a peer that does not end its stream is reset."""


class Link(Protocol):
    """What carries a host's packets."""

    def start(self, receive: Callable[[bytes], None]) -> None:
        """Begin to hand over raw IP packets that arrive."""

    def send(self, packet: bytes) -> None:
        """Take a raw IP packet."""

    def close(self) -> None:
        """Carry nothing more."""


class Positions(NamedTuple):
    """Where a conversation stands, in octets of both streams since their beginning."""

    written: int
    sent: int
    acked: int
    received: int


class AsyncHost:
    """A stack at a link, driven by the running event loop."""

    def __init__(
        self,
        stack: Stack,
        link: Link,
        *,
        epoch: int | None = None,
        observer: Callable[[IsolationBoundary, events.EndpointEvent], object] | None = None,
    ) -> None:
        """Drive `stack` from now on.

        `epoch` is the time in nanoseconds since 1970 at which the loop's clock is zero; `observer` sees every event
        before the application does.
        """
        self.stack = stack
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._epoch = time.time_ns() - round(self._loop.time() * SECOND) if epoch is None else epoch
        self._observer = observer
        self._transports: dict[IsolationBoundary, FlowTransport] = {}
        self._servers: dict[Listener, FlowServer] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self._eventful: dict[IsolationBoundary, None] = {}
        stack.on_events = self._note
        link.start(self._packet)

    @property
    def conversations(self) -> list[IsolationBoundary]:
        """Those that applications have."""
        return list(self._transports)

    @property
    def now(self) -> int:
        """Nanoseconds since 1970, by the loop's clock."""
        return self._epoch + round(self._loop.time() * SECOND)

    def close(self) -> None:
        """Reset what is still open, and let go of the link."""
        for transport in list(self._transports.values()):
            transport.abort()
        self.pump()
        for server in list(self._servers.values()):
            server.close()
        if self._timer is not None:
            self._timer.cancel()
        self._link.close()

    def _note(self, boundary: IsolationBoundary) -> None:
        self._eventful[boundary] = None

    def _packet(self, packet: bytes) -> None:
        self.stack.receive_packet(packet, self.now)
        self.pump()

    def _time(self) -> None:
        self._timer = None
        self.stack.handle_timer(self.now)
        self.pump()

    def pump(self) -> None:
        """Send what is to be sent, tell applications what has happened, set the clock."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._once():
                pass
        finally:
            self._pumping = False
        if self._timer is not None:
            self._timer.cancel()
        following = self.stack.next_timer()
        self._timer = None
        if following is not None:
            self._timer = self._loop.call_at((following - self._epoch) / SECOND + 1e-9, self._time)

    def _once(self) -> bool:
        packets = self.stack.packets_to_send(self.now)
        for packet in packets:
            self._link.send(packet)
        for server in list(self._servers.values()):
            server.accept()
        eventful, self._eventful = self._eventful, {}
        for boundary in eventful:
            transport = self._transports.get(boundary)
            while transport is not None and boundary.events:
                event = boundary.events.popleft()
                if self._observer is not None:
                    self._observer(boundary, event)
                transport.take(event)
        return bool(packets or eventful)

    def attach(self, boundary: IsolationBoundary, protocol: asyncio.StreamReaderProtocol) -> FlowTransport:
        """The transport, in asyncio's sense, of a conversation."""
        transport = FlowTransport(self, boundary, protocol, self._loop)
        self._transports[boundary] = transport
        return transport

    def detach(self, boundary: IsolationBoundary) -> None:
        """The conversation is over."""
        self._transports.pop(boundary, None)

    def serve(self, server: FlowServer) -> None:
        """Accept for a server."""
        self._servers[server.listener] = server

    def unserve(self, server: FlowServer) -> None:
        """Accept no longer."""
        self._servers.pop(server.listener, None)
        self.stack.unlisten(server.listener)


class FlowTransport(asyncio.Transport):
    """A conversation as asyncio's transport; `get_extra_info` knows `flow`, `peername`, `sockname`."""

    def __init__(
        self,
        host: AsyncHost,
        boundary: IsolationBoundary,
        protocol: asyncio.StreamReaderProtocol,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Connect a conversation to a protocol; `opened` is done once the handshake is."""
        super().__init__()
        self.boundary = boundary
        self.opened: asyncio.Future[str] = loop.create_future()
        self._host = host
        self._loop = loop
        self._protocol: asyncio.BaseProtocol = protocol
        self._stream = protocol
        self._backlog = bytearray()
        self._eof = False
        self._closing = False
        self._paused = False
        self._writing_paused = False
        self._lost = False
        self._end_told = False
        self._over = False
        """Whether the conversation is over, and the protocol has not been told because it is still reading."""
        self._linger: asyncio.TimerHandle | None = None

    # What the conversation reports.

    def take(self, event: events.EndpointEvent) -> None:
        """Hand an event on to the protocol."""
        match event:
            case events.Opened(mode):
                self._begin(mode)
            case events.DataReceived():
                self._read()
            case events.Writable():
                self._flush()
            case events.EndReceived():
                self._read()
                self._tell_end()
            case events.Failed(error):
                self._fail(error)
            case events.Closed():
                self._over = True
                self._lose_when_read()
            case _:
                pass

    def _begin(self, mode: str) -> None:
        if not self.opened.done():
            self.opened.set_result(mode)
            self._stream.connection_made(self)

    def begin_accepted(self, mode: str) -> None:
        """Begin a conversation that was accepted."""
        self._begin(mode)
        self._read()

    def _read(self) -> None:
        if self._paused:
            return
        octets = self.boundary.read()
        if octets and not self._closing:
            self._stream.data_received(octets)

    def _tell_end(self) -> None:
        if self.boundary.receive_stream.ended and not self._paused and not self._end_told:
            self._end_told = True
            self._stream.eof_received()

    def _flush(self) -> None:
        if self.boundary.error is not None or self.boundary.send_stream.closed:
            return
        if self._backlog:
            taken = self.boundary.write(bytes(self._backlog))
            del self._backlog[:taken]
        if self._writing_paused and len(self._backlog) <= _HIGH_WATER // 4:
            self._writing_paused = False
            self._stream.resume_writing()
        if self._eof and not self._backlog:
            self.boundary.close()

    def _fail(self, error: OSError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self._host.detach(self.boundary)
            return
        self._read()
        self._lose(None if isinstance(error, ConnectionAbortedError) else error)

    def _lose_when_read(self) -> None:
        if self._over and not self._paused:
            self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if self._lost:
            return
        self._lost = True
        if self._linger is not None:
            self._linger.cancel()
        self._host.detach(self.boundary)
        self._loop.call_soon(self._stream.connection_lost, error)

    # What asyncio asks of a transport.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write to the stream; what there is no room for waits here, and `drain` waits for it."""
        if self._eof:
            raise RuntimeError("expected an open stream, found one that was closed for writing")
        if self.boundary.error is not None or self._lost:
            return
        self._backlog += data
        self._flush()
        if len(self._backlog) > _HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self._stream.pause_writing()
        self._host.pump()

    def write_eof(self) -> None:
        """End the own stream after all that was written."""
        self._eof = True
        self._flush()
        self._host.pump()

    def can_write_eof(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """End the own stream, take nothing more, and forget the conversation once the other side has ended its own."""
        if self._closing or self._lost:
            return
        self._closing = True
        self._paused = False
        self._eof = True
        self._linger = self._loop.call_later(_LINGER, self.abort)
        self._read()
        self._flush()
        self._lose_when_read()
        self._host.pump()

    def abort(self) -> None:
        """Reset the conversation."""
        if not self._lost and self.boundary.error is None:
            self.boundary.abort(self._host.now)
            self._host.pump()

    def is_closing(self) -> bool:
        """Whether `close` was called, or nothing more can be sent."""
        return self._closing or self._lost

    def pause_reading(self) -> None:
        """Leave what arrives unread: the window then closes."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        self._read()
        self._tell_end()
        self._lose_when_read()
        self._host.pump()

    def is_reading(self) -> bool:
        """Whether what arrives is read."""
        return not self._paused and not self._closing

    def get_write_buffer_size(self) -> int:
        """Octets that wait for room in the stream."""
        return len(self._backlog)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol."""
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`flow`: the conversation; `peername`, `sockname`: address and port of the transport in use."""
        ports = self.ports
        if name == "flow":
            return self.boundary
        if ports is not None and name in {"peername", "sockname"}:
            address, port = (ports.destination, ports.dport) if name == "peername" else (ports.source, ports.sport)
            return str(ip_address(address)), port
        return default

    @property
    def ports(self) -> Ports | None:
        """From where to where the transport in use goes."""
        return self._host.stack.ports(self.boundary)

    def resume(self) -> bool:
        """Resume the flow on another transport now; False where there is none or this side may not (RES-18)."""
        resumes = self.boundary.resume(self._host.now)
        self._host.pump()
        return resumes

    def migrate(self, address: str) -> bool:
        """Carry the flow on from another address of this host."""
        migrates = self._host.stack.migrate(self.boundary, address, self._host.now)
        self._host.pump()
        return migrates


class FlowWriter(asyncio.StreamWriter):
    """A StreamWriter that knows its flow."""

    @property
    def flow(self) -> FlowTransport:
        """The transport, in asyncio's sense."""
        transport = self.transport
        assert isinstance(transport, FlowTransport)
        return transport

    @property
    def mode(self) -> str:
        """`flow`, `unconfirmed` or `legacy`."""
        return self.flow.opened.result()

    @property
    def tifid(self) -> str | None:
        """The flow's identifier, 12 hexadecimal digits; None in plain TCP."""
        return self.flow.boundary.tifid

    @property
    def transports(self) -> int:
        """How many TCP connections have carried the conversation so far."""
        return self.flow.boundary.transports

    @property
    def positions(self) -> Positions:
        """Where both streams stand."""
        send, receive = self.flow.boundary.send_stream, self.flow.boundary.receive_stream
        return Positions(send.end, send.sent, send.acked, receive.received)

    def resume(self) -> bool:
        """Resume the flow on another transport now; False where there is none or this side may not (RES-18)."""
        return self.flow.resume()

    def migrate(self, address: str) -> bool:
        """Carry the flow on from another address of this host."""
        return self.flow.migrate(address)


Handler = Callable[[asyncio.StreamReader, FlowWriter], Awaitable[None]]
"""What a server does with each conversation."""


class FlowServer:
    """Accepts conversations at a port, and runs a handler for each."""

    def __init__(self, host: AsyncHost, listener: Listener, handler: Handler, limit: int) -> None:
        """Accept what comes to `listener`."""
        self.listener = listener
        self._host = host
        self._handler = handler
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        host.serve(self)

    def accept(self) -> None:
        """Begin with every conversation that waits."""
        while self.listener.accepted:
            boundary = self.listener.accepted.popleft()
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(self._limit, loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport = self._host.attach(boundary, protocol)
            transport.begin_accepted(_mode(boundary))
            writer = FlowWriter(transport, protocol, reader, loop)
            task = loop.create_task(self._handle(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: FlowWriter) -> None:
        try:
            await self._handler(reader, writer)
        finally:
            if not writer.is_closing():
                writer.close()

    def close(self) -> None:
        """Accept nothing more; what stands goes on."""
        self._host.unserve(self)

    async def wait_closed(self) -> None:
        """Wait until every handler has ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> FlowServer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()


def _mode(boundary: IsolationBoundary) -> str:
    """How an accepted conversation was opened: its event is dropped, for the application never sees it."""
    for event in list(boundary.events):
        if isinstance(event, events.Opened):
            boundary.events.remove(event)
            return event.mode
    raise AssertionError("an accepted conversation was opened")


async def open_connection(
    host: AsyncHost,
    address: str,
    port: int,
    *,
    source: str | None = None,
    variant: Variant = Variant.FLOW_D,
    option: bool = True,
    limit: int = _LIMIT,
) -> tuple[asyncio.StreamReader, FlowWriter]:
    """Open a conversation, like `asyncio.open_connection`.

    With `option` False it is plain TCP. Raises OSError, as sockets do: ConnectionRefusedError, TimeoutError.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    boundary = host.stack.connect(address, port, host.now, source=source, variant=variant, option=option)
    transport = host.attach(boundary, protocol)
    host.pump()
    try:
        await transport.opened
    except asyncio.CancelledError:
        transport.abort()
        raise
    return reader, FlowWriter(transport, protocol, reader, loop)


async def start_server(
    host: AsyncHost,
    handler: Handler,
    port: int,
    address: str | None = None,
    *,
    variant: Variant = Variant.FLOW_D,
    option: bool = True,
    limit: int = _LIMIT,
) -> FlowServer:
    """Accept conversations, like `asyncio.start_server`; raises OSError where the port is taken."""
    return FlowServer(host, host.stack.listen(port, address, variant=variant, option=option), handler, limit)
