"""tcpdump's output annotated: behind the real tcpdump on every scenario, in chunks of any size, on any other text."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import golden_captures, needs
from tests.render.test_lines import our_lines
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.build.packet import Host, TcpHeader, ip_packet, mss, tcp_segment
from tioption.capture.segment import SYN
from tioption.generate.tcpdump_cases import cases
from tioption.option import FlowOption, Kinds, Tifid, Variant
from tioption.render.annotate import Annotator

A, B = Host("192.0.2.1", 40000, bytes(6)), Host("198.51.100.2", 9000, bytes(6))
FLOW_D = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1D, 0x1F)
FLOW_C = FLOW_D.replace(variant=Variant.FLOW_C)
HINT = " (flow-c? tcpdump drops its octets, -x shows them)"
LINE = b"00:00:00.000000 IP 192.0.2.1.1 > 192.0.2.2.2: Flags [S], seq 1, win 512, options [mss 1460,%s], length 0\n"


def annotated(text: bytes, kinds: Kinds | None = None) -> bytes:
    annotator = Annotator(kinds) if kinds else Annotator()
    return annotator.feed(text) + annotator.close()


def option(text: bytes, kinds: Kinds | None = None) -> str:
    """What becomes of one option as tcpdump prints it."""
    before, _, after = LINE.partition(b"%s")
    out = annotated(before + text + after, kinds)
    assert out.startswith(before)
    assert out.endswith(after)
    return out[len(before) : -len(after)].decode()


def tcpdump(path: Path, *words: str) -> bytes:
    return subprocess.run([needs("tcpdump"), "-n", *words, "-r", path], capture_output=True, check=True).stdout


def capture_of(path: Path, *areas: bytes) -> Path:
    frames = [ip_packet(A, B, tcp_segment(A, B, TcpHeader(1, 0, SYN, 512, area))) for area in areas]
    path.write_bytes(pcap([(0, frame) for frame in frames], 101))
    return path


_DUMP_LINE = re.compile(rb"(?m)^\t0x[0-9a-f]{4}:.*\n")


def test_every_scenario_reads_as_decode_prints_it(tmp_path: Path) -> None:
    """Without a dump where the option is on 253, with one wherever it is."""
    path = tmp_path / "x.pcap"
    compared = 0
    for scenario in SCENARIOS.values():
        path.write_bytes(scenario.pcap())
        ours = "".join(f"{line}\n" for line in our_lines(path))
        dumped = tcpdump(path, "-x")
        plain = _DUMP_LINE.sub(b"", dumped)
        if b"exp-" not in plain:
            assert annotated(plain).decode() == ours, scenario.name
            compared += 1
        assert _DUMP_LINE.sub(b"", annotated(dumped)).decode() == ours, scenario.name
    assert compared >= 140


@pytest.mark.parametrize("path", golden_captures(), ids=lambda path: path.stem)
def test_golden_captures_read_as_decode_prints_them(path: Path) -> None:
    assert annotated(tcpdump(path)).decode().splitlines() == our_lines(path)


@pytest.mark.parametrize("form", ["-x", "-xx", "-X", "-XX", "-xv", "-XXvvv", "-xxe", "-xt", "-xtttt", "-x#"])
@pytest.mark.parametrize("family", ["192.0.2.", "2001:db8::"])
def test_every_form_of_dump_gives_the_octets(tmp_path: Path, form: str, family: str) -> None:
    talk = Conversation(4, variant=Variant.FLOW_C, a=f"{family}1", b=f"{family}2")
    talk.connect().send("A", b"\xff\xfe, options [exp-1122], \x00" * 20)
    path = tmp_path / "x.pcap"
    talk.write(path)
    theirs = tcpdump(path, form)
    out = annotated(theirs)
    assert out.count(b"flow-c tifid ") == 3
    for line in our_lines(path)[:3]:
        flow = re.search(r"flow-c tifid \w{12} tiseq \w{12} tiack \w{12}", line)
        assert flow is not None
        assert flow[0].encode() in out
    # Everything else is as it was.
    assert re.sub(rb"flow-c tifid \w{12} tiseq \w{12} tiack \w{12}", b"*", out) == re.sub(
        rb"exp-\w{4}(?=\], len)", b"*", theirs
    )


class TestWords:
    @pytest.mark.parametrize(
        ("printed", "expected"),
        [
            (b"unknown-253 0x0a4530be79bf00000000001d00000000001f", str(FLOW_D)),
            (b"unknown-253 0x0a4530be79bf00000000001d0000000000", None),
            (b"unknown-253 0x0a4530be79bf00000000001d00000000001f00", None),
            (b"unknown-252 0x0a4530be79bf00000000001d00000000001f", None),
            (b"unknown-253 0xf98900112233445566778899aabbccddeeff", " (TCP Fast Open)"),
            (b"unknown-253 0xe2d4c3d9", " (Shared Memory Communications)"),
            (b"unknown-253", None),
            (b"unknown-0 0x0102", None),
            (b"unknown-999 0x0a4530be79bf00000000001d00000000001f", None),
            (b"exp-1122", HINT),
            (b"exp-0348", " (Host Identifier)"),
            (b"exp-e2d4", " (Shared Memory Communications?)"),
            (b"exp-acce", " (Accurate ECN?)"),
            (b"exp-tfo cookie 00112233", None),
            (b"exp-tfo cookiereq", None),
        ],
    )
    def test_an_option(self, printed: bytes, expected: str | None) -> None:
        words = printed.decode()
        if expected is not None:
            words = expected if expected.startswith("flow-") else words + expected
        assert option(printed) == words

    def test_other_kinds(self) -> None:
        text = b"unknown-77 0xf98900112233445566778899aabbccddeeff"
        assert option(text, Kinds(77, 78)) == "flow-d tifid f98900112233 tiseq 445566778899 tiack aabbccddeeff"
        assert option(text) == text.decode()
        assert option(b"exp-1122", Kinds(77, 78)) == "exp-1122"
        assert option(b"exp-0348", Kinds(77, 78)) == "exp-0348 (Host Identifier)"
        assert option(b"exp-1122", Kinds(254, 78)) == "exp-1122" + HINT.replace("flow-c", "flow-d")
        assert option(b"unknown-253 0x" + bytes(FLOW_C)[2:].hex().encode(), Kinds(254, 253)) == str(FLOW_C)

    def test_several_options(self) -> None:
        flow = b"unknown-253 0x" + bytes(FLOW_D)[2:].hex().encode()
        assert option(b"nop,%s,exp-1122,%s,eol" % (flow, flow)) == f"nop,{FLOW_D},exp-1122{HINT},{FLOW_D},eol"

    @pytest.mark.parametrize(
        "line",
        [
            b"GET /unknown-253 0x0a4530be79bf00000000001d00000000001f\n",
            b"00:00 IP a.1 > b.2: Flags [P.], seq 1:9, length 8: HTTP: x, options [exp-1122], length 0\n",
            b"00:00 IP a.1 > b.2: UDP, length 8 exp-1122\n",
            b"00:00 IP a.1 > b.2: Flags [S], seq 1, win 9, options [nop,unknown-253 0x0a45 [|tcp]>\n",
            b"00:00 IP a.1 > b.2: Flags [S], seq 1, win 9, options [nop,exp [|tcp]>\n",
            b"exp-1122, options [unknown-253 0x\n",
        ],
    )
    def test_what_is_no_option_is_left_alone(self, line: bytes) -> None:
        assert annotated(line) == line

    def test_an_option_before_one_that_is_cut(self) -> None:
        flow = b"unknown-253 0x" + bytes(FLOW_D)[2:].hex().encode()
        line = b"00:00 IP a.1 > b.2: Flags [S], seq 1, win 9, options [%s,nop,TS [|tcp]>\n"
        assert annotated(line % flow) == line % str(FLOW_D).encode()

    def test_lines_that_end_as_elsewhere_or_not_at_all(self) -> None:
        flow = b"unknown-253 0x" + bytes(FLOW_D)[2:].hex().encode()
        for end in (b"\r\n", b""):
            line = (LINE % flow)[:-1] + end
            assert annotated(line) == (LINE % str(FLOW_D).encode())[:-1] + end


class TestDumps:
    def test_one_that_shows_another_experiment_or_length(self, tmp_path: Path) -> None:
        areas = [b"\xfe\x08\x11\x22\1\2\3\4", b"\xfe\x06\xe2\xd4\xc3\xd9\1\1", b"\xfe\x14\xe2\xd4" + bytes(16)]
        out = annotated(tcpdump(capture_of(tmp_path / "x.pcap", *areas), "-x")).decode()
        shown = re.findall(r"options \[(.*)\], length", out)
        assert shown == [
            "exp-1122",
            "exp-e2d4 (Shared Memory Communications),nop,nop",
            "flow-c tifid e2d400000000 tiseq 000000000000 tiack 000000000000",
        ]

    def test_several_options_of_one_segment(self, tmp_path: Path) -> None:
        area = b"\xfe\x04\xf9\x89" + bytes(FLOW_C) + b"\xfe\x08\x11\x22\1\2\3\4"
        out = annotated(tcpdump(capture_of(tmp_path / "x.pcap", area, mss(1460) + bytes(FLOW_C)), "-X")).decode()
        assert f"options [exp-tfo cookiereq,{FLOW_C},exp-1122], length" in out
        assert f"options [mss 1460,{FLOW_C}], length" in out

    def test_one_that_is_cut_or_is_of_another_packet(self, tmp_path: Path) -> None:
        theirs = tcpdump(capture_of(tmp_path / "x.pcap", bytes(FLOW_C)), "-x")
        line, *dump = theirs.splitlines(keepends=True)
        hinted = line.replace(b"exp-0a45", b"exp-0a45" + HINT.encode())
        assert annotated(line + b"".join(dump[:2])) == hinted + b"".join(dump[:2])
        assert annotated(line + b"".join(dump[1:])) == hinted + b"".join(dump[1:])
        assert annotated(line + line + b"".join(dump)).splitlines(keepends=True)[0] == hinted
        other = theirs.replace(b"0a45 30be", b"0b45 30be")
        assert HINT.encode() in annotated(other)

    def test_lines_are_held_only_while_a_dump_may_follow(self, tmp_path: Path) -> None:
        line, *dump = tcpdump(capture_of(tmp_path / "x.pcap", bytes(FLOW_C)), "-x").splitlines(keepends=True)
        annotator = Annotator()
        held = [annotator.holding]
        assert annotator.feed(line) == b""
        held.append(annotator.holding)
        assert HINT.encode() in annotator.flush()
        held.append(annotator.holding)
        assert annotator.feed(line + dump[0]) == b""
        out = [annotator.feed(part) for part in dump[1:]]
        assert str(FLOW_C).encode() in b"".join(out)
        held.append(annotator.holding)
        assert held == [False, True, False, False]
        annotator.feed(line)
        assert annotator.feed(b" more\n" * 200).startswith(line[:20])

    def test_a_line_without_such_an_option_is_never_held(self) -> None:
        annotator = Annotator()
        line = LINE % b"unknown-253 0x00"
        assert annotator.feed(line) == line
        assert annotator.feed(b"exp-") == b""
        assert annotator.feed(b"\n") == b"exp-\n"


@cache
def everything() -> tuple[bytes, bytes]:
    """What tcpdump prints of the test cases in several forms, rubbish between, and the same annotated in one piece."""
    import tempfile

    out = []
    for case in cases():
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            path = Path(file.name)
            path.write_bytes(case.capture)
            out += [tcpdump(path, form) for form in ("-t", "-vx", "-XX")] + [b"\xff\xfe\r\r\0\n"]
    text = b"".join(out)
    return text, annotated(text)


@given(st.lists(st.integers(1, 3000), max_size=60))
def test_chunks_do_not_matter(sizes: list[int]) -> None:
    text, expected = everything()
    annotator, at, out = Annotator(), 0, b""
    for size in sizes:
        out += annotator.feed(text[at : at + size])
        at += size
    assert out + annotator.feed(text[at:]) + annotator.close() == expected
    assert expected.count(b"flow-c tifid") == 12


@given(st.lists(st.binary(max_size=80) | st.sampled_from([LINE % b"exp-1122", b"\t0x0000:  4500 0034\n", b"\n"])))
def test_nothing_is_lost_and_nothing_raised(chunks: list[bytes]) -> None:
    annotator = Annotator()
    out = b"".join(annotator.feed(chunk) for chunk in chunks) + annotator.close()
    assert out.replace(HINT.encode(), b"") == b"".join(chunks)


def test_what_has_no_lines_is_passed_on_in_bounded_memory() -> None:
    annotator = Annotator()
    assert sum(len(annotator.feed(b"x" * 4096)) for _ in range(64)) >= 64 * 4096 - (1 << 17)


def test_a_payload_made_to_be_slow_is_not(tmp_path: Path) -> None:
    text = b": Flags [S], options [exp-1122 " * 2000 + b"\n"
    assert annotated(text) == text
