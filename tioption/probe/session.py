"""The probe of one target, without a clock and without a socket: attempts, and the steps that wait for them.

What is tried in which order stands in `experiments`, as generators that send through a session and yield what they wait
for. The session counts what it sends, hands arriving packets to the attempt they are for, and ends on time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from tioption.capture.segment import RST
from tioption.endpoint.rtt import MS, SECOND
from tioption.errors import ParseError
from tioption.handshake.values import RandomBits
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Variant
from tioption.packet import ICMP, ICMP6, TCP, IpPacket, Ports, read_tcp
from tioption.probe.attempt import Attempt
from tioption.probe.observed import Answer, TargetSeen
from tioption.probe.quotes import read_quote

_T = TypeVar("_T")

PortSource = Callable[[int], int]
"""The local port of a target's so manieth connection; raises OSError where there is none."""


class Wait(NamedTuple):
    """What an experiment waits for: a time in nanoseconds, or something that happens before."""

    until: int
    happened: Callable[[], bool]


Steps = Generator[Wait, None, _T]
"""An experiment; what it returns is what was seen."""


class OutOfTimeError(Exception):
    """The time that the target was given is up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a target is probed; times in nanoseconds."""

    variants: tuple[Variant, ...] = (Variant.FLOW_D, Variant.FLOW_C)
    kinds: Kinds = DEFAULT_KINDS
    hops: int = 12
    """How many hops are asked what they see; 0: none."""
    silent: int = 4
    """After how many hops in a row without an answer no more are asked."""
    waits: tuple[int, ...] = (1 * SECOND, 1 * SECOND, 2 * SECOND)
    """How long each transmission of a SYN waits for an answer; there are as many transmissions as waits, and as many of
    a third ACK whose option does not seem to arrive."""
    settle: int = 50 * MS
    """How long a third ACK gets to arrive, at the least; a round trip where that is longer."""
    timeout: int = 60 * SECOND
    """What a target gets in all."""

    @property
    def most_packets(self) -> int:
        """How many packets a target is sent at most."""
        sends = len(self.waits)
        plain = sends + 1
        speaking = sends + sends * (1 + sends + 1) + 1  # SYN, third ACKs with a resume and its end each, the end
        silent = sends + 2 * (sends + 1) + self.hops + 1  # SYN; control again, unknown flow, hops with their ends
        return plain + len(self.variants) * max(speaking, silent) + STRAYS


STRAYS: Final = 8
"""RSTs to segments that come when their connection is over, at most."""


@dataclass
class Session:
    """One target: a port of an address, probed from another address."""

    address: bytes
    port: int
    source: bytes
    settings: Settings
    bits: RandomBits
    claim: PortSource
    now: int = 0
    packets: int = 0
    """How many were sent."""
    outbox: list[bytes] = field(default_factory=list)
    result: TargetSeen | None = None
    """What was seen, once it is over."""
    _attempts: dict[int, Attempt] = field(default_factory=dict)
    _strays: int = STRAYS
    _steps: Steps[TargetSeen] | None = None
    _wait: Wait | None = None
    _deadline: int = 0
    _begin: int = 0

    # For whoever carries packets and knows the time.

    def start(self, steps: Steps[TargetSeen], now: int) -> None:
        """Begin."""
        self._steps, self._begin, self._deadline = steps, now, now + self.settings.timeout
        self.now = now
        self._step(lambda: next(steps))
        self.advance(now)

    def advance(self, now: int) -> None:
        """Do what is due, or was waited for and has happened."""
        self.now = now
        while self._steps is not None and self._wait is not None and self.result is None:
            steps = self._steps
            if now >= self._deadline:
                self._step(lambda: steps.throw(OutOfTimeError()))  # noqa: B023  called at once
            elif now >= self._wait.until or self._wait.happened():
                self._step(lambda: next(steps))  # noqa: B023
            else:
                return

    def _step(self, step: Callable[[], Wait]) -> None:
        try:
            self._wait = step()
        except StopIteration as stop:
            self._wait = None
            self.result = stop.value

    @property
    def timer(self) -> int | None:
        """When `advance` has to be called; None where it is over."""
        return None if self._wait is None else min(self._wait.until, self._deadline)

    @property
    def duration(self) -> int:
        """Nanoseconds since the beginning."""
        return self.now - self._begin

    def receive(self, packet: IpPacket, now: int) -> bool:
        """Take a packet; whether it was for one of the attempts here."""
        if packet.protocol in (ICMP, ICMP6):
            return self._icmp(packet, now)
        if packet.protocol != TCP or packet.source != self.address or packet.destination != self.source:
            return False
        try:
            ports, header, _ = read_tcp(packet.source, packet.destination, packet.payload)
        except ParseError:
            return False
        attempt = self._attempts.get(ports.dport)
        if attempt is None or ports.sport != self.port:
            return False
        if attempt.over and not header.flags & RST and self._strays:
            self._strays -= 1
            self.send(attempt.reset())
        attempt.receive(header, now)
        self.advance(now)
        return True

    def _icmp(self, packet: IpPacket, now: int) -> bool:
        quote = read_quote(packet)
        if quote is None or packet.destination != self.source:
            return False
        ports = quote.ports
        attempt = self._attempts.get(ports.sport)
        if attempt is None or (ports.source, ports.destination, ports.dport) != (self.source, self.address, self.port):
            return False
        attempt.complain(quote, now)
        self.advance(now)
        return True

    # For the experiments.

    def attempt(self, option: FlowOption | None = None) -> Attempt:
        """A connection that has not begun, from a port of its own; raises OutOfTimeError where it is too late."""
        if self.now >= self._deadline:
            raise OutOfTimeError
        ports = Ports(self.source, self.claim(len(self._attempts)), self.address, self.port)
        made = Attempt(ports, self.bits(32), self.bits(31), option, self.settings.kinds)
        self._attempts[ports.sport] = made
        return made

    def send(self, packet: bytes) -> None:
        """Send a packet."""
        self.packets += 1
        self.outbox.append(packet)

    def wait(self, duration: int, happened: Callable[[], bool] = lambda: False) -> Steps[None]:
        """Let so many nanoseconds pass, fewer where something happens before."""
        yield Wait(self.now + duration, happened)

    def end(self, attempt: Attempt) -> None:
        """End a connection, by RST where it stands or is half open; what comes for it later gets a RST, too."""
        if attempt.answer is Answer.SYN_ACK and not attempt.over:
            self.send(attempt.reset())
        attempt.over = True

    def end_all(self) -> None:
        """End what an experiment that ran out of time has left."""
        for attempt in self._attempts.values():
            self.end(attempt)
