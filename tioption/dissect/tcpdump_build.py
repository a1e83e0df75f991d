"""A tcpdump that prints the option: its source fetched or given, patched, compiled, and put through its own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tioption.dissect import debian_source
from tioption.dissect.tcpdump_patch import TARGETS, Case, Target, render
from tioption.errors import TioptError

LOG: Final = "build.log"
_PACKAGES: Final = {
    "cc": "gcc",
    "make": "make",
    "patch": "patch",
    "perl": "perl",
    "tar": "tar",
    "dpkg-source": "dpkg-dev",
    "autoreconf": "autoconf",
}
_HEADERS: Final = {"stdio.h": "libc6-dev", "pcap.h": "libpcap-dev"}
_TAIL: Final = 12


class MissingError(TioptError):
    """The machine lacks something; `packages` are Debian's names of what would help, none where nothing of it does."""

    def __init__(self, text: str, packages: Sequence[str] = ()) -> None:
        """Say what is missing, and how to get it."""
        fix = f"; as root: apt-get install {' '.join(packages)}" if packages else ""
        super().__init__(text + fix)
        self.packages = tuple(packages)


class SourceError(TioptError):
    """What was given as tcpdump's source is none, or one that no patch is for."""


class StepError(TioptError):
    """A step of the work failed; the message has the last lines of its output and where the rest is."""

    def __init__(self, step: str, log: Path) -> None:
        """Name the step and read its end from the log."""
        tail = log.read_text(errors="replace").splitlines()[-_TAIL:]
        super().__init__("\n    ".join([f"{step} failed, all of its output is in {log}; the end of it:", *tail]))


class Checked(NamedTuple):
    """What tcpdump's own tests said."""

    passed: int
    failed: int


class Built(NamedTuple):
    """The program, what it was built from, and the result of its tests, None where they were not run."""

    program: Path
    version: str
    target: Target
    checked: Checked | None


def missing(source: Path | None, *, checking: bool) -> list[str]:
    """Debian's names of the packages this machine lacks to build tcpdump from `source`, None for Debian's own."""
    needed = ["cc", "make", "patch", "dpkg-source" if source is None else "tar"]
    needed += ["perl"] * checking
    if source is not None and source.is_dir() and not (source / "configure").exists():
        needed.append("autoreconf")
    packages = [_PACKAGES[program] for program in needed if shutil.which(program) is None]
    headers = [package for header, package in _HEADERS.items() if not _has_header(header)]
    return packages + headers


def _has_header(name: str) -> bool:
    compiler = shutil.which("cc")
    if compiler is None:
        return Path("/usr/include", name).exists()
    words = [compiler, "-E", "-x", "c", "-include", name, os.devnull]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0  # noqa: S603


def install(packages: Sequence[str], directory: Path, say: Callable[[str], None]) -> None:
    """Install packages, as root; raises MissingError where that cannot be, StepError where it fails."""
    if os.geteuid() != 0:
        raise MissingError("packages can be installed by root only", packages)
    work = _Work(directory, say)
    work.step("apt-get update", ["apt-get", "update", "-q"], directory)
    words = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
    work.step(f"installing {' '.join(packages)}", words, directory)


