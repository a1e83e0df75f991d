"""`tiopt listen` and `tiopt connect` through a real NAT that loses its state, and over a change of address."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.live.namespaces import ip, tcpdump
from tests.live.routed import Routed, conversing, routed, validated

HALF = 400_000
FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _transfer(
    hosts: Routed, folder: Path, family: socket.AddressFamily, breaks: int, lose: Callable[[], object]
) -> tuple[str, str]:
    """Transfer both ways, and `lose` in the middle, so often; returns what both endpoints said."""
    random = Random(5)
    parts = [(random.randbytes(HALF), random.randbytes(HALF)) for _ in range(breaks + 1)]
    with (
        tcpdump(hosts.client, folder / "client.pcap"),
        tcpdump(hosts.server, folder / "server.pcap"),
        conversing(hosts, folder, family) as (client, server),
    ):
        for number, (up, down) in enumerate(parts):
            client.input.write(up)
            server.input.write(down)
            client.input.flush()
            server.input.flush()
            if number < breaks:
                server.has_written(HALF * number + HALF // 2)
                client.has_written(HALF * number + HALF // 2)
                lose()
                wait = f"carried on by connection {number + 2}"
                client.says(wait)
                server.says(wait)
        client.input.close()
        server.input.close()
        assert (client.ends(), server.ends()) == (0, 0), client.said + server.said
        said = client.said, server.said
    assert server.output.read_bytes() == b"".join(up for up, _ in parts)
    assert client.output.read_bytes() == b"".join(down for _, down in parts)
    for point in ("client.pcap", "server.pcap"):
        judged = validated(folder / point)
        assert judged.count("  resumed  ") == breaks, judged
        assert f": 1 established, {breaks} resumed" in judged
        assert "; 0 violations, 0 warnings" in judged
    return said


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("otherwise", ["", "drop", "reject with tcp reset"], ids=["rst", "silence", "reject"])
def test_a_nat_that_forgets(otherwise: str, family: socket.AddressFamily, tmp_path: Path) -> None:
    """RES-19, RES-20: whatever the NAT does with packets it no longer knows, both streams arrive exactly."""
    with routed() as hosts:
        hosts.masquerade(otherwise)
        _transfer(hosts, tmp_path, family, 2, hosts.forget)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_change_of_address(family: socket.AddressFamily, tmp_path: Path) -> None:
    """RES-19: the client's own address is gone, and it goes on from another."""
    width, before, after = (
        (24, "10.79.1.2", "10.79.1.3") if family == socket.AF_INET else (64, "fd79:1::2", "fd79:1::3")
    )
    with routed() as hosts:
        hosts.masquerade()
        name = hosts.client.name
        hosts.client.set("ipv4/conf/all/promote_secondaries", "1")

        def move() -> None:
            ip("-n", name, "address", "add", f"{after}/{width}", "dev", "cable", *(["nodad"] if width == 64 else []))
            ip("-n", name, "address", "delete", f"{before}/{width}", "dev", "cable")

        client, _ = _transfer(hosts, tmp_path, family, 1, move)
        assert f"address {before} lost" in client
