"""Octets of a capture, from a path or standard input, decompressed where their first octets say so.

Everything is read forward in chunks, so a file may be larger than memory and standard input may be a pipe that is still
being written.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator

from tioption.capture.compression import CHUNK, DamagedStreamError, compression_of, decompressed
from tioption.errors import CaptureError

_GROWTH = 0.1
"""Seconds between two looks at whether a file has grown."""


class Source:
    """The octets of one capture file; `name` is what the user called it, "-" for standard input.

    `consumed` counts octets of the file as it lies on disk; `size` is their number, None where nobody knows it (pipes,
    terminals). `on_read` is called with the source before each read: the moment to show progress and, as reads of a
    pipe may have to wait for its writer, to flush what was made of the octets so far.
    """

    def __init__(self, name: str, on_read: Callable[[Source], None] | None = None, *, follow: bool = False) -> None:
        """Open the file; raises CaptureError where that is not possible.

        With `follow` the end of a file is not its end: it may still be growing, and is read on as it does.
        """
        self.name = name
        self.consumed = 0
        self.size: int | None = None
        self._on_read = on_read
        self._follow = follow
        self._owned = name != "-"
        if not self._owned and sys.stdin is None:
            raise CaptureError("a capture on standard input", "it closed", file=name, frame=None, offset=None)
        try:
            self._descriptor = os.open(name, os.O_RDONLY) if self._owned else sys.stdin.fileno()
            mode = os.fstat(self._descriptor)
        except OSError as error:
            raise self._unreadable(error) from None
        if stat.S_ISREG(mode.st_mode):
            self.size = mode.st_size
        elif stat.S_ISDIR(mode.st_mode):
            self.close()
            raise CaptureError("a capture file", "a directory", file=name, frame=None, offset=None)

    def _unreadable(self, error: OSError) -> CaptureError:
        found = os.strerror(error.errno) if error.errno else str(error)
        return CaptureError("a readable capture file", found.lower(), file=self.name, frame=None, offset=None)

    def close(self) -> None:
        """Close the file unless it is standard input."""
        if self._owned:
            os.close(self._descriptor)
            self._owned = False

    def _read(self, size: int) -> bytes:
        while True:
            if self._on_read is not None:
                self._on_read(self)
            try:
                octets = os.read(self._descriptor, size)
            except OSError as error:
                raise self._unreadable(error) from None
            self.consumed += len(octets)
            if octets or not self._follow or self.size is None:
                return octets
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

    def chunks(self) -> Iterator[bytes]:
        """The decompressed octets in pieces of about CHUNK at most, none of them empty.

        Raises CaptureError, with neither frame nor offset, where a compressed stream is damaged; everything before the
        damage has then been yielded.
        """
        start = self._read(CHUNK)
        while 0 < len(start) < 4 and (more := self._read(CHUNK)):
            start += more
        compression = compression_of(start)
        if compression is not None:
            try:
                yield from decompressed(start, self._read, compression)
            except DamagedStreamError as error:
                raise CaptureError(*error.args, file=self.name, frame=None, offset=None) from None
            return
        while start:
            yield start
            start = self._read(CHUNK)
