"""What ICMP says of packets that did not arrive (RFC 792, RFC 1191, RFC 4443, RFC 8201)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.errors import ParseError
from tioption.packet import ICMP, TCP, IpPacket, Ports

_UNREACHABLE, _UNREACHABLE_6, _TOO_BIG_6 = 3, 1, 2
_FRAGMENTATION_NEEDED: Final = 4
_HARD: Final = frozenset({2, 3, 9, 10, 13})  # protocol, port, prohibited (RFC 1122 §4.2.3.9)
_HARD_6: Final = frozenset({1, 4})  # prohibited, port
_LEAST_MTU: Final = 576


class Complaint(NamedTuple):
    """An ICMP error about a TCP segment this host has sent."""

    ports: Ports
    """As they stood in that segment."""
    seq: int
    what: str
    hard: bool
    mtu: int | None
    """What the path takes, where the packet was too big."""


def read_icmp(packet: IpPacket) -> Complaint | None:
    """The complaint in an ICMP packet, None where it is none about TCP; raises ParseError where it is cut."""
    octets = packet.payload
    if len(octets) < 8:
        raise ParseError("an ICMP message of 8 octets", f"{len(octets)} octets", "octet 0")
    kind, code = octets[0], octets[1]
    if packet.protocol == ICMP:
        if kind != _UNREACHABLE:
            return None
        mtu = max(_LEAST_MTU, int.from_bytes(octets[6:8], "big")) if code == _FRAGMENTATION_NEEDED else None
        hard, size = code in _HARD, 4
    elif kind in (_UNREACHABLE_6, _TOO_BIG_6):
        mtu = int.from_bytes(octets[4:8], "big") if kind == _TOO_BIG_6 else None
        hard, size = mtu is None and code in _HARD_6, 16
    else:
        return None
    what = f"unreachable, says the network (ICMP type {kind} code {code})"
    quoted = quoted_segment(octets[8:], size)
    if quoted is None:
        return None
    ports, at = quoted
    return Complaint(ports, int.from_bytes(octets[12 + at : 16 + at], "big"), what, hard, mtu)


def quoted_segment(quote: bytes, size: int) -> tuple[Ports, int] | None:
    """The ports of the TCP segment in a quoted packet whose addresses have `size` octets, and where it begins.

    None where it is of another protocol, or less than 8 octets of the segment are quoted.
    """
    if len(quote) < 20:
        return None
    at = (quote[0] & 15) << 2 if size == 4 else 40
    protocol, addresses = (quote[9], 12) if size == 4 else (quote[6], 8)
    if protocol != TCP or len(quote) < at + 8 or at < 20:
        return None
    source, destination = quote[addresses : addresses + size], quote[addresses + size : addresses + 2 * size]
    sport, dport = int.from_bytes(quote[at : at + 2], "big"), int.from_bytes(quote[at + 2 : at + 4], "big")
    return Ports(source, sport, destination, dport), at
