"""The plugin and the profile come into Wireshark's folders and out again; nothing of anybody else's is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, needs
from tioption.dissect import plugin, profile
from tioption.dissect.install import ForeignFileError, Place, State, install, status, uninstall
from tioption.dissect.tshark import Tshark, WiresharkError
from tioption.option import DEFAULT_KINDS, Kinds

NOBODY = 65534


@pytest.fixture
def tshark(home: Path) -> Tshark:
    needs("tshark")
    found = Tshark.find()
    if os.geteuid() == 0 and found.ignores_root:
        pytest.skip(f"tshark {found.version} ignores root's personal plugins; the tests as an ordinary user remain")
    return found


def place(tshark: Tshark, scope: str = "personal") -> Place:
    return Place.of(scope, tshark.folders()[scope])


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_installed_it_loads_and_removed_it_leaves_nothing(tshark: Tshark, home: Path) -> None:
    done = install(tshark, "personal")
    here = place(tshark)
    assert done.loads is True
    assert here.plugin.read_text() == plugin.render(DEFAULT_KINDS)
    assert {path.name: path.read_text() for path in here.profile.iterdir()} == profile.render()
    found = status(tshark)["personal"]
    assert found["plugin"] == {"path": str(here.plugin), "state": "current", "kinds": [253, 254], "loads": True}
    assert found["profile"] == {"path": str(here.profile), "state": "current"}
    removed = uninstall(tshark, "personal")
    assert set(removed.files) == set(done.written)
    assert removed.kept == []
    assert tree(home) == set()
    assert status(tshark)["personal"]["plugin"]["state"] == "absent"


def test_a_second_time_nothing_is_written(tshark: Tshark, home: Path) -> None:
    install(tshark, "personal")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert install(tshark, "personal") == ([], True)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()} == before
    uninstall(tshark, "personal")
    assert uninstall(tshark, "personal") == ([], [])
    assert tree(home) == set()


def test_folders_that_were_there_stay(tshark: Tshark, home: Path) -> None:
    here = place(tshark)
    here.plugin.parent.mkdir(parents=True)
    (here.profile.parent / "Mine").mkdir(parents=True)
    before = tree(home)
    install(tshark, "personal")
    uninstall(tshark, "personal")
    assert tree(home) == before


def test_an_older_version_is_replaced(tshark: Tshark) -> None:
    install(tshark, "personal")
    here = place(tshark)
    old = here.plugin.read_text() + "-- an older one\n"
    here.plugin.write_text(old)
    assert status(tshark)["personal"]["plugin"]["state"] == "outdated"
    assert install(tshark, "personal").written == [here.plugin]
    assert status(tshark)["personal"]["plugin"]["state"] == "current"


def test_other_kinds_are_its_defaults_and_remembered(tshark: Tshark) -> None:
    kinds = Kinds(77, 78)
    install(tshark, "personal", kinds)
    assert place(tshark).plugin.read_text() == plugin.render(kinds)
    found = status(tshark)["personal"]["plugin"]
    assert (found["state"], found["kinds"]) == ("current", [77, 78])
    install(tshark, "personal")
    assert status(tshark)["personal"]["plugin"]["kinds"] == [253, 254]


def test_a_receipt_that_cannot_be_read_is_none(tshark: Tshark, home: Path) -> None:
    install(tshark, "personal")
    here = place(tshark)
    for nonsense in ("", "[]", "{", '{"kinds": 1, "folders": []}', '{"kinds": [1, 2, 3], "folders": ["/"]}'):
        here.receipt.write_text(nonsense)
        assert status(tshark)["personal"]["plugin"]["state"] == "current"
    uninstall(tshark, "personal")
    assert not any(path.is_file() for path in home.rglob("*"))


class TestSomebodyElseS:
    """A file of our names without our header is never written over nor removed."""

    def test_plugin(self, tshark: Tshark, home: Path) -> None:
        here = place(tshark)
        here.plugin.parent.mkdir(parents=True)
        here.plugin.write_text("-- my own\n")
        before = tree(home)
        with pytest.raises(ForeignFileError, match=str(here.plugin)):
            install(tshark, "personal")
        assert tree(home) == before
        assert status(tshark)["personal"]["plugin"]["state"] == State.FOREIGN.value
        assert uninstall(tshark, "personal") == ([], [here.plugin])
        assert here.plugin.read_text() == "-- my own\n"

    def test_a_profile_changed_in_wireshark(self, tshark: Tshark) -> None:
        install(tshark, "personal")
        here = place(tshark)
        name = next(iter(profile.render()))
        (here.profile / name).write_text("# as Wireshark writes it\n")
        (here.profile / "recent").write_text("# Recent settings file for Wireshark\n")
        with pytest.raises(ForeignFileError, match="--no-profile"):
            install(tshark, "personal")
        assert install(tshark, "personal", with_profile=False) == ([], True)
        removed = uninstall(tshark, "personal")
        assert removed.kept == [here.profile / name]
        assert sorted(path.name for path in here.profile.iterdir()) == sorted([name, "recent"])

    def test_what_wireshark_keeps_of_a_profile_goes_with_it(self, tshark: Tshark, home: Path) -> None:
        install(tshark, "personal")
        (place(tshark).profile / "recent").write_text("# Recent settings file for Wireshark\n")
        uninstall(tshark, "personal")
        assert tree(home) == set()


@pytest.mark.parametrize(
    ("text", "version", "lua"),
    [
        (
            "TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).\n\nwith Lua\n5.2.4, with",
            "4.0.17",
            "5.2.4",
        ),
        ("TShark (Wireshark) 4.4.19.\n\nCompiled with zlib 1.3.1, with Lua 5.4.7, with GnuTLS", "4.4.19", "5.4.7"),
        ("TShark (Wireshark) 4.6.9.\n\n With:\n  +Lua 5.4.9        +Zstandard 1.5.7\n", "4.6.9", "5.4.9"),
        ("TShark (Wireshark) 4.6.9.\n\n Without:\n  -Lua              -zlib-ng\n", "4.6.9", None),
        ("TShark (Wireshark) 4.0.17\n\nwith libnl 3, without Lua, with GnuTLS 3.7.9", "4.0.17", None),
    ],
)
def test_what_releases_say_of_themselves(text: str, version: str, lua: str | None) -> None:
    assert Tshark.described("tshark", text) == ("tshark", version, lua)


class TestTheMachine:
    """What this machine lacks is said with the way to mend it."""

    def test_no_tshark(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(WiresharkError, match="apt install tshark"):
            Tshark.find()

    def test_a_tshark_that_is_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "tshark").write_text("#!/bin/sh\necho hello\n")
        (tmp_path / "tshark").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
        with pytest.raises(WiresharkError, match="does not tell its version"):
            Tshark.find()

    def test_a_tshark_without_lua(self, tshark: Tshark) -> None:
        with pytest.raises(WiresharkError, match="without Lua"):
            install(tshark._replace(lua=None), "personal")

    def test_a_plugin_that_does_not_load(self, tshark: Tshark, monkeypatch: pytest.MonkeyPatch) -> None:
        text = plugin.render(DEFAULT_KINDS)
        monkeypatch.setattr(plugin, "render", lambda _: f"{text}\nerror('no such thing')\n")
        with pytest.raises(WiresharkError, match=r"installed, but tshark .* does not load it: .*no such thing"):
            install(tshark, "personal")
        found = status(tshark)
        assert "no such thing" in found["complaint"]
        assert found["personal"]["plugin"]["loads"] is False

    def test_a_release_that_ignores_root(self, tshark: Tshark) -> None:
        done = install(tshark._replace(version="4.2.0"), "personal")
        assert done.loads is (None if os.geteuid() == 0 else True)

    def test_a_home_that_cannot_be_written(self, tshark: Tshark, home: Path) -> None:
        (home / ".local").write_text("a file where a folder should be")
        with pytest.raises(WiresharkError, match=r"\.local"):
            install(tshark, "personal")


IN_A_WORLD_OF_ITS_OWN = """
mount -t tmpfs tiopt "$1"
number=0
for folder in "$2" "$3"; do
    number=$((number + 1))
    mkdir -p "$1/$number/upper" "$1/$number/work"
    mount -t overlay tiopt -o "lowerdir=$folder,upperdir=$1/$number/upper,workdir=$1/$number/work" "$folder"
