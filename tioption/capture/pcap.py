"""Classic pcap files: microseconds and nanoseconds, both byte orders, and Kuznetzov's modified format.

Layout: a file header of 24 octets, then per frame a record header of 16 octets (24 in the modified format) and the
captured octets (draft-ietf-opsawg-pcap; for the modified format, libpcap's sf-pcap.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from tioption.capture.cursor import Cursor
from tioption.capture.record import INTERFACE, Record, max_captured

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


class PcapFile:
    """The frames of the file at `cursor`, which stands before a magic number of MAGICS.

    Frames of link types outside `decoded` are yielded without their octets. Raises CaptureError where the file header
    is not whole.
    """

    def __init__(self, cursor: Cursor, decoded: frozenset[int]) -> None:
        """Read the file header."""
        if not cursor.fill(_FILE_HEADER_OCTETS):
            raise cursor.error(f"a file header of {_FILE_HEADER_OCTETS} octets", f"{cursor.ahead}", None)
        magic = int.from_bytes(cursor.octets(cursor.position, cursor.position + 4), "big")
        self.order, self.unit, self.header_octets = MAGICS[magic]
        (network,) = Struct(f"{self.order}I").unpack_from(cursor.buffer, cursor.position + 20)
        cursor.position += _FILE_HEADER_OCTETS
        self.cursor = cursor
        self.frame = 0
        self.at = 0
        self.link_type = network & _LINK_TYPE_MASK
        self.interfaces = INTERFACE.pack(self.link_type, 0, 1, 0)
        self._decoded = decoded
        self._captured = Struct(f"{self.order}I").unpack_from

    def needed(self) -> int:
        """Octets of the next record, or of its header as long as that is not ahead; 0 where it is not to be read."""
        cursor = self.cursor
        if cursor.ahead < self.header_octets:
            return self.header_octets
        captured: int = self._captured(cursor.buffer, cursor.position + 8)[0]
        wanted = self.link_type in self._decoded and captured <= max_captured(self.link_type)
        return self.header_octets + captured if wanted else 0

    def steps(self) -> Iterator[Record]:
        """The frames from where the file stands, `frame` of which are behind; `at` is where one begins in the buffer.

        Raises CaptureError at the first record that is not whole.
        """
        cursor, header_octets, unit, link_type = self.cursor, self.header_octets, self.unit, self.link_type
        limit = max_captured(link_type)
        keep = link_type in self._decoded
        unpack = Struct(f"{self.order}IIII").unpack_from
        while cursor.fill(header_octets):
            self.frame += 1
            seconds, fraction, captured, length = unpack(cursor.buffer, cursor.position)
            if captured > limit:
                expected = f"a frame of at most {limit} octets"
                raise cursor.error(expected, str(captured), self.frame, cursor.offset + 8)
            data = b""
            if keep:
                if not cursor.fill(header_octets + captured):
                    missing = cursor.ahead - header_octets
                    raise cursor.error(f"{captured} octets of the frame", f"the end after {missing}", self.frame)
                self.at = cursor.position + header_octets
                cursor.position = self.at + captured
                data = cursor.octets(self.at, cursor.position)
            elif not cursor.skip(header_octets + captured):
                raise cursor.error(f"{captured} octets of the frame", "the end of the file", self.frame)
            yield Record(self.frame, seconds * 1_000_000_000 + fraction * unit, link_type, data, length)
        left = cursor.ahead
        if left or cursor.damage is not None:
            raise cursor.error(f"a record header of {header_octets} octets", f"the end after {left}", self.frame + 1)
