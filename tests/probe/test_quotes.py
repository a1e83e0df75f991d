"""What routers quote, in whole, in part, padded and damaged."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probe.paths import CLIENT, CLIENT6, SERVER, SERVER6, Router
from tioption.checksum import checksum
from tioption.middlebox.packet import Packet
from tioption.option import DEFAULT_KINDS, FlowOption, Tifid, Variant
from tioption.packet import ICMP, IpPacket, Ports, read_ip, write_ip
from tioption.probe.attempt import Attempt
from tioption.probe.observed import Fate
from tioption.probe.quotes import Quote, compare, read_quote

OPTION = FlowOption(Variant.FLOW_D, Tifid(0x0A4530000000), 0x123456789ABC, 0)


def attempt(*, ipv6: bool = False) -> Attempt:
    from ipaddress import ip_address

    source, destination = (CLIENT6, SERVER6) if ipv6 else (CLIENT, SERVER)
    ports = Ports(ip_address(source).packed, 40000, ip_address(destination).packed, 443)
    return Attempt(ports, 1000, 5000, OPTION, DEFAULT_KINDS)


def message(kind: int, code: int, quoted: bytes, *, length: int = 0, damage: int = 0) -> IpPacket:
    octets = pack("!BBHBBH", kind, code, 0, 0, length, 0) + quoted
    octets = octets[:2] + pack("!H", checksum(octets) ^ damage) + octets[4:]
    return read_ip(write_ip(bytes((10, 0, 0, 1)), bytes((192, 0, 2, 1)), octets, protocol=ICMP))


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("size", range(0, 121, 4))
def test_a_quote_of_any_length(ipv6: bool, size: int) -> None:
    tried = attempt(ipv6=ipv6)
    syn = tried.syn(1, ttl=1, identification=77, later=3)
    quote = read_quote(read_ip(Router(1, quotes=size).expired(syn)))
    head = 40 if ipv6 else 20
    if size < head + 8:
        assert quote is None
        return
    assert quote is not None
    assert (quote.ports, quote.identification, quote.what) == (tried.ports, None if ipv6 else 77, "")
    fate, changed = compare(tried.header(), quote.header, OPTION)
    assert (fate, changed) == (Fate.INTACT if size >= head + 60 else Fate.UNSEEN, ())
    # The timestamp that says which of the SYNs it was stands 28 octets after the beginning of the header.
    assert tried.later(quote) == (3 if size >= head + 36 else None)


@pytest.mark.parametrize(
    ("kind", "code", "what"),
    [(11, 0, ""), (3, 1, "host unreachable"), (3, 13, "administratively prohibited"), (3, 99, "unreachable, code 99")],
)
def test_what_is_said(kind: int, code: int, what: str) -> None:
    quote = read_quote(message(kind, code, attempt().syn(1)))
    assert quote is not None
    assert (quote.what, quote.router) == (what, bytes((10, 0, 0, 1)))


@pytest.mark.parametrize(("kind", "code"), [(0, 0), (8, 0), (5, 1), (11, 1), (12, 0)])
def test_other_messages_are_none(kind: int, code: int) -> None:
    assert read_quote(message(kind, code, attempt().syn(1))) is None


def test_damage_and_other_protocols_are_none() -> None:
    syn = attempt().syn(1)
    assert read_quote(message(11, 0, syn, damage=1)) is None
    assert read_quote(message(11, 0, syn[:9] + b"\x11" + syn[10:])) is None
    assert read_quote(message(11, 0, b"")) is None


def test_extensions_and_padding_are_not_taken_for_the_segment() -> None:
    """RFC 4884: 128 octets of the packet, padded with zeros, and extensions behind them."""
    syn = attempt().syn(1)
    extension = bytes.fromhex("2000dead00080101000a1140")
    octets = pack("!BBHBBH", 11, 0, 0, 0, 32, 0) + syn + bytes(128 - len(syn)) + extension
    octets = octets[:2] + pack("!H", checksum(octets)) + octets[4:]
    quote = read_quote(read_ip(write_ip(bytes(4), bytes((192, 0, 2, 1)), octets, protocol=ICMP)))
    assert quote is not None
    assert len(quote.header) == 60


def changed(change: str, value: object) -> tuple[Fate, tuple[str, ...]]:
    tried = attempt()
    segment = Packet.parse(tried.syn(1))
    assert segment is not None
    setattr(segment, change, value)
    return compare(tried.header(), segment.encode()[20:], OPTION)


AREA = attempt().header()[20:40]


@pytest.mark.parametrize(
    ("change", "value", "fate", "names"),
    [
        ("seq", 1001, Fate.INTACT, ("ISN",)),
        ("window", 1, Fate.INTACT, ("window",)),
        ("flags", 0xC2, Fate.INTACT, ("flags",)),
        ("options", AREA, Fate.ABSENT, ()),
        ("options", AREA + bytes(20), Fate.OVERWRITTEN, ()),
        ("options", AREA + b"\x01" * 20, Fate.OVERWRITTEN, ()),
        ("options", AREA + bytes(OPTION.replace(tiseq=1)), Fate.ALTERED, ()),
        ("options", AREA + b"\xfd\x13" + bytes(18), Fate.ALTERED, ()),
        ("options", bytes(OPTION), Fate.INTACT, ("MSS", "SACK permitted", "timestamps", "window scale")),
        ("options", b"\x02\x04\x05\x00" + AREA[4:] + bytes(OPTION), Fate.INTACT, ("MSS",)),
        ("options", b"", Fate.ABSENT, ("MSS", "SACK permitted", "timestamps", "window scale")),
    ],
)
def test_what_is_changed(change: str, value: object, fate: Fate, names: tuple[str, ...]) -> None:
    assert changed(change, value) == (fate, names)


def test_a_header_that_has_become_too_short_says_enough_although_little_is_quoted() -> None:
    tried = attempt()
    segment = Packet.parse(tried.syn(1))
    assert segment is not None
    segment.options = AREA[:16]
    assert compare(tried.header(), segment.encode()[20:36], OPTION) == (Fate.ABSENT, ())


@given(quoted=st.binary(min_size=8, max_size=80))
def test_no_quote_is_too_strange(quoted: bytes) -> None:
    tried = attempt()
    fate, _ = compare(tried.header(), quoted, OPTION)
    assert fate in Fate
    tried.later(Quote(b"", "", tried.ports, None, quoted))


@given(octets=st.binary(max_size=150), protocol=st.sampled_from([1, 58, 6]))
def test_no_message_is_too_strange(octets: bytes, protocol: int) -> None:
    read_quote(IpPacket(bytes(4), bytes(4), protocol, octets, 64))
