"""Diffs that git and patch apply: what comes out is what was meant, to the octet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import needs
from tioption.dissect.unified_diff import Hunk, added, added_binary, changed

OLD = "".join(f"line {number}\n" for number in range(1, 31))
HUNKS = [
    Hunk(4, " line 4\n+new\n line 5\n"),
    Hunk(19, " line 19\n-line 20\n+line twenty\n+and more\n line 21\n", "some_function(void)"),
    Hunk(29, " line 29\n-line 30\n"),
]
NEW = (
    OLD.replace("line 4\n", "line 4\nnew\n")
    .replace("line 20\n", "line twenty\nand more\n")
    .replace("line 29\nline 30\n", "line 29\n")
)


def applied(directory: Path, diff: str, *words: str) -> None:
    subprocess.run([needs(words[0]), *words[1:]], cwd=directory, input=diff.encode(), check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", [("git", "apply"), ("patch", "-p1", "--fuzz=0", "--batch")], ids=lambda words: words[0]
)
def test_text(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "old").write_text(OLD)
    applied(tmp_path, changed("old", HUNKS) + added("new/file", "one\n\ntwo\n"), *words)
    assert (tmp_path / "old").read_text() == NEW
    assert (tmp_path / "new/file").read_text() == "one\n\ntwo\n"


def test_hunks_say_where_they_end_up() -> None:
    heads = [line for line in changed("old", HUNKS).splitlines() if line.startswith("@@")]
    assert heads == ["@@ -4,2 +4,3 @@", "@@ -19,3 +20,4 @@ some_function(void)", "@@ -29,2 +31,1 @@"]


@pytest.mark.parametrize("octets", [1, 2, 3, 4, 5, 25, 26, 27, 51, 52, 53, 300, 65535, 65536, 200_000])
def test_binary(tmp_path: Path, octets: int) -> None:
    data = bytes((number * 7 + number // 251) & 0xFF for number in range(octets))
    applied(tmp_path, added_binary("x.bin", data), "git", "apply")
    assert (tmp_path / "x.bin").read_bytes() == data


@given(st.binary(max_size=200))
def test_binary_is_ascii_in_short_lines(data: bytes) -> None:
    diff = added_binary("x", data)
    assert diff.isascii()
    assert max(map(len, diff.splitlines()[4:])) <= 66
