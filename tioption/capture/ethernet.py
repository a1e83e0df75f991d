"""Ethernet and what stands between it and IP: VLAN tags, MPLS, PPPoE, PPP, LLC/SNAP.

Sources: IEEE 802.3 and 802.1Q, RFC 3032 (MPLS), RFC 2516 (PPPoE), RFC 1661 (PPP).
"""

from __future__ import annotations

from typing import Final

from tioption.capture.dissection import Dissection, Layer
from tioption.capture.internet import PROTOCOLS, ip, ipv4, ipv6

_LEAST_ETHERTYPE: Final = 0x600  # below it the field is a length and LLC follows (IEEE 802.3)
_MACSEC: Final = 0x88E5
TRANSPARENT_ETHERNET: Final = 0x6558


def ethernet(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """An Ethernet header of 14 octets, addresses first."""
    if frame.has(at, 14, end, "Ethernet header"):
        data = frame.data
        ethertype(frame, data[at + 12] << 8 | data[at + 13], at + 14, end, wire_end)


def ethertype(frame: Dissection, protocol: int, at: int, end: int, wire_end: int) -> None:
    """What follows a field that is an EtherType or an IEEE 802.3 length."""
    if protocol < _LEAST_ETHERTYPE:
        llc(frame, at, min(end, at + protocol), wire_end)
        return
    layer = ETHERTYPES.get(protocol)
    if layer is not None:
        if frame.enter():
            layer(frame, at, end, wire_end)
    elif protocol == _MACSEC:
        frame.leave("MACsec")


def llc(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """An LLC header that announces SNAP, then an EtherType; any other service access point carries no IP we know."""
    data = frame.data
    if data[at : at + 6] == b"\xaa\xaa\x03\x00\x00\x00" and at + 8 <= end:
        protocol = data[at + 6] << 8 | data[at + 7]
        if protocol >= _LEAST_ETHERTYPE:
            ethertype(frame, protocol, at + 8, end, wire_end)


def vlan(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """One VLAN tag after its EtherType: control information, then the next EtherType."""
    if frame.has(at, 4, end, "VLAN tag"):
        data = frame.data
        ethertype(frame, data[at + 2] << 8 | data[at + 3], at + 4, end, wire_end)


def mpls(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A label stack, then IP by its version, or Ethernet behind a control word (RFC 3032, RFC 4385)."""
    data = frame.data
    while True:
        if not frame.has(at, 4, end, "MPLS label stack"):
            return
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            break
    if not frame.has(at, 1, end, "MPLS payload"):
        return
    version = data[at] >> 4
    if version in {4, 6}:
        ip(frame, at, end, wire_end)
    elif version == 0:
        ethernet(frame, at + 4, end, wire_end)
    else:
        frame.leave("MPLS payload that is neither IP nor Ethernet with a control word")


def pppoe(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A PPPoE session header, then PPP without its framing (RFC 2516 §4)."""
    if not frame.has(at, 8, end, "PPPoE header"):
        return
    data = frame.data
    wire_end = min(wire_end, at + 6 + (data[at + 4] << 8 | data[at + 5]))
    ppp(frame, at + 6, min(end, wire_end), wire_end)


def ppp(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A PPP frame: address and control where they stand, then a protocol field of 1 or 2 octets (RFC 1661, 1662)."""
    data = frame.data
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    if not frame.has(at, 2, end, "PPP header"):
        return
    protocol, octets = (data[at], 1) if data[at] & 1 else (data[at] << 8 | data[at + 1], 2)
    layer = _PPP_PROTOCOLS.get(protocol)
    if layer is not None and frame.enter():
        layer(frame, at + octets, end, wire_end)


ETHERTYPES: Final[dict[int, Layer]] = {
    0x0800: ipv4,
    0x86DD: ipv6,
    0x8100: vlan,
    0x88A8: vlan,
    0x9100: vlan,
    0x9200: vlan,
    0x8847: mpls,
    0x8848: mpls,
    0x880B: ppp,
    0x8864: pppoe,
    TRANSPARENT_ETHERNET: ethernet,
}
"""Layers by EtherType."""

_PPP_PROTOCOLS: Final[dict[int, Layer]] = {0x0021: ipv4, 0x0057: ipv6, 0x0281: mpls, 0x0283: mpls}


def etherip(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """Ethernet in IP: a version field of two octets, then the frame (RFC 3378)."""
    ethernet(frame, at + 2, end, wire_end)


PROTOCOLS[97] = etherip
PROTOCOLS[137] = mpls
PROTOCOLS[143] = ethernet
