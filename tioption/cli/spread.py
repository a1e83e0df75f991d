"""Where the work on files is done: in this process, in several of this machine, or on a cluster; all give the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from tioption.cli.declare import Option

if TYPE_CHECKING:
    from collections.abc import Generator

    from tioption.cli.jobs import Event
    from tioption.cli.reading import Reader
    from tioption.cli.worker import Work

SPREAD_OPTIONS: tuple[Option, Option] = (
    Option(
        "jobs",
        ("--jobs", "-j"),
        "Processes to work in; by default as many as there are processors where several files are large.",
        "N",
        None,
        int,
        least=1,
        most=1024,
    ),
    Option("dask", ("--dask",), "Work on the Dask cluster whose scheduler is at this address.", "ADDRESS"),
)
"""The options of commands that take many files."""


class Spread(NamedTuple):
    """A choice of processes for some files."""

    files: list[str]
    jobs: int = 1
    dask: str | None = None

    @classmethod
    def chosen(cls, files: list[str], jobs: int | None, dask: str | None, quick: int) -> Spread:
        """What the user has chosen, or what is best where one process is done soon with `quick` octets."""
        if dask is not None:
            return cls(files, jobs or 0, dask)
        if len(files) < 2 or jobs == 1:
            return cls(files)
        from tioption.cli.jobs import workers

        return cls(files, workers(jobs, files, quick))

    @property
    def here(self) -> bool:
        """Whether this process does all the work."""
        return self.jobs == 1 and self.dask is None

    def run(self, work: Work, out: TextIO, reader: Reader) -> Iterator[tuple[int, Any]]:
        """Work on each file in turn: its number and the result (None where there is none) once `out` has its output."""
        self.expect(reader)
        if self.here:
            for number, file in enumerate(self.files):
                yield number, work(file, out, reader)
            return
        from tioption.cli.jobs import Done, Here, Stretch

        with closing(self._events(work, out, reader)) as events:
            for event in events:
                if isinstance(event, bytes):
                    out.flush()
                    out.buffer.write(event)
                elif isinstance(event, Stretch):
                    event.copy(out)
                elif isinstance(event, Here):
                    yield event.number, work(self.files[event.number], out, reader)
                elif isinstance(event, Done):
                    reader.take(event.outcome)
                    yield event.number, event.outcome.result

    def lines(self, work: Work, reader: Reader) -> Iterator[str]:
        """The lines of the output, without their ends, as they come."""
        from tioption.cli.jobs import Done, Here, Stretch

        self.expect(reader)
        begun = b""
        with closing(self._events(work, StringIO(), reader)) as events:
            for event in events:
                if isinstance(event, bytes | Stretch):
                    for octets in (event,) if isinstance(event, bytes) else event.octets():
                        *whole, begun = (begun + octets).split(b"\n")
                        yield from map(bytes.decode, whole)
                elif isinstance(event, Here):
                    made = StringIO()
                    work(self.files[event.number], made, reader)
                    yield from made.getvalue().splitlines()
                elif isinstance(event, Done):
                    reader.take(event.outcome)

    def _events(self, work: Work, out: TextIO, reader: Reader) -> Generator[Event, None, None]:
        from tioption.cli.jobs import Mapping, mapped

        mapping = Mapping(work, self.files, out.encoding or "utf-8", out.errors or "strict", reader.progress)
        if self.dask is None:
            return mapped(mapping, self.jobs)
        from tioption.cli.cluster import mapped_on

        return mapped_on(self.dask, mapping)

    def expect(self, reader: Reader) -> None:
        """Let the progress know how much there is."""
        if len(self.files) > 1:
            from tioption.cli.files import size_of

            sizes = [size_of(file) for file in self.files]
            reader.progress.expect(len(sizes), None if None in sizes else sum(size or 0 for size in sizes))
