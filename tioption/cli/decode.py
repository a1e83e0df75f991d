"""`tiopt decode`: one line per flow option of one or several captures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds

_FORMATS = ("text", "table", "json", "csv")


def run(  # the names are those of the options
    files: list[str],
    format: str | None,  # noqa: A002
    style: str | None,
    all: bool,  # noqa: A002
    kind_d: int,
    kind_c: int,
    output: str | None,
) -> int:
    """Decode the files and return the exit status."""
    kinds = chosen_kinds(kind_d, kind_c)
    if style is not None and format not in (None, "text"):
        raise UsageError(f"--style is for --format text, not for {format}")
    with _opened(output, files) as out:
        if format is None:
            format = "table" if out.isatty() and style is None else "text"  # noqa: A001
        decoder = _Decoder(out, kinds, every=all)
        if format == "text":
            decoder.text(files, paper=style == "paper")
        elif format == "json":
            decoder.json(files)
        elif format == "csv":
            decoder.csv(files)
        else:
            decoder.table(files)
        out.flush()
    sys.stderr.writelines(decoder.reader.remarks)
    return 3 if decoder.reader.failed else 0


@contextmanager
def _opened(output: str | None, files: list[str]) -> Iterator[TextIO]:
    """Standard output, or a file that is closed in the end; its errors come up once, not again at closing."""
    if output is None:
        yield sys.stdout
        return
    path = Path(output)
    if path.exists() and any(file != "-" and Path(file).exists() and path.samefile(file) for file in files):
        raise UsageError(f"-o {output} would overwrite its own input")
    try:
        out = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise UsageError(f"-o {output}: {(error.strerror or str(error)).lower()}") from None
    try:
        yield out
    finally:
        with suppress(OSError):
            out.close()


class _Decoder:
    """Takes captures one after the other and writes what they hold; a damaged one never keeps the others back."""

    def __init__(self, out: TextIO, kinds: Any, *, every: bool) -> None:
        from tioption.cli.reading import Reader

        self.reader = Reader(out.flush, progress=sys.stderr.isatty() and not out.isatty())
        self._out = out
        self._kinds = kinds
        self._every = every

    def _segments(self, file: str) -> Iterator[Any]:
        """The segments of one file that matter."""
        return self.reader.segments(file, None if self._every else self._kinds)

    def _rows(self, files: list[str]) -> Iterator[dict[str, Any]]:
        from tioption.render.rows import rows

        for file in files:
            for segment in self._segments(file):
                yield from rows(file, segment, self._kinds, every=self._every)

    def text(self, files: list[str], *, paper: bool) -> None:
        """Tcpdump's lines or the paper's, one per segment."""
        from tioption.capture import Segment
        from tioption.render.lines import LinePrinter

        write = self._out.write
        for file in files:
            line = LinePrinter(paper=paper, kinds=self._kinds).line
            for segment in self._segments(file):
                options = segment.walk_options(self._kinds) if isinstance(segment, Segment) else []
                if self._every or any(option.flow is not None for option in options):
                    write(line(segment, options) + "\n")

    def json(self, files: list[str]) -> None:
        """JSON Lines."""
        from json import JSONEncoder

        encode = JSONEncoder().encode
        for row in self._rows(files):
            self._out.write(encode(row) + "\n")

    def csv(self, files: list[str]) -> None:
        """CSV with a header line."""
        import csv

        from tioption.render.rows import KEYS, csv_values

        writer = csv.writer(self._out, lineterminator="\n")
        writer.writerow(KEYS)
        writer.writerows(csv_values(row) for row in self._rows(files))

    def table(self, files: list[str]) -> None:
        """A table for people, coloured on a terminal."""
        from tioption.render.table import TableConsole, print_table

        printed = print_table(self._rows(files), TableConsole(self._out), name_files=len(files) > 1)
        if not printed and not self.reader.failed and not self._every and sys.stderr.isatty():
            self.reader.remarks.append("tiopt: no flow option found; --all prints every TCP segment\n")


COMMAND = Command(
    "decode",
    "Print the flow options of captures, one line each.",
    "Print the flow options of captures, one line each, in capture order. Files may be pcap or pcapng, compressed with "
    "gzip or zstd or not; - is standard input. A damaged file is read up to the damage (exit status 3).",
    (
        "tiopt decode capture.pcap",
        "tiopt decode --all --style paper handshake.pcapng",
        "tiopt decode --format json *.pcap.gz > options.jsonl",
        "tcpdump -i eth0 -U -w - tcp | tiopt decode --format text -",
    ),
    Argument("files", "FILE", "Capture files, or - for standard input."),
    (
        Option(
            "format",
            ("--format", "-f"),
            "How to print: a table where the output is a terminal, else text. JSON is one object a line.",
            choices=_FORMATS,
        ),
        Option("style", ("--style",), "Whose lines text has: tcpdump's, or the paper's.", choices=("tcpdump", "paper")),
        Flag("all", ("--all", "-a"), "Print every TCP segment, not only those with a flow option."),
        *KIND_OPTIONS,
        Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "OUT"),
    ),
    run,
)
