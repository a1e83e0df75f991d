"""`tiopt tcpdump`: a tcpdump that prints the option, as a patch or built here."""

from __future__ import annotations

import sys
from pathlib import Path

from tioption.cli.declare import Argument, Command, Flag, Group, MachineError, Option, UsageError

_DIRECTORY = "tcpdump-tiflow"


def patch(output: str | None, target: str, no_tests: bool) -> int:
    """Write the patch and return the exit status."""
    from tioption.dissect.tcpdump_patch import TARGETS, render

    if no_tests:
        text = render(TARGETS[target])
    else:
        from tioption.generate.tcpdump_cases import cases

        text = render(TARGETS[target], cases())
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text)
    except OSError as error:
        raise UsageError(f"-o {output}: {(error.strerror or str(error)).lower()}") from None
    return 0


def build(directories: list[str], source: str | None, no_check: bool, install_dependencies: bool) -> int:
    """Build a patched tcpdump, print its path, and return the exit status."""
    from tioption.dissect import tcpdump_build
    from tioption.generate.tcpdump_cases import cases

    directory = _made(directories)
    given = None if source is None else Path(source)
    try:
        lacking = tcpdump_build.missing(given, checking=not no_check)
        if lacking and not install_dependencies:
            raise tcpdump_build.MissingError("this machine cannot build it yet (see --install-dependencies)", lacking)
        if lacking:
            tcpdump_build.install(lacking, directory, _say)
        built = tcpdump_build.build(directory, cases(), source=given, check=not no_check, say=_say)
    except tcpdump_build.SourceError as error:
        raise UsageError(f"{error}") from None
    except (tcpdump_build.MissingError, tcpdump_build.StepError) as error:
        raise MachineError(f"{error}") from None
    finally:
        if not any(directory.iterdir()):
            directory.rmdir()
    if built.checked is not None:
        passed, failed = built.checked
        where = f" (see {directory / tcpdump_build.LOG})" if failed else ""
        sys.stderr.write(f"tiopt: make check of tcpdump {built.version}: {passed} passed, {failed} failed{where}\n")
    sys.stdout.write(f"{built.program}\n")
    return 1 if built.checked is not None and built.checked.failed else 0


def _made(directories: list[str]) -> Path:
    """The folder to build in, which is new or empty."""
    if len(directories) > 1:
        raise UsageError(f"expected one folder, found {len(directories)}")
    directory = Path(directories[0] if directories else _DIRECTORY).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
    except OSError as error:
        raise UsageError(f"{directory}: {(error.strerror or str(error)).lower()}") from None
    if not empty:
        raise UsageError(f"{directory} is not empty: name a new folder")
    return directory


def _say(step: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"tiopt: {step} …\n")
        sys.stderr.flush()


COMMAND = Group(
    "tcpdump",
    "A tcpdump that prints the option: as a patch, or built here.",
    (
        Command(
            "patch",
            "Print the patch that teaches tcpdump the option.",
            "Print the patch that teaches tcpdump the option, with test cases in tcpdump's own form. It is for git "
            "apply, as the captures of the test cases are binary; with --no-tests it is for patch as well.",
            (
                "tiopt tcpdump patch -o flow-option.patch",
                "tiopt tcpdump patch --for master | git apply",
                "tiopt tcpdump patch --no-tests | patch -p1",
            ),
            None,
            (
                Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "FILE"),
                Option(
                    "target",
                    ("--for",),
                    "Which tcpdump: the releases of 4.99, or what becomes 5.0.",
                    default="4.99",
                    choices=("4.99", "master"),
                ),
                Flag("no_tests", ("--no-tests",), "Only the code, without test cases."),
            ),
            patch,
        ),
        Command(
            "build",
            "Build a tcpdump that prints the option.",
            "Build a tcpdump that prints the option, and run its own tests. The source is the distribution's, fetched "
            "by apt without a change to its configuration, or one you name. Nothing is installed; the path of the "
            f"program is printed. It takes some minutes, and a new folder (default: {_DIRECTORY}).",
            (
                "tiopt tcpdump build",
                "tiopt tcpdump build /opt/tcpdump-tiflow --install-dependencies",
                "tiopt tcpdump build --source tcpdump-4.99.5.tar.xz --no-check",
            ),
            Argument("directories", "DIR", "The folder to build in, new or empty.", required=False),
            (
                Option("source", ("--source",), "Build from this folder or archive.", "SOURCE"),
                Flag("no_check", ("--no-check",), "Do not run tcpdump's tests."),
                Flag(
                    "install_dependencies",
                    ("--install-dependencies",),
                    "Install what is missing to build it, by apt and as root.",
                ),
            ),
            build,
        ),
    ),
)
