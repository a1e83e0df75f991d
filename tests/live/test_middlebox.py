"""Boxes held against the kernel's own: TCP through a live path, nftables beside the same box of ours."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from random import Random
from threading import Thread
from typing import NamedTuple
from zlib import crc32

import pytest

from tests.conftest import needs, needs_root
from tests.live.namespaces import PATIENCE, Host, ip
from tests.middlebox.packets import A, packet
from tests.middlebox.test_firewall import BOUNDS, SCALED
from tests.middlebox.test_sequence import sack
from tioption.build.catalogue import SCENARIOS
from tioption.capture.segment import ACK, RST, SYN
from tioption.middlebox import Path, Way, parse_chain
from tioption.middlebox.live import Counts, run
from tioption.middlebox.packet import Packet
from tioption.network import Tun
from tioption.option import DEFAULT_KINDS, Kinds

MEGABYTE = 1_000_000
_TCPI_OPTIONS = 5
"""Where in struct tcp_info the negotiated options stand; bit 0 is timestamps, bit 2 window scaling."""


# A path between two TUN devices.


class Ends(NamedTuple):
    """Two hosts with a path of ours between them."""

    client: Host
    server: Host
    counts: list[Counts]


@contextmanager
def path(specs: Sequence[str], kinds: Kinds = DEFAULT_KINDS) -> Iterator[Ends]:
    """Two namespaces, a TUN device in each, and a thread that carries packets between them; all gone afterwards."""
    ends = Ends(
        Host(f"tiopt-{os.getpid()}-ta", "10.78.0.1", "fd78::1"),
        Host(f"tiopt-{os.getpid()}-tb", "10.78.0.2", "fd78::2"),
        [],
    )
    with ExitStack() as stack:
        devices = []
        for host in ends[:2]:
            ip("netns", "add", host.name)
            stack.callback(ip, "netns", "delete", host.name)
            devices.append(stack.enter_context(host.inside(lambda: Tun("path"))))
            ip("-n", host.name, "address", "add", f"{host.ipv4}/24", "dev", "path")
            ip("-n", host.name, "address", "add", f"{host.ipv6}/64", "dev", "path", "nodad")
            ip("-n", host.name, "link", "set", "path", "up")
        stop, stopping = os.pipe()
        stack.callback(os.close, stop)
        boxes = Path(parse_chain(specs, Random(1), kinds).boxes)
        thread = Thread(target=lambda: ends.counts.append(run(boxes, devices[0], devices[1], stop)))
        thread.start()
        stack.callback(thread.join, PATIENCE)
        stack.callback(os.close, stopping)
        yield ends


@pytest.fixture(autouse=True)
def root() -> None:
    needs_root()
    if not os.path.exists("/dev/net/tun"):  # noqa: PTH110
        pytest.skip("this machine has no TUN devices")


def options_of(connection: socket.socket) -> int:
    """The options the kernel has negotiated, as bits."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[_TCPI_OPTIONS]


@contextmanager
def connected(ends: Ends, family: socket.AddressFamily) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection of the kernel's TCP over the path: the client's socket, the server's."""
    with ends.server.listen(family, 7777) as listener, ends.client.tcp(family) as client:
        client.connect((ends.server.address(family), 7777))
        server, _ = listener.accept()
        with server:
            yield client, server


def transfer(sender: socket.socket, receiver: socket.socket) -> None:
    """A megabyte arrives as it was sent."""
    octets = Random(MEGABYTE).randbytes(MEGABYTE)
    thread = Thread(target=sender.sendall, args=(octets,))
    thread.start()
    received = bytearray()
    while len(received) < MEGABYTE and (piece := receiver.recv(1 << 16)):
        received += piece
    thread.join(PATIENCE)
    assert sha256(received).digest() == sha256(octets).digest()


