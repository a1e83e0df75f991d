"""`tiopt follow` as its users run it: exact octets, over files, with what is missing said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.conftest import ROOT, Outcome, tiopt_process
from tioption.build.capture_file import pcap
from tioption.build.conversation import MS, Conversation, Tape
from tioption.option import Kinds, Variant

Run = Callable[..., Outcome]
RESUME = ROOT / "pcaps/resume/resume.pcap"
TRACE2 = ROOT / "pcaps/trace2/trace2.pcap"
TIFID = "5e1c07a9d344"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def transfer(octets: bytes, breaks: tuple[int, ...]) -> Conversation:
    """A sends octets in segments of 1400; the transport breaks after as many octets each, with some in flight."""
    talk = Conversation(7)
    transport = talk.connect()
    for at in range(0, len(octets), 1400):
        if any(at <= one < at + 1400 for one in breaks):
            transport.send("A", octets[at : at + 700], lost=True)
            transport.send("A", octets[at + 700 : at + 1400], lost=True)
            talk.wait(30_000 * MS)
            transport = talk.resume()
            lost = bytes(talk.streams["A"].octets[talk.streams["A"].received :])
            assert len(lost) == 1400
            transport.place["A"] = talk.streams["A"].received
            transport.resend("A")
        else:
            transport.send("A", octets[at : at + 1400], acked=at % 2800 == 0)
    transport.close()
    return talk


def test_a_megabyte_resumed_twice_is_the_original(out: Path, tmp_path: Path) -> None:
    octets = Random(1).randbytes(1 << 20)
    talk = transfer(octets, (300_000, 800_000))
    path = tmp_path / "transfer.pcap"
    talk.write(path)
    assert path.stat().st_size > len(octets)
    done = tiopt_process("follow", talk.tifid, path, "-o", out)
    assert done == (0, "", "")
    assert sha256(out.read_bytes()).hexdigest() == sha256(octets).hexdigest()
    listed = tiopt_process("follow", path)
    assert listed.status == 0
    assert listed.out.split()[:2] == [str(talk.tifid), "flow-d"]
    assert listed.out.endswith("3 transports\n")


def test_standard_output_and_input_are_octets(tmp_path: Path) -> None:
    octets = bytes(range(256)) * 20
    talk = transfer(octets, ())
    command = [sys.executable, "-m", "tioption.cli", "follow", str(talk.tifid), "-"]
    done = subprocess.run(command, input=talk.pcap(), capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, octets, b"")


def test_the_golden_resume_both_ways(tiopt: Run, out: Path) -> None:
    for sender, size in (("a", 1000), ("b", 500)):
        assert tiopt("follow", TIFID, RESUME, "--from", sender, "-o", out) == (0, "", "")
        assert len(out.read_bytes()) == size
    assert tiopt("follow", f"0x{TIFID.upper()}", RESUME, "-o", out) == (0, "", "")


def test_a_flow_whose_transports_lie_in_different_files(tiopt: Run, tmp_path: Path, out: Path) -> None:
    octets = Random(2).randbytes(20_000)
    talk = transfer(octets, (9000,))
    frames = list(talk.frames())
    begin = next(number for number, (time, _) in enumerate(frames) if time - frames[number - 1][0] > 20_000 * MS)
    first, second = tmp_path / "monday.pcap", tmp_path / "tuesday.pcap"
    first.write_bytes(pcap(frames[:begin]))
    second.write_bytes(pcap(frames[begin:]))
    assert tiopt("follow", talk.tifid, first, second, "-o", out) == (0, "", "")
    assert out.read_bytes() == octets
    status, _, err = tiopt("follow", talk.tifid, second, "-o", out)
    assert status == 3
    assert "the SYN that opened the flow was not captured; octet 0 is position" in err
    assert octets.endswith(out.read_bytes())
    assert f"{second} begins before" not in err
    _, _, err = tiopt("follow", talk.tifid, second, first, "-o", out)
    assert f"tiopt: {first} begins before {second}; captures are followed in the order they are given\n" in err


class TestGaps:
    @pytest.fixture
    def lacking(self, tmp_path: Path) -> tuple[Path, Conversation, bytes]:
        """A capture that lacks one segment of 100 octets."""
        talk = Conversation(3)
        transport = talk.connect()
        for _ in range(3):
            transport.send("A", 100)
        path = tmp_path / "lacking.pcap"
        path.write_bytes(pcap(frame for number, frame in enumerate(talk.frames()) if number != 5))
        return path, talk, bytes(talk.streams["A"].octets)

    def test_zeros_keep_the_places_of_all_others(
        self, tiopt: Run, lacking: tuple[Path, Conversation, bytes], out: Path
    ) -> None:
        path, talk, octets = lacking
        status, _, err = tiopt("follow", talk.tifid, path, "-o", out)
        position = f"{talk.streams['A'].s0 + 100:012x}"
        assert status == 3
        assert err == f"tiopt: octet 100 (position {position}): 100 octets not captured, filled with zeros\n"
        assert out.read_bytes() == octets[:100] + bytes(100) + octets[200:]

    def test_or_nothing_stands_for_them(self, tiopt: Run, lacking: tuple[Path, Conversation, bytes], out: Path) -> None:
        path, talk, octets = lacking
        status, _, err = tiopt("follow", talk.tifid, path, "--gaps", "skip", "-o", out)
        assert status == 3
        assert err.endswith("100 octets not captured, left out\n")
        assert out.read_bytes() == octets[:100] + octets[200:]

    def test_a_snapshot_length(self, tiopt: Run, tmp_path: Path, out: Path) -> None:
        talk = Conversation(3)
        transport = talk.connect()
        for _ in range(14):
            transport.send("A", 100)
        octets = bytes(talk.streams["A"].octets)
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(snapped(talk, 96))
        status, _, err = tiopt("follow", talk.tifid, cut, "-o", out)
        assert status == 3
        lines = err.splitlines()
        assert len(lines) == 11
        assert "octet 30 (position" in lines[0]
        assert "70 octets cut off by the capture, filled with zeros" in lines[0]
        assert lines[10] == "tiopt: 14 gaps in all, of 980 octets"
        assert out.read_bytes() == b"".join(octets[at : at + 30] + bytes(70) for at in range(0, 1400, 100))

    def test_a_wrong_position_is_not_filled(self, tiopt: Run, tmp_path: Path, out: Path) -> None:
        """A resume that jumps: no window is that large, so nobody lost that many octets."""
        talk = Conversation(3)
        talk.connect().send("A", b"before")
        talk.streams["A"].received += 1 << 40
        talk.resume().emit("A", 0x18, payload=b"after")
        path = tmp_path / "jump.pcap"
        talk.write(path)
        status, _, err = tiopt("follow", talk.tifid, path, "-o", out)
        assert status == 3
        assert f"{(1 << 40)} octets not captured, left out" in err
        assert out.read_bytes() == b"beforeafter"

    def test_a_fin_that_was_not_captured(self, tiopt: Run, tmp_path: Path, out: Path) -> None:
        talk = Conversation(3)
        transport = talk.connect()
        transport.send("A", b"all")
        transport.fin("A")
        path = tmp_path / "x.pcap"
        path.write_bytes(pcap(frame for number, frame in enumerate(talk.frames()) if number != 5))
        status, _, err = tiopt("follow", talk.tifid, path, "-o", out)
        assert (status, err) == (3, "tiopt: a FIN, or one last octet, was acknowledged but not captured\n")
        assert out.read_bytes() == b"all"


def snapped(talk: Conversation, octets: int) -> bytes:
    """The capture with at most so many octets of each frame."""
    whole = pcap([])
    records = [
        (time // 1_000_000_000).to_bytes(4, "little")
        + (time % 1_000_000_000 // 1000).to_bytes(4, "little")
        + min(octets, len(frame)).to_bytes(4, "little")
        + len(frame).to_bytes(4, "little")
        + frame[:octets]
        for time, frame in talk.frames()
    ]
    return whole + b"".join(records)


def test_a_damaged_file_delivers_what_came_before(tiopt: Run, tmp_path: Path, out: Path) -> None:
    talk = transfer(bytes(5000), ())
    path = tmp_path / "cut.pcap"
    path.write_bytes(talk.pcap()[:4000])
    status, _, err = tiopt("follow", talk.tifid, path, "-o", out)
    assert status == 3
    assert "expected" in err
    assert out.read_bytes() == bytes(2800)
    status, _, err = tiopt("follow", "0a4530be79bf", path)
    assert status == 3
    assert f"there are {talk.tifid} (flow-d)" in err


class TestNames:
    def test_an_unknown_one_is_answered_with_those_there_are(self, tiopt: Run, out: Path) -> None:
        assert tiopt("follow", "0a4530000000", RESUME, TRACE2, "-o", out) == (
            2,
            "",
            f"tiopt follow: no flow-d 0a4530000000; there are 0a4530be79bf (flow-d), {TIFID} (flow-d)\n",
        )
        assert not out.exists()

    def test_their_number_is_bounded(self, tiopt: Run, tmp_path: Path) -> None:
        tape = Tape(1)
        for number in range(25):
            Conversation(number, tape=tape).connect()
        path = tmp_path / "many.pcap"
        Conversation(0, tape=tape).write(path)
        status, _, err = tiopt("follow", TIFID, path)
        assert status == 2
        assert err.count("(flow-d)") == 20
        assert err.endswith(" and 5 more\n")
        assert tiopt("follow", path).out.count("\n") == 25

    def test_no_flow_at_all(self, tiopt: Run) -> None:
        path = ROOT / "pcaps/trace1/trace1.pcap"
        status, _, err = tiopt("follow", TIFID, path)
        assert (status, err) == (2, f"tiopt follow: no flow-d {TIFID}, and no other flow either\n")
        assert tiopt("follow", path) == (0, "", "")

    def test_a_handshake_that_came_to_nothing(self, tiopt: Run, tmp_path: Path) -> None:
        talk = Conversation(3)
        talk.connect(ack=lambda option: option.replace(tiack=0)).send("A", b"legacy")
        path = tmp_path / "x.pcap"
        talk.write(path)
        status, _, err = tiopt("follow", talk.tifid, path)
        assert status == 2
        assert f"no handshake of flow-d {talk.tifid} was completed (tiopt validate says why)" in err

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["5e1c07"], "a TIFID has 12 hexadecimal digits, 5e1c07 has 6"),
            ([TIFID], f"expected FILE… after the TIFID {TIFID}"),
            ([TIFID, "x", "--from", "c"], "--from"),
        ],
    )
    def test_wrong_usage(self, tiopt: Run, words: list[str], complaint: str) -> None:
        status, out, err = tiopt("follow", *words)
        assert (status, out) == (2, "")
        assert complaint in err

    def test_variant_and_kinds(self, tiopt: Run, tmp_path: Path, out: Path) -> None:
        talk = Conversation(3, variant=Variant.FLOW_C, kinds=Kinds(77, 78))
        talk.connect().send("A", b"control")
        path = tmp_path / "x.pcap"
        talk.write(path)
        kinds = ("--kind-d", "77", "--kind-c", "78")
        assert tiopt("follow", talk.tifid, path, "--flow-c", *kinds, "-o", out) == (0, "", "")
        assert out.read_bytes() == b"control"
        assert f"there are {talk.tifid} (flow-c)" in tiopt("follow", talk.tifid, path, *kinds).err
        assert "no other flow either" in tiopt("follow", talk.tifid, path, "--flow-c").err


def test_a_used_up_name_is_said(tiopt: Run, tmp_path: Path, out: Path) -> None:
    talk = Conversation(9)
    first = talk.connect()
    first.send("A", b"abc")
    first.close()
    again = Conversation(10, tape=talk.tape)
    again.tifid = talk.tifid
    again.connect().send("A", b"other")
    path = tmp_path / "x.pcap"
    talk.write(path)
    status, _, err = tiopt("follow", talk.tifid, path, "-o", out)
    assert (status, out.read_bytes()) == (0, b"abc")
    assert err == "tiopt: frame 11 opens another flow with this TIFID; it was left out\n"


def test_an_input_is_never_overwritten(tiopt: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(RESUME.read_bytes())
    status, _, err = tiopt("follow", TIFID, path, "-o", path)
    assert (status, path.read_bytes()) == (2, RESUME.read_bytes())
    assert "would overwrite its own input" in err
    assert tiopt("follow", TIFID, path, "-o", tmp_path / "no/such").status == 2


def test_a_terminal_gets_text_and_no_commands(tmp_path: Path) -> None:
    import pty

    talk = Conversation(3)
    talk.connect().send("A", "GET / HTTP/1.1\r\nx: \x1b[31mü\xff\n".encode() + b"\xfe\n")
    path = tmp_path / "x.pcap"
    talk.write(path)
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "tioption.cli", "follow", str(talk.tifid), str(path)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT, env=environment, check=False)
    os.close(theirs)
    text = os.read(terminal, 1000)
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    assert text == "GET / HTTP/1.1\r\nx: \\x1b[31müÿ\r\n\\xfe\r\n".encode()
