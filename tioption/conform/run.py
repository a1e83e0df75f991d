"""All checks against one host, side by side: a `Host` of `tioption.network` that knows neither clock nor socket.

First it is found out what the host can do at all; then the checks begin one after another, a few at once, for they
take ports and flows of their own; those that have to be alone come last. After each check its connections are reset.
One that does not pass is done once more, for a path may lose just what it rests on: what is said of a host was seen
twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from tioption.conform.case import Case, Facts, Script, Setting, disagreement
from tioption.conform.outcome import Failed, NotApplicable, Result, Unreachable, Verdict
from tioption.conform.registry import Check
from tioption.conform.transport import Arrival, Transport
from tioption.endpoint.rtt import SECOND
from tioption.endpoint.wire import understood
from tioption.errors import ParseError
from tioption.option import walk
from tioption.packet import TCP, read_ip, read_tcp, write_ip

_AT_ONCE: Final = 8
_PACE: Final = 120_000_000
"""Between the beginnings of two checks: a host may limit the resumes of one address (SEC-04)."""
_MOST_PACKETS: Final = 4_000
"""Packets of one check: a host that floods us is not listened to any further."""
_TRIES: Final = 2
_GREETING: Final = b"tiopt conform\n"


class _Running:
    """A script under way."""

    def __init__(self, check: Check | None, case: Case, script: Script[None], tries: int) -> None:
        """`check` is None for the reconnaissance; `tries` says how often it has been begun."""
        self.check = check
        self.case = case
        self.script = script
        self.tries = tries
        self.due = 0
        self.stirred = True
        """Whether something has arrived that it has not seen."""
        self.packets: list[tuple[int, bytes]] = []


class Run:
    """A run of checks; a `Host` of tioption.network."""

    def __init__(
        self, setting: Setting, checks: Iterable[Check], on_result: Callable[[Result], object] | None = None
    ) -> None:
        """Run these checks in a setting; `on_result` is called with each result as soon as there is one."""
        self.setting = setting
        self.results: list[Result] = []
        """What has become of the checks, in the order in which they ended."""
        self.unreachable: Unreachable | None = None
        """Why nothing can be said, where that is so."""
        self._way = ip_address(setting.remote).packed, ip_address(setting.local).packed
        chosen = list(checks)
        self._together = deque(check for check in chosen if not check.alone)
        self._alone = deque(check for check in chosen if check.alone)
        self._on_result = on_result
        self._running: list[_Running] = []
        self._ports: dict[int, tuple[_Running, Transport]] = {}
        self._out: list[bytes] = []
        self._next_begin = 0
        self._reconnoitred = False
        self._now = 0
        self._count = 0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do, and nothing to send."""
        over = self._reconnoitred and not (self._together or self._alone)
        return (over or self.unreachable is not None) and not self._running and not self._out

    # The host's side.

    def packets_to_send(self, now: int) -> list[bytes]:
        """What is to be sent now."""
        self._go_on(now)
        out, self._out = self._out, []
        return out

    def receive_packet(self, packet: bytes, now: int) -> None:
        """Take a packet; what is damaged, or of no connection of ours, is nothing to us."""
        try:
            ip = read_ip(packet)
            if ip.protocol != TCP or (ip.source, ip.destination) != self._way:
                return
            ports, header, payload = read_tcp(ip.source, ip.destination, ip.payload)
        except ParseError:
            return
        running, transport = self._ports.get(ports.dport, (None, None))
        if running is None or transport is None or len(running.packets) >= _MOST_PACKETS:
            return
        self._now = now
        running.packets.append((now, packet))
        running.case.advance(now)
        running.stirred = True
        kinds = self.setting.kinds
        arrival = Arrival(understood(header, payload, kinds), tuple(walk(header.options, None, kinds)))
        if ports.sport == self.setting.port:
            transport.take(arrival)
        else:
            running.case.strangers.append(arrival)

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called."""
        if self.done:
            return None
        times = [running.due for running in self._running]
        if self._may_begin:
            times.append(self._next_begin)
        return min(times, default=self._now)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        self._go_on(now)

    # Scripts.

    @property
    def _may_begin(self) -> bool:
        if not self._reconnoitred or self.unreachable is not None:
            return False
        if self._together:
            return len(self._running) < _AT_ONCE
        return bool(self._alone) and not self._running

    def _go_on(self, now: int) -> None:
        self._now = now
        if not self._reconnoitred and not self._running:
            self._begin(None, now)
        for running in list(self._running):
            if running.stirred or now >= running.due:
                self._step(running, now)
        while self._may_begin and now >= self._next_begin:
            self._begin((self._together or self._alone).popleft(), now)

    def _begin(self, check: Check | None, now: int, tries: int = 1) -> None:
        if check is not None:
            obstacle = check.obstacle(self.setting.facts, self.setting.variant)
            if obstacle:
                self._conclude(Result(check.rule, check.title, Verdict.NOT_APPLICABLE, reason=obstacle))
                return
            self._next_begin = now + _PACE
        running: _Running

        def send(source: bytes, destination: bytes, octets: bytes) -> None:
            self._count += 1
            packet = write_ip(source, destination, octets, identification=self._count & 0xFFFF)
            if len(running.packets) < _MOST_PACKETS:
                running.packets.append((self._now, packet))
            self._out.append(packet)

        case = Case(self.setting, send)
        running = _Running(check, case, check.run(case) if check is not None else reconnaissance(case), tries)
        self._running.append(running)
        self._step(running, now)

    def _step(self, running: _Running, now: int) -> None:
        """Let a script go on as far as it can now."""
        running.stirred = False
        running.case.advance(now)
        check = running.check
        verdict, details = Verdict.PASS, {}
        try:
            running.due = next(running.script)
        except StopIteration:
            pass
        except Failed as failed:
            verdict, details = Verdict.FAIL, {"expected": failed.expected, "found": failed.found}
        except NotApplicable as reason:
            verdict, details = Verdict.NOT_APPLICABLE, {"reason": str(reason)}
        except Unreachable as reason:
            self.unreachable = reason
        else:
            self._enter_ports(running)
            return
        for transport in running.case.transports:
            transport.abort()
            self._ports.pop(transport.ports.sport, None)
        self._running.remove(running)
        if check is None:
            self._reconnoitred = True
        elif verdict is not Verdict.PASS and running.tries < _TRIES:
            self._begin(check, now, running.tries + 1)
        else:
            self._conclude(Result(check.rule, check.title, verdict, packets=tuple(running.packets), **details))

    def _enter_ports(self, running: _Running) -> None:
        for transport in running.case.transports:
            self._ports.setdefault(transport.ports.sport, (running, transport))

    def _conclude(self, result: Result) -> None:
        self.results.append(result)
        if self._on_result is not None:
            self._on_result(result)


def reconnaissance(case: Case) -> Script[None]:
    """What the host can do at all, into the facts; raises Unreachable where it does not even speak TCP."""
    facts = case.facts
    begun = case.now
    offer = case.offer()
    offered = yield from case.open(offer)
    answer = offered.answer
    facts.round_trip = case.now - begun
    if answer is None or answer.flow is None:
        plain = yield from case.open()
        if plain.answer is None:
            raise Unreachable(f"expected a SYN-ACK from the host, found {plain.told}")
        lost = "its SYN-ACK has none" if answer is not None else f"it answers a SYN with it by {offered.told}"
        facts.silent = facts.flowless = lost
        facts.round_trip = facts.round_trip if answer is not None else 0
        return
    facts.flowless = disagreement(offer, offered)
    if answer.flow == offer:
        facts.silent = facts.flowless
    if facts.flowless:
        return
    yield from _learn_of_resumes(case, facts)


def _learn_of_resumes(case: Case, facts: Facts) -> Script[None]:
    for broken in (False,) * _TRIES + (True,) * _TRIES:
        with suppress(NotApplicable):  # a flow that came to nothing; another may not
            if (yield from _resumable(case, facts, broken=broken)):
                facts.alive, facts.broken = not broken, broken
                return


def _resumable(case: Case, facts: Facts, *, broken: bool) -> Script[bool]:
    """Whether the host lets a flow be resumed, after its transport was reset or while it lives."""
    flow = yield from case.established()
    if (yield from case.carried(flow.transport, _GREETING)):
        flow.sent += len(_GREETING)
    if broken:
        case.reset(flow.transport)
        yield from case.pause(case.quiet)
    else:
        yield from case.until(lambda: len(flow.received) >= len(_GREETING), max(case.quiet, SECOND))
        facts.echoes = facts.echoes or flow.received == _GREETING
    return (yield from case.attempted(flow)).answer is not None
