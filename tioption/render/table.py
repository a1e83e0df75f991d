"""A table for terminals: rows as they come, in columns that fit the terminal, coloured by what they say."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import Any, Final, NoReturn, TextIO

from rich.console import Console
from rich.text import Text

from tioption.render.values import Clock

_SAMPLE: Final = 200
"""Rows whose widths decide those of all, so that a table of any length needs little memory."""

_COLUMNS: Final = (
    "frame",
    "time",
    "source",
    "destination",
    "flags",
    "seq",
    "ack",
    "variant",
    "tifid",
    "tiseq",
    "tiack",
    "findings",
)
_RIGHT: Final = frozenset({"frame", "seq", "ack"})
_DROPPED_FIRST: Final = ("ack", "seq", "time", "variant", "frame")
"""What a narrow terminal does without, in this order."""

_VARIANT_STYLES: Final = {"flow-d": "cyan", "flow-c": "magenta"}
_SEVERITY_STYLES: Final = {"violation": "bold red", "warning": "yellow", "note": "dim"}
_SEVERITIES: Final = ("violation", "warning", "note")


class TableConsole(Console):
    """A console that leaves a reader who has seen enough to whoever runs the command."""

    def __init__(self, out: TextIO) -> None:
        """Write to `out` as it stands: addresses are not markup."""
        super().__init__(file=out, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> NoReturn:
        """Not rich's own way, which ends the process."""
        raise BrokenPipeError


def _cells(row: dict[str, Any], clock: Clock) -> dict[str, str]:
    cells: dict[str, str] = {key: "" if row[key] is None else str(row[key]) for key in _COLUMNS if key in row}
    cells["source"] = _peer(row["src"], row["sport"])
    cells["destination"] = _peer(row["dst"], row["dport"])
    if row["time"] is not None:
        cells["time"] = clock.text(int(row["time"].replace(".", "")))
    cells["findings"] = " ".join(finding["rule"] for finding in row["findings"])
    return cells


def _peer(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _style(column: str, row: dict[str, Any]) -> str:
    if column in {"variant", "tifid"}:
        return _VARIANT_STYLES.get(row["variant"], "")
    if column == "findings":
        worst = {finding["severity"] for finding in row["findings"]}
        return next((_SEVERITY_STYLES[severity] for severity in _SEVERITIES if severity in worst), "")
    return "dim" if column == "time" else ""


def _layout(sample: list[dict[str, Any]], clock: Clock, width: int, *, known: bool) -> dict[str, int]:
    """The columns to show and their widths: as many as fit into `width`, the least telling left out first.

    Without findings in a sample that is `known` to stand for all rows there is no column for them.
    """
    cells = [_cells(row, clock) for row in sample]
    widths = {column: max([len(column), *(len(cell[column]) for cell in cells)]) for column in _COLUMNS}
    if known and not any(cell["findings"] for cell in cells):
        del widths["findings"]
    for column in _DROPPED_FIRST:
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            break
        del widths[column]
    return widths


def print_table(rows: Iterable[dict[str, Any]], console: Console, *, name_files: bool, waiting: bool = False) -> bool:
    """Print the rows (of `render.rows`) under a header, with `name_files` each file's name above its own.

    With `waiting` somebody waits for each row, and the first alone decides the widths. Returns False where there are
    no rows and nothing was printed.
    """
    iterator = iter(rows)
    sample = list(islice(iterator, 1 if waiting else _SAMPLE))
    if not sample:
        return False
    clock = Clock()
    widths = _layout(sample, clock, console.width, known=not waiting)
    header = "  ".join(_fit(column, column, width) for column, width in widths.items())
    console.print(Text(header.rstrip(), style="bold"), soft_wrap=True)
    file = None
    for row in chain(sample, iterator):
        if name_files and row["file"] != file:
            file = row["file"]
            console.print(Text(file, style="bold"), soft_wrap=True)
        console.print(_line(row, _cells(row, clock), widths), soft_wrap=True)
    return True


def _line(row: dict[str, Any], cells: dict[str, str], widths: dict[str, int]) -> Text:
    line = Text()
    for column, width in widths.items():
        line.append(_fit(column, cells[column], width), style=_style(column, row))
        line.append("  ")
    line.rstrip()
    return line


def _fit(column: str, text: str, width: int) -> str:
    return text.rjust(width) if column in _RIGHT else text.ljust(width)
