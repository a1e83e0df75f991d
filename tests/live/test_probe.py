"""`tiopt probe` as a user runs it: real kernels, real routers, a server of ours, nftables in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest

from tests.conftest import ROOT, Outcome, needs, needs_root
from tests.live.namespaces import PATIENCE, Host, ip
from tioption.capture import Capture, Segment
from tioption.endpoint.config import StackConfig
from tioption.endpoint.stack import Stack
from tioption.middlebox import Middlebox, parse_chain
from tioption.network import RawPorts, drive
from tioption.option import Variant

LEGACY, SPEAKING, SPEAKING_C, CLOSED, ECHOING, MUTE = 8080, 443, 444, 81, 7, 9
"""Ports of the server: the kernel's own listener, two of ours, one where nobody listens, and two that do not tell: a
stack that repeats the SYN's options, and one that speaks but whose SYN-ACKs lose the option."""


class Net(NamedTuple):
    """Client, first, second, server: each a namespace with a cable to the next; the two in the middle forward."""

    client: Host
    first: Host
    second: Host
    server: Host

    def filtered(self, *rules: str) -> None:
        """What the first router does to packets it forwards, and nothing else."""
        self.first.nft("flush chain inet path forward", *(f"add rule inet path forward {rule}" for rule in rules))


def _cable(stack: ExitStack, hosts: tuple[Host, Host], number: int) -> None:
    """A cable with the addresses .1 and .2 of a network of its own."""
    ends = f"to{number + 1}", f"to{number}"
    ip("link", "add", ends[0], "netns", hosts[0].name, "type", "veth", "peer", "name", ends[1], "netns", hosts[1].name)
    for end, (host, device) in enumerate(zip(hosts, ends, strict=True), 1):
        ip("-n", host.name, "address", "add", f"10.79.{number}.{end}/24", "dev", device)
        ip("-n", host.name, "address", "add", f"fd79:{number}::{end}/64", "dev", device, "nodad")
        ip("-n", host.name, "link", "set", device, "up")


@contextmanager
def routed() -> Iterator[Net]:
    """The four hosts, gone afterwards."""
    name = f"tiopt-{os.getpid()}-p"
    net = Net(
        Host(f"{name}0", "10.79.0.1", "fd79:0::1"),
        Host(f"{name}1", "10.79.0.2", "fd79:0::2"),
        Host(f"{name}2", "10.79.1.2", "fd79:1::2"),
        Host(f"{name}3", "10.79.2.2", "fd79:2::2"),
    )
    with ExitStack() as stack:
        for host in net:
            ip("netns", "add", host.name)
            stack.callback(ip, "netns", "delete", host.name)
            ip("-n", host.name, "link", "set", "lo", "up")
            for which in ("all", "default"):  # an address being checked for duplicates answers nobody for a second
                host.set(f"ipv6/conf/{which}/accept_dad", "0")
        for number in range(3):
            _cable(stack, (net[number], net[number + 1]), number)
        for number, host in enumerate(net):
            for prefix, to in (("10.79.{}.{}", "0.0.0.0/0"), ("fd79:{}::{}", "::/0")):
                if number < 3:
                    ip("-n", host.name, "route", "add", to, "via", prefix.format(number, 2))
                if number > 1:
                    back = "10.79.0.0/24" if "." in prefix else "fd79:0::/64"
                    if number == 3:
                        back = to
                    ip("-n", host.name, "route", "add", back, "via", prefix.format(number - 1, 1))
        for router in (net.first, net.second):
            router.set("ipv4/ip_forward", "1")
            router.set("ipv6/conf/all/forwarding", "1")
            router.set("ipv4/icmp_ratelimit", "0")  # many probes in a few seconds
            router.set("ipv6/icmp/ratelimit", "0")
        net.first.nft("add table inet path", "add chain inet path forward { type filter hook forward priority 0; }")
        yield net


class Serving:
    """A stack that is driven until it is told to stop, behind a box on the same machine."""

    def __init__(self, stack: Stack, box: Middlebox) -> None:
        self.stack = stack
        self.box = box
        self.stop = Event()

    def packets_to_send(self, now: int) -> list[bytes]:
        packets = self.stack.packets_to_send(now)
        return [out.packet for packet in packets for out in self.box.process(packet, "ba", now)]

    def receive_packet(self, packet: bytes, now: int) -> None:
        for out in self.box.process(packet, "ab", now):
            self.stack.receive_packet(out.packet, now)

    def next_timer(self) -> int | None:
        soon = time.time_ns() + 50_000_000
        timer = self.stack.next_timer()
        return soon if timer is None else min(timer, soon)

    def handle_timer(self, now: int) -> None:
        self.stack.handle_timer(now)


