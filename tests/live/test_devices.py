"""What carries packets, held against the kernel it carries them past: in a namespace of its own."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address

import pytest

from tests.live.namespaces import Host, Link, ip, wait_for
from tioption.capture.segment import ACK, RST, SYN
from tioption.endpoint.wire import TcpSegment, read, write
from tioption.network import Addresses, Change, Device, RawPorts, Tun, drive, forwards, least_mtu, raw, source_address
from tioption.packet import TCP, Ports, read_ip, write_ip


def _packet(source: str, sport: int, destination: str, dport: int, segment: TcpSegment) -> bytes:
    here, there = ip_address(source).packed, ip_address(destination).packed
    return write_ip(here, there, write(Ports(here, sport, there, dport), segment))


def _heard(device: Device, patience: float = 5.0) -> TcpSegment | None:
    """The next segment a device hears within so many seconds; what the kernel says about neighbours is none."""
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        select.select([device], [], [], left)
        packet = device.read()
        if packet is not None and (there := read_ip(packet)).protocol == TCP:
            return read(there.source, there.destination, there.payload)[1]  # the checksum is right
    return None


FAMILIES = (socket.AF_INET, socket.AF_INET6)


class TestRawPorts:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_handshake_that_the_kernel_does_not_see(self, family: socket.AddressFamily, hosts: Link) -> None:
        here, there = hosts.client.address(family), hosts.server.address(family)
        with hosts.server.listen(family, 7000) as listener, closing(hosts.client.inside(RawPorts)) as device:
            port = hosts.client.inside(lambda: device.claim(here))
            assert device.write(_packet(here, port, there, 7000, TcpSegment(99, 0, SYN, 1000)))
            answer = _heard(device)
            assert answer is not None
            assert (answer.flags, answer.ack) == (SYN | ACK, 100)
            time.sleep(0.2)  # the kernel would have reset it by now
            device.write(_packet(here, port, there, 7000, TcpSegment(100, answer.seq + 1, ACK, 1000)))
            peer, (address, peer_port, *_) = listener.accept()
            with peer:
                assert (address, peer_port) == (here, port)
                peer.sendall(b"for nobody but the device")
                data = _heard(device)
                assert data is not None
                assert data.payload == b"for nobody but the device"

    def test_only_ports_that_are_claimed_are_heard(self, hosts: Link) -> None:
        client, server = hosts
        with closing(server.inside(RawPorts)) as device, closing(client.inside(RawPorts)) as sender:
            server.inside(lambda: (device.claim("", 7000), device.claim(server.ipv4, 7010)))

            def send(destination: str, port: int) -> None:
                source = client.ipv4 if ":" not in destination else client.ipv6
                client.inside(lambda: sender.write(_packet(source, 9, destination, port, TcpSegment(port, 0, SYN, 1))))

            for destination, port in (
                (server.ipv4, 6999),
                (server.ipv4, 7005),
                (server.ipv6, 7010),
                (server.ipv4, 7011),
                (server.ipv4, 7010),
                (server.ipv6, 7000),
                (server.ipv4, 7000),
            ):
                send(destination, port)
            heard = [segment.seq for _ in range(3) if (segment := _heard(device)) is not None]
            assert (heard, _heard(device, 0.2)) == ([7010, 7000, 7000], None)

    def test_a_port_that_is_taken_and_an_address_that_is_not_here(self, hosts: Link) -> None:
        with hosts.client.listen(socket.AF_INET, 7000), closing(hosts.client.inside(RawPorts)) as device:
            with pytest.raises(OSError, match="in use"):
                hosts.client.inside(lambda: device.claim(hosts.client.ipv4, 7000))
            with pytest.raises(OSError, match="assign requested address"):
                hosts.client.inside(lambda: device.claim("192.0.2.1"))
            taken = _packet(hosts.client.ipv4, 7000, hosts.server.ipv4, 1, TcpSegment(0, 0, SYN, 1))
            assert not hosts.client.inside(lambda: device.write(taken))

    def test_a_port_is_held_while_it_is_spoken_from(self, hosts: Link, monkeypatch: pytest.MonkeyPatch) -> None:
        client, server = hosts
        with closing(client.inside(RawPorts)) as device:

            def speak(port: int) -> None:
                client.inside(
                    lambda: device.write(_packet(client.ipv4, port, server.ipv4, 1, TcpSegment(0, 0, RST, 1)))
                )

            def is_free(port: int) -> bool:
                with client.tcp(socket.AF_INET) as other:
                    try:
                        other.bind((client.ipv4, port))
                    except OSError:
                        return False
                    return True

            speak(7000)
            assert not is_free(7000)
            monkeypatch.setattr(raw, "_IDLE", 0.05)
            time.sleep(0.1)
            speak(7001)
            assert is_free(7000)
            assert not is_free(7001)

    def test_without_the_capability(self) -> None:
        child = os.fork()
        if not child:
            os.setuid(65534)
            try:
                RawPorts()
            except PermissionError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


class TestAddresses:
    def test_they_come_and_go(self, hosts: Link) -> None:
        name = hosts.client.name
        with closing(hosts.client.inside(Addresses)) as addresses:
            assert {hosts.client.ipv4, hosts.client.ipv6} <= addresses.now
            ip("-n", name, "address", "add", "192.0.2.7/24", "dev", "cable")
            ip("-n", name, "address", "delete", f"{hosts.client.ipv6}/64", "dev", "cable")
            found: list[Change] = []

            def changed() -> bool:
                found.extend(addresses.changes())
                return len(found) == 2

            wait_for("both changes", changed)
            assert found == [Change("192.0.2.7", lost=False), Change(hosts.client.ipv6, lost=True)]
            assert "192.0.2.7" in addresses.now
            assert hosts.client.ipv6 not in addresses.now

    def test_the_own_end_of_a_link_between_two(self, hosts: Link) -> None:
        ip("-n", hosts.client.name, "address", "add", "192.0.2.1", "peer", "192.0.2.2", "dev", "cable")
        with closing(hosts.client.inside(Addresses)) as addresses:
            assert "192.0.2.1" in addresses.now
            assert "192.0.2.2" not in addresses.now

    def test_where_packets_leave_from(self, hosts: Link) -> None:
        def sources(*to: str) -> list[bytes | None]:
            return hosts.client.inside(lambda: [source_address(ip_address(one).packed) for one in to])

        own = [ip_address(one).packed for one in (hosts.client.ipv4, hosts.client.ipv6)]
        assert sources(hosts.server.ipv4, hosts.server.ipv6, "192.0.2.1") == [*own, None]

    def test_the_least_mtu(self, hosts: Link) -> None:
        ip("-n", hosts.client.name, "link", "set", "cable", "mtu", "1400")
        assert (hosts.client.inside(least_mtu), hosts.server.inside(least_mtu)) == (1400, 1500)


class TestTun:
    @pytest.fixture(autouse=True)
    def device(self) -> None:
        if not os.path.exists("/dev/net/tun"):  # noqa: PTH110
            pytest.skip("this machine has no TUN devices")

    @pytest.mark.parametrize("family", FAMILIES)
    def test_the_kernel_sends_to_it_and_takes_from_it(self, family: socket.AddressFamily, hosts: Link) -> None:
        own = "10.66.0.2" if family == socket.AF_INET else "fd66::2"
        here = hosts.client.address(family)
        with _tun(hosts.client, own) as device, hosts.client.tcp(family) as connecting:
            connecting.setblocking(False)
            assert connecting.connect_ex((own, 7)) != 0
            syn = None
            while syn is None or not syn.syn:
                syn = _heard(device)
            port = connecting.getsockname()[1]
            assert device.write(_packet(own, 7, here, port, TcpSegment(5, syn.seq + 1, SYN | ACK, 1000)))
            wait_for("the connection", lambda: connecting.connect_ex((own, 7)) in {0, 106})

    def test_numbers_and_errors(self, hosts: Link) -> None:
        with _tun(hosts.client, "10.66.0.2") as one, _tun(hosts.client, "10.66.0.3") as two:
            assert (one.name, two.name) == ("tiopt0", "tiopt1")
            with pytest.raises(OSError, match=r"ip route add 10.66.0.2 dev tiopt1: RTNETLINK answers: File exists"):
                hosts.client.inside(lambda: two.route("10.66.0.2"))
            with pytest.raises(OSError, match="busy"):
                hosts.client.inside(lambda: Tun("tiopt0"))
        with _tun(hosts.client, "10.66.0.2") as again:
            assert again.name == "tiopt0"

    def test_whether_others_reach_it(self, hosts: Link) -> None:
        def both() -> tuple[bool, bool]:
            return forwards("192.0.2.1"), forwards("2001:db8::1")

        hosts.client.set("ipv4/ip_forward", "1")
        hosts.client.set("ipv6/conf/all/forwarding", "0")
        assert hosts.client.inside(both) == (True, False)


def _tun(host: Host, *addresses: str) -> Tun:
    def made() -> Tun:
        device = Tun()
        device.route(*addresses)
        return device

    return host.inside(made)


class Asking:
    """A host that asks by a packet every 10 ms, and is content with three answers; or waits for nothing."""

    def __init__(self, *, timer: bool = True) -> None:
        self.answers: list[bytes] = []
        self.asked = 0
        self._timer = timer
        self._at = 0
        self._due = True

    def packets_to_send(self, now: int) -> list[bytes]:
        if not self._due:
            return []
        self._due, self._at = False, now + 10_000_000
        self.asked += 1
        return [b"?"]

    def receive_packet(self, packet: bytes, now: int) -> None:
        assert now
        self.answers.append(packet)

    def next_timer(self) -> int | None:
        return self._at if self._timer else None

    def handle_timer(self, now: int) -> None:
        self._due = now >= self._at


class Answering:
    """A device at whose other end every packet is answered by two."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self) -> bytes | None:
        try:
            return self._ours.recv(100)
        except BlockingIOError:
            return None

    def write(self, packet: bytes) -> bool:
        self._theirs.send(packet + b"!")
        return self._theirs.send(packet + b"!!") > 0

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def answering() -> Iterator[Answering]:
    device = Answering()
    yield device
    device.close()


def test_a_host_is_driven_until_it_is_done(answering: Answering) -> None:
    host, passed = Asking(), list[bytes]()
    tap: Callable[[int, bytes], object] = lambda _now, packet: passed.append(packet)  # noqa: E731
    drive(host, answering, lambda: len(host.answers) >= 4, tap)
    assert host.answers == [b"?!", b"?!!"] * 2
    assert passed == [b"?", b"?!", b"?!!"] * 2
    assert host.asked == 2


def test_a_host_that_waits_for_nothing_is_not_waited_for(answering: Answering) -> None:
    host = Asking(timer=False)
    drive(host, answering, lambda: False)
    assert host.asked == 1
