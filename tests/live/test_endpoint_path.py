"""`tiopt listen` and `tiopt connect` with the kernel's TCPOPTSTRIP between them, and over a TUN device."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.live.namespaces import ip, tcpdump, wait_for
from tests.live.routed import TIOPT, Endpoint, Routed, conversing, routed, validated

FAMILIES = (socket.AF_INET, socket.AF_INET6)
STRIPPED = {
    "syn": (("--tcp-flags", "SYN,ACK", "SYN"), "legacy (no-option-in-synack)", "legacy (no-option-in-syn)"),
    "syn-ack": (("--tcp-flags", "SYN,ACK", "SYN,ACK"), "legacy (no-option-in-synack)", "legacy (ack-without-option)"),
    "ack": (("--tcp-flags", "SYN,ACK", "ACK"), "established", "legacy (ack-without-option)"),
}
"""Which segments are stripped, and what the captures of client and server then show (LEG-01, LEG-02, LEG-03)."""


def _talk(hosts: Routed, folder: Path, family: socket.AddressFamily) -> tuple[Endpoint, Endpoint]:
    """A line each way, and captures at both hosts."""
    with (
        tcpdump(hosts.client, folder / "client.pcap"),
        tcpdump(hosts.server, folder / "server.pcap"),
        conversing(hosts, folder, family) as (client, server),
    ):
        # The opener is the first to speak, after its third ACK has come: else the data would be the third ACK.
        server.says("connected")
        for here, there in ((client, server), (server, client)):
            here.input.write(b"a line\n")
            here.input.flush()
            there.has_written(7)
        client.input.close()
        server.input.close()
        assert (client.ends(), server.ends()) == (0, 0), client.said + server.said
    return client, server


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("where", STRIPPED)
def test_the_kernel_strips_the_option(where: str, family: socket.AddressFamily, tmp_path: Path) -> None:
    words, at_client, at_server = STRIPPED[where]
    with routed() as hosts:
        hosts.open()
        hosts.strip(*words)
        client, server = _talk(hosts, tmp_path, family)
    assert ("connected, plain TCP" in client.said) is (where != "ack")
    assert "connected, plain TCP" in server.said
    assert f"  {at_client}" in validated(tmp_path / "client.pcap")
    assert f"  {at_server}" in validated(tmp_path / "server.pcap")
    changed = subprocess.run(
        [*TIOPT, "validate", "--compare", tmp_path / "client.pcap", tmp_path / "server.pcap"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "MBX-02" in changed


def test_a_flow_whose_third_ack_was_stripped_ends_when_it_is_resumed(tmp_path: Path) -> None:
    """The client believes in a flow that the server knows nothing of: the first resume is refused (RES-05, RES-20)."""
    with routed() as hosts:
        hosts.open()
        hosts.strip(*STRIPPED["ack"][0])
        with conversing(hosts, tmp_path) as (client, server):
            client.says("connected, flow")
            server.says("connected, plain TCP")
            _signal(client, signal.SIGUSR1)
            client.says("a resume has failed")
            client.input.write(b"and still it goes on\n")
            client.input.close()
            server.has_written(21)
            server.input.close()
            assert (client.ends(), server.ends()) == (0, 0)


def test_control_is_nothing_for_a_host_that_does_not_know_it(tmp_path: Path) -> None:
    """CTL-03: not an octet of flow-c reaches a legacy application."""
    with routed() as hosts:
        hosts.open()
        with hosts.server.listen(socket.AF_INET, 7000) as listener:
            words = ("connect", hosts.server.ipv4, "7000", "--variant", "flow-c")
            with Endpoint(hosts.client, tmp_path, *words) as client:
                client.input.write(b"open the gate\n")
                client.input.close()
                peer, _ = listener.accept()
                with peer, pytest.raises(ConnectionResetError):
                    assert peer.recv(100) == b"never"
                assert client.ends() == 3
        assert "does not speak the option, and control needs it" in client.said


def test_flow_c(tmp_path: Path) -> None:
    with routed() as hosts:
        hosts.open()
        both, recorded = ("--variant", "flow-c"), ("--pcap", str(tmp_path / "own.pcap"))
        with conversing(hosts, tmp_path, both=both, client=recorded) as (client, server):
            client.says("connected, flow")
            _signal(client, signal.SIGUSR1)
            client.says("carried on by connection 2")
            client.input.write(b"control\n")
            client.input.close()
            server.has_written(8)
            server.input.close()
            assert (client.ends(), server.ends()) == (0, 0)
    judged = validated(tmp_path / "own.pcap")
    assert "established  flow-c" in judged
    assert "resumed  flow-c" in judged
    log = [json.loads(line) for line in client.log.read_text().splitlines()]
    assert {"flow:opened", "flow:resuming", "flow:resumed"} <= {line["name"] for line in log}


def _signal(endpoint: Endpoint, number: int) -> None:
    """Send a signal to tiopt itself, which `ip netns exec` has become."""
    endpoint.process.send_signal(number)


# An address of its own.


@pytest.mark.parametrize("family", FAMILIES)
def test_on_a_tun_device(family: socket.AddressFamily, tmp_path: Path) -> None:
    """Both endpoints have addresses that no kernel has; the routers forward to them; nothing is left of the devices."""
    mine, its = ("10.66.1.9", "10.66.2.9") if family == socket.AF_INET else ("fd66:1::9", "fd66:2::9")
    with routed() as hosts:
        for host in (hosts.client, hosts.server):
            host.set("ipv4/ip_forward", "1")
            host.set("ipv6/conf/all/forwarding", "1")
        client, router, server = hosts
        six = family == socket.AF_INET6
        ip("-n", router.name, "route", "add", mine, "via", client.address(family))
        ip("-n", router.name, "route", "add", its, "via", server.address(family))
        ip("-n", server.name, "route", "add", mine, "via", router.address(family))
        ip("-n", client.name, "route", "replace", its, "via", "fd79:1::1" if six else "10.79.1.1")
        with Endpoint(server, tmp_path, "listen", "7000", "--tun", its) as there:
            there.says("listening")
            with Endpoint(client, tmp_path, "connect", its, "7000", "--tun", mine) as here:
                there.says(f"{mine} port")
                assert f"on tiopt0 as {mine}\n" in here.said
                _signal(here, signal.SIGUSR1)
                there.says("carried on by connection 2")
                here.input.write(b"from nowhere\n")
                here.input.close()
                there.has_written(13)
                there.process.kill()
                there.process.wait()
                here.process.kill()
                here.process.wait()
        for host in (client, server):
            wait_for("the device to go", lambda host=host: "tiopt0" not in _links(host.name))  # type: ignore[misc]


def _links(name: str) -> str:
    done = subprocess.run([needs("ip"), "-n", name, "link"], capture_output=True, text=True, check=True)
    return done.stdout
