"""The segments of chosen connections among those of a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from sys import byteorder

from tioption.capture.batch import FIELDS, RECORD, WHOLE, Batch

_near: Callable[[bytes | bytearray | memoryview, int, bytes | bytearray | memoryview], bytes] | None = None
if not os.environ.get("TIOPT_PURE"):
    with suppress(ImportError):  # installed without a compiler: the same in Python, slower
        from tioption.capture._walk import near as _near

_AT = {name: at for name, at, _ in FIELDS}
_PORTS, _KIND, _ADDRESSES = (_AT[name] for name in ("sport", "kind", "src"))


def ends_of(one: tuple[bytes, int], other: tuple[bytes, int]) -> bytes:
    """Both ends of a connection, each an address and a port, as octets: the same whichever comes first."""
    first, second = (address + port.to_bytes(2, "big") for address, port in (one, other))
    return first + second if first <= second else second + first


def sides(ends: bytes) -> Iterator[bytes]:
    """The ports and addresses of both directions between these ends, as a record has them: 36 octets."""
    half = len(ends) // 2
    for source, destination in ((ends[:half], ends[half:]), (ends[half:], ends[:half])):
        ports = b"".join(int.from_bytes(end[-2:], "big").to_bytes(2, byteorder) for end in (source, destination))
        yield ports + b"".join(end[:-2].ljust(16, b"\0") for end in (source, destination))


class EndsFilter:
    """Finds the whole segments between chosen ends."""

    def __init__(self, ends: Iterable[bytes]) -> None:
        """Choose connections by what `ends_of` gives for them."""
        self._sides = {side for one in ends for side in sides(one)}
        self._ports = {side[:4] for side in self._sides}
        self._bits = bytearray(1 << 13)
        for ports in self._ports:
            bit = int.from_bytes(ports[:2], byteorder) ^ int.from_bytes(ports[2:], byteorder)
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def indexes(self, batch: Batch) -> Iterator[int]:
        """Which of the batch's records are segments between the ends."""
        records = batch.records
        for index in self._candidates(batch):
            at = index * RECORD.size
            side = records[at + _PORTS : at + _PORTS + 4] + records[at + _ADDRESSES : at + RECORD.size]
            if bytes(side) in self._sides and records[at + _KIND] == WHOLE:
                yield index

    def _candidates(self, batch: Batch) -> Iterable[int]:
        if _near is not None:
            return memoryview(_near(batch.records, len(batch), self._bits)).cast("I")
        octets = bytes(memoryview(batch.records)[: len(batch) * RECORD.size])
        starts = range(_PORTS, len(octets), RECORD.size)
        return [at // RECORD.size for at in starts if octets[at : at + 4] in self._ports]
