"""The tshark of this machine, with the plugin, says of every scenario what our decoder says; in one pass and in two."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import needs
from tests.dissect.agreement import all_checks, write_captures
from tioption.dissect import plugin
from tioption.dissect.tshark import Bench, Tshark, bench, running_as
from tioption.option import DEFAULT_KINDS


@pytest.mark.parametrize("passes", [1, 2])
def test_the_tshark_of_this_machine(passes: int) -> None:
    needs("tshark")
    with bench(Tshark.find(), plugin.render(DEFAULT_KINDS)) as ready:
        # Beside the plugin, where an ordinary user reaches it.
        folder = ready.plugin.parent / "captures"
        folder.mkdir(mode=0o755)
        run = runner([ready.tshark.path, f"-Xlua_script:{ready.plugin}", *["-2"] * (passes - 1)], ready)
        checks = list(all_checks(run, write_captures(folder), str(folder), two_passes=passes == 2))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) > 5000


def runner(command: list[str], ready: Bench) -> Callable[[list[str]], str]:
    def run(words: list[str]) -> str:
        done = subprocess.run(
            [*command, *words],
            env=dict(ready.environment),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **running_as(ready.account),
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        out: str = done.stdout
        return out

    return run
