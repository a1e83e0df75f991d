"""Wireshark's command-line twin on this machine: which it is, where it looks for plugins, and how it runs ours.

From release 4.2 on Wireshark ignores personal plugins, `-X lua_script` and WIRESHARK_PLUGIN_DIR when root runs it, and
says nothing about it. So root runs tshark here as an ordinary user, who needs no right to the captures: an open file
goes in as standard input.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from tioption.errors import TioptError

_IGNORES_ROOT = (4, 2)
"""The first release that ignores a personal plugin of root's."""

_PATIENCE = 60
"""Seconds that `tshark -v` and `-G` may take on a machine with other work; they need less than one."""


class WiresharkError(TioptError):
    """Wireshark is missing on this machine, or cannot do what was asked; the message says how to mend it."""


class Folders(NamedTuple):
    """Where Wireshark looks, as `tshark -G folders` says; a scope is one user's or everybody's on this machine."""

    lua_plugins: Path
    configuration: Path

    @property
    def profiles(self) -> Path:
        """The folder with a folder per profile."""
        return self.configuration / "profiles"


class Account(NamedTuple):
    """Who runs tshark: numbers of user and group, and what `~` is for them."""

    uid: int
    gid: int
    home: str


class Tshark(NamedTuple):
    """A tshark program: its path, its release (`4.0.17`) and that of the Lua in it, None where it has none."""

    path: str
    version: str
    lua: str | None

    @classmethod
    def find(cls) -> Tshark:
        """The tshark of the search path; raises WiresharkError where there is none or it does not run."""
        path = shutil.which("tshark")
        if path is None:
            raise WiresharkError(
                "tshark is not installed (Debian, Ubuntu: apt install tshark; Fedora: dnf install wireshark-cli)"
            )
        return cls.described(path, _output([path, "--version"]))

    @classmethod
    def described(cls, path: str, text: str) -> Tshark:
        """The tshark that says this of itself (`tshark --version`); raises WiresharkError where it is none."""
        release = re.search(r"^TShark .*?(\d+\.\d+\.\d+)", text)
        if release is None:
            raise WiresharkError(f"{path} does not tell its version; is it Wireshark's tshark?")
        # Libraries are listed in a sentence, "with Lua 5.2.4", or in columns since 4.6, "+Lua 5.4.9".
        lua = re.search(r"(?:\bwith\s+|\+)Lua\s+(\d+\.\d+(?:\.\d+)?)", text)
        return cls(path, release[1], lua[1] if lua is not None else None)

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(map(int, self.version.split(".")))

    @property
    def ignores_root(self) -> bool:
        """Whether this release loads no personal plugin when root runs it."""
        return self.release >= _IGNORES_ROOT

    def require_lua(self) -> None:
        """Raises WiresharkError where this tshark was built without Lua."""
        if self.lua is None:
            raise WiresharkError(f"{self.path} ({self.version}) was built without Lua and loads no Lua plugins")

    def folders(self) -> dict[str, Folders]:
        """The folders by scope, `personal` and `global`; raises WiresharkError where tshark does not name them."""
        said: dict[str, str] = {}
        for line in _output([self.path, "-G", "folders"]).splitlines():
            name, _, path = line.partition(":")
            said.setdefault(name.strip().lower(), path.strip())
        self.require_lua()
        found = {}
        for scope in ("personal", "global"):
            names = (f"{scope} lua plugins", f"{scope} configuration")
            if not all(said.get(name) for name in names):
                raise WiresharkError(f"`{self.path} -G folders` names no {names[0]} or no {names[1]} folder")
            found[scope] = Folders(*(Path(said[name]) for name in names))
        return found

    def loaded(self, account: Account | None = None) -> tuple[dict[Path, str], str]:
        """The Lua plugins that load for `account` (default: whoever runs this), and what tshark says of the others.

        A path leads to the version that the plugin states of itself, `""` where it states none.
        """
        done = _run([self.path, "-G", "plugins"], account)
        found = {}
        for line in done.stdout.decode(errors="replace").splitlines():
            columns = line.split("\t")
            if len(columns) >= 4 and columns[2].strip() == "lua script":
                found[Path(columns[3].strip())] = columns[1].strip()
        return found, lua_complaint(done.stderr.decode(errors="replace"))


