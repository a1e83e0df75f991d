"""A host among strangers: what it keeps, what it refuses, and how much of either."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from struct import pack

import pytest

from tests.endpoint.hosts import CONFIG, A, B, Hosts, config
from tioption.capture.segment import ACK, PSH, RST, SYN
from tioption.checksum import checksum
from tioption.endpoint.config import StackConfig, TcpConfig
from tioption.endpoint.events import FlowBroken, Opened
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import EPOCH
from tioption.endpoint.rtt import MS, SECOND
from tioption.endpoint.stack import Stack
from tioption.endpoint.state import TcpState
from tioption.endpoint.wire import TcpSegment, read, write
from tioption.option import FlowOption, Tifid, Variant
from tioption.packet import ICMP, ICMP6, Ports, pseudo_header, read_ip, write_ip

STRANGER = bytes((203, 0, 113, 5))
HERE = bytes((198, 51, 100, 2))


def lonely(settings: StackConfig = CONFIG, seed: int = 1) -> Stack:
    random = Random(seed)
    return Stack([B, "2001:db8::2"], settings, bits=random.getrandbits, secret=random.randbytes(16))


def packet(segment: TcpSegment, source: bytes = STRANGER, sport: int = 1000, dport: int = 443) -> bytes:
    destination = HERE if len(source) == 4 else bytes.fromhex("20010db8" + "0" * 23 + "2")
    ports = Ports(source, sport, destination, dport)
    return write_ip(source, destination, write(ports, segment))


def answers(stack: Stack, now: int = EPOCH) -> list[TcpSegment]:
    found = []
    for octets in stack.packets_to_send(now):
        ip = read_ip(octets)
        found.append(read(ip.source, ip.destination, ip.payload)[1])
    return found


def syn(option: FlowOption | None = None, seq: int = 100) -> TcpSegment:
    return TcpSegment(seq, 0, SYN, 65535, mss=1460, option=option)


def resume(number: int) -> TcpSegment:
    return syn(FlowOption(Variant.FLOW_D, Tifid.from_halves(number + 1, 0xBE79BF), 5, 6))


class TestStrangers:
    def test_what_is_for_nobody_gets_the_reset_of_rfc_9293(self) -> None:
        stack = lonely()
        stack.receive_packet(packet(syn()), EPOCH)
        stack.receive_packet(packet(TcpSegment(7, 9, ACK, 0, b"data")), EPOCH)
        stack.receive_packet(packet(TcpSegment(7, 9, RST, 0)), EPOCH)
        assert [(one.flags, one.seq, one.ack) for one in answers(stack)] == [(RST | ACK, 0, 101), (RST, 9, 0)]

    def test_a_resume_of_an_unknown_flow_is_reset_though_somebody_listens(self) -> None:
        """RES-03, RES-05."""
        stack = lonely()
        listener = stack.listen(443)
        stack.receive_packet(packet(resume(1)), EPOCH)
        assert [(one.flags, one.ack) for one in answers(stack)] == [(RST | ACK, 101)]
        assert (stack.connections, len(listener.half_open)) == (0, 0)

    def test_resets_are_limited(self) -> None:
        """RES-05."""
        stack = lonely(replace(CONFIG, resets=10))
        for number in range(1000):
            stack.receive_packet(packet(syn(), sport=number + 1), EPOCH)
        assert len(answers(stack)) == 10

    def test_resume_syns_are_limited_a_source(self) -> None:
        """SEC-04."""
        stack = lonely(replace(CONFIG, resumes=5))
        for number in range(100):
            stack.receive_packet(packet(resume(number)), EPOCH)
        stack.receive_packet(packet(resume(200), source=bytes((203, 0, 113, 6))), EPOCH)
        assert len(answers(stack)) == 6

    def test_what_is_damaged_or_for_others_is_dropped(self) -> None:
        stack = lonely()
        good = packet(syn())
        stack.receive_packet(good[:-1] + bytes((good[-1] ^ 1,)), EPOCH)
        stack.receive_packet(good[:30], EPOCH)
        ports = Ports(STRANGER, 1, bytes((198, 51, 100, 3)), 2)
        stack.receive_packet(write_ip(ports.source, ports.destination, write(ports, syn())), EPOCH)
        assert (answers(stack), stack.dropped) == ([], 3)

    @pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
    def test_no_octets_raise(self, count: int) -> None:
        """Random packets, and random segments in good packets, at a host with listeners and connections."""
        hosts = Hosts()
        a = hosts.connect()
        ports = hosts.b.ports(hosts.at_b)
        assert ports is not None
        random = Random(11)
        b = hosts.b
        now = hosts.now
        for number in range(count):
            now += random.randrange(100_000)
            kind = number % 4
            if kind == 0:
                octets = random.randbytes(random.randrange(80))
            else:
                here = ports.back if kind < 3 else Ports(STRANGER, random.randrange(1, 9), HERE, 443)
                area = bytes(random.choice(_PIECES) for _ in range(random.randrange(0, 41, 4)))
                header = pack(
                    "!HHIIHHHH",
                    here.sport,
                    here.dport,
                    _near(random, b, hosts.at_b, seq=True),
                    _near(random, b, hosts.at_b, seq=False),
                    (5 + len(area) // 4) << 12 | random.choice((ACK, ACK | PSH, SYN, SYN | ACK, 0, 1, 17, 31, 4)),
                    random.randrange(65536),
                    0,
                    0,
                )
                tcp = header + area + random.randbytes(random.choice((0, 0, 1, 100)))
                total = checksum(pseudo_header(here.source, here.destination, 6, len(tcp)) + tcp)
                octets = write_ip(here.source, here.destination, tcp[:16] + pack("!H", total) + tcp[18:])
            b.receive_packet(octets, now)
            if number % 50 == 0:
                b.handle_timer(now)
                b.packets_to_send(now)
        assert b.connections <= 2 + b.config.backlog
        assert a.error is None

    def test_random_icmp_raises_nothing(self) -> None:
        stack = lonely()
        random = Random(3)
        for number in range(5000):
            protocol, source = (ICMP, STRANGER) if number % 2 else (ICMP6, bytes(16))
            here = HERE if number % 2 else bytes.fromhex("20010db8" + "0" * 23 + "2")
            octets = bytes((random.choice((1, 2, 3)), random.randrange(16))) + random.randbytes(random.randrange(80))
            stack.receive_packet(write_ip(source, here, octets, protocol=protocol), EPOCH)
        assert answers(stack) == []


_PIECES = (0, 1, 2, 3, 4, 5, 8, 10, 20, 253, 254)


def _near(random: Random, stack: Stack, boundary: IsolationBoundary, *, seq: bool) -> int:
    transport = boundary.transport
    assert transport is not None
    if random.random() < 0.2:
        return random.getrandbits(32)
    base = transport.receiver.seq(transport.receiver.nxt) if seq else transport.sender.seq(transport.sender.nxt)
    # A RST at exactly the next number would end it, rightly; anything else must not.
    return (base + random.choice((-2000, -2, -1, 1, 2, 2000, 70000))) % 2**32


class TestBounds:
    def test_syns_beyond_the_backlog_leave_nothing_behind(self) -> None:
        stack = lonely(replace(CONFIG, backlog=16))
        stack.listen(443)
        for number in range(2000):
            stack.receive_packet(packet(syn(seq=number), sport=number + 1), EPOCH)
        found = answers(stack)
        assert (len(found), stack.connections) == (2000, 16)
        assert all(one.flags == SYN | ACK for one in found)

    @pytest.mark.parametrize("timestamps", [True, False])
    @pytest.mark.parametrize("enabled", [True, False])
    def test_a_conversation_is_opened_under_that_pressure(self, timestamps: bool, enabled: bool) -> None:
        """EST-16: the third ACK brings back everything."""
        tcp = TcpConfig(timestamps=timestamps)
        hosts = Hosts(a=config(tcp=tcp, enabled=enabled), b=config(tcp=tcp, backlog=0))
        hosts.at_a = a = hosts.a.connect(B, 443, hosts.now)
        a.write(b"hello")
        hosts.run(100)
        mode = "flow" if enabled else "legacy"
        assert (hosts.events[a][0], hosts.events[hosts.at_b][0]) == (Opened(mode), Opened(mode))
        assert hosts.read(hosts.at_b) == b"hello"
        transport = hosts.at_b.transport
        assert transport is not None
        assert transport.negotiation.sack is timestamps
        assert transport.negotiation.scaled is timestamps
        assert transport.negotiation.peer.mss == 1460

    def test_a_cookie_opens_one_connection_and_no_more(self) -> None:
        hosts = Hosts(b=config(backlog=0))
        hosts.at_a = a = hosts.a.connect(B, 443, hosts.now)
        a.write(b"once")
        hosts.run(100)
        copies = [(ports, segment) for way, ports, segment in hosts.path.seen if way == "ab"]
        a.close()
        hosts.at_b.close()
        hosts.seconds(70)
        for ports, segment in copies:
            hosts.b.receive_packet(write_ip(ports.source, ports.destination, write(ports, segment)), hosts.now)
        hosts.run(100)
        assert len(hosts.accepted) == 1

    def test_a_made_up_cookie_opens_nothing(self) -> None:
        stack = lonely(replace(CONFIG, backlog=0))
        stack.listen(443)
        stack.receive_packet(packet(syn()), EPOCH)
        (answer,) = answers(stack)
        for wrong in (1, 1 << 24, 1 << 27):
            stack.receive_packet(packet(TcpSegment(101, answer.seq + 1 ^ wrong, ACK, 100)), EPOCH)
        assert stack.connections == 0
        stack.receive_packet(packet(TcpSegment(101, answer.seq + 1, ACK, 100)), EPOCH + 200 * SECOND)
        assert stack.connections == 0
        stack.receive_packet(packet(TcpSegment(101, answer.seq + 1, ACK, 100)), EPOCH + 60 * SECOND)
        assert stack.connections == 1

    def test_pending_handshakes_end(self) -> None:
        stack = lonely()
        listener = stack.listen(443)
        stack.receive_packet(packet(syn()), EPOCH)
        now = EPOCH
        stack.packets_to_send(now)
        while (following := stack.next_timer()) is not None:
            now = following
            stack.handle_timer(now)
            stack.packets_to_send(now)
        assert (stack.connections, len(listener.half_open)) == (0, 0)
        assert now - EPOCH < 190 * SECOND

    def test_flows_that_wait_retain_so_much_together(self) -> None:
        """SEC-04: of more, the one that broke first is given up."""
        hosts = Hosts(b=config(retained=25_000))
        conversations = []
        for _ in range(3):
            hosts.connect()
            conversations.append(hosts.accepted[-1])
            hosts.run(10)
        hosts.path.loses()
        for number, boundary in enumerate(conversations):
            boundary.write(b"x" * 10_000)
            hosts.run(10 * (number + 1))
        hosts.seconds(10)
        errors = [boundary.error is not None for boundary in conversations]
        assert errors == [True, False, False]

    def test_no_more_connections_than_allowed(self) -> None:
        stack = lonely(replace(CONFIG, connections=5))
        stack.listen(443)
        for number in range(20):
            stack.receive_packet(packet(syn(seq=number), sport=number + 1), EPOCH)
        assert stack.connections == 5


class TestPorts:
    def test_a_listener_of_one_address_and_one_of_all(self) -> None:
        stack = lonely()
        every, one = stack.listen(443), stack.listen(443, B)
        stack.receive_packet(packet(syn()), EPOCH)
        assert (len(one.half_open), len(every.half_open)) == (1, 0)
        with pytest.raises(OSError, match="443 taken"):
            stack.listen(443)
        stack.unlisten(one)
        stack.receive_packet(packet(syn(), sport=2), EPOCH)
        assert len(every.half_open) == 1

    def test_ipv6(self) -> None:
        stack = lonely()
        stack.listen(443)
        stack.receive_packet(packet(syn(), source=bytes.fromhex("20010db8" + "0" * 23 + "1")), EPOCH)
        (answer,) = answers(stack)
        assert (answer.flags, answer.mss) == (SYN | ACK, 1440)

    def test_no_address_and_no_port(self) -> None:
        stack = lonely()
        with pytest.raises(OSError, match="address of the family"):
            Stack([B], CONFIG, bits=Random(1).getrandbits, secret=bytes(16)).connect("2001:db8::9", 1, EPOCH)
        stack.connect("192.0.2.1", 80, EPOCH, source_port=5)
        with pytest.raises(OSError, match="free port"):
            stack.connect("192.0.2.1", 80, EPOCH, source_port=5)

    def test_a_resume_on_the_old_transport_s_own_ports(self) -> None:
        """RES-12 says no, but a NAT may do so: the new connection and the old one are told apart."""
        hosts = Hosts()
        a = hosts.connect()
        a.write(b"before ")
        hosts.run(100)
        old = hosts.a.ports(a)
        assert old is not None
        new: list[int] = []

        def same(packet: bytes, way: str, now: int) -> list[tuple[int, str, bytes]]:
            ip = read_ip(packet)
            ports, segment = read(ip.source, ip.destination, ip.payload)
            if way == "ab" and ports.sport != old.sport:
                new.append(ports.sport)
                ports = ports._replace(sport=old.sport)
            elif way == "ba" and new:
                ports = ports._replace(dport=new[0])
            return [(0, way, write_ip(ports.source, ports.destination, write(ports, segment)))]

        hosts.path.process = same  # type: ignore[method-assign, assignment]
        a.resume(hosts.now)
        hosts.run(100)
        a.write(b"after")
        hosts.run(100)
        assert (a.transports, hosts.at_b.transports) == (2, 2)
        assert hosts.read(hosts.at_b) == b"before after"

    def test_octets_acknowledged_on_the_old_transport_are_not_asked_for_by_a_pending_resume(self) -> None:
        """RES-09 forbids it, and who does it nevertheless gets a RST: the octets are gone."""
        stack = lonely()
        listener = stack.listen(443)
        offer = FlowOption(Variant.FLOW_D, Tifid.from_halves(0x0A4530), 1 << 40, 0)
        stack.receive_packet(packet(syn(offer)), EPOCH)
        (first,) = answers(stack)
        assert first.option is not None
        own = first.option.replace(tiseq=offer.tiseq, tiack=first.option.tiseq)
        stack.receive_packet(packet(TcpSegment(101, first.seq + 1, ACK, 65535, option=own)), EPOCH)
        (boundary,) = listener.accepted
        boundary.write(b"ten octets")
        answers(stack)
        stack.receive_packet(packet(syn(own, 500), sport=1001), EPOCH)
        (second,) = answers(stack)
        assert second.option == own.replace(tiseq=own.tiack, tiack=own.tiseq)
        stack.receive_packet(packet(TcpSegment(101, first.seq + 11, ACK, 65535)), EPOCH)
        stack.receive_packet(packet(TcpSegment(501, second.seq + 1, ACK, 65535, option=own), sport=1001), EPOCH)
        assert [segment.flags for segment in answers(stack)] == [RST]
        stack.receive_packet(packet(TcpSegment(101, first.seq + 11, ACK, 65535, b"goes on")), EPOCH)
        assert boundary.read() == b"goes on"
        assert boundary.transports == 1

    def test_time_wait_gives_way_to_a_new_incarnation(self) -> None:
        hosts = Hosts()
        hosts.connect(source_port=5000)
        hosts.at_b.close()
        hosts.run(100)
        assert hosts.at_a is not None
        hosts.at_a.close()
        hosts.run(100)
        assert hosts.at_b.transport is not None
        assert hosts.at_b.transport.state is TcpState.TIME_WAIT
        hosts.connect(source_port=5000)
        assert len(hosts.accepted) == 2


class TestIcmp:
    def complain(self, hosts: Hosts, code: int, mtu: int = 0) -> None:
        ports = hosts.a.ports(hosts.at_a) if hosts.at_a is not None else None
        transport = hosts.at_a.transport if hosts.at_a is not None else None
        assert ports is not None
        assert transport is not None
        quoted = write_ip(
            ports.source,
            ports.destination,
            write(ports, TcpSegment(transport.sender.seq(transport.sender.una), 0, ACK, 0)),
        )
        octets = bytes((3, code, 0, 0, 0, 0)) + mtu.to_bytes(2, "big") + quoted[:28]
        hosts.a.receive_packet(write_ip(STRANGER, ports.source, octets, protocol=ICMP), hosts.now)

    def test_unreachable_is_a_trigger(self) -> None:
        """RES-19."""
        hosts = Hosts()
        a = hosts.connect()
        a.write(b"x")
        hosts.run(1)
        self.complain(hosts, 1)
        hosts.run(100)
        assert hosts.told(a, FlowBroken) == [FlowBroken("unreachable, says the network (ICMP type 3 code 1)")]
        assert a.transports == 2

    def test_a_quote_of_something_else_is_not_believed(self) -> None:
        """RFC 5927."""
        hosts = Hosts()
        a = hosts.connect()
        assert a.transport is not None
        a.transport.sender.una += 100_000
        self.complain(hosts, 1)
        a.transport.sender.una -= 100_000
        hosts.run(100)
        assert a.transports == 1

    def test_a_closed_port_refuses_and_a_host_out_of_reach_does_not_yet(self) -> None:
        for code, refused in ((3, True), (1, False)):
            hosts = Hosts()
            hosts.path.loses()
            hosts.at_a = hosts.a.connect(B, 443, hosts.now)
            hosts.network.flush()
            transport = hosts.at_a.transport
            assert transport is not None
            self.complain(hosts, code)
            assert (hosts.at_a.error is not None) is refused

    def test_a_smaller_mtu(self) -> None:
        hosts = Hosts()
        a = hosts.connect()
        hosts.path.loses()
        a.write(b"x" * 3000)
        hosts.run(1)
        hosts.path.passes()
        self.complain(hosts, 4, 1000)
        hosts.run(1500)
        sizes = {len(segment.payload) for way, _, segment in hosts.path.seen if way == "ab" and segment.payload}
        assert min(sizes) <= 1000 - 52
        assert hosts.read(hosts.at_b) == b"x" * 3000


def test_the_same_seed_makes_the_same_packets() -> None:
    runs = []
    for _ in range(2):
        hosts = Hosts()
        hosts.connect().write(b"x" * 5000)
        hosts.run(100)
        runs.append([one.packet for one in hosts.network.taps[0]])
    assert runs[0] == runs[1]


def test_hosts_without_randomness_of_their_own_differ_by_their_secret() -> None:
    first, other = lonely(seed=1), lonely(seed=2)
    for stack in (first, other):
        stack.listen(443)
        stack.receive_packet(packet(syn()), EPOCH)
    assert answers(first)[0].seq != answers(other)[0].seq
    assert A != B
    assert MS < SECOND