def build(
    directory: Path,
    cases: Sequence[Case],
    *,
    source: Path | None = None,
    check: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Built:
    """Build a tcpdump in `directory`, from the source package of the distribution or from a tree or archive.

    `say` is told of each step as it begins. The tree that was given is copied, never changed. Raises MissingError,
    SourceError, StepError.
    """
    work = _Work(directory, say)
    tree = work.fetched() if source is None else work.given(source)
    version = _version(tree)
    target = work.patched(tree, cases)
    if not (tree / "configure").exists():
        lacking = missing(tree, checking=check)
        if lacking:
            raise MissingError("this source has no configure script yet", lacking)
        work.step("autogen.sh", ["sh", "./autogen.sh"], tree)
    work.step("configure", ["sh", "./configure"], tree)
    work.step("make", ["make", "-j", str(os.cpu_count() or 1)], tree)
    program = tree / "tcpdump"
    return Built(program, version, target, work.checked(tree) if check else None)


def _version(tree: Path) -> str:
    file = tree / "VERSION"
    if not file.is_file() or not (tree / "print-tcp.c").is_file():
        raise SourceError(f"{tree}: expected the source of tcpdump, found no VERSION and print-tcp.c")
    return file.read_text(errors="replace").strip()


class _Work:
    """Steps in a folder, their output in its log."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._log = directory / LOG

    def _run(self, words: list[str], where: Path, given: str | None = None) -> int:
        with self._log.open("ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            done = subprocess.run(  # noqa: S603  the words are ours
                words,
                cwd=where,
                input=None if given is None else given.encode(),
                stdin=subprocess.DEVNULL if given is None else None,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                check=False,
            )
        return done.returncode

    def step(self, name: str, words: list[str], where: Path, given: str | None = None) -> None:
        """Run a program that must succeed; raises StepError, and MissingError where there is no such program."""
        self._say(name)
        try:
            status = self._run(words, where, given)
        except FileNotFoundError:
            raise MissingError(f"{words[0]} is not on this machine") from None
        if status != 0:
            raise StepError(name, self._log)

    def fetched(self) -> Path:
        """The source package of the distribution, unpacked."""
        if shutil.which("apt-get") is None:
            raise MissingError("there is no apt-get here to fetch a source package with; name a source (--source)")
        lists = debian_source.source_lists()
        if not lists:
            raise MissingError("apt has no sources on this machine; name a source of tcpdump (--source)")

        def run(words: list[str], where: Path) -> None:
            status = self._run(words, where)
            if status != 0:
                raise subprocess.CalledProcessError(status, words)

        self._say("fetching the source package")
        try:
            return debian_source.fetch("tcpdump", self._directory, run, lists)
        except (subprocess.CalledProcessError, FileNotFoundError):
            raise StepError("fetching the source package of tcpdump", self._log) from None

    def given(self, source: Path) -> Path:
        """A copy of a tree, or an archive unpacked."""
        if source.is_dir():
            _version(source)
            self._say(f"copying {source}")
            tree = self._directory / "tcpdump"
            shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns(".git", "*.o", "*.a"))
            return tree
        if not source.is_file():
            raise SourceError(f"{source}: expected a folder or an archive with the source of tcpdump, found nothing")
        self._say(f"unpacking {source}")
        if self._run(["tar", "-xf", str(source.absolute())], self._directory) != 0:
            raise SourceError(f"{source}: expected an archive that tar can unpack, found something else")
        trees = [path for path in self._directory.iterdir() if path.is_dir()]
        if len(trees) != 1:
            raise SourceError(f"{source}: expected an archive of one folder, found {len(trees)}")
        return trees[0]

    def patched(self, tree: Path, cases: Sequence[Case]) -> Target:
        """The line of development whose patch fits the tree, applied with its test cases."""
        self._say("patching")
        version = _version(tree)
        words = ["patch", "-p1", "--batch", "--forward", "--fuzz=0"]
        for target in TARGETS.values():
            text = render(target, cases, captures=False)
            if self._run([*words, "--dry-run"], tree, text) == 0:
                self.step("patch", words, tree, text)
                for case in cases:
                    (tree / "tests" / f"{case.name}.pcap").write_bytes(case.capture)
                return target
        known = " or ".join(target.releases for target in TARGETS.values())
        raise SourceError(f"tcpdump {version}: expected a source the patch fits ({known}), unpatched; see {self._log}")

    def checked(self, tree: Path) -> Checked:
        """The result of `make check`, also where a test failed."""
        self._say("make check")
        start = self._log.stat().st_size
        self._run(["make", "check"], tree)
        text = self._log.read_bytes()[start:].decode(errors="replace")
        counts = [re.findall(rf"^ *(\d+) tests {word}", text, re.MULTILINE) for word in ("passed", "failed")]
        if not all(counts):
            raise StepError("make check", self._log)
        passed, failed = (int(found[-1]) for found in counts)
        return Checked(passed, failed)
