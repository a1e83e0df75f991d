"""`tiopt build`: a capture of a named scenario."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tioption.cli.declare import Argument, Command, Flag, Option, UsageError

_POINTS = {"path": "path", "a": "A", "b": "B"}


def run(names: list[str], output: str | None, seed: int, at: str, list: bool, format: str) -> int:  # noqa: A002
    """Write the scenario's capture, or list the scenarios; return the exit status."""
    from tioption.build.catalogue import SCENARIOS

    if list:
        _list(SCENARIOS, format)
        return 0
    if len(names) != 1:
        raise UsageError("expected the name of one scenario (tiopt build --list shows them)")
    scenario = SCENARIOS.get(names[0])
    if scenario is None:
        from difflib import get_close_matches

        close = ", ".join(get_close_matches(names[0], SCENARIOS, 3))
        raise UsageError(f"no scenario {names[0]!r}" + (f"; did you mean {close}?" if close else " (see --list)"))
    octets = scenario.pcap(seed, _POINTS[at])  # type: ignore[arg-type]
    if output is None:
        if sys.stdout.isatty():
            raise UsageError("a capture is not for a terminal: name a file with -o, or send it into a pipe")
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        return 0
    try:
        Path(output).write_bytes(octets)
    except OSError as error:
        raise UsageError(f"-o {output}: {(error.strerror or str(error)).lower()}") from None
    return 0


def _list(scenarios: dict[str, Any], form: str) -> None:
    if form == "json":
        from json import dumps

        for scenario in scenarios.values():
            row = {"name": scenario.name, "text": scenario.text, "rule": scenario.rule, "kept": scenario.kept}
            sys.stdout.write(dumps(row) + "\n")
        return
    width = max(map(len, scenarios))
    for scenario in scenarios.values():
        sys.stdout.write(f"{scenario.name.ljust(width)}  {scenario.text}\n")


COMMAND = Command(
    "build",
    "Write the capture of a named scenario.",
    "Write the capture of a named scenario: the rows of the paper, and for every rule that shows on the wire one that "
    "keeps it and one that breaks it (or shows the case it notes). The same seed makes the same octets.",
    (
        "tiopt build --list",
        "tiopt build resume -o resume.pcap",
        "tiopt build est-05-wrong --seed 7 -o broken.pcap",
        "tiopt build mbx-05-wrong --at b -o server.pcap",
    ),
    Argument("names", "SCENARIO", "The scenario's name.", required=False),
    (
        Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "FILE"),
        Option("seed", ("--seed",), "What addresses, ports and numbers are made from.", "N", 1, int, most=999_999_999),
        Option(
            "at", ("--at",), "Where to capture: on the path, or at host A or B.", "", "path", choices=("path", "a", "b")
        ),
        Flag("list", ("--list", "-l"), "List the scenarios."),
        Option("format", ("--format", "-f"), "How to list.", default="text", choices=("text", "json")),
    ),
    run,
)
