"""What a capture file holds before anyone looks into it: one record a frame."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

MAX_CAPTURED: Final = 262144
"""Most octets of one frame a capture may hold, as libpcap and Wireshark have it; more is damage."""

INTERFACE: Final = Struct("=IIQq")
"""An interface as the C walker takes it (`struct interface` in `_walk_core.h`)."""

_MAX_CAPTURED_BY_LINK_TYPE: Final = {189: 1 << 27, 220: 1 << 27, 231: 1 << 27, 249: 1 << 27, 279: 1 << 23}


class Record(NamedTuple):
    """One captured frame."""

    frame: int
    """Number in the file, from 1, as Wireshark counts."""
    time_ns: int | None
    """Nanoseconds since 1970-01-01 UTC, None where the file has no time for it."""
    link_type: int
    """LINKTYPE_ value of the interface (the registry of libpcap)."""
    data: bytes
    """The captured octets; empty for link types that are not decoded."""
    length: int
    """Octets of the frame on the wire."""


def max_captured(link_type: int) -> int:
    """Most octets a frame of this link type may have in a file: some buses have larger ones than networks."""
    return _MAX_CAPTURED_BY_LINK_TYPE.get(link_type, MAX_CAPTURED)
