"""Frames of captures: where the IP packet begins behind headers that do not depend on its length."""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.capture.record import Record

_IP: Final = frozenset({0x0800, 0x86DD})
_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_MPLS: Final = frozenset({0x8847, 0x8848})

_HEADERS: Final = {
    0: (4, None),  # BSD loopback
    1: (14, 12),  # Ethernet
    12: (0, None),
    14: (0, None),
    101: (0, None),  # raw IP
    104: (4, 2),  # Cisco HDLC
    108: (4, None),
    113: (16, 14),  # Linux cooked
    228: (0, None),
    229: (0, None),
    276: (20, 0),  # Linux cooked, version 2
}
"""Octets of the link header by link type, and where in it an EtherType stands."""


def ip_offset(link_type: int, data: bytes) -> int | None:
    """Octets before the IP packet; None where the frame has none, or one behind a header that has its length.

    VLAN tags and MPLS labels are passed over; tunnels, PPPoE, LLC and 802.11 are not.
    """
    header = _HEADERS.get(link_type)
    if header is None:
        return None
    at, place = header
    if place is not None:
        ethertype = int.from_bytes(data[place : place + 2], "big")
        while ethertype in _TAGS:
            ethertype, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        if ethertype in _MPLS:
            while at + 4 <= len(data) and not data[at + 2] & 1:
                at += 4
            at += 4
        elif ethertype not in _IP:
            return None
    return at if at < len(data) and data[at] >> 4 in {4, 6} else None


class Frame(NamedTuple):
    """A captured frame taken apart: the link header, and the IP packet as it was on the wire.

    Octets the snapshot length cut off are zeros in `packet`; the last `missing` octets of it.
    """

    record: Record
    header: bytes
    packet: bytes
    missing: int

    @classmethod
    def of(cls, record: Record) -> Frame | None:
        """The parts of a frame, None where no IP packet is found in it."""
        data = record.data
        at = ip_offset(record.link_type, data)
        if at is None or len(data) < at + 20:
            return None
        if data[at] >> 4 == 4:
            total = int.from_bytes(data[at + 2 : at + 4], "big")
        else:
            length = int.from_bytes(data[at + 4 : at + 6], "big")
            total = 40 + length if length else 0
        total = total or record.length - at  # zero is what a capture sees before segmentation offload
        packet = data[at : at + total]
        missing = max(0, total - len(packet))
        return cls(record, data[:at], packet + bytes(missing), missing)


def turned(link_type: int, header: bytes) -> bytes:
    """The link header of a frame in the other direction, as far as that can be told: with its addresses exchanged."""
    if link_type == 1 and len(header) >= 12:
        return header[6:12] + header[:6] + header[12:]
    return header
