"""Octets of a capture, from a path or standard input, decompressed where their first octets say so.

Everything is read forward in chunks, so a file may be larger than memory and standard input may be a pipe that is still
being written.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from tioption.errors import CaptureError

CHUNK: Final = 1 << 20
"""Octets asked of the operating system at a time, and at most handed on of a decompressor's output."""

_COMPRESSED_CHUNK: Final = 1 << 16

# A decompressor that meets damage keeps what it made of the same call's input, so damage costs at most what one step of
# input would have given: small steps while the file may be small, larger ones once the calls would cost time.
_FIRST_STEP: Final = 64
_STEP: Final = 1 << 10
_TRAILER: Final = 8  # octets of checksums at the end of a stream: 8 in gzip, 4 in zstd

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one octet 50 … 5f (RFC 8878 §3.1.2)


class _Decompressor(Protocol):
    """What zlib and zstd have in common once their differences are wrapped."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib keeps input it has no room for in an attribute of its own; this keeps it inside, as zstd does."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _zstd() -> _Decompressor:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor  # noqa: PLC0415  only what is compressed pays for it
    else:
        from backports.zstd import ZstdDecompressor  # noqa: PLC0415
    return ZstdDecompressor()


def _format(start: bytes) -> tuple[str, Callable[[], _Decompressor]] | None:
    """The compression that octets beginning with `start` are in, None for none."""
    if start.startswith(_GZIP):
        return "gzip", _Gunzip
    if start.startswith(_ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return "zstd", _zstd
    return None


class Source:
    """The octets of one capture file; `name` is what the user called it, "-" for standard input.

    `consumed` counts octets of the file as it lies on disk; `size` is their number, None where nobody knows it (pipes,
    terminals). `on_read` is called with the source before each read: the moment to show progress and, as reads of a
    pipe may have to wait for its writer, to flush what was made of the octets so far.
    """

    def __init__(self, name: str, on_read: Callable[[Source], None] | None = None) -> None:
        """Open the file; raises CaptureError where that is not possible."""
        self.name = name
        self.consumed = 0
        self.size: int | None = None
        self._on_read = on_read
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
        if self._on_read is not None:
            self._on_read(self)
        try:
            octets = os.read(self._descriptor, size)
        except OSError as error:
            raise self._unreadable(error) from None
        self.consumed += len(octets)
        return octets

    def chunks(self) -> Iterator[bytes]:
        """The decompressed octets in pieces of at most CHUNK, none of them empty.

        Raises CaptureError, with neither frame nor offset, where a compressed stream is damaged; everything before the
        damage has then been yielded.
        """
        start = self._read(_COMPRESSED_CHUNK)
        while 0 < len(start) < 4 and (more := self._read(4 - len(start))):
            start += more
        compression = _format(start)
        if compression is not None:
            yield from _gathered(self._decompressed(start, *compression))
            return
        while start:
            yield start
            start = self._read(CHUNK)

    def _decompressed(self, data: bytes, name: str, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
        """The members of a compressed stream one after the other; what is no further member ends it, as in gunzip.

        Yields b"" before each read, so that what came before can be handed on while the read waits.
        """
        decompressor: _Decompressor | None = None
        between = b""  # what came since the last member ended, until it is enough to tell what it is
        for piece in self._steps(data):
            if not piece:
                yield b""
                continue
            rest = between + piece
            while rest:
                if decompressor is None:
                    between = rest
                    following = _format(rest) if len(rest) >= 4 else (name,)
                    if following is None or following[0] != name:
                        return
                    if len(rest) < 4:
                        break
                    decompressor, between = make(), b""
                octets = self._step(decompressor, rest, name)
                if octets:
                    yield octets
                while len(octets) == CHUNK and not decompressor.eof:
                    octets = self._step(decompressor, b"", name)
                    yield octets
                rest = b""
                if decompressor.eof:
                    rest = decompressor.unused_data
                    decompressor = None
        if decompressor is not None:
            expected = f"the end of the {name} stream"
            raise CaptureError(expected, "the end of the file", file=self.name, frame=None, offset=None)

    def _steps(self, held: bytes) -> Iterator[bytes]:
        """The octets of the file in small steps, b"" before each read, and the last octets one by one.

        The last ones are the checksums of what came before them: that has then been handed on when they turn out wrong.
        """
        step = _FIRST_STEP
        while True:
            body, held = held[:-_TRAILER], held[-_TRAILER:]
            for at in range(0, len(body), step):
                yield body[at : at + step]
            yield b""
            more = self._read(_COMPRESSED_CHUNK)
            if not more:
                break
            held += more
            step = _STEP
        for octet in held:
            yield bytes((octet,))

    def _step(self, decompressor: _Decompressor, data: bytes, name: str) -> bytes:
        try:
            return decompressor.decompress(data, CHUNK)
        except Exception as error:  # zlib.error and ZstdError have no common base but this
            raise CaptureError(f"{name} data", f"damage ({error})", file=self.name, frame=None, offset=None) from None


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces put together to larger ones; b"" and damage hand on what there is."""
    waiting: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= CHUNK // 4 or (size and not piece):
                yield b"".join(waiting)
                waiting.clear()
                size = 0
    except CaptureError:
        if size:
            yield b"".join(waiting)
        raise
    if size:
        yield b"".join(waiting)


class Cursor:
    """A window on a source that moves forward: `buffer[position:]` is what lies ahead, `offset` where that is.

    Damage of the source counts as its end here; `damage` keeps it for whoever meets that end.
    """

    def __init__(self, source: Source) -> None:
        """Stand before the first octet."""
        self.name = source.name
        self.buffer = b""
        self.position = 0
        self.damage: CaptureError | None = None
        self._base = 0
        self._chunks = source.chunks()

    @property
    def offset(self) -> int:
        """Octets of the decompressed stream before `position`."""
        return self._base + self.position

    def fill(self, octets: int) -> bool:
        """Make at least `octets` lie ahead; False where the source ends before (what there is then lies ahead)."""
        ahead = len(self.buffer) - self.position
        if ahead >= octets:
            return True
        pieces = [self.buffer[self.position :]]
        self._base += self.position
        self.position = 0
        while ahead < octets and (piece := self._next()):
            pieces.append(piece)
            ahead += len(piece)
        self.buffer = b"".join(pieces)
        return ahead >= octets

    def skip(self, octets: int) -> bool:
        """Move past `octets` without keeping them; False where the source ends before."""
        while (ahead := len(self.buffer) - self.position) < octets:
            octets -= ahead
            self._base += len(self.buffer)
            self.position = 0
            self.buffer = self._next()
            if not self.buffer:
                return False
        self.position += octets
        return True

    def _next(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except CaptureError as error:
            self.damage = error
            return b""

    def error(self, expected: str, found: str, frame: int | None, offset: int | None = None) -> CaptureError:
        """A CaptureError at `offset` (default: here), with the source's own damage where octets are missing for it."""
        if self.damage is not None:
            expected, found = self.damage.expected, self.damage.found
        at = self.offset if offset is None else offset
        return CaptureError(expected, found, file=self.name, frame=frame, offset=at)
