"""The rows of whole batches: in C where that is there and the segments are ordinary, by rows.py elsewhere.

Ordinary is a segment about which nothing can be found: everything a finding could be about goes through rows.py, and
the texts are the same either way.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import StringIO
from itertools import accumulate
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, Final, Literal

from tioption.capture.batch import Batch
from tioption.layout import EXPERIMENT_KINDS, EXPERIMENTS
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.render.rows import KEYS, csv_values, rows
from tioption.render.values import address_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tioption.render._rows import Rows

_Rows: type[Rows] | None = None
_addresses: Callable[[bytes, bytes], tuple[bytes, bytes]] | None = None
if not os.environ.get("TIOPT_PURE"):
    with suppress(ImportError):  # installed without a compiler: the same in Python, slower
        from tioption.render._rows import Rows as _Rows
        from tioption.render._rows import addresses as _addresses

NO_OPTION: Final = 254
UNUSUAL: Final = 255

_PREFIXES: Final = b"".join(sorted({exid[:2] for _, _, exid, *_ in EXPERIMENTS}))
_encode = JSONEncoder().encode


class RowPlaces:
    """Finds in batches where the flow options of `kinds` are."""

    def __init__(self, kinds: Kinds = DEFAULT_KINDS) -> None:
        """Prepare for these kinds."""
        self._rows = _Rows(*kinds, bytes(sorted(EXPERIMENT_KINDS)), _PREFIXES) if _Rows is not None else None

    def of(self, batch: Batch) -> bytes:
        """An octet for each record: where in the option area its only flow option begins, if nothing can be found.

        NO_OPTION where an ordinary segment has none, UNUSUAL where the segment has to be asked itself.
        """
        if self._rows is None:
            return bytes((UNUSUAL,)) * len(batch)
        return self._rows.places(batch.data, batch.records, len(batch))


def packed_addresses(addresses: bytes, families: bytes) -> tuple[bytes, bytes]:
    """The texts of addresses of 16 octets each, all in one; before them where each begins and the last ends, as int32.

    `families` has an octet for each: 4 where only 4 octets count, else 6.
    """
    if _addresses is not None:
        return _addresses(addresses, families)
    texts = [
        address_text(addresses[16 * at : 16 * at + (4 if family == 4 else 16)]) for at, family in enumerate(families)
    ]
    ends = accumulate(map(len, texts), initial=0)
    return b"".join(end.to_bytes(4, sys.byteorder) for end in ends), "".join(texts).encode()


class RowPrinter:
    """Writes the rows of one capture as JSON Lines or CSV, those of flow options, or with `every` of all segments."""

    def __init__(
        self, file: str, form: Literal["json", "csv"], *, kinds: Kinds = DEFAULT_KINDS, every: bool = False
    ) -> None:
        """Name the capture as its rows shall."""
        self._file = file
        self._csv = form == "csv"
        self._kinds = kinds
        self._every = every
        self._rows = _Rows(*kinds, bytes(sorted(EXPERIMENT_KINDS)), _PREFIXES) if _Rows is not None else None
        start = _csv_line((file, "")).removesuffix("\n") if self._csv else f'{{"file": {_encode(file)}, "frame": '
        self._start = start.encode("utf-8", "surrogatepass")

    def text(self, batch: Batch) -> Iterator[str]:
        """The lines of the batch, with their ends, in pieces."""
        index, count = 0, len(batch)
        if self._rows is None:
            yield "".join(self._lines(batch, index, count))
            return
        while index < count:
            text, index, unusual = self._rows.text(
                batch.data, batch.records, index, count, self._csv, self._every, self._start
            )
            yield text
            if unusual:
                yield "".join(self._lines(batch, index, index + 1))
                index += 1

    def _lines(self, batch: Batch, start: int, end: int) -> Iterator[str]:
        for segment in batch.segments(start, end):
            made = rows(self._file, segment, self._kinds, every=self._every)
            yield from map(csv_line if self._csv else json_line, made)


def json_line(row: dict[str, Any]) -> str:
    """A row as a line of JSON."""
    return _encode(row) + "\n"


def csv_line(row: dict[str, Any]) -> str:
    """A row as a line of CSV."""
    return _csv_line(csv_values(row))


def csv_header() -> str:
    """The first line of CSV, which names the columns."""
    return _csv_line(KEYS)


def _csv_line(cells: Iterable[Any]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
