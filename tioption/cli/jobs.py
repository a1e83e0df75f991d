"""Work on many files in several processes; what they make comes in the order of the files.

Each worker is a process of its own, begun by exec, so that nothing of this one is in it, and it never outlives this
one: it ends when a pipe does that only this one holds. What it makes ahead of its turn waits in a temporary file
without a name, of which nothing is left however either process ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from io import UnsupportedOperation
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import send_handle
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, NamedTuple, TextIO

from tioption.capture.compression import compression_of
from tioption.cli.declare import MachineError
from tioption.cli.files import only_here, size_of
from tioption.cli.worker import FULL, GO, SPOOL, TURN, Outcome, Step, Task, Work

_AHEAD: Final = 2  # files per worker that may be begun before the first of them is done
_DECOMPRESSION: Final = 16  # how much longer an octet takes that is to be decompressed
_PIECE: Final = 1 << 20
_RESERVED: Final = 1 << 16  # octets of a spool that are there from the start, so that who is ahead cannot take them all


class Here(NamedTuple):
    """The file of this number is to be worked on now, by the process that asks."""

    number: int


class Done(NamedTuple):
    """The work on the file of this number is over; all it made came before."""

    number: int
    outcome: Outcome


class Stretch(NamedTuple):
    """Octets of a file: the next of the output. They are there until the next event is asked for."""

    descriptor: int
    begin: int
    end: int

    def octets(self) -> Generator[bytes, None, None]:
        """The octets, in pieces."""
        at = self.begin
        while at < self.end:
            piece = os.pread(self.descriptor, min(_PIECE, self.end - at), at)
            at += len(piece)
            yield piece

    def copy(self, out: TextIO) -> None:
        """Write the octets, without bringing them into this process where the kernel can do that."""
        out.flush()
        at = self.begin
        with suppress(UnsupportedOperation):  # no file at all
            target = out.buffer.fileno()
            out.buffer.flush()
            try:
                while at < self.end and (octets := os.sendfile(target, self.descriptor, at, self.end - at)):
                    at += octets
            except BrokenPipeError:
                raise
            except OSError:  # nothing the kernel copies to: a file opened for appending, for one
                pass
        for piece in self._replace(begin=at).octets():
            out.buffer.write(piece)


Event = bytes | Stretch | Here | Done


class Mapping(NamedTuple):
    """What is to be done: the work, the files, and how the output is encoded."""

    work: Work
    files: list[str]
    encoding: str
    errors: str
    progress: Any


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(jobs: int | None, files: list[str], quick: int) -> int:
    """How many processes to use where the user has asked for `jobs`, or nothing; 1 is this one alone.

    With `quick` octets or less in all files together one process is done sooner than another has begun; octets that are
    to be decompressed count more.
    """
    elsewhere = [file for file in files if not only_here(file)]
    if jobs is None:
        sizes = [size_of(file) for file in elsewhere]
        small = None not in sizes and sum(map(_weight, elsewhere)) <= quick
        jobs = 1 if small else cores()
    return max(1, min(jobs, len(elsewhere)))


def _weight(file: str) -> int:
    """Octets of an uncompressed file that are as much work."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123
            compressed = compression_of(stream.read(4)) is not None
    except OSError:
        return 0
    return (size_of(file) or 0) * (_DECOMPRESSION if compressed else 1)


class _Spooled:
    """What a worker has made of one file."""

    def __init__(self, worker: _Worker, file: BinaryIO) -> None:
        self.worker = worker
        self.file = file
        self.available = self._taken = 0
        self.full = self.short = False
        self.outcome: Outcome | None = None

    def pieces(self) -> Generator[Stretch, None, None]:
        """What is there and has not been handed on."""
        if self._taken < self.available:
            begin, self._taken = self._taken, self.available
            yield Stretch(self.file.fileno(), begin, self._taken)
        if self.full:
            if self.short:
                self.file.truncate(_RESERVED)
            self.available = self._taken = 0
            self.full = self.short = False
            self.worker.tell(GO)


class _Worker:
    """A process and what it works on."""

    def __init__(self, work: Work, life: int) -> None:
        ours, theirs = socket.socketpair()
        self.number: int | None = None
        self.link = Connection(ours.detach())
        with theirs:
            root = str(Path(__file__).resolve().parents[2])
            program = (
                f"import sys; r = {root!r}; r in sys.path or sys.path.insert(0, r); "
                f"from tioption.cli.worker import serve; serve({theirs.fileno()}, {life})"
            )
            self.process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), life],
            )
        with suppress(ConnectionError):
            self.link.send(work)

    def begin(self, number: int, task: Task, spool: BinaryIO) -> None:
        """Work on this file."""
        self.number = number
        with suppress(ConnectionError):  # that it died is heard where its messages are
            self.link.send(task)
            send_handle(self.link, spool.fileno(), self.process.pid)

    def tell(self, message: str) -> None:
        """Send a message; where the process has died, that is heard where its own are."""
        with suppress(OSError):
            self.link.send(message)

    def end(self) -> int:
        """End the process at once; its exit status."""
        self.link.close()
        self.process.kill()
        return self.process.wait()


