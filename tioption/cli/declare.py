"""How a command is declared: once, in plain values that cost nothing to import.

From one declaration come the quick parser of ordinary calls (`quick.py`) and the typer application that people meet
when they ask for help, complete a word or mistype one (`app.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class UsageError(Exception):
    """A call that parses but makes no sense; the message says what to write instead. Exit status 2."""


class MachineError(Exception):
    """Something this machine lacks; the message says what and how to mend it. Exit status 4."""


class Argument(NamedTuple):
    """The words of a command that are not options: a list, which may be empty where it is not `required`.

    `instead` names an option in whose presence nothing is required; the command itself then refuses a call without
    either.
    """

    name: str
    metavar: str
    help: str
    required: bool = True
    instead: str = ""


class Option(NamedTuple):
    """An option with a value; `type` is str or int, `choices` or `least` and `most` bound it.

    One that is `repeated` may be given several times, and its value is the list of texts, empty without any.
    """

    name: str
    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    default: str | int | None = None
    type: type[str] | type[int] = str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    repeated: bool = False


class Flag(NamedTuple):
    """An option without a value; False where it is not given."""

    name: str
    flags: tuple[str, ...]
    help: str


class Command(NamedTuple):
    """A command: what it is called, what it takes, and the function that does it and returns the exit status."""

    name: str
    summary: str
    description: str
    examples: tuple[str, ...]
    argument: Argument | None
    options: tuple[Option | Flag, ...]
    run: Callable[..., int]


class Group(NamedTuple):
    """Commands under one word, called `tiopt GROUP COMMAND`."""

    name: str
    summary: str
    commands: tuple[Command, ...]


KIND_OPTIONS: tuple[Option, Option] = (
    Option("kind_d", ("--kind-d",), "Option kind of flow-d.", "N", 253, int, least=2, most=255),
    Option("kind_c", ("--kind-c",), "Option kind of flow-c.", "N", 254, int, least=2, most=255),
)
"""The options every command has that looks at flow options (OPT-02)."""


def chosen_kinds(kind_d: int, kind_c: int) -> Any:
    """The kinds those options stand for; raises UsageError where both are the same."""
    from tioption.option import Kinds

    if kind_d == kind_c:
        raise UsageError(f"--kind-d and --kind-c must differ, both are {kind_d}")
    return Kinds(kind_d, kind_c)
