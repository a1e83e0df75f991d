"""The command line `tiopt`: parse, call, render, and nothing else.

Start-up is part of the interface: one command's module is imported per run, and typer only where it has something to
say (help, completion, errors). See `declare.py`.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

from tioption import __version__
from tioption.cli.declare import Command, Group, MachineError, UsageError
from tioption.errors import TioptError

_COMMANDS = (
    "decode",
    "validate",
    "follow",
    "explain",
    "rules",
    "build",
    "mangle",
    "listen",
    "connect",
    "probe",
    "conform",
    "wireshark",
    "tcpdump",
    "annotate",
)
_MODULES = {name: f"tioption.cli.{name}" for name in _COMMANDS}

USAGE, UNREADABLE, LACKING = 2, 3, 4
"""Exit statuses of wrong usage, input not read to its end, and something the machine lacks."""

OBJECTS = 50_000
"""Objects that may be made before garbage is looked for: more than start-up makes."""

_INTERRUPTED, _BROKEN_PIPE, _INTERNAL = 130, 141, 70  # as a shell reports SIGINT and SIGPIPE; EX_SOFTWARE


def _declared(name: str) -> Command | Group:
    declared: Command | Group = import_module(_MODULES[name]).COMMAND
    return declared


def _called(words: list[str]) -> tuple[Command, list[str]] | None:
    """The command that the first word or two name, and the words left for it; None where they name none."""
    if not words or words[0] not in _MODULES:
        return None
    declared = _declared(words[0])
    if isinstance(declared, Command):
        return declared, words[1:]
    named = (command for command in declared.commands if words[1:2] == [command.name])
    command = next(named, None)
    return None if command is None else (command, words[2:])


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        sys.stdout.write(f"tiopt {__version__}\n")
        return 0
    completing = "_TIOPT_COMPLETE" in os.environ
    called = None if completing else _called(words)
    if called is not None:
        from tioption.cli import quick

        command, rest = called
        values = quick.parse(command, rest)
        if values is not None:
            return command.run(**values)
    from tioption.cli import app

    parsed = app.parse([_declared(name) for name in _MODULES], words)
    if isinstance(parsed, int):
        return parsed
    command, values = parsed
    return command.run(**values)


def main(words: list[str] | None = None) -> int:
    """Run `tiopt` with these words (default: the process's own) and return its exit status; never raises."""
    if words is not None:
        return _main(words)
    # The process is ours and short: start-up makes no garbage that is worth looking for, and at the end nothing is.
    gc.set_threshold(OBJECTS)
    status = _main(sys.argv[1:])
    gc.freeze()
    return status


def _main(words: list[str]) -> int:
    # A name or a text that the terminal's encoding has no character for is escaped, never an error.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Python leaves None where a shell closed the stream (`>&-`); what is written there is lost, as with any program.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    try:
        status = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stdout.flush()
        return _INTERRUPTED
    except UsageError as error:
        return _fail(words, f"{error}", USAGE)
    except MachineError as error:
        return _fail(words, f"{error}", LACKING)
    except TioptError as error:
        return _fail(words, f"{error}", UNREADABLE)
    except OSError as error:
        return _fail(words, f"cannot write the output: {(error.strerror or str(error)).lower()}", LACKING)
    except Exception as error:
        if "TIOPT_DEBUG" in os.environ:
            raise
        what = f"internal error, please report it: {type(error).__name__}: {error} (TIOPT_DEBUG=1 shows where)"
        return _fail(words, what, _INTERNAL)
    return status


def _fail(words: list[str], text: str, status: int) -> int:
    command = f" {words[0]}" if status == USAGE and words else ""
    sys.stderr.write(f"tiopt{command}: {text}\n")
    return status
