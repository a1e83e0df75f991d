"""Capture files from frames: classic pcap, little-endian, as tcpdump writes it on most machines."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack
from typing import Final

LINKTYPE_ETHERNET: Final = 1
LINKTYPE_RAW: Final = 101
"""IP without a link header, of either version."""
_SNAPLEN: Final = 262144
_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D


def pcap(frames: Iterable[tuple[int, bytes]], link_type: int = LINKTYPE_ETHERNET) -> bytes:
    """The octets of a capture file that holds these frames, each with its time in nanoseconds since 1970.

    Times are kept in microseconds.
    """
    out = [file_header(link_type)]
    for time_ns, frame in frames:
        out.append(record(time_ns, frame, unit=1000))
    return b"".join(out)


def file_header(link_type: int, *, nanoseconds: bool = False) -> bytes:
    """The header of a file whose records keep times in microseconds, or in nanoseconds."""
    return pack("<IHHiIII", _NANOSECONDS if nanoseconds else _MICROSECONDS, 2, 4, 0, 0, _SNAPLEN, link_type)


def record(time_ns: int, frame: bytes, length: int | None = None, *, unit: int = 1) -> bytes:
    """A frame as such a file has it, its time in units of so many nanoseconds.

    `length` is what it had on the wire where it was not captured whole.
    """
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    return pack("<IIII", seconds, fraction // unit, len(frame), len(frame) if length is None else length) + frame
