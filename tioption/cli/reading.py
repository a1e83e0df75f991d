"""Captures read for a command: one after the other, a damaged one never keeping the others back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any


class Reader:
    """Reads captures and remembers what could not be read: `failed` for damage, `remarks` for what was not decoded.

    `flush` writes out what the command has made so far, before a read that may have to wait and before an error line.
    """

    def __init__(self, flush: Callable[[], object], *, progress: bool) -> None:
        """With `progress` long work shows how far it is, on standard error."""
        from tioption.cli.progress import Progress

        self.failed = False
        self.remarks: list[str] = []
        self._flush = flush
        self._progress = Progress(visible=progress)

    def segments(self, file: str, carriers: Any = None, *, follow: bool = False) -> Iterator[Any]:
        """The segments of one file (see `Capture.segments`); damage is reported and ends only this file."""
        return self._read(file, self._opened(file, follow=follow), lambda capture: capture.segments(carriers))

    def batches(self, file: str, select: Any, *, follow: bool = False) -> Iterator[Any]:
        """The same in batches (see `Capture.batches`)."""
        return self._read(file, self._opened(file, follow=follow), lambda capture: capture.batches(select))

    def live(self, interface: Any, carriers: Any = None) -> Iterator[Any]:
        """The segments that pass an interface (see `Interface.segments`); that it goes down is reported."""
        return self._read(interface.name, lambda: nullcontext(interface), lambda capture: capture.segments(carriers))

    def _opened(self, file: str, *, follow: bool) -> Callable[[], Any]:
        from tioption.capture import Capture

        return lambda: Capture(file, self._on_read, follow=follow)

    def _read(self, name: str, opened: Callable[[], Any], read: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
        from tioption.errors import CaptureError

        try:
            with opened() as capture:
                try:
                    yield from read(capture)
                finally:
                    self.remarks += [f"tiopt: {name}: {undecoded}\n" for undecoded in capture.undecoded]
        except CaptureError as error:
            self.failed = True
            self._progress.clear()
            self._flush()
            sys.stderr.write(f"tiopt: {error}\n")
        self._progress.clear()

    def _on_read(self, source: Any) -> None:
        if source.size is None:
            self._flush()
        self._progress.update(source.name, source.consumed, source.size)
