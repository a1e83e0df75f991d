"""The second pass over files of which some connections are judged jointly: their segments, in one order of time."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from tioption.capture.excerpt import LENGTHS, Excerpt

if TYPE_CHECKING:
    from tioption.cli.reading import Reader
    from tioption.cli.spread import Spread
    from tioption.verdict.joining import Sightings

_EVER: Final = 1 << 80


def segments_between(
    spread: Spread,
    chosen: Mapping[int, set[bytes]],
    sightings: Sequence[Sightings | None],
    waiting: TextIO,
    reader: Reader,
) -> Iterator[tuple[int, Excerpt]]:
    """The segments between the chosen ends of each file, with its number: as many at a time as follow each other.

    They wait in the file `waiting`, and come in the order of time, those of each file in its own.
    """
    from tioption.verdict.joining import in_time_order

    spans = _extracted(spread, chosen, waiting, reader)
    parts = []
    for number in in_time_order(sightings):
        capture = sightings[number]
        if number in spans:
            first = capture.first_ns if capture is not None else None
            parts.append(_Part(number, first, waiting.buffer.fileno(), *spans[number]))
    return _merged(parts)


def _extracted(
    spread: Spread, chosen: Mapping[int, set[bytes]], waiting: TextIO, reader: Reader
) -> dict[int, tuple[int, int]]:
    """Put the segments into `waiting`; where those of each file lie in it."""
    from tioption.cli.reading import Reader, unsaid

    numbers = sorted(chosen)
    ends: dict[str, set[bytes]] = {}
    for number in numbers:
        ends.setdefault(spread.files[number], set()).update(chosen[number])
    again = spread._replace(files=[spread.files[number] for number in numbers])
    silent = Reader(waiting.flush, progress=reader.progress, tell=unsaid)  # the first pass has said it
    spans = {}
    begin = 0
    for place, _ in again.run(partial(extract, ends=ends), waiting, silent):
        waiting.flush()
        end = waiting.buffer.tell()
        spans[numbers[place]] = begin, end
        begin = end
    reader.progress.clear()
    return spans


def extract(file: str, out: TextIO, reader: Reader, *, ends: Mapping[str, set[bytes]]) -> None:
    """Write excerpts with the segments between these ends."""
    from tioption.capture.ends import EndsFilter
    from tioption.capture.selection import EVERY

    between = EndsFilter(ends[file])
    for batch in reader.batches(file, EVERY):
        excerpt = Excerpt.of(batch, between.indexes(batch))
        if len(excerpt):
            out.buffer.write(excerpt.encoded())


class _Part(NamedTuple):
    """The excerpts of one file."""

    number: int
    first_ns: int | None
    descriptor: int
    begin: int
    end: int

    def excerpts(self) -> Iterator[Excerpt]:
        """The excerpts in the order of the file."""
        at = self.begin
        while at < self.end:
            records, headers = Excerpt.lengths(os.pread(self.descriptor, LENGTHS, at))
            at += LENGTHS
            octets = os.pread(self.descriptor, records + headers, at)
            at += len(octets)
            yield Excerpt(octets[:records], octets[records:])


class _Cursor:
    """Where a file is being read."""

    def __init__(self, part: _Part, latest: int) -> None:
        """At the beginning; segments without a time are as late as those before them, the first as `latest`."""
        self.number = part.number
        self._excerpts = part.excerpts()
        self._latest = latest
        self._times: list[int] = []
        self._at = 0
        self._excerpt: Excerpt | None = None

    @property
    def time(self) -> int | None:
        """The time of the next segment, None at the end."""
        if self._at == len(self._times):
            self._excerpt = next(self._excerpts, None)
            self._at, self._times = 0, self._excerpt.times(self._latest) if self._excerpt is not None else []
        return self._times[self._at] if self._times else None

    def take(self, limit: int) -> Excerpt:
        """The next segments, up to this time."""
        assert self._excerpt is not None
        begin, self._at = self._at, bisect_right(self._times, limit, self._at)
        self._latest = self._times[self._at - 1]
        return self._excerpt.part(begin, self._at)


def _merged(parts: Sequence[_Part]) -> Iterator[tuple[int, Excerpt]]:
    """The segments of all files in the order of time; files, which come in the order they begin, are read when due."""
    heap: list[tuple[int, int, _Cursor]] = []
    latest = -_EVER
    for place, part in enumerate([*parts, None]):
        begins = part.first_ns if part is not None and part.first_ns is not None else _EVER
        while heap and heap[0][0] <= begins:
            latest, at, cursor = heappop(heap)
            yield cursor.number, cursor.take(min(begins, heap[0][0]) if heap else begins)
            if (time := cursor.time) is not None:
                heappush(heap, (time, at, cursor))
        if part is not None:
            cursor = _Cursor(part, latest)
            if (time := cursor.time) is not None:
                heappush(heap, (time, place, cursor))