done
echo mounted
run() { python=$1; shift; "$python" -m tioption.cli wireshark "$@"; }
everything() { find "$@" ! -name "tiopt-test-*" | sort; }
everything "$2" "$3" > "$1/before"
run "$4" install --global
run "$4" install --global
run "$4" status --format json
run "$4" check --plugin "$5" "$6" || echo "it differs: $?"
run "$4" uninstall --global
everything "$2" "$3" | diff "$1/before" -
"""
"""The global folders are overlaid in a mount namespace: nobody else sees what happens there, and it ends with it."""


def test_for_everybody(tmp_path: Path) -> None:
    needs("tshark")
    if os.geteuid() != 0:
        pytest.skip("the global folders need root")
    folders = Tshark.find().folders()["global"]
    wrong = tmp_path.parent / f"{tmp_path.name}.lua"
    wrong.write_text(plugin.render(Kinds(77, 78)))
    words = [str(tmp_path), str(folders.lua_plugins), str(folders.configuration), sys.executable]
    words += [str(wrong), str(ROOT / "pcaps/trace2/trace2.pcap")]
    done = subprocess.run(
        [needs("unshare"), "--mount", "sh", "-ec", IN_A_WORLD_OF_ITS_OWN, "sh", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not done.stdout.startswith("mounted"):
        pytest.skip(f"no mount namespace with an overlay can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert f"wrote {folders.lua_plugins / 'tiflow.lua'}" in lines
    assert "nothing to do: all is there and current" in lines
    found = json.loads(next(line for line in lines if line.startswith("{")))
    assert found["global"]["plugin"]["state"] == "current"
    assert found["global"]["plugin"]["loads"] is True
    assert found["global"]["profile"]["state"] == "current"
    # The check has its own plugin, whatever is installed.
    assert "it differs: 1" in lines
    assert any(line.endswith("option: ours flow-d tifid 0a4530be79bf, Wireshark's none") for line in lines)


class TestAsAnOrdinaryUser:
    """Root's tests once more as nobody, with a home of theirs; every release loads personal plugins for them."""

    @pytest.fixture
    def home_of_nobody(self) -> Iterator[Path]:
        if os.geteuid() != 0:
            pytest.skip("the other tests run as an ordinary user already")
        needs("tshark")
        with tempfile.TemporaryDirectory(prefix="tiopt-test-", dir="/tmp") as folder:
            os.chown(folder, NOBODY, NOBODY)
            yield Path(folder)

    @staticmethod
    def tiopt(home: Path, *words: str) -> Outcome:
        # The capability lets them read this Python and this repository, wherever those lie; it lets nobody write.
        command = [needs("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(
            [*command, sys.executable, "-m", "tioption.cli", "wireshark", *words],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.stderr.startswith("setpriv"):
            pytest.skip(f"root lacks the capability to become an ordinary user: {done.stderr.strip()}")
        return Outcome(done.returncode, done.stdout, done.stderr)

    def test_install_and_uninstall(self, home_of_nobody: Path) -> None:
        done = self.tiopt(home_of_nobody, "install")
        assert done.status == 0, done.err
        assert "loads it" in done.out
        found = json.loads(self.tiopt(home_of_nobody, "status", "--format", "json").out)
        assert found["root"] is False
        assert found["personal"]["plugin"]["loads"] is True
        assert all(path.stat().st_uid == NOBODY for path in home_of_nobody.rglob("*"))
        assert self.tiopt(home_of_nobody, "uninstall").status == 0
        assert tree(home_of_nobody) == set()

    def test_the_global_folders_are_not_theirs(self, home_of_nobody: Path) -> None:
        done = self.tiopt(home_of_nobody, "install", "--global")
        assert done.status == 4
        assert "sudo" in done.err
        assert tree(home_of_nobody) == set()

    def test_check(self, home_of_nobody: Path) -> None:
        done = self.tiopt(home_of_nobody, "check", str(ROOT / "pcaps/resume/resume.pcap"))
        assert done.status == 0, done.err
        assert done.out.endswith(": 0 differences\n")

    def test_root_installs_into_their_home(
        self, home_of_nobody: Path, monkeypatch: pytest.MonkeyPatch, tshark: Tshark
    ) -> None:
        """As with sudo that keeps HOME: the files are the owner's, and it is for the owner that they load."""
        monkeypatch.setenv("HOME", str(home_of_nobody))
        done = install(tshark._replace(version="4.2.0"), "personal")
        assert done.loads is True
        assert all(path.stat().st_uid == NOBODY for path in home_of_nobody.rglob("*"))
        uninstall(tshark, "personal")
        assert tree(home_of_nobody) == set()
