"""Capture files from frames: classic pcap, microseconds, little-endian, as tcpdump writes it on most machines."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack
from typing import Final

LINKTYPE_ETHERNET: Final = 1
_SNAPLEN: Final = 262144


def pcap(frames: Iterable[tuple[int, bytes]], link_type: int = LINKTYPE_ETHERNET) -> bytes:
    """The octets of a capture file that holds these frames, each with its time in nanoseconds since 1970."""
    out = [pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, link_type)]
    for time_ns, frame in frames:
        seconds, fraction = divmod(time_ns, 1_000_000_000)
        out.append(pack("<IIII", seconds, fraction // 1000, len(frame), len(frame)) + frame)
    return b"".join(out)
