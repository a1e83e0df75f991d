"""`tiopt validate`: captures held against the rules, with a verdict per connection and per flow."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, TextIO

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds
from tioption.cli.spread import SPREAD_OPTIONS, Spread

_QUICK = 1 << 28
"""Octets that one process judges sooner than others have begun."""


def run(  # the names are those of the options
    files: list[str],
    *,
    format: str,  # noqa: A002
    strict: bool,
    compare: bool,
    jobs: int | None,
    dask: str | None,
    kind_d: int,
    kind_c: int,
) -> int:
    """Validate the files and return the exit status."""
    from tioption.cli.files import expand
    from tioption.render.report import summary, summary_line

    kinds = chosen_kinds(kind_d, kind_c)
    files = expand(files)
    if compare:
        return _compare(files, format, strict, kinds)
    spread = Spread.chosen(files, jobs, dask, _QUICK)
    reader = _reader()
    if len(files) == 1 and spread.here and format != "junit":
        total = judge_file(files[0], sys.stdout, reader, form=format, kinds=kinds)
        _remark(reader)
    else:
        from tioption.cli.joined import judge_files

        total = judge_files(spread, reader, format, kinds, strict=strict)
    row = summary(total.verdicts, total.severities, total.given_up)
    if format == "json":
        from json import dumps

        sys.stdout.write(dumps(row) + "\n")
    elif format == "text":
        sys.stdout.write(summary_line(row) + "\n")
    reader.repeat(len(files))
    return _status(row, whole=not reader.failed, strict=strict)


class Judgement(NamedTuple):
    """What is to be known of a file beside its report."""

    verdicts: Counter[Any]
    severities: Counter[Any]
    given_up: int
    sightings: Any = None
    """What may concern other files (`joining.Sightings`), None where that was not asked for."""


def judge_file(file: str, out: TextIO, reader: Any, *, form: str, kinds: Any, remember: bool = False) -> Judgement:
    """Write the report of one file as text, or else as JSON Lines; the rest of the judgement."""
    from tioption.render.report import report_rows, report_text

    sightings = None
    if remember:
        from tioption.verdict.joining import Sightings

        sightings = Sightings(kinds)

    def write(reported: Iterable[Any]) -> None:
        if sightings is not None:
            reported = map(sightings.passed, reported)
        if form == "text":
            out.writelines(report_text(file, validator, reported))
        else:
            from json import dumps

            out.writelines(dumps(row) + "\n" for row in report_rows(file, validator, reported))

    validator: Any
    quick = quick_validator()
    if quick is not None:
        from tioption.capture.selection import EVERY

        validator = quick(kinds)
        for batch in reader.batches(file, EVERY):
            if sightings is not None:
                sightings.at(batch.segment(0).time_ns)
                sightings.at(batch.segment(len(batch) - 1).time_ns)
            write(validator.take(batch))
    else:
        from tioption.verdict.validator import Validator

        validator = Validator(kinds)
        for segment in _segments(reader, file):
            if sightings is not None:
                sightings.at(segment.time_ns)
            validator.observe(segment)
            write(validator.due())
    write(validator.rest())
    return Judgement(validator.verdicts, validator.severities, validator.given_up, sightings)


def quick_validator() -> Any:
    """What makes the validator in C, given kinds; None where it is not to be had."""
    if os.environ.get("TIOPT_PURE"):
        return None
    try:
        from tioption.verdict.ordinary import QuickValidator
    except ImportError:  # installed without a compiler
        return None
    return partial(QuickValidator, key=os.urandom(8))


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
    from tioption.cli.progress import Progress
    from tioption.cli.reading import Reader

    return Reader(sys.stdout.flush, progress=Progress(visible=sys.stderr.isatty()))


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
        "tiopt validate --strict --format junit captures/ > report.xml",
        "tiopt validate --format json capture.pcap | jq 'select(.type == \"flow\")'",
        "tiopt validate --compare client.pcap server.pcap",
    ),
    Argument("files", "FILE", "Captures: files, folders, patterns, URLs, or - for standard input."),
    (
        Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json", "junit")),
        Flag("strict", ("--strict",), "Count warnings as violations."),
        Flag("compare", ("--compare",), "Two captures of the same traffic: what was changed between them."),
        *SPREAD_OPTIONS,
        *KIND_OPTIONS,
    ),
    run,
)
