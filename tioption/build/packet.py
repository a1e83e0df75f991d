"""Frames from values, for people: hosts with addresses in their usual notation, TCP segments, IP packets, Ethernet.

Sources: RFC 9293 §3.1 (TCP), RFC 791 and RFC 8200 (IP), RFC 894 and RFC 2464 (Ethernet).
"""

from __future__ import annotations

from ipaddress import ip_address
from struct import pack
from typing import NamedTuple

from tioption.packet import (
    NOP,
    SACK_PERMITTED,
    Ports,
    TcpHeader,
    mss,
    timestamps,
    window_scale,
    write_ip,
    write_tcp,
)

__all__ = [
    "NOP",
    "SACK_PERMITTED",
    "Host",
    "TcpHeader",
    "ip_packet",
    "mss",
    "tcp_frame",
    "tcp_segment",
    "timestamps",
    "window_scale",
]


class Host(NamedTuple):
    """One end of a connection."""

    address: str
    """IPv4 or IPv6, in its usual notation."""
    port: int
    mac: bytes
    """Ethernet address, 6 octets."""
    ttl: int = 64


def tcp_segment(sender: Host, receiver: Host, header: TcpHeader, payload: bytes = b"") -> bytes:
    """Header and payload with data offset and checksum; raises ValueError where the options do not fit."""
    source, destination = ip_address(sender.address).packed, ip_address(receiver.address).packed
    return write_tcp(Ports(source, sender.port, destination, receiver.port), header, payload)


def ip_packet(sender: Host, receiver: Host, payload: bytes, identification: int = 0) -> bytes:
    """An IPv4 packet with Don't Fragment set, or an IPv6 packet, around a TCP segment."""
    source, destination = ip_address(sender.address), ip_address(receiver.address)
    if source.version != destination.version:
        raise ValueError(f"expected two addresses of one family, found {sender.address} and {receiver.address}")
    return write_ip(source.packed, destination.packed, payload, ttl=sender.ttl, identification=identification)


def tcp_frame(
    sender: Host, receiver: Host, header: TcpHeader, payload: bytes = b"", *, identification: int = 0
) -> bytes:
    """A whole Ethernet frame around a TCP segment."""
    packet = ip_packet(sender, receiver, tcp_segment(sender, receiver, header, payload), identification)
    ethertype = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return receiver.mac + sender.mac + pack("!H", ethertype) + packet
