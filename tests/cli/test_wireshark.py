"""`tiopt wireshark`: generate, install, status and check as a user calls them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, needs, tiopt_process
from tioption.cli import wireshark
from tioption.dissect import plugin
from tioption.dissect.tshark import Tshark
from tioption.option import DEFAULT_KINDS, Kinds

Run = Callable[..., Outcome]
RESUME = ROOT / "pcaps/resume/resume.pcap"


def test_every_option_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    for command in wireshark.COMMAND.commands:
        (section,) = re.findall(rf"^## tiopt wireshark {command.name}\b.*?(?=^## )", page, re.DOTALL | re.MULTILINE)
        for option in command.options:
            assert any(f"`{flag}" in section for flag in option.flags), (command.name, option.name)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A plugin that reads TISeq one octet too late."""
    path = tmp_path / "wrong.lua"
    text = plugin.render(DEFAULT_KINDS)
    assert '["tiseq"] = 9,' in text
    path.write_text(text.replace('["tiseq"] = 9,', '["tiseq"] = 10,'))
    return path


class TestGenerate:
    def test_to_standard_output_or_a_file(self, tiopt: Run, tmp_path: Path) -> None:
        text = plugin.render(DEFAULT_KINDS)
        assert tiopt("wireshark", "generate") == (0, text, "")
        assert tiopt("wireshark", "generate", "-o", tmp_path / "x.lua") == (0, "", "")
        assert (tmp_path / "x.lua").read_text() == text
        assert tiopt("wireshark", "generate", "--kind-d", 77, "--kind-c", 78).out == plugin.render(Kinds(77, 78))

    def test_check(self, tiopt: Run, wrong: Path) -> None:
        status, out, err = tiopt("wireshark", "generate", "--check", wrong)
        assert (status, err) == (1, "")
        assert '-    ["tiseq"] = 10,' in out
        assert '+    ["tiseq"] = 9,' in out
        wrong.write_text(plugin.render(DEFAULT_KINDS))
        assert tiopt("wireshark", "generate", "--check", wrong) == (0, "", "")
        assert tiopt("wireshark", "generate", "--check", wrong, "--kind-d", 77).status == 1

    def test_wrong_usage(self, tiopt: Run, tmp_path: Path) -> None:
        for words, complaint in (
            (("-o", "x", "--check", "y"), "--check compares"),
            (("--check", tmp_path / "absent"), "no such file"),
            (("-o", tmp_path), "is a directory"),
            (("--kind-d", 254), "must differ"),
        ):
            status, out, err = tiopt("wireshark", "generate", *words)
            assert (status, out) == (2, "")
            assert complaint in err


class TestInstallation:
    def test_in_and_out(self, tiopt: Run, home: Path) -> None:
        needs("tshark")
        status, out, err = tiopt("wireshark", "install")
        ignored = os.geteuid() == 0 and Tshark.find().ignores_root
        assert status == 0
        assert out.startswith(f"wrote {home}")
        assert ("--global" in err) == ignored
        assert ("loads it" in out) != ignored
        assert "current" in tiopt("wireshark", "status").out
        assert "nothing to do" in tiopt("wireshark", "install").out
        removed = tiopt("wireshark", "uninstall")
        assert removed.status == 0
        assert removed.out.count("removed") == out.count("wrote")
        assert list(home.iterdir()) == []
        assert "nothing to do" in tiopt("wireshark", "uninstall").out

    @pytest.mark.usefixtures("home")
    def test_status_as_json(self, tiopt: Run) -> None:
        needs("tshark")
        row = json.loads(tiopt("wireshark", "status", "--format", "json").out)
        assert list(row) == [
            *("tshark", "version", "lua", "root", "ignores_root", "complaint", "personal", "global"),
        ]
        assert row["personal"]["plugin"]["state"] == row["personal"]["profile"]["state"] == "absent"

    @pytest.mark.usefixtures("home")
    def test_a_file_of_somebody_else(self, tiopt: Run) -> None:
        needs("tshark")
        path = Path(json.loads(tiopt("wireshark", "status", "--format", "json").out)["personal"]["plugin"]["path"])
        path.parent.mkdir(parents=True)
        path.write_text("-- mine\n")
        assert "foreign" in tiopt("wireshark", "status").out
        for word in ("install", "uninstall"):
            status, _, err = tiopt("wireshark", word)
            assert status == 2
            assert str(path) in err
            assert path.read_text() == "-- mine\n"

    @pytest.mark.parametrize("words", [("install",), ("uninstall",), ("status",), ("check", RESUME)])
    def test_without_tshark(self, tiopt: Run, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        status, out, err = tiopt("wireshark", *words)
        assert (status, out) == (4, "")
        assert "apt install tshark" in err


class TestCheck:
    def test_what_agrees(self, tiopt: Run) -> None:
        needs("tshark")
        version = Tshark.find().version
        status, out, err = tiopt("wireshark", "check", RESUME, ROOT / "pcaps/trace2/trace2.pcap")
        assert (status, err) == (0, "")
        assert out.startswith("9 segments with a flow option")
        assert out.endswith(f" compared with tshark {version}: 0 differences\n")

    def test_what_differs(self, tiopt: Run, wrong: Path) -> None:
        needs("tshark")
        status, out, _ = tiopt("wireshark", "check", "--plugin", wrong, RESUME)
        assert status == 1
        lines = out.splitlines()
        assert lines[0].startswith(f"{RESUME}: frame 1: tiseq: ours ")
        assert ", Wireshark's " in lines[0]
        assert lines[-1].endswith(f"{len(lines) - 1} differences")

    def test_json(self, tiopt: Run, wrong: Path) -> None:
        needs("tshark")
        out = tiopt("wireshark", "check", "--format", "json", "--plugin", wrong, RESUME).out
        *rows, summary = map(json.loads, out.splitlines())
        assert {row["type"] for row in rows} == {"difference"}
        assert list(rows[0]) == ["type", "file", "frame", "field", "ours", "wireshark"]
        assert list(summary) == ["type", "tshark", "segments", "values", "differences"]
        assert summary["differences"] == len(rows)

    def test_a_damaged_file_is_three_and_the_others_are_read(self, tiopt: Run, tmp_path: Path) -> None:
        needs("tshark")
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(RESUME.read_bytes()[:600])
        status, out, err = tiopt("wireshark", "check", cut, "/nonexistent", RESUME)
        assert status == 3
        assert out.startswith("9 segments")
        assert "frame 4" in err
        assert "no such file" in err

    def test_a_plugin_that_is_none(self, tiopt: Run, tmp_path: Path) -> None:
        needs("tshark")
        (tmp_path / "x.lua").write_text("no Lua at all\n")
        status, _, err = tiopt("wireshark", "check", "--plugin", tmp_path / "x.lua", RESUME)
        assert status == 4
        assert "does not load" in err

    def test_wrong_usage(self, tiopt: Run) -> None:
        assert "name a file" in tiopt("wireshark", "check", "-").err
        status, _, err = tiopt("wireshark", "check", "--plugin", "/nonexistent", RESUME)
        assert status == 2
        assert "no such file" in err

    def test_as_a_process(self) -> None:
        needs("tshark")
        assert tiopt_process("wireshark", "check", RESUME, env={"PYTHONWARNINGS": "error"}).status == 0
