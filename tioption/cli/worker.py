"""A process that works on captures for another one: what it makes goes to a file, how far it is over a socket.

Messages of the other process: the work, a function (file, out, reader) that returns anything; then, per file, a Task
and the descriptor of its spool; TURN when all files before it are done; GO where the spool was full and has been
emptied. Its own: Step, FULL, Outcome.
"""

from __future__ import annotations

import errno
import gc
import os
import time
from collections.abc import Callable
from io import BufferedWriter, RawIOBase, TextIOWrapper
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from threading import Thread
from typing import Any, Final, NamedTuple, TextIO

from tioption.cli import OBJECTS
from tioption.cli.reading import Reader, unsaid

Work = Callable[[str, TextIO, Reader], Any]
"""What is done with a file: (name, output, reader) in, anything that can be pickled out."""

SPOOL: Final = 1 << 29
"""Octets a worker may be ahead in one file before it waits for its turn."""

STRETCH: Final = 1 << 22
"""Octets of a spool whose turn it is: few, so that their pages are used again and again."""

TURN: Final = "turn"
GO: Final = "go"
FULL: Final = "full"

_EVERY: Final = 0.1  # seconds between two messages on how far the work is


class Task(NamedTuple):
    """A file to work on, and how its output is encoded."""

    file: str
    encoding: str
    errors: str
    spool: int


class Step(NamedTuple):
    """How far the work on a file is."""

    read: int
    """Octets of the file that were read."""
    frames: int
    written: int
    """Octets in the spool that can be handed on."""


class Outcome(NamedTuple):
    """How the work on a file ended."""

    result: Any = None
    """What the work returned, None where it did not."""
    errors: tuple[str, ...] = ()
    """What could not be read, as lines."""
    remarks: tuple[str, ...] = ()
    """What was not decoded, as lines."""
    lacking: str = ""
    """What the machine lacks, so that no file can be worked on."""
    written: int = 0
    """Octets in the spool at the end."""


def worked(work: Work, file: str, out: TextIO, progress: Any) -> Outcome:
    """The outcome of the work on a file, whatever happens in it."""
    from tioption.cli.declare import MachineError

    reader = Reader(out.flush, progress=progress, tell=unsaid)
    result = None
    lacking = ""
    try:
        result = work(file, out, reader)
        out.flush()
    except MachineError as error:
        lacking = str(error)
    except (BrokenPipeError, EOFError):
        raise
    except OSError as error:
        lacking = f"cannot keep the output of {file}: {(error.strerror or str(error)).lower()}"
    except Exception as error:
        if "TIOPT_DEBUG" in os.environ:
            raise
        reader.fail(f"{file}: internal error, please report it: {type(error).__name__}: {error}")
    return Outcome(result, tuple(reader.errors), tuple(reader.remarks), lacking)


class _Spool(RawIOBase):
    """The file that another process reads while this one writes it."""

    def __init__(self, descriptor: int, link: Connection, room: int) -> None:
        self.written = 0
        self._descriptor = descriptor
        self._link = link
        self._room = room

    def writable(self) -> bool:
        return True

    def write(self, octets: Any) -> int:
        if self._room > STRETCH and self._link.poll():
            self._heard(self._link.recv())
        if self.written >= self._room:
            self._wait()
        try:
            count = os.pwrite(self._descriptor, octets, self.written)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._wait(short=True)
            count = os.pwrite(self._descriptor, octets, 0)
        self.written += count
        return count

    def _wait(self, *, short: bool = False) -> None:
        """Wait until the other process has taken everything, and where space is short has given back all it can."""
        self._link.send((FULL, self.written, short))
        while (message := self._link.recv()) != GO:
            self._heard(message)
        self.written = 0

    def _heard(self, message: str) -> None:
        assert message == TURN
        self._room = min(self._room, STRETCH)


class _Steps:
    """Progress, told to the other process every now and then; what was made until then can be handed on."""

    def __init__(self, link: Connection, spool: _Spool, flush: Callable[[], object]) -> None:
        self._link = link
        self._spool = spool
        self._flush = flush
        self._told = time.monotonic()

    def update(self, name: str, done: int, total: int | None, frames: int = 0, number: int = 0) -> None:  # noqa: ARG002
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            self._flush()
            self._link.send(Step(done, frames, self._spool.written))

    def finish(self, number: int) -> None: ...

    def clear(self) -> None: ...


def serve(descriptor: int, life: int) -> None:
    """Work on one file after the other until the other process goes away, and with it the pipe `life`."""
    gc.set_threshold(OBJECTS)
    Thread(target=_end_with, args=(life,), daemon=True).start()
    link = Connection(descriptor)
    try:
        work: Work = link.recv()
        while True:
            task: Task | str = link.recv()
            if isinstance(task, str):
                continue  # the turn of a file that was done before it heard of that
            spool = _Spool(recv_handle(link), link, task.spool)
            # Lines are written in one piece where their ends are looked for: never here.
            out = TextIOWrapper(BufferedWriter(spool, 1 << 16), task.encoding, task.errors, newline="\n")
            outcome = worked(work, task.file, out, _Steps(link, spool, out.flush))
            link.send(outcome._replace(written=spool.written))
            out.detach()
            os.close(spool._descriptor)
    except (EOFError, ConnectionError):
        os._exit(0)


def _end_with(life: int) -> None:
    """End this process when the pipe ends, whatever it is at."""
    os.read(life, 1)
    os._exit(0)
