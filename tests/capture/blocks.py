"""pcapng blocks built by hand, in either byte order."""

from __future__ import annotations

from struct import pack


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = pack(f"{order}I", 12 + len(body))
    return pack(f"{order}I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return pack(f"{order}HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link_type: int, order: str = "<", snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, pack(f"{order}HHI", link_type, 0, snaplen) + options, order)


def enhanced(frame: bytes, order: str = "<", *, index: int = 0, units: int = 0, length: int | None = None) -> bytes:
    length = len(frame) if length is None else length
    head = pack(f"{order}IIIII", index, units >> 32, units & 0xFFFFFFFF, len(frame), length)
    padded = frame + b"\0" * (-len(frame) % 4)
    return block(6, head + padded + option(2, b"\1\0\0\0", order) + option(0, b"", order), order)


def obsolete(frame: bytes, order: str = "<", *, index: int = 0, units: int = 0) -> bytes:
    head = pack(f"{order}HHIIII", index, 0xFFFF, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
    return block(2, head + frame, order)


def simple(frame: bytes, order: str = "<", *, length: int | None = None) -> bytes:
    return block(3, pack(f"{order}I", len(frame) if length is None else length) + frame, order)