HARMLESS = [
    [],
    ["delay:2ms,jitter=1ms"],
    ["strip", "overwrite", "echo"],
    ["isn"],
    ["timestamps:rewrite", "mss:1000"],
    ["split:500", "coalesce:16384"],
    ["coalesce:16384"],
    ["firewall", "window"],
    ["syn-proxy"],
    ["ack-proxy"],
    ["reorder:2%,by=3ms", "duplicate:5%"],
    ["lose:1%"],
    ["flip:1%"],
    ["delay:1ms", "isn", "coalesce", "isn:ba", "split:700", "window"],
]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("specs", HARMLESS, ids=lambda specs: "+".join(specs) or "nothing")
def test_the_kernels_tcp_gets_through(specs: list[str], family: socket.AddressFamily) -> None:
    with path(specs) as ends, connected(ends, family) as (client, server):
        transfer(client, server)
        transfer(server, client)
    (counts,) = ends.counts
    assert min(counts.entered.values()) > 100
    assert min(counts.arrived.values()) > 100
    assert counts.overflow == 0


@pytest.mark.parametrize("specs", [["nat:address=10.78.0.77"], ["nat:address=10.78.0.77,ports=random", "isn"]])
def test_the_kernels_tcp_gets_through_a_nat(specs: list[str]) -> None:
    with path(specs) as ends, connected(ends, socket.AF_INET) as (client, server):
        host, port = server.getpeername()
        assert host == "10.78.0.77"
        assert (port == client.getsockname()[1]) == ("random" not in specs[0])
        transfer(client, server)


def test_a_nat_that_forgets_resets_the_kernels_connection() -> None:
    def until_reset(client: socket.socket) -> None:
        for _ in range(1000):
            client.sendall(b"x")
            time.sleep(0.001)

    with (
        path(["nat:address=10.78.0.77,after=40,how=rst"]) as ends,
        connected(ends, socket.AF_INET) as (client, _),
        pytest.raises(ConnectionResetError),
    ):
        until_reset(client)


@pytest.mark.parametrize("segment", ["syn", "syn-ack"])
def test_a_stripped_option_is_not_negotiated(segment: str) -> None:
    """Kind 8 in place of the flow option's: without it in the SYN or the SYN-ACK neither kernel has timestamps."""
    for specs, kinds, timestamps in (
        ([f"strip:segment={segment}"], Kinds(8, 254), 0),
        ([f"overwrite:nop,segment={segment}"], Kinds(8, 254), 0),
        ([f"strip:segment={segment}"], DEFAULT_KINDS, 1),
    ):
        with path(specs, kinds) as ends, connected(ends, socket.AF_INET) as (client, server):
            transfer(client, server)
            assert options_of(client) & 1 == timestamps
            if segment == "syn" or timestamps:
                assert options_of(server) & 1 == timestamps


def test_a_delay_is_as_long_as_it_was_to_be() -> None:
    with path(["delay:100ms"]) as ends:
        begin = time.monotonic()
        with connected(ends, socket.AF_INET):
            assert time.monotonic() - begin >= 0.2


