"""The bar of long work, on a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

RESUME = ROOT / "pcaps/resume/resume.pcap"
IMPATIENT = (
    "import sys; from tioption.cli import main, progress; progress._PATIENCE = -1.0; sys.exit(main(sys.argv[1:]))"
)


def on_a_terminal(*words: object) -> str:
    """What a command whose bars come at once writes to its terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", IMPATIENT, *map(str, words)])
    octets = b""
    try:
        while piece := os.read(terminal, 1 << 16):
            octets += piece
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", octets.decode())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_several_files_are_one_bar(jobs: str, tmp_path: Path) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.pcap")
        files[-1].write_bytes(RESUME.read_bytes()[:24] + RESUME.read_bytes()[24:] * 20_000)
    size = sum(file.stat().st_size for file in files) / 1e6
    shown = on_a_terminal("decode", "--all", "--jobs", jobs, "-o", tmp_path / "out", *files)
    assert "0/3 files" in shown
    assert f"/{size:.1f} MB" in shown
    assert "packets/s" in shown
    assert "0.pcap" not in shown
    assert shown.endswith("\r")  # the bar is gone


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_single_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(RESUME.read_bytes()[:24] + RESUME.read_bytes()[24:] * 20_000)
    shown = on_a_terminal("decode", "--all", "-o", tmp_path / "out", file)
    assert "files" not in shown
    assert "x.pcap" in shown
