"""Frames from values: TCP options, TCP in IPv4 or IPv6, Ethernet, with every length and checksum right.

Sources: RFC 9293 §3.1 (TCP), RFC 791 and RFC 8200 (IP).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack
from typing import NamedTuple

from tioption.checksum import checksum
from tioption.layout import OPTION_SPACE

NOP = b"\x01"
SACK_PERMITTED = b"\x04\x02"


def mss(octets: int) -> bytes:
    """Maximum segment size: 4 octets (RFC 9293 §3.7.1)."""
    return pack("!BBH", 2, 4, octets)


def window_scale(shift: int) -> bytes:
    """Window scale: 3 octets (RFC 7323 §2.2)."""
    return pack("!BBB", 3, 3, shift)


def timestamps(value: int, echo_reply: int) -> bytes:
    """Timestamps: 10 octets (RFC 7323 §3.2)."""
    return pack("!BBII", 8, 10, value, echo_reply)


class Host(NamedTuple):
    """One end of a connection."""

    address: str
    """IPv4 or IPv6, in its usual notation."""
    port: int
    mac: bytes
    """Ethernet address, 6 octets."""
    ttl: int = 64


class TcpHeader(NamedTuple):
    """The fields of a TCP header that are not derived; `options` are padded with zeros to a multiple of 4 octets."""

    seq: int
    ack: int
    flags: int
    window: int
    options: bytes = b""
    urgent: int = 0


def tcp_segment(sender: Host, receiver: Host, header: TcpHeader, payload: bytes = b"") -> bytes:
    """Header and payload with data offset and checksum; raises ValueError where the options do not fit."""
    options = header.options + b"\0" * (-len(header.options) % 4)
    if len(options) > OPTION_SPACE:
        raise ValueError(f"expected at most {OPTION_SPACE} octets of TCP options, found {len(options)}")
    offset_and_flags = (5 + len(options) // 4) << 12 | header.flags
    fields = (sender.port, receiver.port, header.seq, header.ack, offset_and_flags, header.window)
    segment = pack("!HHIIHHHH", *fields, 0, header.urgent) + options + payload
    source, destination = ip_address(sender.address).packed, ip_address(receiver.address).packed
    if len(source) == 4:
        pseudo = pack("!4s4sBBH", source, destination, 0, 6, len(segment))
    else:
        pseudo = pack("!16s16sIxxxB", source, destination, len(segment), 6)
    return segment[:16] + pack("!H", checksum(pseudo + segment)) + segment[18:]


def ip_packet(sender: Host, receiver: Host, payload: bytes, identification: int = 0) -> bytes:
    """An IPv4 packet with Don't Fragment set, or an IPv6 packet, around a TCP segment."""
    source, destination = ip_address(sender.address), ip_address(receiver.address)
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        lengths = (0x45, 0, 20 + len(payload), identification, 0x4000, sender.ttl, 6)
        header = pack("!BBHHHBBH4s4s", *lengths, 0, source.packed, destination.packed)
        return header[:10] + pack("!H", checksum(header)) + header[12:] + payload
    if isinstance(source, IPv6Address) and isinstance(destination, IPv6Address):
        return pack("!IHBB16s16s", 6 << 28, len(payload), 6, sender.ttl, source.packed, destination.packed) + payload
    raise ValueError(f"expected two addresses of one family, found {sender.address} and {receiver.address}")


def tcp_frame(
    sender: Host, receiver: Host, header: TcpHeader, payload: bytes = b"", *, identification: int = 0
) -> bytes:
    """A whole Ethernet frame around a TCP segment."""
    packet = ip_packet(sender, receiver, tcp_segment(sender, receiver, header, payload), identification)
    ethertype = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return receiver.mac + sender.mac + pack("!H", ethertype) + packet
