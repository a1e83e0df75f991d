"""gzip and zstd streams, decompressed piece by piece in bounded memory, with all there is before any damage.

A decompressor that meets damage keeps what it made of the same call's input. So gzip's is copied before each call:
where one fails, the copy goes over the same input octet by octet. zstd's cannot be copied, so its calls end where a
block ends, and a block of at most 128 KiB is all that damage can take back.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

CHUNK: Final = 1 << 20
"""Octets handed on at a time, at most."""

_READ: Final = 1 << 18

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one octet 50 … 5f (RFC 8878 §3.1.2)


class DamagedStreamError(Exception):
    """A compressed stream that is damaged or ends too soon; args are what was expected and what was found."""


class _Member(Protocol):
    """One member or frame of a stream; `rest` is what followed it in the input once it has `ended`."""

    ended: bool
    rest: bytes

    def contents(self, octets: bytes) -> Iterator[bytes]:
        """What the next octets of the stream give, in pieces; raises DamagedStreamError after all before the damage."""


class _GzipMember:
    """A member of a gzip stream (RFC 1952)."""

    def __init__(self) -> None:
        self.ended = False
        self.rest = b""
        self._zlib = zlib.decompressobj(wbits=31)

    def contents(self, octets: bytes) -> Iterator[bytes]:
        piece = b""
        while (octets or len(piece) == CHUNK) and not self.ended:  # a full piece may not have been all there is
            before = self._zlib.copy()
            try:
                piece = self._zlib.decompress(octets, CHUNK)
            except zlib.error as error:
                yield from _before_damage(before, octets)
                raise DamagedStreamError("gzip data", f"damage ({error})") from None
            octets, self.ended = self._zlib.unconsumed_tail, self._zlib.eof
            yield piece
        self.rest = self._zlib.unused_data


def _before_damage(decompressor: zlib._Decompress, octets: bytes) -> Iterator[bytes]:
    """What there is before the octet at which decompression fails: less than CHUNK."""
    pieces = []
    try:
        for octet in octets:
            pieces.append(decompressor.decompress(bytes((octet,))))  # noqa: PERF401  what came before is wanted
    except zlib.error:
        pass
    yield b"".join(pieces)


class _ZstdMember:
    """A frame of a zstd stream; of its headers is read what it takes to know where blocks end (RFC 8878 §3.1.1)."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression.zstd import ZstdDecompressor  # noqa: PLC0415  only what is compressed pays for it
        else:
            from backports.zstd import ZstdDecompressor  # noqa: PLC0415
        self.ended = False
        self.rest = b""
        self._zstd = ZstdDecompressor()
        self._header = b""  # of the frame or of a block, as far as it has come
        self._octets = 5  # of that header: magic number and descriptor come first
        self._read_header = self._descriptor
        self._in_blocks = False
        self._body = 0  # octets that are still to come of the block

    def contents(self, octets: bytes) -> Iterator[bytes]:
        at, view = 0, memoryview(octets)
        for end in self._ends(octets):
            try:
                piece = self._zstd.decompress(view[at:end], CHUNK)
                while piece:
                    yield piece
                    piece = b"" if self._zstd.needs_input or self._zstd.eof else self._zstd.decompress(b"", CHUNK)
            except Exception as error:  # ZstdError has no base but this
                raise DamagedStreamError("zstd data", f"damage ({error})") from None
            at = end
            if self._zstd.eof:
                self.ended, self.rest = True, self._zstd.unused_data + octets[at:]
                return

    def _ends(self, octets: bytes) -> Iterator[int]:
        """Where in the octets blocks end, and where the octets do."""
        at, last = 0, 0
        while at < len(octets):
            if self._in_blocks and self._body == 0 and self._header == b"":
                for at in _whole_blocks(octets, at):  # noqa: B020  most are
                    yield at
                last = at
                if at == len(octets):
                    break
            if self._body == 0:
                piece = octets[at : at + self._octets - len(self._header)]
                self._header += piece
                at += len(piece)
                if len(self._header) == self._octets:
                    self._read_header()
            else:
                step = min(self._body, len(octets) - at)
                self._body -= step
                at += step
            if self._body == 0 and self._header == b"":
                yield at
                last = at
        if last < at:
            yield at

    def _descriptor(self) -> None:
        if self._header[:4] != _ZSTD:
            self._body = sys.maxsize  # a skippable frame has no blocks
            return
        flags = self._header[4]
        single, dictionary, size = flags >> 5 & 1, flags & 3, flags >> 6
        self._octets = 5 + (not single) + (0, 1, 2, 4)[dictionary] + (single, 2, 4, 8)[size]
        self._read_header = self._next_block

    def _next_block(self) -> None:
        self._in_blocks = True
        self._header, self._octets, self._read_header = b"", 3, self._block

    def _block(self) -> None:
        last, self._body = _block(self._header)
        self._next_block()
        if last:  # what follows is a checksum or nothing, and the decompressor knows where it ends
            self._in_blocks, self._octets = False, sys.maxsize


def _block(header: bytes) -> tuple[int, int]:
    """Whether a block is the last, and the octets that follow its header."""
    number = int.from_bytes(header, "little")
    return number & 1, 1 if number & 6 == 2 else number >> 3  # a block of one octet repeated has that octet only


def _whole_blocks(octets: bytes, at: int) -> Iterator[int]:
    """The ends of the blocks that lie whole in the octets from one's beginning at `at`, short of the last block."""
    while at + 3 <= len(octets):
        last, body = _block(octets[at : at + 3])
        at += 3 + body
        if last or at > len(octets):
            return
        yield at


class Compression(NamedTuple):
    """A compressed format: its name and what reads a member of it."""

    name: str
    member: Callable[[], _Member]


_FORMATS: Final = (Compression("gzip", _GzipMember), Compression("zstd", _ZstdMember))


def compression_of(start: bytes) -> Compression | None:
    """The format of octets that begin with these (4 are enough), None where they are not compressed."""
    gzip, zstd = _FORMATS
    if start.startswith(_GZIP):
        return gzip
    if start.startswith(_ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return zstd
    return None


def _keep_freed_memory() -> None:
    """Make the C library keep what decompressors free, of which they need as much again at once.

    glibc takes the size of a freed block that was mapped by itself for what may be worth keeping (mallopt(3),
    M_MMAP_THRESHOLD); otherwise it would return memory to the kernel and get it back, zeroed, for each piece.
    """
    bytes(4 * CHUNK)  # which is never touched


def decompressed(start: bytes, read: Callable[[int], bytes], compression: Compression) -> Iterator[bytes]:
    """The contents of the stream that begins with `start` and goes on with what `read(octets)` returns until b"".

    Pieces have CHUNK octets at most; b"" comes before each read, which may have to wait. Several members or frames are
    one stream; what follows the last and is no further one is ignored, as gunzip does. Raises DamagedStreamError after
    everything before the damage.
    """
    _keep_freed_memory()
    member: _Member | None = None
    octets = start
    while True:
        while octets:
            if member is None:
                if len(octets) < 4:
                    break
                if compression_of(octets) != compression:
                    return
                member = compression.member()
            yield from filter(None, member.contents(octets))
            octets = b""
            if member.ended:
                octets, member = member.rest, None
        yield b""
        more = read(_READ)
        if not more:
            break
        octets += more
    if member is not None:
        raise DamagedStreamError(f"the end of the {compression.name} stream", "the end of the file")
