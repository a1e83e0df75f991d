"""gzip and zstd streams, decompressed piece by piece in bounded memory, with all there is before any damage.

A decompressor that meets damage keeps what it made of the same call's input. Input is therefore given in small steps,
and the checksums at the end of a file by themselves, so that damage costs little of what came before it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

CHUNK: Final = 1 << 20
"""Octets handed on at a time, at most (pieces gathered may be up to a quarter larger)."""

_READ: Final = 1 << 16
_FIRST_STEP: Final = 64  # while the file may be small
_STEP: Final = 1 << 10  # once the calls would cost time
_TRAILER: Final = 8  # octets of checksums at the end of a stream: 8 in gzip, 4 in zstd

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one octet 50 … 5f (RFC 8878 §3.1.2)


class DamagedStreamError(Exception):
    """A compressed stream that is damaged or ends too soon; args are what was expected and what was found."""


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


class Compression(NamedTuple):
    """A compressed format: its name and what makes a decompressor of it."""

    name: str
    decompressor: Callable[[], _Decompressor]


_FORMATS: Final = (Compression("gzip", _Gunzip), Compression("zstd", _zstd))


def compression_of(start: bytes) -> Compression | None:
    """The format of octets that begin with these (4 are enough), None where they are not compressed."""
    gzip, zstd = _FORMATS
    if start.startswith(_GZIP):
        return gzip
    if start.startswith(_ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return zstd
    return None


def decompressed(start: bytes, read: Callable[[int], bytes], compression: Compression) -> Iterator[bytes]:
    """The contents of the stream that begins with `start` and goes on with what `read(octets)` returns until b"".

    Several members or frames are one stream; what follows the last and is no further one is ignored, as gunzip does.
    Raises DamagedStreamError after everything before the damage. What there is is handed on before each read.
    """
    return _gathered(_members(_steps(start, read), compression))


def _members(steps: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """The contents of one member after the other; b"" is passed on."""
    decompressor: _Decompressor | None = None
    between = b""  # what came since the last member ended, until it is enough to tell what it is
    for step in steps:
        if not step:
            yield b""
            continue
        rest = between + step
        while rest:
            if decompressor is None:
                between = rest
                if len(rest) < 4:
                    break
                if compression_of(rest) != compression:
                    return
                decompressor, between = compression.decompressor(), b""
            octets = _step(decompressor, rest, compression)
            if octets:
                yield octets
            while len(octets) == CHUNK and not decompressor.eof:
                octets = _step(decompressor, b"", compression)
                yield octets
            rest = b""
            if decompressor.eof:
                rest = decompressor.unused_data
                decompressor = None
    if decompressor is not None:
        raise DamagedStreamError(f"the end of the {compression.name} stream", "the end of the file")


def _step(decompressor: _Decompressor, octets: bytes, compression: Compression) -> bytes:
    try:
        return decompressor.decompress(octets, CHUNK)
    except Exception as error:  # zlib.error and ZstdError have no common base but this
        raise DamagedStreamError(f"{compression.name} data", f"damage ({error})") from None


def _steps(held: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The octets of the file in small steps, b"" before each read, and the last octets one by one."""
    step = _FIRST_STEP
    while True:
        body, held = held[:-_TRAILER], held[-_TRAILER:]
        for at in range(0, len(body), step):
            yield body[at : at + step]
        yield b""
        more = read(_READ)
        if not more:
            break
        held += more
        step = _STEP
    for octet in held:
        yield bytes((octet,))


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
    except DamagedStreamError:
        if size:
            yield b"".join(waiting)
        raise
    if size:
        yield b"".join(waiting)