class _Pool:
    """The workers, and what they have made."""

    def __init__(self, mapping: Mapping, jobs: int, spool: int) -> None:
        self._mapping = mapping
        self._jobs = jobs
        self._room = spool
        self._workers: list[_Worker] = []
        self._spooled: dict[int, _Spooled] = {}
        self._free: list[BinaryIO] = []  # the files of others that are done: what they hold is written over for less
        self._life, self._held = os.pipe()
        self._next = 0
        self._turn = 0

    def events(self) -> Generator[Event, None, None]:
        """What was made, in the order of the files."""
        files, progress = self._mapping.files, self._mapping.progress
        for turn, file in enumerate(files):
            self._turn = turn
            self._hand_out()
            if only_here(file):
                yield Here(turn)
                continue
            spooled = self._spooled[turn]
            if spooled.outcome is None:
                spooled.worker.tell(TURN)
            while True:
                if spooled.short:
                    self._free_space()
                yield from spooled.pieces()
                if spooled.outcome is not None:
                    break
                self._hear()
                self._hand_out()
            self._free.append(spooled.file)
            del self._spooled[turn]
            if spooled.outcome.lacking:
                raise MachineError(spooled.outcome.lacking)
            progress.finish(turn)
            yield Done(turn, spooled.outcome)

    def _hand_out(self) -> None:
        """Give every worker a file, as long as there are some that may be begun."""
        files = self._mapping.files
        while self._next < min(len(files), self._turn + _AHEAD * self._jobs):
            if only_here(files[self._next]):
                self._next += 1
                continue
            worker = next((one for one in self._workers if one.number is None), None)
            if worker is None:
                if len(self._workers) >= self._jobs:
                    return
                worker = self._begun()
            spooled = self._spooled[self._next] = _Spooled(worker, self._file(ahead=self._next > self._turn))
            task = Task(files[self._next], self._mapping.encoding, self._mapping.errors, self._room)
            worker.begin(self._next, task, spooled.file)
            self._next += 1

    def _file(self, *, ahead: bool) -> BinaryIO:
        """A file to keep output in, the largest of the free ones for a worker that will need much of it."""
        self._free.sort(key=lambda file: os.fstat(file.fileno()).st_size)
        if self._free:
            return self._free.pop() if ahead else self._free.pop(0)
        made = TemporaryFile()  # noqa: SIM115  closed when nobody needs it any more
        with suppress(OSError, AttributeError):  # a full disk, or a system that has no such call
            os.posix_fallocate(made.fileno(), 0, _RESERVED)
        return made

    def _free_space(self) -> None:
        """Give back what no worker is using."""
        while self._free:
            self._free.pop().close()

    def _begun(self) -> _Worker:
        """Another worker. Ctrl-C is for this process alone, which then ends the others."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker = _Worker(self._mapping.work, self._life)
            self._workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker

    def _hear(self) -> None:
        """Wait for messages and take them in."""
        heard = wait([worker.link for worker in self._workers])
        for worker in [one for one in self._workers if one.link in heard]:
            try:
                message = worker.link.recv()
            except (EOFError, OSError):
                self._lost(worker)
                continue
            self._take(worker, message)

    def _take(self, worker: _Worker, message: Any) -> None:
        assert worker.number is not None
        spooled = self._spooled[worker.number]
        if isinstance(message, Step):
            spooled.available = message.written
            file = self._mapping.files[worker.number]
            self._mapping.progress.update(file, message.read, size_of(file), message.frames, worker.number)
        elif isinstance(message, Outcome):
            spooled.available = message.written
            spooled.outcome = message
            worker.number = None
        else:
            kind, spooled.available, spooled.short = message
            assert kind == FULL
            spooled.full = True

    def _lost(self, worker: _Worker) -> None:
        """A worker is gone: what it had made is kept, its file has an error, the others go on."""
        self._workers.remove(worker)
        worker.link.close()
        status = worker.process.wait()
        if worker.number is None:
            return
        ended = f"it killed by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
        file = self._mapping.files[worker.number]
        line = f"tiopt: {file}: expected the process that reads it to do so to its end, found {ended}\n"
        spooled = self._spooled[worker.number]
        spooled.full = spooled.short = False
        spooled.outcome = Outcome(errors=(line,))

    def close(self) -> None:
        """End all workers; nothing is left of them."""
        for worker in self._workers:
            worker.end()
        os.close(self._life)
        os.close(self._held)
        for spooled in self._spooled.values():
            spooled.file.close()
        self._free_space()


def mapped(mapping: Mapping, jobs: int, spool: int = SPOOL) -> Generator[Event, None, None]:
    """The output of the work on each file, in the order of the files, made by `jobs` processes.

    `spool` octets of one file at most are kept until its turn. To be closed where it is not read to its end. Raises
    MachineError where this machine cannot do it.
    """
    pool = _Pool(mapping, jobs, spool)
    try:
        yield from pool.events()
    finally:
        pool.close()
