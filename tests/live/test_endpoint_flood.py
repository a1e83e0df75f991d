"""`tiopt listen` under two thousand flows and a flood of SYNs: what strangers cost, and whether others notice."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from random import Random
from secrets import randbits, token_bytes
from threading import Thread

from tests.live.namespaces import Link, ip, tcpdump, wait_for
from tests.live.routed import Endpoint
from tioption.capture.segment import SYN
from tioption.endpoint import AsyncHost, FlowWriter, Stack, StackConfig, open_connection
from tioption.endpoint.device import DeviceLink
from tioption.endpoint.wire import TcpSegment, write
from tioption.network import Tun
from tioption.option import FlowOption, Tifid, Variant
from tioption.packet import Ports, write_ip

FLOWS, SYNS, RATE = 2000, 50_000, 8000
CLIENT = "10.66.1.9"
MIB, SECOND = 1 << 20, 1_000_000_000


def _memory(pid: int) -> int:
    """The most memory a process has had, in octets."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _strangers(random: Random, destination: bytes, port: int) -> Iterator[bytes]:
    """SYNs of new flows and resume SYNs of flows that nobody knows, in turns, from all over 10.77.128.0/17."""
    for number in range(2 * SYNS):
        source = bytes([10, 77, random.randrange(128, 256), random.randrange(1, 255)])
        ports = Ports(source, random.randrange(1024, 65536), destination, port)
        first, second = random.randrange(1, 1 << 24), random.randrange(1, 1 << 24) if number % 2 else 0
        tiack = random.getrandbits(48) if second else 0
        option = FlowOption(Variant.FLOW_D, Tifid(first << 24 | second), random.getrandbits(48), tiack)
        syn = TcpSegment(random.getrandbits(32), 0, SYN, 65535, mss=1460, option=option)
        yield write_ip(source, destination, write(ports, syn))


def _flood(packets: list[bytes], destination: str) -> None:
    """Send them at no more than `RATE` a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        begin = time.monotonic()
        for number, packet in enumerate(packets):
            out.sendto(packet, (destination, 0))
            ahead = number / RATE - (time.monotonic() - begin)
            if ahead > 0.01:
                time.sleep(ahead)


class Client:
    """Two thousand conversations with an echo service, from an address of its own."""

    def __init__(self, hosts: Link) -> None:
        """Begin with none; within a running loop."""
        self.modes: Counter[str] = Counter()
        self.right = self.lines = self.resumed = 0
        self._server = hosts.server.ipv4
        device = hosts.client.inside(_device)
        stack = Stack([CLIENT], StackConfig(enabled=True), bits=randbits, secret=token_bytes(16))
        self._host = AsyncHost(stack, DeviceLink(device))
        self._slots = asyncio.Semaphore(50)
        self._flows: list[tuple[asyncio.StreamReader, FlowWriter]] = []

    async def open(self) -> None:
        """Open them all, and have a line echoed on each."""
        await asyncio.gather(*(self._open() for _ in range(FLOWS)))
        await self.echo("before")

    async def _open(self) -> None:
        async with self._slots:
            reader, writer = await open_connection(self._host, self._server, 7)
            self.modes[writer.mode] += 1
            self._flows.append((reader, writer))

    async def echo(self, word: str) -> None:
        """Have a line of its own echoed on each, and count those that come back right."""
        await asyncio.gather(*(self._echo(f"{number} {word}\n", *flow) for number, flow in enumerate(self._flows)))

    async def _echo(self, line: str, reader: asyncio.StreamReader, writer: FlowWriter) -> None:
        async with self._slots:
            writer.write(line.encode())
            right = await asyncio.wait_for(reader.readline(), 60) == line.encode()
            self.right += right
            self.lines += 1

    async def close(self) -> None:
        """End them all in order, and count those that have been resumed meanwhile."""
        for _, writer in self._flows:
            writer.close()
        self.resumed = sum(writer.transports > 1 for _, writer in self._flows)
        await asyncio.gather(*(writer.wait_closed() for _, writer in self._flows))
        self._host.close()


def _device() -> Tun:
    made = Tun("own")
    made.route(CLIENT)
    return made


def test_a_flood_harms_nobody(hosts: Link, tmp_path: Path) -> None:
    """SEC-04, RES-05, EST-16."""
    hosts.client.set("ipv4/ip_forward", "1")
    ip("-n", hosts.server.name, "route", "add", CLIENT, "via", hosts.client.ipv4)
    ip("-n", hosts.server.name, "route", "add", "10.77.128.0/17", "via", hosts.client.ipv4)
    packets = list(_strangers(Random(1), ip_address(hosts.server.ipv4).packed, 7))
    flood = Thread(target=lambda: hosts.client.inside(lambda: _flood(packets, hosts.server.ipv4)))

    async def main() -> tuple[Client, int]:
        client = Client(hosts)
        await client.open()
        before = _memory(server.process.pid)
        flood.start()
        while flood.is_alive():
            await client.echo("meanwhile")
        await client.echo("after")
        await client.close()
        return client, before

    with (
        Endpoint(hosts.server, tmp_path, "listen", "7", "-k", "--exec", "cat", "--quiet") as server,
        tcpdump(hosts.client, tmp_path / "resets.pcap", "-s", "120", only="tcp[13] & 4 != 0") as dump,
    ):
        wait_for("the port to be taken", server.log.exists)
        client, before = asyncio.run(main())
        after = _memory(server.process.pid)
        resets = [one.time_ns for one in dump.segments() if one.time_ns is not None]
    assert client.modes == {"flow": FLOWS}
    assert client.right == client.lines >= 3 * FLOWS
    assert before < 160 * MIB
    assert after - before < 24 * MIB
    # A hundred a second to strangers: here, over every ten seconds, with what the bucket holds.
    begin = min(resets)
    assert max(Counter((one - begin) // (10 * SECOND) for one in resets).values()) <= 1100
