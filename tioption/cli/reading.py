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
        from tioption.capture import Capture

        return self._segments(file, lambda: Capture(file, self._on_read, follow=follow), carriers)

    def live(self, interface: Any, carriers: Any = None) -> Iterator[Any]:
        """The segments that pass an interface (see `Interface.segments`); that it goes down is reported."""
        return self._segments(interface.name, lambda: nullcontext(interface), carriers)

    def _segments(self, name: str, opened: Callable[[], Any], carriers: Any) -> Iterator[Any]:
        from tioption.errors import CaptureError

        try:
            with opened() as capture:
                try:
                    yield from capture.segments(carriers)
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
