"""Captures as tables, whole or batch by batch: numpy record arrays, or Arrow, pandas and polars."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

import numpy as np

from tioption.capture import Capture, Select
from tioption.columns.segments import ROW, Columns, SegmentColumns
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, Kinds

if TYPE_CHECKING:
    _Table: TypeAlias = np.recarray[Any, np.dtype[np.void]]

_Path: TypeAlias = str | os.PathLike[str]
_Form: TypeAlias = Literal["numpy", "arrow", "pandas", "polars"]

_NEEDS: Final = {"arrow": ("pyarrow",), "pandas": ("pyarrow", "pandas"), "polars": ("pyarrow", "polars")}


def _columns(names: list[str], kinds: Kinds, *, every: bool) -> Iterator[Columns]:
    """The columns of all captures, batch by batch; damage ends only its own capture, and is raised in the end."""
    select = Select() if every else Select(carriers=kinds)
    segments = SegmentColumns(kinds, every=every)
    damage: CaptureError | None = None
    for file, name in enumerate(names):
        try:
            with Capture(name) as capture:
                for batch in capture.batches(select):
                    made = segments.of(batch, file)
                    if len(made.rows):
                        yield made
        except CaptureError as error:
            if damage is None:
                damage = error
            else:
                damage.add_note(str(error))
    if damage is not None:
        raise damage


def _names(paths: _Path | Iterable[_Path]) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def _check(form: str) -> None:
    """Raises ImportError, which says what to install, where a library is missing, ValueError for no form at all."""
    if form not in {"numpy", *_NEEDS}:
        raise ValueError(f"expected as_ to be numpy, arrow, pandas or polars, found {form!r}")
    for name in _NEEDS.get(form, ()):
        if find_spec(name) is None:
            what = "'tioption[parquet]'" if name == "pyarrow" else name
            raise ImportError(f'as_="{form}" needs {name}: pip install {what}', name=name)


def _converted(table: Any, form: _Form, *, every: bool) -> Any:
    """An Arrow table in the form asked for."""
    if form == "pandas":
        if not every:
            return table.to_pandas()
        import pandas as pd

        # Without them numbers that are missing in some rows would become floating-point numbers.
        nullable = {"uint32": pd.UInt32Dtype(), "uint64": pd.UInt64Dtype()}
        return table.to_pandas(types_mapper=lambda kind: nullable.get(str(kind)))
    if form == "polars":
        import polars

        return polars.from_arrow(table)
    return table


@overload
def read_batches(
    paths: _Path | Iterable[_Path], *, all: bool = ..., kinds: Kinds = ..., as_: Literal["numpy"] = ...
) -> Iterator[_Table]: ...
@overload
def read_batches(
    paths: _Path | Iterable[_Path], *, all: bool = ..., kinds: Kinds = ..., as_: _Form
) -> Iterator[Any]: ...
def read_batches(
    paths: _Path | Iterable[_Path],
    *,
    all: bool = False,  # noqa: A002
    kinds: Kinds = DEFAULT_KINDS,
    as_: _Form = "numpy",
) -> Iterator[Any]:
    """The tables of `read_table` piece by piece, each a few thousand rows at most, in bounded memory.

    Raises CaptureError where a capture cannot be read to its end, after all rows of all captures; a second one is noted
    with it.
    """
    _check(as_)
    names = _names(paths)
    return _batches(names, kinds, as_, every=all)


def _batches(names: list[str], kinds: Kinds, form: _Form, *, every: bool) -> Iterator[Any]:
    for made in _columns(names, kinds, every=every):
        if form == "numpy":
            yield made.rows.view(np.recarray)
        else:
            yield _converted(_arrow([made], names), form, every=every)


def _arrow(made: Iterable[Columns], names: list[str]) -> Any:
    import pyarrow as pa

    from tioption.columns.arrow import SCHEMA, record_batch

    return pa.Table.from_batches([record_batch(one, names[int(one.rows["file"][0])]) for one in made], SCHEMA)


@overload
def read_table(
    paths: _Path | Iterable[_Path], *, all: bool = ..., kinds: Kinds = ..., as_: Literal["numpy"] = ...
) -> _Table: ...
@overload
def read_table(paths: _Path | Iterable[_Path], *, all: bool = ..., kinds: Kinds = ..., as_: _Form) -> Any: ...
def read_table(
    paths: _Path | Iterable[_Path],
    *,
    all: bool = False,  # noqa: A002
    kinds: Kinds = DEFAULT_KINDS,
    as_: _Form = "numpy",
) -> Any:
    """The flow options of one or several captures, or with `all` every TCP segment, as one table in capture order.

    `as_` is "numpy", a record array of `tioption.columns.ROW`; or "arrow", "pandas", "polars", tables with the columns
    of `tiopt decode --format parquet`. Names are as for Capture. Raises CaptureError where a capture cannot be read to
    its end; its attribute `table` then holds what all captures gave, up to the damage. Raises ImportError where
    a library is missing.
    """
    _check(as_)
    names = _names(paths)
    made: list[Columns] = []
    damage: CaptureError | None = None
    try:
        made.extend(_columns(names, kinds, every=all))
    except CaptureError as error:
        damage = error
    if as_ == "numpy":
        table: Any = np.concatenate([one.rows for one in made] or [np.empty(0, ROW)]).view(np.recarray)
    else:
        table = _converted(_arrow(made, names), as_, every=all)
    if damage is not None:
        damage.table = table
        raise damage
    return table
