"""pcapng: sections, byte orders, interfaces, clocks, the three kinds of packet blocks, and what is damaged."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest

from tests.capture import blocks
from tests.capture.reading import records
from tests.capture.wraps import IP4, IP6


def test_sections_of_both_byte_orders_with_interfaces_of_their_own(tmp_path: Path) -> None:
    octets = b"".join(
        (
            blocks.section("<"),
            blocks.interface(101, "<"),
            blocks.interface(1, "<"),
            blocks.enhanced(IP4, "<", units=5),
            blocks.section(">"),
            blocks.interface(229, ">"),
            blocks.enhanced(IP6, ">", units=1 << 40),
            blocks.obsolete(IP6, ">"),
            blocks.simple(IP6, ">"),
        )
    )
    found, error = records(tmp_path / "x", octets)
    assert error is None
    assert [(record.frame, record.link_type, record.time_ns) for record in found] == [
        (1, 101, 5_000),
        (2, 229, (1 << 40) * 1000),
        (3, 229, 0),
        (4, 229, None),
    ]
    assert [record.data for record in found] == [IP4, IP6, IP6, IP6]


@pytest.mark.parametrize(
    ("options", "units", "time_ns"),
    [
        (b"", 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (blocks.option(9, b"\x09"), 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (blocks.option(9, b"\x03"), 1_700_000_000_123, 1_700_000_000_123_000_000),
        (blocks.option(9, b"\x00"), 1_700_000_000, 1_700_000_000_000_000_000),
        (blocks.option(9, b"\x0c"), 1_700_000_000_123_456_789, 1_700_000_000_123_456),
        (blocks.option(9, b"\x94"), 3 << 19, 1_500_000_000),
        (blocks.option(14, pack("<q", 100)), 5, 100_000_005_000),
        (blocks.option(14, pack("<q", -1)), 0, -1_000_000_000),
        (blocks.option(2, b"eth0") + blocks.option(9, b"\x09") + blocks.option(0, b""), 7, 7),
        (blocks.option(0, b"") + blocks.option(9, b"\x09"), 7, 7_000),
    ],
)
def test_clocks(tmp_path: Path, options: bytes, units: int, time_ns: int) -> None:
    octets = blocks.section() + blocks.interface(101, options=options) + blocks.enhanced(IP4, units=units)
    found, error = records(tmp_path / "x", octets)
    assert error is None
    assert found[0].time_ns == time_ns


def test_simple_packets_are_cut_to_the_interface_s_snapshot_length(tmp_path: Path) -> None:
    octets = blocks.section() + blocks.interface(101, snaplen=40) + blocks.simple(IP4[:40], length=len(IP4))
    found, error = records(tmp_path / "x", octets)
    assert error is None
    assert (found[0].data, found[0].length) == (IP4[:40], len(IP4))


def test_other_blocks_are_skipped_and_numbered_as_wireshark_does(tmp_path: Path) -> None:
    octets = b"".join(
        (
            blocks.section(),
            blocks.block(4, b"names"),
            blocks.interface(101),
            blocks.block(0xBAD, pack("<I", 32473) + b"custom"),
            blocks.enhanced(IP4),
            blocks.block(5, bytes(12)),
            blocks.block(0x40000BAD, pack("<I", 32473)),
            blocks.block(0x12345678, b"from the future"),
            blocks.enhanced(IP4),
        )
    )
    found, error = records(tmp_path / "x", octets)
    assert error is None
    assert [record.frame for record in found] == [2, 4]


GOOD = blocks.section() + blocks.interface(101) + blocks.enhanced(IP4)


@pytest.mark.parametrize(
    ("damage", "frame", "offset", "expected", "found"),
    [
        (b"\x06\0\0\0", 2, 0, "a block header of 8 octets", "the end after 4"),
        (pack("<II", 6, 13), 2, 4, "a block length of 12 to 16777216, a multiple of 4", "13"),
        (pack("<II", 6, 8), 2, 4, "a block length of 12 to 16777216, a multiple of 4", "8"),
        (pack("<II", 6, 1 << 31), 2, 4, "a block length of 12 to 16777216, a multiple of 4", "2147483648"),
        (pack("<II", 6, 64) + bytes(20), 2, 0, "a block of 64 octets", "the end after 28"),
        (blocks.enhanced(IP4)[:-4] + bytes(4), 2, None, "again at the block's end", "0"),
        (blocks.block(6, bytes(16)), 2, 8, "an enhanced packet block of at least 20 octets", "16"),
        (blocks.enhanced(IP4, index=1), 2, 8, "one of the section's 1 interfaces", "interface 1"),
        (blocks.block(6, pack("<IIIII", 0, 0, 0, 50, 50)), 2, 28, "50 octets of the frame", "the block's end after 0"),
        (blocks.block(6, pack("<IIIII", 0, 0, 0, 1 << 20, 50)), 2, 8, "a frame of at most 262144 octets", "1048576"),
        (blocks.block(1, bytes(4)), 2, 8, "an interface description of 8 octets", "4"),
        (blocks.interface(1, options=blocks.option(9, b"\6\6")), 2, 16, "an if_tsresol of 1", "2"),
        (blocks.interface(1, options=pack("<HH", 2, 99)), 2, 16, "99 octets of option 2", "the block's end after 0"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0\1\2\3\4", 2, 8, "byte-order magic", "01020304"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", 2, 8, "a byte-order magic", "the end of the file"),
        (blocks.section() + blocks.enhanced(IP4), 2, None, "one of the section's 0 interfaces", "interface 0"),
    ],
)
def test_damage_ends_the_file_after_what_came_before(
    tmp_path: Path, damage: bytes, frame: int, offset: int | None, expected: str, found: str
) -> None:
    delivered, error = records(tmp_path / "x", GOOD + damage)
    assert [record.data for record in delivered] == [IP4]
    assert error is not None
    assert expected in error.expected
    assert found in error.found
    assert error.frame == frame
    if offset is not None:
        assert error.offset == len(GOOD) + offset


def test_a_section_may_describe_65536_interfaces(tmp_path: Path) -> None:
    many = blocks.section() + blocks.interface(101) * 65536
    delivered, error = records(tmp_path / "x", many + blocks.enhanced(IP4, index=65535))
    assert (len(delivered), error) == (1, None)
    _, error = records(tmp_path / "x", many + blocks.interface(101))
    assert error is not None
    assert error.expected == "at most 65536 interfaces in a section"


def test_a_byte_order_that_changes_without_a_section_is_damage(tmp_path: Path) -> None:
    delivered, error = records(tmp_path / "x", GOOD + blocks.enhanced(IP4, ">"))
    assert len(delivered) == 1
    assert error is not None
