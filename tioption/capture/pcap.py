"""Classic pcap files: microseconds and nanoseconds, both byte orders, and Kuznetzov's modified format.

Layout: a file header of 24 octets, then per frame a record header of 16 octets (24 in the modified format) and the
captured octets (draft-ietf-opsawg-pcap; for the modified format, libpcap's sf-pcap.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from tioption.capture.cursor import Cursor
from tioption.capture.record import Record, max_captured

_FILE_HEADER_OCTETS: Final = 24
_LINK_TYPE_MASK: Final = 0x03FFFFFF  # the upper bits say how long the frame check sequence is

# magic number as it reads big-endian: (struct's byte order, nanoseconds a unit of the fraction, record header octets)
MAGICS: Final = {
    0xA1B2C3D4: (">", 1000, 16),
    0xD4C3B2A1: ("<", 1000, 16),
    0xA1B23C4D: (">", 1, 16),
    0x4D3CB2A1: ("<", 1, 16),
    0xA1B2CD34: (">", 1000, 24),
    0x34CDB2A1: ("<", 1000, 24),
}


def records(cursor: Cursor, decoded: frozenset[int]) -> Iterator[Record]:
    """The frames of the file at `cursor`, which stands before a magic number of MAGICS.

    Frames of link types outside `decoded` are yielded without their octets. Raises CaptureError at the first record
    that is not whole.
    """
    if not cursor.fill(_FILE_HEADER_OCTETS):
        found = f"{len(cursor.buffer) - cursor.position}"
        raise cursor.error(f"a file header of {_FILE_HEADER_OCTETS} octets", found, None)
    order, unit, header_octets = MAGICS[int.from_bytes(cursor.buffer[cursor.position : cursor.position + 4], "big")]
    (network,) = Struct(f"{order}I").unpack_from(cursor.buffer, cursor.position + 20)
    cursor.position += _FILE_HEADER_OCTETS
    link_type = network & _LINK_TYPE_MASK
    limit = max_captured(link_type)
    keep = link_type in decoded
    unpack = Struct(f"{order}IIII").unpack_from
    frame = 0
    while cursor.fill(header_octets):
        frame += 1
        at = cursor.position
        seconds, fraction, captured, length = unpack(cursor.buffer, at)
        if captured > limit:
            raise cursor.error(f"a frame of at most {limit} octets", str(captured), frame, cursor.offset + 8)
        data = b""
        if keep:
            if not cursor.fill(header_octets + captured):
                missing = len(cursor.buffer) - cursor.position - header_octets
                raise cursor.error(f"{captured} octets of the frame", f"the end after {missing}", frame)
            at = cursor.position
            cursor.position = at + header_octets + captured
            data = cursor.buffer[at + header_octets : cursor.position]
        elif not cursor.skip(header_octets + captured):
            raise cursor.error(f"{captured} octets of the frame", "the end of the file", frame)
        yield Record(frame, seconds * 1_000_000_000 + fraction * unit, link_type, data, length)
    left = len(cursor.buffer) - cursor.position
    if left or cursor.damage is not None:
        raise cursor.error(f"a record header of {header_octets} octets", f"the end after {left}", frame + 1)
