"""What every test may need: the command line in and out of process, captures, and peers that must be there in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from tioption.cli import main

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# One profile for everybody: noisy machines must not make a test flaky by its duration.
settings.register_profile("tiopt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiopt")


class Outcome(NamedTuple):
    """What a run of `tiopt` did."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day are those of UTC, here and in every peer."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for whoever runs the tests."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    for name in [name for name in os.environ if name.startswith(("XDG_", "WIRESHARK_"))]:
        monkeypatch.delenv(name)
    return path


@pytest.fixture
def tiopt(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `tiopt WORDS…` in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return run


def tiopt_process(*words: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
    """Run `tiopt WORDS…` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tioption.cli", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def needs(program: str) -> str:
    """The path of a peer; skips where it is missing, fails where TIOPT_REQUIRE_LIVE says that it must not be."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed"
        if os.environ.get("TIOPT_REQUIRE_LIVE"):
            pytest.fail(f"{reason}, and TIOPT_REQUIRE_LIVE is set")
        pytest.skip(reason)
    return path


def needs_root() -> None:
    """Skips where no network namespaces can be made and entered: without root, or for a root without the capability."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    ip, name = needs("ip"), f"tiopt-{os.getpid()}-probe"
    made = subprocess.run([ip, "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"root lacks the capability to make network namespaces: {made.stderr.strip()}")
    # Where / is no mount point, as in a chroot, a namespace can be made but not entered.
    entered = subprocess.run([ip, "netns", "exec", name, "true"], capture_output=True, text=True, check=False)
    subprocess.run([ip, "netns", "delete", name], check=True)
    if entered.returncode != 0:
        pytest.skip(f"network namespaces cannot be entered: {entered.stderr.strip()}")


def shared_captures() -> list[Path]:
    """The captures that lie beside the repository on machines that have them; none elsewhere."""
    return sorted((SHARED / "captures").glob("*.pcap*"))


def golden_captures() -> list[Path]:
    """The captures of the repository."""
    return sorted((ROOT / "pcaps").glob("*/*.pcap"))
