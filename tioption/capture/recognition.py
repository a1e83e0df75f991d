"""Whether a file is a capture, by its first octets, compressed or not."""

from __future__ import annotations

from typing import BinaryIO

from tioption.capture.pcap import MAGICS
from tioption.capture.pcapng import SECTION_HEADER
from tioption.capture.source import Source
from tioption.errors import CaptureError

_FEW = 1 << 10


def is_capture(name: str, stream: BinaryIO | None = None) -> bool:
    """Whether the file, or the stream in its place, begins as a pcap or pcapng file; the stream is closed.

    Raises CaptureError where that cannot be found out.
    """
    source = Source(name, None, stream)
    room = memoryview(bytearray(_FEW))
    octets = 0
    try:
        while octets < 4 and (more := source.read_into(room[octets:])):
            octets += more
    except CaptureError:
        if source.consumed == 0:
            raise
        return False  # compressed, and damaged from its start
    finally:
        source.close()
    magic = int.from_bytes(room[:4], "big")
    return octets >= 4 and (magic in MAGICS or magic == SECTION_HEADER)
