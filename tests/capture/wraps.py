"""One TCP segment inside every link layer and tunnel the reader knows, built by hand, octet by octet."""

from __future__ import annotations

from struct import pack
from typing import NamedTuple

from tioption.build.packet import Host, TcpHeader, ip_packet, mss, tcp_segment
from tioption.capture.segment import SYN
from tioption.checksum import checksum
from tioption.option import FlowOption, Tifid, Variant

A4 = Host("192.0.2.1", 40000, bytes.fromhex("020000000001"))
B4 = Host("198.51.100.2", 443, bytes.fromhex("020000000002"))
A6 = Host("2001:db8::1", 40000, A4.mac)
B6 = Host("2001:db8:ffff::2", 443, B4.mac)
FLOW = FlowOption(Variant.FLOW_D, Tifid(0x0A4530000000), 0x123456789A, 0)
HEADER = TcpHeader(1000, 0, SYN, 65535, mss(1460) + bytes(FLOW))
PAYLOAD = b""

TCP4 = tcp_segment(A4, B4, HEADER, PAYLOAD)
TCP6 = tcp_segment(A6, B6, HEADER, PAYLOAD)
IP4 = ip_packet(A4, B4, TCP4, 7)
IP6 = ip_packet(A6, B6, TCP6)
MACS = B4.mac + A4.mac
OUTER_A, OUTER_B = bytes((203, 0, 113, 1)), bytes((203, 0, 113, 2))


def ethernet(ethertype: int, body: bytes) -> bytes:
    return MACS + pack("!H", ethertype) + body


