"""Link types: which layer a frame begins with (the LINKTYPE_ registry of libpcap)."""

from __future__ import annotations

from typing import Final

from tioption.capture import tunnels as _tunnels  # noqa: F401  makes IP and UDP know the tunnels
from tioption.capture.dissection import Dissection, Layer
from tioption.capture.ethernet import ethernet, ethertype, llc, ppp
from tioption.capture.internet import ip, ipv4, ipv6
from tioption.capture.wifi import ieee80211, radiotap

_AF_INET: Final = 2
_AF_INET6: Final = frozenset({10, 24, 28, 30})  # Linux, NetBSD and OpenBSD, FreeBSD, Darwin
_ARPHRD_NETLINK, _ARPHRD_IPGRE, _ARPHRD_RADIOTAP = 824, 778, 803
_NFULA_PAYLOAD: Final = 9


def _family(frame: Dissection, family: int, at: int, end: int, wire_end: int) -> None:
    if family == _AF_INET:
        ipv4(frame, at, end, wire_end)
    elif family in _AF_INET6:
        ipv6(frame, at, end, wire_end)


def null(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """BSD loopback: an address family in the byte order of whoever captured, which its small value gives away."""
    if frame.has(at, 4, end, "loopback header"):
        octets = frame.data[at : at + 4]
        family = min(int.from_bytes(octets, "little"), int.from_bytes(octets, "big"))
        _family(frame, family, at + 4, end, wire_end)


def _cooked(frame: Dissection, hardware: int, protocol: int, at: int, end: int, wire_end: int) -> None:
    """What follows either Linux cooked header, by its ARPHRD_ type and its protocol field."""
    if hardware == _ARPHRD_NETLINK:
        return
    if hardware == _ARPHRD_RADIOTAP:
        radiotap(frame, at, end, wire_end)
    elif protocol == 4:
        llc(frame, at, end, wire_end)
    elif protocol >= 0x600:
        ethertype(frame, protocol, at, end, wire_end)


def sll(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """Linux cooked capture, 16 octets."""
    if frame.has(at, 16, end, "Linux cooked header"):
        data = frame.data
        hardware, protocol = data[at + 2] << 8 | data[at + 3], data[at + 14] << 8 | data[at + 15]
        _cooked(frame, hardware, protocol, at + 16, end, wire_end)


def sll2(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """Linux cooked capture, version 2, 20 octets."""
    if frame.has(at, 20, end, "Linux cooked header"):
        data = frame.data
        hardware, protocol = data[at + 8] << 8 | data[at + 9], data[at] << 8 | data[at + 1]
        _cooked(frame, hardware, protocol, at + 20, end, wire_end)


def nflog(frame: Dissection, at: int, end: int, wire_end: int) -> None:
    """Netfilter log: a family, then attributes in the byte order of whoever captured, one of them the packet."""
    if not frame.has(at, 4, end, "NFLOG header"):
        return
    family = frame.data[at]
    for order in ("little", "big"):
        payload = _nflog_payload(frame, at + 4, end, wire_end, big=order == "big")
        if payload is not None:
            start, stop = payload
            _family(frame, family, start, min(end, stop), stop)
            return
    frame.leave("NFLOG attributes malformed or cut short")


def _nflog_payload(frame: Dissection, at: int, end: int, wire_end: int, *, big: bool) -> tuple[int, int] | None:
    """Start and end of the packet among the attributes, None where they make no sense in this byte order."""
    data = frame.data
    while at + 4 <= end:
        octets, kind = data[at : at + 2], data[at + 2 : at + 4]
        length = int.from_bytes(octets, "big" if big else "little")
        code = int.from_bytes(kind, "big" if big else "little")
        if length < 4 or at + length > wire_end or code > 255:
            return None
        if code == _NFULA_PAYLOAD:
            return at + 4, at + length
        at += -(-length // 4) * 4
    return None


def _ethertype_at(position: int) -> Layer:
    """The layer of a header that has nothing in it for us but an EtherType in its last two octets."""

    def layer(frame: Dissection, at: int, end: int, wire_end: int) -> None:
        if frame.has(at, position + 2, end, "link header"):
            data = frame.data
            protocol = data[at + position] << 8 | data[at + position + 1]
            ethertype(frame, protocol, at + position + 2, end, wire_end)

    return layer


def _ppp_after(octets: int) -> Layer:
    """The layer of PPP behind a pseudo-header."""

    def layer(frame: Dissection, at: int, end: int, wire_end: int) -> None:
        ppp(frame, at + octets, end, wire_end)

    return layer


LINK_LAYERS: Final[dict[int, Layer]] = {
    0: null,
    1: ethernet,
    9: ppp,
    12: ip,  # DLT_RAW where a BSD wrote its own number into the file
    14: ip,
    50: ppp,
    51: _ethertype_at(12),  # PPPoE behind an Ethernet header
    101: ip,
    104: _ethertype_at(2),  # Cisco HDLC
    105: ieee80211,
    108: null,
    113: sll,
    127: radiotap,
    166: _ppp_after(0),
    204: _ppp_after(1),
    228: ipv4,
    229: ipv6,
    239: nflog,
    276: sll2,
}
"""The first layer of a frame by link type."""

DECODED_LINK_TYPES: Final = frozenset(LINK_LAYERS)

_NAMES: Final = {
    6: "IEEE 802.5 Token Ring",
    7: "ARCNET",
    8: "SLIP",
    10: "FDDI",
    11: "ATM RFC 1483",
    117: "OpenBSD pflog",
    119: "IEEE 802.11 with Prism header",
    143: "DOCSIS",
    147: "USER0",
    187: "Bluetooth HCI H4",
    189: "Linux USB",
    192: "PPI",
    195: "IEEE 802.15.4",
    201: "Bluetooth HCI H4 with pseudo-header",
    220: "Linux USB, mmapped",
    227: "CAN",
    231: "D-Bus",
    249: "USBPcap",
    252: "Wireshark upper PDU",
    253: "Linux netlink",
    272: "nRF Sniffer",
}


def link_type_reason(link_type: int) -> str:
    """Why frames of a link type that is not in LINK_LAYERS are not decoded."""
    name = f" ({_NAMES[link_type]})" if link_type in _NAMES else ""
    return f"link type {link_type}{name} is not supported"
