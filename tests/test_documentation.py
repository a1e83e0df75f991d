"""What the documentation shows is what happens: its Python runs, its listings are the program's own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome
from tioption.cli import decode

Run = Callable[..., Outcome]
PAGES = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in blocks(page, "python")], ids=lambda value: value[:20]
)
def test_python_examples_run(page: str, code: str, tmp_path: Path) -> None:
    if "scapy" in code:
        pytest.importorskip("scapy")
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
    listing, damaged = blocks("README.md", "console")
    command, _, expected = listing.partition("\n")
    assert tiopt(*command.removeprefix("$ tiopt ").split()).out == expected
    assert "found the end after 81" in damaged


def test_the_readme_s_damaged_file(tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.pcap").write_bytes((ROOT / "pcaps/trace2/trace2.pcap").read_bytes()[:-5])
    status, _, err = tiopt("decode", "cut.pcap")
    assert status == 3
    assert err in blocks("README.md", "console")[1]


def test_every_option_of_decode_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    for option in decode.COMMAND.options:
        assert any(f"`{flag}" in page for flag in option.flags), option.name


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target
