"""What routers say of a segment that did not get through, and what their quote of it shows (tracebox).

Sources: RFC 792, RFC 4443; RFC 1812 §4.3.2.3 (quotes are to be long), RFC 4884 (how long they are); Detal et al.,
*Revealing Middlebox Interference with Tracebox* (IMC 2013).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.checksum import checksum
from tioption.endpoint.icmp import quoted_segment
from tioption.layout import LENGTH
from tioption.option import DEFAULT_KINDS, Fault, FlowOption, Kinds, TcpOption, walk
from tioption.packet import ICMP, ICMP6, IpPacket, Ports, pseudo_header
from tioption.probe.observed import Fate

_EXPIRED, _EXPIRED_6 = 11, 3
_UNREACHABLE: Final = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "packet too big",
    5: "source route failed",
    9: "network prohibited",
    10: "host prohibited",
    13: "administratively prohibited",
}
_UNREACHABLE_6: Final = {
    0: "no route",
    1: "administratively prohibited",
    2: "beyond the scope of the source address",
    3: "address unreachable",
    4: "port unreachable",
    5: "source address refused",
    6: "route refused",
}
PADDING: Final = frozenset({0, 1})
OPTION_NAMES: Final = {2: "MSS", 3: "window scale", 4: "SACK permitted", 8: "timestamps"}


class Quote(NamedTuple):
    """An ICMP error about a TCP segment of ours."""

    router: bytes
    what: str
    """What is wrong in words, "" where the packet's hops were used up."""
    ports: Ports
    """As they stood in the segment."""
    identification: int | None
    """Of the IPv4 packet, None in IPv6."""
    header: bytes
    """The TCP header and what follows, as far as it is quoted: at least 8 octets."""


def read_quote(packet: IpPacket) -> Quote | None:
    """The error in an ICMP packet; None where it is another message, about other packets, cut or damaged."""
    octets = packet.payload
    ipv4 = packet.protocol == ICMP
    if not (ipv4 or packet.protocol == ICMP6) or len(octets) < 8:
        return None
    pseudo = b"" if ipv4 else pseudo_header(packet.source, packet.destination, ICMP6, len(octets))
    if checksum(pseudo + octets):
        return None
    kind, code = octets[0], octets[1]
    if kind == (_EXPIRED if ipv4 else _EXPIRED_6) and code == 0:
        what = ""
    elif kind == (3 if ipv4 else 1):
        what = (_UNREACHABLE if ipv4 else _UNREACHABLE_6).get(code, f"unreachable, code {code}")
    else:
        return None
    quoted = octets[8:]
    size = octets[5] * 4 if ipv4 else octets[4] * 8  # RFC 4884: where extensions follow
    if size:
        quoted = quoted[:size]
    return _quote(packet.source, what, quoted) if quoted else None


def _quote(router: bytes, what: str, quoted: bytes) -> Quote | None:
    ipv4 = quoted[0] >> 4 == 4
    found = quoted_segment(quoted, 4 if ipv4 else 16)
    if found is None:
        return None
    ports, at = found
    end = int.from_bytes(quoted[2:4], "big") if ipv4 else 40 + int.from_bytes(quoted[4:6], "big")
    if end >= at + 20:  # some routers have changed the length in their quote
        quoted = quoted[:end]  # what follows is padding
    return Quote(router, what, ports, int.from_bytes(quoted[4:6], "big") if ipv4 else None, quoted[at:])


def padding(stretches: list[TcpOption]) -> int:
    """How many octets of an option area are NOP or EOL."""
    return sum(len(one.octets) for one in stretches if one.kind in PADDING and one.fault is None)


def compare(
    sent: bytes, quoted: bytes, option: FlowOption, kinds: Kinds = DEFAULT_KINDS
) -> tuple[Fate, tuple[str, ...]]:
    """What became of the option, and of the rest of a TCP header `sent`, by what a router has `quoted` of it.

    A sequence number counts as changed, timestamps do not: a SYN that is sent again has others.
    """
    changed = [] if quoted[4:8] == sent[4:8] else ["ISN"]
    if len(quoted) < 16:
        return Fate.UNSEEN, tuple(changed)
    if quoted[12:14] != sent[12:14] and (quoted[13] != sent[13] or (quoted[12] & 15) != (sent[12] & 15)):
        changed.append("flags")
    if quoted[14:16] != sent[14:16]:
        changed.append("window")
    length = (quoted[12] >> 4 << 2) - 20
    area = quoted[20 : 20 + max(0, length)]
    found = list(walk(area, max(0, length), kinds))
    before = list(walk(sent[20:], None, kinds))
    whole = len(area) >= length
    fate = _fate(found, before, option, kinds, whole=whole, length=length)
    if whole:
        changed += _changed(found, before, kinds)
    return fate, tuple(changed)


def _fate(
    found: list[TcpOption], before: list[TcpOption], option: FlowOption, kinds: Kinds, *, whole: bool, length: int
) -> Fate:
    kind = kinds.kind(option.variant)
    if any(one.octets == option.encode(kinds) for one in found):
        return Fate.INTACT
    if any(one.kind == kind and one.fault is not Fault.CUT for one in found):
        return Fate.ALTERED
    if length < LENGTH:  # there is no room for it, whether or not all of the area is quoted
        return Fate.ABSENT
    if not whole:
        return Fate.UNSEEN
    return Fate.OVERWRITTEN if padding(found) >= padding(before) + LENGTH else Fate.ABSENT


def _changed(found: list[TcpOption], before: list[TcpOption], kinds: Kinds) -> list[str]:
    """The other options that are gone or different; timestamps only where they are gone."""
    there = {one.kind: one.octets for one in found if one.fault is None}
    names = []
    for one in before:
        name = OPTION_NAMES.get(one.kind or 0)
        if name is None or one.kind is None or one.kind in kinds:
            continue
        other = there.get(one.kind)
        if other is None or (name != "timestamps" and other != one.octets):
            names.append(name)
    return names
