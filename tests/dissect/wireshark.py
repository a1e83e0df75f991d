"""Real tshark with the plugin, as an ordinary user: from 4.2 on it loads no personal plugin and no -X as root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import needs

NOBODY = 65534
SEPARATOR, AGGREGATOR = "\t", "|"


FOR_ALL_USERS = 'mount -t overlay tiopt -o "lowerdir=$1:$2" "$2"; shift 2; exec "$@"'
"""Lays a folder over another in a mount namespace: nobody else sees what is in it, and it ends with the command."""


class Tshark:
    """tshark with a home of its own in which an ordinary user may read; `plugin` is the text loaded by -X."""

    def __init__(self, home: Path, plugin: str | None) -> None:
        self.home = home
        self.as_root = False
        """Whether it runs as root where the tests do."""
        self.program = needs("tshark")
        self._loaded: list[str] = []
        self._around: list[str] = []
        if plugin is not None:
            script = home / "tiflow.lua"
            script.write_text(plugin)
            self._loaded = ["-X", f"lua_script:{script}"]

    def run(self, *words: object) -> str:
        """What tshark prints; nothing may be said on standard error."""
        return self._run("-n", *self._loaded, *map(str, words))

    def report(self, name: str) -> list[str]:
        """The lines of `tshark -G name`."""
        return self._run("-G", name).splitlines()

    def install(self, plugin: str) -> None:
        """Put the plugin into the folder of this user's plugins."""
        (folder,) = (line.partition(":")[2].strip() for line in self.report("folders") if "Personal Lua" in line)
        Path(folder).mkdir(parents=True)
        (Path(folder) / "tiflow.lua").write_text(plugin)

    def install_for_all_users(self, plugin: str) -> None:
        """Put the plugin into the folder that holds for everybody, as this tshark sees it; skips where none can."""
        if os.geteuid() != 0:
            pytest.skip("the folder of all users' plugins needs root")
        (folder,) = (line.partition(":")[2].strip() for line in self.report("folders") if "Global Lua" in line)
        above = self.home / "global"
        above.mkdir()
        (above / "tiflow.lua").write_text(plugin)
        self._around = [needs("unshare"), "--mount", "sh", "-ec", FOR_ALL_USERS, "sh", str(above), folder]
        probe = subprocess.run([*self._around, "true"], capture_output=True, text=True, check=False)
        if probe.returncode != 0:
            pytest.skip(f"no mount namespace with an overlay can be made here: {probe.stderr.strip()}")

    def _run(self, *words: str) -> str:
        command = [self.program, *words]
        if os.geteuid() == 0 and not self.as_root:
            command = [needs("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        command = [*self._around, *command]
        done = subprocess.run(
            command,
            env={**os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
        assert (done.returncode, said) == (0, [])
        return done.stdout

    def capture(self, octets: bytes, name: str = "x.pcap") -> Path:
        """The octets as a file that tshark may read."""
        path = self.home / name
        path.write_bytes(octets)
        return path

    def rows(self, capture: Path, fields: list[str], *words: object) -> list[dict[str, list[str]]]:
        """The values of each field in each frame, in order."""
        wanted = [word for field in fields for word in ("-e", field)]
        how = ["-E", "separator=/t", "-E", f"aggregator={AGGREGATOR}", "-E", "occurrence=a"]
        printed = self.run("-r", capture, *words, "-T", "fields", *how, *wanted)
        return [
            {field: value.split(AGGREGATOR) if value else [] for field, value in zip(fields, row, strict=True)}
            for row in (line.split(SEPARATOR) for line in printed.split("\n")[:-1])
        ]


@contextmanager
def tshark(plugin: str | None) -> Iterator[Tshark]:
    """A tshark whose home is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tiopt-tshark-") as name:
        home = Path(name)
        home.chmod(0o777)
        yield Tshark(home, plugin)
