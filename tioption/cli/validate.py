"""`tiopt validate`: captures held against the rules, with a verdict per connection and per flow."""

from __future__ import annotations

import sys
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError


def run(files: list[str], format: str, strict: bool, kind_d: int, kind_c: int) -> int:  # noqa: A002
    """Validate the files and return the exit status."""
    from tioption.option import Kinds
    from tioption.render.report import junit, report_lines, report_rows, summary, summary_line

    if kind_d == kind_c:
        raise UsageError(f"--kind-d and --kind-c must differ, both are {kind_d}")
    validators: list[Any] = []
    suites: dict[str, list[dict[str, Any]]] = {}
    failed = False
    for file in files:
        validator, whole = _validated(file, Kinds(kind_d, kind_c))
        failed = failed or not whole
        validators.append(validator)
        rows = report_rows(file, validator)
        if format == "json":
            from json import dumps

            sys.stdout.writelines(dumps(row) + "\n" for row in rows)
        elif format == "junit":
            suites[file] = [*suites.get(file, []), *rows]
        else:
            if len(files) > 1:
                sys.stdout.write(f"{file}:\n")
            sys.stdout.writelines(line + "\n" for line in report_lines(rows))
    row = summary(validators)
    if format == "json":
        sys.stdout.write(dumps(row) + "\n")
    elif format == "junit":
        sys.stdout.write(junit(suites, strict=strict))
    else:
        sys.stdout.write(summary_line(row) + "\n")
    if failed:
        return 3
    return 1 if row["violations"] or (strict and row["warnings"]) else 0


def _validated(file: str, kinds: Any) -> tuple[Any, bool]:
    """The validator after everything that could be read of the file, and whether that was all of it."""
    from tioption.capture import Capture, Segment
    from tioption.cli.progress import Progress
    from tioption.errors import CaptureError
    from tioption.verdict.validator import Validator

    validator = Validator(kinds)
    progress = Progress(visible=sys.stderr.isatty())
    whole = True
    remarks: list[str] = []
    try:
        with Capture(file, lambda source: progress.update(source.name, source.consumed, source.size)) as capture:
            try:
                for segment in capture.segments():
                    if isinstance(segment, Segment):
                        validator.observe(segment)
            finally:
                remarks += [f"tiopt: {file}: {undecoded}\n" for undecoded in capture.undecoded]
    except CaptureError as error:
        whole = False
        remarks.append(f"tiopt: {error}\n")
    progress.clear()
    sys.stdout.flush()
    sys.stderr.writelines(remarks)
    return validator, whole


COMMAND = Command(
    "validate",
    "Hold captures against the rules.",
    "Hold captures against the rules of the protocol: a verdict for each connection and each flow, and every rule that "
    "was broken, with the frame, what was expected and what was found. Exit status 1 where a rule was violated.",
    (
        "tiopt validate capture.pcap",
        "tiopt validate --strict --format junit captures/*.pcapng > report.xml",
        "tiopt validate --format json capture.pcap | jq 'select(.type == \"flow\")'",
    ),
    Argument("files", "FILE", "Capture files, or - for standard input."),
    (
        Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json", "junit")),
        Flag("strict", ("--strict",), "Count warnings as violations."),
        *KIND_OPTIONS,
    ),
    run,
)
