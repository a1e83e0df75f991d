"""Rows of flow options as a record array: a batch of a capture in, columns out.

What is ordinary (see `render/row_batches.py`) costs no Python call per segment; every other segment is walked as for
`render/rows.py`, so the columns hold what the rows hold.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tioption.capture.batch import DTYPE, TIME_NS, WHOLE, Batch
from tioption.capture.segment import CutSegment, Segment
from tioption.columns.option import decode_options
from tioption.layout import LENGTH
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption, Variant
from tioption.render.row_batches import NO_OPTION, UNUSUAL, RowPlaces, packed_addresses
from tioption.render.rows import judged
from tioption.verdict import Finding

Rows: TypeAlias = NDArray[np.void]
_Judged: TypeAlias = tuple[Segment | CutSegment, list[tuple[TcpOption | None, list[Finding]]]]

ROW: Final = np.dtype(
    [
        ("file", "u4"),
        ("frame", "u8"),
        ("time", "M8[ns]"),
        ("family", "u1"),
        ("src", "V16"),
        ("sport", "u2"),
        ("dst", "V16"),
        ("dport", "u2"),
        ("captured", "u1"),
        ("flags", "u2"),
        ("seq", "u4"),
        ("ack", "u4"),
        ("variant", "U6"),
        ("tifid", "u8"),
        ("tiseq", "u8"),
        ("tiack", "u8"),
        ("findings", "u1"),
    ]
)
"""A row: a flow option, or a segment without one.

`file` counts the captures from 0; `time` is UTC, NaT where the capture has no time that fits. `src` and `dst` have 4
octets of an address where `family` is 4, with zeros behind, and 16 where it is 6; `address_texts` writes them.
`captured` are the octets of the fixed TCP header, 20 but in a segment that was cut: `seq` needs 8 of them, `ack` 12,
`flags` (nine bits) 14, and what is not there is 0. `variant` is "" where there is no flow option. `findings` is their
number.
"""

_RECORD: Final = np.dtype(DTYPE)
_VARIANTS: Final = np.array(["", Variant.FLOW_D.value, Variant.FLOW_C.value], ROW["variant"])
_NO_TIME: Final = np.datetime64("NaT")


class Columns(NamedTuple):
    """Rows of one batch."""

    rows: Rows
    """An array of ROW."""
    findings: dict[int, list[Finding]]
    """The findings on a row, by its index; most rows have none."""

    def first(self, count: int) -> Columns:
        """At most so many of the rows, the first."""
        return Columns(self.rows[:count], {row: found for row, found in self.findings.items() if row < count})


class SegmentColumns:
    """Makes the rows of batches, those of flow options of `kinds`, or with `every` of all segments."""

    def __init__(self, kinds: Kinds = DEFAULT_KINDS, *, every: bool = False) -> None:
        """Prepare for these kinds."""
        self._kinds = kinds
        self._every = every
        self._places = RowPlaces(kinds)

    def of(self, batch: Batch, file: int = 0) -> Columns:
        """The rows of a batch, which are copies; `file` is what they have in that column."""
        records = np.frombuffer(batch.records, _RECORD, len(batch))
        place = np.frombuffer(self._places.of(batch), np.uint8)
        options = place < NO_OPTION
        counts = (place != UNUSUAL if self._every else options).astype(np.intp)
        unusual = {index: self._judged(batch, index) for index in np.flatnonzero(place == UNUSUAL).tolist()}
        for index, (_, found) in unusual.items():
            counts[index] = len(found)
        first = np.cumsum(counts) - counts
        rows = _of_records(records[np.repeat(np.arange(len(records)), counts)])
        rows["file"] = file
        _fill(rows, first[options], batch, records[options], place[options], self._kinds.flow_c)
        findings: dict[int, list[Finding]] = {}
        for index, (segment, found) in unusual.items():
            for number, (option, about) in enumerate(found, int(first[index])):
                _fill_unusual(rows[number], segment, option, about)
                if about:
                    findings[number] = about
        return Columns(rows, findings)

    def _judged(self, batch: Batch, index: int) -> _Judged:
        segment = batch.segment(index)
        return segment, list(judged(segment, self._kinds, every=self._every))


def _of_records(records: Rows) -> Rows:
    """Rows with what the records say; the rest is zero."""
    rows = np.zeros(len(records), ROW)
    for name in ("frame", "src", "sport", "dst", "dport", "flags", "seq", "ack"):
        rows[name] = records[name]
    rows["time"] = records["time_ns"].view(ROW["time"])
    rows["time"][records["time_kind"] != TIME_NS] = _NO_TIME
    rows["family"] = np.where(records["address"] == 4, 4, 6)
    rows["captured"] = np.where(records["kind"] == WHOLE, 20, records["end"] - records["offset"])
    return rows


def _fill_unusual(row: Any, segment: Segment | CutSegment, option: TcpOption | None, about: list[Finding]) -> None:
    """Write into a row what its record does not say."""
    if isinstance(segment, CutSegment):
        row["seq"], row["ack"], row["flags"] = segment.seq or 0, segment.ack or 0, segment.flags or 0
    flow = option.flow if option is not None else None
    if flow is not None:
        row["variant"] = flow.variant.value
        row["tifid"], row["tiseq"], row["tiack"] = flow.tifid.value, flow.tiseq, flow.tiack
    row["findings"] = len(about)


def _fill(rows: Rows, at: NDArray[np.intp], batch: Batch, records: Rows, place: NDArray[np.uint8], kind_c: int) -> None:
    """Write the ordinary options, which begin at `place` in the option areas of these records, into the rows `at`."""
    if not len(at):
        return
    starts = records["at"].astype(np.intp) + records["offset"] + 20 + place
    # Every octet of the chunk may be the first of an option: a view of 20 octets from each.
    views: NDArray[Any] = np.ndarray((len(batch.data) - LENGTH + 1,), f"V{LENGTH}", batch.data, 0, (1,))
    decoded = decode_options(views[starts].view(np.uint8))
    rows["variant"][at] = _VARIANTS[np.where(decoded["kind"] == kind_c, 2, 1)]
    for name in ("tifid", "tiseq", "tiack"):
        rows[name][at] = decoded[name]


def address_texts(addresses: NDArray[Any], family: NDArray[Any]) -> NDArray[np.str_]:
    """The addresses of a column `src` or `dst`, as text, with the column `family` of the same rows."""
    ends, text = packed_addresses(addresses.tobytes(), family.tobytes())
    return np.array([text[start:end].decode() for start, end in pairwise(np.frombuffer(ends, np.int32).tolist())], str)
