"""`python -m tests.matrix [RELEASE…]`: a table of what holds in which Wireshark; `--remove` empties the cache.

Each release is run as an ordinary user with the plugin given by -X and in the personal folder, and as root with it in
the global folder, which from 4.2 on is the only one root's Wireshark reads; each in one pass and in two. The exit
status is 1 where a check fails or a release was not to be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.dissect.agreement import Check, all_checks, write_captures
from tests.matrix.releases import RELEASES, Release, Unavailable, remove, unpacked
from tioption.dissect import plugin, profile
from tioption.dissect.tshark import Tshark
from tioption.option import DEFAULT_KINDS

_PLACE = "/srv/tiopt"
_HOME = f"{_PLACE}/home"
_SHOWN_FAILURES = 5


class Mode(NamedTuple):
    """How the plugin gets into tshark: who runs it, where the plugin lies (None: nowhere), further words."""

    name: str
    user: str
    folder: str | None
    words: tuple[str, ...] = ()


MODES = (
    Mode("-X", "65534:65534", None, (f"-Xlua_script:{_PLACE}/tiflow.lua",)),
    Mode("personal", "65534:65534", "personal lua plugins"),
    Mode("global, root", "0:0", "global lua plugins"),
)


class Box:
    """A release's tshark in its own root folder, with the captures and the plugin copied in."""

    def __init__(self, root: Path) -> None:
        """`root` is where the release was unpacked."""
        self._root = root

    def call(self, words: list[str], user: str) -> tuple[str, str]:
        """Run tshark in there; its output, and what it complained of."""
        command = ["chroot", f"--userspec={user}", "--groups=", str(self._root), "/usr/bin/env", "-i", f"HOME={_HOME}"]
        command += ["PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C.UTF-8", "tshark", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        complaints = [line for line in done.stderr.splitlines() if 'as user "root"' not in line]
        if done.returncode != 0:
            complaints.append(f"exit status {done.returncode}")
        return done.stdout, "\n".join(complaints)

    def tshark(self) -> Tshark:
        """The tshark in there, as we understand what it says of itself."""
        return Tshark.described("tshark", self.call(["--version"], "0:0")[0])

    def folder(self, name: str) -> Path:
        """A folder of `tshark -G folders`, as it lies for us."""
        text, _ = self.call(["-G", "folders"], "65534:65534")
        rows = {
            key.strip().lower(): path.strip() for key, _, path in (line.partition(":") for line in text.splitlines())
        }
        return self._root / rows[name].lstrip("/")

    @contextmanager
    def furnished(self) -> Iterator[tuple[Path, Path]]:
        """Captures, plugin, and a home for an ordinary user; removed in the end."""
        place = self._root / _PLACE.lstrip("/")
        shutil.rmtree(place, ignore_errors=True)
        (place / "home").mkdir(parents=True)
        os.chown(place / "home", 65534, 65534)
        (place / "tiflow.lua").write_text(plugin.render(DEFAULT_KINDS))
        try:
            yield write_captures(place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def installed(self, mode: Mode) -> Iterator[None]:
        """The plugin in the folder of a mode."""
        if mode.folder is None:
            yield
            return
        target = self.folder(mode.folder) / "tiflow.lua"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(plugin.render(DEFAULT_KINDS))
        try:
            yield
        finally:
            target.unlink()

    def checks(self, mode: Mode, captures: tuple[Path, Path], *, two_passes: bool) -> Iterator[Check]:
        """Every check in one mode, and last that tshark had nothing to complain of."""
        complaints: set[str] = set()

        def run(words: list[str]) -> str:
            out, said = self.call([*mode.words, *["-2"] * two_passes, *words], mode.user)
            complaints.update(said.splitlines())
            return out

        with self.installed(mode):
            yield from all_checks(run, captures, _PLACE, two_passes=two_passes)
        yield Check("complaints", set(), complaints)

    def profile_check(self, captures: tuple[Path, Path]) -> Check:
        """Whether this release takes the profile as it is: its preferences name nothing it does not know."""
        target = self.folder("personal configuration") / "profiles" / profile.NAME
        target.mkdir(parents=True)
        for name, text in profile.render().items():
            (target / name).write_text(text)
        words = ["-C", profile.NAME, *MODES[0].words, "-r", f"{_PLACE}/{captures[1].name}", "-c", "1"]
        return Check("profile", "", self.call(words, MODES[0].user)[1])


def try_release(release: Release, cache: Path) -> tuple[list[str], int]:
    """The row of a release, and how many checks failed; failures are told on standard error."""
    try:
        box = Box(unpacked(release, cache))
    except Unavailable as why:
        return [release.name, f"not to be had here: {why}", *[""] * (2 + 2 * len(MODES))], 1
    tshark = box.tshark()
    cells, failures = [release.name, tshark.version, tshark.lua or "none"], int(tshark.lua is None)
    with box.furnished() as captures:
        for mode in MODES:
            for two_passes in (False, True):
                checks = list(box.checks(mode, captures, two_passes=two_passes))
                failed = [check for check in checks if not check.passed]
                cells.append(f"{len(checks) - len(failed)}/{len(checks)}")
                failures += len(failed)
                for check in failed[:_SHOWN_FAILURES]:
                    where = f"{release.name}, {mode.name}{', -2' if two_passes else ''}"
                    sys.stderr.write(f"{where}: {check.what}: expected {check.expected}, found {check.found}\n")
        fits = box.profile_check(captures)
    cells.append("yes" if fits.passed else f"no: {fits.found}")
    return cells, failures + (not fits.passed)


def main(words: list[str]) -> int:
    """Print the table row by row; returns the exit status."""
    cache = Path(tempfile.gettempdir()) / "tiopt-dissector-matrix"
    if words == ["--remove"]:
        remove(cache)
        return 0
    names = [release.name for release in RELEASES]
    unknown = [word for word in words if word not in names]
    if unknown:
        sys.stderr.write(f"no release {unknown[0]!r}; there are {', '.join(names)}\n")
        return 2
    missing = [program for program in ("debootstrap", "chroot") if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        sys.stderr.write(f"needs root{' and ' + ', '.join(missing) if missing else ''} (apt install debootstrap)\n")
        return 4
    cache.mkdir(exist_ok=True)
    modes = [f"{mode.name}{passes}" for mode in MODES for passes in ("", ", -2")]
    header = ["release", "tshark", "Lua", *modes, "profile"]
    sys.stdout.write(f"| {' | '.join(header)} |\n|{'-|' * len(header)}\n")
    total = 0
    for release in RELEASES:
        if not words or release.name in words:
            cells, failures = try_release(release, cache)
            total += failures
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
