"""Progress of long work, on standard error and only where that is a terminal."""

from __future__ import annotations

import time
from typing import Any

_PATIENCE = 1.0
"""Seconds that work may take before anybody wants to know how far it is."""


class Progress:
    """A bar that appears once work takes long: files, octets, frames a second, the time that is left."""

    def __init__(self, *, visible: bool) -> None:
        """With `visible` False nothing is ever shown."""
        self._visible = visible
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._files = 1
        self._octets: int | None = None
        self._read: dict[int, tuple[int, int]] = {}
        self._done = self._before = self._frames = 0

    def expect(self, files: int, octets: int | None) -> None:
        """Say how many files there are, and of how many octets together where that is known."""
        self._files, self._octets = files, octets
        self._read.clear()
        self._done = self._before = self._frames = 0

    def update(self, name: str, done: int, total: int | None, frames: int = 0, number: int = 0) -> None:
        """Say that `done` octets of a file were read, of `total` where that is known; `number` tells files apart."""
        if not self._visible:
            return
        self._read[number] = done, frames
        if time.monotonic() - self._start < _PATIENCE:
            return
        several = self._files > 1
        octets = self._before + sum(read for read, _ in self._read.values())
        packets = self._frames + sum(read for _, read in self._read.values())
        seconds = time.monotonic() - self._start
        shown: dict[str, Any] = {
            "description": f"{self._done}/{self._files} files" if several else name,
            "completed": octets,
            "total": self._octets if several else total,
            "rate": f"{packets / seconds:,.0f} packets/s" if packets else "",
        }
        if self._bar is None:
            self._bar = self._new_bar()
            self._task = self._bar.add_task(**shown)
            self._bar.start()
        else:
            self._bar.update(self._task, **shown)

    def finish(self, number: int) -> None:
        """Say that a file is done; after the last one the bar goes."""
        octets, frames = self._read.pop(number, (0, 0))
        self._before += octets
        self._frames += frames
        self._done += 1
        if self._done >= self._files:
            self.clear()

    def clear(self) -> None:
        """Remove the bar from the screen, so that something else can be written."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @staticmethod
    def _new_bar() -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
        )
        return Bar(*columns, console=Console(stderr=True), transient=True)
