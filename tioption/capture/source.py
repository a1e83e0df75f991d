"""Octets of a capture, from a path, standard input or a stream, decompressed where their first octets say so.

Everything is read forward in pieces, so a file may be larger than memory and standard input may be a pipe that is still
being written.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TypeVar

from tioption.capture.compression import DamagedStreamError, compression_of, decompressed
from tioption.errors import CaptureError

_T = TypeVar("_T")

_GROWTH = 0.1
"""Seconds between two looks at whether a file has grown."""

_PIECE = 1 << 20
"""Octets asked of a stream at once."""


class Source:
    """The octets of one capture file; `name` is what the user called it, "-" for standard input.

    `consumed` counts octets of the file as it lies on disk; `size` is their number, None where nobody knows it (pipes,
    terminals). `on_read` is called with the source before each read: the moment to show progress and, as reads of a
    pipe may have to wait for its writer, to flush what was made of the octets so far.
    """

    def __init__(
        self,
        name: str,
        on_read: Callable[[Source], None] | None = None,
        stream: BinaryIO | None = None,
        *,
        follow: bool = False,
    ) -> None:
        """Open the file, or read `stream` in its place; raises CaptureError where the file cannot be opened.

        With `follow` the end of a file is not its end: it may still be growing, and is read on as it does.
        """
        self.name = name
        self.consumed = 0
        self.size: int | None = None
        self._on_read = on_read
        self._follow = follow
        self._stream = stream
        self._owned = name != "-" and stream is None
        self._started = False
        self._pieces: Iterator[bytes] | None = None  # of a compressed file
        self._piece = memoryview(b"")  # what is left of the last one
        self._damage: CaptureError | None = None
        self._all_there = False  # no read has to wait
        if stream is not None:
            size = getattr(stream, "size", None)
            self.size = size if isinstance(size, int) else None
            return
        if not self._owned and sys.stdin is None:
            raise CaptureError("a capture on standard input", "it closed", file=name, frame=None, offset=None)
        try:
            self._descriptor = os.open(name, os.O_RDONLY) if self._owned else sys.stdin.fileno()
            mode = os.fstat(self._descriptor)
        except OSError as error:
            raise self._unreadable(error) from None
        if stat.S_ISREG(mode.st_mode):
            self.size = mode.st_size
            self._all_there = not follow
        elif stat.S_ISDIR(mode.st_mode):
            self.close()
            raise CaptureError("a capture file", "a directory", file=name, frame=None, offset=None)

    def _unreadable(self, error: OSError) -> CaptureError:
        found = os.strerror(error.errno) if error.errno else str(error)
        return CaptureError("a readable capture file", found.lower(), file=self.name, frame=None, offset=None)

    def close(self) -> None:
        """Close the file or the stream unless it is standard input."""
        if self._stream is not None:
            self._stream.close()
        if self._owned:
            os.close(self._descriptor)
            self._owned = False

    def _read_into(self, room: memoryview) -> int:
        """Read from the file itself."""
        if self._stream is not None:
            piece = self._read(len(room))
            room[: len(piece)] = piece
            return len(piece)
        return self._arrived(partial(os.readv, self._descriptor, [room]), int)

    def _read(self, size: int) -> bytes:
        """The same as octets of its own."""
        if self._stream is not None:
            return self._arrived(partial(_piece_of, self._stream, size), len)
        return self._arrived(partial(os.read, self._descriptor, size), len)

    def _arrived(self, read: Callable[[], _T], count: Callable[[_T], int]) -> _T:
        """What a read gives, of whose octets `count` tells the number."""
        while True:
            if self._on_read is not None:
                self._on_read(self)
            try:
                arrived = read()
            except OSError as error:
                raise self._unreadable(error) from None
            octets = count(arrived)
            self.consumed += octets
            if octets or not self._follow or self.size is None or self._stream is not None:
                return arrived
            self._wait_to_grow()

    def _wait_to_grow(self) -> None:
        """Return when a regular file has more octets than were read; raises CaptureError where it has fewer."""
        read = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        while (size := os.fstat(self._descriptor).st_size) == read:
            time.sleep(_GROWTH)
        self.size = size
        if size < read:
            found = f"that it was cut to {size}"
            raise CaptureError(f"the file to grow beyond {read} octets", found, file=self.name, frame=None, offset=None)

    def read_into(self, room: memoryview) -> int:
        """Put the next decompressed octets into `room`, which has place for 4 or more; how many, 0 at the end.

        What has arrived is handed on; only where that is nothing, or what follows is there, does it read on. Raises
        CaptureError, with neither frame nor offset, where a compressed stream is damaged; everything before the damage
        has then been handed on.
        """
        if not self._started:
            self._started = True
            return self._start(room)
        if self._pieces is None:
            return self._read_into(room)
        at = 0
        while at < len(room) and (self._piece or self._next_piece(self._pieces, wait=at == 0 or self._all_there)):
            octets = min(len(room) - at, len(self._piece))
            room[at : at + octets] = self._piece[:octets]
            self._piece = self._piece[octets:]
            at += octets
        if at == 0 and self._damage is not None:
            raise self._damage
        return at

    def _next_piece(self, pieces: Iterator[bytes], *, wait: bool) -> bool:
        """Take the next piece; False where there is none, or none without a read and nobody wants to wait for that."""
        piece: bytes | None = b""
        while piece == b"":
            try:
                piece = next(pieces, None)
            except DamagedStreamError as error:
                self._damage = CaptureError(*error.args, file=self.name, frame=None, offset=None)
                return False
            if not wait:
                break
        self._piece = memoryview(piece or b"")
        return bool(piece)

    def _start(self, room: memoryview) -> int:
        """The first octets, which say whether the file is compressed."""
        octets = self._read_into(room)
        while 0 < octets < 4 and (more := self._read_into(room[octets:])):
            octets += more
        start = bytes(room[:octets])
        compression = compression_of(start)
        if compression is None:
            return octets
        self._pieces = decompressed(start, self._read, compression)
        return self.read_into(room)


def _piece_of(stream: BinaryIO, size: int) -> bytes:
    """Read from a stream of somebody else's library; whatever goes wrong there is an OSError here."""
    try:
        return stream.read(min(size, _PIECE))
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
