"""`tiopt listen` and `tiopt connect` against the kernel's TCP and programs above it: plain TCP, whole and in order."""

from __future__ import annotations

import os
import socket
import subprocess
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from tests.conftest import needs
from tests.live.namespaces import PATIENCE, Host, Link, tcpdump, wait_for
from tests.live.routed import TIOPT, Endpoint, validated

FAMILIES = (socket.AF_INET, socket.AF_INET6)
MEGABYTES = 100


def _inside(host: Host, *words: str) -> list[str]:
    return [needs("ip"), "netns", "exec", host.name, *words]


class Kernel:
    """A socket of the kernel that sends all it is given and takes all that comes, at once."""

    def __init__(self, data: bytes) -> None:
        self.got = sha256()
        self.octets = 0
        self._data = data

    def converse(self, peer: socket.socket) -> None:
        sending = Thread(target=self._send, args=(peer,))
        sending.start()
        while octets := peer.recv(1 << 16):
            self.got.update(octets)
            self.octets += len(octets)
        sending.join()
        peer.close()

    def _send(self, peer: socket.socket) -> None:
        peer.sendall(self._data)
        peer.shutdown(socket.SHUT_WR)


def _data(seed: int) -> bytes:
    return Random(seed).randbytes(1_000_000) * MEGABYTES


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_accepts(family: socket.AddressFamily, hosts: Link, tmp_path: Path) -> None:
    """Trace 1: the option is offered and not answered; both streams arrive."""
    data, kernel = _data(1), Kernel(_data(2))
    (tmp_path / "in").write_bytes(data)
    listener = hosts.server.listen(family, 7001)
    with listener, tcpdump(hosts.server, tmp_path / "server.pcap", "-s", "120"):
        command = _inside(hosts.client, *TIOPT, "connect", hosts.server.address(family), "7001")
        with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as out:
            process = subprocess.Popen(command, stdin=source, stdout=out, stderr=subprocess.PIPE)
            peer, _ = listener.accept()
            kernel.converse(peer)
            _, said = process.communicate(timeout=20 + MEGABYTES)
    assert process.returncode == 0, said.decode()
    assert b"connected, plain TCP" in said
    assert (kernel.octets, kernel.got.hexdigest()) == (len(data), sha256(data).hexdigest())
    assert _digest(tmp_path / "out") == sha256(_data(2)).hexdigest()
    assert "legacy (no-option-in-synack)" in validated(tmp_path / "server.pcap")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_connects(family: socket.AddressFamily, hosts: Link, tmp_path: Path) -> None:
    data, kernel = _data(3), Kernel(_data(4))
    (tmp_path / "in").write_bytes(data)
    command = _inside(hosts.server, *TIOPT, "listen", "7002")
    with (
        tcpdump(hosts.server, tmp_path / "server.pcap", "-s", "120"),
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as out,
        (tmp_path / "said").open("wb") as said,
    ):
        process = subprocess.Popen(command, stdin=source, stdout=out, stderr=said)
        wait_for("listen", lambda: "listening" in (tmp_path / "said").read_text())
        peer = hosts.client.tcp(family)
        peer.connect((hosts.server.address(family), 7002))
        kernel.converse(peer)
        assert process.wait(20 + MEGABYTES) == 0
    assert (kernel.octets, kernel.got.hexdigest()) == (len(data), sha256(data).hexdigest())
    assert _digest(tmp_path / "out") == sha256(_data(4)).hexdigest()
    assert "legacy (no-option-in-syn)" in validated(tmp_path / "server.pcap")


def test_the_kernel_refuses(hosts: Link) -> None:
    command = _inside(hosts.client, *TIOPT, "connect", hosts.server.ipv4, "7003")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"tiopt: {hosts.server.ipv4} port 7003: refused\n"


# Programs.


def _listening(host: Host, folder: Path, port: int, command: str) -> Endpoint:
    made = Endpoint(host, folder, "listen", str(port), "-k", "--exec", command)
    made.says("listening")
    return made


def test_curl(hosts: Link, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(Random(1).randbytes(300_000))
    answer = f"printf 'HTTP/1.0 200 OK\\r\\nContent-Length: 300000\\r\\n\\r\\n'; cat {page}"
    with _listening(hosts.server, tmp_path, 8080, answer):
        url = f"http://{hosts.server.ipv4}:8080/"
        command = _inside(hosts.client, needs("curl"), "--silent", "--max-time", "20", "--parallel", url, "-o", "-")
        several = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
        assert [one.communicate(timeout=30)[0] == page.read_bytes() for one in several] == [True] * 4


def test_netcat(hosts: Link, tmp_path: Path) -> None:
    with _listening(hosts.server, tmp_path, 7004, "tr a-z A-Z"):
        command = _inside(hosts.client, needs("nc"), "-N", hosts.server.ipv6, "7004")
        done = subprocess.run(command, input=b"quiet please\n", capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b"QUIET PLEASE\n"


def test_ssh_through_a_flow_whose_connection_breaks(hosts: Link, tmp_path: Path) -> None:
    """OpenSSH on both sides, `tiopt listen` before sshd, `tiopt connect` as ProxyCommand."""
    sshd, keygen = needs("sshd"), needs("ssh-keygen")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    (tmp_path / "authorized").write_bytes((tmp_path / "user.pub").read_bytes())
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\nStrictModes no\nPidFile none\nUsePAM no\n"
    )
    os.makedirs("/run/sshd", exist_ok=True)  # noqa: PTH103
    tmp_path.chmod(0o755)
    proxy = " ".join([*TIOPT, "connect", "--log", str(tmp_path / "log"), hosts.server.ipv4, "22"])
    with _listening(hosts.server, tmp_path, 22, f"exec {sshd} -i -f {config}"):
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path}/known"]
        words = [word for option in [*options, f"ProxyCommand={proxy}"] for word in ("-o", option)]
        command = [needs("ssh"), "-F", "none", "-i", str(tmp_path / "user"), *words, "root@server"]
        process = subprocess.Popen(
            _inside(hosts.client, *command, "read a; echo $a; read b; echo $b"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"before\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"before\n", process.communicate(timeout=PATIENCE)
        port = _port(tmp_path / "log")
        hosts.client.nft(
            "add table inet t",
            "add chain inet t c { type filter hook output priority filter; }",
            f"add rule inet t c tcp sport {port} drop",
        )
        out, said = process.communicate(b"after\n", timeout=20)
        assert out == b"after\n", said
        assert b"carried on by connection 2" in said


def _port(log: Path) -> str:
    """The client's port, from what its endpoint has decided."""
    return log.read_text().partition('"transport": "')[2].partition(" >")[0].rpartition(".")[2]


def test_iperf3(hosts: Link, tmp_path: Path) -> None:
    """Both of iperf3's connections come through `tiopt listen`, and end at the real server behind it."""
    iperf = needs("iperf3")
    subprocess.run(_inside(hosts.server, needs("ip"), "link", "set", "lo", "up"), check=True)
    words = [iperf, "-s", "-1", "-B", "127.0.0.1", "-p", "5201"]
    server = subprocess.Popen(_inside(hosts.server, *words), stdout=subprocess.DEVNULL)
    try:
        with _listening(hosts.server, tmp_path, 5202, f"{needs('nc')} -N 127.0.0.1 5201"):
            command = _inside(hosts.client, iperf, "-c", hosts.server.ipv4, "-p", "5202", "-n", "2M", "-J")
            done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
            assert done.returncode == 0, done.stdout
            assert '"bytes":\t2097152' in done.stdout
    finally:
        server.kill()
        server.wait()
