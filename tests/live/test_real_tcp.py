"""What Linux itself sends breaks no rule and holds no flow option: connections of the real kernel, seen by tcpdump."""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Outcome, needs, needs_root
from tests.live.namespaces import PATIENCE, Dump, Link, link, tcpdump
from tioption.capture.segment import ACK, FIN, RST, SYN, Segment

Run = Callable[..., Outcome]
Family = socket.AddressFamily
PORT = 7777

BOTH_FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def hosts() -> Iterator[Link]:
    needs_root()
    for program in ("tcpdump", "nft"):
        needs(program)
    with link() as made:
        yield made


@pytest.fixture
def dump(hosts: Link, tmp_path: Path) -> Iterator[Dump]:
    """The capture at the server, where a segment is seen before its firewall drops it."""
    with tcpdump(hosts.server, tmp_path / "live.pcap") as made:
        yield made


def flagged(segments: list[Segment], flags: int, mask: int = SYN | ACK | FIN | RST) -> list[Segment]:
    """The segments with these flags; PSH and what congestion control says in flags is nobody's concern here."""
    return [segment for segment in segments if segment.flags & mask == flags]


def closed(connections: int = 1) -> Callable[[list[Segment]], bool]:
    """Whether as many connections were closed in both directions and the last segment is an acknowledgment."""
    return lambda seen: len(flagged(seen, FIN, FIN)) >= 2 * connections and not seen[-1].flags & (SYN | FIN | RST)


def exchange(client: socket.socket, server: socket.socket) -> None:
    """Data both ways, more than a segment holds, and an orderly close by the client."""
    for sender, receiver, octets in ((client, server, b"question" * 1000), (server, client, b"answer" * 2000)):
        sender.sendall(octets)
        assert receiver.recv(len(octets), socket.MSG_WAITALL) == octets
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""


def judged_as(dump: Dump, tiopt: Run, *verdicts: tuple[str, str]) -> None:
    """The verdicts and no finding, no flow option, and every segment printed as tcpdump prints it."""
    status, out, err = tiopt("validate", "--format", "json", dump.path)
    *rows, summary = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [(row["type"], row["verdict"], row["reason"]) for row in rows] == [("connection", *one) for one in verdicts]
    assert [row["findings"] for row in rows] == [[]] * len(verdicts)
    assert (summary["violations"], summary["warnings"], summary["notes"]) == (0, 0, 0)
    assert tiopt("decode", "--format", "json", dump.path) == (0, "", "")
    theirs = subprocess.run(
        [needs("tcpdump"), "-n", "-r", dump.path], capture_output=True, text=True, check=True
    ).stdout
    assert tiopt("decode", "--all", "--format", "text", dump.path).out == theirs


@BOTH_FAMILIES
def test_a_plain_connection(hosts: Link, dump: Dump, tiopt: Run, family: Family) -> None:
    with hosts.server.listen(family, PORT) as listener, hosts.client.tcp(family) as client:
        client.connect((hosts.server.address(family), PORT))
        server, _ = listener.accept()
        with server:
            exchange(client, server)
        dump.wait("the connection to close", closed())
    judged_as(dump, tiopt, ("legacy", "no-option-in-syn"))


@BOTH_FAMILIES
def test_a_refused_connection(hosts: Link, dump: Dump, tiopt: Run, family: Family) -> None:
    with hosts.client.tcp(family) as client, pytest.raises(ConnectionRefusedError):
        client.connect((hosts.server.address(family), PORT))
    dump.wait("the RST", lambda seen: bool(flagged(seen, RST, RST)))
    judged_as(dump, tiopt, ("incomplete", "reset"))


def test_a_syn_that_is_sent_again(hosts: Link, dump: Dump, tiopt: Run) -> None:
    family = socket.AF_INET
    chain = "add chain inet tiopt drops { type filter hook input priority 0 ; }"
    hosts.server.nft("add table inet tiopt", chain, f"add rule inet tiopt drops tcp dport {PORT} drop")
    try:
        with hosts.server.listen(family, PORT) as listener, hosts.client.tcp(family) as client:
            client.setblocking(False)
            assert client.connect_ex((hosts.server.address(family), PORT)) != 0
            dump.wait("the first SYN", lambda seen: bool(flagged(seen, SYN)))
            hosts.server.nft("delete table inet tiopt")
            assert select.select([], [client], [], PATIENCE)[1]
            client.setblocking(True)
            server, _ = listener.accept()
            with server:
                exchange(client, server)
            dump.wait("the connection to close", closed())
    finally:
        hosts.server.nft("flush ruleset")
    first, second, *_ = flagged(dump.segments(), SYN)
    assert (first.sport, first.seq) == (second.sport, second.seq)
    judged_as(dump, tiopt, ("legacy", "no-option-in-syn"))


@BOTH_FAMILIES
def test_a_reset_in_mid_connection(hosts: Link, dump: Dump, tiopt: Run, family: Family) -> None:
    with hosts.server.listen(family, PORT) as listener, hosts.client.tcp(family) as client:
        client.connect((hosts.server.address(family), PORT))
        server, _ = listener.accept()
        with server:
            client.sendall(b"question")
            assert server.recv(8, socket.MSG_WAITALL) == b"question"
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        dump.wait("the RST", lambda seen: bool(flagged(seen, RST, RST)))
    judged_as(dump, tiopt, ("legacy", "no-option-in-syn"))


@BOTH_FAMILIES
def test_fast_open(hosts: Link, dump: Dump, tiopt: Run, family: Family) -> None:
    for host in hosts:
        host.set("ipv4/tcp_fastopen", "3")  # client and server; of IPv6, too
    with hosts.server.listen(family, PORT, fast_open=True) as listener:
        for connection in (1, 2):  # the first fetches the cookie that the second sends
            with hosts.client.tcp(family) as client:
                address = (hosts.server.address(family), PORT)
                assert client.sendto(b"question", socket.MSG_FASTOPEN, address) == 8
                server, _ = listener.accept()
                with server:
                    assert server.recv(8, socket.MSG_WAITALL) == b"question"
                    exchange(client, server)
                dump.wait("the connection to close", closed(connection))
    asking, opening = flagged(dump.segments(), SYN)
    assert b"\x22\x02" in asking.options  # Fast Open, empty
    assert asking.payload_length == 0
    assert b"\x22\x0a" in opening.options  # Fast Open with a cookie of 8 octets
    assert opening.payload_length == 8
    judged_as(dump, tiopt, *[("legacy", "no-option-in-syn")] * 2)
