"""Progress of long work, on standard error and only where that is a terminal."""

from __future__ import annotations

import time
from typing import Any

_PATIENCE = 1.0
"""Seconds that work may take before anybody wants to know how far it is."""


class Progress:
    """A bar that appears once work takes long; octets of one file at a time."""

    def __init__(self, *, visible: bool) -> None:
        """With `visible` False nothing is ever shown."""
        self._visible = visible
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def update(self, name: str, done: int, total: int | None) -> None:
        """Say that `done` octets of the file `name` were read, of `total` where that is known."""
        if not self._visible or time.monotonic() - self._start < _PATIENCE:
            return
        if self._bar is None:
            self._bar = self._new_bar()
            self._bar.start()
            self._task = self._bar.add_task(name, total=total)
        self._bar.update(self._task, completed=done, total=total)

    def clear(self) -> None:
        """Remove the bar from the screen, so that something else can be written."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @staticmethod
    def _new_bar() -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        return Bar(*columns, console=Console(stderr=True), transient=True)
