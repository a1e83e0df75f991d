"""Whatever comes back, a probe ends in time, with a verdict, and sends no more than it may."""

from __future__ import annotations

from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.endpoint.hosts import Silent
from tests.probe.paths import CLIENT, PORT, SECOND, SERVER, probe, server
from tioption.capture.segment import ACK, RST, SYN
from tioption.endpoint.link import Network
from tioption.middlebox.packet import Packet
from tioption.option import Variant
from tioption.packet import ICMP, IpPacket, Ports, TcpHeader, read_ip, write_ip, write_tcp
from tioption.probe import Answer, Prober, Settings, Target
from tioption.probe.report import rows, text

BOTH = (Variant.FLOW_D, Variant.FLOW_C)


class Hostile(Silent):
    """Answers every packet as a script says, with segments that fit and others that do not, and with noise."""

    def __init__(self, script: list[tuple[int, bytes, bool, int]]) -> None:
        self.script = script
        self.place = 0
        self.out: list[bytes] = []

    def packets_to_send(self, now: int) -> list[bytes]:
        out, self.out = self.out, []
        return out

    def receive_packet(self, packet: bytes, now: int) -> None:
        segment = Packet.parse(packet)
        assert segment is not None
        for _ in range(2):
            flags, area, echoes, noise = self.script[self.place % len(self.script)]
            self.place += 1
            if flags == 0x200:
                self.out.append(area)
                continue
            if flags == 0x201:
                message = bytes((3, noise & 15, 0, 0, 0, 0, 0, 0)) + packet[: noise * 4]
                self.out.append(write_ip(segment.destination, segment.source, message, protocol=ICMP))
                continue
            if echoes:
                area = segment.options
            ports = Ports(segment.destination, segment.dport, segment.source, segment.sport)
            header = TcpHeader(noise, segment.seq + (noise % 3 != 2), flags & 0x1FF, noise & 0xFFFF, area)
            self.out.append(write_ip(ports.source, ports.destination, write_tcp(ports, header)))


answers = st.tuples(
    st.sampled_from([SYN | ACK, SYN | ACK, RST | ACK, RST, ACK, SYN, 0x200, 0x201, 0x1FF]) | st.integers(0, 0x1FF),
    st.binary(max_size=40) | st.binary(min_size=18, max_size=18).map(lambda octets: b"\xfd\x14" + octets),
    st.booleans(),
    st.integers(0, 0xFFFFFFFF),
)


@given(script=st.lists(answers, min_size=1, max_size=12), ipv6=st.booleans())
@settings(max_examples=150)
def test_a_hostile_host(script: list[tuple[int, bytes, bool, int]], ipv6: bool) -> None:
    run = probe(Hostile(script), variants=BOTH, hops=4, latency=1_000_000)
    assert run.verdicts
    assert len(run.sent) <= run.settings.most_packets
    assert list(text("x", run.seen))
    assert len(list(rows("x", run.seen))) == len(run.verdicts)


@given(packets=st.lists(st.binary(max_size=120), max_size=30))
def test_noise_is_dropped(packets: list[bytes]) -> None:
    random = Random(1)
    prober = Prober([Target(SERVER, PORT, CLIENT)], Settings(), bits=random.getrandbits, claim=lambda _: 40000)
    prober.packets_to_send(0)
    for packet in packets:
        prober.receive_packet(packet, 1)
    assert prober.packets_to_send(2) == []
    assert not prober.done


@given(seed=st.integers(0, 1 << 16), rate=st.sampled_from(["5%", "20%", "60%"]))
@settings(max_examples=40)
def test_any_loss(seed: int, rate: str) -> None:
    run = probe(server(), f"lose:{rate}", seed=seed, variants=BOTH)
    assert run.verdicts


def test_little_loss_is_no_verdict() -> None:
    """Of 40 runs over a path that loses 5 % each way, none takes it for more than that."""
    for seed in range(40):
        assert probe(server(), "lose:5%", seed=seed).verdicts == ["speaks"]


class TestWhatCounts:
    """Of what arrives, only what a TCP in SYN-SENT would take (RFC 9293 §3.10.7.3)."""

    def made(self) -> tuple[Prober, IpPacket, Packet]:
        prober = Prober([Target(SERVER, PORT, CLIENT)], Settings(), bits=Random(1).getrandbits, claim=lambda _: 40000)
        (syn,) = prober.packets_to_send(1)
        segment = Packet.parse(syn)
        assert segment is not None
        return prober, read_ip(syn), segment

    def give(self, prober: Prober, syn: Packet, flags: int, ack: int, **changes: int) -> list[bytes]:
        ports = Ports(syn.destination, changes.get("sport", syn.dport), syn.source, changes.get("dport", syn.sport))
        octets = write_tcp(ports, TcpHeader(7, ack & 0xFFFFFFFF, flags, 1000))
        if "damage" in changes:
            octets = octets[:-1] + bytes((octets[-1] ^ 1,))
        prober.receive_packet(write_ip(ports.source, ports.destination, octets), 2)
        return prober.packets_to_send(3)

    def test_a_syn_ack(self) -> None:
        prober, _, syn = self.made()
        assert len(self.give(prober, syn, SYN | ACK, syn.seq + 1)) == 2  # its end, and the first SYN with the option

    def test_what_does_not(self) -> None:
        prober, _, syn = self.made()
        assert self.give(prober, syn, SYN | ACK, syn.seq) == []
        assert self.give(prober, syn, RST | ACK, syn.seq + 2) == []
        assert self.give(prober, syn, RST, syn.seq + 1) == []
        assert self.give(prober, syn, SYN, syn.seq + 1) == []
        assert self.give(prober, syn, ACK, syn.seq + 1) == []
        assert self.give(prober, syn, SYN | ACK, syn.seq + 1, sport=80) == []
        assert self.give(prober, syn, SYN | ACK, syn.seq + 1, dport=40001) == []
        assert self.give(prober, syn, SYN | ACK, syn.seq + 1, damage=1) == []
        assert prober.results == [None]


def test_addresses_side_by_side() -> None:
    random, local = Random(1), count(40000)
    targets = [Target(f"198.51.100.{number}", PORT, CLIENT) for number in range(1, 41)]
    prober = Prober(targets, Settings(), bits=random.getrandbits, claim=lambda _: next(local))
    network = Network(prober, Silent())
    begin = network.now
    assert network.run(begin + 60 * SECOND, lambda: prober.done)
    assert network.now - begin == 3 * 4 * SECOND  # 16 at a time
    assert [one.address for one in prober.results if one is not None] == [target.address for target in targets]
    controls = [one.control for one in prober.results if one is not None]
    assert all(control is not None and control.answer is Answer.NOTHING for control in controls)


def test_many_targets_share_few_local_ports() -> None:
    random, local = Random(1), count(40000)
    targets = [Target(SERVER, PORT + number, CLIENT) for number in range(100)]
    prober = Prober(targets, Settings(), bits=random.getrandbits, claim=lambda _: next(local))
    network = Network(prober, server(*BOTH, enabled=False))
    assert network.run(network.now + 100 * SECOND, lambda: prober.done)
    verdicts = [one.control.answer for one in prober.results if one is not None and one.control is not None]
    assert verdicts == [Answer.SYN_ACK] * 2 + [Answer.RESET] * 98
    assert next(local) - 40000 == 7  # the control, and three connections for each variant
