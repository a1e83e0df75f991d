"""What a host keeps: its connections at their ports, the conversations they belong to, the timers of both.

Packets are taken in by `Stack`; here they go out, and time passes.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from ipaddress import ip_address

from tioption.endpoint.config import StackConfig
from tioption.endpoint.connection import Connection
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.log import EventLog
from tioption.endpoint.numbers import Numbers
from tioption.endpoint.opening import ActiveOpening, PassiveOpening
from tioption.endpoint.ports import PortTable
from tioption.endpoint.wire import TcpSegment, write
from tioption.handshake import FlowName, FlowRegistry, Opener, PathMemory
from tioption.handshake.values import RandomBits
from tioption.packet import Ports, write_ip


class Agenda:
    """When each conversation has to be woken; one may be woken too early, never too late."""

    def __init__(self) -> None:
        """Nothing is due."""
        self._heap: list[tuple[int, int, IsolationBoundary]] = []
        self._armed: dict[IsolationBoundary, int] = {}
        self._count = 0

    def arm(self, boundary: IsolationBoundary, deadline: int) -> None:
        """Wake a conversation at a time or before."""
        armed = self._armed.get(boundary)
        if armed is None or deadline < armed:
            self._armed[boundary] = deadline
            self._count += 1
            heappush(self._heap, (deadline, self._count, boundary))

    def forget(self, boundary: IsolationBoundary) -> None:
        """Wake it no more."""
        self._armed.pop(boundary, None)

    @property
    def next(self) -> int | None:
        """When the next one is due."""
        heap = self._heap
        while heap and self._armed.get(heap[0][2]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def take(self, now: int) -> IsolationBoundary | None:
        """One that is due now."""
        due = self.next
        if due is None or due > now:
            return None
        boundary = heappop(self._heap)[2]
        del self._armed[boundary]
        return boundary


class Books:
    """The connections and conversations of one host."""

    def __init__(
        self, addresses: list[bytes], config: StackConfig, bits: RandomBits, secret: bytes, log: EventLog | None
    ) -> None:
        """A host without connections."""
        self.config = config
        self.addresses = addresses
        self.registry = FlowRegistry(config.limits)
        self.paths = PathMemory()
        self.on_events: Callable[[IsolationBoundary], object] | None = None
        """Called with every conversation that has something to tell."""
        self.route: Callable[[bytes], bytes | None] = lambda _destination: None
        """The own address to reach a destination from, where the host's addresses alone do not say."""
        self._bits = bits
        self._numbers = Numbers(secret)
        self._log = log or EventLog()
        self._table = PortTable(bits)
        self._flows: dict[FlowName, IsolationBoundary] = {}
        self._preferred: dict[IsolationBoundary, bytes] = {}
        self._peers: dict[IsolationBoundary, Ports] = {}
        self._touched: dict[IsolationBoundary, None] = {}
        self._dormant: dict[IsolationBoundary, None] = {}
        self._agenda = Agenda()
        self._out: list[bytes] = []
        self._count = 0

    def ports(self, boundary: IsolationBoundary) -> Ports | None:
        """From where to where the conversation's latest transport goes."""
        return self._peers.get(boundary)

    @property
    def connections(self) -> int:
        """Transports there are, in whatever state."""
        return len(self._table)

    # What a boundary wants of its host.

    def touch(self, boundary: IsolationBoundary) -> None:
        """Something has changed: there may be something to send, and timers to set."""
        self._touched[boundary] = None

    def dial(self, boundary: IsolationBoundary, now: int) -> Connection | None:
        """Begin a transport that resumes the boundary's flow, from a fresh port (RES-12)."""
        old = self._peers[boundary]
        local = self._source(old.destination, self._preferred.get(boundary, old.source))
        ports = self._table.free(local, old.destination, old.dport, None) if local is not None else None
        if ports is None or boundary.flow is None:
            return None
        opener = Opener(self.registry, self._bits, boundary.variant, self.paths)
        connection = self._new(ActiveOpening(opener, boundary.flow), ports, boundary, now)
        connection.open(now)
        return connection

    def forget(self, connection: Connection) -> None:
        """The transport is gone: its ports are free."""
        self._table.release(connection)

    def _source(self, destination: bytes, wanted: bytes | None) -> bytes | None:
        """An own address of the destination's family: the one wanted where it is there, or where the route begins."""
        family = [address for address in self.addresses if len(address) == len(destination)]
        if wanted not in family:
            wanted = self.route(destination)
        if wanted in family:
            return wanted
        return family[0] if family else None

    def _new(
        self, opening: ActiveOpening | PassiveOpening, ports: Ports, boundary: IsolationBoundary, now: int
    ) -> Connection:
        connection = self._connection(opening, ports, boundary, self._numbers.isn(ports, now))
        self._bind(connection, ports, boundary)
        return connection

    def _connection(
        self, opening: ActiveOpening | PassiveOpening, ports: Ports, boundary: IsolationBoundary, iss: int
    ) -> Connection:
        return Connection(
            opening,
            iss,
            boundary.send_stream,
            boundary.receive_stream,
            self.config.tcp,
            headers=20 + (20 if len(ports.source) == 4 else 40),
            clock_offset=self._numbers.clock_offset(ports),
            counts=boundary.counts,
            log=self._log,
            name=_name(ports) if self._log else "",
        )

    def _bind(self, connection: Connection, ports: Ports, boundary: IsolationBoundary) -> None:
        self._table.bind(connection, ports, boundary)
        self._peers.setdefault(boundary, ports)

    # Packets out, and time.

    def packets_to_send(self, now: int) -> list[bytes]:
        """Everything that is to be sent now."""
        while self._touched:
            boundary, _ = self._touched.popitem()
            self._process(boundary, now)
            for connection in boundary.connections():
                bound = self._table.of(connection)
                for segment in connection.segments_to_send(now):
                    if bound is not None:
                        self._emit(bound.ports, segment)
            boundary.reap()
            self._touched.pop(boundary, None)
            self._settle(boundary)
        out, self._out = self._out, []
        return out

    def _emit(self, ports: Ports, segment: TcpSegment) -> None:
        if ports.source not in self.addresses:
            return  # the address was lost
        octets = write(ports, segment, self.config.kinds)
        self._count += 1
        self._out.append(
            write_ip(ports.source, ports.destination, octets, ttl=self.config.ttl, identification=self._count & 0xFFFF)
        )

    def _process(self, boundary: IsolationBoundary, now: int) -> None:
        """Let a conversation take in what its transports report, and keep the books."""
        boundary.process(now)
        self.touch(boundary)
        if boundary.flow is not None and boundary.error is None:
            self._flows.setdefault(boundary.flow.name, boundary)
        bound = self._table.of(boundary.transport)
        if bound is not None:
            self._peers[boundary] = bound.ports
        if boundary.events and self.on_events is not None:
            self.on_events(boundary)
        self._bound_retention(boundary, now)

    def _bound_retention(self, boundary: IsolationBoundary, now: int) -> None:
        """Flows without a transport retain so much together and no more (SEC-04)."""
        flow = boundary.flow
        if flow is None or flow.dormant_since is None or boundary.error is not None:
            self._dormant.pop(boundary, None)
        elif boundary not in self._dormant:
            self._dormant[boundary] = None
            retained = sum(one.send_stream.retained for one in self._dormant)
            while retained > self.config.retained:
                oldest = next(iter(self._dormant))
                retained -= oldest.send_stream.retained
                del self._dormant[oldest]
                oldest.expire(now, "too much is retained for flows that wait")
                self.touch(oldest)

    def _settle(self, boundary: IsolationBoundary) -> None:
        """Set the timer of a conversation, or forget it where it is over."""
        if boundary.over:
            self._peers.pop(boundary, None)
            self._preferred.pop(boundary, None)
            self._dormant.pop(boundary, None)
            self._agenda.forget(boundary)
            if boundary.flow is not None and self._flows.get(boundary.flow.name) is boundary:
                del self._flows[boundary.flow.name]
            return
        times = [boundary.next_timer(), *(one.next_timer() for one in boundary.connections())]
        deadline = min((time for time in times if time is not None), default=None)
        if deadline is not None:
            self._agenda.arm(boundary, deadline)

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called, None as long as nothing depends on time."""
        return self._agenda.next

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        while (boundary := self._agenda.take(now)) is not None:
            for connection in boundary.connections():
                connection.handle_timer(now)
            self._process(boundary, now)
            boundary.handle_timer(now)
            self._process(boundary, now)


def _name(ports: Ports) -> str:
    """Ports as people write them."""
    return f"{ip_address(ports.source)}.{ports.sport} > {ip_address(ports.destination)}.{ports.dport}"
