"""Flow options as columns: numpy record arrays, Arrow, Parquet. The only part of the package that imports numpy."""

try:
    import numpy  # noqa: F401
except ImportError as error:
    raise ImportError("columns need numpy: pip install 'tioption[columns]'", name="numpy") from error

from tioption.columns.option import OPTION, WIRE, decode_options, encode_options
from tioption.columns.segments import ROW, Columns, SegmentColumns, address_texts
from tioption.columns.table import read_batches, read_table

__all__ = [
    "OPTION",
    "ROW",
    "WIRE",
    "Columns",
    "SegmentColumns",
    "address_texts",
    "decode_options",
    "encode_options",
    "read_batches",
    "read_table",
]
