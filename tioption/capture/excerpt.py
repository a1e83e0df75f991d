"""Excerpts of batches: the records of some segments and their TCP headers, without everything around those."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate
from struct import Struct
from typing import Final, NamedTuple

from tioption.capture.batch import FIELDS, LARGE_TIME, NO_TIME, RECORD, Batch

_AT: Final = {name: at for name, at, _ in FIELDS}
_PLACE: Final = Struct("=4I")  # at, captured, offset and end, which follow each other
_HEADER_LENGTH, _TIME_KIND = _AT["header_length"], _AT["time_kind"]
_WORDS: Final = RECORD.size // 8
_LENGTHS: Final = Struct("=2I")


class Excerpt(NamedTuple):
    """Records as in a batch, and the octets they point into: of each segment those of its TCP header."""

    records: bytes
    headers: bytes

    @classmethod
    def of(cls, batch: Batch, indexes: Iterable[int]) -> Excerpt:
        """These segments of the batch, which must be whole ones; times beyond the year 2262 are left out."""
        records, headers = bytearray(), bytearray()
        source, data = batch.records, batch.data
        for index in indexes:
            start = index * RECORD.size
            at, _, offset, end = _PLACE.unpack_from(source, start + _AT["at"])
            octets = min(end - offset, max(20, source[start + _HEADER_LENGTH]))
            here, begin = len(records), at + offset
            records += source[start : start + RECORD.size]
            _PLACE.pack_into(records, here + _AT["at"], len(headers), octets, 0, octets)
            headers += data[begin : begin + octets]
            if records[here + _TIME_KIND] == LARGE_TIME:
                records[here + _TIME_KIND] = NO_TIME
        return cls(bytes(records), bytes(headers))

    def __len__(self) -> int:
        return len(self.records) // RECORD.size

    def frames(self) -> list[int]:
        """The number of each segment's frame."""
        return memoryview(self.records).cast("Q")[::_WORDS].tolist()

    def times(self, latest: int) -> list[int]:
        """The time of each segment in nanoseconds, never before that of one in front of it, nor before `latest`."""
        times = memoryview(self.records).cast("q")[1::_WORDS].tolist()
        kinds = self.records[_TIME_KIND :: RECORD.size]
        known = (latest if kind == NO_TIME else time for time, kind in zip(times, kinds, strict=True))
        return list(accumulate(known, max, initial=latest))[1:]

    def part(self, begin: int, end: int) -> Excerpt:
        """The segments from `begin` to before `end`."""
        return Excerpt(self.records[begin * RECORD.size : end * RECORD.size], self.headers)

    def fill(self, batch: Batch, first: int) -> None:
        """Make the batch hold these segments, their frames numbered from `first`; there must be room."""
        batch.clear()
        batch.data = bytearray(self.headers)
        batch.count = count = len(self)
        batch.records[: len(self.records)] = self.records
        numbers = memoryview(array("Q", range(first, first + count)))
        memoryview(batch.records).cast("Q")[: count * _WORDS : _WORDS] = numbers

    def encoded(self) -> bytes:
        """The excerpt as octets, for this machine."""
        return _LENGTHS.pack(len(self.records), len(self.headers)) + self.records + self.headers

    @classmethod
    def lengths(cls, octets: bytes) -> tuple[int, int]:
        """How many octets of records and of headers follow the first LENGTHS octets of an encoded excerpt."""
        records, headers = _LENGTHS.unpack_from(octets)
        return records, headers


LENGTHS: Final = _LENGTHS.size

assert _AT["frame"] == 0
assert _AT["time_ns"] == 8