@contextmanager
def ours(host: Host, ports: dict[int, Variant], *boxes: str, enabled: bool = True) -> Iterator[Stack]:
    """A host of ours at ports of both addresses of a namespace."""

    def claimed() -> RawPorts:
        device = RawPorts()
        for address in (host.ipv4, host.ipv6):
            for port in ports:
                device.claim(address, port)
        return device

    random = Random(11)
    config = StackConfig(enabled=enabled)
    stack = Stack([host.ipv4, host.ipv6], config, bits=random.getrandbits, secret=random.randbytes(16))
    for port, variant in ports.items():
        stack.listen(port, variant=variant)
    device = host.inside(claimed)
    serving = Serving(stack, parse_chain(boxes, random))
    thread = Thread(target=lambda: drive(serving, device, serving.stop.is_set))
    thread.start()
    try:
        yield stack
    finally:
        serving.stop.set()
        thread.join(PATIENCE)
        device.close()


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    needs_root()
    needs("nft")
    with routed() as made, ExitStack() as stack:
        for family in (socket.AF_INET, socket.AF_INET6):
            stack.enter_context(made.server.listen(family, LEGACY))
        stack.enter_context(ours(made.server, {SPEAKING: Variant.FLOW_D, SPEAKING_C: Variant.FLOW_C}))
        stack.enter_context(ours(made.server, {ECHOING: Variant.FLOW_D}, "echo", enabled=False))
        stack.enter_context(ours(made.server, {MUTE: Variant.FLOW_D}, "strip:segment=syn-ack"))
        yield made


def command(net: Net, *words: object) -> list[str]:
    inside = [needs("ip"), "netns", "exec", net.client.name]
    return [*inside, sys.executable, "-m", "tioption.cli", "probe", *map(str, words)]


