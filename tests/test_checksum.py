"""The one's complement sum, held against the words added one by one."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tioption.checksum import checksum, ones_sum


def added(octets: bytes) -> int:
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xff")
@example(b"\xff\xff\x00\x00")
@example(bytes(4))
@example(b"\xff")
def test_checksum_is_the_ones_complement_sum_of_16_bit_words(octets: bytes) -> None:
    assert checksum(octets) == added(octets) ^ 0xFFFF
    assert ones_sum(octets) % 0xFFFF == added(octets) % 0xFFFF


def test_the_example_of_rfc_1071() -> None:
    octets = bytes.fromhex("0001f203f4f5f6f7")
    assert (ones_sum(octets), checksum(octets)) == (0xDDF2, 0x220D)
