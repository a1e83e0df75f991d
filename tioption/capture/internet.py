"""IPv4 and IPv6 with its extension headers, down to TCP, UDP tunnels and IP in IP (RFC 791, RFC 8200).

The first fragment of a datagram is decoded, later ones cannot be; packets quoted in ICMP are not segments and are left
alone.
"""

from __future__ import annotations

from typing import Final

from tioption.capture.dissection import Dissection, Layer

TCP: Final = 6
UDP: Final = 17
_ESP, _AH, _NO_NEXT_HEADER = 50, 51, 59
_FRAGMENT: Final = 44
_OPTION_HEADERS: Final = frozenset({0, 43, 60, 135, 139, 140})  # hop-by-hop, routing, destination, mobility, HIP, shim6

IP_HEADERS: Final = _OPTION_HEADERS | {_FRAGMENT, _AH}
"""Headers between IP and what it carries, by their protocol numbers."""

PROTOCOLS: Final[dict[int, Layer]] = {}
"""Layers above IP by protocol number; TCP and the headers IP itself walks are not in it."""


def ip(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """IPv4 or IPv6, whichever the first four bits say."""
    if not frame.has(at, 1, end, "IP header"):
        return
    version = frame.data[at] >> 4
    if version == 4:
        ipv4(frame, at, end, wire_end)
    elif version == 6:
        ipv6(frame, at, end, wire_end)
    else:
        frame.leave(f"IP version {version}")


def ipv4(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """An IPv4 header with its options (RFC 791 §3.1)."""
    if not frame.has(at, 20, end, "IPv4 header"):
        return
    data = frame.data
    version, header_length = data[at] >> 4, (data[at] & 15) << 2
    total = data[at + 2] << 8 | data[at + 3]
    if version != 4 or header_length < 20 or 0 < total < header_length:
        frame.leave("IPv4 header malformed")
        return
    if total:  # zero is what a capture sees before segmentation offload: the frame's own length then holds
        wire_end = at + total
        end = min(end, wire_end)
    if (data[at + 6] << 8 | data[at + 7]) & 0x1FFF:
        frame.leave("IP fragments after the first")
        return
    _payload(frame, data[at + 9], at, at + header_length, end, wire_end)


def ipv6(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """An IPv6 header; a payload length of zero means a jumbogram or segmentation offload (RFC 8200 §3, RFC 2675)."""
    if not frame.has(at, 40, end, "IPv6 header"):
        return
    data = frame.data
    if data[at] >> 4 != 6:
        frame.leave("IPv6 header malformed")
        return
    length = data[at + 4] << 8 | data[at + 5]
    if length:
        wire_end = at + 40 + length
        end = min(end, wire_end)
    _payload(frame, data[at + 6], at, at + 40, end, wire_end)


def _payload(frame: Dissection, protocol: int, header: int, at: int, end: int, wire_end: int) -> None:
    """Walk IPv6 extension headers and AH from `at`, then hand on to what they carry; `header` is where IP began."""
    data = frame.data
    while protocol != TCP:
        if protocol == _AH:
            if not frame.has(at, 12, end, "IP authentication header"):
                return
            octets = (data[at + 1] + 2) << 2
        elif protocol == _FRAGMENT:
            if not frame.has(at, 8, end, "IPv6 fragment header"):
                return
            if (data[at + 2] << 8 | data[at + 3]) >> 3:
                frame.leave("IP fragments after the first")
                return
            octets = 8
        elif protocol in _OPTION_HEADERS:
            if not frame.has(at, 8, end, "IPv6 extension header"):
                return
            octets = (data[at + 1] + 1) << 3
        elif protocol == _ESP:
            frame.leave("ESP, which is encrypted")
            return
        else:
            layer = PROTOCOLS.get(protocol)
            if layer is not None and frame.enter():
                layer(frame, at, end, wire_end)
            return
        protocol = data[at]
        at += octets
    size = 4 if data[header] >> 4 == 4 else 16
    addresses = header + (12 if size == 4 else 8)
    src, dst = data[addresses : addresses + size], data[addresses + size : addresses + 2 * size]
    frame.tcp(at, end, wire_end, src, dst)


def udp(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A UDP datagram, for what is tunnelled to or from a well-known port (RFC 768)."""
    data = frame.data
    if at + 8 > end:
        return  # not TCP as far as one can see
    sport, dport = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
    layer = UDP_PORTS.get(dport) or UDP_PORTS.get(sport)
    if layer is None:
        return
    length = data[at + 4] << 8 | data[at + 5]
    if length >= 8:
        wire_end = min(wire_end, at + length)
        end = min(end, wire_end)
    layer(frame, at + 8, end, wire_end)


UDP_PORTS: Final[dict[int, Layer]] = {}
"""Layers in UDP by port number."""

PROTOCOLS[4] = ipv4
PROTOCOLS[UDP] = udp
PROTOCOLS[41] = ipv6
