"""`tiopt conform` over real devices: our endpoint and the kernel as hosts, the real command as a process."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT, Outcome, needs, needs_root
from tests.live.namespaces import PATIENCE, Host, Link, link
from tests.live.routed import TIOPT, Endpoint
from tioption.cli import main
from tioption.conform import CHECKS
from tioption.option import Variant


@contextmanager
def serving(host: Host, folder: Path, variant: Variant = Variant.FLOW_D) -> Iterator[None]:
    """`tiopt listen` as an echo service at port 7 of a host."""
    words = ("listen", "7", "-k", "--exec", "cat", "--variant", variant.value)
    with Endpoint(host, folder, *words) as endpoint:
        endpoint.says("listening")
        yield


@contextmanager
def kernel_service(host: Host, family: socket.AddressFamily) -> Iterator[None]:
    """The kernel's TCP as an echo service at port 7 of a host."""
    listener = host.listen(family, 7)
    over = Event()

    def echo(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while octets := connection.recv(4096):
                connection.sendall(octets)

    def serve() -> None:
        with suppress(OSError):
            while not over.is_set():
                with suppress(BlockingIOError):  # the socket's own timeout
                    Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


def tiopt_at(host: Host, *words: object) -> Outcome:
    """Run `tiopt WORDS…` as a process of a host."""
    command = [needs("ip"), "netns", "exec", host.name, *TIOPT, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Link]:
    needs_root()
    with link() as made:
        yield made


def test_our_endpoint_passes_and_every_check_leaves_a_capture(
    hosts: Link, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(hosts.server, tmp_path):
        words = ("conform", hosts.server.ipv4, 7, "--format", "junit", "--pcap-dir", tmp_path / "run")
        status, out, err = tiopt_at(hosts.client, *words)
    assert (status, err) == (0, "")
    (suite,) = ElementTree.fromstring(out)
    assert suite.get("tests") == str(len(CHECKS))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    assert [case.get("name", "")[:6] for case in suite] == [*CHECKS]
    written = sorted((tmp_path / "run").iterdir())
    assert {path.stem for path in written} == set(CHECKS) - {"CTL-03"}
    for path in written:
        assert main(["validate", "--format", "json", str(path)]) in {0, 1}  # the tester breaks rules on purpose
        *rows, summary = map(json.loads, capsys.readouterr().out.splitlines())
        assert summary["connections"] >= 1, path
        assert rows


def test_our_endpoint_passes_over_ipv6_and_with_flow_c(hosts: Link, tmp_path: Path) -> None:
    with serving(hosts.server, tmp_path, Variant.FLOW_C):
        words = ("conform", "--variant", "flow-c", "--format", "json", hosts.server.ipv6, 7)
        status, out, err = tiopt_at(hosts.client, *words)
    assert (status, err) == (0, "")
    *rows, summary = map(json.loads, out.splitlines())
    assert [row["rule"] for row in rows] == [*CHECKS]
    assert {row["verdict"] for row in rows} == {"pass"}
    assert (summary["host"], summary["variant"], summary["pass"]) == (hosts.server.ipv6, "flow-c", len(CHECKS))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_kernel_does_not_speak_the_option(hosts: Link, family: socket.AddressFamily) -> None:
    with kernel_service(hosts.server, family):
        words = ("conform", "--format", "json", hosts.server.address(family), 7)
        status, out, err = tiopt_at(hosts.client, *words)
    assert (status, err) == (0, "")
    *rows, _ = map(json.loads, out.splitlines())
    said = [row["rule"] for row in rows if row["verdict"] == "pass"]
    assert said == ["EST-03", "LEG-02", "LEG-08"]
    reasons = {row["reason"] for row in rows if row["verdict"] == "not-applicable" and row["rule"] != "CTL-03"}
    assert reasons == {"the host does not speak the option: its SYN-ACK has none"}


def test_nobody_listens(hosts: Link) -> None:
    status, out, err = tiopt_at(hosts.client, "conform", hosts.server.ipv4, 8)
    assert (status, out) == (3, "")
    assert err == f"tiopt: {hosts.server.ipv4} port 8: expected a SYN-ACK from the host, found a RST\n"


def test_without_the_right_to_raw_sockets(hosts: Link, tmp_path: Path) -> None:
    with serving(hosts.server, tmp_path):
        command = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *TIOPT]
        needs("setpriv")
        done = subprocess.run(
            [needs("ip"), "netns", "exec", hosts.client.name, *command, "conform", hosts.server.ipv4, "7"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )
    assert (done.returncode, done.stdout) == (4, "")
    assert "CAP_NET_RAW" in done.stderr
