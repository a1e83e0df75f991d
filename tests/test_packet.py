"""IP packets written and read back, and everything that is no packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tioption.checksum import checksum
from tioption.errors import ParseError
from tioption.packet import NOP, IpPacket, Ports, TcpHeader, read_ip, read_tcp, sack, write_ip, write_tcp

FOUR = Ports(bytes((192, 0, 2, 1)), 40000, bytes((198, 51, 100, 2)), 443)
SIX = Ports(bytes.fromhex("20010db8" + "0" * 23 + "1"), 40000, bytes.fromhex("20010db8" + "0" * 23 + "2"), 443)
HEADER = TcpHeader(1, 2, 0x10, 500, NOP * 4)


@given(
    ports=st.sampled_from([FOUR, SIX]),
    numbers=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    options=st.binary(max_size=10).map(lambda octets: NOP * (4 * len(octets))),
    payload=st.binary(max_size=100),
)
def test_what_is_written_is_read_back(ports: Ports, numbers: tuple[int, int], options: bytes, payload: bytes) -> None:
    header = TcpHeader(*numbers, 0x18, 1000, options, 7)
    packet = write_ip(ports.source, ports.destination, write_tcp(ports, header, payload), ttl=9)
    ip = read_ip(packet + b"padding of a link layer")
    assert (ip.source, ip.destination, ip.protocol, ip.ttl) == (ports.source, ports.destination, 6, 9)
    assert read_tcp(ip.source, ip.destination, ip.payload) == (ports, header, payload)
    assert ports.back.back == ports


def whole(ports: Ports = FOUR) -> bytes:
    return write_ip(ports.source, ports.destination, write_tcp(ports, HEADER, b"hello"))


def changed(packet: bytes, at: int, value: int) -> bytes:
    octets = packet[:at] + bytes((value,)) + packet[at + 1 :]
    if packet[0] >> 4 == 4 and at < 20:
        octets = octets[:10] + bytes(2) + octets[12:]
        octets = octets[:10] + checksum(octets[:20]).to_bytes(2, "big") + octets[12:]
    return octets


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (b"", "octet 0: expected an IP packet, found no octets"),
        (b"\x10", "octet 0: expected an IP packet, found version 1"),
        (whole()[:19], "octet 0: expected a whole IPv4 header, found 19 octets, header length 20"),
        (b"\x44" + whole()[1:], "octet 0: expected a whole IPv4 header, found 50 octets, header length 16"),
        (whole()[:30], "octet 2: expected a total length of 20 to 30, found 49"),
        (changed(whole(), 6, 0x20), "octet 6: expected a packet that is whole, found a fragment"),
        (whole()[:8] + b"\x01" + whole()[9:], "octet 10: expected a header checksum that is right, found"),
        (whole(SIX)[:39], "octet 0: expected a whole IPv6 header, found 39 octets"),
        (whole(SIX)[:50], "octet 4: expected a payload length up to 10, found 29"),
    ],
)
def test_what_is_no_packet_says_why(packet: bytes, error: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_ip(packet)
    assert str(caught.value).startswith(error.replace("50 octets", "49 octets"))


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"x" * 19, "octet 0: expected a TCP header of 20 octets, found 19 octets"),
        (changed(whole()[20:], 12, 0x40), "octet 12: expected a data offset of 20 to 29 octets, found 16"),
        (changed(whole()[20:], 12, 0xF0), "octet 12: expected a data offset of 20 to 29 octets, found 60"),
        (changed(whole()[20:], 5, 0xFF), "octet 16: expected a TCP checksum that is right, found"),
    ],
)
def test_what_is_no_segment_says_why(octets: bytes, error: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_tcp(FOUR.source, FOUR.destination, octets)
    assert str(caught.value).startswith(error)


def test_what_cannot_be_written_says_why() -> None:
    with pytest.raises(ValueError, match="at most 40 octets of TCP options, found 44"):
        write_tcp(FOUR, TcpHeader(1, 2, 3, 4, bytes(41)))
    with pytest.raises(ValueError, match="two addresses of one family"):
        write_ip(FOUR.source, SIX.destination, b"")


def test_sack_blocks() -> None:
    assert sack([(1, 2), (3, 4)]).hex() == "0512" + "00000001" + "00000002" + "00000003" + "00000004"


def test_other_protocols_are_carried() -> None:
    assert read_ip(write_ip(SIX.source, SIX.destination, b"icmp", protocol=58)) == IpPacket(
        SIX.source, SIX.destination, 58, b"icmp", 64
    )
