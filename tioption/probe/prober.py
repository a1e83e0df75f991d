"""Targets probed side by side, as a host (`tioption.network.Host`): packets and times in, packets and findings out.

Ports of one address are probed one after another, different addresses at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import Final, NamedTuple

from tioption.errors import ParseError
from tioption.handshake.values import RandomBits
from tioption.packet import read_ip
from tioption.probe.experiments import probe_target
from tioption.probe.observed import TargetSeen
from tioption.probe.session import Session, Settings

_AT_ONCE: Final = 16
"""Addresses probed at the same time."""


class Target(NamedTuple):
    """A port of an address, and the address of this host that reaches it; both in text."""

    address: str
    port: int
    source: str


class Prober:
    """Probes targets; `results` has what was seen, in their order, as far as it is known."""

    def __init__(
        self, targets: Iterable[Target], settings: Settings, *, bits: RandomBits, claim: Callable[[bytes], int]
    ) -> None:
        """Draw all that is random from `bits`; `claim` gives a port of a local address that nobody else uses.

        Different targets share local ports: a handful of them is enough for any number of targets.
        """
        self._claim = claim
        self._ports: dict[bytes, list[int]] = {}
        self._sessions = []
        for one in targets:
            source = ip_address(one.source).packed
            ports = partial(self._port, source)
            session = Session(ip_address(one.address).packed, one.port, source, settings, bits, ports)
            self._sessions.append(session)
        self._waiting: dict[bytes, list[Session]] = {}
        for session in self._sessions:
            self._waiting.setdefault(session.address, []).append(session)
        self._running: dict[bytes, Session] = {}
        self._over: list[Session] = []

    def _port(self, source: bytes, number: int) -> int:
        """The local port of a target's connection of this number, counted from 0."""
        ports = self._ports.setdefault(source, [])
        while len(ports) <= number:
            ports.append(self._claim(source))
        return ports[number]

    @property
    def results(self) -> list[TargetSeen | None]:
        """What was seen of each target, None where it is not over."""
        return [session.result for session in self._sessions]

    @property
    def done(self) -> bool:
        """Whether all targets were probed."""
        return all(session.result is not None for session in self._sessions)

    def packets_to_send(self, now: int) -> list[bytes]:
        """What is to be sent now."""
        self._begin(now)
        packets = []
        for session in self._sessions:
            packets += session.outbox
            session.outbox.clear()
        return packets

    def receive_packet(self, packet: bytes, now: int) -> None:
        """Take a packet; what is damaged, or about nothing that was sent, is dropped."""
        try:
            ip = read_ip(packet)
        except ParseError:
            return
        for session in (*self._running.values(), *self._over):
            if session.receive(ip, now):
                return

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called."""
        timers = [session.timer for session in self._running.values()]
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Do what is due, and begin with the next targets where others are over."""
        for session in self._running.values():
            session.advance(now)
        self._begin(now)

    def _begin(self, now: int) -> None:
        for address, session in list(self._running.items()):
            if session.result is not None:
                self._over.append(self._running.pop(address))
        for address, waiting in self._waiting.items():
            if waiting and address not in self._running and len(self._running) < _AT_ONCE:
                session = self._running[address] = waiting.pop(0)
                session.start(probe_target(session), now)
