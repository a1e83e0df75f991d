"""`tiopt validate`: captures held against the rules, with a verdict per connection and per flow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError


def run(
    files: list[str],
    format: str,  # noqa: A002
    strict: bool,
    compare: bool,
    kind_d: int,
    kind_c: int,
) -> int:
    """Validate the files and return the exit status."""
    from tioption.option import Kinds
    from tioption.render.report import junit, report_lines, report_rows, summary, summary_line

    if kind_d == kind_c:
        raise UsageError(f"--kind-d and --kind-c must differ, both are {kind_d}")
    if compare:
        return _compare(files, format, strict, Kinds(kind_d, kind_c))
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
    return _status(row, whole=not failed, strict=strict)


def _status(summary: dict[str, Any], *, whole: bool, strict: bool) -> int:
    """The exit status of a report."""
    if not whole:
        return 3
    return 1 if summary["violations"] or (strict and summary["warnings"]) else 0


def _compare(files: list[str], format: str, strict: bool, kinds: Any) -> int:  # noqa: A002
    """Compare the same traffic at two points and return the exit status."""
    from tioption.render.comparison import comparison_lines, comparison_row, comparison_summary
    from tioption.render.report import summary_line
    from tioption.verdict.capture_point import CapturePoint
    from tioption.verdict.comparison import compare

    if len(files) != 2:
        raise UsageError(f"--compare takes two files, the client's capture and the server's, not {len(files)}")
    if format == "junit":
        raise UsageError("--compare prints text or json")
    points = CapturePoint(kinds), CapturePoint(kinds)
    read = [_read(file, point.observe) for file, point in zip(files, points, strict=True)]
    comparisons = compare(*points)
    row = comparison_summary(points, comparisons)
    if format == "json":
        from json import dumps

        sys.stdout.writelines(dumps(comparison_row(one)) + "\n" for one in comparisons)
        sys.stdout.write(dumps(row) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for one in comparisons for line in comparison_lines(one))
        sys.stdout.write(summary_line(row) + "\n")
    return _status(row, whole=all(read), strict=strict)


def _validated(file: str, kinds: Any) -> tuple[Any, bool]:
    """The validator after everything that could be read of the file, and whether that was all of it."""
    from tioption.verdict.validator import Validator

    validator = Validator(kinds)
    return validator, _read(file, validator.observe)


def _read(file: str, observe: Callable[[Any], object]) -> bool:
    """Hand in every segment that can be read of the file; whether that was all of it."""
    from tioption.capture import Capture, Segment
    from tioption.cli.progress import Progress
    from tioption.errors import CaptureError

    progress = Progress(visible=sys.stderr.isatty())
    whole = True
    remarks: list[str] = []
    try:
        with Capture(file, lambda source: progress.update(source.name, source.consumed, source.size)) as capture:
            try:
                for segment in capture.segments():
                    if isinstance(segment, Segment):
                        observe(segment)
            finally:
                remarks += [f"tiopt: {file}: {undecoded}\n" for undecoded in capture.undecoded]
    except CaptureError as error:
        whole = False
        remarks.append(f"tiopt: {error}\n")
    progress.clear()
    sys.stdout.flush()
    sys.stderr.writelines(remarks)
    return whole


COMMAND = Command(
    "validate",
    "Hold captures against the rules.",
    "Hold captures against the rules of the protocol: a verdict for each connection and each flow, and every rule that "
    "was broken, with the frame, what was expected and what was found. Exit status 1 where a rule was violated.",
    (
        "tiopt validate capture.pcap",
        "tiopt validate --strict --format junit captures/*.pcapng > report.xml",
        "tiopt validate --format json capture.pcap | jq 'select(.type == \"flow\")'",
        "tiopt validate --compare client.pcap server.pcap",
    ),
    Argument("files", "FILE", "Capture files, or - for standard input."),
    (
        Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json", "junit")),
        Flag("strict", ("--strict",), "Count warnings as violations."),
        Flag("compare", ("--compare",), "Two captures of the same traffic: what was changed between them."),
        *KIND_OPTIONS,
    ),
    run,
)
