"""TCP inside other packets: GRE with ERSPAN and PPTP's variant, VXLAN, Geneve, GTP-U.

Importing the module makes IP and UDP know them. Sources: RFC 2784, 2890, 2637 (GRE), draft-foschiano-erspan, RFC 7348
(VXLAN), RFC 8926 (Geneve), 3GPP TS 29.281 (GTP-U).
"""

from __future__ import annotations

from typing import Final

from tioption.capture.dissection import Dissection
from tioption.capture.ethernet import ethernet, ethertype, ppp
from tioption.capture.internet import PROTOCOLS, UDP_PORTS, ip

_PPP_IN_GRE, _ERSPAN, _ERSPAN_III = 0x880B, 0x88BE, 0x22EB
_GTP_DATA: Final = 255


def gre(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A GRE header of version 0, or of version 1 with PPP in it, then what its protocol field names."""
    if not frame.has(at, 4, end, "GRE header"):
        return
    data = frame.data
    flags, protocol = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
    checksum, routing, key, sequence, acknowledgment = (
        bool(flags & bit) for bit in (0x8000, 0x4000, 0x2000, 0x1000, 0x80)
    )
    version = flags & 7
    if version > 1 or (routing and version == 0):
        frame.leave("GRE with source routing" if version < 2 else f"GRE version {version}")
        return
    octets = 4 + 4 * (checksum + key + sequence + (acknowledgment and version == 1))
    if not frame.has(at, octets, end, "GRE header"):
        return
    at += octets
    if version == 1:
        if at < wire_end and protocol == _PPP_IN_GRE:  # a bare acknowledgment carries nothing
            ppp(frame, at, end, wire_end)
    elif protocol == _ERSPAN:
        ethernet(frame, at + 8 * sequence, end, wire_end)  # type II has a sequence number and a header, type I neither
    elif protocol == _ERSPAN_III:
        if frame.has(at, 12, end, "ERSPAN header"):
            ethernet(frame, at + 12 + 8 * (data[at + 11] & 1), end, wire_end)
    else:
        ethertype(frame, protocol, at, end, wire_end)


def vxlan(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A VXLAN header of 8 octets whose flags say that an identifier is there, then Ethernet."""
    if frame.has(at, 8, end, "VXLAN header") and frame.data[at] & 8:
        ethernet(frame, at + 8, end, wire_end)


def otv(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """VXLAN on the port Linux used before there was an assigned one: believed only where all reserved bits are zero."""
    header = frame.data[at : min(end, at + 8)]
    if len(header) == 8 and header[:4] == b"\x08\x00\x00\x00" and header[7] == 0:
        ethernet(frame, at + 8, end, wire_end)


def geneve(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A Geneve header of 8 octets and its options, then what its protocol field names."""
    if not frame.has(at, 8, end, "Geneve header"):
        return
    data = frame.data
    if data[at] >> 6 == 0:
        protocol = data[at + 2] << 8 | data[at + 3]
        ethertype(frame, protocol, at + 8 + ((data[at] & 63) << 2), end, wire_end)


def gtp_u(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """A GTP-U header of version 1 with its extension headers, then the subscriber's IP packet."""
    if not frame.has(at, 8, end, "GTP-U header"):
        return
    data = frame.data
    flags, message = data[at], data[at + 1]
    if flags >> 4 != 3 or message != _GTP_DATA:
        return  # another version, GTP', or signalling
    wire_end = min(wire_end, at + 8 + (data[at + 2] << 8 | data[at + 3]))
    end = min(end, wire_end)
    at += 8
    if flags & 7:
        if not frame.has(at, 4, end, "GTP-U header"):
            return
        following = data[at + 3] if flags & 4 else 0
        at += 4
        while following:
            if not frame.has(at, 1, end, "GTP-U extension header"):
                return
            octets = data[at] << 2
            if octets == 0:
                frame.leave("GTP-U extension header malformed")
                return
            if not frame.has(at, octets, end, "GTP-U extension header"):
                return
            following = data[at + octets - 1]
            at += octets
    ip(frame, at, end, wire_end)


PROTOCOLS[47] = gre
UDP_PORTS[2152] = gtp_u
UDP_PORTS[4789] = vxlan
UDP_PORTS[6081] = geneve
UDP_PORTS[8472] = otv
