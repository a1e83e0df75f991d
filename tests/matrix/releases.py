"""Releases of Debian and Ubuntu with a tshark, each unpacked into a folder of its own by debootstrap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_DEBIAN, _UBUNTU = "http://deb.debian.org/debian", "http://archive.ubuntu.com/ubuntu"
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_UBUNTU_KEYS = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")

# A release may be older or newer than what this machine's clock thinks is right.
_APT = "apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false"
_TSHARK = f"{_APT} update -qq && {_APT} install -y -qq --no-install-recommends tshark && {_APT} clean"


class Unavailable(Exception):  # noqa: N818 -- not an error of ours: the table says so
    """A release that cannot be had here; the message is the last that was said of it."""


class Release(NamedTuple):
    """A distribution's release; `script` is what debootstrap's of that day knows it by."""

    name: str
    mirror: str
    script: str

    @property
    def is_ubuntu(self) -> bool:
        """Whether its tshark is in another component, and its keys in another keyring."""
        return self.mirror == _UBUNTU


RELEASES = (
    Release("bullseye", _DEBIAN, "sid"),
    Release("jammy", _UBUNTU, "gutsy"),
    Release("bookworm", _DEBIAN, "sid"),
    Release("noble", _UBUNTU, "gutsy"),
    Release("trixie", _DEBIAN, "sid"),
    Release("forky", _DEBIAN, "sid"),
)
"""From the oldest tshark to the newest."""


def unpacked(release: Release, cache: Path) -> Path:
    """The folder of a release with its tshark installed, made unless `cache` has it; raises Unavailable."""
    root, log = cache / release.name, cache / f"{release.name}.log"
    if (root / ".ready").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    sys.stderr.write(f"{release.name}: debootstrap …\n")
    command = ["debootstrap", "--variant=minbase", f"--components={'main,universe' if release.is_ubuntu else 'main'}"]
    if release.is_ubuntu:
        # Debian has no package of Ubuntu's keys. What is fetched without them stays in its folder.
        command.append(f"--keyring={_UBUNTU_KEYS}" if _UBUNTU_KEYS.exists() else "--no-check-gpg")
    # debootstrap has a script per release up to its own day; the general ones serve those after it.
    command += [release.name, str(root), release.mirror]
    if not (_SCRIPTS / release.name).exists():
        command.append(str(_SCRIPTS / release.script))
    with log.open("wb") as out:
        for step in (command, ["chroot", str(root), "sh", "-c", f"DEBIAN_FRONTEND=noninteractive; {_TSHARK}"]):
            done = subprocess.run(
                step, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False, timeout=1800
            )
            if done.returncode != 0:
                lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
                raise Unavailable(lines[-1])
    (root / ".ready").touch()
    return root


def remove(cache: Path) -> None:
    """Remove every release and what was made for them."""
    shutil.rmtree(cache, ignore_errors=True)
