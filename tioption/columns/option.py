"""The codec for many options at once: octets to columns and back, without a Python call per option.

Both dtypes come from the fields of `tioption/layout.py`, which is generated from the definition. numpy has no numbers
of 6 octets, so a field is read and written as the 8 octets that end with it; the first two are of the field before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from tioption.errors import OptionError
from tioption.layout import FIELDS, LENGTH

_FIELDS: Final = tuple((name, offset, octets) for name, offset, octets, _ in FIELDS if "." not in name)
_STEP: Final = 1 << 13  # options at a time: what is worked on stays in the processor's cache


def _container(octets: int) -> int:
    """The octets of the smallest number numpy has that holds so many."""
    return next(size for size in (1, 2, 4, 8) if size >= octets)


WIRE: Final = np.dtype(
    {
        "names": [name for name, _, _ in _FIELDS],
        "formats": [f">u{_container(octets)}" for _, _, octets in _FIELDS],
        "offsets": [offset + octets - _container(octets) for _, offset, octets in _FIELDS],
        "itemsize": LENGTH,
    }
)
"""An option of 20 octets; of a field of 6 octets only the low 48 bits are its own."""

OPTION: Final = np.dtype([(name, f"u{_container(octets)}") for name, _, octets in _FIELDS], align=True)
"""An option as numbers in the machine's byte order: kind, length, tifid, tiseq, tiack."""

_MASKS: Final = {name: (1 << 8 * octets) - 1 for name, _, octets in _FIELDS if _container(octets) != octets}


def decode_options(octets: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.void]:
    """The options in `octets`, 20 each, as an array of OPTION, a row each, whatever their kind and length octets say.

    `octets` is bytes-like or an array of uint8, whose last dimension is 20 where it has two. Raises OptionError where
    the number of octets is no multiple of 20.
    """
    array = np.frombuffer(octets, np.uint8) if isinstance(octets, bytes | bytearray | memoryview) else octets
    if array.size % LENGTH or (array.ndim > 1 and array.shape[-1] != LENGTH):
        raise OptionError(f"{LENGTH} octets an option", f"{array.size % LENGTH or array.shape[-1]} more", array.size)
    wire = np.ascontiguousarray(array).reshape(-1).view(WIRE)
    out = np.empty(len(wire), OPTION)
    for start in range(0, len(wire), _STEP):
        part, made = wire[start : start + _STEP], out[start : start + _STEP]
        for name, _, _ in _FIELDS:
            made[name] = part[name]
        for name, mask in _MASKS.items():
            made[name] &= np.uint64(mask)
    return out


def encode_options(columns: NDArray[np.void] | Mapping[str, Any]) -> NDArray[np.uint8]:
    """The octets of options, a row of 20 each, from the columns kind, tifid, tiseq and tiack; the length is 20.

    `columns` is an array as `decode_options` makes it, or a mapping of arrays and single numbers. Raises OptionError
    for the first value that does not fit its field, and ValueError where the arrays are not of one length.
    """
    columns = cast("Mapping[str, Any]", columns)
    values = {name: np.asarray(LENGTH if name == "length" else columns[name]) for name, _, _ in _FIELDS}
    for name, offset, size in _FIELDS:
        _check(name, offset, size, values[name])
    out = np.empty((np.broadcast(*values.values()).size, LENGTH), np.uint8)
    wire = out.reshape(-1).view(WIRE)
    for start in range(0, len(wire), _STEP):
        part = wire[start : start + _STEP]
        # From the last to the first: what a field writes into the one before it is then written over.
        for name, _, _ in reversed(_FIELDS):
            value = values[name]
            part[name] = value[start : start + _STEP] if value.ndim else value
    return out


def _check(name: str, offset: int, octets: int, values: NDArray[Any]) -> None:
    if values.dtype.kind not in "ui":
        raise OptionError(f"integers as {name}", str(values.dtype), offset)
    most = (1 << 8 * octets) - 1
    if values.size and (int(values.max()) > most or int(values.min()) < 0):
        wrong = values[(values > most) | (values < 0)] if values.ndim else values.reshape(1)
        raise OptionError(f"a {name} of {8 * octets} bits", hex(int(wrong[0])), offset)
