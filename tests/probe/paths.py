"""A prober, a path and a server in virtual time; routers that say when a packet's hops are used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from struct import pack
from typing import Any

from tioption.checksum import checksum
from tioption.endpoint.config import StackConfig
from tioption.endpoint.link import Middlebox, Network, Way
from tioption.endpoint.stack import Stack
from tioption.middlebox import parse_chain
from tioption.network import Host
from tioption.option import Variant
from tioption.packet import ICMP, ICMP6, TCP, pseudo_header, read_ip, write_ip
from tioption.probe import Judgement, Prober, Settings, Target, TargetSeen, judge_target, judge_variants

CLIENT, SERVER = "192.0.2.1", "198.51.100.2"
CLIENT6, SERVER6 = "2001:db8:1::1", "2001:db8:2::2"
PORT = 443
SECOND = 1_000_000_000


class Router:
    """Lets packets live one hop less; of those that do not, it says so, quoting as much as it is told to."""

    def __init__(self, number: int, *, quotes: int | None = None, silent: bool = False) -> None:
        """Quote so many octets of a packet, all of it with None."""
        self.ipv4 = bytes((10, 0, number, 1))
        self.ipv6 = bytes.fromhex("20010db8ffff") + bytes(9) + bytes((number,))
        self.quotes = quotes
        self.silent = silent

    def process(self, packet: bytes, way: Way, now_ns: int) -> Sequence[tuple[int, Way, bytes]]:
        back: Way = "ba" if way == "ab" else "ab"
        at = 8 if packet[0] >> 4 == 4 else 7
        if packet[at] <= 1:
            return [] if self.silent else [(0, back, self.expired(packet))]
        packet = packet[:at] + bytes((packet[at] - 1,)) + packet[at + 1 :]
        if at == 8:
            header = packet[:10] + bytes(2) + packet[12:20]
            packet = packet[:10] + pack("!H", checksum(header)) + packet[12:]
        return [(0, way, packet)]

    def expired(self, packet: bytes) -> bytes:
        """Time exceeded (RFC 792, RFC 4443)."""
        quote = packet[: self.quotes]
        if packet[0] >> 4 == 4:
            message = pack("!BBHI", 11, 0, 0, 0) + quote
            message = message[:2] + pack("!H", checksum(message)) + message[4:]
            return write_ip(self.ipv4, packet[12:16], message, protocol=ICMP)
        message = pack("!BBHI", 3, 0, 0, 0) + quote
        pseudo = pseudo_header(self.ipv6, packet[8:24], ICMP6, len(message))
        message = message[:2] + pack("!H", checksum(pseudo + message)) + message[4:]
        return write_ip(self.ipv6, packet[8:24], message, protocol=ICMP6)


class Change:
    """A middlebox that does to a packet what a test says: None drops it."""

    def __init__(self, change: Callable[[bytes, Way], bytes | None]) -> None:
        self._change = change

    def process(self, packet: bytes, way: Way, now_ns: int) -> Sequence[tuple[int, Way, bytes]]:
        changed = self._change(packet, way)
        return [] if changed is None else [(0, way, changed)]


def server(*variants: Variant, enabled: bool = True, option: bool = True, port: int = PORT) -> Stack:
    """A host that speaks the option, with a listener of a variant at each port from `port` on."""
    random = Random(3)
    stack = Stack([SERVER, SERVER6], StackConfig(enabled=enabled), bits=random.getrandbits, secret=random.randbytes(16))
    for number, variant in enumerate(variants or (Variant.FLOW_D,)):
        stack.listen(port + number, variant=variant, option=option)
    return stack


def boxes(*specs: str | Middlebox, seed: int = 5) -> list[Middlebox]:
    """Boxes by their texts, and others as they are."""
    made: list[Middlebox] = []
    for number, spec in enumerate(specs):
        made += parse_chain([spec], Random(seed + number)).boxes if isinstance(spec, str) else [spec]
    return made


class Run:
    """A probe that is over."""

    def __init__(self, network: Network, prober: Prober, settings: Settings) -> None:
        self.network = network
        self.prober = prober
        self.settings = settings
        self.results: list[TargetSeen] = [one for one in prober.results if one is not None]

    @property
    def seen(self) -> TargetSeen:
        return self.results[0]

    @property
    def judgements(self) -> list[Judgement]:
        judged = judge_target(self.seen)
        return [judged] if judged is not None else judge_variants(self.seen)

    @property
    def verdicts(self) -> list[str]:
        return [one.verdict.value for one in self.judgements]

    @property
    def sent(self) -> list[bytes]:
        """The packets the prober has sent."""
        return [one.packet for one in self.network.taps[0] if one.sent]

    def segments(self) -> list[Any]:
        """The TCP segments the prober has sent."""
        from tioption.endpoint.wire import read

        found = []
        for packet in self.sent:
            ip = read_ip(packet)
            assert ip.protocol == TCP
            found.append(read(ip.source, ip.destination, ip.payload, self.settings.kinds)[1])
        return found


def probe(
    b: Host,
    *specs: str | Middlebox,
    ipv6: bool = False,
    ports: Sequence[int] = (PORT,),
    seed: int = 1,
    latency: int = 10_000_000,
    **settings: Any,
) -> Run:
    """Probe a host through boxes; fails where the probe does not end, or sends more than it may."""
    random = Random(seed)
    local = count(40000)
    chosen = Settings(**{"variants": (Variant.FLOW_D,), **settings})
    source, address = (CLIENT6, SERVER6) if ipv6 else (CLIENT, SERVER)
    targets = [Target(address, port, source) for port in ports]
    prober = Prober(targets, chosen, bits=random.getrandbits, claim=lambda _: next(local))
    network = Network(prober, b, boxes(*specs, seed=seed), latency=latency)
    until = network.now + len(ports) * (chosen.timeout + SECOND)
    assert network.run(until, lambda: prober.done)
    network.flush()
    network.run(network.now + 5 * SECOND)
    run = Run(network, prober, chosen)
    for one in run.results:
        assert one.packets <= chosen.most_packets
        assert one.duration <= chosen.timeout
    return run
