"""The second pass over files of which some connections are judged jointly: their segments, in one order of time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from tioption.capture.batch import FIELDS, NO_TIME, RECORD

if TYPE_CHECKING:
    from tioption.cli.reading import Reader
    from tioption.cli.spread import Spread
    from tioption.verdict.joining import Sightings

_PIECE: Final = 1 << 18
_EVER: Final = 1 << 80
_LENGTH: Final = 1  # a header of TCP has 60 octets at most
_TIME: Final = Struct("=q")
_TIME_AT, _TIME_KIND = (next(at for field, at, _ in FIELDS if field == name) for name in ("time_ns", "time_kind"))


def segments_between(
    spread: Spread,
    chosen: Mapping[int, set[bytes]],
    sightings: Sequence[Sightings | None],
    waiting: TextIO,
    reader: Reader,
) -> Iterator[tuple[int, bytes, bytes]]:
    """The segments between the chosen ends of each file: its number, the record, the octets of the TCP header.

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
    """Write the segments between these ends without payload: a record, the length of the TCP header, the header."""
    from tioption.capture.ends import EndsFilter
    from tioption.capture.selection import EVERY
    from tioption.verdict.joint import records_of

    between = EndsFilter(ends[file])
    write = out.buffer.write
    for batch in reader.batches(file, EVERY):
        for record, header in records_of(batch, between.indexes(batch)):
            write(record + len(header).to_bytes(_LENGTH, "big") + header)


class _Part(NamedTuple):
    """The segments of one file."""

    number: int
    first_ns: int | None
    descriptor: int
    begin: int
    end: int

    def segments(self) -> Iterator[tuple[bytes, bytes]]:
        """The segments in the order of the file, read a stretch at a time."""
        octets, at, place = b"", 0, self.begin
        head = RECORD.size + _LENGTH
        while True:
            if len(octets) - at < head + 255 and place < self.end:
                more = os.pread(self.descriptor, min(_PIECE, self.end - place), place)
                octets, at, place = octets[at:] + more, 0, place + len(more)
            if at >= len(octets):
                return
            stop = at + head + octets[at + RECORD.size]
            yield octets[at : at + RECORD.size], octets[at + head : stop]
            at = stop


def _merged(parts: Sequence[_Part]) -> Iterator[tuple[int, bytes, bytes]]:
    """The segments of all files in the order of time; files, which come in the order they begin, are read when due."""
    heap: list[tuple[int, int, bytes, bytes, Iterator[tuple[bytes, bytes]]]] = []
    latest = -_EVER
    for place, part in enumerate([*parts, None]):
        begins = part.first_ns if part is not None and part.first_ns is not None else _EVER
        while heap and heap[0][0] <= begins:
            latest, at, record, header, segments = heappop(heap)
            yield parts[at].number, record, header
            for record, header in segments:
                # Times that go back within a file are no order: the file's own is.
                latest = max(latest, _time(record, latest))
                if latest > begins or (heap and latest > heap[0][0]):
                    heappush(heap, (latest, at, record, header, segments))
                    break
                yield parts[at].number, record, header
        if part is not None:
            segments = part.segments()
            for record, header in segments:
                heappush(heap, (_time(record, latest), place, record, header, segments))
                break


def _time(record: bytes, latest: int) -> int:
    """The time of a record, the latest one before it where it has none."""
    if record[_TIME_KIND] == NO_TIME:
        return latest
    time: int = _TIME.unpack_from(record, _TIME_AT)[0]
    return time
