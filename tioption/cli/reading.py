"""Captures read for a command: one after the other, a damaged one never keeping the others back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any


class Reader:
    """Reads captures and remembers what could not be read: `errors` of damage, `remarks` on what was not decoded.

    `flush` writes out what the command has made so far, before a read that may have to wait and before an error line;
    `tell` writes that line.
    """

    def __init__(
        self, flush: Callable[[], object], *, progress: Any, tell: Callable[[str], object] | None = None
    ) -> None:
        """With `progress` (see `Progress`) long work shows how far it is."""
        self.errors: list[str] = []
        self.remarks: list[str] = []
        self.progress = progress
        self._flush = flush
        self._tell = tell or _to_stderr
        self._number = -1
        self._frames: Callable[[], int] = int

    @property
    def failed(self) -> bool:
        """Whether a file could not be read to its end."""
        return bool(self.errors)

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
        from tioption.cli.files import opened

        return lambda: Capture(file, self._on_read, opened(file), follow=follow)

    def _read(self, name: str, opened: Callable[[], Any], read: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
        from tioption.errors import CaptureError

        self._number += 1
        try:
            with opened() as capture:
                self._frames = lambda: capture.frames
                try:
                    yield from read(capture)
                finally:
                    self._frames = int  # a capture that is done with is not held
                    self.remarks += [f"tiopt: {name}: {undecoded}\n" for undecoded in capture.undecoded]
        except CaptureError as error:
            self.fail(str(error))
        self.progress.finish(self._number)

    def fail(self, error: str) -> None:
        """Say, after everything before it, that a file could not be read to its end."""
        self._fail(f"tiopt: {error}\n")

    def take(self, outcome: Any) -> None:
        """Take in what another process has read (see `worker.Outcome`)."""
        for line in outcome.errors:
            self._fail(line)
        self.remarks += outcome.remarks

    def _fail(self, line: str) -> None:
        self.errors.append(line)
        self.progress.clear()
        self._flush()
        self._tell(line)

    def repeat(self, files: int) -> None:
        """Say again which of several files could not be read to their end, after everything else."""
        if files > 1 and self.errors:
            failed = len(self.errors)
            sys.stdout.flush()  # the command's own output may be a file that is closed by now
            self._tell(
                f"tiopt: {failed} of {files} files could not be read to {'its' if failed == 1 else 'their'} end:\n"
            )
            for line in self.errors:
                self._tell(line)

    def _on_read(self, source: Any) -> None:
        if source.size is None:
            self._flush()
        self.progress.update(source.name, source.consumed, source.size, self._frames(), self._number)


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)


def unsaid(line: str) -> None:
    """What a reader tells where nobody is to hear it yet: its errors are kept."""
