"""The golden captures: made by their script, read back by everything that reads, printed as the paper prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, SHARED, Outcome, golden_captures, needs
from tioption.errors import TraceError
from tioption.render.printed import PrintedSegment, parse_trace

TRACE1 = """\
Packet 1: IP 192.168.1.2.4874 > 192.168.2.4.ssh: Flags[S],seq 100,win 65535,options[mss 1460,nop,wscale 3,sackOK,\
TS val 787 ecr 0,flow-d tificid 4b2209000000 tiseq 00000000001f tiack 000000000000],len 0
Packet 2: IP 192.168.2.4.ssh > 192.168.1.2.4874: Flags[S.],seq 200,ack 101,win 65535,options[mss 1460,nop,wscale 3,\
sackOK,TS val 197 ecr 787],len 0
Packet 3: IP 192.168.1.2.4874 > 192.168.2.4.ssh: Flags[.],ack 1,win 8326,options[nop,nop,TS val 788 ecr 197],len 0
"""
TRACE2 = """\
Packet 1: IP 192.168.1.2.11305 > 192.168.2.4.ssh: Flags[S],seq 110,win 65535,options[mss 1460,nop,wscale 3,sackOK,\
TS val 109 ecr 0,flow-d tificid 0a4530000000 tiseq 00000000001d tiack 000000000000],len 0
Packet 2: IP 192.168.2.4.ssh > 192.168.1.2.11305: Flags[S.],seq 456,ack 111,win 65535,options[mss 1460,nop,wscale 3,\
sackOK,TS val 138 ecr 109,flow-d tificid 0a4530be79bf tiseq 00000000001f tiack 00000000001d],len 0
Packet 3: IP 192.168.1.2.11305 > 192.168.2.4.ssh: Flags[.],ack 1,win 8326,options[nop,nop,TS val 110 ecr 138,\
flow-d tificid 0a4530be79bf tiseq 00000000001d tiack 00000000001f],len 0
"""

FLOW = "flow-d tificid 0a4530000000 tiseq 00000000001d tiack 000000000000"

Run = Callable[..., Outcome]


def test_the_script_makes_what_is_committed() -> None:
    done = subprocess.run([sys.executable, ROOT / "pcaps" / "make.py", "--check"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout.decode()


def test_every_case_has_its_folder() -> None:
    assert {path.stem for path in golden_captures()} == {"trace1", "trace2", "legacy-initiator", "resume"}
    for path in golden_captures():
        assert {file.name for file in path.parent.iterdir()} == {path.name, "expected.json", "README.md"}


def test_trace1_prints_as_in_the_paper(tiopt: Run) -> None:
    assert tiopt("decode", "--all", "--style", "paper", ROOT / "pcaps/trace1/trace1.pcap") == (0, TRACE1, "")


def test_trace2_prints_as_in_the_paper_with_its_slip_corrected(tiopt: Run) -> None:
    assert tiopt("decode", "--style", "paper", ROOT / "pcaps/trace2/trace2.pcap") == (0, TRACE2, "")


@pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
@pytest.mark.parametrize("every", [True, False])
def test_decode_says_what_is_expected(path: Path, every: bool, tiopt: Run) -> None:
    expected = json.loads((path.parent / "expected.json").read_text())["segments"]
    if not every:
        expected = [row for row in expected if row["variant"] is not None]
    status, out, err = tiopt("decode", "--format", "json", path, *(["--all"] if every else []))
    rows = [json.loads(line) for line in out.splitlines()]
    for row in rows:
        row["file"] = Path(row["file"]).name
        for finding in row["findings"]:
            assert finding.pop("text")
    assert (status, err) == (0, "")
    assert rows == expected


@pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
def test_wireshark_finds_nothing_wrong_with_them(path: Path) -> None:
    """Checksums are right, nothing is malformed, and sequence numbers surprise it only where segments were lost."""
    checks = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE"]
    wrong = "_ws.malformed or _ws.expert.severity == error or ip.checksum.status == bad or tcp.checksum.status == bad"
    command = [needs("tshark"), "-n", "-r", str(path), *checks, "-Y", wrong]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    analysed = [*command[:-1], "tcp.analysis.flags and not tcp.analysis.retransmission"]
    assert subprocess.run(analysed, capture_output=True, text=True, check=True).stdout == ""


def printed(run: Run, name: str) -> list[PrintedSegment]:
    return list(parse_trace(run("decode", "--all", "--style", "paper", ROOT / f"pcaps/{name}/{name}.pcap").out))


class TestPrintedTraces:
    def test_our_print_reads_back(self, tiopt: Run) -> None:
        syn, syn_ack, ack = printed(tiopt, "trace2")
        assert syn == PrintedSegment(
            1,
            "192.168.1.2",
            "11305",
            "192.168.2.4",
            "ssh",
            "S",
            110,
            None,
            65535,
            (
                "mss 1460",
                "nop",
                "wscale 3",
                "sackOK",
                "TS val 109 ecr 0",
                "flow-d tificid 0a4530000000 tiseq 00000000001d tiack 000000000000",
            ),
            syn.flow,
            0,
        )
        assert [str(segment.flow) for segment in (syn, syn_ack, ack)] == [
            "flow-d tifid 0a4530000000 tiseq 00000000001d tiack 000000000000",
            "flow-d tifid 0a4530be79bf tiseq 00000000001f tiack 00000000001d",
            "flow-d tifid 0a4530be79bf tiseq 00000000001d tiack 00000000001f",
        ]

    def test_the_paper_s_own_print_is_what_the_captures_hold(self, tiopt: Run) -> None:
        """Every value of Traces 1 and 2 as printed, wrapped lines and stray blanks included."""
        paper = SHARED / "paper.txt"
        if not paper.exists():
            pytest.skip("the paper is not on this machine")
        text = paper.read_text()
        traces = text[text.index("Trace 1 Sender Implements") : text.index("not implement (or has decided")]
        first, second = traces.split("Trace 2 Both Implement")
        assert list(parse_trace(first.replace("```", ""))) == printed(tiopt, "trace1")
        with pytest.raises(TraceError, match=r"12 hexadecimal digits of tiack, found 11 characters '00000000001'"):
            list(parse_trace(second.replace("```", "")))
        corrected = second.replace("```", "").replace("tiack 00000000001]", "tiack 00000000001f]")
        assert list(parse_trace(corrected)) == printed(tiopt, "trace2")

    def test_eleven_digits_are_refused_with_the_line(self) -> None:
        text = "A trace:\n\n" + TRACE2.replace("tiack 00000000001f", "tiack 00000000001")
        with pytest.raises(TraceError) as caught:
            list(parse_trace(text))
        assert str(caught.value) == "line 5: expected 12 hexadecimal digits of tiack, found 11 characters '00000000001'"
        assert caught.value.line == 5

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Packet 1: nonsense", "a packet as tcpdump prints it"),
            (TRACE1.replace("win 65535,", "", 1), "a packet as tcpdump prints it"),
            (TRACE1.replace("tiseq 00000000001f tiack", "tiack"), "`flow-d tifid … tiseq … tiack …`"),
            (TRACE1.replace("flow-d", "flow-d tificid 0 tiseq 0 tiack 0,flow-d", 1), "12 hexadecimal digits of tifid"),
            (TRACE2.replace("options[", f"options[{FLOW},"), "at most one flow option"),
        ],
    )
    def test_what_is_no_trace_is_refused(self, text: str, expected: str) -> None:
        with pytest.raises(TraceError) as caught:
            list(parse_trace(text))
        assert expected in caught.value.expected

    def test_text_without_packets_has_none(self) -> None:
        assert list(parse_trace("nothing here")) == []

    def test_tcpdump_s_own_spacing_reads_too(self) -> None:
        spaced: Any = TRACE1.replace(",", ", ").replace("Flags[", "Flags [").replace("options[", "options [")
        spaced = spaced.replace("len 0", "length 0").replace("tificid", "tifid")
        assert [segment.flow for segment in parse_trace(spaced)] == [segment.flow for segment in parse_trace(TRACE1)]