def tiopt(net: Net, *words: object) -> Outcome:
    """The command, at the client."""
    done = subprocess.run(command(net, *words), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def rows(net: Net, *words: object) -> list[dict[str, Any]]:
    status, out, err = tiopt(net, *words, "--format", "json")
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def verdicts(found: list[dict[str, Any]]) -> list[str]:
    return [row["verdict"] for row in found]


SYN = "tcp flags & (syn|ack) == syn"
SYN_ACK = "tcp flags & (syn|ack) == (syn|ack)"
ACK = "tcp flags & (syn|ack) == ack"


@pytest.fixture(params=["IPv4", "IPv6"])
def address(request: pytest.FixtureRequest, net: Net) -> str:
    return net.server.ipv6 if request.param == "IPv6" else net.server.ipv4


@pytest.mark.parametrize(
    ("rules", "port", "expected"),
    [
        ((), SPEAKING, ["speaks", "declined"]),
        ((), SPEAKING_C, ["declined", "speaks"]),
        ((), LEGACY, ["legacy", "legacy"]),
        ((), CLOSED, ["closed"]),
        ((), ECHOING, ["echo", "echo"]),
        ((), MUTE, ["stripped-syn-ack", "stripped-syn-ack"]),
        ((f"{SYN} reset tcp option 253",), SPEAKING, ["stripped-syn", "stripped-syn-ack"]),
        ((f"{SYN} reset tcp option 253", f"{SYN} reset tcp option 254"), LEGACY, ["stripped-syn", "stripped-syn"]),
        ((f"{SYN_ACK} reset tcp option 253",), SPEAKING, ["stripped-syn-ack", "stripped-syn-ack"]),
        ((f"{ACK} reset tcp option 254",), SPEAKING_C, ["declined", "stripped-ack"]),
        (("tcp option 253 exists reject with tcp reset",), SPEAKING, ["refused", "stripped-syn-ack"]),
    ],
    ids=str,
)
def test_verdicts(net: Net, address: str, rules: tuple[str, ...], port: int, expected: list[str]) -> None:
    net.filtered(*rules)
    found = rows(net, address, port)
    assert verdicts(found) == expected
    assert {row["port"] for row in found} == {port}
    assert all(row["packets"] <= 25 for row in found)


def test_dropped_syns_and_where(net: Net) -> None:
    net.filtered("tcp option 253 exists drop")
    (row,) = rows(net, net.server.ipv4, SPEAKING, "--variant", "flow-d", "--hops", 2)
    assert row["verdict"] == "dropped"
    assert "behind hop 1 (10.79.0.2)" in row["text"]
    assert [hop["option"] for hop in row["hops"]] == ["intact", None]


def test_prohibited_by_a_router(net: Net) -> None:
    net.filtered("tcp option 253 exists reject with icmpx admin-prohibited")
    (row,) = rows(net, net.server.ipv4, SPEAKING, "--variant", "flow-d")
    assert row["verdict"] == "refused"
    assert row["syn"]["icmp"] == "administratively prohibited"
    assert row["syn"]["by"] == net.first.ipv4


def test_a_host_that_is_not_there_and_a_network_that_is_not(net: Net) -> None:
    net.filtered()
    ip("-n", net.client.name, "route", "add", "unreachable", "10.99.0.0/16")
    (row,) = rows(net, "10.79.2.77", 443)
    assert (row["verdict"], row["variant"], row["control"]["answer"]) == ("unreachable", None, "icmp")
    assert row["text"] == "The target cannot be reached: 10.79.1.2 reports host unreachable."
    (row,) = rows(net, "10.99.0.1", 443)
    assert (row["verdict"], row["source"], row["packets"]) == ("unreachable", None, 0)
    assert row["text"] == "This machine cannot send there: no route to host."


def test_hops_are_those_of_the_network(net: Net) -> None:
    net.filtered()
    (row,) = rows(net, net.server.ipv4, LEGACY, "--variant", "flow-c")
    assert [(hop["hop"], hop["address"], hop["option"]) for hop in row["hops"]] == [
        (1, "10.79.0.2", "intact"),
        (2, "10.79.1.2", "intact"),
        (3, "10.79.2.2", None),
    ]
    assert row["notes"] == ["The SYN's option was seen to arrive at hop 2 of 3."]


def test_a_kernel_s_answer_is_not_disturbed_by_ours(net: Net) -> None:
    """Nothing is left at the server: no half-open connection of the kernel's, none that waits to be accepted."""
    net.filtered()
    rows(net, net.server.ipv4, LEGACY)
    listed = subprocess.run(
        [needs("ip"), "netns", "exec", net.server.name, needs("ss"), "-tanH", f"sport = :{LEGACY}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["LISTEN", "LISTEN"]


def test_the_recording_is_what_was_sent_and_heard(net: Net, tmp_path: Path) -> None:
    net.filtered()
    path = tmp_path / "probe.pcap"
    found = rows(net, net.server.ipv4, SPEAKING, "--variant", "flow-d", "--pcap", path)
    with Capture(str(path)) as capture:
        segments = [one for one in capture.segments() if isinstance(one, Segment)]
    client = socket.inet_aton(net.client.ipv4)
    assert sum(one.src == client for one in segments) == found[0]["packets"] == 7
    options = [option.flow for one in segments for option in one.walk_options() if option.flow is not None]
    assert [str(one.tifid)[:6] for one in options] == [found[0]["syn"]["tifid"][:6]] * 5
    judged = subprocess.run(
        [sys.executable, "-m", "tioption.cli", "validate", path], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert judged.returncode == 0, judged.stdout  # a probe keeps every rule


def test_lines_for_people(net: Net) -> None:
    net.filtered()
    status, out, err = tiopt(net, net.server.ipv4, SPEAKING, CLOSED, "--variant", "flow-d")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == (
        "10.79.2.2:443  flow-d  speaks: The host speaks flow-d, and the path lets the option through in the SYN, "
        "the SYN-ACK and the ACK."
    )
    assert [line.split("  ")[2] for line in lines[1:5]] == ["control", "SYN", "ACK", "resume"]
    assert lines[5].startswith("    7 packets sent to 10.79.2.2:443 in ")
    assert lines[6].startswith("10.79.2.2:81  closed: ")


def test_both_families_of_a_name(net: Net) -> None:
    """Names of a namespace stand in /etc/netns/NAME/hosts, which `ip netns exec` puts over /etc/hosts."""
    net.filtered()
    folder = Path("/etc/netns", net.client.name)
    folder.mkdir(parents=True)
    try:
        (folder / "hosts").write_text(f"{net.server.ipv4} probed.test\n{net.server.ipv6} probed.test\n")
        found = rows(net, "probed.test", CLOSED)
        assert {row["address"] for row in found} == {net.server.ipv4, net.server.ipv6}
        assert {row["host"] for row in found} == {"probed.test"}
        (row,) = rows(net, "-6", "probed.test", CLOSED)
        assert row["address"] == net.server.ipv6
    finally:
        (folder / "hosts").unlink()
        folder.rmdir()
        with suppress(OSError):
            folder.parent.rmdir()


def test_ctrl_c_ends_it_quietly(net: Net) -> None:
    process = subprocess.Popen(
        command(net, "10.79.2.78", 443), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")


def test_a_firewall_of_the_machine_itself_is_named(net: Net) -> None:
    net.client.nft("add table inet own", "add chain inet own out { type filter hook output priority 0; }")
    try:
        net.client.nft("add rule inet own out tcp option 253 exists drop")
        status, out, err = tiopt(net, net.server.ipv4, SPEAKING, "--variant", "flow-d", "--timeout", 1)
    finally:
        net.client.nft("delete table inet own")
    assert (status, out.split()[2]) == (0, "inconclusive:")
    assert "1 packet was not taken by this machine's kernel" in err


def test_without_the_capability_the_fix_is_said(net: Net) -> None:
    nobody = [needs("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    inside = [needs("ip"), "netns", "exec", net.client.name, *nobody, sys.executable, "-m", "tioption.cli"]
    done = subprocess.run(
        [*inside, "probe", net.server.ipv4, "443"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if "Permission denied" in done.stderr or "No module named" in done.stderr:
        pytest.skip("nobody may not run this Python")
    assert (done.returncode, done.stdout) == (4, "")
    assert "needs the capability CAP_NET_RAW: run tiopt with sudo" in done.stderr
    assert "setcap cap_net_raw+ep" in done.stderr
