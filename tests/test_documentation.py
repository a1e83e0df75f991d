"""What the documentation shows is what happens: its Python runs, its listings are the program's own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.calls import CALLS
from tests.conftest import ROOT, Outcome
from tests.pieces import cut
from tioption.build.catalogue import SCENARIOS
from tioption.cli.declare import Command
from tioption.verdict.outcome import Verdict

Run = Callable[..., Outcome]
PAGES = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in blocks(page, "python")], ids=lambda value: value[:20]
)
def test_python_examples_run(page: str, code: str, tmp_path: Path) -> None:
    for library in ("scapy", "pandas"):
        if library in code:
            pytest.importorskip(library)
    for name in ("capture.pcap", "x.pcap"):
        shutil.copy(ROOT / "pcaps/resume/resume.pcap", tmp_path / name)
    code = code.replace('["tiopt",', f'["{sys.executable}", "-m", "tioption.cli",')
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_s_listing_is_what_decode_prints(tiopt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    listing, damaged, _ = blocks("README.md", "console")
    command, _, expected = listing.partition("\n")
    assert tiopt(*command.removeprefix("$ tiopt ").split()).out == expected
    assert "found the end after 81" in damaged


def test_the_readme_s_damaged_file(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.pcap").write_bytes((ROOT / "pcaps/trace2/trace2.pcap").read_bytes()[:-5])
    status, _, err = tiopt("decode", "cut.pcap")
    assert status == 3
    assert err in blocks("README.md", "console")[1]


def test_the_readme_s_broken_capture(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build, validate, expected = blocks("README.md", "console")[2].split("\n", 2)
    assert tiopt(*build.removeprefix("$ tiopt ").split()) == (0, "", "")
    assert tiopt(*validate.removeprefix("$ tiopt ").split()) == (1, expected, "")


def test_the_guide_s_finding(tiopt: Run, tmp_path: Path) -> None:
    (block,) = (block for block in blocks("docs/howto/index.md", "console") if "| tiopt validate -" in block)
    command, _, expected = block.partition("\n")
    build, _, validate = command.partition(" | ")
    path = tmp_path / "x.pcap"
    assert tiopt(*build.removeprefix("$ tiopt ").split(), "-o", path).status == 0
    assert validate == "tiopt validate -"
    assert tiopt("validate", path).out == expected


def test_the_guide_s_folder(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in blocks("docs/howto/index.md", "console") if "tuesday.pcap" in block)
    command, _, expected = block.partition("\n")
    capture = SCENARIOS["resume"].pcap()
    for name, path in zip(("monday.pcap", "tuesday.pcap"), cut(capture, (9,), tmp_path), strict=True):
        path.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert tiopt(*command.removeprefix("$ tiopt ").split()).out == expected


def test_the_guide_s_stream(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (listing,) = (block for block in blocks("docs/howto/index.md", "console") if "tiopt follow" in block)
    one, listed, other, summed = listing.splitlines()
    assert tiopt(*one.removeprefix("$ tiopt ").split()).out == listed + "\n"
    words = other.removeprefix("$ tiopt ").removesuffix(" | sha256sum").split()
    assert tiopt(*words, "-o", tmp_path / "out") == (0, "", "")
    assert summed == f"{sha256((tmp_path / 'out').read_bytes()).hexdigest()}  -"


def test_the_guide_s_path(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (listing,) = (block for block in blocks("docs/howto/index.md", "console") if "tiopt mangle" in block)
    *commands, compare, verdict = listing.splitlines()
    for command in commands:
        assert tiopt(*command.removeprefix("$ tiopt ").split()) == (0, "", "")
    out = tiopt(*compare.removeprefix("$ tiopt ").split()).out
    assert out.splitlines()[0] == verdict
    assert (out.count("the option of the SYN-ACK is stripped"), out.count("is translated")) == (2, 2)


def test_the_tutorial_s_report(tiopt: Run) -> None:
    assert tiopt("validate", ROOT / "pcaps/resume/resume.pcap").out in blocks("docs/tutorial.md", "text")


@pytest.mark.parametrize(("words", "command"), CALLS.items(), ids=map(" ".join, CALLS))
def test_every_option_is_in_the_reference(words: tuple[str, ...], command: Command) -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    (section,) = re.findall(rf"^## tiopt {' '.join(words)}\b.*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    for option in command.options:
        assert any(f"`{flag}" in section for flag in option.flags), option.name


def test_every_key_verdict_and_reason_of_validate_is_in_the_reference(tiopt: Run, tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    (section,) = re.findall(r"^## tiopt validate .*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    words = {verdict.value for verdict in Verdict}
    for scenario in SCENARIOS.values():
        path = tmp_path / "x.pcap"
        path.write_bytes(scenario.pcap())
        for row in map(json.loads, tiopt("validate", "--format", "json", path).out.splitlines()):
            words |= {row["type"], *row, row.get("reason") or row["type"]}
    assert {word for word in words if f"`{word}`" not in section} == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target
