"""Rows of flow options in Arrow's terms: a schema, record batches, and the files that hold them. Imports pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tioption.capture.segment import AE
from tioption.columns.segments import Columns
from tioption.render.row_batches import packed_addresses
from tioption.render.values import flags_text
from tioption.verdict import Finding

_FINDING: Final = pa.struct([("rule", pa.string()), ("severity", pa.string()), ("text", pa.string())])

SCHEMA: Final = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("frame", pa.uint64(), nullable=False),
        ("time", pa.timestamp("ns", "UTC")),
        pa.field("src", pa.string(), nullable=False),
        pa.field("sport", pa.uint16(), nullable=False),
        pa.field("dst", pa.string(), nullable=False),
        pa.field("dport", pa.uint16(), nullable=False),
        ("flags", pa.string()),
        ("seq", pa.uint32()),
        ("ack", pa.uint32()),
        ("variant", pa.string()),
        ("tifid", pa.string()),
        ("tiseq", pa.uint64()),
        ("tiack", pa.uint64()),
        pa.field("findings", pa.list_(_FINDING), nullable=False),
    ]
)
"""The columns of the command line's rows, in their order: a TIFID as 12 hexadecimal digits, positions as numbers."""

ROW_GROUP: Final = 1 << 14
"""Rows of a row group of Parquet: eight times as many would make files 4 % smaller and need 28 MiB more."""

_RECURRING: Final = [
    "file",
    "src",
    "dst",
    "flags",
    "variant",
    *(f"findings.list.element.{one.name}" for one in _FINDING),
]
"""Columns of few values: only of these is a dictionary smaller than the values, and worth the memory."""

_FLAGS: Final = np.array([flags_text(flags).encode() for flags in range(2 * AE)])
_VARIANTS: Final = np.array([b"flow-d", b"flow-c"])
_HEX: Final = np.frombuffer(b"".join(b"%02x" % octet for octet in range(256)), "S2")


def record_batch(columns: Columns, file: str) -> Any:
    """A pyarrow.RecordBatch of SCHEMA; times that 64 bits do not hold are null."""
    rows = columns.rows
    without = rows["variant"] == ""
    names, captured = rows["variant"], rows["captured"]
    values = [
        _names(file, len(rows)),
        pa.array(rows["frame"]),
        pa.array(rows["time"].view("i8"), SCHEMA.field("time").type, mask=np.isnat(rows["time"])),
        _addresses(rows, "src"),
        pa.array(rows["sport"]),
        _addresses(rows, "dst"),
        pa.array(rows["dport"]),
        _choice(_FLAGS, rows["flags"], captured < 14),
        pa.array(rows["seq"], mask=captured < 8),
        pa.array(rows["ack"], mask=captured < 12),
        _choice(_VARIANTS, names == "flow-c", without),
        _tifids(rows["tifid"], without),
        pa.array(rows["tiseq"], mask=without),
        pa.array(rows["tiack"], mask=without),
        _findings(rows["findings"], columns.findings),
    ]
    return pa.RecordBatch.from_arrays(values, schema=SCHEMA)


@lru_cache(maxsize=1)  # the batches that wait share it, as most are of one file and full
def _names(file: str, rows: int) -> Any:
    return pa.repeat(pa.scalar(file.encode(errors="backslashreplace").decode()), rows)


def _addresses(rows: NDArray[np.void], name: str) -> Any:
    ends, text = packed_addresses(rows[name].tobytes(), rows["family"].tobytes())
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(text))


def _choice(texts: NDArray[np.bytes_], index: NDArray[Any], missing: NDArray[np.bool_]) -> Any:
    """The text of each index. Arrow's own `take` would load all its functions, which need 9 MiB."""
    index = index.astype(np.intp)
    octets = texts.view(np.uint8).reshape(len(texts), -1)[index]
    octets[missing] = 0
    ends = np.concatenate(([0], np.cumsum(np.where(missing, 0, np.char.str_len(texts)[index])))).astype(np.int32)
    return _strings(ends, octets[octets != 0], missing)


def _strings(ends: NDArray[np.int32], octets: NDArray[Any], missing: NDArray[np.bool_]) -> Any:
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.StringArray.from_buffers(len(missing), pa.py_buffer(ends), pa.py_buffer(octets), valid)


def _tifids(values: NDArray[np.uint64], missing: NDArray[np.bool_]) -> Any:
    octets = values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    ends = np.arange(0, 12 * len(values) + 1, 12, dtype=np.int32)
    return _strings(ends, _HEX[octets], missing)


def _findings(counts: NDArray[np.uint8], findings: dict[int, list[Finding]]) -> Any:
    about = [
        {"rule": one.rule, "severity": one.severity.value, "text": one.text}
        for row in sorted(findings)
        for one in findings[row]
    ]
    ends = np.concatenate(([0], np.cumsum(counts, dtype=np.int32))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(about, _FINDING))


@contextmanager
def writer(form: Literal["arrow", "parquet"], out: IO[bytes]) -> Iterator[Callable[[Columns, str], None]]:
    """A function that writes columns and the name of their capture to `out`; leaving the context completes the file.

    "arrow" is a stream of Arrow's inter-process format, each batch written as it comes. "parquet" is compressed with
    zstd and in row groups of ROW_GROUP rows, which are kept until they are written.
    """
    if form == "arrow":
        with pa.ipc.new_stream(out, SCHEMA) as stream:
            yield lambda columns, file: stream.write_batch(record_batch(columns, file))
        return
    from pyarrow import parquet

    with parquet.ParquetWriter(out, SCHEMA, compression="zstd", use_dictionary=_RECURRING) as file:
        group = _RowGroup(file)
        try:
            yield lambda columns, name: group.add(record_batch(columns, name))
        finally:
            group.write()


class _RowGroup:
    """Batches that wait until they are enough."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._batches: list[Any] = []
        self._rows = 0

    def add(self, batch: Any) -> None:
        self._batches.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        rows, batches = self._rows, self._batches
        self._batches, self._rows = [], 0
        if rows:
            self._file.write_table(pa.Table.from_batches(batches), row_group_size=rows)
