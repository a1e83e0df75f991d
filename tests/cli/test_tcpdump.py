"""`tiopt tcpdump patch` and `build`, as far as they go without minutes of compiling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome
from tioption.dissect import tcpdump_build
from tioption.dissect.tcpdump_build import Built, Checked
from tioption.dissect.tcpdump_patch import TARGETS

Run = Callable[..., Outcome]


class TestPatch:
    @pytest.mark.parametrize("target", TARGETS)
    def test_it_is_the_committed_one(self, tiopt: Run, tmp_path: Path, target: str) -> None:
        committed = (ROOT / f"dissectors/tcpdump/tcpdump-{target}.patch").read_text()
        assert tiopt("tcpdump", "patch", "--for", target) == (0, committed, "")
        assert tiopt("tcpdump", "patch", "--for", target, "-o", tmp_path / "x") == (0, "", "")
        assert (tmp_path / "x").read_text() == committed

    def test_without_tests(self, tiopt: Run) -> None:
        whole, code = tiopt("tcpdump", "patch").out, tiopt("tcpdump", "patch", "--no-tests").out
        assert whole.startswith(code)
        assert "GIT binary patch" in whole
        assert "tests/" not in code

    def test_errors(self, tiopt: Run, tmp_path: Path) -> None:
        status, out, err = tiopt("tcpdump", "patch", "-o", tmp_path / "absent/x")
        assert (status, out) == (2, "")
        assert "no such file or directory" in err
        assert tiopt("tcpdump", "patch", "--for", "3.9").status == 2


class TestBuild:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_a_folder_with_something_in_it_is_left_alone(self, tiopt: Run, tmp_path: Path) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full/x").touch()
        status, _, err = tiopt("tcpdump", "build", "full")
        assert status == 2
        assert "full is not empty: name a new folder" in err
        assert tiopt("tcpdump", "build", "full/x").status == 2
        assert tiopt("tcpdump", "build", "a", "b").status == 2

    def test_what_is_missing_is_named_and_no_folder_stays_behind(
        self, tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        status, out, err = tiopt("tcpdump", "build", "new")
        assert (status, out) == (4, "")
        assert "--install-dependencies" in err
        assert "apt-get install gcc make patch dpkg-dev perl" in err
        assert list(tmp_path.iterdir()) == []

    def test_a_source_that_is_none(self, tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tcpdump_build, "missing", lambda *_, **__: [])
        status, _, err = tiopt("tcpdump", "build", "new", "--source", "absent")
        assert status == 2
        assert "expected a folder or an archive with the source of tcpdump, found nothing" in err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("checked", "status"), [(Checked(585, 0), 0), (Checked(584, 1), 1), (None, 0)])
    def test_what_it_says_in_the_end(
        self, tiopt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: Checked | None, status: int
    ) -> None:
        built = Built(tmp_path / "new/tcpdump", "4.99.3", TARGETS["4.99"], checked)
        monkeypatch.setattr(tcpdump_build, "missing", lambda *_, **__: [])
        monkeypatch.setattr(tcpdump_build, "build", lambda *_, **__: built)
        done = tiopt("tcpdump", "build", "new")
        assert (done.status, done.out) == (status, f"{built.program}\n")
        assert (f"{checked.passed} passed, {checked.failed} failed" in done.err) if checked else done.err == ""
        assert ("build.log" in done.err) == (status == 1)
