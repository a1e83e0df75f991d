"""The errors users of the package can meet: every one says what was expected, what was found and where."""

from __future__ import annotations

from typing import Any


class TioptError(Exception):
    """Anything this package refuses, so that one `except` catches all of it."""


class ParseError(TioptError, ValueError):
    """Input that is not what it should be.

    `expected` and `found` are phrases for people; `where` is a place they can look up: an octet offset, a line of a
    print, a frame of a capture.
    """

    def __init__(self, expected: str, found: str, where: str = "") -> None:
        """Keep the three parts apart, so that callers can render them their own way."""
        super().__init__(expected, found, where)
        self.expected = expected
        self.found = found
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}expected {self.expected}, found {self.found}"


class OptionError(ParseError):
    """Octets or values that are not a flow option; `offset` counts octets from the option's kind (OPT-01)."""

    def __init__(self, expected: str, found: str, offset: int) -> None:
        """Name the octet at which the option stops being one."""
        super().__init__(expected, found, f"octet {offset}")
        self.offset = offset


class TraceError(ParseError):
    """A printed trace that cannot be read back; `line` counts from 1."""

    def __init__(self, expected: str, found: str, line: int) -> None:
        """Name the line of the print."""
        super().__init__(expected, found, f"line {line}")
        self.line = line


class CaptureError(ParseError):
    """A capture that cannot be read to its end; all frames before `frame` were delivered.

    `frame` counts from 1 as Wireshark does (None where no frame is concerned); `offset` is the octet in the file, or in
    the decompressed stream where the file is compressed (None where the file could not be opened at all). `table` is
    what `read_table` had read by then, None elsewhere.
    """

    table: Any = None

    def __init__(self, expected: str, found: str, *, file: str, frame: int | None, offset: int | None) -> None:
        """Name file, frame and offset."""
        parts = [file]
        place = [f"{name} {value}" for name, value in (("frame", frame), ("offset", offset)) if value is not None]
        if place:
            parts.append(", ".join(place))
        super().__init__(expected, found, ": ".join(parts))
        self.file = file
        self.frame = frame
        self.offset = offset
