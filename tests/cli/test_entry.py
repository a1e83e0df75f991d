"""The entry point: version, help, completion, mistakes, and the quick parser held against typer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tioption
from tests.cli.calls import CALLS, DECLARED
from tests.conftest import ROOT, Outcome, tiopt_process
from tioption.cli import _MODULES, app, decode, quick
from tioption.cli.declare import Argument, Command, Flag, Group, Option

Run = Callable[..., Outcome]


def test_version(tiopt: Run) -> None:
    assert tiopt("--version") == (0, f"tiopt {tioption.__version__}\n", "")
    assert tiopt_process("--version") == (0, f"tiopt {tioption.__version__}\n", "")


def test_help_has_examples_and_every_command(tiopt: Run) -> None:
    status, out, _ = tiopt("--help")
    assert status == 0
    assert "Examples" in out
    for words, command in CALLS.items():
        assert words[0] in out
        status, own, _ = tiopt(*words, "--help")
        assert status == 0
        assert "Examples" in own
        for option in command.options:
            assert option.flags[0] in own


@pytest.mark.parametrize(("call", "command"), CALLS.items(), ids=map(" ".join, CALLS))
def test_examples_parse(call: tuple[str, ...], command: Command) -> None:
    for line in command.examples:
        words = line.rpartition("tiopt ")[2].partition(" | ")[0].partition(" > ")[0].split()
        assert tuple(words[: len(call)]) == call
        assert quick.parse(command, words[len(call) :]) is not None


def test_without_words_help_is_shown(tiopt: Run) -> None:
    assert "Usage" in "".join(tiopt()[1:])
    assert "Usage" in "".join(tiopt("decode")[1:])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["decode", "--format", "yaml", "x"], "yaml"),
        (["decode", "--kind-d", "1", "x"], "--kind-d"),
        (["decode", "--kind-d", "x", "x"], "--kind-d"),
        (["decode", "--nonsense", "x"], "--nonsense"),
        (["decode", "--format"], "--format"),
        (["decode", "--all"], "FILE"),
        (["dekode", "x"], "dekode"),
        (["--nonsense"], "--nonsense"),
        (["decode", "--kind-d", "254", "x"], "--kind-d and --kind-c must differ"),
        (["decode", "--style", "paper", "--format", "json", "x"], "--style is for --format text"),
        (["explain", "xyz"], "expected hexadecimal digits, found 'x'"),
        (["explain", "abc"], "expected an even number of hexadecimal digits, found 3"),
        (["explain", "--as", "header", "0102"], "expected a TCP header of at least 20 octets, found 2"),
        (["explain", ":"], "expected an even number of hexadecimal digits, found 0"),
    ],
)
def test_wrong_usage_is_two_and_says_why(words: list[str], complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt(*words)
    assert status == 2
    assert out == ""
    assert complaint in err
    assert "Traceback" not in err


class TestQuickParser:
    """Where the quick parser says anything at all, typer says the same."""

    words = st.lists(
        st.sampled_from(
            [
                *(
                    "a.pcap",
                    "-",
                    "b",
                    "--format",
                    "--format=json",
                    "json",
                    "-f",
                    "text",
                    "-ftext",
                    "--all",
                    "-a",
                    "-al",
                ),
                *(
                    "--kind-d",
                    "77",
                    "--kind-d=88",
                    "256",
                    "--kind-c",
                    "1",
                    "--style",
                    "paper",
                    "--",
                    "-o",
                    "out",
                    "--al",
                ),
                *(
                    "--output=x",
                    "--help",
                    "-x",
                    "",
                    "--format=",
                    "--all=1",
                    "--as",
                    "header",
                    "--as=option",
                    "0077",
                    "+5",
                ),
                *("-o=x", " 5", "٣", "--version"),
            ]
        ),
        max_size=7,
    )

    @given(call=st.sampled_from(list(CALLS)), words=words)
    @example(call=("decode",), words=["a", "--kind-d", "0077"])
    @example(call=("decode",), words=["--format=", "a"])
    def test_agrees_with_typer(self, call: tuple[str, ...], words: list[str]) -> None:
        values = quick.parse(CALLS[call], words)
        if values is not None:
            assert app.parse(DECLARED, [*call, *words]) == (CALLS[call], values)

    @pytest.mark.parametrize("command", CALLS.values(), ids=map(" ".join, CALLS))
    def test_takes_every_declared_option(self, command: Command) -> None:
        for option in command.options:
            for flag in option.flags:
                given_words = [*(["word"] if command.argument is not None else []), flag]
                if not isinstance(option, Flag):
                    given_words.append(option.choices[0] if option.choices else "77")
                assert quick.parse(command, given_words) is not None


class TestGroup:
    """Commands under a common word."""

    LIFT = Command(
        "lift", "Lift.", "Lift it.", ("tiopt crane lift --far",), None, (Flag("far", ("--far",), "Far."),), int
    )
    DROP = Command(
        *("drop", "Drop.", "Drop them.", ("tiopt crane drop x",), Argument("what", "WHAT", "What.", required=False)),
        (Option("times", ("--times",), "How often.", "N", 1, int, least=1, most=9),),
        int,
    )
    CRANE = Group("crane", "Lift and drop.", (LIFT, DROP))

    @pytest.mark.parametrize("words", [[], ["--far"]])
    def test_a_command_without_arguments(self, words: list[str]) -> None:
        values = {"far": bool(words)}
        assert quick.parse(self.LIFT, words) == values
        assert app.parse([self.CRANE], ["crane", "lift", *words]) == (self.LIFT, values)
        assert quick.parse(self.LIFT, [*words, "x"]) is None
        assert app.parse([self.CRANE], ["crane", "lift", *words, "x"]) == 2

    @pytest.mark.parametrize("words", [[], ["x", "--times", "3", "y"]])
    def test_a_command_with_some(self, words: list[str]) -> None:
        values = {"times": 3 if words else 1, "what": ["x", "y"] if words else []}
        assert quick.parse(self.DROP, words) == values
        assert app.parse([self.CRANE], ["crane", "drop", *words]) == (self.DROP, values)

    def test_help_lists_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert app.parse([self.CRANE], ["crane", "--help"]) == 0
        out = capsys.readouterr().out
        assert "lift" in out
        assert "Drop." in out
        assert app.parse([self.CRANE], ["crane", "push"]) == 2


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_script(self, shell: str) -> None:
        done = tiopt_process(env={"_TIOPT_COMPLETE": f"source_{shell}"})
        assert done.status == 0
        assert "tiopt" in done.out

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("tiopt ", set(_MODULES)),
            ("tiopt d", {"decode"}),
            ("tiopt tcpdump ", {"patch", "build"}),
            ("tiopt decode --for", {"--format"}),
            ("tiopt decode --format j", {"json"}),
        ],
    )
    def test_words(self, line: str, expected: set[str]) -> None:
        words = line.split(" ")
        environment = {
            "_TIOPT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        done = tiopt_process(env=environment)
        assert set(done.out.split()) == expected


def imported(*words: str) -> set[str]:
    """The modules a run of `tiopt` loads."""
    code = (
        "import sys, json, io; from tioption.cli import main; out = sys.stdout; "
        "sys.stdout = io.TextIOWrapper(io.BytesIO(), 'utf-8'); status = main(json.loads(sys.argv[1])); "
        "json.dump(sorted(sys.modules), out); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(json.loads(done.stdout))


HEAVY = {
    "typer",
    "rich",
    "construct",
    "scapy",
    "pyshark",
    "numpy",
    "pydantic",
    "inspect",
    "dataclasses",
    "argparse",
    "importlib.metadata",
}


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["decode", "--format", "text", str(ROOT / "pcaps/trace2/trace2.pcap")],
        ["decode", "--format", "json", "--all", str(ROOT / "pcaps/trace2/trace2.pcap")],
        ["explain", "fd140a4530be79bf00000000001d00000000001f"],
        ["rules"],
        ["rules", "--format", "json", "est-05"],
        ["tcpdump", "patch", "--no-tests"],
    ],
    ids=lambda words: words[0],
)
def test_ordinary_runs_load_nothing_heavy(words: list[str]) -> None:
    assert imported(*words) & HEAVY == set()


def test_version_loads_no_command() -> None:
    assert not {name for name in imported("--version") if name in _MODULES.values()}


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, tioption; print([name for name in sys.modules if name.startswith('tioption.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_load_on_use() -> None:
    for name in tioption.__all__:
        assert getattr(tioption, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        tioption.nonsense  # noqa: B018
    assert set(dir(tioption)) >= set(tioption.__all__)


def test_an_internal_error_is_one_line_and_has_a_status_of_its_own(tiopt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(decode, "COMMAND", decode.COMMAND._replace(run=broken))
    status, _, err = tiopt("decode", "x")
    assert (status, err.count("\n")) == (70, 1)
    assert "ZeroDivisionError: a bug" in err
    monkeypatch.setenv("TIOPT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        tiopt("decode", "x")


def test_python_m_and_the_console_script_are_the_same() -> None:
    script = os.path.join(os.path.dirname(sys.executable), "tiopt")  # noqa: PTH118, PTH120
    if not os.path.exists(script):  # noqa: PTH110
        pytest.skip("tiopt is not installed beside this Python")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == tiopt_process("--version").out
