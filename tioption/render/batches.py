"""The lines of whole batches: in C where that is there and the segments are ordinary, by LinePrinter elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tioption.capture.batch import Batch
from tioption.capture.segment import CutSegment, Segment
from tioption.layout import EXPERIMENTS, LENGTH
from tioption.option import DEFAULT_KINDS, Kinds
from tioption.render.lines import LinePrinter

if TYPE_CHECKING:
    from tioption.render._lines import Lines

_Lines: type[Lines] | None = None
if not os.environ.get("TIOPT_PURE"):
    with suppress(ImportError):  # installed without a compiler: the same in Python, slower
        from tioption.render._lines import Lines as _Lines

_EXPERIMENTS: Final = b"".join(
    bytes((kind, len(exid))) + exid.ljust(4, b"\0")
    for _, _, exid, kinds, lengths in EXPERIMENTS
    if lengths is None or LENGTH in lengths
    for kind in kinds
)
"""What may look like a flow option by kind and length, as the C code takes it."""


class _SharedNumbers:
    """The table of first sequence numbers that C keeps, for LinePrinter."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def bases(self, segment: Segment) -> tuple[int, int, int]:
        """What to subtract from sequence number, acknowledgment number and SACK edges."""
        _, _, _, _, _, _, src, dst, sport, dport, seq, ack, _, flags, _ = segment
        return self._lines.bases(src, dst, sport, dport, seq, ack, flags)


class BatchPrinter:
    """Prints the segments of one capture in order, those with a flow option of `kinds`, or with `every` all of them."""

    def __init__(self, *, paper: bool = False, kinds: Kinds = DEFAULT_KINDS, every: bool = False) -> None:
        """Choose tcpdump's style or the paper's."""
        self._kinds = kinds
        self._every = every
        self._lines: Lines | None = None
        numbers: Any = None
        if _Lines is not None and not paper:
            seed = int.from_bytes(os.urandom(8), "big")
            self._lines = _Lines(*kinds, _EXPERIMENTS, every, seed)
            numbers = _SharedNumbers(self._lines)
        self._printer = LinePrinter(paper=paper, kinds=kinds, numbers=numbers)

    def text(self, batch: Batch) -> Iterator[str]:
        """The lines of the batch, with their ends, in pieces."""
        if self._lines is None:
            for segment in batch.segments():
                yield self._line(segment)
            return
        index, count = 0, len(batch)
        while index < count:
            text, index, unusual = self._lines.text(batch.data, batch.records, index, count)
            yield text
            if unusual:
                yield self._line(batch.segment(index))
                index += 1

    def _line(self, segment: Segment | CutSegment) -> str:
        """One line, or nothing where the segment is not wanted."""
        options = segment.walk_options(self._kinds) if isinstance(segment, Segment) else []
        if self._every or any(option.flow is not None for option in options):
            return self._printer.line(segment, options) + "\n"
        return ""
