"""`tiopt annotate` in a pipe: live, patient with dumps, quiet at the end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT, needs, tiopt_process

TRACE2 = ROOT / "pcaps/trace2/trace2.pcap"
START = "00:00 IP a.1 > b.2: Flags [S], seq 1, win 9, options "


def started() -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tioption.cli", "annotate"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_behind_the_real_tcpdump() -> None:
    theirs = subprocess.run([needs("tcpdump"), "-n", "-r", TRACE2], capture_output=True, check=True).stdout
    done = tiopt_process("annotate", stdin=theirs)
    assert (done.status, done.err) == (0, "")
    assert done.out == tiopt_process("decode", "--all", "--format", "text", TRACE2).out


def test_other_kinds() -> None:
    line = f"{START}[unknown-77 0x0a4530be79bf00000000001d00000000001f], length 0\n"
    done = tiopt_process("annotate", "--kind-d", "77", stdin=line.encode())
    assert "[flow-d tifid 0a4530be79bf " in done.out


def test_lines_come_as_they_are_printed() -> None:
    with started() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for part in ("[unknown-253 0x0a4530be79bf00000000001d00000000001f], length 0\n", "[exp-1122], length 0\n"):
            process.stdin.write((START + part).encode())
            process.stdin.flush()
            assert b"flow-" in process.stdout.readline()  # although standard input stays open
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(10) == 0


def test_a_dump_that_comes_a_little_later_still_counts() -> None:
    line = f"{START}[exp-0a45], length 0\n"
    dump = ["4500 003c 0001 4000 4006 0000 c000 0201", "c000 0202 0001 0002 0000 0001 0000 0000"]
    dump += ["a002 0009 0000 0000 fe14 0a45 30be 79bf", "0000 0000 001d 0000 0000 001f"]
    with started() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for part in [line, *(f"\t0x{16 * row:04x}:  {words}\n" for row, words in enumerate(dump))]:
            process.stdin.write(part.encode())
            process.stdin.flush()
            time.sleep(0.02)
        assert b"[flow-c tifid 0a4530be79bf tiseq 00000000001d tiack 00000000001f]" in process.stdout.readline()
        process.stdin.close()
        assert len(process.stdout.read().splitlines()) == 4
        assert process.wait(10) == 0


def test_octets_that_are_no_text_pass_through() -> None:
    rubbish = bytes(range(256)) * 3 + b"\r\n\xff"
    process = subprocess.run(
        [sys.executable, "-m", "tioption.cli", "annotate"], input=rubbish, capture_output=True, check=True
    )
    assert process.stdout == rubbish


def test_interrupted_it_ends_quietly() -> None:
    with started() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"x\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_terminal_is_not_what_it_reads() -> None:
    leader, follower = pty.openpty()
    try:
        process = subprocess.run(
            [sys.executable, "-m", "tioption.cli", "annotate"], stdin=follower, capture_output=True, check=False
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert process.returncode == 2
    assert b"tcpdump -l -n tcp | tiopt annotate" in process.stderr


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; from tioption.cli import main; main(['annotate']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=True, cwd=ROOT)
    heavy = {"typer", "rich", "construct", "scapy", "pyshark", "numpy", "inspect", "dataclasses", "argparse"}
    assert not heavy & set(done.stderr.decode().split())
