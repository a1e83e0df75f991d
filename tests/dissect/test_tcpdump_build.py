"""A real tcpdump, built with the patch: its own tests, and every line it prints against `tiopt decode`.

It is built from the distribution's source package, or from the first tree that TIOPT_TCPDUMP_SOURCE names.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from struct import pack

import pytest

from tests.conftest import golden_captures, shared_captures
from tests.dissect.test_tcpdump_patch import TREES
from tests.render.test_lines import our_lines, tcpdump_lines
from tioption.build.capture_file import pcap
from tioption.build.catalogue import SCENARIOS
from tioption.build.packet import Host, TcpHeader, ip_packet, mss, tcp_segment, timestamps
from tioption.capture.segment import SYN
from tioption.dissect import tcpdump_build
from tioption.dissect.tcpdump_build import Built, MissingError, SourceError, StepError
from tioption.generate.tcpdump_cases import cases
from tioption.layout import EXPERIMENTS
from tioption.option import Fault, FlowOption, Kinds, Tifid, Variant, walk

A, B = Host("192.0.2.1", 40000, bytes(6)), Host("198.51.100.2", 9000, bytes(6))
FLOW = FlowOption(Variant.FLOW_D, Tifid(0x0A4530BE79BF), 0x1D, 0x1F)


def fake_tree(directory: Path, **files: str) -> Path:
    directory.mkdir()
    for name, text in {"VERSION": "4.99.9\n", "print-tcp.c": "int x;\n", **files}.items():
        (directory / name).write_text(text)
    return directory


def test_what_is_no_tcpdump_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"found no VERSION and print-tcp\.c"):
        tcpdump_build.build(tmp_path, [], source=tmp_path)
    with pytest.raises(SourceError, match="found nothing"):
        tcpdump_build.build(tmp_path, [], source=tmp_path / "absent")
    (tmp_path / "x.tar").write_text("no archive")
    with pytest.raises(SourceError, match="expected an archive that tar can unpack"):
        tcpdump_build.build(tmp_path, [], source=tmp_path / "x.tar")


def test_a_tree_the_patch_does_not_fit_is_refused_and_left_alone(tmp_path: Path) -> None:
    source = fake_tree(tmp_path / "source")
    (tmp_path / "new").mkdir()
    with pytest.raises(SourceError, match=r"tcpdump 4\.99\.9: expected a source the patch fits \(4\.99\.1 to"):
        tcpdump_build.build(tmp_path / "new", cases(), source=source)
    assert sorted(path.name for path in source.iterdir()) == ["VERSION", "print-tcp.c"]
    assert "FAILED" in (tmp_path / "new" / tcpdump_build.LOG).read_text()


def test_a_step_that_fails_says_where_to_look(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    error = StepError("make", log)
    assert f"make failed, all of its output is in {log}" in str(error)
    assert "line 39" in str(error)
    assert "line 20" not in str(error)


def test_what_the_machine_lacks_is_named_by_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    lacking = tcpdump_build.missing(None, checking=True)
    assert {"gcc", "make", "patch", "dpkg-dev", "perl"} <= set(lacking)
    assert "autoconf" in tcpdump_build.missing(fake_tree(tmp_path / "source"), checking=False)
    with pytest.raises(MissingError, match="there is no apt-get here"):
        tcpdump_build.build(tmp_path, [])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingError, match=r"as root: apt-get install gcc") as caught:
        tcpdump_build.install(["gcc"], tmp_path, print)
    assert caught.value.packages == ("gcc",)


# A real one.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    source = TREES[0] if TREES else None
    lacking = tcpdump_build.missing(source, checking=True)
    if lacking:
        pytest.skip(f"not installed: {' '.join(lacking)}")
    return tcpdump_build.build(tmp_path_factory.mktemp("tcpdump"), cases(), source=source)


@pytest.mark.slow
def test_its_own_tests_and_ours_pass(built: Built) -> None:
    assert built.checked is not None
    log = (built.program.parents[1] / tcpdump_build.LOG).read_text()
    # Some of master's own fail with an older libpcap; none may that is about the option.
    assert not any("tiflow" in line for line in log.splitlines() if "fail" in line.lower() or "diff" in line)
    assert built.checked.passed > 500
    assert built.target.name != "4.99" or built.checked.failed == 0


def prints_as_we_do(built: Built, path: Path) -> int:
    """How many flow options both have printed, the same."""
    theirs = tcpdump_lines(path, str(built.program))
    assert our_lines(path) == theirs
    return sum(line.count("flow-") for line in theirs)


@pytest.mark.slow
def test_every_scenario_and_golden_capture_is_printed_as_decode_prints_it(built: Built, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    printed = 0
    for scenario in SCENARIOS.values():
        path.write_bytes(scenario.pcap())
        printed += prints_as_we_do(built, path)
    assert printed > 600
    assert sum(prints_as_we_do(built, path) for path in golden_captures()) >= 10


def areas(seed: int) -> Iterable[bytes]:
    """Option areas with options of the shared kinds: known identifiers, any length, cut lengths, several of them."""
    draw = random.Random(seed)
    exids = [exid for _, _, exid, _, _ in EXPERIMENTS]
    for _ in range(2000):
        area = draw.choice([b"", mss(1460), timestamps(1, 2), b"\1"])
        while len(area) < 36:
            kind, octets = draw.choice([253, 253, 254, 254, 77]), draw.choice([20, 20, 20, draw.randrange(2, 24)])
            body = draw.choice([draw.choice(exids), draw.randbytes(2), draw.randbytes(2)]) + draw.randbytes(20)
            area += bytes((kind, octets)) + body[: octets - 2]
        area = area[: draw.choice([40, 40, draw.randrange(4, 41)])]
        area += b"\1" * (-len(area) % 4)
        # Of a kind without a length at the very end tcpdump reads the length from behind the header.
        if not any(option.fault is Fault.PAST_END and len(option.octets) == 1 for option in walk(area)):
            yield area


@pytest.mark.slow
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_arbitrary_options_are_printed_as_decode_prints_them(built: Built, tmp_path: Path, cut: bool) -> None:
    if cut and built.target.name == "master":
        pytest.skip("master closes a list it could not read to its end otherwise than the releases do")
    draw = random.Random(2)
    path = tmp_path / "x.pcap"
    out = [pcap([], 101)]
    for area in areas(1):
        frame = ip_packet(A, B, tcp_segment(A, B, TcpHeader(1000, 0, SYN, 512, area)))
        kept = draw.randrange(44, len(frame) + 1) if cut else len(frame)
        out.append(pack("<IIII", 0, 0, kept, len(frame)) + frame[:kept])
    path.write_bytes(b"".join(out))
    theirs = tcpdump_lines(path, str(built.program))
    assert sum("flow-d" in line for line in theirs) > 100
    assert sum("flow-c" in line for line in theirs) > 100
    assert our_lines(path) == theirs


@pytest.mark.slow
@pytest.mark.parametrize("path", shared_captures() or [None], ids=lambda path: path and path.stem)
def test_everything_else_is_printed_as_before(built: Built, path: Path | None) -> None:
    if path is None:
        pytest.skip("no shared captures on this machine")
    if built.target.name == "master":
        pytest.skip("master prints other protocols otherwise than this machine's tcpdump does")
    assert tcpdump_lines(path, str(built.program)) == tcpdump_lines(path)


@pytest.mark.slow
def test_other_kinds_are_compiled_in(built: Built, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(built.program.parent, tree, symlinks=True)
    (tree / "print-tcp.c").touch()
    flags = "CFLAGS=-g -O2 -DTCPOPT_FLOW_D=77 -DTCPOPT_FLOW_C=78"
    subprocess.run(["make", flags, "tcpdump"], cwd=tree, check=True, capture_output=True)
    kinds = Kinds(77, 78)
    options = [FLOW.encode(kinds), FLOW.replace(variant=Variant.FLOW_C).encode(kinds), bytes(FLOW)]
    options.append(FLOW.replace(tifid=Tifid(0xF98912345678)).encode(kinds))  # no experiments on other kinds
    frames = [ip_packet(A, B, tcp_segment(A, B, TcpHeader(1, 0, SYN, 512, octets))) for octets in options]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, frame) for frame in frames], 101))
    theirs = tcpdump_lines(path, str(tree / "tcpdump"))
    assert our_lines(path, kinds) == theirs
    assert [line.count("flow-") for line in theirs] == [1, 1, 0, 1]


@pytest.mark.slow
def test_it_compiles_without_a_warning(built: Built, tmp_path: Path) -> None:
    tree = built.program.parent
    words = [
        "cc",
        "-DHAVE_CONFIG_H",
        "-I.",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Werror",
        "-c",
        "print-tcp.c",
    ]
    subprocess.run([*words, "-o", str(tmp_path / "x.o")], cwd=tree, check=True)
