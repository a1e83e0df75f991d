"""A window on the octets of a capture file that moves forward as records are read."""

from __future__ import annotations

from tioption.capture.source import Source
from tioption.errors import CaptureError


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
