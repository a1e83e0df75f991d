"""Two hosts and a path for tests: the opener at A, the answerer at B, applications that say what they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tioption.endpoint.config import FlowConfig, StackConfig, TcpConfig
from tioption.endpoint.events import EndpointEvent
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import Middlebox, Network, Way
from tioption.endpoint.log import EventLog
from tioption.endpoint.rtt import MS, SECOND
from tioption.endpoint.stack import Stack
from tioption.endpoint.wire import TcpSegment, read, write
from tioption.option import FlowOption, Variant
from tioption.packet import Ports, read_ip, write_ip

A, A2, B = "192.0.2.1", "192.0.2.9", "198.51.100.2"
CONFIG = StackConfig(enabled=True)


class Silent:
    """A host that never says anything."""

    def packets_to_send(self, now: int) -> list[bytes]:
        return []

    def receive_packet(self, packet: bytes, now: int) -> None:
        pass

    def next_timer(self) -> int | None:
        return None

    def handle_timer(self, now: int) -> None:
        pass


class Path:
    """A middlebox that a test tells what to do, segment by segment; it does nothing by itself."""

    def __init__(self) -> None:
        self.rule: Callable[[TcpSegment, Way], TcpSegment | None] = lambda segment, _way: segment
        self.seen: list[tuple[Way, Ports, TcpSegment]] = []

    def process(self, packet: bytes, way: Way, now_ns: int) -> Sequence[tuple[int, Way, bytes]]:
        ip = read_ip(packet)
        ports, segment = read(ip.source, ip.destination, ip.payload)
        self.seen.append((way, ports, segment))
        passed = self.rule(segment, way)
        return [] if passed is None else [(0, way, write_ip(ip.source, ip.destination, write(ports, passed)))]

    def loses(self, way: Way | None = None, flags: int | None = None, count: int = 1 << 30) -> None:
        """Lose the next so many segments of a way, or those whose flags are exactly these."""
        left = [count]

        def rule(segment: TcpSegment, passing: Way) -> TcpSegment | None:
            if left[0] and way in {None, passing} and flags in {None, segment.flags}:
                left[0] -= 1
                return None
            return segment

        self.rule = rule

    def passes(self) -> None:
        self.rule = lambda segment, _way: segment


class Hosts:
    """Two hosts, 10 ms apart, with a `Path` between them and whatever else is asked for."""

    def __init__(
        self,
        *,
        a: StackConfig = CONFIG,
        b: StackConfig = CONFIG,
        boxes: Sequence[Middlebox] = (),
        port: int = 443,
        variant: Variant = Variant.FLOW_D,
        listen: bool = True,
        log: Callable[[str], object] | None = None,
    ) -> None:
        random = Random(7)
        secrets = random.randbytes(16), random.randbytes(16)
        self.a = Stack([A, A2], a, bits=random.getrandbits, secret=secrets[0], log=EventLog(log, "a"))
        self.b = Stack([B], b, bits=random.getrandbits, secret=secrets[1], log=EventLog(log, "b"))
        self.path = Path()
        self.network = Network(self.a, self.b, [self.path, *boxes])
        self.listener = self.b.listen(port, variant=variant) if listen else None
        self.at_a: IsolationBoundary | None = None
        self.accepted: list[IsolationBoundary] = []
        self.received: dict[IsolationBoundary, bytearray] = {}
        self.events: dict[IsolationBoundary, list[EndpointEvent]] = {}
        self.reading = True
        self.network.after_step = self._act

    def _act(self) -> None:
        if self.listener is not None:
            self.accepted += self.listener.accepted
            self.listener.accepted.clear()
        for boundary in [one for one in (self.at_a, *self.accepted) if one is not None]:
            self.events.setdefault(boundary, []).extend(boundary.events)
            boundary.events.clear()
            if self.reading and boundary.receive_stream.unread:
                self.received.setdefault(boundary, bytearray()).extend(boundary.read())

    @property
    def now(self) -> int:
        return self.network.now

    @property
    def at_b(self) -> IsolationBoundary:
        return self.accepted[0]

    def connect(self, **options: Any) -> IsolationBoundary:
        """Open a conversation and let the handshake happen."""
        self.at_a = self.a.connect(B, 443, self.now, **options)
        self.run(100)
        return self.at_a

    def run(self, ms: int) -> None:
        """Let time pass."""
        self.network.run(self.now + ms * MS)

    def seconds(self, count: int) -> None:
        self.network.run(self.now + count * SECOND)

    def told(self, boundary: IsolationBoundary, kind: type) -> list[Any]:
        """The events of one kind that an application was told."""
        return [event for event in self.events.get(boundary, []) if isinstance(event, kind)]

    def read(self, boundary: IsolationBoundary) -> bytes:
        return bytes(self.received.get(boundary, b""))

    def options(self, way: Way) -> list[FlowOption]:
        """The flow options that passed the path."""
        return [
            segment.option for passing, _, segment in self.path.seen if passing == way and segment.option is not None
        ]


def config(*, tcp: TcpConfig | None = None, flow: FlowConfig | None = None, **changes: Any) -> StackConfig:
    """The usual configuration with some changes."""
    return replace(CONFIG, tcp=tcp or CONFIG.tcp, flow=flow or CONFIG.flow, **changes)
