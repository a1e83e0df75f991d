"""Built packets: Wireshark agrees with every checksum and length, and what cannot be built is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import needs
from tioption.build.capture_file import pcap
from tioption.build.packet import Host, TcpHeader, tcp_frame, tcp_segment
from tioption.capture.segment import ACK, PSH

A4 = Host("192.0.2.1", 40000, bytes.fromhex("020000000001"))
B4 = Host("198.51.100.2", 9000, bytes.fromhex("020000000002"))
A6, B6 = A4._replace(address="2001:db8::1"), B4._replace(address="2001:db8::2")


def test_wireshark_finds_every_checksum_good(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    frames = [
        (
            length,
            tcp_frame(
                one, other, TcpHeader(length * 65521, 7, ACK | PSH, 9, b"\x01" * (length % 41)), b"\xff" * length
            ),
        )
        for one, other in ((A4, B4), (A6, B6))
        for length in range(120)
    ]
    path.write_bytes(pcap(frames))
    fields = ["-etcp.checksum.status", "-eip.checksum.status", "-etcp.len", "-e_ws.malformed"]
    checks = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE"]
    command = [needs("tshark"), "-n", "-r", str(path), *checks, "-Tfields", *fields]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert rows == [f"1\t{good}\t{length}\t" for good in ("1", "") for length in range(120)]


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 40 octets of TCP options, found 44"):
        tcp_segment(A4, B4, TcpHeader(1, 2, 3, 4, bytes(41)))


def test_addresses_of_two_families_are_refused() -> None:
    with pytest.raises(ValueError, match="two addresses of one family"):
        tcp_frame(A4, B6, TcpHeader(1, 2, 3, 4))
