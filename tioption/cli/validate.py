"""`tiopt validate`: captures held against the rules, with a verdict per connection and per flow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds


def run(
    files: list[str],
    format: str,  # noqa: A002
    strict: bool,
    compare: bool,
    kind_d: int,
    kind_c: int,
) -> int:
    """Validate the files and return the exit status."""
    from tioption.render.report import junit, report_lines, report_rows, summary, summary_line
    from tioption.verdict.validator import Validator

    kinds = chosen_kinds(kind_d, kind_c)
    if compare:
        return _compare(files, format, strict, kinds)
    reader = _reader()
    validators: list[Any] = []
    suites: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        validator = Validator(kinds)
        _read(reader, file, validator.observe)
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
    return _status(row, whole=not reader.failed, strict=strict)


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
    reader = _reader()
    for file, point in zip(files, points, strict=True):
        _read(reader, file, point.observe)
    comparisons = compare(*points)
    row = comparison_summary(points, comparisons)
    if format == "json":
        from json import dumps

        sys.stdout.writelines(dumps(comparison_row(one)) + "\n" for one in comparisons)
        sys.stdout.write(dumps(row) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for one in comparisons for line in comparison_lines(one))
        sys.stdout.write(summary_line(row) + "\n")
    return _status(row, whole=not reader.failed, strict=strict)


def _reader() -> Any:
    from tioption.cli.reading import Reader

    return Reader(sys.stdout.flush, progress=sys.stderr.isatty())


def _read(reader: Any, file: str, observe: Callable[[Any], object]) -> None:
    """Hand in every whole segment that can be read of the file, then say what could not be decoded."""
    from tioption.capture import Segment

    for segment in reader.segments(file):
        if isinstance(segment, Segment):
            observe(segment)
    sys.stdout.flush()
    sys.stderr.writelines(reader.remarks)
    reader.remarks.clear()


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
