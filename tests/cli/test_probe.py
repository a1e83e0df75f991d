"""`tiopt probe`: what it refuses, and the machine's own addresses. What it finds stands in tests/live/test_probe.py."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome
from tioption.option import Variant
from tioption.probe import Answer, Confirmation, Fate, Reply, Settings, TargetSeen, VariantSeen, Verdict
from tioption.probe.report import rows

Run = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["127.0.0.1"], "expected a host and at least one port, as in: tiopt probe example.net 443"),
        (["127.0.0.1", "0"], "expected a port from 1 to 65535, found 0"),
        (["127.0.0.1", "65536"], "expected a port from 1 to 65535, found 65536"),
        (["127.0.0.1", "no-such-service"], "as a number or the name of a service, found 'no-such-service'"),
        (["-6", "127.0.0.1", "443"], "127.0.0.1: no address of IPv6 has this name"),
        (["-4", "::1", "443"], "::1: no address of IPv4 has this name"),
        (["fe80::1", "443"], "addresses of a link alone cannot be used here"),
        (["a" * 70 + ".example", "443"], "is not the name of a host"),
        (["--kind-d", "254", "127.0.0.1", "443"], "--kind-d and --kind-c must differ"),
    ],
)
def test_wrong_usage(words: list[str], complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt("probe", *words)
    assert (status, out) == (2, "")
    assert err.startswith("tiopt probe: ")
    assert complaint in err


@pytest.fixture
def raw() -> None:
    """What needs CAP_NET_RAW."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except (PermissionError, AttributeError):
        pytest.skip("the capability CAP_NET_RAW is needed")


@pytest.fixture
def listener() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(0)
    return made


@pytest.mark.usefixtures("raw")
def test_this_machine(tiopt: Run, listener: socket.socket) -> None:
    with listener:
        port = listener.getsockname()[1]
        status, out, err = tiopt("probe", "localhost", "-4", port, "--format", "json")
        assert (status, err) == (0, "")
        found = [json.loads(line) for line in out.splitlines()]
        assert [(row["variant"], row["verdict"]) for row in found] == [("flow-d", "legacy"), ("flow-c", "legacy")]
        assert {(row["host"], row["address"], row["source"]) for row in found} == {("localhost", *["127.0.0.1"] * 2)}
        with pytest.raises(BlockingIOError):
            listener.accept()  # no connection was ever completed
    (row,) = map(json.loads, tiopt("probe", "127.0.0.1", port, port, "-f", "json").out.splitlines())
    assert row["verdict"] == "closed"


@pytest.mark.usefixtures("raw")
def test_a_recording_that_cannot_be_written(tiopt: Run, tmp_path: Path) -> None:
    status, out, err = tiopt("probe", "127.0.0.1", "443", "--pcap", tmp_path)
    assert (status, out) == (2, "")
    assert f"--pcap {tmp_path}: is a directory" in err


@pytest.mark.usefixtures("raw")
def test_on_a_terminal(listener: socket.socket) -> None:
    """Colours, and lines as wide as the terminal."""
    ours, theirs = pty.openpty()
    try:
        with listener:
            words = ["probe", "127.0.0.1", str(listener.getsockname()[1]), "--variant", "flow-d"]
            done = subprocess.run(
                [sys.executable, "-m", "tioption.cli", *words],
                stdout=theirs,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "COLUMNS": "60", "TERM": "xterm"},
                timeout=60,
                check=False,
            )
        out = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\x1b[1;33m127.0.0.1:" in out
    assert "flow-d  legacy\x1b[0m" in out
    plain = [line for line in out.splitlines() if "\x1b" not in line]
    assert len(plain) > 1
    assert all(len(line) <= 60 for line in plain)


def test_every_verdict_and_key_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    (section,) = re.findall(r"^## tiopt probe .*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    words = {one.value for kind in (Verdict, Answer, Fate, Confirmation) for one in kind}
    seen = TargetSeen("192.0.2.1", 443, "", Reply(Answer.SYN_ACK, 1), (VariantSeen(Variant.FLOW_D),))
    words |= set(next(rows("", seen)))
    assert {word for word in words if f"`{word}`" not in section} == set()
    assert f"{Settings().most_packets} at the very most" in section