def ipv4(protocol: int, body: bytes, *, fragment: int = 0x4000, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    header = pack(
        "!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(body), 1, fragment, 64, protocol, 0, OUTER_A, OUTER_B
    )
    header += options
    return header[:10] + pack("!H", checksum(header)) + header[12:] + body


def ipv6(following: int, body: bytes) -> bytes:
    return pack("!IHBB", 6 << 28, len(body), following, 64) + IP6[8:40] + body


def udp(port: int, body: bytes, sport: int = 50000) -> bytes:
    return pack("!HHHH", sport, port, 8 + len(body), 0) + body


def llc_snap(ethertype: int, body: bytes) -> bytes:
    return b"\xaa\xaa\x03\x00\x00\x00" + pack("!H", ethertype) + body


def wifi(control: int, flags: int, body: bytes, *, addresses: int = 3, qos: bytes = b"", gap: bytes = b"") -> bytes:
    header = bytes((control, flags)) + b"\0\0" + A4.mac + B4.mac + A4.mac + b"\0\0"
    if addresses == 4:
        header += B4.mac
    return header + qos + gap + body


def radiotap(body: bytes, *, flags: int | None = None, tsft: bool = False, more: int = 0) -> bytes:
    present = (1 if tsft else 0) | (0 if flags is None else 2)
    words = b"".join(pack("<I", (present if n == 0 else 0) | (1 << 31 if n < more else 0)) for n in range(more + 1))
    fields = b""
    if tsft:
        fields += b"\0" * (-(4 + len(words)) % 8) + bytes(8)
    if flags is not None:
        fields += bytes((flags,))
    return pack("<BBH", 0, 0, 4 + len(words) + len(fields)) + words + fields + body


def nflog(order: str) -> bytes:
    def attribute(kind: int, body: bytes) -> bytes:
        return pack(f"{order}HH", 4 + len(body), kind) + body + b"\0" * (-len(body) % 4)

    return b"\x02\x00\x00\x05" + attribute(1, b"\x08\x00\x03\x00") + attribute(10, b"prefix\0") + attribute(9, IP4)


def gtp_u(body: bytes, *, extensions: bytes = b"", following: int = 0) -> bytes:
    if not extensions:
        return pack("!BBHI", 0x30, 255, len(body), 1) + body
    optional = pack("!HBB", 5, 0, following) + extensions
    return pack("!BBHI", 0x36, 255, len(optional) + len(body), 1) + optional + body


class Wrap(NamedTuple):
    """A frame of a link type, and whether this machine's tshark reads it as we do by its default preferences."""

    link_type: int
    frame: bytes
    tshark: bool = True


AMSDU = b"".join(
    B4.mac + A4.mac + pack("!H", len(body)) + body + (b"\0" * (-(14 + len(body)) % 4) if index == 0 else b"")
    for index, body in enumerate([llc_snap(0x0800, IP4), llc_snap(0x86DD, IP6)])
)
AH4 = pack("!BBHII", 6, 4, 0, 1, 1) + bytes(12)

WRAPS: dict[str, Wrap] = {
    "ethernet": Wrap(1, ethernet(0x0800, IP4)),
    "ethernet padded to 60 octets": Wrap(1, ethernet(0x0800, IP4).ljust(120, b"\xfd")),
    "ethernet ipv6": Wrap(1, ethernet(0x86DD, IP6)),
    "802.3 llc snap": Wrap(1, ethernet(8 + len(IP4), llc_snap(0x0800, IP4))),
    "vlan": Wrap(1, ethernet(0x8100, b"\x20\x05\x08\x00" + IP4)),
    "qinq": Wrap(1, ethernet(0x88A8, b"\x00\x64\x81\x00\x20\x05\x86\xdd" + IP6)),
    "old qinq": Wrap(1, ethernet(0x9100, b"\x00\x64\x81\x00\x20\x05\x08\x00" + IP4)),
    "mpls": Wrap(1, ethernet(0x8847, b"\x00\x01\x00\x40\x00\x02\x01\x40" + IP4)),
    "mpls ipv6": Wrap(1, ethernet(0x8847, b"\x00\x02\x01\x40" + IP6)),
    "mpls pseudowire": Wrap(  # Wireshark wants to be told which labels are pseudowires
        1, ethernet(0x8847, b"\x00\x02\x01\x40" + bytes(4) + ethernet(0x0800, IP4)), tshark=False
    ),
    "pppoe": Wrap(1, ethernet(0x8864, pack("!BBHH", 0x11, 0, 1, 2 + len(IP4)) + b"\x00\x21" + IP4)),
    "pppoe ipv6": Wrap(1, ethernet(0x8864, pack("!BBHH", 0x11, 0, 1, 2 + len(IP6)) + b"\x00\x57" + IP6)),
    "ppp": Wrap(9, b"\xff\x03\x00\x21" + IP4),
    "ppp without framing": Wrap(9, b"\x00\x57" + IP6),
    "ppp compressed protocol": Wrap(9, b"\x21" + IP4),
    "ppp hdlc": Wrap(50, b"\xff\x03\x00\x21" + IP4),
    "ppp mpls": Wrap(50, b"\xff\x03\x02\x81\x00\x02\x01\x40" + IP4),
    "ppp with direction": Wrap(204, b"\x01\xff\x03\x00\x21" + IP4),
    "cisco hdlc": Wrap(104, b"\x0f\x00\x08\x00" + IP4),
    "null little-endian": Wrap(0, pack("<I", 2) + IP4),
    "null big-endian": Wrap(0, pack(">I", 30) + IP6),
    "loop": Wrap(108, pack(">I", 24) + IP6),
    "raw": Wrap(101, IP4),
    "raw ipv6": Wrap(101, IP6),
    "raw as a bsd numbers it": Wrap(12, IP4),
    "linktype ipv4": Wrap(228, IP4),
    "linktype ipv6": Wrap(229, IP6),
    "sll": Wrap(113, pack("!HHH8sH", 0, 1, 6, A4.mac + b"\0\0", 0x0800) + IP4),
    "sll vlan": Wrap(113, pack("!HHH8sH", 0, 1, 6, A4.mac + b"\0\0", 0x8100) + b"\x00\x05\x08\x00" + IP4),
    "sll2": Wrap(276, pack("!HHIHBB8s", 0x86DD, 0, 3, 1, 0, 6, A4.mac + b"\0\0") + IP6),
    "nflog little-endian": Wrap(239, nflog("<")),
    "nflog big-endian": Wrap(239, nflog(">"), tshark=False),  # it takes the reader's byte order
    "802.11 data": Wrap(105, wifi(0x08, 0x01, llc_snap(0x0800, IP4))),
    "802.11 four addresses": Wrap(105, wifi(0x08, 0x03, llc_snap(0x0800, IP4), addresses=4)),
    "802.11 qos": Wrap(105, wifi(0x88, 0x02, llc_snap(0x86DD, IP6), qos=b"\0\0")),
    "802.11 qos with ht control": Wrap(105, wifi(0x88, 0x82, llc_snap(0x0800, IP4), qos=bytes(6))),
    "radiotap": Wrap(127, radiotap(wifi(0x08, 0x01, llc_snap(0x0800, IP4)))),
    "radiotap with fcs": Wrap(127, radiotap(wifi(0x08, 0x01, llc_snap(0x0800, IP4)) + b"\xfd\x14\0\0", flags=0x10)),
    "radiotap with tsft and padding": Wrap(
        127, radiotap(wifi(0x88, 0x01, llc_snap(0x0800, IP4), qos=b"\0\0", gap=b"\0\0"), flags=0x20, tsft=True)
    ),
    "radiotap with two presence words": Wrap(
        127, radiotap(wifi(0x08, 0x01, llc_snap(0x0800, IP4)) + bytes(4), flags=0x10, tsft=True, more=2)
    ),
    "ipv4 with options": Wrap(101, ipv4(6, TCP4, options=b"\x01" * 8)),
    "ipv4 authentication header": Wrap(101, ipv4(51, AH4 + TCP4)),
    "ip in ip": Wrap(101, ipv4(4, IP4)),
    "6in4": Wrap(101, ipv4(41, IP6)),
    "4in6": Wrap(101, ipv6(4, IP4)),
    "ipv6 hop-by-hop and destination options": Wrap(
        101, ipv6(0, b"\x3c\x00\x01\x04" + bytes(4) + b"\x06\x00\x01\x04" + bytes(4) + TCP6)
    ),
    "ipv6 routing header": Wrap(101, ipv6(43, b"\x06\x00\x00\x00" + bytes(4) + TCP6)),
    "ipv6 first fragment": Wrap(101, ipv6(44, b"\x06\x00\x00\x01" + bytes(4) + TCP6)),
    "ipv6 authentication header": Wrap(101, ipv6(51, pack("!BBHII", 6, 4, 0, 1, 1) + bytes(12) + TCP6)),
    "gre": Wrap(101, ipv4(47, b"\x00\x00\x08\x00" + IP4)),
    "gre with checksum, key and sequence": Wrap(101, ipv4(47, b"\xb0\x00\x86\xdd" + bytes(12) + IP6)),
    "gre with ethernet": Wrap(101, ipv4(47, b"\x20\x00\x65\x58" + bytes(4) + ethernet(0x0800, IP4))),
    "gre with mpls": Wrap(101, ipv4(47, b"\x00\x00\x88\x47\x00\x02\x01\x40" + IP4)),
    "pptp gre": Wrap(
        101, ipv4(47, b"\x30\x81\x88\x0b" + pack("!HHII", 4 + len(IP4), 1, 1, 1) + b"\xff\x03\x00\x21" + IP4)
    ),
    "erspan type ii": Wrap(
        101, ipv4(47, b"\x10\x00\x88\xbe" + bytes(4) + b"\x10\x01" + bytes(6) + ethernet(0x0800, IP4))
    ),
    "erspan type iii": Wrap(
        101, ipv4(47, b"\x10\x00\x22\xeb" + bytes(4) + b"\x20\x01" + bytes(10) + ethernet(0x0800, IP4))
    ),
    "etherip": Wrap(101, ipv4(97, b"\x30\x00" + ethernet(0x0800, IP4))),
    "mpls in ip": Wrap(101, ipv4(137, b"\x00\x02\x01\x40" + IP4)),
    "vxlan": Wrap(101, ipv4(17, udp(4789, b"\x08\0\0\0\0\0\x05\0" + ethernet(0x0800, IP4)))),
    "vxlan on linux's first port": Wrap(
        101, ipv4(17, udp(8472, b"\x08\0\0\0\0\0\x05\0" + ethernet(0x0800, IP4))), tshark=False
    ),
    "geneve": Wrap(101, ipv4(17, udp(6081, b"\x00\x00\x65\x58\0\0\x05\0" + ethernet(0x86DD, IP6)))),
    "geneve with options": Wrap(
        101, ipv4(17, udp(6081, b"\x02\x00\x65\x58\0\0\x05\0" + b"\x01\x02\x00\x01" + bytes(4) + ethernet(0x0800, IP4)))
    ),
    "gtp-u": Wrap(101, ipv4(17, udp(2152, gtp_u(IP4)))),
    "gtp-u with an extension header": Wrap(
        101, ipv4(17, udp(2152, gtp_u(IP6, extensions=b"\x01\x10\x00\x00", following=0x85)))
    ),
    "gtp-u around vxlan around vlan": Wrap(
        1,
        ethernet(
            0x0800,
            ipv4(
                17,
                udp(
                    2152,
                    gtp_u(ipv4(17, udp(4789, b"\x08\0\0\0\0\0\x05\0" + ethernet(0x8100, b"\x00\x05\x08\x00" + IP4)))),
                ),
            ),
        ),
    ),
    "802.11 aggregate": Wrap(105, wifi(0x88, 0x01, AMSDU, qos=b"\x80\0")),
}


def cut_anywhere() -> list[tuple[int, bytes, int]]:
    """Every frame cut at every octet: its link type, what was captured of it, its length on the wire."""
    return [
        (wrap.link_type, wrap.frame[:length], len(wrap.frame))
        for wrap in WRAPS.values()
        for length in range(len(wrap.frame) + 1)
    ]
