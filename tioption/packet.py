"""IP packets with TCP in them, written and read: every length and checksum right, or a reason why they are not.

Sources: RFC 9293 §3.1 (TCP), RFC 791 and RFC 8200 (IP), RFC 792 and RFC 4443 (ICMP).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack
from typing import Final, NamedTuple

from tioption.checksum import checksum
from tioption.errors import ParseError
from tioption.layout import OPTION_SPACE

NOP: Final = b"\x01"
SACK_PERMITTED: Final = b"\x04\x02"

ICMP: Final = 1
TCP: Final = 6
ICMP6: Final = 58

_TCP: Final = Struct("!HHIIHHHH")


def mss(octets: int) -> bytes:
    """Maximum segment size: 4 octets (RFC 9293 §3.7.1)."""
    return pack("!BBH", 2, 4, octets)


def window_scale(shift: int) -> bytes:
    """Window scale: 3 octets (RFC 7323 §2.2)."""
    return pack("!BBB", 3, 3, shift)


def timestamps(value: int, echo_reply: int) -> bytes:
    """Timestamps: 10 octets (RFC 7323 §3.2)."""
    return pack("!BBII", 8, 10, value, echo_reply)


def sack(blocks: Sequence[tuple[int, int]]) -> bytes:
    """Selective acknowledgment: 2 octets and 8 a block (RFC 2018 §3)."""
    return pack("!BB", 5, 2 + 8 * len(blocks)) + b"".join(pack("!II", *block) for block in blocks)


class TcpHeader(NamedTuple):
    """The fields of a TCP header that are not derived; `options` are padded with zeros to a multiple of 4 octets."""

    seq: int
    ack: int
    flags: int
    window: int
    options: bytes = b""
    urgent: int = 0


class Ports(NamedTuple):
    """Where a segment comes from and goes to: addresses of 4 or 16 octets, and ports."""

    source: bytes
    sport: int
    destination: bytes
    dport: int

    @property
    def back(self) -> Ports:
        """The other way."""
        return Ports(self.destination, self.dport, self.source, self.sport)


class IpPacket(NamedTuple):
    """An IP packet that is whole: addresses of 4 or 16 octets, the protocol of its payload, the payload."""

    source: bytes
    destination: bytes
    protocol: int
    payload: bytes
    ttl: int


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What a transport's checksum covers of IP (RFC 9293 §3.1, RFC 8200 §8.1)."""
    if len(source) == 4:
        return pack("!4s4sBBH", source, destination, 0, protocol, length)
    return pack("!16s16sIxxxB", source, destination, length, protocol)


def write_tcp(ports: Ports, header: TcpHeader, payload: bytes = b"") -> bytes:
    """Header and payload with data offset and checksum; raises ValueError where the options do not fit."""
    options = header.options + b"\0" * (-len(header.options) % 4)
    if len(options) > OPTION_SPACE:
        raise ValueError(f"expected at most {OPTION_SPACE} octets of TCP options, found {len(options)}")
    offset_and_flags = (5 + len(options) // 4) << 12 | header.flags
    fields = (ports.sport, ports.dport, header.seq, header.ack, offset_and_flags, header.window)
    segment = _TCP.pack(*fields, 0, header.urgent) + options + payload
    pseudo = pseudo_header(ports.source, ports.destination, TCP, len(segment))
    return segment[:16] + pack("!H", checksum(pseudo + segment)) + segment[18:]


def write_ip(
    source: bytes, destination: bytes, payload: bytes, *, protocol: int = TCP, ttl: int = 64, identification: int = 0
) -> bytes:
    """An IPv4 packet with Don't Fragment set, or an IPv6 packet; raises ValueError for addresses of two families."""
    if len(source) == len(destination) == 4:
        lengths = (0x45, 0, 20 + len(payload), identification, 0x4000, ttl, protocol)
        header = pack("!BBHHHBBH4s4s", *lengths, 0, source, destination)
        return header[:10] + pack("!H", checksum(header)) + header[12:] + payload
    if len(source) == len(destination) == 16:
        return pack("!IHBB16s16s", 6 << 28, len(payload), protocol, ttl, source, destination) + payload
    raise ValueError(f"expected two addresses of one family, found {source.hex()} and {destination.hex()}")


def read_ip(packet: bytes) -> IpPacket:
    """An IP packet as a host takes it; raises ParseError for fragments, damage and IPv6 extension headers."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _read_ipv4(packet)
    if version == 6:
        return _read_ipv6(packet)
    raise ParseError("an IP packet", f"version {version}" if packet else "no octets", "octet 0")


def _read_ipv4(packet: bytes) -> IpPacket:
    header_length = (packet[0] & 15) << 2
    if header_length < 20 or len(packet) < header_length:
        raise ParseError("a whole IPv4 header", f"{len(packet)} octets, header length {header_length}", "octet 0")
    total = packet[2] << 8 | packet[3]
    if not header_length <= total <= len(packet):
        raise ParseError(f"a total length of {header_length} to {len(packet)}", str(total), "octet 2")
    if (packet[6] << 8 | packet[7]) & 0x3FFF:
        raise ParseError("a packet that is whole", "a fragment", "octet 6")
    if checksum(packet[:header_length]):
        raise ParseError("a header checksum that is right", packet[10:12].hex(), "octet 10")
    return IpPacket(packet[12:16], packet[16:20], packet[9], packet[header_length:total], packet[8])


def _read_ipv6(packet: bytes) -> IpPacket:
    if len(packet) < 40:
        raise ParseError("a whole IPv6 header", f"{len(packet)} octets", "octet 0")
    end = 40 + (packet[4] << 8 | packet[5])
    if end > len(packet):
        raise ParseError(f"a payload length up to {len(packet) - 40}", str(end - 40), "octet 4")
    return IpPacket(packet[8:24], packet[24:40], packet[6], packet[40:end], packet[7])


def read_tcp(source: bytes, destination: bytes, octets: bytes) -> tuple[Ports, TcpHeader, bytes]:
    """Ports, header and payload of a TCP segment; raises ParseError where it is cut or its checksum is wrong."""
    if len(octets) < 20:
        raise ParseError("a TCP header of 20 octets", f"{len(octets)} octets", "octet 0")
    sport, dport, seq, ack, offset_and_flags, window, _, urgent = _TCP.unpack_from(octets)
    header_length = offset_and_flags >> 12 << 2
    if not 20 <= header_length <= len(octets):
        raise ParseError(f"a data offset of 20 to {len(octets)} octets", str(header_length), "octet 12")
    if checksum(pseudo_header(source, destination, TCP, len(octets)) + octets):
        raise ParseError("a TCP checksum that is right", octets[16:18].hex(), "octet 16")
    header = TcpHeader(seq, ack, offset_and_flags & 0x1FF, window, octets[20:header_length], urgent)
    return Ports(source, sport, destination, dport), header, octets[header_length:]
