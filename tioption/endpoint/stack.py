"""A host: packets in, packets out, and between them listeners, connections, resumes and strangers.

A resume is known by its variant and TIFID before anyone looks at ports (RES-03). What nobody here knows gets a RST, not
too many of them (RES-05), and everything a stranger can make the host keep is bounded (SEC-04).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from ipaddress import ip_address

from tioption.capture.segment import ACK, RST
from tioption.endpoint.admission import Bucket, SourceBuckets
from tioption.endpoint.books import Books
from tioption.endpoint.config import StackConfig
from tioption.endpoint.connection import Connection
from tioption.endpoint.cookies import SynCookies
from tioption.endpoint.icmp import read_icmp
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.log import EventLog
from tioption.endpoint.opening import ActiveOpening, PassiveOpening
from tioption.endpoint.ports import Bound
from tioption.endpoint.state import TcpState
from tioption.endpoint.wire import TcpSegment, read
from tioption.errors import ParseError
from tioption.handshake import (
    Answerer,
    FlowName,
    Handle,
    KeyedAnswers,
    Opener,
    RandomAnswers,
)
from tioption.handshake.values import AnswerValues, RandomBits
from tioption.option import Variant
from tioption.packet import ICMP, ICMP6, TCP, IpPacket, Ports, read_ip
from tioption.seq import SEQ32


class Listener:
    """Where connections are accepted: a port of one address, or of all (address b"")."""

    def __init__(self, address: bytes, port: int, variant: Variant, *, option: bool) -> None:
        """Accept flows of one variant; with `option` False, plain TCP only."""
        self.address = address
        self.port = port
        self.variant = variant
        self.option = option
        self.accepted: deque[IsolationBoundary] = deque()
        """Conversations that stand and that nobody has taken yet."""
        self.half_open: set[IsolationBoundary] = set()
        self.closed = False


class Stack(Books):
    """One host with its addresses."""

    def __init__(
        self,
        addresses: Iterable[str],
        config: StackConfig,
        *,
        bits: RandomBits,
        secret: bytes,
        log: EventLog | None = None,
    ) -> None:
        """Answer for these addresses; all randomness comes from `bits` and `secret` (16 to 64 octets)."""
        super().__init__([ip_address(address).packed for address in addresses], config, bits, secret, log)
        self.dropped = 0
        """Packets that were not for anybody here, or damaged."""
        self._keyed = KeyedAnswers(secret)
        self._listeners: dict[tuple[bytes, int], Listener] = {}
        self._opening: dict[IsolationBoundary, Listener] = {}
        self._resets = Bucket(config.resets)
        self._resumes = SourceBuckets(config.resumes)
        self._cookies = SynCookies(self._numbers, config.connections)

    # What an application wants.

    def connect(
        self,
        address: str,
        port: int,
        now: int,
        *,
        source: str | None = None,
        source_port: int | None = None,
        variant: Variant = Variant.FLOW_D,
        option: bool = True,
    ) -> IsolationBoundary:
        """Open a conversation; with `option` False plain TCP. Raises OSError where no address or port is free."""
        destination = ip_address(address).packed
        local = self._source(destination, ip_address(source).packed if source is not None else None)
        if local is None:
            raise OSError(f"expected an address of the family of {address} on this host, found none")
        boundary = IsolationBoundary(self, self.registry, self.config, variant, self._log)
        ports = self._table.free(local, destination, port, source_port)
        if ports is None:
            raise OSError(f"expected a free port for a connection to {address} port {port}, found none")
        use = option and self.config.enabled
        opener = Opener(self.registry, self._bits, variant, self.paths) if use else None
        connection = self._new(ActiveOpening(opener, None, destination), ports, boundary, now)
        boundary.transport = connection
        connection.open(now)
        self.touch(boundary)
        return boundary

    def listen(
        self, port: int, address: str | None = None, *, variant: Variant = Variant.FLOW_D, option: bool = True
    ) -> Listener:
        """Accept connections at a port of one address, or of all; raises OSError where the port is taken."""
        at = ip_address(address).packed if address is not None else b""
        if (at, port) in self._listeners:
            raise OSError(f"expected a free port, found {port} taken")
        listener = Listener(at, port, variant, option=option)
        self._listeners[at, port] = listener
        return listener

    def unlisten(self, listener: Listener) -> None:
        """Accept nothing more at a port; what stands there goes on."""
        listener.closed = True
        self._listeners.pop((listener.address, listener.port), None)

    def migrate(self, boundary: IsolationBoundary, address: str, now: int) -> bool:
        """Carry a flow on from another address of this host; False where it may not (RES-18)."""
        self._preferred[boundary] = ip_address(address).packed
        return boundary.resume(now, f"migrated to {address}")

    def add_address(self, address: str, now: int) -> None:
        """The host has another address: flows that wait to be resumed try from there at once."""
        self.addresses.append(ip_address(address).packed)
        for boundary in self._flows.values():
            boundary.retry(now)
            self.touch(boundary)

    def remove_address(self, address: str, now: int) -> None:
        """The host has lost an address: flows on it are resumed from another (RES-19)."""
        lost = ip_address(address).packed
        self.addresses.remove(lost)
        for bound in self._table:
            if bound.ports.source == lost and bound.connection is bound.boundary.transport:
                bound.boundary.unreachable(now, f"address {address} lost", hard=False)
                self.touch(bound.boundary)

    # Packets in.

    def receive_packet(self, packet: bytes, now: int) -> None:
        """Take an IP packet; what is damaged, or for nobody here, is dropped."""
        try:
            ip = read_ip(packet)
            if ip.destination not in self.addresses:
                raise ParseError("a packet to this host", ip.destination.hex())
            if ip.protocol == TCP:
                ports, segment = read(ip.source, ip.destination, ip.payload, self.config.kinds)
                self._segment(ports.back, segment, now)
            elif ip.protocol in (ICMP, ICMP6):
                self._icmp(ip, now)
        except ParseError as error:
            self.dropped += 1
            self._log.record(now, "packet:dropped", why=str(error))

    def _segment(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        """A segment of the host at the other end of `ports`, seen from here."""
        if segment.syn and not segment.has_ack and not segment.rst:
            self._syn(ports, segment, now)
        elif (bound := self._table.receiver(ports, segment)) is not None:
            self._hand_over(bound, segment, now)
        elif not self._cookie(ports, segment, now):
            self._reset(ports, segment, now)

    def _hand_over(self, bound: Bound, segment: TcpSegment, now: int) -> None:
        if bound.connection in bound.boundary.pending:
            bound.boundary.update_flow()  # the old transport may have gone on since the SYN
        bound.connection.receive_segment(segment, now)
        self._process(bound.boundary, now)

    def _syn(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        bounds = self._table.at(ports)
        for bound in bounds:
            connection = bound.connection
            if connection.state is TcpState.SYN_SENT or connection.receiver.irs == segment.seq:
                self._hand_over(bound, segment, now)  # a simultaneous open, or the SYN once more
                return
        option = segment.option
        if self.config.enabled and option is not None and option.tifid.second:
            self._resume(ports, segment, now)
            return
        listener = self._listener(ports)
        for bound in bounds:
            connection = bound.connection
            renewed = connection.state is TcpState.TIME_WAIT and connection.receiver.offset(segment.seq) > (
                connection.receiver.nxt
            )
            if listener is None or not renewed:
                self._hand_over(bound, segment, now)  # a challenge ACK (RFC 5961 §4)
                return
            connection.drop()  # RFC 9293 §3.10.7.4: a new incarnation
            self.forget(connection)
        if listener is None:
            self._reset(ports, segment, now)
        else:
            self._accept(listener, ports, segment, now)

    def _listener(self, ports: Ports) -> Listener | None:
        return self._listeners.get((ports.source, ports.sport)) or self._listeners.get((b"", ports.sport))

    def _resume(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        """A SYN with a complete TIFID (RES-03 … RES-05)."""
        option = segment.option
        assert option is not None
        if not self._resumes.take(ports.destination, now):
            return
        name = FlowName(option.variant, option.tifid)
        boundary = self._flows.get(name)
        if boundary is None or self.registry.find(name, now) is None or len(self._table) >= self.config.connections:
            self._log.record(now, "resume:unknown", tifid=str(option.tifid))
            self._reset(ports, segment, now)
            return
        boundary.update_flow()
        answerer = Answerer(self.registry, RandomAnswers(self._bits))
        opening = PassiveOpening(answerer, _handle(ports, segment))
        connection = self._new(opening, ports, boundary, now)
        connection.receive_segment(segment, now)
        if connection.state is TcpState.CLOSED:
            self._log.record(now, "resume:refused", tifid=str(option.tifid), offer=str(option))
            connection.drop()
            self.forget(connection)
            self._reset(ports, segment, now)
            return
        boundary.add_pending(connection)
        self._process(boundary, now)

    def _accept(self, listener: Listener, ports: Ports, segment: TcpSegment, now: int) -> None:
        """A SYN of a new conversation."""
        if len(listener.half_open) >= self.config.backlog or len(self._table) >= self.config.connections:
            self._answer_statelessly(listener, ports, segment, now)
            return
        answerer = self._answerer(listener, segment, RandomAnswers(self._bits))
        boundary = IsolationBoundary(self, self.registry, self.config, listener.variant, self._log)
        connection = self._new(PassiveOpening(answerer, _handle(ports, segment)), ports, boundary, now)
        self._half_open(listener, boundary, connection)
        connection.receive_segment(segment, now)
        self._process(boundary, now)

    def _answerer(self, listener: Listener, syn: TcpSegment, values: AnswerValues) -> Answerer:
        wanted = syn.option is None or syn.option.variant is listener.variant
        return Answerer(self.registry, values, enabled=self.config.enabled and listener.option and wanted)

    def _half_open(self, listener: Listener, boundary: IsolationBoundary, connection: Connection) -> None:
        boundary.transport = connection
        listener.half_open.add(boundary)
        self._opening[boundary] = listener

    # Answers that keep nothing (EST-16).

    def _answer_statelessly(self, listener: Listener, ports: Ports, syn: TcpSegment, now: int) -> None:
        iss = self._cookies.isn(ports, syn, now)
        if iss is None:
            return
        connection, _ = self._unbound(listener, ports, syn, iss)
        connection.receive_segment(syn, now)
        for segment in connection.segments_to_send(now):
            stamps = segment.timestamps
            if stamps is not None:
                stamps = self._cookies.stamp(stamps[0], syn), stamps[1]
            self._emit(ports, segment._replace(timestamps=stamps))

    def _unbound(
        self, listener: Listener, ports: Ports, syn: TcpSegment, iss: int
    ) -> tuple[Connection, IsolationBoundary]:
        """An answering connection of a conversation that nobody knows yet."""
        answerer = self._answerer(listener, syn, self._keyed)
        boundary = IsolationBoundary(self, self.registry, self.config, listener.variant, self._log)
        return self._connection(PassiveOpening(answerer, _handle(ports, syn)), ports, boundary, iss), boundary

    def _cookie(self, ports: Ports, ack: TcpSegment, now: int) -> bool:
        """Whether a segment for nobody completes a handshake that was answered without keeping anything."""
        listener = self._listener(ports)
        if listener is None or not ack.has_ack or ack.syn or ack.rst or len(self._table) >= self.config.connections:
            return False
        syn = self._cookies.syn(ports, ack, now)
        if syn is None:
            return False
        self._cookies.came_back(ports, ack, now)
        connection, boundary = self._unbound(listener, ports, syn, SEQ32.add(ack.ack, -1))
        connection.receive_segment(syn, now)
        connection.segments_to_send(now)  # the SYN-ACK, which was sent long ago
        self._bind(connection, ports, boundary)
        self._half_open(listener, boundary, connection)
        connection.receive_segment(ack, now)
        self._process(boundary, now)
        return True

    def _process(self, boundary: IsolationBoundary, now: int) -> None:
        super()._process(boundary, now)
        listener = self._opening.get(boundary)
        if listener is not None and (boundary.opened or boundary.error is not None):
            del self._opening[boundary]
            listener.half_open.discard(boundary)
            if boundary.opened and boundary.error is None:
                listener.accepted.append(boundary)

    # Strangers and ICMP.

    def _reset(self, ports: Ports, segment: TcpSegment, now: int) -> None:
        """Refuse a segment for nobody (RFC 9293 §3.10.7.1), not too often (RES-05)."""
        if segment.rst or not self._resets.take(now):
            return
        if segment.has_ack:
            self._emit(ports, TcpSegment(segment.ack, 0, RST, 0))
        else:
            self._emit(ports, TcpSegment(0, SEQ32.add(segment.seq, segment.length), RST | ACK, 0))

    def _icmp(self, packet: IpPacket, now: int) -> None:
        complaint = read_icmp(packet)
        if complaint is None:
            return
        for bound in self._table.at(complaint.ports):
            connection, boundary = bound.connection, bound.boundary
            if not connection.quotes(complaint.seq):
                continue
            if complaint.mtu is not None:
                connection.packet_too_big(complaint.mtu, complaint.seq)
            elif connection is boundary.transport:
                boundary.unreachable(now, complaint.what, hard=complaint.hard)
            self._process(boundary, now)


def _handle(ports: Ports, syn: TcpSegment) -> Handle:
    """What the answerer knows of a SYN beside its option."""
    addresses = ports.source + ports.destination + ports.sport.to_bytes(2, "big") + ports.dport.to_bytes(2, "big")
    return Handle(addresses, syn.seq)
