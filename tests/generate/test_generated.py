"""Generated files match the definition, and the check notices when they do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tioption.generate import __main__ as generate


def test_committed_files_are_what_the_generators_make() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tioption.generate", "--check"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("generated files checked, 0 out of date\n")


@pytest.mark.parametrize("name", generate.TARGETS)
def test_a_changed_file_is_noticed(tmp_path: Path, name: str) -> None:
    for target, render in generate.TARGETS.items():
        path = tmp_path / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render())
    assert generate.drifted(tmp_path) == []
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(re.sub(r"-\d\d|flow", "-99", text, count=1))
    (diff,) = generate.drifted(tmp_path)
    assert name in diff
    (tmp_path / name).unlink()
    assert len(generate.drifted(tmp_path)) == 1


def test_wrong_words_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", generate.TARGETS)
def test_generated_files_say_from_what(name: str) -> None:
    assert "Generated from tioption/" in (ROOT / name).read_text().splitlines()[0]
