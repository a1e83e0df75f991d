"""Three network namespaces: a client, a router that translates addresses and forgets when it is told to, a server.

Nothing that is sent in here leaves the machine, and nothing here outlives the test.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import pack, unpack_from
from typing import IO, NamedTuple

from tests.conftest import needs
from tests.live.namespaces import PATIENCE, Host, ip, wait_for

TIOPT = (sys.executable, "-m", "tioption.cli")
_NETFILTER, _CTNETLINK_DELETE, _REQUEST_ACK = 12, 1 << 8 | 2, 5


class Routed(NamedTuple):
    """The three hosts; the router's address on the server's side is where the client seems to be."""

    client: Host
    router: Host
    server: Host

    def open(self) -> None:
        """Let the server know the way back: nobody translates."""
        ip("-n", self.server.name, "route", "add", "default", "via", self.router.ipv4)
        ip("-n", self.server.name, "-6", "route", "add", "default", "via", self.router.ipv6)

    def masquerade(self, otherwise: str = "") -> None:
        """Let the router translate, and do this with what it knows nothing of: `drop`, `reject with tcp reset`."""
        rule = f"ct state invalid {otherwise};" if otherwise else ""
        self.router.nft(
            "add table inet nat",
            "add chain inet nat out { type nat hook postrouting priority srcnat; }",
            'add rule inet nat out oifname "server" masquerade',
            f"add chain inet nat through {{ type filter hook forward priority filter; {rule} }}",
            f"add chain inet nat here {{ type filter hook input priority filter; {rule} }}",
        )
        # Else conntrack takes a connection it finds in the middle for one it has always known.
        self.router.set("netfilter/nf_conntrack_tcp_loose", "0")

    def forget(self) -> None:
        """Let the router lose all its state."""
        self.router.inside(_flush)

    def strip(self, *segments: str) -> None:
        """Let the kernel's TCPOPTSTRIP take the option from segments: words of iptables that match them."""
        for family in ("iptables", "ip6tables"):
            command = [needs("ip"), "netns", "exec", self.router.name, needs(family), "-t", "mangle", "-A", "FORWARD"]
            target = ["-j", "TCPOPTSTRIP", "--strip-options", "253,254"]
            subprocess.run([*command, "-p", "tcp", *segments, *target], check=True, timeout=PATIENCE)


def _flush() -> None:
    """Delete every entry of the kernel's connection table, as `conntrack -F` does."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as made:
        made.send(pack("=IHHIIBBH", 20, _CTNETLINK_DELETE, _REQUEST_ACK, 1, 0, 0, 0, 0))
        (error,) = unpack_from("=i", made.recv(4096), 16)
        assert error == 0, os.strerror(-error)


@contextmanager
def routed() -> Iterator[Routed]:
    """The three hosts, gone afterwards whatever happens. The server knows no way to the client's own addresses."""
    hosts = Routed(
        Host(f"tiopt-{os.getpid()}-c", "10.79.1.2", "fd79:1::2"),
        Host(f"tiopt-{os.getpid()}-r", "10.79.2.1", "fd79:2::1"),
        Host(f"tiopt-{os.getpid()}-s", "10.79.2.2", "fd79:2::2"),
    )
    client, router, server = hosts
    with ExitStack() as stack:
        for host in hosts:
            ip("netns", "add", host.name)
            stack.callback(ip, "netns", "delete", host.name)  # takes the cables along
            ip("-n", host.name, "link", "set", "lo", "up")
        for host, end in ((client, "client"), (server, "server")):
            peer = ("peer", "name", end, "netns", router.name)
            ip("link", "add", "cable", "netns", host.name, "type", "veth", *peer)
            ip("-n", host.name, "address", "add", f"{host.ipv4}/24", "dev", "cable")
            ip("-n", host.name, "address", "add", f"{host.ipv6}/64", "dev", "cable", "nodad")
            ip("-n", host.name, "link", "set", "cable", "up")
        for end, ipv4, ipv6 in (("client", "10.79.1.1", "fd79:1::1"), ("server", router.ipv4, router.ipv6)):
            ip("-n", router.name, "address", "add", f"{ipv4}/24", "dev", end)
            ip("-n", router.name, "address", "add", f"{ipv6}/64", "dev", end, "nodad")
            ip("-n", router.name, "link", "set", end, "up")
        ip("-n", client.name, "route", "add", "default", "via", "10.79.1.1")
        ip("-n", client.name, "-6", "route", "add", "default", "via", "fd79:1::1")
        router.set("ipv4/ip_forward", "1")
        router.set("ipv6/conf/all/forwarding", "1")
        yield hosts


class Endpoint:
    """`tiopt listen` or `tiopt connect` in a namespace, its input a pipe, its output and what it says in files."""

    def __init__(self, host: Host, folder: Path, *words: str) -> None:
        """Begin; use as a context manager, which ends the process whatever happens."""
        self.log = folder / f"{words[0]}.jsonl"
        self.output = folder / f"{words[0]}.out"
        self._said = folder / f"{words[0]}.said"
        command = [needs("ip"), "netns", "exec", host.name, *TIOPT, *words, "--log", str(self.log)]
        with self.output.open("wb") as out, self._said.open("wb") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=said)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.input.close()

    @property
    def input(self) -> IO[bytes]:
        """Its standard input."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def said(self) -> str:
        """What it has written to standard error."""
        return self._said.read_text()

    def says(self, text: str) -> None:
        """Wait until it has said this."""

        def happened() -> bool:
            assert text in self.said or self.process.poll() is None, self.said
            return text in self.said

        wait_for(text, happened)

    def has_written(self, octets: int) -> None:
        """Wait until so many octets have come out."""
        wait_for(f"{octets} octets", lambda: self.output.stat().st_size >= octets)

    def ends(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(patience)


@contextmanager
def conversing(
    hosts: Routed,
    folder: Path,
    family: socket.AddressFamily = socket.AF_INET,
    *,
    both: Sequence[str] = (),
    client: Sequence[str] = (),
) -> Iterator[tuple[Endpoint, Endpoint]]:
    """`tiopt connect` at the client and `tiopt listen` at the server, told more by words for both, or the client."""
    with Endpoint(hosts.server, folder, "listen", "7000", *both) as there:
        there.says("listening")
        with Endpoint(hosts.client, folder, "connect", hosts.server.address(family), "7000", *both, *client) as here:
            yield here, there


def validated(*captures: Path, status: int = 0) -> str:
    """What `tiopt validate` says of captures, with the exit status expected."""
    command: Sequence[str] = (*TIOPT, "validate", *map(str, captures))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
