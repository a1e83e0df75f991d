"""Hosts to be tested: an echo service on a stack, and a run of checks against it in virtual time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from tioption.conform import CHECKS, Result, Run, Setting, Verdict
from tioption.endpoint import Network, Stack, StackConfig
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import Middlebox
from tioption.endpoint.rtt import SECOND
from tioption.network import Host
from tioption.option import DEFAULT_KINDS, Kinds, Variant

TESTER, TESTED = "192.0.2.1", "198.51.100.2"
TESTER_6, TESTED_6 = "2001:db8::1", "2001:db8:1::2"
CONFIG = StackConfig(enabled=True)


class Service:
    """A host whose applications send back what they get and close when that ends; a `Host` of tioption.network."""

    def __init__(
        self, stack: Stack, port: int = 7, variant: Variant = Variant.FLOW_D, *, option: bool = True, echo: bool = True
    ) -> None:
        self.stack = stack
        self.echo = echo
        self.listener = stack.listen(port, variant=variant, option=option)
        self.accepted: list[IsolationBoundary] = []

    def packets_to_send(self, now: int) -> list[bytes]:
        self.serve()
        return self.stack.packets_to_send(now)

    def serve(self) -> None:
        self.accepted += self.listener.accepted
        self.listener.accepted.clear()
        for boundary in list(self.accepted):
            boundary.events.clear()
            octets = boundary.read()
            if boundary.error is not None or boundary.over:
                self.accepted.remove(boundary)
            elif not boundary.send_stream.closed:
                if octets and self.echo:
                    boundary.write(octets)
                if boundary.receive_stream.ended:
                    boundary.close()

    def receive_packet(self, packet: bytes, now: int) -> None:
        self.stack.receive_packet(packet, now)

    def next_timer(self) -> int | None:
        return self.stack.next_timer()

    def handle_timer(self, now: int) -> None:
        self.stack.handle_timer(now)


def service(
    kind: type[Stack] = Stack,
    config: StackConfig = CONFIG,
    variant: Variant = Variant.FLOW_D,
    *,
    address: str = TESTED,
    echo: bool = True,
) -> Service:
    random = Random(7)
    stack = kind([address], config, bits=random.getrandbits, secret=random.randbytes(16))
    return Service(stack, variant=variant, echo=echo)


def run_of(
    host: Host,
    *,
    variant: Variant = Variant.FLOW_D,
    only: Iterable[str] = CHECKS,
    local: str = TESTER,
    remote: str = TESTED,
    kinds: Kinds = DEFAULT_KINDS,
    latency: int = 10_000_000,
    boxes: Sequence[Middlebox] = (),
) -> Run:
    """A whole run against a host, over before it is returned."""
    random = Random(11)
    ports = iter(range(40000, 60000))
    setting = Setting(local, remote, 7, random.getrandbits, lambda: next(ports), variant, kinds)
    run = Run(setting, [CHECKS[rule] for rule in only])
    network = Network(run, host, boxes, latency=latency)
    assert network.run(network.now + 3600 * SECOND, lambda: run.done)
    return run


def verdicts(results: Iterable[Result]) -> dict[Verdict, list[str]]:
    found: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for result in results:
        found[result.verdict].append(result.rule)
    return found