def test_devices_are_gone_afterwards_and_names_are_not_shared() -> None:
    with path([]) as ends:
        with pytest.raises(OSError, match="busy"):
            ends.client.inside(lambda: Tun("path"))
        name = ends.client.name
    listed = subprocess.run([needs("ip"), "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert name not in listed


# The same frames through the kernel's box and through ours.

_A, _B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
_ETH_P_ALL = 3


class Router(NamedTuple):
    """A namespace that forwards, with a cable on either side of which frames are put and taken."""

    host: Host
    far: Host
    """The namespace with both far ends, which have no addresses: nothing there answers."""
    sockets: dict[Way, tuple[socket.socket, socket.socket]]
    """Where packets of a way are put in, and where they come out."""
    macs: dict[Way, bytes]

    def pass_on(self, packet: bytes, way: Way, patience: float) -> list[tuple[Way, bytes]]:
        """What comes out because of a packet, on both ways; waits until it has come, or for `patience` seconds."""
        into, _ = self.sockets[way]
        into.send(self.macs[way] + b"\x08\x00" + packet)
        found: list[tuple[Way, bytes]] = []
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and not any(on == way for on, _ in found):
            ways: tuple[Way, Way] = "ab", "ba"
            for on in ways:
                try:
                    frame, address = self.sockets[on][1].recvfrom(65536)
                except BlockingIOError:
                    continue
                # What this side put in itself is heard, too: it is outgoing.
                if address[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00" and frame[23] == 6:
                    found.append((on, frame[14:]))
            time.sleep(0.0005)
        return found


@contextmanager
def router() -> Iterator[Router]:
    """The router, gone afterwards."""
    host = Host(f"tiopt-{os.getpid()}-router", "", "")
    far = Host(f"tiopt-{os.getpid()}-far", "", "")
    with ExitStack() as stack:
        for one in (host, far):
            ip("netns", "add", one.name)
            stack.callback(ip, "netns", "delete", one.name)
        sockets: dict[str, socket.socket] = {}
        macs: dict[str, bytes] = {}
        for side, mac, address, net, neighbour in (
            ("a", _A, "192.0.2.254/24", "192.0.2.1", "192.0.2.1"),
            ("b", _B, "203.0.113.1/24", "198.51.100.0/24", "203.0.113.2"),
        ):
            near = f"02:00:00:00:01:0{side}"
            peer = ("peer", "name", f"far{side}", "address", mac, "netns", far.name)
            ip("link", "add", f"near{side}", "address", near, "netns", host.name, "type", "veth", *peer)
            for name, device in ((host.name, f"near{side}"), (far.name, f"far{side}")):
                ip("-n", name, "link", "set", device, "up")
            ip("-n", host.name, "link", "set", f"near{side}", "mtu", "9000")  # some scenarios have long segments
            ip("-n", far.name, "link", "set", f"far{side}", "mtu", "9000")
            ip("-n", host.name, "address", "add", address, "dev", f"near{side}")
            ip("-n", host.name, "neighbour", "add", neighbour, "lladdr", mac, "dev", f"near{side}")
            if side == "b":
                ip("-n", host.name, "route", "add", net, "via", neighbour)
            macs[side] = bytes.fromhex(near.replace(":", "")) + bytes.fromhex(mac.replace(":", ""))

            def opened(device: str = f"far{side}") -> socket.socket:
                made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
                made.bind((device, 0))
                made.setblocking(False)
                return made

            sockets[side] = stack.enter_context(far.inside(opened))
        host.set("ipv4/ip_forward", "1")
        for name in ("all", "neara", "nearb"):
            host.set(f"ipv4/conf/{name}/rp_filter", "0")
        yield Router(
            host,
            far,
            {"ab": (sockets["a"], sockets["b"]), "ba": (sockets["b"], sockets["a"])},
            {"ab": macs["a"], "ba": macs["b"]},
        )


def forwarded(packet: bytes) -> bytes:
    """A packet without what every router changes: the time to live, and with it the header checksum."""
    return packet[:8] + b"\0" + packet[9:10] + b"\0\0" + packet[12:]


def told(packet: bytes) -> tuple[object, ...]:
    """What matters of a segment a box has made."""
    segment = Packet.parse(packet)
    assert segment is not None
    return segment.ends, segment.flags, segment.seq, segment.ack if segment.flags & ACK else 0, segment.payload


def table(*rules: str, family: str = "inet", hook: str = "filter hook forward priority 0") -> str:
    """A table with rules for what is forwarded."""
    return f"table {family} t {{\n chain c {{\n type {hook}\n" + "\n".join(rules) + "\n }\n}"


STRIP = ["reset tcp option 253", "reset tcp option 254"]
_SYN, _SYN_ACK = "tcp flags & (syn | ack) == syn", "tcp flags & (syn | ack) == syn | ack"
INVALID = table("ct state invalid drop")
WHOLE = ["established", "resume", "resume-twice", "flow-c", "legacy-responder"]


def ruled(router: Router, rules: str) -> None:
    """Put rules in place of those before."""
    command = [needs("ip"), "netns", "exec", router.host.name, needs("nft"), "-f", "-"]
    text = f"flush ruleset\n{rules}\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        pytest.skip(f"this nftables or kernel has no such rule: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def kernel() -> Iterator[Router]:
    needs_root()
    needs("nft")
    with router() as made:
        yield made


@pytest.mark.parametrize(
    ("rules", "spec", "names"),
    [
        (table(*STRIP), "overwrite:nop", WHOLE),
        (table(*(f"{_SYN_ACK} {rule}" for rule in STRIP)), "overwrite:nop,segment=syn-ack", WHOLE),
        (
            table("oifname nearb masquerade", family="ip", hook="nat hook postrouting priority srcnat"),
            "nat:address=203.0.113.1",
            WHOLE,
        ),
        (INVALID, "window", WHOLE),
        (table(f"{_SYN} tcp option 253 exists drop"), "drop-unknown", ["legacy-initiator", "resume"]),
    ],
    ids=["strip", "strip from SYN-ACKs", "masquerade", "conntrack", "drop unknown"],
)
@pytest.mark.parametrize("seed", [3, 4])
def test_the_kernels_box_does_the_same(kernel: Router, rules: str, spec: str, names: list[str], seed: int) -> None:
    ruled(kernel, rules)
    for name in names:
        # Ports and numbers of their own: conntrack remembers what earlier tests have sent.
        talk = SCENARIOS[name].conversation(crc32(f"{rules} {name} {seed}".encode()))
        ours = Path(parse_chain([spec], Random(1)).boxes)
        for observed in talk.observed:
            way: Way = "ab" if observed.sent.side == "A" else "ba"
            raw = ours.as_answer(observed.sent.frame[14:], way)
            ours.enter(raw, way, observed.sent.time_ns)
            expected = [(one.way, forwarded(one.packet)) for one in ours.advance()]
            found = kernel.pass_on(raw, way, PATIENCE if expected else 0.05)
            assert [(on, forwarded(one)) for on, one in found] == expected


Step = tuple[Way, int, int, int, bytes, bytes]
"""A segment: its way, flags, numbers, payload, options."""


def test_conntrack_drops_what_our_window_drops(kernel: Router) -> None:
    """Segments inside and outside of the windows, at their very edges, and what the box has learnt of them."""
    release = tuple(int(number) for number in os.uname().release.split(".")[:2])
    if release < (6, 12):
        pytest.skip("older kernels judge late segments and overshoots otherwise (`strict`)")
    ruled(kernel, INVALID)
    probes: list[list[Step]] = [[(way, ACK, seq, ack, bytes(length), b"")] for way, seq, ack, length, *_ in BOUNDS]
    probes += [[("ba", ACK, 501, 101, b"", sack(101 + off, 102 + off))] for off in (-1, 0, 1, 50)]
    probes += [[("ba", RST, 501 + off, 0, b"", b"")] for off in (0, 4001, 90_000)]
    probes += [
        [("ab", ACK, 1102, 501, b"x", b""), ("ba", ACK, 501, 1103, b"", b""), ("ba", ACK, 501, 1104, b"", b"")],
    ]
    for number, probe in enumerate(probes):
        ours = parse_chain(["window"], Random(1))
        client = A._replace(port=30000 + number)
        steps: list[Step] = [
            ("ab", SYN, 100, 0, b"", SCALED),
            ("ba", SYN | ACK, 500, 101, b"", SCALED),
            ("ab", ACK, 101, 501, b"", b""),
            *probe,
        ]
        for way, flags, seq, ack, payload, options in steps:
            raw = packet(way, flags, seq, ack, client=client, payload=payload, options=options, window=1000)
            left = ours.process(raw, way, 0)
            found = kernel.pass_on(raw, way, PATIENCE if left else 0.05)
            assert (number, way, seq, ack, len(found)) == (number, way, seq, ack, len(left))


def test_reject_with_tcp_reset_sends_our_reset(kernel: Router) -> None:
    ruled(kernel, table("reject with tcp reset"))
    talk = SCENARIOS["established"].conversation(9)
    ours = parse_chain(["firewall:how=rst,timeout=0ns,after=1"], Random(1)).boxes[0]
    for observed in talk.observed:
        way: Way = "ab" if observed.sent.side == "A" else "ba"
        raw = observed.sent.frame[14:]
        segment = Packet.parse(raw)
        assert segment is not None
        reset = segment.reset()
        assert reset is not None
        expected = [("ba" if way == "ab" else "ab", told(reset.encode()))]
        if not segment.flags & SYN or segment.flags & ACK:  # a SYN opens a connection for a firewall of ours
            assert [(one.way, told(one.packet)) for one in ours.process(raw, way, 0)] == expected
        found = kernel.pass_on(raw, way, 0.05)
        assert [(on, told(one)) for on, one in found] == expected
