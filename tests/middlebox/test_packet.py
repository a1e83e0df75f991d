"""Segments taken apart and put together: nothing changes by itself, and checksums follow what is changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.wraps import IP4, IP6, TCP4, TCP6, WRAPS, ipv4, ipv6
from tests.middlebox.packets import OFFER, RAW, packet, packets, read, right
from tioption.capture.segment import ACK, FIN, RST, SYN
from tioption.middlebox.packet import Packet


def parsed(raw: bytes) -> Packet:
    found = Packet.parse(raw)
    assert found is not None
    return found


@given(packets())
def test_what_is_not_changed_is_encoded_as_it_was(sent: tuple[str, bytes]) -> None:
    assert parsed(sent[1]).encode() == sent[1]


@given(
    sent=packets(),
    seq=st.integers(0, 2**32 - 1),
    source=st.booleans(),
    words=st.integers(0, 10),
    payload=st.binary(max_size=30),
    off=st.integers(0, 0xFFFF),
)
def test_checksums_follow_and_a_wrong_one_stays_wrong_by_as_much(
    sent: tuple[str, bytes], seq: int, source: bool, words: int, payload: bytes, off: int
) -> None:
    at = read(sent[1]).offset + 16
    found = (int.from_bytes(sent[1][at : at + 2], "big") + off) % 0xFFFF
    segment = parsed(sent[1][:at] + found.to_bytes(2, "big") + sent[1][at + 2 :])
    assert segment.intact == (off % 0xFFFF == 0)
    segment.seq, segment.options, segment.payload = seq, b"\x01" * 4 * words, payload
    if source:
        segment.source, segment.sport = bytes(reversed(segment.source)), 7
    changed = segment.encode()
    assert right(changed) == (off % 0xFFFF == 0)
    mended = changed[:at] + ((int.from_bytes(changed[at : at + 2], "big") - off) % 0xFFFF).to_bytes(2, "big")
    assert right(mended + changed[at + 2 :])
    told = read(changed)
    assert (told.seq, told.options, told.payload) == (seq, segment.options, payload)
    assert told.src == segment.source


@given(st.binary(max_size=120))
def test_any_octets_are_a_segment_or_none(octets: bytes) -> None:
    segment = Packet.parse(octets)
    if segment is not None:
        assert segment.encode()[:2] == octets[:2]


@given(sent=packets(), at=st.integers(0, 60), flip=st.integers(1, 255))
def test_damaged_packets_never_raise(sent: tuple[str, bytes], at: int, flip: int) -> None:
    raw = bytearray(sent[1])
    raw[at % len(raw)] ^= flip
    segment = Packet.parse(bytes(raw))
    if segment is not None:
        assert segment.walk() is not None
        segment.seq ^= 1
        segment.encode()


@pytest.mark.parametrize("name", ["raw", "raw ipv6", "ipv4 with options", "ipv6 hop-by-hop and destination options"])
def test_ip_headers_are_kept(name: str) -> None:
    raw = WRAPS[name].frame
    assert WRAPS[name].link_type == RAW
    segment = parsed(raw)
    at = read(raw).offset
    segment.options = segment.options[:4]
    changed = segment.encode()
    assert right(changed) == right(raw)
    kept = slice(12 if raw[0] >> 4 == 4 else 6, at)
    assert (len(changed), changed[kept]) == (len(raw) - 20, raw[kept])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        IP4[:39],
        IP4[:-1],
        b"\x50" + IP4[1:],
        IP4[:9] + b"\x11" + IP4[10:],
        ipv4(6, TCP4, fragment=0x2000),
        ipv4(6, TCP4, fragment=0x0001),
        ipv6(44, b"\x06\x00\x00\x01" + bytes(4) + TCP6),
        ipv6(17, TCP6),
        b"\x44" + IP4[1:],
        IP4[:32] + b"\x40" + IP4[33:],
        IP4[:32] + b"\xf0" + IP4[33:],
    ],
    ids=["nothing", "short", "cut", "version 5", "UDP", "MF", "offset", "IPv6 fragment", "IPv6 UDP", "IHL", "4", "15"],
)
def test_what_is_not_a_whole_segment(raw: bytes) -> None:
    assert Packet.parse(raw) is None


def test_octets_behind_the_packet_are_ignored() -> None:
    assert parsed(IP4 + bytes(9)).encode() == IP4
    assert parsed(IP6 + bytes(9)).encode() == IP6


@pytest.mark.parametrize("six", [False, True])
def test_a_length_of_zero_stays(six: bool) -> None:
    """A capture on the sending host has it before segmentation offload."""
    raw = bytearray(packet("ab", ACK, 5, payload=b"x" * 100, six=six))
    at = 4 if six else 2
    raw[at : at + 2] = bytes(2)
    segment = parsed(bytes(raw))
    assert len(segment.payload) == 100
    segment.seq = 9
    assert segment.encode()[at : at + 2] == bytes(2)


@pytest.mark.parametrize("six", [False, True])
def test_answers_are_whole_packets(six: bool) -> None:
    syn = parsed(packet("ab", SYN, 1000, six=six, options=OFFER))
    data = parsed(packet("ab", ACK | FIN, 1000, 77, six=six, payload=b"12345"))
    for reset, expected in (
        (syn.reset(), (RST | ACK, 0, 1001)),
        (data.reset(), (RST, 77, 0)),
    ):
        assert reset is not None
        raw = reset.encode()
        assert right(raw)
        told = read(raw)
        assert (told.flags, told.seq, told.ack) == expected
        assert (told.sport, told.dport) == (443, 40000)
        assert reset.reset() is None
    beside = read(data.beside(RST, 5, 6).encode())
    assert (beside.sport, beside.dport, beside.seq) == (40000, 443, 5)
    assert (data.length, data.end) == (6, 1006)


def test_options_that_do_not_fit_and_packets_that_are_too_long_are_refused() -> None:
    segment = parsed(IP4)
    for octets in (bytes(3), bytes(44)):
        segment.options = octets
        with pytest.raises(ValueError, match=f"found {len(octets)}"):
            segment.encode()
    segment.options = b""
    segment.payload = bytes(65536)
    with pytest.raises(ValueError, match="at most 65535 octets"):
        segment.encode()
