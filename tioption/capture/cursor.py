"""A window on the octets of a capture file that moves forward as records are read."""

from __future__ import annotations

from typing import Final

from tioption.capture.source import Source
from tioption.errors import CaptureError

_READ: Final = 1 << 20
"""Octets a read has room for, at least."""

_TAIL: Final = 1 << 18
"""Octets that may be left of the chunk before, so that one buffer is enough but for giant records."""


class Cursor:
    """A window on a source that moves forward: `buffer[position:end]` lies ahead, at `offset` of the stream.

    The buffer is used again for each chunk: what lies ahead moves to its start when more is read (`fill`, `skip`), and
    to a larger buffer where a record needs one. Damage of the source counts as its end here; `damage` keeps it for
    whoever meets that end.
    """

    def __init__(self, source: Source) -> None:
        """Stand before the first octet."""
        self.name = source.name
        self.buffer = bytearray(_READ + _TAIL)
        self.position = 0
        self.end = 0
        self.damage: CaptureError | None = None
        self._base = 0
        self._source = source
        self._ended = False

    @property
    def offset(self) -> int:
        """Octets of the decompressed stream before `position`."""
        return self._base + self.position

    @property
    def ahead(self) -> int:
        """Octets that lie ahead."""
        return self.end - self.position

    def octets(self, start: int, end: int) -> bytes:
        """A copy of a part of the buffer."""
        return bytes(memoryview(self.buffer)[start:end])

    def fill(self, octets: int) -> bool:
        """Make at least `octets` lie ahead; False where the source ends before (what there is then lies ahead)."""
        if self.end - self.position >= octets:
            return True
        self._make_room(octets)
        while self.end < octets and self._read():
            pass
        return self.end >= octets

    def skip(self, octets: int) -> bool:
        """Move past `octets` without keeping them; False where the source ends before."""
        while (ahead := self.end - self.position) < octets:
            octets -= ahead
            self._base += self.end
            self.position = self.end = 0
            if not self._read():
                return False
        self.position += octets
        return True

    def _make_room(self, octets: int) -> None:
        """Move what lies ahead to the start of a buffer that has room for `octets` and a read."""
        ahead = self.octets(self.position, self.end)
        if octets > len(self.buffer):
            self.buffer = bytearray(octets + _READ)
        self.buffer[: len(ahead)] = ahead
        self._base += self.position
        self.position, self.end = 0, len(ahead)

    def _read(self) -> bool:
        """Read behind the end; False where there is nothing more."""
        if self._ended:
            return False
        try:
            octets = self._source.read_into(memoryview(self.buffer)[self.end :])
        except CaptureError as error:
            self.damage = error
            octets = 0
        self.end += octets
        self._ended = not octets
        return not self._ended

    def error(self, expected: str, found: str, frame: int | None, offset: int | None = None) -> CaptureError:
        """A CaptureError at `offset` (default: here), with the source's own damage where octets are missing for it."""
        if self.damage is not None:
            expected, found = self.damage.expected, self.damage.found
        at = self.offset if offset is None else offset
        return CaptureError(expected, found, file=self.name, frame=frame, offset=at)
