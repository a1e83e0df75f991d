"""The patch for tcpdump, against a stand-in for its files made of the lines it expects there, and against real trees.

A colon-separated TIOPT_TCPDUMP_SOURCE names real ones.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, needs, tiopt_process
from tests.render.test_lines import our_lines, tcpdump_lines
from tioption.dissect.tcpdump_patch import TARGETS, Case, Target, expected, lookalikes, render
from tioption.generate.tcpdump_cases import cases
from tioption.layout import EXPERIMENTS
from tioption.option import walk

TREES = [Path(name) for name in os.environ.get("TIOPT_TCPDUMP_SOURCE", "").split(":") if name]
BY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
BY_CASE = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


def stand_in(directory: Path, diff: str) -> None:
    """Files that have nothing but the lines the patch expects, where it expects them."""
    for part in re.split(r"^diff --git ", diff, flags=re.MULTILINE)[1:]:
        if "\nnew file mode" in part:
            continue
        lines: list[str] = []
        name = part.split()[0].removeprefix("a/")
        for start, hunk in re.findall(r"^@@ -(\d+),.*?@@.*?\n(.*?)(?=^@@|\Z)", part, re.MULTILINE | re.DOTALL):
            lines += ["\n"] * (int(start) - 1 - len(lines))
            lines += [f"{line[1:]}\n" for line in hunk.splitlines() if line[:1] in " -"]
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))


@BY_TARGET
def test_git_applies_all_of_it(tmp_path: Path, target: Target) -> None:
    diff = render(target, cases())
    stand_in(tmp_path, diff)
    subprocess.run([needs("git"), "apply"], cwd=tmp_path, input=diff, text=True, check=True, capture_output=True)
    for case in cases():
        assert (tmp_path / f"tests/{case.name}.pcap").read_bytes() == case.capture
        assert (tmp_path / f"tests/{case.name}.out").read_text() == expected(target, case)
        assert f"\n{case.name}\t{case.name}.pcap\t{case.name}.out\n" in (tmp_path / "tests/TESTLIST").read_text()


@BY_TARGET
@pytest.mark.parametrize("tests", [[], cases()], ids=["code", "with tests"])
def test_patch_applies_it_without_captures(tmp_path: Path, target: Target, tests: list[Case]) -> None:
    diff = render(target, tests, captures=False)
    stand_in(tmp_path, diff)
    words = [needs("patch"), "-p1", "--fuzz=0", "--batch"]
    subprocess.run(words, cwd=tmp_path, input=diff, text=True, check=True, capture_output=True)
    assert "case TCPOPT_FLOW:" in (tmp_path / "print-tcp.c").read_text()


@pytest.mark.parametrize("tree", TREES or [None], ids=lambda tree: tree and tree.name)
def test_it_fits_a_real_tree(tree: Path | None) -> None:
    if tree is None:
        pytest.skip("TIOPT_TCPDUMP_SOURCE names no source of tcpdump")
    words = [needs("patch"), "-p1", "--fuzz=0", "--batch", "--dry-run", "-d", str(tree)]
    diffs = [render(target, cases(), captures=False) for target in TARGETS.values()]
    done = [subprocess.run(words, input=diff, text=True, check=False, capture_output=True) for diff in diffs]
    assert [outcome.returncode for outcome in done].count(0) == 1, [outcome.stdout for outcome in done]


def test_the_code_is_written_as_tcpdump_s_is() -> None:
    for target in TARGETS.values():
        lines = [line[1:] for line in render(target).splitlines() if line.startswith("+") and line[:3] != "+++"]
        assert 50 < len(lines) < 110
        for line in lines:
            assert line.isascii()
            assert len(line) <= 110
            assert line == line.rstrip()
            assert "//" not in line


def test_every_experiment_of_that_length_is_told_apart() -> None:
    code = render(TARGETS["4.99"])
    found = {option.experiment for octets in lookalikes() for option in walk(octets)}
    assert None not in found
    assert found == {name for name, _, _, _, lengths in EXPERIMENTS if lengths is None or 20 in lengths}
    for name, title, exid, _, _ in EXPERIMENTS:
        assert (f"case 0x{exid.hex()}: /* {title} */" in code) == (name in found)


@BY_CASE
def test_expected_output_is_what_tcpdump_prints_but_for_flow_options(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(case.capture)
    flow = re.compile(r"flow-[dc] tifid (\w{12}) tiseq (\w{12}) tiack (\w{12})")
    printed = [re.sub(r"^ *\d+  ", "", line) for line in expected(TARGETS["4.99"], case).splitlines()]
    assert printed == our_lines(path)
    unknown = re.compile(r"unknown-253 0x\w{36}|exp-\w{4}")
    theirs = tcpdump_lines(path)
    assert len(theirs) == len(case.frames)
    # What is left of a line without any of them is the same, and no line has more or fewer options.
    both = [[unknown.sub("*", flow.sub("*", line)) for line in lines] for lines in (printed, theirs)]
    assert both[0] == both[1]


def test_a_fast_open_cookie_is_no_flow(tmp_path: Path) -> None:
    (case,) = (case for case in cases() if case.name == "tiflow-others")
    text = expected(TARGETS["4.99"], case)
    assert "exp-tfo cookie 101112131415161718191a1b1c1d1e1f]" in text
    assert "unknown-253 0xf989101112131415161718191a1b1c1d1e1f]" in text


@BY_CASE
def test_dates_are_all_that_differs_between_targets(case: Case) -> None:
    dated = expected(TARGETS["master"], case)
    assert re.sub(r"(?m)^( *\d+  )\d{4}-\d\d-\d\d ", r"\1", dated) == expected(TARGETS["4.99"], case)
    assert "  2023-11-14 22:13:20." in dated


def test_expected_output_is_in_utc_wherever_it_is_made() -> None:
    def made(zone: str) -> Outcome:
        return tiopt_process("tcpdump", "patch", env={"TZ": zone})

    assert made("Asia/Tokyo") == made("UTC")
    assert made("UTC").out == (ROOT / "dissectors/tcpdump/tcpdump-4.99.patch").read_text()


def test_cases_are_the_same_each_time() -> None:
    assert cases() == cases()