def ordinary_account(home: str = "/nonexistent") -> Account | None:
    """Whom root hands tshark to; None where this is no root, and tshark runs as who this is."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534, home)
    return Account(nobody.pw_uid, nobody.pw_gid, home)


def running_as(account: Account | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run a program as that account; none for None."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def lua_complaint(said: str) -> str:
    """What tshark says of a plugin that does not load, on one line; "" where it says nothing of the kind."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    at = next((index for index, line in enumerate(lines) if "Lua: " in line), None)
    return "" if at is None else " ".join(lines[at : at + 2])


def _output(command: list[str]) -> str:
    return _run(command, None).stdout.decode(errors="replace")


def _run(command: list[str], account: Account | None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if account is not None:
        environment = {name: value for name, value in environment.items() if not name.startswith("XDG_")}
        environment["HOME"] = account.home
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_PATIENCE,
            check=False,
            cwd="/",
            **running_as(account),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise WiresharkError(f"{' '.join(command)} does not run: {error}") from None
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise WiresharkError(f"{' '.join(command)} does not run: {complaint[-1]}")
    return done


class Bench(NamedTuple):
    """A tshark with one plugin and nothing of what users or the machine have installed or set."""

    tshark: Tshark
    plugin: Path
    account: Account | None
    environment: Mapping[str, str]

    def start(self, words: list[str], capture: IO[bytes], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        """Run tshark with `words` on an open capture; its output is a pipe, what it complains of goes to a file."""
        command = [self.tshark.path, "-n", "-r", "-", "-X", f"lua_script:{self.plugin}", *words]
        try:
            return subprocess.Popen(
                command,
                stdin=capture,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=dict(self.environment),
                cwd="/",
                **running_as(self.account),
            )
        except PermissionError as error:
            raise WiresharkError(f"tshark cannot be run as an ordinary user: {error}") from None


@contextmanager
def bench(tshark: Tshark, plugin: str) -> Iterator[Bench]:
    """A bench for this text of a plugin, with folders that are removed in the end.

    Raises WiresharkError where tshark has no Lua, or where root may not become an ordinary user (no CAP_SETUID) and
    the release would ignore the plugin.
    """
    tshark.require_lua()
    with tempfile.TemporaryDirectory(prefix="tiopt-", dir=_open_folder()) as folder:
        root = Path(folder)
        account = _able(ordinary_account(str(root / "home")), tshark)
        for name in ("home", "plugins"):
            (root / name).mkdir()
            (root / name).chmod(0o755)
        root.chmod(0o755)
        script = root / "tiflow.lua"
        script.write_text(plugin, encoding="utf-8")
        script.chmod(0o644)
        if account is not None:
            os.chown(root / "home", account.uid, account.gid)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(root / "home"),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            # Stands in for the global folder, where another copy of the plugin may be installed.
            "WIRESHARK_PLUGIN_DIR": str(root / "plugins"),
        }
        yield Bench(tshark, script, account, environment)


def _able(account: Account | None, tshark: Tshark) -> Account | None:
    """The account, or None where this root may not become it but the release loads plugins for root as well."""
    if account is None:
        return None
    try:
        subprocess.run([tshark.path, "-v"], capture_output=True, check=True, cwd="/", **running_as(account))
    except (OSError, subprocess.SubprocessError) as error:
        if not tshark.ignores_root:
            return None
        raise WiresharkError(
            f"tshark {tshark.version} loads no plugin for root, and root cannot run it as an ordinary user here "
            f"({error}): run this as an ordinary user"
        ) from None
    return account


def _open_folder() -> str:
    """A folder for temporary files that an ordinary user reaches, too."""
    candidates = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    if os.geteuid() != 0:
        return candidates[0]
    for candidate in candidates:
        path = Path(candidate).resolve()
        if path.is_dir() and all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents)):
            return str(path)
    raise WiresharkError(f"no folder for temporary files that everybody reaches among {', '.join(candidates)}")
