"""The machine's sources of packages turned into sources of source packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tioption.dissect import debian_source

DEB822 = """\
# where it all comes from
Types: deb
URIs: http://deb.example/debian
Suites: stable stable-updates
Components: main
Signed-By: /usr/share/keyrings/example.gpg

Enabled: no
types: deb deb-src
URIs: http://other.example/
Suites: ./
"""
ONE_LINE = """\
# deb http://disabled.example/ x main
deb [arch=amd64 signed-by=/k.gpg] http://deb.example/debian stable main contrib
deb-src\thttp://deb.example/debian stable main

nonsense
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (parts / "a.sources").write_text(DEB822)
    (parts / "b.list").write_text("# nothing\n")
    (parts / "c.sources.disabled").write_text(DEB822)
    return [tmp_path / "sources.list", parts, tmp_path / "absent"]


def test_binary_sources_become_source_sources(sources: list[Path]) -> None:
    lists = debian_source.source_lists(sources)
    assert set(lists) == {"0.list", "1.sources"}
    assert lists["0.list"].splitlines() == [
        "deb-src [arch=amd64 signed-by=/k.gpg] http://deb.example/debian stable main contrib",
        "deb-src http://deb.example/debian stable main",
    ]
    assert lists["1.sources"] == DEB822.replace("Types: deb\n", "Types: deb-src\n").replace(
        "types: deb deb-src", "Types: deb-src"
    )


def test_apt_is_run_beside_the_machine_s_configuration(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def run(words: list[str], where: Path) -> None:
        seen.append(words)
        options = dict(word.split("=", 1) for word in words if "=" in word)
        state = Path(options["Dir::State::Lists"]).parent
        assert where == tmp_path
        assert (state / "sources/0.list").read_text() == "deb-src x\n"
        assert all(Path(value).is_relative_to(state) for name, value in options.items() if value != "/dev/null")
        if words[-1] == "update":
            raise subprocess.CalledProcessError(100, words)
        (tmp_path / "hello-1.2").mkdir()
        (tmp_path / "hello-1.2.orig.tar.gz").touch()

    assert debian_source.fetch("hello", tmp_path, run, {"0.list": "deb-src x\n"}) == tmp_path / "hello-1.2"
    assert [words[-1] for words in seen] == ["update", "hello"]
    assert seen[1][-2] == "source"


def test_nothing_unpacked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        debian_source.fetch("hello", tmp_path, lambda *_: None, {})
