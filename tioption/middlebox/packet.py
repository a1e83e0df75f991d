"""A TCP segment in its IP packet, to be altered: lengths and checksums follow by themselves.

A checksum that was right stays right, and a wrong one stays wrong by as much as it was: it is updated by the
difference, as routers do it (RFC 1624), so that octets nobody changed are not even read.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import Final, NamedTuple

from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.checksum import ONES, checksum, ones_sum
from tioption.layout import OPTION_SPACE
from tioption.option import DEFAULT_KINDS, Kinds, TcpOption, walk
from tioption.seq import SEQ32

EOL, NOP, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
"""Option kinds (RFC 9293 §3.1, RFC 2018, RFC 7323)."""

_TCP: Final = Struct("!HHIIHHHH")
_PROTOCOL: Final = 6
_EXTENSIONS: Final = frozenset({0, 43, 60})  # hop-by-hop options, routing, destination options (RFC 8200 §4)
_MAX_TOTAL: Final = 0xFFFF


class Ends(NamedTuple):
    """Who sends to whom: the addresses as octets, and the ports."""

    source: bytes
    sport: int
    destination: bytes
    dport: int

    @property
    def reverse(self) -> Ends:
        """The same two in the other direction."""
        return Ends(self.destination, self.dport, self.source, self.sport)


class Packet:
    """One TCP segment; every attribute may be set, and `encode` gives the octets of the IP packet.

    `octets` is what it was read from, None where it was made here. `parse` reads IPv4 and IPv6 packets that are whole,
    carry a TCP header with a sensible data offset, and are no fragments.
    """

    __slots__ = (
        *("_ip", "_known", "_reserved", "_residue", "ack", "destination", "dport", "flags", "octets", "options"),
        *("payload", "seq", "source", "sport", "urgent", "window"),
    )

    _ip: bytes
    """The IP header with its options or extension headers."""
    _known: bytes
    """The payload that `_residue` speaks of."""
    _reserved: int
    """The reserved bits beside the flags."""
    _residue: int
    """What the words of the payload and any error of the checksum sum up to, modulo 65535."""
    source: bytes
    destination: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    """The nine flag bits (`tioption.capture.segment`)."""
    window: int
    urgent: int
    options: bytes
    """The option area, a multiple of 4 octets."""
    payload: bytes
    octets: bytes | None

    @classmethod
    def parse(cls, octets: bytes) -> Packet | None:
        """The segment in an IP packet, None where it is anything else; octets behind the packet are ignored."""
        place = _tcp_at(octets)
        if place is None:
            return None
        at, end = place
        packet = cls()
        packet.octets = octets
        packet._ip = octets[:at]
        size = 4 if octets[0] >> 4 == 4 else 16
        addresses = 12 if size == 4 else 8
        packet.source = octets[addresses : addresses + size]
        packet.destination = octets[addresses + size : addresses + 2 * size]
        fields = _TCP.unpack_from(octets, at)
        packet.sport, packet.dport, packet.seq, packet.ack, offset, packet.window, found, packet.urgent = fields
        header = offset >> 12 << 2
        if header < 20 or at + header > end:
            return None
        packet.flags = offset & 0x1FF
        packet._reserved = offset & 0xE00
        packet.options = octets[at + 20 : at + header]
        packet.payload = packet._known = octets[at + header : end]
        packet._residue = -found - packet._header_sum()
        return packet

    def copy(self) -> Packet:
        """Another of the same contents."""
        other = Packet()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def answer(self, flags: int, seq: int, ack: int, *, window: int = 0, options: bytes = b"") -> Packet:
        """A segment without payload to the sender, as if from the receiver, in a plain IP header."""
        return self._made(self.ends.reverse, flags, seq, ack, window, options)

    def beside(self, flags: int, seq: int, ack: int, *, window: int = 0, options: bytes = b"") -> Packet:
        """A segment without payload from the same sender to the same receiver, in a plain IP header."""
        return self._made(self.ends, flags, seq, ack, window, options)

    def _made(self, ends: Ends, flags: int, seq: int, ack: int, window: int, options: bytes) -> Packet:
        other = Packet()
        other.octets = None
        other.ends = ends
        if len(other.source) == 4:
            plain = pack("!BBHHHBBH", 0x45, 0, 0, 0, 0x4000, 64, _PROTOCOL, 0) + other.source + other.destination
            other._ip = plain[:10] + pack("!H", checksum(plain)) + plain[12:]
        else:
            other._ip = pack("!IHBB", 6 << 28, 0, _PROTOCOL, 64) + other.source + other.destination
        other.flags, other.seq, other.ack = flags, seq & SEQ32.mask, ack & SEQ32.mask
        other.window, other.urgent, other.options = window, 0, options
        other.payload = other._known = b""
        other._residue = other._reserved = 0
        return other

    def reset(self) -> Packet | None:
        """The RST that refuses this segment (RFC 9293 §3.10.7.1); a RST is never refused."""
        if self.flags & RST:
            return None
        if self.flags & ACK:
            return self.answer(RST, self.ack, 0)
        return self.answer(RST | ACK, 0, self.end)

    @property
    def ends(self) -> Ends:
        """Source and destination."""
        return Ends(self.source, self.sport, self.destination, self.dport)

    @ends.setter
    def ends(self, value: Ends) -> None:
        self.source, self.sport, self.destination, self.dport = value

    @property
    def length(self) -> int:
        """Numbers of the sequence space it takes: payload, SYN and FIN (SEG.LEN)."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def end(self) -> int:
        """The sequence number after it."""
        return SEQ32.add(self.seq, self.length)

    @property
    def intact(self) -> bool:
        """Whether the checksum it came with is right."""
        return (self._residue - ones_sum(self._known)) % ONES == 0

    @property
    def identification(self) -> int | None:
        """The IPv4 identification, None in IPv6."""
        return int.from_bytes(self._ip[4:6], "big") if len(self.source) == 4 else None

    @identification.setter
    def identification(self, value: int) -> None:
        if len(self.source) == 4:
            self._ip = _updated(self._ip, 4, pack("!H", value & 0xFFFF))

    @property
    def header_length(self) -> int:
        """Octets of the IP packet that are not payload."""
        return len(self._ip) + 20 + len(self.options)

    def walk(self, kinds: Kinds = DEFAULT_KINDS) -> list[TcpOption]:
        """The stretches of the option area (`tioption.option.walk`)."""
        return list(walk(self.options, None, kinds)) if self.options else []

    def option(self, kind: int) -> bytes | None:
        """The octets of the first well-formed option of a kind."""
        return next((one.octets for one in self.walk() if one.kind == kind and one.fault is None), None)

    def _header_sum(self) -> int:
        """The sum of pseudo-header and TCP header without the checksum (RFC 9293 §3.1)."""
        length = 20 + len(self.options) + len(self.payload)
        return ones_sum(self.source + self.destination + self._tcp_header(0)) + _PROTOCOL + length

    def _tcp_header(self, found: int) -> bytes:
        words = (5 + len(self.options) // 4) << 12 | self._reserved | self.flags
        fields = (self.sport, self.dport, self.seq, self.ack, words, self.window, found, self.urgent)
        return _TCP.pack(*fields) + self.options

    def encode(self) -> bytes:
        """The octets of the IP packet.

        Raises ValueError where the options are no multiple of 4 octets or more than 40, or the packet is too long.
        """
        if len(self.options) % 4 or len(self.options) > OPTION_SPACE:
            found = f"{len(self.options)}"
            raise ValueError(f"expected TCP options of at most {OPTION_SPACE} octets, a multiple of 4, found {found}")
        if self.payload is not self._known:
            self._residue += ones_sum(self.payload) - ones_sum(self._known)
            self._known = self.payload
        total = (self._header_sum() + self._residue) % ONES
        tcp = self._tcp_header(ONES - total if total else 0) + self.payload
        return self._ip_header(len(tcp)) + tcp

    def _ip_header(self, length: int) -> bytes:
        """The IP header for so many octets of TCP, with the addresses of now."""
        version4 = len(self.source) == 4
        total = length + len(self._ip) - (0 if version4 else 40)
        if total > _MAX_TOTAL:
            raise ValueError(f"expected an IP packet of at most {_MAX_TOTAL} octets, found {total}")
        at = 2 if version4 else 4
        # A length of zero is what a capture sees before segmentation offload, and stays.
        if self._ip[at : at + 2] != bytes(2) or self.octets is None:
            self._ip = _updated(self._ip, at, pack("!H", total))
        return _updated(self._ip, 12 if version4 else 8, self.source + self.destination)


def _updated(ip: bytes, at: int, octets: bytes) -> bytes:
    """An IP header with other octets at an even place, its checksum updated by the difference where it has one."""
    end = at + len(octets)
    old = ip[at:end]
    if old == octets:
        return ip
    changed = ip[:at] + octets + ip[end:]
    if ip[0] >> 4 == 6:
        return changed
    total = (ONES - int.from_bytes(ip[10:12], "big") + ones_sum(octets) - ones_sum(old)) % ONES
    return changed[:10] + pack("!H", ONES - total if total else 0) + changed[12:]


def _tcp_at(octets: bytes) -> tuple[int, int] | None:
    """Start and end of the TCP segment in an IP packet, None where it holds none that is whole."""
    if len(octets) < 40:
        return None
    version = octets[0] >> 4
    if version == 4:
        at, total, protocol = (octets[0] & 15) << 2, octets[2] << 8 | octets[3], octets[9]
        fragment = (octets[6] & 0x3F) | octets[7]  # all but Don't Fragment and the reserved bit
        if at < 20 or fragment:
            return None
        end = total or len(octets)
    elif version == 6:
        at, length, protocol = 40, octets[4] << 8 | octets[5], octets[6]
        end = at + length if length else len(octets)
        while protocol in _EXTENSIONS and at + 8 <= end <= len(octets):
            protocol, at = octets[at], at + (octets[at + 1] + 1) * 8
    else:
        return None
    return (at, end) if protocol == _PROTOCOL and at + 20 <= end <= len(octets) else None
