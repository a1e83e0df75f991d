"""`tiopt build`: captures of named scenarios, to a file or a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome
from tioption.build.catalogue import SCENARIOS

Run = Callable[..., Outcome]


def test_list(tiopt: Run) -> None:
    status, out, err = tiopt("build", "--list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(SCENARIOS)
    rows = [json.loads(line) for line in tiopt("build", "--list", "--format", "json").out.splitlines()]
    assert {row["name"]: row["rule"] for row in rows} == {name: one.rule for name, one in SCENARIOS.items()}


def test_the_same_seed_makes_the_same_file(tmp_path: Path, tiopt: Run) -> None:
    for name in ("one", "other"):
        assert tiopt("build", "resume", "--seed", 7, "-o", tmp_path / name) == (0, "", "")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes() == SCENARIOS["resume"].pcap(7)
    assert tiopt("decode", tmp_path / "one").out.count("flow-d") == 6


@pytest.mark.parametrize("at", ["path", "a", "b"])
def test_where_it_is_captured(at: str, tmp_path: Path, tiopt: Run) -> None:
    tiopt("build", "stripped-backward", "--at", at, "-o", tmp_path / "x")
    assert tiopt("decode", tmp_path / "x").out.count("flow-d") == (1 if at == "a" else 2)


def test_into_a_pipe() -> None:
    command = f"{sys.executable} -m tioption.cli build flow-c | {sys.executable} -m tioption.cli decode -"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.count("flow-c") == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["build"], "expected the name of one scenario"),
        (["build", "resume", "trace1"], "expected the name of one scenario"),
        (["build", "resumed"], "no scenario 'resumed'; did you mean resume"),
        (["build", "qqqqq"], "no scenario 'qqqqq' (see --list)"),
        (["build", "resume", "-o", "/"], "-o /: is a directory"),
    ],
)
def test_wrong_usage(words: list[str], complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt(*words)
    assert (status, out) == (2, "")
    assert complaint in err
