"""A source package of the machine's own distribution, without a trace in the machine's own configuration of apt."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

SOURCES: Final = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
"""Where apt reads its sources: a file, and a folder of files whose names end in `.list` or `.sources`."""

Run = Callable[[list[str], Path], object]
"""Runs a program in a folder."""


def source_lists(paths: Iterable[Path] = SOURCES) -> dict[str, str]:
    """The same sources as `paths` have, for source packages only: file names and contents of a `sources.list.d`."""
    files: list[Path] = []
    for path in paths:
        files += sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    lists: dict[str, str] = {}
    for number, file in enumerate(files):
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            lists[f"{number}.sources"] = re.sub(r"(?im)^types:.*$", "Types: deb-src", text)
        elif file.suffix == ".list":
            entries = (re.sub(r"^deb(-src)?\s", "deb-src ", line.strip()) for line in text.splitlines())
            lists[f"{number}.list"] = "".join(f"{line}\n" for line in entries if line.startswith("deb-src "))
    return {name: text for name, text in lists.items() if text.strip()}


def fetch(package: str, directory: Path, run: Run, lists: dict[str, str]) -> Path:
    """Download and unpack the source of `package` into `directory`; returns the folder of its tree.

    Raises subprocess.CalledProcessError where apt cannot, FileNotFoundError where nothing was unpacked.
    """
    with TemporaryDirectory(prefix="tiopt-apt-") as made:
        state = Path(made)
        # apt downloads as a user of its own, who must be able to get here.
        state.chmod(0o755)
        for name in ("sources", "lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True)
        for name, text in lists.items():
            (state / "sources" / name).write_text(text)
        isolated = [
            *("-o", f"Dir::Etc::SourceList={os.devnull}"),
            *("-o", f"Dir::Etc::SourceParts={state}/sources"),
            *("-o", f"Dir::State::Lists={state}/lists"),
            *("-o", f"Dir::Cache={state}/cache"),
        ]
        # One source of several may have no source packages, or be away; what counts is whether the next step works.
        with suppress(subprocess.CalledProcessError):
            run(["apt-get", *isolated, "update"], directory)
        run(["apt-get", *isolated, "source", package], directory)
    tree = next((path for path in sorted(directory.glob(f"{package}-*")) if path.is_dir()), None)
    if tree is None:
        raise FileNotFoundError(directory / package)
    return tree
