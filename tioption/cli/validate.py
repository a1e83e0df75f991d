"""`tiopt validate`: captures held against the rules, with a verdict per connection and per flow."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
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
    from tioption.render.report import summary, summary_line

    kinds = chosen_kinds(kind_d, kind_c)
    if compare:
        return _compare(files, format, strict, kinds)
    reader = _reader()
    verdicts: Counter[Any] = Counter()
    severities: Counter[Any] = Counter()
    given_up = 0
    write = _Writer(format, strict=strict, name_files=len(files) > 1)
    for file in files:
        validator = _validated(file, kinds, reader, write)
        verdicts += validator.verdicts
        severities += validator.severities
        given_up += validator.given_up
    row = summary(verdicts, severities, given_up)
    write.end(row, summary_line(row))
    return _status(row, whole=not reader.failed, strict=strict)


class _Writer:
    """Writes what validators report in the format asked for."""

    def __init__(self, format: str, *, strict: bool, name_files: bool) -> None:  # noqa: A002
        self._format = format
        self._strict = strict
        self._name_files = name_files
        self._suites: dict[str, list[dict[str, Any]]] = {}
        if format == "json":
            from json import dumps

            self._dumps = dumps

    def begin(self, file: str) -> None:
        """The report of this file follows."""
        self._suites.setdefault(file, [])
        if self._name_files and self._format == "text":
            sys.stdout.write(f"{file}:\n")

    def report(self, file: str, validator: Any, reported: Iterable[Any]) -> None:
        """Write what the validator of a file reports now."""
        from tioption.render.report import report_rows, report_text

        if self._format == "text":
            sys.stdout.writelines(report_text(file, validator, reported))
        elif self._format == "json":
            sys.stdout.writelines(self._dumps(row) + "\n" for row in report_rows(file, validator, reported))
        else:
            self._suites[file] += report_rows(file, validator, reported)

    def end(self, row: dict[str, Any], line: str) -> None:
        """Write the summary."""
        from tioption.render.report import junit

        if self._format == "json":
            sys.stdout.write(self._dumps(row) + "\n")
        else:
            sys.stdout.write(line + "\n" if self._format == "text" else junit(self._suites, strict=self._strict))


def _validated(file: str, kinds: Any, reader: Any, writer: _Writer) -> Any:
    """The validator of one file, after all that it has to report was written."""
    from tioption.capture.selection import EVERY

    quick = _quick_validator()
    validator: Any
    writer.begin(file)
    if quick is not None:
        validator = quick(kinds, key=os.urandom(8))
        for batch in reader.batches(file, EVERY):
            writer.report(file, validator, validator.take(batch))
    else:
        from tioption.verdict.validator import Validator

        validator = Validator(kinds)
        for segment in _segments(reader, file):
            validator.observe(segment)
            writer.report(file, validator, validator.due())
    writer.report(file, validator, validator.rest())
    _remark(reader)
    return validator


def _quick_validator() -> Any:
    """The validator in C, None where it is not to be had."""
    if os.environ.get("TIOPT_PURE"):
        return None
    try:
        from tioption.verdict.ordinary import QuickValidator
    except ImportError:  # installed without a compiler
        return None
    return QuickValidator


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
        for segment in _segments(reader, file):
            point.observe(segment)
        _remark(reader)
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


def _segments(reader: Any, file: str) -> Iterator[Any]:
    """Every whole segment that can be read of the file."""
    from tioption.capture import Segment

    return (segment for segment in reader.segments(file) if isinstance(segment, Segment))


def _remark(reader: Any) -> None:
    """Say what could not be decoded, after everything that could."""
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
