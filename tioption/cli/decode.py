"""`tiopt decode`: one line per flow option of captures, of a capture that is still growing, or of an interface."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TextIO, TypeVar

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, MachineError, Option, UsageError, chosen_kinds
from tioption.cli.spread import SPREAD_OPTIONS, Spread

_COLUMNS = ("parquet", "arrow")
_FORMATS = ("text", "table", "json", "csv", *_COLUMNS)
_T = TypeVar("_T")

_QUICK, _FAIR = 1 << 31, 1 << 28
"""Octets that one process decodes sooner than others have begun: to lines of few segments, to anything else."""


class _Source(NamedTuple):
    """A capture or an interface: its name, and what begins to read its segments."""

    name: str
    segments: Callable[[], Iterator[Any]]


def run(  # noqa: PLR0913  the names are those of the options
    files: list[str],
    *,
    format: str | None,  # noqa: A002
    style: str | None,
    all: bool,  # noqa: A002
    interface: str | None,
    follow: bool,
    count: int | None,
    kind_d: int,
    kind_c: int,
    jobs: int | None,
    dask: str | None,
    output: str | None,
) -> int:
    """Decode the files, or what passes the interface, and return the exit status."""
    from tioption.cli.files import expand

    kinds = chosen_kinds(kind_d, kind_c)
    if style is not None and format not in (None, "text"):
        raise UsageError(f"--style is for --format text, not for {format}")
    if (interface is None) == (not files):
        raise UsageError("expected either FILE…, where - is standard input, or an interface with -i")
    files = expand(files)
    if follow and len(files) > 1:
        raise UsageError(f"--follow reads on in one file as it grows, not in {len(files)}")
    if format in _COLUMNS:
        _check_columns(format, interface, output)
    endless = follow or interface is not None
    one = endless or count is not None or format in _COLUMNS  # what is written is no sequence of the files' own
    if one and dask is not None:
        raise UsageError("--dask is for text, table, json and csv, without -c, --follow and -i")
    with _opened(output, files) as out:
        if format is None:
            format = "table" if out.isatty() and style is None and not endless else "text"  # noqa: A001
        decoder = _Decoder(out, kinds, every=all, count=count, endless=endless)
        paper = style == "paper"
        if interface is not None:
            decoder.listen(interface, format, paper=paper)
        elif follow:
            from tioption.cli.live import until_interrupted

            with until_interrupted():
                decoder.decode(files, format, paper=paper)
        else:
            quick = _FAIR if all or style == "paper" or format == "table" else _QUICK
            spread = Spread(files) if one else Spread.chosen(files, jobs, dask, quick)
            decoder.decode_all(spread, format, paper=paper)
        out.flush()
    sys.stderr.writelines(decoder.reader.remarks)
    decoder.reader.repeat(len(files))
    return 3 if decoder.reader.failed else 0


def _check_columns(form: str, interface: str | None, output: str | None) -> None:
    """Raises MachineError where a library is missing, UsageError where the octets have no good place to go."""
    from importlib.util import find_spec

    missing = [name for name in ("numpy", "pyarrow") if find_spec(name) is None]
    if missing:
        raise MachineError(f"--format {form} needs {' and '.join(missing)}: pip install 'tioption[parquet]'")
    if interface is not None:
        pipe = f"tcpdump -i {interface} -U -w - tcp | tiopt decode --format {form} -"
        raise UsageError(f"--format {form} is for captures, not for -i; live: {pipe}")
    if output is None and sys.stdout.isatty():
        raise UsageError(f"--format {form} is not for a terminal: name a file with -o OUT, or redirect the output")


@contextmanager
def _opened(output: str | None, files: list[str]) -> Iterator[TextIO]:
    """Standard output, or a file that is closed in the end; its errors come up once, not again at closing."""
    if output is None:
        yield sys.stdout
        return
    from pathlib import Path

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

    def __init__(
        self, out: TextIO, kinds: Any, *, every: bool, count: int | None, endless: bool, reader: Any = None
    ) -> None:
        if reader is None:
            from tioption.cli.progress import Progress
            from tioption.cli.reading import Reader

            progress = Progress(visible=sys.stderr.isatty() and not out.isatty() and not endless)
            reader = Reader(out.flush, progress=progress)
        self.reader = reader
        self._out = out
        self._kinds = kinds
        self._every = every
        self._carriers = None if every else kinds
        self._count = count
        self._endless = endless
        self._found = 0

    def decode(self, files: list[str], form: str, *, paper: bool, part: bool = False) -> None:
        """Write what the files hold; the one that is to be followed is read on as it grows.

        With `part` others come before it, and have the header.
        """
        if form == "text":
            self._text_of_files(files, paper=paper)
            return
        if form in _COLUMNS:
            self._columns_of_files(files, form)
            return
        if form in ("json", "csv") and self._count is None:
            self._rows_of_files(files, form, header=not part)
            return
        segments, carriers, follow = self.reader.segments, self._carriers, self._endless
        sources = [_Source(file, partial(segments, file, carriers, follow=follow)) for file in files]
        self._write(sources, form, paper=paper)

    def decode_all(self, spread: Spread, form: str, *, paper: bool) -> None:
        """Write what the files hold, decoded wherever that is to be done."""
        if spread.here:
            spread.expect(self.reader)
            self.decode(spread.files, form, paper=paper)
            return
        whole = "json" if form == "table" else form
        work = partial(decode_file, form=whole, paper=paper, kinds=self._kinds, every=self._every)
        if form == "table":
            from json import loads

            self._print_table(map(loads, spread.lines(work, self.reader)), several=len(spread.files) > 1)
            return
        if form == "csv":
            from tioption.render.row_batches import csv_header

            self._out.write(csv_header())
        for _ in spread.run(work, self._out, self.reader):
            pass

    def listen(self, name: str, form: str, *, paper: bool) -> None:
        """Write what passes an interface until Ctrl-C, then keep what the kernel has counted for the remarks."""
        from tioption.cli.live import listening, until_interrupted

        with listening(name, every=self._every, on_wait=self._out.flush) as interface:
            with until_interrupted():
                source = _Source(name, partial(self.reader.live, interface, self._carriers))
                self._write([source], form, paper=paper)
            self._out.flush()
            passed, dropped = interface.statistics()
        self.reader.remarks.append(
            f"tiopt: {name}: {_number(passed, 'frame')} let through by the filter, "
            f"{_number(self._found, 'flow option')} found, {_number(dropped, 'frame')} dropped by the kernel\n"
        )

    def _write(self, sources: list[_Source], form: str, *, paper: bool) -> None:
        if form == "text":
            self._text(sources, paper=paper)
        elif form == "json":
            self._json(sources)
        elif form == "csv":
            self._csv(sources)
        else:
            self._table(sources)

    def _counted(self, made: Generator[_T, None, None]) -> Iterator[_T]:
        """As many as were asked for; what made them is closed before anything else happens."""
        with closing(made):
            yield from islice(made, self._count)

    def _rows(self, sources: list[_Source]) -> Iterator[dict[str, Any]]:
        return self._counted(self._all_rows(sources))

    def _all_rows(self, sources: list[_Source]) -> Generator[dict[str, Any], None, None]:
        from tioption.render.rows import rows

        for name, segments in sources:
            for segment in segments():
                for row in rows(name, segment, self._kinds, every=self._every):
                    self._found += row["variant"] is not None
                    yield row

    def _lines(self, sources: list[_Source], *, paper: bool) -> Generator[str, None, None]:
        """Lines of segments that come one by one."""
        from tioption.capture import Segment
        from tioption.render.lines import LinePrinter

        for _, segments in sources:
            line = LinePrinter(paper=paper, kinds=self._kinds).line
            for segment in segments():
                options = segment.walk_options(self._kinds) if isinstance(segment, Segment) else []
                flows = sum(option.flow is not None for option in options)
                if self._every or flows:
                    self._found += flows
                    yield line(segment, options) + "\n"

    def _text_of_files(self, files: list[str], *, paper: bool) -> None:
        """Tcpdump's lines or the paper's, one per segment, batch by batch."""
        left = self._count
        with closing(self._pieces(files, paper=paper)) as pieces:
            if left is None:
                self._out.writelines(pieces)
                return
            for piece in pieces:
                lines = piece.splitlines(keepends=True)[:left]
                self._out.writelines(lines)
                left -= len(lines)
                if left == 0:
                    return

    def _pieces(self, files: list[str], *, paper: bool) -> Generator[str, None, None]:
        """Some lines at a time."""
        from tioption.capture import Select
        from tioption.render.batches import BatchPrinter

        select = Select(carriers=self._carriers)
        for file in files:
            printer = BatchPrinter(paper=paper, kinds=self._kinds, every=self._every)
            for batch in self.reader.batches(file, select, follow=self._endless):
                yield from printer.text(batch)

    def _rows_of_files(self, files: list[str], form: Any, *, header: bool) -> None:
        """JSON Lines, or CSV with a header line, batch by batch."""
        from tioption.capture import Select
        from tioption.render.row_batches import RowPrinter, csv_header

        if form == "csv" and header:
            self._out.write(csv_header())
        select = Select(carriers=self._carriers)
        for file in files:
            printer = RowPrinter(file, form, kinds=self._kinds, every=self._every)
            for batch in self.reader.batches(file, select, follow=self._endless):
                self._out.writelines(printer.text(batch))

    def _columns_of_files(self, files: list[str], form: Any) -> None:
        """A Parquet file or a stream of Arrow, batch by batch."""
        import pyarrow as pa

        pa.set_memory_pool(pa.system_memory_pool())  # its own ones keep what is freed, for work that does not come
        from tioption.columns.arrow import writer

        left = self._count
        with closing(self._columns(files)) as columns, writer(form, self._out.buffer) as write:
            for file, made in columns:
                wanted = made if left is None else made.first(left)
                write(wanted, file)
                if left is not None:
                    left -= len(wanted.rows)
                    if left == 0:
                        return
                del made, wanted  # before the next are made

    def _columns(self, files: list[str]) -> Generator[tuple[str, Any], None, None]:
        """The name of a file and some of its rows."""
        from tioption.capture import Select
        from tioption.columns.segments import SegmentColumns

        select, columns = Select(carriers=self._carriers), SegmentColumns(self._kinds, every=self._every)
        for file in files:
            for batch in self.reader.batches(file, select, follow=self._endless):
                yield file, columns.of(batch)

    def _text(self, sources: list[_Source], *, paper: bool) -> None:
        """Tcpdump's lines or the paper's, one per segment."""
        self._out.writelines(self._counted(self._lines(sources, paper=paper)))

    def _json(self, sources: list[_Source]) -> None:
        """JSON Lines of rows that come one by one."""
        from tioption.render.row_batches import json_line

        self._out.writelines(map(json_line, self._rows(sources)))

    def _csv(self, sources: list[_Source]) -> None:
        """CSV with a header line, of the same."""
        from tioption.render.row_batches import csv_header, csv_line

        self._out.write(csv_header())
        self._out.writelines(map(csv_line, self._rows(sources)))

    def _table(self, sources: list[_Source]) -> None:
        """A table for people, coloured on a terminal."""
        self._print_table(self._rows(sources), several=len(sources) > 1)

    def _print_table(self, rows: Iterator[dict[str, Any]], *, several: bool) -> None:
        from tioption.render.table import TableConsole, print_table

        printed = print_table(rows, TableConsole(self._out), name_files=several, waiting=self._endless)
        if not printed and not self.reader.failed and not self._every and not self._endless and sys.stderr.isatty():
            self.reader.remarks.append("tiopt: no flow option found; --all prints every TCP segment\n")


def decode_file(file: str, out: TextIO, reader: Any, *, form: str, paper: bool, kinds: Any, every: bool) -> None:
    """Write what one of several files holds: text, json or csv, the last without a header."""
    decoder = _Decoder(out, kinds, every=every, count=None, endless=False, reader=reader)
    decoder.decode([file], form, paper=paper, part=True)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


COMMAND = Command(
    "decode",
    "Print the flow options of captures or interfaces, one line each.",
    "Print the flow options of captures, one line each, in capture order. Files may be pcap or pcapng, compressed with "
    "gzip or zstd or not; - is standard input. A damaged file is read up to the damage (exit status 3). With -i they "
    "are those that pass a network interface, until Ctrl-C.",
    (
        "tiopt decode capture.pcap",
        "tiopt decode --all --style paper handshake.pcapng",
        "tiopt decode --format json *.pcap.gz > options.jsonl",
        "tiopt decode --format parquet *.pcap.gz -o options.parquet",
        "sudo tiopt decode -i eth0",
        "tiopt decode --follow growing.pcap",
    ),
    Argument(
        "files", "FILE", "Captures: files, folders, patterns, URLs, or - for standard input.", instead="interface"
    ),
    (
        Option(
            "format",
            ("--format", "-f"),
            "How to print: a table where the output is a terminal, else text; live, text. JSON is one object a line; "
            "Parquet and Arrow are for notebooks and databases.",
            choices=_FORMATS,
        ),
        Option("style", ("--style",), "Whose lines text has: tcpdump's, or the paper's.", choices=("tcpdump", "paper")),
        Flag("all", ("--all", "-a"), "Print every TCP segment, not only those with a flow option."),
        Option("interface", ("-i", "--interface"), "Decode what passes this network interface, or any.", "IFACE"),
        Flag("follow", ("--follow",), "Do not stop at the end of the file, but read on as it grows."),
        Option("count", ("-c", "--count"), "Stop after this many lines.", "N", None, int, least=1, most=999_999_999),
        *SPREAD_OPTIONS,
        *KIND_OPTIONS,
        Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "OUT"),
    ),
    run,
)
